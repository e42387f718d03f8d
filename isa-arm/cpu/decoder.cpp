// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/cpu/decoder.h"

#include <capstone/capstone.h>

#include <array>
#include <cstring>

namespace shearling::arm {
namespace {

struct Pattern {
  std::uint32_t mask;
  std::uint32_t value;
  Operation operation;
};

// The first row that fits decides.
constexpr std::array kPatterns{
    Pattern{0xffff0000, 0x00000000, Operation::Undefined},  // UDF
    Pattern{0xffe0001f, 0xd4000001, Operation::Svc},
    Pattern{0xffe0001f, 0xd4000002, Operation::Hvc},
    Pattern{0xffe0001f, 0xd4000003, Operation::Smc},
    Pattern{0xffe0001f, 0xd4200000, Operation::Brk},
    Pattern{0xff000000, 0xd4000000, Operation::Undefined},  // HLT, DCPS, unallocated
    Pattern{0xffffffff, 0xd69f03e0, Operation::Eret},
    Pattern{0xffffffff, 0xd6bf03e0, Operation::Undefined},  // DRPS
    Pattern{0xffffffff, 0xd503205f, Operation::Wfe},
    Pattern{0xffffffff, 0xd503207f, Operation::Wfi},
    Pattern{0xffffffff, 0xd503209f, Operation::SendEvent},
    Pattern{0xffffffff, 0xd50320bf, Operation::SendEventLocal},
    Pattern{0xfffff01f, 0xd503201f, Operation::Innocuous},  // all other hints
    Pattern{0xfffff0ff, 0xd503305f, Operation::ClearExclusive},
    Pattern{0xfffff0ff, 0xd503309f, Operation::Innocuous},  // DSB
    Pattern{0xfffff0ff, 0xd50330bf, Operation::Innocuous},  // DMB
    Pattern{0xfffff0ff, 0xd50330df, Operation::Innocuous},  // ISB
    Pattern{0xfff8f01f, 0xd500401f, Operation::MoveToState},
    Pattern{0xfff80000, 0xd5000000, Operation::Undefined},  // what else has op0 = 0
    Pattern{0xfff80000, 0xd5200000, Operation::Undefined},
    Pattern{0xffd80000, 0xd5080000, Operation::System},
    Pattern{0xffdfffe0, 0xd51b4200, Operation::Innocuous},               // NZCV
    Pattern{0xffdfffc0, 0xd51b4400, Operation::InnocuousFloatingPoint},  // FPCR, FPSR
    Pattern{0xffdfffe0, 0xd51bd040, Operation::Innocuous},               // TPIDR_EL0
    Pattern{0xfff00000, 0xd5300000, Operation::ReadRegister},
    Pattern{0xfff00000, 0xd5100000, Operation::WriteRegister},
    Pattern{0xffe0001f, 0xd280001f, Operation::LessonMark},
    Pattern{0x3fe00000, 0x08400000, Operation::LoadExclusive},
    Pattern{0x3fe00000, 0x08000000, Operation::StoreExclusive},
    Pattern{0xbfe00000, 0x88600000, Operation::LoadExclusive},  // pairs; with bit 31 clear it is CASP
    Pattern{0xbfe00000, 0x88200000, Operation::StoreExclusive},
    Pattern{0x7fa08000, 0x48808000, Operation::Ordered},
    Pattern{0xbfa08000, 0x88808000, Operation::Ordered},
    Pattern{0x3f200c00, 0x38000800, Operation::Unprivileged},
    Pattern{0x0e000000, 0x0e000000, Operation::InnocuousFloatingPoint},  // data processing
    Pattern{0x0e000000, 0x0c000000, Operation::InnocuousFloatingPoint},  // loads and stores
};

struct OperationClass {
  Operation operation;
  InstructionClass instruction_class;
};
// Popek and Goldberg's words. No unprivileged AArch64 instruction is control-sensitive; what is left of the behaviour
// kind are a few identification and counter registers.
constexpr std::array kClasses{
    OperationClass{Operation::Svc, InstructionClass::ControlSensitive},
    OperationClass{Operation::Brk, InstructionClass::ControlSensitive},
    OperationClass{Operation::Undefined, InstructionClass::ControlSensitive},
    OperationClass{Operation::Hvc, InstructionClass::Privileged},
    OperationClass{Operation::Smc, InstructionClass::Privileged},
    OperationClass{Operation::Eret, InstructionClass::Privileged},
    OperationClass{Operation::Wfi, InstructionClass::Privileged},
    OperationClass{Operation::Wfe, InstructionClass::Privileged},
    OperationClass{Operation::MoveToState, InstructionClass::Privileged},
    OperationClass{Operation::Unprivileged, InstructionClass::BehaviourSensitive},
};

bool from_user_level(std::uint32_t instruction) { return ((instruction >> 16) & 7) == 3; }

}  // namespace

Operation operation_of(std::uint32_t instruction) {
  for (const Pattern& pattern : kPatterns) {
    if ((instruction & pattern.mask) == pattern.value) return pattern.operation;
  }
  return Operation::Innocuous;
}

InstructionClass class_of(Operation operation, std::uint32_t instruction) {
  for (const OperationClass& row : kClasses) {
    if (row.operation == operation) return row.instruction_class;
  }
  switch (operation) {
    case Operation::System:
    case Operation::ReadRegister:
    case Operation::WriteRegister:
      return from_user_level(instruction) ? InstructionClass::BehaviourSensitive : InstructionClass::Privileged;
    default:
      return InstructionClass::Innocuous;
  }
}

std::optional<std::uint32_t> load_store_syndrome(std::uint32_t instruction) {
  const unsigned size = instruction >> 30, opc = (instruction >> 22) & 3;
  const auto made = [&](unsigned access_size, bool sign_extends, bool sixty_four, bool ordered) {
    return 1U << 24 | access_size << 22 | (sign_extends ? 1U << 21 : 0) | register_field(instruction, 0) << 16 |
           (sixty_four ? 1U << 15 : 0) | (ordered ? 1U << 14 : 0);
  };
  const bool unsigned_offset = (instruction & 0x3f000000) == 0x39000000;
  const bool unscaled = (instruction & 0x3f200400) == 0x38000000;  // LDUR and LDTR
  const bool register_offset = (instruction & 0x3f200c00) == 0x38200800;
  if (unsigned_offset || unscaled || register_offset) {
    if (size == 3 && opc == 2) return std::nullopt;  // PRFM
    return made(size, opc >= 2, opc == 2 || (opc < 2 && size == 3), false);
  }
  const bool ordered = (instruction & 0x3fa00000) == 0x08800000;  // LDAR, STLR
  if (ordered) return made(size, false, size == 3, true);
  const bool literal = (instruction & 0x3f000000) == 0x18000000;
  if (literal && size != 3) return made(size == 1 ? 3 : 2, size == 2, size != 0, false);
  return std::nullopt;
}

std::string disassemble(std::uint32_t instruction, VirtualAddress address) {
  struct Handle {
    Handle() { open = cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &handle) == CS_ERR_OK; }
    ~Handle() {
      if (open) cs_close(&handle);
    }
    csh handle = 0;
    bool open = false;
  };
  thread_local const Handle kHandle;
  if (!kHandle.open) return "(no disassembler)";
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &instruction, sizeof instruction);
  cs_insn* decoded = nullptr;
  const std::size_t count = cs_disasm(kHandle.handle, bytes.data(), bytes.size(), address.value, 1, &decoded);
  if (count == 0) return "(bad)";
  std::string text = decoded->mnemonic;
  if (decoded->op_str[0] != '\0') text += std::string(" ") + decoded->op_str;
  cs_free(decoded, count);
  return text;
}

}  // namespace shearling::arm
