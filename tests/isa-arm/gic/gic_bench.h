// SPDX-License-Identifier: GPL-3.0-or-later
//
// The interrupt controller alone, with short names for what tests do with it.
#pragma once

#include <cstdint>
#include <vector>

#include "isa-arm/gic/gic.h"

namespace shearling::arm::testing {

// Offsets in the distributor, and in a redistributor's SGI frame (IHI 0069, tables 9-13 and 9-22).
inline constexpr std::uint64_t kControl = 0x0, kTyper = 0x4, kIidr = 0x8, kGroup = 0x80, kSetEnable = 0x100,
                               kClearEnable = 0x180, kSetPending = 0x200, kClearPending = 0x280, kSetActive = 0x300,
                               kClearActive = 0x380, kPriority = 0x400, kConfiguration = 0xc00, kRouter = 0x6000;
inline constexpr std::uint64_t kWaker = 0x14, kRedistributorTyper = 0x8, kSgiFrame = 0x10000;

/// Where an interrupt's register begins, behind the first of its kind: a bit, a byte, two bits an interrupt.
constexpr std::uint64_t word_of(std::uint64_t interrupt) { return interrupt / 32 * 4; }
constexpr std::uint64_t priority_word_of(std::uint64_t interrupt) { return interrupt / 4 * 4; }
constexpr std::uint64_t configuration_of(std::uint64_t interrupt) { return interrupt / 16 * 4; }
constexpr std::uint64_t router_of(std::uint64_t interrupt) { return kRouter + 8 * interrupt; }

struct GicBench {
  EventLog log;
  EventStream events;
  Gic gic;

  explicit GicBench(unsigned cpus = 2) : gic(cpus, events) { events.set_sinks(&log, nullptr); }

  std::uint64_t distributor(std::uint64_t offset, unsigned size = 4) { return gic.distributor().read(offset, size); }
  void set_distributor(std::uint64_t offset, std::uint64_t value, unsigned size = 4) {
    gic.distributor().write(offset, size, value);
  }
  std::uint64_t redistributor(unsigned cpu, std::uint64_t offset, unsigned size = 4) {
    return gic.redistributors().read(cpu * kRedistributorBytes + offset, size);
  }
  void set_redistributor(unsigned cpu, std::uint64_t offset, std::uint64_t value, unsigned size = 4) {
    gic.redistributors().write(cpu * kRedistributorBytes + offset, size, value);
  }
  std::uint64_t physical(SystemRegister reg, unsigned cpu = 0) { return gic.read_cpu_interface(cpu, reg, false); }
  void set_physical(SystemRegister reg, std::uint64_t value, unsigned cpu = 0) {
    gic.write_cpu_interface(cpu, reg, value, false);
  }
  std::uint64_t guest(SystemRegister reg, unsigned cpu = 0) { return gic.read_cpu_interface(cpu, reg, true); }
  void set_guest(SystemRegister reg, std::uint64_t value, unsigned cpu = 0) {
    gic.write_cpu_interface(cpu, reg, value, true);
  }
  std::uint64_t hypervisor(SystemRegister reg, unsigned cpu = 0) const { return gic.read_hypervisor(cpu, reg); }
  void set_hypervisor(SystemRegister reg, std::uint64_t value, unsigned cpu = 0) {
    gic.write_hypervisor(cpu, reg, value);
  }

  /// A register with one bit an interrupt, wherever the interrupt's are.
  std::uint64_t bits(std::uint64_t offset, unsigned interrupt, unsigned cpu = 0) {
    return interrupt < 32 ? redistributor(cpu, kSgiFrame + offset) : distributor(offset + word_of(interrupt));
  }
  bool bit(std::uint64_t offset, unsigned interrupt, unsigned cpu = 0) {
    return (bits(offset, interrupt, cpu) >> (interrupt % 32) & 1) != 0;
  }
  void set_bit(std::uint64_t offset, unsigned interrupt, unsigned cpu = 0) {
    set_bits(offset, interrupt, 1U << (interrupt % 32), cpu);
  }
  void set_bits(std::uint64_t offset, unsigned interrupt, std::uint64_t value, unsigned cpu = 0) {
    if (interrupt < 32)
      set_redistributor(cpu, kSgiFrame + offset, value);
    else
      set_distributor(offset + word_of(interrupt), value);
  }
  void set_group(unsigned interrupt, unsigned group, unsigned cpu = 0) {
    const std::uint64_t mask = 1U << (interrupt % 32), old = bits(kGroup, interrupt, cpu);
    set_bits(kGroup, interrupt, group != 0 ? old | mask : old & ~mask, cpu);
  }
  void set_priority(unsigned interrupt, unsigned priority, unsigned cpu = 0) {
    if (interrupt < 32)
      set_redistributor(cpu, kSgiFrame + kPriority + interrupt, priority, 1);
    else
      set_distributor(kPriority + interrupt, priority, 1);
  }
  void set_edge(unsigned interrupt, bool edge, unsigned cpu = 0) {
    const std::uint64_t offset = interrupt < 32 ? kSgiFrame + kConfiguration + configuration_of(interrupt)
                                                : kConfiguration + configuration_of(interrupt);
    const std::uint64_t mask = 2U << (interrupt % 16 * 2);
    const std::uint64_t old = interrupt < 32 ? redistributor(cpu, offset) : distributor(offset);
    const std::uint64_t now = edge ? old | mask : old & ~mask;
    if (interrupt < 32)
      set_redistributor(cpu, offset, now);
    else
      set_distributor(offset, now);
  }
  /// What software does before interrupts arrive: both groups on, the mask open, the redistributor awake.
  void open(unsigned cpu = 0) {
    set_distributor(kControl, 3);
    set_redistributor(cpu, kWaker, 0);
    set_physical(SystemRegister::ICC_PMR_EL1, 0xff, cpu);
    set_physical(SystemRegister::ICC_IGRPEN0_EL1, 1, cpu);
    set_physical(SystemRegister::ICC_IGRPEN1_EL1, 1, cpu);
  }
  /// An enabled interrupt.
  void enable(unsigned interrupt, unsigned group = 1, unsigned priority = 0x80, unsigned cpu = 0) {
    set_group(interrupt, group, cpu);
    set_priority(interrupt, priority, cpu);
    set_bit(kSetEnable, interrupt, cpu);
  }

  template <typename Payload>
  std::vector<Payload> take() {
    std::vector<Payload> found;
    for (const Event& event : log.events) {
      if (const auto* payload = std::get_if<Payload>(&event.payload)) found.push_back(*payload);
    }
    log.events.clear();
    return found;
  }
};

}  // namespace shearling::arm::testing
