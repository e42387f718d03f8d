// SPDX-License-Identifier: GPL-3.0-or-later
//
// The stage-2 translation tables of one virtual machine (DDI 0487, D8.2.12 and D8.3), built entry by entry as the guest
// touches its memory: 4 KB granule, 40-bit intermediate addresses, so that the walk begins at level 1 with two
// concatenated tables of 512 entries; pages of 4 KB, blocks of 2 MB and 1 GB. All of the guest's RAM is Normal memory
// with all rights; which frames back it is GuestMemory's business. Left out: device memory (every device access traps),
// taking a mapping back.
#pragma once

#include <cstdint>

#include "core/machine/machine_config.h"
#include "core/vmm/guest_memory.h"
#include "isa-arm/vmm/host.h"

namespace shearling::arm {

/// VTCR_EL2 (DDI 0487, D19.2.161) for these tables.
namespace vtcr {
inline constexpr std::uint64_t kT0szShift = 0, kSl0Shift = 6, kInnerWriteBack = 1U << 8, kOuterWriteBack = 1U << 10,
                               kInnerShareable = 3U << 12, kPhysicalSizeShift = 16, kHardwareAccess = 1U << 21,
                               kHardwareDirty = 1U << 22, kAlwaysOne = 1U << 31;
}  // namespace vtcr

class StageTwoTables {
 public:
  /// Borrowed. `hardware_management`: the walker sets the access flag and the dirty state itself (FEAT_HAFDBS).
  StageTwoTables(GuestMemory& guest, VmmFrames& frames, bool hardware_management)
      : guest_(guest), frames_(frames), hardware_management_(hardware_management) {}

  struct Mapping {
    bool added = false;  ///< False: the leaf was there already.
    PageSize page_size = PageSize::Size4K;
    PhysicalAddress frame;
    std::uint64_t entry = 0;
    unsigned tables_added = 0;
  };
  /// Backs the guest's page and enters it. The host's stores go through the core, which may know of translations.
  Mapping map(HostCore& core, GuestPhysicalAddress address);
  /// The first of the concatenated tables; made on first use.
  PhysicalAddress root();
  [[nodiscard]] std::uint64_t control() const;  ///< For VTCR_EL2.

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(root_.value);
  }

 private:
  [[nodiscard]] std::uint64_t leaf(PhysicalAddress frame, bool page) const;

  GuestMemory& guest_;
  VmmFrames& frames_;
  bool hardware_management_;
  PhysicalAddress root_;
};

}  // namespace shearling::arm
