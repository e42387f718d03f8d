// SPDX-License-Identifier: GPL-3.0-or-later
//
// The inside of Mmu: what it borrows, which TLB structures hold which page sizes, and what it knows of the address
// spaces that were used.
//
// Staleness. A TLB of this model is asked by tag (ASID and VMID), so a translation made under other tables with the
// same tag is served. Direct execution walks the tables instead: it must give way wherever that could differ. Two
// things are watched: changes of descriptors that some walk has used (table_store), and tags that come back with other
// tables. For the second, each tag keeps the contexts (tables and their shapes) under which it ran since it was last
// invalidated as a whole; a second one is a hazard. An entry is compared with the tables of the current context where
// it can serve now, else with those of its tag's latest context; one whose tag is unknown counts as stale.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "isa-arm/mmu/walker.h"

namespace shearling::arm {

class AddressSpaces {
 public:
  /// This context runs under this tag from now on. True when it was another one's until now, of which translations may
  /// still be cached.
  bool use(TlbTag tag, const TranslationContext& context);
  /// No translation of these tags is cached any more.
  template <typename Condition>
  void forget(Condition tag_is_gone) {
    for (auto& [tag, contexts] : recent_) {
      if (tag_is_gone(unpacked(tag))) contexts.clear();
    }
  }
  /// The machine was put back to an earlier state: what was forgotten since may be cached again.
  void restored();
  /// True once after restored(): which context a virtual machine had is not known then.
  bool take_uncertainty(std::uint16_t virtual_machine) { return uncertain_.erase(virtual_machine) != 0; }
  [[nodiscard]] const TranslationContext* latest(TlbTag tag) const;
  /// Of any address space of a virtual machine: for global and for nested entries.
  [[nodiscard]] const TranslationContext* latest_of_machine(std::uint16_t virtual_machine) const;
  void note_global(const TlbEntry& entry) { global_pages_[entry.tag.virtual_machine].insert(entry.page.value); }
  [[nodiscard]] const std::unordered_set<std::uint64_t>* global_pages(std::uint16_t virtual_machine) const;

 private:
  using Contexts = std::unordered_map<std::uint32_t, std::vector<TranslationContext>>;
  static TlbTag unpacked(std::uint32_t tag) {
    return {.address_space = static_cast<std::uint16_t>(tag), .virtual_machine = static_cast<std::uint16_t>(tag >> 16)};
  }
  Contexts ever_, recent_;
  std::unordered_map<std::uint32_t, TranslationContext> latest_;
  std::unordered_map<std::uint16_t, TranslationContext> latest_of_machine_;
  std::unordered_set<std::uint32_t> certain_;  ///< Tags whose latest_ is that of this past, too.
  std::unordered_set<std::uint16_t> uncertain_;
  std::unordered_map<std::uint16_t, std::unordered_set<std::uint64_t>> global_pages_;
};

struct Mmu::Implementation {
  Implementation(const MachineContext& context, const ArmState& state, const MmuFeatures& features, TableWatch& watch);

  enum class Fit : std::uint8_t { Serves, NotDirty, StageOneDenies, StageTwoDenies };

  [[nodiscard]] WalkEnvironment watching() {
    return {.machine = machine, .features = features, .watch = &watch, .new_table_frames = &new_table_frames};
  }
  [[nodiscard]] WalkEnvironment looking() const { return {.machine = machine, .features = features}; }
  [[nodiscard]] WalkRequest walk_request(const AccessRequest& request, const TranslationContext& context) const;
  [[nodiscard]] RightsQuery rights_query(const AccessRequest& request) const;
  /// What needs neither TLB nor tables: both stages are off.
  [[nodiscard]] std::optional<TranslateResult> without_walk(const AccessRequest& request,
                                                            const TranslationContext& context) const;
  [[nodiscard]] Fit fit(const TlbEntry& entry, const RightsQuery& query) const;
  [[nodiscard]] bool writable_now(std::uint32_t permissions, RightsQuery query) const;
  [[nodiscard]] Translation translation_of(const Walker& walker, const WalkRequest& request) const;
  [[nodiscard]] TranslateResult from_entry(const TlbEntry& entry, const AccessRequest& request, const WalkRequest& walk,
                                           Fit fits) const;
  TranslateResult walk(const WalkRequest& request, const TranslationContext& context);
  void note_walk(const Walker& walker);
  /// Frames that were filled as ordinary pages before hold tables now: nobody may keep a grant to write them unseen.
  void note_table_frames();
  [[nodiscard]] std::uint64_t par_of(const Walker& walker, bool two_stages) const;

  void context_changed();
  [[nodiscard]] bool global_pages_differ(std::uint16_t virtual_machine, const TranslationContext& before,
                                         const TranslationContext& after) const;
  void note_current_context();

  void invalidate(const TlbInvalidation& what);
  void invalidate_page(VirtualAddress address, const TlbInvalidation& what);
  void invalidate_intermediate(const TlbInvalidation& what);
  void invalidate_machine(std::uint16_t virtual_machine, bool nested, std::string_view name);
  void invalidate_all_machines(std::string_view name);
  [[nodiscard]] bool holds_any_of(std::uint16_t virtual_machine) const;

  /// Calls visit(entry, nested) for every entry of every TLB.
  template <typename Visit>
  void for_each_entry(Visit visit) const;
  [[nodiscard]] const TranslationContext* context_behind(TlbTag held, bool global) const;
  [[nodiscard]] bool is_stale(const TlbEntry& held) const;
  [[nodiscard]] bool is_stale(const WalkCacheEntry& held) const;
  [[nodiscard]] bool is_stale_nested(const TlbEntry& held) const;
  [[nodiscard]] bool has_stale_entries() const;

  MachineContext machine;
  const ArmState& state;
  const MmuFeatures features;
  TableWatch& watch;
  bool new_table_frames = false;
  /// By side (0 data, 1 fetches) and page size: the size as which the TLBs hold such a page.
  std::array<std::array<PageSize, 5>, 2> held_size{};
  AddressSpaces spaces;
};

template <typename Visit>
void Mmu::Implementation::for_each_entry(Visit visit) const {
  const TranslationCaches& caches = machine.memory_path.translation();
  const std::vector<const Tlb*> structures = caches.structures();
  for (const Tlb* tlb : structures) {
    const bool nested = caches.config().nested_entries != 0 && tlb == structures.back();
    for (unsigned set = 0; set < tlb->sets(); ++set) {
      for (unsigned way = 0; way < tlb->geometry().ways; ++way) {
        const TlbSlot& slot = tlb->slot(set, way);
        if (slot.valid) visit(slot.entry, nested);
      }
    }
  }
}

}  // namespace shearling::arm
