// SPDX-License-Identifier: GPL-3.0-or-later
//
// Emulates one innocuous instruction whose memory operand is a device: what a VMM does after an EPT violation outside
// RAM. MOV (all forms), MOVZX, MOVSX, MOVSXD, ADD ADC SUB SBB AND OR XOR CMP TEST with register or immediate, XCHG,
// INC, DEC, NOT, NEG. The address needs no decoding: the exit gave it. Left out: string moves, stack operands, bit
// tests, vector moves, 16-bit addressing (the caller is told).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace shearling::x86 {

/// The guest as the emulation sees it.
struct EmulationTarget {
  std::function<std::uint64_t(unsigned)> read_register;  ///< Encoding order, all 64 bits.
  std::function<void(unsigned, std::uint64_t)> write_register;
  std::function<std::uint64_t(unsigned size)> read_memory;  ///< The operand, from the device.
  std::function<void(unsigned size, std::uint64_t)> write_memory;
  std::uint64_t rflags = 0;  ///< In and out.
};

/// Length in bytes, or nothing where the instruction is not one of those above (nothing has been changed then).
std::optional<unsigned> emulate_memory_instruction(std::span<const std::uint8_t> bytes, bool sixty_four_bit,
                                                   EmulationTarget& target);

}  // namespace shearling::x86
