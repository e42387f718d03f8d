// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is x86's own in the engine. What was measured with Unicorn 2.1.1, and decided from it:
// - Single steps use EFLAGS.TF, not count = 1. With TF a translation block is one instruction, so nothing is fetched
//   ahead, and code that changes its own next instruction works; with count = 1 whole blocks are translated, the page
//   after the next instruction is asked for, and a store into its own block never gets done. 1.1 us a step with the
//   soft TLB emptied first, 0.3 us without.
// - FS_BASE and GS_BASE cannot be written in 32-bit mode, but the MSRs can (and cannot be read back).
// - Unicorn's #XM and the #GP of misaligned SSE operands do not exist; a 16-byte store is two stores of 8.
// - After BT, BTS, BTR and BTC the undefined flags depend on what stands before them in the same translation block, and
//   after CMPXCHG8B and 16B even defined ones are wrong; RCL and RCR of memory that is refused lose the flags. These
//   are always stepped, which has none of this: bit tests leave all flags but CF alone as on real processors, and the
//   flags from before a refused step are put back.
#include <algorithm>
#include <array>

#include "core/engine/unicorn_architecture.h"

namespace shearling {

namespace {

constexpr std::uint64_t kTrapFlag = 0x100;
constexpr std::uint64_t kCarriedFlags = 0xcd5;  ///< CF PF AF ZF SF DF OF.
constexpr std::uint64_t kFlagsAlwaysOne = 0x2;
constexpr std::uint32_t kDebugVector = 1;
constexpr std::uint32_t kFsBaseMsr = 0xc0000100;
constexpr std::uint32_t kGsBaseMsr = 0xc0000101;
constexpr unsigned kFsIndex = 4;

constexpr std::array<std::uint8_t, 11> kPrefixes{0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3};

/// A legacy prefix, or what is a REX prefix in 64-bit mode.
bool is_prefix(std::uint8_t byte) {
  return (byte & 0xf0) == 0x40 || std::find(kPrefixes.begin(), kPrefixes.end(), byte) != kPrefixes.end();
}

/// The opcode bytes of BT, BTS, BTR, BTC and CMPXCHG8B, or the opcode and ModRM bytes of RCL and RCR of memory.
bool is_stepped_opcode(std::uint8_t first, std::uint8_t second) {
  constexpr std::array<std::uint8_t, 6> kTwoByte{0xa3, 0xab, 0xb3, 0xbb, 0xba, 0xc7};
  if (first == 0x0f) return std::find(kTwoByte.begin(), kTwoByte.end(), second) != kTwoByte.end();
  const bool shift = first == 0xc0 || first == 0xc1 || (first >= 0xd0 && first <= 0xd3);
  const unsigned operation = (second >> 3) & 7;
  return shift && second < 0xc0 && (operation == 2 || operation == 3);
}

template <bool kWide>
bool is_repeated_string(std::span<const std::uint8_t> bytes) {
  bool repeated = false;
  std::size_t at = 0;
  for (; at < bytes.size() && std::find(kPrefixes.begin(), kPrefixes.end(), bytes[at]) != kPrefixes.end(); ++at) {
    repeated = repeated || bytes[at] >= 0xf2;
  }
  if (kWide && at < bytes.size() && (bytes[at] & 0xf0) == 0x40) ++at;
  if (!repeated || at >= bytes.size()) return false;
  const std::uint8_t opcode = bytes[at];
  return (opcode >= 0x6c && opcode <= 0x6f) || (opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf);
}

/// The x87 status word holds the top of stack, and the tag word says which of the registers counted from there are
/// empty: both come before the registers.
RegisterList make_register_list(bool wide) {
  RegisterList list;
  constexpr std::array<int, 16> kWide{UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX,
                                      UC_X86_REG_RSP, UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI,
                                      UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_R10, UC_X86_REG_R11,
                                      UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15};
  constexpr std::array<int, 8> kNarrow{UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX,
                                       UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI};
  const unsigned count = wide ? 16 : 8;
  for (unsigned index = 0; index < count; ++index)
    list.add(RegisterClass::Integer, index, wide ? kWide[index] : kNarrow[index]);
  list.add(RegisterClass::ProgramCounter, 0, wide ? UC_X86_REG_RIP : UC_X86_REG_EIP);
  list.add(RegisterClass::Flags, 0, UC_X86_REG_EFLAGS);
  if (wide) {
    list.add(RegisterClass::SegmentBase, kFsIndex, UC_X86_REG_FS_BASE);
    list.add(RegisterClass::SegmentBase, kFsIndex + 1, UC_X86_REG_GS_BASE);
  }
  for (unsigned index = 0; index < count; ++index) {
    list.add(RegisterClass::Vector, index, UC_X86_REG_XMM0 + static_cast<int>(index));
  }
  list.add(RegisterClass::VectorControl, 0, UC_X86_REG_MXCSR);
  list.add(RegisterClass::FloatingPoint, 8, UC_X86_REG_FPCW);
  list.add(RegisterClass::FloatingPoint, 9, UC_X86_REG_FPSW);
  list.add(RegisterClass::FloatingPoint, 10, UC_X86_REG_FPTAG);
  for (unsigned index = 0; index < 8; ++index) {
    list.add(RegisterClass::FloatingPoint, index, UC_X86_REG_ST0 + static_cast<int>(index));
  }
  return list;
}

std::span<std::uint64_t> words_of(EngineState& state, EngineRegister reg) {
  switch (reg.register_class) {
    case RegisterClass::Integer:
      return std::span(state.integer).subspan(reg.index & 15, 1);
    case RegisterClass::ProgramCounter:
      return {&state.program_counter, 1};
    case RegisterClass::Flags:
      return {&state.flags, 1};
    case RegisterClass::SegmentBase:
      if (reg.index != kFsIndex && reg.index != kFsIndex + 1) return {};
      return std::span(state.segment_base).subspan(reg.index - kFsIndex, 1);
    case RegisterClass::Vector:
      return state.vector[reg.index & 15];
    case RegisterClass::VectorControl:
      return std::span(state.vector_control).first(1);
    case RegisterClass::FloatingPoint:
      if (reg.index >= 8) return std::span(state.floating_point_control).subspan((reg.index - 8) % 3, 1);
      return state.floating_point[reg.index];
  }
  return {};
}

template <bool kWide>
void normalize(EngineState& state) {
  state.flags = (state.flags & kCarriedFlags) | kFlagsAlwaysOne;
  if (kWide) return;
  for (unsigned index = 0; index < 8; ++index) state.integer[index] &= 0xffffffff;
  state.program_counter &= 0xffffffff;
}

/// 32-bit mode's segment bases.
void write_segment_bases(uc_engine* uc, const EngineState& state) {
  for (unsigned index = 0; index < 2; ++index) {
    uc_x86_msr base{index == 0 ? kFsBaseMsr : kGsBaseMsr, state.segment_base[index]};
    uc_reg_write(uc, UC_X86_REG_MSR, &base);
  }
}

/// CR0.NE: x87 errors are #MF. CR4.OSFXSR: without it Unicorn's FXSAVE and FXRSTOR leave out XMM and MXCSR.
bool set_up(uc_engine* uc) {
  const auto set_bits = [&](int id, std::uint64_t bits) {
    std::uint64_t control = 0;
    if (uc_reg_read(uc, id, &control) != UC_ERR_OK) return false;
    control |= bits;
    return uc_reg_write(uc, id, &control) == UC_ERR_OK;
  };
  return set_bits(UC_X86_REG_CR0, 0x20) && set_bits(UC_X86_REG_CR4, 0x200);
}

void set_stepping(uc_engine* uc, bool stepping) {
  std::uint64_t flags = 0;
  uc_reg_read(uc, UC_X86_REG_EFLAGS, &flags);
  flags = stepping ? flags | kTrapFlag : flags & ~kTrapFlag;
  uc_reg_write(uc, UC_X86_REG_EFLAGS, &flags);
}

bool completed_step(uc_engine*, std::uint32_t vector) { return vector == kDebugVector; }

template <bool kWide>
UnicornArchitecture make_architecture() {
  UnicornArchitecture made{};
  made.mode = kWide ? ExecutionMode::X86Long64 : ExecutionMode::X86Protected32;
  made.first_handle = kWide ? 3 : 0;
  made.arch = UC_ARCH_X86;
  made.width = kWide ? UC_MODE_64 : UC_MODE_32;
  // The instructions of x86-64-v2, and no RDRAND, which would not be the same in two runs.
  made.cpu_model = UC_CPU_X86_NEHALEM;
  made.physical_end = std::uint64_t{1} << 52;
  made.address_mask = kWide ? ~std::uint64_t{0} : 0xffffffff;
  made.translation_unit = kFrameBytes;
  made.longest_instruction = 15;
  made.carried_flags = kCarriedFlags;
  made.constant_flags = kFlagsAlwaysOne;
  made.stepping_flags = kTrapFlag;
  made.program_counter = kWide ? UC_X86_REG_RIP : UC_X86_REG_EIP;
  made.has_native_exceptions = true;
  made.registers = make_register_list(kWide);
  made.initial.mode = made.mode;
  made.initial.flags = kFlagsAlwaysOne;
  made.initial.vector_control[0] = 0x1f80;
  made.initial.floating_point_control = {0x37f, 0, 0xffff};
  made.set_up = &set_up;
  made.set_stepping = &set_stepping;
  made.completed_step = &completed_step;
  made.words_of = &words_of;
  made.normalize = &normalize<kWide>;
  made.write_unlisted = kWide ? nullptr : &write_segment_bases;
  made.is_repeated = &is_repeated_string<kWide>;
  made.is_always_stepped = &is_stepped_opcode;
  made.is_prefix = &is_prefix;
  return made;
}

}  // namespace

const UnicornArchitecture& x86_long_architecture() {
  static const UnicornArchitecture architecture = make_architecture<true>();
  return architecture;
}

const UnicornArchitecture& x86_protected_architecture() {
  static const UnicornArchitecture architecture = make_architecture<false>();
  return architecture;
}

}  // namespace shearling
