// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/run_file/event_json.h"

#include <charconv>

#include "core/events/reflection.h"

namespace shearling {

namespace {

nlohmann::ordered_json to_json(const FieldValue& value, FieldFormat format) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return std::string(*text);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (format == FieldFormat::Hex) return format_value(value, format);
  return std::get<std::uint64_t>(value);
}

std::optional<FieldValue> from_json(const nlohmann::json& json, FieldFormat format, TextPool& texts) {
  if (json.is_boolean()) return json.get<bool>();
  if (format == FieldFormat::Real)
    return json.is_number() ? std::optional<FieldValue>(json.get<double>()) : std::nullopt;
  if (json.is_number_unsigned()) return json.get<std::uint64_t>();
  if (!json.is_string()) return std::nullopt;
  const auto& text = json.get_ref<const std::string&>();
  if (format != FieldFormat::Hex) return texts.keep(text);
  std::uint64_t number = 0;
  if (!text.starts_with("0x")) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), number, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

nlohmann::ordered_json fields_to_json(const Event& event) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const EventInfo& info = info_of(event);
  const std::vector<FieldValue> values = field_values(event);
  for (std::size_t i = 0; i < values.size(); ++i)
    json[std::string(info.fields[i].name)] = to_json(values[i], info.fields[i].format);
  return json;
}

nlohmann::ordered_json event_to_json(const Event& event) {
  return {{"step", event.step},
          {"ordinal", event.ordinal},
          {"vcpu", event.vcpu},
          {"actor", std::string(name_of(event.actor))},
          {"privilege", event.privilege},
          {"cycles", event.cycles},
          {"event", std::string(info_of(event).name)},
          {"narration", narrate(event)},
          {"fields", fields_to_json(event)}};
}

bool payload_from_json(std::string_view event_name, const nlohmann::json& fields, TextPool& texts,
                       EventPayload& payload) {
  auto made = make_payload(event_name);
  if (!made || !fields.is_object()) return false;
  for (const FieldInfo& field : find_event(event_name)->fields) {
    const auto found = fields.find(field.name);
    if (found == fields.end()) continue;
    const auto value = from_json(*found, field.format, texts);
    if (!value || !set_field(*made, field.name, *value)) return false;
  }
  payload = *made;
  return true;
}

}  // namespace shearling
