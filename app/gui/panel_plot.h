// SPDX-License-Identifier: GPL-3.0-or-later
//
// One panel of a figure as a bar plot. Pointing at a bar, or walking from bar to bar with the arrow keys, says what
// stands there. The bars and ranges are QCustomPlot's own data, so that an export draws what the screen shows.
#pragma once

#include <map>
#include <optional>

#include <qcustomplot.h>

#include "app/gui/figure_paint.h"

namespace shearling::gui {

class PanelHeading;

class PanelPlot : public QCustomPlot {
  Q_OBJECT
 public:
  explicit PanelPlot(QWidget* parent = nullptr);
  void set_panel(const Figure& figure, std::size_t panel);
  [[nodiscard]] const FigurePanel& panel() const { return panel_; }
  [[nodiscard]] const BarLayout& layout_of_bars() const { return layout_; }
  /// Null where the panel has no value of that side.
  [[nodiscard]] QCPBars* bars(std::size_t series, Side side) const;
  [[nodiscard]] QCPErrorBars* ranges(std::size_t series, Side side) const;
  /// The value stands at the end of each bar: there is room for all of them.
  [[nodiscard]] bool writes_values() const { return writes_values_; }
  [[nodiscard]] std::optional<CellPlace> chosen() const { return chosen_; }
  void choose(std::optional<CellPlace> place);
  /// Width below which the bars can no longer be told apart.
  [[nodiscard]] int least_width() const;
  /// Height below which they can no longer be compared.
  [[nodiscard]] int least_height(int width) const;
  /// Fits the labels to a size other than the widget's: for an exported page.
  void fit(const QSize& size);

 signals:
  /// The cell in words; empty when none is pointed at.
  void told(const QString& text);

 protected:
  void mouseMoveEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void apply_theme();
  void add_series(std::size_t series);
  void fit_values();
  [[nodiscard]] int label_rotation(int width) const;
  [[nodiscard]] double widest_category() const;
  [[nodiscard]] double category_width(int width) const;
  /// Of heading and labels.
  [[nodiscard]] double height_beside_bars(int width) const;
  void point_out();

  FigurePanel panel_;
  std::vector<std::string> names_;  ///< Of the legend that the panel's series are in.
  bool own_legend_ = false;
  BarLayout layout_;
  std::map<std::pair<std::size_t, Side>, QCPBars*> bars_;
  std::map<std::pair<std::size_t, Side>, QCPErrorBars*> ranges_;
  PanelHeading* heading_ = nullptr;
  QCPItemRect* band_ = nullptr;
  std::optional<CellPlace> chosen_;
  bool writes_values_ = false;
};

}  // namespace shearling::gui
