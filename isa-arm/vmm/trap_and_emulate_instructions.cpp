// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sensitive instructions of a guest kernel at EL0: each is UNDEFINED there or trapped, and is done here on the
// registers that the VMM keeps for the guest, after the checks that the guest's own level would have met.
#include <algorithm>

#include "core/base/assert.h"
#include "isa-arm/cpu/decoder.h"
#include "isa-arm/registers/encoding_index.h"
#include "isa-arm/vmm/psci.h"
#include "isa-arm/vmm/trap_and_emulate_host.h"

namespace shearling::arm {
namespace {

constexpr std::uint64_t kTimerEnable = 1, kTimerMask = 2, kTimerStatus = 4;

/// PAR_EL1 (DDI 0487, D19.2.105).
constexpr std::uint64_t kParFailed = 1, kParNonSecure = 1U << 9, kParAlwaysOne = 1U << 11;
constexpr std::uint64_t kParAddress = 0x0000'ffff'ffff'f000;
constexpr unsigned kOuterShareable = 2;
constexpr std::uint8_t kNonCacheable = 0x44;

}  // namespace

struct TrapAndEmulateHost::OperationHandler {
  Operation operation;
  void (TrapAndEmulateHost::*emulate)();
};
const std::array<TrapAndEmulateHost::OperationHandler, 6> TrapAndEmulateHost::kOperationHandlers{{
    {Operation::Eret, &TrapAndEmulateHost::emulate_return},
    {Operation::Hvc, &TrapAndEmulateHost::emulate_hypervisor_call},
    {Operation::MoveToState, &TrapAndEmulateHost::emulate_state_write},
    {Operation::ReadRegister, &TrapAndEmulateHost::emulate_read},
    {Operation::WriteRegister, &TrapAndEmulateHost::emulate_write},
    {Operation::System, &TrapAndEmulateHost::emulate_system},
}};

/// What trapped has just been fetched, so the shadow tables have its page.
std::uint32_t TrapAndEmulateHost::instruction() {
  const std::uint64_t at = read(R::ELR_EL1);
  const auto translation = core_->mmu().inspect({at});
  SHEARLING_ASSERT(translation && context_.memory.contains(translation->physical, 4),
                   "an instruction that was executed has no page");
  const auto word = static_cast<std::uint32_t>(context_.memory.read(translation->physical, 4));
  act(actions::kDecode, at, word);
  return word;
}

void TrapAndEmulateHost::on_sensitive() {
  word_ = instruction();
  const Operation operation = operation_of(word_);
  const auto handler = std::find_if(kOperationHandlers.begin(), kOperationHandlers.end(),
                                    [&](const OperationHandler& row) { return row.operation == operation; });
  if (handler != kOperationHandlers.end())
    (this->*handler->emulate)();
  else
    inject_undefined();
}

// --- exception return ------------------------------------------------------------------------------------------------

/// DDI 0487, D1.4.4, for a core with EL0 and EL1.
bool TrapAndEmulateHost::legal_return(std::uint64_t saved) const {
  const std::uint64_t mode = saved & 0x1f;
  const unsigned to = spsr::exception_level_of(saved);
  return (mode & spsr::kAArch32) == 0 && (mode & 2) == 0 && to < 2 && !(to == 0 && (mode & spsr::kSpSelected) != 0);
}

void TrapAndEmulateHost::emulate_return() {
  if (level() == 0) {
    inject_undefined();
    return;
  }
  const std::uint64_t saved = guest_[R::SPSR_EL1], link = guest_[R::ELR_EL1];
  const bool legal = legal_return(saved);
  act(actions::kReturn, link, saved);
  guest_.daif = saved & spsr::kDaif;
  guest_.pan = (saved & spsr::kPan) != 0 && has_feature(guest_config_, "pan");
  guest_.illegal = !legal || (saved & spsr::kIl) != 0;
  if (legal) change_guest_level(spsr::exception_level_of(saved), (saved & spsr::kSpSelected) != 0);
  write(R::SPSR_EL1, saved & spsr::kNzcv);
  write(R::ELR_EL1, link);
  core_->exception_injected();  // The instruction is done, even if it returns to itself.
}

// --- calls -----------------------------------------------------------------------------------------------------------

void TrapAndEmulateHost::emulate_hypervisor_call() {
  if (level() == 0) {
    inject_undefined();
    return;
  }
  const std::uint64_t function = core_->general(0) & 0xffffffff, argument = core_->general(1);
  skip_instruction();
  call_firmware();
  const std::uint64_t result = core_->general(0);
  act(actions::kHypercall, function, result);
  context_.events.notable(Hypercall{.number = function, .argument = argument, .result = result});
}

/// PSCI on a machine with one core.
void TrapAndEmulateHost::call_firmware() {
  const auto answer = [&](std::int64_t value) { core_->set_general(0, static_cast<std::uint64_t>(value)); };
  const std::optional<std::uint32_t> function = psci::function_of(core_->general(0));
  if (!function) return answer(psci::kNotSupported);
  const bool this_core = ((core_->general(1) ^ guest_[R::MPIDR_EL1]) & psci::kAffinityMask) == 0;
  switch (*function) {
    case psci::kVersion:
      return answer(psci::kPsciVersion11);
    case psci::kSmcccVersion:
      return answer(psci::kSmcccVersion11);
    case psci::kMigrateInfoType:
      return answer(psci::kNoTrustedOs);
    case psci::kFeatures:
      return answer(psci::function_of(core_->general(1)) ? psci::kSuccess : psci::kNotSupported);
    case psci::kCpuOn:
      return answer(this_core ? psci::kAlreadyOn : psci::kInvalidParameters);
    case psci::kAffinityInfo:
      return answer(this_core ? std::int64_t{psci::kAffinityOn} : psci::kInvalidParameters);
    case psci::kCpuOff:
      return core_->power_off();
    default:
      core_->context().request.stop = *function == psci::kSystemOff ? StopReason::PowerOff : StopReason::Reset;
  }
}

// --- PSTATE and registers --------------------------------------------------------------------------------------------

/// MSR (immediate): the field is op1:op2 (DDI 0487, C5.1.2).
void TrapAndEmulateHost::emulate_state_write() {
  const SystemEncoding encoding = SystemEncoding::of_instruction(word_);
  EventStream quiet;
  const AccessDecision decision = decide_instruction(
      guest_, guest_config_, {.instruction = TrappableInstruction::MsrImmediate, .encoding = encoding}, quiet);
  if (decision.kind != AccessDecision::Kind::Allowed) {
    inject(decision);
    return;
  }
  const std::uint64_t immediate = encoding.crm, mask = immediate << 6;
  switch (encoding.op1 << 3 | encoding.op2) {
    case 0'04:
      write_guest_state(R::PAN, (immediate & 1) != 0 ? spsr::kPan : 0);
      break;
    case 0'05:
      write_guest_state(R::SPSel, immediate & 1);
      break;
    case 0'36:
      write_guest_state(R::DAIF, guest_.daif | mask);
      break;
    default:
      write_guest_state(R::DAIF, guest_.daif & ~mask);
  }
  act(actions::kProcessState, guest_process_state());
  skip_instruction();
}

void TrapAndEmulateHost::emulate_read() {
  const SystemEncoding encoding = SystemEncoding::of_instruction(word_);
  const unsigned target = register_field(word_, 0);
  EventStream quiet;
  const AccessDecision decision = decide_system_access(guest_, guest_config_, encoding, true, target, quiet);
  if (decision.kind != AccessDecision::Kind::Allowed) {
    inject(decision);
    return;
  }
  const std::uint64_t value = decision.reg == R::Count ? 0 : read_guest(decision.reg);
  act(actions::kSystemRead, encoding.packed(), value);
  core_->set_general(target, value);
  skip_instruction();
}

void TrapAndEmulateHost::emulate_write() {
  const SystemEncoding encoding = SystemEncoding::of_instruction(word_);
  const unsigned source = register_field(word_, 0);
  EventStream quiet;
  const AccessDecision decision = decide_system_access(guest_, guest_config_, encoding, false, source, quiet);
  if (decision.kind != AccessDecision::Kind::Allowed) {
    inject(decision);
    return;
  }
  const std::uint64_t value = core_->general(source);
  act(actions::kSystemWrite, encoding.packed(), value);
  if (decision.reg != R::Count) write_guest(decision.reg, value);
  skip_instruction();
}

std::uint64_t TrapAndEmulateHost::read_guest(R reg) {
  switch (info_of(reg).home) {
    case RegisterHome::ProcessState:
      return read_guest_state(reg);
    case RegisterHome::Timer:
      return read_guest_timer(reg);
    case RegisterHome::Interrupt:
      return read(reg);  // The physical CPU interface, on the guest's behalf.
    default:
      return reg == R::TPIDR_EL0 ? read(reg) : read_stored(guest_, reg);
  }
}

void TrapAndEmulateHost::write_guest(R reg, std::uint64_t value) {
  switch (info_of(reg).home) {
    case RegisterHome::Constant:
      return;
    case RegisterHome::ProcessState:
      return write_guest_state(reg, value);
    case RegisterHome::Timer:
      return write_guest_timer(reg, value);
    case RegisterHome::Interrupt:
      return write(reg, value);
    default:
      if (reg == R::TPIDR_EL0) return write(reg, value);
      return write_stored(guest_, guest_config_, reg, value);
  }
}

std::uint64_t TrapAndEmulateHost::read_guest_state(R reg) {
  switch (reg) {
    case R::CurrentEL:
      return std::uint64_t{level()} << 2;
    case R::SPSel:
      return guest_.stack_pointer_select ? 1 : 0;
    case R::DAIF:
      return guest_.daif;
    case R::PAN:
      return guest_.pan ? spsr::kPan : 0;
    case R::SP_EL0:
      return guest_.stack_pointers[0];  // Accessible only while it is not the one in use.
    case R::NZCV:
      return read(R::SPSR_EL1) & spsr::kNzcv;
    case R::ISR_EL1:
      return (core_->gic().irq(context_.cpu) ? spsr::kI : 0) | (core_->gic().fiq(context_.cpu) ? spsr::kF : 0);
    default:
      return read(reg);
  }
}

void TrapAndEmulateHost::write_guest_state(R reg, std::uint64_t value) {
  switch (reg) {
    case R::SPSel:
      return change_guest_level(level(), (value & 1) != 0);
    case R::DAIF:
      guest_.daif = value & spsr::kDaif;
      return;
    case R::PAN:
      guest_.pan = (value & spsr::kPan) != 0;
      return;
    case R::SP_EL0:
      guest_.stack_pointers[0] = value;
      return;
    case R::NZCV:
      return write(R::SPSR_EL1, value & spsr::kNzcv);
    default:
      return write(reg, value);
  }
}

/// Both counters are the guest's time: without a VMM and without EL2 they are one.
std::uint64_t TrapAndEmulateHost::read_guest_timer(R reg) const {
  const std::uint64_t now = context_.time.guest_ticks();
  const auto control = [&](R name, R compare) {
    const bool met = (guest_[name] & kTimerEnable) != 0 && now >= guest_[compare];
    return guest_[name] | (met ? kTimerStatus : 0);
  };
  switch (reg) {
    case R::CNTPCT_EL0:
    case R::CNTVCT_EL0:
      return now;
    case R::CNTP_TVAL_EL0:
      return (guest_[R::CNTP_CVAL_EL0] - now) & 0xffffffff;
    case R::CNTV_TVAL_EL0:
      return (guest_[R::CNTV_CVAL_EL0] - now) & 0xffffffff;
    case R::CNTP_CTL_EL0:
      return control(reg, R::CNTP_CVAL_EL0);
    case R::CNTV_CTL_EL0:
      return control(reg, R::CNTV_CVAL_EL0);
    default:
      return guest_[reg];
  }
}

/// The hardware's timers follow before the next entry.
void TrapAndEmulateHost::write_guest_timer(R reg, std::uint64_t value) {
  const auto after = [&](std::uint64_t ticks) {
    const auto offset = static_cast<std::int32_t>(static_cast<std::uint32_t>(ticks));
    return context_.time.guest_ticks() + static_cast<std::uint64_t>(std::int64_t{offset});
  };
  switch (reg) {
    case R::CNTPCT_EL0:
    case R::CNTVCT_EL0:
      return;
    case R::CNTP_TVAL_EL0:
      guest_[R::CNTP_CVAL_EL0] = after(value);
      return;
    case R::CNTV_TVAL_EL0:
      guest_[R::CNTV_CVAL_EL0] = after(value);
      return;
    case R::CNTP_CTL_EL0:
    case R::CNTV_CTL_EL0:
      guest_[reg] = value & (kTimerEnable | kTimerMask);
      return;
    default:
      guest_[reg] = value;
  }
}

// --- system instructions ---------------------------------------------------------------------------------------------

void TrapAndEmulateHost::emulate_system() {
  const SystemEncoding encoding = SystemEncoding::of_instruction(word_);
  const unsigned operand = register_field(word_, 0);
  EventStream quiet;
  const AccessDecision decision = decide_instruction(
      guest_, guest_config_, {.instruction = TrappableInstruction::System, .encoding = encoding, .rt = operand}, quiet);
  if (decision.kind != AccessDecision::Kind::Allowed) {
    inject(decision);
    return;
  }
  const std::string_view name = name_of(encoding);
  const VirtualAddress address{core_->general(operand)};
  if (name.starts_with("TLBI")) {
    clear_shadow_tables();
  } else if (name.starts_with("AT ")) {
    translate_address(name, address);
  } else if (name == "DC IVAC") {
    GuestAccess access = own_access(address, AccessKind::Read);
    access.cache_maintenance = true;
    access.pan = false;
    const GuestTranslation translation = walk(access);
    if (!translation.found) {
      inject_abort(access, translation.status);
      return;
    }
    act(actions::kMaintenance, address.value);
  } else {
    act(actions::kMaintenance, address.value);
  }
  skip_instruction();
}

/// AT S1E1R and its kin: "AT S1ExR", "AT S1ExW", with a P at the end where PSTATE.PAN has a say.
void TrapAndEmulateHost::translate_address(std::string_view name, VirtualAddress address) {
  constexpr std::size_t kLevelPlace = 6, kKindPlace = 7;
  const bool user = name[kLevelPlace] == '0';
  const GuestTranslation found = walk({.address = address,
                                       .kind = name[kKindPlace] == 'W' ? AccessKind::Write : AccessKind::Read,
                                       .user = user,
                                       .pan = name.ends_with('P') && guest_.pan,
                                       .cache_maintenance = true});
  std::uint64_t result = kParFailed | std::uint64_t{found.status} << 1 | kParAlwaysOne;
  if (found.found) {
    const bool outer = (found.attribute & 0xf0) == 0 || found.attribute == kNonCacheable;
    result = std::uint64_t{found.attribute} << 56 | (found.address.value & kParAddress) | kParAlwaysOne |
             kParNonSecure | std::uint64_t{outer ? kOuterShareable : found.shareability} << 7;
  }
  act(actions::kTranslate, address.value, result);
  guest_[R::PAR_EL1] = result;
}

}  // namespace shearling::arm
