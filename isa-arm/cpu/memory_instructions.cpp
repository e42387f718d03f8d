// SPDX-License-Identifier: GPL-3.0-or-later
//
// Loads and stores that the core executes itself: exclusives, because the monitor is the core's, and unprivileged ones,
// because they have another level's rights (DDI 0487, B2.12 and C3.2.5).
#include <algorithm>

#include "isa-arm/cpu/arm_processor.h"

namespace shearling::arm {
namespace {

constexpr std::uint8_t kAlignmentFault = 0x21;
constexpr std::uint8_t kUnsupportedExclusive = 0x35;

struct Exclusive {
  unsigned bytes = 0;  ///< Of one register.
  bool pair = false;
  unsigned target = 0, second = 0, base = 0, status = 0;
  [[nodiscard]] unsigned total() const { return pair ? 2 * bytes : bytes; }
};

Exclusive exclusive_of(std::uint32_t word) {
  return {.bytes = 1U << (word >> 30),
          .pair = (word & 1U << 21) != 0,
          .target = register_field(word, 0),
          .second = register_field(word, 10),
          .base = register_field(word, 5),
          .status = register_field(word, 16)};
}

}  // namespace

Obstacle ArmProcessor::translate(VirtualAddress address, AccessKind kind, unsigned level, PageTranslation& out) {
  const auto page = translate_page(request(address, kind, level));
  if (!page) return abort_of(*refusal_, kind, address);
  out = *page;
  return {};
}

/// One access, split where it crosses a page; both pages are translated before anything happens.
Obstacle ArmProcessor::access(VirtualAddress address, unsigned size, AccessKind kind, unsigned level,
                              std::uint64_t& value) {
  PageTranslation first;
  if (Obstacle obstacle = translate(address, kind, level, first)) return obstacle;
  const auto here = static_cast<unsigned>(std::min<std::uint64_t>(size, kFrameBytes - address.value % kFrameBytes));
  if (here == size) {
    value = accesses_.access_physical(address, first, size, kind, value);
    return {};
  }
  const VirtualAddress next{address.value + here};
  PageTranslation second;
  if (Obstacle obstacle = translate(next, kind, level, second)) return obstacle;
  const std::uint64_t mask = (std::uint64_t{1} << (8 * here)) - 1;
  const std::uint64_t low = accesses_.access_physical(address, first, here, kind, value & mask);
  const std::uint64_t high = accesses_.access_physical(next, second, size - here, kind, value >> (8 * here));
  value = low | high << (8 * here);
  return {};
}

Obstacle ArmProcessor::check_exclusive(VirtualAddress address, unsigned size, AccessKind kind, PageTranslation& page) {
  if (!check(CheckId::ExclusiveAligned, address.value % size == 0, address.value, size)) {
    return abort_of({.status = kAlignmentFault, .write = kind == AccessKind::Write, .address = address}, kind, address);
  }
  if (Obstacle obstacle = translate(address, kind, state_.exception_level, page)) return obstacle;
  if (context_.memory.contains(page.physical, size)) return {};
  return abort_of({.status = kUnsupportedExclusive, .write = kind == AccessKind::Write, .address = address}, kind,
                  address);
}

Obstacle ArmProcessor::load_exclusive() {
  const Exclusive what = exclusive_of(word_);
  const VirtualAddress address{base_register(what.base)};
  PageTranslation page;
  if (Obstacle obstacle = check_exclusive(address, what.total(), AccessKind::Read, page)) return obstacle;
  set_general(what.target, accesses_.access_physical(address, page, what.bytes, AccessKind::Read, 0));
  PageTranslation second = page;
  second.physical.value += what.bytes;
  if (what.pair)
    set_general(what.second,
                accesses_.access_physical({address.value + what.bytes}, second, what.bytes, AccessKind::Read, 0));
  state_.exclusive_open = true;
  state_.exclusive_address = page.physical.value;
  state_.exclusive_size = what.total();
  return {};
}

Obstacle ArmProcessor::store_exclusive() {
  const Exclusive what = exclusive_of(word_);
  const VirtualAddress address{base_register(what.base)};
  PageTranslation page;
  if (Obstacle obstacle = check_exclusive(address, what.total(), AccessKind::Write, page)) return obstacle;
  const bool open =
      state_.exclusive_open && state_.exclusive_address == page.physical.value && state_.exclusive_size == what.total();
  static_cast<void>(check(CheckId::ExclusiveMonitor, open, page.physical.value,
                          state_.exclusive_open ? state_.exclusive_address : 0));
  state_.exclusive_open = false;
  if (open) {
    accesses_.access_physical(address, page, what.bytes, AccessKind::Write, low_bytes(what.target, what.bytes));
    PageTranslation second = page;
    second.physical.value += what.bytes;
    if (what.pair)
      accesses_.access_physical({address.value + what.bytes}, second, what.bytes, AccessKind::Write,
                                low_bytes(what.second, what.bytes));
  }
  set_general(what.status, open ? 0 : 1);
  return {};
}

/// The low bytes of a general register.
std::uint64_t ArmProcessor::low_bytes(unsigned index, unsigned size) const {
  const std::uint64_t value = general(index);
  return size == 8 ? value : value & ((std::uint64_t{1} << (8 * size)) - 1);
}

/// LDTR and STTR: from EL1, and from the host's EL2, with EL0's rights.
Obstacle ArmProcessor::unprivileged() {
  const unsigned size = 1U << (word_ >> 30), opc = (word_ >> 22) & 3, target = register_field(word_, 0);
  const auto offset = static_cast<std::int64_t>(static_cast<std::uint64_t>(word_ >> 12 & 0x1ff) << 55) >> 55;
  if (size == 8 && opc >= 2) return undefined();
  if (size == 4 && opc == 3) return undefined();
  const VirtualAddress address{base_register(register_field(word_, 5)) + static_cast<std::uint64_t>(offset)};
  if (checks_alignment()) {
    if (Obstacle obstacle = check_alignment(CheckId::AccessAligned)) return obstacle;
  }
  const bool lowers = state_.exception_level == 1 || (state_.exception_level == 2 && state_.e2h() && state_.tge());
  const unsigned level = lowers ? 0 : state_.exception_level;
  std::uint64_t value = opc == 0 ? low_bytes(target, size) : 0;
  if (Obstacle obstacle = access(address, size, opc == 0 ? AccessKind::Write : AccessKind::Read, level, value))
    return obstacle;
  if (opc == 0) return {};
  const unsigned unused = 64 - 8 * size;
  if (opc >= 2) {
    value = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
    if (opc == 3) value &= 0xffffffff;
  }
  set_general(target, value);
  return {};
}

}  // namespace shearling::arm
