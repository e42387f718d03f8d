// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/csv_exporter.h"

#include "core/events/reflection.h"

namespace shearling {

namespace {

std::string quoted(std::string_view text) {
  std::string quoted_text = "\"";
  for (const char letter : text) {
    if (letter == '"') quoted_text += '"';
    quoted_text += letter;
  }
  return quoted_text + "\"";
}

std::string fields_as_text(const Event& event) {
  const EventInfo& info = info_of(event);
  const std::vector<FieldValue> values = field_values(event);
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != 0) text += "; ";
    text.append(info.fields[i].name).append("=").append(format_value(values[i], info.fields[i].format));
  }
  return text;
}

}  // namespace

CsvExporter::CsvExporter(std::ostream& out) : out_(out) {
  out_ << "step,ordinal,vcpu,actor,privilege,cycles,event,narration,fields\r\n";
}

void CsvExporter::on_event(const Event& event) {
  out_ << event.step << ',' << event.ordinal << ',' << event.vcpu << ',' << name_of(event.actor) << ','
       << unsigned{event.privilege} << ',' << event.cycles << ',' << info_of(event).name << ','
       << quoted(narrate(event)) << ',' << quoted(fields_as_text(event)) << "\r\n";
}

}  // namespace shearling
