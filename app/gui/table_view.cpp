// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/table_view.h"

#include <algorithm>

#include <QHeaderView>
#include <QPainter>
#include <QPainterPath>
#include <QStyledItemDelegate>

namespace shearling::gui {
namespace {

class RowDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;

  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    const QVariant tint = index.data(TableModel::TintRole);
    const bool selected = option.state.testFlag(QStyle::State_Selected);
    if (tint.isValid() || selected) {
      const QColor colour = tint.isValid() ? tint.value<QColor>() : theme().palette().muted;
      paint_row(painter, option.rect, mix(colour, theme().palette().surface, tint.isValid() ? 0.16 : 0.14), index);
    }
    painter->setFont(index.data(Qt::FontRole).value<QFont>());
    painter->setPen(index.data(Qt::ForegroundRole).value<QColor>());
    const QRect text = option.rect.adjusted(4, 0, -4, 0);
    const QString whole = index.data().toString();
    if (option.rect.height() > painter->fontMetrics().lineSpacing() * 5 / 2 &&
        index.column() == index.model()->columnCount() - 1) {
      painter->drawText(text, static_cast<int>(index.data(Qt::TextAlignmentRole).toInt()) | Qt::TextWordWrap, whole);
      painter->restore();
      return;
    }
    const QString words = painter->fontMetrics().elidedText(whole, Qt::ElideRight, text.width());
    painter->drawText(text, static_cast<int>(index.data(Qt::TextAlignmentRole).toInt()), words);
    painter->restore();
  }

 private:
  /// The row's tint, rounded where the row begins and ends.
  static void paint_row(QPainter* painter, const QRect& cell, const QColor& colour, const QModelIndex& index) {
    const bool first = index.column() == 0;
    const bool last = index.column() == index.model()->columnCount() - 1;
    painter->setClipRect(cell);
    painter->setPen(Qt::NoPen);
    painter->setBrush(colour);
    painter->drawRoundedRect(QRectF(cell).adjusted(first ? 0 : -8, 1, last ? 0 : 8, -1), 4, 4);
    painter->setClipping(false);
  }
};

}  // namespace

TableView::TableView(TableModel* model, int row_height, bool headings, QWidget* parent)
    : QTableView(parent), row_height_(row_height), headings_(headings) {
  setModel(model);
  setItemDelegate(new RowDelegate(this));
  setShowGrid(false);
  setSelectionBehavior(QAbstractItemView::SelectRows);
  setSelectionMode(QAbstractItemView::SingleSelection);
  setEditTriggers(QAbstractItemView::NoEditTriggers);
  setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
  setWordWrap(false);
  setTabKeyNavigation(false);
  setMouseTracking(true);
  setFrameShape(QFrame::NoFrame);
  verticalHeader()->hide();
  horizontalHeader()->setVisible(headings);
  horizontalHeader()->setHighlightSections(false);
  horizontalHeader()->setMinimumSectionSize(8);
  connect(this, &QTableView::clicked, this, [this](const QModelIndex& index) {
    emit row_clicked(index.data(TableModel::KeyRole).toULongLong(), index.column());
  });
  connect(this, &QTableView::activated, this,
          [this](const QModelIndex& index) { emit row_activated(index.data(TableModel::KeyRole).toULongLong()); });
  connect(&theme(), &Theme::changed, this, &TableView::apply_theme);
  apply_theme();
}

void TableView::apply_theme() {
  verticalHeader()->setMinimumSectionSize(8);
  verticalHeader()->setDefaultSectionSize(static_cast<int>(theme().px(row_height_)));
  widths_.clear();
  fit_columns();
  viewport()->update();
}

void TableView::fit_columns() {
  const std::vector<Column>& columns = table().columns();
  const QFontMetrics mono(theme().mono(13));
  const QFontMetrics words(theme().words(14, QFont::DemiBold));
  const int character = mono.horizontalAdvance(QLatin1Char('0'));
  widths_.resize(columns.size());
  for (std::size_t column = 0; column < columns.size(); ++column) {
    int& width = widths_[column];
    if (headings_) width = std::max(width, words.horizontalAdvance(columns[column].heading));
    for (const Row& row : table().rows()) {
      if (column >= row.cells.size()) continue;
      const Cell& cell = row.cells[column];
      width = std::max(width,
                       cell.mono ? static_cast<int>(cell.text.size()) * character : words.horizontalAdvance(cell.text));
    }
    if (column + 1 < columns.size()) width = std::clamp(width, character, columns[column].characters * character);
  }
  lay_columns_out();
}

// The last column takes what is left: nothing scrolls sideways. Where the view is too narrow, the widest columns give
// way first, as far as a value of 32 bits goes: most values are no longer, and a cut one has its tooltip.
void TableView::lay_columns_out() {
  const int character = QFontMetrics(theme().mono(13)).horizontalAdvance(QLatin1Char('0'));
  const int shortest = 10 * character, least = std::min(widths_.back(), shortest + character) + 8;
  if (widths_.empty()) return;
  const int last = static_cast<int>(widths_.size()) - 1;
  std::vector<int> widths(widths_.begin(), widths_.end() - 1);
  const auto left = [&] {
    int room = viewport()->width();
    for (const int width : widths) room -= width + character + 8;
    return room;
  };
  while (left() < least) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (widest == widths.end() || *widest <= shortest) break;
    *widest = std::max(shortest, *widest - character);
  }
  for (int column = 0; column < last; ++column)
    setColumnWidth(column, widths[static_cast<std::size_t>(column)] + character + 8);
  setColumnWidth(last, std::max(least, left()));
}

void TableView::unfold(int row) {
  const int height = verticalHeader()->defaultSectionSize();
  if (unfolded_ >= 0 && unfolded_ < model()->rowCount()) setRowHeight(unfolded_, height);
  unfolded_ = -1;
  if (row < 0 || row >= model()->rowCount()) return;
  const QModelIndex last = model()->index(row, model()->columnCount() - 1);
  const QFontMetrics metrics(last.data(Qt::FontRole).value<QFont>());
  if (metrics.horizontalAdvance(last.data().toString()) <= columnWidth(last.column()) - 8) return;
  setRowHeight(row, height + metrics.lineSpacing());
  unfolded_ = row;
}

void TableView::resizeEvent(QResizeEvent* event) {
  QTableView::resizeEvent(event);
  lay_columns_out();
  reveal(revealed_);
}

void TableView::reveal(int row) {
  revealed_ = row;
  if (row < 0 || row >= model()->rowCount()) return;
  const int last = std::min(row + 2, model()->rowCount() - 1);
  scrollTo(model()->index(std::max(0, row - 2), 0));
  scrollTo(model()->index(last, 0));
  scrollTo(model()->index(row, 0));
}

}  // namespace shearling::gui
