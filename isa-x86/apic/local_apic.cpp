// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/apic/local_apic.h"

#include <bit>

namespace shearling::x86 {
namespace {

constexpr std::uint32_t kVersion = 0x00050014;  // Integrated APIC with six LVT entries.
constexpr std::uint8_t kFirstLegalVector = 16;

/// Bits that software can write; registers that are not listed ignore writes.
struct WritableBits {
  std::uint64_t offset;
  std::uint32_t mask;
};
constexpr std::array kPlainRegisters{WritableBits{kApicId, 0xff000000}, WritableBits{kApicTaskPriority, 0xff},
                                     WritableBits{kApicLogicalDestination, 0xff000000},
                                     WritableBits{kApicDestinationFormat, 0xf0000000},
                                     WritableBits{kApicCommandHigh, 0xff000000}};
constexpr std::array kLocalVectors{
    WritableBits{kApicLvtTimer, 0x000300ff},       WritableBits{kApicLvtThermal, 0x000107ff},
    WritableBits{kApicLvtPerformance, 0x000107ff}, WritableBits{kApicLvtLint0, 0x0001a7ff},
    WritableBits{kApicLvtLint1, 0x0001a7ff},       WritableBits{kApicLvtError, 0x000100ff}};

/// Of the eight registers that hold one bit a vector.
constexpr std::uint64_t register_with(std::uint64_t first_offset, unsigned index) {
  return first_offset + std::uint64_t{16} * index;
}

template <typename Table>
const WritableBits* find(const Table& table, std::uint64_t offset) {
  for (const WritableBits& row : table) {
    if (row.offset == offset) return &row;
  }
  return nullptr;
}

}  // namespace

LocalApic::LocalApic(std::string_view device_name, const VirtualTime& time, EventStream& events)
    : name_(device_name), time_(time), events_(events) {
  at(kApicVersion) = kVersion;
  at(kApicDestinationFormat) = 0xffffffff;
  at(kApicSpurious) = 0xff;
  for (const WritableBits& entry : kLocalVectors) at(entry.offset) = kApicLvtMasked;
}

// --- registers -------------------------------------------------------------------------------------------------------

std::uint64_t LocalApic::read(std::uint64_t offset, unsigned) {
  if (offset % 16 != 0 || offset / 16 >= registers_.size()) return 0;
  advance();
  if (offset == kApicProcessorPriority) return processor_priority();
  if (offset == kApicCurrentCount) return current_count();
  return at(offset);
}

void LocalApic::write(std::uint64_t offset, unsigned, std::uint64_t value) {
  if (offset % 16 != 0 || offset / 16 >= registers_.size()) return;
  advance();
  const auto word = static_cast<std::uint32_t>(value);
  if (const WritableBits* plain = find(kPlainRegisters, offset)) {
    at(offset) = (at(offset) & ~plain->mask) | (word & plain->mask);
    return;
  }
  if (find(kLocalVectors, offset) != nullptr) {
    write_local_vector(offset, word);
    return;
  }
  switch (offset) {
    case kApicEoi:
      if (const auto vector = highest_of(kApicInService)) set_bit_of(kApicInService, *vector, false);
      return;
    case kApicSpurious:
      at(offset) = word & 0x1ff;
      if ((word & kApicSoftwareEnable) != 0) return;
      for (const WritableBits& entry : kLocalVectors) at(entry.offset) |= kApicLvtMasked;
      return;
    case kApicErrorStatus:
      at(offset) = new_errors_;
      new_errors_ = 0;
      return;
    case kApicCommandLow:
      at(offset) = word & 0x000ccfff;
      send_message(word);
      return;
    case kApicInitialCount:
      at(offset) = word;
      timer_start_ = time_.guest_ticks();
      timer_expirations_ = 0;
      timer_armed_ = word != 0 ? 1 : 0;
      return;
    case kApicDivide: {
      const std::uint32_t count = current_count();
      const bool changes = at(offset) != (word & 0xb);
      at(offset) = word & 0xb;
      if (changes) continue_from(count);
      return;
    }
    default:
      return;
  }
}

void LocalApic::write_local_vector(std::uint64_t offset, std::uint32_t value) {
  const std::uint32_t count = current_count();
  const bool was_periodic = periodic();
  at(offset) = value & find(kLocalVectors, offset)->mask;
  if ((at(kApicSpurious) & kApicSoftwareEnable) == 0) at(offset) |= kApicLvtMasked;
  if (periodic() != was_periodic) continue_from(count);
}

void LocalApic::send_message(std::uint32_t command) {
  enum Shorthand : std::uint32_t { kNone, kSelf, kAllWithSelf, kAllButSelf };
  const std::uint32_t shorthand = (command >> 18) & 3;
  const bool fixed = ((command >> 8) & 7) <= 1;  // Lowest priority on one core is the same as fixed.
  if (!fixed || shorthand == kAllButSelf) return;
  if (shorthand == kNone) {
    const std::uint32_t destination = at(kApicCommandHigh) >> 24;
    const bool logical = (command & (1U << 11)) != 0;
    const bool here = logical ? (destination & (at(kApicLogicalDestination) >> 24)) != 0
                              : destination == at(kApicId) >> 24 || destination == 0xff;
    if (!here) return;
  }
  const auto vector = static_cast<std::uint8_t>(command);
  if (vector < kFirstLegalVector)
    record_error(kApicSendIllegalVector);
  else
    request_interrupt(vector, "self-IPI");
}

// --- timer -----------------------------------------------------------------------------------------------------------

std::uint64_t LocalApic::divisor() const {
  const std::uint32_t value = at(kApicDivide);
  const std::uint32_t shift = ((value & 3) | ((value >> 1) & 4)) + 1;  // 0: by 2 ... 6: by 128; 7: by 1.
  return std::uint64_t{1} << (shift & 7);
}

std::uint32_t LocalApic::current_count() const {
  if (timer_armed_ == 0) return 0;
  const std::uint64_t counted = (time_.guest_ticks() - timer_start_) / divisor();
  const std::uint64_t initial = at(kApicInitialCount);
  if (periodic()) return static_cast<std::uint32_t>(initial - counted % initial);
  return counted >= initial ? 0 : static_cast<std::uint32_t>(initial - counted);
}

/// After a change of mode or divisor: the count goes on from where it stood (the part of a tick counted so far is
/// lost).
void LocalApic::continue_from(std::uint32_t count) {
  if (timer_armed_ == 0) return;
  timer_start_ = time_.guest_ticks() - (at(kApicInitialCount) - count) * divisor();
  timer_expirations_ = 0;
}

void LocalApic::advance() {
  if (timer_armed_ == 0) return;
  const std::uint64_t expirations = (time_.guest_ticks() - timer_start_) / period();
  if (expirations == timer_expirations_) return;
  timer_expirations_ = expirations;
  if (!periodic()) timer_armed_ = 0;
  if ((at(kApicLvtTimer) & kApicLvtMasked) != 0) return;
  const auto vector = static_cast<std::uint8_t>(at(kApicLvtTimer));
  if (vector < kFirstLegalVector) {
    record_error(kApicReceiveIllegalVector);
    return;
  }
  request_interrupt(vector, name_ == "virtual local APIC" ? "virtual local APIC timer" : "local APIC timer");
}

std::optional<std::uint64_t> LocalApic::next_expiry() const {
  if (timer_armed_ == 0 || (at(kApicLvtTimer) & kApicLvtMasked) != 0) return std::nullopt;
  return timer_start_ + (timer_expirations_ + 1) * period();
}

// --- interrupts ------------------------------------------------------------------------------------------------------

bool LocalApic::bit_of(std::uint64_t first_offset, std::uint8_t vector) const {
  return (at(register_with(first_offset, vector / 32)) >> (vector % 32) & 1) != 0;
}

void LocalApic::set_bit_of(std::uint64_t first_offset, std::uint8_t vector, bool value) {
  std::uint32_t& word = at(register_with(first_offset, vector / 32));
  const std::uint32_t bit = 1U << (vector % 32);
  word = value ? word | bit : word & ~bit;
}

std::optional<std::uint8_t> LocalApic::highest_of(std::uint64_t first_offset) const {
  for (unsigned index = 8; index-- != 0;) {
    const std::uint32_t word = at(register_with(first_offset, index));
    if (word != 0) return static_cast<std::uint8_t>(32 * index + static_cast<unsigned>(std::bit_width(word)) - 1);
  }
  return std::nullopt;
}

std::uint32_t LocalApic::processor_priority() const {
  const std::uint32_t task = at(kApicTaskPriority) & 0xff;
  const std::uint32_t in_service = highest_of(kApicInService).value_or(0);
  return (task >> 4) >= (in_service >> 4) ? task : in_service & 0xf0;
}

std::optional<std::uint8_t> LocalApic::pending_vector() const {
  const auto requested = highest_of(kApicRequest);
  if (!requested || (*requested >> 4) <= (processor_priority() >> 4)) return std::nullopt;
  return requested;
}

void LocalApic::acknowledge(std::uint8_t vector) {
  set_bit_of(kApicRequest, vector, false);
  set_bit_of(kApicInService, vector, true);
}

void LocalApic::request_interrupt(std::uint8_t vector, std::string_view source) {
  events_.notable(InterruptRequested{.source = source, .vector = vector});
  set_bit_of(kApicRequest, vector, true);
  set_bit_of(kApicTriggerMode, vector, false);
}

void LocalApic::record_error(std::uint32_t error) {
  const bool known = (new_errors_ & error) != 0;
  new_errors_ |= error;
  const std::uint32_t entry = at(kApicLvtError);
  const auto vector = static_cast<std::uint8_t>(entry);
  if (known || (entry & kApicLvtMasked) != 0 || vector < kFirstLegalVector) return;
  request_interrupt(vector, "local APIC error");
}

std::uint64_t LocalApic::task_priority() const { return (at(kApicTaskPriority) >> 4) & 0xf; }
void LocalApic::set_task_priority(std::uint64_t cr8) {
  at(kApicTaskPriority) = static_cast<std::uint32_t>(cr8 & 0xf) << 4;
}

void LocalApic::save(Writer& writer) const {
  writer(registers_, timer_start_, timer_expirations_, timer_armed_, new_errors_);
}
void LocalApic::load(Reader& reader) {
  reader(registers_, timer_start_, timer_expirations_, timer_armed_, new_errors_);
}

}  // namespace shearling::x86
