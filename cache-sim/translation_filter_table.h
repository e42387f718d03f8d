// SPDX-License-Identifier: GPL-3.0-or-later
//
// SEESAW's translation filter table (section IV-A2): remembers which 2 MB regions are superpages, so that the cache
// knows within a quarter of a cycle whether one partition is enough.
#pragma once

#include <cstdint>
#include <vector>

#include "cache-sim/address.h"

namespace shearling {

struct TranslationFilterTableConfig {
  unsigned entries = 16;  ///< Any number: the index is MOD entries (section IV-A2).
};

struct TftOutcome {
  bool asked = false;
  bool hit = false;  ///< The region is held, and the translation is a superpage's.
  std::uint16_t index = 0;
};

/// Direct mapped, tagged with the 2 MB region, index = region number MOD entries.
class TranslationFilterTable {
 public:
  explicit TranslationFilterTable(TranslationFilterTableConfig config);
  [[nodiscard]] TftOutcome lookup(VirtualAddress address) const;
  std::uint16_t fill(VirtualAddress address);  ///< Returns the index.
  bool invalidate(VirtualAddress address);     ///< True if an entry went.
  unsigned flush();                            ///< Number of entries dropped.
  struct Entry {
    std::uint64_t region = 0;  ///< VA >> 21.
    std::uint64_t valid = 0;   ///< 0 or 1.
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(entries_);
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace shearling
