// SPDX-License-Identifier: GPL-3.0-or-later
//
// The instructions that the processor executes itself: their table, and those on descriptor tables, flags, ports,
// caches and the processor's identity. Each makes its checks in the manual's order: undefined, privilege, then (in
// non-root operation) whether it leaves the guest, then the rest (SDM volume 3C, section 25.1.1).
#include <algorithm>

#include "isa-x86/cpu/x86_processor.h"

namespace shearling::x86 {
namespace {

constexpr std::uint32_t kUnusable = 1U << 16;
constexpr unsigned kAx = 0, kCx = 1, kDx = 2, kBx = 3, kSi = 6, kDi = 7;

std::uint64_t address_mask(unsigned size) { return size == 8 ? ~std::uint64_t{0} : size == 4 ? 0xffffffff : 0xffff; }

}  // namespace

/// Which routine executes which operation; index and operation agree.
struct OperationTable {
  using Routine = X86Processor::Routine;
  struct Row {
    Operation operation;
    Routine routine;
  };
  static constexpr std::array kRows = std::to_array<Row>({
      {Operation::Innocuous, &X86Processor::execute_innocuous},
      {Operation::InnocuousRepeated, &X86Processor::execute_repeated},
      {Operation::InnocuousFloatingPoint, &X86Processor::execute_innocuous},
      {Operation::Undefined, &X86Processor::op_undefined},
      {Operation::Cpuid, &X86Processor::op_cpuid},
      {Operation::Hlt, &X86Processor::op_hlt},
      {Operation::Cli, &X86Processor::op_cli},
      {Operation::Sti, &X86Processor::op_sti},
      {Operation::Lgdt, &X86Processor::op_load_table},
      {Operation::Lidt, &X86Processor::op_load_table},
      {Operation::Sgdt, &X86Processor::op_store_table},
      {Operation::Sidt, &X86Processor::op_store_table},
      {Operation::Lldt, &X86Processor::op_lldt},
      {Operation::Sldt, &X86Processor::op_store_selector},
      {Operation::Ltr, &X86Processor::op_ltr},
      {Operation::Str, &X86Processor::op_store_selector},
      {Operation::Lmsw, &X86Processor::op_lmsw},
      {Operation::Smsw, &X86Processor::op_smsw},
      {Operation::Clts, &X86Processor::op_clts},
      {Operation::MovFromCr, &X86Processor::op_mov_from_cr},
      {Operation::MovToCr, &X86Processor::op_mov_to_cr},
      {Operation::MovFromDr, &X86Processor::op_mov_dr},
      {Operation::MovToDr, &X86Processor::op_mov_dr},
      {Operation::Rdmsr, &X86Processor::op_rdmsr},
      {Operation::Wrmsr, &X86Processor::op_wrmsr},
      {Operation::Rdtsc, &X86Processor::op_rdtsc},
      {Operation::Rdtscp, &X86Processor::op_rdtsc},
      {Operation::Rdpmc, &X86Processor::op_rdpmc},
      {Operation::In, &X86Processor::op_in},
      {Operation::Out, &X86Processor::op_out},
      {Operation::StringIo, &X86Processor::op_string_io},
      {Operation::Invlpg, &X86Processor::op_invlpg},
      {Operation::Invpcid, &X86Processor::op_invpcid},
      {Operation::Invd, &X86Processor::op_cache_flush},
      {Operation::Wbinvd, &X86Processor::op_cache_flush},
      {Operation::Swapgs, &X86Processor::op_swapgs},
      {Operation::Syscall, &X86Processor::op_syscall},
      {Operation::Sysret, &X86Processor::op_sysret},
      {Operation::Sysenter, &X86Processor::op_undefined},  // CPUID does not offer SEP.
      {Operation::Sysexit, &X86Processor::op_undefined},
      {Operation::Int, &X86Processor::op_int},
      {Operation::Int3, &X86Processor::op_int},
      {Operation::Into, &X86Processor::op_int},
      {Operation::Iret, &X86Processor::op_iret},
      {Operation::Pushf, &X86Processor::op_pushf},
      {Operation::Popf, &X86Processor::op_popf},
      {Operation::MovFromSegment, &X86Processor::op_mov_from_segment},
      {Operation::MovToSegment, &X86Processor::op_mov_to_segment},
      {Operation::PushSegment, &X86Processor::op_push_segment},
      {Operation::PopSegment, &X86Processor::op_pop_segment},
      {Operation::FarJump, &X86Processor::op_far_jump},
      {Operation::FarCall, &X86Processor::op_far_jump},
      {Operation::FarReturn, &X86Processor::op_far_return},
      {Operation::LoadFarPointer, &X86Processor::op_load_far_pointer},
      {Operation::Lar, &X86Processor::op_load_rights},
      {Operation::Lsl, &X86Processor::op_load_rights},
      {Operation::Verr, &X86Processor::op_verify},
      {Operation::Verw, &X86Processor::op_verify},
      {Operation::Clac, &X86Processor::op_smap_flag},
      {Operation::Stac, &X86Processor::op_smap_flag},
      {Operation::RdFsBase, &X86Processor::op_fs_gs_base},
      {Operation::RdGsBase, &X86Processor::op_fs_gs_base},
      {Operation::WrFsBase, &X86Processor::op_fs_gs_base},
      {Operation::WrGsBase, &X86Processor::op_fs_gs_base},
      {Operation::Vmcall, &X86Processor::op_vmcall},
      {Operation::Vmxinstruction, &X86Processor::op_vmx},
      {Operation::Monitor, &X86Processor::op_undefined},  // CPUID does not offer MONITOR.
      {Operation::Mwait, &X86Processor::op_undefined},
      {Operation::Xgetbv, &X86Processor::op_undefined},  // CR4.OSXSAVE cannot be set.
      {Operation::Xsetbv, &X86Processor::op_undefined},
      {Operation::Pause, &X86Processor::op_pause},
      {Operation::Fxsave, &X86Processor::execute_innocuous},
      {Operation::Fxrstor, &X86Processor::execute_innocuous},
  });
  static constexpr bool in_order() {
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      if (static_cast<std::size_t>(kRows[i].operation) != i) return false;
    }
    return true;
  }
};
static_assert(OperationTable::in_order());

/// Runs the routine; one that completes without having set the PC goes on behind the instruction.
Obstacle X86Processor::execute_own() {
  accesses_.translations_changed();
  const std::uint64_t next = next_pc();
  pc_written_ = false;
  const auto& row = OperationTable::kRows[static_cast<std::size_t>(instruction_.operation)];
  if (Obstacle obstacle = (this->*row.routine)()) return obstacle;
  if (!pc_written_) set_pc(next);
  return {};
}

Obstacle X86Processor::op_undefined() {
  static_cast<void>(check(CheckId::InstructionKnown, false));
  return fault(kInvalidOpcode);
}

Obstacle X86Processor::op_cpuid() {
  if (Obstacle exit = leaves_guest({.kind = Intercept::Cpuid})) return exit;
  const auto leaf = static_cast<std::uint32_t>(general(kAx)), subleaf = static_cast<std::uint32_t>(general(kCx));
  const CpuidResult result = cpuid(features_, leaf, subleaf);
  write_general(kAx, 4, result.eax);
  write_general(kBx, 4, result.ebx);
  write_general(kCx, 4, result.ecx);
  write_general(kDx, 4, result.edx);
  return {};
}

Obstacle X86Processor::op_hlt() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::Hlt})) return exit;
  state_.activity = ActivityState::Halted;
  return {};
}

Obstacle X86Processor::op_pause() { return leaves_guest({.kind = Intercept::Pause}); }
Obstacle X86Processor::op_vmcall() {
  if (Obstacle exit = leaves_guest({.kind = Intercept::Vmcall})) return exit;
  return op_undefined();
}
Obstacle X86Processor::op_vmx() {
  if (Obstacle exit = leaves_guest({.kind = Intercept::Vmxinstruction, .reason = vmx_exit_reason(instruction_)}))
    return exit;
  return op_undefined();
}

/// Basic exit reasons 18 to 27, 50 and 53 (SDM appendix C) by encoding.
std::uint32_t X86Processor::vmx_exit_reason(const DecodedInstruction& instruction) const {
  switch (instruction.opcode) {
    case 0x0f01: {
      static constexpr std::uint32_t kByRm[8] = {0, 18, 20, 24, 26, 0, 0, 0};  // VMCALL, VMLAUNCH, VMRESUME, VMXOFF
      return kByRm[bytes_[instruction.length - 1U] & 7];
    }
    case 0x0f78:
      return 23;  // VMREAD
    case 0x0f79:
      return 25;  // VMWRITE
    case 0x3880:
      return 50;  // INVEPT
    case 0x3881:
      return 53;  // INVVPID
    default:
      break;
  }
  if (instruction.extension == 7) return 22;                              // VMPTRST
  return instruction.rep ? 27 : instruction.operand_size == 2 ? 19 : 21;  // VMXON, VMCLEAR, VMPTRLD
}

// --- flags -----------------------------------------------------------------------------------------------------------

Obstacle X86Processor::op_cli() {
  const std::uint64_t iopl = (state_.rflags & kFlagIoplMask) >> 12;
  if (!check(CheckId::IoPrivilege, state_.cpl <= iopl, state_.cpl, iopl)) return fault(kGeneralProtection, 0);
  set_flags(flags() & ~kFlagIf);
  return {};
}

Obstacle X86Processor::op_sti() {
  const std::uint64_t iopl = (state_.rflags & kFlagIoplMask) >> 12;
  if (!check(CheckId::IoPrivilege, state_.cpl <= iopl, state_.cpl, iopl)) return fault(kGeneralProtection, 0);
  if ((state_.rflags & kFlagIf) == 0) next_interruptibility_ = kBlockingBySti;
  set_flags(flags() | kFlagIf);
  return {};
}

Obstacle X86Processor::op_smap_flag() {
  if (Obstacle obstacle = require_feature(Feature::Smap)) return obstacle;
  if (!check(CheckId::PrivilegeLevelZero, state_.cpl == 0, state_.cpl, 0)) return fault(kInvalidOpcode);
  set_flags(instruction_.operation == Operation::Stac ? flags() | kFlagAc : flags() & ~kFlagAc);
  return {};
}

Obstacle X86Processor::op_pushf() {
  StackCursor stack{.pointer = stack_pointer()};
  if (Obstacle obstacle = push(stack, instruction_.operand_size, flags() & ~(kFlagRf | kFlagVm))) return obstacle;
  set_stack_pointer(stack.pointer);
  return {};
}

Obstacle X86Processor::op_popf() {
  StackCursor stack{.pointer = stack_pointer()};
  std::uint64_t value = 0;
  if (Obstacle obstacle = pop(stack, instruction_.operand_size, value)) return obstacle;
  std::uint64_t changeable = kEngineFlags | kFlagTf | kFlagNt | kFlagAc | kFlagId;
  if (state_.cpl == 0) changeable |= kFlagIoplMask;
  if (state_.cpl <= (state_.rflags & kFlagIoplMask) >> 12) changeable |= kFlagIf;
  if (instruction_.operand_size == 2) changeable &= 0xffff;
  set_stack_pointer(stack.pointer);
  set_flags((flags() & ~changeable) | (value & changeable));
  return {};
}

// --- descriptor tables -----------------------------------------------------------------------------------------------

Obstacle X86Processor::op_load_table() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::DescriptorTableAccess, .reason = 46})) return exit;
  const DecodedOperand& operand = instruction_.operands[0];
  const bool sixty_four = state_.sixty_four_bit_mode();
  const unsigned base_size = sixty_four ? 8 : 4;
  VirtualAddress address;
  if (Obstacle obstacle = operand_address(operand, 2 + base_size, AccessKind::Read, address)) return obstacle;
  const AccessMode mode{.stack = operand.segment == kSs};
  std::uint64_t limit = 0, base = 0;
  if (Obstacle obstacle = read_memory(address, 2, mode, limit)) return obstacle;
  if (Obstacle obstacle = read_memory(wrap(address.value + 2), base_size, mode, base)) return obstacle;
  if (!sixty_four && instruction_.operand_size == 2) base &= 0xffffff;
  if (sixty_four && !check(CheckId::Canonical, is_canonical(base), base)) return fault(kGeneralProtection, 0);
  const bool global = instruction_.operation == Operation::Lgdt;
  DescriptorTable& table = global ? state_.gdtr : state_.idtr;
  report_write(global ? "GDTR base" : "IDTR base", table.base, base);
  report_write(global ? "GDTR limit" : "IDTR limit", table.limit, limit);
  table = {.base = base, .limit = limit};
  return {};
}

Obstacle X86Processor::check_descriptor_table_read() {
  if ((visible_cr4() & kCr4Umip) == 0) return {};
  return check(CheckId::UserModeInstructionPrevention, state_.cpl == 0, state_.cpl, 0) ? Obstacle{}
                                                                                       : fault(kGeneralProtection, 0);
}

Obstacle X86Processor::op_store_table() {
  if (Obstacle obstacle = check_descriptor_table_read()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::DescriptorTableAccess, .reason = 46})) return exit;
  const DescriptorTable& table = instruction_.operation == Operation::Sgdt ? state_.gdtr : state_.idtr;
  const DecodedOperand& operand = instruction_.operands[0];
  const unsigned base_size = state_.sixty_four_bit_mode() ? 8 : 4;
  VirtualAddress address;
  if (Obstacle obstacle = operand_address(operand, 2 + base_size, AccessKind::Write, address)) return obstacle;
  const AccessMode mode{.stack = operand.segment == kSs};
  if (Obstacle obstacle = write_memory(address, 2, mode, table.limit)) return obstacle;
  return write_memory(wrap(address.value + 2), base_size, mode, table.base);
}

Obstacle X86Processor::op_store_selector() {
  if (Obstacle obstacle = check_descriptor_table_read()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::DescriptorTableAccess, .reason = 47})) return exit;
  const std::uint64_t selector = instruction_.operation == Operation::Str ? state_.tr.selector : state_.ldtr.selector;
  return write_operand(instruction_.operands[0], instruction_.operands[0].size, selector);
}

Obstacle X86Processor::op_lldt() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::DescriptorTableAccess, .reason = 47})) return exit;
  std::uint64_t value = 0;
  if (Obstacle obstacle = read_operand(instruction_.operands[0], value)) return obstacle;
  const auto selector = static_cast<std::uint16_t>(value);
  if ((selector & ~3U) == 0) {
    report_write("LDTR", state_.ldtr.selector, selector);
    state_.ldtr = {.access_rights = kUnusable, .selector = selector};
    return {};
  }
  return load_system_segment(selector, "LDTR", state_.ldtr);
}

Obstacle X86Processor::op_ltr() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::DescriptorTableAccess, .reason = 47})) return exit;
  std::uint64_t value = 0;
  if (Obstacle obstacle = read_operand(instruction_.operands[0], value)) return obstacle;
  const auto selector = static_cast<std::uint16_t>(value);
  if (!check(CheckId::DescriptorNull, (selector & ~3U) != 0, selector)) return fault(kGeneralProtection, 0);
  return load_system_segment(selector, "TR", state_.tr);
}

/// An LDT, or an available TSS, which becomes busy. In long mode their descriptors have 16 bytes.
Obstacle X86Processor::load_system_segment(std::uint16_t selector, std::string_view name, Segment& target) {
  constexpr unsigned kLdt = 2, kAvailableTss = 9;
  constexpr std::uint64_t kBusy = std::uint64_t{1} << 41;
  const bool task = &target == &state_.tr;
  if (!check(CheckId::SelectorPrivilege, (selector & 4) == 0, selector))
    return selector_fault(kGeneralProtection, selector);
  Descriptor descriptor;
  if (Obstacle obstacle = fetch_descriptor(selector, kGeneralProtection, descriptor)) return obstacle;
  const unsigned type = descriptor.access_rights & 0x1f;
  if (!check(CheckId::DescriptorType, type == (task ? kAvailableTss : kLdt), type))
    return selector_fault(kGeneralProtection, selector);
  if (!check(CheckId::DescriptorPresent, descriptor.present(), selector))
    return selector_fault(kSegmentNotPresent, selector);
  const AccessMode implicit{.implicit_supervisor = true};
  if (state_.long_mode_active()) {
    const std::uint64_t last = (selector | 7U) + 8U;
    if (!check(CheckId::DescriptorLimit, last <= state_.gdtr.limit, last, state_.gdtr.limit))
      return selector_fault(kGeneralProtection, selector);
    std::uint64_t high = 0;
    if (Obstacle obstacle = read_memory({descriptor.address.value + 8}, 8, implicit, high)) return obstacle;
    if (!check(CheckId::ReservedBits, (high >> 40 & 0x1f) == 0, high >> 40 & 0x1f, 0x1f))
      return selector_fault(kGeneralProtection, selector);
    descriptor.base |= high << 32;
    if (!check(CheckId::Canonical, is_canonical(descriptor.base), descriptor.base))
      return selector_fault(kGeneralProtection, selector);
  }
  if (task) {
    descriptor.access_rights |= 2;
    if (Obstacle obstacle = write_memory({descriptor.address.value + 4}, 4, implicit, (descriptor.raw | kBusy) >> 32))
      return obstacle;
  }
  report_write(name, target.selector, selector);
  target = segment_from(selector, descriptor);
  return {};
}

// --- ports -----------------------------------------------------------------------------------------------------------

// CPL above IOPL asks the TSS's permission map, two bytes of it at once (SDM volume 1, section 19.5.2).
Obstacle X86Processor::check_io(std::uint16_t port, unsigned size) {
  constexpr unsigned kMapBaseOffset = 102;
  const std::uint64_t iopl = (state_.rflags & kFlagIoplMask) >> 12;
  if (state_.cpl <= iopl) {
    static_cast<void>(check(CheckId::IoPrivilege, true, state_.cpl, iopl));
    return {};
  }
  const Obstacle denied = fault(kGeneralProtection, 0);
  const AccessMode implicit{.implicit_supervisor = true};
  if (!check(CheckId::TaskStateLimit, kMapBaseOffset + 1 <= state_.tr.limit, kMapBaseOffset + 1, state_.tr.limit))
    return denied;
  std::uint64_t map = 0, bits = 0;
  if (Obstacle obstacle = read_memory({state_.tr.base + kMapBaseOffset}, 2, implicit, map)) return obstacle;
  const std::uint64_t offset = map + port / 8;
  if (!check(CheckId::TaskStateLimit, offset + 1 <= state_.tr.limit, offset + 1, state_.tr.limit)) return denied;
  if (Obstacle obstacle = read_memory({state_.tr.base + offset}, 2, implicit, bits)) return obstacle;
  const std::uint64_t relevant = bits >> (port % 8) & ((1U << size) - 1);
  return check(CheckId::IoPermissionMap, relevant == 0, relevant, 0) ? Obstacle{} : denied;
}

Obstacle X86Processor::op_in() {
  const DecodedOperand& target = instruction_.operands[0];
  const DecodedOperand& source = instruction_.operands[1];
  std::uint64_t port = 0;
  if (Obstacle obstacle = read_operand(source, port)) return obstacle;
  if (Obstacle obstacle = check_io(static_cast<std::uint16_t>(port), target.size)) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::PortIo,
                                    .port = static_cast<std::uint16_t>(port),
                                    .port_size = target.size,
                                    .port_in = true,
                                    .port_immediate = source.kind == DecodedOperand::Kind::Immediate})) {
    return exit;
  }
  write_general(kAx, target.size, context_.devices.port_read(static_cast<std::uint16_t>(port), target.size));
  return {};
}

Obstacle X86Processor::op_out() {
  const DecodedOperand& target = instruction_.operands[0];
  const DecodedOperand& source = instruction_.operands[1];
  std::uint64_t port = 0, value = 0;
  if (Obstacle obstacle = read_operand(target, port)) return obstacle;
  if (Obstacle obstacle = check_io(static_cast<std::uint16_t>(port), source.size)) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::PortIo,
                                    .port = static_cast<std::uint16_t>(port),
                                    .port_size = source.size,
                                    .port_immediate = target.kind == DecodedOperand::Kind::Immediate})) {
    return exit;
  }
  if (Obstacle obstacle = read_operand(source, value)) return obstacle;
  context_.devices.port_write(static_cast<std::uint16_t>(port), source.size, value);
  return {};
}

Obstacle X86Processor::op_string_io() {
  const bool input = (instruction_.opcode & 2) == 0;
  const unsigned size = instruction_.operand_size;
  const bool repeated = instruction_.rep || instruction_.repne;
  const std::uint64_t mask = address_mask(instruction_.address_size);
  const auto port = static_cast<std::uint16_t>(general(kDx));
  if (Obstacle obstacle = check_io(port, size)) return obstacle;
  if (repeated && (general(kCx) & mask) == 0) return {};
  if (Obstacle exit = leaves_guest({.kind = Intercept::PortIo,
                                    .port = port,
                                    .port_size = static_cast<std::uint8_t>(size),
                                    .port_in = input,
                                    .port_string = true,
                                    .port_rep = repeated})) {
    return exit;
  }
  if (!repeated) return string_io_once(input, size);
  const std::uint64_t start = pc(), count = general(kCx) & mask;
  Obstacle obstacle;
  std::uint64_t left = count;
  while (left != 0 && iterations_left_ != 0 && context_.request.stop == StopReason::None) {
    obstacle = string_io_once(input, size);
    if (obstacle) break;
    --left;
    --iterations_left_;
    const std::uint64_t before = general(kCx);
    write_general(kCx, instruction_.address_size == 2 ? 2 : instruction_.address_size, (before & ~mask) | left);
  }
  context_.events.micro(RepIterated{.pc = {start}, .iterations = count - left, .remaining = left});
  if (!obstacle && left != 0) set_pc(start);
  return obstacle;
}

Obstacle X86Processor::string_io_once(bool input, unsigned size) {
  const std::uint64_t mask = address_mask(instruction_.address_size);
  const unsigned index = input ? kDi : kSi;
  const unsigned segment = input ? static_cast<unsigned>(kEs) : static_cast<unsigned>(instruction_.operands[0].segment);
  const auto port = static_cast<std::uint16_t>(general(kDx));
  const AccessMode mode{.stack = segment == kSs};
  VirtualAddress address;
  std::uint64_t value = 0;
  if (Obstacle obstacle =
          linear_address(segment, general(index) & mask, size, input ? AccessKind::Write : AccessKind::Read, address)) {
    return obstacle;
  }
  if (input) {
    if (Obstacle obstacle = probe_write(address, size, mode))
      return obstacle;  // Before the device gives its value away.
    value = context_.devices.port_read(port, size);
    if (Obstacle obstacle = write_memory(address, size, mode, value)) return obstacle;
  } else {
    if (Obstacle obstacle = read_memory(address, size, mode, value)) return obstacle;
    context_.devices.port_write(port, size, value);
  }
  const std::uint64_t step = (flags() & kFlagDf) != 0 ? std::uint64_t{0} - size : size;
  const std::uint64_t before = general(index);
  write_general(index, std::max<unsigned>(instruction_.address_size, 2),
                instruction_.address_size == 2 ? before + step : (before + step) & mask);
  return {};
}

// --- translations, caches, clocks ------------------------------------------------------------------------------------

Obstacle X86Processor::op_invlpg() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  const DecodedOperand& operand = instruction_.operands[0];
  const bool flat = state_.sixty_four_bit_mode() && operand.segment != kFs && operand.segment != kGs;
  const std::uint64_t base = flat ? 0 : state_.segments[static_cast<std::uint8_t>(operand.segment)].base;
  const VirtualAddress address = wrap(base + effective_offset(operand));
  if (Obstacle exit = leaves_guest({.kind = Intercept::Invlpg, .value = address.value})) return exit;
  mmu_.invlpg(address);
  return {};
}

Obstacle X86Processor::op_invpcid() {
  if (Obstacle obstacle = require_feature(Feature::Invpcid)) return obstacle;
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  if (Obstacle exit = leaves_guest({.kind = Intercept::Invpcid})) return exit;
  const DecodedOperand& operand = instruction_.operands[1];
  std::uint64_t type = 0, pcid = 0, linear = 0;
  if (Obstacle obstacle = read_operand(instruction_.operands[0], type)) return obstacle;
  VirtualAddress address;
  if (Obstacle obstacle = operand_address(operand, 16, AccessKind::Read, address)) return obstacle;
  const AccessMode mode{.stack = operand.segment == kSs};
  if (Obstacle obstacle = read_memory(address, 8, mode, pcid)) return obstacle;
  if (Obstacle obstacle = read_memory(wrap(address.value + 8), 8, mode, linear)) return obstacle;
  if (!check(CheckId::ReservedBits, type <= 3, type, ~std::uint64_t{3})) return fault(kGeneralProtection, 0);
  if (!check(CheckId::ReservedBits, pcid >> 12 == 0, pcid, ~std::uint64_t{0xfff})) return fault(kGeneralProtection, 0);
  if (type <= 1 && pcid != 0 &&
      !check(CheckId::ControlBitSet, (visible_cr4() & kCr4Pcide) != 0, visible_cr4(), kCr4Pcide)) {
    return fault(kGeneralProtection, 0);
  }
  if (type == 0 && !check(CheckId::Canonical, is_canonical(linear), linear)) return fault(kGeneralProtection, 0);
  mmu_.invpcid(static_cast<Mmu::InvpcidType>(type), static_cast<std::uint16_t>(pcid), {linear});
  return {};
}

// The modelled caches are coherent with memory at all times, so there is nothing that writing them back could change.
Obstacle X86Processor::op_cache_flush() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  return leaves_guest({.kind = instruction_.operation == Operation::Invd ? Intercept::Invd : Intercept::Wbinvd});
}

Obstacle X86Processor::op_rdtsc() {
  const bool with_processor = instruction_.operation == Operation::Rdtscp;
  if (with_processor) {
    if (Obstacle obstacle = require_feature(Feature::Rdtscp)) return obstacle;
  }
  if ((visible_cr4() & kCr4Tsd) != 0 && !check(CheckId::TimeStampDisable, state_.cpl == 0, state_.cpl, 0))
    return fault(kGeneralProtection, 0);
  if (Obstacle exit = leaves_guest({.kind = with_processor ? Intercept::Rdtscp : Intercept::Rdtsc})) return exit;
  const std::uint64_t ticks = visible_tsc();
  write_general(kAx, 4, ticks);
  write_general(kDx, 4, ticks >> 32);
  if (with_processor) write_general(kCx, 4, state_.msrs[kMsrTscAux]);
  return {};
}

Obstacle X86Processor::op_rdpmc() {
  if ((visible_cr4() & kCr4Pce) == 0) {
    if (Obstacle obstacle = require_cpl0()) return obstacle;
  }
  if (Obstacle exit = leaves_guest({.kind = Intercept::Rdpmc})) return exit;
  static_cast<void>(check(CheckId::PerformanceCounter, false, general(kCx)));
  return fault(kGeneralProtection, 0);
}

}  // namespace shearling::x86
