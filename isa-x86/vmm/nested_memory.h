// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMM's memory management: which physical frames back the guest's RAM, and the extended page tables (SDM volume
// 3C, section 28.2) that say so. Guest-physical memory is backed in units of the largest EPT leaf that the machine
// description allows, in the order of first touch; where the RAM's size is no multiple of it, smaller ones cover the
// rest. The VMM's own frames (tables, bitmaps) come from the top of physical memory downwards.
// Left out: giving memory back, sharing, swapping, EPT permissions other than read, write and execute together.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "core/machine/machine_config.h"
#include "core/memory/physical_memory.h"

namespace shearling::x86 {

class NestedMemory {
 public:
  /// `memory` is borrowed.
  NestedMemory(PhysicalMemory& memory, const MachineConfig& config);

  /// Physical memory that a machine needs for this guest RAM and the VMM.
  [[nodiscard]] static std::uint64_t physical_memory_bytes(const MachineConfig& config);

  /// A zeroed frame for the VMM itself.
  PhysicalAddress allocate_frame();

  [[nodiscard]] bool is_ram(GuestPhysicalAddress address) const { return address.value < ram_bytes_; }
  /// Where guest RAM lies; backs it where it is touched for the first time.
  PhysicalAddress backing(GuestPhysicalAddress address);
  [[nodiscard]] std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const;
  /// Guest RAM through its backing; unbacked memory reads as zero.
  [[nodiscard]] std::uint64_t read(GuestPhysicalAddress address, unsigned bytes) const;

  struct Mapping {
    bool added = false;  ///< False: the leaf was there already.
    PageSize page_size = PageSize::Size4K;
    PhysicalAddress frame;       ///< Of the leaf.
    PhysicalAddress leaf_entry;  ///< Where the entry was written.
    unsigned tables_added = 0;
  };
  /// Backs the guest's page and enters it into the EPT.
  Mapping map(GuestPhysicalAddress address);
  /// The root table's address; the root is made on first use.
  PhysicalAddress root();
  [[nodiscard]] std::size_t pages_backed() const { return backing_.size(); }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(backing_, used_, own_frames_, root_.value);
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

  PhysicalMemory& memory_;
  std::uint64_t ram_bytes_;
  std::array<Region, kRegions> regions_{};
  std::map<std::uint64_t, std::uint64_t> backing_;  ///< Guest-physical base of a unit to its physical base.
  std::array<std::uint64_t, kRegions> used_{};      ///< Units taken of each region.
  std::uint64_t own_frames_ = 0;
  PhysicalAddress root_;
};

}  // namespace shearling::x86
