// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/machine/processor.h"

namespace shearling::arm {

/// Makes AArch64 known to the machine. Call once at start-up.
void register_arm();
const Isa& arm_isa();

}  // namespace shearling::arm
