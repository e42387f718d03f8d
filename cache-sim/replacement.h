// SPDX-License-Identifier: GPL-3.0-or-later
//
// Replacement state of a set-associative structure: least recently used, tree-PLRU, or seeded random.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shearling {

enum class ReplacementKind : std::uint8_t { Lru, TreePlru, Random };

class ReplacementState {
 public:
  static constexpr unsigned kMostTreeWays = 64;

  ReplacementState() = default;
  /// TreePlru needs a power of two of ways, at most kMostTreeWays. `seed` is used by Random only; 0 counts as 1.
  ReplacementState(ReplacementKind kind, unsigned sets, unsigned ways, std::uint64_t seed);

  /// Way `way` of `set` was used (hit or filled).
  void touch(unsigned set, unsigned way) {
    if (kind_ == ReplacementKind::Lru) {
      stamps_[std::size_t{set} * ways_ + way] = ++clock_;
    } else if (kind_ == ReplacementKind::TreePlru) {
      touch_tree(set, way);
    }
  }
  /// The way to replace among [first_way, first_way + ways) of `set`: the whole set, or one partition of it. For
  /// TreePlru the range is a power of two, aligned to its size.
  unsigned victim(unsigned set, unsigned first_way, unsigned ways);

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(stamps_, trees_, clock_, random_);
  }

 private:
  void touch_tree(unsigned set, unsigned way);
  [[nodiscard]] unsigned oldest(unsigned set, unsigned first_way, unsigned ways) const;
  [[nodiscard]] unsigned tree_leaf(unsigned set, unsigned first_way, unsigned ways) const;
  unsigned random_way(unsigned first_way, unsigned ways);

  ReplacementKind kind_ = ReplacementKind::Lru;
  unsigned ways_ = 1;
  std::vector<std::uint64_t> stamps_;  ///< LRU: time of last use.
  std::vector<std::uint64_t>
      trees_;  ///< Tree-PLRU: one bit a node, heap order from bit 1; 1: the older half is on the right.
  std::uint64_t clock_ = 0;
  std::uint64_t random_ = 1;
};

}  // namespace shearling
