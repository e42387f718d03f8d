// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/table_model.h"

#include <algorithm>

#include <utility>

#include "app/gui/paint.h"

namespace shearling::gui {
namespace {

/// Roles have inks of the same order, after the five that are no role.
constexpr int kFirstRoleInk = static_cast<int>(Ink::GuestUser);

RoleColour colour_of(Ink ink) {
  const Palette& palette = theme().palette();
  switch (ink) {
    case Ink::Text:
      return {palette.text, palette.text};
    case Ink::Muted:
      return {palette.muted, palette.muted};
    case Ink::Good:
      return {palette.good, palette.good};
    case Ink::Bad:
      return {palette.bad, palette.bad};
    case Ink::Notice:
      return palette.notice;
    default:
      return theme().role(static_cast<Role>(static_cast<int>(ink) - kFirstRoleInk));
  }
}

}  // namespace

Ink ink_of(Role role) { return static_cast<Ink>(static_cast<int>(role) + kFirstRoleInk); }
QColor text_colour(Ink ink) { return colour_of(ink).text; }
QColor mark_colour(Ink ink) { return colour_of(ink).mark; }

TableModel::TableModel(std::vector<Column> columns, QObject* parent)
    : QAbstractTableModel(parent), columns_(std::move(columns)) {}

void TableModel::set_rows(std::vector<Row> rows) {
  const int before = static_cast<int>(rows_.size());
  const int after = static_cast<int>(rows.size());
  const int common = std::min(before, after);
  if (after > before) {
    beginInsertRows({}, before, after - 1);
    rows_.insert(rows_.end(), rows.begin() + before, rows.end());
    endInsertRows();
  } else if (after < before) {
    beginRemoveRows({}, after, before - 1);
    rows_.resize(rows.size());
    endRemoveRows();
  }
  for (int row = 0; row < common; ++row) {
    Row& shown = rows_[static_cast<std::size_t>(row)];
    Row& wanted = rows[static_cast<std::size_t>(row)];
    if (shown == wanted) continue;
    shown = std::move(wanted);
    emit dataChanged(index(row, 0), index(row, columnCount() - 1));
  }
}

int TableModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}
int TableModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(columns_.size());
}

QVariant TableModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid)) return {};
  const Row& row = rows_[static_cast<std::size_t>(index.row())];
  const auto column = static_cast<std::size_t>(index.column());
  const Cell cell = column < row.cells.size() ? row.cells[column] : Cell{};
  switch (role) {
    case Qt::DisplayRole:
    case Qt::AccessibleTextRole:
      return cell.text;
    case Qt::ToolTipRole:
      return row.tooltip.isEmpty() ? QVariant() : rich(row.tooltip);
    case Qt::ForegroundRole:
      return text_colour(cell.ink);
    case Qt::TextAlignmentRole:
      return QVariant::fromValue(Qt::AlignVCenter | (cell.right ? Qt::AlignRight : Qt::AlignLeft));
    case Qt::FontRole: {
      const QFont::Weight weight = cell.bold ? QFont::DemiBold : QFont::Normal;
      if (cell.sign) return theme().words(16, QFont::Bold);
      return cell.mono ? theme().mono(13, weight) : theme().words(14, weight);
    }
    case TintRole:
      return row.tint ? QVariant(mark_colour(*row.tint)) : QVariant();
    case KeyRole:
      return QVariant::fromValue<qulonglong>(row.key);
    default:
      return {};
  }
}

QVariant TableModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section < 0 || section >= columnCount()) return {};
  if (role == Qt::DisplayRole) return columns_[static_cast<std::size_t>(section)].heading;
  if (role == Qt::TextAlignmentRole) return QVariant::fromValue(Qt::AlignLeft | Qt::AlignVCenter);
  return {};
}

}  // namespace shearling::gui
