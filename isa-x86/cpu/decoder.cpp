// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/cpu/decoder.h"

#include <algorithm>

#include "isa-x86/cpu/system_state.h"

namespace shearling::x86 {
namespace {

// Layout of each opcode, one letter each:
//   .  no operand bytes      m  ModRM        B  ModRM, imm8      Z  ModRM, imm16/32
//   b  imm8                  z  imm16/32     w  imm16            v  imm16/32/64 (MOV)
//   r  rel8                  R  rel16/32     o  address          a  far pointer       e  imm16, imm8 (ENTER)
//   p  prefix                x  no instruction
// Outside 64-bit mode alone, and no instruction in it:  i as .   j as m   k as B   l as b   n as a
using Map = std::array<char, 257>;  // With the literal's terminator.
constexpr Map kOneByte = {
    "mmmmbziimmmmbzix"    // 00
    "mmmmbziimmmmbzii"    // 10
    "mmmmbzpimmmmbzpi"    // 20
    "mmmmbzpimmmmbzpi"    // 30
    "................"    // 40 (REX in 64-bit mode)
    "................"    // 50
    "iijmppppzZbB...."    // 60
    "rrrrrrrrrrrrrrrr"    // 70
    "BZkBmmmmmmmmmmmm"    // 80
    "..........n....."    // 90
    "oooo....bz......"    // a0
    "bbbbbbbbvvvvvvvv"    // b0
    "BBw.jjBZe.w..bi."    // c0
    "mmmmllx.mmmmmmmm"    // d0
    "rrrrbbbbRRnr...."    // e0
    "p.pp..mm......mm"};  // f0
constexpr Map kTwoByte = {
    "mmmmx.....x.xmxx"    // 0f 00
    "mmmmmmmmmmmmmmmm"    // 0f 10
    "mmmmxxxxmmmmmmmm"    // 0f 20
    "......xxxxxxxxxx"    // 0f 30 (38 and 3a lead to further maps)
    "mmmmmmmmmmmmmmmm"    // 0f 40
    "mmmmmmmmmmmmmmmm"    // 0f 50
    "mmmmmmmmmmmmmmmm"    // 0f 60
    "BBBBmmm.mmxxmmmm"    // 0f 70
    "RRRRRRRRRRRRRRRR"    // 0f 80
    "mmmmmmmmmmmmmmmm"    // 0f 90
    "...mBmxx..xmBmmm"    // 0f a0
    "mmmmmmmmmxBmmmmm"    // 0f b0
    "mmBmBBBm........"    // 0f c0
    "mmmmmmmmmmmmmmmm"    // 0f d0
    "mmmmmmmmmmmmmmmm"    // 0f e0
    "mmmmmmmmmmmmmmmx"};  // 0f f0

struct Cursor {
  std::span<const std::uint8_t> bytes;
  std::size_t position = 0;
  bool overrun = false;

  std::uint8_t byte() {
    if (position >= bytes.size()) {
      overrun = true;
      return 0;
    }
    return bytes[position++];
  }
  std::uint64_t little_endian(unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(byte()) << (8 * i);
    return value;
  }
  std::int64_t signed_value(unsigned size) {
    const std::uint64_t value = little_endian(size);
    if (size == 8 || size == 0) return static_cast<std::int64_t>(value);
    const unsigned shift = 64 - 8 * size;
    return static_cast<std::int64_t>(value << shift) >> shift;
  }
};

struct Prefixes {
  bool operand_size = false, address_size = false, lock = false, rep = false, repne = false;
  std::int8_t segment = -1;
  std::uint8_t rex = 0;
  [[nodiscard]] bool rex_w() const { return (rex & 8) != 0; }
};

struct ModRm {
  bool present = false;
  std::uint8_t mod = 0, reg = 0, rm = 0;  // Without REX bits.
  DecodedOperand rm_operand;
  [[nodiscard]] bool memory() const { return mod != 3; }
};

struct Encoding {
  Prefixes prefixes;
  std::uint8_t map = 0, opcode = 0;
  ModRm modrm;
  std::int64_t immediate = 0, second_immediate = 0;
  unsigned operand_size = 4, address_size = 8;
  bool sixty_four = true;
  [[nodiscard]] std::uint16_t full() const { return static_cast<std::uint16_t>(map << 8 | opcode); }
  [[nodiscard]] bool memory() const { return modrm.memory(); }
  [[nodiscard]] bool sse_prefix() const { return prefixes.operand_size || prefixes.rep || prefixes.repne; }
};

constexpr std::uint8_t kMapTwoByte = 0x0f, kMap38 = 0x38, kMap3a = 0x3a;

DecodedOperand register_operand(unsigned number, unsigned size, bool rex) {
  DecodedOperand operand{.kind = DecodedOperand::Kind::Register,
                         .reg = static_cast<std::uint8_t>(number),
                         .size = static_cast<std::uint8_t>(size)};
  if (size == 1 && !rex && number >= 4 && number < 8) {
    operand.reg = static_cast<std::uint8_t>(number - 4);
    operand.high_byte = true;
  }
  return operand;
}

// The eight forms of 16-bit addressing (SDM volume 2A, table 2-1).
void decode_memory16(Cursor& cursor, const ModRm& modrm, DecodedOperand& operand) {
  static constexpr std::int8_t kBase[8] = {3, 3, 5, 5, 6, 7, 5, 3};
  static constexpr std::int8_t kIndex[8] = {6, 7, 6, 7, -1, -1, -1, -1};
  const bool absolute = modrm.mod == 0 && modrm.rm == 6;
  operand.base = absolute ? std::int8_t{-1} : kBase[modrm.rm];
  operand.index = kIndex[modrm.rm];
  operand.displacement = cursor.signed_value(absolute ? 2 : modrm.mod == 1 ? 1 : modrm.mod == 2 ? 2 : 0);
}

void decode_memory(Cursor& cursor, const Encoding& encoding, const ModRm& modrm, DecodedOperand& operand) {
  const std::uint8_t rex = encoding.prefixes.rex;
  unsigned base = modrm.rm;
  bool no_base = false;
  if (modrm.rm == 4) {
    const std::uint8_t sib = cursor.byte();
    const unsigned index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index != 4) operand.index = static_cast<std::int8_t>(index);
    operand.scale = static_cast<std::uint8_t>(1 << (sib >> 6));
    base = sib & 7;
    no_base = base == 5 && modrm.mod == 0;
  } else if (modrm.rm == 5 && modrm.mod == 0) {
    operand.displacement = cursor.signed_value(4);
    if (encoding.sixty_four) operand.base = 16;
    return;
  }
  if (!no_base) operand.base = static_cast<std::int8_t>(base | ((rex & 1) << 3));
  operand.displacement = cursor.signed_value(no_base ? 4 : modrm.mod == 1 ? 1 : modrm.mod == 2 ? 4 : 0);
}

ModRm decode_modrm(Cursor& cursor, const Encoding& encoding) {
  const std::uint8_t byte = cursor.byte();
  ModRm modrm{.present = true,
              .mod = static_cast<std::uint8_t>(byte >> 6),
              .reg = static_cast<std::uint8_t>((byte >> 3) & 7),
              .rm = static_cast<std::uint8_t>(byte & 7)};
  const bool moves_system_register = encoding.map == kMapTwoByte && (encoding.opcode & 0xfc) == 0x20;
  if (moves_system_register) modrm.mod = 3;  // The mod field is ignored there.
  if (!modrm.memory()) return modrm;
  modrm.rm_operand.kind = DecodedOperand::Kind::Memory;
  if (encoding.address_size == 2)
    decode_memory16(cursor, modrm, modrm.rm_operand);
  else
    decode_memory(cursor, encoding, modrm, modrm.rm_operand);
  const std::int8_t base = modrm.rm_operand.base;
  modrm.rm_operand.segment = encoding.prefixes.segment >= 0 ? encoding.prefixes.segment
                             : base == 4 || base == 5       ? static_cast<std::int8_t>(kSs)
                                                            : static_cast<std::int8_t>(kDs);
  return modrm;
}

// Layout of the further maps: all have ModRM; 0f 3a has an immediate byte too.
char layout_of(const Encoding& encoding) {
  switch (encoding.map) {
    case kMap38:
      return 'm';
    case kMap3a:
      return 'B';
    case kMapTwoByte:
      return kTwoByte[encoding.opcode];
    default:
      return kOneByte[encoding.opcode];
  }
}

char in_this_mode(char layout, bool sixty_four) {
  static constexpr std::string_view kOnly32 = "ijkln", kMeans = ".mBba";
  const std::size_t found = kOnly32.find(layout);
  if (found == std::string_view::npos) return layout;
  return sixty_four ? 'x' : kMeans[found];
}

void decode_immediate(Cursor& cursor, Encoding& encoding, char layout) {
  const unsigned word = encoding.operand_size == 2 ? 2 : 4;
  const bool unary_group = encoding.map == 0 && (encoding.opcode & 0xfe) == 0xf6;
  if (unary_group && encoding.modrm.reg < 2) {  // TEST alone of its group has an immediate.
    encoding.immediate = cursor.signed_value(encoding.opcode == 0xf6 ? 1 : word);
    return;
  }
  switch (layout) {
    case 'b':
    case 'B':
    case 'r':
      encoding.immediate = cursor.signed_value(1);
      return;
    case 'z':
    case 'Z':
    case 'R':
      encoding.immediate = cursor.signed_value(word);
      return;
    case 'w':
      encoding.immediate = cursor.signed_value(2);
      return;
    case 'v':
      encoding.immediate = cursor.signed_value(encoding.operand_size);
      return;
    case 'o':
      encoding.immediate = static_cast<std::int64_t>(cursor.little_endian(encoding.address_size));
      return;
    case 'a':
      encoding.immediate = static_cast<std::int64_t>(cursor.little_endian(word));
      encoding.second_immediate = static_cast<std::int64_t>(cursor.little_endian(2));
      return;
    case 'e':
      encoding.immediate = static_cast<std::int64_t>(cursor.little_endian(2));
      encoding.second_immediate = cursor.byte();
      return;
    default:
      return;
  }
}

bool read_prefixes(Cursor& cursor, Encoding& encoding) {
  Prefixes& prefixes = encoding.prefixes;
  for (;;) {
    const std::uint8_t byte = cursor.byte();
    if (cursor.overrun) return false;
    const bool is_rex = encoding.sixty_four && (byte & 0xf0) == 0x40;
    if (!is_rex && kOneByte[byte] != 'p') {
      encoding.opcode = byte;
      return true;
    }
    prefixes.rex = is_rex ? byte : std::uint8_t{0};  // Only directly before the opcode it counts.
    switch (byte) {
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:  // Ignored in 64-bit mode, but for FS and GS.
        if (!encoding.sixty_four) prefixes.segment = static_cast<std::int8_t>((byte >> 3) & 3);
        break;
      case 0x64:
        prefixes.segment = kFs;
        break;
      case 0x65:
        prefixes.segment = kGs;
        break;
      case 0x66:
        prefixes.operand_size = true;
        break;
      case 0x67:
        prefixes.address_size = true;
        break;
      case 0xf0:
        prefixes.lock = true;
        break;
      case 0xf2:
        prefixes.repne = true;
        prefixes.rep = false;
        break;
      case 0xf3:
        prefixes.rep = true;
        prefixes.repne = false;
        break;
      default:
        break;
    }
  }
}

bool is_string_instruction(const Encoding& encoding) {
  const std::uint8_t opcode = encoding.opcode;
  return encoding.map == 0 && ((opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf));
}

// What LOCK may stand before (SDM volume 2A, LOCK): a memory destination of these.
bool may_be_locked(const Encoding& encoding) {
  if (!encoding.modrm.present || !encoding.memory()) return false;
  const std::uint8_t opcode = encoding.opcode, reg = encoding.modrm.reg;
  if (encoding.map == kMapTwoByte) {
    switch (opcode) {
      case 0xab:
      case 0xb3:
      case 0xbb:
      case 0xb0:
      case 0xb1:
      case 0xc0:
      case 0xc1:
        return true;
      case 0xba:
        return reg >= 5;
      case 0xc7:
        return reg == 1;
      default:
        return false;
    }
  }
  if (encoding.map != 0) return false;
  if (opcode < 0x38) return (opcode & 7) < 2;
  switch (opcode) {
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x83:
      return reg != 7;
    case 0x86:
    case 0x87:
      return true;
    case 0xf6:
    case 0xf7:
      return reg == 2 || reg == 3;
    case 0xfe:
    case 0xff:
      return reg < 2;
    default:
      return false;
  }
}

Operation one_byte_operation(const Encoding& e) {
  using enum Operation;
  const std::uint8_t reg = e.modrm.reg;
  if (is_string_instruction(e)) return e.prefixes.rep || e.prefixes.repne ? InnocuousRepeated : Innocuous;
  if (e.opcode >= 0xd8 && e.opcode <= 0xdf) return InnocuousFloatingPoint;
  switch (e.opcode) {
    case 0x06:
    case 0x0e:
    case 0x16:
    case 0x1e:
      return PushSegment;
    case 0x07:
    case 0x17:
    case 0x1f:
      return PopSegment;
    case 0x62:
      return e.memory() ? Innocuous : Undefined;  // BOUND; with a register it is EVEX.
    case 0x6c:
    case 0x6d:
    case 0x6e:
    case 0x6f:
      return StringIo;
    case 0x8c:
      return reg < kSegmentCount ? MovFromSegment : Undefined;
    case 0x8d:
      return e.memory() ? Innocuous : Undefined;  // LEA
    case 0x8e:
      return reg < kSegmentCount && reg != kCs ? MovToSegment : Undefined;
    case 0x8f:
      return reg == 0 ? Innocuous : Undefined;
    case 0x90:
      return e.prefixes.rep && (e.prefixes.rex & 1) == 0 ? Pause : Innocuous;
    case 0x9a:
      return FarCall;
    case 0x9b:
      return InnocuousFloatingPoint;
    case 0x9c:
      return Pushf;
    case 0x9d:
      return Popf;
    case 0xc4:
    case 0xc5:
      return e.memory() ? LoadFarPointer : Undefined;  // With a register it is VEX.
    case 0xc6:
    case 0xc7:
      return reg == 0 ? Innocuous : Undefined;
    case 0xca:
    case 0xcb:
      return FarReturn;
    case 0xcc:
    case 0xf1:
      return Int3;
    case 0xcd:
      return Int;
    case 0xce:
      return Into;
    case 0xcf:
      return Iret;
    case 0xe4:
    case 0xe5:
    case 0xec:
    case 0xed:
      return In;
    case 0xe6:
    case 0xe7:
    case 0xee:
    case 0xef:
      return Out;
    case 0xea:
      return FarJump;
    case 0xf4:
      return Hlt;
    case 0xfa:
      return Cli;
    case 0xfb:
      return Sti;
    case 0xfe:
      return reg < 2 ? Innocuous : Undefined;
    case 0xff:
      if (reg == 3) return e.memory() ? FarCall : Undefined;
      if (reg == 5) return e.memory() ? FarJump : Undefined;
      return reg == 7 ? Undefined : Innocuous;
    default:
      return Innocuous;
  }
}

// 0f 01: by the whole ModRM byte where it names registers, else by its reg field.
Operation group7_operation(const Encoding& e) {
  using enum Operation;
  if (e.memory()) {
    static constexpr Operation kByReg[8] = {Sgdt, Sidt, Lgdt, Lidt, Smsw, Undefined, Lmsw, Invlpg};
    return kByReg[e.modrm.reg];
  }
  if (e.modrm.reg == 4) return Smsw;
  if (e.modrm.reg == 6) return Lmsw;
  switch (e.modrm.reg << 3 | e.modrm.rm) {
    case 0001:
      return Vmcall;
    case 0002:
    case 0003:
    case 0004:
      return Vmxinstruction;
    case 0010:
      return Monitor;
    case 0011:
      return Mwait;
    case 0012:
      return Clac;
    case 0013:
      return Stac;
    case 0020:
      return Xgetbv;
    case 0021:
      return Xsetbv;
    case 0070:
      return e.sixty_four ? Swapgs : Undefined;
    case 0071:
      return Rdtscp;
    default:
      return Undefined;
  }
}

// 0f ae: FXSAVE and its kin, fences, the FS and GS bases.
Operation group15_operation(const Encoding& e) {
  using enum Operation;
  const std::uint8_t reg = e.modrm.reg;
  if (e.memory()) {
    if (e.sse_prefix()) return Undefined;
    static constexpr Operation kByReg[8] = {InnocuousFloatingPoint,
                                            InnocuousFloatingPoint,
                                            InnocuousFloatingPoint,
                                            InnocuousFloatingPoint,
                                            Undefined,
                                            Undefined,
                                            Undefined,
                                            Innocuous};
    return kByReg[reg];
  }
  if (e.prefixes.rep) {
    static constexpr Operation kBases[4] = {RdFsBase, RdGsBase, WrFsBase, WrGsBase};
    return e.sixty_four && reg < 4 ? kBases[reg] : Undefined;
  }
  return reg >= 5 && !e.sse_prefix() ? Innocuous : Undefined;  // LFENCE, MFENCE, SFENCE
}

// 0f c7: CMPXCHG8B and 16B are innocuous; the rest is VMX, random numbers (not deterministic) and XSAVE.
Operation group9_operation(const Encoding& e) {
  using enum Operation;
  if (e.modrm.reg == 1) return e.memory() && !e.prefixes.rep && !e.prefixes.repne ? Innocuous : Undefined;
  return e.memory() && e.modrm.reg >= 6 ? Vmxinstruction : Undefined;
}

bool is_sse_opcode(std::uint8_t opcode) {
  return (opcode >= 0x10 && opcode <= 0x17) || (opcode >= 0x28 && opcode <= 0x2f) ||
         (opcode >= 0x50 && opcode <= 0x77) || (opcode >= 0x7c && opcode <= 0x7f) || opcode == 0xc2 ||
         (opcode >= 0xc4 && opcode <= 0xc6) || (opcode >= 0xd0 && opcode <= 0xfe);
}

Operation two_byte_operation(const Encoding& e) {
  using enum Operation;
  const std::uint8_t reg = e.modrm.reg;
  if (is_sse_opcode(e.opcode)) return InnocuousFloatingPoint;
  switch (e.opcode) {
    case 0x00: {
      static constexpr Operation kByReg[8] = {Sldt, Str, Lldt, Ltr, Verr, Verw, Undefined, Undefined};
      return kByReg[reg];
    }
    case 0x01:
      return group7_operation(e);
    case 0x02:
      return Lar;
    case 0x03:
      return Lsl;
    case 0x05:
      return e.sixty_four ? Syscall : Undefined;  // Outside 64-bit mode Intel's processors do not know it.
    case 0x06:
      return Clts;
    case 0x07:
      return e.sixty_four ? Sysret : Undefined;
    case 0x08:
      return Invd;
    case 0x09:
      return Wbinvd;
    case 0x0b:
      return Undefined;  // UD2
    case 0x0d:
      return e.memory() ? Innocuous : Undefined;
    case 0x18:
      return Innocuous;
    case 0x20:
      return reg == 1 || reg > 4 ? Undefined : MovFromCr;
    case 0x22:
      return reg == 1 || reg > 4 ? Undefined : MovToCr;
    case 0x21:
      return MovFromDr;
    case 0x23:
      return MovToDr;
    case 0x30:
      return Wrmsr;
    case 0x31:
      return Rdtsc;
    case 0x32:
      return Rdmsr;
    case 0x33:
      return Rdpmc;
    case 0x34:
      return Sysenter;
    case 0x35:
      return Sysexit;
    case 0x78:
    case 0x79:
      return Vmxinstruction;
    case 0xa0:
    case 0xa8:
      return PushSegment;
    case 0xa1:
    case 0xa9:
      return PopSegment;
    case 0xa2:
      return Cpuid;
    case 0xae:
      return group15_operation(e);
    case 0xb2:
    case 0xb4:
    case 0xb5:
      return e.memory() ? LoadFarPointer : Undefined;
    case 0xb8:
      return e.prefixes.rep ? Innocuous : Undefined;  // POPCNT
    case 0xba:
      return reg >= 4 ? Innocuous : Undefined;
    case 0xc3:
      return e.memory() && !e.sse_prefix() ? Innocuous : Undefined;  // MOVNTI
    case 0xc7:
      return group9_operation(e);
    default:
      return Innocuous;
  }
}

Operation map38_operation(const Encoding& e) {
  using enum Operation;
  if (e.opcode == 0x80 || e.opcode == 0x81) return e.memory() && e.prefixes.operand_size ? Vmxinstruction : Undefined;
  if (e.opcode == 0x82) return e.memory() && e.prefixes.operand_size ? Invpcid : Undefined;
  if (e.opcode == 0xf0 || e.opcode == 0xf1) return Innocuous;  // MOVBE, CRC32
  return e.opcode < 0x80 || (e.opcode >= 0xdb && e.opcode <= 0xdf) ? InnocuousFloatingPoint : Undefined;
}

Operation operation_of(const Encoding& e) {
  switch (e.map) {
    case kMapTwoByte:
      return two_byte_operation(e);
    case kMap38:
      return map38_operation(e);
    case kMap3a:
      return Operation::InnocuousFloatingPoint;
    default:
      return one_byte_operation(e);
  }
}

// Instructions that use 64-bit operands in 64-bit mode without REX.W: near branches and the stack (SDM volume 2A,
// section 2.2.1.7), and those on system registers.
bool defaults_to_sixty_four(const Encoding& e) {
  if (e.map == kMapTwoByte) {
    return (e.opcode >= 0x20 && e.opcode <= 0x23) || (e.opcode & 0xf0) == 0x80 || (e.opcode & 0xf6) == 0xa0;
  }
  if (e.map != 0) return false;
  const std::uint8_t opcode = e.opcode, reg = e.modrm.reg;
  if ((opcode & 0xf0) == 0x50) return true;
  switch (opcode) {
    case 0x68:
    case 0x6a:
    case 0x8f:
    case 0x9c:
    case 0x9d:
    case 0xc2:
    case 0xc3:
    case 0xc8:
    case 0xc9:
    case 0xe8:
    case 0xe9:
    case 0xeb:
      return true;
    case 0xff:
      return reg == 2 || reg == 4 || reg == 6;
    default:
      return false;
  }
}

// --- operands --------------------------------------------------------------------------------------------------------

DecodedOperand immediate_operand(std::int64_t value, unsigned size) {
  return {.kind = DecodedOperand::Kind::Immediate, .size = static_cast<std::uint8_t>(size), .displacement = value};
}

DecodedOperand rm_operand(const Encoding& e, unsigned size) {
  if (!e.memory()) return register_operand(e.modrm.rm | ((e.prefixes.rex & 1) << 3), size, e.prefixes.rex != 0);
  DecodedOperand operand = e.modrm.rm_operand;
  operand.size = static_cast<std::uint8_t>(size);
  return operand;
}

DecodedOperand reg_operand(const Encoding& e, unsigned size) {
  return register_operand(e.modrm.reg | ((e.prefixes.rex & 4) << 1), size, e.prefixes.rex != 0);
}

DecodedOperand segment_operand(unsigned number) { return register_operand(number, 2, true); }

unsigned one_byte_operand_size(const Encoding& e) { return (e.opcode & 1) == 0 ? 1 : e.operand_size; }

void fill_innocuous_operands(const Encoding& e, DecodedInstruction& out) {
  const unsigned size = one_byte_operand_size(e);
  if (e.map == kMapTwoByte) {
    if (!e.modrm.present) return;
    const bool extends = e.opcode == 0xb6 || e.opcode == 0xb7 || e.opcode == 0xbe || e.opcode == 0xbf;
    const bool destination_rm = (e.opcode & 0xf0) == 0x90 || e.opcode == 0xc3 || (e.opcode & 0xf6) == 0xa2 ||
                                e.opcode == 0xab || e.opcode == 0xb3 || e.opcode == 0xbb || (e.opcode & 0xfe) == 0xb0 ||
                                (e.opcode & 0xfe) == 0xc0;
    const unsigned rm_size = extends ? ((e.opcode & 1) == 0 ? 1 : 2) : (e.opcode & 0xf0) == 0x90 ? 1 : e.operand_size;
    out.operands[destination_rm ? 0 : 1] = rm_operand(e, rm_size);
    out.operands[destination_rm ? 1 : 0] = reg_operand(e, e.operand_size);
    return;
  }
  if (e.map != 0) {
    if (e.modrm.present) out.operands = {reg_operand(e, e.operand_size), rm_operand(e, e.operand_size)};
    return;
  }
  if (e.opcode >= 0xa0 && e.opcode <= 0xa3) {
    const DecodedOperand accumulator = register_operand(0, size, true);
    const DecodedOperand memory{.kind = DecodedOperand::Kind::Memory,
                                .size = static_cast<std::uint8_t>(size),
                                .segment = e.prefixes.segment >= 0 ? e.prefixes.segment : static_cast<std::int8_t>(kDs),
                                .displacement = e.immediate};
    if (e.opcode < 0xa2)
      out.operands = {accumulator, memory};
    else
      out.operands = {memory, accumulator};
    return;
  }
  if (!e.modrm.present) return;
  const bool immediate_group = (e.opcode & 0xfc) == 0x80 || (e.opcode & 0xfe) == 0xc0 || (e.opcode & 0xfe) == 0xc6 ||
                               ((e.opcode & 0xfe) == 0xf6 && e.modrm.reg < 2);
  if (immediate_group) {
    out.operands = {rm_operand(e, size), immediate_operand(e.immediate, size)};
    return;
  }
  const bool unary = e.opcode >= 0xd0 || e.opcode == 0x8f;
  if (unary) {
    out.operands[0] = rm_operand(e, size);
    return;
  }
  if (e.opcode == 0x63) {
    out.operands = {reg_operand(e, e.operand_size), rm_operand(e, 4)};
    return;
  }
  const bool to_register = e.opcode == 0x69 || e.opcode == 0x6b || e.opcode == 0x8d || e.opcode == 0x62 ||
                           ((e.opcode < 0x40 || (e.opcode & 0xfc) == 0x88) && (e.opcode & 2) != 0);
  const unsigned wide = e.opcode == 0x69 || e.opcode == 0x6b ? e.operand_size : size;
  if (to_register)
    out.operands = {reg_operand(e, wide), rm_operand(e, wide)};
  else
    out.operands = {rm_operand(e, wide), reg_operand(e, wide)};
}

unsigned system_operand_size(const Encoding& e) { return e.sixty_four ? 8 : 4; }

void fill_operands(const Encoding& e, DecodedInstruction& out) {
  using enum Operation;
  const unsigned size = e.operand_size;
  const auto rm_or_word = [&] { return rm_operand(e, e.memory() ? 2 : size); };
  switch (out.operation) {
    case Innocuous:
    case InnocuousRepeated:
    case InnocuousFloatingPoint:
      fill_innocuous_operands(e, out);
      break;
    case MovFromSegment:
      out.operands = {rm_or_word(), segment_operand(e.modrm.reg)};
      break;
    case MovToSegment:
      out.operands = {segment_operand(e.modrm.reg), rm_operand(e, 2)};
      break;
    case PushSegment:
    case PopSegment:
      out.operands[0] = segment_operand((e.opcode >> 3) & 7);
      break;
    case LoadFarPointer: {
      const unsigned segment = e.map == 0 ? (e.opcode == 0xc4 ? kEs : kDs) : e.opcode & 7;
      out.operands = {reg_operand(e, size), rm_operand(e, size)};
      out.extension = static_cast<std::uint8_t>(segment);
      break;
    }
    case Sldt:
    case Str:
    case Smsw:
      out.operands[0] = rm_or_word();
      break;
    case Lldt:
    case Ltr:
    case Verr:
    case Verw:
    case Lmsw:
      out.operands[0] = rm_operand(e, 2);
      break;
    case Lar:
    case Lsl:
      out.operands = {reg_operand(e, size), rm_operand(e, 2)};
      break;
    case Sgdt:
    case Sidt:
    case Lgdt:
    case Lidt:
    case Invlpg:
      out.operands[0] = rm_operand(e, 0);
      break;
    case MovFromCr:
    case MovFromDr:
      out.operands = {rm_operand(e, system_operand_size(e)), reg_operand(e, 8)};
      break;
    case MovToCr:
    case MovToDr:
      out.operands = {reg_operand(e, 8), rm_operand(e, system_operand_size(e))};
      break;
    case Invpcid:
      out.operands = {reg_operand(e, system_operand_size(e)), rm_operand(e, 16)};
      break;
    case RdFsBase:
    case RdGsBase:
    case WrFsBase:
    case WrGsBase:
      out.operands[0] = rm_operand(e, size);
      break;
    case In:
    case Out: {
      const DecodedOperand accumulator = register_operand(0, (e.opcode & 1) == 0 ? 1 : std::min(size, 4U), true);
      const DecodedOperand port =
          e.opcode < 0xe8 ? immediate_operand(e.immediate & 0xff, 1) : register_operand(2, 2, true);
      if (out.operation == In)
        out.operands = {accumulator, port};
      else
        out.operands = {port, accumulator};
      break;
    }
    case StringIo:
      out.operand_size = static_cast<std::uint8_t>((e.opcode & 1) == 0 ? 1 : std::min(size, 4U));
      out.operands[0].segment = e.prefixes.segment >= 0 ? e.prefixes.segment : static_cast<std::int8_t>(kDs);
      break;
    case Int:
      out.operands[0] = immediate_operand(e.immediate & 0xff, 1);
      break;
    case FarJump:
    case FarCall:
      if (e.map == 0 && (e.opcode == 0x9a || e.opcode == 0xea)) {
        out.operands = {immediate_operand(e.immediate, size), immediate_operand(e.second_immediate, 2)};
      } else {
        out.operands[0] = rm_operand(e, size);
      }
      break;
    case FarReturn:
      out.operands[0] = immediate_operand(e.immediate & 0xffff, 2);
      break;
    default:
      break;
  }
}

InstructionClass class_of(Operation operation) {
  using enum Operation;
  switch (operation) {
    case Innocuous:
    case InnocuousRepeated:
    case InnocuousFloatingPoint:
    case Undefined:
    case Pause:
    case Fxsave:
    case Fxrstor:
      return InstructionClass::Innocuous;
    case Syscall:
    case Sysenter:
    case Int:
    case Int3:
    case Into:
    case Iret:
    case Popf:
    case MovToSegment:
    case PopSegment:
    case FarJump:
    case FarCall:
    case FarReturn:
    case LoadFarPointer:
    case WrFsBase:
    case WrGsBase:
    case Vmcall:
      return InstructionClass::ControlSensitive;
    case Cpuid:
    case Sgdt:
    case Sidt:
    case Sldt:
    case Str:
    case Smsw:
    case Pushf:
    case Rdtsc:
    case Rdtscp:
    case MovFromSegment:
    case PushSegment:
    case Lar:
    case Lsl:
    case Verr:
    case Verw:
    case RdFsBase:
    case RdGsBase:
    case Xgetbv:
      return InstructionClass::BehaviourSensitive;
    default:
      return InstructionClass::Privileged;
  }
}

DecodedInstruction give_up(const Cursor& cursor) {
  DecodedInstruction out;
  out.truncated = cursor.overrun;
  return out;
}

}  // namespace

DecodedInstruction decode(std::span<const std::uint8_t> bytes, bool sixty_four_bit) {
  Cursor cursor{bytes.first(std::min<std::size_t>(bytes.size(), 15))};
  Encoding e;
  e.sixty_four = sixty_four_bit;
  if (!read_prefixes(cursor, e)) return give_up(cursor);
  if (e.opcode == 0x0f) {
    e.map = kMapTwoByte;
    e.opcode = cursor.byte();
    if (e.opcode == kMap38 || e.opcode == kMap3a) {
      e.map = e.opcode;
      e.opcode = cursor.byte();
    }
    if (cursor.overrun) return give_up(cursor);
  }
  e.address_size = sixty_four_bit ? (e.prefixes.address_size ? 4 : 8) : (e.prefixes.address_size ? 2 : 4);
  e.operand_size = e.prefixes.rex_w() ? 8 : e.prefixes.operand_size ? 2 : 4;
  const char layout = in_this_mode(layout_of(e), sixty_four_bit);
  if (layout == 'x') return {};
  if (layout == 'm' || layout == 'B' || layout == 'Z') e.modrm = decode_modrm(cursor, e);
  if (sixty_four_bit && defaults_to_sixty_four(e) && !e.prefixes.operand_size) e.operand_size = 8;
  decode_immediate(cursor, e, layout);
  if (cursor.overrun) return give_up(cursor);

  DecodedInstruction out;
  out.operation = operation_of(e);
  if (out.operation == Operation::Undefined || (e.prefixes.lock && !may_be_locked(e))) return {};
  out.length = static_cast<std::uint8_t>(cursor.position);
  out.classification = class_of(out.operation);
  out.operand_size = static_cast<std::uint8_t>(e.operand_size);
  out.address_size = static_cast<std::uint8_t>(e.address_size);
  out.rep = e.prefixes.rep;
  out.repne = e.prefixes.repne;
  out.lock = e.prefixes.lock;
  out.opcode = e.full();
  out.extension = e.modrm.reg;
  fill_operands(e, out);
  return out;
}

FloatingPointUse floating_point_use(const DecodedInstruction& instruction) {
  if (instruction.operation != Operation::InnocuousFloatingPoint) return FloatingPointUse::None;
  const std::uint8_t map = static_cast<std::uint8_t>(instruction.opcode >> 8);
  const std::uint8_t opcode = static_cast<std::uint8_t>(instruction.opcode);
  if (map == 0) return opcode == 0x9b ? FloatingPointUse::Wait : FloatingPointUse::X87;
  if (map == kMapTwoByte && opcode == 0xae)
    return instruction.extension < 2 ? FloatingPointUse::SaveRestore : FloatingPointUse::Sse;
  const bool mmx_opcode =
      map != kMapTwoByte || (opcode >= 0x60 && opcode != 0x7c && opcode != 0x7d && opcode != 0xc2 && opcode != 0xc6 &&
                             opcode != 0xd0 && opcode != 0xd6 && opcode != 0xe6 && opcode != 0xf0);
  const bool mandatory_prefix = instruction.rep || instruction.repne || instruction.operand_size == 2;
  return mmx_opcode && !mandatory_prefix ? FloatingPointUse::Mmx : FloatingPointUse::Sse;
}

}  // namespace shearling::x86
