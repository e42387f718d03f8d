// SPDX-License-Identifier: GPL-3.0-or-later
//
// Pictures in files: SVG and PDF of lines and letters, PNG of pixels.
#pragma once

#include <functional>

#include <QSize>
#include <QString>

class QCPPainter;
class QWidget;

namespace shearling::gui {

/// Something to be drawn into a file, from its upper left corner.
struct Page {
  QSize size;
  std::function<void(QCPPainter&)> draw;  ///< QCustomPlot's painter: plots draw themselves with no other.
};
/// A widget as it is on the screen.
Page page_of(QWidget& widget);

/// The file's ending says how; false when it is none of .svg, .pdf and .png, or the file cannot be written.
bool write_picture(const Page& page, const QString& file, const QString& title);

}  // namespace shearling::gui
