// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmm/nested_memory.h"

#include <algorithm>

#include "core/base/assert.h"
#include "isa-x86/mmu/page_table_format.h"

namespace shearling::x86 {
namespace {

/// Guest RAM is backed from here on, so that physical addresses are visibly no guest-physical ones.
constexpr std::uint64_t kFirstBacking = 32ULL << 20;
/// Kept free above the guest's backing for the VMM's own frames.
constexpr std::uint64_t kOwnMemory = 32ULL << 20;
constexpr std::uint64_t kEptLeafWriteBack = 6ULL << 3;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }

std::uint64_t first_backing(PageSize unit) { return round_up(kFirstBacking, page_bytes(unit)); }

std::uint64_t bytes_needed(std::uint64_t ram_bytes, PageSize unit) {
  return first_backing(unit) + round_up(ram_bytes, kFrameBytes) + kOwnMemory;
}

unsigned leaf_level(PageSize size) { return size == PageSize::Size1G ? 3 : size == PageSize::Size2M ? 2 : 1; }

}  // namespace

std::uint64_t NestedMemory::physical_memory_bytes(const MachineConfig& config) {
  return bytes_needed(config.ram_bytes, config.vmm.nested_page);
}

NestedMemory::NestedMemory(PhysicalMemory& memory, const MachineConfig& config)
    : memory_(memory), ram_bytes_(config.ram_bytes) {
  // A machine without room for the alignment of the largest unit uses the next smaller one.
  std::array<PageSize, kRegions> units{PageSize::Size1G, PageSize::Size2M, PageSize::Size4K};
  PageSize largest = config.vmm.nested_page;
  while (largest != PageSize::Size4K && bytes_needed(ram_bytes_, largest) > memory.size())
    largest = largest == PageSize::Size1G ? PageSize::Size2M : PageSize::Size4K;
  std::uint64_t guest = 0;
  const std::uint64_t physical = memory.base().value + first_backing(largest);
  for (std::size_t index = 0; index < kRegions; ++index) {
    const std::uint64_t unit = page_bytes(units[index]);
    const bool in_use = unit <= page_bytes(largest);
    const std::uint64_t rest = ram_bytes_ - guest;
    const std::uint64_t bytes = !in_use ? 0 : unit == kFrameBytes ? round_up(rest, unit) : rest / unit * unit;
    regions_[index] = {units[index], guest, bytes, physical + guest};
    guest += bytes;
  }
  SHEARLING_ASSERT(bytes_needed(ram_bytes_, PageSize::Size4K) <= memory.size(),
                   "the machine has no room for the VMM beside the guest's RAM");
}

PhysicalAddress NestedMemory::allocate_frame() {
  ++own_frames_;
  SHEARLING_ASSERT(own_frames_ * kFrameBytes <= kOwnMemory, "the VMM's own memory is used up");
  return {memory_.base().value + memory_.size() - own_frames_ * kFrameBytes};
}

std::size_t NestedMemory::region_of(GuestPhysicalAddress address) const {
  const auto found = std::find_if(regions_.begin(), regions_.end(),
                                  [&](const Region& region) { return address.value - region.guest < region.bytes; });
  SHEARLING_ASSERT(found != regions_.end(), "backing was asked for outside the guest's RAM");
  return static_cast<std::size_t>(found - regions_.begin());
}

PhysicalAddress NestedMemory::backing(GuestPhysicalAddress address) {
  if (const auto known = find_backing(address)) return *known;
  const std::size_t index = region_of(address);
  const Region& region = regions_[index];
  const std::uint64_t unit = page_bytes(region.unit);
  const std::uint64_t physical = region.physical + used_[index]++ * unit;
  const std::uint64_t offset = address.value & (unit - 1);
  backing_[address.value - offset] = physical;
  return {physical + offset};
}

std::optional<PhysicalAddress> NestedMemory::find_backing(GuestPhysicalAddress address) const {
  if (!is_ram(address)) return std::nullopt;
  const std::uint64_t offset = address.value & page_offset_mask(regions_[region_of(address)].unit);
  const auto found = backing_.find(address.value - offset);
  if (found == backing_.end()) return std::nullopt;
  return PhysicalAddress{found->second + offset};
}

std::uint64_t NestedMemory::read(GuestPhysicalAddress address, unsigned bytes) const {
  const auto physical = find_backing(address);
  return physical ? memory_.read(*physical, bytes) : 0;
}

PhysicalAddress NestedMemory::root() {
  if (root_.value == 0) root_ = allocate_frame();
  return root_;
}

NestedMemory::Mapping NestedMemory::map(GuestPhysicalAddress address) {
  Mapping mapping;
  mapping.page_size = regions_[region_of(address)].unit;
  const unsigned leaf = leaf_level(mapping.page_size);
  PhysicalAddress table = root();
  for (unsigned level = kPagingLevels; level > leaf; --level) {
    const PhysicalAddress entry{table.value + 8 * table_index(address.value, level)};
    std::uint64_t value = memory_.read(entry, 8);
    if ((value & kEptPermissions) == 0) {
      value = allocate_frame().value | kEptPermissions;
      memory_.write(entry, 8, value);
      ++mapping.tables_added;
    }
    table = {value & kTableAddress};
  }
  mapping.leaf_entry = {table.value + 8 * table_index(address.value, leaf)};
  mapping.frame = {backing(address).value & ~page_offset_mask(mapping.page_size)};
  mapping.added = (memory_.read(mapping.leaf_entry, 8) & kEptPermissions) == 0;
  if (mapping.added)
    memory_.write(mapping.leaf_entry, 8,
                  mapping.frame.value | kEptPermissions | kEptLeafWriteBack | (leaf > 1 ? kEptLarge : 0));
  return mapping;
}

}  // namespace shearling::x86
