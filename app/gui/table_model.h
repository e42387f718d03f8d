// SPDX-License-Identifier: GPL-3.0-or-later
//
// One model for every table of the window: rows of text with a meaning for each cell's ink, so that a theme can change
// beneath it. The rows are made by pure functions (rows.h); the model holds no state of the simulation.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <QAbstractTableModel>
#include <QColor>
#include <QString>

#include "app/gui/theme.h"

namespace shearling::gui {

/// What a cell's colour means; the theme says how it looks.
enum class Ink : std::uint8_t {
  Text,
  Muted,
  Good,
  Bad,
  Notice,
  GuestUser,
  GuestKernel,
  Vmm,
  Hardware,
  FirstStage,
  SecondStage,
  Seesaw
};
Ink ink_of(Role role);
QColor text_colour(Ink ink);
QColor mark_colour(Ink ink);

struct Cell {
  QString text;
  Ink ink = Ink::Text;
  bool mono = true;
  bool bold = false;
  bool right = false;
  bool sign = false;  ///< ✓, ✗, ▶, ...: larger.
  bool operator==(const Cell&) const = default;
};

struct Row {
  std::vector<Cell> cells;
  std::optional<Ink> tint;  ///< Of the whole row.
  QString tooltip;
  std::uint64_t key = 0;  ///< What the row stands for: an event, an address, a line.
  bool operator==(const Row&) const = default;
};

struct Column {
  QString heading;
  int characters = 10;  ///< Width; 0: takes what is left.
};

class TableModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum { TintRole = Qt::UserRole + 1, KeyRole };
  explicit TableModel(std::vector<Column> columns, QObject* parent = nullptr);

  /// Rows that stayed the same are left alone, so that selection and scrolling stay.
  void set_rows(std::vector<Row> rows);
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
  [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }

  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace shearling::gui
