// SPDX-License-Identifier: GPL-3.0-or-later
//
// The guest's own page tables as a VMM reads them in software, to fetch the bytes of an instruction that it must
// emulate and to reach that instruction's memory operands (SDM volume 3A, chapter 4). It checks what the hardware walk
// would check, and sets Accessed and Dirty flags where it succeeds.
// Left out: 32-bit and PAE paging without long mode, as in the MMU.
#pragma once

#include <cstdint>
#include <variant>

#include "core/memory/physical_memory.h"
#include "isa-x86/mmu/mmu.h"
#include "isa-x86/vmm/nested_memory.h"
#include "isa-x86/vmx/vmcs.h"

namespace shearling::x86 {

class GuestTables {
 public:
  /// All borrowed. The guest's control registers come from the VMCS: valid after an exit.
  GuestTables(const Vmcs& vmcs, NestedMemory& nested, PhysicalMemory& memory)
      : vmcs_(vmcs), nested_(nested), memory_(memory) {}

  struct NoMemory {};  ///< A paging mode that is left out.
  using Result = std::variant<GuestPhysicalAddress, PageFault, NoMemory>;
  Result translate(VirtualAddress address, AccessKind kind, unsigned cpl);

 private:
  const Vmcs& vmcs_;
  NestedMemory& nested_;
  PhysicalMemory& memory_;
};

}  // namespace shearling::x86
