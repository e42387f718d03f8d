// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmm/guest_tables.h"

#include <array>

#include "isa-x86/mmu/page_table_format.h"
#include "isa-x86/vmx/vmcs_fields.h"

namespace shearling::x86 {
namespace {

// Page-fault error code.
constexpr std::uint32_t kFaultPresent = 1, kFaultWrite = 2, kFaultUser = 4, kFaultReserved = 8, kFaultFetch = 16;

}  // namespace

GuestTables::Result GuestTables::translate(VirtualAddress address, AccessKind kind, unsigned cpl) {
  using F = VmcsField;
  const std::uint64_t cr0 = vmcs_.read(F::GuestCr0), cr4 = vmcs_.read(F::GuestCr4), efer = vmcs_.read(F::GuestEfer);
  if ((cr0 & kCr0Pg) == 0) return GuestPhysicalAddress{address.value & 0xffffffff};
  if ((efer & kEferLma) == 0) return NoMemory{};

  const bool write = kind == AccessKind::Write, fetch = kind == AccessKind::Fetch, user = cpl == 3;
  const bool no_execute = (efer & kEferNxe) != 0;
  const std::uint32_t code = (write ? kFaultWrite : 0) | (user ? kFaultUser : 0) |
                             (fetch && (no_execute || (cr4 & kCr4Smep) != 0) ? kFaultFetch : 0);
  struct Used {
    PhysicalAddress entry;
    std::uint64_t value;
  };
  std::array<Used, kPagingLevels> used{};
  unsigned used_count = 0;
  std::uint64_t rights = kEntryWritable | kEntryUser, execute_disable = 0;
  GuestPhysicalAddress table{vmcs_.read(F::GuestCr3) & kTableAddress};
  for (unsigned level = kPagingLevels;; --level) {
    const GuestPhysicalAddress entry{table.value + 8 * table_index(address.value, level)};
    const bool ram = nested_.is_ram(entry);
    const std::uint64_t value = ram ? nested_.read(entry, 8) : ~std::uint64_t{0};  // Nobody answers on the bus.
    if ((value & kEntryPresent) == 0) return PageFault{address, code};
    if (reserved_bits_set(level, value, no_execute, true) != 0)
      return PageFault{address, code | kFaultPresent | kFaultReserved};
    used[used_count++] = {nested_.backing(entry), value};
    rights &= value;
    execute_disable |= no_execute ? value & kEntryExecuteDisable : 0;
    if (is_leaf(level, value)) break;
    table = {value & kTableAddress};
  }
  const bool user_page = (rights & kEntryUser) != 0, writable = (rights & kEntryWritable) != 0;
  const bool smap_forbids =
      (cr4 & kCr4Smap) != 0 && !user && user_page && !fetch && (vmcs_.read(F::GuestRflags) & kFlagAc) == 0;
  const bool smep_forbids = (cr4 & kCr4Smep) != 0 && !user && user_page && fetch;
  const bool forbidden = (user && !user_page) || (write && !writable && (user || (cr0 & kCr0Wp) != 0)) ||
                         (fetch && execute_disable != 0) || smap_forbids || smep_forbids;
  if (forbidden) return PageFault{address, code | kFaultPresent};
  for (unsigned index = 0; index < used_count; ++index) {
    const bool leaf = index + 1 == used_count;
    const std::uint64_t value = used[index].value | kEntryAccessed | (leaf && write ? kEntryDirty : 0);
    if (value != used[index].value) memory_.write(used[index].entry, 8, value);
  }
  const std::uint64_t offset_mask = page_offset_mask(leaf_size(kPagingLevels + 1 - used_count));
  const std::uint64_t frame = used[used_count - 1].value & kTableAddress & ~offset_mask;
  return GuestPhysicalAddress{frame | (address.value & offset_mask)};
}

}  // namespace shearling::x86
