// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/cpu/memory_operand.h"

#include <array>

namespace shearling::arm {
namespace {

using ReadRegister = std::function<std::uint64_t(unsigned)>;

constexpr unsigned bits(std::uint32_t word, unsigned high, unsigned low) {
  return word >> low & ((1U << (high - low + 1)) - 1);
}
constexpr std::uint64_t signed_bits(std::uint32_t word, unsigned high, unsigned low) {
  const unsigned unused = 63 - (high - low);
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(std::uint64_t{bits(word, high, low)} << unused) >>
                                    unused);
}
constexpr bool is_simd(std::uint32_t word) { return bits(word, 26, 26) != 0; }
constexpr unsigned base_of(std::uint32_t word) { return bits(word, 9, 5); }

/// log2 of the size of a load or store of one register.
constexpr unsigned register_scale(std::uint32_t word) {
  return is_simd(word) && bits(word, 23, 23) != 0 ? 4 : bits(word, 31, 30);
}
constexpr bool is_store(std::uint32_t word) {
  return is_simd(word) ? bits(word, 22, 22) == 0 : bits(word, 23, 22) == 0;
}

MemoryOperand literal(std::uint32_t word, std::uint64_t pc, const ReadRegister&) {
  const unsigned opc = bits(word, 31, 30);
  const unsigned scale = is_simd(word) ? 2 + opc : opc == 1 ? 3 : 2;
  return {pc + (signed_bits(word, 23, 5) << 2), 1U << scale, false};
}

MemoryOperand pair(std::uint32_t word, std::uint64_t, const ReadRegister& read) {
  const unsigned scale = is_simd(word) ? 2 + bits(word, 31, 30) : bits(word, 31, 31) != 0 ? 3 : 2;
  const bool post = bits(word, 24, 23) == 1;
  return {read(base_of(word)) + (post ? 0 : signed_bits(word, 21, 15) << scale), 1U << scale, bits(word, 22, 22) == 0};
}

MemoryOperand unsigned_offset(std::uint32_t word, std::uint64_t, const ReadRegister& read) {
  const unsigned scale = register_scale(word);
  return {read(base_of(word)) + (std::uint64_t{bits(word, 21, 10)} << scale), 1U << scale, is_store(word)};
}

MemoryOperand signed_offset(std::uint32_t word, std::uint64_t, const ReadRegister& read) {
  const bool post = bits(word, 11, 10) == 1;
  return {read(base_of(word)) + (post ? 0 : signed_bits(word, 20, 12)), 1U << register_scale(word), is_store(word)};
}

MemoryOperand register_offset(std::uint32_t word, std::uint64_t, const ReadRegister& read) {
  const unsigned scale = register_scale(word), option = bits(word, 15, 13), index = bits(word, 20, 16);
  std::uint64_t offset = index == 31 ? 0 : read(index);
  if (option == 2) offset &= 0xffffffff;                                                    // UXTW
  if (option == 6) offset = static_cast<std::uint64_t>(static_cast<std::int32_t>(offset));  // SXTW
  return {read(base_of(word)) + (offset << (bits(word, 12, 12) != 0 ? scale : 0)), 1U << scale, is_store(word)};
}

MemoryOperand ordered(std::uint32_t word, std::uint64_t, const ReadRegister& read) {
  return {read(base_of(word)), 1U << bits(word, 31, 30), bits(word, 22, 22) == 0};
}

MemoryOperand structures(std::uint32_t word, std::uint64_t, const ReadRegister& read) {
  return {read(base_of(word)), 1U << bits(word, 11, 10), bits(word, 22, 22) == 0};
}

MemoryOperand single_structure(std::uint32_t word, std::uint64_t, const ReadRegister& read) {
  static constexpr std::array<unsigned, 4> kElement{1, 2, 4, 0};
  const unsigned kind = bits(word, 15, 14);
  const bool eight = kind == 2 && bits(word, 10, 10) != 0;
  const unsigned element = kind == 3 ? 1U << bits(word, 11, 10) : eight ? 8 : kElement[kind];
  return {read(base_of(word)), element, bits(word, 22, 22) == 0};
}

// --- which words of a form are instructions: what is none is UNDEFINED before any alignment is looked at ------------

bool literal_exists(std::uint32_t word) { return !is_simd(word) || bits(word, 31, 30) != 3; }

bool pair_exists(std::uint32_t word) {
  const unsigned opc = bits(word, 31, 30);
  if (is_simd(word) || opc != 1) return opc != 3;
  return bits(word, 22, 22) != 0 && bits(word, 24, 23) != 0;  // LDPSW
}

bool register_exists(std::uint32_t word) {
  const unsigned size = bits(word, 31, 30), opc = bits(word, 23, 22);
  if (is_simd(word)) return opc < 2 || size == 0;
  return size < 2 || opc < 2 || (size == 2 && opc == 2);
}

bool signed_offset_exists(std::uint32_t word) {
  return register_exists(word) && !(is_simd(word) && bits(word, 11, 10) == 2);
}

bool register_offset_exists(std::uint32_t word) { return register_exists(word) && bits(word, 14, 14) != 0; }

bool ordered_exists(std::uint32_t word) { return bits(word, 15, 15) != 0; }

/// Without post-index the place of the index register is 0.
bool index_exists(std::uint32_t word, unsigned high) { return bits(word, 23, 23) != 0 || bits(word, high, 16) == 0; }

bool structures_exist(std::uint32_t word) {
  constexpr std::uint32_t kOpcodes = 0x5d5;       // 0, 2, 4, 6, 7, 8 and 10
  constexpr std::uint32_t kOneStructure = 0x4c4;  // LD1 and ST1: 2, 6, 7 and 10
  const bool one_lane = bits(word, 30, 30) == 0 && bits(word, 11, 10) == 3;
  const std::uint32_t opcodes = one_lane ? kOneStructure : kOpcodes;
  return (opcodes >> bits(word, 15, 12) & 1) != 0 && bits(word, 21, 21) == 0 && index_exists(word, 20);
}

bool single_structure_exists(std::uint32_t word) {
  const unsigned size = bits(word, 11, 10);
  const bool selected = bits(word, 12, 12) != 0;
  if (!index_exists(word, 20)) return false;
  switch (bits(word, 15, 14)) {
    case 0:
      return true;
    case 1:
      return (size & 1) == 0;
    case 2:
      return size == 0 || (size == 1 && !selected);
    default:
      return bits(word, 22, 22) != 0 && !selected;
  }
}

struct Form {
  std::uint32_t mask, value;
  MemoryOperand (*operand)(std::uint32_t, std::uint64_t, const ReadRegister&);
  bool (*exists)(std::uint32_t);
};
constexpr std::array kForms{Form{0x3b000000, 0x18000000, &literal, &literal_exists},
                            Form{0x3a000000, 0x28000000, &pair, &pair_exists},
                            Form{0x3b000000, 0x39000000, &unsigned_offset, &register_exists},
                            Form{0x3b200000, 0x38000000, &signed_offset, &signed_offset_exists},
                            Form{0x3b200c00, 0x38200800, &register_offset, &register_offset_exists},
                            Form{0x3fa00000, 0x08800000, &ordered, &ordered_exists},
                            Form{0xbf000000, 0x0c000000, &structures, &structures_exist},
                            Form{0xbf000000, 0x0d000000, &single_structure, &single_structure_exists}};

bool is_prefetch(std::uint32_t word) {
  const bool by_register = (word & 0x3a000000) == 0x38000000 && bits(word, 31, 30) == 3 && bits(word, 23, 22) == 2;
  const bool by_literal = (word & 0x3b000000) == 0x18000000 && bits(word, 31, 30) == 3;
  return !is_simd(word) && (by_register || by_literal);
}

}  // namespace

std::optional<MemoryOperand> memory_operand(std::uint32_t instruction, std::uint64_t program_counter,
                                            const ReadRegister& read) {
  if (is_prefetch(instruction)) return std::nullopt;
  for (const Form& form : kForms) {
    if ((instruction & form.mask) != form.value) continue;
    if (!form.exists(instruction)) return std::nullopt;
    const MemoryOperand operand = form.operand(instruction, program_counter, read);
    if (operand.alignment > 1) return operand;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace shearling::arm
