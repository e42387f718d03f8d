// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which page holds which address, for references that come without a translation: what an operating system's memory
// manager would have decided. Page sizes are a pure function of configuration, address space and region. So are frames:
// the pages of one area of memory (up to half the physical memory) never want the same frame. Two areas, far apart or
// of two address spaces, may; then the page that was touched first has it, and the other takes the next of its choices.
// One half of physical memory is for 2 MB frames, the other for scattered base pages. Leaves out sharing between
// address spaces, 1 GB pages, and running out of memory: frames then come from above the physical addresses.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cache-sim/address.h"

namespace shearling {

struct PageMapConfig {
  PageSize base_page = PageSize::Size4K;  ///< 4K, 16K or 64K: what is not a superpage.
  /// 0 to 1: share of the 2 MB regions that are backed by one 2 MB page (Figure 3). Of 16 regions in a row, the share
  /// is met to within one.
  double superpage_share = 0;
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
  [[nodiscard]] MappedPage translate(VirtualAddress address, std::uint16_t address_space) {
    const Recent& recent = recent_[(address.value >> 12) & (kRecentPages - 1)];
    if (recent.page == address.value >> 12 && recent.address_space == address_space) return recent.mapped;
    return look_up(address, address_space);
  }
  /// The 2 MB page that holds `address` becomes base pages on the same frames. False: it was none.
  bool splinter(VirtualAddress address, std::uint16_t address_space);
  /// The base pages of the 2 MB region become one 2 MB page. The frames that their lines were cached under come out in
  /// `old_frames`, base pages that were touched alone. False: it was a superpage already.
  bool promote(VirtualAddress address, std::uint16_t address_space, std::vector<PhysicalAddress>& old_frames);

  /// Bytes touched so far, by page size: the footprint.
  [[nodiscard]] std::uint64_t footprint(PageSize size) const { return footprint_[static_cast<std::size_t>(size)]; }
  [[nodiscard]] const PageMapConfig& config() const { return config_; }

 private:
  static constexpr std::size_t kRecentPages = 256;
  static constexpr std::uint64_t kNoPage = ~std::uint64_t{0};

  /// One 2 MB region of one address space.
  struct Region {
    bool superpage = false;
    bool touched = false;  ///< As a superpage.
    bool has_home = false;
    bool splintered = false;            ///< Base pages stay in the 2 MB frame that they had together.
    PhysicalAddress home;               ///< The 2 MB frame of the superpage, or of base pages in order.
    std::vector<std::uint64_t> frames;  ///< Of base pages, kNoPage where never touched; empty before the first.
  };
  /// A page looked up lately, by 4 KB piece.
  struct Recent {
    std::uint64_t page = kNoPage;
    std::uint16_t address_space = 0;
    MappedPage mapped;
  };
  /// Frames of one size, handed out of one half of physical memory.
  struct FramePool {
    std::uint64_t base = 0;
    unsigned shift = 12;       ///< log2 of a frame's bytes.
    unsigned number_bits = 0;  ///< log2 of the number of frames.
    std::uint64_t key = 0;
    std::unordered_set<std::uint64_t> used;
    [[nodiscard]] std::uint64_t choice(std::uint64_t page, std::uint16_t address_space, std::uint64_t attempt) const;
  };

  MappedPage look_up(VirtualAddress address, std::uint16_t address_space);
  Region& region_of(VirtualAddress address, std::uint16_t address_space);
  [[nodiscard]] bool wants_superpage(std::uint64_t region, std::uint16_t address_space) const;
  [[nodiscard]] bool stays_at_home(std::uint64_t page, std::uint16_t address_space) const;
  PhysicalAddress home_of(Region& region, std::uint64_t number, std::uint16_t address_space);
  std::uint64_t base_frame(Region& region, VirtualAddress address, std::uint16_t address_space);
  PhysicalAddress take_frame(FramePool& pool, std::uint64_t page, std::uint16_t address_space);
  void forget_recent() { recent_.fill({}); }
  void count(PageSize size, std::uint64_t bytes) { footprint_[static_cast<std::size_t>(size)] += bytes; }

  PageMapConfig config_;
  unsigned base_shift_;
  std::array<Recent, kRecentPages> recent_{};
  std::unordered_map<std::uint64_t, Region> regions_;  ///< By region number << 16 | address space.
  FramePool homes_, scattered_;
  std::uint64_t overflow_;  ///< Next address above physical memory, once a pool is full.
  std::array<std::uint64_t, 5> footprint_{};
};

}  // namespace shearling
