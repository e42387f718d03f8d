// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/mmu/page_table_format.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "isa-x86/mmu/mmu.h"

namespace shearling::x86 {

namespace {

constexpr std::uint64_t bits(unsigned high, unsigned low) { return ((2ULL << high) - 1) & ~((1ULL << low) - 1); }

constexpr std::uint64_t kSoftwareBits = bits(11, 9) | bits(62, 52);
constexpr std::uint64_t kEptSoftwareBits = bits(11, 10) | bits(62, 52);

constexpr std::array<std::string_view, 5> kStage1Names = {"", "PTE", "PDE", "PDPTE", "PML4E"};
constexpr std::array<std::string_view, 5> kEptNames = {"", "EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E"};

struct NamedBit {
  std::string_view name;
  unsigned bit;
};
constexpr std::array kStage1Bits = {NamedBit{"P", 0},   NamedBit{"R/W", 1}, NamedBit{"U/S", 2},
                                    NamedBit{"PWT", 3}, NamedBit{"PCD", 4}, NamedBit{"A", 5}};
constexpr std::array kEptBits = {NamedBit{"R", 0}, NamedBit{"W", 1}, NamedBit{"X", 2}, NamedBit{"A", 8}};

template <typename Bits>
void add_bits(std::string& text, const Bits& named, std::uint64_t entry) {
  for (const NamedBit& bit : named) text += fmt::format("{}={} ", bit.name, entry >> bit.bit & 1);
}

unsigned level_of(std::string_view name) {
  for (unsigned level = 1; level <= kPagingLevels; ++level) {
    if (name == kStage1Names[level] || name == kEptNames[level]) return level;
  }
  return 1;
}

std::uint64_t leaf_address(unsigned level, std::uint64_t entry) {
  const std::uint64_t address = entry & bits(51, 12);
  return is_leaf(level, entry) ? address & ~page_offset_mask(leaf_size(level)) : address;
}

std::string_view leaf_words(unsigned level) {
  return level == 1 ? "4 KB frame" : level == 2 ? "2 MB frame" : "1 GB frame";
}

}  // namespace

std::uint64_t reserved_bits_set(unsigned level, std::uint64_t entry, bool no_execute_enabled, bool gigabyte_pages) {
  std::uint64_t reserved = kBeyondPhysicalAddress;
  if (!no_execute_enabled) reserved |= kEntryExecuteDisable;
  if (level == 4 || (level == 3 && !gigabyte_pages)) reserved |= kEntryLarge;
  // A large page is aligned to its size; bit 12 is PAT.
  if (is_leaf(level, entry) && level != 1) reserved |= bits(level_shift(level) - 1, 13);
  return entry & reserved;
}

bool is_ept_misconfigured(unsigned level, std::uint64_t entry) {
  if ((entry & (kEptWrite | kEptRead)) == kEptWrite) return true;
  std::uint64_t reserved = kBeyondPhysicalAddress;
  if (!is_leaf(level, entry)) {
    reserved |= bits(6, 3) | (level == 4 ? kEptLarge : 0);
    return (entry & reserved) != 0;
  }
  if (level != 1) reserved |= bits(level_shift(level) - 1, 12);
  const std::uint64_t memory_type = entry >> 3 & 7;
  return (entry & reserved) != 0 || memory_type == 2 || memory_type == 3 || memory_type == 7;
}

bool stage1_entry_differs(std::uint64_t before, std::uint64_t after) {
  constexpr std::uint64_t kMayBeSet = kEntryAccessed | kEntryDirty | kEntryWritable;
  std::uint64_t changed = (before ^ after) & ~(kSoftwareBits | kEntryWriteThrough | kEntryCacheDisable);
  changed &= ~(after & kMayBeSet) & ~(before & kEntryExecuteDisable);
  return (before & kEntryPresent) != 0 && changed != 0;
}

bool ept_entry_differs(std::uint64_t before, std::uint64_t after) {
  constexpr std::uint64_t kMayBeSet = kEptPermissions | kEptAccessed | kEptDirty;
  const std::uint64_t changed = (before ^ after) & ~kEptSoftwareBits & ~(after & kMayBeSet);
  return (before & kEptPermissions) != 0 && changed != 0;
}

std::string_view stage1_entry_name(unsigned level) { return kStage1Names[level]; }
std::string_view ept_entry_name(unsigned level) { return kEptNames[level]; }

std::string describe_page_table_entry(std::string_view name, std::uint64_t entry) {
  const unsigned level = level_of(name);
  const bool nested = name.starts_with("EPT ");
  const bool leaf = is_leaf(level, entry);
  std::string text;
  if (nested) {
    if ((entry & kEptPermissions) == 0)
      return fmt::format("R=0 W=0 X=0: not present; the other bits ({:#x}) mean nothing", entry);
    add_bits(text, kEptBits, entry);
    if (leaf) text += fmt::format("D={} memory type={} IPAT={} ", entry >> 9 & 1, entry >> 3 & 7, entry >> 6 & 1);
  } else {
    if ((entry & kEntryPresent) == 0)
      return fmt::format("P=0: not present; the other bits ({:#x}) mean nothing", entry);
    add_bits(text, kStage1Bits, entry);
    if (leaf)
      text += fmt::format("D={} G={} PAT={} ", entry >> 6 & 1, entry >> 8 & 1, entry >> (level == 1 ? 7 : 12) & 1);
    text += fmt::format("XD={} ", entry >> 63);
  }
  if (level != 1) text += fmt::format("PS={} ", entry >> 7 & 1);
  text += fmt::format("{} {:#x}", leaf ? leaf_words(level) : "next table", leaf_address(level, entry));
  return text;
}

}  // namespace shearling::x86
