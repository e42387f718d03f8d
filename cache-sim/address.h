// SPDX-License-Identifier: GPL-3.0-or-later
//
// The three kinds of address, the kinds of access and the page sizes. Each kind of address is a type of its own, so
// that a guest-physical address can never be used where a physical one is meant. All are 64 bits wide, in bytes.
#pragma once

#include <compare>
#include <cstdint>

namespace shearling {

/// A linear (virtual) address of the running program.
struct VirtualAddress {
  std::uint64_t value = 0;
  auto operator<=>(const VirtualAddress&) const = default;
};

/// What the guest takes for a physical address: the result of stage 1, the input of stage 2 (Arm: IPA).
struct GuestPhysicalAddress {
  std::uint64_t value = 0;
  auto operator<=>(const GuestPhysicalAddress&) const = default;
};

/// An address on the machine's memory bus (host-physical where a VMM runs).
struct PhysicalAddress {
  std::uint64_t value = 0;
  auto operator<=>(const PhysicalAddress&) const = default;
};

enum class AccessKind : std::uint8_t { Fetch, Read, Write };

enum class PageSize : std::uint8_t { Size4K, Size16K, Size64K, Size2M, Size1G };

/// log2 of the page's size in bytes.
constexpr unsigned page_shift(PageSize size) {
  switch (size) {
    case PageSize::Size4K:
      return 12;
    case PageSize::Size16K:
      return 14;
    case PageSize::Size64K:
      return 16;
    case PageSize::Size2M:
      return 21;
    case PageSize::Size1G:
      return 30;
  }
  return 12;
}
constexpr std::uint64_t page_bytes(PageSize size) { return std::uint64_t{1} << page_shift(size); }
constexpr std::uint64_t page_offset_mask(PageSize size) { return page_bytes(size) - 1; }

/// What SEESAW calls one: 2 MB or larger.
constexpr bool is_superpage(PageSize size) { return page_shift(size) >= page_shift(PageSize::Size2M); }

constexpr std::uint64_t kFrameBytes = 4096;
constexpr std::uint64_t frame_number(PhysicalAddress address) { return address.value >> 12; }

}  // namespace shearling
