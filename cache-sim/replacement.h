// SPDX-License-Identifier: GPL-3.0-or-later
//
// Replacement state of a set-associative structure: least recently used, tree-PLRU, or seeded random.
#pragma once

#include <cstdint>
#include <vector>

namespace shearling {

enum class ReplacementKind : std::uint8_t { Lru, TreePlru, Random };

class ReplacementState {
 public:
  ReplacementState() = default;
  /// TreePlru needs a power of two of ways. `seed` is used by Random only; 0 counts as 1.
  ReplacementState(ReplacementKind kind, unsigned sets, unsigned ways, std::uint64_t seed);

  /// Way `way` of `set` was used (hit or filled).
  void touch(unsigned set, unsigned way);
  /// The way to replace among [first_way, first_way + ways) of `set`: the whole set, or one partition of it. For
  /// TreePlru the range is a power of two, aligned to its size.
  unsigned victim(unsigned set, unsigned first_way, unsigned ways);

  template <typename Archive>
  void serialize(Archive& archive) { archive(stamps_, trees_, clock_, random_); }

 private:
  ReplacementKind kind_ = ReplacementKind::Lru;
  unsigned ways_ = 1;
  std::vector<std::uint64_t> stamps_;   ///< LRU: time of last use.
  std::vector<std::uint32_t> trees_;    ///< Tree-PLRU: one bit a node, heap order from bit 1.
  std::uint64_t clock_ = 0;
  std::uint64_t random_ = 1;
};

}  // namespace shearling
