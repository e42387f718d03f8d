// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two virtual machines on one core: whose turn it is, and what has to change places when it changes. A guest at EL1
// works on the real registers, so each group of them that the two share is saved and loaded, one action each.
#include <algorithm>

#include "isa-arm/vmm/el2_host.h"
#include "isa-arm/vmm/el2_machine.h"

namespace shearling::arm {
namespace {

constexpr std::uint64_t kTurnTicks = 5000;  ///< Of guest time.
constexpr std::uint64_t kTimerEnable = 1, kTimerMask = 2;
constexpr std::uint64_t kPrivateFrame = 0x10000, kSetActive = 0x300, kClearActive = 0x380;
constexpr unsigned kFirstShared = 32;

}  // namespace

void El2Host::schedule() {
  VirtualMachine& current = machine();
  if (current.waiting && current.distributor.waiting(cpu())) current.waiting = false;
  const bool leaves = turn_over_ || current.waiting || !current.on;
  turn_over_ = false;
  if (!leaves) return;
  const unsigned other = 1 - running_;
  if (machines_[other]->on && can_run(*machines_[other]))
    switch_to(other);
  else if (current.waiting)
    sleep_until_somebody_can_run();
  else if (machines_[other]->on)
    arm_slice();
}

bool El2Host::can_run(const VirtualMachine& candidate) const {
  const std::optional<std::uint64_t> deadline = timer_deadline(candidate);
  return !candidate.waiting || candidate.distributor.waiting(cpu()) ||
         (deadline && *deadline <= context_.time.guest_ticks());
}

/// Guest ticks at which a timer of a machine that does not run would interrupt it.
std::optional<std::uint64_t> El2Host::timer_deadline(const VirtualMachine& of) const {
  std::optional<std::uint64_t> earliest;
  const auto consider = [&](std::uint64_t control, std::uint64_t compare) {
    if ((control & (kTimerEnable | kTimerMask)) == kTimerEnable)
      earliest = std::min(earliest.value_or(compare), compare);
  };
  consider(of.saved.timer_control, of.saved.timer_compare);
  const auto& physical = of.physical_timers[cpu()];
  consider(physical.control, physical.compare);
  return earliest;
}

void El2Host::arm_slice() {
  wake_at_ = context_.time.guest_ticks() + kTurnTicks;
  act(actions::kSlice, *wake_at_);
  set_clocks(*core_, context_.time.vmm_cycles);
  update(R::CNTHP_CTL_EL2, kTimerEnable);
}

/// The one that runs waits in the hardware, with its own timers; the other's deadline is the EL2 timer's.
void El2Host::sleep_until_somebody_can_run() {
  const VirtualMachine& other = *machines_[1 - running_];
  wake_at_ = other.on ? timer_deadline(other) : std::nullopt;
  if (wake_at_) act(actions::kSleepUntil, *wake_at_);
  set_clocks(*core_, context_.time.vmm_cycles);
  update(R::CNTHP_CTL_EL2, wake_at_ ? kTimerEnable : 0);
  core_->wait_for_interrupt();
}

void El2Host::on_turn_timer() {
  wake_at_.reset();
  write(R::CNTHP_CTL_EL2, 0);
  turn_over_ = true;
}

// --- changing places -------------------------------------------------------------------------------------------------

void El2Host::switch_to(unsigned number) {
  VirtualMachine& out = machine();
  VirtualMachine& in = *machines_[number];
  act(actions::kSwitch, out.number, in.number);
  const SavedContext next = in.saved;
  hold_interrupts(out, false);
  capture(out.saved);
  exchange_system(next);
  exchange_interface(next);
  running_ = number;
  in.waiting = false;
  exchange_timer(next);
  hold_interrupts(in, true);
  act(actions::kSwitchStageTwo, in.translation_base());
  write(R::VTTBR_EL2, in.translation_base());
  arm_slice();
}

void El2Host::capture(SavedContext& into) {
  const ArmState& state = core_->state();
  into.engine = core_->engine_state();
  into.stack_pointers = {state.stack_pointers[0], state.stack_pointers[1]};
  into.return_address = read(R::ELR_EL2);
  into.return_state = read(R::SPSR_EL2);
  std::transform(kSwitchedRegisters.begin(), kSwitchedRegisters.end(), into.system.begin(),
                 [&](R reg) { return read(reg); });
  into.timer_control = read(R::CNTV_CTL_EL0) & (kTimerEnable | kTimerMask);
  into.timer_compare = read(R::CNTV_CVAL_EL0);
  into.interface_control = read(R::ICH_VMCR_EL2);
  into.active_group0 = read(R::ICH_AP0R0_EL2);
  into.active_group1 = read(R::ICH_AP1R0_EL2);
}

void El2Host::exchange_system(const SavedContext& in) {
  act(actions::kSwitchGeneral);
  act(actions::kSwitchVector);
  EngineState engine = in.engine;
  const EngineState own = core_->engine_state();
  engine.integer[31] = own.integer[31];  // SP_EL2, the VMM's
  engine.program_counter = own.program_counter;
  core_->set_engine_state(engine);
  core_->state().stack_pointers[0] = in.stack_pointers[0];
  core_->state().stack_pointers[1] = in.stack_pointers[1];
  core_->state().exclusive_open = false;  // CLREX: the monitor knows nothing of machines.
  write(R::ELR_EL2, in.return_address);
  write(R::SPSR_EL2, in.return_state);
  act(actions::kSwitchSystem, kSwitchedRegisters.size());
  for (std::size_t index = 0; index < kSwitchedRegisters.size(); ++index)
    update(kSwitchedRegisters[index], in.system[index]);
}

void El2Host::exchange_timer(const SavedContext& in) {
  act(actions::kSwitchTimer, in.timer_compare);
  update(R::CNTV_CVAL_EL0, in.timer_compare);
  update(R::CNTV_CTL_EL0, in.timer_control);
  program_physical_timer();
}

void El2Host::exchange_interface(const SavedContext& in) {
  act(actions::kSwitchInterrupts, in.interface_control, in.active_group1);
  update(R::ICH_VMCR_EL2, in.interface_control);
  update(R::ICH_AP0R0_EL2, in.active_group0);
  update(R::ICH_AP1R0_EL2, in.active_group1);
}

/// A timer interrupt that a guest is handling is active in the hardware and would keep the other's from coming.
void El2Host::hold_interrupts(const VirtualMachine& of, bool active) {
  for (const unsigned interrupt : of.distributor.held(cpu())) {
    if (interrupt >= kFirstShared) continue;
    act(actions::kSwitchActive, interrupt, active ? 1 : 0);
    physical_redistributors().write(cpu() * kRedistributorBytes + kPrivateFrame + (active ? kSetActive : kClearActive),
                                    4, std::uint64_t{1} << interrupt);
  }
}

}  // namespace shearling::arm
