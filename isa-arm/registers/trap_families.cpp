// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which registers and encodings each control treats alike: the lists in the descriptions of the trap bits (DDI 0487,
// D19.2 HCR_EL2, D19.3 MDCR_EL2, D19.5 PMUSERENR_EL0; IHI 0069, 12.4 ICH_HCR_EL2).
#include <array>
#include <initializer_list>

#include "isa-arm/registers/trap_rules.h"

namespace shearling::arm {
namespace {

using R = SystemRegister;
using F = TrapFamily;

struct Members {
  F family;
  std::initializer_list<R> registers;
};

std::array<FamilySet, kSystemRegisterCount> families_by_register() {
  static const Members kMembers[] = {
      {F::StackPointerZero, {R::SP_EL0}},
      {F::ResetVector, {R::RVBAR_EL1}},
      {F::ProcessMasks, {R::DAIF}},
      {F::CacheType, {R::CTR_EL0}},
      {F::CacheIdentification, {R::CTR_EL0, R::CCSIDR_EL1, R::CLIDR_EL1, R::CSSELR_EL1}},
      {F::FloatingPoint, {R::FPCR, R::FPSR}},
      {F::FloatingPointControl, {R::CPACR_EL1}},
      {F::PhysicalTimer, {R::CNTP_TVAL_EL0, R::CNTP_CTL_EL0, R::CNTP_CVAL_EL0}},
      {F::VirtualTimer, {R::CNTV_TVAL_EL0, R::CNTV_CTL_EL0, R::CNTV_CVAL_EL0}},
      {F::PhysicalCounter, {R::CNTPCT_EL0}},
      {F::VirtualCounter, {R::CNTVCT_EL0}},
      {F::CounterFrequency, {R::CNTFRQ_EL0}},
      {F::TranslationControls,
       {R::SCTLR_EL1, R::TTBR0_EL1, R::TTBR1_EL1, R::TCR_EL1, R::ESR_EL1, R::FAR_EL1, R::AFSR0_EL1, R::AFSR1_EL1,
        R::MAIR_EL1, R::AMAIR_EL1, R::CONTEXTIDR_EL1}},
      {F::ImplementationIdentity, {R::REVIDR_EL1, R::AIDR_EL1}},
      {F::FeatureIdentity,
       {R::ID_AA64PFR0_EL1, R::ID_AA64PFR1_EL1, R::ID_AA64DFR0_EL1, R::ID_AA64DFR1_EL1, R::ID_AA64AFR0_EL1,
        R::ID_AA64AFR1_EL1, R::ID_AA64ISAR0_EL1, R::ID_AA64ISAR1_EL1, R::ID_AA64MMFR0_EL1, R::ID_AA64MMFR1_EL1,
        R::ID_AA64MMFR2_EL1}},
      {F::AuxiliaryControl, {R::ACTLR_EL1}},
      {F::Monitors,
       {R::PMCR_EL0, R::PMCNTENSET_EL0, R::PMCNTENCLR_EL0, R::PMOVSCLR_EL0, R::PMSELR_EL0, R::PMCCNTR_EL0,
        R::PMCCFILTR_EL0, R::PMXEVTYPER_EL0, R::PMXEVCNTR_EL0, R::PMUSERENR_EL0, R::PMINTENSET_EL1, R::PMINTENCLR_EL1,
        R::PMOVSSET_EL0}},
      {F::MonitorsForUsers,
       {R::PMCR_EL0, R::PMCNTENSET_EL0, R::PMCNTENCLR_EL0, R::PMOVSCLR_EL0, R::PMCCFILTR_EL0, R::PMXEVTYPER_EL0,
        R::PMOVSSET_EL0}},
      {F::CycleCounter, {R::PMCCNTR_EL0}},
      {F::EventCounters, {R::PMXEVCNTR_EL0}},
      {F::CounterSelection, {R::PMSELR_EL0}},
      {F::MonitorControl, {R::PMCR_EL0}},
      {F::DebugRegisters,
       {R::MDSCR_EL1, R::MDCCINT_EL1, R::DBGBVR0_EL1, R::DBGBCR0_EL1, R::DBGWVR0_EL1, R::DBGWCR0_EL1}},
      {F::OsLock, {R::OSLAR_EL1, R::OSLSR_EL1, R::OSDLR_EL1}},
      {F::DebugRom, {R::MDRAR_EL1}},
      {F::InterruptInterface,
       {R::ICC_PMR_EL1, R::ICC_IAR0_EL1, R::ICC_EOIR0_EL1, R::ICC_HPPIR0_EL1, R::ICC_BPR0_EL1, R::ICC_AP0R0_EL1,
        R::ICC_AP1R0_EL1, R::ICC_DIR_EL1, R::ICC_RPR_EL1, R::ICC_SGI1R_EL1, R::ICC_ASGI1R_EL1, R::ICC_SGI0R_EL1,
        R::ICC_IAR1_EL1, R::ICC_EOIR1_EL1, R::ICC_HPPIR1_EL1, R::ICC_BPR1_EL1, R::ICC_CTLR_EL1, R::ICC_IGRPEN0_EL1,
        R::ICC_IGRPEN1_EL1}},
      {F::InterruptInterfaceSwitch, {R::ICC_SRE_EL1}},
      {F::InterruptVirtualization,
       {R::ICH_AP0R0_EL2, R::ICH_AP1R0_EL2, R::ICH_HCR_EL2, R::ICH_VTR_EL2, R::ICH_MISR_EL2, R::ICH_EISR_EL2,
        R::ICH_ELRSR_EL2, R::ICH_VMCR_EL2, R::ICH_LR0_EL2, R::ICH_LR1_EL2, R::ICH_LR2_EL2, R::ICH_LR3_EL2}},
      {F::InterruptCommon,
       {R::ICC_CTLR_EL1, R::ICC_DIR_EL1, R::ICC_PMR_EL1, R::ICC_RPR_EL1, R::ICC_SGI0R_EL1, R::ICC_SGI1R_EL1,
        R::ICC_ASGI1R_EL1}},
      {F::InterruptGroup0,
       {R::ICC_IAR0_EL1, R::ICC_EOIR0_EL1, R::ICC_HPPIR0_EL1, R::ICC_BPR0_EL1, R::ICC_AP0R0_EL1, R::ICC_IGRPEN0_EL1}},
      {F::InterruptGroup1,
       {R::ICC_IAR1_EL1, R::ICC_EOIR1_EL1, R::ICC_HPPIR1_EL1, R::ICC_BPR1_EL1, R::ICC_AP1R0_EL1, R::ICC_IGRPEN1_EL1}},
      {F::InterruptDeactivation, {R::ICC_DIR_EL1}},
      {F::InterruptGeneration, {R::ICC_SGI0R_EL1, R::ICC_SGI1R_EL1, R::ICC_ASGI1R_EL1}},
  };
  std::array<FamilySet, kSystemRegisterCount> families{};
  for (const Members& members : kMembers) {
    for (const R reg : members.registers) families[static_cast<std::size_t>(reg)] |= set_of(members.family);
  }
  return families;
}

constexpr std::uint8_t kNobody = 3;
constexpr FamilySet kMonitors = set_of(F::Monitors), kUserMonitors = kMonitors | set_of(F::MonitorsForUsers),
                    kEvents = kMonitors | set_of(F::EventCounters), kDebug = set_of(F::DebugRegisters),
                    kChannel = kDebug | set_of(F::DebugChannel), kImplementation = set_of(F::ImplementationDefined);
constexpr EncodingSpace kSpaces[] = {
    {"identification space", {3, 0, 0, 1, 0}, {3, 0, 0, 7, 7}, true, 1, kNobody, set_of(F::FeatureIdentity)},
    {"DBGBVRn_EL1, DBGBCRn_EL1", {2, 0, 0, 1, 4}, {2, 0, 0, 5, 5}, true, 1, 1, kDebug},
    {"DBGWVRn_EL1, DBGWCRn_EL1", {2, 0, 0, 1, 6}, {2, 0, 0, 3, 7}, true, 1, 1, kDebug},
    {"OSDTRRX_EL1", {2, 0, 0, 0, 2}, {2, 0, 0, 0, 2}, true, 1, 1, kDebug},
    {"OSDTRTX_EL1", {2, 0, 0, 3, 2}, {2, 0, 0, 3, 2}, true, 1, 1, kDebug},
    {"OSECCR_EL1", {2, 0, 0, 6, 2}, {2, 0, 0, 6, 2}, true, 1, 1, kDebug},
    {"DBGPRCR_EL1", {2, 0, 1, 4, 4}, {2, 0, 1, 4, 4}, true, 1, 1, set_of(F::OsLock)},
    {"DBGCLAIMSET_EL1", {2, 0, 7, 8, 6}, {2, 0, 7, 8, 6}, true, 1, 1, kDebug},
    {"DBGCLAIMCLR_EL1", {2, 0, 7, 9, 6}, {2, 0, 7, 9, 6}, true, 1, 1, kDebug},
    {"DBGAUTHSTATUS_EL1", {2, 0, 7, 14, 6}, {2, 0, 7, 14, 6}, true, 1, kNobody, kDebug},
    {"MDCCSR_EL0", {2, 3, 0, 1, 0}, {2, 3, 0, 1, 0}, true, 0, kNobody, kChannel},
    {"DBGDTR_EL0, DBGDTRTX_EL0", {2, 3, 0, 4, 0}, {2, 3, 0, 5, 0}, true, 0, 0, kChannel},
    {"PMSWINC_EL0", {3, 3, 9, 12, 4}, {3, 3, 9, 12, 4}, true, kNobody, 0, kMonitors | set_of(F::SoftwareIncrement)},
    {"PMCEIDn_EL0", {3, 3, 9, 12, 6}, {3, 3, 9, 12, 7}, true, 0, kNobody, kUserMonitors},
    {"PMEVCNTRn_EL0", {3, 3, 14, 8, 0}, {3, 3, 14, 10, 7}, true, 0, 0, kEvents},
    {"PMEVCNTRn_EL0", {3, 3, 14, 11, 0}, {3, 3, 14, 11, 6}, true, 0, 0, kEvents},
    {"PMEVTYPERn_EL0", {3, 3, 14, 12, 0}, {3, 3, 14, 14, 7}, true, 0, 0, kUserMonitors},
    {"PMEVTYPERn_EL0", {3, 3, 14, 15, 0}, {3, 3, 14, 15, 6}, true, 0, 0, kUserMonitors},
    // The Cortex-A57's own: L2CTLR, L2ECTLR, L2ACTLR, CPUACTLR, CPUECTLR, CPUMERRSR, L2MERRSR.
    {"L2CTLR_EL1, L2ECTLR_EL1", {3, 1, 11, 0, 2}, {3, 1, 11, 0, 3}, true, 1, 1, kImplementation},
    {"L2ACTLR_EL1", {3, 1, 15, 0, 0}, {3, 1, 15, 0, 0}, true, 1, 1, kImplementation},
    {"CPUACTLR_EL1, CPUECTLR_EL1", {3, 1, 15, 2, 0}, {3, 1, 15, 2, 3}, true, 1, 1, kImplementation},
    {"implementation-defined space", {3, 0, 11, 0, 0}, {3, 7, 11, 15, 7}, false, 1, 1, kImplementation},
    {"implementation-defined space", {3, 0, 15, 0, 0}, {3, 7, 15, 15, 7}, false, 1, 1, kImplementation},
    {"implementation-defined instructions", {1, 0, 11, 0, 0}, {1, 7, 11, 15, 7}, false, 1, 1, kImplementation},
    {"implementation-defined instructions", {1, 0, 15, 0, 0}, {1, 7, 15, 15, 7}, false, 1, 1, kImplementation},
};

constexpr bool between(std::uint8_t value, std::uint8_t low, std::uint8_t high) {
  return value >= low && value <= high;
}

}  // namespace

FamilySet families_of(SystemRegister reg) {
  static const std::array<FamilySet, kSystemRegisterCount> families = families_by_register();
  return families[static_cast<std::size_t>(reg)];
}

bool EncodingSpace::contains(SystemEncoding encoding) const {
  return between(encoding.op0, first.op0, last.op0) && between(encoding.op1, first.op1, last.op1) &&
         between(encoding.crn, first.crn, last.crn) && between(encoding.crm, first.crm, last.crm) &&
         between(encoding.op2, first.op2, last.op2);
}

std::span<const EncodingSpace> encoding_spaces() { return kSpaces; }

}  // namespace shearling::arm
