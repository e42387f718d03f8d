// SPDX-License-Identifier: GPL-3.0-or-later
//
// Exceptions and interrupts on their way to a handler: VM exit first where the VMCS asks for it, then the IDT, gate,
// stack and frame, with double and triple faults (SDM volume 3A, chapter 6; volume 3C, sections 25.2 and 27.2.4).
#include <string>

#include "isa-x86/cpu/x86_processor.h"

namespace shearling::x86 {
namespace {

constexpr unsigned kMostDeliveries = 64;
constexpr std::uint32_t kUnusable = 1U << 16;
constexpr std::uint32_t kInIdt = 2;  // Error code: the index is one of the IDT.

constexpr std::array<std::string_view, 20> kExceptionNames{
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR",          "#UD", "#NM", "#DF", "coprocessor overrun",
    "#TS", "#NP", "#SS", "#GP", "#PF", "exception 15", "#MF", "#AC", "#MC", "#XM"};

using NumberedNames = std::array<std::string, 256>;
NumberedNames numbered(std::string_view prefix) {
  NumberedNames names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = std::string(prefix) + std::to_string(i);
  return names;
}

std::string_view name_of_event(const PendingEvent& event) {
  static const NumberedNames kInterrupts = numbered("IRQ "), kSoftware = numbered("INT ");
  if (event.kind == EventKind::ExternalInterrupt) return kInterrupts[event.vector];
  if (event.kind == EventKind::SoftwareInterrupt) return kSoftware[event.vector];
  return event.vector < kExceptionNames.size() ? kExceptionNames[event.vector] : std::string_view{"exception"};
}

bool is_software(const PendingEvent& event) {
  return event.kind == EventKind::SoftwareInterrupt || event.kind == EventKind::SoftwareException ||
         event.kind == EventKind::PrivilegedSoftwareException;
}

bool is_exception(const PendingEvent& event) {
  return event.kind != EventKind::ExternalInterrupt && event.kind != EventKind::SoftwareInterrupt &&
         event.kind != EventKind::Nmi;
}

bool is_fault(const PendingEvent& event) {
  return event.kind == EventKind::HardwareException && event.vector != kDebugException && event.vector != kDoubleFault;
}

TrapCause cause_of(const PendingEvent& event) {
  if (event.kind == EventKind::ExternalInterrupt || event.kind == EventKind::Nmi) return TrapCause::Interrupt;
  if (event.kind == EventKind::SoftwareInterrupt) return TrapCause::SoftwareInterrupt;
  if (event.vector == kDoubleFault) return TrapCause::Abort;
  return is_fault(event) ? TrapCause::Fault : TrapCause::Trap;
}

// SDM volume 3A, table 6-5.
enum class FaultClass : std::uint8_t { Benign, Contributory, PageFault, DoubleFault };
FaultClass fault_class(const PendingEvent& event) {
  if (event.kind != EventKind::HardwareException) return FaultClass::Benign;
  switch (event.vector) {
    case kDivideError:
    case kInvalidTss:
    case kSegmentNotPresent:
    case kStackFault:
    case kGeneralProtection:
      return FaultClass::Contributory;
    case kPageFault:
      return FaultClass::PageFault;
    case kDoubleFault:
      return FaultClass::DoubleFault;
    default:
      return FaultClass::Benign;
  }
}

enum class Together : std::uint8_t { Second, DoubleFault, Shutdown };
Together combine(const PendingEvent& first, const PendingEvent& second) {
  const FaultClass a = fault_class(first), b = fault_class(second);
  if (b == FaultClass::Benign) return Together::Second;
  if (a == FaultClass::DoubleFault) return Together::Shutdown;
  if (a == FaultClass::PageFault) return Together::DoubleFault;
  return a == FaultClass::Contributory && b == FaultClass::Contributory ? Together::DoubleFault : Together::Second;
}

}  // namespace

void X86Processor::leave_guest(const VmExitInformation& exit, const std::optional<PendingEvent>& being_delivered) {
  accesses_.translations_changed();
  vmx_.exit(exit, being_delivered);
  host_->handle_exit();
  context_.events.set_actor(actor(), privilege());
  if (context_.request.stop == StopReason::None) update_mode();
}

void X86Processor::leave_and_deliver(const VmExitInformation& exit) {
  leave_guest(exit, std::nullopt);
  if (context_.request.stop != StopReason::None) return;
  if (const auto injected = vmx_.take_injected()) handle_event(*injected, true);
}

void X86Processor::announce(const PendingEvent& event) {
  context_.events.notable(TrapRaised{.name = name_of_event(event),
                                     .cause = cause_of(event),
                                     .has_error_code = event.has_error_code,
                                     .vector = event.vector,
                                     .error_code = event.error_code,
                                     .pc = {pc()},
                                     .fault_address = {event.fault_address}});
}

std::optional<VmExitInformation> X86Processor::exception_exit(const PendingEvent& event) {
  if (!vmx_.in_non_root() || !is_exception(event)) return std::nullopt;
  return vmx_.intercept({.kind = Intercept::Exception, .instruction_length = event.instruction_length, .event = event});
}

void X86Processor::record_fault_state(const PendingEvent& event) {
  constexpr std::uint64_t kSingleStep = 1U << 14;
  if (event.kind != EventKind::HardwareException) return;
  if (event.vector == kPageFault) {
    report_write("CR2", state_.cr2, event.fault_address);
    state_.cr2 = event.fault_address;
  }
  if (event.vector == kDebugException) {
    report_write("DR6", state_.debug[6], state_.debug[6] | kSingleStep);
    state_.debug[6] |= kSingleStep;
  }
}

void X86Processor::shut_down(const std::optional<PendingEvent>& being_delivered) {
  if (vmx_.in_non_root()) {
    if (const auto exit = vmx_.intercept({.kind = Intercept::TripleFault})) {
      leave_guest(*exit, being_delivered);
      return;
    }
  }
  context_.request.stop = StopReason::TripleFault;
}

// From the moment an event arises to its handler's first instruction, through all that can go wrong on the way. An
// event that the VMM injects has been announced and decided about already.
void X86Processor::handle_event(PendingEvent event, bool injected) {
  accesses_.translations_changed();
  std::optional<PendingEvent> outer;  // What was being delivered when `event` arose.
  for (unsigned deliveries = 0; deliveries < kMostDeliveries; ++deliveries) {
    std::optional<VmExitInformation> exit;
    if (!injected) {
      announce(event);
      exit = exception_exit(event);
      const Together together = outer && !exit ? combine(*outer, event) : Together::Second;
      if (together == Together::Shutdown) {
        shut_down(outer);
        return;
      }
      if (!exit) record_fault_state(event);
      if (together == Together::DoubleFault) {
        event = {.kind = EventKind::HardwareException, .vector = kDoubleFault, .has_error_code = true};
        announce(event);
        exit = exception_exit(event);
      }
    }
    std::optional<PendingEvent> interrupted = outer;
    if (!exit) {
      const Obstacle obstacle = deliver(event);
      if (!obstacle || obstacle.kind == Obstacle::Kind::Stop) return;
      if (obstacle.kind == Obstacle::Kind::Exception) {
        outer = event;
        event = obstacle.event;
        injected = false;
        continue;
      }
      exit = obstacle.exit;
      interrupted = event;
    }
    leave_guest(*exit, interrupted);
    if (context_.request.stop != StopReason::None) return;
    const auto next = vmx_.take_injected();
    if (!next) return;
    event = *next;
    injected = true;
    outer.reset();
  }
  static_cast<void>(unsupported("an event leaves the guest for its VMM again and again on its way to the handler"));
}

// --- gate, stack, frame ----------------------------------------------------------------------------------------------

Obstacle X86Processor::read_gate(const PendingEvent& event, Gate& gate) {
  const bool long_mode = state_.long_mode_active();
  const unsigned size = long_mode ? 16 : 8;
  const std::uint32_t code = event.vector * 8U + kInIdt + (delivering_external_ ? 1U : 0U);
  const std::uint64_t last = event.vector * std::uint64_t{size} + size - 1;
  if (!check(CheckId::GateLimit, last <= state_.idtr.limit, last, state_.idtr.limit))
    return fault(kGeneralProtection, code);
  const std::uint64_t address = state_.idtr.base + event.vector * std::uint64_t{size};
  const AccessMode mode{.implicit_supervisor = true};
  std::uint64_t low = 0, high = 0;
  if (Obstacle obstacle = read_memory({address}, 8, mode, low)) return obstacle;
  if (long_mode) {
    if (Obstacle obstacle = read_memory({address + 8}, 8, mode, high)) return obstacle;
  }
  gate.selector = static_cast<std::uint16_t>(low >> 16);
  gate.offset = (low & 0xffff) | (low >> 32 & 0xffff0000) | (high & 0xffffffff) << 32;
  gate.type = low >> 40 & 0x1f;
  gate.dpl = low >> 45 & 3;
  gate.stack_table = long_mode ? low >> 32 & 7 : 0;
  gate.present = (low >> 47 & 1) != 0;
  if (!check(CheckId::GateType, gate.type == 14 || gate.type == 15, gate.type)) return fault(kGeneralProtection, code);
  const bool judged = event.kind == EventKind::SoftwareInterrupt || event.kind == EventKind::SoftwareException;
  if (judged && !check(CheckId::GatePrivilege, state_.cpl <= gate.dpl, state_.cpl, gate.dpl))
    return fault(kGeneralProtection, code);
  if (!check(CheckId::GatePresent, gate.present, event.vector)) return fault(kSegmentNotPresent, code);
  return {};
}

Obstacle X86Processor::task_state_field(unsigned offset, unsigned size, std::uint64_t& value) {
  const std::uint64_t last = offset + size - 1;
  if (!check(CheckId::TaskStateLimit, last <= state_.tr.limit, last, state_.tr.limit))
    return selector_fault(kInvalidTss, state_.tr.selector);
  return read_memory({state_.tr.base + offset}, size, {.implicit_supervisor = true}, value);
}

Obstacle X86Processor::choose_stack(const Gate& gate, unsigned new_cpl, NewStack& stack) {
  const bool inner = new_cpl < state_.cpl;
  stack.segment = state_.segments[kSs];
  stack.pointer = stack_pointer();
  if (state_.long_mode_active()) {
    if (inner || gate.stack_table != 0) {
      const unsigned offset = gate.stack_table != 0 ? 36 + 8 * (gate.stack_table - 1) : 4 + 8 * new_cpl;
      if (Obstacle obstacle = task_state_field(offset, 8, stack.pointer)) return obstacle;
      if (!check(CheckId::Canonical, is_canonical(stack.pointer), stack.pointer)) return selector_fault(kStackFault, 0);
    }
    if (inner)
      stack.segment = {.access_rights = kUnusable | new_cpl << 5, .selector = static_cast<std::uint16_t>(new_cpl)};
    stack.pointer &= ~std::uint64_t{15};
    return {};
  }
  if (!inner) return {};
  std::uint64_t selector = 0;
  if (Obstacle obstacle = task_state_field(4 + 8 * new_cpl, 4, stack.pointer)) return obstacle;
  if (Obstacle obstacle = task_state_field(8 + 8 * new_cpl, 2, selector)) return obstacle;
  return load_stack_segment(static_cast<std::uint16_t>(selector), new_cpl, false, kInvalidTss, stack.segment);
}

Obstacle X86Processor::deliver(const PendingEvent& event) {
  delivering_external_ = !is_software(event) || event.kind == EventKind::PrivilegedSoftwareException;
  const Obstacle obstacle = deliver_through_gate(event);
  delivering_external_ = false;
  return obstacle;
}

Obstacle X86Processor::deliver_through_gate(const PendingEvent& event) {
  const bool long_mode = state_.long_mode_active();
  Gate gate;
  if (Obstacle obstacle = read_gate(event, gate)) return obstacle;
  if (!check(CheckId::DescriptorNull, (gate.selector & ~3U) != 0, gate.selector))
    return selector_fault(kGeneralProtection, 0);
  Descriptor code;
  if (Obstacle obstacle = fetch_descriptor(gate.selector, kGeneralProtection, code)) return obstacle;
  if (!check(CheckId::DescriptorType, code.is_code(), code.access_rights & 0x1f))
    return selector_fault(kGeneralProtection, gate.selector);
  if (!check(CheckId::DescriptorPrivilege, code.dpl() <= state_.cpl, code.dpl(), state_.cpl)) {
    return selector_fault(kGeneralProtection, gate.selector);
  }
  if (long_mode && !check(CheckId::CodeLongMode, code.long_code() && !code.big(), code.access_rights >> 13 & 3)) {
    return selector_fault(kGeneralProtection, gate.selector);
  }
  if (!check(CheckId::DescriptorPresent, code.present(), gate.selector))
    return selector_fault(kSegmentNotPresent, gate.selector);
  const unsigned old_cpl = state_.cpl;
  const unsigned new_cpl = code.is_conforming() ? old_cpl : code.dpl();
  NewStack stack;
  if (Obstacle obstacle = choose_stack(gate, new_cpl, stack)) return obstacle;
  if (Obstacle obstacle = check_target(code, gate.offset)) return obstacle;

  const std::uint64_t old_flags = flags();
  const std::uint64_t return_pc = is_software(event) ? wrap(pc() + event.instruction_length).value : pc();
  const unsigned size = long_mode ? 8 : 4;
  StackCursor cursor{.pointer = stack.pointer, .mode = {.stack = true, .cpl = new_cpl}, .flat = true};
  const bool pushes_stack = long_mode || new_cpl < old_cpl;
  const std::array<std::uint64_t, 6> frame{
      state_.segments[kSs].selector, stack_pointer(), is_fault(event) ? old_flags | kFlagRf : old_flags,
      state_.segments[kCs].selector, return_pc,       event.error_code};
  for (std::size_t i = pushes_stack ? 0 : 2; i < (event.has_error_code ? frame.size() : frame.size() - 1); ++i) {
    if (Obstacle obstacle = push(cursor, size, frame[i])) return obstacle;
  }
  if (Obstacle obstacle = mark_accessed(code)) return obstacle;

  std::uint64_t new_flags = old_flags & ~(kFlagTf | kFlagNt | kFlagRf | kFlagVm);
  if (gate.type == 14) new_flags &= ~kFlagIf;  // An interrupt gate; a trap gate leaves IF alone.
  set_flags(new_flags);
  state_.interruptibility = 0;
  state_.activity = ActivityState::Active;
  set_cpl(new_cpl, name_of_event(event));
  set_segment(kCs, segment_from(static_cast<std::uint16_t>((gate.selector & ~3U) | new_cpl), code));
  if (new_cpl < old_cpl) set_segment(kSs, stack.segment);
  write_general(4, size, cursor.pointer);
  set_pc(gate.offset);
  context_.events.notable(TrapDelivered{.name = name_of_event(event),
                                        .vector = event.vector,
                                        .from_privilege = static_cast<std::uint8_t>(old_cpl),
                                        .to_privilege = static_cast<std::uint8_t>(new_cpl),
                                        .handler = {gate.offset},
                                        .stack = {cursor.pointer}});
  return {};
}

}  // namespace shearling::x86
