// SPDX-License-Identifier: GPL-3.0-or-later
//
// The AArch64 system registers as one declared table: name, encoding, fields, reset value, who may read and write each,
// and which control bit traps it to which level. Execution, the register view, tooltips and tests all read this table.
// Arm Architecture Reference Manual (DDI 0487), chapter D19 (registers), D1.3 and D14 (traps); GIC Architecture
// Specification (IHI 0069), chapter 12. Names are the manual's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/events/sink.h"
#include "isa-arm/registers/exception.h"

namespace shearling {
struct MachineConfig;
}

namespace shearling::arm {

struct ArmState;

/// Every register that has a place of its own. Names of FEAT_VHE (SCTLR_EL12, ...) are other encodings of these.
enum class SystemRegister : std::uint16_t {
  // Identification
  MIDR_EL1,
  MPIDR_EL1,
  REVIDR_EL1,
  ID_AA64PFR0_EL1,
  ID_AA64PFR1_EL1,
  ID_AA64DFR0_EL1,
  ID_AA64DFR1_EL1,
  ID_AA64AFR0_EL1,
  ID_AA64AFR1_EL1,
  ID_AA64ISAR0_EL1,
  ID_AA64ISAR1_EL1,
  ID_AA64MMFR0_EL1,
  ID_AA64MMFR1_EL1,
  ID_AA64MMFR2_EL1,
  CTR_EL0,
  DCZID_EL0,
  CLIDR_EL1,
  CCSIDR_EL1,
  CSSELR_EL1,
  AIDR_EL1,
  // EL0 and EL1
  SCTLR_EL1,
  ACTLR_EL1,
  CPACR_EL1,
  TTBR0_EL1,
  TTBR1_EL1,
  TCR_EL1,
  SPSR_EL1,
  ELR_EL1,
  SP_EL0,
  SP_EL1,
  SPSel,
  CurrentEL,
  DAIF,
  NZCV,
  PAN,
  FPCR,
  FPSR,
  AFSR0_EL1,
  AFSR1_EL1,
  ESR_EL1,
  FAR_EL1,
  PAR_EL1,
  MAIR_EL1,
  AMAIR_EL1,
  VBAR_EL1,
  RVBAR_EL1,
  ISR_EL1,
  CONTEXTIDR_EL1,
  TPIDR_EL0,
  TPIDRRO_EL0,
  TPIDR_EL1,
  CNTKCTL_EL1,
  // EL2
  VPIDR_EL2,
  VMPIDR_EL2,
  SCTLR_EL2,
  ACTLR_EL2,
  HCR_EL2,
  MDCR_EL2,
  CPTR_EL2,
  HSTR_EL2,
  HACR_EL2,
  TTBR0_EL2,
  TTBR1_EL2,
  TCR_EL2,
  VTTBR_EL2,
  VTCR_EL2,
  SPSR_EL2,
  ELR_EL2,
  AFSR0_EL2,
  AFSR1_EL2,
  ESR_EL2,
  FAR_EL2,
  HPFAR_EL2,
  MAIR_EL2,
  AMAIR_EL2,
  VBAR_EL2,
  RVBAR_EL2,
  CONTEXTIDR_EL2,
  TPIDR_EL2,
  CNTVOFF_EL2,
  CNTHCTL_EL2,
  CNTHP_TVAL_EL2,
  CNTHP_CTL_EL2,
  CNTHP_CVAL_EL2,
  CNTHV_TVAL_EL2,
  CNTHV_CTL_EL2,
  CNTHV_CVAL_EL2,
  // Generic timer
  CNTFRQ_EL0,
  CNTPCT_EL0,
  CNTVCT_EL0,
  CNTP_TVAL_EL0,
  CNTP_CTL_EL0,
  CNTP_CVAL_EL0,
  CNTV_TVAL_EL0,
  CNTV_CTL_EL0,
  CNTV_CVAL_EL0,
  // GIC CPU interface; the virtual one (ICV_*) answers to the same names
  ICC_PMR_EL1,
  ICC_IAR0_EL1,
  ICC_EOIR0_EL1,
  ICC_HPPIR0_EL1,
  ICC_BPR0_EL1,
  ICC_AP0R0_EL1,
  ICC_AP1R0_EL1,
  ICC_DIR_EL1,
  ICC_RPR_EL1,
  ICC_SGI1R_EL1,
  ICC_ASGI1R_EL1,
  ICC_SGI0R_EL1,
  ICC_IAR1_EL1,
  ICC_EOIR1_EL1,
  ICC_HPPIR1_EL1,
  ICC_BPR1_EL1,
  ICC_CTLR_EL1,
  ICC_SRE_EL1,
  ICC_IGRPEN0_EL1,
  ICC_IGRPEN1_EL1,
  ICC_SRE_EL2,
  ICH_AP0R0_EL2,
  ICH_AP1R0_EL2,
  ICH_HCR_EL2,
  ICH_VTR_EL2,
  ICH_MISR_EL2,
  ICH_EISR_EL2,
  ICH_ELRSR_EL2,
  ICH_VMCR_EL2,
  ICH_LR0_EL2,
  ICH_LR1_EL2,
  ICH_LR2_EL2,
  ICH_LR3_EL2,
  // Debug and performance monitors: what guests touch and MDCR_EL2 traps
  MDSCR_EL1,
  MDCCINT_EL1,
  OSLAR_EL1,
  OSLSR_EL1,
  OSDLR_EL1,
  DBGBVR0_EL1,
  DBGBCR0_EL1,
  DBGWVR0_EL1,
  DBGWCR0_EL1,
  MDRAR_EL1,
  PMCR_EL0,
  PMCNTENSET_EL0,
  PMCNTENCLR_EL0,
  PMOVSCLR_EL0,
  PMSELR_EL0,
  PMCCNTR_EL0,
  PMCCFILTR_EL0,
  PMXEVTYPER_EL0,
  PMXEVCNTR_EL0,
  PMUSERENR_EL0,
  PMINTENSET_EL1,
  PMINTENCLR_EL1,
  PMOVSSET_EL0,
  Count
};
inline constexpr std::size_t kSystemRegisterCount = static_cast<std::size_t>(SystemRegister::Count);

/// op0:op1:CRn:CRm:op2, as MSR and MRS carry it in bits 20 to 5.
struct SystemEncoding {
  std::uint8_t op0 = 0, op1 = 0, crn = 0, crm = 0, op2 = 0;
  bool operator==(const SystemEncoding&) const = default;
  [[nodiscard]] constexpr std::uint32_t packed() const {
    return static_cast<std::uint32_t>(op0) << 14 | static_cast<std::uint32_t>(op1) << 11 |
           static_cast<std::uint32_t>(crn) << 7 | static_cast<std::uint32_t>(crm) << 3 | op2;
  }
  static constexpr SystemEncoding of_instruction(std::uint32_t instruction) {
    return {static_cast<std::uint8_t>((instruction >> 19) & 3), static_cast<std::uint8_t>((instruction >> 16) & 7),
            static_cast<std::uint8_t>((instruction >> 12) & 15), static_cast<std::uint8_t>((instruction >> 8) & 15),
            static_cast<std::uint8_t>((instruction >> 5) & 7)};
  }
};

/// Who keeps the register's value.
enum class RegisterHome : std::uint8_t {
  Stored,        ///< ArmState::system, with a write mask: read_stored() and write_stored().
  Constant,      ///< ArmState::system, read only: identification.
  ProcessState,  ///< CurrentEL, DAIF, NZCV, SPSel, PAN, SP_ELx, FPCR, FPSR, ISR_EL1: the processor computes them.
  Timer,         ///< isa-arm/gic/generic_timer.h
  Interrupt,     ///< ICC_*: isa-arm/gic/gic.h, physical or virtual interface
  Hypervisor,    ///< ICH_*: isa-arm/gic/gic.h
};

struct RegisterField {
  std::string_view name;           ///< "M", "TTBR0.ASID", ...
  std::uint8_t high = 0, low = 0;  ///< Bits.
  std::string_view meaning;        ///< For tooltips: one short sentence.
};

struct SystemRegisterInfo {
  SystemRegister id = SystemRegister::Count;
  std::string_view name;
  SystemEncoding encoding;
  RegisterHome home = RegisterHome::Stored;
  std::uint64_t reset = 0;
  std::uint64_t writable = ~std::uint64_t{0};  ///< RES0 bits are clear here.
  std::uint64_t always_one = 0;                ///< RES1
  /// The lowest level that may read and write it when nothing traps; 3: nobody.
  std::uint8_t read_from = 1, write_from = 1;
  std::string_view group;  ///< For the register view: "identification", "translation", "exception", "timer", "GIC", ...
  std::string_view section;  ///< Where the manual describes it.
  std::span<const RegisterField> fields;
  std::string_view feature;  ///< The CPU feature that brings the register; empty: every core has it.
};

std::span<const SystemRegisterInfo> system_register_table();  ///< By SystemRegister.
const SystemRegisterInfo& info_of(SystemRegister reg);

/// FEAT_VHE (DDI 0487, D8.2): while HCR_EL2.E2H is set, the name of `reg` means `host` at EL2, and `alias` (op1 = 5)
/// means `reg` there.
struct HostRedirection {
  SystemRegister reg = SystemRegister::Count, host = SystemRegister::Count;
  std::string_view alias;
  [[nodiscard]] SystemEncoding alias_encoding() const;
};
std::span<const HostRedirection> host_redirections();

/// Instructions of the SYS space (DDI 0487, C5.3 to C5.5) that this core has.
struct SystemInstructionInfo {
  std::string_view name;  ///< "DC CIVAC", "TLBI VAE1IS", ...
  SystemEncoding encoding;
  std::uint8_t from = 1;            ///< The lowest level that may execute it.
  std::string_view feature;         ///< The CPU feature that brings it.
  std::uint64_t trap_families = 0;  ///< What traps it: trap_rules.h.
};
std::span<const SystemInstructionInfo> system_instruction_table();
/// The name that an MRS, MSR, SYS or MSR (immediate) encoding has, aliases included; empty where it has none.
std::string_view name_of(SystemEncoding encoding);

/// What MRS reads of registers whose home is Stored or Constant: CCSIDR_EL1 by CSSELR_EL1, DCZID_EL0.DZP by level.
[[nodiscard]] std::uint64_t read_stored(const ArmState& state, SystemRegister reg);
/// MSR to a register whose home is Stored: reserved bits, the layouts that HCR_EL2.E2H chooses, and the pairs of
/// registers that set and clear the same bits.
void write_stored(ArmState& state, const MachineConfig& config, SystemRegister reg, std::uint64_t value);

/// "M=1 C=1 WXN=0 ..." from the table's fields; ESR and PSTATE decode their class and mode in words. `host_layout`: the
/// fields that SCTLR_EL2, TCR_EL2, CPTR_EL2 and CNTHCTL_EL2 have while HCR_EL2.E2H is set.
std::string describe_fields(SystemRegister reg, std::uint64_t value, bool host_layout = false);

/// CPU features by the names of the machine description, each with its FEAT_ name and what it does to the ID registers.
struct FeatureInfo {
  std::string_view name;  ///< "pan", "hafdbs", "vhe", "granule-16k", "xnx", "el2", ...
  std::string_view architecture_name;
  std::string_view meaning;
};
std::span<const FeatureInfo> feature_table();
/// The first feature of the description that the table does not know; empty if it knows all.
std::string_view unknown_feature(const MachineConfig& config);
[[nodiscard]] bool has_feature(const MachineConfig& config, std::string_view name);
/// Reset values of every register for a machine description and a core of that number (MPIDR_EL1).
void reset_system_registers(ArmState& state, const MachineConfig& config, unsigned cpu);

/// What becomes of an MRS, MSR, or any other instruction that a control bit may trap.
struct AccessDecision {
  enum class Kind : std::uint8_t { Allowed, Undefined, Trapped } kind = Kind::Undefined;
  ArmException exception;  ///< Trapped: with target and syndrome. Undefined: EC 0.
  SystemRegister reg =
      SystemRegister::Count;  ///< Allowed: after FEAT_VHE's redirection. Count: a register that reads as zero.
};

/// EL2's trap bits of ICH_HCR_EL2 are looked up in ArmState: the core stores them there besides telling the GIC.
/// MRS (read) or MSR of the encoding at the current level, every check in the architecture's order, each an event with
/// its sentence. `rt` is the general register (31: XZR), for the syndrome.
AccessDecision decide_system_access(const ArmState& state, const MachineConfig& config, SystemEncoding encoding,
                                    bool read, unsigned rt, EventStream& events);

/// Instructions other than MRS and MSR that a control may trap, disable or make UNDEFINED.
enum class TrappableInstruction : std::uint8_t {
  Svc,
  Hvc,
  Smc,
  Eret,
  Wfi,
  Wfe,
  FloatingPoint,  ///< Any FP or Advanced SIMD instruction: CPACR_EL1.FPEN, CPTR_EL2.TFP and FPEN.
  MsrImmediate,   ///< MSR DAIFSet, DAIFClr, SPSel, PAN #imm: `encoding` says which.
  System,         ///< SYS and SYSL: AT, DC, IC, TLBI: `encoding` says which.
};
struct InstructionQuery {
  TrappableInstruction instruction = TrappableInstruction::Svc;
  std::uint16_t immediate = 0;  ///< SVC, HVC, SMC.
  SystemEncoding encoding;      ///< MsrImmediate, System.
  unsigned rt = 31;             ///< System.
  bool read = false;            ///< System: SYSL.
  std::uint8_t condition = 0;   ///< Unused in AArch64; WFx reports 0xe and CV set.
};
/// Allowed: the caller executes it. SVC, HVC and SMC that are allowed are exceptions by themselves (SMC: PSCI's or
/// UNDEFINED without EL3).
AccessDecision decide_instruction(const ArmState& state, const MachineConfig& config, const InstructionQuery& query,
                                  EventStream& events);

}  // namespace shearling::arm
