// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whether guest, machine description and technique fit together, before a machine is built: what neither the reader of
// descriptions nor the loader can know alone, because it depends on which ISAs the program was built with.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/machine/processor.h"

namespace shearling {

/// The description's ISA; or what is wrong, with its place in the description where that is to blame.
Result<const Isa*> check_setup(const MachineConfig& config, const std::string& machine_name, const ElfImage& image,
                               VmmTechnique technique);
/// The machine for this image when nobody names one.
Result<std::string> default_machine_for(const ElfImage& image);

}  // namespace shearling
