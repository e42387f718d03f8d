// SPDX-License-Identifier: GPL-3.0-or-later
//
// System calls, software interrupts and returns, segment registers, far transfers, and the instructions that look at
// descriptors or at the FS and GS bases.
#include <algorithm>
#include <utility>

#include "isa-x86/cpu/x86_processor.h"

namespace shearling::x86 {
namespace {

constexpr unsigned kCx = 1, kR11 = 11;
constexpr std::uint32_t kLongCode = 0xa09b, kFlatData = 0xc093,
                        kFlatCode = 0xc09b;  // SDM volume 2B, SYSCALL and SYSRET.

Segment fixed_segment(std::uint64_t selector, std::uint32_t access_rights, unsigned dpl) {
  return {.base = 0,
          .limit = 0xffffffff,
          .access_rights = access_rights | dpl << 5,
          .selector = static_cast<std::uint16_t>(selector)};
}

}  // namespace

// --- system calls ----------------------------------------------------------------------------------------------------

Obstacle X86Processor::op_syscall() {
  if (!check(CheckId::ControlBitSet, (state_.efer & kEferSce) != 0, state_.efer, kEferSce))
    return fault(kInvalidOpcode);
  const std::uint64_t star = state_.msrs[kMsrStar], handler = state_.msrs[kMsrLstar];
  const std::uint64_t return_pc = next_pc();
  const unsigned from = state_.cpl;
  context_.events.notable(TrapRaised{.name = "SYSCALL", .cause = TrapCause::SystemCall, .pc = {pc()}});
  write_general(kCx, 8, return_pc);
  write_general(kR11, 8, flags() & ~kFlagRf);
  set_flags(flags() & ~(state_.msrs[kMsrFmask] | kFlagRf));
  set_cpl(0, "SYSCALL");
  const std::uint64_t selector = star >> 32 & 0xfffc;
  set_segment(kCs, fixed_segment(selector, kLongCode, 0));
  set_segment(kSs, fixed_segment(selector + 8, kFlatData, 0));
  set_pc(handler);
  suppress_single_step_ = (state_.rflags & kFlagTf) == 0;
  context_.events.notable(TrapDelivered{.name = "SYSCALL",
                                        .from_privilege = static_cast<std::uint8_t>(from),
                                        .to_privilege = 0,
                                        .handler = {handler},
                                        .stack = {general(4)}});
  return {};
}

Obstacle X86Processor::op_sysret() {
  if (!check(CheckId::ControlBitSet, (state_.efer & kEferSce) != 0, state_.efer, kEferSce))
    return fault(kInvalidOpcode);
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  const bool to_sixty_four = instruction_.operand_size == 8;
  const std::uint64_t target = to_sixty_four ? general(kCx) : general(kCx) & 0xffffffff;
  if (!check(CheckId::Canonical, is_canonical(target), target)) return fault(kGeneralProtection, 0);
  const std::uint64_t selector = state_.msrs[kMsrStar] >> 48;
  set_flags((general(kR11) & 0x3c7fd7) | 2);
  set_cpl(3, "SYSRET");
  if (to_sixty_four)
    set_segment(kCs, fixed_segment((selector + 16) | 3, kLongCode, 3));
  else
    set_segment(kCs, fixed_segment(selector | 3, kFlatCode, 3));
  set_segment(kSs, fixed_segment((selector + 8) | 3, kFlatData, 3));
  set_pc(target);
  context_.events.notable(TrapReturned{.name = "SYSRET", .from_privilege = 0, .to_privilege = 3, .pc = {target}});
  return {};
}

// INT n, INT3, INTO and INT1 arise here and are delivered by handle_event().
Obstacle X86Processor::op_int() {
  Obstacle obstacle{.kind = Obstacle::Kind::Exception};
  obstacle.event.instruction_length = instruction_.length;
  if (instruction_.operation == Operation::Int) {
    obstacle.event.kind = EventKind::SoftwareInterrupt;
    obstacle.event.vector = static_cast<std::uint8_t>(instruction_.operands[0].displacement);
    return obstacle;
  }
  if (instruction_.operation == Operation::Into) {
    constexpr std::uint64_t kOverflowFlag = 1U << 11;
    if ((flags() & kOverflowFlag) == 0) return {};
    obstacle.event.kind = EventKind::SoftwareException;
    obstacle.event.vector = kOverflow;
    return obstacle;
  }
  const bool breakpoint = instruction_.opcode == 0xcc;
  obstacle.event.kind = breakpoint ? EventKind::SoftwareException : EventKind::PrivilegedSoftwareException;
  obstacle.event.vector = breakpoint ? kBreakpoint : kDebugException;
  return obstacle;
}

Obstacle X86Processor::op_iret() {
  static constexpr std::string_view kNames[] = {"IRET", "IRETD", "IRETQ"};
  if (state_.long_mode_active()) {
    if (!check(CheckId::NestedTask, (state_.rflags & kFlagNt) == 0)) return fault(kGeneralProtection, 0);
  } else if ((state_.rflags & kFlagNt) != 0) {
    return unsupported("a return from a nested task");
  }
  const auto from = static_cast<std::uint8_t>(state_.cpl);
  const unsigned size = instruction_.operand_size;
  if (Obstacle obstacle = far_return(size, 0, true)) return obstacle;
  context_.events.notable(
      TrapReturned{.name = kNames[size / 4], .from_privilege = from, .to_privilege = privilege(), .pc = {pc()}});
  return {};
}

// --- segment registers and far transfers -----------------------------------------------------------------------------

Obstacle X86Processor::op_mov_from_segment() {
  const DecodedOperand& target = instruction_.operands[0];
  return write_operand(target, target.size, state_.segments[instruction_.operands[1].reg].selector);
}

Obstacle X86Processor::op_mov_to_segment() {
  std::uint64_t selector = 0;
  if (Obstacle obstacle = read_operand(instruction_.operands[1], selector)) return obstacle;
  const unsigned index = instruction_.operands[0].reg;
  if (Obstacle obstacle = load_data_segment(index, static_cast<std::uint16_t>(selector))) return obstacle;
  if (index == kSs) next_interruptibility_ = kBlockingByMovSs;
  return {};
}

Obstacle X86Processor::op_push_segment() {
  StackCursor stack{.pointer = stack_pointer()};
  if (Obstacle obstacle =
          push(stack, instruction_.operand_size, state_.segments[instruction_.operands[0].reg].selector))
    return obstacle;
  set_stack_pointer(stack.pointer);
  return {};
}

Obstacle X86Processor::op_pop_segment() {
  StackCursor stack{.pointer = stack_pointer()};
  std::uint64_t selector = 0;
  if (Obstacle obstacle = pop(stack, instruction_.operand_size, selector)) return obstacle;
  const unsigned index = instruction_.operands[0].reg;
  if (Obstacle obstacle = load_data_segment(index, static_cast<std::uint16_t>(selector))) return obstacle;
  set_stack_pointer(stack.pointer);
  if (index == kSs) next_interruptibility_ = kBlockingByMovSs;
  return {};
}

/// A far pointer in memory: the offset, then the selector.
Obstacle X86Processor::read_far_pointer(const DecodedOperand& operand, std::uint64_t& offset, std::uint16_t& selector) {
  const unsigned size = operand.size;
  VirtualAddress address;
  if (Obstacle obstacle = operand_address(operand, size + 2, AccessKind::Read, address)) return obstacle;
  const AccessMode mode{.stack = operand.segment == kSs};
  std::uint64_t value = 0;
  if (Obstacle obstacle = read_memory(address, size, mode, offset)) return obstacle;
  if (Obstacle obstacle = read_memory(wrap(address.value + size), 2, mode, value)) return obstacle;
  selector = static_cast<std::uint16_t>(value);
  return {};
}

Obstacle X86Processor::op_far_jump() {
  const DecodedOperand& target = instruction_.operands[0];
  std::uint64_t offset = static_cast<std::uint64_t>(target.displacement);
  auto selector = static_cast<std::uint16_t>(instruction_.operands[1].displacement);
  if (target.kind == DecodedOperand::Kind::Memory) {
    if (Obstacle obstacle = read_far_pointer(target, offset, selector)) return obstacle;
  }
  return far_transfer(selector, offset, instruction_.operation == Operation::FarCall);
}

Obstacle X86Processor::op_far_return() {
  return far_return(instruction_.operand_size, static_cast<std::uint64_t>(instruction_.operands[0].displacement),
                    false);
}

Obstacle X86Processor::op_load_far_pointer() {
  std::uint64_t offset = 0;
  std::uint16_t selector = 0;
  if (Obstacle obstacle = read_far_pointer(instruction_.operands[1], offset, selector)) return obstacle;
  if (Obstacle obstacle = load_data_segment(instruction_.extension, selector)) return obstacle;
  write_general(instruction_.operands[0].reg, instruction_.operands[0].size, offset);
  return {};
}

// --- looking at descriptors ------------------------------------------------------------------------------------------

// LAR and LSL: what they cannot see, they answer with ZF = 0.
Obstacle X86Processor::op_load_rights() {
  const bool limit = instruction_.operation == Operation::Lsl;
  std::uint64_t source = 0;
  if (Obstacle obstacle = read_operand(instruction_.operands[1], source)) return obstacle;
  const auto selector = static_cast<std::uint16_t>(source);
  std::optional<Descriptor> descriptor;
  if (Obstacle obstacle = find_descriptor(selector, descriptor)) return obstacle;
  bool visible = descriptor.has_value();
  if (visible && !descriptor->is_segment()) {
    // System types: LDT, TSS available and busy; LAR sees call gates too (SDM volume 2A, LAR, LSL).
    const unsigned type = descriptor->type();
    const bool tables = type == 2 || type == 9 || type == 11;
    visible = tables || (!limit && type == 12) ||
              (!state_.long_mode_active() && (type == 1 || type == 3 || (!limit && (type == 4 || type == 5))));
  }
  if (visible && !(descriptor->is_code() && descriptor->is_conforming())) {
    const unsigned privilege = std::max<unsigned>(state_.cpl, selector & 3);
    visible = check(CheckId::DescriptorPrivilege, privilege <= descriptor->dpl(), descriptor->dpl(), privilege);
  }
  if (visible) {
    const std::uint64_t value = limit ? descriptor->limit : descriptor->raw >> 32 & 0x00ffff00;
    write_general(instruction_.operands[0].reg, instruction_.operands[0].size, value);
  }
  set_zero_flag(visible);
  return {};
}

Obstacle X86Processor::op_verify() {
  std::uint64_t source = 0;
  if (Obstacle obstacle = read_operand(instruction_.operands[0], source)) return obstacle;
  const auto selector = static_cast<std::uint16_t>(source);
  std::optional<Descriptor> descriptor;
  if (Obstacle obstacle = find_descriptor(selector, descriptor)) return obstacle;
  bool allowed = descriptor.has_value();
  if (allowed)
    allowed = instruction_.operation == Operation::Verw ? descriptor->is_writable_data() : descriptor->is_readable();
  if (allowed && !(descriptor->is_code() && descriptor->is_conforming())) {
    const unsigned privilege = std::max<unsigned>(state_.cpl, selector & 3);
    allowed = check(CheckId::DescriptorPrivilege, privilege <= descriptor->dpl(), descriptor->dpl(), privilege);
  }
  set_zero_flag(allowed);
  return {};
}

// --- FS and GS bases -------------------------------------------------------------------------------------------------

Obstacle X86Processor::op_swapgs() {
  if (Obstacle obstacle = require_cpl0()) return obstacle;
  Segment segment = state_.segments[kGs];
  std::uint64_t& kernel_base = state_.msrs[kMsrKernelGsBase];
  report_write("IA32_GS_BASE", segment.base, kernel_base);
  report_write("IA32_KERNEL_GS_BASE", kernel_base, segment.base);
  std::swap(segment.base, kernel_base);
  set_segment(kGs, segment);
  return {};
}

Obstacle X86Processor::op_fs_gs_base() {
  if (!check(CheckId::ControlBitSet, (visible_cr4() & kCr4Fsgsbase) != 0, visible_cr4(), kCr4Fsgsbase))
    return fault(kInvalidOpcode);
  const Operation operation = instruction_.operation;
  const unsigned index = operation == Operation::RdFsBase || operation == Operation::WrFsBase ? kFs : kGs;
  const DecodedOperand& operand = instruction_.operands[0];
  Segment segment = state_.segments[index];
  if (operation == Operation::RdFsBase || operation == Operation::RdGsBase) {
    write_general(operand.reg, operand.size, segment.base);
    return {};
  }
  std::uint64_t base = 0;
  if (Obstacle obstacle = read_operand(operand, base)) return obstacle;
  if (!check(CheckId::Canonical, is_canonical(base), base)) return fault(kGeneralProtection, 0);
  report_write(index == kFs ? "IA32_FS_BASE" : "IA32_GS_BASE", segment.base, base);
  segment.base = base;
  set_segment(index, segment);
  return {};
}

}  // namespace shearling::x86
