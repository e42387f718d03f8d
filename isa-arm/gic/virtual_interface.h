// SPDX-License-Identifier: GPL-3.0-or-later
//
// The virtual CPU interface of a core and EL2's view of it (IHI 0069, chapters 5 and 6, sections 12.3 and 12.4): EL2
// puts interrupts into list registers; the guest acknowledges and ends them by ICV_* without a trap. What has to be
// told to EL2 (a list register came free, none is pending, ...) is the level of the maintenance interrupt.
// Left out: virtual LPIs. An identifier of 1020 to 1023 in a list register is never signalled.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "isa-arm/gic/cpu_interface.h"
#include "isa-arm/gic/gic.h"

namespace shearling::arm {

/// ICH_HCR_EL2 (IHI 0069, 12.4.5). TC, TALL0, TALL1 and TDIR trap ICV_* accesses: the core's business.
namespace ich_hcr {
inline constexpr std::uint32_t kEnable = 1U << 0, kUnderflow = 1U << 1, kEntryNotPresent = 1U << 2,
                               kNoPending = 1U << 3, kGroup0Enabled = 1U << 4, kGroup0Disabled = 1U << 5,
                               kGroup1Enabled = 1U << 6, kGroup1Disabled = 1U << 7, kTrapCommon = 1U << 10,
                               kTrapGroup0 = 1U << 11, kTrapGroup1 = 1U << 12, kTrapDeactivate = 1U << 14,
                               kEndCount = 31U << 27;
}  // namespace ich_hcr

/// ICH_LR<n>_EL2 (12.4.7).
namespace list_register {
inline constexpr std::uint64_t kEndMaintenance = 1ULL << 41, kGroup1 = 1ULL << 60, kHardware = 1ULL << 61,
                               kPending = 1ULL << 62, kActive = 1ULL << 63, kState = kPending | kActive;
constexpr std::uint32_t interrupt_of(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t physical_of(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32 & 0x1fff); }
constexpr std::uint8_t priority_of(std::uint64_t value) { return static_cast<std::uint8_t>(value >> 48); }
constexpr std::uint8_t group_of(std::uint64_t value) { return (value & kGroup1) != 0 ? 1 : 0; }
}  // namespace list_register

class VirtualInterface {
 public:
  /// What ending a virtual interrupt did.
  struct End {
    bool dropped = false;                   ///< The running priority.
    bool deactivated = false;               ///< A list register.
    std::optional<std::uint32_t> physical;  ///< The physical interrupt to deactivate: the list register had HW set.
  };

  [[nodiscard]] CpuInterface& interface() { return interface_; }
  [[nodiscard]] const CpuInterface& interface() const { return interface_; }

  /// The most urgent pending interrupt of an enabled group, signalled or not: ICV_HPPIRn.
  [[nodiscard]] std::optional<PendingInterrupt> highest_pending() const;
  /// The same if the guest is interrupted by it.
  [[nodiscard]] std::optional<PendingInterrupt> signalled() const;
  /// ICV_IARn. Nothing: 1023.
  std::optional<PendingInterrupt> acknowledge(unsigned group);
  End end(unsigned group, std::uint32_t interrupt);  ///< ICV_EOIRn
  End deactivate(std::uint32_t interrupt);           ///< ICV_DIR

  [[nodiscard]] std::uint64_t read(SystemRegister reg) const;  ///< ICH_*
  void write(SystemRegister reg, std::uint64_t value);
  [[nodiscard]] bool maintenance_line() const;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(interface_, control_, list_);
  }

 private:
  /// The list register that is most urgent; kListRegisters where none is pending in an enabled group.
  [[nodiscard]] unsigned most_urgent() const;
  [[nodiscard]] std::optional<unsigned> find_active(std::uint32_t interrupt) const;
  [[nodiscard]] std::uint32_t maintenance_status() const;
  /// One bit for each list register that satisfies it.
  template <typename Predicate>
  [[nodiscard]] std::uint32_t list_registers_with(Predicate predicate) const;
  [[nodiscard]] std::uint32_t ended() const;
  void deactivate_or_count(std::uint32_t interrupt, End& end);

  CpuInterface interface_;
  std::uint32_t control_ = 0;  ///< ICH_HCR_EL2
  std::array<std::uint64_t, kListRegisters> list_{};
};

}  // namespace shearling::arm
