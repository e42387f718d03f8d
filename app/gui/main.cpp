// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling-gui [GUEST|LESSON|F.run|FIGURE.json] [--vmm T]
#include <optional>

#include <QApplication>
#include <QCommandLineParser>

#include "app/gui/main_window.h"
#include "isa-x86/isa_x86.h"

namespace {

std::optional<shearling::VmmTechnique> technique_named(const QString& name) {
  for (const auto technique : {shearling::VmmTechnique::Bare, shearling::VmmTechnique::VtX}) {
    const std::string_view known = shearling::name_of(technique);
    if (name == QString::fromUtf8(known.data(), static_cast<qsizetype>(known.size()))) return technique;
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  QApplication application(argc, argv);
  QApplication::setApplicationName(QStringLiteral("shearling-gui"));
  QApplication::setApplicationDisplayName(QStringLiteral("Shearling"));
  QApplication::setOrganizationName(QStringLiteral("Shearling"));
  QApplication::setStyle(QStringLiteral("Fusion"));

  QCommandLineParser parser;
  parser.setApplicationDescription(
      QApplication::translate("main", "Watch a virtual machine monitor at work, forwards and backwards."));
  parser.addHelpOption();
  parser.addPositionalArgument(
      QStringLiteral("path"),
      QApplication::translate("main", "A guest, a lesson, a run file or a figure; nothing: what was open last."),
      QStringLiteral("[path]"));
  const QCommandLineOption vmm(QStringLiteral("vmm"), QApplication::translate("main", "The technique: bare or vt-x."),
                               QStringLiteral("technique"));
  parser.addOption(vmm);
  parser.process(application);

  std::optional<shearling::VmmTechnique> technique;
  if (parser.isSet(vmm)) {
    technique = technique_named(parser.value(vmm));
    if (!technique) {
      qCritical("shearling-gui: there is no technique '%s'; use bare or vt-x", qPrintable(parser.value(vmm)));
      return 2;
    }
  }
  shearling::x86::register_x86();
  shearling::gui::MainWindow window;
  window.show();
  const QStringList paths = parser.positionalArguments();
  if (!paths.isEmpty())
    window.open(paths.front(), technique);
  else if (!window.reopen())
    window.open(QStringLiteral("privilege-levels"), technique);
  return QApplication::exec();
}
