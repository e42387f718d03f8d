// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/vmm/guest_memory.h"

#include <algorithm>

#include "core/base/assert.h"

namespace shearling {
namespace {

/// Guest RAM is backed from here on, so that physical addresses are visibly no guest-physical ones.
constexpr std::uint64_t kFirstBacking = 32ULL << 20;
/// Kept free above the guests' backing for the VMM's own frames.
constexpr std::uint64_t kOwnMemory = 32ULL << 20;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }

std::uint64_t first_backing(PageSize unit) { return round_up(kFirstBacking, page_bytes(unit)); }

/// From one guest's backing to the next one's.
std::uint64_t guest_stride(std::uint64_t ram_bytes, PageSize unit) { return round_up(ram_bytes, page_bytes(unit)); }

}  // namespace

PhysicalAddress VmmFrames::allocate(unsigned count) {
  taken_ = round_up(taken_ + count, count);
  SHEARLING_ASSERT(taken_ * kFrameBytes <= kOwnMemory, "the VMM's own memory is used up");
  return {memory_.base().value + memory_.size() - taken_ * kFrameBytes};
}

std::uint64_t GuestMemory::physical_memory_bytes(std::uint64_t ram_bytes, PageSize largest_unit, unsigned guests) {
  return first_backing(largest_unit) + (guests - 1) * guest_stride(ram_bytes, largest_unit) +
         round_up(ram_bytes, kFrameBytes) + kOwnMemory;
}

GuestMemory::GuestMemory(const PhysicalMemory& memory, const Layout& layout) : memory_(memory), layout_(layout) {
  // A machine without room for the alignment of the largest unit uses the next smaller one.
  std::array<PageSize, kRegions> units{PageSize::Size1G, PageSize::Size2M, PageSize::Size4K};
  const auto needed = [&](PageSize unit) { return physical_memory_bytes(layout.ram_bytes, unit, layout.guests); };
  PageSize largest = layout.largest_unit;
  while (largest != PageSize::Size4K && needed(largest) > memory.size())
    largest = largest == PageSize::Size1G ? PageSize::Size2M : PageSize::Size4K;
  std::uint64_t done = 0;
  const std::uint64_t physical =
      memory.base().value + first_backing(largest) + layout.guest * guest_stride(layout.ram_bytes, largest);
  for (std::size_t index = 0; index < kRegions; ++index) {
    const std::uint64_t unit = page_bytes(units[index]);
    const bool in_use = unit <= page_bytes(largest);
    const std::uint64_t rest = layout.ram_bytes - done;
    const std::uint64_t bytes = !in_use ? 0 : unit == kFrameBytes ? round_up(rest, unit) : rest / unit * unit;
    regions_[index] = {units[index], layout.base.value + done, bytes, physical + done};
    done += bytes;
  }
  SHEARLING_ASSERT(needed(PageSize::Size4K) <= memory.size(),
                   "the machine has no room for the VMM beside the guests' RAM");
}

std::size_t GuestMemory::region_of(GuestPhysicalAddress address) const {
  const auto found = std::find_if(regions_.begin(), regions_.end(),
                                  [&](const Region& region) { return address.value - region.guest < region.bytes; });
  SHEARLING_ASSERT(found != regions_.end(), "backing was asked for outside the guest's RAM");
  return static_cast<std::size_t>(found - regions_.begin());
}

PhysicalAddress GuestMemory::backing(GuestPhysicalAddress address) {
  if (const auto known = find_backing(address)) return *known;
  const std::size_t index = region_of(address);
  const Region& region = regions_[index];
  const std::uint64_t unit = page_bytes(region.unit);
  const std::uint64_t physical = region.physical + used_[index]++ * unit;
  const std::uint64_t offset = address.value & (unit - 1);
  backing_[address.value - offset] = physical;
  return {physical + offset};
}

std::optional<PhysicalAddress> GuestMemory::find_backing(GuestPhysicalAddress address) const {
  if (!is_ram(address)) return std::nullopt;
  const std::uint64_t offset = address.value & page_offset_mask(unit_of(address));
  const auto found = backing_.find(address.value - offset);
  if (found == backing_.end()) return std::nullopt;
  return PhysicalAddress{found->second + offset};
}

std::uint64_t GuestMemory::read(GuestPhysicalAddress address, unsigned bytes) const {
  const auto physical = find_backing(address);
  return physical ? memory_.read(*physical, bytes) : 0;
}

}  // namespace shearling
