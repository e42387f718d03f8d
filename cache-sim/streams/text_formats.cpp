// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/text_formats.h"

#include <algorithm>
#include <optional>

namespace shearling {

namespace {

constexpr const char* kWrongLine = "mend or remove this line";

/// What is left of a line.
struct Scanner {
  std::string_view rest;
  [[nodiscard]] bool done() const { return rest.empty(); }
  [[nodiscard]] char front() const { return rest.empty() ? '\0' : rest.front(); }
  bool skip_blanks() {
    const std::size_t blanks = std::min(rest.find_first_not_of(" \t"), rest.size());
    rest.remove_prefix(blanks);
    return blanks != 0;
  }
  [[nodiscard]] bool at_word_end() const { return rest.empty() || rest.front() == ' ' || rest.front() == '\t'; }
};

enum class Number : std::uint8_t { Good, Missing, TooLarge };

Number scan(Scanner& scanner, unsigned base, std::uint64_t& value) {
  const auto digit_of = [base](char letter) {
    const std::uint8_t digit = text::hex_digit(letter);
    return digit < base ? digit : text::kNoDigit;
  };
  if (base == 16 && (scanner.rest.starts_with("0x") || scanner.rest.starts_with("0X"))) scanner.rest.remove_prefix(2);
  if (digit_of(scanner.front()) == text::kNoDigit) return Number::Missing;
  value = 0;
  bool fits = true;
  for (; !scanner.done() && digit_of(scanner.front()) != text::kNoDigit; scanner.rest.remove_prefix(1)) {
    const std::uint8_t digit = digit_of(scanner.front());
    fits = fits && value <= (~std::uint64_t{0} - digit) / base;
    value = value * base + digit;
  }
  return fits ? Number::Good : Number::TooLarge;
}

LineKind bad(LineProblem& problem, std::string message, std::string remedy = kWrongLine) {
  problem = {std::move(message), std::move(remedy)};
  return LineKind::Bad;
}

bool scan_address(Scanner& scanner, ReferenceRecord& record, LineProblem& problem) {
  const Number number = scan(scanner, 16, record.address.value);
  if (number == Number::Good) return true;
  if (number == Number::TooLarge)
    bad(problem, "the address has more than 64 bits");
  else
    bad(problem, "a hexadecimal address is missing");
  return false;
}

bool scan_size(Scanner& scanner, unsigned base, ReferenceRecord& record, LineProblem& problem) {
  std::uint64_t size = 0;
  const Number number = scan(scanner, base, size);
  if (number == Number::Missing)
    bad(problem, "the size is missing");
  else if (number == Number::TooLarge || size > kLargestReference)
    bad(problem, "the size is larger than 65536 bytes");
  else if (size == 0)
    bad(problem, "the size is 0");
  else if (record.address.value > ~std::uint64_t{0} - (size - 1))
    bad(problem, "the reference runs past the end of the address space");
  else
    return record.size = static_cast<std::uint32_t>(size), true;
  return false;
}

bool is_lackey_kind(char letter, RecordKind& kind) {
  switch (letter) {
    case 'I':
      return kind = RecordKind::Fetch, true;
    case 'L':
      return kind = RecordKind::Read, true;
    case 'S':
      return kind = RecordKind::Write, true;
    case 'M':
      return kind = RecordKind::Modify, true;
    default:
      return false;
  }
}

// Valgrind writes its own lines as ==PID==, --PID-- or **PID**; Lackey names superblocks where it is asked to.
bool is_valgrinds_own(std::string_view line) {
  return line.starts_with("==") || line.starts_with("--") || line.starts_with("**") || line.starts_with("SB ");
}

LineKind parse_lackey(std::string_view line, ReferenceRecord& record, LineProblem& problem) {
  if (is_valgrinds_own(line)) return LineKind::Skip;
  Scanner scanner{line};
  scanner.skip_blanks();
  const bool known = is_lackey_kind(scanner.front(), record.kind);
  if (known) scanner.rest.remove_prefix(1);
  if (!known || !scanner.skip_blanks())
    return bad(problem, "this is no line of Valgrind Lackey",
               "is it the program's own output? Give Valgrind a file of its own: --log-file=FILE");
  if (!scan_address(scanner, record, problem)) return LineKind::Bad;
  if (scanner.front() != ',') return bad(problem, "the size is missing");
  scanner.rest.remove_prefix(1);
  if (!scan_size(scanner, 10, record, problem)) return LineKind::Bad;
  scanner.skip_blanks();
  return scanner.done() ? LineKind::Record : bad(problem, "something follows the size");
}

constexpr const char* kCacheOrder = "it is an order to a cache (copy back or invalidate), not a reference";
constexpr const char* kRemoveOrders =
    "remove such records: only reads, writes, fetches and miscellaneous ones are references";

LineKind parse_din(std::string_view line, ReferenceRecord& record, LineProblem& problem) {
  static constexpr std::array<RecordKind, 4> kKinds{RecordKind::Read, RecordKind::Write, RecordKind::Fetch,
                                                    RecordKind::Read};  // the last: miscellaneous
  constexpr std::uint64_t kCopyBack = 4, kInvalidate = 5;
  Scanner scanner{line};
  scanner.skip_blanks();
  std::uint64_t label = 0;
  if (scan(scanner, 16, label) != Number::Good || !scanner.at_word_end() || label > kInvalidate)
    return bad(problem, "this is no line of Dinero: it begins with no label from 0 to 5");
  if (label >= kCopyBack) return bad(problem, kCacheOrder, kRemoveOrders);
  scanner.skip_blanks();
  if (!scan_address(scanner, record, problem)) return LineKind::Bad;
  if (!scanner.at_word_end()) return bad(problem, "the address is not hexadecimal");
  record.kind = kKinds[label];
  record.address.value &= ~std::uint64_t{3};
  record.size = 4;
  return LineKind::Record;  // the rest of the line is a comment
}

LineKind parse_extended_din(std::string_view line, ReferenceRecord& record, LineProblem& problem) {
  Scanner scanner{line};
  scanner.skip_blanks();
  const char letter = static_cast<char>(scanner.front() | 0x20);
  if (!scanner.done()) scanner.rest.remove_prefix(1);
  if (std::string_view("rwimcv").find(letter) == std::string_view::npos || !scanner.at_word_end())
    return bad(problem, "this is no line of extended Dinero: it begins with none of r, w, i, m");
  if (letter == 'c' || letter == 'v') return bad(problem, kCacheOrder, kRemoveOrders);
  scanner.skip_blanks();
  if (!scan_address(scanner, record, problem)) return LineKind::Bad;
  if (!scanner.at_word_end()) return bad(problem, "the address is not hexadecimal");
  scanner.skip_blanks();
  if (!scan_size(scanner, 16, record, problem)) return LineKind::Bad;
  if (!scanner.at_word_end()) return bad(problem, "the size is not hexadecimal");
  record.kind = letter == 'i' ? RecordKind::Fetch : letter == 'w' ? RecordKind::Write : RecordKind::Read;
  return LineKind::Record;  // the rest of the line is a comment
}

LineKind parse_as(TraceFormat format, std::string_view line, ReferenceRecord& record, LineProblem& problem) {
  if (format == TraceFormat::Lackey) return parse_lackey(line, record, problem);
  if (format == TraceFormat::Din) return parse_din(line, record, problem);
  return parse_extended_din(line, record, problem);
}

constexpr std::array<TraceFormat, 3> kTextFormats{TraceFormat::Lackey, TraceFormat::ExtendedDin, TraceFormat::Din};

bool is_binary(std::string_view line) {
  return std::any_of(line.begin(), line.end(), [](char letter) {
    return static_cast<std::uint8_t>(letter) < 0x20 && letter != '\t' && letter != '\r';
  });
}

}  // namespace

std::string_view name_of(TraceFormat format) {
  static constexpr std::array<std::string_view, 5> kNames{"unknown", "Valgrind Lackey", "Dinero", "extended Dinero",
                                                          "Shearling"};
  return kNames[static_cast<std::size_t>(format)];
}

LineKind parse_line(TraceFormat format, std::string_view line, ReferenceRecord& record, LineProblem& problem) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.find_first_not_of(" \t") == std::string_view::npos) return LineKind::Skip;
  ReferenceRecord parsed;
  const LineKind kind = parse_as(format, line, parsed, problem);
  if (kind == LineKind::Record) record = parsed;
  if (kind != LineKind::Bad) return kind;
  if (is_binary(line)) return bad(problem, "there are binary data here", "copy or record the file again");
  for (const TraceFormat other : kTextFormats) {
    LineProblem ignored;
    if (other == format || parse_as(other, line, parsed, ignored) != LineKind::Record) continue;
    return bad(
        problem,
        "this line is in the format " + std::string(name_of(other)) + ", the trace in " + std::string(name_of(format)),
        "a trace has one format: split the file");
  }
  return kind;
}

}  // namespace shearling
