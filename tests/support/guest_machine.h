// SPDX-License-Identifier: GPL-3.0-or-later
//
// Builds machines for tests: a guest of lessons/guests by name, or any image, under a technique. A guest that cannot be
// loaded ends the test program with the diagnostic, since nothing can be tested then.
#pragma once

#include <QFile>
#include <QString>
#include <memory>

#include "core/machine/machine.h"
#include "isa-x86/isa_x86.h"

namespace shearling::testing {

inline std::vector<std::uint8_t> read_file(const QString& path) {
  QFile file(path);
  if (!file.open(QIODevice::ReadOnly)) qFatal("cannot read %s", qPrintable(path));
  const QByteArray bytes = file.readAll();
  return {bytes.begin(), bytes.end()};
}

/// `name` as in the build's guest folder, without ".elf".
inline QString guest_path(const QString& name) {
  return QStringLiteral(SHEARLING_BINARY_DIR "/guests/%1.elf").arg(name);
}

inline Result<std::unique_ptr<Machine>> try_machine(std::vector<std::uint8_t> image, VmmTechnique technique,
                                                    const std::string& machine = "pc") {
  x86::register_x86();
  const auto description = read_machine_description(machine);
  if (!description) return description.error();
  return Machine::create({.guest_name = "guest.elf",
                          .guest_image = std::move(image),
                          .machine_yaml = description.value(),
                          .machine_name = machine,
                          .technique = technique});
}

inline std::unique_ptr<Machine> guest_machine(const QString& name, VmmTechnique technique,
                                              const std::string& machine = "pc") {
  auto result = try_machine(read_file(guest_path(name)), technique, machine);
  if (!result) qFatal("%s", result.error().text().c_str());
  return std::move(result).value();
}

}  // namespace shearling::testing
