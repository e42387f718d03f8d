// SPDX-License-Identifier: GPL-3.0-or-later
//
// Control, debug and model-specific registers, with what is legal in them (SDM volume 3A, section 2.5 and 9.8; volume
// 4).
#include "isa-x86/cpu/x86_processor.h"
#include "isa-x86/vmx/vmcs_fields.h"

namespace shearling::x86 {
namespace {

constexpr unsigned kAx = 0, kCx = 1, kDx = 2;
constexpr std::uint64_t kCr3NoFlush = std::uint64_t{1} << 63;

/// MSRs that are plain storage with a rule about their values.
enum class MsrRule : std::uint8_t { Any, Canonical, Word };
struct MsrRow {
  std::uint32_t number;
  std::string_view name;
  MsrRule rule;
};
constexpr std::array kStoredMsrs{MsrRow{kMsrSysenterCs, "IA32_SYSENTER_CS", MsrRule::Word},
                                 MsrRow{kMsrSysenterEsp, "IA32_SYSENTER_ESP", MsrRule::Canonical},
                                 MsrRow{kMsrSysenterEip, "IA32_SYSENTER_EIP", MsrRule::Canonical},
                                 MsrRow{kMsrStar, "IA32_STAR", MsrRule::Any},
                                 MsrRow{kMsrLstar, "IA32_LSTAR", MsrRule::Canonical},
                                 MsrRow{kMsrCstar, "IA32_CSTAR", MsrRule::Canonical},
                                 MsrRow{kMsrFmask, "IA32_FMASK", MsrRule::Word},
                                 MsrRow{kMsrKernelGsBase, "IA32_KERNEL_GS_BASE", MsrRule::Canonical},
                                 MsrRow{kMsrTscAux, "IA32_TSC_AUX", MsrRule::Word}};

const MsrRow* find_stored(std::uint32_t number) {
  for (const MsrRow& row : kStoredMsrs) {
    if (row.number == number) return &row;
  }
  return nullptr;
}

bool is_legal_pat(std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i) {
    const std::uint64_t type = value >> (8 * i) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

}  // namespace

// --- control registers -----------------------------------------------------------------------------------------------

Obstacle X86Processor::op_mov_from_cr() {
  const unsigned number = instruction_.operands[1].reg;
  if (number > 4 && number != 8) return op_undefined();
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::CrRead, .cr = number, .gpr = instruction_.operands[0].reg}))
    return exit;
  std::uint64_t value = 0;
  switch (number) {
    case 0:
      value = visible_cr0();
      break;
    case 2:
      value = state_.cr2;
      break;
    case 3:
      value = state_.cr3;
      break;
    case 4:
      value = visible_cr4();
      break;
    default:
      value = host_ ? state_.cr8 : apic_.task_priority();
      break;
  }
  write_general(instruction_.operands[0].reg, instruction_.operands[0].size, value);
  return {};
}

Obstacle X86Processor::op_mov_to_cr() {
  const unsigned number = instruction_.operands[0].reg;
  if (number > 4 && number != 8) return op_undefined();
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  std::uint64_t value = 0;
  if (Obstacle obstacle = read_operand(instruction_.operands[1], value)) return obstacle;
  if (Obstacle exit =
          leaves_guest({.kind = Intercept::CrWrite, .cr = number, .gpr = instruction_.operands[1].reg, .value = value}))
    return exit;
  switch (number) {
    case 0:
      return write_cr0(value);
    case 2:
      report_write("CR2", state_.cr2, value);
      state_.cr2 = value;
      return {};
    case 3:
      return write_cr3(value);
    case 4:
      return write_cr4(value);
    default:
      break;
  }
  if (!check(CheckId::ReservedBits, value <= 15, value, ~std::uint64_t{15})) return fault(kGeneralProtection, 0);
  report_write("CR8", state_.cr8, value);
  state_.cr8 = value;
  if (!host_) apic_.set_task_priority(value);
  return {};
}

/// Bits that the VMM owns stay as they are: the guest's write has passed its mask already.
std::uint64_t X86Processor::with_owned_bits(VmcsField mask_field, std::uint64_t old_value,
                                            std::uint64_t new_value) const {
  if (!vmx_.in_non_root()) return new_value;
  const std::uint64_t mask = vmx_.vmcs().read(mask_field);
  return (old_value & mask) | (new_value & ~mask);
}

Obstacle X86Processor::write_cr0(std::uint64_t value) {
  constexpr std::uint64_t kDefined =
      kCr0Pe | kCr0Mp | kCr0Em | kCr0Ts | kCr0Et | kCr0Ne | kCr0Wp | kCr0Am | kCr0Nw | kCr0Cd | kCr0Pg;
  const Obstacle illegal = fault(kGeneralProtection, 0);
  if (!check(CheckId::ReservedBits, value >> 32 == 0, value, ~std::uint64_t{0xffffffff})) return illegal;
  const std::uint64_t old_value = state_.cr0;
  const std::uint64_t cr0 = with_owned_bits(VmcsField::Cr0GuestHostMask, old_value, (value & kDefined) | kCr0Et);
  const bool begins = (cr0 & ~old_value & kCr0Pg) != 0, ends = (old_value & ~cr0 & kCr0Pg) != 0;
  if (!check(CheckId::PagingNeedsProtection, (cr0 & kCr0Pg) == 0 || (cr0 & kCr0Pe) != 0, cr0)) return illegal;
  if (!check(CheckId::CacheControlBits, (cr0 & kCr0Nw) == 0 || (cr0 & kCr0Cd) != 0, cr0)) return illegal;
  const bool code_l = state_.segments[kCs].long_mode();
  if (begins && (state_.efer & kEferLme) != 0) {
    if (!check(CheckId::PagingNeedsPae, (state_.cr4 & kCr4Pae) != 0, state_.cr4)) return illegal;
    if (!check(CheckId::LongModeTransition, !code_l, 1, 0)) return illegal;
  }
  if (ends && !check(CheckId::LongModeTransition, !state_.sixty_four_bit_mode(), 1, 0)) return illegal;
  if (ends && !check(CheckId::PcidNeedsLongMode, (state_.cr4 & kCr4Pcide) == 0, state_.cr3 & 0xfff, 0)) return illegal;
  if (ends) state_.efer &= ~kEferLma;
  if (begins && (state_.efer & kEferLme) != 0) state_.efer |= kEferLma;
  report_write("CR0", old_value, cr0);
  state_.cr0 = cr0;
  if (begins || ends)
    mmu_.paging_mode_changed("MOV CR0");
  else if (((old_value ^ cr0) & kCr0Wp) != 0)
    mmu_.access_rights_changed();
  update_mode();
  return {};
}

Obstacle X86Processor::write_cr3(std::uint64_t value) {
  const bool with_pcid = (visible_cr4() & kCr4Pcide) != 0;
  std::uint64_t reserved = 0;
  if (state_.long_mode_active())
    reserved = ~((std::uint64_t{1} << kPhysicalAddressBits) - 1) & ~(with_pcid ? kCr3NoFlush : 0);
  if (!check(CheckId::ReservedBits, (value & reserved) == 0, value, reserved)) return fault(kGeneralProtection, 0);
  const bool keep = with_pcid && (value & kCr3NoFlush) != 0;
  report_write("CR3", state_.cr3, value & ~kCr3NoFlush);
  state_.cr3 = value & ~kCr3NoFlush;
  mmu_.cr3_written(keep);
  return {};
}

Obstacle X86Processor::write_cr4(std::uint64_t value) {
  const Obstacle illegal = fault(kGeneralProtection, 0);
  const std::uint64_t old_value = state_.cr4;
  const std::uint64_t cr4 = with_owned_bits(VmcsField::Cr4GuestHostMask, old_value, value);
  const std::uint64_t reserved = ~features_.cr4_valid() & ~(old_value & kCr4Vmxe);
  if (!check(CheckId::ReservedBits, (cr4 & reserved) == 0, cr4, reserved)) return illegal;
  if (state_.long_mode_active() && !check(CheckId::LongModeNeedsPae, (cr4 & kCr4Pae) != 0, cr4)) return illegal;
  if ((cr4 & ~old_value & kCr4Pcide) != 0) {
    const bool legal = state_.long_mode_active() && (state_.cr3 & 0xfff) == 0;
    if (!check(CheckId::PcidNeedsLongMode, legal, state_.cr3 & 0xfff, 0)) return illegal;
  }
  report_write("CR4", old_value, cr4);
  state_.cr4 = cr4;
  constexpr std::uint64_t kFlushing = kCr4Pge | kCr4Pae | kCr4Pse | kCr4Pcide | kCr4Smep;
  if (((old_value ^ cr4) & kFlushing) != 0)
    mmu_.paging_mode_changed("MOV CR4");
  else if (((old_value ^ cr4) & kCr4Smap) != 0)
    mmu_.access_rights_changed();
  return {};
}

Obstacle X86Processor::op_clts() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::Clts})) return exit;
  const std::uint64_t cr0 = with_owned_bits(VmcsField::Cr0GuestHostMask, state_.cr0, state_.cr0 & ~kCr0Ts);
  report_write("CR0", state_.cr0, cr0);
  state_.cr0 = cr0;
  return {};
}

Obstacle X86Processor::op_lmsw() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  const DecodedOperand& operand = instruction_.operands[0];
  std::uint64_t source = 0;
  VirtualAddress linear;
  const bool memory = operand.kind == DecodedOperand::Kind::Memory;
  if (memory) {
    if (Obstacle obstacle = operand_address(operand, 2, AccessKind::Read, linear)) return obstacle;
  }
  if (Obstacle obstacle = read_operand(operand, source)) return obstacle;
  if (Obstacle exit = leaves_guest(
          {.kind = Intercept::Lmsw, .value = source & 0xffff, .memory_operand = memory, .linear = linear.value})) {
    return exit;
  }
  constexpr std::uint64_t kStatusWord = kCr0Pe | kCr0Mp | kCr0Em | kCr0Ts;
  const std::uint64_t cr0 = (visible_cr0() & ~(kStatusWord & ~kCr0Pe)) | (source & kStatusWord);  // PE can only be set.
  return write_cr0(cr0);
}

Obstacle X86Processor::op_smsw() {
  if (Obstacle obstacle = check_descriptor_table_read()) return obstacle;
  const DecodedOperand& operand = instruction_.operands[0];
  const bool memory = operand.kind == DecodedOperand::Kind::Memory;
  return write_operand(operand, memory ? 2 : operand.size, visible_cr0());
}

// --- debug registers -------------------------------------------------------------------------------------------------

// They are stored, and breakpoints do not happen.
Obstacle X86Processor::op_mov_dr() {
  const bool reads = instruction_.operation == Operation::MovFromDr;
  const DecodedOperand& general_operand = instruction_.operands[reads ? 0 : 1];
  unsigned number = instruction_.operands[reads ? 1 : 0].reg;
  if (number > 7) return op_undefined();
  if (number == 4 || number == 5) {
    if ((visible_cr4() & kCr4De) != 0) return op_undefined();
    number += 2;
  }
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest(
          {.kind = Intercept::DrAccess, .cr = number, .gpr = general_operand.reg, .from_debug_register = reads})) {
    return exit;
  }
  if (reads) {
    write_general(general_operand.reg, general_operand.size, state_.debug[number]);
    return {};
  }
  std::uint64_t value = 0;
  if (Obstacle obstacle = read_operand(general_operand, value)) return obstacle;
  if (number >= 6 && !check(CheckId::ReservedBits, value >> 32 == 0, value, ~std::uint64_t{0xffffffff}))
    return fault(kGeneralProtection, 0);
  if (number == 6) value = (value & 0xe00f) | 0xffff0ff0;
  if (number == 7) value = (value & 0xffff2fff) | 0x400;
  static constexpr std::array<std::string_view, 8> kNames{"DR0", "DR1", "DR2", "DR3", "DR4", "DR5", "DR6", "DR7"};
  report_write(kNames[number], state_.debug[number], value);
  state_.debug[number] = value;
  return {};
}

// --- model-specific registers ----------------------------------------------------------------------------------------

Obstacle X86Processor::op_rdmsr() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  const auto number = static_cast<std::uint32_t>(general(kCx));
  if (Obstacle exit = leaves_guest({.kind = Intercept::RdMsr, .msr = number})) return exit;
  std::uint64_t value = 0;
  if (Obstacle obstacle = read_msr(number, value)) return obstacle;
  write_general(kAx, 4, value);
  write_general(kDx, 4, value >> 32);
  return {};
}

Obstacle X86Processor::op_wrmsr() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  const auto number = static_cast<std::uint32_t>(general(kCx));
  const std::uint64_t value = (general(kAx) & 0xffffffff) | general(kDx) << 32;
  if (Obstacle exit = leaves_guest({.kind = Intercept::WrMsr, .value = value, .msr = number})) return exit;
  return write_msr(number, value);
}

Obstacle X86Processor::read_msr(std::uint32_t number, std::uint64_t& value) {
  const auto stored = [&] {
    const auto found = state_.msrs.find(number);
    return found == state_.msrs.end() ? 0 : found->second;
  };
  switch (number) {
    case kMsrEfer:
      value = state_.efer;
      return {};
    case kMsrFsBase:
      value = state_.segments[kFs].base;
      return {};
    case kMsrGsBase:
      value = state_.segments[kGs].base;
      return {};
    case kMsrTsc:
      value = visible_tsc();
      return {};
    case kMsrApicBase:
    case kMsrPat:
      value = stored();
      return {};
    default:
      break;
  }
  if (!check(CheckId::MsrKnown, find_stored(number) != nullptr, number)) return fault(kGeneralProtection, 0);
  value = stored();
  return {};
}

Obstacle X86Processor::write_efer(std::uint64_t value) {
  const std::uint64_t reserved = ~features_.efer_valid();
  if (!check(CheckId::ReservedBits, (value & reserved) == 0, value, reserved)) return fault(kGeneralProtection, 0);
  const std::uint64_t changes = (state_.efer ^ value) & ~kEferLma;
  if (state_.paging() && !check(CheckId::LongModeNeedsPaging, (changes & kEferLme) == 0, value))
    return fault(kGeneralProtection, 0);
  const std::uint64_t efer = (value & ~kEferLma) | (state_.efer & kEferLma);
  report_write("IA32_EFER", state_.efer, efer);
  state_.efer = efer;
  if ((changes & kEferNxe) != 0) mmu_.paging_mode_changed("EFER.NXE");
  return {};
}

Obstacle X86Processor::write_msr(std::uint32_t number, std::uint64_t value) {
  const Obstacle illegal = fault(kGeneralProtection, 0);
  const auto legal = [&](bool condition) { return check(CheckId::MsrValue, condition, value, number); };
  switch (number) {
    case kMsrEfer:
      return write_efer(value);
    case kMsrFsBase:
    case kMsrGsBase: {
      if (!legal(is_canonical(value))) return illegal;
      Segment segment = state_.segments[number == kMsrFsBase ? kFs : kGs];
      report_write(number == kMsrFsBase ? "IA32_FS_BASE" : "IA32_GS_BASE", segment.base, value);
      segment.base = value;
      set_segment(number == kMsrFsBase ? kFs : kGs, segment);
      return {};
    }
    case kMsrTsc: {
      const std::uint64_t adjustment = state_.msrs[kMsrTsc] + value - visible_tsc();
      report_write("IA32_TIME_STAMP_COUNTER", visible_tsc(), value);
      state_.msrs[kMsrTsc] = adjustment;
      return {};
    }
    case kMsrPat:
      if (!legal(is_legal_pat(value))) return illegal;
      report_write("IA32_PAT", state_.msrs[kMsrPat], value);
      state_.msrs[kMsrPat] = value;
      return {};
    case kMsrApicBase:
      if (!legal((value & ~(std::uint64_t{0xfffff} << 12 | ((std::uint64_t{1} << kPhysicalAddressBits) - 1) << 12 |
                            0x900)) == 0))
        return illegal;
      if (value != state_.msrs[kMsrApicBase]) return unsupported("a local APIC that is moved or turned off");
      return {};
    default:
      break;
  }
  const MsrRow* row = find_stored(number);
  if (!check(CheckId::MsrKnown, row != nullptr, number) || row == nullptr) return illegal;
  const bool allowed =
      row->rule == MsrRule::Any || (row->rule == MsrRule::Canonical ? is_canonical(value) : value >> 32 == 0);
  if (!legal(allowed)) return illegal;
  std::uint64_t& stored = state_.msrs[number];
  report_write(row->name, stored, value);
  stored = value;
  return {};
}

}  // namespace shearling::x86
