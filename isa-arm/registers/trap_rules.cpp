// SPDX-License-Identifier: GPL-3.0-or-later
//
// DDI 0487, D19.2 (SCTLR_EL1, HCR_EL2, CPACR_EL1, CPTR_EL2), D19.3 (MDSCR_EL1, MDCR_EL2), D19.5 (PMUSERENR_EL0),
// Generic Timer registers (CNTKCTL_EL1, CNTHCTL_EL2); IHI 0069, chapter 12 (ICC_SRE_EL1, ICC_SRE_EL2, ICH_HCR_EL2).
#include "isa-arm/registers/trap_rules.h"

#include "isa-arm/registers/arm_state.h"

namespace shearling::arm {
namespace {

using R = SystemRegister;
using F = TrapFamily;
using T = TrapRule;
using enum TrapRule::Mode;
using enum TrapRule::Levels;
using enum TrapRule::Trips;
using enum TrapRule::To;
constexpr auto Both = T::Direction::Both, Read = T::Direction::Read, Write = T::Direction::Write;
constexpr auto System = ExceptionClass::SystemInstruction, Wfx = ExceptionClass::WfxTrap,
               Simd = ExceptionClass::FloatingPointAccess, Smc = ExceptionClass::Smc64, None = ExceptionClass::Unknown;

constexpr std::uint64_t bit(unsigned number) { return 1ULL << number; }
constexpr std::uint64_t kEnableUser = bit(0), kSoftware = bit(1), kCycle = bit(2), kEvent = bit(3);  // PMUSERENR_EL0
constexpr std::uint64_t kTdra = bit(11), kTdosa = bit(10), kTda = bit(9), kTde = bit(8), kTpm = bit(6),
                        kTpmcr = bit(5);  // MDCR_EL2
constexpr std::uint64_t kSimdEnable = 3ULL << 20, kSimdAny = bit(20), kTfp = bit(10), kTcpac = bit(31);
constexpr std::uint64_t kInterfaceOn = bit(0), kInterfaceEnable = bit(3);                            // ICC_SRE_ELx
constexpr std::uint64_t kCommon = bit(10), kAll0 = bit(11), kAll1 = bit(12), kDeactivate = bit(14);  // ICH_HCR_EL2
constexpr std::uint64_t kEl2Field = 0xfULL << 8;                                                     // ID_AA64PFR0_EL1

constexpr TrapRule kRules[] = {
    // What exists at all.
    {F::StackPointerZero, El12, Always, Both, R::SPSel, 1, NoneSet, Undefined, None, "PSTATE.SP",
     "While SP_EL0 is the stack pointer in use it has no other name: PSTATE.SP, {actual}, must be {required}"},
    {F::ResetVector, El1, Always, Both, R::ID_AA64PFR0_EL1, kEl2Field, AnySet, Undefined, None, "highest level",
     "Only the highest level has a reset vector: the field EL2 of ID_AA64PFR0_EL1, {actual}, must be {required}"},
    {F::CounterFrequency, El1, Always, Write, R::ID_AA64PFR0_EL1, kEl2Field, AnySet, Undefined, None, "highest level",
     "Only the highest level writes the frequency: the field EL2 of ID_AA64PFR0_EL1, {actual}, must be {required}"},
    {F::HypervisorCall, El12, Always, Both, R::HCR_EL2, hcr::kHcd, AnySet, Undefined, None, "HCR_EL2.HCD",
     "HCR_EL2.HCD, {actual}, must be {required} for HVC to exist"},

    // What the operating system allows EL0: to EL1, or to EL2 where that hosts the operating system.
    {F::ProcessMasks, El0, NotHost, Both, R::SCTLR_EL1, sctlr::kUma, NoneSet, Kernel, System, "SCTLR_EL1.UMA",
     "SCTLR_EL1.UMA, {actual}, must be {required} for EL0 to touch the interrupt masks"},
    {F::ProcessMasks, El0, HostOnly, Both, R::HCR_EL2, hcr::kTge, AnySet, Hypervisor, System, "HCR_EL2.E2H, TGE",
     "EL2 hosts EL0 (HCR_EL2.TGE is {actual}, not {required}), and its SCTLR has no bit that gives EL0 the masks"},
    {F::CacheType, El0, NotHost, Both, R::SCTLR_EL1, sctlr::kUct, NoneSet, Kernel, System, "SCTLR_EL1.UCT",
     "SCTLR_EL1.UCT, {actual}, must be {required} for EL0 to read CTR_EL0"},
    {F::CacheType, El0, HostOnly, Both, R::SCTLR_EL2, sctlr::kUct, NoneSet, Hypervisor, System, "SCTLR_EL2.UCT",
     "SCTLR_EL2.UCT, {actual}, must be {required} for EL0 to read CTR_EL0"},
    {F::UserMaintenance, El0, NotHost, Both, R::SCTLR_EL1, sctlr::kUci, NoneSet, Kernel, System, "SCTLR_EL1.UCI",
     "SCTLR_EL1.UCI, {actual}, must be {required} for EL0 to maintain caches"},
    {F::UserMaintenance, El0, HostOnly, Both, R::SCTLR_EL2, sctlr::kUci, NoneSet, Hypervisor, System, "SCTLR_EL2.UCI",
     "SCTLR_EL2.UCI, {actual}, must be {required} for EL0 to maintain caches"},
    {F::ZeroByAddress, El0, NotHost, Both, R::SCTLR_EL1, sctlr::kDze, NoneSet, Kernel, System, "SCTLR_EL1.DZE",
     "SCTLR_EL1.DZE, {actual}, must be {required} for EL0 to use DC ZVA"},
    {F::ZeroByAddress, El0, HostOnly, Both, R::SCTLR_EL2, sctlr::kDze, NoneSet, Hypervisor, System, "SCTLR_EL2.DZE",
     "SCTLR_EL2.DZE, {actual}, must be {required} for EL0 to use DC ZVA"},
    {F::WaitForInterrupt, El0, NotHost, Both, R::SCTLR_EL1, sctlr::kNtwi, NoneSet, Kernel, Wfx, "SCTLR_EL1.nTWI",
     "SCTLR_EL1.nTWI, {actual}, must be {required} for EL0 to wait for interrupts"},
    {F::WaitForInterrupt, El0, HostOnly, Both, R::SCTLR_EL2, sctlr::kNtwi, NoneSet, Hypervisor, Wfx, "SCTLR_EL2.nTWI",
     "SCTLR_EL2.nTWI, {actual}, must be {required} for EL0 to wait for interrupts"},
    {F::WaitForEvent, El0, NotHost, Both, R::SCTLR_EL1, sctlr::kNtwe, NoneSet, Kernel, Wfx, "SCTLR_EL1.nTWE",
     "SCTLR_EL1.nTWE, {actual}, must be {required} for EL0 to wait for events"},
    {F::WaitForEvent, El0, HostOnly, Both, R::SCTLR_EL2, sctlr::kNtwe, NoneSet, Hypervisor, Wfx, "SCTLR_EL2.nTWE",
     "SCTLR_EL2.nTWE, {actual}, must be {required} for EL0 to wait for events"},
    {F::FloatingPoint, El0, NotHost, Both, R::CPACR_EL1, kSimdEnable, NotAllSet, Kernel, Simd, "CPACR_EL1.FPEN",
     "CPACR_EL1.FPEN, {actual}, must be {required} for EL0 to use floating point"},
    {F::FloatingPoint, El1, Always, Both, R::CPACR_EL1, kSimdAny, NoneSet, Kernel, Simd, "CPACR_EL1.FPEN",
     "The low bit of CPACR_EL1.FPEN, {actual}, must be {required} for EL1 to use floating point"},
    {F::PhysicalCounter, El0, NotHost, Both, R::CNTKCTL_EL1, bit(0), NoneSet, Kernel, System, "CNTKCTL_EL1.EL0PCTEN",
     "CNTKCTL_EL1.EL0PCTEN, {actual}, must be {required} for EL0 to read the physical counter"},
    {F::PhysicalCounter, El0, HostOnly, Both, R::CNTHCTL_EL2, bit(0), NoneSet, Hypervisor, System,
     "CNTHCTL_EL2.EL0PCTEN", "CNTHCTL_EL2.EL0PCTEN, {actual}, must be {required} for EL0 to read the physical counter"},
    {F::VirtualCounter, El0, NotHost, Both, R::CNTKCTL_EL1, bit(1), NoneSet, Kernel, System, "CNTKCTL_EL1.EL0VCTEN",
     "CNTKCTL_EL1.EL0VCTEN, {actual}, must be {required} for EL0 to read the virtual counter"},
    {F::VirtualCounter, El0, HostOnly, Both, R::CNTHCTL_EL2, bit(1), NoneSet, Hypervisor, System,
     "CNTHCTL_EL2.EL0VCTEN", "CNTHCTL_EL2.EL0VCTEN, {actual}, must be {required} for EL0 to read the virtual counter"},
    {F::CounterFrequency, El0, NotHost, Read, R::CNTKCTL_EL1, 3, NoneSet, Kernel, System,
     "CNTKCTL_EL1.EL0PCTEN, EL0VCTEN",
     "One of CNTKCTL_EL1's bits EL0PCTEN and EL0VCTEN, {actual} of {required}, must be set for EL0 to read CNTFRQ_EL0"},
    {F::CounterFrequency, El0, HostOnly, Read, R::CNTHCTL_EL2, 3, NoneSet, Hypervisor, System,
     "CNTHCTL_EL2.EL0PCTEN, EL0VCTEN",
     "One of CNTHCTL_EL2's bits EL0PCTEN and EL0VCTEN, {actual} of {required}, must be set for EL0 to read CNTFRQ_EL0"},
    {F::VirtualTimer, El0, NotHost, Both, R::CNTKCTL_EL1, bit(8), NoneSet, Kernel, System, "CNTKCTL_EL1.EL0VTEN",
     "CNTKCTL_EL1.EL0VTEN, {actual}, must be {required} for EL0 to use the virtual timer"},
    {F::VirtualTimer, El0, HostOnly, Both, R::CNTHCTL_EL2, bit(8), NoneSet, Hypervisor, System, "CNTHCTL_EL2.EL0VTEN",
     "CNTHCTL_EL2.EL0VTEN, {actual}, must be {required} for EL0 to use the virtual timer"},
    {F::PhysicalTimer, El0, NotHost, Both, R::CNTKCTL_EL1, bit(9), NoneSet, Kernel, System, "CNTKCTL_EL1.EL0PTEN",
     "CNTKCTL_EL1.EL0PTEN, {actual}, must be {required} for EL0 to use the physical timer"},
    {F::PhysicalTimer, El0, HostOnly, Both, R::CNTHCTL_EL2, bit(9), NoneSet, Hypervisor, System, "CNTHCTL_EL2.EL0PTEN",
     "CNTHCTL_EL2.EL0PTEN, {actual}, must be {required} for EL0 to use the physical timer"},
    {F::MonitorsForUsers, El0, Always, Both, R::PMUSERENR_EL0, kEnableUser, NoneSet, Kernel, System, "PMUSERENR_EL0.EN",
     "PMUSERENR_EL0.EN, {actual}, must be {required} for EL0 to use the performance monitors"},
    {F::CycleCounter, El0, Always, Read, R::PMUSERENR_EL0, kEnableUser | kCycle, NoneSet, Kernel, System,
     "PMUSERENR_EL0.CR, EN",
     "One of PMUSERENR_EL0's bits CR and EN, {actual} of {required}, must be set for EL0 to read the cycle counter"},
    {F::CycleCounter, El0, Always, Write, R::PMUSERENR_EL0, kEnableUser, NoneSet, Kernel, System, "PMUSERENR_EL0.EN",
     "PMUSERENR_EL0.EN, {actual}, must be {required} for EL0 to write the cycle counter"},
    {F::EventCounters, El0, Always, Read, R::PMUSERENR_EL0, kEnableUser | kEvent, NoneSet, Kernel, System,
     "PMUSERENR_EL0.ER, EN",
     "One of PMUSERENR_EL0's bits ER and EN, {actual} of {required}, must be set for EL0 to read an event counter"},
    {F::EventCounters, El0, Always, Write, R::PMUSERENR_EL0, kEnableUser, NoneSet, Kernel, System, "PMUSERENR_EL0.EN",
     "PMUSERENR_EL0.EN, {actual}, must be {required} for EL0 to write an event counter"},
    {F::CounterSelection, El0, Always, Both, R::PMUSERENR_EL0, kEnableUser | kEvent, NoneSet, Kernel, System,
     "PMUSERENR_EL0.ER, EN",
     "One of PMUSERENR_EL0's bits ER and EN, {actual} of {required}, must be set for EL0 to select a counter"},
    {F::SoftwareIncrement, El0, Always, Write, R::PMUSERENR_EL0, kEnableUser | kSoftware, NoneSet, Kernel, System,
     "PMUSERENR_EL0.SW, EN",
     "One of PMUSERENR_EL0's bits SW and EN, {actual} of {required}, must be set for EL0 to increment a counter"},
    {F::DebugChannel, El0, Always, Both, R::MDSCR_EL1, bit(12), AnySet, Kernel, System, "MDSCR_EL1.TDCC",
     "MDSCR_EL1.TDCC, {actual}, must be {required} for EL0 to use the debug channel"},
    {F::InterruptInterface, El1, Always, Both, R::ICC_SRE_EL1, kInterfaceOn, NoneSet, Kernel, System, "ICC_SRE_EL1.SRE",
     "ICC_SRE_EL1.SRE, {actual}, must be {required} for EL1 to use the GIC's system registers"},

    // What the hypervisor keeps for itself.
    {F::InterruptInterface, El2, Always, Both, R::ICC_SRE_EL2, kInterfaceOn, NoneSet, Hypervisor, System,
     "ICC_SRE_EL2.SRE", "ICC_SRE_EL2.SRE, {actual}, must be {required} for EL2 to use the GIC's system registers"},
    {F::InterruptVirtualization, El2, Always, Both, R::ICC_SRE_EL2, kInterfaceOn, NoneSet, Hypervisor, System,
     "ICC_SRE_EL2.SRE",
     "ICC_SRE_EL2.SRE, {actual}, must be {required} for EL2 to use the virtual interface's registers"},
    {F::InterruptInterfaceSwitch, El1, Always, Both, R::ICC_SRE_EL2, kInterfaceEnable, NoneSet, Hypervisor, System,
     "ICC_SRE_EL2.Enable", "ICC_SRE_EL2.Enable, {actual}, must be {required} for EL1 to use ICC_SRE_EL1"},
    {F::InterruptCommon, El1, Always, Both, R::ICH_HCR_EL2, kCommon, AnySet, Hypervisor, System, "ICH_HCR_EL2.TC",
     "ICH_HCR_EL2.TC, {actual}, must be {required} for EL1 to use registers of both interrupt groups"},
    {F::InterruptGroup0, El1, Always, Both, R::ICH_HCR_EL2, kAll0, AnySet, Hypervisor, System, "ICH_HCR_EL2.TALL0",
     "ICH_HCR_EL2.TALL0, {actual}, must be {required} for EL1 to use registers of interrupt group 0"},
    {F::InterruptGroup1, El1, Always, Both, R::ICH_HCR_EL2, kAll1, AnySet, Hypervisor, System, "ICH_HCR_EL2.TALL1",
     "ICH_HCR_EL2.TALL1, {actual}, must be {required} for EL1 to use registers of interrupt group 1"},
    {F::InterruptDeactivation, El1, Always, Write, R::ICH_HCR_EL2, kDeactivate, AnySet, Hypervisor, System,
     "ICH_HCR_EL2.TDIR", "ICH_HCR_EL2.TDIR, {actual}, must be {required} for EL1 to deactivate interrupts itself"},
    {F::InterruptGeneration, El1, Always, Write, R::HCR_EL2, hcr::kImo | hcr::kFmo, AnySet, Hypervisor, System,
     "HCR_EL2.IMO, FMO",
     "With virtual interrupts there is no virtual way to send one: HCR_EL2's bits IMO and FMO, {actual}, must be "
     "{required} for EL1 to send interrupts itself"},
    {F::TranslationControls, El1, Always, Write, R::HCR_EL2, hcr::kTvm, AnySet, Hypervisor, System, "HCR_EL2.TVM",
     "HCR_EL2.TVM, {actual}, must be {required} for EL1 to write the translation registers itself"},
    {F::TranslationControls, El1, Always, Read, R::HCR_EL2, hcr::kTrvm, AnySet, Hypervisor, System, "HCR_EL2.TRVM",
     "HCR_EL2.TRVM, {actual}, must be {required} for EL1 to read the translation registers itself"},
    {F::ImplementationIdentity, El1, Always, Read, R::HCR_EL2, hcr::kTid1, AnySet, Hypervisor, System, "HCR_EL2.TID1",
     "HCR_EL2.TID1, {actual}, must be {required} for EL1 to read the implementation's identification itself"},
    {F::CacheIdentification, El01, NotHost, Both, R::HCR_EL2, hcr::kTid2, AnySet, Hypervisor, System, "HCR_EL2.TID2",
     "HCR_EL2.TID2, {actual}, must be {required} for EL1 and EL0 to ask about the caches themselves"},
    {F::FeatureIdentity, El1, Always, Read, R::HCR_EL2, hcr::kTid3, AnySet, Hypervisor, System, "HCR_EL2.TID3",
     "HCR_EL2.TID3, {actual}, must be {required} for EL1 to read the feature registers itself"},
    {F::ImplementationDefined, El1, Always, Both, R::HCR_EL2, hcr::kTidcp, AnySet, Hypervisor, System, "HCR_EL2.TIDCP",
     "HCR_EL2.TIDCP, {actual}, must be {required} for EL1 to use implementation-defined encodings itself"},
    {F::AuxiliaryControl, El1, Always, Both, R::HCR_EL2, hcr::kTacr, AnySet, Hypervisor, System, "HCR_EL2.TACR",
     "HCR_EL2.TACR, {actual}, must be {required} for EL1 to use ACTLR_EL1 itself"},
    {F::BySetAndWay, El1, Always, Both, R::HCR_EL2, hcr::kTsw, AnySet, Hypervisor, System, "HCR_EL2.TSW",
     "HCR_EL2.TSW, {actual}, must be {required} for EL1 to maintain caches by set and way itself"},
    {F::ToCoherency, El01, NotHost, Both, R::HCR_EL2, hcr::kTpc, AnySet, Hypervisor, System, "HCR_EL2.TPC",
     "HCR_EL2.TPC, {actual}, must be {required} for cache maintenance to the point of coherency below EL2"},
    {F::ToUnification, El01, NotHost, Both, R::HCR_EL2, hcr::kTpu, AnySet, Hypervisor, System, "HCR_EL2.TPU",
     "HCR_EL2.TPU, {actual}, must be {required} for cache maintenance to the point of unification below EL2"},
    {F::ZeroByAddress, El01, NotHost, Both, R::HCR_EL2, hcr::kTdz, AnySet, Hypervisor, System, "HCR_EL2.TDZ",
     "HCR_EL2.TDZ, {actual}, must be {required} for DC ZVA below EL2"},
    {F::TlbMaintenance, El1, Always, Both, R::HCR_EL2, hcr::kTtlb, AnySet, Hypervisor, System, "HCR_EL2.TTLB",
     "HCR_EL2.TTLB, {actual}, must be {required} for EL1 to maintain TLBs itself"},
    {F::WaitForInterrupt, El01, NotHost, Both, R::HCR_EL2, hcr::kTwi, AnySet, Hypervisor, Wfx, "HCR_EL2.TWI",
     "HCR_EL2.TWI, {actual}, must be {required} for EL1 and EL0 to wait for interrupts themselves"},
    {F::WaitForEvent, El01, NotHost, Both, R::HCR_EL2, hcr::kTwe, AnySet, Hypervisor, Wfx, "HCR_EL2.TWE",
     "HCR_EL2.TWE, {actual}, must be {required} for EL1 and EL0 to wait for events themselves"},
    {F::SecureMonitorCall, El1, Always, Both, R::HCR_EL2, hcr::kTsc, AnySet, Hypervisor, Smc, "HCR_EL2.TSC",
     "HCR_EL2.TSC, {actual}, must be {required} for EL1 to call the firmware itself"},
    {F::FloatingPointControl, El1, Always, Both, R::CPTR_EL2, kTcpac, AnySet, Hypervisor, System, "CPTR_EL2.TCPAC",
     "CPTR_EL2.TCPAC, {actual}, must be {required} for EL1 to use CPACR_EL1 itself"},
    {F::FloatingPoint, El012, Plain, Both, R::CPTR_EL2, kTfp, AnySet, Hypervisor, Simd, "CPTR_EL2.TFP",
     "CPTR_EL2.TFP, {actual}, must be {required} for floating point at EL2 and below"},
    {F::FloatingPoint, El012, HostOn, Both, R::CPTR_EL2, kSimdAny, NoneSet, Hypervisor, Simd, "CPTR_EL2.FPEN",
     "The low bit of CPTR_EL2.FPEN, {actual}, must be {required} for floating point at EL2 and below"},
    {F::FloatingPoint, El0, HostOnly, Both, R::CPTR_EL2, kSimdEnable, NotAllSet, Hypervisor, Simd, "CPTR_EL2.FPEN",
     "CPTR_EL2.FPEN, {actual}, must be {required} for EL0 to use floating point under a host at EL2"},
    {F::PhysicalCounter, El01, Plain, Both, R::CNTHCTL_EL2, bit(0), NoneSet, Hypervisor, System, "CNTHCTL_EL2.EL1PCTEN",
     "CNTHCTL_EL2.EL1PCTEN, {actual}, must be {required} to read the physical counter below EL2"},
    {F::PhysicalCounter, El01, GuestOfHost, Both, R::CNTHCTL_EL2, bit(10), NoneSet, Hypervisor, System,
     "CNTHCTL_EL2.EL1PCTEN",
     "CNTHCTL_EL2.EL1PCTEN, {actual}, must be {required} to read the physical counter below EL2"},
    {F::PhysicalTimer, El01, Plain, Both, R::CNTHCTL_EL2, bit(1), NoneSet, Hypervisor, System, "CNTHCTL_EL2.EL1PCEN",
     "CNTHCTL_EL2.EL1PCEN, {actual}, must be {required} to use the physical timer below EL2"},
    {F::PhysicalTimer, El01, GuestOfHost, Both, R::CNTHCTL_EL2, bit(11), NoneSet, Hypervisor, System,
     "CNTHCTL_EL2.EL1PTEN", "CNTHCTL_EL2.EL1PTEN, {actual}, must be {required} to use the physical timer below EL2"},
    {F::Monitors, El01, Always, Both, R::MDCR_EL2, kTpm, AnySet, Hypervisor, System, "MDCR_EL2.TPM",
     "MDCR_EL2.TPM, {actual}, must be {required} to use the performance monitors below EL2"},
    {F::MonitorControl, El01, Always, Both, R::MDCR_EL2, kTpmcr, AnySet, Hypervisor, System, "MDCR_EL2.TPMCR",
     "MDCR_EL2.TPMCR, {actual}, must be {required} to use PMCR_EL0 below EL2"},
    {F::DebugChannel, El0, Always, Both, R::HCR_EL2, hcr::kTge, AnySet, Hypervisor, System, "HCR_EL2.TGE",
     "HCR_EL2.TGE, {actual}, must be {required} for EL0 to use the debug channel"},
    {F::DebugRegisters, El01, Always, Both, R::MDCR_EL2, kTde | kTda, AnySet, Hypervisor, System, "MDCR_EL2.TDE, TDA",
     "MDCR_EL2's bits TDE and TDA, {actual}, must be {required} to use debug registers below EL2"},
    {F::OsLock, El1, Always, Both, R::MDCR_EL2, kTde | kTdosa, AnySet, Hypervisor, System, "MDCR_EL2.TDE, TDOSA",
     "MDCR_EL2's bits TDE and TDOSA, {actual}, must be {required} for EL1 to use the OS lock itself"},
    {F::DebugRom, El1, Always, Both, R::MDCR_EL2, kTde | kTdra, AnySet, Hypervisor, System, "MDCR_EL2.TDE, TDRA",
     "MDCR_EL2's bits TDE and TDRA, {actual}, must be {required} for EL1 to read the debug ROM's address"},
};

}  // namespace

std::span<const TrapRule> trap_rules() { return kRules; }

}  // namespace shearling::arm
