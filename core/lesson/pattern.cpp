// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lesson/pattern.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "core/events/spelling.h"
#include "core/loader/elf_image.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

namespace {

using Comparison = FieldCondition::Comparison;
constexpr std::string_view kSymbol = "sym:";

std::optional<bool> truth_of(std::string_view word) {
  if (word == "yes" || word == "true") return true;
  if (word == "no" || word == "false") return false;
  return std::nullopt;
}

const FieldInfo* find_field(std::size_t kind, std::string_view name) {
  const auto& fields = event_table()[kind].fields;
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const FieldInfo& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::optional<double> real_of(const std::string& text) {
  char* end = nullptr;
  const double real = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return std::nullopt;
  return real;
}

/// Does a field's value equal one that a lesson names?
bool equals(const FieldValue& actual, const std::string& expected, const ElfImage& image) {
  if (const auto* text = std::get_if<std::string_view>(&actual)) return *text == expected;
  if (const auto* flag = std::get_if<bool>(&actual)) return truth_of(expected) == *flag;
  if (const auto* real = std::get_if<double>(&actual)) {
    const auto number = real_of(expected);
    return number && std::abs(*real - *number) <= 1e-6 * std::max(1.0, std::abs(*number));  // fields hold floats
  }
  return number_of(expected, image) == std::get<std::uint64_t>(actual);
}

bool holds(const FieldCondition& condition, const FieldValue& actual, const ElfImage& image) {
  const auto equals_actual = [&](const std::string& value) { return equals(actual, value, image); };
  if (condition.comparison == Comparison::Equal)
    return std::any_of(condition.values.begin(), condition.values.end(), equals_actual);
  if (condition.comparison == Comparison::NotEqual)
    return std::none_of(condition.values.begin(), condition.values.end(), equals_actual);
  const auto* number = std::get_if<std::uint64_t>(&actual);
  const auto expected = number_of(condition.values.front(), image);
  return number != nullptr && expected && compare(*number, condition.comparison, *expected);
}

}  // namespace

std::optional<PatternProblem> set_event(EventPattern& pattern, std::string_view name) {
  pattern.event = name;
  if (const EventInfo* info = find_event(name)) {
    pattern.kind = static_cast<std::size_t>(info - event_table().data());
    return std::nullopt;
  }
  const std::string_view nearest = nearest_event_name(name);
  return PatternProblem{"there is no event " + quoted(name),
                        nearest.empty() ? "docs/events.md lists them" : "did you mean " + quoted(nearest) + "?"};
}

std::optional<PatternProblem> check_field(std::size_t kind, std::string_view field) {
  if (find_field(kind, field) != nullptr) return std::nullopt;
  std::vector<std::string_view> names;
  for (const FieldInfo& info : event_table()[kind].fields) names.push_back(info.name);
  return PatternProblem{"the event " + quoted(event_table()[kind].name) + " has no field " + quoted(field),
                        spelling_remedy(field, names)};
}

std::optional<PatternProblem> normalise_value(std::size_t kind, std::string_view field, std::string& value) {
  const FieldInfo& info = *find_field(kind, field);
  if (!info.choices.empty()) {
    if (const auto page = parse_page_size(value)) value = name_of(*page);
    if (std::find(info.choices.begin(), info.choices.end(), value) != info.choices.end()) return std::nullopt;
    return PatternProblem{quoted(field) + " cannot be " + quoted(value), spelling_remedy(value, info.choices)};
  }
  switch (info.format) {
    case FieldFormat::Text:
      return std::nullopt;
    case FieldFormat::Flag:
      if (truth_of(value)) return std::nullopt;
      return PatternProblem{quoted(field) + " is yes or no, not " + quoted(value), "write yes or no"};
    case FieldFormat::Real:
      if (real_of(value)) return std::nullopt;
      break;
    case FieldFormat::Decimal:
    case FieldFormat::Hex:
      if (parse_number(value) || value.starts_with(kSymbol)) return std::nullopt;
      break;
  }
  return PatternProblem{quoted(field) + " is a number, not " + quoted(value),
                        "write 24, 0x18, or sym:name for the address of a symbol"};
}

Comparison take_comparison(std::string_view& text) {
  struct Word {
    std::string_view word;
    Comparison comparison;
  };
  static constexpr std::array<Word, 8> kWords{{{"not ", Comparison::NotEqual},
                                               {"!=", Comparison::NotEqual},
                                               {"<=", Comparison::LessOrEqual},
                                               {">=", Comparison::GreaterOrEqual},
                                               {"<", Comparison::Less},
                                               {">", Comparison::Greater},
                                               {"==", Comparison::Equal},
                                               {"=", Comparison::Equal}}};
  for (const Word& word : kWords) {
    if (!text.starts_with(word.word)) continue;
    text.remove_prefix(word.word.size());
    while (text.starts_with(' ')) text.remove_prefix(1);
    return word.comparison;
  }
  return Comparison::Equal;
}

std::optional<std::uint64_t> number_of(std::string_view text, const ElfImage& image) {
  if (!text.starts_with(kSymbol)) return parse_number(text);
  const ElfSymbol* symbol = image.find_symbol(text.substr(kSymbol.size()));
  return symbol == nullptr ? std::nullopt : std::optional(symbol->value);
}

std::string_view sign_of(Comparison comparison) {
  static constexpr std::array<std::string_view, 6> kSigns{"", "not ", "< ", "<= ", "> ", ">= "};
  return kSigns[static_cast<std::size_t>(comparison)];
}

bool compare(std::uint64_t actual, Comparison comparison, std::uint64_t expected) {
  switch (comparison) {
    case Comparison::Equal:
      return actual == expected;
    case Comparison::NotEqual:
      return actual != expected;
    case Comparison::Less:
      return actual < expected;
    case Comparison::LessOrEqual:
      return actual <= expected;
    case Comparison::Greater:
      return actual > expected;
    case Comparison::GreaterOrEqual:
      return actual >= expected;
  }
  return false;
}

std::string EventPattern::text() const {
  std::string text = event;
  for (const FieldCondition& condition : where) {
    text += &condition == &where.front() ? " {" : ", ";
    text.append(condition.field).append(": ").append(sign_of(condition.comparison));
    for (const std::string& value : condition.values) {
      if (&value != &condition.values.front()) text += " or ";
      text += value;
    }
  }
  return where.empty() ? text : text + "}";
}

namespace {
bool satisfies(const Event& event, const FieldCondition& condition, const ElfImage& image) {
  const auto actual = field_value(event, condition.field);
  return actual && holds(condition, *actual, image);
}
}  // namespace

bool EventPattern::matches(const Event& candidate, const ElfImage& image) const {
  if (candidate.payload.index() != kind) return false;
  return std::all_of(where.begin(), where.end(),
                     [&](const FieldCondition& condition) { return satisfies(candidate, condition, image); });
}

std::size_t EventPattern::mismatches(const Event& candidate, const ElfImage& image) const {
  return static_cast<std::size_t>(std::count_if(where.begin(), where.end(), [&](const FieldCondition& condition) {
    return !satisfies(candidate, condition, image);
  }));
}

}  // namespace shearling
