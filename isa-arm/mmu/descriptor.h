// SPDX-License-Identifier: GPL-3.0-or-later
//
// Translation-table descriptors of VMSAv8-64 (DDI 0487, D8.3): where their fields are, which levels may hold blocks,
// and what a change of one means to those who remember it. Left out: 52-bit output addresses, guarded pages, FEAT_HPDS,
// PBHA, and the NS bits of Secure state.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache-sim/address.h"

namespace shearling::arm {

constexpr std::uint64_t low_bits(unsigned count) { return count >= 64 ? ~std::uint64_t{0} : (1ULL << count) - 1; }
constexpr std::uint64_t bit_field(std::uint64_t value, unsigned low, unsigned count) {
  return value >> low & low_bits(count);
}

namespace descriptor {
inline constexpr std::uint64_t kValid = 1ULL << 0, kTableOrPage = 1ULL << 1, kAccessFlag = 1ULL << 10,
                               kDirtyModifier = 1ULL << 51, kContiguous = 1ULL << 52;
// Stage 1
inline constexpr std::uint64_t kUserAccess = 1ULL << 6, kReadOnly = 1ULL << 7, kNotGlobal = 1ULL << 11,
                               kPrivilegedExecuteNever = 1ULL << 53, kExecuteNever = 1ULL << 54;
inline constexpr std::uint64_t kPxnTable = 1ULL << 59, kXnTable = 1ULL << 60, kApTableNoUser = 1ULL << 61,
                               kApTableReadOnly = 1ULL << 62;
// Stage 2
inline constexpr std::uint64_t kStageTwoRead = 1ULL << 6, kStageTwoWrite = 1ULL << 7;

constexpr unsigned memory_attribute_index(std::uint64_t entry) { return static_cast<unsigned>(bit_field(entry, 2, 3)); }
constexpr unsigned shareability(std::uint64_t entry) { return static_cast<unsigned>(bit_field(entry, 8, 2)); }
constexpr unsigned stage_two_memory_type(std::uint64_t entry) { return static_cast<unsigned>(bit_field(entry, 2, 4)); }
constexpr unsigned stage_two_execute_never(std::uint64_t entry) {
  return static_cast<unsigned>(bit_field(entry, 53, 2));
}
}  // namespace descriptor

inline constexpr unsigned kLastLevel = 3;  ///< Levels here are the architecture's: 0 to 3.
/// Levels count down in events and in the page-walk caches: 4 to 1.
constexpr unsigned event_level(unsigned level) { return 4 - level; }

/// Address bits that one level of a table of this granule (12, 14 or 16) resolves, and those below one entry of a
/// level.
constexpr unsigned stride_of(unsigned granule_shift) { return granule_shift - 3; }
constexpr unsigned level_shift(unsigned granule_shift, unsigned level) {
  return granule_shift + stride_of(granule_shift) * (kLastLevel - level);
}
/// DDI 0487, table D8-16 without 52-bit addresses: 1 GB and 2 MB, 32 MB, 512 MB.
constexpr bool may_be_block(unsigned granule_shift, unsigned level) {
  return level == 2 || (level == 1 && granule_shift == 12);
}
enum class DescriptorKind : std::uint8_t { Invalid, Table, Leaf };
DescriptorKind kind_of(std::uint64_t entry, unsigned granule_shift, unsigned level);
/// Of the next table, or of the block or page.
std::uint64_t output_address(std::uint64_t entry, unsigned granule_shift, unsigned level, DescriptorKind kind);

/// log2 of the pages of the last level that one contiguous run holds: 16 of 4 KB, 128 of 16 KB, 32 of 64 KB.
constexpr unsigned contiguous_shift(unsigned granule_shift) {
  return granule_shift == 12 ? 4 : granule_shift == 14 ? 7 : 5;
}
constexpr PageSize granule_size(unsigned granule_shift) {
  return granule_shift == 12 ? PageSize::Size4K : granule_shift == 14 ? PageSize::Size16K : PageSize::Size64K;
}
/// The largest page that a TLB can hold of a region of this size: 32 MB and 512 MB are held as pieces of 2 MB.
constexpr PageSize page_within(unsigned shift) {
  return shift >= 30   ? PageSize::Size1G
         : shift >= 21 ? PageSize::Size2M
         : shift >= 16 ? PageSize::Size64K
         : shift >= 14 ? PageSize::Size16K
                       : PageSize::Size4K;
}

/// True when what was remembered of `before` may differ from what `after` says: a valid descriptor that changes in
/// anything but software's bits and shareability, or an access flag being set. Nothing remembers an invalid one.
bool descriptor_differs(std::uint64_t before, std::uint64_t after);

/// "stage 1 L0" to "stage 2 L3".
std::string_view descriptor_name(unsigned stage, unsigned level);

}  // namespace shearling::arm
