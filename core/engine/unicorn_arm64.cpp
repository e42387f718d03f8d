// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is AArch64's own in the engine. Unicorn stays at its own EL1h for ever and executes innocuous instructions only,
// whatever level the guest is at; its system registers are nobody's but the engine's. What was measured with Unicorn
// 2.1.1, and decided from it:
// - Single steps use the architecture's software step (MDSCR_EL1.SS, PSTATE.SS; Arm Architecture Reference Manual, DDI
//   0487, Software Step exceptions). A translation block is then one instruction, the target of a branch is not
//   fetched, and the step ends in an exception with PSTATE.SS clear; it is set for an instruction that Unicorn does not
//   know, which has the same number. Unicorn honours it only where SCR_EL3.RW says that EL1 is AArch64, which it does
//   not after reset.
// - Unicorn's own pages have 1 KB, a translation block never leaves one, and so nothing is ever fetched ahead. An
//   access that crosses from one into another is reported as one that crosses a page of 4 KB.
// - PSTATE's fields take effect when a system register is written next.
#include <array>

#include "core/engine/unicorn_architecture.h"

namespace shearling {

namespace {

constexpr std::uint64_t kNzcv = 0xf0000000;
constexpr std::uint32_t kUndefinedOrStepped = 1;
constexpr unsigned kStackPointer = 31;
constexpr unsigned kGeneralRegisters = 31, kVectors = 32;
/// PSTATE (as in SPSR): EL1h, interrupts masked, debug exceptions not; SS is the state of software step.
constexpr std::uint64_t kPstate = 0x1c5, kPstateSoftwareStep = std::uint64_t{1} << 21;

/// A system register by its encoding in MSR and MRS, with its value.
struct SystemWrite {
  std::uint32_t op0, op1, crn, crm, op2;
  std::uint64_t value;
};
constexpr SystemWrite kScrEl3{3, 6, 1, 1, 0, 0x430};       ///< RW, and two bits that are 1.
constexpr SystemWrite kCpacrEl1{3, 0, 1, 0, 2, 0x300000};  ///< FPEN: floating point and vectors everywhere.
constexpr SystemWrite kStepping{2, 0, 0, 2, 2, 0x2001};    ///< MDSCR_EL1.KDE and SS.
constexpr SystemWrite kNotStepping{2, 0, 0, 2, 2, 0};      ///< MDSCR_EL1.

bool write_system(uc_engine* uc, const SystemWrite& write) {
  uc_arm64_cp_reg reg{write.crn, write.crm, write.op0, write.op1, write.op2, write.value};
  return uc_reg_write(uc, UC_ARM64_REG_CP_REG, &reg) == UC_ERR_OK;
}

std::uint64_t read_pstate(uc_engine* uc) {
  std::uint64_t pstate = 0;
  uc_reg_read(uc, UC_ARM64_REG_PSTATE, &pstate);
  return pstate;
}

bool set_up(uc_engine* uc) {
  const std::uint64_t pstate = kPstate;
  return write_system(uc, kScrEl3) && uc_reg_write(uc, UC_ARM64_REG_PSTATE, &pstate) == UC_ERR_OK &&
         write_system(uc, kCpacrEl1);
}

void set_stepping(uc_engine* uc, bool stepping) {
  const std::uint64_t pstate = (read_pstate(uc) & kNzcv) | kPstate | (stepping ? kPstateSoftwareStep : 0);
  uc_reg_write(uc, UC_ARM64_REG_PSTATE, &pstate);
  write_system(uc, stepping ? kStepping : kNotStepping);
}

/// PSTATE.SS has become 0, and is set again for the next step.
bool completed_step(uc_engine* uc, std::uint32_t vector) {
  const std::uint64_t pstate = read_pstate(uc);
  if (vector != kUndefinedOrStepped || (pstate & kPstateSoftwareStep) != 0) return false;
  const std::uint64_t next = pstate | kPstateSoftwareStep;
  uc_reg_write(uc, UC_ARM64_REG_PSTATE, &next);
  return true;
}

std::span<std::uint64_t> words_of(EngineState& state, EngineRegister reg) {
  switch (reg.register_class) {
    case RegisterClass::Integer:
      return std::span(state.integer).subspan(reg.index & 31, 1);
    case RegisterClass::ProgramCounter:
      return {&state.program_counter, 1};
    case RegisterClass::Flags:
      return {&state.flags, 1};
    case RegisterClass::SegmentBase:
      return reg.index == 0 ? std::span(state.segment_base).first(1) : std::span<std::uint64_t>{};
    case RegisterClass::Vector:
      return state.vector[reg.index & 31];
    case RegisterClass::VectorControl:
      return std::span(state.vector_control).subspan(reg.index & 1, 1);
    case RegisterClass::FloatingPoint:
      break;
  }
  return {};
}

void normalize(EngineState& state) { state.flags &= kNzcv; }

RegisterList make_register_list() {
  RegisterList list;
  list.add(RegisterClass::ProgramCounter, 0, UC_ARM64_REG_PC);
  list.add(RegisterClass::Flags, 0, UC_ARM64_REG_NZCV);
  for (unsigned index = 0; index + 2 < kGeneralRegisters; ++index) {
    list.add(RegisterClass::Integer, index, UC_ARM64_REG_X0 + static_cast<int>(index));
  }
  list.add(RegisterClass::Integer, 29, UC_ARM64_REG_X29);
  list.add(RegisterClass::Integer, 30, UC_ARM64_REG_X30);
  list.add(RegisterClass::Integer, kStackPointer, UC_ARM64_REG_SP);
  list.add(RegisterClass::SegmentBase, 0, UC_ARM64_REG_TPIDR_EL0);
  for (unsigned index = 0; index < kVectors; ++index) {
    list.add(RegisterClass::Vector, index, UC_ARM64_REG_Q0 + static_cast<int>(index));
  }
  list.add(RegisterClass::VectorControl, 0, UC_ARM64_REG_FPCR);
  list.add(RegisterClass::VectorControl, 1, UC_ARM64_REG_FPSR);
  return list;
}

UnicornArchitecture make_architecture() {
  UnicornArchitecture made{};
  made.mode = ExecutionMode::AArch64;
  made.first_handle = 0;
  made.arch = UC_ARCH_ARM64;
  made.width = UC_MODE_ARM;
  // Armv8.0 with CRC32 and the cryptographic instructions; no large-system atomics, no pointer authentication.
  made.cpu_model = UC_CPU_ARM64_A72;
  made.physical_end = std::uint64_t{1} << 48;
  made.address_mask = ~std::uint64_t{0};
  made.translation_unit = 1024;
  made.longest_instruction = 4;
  made.carried_flags = kNzcv;
  made.program_counter = UC_ARM64_REG_PC;
  made.registers = make_register_list();
  made.initial.mode = ExecutionMode::AArch64;
  made.set_up = &set_up;
  made.set_stepping = &set_stepping;
  made.completed_step = &completed_step;
  made.words_of = &words_of;
  made.normalize = &normalize;
  return made;
}

}  // namespace

const UnicornArchitecture& arm64_architecture() {
  static const UnicornArchitecture architecture = make_architecture();
  return architecture;
}

}  // namespace shearling
