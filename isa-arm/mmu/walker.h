// SPDX-License-Identifier: GPL-3.0-or-later
//
// One translation-table walk: of stage 1, of stage 2, or of stage 1 with every table address going through stage 2
// (DDI 0487, D8.2.4). Up to (4 + 1)(4 + 1) - 1 = 24 references when nothing is cached. The same code walks as hardware
// does (events, caches, access flag and dirty state) and purely (for probes and views). A Walker lives for one walk and
// allocates nothing. Page-walk caches and nested TLB are filled when the walk is complete: one walk never uses what it
// found itself.
#pragma once

#include <array>
#include <optional>

#include "isa-arm/mmu/rights.h"
#include "isa-arm/mmu/table_watch.h"
#include "isa-arm/mmu/translation_context.h"

namespace shearling::arm {

/// What a walk works with. Without a watch it remembers nothing of the entries that it read.
struct WalkEnvironment {
  const MachineContext& machine;
  const MmuFeatures& features;
  TableWatch* watch = nullptr;
  bool* new_table_frames = nullptr;
};

struct WalkRequest {
  VirtualAddress address;   ///< As looked up, without a tag.
  VirtualAddress reported;  ///< As the program gave it: what FAR gets.
  RightsQuery query;
  TlbTag tag;
  bool cache_maintenance = false;
  bool stage_one_only = false;  ///< AT S1Exy: the result is an intermediate address.
};

class Walker {
 public:
  enum class Purpose : std::uint8_t {
    Access,       ///< The hardware's own walk: references go through the memory path, descriptors are updated.
    Instruction,  ///< AT: the same, but from the tables alone, filling nothing and marking nothing dirty.
    Probe,        ///< No effect on the machine, but remembers the entries used.
    Inspect,      ///< No effect at all, and no permission checks.
  };
  /// What the descriptor of one stage-1 level points to, for filling and checking page-walk caches.
  struct Pointer {
    bool reached = false;
    PhysicalAddress entry_address;
    std::uint64_t entry = 0;
    GuestPhysicalAddress table;
    std::optional<PhysicalAddress> table_physical;
    std::uint32_t permissions = 0;  ///< As WalkCacheEntry::permissions.
  };
  /// Where an address lies after stage 2.
  struct NestedPlace {
    GuestPhysicalAddress address;
    PhysicalAddress physical;
    unsigned shift = 30;  ///< log2 of the region that is mapped as one.
    std::uint32_t rights = kNestedRights | kNestedIsDirty;
    bool walked = false;
  };
  /// Memory attributes of both stages, as AT reports them.
  struct Attributes {
    std::uint8_t stage_one = 0;  ///< As in MAIR.
    std::uint8_t stage_one_shareability = 2;
    std::uint8_t stage_two = 0xf;  ///< MemAttr.
    std::uint8_t stage_two_shareability = 0;
  };

  Walker(const WalkEnvironment& environment, const TranslationContext& context, const WalkRequest& request,
         Purpose purpose, bool with_caches = false);

  /// True when there is a translation; if not, fault() says why.
  bool run();
  [[nodiscard]] const TranslationFault& fault() const { return fault_; }
  /// Every flag that this access sets was set already.
  [[nodiscard]] bool settled() const { return settled_; }

  // After run() gave true:
  [[nodiscard]] TlbEntry entry() const { return entry(size()); }
  /// The piece of that size around the address.
  [[nodiscard]] TlbEntry entry(PageSize held) const;
  [[nodiscard]] PhysicalAddress physical() const { return physical_; }
  [[nodiscard]] GuestPhysicalAddress intermediate() const { return intermediate_; }
  [[nodiscard]] PageSize size() const { return page_within(shift_); }
  [[nodiscard]] std::uint32_t permissions() const { return permissions_; }
  [[nodiscard]] const Attributes& attributes() const { return attributes_; }
  [[nodiscard]] const Pointer& pointer(unsigned level) const { return pointers_[level]; }

  /// Stage 2 alone: for nested TLB entries and views.
  bool translate_nested(GuestPhysicalAddress address, unsigned column, unsigned access, bool for_table,
                        NestedPlace& place);
  [[nodiscard]] TlbEntry nested_entry(const NestedPlace& place) const;

 private:
  enum class Status : std::uint8_t { AddressSize = 0, Translation = 4, AccessFlag = 8, Permission = 12, External = 20 };
  [[nodiscard]] bool effects() const { return purpose_ == Purpose::Access || purpose_ == Purpose::Instruction; }
  [[nodiscard]] bool checked() const { return purpose_ != Purpose::Inspect; }
  [[nodiscard]] bool marks_dirty() const { return purpose_ != Purpose::Instruction; }
  [[nodiscard]] bool nested() const { return context_.stage_two; }

  bool translate();
  // Stage 1
  bool range_is_good();
  bool walk_stage_one();
  void follow(unsigned level, std::uint64_t entry, const NestedPlace& place);
  bool finish_stage_one(unsigned level, std::uint64_t entry, const NestedPlace& place);
  bool find_entry(unsigned level, NestedPlace& place);
  unsigned start_level(NestedPlace& place);
  bool update_stage_one(NestedPlace place, unsigned level, std::uint64_t before, std::uint64_t after);
  void take_rights(std::uint64_t entry, bool never_writable);
  void take_attributes(std::uint64_t entry);
  void no_stage_one();
  // Stage 2
  bool nested_walk(const TableShape& shape, unsigned column, unsigned access, bool for_table, NestedPlace& place);
  bool nested_leaf(const TableShape& shape, unsigned level, PhysicalAddress at, std::uint64_t entry, unsigned access,
                   bool for_table, NestedPlace& place);
  bool nested_permits(unsigned level, unsigned access, bool for_table, const NestedPlace& place);
  bool nested_from_cache(unsigned column, unsigned access, bool for_table, NestedPlace& place, bool& served);
  [[nodiscard]] std::uint32_t nested_rights(std::uint64_t entry, bool hardware_dirty) const;

  struct Reference {
    unsigned stage, column, row, level;
    std::uint64_t input;
  };
  std::optional<std::uint64_t> read_entry(PhysicalAddress address, const Reference& where);
  [[nodiscard]] bool run_agrees(PhysicalAddress at, std::uint64_t entry, const TableShape& shape, unsigned stage);
  void skip(ServedBy by, const Reference& where, PhysicalAddress address = {}, std::uint64_t entry = 0);
  void skip_nested(ServedBy by, unsigned column, unsigned count, std::uint64_t input);
  void write_entry(PhysicalAddress address, std::uint64_t before, std::uint64_t after);
  void remember(PhysicalAddress entry, unsigned stage);
  void check(const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) const;
  bool fail(Status status, unsigned level, unsigned stage = 1);
  bool fail_nested(Status status, unsigned level, GuestPhysicalAddress address, unsigned access, bool for_table);
  void fill_caches(bool translated);

  const WalkEnvironment& environment_;
  const TranslationContext& context_;
  WalkRequest request_;
  Purpose purpose_;
  bool use_caches_;
  bool settled_ = true;
  bool global_ = false;
  std::uint8_t references_ = 0, skipped_ = 0;
  std::uint32_t latency_ = 0;
  std::uint32_t permissions_ = 0;
  std::uint32_t depths_ = 0;  ///< Stage-2 references that each table took: see nested_depth_shift().
  unsigned shift_ = 30;       ///< log2 of the smaller of the two stages' regions.
  unsigned region_shift_ = 30;
  TableShape one_;
  GuestPhysicalAddress table_;  ///< Of the level that is read next.
  GuestPhysicalAddress intermediate_;
  PhysicalAddress physical_;
  Attributes attributes_;
  std::array<Pointer, 4> pointers_{};  ///< By architectural level; the last one is never reached.
  std::array<TlbEntry, 7> nested_found_{};
  unsigned nested_found_count_ = 0;
  TranslationFault fault_;
};

}  // namespace shearling::arm
