// SPDX-License-Identifier: GPL-3.0-or-later
//
// Caches of one core and what lies below them: split L1 (VIPT, or SEESAW with its translation filter table, with a
// plain VIPT twin beside it for comparison), unified L2 and last-level cache, memory. Values in, outcomes out.
// SEESAW after M. Parasar, A. Bhattacharjee, T. Krishna, "SEESAW: Using Superpages to Improve VIPT Caches", ISCA 2018.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/cache.h"
#include "cache-sim/translation_filter_table.h"

namespace shearling {

struct CacheHierarchyConfig {
  CacheConfig l1i{.name = "L1I"};
  CacheConfig l1d{.name = "L1D"};
  std::optional<CacheConfig> l2;
  std::optional<CacheConfig> last_level;
  TranslationFilterTableConfig tft;
  unsigned memory_latency = 68;  ///< Cycles: 51 ns at 1.33 GHz (Table II).
  float memory_energy = 0.0F;    ///< nJ; 0 means not modelled. The paper does not give it.
  std::uint64_t seed = 1;        ///< Of random replacement.
};

[[nodiscard]] std::string problem_of(const CacheHierarchyConfig& config);

/// One reference. Walk references have no virtual address and go to L1D by physical address.
struct CacheReference {
  VirtualAddress virtual_address;
  PhysicalAddress physical_address;
  PageSize page_size = PageSize::Size4K;  ///< Effective size of the translation.
  AccessKind kind = AccessKind::Read;
  bool walk = false;
  /// What the TFT answered when the reference began, beside the TLBs: before a walk of this very reference could fill
  /// it. Where nobody asked (`asked` is false) the hierarchy asks now.
  TftOutcome filter;
};

struct HierarchyOutcome {
  TftOutcome tft;
  std::array<CacheOutcome, 4> levels{};  ///< In the order asked: L1, L2, LLC as far as it went.
  unsigned level_count = 0;
  /// Dirty victims arriving one level further down, in their order: L1's and L2's to what lies below each. Those of the
  /// last level go to memory.
  std::array<CacheOutcome, 3> write_backs{};
  unsigned write_back_count = 0;
  std::optional<CacheOutcome> twin;  ///< What the plain VIPT twin did.
  std::uint32_t latency = 0;         ///< Cycles in all, memory included.
  float energy = 0;                  ///< nJ in all.
  bool memory_reached = false;
};

/// What one reference cost: the report of access_quietly(), with the same sums as HierarchyOutcome. Too wide for
/// registers on purpose: packing narrower fields into them would stall every hit on its own store.
struct HierarchyCost {
  std::uint64_t latency = 0;  ///< Cycles in all, memory included.
  double energy = 0;          ///< nJ in all.
  bool memory_reached = false;
  std::uint64_t levels = 1;  ///< Caches asked, L1 first; all but the last one missed, and that one if memory_reached.
  std::uint64_t l1_latency = 0;  ///< L1's part of `latency`.
  std::uint64_t l1_ways = 0;     ///< Ways that L1 probed.
};

/// Lines that went to and from memory.
struct MemoryCounters {
  std::uint64_t reads = 0, writes = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(reads, writes);
  }
};

/// The four cases of the paper's Table I, counted on data references that are not the walker's.
struct SeesawCounters {
  std::uint64_t superpage_tft_hit_l1_hit = 0, superpage_tft_hit_l1_miss = 0, superpage_tft_miss = 0, base_page = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(superpage_tft_hit_l1_hit, superpage_tft_hit_l1_miss, superpage_tft_miss, base_page);
  }
};

class CacheHierarchy {
 public:
  explicit CacheHierarchy(CacheHierarchyConfig config);
  [[nodiscard]] const CacheHierarchyConfig& config() const { return config_; }

  /// One reference that does not cross a line.
  HierarchyOutcome access(const CacheReference& reference);
  /// Changes state and counters exactly as access() does: for when nobody watches.
  HierarchyCost access_quietly(const CacheReference& reference);
  /// A lookup of what lies below L1, for a line that L1 holds: what cachegrind does where the other line of one
  /// reference missed. `levels` does not count L1.
  HierarchyCost access_below(PhysicalAddress physical, AccessKind kind);

  // The TFT's other events: on every 2 MB L1 DTLB fill, on an invalidation, on a context switch (no ASIDs).
  std::optional<std::uint16_t> superpage_filled(VirtualAddress address);  ///< TFT index, or nothing without SEESAW.
  bool superpage_invalidated(VirtualAddress address);
  unsigned context_switched();
  /// A promotion to a larger page: evicts the lines of [address, address + bytes) from L1D, dirty ones to the next
  /// level (section IV-C2). The plain twin keeps its lines: VIPT needs no sweep. Returns lines dropped.
  unsigned promoted(PhysicalAddress address, std::uint64_t bytes);

  [[nodiscard]] const Cache& l1i() const { return l1i_; }
  [[nodiscard]] const Cache& l1d() const { return l1d_; }
  [[nodiscard]] const Cache* twin() const { return twin_ ? &*twin_ : nullptr; }
  [[nodiscard]] const Cache* l2() const { return l2_ ? &*l2_ : nullptr; }
  [[nodiscard]] const Cache* last_level() const { return last_level_ ? &*last_level_ : nullptr; }
  [[nodiscard]] const TranslationFilterTable* tft() const { return tft_ ? &*tft_ : nullptr; }
  [[nodiscard]] const SeesawCounters& seesaw_counters() const { return seesaw_; }
  [[nodiscard]] const MemoryCounters& memory_counters() const { return memory_; }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(l1i_, l1d_);
    if (twin_) archive(*twin_);
    if (l2_) archive(*l2_);
    if (last_level_) archive(*last_level_);
    if (tft_) archive(*tft_);
    archive(seesaw_, memory_);
  }

 private:
  /// One cache below L1 and the number of what comes after it: 0 is L2, 1 the last level. No cache: memory.
  struct Below {
    Cache* cache = nullptr;
    unsigned next = 2;
  };
  [[nodiscard]] Below below(unsigned level);
  template <typename Observer>
  HierarchyCost run(const CacheReference& reference, Observer& observer);
  template <typename Observer>
  bool ask_filter(const CacheReference& reference, Observer& observer);
  template <typename Observer>
  HierarchyCost fetch(unsigned level, PhysicalAddress physical, AccessKind kind, Observer& observer);
  /// Returns the energy: nobody waits for a write-back.
  template <typename Observer>
  double write_back(unsigned level, PhysicalAddress physical, Observer& observer);

  CacheHierarchyConfig config_;
  Cache l1i_;
  Cache l1d_;
  std::optional<Cache> twin_;
  std::optional<Cache> l2_;
  std::optional<Cache> last_level_;
  std::optional<TranslationFilterTable> tft_;
  SeesawCounters seesaw_;
  MemoryCounters memory_;
};

}  // namespace shearling
