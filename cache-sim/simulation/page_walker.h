// SPDX-License-Identifier: GPL-3.0-or-later
//
// The page-table walker of the stand-alone simulator: which table entries a translation reads, and in which order. The
// tables are a radix tree of 512 entries of 8 bytes each (x86-64 and AArch64 with a 4 KB granule, Intel SDM volume 3A,
// 4.5), one tree an address space, laid out in physical memory of their own in the order of first use. A leaf of 16 or
// 64 KB stands in the lowest table, as a contiguous run of entries. With two stages (nested paging) every pointer of
// the first stage is translated by the second, whose tables map each address to itself: up to 24 references. Left out:
// Accessed and Dirty bits, faults, and what the entries hold.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

#include "cache-sim/address.h"
#include "cache-sim/translation_caches.h"

namespace shearling {

/// Page-table walks of the simulator: a radix tree of 512 entries a table, in a physical area of its own.
struct WalkConfig {
  bool two_stage = false;                   ///< A second stage under the first (nested paging): up to 24 references.
  PageSize nested_page = PageSize::Size4K;  ///< Leaf of the second stage.
};

/// The references of one walk, in their order.
struct Walk {
  static constexpr unsigned kMostReferences = 24;
  std::array<PhysicalAddress, kMostReferences> references{};
  unsigned count = 0;
  unsigned skipped = 0;  ///< References that page-walk caches and the nested TLB saved.
  unsigned latency = 0;  ///< Cycles of those caches' own lookups.
};

class PageWalker {
 public:
  explicit PageWalker(WalkConfig config) : config_(config) {}
  /// Walks to the leaf of the page at `address`, of `size` in the first stage and at `guest_frame` before the second;
  /// consults and fills the page-walk caches and the nested TLB.
  Walk walk(VirtualAddress address, PageSize size, PhysicalAddress guest_frame, TlbTag tag, TranslationCaches& caches);
  /// What a TLB holds of a page of `size`: the smaller of the two stages' leaves.
  [[nodiscard]] PageSize effective_size(PageSize size) const;

 private:
  /// One tree of tables in an area of its own.
  struct Tree {
    std::uint64_t area = 0;
    std::unordered_map<std::uint64_t, std::uint64_t> tables;  ///< By what the table maps: its number in the area.
    PhysicalAddress entry(std::uint16_t address_space, std::uint64_t address, unsigned level);
  };
  void translate_again(PhysicalAddress guest, TranslationCaches& caches, Walk& walk);

  WalkConfig config_;
  Tree first_{.area = std::uint64_t{1} << 58U, .tables = {}};  // Above all that a page map hands out.
  Tree second_{.area = std::uint64_t{1} << 59U, .tables = {}};
};

}  // namespace shearling
