// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/gic/generic_timer.h"

#include <algorithm>
#include <array>
#include <limits>

namespace shearling::arm {
namespace {

// CNT*_CTL (DDI 0487, D19.12.9 and others).
constexpr std::uint64_t kEnable = 1U << 0, kMask = 1U << 1, kStatus = 1U << 2;

/// The registers of one timer and its interrupt.
struct TimerInfo {
  SystemRegister control, compare, value;
  unsigned interrupt;
  bool has_offset;  ///< Counts CNTVCT: CNTPCT - CNTVOFF_EL2. EL2's virtual timer counts without the offset.
};
constexpr std::array kTimers{TimerInfo{SystemRegister::CNTP_CTL_EL0, SystemRegister::CNTP_CVAL_EL0,
                                       SystemRegister::CNTP_TVAL_EL0, kPhysicalTimerInterrupt, false},
                             TimerInfo{SystemRegister::CNTV_CTL_EL0, SystemRegister::CNTV_CVAL_EL0,
                                       SystemRegister::CNTV_TVAL_EL0, kVirtualTimerInterrupt, true},
                             TimerInfo{SystemRegister::CNTHP_CTL_EL2, SystemRegister::CNTHP_CVAL_EL2,
                                       SystemRegister::CNTHP_TVAL_EL2, kHypervisorTimerInterrupt, false},
                             TimerInfo{SystemRegister::CNTHV_CTL_EL2, SystemRegister::CNTHV_CVAL_EL2,
                                       SystemRegister::CNTHV_TVAL_EL2, kHypervisorVirtualTimerInterrupt, false}};

const TimerInfo* find_timer(SystemRegister reg) {
  const auto found = std::find_if(kTimers.begin(), kTimers.end(), [&](const TimerInfo& timer) {
    return timer.control == reg || timer.compare == reg || timer.value == reg;
  });
  return found == kTimers.end() ? nullptr : &*found;
}

/// For EL2 with FEAT_VHE's host mode, and for EL0 under it, the virtual counter has no offset (D12.2.2).
bool offset_is_hidden(const ArmState& state) {
  if (!state.e2h()) return false;
  return state.exception_level == 2 || (state.exception_level == 0 && state.tge());
}

/// What the timer compares with: unsigned 64-bit, wrapping around (D12.2.4).
std::uint64_t count_of(const TimerInfo& timer, std::uint64_t physical, const ArmState& state) {
  return timer.has_offset ? physical - state[SystemRegister::CNTVOFF_EL2] : physical;
}

bool condition_met(const TimerInfo& timer, std::uint64_t physical, const ArmState& state) {
  return (state[timer.control] & kEnable) != 0 && count_of(timer, physical, state) >= state[timer.compare];
}

bool line_of(const TimerInfo& timer, std::uint64_t physical, const ArmState& state) {
  return (state[timer.control] & kMask) == 0 && condition_met(timer, physical, state);
}

}  // namespace

GenericTimer::GenericTimer(unsigned cpu, ArmState& state, const VirtualTime& time, Gic& gic)
    : cpu_(cpu), state_(state), time_(time), gic_(gic) {}

std::uint64_t GenericTimer::physical_count() const { return time_.guest_ticks() + time_.vmm_cycles; }

std::uint64_t GenericTimer::virtual_count() const {
  return offset_is_hidden(state_) ? physical_count() : physical_count() - state_[SystemRegister::CNTVOFF_EL2];
}

std::uint64_t GenericTimer::read(SystemRegister reg) const {
  if (reg == SystemRegister::CNTPCT_EL0) return physical_count();
  if (reg == SystemRegister::CNTVCT_EL0) return virtual_count();
  const TimerInfo* timer = find_timer(reg);
  if (timer == nullptr || reg == timer->compare) return state_[reg];
  if (reg == timer->control) return state_[reg] | (condition_met(*timer, physical_count(), state_) ? kStatus : 0);
  const std::uint64_t count = timer->has_offset ? virtual_count() : physical_count();
  return (state_[timer->compare] - count) & 0xffff'ffff;
}

void GenericTimer::write(SystemRegister reg, std::uint64_t value) {
  if (reg == SystemRegister::CNTPCT_EL0 || reg == SystemRegister::CNTVCT_EL0) return;
  const TimerInfo* timer = find_timer(reg);
  if (timer == nullptr || reg == timer->compare) {
    state_[reg] = value;
  } else if (reg == timer->control) {
    state_[reg] = value & (kEnable | kMask);
  } else {
    const std::uint64_t count = timer->has_offset ? virtual_count() : physical_count();
    state_[timer->compare] =
        count + static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(value)));
  }
  advance();
}

void GenericTimer::advance() {
  const std::uint64_t physical = physical_count();
  for (const TimerInfo& timer : kTimers) gic_.set_private_line(cpu_, timer.interrupt, line_of(timer, physical, state_));
}

std::optional<std::uint64_t> GenericTimer::next_expiry() const {
  constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t physical = physical_count(), now = time_.guest_ticks();
  std::uint64_t ticks = kNever;
  for (const TimerInfo& timer : kTimers) {
    const bool armed = (state_[timer.control] & (kEnable | kMask)) == kEnable;
    if (!armed || condition_met(timer, physical, state_)) continue;
    ticks = std::min(ticks, state_[timer.compare] - count_of(timer, physical, state_));
  }
  // An expiry beyond the end of guest time never comes.
  if (ticks > kNever - now || ticks == kNever) return std::nullopt;
  return now + ticks;
}

}  // namespace shearling::arm
