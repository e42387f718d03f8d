// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmm/nested_memory.h"

#include "isa-x86/mmu/page_table_format.h"

namespace shearling::x86 {
namespace {

constexpr std::uint64_t kEptLeafWriteBack = 6ULL << 3;

unsigned leaf_level(PageSize size) { return size == PageSize::Size1G ? 3 : size == PageSize::Size2M ? 2 : 1; }

}  // namespace

std::uint64_t NestedMemory::physical_memory_bytes(const MachineConfig& config) {
  return GuestMemory::physical_memory_bytes(config.ram_bytes, config.vmm.nested_page);
}

NestedMemory::NestedMemory(PhysicalMemory& memory, const MachineConfig& config)
    : memory_(memory),
      guest_(memory, {.base = {0}, .ram_bytes = config.ram_bytes, .largest_unit = config.vmm.nested_page}),
      frames_(memory) {}

PhysicalAddress NestedMemory::root() {
  if (root_.value == 0) root_ = allocate_frame();
  return root_;
}

NestedMemory::Mapping NestedMemory::map(GuestPhysicalAddress address) {
  Mapping mapping;
  mapping.page_size = guest_.unit_of(address);
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
