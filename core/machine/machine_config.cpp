// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/machine_config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/machine/yaml_reader.h"

namespace shearling {

std::uint32_t CostModel::cost_of(std::string_view action) const {
  const auto found = actions.find(action);
  return found == actions.end() ? 0 : found->second;
}

std::string_view name_of(VmmTechnique technique) {
  static constexpr std::array<std::string_view, 2> kNames{"bare", "vt-x"};
  return kNames[static_cast<std::size_t>(technique)];
}

std::string_view name_of(GuestPaging) { return "nested"; }

namespace {

using Keys = std::vector<std::string_view>;

constexpr std::uint64_t kLeastRam = 2ULL << 20;  // an image at 1 MB must fit
constexpr std::uint64_t kMostRam = 3ULL << 30;   // below the local APIC and the hole for devices
constexpr std::uint32_t kMostCycles = 1'000'000;

/// Fills a MachineConfig from one YAML document; what the document does not name stays as it was.
class ConfigReader {
 public:
  ConfigReader(YamlReader& yaml, MachineConfig& config) : yaml_(yaml), config_(config) {}

  void read(const YAML::Node& document) {
    static const Keys kKeys{"extends", "name", "description",     "isa",        "board",  "memory", "seed",
                            "cpu",     "tlb",  "page-walk-cache", "nested-tlb", "caches", "costs",  "vmm"};
    if (!yaml_.is_mapping(document, "a machine description", kKeys)) return;
    yaml_.read(document, "name", config_.name);
    yaml_.read(document, "description", config_.description);
    yaml_.read(document, "isa", config_.isa);
    yaml_.read(document, "board", config_.board);
    read_memory(document);
    yaml_.read(document, "seed", config_.seed, 1);
    config_.translation.seed = config_.seed;
    config_.caches.seed = config_.seed;
    section(document, "cpu", [&](const YAML::Node& node) { read_cpu(node); });
    section(document, "tlb", [&](const YAML::Node& node) { read_tlbs(node); });
    section(document, "page-walk-cache", [&](const YAML::Node& node) {
      read_entries(node, "the page-walk cache", config_.translation.walk_cache_entries,
                   config_.translation.walk_cache_latency);
    });
    section(document, "nested-tlb", [&](const YAML::Node& node) {
      read_entries(node, "the nested TLB", config_.translation.nested_entries, config_.translation.nested_latency);
    });
    section(document, "caches", [&](const YAML::Node& node) { read_caches(node); });
    section(document, "costs", [&](const YAML::Node& node) { read_costs(node); });
    section(document, "vmm", [&](const YAML::Node& node) { read_vmm(node); });
  }

 private:
  template <typename Reader>
  void section(const YAML::Node& mapping, const char* key, Reader reader) {
    if (const YAML::Node node = mapping[key]; node.IsDefined()) reader(node);
  }

  void read_memory(const YAML::Node& document) {
    if (!yaml_.read_bytes(document, "memory", config_.ram_bytes)) return;
    if (config_.ram_bytes < kLeastRam || config_.ram_bytes > kMostRam || config_.ram_bytes % kFrameBytes != 0)
      yaml_.fail(document["memory"], "the guest's memory must be 2 MB to 3 GB, a multiple of 4 KB",
                 "for example 256 MB");
  }

  void read_cpu(const YAML::Node& node) {
    static const Keys kKeys{"features"};
    if (!yaml_.is_mapping(node, "'cpu'", kKeys)) return;
    section(node, "features", [&](const YAML::Node& features) {
      if (!yaml_.is_list(features, "'features'")) return;
      config_.cpu_features.clear();
      for (const YAML::Node& feature : features) {
        if (const auto name = yaml_.scalar(feature, "a CPU feature")) config_.cpu_features.push_back(*name);
      }
    });
  }

  void read_replacement(const YAML::Node& node, ReplacementKind& replacement) {
    static const Keys kNames{"lru", "tree-plru", "random"};
    std::size_t index = 0;
    if (yaml_.read_choice(node, "replacement", kNames, index)) replacement = static_cast<ReplacementKind>(index);
  }

  void read_tlbs(const YAML::Node& node) {
    static const Keys kKeys{"instruction", "data", "second-level"};
    if (!yaml_.is_mapping(node, "'tlb'", kKeys)) return;
    section(node, "instruction",
            [&](const YAML::Node& list) { read_first_level(list, config_.translation.instruction); });
    section(node, "data", [&](const YAML::Node& list) { read_first_level(list, config_.translation.data); });
    section(node, "second-level", [&](const YAML::Node& tlb) {
      if (tlb.IsNull())
        config_.translation.second_level.reset();
      else if (auto geometry = read_tlb(tlb))
        config_.translation.second_level = *geometry;
    });
    if (!yaml_.failed()) judge(node, problem_of(config_.translation));
  }

  void read_first_level(const YAML::Node& list, std::vector<TlbGeometry>& tlbs) {
    if (!yaml_.is_list(list, "the first-level TLBs")) return;
    tlbs.clear();
    std::set<PageSize> held;
    for (const YAML::Node& node : list) {
      const auto geometry = read_tlb(node);
      if (!geometry) continue;
      for (const PageSize size : geometry->page_sizes) {
        if (!held.insert(size).second)
          yaml_.fail(node, "two TLBs of one side hold the same page size", "name each page size once");
      }
      tlbs.push_back(*geometry);
    }
    if (tlbs.empty() && !yaml_.failed()) yaml_.fail(list, "there is no TLB in this list", "describe at least one");
  }

  std::optional<TlbGeometry> read_tlb(const YAML::Node& node) {
    static const Keys kKeys{"name", "entries", "ways", "pages", "latency", "replacement"};
    if (!yaml_.is_mapping(node, "a TLB", kKeys)) return std::nullopt;
    TlbGeometry geometry;
    if (!yaml_.read(node, "name", geometry.name))
      yaml_.fail(node, "a TLB needs a name", "for example name: L1 DTLB 4K");
    yaml_.read(node, "entries", geometry.entries, 1, 65536);
    geometry.ways = geometry.entries;  // fully associative unless said otherwise
    yaml_.read(node, "ways", geometry.ways, 1, 65536);
    yaml_.read(node, "latency", geometry.latency, 0, kMostCycles);
    read_replacement(node, geometry.replacement);
    section(node, "pages", [&](const YAML::Node& pages) { read_page_sizes(pages, geometry.page_sizes); });
    return judge(node, problem_of(geometry)) ? std::optional(geometry) : std::nullopt;
  }

  void read_page_sizes(const YAML::Node& pages, std::vector<PageSize>& sizes) {
    if (!yaml_.is_list(pages, "'pages'")) return;
    for (const YAML::Node& page : pages) {
      const auto size = page.IsScalar() ? parse_page_size(page.Scalar()) : std::nullopt;
      if (size)
        sizes.push_back(*size);
      else
        yaml_.fail(page, "this is no page size", "one of 4K, 16K, 64K, 2M, 1G");
    }
  }

  void read_entries(const YAML::Node& node, std::string_view what, unsigned& entries, unsigned& latency) {
    static const Keys kKeys{"entries", "latency"};
    if (!yaml_.is_mapping(node, what, kKeys)) return;
    yaml_.read(node, "entries", entries, 0, 4096);
    yaml_.read(node, "latency", latency, 0, kMostCycles);
  }

  void read_caches(const YAML::Node& node) {
    static const Keys kKeys{"l1i", "l1d", "l2", "last-level", "tft", "memory"};
    if (!yaml_.is_mapping(node, "'caches'", kKeys)) return;
    CacheHierarchyConfig& caches = config_.caches;
    section(node, "l1i", [&](const YAML::Node& cache) { read_cache(cache, caches.l1i); });
    section(node, "l1d", [&](const YAML::Node& cache) { read_cache(cache, caches.l1d); });
    section(node, "l2", [&](const YAML::Node& cache) { read_lower_cache(cache, "L2", caches.l2); });
    section(node, "last-level", [&](const YAML::Node& cache) { read_lower_cache(cache, "LLC", caches.last_level); });
    section(node, "tft", [&](const YAML::Node& tft) {
      static const Keys kTftKeys{"entries"};
      if (yaml_.is_mapping(tft, "'tft'", kTftKeys)) yaml_.read(tft, "entries", caches.tft.entries, 1, 65535);
    });
    section(node, "memory", [&](const YAML::Node& memory) {
      static const Keys kMemoryKeys{"latency", "energy"};
      if (!yaml_.is_mapping(memory, "'memory'", kMemoryKeys)) return;
      yaml_.read(memory, "latency", caches.memory_latency, 0, kMostCycles);
      yaml_.read(memory, "energy", caches.memory_energy);
    });
    if (!yaml_.failed()) judge(node, problem_of(caches));
  }

  void read_lower_cache(const YAML::Node& node, const char* name, std::optional<CacheConfig>& cache) {
    if (node.IsNull()) {  // "l2: null": the machine has none
      cache.reset();
      return;
    }
    if (!cache) cache.emplace(CacheConfig{.name = name, .organisation = CacheOrganisation::Pipt});
    read_cache(node, *cache);
  }

  void read_cache(const YAML::Node& node, CacheConfig& cache) {
    static const Keys kKeys{"name",        "size",    "ways",         "line",   "organisation",
                            "replacement", "latency", "fast-latency", "energy", "partition-energy",
                            "plain-twin"};
    static const Keys kOrganisations{"vipt", "seesaw", "pipt"};
    if (!yaml_.is_mapping(node, "a cache", kKeys)) return;
    yaml_.read(node, "name", cache.name);
    yaml_.read_bytes(node, "size", cache.size);
    yaml_.read(node, "ways", cache.ways, 1, 32);
    yaml_.read(node, "line", cache.line, 4, kFrameBytes);
    std::size_t organisation = 0;
    if (yaml_.read_choice(node, "organisation", kOrganisations, organisation))
      cache.organisation = static_cast<CacheOrganisation>(organisation);
    read_replacement(node, cache.replacement);
    yaml_.read(node, "latency", cache.latency, 0, kMostCycles);
    yaml_.read(node, "fast-latency", cache.fast_latency, 0, kMostCycles);
    yaml_.read(node, "energy", cache.energy);
    yaml_.read(node, "partition-energy", cache.partition_energy);
    yaml_.read(node, "plain-twin", cache.plain_twin);
    judge(node, problem_of(cache));
  }

  void read_costs(const YAML::Node& node) {
    static const Keys kKeys{"instruction", "actions"};
    if (!yaml_.is_mapping(node, "'costs'", kKeys)) return;
    yaml_.read(node, "instruction", config_.costs.instruction, 0, kMostCycles);
    section(node, "actions", [&](const YAML::Node& actions) {
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
    static const Keys kKeys{"nested-page", "vpid", "nested-accessed-dirty"};
    static const Keys kPages{"4K", "2M", "1G"};
    static constexpr std::array kSizes{PageSize::Size4K, PageSize::Size2M, PageSize::Size1G};
    if (!yaml_.is_mapping(node, "'vmm'", kKeys)) return;
    std::size_t page = 0;
    if (yaml_.read_choice(node, "nested-page", kPages, page)) config_.vmm.nested_page = kSizes[page];
    yaml_.read(node, "vpid", config_.vmm.vpid);
    yaml_.read(node, "nested-accessed-dirty", config_.vmm.nested_accessed_dirty);
  }

  /// Reports a geometry's problem at its node; true where there is none.
  bool judge(const YAML::Node& at, std::string problem) {
    if (problem.empty()) return true;
    yaml_.fail(at, std::move(problem), "change its numbers so that they agree");
    return false;
  }

  YamlReader& yaml_;
  MachineConfig& config_;
};

// --- finding and joining descriptions
// ---------------------------------------------------------------------------------

namespace fs = std::filesystem;

/// One file of a chain of `extends`.
struct Layer {
  std::string file;
  std::string text;
};

Result<std::string> read_text(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return Diagnostic{path, 0, 0, "there is no such file", "check the path"};
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return Diagnostic{path, 0, 0, "the file cannot be read", "check its permissions"};
  return text.str();
}

std::vector<fs::path> machine_folders() {
  std::vector<fs::path> folders;
  if (const char* folder = std::getenv("SHEARLING_MACHINE_DIR")) folders.emplace_back(folder);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    folders.push_back(program.parent_path() / "../share/shearling/machines");
    folders.push_back(program.parent_path() / "../../../assets/machines");
  }
  folders.emplace_back(SHEARLING_MACHINES);
  return folders;
}

bool is_path(const std::string& name_or_path) {
  return name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".yaml") ||
         name_or_path.ends_with(".yml");
}

Result<std::string> find_description(const std::string& name_or_path) {
  if (is_path(name_or_path)) return name_or_path;
  std::error_code error;
  std::set<std::string> known;
  for (const fs::path& folder : machine_folders()) {
    const fs::path file = folder / (name_or_path + ".yaml");
    if (fs::is_regular_file(file, error)) return file.lexically_normal().string();
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".yaml") known.insert(entry.path().stem().string());
    }
  }
  std::string remedy = "give the path of a YAML file";
  for (const std::string& name : known) remedy += (name == *known.begin() ? ", or one of " : ", ") + name;
  return Diagnostic{"", 0, 0, "there is no built-in machine '" + name_or_path + "'", remedy};
}

/// What a description says after "extends:", or nothing. In a joined one (read_machine_description) the first document
/// extends nothing, and the others extend what stands before them. Errors are found later, by the full reading.
std::string extended_name(const std::string& text) {
  YamlReader yaml("");
  for (const YAML::Node& document : yaml.load(text)) {
    if (!document.IsMap()) continue;
    const YAML::Node base = document["extends"];
    return base.IsDefined() && base.IsScalar() ? base.Scalar() : std::string();
  }
  return {};
}

/// The description and all that it extends, the most basic one first.
Result<std::vector<Layer>> read_layers(const std::string& name_or_path) {
  constexpr std::size_t kMostLayers = 8;
  std::vector<Layer> layers;
  std::string wanted = name_or_path;
  while (!wanted.empty()) {
    if (layers.size() == kMostLayers)
      return Diagnostic{layers.front().file, 0, 0, "more than 8 descriptions extend each other",
                        "is there a circle of 'extends'?"};
    Result<std::string> file = find_description(wanted);
    if (!file) return file.error();
    Result<std::string> text = read_text(file.value());
    if (!text) return text.error();
    layers.insert(layers.begin(), {file.value(), text.value()});
    wanted = extended_name(text.value());
    if (is_path(wanted) && !fs::path(wanted).is_absolute())
      wanted = (fs::path(file.value()).parent_path() / wanted).string();
  }
  return layers;
}

Status apply(const Layer& layer, MachineConfig& config) {
  YamlReader yaml(layer.file);
  for (const YAML::Node& document : yaml.load(layer.text)) {
    if (!document.IsNull()) ConfigReader(yaml, config).read(document);
  }
  if (yaml.failed()) return yaml.diagnostics().front();
  return Done{};
}

}  // namespace

Result<MachineConfig> parse_machine_config(const std::string& yaml, const std::string& file) {
  MachineConfig config;
  if (const std::string base = extended_name(yaml); !base.empty()) {
    Result<MachineConfig> extended = load_machine_config(base);
    if (!extended) return extended.error();
    config = std::move(extended).value();
  }
  if (Status status = apply({file, yaml}, config); !status) return status.error();
  return config;
}

Result<MachineConfig> load_machine_config(const std::string& name_or_path) {
  Result<std::vector<Layer>> layers = read_layers(name_or_path);
  if (!layers) return layers.error();
  MachineConfig config;
  for (const Layer& layer : layers.value()) {
    if (Status status = apply(layer, config); !status) return status.error();
  }
  return config;
}

Result<std::string> read_machine_description(const std::string& name_or_path) {
  Result<std::vector<Layer>> layers = read_layers(name_or_path);
  if (!layers) return layers.error();
  std::string joined;
  for (const Layer& layer : layers.value()) {
    if (!joined.empty()) joined += "\n---\n";
    joined += layer.text;
  }
  return joined;
}

}  // namespace shearling
