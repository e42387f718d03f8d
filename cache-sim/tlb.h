// SPDX-License-Identifier: GPL-3.0-or-later
//
// Translation lookaside buffers and page-walk caches: values in, outcomes out. A TlbEntry's permissions and root are
// opaque here; the ISA gives them meaning. Nothing is dropped but by replacement or an explicit invalidation: a stale
// entry really stays.
#pragma once

#include <array>
#include <cstddef>
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
  /// Both in one word: the address space below the virtual machine.
  [[nodiscard]] constexpr std::uint32_t packed() const {
    return address_space | static_cast<std::uint32_t>(virtual_machine) << 16;
  }
};

struct TlbEntry {
  VirtualAddress page;               ///< Base of the page, of the entry's own size.
  PhysicalAddress frame;             ///< Base of the frame, of the entry's own size.
  GuestPhysicalAddress guest_frame;  ///< Result of stage 1; equal to frame where there is no stage 2.
  PageSize size = PageSize::Size4K;  ///< Effective size: the smaller of the two stages.
  bool global = false;               ///< Survives an address-space change and hits for every address space of its VM.
  TlbTag tag;
  std::uint32_t permissions = 0;  ///< The ISA's bits (may read, write, execute, user, dirty, ...).
  std::uint64_t root = 0;         ///< Stage-1 root at fill time, to tell a stale entry from a current one.
  bool operator==(const TlbEntry&) const = default;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(page.value, frame.value, guest_frame.value, size, global, tag.address_space, tag.virtual_machine,
            permissions, root);
  }
};

struct TlbGeometry {
  std::string name;  ///< As events show it: "L1 DTLB 4K".
  unsigned entries = 64;
  unsigned ways = 4;                 ///< entries for fully associative. Divides entries.
  std::vector<PageSize> page_sizes;  ///< Sizes it can hold.
  unsigned latency = 1;              ///< Cycles of a lookup.
  ReplacementKind replacement = ReplacementKind::Lru;
};

/// Why no such TLB can be built, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const TlbGeometry& geometry);

struct TlbOutcome {
  bool hit = false;
  std::uint16_t set = 0;
  std::uint16_t way = 0;
};

struct TlbSlot {
  bool valid = false;
  TlbEntry entry;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(valid, entry);
  }
};

/// One set-associative TLB. Where it holds several page sizes it is looked up once for each size, in their order.
class Tlb {
 public:
  /// `geometry` has no problem_of().
  explicit Tlb(TlbGeometry geometry, std::uint64_t seed = 1);

  [[nodiscard]] const TlbGeometry& geometry() const { return geometry_; }
  /// Looks up and, on a hit, updates the replacement state. `found` receives the entry on a hit, and stays good until
  /// the next change of this TLB.
  [[gnu::always_inline]] TlbOutcome lookup(VirtualAddress address, TlbTag tag, const TlbEntry** found) {
    const std::uint32_t owner = tag.packed();
    for (unsigned i = 0; i < class_count_; ++i) {
      const SizeClass& held = classes_[i];
      if (held.valid == 0) continue;
      const unsigned set = set_of(address.value >> held.shift);
      const std::uint64_t page = held.key_of(address);
      // Most lookups of ordinary programs ask a set what it was asked last.
      const Answer& last = last_[set];
      const std::size_t index = last.page == page && last.owner == owner ? last.index : search(set, page, owner);
      if (index == kNone) continue;
      const auto way = static_cast<unsigned>(index - std::size_t{set} * ways_);
      replacement_.touch(set, way);
      *found = &slots_[index].entry;
      return {.hit = true, .set = static_cast<std::uint16_t>(set), .way = static_cast<std::uint16_t>(way)};
    }
    return {};
  }
  /// The same without any change of state: for views.
  [[nodiscard]] const TlbEntry* peek(VirtualAddress address, TlbTag tag) const {
    const std::size_t index = find(address, tag);
    return index == kNone ? nullptr : &slots_[index].entry;
  }
  [[nodiscard]] bool holds(PageSize size) const;

  struct FillOutcome {
    std::uint16_t set = 0;
    std::uint16_t way = 0;
    std::optional<TlbEntry> evicted;  ///< A different, valid entry that had to go.
  };
  /// Replaces an entry that hits for the same page, size and tag where there is one, else takes a free way, else the
  /// victim's. The entry's size is one that this TLB holds.
  FillOutcome fill(const TlbEntry& entry);

  /// All return the number of entries dropped. An entry belongs to a tag if it hits for it: a global one belongs to
  /// every address space of its virtual machine.
  unsigned invalidate_address(VirtualAddress address, TlbTag tag);
  unsigned invalidate_address_space(TlbTag tag, bool keep_global);
  unsigned invalidate_virtual_machine(std::uint16_t virtual_machine, bool keep_global);
  unsigned invalidate_all();
  [[nodiscard]] unsigned valid_entries(PageSize size) const;

  [[nodiscard]] unsigned sets() const { return sets_; }
  [[nodiscard]] const TlbSlot& slot(unsigned set, unsigned way) const {
    return slots_[std::size_t{set} * geometry_.ways + way];
  }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(slots_, replacement_);
    if constexpr (Archive::kReading) rebuild_index();
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  /// What a lookup compares of one slot, packed: 16 bytes instead of a whole entry.
  struct Key {
    std::uint64_t page = 0;      ///< Base of the page | size << 1 | valid.
    std::uint32_t owner = 0;     ///< Address space | virtual machine << 16.
    std::uint32_t compared = 0;  ///< Bits of `owner` that count: a global entry ignores the address space.
  };
  /// A question to one set and its answer: good until the set changes. No page is 0: a key says that it is valid.
  struct Answer {
    std::uint64_t page = 0;
    std::uint32_t owner = 0;
    std::uint32_t index = 0;
  };
  /// One page size that this TLB holds.
  struct SizeClass {
    PageSize size = PageSize::Size4K;
    std::uint8_t shift = 12;
    std::uint32_t valid = 0;      ///< Entries held: a lookup passes over a size that has none.
    std::uint64_t page_mask = 0;  ///< Of an address: what its page's base keeps.
    std::uint64_t key_bits = 0;   ///< Size << 1 | valid.
    [[nodiscard]] std::uint64_t key_of(VirtualAddress address) const { return (address.value & page_mask) | key_bits; }
  };

  [[nodiscard]] unsigned set_of(std::uint64_t page_number) const {
    return static_cast<unsigned>(set_mask_ != 0 || sets_ == 1 ? page_number & set_mask_ : page_number % sets_);
  }
  [[nodiscard]] bool is_for(std::size_t index, std::uint64_t page, std::uint32_t owner) const {
    const Key& key = keys_[index];
    return ((key.page ^ page) | ((key.owner ^ owner) & key.compared)) == 0;
  }
  [[nodiscard]] std::size_t find_in_set(std::size_t first, std::uint64_t page, std::uint32_t owner) const {
    for (std::size_t index = first; index < first + ways_; ++index) {
      if (is_for(index, page, owner)) return index;
    }
    return kNone;
  }
  /// The same, remembering the answer.
  std::size_t search(unsigned set, std::uint64_t page, std::uint32_t owner);
  [[nodiscard]] std::size_t find(VirtualAddress address, TlbTag tag) const {
    for (unsigned i = 0; i < class_count_; ++i) {
      const SizeClass& held = classes_[i];
      if (held.valid == 0) continue;
      const std::size_t first = std::size_t{set_of(address.value >> held.shift)} * ways_;
      const std::size_t index = find_in_set(first, held.key_of(address), tag.packed());
      if (index != kNone) return index;
    }
    return kNone;
  }
  SizeClass& class_of(PageSize size);
  [[nodiscard]] std::size_t free_slot(std::size_t first) const;
  void put(std::size_t index, const TlbEntry& entry);
  void drop(std::size_t index);
  template <typename Condition>
  unsigned drop_where(Condition condition);
  void rebuild_index();

  TlbGeometry geometry_;
  unsigned sets_ = 1;
  unsigned ways_ = 1;
  std::uint64_t set_mask_ = 0;  ///< 0 where the number of sets is no power of two, or 1.
  std::array<SizeClass, 5> classes_{};
  unsigned class_count_ = 0;
  std::vector<TlbSlot> slots_;
  std::vector<Key> keys_;     ///< Follows slots_; not state of its own.
  std::vector<Answer> last_;  ///< Of each set. Changes no outcome: not state.
  ReplacementState replacement_;
};

}  // namespace shearling
