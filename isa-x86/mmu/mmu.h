// SPDX-License-Identifier: GPL-3.0-or-later
//
// The x86-64 memory-management unit: 4-level paging (4 KB, 2 MB, 1 GB pages; SDM volume 3A, chapter 4) and, in VMX
// non-root operation with EPT, the second stage under it (SDM volume 3C, section 28.3). It walks reference by
// reference through the memory path, checks U/S, R/W, NX, WP, SMEP, SMAP and reserved bits, and sets A and D bits of
// both stages. The TLB model decides which translation is used: a stale entry really serves the old page.
// Left out: 32-bit and PAE paging without long mode (asked for, they stop the machine as unsupported), protection
// keys, 5-level paging, shadow stacks, EPT memory types beyond the misconfiguration checks.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <variant>

#include "core/machine/processor.h"
#include "core/machine/used_table_entries.h"
#include "isa-x86/cpu/system_state.h"

namespace shearling::x86 {

/// The part of VMX that the MMU looks at. Owned and kept current by VmxUnit.
struct NestedTranslation {
  bool enabled = false;         ///< In non-root operation with "enable EPT".
  bool accessed_dirty = false;  ///< EPTP bit 6.
  std::uint16_t vpid = 0;       ///< 0 in root operation and without VPID.
  std::uint64_t eptp = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(enabled, accessed_dirty, vpid, eptp);
  }
};

/// TlbEntry::permissions of this ISA.
inline constexpr std::uint32_t kMayWrite = 1, kMayExecute = 2, kIsUser = 4, kIsDirty = 8, kNestedMayWrite = 16,
                               kNestedMayExecute = 32, kNestedIsDirty = 64, kNestedMayRead = 128;

struct AccessRequest {
  VirtualAddress address;
  AccessKind kind = AccessKind::Read;
  unsigned cpl = 0;
  bool implicit_supervisor = false;   ///< Descriptor tables, TSS, interrupt frames: supervisor whatever CPL is.
  bool alignment_check_flag = false;  ///< RFLAGS.AC: lifts SMAP for explicit supervisor accesses.
};

struct Translation {
  PhysicalAddress physical;
  GuestPhysicalAddress guest_physical;
  PageSize page_size = PageSize::Size4K;
  bool writable_now = false;  ///< A write by the same CPL would need no walk and no check more (D bits set).
  bool operator==(const Translation&) const = default;
};
/// Stage-1 fault: vector 14. Error code P 0, W/R 1, U/S 2, RSVD 3, I/D 4.
struct PageFault {
  VirtualAddress address;
  std::uint32_t error_code = 0;
  bool operator==(const PageFault&) const = default;
};
/// Stage-2 fault: a VM exit. Qualification as SDM table 27-7 (violation only).
struct EptFault {
  bool misconfiguration = false;
  GuestPhysicalAddress guest_physical;
  VirtualAddress linear;
  std::uint64_t qualification = 0;
  bool operator==(const EptFault&) const = default;
};
/// Non-canonical address: #GP(0), or #SS(0) for stack references; the caller knows which.
struct NonCanonical {
  VirtualAddress address;
  bool operator==(const NonCanonical&) const = default;
};
/// A paging mode that is left out (see above).
struct UnsupportedPaging {
  bool operator==(const UnsupportedPaging&) const = default;
};
using TranslateResult = std::variant<Translation, PageFault, EptFault, NonCanonical, UnsupportedPaging>;

class Mmu {
 public:
  Mmu(const MachineContext& context, const SystemState& state, const NestedTranslation& nested);

  /// The architectural translation of one access within one page: TLB model (when models are on), walk, checks, A and
  /// D bits, fills, events.
  TranslateResult translate(const AccessRequest& request);
  /// For direct execution's fills: grants only where translate() would change nothing in memory (A and D bits set, no
  /// fault). No events, no models. Remembers the table frames it read: they become is_table_frame().
  [[nodiscard]] std::optional<Translation> probe(const AccessRequest& request);
  /// For views: walks without side effects or permission checks.
  [[nodiscard]] std::optional<InspectedTranslation> inspect(VirtualAddress address) const;
  [[nodiscard]] std::optional<PhysicalAddress> inspect_nested(GuestPhysicalAddress address) const;

  // Architectural invalidations: models, and the engine's soft TLB.
  void cr3_written(bool keep_translations);  ///< Bit 63 of MOV CR3 with PCIDE.
  void invlpg(VirtualAddress address);
  enum class InvpcidType : std::uint8_t { Address = 0, Context = 1, AllIncludingGlobal = 2, AllExceptGlobal = 3 };
  void invpcid(InvpcidType type, std::uint16_t pcid, VirtualAddress address);
  void paging_mode_changed(std::string_view reason);  ///< CR0.PG, CR4.PGE/PAE/PCIDE/SMEP, EFER.NXE.
  void invvpid_all(std::uint16_t vpid);
  void invept_all();
  /// VM entry and exit: the address space seen by the engine changes; without VPID everything goes.
  void world_switched();
  /// CPL, AC or anything else changed that fills granted earlier depended on.
  void access_rights_changed();

  /// True for a frame that holds page-table or EPT entries some translation was made from.
  [[nodiscard]] bool is_table_frame(PhysicalAddress address) const;
  /// Called for each store into a table frame before it happens: remembers whether it changes a present entry.
  void table_store(PhysicalAddress address, unsigned size, std::uint64_t value);
  /// True when a present entry was changed since clear_hazard(): direct execution must give way to the models, and
  /// observed runs to steps until no entry is stale.
  [[nodiscard]] bool hazard() const { return hazard_; }
  void clear_hazard() { hazard_ = false; }
  /// Compares every TLB and page-walk-cache entry with the tables in memory.
  [[nodiscard]] bool has_stale_entries() const;

  template <typename Archive>
  void serialize(Archive&) {}  // The tables are in RAM, registers in SystemState, TLBs in the memory path.

 private:
  struct Walker;
  struct Tables;
  enum class Fit : std::uint8_t { Serves, Denies, NotDirty };
  Fit fit(const TlbEntry& entry, const AccessRequest& request) const;
  TranslateResult walk(const AccessRequest& request, bool with_caches);
  TranslateResult conclude(const Walker& walker, bool translated, const AccessRequest& request);
  [[nodiscard]] Tables current_tables() const;
  [[nodiscard]] Tables tables_behind(TlbTag held, bool global, std::uint64_t root) const;
  [[nodiscard]] bool writable_now(std::uint32_t permissions, const AccessRequest& request) const;
  [[nodiscard]] std::optional<TranslateResult> without_walk(const AccessRequest& request) const;
  [[nodiscard]] TlbTag tag() const { return {.address_space = state_.pcid(), .virtual_machine = nested_.vpid}; }
  [[nodiscard]] bool is_stale(const TlbEntry& entry) const;
  [[nodiscard]] bool is_stale(const WalkCacheEntry& entry) const;
  [[nodiscard]] bool is_stale_nested(const TlbEntry& entry) const;
  [[nodiscard]] bool holds_translations_of(std::uint16_t vpid) const;
  template <typename Condition>
  bool any_entry(Condition condition) const;
  void note_table_frames();
  void note_walk(const Walker& walker);
  [[nodiscard]] bool global_pages_differ(std::uint64_t before, std::uint64_t after) const;

  MachineContext context_;
  const SystemState& state_;
  const NestedTranslation& nested_;
  bool gigabyte_pages_;
  UsedTableEntries used_entries_;
  bool new_table_frames_ = false;
  bool hazard_ = false;
  /// Roots that each address space has had: see cr3_written().
  std::unordered_map<std::uint32_t, std::unordered_set<std::uint64_t>> roots_;
  std::unordered_set<std::uint64_t> global_pages_;  ///< Pages that were global when they were walked.
  std::uint64_t walked_root_ = 0;                   ///< Of the last walk: the root before a MOV CR3.
};

/// "P=1 R/W=1 U/S=0 ..." for an entry of that name (PML4E, PDPTE, PDE, PTE, EPT PML4E, ...).
std::string describe_page_table_entry(std::string_view name, std::uint64_t entry);

}  // namespace shearling::x86
