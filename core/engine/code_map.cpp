// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/engine/code_map.h"

#include <algorithm>
#include <bit>

namespace shearling {

namespace {

/// Calls visit(word, mask) for the words of a bit set in which [offset, offset + length) has bits.
template <typename Visit>
void for_each_word(std::uint32_t offset, std::uint32_t length, Visit visit) {
  const std::uint32_t end = std::min<std::uint32_t>(offset + length, kFrameBytes);
  for (std::uint32_t at = offset; at < end;) {
    const std::uint32_t stop = std::min(end, (at / 64 + 1) * 64);
    const std::uint32_t count = stop - at;
    const std::uint64_t ones = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    visit(at / 64, ones << (at % 64));
    at = stop;
  }
}

}  // namespace

bool CodeMap::cover(std::uint64_t frame, std::uint32_t offset, std::uint32_t length, const std::uint8_t* now) {
  auto& entry = frames_[frame];
  const bool fresh = entry == nullptr;
  if (fresh) entry = std::make_unique<Frame>();
  for_each_word(offset, length, [&](std::uint32_t word, std::uint64_t mask) {
    for (std::uint64_t missing = mask & ~entry->covered[word]; missing != 0; missing &= missing - 1) {
      const std::size_t at = word * std::size_t{64} + static_cast<std::size_t>(std::countr_zero(missing));
      entry->bytes[at] = now[at];
    }
    entry->covered[word] |= mask;
  });
  return fresh;
}

void CodeMap::uncover(std::uint64_t frame, std::uint32_t offset, std::uint32_t length) {
  const auto found = frames_.find(frame);
  if (found == frames_.end()) return;
  for_each_word(offset, length, [&](std::uint32_t word, std::uint64_t mask) { found->second->covered[word] &= ~mask; });
}

bool CodeMap::differs(std::uint64_t frame, const std::uint8_t* now) const {
  const auto found = frames_.find(frame);
  if (found == frames_.end()) return false;
  const Frame& entry = *found->second;
  for (std::size_t word = 0; word < entry.covered.size(); ++word) {
    for (std::uint64_t left = entry.covered[word]; left != 0; left &= left - 1) {
      const std::size_t at = word * 64 + static_cast<std::size_t>(std::countr_zero(left));
      if (entry.bytes[at] != now[at]) return true;
    }
  }
  return false;
}

}  // namespace shearling
