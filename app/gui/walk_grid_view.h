// SPDX-License-Identifier: GPL-3.0-or-later
//
// One page walk as a grid: guest levels across, nested levels down, a cell for each reference made or skipped, with
// its address, its flags, and what served it. Follows the micro-cursor reference by reference.
#pragma once

#include <optional>
#include <vector>

#include "app/gui/geometry.h"
#include "app/gui/view.h"

namespace shearling::gui {

/// One walk among a step's events: indices into them.
struct WalkInEvents {
  std::size_t begin = 0;  ///< Of walk.begin.
  std::size_t end = 0;    ///< One past the last event of the walk.
  std::vector<std::size_t> references;
  std::optional<std::size_t> result;  ///< Of walk.end.
};
std::vector<WalkInEvents> walks_in(const std::vector<Event>& events);
/// The walk that the cursor stands in, or the last one that has begun; nothing when the step has none.
std::optional<std::size_t> walk_to_show(const std::vector<WalkInEvents>& walks, const Moment& moment);

class WalkGridView : public PaintedView {
  Q_OBJECT
 public:
  explicit WalkGridView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;
  [[nodiscard]] QSize sizeHint() const override { return {880, 560}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {420, 280}; }

 protected:
  void paint(QPainter& painter) override;
  void mousePressEvent(QMouseEvent* event) override;
  bool event(QEvent* event) override;

 private:
  enum class CellState : std::uint8_t { Ahead, Reading, Done, Skipped };
  void paint_cell(QPainter& painter, const QRectF& cell, std::size_t index, CellState state, std::size_t place) const;
  void paint_empty_cells(QPainter& painter, const WalkGridLayout& layout) const;
  void paint_result(QPainter& painter, const WalkGridLayout& layout) const;
  void paint_labels(QPainter& painter, const WalkGridLayout& layout) const;
  void paint_heading(QPainter& painter, const QRectF& box) const;
  void paint_footer(QPainter& painter, const QRectF& box) const;
  [[nodiscard]] WalkGridLayout layout_now() const;
  [[nodiscard]] const WalkInEvents& walk() const { return walks_[shown_]; }
  [[nodiscard]] const WalkReference& reference(std::size_t index) const {
    return std::get<WalkReference>(moment_.machine->events[index].payload);
  }
  [[nodiscard]] const WalkBegin& beginning() const {
    return std::get<WalkBegin>(moment_.machine->events[walk().begin].payload);
  }
  [[nodiscard]] std::optional<std::size_t> reference_at(const QPointF& place) const;
  [[nodiscard]] QRectF cell_of(const WalkGridLayout& layout, std::size_t index) const;
  [[nodiscard]] CellState state_of(std::size_t index) const;

  std::vector<WalkInEvents> walks_;
  std::size_t shown_ = 0;
  bool chosen_ = false;  ///< By the user, for this step.
};

}  // namespace shearling::gui
