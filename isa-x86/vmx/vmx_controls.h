// SPDX-License-Identifier: GPL-3.0-or-later
//
// Bits of the VM-execution, VM-exit and VM-entry controls, and which of them the modelled processor knows: what its
// IA32_VMX_TRUE_*_CTLS, IA32_VMX_PROCBASED_CTLS2, IA32_VMX_CR0/CR4_FIXED and IA32_VMX_EPT_VPID_CAP registers say
// (SDM volume 3C, sections 24.6 to 24.8 and appendix A).
#pragma once

#include <cstdint>

#include "isa-x86/cpu/system_state.h"

namespace shearling::x86 {

// Pin-based controls.
inline constexpr std::uint32_t kPinExternalInterruptExiting = 1U << 0, kPinNmiExiting = 1U << 3,
                               kPinVirtualNmis = 1U << 5;

// Primary processor-based controls.
inline constexpr std::uint32_t kPrimaryInterruptWindowExiting = 1U << 2, kPrimaryUseTscOffsetting = 1U << 3,
                               kPrimaryHltExiting = 1U << 7, kPrimaryInvlpgExiting = 1U << 9,
                               kPrimaryMwaitExiting = 1U << 10, kPrimaryRdpmcExiting = 1U << 11,
                               kPrimaryRdtscExiting = 1U << 12, kPrimaryCr3LoadExiting = 1U << 15,
                               kPrimaryCr3StoreExiting = 1U << 16, kPrimaryCr8LoadExiting = 1U << 19,
                               kPrimaryCr8StoreExiting = 1U << 20, kPrimaryNmiWindowExiting = 1U << 22,
                               kPrimaryMovDrExiting = 1U << 23, kPrimaryUnconditionalIoExiting = 1U << 24,
                               kPrimaryUseIoBitmaps = 1U << 25, kPrimaryUseMsrBitmaps = 1U << 28,
                               kPrimaryMonitorExiting = 1U << 29, kPrimaryPauseExiting = 1U << 30,
                               kPrimaryActivateSecondary = 1U << 31;

// Secondary processor-based controls.
inline constexpr std::uint32_t kSecondaryEnableEpt = 1U << 1, kSecondaryDescriptorTableExiting = 1U << 2,
                               kSecondaryEnableRdtscp = 1U << 3, kSecondaryEnableVpid = 1U << 5,
                               kSecondaryWbinvdExiting = 1U << 6, kSecondaryUnrestrictedGuest = 1U << 7,
                               kSecondaryEnableInvpcid = 1U << 12;

// VM-exit controls.
inline constexpr std::uint32_t kExitSaveDebugControls = 1U << 2, kExitHostAddressSpaceSize = 1U << 9,
                               kExitAcknowledgeInterrupt = 1U << 15, kExitSavePat = 1U << 18, kExitLoadPat = 1U << 19,
                               kExitSaveEfer = 1U << 20, kExitLoadEfer = 1U << 21;

// VM-entry controls.
inline constexpr std::uint32_t kEntryLoadDebugControls = 1U << 2, kEntryIa32eModeGuest = 1U << 9,
                               kEntryLoadPat = 1U << 14, kEntryLoadEfer = 1U << 15;

/// One control field: bits that must be 1, and bits that may be 1.
struct ControlCapability {
  std::uint32_t required = 0, allowed = 0;
};
inline constexpr ControlCapability kPinCapability{
    0x16, 0x16 | kPinExternalInterruptExiting | kPinNmiExiting | kPinVirtualNmis};
inline constexpr ControlCapability kPrimaryCapability{
    0x04006172, 0x04006172 | kPrimaryInterruptWindowExiting | kPrimaryUseTscOffsetting | kPrimaryHltExiting |
                    kPrimaryInvlpgExiting | kPrimaryMwaitExiting | kPrimaryRdpmcExiting | kPrimaryRdtscExiting |
                    kPrimaryCr3LoadExiting | kPrimaryCr3StoreExiting | kPrimaryCr8LoadExiting |
                    kPrimaryCr8StoreExiting | kPrimaryNmiWindowExiting | kPrimaryMovDrExiting |
                    kPrimaryUnconditionalIoExiting | kPrimaryUseIoBitmaps | kPrimaryUseMsrBitmaps |
                    kPrimaryMonitorExiting | kPrimaryPauseExiting | kPrimaryActivateSecondary};
inline constexpr ControlCapability kSecondaryCapability{
    0, kSecondaryEnableEpt | kSecondaryDescriptorTableExiting | kSecondaryEnableRdtscp | kSecondaryEnableVpid |
           kSecondaryWbinvdExiting | kSecondaryUnrestrictedGuest | kSecondaryEnableInvpcid};
inline constexpr ControlCapability kExitCapability{
    0x00036dfb, 0x00036dfb | kExitSaveDebugControls | kExitHostAddressSpaceSize | kExitAcknowledgeInterrupt |
                    kExitSavePat | kExitLoadPat | kExitSaveEfer | kExitLoadEfer};
inline constexpr ControlCapability kEntryCapability{
    0x000011fb, 0x000011fb | kEntryLoadDebugControls | kEntryIa32eModeGuest | kEntryLoadPat | kEntryLoadEfer};

// Control-register bits in VMX operation: must be 1, and may be 1. Unrestricted guests are free in PE and PG.
inline constexpr std::uint64_t kVmxCr0Required = kCr0Pe | kCr0Ne | kCr0Pg, kVmxCr0Allowed = 0xffffffff;
inline constexpr std::uint64_t kVmxCr4Required = kCr4Vmxe;
inline constexpr std::uint64_t kVmxCr4Allowed =
    0x7ff | kCr4Umip | kCr4Vmxe | kCr4Fsgsbase | kCr4Pcide | kCr4Smep | kCr4Smap;

inline constexpr std::uint64_t kPhysicalAddressMask = (std::uint64_t{1} << kPhysicalAddressBits) - 1;
inline constexpr std::uint64_t kEferDefined = kEferSce | kEferLme | kEferLma | kEferNxe;

// EPT pointer: memory type 2:0, walk length minus 1 in 5:3, A and D bits 6.
inline constexpr std::uint64_t kEptpWriteBack = 6, kEptpUncacheable = 0, kEptpFourLevels = 3U << 3,
                               kEptpAccessedDirty = 1U << 6;

// Interruption information (SDM tables 24-15 and 24-16).
inline constexpr std::uint32_t kInterruptionErrorCodeValid = 1U << 11, kInterruptionValid = 1U << 31;
/// Vectors whose delivery pushes an error code.
constexpr bool pushes_error_code(std::uint32_t vector) {
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

// Guest interruptibility beyond blocking by STI and MOV SS (system_state.h).
inline constexpr std::uint32_t kBlockingBySmi = 4, kBlockingByNmi = 8;

// Basic exit reasons (SDM appendix C).
enum ExitReasonNumber : std::uint32_t {
  kExitExceptionOrNmi = 0,
  kExitExternalInterrupt = 1,
  kExitTripleFault = 2,
  kExitInterruptWindow = 7,
  kExitCpuid = 10,
  kExitHlt = 12,
  kExitInvd = 13,
  kExitInvlpg = 14,
  kExitRdpmc = 15,
  kExitRdtsc = 16,
  kExitVmcall = 18,
  kExitVmclear = 19,
  kExitVmlaunch = 20,
  kExitVmptrld = 21,
  kExitVmptrst = 22,
  kExitVmread = 23,
  kExitVmresume = 24,
  kExitVmwrite = 25,
  kExitVmxoff = 26,
  kExitVmxon = 27,
  kExitCrAccess = 28,
  kExitDrAccess = 29,
  kExitIo = 30,
  kExitRdmsr = 31,
  kExitWrmsr = 32,
  kExitInvalidGuestState = 33,
  kExitMwait = 36,
  kExitMonitor = 39,
  kExitPause = 40,
  kExitGdtrIdtr = 46,
  kExitLdtrTr = 47,
  kExitEptViolation = 48,
  kExitEptMisconfiguration = 49,
  kExitInvept = 50,
  kExitRdtscp = 51,
  kExitInvvpid = 53,
  kExitWbinvd = 54,
  kExitXsetbv = 55,
  kExitInvpcid = 58
};
inline constexpr std::uint32_t kExitReasonEntryFailure = 1U << 31;

// VM-instruction errors (SDM table 30-1).
inline constexpr std::uint32_t kErrorInvalidControls = 7, kErrorInvalidHostState = 8;

}  // namespace shearling::x86
