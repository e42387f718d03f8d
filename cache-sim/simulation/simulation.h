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
#include "cache-sim/coherence/protocol.h"
#include "cache-sim/simulation/energy.h"
#include "cache-sim/simulation/page_walker.h"
#include "cache-sim/simulation/timing.h"
#include "cache-sim/streams/page_map.h"
#include "cache-sim/streams/reference_stream.h"
#include "cache-sim/translation_caches.h"

namespace shearling {

/// How a reference that crosses a line boundary counts.
enum class LineCrossing : std::uint8_t {
  /// One access, and at most one miss in each cache, as cachegrind has it: a reference is at most a line long, and
  /// where one of its two lines missed in L1 both are looked up in the cache below.
  OneReference,
  EachLine,  ///< An access to each line (as hardware does).
};

/// One level's counts, as `shearling cache` prints them: references of the program, reads and writes as the program did
/// them (a modification is a read, as cachegrind counts it). Those of the page-table walker are counted apart, and
/// dirty victims from above are no accesses. `ways_probed` counts every lookup of the program's: a reference that
/// crosses a line is two. Energy is that of all lookups, the walker's and the victims' included.
struct LevelReport {
  std::string name;
  std::uint64_t accesses = 0, reads = 0, writes = 0, misses = 0, read_misses = 0, write_misses = 0, ways_probed = 0;
  std::uint64_t write_backs = 0, walk_accesses = 0, walk_misses = 0;
  double energy = 0;  ///< nJ, dynamic.
};

/// Several cores in place of one: MulticoreSimulation.
struct CoherenceSettings {
  unsigned cores = 2;  ///< 1 to 128.
  CoherenceProtocol protocol = CoherenceProtocol::Directory;
  unsigned message_latency = 0;  ///< Cycles of one message on its way. 0: not modelled; the paper gives none.
};

struct SimulationConfig {
  /// Without translation (no `tlb` section) virtual and physical addresses are the same, and nothing walks.
  std::optional<TranslationCachesConfig> translation;
  /// TLB entries carry an address space (PCID, ASID). Without, a context switch flushes the TLBs.
  bool address_space_tags = true;
  WalkConfig walk;
  CacheHierarchyConfig caches;
  /// Without L1I fetches count as instructions and go nowhere; without L1D the same is true of data.
  bool has_l1i = true, has_l1d = true;
  PageMapConfig pages;
  LineCrossing line_crossing = LineCrossing::OneReference;
  TimingConfig timing;
  EnergyConfig energy;
  std::optional<CoherenceSettings> coherence;
};
/// Why it cannot be simulated, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const SimulationConfig& config);

/// References of one page size (superpages: 2 MB and 1 GB) and one case of the paper's Table I.
struct CaseReport {
  std::uint64_t accesses = 0, misses = 0, ways_probed = 0;
  std::uint64_t latency_cycles = 0;  ///< Sum of L1 lookup latencies.
};

struct SimulationReport {
  std::uint64_t references = 0;     ///< Of the program: fetches, reads, writes, modifications.
  std::uint64_t instructions = 0;   ///< Fetches; where there are none, data references x instructions_per_reference.
  std::vector<LevelReport> levels;  ///< "l1i", "l1d", "l2", "llc": those there are, in this order.
  struct TlbReport {
    std::string name;
    std::uint64_t lookups = 0, hits = 0;
  };
  std::vector<TlbReport> tlbs;  ///< Instruction, data, second level. Those of one side are looked up at the same time.
  std::uint64_t walks = 0, walk_references = 0, walk_skipped = 0;
  std::uint64_t walk_cycles = 0;              ///< Sum of the walks' latencies.
  CaseReport superpage_data, base_page_data;  ///< L1D, walker apart.
  /// Table I; zero unless L1D is SEESAW.
  CaseReport tft_hit_l1_hit, tft_hit_l1_miss, tft_miss_l1_hit, tft_miss_l1_miss, base_page;
  std::uint64_t tft_fills = 0;
  std::uint64_t memory_reads = 0, memory_writes = 0;  ///< Lines.
  std::uint64_t context_switches = 0, invalidations = 0, splinters = 0, promotions = 0;
  std::uint64_t swept_lines = 0;                             ///< That promotions evicted from L1D.
  std::uint64_t probes = 0, probe_hits = 0, probe_ways = 0;  ///< Coherence, on L1D.
  std::uint64_t replays = 0;       ///< Out-of-order: loads that the scheduler assumed fast, and were slow.
  std::uint64_t assumed_slow = 0;  ///< Fast lookups that gained no time, because the scheduler assumed slow.
  std::uint64_t way_predictions = 0, way_mispredictions = 0;
  std::uint64_t homonym_errors = 0, synonym_errors = 0;  ///< Wrong or stale data served; only where handling is off.
  double cycles = 0;                                     ///< By the timing model: the sum of the four below.
  double base_cycles = 0, l1_cycles = 0, beyond_l1_cycles = 0, replay_cycles = 0;
  double nanoseconds = 0;
  struct Energy {  ///< nJ
    double l1i = 0, l1d = 0, l1d_coherence = 0, tft = 0, tlb = 0, l2 = 0, llc = 0, memory = 0, leakage = 0;
    [[nodiscard]] double total() const { return l1i + l1d + l1d_coherence + tft + tlb + l2 + llc + memory + leakage; }
  } energy;
};

/// Deterministic: the same configuration and stream give the same report, bit for bit.
class Simulation {
 public:
  /// `config` has no problem_of(), and no `coherence`.
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
