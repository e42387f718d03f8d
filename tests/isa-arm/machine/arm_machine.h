// SPDX-License-Identifier: GPL-3.0-or-later
//
// Machines with AArch64 guests, for tests.
#pragma once

#include "isa-arm/isa_arm.h"
#include "tests/support/guest_machine.h"

namespace shearling::testing {

inline std::unique_ptr<Machine> arm_machine(const QString& guest, VmmTechnique technique,
                                            const std::string& machine = "virt") {
  arm::register_arm();
  return guest_machine(guest, technique, machine);
}

}  // namespace shearling::testing
