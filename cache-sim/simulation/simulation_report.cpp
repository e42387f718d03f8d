// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/simulation_report.h"

#include <numeric>

namespace shearling {

namespace {

std::uint64_t slowest(const std::vector<TlbGeometry>& tlbs) {
  std::uint64_t latency = 0;
  for (const TlbGeometry& tlb : tlbs) latency = std::max<std::uint64_t>(latency, tlb.latency);
  return latency;
}

class ReportBuilder {
 public:
  explicit ReportBuilder(const Counted& counted)
      : config_(counted.config),
        caches_(counted.caches),
        fetch_(counted.fetch),
        data_(counted.data),
        counts_(counted.counts),
        tlb_latency_(config_.translation ? slowest(config_.translation->data) : 0) {}

  SimulationReport build() {
    count_references();
    add_levels();
    add_tlbs();
    add_cases();
    add_events();
    add_cycles();
    add_energy();
    return std::move(report_);
  }

 private:
  void count_references() {
    const std::uint64_t fetches = fetch_.references() + fetch_.elsewhere;
    const std::uint64_t data = data_.references() + data_.elsewhere;
    report_.references = fetches + data;
    report_.instructions = fetches;
    if (fetches != 0) return;
    report_.instructions =
        static_cast<std::uint64_t>(static_cast<double>(data) * config_.timing.instructions_per_reference);
  }

  // --- caches

  void add_levels() {
    if (config_.has_l1i) report_.levels.push_back(first_level("l1i", fetch_, *caches_.l1i));
    if (config_.has_l1d) {
      report_.levels.push_back(first_level("l1d", data_, *caches_.l1d));
      add_walks(report_.levels.back(), 0);
    }
    std::size_t depth = 0;
    if (caches_.l2 != nullptr) report_.levels.push_back(lower_level("l2", depth++, *caches_.l2));
    if (caches_.last_level != nullptr) report_.levels.push_back(lower_level("llc", depth++, *caches_.last_level));
  }

  static LevelReport first_level(const char* name, const SideCounts& side, const Cache& cache) {
    LevelReport level = with_cache(name, cache);
    side.each([&](const ReferenceClass& what, const ReferenceTally& tally) {
      (what.write ? level.writes : level.reads) += tally.accesses;
      if (!what.hit) (what.write ? level.write_misses : level.read_misses) += tally.accesses;
      level.ways_probed += tally.ways;
    });
    return summed(level);
  }

  [[nodiscard]] LevelReport lower_level(const char* name, std::size_t depth, const Cache& cache) const {
    const LowerCounts& lower = counts_.lower[depth];
    LevelReport level = with_cache(name, cache);
    level.reads = lower.accesses[0];
    level.writes = lower.accesses[1];
    level.read_misses = lower.misses[0];
    level.write_misses = lower.misses[1];
    level.ways_probed = lower.lookups * cache.config().ways;
    add_walks(level, depth + 1);
    return summed(level);
  }

  static LevelReport with_cache(const char* name, const Cache& cache) {
    const CacheCounters counters = cache.counters();
    LevelReport level;
    level.name = name;
    level.write_backs = counters.write_backs;
    level.energy = counters.energy;
    return level;
  }

  static LevelReport summed(LevelReport level) {
    level.accesses = level.reads + level.writes;
    level.misses = level.read_misses + level.write_misses;
    return level;
  }

  void add_walks(LevelReport& level, std::size_t depth) const {
    level.walk_accesses = counts_.walk_accesses[depth];
    level.walk_misses = counts_.walk_misses[depth];
  }

  // --- translation

  void add_tlbs() {
    if (!config_.translation) return;
    const TranslationCachesConfig& translation = *config_.translation;
    add_first_level(translation.instruction, fetch_, config_.caches.l1i.organisation);
    add_first_level(translation.data, data_, config_.caches.l1d.organisation);
    if (translation.second_level) {
      const std::uint64_t lookups = total(fetch_.tlb_misses) + total(data_.tlb_misses);
      report_.tlbs.push_back(
          {.name = translation.second_level->name, .lookups = lookups, .hits = lookups - counts_.walks});
    }
    report_.walks = counts_.walks;
    report_.walk_references = counts_.walk_references;
    report_.walk_skipped = counts_.walk_skipped;
    report_.walk_cycles = counts_.walk_cycles;
  }

  static std::uint64_t total(const CountBySize& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  }

  void add_first_level(const std::vector<TlbGeometry>& tlbs, const SideCounts& side, CacheOrganisation organisation) {
    CountBySize lookups = side.late_lookups;
    if (organisation != CacheOrganisation::Vivt) {
      lookups = side.extra_lookups;
      side.each([&](const ReferenceClass& what, const ReferenceTally& tally) {
        lookups[static_cast<std::size_t>(what.size)] += tally.accesses;
      });
    }
    for (const TlbGeometry& tlb : tlbs) {
      SimulationReport::TlbReport report{.name = tlb.name, .lookups = total(lookups)};
      for (const PageSize size : tlb.page_sizes) {
        const auto index = static_cast<std::size_t>(size);
        report.hits += lookups[index] - side.tlb_misses[index];
      }
      report_.tlbs.push_back(report);
    }
    first_level_lookups_ += total(lookups);
  }

  // --- by page size and by the paper's Table I

  void add_cases() {
    const bool seesaw = caches_.has_filter;
    data_.each([&](const ReferenceClass& what, const ReferenceTally& tally) {
      const bool superpage = is_superpage(what.size);
      add_case(superpage ? report_.superpage_data : report_.base_page_data, what, tally);
      if (seesaw) add_case(superpage ? superpage_case(what) : report_.base_page, what, tally);
    });
  }

  CaseReport& superpage_case(const ReferenceClass& what) {
    if (what.filter_hit) return what.hit ? report_.tft_hit_l1_hit : report_.tft_hit_l1_miss;
    return what.hit ? report_.tft_miss_l1_hit : report_.tft_miss_l1_miss;
  }

  void add_case(CaseReport& sum, const ReferenceClass& what, const ReferenceTally& tally) const {
    sum.accesses += tally.accesses;
    if (!what.hit) sum.misses += tally.accesses;
    sum.ways_probed += tally.ways;
    sum.latency_cycles += latency_of(tally);
  }

  /// Of all L1D lookups of a class, with the L1 TLBs' part in it. All of a class take equally long, but for way
  /// prediction and a scheduler that changes its assumption: there the mean stands for them.
  [[nodiscard]] std::uint64_t latency_of(const ReferenceTally& tally) const {
    return hit_latency(config_.caches.l1d.organisation, tlb_latency_ * tally.accesses, tally.latency);
  }

  // --- events

  void add_events() {
    report_.tft_fills = counts_.tft_fills;
    report_.memory_reads = caches_.memory.reads;
    report_.memory_writes = caches_.memory.writes;
    report_.context_switches = counts_.context_switches;
    report_.invalidations = counts_.invalidations;
    report_.splinters = counts_.splinters;
    report_.promotions = counts_.promotions;
    report_.swept_lines = counts_.swept_lines;
    const CacheCounters l1d = caches_.l1d->counters();
    report_.probes = l1d.probes;
    report_.probe_hits = l1d.probe_hits;
    report_.probe_ways = l1d.probe_ways;
    add_aliases();
    if (timing_is_out_of_order()) {
      report_.replays = caches_.replays;
      report_.assumed_slow = caches_.assumed_slow;
    }
    report_.way_predictions = l1d.way_predictions;
    report_.way_mispredictions = l1d.way_mispredictions;
  }

  void add_aliases() {
    const AliasCounters aliases = caches_.aliases;
    report_.homonym_errors = aliases.homonym_errors;
    report_.synonym_errors = aliases.synonym_errors;
  }

  [[nodiscard]] bool timing_is_out_of_order() const { return config_.timing.core == CoreModel::OutOfOrder; }

  // --- time

  void add_cycles() {
    const TimingConfig& timing = config_.timing;
    report_.base_cycles = static_cast<double>(report_.instructions) * timing.base_cycles_per_instruction;
    data_.each([&](const ReferenceClass& what, const ReferenceTally& tally) {
      if (what.write) return;
      const auto accesses = static_cast<double>(tally.accesses);
      report_.l1_cycles += exposed_l1(timing, static_cast<double>(latency_of(tally)) / accesses) * accesses;
    });
    report_.beyond_l1_cycles = counts_.beyond_l1_cycles;
    report_.replay_cycles = static_cast<double>(report_.replays) * timing.replay_penalty;
    report_.cycles = report_.base_cycles + report_.l1_cycles + report_.beyond_l1_cycles + report_.replay_cycles;
    report_.nanoseconds = report_.cycles / timing.frequency_ghz;
  }

  // --- energy

  void add_energy() {
    const EnergyConfig& costs = config_.energy;
    SimulationReport::Energy& energy = report_.energy;
    if (config_.has_l1i) energy.l1i = caches_.l1i->counters().energy;
    const CacheCounters l1d = caches_.l1d->counters();
    energy.l1d = l1d.energy + caches_.aliases.energy;
    energy.l1d_coherence = l1d.probe_energy;
    if (caches_.l2 != nullptr) energy.l2 = caches_.l2->counters().energy;
    if (caches_.last_level != nullptr) energy.llc = caches_.last_level->counters().energy;
    energy.memory =
        static_cast<double>(report_.memory_reads + report_.memory_writes) * double{config_.caches.memory_energy};
    const std::uint64_t second_lookups = config_.translation && config_.translation->second_level
                                             ? total(fetch_.tlb_misses) + total(data_.tlb_misses)
                                             : 0;
    energy.tlb =
        static_cast<double>(first_level_lookups_) * costs.l1_tlb + static_cast<double>(second_lookups) * costs.l2_tlb;
    if (caches_.has_filter) energy.tft = static_cast<double>(data_.references()) * costs.tft;
    energy.leakage = costs.leakage_mw() * report_.nanoseconds * 1e-3;
  }

  const SimulationConfig& config_;
  CachesView caches_;
  const SideCounts& fetch_;
  const SideCounts& data_;
  const SimulationCounts& counts_;
  std::uint64_t tlb_latency_;
  std::uint64_t first_level_lookups_ = 0;
  SimulationReport report_;
};

}  // namespace

CachesView view_of(const CacheHierarchy& caches) {
  return {.l1i = &caches.l1i(),
          .l1d = &caches.l1d(),
          .l2 = caches.l2(),
          .last_level = caches.last_level(),
          .memory = caches.memory_counters(),
          .aliases = caches.alias_counters(),
          .replays = caches.seesaw_counters().replays,
          .assumed_slow = caches.seesaw_counters().assumed_slow,
          .has_filter = caches.tft() != nullptr};
}

SimulationReport report_of(const Counted& counted) { return ReportBuilder(counted).build(); }

}  // namespace shearling
