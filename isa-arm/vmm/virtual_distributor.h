// SPDX-License-Identifier: GPL-3.0-or-later
//
// The interrupt controller that one virtual machine believes in, as far as it is memory-mapped: distributor and
// redistributors (GIC Architecture Specification, IHI 0069, 12.9 to 12.11), kept by the VMM in software. What is
// pending goes into the list registers of the hardware's virtual interface before each entry, in order of priority, and
// comes back from them at each exit: so acknowledge and end of interrupt cost the guest no trap. Interrupts of
// hardware that the guest owns (timers, the board's devices) are tied to the physical ones: the guest's end of
// interrupt deactivates both.
// Left out, as in Gic: LPIs, extended ranges, message-based interrupts. Registers that only identify the controller are
// read from the physical one. A write by one core cannot take back what another core's list registers hold.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "isa-arm/gic/gic.h"

namespace shearling::arm {

/// The values of ICH_LR<n>_EL2.
using ListRegisters = std::array<std::uint64_t, kListRegisters>;

class VirtualDistributor {
 public:
  explicit VirtualDistributor(unsigned cpus);

  /// Offsets from kDistributorBase and kRedistributorBase. `physical` answers for what only identifies.
  std::uint64_t read_distributor(std::uint64_t offset, unsigned size, Device& physical) const;
  void write_distributor(std::uint64_t offset, unsigned size, std::uint64_t value);
  std::uint64_t read_redistributor(std::uint64_t offset, unsigned size, Device& physical) const;
  void write_redistributor(std::uint64_t offset, unsigned size, std::uint64_t value);

  /// An interrupt becomes pending: a software-generated one, or a physical one that the VMM has acknowledged.
  void raise_software(unsigned cpu, unsigned interrupt) { at(cpu, interrupt).pending = true; }
  void raise_hardware(unsigned cpu, unsigned interrupt);

  struct Fill {
    ListRegisters registers{};
    bool more_waiting = false;     ///< Pending interrupts that found no place.
    bool active_left_out = false;  ///< Active ones that found none: their end shows in ICH_HCR_EL2.EOIcount.
  };
  /// The state in the core's list registers is the software's again. `ended`: EOIcount.
  void fold(unsigned cpu, const ListRegisters& registers, unsigned ended);
  /// What the list registers are to hold.
  Fill fill(unsigned cpu);
  [[nodiscard]] bool in_use(unsigned cpu) const;   ///< Some list register of the core is filled.
  [[nodiscard]] bool waiting(unsigned cpu) const;  ///< Something could be delivered that no list register holds.

  /// Level-triggered physical interrupts that the guest has not acknowledged yet: they last as long as their line.
  [[nodiscard]] std::vector<unsigned> pending_levels(unsigned cpu) const;
  /// The line has gone: the guest gets nothing, and the hardware may be deactivated.
  void retract(unsigned cpu, unsigned interrupt);

  /// Physical interrupts that nothing of the guest holds any more (it cleared them by hand): to be deactivated.
  std::vector<unsigned> take_released(unsigned cpu);
  /// Physical interrupts that the guest holds, with the one core's private ones: active in the hardware.
  [[nodiscard]] std::vector<unsigned> held(unsigned cpu) const;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(control_, wakers_, private_, shared_);
  }

 private:
  struct Interrupt {
    bool group1 = false, enabled = false, pending = false, active = false, edge = false;
    bool hardware = false;        ///< Tied to the physical interrupt of the same number, which is active.
    bool listed = false;          ///< In a list register of `holder`.
    bool pending_listed = false;  ///< ... with its pending state.
    std::uint8_t priority = 0, holder = 0;
    std::uint64_t route = 0;
    template <typename Archive>
    void serialize(Archive& archive) {
      archive(group1, enabled, pending, active, edge, hardware, listed, pending_listed, priority, holder, route);
    }
  };
  static constexpr unsigned kPrivate = 32;
  struct BitBank;
  static const std::array<BitBank, 7> kBitBanks;

  [[nodiscard]] Interrupt& at(unsigned cpu, unsigned interrupt) {
    return interrupt < kPrivate ? private_[cpu][interrupt] : shared_[interrupt - kPrivate];
  }
  [[nodiscard]] const Interrupt& at(unsigned cpu, unsigned interrupt) const {
    return interrupt < kPrivate ? private_[cpu][interrupt] : shared_[interrupt - kPrivate];
  }
  /// The registers that distributor and redistributor have in common, by interrupt number.
  [[nodiscard]] std::optional<std::uint32_t> read_bank(unsigned cpu, std::uint64_t offset) const;
  bool write_bank(unsigned cpu, std::uint64_t offset, std::uint32_t value);
  [[nodiscard]] std::uint64_t read_priorities(unsigned cpu, std::uint64_t offset, unsigned size) const;
  void write_priorities(unsigned cpu, std::uint64_t offset, unsigned size, std::uint64_t value);
  [[nodiscard]] bool deliverable(const Interrupt& interrupt) const;
  [[nodiscard]] bool belongs_to(unsigned cpu, unsigned number, const Interrupt& interrupt) const;
  [[nodiscard]] std::uint64_t entry_of(unsigned number, const Interrupt& interrupt) const;
  [[nodiscard]] std::vector<unsigned> candidates(unsigned cpu) const;

  std::uint32_t control_ = 0;
  std::vector<std::uint32_t> wakers_;
  std::vector<std::array<Interrupt, kPrivate>> private_;
  std::array<Interrupt, kInterruptCount - kPrivate> shared_{};
};

}  // namespace shearling::arm
