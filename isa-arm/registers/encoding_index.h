// SPDX-License-Identifier: GPL-3.0-or-later
//
// What an encoding of MRS, MSR or SYS stands for: a register, FEAT_VHE's alias of one, an instruction, a space without
// registers of its own, or nothing. One load from a table of all encodings, filled at the first use.
#pragma once

#include <cstdint>

#include "isa-arm/registers/system_registers.h"

namespace shearling::arm {

struct EncodingMeaning {
  enum class Kind : std::uint8_t {
    Nothing,
    Register,     ///< system_register_table()
    Alias,        ///< host_redirections()
    Instruction,  ///< system_instruction_table()
    Space,        ///< encoding_spaces()
  } kind = Kind::Nothing;
  std::uint8_t index = 0;
};
EncodingMeaning meaning_of(SystemEncoding encoding);

}  // namespace shearling::arm
