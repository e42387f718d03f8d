// SPDX-License-Identifier: GPL-3.0-or-later
//
// Conditions on events as lessons write them: what a value may look like, and whether an event's field has it. Shared
// by the blocks of a lesson and by the expressions of its answers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/events/reflection.h"
#include "core/lesson/lesson.h"

namespace shearling {

/// What is wrong with a name or value, and how to mend it.
struct PatternProblem {
  std::string message;
  std::string remedy;
};

/// Fills `pattern.event` and `pattern.kind`.
std::optional<PatternProblem> set_event(EventPattern& pattern, std::string_view name);
/// The field of that name of the event of that kind.
std::optional<PatternProblem> check_field(std::size_t kind, std::string_view field);
/// Checks a value against the field's type and writes it as the event table spells it ("4K" becomes "4 KB").
std::optional<PatternProblem> normalise_value(std::size_t kind, std::string_view field, std::string& value);
/// Takes "not ", "!=", "<", "<=", ">", ">=" or "=" from the front of a condition.
FieldCondition::Comparison take_comparison(std::string_view& text);

/// A whole number, or the address of "sym:name".
std::optional<std::uint64_t> number_of(std::string_view text, const ElfImage& image);
std::string_view sign_of(FieldCondition::Comparison comparison);
bool compare(std::uint64_t actual, FieldCondition::Comparison comparison, std::uint64_t expected);

}  // namespace shearling
