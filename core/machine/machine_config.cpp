// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/machine_config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/machine/description_files.h"
#include "core/machine/geometry_reader.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

std::uint32_t CostModel::cost_of(std::string_view action) const {
  const auto found = actions.find(action);
  return found == actions.end() ? 0 : found->second;
}

namespace {
constexpr std::array<std::string_view, 4> kTechniqueNames{"bare", "vt-x", "el2", "trap-and-emulate"};
}  // namespace

std::string_view name_of(VmmTechnique technique) { return kTechniqueNames[static_cast<std::size_t>(technique)]; }

std::optional<VmmTechnique> technique_named(std::string_view name) {
  const auto found = std::find(kTechniqueNames.begin(), kTechniqueNames.end(), name);
  if (found == kTechniqueNames.end()) return std::nullopt;
  return static_cast<VmmTechnique>(found - kTechniqueNames.begin());
}

std::span<const std::string_view> all_technique_names() { return kTechniqueNames; }

std::string_view name_of(GuestPaging) { return "nested"; }

namespace {

using Keys = std::vector<std::string_view>;

constexpr std::uint64_t kLeastRam = 2ULL << 20;  // an image at 1 MB must fit
constexpr std::uint64_t kMostRam = 3ULL << 30;   // the PC's RAM ends below its hole for devices
constexpr std::uint64_t kMostSlice = 1'000'000;  // instructions
constexpr std::uint32_t kMostCycles = GeometryReader::kMostCycles;

/// Fills a MachineConfig from one YAML document; what the document does not name stays as it was.
class ConfigReader {
 public:
  ConfigReader(YamlReader& yaml, std::string file, MachineConfig& config)
      : yaml_(yaml), file_(std::move(file)), geometry_(yaml), config_(config) {}

  void read(const YAML::Node& document) {
    static const Keys kKeys{"extends", "name", "description",     "isa",        "board",  "memory", "seed",
                            "cpu",     "tlb",  "page-walk-cache", "nested-tlb", "caches", "costs",  "vmm"};
    if (!yaml_.is_mapping(document, "a machine description", kKeys)) return;
    yaml_.read(document, "name", config_.name);
    yaml_.read(document, "description", config_.description);
    if (yaml_.read(document, "isa", config_.isa)) config_.isa_place = place_of(document["isa"]);
    if (yaml_.read(document, "board", config_.board)) config_.board_place = place_of(document["board"]);
    read_memory(document);
    yaml_.read(document, "seed", config_.seed, 1);
    config_.translation.seed = config_.seed;
    config_.caches.seed = config_.seed;
    GeometryReader::section(document, "cpu", [&](const YAML::Node& node) { read_cpu(node); });
    GeometryReader::section(document, "tlb", [&](const YAML::Node& node) { read_tlbs(node); });
    GeometryReader::section(document, "page-walk-cache", [&](const YAML::Node& node) {
      geometry_.read_entries(node, "the page-walk cache", config_.translation.walk_cache_entries,
                             config_.translation.walk_cache_latency);
    });
    GeometryReader::section(document, "nested-tlb", [&](const YAML::Node& node) {
      geometry_.read_entries(node, "the nested TLB", config_.translation.nested_entries,
                             config_.translation.nested_latency);
    });
    GeometryReader::section(document, "caches", [&](const YAML::Node& node) { read_caches(node); });
    GeometryReader::section(document, "costs", [&](const YAML::Node& node) { read_costs(node); });
    GeometryReader::section(document, "vmm", [&](const YAML::Node& node) { read_vmm(node); });
  }

 private:
  [[nodiscard]] DescriptionPlace place_of(const YAML::Node& node) const {
    return {file_, yaml_.line_of(node), yaml_.column_of(node)};
  }

  void read_memory(const YAML::Node& document) {
    if (!yaml_.read_bytes(document, "memory", config_.ram_bytes)) return;
    if (config_.ram_bytes < kLeastRam || config_.ram_bytes > kMostRam || config_.ram_bytes % kFrameBytes != 0)
      yaml_.fail(document["memory"], "the guest's memory must be 2 MB to 3 GB, a multiple of 4 KB",
                 "for example 256 MB");
  }

  void read_cpu(const YAML::Node& node) {
    static const Keys kKeys{"features", "count", "slice"};
    if (!yaml_.is_mapping(node, "'cpu'", kKeys)) return;
    if (yaml_.read(node, "count", config_.cpus, 1, kMostCpus)) config_.cpus_place = place_of(node["count"]);
    yaml_.read(node, "slice", config_.slice, 1, kMostSlice);
    GeometryReader::section(node, "features", [&](const YAML::Node& features) {
      if (!yaml_.is_list(features, "'features'")) return;
      config_.cpu_features.clear();
      for (const YAML::Node& feature : features) {
        if (const auto name = yaml_.scalar(feature, "a CPU feature")) config_.cpu_features.push_back(*name);
      }
    });
  }

  void read_tlbs(const YAML::Node& node) {
    static const Keys kKeys{"instruction", "data", "second-level"};
    if (!yaml_.is_mapping(node, "'tlb'", kKeys)) return;
    GeometryReader::section(node, "instruction", [&](const YAML::Node& list) {
      geometry_.read_first_level(list, config_.translation.instruction);
    });
    GeometryReader::section(
        node, "data", [&](const YAML::Node& list) { geometry_.read_first_level(list, config_.translation.data); });
    GeometryReader::section(node, "second-level", [&](const YAML::Node& tlb) {
      geometry_.read_optional_tlb(tlb, config_.translation.second_level);
    });
    if (!yaml_.failed()) geometry_.judge(node, problem_of(config_.translation));
  }

  void read_caches(const YAML::Node& node) {
    static const Keys kKeys{"l1i",   "l1d", "l2", "l2i", "last-level", "tft", "scheduler", "sweep-on-invalidation",
                            "memory"};
    static const Keys kSchedulers{"always-fast", "always-slow", "quarter-rule"};
    if (!yaml_.is_mapping(node, "'caches'", kKeys)) return;
    CacheHierarchyConfig& caches = config_.caches;
    GeometryReader::section(node, "l1i", [&](const YAML::Node& cache) { geometry_.read_cache(cache, caches.l1i); });
    GeometryReader::section(node, "l1d", [&](const YAML::Node& cache) { geometry_.read_cache(cache, caches.l1d); });
    GeometryReader::section(node, "l2",
                            [&](const YAML::Node& cache) { geometry_.read_optional_cache(cache, "L2", caches.l2); });
    GeometryReader::section(node, "l2i",
                            [&](const YAML::Node& cache) { geometry_.read_optional_cache(cache, "L2I", caches.l2i); });
    GeometryReader::section(node, "last-level", [&](const YAML::Node& cache) {
      geometry_.read_optional_cache(cache, "LLC", caches.last_level);
    });
    GeometryReader::section(node, "tft", [&](const YAML::Node& tft) { read_filter(tft, caches.tft); });
    yaml_.read_choice(node, "scheduler", kSchedulers, caches.scheduler);
    yaml_.read(node, "sweep-on-invalidation", caches.sweep_on_invalidation);
    GeometryReader::section(node, "memory", [&](const YAML::Node& memory) {
      static const Keys kMemoryKeys{"latency", "energy"};
      if (!yaml_.is_mapping(memory, "'memory'", kMemoryKeys)) return;
      yaml_.read(memory, "latency", caches.memory_latency, 0, kMostCycles);
      yaml_.read(memory, "energy", caches.memory_energy);
    });
    if (!yaml_.failed()) geometry_.judge(node, problem_of(caches));
  }

  void read_filter(const YAML::Node& node, TranslationFilterTableConfig& filter) {
    static const Keys kKeys{"entries", "tag-bits", "tagged", "enabled"};
    if (!yaml_.is_mapping(node, "'tft'", kKeys)) return;
    yaml_.read(node, "entries", filter.entries, 1, 65535);
    yaml_.read(node, "tag-bits", filter.tag_bits, 1, TranslationFilterTableConfig::kRegionBits);
    yaml_.read(node, "tagged", filter.tagged);
    yaml_.read(node, "enabled", filter.enabled);
  }

  void read_costs(const YAML::Node& node) {
    static const Keys kKeys{"instruction", "actions"};
    if (!yaml_.is_mapping(node, "'costs'", kKeys)) return;
    yaml_.read(node, "instruction", config_.costs.instruction, 0, kMostCycles);
    GeometryReader::section(node, "actions", [&](const YAML::Node& actions) {
      if (!actions.IsMap()) {
        yaml_.fail(actions, "'actions' must be a mapping", "write 'name of the action: cycles' lines");
        return;
      }
      for (const auto& action : actions) {
        const auto cycles = action.second.IsScalar() ? parse_number(action.second.Scalar()) : std::nullopt;
        if (cycles && *cycles <= kMostCycles && action.first.IsScalar())
          config_.costs.actions[action.first.Scalar()] = static_cast<std::uint32_t>(*cycles);
        else
          yaml_.fail(action.second, "a cost must be a whole number of cycles",
                     "from 0 to " + std::to_string(kMostCycles));
      }
    });
  }

  void read_vmm(const YAML::Node& node) {
    static const Keys kKeys{"nested-page", "vpid", "nested-accessed-dirty", "virtual-machines"};
    static const Keys kPages{"4K", "2M", "1G"};
    static constexpr std::array kSizes{PageSize::Size4K, PageSize::Size2M, PageSize::Size1G};
    if (!yaml_.is_mapping(node, "'vmm'", kKeys)) return;
    std::size_t page = 0;
    if (yaml_.read_choice(node, "nested-page", kPages, page)) config_.vmm.nested_page = kSizes[page];
    yaml_.read(node, "vpid", config_.vmm.vpid);
    yaml_.read(node, "nested-accessed-dirty", config_.vmm.nested_accessed_dirty);
    yaml_.read(node, "virtual-machines", config_.vmm.virtual_machines, 1, 2);
  }

  YamlReader& yaml_;
  std::string file_;
  GeometryReader geometry_;
  MachineConfig& config_;
};

// --- finding and joining descriptions --------------------------------------------------------------------------------

DescriptionKind machines() {
  return {.name = "machine", .folders = asset_folders("machines", "SHEARLING_MACHINE_DIR", SHEARLING_MACHINES)};
}

Status apply(const DescriptionLayer& layer, MachineConfig& config) {
  YamlReader yaml(layer.file);
  for (const YAML::Node& document : yaml.load(layer.text)) {
    if (!document.IsNull()) ConfigReader(yaml, layer.file, config).read(document);
  }
  if (yaml.failed()) return yaml.diagnostics().front();
  return Done{};
}

}  // namespace

namespace {

Result<MachineConfig> joined(const Result<std::vector<DescriptionLayer>>& layers) {
  if (!layers) return layers.error();
  MachineConfig config;
  for (const DescriptionLayer& layer : layers.value()) {
    if (Status status = apply(layer, config); !status) return status.error();
  }
  return config;
}

}  // namespace

Result<MachineConfig> parse_machine_config(const std::string& yaml, const std::string& file) {
  return joined(read_description(machines(), DescriptionLayer{file, yaml}));
}

Result<MachineConfig> load_machine_config(const std::string& name_or_path) {
  return joined(read_description(machines(), name_or_path));
}

std::vector<std::string> built_in_machines() { return built_in_descriptions(machines()); }

Result<std::string> read_machine_description(const std::string& name_or_path) {
  Result<std::vector<DescriptionLayer>> layers = read_description(machines(), name_or_path);
  if (!layers) return layers.error();
  std::string joined;
  for (const DescriptionLayer& layer : layers.value()) {
    if (!joined.empty()) joined += "\n---\n";
    joined += layer.text;
  }
  return joined;
}

}  // namespace shearling
