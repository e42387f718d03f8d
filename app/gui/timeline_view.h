// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Timeline: who had each core when, over the cycles of the run; page walks and L1 misses below. Click seeks,
// wheel zooms, drag pans, double click shows the whole run.
#pragma once

#include "app/gui/geometry.h"
#include "app/gui/view.h"

namespace shearling::gui {

class TimelineView : public PaintedView {
  Q_OBJECT
 public:
  explicit TimelineView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;
  [[nodiscard]] QSize sizeHint() const override { return {900, 230}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {320, 104}; }
  /// The part that is shown.
  [[nodiscard]] TimelineScale scale() const;
  void zoom(double pixel, double factor);
  void show_all();

 protected:
  void paint(QPainter& painter) override;
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  bool event(QEvent* event) override;

 private:
  struct TrackRow {
    Track track;
    unsigned cpu;
    Role role;
    QString name;
  };
  /// Three tracks for each core (without the VMM's where there is none), and the machine's.
  [[nodiscard]] std::vector<TrackRow> track_rows() const;
  void paint_track(QPainter& painter, const TimelineScale& scale, const TrackRow& track, const QRectF& row) const;
  void paint_overview(QPainter& painter, const TimelineScale& scale, const QRectF& bar) const;
  void paint_position(QPainter& painter, const TimelineScale& scale, double bottom) const;
  [[nodiscard]] double whole() const;
  [[nodiscard]] double row_height() const;

  double first_ = 0;
  double last_ = 0;
  bool follows_ = true;  ///< The whole run is shown, however long it grows.
  QPointF press_;
  bool drags_ = false;
};

}  // namespace shearling::gui
