// SPDX-License-Identifier: GPL-3.0-or-later
//
// The local APIC in xAPIC mode (SDM volume 3A, chapter 10): priorities (TPR, PPR, IRR, ISR, EOI), timer (one-shot and
// periodic, divide configuration) counting VirtualTime::guest_ticks(), self-IPI, spurious vector, error status.
// A count of N with divisor D expires N * D ticks after it was written, and every N * D ticks in periodic mode.
// Left out: x2APIC mode, TSC-deadline mode, inter-processor messages beyond self (one core), LINT pins, thermal and
// performance vectors (their LVT entries keep what is written).
// The same class is the machine's own APIC and, in a VMM's hands, a virtual one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/devices/device_bus.h"
#include "core/machine/processor.h"

namespace shearling::x86 {

/// Offsets of the registers that software names (SDM table 10-1).
inline constexpr std::uint64_t kApicId = 0x20, kApicVersion = 0x30, kApicTaskPriority = 0x80,
                               kApicProcessorPriority = 0xa0, kApicEoi = 0xb0, kApicLogicalDestination = 0xd0,
                               kApicDestinationFormat = 0xe0, kApicSpurious = 0xf0, kApicInService = 0x100,
                               kApicTriggerMode = 0x180, kApicRequest = 0x200, kApicErrorStatus = 0x280,
                               kApicCommandLow = 0x300, kApicCommandHigh = 0x310, kApicLvtTimer = 0x320,
                               kApicLvtThermal = 0x330, kApicLvtPerformance = 0x340, kApicLvtLint0 = 0x350,
                               kApicLvtLint1 = 0x360, kApicLvtError = 0x370, kApicInitialCount = 0x380,
                               kApicCurrentCount = 0x390, kApicDivide = 0x3e0;
inline constexpr std::uint32_t kApicSoftwareEnable = 1U << 8, kApicLvtMasked = 1U << 16, kApicTimerPeriodic = 1U << 17;
inline constexpr std::uint32_t kApicSendIllegalVector = 1U << 5, kApicReceiveIllegalVector = 1U << 6;

class LocalApic : public Device {
 public:
  static constexpr PhysicalAddress kBase{0xfee00000};
  /// `time` and `events` are borrowed. `device_name` is static text: "local APIC", "virtual local APIC".
  LocalApic(std::string_view device_name, const VirtualTime& time, EventStream& events);

  [[nodiscard]] std::string_view name() const override { return name_; }
  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  void save(Writer& writer) const override;
  void load(Reader& reader) override;

  /// Lets the timer catch up with time.guest_ticks(): an expiry sets its vector in IRR (with interrupt.requested).
  void advance();
  /// guest_ticks at which the timer expires next, if it is armed and not masked.
  [[nodiscard]] std::optional<std::uint64_t> next_expiry() const;
  /// Highest-priority vector above the processor priority, if any.
  [[nodiscard]] std::optional<std::uint8_t> pending_vector() const;
  /// The processor takes `vector`: IRR to ISR.
  void acknowledge(std::uint8_t vector);
  /// CR8 is TPR bits 7:4.
  [[nodiscard]] std::uint64_t task_priority() const;
  void set_task_priority(std::uint64_t cr8);

 private:
  [[nodiscard]] std::uint32_t& at(std::uint64_t offset) { return registers_[offset / 16]; }
  [[nodiscard]] std::uint32_t at(std::uint64_t offset) const { return registers_[offset / 16]; }
  [[nodiscard]] bool bit_of(std::uint64_t first_offset, std::uint8_t vector) const;
  void set_bit_of(std::uint64_t first_offset, std::uint8_t vector, bool value);
  [[nodiscard]] std::optional<std::uint8_t> highest_of(std::uint64_t first_offset) const;
  [[nodiscard]] std::uint32_t processor_priority() const;
  [[nodiscard]] std::uint64_t divisor() const;
  [[nodiscard]] std::uint64_t period() const { return at(kApicInitialCount) * divisor(); }
  [[nodiscard]] bool periodic() const { return (at(kApicLvtTimer) & kApicTimerPeriodic) != 0; }
  [[nodiscard]] std::uint32_t current_count() const;
  void continue_from(std::uint32_t count);
  void write_local_vector(std::uint64_t offset, std::uint32_t value);
  void send_message(std::uint32_t command);
  void request_interrupt(std::uint8_t vector, std::string_view source);
  void record_error(std::uint32_t error);

  std::string_view name_;
  const VirtualTime& time_;
  EventStream& events_;
  std::array<std::uint32_t, 64> registers_{};  ///< By offset / 16.
  std::uint64_t timer_start_ = 0;              ///< guest_ticks when the count was written.
  std::uint64_t timer_expirations_ = 0;        ///< Already turned into interrupts since timer_start_.
  std::uint32_t timer_armed_ = 0;              ///< 0 after a one-shot expiry, and while the initial count is 0.
  std::uint32_t new_errors_ = 0;               ///< Since error status was last written; that write makes them visible.
};

}  // namespace shearling::x86
