// SPDX-License-Identifier: GPL-3.0-or-later
//
// Translation lookaside buffers and page-walk caches: values in, outcomes out. A TlbEntry's permissions and root are
// opaque here; the ISA gives them meaning. Nothing is dropped but by replacement or an explicit invalidation: a stale
// entry really stays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/address.h"
#include "cache-sim/replacement.h"

namespace shearling {

/// Which program's translation this is: PCID or ASID, and VPID or VMID (0 without a VMM).
struct TlbTag {
  std::uint16_t address_space = 0;
  std::uint16_t virtual_machine = 0;
  bool operator==(const TlbTag&) const = default;
};

struct TlbEntry {
  VirtualAddress page;                    ///< Base of the page, of the entry's own size.
  PhysicalAddress frame;                  ///< Base of the frame, of the entry's own size.
  GuestPhysicalAddress guest_frame;       ///< Result of stage 1; equal to frame where there is no stage 2.
  PageSize size = PageSize::Size4K;       ///< Effective size: the smaller of the two stages.
  bool global = false;                    ///< Survives an address-space change and hits for every address space of its VM.
  TlbTag tag;
  std::uint32_t permissions = 0;          ///< The ISA's bits (may read, write, execute, user, dirty, ...).
  std::uint64_t root = 0;                 ///< Stage-1 root at fill time, to tell a stale entry from a current one.
  bool operator==(const TlbEntry&) const = default;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(page.value, frame.value, guest_frame.value, size, global, tag.address_space, tag.virtual_machine, permissions, root);
  }
};

struct TlbGeometry {
  std::string name;                       ///< As events show it: "L1 DTLB 4K".
  unsigned entries = 64;
  unsigned ways = 4;                      ///< entries for fully associative. Divides entries.
  std::vector<PageSize> page_sizes;       ///< Sizes it can hold.
  unsigned latency = 1;                   ///< Cycles of a lookup.
  ReplacementKind replacement = ReplacementKind::Lru;
};

struct TlbOutcome {
  bool hit = false;
  std::uint16_t set = 0;
  std::uint16_t way = 0;
};

struct TlbSlot {
  bool valid = false;
  TlbEntry entry;
  template <typename Archive>
  void serialize(Archive& archive) { archive(valid, entry); }
};

/// One set-associative TLB. Where it holds several page sizes it is looked up once for each size.
class Tlb {
 public:
  explicit Tlb(TlbGeometry geometry, std::uint64_t seed = 1);

  [[nodiscard]] const TlbGeometry& geometry() const { return geometry_; }
  /// Looks up and, on a hit, updates the replacement state. `found` receives the entry on a hit.
  TlbOutcome lookup(VirtualAddress address, TlbTag tag, const TlbEntry** found);
  /// The same without any change of state: for views.
  [[nodiscard]] const TlbEntry* peek(VirtualAddress address, TlbTag tag) const;

  struct FillOutcome {
    std::uint16_t set = 0;
    std::uint16_t way = 0;
    std::optional<TlbEntry> evicted;      ///< A different, valid entry that had to go.
  };
  /// Replaces an entry of the same page and tag where there is one, else a free way, else the victim.
  FillOutcome fill(const TlbEntry& entry);

  /// All return the number of entries dropped.
  unsigned invalidate_address(VirtualAddress address, TlbTag tag);                 ///< Globals of that VM included.
  unsigned invalidate_address_space(TlbTag tag, bool keep_global);
  unsigned invalidate_virtual_machine(std::uint16_t virtual_machine, bool keep_global);
  unsigned invalidate_all();
  [[nodiscard]] unsigned valid_entries(PageSize size) const;

  [[nodiscard]] unsigned sets() const { return sets_; }
  [[nodiscard]] const TlbSlot& slot(unsigned set, unsigned way) const { return slots_[set * geometry_.ways + way]; }

  template <typename Archive>
  void serialize(Archive& archive) { archive(slots_, replacement_); }

 private:
  TlbGeometry geometry_;
  unsigned sets_ = 1;
  std::vector<TlbSlot> slots_;
  ReplacementState replacement_;
};

}  // namespace shearling
