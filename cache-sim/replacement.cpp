// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/replacement.h"

#include <bit>
#include <cassert>

namespace shearling {

namespace {

// SplitMix64's finalizer (Steele, Lea, Flood 2014): small seeds become states with as many ones as zeros.
constexpr std::uint64_t scramble(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

}  // namespace

ReplacementState::ReplacementState(ReplacementKind kind, unsigned sets, unsigned ways, std::uint64_t seed)
    : kind_(kind), ways_(ways), random_(scramble(seed == 0 ? 1 : seed)) {
  if (kind == ReplacementKind::Lru) stamps_.resize(std::size_t{sets} * ways);
  if (kind != ReplacementKind::TreePlru) return;
  assert(std::has_single_bit(ways) && ways <= kMostTreeWays);
  trees_.resize(sets);
}

unsigned ReplacementState::victim(unsigned set, unsigned first_way, unsigned ways) {
  switch (kind_) {
    case ReplacementKind::Lru:
      return oldest(set, first_way, ways);
    case ReplacementKind::TreePlru:
      return tree_leaf(set, first_way, ways);
    case ReplacementKind::Random:
      return random_way(first_way, ways);
  }
  return first_way;
}

// The leaf of way w is node ways_ + w; a node's parent is node / 2. Every node on the way up points away from the leaf.
void ReplacementState::touch_tree(unsigned set, unsigned way) {
  std::uint64_t tree = trees_[set];
  for (unsigned node = ways_ + way; node > 1; node /= 2) {
    const std::uint64_t parent = std::uint64_t{1} << (node / 2);
    tree = (node & 1U) == 0 ? tree | parent : tree & ~parent;
  }
  trees_[set] = tree;
}

unsigned ReplacementState::oldest(unsigned set, unsigned first_way, unsigned ways) const {
  const std::uint64_t* stamps = stamps_.data() + std::size_t{set} * ways_;
  unsigned oldest = first_way;
  std::uint64_t stamp = stamps[first_way];
  for (unsigned way = first_way + 1; way < first_way + ways; ++way) {
    const bool older = stamps[way] < stamp;  // Chosen without a branch: it would be mispredicted often.
    oldest = older ? way : oldest;
    stamp = older ? stamps[way] : stamp;
  }
  return oldest;
}

unsigned ReplacementState::tree_leaf(unsigned set, unsigned first_way, unsigned ways) const {
  assert(std::has_single_bit(ways) && first_way % ways == 0);
  unsigned node = (ways_ + first_way) / ways;  // The root of the range's own subtree.
  while (node < ways_) node = 2 * node + static_cast<unsigned>(trees_[set] >> node & 1U);
  return node - ways_;
}

// Marsaglia's xorshift64; the high half is the better one, and its bias is far below anything visible here.
unsigned ReplacementState::random_way(unsigned first_way, unsigned ways) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return first_way + static_cast<unsigned>((random_ >> 32) % ways);
}

}  // namespace shearling
