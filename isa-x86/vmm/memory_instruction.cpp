// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmm/memory_instruction.h"

#include <algorithm>
#include <array>
#include <bit>

namespace shearling::x86 {
namespace {

constexpr std::uint64_t kCarry = 1, kParity = 4, kAdjust = 16, kZero = 64, kSign = 128, kOverflowFlag = 0x800;
constexpr std::uint64_t kArithmetic = kCarry | kParity | kAdjust | kZero | kSign | kOverflowFlag;

std::uint64_t mask_of(unsigned size) { return size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1; }

std::uint64_t sign_extend(std::uint64_t value, unsigned size) {
  const unsigned shift = 64 - 8 * size;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
}

/// The operations of the first eight opcode rows and of group 1, in encoding order; then the others.
enum class Action : std::uint8_t {
  Add,
  Or,
  Adc,
  Sbb,
  And,
  Sub,
  Xor,
  Cmp,
  Test,
  Move,
  Exchange,
  Increment,
  Decrement,
  Not,
  Negate,
  MoveZeroExtend,
  MoveSignExtend
};
/// Which operand is the memory's: destination (the other is a register or immediate), or source.
enum class Form : std::uint8_t {
  MemoryRegister,
  RegisterMemory,
  MemoryImmediate,
  MemoryOnly,
  AccumulatorOffset,
  OffsetAccumulator
};

struct Decoded {
  Action action = Action::Move;
  Form form = Form::MemoryRegister;
  unsigned size = 4;  ///< Of the memory operand, in bytes.
  unsigned register_size = 4;
  unsigned reg = 0;
  bool high_byte = false;  ///< AH, CH, DH, BH.
  std::uint64_t immediate = 0;
  unsigned length = 0;
};

class Parser {
 public:
  Parser(std::span<const std::uint8_t> bytes, bool sixty_four_bit) : bytes_(bytes), sixty_four_bit_(sixty_four_bit) {}

  std::optional<Decoded> parse() {
    prefixes();
    const std::uint8_t opcode = byte();
    const bool known = opcode == 0x0f ? two_byte(byte()) : one_byte(opcode);
    if (!known || overrun_) return std::nullopt;
    out_.length = static_cast<unsigned>(position_);
    return out_;
  }

 private:
  std::uint8_t byte() {
    if (position_ >= bytes_.size()) {
      overrun_ = true;
      return 0;
    }
    return bytes_[position_++];
  }
  std::uint64_t immediate(unsigned size) {
    std::uint64_t value = 0;
    for (unsigned index = 0; index < size; ++index) value |= std::uint64_t{byte()} << (8 * index);
    return value;
  }

  void prefixes() {
    static constexpr std::array<std::uint8_t, 9> kIgnored{0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3};
    for (; position_ < bytes_.size(); ++position_) {
      const std::uint8_t value = bytes_[position_];
      if (value == 0x66)
        operand_override_ = true;
      else if (value == 0x67)
        address_override_ = true;
      else if (std::find(kIgnored.begin(), kIgnored.end(), value) == kIgnored.end())
        break;
    }
    if (sixty_four_bit_ && position_ < bytes_.size() && (bytes_[position_] & 0xf0) == 0x40) rex_ = bytes_[position_++];
    operand_size_ = (rex_ & 8) != 0 ? 8 : operand_override_ ? 2 : 4;
  }

  /// Only memory operands are of interest, and their length, since the exit gave the address.
  bool mod_rm(unsigned size) {
    if (address_override_ && !sixty_four_bit_) return false;
    const std::uint8_t value = byte();
    const unsigned mode = value >> 6, low = value & 7;
    if (mode == 3) return false;
    out_.size = out_.register_size = size;
    digit_ = (value >> 3) & 7;
    out_.reg = digit_ | ((rex_ & 4) != 0 ? 8U : 0U);
    if (size == 1 && rex_ == 0 && out_.reg >= 4) {
      out_.reg -= 4;
      out_.high_byte = true;
    }
    const bool no_base = low == 4 ? (byte() & 7) == 5 : low == 5;
    position_ += mode == 1 ? 1 : mode == 2 || no_base ? 4 : 0;
    return position_ <= bytes_.size();
  }

  bool one_byte(std::uint8_t opcode) {
    const unsigned size = (opcode & 1) == 0 ? 1 : operand_size_;
    const unsigned immediate_size = std::min(size, 4U);
    if (opcode < 0x40 && (opcode & 7) < 4) {  // ADD OR ADC SBB AND SUB XOR CMP with a register
      out_.action = static_cast<Action>(opcode >> 3);
      out_.form = (opcode & 2) != 0 ? Form::RegisterMemory : Form::MemoryRegister;
      return mod_rm(size);
    }
    switch (opcode) {
      case 0x63:  // MOVSXD
        if (!sixty_four_bit_ || !mod_rm(4)) return false;
        return extend(Action::MoveSignExtend);
      case 0x80:
      case 0x81:
      case 0x83:  // group 1
        if (!mod_rm(size)) return false;
        out_.action = static_cast<Action>(digit_);
        return with_immediate(opcode == 0x83 ? 1 : immediate_size);
      case 0x84:
      case 0x85:
        return simple(Action::Test, Form::MemoryRegister, size);
      case 0x86:
      case 0x87:
        return simple(Action::Exchange, Form::MemoryRegister, size);
      case 0x88:
      case 0x89:
        return simple(Action::Move, Form::MemoryRegister, size);
      case 0x8a:
      case 0x8b:
        return simple(Action::Move, Form::RegisterMemory, size);
      case 0xa0:
      case 0xa1:
        return offset(Form::AccumulatorOffset, size);
      case 0xa2:
      case 0xa3:
        return offset(Form::OffsetAccumulator, size);
      case 0xc6:
      case 0xc7:
        if (!mod_rm(size) || digit_ != 0) return false;
        out_.action = Action::Move;
        return with_immediate(immediate_size);
      case 0xf6:
      case 0xf7:
        return group3(size, immediate_size);
      case 0xfe:
      case 0xff:
        if (!mod_rm(size) || digit_ > 1) return false;
        out_.action = digit_ == 0 ? Action::Increment : Action::Decrement;
        out_.form = Form::MemoryOnly;
        return true;
      default:
        return false;
    }
  }

  bool two_byte(std::uint8_t opcode) {
    switch (opcode) {
      case 0xb6:
      case 0xb7:
        return mod_rm((opcode & 1) + 1U) && extend(Action::MoveZeroExtend);
      case 0xbe:
      case 0xbf:
        return mod_rm((opcode & 1) + 1U) && extend(Action::MoveSignExtend);
      default:
        return false;
    }
  }

  bool simple(Action action, Form form, unsigned size) {
    out_.action = action;
    out_.form = form;
    return mod_rm(size);
  }
  bool extend(Action action) {
    if (out_.high_byte) {  // ModRM was read for a byte in memory; the register is a wide one
      out_.reg += 4;
      out_.high_byte = false;
    }
    out_.action = action;
    out_.form = Form::RegisterMemory;
    out_.register_size = operand_size_;
    return true;
  }
  bool with_immediate(unsigned bytes) {
    out_.form = Form::MemoryImmediate;
    out_.immediate = sign_extend(immediate(bytes), bytes) & mask_of(out_.size);
    return true;
  }
  bool offset(Form form, unsigned size) {
    out_.action = Action::Move;
    out_.form = form;
    out_.size = out_.register_size = size;
    out_.reg = 0;
    position_ += sixty_four_bit_ ? (address_override_ ? 4 : 8) : (address_override_ ? 2 : 4);
    return position_ <= bytes_.size();
  }
  bool group3(unsigned size, unsigned immediate_size) {
    if (!mod_rm(size) || digit_ > 3) return false;
    if (digit_ < 2) {
      out_.action = Action::Test;
      return with_immediate(immediate_size);
    }
    out_.action = digit_ == 2 ? Action::Not : Action::Negate;
    out_.form = Form::MemoryOnly;
    return true;
  }

  std::span<const std::uint8_t> bytes_;
  bool sixty_four_bit_;
  std::size_t position_ = 0;
  bool overrun_ = false, operand_override_ = false, address_override_ = false;
  std::uint8_t rex_ = 0;
  unsigned operand_size_ = 4, digit_ = 0;
  Decoded out_;
};

struct Outcome {
  std::uint64_t value = 0;
  bool written = true;  ///< CMP and TEST only set flags.
};

std::uint64_t result_flags(std::uint64_t value, unsigned size) {
  const bool even = std::popcount(value & 0xff) % 2 == 0;
  return (even ? kParity : 0) | (value == 0 ? kZero : 0) | ((value >> (8 * size - 1) & 1) != 0 ? kSign : 0);
}

/// left + right + carry; subtraction is addition of the complement with the carries inverted.
std::uint64_t add(std::uint64_t left, std::uint64_t right, bool carry_in, unsigned size, bool subtract,
                  std::uint64_t& flags) {
  const std::uint64_t mask = mask_of(size), top = std::uint64_t{1} << (8 * size - 1);
  const std::uint64_t addend = (subtract ? ~right : right) & mask;
  const bool carry = carry_in != subtract;
  const std::uint64_t sum = (left + addend + carry) & mask;
  const bool carry_out = sum < left || (carry && sum == left);
  flags = result_flags(sum, size) | (carry_out != subtract ? kCarry : 0) |
          (((left ^ sum) & (addend ^ sum) & top) != 0 ? kOverflowFlag : 0) | ((left ^ right ^ sum) & kAdjust);
  return sum;
}

Outcome compute(Action action, std::uint64_t left, std::uint64_t right, unsigned size, std::uint64_t& rflags) {
  const std::uint64_t mask = mask_of(size);
  const bool carry_in = (rflags & kCarry) != 0;
  std::uint64_t flags = rflags & kArithmetic;
  Outcome outcome{left, true};
  const auto logic = [&](std::uint64_t value) {
    flags = result_flags(value & mask, size);
    return value & mask;
  };
  switch (action) {
    case Action::Add:
      outcome.value = add(left, right, false, size, false, flags);
      break;
    case Action::Adc:
      outcome.value = add(left, right, carry_in, size, false, flags);
      break;
    case Action::Sub:
      outcome.value = add(left, right, false, size, true, flags);
      break;
    case Action::Sbb:
      outcome.value = add(left, right, carry_in, size, true, flags);
      break;
    case Action::Cmp:
      outcome = {add(left, right, false, size, true, flags), false};
      break;
    case Action::And:
      outcome.value = logic(left & right);
      break;
    case Action::Or:
      outcome.value = logic(left | right);
      break;
    case Action::Xor:
      outcome.value = logic(left ^ right);
      break;
    case Action::Test:
      outcome = {logic(left & right), false};
      break;
    case Action::Negate:
      outcome.value = add(0, left, false, size, true, flags);
      break;
    case Action::Not:
      outcome.value = ~left & mask;
      break;
    case Action::Increment:
      outcome.value = add(left, 1, false, size, false, flags);
      flags = (flags & ~kCarry) | (rflags & kCarry);
      break;
    case Action::Decrement:
      outcome.value = add(left, 1, false, size, true, flags);
      flags = (flags & ~kCarry) | (rflags & kCarry);
      break;
    case Action::Move:
    case Action::Exchange:
      outcome.value = right & mask;
      break;
    case Action::MoveZeroExtend:
    case Action::MoveSignExtend:
      break;  // Between sizes: see run().
  }
  rflags = (rflags & ~kArithmetic) | flags;
  return outcome;
}

std::uint64_t register_value(const Decoded& decoded, const EmulationTarget& target) {
  const std::uint64_t value = target.read_register(decoded.reg);
  return (decoded.high_byte ? value >> 8 : value) & mask_of(decoded.register_size);
}

void write_register(const Decoded& decoded, EmulationTarget& target, std::uint64_t value) {
  if (decoded.register_size >= 4) {  // A write of 32 bits clears the upper half.
    target.write_register(decoded.reg, value & mask_of(decoded.register_size));
    return;
  }
  const unsigned shift = decoded.high_byte ? 8 : 0;
  const std::uint64_t mask = mask_of(decoded.register_size) << shift;
  target.write_register(decoded.reg, (target.read_register(decoded.reg) & ~mask) | ((value << shift) & mask));
}

void run(const Decoded& decoded, EmulationTarget& target) {
  const unsigned size = decoded.size;
  switch (decoded.form) {
    case Form::AccumulatorOffset:
      write_register(decoded, target, target.read_memory(size));
      return;
    case Form::OffsetAccumulator:
      target.write_memory(size, register_value(decoded, target));
      return;
    case Form::RegisterMemory: {
      const std::uint64_t memory = target.read_memory(size);
      if (decoded.action == Action::MoveZeroExtend || decoded.action == Action::MoveSignExtend) {
        write_register(decoded, target, decoded.action == Action::MoveZeroExtend ? memory : sign_extend(memory, size));
        return;
      }
      const std::uint64_t before = decoded.action == Action::Move ? 0 : register_value(decoded, target);
      const Outcome outcome = compute(decoded.action, before, memory, size, target.rflags);
      if (outcome.written) write_register(decoded, target, outcome.value);
      return;
    }
    case Form::MemoryRegister:
    case Form::MemoryImmediate:
    case Form::MemoryOnly: {
      const std::uint64_t memory = decoded.action == Action::Move ? 0 : target.read_memory(size);
      const std::uint64_t other =
          decoded.form == Form::MemoryRegister ? register_value(decoded, target) : decoded.immediate;
      const Outcome outcome = compute(decoded.action, memory, other, size, target.rflags);
      if (outcome.written) target.write_memory(size, outcome.value);
      if (decoded.action == Action::Exchange) write_register(decoded, target, memory);
      return;
    }
  }
}

}  // namespace

std::optional<unsigned> emulate_memory_instruction(std::span<const std::uint8_t> bytes, bool sixty_four_bit,
                                                   EmulationTarget& target) {
  const std::optional<Decoded> decoded = Parser(bytes, sixty_four_bit).parse();
  if (!decoded) return std::nullopt;
  run(*decoded, target);
  return decoded->length;
}

}  // namespace shearling::x86
