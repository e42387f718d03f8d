// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/study_config.h"

#include <array>

#include "cache-sim/coherence/directory.h"
#include "cache-sim/simulation/multicore_simulation.h"
#include "core/machine/description_files.h"
#include "core/machine/geometry_reader.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string_view>;

DescriptionKind study_configs() {
  return {.name = "cache configuration",
          .folders = asset_folders("cache", "SHEARLING_CACHE_DIR", SHEARLING_CACHE_ASSETS)};
}

DescriptionKind tlb_configs() {
  DescriptionKind kind{.name = "TLB configuration", .folders = study_configs().folders};
  for (fs::path& folder : kind.folders) folder /= "tlb";
  return kind;
}

/// A file in the making: what its documents have said so far, and what follows from what none of them says.
struct Draft {
  SimulationConfig config;
  std::string description;
  bool l1i_organised = false, l1d_organised = false;  ///< Somebody said how.
  bool instruction_tlbs = false;
  Diagnostic coherence_place;  ///< Of the section that asked for several cores; no message.
};

/// What a document that names no more than a level gets: Sandy Bridge-E's cycles and SIPT's energies, as
/// assets/machines/pc.yaml has them with their sources.
CacheConfig lower_default(const char* name, std::uint64_t size, unsigned ways, unsigned latency, float energy) {
  return {.name = name,
          .size = size,
          .ways = ways,
          .organisation = CacheOrganisation::Pipt,
          .latency = latency,
          .energy = energy,
          .arrival = WriteBackArrival::Update};
}
CacheConfig default_l2() { return lower_default("L2", 256 << 10, 8, 12, 0.13F); }
CacheConfig default_llc() { return lower_default("LLC", 2 << 20, 16, 30, 0.35F); }

/// Reads the `tlb` section, or a file of assets/cache/tlb.
class TlbSectionReader {
 public:
  TlbSectionReader(YamlReader& yaml, Draft& draft) : yaml_(yaml), geometry_(yaml), draft_(draft) {}

  void read(const YAML::Node& node) {
    static const Keys kKeys{"extends",      "description",     "instruction", "data",
                            "second-level", "page-walk-cache", "nested",      "address-space-tags"};
    if (!yaml_.is_mapping(node, "'tlb'", kKeys)) return;
    yaml_.read(node, "description", draft_.description);
    TranslationCachesConfig& tlbs = started();
    GeometryReader::section(node, "data",
                            [&](const YAML::Node& list) { geometry_.read_first_level(list, tlbs.data, "L1 DTLB"); });
    GeometryReader::section(node, "instruction", [&](const YAML::Node& list) {
      geometry_.read_first_level(list, tlbs.instruction, "L1 ITLB");
      draft_.instruction_tlbs = true;
    });
    GeometryReader::section(node, "second-level", [&](const YAML::Node& tlb) {
      geometry_.read_optional_tlb(tlb, tlbs.second_level, "L2 TLB");
    });
    GeometryReader::section(node, "page-walk-cache", [&](const YAML::Node& entries) {
      geometry_.read_entries(entries, "the page-walk cache", tlbs.walk_cache_entries, tlbs.walk_cache_latency);
    });
    GeometryReader::section(node, "nested", [&](const YAML::Node& entries) {
      geometry_.read_entries(entries, "the nested TLB", tlbs.nested_entries, tlbs.nested_latency);
    });
    yaml_.read(node, "address-space-tags", draft_.config.address_space_tags);
    if (tlbs.data.empty() && !yaml_.failed())
      yaml_.fail(node, "there is no TLB for data", "describe it under 'data', or extend a built-in one");
    if (!yaml_.failed()) geometry_.judge(node, problem_of(tlbs));
  }

  TranslationCachesConfig& started() {
    if (!draft_.config.translation) draft_.config.translation.emplace();
    return *draft_.config.translation;
  }

 private:
  YamlReader& yaml_;
  GeometryReader geometry_;
  Draft& draft_;
};

Status read_tlb_file(const std::string& name, Draft& draft) {
  Result<std::vector<DescriptionLayer>> layers = read_description(tlb_configs(), name);
  if (!layers) return layers.error();
  for (const DescriptionLayer& layer : layers.value()) {
    YamlReader yaml(layer.file);
    for (const YAML::Node& document : yaml.load(layer.text)) TlbSectionReader(yaml, draft).read(document);
    if (yaml.failed()) return yaml.diagnostics().front();
  }
  return Done{};
}

/// Fills a Draft from one YAML document; what the document does not name stays as it was.
class StudyReader {
 public:
  StudyReader(YamlReader& yaml, Draft& draft) : yaml_(yaml), geometry_(yaml), draft_(draft), config_(draft.config) {}

  void read(const YAML::Node& document) {
    static const Keys kKeys{"extends", "description", "seed",          "l1i",      "l1d",    "l2",
                            "llc",     "memory",      "tlb",           "seesaw",   "energy", "timing",
                            "pages",   "walk",        "line-crossing", "coherence"};
    if (!yaml_.is_mapping(document, "a cache configuration", kKeys)) return;
    std::string description;
    read_seed(document);
    read_levels(document);
    section(document, "memory", &StudyReader::read_memory);
    section(document, "tlb", &StudyReader::read_tlb);
    section(document, "seesaw", &StudyReader::read_seesaw);
    section(document, "energy", &StudyReader::read_energy);
    section(document, "timing", &StudyReader::read_timing);
    section(document, "pages", &StudyReader::read_pages);
    section(document, "walk", &StudyReader::read_walk);
    section(document, "coherence", &StudyReader::read_coherence);
    static const Keys kCrossings{"one-reference", "each-line"};
    yaml_.read_choice(document, "line-crossing", kCrossings, config_.line_crossing);
    yaml_.read(document, "description", draft_.description);
  }

 private:
  void section(const YAML::Node& mapping, const char* key, void (StudyReader::*reader)(const YAML::Node&)) {
    if (const YAML::Node node = mapping[key]; node.IsDefined()) (this->*reader)(node);
  }

  void read_seed(const YAML::Node& document) {
    if (!yaml_.read(document, "seed", config_.caches.seed, 1)) return;
    config_.pages.seed = config_.caches.seed;
  }

  // --- caches

  void read_levels(const YAML::Node& document) {
    read_first_level(document["l1i"], "L1I", config_.has_l1i, config_.caches.l1i, draft_.l1i_organised);
    read_first_level(document["l1d"], "L1D", config_.has_l1d, config_.caches.l1d, draft_.l1d_organised);
    read_lower_level(document["l2"], default_l2(), config_.caches.l2);
    read_lower_level(document["llc"], default_llc(), config_.caches.last_level);
  }

  void read_first_level(const YAML::Node& node, const char* name, bool& present, CacheConfig& cache, bool& organised) {
    if (!node.IsDefined()) return;
    if (node.IsNull()) {  // "l1i: ~": there is none
      present = false;
      return;
    }
    if (!present) cache = CacheConfig{.name = name};
    present = true;
    if (node.IsMap() && node["organisation"].IsDefined()) organised = true;
    geometry_.read_cache(node, cache);
  }

  void read_lower_level(const YAML::Node& node, const CacheConfig& first, std::optional<CacheConfig>& cache) {
    if (!node.IsDefined()) return;
    if (!cache && !node.IsNull()) cache = first;
    geometry_.read_optional_cache(node, first.name.c_str(), cache);
  }

  void read_memory(const YAML::Node& node) {
    static const Keys kKeys{"latency", "energy"};
    if (!yaml_.is_mapping(node, "'memory'", kKeys)) return;
    yaml_.read(node, "latency", config_.caches.memory_latency, 0, GeometryReader::kMostCycles);
    yaml_.read(node, "energy", config_.caches.memory_energy);
  }

  void read_seesaw(const YAML::Node& node) {
    static const Keys kKeys{"partition-latency", "partition-energy", "insertion",     "tft",
                            "scheduler",         "hit-path",         "replay-penalty"};
    static const Keys kInsertions{"4way", "4way-8way"};
    static const Keys kSchedulers{"always-fast", "always-slow", "quarter"};
    if (!yaml_.is_mapping(node, "'seesaw'", kKeys)) return;
    CacheConfig& l1d = config_.caches.l1d;
    yaml_.read(node, "partition-latency", l1d.fast_latency, 0, GeometryReader::kMostCycles);
    yaml_.read(node, "partition-energy", l1d.partition_energy);
    yaml_.read_choice(node, "insertion", kInsertions, l1d.insertion);
    yaml_.read_choice(node, "scheduler", kSchedulers, config_.caches.scheduler);
    yaml_.read(node, "hit-path", config_.caches.tft.enabled);
    yaml_.read(node, "replay-penalty", config_.timing.replay_penalty, 0, GeometryReader::kMostCycles);
    section(node, "tft", &StudyReader::read_tft);
  }

  void read_tft(const YAML::Node& node) {
    static const Keys kKeys{"entries", "tag-bits", "tagged", "fill-on-miss"};
    if (!yaml_.is_mapping(node, "'tft'", kKeys)) return;
    TranslationFilterTableConfig& tft = config_.caches.tft;
    yaml_.read(node, "entries", tft.entries, 1, 65535);
    yaml_.read(node, "tag-bits", tft.tag_bits, 1, TranslationFilterTableConfig::kRegionBits);
    yaml_.read(node, "tagged", tft.tagged);
    yaml_.read(node, "fill-on-miss", tft.fill_on_miss);
  }

  // --- translation

  void read_tlb(const YAML::Node& node) {
    if (node.IsNull()) {  // "tlb: ~": addresses are physical
      config_.translation.reset();
      draft_.instruction_tlbs = false;
      return;
    }
    if (node.IsScalar()) return read_named_tlb(node, node.Scalar());
    if (node.IsMap() && node["extends"].IsDefined()) {
      const auto name = yaml_.scalar(node["extends"], "'extends'");
      if (!name) return;
      read_named_tlb(node["extends"], *name);
    }
    TlbSectionReader(yaml_, draft_).read(node);
  }

  void read_named_tlb(const YAML::Node& node, const std::string& name) {
    config_.translation.reset();
    draft_.instruction_tlbs = false;
    const std::string description = draft_.description;
    if (const Status status = read_tlb_file(name, draft_); !status) {
      const Diagnostic& error = status.error();
      if (error.file.empty())
        yaml_.fail(node, error.message, error.remedy);
      else
        yaml_.fail(node, "the TLB configuration is wrong: " + error.text(), "mend that file");
    }
    draft_.description = description;
  }

  void read_pages(const YAML::Node& node) {
    static const Keys kKeys{"base", "superpages", "fragmentation", "ranges", "physical-bits", "seed"};
    if (!yaml_.is_mapping(node, "'pages'", kKeys)) return;
    PageMapConfig& pages = config_.pages;
    read_page_size(node, "base", pages.base_page);
    yaml_.read(node, "superpages", pages.superpage_share, 1);
    yaml_.read(node, "fragmentation", pages.fragmentation, 1);
    yaml_.read(node, "physical-bits", pages.physical_address_bits, 1, 64);
    yaml_.read(node, "seed", pages.seed, 1);
    section(node, "ranges", &StudyReader::read_ranges);
    if (!yaml_.failed()) geometry_.judge(node, problem_of(pages));
  }

  void read_page_size(const YAML::Node& mapping, const char* key, PageSize& size) {
    const YAML::Node node = mapping[key];
    if (!node.IsDefined()) return;
    if (const auto read = node.IsScalar() ? parse_page_size(node.Scalar()) : std::nullopt)
      size = *read;
    else
      yaml_.fail(node, "this is no page size", "one of 4K, 16K, 64K, 2M, 1G");
  }

  void read_ranges(const YAML::Node& node) {
    static const Keys kKeys{"superpages", "base"};
    if (!yaml_.is_mapping(node, "'ranges'", kKeys)) return;
    read_range_list(node["superpages"], config_.pages.superpages);
    read_range_list(node["base"], config_.pages.base_pages);
  }

  void read_range_list(const YAML::Node& list, std::vector<PageMapConfig::Range>& ranges) {
    if (!list.IsDefined() || !yaml_.is_list(list, "ranges")) return;
    ranges.clear();
    for (const YAML::Node& node : list) {
      std::array<std::optional<std::uint64_t>, 2> ends;
      const bool pair = node.IsSequence() && node.size() == 2;
      for (std::size_t i = 0; pair && i < 2; ++i) {
        if (node[i].IsScalar()) ends[i] = parse_number(node[i].Scalar());
      }
      if (ends[0] && ends[1])
        ranges.push_back({{*ends[0]}, {*ends[1]}});
      else
        yaml_.fail(node, "a range is a first and a last address", "for example [0x400000, 0x7fffff]");
    }
  }

  void read_walk(const YAML::Node& node) {
    static const Keys kKeys{"stages", "nested-page"};
    if (!yaml_.is_mapping(node, "'walk'", kKeys)) return;
    unsigned stages = config_.walk.two_stage ? 2 : 1;
    yaml_.read(node, "stages", stages, 1, 2);
    config_.walk.two_stage = stages == 2;
    read_page_size(node, "nested-page", config_.walk.nested_page);
  }

  // --- several cores

  void read_coherence(const YAML::Node& node) {
    static const Keys kKeys{"cores", "protocol", "message-latency"};
    static const Keys kProtocols{"directory", "snoopy"};
    if (node.IsNull()) return config_.coherence.reset();  // "coherence: ~": one core
    if (!yaml_.is_mapping(node, "'coherence'", kKeys)) return;
    if (!config_.coherence) config_.coherence.emplace();
    CoherenceSettings& coherence = *config_.coherence;
    yaml_.read(node, "cores", coherence.cores, 1, kMostCores);
    yaml_.read_choice(node, "protocol", kProtocols, coherence.protocol);
    yaml_.read(node, "message-latency", coherence.message_latency, 0, GeometryReader::kMostCycles);
    draft_.coherence_place = {{}, yaml_.line_of(node), yaml_.column_of(node), {}, {}};
  }

  // --- energy and time

  void read_energy(const YAML::Node& node) {
    static const Keys kKeys{"tft", "l1-tlb", "l2-tlb", "leakage"};
    if (!yaml_.is_mapping(node, "'energy'", kKeys)) return;
    EnergyConfig& energy = config_.energy;
    yaml_.read(node, "tft", energy.tft);
    yaml_.read(node, "l1-tlb", energy.l1_tlb);
    yaml_.read(node, "l2-tlb", energy.l2_tlb);
    section(node, "leakage", &StudyReader::read_leakage);
  }

  void read_leakage(const YAML::Node& node) {
    static const Keys kKeys{"l1i", "l1d", "l2", "llc", "memory"};
    if (!yaml_.is_mapping(node, "'leakage'", kKeys)) return;
    EnergyConfig& energy = config_.energy;
    yaml_.read(node, "l1i", energy.l1i_leakage_mw);
    yaml_.read(node, "l1d", energy.l1d_leakage_mw);
    yaml_.read(node, "l2", energy.l2_leakage_mw);
    yaml_.read(node, "llc", energy.llc_leakage_mw);
    yaml_.read(node, "memory", energy.memory_leakage_mw);
  }

  void read_timing(const YAML::Node& node) {
    static const Keys kKeys{"core",          "frequency",  "base-cycles", "instructions-per-reference",
                            "load-exposure", "saturation", "window",      "miss-overlap"};
    static const Keys kCores{"in-order", "out-of-order"};
    if (!yaml_.is_mapping(node, "'timing'", kKeys)) return;
    TimingConfig& timing = config_.timing;
    CoreModel core = timing.core;
    if (yaml_.read_choice(node, "core", kCores, core)) timing = with_core(timing, core);
    yaml_.read(node, "frequency", timing.frequency_ghz);
    yaml_.read(node, "base-cycles", timing.base_cycles_per_instruction);
    yaml_.read(node, "instructions-per-reference", timing.instructions_per_reference);
    yaml_.read(node, "load-exposure", timing.load_exposure, 1);
    yaml_.read(node, "saturation", timing.saturation_cycles);
    yaml_.read(node, "window", timing.window_cycles);
    yaml_.read(node, "miss-overlap", timing.miss_overlap);
    if (!yaml_.failed()) geometry_.judge(node, problem_of(timing));
  }

  YamlReader& yaml_;
  GeometryReader geometry_;
  Draft& draft_;
  SimulationConfig& config_;
};

Status apply(const DescriptionLayer& layer, Draft& draft) {
  YamlReader yaml(layer.file);
  for (const YAML::Node& document : yaml.load(layer.text)) {
    if (!document.IsNull()) StudyReader(yaml, draft).read(document);
  }
  if (yaml.failed()) return yaml.diagnostics().front();
  if (draft.coherence_place.file.empty()) draft.coherence_place.file = layer.file;
  return Done{};
}

/// A cache that nobody organises is virtually indexed where that needs no care.
void organise(CacheConfig& cache, bool organised) {
  if (organised) return;
  cache.organisation = cache.size / cache.ways <= kFrameBytes ? CacheOrganisation::Vipt : CacheOrganisation::Pipt;
}

Draft fresh_draft() {
  Draft draft;
  draft.config.has_l1i = draft.config.has_l1d = false;
  draft.config.timing = default_timing(CoreModel::OutOfOrder);
  draft.config.caches.scheduler = SchedulerPolicy::QuarterRule;
  return draft;
}

/// At the section that asks for several cores, whichever layers describe their caches. No message where they fit.
Diagnostic problem_of_cores(const Draft& draft) {
  Diagnostic diagnostic = draft.coherence_place;
  SimulationConfig one_core = draft.config;
  one_core.coherence.reset();
  if (!draft.config.coherence || !problem_of(one_core).empty()) return diagnostic;
  diagnostic.message = problem_of_several_cores(draft.config);
  diagnostic.remedy = "change the caches ('l2: ~' leaves l2 out), or leave 'coherence' out to simulate one core";
  return diagnostic;
}

Result<Draft> joined(const Result<std::vector<DescriptionLayer>>& layers) {
  if (!layers) return layers.error();
  Draft draft = fresh_draft();
  for (const DescriptionLayer& layer : layers.value()) {
    if (Status status = apply(layer, draft); !status) return status.error();
  }
  SimulationConfig& config = draft.config;
  // One that is absent must not be in the way of the others' line size.
  if (!config.has_l1i) config.caches.l1i = CacheConfig{.name = "L1I", .line = config.caches.l1d.line};
  if (!config.has_l1d) config.caches.l1d = CacheConfig{.name = "L1D", .line = config.caches.l1i.line};
  organise(config.caches.l1i, draft.l1i_organised);
  organise(config.caches.l1d, draft.l1d_organised);
  if (config.translation) {
    config.translation->seed = config.caches.seed;
    if (!draft.instruction_tlbs) config.translation->instruction = config.translation->data;
  }
  if (const Diagnostic problem = problem_of_cores(draft); !problem.message.empty()) return problem;
  if (const std::string problem = problem_of(config); !problem.empty())
    return Diagnostic{layers.value().back().file, 0, 0, problem, "change the configuration so that its parts agree"};
  return draft;
}

Result<SimulationConfig> config_of(Result<Draft> draft) {
  if (!draft) return draft.error();
  return std::move(draft.value().config);
}

}  // namespace

Result<SimulationConfig> parse_study_config(const std::string& yaml, const std::string& file) {
  return config_of(joined(read_description(study_configs(), DescriptionLayer{file, yaml})));
}

Result<SimulationConfig> load_study_config(const std::string& name_or_path) {
  return config_of(joined(read_description(study_configs(), name_or_path)));
}

std::vector<BuiltInStudyConfig> built_in_study_configs() {
  std::vector<BuiltInStudyConfig> all;
  for (const std::string& name : built_in_descriptions(study_configs())) {
    const Result<Draft> draft = joined(read_description(study_configs(), name));
    all.push_back({name, draft ? draft.value().description : draft.error().text()});
  }
  return all;
}

std::vector<BuiltInStudyConfig> built_in_tlbs() {
  std::vector<BuiltInStudyConfig> all;
  for (const std::string& name : built_in_descriptions(tlb_configs())) {
    Draft draft;
    const Status status = read_tlb_file(name, draft);
    all.push_back({name, status ? draft.description : status.error().text()});
  }
  return all;
}

}  // namespace shearling
