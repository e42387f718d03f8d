// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/view.h"

#include "app/gui/paint.h"

namespace shearling::gui {

void PaintedView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  prepare(painter);
  if (moment_.machine->state != RunState::Empty) return paint(painter);
  draw_empty(painter, rect(), tr("No machine is running"), tr("Open a guest or a lesson (Ctrl+O)"));
}

}  // namespace shearling::gui
