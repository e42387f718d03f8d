// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmx/vmcs.h"

#include <array>

#include "core/base/assert.h"
#include "isa-x86/vmx/vmcs_fields.h"

namespace shearling::x86 {
namespace {

using Row = VmcsFieldInfo;

constexpr std::array kFields{
    Row{VmcsField::VirtualProcessorIdentifier, "virtual-processor identifier (VPID)"},
    Row{VmcsField::PostedInterruptNotificationVector, "posted-interrupt notification vector"},
    Row{VmcsField::EptpIndex, "EPTP index"},
    Row{VmcsField::GuestEsSelector, "guest ES selector"},
    Row{VmcsField::GuestCsSelector, "guest CS selector"},
    Row{VmcsField::GuestSsSelector, "guest SS selector"},
    Row{VmcsField::GuestDsSelector, "guest DS selector"},
    Row{VmcsField::GuestFsSelector, "guest FS selector"},
    Row{VmcsField::GuestGsSelector, "guest GS selector"},
    Row{VmcsField::GuestLdtrSelector, "guest LDTR selector"},
    Row{VmcsField::GuestTrSelector, "guest TR selector"},
    Row{VmcsField::GuestInterruptStatus, "guest interrupt status"},
    Row{VmcsField::HostEsSelector, "host ES selector"},
    Row{VmcsField::HostCsSelector, "host CS selector"},
    Row{VmcsField::HostSsSelector, "host SS selector"},
    Row{VmcsField::HostDsSelector, "host DS selector"},
    Row{VmcsField::HostFsSelector, "host FS selector"},
    Row{VmcsField::HostGsSelector, "host GS selector"},
    Row{VmcsField::HostTrSelector, "host TR selector"},
    Row{VmcsField::IoBitmapA, "address of I/O bitmap A"},
    Row{VmcsField::IoBitmapB, "address of I/O bitmap B"},
    Row{VmcsField::MsrBitmaps, "address of MSR bitmaps"},
    Row{VmcsField::ExitMsrStoreAddress, "VM-exit MSR-store address"},
    Row{VmcsField::ExitMsrLoadAddress, "VM-exit MSR-load address"},
    Row{VmcsField::EntryMsrLoadAddress, "VM-entry MSR-load address"},
    Row{VmcsField::ExecutiveVmcsPointer, "executive-VMCS pointer"},
    Row{VmcsField::TscOffset, "TSC offset"},
    Row{VmcsField::VirtualApicAddress, "virtual-APIC address"},
    Row{VmcsField::ApicAccessAddress, "APIC-access address"},
    Row{VmcsField::PostedInterruptDescriptorAddress, "posted-interrupt descriptor address"},
    Row{VmcsField::VmFunctionControls, "VM-function controls"},
    Row{VmcsField::EptPointer, "EPT pointer"},
    Row{VmcsField::EoiExitBitmap0, "EOI-exit bitmap 0"},
    Row{VmcsField::EoiExitBitmap1, "EOI-exit bitmap 1"},
    Row{VmcsField::EoiExitBitmap2, "EOI-exit bitmap 2"},
    Row{VmcsField::EoiExitBitmap3, "EOI-exit bitmap 3"},
    Row{VmcsField::EptpListAddress, "EPTP-list address"},
    Row{VmcsField::VmreadBitmapAddress, "VMREAD-bitmap address"},
    Row{VmcsField::VmwriteBitmapAddress, "VMWRITE-bitmap address"},
    Row{VmcsField::VirtualizationExceptionAddress, "virtualization-exception information address"},
    Row{VmcsField::GuestPhysicalAddress, "guest-physical address"},
    Row{VmcsField::VmcsLinkPointer, "VMCS link pointer"},
    Row{VmcsField::GuestDebugControl, "guest IA32_DEBUGCTL"},
    Row{VmcsField::GuestPat, "guest IA32_PAT"},
    Row{VmcsField::GuestEfer, "guest IA32_EFER"},
    Row{VmcsField::GuestPerformanceGlobalControl, "guest IA32_PERF_GLOBAL_CTRL"},
    Row{VmcsField::GuestPdpte0, "guest PDPTE0"},
    Row{VmcsField::GuestPdpte1, "guest PDPTE1"},
    Row{VmcsField::GuestPdpte2, "guest PDPTE2"},
    Row{VmcsField::GuestPdpte3, "guest PDPTE3"},
    Row{VmcsField::HostPat, "host IA32_PAT"},
    Row{VmcsField::HostEfer, "host IA32_EFER"},
    Row{VmcsField::HostPerformanceGlobalControl, "host IA32_PERF_GLOBAL_CTRL"},
    Row{VmcsField::PinBasedControls, "pin-based VM-execution controls"},
    Row{VmcsField::PrimaryControls, "primary processor-based VM-execution controls"},
    Row{VmcsField::ExceptionBitmap, "exception bitmap"},
    Row{VmcsField::PageFaultErrorCodeMask, "page-fault error-code mask"},
    Row{VmcsField::PageFaultErrorCodeMatch, "page-fault error-code match"},
    Row{VmcsField::Cr3TargetCount, "CR3-target count"},
    Row{VmcsField::ExitControls, "VM-exit controls"},
    Row{VmcsField::ExitMsrStoreCount, "VM-exit MSR-store count"},
    Row{VmcsField::ExitMsrLoadCount, "VM-exit MSR-load count"},
    Row{VmcsField::EntryControls, "VM-entry controls"},
    Row{VmcsField::EntryMsrLoadCount, "VM-entry MSR-load count"},
    Row{VmcsField::EntryInterruptionInformation, "VM-entry interruption-information field"},
    Row{VmcsField::EntryExceptionErrorCode, "VM-entry exception error code"},
    Row{VmcsField::EntryInstructionLength, "VM-entry instruction length"},
    Row{VmcsField::TprThreshold, "TPR threshold"},
    Row{VmcsField::SecondaryControls, "secondary processor-based VM-execution controls"},
    Row{VmcsField::PauseLoopGap, "PLE gap"},
    Row{VmcsField::PauseLoopWindow, "PLE window"},
    Row{VmcsField::InstructionError, "VM-instruction error"},
    Row{VmcsField::ExitReason, "exit reason"},
    Row{VmcsField::ExitInterruptionInformation, "VM-exit interruption information"},
    Row{VmcsField::ExitInterruptionErrorCode, "VM-exit interruption error code"},
    Row{VmcsField::IdtVectoringInformation, "IDT-vectoring information field"},
    Row{VmcsField::IdtVectoringErrorCode, "IDT-vectoring error code"},
    Row{VmcsField::ExitInstructionLength, "VM-exit instruction length"},
    Row{VmcsField::ExitInstructionInformation, "VM-exit instruction information"},
    Row{VmcsField::GuestEsLimit, "guest ES limit"},
    Row{VmcsField::GuestCsLimit, "guest CS limit"},
    Row{VmcsField::GuestSsLimit, "guest SS limit"},
    Row{VmcsField::GuestDsLimit, "guest DS limit"},
    Row{VmcsField::GuestFsLimit, "guest FS limit"},
    Row{VmcsField::GuestGsLimit, "guest GS limit"},
    Row{VmcsField::GuestLdtrLimit, "guest LDTR limit"},
    Row{VmcsField::GuestTrLimit, "guest TR limit"},
    Row{VmcsField::GuestGdtrLimit, "guest GDTR limit"},
    Row{VmcsField::GuestIdtrLimit, "guest IDTR limit"},
    Row{VmcsField::GuestEsAccessRights, "guest ES access rights"},
    Row{VmcsField::GuestCsAccessRights, "guest CS access rights"},
    Row{VmcsField::GuestSsAccessRights, "guest SS access rights"},
    Row{VmcsField::GuestDsAccessRights, "guest DS access rights"},
    Row{VmcsField::GuestFsAccessRights, "guest FS access rights"},
    Row{VmcsField::GuestGsAccessRights, "guest GS access rights"},
    Row{VmcsField::GuestLdtrAccessRights, "guest LDTR access rights"},
    Row{VmcsField::GuestTrAccessRights, "guest TR access rights"},
    Row{VmcsField::GuestInterruptibility, "guest interruptibility state"},
    Row{VmcsField::GuestActivityState, "guest activity state"},
    Row{VmcsField::GuestSmbase, "guest SMBASE"},
    Row{VmcsField::GuestSysenterCs, "guest IA32_SYSENTER_CS"},
    Row{VmcsField::PreemptionTimerValue, "VMX-preemption timer value"},
    Row{VmcsField::HostSysenterCs, "host IA32_SYSENTER_CS"},
    Row{VmcsField::Cr0GuestHostMask, "CR0 guest/host mask"},
    Row{VmcsField::Cr4GuestHostMask, "CR4 guest/host mask"},
    Row{VmcsField::Cr0ReadShadow, "CR0 read shadow"},
    Row{VmcsField::Cr4ReadShadow, "CR4 read shadow"},
    Row{VmcsField::Cr3Target0, "CR3-target value 0"},
    Row{VmcsField::Cr3Target1, "CR3-target value 1"},
    Row{VmcsField::Cr3Target2, "CR3-target value 2"},
    Row{VmcsField::Cr3Target3, "CR3-target value 3"},
    Row{VmcsField::ExitQualification, "exit qualification"},
    Row{VmcsField::IoRcx, "I/O RCX"},
    Row{VmcsField::IoRsi, "I/O RSI"},
    Row{VmcsField::IoRdi, "I/O RDI"},
    Row{VmcsField::IoRip, "I/O RIP"},
    Row{VmcsField::GuestLinearAddress, "guest-linear address"},
    Row{VmcsField::GuestCr0, "guest CR0"},
    Row{VmcsField::GuestCr3, "guest CR3"},
    Row{VmcsField::GuestCr4, "guest CR4"},
    Row{VmcsField::GuestEsBase, "guest ES base"},
    Row{VmcsField::GuestCsBase, "guest CS base"},
    Row{VmcsField::GuestSsBase, "guest SS base"},
    Row{VmcsField::GuestDsBase, "guest DS base"},
    Row{VmcsField::GuestFsBase, "guest FS base"},
    Row{VmcsField::GuestGsBase, "guest GS base"},
    Row{VmcsField::GuestLdtrBase, "guest LDTR base"},
    Row{VmcsField::GuestTrBase, "guest TR base"},
    Row{VmcsField::GuestGdtrBase, "guest GDTR base"},
    Row{VmcsField::GuestIdtrBase, "guest IDTR base"},
    Row{VmcsField::GuestDr7, "guest DR7"},
    Row{VmcsField::GuestRsp, "guest RSP"},
    Row{VmcsField::GuestRip, "guest RIP"},
    Row{VmcsField::GuestRflags, "guest RFLAGS"},
    Row{VmcsField::GuestPendingDebugExceptions, "guest pending debug exceptions"},
    Row{VmcsField::GuestSysenterEsp, "guest IA32_SYSENTER_ESP"},
    Row{VmcsField::GuestSysenterEip, "guest IA32_SYSENTER_EIP"},
    Row{VmcsField::HostCr0, "host CR0"},
    Row{VmcsField::HostCr3, "host CR3"},
    Row{VmcsField::HostCr4, "host CR4"},
    Row{VmcsField::HostFsBase, "host FS base"},
    Row{VmcsField::HostGsBase, "host GS base"},
    Row{VmcsField::HostTrBase, "host TR base"},
    Row{VmcsField::HostGdtrBase, "host GDTR base"},
    Row{VmcsField::HostIdtrBase, "host IDTR base"},
    Row{VmcsField::HostSysenterEsp, "host IA32_SYSENTER_ESP"},
    Row{VmcsField::HostSysenterEip, "host IA32_SYSENTER_EIP"},
    Row{VmcsField::HostRsp, "host RSP"},
    Row{VmcsField::HostRip, "host RIP"}};

// A field's row, found by width, area and index: index is 9:1 of the encoding, of which five bits are in use.
constexpr std::uint32_t kKeys = 512;
constexpr std::uint8_t kNoRow = 0xff;
static_assert(kFields.size() < kNoRow);

constexpr std::uint32_t key_of(std::uint32_t encoding) {
  return ((encoding >> 13) & 3) << 7 | ((encoding >> 10) & 3) << 5 | ((encoding >> 1) & 31);
}

constexpr std::array<std::uint8_t, kKeys> make_row_table() {
  std::array<std::uint8_t, kKeys> table{};
  for (std::uint8_t& row : table) row = kNoRow;
  for (std::size_t row = 0; row < kFields.size(); ++row)
    table[key_of(kFields[row].encoding())] = static_cast<std::uint8_t>(row);
  return table;
}
constexpr auto kRows = make_row_table();

std::optional<std::size_t> row_of(std::uint32_t encoding) {
  const std::uint8_t row = kRows[key_of(encoding)];
  if (row == kNoRow || kFields[row].encoding() != encoding) return std::nullopt;
  return row;
}

std::uint64_t truncate(VmcsWidth width, std::uint64_t value) {
  switch (width) {
    case VmcsWidth::Bits16:
      return value & 0xffff;
    case VmcsWidth::Bits32:
      return value & 0xffffffff;
    case VmcsWidth::Bits64:
    case VmcsWidth::Natural:
      return value;
  }
  return value;
}

}  // namespace

std::span<const VmcsFieldInfo> vmcs_field_table() { return kFields; }

std::string_view area_name(VmcsArea area) {
  static constexpr std::array<std::string_view, 4> kNames{"controls", "exit information", "guest state", "host state"};
  return kNames[static_cast<std::size_t>(area)];
}

Vmcs::Vmcs() : values_(kFields.size(), 0) {}

std::uint64_t Vmcs::read(VmcsField field) const {
  const auto row = row_of(static_cast<std::uint32_t>(field));
  SHEARLING_ASSERT(row.has_value(), "a VMCS field that is not in the table was read");
  return values_[*row];
}

void Vmcs::write(VmcsField field, std::uint64_t value) {
  const auto row = row_of(static_cast<std::uint32_t>(field));
  SHEARLING_ASSERT(row.has_value(), "a VMCS field that is not in the table was written");
  values_[*row] = truncate(kFields[*row].width(), value);
}

std::optional<std::uint64_t> Vmcs::read_encoding(std::uint32_t encoding) const {
  const auto row = row_of(encoding);
  if (!row) return std::nullopt;
  return values_[*row];
}

}  // namespace shearling::x86
