// SPDX-License-Identifier: GPL-3.0-or-later
//
// Everything that the VMM at EL2 does, with the name that cost files and lessons use. Where the VMM of VT-x does the
// same thing, it has the same name there.
#pragma once

#include <string_view>

namespace shearling::arm::actions {

struct Action {
  std::string_view name;
  std::string_view sentence;
};

// setting up
inline constexpr Action kStageTwoRoot{"stage2.create",
                                      "makes empty stage-2 tables, two at {a} side by side; VTTBR_EL2 is {b}"};
inline constexpr Action kControls{"el2.write-controls", "writes what traps: HCR_EL2 {a}, VTCR_EL2 {b}"};
inline constexpr Action kInterruptController{"gic.start",
                                             "starts the physical interrupt controller's part for core {a}: end of "
                                             "interrupt drops the priority, deactivation is a step of its own"};
inline constexpr Action kGuestState{"el2.write-guest", "sets where the guest begins: ELR_EL2 {a}, SPSR_EL2 {b}"};
inline constexpr Action kCopyGuest{"vm.copy",
                                   "gives virtual machine {a} its own copy of the image: {b} pages or blocks"};
// every exit
inline constexpr Action kDispatch{"exit.dispatch", "reads ESR_EL2 ({a}) and finds the handler of class {b}"};
inline constexpr Action kSkip{"instruction.skip", "moves ELR_EL2 from {a} to {b}, behind the instruction"};
inline constexpr Action kHideTime{"counter.hide",
                                  "sets CNTVOFF_EL2 to {a}, so that the guest does not see the VMM's cycles"};
inline constexpr Action kException{"exception.inject",
                                   "lets the guest take an exception at EL1: ESR_EL1 {a}, vector {b}"};
// memory
inline constexpr Action kTable{"stage2.table", "adds {a} tables to stage 2"};
inline constexpr Action kMap{"stage2.map",
                             "backs intermediate address {a} with the frame {b} and enters it into stage 2"};
inline constexpr Action kWalkGuest{"stage1.walk",
                                   "walks the guest's own tables in software for {a}: level {b} is at fault"};
inline constexpr Action kDeviceRead{"mmio.read", "reads the device at intermediate address {a}: {b}"};
inline constexpr Action kDeviceWrite{"mmio.write", "writes {b} to the device at intermediate address {a}"};
inline constexpr Action kControllerRead{"vgic.read", "reads the virtual interrupt controller at {a}: {b}"};
inline constexpr Action kControllerWrite{"vgic.write", "writes {b} to the virtual interrupt controller at {a}"};
inline constexpr Action kControllerForward{"gic.forward", "lets the physical interrupt controller follow at {a}: {b}"};
inline constexpr Action kConsole{"console.keep",
                                 "keeps the character {a} of virtual machine {b} on a console of its own"};
inline constexpr Action kIgnoreDevice{"mmio.none", "has no such device for this virtual machine: {a}"};
// calls and emulation
inline constexpr Action kHypercall{"hypercall.serve", "serves function {a} in place of the firmware: {b}"};
inline constexpr Action kPowerOn{"cpu.on", "starts core {a} for the guest at {b}"};
inline constexpr Action kPowerOff{"cpu.off", "switches core {a} off"};
inline constexpr Action kHalt{"vcpu.halt", "lets the core wait for an interrupt in the guest's place"};
inline constexpr Action kYield{"vcpu.yield", "takes WFE as an offer to let others run"};
inline constexpr Action kIdentification{"id.emulate", "gives the guest the identification register {a} = {b}"};
inline constexpr Action kSystemRead{"msr.read", "gives the guest the system register {a} = {b}"};
inline constexpr Action kSystemWrite{"msr.write", "sets the guest's system register {a} to {b}"};
inline constexpr Action kSetWay{
    "cache.set-way", "does nothing for cache maintenance by set and way {a}: the caches are not the guest's"};
inline constexpr Action kPhysicalTimer{"timer.arm",
                                       "programs the EL1 physical timer for the guest: control {a}, compare value {b}"};
// interrupts
inline constexpr Action kAcknowledge{"interrupt.acknowledge",
                                     "acknowledges the physical interrupt {a} and drops its priority"};
inline constexpr Action kDeactivate{"interrupt.deactivate", "deactivates the physical interrupt {a}"};
inline constexpr Action kReadList{"list.read", "reads back the list registers of core {a}"};
inline constexpr Action kRetract{"interrupt.retract",
                                 "takes interrupt {a} back, which the guest has not acknowledged: its line has fallen"};
inline constexpr Action kWriteList{"list.write", "writes list register {a}: {b}"};
inline constexpr Action kInject{"interrupt.inject", "makes interrupt {a} pending for the guest: list register {b}"};
inline constexpr Action kSoftwareInterrupt{"sgi.emulate",
                                           "raises software-generated interrupt {a} at the virtual cores {b}"};
inline constexpr Action kKick{"cpu.kick", "interrupts core {a}, so that it looks at its list registers"};
// two virtual machines
inline constexpr Action kSlice{"slice.arm", "programs the EL2 physical timer to end this turn at count {a}"};
inline constexpr Action kSleepUntil{"slice.sleep", "nobody has work: programs the EL2 physical timer for count {a}"};
inline constexpr Action kSwitch{"vm.switch", "changes from virtual machine {a} to {b}"};
inline constexpr Action kSwitchGeneral{
    "switch.general",
    "saves X0 to X30, the stack pointers and the return state, and loads the other's: "
    "EL2 uses the same registers"};
inline constexpr Action kSwitchVector{"switch.simd",
                                      "saves and loads V0 to V31, FPCR and FPSR: there is one SIMD register file"};
inline constexpr Action kSwitchSystem{"switch.el1",
                                      "saves and loads {a} EL1 registers: a guest at EL1 works on the real ones"};
inline constexpr Action kSwitchTimer{"switch.timer",
                                     "saves and loads the virtual timer: its compare value is {a}, and it goes on "
                                     "counting for the machine that does not run only in the VMM's books"};
inline constexpr Action kSwitchInterrupts{"switch.vgic",
                                          "saves and loads the virtual CPU interface: priority mask and active "
                                          "priorities are in ICH_VMCR_EL2 {a} and ICH_AP1R0_EL2 {b}"};
inline constexpr Action kSwitchActive{"switch.active",
                                      "sets the physical interrupts that the machine holds to active, the other's to "
                                      "inactive: interrupt {a}, active {b}"};
inline constexpr Action kSwitchStageTwo{"switch.stage2",
                                        "points VTTBR_EL2 at the other's tables: {a}; the VMID keeps the TLB's entries "
                                        "apart, so nothing is invalidated"};
inline constexpr Action kEnded{"vm.ended", "virtual machine {a} has switched itself off"};

}  // namespace shearling::arm::actions
