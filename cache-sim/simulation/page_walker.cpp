// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/page_walker.h"

namespace shearling {

namespace {

constexpr unsigned kLevels = 4;
constexpr unsigned kBitsALevel = 9;
constexpr std::uint64_t kTranslated =
    (std::uint64_t{1} << 48U) - 1;  // Virtual address bits; those above repeat bit 47.

/// The level whose entry is the leaf.
constexpr unsigned leaf_level(PageSize size) {
  if (size == PageSize::Size1G) return 3;
  return size == PageSize::Size2M ? 2 : 1;
}

/// References of a walk that nothing shortens.
constexpr unsigned whole_walk(PageSize size, const WalkConfig& config) {
  const unsigned first = kLevels - leaf_level(size) + 1;
  if (!config.two_stage) return first;
  const unsigned second = kLevels - leaf_level(config.nested_page) + 1;
  return first * (second + 1) + second;
}

}  // namespace

PhysicalAddress PageWalker::Tree::entry(std::uint16_t address_space, std::uint64_t address, unsigned level) {
  const unsigned shift = 12 + kBitsALevel * (level - 1);  // Of what one entry maps.
  // 40 bits name a table of the lowest level; above them its level and the address space.
  const std::uint64_t key =
      address >> shift >> kBitsALevel | std::uint64_t{level} << 40U | std::uint64_t{address_space} << 44U;
  const std::uint64_t number = tables.try_emplace(key, tables.size()).first->second;
  return {area + number * kFrameBytes + (address >> shift & 511U) * 8};
}

PageSize PageWalker::effective_size(PageSize size) const {
  if (!config_.two_stage || page_shift(size) <= page_shift(config_.nested_page)) return size;
  return config_.nested_page;
}

Walk PageWalker::walk(VirtualAddress address, PageSize size, PhysicalAddress guest_frame, TlbTag tag,
                      TranslationCaches& caches) {
  Walk walk;
  unsigned level = kLevels;
  bool table_is_physical = false;  // A page-walk cache holds the pointer as both stages give it.
  if (caches.config().walk_cache_entries != 0) {
    walk.latency += caches.config().walk_cache_latency;
    if (const auto held = caches.walk_cache_lookup(address, tag)) {
      level = held->level - 1U;
      table_is_physical = true;
    }
  }
  for (const unsigned leaf = leaf_level(size); level >= leaf; --level) {
    const PhysicalAddress entry = first_.entry(tag.address_space, address.value & kTranslated, level);
    if (config_.two_stage && !table_is_physical) translate_again(entry, caches, walk);
    table_is_physical = false;
    walk.references[walk.count++] = entry;
    if (level == leaf) break;
    caches.walk_cache_fill({.level = static_cast<std::uint8_t>(level),
                            .address_bits = address.value >> walk_cache_shift(level),
                            .tag = tag,
                            .entry_address = entry});
  }
  if (config_.two_stage) {
    const std::uint64_t offset = address.value & page_offset_mask(size);
    translate_again({guest_frame.value + offset}, caches, walk);
  }
  walk.skipped = whole_walk(size, config_) - walk.count;
  return walk;
}

/// The second stage of one guest-physical address.
void PageWalker::translate_again(PhysicalAddress guest, TranslationCaches& caches, Walk& walk) {
  const std::uint64_t page = guest.value & ~page_offset_mask(config_.nested_page);
  if (caches.config().nested_entries != 0) {
    walk.latency += caches.config().nested_latency;
    if (caches.nested_lookup({guest.value}, 0) != nullptr) return;
  }
  const unsigned leaf = leaf_level(config_.nested_page);
  for (unsigned level = kLevels; level >= leaf; --level)
    walk.references[walk.count++] = second_.entry(0, guest.value, level);
  caches.nested_fill({.page = {page}, .frame = {page}, .guest_frame = {page}, .size = config_.nested_page});
}

}  // namespace shearling
