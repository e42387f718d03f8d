// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/devices/board.h"

#include <array>

#include "core/devices/pl011.h"
#include "core/devices/simple_devices.h"

namespace shearling {
namespace {

/// The PC: COM1, QEMU's isa-debug-exit port, the lesson-mark port, and two masked 8259 interrupt controllers.
class PcBoard : public Board {
 public:
  PcBoard(DeviceBus& bus, EventStream& events, MachineRequest& request)
      : serial_(events), exit_port_(request), mark_port_(events) {
    bus.attach_ports(serial_, 0x3f8, 8);
    bus.attach_ports(exit_port_, 0xf4, 4);
    bus.attach_ports(mark_port_, 0xe9, 1);
    bus.attach_ports(first_8259_, 0x20, 2);
    bus.attach_ports(second_8259_, 0xa0, 2);
  }
  [[nodiscard]] const std::string& console() const override { return serial_.console(); }
  void save(Writer& writer) const override {
    for (const Device* device : devices()) device->save(writer);
  }
  void load(Reader& reader) override {
    for (const Device* device : devices()) const_cast<Device*>(device)->load(reader);
  }

 private:
  [[nodiscard]] std::array<const Device*, 5> devices() const {
    return {&serial_, &exit_port_, &mark_port_, &first_8259_, &second_8259_};
  }

  SerialPort serial_;
  ExitPort exit_port_;
  LessonMarkPort mark_port_;
  LatchDevice first_8259_{"8259 primary"};
  LatchDevice second_8259_{"8259 secondary"};
};

/// QEMU's `virt`: a PL011. Interrupt controller, timers and power control (PSCI) are the ISA's.
class VirtBoard : public Board {
 public:
  VirtBoard(DeviceBus& bus, EventStream& events) : serial_(events, bus, kSerialLine) {
    bus.attach_memory(serial_, kSerialBase, kFrameBytes);
  }
  [[nodiscard]] const std::string& console() const override { return serial_.console(); }
  void save(Writer& writer) const override { serial_.save(writer); }
  void load(Reader& reader) override { serial_.load(reader); }

 private:
  static constexpr PhysicalAddress kSerialBase{0x09000000};
  static constexpr unsigned kSerialLine = 1;

  Pl011 serial_;
};

}  // namespace

std::unique_ptr<Board> make_board(std::string_view name, DeviceBus& bus, EventStream& events, MachineRequest& request) {
  if (name == "pc") return std::make_unique<PcBoard>(bus, events, request);
  if (name == "virt") return std::make_unique<VirtBoard>(bus, events);
  return nullptr;
}

}  // namespace shearling
