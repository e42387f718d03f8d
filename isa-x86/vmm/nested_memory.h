// SPDX-License-Identifier: GPL-3.0-or-later
//
// The extended page tables (SDM volume 3C, section 28.2) that say which physical frames back the guest's RAM. The
// frames themselves are GuestMemory's business. Left out: EPT permissions other than read, write and execute together.
#pragma once

#include <cstdint>
#include <optional>

#include "core/machine/machine_config.h"
#include "core/memory/physical_memory.h"
#include "core/vmm/guest_memory.h"

namespace shearling::x86 {

class NestedMemory {
 public:
  /// `memory` is borrowed.
  NestedMemory(PhysicalMemory& memory, const MachineConfig& config);

  /// Physical memory that a machine needs for this guest RAM and the VMM.
  [[nodiscard]] static std::uint64_t physical_memory_bytes(const MachineConfig& config);

  /// A zeroed frame for the VMM itself.
  PhysicalAddress allocate_frame() { return frames_.allocate(); }

  [[nodiscard]] bool is_ram(GuestPhysicalAddress address) const { return guest_.is_ram(address); }
  /// Where guest RAM lies; backs it where it is touched for the first time.
  PhysicalAddress backing(GuestPhysicalAddress address) { return guest_.backing(address); }
  [[nodiscard]] std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const {
    return guest_.find_backing(address);
  }
  /// Guest RAM through its backing; unbacked memory reads as zero.
  [[nodiscard]] std::uint64_t read(GuestPhysicalAddress address, unsigned bytes) const {
    return guest_.read(address, bytes);
  }

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
  [[nodiscard]] std::size_t pages_backed() const { return guest_.units().size(); }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(guest_, frames_, root_.value);
  }

 private:
  PhysicalMemory& memory_;
  GuestMemory guest_;
  VmmFrames frames_;
  PhysicalAddress root_;
};

}  // namespace shearling::x86
