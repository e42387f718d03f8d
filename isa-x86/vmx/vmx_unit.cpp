// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmx/vmx_unit.h"

#include <algorithm>
#include <array>

#include "core/base/assert.h"
#include "isa-x86/vmx/entry_checks.h"
#include "isa-x86/vmx/vmcs_fields.h"
#include "isa-x86/vmx/vmx_controls.h"

namespace shearling::x86 {

using F = VmcsField;

namespace {

constexpr unsigned kRsp = 4;
constexpr std::uint64_t kResetPat = 0x0007040600070406;
constexpr EngineRegister segment_base_register(SegmentRegister segment) {
  return {RegisterClass::SegmentBase, segment};
}

F field_of(F first, unsigned index) { return static_cast<F>(static_cast<std::uint32_t>(first) + 2 * index); }

// Host segments after an exit are not in the VMCS; the manual fixes them (SDM 27.5.2).
constexpr std::uint32_t kHostCodeRights = 0xa09b, kHostDataRights = 0xc093, kHostTaskRights = 0x8b,
                        kUnusable = 1U << 16;

std::uint64_t read_msr(const SystemState& state, std::uint32_t msr, std::uint64_t otherwise = 0) {
  const auto found = state.msrs.find(msr);
  return found == state.msrs.end() ? otherwise : found->second;
}

/// An MSR that was never written stays absent as long as its value is the reset value.
void write_msr(SystemState& state, std::uint32_t msr, std::uint64_t value, std::uint64_t reset_value = 0) {
  if (value != reset_value || state.msrs.contains(msr)) state.msrs[msr] = value;
}

std::uint32_t interruption_information(const PendingEvent& event) {
  return event.vector | static_cast<std::uint32_t>(event.kind) << 8 |
         (event.has_error_code ? kInterruptionErrorCodeValid : 0) | kInterruptionValid;
}

// Control-register access types of the exit qualification (SDM table 27-3).
enum CrAccessType : std::uint64_t { kMovToCr = 0, kMovFromCr = 1, kClts = 2, kLmsw = 3 };

}  // namespace

// --- interception ----------------------------------------------------------------------------------------------------

struct VmxUnit::Decision {
  bool exits = false;
  std::string_view sentence;  ///< Of the control that decided.
  std::uint64_t actual = 0;
  std::uint64_t required = 0;  ///< What `actual` would have to be for an exit.
  bool silent = false;         ///< No control looks at this: no check is made.
};

/// One row says all: who is asked (a bit of a control field, nobody, or a routine of its own) and what follows.
struct VmxUnit::InterceptRule {
  enum class Asks : std::uint8_t { Nobody, Pin, Primary, Secondary, Routine };
  Intercept kind;
  std::uint32_t reason;
  std::string_view name;
  Asks asks;
  std::uint32_t bit = 0;
  std::string_view sentence{};
  Decision (VmxUnit::*routine)(const InterceptQuery&) const = nullptr;
};

bool VmxUnit::control(VmcsField field, std::uint32_t bit) const { return (vmcs_.read(field) & bit) != 0; }
bool VmxUnit::primary(std::uint32_t bit) const { return control(F::PrimaryControls, bit); }
bool VmxUnit::secondary(std::uint32_t bit) const {
  return primary(kPrimaryActivateSecondary) && control(F::SecondaryControls, bit);
}

VmxUnit::Decision VmxUnit::decide_cr_write(const InterceptQuery& query) const {
  if (query.cr == 3) {
    if (!primary(kPrimaryCr3LoadExiting)) return {false, "CR3-load exiting is {actual}", 0, 1};
    const std::uint64_t count = vmcs_.read(F::Cr3TargetCount);
    for (unsigned target = 0; target < count; ++target) {
      if (vmcs_.read(field_of(F::Cr3Target0, target)) == query.value)
        return {false, "CR3-load exiting is 1, but {actual} is a CR3-target value", query.value, query.value};
    }
    return {true, "CR3-load exiting is {actual}, and no CR3-target value matches", 1, 1};
  }
  if (query.cr == 8) {
    const bool exits = primary(kPrimaryCr8LoadExiting);
    return {exits, "CR8-load exiting is {actual}", exits, 1};
  }
  const bool cr0 = query.cr == 0;
  const std::uint64_t mask = vmcs_.read(cr0 ? F::Cr0GuestHostMask : F::Cr4GuestHostMask);
  const std::uint64_t shadow = vmcs_.read(cr0 ? F::Cr0ReadShadow : F::Cr4ReadShadow);
  const std::uint64_t differing = (query.value ^ shadow) & mask;
  if (query.cr != 0 && query.cr != 4) return {.silent = true};
  return {
      differing != 0,
      cr0 ? std::string_view(
                "Bits {actual} of the new CR0 differ from the read shadow where the guest/host mask {required} is set")
          : std::string_view(
                "Bits {actual} of the new CR4 differ from the read shadow where the guest/host mask {required} is set"),
      differing, mask};
}

VmxUnit::Decision VmxUnit::decide_msr(const InterceptQuery& query) const {
  if (!primary(kPrimaryUseMsrBitmaps)) return {true, "Use MSR bitmaps is {actual}: every access exits", 0, 0};
  // Four bitmaps of 1 KB: read low, read high, write low, write high (SDM 24.6.9).
  constexpr std::uint32_t kMsrsCovered = 0x2000, kHighMsrs = 0xc0000000;
  const bool high = query.msr >= kHighMsrs;
  const std::uint32_t index = high ? query.msr - kHighMsrs : query.msr;
  if (index >= kMsrsCovered)
    return {true, "MSR {actual} lies outside both ranges of the MSR bitmap", query.msr, query.msr};
  const std::uint64_t base =
      vmcs_.read(F::MsrBitmaps) + (high ? 1024U : 0U) + (query.kind == Intercept::WrMsr ? 2048U : 0U);
  const std::uint64_t bit = context_.memory.read({base + index / 8}, 1) >> (index % 8) & 1;
  return {bit != 0,
          query.kind == Intercept::WrMsr ? std::string_view("The MSR's bit in the write bitmap is {actual}")
                                         : std::string_view("The MSR's bit in the read bitmap is {actual}"),
          bit, 1};
}

VmxUnit::Decision VmxUnit::decide_port(const InterceptQuery& query) const {
  if (!primary(kPrimaryUseIoBitmaps)) {
    const bool exits = primary(kPrimaryUnconditionalIoExiting);
    return {exits, "Unconditional I/O exiting is {actual}", exits, 1};
  }
  if (query.port + query.port_size > 0x10000)
    return {true, "The access at port {actual} wraps around the 64 KB of ports", query.port, query.port};
  for (std::uint32_t port = query.port; port < std::uint32_t{query.port} + query.port_size; ++port) {
    const std::uint64_t base = vmcs_.read(port < 0x8000 ? F::IoBitmapA : F::IoBitmapB);
    if ((context_.memory.read({base + (port & 0x7fff) / 8}, 1) >> (port % 8) & 1) != 0)
      return {true, "The I/O bitmap's bit of port {required} is {actual}", 1, port};
  }
  return {false, "The I/O bitmap's bits of port {required} are {actual}", 0, query.port};
}

VmxUnit::Decision VmxUnit::decide_exception(const InterceptQuery& query) const {
  const PendingEvent& event = query.event;
  if (event.kind == EventKind::Nmi) {
    const bool exits = control(F::PinBasedControls, kPinNmiExiting);
    return {exits, "NMI exiting is {actual}", exits, 1};
  }
  if (event.kind == EventKind::SoftwareInterrupt) return {.silent = true};  // INT n is no exception.
  const std::uint64_t bit = vmcs_.read(F::ExceptionBitmap) >> (event.vector & 31) & 1;
  if (event.vector != kPageFault || event.kind != EventKind::HardwareException)
    return {bit != 0, "The exception bitmap's bit of this vector is {actual}", bit, 1};
  const std::uint64_t masked = event.error_code & vmcs_.read(F::PageFaultErrorCodeMask);
  const bool matches = masked == vmcs_.read(F::PageFaultErrorCodeMatch);
  return {matches == (bit != 0),
          matches
              ? std::string_view("The error code matches under its mask, and the exception bitmap's bit 14 is {actual}")
              : std::string_view(
                    "The error code does not match under its mask, and the exception bitmap's bit 14 is {actual}"),
          bit, matches ? 1U : 0U};
}

VmxUnit::Decision VmxUnit::decide_cr_read(const InterceptQuery& query) const {
  const bool exits = primary(query.cr == 3 ? kPrimaryCr3StoreExiting : kPrimaryCr8StoreExiting);
  if (query.cr == 3) return {exits, "CR3-store exiting is {actual}", exits, 1};
  if (query.cr == 8) return {exits, "CR8-store exiting is {actual}", exits, 1};
  return {false, "Reading CR{actual} never leaves the guest: it gets the read shadow's bits", query.cr, query.cr};
}

VmxUnit::Decision VmxUnit::decide_clts(const InterceptQuery&) const {
  const std::uint64_t bits = vmcs_.read(F::Cr0GuestHostMask) & vmcs_.read(F::Cr0ReadShadow) & kCr0Ts;
  return {bits != 0, "CR0.TS in both guest/host mask and read shadow: {actual}", bits, kCr0Ts};
}

VmxUnit::Decision VmxUnit::decide_lmsw(const InterceptQuery& query) const {
  const std::uint64_t mask = vmcs_.read(F::Cr0GuestHostMask) & 0xf;
  std::uint64_t differing = (query.value ^ vmcs_.read(F::Cr0ReadShadow)) & mask;
  if ((query.value & kCr0Pe) == 0) differing &= ~kCr0Pe;  // LMSW cannot clear PE.
  return {differing != 0,
          "Bits {actual} of the new machine status word differ from the read shadow where the mask {required} is set",
          differing, mask};
}

VmxUnit::Decision VmxUnit::decide_window(const InterceptQuery&) const {
  if (!primary(kPrimaryInterruptWindowExiting)) return {.silent = true};
  const bool blocked = (state_.interruptibility & (kBlockingBySti | kBlockingByMovSs)) != 0;
  const bool open = (state_.rflags & kFlagIf) != 0 && !blocked;
  return {open, "Interrupt-window exiting is 1, and the window (IF = 1, no blocking) is {actual}", open, 1};
}

VmxUnit::Decision VmxUnit::decide(const InterceptRule& rule, const InterceptQuery& query) const {
  using Asks = InterceptRule::Asks;
  const auto by_bit = [&](bool set) { return Decision{set, rule.sentence, set, 1}; };
  switch (rule.asks) {
    case Asks::Nobody:
      return by_bit(true);
    case Asks::Pin:
      return by_bit(control(F::PinBasedControls, rule.bit));
    case Asks::Primary:
      return by_bit(primary(rule.bit));
    case Asks::Secondary:
      return by_bit(secondary(rule.bit));
    case Asks::Routine:
      return (this->*rule.routine)(query);
  }
  return {};
}

const VmxUnit::InterceptRule& VmxUnit::rule_of(Intercept kind) {
  using Asks = InterceptRule::Asks;
  using I = Intercept;
  using U = VmxUnit;
  // clang-format off
  static const std::array<InterceptRule, 30> kRules{{
      {I::Cpuid, kExitCpuid, "CPUID", Asks::Nobody, 0, "CPUID always leaves the guest: no control is asked"},
      {I::Hlt, kExitHlt, "HLT", Asks::Primary, kPrimaryHltExiting, "HLT exiting is {actual}"},
      {I::Invlpg, kExitInvlpg, "INVLPG", Asks::Primary, kPrimaryInvlpgExiting, "INVLPG exiting is {actual}"},
      {I::Rdtsc, kExitRdtsc, "RDTSC", Asks::Primary, kPrimaryRdtscExiting, "RDTSC exiting is {actual}"},
      {I::Rdtscp, kExitRdtscp, "RDTSCP", Asks::Primary, kPrimaryRdtscExiting, "RDTSC exiting is {actual}"},
      {I::Rdpmc, kExitRdpmc, "RDPMC", Asks::Primary, kPrimaryRdpmcExiting, "RDPMC exiting is {actual}"},
      {I::Vmcall, kExitVmcall, "VMCALL", Asks::Nobody, 0, "VMCALL always leaves the guest: no control is asked"},
      {I::Vmxinstruction, kExitVmxon, "VMX instruction", Asks::Nobody, 0, "A VMX instruction always leaves the guest: no control is asked"},
      {I::Invd, kExitInvd, "INVD", Asks::Nobody, 0, "INVD always leaves the guest: no control is asked"},
      {I::Wbinvd, kExitWbinvd, "WBINVD", Asks::Secondary, kSecondaryWbinvdExiting, "WBINVD exiting is {actual}"},
      {I::Xsetbv, kExitXsetbv, "XSETBV", Asks::Nobody, 0, "XSETBV always leaves the guest: no control is asked"},
      {I::Pause, kExitPause, "PAUSE", Asks::Primary, kPrimaryPauseExiting, "PAUSE exiting is {actual}"},
      {I::Mwait, kExitMwait, "MWAIT", Asks::Primary, kPrimaryMwaitExiting, "MWAIT exiting is {actual}"},
      {I::Monitor, kExitMonitor, "MONITOR", Asks::Primary, kPrimaryMonitorExiting, "MONITOR exiting is {actual}"},
      {I::CrWrite, kExitCrAccess, "MOV to CR", Asks::Routine, 0, {}, &U::decide_cr_write},
      {I::CrRead, kExitCrAccess, "MOV from CR", Asks::Routine, 0, {}, &U::decide_cr_read},
      {I::Clts, kExitCrAccess, "CLTS", Asks::Routine, 0, {}, &U::decide_clts},
      {I::Lmsw, kExitCrAccess, "LMSW", Asks::Routine, 0, {}, &U::decide_lmsw},
      {I::DrAccess, kExitDrAccess, "MOV DR", Asks::Primary, kPrimaryMovDrExiting, "MOV-DR exiting is {actual}"},
      {I::RdMsr, kExitRdmsr, "RDMSR", Asks::Routine, 0, {}, &U::decide_msr},
      {I::WrMsr, kExitWrmsr, "WRMSR", Asks::Routine, 0, {}, &U::decide_msr},
      {I::PortIo, kExitIo, "I/O instruction", Asks::Routine, 0, {}, &U::decide_port},
      {I::DescriptorTableAccess, kExitGdtrIdtr, "descriptor-table access", Asks::Secondary, kSecondaryDescriptorTableExiting, "Descriptor-table exiting is {actual}"},
      {I::Invpcid, kExitInvpcid, "INVPCID", Asks::Primary, kPrimaryInvlpgExiting, "INVLPG exiting, which governs INVPCID, is {actual}"},
      {I::Exception, kExitExceptionOrNmi, "exception", Asks::Routine, 0, {}, &U::decide_exception},
      {I::ExternalInterrupt, kExitExternalInterrupt, "external interrupt", Asks::Pin, kPinExternalInterruptExiting, "External-interrupt exiting is {actual}"},
      {I::InterruptWindow, kExitInterruptWindow, "interrupt window", Asks::Routine, 0, {}, &U::decide_window},
      {I::EptViolation, kExitEptViolation, "EPT violation", Asks::Nobody, 0, "The EPT does not permit the access: that always leaves the guest"},
      {I::EptMisconfiguration, kExitEptMisconfiguration, "EPT misconfiguration", Asks::Nobody, 0, "The EPT entry is malformed: that always leaves the guest"},
      {I::TripleFault, kExitTripleFault, "triple fault", Asks::Nobody, 0, "A triple fault always leaves the guest"},
  }};
  // clang-format on
  const InterceptRule& rule = kRules[static_cast<std::size_t>(kind)];
  SHEARLING_ASSERT(rule.kind == kind, "the interception table is out of order");
  return rule;
}

/// SDM tables 27-1, 27-3 to 27-7.
std::uint64_t VmxUnit::qualification_of(const InterceptQuery& query) const {
  const auto cr_access = [&](CrAccessType type) { return query.cr | type << 4 | std::uint64_t{query.gpr & 15} << 8; };
  switch (query.kind) {
    case Intercept::CrWrite:
      return cr_access(kMovToCr);
    case Intercept::CrRead:
      return cr_access(kMovFromCr);
    case Intercept::Clts:
      return kClts << 4;
    case Intercept::Lmsw:
      return kLmsw << 4 | std::uint64_t{query.memory_operand} << 6 | (query.value & 0xffff) << 16;
    case Intercept::DrAccess:
      return (query.cr & 7) | std::uint64_t{query.from_debug_register} << 4 | std::uint64_t{query.gpr & 15} << 8;
    case Intercept::PortIo:
      return ((query.port_size - 1U) & 7) | std::uint64_t{query.port_in} << 3 | std::uint64_t{query.port_string} << 4 |
             std::uint64_t{query.port_rep} << 5 | std::uint64_t{query.port_immediate} << 6 |
             std::uint64_t{query.port} << 16;
    case Intercept::Invlpg:
    case Intercept::Invpcid:
      return query.value;
    case Intercept::Exception:
      return query.event.vector == kPageFault ? query.event.fault_address : 0;
    case Intercept::EptViolation:
      return query.ept.qualification;
    default:
      return 0;
  }
}

VmxUnit::VmxUnit(const MachineContext& context, SystemState& state) : context_(context), state_(state) {}

std::optional<VmExitInformation> VmxUnit::intercept(const InterceptQuery& query) {
  if (!non_root_) return std::nullopt;
  const InterceptRule& rule = rule_of(query.kind);
  const Decision decision = decide(rule, query);
  if (decision.silent) return std::nullopt;
  context_.events.micro(Check{.name = rule.name,
                              .sentence = decision.sentence,
                              .actual = decision.actual,
                              .required = decision.required,
                              .verdict = decision.exits ? CheckVerdict::Exits : CheckVerdict::Passed});
  if (!decision.exits) return std::nullopt;

  VmExitInformation information;
  information.reason = query.reason != 0 ? query.reason : rule.reason;
  information.qualification = qualification_of(query);
  information.instruction_length = query.instruction_length;
  const bool acknowledges = control(F::ExitControls, kExitAcknowledgeInterrupt);
  if (query.kind == Intercept::Exception || (query.kind == Intercept::ExternalInterrupt && acknowledges)) {
    information.interruption_information = interruption_information(query.event);
    information.interruption_error_code = query.event.has_error_code ? query.event.error_code : 0;
  }
  if (query.kind == Intercept::EptViolation || query.kind == Intercept::EptMisconfiguration) {
    information.guest_physical_address = query.ept.guest_physical.value;
    information.guest_linear_address = query.ept.linear.value;
  }
  if (query.kind == Intercept::Lmsw && query.memory_operand) information.guest_linear_address = query.linear;
  if (query.kind == Intercept::PortIo && query.port_string) information.guest_linear_address = query.linear;
  return information;
}

// --- VM exit ---------------------------------------------------------------------------------------------------------

void VmxUnit::exit(const VmExitInformation& information, const std::optional<PendingEvent>& being_delivered) {
  const std::uint32_t cost = context_.config.costs.cost_of("vm.exit");
  context_.events.notable(VmExit{.reason = information.reason,
                                 .name = exit_reason_name(information.reason),
                                 .qualification = information.qualification,
                                 .guest_pc = {context_.engine.read(program_counter_register())},
                                 .instruction_length = information.instruction_length,
                                 .guest_physical_address = {information.guest_physical_address}},
                          cost);
  context_.time.vmm_cycles += cost;
  vmcs_.write(F::ExitReason, information.reason);
  vmcs_.write(F::ExitQualification, information.qualification);
  vmcs_.write(F::ExitInstructionLength, information.instruction_length);
  vmcs_.write(F::ExitInterruptionInformation, information.interruption_information);
  vmcs_.write(F::ExitInterruptionErrorCode, information.interruption_error_code);
  vmcs_.write(F::GuestLinearAddress, information.guest_linear_address);
  vmcs_.write(F::GuestPhysicalAddress, information.guest_physical_address);
  vmcs_.write(F::IdtVectoringInformation, being_delivered ? interruption_information(*being_delivered) : 0);
  vmcs_.write(F::IdtVectoringErrorCode,
              being_delivered && being_delivered->has_error_code ? being_delivered->error_code : 0);
  if (being_delivered && being_delivered->instruction_length != 0)
    vmcs_.write(F::ExitInstructionLength, being_delivered->instruction_length);
  vmcs_.write(F::EntryInterruptionInformation,
              vmcs_.read(F::EntryInterruptionInformation) & ~std::uint64_t{kInterruptionValid});
  injected_.reset();
  save_guest_state();
  load_host_state();
}

void VmxUnit::save_guest_state() {
  const CpuEngine& engine = context_.engine;
  vmcs_.write(F::GuestCr0, state_.cr0);
  vmcs_.write(F::GuestCr3, state_.cr3);
  vmcs_.write(F::GuestCr4, state_.cr4);
  if (control(F::ExitControls, kExitSaveDebugControls)) vmcs_.write(F::GuestDr7, state_.debug[7]);
  if (control(F::ExitControls, kExitSavePat)) vmcs_.write(F::GuestPat, read_msr(state_, kMsrPat, kResetPat));
  if (control(F::ExitControls, kExitSaveEfer)) vmcs_.write(F::GuestEfer, state_.efer);
  if (secondary(kSecondaryUnrestrictedGuest)) {  // SDM 27.2: the control follows the guest's EFER.LMA.
    const std::uint64_t controls = vmcs_.read(F::EntryControls) & ~std::uint64_t{kEntryIa32eModeGuest};
    vmcs_.write(F::EntryControls, controls | (state_.long_mode_active() ? kEntryIa32eModeGuest : 0));
  }
  vmcs_.write(F::GuestSysenterCs, read_msr(state_, kMsrSysenterCs));
  vmcs_.write(F::GuestSysenterEsp, read_msr(state_, kMsrSysenterEsp));
  vmcs_.write(F::GuestSysenterEip, read_msr(state_, kMsrSysenterEip));
  const auto save = [&](unsigned index, const Segment& segment) {
    vmcs_.write(field_of(F::GuestEsSelector, index), segment.selector);
    vmcs_.write(field_of(F::GuestEsBase, index), segment.base);
    vmcs_.write(field_of(F::GuestEsLimit, index), segment.limit);
    vmcs_.write(field_of(F::GuestEsAccessRights, index), segment.access_rights);
  };
  for (unsigned index = 0; index < kSegmentCount; ++index) save(index, state_.segments[index]);
  save(kSegmentCount, state_.ldtr);
  save(kSegmentCount + 1, state_.tr);
  // SS.DPL is the CPL, even where SS is unusable.
  const std::uint32_t stack_rights = (state_.segments[kSs].access_rights & ~0x60U) | state_.cpl << 5;
  vmcs_.write(F::GuestSsAccessRights, stack_rights);
  vmcs_.write(F::GuestGdtrBase, state_.gdtr.base);
  vmcs_.write(F::GuestGdtrLimit, state_.gdtr.limit);
  vmcs_.write(F::GuestIdtrBase, state_.idtr.base);
  vmcs_.write(F::GuestIdtrLimit, state_.idtr.limit);
  vmcs_.write(F::GuestRip, engine.read(program_counter_register()));
  vmcs_.write(F::GuestRsp, engine.read(integer_register(kRsp)));
  vmcs_.write(F::GuestRflags, state_.rflags | (engine.read(flags_register()) & kEngineFlags));
  vmcs_.write(F::GuestActivityState, static_cast<std::uint64_t>(state_.activity));
  vmcs_.write(F::GuestInterruptibility, state_.interruptibility);
}

void VmxUnit::load_host_state() {
  CpuEngine& engine = context_.engine;
  non_root_ = false;
  nested_.enabled = false;
  nested_.vpid = 0;
  state_.cr0 = vmcs_.read(F::HostCr0);
  state_.cr3 = vmcs_.read(F::HostCr3);
  state_.cr4 = vmcs_.read(F::HostCr4);
  state_.debug[7] = 0x400;
  if (control(F::ExitControls, kExitLoadEfer)) state_.efer = vmcs_.read(F::HostEfer);
  if (control(F::ExitControls, kExitLoadPat)) write_msr(state_, kMsrPat, vmcs_.read(F::HostPat), kResetPat);
  write_msr(state_, kMsrSysenterCs, vmcs_.read(F::HostSysenterCs));
  write_msr(state_, kMsrSysenterEsp, vmcs_.read(F::HostSysenterEsp));
  write_msr(state_, kMsrSysenterEip, vmcs_.read(F::HostSysenterEip));
  const auto data_segment = [&](SegmentRegister index, F selector, std::uint64_t base) {
    const auto value = static_cast<std::uint16_t>(vmcs_.read(selector));
    state_.segments[index] = Segment{.base = base,
                                     .limit = 0xffffffff,
                                     .access_rights = value == 0 ? kUnusable : kHostDataRights,
                                     .selector = value};
  };
  data_segment(kEs, F::HostEsSelector, 0);
  data_segment(kSs, F::HostSsSelector, 0);
  data_segment(kDs, F::HostDsSelector, 0);
  data_segment(kFs, F::HostFsSelector, vmcs_.read(F::HostFsBase));
  data_segment(kGs, F::HostGsSelector, vmcs_.read(F::HostGsBase));
  state_.segments[kCs] = Segment{.limit = 0xffffffff,
                                 .access_rights = kHostCodeRights,
                                 .selector = static_cast<std::uint16_t>(vmcs_.read(F::HostCsSelector))};
  state_.tr = Segment{.base = vmcs_.read(F::HostTrBase),
                      .limit = 0x67,
                      .access_rights = kHostTaskRights,
                      .selector = static_cast<std::uint16_t>(vmcs_.read(F::HostTrSelector))};
  state_.ldtr = Segment{};
  state_.gdtr = {vmcs_.read(F::HostGdtrBase), 0xffff};
  state_.idtr = {vmcs_.read(F::HostIdtrBase), 0xffff};
  state_.rflags = 2;
  state_.cpl = 0;
  state_.activity = ActivityState::Active;
  state_.interruptibility = 0;
  engine.write(segment_base_register(kFs), state_.segments[kFs].base);
  engine.write(segment_base_register(kGs), state_.segments[kGs].base);
  engine.write(flags_register(), 0);
  engine.write(integer_register(kRsp), vmcs_.read(F::HostRsp));
  engine.write(program_counter_register(), vmcs_.read(F::HostRip));
}

// --- VM entry --------------------------------------------------------------------------------------------------------

VmxUnit::EntryOutcome VmxUnit::enter() {
  SHEARLING_ASSERT(!non_root_, "a VM entry in non-root operation");
  EntryOutcome outcome;
  const EntryCheckOutcome checks = check_vm_entry(vmcs_);
  outcome.checks_passed = checks.passed;
  if (checks.failure) {
    const EntryCheckFailure& failure = *checks.failure;
    outcome.failed_check = failure.sentence;
    context_.events.micro(
        Check{.name = "VM entry", .sentence = failure.sentence, .required = 1, .verdict = CheckVerdict::Failed});
    if (failure.group == EntryCheckGroup::GuestState) {
      vmcs_.write(F::ExitReason, kExitReasonEntryFailure | kExitInvalidGuestState);
      vmcs_.write(F::ExitQualification, failure.qualification);
      load_host_state();
    } else {
      vmcs_.write(F::InstructionError,
                  failure.group == EntryCheckGroup::Controls ? kErrorInvalidControls : kErrorInvalidHostState);
    }
    return outcome;
  }
  load_guest_state();
  vmcs_.set_launched(true);
  outcome.entered = true;
  outcome.injected = injected_;
  const std::uint32_t cost = context_.config.costs.cost_of("vm.entry");
  context_.time.vmm_cycles += cost;
  context_.events.notable(VmEntry{.guest_pc = {vmcs_.read(F::GuestRip)},
                                  .injects = injected_.has_value(),
                                  .injected_vector = injected_ ? injected_->vector : 0U,
                                  .checks_passed = checks.passed},
                          cost);
  return outcome;
}

void VmxUnit::load_guest_state() {
  CpuEngine& engine = context_.engine;
  state_.cr0 = vmcs_.read(F::GuestCr0);
  state_.cr3 = vmcs_.read(F::GuestCr3);
  state_.cr4 = vmcs_.read(F::GuestCr4);
  if (control(F::EntryControls, kEntryLoadDebugControls)) state_.debug[7] = vmcs_.read(F::GuestDr7);
  if (control(F::EntryControls, kEntryLoadPat)) write_msr(state_, kMsrPat, vmcs_.read(F::GuestPat), kResetPat);
  if (control(F::EntryControls, kEntryLoadEfer)) state_.efer = vmcs_.read(F::GuestEfer);
  write_msr(state_, kMsrSysenterCs, vmcs_.read(F::GuestSysenterCs));
  write_msr(state_, kMsrSysenterEsp, vmcs_.read(F::GuestSysenterEsp));
  write_msr(state_, kMsrSysenterEip, vmcs_.read(F::GuestSysenterEip));
  const auto load = [&](unsigned index) {
    return Segment{.base = vmcs_.read(field_of(F::GuestEsBase, index)),
                   .limit = static_cast<std::uint32_t>(vmcs_.read(field_of(F::GuestEsLimit, index))),
                   .access_rights = static_cast<std::uint32_t>(vmcs_.read(field_of(F::GuestEsAccessRights, index))),
                   .selector = static_cast<std::uint16_t>(vmcs_.read(field_of(F::GuestEsSelector, index)))};
  };
  for (unsigned index = 0; index < kSegmentCount; ++index) state_.segments[index] = load(index);
  state_.ldtr = load(kSegmentCount);
  state_.tr = load(kSegmentCount + 1);
  state_.cpl = state_.segments[kSs].dpl();
  state_.gdtr = {vmcs_.read(F::GuestGdtrBase), vmcs_.read(F::GuestGdtrLimit)};
  state_.idtr = {vmcs_.read(F::GuestIdtrBase), vmcs_.read(F::GuestIdtrLimit)};
  const std::uint64_t rflags = vmcs_.read(F::GuestRflags);
  state_.rflags = rflags & ~kEngineFlags;
  state_.activity = static_cast<ActivityState>(vmcs_.read(F::GuestActivityState));
  state_.interruptibility = static_cast<std::uint32_t>(vmcs_.read(F::GuestInterruptibility));

  const ExecutionMode mode = state_.sixty_four_bit_mode() ? ExecutionMode::X86Long64 : ExecutionMode::X86Protected32;
  if (engine.mode() != mode) engine.set_mode(mode);
  engine.write(segment_base_register(kFs), state_.segments[kFs].base);
  engine.write(segment_base_register(kGs), state_.segments[kGs].base);
  engine.write(flags_register(), rflags & kEngineFlags);
  engine.write(integer_register(kRsp), vmcs_.read(F::GuestRsp));
  engine.write(program_counter_register(), vmcs_.read(F::GuestRip));

  non_root_ = true;
  nested_.enabled = secondary(kSecondaryEnableEpt);
  nested_.eptp = vmcs_.read(F::EptPointer);
  nested_.accessed_dirty = (nested_.eptp & kEptpAccessedDirty) != 0;
  nested_.vpid = secondary(kSecondaryEnableVpid) ? static_cast<std::uint16_t>(vmcs_.read(F::VirtualProcessorIdentifier))
                                                 : std::uint16_t{0};

  injected_.reset();
  const std::uint64_t information = vmcs_.read(F::EntryInterruptionInformation);
  if ((information & kInterruptionValid) == 0) return;
  state_.activity = ActivityState::Active;  // Delivery wakes a guest in HLT.
  injected_ = PendingEvent{.kind = static_cast<EventKind>((information >> 8) & 7),
                           .vector = static_cast<std::uint8_t>(information),
                           .has_error_code = (information & kInterruptionErrorCodeValid) != 0,
                           .error_code = static_cast<std::uint32_t>(vmcs_.read(F::EntryExceptionErrorCode)),
                           .instruction_length = static_cast<std::uint32_t>(vmcs_.read(F::EntryInstructionLength)),
                           .fault_address = state_.cr2};  // Injection leaves CR2 as it is.
}

std::optional<PendingEvent> VmxUnit::take_injected() {
  const std::optional<PendingEvent> event = injected_;
  injected_.reset();
  return event;
}

// --- what the guest sees ---------------------------------------------------------------------------------------------

std::uint64_t VmxUnit::guest_visible_cr0() const {
  if (!non_root_) return state_.cr0;
  const std::uint64_t mask = vmcs_.read(F::Cr0GuestHostMask);
  return (state_.cr0 & ~mask) | (vmcs_.read(F::Cr0ReadShadow) & mask);
}

std::uint64_t VmxUnit::guest_visible_cr4() const {
  if (!non_root_) return state_.cr4;
  const std::uint64_t mask = vmcs_.read(F::Cr4GuestHostMask);
  return (state_.cr4 & ~mask) | (vmcs_.read(F::Cr4ReadShadow) & mask);
}

std::uint64_t VmxUnit::guest_visible_tsc(std::uint64_t host_tsc) const {
  return non_root_ && primary(kPrimaryUseTscOffsetting) ? host_tsc + vmcs_.read(F::TscOffset) : host_tsc;
}

std::string_view exit_reason_name(std::uint32_t reason) {
  static constexpr std::array<std::string_view, 65> kNames{"exception or NMI",
                                                           "external interrupt",
                                                           "triple fault",
                                                           "INIT signal",
                                                           "start-up IPI",
                                                           "I/O SMI",
                                                           "other SMI",
                                                           "interrupt window",
                                                           "NMI window",
                                                           "task switch",
                                                           "CPUID",
                                                           "GETSEC",
                                                           "HLT",
                                                           "INVD",
                                                           "INVLPG",
                                                           "RDPMC",
                                                           "RDTSC",
                                                           "RSM",
                                                           "VMCALL",
                                                           "VMCLEAR",
                                                           "VMLAUNCH",
                                                           "VMPTRLD",
                                                           "VMPTRST",
                                                           "VMREAD",
                                                           "VMRESUME",
                                                           "VMWRITE",
                                                           "VMXOFF",
                                                           "VMXON",
                                                           "CR access",
                                                           "MOV DR",
                                                           "I/O instruction",
                                                           "RDMSR",
                                                           "WRMSR",
                                                           "invalid guest state",
                                                           "MSR loading",
                                                           "",
                                                           "MWAIT",
                                                           "monitor trap flag",
                                                           "",
                                                           "MONITOR",
                                                           "PAUSE",
                                                           "machine check",
                                                           "",
                                                           "TPR below threshold",
                                                           "APIC access",
                                                           "virtualized EOI",
                                                           "GDTR or IDTR access",
                                                           "LDTR or TR access",
                                                           "EPT violation",
                                                           "EPT misconfiguration",
                                                           "INVEPT",
                                                           "RDTSCP",
                                                           "VMX-preemption timer",
                                                           "INVVPID",
                                                           "WBINVD",
                                                           "XSETBV",
                                                           "APIC write",
                                                           "RDRAND",
                                                           "INVPCID",
                                                           "VMFUNC",
                                                           "ENCLS",
                                                           "RDSEED",
                                                           "page-modification log full",
                                                           "XSAVES",
                                                           "XRSTORS"};
  const std::uint32_t basic = reason & 0xffff;
  return basic < kNames.size() && !kNames[basic].empty() ? kNames[basic] : std::string_view("unknown reason");
}

}  // namespace shearling::x86
