// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/gic/virtual_interface.h"

#include <bit>

namespace shearling::arm {
namespace {

using namespace list_register;

constexpr std::uint32_t kFirstSpecialInterrupt = 1020;
constexpr std::uint32_t kControlBits = 0xff | ich_hcr::kTrapCommon | ich_hcr::kTrapGroup0 | ich_hcr::kTrapGroup1 |
                                       ich_hcr::kTrapDeactivate | ich_hcr::kEndCount;
constexpr std::uint32_t kEndCountOne = 1U << 27;
// Interrupt identifiers have 24 bits, priorities five.
constexpr std::uint64_t kListRegisterBits =
    kState | kHardware | kGroup1 | static_cast<std::uint64_t>(kPriorityBitsMask) << 48 | 0x1fffULL << 32 | 0xffffff;
// ICH_VTR_EL2 (12.4.9): list registers, separate trap of ICC_DIR_EL1, no GICv4, affinity 3, 24-bit identifiers.
constexpr std::uint32_t kType = (kListRegisters - 1) | 1U << 19 | 1U << 20 | 1U << 21 | 1U << 23 |
                                (kPriorityBits - 1) << 26 | (kPriorityBits - 1) << 29;
// ICH_MISR_EL2 (12.4.6): its bits 1 to 7 answer the enables in the same bits of ICH_HCR_EL2.
constexpr std::uint32_t kEndOfInterrupt = 1U << 0;

unsigned list_register_number(SystemRegister reg) {
  return static_cast<unsigned>(reg) - static_cast<unsigned>(SystemRegister::ICH_LR0_EL2);
}
bool is_list_register(SystemRegister reg) {
  return reg >= SystemRegister::ICH_LR0_EL2 && list_register_number(reg) < kListRegisters;
}

PendingInterrupt pending_of(std::uint64_t value) { return {interrupt_of(value), priority_of(value), group_of(value)}; }

}  // namespace

template <typename Predicate>
std::uint32_t VirtualInterface::list_registers_with(Predicate predicate) const {
  std::uint32_t bits = 0;
  for (unsigned index = 0; index < kListRegisters; ++index) bits |= predicate(list_[index]) ? 1U << index : 0;
  return bits;
}

// --- the guest's side ------------------------------------------------------------------------------------------------

unsigned VirtualInterface::most_urgent() const {
  unsigned best = kListRegisters;
  for (unsigned index = 0; index < kListRegisters; ++index) {
    const std::uint64_t value = list_[index];
    const std::uint32_t interrupt = interrupt_of(value);
    const bool special = interrupt >= kFirstSpecialInterrupt && interrupt <= kSpuriousInterrupt;
    if ((value & kState) != kPending || special || !interface_.group_enabled(group_of(value))) continue;
    if (best == kListRegisters || priority_of(value) < priority_of(list_[best])) best = index;
  }
  return best;
}

std::optional<PendingInterrupt> VirtualInterface::highest_pending() const {
  const unsigned best = most_urgent();
  if (best == kListRegisters) return std::nullopt;
  return pending_of(list_[best]);
}

std::optional<PendingInterrupt> VirtualInterface::signalled() const {
  if ((control_ & ich_hcr::kEnable) == 0) return std::nullopt;
  const auto highest = highest_pending();
  if (!highest || !interface_.can_signal(*highest)) return std::nullopt;
  return highest;
}

std::optional<PendingInterrupt> VirtualInterface::acknowledge(unsigned group) {
  const auto taken = signalled();
  if (!taken || taken->group != group) return std::nullopt;
  std::uint64_t& value = list_[most_urgent()];
  value = (value & ~kState) | kActive;
  interface_.activate_priority(*taken);
  return taken;
}

std::optional<unsigned> VirtualInterface::find_active(std::uint32_t interrupt) const {
  const std::uint32_t found = list_registers_with(
      [&](std::uint64_t value) { return (value & kActive) != 0 && interrupt_of(value) == interrupt; });
  if (found == 0) return std::nullopt;
  return static_cast<unsigned>(std::countr_zero(found));
}

// Where no list register holds the interrupt (EL2 has put it aside), EL2 learns how many ends it has to look after.
void VirtualInterface::deactivate_or_count(std::uint32_t interrupt, End& end) {
  const auto index = find_active(interrupt);
  if (!index) {
    control_ += kEndCountOne;  // The field is the highest: it wraps around by itself.
    return;
  }
  std::uint64_t& value = list_[*index];
  value &= ~kActive;
  end.deactivated = true;
  if ((value & kHardware) != 0) end.physical = physical_of(value);
}

VirtualInterface::End VirtualInterface::end(unsigned group, std::uint32_t interrupt) {
  End result;
  const bool special = interrupt >= kFirstSpecialInterrupt && interrupt <= kSpuriousInterrupt;
  if (special || interface_.running_group() != group) return result;
  interface_.drop_priority(group);
  result.dropped = true;
  if (!interface_.deactivation_is_separate()) deactivate_or_count(interrupt, result);
  return result;
}

VirtualInterface::End VirtualInterface::deactivate(std::uint32_t interrupt) {
  End result;
  const bool special = interrupt >= kFirstSpecialInterrupt && interrupt <= kSpuriousInterrupt;
  if (!special && interface_.deactivation_is_separate()) deactivate_or_count(interrupt, result);
  return result;
}

// --- EL2's side ------------------------------------------------------------------------------------------------------

/// ICH_EISR_EL2: ended list registers for which EL2 wanted to be told.
std::uint32_t VirtualInterface::ended() const {
  return list_registers_with(
      [](std::uint64_t value) { return (value & (kState | kHardware | kEndMaintenance)) == kEndMaintenance; });
}

std::uint32_t VirtualInterface::maintenance_status() const {
  const std::uint32_t valid = list_registers_with([](std::uint64_t value) { return (value & kState) != 0; });
  const std::uint32_t pending = list_registers_with([](std::uint64_t value) { return (value & kState) == kPending; });
  std::uint32_t conditions = 0;
  if (std::popcount(valid) < 2) conditions |= ich_hcr::kUnderflow;
  if ((control_ & ich_hcr::kEndCount) != 0) conditions |= ich_hcr::kEntryNotPresent;
  if (pending == 0) conditions |= ich_hcr::kNoPending;
  conditions |= interface_.group_enabled(0) ? ich_hcr::kGroup0Enabled : ich_hcr::kGroup0Disabled;
  conditions |= interface_.group_enabled(1) ? ich_hcr::kGroup1Enabled : ich_hcr::kGroup1Disabled;
  return (conditions & control_) | (ended() != 0 ? kEndOfInterrupt : 0);
}

bool VirtualInterface::maintenance_line() const {
  return (control_ & ich_hcr::kEnable) != 0 && maintenance_status() != 0;
}

std::uint64_t VirtualInterface::read(SystemRegister reg) const {
  if (is_list_register(reg)) return list_[list_register_number(reg)];
  switch (reg) {
    case SystemRegister::ICH_AP0R0_EL2:
      return interface_.read(SystemRegister::ICC_AP0R0_EL1);
    case SystemRegister::ICH_AP1R0_EL2:
      return interface_.read(SystemRegister::ICC_AP1R0_EL1);
    case SystemRegister::ICH_HCR_EL2:
      return control_;
    case SystemRegister::ICH_VTR_EL2:
      return kType;
    case SystemRegister::ICH_MISR_EL2:
      return maintenance_status();
    case SystemRegister::ICH_EISR_EL2:
      return ended();
    case SystemRegister::ICH_ELRSR_EL2:
      return list_registers_with([](std::uint64_t value) {
        return (value & kState) == 0 && ((value & kHardware) != 0 || (value & kEndMaintenance) == 0);
      });
    case SystemRegister::ICH_VMCR_EL2:
      return interface_.virtual_machine_control();
    default:
      return 0;
  }
}

void VirtualInterface::write(SystemRegister reg, std::uint64_t value) {
  const auto word = static_cast<std::uint32_t>(value);
  if (is_list_register(reg)) {
    list_[list_register_number(reg)] = value & kListRegisterBits;
    return;
  }
  switch (reg) {
    case SystemRegister::ICH_AP0R0_EL2:
      return interface_.write(SystemRegister::ICC_AP0R0_EL1, word);
    case SystemRegister::ICH_AP1R0_EL2:
      return interface_.write(SystemRegister::ICC_AP1R0_EL1, word);
    case SystemRegister::ICH_HCR_EL2:
      control_ = word & kControlBits;
      return;
    case SystemRegister::ICH_VMCR_EL2:
      return interface_.set_virtual_machine_control(word);
    default:
      return;
  }
}

}  // namespace shearling::arm
