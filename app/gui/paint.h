// SPDX-License-Identifier: GPL-3.0-or-later
//
// The few shapes that all painted views are made of.
#pragma once

#include <QPainter>
#include <QRectF>
#include <QString>

#include "app/gui/theme.h"

namespace shearling::gui {

/// Plain text as HTML with every hexadecimal number in the monospaced face: for tooltips and notes.
QString rich(const QString& text);
/// A painter set up for a view: antialiased, no brush.
void prepare(QPainter& painter);
void draw_box(QPainter& painter, const QRectF& box, const QColor& fill, const QColor& line, double width = 1,
              double radius = 6);
void draw_dashed_box(QPainter& painter, const QRectF& box, const QColor& line, double radius = 6);
/// One line of text, elided to the box; returns the width it took.
double draw_text(QPainter& painter, const QRectF& box, const QString& text, const QFont& font, const QColor& colour,
                 Qt::Alignment alignment = Qt::AlignLeft | Qt::AlignVCenter);
/// Text over several lines, wrapped, cut off at the box; returns the height it took.
double draw_wrapped(QPainter& painter, const QRectF& box, const QString& text, const QFont& font, const QColor& colour);
/// A filled pill with bold white (or dark) words.
void draw_pill(QPainter& painter, const QRectF& box, const QString& text, const QFont& font, const QColor& fill);
void draw_arrow(QPainter& painter, const QPointF& from, const QPointF& to, const QColor& colour, double width);
/// What an empty view says: one line, and under it what to do.
void draw_empty(QPainter& painter, const QRectF& box, const QString& what, const QString& remedy);
/// Black or white, whichever can be read on a colour.
QColor readable_on(const QColor& fill);

}  // namespace shearling::gui
