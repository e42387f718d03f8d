// SPDX-License-Identifier: GPL-3.0-or-later
//
// Machines with AArch64 guests, for tests.
#pragma once

#include "isa-arm/isa_arm.h"
#include "tests/support/aarch64_guests.h"
#include "tests/support/guest_machine.h"

namespace shearling::testing {

inline std::unique_ptr<Machine> arm_machine(const QString& guest, VmmTechnique technique,
                                            const std::string& machine = "virt") {
  arm::register_arm();
  return guest_machine(guest, technique, machine);
}

/// The machine for a guest: as many cores as it wants, EL2, and every feature where its QEMU has "-cpu max".
inline std::string machine_for(const test::Aarch64Guest& guest) {
  if (guest.cpus == 2) return "virt-smp";
  return std::string(guest.machine) + (std::string_view(guest.cpu) == "max" ? "-max" : "");
}

inline bool has_el2(const test::Aarch64Guest& guest) { return std::string_view(guest.machine) == "virt-el2"; }

}  // namespace shearling::testing
