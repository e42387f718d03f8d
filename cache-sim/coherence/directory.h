// SPDX-License-Identifier: GPL-3.0-or-later
//
// A full-map directory: for each line that any first-level cache holds, its owner (the core with the line in M, O or
// E) and a bit for each other core that holds it (in S). Exact, because every eviction is announced. Unbounded: a
// duplicate-tag or in-cache directory large enough for every first-level line, so that it never has to evict.
// After D. J. Sorin, M. D. Hill, D. A. Wood, "A Primer on Memory Consistency and Cache Coherence", sections 8.2 to 8.4.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "cache-sim/coherence/protocol.h"

namespace shearling {

inline constexpr unsigned kMostCores = 128;

/// A bit vector of cores.
class CoreSet {
 public:
  void insert(unsigned core) { words_[core / 64] |= bit(core); }
  void erase(unsigned core) { words_[core / 64] &= ~bit(core); }
  [[nodiscard]] bool contains(unsigned core) const { return (words_[core / 64] & bit(core)) != 0; }
  [[nodiscard]] bool empty() const { return (words_[0] | words_[1]) == 0; }
  [[nodiscard]] unsigned count() const {
    return static_cast<unsigned>(std::popcount(words_[0]) + std::popcount(words_[1]));
  }
  /// In ascending order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (unsigned word = 0; word < words_.size(); ++word) {
      for (std::uint64_t left = words_[word]; left != 0; left &= left - 1) {
        visit(word * 64 + static_cast<unsigned>(std::countr_zero(left)));
      }
    }
  }
  bool operator==(const CoreSet&) const = default;

 private:
  static constexpr std::uint64_t bit(unsigned core) { return std::uint64_t{1} << core % 64; }
  std::array<std::uint64_t, kMostCores / 64> words_{};
};

struct DirectoryEntry {
  std::optional<unsigned> owner;
  CoreSet sharers;  ///< Without the owner.
  [[nodiscard]] bool empty() const { return !owner && sharers.empty(); }
  [[nodiscard]] CoreSet holders() const {
    CoreSet all = sharers;
    if (owner) all.insert(*owner);
    return all;
  }
};

class Directory {
 public:
  /// Who holds the line with this number now. Empty where nobody does.
  [[nodiscard]] DirectoryEntry look_up(std::uint64_t line) const {
    const auto found = entries_.find(line);
    return found == entries_.end() ? DirectoryEntry{} : found->second;
  }
  /// `core` now has the line in `state`.
  void note(std::uint64_t line, unsigned core, CoherenceState state) {
    DirectoryEntry& entry = entries_[line];
    if (entry.owner == core) entry.owner.reset();
    entry.sharers.erase(core);
    if (is_owner(state)) entry.owner = core;
    if (state == CoherenceState::Shared) entry.sharers.insert(core);
    if (entry.empty()) entries_.erase(line);
  }
  [[nodiscard]] std::size_t lines() const { return entries_.size(); }
  void clear() { entries_.clear(); }

 private:
  std::unordered_map<std::uint64_t, DirectoryEntry> entries_;  // Never walked: its order is nobody's business.
};

}  // namespace shearling
