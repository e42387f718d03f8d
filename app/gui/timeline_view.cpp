// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/timeline_view.h"

#include <algorithm>
#include <cmath>

#include <QApplication>
#include <QHelpEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <QWheelEvent>

#include "app/gui/paint.h"
#include "app/gui/rows.h"

namespace shearling::gui {
namespace {

constexpr double kLabelWidth = 124;
constexpr double kFooter = 32;

}  // namespace

TimelineView::TimelineView(QWidget* parent) : PaintedView(parent) { setMouseTracking(true); }

double TimelineView::whole() const {
  return std::max(1.0, static_cast<double>(moment_.machine->timeline ? moment_.machine->timeline->cycles() : 0));
}

TimelineScale TimelineView::scale() const {
  const double left = theme().px(kLabelWidth);
  const bool all = follows_ || last_ <= first_;
  return {.first = all ? 0 : first_,
          .last = all ? whole() : last_,
          .left = left,
          .width = std::max(1.0, width() - left - theme().px(16))};
}

void TimelineView::show_moment(const Moment& moment) {
  moment_ = moment;
  // A position outside of what is shown brings it along.
  const auto here = static_cast<double>(moment.machine->cycles);
  if (!follows_ && (here < first_ || here > last_)) {
    const double span = last_ - first_;
    first_ = std::clamp(here - span / 2, 0.0, std::max(0.0, whole() - span));
    last_ = first_ + span;
  }
  emit title_changed(moment.machine->state == RunState::Empty
                         ? QString()
                         : tr("%1 cycles").arg(grouped(moment.machine->timeline->cycles())));
  update();
}

std::vector<TimelineView::TrackRow> TimelineView::track_rows() const {
  const MachineView& view = *moment_.machine;
  const unsigned cpus = view.timeline->cpus();
  std::vector<TrackRow> rows;
  const auto add = [&](Track track, unsigned cpu, Actor actor, const QString& word) {
    const std::string_view name = view.level_name(actor);
    QString level = QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size()));
    if (level.isEmpty() || cpus == 1) level = (level + QLatin1Char(' ') + word).trimmed();
    rows.push_back({track, cpu, role_of(actor), cpus == 1 ? level : tr("CPU %1 %2").arg(cpu).arg(level)});
  };
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    add(Track::GuestUser, cpu, Actor::GuestUser, tr("user"));
    add(Track::GuestKernel, cpu, Actor::GuestKernel, tr("kernel"));
    if (cpus == 1 || view.has_vmm()) add(Track::Vmm, cpu, Actor::Vmm, tr("VMM"));
  }
  rows.push_back({Track::PageWalks, 0, Role::SecondStage, tr("page walks")});
  rows.push_back({Track::CacheMisses, 0, Role::Seesaw, tr("L1 misses")});
  return rows;
}

double TimelineView::row_height() const {
  return (height() - theme().px(kFooter)) / static_cast<double>(track_rows().size());
}

// At most one rectangle a pixel: segments that are narrower than that are drawn together.
void TimelineView::paint_track(QPainter& painter, const TimelineScale& scale, const TrackRow& track,
                               const QRectF& row) const {
  const SegmentList& list = moment_.machine->timeline->track(track.track, track.cpu);
  const RoleColour& colour = theme().role(track.role);
  draw_text(painter, {theme().px(8), row.top(), theme().px(kLabelWidth) - theme().px(12), row.height()}, track.name,
            theme().words(13, QFont::DemiBold), colour.text);
  painter.setPen(QPen(theme().palette().line, 1));
  painter.drawLine(QPointF(scale.left, row.bottom() - 0.5), QPointF(scale.left + scale.width, row.bottom() - 0.5));
  const double height = std::min(theme().px(22), row.height() - theme().px(row.height() < theme().px(22) ? 3 : 6));
  const double top = row.center().y() - height / 2;
  std::size_t index = list.first_ending_after(static_cast<std::uint64_t>(std::max(0.0, scale.first)));
  while (index < list.size()) {
    const TimelineSegment& segment = list[index];
    if (static_cast<double>(segment.begin) > scale.last) break;
    const double begin = std::max(scale.left, scale.to_pixel(static_cast<double>(segment.begin)));
    double end = std::min(scale.left + scale.width, scale.to_pixel(static_cast<double>(segment.end)));
    std::size_t next = index + 1;
    if (end - begin < 1) {
      // Nothing narrower than this pixel can be told apart: go on with what ends after it.
      end = begin + 1;
      next = std::max(next, list.first_ending_after(static_cast<std::uint64_t>(std::max(0.0, scale.to_cycle(end)))));
    }
    const double width = std::max(end - begin, std::min(2.0, scale.left + scale.width - begin));
    if (width > 8)
      draw_box(painter, {begin, top, width, height}, colour.mark, colour.mark, 0, 2);
    else
      painter.fillRect(QRectF(begin, top, width, height), colour.mark);
    index = next;
  }
}

void TimelineView::paint_overview(QPainter& painter, const TimelineScale& scale, const QRectF& bar) const {
  draw_box(painter, bar, theme().palette().button, theme().palette().line, 1, bar.height() / 2);
  const double first = bar.left() + scale.first / whole() * bar.width();
  const double last = bar.left() + std::min(1.0, scale.last / whole()) * bar.width();
  const QRectF part(first, bar.top(), std::max(theme().px(8), last - first), bar.height());
  draw_box(painter, part, theme().role(Role::Hardware).mark, theme().role(Role::Hardware).mark, 0, bar.height() / 2);
}

void TimelineView::paint_position(QPainter& painter, const TimelineScale& scale, double bottom) const {
  const double x = scale.to_pixel(static_cast<double>(moment_.machine->cycles));
  if (x < scale.left - 1 || x > scale.left + scale.width + 1) return;
  painter.setPen(QPen(theme().palette().text, 2));
  painter.drawLine(QPointF(x, 0), QPointF(x, bottom));
  const QString step = grouped(moment_.machine->position);
  const double width = theme().px(110);
  const double left = std::clamp(x - width / 2, scale.left - theme().px(40), this->width() - width);
  draw_text(painter, {left, bottom, width, theme().px(20)}, step, theme().mono(13, QFont::DemiBold),
            theme().palette().text, Qt::AlignCenter);
}

void TimelineView::paint(QPainter& painter) {
  if (moment_.machine->timeline == nullptr) return;
  const TimelineScale scale = this->scale();
  const std::vector<TrackRow> rows = track_rows();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    paint_track(painter, scale, rows[row],
                {0, static_cast<double>(row) * row_height(), static_cast<double>(width()), row_height()});
  }
  const double tracks = row_height() * static_cast<double>(rows.size());
  paint_overview(painter, scale, {scale.left, tracks + theme().px(6), scale.width, theme().px(8)});
  paint_position(painter, scale, tracks + theme().px(15));
}

void TimelineView::zoom(double pixel, double factor) {
  const TimelineScale zoomed = scale().zoomed(pixel, factor, whole());
  first_ = zoomed.first;
  last_ = zoomed.last;
  follows_ = zoomed.first <= 0 && zoomed.last >= whole();
  update();
}

void TimelineView::show_all() {
  follows_ = true;
  update();
}

void TimelineView::wheelEvent(QWheelEvent* event) {
  if (event->angleDelta().y() != 0) zoom(event->position().x(), std::pow(0.8, event->angleDelta().y() / 120.0));
  event->accept();
}

void TimelineView::mousePressEvent(QMouseEvent* event) {
  press_ = event->position();
  drags_ = false;
}

void TimelineView::mouseMoveEvent(QMouseEvent* event) {
  if (!event->buttons().testFlag(Qt::LeftButton) || moment_.machine->timeline == nullptr) return;
  const QPointF moved = event->position() - press_;
  if (!drags_ && moved.manhattanLength() < QApplication::startDragDistance()) return;
  drags_ = true;
  const TimelineScale panned = scale().panned(moved.x(), whole());
  if (!follows_) {
    first_ = panned.first;
    last_ = panned.last;
  }
  press_ = event->position();
  update();
}

void TimelineView::mouseReleaseEvent(QMouseEvent* event) {
  if (drags_ || event->button() != Qt::LeftButton || moment_.machine->timeline == nullptr ||
      moment_.machine->state == RunState::Empty)
    return;
  const double cycle = std::clamp(scale().to_cycle(event->position().x()), 0.0, whole());
  // The position after the step that is under way there: that step is the one to be shown.
  const StepIndex step = moment_.machine->timeline->step_at(static_cast<std::uint64_t>(cycle));
  emit step_chosen(std::min(step + 1, moment_.machine->timeline->steps()));
}

void TimelineView::mouseDoubleClickEvent(QMouseEvent*) { show_all(); }

bool TimelineView::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return PaintedView::event(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  if (moment_.machine->timeline == nullptr || help->pos().x() < theme().px(kLabelWidth)) {
    QToolTip::hideText();
    return true;
  }
  const auto cycle = static_cast<std::uint64_t>(std::clamp(scale().to_cycle(help->pos().x()), 0.0, whole()));
  QToolTip::showText(help->globalPos(),
                     tr("cycle %1, step %2\nclick: go there · wheel: zoom · drag: pan · double click: the whole run")
                         .arg(grouped(cycle), grouped(moment_.machine->timeline->step_at(cycle))),
                     this);
  return true;
}

}  // namespace shearling::gui
