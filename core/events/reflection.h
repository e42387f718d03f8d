// SPDX-License-Identifier: GPL-3.0-or-later
//
// The event table as data: names, fields and sentences of every payload, and values by field name. Exporters, lessons,
// the run file and the views' narration are written against this, so that a new event needs no new code in them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/events/event.h"

namespace shearling {

/// A field's value: whole number, truth value, real number or text. Text refers to static tables.
using FieldValue = std::variant<std::uint64_t, bool, double, std::string_view>;

struct FieldInfo {
  std::string_view name;
  FieldFormat format;
  std::span<const std::string_view> choices;  ///< An enumeration's names; empty for everything else.
};

struct EventInfo {
  std::string_view name;
  std::string_view sentence;
  std::vector<FieldInfo> fields;
};

/// All events, in the order of EventPayload's alternatives.
std::span<const EventInfo> event_table();
/// The row of the event with that name, or nothing.
const EventInfo* find_event(std::string_view name);
/// The name in the table that a misspelt one is nearest to, for "did you mean".
std::string_view nearest_event_name(std::string_view misspelt);

const EventInfo& info_of(const Event& event);
/// The value of one field, or nothing when the event has no such field.
std::optional<FieldValue> field_value(const Event& event, std::string_view field);
/// All values in the order of info_of(event).fields.
std::vector<FieldValue> field_values(const Event& event);
/// A payload of that name with every field at its default; nothing where there is no such event.
std::optional<EventPayload> make_payload(std::string_view event_name);
/// Sets one field; false where there is no such field or the value does not fit it. Texts are kept as views: the
/// caller owns what they refer to. Enumerators come as their names.
bool set_field(EventPayload& payload, std::string_view field, const FieldValue& value);
/// A value as people read it: "0x1012c4", "24", "yes", "4 KB".
std::string format_value(const FieldValue& value, FieldFormat format);
/// The narration of an event: its sentence with every {field} replaced.
std::string narrate(const Event& event);

}  // namespace shearling
