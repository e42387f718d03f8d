// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where a load or store goes, and how its address must be aligned where SCTLR_ELx.A asks for it. Arm Architecture
// Reference Manual (DDI 0487), C4.1.94 (loads and stores) and B2.5.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace shearling::arm {

struct MemoryOperand {
  std::uint64_t address = 0;
  unsigned alignment = 1;  ///< Bytes: of one element or register.
  bool write = false;
};

/// `read` gives general registers, 31 being the stack pointer. Nothing for what is no load or store, or accesses bytes.
std::optional<MemoryOperand> memory_operand(std::uint32_t instruction, std::uint64_t program_counter,
                                            const std::function<std::uint64_t(unsigned)>& read);

}  // namespace shearling::arm
