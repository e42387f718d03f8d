// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/vmm/stage_two_tables.h"

namespace shearling::arm {
namespace {

constexpr unsigned kIntermediateBits = 40, kFirstLevel = 1, kLastLevel = 3, kConcatenated = 2;
constexpr std::uint64_t kFortyBitsOutput = 2;  ///< VTCR_EL2.PS
constexpr std::uint64_t kValid = 1, kTableOrPage = 2;
constexpr std::uint64_t kTableAddress = 0x0000'ffff'ffff'f000;
/// A leaf's attributes (DDI 0487, D8.3.2): Normal, write-back in both domains; S2AP; inner shareable; AF; DBM.
constexpr std::uint64_t kNormalWriteBack = 0xfU << 2, kReadable = 1U << 6, kWritable = 1U << 7,
                        kInnerShareable = 3U << 8, kAccessed = 1U << 10, kDirtyManaged = 1ULL << 51;

constexpr unsigned shift_of(unsigned level) { return 12 + 9 * (kLastLevel - level); }
unsigned leaf_level(PageSize size) { return size == PageSize::Size1G ? 1 : size == PageSize::Size2M ? 2 : 3; }

/// The first level's index runs through both concatenated tables.
std::uint64_t index_of(GuestPhysicalAddress address, unsigned level) {
  const std::uint64_t entries = level == kFirstLevel ? 512 * kConcatenated : 512;
  return address.value >> shift_of(level) & (entries - 1);
}

}  // namespace

std::uint64_t StageTwoTables::control() const {
  constexpr std::uint64_t kBeginsAtLevelOne = 1;  // SL0 with the 4 KB granule.
  const std::uint64_t management = hardware_management_ ? vtcr::kHardwareAccess | vtcr::kHardwareDirty : 0;
  return (64 - kIntermediateBits) << vtcr::kT0szShift | kBeginsAtLevelOne << vtcr::kSl0Shift | vtcr::kInnerWriteBack |
         vtcr::kOuterWriteBack | vtcr::kInnerShareable | kFortyBitsOutput << vtcr::kPhysicalSizeShift | management |
         vtcr::kAlwaysOne;
}

PhysicalAddress StageTwoTables::root() {
  if (root_.value == 0) root_ = frames_.allocate(kConcatenated);
  return root_;
}

std::uint64_t StageTwoTables::leaf(PhysicalAddress frame, bool page) const {
  // Hardware management: not accessed yet, and clean, which is "not writable, but may be made so".
  const std::uint64_t state = hardware_management_ ? kReadable | kDirtyManaged : kReadable | kWritable | kAccessed;
  return frame.value | kNormalWriteBack | kInnerShareable | state | kValid | (page ? kTableOrPage : 0);
}

StageTwoTables::Mapping StageTwoTables::map(HostCore& core, GuestPhysicalAddress address) {
  const PhysicalMemory& memory = core.context().memory;
  Mapping mapping;
  mapping.page_size = guest_.unit_of(address);
  const unsigned last = leaf_level(mapping.page_size);
  PhysicalAddress table = root();
  for (unsigned level = kFirstLevel; level < last; ++level) {
    const PhysicalAddress entry{table.value + 8 * index_of(address, level)};
    std::uint64_t value = memory.read(entry, 8);
    if ((value & kValid) == 0) {
      value = frames_.allocate().value | kValid | kTableOrPage;
      core.store(entry, 8, value);
      ++mapping.tables_added;
    }
    table = {value & kTableAddress};
  }
  const PhysicalAddress entry{table.value + 8 * index_of(address, last)};
  mapping.frame = {guest_.backing(address).value & ~page_offset_mask(mapping.page_size)};
  mapping.entry = memory.read(entry, 8);
  mapping.added = (mapping.entry & kValid) == 0;
  if (!mapping.added) return mapping;
  mapping.entry = leaf(mapping.frame, last == kLastLevel);
  core.store(entry, 8, mapping.entry);
  return mapping;
}

}  // namespace shearling::arm
