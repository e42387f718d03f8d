// SPDX-License-Identifier: GPL-3.0-or-later
//
// The AArch64 memory-management unit, VMSAv8-64 (DDI 0487, chapter D8): stage 1 of the EL1&0, EL2 and EL2&0 regimes and
// stage 2 under EL1&0, with 4 KB, 16 KB and 64 KB granules, blocks and pages, permissions of both stages, the access
// flag, hardware management of AF and dirty state, the contiguous hint, ASIDs and VMIDs. It walks reference by
// reference through the memory path, and the TLB model decides which translation is used: a stale entry really serves
// the old page. Left out: 52-bit addresses, the fifth level, EL3's regime, memory tagging, nested virtualization,
// big-endian tables (SCTLR.EE), HCR_EL2.CD and ID, the conflict aborts of a missing break-before-make.
// Levels in events count down as in every view: architectural level 0 is 4, level 3 is 1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/machine/processor.h"
#include "isa-arm/registers/arm_state.h"

namespace shearling::arm {

/// CPU features that change translation, from MachineConfig::cpu_features.
struct MmuFeatures {
  bool pan = false;     ///< FEAT_PAN
  bool hafdbs = false;  ///< FEAT_HAFDBS: hardware AF and dirty state
  bool vhe = false;     ///< FEAT_VHE
  bool granule_16k = false;
  bool xnx = false;                     ///< FEAT_XNX: stage-2 XN[1:0]
  unsigned physical_address_bits = 44;  ///< 32 to 48
  unsigned asid_bits = 16;
};

enum class Regime : std::uint8_t { El10, El2, El20 };
/// The regime that an access by `exception_level` uses now.
Regime regime_of(const ArmState& state, unsigned exception_level);

struct AccessRequest {
  VirtualAddress address;
  AccessKind kind = AccessKind::Read;
  unsigned exception_level = 1;  ///< Whose rights: LDTR and STTR at EL1 ask with 0.
  Regime regime = Regime::El10;
  /// PSTATE.PAN as it applies to this access (never to fetches, to LDTR, nor to cache maintenance by address).
  bool pan = false;
  bool cache_maintenance = false;  ///< DC, IC, AT: sets ISS.CM; DC needs no write permission but DC ZVA.
};

enum class MemoryType : std::uint8_t { Normal, Device };

struct Translation {
  PhysicalAddress physical;
  GuestPhysicalAddress intermediate;
  PageSize page_size =
      PageSize::Size4K;       ///< Effective, as the TLB holds it: 32 MB and 512 MB blocks become 2 MB pieces.
  bool writable_now = false;  ///< A write by the same level would need no walk and no update more.
  MemoryType type = MemoryType::Normal;
  bool operator==(const Translation&) const = default;
};

/// A fault of either stage. `status` is DFSC/IFSC (DDI 0487, table D19-7): 0b0001LL translation, 0b0010LL access flag,
/// 0b0011LL permission, 0b0000LL address size, 0b100001 alignment, 0b010000 external abort (0b0101LL on a walk),
/// 0b110000 TLB conflict (never).
struct TranslationFault {
  std::uint8_t status = 0;
  std::uint8_t stage = 1;
  bool on_walk = false;  ///< Stage 2, of the address of a stage-1 table: ISS.S1PTW.
  bool write = false;    ///< ISS.WnR: also of a walk that had to update a descriptor.
  bool cache_maintenance = false;
  bool external = false;
  VirtualAddress address;
  GuestPhysicalAddress intermediate;  ///< Stage 2: what HPFAR_EL2 gets (the whole address, not shifted).
  bool operator==(const TranslationFault&) const = default;
};
using TranslateResult = std::variant<Translation, TranslationFault>;

/// What the AT instructions ask for.
struct AddressTranslation {
  bool stage_two = false;  ///< AT S12Exy: both stages.
  unsigned exception_level = 1;
  Regime regime = Regime::El10;
  bool write = false;
  bool pan = false;  ///< AT S1E1RP, S1E1WP
};

/// TLBI, taken apart (DDI 0487, D8.16). Broadcasts are the caller's: it tells every core of the inner-shareable domain.
struct TlbInvalidation {
  enum class Kind : std::uint8_t { Address, AddressAllAsids, IntermediateAddress, Asid, Vmid, VmidStage12, All };
  Kind kind = Kind::All;
  Regime regime = Regime::El10;
  std::uint16_t asid = 0;
  std::uint16_t vmid = 0;
  bool last_level_only = false;
  VirtualAddress address;             ///< Address, AddressAllAsids.
  GuestPhysicalAddress intermediate;  ///< IntermediateAddress.
  std::string_view name;              ///< "TLBI VAE1IS": static text, for the event.
};

/// What all MMUs of a machine know together: which table entries some walk has used, and how often one was changed.
class TableWatch;

class Mmu {
 public:
  Mmu(const MachineContext& context, const ArmState& state, const MmuFeatures& features, TableWatch& watch);
  ~Mmu();

  /// The architectural translation of one access within one 4 KB page: TLB model (when models are on), walk, checks,
  /// AF and dirty state, fills, events.
  TranslateResult translate(const AccessRequest& request);
  /// For direct execution's fills: grants only where translate() would change nothing in memory. No events, no models.
  /// Remembers the table frames it read.
  [[nodiscard]] std::optional<Translation> probe(const AccessRequest& request);
  /// For views: walks by the current regime's tables without side effects or permission checks.
  [[nodiscard]] std::optional<InspectedTranslation> inspect(VirtualAddress address) const;
  /// Stage 2 alone (identity while it is off); nothing where it faults.
  [[nodiscard]] std::optional<PhysicalAddress> inspect_stage_two(GuestPhysicalAddress address) const;
  /// The value for PAR_EL1 (DDI 0487, D19.2.105). A stage-2 fault on a stage-1 AT is an exception: second member.
  struct AtResult {
    std::uint64_t par = 0;
    std::optional<TranslationFault> exception;
  };
  AtResult address_translate(VirtualAddress address, const AddressTranslation& what);

  void invalidate(const TlbInvalidation& what);
  /// TTBR0/1, VTTBR, TCR, VTCR, SCTLR, HCR, MAIR was written, or the regime of the running code changed: address spaces
  /// are tagged, so nothing is dropped, but the address space seen by the engine changes.
  void context_changed();
  /// The machine was put back to an earlier state: translations that were invalidated since may be cached again. To be
  /// called whenever the TLB models and memory were restored, before the next access.
  void state_restored();

  [[nodiscard]] std::uint16_t current_asid() const;
  [[nodiscard]] std::uint16_t current_vmid() const;
  /// Of the running code, as TLB entries carry it.
  [[nodiscard]] TlbTag current_tag() const;

  [[nodiscard]] bool is_table_frame(PhysicalAddress address) const;
  /// Called for each store into a table frame before it happens: a change of a used entry is a hazard.
  void table_store(PhysicalAddress address, unsigned size, std::uint64_t value);
  [[nodiscard]] bool hazard() const;
  void clear_hazard();
  /// Compares every TLB and page-walk-cache entry with the tables in memory.
  [[nodiscard]] bool has_stale_entries() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// "valid=1 table=0 AP=01 ..." for an entry of that name ("stage 1 L0", "stage 2 L3", ...).
std::string describe_descriptor(std::string_view name, std::uint64_t entry);

}  // namespace shearling::arm
