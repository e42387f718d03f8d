// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which physical frames back a guest's RAM, for the VMM of any instruction set: what stage 2 or the EPT then say in the
// architecture's own format. Guest-physical memory is backed in units of the largest leaf that the machine description
// allows, in the order of first touch; where the RAM's size is no multiple of it, smaller ones cover the rest.
// The VMM's own frames (tables, bitmaps) come from the top of physical memory downwards.
// Left out: giving memory back, sharing, swapping.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "core/memory/physical_memory.h"

namespace shearling {

/// Frames for the VMM itself.
class VmmFrames {
 public:
  explicit VmmFrames(const PhysicalMemory& memory) : memory_(memory) {}
  /// `count` zeroed frames side by side, aligned to their size, which is a power of two.
  PhysicalAddress allocate(unsigned count = 1);

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(taken_);
  }

 private:
  const PhysicalMemory& memory_;
  std::uint64_t taken_ = 0;  ///< From the top of memory.
};

class GuestMemory {
 public:
  /// What the guest believes, and its share of the machine.
  struct Layout {
    GuestPhysicalAddress base;                 ///< Where the guest's RAM begins for it.
    std::uint64_t ram_bytes = 0;               ///< Of each guest.
    PageSize largest_unit = PageSize::Size4K;  ///< Of backing.
    unsigned guests = 1, guest = 0;            ///< How many share the machine, and which one this is.
  };

  /// `memory` is borrowed.
  GuestMemory(const PhysicalMemory& memory, const Layout& layout);

  /// Physical memory that a machine needs for its guests' RAM and the VMM.
  [[nodiscard]] static std::uint64_t physical_memory_bytes(std::uint64_t ram_bytes, PageSize largest_unit,
                                                           unsigned guests = 1);

  [[nodiscard]] bool is_ram(GuestPhysicalAddress address) const {
    return address.value - layout_.base.value < layout_.ram_bytes;
  }
  /// Of the unit that backs this address, which must be RAM.
  [[nodiscard]] PageSize unit_of(GuestPhysicalAddress address) const { return regions_[region_of(address)].unit; }
  /// Where guest RAM lies; backs it where it is touched for the first time.
  PhysicalAddress backing(GuestPhysicalAddress address);
  [[nodiscard]] std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const;
  /// Guest RAM through its backing; unbacked memory reads as zero.
  [[nodiscard]] std::uint64_t read(GuestPhysicalAddress address, unsigned bytes) const;
  /// Guest-physical base of each backed unit, and where it lies.
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& units() const { return backing_; }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(backing_, used_);
  }

 private:
  static constexpr std::size_t kRegions = 3;
  /// RAM that is backed in units of one size: largest first, the rest of the RAM in the next smaller.
  struct Region {
    PageSize unit = PageSize::Size4K;
    std::uint64_t guest = 0, bytes = 0;  ///< Guest-physical range.
    std::uint64_t physical = 0;          ///< Of its first unit.
  };
  [[nodiscard]] std::size_t region_of(GuestPhysicalAddress address) const;

  const PhysicalMemory& memory_;
  Layout layout_;
  std::array<Region, kRegions> regions_{};
  std::map<std::uint64_t, std::uint64_t> backing_;  ///< Guest-physical base of a unit to its physical base.
  std::array<std::uint64_t, kRegions> used_{};      ///< Units taken of each region.
};

}  // namespace shearling
