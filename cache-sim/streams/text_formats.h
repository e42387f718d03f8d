// SPDX-License-Identifier: GPL-3.0-or-later
//
// One line of a textual trace: Valgrind Lackey's, Dinero's `din` and extended `din`. Each format has a rule for any
// line (parse_line, which can say what is wrong) and a fast path for lines as their writers print them.
// docs/trace-format.md has the formats as tables.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "cache-sim/streams/open_stream.h"

namespace shearling {

/// Nobody's instruction reads or writes more at once; Dinero's own records hold 16 bits.
constexpr std::uint32_t kLargestReference = 1U << 16;
constexpr std::size_t kLongestLine = 1U << 16;

enum class LineKind : std::uint8_t { Record, Skip, Bad };
struct LineProblem {
  std::string message, remedy;
};
/// `line` comes without its line feed. Writes `record` where there is one, and `problem` where the line is bad.
LineKind parse_line(TraceFormat format, std::string_view line, ReferenceRecord& record, LineProblem& problem);
[[nodiscard]] std::string_view name_of(TraceFormat format);

namespace text {

constexpr std::uint8_t kNoDigit = 0xff;
inline constexpr std::array<std::uint8_t, 256> kHexDigits = [] {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (unsigned i = 0; i < 10; ++i) digits['0' + i] = static_cast<std::uint8_t>(i);
  for (unsigned i = 0; i < 6; ++i) digits['a' + i] = digits['A' + i] = static_cast<std::uint8_t>(10 + i);
  return digits;
}();

inline std::uint8_t hex_digit(char letter) { return kHexDigits[static_cast<std::uint8_t>(letter)]; }

/// Reads a hexadecimal number of at most 15 digits; returns where it ends, or null where it is none.
inline const char* hex_number(const char* at, std::uint64_t& value) {
  std::uint64_t number = hex_digit(*at);
  if (number == kNoDigit) return nullptr;
  const char* const first = at++;
  for (std::uint8_t digit = hex_digit(*at); digit != kNoDigit; digit = hex_digit(*++at)) number = number << 4 | digit;
  value = number;
  return at - first < 16 ? at : nullptr;
}

/// " L 1fff000708,8" and the like. Null: the line is another one, or bad. Looks at no more than three bytes behind the
/// line feed that the text ends with. Returns the place behind the line feed.
inline const char* fast_lackey(const char* at, ReferenceRecord& record) {
  static constexpr std::uint8_t kNone = 0xff;
  static constexpr auto kKinds = [] {  // by the exclusive or of the first two letters
    std::array<std::uint8_t, 256> kinds{};
    kinds.fill(kNone);
    kinds[' ' ^ 'I'] = static_cast<std::uint8_t>(RecordKind::Fetch);
    kinds[' ' ^ 'L'] = static_cast<std::uint8_t>(RecordKind::Read);
    kinds[' ' ^ 'S'] = static_cast<std::uint8_t>(RecordKind::Write);
    kinds[' ' ^ 'M'] = static_cast<std::uint8_t>(RecordKind::Modify);
    return kinds;
  }();
  const std::uint8_t kind = kKinds[static_cast<std::uint8_t>(at[0] ^ at[1])];
  if (kind == kNone || at[0] != (kind == 0 ? 'I' : ' ') || at[2] != ' ') return nullptr;
  const char* end = hex_number(at + 3, record.address.value);
  if (end == nullptr || *end != ',') return nullptr;
  std::uint32_t size = static_cast<std::uint8_t>(*++end - '0');
  if (size > 9) return nullptr;
  for (++end; *end != '\n'; ++end) {
    const auto digit = static_cast<std::uint8_t>(*end - '0');
    if (digit > 9 || size > kLargestReference) return nullptr;
    size = size * 10 + digit;
  }
  if (size - 1 >= kLargestReference) return nullptr;
  record.size = size;
  record.kind = static_cast<RecordKind>(kind);
  return end + 1;
}

/// "0 7fff01c8" and the like: label, blank, address, line feed.
inline const char* fast_din(const char* at, ReferenceRecord& record) {
  static constexpr std::array<RecordKind, 3> kKinds{RecordKind::Read, RecordKind::Write, RecordKind::Fetch};
  const auto label = static_cast<std::uint8_t>(*at - '0');
  if (label >= kKinds.size() || at[1] != ' ') return nullptr;
  std::uint64_t address = 0;
  const char* const end = hex_number(at + 2, address);
  if (end == nullptr || *end != '\n') return nullptr;
  record.address = {address & ~std::uint64_t{3}};
  record.size = 4;
  record.kind = kKinds[label];
  return end + 1;
}

/// "r 7fff01c8 8" and the like, both numbers hexadecimal.
inline const char* fast_extended_din(const char* at, ReferenceRecord& record) {
  static constexpr std::uint8_t kNone = 0xff;
  static constexpr auto kKinds = [] {
    std::array<std::uint8_t, 256> kinds{};
    kinds.fill(kNone);
    kinds['i'] = static_cast<std::uint8_t>(RecordKind::Fetch);
    kinds['r'] = kinds['m'] = static_cast<std::uint8_t>(RecordKind::Read);
    kinds['w'] = static_cast<std::uint8_t>(RecordKind::Write);
    return kinds;
  }();
  const std::uint8_t kind = kKinds[static_cast<std::uint8_t>(*at)];
  if (kind == kNone || at[1] != ' ') return nullptr;
  const char* end = hex_number(at + 2, record.address.value);
  if (end == nullptr || *end != ' ') return nullptr;
  std::uint64_t size = 0;
  end = hex_number(end + 1, size);
  if (end == nullptr || *end != '\n' || size - 1 >= kLargestReference) return nullptr;
  record.size = static_cast<std::uint32_t>(size);
  record.kind = static_cast<RecordKind>(kind);
  return end + 1;
}

}  // namespace text

}  // namespace shearling
