// SPDX-License-Identifier: GPL-3.0-or-later
//
// Events as JSON and back. Hexadecimal fields (addresses, registers) are texts "0x..." so that no reader rounds them to
// 53 bits; decimal ones are numbers, flags truth values, names texts.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "core/events/event.h"

namespace shearling {

/// {"field": value, ...} in the order of the event table.
nlohmann::ordered_json fields_to_json(const Event& event);
/// {"step", "ordinal", "vcpu", "actor", "privilege", "cycles", "event", "narration", "fields"}.
nlohmann::ordered_json event_to_json(const Event& event);

/// Keeps the texts of events that came from a file alive. Events refer to it.
class TextPool {
 public:
  std::string_view keep(std::string_view text) { return *texts_.emplace(text).first; }

 private:
  std::set<std::string, std::less<>> texts_;
};

/// The other way; false where the name, a field or a value is none of the event table's. Fields left out keep defaults.
bool payload_from_json(std::string_view event_name, const nlohmann::json& fields, TextPool& texts,
                       EventPayload& payload);

}  // namespace shearling
