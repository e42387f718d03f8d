// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/study_point.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/base/assert.h"

namespace shearling {

namespace {

constexpr std::uint64_t kKilobyte = 1024;
constexpr unsigned kTlbWays = 4;

struct NamedDesign {
  std::string_view name;
  StudyDesign design;
};
constexpr std::array kDesigns{NamedDesign{"VIPT", StudyDesign::Vipt},
                              NamedDesign{"SEESAW", StudyDesign::Seesaw},
                              NamedDesign{"coherence", StudyDesign::Seesaw},
                              NamedDesign{"4way insertion", StudyDesign::Seesaw},
                              NamedDesign{"4way-8way insertion", StudyDesign::SeesawWholeInsertion},
                              NamedDesign{"way prediction", StudyDesign::WayPrediction},
                              NamedDesign{"both", StudyDesign::SeesawWayPrediction},
                              NamedDesign{"others", StudyDesign::BestOther},
                              NamedDesign{"plain", StudyDesign::Plain},
                              NamedDesign{"footprint", StudyDesign::Footprint}};

/// A label that is a number with words around it.
struct NumberedLabel {
  std::string_view before, after;
  void (*apply)(double number, StudyPoint& point);
};
constexpr std::array kNumberedLabels{
    NumberedLabel{"", " KB", [](double n, StudyPoint& p) { p.size = static_cast<std::uint64_t>(n) * kKilobyte; }},
    NumberedLabel{"", " GHz", [](double n, StudyPoint& p) { p.ghz = n; }},
    NumberedLabel{"memhog ", " %", [](double n, StudyPoint& p) { p.memhog = static_cast<unsigned>(n); }},
    NumberedLabel{"", " entries", [](double n, StudyPoint& p) { p.tft_entries = static_cast<unsigned>(n); }},
    NumberedLabel{"", " way", [](double n, StudyPoint& p) { p.ways = static_cast<unsigned>(n); }},
    NumberedLabel{"", " ways", [](double n, StudyPoint& p) { p.ways = static_cast<unsigned>(n); }},
    NumberedLabel{"", " probes", [](double n, StudyPoint& p) { p.probes = n; }},
    NumberedLabel{"below L1 x ", "", [](double n, StudyPoint& p) { p.below_l1 = n; }},
};

bool apply_numbered(std::string_view label, StudyPoint& point) {
  for (const NumberedLabel& one : kNumberedLabels) {
    if (!label.starts_with(one.before) || !label.ends_with(one.after)) continue;
    const std::string_view digits =
        label.substr(one.before.size(), label.size() - one.before.size() - one.after.size());
    double number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size()) continue;
    one.apply(number, point);
    return true;
  }
  return false;
}

unsigned cycles(double ns, double ghz) { return static_cast<unsigned>(std::ceil(ns * ghz - 1e-9)); }

// --- the parts of a configuration ------------------------------------------------------------------------------------

const StudyInputs::Core& core_of(const StudyPoint& point, const StudyInputs& inputs) {
  return point.core == CoreModel::InOrder ? inputs.in_order : inputs.out_of_order;
}

/// Four ways, or all entries where there are fewer.
TlbGeometry tlb(const char* name, unsigned entries, std::vector<PageSize> sizes, unsigned latency) {
  return {.name = name,
          .entries = entries,
          .ways = std::min(kTlbWays, entries),
          .page_sizes = std::move(sizes),
          .latency = latency,
          .replacement = ReplacementKind::Lru};
}

TranslationCachesConfig translation_of(const StudyPoint& point, const StudySetup& setup) {
  const StudyInputs& inputs = setup.inputs;
  const bool in_order = (point.core == CoreModel::InOrder) != setup.swapped_tlbs;
  const StudyInputs::Tlbs& tlbs = (in_order ? inputs.in_order : inputs.out_of_order).tlbs;
  const bool pipt = point.design == StudyDesign::Pipt;
  const StudyInputs::PiptTlb share =
      pipt ? inputs.pipt_tlbs.at(point.pipt_tlb) : StudyInputs::PiptTlb{1, inputs.machine.l1_tlb_ns};
  const auto entries = [&](unsigned all) { return std::max(kTlbWays, static_cast<unsigned>(all * share.share)); };
  // Beside the lookup of a virtually indexed cache the TLB takes no time of its own.
  const unsigned latency = pipt ? cycles(share.ns, point.ghz) : 1;
  TranslationCachesConfig config;
  config.instruction = {tlb("L1 ITLB", entries(tlbs.base), {PageSize::Size4K}, 1)};
  config.data = {tlb("L1 DTLB 4K", entries(tlbs.base), {PageSize::Size4K}, latency),
                 tlb("L1 DTLB 2M", entries(tlbs.superpage), {PageSize::Size2M}, latency)};
  config.second_level =
      tlb("L2 TLB", tlbs.second, {PageSize::Size4K, PageSize::Size2M}, cycles(inputs.machine.l2_tlb_ns, point.ghz));
  return config;
}

bool is_seesaw(StudyDesign design) {
  return design == StudyDesign::Seesaw || design == StudyDesign::SeesawWholeInsertion ||
         design == StudyDesign::SeesawWayPrediction;
}

/// Table III's row; for Figure 14 the row that has as many ways.
unsigned lookup_cycles(const StudyPoint& point, const StudyInputs& inputs) {
  const bool as_partition = point.design == StudyDesign::Pipt && point.ways == Cache::kPartitionWays;
  const std::uint64_t size =
      point.design == StudyDesign::Pipt && !as_partition ? std::uint64_t{point.ways} << 12 : point.size;
  const auto row = inputs.latency(size, point.ghz);
  SHEARLING_ASSERT(row.has_value(), "a figure asks for a size or a frequency that Table III has not");
  return as_partition ? row->partition : row->all_ways;
}

CacheConfig l1d_of(const StudyPoint& point, const StudyInputs& inputs) {
  CacheConfig l1d{.name = "L1D", .size = point.size, .ways = point.way_count()};
  if (point.design == StudyDesign::Plain) {
    l1d.organisation = CacheOrganisation::Pipt;
    return l1d;
  }
  const auto array = inputs.array(point.size, point.way_count());
  const auto reference = inputs.array(32 * kKilobyte, 8);
  SHEARLING_ASSERT(array && reference, "a figure asks for an array that CACTI was not asked for");
  l1d.organisation = is_seesaw(point.design)             ? CacheOrganisation::Seesaw
                     : point.design == StudyDesign::Pipt ? CacheOrganisation::Pipt
                                                         : CacheOrganisation::Vipt;
  l1d.latency = lookup_cycles(point, inputs);
  l1d.energy = static_cast<float>(array->energy);
  l1d.way_prediction = point.design == StudyDesign::WayPrediction || point.design == StudyDesign::SeesawWayPrediction;
  l1d.way_energy = static_cast<float>(array->energy / l1d.ways);
  if (!is_seesaw(point.design)) return l1d;
  const double partition = (1 - inputs.partition_saving) * reference->energy;
  l1d.fast_latency = inputs.latency(point.size, point.ghz)->partition;
  l1d.partition_energy = static_cast<float>(partition);
  l1d.way_energy = static_cast<float>(partition / Cache::kPartitionWays);
  if (point.design == StudyDesign::SeesawWholeInsertion) l1d.insertion = InsertionPolicy::PartitionOrWhole;
  return l1d;
}

CacheHierarchyConfig caches_of(const StudyPoint& point, const StudyInputs& inputs) {
  const StudyInputs::Machine& machine = inputs.machine;
  CacheHierarchyConfig caches;
  caches.l1d = l1d_of(point, inputs);
  caches.tft.entries = point.tft_entries;
  caches.memory_latency = cycles(machine.memory_ns, point.ghz);
  caches.memory_energy = static_cast<float>(machine.memory_energy);
  if (point.design == StudyDesign::Plain) return caches;  // what is below does not change what misses
  caches.last_level = CacheConfig{.name = "LLC",
                                  .size = machine.llc_size,
                                  .ways = machine.llc_ways,
                                  .organisation = CacheOrganisation::Pipt,
                                  .latency = cycles(machine.llc_ns, point.ghz),
                                  .energy = static_cast<float>(machine.llc_energy)};
  return caches;
}

TimingConfig timing_of(const StudyPoint& point, const StudyInputs& inputs) {
  const StudyInputs::Core& core = core_of(point, inputs);
  TimingConfig timing = default_timing(point.core);
  timing.frequency_ghz = point.ghz;
  timing.base_cycles_per_instruction = core.base_cycles;
  timing.instructions_per_reference = inputs.instructions_per_reference;
  timing.load_exposure = core.load_exposure;
  timing.window_cycles = core.window_cycles;
  timing.miss_overlap = core.miss_overlap;
  return timing;
}

}  // namespace

StudyPoint StudyPoint::with(StudyDesign other) const {
  StudyPoint point = *this;
  point.design = other;
  if (other == StudyDesign::Vipt) point.ways = 0;  // whatever the design compared with it has
  return point;
}

std::string StudyPoint::stream() const {
  // No instruction stream: the L1I has no part in SEESAW.
  std::string text = "synthetic:" + workload + ",fetches=0,count=1000000000,memhog=" + std::to_string(memhog);
  if (probes) text += ",probes=" + std::to_string(*probes);
  return text;
}

std::string StudyPoint::run_key() const {
  std::string key = stream() + "|" + std::to_string(static_cast<int>(design));
  if (design == StudyDesign::Footprint) return key;
  key += "|" + std::to_string(size) + "|" + std::to_string(way_count());
  if (design == StudyDesign::Plain) return key;
  key += "|" + std::to_string(static_cast<int>(core)) + "|" + std::to_string(ghz);
  if (is_seesaw(design)) key += "|" + std::to_string(tft_entries) + (fill_on_miss ? "m" : "");
  if (design == StudyDesign::Pipt) key += "|" + std::to_string(pipt_tlb);
  return key;
}

LabelKind apply_label(std::string_view label, StudyPoint& point) {
  if (label == "mean") return LabelKind::Mean;
  if (label == "in-order" || label == "out-of-order") {
    point.core = label == "in-order" ? CoreModel::InOrder : CoreModel::OutOfOrder;
    return LabelKind::Setting;
  }
  if (label == "filled with the TLB" || label == "filled on every miss") {
    point.fill_on_miss = label == "filled on every miss";
    return LabelKind::Setting;
  }
  for (const NamedDesign& one : kDesigns) {
    if (one.name != label) continue;
    point.design = one.design;
    return LabelKind::Setting;
  }
  if (apply_numbered(label, point)) return LabelKind::Setting;
  const auto& workloads = study_workloads();
  if (std::find(workloads.begin(), workloads.end(), label) == workloads.end()) return LabelKind::Unknown;
  point.workload = label;
  return LabelKind::Workload;
}

const std::vector<std::string>& study_workloads() {
  static const std::vector<std::string> kWorkloads{"astar", "cactus", "cann",  "gems", "g500", "gups",
                                                   "mcf",   "mumm",   "omnet", "tigr", "tunk", "xalanc",
                                                   "nutch", "olio",   "redis", "mongo"};
  return kWorkloads;
}

SimulationConfig configuration_of(const StudyPoint& point, const StudySetup& setup, const PageMapConfig& pages) {
  const StudyInputs& inputs = setup.inputs;
  SimulationConfig config;
  config.caches = caches_of(point, inputs);
  config.timing = timing_of(point, inputs);
  config.pages = pages;
  config.caches.tft.fill_on_miss = point.fill_on_miss || setup.fill_on_miss;
  if (point.design == StudyDesign::Plain) return config;
  config.translation = translation_of(point, setup);
  config.energy.llc_leakage_mw = inputs.machine.llc_leakage;
  config.energy.memory_leakage_mw = inputs.machine.memory_leakage;
  if (const auto leakage = inputs.leakage.find(point.size); leakage != inputs.leakage.end())
    config.energy.l1d_leakage_mw = leakage->second;
  return config;
}

}  // namespace shearling
