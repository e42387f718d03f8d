// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/picture.h"

#include <array>

#include <qcustomplot.h>
#include <QImage>
#include <QPageSize>
#include <QPdfWriter>
#include <QSvgGenerator>
#include <QWidget>

#include "app/gui/theme.h"

namespace shearling::gui {
namespace {

bool draw_on(QPaintDevice& device, const Page& page, bool lines) {
  QCPPainter painter;
  if (!painter.begin(&device)) return false;
  if (lines) {
    painter.setMode(QCPPainter::pmVectorized);
    painter.setMode(QCPPainter::pmNoCaching);
  }
  page.draw(painter);
  return painter.end();
}

bool write_svg(const Page& page, const QString& file, const QString& title) {
  QSvgGenerator generator;
  generator.setFileName(file);
  generator.setSize(page.size);
  generator.setViewBox(QRect(QPoint(), page.size));
  generator.setTitle(title);
  return draw_on(generator, page, true);
}

bool write_pdf(const Page& page, const QString& file, const QString& title) {
  constexpr int kDotsPerInch = 96;
  constexpr double kPointsPerInch = 72;
  QPdfWriter writer(file);
  writer.setPageSize(QPageSize(QSizeF(page.size) * kPointsPerInch / kDotsPerInch, QPageSize::Point));
  writer.setPageMargins({});
  writer.setResolution(kDotsPerInch);
  writer.setTitle(title);
  return draw_on(writer, page, true);
}

bool write_png(const Page& page, const QString& file, const QString&) {
  constexpr int kOversampling = 2;  // Sharp on a slide.
  QImage image(page.size * kOversampling, QImage::Format_ARGB32);
  image.setDevicePixelRatio(kOversampling);
  image.fill(theme().palette().ground);
  return draw_on(image, page, false) && image.save(file);
}

}  // namespace

Page page_of(QWidget& widget) {
  return {.size = widget.size(), .draw = [&widget](QCPPainter& painter) { widget.render(&painter); }};
}

bool write_picture(const Page& page, const QString& file, const QString& title) {
  struct Format {
    const char* ending;
    bool (*write)(const Page&, const QString&, const QString&);
  };
  constexpr std::array<Format, 3> kFormats = {{{".svg", write_svg}, {".pdf", write_pdf}, {".png", write_png}}};
  for (const Format& format : kFormats) {
    if (file.endsWith(QLatin1String(format.ending), Qt::CaseInsensitive)) return format.write(page, file, title);
  }
  return false;
}

}  // namespace shearling::gui
