// SPDX-License-Identifier: GPL-3.0-or-later
//
// Opens the real window on a guest or a lesson, triggers actions one after the other, and saves a picture: for looking
// at it, and for the documentation's pictures.
//   gui_screenshot OUT.png WIDTHxHEIGHT PATH [--vmm T] [--machine M] [ACTION ...]     an ACTION may be
//   "view:walk", "theme:1", "zoom:2", "figure:8", "seek:12000"
#include <QAction>
#include <QApplication>
#include <QDeadlineTimer>
#include <QThread>

#include "app/gui/main_window.h"
#include "app/gui/plots_view.h"
#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;
using namespace shearling::gui;

namespace {

void settle(MainWindow& window, int milliseconds) {
  QDeadlineTimer wait(milliseconds);
  const QDeadlineTimer most(10'000);
  while (!wait.hasExpired() || (window.controller().running() && !most.hasExpired()) || window.plots().computes()) {
    QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
    QThread::msleep(2);
  }
}

void seek(MainWindow& window, StepIndex step) {
  const QDeadlineTimer most(60'000);
  const std::uint64_t ticket = window.controller().post(Seek{step});
  while (window.controller().machine().completed < ticket && !most.hasExpired())
    QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
}

}  // namespace

int main(int argc, char** argv) {
  QApplication application(argc, argv);
  QApplication::setStyle(QStringLiteral("Fusion"));
  QStringList arguments = QApplication::arguments().mid(1);
  if (arguments.size() < 3) return 2;
  const QString file = arguments.takeFirst();
  const QStringList size = arguments.takeFirst().split(QLatin1Char('x'));
  const QString path = arguments.takeFirst();
  std::optional<VmmTechnique> technique;
  if (arguments.value(0) == QLatin1String("--vmm")) {
    technique = technique_named(arguments.value(1).toStdString());
    arguments = arguments.mid(2);
  }
  QString machine;
  if (arguments.value(0) == QLatin1String("--machine")) {
    machine = arguments.value(1);
    arguments = arguments.mid(2);
  }
  arm::register_arm();
  x86::register_x86();
  MainWindow window(false);
  window.resize(size.value(0).toInt(), size.value(1).toInt());
  window.show();
  settle(window, 300);
  window.open(path, technique, machine);
  settle(window, 800);
  for (const QString& action : arguments) {
    if (action.startsWith(QLatin1String("view:")))
      window.show_view(action.mid(5));
    else if (action.startsWith(QLatin1String("theme:")))
      theme().choose(static_cast<ThemeChoice>(action.mid(6).toInt()));
    else if (action.startsWith(QLatin1String("zoom:")))
      theme().set_zoom(action.mid(5).toDouble());
    else if (action.startsWith(QLatin1String("figure:")))
      window.plots().compute(action.mid(7).toInt());
    else if (action.startsWith(QLatin1String("seek:")))
      seek(window, action.mid(5).toULongLong());
    else if (window.action(action) != nullptr)
      window.action(action)->trigger();
    else
      qWarning("there is no action %s", qPrintable(action));
    settle(window, 250);
  }
  settle(window, 500);
  return window.grab().save(file) ? 0 : 1;
}
