// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a simulation counts while it runs, as sparingly as it can, and the report that follows from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cache-sim/address.h"

namespace shearling {

constexpr std::size_t kPageSizes = 5;
using CountBySize = std::array<std::uint64_t, kPageSizes>;

/// References of one class: how many, and the sums over their L1 lookups.
struct ReferenceTally {
  std::uint64_t accesses = 0, latency = 0, ways = 0;
};

/// What tells references of one side apart.
struct ReferenceClass {
  PageSize size = PageSize::Size4K;
  bool filter_hit = false;  ///< SEESAW: one partition was enough.
  bool write = false;
  bool hit = false;  ///< In L1.
};

/// Counts of instruction fetches, or of data references.
class SideCounts {
 public:
  /// Of the classes of one page: what count() begins with.
  static std::size_t index_of(PageSize size, bool filter_hit) {
    return static_cast<std::size_t>(size) << 3U | std::size_t{filter_hit} << 2U;
  }
  /// One addition a sum, whatever the class: branches on it would be mispredicted.
  void count(std::size_t page_index, bool write, bool hit, std::uint64_t latency, std::uint64_t ways) {
    ReferenceTally& tally = tallies_[page_index | std::size_t{write} << 1U | std::size_t{hit}];
    ++tally.accesses;
    tally.latency += latency;
    tally.ways += ways;
  }
  /// The same for `times` hits that are all alike.
  void count_hits(std::size_t page_index, bool write, std::uint64_t latency, std::uint64_t ways, std::uint64_t times) {
    ReferenceTally& tally = tallies_[page_index | std::size_t{write} << 1U | 1U];
    tally.accesses += times;
    tally.latency += times * latency;
    tally.ways += times * ways;
  }
  /// Calls `visit(class, tally)` for every class that has references.
  template <typename Visitor>
  void each(Visitor visit) const {
    for (std::size_t index = 0; index < tallies_.size(); ++index) {
      if (tallies_[index].accesses != 0) visit(class_at(index), tallies_[index]);
    }
  }
  [[nodiscard]] std::uint64_t references() const {
    std::uint64_t sum = 0;
    each([&](const ReferenceClass&, const ReferenceTally& tally) { sum += tally.accesses; });
    return sum;
  }

  CountBySize tlb_misses{};     ///< Lookups that no L1 TLB answered.
  CountBySize extra_lookups{};  ///< Of the second page of a reference.
  CountBySize late_lookups{};   ///< VIVT: after a miss.
  std::uint64_t elsewhere = 0;  ///< References of a side that is not simulated.

 private:
  static ReferenceClass class_at(std::size_t index) {
    return {.size = static_cast<PageSize>(index >> 3U),
            .filter_hit = (index & 4U) != 0,
            .write = (index & 2U) != 0,
            .hit = (index & 1U) != 0};
  }
  std::array<ReferenceTally, kPageSizes << 3U> tallies_{};
};

/// How far one lookup went below L1: `levels` caches were asked, the first `missed` of them in vain.
struct Descent {
  unsigned levels = 0, missed = 0;
  std::uint64_t latency = 0;
};

/// What the program asked of one cache below L1.
struct LowerCounts {
  std::array<std::uint64_t, 2> accesses{}, misses{};  ///< [read, write]
  std::uint64_t lookups = 0;                          ///< Lines.
};

struct SimulationCounts {
  std::array<LowerCounts, 2> lower{};  ///< Below L1, in their order.
  /// Of the page-table walker, L1D first.
  std::array<std::uint64_t, 3> walk_accesses{}, walk_misses{};
  std::uint64_t walks = 0, walk_references = 0, walk_skipped = 0, walk_cycles = 0;
  std::uint64_t tft_fills = 0;
  std::uint64_t context_switches = 0, invalidations = 0, splinters = 0, promotions = 0, swept_lines = 0;
  double beyond_l1_cycles = 0;  ///< By the timing model.

  void count_lookups(const Descent& descent) {
    for (unsigned level = 0; level < descent.levels; ++level) ++lower[level].lookups;
  }
  void count_descent(const Descent& descent, bool write) {
    for (unsigned level = 0; level < descent.levels; ++level) ++lower[level].accesses[write ? 1 : 0];
    for (unsigned level = 0; level < descent.missed; ++level) ++lower[level].misses[write ? 1 : 0];
  }
};

}  // namespace shearling
