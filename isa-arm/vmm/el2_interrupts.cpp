// SPDX-License-Identifier: GPL-3.0-or-later
//
// Interrupts of the VMM at EL2: it takes every physical one, and hands it on through the list registers of the virtual
// interface (GIC Architecture Specification, IHI 0069, chapter 6).
#include <algorithm>

#include "isa-arm/gic/virtual_interface.h"
#include "isa-arm/vmm/el2_host.h"
#include "isa-arm/vmm/el2_machine.h"

namespace shearling::arm {
namespace {

constexpr std::array kListRegisterNames{SystemRegister::ICH_LR0_EL2, SystemRegister::ICH_LR1_EL2,
                                        SystemRegister::ICH_LR2_EL2, SystemRegister::ICH_LR3_EL2};
static_assert(kListRegisterNames.size() == kListRegisters);

constexpr unsigned kEndCountShift = 27;

/// The software-generated interrupt with which the VMM's cores call each other; the guest's are virtual.
constexpr unsigned kKickInterrupt = 0;
constexpr unsigned kSpecialInterrupts = 1020;  ///< From here on: no interrupt.
constexpr unsigned kFirstShared = 32;

// GICD_* and the redistributor's second frame.
constexpr std::uint64_t kGroup = 0x80, kSetEnable = 0x100, kClearEnable = 0x180, kEnableEnd = 0x200,
                        kSetPending = 0x200, kConfiguration = 0xc00, kConfigurationEnd = 0xd00, kFirstRoute = 0x6100,
                        kRouteEnd = 0x8000;
constexpr std::uint64_t kRedistributorWaker = 0x14, kPrivateFrame = 0x10000;
constexpr std::uint64_t kDistributorOn = 1U << 4 | 1U << 1;  ///< ARE, EnableGrp1
constexpr std::uint64_t kSplitEnd = 2;                       ///< ICC_CTLR_EL1.EOImode
constexpr std::uint64_t kAllPriorities = 0xff, kAllOnes = 0xffffffff;

/// The guest's private interrupts that come from hardware: its timers.
constexpr std::uint64_t kPassedPrivate = 1U << kVirtualTimerInterrupt | 1U << kPhysicalTimerInterrupt;

}  // namespace

Device& El2Host::physical_distributor() { return core_->gic().distributor(); }
Device& El2Host::physical_redistributors() { return core_->gic().redistributors(); }

void El2Host::set_up_interrupt_controller() {
  act(actions::kInterruptController, cpu());
  if (!prepared_) {
    physical_distributor().write(0, 4, kDistributorOn);
    for (std::uint64_t word = 1; word < kInterruptCount / 32; ++word)
      physical_distributor().write(kGroup + 4 * word, 4, kAllOnes);
  }
  const std::uint64_t own = cpu() * kRedistributorBytes;
  const std::uint64_t turns = machines_.size() > 1 ? 1U << kHypervisorTimerInterrupt : 0;
  physical_redistributors().write(own + kRedistributorWaker, 4, 0);
  physical_redistributors().write(own + kPrivateFrame + kGroup, 4, kAllOnes);
  physical_redistributors().write(own + kPrivateFrame + kSetEnable, 4,
                                  1U << kKickInterrupt | 1U << kMaintenanceInterrupt | turns);
  write(R::ICC_SRE_EL2, 0xf);  // SRE, DFB, DIB, Enable: system registers, for EL1 as well.
  write(R::ICC_PMR_EL1, kAllPriorities);
  write(R::ICC_CTLR_EL1, kSplitEnd);
  write(R::ICC_IGRPEN1_EL1, 1);
  write(R::ICH_VMCR_EL2, 0);
  write(R::ICH_HCR_EL2, ich_hcr::kEnable);
}

// --- physical interrupts ---------------------------------------------------------------------------------------------

void El2Host::on_interrupt() {
  // First the clocks: a timer that expired only by what the VMM has just done must not count.
  hide_time(0);
  std::vector<unsigned> taken;
  for (;;) {
    const auto interrupt = static_cast<unsigned>(read(R::ICC_IAR1_EL1));
    if (interrupt >= kSpecialInterrupts) break;
    write(R::ICC_EOIR1_EL1, interrupt);
    taken.push_back(interrupt);
  }
  for (const unsigned interrupt : taken) {
    act(actions::kAcknowledge, interrupt);
    take_physical_interrupt(interrupt);
  }
}

void El2Host::take_physical_interrupt(unsigned interrupt) {
  if (interrupt == kHypervisorTimerInterrupt) on_turn_timer();
  const bool own = interrupt < 16 || interrupt == kMaintenanceInterrupt || interrupt == kHypervisorTimerInterrupt;
  if (own) {  // What it says shows when the list registers are filled again.
    deactivate(interrupt);
    return;
  }
  // The board's devices are the first machine's; the timers are those of the one that runs.
  VirtualMachine& owner = interrupt >= kFirstShared ? *machines_[0] : machine();
  owner.distributor.raise_hardware(cpu(), interrupt);
  if (interrupt >= kFirstShared) kick_others();
}

void El2Host::deactivate(unsigned interrupt) { write(R::ICC_DIR_EL1, interrupt); }

void El2Host::release_interrupts() {
  for (const unsigned interrupt : machine().distributor.take_released(cpu())) {
    act(actions::kDeactivate, interrupt);
    deactivate(interrupt);
  }
}

/// What the guest switches on or off of its own hardware's interrupts, the physical controller must follow.
void El2Host::forward_to_controller(GuestPhysicalAddress address, unsigned size, std::uint64_t value) {
  const bool redistributor = address.value >= kRedistributorBase.value;
  const std::uint64_t offset = address.value - (redistributor ? kRedistributorBase : kDistributorBase).value;
  if (redistributor) {
    const std::uint64_t within = offset % kRedistributorBytes;
    // With two machines a timer that one switches off is still the other's.
    const bool enable = within == kPrivateFrame + kSetEnable;
    const bool disable = within == kPrivateFrame + kClearEnable && machines_.size() == 1;
    const std::uint64_t passed = value & kPassedPrivate;
    if ((!enable && !disable) || passed == 0) return;
    act(actions::kControllerForward, address.value, passed);
    physical_redistributors().write(offset, size, passed);
    return;
  }
  const bool shared = (offset >= kSetEnable && offset < kEnableEnd && offset % 0x80 >= 4) ||
                      (offset >= kConfiguration + 8 && offset < kConfigurationEnd) ||
                      (offset >= kFirstRoute && offset < kRouteEnd);
  if (!shared || machine().number != 0) return;
  act(actions::kControllerForward, address.value, value);
  physical_distributor().write(offset, size, value);
}

// --- list registers --------------------------------------------------------------------------------------------------

void El2Host::read_list() {
  VirtualDistributor& distributor = machine().distributor;
  const std::uint64_t control = read(R::ICH_HCR_EL2);
  const auto ended = static_cast<unsigned>((control & ich_hcr::kEndCount) >> kEndCountShift);
  if (!distributor.in_use(cpu()) && ended == 0) return;
  act(actions::kReadList, cpu());
  ListRegisters registers{};
  std::transform(kListRegisterNames.begin(), kListRegisterNames.end(), registers.begin(),
                 [&](R name) { return read(name); });
  distributor.fold(cpu(), registers, ended);
  retract_fallen_lines();
  if (ended != 0) write(R::ICH_HCR_EL2, control & ~std::uint64_t{ich_hcr::kEndCount});
}

std::uint64_t El2Host::physical_pending(unsigned core, unsigned first) {
  if (first >= kFirstShared) return machine().number == 0 ? physical_distributor().read(kSetPending + first / 8, 4) : 0;
  return physical_redistributors().read(core * kRedistributorBytes + kPrivateFrame + kSetPending, 4) & kPassedPrivate;
}

/// While an interrupt is active in the hardware, its pending bit there is its line.
void El2Host::retract_fallen_lines() {
  for (const unsigned interrupt : machine().distributor.pending_levels(cpu())) {
    const unsigned first = interrupt / 32 * 32;
    const bool owned = interrupt < kFirstShared || machine().number == 0;
    if (!owned || (physical_pending(cpu(), first) >> (interrupt - first) & 1) != 0) continue;
    act(actions::kRetract, interrupt);
    machine().distributor.retract(cpu(), interrupt);
    deactivate(interrupt);
  }
}

void El2Host::write_list() {
  const VirtualDistributor::Fill fill = machine().distributor.fill(cpu());
  for (std::size_t index = 0; index < kListRegisters; ++index) {
    const std::uint64_t entry = fill.registers[index];
    if (read(kListRegisterNames[index]) == entry) continue;
    const auto interrupt = list_register::interrupt_of(entry);
    const bool pending = (entry & list_register::kPending) != 0;
    if (pending)
      act(actions::kInject, interrupt, entry);
    else
      act(actions::kWriteList, index, entry);
    write(kListRegisterNames[index], entry);
  }
  update(R::ICH_HCR_EL2, ich_hcr::kEnable | (fill.more_waiting ? ich_hcr::kUnderflow : 0) |
                             (fill.active_left_out ? ich_hcr::kEntryNotPresent : 0));
}

void El2Host::kick_others() {
  for (unsigned target = 0; target < context_.config.cpus; ++target) {
    if (target == cpu() || !core_->core(target)->state().powered || !machine().distributor.waiting(target)) continue;
    act(actions::kKick, target);
    write(R::ICC_SGI1R_EL1, std::uint64_t{kKickInterrupt} << 24 | std::uint64_t{1} << target);
  }
}

}  // namespace shearling::arm
