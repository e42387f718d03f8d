// SPDX-License-Identifier: GPL-3.0-or-later
//
// One page walk of 4-level paging, of EPT, or of the one in the other: (4 + 1)(4 + 1) - 1 = 24 references when nothing
// is cached. The same code walks as hardware does (events, caches, Accessed and Dirty flags) and purely (for probes,
// views and comparisons). A Walker lives for one walk and allocates nothing.
// Page-walk caches and nested TLB are filled when the walk is complete: one walk never uses what it found itself.
#pragma once

#include <array>
#include <optional>

#include "isa-x86/mmu/mmu.h"
#include "isa-x86/mmu/page_table_format.h"

namespace shearling::x86 {

/// TlbEntry::root and Tables::root of linear addresses with paging off (never a table's address).
inline constexpr std::uint64_t kNoPagingRoot = 1;
inline constexpr std::uint32_t kAllNested = kNestedMayRead | kNestedMayWrite | kNestedMayExecute | kNestedIsDirty;

struct AccessRule;

/// The tables to walk: the current ones, or those that a cached entry came from.
struct Mmu::Tables {
  std::uint64_t root = kNoPagingRoot;  ///< Guest-physical address of the PML4 table, or kNoPagingRoot.
  bool nested = false;
  bool accessed_dirty = false;  ///< A and D flags in EPT.
  std::uint64_t eptp = 0;
  [[nodiscard]] bool paging() const { return root != kNoPagingRoot; }
};

struct Mmu::Walker {
  enum class Purpose : std::uint8_t {
    Access,   ///< The hardware's own walk: references go through the memory path, A and D flags are set.
    Probe,    ///< No effect on the machine, but remembers the entries used.
    Compare,  ///< No effect at all.
    Inspect,  ///< The same without permission checks.
  };
  /// What the table of one stage-1 level is, for filling and checking page-walk caches.
  struct Pointer {
    bool reached = false;
    PhysicalAddress entry_address;
    std::uint64_t entry = 0;
    GuestPhysicalAddress table;
    std::optional<PhysicalAddress> table_physical;
    std::uint32_t permissions = 0;  ///< As WalkCacheEntry::permissions.
  };

  Walker(Mmu& owner, const AccessRequest& access, Tables where, bool with_caches);  // Access
  Walker(Mmu& owner, const AccessRequest& access, Tables where);                    // Probe
  Walker(const Mmu& owner, const AccessRequest& access, Tables where, Purpose why);

  /// True when there is a translation; if not, failure() says why.
  bool run();
  [[nodiscard]] const TranslateResult& failure() const { return failure_; }
  [[nodiscard]] bool used_caches() const { return used_caches_; }
  /// After run() gave true:
  [[nodiscard]] TlbEntry entry() const;
  [[nodiscard]] PhysicalAddress physical() const { return physical_; }
  [[nodiscard]] GuestPhysicalAddress guest_physical() const { return guest_physical_; }
  [[nodiscard]] PageSize size() const { return size_; }
  [[nodiscard]] std::uint32_t permissions() const { return permissions_; }
  /// Every flag that this access sets was set already.
  [[nodiscard]] bool settled() const { return settled_; }
  [[nodiscard]] const Pointer& pointer(unsigned level) const { return pointers_[level]; }

  /// Stage 2 alone: for nested TLB entries and views. `access` as in bits 2:0 of the exit qualification.
  struct NestedPlace {
    GuestPhysicalAddress guest_physical;
    PhysicalAddress physical;
    PageSize size = PageSize::Size1G;
    std::uint32_t permissions = kAllNested;
  };
  bool translate_nested(GuestPhysicalAddress address, unsigned column, unsigned access, bool for_table,
                        NestedPlace& place);

 private:
  [[nodiscard]] bool effects() const { return purpose_ == Purpose::Access; }
  [[nodiscard]] bool checked() const { return purpose_ != Purpose::Inspect; }
  bool translate();
  bool walk_guest();
  bool find_entry(unsigned level, GuestPhysicalAddress table, NestedPlace& place);
  bool finish_leaf(unsigned level, const NestedPlace& place, std::uint64_t entry);
  unsigned start_from_walk_cache(NestedPlace& place, GuestPhysicalAddress& table);
  bool nested_from_cache(GuestPhysicalAddress address, unsigned column, unsigned access, bool for_table,
                         NestedPlace& place);
  std::uint64_t read_entry(PhysicalAddress address, unsigned stage, unsigned column, unsigned row, std::uint64_t input);
  void skip(ServedBy by, unsigned stage, unsigned column, unsigned row, std::uint64_t input,
            PhysicalAddress address = {}, std::uint64_t entry = 0);
  void skip_nested(ServedBy by, unsigned column, unsigned count, std::uint64_t input);
  std::uint64_t set_flags(PhysicalAddress address, std::uint64_t entry, std::uint64_t flags);
  bool set_guest_flags(const NestedPlace& place, std::uint64_t& entry, std::uint64_t flags);
  void remember(PhysicalAddress entry, unsigned stage);
  void check(const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) const;
  bool page_fault(bool present, bool reserved);
  bool ept_violation(GuestPhysicalAddress address, unsigned access, std::uint64_t allowed, bool for_table);
  bool ept_misconfiguration(GuestPhysicalAddress address, std::uint64_t entry);
  void fill_caches(bool translated);

  const Mmu& mmu_;
  Mmu* owner_;  ///< Null for const walks.
  AccessRequest request_;
  Tables tables_;
  Purpose purpose_;
  bool use_caches_ = false;
  bool used_caches_ = false;
  bool settled_ = true;
  bool global_ = false;
  std::uint8_t references_ = 0, skipped_ = 0;
  std::uint32_t latency_ = 0;
  std::uint32_t permissions_ = 0;
  std::uint32_t depths_ = 0;  ///< EPT references that each table took: see nested_depth_shift().
  PageSize size_ = PageSize::Size4K;
  GuestPhysicalAddress guest_physical_;
  PhysicalAddress physical_;
  std::array<Pointer, 5> pointers_{};  ///< By level, 2 to 4.
  std::array<TlbEntry, 5> nested_found_{};
  unsigned nested_found_count_ = 0;
  TranslateResult failure_;
};

}  // namespace shearling::x86
