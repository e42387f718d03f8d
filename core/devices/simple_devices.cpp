// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/devices/simple_devices.h"

namespace shearling {
namespace {

constexpr std::uint64_t kLineControl = 3;
constexpr std::uint64_t kLineStatus = 5;
constexpr std::uint8_t kDivisorLatchAccess = 0x80;
constexpr std::uint8_t kTransmitterEmpty = 0x60;  // Holding register and shift register both empty.
constexpr std::size_t kDivisorFirst = 8;

}  // namespace

std::uint64_t SerialPort::read(std::uint64_t offset, unsigned) {
  const bool divisor = (registers_[kLineControl] & kDivisorLatchAccess) != 0;
  if (divisor && offset < 2) return registers_[kDivisorFirst + offset];
  if (offset == kLineStatus) return kTransmitterEmpty;
  if (offset == 0) return 0;     // Nothing is ever received.
  if (offset == 2) return 0x01;  // No interrupt pending.
  return registers_[offset & 7];
}

void SerialPort::write(std::uint64_t offset, unsigned, std::uint64_t value) {
  const auto byte = static_cast<std::uint8_t>(value);
  const bool divisor = (registers_[kLineControl] & kDivisorLatchAccess) != 0;
  if (divisor && offset < 2) {
    registers_[kDivisorFirst + offset] = byte;
    return;
  }
  registers_[offset & 7] = byte;
  if (offset != 0) return;
  console_.push_back(static_cast<char>(byte));
  events_.notable(ConsoleOutput{byte});
}

void ExitPort::write(std::uint64_t, unsigned, std::uint64_t value) {
  request_.stop = StopReason::ExitPort;
  request_.code = static_cast<std::uint32_t>((value << 1) | 1) & 0xff;
}

void LessonMarkPort::write(std::uint64_t, unsigned, std::uint64_t value) {
  events_.notable(LessonMark{static_cast<std::uint32_t>(value)});
}

std::uint64_t LatchDevice::read(std::uint64_t offset, unsigned) { return latches_[offset & 3]; }
void LatchDevice::write(std::uint64_t offset, unsigned, std::uint64_t value) {
  latches_[offset & 3] = static_cast<std::uint8_t>(value);
}

}  // namespace shearling
