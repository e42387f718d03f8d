// SPDX-License-Identifier: GPL-3.0-or-later
//
// One figure of the SEESAW paper as data: the paper's values beside the model's. What `shearling seesaw --figure`
// prints, what the window plots, and what the report in docs/ is made from.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace shearling {

/// A mean with its range, as the paper's bars give it; a single value has low = high = value.
struct FigureValue {
  double value = 0, low = 0, high = 0;
  bool operator==(const FigureValue&) const = default;
};

struct FigureCell {
  std::optional<FigureValue> paper, model;
  bool operator==(const FigureCell&) const = default;
};

struct FigureSeries {
  std::string name;               ///< "32 KB", "WP", ...
  std::vector<FigureCell> cells;  ///< One a category of the panel.
  bool operator==(const FigureSeries&) const = default;
};

struct FigurePanel {
  std::string title;
  std::string axis;                     ///< What the values are, with the unit: "runtime improvement, %".
  std::vector<std::string> categories;  ///< Along the horizontal axis: workloads, sizes, frequencies.
  std::vector<FigureSeries> series;
  bool operator==(const FigurePanel&) const = default;
};

/// A statement of the paper that the model either reproduces or does not: "larger caches gain more".
struct FigureTrend {
  std::string statement;
  bool reproduced = false;
  std::string evidence;  ///< The model's figures that say so.
  bool operator==(const FigureTrend&) const = default;
};

struct Figure {
  int number = 0;  ///< 2, 3, 7 to 15.
  std::string title;
  std::vector<FigurePanel> panels;
  std::vector<FigureTrend> trends;
  std::vector<std::string> notes;  ///< What the model cannot know, and what was chosen.
  bool operator==(const Figure&) const = default;
};

/// {"schema": 1, "figure": N, ...}; each cell also carries "difference": model - paper, in the axis' unit.
[[nodiscard]] nlohmann::ordered_json to_json(const Figure& figure);
/// What to_json() gave, from a file.
[[nodiscard]] Result<Figure> read_figure(const std::string& path);

}  // namespace shearling
