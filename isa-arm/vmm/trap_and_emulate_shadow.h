// SPDX-License-Identifier: GPL-3.0-or-later
//
// Shadow translation tables (DDI 0487, D8.2 and D8.3) for a guest whose kernel runs at EL0: what the hardware walks in
// place of the guest's own stage-1 tables. 4 KB granule, 48-bit addresses in both halves, every page with the rights of
// EL0 and an ASID of its own per address space, filled page by page as the guest faults. An address space here is what
// the guest's registers make of its tables at one of its two levels: kernel and user of the guest are both EL0 for the
// hardware, so each has tables of its own. Like a TLB, they may hold what the guest has changed since, until it says
// TLBI. Left out: blocks, tracing the guest's writes to its tables, invalidation of less than everything.
#pragma once

#include <cstdint>
#include <vector>

#include "core/vmm/guest_memory.h"
#include "isa-arm/vmm/host.h"

namespace shearling::arm {

/// Which of the guest's translations a shadow address space stands for.
struct ShadowKey {
  std::uint64_t control = 0;  ///< SCTLR_EL1: M and WXN.
  std::uint64_t ttbr0 = 0, ttbr1 = 0, tcr = 0;
  std::uint64_t user = 0;  ///< The guest's level is EL0.
  std::uint64_t pan = 0;   ///< PSTATE.PAN of the guest.
  bool operator==(const ShadowKey&) const = default;
};

struct ShadowSpace {
  ShadowKey key;
  std::uint64_t lower = 0, upper = 0;  ///< Tables of level 0.
  std::uint64_t asid = 0;
  [[nodiscard]] std::uint64_t ttbr0() const { return lower | asid << 48; }
};

class ShadowTables {
 public:
  struct Rights {
    bool read = false, write = false, execute = false;
  };
  struct Mapping {
    std::uint64_t entry = 0;
    unsigned tables_added = 0;
    bool changed = false;  ///< The page was there with other rights or another frame: the TLB may hold it.
    bool useless = false;  ///< It was there just like this.
  };

  explicit ShadowTables(VmmFrames& frames) : frames_(frames) {}

  /// Null where there is none yet.
  [[nodiscard]] const ShadowSpace* find(const ShadowKey& key) const;
  [[nodiscard]] bool is_full() const;
  const ShadowSpace& add(const ShadowKey& key);
  Mapping map(HostCore& core, const ShadowSpace& space, VirtualAddress address, PhysicalAddress frame, Rights rights);
  /// Forgets every space. The TLB is the caller's. How many entries there were.
  std::uint64_t clear(HostCore& core);

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(spaces_, in_use_, free_);
  }

 private:
  std::uint64_t take_table();

  VmmFrames& frames_;
  std::vector<ShadowSpace> spaces_;
  std::vector<std::uint64_t> in_use_, free_;  ///< Tables, by address; those that are free hold zeros.
};

}  // namespace shearling::arm
