// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where things stand in the painted views: pure functions of size and zoom, so that they can be tested without a
// window.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <QPointF>
#include <QRectF>
#include <QSizeF>

namespace shearling::gui {

/// The Stage: guest above (user left, kernel right), VMM in the middle, hardware below, the narration at the bottom.
struct StageLayout {
  QRectF guest, user, kernel, vmm, hardware, narration;
};
StageLayout stage_layout(const QSizeF& size, double zoom);

/// The Walk grid. Columns: guest levels from the root down, then the data's own address; rows: nested levels from the
/// root down, then the guest's own entries. A bare walk has one row, no nested levels and no column of the data.
struct WalkGridLayout {
  unsigned guest_levels = 4, nested_levels = 4;
  double zoom = 1;
  QRectF cells;  ///< Around all cells.
  double cell_width = 0, cell_height = 0, gap = 0;
  QRectF heading, footer;
  [[nodiscard]] unsigned columns() const { return guest_levels + (nested_levels == 0 ? 0 : 1); }
  [[nodiscard]] unsigned rows() const { return nested_levels + 1; }
  [[nodiscard]] QRectF cell(unsigned column, unsigned row) const;
  /// Of a reference: guest_level counts down to 0 (the data's column), nested_level down to 0 (the guest's row).
  [[nodiscard]] QRectF cell_of(unsigned guest_level, unsigned nested_level) const;
  [[nodiscard]] QRectF row_label(unsigned row) const;
  [[nodiscard]] QRectF column_label(unsigned column) const;
  /// Where the translated address stands: under the data's column, or right of a bare walk.
  [[nodiscard]] QRectF result() const;
};
WalkGridLayout walk_grid_layout(const QSizeF& size, unsigned guest_levels, unsigned nested_levels, double zoom);

/// Ways of a cache set in a row, with a wider gap between partitions.
std::vector<QRectF> way_boxes(const QRectF& row, unsigned ways, unsigned partitions, double gap);

/// Rows of a short table: as high as there is room for, in two columns where one does not hold them; where even these
/// do not, those around the row that matters.
struct TableFlow {
  std::size_t first = 0;  ///< Entry that the first row is for.
  std::vector<QRectF> rows;
};
TableFlow table_flow(const QRectF& box, std::size_t entries, std::size_t matters, double zoom);

/// Lengths of the parts of an address as the cache sees them.
struct AddressSplit {
  unsigned offset_bits = 6, set_bits = 6, partition_bits = 0;
  std::uint64_t offset = 0, set = 0, partition = 0, tag = 0;
};
AddressSplit split_address(std::uint64_t address, unsigned line_bytes, unsigned sets, unsigned partitions);

/// The part of a run that the Timeline shows, in cycles, mapped to pixels.
struct TimelineScale {
  double first = 0, last = 1;  ///< Cycles at the left and the right end.
  double left = 0, width = 1;  ///< Pixels.
  [[nodiscard]] double to_pixel(double cycle) const { return left + (cycle - first) / (last - first) * width; }
  [[nodiscard]] double to_cycle(double pixel) const { return first + (pixel - left) / width * (last - first); }
  /// Zoomed by `factor` (below 1: in) so that the cycle under `pixel` stays there; kept inside [0, whole].
  [[nodiscard]] TimelineScale zoomed(double pixel, double factor, double whole) const;
  [[nodiscard]] TimelineScale panned(double pixels, double whole) const;
};

}  // namespace shearling::gui
