// SPDX-License-Identifier: GPL-3.0-or-later
//
// Thirty-two interrupts, as the registers of the distributor and of a redistributor's SGI frame hold them (IHI 0069,
// sections 9.9 and 9.11): one bit an interrupt and register, a byte of priority. The two frames lay these registers out
// alike, so that one decoder serves both: word 0 is a core's own (SGIs and PPIs), words 1 and up are SPIs.
#pragma once

#include <array>
#include <cstdint>

namespace shearling::arm {

struct InterruptWord {
  std::uint32_t group = 0;  ///< Set: group 1.
  std::uint32_t enabled = 0;
  std::uint32_t latched = 0;  ///< Pending by an edge, an SGI or ISPENDR.
  std::uint32_t active = 0;
  std::uint32_t line = 0;  ///< The levels of the inputs.
  std::uint32_t edge = 0;  ///< Set: edge-triggered; a level-sensitive input is pending for as long as it is high.
  std::array<std::uint8_t, 32> priority{};

  [[nodiscard]] std::uint32_t pending() const { return latched | (line & ~edge); }
  /// Pending, enabled and not active: what competes for a core.
  [[nodiscard]] std::uint32_t candidates() const { return pending() & enabled & ~active; }
  void set_line(unsigned bit, bool level);
  void acknowledge(unsigned bit);

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(group, enabled, latched, active, line, edge, priority);
  }
};

/// A register of the common layout: which, and of which word.
struct WordAccess {
  enum class Kind : std::uint8_t {
    None,  ///< Nothing of the kind: it may be another register of the frame.
    Group,
    SetEnable,
    ClearEnable,
    SetPending,
    ClearPending,
    SetActive,
    ClearActive,
    Priority,
    Configuration,
  };
  Kind kind = Kind::None;
  unsigned word = 0;
  unsigned first_bit = 0;  ///< Of the interrupts that the access covers: priorities and ICFGR cover less than a word.
};

/// The access of `size` bytes at `offset`, which is a multiple of it; kind None where the layout has none of that size.
WordAccess decode_word_access(std::uint64_t offset, unsigned size);
std::uint32_t read_word(const InterruptWord& word, const WordAccess& access, unsigned size);
/// `changeable`: the interrupts whose configuration is not fixed (SGIs' is).
void write_word(InterruptWord& word, const WordAccess& access, unsigned size, std::uint32_t value,
                std::uint32_t changeable);

}  // namespace shearling::arm
