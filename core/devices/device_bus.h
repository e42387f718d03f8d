// SPDX-License-Identifier: GPL-3.0-or-later
//
// Port and memory-mapped devices. The bus finds the device; each access is an event of its own, emitted by the bus.
// An address that nobody claims reads as all ones and swallows writes, as on a PC.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache-sim/address.h"
#include "core/base/archive.h"
#include "core/events/sink.h"

namespace shearling {

class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;  ///< Static text: events refer to it.
  virtual std::uint64_t read(std::uint64_t offset, unsigned size) = 0;
  virtual void write(std::uint64_t offset, unsigned size, std::uint64_t value) = 0;
  virtual void save(Writer& writer) const = 0;
  virtual void load(Reader& reader) = 0;
};

/// Where the interrupt outputs of the board's devices lead: an interrupt controller.
class InterruptLines {
 public:
  virtual ~InterruptLines() = default;
  virtual void set_line(unsigned line, bool level) = 0;
};

/// What a device asks of the machine as a whole.
struct MachineRequest {
  StopReason stop = StopReason::None;
  std::uint32_t code = 0;
  std::string_view detail;  ///< Static text that says more ("16-bit code"); empty where there is nothing to say.
};

class DeviceBus {
 public:
  explicit DeviceBus(EventStream& events) : events_(events) {}
  /// Devices are borrowed. Offsets given to them count from `first`.
  void attach_ports(Device& device, std::uint16_t first, std::uint16_t count);
  void attach_memory(Device& device, PhysicalAddress first, std::uint64_t bytes);

  std::uint64_t port_read(std::uint16_t port, unsigned size);
  void port_write(std::uint16_t port, unsigned size, std::uint64_t value);
  std::uint64_t memory_read(PhysicalAddress address, unsigned size);
  void memory_write(PhysicalAddress address, unsigned size, std::uint64_t value);
  [[nodiscard]] bool claims_memory(PhysicalAddress address) const;

  /// Borrowed. Levels that devices set while nothing is connected are lost.
  void connect_interrupts(InterruptLines* lines) { interrupts_ = lines; }
  void set_interrupt_line(unsigned line, bool level) {
    if (interrupts_ != nullptr) interrupts_->set_line(line, level);
  }

 private:
  struct Mapping {
    Device* device;
    std::uint64_t first;
    std::uint64_t bytes;
  };
  [[nodiscard]] static const Mapping* find(const std::vector<Mapping>& mappings, std::uint64_t address);
  std::uint64_t read(const std::vector<Mapping>& mappings, std::uint64_t address, unsigned size);
  void write(const std::vector<Mapping>& mappings, std::uint64_t address, unsigned size, std::uint64_t value);

  EventStream& events_;
  InterruptLines* interrupts_ = nullptr;
  std::vector<Mapping> ports_;
  std::vector<Mapping> memory_;
};

}  // namespace shearling
