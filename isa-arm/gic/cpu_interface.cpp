// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/gic/cpu_interface.h"

#include <algorithm>
#include <bit>

namespace shearling::arm {
namespace {

// ICC_CTLR_EL1 (IHI 0069, 12.2.6): 24-bit interrupt identifiers, affinity 3 is implemented.
constexpr std::uint32_t kCommonBinaryPoint = 1U << 0, kEndMode = 1U << 1,
                        kControlIdentification = 1U << 15 | 1U << 11 | (kPriorityBits - 1) << 8;
// ICH_VMCR_EL2 (12.4.8). VFIQEn is always one: with system registers, group 0 is FIQ.
constexpr unsigned kVmcrBinaryPoint1 = 18, kVmcrBinaryPoint0 = 21, kVmcrPriorityMask = 24;
constexpr std::uint32_t kVmcrFiqEnable = 1U << 3, kVmcrCommonBinaryPoint = 1U << 4, kVmcrEndMode = 1U << 9;

std::uint8_t flag(std::uint32_t value, std::uint32_t bit) { return (value & bit) != 0 ? 1 : 0; }

}  // namespace

std::uint8_t CpuInterface::group_priority_mask(unsigned group) const {
  const bool own = group == 1 && common_binary_point_ == 0;
  const unsigned lowest_bit = own ? binary_points_[1] : binary_points_[0] + 1U;
  return static_cast<std::uint8_t>(0xffU << lowest_bit);
}

std::uint8_t CpuInterface::running_priority() const {
  const std::uint32_t active = active_priorities_[0] | active_priorities_[1];
  if (active == 0) return kIdlePriority;
  return static_cast<std::uint8_t>(static_cast<unsigned>(std::countr_zero(active)) << (8 - kPriorityBits));
}

std::optional<unsigned> CpuInterface::running_group() const {
  if ((active_priorities_[0] | active_priorities_[1]) == 0) return std::nullopt;
  return std::countr_zero(active_priorities_[1]) < std::countr_zero(active_priorities_[0]) ? 1 : 0;
}

bool CpuInterface::can_signal(const PendingInterrupt& pending) const {
  if (pending.priority >= priority_mask_) return false;
  const std::uint8_t running = running_priority();
  const unsigned mask = group_priority_mask(pending.group);
  return running == kIdlePriority || (pending.priority & mask) < (running & mask);
}

void CpuInterface::activate_priority(const PendingInterrupt& acknowledged) {
  const unsigned level = (acknowledged.priority & group_priority_mask(acknowledged.group)) >> (8 - kPriorityBits);
  active_priorities_[acknowledged.group] |= 1U << level;
}

void CpuInterface::drop_priority(unsigned group) { active_priorities_[group] &= active_priorities_[group] - 1; }

// With CBPR set, BPR1 shows what it would have to be for the same groups, and cannot be written.
std::uint32_t CpuInterface::read_binary_point(unsigned group) const {
  if (group == 1 && common_binary_point_ != 0) return std::min(binary_points_[0] + 1U, 7U);
  return binary_points_[group];
}

void CpuInterface::write_binary_point(unsigned group, std::uint32_t value) {
  if (group == 0 || common_binary_point_ == 0) set_binary_point(group, value);
}

void CpuInterface::set_binary_point(unsigned group, std::uint32_t value) {
  binary_points_[group] = static_cast<std::uint8_t>(std::max(value & 7, kLeastBinaryPoint + group));
}

std::uint32_t CpuInterface::read(SystemRegister reg) const {
  switch (reg) {
    case SystemRegister::ICC_PMR_EL1:
      return priority_mask_;
    case SystemRegister::ICC_BPR0_EL1:
      return read_binary_point(0);
    case SystemRegister::ICC_BPR1_EL1:
      return read_binary_point(1);
    case SystemRegister::ICC_AP0R0_EL1:
      return active_priorities_[0];
    case SystemRegister::ICC_AP1R0_EL1:
      return active_priorities_[1];
    case SystemRegister::ICC_RPR_EL1:
      return running_priority();
    case SystemRegister::ICC_IGRPEN0_EL1:
      return group_enabled_[0];
    case SystemRegister::ICC_IGRPEN1_EL1:
      return group_enabled_[1];
    case SystemRegister::ICC_CTLR_EL1:
      return kControlIdentification | (common_binary_point_ != 0 ? kCommonBinaryPoint : 0) |
             (separate_deactivation_ != 0 ? kEndMode : 0);
    default:
      return 0;
  }
}

void CpuInterface::write(SystemRegister reg, std::uint32_t value) {
  switch (reg) {
    case SystemRegister::ICC_PMR_EL1:
      priority_mask_ = static_cast<std::uint8_t>(value & kPriorityBitsMask);
      return;
    case SystemRegister::ICC_BPR0_EL1:
      return write_binary_point(0, value);
    case SystemRegister::ICC_BPR1_EL1:
      return write_binary_point(1, value);
    case SystemRegister::ICC_AP0R0_EL1:
      active_priorities_[0] = value;
      return;
    case SystemRegister::ICC_AP1R0_EL1:
      active_priorities_[1] = value;
      return;
    case SystemRegister::ICC_IGRPEN0_EL1:
      group_enabled_[0] = flag(value, 1);
      return;
    case SystemRegister::ICC_IGRPEN1_EL1:
      group_enabled_[1] = flag(value, 1);
      return;
    case SystemRegister::ICC_CTLR_EL1:
      common_binary_point_ = flag(value, kCommonBinaryPoint);
      separate_deactivation_ = flag(value, kEndMode);
      return;
    default:
      return;
  }
}

std::uint32_t CpuInterface::virtual_machine_control() const {
  return group_enabled_[0] | static_cast<std::uint32_t>(group_enabled_[1]) << 1 | kVmcrFiqEnable |
         (common_binary_point_ != 0 ? kVmcrCommonBinaryPoint : 0) | (separate_deactivation_ != 0 ? kVmcrEndMode : 0) |
         static_cast<std::uint32_t>(binary_points_[1]) << kVmcrBinaryPoint1 |
         static_cast<std::uint32_t>(binary_points_[0]) << kVmcrBinaryPoint0 |
         static_cast<std::uint32_t>(priority_mask_) << kVmcrPriorityMask;
}

void CpuInterface::set_virtual_machine_control(std::uint32_t value) {
  group_enabled_ = {flag(value, 1), flag(value, 2)};
  common_binary_point_ = flag(value, kVmcrCommonBinaryPoint);
  separate_deactivation_ = flag(value, kVmcrEndMode);
  set_binary_point(0, value >> kVmcrBinaryPoint0);
  set_binary_point(1, value >> kVmcrBinaryPoint1);
  priority_mask_ = static_cast<std::uint8_t>(value >> kVmcrPriorityMask & kPriorityBitsMask);
}

}  // namespace shearling::arm
