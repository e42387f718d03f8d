// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which A64 instructions reach the engine and which the core executes itself: a classification, not a disassembler.
// Innocuous ones depend on nothing but general and SIMD registers and memory at the level's own rights. Arm
// Architecture Reference Manual (DDI 0487), C4.1 (encoding index).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/events/event.h"
#include "isa-arm/registers/system_registers.h"

namespace shearling::arm {

enum class Operation : std::uint8_t {
  Innocuous,
  InnocuousFloatingPoint,  ///< FP or Advanced SIMD: may be trapped.
  Undefined,               ///< UDF, HLT and DCPS without a debugger, DRPS.
  Svc,
  Hvc,
  Smc,
  Brk,
  Eret,
  Wfi,
  Wfe,
  SendEvent,       ///< SEV
  SendEventLocal,  ///< SEVL
  ClearExclusive,
  LoadExclusive,   ///< LDXR, LDAXR, LDXP, LDAXP
  StoreExclusive,  ///< STXR, STLXR, STXP, STLXP
  Ordered,         ///< LDAR, STLR of more than a byte: always aligned
  Unprivileged,    ///< LDTR, STTR and their kin
  MoveToState,     ///< MSR (immediate)
  System,          ///< SYS, SYSL: AT, DC, IC, TLBI
  ReadRegister,    ///< MRS
  WriteRegister,   ///< MSR (register)
  LessonMark,      ///< MOVZ XZR, #imm: architecturally nothing, here a mark of the guest's lesson.
};

Operation operation_of(std::uint32_t instruction);
InstructionClass class_of(Operation operation, std::uint32_t instruction);

/// The syndrome of a data abort by a single load or store of a general register, ISS[24:14] (ISV and what follows);
/// nothing where the architecture gives none (pairs, writeback, SIMD, exclusives, atomics). DDI 0487, D19.2.37.
std::optional<std::uint32_t> load_store_syndrome(std::uint32_t instruction);

constexpr unsigned register_field(std::uint32_t instruction, unsigned low) { return (instruction >> low) & 31; }
constexpr std::uint16_t immediate16(std::uint32_t instruction) { return static_cast<std::uint16_t>(instruction >> 5); }

std::string disassemble(std::uint32_t instruction, VirtualAddress address);

}  // namespace shearling::arm
