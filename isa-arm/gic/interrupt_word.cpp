// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/gic/interrupt_word.h"

#include "isa-arm/gic/cpu_interface.h"

namespace shearling::arm {
namespace {

using Kind = WordAccess::Kind;

// One bit an interrupt: 32 words, 0x80 bytes, a register. Then a byte, then two bits an interrupt (table 9-13).
constexpr std::array kBitRegisters{Kind::None,       Kind::Group,        Kind::SetEnable, Kind::ClearEnable,
                                   Kind::SetPending, Kind::ClearPending, Kind::SetActive, Kind::ClearActive};
constexpr std::uint64_t kBitRegisterBytes = 0x80, kPriorities = 0x400, kPrioritiesEnd = 0x800, kConfigurations = 0xc00,
                        kConfigurationsEnd = 0xd00;

}  // namespace

void InterruptWord::set_line(unsigned bit, bool level) {
  const std::uint32_t mask = 1U << bit;
  if (level && (line & mask) == 0) latched |= edge & mask;
  line = level ? line | mask : line & ~mask;
}

void InterruptWord::acknowledge(unsigned bit) {
  active |= 1U << bit;
  latched &= ~(1U << bit);
}

WordAccess decode_word_access(std::uint64_t offset, unsigned size) {
  if (offset >= kPriorities && offset < kPrioritiesEnd && (size == 1 || size == 4)) {
    const auto interrupt = static_cast<unsigned>(offset - kPriorities);
    return {Kind::Priority, interrupt / 32, interrupt % 32};
  }
  if (size != 4) return {};
  if (offset < kPriorities)
    return {kBitRegisters[offset / kBitRegisterBytes], static_cast<unsigned>(offset % kBitRegisterBytes / 4), 0};
  if (offset >= kConfigurations && offset < kConfigurationsEnd) {
    const auto interrupt = static_cast<unsigned>(offset - kConfigurations) * 4;
    return {Kind::Configuration, interrupt / 32, interrupt % 32};
  }
  return {};
}

std::uint32_t read_word(const InterruptWord& word, const WordAccess& access, unsigned size) {
  std::uint32_t value = 0;
  switch (access.kind) {
    case Kind::None:
      return 0;
    case Kind::Group:
      return word.group;
    case Kind::SetEnable:
    case Kind::ClearEnable:
      return word.enabled;
    case Kind::SetPending:
    case Kind::ClearPending:
      return word.pending();
    case Kind::SetActive:
    case Kind::ClearActive:
      return word.active;
    case Kind::Priority:
      for (unsigned byte = 0; byte < size; ++byte)
        value |= static_cast<std::uint32_t>(word.priority[access.first_bit + byte]) << (8 * byte);
      return value;
    case Kind::Configuration:
      for (unsigned bit = 0; bit < 16; ++bit) value |= (word.edge >> (access.first_bit + bit) & 1) << (2 * bit + 1);
      return value;
  }
  return 0;
}

void write_word(InterruptWord& word, const WordAccess& access, unsigned size, std::uint32_t value,
                std::uint32_t changeable) {
  switch (access.kind) {
    case Kind::None:
      return;
    case Kind::Group:
      word.group = value;
      return;
    case Kind::SetEnable:
      word.enabled |= value;
      return;
    case Kind::ClearEnable:
      word.enabled &= ~value;
      return;
    case Kind::SetPending:
      word.latched |= value;
      return;
    case Kind::ClearPending:
      word.latched &= ~value;
      return;
    case Kind::SetActive:
      word.active |= value;
      return;
    case Kind::ClearActive:
      word.active &= ~value;
      return;
    case Kind::Priority:
      for (unsigned byte = 0; byte < size; ++byte)
        word.priority[access.first_bit + byte] = static_cast<std::uint8_t>(value >> (8 * byte) & kPriorityBitsMask);
      return;
    case Kind::Configuration:
      for (unsigned bit = 0; bit < 16; ++bit) {
        const std::uint32_t mask = 1U << (access.first_bit + bit) & changeable;
        word.edge = (value >> (2 * bit + 1) & 1) != 0 ? word.edge | mask : word.edge & ~mask;
      }
      return;
  }
}

}  // namespace shearling::arm
