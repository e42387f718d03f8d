// SPDX-License-Identifier: GPL-3.0-or-later
//
// The generic timer of one core (DDI 0487, chapter D12): the physical and virtual counters, and the EL1 physical, EL1
// virtual, EL2 physical and EL2 virtual timers. Counters run with guest-visible time: one tick an instruction begun,
// plus ticks slept; CNTPCT_EL0 also counts what the VMM did. State is in ArmState (CTL and CVAL; TVAL is computed).
#pragma once

#include <cstdint>
#include <optional>

#include "core/machine/processor.h"
#include "isa-arm/gic/gic.h"
#include "isa-arm/registers/arm_state.h"

namespace shearling::arm {

inline constexpr std::uint64_t kTimerFrequency = 62'500'000;  ///< CNTFRQ_EL0 of QEMU's board.

class GenericTimer {
 public:
  GenericTimer(unsigned cpu, ArmState& state, const VirtualTime& time, Gic& gic);

  [[nodiscard]] std::uint64_t physical_count() const;
  [[nodiscard]] std::uint64_t virtual_count() const;  ///< CNTVCT_EL0 as the present level reads it.
  /// CNT* by register, TVAL and ISTATUS computed. A disabled timer's ISTATUS reads as zero.
  [[nodiscard]] std::uint64_t read(SystemRegister reg) const;
  void write(SystemRegister reg, std::uint64_t value);
  /// Drives the PPI lines for the present time (the GIC tells interrupt.requested). Call after time has moved; write()
  /// does it by itself.
  void advance();
  /// Guest ticks (VirtualTime::guest_ticks) at which some enabled, unmasked timer's condition next becomes true; what
  /// is true already does not count. Cycles of the VMM bring it nearer: ask again after them.
  [[nodiscard]] std::optional<std::uint64_t> next_expiry() const;

 private:
  unsigned cpu_;
  ArmState& state_;
  const VirtualTime& time_;
  Gic& gic_;
};

}  // namespace shearling::arm
