// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/figure_paint.h"

#include <algorithm>
#include <cmath>

#include <QCoreApplication>
#include <QFontMetricsF>
#include <QLocale>

#include "app/gui/paint.h"

namespace shearling::gui {
namespace {

constexpr double kGroupWidth = 0.84;  ///< Of a category; the rest stands between its neighbours.
constexpr double kSeriesGap = 0.35;   ///< Between two series, in bars.
constexpr double kWidestBar = 0.22;

QString words(const char* text) { return QCoreApplication::translate("Figure", text); }
QString text_of(const std::string& text) { return QString::fromStdString(text); }

bool any_panel(const Figure& figure, bool (*holds)(const FigurePanel&)) {
  return std::any_of(figure.panels.begin(), figure.panels.end(), holds);
}

/// Puts entries of a legend one behind the other, and into the next line where one does not fit.
class LegendFlow {
 public:
  LegendFlow(QPainter& painter, double top, double width) : painter_(painter), y_(top), width_(width) {}

  void add(const QString& name, const QColor& colour, Side side) {
    const double swatch = theme().px(16);
    const double gap = theme().px(8);
    const double wanted = begin(swatch + gap + QFontMetricsF(font_).horizontalAdvance(name));
    draw_bar(painter_, {x_, y_ + (line() - swatch) / 2, swatch, swatch}, colour, side);
    write(name, swatch + gap, wanted);
  }

  void add_series(const std::vector<std::string>& names) {
    for (std::size_t index = 0; index < names.size(); ++index)
      if (!names[index].empty()) add(text_of(names[index]), series_colour(names, index), Side::Model);
  }

  void add_range(const QString& name) {
    const double mark = theme().px(10);
    const double wanted = begin(mark + theme().px(8) + QFontMetricsF(font_).horizontalAdvance(name));
    const QPointF top(x_ + mark / 2, y_ + theme().px(4));
    const QPointF bottom(top.x(), y_ + line() - theme().px(4));
    painter_.setPen(QPen(theme().palette().text, theme().px(1.4)));
    painter_.drawLine(top, bottom);
    for (const QPointF& end : {top, bottom}) painter_.drawLine(end - QPointF(mark / 2, 0), end + QPointF(mark / 2, 0));
    write(name, mark + theme().px(8), wanted);
  }

  [[nodiscard]] double bottom() const { return y_ + line(); }

 private:
  [[nodiscard]] static double line() { return theme().px(24); }
  double begin(double wanted) {
    if (x_ > 0 && x_ + wanted > width_) {
      x_ = 0;
      y_ += line();
    }
    return std::min(wanted, width_);
  }
  void write(const QString& name, double indent, double wanted) {
    draw_text(painter_, {x_ + indent, y_, wanted - indent + 1, line()}, name, font_, theme().palette().text);
    x_ += wanted + theme().px(18);
  }

  QPainter& painter_;
  QFont font_ = theme().words(14);
  double x_ = 0, y_ = 0;
  double width_ = 0;
};

QString side_text(const QString& who, const std::optional<FigureValue>& value, const QString& unit) {
  if (!value) return QCoreApplication::translate("Figure", "%1: no value").arg(who);
  const QString space = unit.isEmpty() ? QString() : QStringLiteral(" ");
  QString text = QStringLiteral("%1 %2").arg(who, figure_number(value->value)) + space + unit;
  if (value->low != value->value || value->high != value->value)
    text +=
        QCoreApplication::translate("Figure", " (%1 to %2)").arg(figure_number(value->low), figure_number(value->high));
  return text.trimmed();
}

}  // namespace

const std::optional<FigureValue>& value_of(const FigureCell& cell, Side side) {
  return side == Side::Paper ? cell.paper : cell.model;
}

const FigureCell& cell_at(const FigurePanel& panel, const CellPlace& place) {
  static const FigureCell kNone;
  if (place.series >= panel.series.size()) return kNone;
  const std::vector<FigureCell>& cells = panel.series[place.series].cells;
  return place.category < cells.size() ? cells[place.category] : kNone;
}

bool has_values(const FigurePanel& panel, Side side) {
  return std::any_of(panel.series.begin(), panel.series.end(), [&](const FigureSeries& series) {
    return std::any_of(series.cells.begin(), series.cells.end(),
                       [&](const FigureCell& cell) { return value_of(cell, side).has_value(); });
  });
}

bool has_ranges(const FigurePanel& panel) {
  const auto ranges = [](const std::optional<FigureValue>& value) { return value && value->low < value->high; };
  return std::any_of(panel.series.begin(), panel.series.end(), [&](const FigureSeries& series) {
    return std::any_of(series.cells.begin(), series.cells.end(),
                       [&](const FigureCell& cell) { return ranges(cell.paper) || ranges(cell.model); });
  });
}

// --- where bars stand
// -------------------------------------------------------------------------------------------------

BarLayout::BarLayout(const FigurePanel& panel)
    : categories_(panel.categories.size()),
      series_(panel.series.size()),
      paper_(has_values(panel, Side::Paper)),
      model_(has_values(panel, Side::Model)) {
  const double bars = static_cast<double>(std::max<std::size_t>(1, series_) * (paper_ && model_ ? 2 : 1));
  const double gaps = series_ > 1 ? static_cast<double>(series_ - 1) * kSeriesGap : 0;
  bar_width_ = std::min(kWidestBar, kGroupWidth / (bars + gaps));
  gap_ = kSeriesGap * bar_width_;
}

double BarLayout::left_of(const CellPlace& place) const {
  const auto count = static_cast<double>(series_);
  const double group = count * series_width() + (count - 1) * gap_;
  return static_cast<double>(place.category) - group / 2 + static_cast<double>(place.series) * (series_width() + gap_);
}

double BarLayout::key(const CellPlace& place, Side side) const {
  const double before = side == Side::Model && paper_ ? bar_width_ : 0;
  return left_of(place) + before + bar_width_ / 2;
}

std::pair<double, double> BarLayout::extent(const CellPlace& place) const {
  const double left = left_of(place);
  return {left, left + series_width()};
}

CellPlace BarLayout::nearest(double key) const {
  if (categories_ == 0 || series_ == 0) return {};
  const auto index_of = [](double place, std::size_t count) {
    return static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(count - 1)));
  };
  CellPlace place{.category = index_of(std::round(key), categories_), .series = 0};
  place.series = index_of(std::floor((key - left_of(place) + gap_ / 2) / (series_width() + gap_)), series_);
  return place;
}

// --- how they look
// ----------------------------------------------------------------------------------------------------

std::vector<std::string> main_legend(const Figure& figure) {
  std::vector<std::string> names;
  const auto known = [&](const FigureSeries& series) {
    return std::find(names.begin(), names.end(), series.name) != names.end();
  };
  for (const FigurePanel& panel : figure.panels) {
    if (!names.empty() && std::none_of(panel.series.begin(), panel.series.end(), known)) continue;
    for (const FigureSeries& series : panel.series) {
      if (!known(series)) names.push_back(series.name);
    }
  }
  return names;
}

std::vector<std::string> legend_of(const Figure& figure, const FigurePanel& panel) {
  std::vector<std::string> names = main_legend(figure);
  const bool in_it = std::all_of(panel.series.begin(), panel.series.end(), [&](const FigureSeries& series) {
    return std::find(names.begin(), names.end(), series.name) != names.end();
  });
  if (in_it) return names;
  names.clear();
  for (const FigureSeries& series : panel.series) names.push_back(series.name);
  return names;
}

QColor series_colour(const std::vector<std::string>& names, std::size_t series) {
  constexpr double kLightest = 0.4;
  constexpr double kDarkest = 0.42;
  const Palette& palette = theme().palette();
  const QColor mark = theme().role(Role::Seesaw).mark;
  const std::size_t count = names.size();
  const std::string& name = names[series];
  if (count < 2 || name == "SEESAW") return mark;
  if (name == "VIPT" || name == "others") return theme().role(Role::Hardware).mark;
  const double place = static_cast<double>(series) / static_cast<double>(count - 1) * 2 - 1;  // -1 to 1
  if (place < 0) return mix(mark, palette.surface, 1 + place * (1 - kLightest));
  return mix(mark, palette.text, 1 - place * (1 - kDarkest));
}

QColor bar_outline() { return theme().role(Role::Seesaw).text; }

std::vector<QLineF> hatch_lines(const QRectF& box, double spacing) {
  std::vector<QLineF> lines;
  const double step = spacing * std::sqrt(2.0);
  // Along a line x + y is the same; the lines of neighbouring boxes meet.
  const auto first = static_cast<int>(std::ceil((box.left() + box.top()) / step));
  const auto last = static_cast<int>(std::floor((box.right() + box.bottom()) / step));
  for (int index = first; index <= last; ++index) {
    const double sum = index * step;
    const double left = std::max(box.left(), sum - box.bottom());
    const double right = std::min(box.right(), sum - box.top());
    if (right > left) lines.emplace_back(left, sum - left, right, sum - right);
  }
  return lines;
}

void draw_bar(QPainter& painter, const QRectF& bar, const QColor& colour, Side side) {
  const QRectF box = bar.normalized();
  const double line = std::clamp(box.width() / 7, 0.4, 1.2) * theme().zoom();
  const bool hatched = side == Side::Paper;
  painter.fillRect(box, hatched ? mix(colour, theme().palette().surface, 0.2) : colour);
  if (hatched) {
    painter.setPen(QPen(bar_outline(), line));
    for (const QLineF& stroke : hatch_lines(box, theme().px(4))) painter.drawLine(stroke);
  }
  QPen outline(bar_outline(), line);
  outline.setJoinStyle(Qt::MiterJoin);
  painter.setPen(outline);
  painter.setBrush(Qt::NoBrush);
  painter.drawRect(box);
}

double draw_legend(QPainter& painter, double width, const std::vector<std::string>& names) {
  LegendFlow legend(painter, 0, width);
  legend.add_series(names);
  return legend.bottom();
}

double draw_figure_head(QPainter& painter, double width, const Figure& figure) {
  constexpr double kEndless = 1e6;
  const Palette& palette = theme().palette();
  double y = draw_wrapped(painter, {0, 0, width, kEndless}, text_of(figure.title), theme().words(16, QFont::Bold),
                          palette.text);
  LegendFlow legend(painter, y + theme().px(4), width);
  const bool paper = any_panel(figure, [](const FigurePanel& panel) { return has_values(panel, Side::Paper); });
  const QColor grey = mix(palette.muted, palette.surface, 0.3);
  if (paper) {
    legend.add(words("the paper"), grey, Side::Paper);
    legend.add(words("the model"), grey, Side::Model);
  }
  if (any_panel(figure, has_ranges)) legend.add_range(words("lowest to highest"));
  legend.add_series(main_legend(figure));
  return legend.bottom() + theme().px(4);
}

double draw_figure_foot(QPainter& painter, double width, const Figure& figure) {
  constexpr double kEndless = 1e6;
  const Palette& palette = theme().palette();
  const double indent = theme().px(22);
  double y = 0;
  const auto write = [&](const std::string& text, const QFont& font, const QColor& colour) {
    if (!text.empty()) y += draw_wrapped(painter, {indent, y, width - indent, kEndless}, text_of(text), font, colour);
  };
  for (const FigureTrend& trend : figure.trends) {
    const QColor colour = trend.reproduced ? palette.good : palette.bad;
    const QFont bold = theme().words(14, QFont::DemiBold);
    const double line = theme().px(22);
    draw_text(painter, {0, y, indent, line}, trend.reproduced ? QStringLiteral("✓") : QStringLiteral("✗"), bold,
              colour);
    draw_text(painter, {indent, y, width - indent, line},
              trend.reproduced ? words("reproduced") : words("not reproduced"), bold, colour);
    y += line;
    write(trend.statement, theme().words(14), palette.text);
    write(trend.evidence, theme().words(13), palette.muted);
    y += theme().px(8);
  }
  for (const std::string& note : figure.notes) {
    draw_text(painter, {0, y, indent, theme().px(18)}, QStringLiteral("·"), theme().words(14, QFont::Bold),
              palette.muted);
    write(note, theme().words(13), palette.muted);
    y += theme().px(6);
  }
  return y;
}

// --- in words
// ---------------------------------------------------------------------------------------------------------

QString unit_of(const FigurePanel& panel) {
  const std::size_t comma = panel.axis.rfind(',');
  return comma == std::string::npos ? QString() : text_of(panel.axis.substr(comma + 1)).trimmed();
}

QString figure_number(double value, int digits) {
  if (std::abs(value) >= std::pow(10.0, digits)) return QLocale(QLocale::English).toString(std::llround(value));
  return QString::number(value, 'g', digits);
}

QString cell_text(const FigurePanel& panel, const CellPlace& place) {
  if (place.category >= panel.categories.size() || place.series >= panel.series.size()) return {};
  const FigureCell& cell = cell_at(panel, place);
  const QString unit = unit_of(panel);
  QString name = text_of(panel.categories[place.category]);
  if (const QString series = text_of(panel.series[place.series].name); !series.isEmpty())
    name += name.isEmpty() ? series : QStringLiteral(", ") + series;
  QStringList parts;
  if (has_values(panel, Side::Paper)) parts.push_back(side_text(words("paper"), cell.paper, unit));
  parts.push_back(side_text(parts.isEmpty() ? QString() : words("model"), cell.model, unit));
  if (cell.paper && cell.model) {
    const double difference = cell.model->value - cell.paper->value;
    const QString sign = difference > 0 ? QStringLiteral("+") : QString();
    parts.push_back(QCoreApplication::translate("Figure", "difference %1 %2 (model − paper)")
                        .arg(sign + figure_number(difference), unit == QLatin1String("%") ? words("points") : unit)
                        .simplified());
  }
  return QStringLiteral("%1: %2").arg(name, parts.join(QStringLiteral(" · ")));
}

}  // namespace shearling::gui
