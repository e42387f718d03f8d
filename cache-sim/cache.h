// SPDX-License-Identifier: GPL-3.0-or-later
//
// One set-associative cache: tags, dirty bits, replacement and the most recently used ways, no data. The same class is
// every level and every organisation; who calls it supplies the index (virtual or physical) and says whether one
// partition is enough (SEESAW, after M. Parasar, A. Bhattacharjee, T. Krishna, "SEESAW: Using Superpages to Improve
// VIPT Caches", ISCA 2018). Way prediction after M. Powell et al., "Reducing Set-Associative Cache Energy via
// Way-Prediction and Selective Direct-Mapping", MICRO 2001.
//
// Virtual tags (VIVT): where a physical address is asked for, the caller gives the virtual address with the address
// space folded into bits that it does not use. All 64 bits above the line offset are compared, and the set comes from
// `index` alone, so that the folded bits may lie anywhere above it. A LineMove's address is then such a tag, too.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/address.h"
#include "cache-sim/replacement.h"

namespace shearling {

/// How the set is chosen and what is compared: physical or virtual index, physical or virtual tag.
enum class CacheOrganisation : std::uint8_t { Vipt, Seesaw, Pipt, Vivt };

/// Where SEESAW puts a missing line (section IV-B1).
enum class InsertionPolicy : std::uint8_t {
  Partition,         ///< "4way": within the partition of its physical address, for every page size.
  PartitionOrWhole,  ///< "4way-8way": a superpage's line so, a base page's line over all ways.
};

enum class WritePolicy : std::uint8_t { WriteBack, WriteThrough };

/// What a dirty victim from above does where it arrives.
enum class WriteBackArrival : std::uint8_t {
  Allocate,  ///< Counts as a use, and allocates.
  Update,    ///< Marks the line dirty where it is held, without a use; goes further down where it is not.
};

/// What a virtually indexed cache with more than a page a way, or a virtually tagged one, does about two names of one
/// line (synonyms) and one name of two lines (homonyms).
enum class AliasHandling : std::uint8_t {
  Refuse,  ///< Such a geometry is a configuration error.
  Evict,   ///< On a miss the other places the line can be in are searched and the copy moved; tags hold the address
           ///< space.
  Ignore,  ///< Nothing: the wrong or stale data is served, and counted.
};

struct CacheConfig {
  std::string name = "L1D";
  std::uint64_t size = std::uint64_t{32} * 1024;  ///< Bytes.
  unsigned ways = 8;
  unsigned line = 64;  ///< Bytes.
  CacheOrganisation organisation = CacheOrganisation::Vipt;
  ReplacementKind replacement = ReplacementKind::Lru;
  unsigned latency = 2;              ///< Cycles of a full lookup (Table III: base page).
  unsigned fast_latency = 1;         ///< SEESAW: cycles of a one-partition lookup (Table III: superpage).
  float energy = 0.047F;             ///< nJ of a full lookup (Figure 2c, 32 KB 8-way).
  float partition_energy = 0.0285F;  ///< nJ of a one-partition lookup (0.6057 x 0.047; section IV-A4).
  bool plain_twin = false;           ///< SEESAW: keep a plain VIPT twin on the same references.
  InsertionPolicy insertion = InsertionPolicy::Partition;  ///< SEESAW.
  WritePolicy write = WritePolicy::WriteBack;
  bool write_allocate = true;
  WriteBackArrival arrival = WriteBackArrival::Allocate;  ///< Of dirty victims from the level above.
  AliasHandling aliases = AliasHandling::Refuse;
  bool inclusive = false;       ///< L2, LLC: a line that leaves it leaves the levels above.
  bool way_prediction = false;  ///< MRU (Powell et al., MICRO 2001); with SEESAW within the partition.
  float way_energy = 0.0F;      ///< nJ of one way read alone; 0: the lookup's energy / its ways (SIPT's model).
};

/// Why no such cache can be built, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const CacheConfig& config);

struct LineMove {
  PhysicalAddress line;
  std::uint32_t set = 0;
  std::uint8_t way = 0;
  bool dirty = false;  ///< Of an evicted line: it is written back.
};

/// What way prediction had to say about one lookup.
enum class WayGuess : std::uint8_t {
  None,   ///< No way is predicted in this cache.
  Right,  ///< The line was in the predicted way, the only one read.
  Wrong,  ///< It was not: the other ways were read in a second lookup.
};

/// What one cache did with one reference.
struct CacheOutcome {
  const char* cache = "";  ///< Name, owned by the hierarchy.
  bool hit = false;
  std::uint8_t way = 0;
  std::uint8_t ways_probed = 0;
  std::uint32_t ways_probed_mask = 0;
  std::uint32_t set = 0;
  std::uint32_t latency = 0;  ///< Cycles.
  float energy = 0;           ///< nJ.
  WayGuess guess = WayGuess::None;
  bool passes_on = false;          ///< A write that the level below must see: written through, or written around.
  std::optional<LineMove> filled;  ///< Empty on a hit, and where a write miss does not allocate.
  std::optional<LineMove> evicted;
};

/// What a coherence request does to a line.
enum class CoherenceAction : std::uint8_t {
  Look,        ///< Nothing: only whether it is held, and dirty.
  Clean,       ///< It stays, clean.
  Invalidate,  ///< It goes.
};

/// What one cache answered to one coherence request.
struct ProbeOutcome {
  bool hit = false;
  bool dirty = false;  ///< It was: its data go to whoever asked, or down.
  std::uint8_t way = 0;
  std::uint8_t ways_probed = 0;
  std::uint32_t ways_probed_mask = 0;
  std::uint32_t set = 0;
  float energy = 0;  ///< nJ.
};

/// Counters of one cache; all sums.
struct CacheCounters {
  std::uint64_t reads = 0, writes = 0, read_misses = 0, write_misses = 0, ways_probed = 0;
  std::uint64_t write_backs = 0;  ///< Dirty lines evicted, swept, or cleaned or invalidated from outside.
  std::uint64_t fills = 0;        ///< Misses that brought their line.
  std::uint64_t passed_on = 0;    ///< Writes that the level below must see.
  double energy = 0;              ///< nJ, of reads and writes.
  /// Lookups with a predicted way, and those of them that took a second lookup: all misses, and the hits elsewhere.
  std::uint64_t way_predictions = 0, way_mispredictions = 0;
  std::uint64_t probes = 0, probe_hits = 0, probe_ways = 0;  ///< Coherence.
  double probe_energy = 0;                                   ///< nJ.
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(reads, writes, read_misses, write_misses, ways_probed, write_backs, fills, passed_on, energy);
    archive(way_predictions, way_mispredictions, probes, probe_hits, probe_ways, probe_energy);
  }
};

/// One set-associative cache: write-back or write-through, with or without allocation on a write miss. Partitioned
/// lookups and insertions for SEESAW.
class Cache {
 public:
  static constexpr unsigned kPartitionWays = 4;
  static constexpr unsigned kMostWays = 32;

  /// `config` has no problem_of().
  explicit Cache(CacheConfig config, std::uint64_t seed = 1);
  struct Line {
    std::uint64_t number = 0;  ///< Physical address / line size.
    std::uint8_t valid = 0, dirty = 0;
  };
  /// How a lookup went, as far as its cost depends on it.
  enum class Lookup : std::uint8_t { Whole, Partition, WholeGuessed, PartitionGuessed, WholeTwice, PartitionTwice };
  /// What one access did, in the cache's own terms: as much as the hot path needs.
  struct Step {
    std::uint64_t line = 0;  ///< Number of the line asked for.
    std::uint64_t evicted_line = 0;
    std::uint32_t set = 0;
    std::uint8_t way = 0;   ///< Where the line is now; if it is nowhere, the first way that was probed.
    std::uint8_t ways = 0;  ///< Number of ways probed.
    Lookup lookup = Lookup::Whole;
    bool hit = false;
    bool fast = false;  ///< One partition was probed.
    bool write = false;
    bool passes_on = false;  ///< A write that the level below must see.
    bool filled = false;     ///< A miss that brought its line.
    bool evicted = false;
    bool evicted_dirty = false;
  };

  [[nodiscard]] const CacheConfig& config() const { return config_; }
  [[nodiscard]] unsigned sets() const { return sets_; }
  [[nodiscard]] unsigned partitions() const {
    return partitions_;
  }  ///< 16 KB each (4 ways x 64 sets x 64 B); 1 unless SEESAW.
  [[nodiscard]] Line line(unsigned set, unsigned way) const;
  /// Way of the partition that this address maps to: the bits directly above the set index.
  [[nodiscard]] unsigned first_way_of_partition(std::uint64_t address) const {
    return static_cast<unsigned>(address >> partition_shift_ & (partitions_ - 1)) * kPartitionWays;
  }

  /// Whole access: lookup over `fast ? the partition of the address : all ways`, fill on a miss. `index` supplies the
  /// set-index and partition bits of the lookup (virtual for VIPT, SEESAW and VIVT, physical otherwise); a line is
  /// inserted in the partition of its physical address (section IV-B1), except under PartitionOrWhole that of a base
  /// page, which goes anywhere. `superpage` says that the page is one even though the lookup is not fast. A fast lookup
  /// is only legal where both addresses have the same partition bits, and is an ordinary one unless the cache is
  /// SEESAW. Of several ways that hold the line, and are probed at once, the lowest counts.
  CacheOutcome access(std::uint64_t index, PhysicalAddress physical, AccessKind kind, bool fast,
                      bool superpage = false) {
    return outcome_of(step(index, physical, kind, fast, superpage));
  }
  /// The same without its report.
  Step step(std::uint64_t index, PhysicalAddress physical, AccessKind kind, bool fast, bool superpage = false);
  /// Counts `times` more hits like the last access, with nothing between: the line is the set's most recent one
  /// already, so that counters are all that changes. Not with way prediction, nor for writes that a write-through cache
  /// passes on.
  void hit_again(bool fast, bool write, std::uint64_t times) {
    assert(!config_.way_prediction && !(write && writes_through_));
    tally_.accesses[fast && seesaw_ ? 1 : 0][write ? 1 : 0] += times;
  }
  [[nodiscard]] CacheOutcome outcome_of(const Step& step) const;
  [[nodiscard]] std::uint32_t latency_of(const Step& step) const { return cost_of(step.lookup).latency; }
  [[nodiscard]] float energy_of(const Step& step) const { return cost_of(step.lookup).energy; }
  [[nodiscard]] static WayGuess guess_of(const Step& step) {
    return static_cast<WayGuess>(static_cast<unsigned>(step.lookup) / 2);
  }
  [[nodiscard]] PhysicalAddress address_of(std::uint64_t line) const { return {line << line_shift_}; }

  // By address from outside: coherence, inclusion, synonyms, write-backs from above. The set is that of `index`, or of
  // the physical address where there is none; a caller whose cache may hold a line in several sets asks for each. All
  // reach the partition of the physical address alone in a SEESAW cache with Partition insertion, every way otherwise.

  /// The lowest way that holds the line; changes nothing, counts nothing.
  [[nodiscard]] std::optional<unsigned> find(std::uint64_t index, PhysicalAddress physical) const;
  [[nodiscard]] std::optional<unsigned> find(PhysicalAddress physical) const { return find(physical.value, physical); }
  /// A coherence request: counted among the probes. Every copy in the set is cleaned or goes.
  ProbeOutcome coherence_probe(std::uint64_t index, PhysicalAddress physical, CoherenceAction action);
  ProbeOutcome coherence_probe(PhysicalAddress physical, CoherenceAction action) {
    return coherence_probe(physical.value, physical, action);
  }
  /// The same as an invalidating request, without being counted as one.
  ProbeOutcome invalidate_line(std::uint64_t index, PhysicalAddress physical) {
    return apply(index, physical, CoherenceAction::Invalidate);
  }
  ProbeOutcome invalidate_line(PhysicalAddress physical) { return invalidate_line(physical.value, physical); }
  /// A dirty victim from above arrives without being a use. Whether this cache took its data: it holds the line, and
  /// is no write-through one.
  bool mark_dirty_if_held(std::uint64_t index, PhysicalAddress physical);
  bool mark_dirty_if_held(PhysicalAddress physical) { return mark_dirty_if_held(physical.value, physical); }

  /// Drops every line of [address, address + bytes); dirty ones count as written back. Returns lines dropped.
  unsigned sweep(PhysicalAddress address, std::uint64_t bytes) {
    return sweep(address, bytes, [](const LineMove&) {});
  }
  /// The same, and calls `dropped(line)` for every one.
  template <typename Dropped>
  unsigned sweep(PhysicalAddress address, std::uint64_t bytes, Dropped dropped);
  /// Lines that are held twice in one set: possible under PartitionOrWhole where a page is mapped both ways.
  [[nodiscard]] unsigned duplicates() const;
  /// Way prediction: the way that the next lookup of the set, or of the partition from `first_way`, reads first.
  [[nodiscard]] unsigned predicted_way(unsigned set, bool partition, unsigned first_way) const {
    return recent_[recent_index(set, partition, first_way)];
  }
  [[nodiscard]] CacheCounters counters() const;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(tags_, dirty_, replacement_, tally_);
    if (config_.way_prediction) archive(recent_);
  }

 private:
  static constexpr std::uint64_t kNoLine = ~std::uint64_t{0};  // No line has this number: addresses end at 2^64.

  [[nodiscard]] unsigned set_of(std::uint64_t address) const {
    const std::uint64_t number = address >> line_shift_;
    return static_cast<unsigned>(set_mask_ != 0 || sets_ == 1 ? number & set_mask_ : number % sets_);
  }
  /// Counted at every access, with one addition and no branch; everything else in CacheCounters follows from these.
  struct Tally {
    std::array<std::array<std::uint64_t, 2>, 2> accesses{};  ///< [whole, one partition][read, write].
    std::array<std::uint64_t, 2> misses{};                   ///< [read, write].
    std::array<std::uint64_t, 2> guessed_right{};            ///< [whole, one partition].
    std::uint64_t write_backs = 0, probes = 0, probe_hits = 0;
  };
  struct Cost {
    std::uint32_t latency = 0;
    float energy = 0;
  };
  struct Range {
    unsigned first, ways;
  };
  /// What is not a hit on the way used last. Small enough for registers: a step passed through memory would cost the
  /// hit path a third of its speed.
  struct Rest {
    std::uint64_t evicted_line = 0;
    std::uint8_t way = 0, ways = 0;
    Lookup lookup = Lookup::Whole;
    bool hit = false, passes_on = false, filled = false, evicted = false, evicted_dirty = false;
  };
  static_assert(sizeof(Rest) == 16);

  /// Bit w: way first + w holds the line.
  [[nodiscard]] std::uint32_t match(std::size_t first, unsigned ways, std::uint64_t line) const;
  [[nodiscard]] const Cost& cost_of(Lookup lookup) const { return costs_[static_cast<std::size_t>(lookup)]; }
  void set_costs();
  void forget_use();
  Rest search(unsigned set, PhysicalAddress physical, bool write, bool fast, bool superpage);
  std::uint32_t predict(Rest& rest, unsigned set, std::uint32_t matching, Range probed);
  void fill(Rest& rest, unsigned set, Range home, std::uint64_t line, bool write);
  void remember(unsigned set, unsigned way);
  [[nodiscard]] std::size_t recent_index(unsigned set, bool partition, unsigned first_way) const {
    return std::size_t{set} * (partitions_ + 1) + (partition ? 1 + first_way / kPartitionWays : 0);
  }
  static Range probed_by(const Step& step) { return {step.way / unsigned{step.ways} * step.ways, step.ways}; }
  /// The ways where the line of a physical address can be, whatever its page.
  [[nodiscard]] Range home_of(PhysicalAddress physical) const {
    return {partitioned_ ? first_way_of_partition(physical.value) : 0, insertion_ways_};
  }
  [[nodiscard]] Range partition_of(PhysicalAddress physical) const {
    return {first_way_of_partition(physical.value), kPartitionWays};
  }
  static std::uint32_t mask_of(Range range) {
    return static_cast<std::uint32_t>(((std::uint64_t{1} << range.ways) - 1) << range.first);
  }
  [[nodiscard]] float probe_energy() const { return cost_of(partitioned_ ? Lookup::Partition : Lookup::Whole).energy; }
  [[nodiscard]] std::uint32_t held_in(unsigned set, PhysicalAddress physical) const;
  ProbeOutcome apply(std::uint64_t index, PhysicalAddress physical, CoherenceAction action);

  CacheConfig config_;
  unsigned sets_ = 1;
  unsigned ways_ = 1;
  unsigned partitions_ = 1;
  unsigned insertion_ways_ = 1;  ///< Ways of a partition where it bounds every insertion, else all.
  unsigned line_shift_ = 6;
  unsigned partition_shift_ = 12;
  std::uint64_t set_mask_ = 0;  ///< 0 where the number of sets is no power of two, or 1.
  std::uint32_t dirties_ = 1;   ///< 1 where a write makes its line dirty: write-back.
  bool writes_through_ = false;
  bool seesaw_ = false;
  bool partitioned_ = false;          ///< SEESAW, every line in the partition of its physical address.
  bool always_searches_ = false;      ///< Way prediction or PartitionOrWhole: every lookup goes through search().
  std::array<Cost, 6> costs_{};       ///< Of each Lookup.
  std::vector<std::uint64_t> tags_;   ///< Line number, or kNoLine.
  std::vector<std::uint32_t> dirty_;  ///< A word a set, a bit a way.
  std::vector<std::uint32_t> last_;   ///< Slot used last, a set: looked at first. Changes no outcome: not state.
  std::vector<std::uint8_t> recent_;  ///< Way prediction: the way used last, of each set and each of its partitions.
  ReplacementState replacement_;
  Tally tally_;
};

inline std::uint32_t Cache::match(std::size_t first, unsigned ways, std::uint64_t line) const {
  const std::uint64_t* tags = tags_.data() + first;
  std::uint32_t found = 0;
  unsigned way = 0;
  for (; way + 4 <= ways; way += 4) {  // Without branches: which way hits is not predictable.
    const auto four =
        static_cast<std::uint32_t>(tags[way] == line) | static_cast<std::uint32_t>(tags[way + 1] == line) << 1 |
        static_cast<std::uint32_t>(tags[way + 2] == line) << 2 | static_cast<std::uint32_t>(tags[way + 3] == line) << 3;
    found |= four << way;
  }
  for (; way < ways; ++way) found |= static_cast<std::uint32_t>(tags[way] == line) << way;
  return found;
}

// The hit on the way used last is all that is inline: most references of ordinary programs end here.
[[gnu::always_inline]] inline Cache::Step Cache::step(std::uint64_t index, PhysicalAddress physical, AccessKind kind,
                                                      bool fast, bool superpage) {
  assert(!fast || !seesaw_ || first_way_of_partition(index) == first_way_of_partition(physical.value));
  Step step;
  step.line = physical.value >> line_shift_;
  step.set = set_of(index);
  step.fast = fast && seesaw_;
  step.write = kind == AccessKind::Write;
  ++tally_.accesses[step.fast ? 1 : 0][step.write ? 1 : 0];
  const std::size_t slot = last_[step.set];
  if (tags_[slot] != step.line) {
    const Rest rest = search(step.set, physical, step.write, step.fast, superpage);
    step.way = rest.way;
    step.ways = rest.ways;
    step.lookup = rest.lookup;
    step.hit = rest.hit;
    step.passes_on = rest.passes_on;
    step.filled = rest.filled;
    step.evicted = rest.evicted;
    step.evicted_dirty = rest.evicted_dirty;
    step.evicted_line = rest.evicted_line;
    return step;
  }
  const auto way = static_cast<unsigned>(slot - std::size_t{step.set} * ways_);
  step.lookup = step.fast ? Lookup::Partition : Lookup::Whole;
  step.passes_on = step.write && writes_through_;
  step.hit = true;
  step.way = static_cast<std::uint8_t>(way);
  step.ways = static_cast<std::uint8_t>(step.fast ? kPartitionWays : ways_);
  replacement_.touch(step.set, way);
  dirty_[step.set] |= (std::uint32_t{step.write} & dirties_) << way;
  return step;
}

template <typename Dropped>
unsigned Cache::sweep(PhysicalAddress address, std::uint64_t bytes, Dropped dropped) {
  if (bytes == 0) return 0;
  const std::uint64_t first = address.value >> line_shift_;
  const std::uint64_t last = (address.value + std::min(bytes - 1, ~address.value)) >> line_shift_;
  unsigned count = 0;
  for (std::size_t slot = 0; slot < tags_.size(); ++slot) {
    const std::uint64_t line = tags_[slot];
    if (line == kNoLine || line < first || line > last) continue;
    const auto set = static_cast<std::uint32_t>(slot / ways_);
    const auto way = static_cast<std::uint8_t>(slot % ways_);
    const std::uint32_t bit = std::uint32_t{1} << way;
    const bool dirty = (dirty_[set] & bit) != 0;
    tags_[slot] = kNoLine;
    dirty_[set] &= ~bit;
    tally_.write_backs += dirty ? 1U : 0U;
    ++count;
    dropped(LineMove{.line = address_of(line), .set = set, .way = way, .dirty = dirty});
  }
  return count;
}

}  // namespace shearling
