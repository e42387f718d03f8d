// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/translation_filter_table.h"

#include <cassert>

namespace shearling {

namespace {
constexpr unsigned kRegionShift = 21;  // One entry a 2 MB region (section IV-A2).
}

TranslationFilterTable::TranslationFilterTable(TranslationFilterTableConfig config) : entries_(config.entries) {
  assert(config.entries != 0);
}

TftOutcome TranslationFilterTable::lookup(VirtualAddress address) const {
  const std::uint64_t region = address.value >> kRegionShift;
  const auto index = static_cast<std::uint16_t>(region % entries_.size());
  const Entry& entry = entries_[index];
  return {.asked = true, .hit = entry.valid != 0 && entry.region == region, .index = index};
}

std::uint16_t TranslationFilterTable::fill(VirtualAddress address) {
  const std::uint64_t region = address.value >> kRegionShift;
  const auto index = static_cast<std::uint16_t>(region % entries_.size());
  entries_[index] = {.region = region, .valid = 1};
  return index;
}

bool TranslationFilterTable::invalidate(VirtualAddress address) {
  const TftOutcome outcome = lookup(address);
  if (outcome.hit) entries_[outcome.index] = {};
  return outcome.hit;
}

unsigned TranslationFilterTable::flush() {
  unsigned dropped = 0;
  for (Entry& entry : entries_) {
    dropped += static_cast<unsigned>(entry.valid);
    entry = {};
  }
  return dropped;
}

}  // namespace shearling
