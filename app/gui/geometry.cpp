// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/geometry.h"

#include <algorithm>
#include <bit>

namespace shearling::gui {

StageLayout stage_layout(const QSizeF& size, double zoom) {
  const double margin = 8 * zoom;
  const double gap = 24 * zoom;
  const double narration = 50 * zoom;
  const double width = size.width() - 2 * margin;
  const double below = 12 * zoom;
  const double usable = std::max(0.0, size.height() - narration - gap - below - 8 * zoom);
  // The guest's boxes need three lines; where there is little room, the other two make do with one.
  const double guest = std::max(usable * 130 / 266, std::min(118 * zoom, usable - 2 * 32 * zoom));
  const double band = (usable - guest) / 2;
  StageLayout layout;
  layout.guest = {margin, 0, width, guest};
  layout.vmm = {margin, guest + gap, width, band};
  layout.hardware = {margin, layout.vmm.bottom() + below, width, band};
  layout.narration = {margin, layout.hardware.bottom() + 8 * zoom, width, narration};
  const double inner = 16 * zoom;
  const double top = 28 * zoom;
  const double box = (width - 2 * inner - gap) / 2;
  const double height = guest - top - 10 * zoom;
  layout.user = {margin + inner, top, box, height};
  layout.kernel = {margin + inner + box + gap, top, box, height};
  return layout;
}

QRectF WalkGridLayout::cell(unsigned column, unsigned row) const {
  return {cells.left() + column * (cell_width + gap), cells.top() + row * (cell_height + gap), cell_width, cell_height};
}

QRectF WalkGridLayout::cell_of(unsigned guest_level, unsigned nested_level) const {
  return cell(guest_levels - guest_level, nested_levels - nested_level);
}

QRectF WalkGridLayout::row_label(unsigned row) const {
  const QRectF first = cell(0, row);
  return {8 * zoom, first.top(), first.left() - 16 * zoom, first.height()};
}

QRectF WalkGridLayout::column_label(unsigned column) const {
  const QRectF first = cell(column, 0);
  return {first.left(), first.top() - 28 * zoom, first.width(), 24 * zoom};
}

QRectF WalkGridLayout::result() const { return nested_levels == 0 ? cell(guest_levels, 0) : cell_of(0, 0); }

WalkGridLayout walk_grid_layout(const QSizeF& size, unsigned guest_levels, unsigned nested_levels, double zoom) {
  WalkGridLayout layout{.guest_levels = guest_levels, .nested_levels = nested_levels, .zoom = zoom};
  const double margin = 8 * zoom;
  const double labels = 104 * zoom;
  // Where there is little room, each part makes do with one line.
  const bool low = size.height() < (70.0 * (nested_levels + 1) + 160) * zoom;
  layout.heading = {margin, 0, size.width() - 2 * margin, (low ? 28 : 52) * zoom};
  const double footer = (low ? 26 : 56) * zoom;
  layout.footer = {margin, size.height() - footer, size.width() - 2 * margin, footer};
  layout.gap = (low ? 6 : 12) * zoom;
  const unsigned columns = guest_levels + 1;  // A bare walk's result stands right of its row.
  const double top = layout.heading.bottom() + 28 * zoom;
  const double width = size.width() - margin - labels;
  const double height = std::max(0.0, layout.footer.top() - (low ? 4 : 12) * zoom - top);
  layout.cell_width = std::max(1.0, (width - (columns - 1) * layout.gap - margin) / columns);
  layout.cell_height = std::max(1.0, (height - (layout.rows() - 1) * layout.gap) / layout.rows());
  layout.cell_height = std::min(layout.cell_height, 120 * zoom);
  layout.cells = {margin + labels, top, columns * (layout.cell_width + layout.gap) - layout.gap,
                  layout.rows() * (layout.cell_height + layout.gap) - layout.gap};
  return layout;
}

std::vector<QRectF> way_boxes(const QRectF& row, unsigned ways, unsigned partitions, double gap) {
  std::vector<QRectF> boxes;
  if (ways == 0) return boxes;
  const unsigned in_partition = std::max(1U, ways / std::max(1U, partitions));
  const unsigned wide_gaps = (ways - 1) / in_partition;
  const double width = (row.width() - (ways - 1) * gap - wide_gaps * gap) / ways;
  for (unsigned way = 0; way < ways; ++way) {
    const unsigned partition = way / in_partition;
    boxes.emplace_back(row.left() + way * (width + gap) + partition * gap, row.top(), width, row.height());
  }
  return boxes;
}

TableFlow table_flow(const QRectF& box, std::size_t entries, std::size_t matters, double zoom) {
  constexpr double kHighest = 30;
  constexpr double kLowest = 18;
  constexpr double kNarrowest = 160;
  TableFlow flow;
  if (entries == 0 || box.height() < kLowest * zoom) return flow;
  const auto most = static_cast<std::size_t>(box.height() / (kLowest * zoom));
  const std::size_t columns = most < entries && box.width() >= 2 * kNarrowest * zoom ? 2 : 1;
  const std::size_t shown = std::min(entries, most * columns);
  const std::size_t rows = (shown + columns - 1) / columns;
  const double height = std::min(kHighest * zoom, box.height() / static_cast<double>(rows));
  const double width = box.width() / static_cast<double>(columns);
  flow.first = std::min(matters >= shown / 2 ? matters - shown / 2 : 0, entries - shown);
  for (std::size_t index = 0; index < shown; ++index) {
    const std::size_t column = index / rows;
    const std::size_t row = index % rows;
    flow.rows.emplace_back(box.left() + static_cast<double>(column) * width,
                           box.top() + static_cast<double>(row) * height, width - 2, height - 2);
  }
  return flow;
}

AddressSplit split_address(std::uint64_t address, unsigned line_bytes, unsigned sets, unsigned partitions) {
  AddressSplit split;
  split.offset_bits = static_cast<unsigned>(std::bit_width(line_bytes)) - 1;
  split.set_bits = static_cast<unsigned>(std::bit_width(sets)) - 1;
  split.partition_bits = static_cast<unsigned>(std::bit_width(std::max(1U, partitions))) - 1;
  split.offset = address & (line_bytes - 1);
  split.set = address >> split.offset_bits & (sets - 1);
  split.partition = address >> (split.offset_bits + split.set_bits) & (std::max(1U, partitions) - 1);
  split.tag = address >> (split.offset_bits + split.set_bits + split.partition_bits);
  return split;
}

TimelineScale TimelineScale::zoomed(double pixel, double factor, double whole) const {
  constexpr double kFewestCycles = 8;
  const double span = std::clamp((last - first) * factor, std::min(kFewestCycles, whole), whole);
  const double under = to_cycle(pixel);
  const double share = (pixel - left) / width;
  TimelineScale scale = *this;
  scale.first = std::clamp(under - share * span, 0.0, whole - span);
  scale.last = scale.first + span;
  return scale;
}

TimelineScale TimelineScale::panned(double pixels, double whole) const {
  const double span = last - first;
  TimelineScale scale = *this;
  scale.first = std::clamp(first - pixels / width * span, 0.0, std::max(0.0, whole - span));
  scale.last = scale.first + span;
  return scale;
}

}  // namespace shearling::gui
