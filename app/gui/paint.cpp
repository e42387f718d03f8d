// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/paint.h"

#include <algorithm>
#include <cmath>

#include <QFontInfo>
#include <QFontMetricsF>
#include <QPainterPath>
#include <QRegularExpression>
#include <QTextLayout>

namespace shearling::gui {
namespace {

/// Hexadecimal is never set in a proportional face.
QList<QTextLayout::FormatRange> mono_numbers(const QString& text, const QFont& font) {
  static const QRegularExpression number(QStringLiteral("0x[0-9a-fA-F]+"));
  QList<QTextLayout::FormatRange> ranges;
  auto matches = number.globalMatch(text);
  while (matches.hasNext()) {
    const QRegularExpressionMatch match = matches.next();
    QTextLayout::FormatRange range{.start = static_cast<int>(match.capturedStart()),
                                   .length = static_cast<int>(match.capturedLength()),
                                   .format = {}};
    range.format.setFont(
        theme().mono(font.pixelSize() / theme().zoom() * 0.96, static_cast<QFont::Weight>(font.weight())));
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace

QString rich(const QString& text) {
  static const QRegularExpression number(QStringLiteral("(0x[0-9a-fA-F_]+)"));
  QString html = text.toHtmlEscaped();
  html.replace(number, QStringLiteral("<span style=\"font-family:'JetBrains Mono',monospace\">\\1</span>"));
  return html.replace(QLatin1Char('\n'), QStringLiteral("<br>"));
}

void prepare(QPainter& painter) {
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setRenderHint(QPainter::TextAntialiasing);
  painter.setBrush(Qt::NoBrush);
}

void draw_box(QPainter& painter, const QRectF& box, const QColor& fill, const QColor& line, double width,
              double radius) {
  const double inset = width / 2;
  painter.setPen(width > 0 ? QPen(line, width) : QPen(Qt::NoPen));
  painter.setBrush(fill);
  painter.drawRoundedRect(box.adjusted(inset, inset, -inset, -inset), radius, radius);
  painter.setBrush(Qt::NoBrush);
}

void draw_dashed_box(QPainter& painter, const QRectF& box, const QColor& line, double radius) {
  QPen pen(line, 1);
  pen.setDashPattern({4, 3});
  painter.setPen(pen);
  painter.setBrush(Qt::NoBrush);
  painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius);
}

double draw_text(QPainter& painter, const QRectF& box, const QString& text, const QFont& font, const QColor& colour,
                 Qt::Alignment alignment) {
  const QFontMetricsF metrics(font);
  const QString shown =
      metrics.horizontalAdvance(text) <= box.width() ? text : metrics.elidedText(text, Qt::ElideRight, box.width());
  painter.setFont(font);
  painter.setPen(colour);
  painter.drawText(box, static_cast<int>(alignment) | Qt::TextSingleLine | Qt::TextDontClip, shown);
  return metrics.horizontalAdvance(shown);
}

double draw_wrapped(QPainter& painter, const QRectF& box, const QString& text, const QFont& font,
                    const QColor& colour) {
  QTextLayout layout(text, font);
  if (!QFontInfo(font).fixedPitch()) layout.setFormats(mono_numbers(text, font));
  painter.setPen(colour);
  double height = 0;
  int cut_from = -1;
  std::vector<QTextLine> lines;
  layout.beginLayout();
  for (QTextLine line = layout.createLine(); line.isValid(); line = layout.createLine()) {
    line.setLineWidth(box.width());
    if (!lines.empty() && height + line.height() > box.height() + 1) {
      cut_from = lines.back().textStart();
      break;
    }
    line.setPosition({0, height});
    height += std::ceil(line.height() * 1.08);
    lines.push_back(line);
  }
  layout.endLayout();
  if (lines.empty()) return 0;
  // What does not fit ends in an ellipsis.
  if (cut_from >= 0) {
    const double top = lines.back().y();
    const double line_height = lines.back().height();
    lines.pop_back();
    const QString rest = QFontMetricsF(font).elidedText(text.mid(cut_from), Qt::ElideRight, box.width() * 0.94);
    draw_wrapped(painter, {box.left(), box.top() + top, box.width(), line_height}, rest, font, colour);
    painter.setPen(colour);
  }
  for (const QTextLine& line : lines) line.draw(&painter, box.topLeft());
  return height;
}

void draw_pill(QPainter& painter, const QRectF& box, const QString& text, const QFont& font, const QColor& fill) {
  draw_box(painter, box, fill, fill, 1, box.height() / 2);
  draw_text(painter, box.adjusted(8, 0, -8, 0), text, font, readable_on(fill), Qt::AlignCenter);
}

void draw_arrow(QPainter& painter, const QPointF& from, const QPointF& to, const QColor& colour, double width) {
  const QPointF whole = to - from;
  const double length = std::hypot(whole.x(), whole.y());
  if (length < 1) return;
  const QPointF along = whole / length;
  const QPointF across(-along.y(), along.x());
  const double head = std::min(length, width * 3.2);
  const QPointF neck = to - along * head;
  QPen pen(colour, width);
  pen.setCapStyle(Qt::FlatCap);
  painter.setPen(pen);
  painter.drawLine(from, neck);
  QPainterPath path;
  path.moveTo(to);
  path.lineTo(neck + across * width * 2.1);
  path.lineTo(neck - across * width * 2.1);
  path.closeSubpath();
  painter.fillPath(path, colour);
}

void draw_empty(QPainter& painter, const QRectF& box, const QString& what, const QString& remedy) {
  const double line = theme().px(24);
  const double middle = box.center().y();
  draw_text(painter, {box.left() + 8, middle - line, box.width() - 16, line}, what, theme().words(16, QFont::DemiBold),
            theme().palette().muted, Qt::AlignCenter);
  draw_text(painter, {box.left() + 8, middle, box.width() - 16, line}, remedy, theme().words(14),
            theme().palette().muted, Qt::AlignCenter);
}

QColor readable_on(const QColor& fill) {
  const QColor dark("#101214");
  return contrast(fill, Qt::white) >= 3.0 ? QColor(Qt::white) : dark;
}

}  // namespace shearling::gui
