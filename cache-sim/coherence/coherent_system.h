// SPDX-License-Identifier: GPL-3.0-or-later
//
// Several cores: 1 to 128 private first-level data caches, kept coherent by MOESI (protocol.h), above one shared
// last-level cache and memory, which together are the "home" of every line. Every probe that reaches a first-level
// cache is a lookup in that cache: its ways and energy are counted, and under SEESAW with 4way insertion it reads one
// partition (M. Parasar, A. Bhattacharjee, T. Krishna, "SEESAW: Using Superpages to Improve VIPT Caches", ISCA 2018,
// section IV-C1; MOESI directory: Table II; the snooping comparison: section VI-B).
// Left out: instruction caches, private second-level caches, TLBs and page walks (translations are given), the energy
// of the directory and of the interconnect, contention and bandwidth. Transactions are atomic: one reference ends
// before the next begins, so there are no transient states, no races, and no order between cores but the caller's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/cache.h"
#include "cache-sim/coherence/directory.h"
#include "cache-sim/coherence/protocol.h"

namespace shearling {

struct CoherentSystemConfig {
  unsigned cores = 2;  ///< 1 to kMostCores.
  CoherenceProtocol protocol = CoherenceProtocol::Directory;
  CacheConfig l1d{.name = "L1D"};         ///< Of each core: VIPT, PIPT or SEESAW; write-back, write-allocate.
  std::optional<CacheConfig> last_level;  ///< Shared. None: first-level misses go to memory.
  unsigned message_latency = 0;           ///< Cycles of one message on its way. 0: not modelled; the paper gives none.
  unsigned memory_latency = 68;           ///< Cycles: 51 ns at 1.33 GHz (Table II).
  float memory_energy = 0.0F;             ///< nJ; 0: not modelled. The paper does not give it.
  std::uint64_t seed = 1;                 ///< Of random replacement.
};
/// Why no such system can be built, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const CoherentSystemConfig& config);

/// Where the data of a reference came from.
enum class DataSource : std::uint8_t { OwnCopy, OtherCache, LastLevel, Memory };

/// What one reference did.
struct CoherenceOutcome {
  CacheOutcome l1;  ///< The core's own lookup.
  CoherenceState before = CoherenceState::Invalid, after = CoherenceState::Invalid;
  std::optional<CoherenceMessage> request;  ///< None: it needed nobody.
  DataSource source = DataSource::OwnCopy;
  std::optional<unsigned> supplier;  ///< The core whose cache sent the data.
  unsigned probes = 0;               ///< Lookups in other cores' caches (and recalls in its own).
  unsigned probe_ways = 0;
  double probe_energy = 0;    ///< nJ
  double below_energy = 0;    ///< nJ, of the last-level cache and memory.
  std::uint32_t latency = 0;  ///< Cycles that this core waits; write-backs are not waited for.
};

/// Sums of one core.
struct CoherenceCounters {
  // Its own references.
  std::uint64_t reads = 0, writes = 0, read_misses = 0, write_misses = 0, ways_probed = 0;
  std::uint64_t upgrades = 0, silent_upgrades = 0;                           ///< Stores that hit S or O; that hit E.
  std::uint64_t from_other_cache = 0, from_last_level = 0, from_memory = 0;  ///< Misses, by the source of the data.
  std::uint64_t evictions = 0;                                               ///< Lines given up for room, or swept.
  std::uint64_t write_backs = 0;                                             ///< Dirty lines sent to the home.
  std::uint64_t latency = 0;                                                 ///< Cycles.
  /// nJ, and nJ less than lookups of all ways would have taken: what SEESAW (and way prediction) saves.
  double lookup_energy = 0, lookup_energy_saved = 0;
  // Probes that arrived.
  std::uint64_t probes = 0, probe_hits = 0, probe_ways = 0;
  std::uint64_t invalidations = 0;                  ///< Copies lost to another core's write.
  std::uint64_t recalls = 0;                        ///< Copies lost to the inclusive last-level cache.
  std::uint64_t supplied = 0;                       ///< Lines sent to another core.
  double probe_energy = 0, probe_energy_saved = 0;  ///< nJ, as above.

  CoherenceCounters& operator+=(const CoherenceCounters& other);
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(reads, writes, read_misses, write_misses, ways_probed, upgrades, silent_upgrades);
    archive(from_other_cache, from_last_level, from_memory, evictions, write_backs, latency);
    archive(lookup_energy, lookup_energy_saved, probes, probe_hits, probe_ways, invalidations, recalls, supplied);
    archive(probe_energy, probe_energy_saved);
  }
};

/// How often each message was sent. A broadcast counts once.
using CoherenceMessageCounts = std::array<std::uint64_t, kCoherenceMessages>;

struct CoherenceReport {
  CoherenceProtocol protocol = CoherenceProtocol::Directory;
  std::vector<CoherenceCounters> cores;
  CoherenceCounters total;
  CoherenceMessageCounts messages{};
  double last_level_energy = 0, memory_energy = 0;  ///< nJ
  /// Share of the first-level caches' saving that comes from coherence (the quantity of the paper's Figure 11); 0 where
  /// nothing is saved.
  [[nodiscard]] double coherence_share_of_saving() const;
};

/// Who sends or receives a message.
struct CoherenceNode {
  enum class Kind : std::uint8_t { Core, Home, Memory, Everyone };
  Kind kind = Kind::Home;
  unsigned core = 0;  ///< Of Kind::Core.
  bool operator==(const CoherenceNode&) const = default;
};

/// Told of everything that passes between caches, in its order.
class CoherenceObserver {
 public:
  CoherenceObserver() = default;
  virtual ~CoherenceObserver() = default;
  CoherenceObserver(const CoherenceObserver&) = delete;
  CoherenceObserver& operator=(const CoherenceObserver&) = delete;
  virtual void sent(CoherenceMessage message, CoherenceNode from, CoherenceNode to, PhysicalAddress line) = 0;
  /// A probe looked `line` up in the cache of `core`, which had it in `before`.
  virtual void probed(unsigned core, PhysicalAddress line, CoherenceEvent event, CoherenceState before) = 0;
};

class CoherentSystem {
 public:
  /// `config` has no problem_of().
  explicit CoherentSystem(CoherentSystemConfig config);
  [[nodiscard]] const CoherentSystemConfig& config() const { return config_; }

  /// One reference of `core` that does not cross a line. `fast`: its TFT hit, so that SEESAW looks one partition up.
  CoherenceOutcome access(unsigned core, VirtualAddress virtual_address, PhysicalAddress physical, PageSize page_size,
                          AccessKind kind, bool fast);
  /// A read of the home alone, for a first-level cache that is not coherent (instructions): nobody else is asked, and
  /// no message is counted but memory's. `latency` is that of the last-level cache and memory.
  CoherenceOutcome read_home(PhysicalAddress physical);
  /// `core` gives up its lines of [address, address + bytes): the sweep of a promotion. Returns lines dropped.
  unsigned sweep(unsigned core, PhysicalAddress address, std::uint64_t bytes);

  [[nodiscard]] CoherenceState state(unsigned core, PhysicalAddress address) const;
  [[nodiscard]] const CoherenceCounters& counters(unsigned core) const { return cores_[core].counters; }
  [[nodiscard]] const CoherenceMessageCounts& messages() const { return messages_; }
  [[nodiscard]] CoherenceReport report() const;

  [[nodiscard]] const Cache& l1d(unsigned core) const { return cores_[core].cache; }
  [[nodiscard]] const Cache* last_level() const { return last_level_ ? &*last_level_ : nullptr; }
  /// Null under snooping.
  [[nodiscard]] const Directory* directory() const { return directory_ ? &*directory_ : nullptr; }
  /// Null ends it. The observer must outlive its use.
  void observe(CoherenceObserver* observer) { observer_ = observer; }

  template <typename Archive>
  void serialize(Archive& archive) {
    for (Core& core : cores_) archive(core);
    if (last_level_) archive(*last_level_);
    archive(messages_, last_level_energy_, memory_energy_);
    if constexpr (Archive::kReading) rebuild_directory();
  }

 private:
  struct Core {
    Cache cache;
    std::vector<CoherenceState> states;  ///< By set and way, as the cache's lines.
    CoherenceCounters counters;
    template <typename Archive>
    void serialize(Archive& archive) {
      archive(cache, states, counters);
    }
  };
  struct Line {
    PhysicalAddress address;
    std::uint64_t number = 0;
  };
  /// What a request came to. `messages`: on the longest chain that the requester waits for.
  struct Answer {
    bool shared = false;
    std::optional<unsigned> supplier;
    unsigned messages = 0;
  };

  [[nodiscard]] Line line_at(PhysicalAddress address) const;
  [[nodiscard]] std::size_t slot_of(Line line, unsigned way) const;
  [[nodiscard]] bool in_another_partition(const Cache& cache, PhysicalAddress physical) const;
  void set_state(unsigned core, std::size_t slot, Line line, CoherenceState state);
  void send(CoherenceMessage message, CoherenceNode from, CoherenceNode to, Line line);
  /// Sends the core's request and gathers what it asked for. True: another core still holds the line.
  bool request(unsigned core, Line line, const CoherenceRule& rule, CoherenceOutcome& outcome);
  Answer ask_directory_to_read(unsigned core, Line line, CoherenceOutcome& outcome);
  Answer ask_directory_to_write(unsigned core, Line line, CoherenceMessage request, CoherenceOutcome& outcome);
  Answer ask_everyone(unsigned core, Line line, CoherenceMessage request, CoherenceOutcome& outcome);
  const CoherenceRule& probe(unsigned core, Line line, CoherenceEvent event, CoherenceNode requester,
                             CoherenceOutcome& outcome);
  void evict(unsigned core, std::size_t slot, Line line, CoherenceOutcome& outcome);
  DataSource fetch(Line line, CoherenceOutcome& outcome);
  void write_back(Line line, CoherenceOutcome& outcome);
  void displaced(const Cache::Step& step, CoherenceOutcome& outcome);
  bool recall(Line line, CoherenceOutcome& outcome);
  void read_memory(Line line, CoherenceOutcome& outcome);
  void write_memory(Line line, CoherenceOutcome& outcome);
  void count(CoherenceCounters& counters, const Cache::Step& step, const CoherenceOutcome& outcome) const;
  void count(CoherenceCounters& counters, const ProbeOutcome& found, const CoherenceRule& rule,
             CoherenceEvent event) const;
  void rebuild_directory();

  CoherentSystemConfig config_;
  std::vector<Core> cores_;
  std::optional<Cache> last_level_;
  std::optional<Directory> directory_;  ///< Follows from the cores' states: not state.
  CoherenceMessageCounts messages_{};
  double last_level_energy_ = 0, memory_energy_ = 0;
  CoherenceObserver* observer_ = nullptr;
};

}  // namespace shearling
