// SPDX-License-Identifier: GPL-3.0-or-later
//
// The local APIC in xAPIC mode (SDM volume 3A, chapter 10): priorities (TPR, PPR, IRR, ISR, EOI), timer (one-shot and
// periodic, divide configuration) counting VirtualTime::guest_ticks(), self-IPI, spurious vector, error status.
// Left out: x2APIC mode, inter-processor messages beyond self (one core), LINT pins, thermal and performance vectors
// (their LVT entries keep what is written).
// The same class is the machine's own APIC and, in a VMM's hands, a virtual one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/devices/device_bus.h"
#include "core/machine/processor.h"

namespace shearling::x86 {

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
  std::string_view name_;
  const VirtualTime& time_;
  EventStream& events_;
  std::array<std::uint32_t, 64> registers_{};   ///< By offset / 16.
  std::uint64_t timer_start_ = 0;               ///< guest_ticks when the count was written.
  std::uint64_t timer_expirations_ = 0;         ///< Already turned into interrupts since timer_start_.
};

}  // namespace shearling::x86
