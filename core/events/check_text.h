// SPDX-License-Identifier: GPL-3.0-or-later
//
// An ISA's comparisons as a table: an enumerator each, the name that lessons and exports use, and the sentence that
// tells it ({actual} and {required} are what was compared).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/events/sink.h"

namespace shearling {

template <typename Id>
struct CheckText {
  Id id;
  std::string_view name;
  std::string_view sentence;
};
template <typename Id>
using CheckTexts = std::array<CheckText<Id>, static_cast<std::size_t>(Id::Count)>;

/// For a static_assert beside the table.
template <typename Id>
constexpr bool are_in_order(const CheckTexts<Id>& texts) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (static_cast<std::size_t>(texts[i].id) != i) return false;
  }
  return true;
}

/// Emits the check where micro-events are wanted, and returns `passed`.
template <typename Id>
bool tell_check(EventStream& events, const CheckTexts<Id>& texts, Id id, bool passed, std::uint64_t actual,
                std::uint64_t required) {
  if (events.wants_micro_events()) {
    const CheckText<Id>& text = texts[static_cast<std::size_t>(id)];
    events.micro(Check{.name = text.name,
                       .sentence = text.sentence,
                       .actual = actual,
                       .required = required,
                       .verdict = passed ? CheckVerdict::Passed : CheckVerdict::Failed});
  }
  return passed;
}

}  // namespace shearling
