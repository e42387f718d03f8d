// SPDX-License-Identifier: GPL-3.0-or-later
//
// Memory, registers and the stack on behalf of the instructions that the processor executes itself, and the mode that
// follows from its registers.
#include <algorithm>

#include "isa-x86/cpu/x86_processor.h"

namespace shearling::x86 {
namespace {

constexpr std::array<std::string_view, 16> kGeneralNames{"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                                         "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

std::uint64_t low_bytes(std::uint64_t value, unsigned size) {
  return size >= 8 ? value : value & ((std::uint64_t{1} << (8 * size)) - 1);
}

}  // namespace

// --- checks and obstacles --------------------------------------------------------------------------------------------

bool X86Processor::check(CheckId id, bool passed, std::uint64_t actual, std::uint64_t required) {
  return tell_check<CheckId>(context_.events, kCheckTexts, id, passed, actual, required);
}

Obstacle X86Processor::fault(std::uint8_t vector) {
  return {.kind = Obstacle::Kind::Exception, .event = {.kind = EventKind::HardwareException, .vector = vector}};
}

Obstacle X86Processor::fault(std::uint8_t vector, std::uint32_t error_code) {
  Obstacle obstacle = fault(vector);
  obstacle.event.has_error_code = true;
  obstacle.event.error_code = error_code;
  return obstacle;
}

Obstacle X86Processor::selector_fault(std::uint8_t vector, std::uint16_t selector) const {
  return fault(vector, (selector & 0xfffcU) | (delivering_external_ ? 1U : 0U));
}

Obstacle X86Processor::unsupported(std::string_view detail) {
  context_.request.stop = StopReason::Unsupported;
  context_.request.detail = detail;
  return {.kind = Obstacle::Kind::Stop};
}

Obstacle X86Processor::leaves_guest(InterceptQuery query) {
  if (!vmx_.in_non_root()) return {};
  query.instruction_length = instruction_.length;
  const auto exit = vmx_.intercept(query);
  if (!exit) return {};
  return {.kind = Obstacle::Kind::Exit, .exit = *exit};
}

Obstacle X86Processor::require_cpl0() {
  return check(CheckId::PrivilegeLevelZero, state_.cpl == 0, state_.cpl, 0) ? Obstacle{} : fault(kGeneralProtection, 0);
}

Obstacle X86Processor::require_feature(Feature feature) {
  return check(CheckId::FeaturePresent, features_.has(feature)) ? Obstacle{} : fault(kInvalidOpcode);
}

// --- memory ----------------------------------------------------------------------------------------------------------

Obstacle X86Processor::translate(VirtualAddress address, AccessKind kind, const AccessMode& mode,
                                 PageTranslation& out) {
  AccessRequest request = request_for(address, kind);
  request.cpl = mode.cpl.value_or(request.cpl);
  request.implicit_supervisor = mode.implicit_supervisor;
  const TranslateResult result = mmu_.translate(request);
  if (const auto* translation = std::get_if<Translation>(&result)) {
    out = page_translation(*translation);
    return {};
  }
  return obstacle_of(result, mode.stack);
}

Obstacle X86Processor::obstacle_of(const TranslateResult& result, bool stack) {
  if (const auto* page_fault = std::get_if<PageFault>(&result)) {
    Obstacle obstacle = fault(kPageFault, page_fault->error_code);
    obstacle.event.fault_address = page_fault->address.value;
    return obstacle;
  }
  if (const auto* ept = std::get_if<EptFault>(&result)) {
    const auto exit = vmx_.intercept(
        {.kind = ept->misconfiguration ? Intercept::EptMisconfiguration : Intercept::EptViolation, .ept = *ept});
    if (!exit) return unsupported("an EPT fault does not leave the guest");
    return {.kind = Obstacle::Kind::Exit, .exit = *exit};
  }
  if (const auto* address = std::get_if<NonCanonical>(&result)) {
    static_cast<void>(check(CheckId::Canonical, false, address->address.value));
    return fault(stack ? kStackFault : kGeneralProtection, 0);
  }
  return unsupported("paging without long mode");
}

/// One access, split where it crosses a page; both pages are translated before anything happens.
Obstacle X86Processor::access(VirtualAddress address, unsigned size, AccessKind kind, const AccessMode& mode,
                              std::uint64_t& value) {
  PageTranslation first;
  if (Obstacle obstacle = translate(address, kind, mode, first)) return obstacle;
  const auto in_page = static_cast<unsigned>(std::min<std::uint64_t>(size, kFrameBytes - address.value % kFrameBytes));
  if (in_page == size) {
    value = accesses_.access_physical(address, first, size, kind, value);
    return {};
  }
  const bool wide = mode.implicit_supervisor && state_.long_mode_active();
  const VirtualAddress next = wide ? VirtualAddress{address.value + in_page} : wrap(address.value + in_page);
  PageTranslation second;
  if (Obstacle obstacle = translate(next, kind, mode, second)) return obstacle;
  const std::uint64_t low = accesses_.access_physical(address, first, in_page, kind, low_bytes(value, in_page));
  const std::uint64_t high = accesses_.access_physical(next, second, size - in_page, kind, value >> (8 * in_page));
  value = low | high << (8 * in_page);
  return {};
}

Obstacle X86Processor::read_memory(VirtualAddress address, unsigned size, const AccessMode& mode,
                                   std::uint64_t& value) {
  value = 0;
  return access(address, size, AccessKind::Read, mode, value);
}

Obstacle X86Processor::write_memory(VirtualAddress address, unsigned size, const AccessMode& mode,
                                    std::uint64_t value) {
  value = low_bytes(value, size);
  return access(address, size, AccessKind::Write, mode, value);
}

/// Raises what a write would raise, before a device is read for it.
Obstacle X86Processor::probe_write(VirtualAddress address, unsigned size, const AccessMode& mode) {
  PageTranslation translation;
  if (Obstacle obstacle = translate(address, AccessKind::Write, mode, translation)) return obstacle;
  const VirtualAddress last = wrap(address.value + size - 1);
  if (last.value >> 12 == address.value >> 12) return {};
  return translate(wrap(last.value & ~(kFrameBytes - 1)), AccessKind::Write, mode, translation);
}

/// The logical address as a linear one, with the segment's checks (none but FS's and GS's base in 64-bit mode).
Obstacle X86Processor::linear_address(unsigned segment, std::uint64_t offset, unsigned size, AccessKind kind,
                                      VirtualAddress& out) {
  const Segment& descriptor = state_.segments[segment];
  if (state_.sixty_four_bit_mode()) {
    out = {segment == kFs || segment == kGs ? descriptor.base + offset : offset};
    return {};
  }
  const std::uint8_t vector = segment == kSs ? kStackFault : kGeneralProtection;
  if (!check(CheckId::SegmentUsable, !descriptor.unusable(), descriptor.selector)) return fault(vector, 0);
  const unsigned type = descriptor.access_rights & 15;
  const bool allowed = kind == AccessKind::Write ? (type & 10) == 2 : (type & 10) != 8;
  if (!check(CheckId::SegmentWritable, allowed, type)) return fault(vector, 0);
  const std::uint64_t last = (offset & 0xffffffff) + size - 1;
  if (!check(CheckId::SegmentLimit, last <= descriptor.limit, last, descriptor.limit)) return fault(vector, 0);
  out = wrap(descriptor.base + offset);
  return {};
}

std::uint64_t X86Processor::effective_offset(const DecodedOperand& operand) const {
  std::uint64_t offset = static_cast<std::uint64_t>(operand.displacement);
  if (operand.base == 16)
    offset += pc() + instruction_.length;
  else if (operand.base >= 0)
    offset += general(static_cast<unsigned>(operand.base));
  if (operand.index >= 0) offset += general(static_cast<unsigned>(operand.index)) * operand.scale;
  return low_bytes(offset, instruction_.address_size);
}

Obstacle X86Processor::operand_address(const DecodedOperand& operand, unsigned size, AccessKind kind,
                                       VirtualAddress& out) {
  return linear_address(static_cast<unsigned>(operand.segment), effective_offset(operand), size, kind, out);
}

Obstacle X86Processor::read_operand(const DecodedOperand& operand, std::uint64_t& value) {
  if (operand.kind == DecodedOperand::Kind::Immediate) {
    value = static_cast<std::uint64_t>(operand.displacement);
    return {};
  }
  if (operand.kind == DecodedOperand::Kind::Register) {
    value = low_bytes(general(operand.reg) >> (operand.high_byte ? 8 : 0), operand.size);
    return {};
  }
  VirtualAddress address;
  if (Obstacle obstacle = operand_address(operand, operand.size, AccessKind::Read, address)) return obstacle;
  return read_memory(address, operand.size, {.stack = operand.segment == kSs}, value);
}

Obstacle X86Processor::write_operand(const DecodedOperand& operand, unsigned size, std::uint64_t value) {
  if (operand.kind == DecodedOperand::Kind::Register) {
    write_general(operand.reg, size, value);
    return {};
  }
  VirtualAddress address;
  if (Obstacle obstacle = operand_address(operand, size, AccessKind::Write, address)) return obstacle;
  return write_memory(address, size, {.stack = operand.segment == kSs}, value);
}

// --- registers -------------------------------------------------------------------------------------------------------

void X86Processor::report_write(std::string_view name, std::uint64_t before, std::uint64_t after) {
  if (before != after) context_.events.micro(RegisterWritten{.name = name, .before = before, .after = after});
}

/// 32-bit results are extended with zeros; smaller ones leave the rest of the register alone.
void X86Processor::write_general(unsigned index, unsigned size, std::uint64_t value) {
  const std::uint64_t before = general(index);
  const std::uint64_t mask = size == 1 ? 0xff : 0xffff;
  const std::uint64_t after = size == 8 ? value : size == 4 ? value & 0xffffffff : (before & ~mask) | (value & mask);
  context_.engine.write(integer_register(index), after);
  report_write(kGeneralNames[index], before, after);
}

std::uint64_t X86Processor::next_pc() const { return wrap(pc() + instruction_.length).value; }

std::uint64_t X86Processor::flags() const {
  return (state_.rflags & ~kEngineFlags) | (context_.engine.read(flags_register()) & kEngineFlags) | 2;
}

void X86Processor::set_flags(std::uint64_t value) {
  constexpr std::uint64_t kDefined = 0x3f7fd5;
  const std::uint64_t before = flags();
  value = (value & kDefined) | 2;
  state_.rflags = value & ~kEngineFlags;
  context_.engine.write(flags_register(), value & kEngineFlags);
  if (((before ^ value) & kFlagAc) != 0) mmu_.access_rights_changed();
  report_write("RFLAGS", before, value);
}

void X86Processor::set_zero_flag(bool zero) {
  constexpr std::uint64_t kZero = 1U << 6;
  set_flags(zero ? flags() | kZero : flags() & ~kZero);
}

void X86Processor::set_cpl(unsigned cpl, std::string_view reason) {
  if (cpl == state_.cpl) return;
  const auto from = static_cast<std::uint8_t>(state_.cpl), to = static_cast<std::uint8_t>(cpl);
  state_.cpl = cpl;
  mmu_.access_rights_changed();
  context_.events.notable(PrivilegeChanged{.from = from, .to = to, .reason = reason});
  context_.events.set_actor(actor(), to);
}

std::uint64_t X86Processor::visible_cr0() const { return vmx_.in_non_root() ? vmx_.guest_visible_cr0() : state_.cr0; }
std::uint64_t X86Processor::visible_cr4() const { return vmx_.in_non_root() ? vmx_.guest_visible_cr4() : state_.cr4; }

std::uint64_t X86Processor::visible_tsc() const {
  const auto adjustment = state_.msrs.find(kMsrTsc);  // What WRMSR added to the clock.
  const std::uint64_t ticks = context_.time.guest_ticks() + context_.time.vmm_cycles +
                              (adjustment == state_.msrs.end() ? 0 : adjustment->second);
  return vmx_.in_non_root() ? vmx_.guest_visible_tsc(ticks) : ticks;
}

// --- mode ------------------------------------------------------------------------------------------------------------

std::string_view X86Processor::mode_name() const {
  if ((state_.cr0 & kCr0Pe) == 0) return "real mode";
  if (!state_.long_mode_active()) return "protected mode";
  return state_.sixty_four_bit_mode() ? "64-bit mode" : "compatibility mode";
}

/// What this mode needs that the engine does not give; empty when it can run.
std::string_view X86Processor::unsupported_mode() const {
  if (state_.sixty_four_bit_mode()) return {};
  if ((state_.cr0 & kCr0Pe) == 0) return "real mode";
  if (!state_.segments[kCs].default_big()) return "16-bit code";
  for (unsigned i = 0; i < kSegmentCount; ++i) {
    const Segment& segment = state_.segments[i];
    if (!segment.unusable() && (segment.base != 0 || segment.limit != 0xffffffff))
      return "a segment that is not flat, outside 64-bit mode";
  }
  return {};
}

/// After anything that mode, CS or the control registers may have changed.
void X86Processor::update_mode() {
  const ExecutionMode mode = state_.sixty_four_bit_mode() ? ExecutionMode::X86Long64 : ExecutionMode::X86Protected32;
  if (context_.engine.mode() != mode) context_.engine.set_mode(mode);
  const std::string_view name = mode_name();
  if (name != last_mode_) context_.events.notable(ModeChanged{.from = last_mode_, .to = name});
  last_mode_ = name;
  if (const std::string_view reason = unsupported_mode(); !reason.empty()) static_cast<void>(unsupported(reason));
}

void X86Processor::set_segment(unsigned index, const Segment& segment) {
  static constexpr std::array<std::string_view, kSegmentCount> kNames{"ES", "CS", "SS", "DS", "FS", "GS"};
  report_write(kNames[index], state_.segments[index].selector, segment.selector);
  state_.segments[index] = segment;
  if (index == kFs || index == kGs) {
    context_.engine.write({RegisterClass::SegmentBase, static_cast<std::uint8_t>(index)}, segment.base);
  }
  if (index == kCs || !state_.sixty_four_bit_mode()) update_mode();
}

// --- the stack -------------------------------------------------------------------------------------------------------

std::uint64_t X86Processor::stack_pointer() const { return wrap(general(4)).value; }

void X86Processor::set_stack_pointer(std::uint64_t value) {
  write_general(4, state_.sixty_four_bit_mode() ? 8 : 4, value);
}

Obstacle X86Processor::push(StackCursor& cursor, unsigned size, std::uint64_t value) {
  const bool wide =
      cursor.flat && state_.long_mode_active();  // A delivery from compatibility mode to a 64-bit handler.
  const std::uint64_t pointer = wide ? cursor.pointer - size : wrap(cursor.pointer - size).value;
  VirtualAddress address{pointer};
  if (!cursor.flat) {
    if (Obstacle obstacle = linear_address(kSs, pointer, size, AccessKind::Write, address)) return obstacle;
  }
  if (Obstacle obstacle = write_memory(address, size, cursor.mode, value)) return obstacle;
  cursor.pointer = pointer;
  return {};
}

Obstacle X86Processor::pop(StackCursor& cursor, unsigned size, std::uint64_t& value) {
  VirtualAddress address;
  if (Obstacle obstacle = linear_address(kSs, cursor.pointer, size, AccessKind::Read, address)) return obstacle;
  if (Obstacle obstacle = read_memory(address, size, cursor.mode, value)) return obstacle;
  cursor.pointer = wrap(cursor.pointer + size).value;
  return {};
}

}  // namespace shearling::x86
