// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/figure.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace shearling {

namespace {

using nlohmann::ordered_json;

constexpr int kSchema = 1;

ordered_json to_json(const std::optional<FigureValue>& value) {
  if (!value) return nullptr;
  return {{"value", value->value}, {"low", value->low}, {"high", value->high}};
}

ordered_json to_json(const FigureCell& cell) {
  ordered_json json{{"paper", to_json(cell.paper)}, {"model", to_json(cell.model)}, {"difference", nullptr}};
  if (cell.paper && cell.model) json["difference"] = cell.model->value - cell.paper->value;
  return json;
}

ordered_json to_json(const FigurePanel& panel) {
  ordered_json series = ordered_json::array();
  for (const FigureSeries& one : panel.series) {
    ordered_json cells = ordered_json::array();
    for (const FigureCell& cell : one.cells) cells.push_back(to_json(cell));
    series.push_back({{"name", one.name}, {"cells", std::move(cells)}});
  }
  return {{"title", panel.title}, {"axis", panel.axis}, {"categories", panel.categories}, {"series", series}};
}

// What is missing or of another type throws nlohmann's exception, which read_figure() turns into a Diagnostic.

std::optional<FigureValue> value_from(const ordered_json& json) {
  if (json.is_null()) return std::nullopt;
  return FigureValue{json.at("value").get<double>(), json.at("low").get<double>(), json.at("high").get<double>()};
}

FigurePanel panel_from(const ordered_json& json) {
  FigurePanel panel{
      .title = json.at("title"), .axis = json.at("axis"), .categories = json.at("categories"), .series = {}};
  for (const ordered_json& one : json.at("series")) {
    FigureSeries series{.name = one.at("name"), .cells = {}};
    for (const ordered_json& cell : one.at("cells"))
      series.cells.push_back({value_from(cell.at("paper")), value_from(cell.at("model"))});
    panel.series.push_back(std::move(series));
  }
  return panel;
}

Figure figure_from(const ordered_json& json) {
  Figure figure{
      .number = json.at("figure"), .title = json.at("title"), .panels = {}, .trends = {}, .notes = json.at("notes")};
  for (const ordered_json& panel : json.at("panels")) figure.panels.push_back(panel_from(panel));
  for (const ordered_json& trend : json.at("trends"))
    figure.trends.push_back({trend.at("statement"), trend.at("reproduced"), trend.at("evidence")});
  return figure;
}

bool has_a_cell_for_each_category(const Figure& figure) {
  for (const FigurePanel& panel : figure.panels) {
    for (const FigureSeries& series : panel.series) {
      if (series.cells.size() != panel.categories.size()) return false;
    }
  }
  return true;
}

/// nlohmann counts the byte behind which it gave up, from 1.
Diagnostic at_byte(const std::string& path, const std::string& text, std::size_t byte) {
  const std::string_view before = std::string_view(text).substr(0, byte == 0 ? 0 : byte - 1);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {path, static_cast<unsigned>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<unsigned>(before.size() - line_start) + 1, "this is not JSON",
          "make the file again with 'shearling seesaw --figure N --json FILE'"};
}

Diagnostic no_figure(const std::string& path, const std::string& what) {
  return {path, 0, 0, "this is no figure: " + what, "make the file with 'shearling seesaw --figure N --json FILE'"};
}

Result<Figure> read_figure_text(const std::string& path, const std::string& text) {
  ordered_json json;
  try {
    json = ordered_json::parse(text);
  } catch (const ordered_json::parse_error& error) {
    return at_byte(path, text, error.byte);
  }
  if (!json.is_object() || !json.contains("schema") || !json["schema"].is_number_integer())
    return no_figure(path, "it has no \"schema\"");
  if (json["schema"].get<std::int64_t>() > kSchema)
    return Diagnostic{
        path, 0, 0,
        "this figure has schema " + json["schema"].dump() + ", and this program reads up to " + std::to_string(kSchema),
        "use a newer Shearling"};
  if (!json.contains("figure")) return no_figure(path, "it has no \"figure\"");
  try {
    Figure figure = figure_from(json);
    if (!has_a_cell_for_each_category(figure))
      return no_figure(path, "a series has more or fewer cells than categories");
    return figure;
  } catch (const ordered_json::exception& error) {
    const std::string_view what = error.what();
    return no_figure(path, std::string(what.substr(std::min(what.size(), what.find("] ") + 2))));
  }
}

}  // namespace

nlohmann::ordered_json to_json(const Figure& figure) {
  ordered_json panels = ordered_json::array();
  for (const FigurePanel& panel : figure.panels) panels.push_back(to_json(panel));
  ordered_json trends = ordered_json::array();
  for (const FigureTrend& trend : figure.trends)
    trends.push_back({{"statement", trend.statement}, {"reproduced", trend.reproduced}, {"evidence", trend.evidence}});
  return {{"schema", kSchema}, {"figure", figure.number}, {"title", figure.title},
          {"panels", panels},  {"trends", trends},        {"notes", figure.notes}};
}

Result<Figure> read_figure(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return Diagnostic{path, 0, 0, "the file cannot be read", "check the path and the permissions"};
  return read_figure_text(path, text.str());
}

}  // namespace shearling
