// SPDX-License-Identifier: GPL-3.0-or-later
//
// The one table widget of the window: no grid, tinted rows with rounded ends, columns as wide as the model asks for.
#pragma once

#include <QTableView>

#include "app/gui/table_model.h"

namespace shearling::gui {

class TableView : public QTableView {
  Q_OBJECT
 public:
  /// `row_height` in pixels at 100 %.
  explicit TableView(TableModel* model, int row_height = 26, bool headings = false, QWidget* parent = nullptr);
  /// Makes the columns as wide as what they show, up to what the model allows; they never shrink, so nothing jumps.
  void fit_columns();
  /// Gives a row two lines where its last column does not fit into one; any other row one line.
  void unfold(int row);
  /// Brings a row into sight, some rows away from the border.
  void reveal(int row);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 signals:
  void row_clicked(quint64 key, int column);
  void row_activated(quint64 key);

 private:
  void apply_theme();
  void lay_columns_out();
  [[nodiscard]] const TableModel& table() const { return *static_cast<const TableModel*>(model()); }
  int row_height_;
  bool headings_;
  int unfolded_ = -1;
  int revealed_ = -1;
  std::vector<int> widths_;  ///< Widest text so far, for each column, in pixels.
};

}  // namespace shearling::gui
