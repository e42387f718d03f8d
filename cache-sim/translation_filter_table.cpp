// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/translation_filter_table.h"

#include <cassert>

namespace shearling {

namespace {
constexpr unsigned kMostEntries = 65535;
}

std::string problem_of(const TranslationFilterTableConfig& config) {
  if (config.entries == 0 || config.entries > kMostEntries) return "the TFT must have 1 to 65535 entries";
  if (config.tag_bits == 0 || config.tag_bits > TranslationFilterTableConfig::kRegionBits)
    return "the TFT's tags must have 1 to 43 bits";
  return {};
}

TranslationFilterTable::TranslationFilterTable(TranslationFilterTableConfig config)
    : entries_(config.entries), tag_mask_((std::uint64_t{1} << config.tag_bits) - 1), tagged_(config.tagged) {
  assert(problem_of(config).empty());
}

std::uint16_t TranslationFilterTable::fill(VirtualAddress address, TlbTag owner) {
  const std::uint64_t region = address.value >> page_shift(PageSize::Size2M);
  const auto index = static_cast<std::uint16_t>(region % entries_.size());
  entries_[index] = {.region = region, .valid = 1, .owner = owner};
  return index;
}

template <typename Condition>
unsigned TranslationFilterTable::drop_where(Condition condition) {
  unsigned dropped = 0;
  for (Entry& entry : entries_) {
    if (entry.valid == 0 || !condition(entry)) continue;
    entry = {};
    ++dropped;
  }
  return dropped;
}

unsigned TranslationFilterTable::invalidate(VirtualAddress address) {
  const std::uint64_t region = address.value >> page_shift(PageSize::Size2M);
  Entry& entry = entries_[region % entries_.size()];
  if (entry.valid == 0 || ((entry.region ^ region) & tag_mask_) != 0) return 0;
  entry = {};
  return 1;
}

unsigned TranslationFilterTable::invalidate_address_space(TlbTag owner) {
  return drop_where([&](const Entry& entry) { return !tagged_ || entry.owner == owner; });
}

unsigned TranslationFilterTable::invalidate_virtual_machine(std::uint16_t virtual_machine) {
  return drop_where([&](const Entry& entry) { return !tagged_ || entry.owner.virtual_machine == virtual_machine; });
}

unsigned TranslationFilterTable::context_switched() { return tagged_ ? 0 : flush(); }

unsigned TranslationFilterTable::flush() {
  return drop_where([](const Entry&) { return true; });
}

}  // namespace shearling
