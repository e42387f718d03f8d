// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling-gui [GUEST|LESSON|F.run|FIGURE.json] [--vmm T] [--machine M]
#include <optional>
#include <string>

#include <QApplication>
#include <QCommandLineParser>

#include "app/gui/main_window.h"
#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

namespace {

std::string known_techniques() {
  std::string names;
  for (const std::string_view name : shearling::all_technique_names())
    names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
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
  const QCommandLineOption vmm(QStringLiteral("vmm"),
                               QApplication::translate("main", "The technique of the virtual machine monitor."),
                               QStringLiteral("technique"));
  const QCommandLineOption machine(
      QStringLiteral("machine"),
      QApplication::translate("main", "A built-in machine, or a YAML file; else the guest's default."),
      QStringLiteral("machine"));
  parser.addOptions({vmm, machine});
  parser.process(application);

  std::optional<shearling::VmmTechnique> technique;
  if (parser.isSet(vmm)) {
    technique = shearling::technique_named(parser.value(vmm).toStdString());
    if (!technique) {
      qCritical("shearling-gui: there is no technique '%s'; use one of %s", qPrintable(parser.value(vmm)),
                known_techniques().c_str());
      return 2;
    }
  }
  shearling::x86::register_x86();
  shearling::arm::register_arm();
  shearling::gui::MainWindow window;
  window.show();
  const QStringList paths = parser.positionalArguments();
  if (!paths.isEmpty())
    window.open(paths.front(), technique, parser.value(machine));
  else if (!window.reopen())
    window.open(QStringLiteral("privilege-levels"), technique);
  return QApplication::exec();
}
