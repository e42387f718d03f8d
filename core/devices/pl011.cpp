// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/devices/pl011.h"

namespace shearling {
namespace {

// Offsets: DDI 0183, table 3-1.
constexpr std::uint64_t kData = 0x000, kFlags = 0x018, kRawInterrupts = 0x03c, kMaskedInterrupts = 0x040,
                        kClearInterrupts = 0x044, kIdentification = 0xfe0;
constexpr std::uint16_t kTransmitInterrupt = 1U << 5;
constexpr std::uint16_t kReceiveEmpty = 1U << 4, kTransmitEmpty = 1U << 7;  // of UARTFR
/// UARTPeriphID0 to 3 (part 0x011 by Arm, revision 1) and UARTPCellID0 to 3, a byte in each word.
constexpr std::array<std::uint8_t, 8> kIdentificationBytes{0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

struct Latch {
  std::uint64_t offset;
  std::uint16_t implemented;
  std::uint16_t reset;
};
constexpr std::array<Latch, Pl011::kLatches> kLatchTable{{
    {0x020, 0x00ff, 0},       // UARTILPR
    {0x024, 0xffff, 0},       // UARTIBRD
    {0x028, 0x003f, 0},       // UARTFBRD
    {0x02c, 0x00ff, 0},       // UARTLCR_H
    {0x030, 0xff87, 0x0300},  // UARTCR
    {0x034, 0x003f, 0x0012},  // UARTIFLS
    {0x038, 0x07ff, 0},       // UARTIMSC
    {0x048, 0x0007, 0},       // UARTDMACR
}};
constexpr std::size_t kInterruptMask = 6;
static_assert(kLatchTable[kInterruptMask].offset == 0x038);

std::size_t latch_at(std::uint64_t offset) {
  std::size_t index = 0;
  while (index < kLatchTable.size() && kLatchTable[index].offset != offset) ++index;
  return index;
}

}  // namespace

std::array<std::uint16_t, Pl011::kLatches> Pl011::reset_values() {
  std::array<std::uint16_t, kLatches> values{};
  for (std::size_t index = 0; index < kLatches; ++index) values[index] = kLatchTable[index].reset;
  return values;
}

std::uint16_t Pl011::enabled() const { return latches_[kInterruptMask]; }

std::uint64_t Pl011::read(std::uint64_t offset, unsigned) {
  if (const std::size_t latch = latch_at(offset); latch < kLatches) return latches_[latch];
  if (offset >= kIdentification && offset % 4 == 0 && (offset - kIdentification) / 4 < kIdentificationBytes.size())
    return kIdentificationBytes[(offset - kIdentification) / 4];
  switch (offset) {
    case kFlags:
      return kReceiveEmpty | kTransmitEmpty;
    case kRawInterrupts:
      return raised_;
    case kMaskedInterrupts:
      return raised_ & enabled();
    default:
      return 0;  // UARTDR and UARTRSR, for nothing is received; what is not there.
  }
}

void Pl011::write(std::uint64_t offset, unsigned, std::uint64_t value) {
  if (const std::size_t latch = latch_at(offset); latch < kLatches)
    latches_[latch] = static_cast<std::uint16_t>(value & kLatchTable[latch].implemented);
  if (offset == kData) {
    const auto byte = static_cast<std::uint8_t>(value);
    console_.push_back(static_cast<char>(byte));
    events_.notable(ConsoleOutput{byte});
    raised_ |= kTransmitInterrupt;
  }
  if (offset == kClearInterrupts) raised_ = static_cast<std::uint16_t>(raised_ & ~value);
  update_line();
}

}  // namespace shearling
