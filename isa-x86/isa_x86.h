// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/machine/processor.h"

namespace shearling::x86 {

/// Makes x86-64 known to the machine. Call once at start-up.
void register_x86();
const Isa& x86_isa();

}  // namespace shearling::x86
