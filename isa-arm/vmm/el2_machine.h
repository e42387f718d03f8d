// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the VMM at EL2 keeps of one virtual machine: its memory and stage 2, its interrupt controller, the part of its
// timers that it emulates, and, while another machine runs, the contents of every register that the two share.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "isa-arm/vmm/el2_host.h"

namespace shearling::arm {

/// EL1's registers, which the guest works on directly: none of them is EL2's, and all of them are one machine's.
inline constexpr std::array kSwitchedRegisters{
    SystemRegister::SCTLR_EL1,      SystemRegister::ACTLR_EL1,   SystemRegister::CPACR_EL1, SystemRegister::TTBR0_EL1,
    SystemRegister::TTBR1_EL1,      SystemRegister::TCR_EL1,     SystemRegister::SPSR_EL1,  SystemRegister::ELR_EL1,
    SystemRegister::AFSR0_EL1,      SystemRegister::AFSR1_EL1,   SystemRegister::ESR_EL1,   SystemRegister::FAR_EL1,
    SystemRegister::PAR_EL1,        SystemRegister::MAIR_EL1,    SystemRegister::AMAIR_EL1, SystemRegister::VBAR_EL1,
    SystemRegister::CONTEXTIDR_EL1, SystemRegister::TPIDRRO_EL0, SystemRegister::TPIDR_EL1, SystemRegister::CNTKCTL_EL1,
    SystemRegister::CSSELR_EL1,     SystemRegister::MDSCR_EL1};

struct SavedContext {
  EngineState engine;                             ///< X0 to X30, TPIDR_EL0, SIMD; its SP and PC are the VMM's.
  std::array<std::uint64_t, 2> stack_pointers{};  ///< SP_EL0, SP_EL1
  std::uint64_t return_address = 0, return_state = 0;
  std::array<std::uint64_t, kSwitchedRegisters.size()> system{};
  std::uint64_t timer_control = 0, timer_compare = 0;                         ///< The EL1 virtual timer.
  std::uint64_t interface_control = 0, active_group0 = 0, active_group1 = 0;  ///< ICH_VMCR, ICH_AP0R0, ICH_AP1R0

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(engine, stack_pointers, return_address, return_state, system, timer_control, timer_compare,
            interface_control, active_group0, active_group1);
  }
};

struct El2Host::VirtualMachine {
  /// The EL1 physical timer as the guest sees it: in guest ticks.
  struct PhysicalTimer {
    std::uint64_t control = 0, compare = 0;
    template <typename Archive>
    void serialize(Archive& archive) {
      archive(control, compare);
    }
  };

  VirtualMachine(const MachineContext& context, VmmFrames& frames, unsigned machine_number, bool hardware_management)
      : number(machine_number),
        memory(context.memory, {.base = {context.memory.base().value},
                                .ram_bytes = context.config.ram_bytes,
                                .largest_unit = context.config.vmm.nested_page,
                                .guests = context.config.vmm.virtual_machines,
                                .guest = machine_number}),
        tables(memory, frames, hardware_management),
        distributor(context.config.cpus),
        physical_timers(context.config.cpus) {}

  /// VMID 0 is left to whoever uses none.
  [[nodiscard]] std::uint64_t identifier() const { return number + 1; }
  [[nodiscard]] std::uint64_t translation_base() { return identifier() << 48 | tables.root().value; }

  unsigned number;
  GuestMemory memory;
  StageTwoTables tables;
  VirtualDistributor distributor;
  std::vector<PhysicalTimer> physical_timers;  ///< By core.
  bool on = true;
  bool waiting = false;  ///< In WFI, with two machines.
  std::string console;
  SavedContext saved;  ///< While it does not run.

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(memory, tables, distributor, physical_timers, on, waiting, console, saved);
  }
};

}  // namespace shearling::arm
