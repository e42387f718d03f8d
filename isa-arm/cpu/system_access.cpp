// SPDX-License-Identifier: GPL-3.0-or-later
//
// MRS and MSR: the table decides who may; here is what a register's value is and what writing it brings about.
#include <algorithm>
#include <array>

#include "isa-arm/cpu/arm_processor.h"

namespace shearling::arm {
namespace {

// What translation depends on: the engine must ask anew.
constexpr std::array kTranslationControls{
    SystemRegister::SCTLR_EL1, SystemRegister::SCTLR_EL2, SystemRegister::TTBR0_EL1, SystemRegister::TTBR1_EL1,
    SystemRegister::TTBR0_EL2, SystemRegister::TTBR1_EL2, SystemRegister::TCR_EL1,   SystemRegister::TCR_EL2,
    SystemRegister::VTTBR_EL2, SystemRegister::VTCR_EL2,  SystemRegister::HCR_EL2,   SystemRegister::MAIR_EL1,
    SystemRegister::MAIR_EL2};

enum class InterfaceGroup : std::uint8_t { None, Zero, One, Common };

InterfaceGroup interface_group(SystemRegister reg) {
  switch (reg) {
    case SystemRegister::ICC_IAR0_EL1:
    case SystemRegister::ICC_EOIR0_EL1:
    case SystemRegister::ICC_HPPIR0_EL1:
    case SystemRegister::ICC_BPR0_EL1:
    case SystemRegister::ICC_AP0R0_EL1:
    case SystemRegister::ICC_IGRPEN0_EL1:
      return InterfaceGroup::Zero;
    case SystemRegister::ICC_IAR1_EL1:
    case SystemRegister::ICC_EOIR1_EL1:
    case SystemRegister::ICC_HPPIR1_EL1:
    case SystemRegister::ICC_BPR1_EL1:
    case SystemRegister::ICC_AP1R0_EL1:
    case SystemRegister::ICC_IGRPEN1_EL1:
      return InterfaceGroup::One;
    case SystemRegister::ICC_PMR_EL1:
    case SystemRegister::ICC_CTLR_EL1:
    case SystemRegister::ICC_DIR_EL1:
    case SystemRegister::ICC_RPR_EL1:
      return InterfaceGroup::Common;
    default:
      return InterfaceGroup::None;
  }
}

}  // namespace

void ArmProcessor::report_write(std::string_view name, std::uint64_t before, std::uint64_t after) {
  if (before != after) context_.events.micro(RegisterWritten{.name = name, .before = before, .after = after});
}

/// At EL1 an access goes to the virtual CPU interface where HCR_EL2 gives EL2 that group's interrupts (IHI 0069, 6.1).
bool ArmProcessor::virtual_interface(SystemRegister reg) const {
  if (state_.exception_level != 1) return false;
  const bool irq = state_.hcr(hcr::kImo), fiq = state_.hcr(hcr::kFmo);
  switch (interface_group(reg)) {
    case InterfaceGroup::Zero:
      return fiq;
    case InterfaceGroup::One:
      return irq;
    case InterfaceGroup::Common:
      return irq || fiq;
    default:
      return false;
  }
}

// --- values ----------------------------------------------------------------------------------------------------------

std::uint64_t ArmProcessor::read_process_state(SystemRegister reg) const {
  const auto stack_pointer = [&](unsigned level) {
    return state_.stack_pointer_level() == level ? read_engine(integer_register(31)) : state_.stack_pointers[level];
  };
  switch (reg) {
    case SystemRegister::CurrentEL:
      return static_cast<std::uint64_t>(state_.exception_level) << 2;
    case SystemRegister::SPSel:
      return state_.stack_pointer_select ? 1 : 0;
    case SystemRegister::DAIF:
      return state_.daif;
    case SystemRegister::NZCV:
      return read_engine(flags_register());
    case SystemRegister::PAN:
      return state_.pan ? spsr::kPan : 0;
    case SystemRegister::SP_EL0:
      return stack_pointer(0);
    case SystemRegister::SP_EL1:
      return stack_pointer(1);
    case SystemRegister::TPIDR_EL0:
      return read_engine({RegisterClass::SegmentBase, 0});
    case SystemRegister::FPCR:
      return read_engine({RegisterClass::VectorControl, 0});
    case SystemRegister::FPSR:
      return read_engine({RegisterClass::VectorControl, 1});
    case SystemRegister::ISR_EL1:
      return pending_interrupts();
    default:
      return state_[reg];
  }
}

/// ISR_EL1: what is pending for this level, masked or not; at EL1 the virtual ones where EL2 has the physical.
std::uint64_t ArmProcessor::pending_interrupts() const {
  const Gic& gic = system_->gic;
  const unsigned cpu = context_.cpu;
  const bool guest = state_.exception_level < 2;
  const bool irq = guest && state_.hcr(hcr::kImo) ? state_.hcr(hcr::kVi) || gic.virtual_irq(cpu) : gic.irq(cpu);
  const bool fiq = guest && state_.hcr(hcr::kFmo) ? state_.hcr(hcr::kVf) || gic.virtual_fiq(cpu) : gic.fiq(cpu);
  const bool serror = guest && state_.hcr(hcr::kAmo) ? state_.hcr(hcr::kVse) : state_.serror_pending;
  return (irq ? spsr::kI : 0) | (fiq ? spsr::kF : 0) | (serror ? spsr::kA : 0);
}

std::uint64_t ArmProcessor::read_register(SystemRegister reg) {
  if (reg == SystemRegister::TPIDR_EL0) return read_process_state(reg);
  switch (info_of(reg).home) {
    case RegisterHome::ProcessState:
      return read_process_state(reg);
    case RegisterHome::Timer:
      return timer_.read(reg);
    case RegisterHome::Interrupt:
      return system_->gic.read_cpu_interface(context_.cpu, reg, virtual_interface(reg));
    case RegisterHome::Hypervisor:
      return system_->gic.read_hypervisor(context_.cpu, reg);
    default:
      return read_stored(state_, reg);
  }
}

void ArmProcessor::write_process_state(SystemRegister reg, std::uint64_t value) {
  const auto set_stack_pointer = [&](unsigned level) {
    if (state_.stack_pointer_level() == level)
      write_engine(integer_register(31), value);
    else
      state_.stack_pointers[level] = value;
  };
  switch (reg) {
    case SystemRegister::SPSel:
      return change_level(state_.exception_level, (value & 1) != 0, "MSR SPSel");
    case SystemRegister::DAIF:
      state_.daif = value & spsr::kDaif;
      return;
    case SystemRegister::NZCV:
      return write_engine(flags_register(), value & spsr::kNzcv);
    case SystemRegister::PAN:
      state_.pan = (value & spsr::kPan) != 0;
      return accesses_.translations_changed();
    case SystemRegister::SP_EL0:
      return set_stack_pointer(0);
    case SystemRegister::SP_EL1:
      return set_stack_pointer(1);
    case SystemRegister::TPIDR_EL0:
      return write_engine({RegisterClass::SegmentBase, 0}, value);
    case SystemRegister::FPCR:
      return write_engine({RegisterClass::VectorControl, 0}, value);
    case SystemRegister::FPSR:
      return write_engine({RegisterClass::VectorControl, 1}, value);
    default:
      return;
  }
}

void ArmProcessor::write_register(SystemRegister reg, std::uint64_t value) {
  const SystemRegisterInfo& info = info_of(reg);
  switch (reg == SystemRegister::TPIDR_EL0 ? RegisterHome::ProcessState : info.home) {
    case RegisterHome::Constant:
      return;
    case RegisterHome::ProcessState:
      report_write(info.name, read_process_state(reg), value);
      return write_process_state(reg, value);
    case RegisterHome::Timer:
      report_write(info.name, timer_.read(reg), value);
      timer_.write(reg, value);
      return timer_.advance();
    case RegisterHome::Interrupt:
      context_.events.micro(RegisterWritten{.name = info.name, .after = value});
      return system_->gic.write_cpu_interface(context_.cpu, reg, value, virtual_interface(reg));
    case RegisterHome::Hypervisor:
      report_write(info.name, system_->gic.read_hypervisor(context_.cpu, reg), value);
      state_[reg] = value;  // Traps are looked up there.
      return system_->gic.write_hypervisor(context_.cpu, reg, value);
    default:
      break;
  }
  const std::uint64_t before = state_[reg];
  write_stored(state_, system_->config, reg, value);
  report_write(info.name, before, state_[reg]);
  if (std::find(kTranslationControls.begin(), kTranslationControls.end(), reg) == kTranslationControls.end()) return;
  mmu_.context_changed();
  accesses_.translations_changed();
}

// --- the instructions ------------------------------------------------------------------------------------------------

Obstacle ArmProcessor::read_system_register() {
  const unsigned target = register_field(word_, 0);
  const AccessDecision decision = decide_system_access(state_, system_->config, SystemEncoding::of_instruction(word_),
                                                       true, target, context_.events);
  if (Obstacle obstacle = obstacle_of(decision)) return obstacle;
  set_general(target, decision.reg == SystemRegister::Count ? 0 : read_register(decision.reg));
  return {};
}

Obstacle ArmProcessor::write_system_register() {
  const unsigned source = register_field(word_, 0);
  const AccessDecision decision = decide_system_access(state_, system_->config, SystemEncoding::of_instruction(word_),
                                                       false, source, context_.events);
  if (Obstacle obstacle = obstacle_of(decision)) return obstacle;
  if (decision.reg != SystemRegister::Count) write_register(decision.reg, general(source));
  return {};
}

/// MSR (immediate): the field is op1:op2 (DDI 0487, C5.1.2).
Obstacle ArmProcessor::move_to_state() {
  const SystemEncoding encoding = SystemEncoding::of_instruction(word_);
  if (Obstacle obstacle = obstacle_of(decide_instruction(
          state_, system_->config, {.instruction = TrappableInstruction::MsrImmediate, .encoding = encoding},
          context_.events)))
    return obstacle;
  const std::uint64_t immediate = encoding.crm, mask = immediate << 6;
  switch (encoding.op1 << 3 | encoding.op2) {
    case 0'04:
      write_register(SystemRegister::PAN, (immediate & 1) != 0 ? spsr::kPan : 0);
      return {};
    case 0'05:
      write_register(SystemRegister::SPSel, immediate & 1);
      return {};
    case 0'36:
      write_register(SystemRegister::DAIF, state_.daif | mask);
      return {};
    case 0'37:
      write_register(SystemRegister::DAIF, state_.daif & ~mask);
      return {};
    default:
      return undefined();
  }
}

}  // namespace shearling::arm
