// SPDX-License-Identifier: GPL-3.0-or-later
//
// The formats of page-table entries: 4-level paging (SDM volume 3A, tables 4-15 to 4-20) and EPT (volume 3C, tables
// 28-1 to 28-7). Left out: protection keys, memory types, mode-based execute control, supervisor shadow stacks.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache-sim/address.h"
#include "isa-x86/cpu/system_state.h"

namespace shearling::x86 {

inline constexpr std::uint64_t kTableAddress = ((1ULL << kPhysicalAddressBits) - 1) & ~std::uint64_t{0xfff};
inline constexpr std::uint64_t kBeyondPhysicalAddress = ((1ULL << 52) - 1) & ~((1ULL << kPhysicalAddressBits) - 1);
inline constexpr unsigned kPagingLevels = 4;

inline constexpr std::uint64_t kEntryPresent = 1ULL << 0, kEntryWritable = 1ULL << 1, kEntryUser = 1ULL << 2,
                               kEntryWriteThrough = 1ULL << 3, kEntryCacheDisable = 1ULL << 4,
                               kEntryAccessed = 1ULL << 5, kEntryDirty = 1ULL << 6, kEntryLarge = 1ULL << 7,
                               kEntryGlobal = 1ULL << 8, kEntryExecuteDisable = 1ULL << 63;
inline constexpr std::uint64_t kEptRead = 1ULL << 0, kEptWrite = 1ULL << 1, kEptExecute = 1ULL << 2,
                               kEptPermissions = 7, kEptLarge = 1ULL << 7, kEptAccessed = 1ULL << 8,
                               kEptDirty = 1ULL << 9;

/// Bits of an address below what one entry of this level maps: 12, 21, 30, 39.
constexpr unsigned level_shift(unsigned level) { return 12 + 9 * (level - 1); }
constexpr std::uint64_t table_index(std::uint64_t address, unsigned level) {
  return address >> level_shift(level) & 511;
}
constexpr PageSize leaf_size(unsigned level) {
  return level == 1 ? PageSize::Size4K : level == 2 ? PageSize::Size2M : PageSize::Size1G;
}
/// References that reach a leaf of this size from the root of a 4-level table.
constexpr unsigned references_to(PageSize leaf) {
  return leaf == PageSize::Size4K ? 4 : leaf == PageSize::Size2M ? 3 : 2;
}
constexpr PageSize smaller(PageSize a, PageSize b) { return page_shift(a) < page_shift(b) ? a : b; }
constexpr bool is_leaf(unsigned level, std::uint64_t entry) {
  return level == 1 || (level < 4 && (entry & kEntryLarge) != 0);
}

/// The reserved bits that are set in a present stage-1 entry.
std::uint64_t reserved_bits_set(unsigned level, std::uint64_t entry, bool no_execute_enabled, bool gigabyte_pages);
/// True for a present EPT entry that no translation may use (SDM 28.2.3.1). Execute-only pages are supported.
bool is_ept_misconfigured(unsigned level, std::uint64_t entry);

/// True when a translation or table pointer made from `before` (present) may differ from one made from `after` where
/// hardware can notice. Not so: software bits, cache control, Accessed and Dirty flags being set, and permissions being
/// granted (who lacks them walks again before it faults).
bool stage1_entry_differs(std::uint64_t before, std::uint64_t after);
bool ept_entry_differs(std::uint64_t before, std::uint64_t after);

/// "PTE", "PDE", "PDPTE", "PML4E" for levels 1 to 4; the same with "EPT " before it.
std::string_view stage1_entry_name(unsigned level);
std::string_view ept_entry_name(unsigned level);

}  // namespace shearling::x86
