// SPDX-License-Identifier: GPL-3.0-or-later
//
// The stand-alone simulator: a stream of references through page map, TLBs, page-table walk, caches, timing and energy,
// to one report. The same TLBs and caches as the machine's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/simulation/energy.h"
#include "cache-sim/simulation/timing.h"
#include "cache-sim/streams/page_map.h"
#include "cache-sim/streams/reference_stream.h"
#include "cache-sim/translation_caches.h"

namespace shearling {

/// How a reference that crosses a line boundary counts.
enum class LineCrossing : std::uint8_t {
  OneReference,  ///< One access, and one miss if any of its lines missed (as cachegrind and Dinero do).
  EachLine,      ///< An access to each line (as hardware does).
};

/// One level's counts, as `shearling cache` prints them. References of the page-table walker are counted apart.
struct LevelReport {
  std::string name;
  std::uint64_t accesses = 0, reads = 0, writes = 0, misses = 0, read_misses = 0, write_misses = 0, ways_probed = 0;
  std::uint64_t write_backs = 0, walk_accesses = 0, walk_misses = 0;
  double energy = 0;  ///< nJ, dynamic.
};

/// Page-table walks of the simulator: a radix tree of 512 entries a table, in a physical area of its own.
struct WalkConfig {
  bool two_stage = false;                   ///< A second stage under the first (nested paging): up to 24 references.
  PageSize nested_page = PageSize::Size4K;  ///< Leaf of the second stage.
};

struct SimulationConfig {
  /// Without translation (no `tlb` section) virtual and physical addresses are the same, and nothing walks.
  std::optional<TranslationCachesConfig> translation;
  WalkConfig walk;
  CacheHierarchyConfig caches;
  PageMapConfig pages;
  LineCrossing line_crossing = LineCrossing::OneReference;
  TimingConfig timing;
  EnergyConfig energy;
};
/// Why it cannot be simulated, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const SimulationConfig& config);

/// References of one page size (superpages: 2 MB and 1 GB) and one case of the paper's Table I.
struct CaseReport {
  std::uint64_t accesses = 0, misses = 0, ways_probed = 0;
  std::uint64_t latency_cycles = 0;  ///< Sum of L1 lookup latencies.
};

struct SimulationReport {
  std::uint64_t references = 0, instructions = 0;  ///< Instructions: fetch records, or data references where none.
  std::vector<LevelReport> levels;                 ///< "l1i", "l1d", "l2", "llc": those there are, in this order.
  struct TlbReport {
    std::string name;
    std::uint64_t lookups = 0, hits = 0;
  };
  std::vector<TlbReport> tlbs;
  std::uint64_t walks = 0, walk_references = 0, walk_skipped = 0;
  CaseReport superpage_data, base_page_data;  ///< L1D, walker apart.
  /// Table I; zero unless L1D is SEESAW.
  CaseReport tft_hit_l1_hit, tft_hit_l1_miss, tft_miss_l1_hit, tft_miss_l1_miss, base_page;
  std::uint64_t probes = 0, probe_hits = 0, probe_ways = 0;  ///< Coherence, on L1D.
  std::uint64_t replays = 0;                                 ///< Scheduler: assumed fast, was slow.
  std::uint64_t way_predictions = 0, way_mispredictions = 0;
  std::uint64_t homonym_errors = 0, synonym_errors = 0;  ///< Wrong or stale data served; only where handling is off.
  double cycles = 0;                                     ///< By the timing model.
  struct Energy {                                        ///< nJ
    double l1i = 0, l1d = 0, l1d_coherence = 0, tft = 0, tlb = 0, l2 = 0, llc = 0, memory = 0, leakage = 0;
    [[nodiscard]] double total() const { return l1i + l1d + l1d_coherence + tft + tlb + l2 + llc + memory + leakage; }
  } energy;
};

/// Deterministic: the same configuration and stream give the same report, bit for bit.
class Simulation {
 public:
  /// `config` has no problem_of().
  explicit Simulation(SimulationConfig config);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  void take(const ReferenceRecord& record);
  /// Takes records until the stream ends, `most` were taken (0: all), or `go_on(taken)` says no; it is asked every few
  /// thousand records. Returns the number taken; stream.error() says whether it ended well.
  std::uint64_t run(ReferenceStream& stream, std::uint64_t most = 0,
                    const std::function<bool(std::uint64_t taken)>& go_on = {});
  [[nodiscard]] SimulationReport report() const;
  [[nodiscard]] const SimulationConfig& config() const;
  [[nodiscard]] const CacheHierarchy& caches() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shearling
