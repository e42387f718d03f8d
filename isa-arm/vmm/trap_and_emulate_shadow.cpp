// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/vmm/trap_and_emulate_shadow.h"

#include <algorithm>

namespace shearling::arm {
namespace {

constexpr std::size_t kMostSpaces = 32, kMostTables = 2048;
constexpr unsigned kTablesOfOneMapping = 3;
constexpr unsigned kEntries = 512;
constexpr std::uint64_t kValid = 1, kTableOrPage = 2;
constexpr std::uint64_t kTableAddress = 0x0000'ffff'ffff'f000;
/// A page (DDI 0487, D8.3.2): AP[1] for EL0, AP[2] read-only, inner shareable, AF, nG, PXN, UXN. MAIR index 0.
constexpr std::uint64_t kUser = 1U << 6, kReadOnly = 1U << 7, kInnerShareable = 3U << 8, kAccessed = 1U << 10,
                        kNotGlobal = 1U << 11, kPrivilegedExecuteNever = 1ULL << 53, kExecuteNever = 1ULL << 54;

constexpr unsigned shift_of(unsigned level) { return 12 + 9 * (3 - level); }

std::uint64_t page(PhysicalAddress frame, ShadowTables::Rights rights) {
  return frame.value | kInnerShareable | kAccessed | kNotGlobal | kPrivilegedExecuteNever | kTableOrPage | kValid |
         (rights.read ? kUser : 0) | (rights.write ? 0 : kReadOnly) | (rights.execute ? 0 : kExecuteNever);
}

}  // namespace

const ShadowSpace* ShadowTables::find(const ShadowKey& key) const {
  const auto found =
      std::find_if(spaces_.begin(), spaces_.end(), [&](const ShadowSpace& space) { return space.key == key; });
  return found == spaces_.end() ? nullptr : &*found;
}

bool ShadowTables::is_full() const {
  return spaces_.size() >= kMostSpaces || in_use_.size() + kTablesOfOneMapping > kMostTables;
}

std::uint64_t ShadowTables::take_table() {
  if (free_.empty()) free_.push_back(frames_.allocate().value);
  in_use_.push_back(free_.back());
  free_.pop_back();
  return in_use_.back();
}

const ShadowSpace& ShadowTables::add(const ShadowKey& key) {
  const std::uint64_t lower = take_table(), upper = take_table();
  spaces_.push_back({key, lower, upper, spaces_.size() + 1});
  return spaces_.back();
}

ShadowTables::Mapping ShadowTables::map(HostCore& core, const ShadowSpace& space, VirtualAddress address,
                                        PhysicalAddress frame, Rights rights) {
  const PhysicalMemory& memory = core.context().memory;
  Mapping mapping;
  std::uint64_t table = (address.value >> 55 & 1) != 0 ? space.upper : space.lower;
  const auto place = [&](unsigned level) {
    return PhysicalAddress{table + 8 * (address.value >> shift_of(level) & (kEntries - 1))};
  };
  for (unsigned level = 0; level < 3; ++level) {
    std::uint64_t value = memory.read(place(level), 8);
    if ((value & kValid) == 0) {
      value = take_table() | kValid | kTableOrPage;
      core.store(place(level), 8, value);
      ++mapping.tables_added;
    }
    table = value & kTableAddress;
  }
  const std::uint64_t before = memory.read(place(3), 8);
  mapping.entry = page(frame, rights);
  mapping.useless = before == mapping.entry;
  mapping.changed = before != 0 && !mapping.useless;
  if (!mapping.useless) core.store(place(3), 8, mapping.entry);
  return mapping;
}

std::uint64_t ShadowTables::clear(HostCore& core) {
  const PhysicalMemory& memory = core.context().memory;
  std::uint64_t entries = 0;
  for (const std::uint64_t table : in_use_) {
    for (unsigned index = 0; index < kEntries; ++index) {
      const PhysicalAddress place{table + std::uint64_t{8} * index};
      if (memory.read(place, 8) == 0) continue;
      core.store(place, 8, 0);
      ++entries;
    }
  }
  free_.insert(free_.end(), in_use_.rbegin(), in_use_.rend());
  in_use_.clear();
  spaces_.clear();
  return entries;
}

}  // namespace shearling::arm
