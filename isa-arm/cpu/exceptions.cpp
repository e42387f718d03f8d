// SPDX-License-Identifier: GPL-3.0-or-later
//
// How exceptions are raised, taken and returned from (DDI 0487, D1.3 and D1.4), and the instructions that exist for it.
#include <algorithm>
#include <array>

#include "isa-arm/cpu/arm_processor.h"

namespace shearling::arm {
namespace {

struct LevelRegisters {
  SystemRegister saved_state, link, syndrome, fault_address, vectors, control;
};
constexpr std::array kLevelRegisters{
    LevelRegisters{SystemRegister::SPSR_EL1, SystemRegister::ELR_EL1, SystemRegister::ESR_EL1, SystemRegister::FAR_EL1,
                   SystemRegister::VBAR_EL1, SystemRegister::SCTLR_EL1},
    LevelRegisters{SystemRegister::SPSR_EL2, SystemRegister::ELR_EL2, SystemRegister::ESR_EL2, SystemRegister::FAR_EL2,
                   SystemRegister::VBAR_EL2, SystemRegister::SCTLR_EL2}};
const LevelRegisters& registers_of(unsigned level) { return kLevelRegisters[level - 1]; }

constexpr std::uint64_t kVectorBytes = 0x80, kFromSameLevel = 0x200, kFromLowerLevel = 0x400;

struct KindText {
  std::string_view physical, virtual_one;
};
constexpr std::array<KindText, 4> kKindTexts{
    {{"synchronous", "synchronous"}, {"IRQ", "virtual IRQ"}, {"FIQ", "virtual FIQ"}, {"SError", "virtual SError"}}};

std::string_view name_of(const ArmException& exception) {
  if (exception.kind == ExceptionKind::Synchronous) return arm::name_of(exception.syndrome.exception_class);
  const KindText& text = kKindTexts[static_cast<std::size_t>(exception.kind)];
  return exception.is_virtual ? text.virtual_one : text.physical;
}

TrapCause cause_of(const ArmException& exception) {
  if (exception.kind != ExceptionKind::Synchronous) return TrapCause::Interrupt;
  switch (exception.syndrome.exception_class) {
    case ExceptionClass::Svc64:
    case ExceptionClass::Hvc64:
    case ExceptionClass::Smc64:
      return TrapCause::SystemCall;
    case ExceptionClass::Brk64:
      return TrapCause::SoftwareInterrupt;
    default:
      return TrapCause::Fault;
  }
}

/// Aborts and debug exceptions have one class for the same level and one for a lower one: the odd ones are the former.
ExceptionClass class_at(ExceptionClass exception_class, bool same_level) {
  switch (exception_class) {
    case ExceptionClass::InstructionAbortLower:
    case ExceptionClass::DataAbortLower:
      return static_cast<ExceptionClass>(static_cast<unsigned>(exception_class) + (same_level ? 1 : 0));
    default:
      return exception_class;
  }
}

std::string_view mode_of(unsigned level, bool stack_pointer_select) {
  static constexpr std::array<std::array<std::string_view, 2>, 3> kNames{
      {{"EL0t", "EL0t"}, {"EL1t", "EL1h"}, {"EL2t", "EL2h"}}};
  return kNames[level][stack_pointer_select ? 1 : 0];
}

}  // namespace

// --- making them -----------------------------------------------------------------------------------------------------

bool ArmProcessor::check(CheckId id, bool passed, std::uint64_t actual, std::uint64_t required) {
  return tell_check<CheckId>(context_.events, kCheckTexts, id, passed, actual, required);
}

Obstacle ArmProcessor::exception(ExceptionClass exception_class, std::uint32_t iss) {
  return {.kind = Obstacle::Kind::Exception,
          .exception = {.syndrome = {.exception_class = exception_class, .iss = iss}}};
}

Obstacle ArmProcessor::undefined() { return exception(ExceptionClass::Unknown, 0); }

Obstacle ArmProcessor::unsupported(std::string_view detail) {
  context_.request.stop = StopReason::Unsupported;
  context_.request.detail = detail;
  return {.kind = Obstacle::Kind::Stop};
}

Obstacle ArmProcessor::obstacle_of(const AccessDecision& decision) {
  if (decision.kind == AccessDecision::Kind::Allowed) return {};
  return {.kind = Obstacle::Kind::Exception, .exception = decision.exception};
}

/// ISS of aborts: DDI 0487, D19.2.37. Stage-2 faults go to EL2, with a full description of simple loads and stores.
Obstacle ArmProcessor::abort_of(const TranslationFault& fault, AccessKind kind, VirtualAddress address) const {
  constexpr std::uint32_t kWrite = 1U << 6, kOnWalk = 1U << 7, kMaintenance = 1U << 8;
  std::uint32_t iss = fault.status | (fault.on_walk ? kOnWalk : 0);
  Obstacle obstacle;
  if (kind == AccessKind::Fetch) {
    obstacle = exception(ExceptionClass::InstructionAbortLower, iss);
  } else {
    iss |= (fault.write ? kWrite : 0) | (fault.cache_maintenance ? kMaintenance : 0);
    if (fault.stage == 2 && !fault.on_walk && !fault.cache_maintenance) iss |= load_store_syndrome(word_).value_or(0);
    obstacle = exception(ExceptionClass::DataAbortLower, iss);
  }
  ArmException& made = obstacle.exception;
  made.has_fault_address = true;
  made.fault_address = address;
  if (fault.stage == 2) {
    made.target = 2;
    made.has_intermediate_address = true;
    made.intermediate_address = fault.intermediate;
  }
  ExceptionClass& made_class = made.syndrome.exception_class;
  made_class = class_at(made_class, target_of(made) == state_.exception_level);
  return obstacle;
}

// --- taking them -----------------------------------------------------------------------------------------------------

unsigned ArmProcessor::target_of(const ArmException& exception) const {
  if (exception.target != 0) return exception.target;
  if (state_.exception_level == 2) return 2;
  return state_.exception_level == 0 && state_.tge() ? 2 : 1;
}

bool ArmProcessor::raise(const ArmException& exception, std::uint64_t preferred_return) {
  const unsigned target = target_of(exception);
  const bool to_host = host_ && target == host_->exception_level();
  const bool synchronous = exception.kind == ExceptionKind::Synchronous;
  const auto vector = static_cast<std::uint32_t>(
      synchronous ? static_cast<unsigned>(exception.syndrome.exception_class)
                  : (exception.is_virtual ? system_->gic.pending_virtual_interrupt(context_.cpu)
                                          : system_->gic.pending_interrupt(context_.cpu))
                        .value_or(0));
  const VirtualAddress at{pc()};
  const std::uint8_t from = privilege();
  if (!to_host) {
    context_.events.notable(TrapRaised{.name = name_of(exception),
                                       .cause = cause_of(exception),
                                       .has_error_code = synchronous,
                                       .vector = vector,
                                       .error_code = exception.syndrome.iss,
                                       .pc = at,
                                       .fault_address = exception.fault_address});
  }
  if (exception.is_virtual && exception.kind == ExceptionKind::SError)
    write_register(SystemRegister::HCR_EL2, state_[SystemRegister::HCR_EL2] & ~hcr::kVse);
  if (!exception.is_virtual && exception.kind == ExceptionKind::SError) state_.serror_pending = false;
  if (!to_host) {
    enter(exception, target, preferred_return);
    context_.events.notable(TrapDelivered{.name = name_of(exception),
                                          .vector = vector,
                                          .from_privilege = from,
                                          .to_privilege = static_cast<std::uint8_t>(target),
                                          .handler = {pc()},
                                          .stack = {read_engine(integer_register(31))}});
    return false;
  }
  context_.time.vmm_cycles += context_.config.costs.cost_of("vm.exit");
  context_.events.notable(VmExit{.reason = vector,
                                 .name = name_of(exception),
                                 .qualification = exception.syndrome.iss,
                                 .guest_pc = at,
                                 .instruction_length = synchronous ? 4U : 0U,
                                 .guest_physical_address = exception.intermediate_address},
                          context_.config.costs.cost_of("vm.exit"));
  enter(exception, target, preferred_return);
  {
    const ActorScope scope(context_.events, Actor::Vmm, static_cast<std::uint8_t>(target));
    host_->handle_exception(*this, exception);
  }
  context_.events.set_actor(actor(), privilege());
  return true;
}

void ArmProcessor::enter(const ArmException& exception, unsigned target, std::uint64_t preferred_return) {
  const LevelRegisters& registers = registers_of(target);
  const unsigned from = state_.exception_level;
  const std::uint64_t origin = target > from ? kFromLowerLevel : state_.stack_pointer_select ? kFromSameLevel : 0;
  const bool has_syndrome = exception.kind == ExceptionKind::Synchronous || exception.kind == ExceptionKind::SError;
  const auto set = [&](SystemRegister reg, std::uint64_t value) {
    report_write(info_of(reg).name, state_[reg], value);
    state_[reg] = value;
  };
  set(registers.saved_state, process_state());
  set(registers.link, preferred_return);
  if (has_syndrome) {
    Syndrome syndrome = exception.syndrome;
    syndrome.exception_class = exception.kind == ExceptionKind::SError
                                   ? ExceptionClass::SError
                                   : class_at(syndrome.exception_class, target == from);
    set(registers.syndrome, syndrome.esr());
  }
  if (exception.has_fault_address) set(registers.fault_address, exception.fault_address.value);
  if (exception.has_intermediate_address) {
    constexpr std::uint64_t kFaultPage = 0xfffffffff0;  // HPFAR_EL2.FIPA: address bits 47:12 from bit 4 on.
    set(SystemRegister::HPFAR_EL2, exception.intermediate_address.value >> 8 & kFaultPage);
  }
  change_level(target, true, name_of(exception));
  state_.daif = spsr::kDaif;
  state_.illegal = state_.software_step = false;
  const bool pan_level = target == 1 || (state_.e2h() && state_.tge());
  if (pan_level && has_feature(system_->config, "pan") && (state_[registers.control] & sctlr::kSpan) == 0)
    state_.pan = true;
  const std::uint64_t handler =
      state_[registers.vectors] + origin + kVectorBytes * static_cast<std::uint64_t>(exception.kind);
  set_pc(handler);
}

/// The stack pointer in use is the engine's; those of the other levels wait in the state.
void ArmProcessor::change_level(unsigned level, bool stack_pointer_select, std::string_view reason) {
  const unsigned before = state_.exception_level;
  state_.stack_pointers[state_.stack_pointer_level()] = read_engine(integer_register(31));
  state_.exception_level = level;
  state_.stack_pointer_select = stack_pointer_select;
  write_engine(integer_register(31), state_.stack_pointers[state_.stack_pointer_level()]);
  if (before == level) return;
  mmu_.context_changed();
  accesses_.translations_changed();
  context_.events.notable(PrivilegeChanged{
      .from = static_cast<std::uint8_t>(before), .to = static_cast<std::uint8_t>(level), .reason = reason});
  context_.events.set_actor(actor(), privilege());
}

// --- returning from them ---------------------------------------------------------------------------------------------

std::uint64_t ArmProcessor::process_state() const {
  return (read_engine(flags_register()) & spsr::kNzcv) | state_.daif | state_.exception_level << 2 |
         (state_.stack_pointer_select && state_.exception_level != 0 ? spsr::kSpSelected : 0) |
         (state_.pan ? spsr::kPan : 0) | (state_.illegal ? spsr::kIl : 0) | (state_.software_step ? spsr::kSs : 0);
}

/// DDI 0487, D1.4.4: what makes an exception return illegal.
bool ArmProcessor::legal_return(std::uint64_t saved) {
  const unsigned mode = saved & 0x1f, level = spsr::exception_level_of(saved);
  const bool known = (mode & spsr::kAArch32) == 0 && (mode & 2) == 0 && level < (system_->has_el2() ? 3U : 2U) &&
                     !(level == 0 && (mode & spsr::kSpSelected) != 0);
  if (!check(CheckId::ReturnMode, known, mode)) return false;
  if (!check(CheckId::ReturnNotHigher, level <= state_.exception_level, level, state_.exception_level)) return false;
  return level != 1 || !state_.tge() || check(CheckId::ReturnNotToGuest, false, level);
}

void ArmProcessor::return_from_exception(std::string_view name) {
  const LevelRegisters& registers = registers_of(state_.exception_level);
  const std::uint64_t saved = state_[registers.saved_state], link = state_[registers.link];
  const unsigned from = state_.exception_level;
  const bool legal = legal_return(saved);
  state_.exclusive_open = false;
  write_engine(flags_register(), saved & spsr::kNzcv);
  state_.daif = saved & spsr::kDaif;
  state_.pan = (saved & spsr::kPan) != 0 && has_feature(system_->config, "pan");
  state_.illegal = !legal || (saved & spsr::kIl) != 0;
  set_pc(link);
  if (legal) change_level(spsr::exception_level_of(saved), (saved & spsr::kSpSelected) != 0, name);
  context_.events.notable(TrapReturned{
      .name = name, .from_privilege = static_cast<std::uint8_t>(from), .to_privilege = privilege(), .pc = {link}});
}

/// By the VMM: the entry into the guest.
void ArmProcessor::exception_return() {
  const unsigned level = state_.exception_level;
  const std::uint64_t saved = state_[registers_of(level).saved_state], link = state_[registers_of(level).link];
  write_engine(flags_register(), saved & spsr::kNzcv);
  state_.daif = saved & spsr::kDaif;
  state_.pan = (saved & spsr::kPan) != 0;
  state_.illegal = (saved & spsr::kIl) != 0;
  state_.exclusive_open = false;
  set_pc(link);
  change_level(spsr::exception_level_of(saved), (saved & spsr::kSpSelected) != 0, "ERET");
  const std::uint32_t cost = context_.config.costs.cost_of("vm.entry");
  context_.time.vmm_cycles += cost;
  context_.events.notable(VmEntry{.guest_pc = {link}}, cost);
}

// --- the instructions ------------------------------------------------------------------------------------------------

Obstacle ArmProcessor::supervisor_call(Operation operation) {
  if (operation == Operation::Brk) return exception(ExceptionClass::Brk64, immediate16(word_));
  struct Row {
    Operation operation;
    TrappableInstruction instruction;
  };
  static constexpr std::array kRows{
      Row{Operation::Svc, TrappableInstruction::Svc}, Row{Operation::Hvc, TrappableInstruction::Hvc},
      Row{Operation::Smc, TrappableInstruction::Smc}, Row{Operation::Eret, TrappableInstruction::Eret}};
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.operation == operation; });
  // The firmware's conduit is looked at first, as on the board whose firmware lives there instead of in EL2.
  const Operation conduit = system_->has_el2() ? Operation::Smc : Operation::Hvc;
  if (operation == Operation::Hvc && conduit == Operation::Hvc && state_.exception_level != 0) return call_firmware();
  if (Obstacle obstacle = obstacle_of(
          decide_instruction(state_, system_->config,
                             {.instruction = row->instruction, .immediate = immediate16(word_)}, context_.events)))
    return obstacle;
  if (operation == Operation::Eret) {
    return_from_exception("ERET");
    return {};
  }
  if (operation == Operation::Smc) return conduit == Operation::Smc ? call_firmware() : undefined();
  Obstacle obstacle =
      exception(operation == Operation::Svc ? ExceptionClass::Svc64 : ExceptionClass::Hvc64, immediate16(word_));
  obstacle.exception.returns_after = true;
  if (operation == Operation::Hvc) obstacle.exception.target = 2;
  return obstacle;
}

Obstacle ArmProcessor::call_firmware() {
  set_pc(pc() + 4);
  system_->call_firmware(*this);
  return {};
}

Obstacle ArmProcessor::wait(Operation operation) {
  const bool for_event = operation == Operation::Wfe;
  if (for_event && state_.event_register) {
    state_.event_register = false;
  } else if (!wakes() || for_event) {
    // An instruction that would not wait is not trapped either (DDI 0487, D1.6.1: the trap is on what would suspend).
    if (Obstacle obstacle = obstacle_of(decide_instruction(
            state_, system_->config, {.instruction = for_event ? TrappableInstruction::Wfe : TrappableInstruction::Wfi},
            context_.events)))
      return obstacle;
    (for_event ? state_.waiting_for_event : state_.waiting_for_interrupt) = true;
  }
  set_pc(pc() + 4);
  return {};
}

std::string_view ArmProcessor::mode_name() const {
  return mode_of(state_.exception_level, state_.stack_pointer_select);
}

}  // namespace shearling::arm
