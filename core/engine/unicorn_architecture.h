// SPDX-License-Identifier: GPL-3.0-or-later
//
// What Unicorn needs to be told, and does differently, for each kind of code that the engine executes: one table for
// each execution mode. All else (translated code, plans, fills, steps, observed runs) is the same for all of them.
#pragma once

#include <unicorn/unicorn.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/engine.h"

namespace shearling {

/// The register file of one mode as Unicorn names it, in the order in which it must be written.
struct RegisterList {
  std::vector<EngineRegister> names;
  std::vector<int> ids;

  void add(RegisterClass register_class, unsigned index, int id) {
    names.push_back({register_class, static_cast<std::uint8_t>(index)});
    ids.push_back(id);
  }
};
inline constexpr std::size_t kMostRegisters = 72;

struct UnicornArchitecture {
  ExecutionMode mode;
  unsigned first_handle;  ///< Of the three that serve this mode, among the six that an engine may have.
  uc_arch arch;
  uc_mode width;
  int cpu_model;
  std::uint64_t physical_end;      ///< RAM and devices lie below.
  std::uint64_t address_mask;      ///< What wraps around at the end of the address space.
  std::uint64_t translation_unit;  ///< Unicorn's own page: fills, and accesses that cross, go by it.
  std::uint32_t longest_instruction;
  std::uint64_t carried_flags;   ///< The flags that are the engine's,
  std::uint64_t constant_flags;  ///< those that are always set,
  std::uint64_t stepping_flags;  ///< and those that make a stepping handle stop after each instruction.
  int program_counter;           ///< Unicorn's name.
  /// Exceptions of Unicorn's own are the instruction's; else they only say that Unicorn cannot execute it.
  bool has_native_exceptions;
  RegisterList registers;
  EngineState initial;

  /// Control registers of a handle that has just been opened.
  bool (*set_up)(uc_engine* uc);
  /// Whether the handle stops after each instruction, with an exception of which completed_step() tells.
  void (*set_stepping)(uc_engine* uc, bool stepping);
  /// True when this exception says that a stepping handle has completed an instruction.
  bool (*completed_step)(uc_engine* uc, std::uint32_t vector);
  /// The 64-bit words of a register within an EngineState: one, or two for vectors and x87 registers. Empty where this
  /// architecture has no such register.
  std::span<std::uint64_t> (*words_of)(EngineState& state, EngineRegister reg);
  /// Forces what this mode cannot hold out of a register file, and everything but the carried flags.
  void (*normalize)(EngineState& state);
  /// Registers that can be written but are not in the list. Null: there are none.
  void (*write_unlisted)(uc_engine* uc, const EngineState& state);
  /// A string instruction under a repeat prefix, which is executed in iterations. Null: there is none.
  bool (*is_repeated)(std::span<const std::uint8_t> bytes);
  /// Two bytes that, behind nothing but prefixes, are an instruction that must always be stepped. Null: there is none.
  bool (*is_always_stepped)(std::uint8_t first, std::uint8_t second);
  bool (*is_prefix)(std::uint8_t byte);
};

const UnicornArchitecture& x86_long_architecture();
const UnicornArchitecture& x86_protected_architecture();
const UnicornArchitecture& arm64_architecture();

inline const UnicornArchitecture& architecture_of(ExecutionMode mode) {
  switch (mode) {
    case ExecutionMode::X86Long64:
      return x86_long_architecture();
    case ExecutionMode::X86Protected32:
      return x86_protected_architecture();
    case ExecutionMode::AArch64:
      break;
  }
  return arm64_architecture();
}

}  // namespace shearling
