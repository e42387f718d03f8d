// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/panel_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <QToolTip>

#include "app/gui/paint.h"
#include "app/gui/theme.h"

namespace shearling::gui {

/// The panel's title and, beneath it, what its values are: one line each, elided where they do not fit.
class PanelHeading : public QCPLayoutElement {
 public:
  using QCPLayoutElement::QCPLayoutElement;
  /// `legend`: the names of its series, where the figure's legend does not have them.
  void set_texts(const QString& title, const QString& axis, std::vector<std::string> legend) {
    title_ = title;
    axis_ = axis;
    legend_ = std::move(legend);
    const int lines = (title_.isEmpty() ? 0 : 1) + (axis_.isEmpty() ? 0 : 1);
    const int height = static_cast<int>(theme().px(kLine * lines + (legend_.empty() ? 0 : kLegend)));
    setMinimumSize(1, height);
    setMaximumSize(QWIDGETSIZE_MAX, height);
  }

 protected:
  void draw(QCPPainter* painter) override {
    QRectF line = rect();
    line.setHeight(theme().px(kLine));
    const auto write = [&](const QString& text, const QFont& font, const QColor& colour) {
      if (text.isEmpty()) return;
      draw_text(*painter, line, text, font, colour);
      line.translate(0, line.height());
    };
    // A long title is set smaller rather than cut.
    const QFont title = theme().words(14, QFont::DemiBold);
    const bool fits = QFontMetricsF(title).horizontalAdvance(title_) <= line.width();
    write(title_, fits ? title : theme().words(12, QFont::DemiBold), theme().palette().text);
    write(axis_, theme().words(13), theme().palette().muted);
    if (legend_.empty()) return;
    painter->translate(line.topLeft());
    draw_legend(*painter, line.width(), legend_);
    painter->translate(-line.topLeft());
  }

 private:
  static constexpr double kLine = 20;
  static constexpr double kLegend = 26;
  QString title_, axis_;
  std::vector<std::string> legend_;
};

namespace {

QFont digits_font() { return theme().mono(12); }
QString digits(double value) {
  constexpr int kDigits = 3;
  return figure_number(value, kDigits);
}

template <typename Visitor>
void each_value(const FigurePanel& panel, Visitor visitor) {
  for (const FigureSeries& series : panel.series) {
    for (const FigureCell& cell : series.cells) {
      for (const Side side : kSides) {
        if (const auto& value = value_of(cell, side)) visitor(*value);
      }
    }
  }
}

/// Bars that the theme draws, each with its value at its end where there is room for the digits.
class FigureBars : public QCPBars {
 public:
  FigureBars(PanelPlot& plot, const QColor& colour, Side side, std::vector<FigureValue> values)
      : QCPBars(plot.xAxis, plot.yAxis), plot_(plot), colour_(colour), side_(side), values_(std::move(values)) {}

 protected:
  void draw(QCPPainter* painter) override {
    applyDefaultAntialiasingHint(painter);
    std::size_t index = 0;
    for (const QCPBarsData& bar : *data()) {
      const QRectF box = getBarRect(bar.key, bar.value).normalized();
      draw_bar(*painter, box, colour_, side_);
      const FigureValue& value = values_[index++];
      if (plot_.writes_values()) write_value(*painter, box, value);
    }
  }

 private:
  void write_value(QCPPainter& painter, const QRectF& box, const FigureValue& value) const {
    const bool below = value.value < 0;
    const double end = valueAxis()->coordToPixel(below ? std::min(0.0, value.low) : std::max(0.0, value.high));
    const double height = QFontMetricsF(digits_font()).height();
    const QRectF place(box.left(), below ? end + 1 : end - height - 1, box.width(), height);
    draw_text(painter, place, digits(value.value), digits_font(), theme().palette().text, Qt::AlignCenter);
  }

  const PanelPlot& plot_;
  QColor colour_;
  Side side_;
  std::vector<FigureValue> values_;
};

}  // namespace

PanelPlot::PanelPlot(QWidget* parent) : QCustomPlot(parent), heading_(new PanelHeading(this)) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  plotLayout()->insertRow(0);
  plotLayout()->addElement(0, 0, heading_);
  xAxis->grid()->setVisible(false);
  xAxis->setTickLength(0);
  xAxis->setSubTicks(false);
  yAxis->setSubTicks(false);
  yAxis->setTickLength(0);
  yAxis->setNumberFormat(QStringLiteral("g"));
  yAxis->setNumberPrecision(5);
  axisRect()->setMinimumSize(60, 40);
  band_ = new QCPItemRect(this);
  band_->setLayer(QStringLiteral("background"));
  band_->topLeft->setTypeX(QCPItemPosition::ptPlotCoords);
  band_->topLeft->setTypeY(QCPItemPosition::ptAxisRectRatio);
  band_->bottomRight->setTypeX(QCPItemPosition::ptPlotCoords);
  band_->bottomRight->setTypeY(QCPItemPosition::ptAxisRectRatio);
  band_->setVisible(false);
  connect(this, &QCustomPlot::afterLayout, this, &PanelPlot::fit_values);
  connect(&gui::theme(), &Theme::changed, this, &PanelPlot::apply_theme);
}

void PanelPlot::set_panel(const Figure& figure, std::size_t panel) {
  panel_ = figure.panels[panel];
  names_ = legend_of(figure, panel_);
  own_legend_ = names_ != main_legend(figure);
  layout_ = BarLayout(panel_);
  setAccessibleName(QString::fromStdString(panel_.title));
  if (chosen_ && cell_text(panel_, *chosen_).isEmpty()) chosen_.reset();
  apply_theme();
}

QCPBars* PanelPlot::bars(std::size_t series, Side side) const {
  const auto found = bars_.find({series, side});
  return found == bars_.end() ? nullptr : found->second;
}

QCPErrorBars* PanelPlot::ranges(std::size_t series, Side side) const {
  const auto found = ranges_.find({series, side});
  return found == ranges_.end() ? nullptr : found->second;
}

void PanelPlot::add_series(std::size_t series) {
  const auto place = std::find(names_.begin(), names_.end(), panel_.series[series].name) - names_.begin();
  const QColor colour = series_colour(names_, static_cast<std::size_t>(place));
  for (const Side side : kSides) {
    if (!layout_.has(side)) continue;
    QVector<double> keys, heights, below, above;
    std::vector<FigureValue> values;
    for (std::size_t category = 0; category < panel_.categories.size(); ++category) {
      const auto& value = value_of(cell_at(panel_, {category, series}), side);
      if (!value) continue;
      constexpr double kNoRange = std::numeric_limits<double>::quiet_NaN();
      const bool ranges = value->low < value->high;
      keys.push_back(layout_.key({category, series}, side));
      heights.push_back(value->value);
      below.push_back(ranges ? value->value - value->low : kNoRange);
      above.push_back(ranges ? value->high - value->value : kNoRange);
      values.push_back(*value);
    }
    auto* made = new FigureBars(*this, colour, side, std::move(values));
    made->setWidthType(QCPBars::wtPlotCoords);
    made->setWidth(layout_.bar_width());
    made->setData(keys, heights, true);
    bars_[{series, side}] = made;
    auto* errors = new QCPErrorBars(xAxis, yAxis);
    errors->setDataPlottable(made);
    errors->setData(below, above);
    errors->setSymbolGap(0);
    errors->setAntialiased(true);
    errors->setPen(QPen(gui::theme().palette().text, gui::theme().px(1.4)));
    ranges_[{series, side}] = errors;
  }
}

// From zero to the ends of the ranges, with room for the digits beyond them. The digits are written beside all bars or
// beside none.
void PanelPlot::fit_values() {
  double least = 0;
  double most = 0;
  double widest = 0;
  const QFontMetricsF metrics(digits_font());
  each_value(panel_, [&](const FigureValue& value) {
    least = std::min({least, value.value, value.low});
    most = std::max({most, value.value, value.high});
    widest = std::max(widest, metrics.horizontalAdvance(digits(value.value)));
  });
  if (most <= least) most = least + 1;
  const double each = axisRect()->width() / xAxis->range().size();
  writes_values_ = widest <= each * layout_.bar_width();
  const double height = std::max(1, axisRect()->height());
  const double margin = std::min(0.3, (writes_values_ ? metrics.height() + 2 : 4) / height) * (most - least);
  yAxis->setRange(least < 0 ? least - margin : 0, most > 0 ? most + margin : 0);
}

void PanelPlot::apply_theme() {
  const Theme& theme = gui::theme();
  const Palette& palette = theme.palette();
  setBackground(QBrush(palette.surface));
  plotLayout()->setRowSpacing(static_cast<int>(theme.px(10)));  // Half of a number at the axis' upper end.
  heading_->set_texts(QString::fromStdString(panel_.title), QString::fromStdString(panel_.axis),
                      own_legend_ ? names_ : std::vector<std::string>());
  clearPlottables();
  bars_.clear();
  ranges_.clear();
  for (std::size_t series = 0; series < panel_.series.size(); ++series) add_series(series);
  const QSharedPointer<QCPAxisTickerText> ticker(new QCPAxisTickerText);
  for (std::size_t category = 0; category < panel_.categories.size(); ++category)
    ticker->addTick(static_cast<double>(category), QString::fromStdString(panel_.categories[category]));
  xAxis->setTicker(ticker);
  for (QCPAxis* axis : {xAxis, yAxis}) {
    axis->setTickLabelFont(axis == xAxis ? theme.words(13) : theme.mono(13));
    axis->setTickLabelColor(palette.text);
    axis->setTickPen(QPen(Qt::NoPen));
    axis->setBasePen(axis == xAxis ? QPen(palette.muted, 1) : QPen(Qt::NoPen));
    axis->setTickLabelPadding(static_cast<int>(theme.px(4)));
  }
  yAxis->setTickLabelColor(palette.muted);
  yAxis->grid()->setPen(QPen(mix(palette.muted, palette.surface, 0.25), 1));
  yAxis->grid()->setZeroLinePen(QPen(palette.muted, 1));
  band_->setPen(QPen(Qt::NoPen));
  const auto categories = static_cast<double>(std::max<std::size_t>(1, panel_.categories.size()));
  xAxis->setRange(-0.5, categories - 0.5);
  fit_values();
  fit(size());
  point_out();
}

// The names of the categories lie, lean or stand, as there is room.
int PanelPlot::label_rotation(int width) const {
  const QFontMetricsF metrics(xAxis->tickLabelFont());
  const double each = category_width(width);
  if (widest_category() + gui::theme().px(6) <= each) return 0;
  return metrics.height() * 1.5 <= each ? -45 : -90;
}

double PanelPlot::widest_category() const {
  const QFontMetricsF metrics(xAxis->tickLabelFont());
  double widest = 0;
  for (const std::string& category : panel_.categories)
    widest = std::max(widest, metrics.horizontalAdvance(QString::fromStdString(category)));
  return widest;
}

double PanelPlot::category_width(int width) const {
  const double values = QFontMetricsF(yAxis->tickLabelFont()).horizontalAdvance(QStringLiteral("00.0"));
  return (width - values) / static_cast<double>(std::max<std::size_t>(1, panel_.categories.size()));
}

void PanelPlot::fit(const QSize& size) {
  constexpr int kMostTicks = 7;
  xAxis->setTickLabelRotation(label_rotation(size.width()));
  // A leaning name reaches to the left: one that the plot's border would cut is not drawn at all.
  const double reaches = label_rotation(size.width()) == -45 ? widest_category() * 0.71 : 0;
  axisRect()->setMinimumMargins({static_cast<int>(std::max(0.0, reaches - category_width(size.width()) / 2)), 0, 0, 0});
  const double axis = size.height() - height_beside_bars(size.width());
  yAxis->ticker()->setTickCount(std::clamp(static_cast<int>(axis / gui::theme().px(28)), 2, kMostTicks));
  const double bar = category_width(size.width()) * layout_.bar_width();
  for (const auto& [place, errors] : ranges_) errors->setWhiskerWidth(std::clamp(bar * 0.5, 2.0, gui::theme().px(9)));
}

int PanelPlot::least_width() const {
  constexpr double kNarrowestBar = 3;
  const double bars = static_cast<double>(panel_.categories.size()) / std::max(0.01, layout_.bar_width());
  return static_cast<int>(std::max(gui::theme().px(200), bars * kNarrowestBar + gui::theme().px(50)));
}

double PanelPlot::height_beside_bars(int width) const {
  constexpr double kOneLine = 34;  // Of labels, with what lies around it.
  const std::map<int, double> shares = {{0, 0.0}, {-45, 0.71}, {-90, 1.0}};
  return heading_->minimumSize().height() + shares.at(label_rotation(width)) * widest_category() +
         gui::theme().px(kOneLine);
}

int PanelPlot::least_height(int width) const {
  constexpr double kLeastBars = 84;
  return static_cast<int>(height_beside_bars(width) + gui::theme().px(kLeastBars));
}

// --- pointing
// ---------------------------------------------------------------------------------------------------------

void PanelPlot::choose(std::optional<CellPlace> place) {
  if (place == chosen_) return;
  chosen_ = place;
  point_out();
  emit told(chosen_ ? cell_text(panel_, *chosen_) : QString());
}

void PanelPlot::point_out() {
  band_->setVisible(chosen_.has_value());
  if (chosen_) {
    const auto [left, right] = layout_.extent(*chosen_);
    const double border = layout_.bar_width() * 0.15;
    band_->topLeft->setCoords(left - border, 0);
    band_->bottomRight->setCoords(right + border, 1);
    band_->setBrush(gui::theme().tint(Role::Hardware, 0.16));
    band_->setPen(hasFocus() ? QPen(gui::theme().palette().text, 1.5) : QPen(gui::theme().palette().muted, 1));
  }
  replot(QCustomPlot::rpQueuedReplot);
}

void PanelPlot::mouseMoveEvent(QMouseEvent* event) {
  QCustomPlot::mouseMoveEvent(event);
  if (!axisRect()->rect().contains(event->pos()) || panel_.categories.empty()) {
    choose(std::nullopt);
    QToolTip::hideText();
    return;
  }
  choose(layout_.nearest(xAxis->pixelToCoord(event->position().x())));
  QToolTip::showText(event->globalPosition().toPoint(), rich(cell_text(panel_, *chosen_)), this);
}

void PanelPlot::leaveEvent(QEvent* event) {
  QCustomPlot::leaveEvent(event);
  if (!hasFocus()) choose(std::nullopt);
}

// Left and right go from series to series and on into the next category, up and down from category to category.
void PanelPlot::keyPressEvent(QKeyEvent* event) {
  const auto series = static_cast<int>(panel_.series.size());
  const int places = series * static_cast<int>(panel_.categories.size());
  if (places == 0) return QCustomPlot::keyPressEvent(event);
  const int here = chosen_ ? static_cast<int>(chosen_->category) * series + static_cast<int>(chosen_->series) : 0;
  const std::map<int, int> goes_to = {{Qt::Key_Left, here - 1},    {Qt::Key_Right, here + 1},
                                      {Qt::Key_Up, here - series}, {Qt::Key_Down, here + series},
                                      {Qt::Key_Home, 0},           {Qt::Key_End, places - 1}};
  const auto found = goes_to.find(event->key());
  if (found == goes_to.end()) return QCustomPlot::keyPressEvent(event);
  const auto place = static_cast<std::size_t>(std::clamp(found->second, 0, places - 1));
  choose(CellPlace{.category = place / panel_.series.size(), .series = place % panel_.series.size()});
  event->accept();
}

void PanelPlot::focusInEvent(QFocusEvent* event) {
  QCustomPlot::focusInEvent(event);
  if (!chosen_ && !panel_.categories.empty() && !panel_.series.empty() && event->reason() != Qt::MouseFocusReason)
    choose(CellPlace{});
  point_out();
}

void PanelPlot::focusOutEvent(QFocusEvent* event) {
  QCustomPlot::focusOutEvent(event);
  choose(std::nullopt);
}

void PanelPlot::resizeEvent(QResizeEvent* event) {
  fit(event->size());
  QCustomPlot::resizeEvent(event);
}

}  // namespace shearling::gui
