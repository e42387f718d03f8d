// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/isa-arm/cpu/sequences.h"

#include <algorithm>
#include <bit>

namespace shearling::arm::testing {
namespace {

using Kind = InstructionKind;

constexpr std::uint32_t with(std::uint32_t word, unsigned low, unsigned width, std::uint32_t value) {
  const std::uint32_t mask = ((1U << width) - 1) << low;
  return (word & ~mask) | ((value << low) & mask);
}
constexpr std::uint32_t bits(std::uint32_t word, unsigned high, unsigned low) {
  return word >> low & ((1U << (high - low + 1)) - 1);
}
constexpr std::uint32_t kNoRegister = 31, kCodeRegister = 18;

constexpr std::array kEncodings{
    Encoding{Kind::Immediate, 0x10000000, 0x1f000000},  // ADR, ADRP
    Encoding{Kind::Immediate, 0x11000000, 0x1f800000},  // ADD, SUB
    Encoding{Kind::Immediate, 0x12000000, 0x9fc00000},  // AND, ORR, EOR, ANDS
    Encoding{Kind::Immediate, 0x92000000, 0x9f800000},
    Encoding{Kind::Immediate, 0x12800000, 0x1f800000},  // MOVN, MOVZ, MOVK
    Encoding{Kind::Immediate, 0x13000000, 0x9fc00000},  // SBFM, BFM, UBFM
    Encoding{Kind::Immediate, 0x93400000, 0x9fc00000}, Encoding{Kind::Immediate, 0x13800000, 0xffe00000},  // EXTR
    Encoding{Kind::Immediate, 0x93c00000, 0xffe00000},
    Encoding{Kind::Register, 0x0a000000, 0x1f000000},        // AND, BIC, ORR, ORN, EOR, EON, ANDS, BICS
    Encoding{Kind::Register, 0x0b000000, 0x1f200000},        // ADD, SUB, shifted
    Encoding{Kind::Register, 0x0b200000, 0x1fe00000},        // extended
    Encoding{Kind::Register, 0x1a000000, 0x1fe0fc00},        // ADC, SBC
    Encoding{Kind::Register, 0x1ac02000, 0x7fe0f000},        // LSLV, LSRV, ASRV, RORV
    Encoding{Kind::Register, 0x5ac00000, 0x7fffe000},        // RBIT, REV16, REV32, REV, CLZ, CLS
    Encoding{Kind::Multiplication, 0x1b000000, 0x7fe00000},  // MADD, MSUB
    Encoding{Kind::Multiplication, 0x9b200000, 0xffe00000},  // SMADDL, SMSUBL
    Encoding{Kind::Multiplication, 0x9ba00000, 0xffe00000},  // UMADDL, UMSUBL
    Encoding{Kind::Multiplication, 0x9b407c00, 0xffe0fc00},  // SMULH
    Encoding{Kind::Multiplication, 0x9bc07c00, 0xffe0fc00},  // UMULH
    Encoding{Kind::Multiplication, 0x1ac00800, 0x7fe0f800},  // UDIV, SDIV
    Encoding{Kind::Conditional, 0x3a400000, 0x3fe00c10},     // CCMN, CCMP
    Encoding{Kind::Conditional, 0x3a400800, 0x3fe00c10},
    Encoding{Kind::Conditional, 0x1a800000, 0x3fe00800},  // CSEL, CSINC, CSINV, CSNEG
    Encoding{Kind::Checksum, 0x1ac04000, 0xffe0e000},     // CRC32B, H, W; C
    Encoding{Kind::Checksum, 0x9ac04c00, 0xffe0ec00},     // CRC32X, CRC32CX
    Encoding{Kind::Branch, 0x14000000, 0x7c000000},       // B, BL
    Encoding{Kind::Branch, 0x34000000, 0x7e000000},       // CBZ, CBNZ
    Encoding{Kind::Branch, 0x36000000, 0x7e000000},       // TBZ, TBNZ
    Encoding{Kind::Branch, 0x54000000, 0xff000010},       // B.cond
    Encoding{Kind::Branch, 0xd61f0000, 0xffffffff},       // BR, BLR, RET
    Encoding{Kind::Literal, 0x18000000, 0x3b000000},
    Encoding{Kind::LoadStore, 0x39000000, 0x3b000000},  // unsigned offset
    Encoding{Kind::LoadStore, 0x38000000, 0x3b200000},  // unscaled, post-index, unprivileged, pre-index
    Encoding{Kind::LoadStore, 0x38204800, 0x3b204c00},  // register offset
    Encoding{Kind::Pair, 0x28000000, 0x3a000000}, Encoding{Kind::Exclusive, 0x08000000, 0x3fe00000},
    Encoding{Kind::Exclusive, 0x88200000, 0xbfe00000}, Encoding{Kind::Ordered, 0x089ffc00, 0x3fbffc00},  // LDAR, STLR
    Encoding{Kind::FloatingPoint, 0x1e204000, 0xff207c00},                                               // one source
    Encoding{Kind::FloatingPoint, 0x1e200800, 0xff200c00},                                               // two
    Encoding{Kind::FloatingPoint, 0x1f000000, 0xff000000},  // three: FMADD and kin
    Encoding{Kind::FloatingPoint, 0x1e202000, 0xff20fc07},  // FCMP
    Encoding{Kind::FloatingPoint, 0x1e200400, 0xff200c00},  // FCCMP
    Encoding{Kind::FloatingPoint, 0x1e200c00, 0xff200c00},  // FCSEL
    Encoding{Kind::FloatingPoint, 0x1e201000, 0xff201fe0},  // FMOV immediate
    Encoding{Kind::FloatingPoint, 0x1e200000, 0x7f20fc00},  // to and from integers
    Encoding{Kind::FloatingPoint, 0x1e000000, 0x7f200000},  // to and from fixed point
    Encoding{Kind::VectorInteger, 0x0e200400, 0x9f200400},  // three the same
    Encoding{Kind::VectorInteger, 0x0e200000, 0x9f200c00},  // three different
    Encoding{Kind::VectorOther, 0x0e200800, 0x9f3e0c00},    // two registers
    Encoding{Kind::VectorOther, 0x0e300800, 0x9f3e0c00},    // across lanes
    Encoding{Kind::VectorOther, 0x0f000000, 0x9f000400},    // by element
    Encoding{Kind::VectorOther, 0x0f000400, 0x9ff80c00},    // modified immediate
    Encoding{Kind::VectorOther, 0x0f000400, 0x9f800400},    // shift by immediate
    Encoding{Kind::ScalarVector, 0x5e200400, 0xdf200400},   // three the same
    Encoding{Kind::ScalarVector, 0x5e200000, 0xdf200c00},   // three different
    Encoding{Kind::ScalarVector, 0x5e200800, 0xdf3e0c00},   // two registers
    Encoding{Kind::ScalarVector, 0x5e300800, 0xdf3e0c00},   // pairwise
    Encoding{Kind::ScalarVector, 0x5f000000, 0xdf000400},   // by element
    Encoding{Kind::ScalarVector, 0x5f000400, 0xdf800400},   // shift by immediate
    Encoding{Kind::ScalarVector, 0x5e000400, 0xdfe08400},   // copy
    Encoding{Kind::Permutation, 0x0e000000, 0xbfe08c00},    // TBL, TBX
    Encoding{Kind::Permutation, 0x0e000800, 0xbf208c00},    // ZIP, UZP, TRN
    Encoding{Kind::Permutation, 0x2e000000, 0xbfe08400},    // EXT
    Encoding{Kind::Permutation, 0x0e000400, 0x9fe08400},    // DUP, INS, SMOV, UMOV
    Encoding{Kind::Structure, 0x0c000000, 0xbfbf0000},      // LD1 to LD4, ST1 to ST4
    Encoding{Kind::Structure, 0x0c800000, 0xbfa00000},
    Encoding{Kind::Structure, 0x0d000000, 0xbf9f0000},  // one lane, or all of one value
    Encoding{Kind::Structure, 0x0d800000, 0xbf800000}, Encoding{Kind::Cryptography, 0x4e284800, 0xffffcc00},  // AES
    Encoding{Kind::Cryptography, 0x5e000000, 0xffe08c00},  // SHA, three registers
    Encoding{Kind::Cryptography, 0x5e280800, 0xffffcc00},  // SHA, two registers
    Encoding{Kind::Cryptography, 0x0e20e000, 0xbf20fc00},  // PMULL
    // MSR DAIFSet and DAIFClr are left out: QEMU 7.2 writes op1 and op2 in each other's place into ESR.ISS.
    Encoding{Kind::System, 0xd53b4200, 0xffffffe0},     // MRS NZCV
    Encoding{Kind::System, 0xd53b4400, 0xffffffc0},     // MRS FPCR, FPSR
    Encoding{Kind::System, 0xd53bd040, 0xffffffc0},     // MRS TPIDR_EL0, TPIDRRO_EL0
    Encoding{Kind::System, 0xd53b0020, 0xffffffe0},     // MRS CTR_EL0
    Encoding{Kind::System, 0xd53b00e0, 0xffffffe0},     // MRS DCZID_EL0
    Encoding{Kind::System, 0xd51b4200, 0xffffffe0},     // MSR NZCV
    Encoding{Kind::System, 0xd51b4400, 0xffffffc0},     // MSR FPCR, FPSR
    Encoding{Kind::System, 0xd51bd040, 0xffffffe0},     // MSR TPIDR_EL0
    Encoding{Kind::System, 0xd50b7420, 0xffffffe0},     // DC ZVA
    Encoding{Kind::System, 0xd50b7a20, 0xffffffe0},     // DC CVAC
    Encoding{Kind::System, 0xd50b7e20, 0xffffffe0},     // DC CIVAC
    Encoding{Kind::System, 0xd50b7520, 0xffffffe0},     // IC IVAU
    Encoding{Kind::System, 0xd50320df, 0xfffff0df},     // hints without WFE and WFI
    Encoding{Kind::System, 0xd503309f, 0xfffff0bf},     // DSB, ISB
    Encoding{Kind::System, 0xd50330bf, 0xfffff0ff},     // DMB
    Encoding{Kind::System, 0xd503207f, 0xffffffff},     // WFI: trapped
    Encoding{Kind::System, 0xd4000001, 0xffe0001f},     // SVC
    Encoding{Kind::System, 0xd4200000, 0xffe0001f},     // BRK
    Encoding{Kind::Undefined, 0x00000000, 0xffff0000},  // UDF
    Encoding{Kind::Undefined, 0x02000000, 0x1e000000},  // the encoding space that A64 leaves free
    Encoding{Kind::Undefined, 0x04000000, 0x1e000000},  // SVE
    Encoding{Kind::Undefined, 0xd4000002, 0xffe0001e},  // HVC, SMC: not at EL0
    Encoding{Kind::Undefined, 0xd4a00000, 0xffe0001c},  // DCPS
    Encoding{Kind::Undefined, 0xd69f03e0, 0xffffffff},  // ERET
    Encoding{Kind::Undefined, 0xd6bf03e0, 0xffffffff},  // DRPS
    Encoding{Kind::Undefined, 0xd5380000, 0xfffff0e0},  // MRS of EL1's identification registers
    Encoding{Kind::Undefined, 0xd5181000, 0xffffffe0},  // MSR SCTLR_EL1
    Encoding{Kind::Undefined, 0xd50040bf, 0xfffff0ff},  // MSR SPSel
    Encoding{Kind::Undefined, 0xd5088700, 0xffffff00},  // TLBI
    Encoding{Kind::Undefined, 0x38200000, 0x3f208c00},  // atomics (Armv8.1)
    Encoding{Kind::Undefined, 0x08a07c00, 0x3fa07c00},  // compare and swap (Armv8.1)
    Encoding{Kind::Undefined, 0x38bfc000, 0x3ffffc00},  // LDAPR (Armv8.3)
    Encoding{Kind::Undefined, 0xdac10000, 0xfffe0000},  // pointer authentication (Armv8.3)
    Encoding{Kind::Undefined, 0x0e008400, 0x9f208400},  // dot products, complex numbers, SQRDMLAH (Armv8.1 to 8.3)
    Encoding{Kind::Undefined, 0x0e400400, 0x9f60c400},  // half precision (Armv8.2)
    Encoding{Kind::Undefined, 0xce000000, 0xff000000},  // SHA3, SHA512, SM3, SM4 (Armv8.2)
    Encoding{Kind::Undefined, 0xba000000, 0xffe07c00},  // RMIF (Armv8.4)
};

}  // namespace

const std::array<SequenceGenerator::KindFill, kKinds> SequenceGenerator::kFills{{
    {Kind::Immediate, &SequenceGenerator::data_processing},
    {Kind::Register, &SequenceGenerator::data_processing},
    {Kind::Multiplication, &SequenceGenerator::data_processing},
    {Kind::Conditional, &SequenceGenerator::data_processing},
    {Kind::Checksum, &SequenceGenerator::data_processing},
    {Kind::Branch, &SequenceGenerator::branch},
    {Kind::Literal, &SequenceGenerator::literal},
    {Kind::LoadStore, &SequenceGenerator::load_store},
    {Kind::Pair, &SequenceGenerator::pair},
    {Kind::Exclusive, &SequenceGenerator::exclusive},
    {Kind::Ordered, &SequenceGenerator::ordered},
    {Kind::FloatingPoint, &SequenceGenerator::data_processing},
    {Kind::VectorInteger, &SequenceGenerator::data_processing},
    {Kind::VectorOther, &SequenceGenerator::data_processing},
    {Kind::ScalarVector, &SequenceGenerator::data_processing},
    {Kind::Permutation, &SequenceGenerator::data_processing},
    {Kind::Structure, &SequenceGenerator::structure},
    {Kind::Cryptography, &SequenceGenerator::data_processing},
    {Kind::System, &SequenceGenerator::system},
    {Kind::Undefined, &SequenceGenerator::data_processing},
}};

// --- the instructions ------------------------------------------------------------------------------------------------

void SequenceGenerator::append(std::uint32_t word) {
  code_.push_back(word);
  kinds_.push_back(kind_);
}

/// How many words a branch goes on: at most to the end.
std::uint32_t SequenceGenerator::forwards() {
  const auto left = static_cast<std::uint32_t>(length_ - code_.size());
  return 1 + below(std::min(left, 3U));
}

void SequenceGenerator::data_processing(std::uint32_t word) {
  const bool compares = kind_ == Kind::Conditional && bits(word, 29, 29) != 0;
  append(compares ? word : with(word, 0, 5, below(16)));
}

void SequenceGenerator::branch(std::uint32_t word) {
  if (bits(word, 31, 24) == 0xd6) return indirect_branch();
  if (bits(word, 30, 26) == 5) return append(with(word, 0, 26, forwards()));
  if (bits(word, 30, 25) == 0x1b) return append(with(word, 5, 14, forwards()));
  append(with(word, 5, 19, forwards()));
}

/// ADR to the word behind the branch, or one further on, or now and then between two.
void SequenceGenerator::indirect_branch() {
  constexpr std::array<std::uint32_t, 3> kBranches{0xd61f0000, 0xd63f0000, 0xd65f0000};
  const std::uint32_t low = chance(3) ? 2 : 0;
  append(0x10000000 | low << 29 | 2U << 5 | kCodeRegister);
  append(kBranches[below(3)] | kCodeRegister << 5);
}

/// Within the input: registers, code.
void SequenceGenerator::literal(std::uint32_t word) {
  const auto here = static_cast<std::uint32_t>(sizeof(Registers) / 4 + code_.size());
  const std::uint32_t distance = chance(5) ? below(1 << 19) : below(sizeof(Input) / 4) - here;
  append(with(with(word, 5, 19, distance), 0, 5, scratch()));
}

void SequenceGenerator::load_store(std::uint32_t word) {
  word = with(with(word, 5, 5, base()), 0, 5, scratch());
  if (bits(word, 24, 24) != 0)
    word = with(word, 10, 12, below(64));
  else if (bits(word, 21, 21) != 0)
    word = with(word, 16, 5, chance(5) ? kNoRegister : 16 + below(2));
  else if (aligned_ && chance(70))
    word = with(word, 12, 9, below(32) << 4);
  append(word);
}

void SequenceGenerator::pair(std::uint32_t word) {
  const std::uint32_t first = scratch();
  word = with(with(word, 5, 5, base()), 0, 5, first);
  append(with(word, 10, 5, (first + 1 + below(14)) % 16));
}

/// A store-exclusive after its load, or alone; or a load. CLREX ends each, so that no store is ever paired with another
/// one's load: whether sizes and addresses must be the same then is left to the implementation (B2.12).
void SequenceGenerator::exclusive(std::uint32_t word) {
  constexpr std::uint32_t kClear = 0xd503305f, kLoad = 1U << 22;
  const std::uint32_t first = below(16), second = (first + 1 + below(7)) % 16, status = (first + 8 + below(8)) % 16;
  const bool is_pair = bits(word, 21, 21) != 0;
  word = with(with(word, 0, 5, first), 10, 5, is_pair ? second : kNoRegister);
  word = with(word, 5, 5, aligned_base());
  const std::uint32_t load = with(word, 16, 5, kNoRegister) | kLoad, store = with(word, 16, 5, status);
  switch (below(5)) {
    case 0:
      append(with(load, 5, 5, base()));
      break;
    case 1:
      append(store);
      break;
    case 2:
      append(load);
      append(0x91000400 | second << 5 | second);  // ADD
      append(store);
      break;
    default:
      append(load);
      append(store);
  }
  append(kClear);
}

void SequenceGenerator::ordered(std::uint32_t word) {
  append(with(with(word, 5, 5, chance(60) ? aligned_base() : base()), 0, 5, scratch()));
}

void SequenceGenerator::structure(std::uint32_t word) {
  word = with(word, 5, 5, base());
  if (bits(word, 23, 23) != 0) word = with(word, 16, 5, chance(40) ? kNoRegister : 16 + below(2));
  append(word);
}

void SequenceGenerator::system(std::uint32_t word) {
  const bool exception = bits(word, 31, 24) == 0xd4;
  if (exception) return append(word == kEnd ? word ^ 1U << 5 : word);
  // By address only where memory is: QEMU translates nothing for them.
  const bool address = bits(word, 31, 19) == 0x1aa1 && bits(word, 15, 12) == 7;
  if (bits(word, 31, 12) == 0xd5032 || bits(word, 31, 12) == 0xd5033 || bits(word, 31, 12) == 0xd5034)
    return append(word);
  append(with(word, 0, 5, address ? aligned_base() : scratch()));
}

// --- registers and memory --------------------------------------------------------------------------------------------

std::uint64_t SequenceGenerator::interesting_value() {
  switch (below(6)) {
    case 0:
      return below(64);
    case 1:
      return std::uint64_t{0} - below(64);
    case 2:
      return std::uint64_t{1} << below(64);
    case 3:
      return (std::uint64_t{1} << below(64)) - 1;
    case 4:
      return static_cast<std::uint32_t>(random_());
    default:
      return random_();
  }
}

/// Lanes of floating-point numbers as often as other bits.
std::uint64_t SequenceGenerator::interesting_lanes() {
  constexpr std::array<std::uint64_t, 12> kDoubles{0,
                                                   0x8000000000000000,
                                                   0x3ff0000000000000,
                                                   0xbff8000000000000,
                                                   0x7ff0000000000000,
                                                   0xfff0000000000000,
                                                   0x7ff8000000000001,
                                                   0x7ff0000000000001,
                                                   0x000fffffffffffff,
                                                   0x7fefffffffffffff,
                                                   0x43e0000000000000,
                                                   0x4000000000000001};
  constexpr std::array<std::uint32_t, 12> kSingles{0,          0x80000000, 0x3f800000, 0xbfc00000,
                                                   0x7f800000, 0xff800000, 0x7fc00001, 0x7f800001,
                                                   0x007fffff, 0x7f7fffff, 0x4f000000, 0x40000001};
  switch (below(5)) {
    case 0:
      return kDoubles[below(12)];
    case 1:
      return kSingles[below(12)] | std::uint64_t{kSingles[below(12)]} << 32;
    case 2:  // A random number of moderate size
      return (random_() & 0x800fffffffffffff) | std::uint64_t{1023 - 40 + below(80)} << 52;
    case 3: {
      const std::uint64_t exponents = std::uint64_t{127 - 40 + below(80)} << 23 | std::uint64_t{87 + below(80)} << 55;
      return (random_() & 0x807fffff807fffff) | exponents;
    }
    default:
      return interesting_value();
  }
}

std::uint64_t SequenceGenerator::data_address() {
  struct Place {
    unsigned percent;
    std::uint64_t around;
    unsigned spread;
  };
  // In pages 0 and 1; between them; at the ends of memory; read-only; without access flag; EL1's; nowhere.
  static constexpr std::array kPlaces{Place{56, 0x800, 0x600},  Place{12, 0x1000, 24},   Place{8, 0x2000, 24},
                                      Place{4, 0x3000, 24},     Place{6, 0x3800, 0x600}, Place{4, 0x4000, 24},
                                      Place{3, 0x4800, 0x100},  Place{3, 0x5800, 0x100}, Place{2, 0x6800, 0x100},
                                      Place{1, 0x200000, 1024}, Place{1, 1ULL << 40, 64}};
  std::uint32_t left = below(100);
  const Place* place = kPlaces.begin();
  while (left >= place->percent) left -= (place++)->percent;
  const std::uint64_t address = kUserData + place->around + below(2 * place->spread) - place->spread;
  return chance(aligned_ ? 85 : 50) ? address & ~std::uint64_t{15} : address;
}

void SequenceGenerator::set_registers(Registers& registers) {
  constexpr std::uint64_t kFpcr = 0x1f << 22, kFpsr = 0x0800009f, kLine = 64;
  for (std::size_t i = 0; i < 16; ++i) registers.general[i] = interesting_value();
  for (std::size_t i = 16; i < 18; ++i) registers.general[i] = below(80) - std::uint64_t{16};
  for (std::size_t i = 19; i < 28; ++i) registers.general[i] = data_address();
  for (std::size_t i = 28; i < 30; ++i) registers.general[i] = kUserData + kLine * below(2 * kPage / kLine);
  registers.general[30] = interesting_value();
  registers.stack_pointer = data_address();
  registers.flags = std::uint64_t{below(16)} << 28;
  registers.fpcr = chance(50) ? 0 : random_() & kFpcr;
  registers.fpsr = chance(70) ? 0 : random_() & kFpsr;
  for (auto& vector : registers.vectors) vector = {interesting_lanes(), interesting_lanes()};
}

std::vector<std::uint8_t> SequenceGenerator::data_pages() {
  std::vector<std::uint8_t> bytes(kDataBytes);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_());
  return bytes;
}

Input SequenceGenerator::make(unsigned instructions, std::uint64_t address) {
  Input input;
  set_registers(input.registers);
  input.registers.general[kCodeRegister] = address + sizeof(Registers) + 4 * std::uint64_t{instructions};
  length_ = instructions;
  code_.clear();
  kinds_.clear();
  constexpr std::size_t kLongest = 4;
  while (code_.size() + kLongest <= length_) {
    kind_ = static_cast<Kind>(below(kKinds));
    const auto first =
        std::find_if(kEncodings.begin(), kEncodings.end(), [&](const Encoding& e) { return e.kind == kind_; });
    const auto end = std::find_if(first, kEncodings.end(), [&](const Encoding& e) { return e.kind != kind_; });
    const Encoding& encoding = first[below(static_cast<std::uint32_t>(end - first))];
    const std::uint32_t word = (static_cast<std::uint32_t>(random_()) & ~encoding.fixed) | encoding.value;
    (this->*kFills[static_cast<std::size_t>(kind_)].fill)(word);
  }
  while (code_.size() < length_) append(0xd503201f);  // NOP
  std::copy(code_.begin(), code_.end(), input.code.begin());
  input.code[length_] = kEnd;
  return input;
}

}  // namespace shearling::arm::testing
