// SPDX-License-Identifier: GPL-3.0-or-later
//
// The small devices of the `pc` board: a 16550-compatible serial port (polled: always ready to send, nothing ever
// received, no interrupts), the exit port (QEMU's isa-debug-exit), the lesson-mark port (0xe9, 32-bit writes), and a
// sink for ports that start-up code writes without expecting an answer (the two 8259 interrupt controllers, masked).
#pragma once

#include <array>
#include <string>

#include "core/devices/device_bus.h"

namespace shearling {

class SerialPort : public Device {
 public:
  explicit SerialPort(EventStream& events) : events_(events) {}
  [[nodiscard]] std::string_view name() const override { return "COM1"; }
  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  void save(Writer& writer) const override { writer(registers_, console_); }
  void load(Reader& reader) override { reader(registers_, console_); }
  /// Everything printed since the machine started.
  [[nodiscard]] const std::string& console() const { return console_; }

 private:
  EventStream& events_;
  std::array<std::uint8_t, 10> registers_{};  ///< 0-7 as written; 8 and 9: divisor latch.
  std::string console_;
};

class ExitPort : public Device {
 public:
  explicit ExitPort(MachineRequest& request) : request_(request) {}
  [[nodiscard]] std::string_view name() const override { return "exit port"; }
  std::uint64_t read(std::uint64_t, unsigned) override { return 0; }
  /// A write of V ends the machine with status (V << 1) | 1, truncated to 8 bits as a process status is.
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  void save(Writer&) const override {}  // The request is the machine's state, not this port's.
  void load(Reader&) override {}

 private:
  MachineRequest& request_;
};

class LessonMarkPort : public Device {
 public:
  explicit LessonMarkPort(EventStream& events) : events_(events) {}
  [[nodiscard]] std::string_view name() const override { return "lesson mark"; }
  std::uint64_t read(std::uint64_t, unsigned) override { return 0xe9; }
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  void save(Writer&) const override {}
  void load(Reader&) override {}

 private:
  EventStream& events_;
};

/// Remembers what is written; reads it back. Stands for a masked 8259.
class LatchDevice : public Device {
 public:
  explicit LatchDevice(std::string_view device_name) : name_(device_name) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  std::uint64_t read(std::uint64_t offset, unsigned size) override;
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  void save(Writer& writer) const override { writer(latches_); }
  void load(Reader& reader) override { reader(latches_); }

 private:
  std::string_view name_;
  std::array<std::uint8_t, 4> latches_{};
};

}  // namespace shearling
