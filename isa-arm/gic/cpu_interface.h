// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the physical and the virtual CPU interface of a core have in common (IHI 0069, chapter 4.8 and sections 12.2 and
// 12.3): priority mask, binary points, active priorities, group enables and their registers. Five bits of priority and
// of preemption level, as the Cortex-A57 and QEMU's model of it have: bits 2:0 of every priority read as zero.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "isa-arm/registers/arm_state.h"

namespace shearling::arm {

inline constexpr unsigned kPriorityBits = 5;
inline constexpr std::uint8_t kPriorityBitsMask = static_cast<std::uint8_t>(0xff << (8 - kPriorityBits));
inline constexpr std::uint8_t kIdlePriority = 0xff;  ///< The running priority where nothing is active.
/// ICC_BPR0_EL1's least value; ICC_BPR1_EL1's is one more, since its groups are cut one bit further left.
inline constexpr std::uint8_t kLeastBinaryPoint = 7 - kPriorityBits;

/// An interrupt that asks for the core's attention.
struct PendingInterrupt {
  std::uint32_t interrupt = 0;
  std::uint8_t priority = 0;
  std::uint8_t group = 0;
};

class CpuInterface {
 public:
  /// The part of a priority that decides about preemption, as a mask (IHI 0069, 4.8.2).
  [[nodiscard]] std::uint8_t group_priority_mask(unsigned group) const;
  [[nodiscard]] std::uint8_t running_priority() const;
  /// The group whose active priority is the running one; group 0 where both are.
  [[nodiscard]] std::optional<unsigned> running_group() const;
  [[nodiscard]] bool group_enabled(unsigned group) const { return group_enabled_[group] != 0; }
  /// The priority mask lets it through, and it is more urgent than what runs.
  [[nodiscard]] bool can_signal(const PendingInterrupt& pending) const;
  /// EOIR only drops the priority; DIR deactivates.
  [[nodiscard]] bool deactivation_is_separate() const { return separate_deactivation_ != 0; }

  void activate_priority(const PendingInterrupt& acknowledged);
  void drop_priority(unsigned group);

  /// PMR, BPR0, BPR1, AP0R0, AP1R0, RPR, CTLR, IGRPEN0, IGRPEN1; the other registers read as zero and ignore writes.
  [[nodiscard]] std::uint32_t read(SystemRegister reg) const;
  void write(SystemRegister reg, std::uint32_t value);
  /// The same state as EL2 sees it in ICH_VMCR_EL2.
  [[nodiscard]] std::uint32_t virtual_machine_control() const;
  void set_virtual_machine_control(std::uint32_t value);

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(priority_mask_, binary_points_, group_enabled_, common_binary_point_, separate_deactivation_,
            active_priorities_);
  }

 private:
  [[nodiscard]] std::uint32_t read_binary_point(unsigned group) const;
  void write_binary_point(unsigned group, std::uint32_t value);
  void set_binary_point(unsigned group, std::uint32_t value);

  std::uint8_t priority_mask_ = 0;
  std::array<std::uint8_t, 2> binary_points_{kLeastBinaryPoint, kLeastBinaryPoint + 1};
  std::array<std::uint8_t, 2> group_enabled_{};
  std::uint8_t common_binary_point_ = 0;              ///< CTLR.CBPR
  std::uint8_t separate_deactivation_ = 0;            ///< CTLR.EOImode
  std::array<std::uint32_t, 2> active_priorities_{};  ///< AP0R0, AP1R0: bit n is preemption level n.
};

}  // namespace shearling::arm
