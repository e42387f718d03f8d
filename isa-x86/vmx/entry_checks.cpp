// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmx/entry_checks.h"

#include <algorithm>
#include <array>

#include "isa-x86/vmx/vmcs_fields.h"
#include "isa-x86/vmx/vmx_controls.h"

namespace shearling::x86 {
namespace {

using F = VmcsField;

constexpr bool canonical(std::uint64_t address) {
  const auto upper = static_cast<std::int64_t>(address) >> 47;
  return upper == 0 || upper == -1;
}
constexpr bool frame_address(std::uint64_t address) { return (address & ~(kPhysicalAddressMask & ~0xfffULL)) == 0; }
constexpr bool implies(bool condition, bool consequence) { return !condition || consequence; }
constexpr bool high_half_zero(std::uint64_t value) { return value >> 32 == 0; }

/// What every check looks at.
struct In {
  const Vmcs& vmcs;
  [[nodiscard]] std::uint64_t operator[](F field) const { return vmcs.read(field); }
  [[nodiscard]] bool has(F field, std::uint64_t bit) const { return (vmcs.read(field) & bit) != 0; }
  [[nodiscard]] bool primary(std::uint32_t bit) const { return has(F::PrimaryControls, bit); }
  [[nodiscard]] bool secondary(std::uint32_t bit) const {
    return primary(kPrimaryActivateSecondary) && has(F::SecondaryControls, bit);
  }
  [[nodiscard]] bool pin(std::uint32_t bit) const { return has(F::PinBasedControls, bit); }
  [[nodiscard]] bool exit(std::uint32_t bit) const { return has(F::ExitControls, bit); }
  [[nodiscard]] bool entry(std::uint32_t bit) const { return has(F::EntryControls, bit); }
  [[nodiscard]] bool capable(F field, ControlCapability capability) const {
    const std::uint64_t value = vmcs.read(field);
    return (value & capability.required) == capability.required && (value & ~std::uint64_t{capability.allowed}) == 0;
  }
  [[nodiscard]] bool unrestricted() const { return secondary(kSecondaryUnrestrictedGuest); }
  [[nodiscard]] bool long_mode() const { return entry(kEntryIa32eModeGuest); }
  [[nodiscard]] bool guest_cr0(std::uint64_t bit) const { return has(F::GuestCr0, bit); }
  [[nodiscard]] bool virtual_8086() const { return has(F::GuestRflags, kFlagVm); }

  // Event injection.
  [[nodiscard]] std::uint64_t information() const { return vmcs.read(F::EntryInterruptionInformation); }
  [[nodiscard]] bool injects() const { return (information() & kInterruptionValid) != 0; }
  [[nodiscard]] unsigned type() const { return (information() >> 8) & 7; }
  [[nodiscard]] unsigned vector() const { return information() & 0xff; }
  [[nodiscard]] bool gives_error_code() const { return (information() & kInterruptionErrorCodeValid) != 0; }
  [[nodiscard]] bool injects_type(EventKind kind) const { return injects() && type() == static_cast<unsigned>(kind); }

  // Segments in encoding order, then LDTR and TR.
  [[nodiscard]] std::uint64_t field(F first, unsigned segment) const {
    return vmcs.read(static_cast<F>(static_cast<std::uint32_t>(first) + 2 * segment));
  }
  [[nodiscard]] std::uint64_t selector(unsigned segment) const { return field(F::GuestEsSelector, segment); }
  [[nodiscard]] std::uint64_t base(unsigned segment) const { return field(F::GuestEsBase, segment); }
  [[nodiscard]] std::uint64_t limit(unsigned segment) const { return field(F::GuestEsLimit, segment); }
  [[nodiscard]] std::uint64_t rights(unsigned segment) const { return field(F::GuestEsAccessRights, segment); }
  [[nodiscard]] bool usable(unsigned segment) const { return (rights(segment) & (1U << 16)) == 0; }
  [[nodiscard]] unsigned descriptor_type(unsigned segment) const { return rights(segment) & 15; }
  [[nodiscard]] bool is_code_or_data(unsigned segment) const { return (rights(segment) & (1U << 4)) != 0; }
  [[nodiscard]] unsigned dpl(unsigned segment) const { return (rights(segment) >> 5) & 3; }
  [[nodiscard]] bool present(unsigned segment) const { return (rights(segment) & (1U << 7)) != 0; }
  [[nodiscard]] bool reserved_clear(unsigned segment) const { return (rights(segment) & 0xfffe0f00) == 0; }
  /// Bit 15 (G) must be 0 if some low limit bit is 0, and 1 if some high one is 1.
  [[nodiscard]] bool granularity_fits(unsigned segment) const {
    const bool granular = (rights(segment) & (1U << 15)) != 0;
    return implies((limit(segment) & 0xfff) != 0xfff, !granular) &&
           implies((limit(segment) & 0xfff00000) != 0, granular);
  }
  [[nodiscard]] bool default_big(unsigned segment) const { return (rights(segment) & (1U << 14)) != 0; }
};

constexpr unsigned kLdtr = 6, kTr = 7;
constexpr std::array<unsigned, 4> kDataSegments{kEs, kDs, kFs, kGs};

template <typename Condition>
bool each_usable(const In& in, Condition condition) {
  for (unsigned segment = 0; segment < kSegmentCount; ++segment) {
    if ((segment == kCs || in.usable(segment)) && !condition(segment)) return false;
  }
  return true;
}

template <typename Condition>
bool each_usable_data(const In& in, Condition condition) {
  return std::all_of(kDataSegments.begin(), kDataSegments.end(),
                     [&](unsigned segment) { return !in.usable(segment) || condition(segment); });
}

bool pat_valid(std::uint64_t pat) {
  for (unsigned index = 0; index < 8; ++index) {
    const std::uint64_t type = (pat >> (8 * index)) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

/// SDM 26.2.1.3: which types may be injected with which vectors.
bool injection_type_valid(const In& in) { return !in.injects() || (in.type() != 1 && in.type() != 7); }
bool injection_vector_valid(const In& in) {
  if (in.injects_type(EventKind::Nmi)) return in.vector() == 2;
  if (in.injects_type(EventKind::HardwareException)) return in.vector() <= 31;
  return true;
}
bool error_code_consistent(const In& in) {
  const bool protected_mode = !in.unrestricted() || in.guest_cr0(kCr0Pe);
  const bool expected =
      in.injects_type(EventKind::HardwareException) && protected_mode && pushes_error_code(in.vector());
  return !in.injects() || in.gives_error_code() == expected;
}
bool injection_length_valid(const In& in) {
  const bool software = in.injects_type(EventKind::SoftwareInterrupt) ||
                        in.injects_type(EventKind::SoftwareException) ||
                        in.injects_type(EventKind::PrivilegedSoftwareException);
  return !software || (in[F::EntryInstructionLength] >= 1 && in[F::EntryInstructionLength] <= 15);
}

bool cs_type_valid(const In& in) {
  const unsigned type = in.descriptor_type(kCs);
  return type == 9 || type == 11 || type == 13 || type == 15 || (in.unrestricted() && type == 3);
}
bool cs_dpl_valid(const In& in) {
  switch (in.descriptor_type(kCs)) {
    case 3:
      return in.dpl(kCs) == 0;
    case 9:
    case 11:
      return in.dpl(kCs) == in.dpl(kSs);
    default:
      return in.dpl(kCs) <= in.dpl(kSs);
  }
}
bool ss_dpl_valid(const In& in) {
  const bool matches_rpl = in.dpl(kSs) == (in.selector(kSs) & 3);
  const bool must_be_zero = in.descriptor_type(kCs) == 3 || !in.guest_cr0(kCr0Pe);
  return implies(!in.unrestricted(), matches_rpl) && implies(must_be_zero, in.dpl(kSs) == 0);
}
bool rip_valid(const In& in) {
  const bool sixty_four = in.long_mode() && (in.rights(kCs) & (1U << 13)) != 0;
  return sixty_four ? canonical(in[F::GuestRip]) : high_half_zero(in[F::GuestRip]);
}

/// SDM 26.3.1.5: what may be injected into a guest that does not run.
bool injection_fits_activity(const In& in) {
  if (!in.injects()) return true;
  constexpr unsigned kMachineCheck = 18;
  const bool nmi = in.injects_type(EventKind::Nmi);
  const bool machine_check = in.injects_type(EventKind::HardwareException) && in.vector() == kMachineCheck;
  switch (in[F::GuestActivityState]) {
    case 1:
      return in.injects_type(EventKind::ExternalInterrupt) || nmi || machine_check ||
             (in.injects_type(EventKind::HardwareException) && in.vector() == kDebugException);
    case 2:
      return nmi || machine_check;
    default:
      return true;
  }
}

struct Row {
  EntryCheckGroup group;
  std::string_view sentence;
  bool (*holds)(const In&);
  std::uint64_t qualification = 0;
};
constexpr auto kControls = EntryCheckGroup::Controls;
constexpr auto kHost = EntryCheckGroup::HostState;
constexpr auto kGuest = EntryCheckGroup::GuestState;

const std::array kRows{
    // --- VM-execution controls -------------------------------------------------------------------------------------
    Row{kControls, "pin-based controls: required bits are 1, bits the processor does not know are 0",
        [](const In& in) { return in.capable(F::PinBasedControls, kPinCapability); }},
    Row{kControls, "primary controls: required bits are 1, bits the processor does not know are 0",
        [](const In& in) { return in.capable(F::PrimaryControls, kPrimaryCapability); }},
    Row{kControls, "secondary controls: bits the processor does not know are 0",
        [](const In& in) {
          return !in.primary(kPrimaryActivateSecondary) || in.capable(F::SecondaryControls, kSecondaryCapability);
        }},
    Row{kControls, "the CR3-target count is at most 4", [](const In& in) { return in[F::Cr3TargetCount] <= 4; }},
    Row{kControls, "with I/O bitmaps in use, both lie at addresses of frames",
        [](const In& in) {
          return implies(in.primary(kPrimaryUseIoBitmaps),
                         frame_address(in[F::IoBitmapA]) && frame_address(in[F::IoBitmapB]));
        }},
    Row{kControls, "with MSR bitmaps in use, they lie at the address of a frame",
        [](const In& in) { return implies(in.primary(kPrimaryUseMsrBitmaps), frame_address(in[F::MsrBitmaps])); }},
    Row{kControls, "virtual NMIs need NMI exiting",
        [](const In& in) { return implies(in.pin(kPinVirtualNmis), in.pin(kPinNmiExiting)); }},
    Row{kControls, "NMI-window exiting needs virtual NMIs",
        [](const In& in) { return implies(in.primary(kPrimaryNmiWindowExiting), in.pin(kPinVirtualNmis)); }},
    Row{kControls, "with VPIDs enabled, the VPID is not 0",
        [](const In& in) {
          return implies(in.secondary(kSecondaryEnableVpid), in[F::VirtualProcessorIdentifier] != 0);
        }},
    Row{kControls, "with EPT, the memory type of the EPT pointer is uncacheable or write-back",
        [](const In& in) {
          const std::uint64_t type = in[F::EptPointer] & 7;
          return implies(in.secondary(kSecondaryEnableEpt), type == kEptpUncacheable || type == kEptpWriteBack);
        }},
    Row{kControls, "with EPT, the EPT pointer says four levels",
        [](const In& in) {
          return implies(in.secondary(kSecondaryEnableEpt), (in[F::EptPointer] & (7U << 3)) == kEptpFourLevels);
        }},
    Row{kControls, "with EPT, reserved bits 11:7 of the EPT pointer are 0",
        [](const In& in) { return implies(in.secondary(kSecondaryEnableEpt), (in[F::EptPointer] & 0xf80) == 0); }},
    Row{kControls, "with EPT, the EPT pointer lies within the physical-address width",
        [](const In& in) {
          return implies(in.secondary(kSecondaryEnableEpt), (in[F::EptPointer] & ~kPhysicalAddressMask) == 0);
        }},
    Row{kControls, "an unrestricted guest needs EPT",
        [](const In& in) { return implies(in.unrestricted(), in.secondary(kSecondaryEnableEpt)); }},
    // --- VM-exit controls ------------------------------------------------------------------------------------------
    Row{kControls, "VM-exit controls: required bits are 1, bits the processor does not know are 0",
        [](const In& in) { return in.capable(F::ExitControls, kExitCapability); }},
    Row{kControls, "the VM-exit MSR-store area is aligned and within the physical-address width",
        [](const In& in) {
          return implies(in[F::ExitMsrStoreCount] != 0,
                         (in[F::ExitMsrStoreAddress] & (~kPhysicalAddressMask | 15)) == 0);
        }},
    Row{kControls, "the VM-exit MSR-load area is aligned and within the physical-address width",
        [](const In& in) {
          return implies(in[F::ExitMsrLoadCount] != 0, (in[F::ExitMsrLoadAddress] & (~kPhysicalAddressMask | 15)) == 0);
        }},
    // --- VM-entry controls and event injection ---------------------------------------------------------------------
    Row{kControls, "VM-entry controls: required bits are 1, bits the processor does not know are 0",
        [](const In& in) { return in.capable(F::EntryControls, kEntryCapability); }},
    Row{kControls, "the VM-entry MSR-load area is aligned and within the physical-address width",
        [](const In& in) {
          return implies(in[F::EntryMsrLoadCount] != 0,
                         (in[F::EntryMsrLoadAddress] & (~kPhysicalAddressMask | 15)) == 0);
        }},
    Row{kControls, "the event to inject has a type that exists", injection_type_valid},
    Row{kControls, "the vector to inject fits its type: 2 for an NMI, at most 31 for an exception",
        injection_vector_valid},
    Row{kControls, "an error code is given exactly for exceptions that push one", error_code_consistent},
    Row{kControls, "reserved bits 30:12 of the interruption information are 0",
        [](const In& in) { return !in.injects() || (in.information() & 0x7ffff000) == 0; }},
    Row{kControls, "bits 31:16 of the error code to inject are 0",
        [](const In& in) {
          return !in.injects() || !in.gives_error_code() || (in[F::EntryExceptionErrorCode] >> 16) == 0;
        }},
    Row{kControls, "a software event to inject has an instruction length of 1 to 15", injection_length_valid},
    // --- host state ------------------------------------------------------------------------------------------------
    Row{kHost, "host CR0 has the bits that VMX operation requires",
        [](const In& in) {
          return (in[F::HostCr0] & kVmxCr0Required) == kVmxCr0Required && (in[F::HostCr0] & ~kVmxCr0Allowed) == 0;
        }},
    Row{kHost, "host CR4 has the bits that VMX operation requires, and none that do not exist",
        [](const In& in) {
          return (in[F::HostCr4] & kVmxCr4Required) == kVmxCr4Required && (in[F::HostCr4] & ~kVmxCr4Allowed) == 0;
        }},
    Row{kHost, "host CR3 lies within the physical-address width",
        [](const In& in) { return (in[F::HostCr3] & ~kPhysicalAddressMask) == 0; }},
    Row{kHost, "host SYSENTER_ESP and SYSENTER_EIP are canonical",
        [](const In& in) { return canonical(in[F::HostSysenterEsp]) && canonical(in[F::HostSysenterEip]); }},
    Row{kHost, "host PAT, if loaded, holds memory types that exist",
        [](const In& in) { return implies(in.exit(kExitLoadPat), pat_valid(in[F::HostPat])); }},
    Row{kHost, "host EFER, if loaded, has no reserved bit and LMA = LME = host address-space size",
        [](const In& in) {
          if (!in.exit(kExitLoadEfer)) return true;
          const bool wide = in.exit(kExitHostAddressSpaceSize);
          return (in[F::HostEfer] & ~kEferDefined) == 0 && in.has(F::HostEfer, kEferLma) == wide &&
                 in.has(F::HostEfer, kEferLme) == wide;
        }},
    Row{kHost, "host selectors have RPL 0 and name the GDT",
        [](const In& in) {
          constexpr std::array kSelectors{F::HostEsSelector, F::HostCsSelector, F::HostSsSelector, F::HostDsSelector,
                                          F::HostFsSelector, F::HostGsSelector, F::HostTrSelector};
          return std::all_of(kSelectors.begin(), kSelectors.end(), [&](F field) { return (in[field] & 7) == 0; });
        }},
    Row{kHost, "the host CS selector is not null", [](const In& in) { return in[F::HostCsSelector] != 0; }},
    Row{kHost, "the host TR selector is not null", [](const In& in) { return in[F::HostTrSelector] != 0; }},
    Row{kHost, "host FS, GS and TR bases are canonical",
        [](const In& in) {
          return canonical(in[F::HostFsBase]) && canonical(in[F::HostGsBase]) && canonical(in[F::HostTrBase]);
        }},
    Row{kHost, "host GDTR and IDTR bases are canonical",
        [](const In& in) { return canonical(in[F::HostGdtrBase]) && canonical(in[F::HostIdtrBase]); }},
    Row{kHost, "the host runs in 64-bit mode (host address-space size is 1)",
        [](const In& in) { return in.exit(kExitHostAddressSpaceSize); }},
    Row{kHost, "a 64-bit host has CR4.PAE", [](const In& in) { return in.has(F::HostCr4, kCr4Pae); }},
    Row{kHost, "host RIP is canonical", [](const In& in) { return canonical(in[F::HostRip]); }},
    // --- guest state: control registers and MSRs -------------------------------------------------------------------
    Row{kGuest, "guest CR0 has the bits that VMX operation requires (PE and PG are free in an unrestricted guest)",
        [](const In& in) {
          const std::uint64_t required = in.unrestricted() ? kVmxCr0Required & ~(kCr0Pe | kCr0Pg) : kVmxCr0Required;
          return (in[F::GuestCr0] & required) == required && (in[F::GuestCr0] & ~kVmxCr0Allowed) == 0;
        }},
    Row{kGuest, "guest CR0.PG needs CR0.PE",
        [](const In& in) { return implies(in.guest_cr0(kCr0Pg), in.guest_cr0(kCr0Pe)); }},
    Row{kGuest, "guest CR4 has the bits that VMX operation requires, and none that do not exist",
        [](const In& in) {
          return (in[F::GuestCr4] & kVmxCr4Required) == kVmxCr4Required && (in[F::GuestCr4] & ~kVmxCr4Allowed) == 0;
        }},
    Row{kGuest, "an IA-32e mode guest has CR0.PG",
        [](const In& in) { return implies(in.long_mode(), in.guest_cr0(kCr0Pg)); }},
    Row{kGuest, "an IA-32e mode guest has CR4.PAE",
        [](const In& in) { return implies(in.long_mode(), in.has(F::GuestCr4, kCr4Pae)); }},
    Row{kGuest, "guest CR4.PCIDE needs IA-32e mode",
        [](const In& in) { return implies(in.has(F::GuestCr4, kCr4Pcide), in.long_mode()); }},
    Row{kGuest, "guest CR3 lies within the physical-address width",
        [](const In& in) { return (in[F::GuestCr3] & ~kPhysicalAddressMask) == 0; }},
    Row{kGuest, "guest DR7, if loaded, has no bit in its upper half",
        [](const In& in) { return implies(in.entry(kEntryLoadDebugControls), high_half_zero(in[F::GuestDr7])); }},
    Row{kGuest, "guest DEBUGCTL, if loaded, has no reserved bit",
        [](const In& in) {
          return implies(in.entry(kEntryLoadDebugControls), (in[F::GuestDebugControl] & ~std::uint64_t{0xffc3}) == 0);
        }},
    Row{kGuest, "guest SYSENTER_ESP and SYSENTER_EIP are canonical",
        [](const In& in) { return canonical(in[F::GuestSysenterEsp]) && canonical(in[F::GuestSysenterEip]); }},
    Row{kGuest, "guest PAT, if loaded, holds memory types that exist",
        [](const In& in) { return implies(in.entry(kEntryLoadPat), pat_valid(in[F::GuestPat])); }},
    Row{kGuest, "guest EFER, if loaded, has no reserved bit",
        [](const In& in) { return implies(in.entry(kEntryLoadEfer), (in[F::GuestEfer] & ~kEferDefined) == 0); }},
    Row{kGuest, "guest EFER.LMA, if loaded, says the same as the control IA-32e mode guest",
        [](const In& in) {
          return implies(in.entry(kEntryLoadEfer), in.has(F::GuestEfer, kEferLma) == in.long_mode());
        }},
    Row{kGuest, "with paging, guest EFER.LMA, if loaded, equals EFER.LME",
        [](const In& in) {
          return implies(in.entry(kEntryLoadEfer) && in.guest_cr0(kCr0Pg),
                         in.has(F::GuestEfer, kEferLma) == in.has(F::GuestEfer, kEferLme));
        }},
    // --- guest state: segments -------------------------------------------------------------------------------------
    Row{kGuest, "the guest TR selector names the GDT", [](const In& in) { return (in.selector(kTr) & 4) == 0; }},
    Row{kGuest, "the guest LDTR selector, if usable, names the GDT",
        [](const In& in) { return implies(in.usable(kLdtr), (in.selector(kLdtr) & 4) == 0); }},
    Row{kGuest, "the RPL of guest SS equals that of CS (unless the guest is unrestricted)",
        [](const In& in) { return in.unrestricted() || (in.selector(kSs) & 3) == (in.selector(kCs) & 3); }},
    Row{kGuest, "guest TR, FS and GS bases are canonical",
        [](const In& in) { return canonical(in.base(kTr)) && canonical(in.base(kFs)) && canonical(in.base(kGs)); }},
    Row{kGuest, "the guest LDTR base, if usable, is canonical",
        [](const In& in) { return implies(in.usable(kLdtr), canonical(in.base(kLdtr))); }},
    Row{kGuest, "the guest CS base fits 32 bits", [](const In& in) { return high_half_zero(in.base(kCs)); }},
    Row{kGuest, "guest SS, DS and ES bases, if usable, fit 32 bits",
        [](const In& in) {
          constexpr std::array<unsigned, 3> kFlat{kSs, kDs, kEs};
          return std::all_of(kFlat.begin(), kFlat.end(),
                             [&](unsigned segment) { return !in.usable(segment) || high_half_zero(in.base(segment)); });
        }},
    Row{kGuest, "guest CS is accessed code (or data of type 3 in an unrestricted guest)", cs_type_valid},
    Row{kGuest, "guest SS, if usable, is writable, accessed data",
        [](const In& in) { return !in.usable(kSs) || in.descriptor_type(kSs) == 3 || in.descriptor_type(kSs) == 7; }},
    Row{kGuest, "guest data segments, if usable, are accessed",
        [](const In& in) {
          return each_usable_data(in, [&](unsigned segment) { return (in.descriptor_type(segment) & 1) != 0; });
        }},
    Row{kGuest, "code in guest data segments is readable",
        [](const In& in) {
          return each_usable_data(in, [&](unsigned segment) {
            return implies((in.descriptor_type(segment) & 8) != 0, (in.descriptor_type(segment) & 2) != 0);
          });
        }},
    Row{kGuest, "usable guest segments are code or data, no system segments",
        [](const In& in) { return each_usable(in, [&](unsigned segment) { return in.is_code_or_data(segment); }); }},
    Row{kGuest, "the DPL of guest CS fits its type and the DPL of SS", cs_dpl_valid},
    Row{kGuest, "the DPL of guest SS fits its RPL, and is 0 without protection", ss_dpl_valid},
    Row{kGuest, "usable guest data segments have a DPL of at least their RPL (unless the guest is unrestricted)",
        [](const In& in) {
          return in.unrestricted() || each_usable_data(in, [&](unsigned segment) {
                   return in.descriptor_type(segment) > 11 || in.dpl(segment) >= (in.selector(segment) & 3);
                 });
        }},
    Row{kGuest, "usable guest segments are present",
        [](const In& in) { return each_usable(in, [&](unsigned segment) { return in.present(segment); }); }},
    Row{kGuest, "reserved bits in the access rights of usable guest segments are 0",
        [](const In& in) { return each_usable(in, [&](unsigned segment) { return in.reserved_clear(segment); }); }},
    Row{kGuest, "guest CS is not 64-bit and 32-bit at once (L and D/B)",
        [](const In& in) {
          return implies(in.long_mode() && (in.rights(kCs) & (1U << 13)) != 0, !in.default_big(kCs));
        }},
    Row{kGuest, "limits and granularity of usable guest segments agree",
        [](const In& in) { return each_usable(in, [&](unsigned segment) { return in.granularity_fits(segment); }); }},
    Row{kGuest, "guest TR is a busy TSS: type 11, or 3 outside IA-32e mode",
        [](const In& in) {
          return in.descriptor_type(kTr) == 11 || (!in.long_mode() && in.descriptor_type(kTr) == 3);
        }},
    Row{kGuest, "guest TR is a present system segment, usable, with reserved bits 0",
        [](const In& in) {
          return in.usable(kTr) && !in.is_code_or_data(kTr) && in.present(kTr) && in.reserved_clear(kTr);
        }},
    Row{kGuest, "limit and granularity of guest TR agree", [](const In& in) { return in.granularity_fits(kTr); }},
    Row{kGuest, "guest LDTR, if usable, is a present LDT with reserved bits 0 and a fitting limit",
        [](const In& in) {
          return !in.usable(kLdtr) || (in.descriptor_type(kLdtr) == 2 && !in.is_code_or_data(kLdtr) &&
                                       in.present(kLdtr) && in.reserved_clear(kLdtr) && in.granularity_fits(kLdtr));
        }},
    Row{kGuest, "guest GDTR and IDTR bases are canonical",
        [](const In& in) { return canonical(in[F::GuestGdtrBase]) && canonical(in[F::GuestIdtrBase]); }},
    Row{kGuest, "guest GDTR and IDTR limits fit 16 bits",
        [](const In& in) { return in[F::GuestGdtrLimit] <= 0xffff && in[F::GuestIdtrLimit] <= 0xffff; }},
    // --- guest state: RIP, RFLAGS ----------------------------------------------------------------------------------
    Row{kGuest, "guest RIP is canonical in 64-bit mode, and fits 32 bits elsewhere", rip_valid},
    Row{kGuest, "reserved bits of guest RFLAGS are 0, and bit 1 is 1",
        [](const In& in) { return (in[F::GuestRflags] & ~std::uint64_t{0x3f7fd5}) == 2; }},
    Row{kGuest, "guest RFLAGS.VM is 0 (in IA-32e mode, without protection; virtual-8086 mode is not modelled)",
        [](const In& in) { return !in.virtual_8086(); }},
    Row{kGuest, "an external interrupt is injected only with RFLAGS.IF",
        [](const In& in) {
          return implies(in.injects_type(EventKind::ExternalInterrupt), in.has(F::GuestRflags, kFlagIf));
        }},
    // --- guest state: activity, interruptibility, the rest ---------------------------------------------------------
    Row{kGuest, "the guest activity state is active, HLT or shutdown",
        [](const In& in) { return in[F::GuestActivityState] <= 2; }},
    Row{kGuest, "a guest in HLT runs in ring 0",
        [](const In& in) { return implies(in[F::GuestActivityState] == 1, in.dpl(kSs) == 0); }},
    Row{kGuest, "a guest with blocking by STI or MOV SS is active",
        [](const In& in) {
          return implies(in.has(F::GuestInterruptibility, kBlockingBySti | kBlockingByMovSs),
                         in[F::GuestActivityState] == 0);
        }},
    Row{kGuest, "the event to inject can reach a guest in that activity state", injection_fits_activity},
    Row{kGuest, "reserved bits of guest interruptibility are 0",
        [](const In& in) { return (in[F::GuestInterruptibility] & ~std::uint64_t{0xf}) == 0; }},
    Row{kGuest, "there is no blocking by both STI and MOV SS",
        [](const In& in) { return (in[F::GuestInterruptibility] & 3) != (kBlockingBySti | kBlockingByMovSs); }},
    Row{kGuest, "blocking by STI needs RFLAGS.IF",
        [](const In& in) {
          return implies(in.has(F::GuestInterruptibility, kBlockingBySti), in.has(F::GuestRflags, kFlagIf));
        }},
    Row{kGuest, "no external interrupt is injected into blocking by STI or MOV SS",
        [](const In& in) {
          return implies(in.injects_type(EventKind::ExternalInterrupt),
                         !in.has(F::GuestInterruptibility, kBlockingBySti | kBlockingByMovSs));
        }},
    Row{kGuest, "no NMI is injected into blocking by MOV SS",
        [](const In& in) {
          return implies(in.injects_type(EventKind::Nmi), !in.has(F::GuestInterruptibility, kBlockingByMovSs));
        },
        3},
    Row{kGuest, "the guest is not in blocking by SMI",
        [](const In& in) { return !in.has(F::GuestInterruptibility, kBlockingBySmi); }},
    Row{kGuest, "with virtual NMIs, no NMI is injected into blocking by NMI",
        [](const In& in) {
          return implies(in.pin(kPinVirtualNmis) && in.injects_type(EventKind::Nmi),
                         !in.has(F::GuestInterruptibility, kBlockingByNmi));
        }},
    Row{kGuest, "reserved bits of pending debug exceptions are 0",
        [](const In& in) { return (in[F::GuestPendingDebugExceptions] & ~std::uint64_t{0x500f}) == 0; }},
    Row{kGuest, "the VMCS link pointer is all ones (shadow VMCSs are not modelled)",
        [](const In& in) { return in[F::VmcsLinkPointer] == ~std::uint64_t{0}; }, 4},
};

}  // namespace

EntryCheckOutcome check_vm_entry(const Vmcs& vmcs) {
  const In in{vmcs};
  EntryCheckOutcome outcome;
  for (const Row& row : kRows) {
    if (!row.holds(in)) {
      outcome.failure = EntryCheckFailure{row.group, row.sentence, row.qualification};
      return outcome;
    }
    ++outcome.passed;
  }
  return outcome;
}

std::span<const std::string_view> vm_entry_check_sentences() {
  static const auto kSentences = [] {
    std::array<std::string_view, kRows.size()> sentences;
    std::transform(kRows.begin(), kRows.end(), sentences.begin(), [](const Row& row) { return row.sentence; });
    return sentences;
  }();
  return kSentences;
}

}  // namespace shearling::x86
