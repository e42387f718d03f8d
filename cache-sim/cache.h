// SPDX-License-Identifier: GPL-3.0-or-later
//
// One set-associative cache: tags, dirty bits and replacement, no data. The same class is every level and every
// organisation; who calls it supplies the index (virtual or physical) and says whether one partition is enough (SEESAW,
// after M. Parasar, A. Bhattacharjee, T. Krishna, "SEESAW: Using Superpages to Improve VIPT Caches", ISCA 2018).
#pragma once

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
  float way_energy = 0.0F;      ///< nJ of a correctly predicted lookup (SIPT's model: energy / ways).
};

/// Why no such cache can be built, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const CacheConfig& config);

struct LineMove {
  PhysicalAddress line;
  std::uint32_t set = 0;
  std::uint8_t way = 0;
  bool dirty = false;  ///< Of an evicted line: it is written back.
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
  std::optional<LineMove> filled;
  std::optional<LineMove> evicted;
};

/// Counters of one cache; all sums.
struct CacheCounters {
  std::uint64_t reads = 0, writes = 0, read_misses = 0, write_misses = 0, ways_probed = 0, write_backs = 0;
  double energy = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(reads, writes, read_misses, write_misses, ways_probed, write_backs, energy);
  }
};

/// One set-associative, write-back, write-allocate cache. Partitioned lookups and insertions for SEESAW.
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
  /// What one access did, in the cache's own terms: as much as the hot path needs.
  struct Step {
    std::uint64_t line = 0;  ///< Number of the line asked for.
    std::uint64_t evicted_line = 0;
    std::uint32_t set = 0;
    std::uint8_t way = 0;                  ///< Where the line is now.
    std::uint8_t first_way = 0, ways = 0;  ///< What was probed.
    bool hit = false;
    bool fast = false;  ///< One partition was probed.
    bool write = false;
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
  /// set-index and partition bits of the lookup (virtual for VIPT and SEESAW, physical otherwise); a line is inserted
  /// in the partition of its physical address ("4way" insertion, section IV-B1). A fast lookup is only legal where
  /// both addresses have the same partition bits, and is an ordinary one unless the cache is SEESAW.
  CacheOutcome access(std::uint64_t index, PhysicalAddress physical, AccessKind kind, bool fast) {
    return outcome_of(step(index, physical, kind, fast));
  }
  /// The same without its report.
  Step step(std::uint64_t index, PhysicalAddress physical, AccessKind kind, bool fast);
  [[nodiscard]] CacheOutcome outcome_of(const Step& step) const;
  [[nodiscard]] std::uint32_t latency_of(const Step& step) const {
    return step.fast ? config_.fast_latency : config_.latency;
  }
  [[nodiscard]] float energy_of(const Step& step) const {
    return step.fast ? config_.partition_energy : config_.energy;
  }
  [[nodiscard]] PhysicalAddress address_of(std::uint64_t line) const { return {line << line_shift_}; }

  /// A coherence probe: by physical address, within that address's partition alone; no state changes. The way, if held.
  [[nodiscard]] std::optional<unsigned> probe(PhysicalAddress physical) const;
  /// Drops every line of [address, address + bytes); dirty ones count as written back. Returns lines dropped.
  unsigned sweep(PhysicalAddress address, std::uint64_t bytes);
  /// The same, and calls `written_back(address)` for every dirty one.
  template <typename WrittenBack>
  unsigned sweep(PhysicalAddress address, std::uint64_t bytes, WrittenBack written_back);
  [[nodiscard]] CacheCounters counters() const;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(tags_, dirty_, replacement_, tally_);
  }

 private:
  static constexpr std::uint64_t kNoLine = ~std::uint64_t{0};  // No line has this number: addresses end at 2^64.

  [[nodiscard]] unsigned set_of(std::uint64_t address) const {
    const std::uint64_t number = address >> line_shift_;
    return static_cast<unsigned>(set_mask_ != 0 || sets_ == 1 ? number & set_mask_ : number % sets_);
  }
  /// Counted at every access, with one addition and no branch; everything else in CacheCounters follows from these.
  struct Tally {
    std::array<std::array<std::uint64_t, 2>, 2> accesses{};  ///< [full, one partition][read, write].
    std::array<std::uint64_t, 2> misses{};                   ///< [read, write].
    std::uint64_t write_backs = 0;
  };
  /// Bit w: way first + w holds the line. At most one is set.
  [[nodiscard]] std::uint32_t match(std::size_t first, unsigned ways, std::uint64_t line) const;
  /// Where a miss put its line and what had to go. Small enough for registers: a step passed through memory would cost
  /// the hit path a third of its speed.
  struct Filled {
    std::uint64_t evicted_line = 0;
    std::uint8_t way = 0;
    bool evicted = false;
    bool evicted_dirty = false;
  };
  Filled fill(unsigned set, unsigned first_way, std::uint64_t line, bool write);

  CacheConfig config_;
  unsigned sets_ = 1;
  unsigned ways_ = 1;
  unsigned partitions_ = 1;
  unsigned insertion_ways_ = 1;  ///< Ways of a partition, or all.
  unsigned line_shift_ = 6;
  unsigned partition_shift_ = 12;
  std::uint64_t set_mask_ = 0;  ///< 0 where the number of sets is no power of two, or 1.
  bool seesaw_ = false;
  std::vector<std::uint64_t> tags_;   ///< Line number, or kNoLine.
  std::vector<std::uint32_t> dirty_;  ///< A word a set, a bit a way.
  std::vector<std::uint8_t> guess_;   ///< The way used last, a set: looked at first. Changes no outcome: not state.
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

inline Cache::Step Cache::step(std::uint64_t index, PhysicalAddress physical, AccessKind kind, bool fast) {
  Step step;
  step.line = physical.value >> line_shift_;
  step.set = set_of(index);
  step.fast = fast && seesaw_;
  step.write = kind == AccessKind::Write;
  const unsigned first_way = step.fast ? first_way_of_partition(index) : 0;
  const unsigned ways = step.fast ? kPartitionWays : ways_;
  assert(!step.fast || first_way == first_way_of_partition(physical.value));
  step.first_way = static_cast<std::uint8_t>(first_way);
  step.ways = static_cast<std::uint8_t>(ways);

  ++tally_.accesses[step.fast ? 1 : 0][step.write ? 1 : 0];

  const std::size_t row = std::size_t{step.set} * ways_;
  unsigned way = guess_[step.set];
  if (tags_[row + way] != step.line) {
    const std::uint32_t matching = match(row + first_way, ways, step.line);
    if (matching == 0) {
      const unsigned insert_at = partitions_ == 1 ? 0 : first_way_of_partition(physical.value);
      const Filled filled = fill(step.set, insert_at, step.line, step.write);
      step.way = filled.way;
      step.evicted = filled.evicted;
      step.evicted_dirty = filled.evicted_dirty;
      step.evicted_line = filled.evicted_line;
      return step;
    }
    way = first_way + static_cast<unsigned>(std::countr_zero(matching));
    guess_[step.set] = static_cast<std::uint8_t>(way);
  }
  step.hit = true;
  step.way = static_cast<std::uint8_t>(way);
  replacement_.touch(step.set, way);
  dirty_[step.set] |= std::uint32_t{step.write} << way;
  return step;
}

template <typename WrittenBack>
unsigned Cache::sweep(PhysicalAddress address, std::uint64_t bytes, WrittenBack written_back) {
  if (bytes == 0) return 0;
  const std::uint64_t first = address.value >> line_shift_;
  const std::uint64_t last = (address.value + (bytes - 1)) >> line_shift_;
  unsigned dropped = 0;
  for (std::size_t slot = 0; slot < tags_.size(); ++slot) {
    const std::uint64_t line = tags_[slot];
    if (line == kNoLine || line < first || line > last) continue;
    std::uint32_t& dirty = dirty_[slot / ways_];
    const std::uint32_t bit = std::uint32_t{1} << slot % ways_;
    tags_[slot] = kNoLine;
    ++dropped;
    if ((dirty & bit) == 0) continue;
    dirty &= ~bit;
    ++tally_.write_backs;
    written_back(address_of(line));
  }
  return dropped;
}

}  // namespace shearling
