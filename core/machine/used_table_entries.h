// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which page-table entries some translation was made from: what a TLB or a page-walk cache may remember. Entries are
// never forgotten: a machine that is put back to an earlier state must not miss a change, and knowing of too many
// entries only costs time. This is knowledge of the simulator, not state of the hardware.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <unordered_map>

#include "cache-sim/address.h"

namespace shearling {

class UsedTableEntries {
 public:
  /// Stage 1 or 2. True when the entry's frame was no table frame so far.
  bool record(PhysicalAddress entry, unsigned stage) {
    const auto [place, added] = frames_.try_emplace(frame_number(entry));
    place->second[stage - 1].set(index_of(entry));
    return added;
  }
  [[nodiscard]] bool is_table_frame(PhysicalAddress address) const { return frames_.contains(frame_number(address)); }
  [[nodiscard]] bool was_used(PhysicalAddress entry, unsigned stage) const {
    const auto place = frames_.find(frame_number(entry));
    return place != frames_.end() && place->second[stage - 1].test(index_of(entry));
  }

 private:
  static std::size_t index_of(PhysicalAddress entry) { return entry.value / 8 % 512; }
  std::unordered_map<std::uint64_t, std::array<std::bitset<512>, 2>> frames_;
};

}  // namespace shearling
