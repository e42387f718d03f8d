// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/walk_grid_view.h"

#include <algorithm>

#include <QHelpEvent>
#include <QMouseEvent>
#include <QToolTip>

#include "app/gui/paint.h"
#include "app/gui/rows.h"
#include "core/events/reflection.h"

namespace shearling::gui {
namespace {

QString text_of(std::string_view text) { return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size())); }

/// "P W U A" of a described entry: the flags that are set and have one or two letters.
QString flags_of(const std::string& description) {
  QStringList flags;
  for (const QString& word : QString::fromStdString(description).split(QLatin1Char(' '), Qt::SkipEmptyParts)) {
    if (!word.endsWith(QLatin1String("=1"))) continue;
    const QString name = word.chopped(2);
    if (name.size() <= 2) flags.push_back(name);
  }
  return flags.join(QLatin1Char(' '));
}

bool is_hit(ServedBy by) { return by != ServedBy::Memory && by != ServedBy::None; }

}  // namespace

std::vector<WalkInEvents> walks_in(const std::vector<Event>& events) {
  std::vector<WalkInEvents> walks;
  bool open = false;
  for (std::size_t index = 0; index < events.size(); ++index) {
    if (std::holds_alternative<WalkBegin>(events[index].payload)) {
      walks.push_back({.begin = index, .end = index + 1, .references = {}, .result = {}});
      open = true;
    }
    if (!open) continue;
    walks.back().end = index + 1;
    if (std::holds_alternative<WalkReference>(events[index].payload)) walks.back().references.push_back(index);
    if (std::holds_alternative<WalkEnd>(events[index].payload)) {
      walks.back().result = index;
      open = false;
    }
  }
  return walks;
}

std::optional<std::size_t> walk_to_show(const std::vector<WalkInEvents>& walks, const Moment& moment) {
  if (walks.empty()) return std::nullopt;
  if (moment.whole) return walks.size() - 1;
  std::size_t shown = 0;
  for (std::size_t index = 0; index < walks.size(); ++index) {
    if (walks[index].begin <= moment.cursor) shown = index;
  }
  return shown;
}

WalkGridView::WalkGridView(QWidget* parent) : PaintedView(parent) { setMouseTracking(true); }

void WalkGridView::show_moment(const Moment& moment) {
  if (moment.machine->position != moment_.machine->position || !moment.whole) chosen_ = false;
  moment_ = moment;
  walks_ = walks_in(moment.machine->events);
  if (!chosen_ || shown_ >= walks_.size()) shown_ = walk_to_show(walks_, moment).value_or(0);
  emit title_changed(
      walks_.size() > 1
          ? tr("walk %1 of %2 in this step (click the heading for the next)").arg(shown_ + 1).arg(walks_.size())
          : QString());
  update();
}

WalkGridLayout WalkGridView::layout_now() const {
  return walk_grid_layout(size(), std::max<unsigned>(1, beginning().guest_levels), beginning().nested_levels,
                          theme().zoom());
}

// Without stage 1 (paging off in the guest) only the data's column exists; it is drawn as the first one.
QRectF WalkGridView::cell_of(const WalkGridLayout& layout, std::size_t index) const {
  const WalkReference& shown = reference(index);
  return layout.cell_of(shown.guest_level, shown.nested_level);
}

WalkGridView::CellState WalkGridView::state_of(std::size_t index) const {
  if (reference(index).number == 0) return index < moment_.happened() ? CellState::Skipped : CellState::Ahead;
  if (index >= moment_.happened()) return CellState::Ahead;
  return !moment_.whole && index == moment_.cursor ? CellState::Reading : CellState::Done;
}

std::optional<std::size_t> WalkGridView::reference_at(const QPointF& place) const {
  if (walks_.empty()) return std::nullopt;
  const WalkGridLayout layout = layout_now();
  for (const std::size_t index : walk().references) {
    if (cell_of(layout, index).contains(place)) return index;
  }
  return std::nullopt;
}

void WalkGridView::paint_cell(QPainter& painter, const QRectF& cell, std::size_t index, CellState state,
                              std::size_t place) const {
  const WalkReference& shown = reference(index);
  const Role role = shown.stage == 1 ? Role::FirstStage : Role::SecondStage;
  const Palette& palette = theme().palette();
  const bool ahead = state == CellState::Ahead;
  const bool skipped = state == CellState::Skipped;
  painter.fillRect(cell, palette.surface);
  if (ahead || skipped) {
    draw_dashed_box(painter, cell, skipped ? theme().role(role).mark : palette.muted);
  } else {
    const bool reading = state == CellState::Reading;
    draw_box(painter, cell, reading ? palette.surface : theme().tint(role, 0.26), theme().role(role).mark,
             reading ? 4 : 1.5);
  }
  // Three lines where they fit, else two or one: number, address, what served it.
  const double least = theme().px(17);
  const bool all = cell.height() >= 3 * least + theme().px(6);
  const bool one = cell.height() < 2 * least + theme().px(4);
  const double pad = theme().px(one ? 6 : 10);
  const double edge = theme().px(all ? 4 : 1);
  const QRectF inner = cell.adjusted(pad, edge, -pad, -edge);
  const double line = std::min(theme().px(25), inner.height() / (all ? 3 : one ? 1 : 2));
  const QString number = shown.number == 0 ? (ahead ? QStringLiteral("#%1").arg(place) : tr("skipped"))
                                           : QStringLiteral("#%1").arg(shown.number);
  QRectF text(inner.left(), inner.top(), inner.width(), line);
  const double took = draw_text(painter, text, number, theme().mono(13), palette.muted);
  if (ahead) return;
  const std::string& description =
      index < moment_.machine->entries.size() ? moment_.machine->entries[index] : std::string();
  if (!skipped && !one) {
    draw_text(painter, text.adjusted(took + pad, 0, 0, 0), flags_of(description), theme().mono(13), palette.muted,
              Qt::AlignRight | Qt::AlignVCenter);
  }
  if (all) {
    text.translate(0, line);
    if (!skipped)
      draw_text(painter, text, QStringLiteral("@") + hex_padded(shown.address.value, 32), theme().mono(13),
                palette.text);
  }
  if (one)
    text.setLeft(text.left() + took + theme().px(6));
  else
    text.translate(0, line);
  const QString by = text_of(name_of(shown.served_by));
  if (state == CellState::Reading) {
    draw_text(painter, text, tr("reading: %1 %2").arg(by).arg(shown.latency), theme().words(14, QFont::Bold),
              palette.bad);
  } else if (skipped) {
    draw_text(painter, text, one ? by : tr("thanks to the %1").arg(by), theme().words(13), palette.muted);
  } else {
    const bool hit = is_hit(shown.served_by);
    draw_text(painter, text,
              (hit ? QStringLiteral("✓ ") : QStringLiteral("✗ ")) + QStringLiteral("%1 %2").arg(by).arg(shown.latency),
              theme().words(14, QFont::DemiBold), hit ? palette.good : palette.bad);
  }
}

void WalkGridView::paint_empty_cells(QPainter& painter, const WalkGridLayout& layout) const {
  for (unsigned column = 0; column < layout.columns(); ++column) {
    for (unsigned row = 0; row < layout.rows(); ++row) {
      const QRectF cell = layout.cell(column, row);
      if (cell == layout.result()) continue;
      draw_dashed_box(painter, cell, theme().palette().line);
    }
  }
}

void WalkGridView::paint_result(QPainter& painter, const WalkGridLayout& layout) const {
  const QRectF cell = layout.result();
  const bool known = walk().result && *walk().result < moment_.happened();
  if (!known) {
    draw_dashed_box(painter, cell, theme().palette().muted);
    return;
  }
  const auto& end = std::get<WalkEnd>(moment_.machine->events[*walk().result].payload);
  const Role role = end.faulted ? Role::Vmm : Role::GuestKernel;
  draw_box(painter, cell, theme().tint(role, 0.12), theme().role(role).mark, 2);
  const double pad = theme().px(10);
  const QRectF inner = cell.adjusted(pad, theme().px(5), -pad, -theme().px(5));
  const double line = inner.height() < theme().px(34) ? inner.height() : std::min(theme().px(27), inner.height() / 2);
  const bool two = inner.height() >= 2 * line - 1;
  QRectF text(inner.left(), inner.top() + (two ? (inner.height() - 2 * line) / 2 : 0), inner.width(), line);
  if (end.faulted) {
    draw_text(painter, text, tr("✗ fault"), theme().words(16, QFont::Bold), theme().role(role).text);
    text.translate(0, line);
    if (two) draw_text(painter, text, tr("no translation"), theme().words(14), theme().palette().muted);
    return;
  }
  const TechniqueWords words = moment_.machine->words();
  const QString kind = layout.nested_levels == 0 ? tr("PA") : text_of(words.host_physical);
  draw_text(painter, text, kind + QLatin1Char(' ') + hex(end.physical_address.value), theme().mono(14, QFont::Bold),
            theme().role(role).text);
  text.translate(0, line);
  if (two)
    draw_text(painter, text, tr("✓ %1 page").arg(text_of(name_of(end.page_size))), theme().words(14),
              theme().palette().muted);
}

void WalkGridView::paint_labels(QPainter& painter, const WalkGridLayout& layout) const {
  const QFont font = theme().words(14, QFont::DemiBold);
  const QColor first = theme().role(Role::FirstStage).text;
  const QColor second = theme().role(Role::SecondStage).text;
  const MachineView& view = *moment_.machine;
  const bool wide = layout.cell_width > theme().px(130);
  const auto level_words = [&](unsigned stage, unsigned level) {
    const TableLevelWords words = view.isa->table_level_words(stage, level);
    return text_of(wide ? words.label : words.short_label);
  };
  for (unsigned column = 0; column < layout.guest_levels; ++column)
    draw_text(painter, layout.column_label(column), level_words(1, layout.guest_levels - column), font, first,
              Qt::AlignCenter);
  if (layout.nested_levels != 0)
    draw_text(painter, layout.column_label(layout.guest_levels),
              tr("the data's %1").arg(text_of(view.words().guest_physical)), font, first, Qt::AlignCenter);
  for (unsigned row = 0; row < layout.rows(); ++row) {
    const unsigned level = layout.nested_levels - row;
    if (level != 0)
      draw_text(painter, layout.row_label(row), text_of(view.isa->table_level_words(2, level).label), font, second);
    else
      draw_text(painter, layout.row_label(row), layout.nested_levels == 0 ? tr("page table") : tr("guest entry"), font,
                first);
  }
}

void WalkGridView::paint_heading(QPainter& painter, const QRectF& box) const {
  const WalkBegin& begin = beginning();
  const QString levels = begin.nested_levels == 0
                             ? tr("%1 levels, no second stage").arg(begin.guest_levels)
                             : tr("%1 levels in %2").arg(begin.guest_levels).arg(begin.nested_levels);
  const QString access = text_of(name_of(begin.access));
  QRectF line = box;
  line.setHeight(theme().px(28));
  const QFont bold = theme().words(16, QFont::Bold);
  double x = draw_text(painter, line, tr("%1 of ").arg(access), bold, theme().palette().text);
  x += draw_text(painter, line.adjusted(x, 0, 0, 0), hex(begin.virtual_address.value), theme().mono(16, QFont::Bold),
                 theme().palette().text);
  draw_text(painter, line.adjusted(x, 0, 0, 0), QStringLiteral(" · ") + levels, bold, theme().palette().text);
  if (box.height() < theme().px(40)) return;
  line.translate(0, theme().px(26));
  line.setHeight(theme().px(24));
  const auto made = std::count_if(walk().references.begin(), walk().references.end(), [&](std::size_t index) {
    return index < moment_.happened() && reference(index).number != 0;
  });
  const auto all = std::count_if(walk().references.begin(), walk().references.end(),
                                 [&](std::size_t index) { return reference(index).number != 0; });
  QString words = tr("%1 references · %2 made").arg(all).arg(made);
  const auto next = std::find_if(walk().references.begin(), walk().references.end(),
                                 [&](std::size_t index) { return index >= moment_.happened(); });
  if (next != walk().references.end()) words += tr(" · next: %1").arg(text_of(reference(*next).entry_name));
  draw_text(painter, line, words, theme().words(14), theme().palette().muted);
}

void WalkGridView::paint_footer(QPainter& painter, const QRectF& box) const {
  QString words = tr("The walk is still under way.");
  if (walk().result && *walk().result < moment_.happened()) {
    const auto& end = std::get<WalkEnd>(moment_.machine->events[*walk().result].payload);
    words = tr("%1 references made · %2 skipped by page-walk caches and nested TLB · %3 cycles")
                .arg(end.references)
                .arg(end.skipped)
                .arg(end.latency);
  }
  QRectF line = box;
  line.setHeight(theme().px(24));
  draw_text(painter, line, words, theme().words(14), theme().palette().text);
  if (box.height() < theme().px(40)) return;
  line.translate(0, theme().px(28));
  double x = line.left();
  const auto legend = [&](Role role, const QString& text) {
    const QRectF swatch(x, line.top() + theme().px(4), theme().px(16), theme().px(16));
    draw_box(painter, swatch, theme().tint(role, 0.3), theme().role(role).mark, 1, 4);
    x = swatch.right() + theme().px(8);
    x += draw_text(painter, {x, line.top(), line.right() - x, line.height()}, text, theme().words(13),
                   theme().palette().muted) +
         theme().px(24);
  };
  legend(Role::FirstStage, tr("stage 1: the guest's own tables"));
  if (beginning().nested_levels != 0)
    legend(Role::SecondStage,
           tr("stage 2: the VMM's tables (%1)").arg(text_of(moment_.machine->words().nested_tables)));
  legend(Role::GuestKernel, tr("translated"));
  draw_text(painter, {x, line.top(), std::max(0.0, line.right() - x), line.height()},
            tr("F11 next reference · F4 back"), theme().words(13), theme().palette().muted,
            Qt::AlignRight | Qt::AlignVCenter);
}

void WalkGridView::paint(QPainter& painter) {
  if (walks_.empty()) {
    const MachineView& view = *moment_.machine;
    if (view.state == RunState::Running)
      draw_empty(painter, rect(), tr("Running"), tr("Pause (F6) to see the last step's walk"));
    else
      draw_empty(painter, rect(), tr("No page walk in this step"),
                 tr("The TLBs knew every translation, or paging is off"));
    return;
  }
  const WalkGridLayout layout = layout_now();
  paint_heading(painter, layout.heading);
  paint_labels(painter, layout);
  paint_empty_cells(painter, layout);
  std::size_t place = 0;
  for (const std::size_t index : walk().references)
    paint_cell(painter, cell_of(layout, index), index, state_of(index), ++place);
  paint_result(painter, layout);
  paint_footer(painter, layout.footer);
}

void WalkGridView::mousePressEvent(QMouseEvent* event) {
  if (walks_.empty()) return;
  if (layout_now().heading.contains(event->position())) {
    shown_ = (shown_ + 1) % walks_.size();
    chosen_ = true;
    emit title_changed(
        tr("walk %1 of %2 in this step (click the heading for the next)").arg(shown_ + 1).arg(walks_.size()));
    update();
    return;
  }
  const auto index = reference_at(event->position());
  if (index) emit address_chosen(AddressSpace::Physical, reference(*index).address.value);
}

bool WalkGridView::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return PaintedView::event(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  const auto index = reference_at(help->pos());
  if (!index) {
    QToolTip::hideText();
    return true;
  }
  QString tip = QString::fromStdString(narrate(moment_.machine->events[*index]));
  if (*index < moment_.machine->entries.size())
    tip += QLatin1Char('\n') + QString::fromStdString(moment_.machine->entries[*index]);
  QToolTip::showText(help->globalPos(), rich(tip), this);
  return true;
}

}  // namespace shearling::gui
