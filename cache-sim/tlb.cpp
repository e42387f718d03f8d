// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/tlb.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace shearling {

std::string problem_of(const TlbGeometry& geometry) {
  const std::string who = "TLB \"" + geometry.name + "\": ";
  if (geometry.entries == 0 || geometry.ways == 0) return who + "entries and ways must be at least 1";
  if (geometry.entries % geometry.ways != 0) return who + "ways must divide entries";
  if (geometry.entries > 65536) return who + "at most 65536 entries";
  if (geometry.page_sizes.empty()) return who + "it must hold at least one page size";
  if (geometry.replacement == ReplacementKind::TreePlru &&
      (!std::has_single_bit(geometry.ways) || geometry.ways > ReplacementState::kMostTreeWays)) {
    return who + "tree-PLRU needs a power of two of ways, at most 64";
  }
  return {};
}

Tlb::Tlb(TlbGeometry geometry, std::uint64_t seed)
    : geometry_(std::move(geometry)),
      sets_(geometry_.entries / geometry_.ways),
      ways_(geometry_.ways),
      set_mask_(std::has_single_bit(sets_) ? sets_ - 1 : 0),
      slots_(geometry_.entries),
      keys_(geometry_.entries),
      last_(sets_),
      replacement_(geometry_.replacement, sets_, ways_, seed) {
  assert(problem_of(geometry_).empty());
  for (const PageSize size : geometry_.page_sizes) {
    if (holds(size)) continue;
    classes_[class_count_++] = {.size = size,
                                .shift = static_cast<std::uint8_t>(page_shift(size)),
                                .valid = 0,
                                .page_mask = ~page_offset_mask(size),
                                .key_bits = static_cast<std::uint64_t>(size) << 1 | 1U};
  }
}

bool Tlb::holds(PageSize size) const {
  return std::any_of(classes_.begin(), classes_.begin() + class_count_,
                     [size](const SizeClass& held) { return held.size == size; });
}

Tlb::SizeClass& Tlb::class_of(PageSize size) {
  const auto found = std::find_if(classes_.begin(), classes_.begin() + class_count_,
                                  [size](const SizeClass& held) { return held.size == size; });
  assert(found != classes_.begin() + class_count_);
  return *found;
}

std::size_t Tlb::search(unsigned set, std::uint64_t page, std::uint32_t owner) {
  const std::size_t index = find_in_set(std::size_t{set} * ways_, page, owner);
  if (index != kNone) last_[set] = {.page = page, .owner = owner, .index = static_cast<std::uint32_t>(index)};
  return index;
}

Tlb::FillOutcome Tlb::fill(const TlbEntry& entry) {
  assert(holds(entry.size));
  const unsigned shift = page_shift(entry.size);
  const unsigned set = set_of(entry.page.value >> shift);
  const std::size_t first = std::size_t{set} * ways_;
  std::size_t index = find_in_set(first, class_of(entry.size).key_of(entry.page), entry.tag.packed());
  FillOutcome outcome;
  if (index == kNone) {
    index = free_slot(first);
    if (index == kNone) {
      index = first + replacement_.victim(set, 0, ways_);
      outcome.evicted = slots_[index].entry;
    }
  }
  put(index, entry);
  outcome.set = static_cast<std::uint16_t>(set);
  outcome.way = static_cast<std::uint16_t>(index - first);
  replacement_.touch(set, outcome.way);
  return outcome;
}

std::size_t Tlb::free_slot(std::size_t first) const {
  for (std::size_t index = first; index < first + ways_; ++index) {
    if (!slots_[index].valid) return index;
  }
  return kNone;
}

void Tlb::put(std::size_t index, const TlbEntry& entry) {
  if (slots_[index].valid) --class_of(slots_[index].entry.size).valid;
  ++class_of(entry.size).valid;
  slots_[index] = {.valid = true, .entry = entry};
  keys_[index] = {.page = class_of(entry.size).key_of(entry.page),
                  .owner = entry.tag.packed(),
                  .compared = entry.global ? 0xFFFF0000U : 0xFFFFFFFFU};
  last_[index / ways_] = {};
}

void Tlb::drop(std::size_t index) {
  --class_of(slots_[index].entry.size).valid;
  slots_[index] = {};
  keys_[index] = {};
  last_[index / ways_] = {};
}

template <typename Condition>
unsigned Tlb::drop_where(Condition condition) {
  unsigned dropped = 0;
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    if (!slots_[index].valid || !condition(slots_[index].entry)) continue;
    drop(index);
    ++dropped;
  }
  return dropped;
}

unsigned Tlb::invalidate_address(VirtualAddress address, TlbTag tag) {
  unsigned dropped = 0;
  // One by one: software that broke the rules may have left several entries for one page.
  for (std::size_t index = find(address, tag); index != kNone; index = find(address, tag)) {
    drop(index);
    ++dropped;
  }
  return dropped;
}

unsigned Tlb::invalidate_address_space(TlbTag tag, bool keep_global) {
  return drop_where([=](const TlbEntry& entry) {
    return entry.tag.virtual_machine == tag.virtual_machine &&
           (entry.global ? !keep_global : entry.tag.address_space == tag.address_space);
  });
}

unsigned Tlb::invalidate_virtual_machine(std::uint16_t virtual_machine, bool keep_global) {
  return drop_where([=](const TlbEntry& entry) {
    return entry.tag.virtual_machine == virtual_machine && !(keep_global && entry.global);
  });
}

unsigned Tlb::invalidate_all() {
  return drop_where([](const TlbEntry&) { return true; });
}

unsigned Tlb::valid_entries(PageSize size) const {
  for (unsigned i = 0; i < class_count_; ++i) {
    if (classes_[i].size == size) return classes_[i].valid;
  }
  return 0;
}

void Tlb::rebuild_index() {
  for (SizeClass& held : classes_) held.valid = 0;
  keys_.assign(slots_.size(), Key{});
  last_.assign(sets_, Answer{});
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    if (!slots_[index].valid) continue;
    const TlbEntry entry = slots_[index].entry;
    slots_[index].valid = false;
    put(index, entry);
  }
}

}  // namespace shearling
