// SPDX-License-Identifier: GPL-3.0-or-later
//
// How a figure of the cache study looks, on the screen and on an exported page: bars in shades of one hue, the paper's
// hatched and the model's filled; the heading with the legend; the trends and notes; and a cell in words.
#pragma once

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include <QLineF>
#include <QPainter>
#include <QRectF>
#include <QString>

#include "core/cache_study/figure.h"

namespace shearling::gui {

enum class Side : std::uint8_t { Paper, Model };
constexpr std::array<Side, 2> kSides = {Side::Paper, Side::Model};

/// A series of a panel at one of its categories.
struct CellPlace {
  std::size_t category = 0, series = 0;
  bool operator==(const CellPlace&) const = default;
};

/// The value of one side; nothing where the paper or the model has none.
const std::optional<FigureValue>& value_of(const FigureCell& cell, Side side);
/// The cell at a place; an empty one beyond the panel's end.
const FigureCell& cell_at(const FigurePanel& panel, const CellPlace& place);
bool has_values(const FigurePanel& panel, Side side);
bool has_ranges(const FigurePanel& panel);

/// Where a panel's bars stand along its horizontal axis: category c lies around c, its series side by side, each
/// with the paper's bar left of the model's. A side that has no value in the whole panel takes no room.
class BarLayout {
 public:
  BarLayout() = default;
  explicit BarLayout(const FigurePanel& panel);
  [[nodiscard]] bool has(Side side) const { return side == Side::Paper ? paper_ : model_; }
  [[nodiscard]] double bar_width() const { return bar_width_; }
  /// Middle of a bar.
  [[nodiscard]] double key(const CellPlace& place, Side side) const;
  /// From the left border of a series' first bar to the right border of its last.
  [[nodiscard]] std::pair<double, double> extent(const CellPlace& place) const;
  /// The place whose bars are nearest to a coordinate.
  [[nodiscard]] CellPlace nearest(double key) const;

 private:
  [[nodiscard]] double series_width() const { return bar_width_ * (paper_ && model_ ? 2 : 1); }
  [[nodiscard]] double left_of(const CellPlace& place) const;
  std::size_t categories_ = 0, series_ = 0;
  bool paper_ = false, model_ = false;
  double bar_width_ = 0, gap_ = 0;
};

/// Names of the series of the first panel, and of every other one that shares a series with it: the figure's legend.
std::vector<std::string> main_legend(const Figure& figure);
/// The legend that a panel's series are in: the figure's, or one of its own.
std::vector<std::string> legend_of(const Figure& figure, const FigurePanel& panel);
/// Colour of a series: shades of SEESAW's hue from light to dark (in the dark theme from dark to light) in their order;
/// SEESAW itself and what it is compared with as everywhere in the window.
QColor series_colour(const std::vector<std::string>& names, std::size_t series);
QColor bar_outline();
/// Lines at 45 degrees that fill a box, cut off at its borders.
std::vector<QLineF> hatch_lines(const QRectF& box, double spacing);
/// The paper's: hatched; the model's: filled.
void draw_bar(QPainter& painter, const QRectF& bar, const QColor& colour, Side side);

/// Names of series with their colours; returns the height. The painter's origin is the part's upper left corner.
double draw_legend(QPainter& painter, double width, const std::vector<std::string>& names);
/// Title and legend; returns the height.
double draw_figure_head(QPainter& painter, double width, const Figure& figure);
/// Trends, reproduced or not, and notes; returns the height.
double draw_figure_foot(QPainter& painter, double width, const Figure& figure);

/// "runtime improvement, %" has the unit "%".
QString unit_of(const FigurePanel& panel);
/// That many significant digits; large numbers whole, with separators.
QString figure_number(double value, int digits = 4);
/// "g500, 64 KB: paper 6 % (5 to 7) · model 7.3 % · difference +1.3 points (model − paper)".
QString cell_text(const FigurePanel& panel, const CellPlace& place);

}  // namespace shearling::gui
