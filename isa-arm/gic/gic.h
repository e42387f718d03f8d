// SPDX-License-Identifier: GPL-3.0-or-later
//
// The generic interrupt controller, version 3 with system registers, one security state: distributor, a redistributor
// and a CPU interface for each core, and its virtual interface: list registers, maintenance interrupt, acknowledge and
// end of interrupt by the guest without a trap. GIC Architecture Specification (IHI 0069), chapters 4 to 6, 9 and 12.
// Left out: LPIs and the ITS, group 0 as FIQ beyond what DS=1 gives, message-based SPIs, extended ranges, 1-of-N
// routing. QEMU's `virt` board: distributor 0x08000000, redistributors from 0x080a0000, 0x20000 bytes each. As on
// hardware, nothing reaches a core before software has woken its redistributor (GICR_WAKER.ProcessorSleep = 0), enabled
// the group in GICD_CTLR and ICC_IGRPEN, the interrupt in ISENABLER, and opened ICC_PMR.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/devices/device_bus.h"
#include "core/events/sink.h"
#include "isa-arm/registers/arm_state.h"

namespace shearling::arm {

inline constexpr PhysicalAddress kDistributorBase{0x08000000}, kRedistributorBase{0x080a0000};
inline constexpr std::uint64_t kDistributorBytes = 0x10000, kRedistributorBytes = 0x20000;
inline constexpr unsigned kInterruptCount = 288;  ///< 16 SGIs, 16 PPIs, 256 SPIs, as QEMU's board has.
inline constexpr unsigned kSpuriousInterrupt = 1023;
/// Private peripheral interrupts of the board.
inline constexpr unsigned kMaintenanceInterrupt = 25, kHypervisorTimerInterrupt = 26, kVirtualTimerInterrupt = 27,
                          kHypervisorVirtualTimerInterrupt = 28, kPhysicalTimerInterrupt = 30;
inline constexpr unsigned kListRegisters = 4;

class Gic {
 public:
  Gic(unsigned cpus, EventStream& events);
  ~Gic();

  /// The memory-mapped parts: distributor, and the redistributors of all cores side by side.
  Device& distributor();
  Device& redistributors();

  /// Level of an input. Shared peripheral interrupts count from 0 (INTID 32).
  void set_shared_line(unsigned line, bool level);
  void set_private_line(unsigned cpu, unsigned interrupt, bool level);

  /// The physical CPU interface as the core's IRQ and FIQ inputs see it (before PSTATE masks and routing).
  [[nodiscard]] bool irq(unsigned cpu) const;
  [[nodiscard]] bool fiq(unsigned cpu) const;
  /// The virtual CPU interface: a list register holds an interrupt that the guest's priority mask lets through.
  [[nodiscard]] bool virtual_irq(unsigned cpu) const;
  [[nodiscard]] bool virtual_fiq(unsigned cpu) const;
  /// The highest pending physical interrupt that would be signalled, for narration; nothing where none is.
  [[nodiscard]] std::optional<unsigned> pending_interrupt(unsigned cpu) const;
  [[nodiscard]] std::optional<unsigned> pending_virtual_interrupt(unsigned cpu) const;

  /// ICC_* by system register. `virtual_interface`: the access goes to ICV_* (EL1 with HCR_EL2.IMO or FMO).
  std::uint64_t read_cpu_interface(unsigned cpu, SystemRegister reg, bool virtual_interface);
  void write_cpu_interface(unsigned cpu, SystemRegister reg, std::uint64_t value, bool virtual_interface);
  /// ICH_*: EL2's.
  std::uint64_t read_hypervisor(unsigned cpu, SystemRegister reg) const;
  void write_hypervisor(unsigned cpu, SystemRegister reg, std::uint64_t value);

  /// The core's CPU interface, physical and virtual, as a reset of the core leaves it (PSCI CPU_ON).
  void reset_cpu_interface(unsigned cpu);

  /// All of it: the two devices save nothing of their own.
  void save(Writer& writer) const;
  void load(Reader& reader);

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace shearling::arm
