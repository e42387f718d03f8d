// SPDX-License-Identifier: GPL-3.0-or-later
//
// Arm's PrimeCell UART (PL011), the serial port of the `virt` board: what is written to its data register is on the
// console at once, so the transmitter is always ready, and its interrupt is raised by each character and stays until it
// is cleared. Nothing is ever received. Left out: the FIFOs' fill levels, the bit rate, modem lines, DMA, loopback; and
// as in QEMU, a character is sent even where the guest has not enabled the UART. PrimeCell UART (PL011) Technical
// Reference Manual, DDI 0183, chapter 3.
#pragma once

#include <array>
#include <string>

#include "core/devices/device_bus.h"

namespace shearling {

class Pl011 : public Device {
 public:
  /// `line` of the bus's interrupt lines is the combined interrupt, UARTINTR. Borrows the others.
  Pl011(EventStream& events, DeviceBus& bus, unsigned line) : events_(events), bus_(bus), line_(line) {}
  [[nodiscard]] std::string_view name() const override { return "PL011"; }
  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  void save(Writer& writer) const override { writer(latches_, raised_, console_); }
  void load(Reader& reader) override { reader(latches_, raised_, console_); }
  /// Everything printed since the machine started.
  [[nodiscard]] const std::string& console() const { return console_; }

  static constexpr std::size_t kLatches = 8;  ///< Registers that only keep what is written.

 private:
  [[nodiscard]] std::uint16_t enabled() const;
  void update_line() { bus_.set_interrupt_line(line_, (raised_ & enabled()) != 0); }

  EventStream& events_;
  DeviceBus& bus_;
  unsigned line_;
  std::array<std::uint16_t, kLatches> latches_ = reset_values();
  std::uint16_t raised_ = 0;  ///< UARTRIS.
  std::string console_;

  static std::array<std::uint16_t, kLatches> reset_values();
};

}  // namespace shearling
