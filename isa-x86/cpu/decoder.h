// SPDX-License-Identifier: GPL-3.0-or-later
//
// Decodes and classifies instructions: innocuous ones go to the engine, all others to the table of instructions that
// the processor executes itself. Decoding is a pure function of bytes and mode; results are cached by content.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "cache-sim/address.h"
#include "core/events/event.h"

namespace shearling::x86 {

/// Which of our own instruction routines executes it. Innocuous and InnocuousRepeated go to the engine.
enum class Operation : std::uint8_t {
  Innocuous,
  InnocuousRepeated,
  InnocuousFloatingPoint /* checked against CR0.EM/TS, CR4.OSFXSR first */,
  Undefined,
  Cpuid,
  Hlt,
  Cli,
  Sti,
  Lgdt,
  Lidt,
  Sgdt,
  Sidt,
  Lldt,
  Sldt,
  Ltr,
  Str,
  Lmsw,
  Smsw,
  Clts,
  MovFromCr,
  MovToCr,
  MovFromDr,
  MovToDr,
  Rdmsr,
  Wrmsr,
  Rdtsc,
  Rdtscp,
  Rdpmc,
  In,
  Out,
  StringIo,
  Invlpg,
  Invpcid,
  Invd,
  Wbinvd,
  Swapgs,
  Syscall,
  Sysret,
  Sysenter,
  Sysexit,
  Int,
  Int3,
  Into,
  Iret,
  Pushf,
  Popf,
  MovFromSegment,
  MovToSegment,
  PushSegment,
  PopSegment,
  FarJump,
  FarCall,
  FarReturn,
  LoadFarPointer,
  Lar,
  Lsl,
  Verr,
  Verw,
  Clac,
  Stac,
  RdFsBase,
  RdGsBase,
  WrFsBase,
  WrGsBase,
  Vmcall,
  Vmxinstruction,
  Monitor,
  Mwait,
  Xgetbv,
  Xsetbv,
  Pause,
  Fxsave,
  Fxrstor,
};

/// A memory or register operand, as encoded. Registers in encoding order (0 RAX ... 15 R15).
struct DecodedOperand {
  enum class Kind : std::uint8_t { None, Register, Memory, Immediate } kind = Kind::None;
  std::uint8_t reg = 0;               ///< Register; control, debug and segment registers by their own numbers.
  std::uint8_t size = 0;              ///< Bytes.
  bool high_byte = false;             ///< Register: AH, CH, DH or BH (`reg` 0 to 3).
  std::int8_t base = -1, index = -1;  ///< Memory: registers, -1 none, 16 RIP (already the next instruction's address).
  std::uint8_t scale = 1;
  std::int8_t segment = -1;       ///< Memory: override or default segment register (encoding order).
  std::int64_t displacement = 0;  ///< Memory: displacement. Immediate: value.
};

struct DecodedInstruction {
  std::uint8_t length = 0;  ///< Bytes; 0 where the bytes are no instruction (#UD) or too few.
  bool truncated = false;   ///< Length 0 because the bytes end too early; no instruction is longer than 15.
  Operation operation = Operation::Undefined;
  InstructionClass classification = InstructionClass::Innocuous;
  std::uint8_t operand_size = 4;  ///< Bytes: 2, 4 or 8.
  std::uint8_t address_size = 8;
  bool rep = false, repne = false, lock = false;
  std::uint16_t opcode = 0;    ///< Opcode map in the high byte (0, 0x0f, 0x38, 0x3a), opcode in the low one.
  std::uint8_t extension = 0;  ///< ModRM bits 5:3, with ModRM only.
  std::array<DecodedOperand, 2> operands{};  ///< Destination first.
  [[nodiscard]] bool innocuous() const { return operation <= Operation::InnocuousFloatingPoint; }
};

/// Which state an InnocuousFloatingPoint instruction uses, and so which checks come first (SDM volume 3A, section 2.5).
enum class FloatingPointUse : std::uint8_t { None, X87, Wait, Mmx, Sse, SaveRestore };
FloatingPointUse floating_point_use(const DecodedInstruction& instruction);

/// 64-bit mode or 32-bit (protected and compatibility). The VEX and EVEX encodings are no instructions here: the core
/// has no AVX.
DecodedInstruction decode(std::span<const std::uint8_t> bytes, bool sixty_four_bit);
/// Intel syntax.
std::string disassemble(std::span<const std::uint8_t> bytes, VirtualAddress address, bool sixty_four_bit);

}  // namespace shearling::x86
