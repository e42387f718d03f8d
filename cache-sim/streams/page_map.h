// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which page holds which address, for references that come without a translation: what an operating system's memory
// manager would have decided. Deterministic: a function of the configuration and of the pages touched, in any order.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache-sim/address.h"

namespace shearling {

struct PageMapConfig {
  PageSize base_page = PageSize::Size4K;  ///< 4K, 16K or 64K: what is not a superpage.
  double superpage_share = 0;             ///< 0 to 1: chance that a 2 MB region is backed by one 2 MB page (Figure 3).
  /// 0 to 1: how scattered the frames of base pages are. 0: the base pages of one 2 MB region lie in order in one 2 MB
  /// frame (bits above the page offset agree); 1: each takes a frame anywhere.
  double fragmentation = 1;
  /// Explicit superpage regions, on top of the share: [first, last] virtual addresses, widened to 2 MB.
  struct Range {
    VirtualAddress first, last;
  };
  std::vector<Range> superpages;
  std::vector<Range> base_pages;        ///< Regions that are never superpages.
  unsigned physical_address_bits = 36;  ///< Frames are chosen below this.
  std::uint64_t seed = 1;
};
/// Why no such map can be built, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const PageMapConfig& config);

struct MappedPage {
  VirtualAddress page;
  PhysicalAddress frame;
  PageSize size = PageSize::Size4K;
};

class PageMap {
 public:
  /// `config` has no problem_of().
  explicit PageMap(PageMapConfig config);
  /// The page that holds `address`. No two pages of one size share a frame, whatever their address space.
  [[nodiscard]] MappedPage translate(VirtualAddress address, std::uint16_t address_space);
  /// The 2 MB page that holds `address` becomes base pages on the same frames. False: it was none.
  bool splinter(VirtualAddress address, std::uint16_t address_space);
  /// The base pages of the 2 MB region become one 2 MB page. The frames that their lines were cached under come out in
  /// `old_frames`, base pages that were touched alone. False: it was a superpage already.
  bool promote(VirtualAddress address, std::uint16_t address_space, std::vector<PhysicalAddress>& old_frames);

  /// Bytes touched so far, by page size: the footprint.
  [[nodiscard]] std::uint64_t footprint(PageSize size) const;
};

}  // namespace shearling
