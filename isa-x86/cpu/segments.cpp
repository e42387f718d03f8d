// SPDX-License-Identifier: GPL-3.0-or-later
//
// Segment descriptors and the transfers that load them (SDM volume 3A, chapters 3 and 5; volume 2 for each
// instruction).
#include <algorithm>

#include "isa-x86/cpu/x86_processor.h"

namespace shearling::x86 {
namespace {

constexpr std::uint32_t kUnusable = 1U << 16;
constexpr std::uint16_t kRplMask = 3;

bool is_null(std::uint16_t selector) { return (selector & ~kRplMask) == 0; }
Segment null_segment(std::uint16_t selector) { return {.access_rights = kUnusable, .selector = selector}; }

}  // namespace

Descriptor::Descriptor(std::uint64_t raw_descriptor, VirtualAddress at) : raw(raw_descriptor), address(at) {
  base = (raw >> 16 & 0xffffff) | (raw >> 56 & 0xff) << 24;
  access_rights = static_cast<std::uint32_t>(raw >> 40) & 0xf0ff;
  limit = static_cast<std::uint32_t>((raw & 0xffff) | (raw >> 32 & 0xf0000));
  if ((access_rights & (1U << 15)) != 0) limit = limit << 12 | 0xfff;
}

Segment X86Processor::segment_from(std::uint16_t selector, const Descriptor& descriptor) {
  return {.base = descriptor.base,
          .limit = descriptor.limit,
          .access_rights = descriptor.access_rights,
          .selector = selector};
}

/// Nothing where the selector is null or lies outside its table.
Obstacle X86Processor::find_descriptor(std::uint16_t selector, std::optional<Descriptor>& out) {
  out.reset();
  if (is_null(selector)) return {};
  const bool local = (selector & 4) != 0;
  if (local && state_.ldtr.unusable()) return {};
  const std::uint64_t base = local ? state_.ldtr.base : state_.gdtr.base;
  const std::uint64_t limit = local ? state_.ldtr.limit : state_.gdtr.limit;
  const std::uint64_t last = (selector | 7U);
  if (!check(CheckId::DescriptorLimit, last <= limit, last, limit)) return {};
  const std::uint64_t linear = base + (selector & ~7U);
  const VirtualAddress address{state_.long_mode_active() ? linear : linear & 0xffffffff};
  std::uint64_t raw = 0;
  if (Obstacle obstacle = read_memory(address, 8, {.implicit_supervisor = true}, raw)) return obstacle;
  out = Descriptor(raw, address);
  return {};
}

Obstacle X86Processor::fetch_descriptor(std::uint16_t selector, std::uint8_t vector, Descriptor& out) {
  std::optional<Descriptor> found;
  if (Obstacle obstacle = find_descriptor(selector, found)) return obstacle;
  if (!found) return selector_fault(vector, selector);
  out = *found;
  return {};
}

/// Code and data descriptors remember that they were loaded.
Obstacle X86Processor::mark_accessed(Descriptor& descriptor) {
  if (!descriptor.is_segment() || (descriptor.access_rights & 1) != 0) return {};
  descriptor.access_rights |= 1;
  descriptor.raw |= std::uint64_t{1} << 40;
  return write_memory({descriptor.address.value + 5}, 1, {.implicit_supervisor = true}, descriptor.raw >> 40 & 0xff);
}

Obstacle X86Processor::load_data_segment(unsigned index, std::uint16_t selector) {
  if (index == kSs) {
    Segment segment;
    const bool null_allowed = state_.sixty_four_bit_mode() && state_.cpl < 3;
    if (Obstacle obstacle = load_stack_segment(selector, state_.cpl, null_allowed, kGeneralProtection, segment))
      return obstacle;
    set_segment(kSs, segment);
    return {};
  }
  if (is_null(selector)) {
    set_segment(index, null_segment(selector));
    return {};
  }
  Descriptor descriptor;
  if (Obstacle obstacle = fetch_descriptor(selector, kGeneralProtection, descriptor)) return obstacle;
  if (!check(CheckId::DescriptorType, descriptor.is_readable(), descriptor.access_rights & 0x1f)) {
    return selector_fault(kGeneralProtection, selector);
  }
  if (!(descriptor.is_code() && descriptor.is_conforming())) {
    const unsigned privilege = std::max<unsigned>(state_.cpl, selector & kRplMask);
    if (!check(CheckId::DescriptorPrivilege, privilege <= descriptor.dpl(), descriptor.dpl(), privilege)) {
      return selector_fault(kGeneralProtection, selector);
    }
  }
  if (!check(CheckId::DescriptorPresent, descriptor.present(), selector))
    return selector_fault(kSegmentNotPresent, selector);
  if (Obstacle obstacle = mark_accessed(descriptor)) return obstacle;
  set_segment(index, segment_from(selector, descriptor));
  return {};
}

/// A stack segment for privilege level `cpl`; `vector` is #GP, or #TS where the selector comes from a TSS.
Obstacle X86Processor::load_stack_segment(std::uint16_t selector, unsigned cpl, bool null_allowed, std::uint8_t vector,
                                          Segment& out) {
  const unsigned rpl = selector & kRplMask;
  if (is_null(selector)) {
    if (!check(CheckId::DescriptorNull, null_allowed && rpl == cpl, selector)) return selector_fault(vector, 0);
    out = null_segment(selector);
    out.access_rights |= cpl << 5;
    return {};
  }
  Descriptor descriptor;
  if (Obstacle obstacle = fetch_descriptor(selector, vector, descriptor)) return obstacle;
  if (!check(CheckId::StackPrivilege, rpl == cpl, rpl, cpl)) return selector_fault(vector, selector);
  if (!check(CheckId::DescriptorType, descriptor.is_writable_data(), descriptor.access_rights & 0x1f))
    return selector_fault(vector, selector);
  if (!check(CheckId::StackPrivilege, descriptor.dpl() == cpl, descriptor.dpl(), cpl))
    return selector_fault(vector, selector);
  if (!check(CheckId::DescriptorPresent, descriptor.present(), selector)) return selector_fault(kStackFault, selector);
  if (Obstacle obstacle = mark_accessed(descriptor)) return obstacle;
  out = segment_from(selector, descriptor);
  return {};
}

/// A code segment to go on in at privilege level `cpl`: the current one for jumps and calls, the selector's for
/// returns.
Obstacle X86Processor::check_code_segment(std::uint16_t selector, unsigned cpl, bool returning, Descriptor& out) {
  if (!check(CheckId::DescriptorNull, !is_null(selector), selector)) return selector_fault(kGeneralProtection, 0);
  if (Obstacle obstacle = fetch_descriptor(selector, kGeneralProtection, out)) return obstacle;
  if (!check(CheckId::DescriptorType, out.is_code(), out.access_rights & 0x1f))
    return selector_fault(kGeneralProtection, selector);
  if (!returning && !out.is_conforming()) {
    const unsigned rpl = selector & kRplMask;
    if (!check(CheckId::SelectorPrivilege, rpl <= cpl, rpl, cpl)) return selector_fault(kGeneralProtection, selector);
  }
  const bool fits = out.is_conforming() ? out.dpl() <= cpl : out.dpl() == cpl;
  if (!check(CheckId::DescriptorPrivilege, fits, out.dpl(), cpl)) return selector_fault(kGeneralProtection, selector);
  if (!check(CheckId::DescriptorPresent, out.present(), selector)) return selector_fault(kSegmentNotPresent, selector);
  const bool both = out.long_code() && out.big();
  if (state_.long_mode_active() && !check(CheckId::CodeLongMode, !both, out.access_rights >> 13 & 3)) {
    return selector_fault(kGeneralProtection, selector);
  }
  return {};
}

Obstacle X86Processor::check_target(const Descriptor& code, std::uint64_t offset) {
  if (state_.long_mode_active() && code.long_code()) {
    return check(CheckId::Canonical, is_canonical(offset), offset) ? Obstacle{} : selector_fault(kGeneralProtection, 0);
  }
  return check(CheckId::SegmentLimit, offset <= code.limit, offset, code.limit) ? Obstacle{}
                                                                                : selector_fault(kGeneralProtection, 0);
}

// JMP and CALL to a code segment. Call gates and tasks are left out: they raise #GP(selector).
Obstacle X86Processor::far_transfer(std::uint16_t selector, std::uint64_t offset, bool call) {
  Descriptor code;
  if (Obstacle obstacle = check_code_segment(selector, state_.cpl, false, code)) return obstacle;
  if (Obstacle obstacle = check_target(code, offset)) return obstacle;
  StackCursor stack{.pointer = stack_pointer()};
  if (call) {
    if (Obstacle obstacle = push(stack, instruction_.operand_size, state_.segments[kCs].selector)) return obstacle;
    if (Obstacle obstacle = push(stack, instruction_.operand_size, next_pc())) return obstacle;
  }
  if (Obstacle obstacle = mark_accessed(code)) return obstacle;
  if (call) set_stack_pointer(stack.pointer);
  set_segment(kCs, segment_from(static_cast<std::uint16_t>((selector & ~kRplMask) | state_.cpl), code));
  set_pc(offset);
  return {};
}

// RET far and IRET: to the same ring or an outer one. In 64-bit mode IRET takes SS:RSP from the stack always.
Obstacle X86Processor::far_return(unsigned size, std::uint64_t release, bool interrupt_return) {
  const bool from_sixty_four = state_.sixty_four_bit_mode();
  const unsigned old_cpl = state_.cpl;
  StackCursor stack{.pointer = stack_pointer()};
  std::uint64_t offset = 0, code_selector = 0, new_flags = 0, new_pointer = 0, stack_selector = 0;
  if (Obstacle obstacle = pop(stack, size, offset)) return obstacle;
  if (Obstacle obstacle = pop(stack, size, code_selector)) return obstacle;
  if (interrupt_return) {
    if (Obstacle obstacle = pop(stack, size, new_flags)) return obstacle;
    if (!state_.long_mode_active() && (new_flags & kFlagVm) != 0 && old_cpl == 0)
      return unsupported("virtual-8086 mode");
  }
  stack.pointer = wrap(stack.pointer + release).value;
  const auto selector = static_cast<std::uint16_t>(code_selector);
  const unsigned cpl = selector & kRplMask;
  if (!check(CheckId::DescriptorNull, !is_null(selector), selector)) return selector_fault(kGeneralProtection, 0);
  if (!check(CheckId::SelectorPrivilege, cpl >= old_cpl, cpl, old_cpl))
    return selector_fault(kGeneralProtection, selector);
  Descriptor code;
  if (Obstacle obstacle = check_code_segment(selector, cpl, true, code)) return obstacle;

  const bool outer = cpl > old_cpl;
  const bool new_stack = outer || (interrupt_return && from_sixty_four);
  Segment stack_segment = state_.segments[kSs];
  if (new_stack) {
    if (Obstacle obstacle = pop(stack, size, new_pointer)) return obstacle;
    if (Obstacle obstacle = pop(stack, size, stack_selector)) return obstacle;
    const bool null_allowed = state_.long_mode_active() && code.long_code() && cpl < 3;
    if (Obstacle obstacle = load_stack_segment(static_cast<std::uint16_t>(stack_selector), cpl, null_allowed,
                                               kGeneralProtection, stack_segment)) {
      return obstacle;
    }
  } else {
    new_pointer = stack.pointer;
  }
  if (Obstacle obstacle = check_target(code, offset)) return obstacle;
  if (Obstacle obstacle = mark_accessed(code)) return obstacle;

  if (interrupt_return) {
    std::uint64_t changeable = kEngineFlags | kFlagTf | kFlagNt | kFlagRf | kFlagAc | kFlagId;
    if (old_cpl <= (state_.rflags & kFlagIoplMask) >> 12) changeable |= kFlagIf;
    if (old_cpl == 0) changeable |= kFlagIoplMask;
    if (size == 2) changeable &= 0xffff;
    set_flags((flags() & ~changeable) | (new_flags & changeable));
    keep_resume_flag_ = true;
  }
  set_cpl(cpl, interrupt_return ? "IRET" : "RET far");
  set_segment(kCs, segment_from(selector, code));
  set_pc(offset);
  if (new_stack) set_segment(kSs, stack_segment);
  set_stack_pointer(outer && !interrupt_return ? new_pointer + release : new_pointer);
  if (outer) drop_privileged_segments();
  return {};
}

/// A return to an outer ring takes data segments away that this ring may not use.
void X86Processor::drop_privileged_segments() {
  for (const unsigned index : {kEs, kDs, kFs, kGs}) {
    const Segment& segment = state_.segments[index];
    const bool conforming_code = (segment.access_rights & 0xc) == 0xc;
    if (segment.unusable() || conforming_code || segment.dpl() >= state_.cpl) continue;
    Segment dropped = null_segment(0);
    dropped.base = segment.base;
    set_segment(index, dropped);
  }
}

}  // namespace shearling::x86
