// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMM that uses VT-x: one guest, one virtual processor. It sets up VMX operation and a VMCS, backs guest RAM and
// fills the EPT on demand, emulates what leaves the guest (CPUID, control registers, MSRs, ports, the local APIC's
// page), keeps a virtual local APIC on the machine's own timer, and injects interrupts.
// Guest time is VirtualTime::guest_ticks(): the TSC offset hides the VMM's cycles, and the physical timer is programmed
// to the tick at which the virtual one expires, so that the guest is interrupted at the same instruction as without a
// VMM.
#pragma once

#include <memory>

#include "isa-x86/apic/local_apic.h"
#include "isa-x86/mmu/mmu.h"
#include "isa-x86/vmm/host.h"
#include "isa-x86/vmx/vmx_unit.h"

namespace shearling::x86 {

/// All borrowed; `physical_apic` is the machine's own.
std::unique_ptr<Host> make_vtx_host(MachineContext context, SystemState& state, VmxUnit& vmx, Mmu& mmu,
                                    LocalApic& physical_apic);

/// Physical memory that the machine must have: guest RAM, the VMM's own, and alignment.
std::uint64_t vtx_physical_memory_bytes(const MachineConfig& config);

/// Hypercalls (VMCALL from ring 0): number in RAX, argument in RBX, result in RAX; all ones where there is none.
enum class HypercallNumber : std::uint64_t { Version = 0, PrintCharacter = 1, CyclesInVmm = 2 };
inline constexpr std::uint64_t kHypercallVersion = 1;

/// CPUID leaves that only a hypervisor answers; the vendor is "ShearlingVMM" in EBX, ECX, EDX.
inline constexpr std::uint32_t kHypervisorLeaf = 0x40000000, kHypervisorInterfaceLeaf = 0x40000001;

}  // namespace shearling::x86
