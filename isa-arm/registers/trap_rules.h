// SPDX-License-Identifier: GPL-3.0-or-later
//
// The traps of AArch64 as a table: for a family of accesses, from which levels and in which of EL2's modes a control
// bit takes effect, which value of it trips, and where that leads. The order of the rows is the order of the checks, as
// in the access pseudocode of each register (DDI 0487, D19) and in D1.3.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "isa-arm/registers/system_registers.h"

namespace shearling::arm {

/// Accesses that one control treats alike. A register or instruction may belong to several.
enum class TrapFamily : std::uint8_t {
  StackPointerZero,          ///< SP_EL0
  ResetVector,               ///< RVBAR_EL1: of the highest level only.
  ProcessMasks,              ///< DAIF, MSR DAIFSet, MSR DAIFClr
  CacheType,                 ///< CTR_EL0
  CacheIdentification,       ///< CTR_EL0, CCSIDR_EL1, CLIDR_EL1, CSSELR_EL1
  UserMaintenance,           ///< DC CVAU, CVAC, CIVAC, IC IVAU
  ToCoherency,               ///< DC IVAC, CVAC, CIVAC
  ToUnification,             ///< DC CVAU, IC
  BySetAndWay,               ///< DC ISW, CSW, CISW
  ZeroByAddress,             ///< DC ZVA
  TlbMaintenance,            ///< TLBI of the EL1&0 regime
  WaitForInterrupt,          ///< WFI
  WaitForEvent,              ///< WFE
  FloatingPoint,             ///< Floating-point and SIMD instructions, FPCR, FPSR
  FloatingPointControl,      ///< CPACR_EL1
  PhysicalTimer,             ///< CNTP_*_EL0
  VirtualTimer,              ///< CNTV_*_EL0
  PhysicalCounter,           ///< CNTPCT_EL0
  VirtualCounter,            ///< CNTVCT_EL0
  CounterFrequency,          ///< CNTFRQ_EL0
  TranslationControls,       ///< SCTLR_EL1, TTBR0_EL1, TTBR1_EL1, TCR_EL1, ESR_EL1, FAR_EL1, AFSR, MAIR, ...
  ImplementationIdentity,    ///< REVIDR_EL1, AIDR_EL1
  FeatureIdentity,           ///< ID_*_EL1
  ImplementationDefined,     ///< op0 = 1 or 3 with CRn = 11 or 15
  AuxiliaryControl,          ///< ACTLR_EL1
  SecureMonitorCall,         ///< SMC
  HypervisorCall,            ///< HVC
  Monitors,                  ///< Every register of the performance monitors
  MonitorsForUsers,          ///< Those that only PMUSERENR_EL0.EN opens to EL0
  CycleCounter,              ///< PMCCNTR_EL0
  EventCounters,             ///< PMXEVCNTR_EL0, PMEVCNTRn_EL0
  CounterSelection,          ///< PMSELR_EL0
  SoftwareIncrement,         ///< PMSWINC_EL0
  MonitorControl,            ///< PMCR_EL0
  DebugChannel,              ///< MDCCSR_EL0, DBGDTR_EL0, DBGDTRTX_EL0
  DebugRegisters,            ///< Those that MDCR_EL2.TDA traps
  OsLock,                    ///< OSLAR_EL1, OSLSR_EL1, OSDLR_EL1, DBGPRCR_EL1
  DebugRom,                  ///< MDRAR_EL1
  InterruptInterface,        ///< ICC_*_EL1 but ICC_SRE_EL1
  InterruptInterfaceSwitch,  ///< ICC_SRE_EL1
  InterruptVirtualization,   ///< ICH_*_EL2
  InterruptCommon,           ///< ICC_CTLR_EL1, ICC_DIR_EL1, ICC_PMR_EL1, ICC_RPR_EL1, ICC_SGI*
  InterruptGroup0,           ///< ICC_IAR0_EL1, ...
  InterruptGroup1,           ///< ICC_IAR1_EL1, ...
  InterruptDeactivation,     ///< ICC_DIR_EL1
  InterruptGeneration,       ///< ICC_SGI0R_EL1, ICC_SGI1R_EL1, ICC_ASGI1R_EL1
  Count
};
using FamilySet = std::uint64_t;
static_assert(static_cast<unsigned>(TrapFamily::Count) <= 64);
constexpr FamilySet set_of(TrapFamily family) { return FamilySet{1} << static_cast<unsigned>(family); }

struct TrapRule {
  /// Of the bits `mask` of the control.
  enum class Trips : std::uint8_t { AnySet, NoneSet, NotAllSet };
  enum class To : std::uint8_t {
    Undefined,
    Kernel,      ///< EL1, or EL2 where HCR_EL2.TGE gives it EL0.
    Hypervisor,  ///< EL2
  };
  /// In which of the four states of HCR_EL2.{E2H, TGE} the rule holds: bit 2 * E2H + TGE.
  enum Mode : std::uint8_t { Always = 15, Plain = 3, HostOn = 12, HostOnly = 8, NotHost = 7, GuestOfHost = 4 };
  enum Levels : std::uint8_t { El0 = 1, El1 = 2, El2 = 4, El01 = 3, El12 = 6, El012 = 7 };
  enum class Direction : std::uint8_t { Both, Read, Write };

  TrapFamily family = TrapFamily::Count;
  Levels from = El0;
  Mode mode = Always;
  Direction direction = Direction::Both;
  SystemRegister control = SystemRegister::Count;  ///< SPSel: PSTATE.SP.
  std::uint64_t mask = 0;
  Trips trips = Trips::AnySet;
  To to = To::Undefined;
  ExceptionClass exception_class = ExceptionClass::SystemInstruction;
  std::string_view name;      ///< "HCR_EL2.TVM"
  std::string_view sentence;  ///< {actual} is the control's field, {required} what lets the access pass.
};

std::span<const TrapRule> trap_rules();
FamilySet families_of(SystemRegister reg);

/// Encodings that stand for no register of the table: they read as zero and ignore writes, or do not exist but trap.
struct EncodingSpace {
  std::string_view name;
  SystemEncoding first, last;  ///< Each of the five parts from first to last.
  bool exists = true;
  std::uint8_t read_from = 1, write_from = 1;
  FamilySet families = 0;
  [[nodiscard]] bool contains(SystemEncoding encoding) const;
};
std::span<const EncodingSpace> encoding_spaces();  ///< The first that contains an encoding counts.

}  // namespace shearling::arm
