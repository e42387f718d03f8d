// SPDX-License-Identifier: GPL-3.0-or-later
//
// Instruction words by the GNU assembler: the tests' source of encodings, independent of our table.
#pragma once

#include <QByteArray>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace shearling::arm::testing {

/// One word a line; empty where the assembler refuses one, with its words on standard error.
inline std::vector<std::uint32_t> assemble(const std::vector<std::string>& lines) {
  const QTemporaryDir folder;
  const QString source = folder.filePath(QStringLiteral("lines.S")),
                object = folder.filePath(QStringLiteral("lines.o")),
                binary = folder.filePath(QStringLiteral("lines.bin"));
  QFile file(source);
  if (!file.open(QIODevice::WriteOnly)) return {};
  file.write(".arch armv8.2-a\n");
  for (const std::string& line : lines) file.write(QByteArray::fromStdString(line + "\n"));
  file.close();
  const auto run = [](const QString& program, const QStringList& arguments) {
    QProcess process;
    process.setProcessChannelMode(QProcess::ForwardedErrorChannel);
    process.start(program, arguments);
    return process.waitForFinished() && process.exitStatus() == QProcess::NormalExit && process.exitCode() == 0;
  };
  if (!run(QStringLiteral(AARCH64_AS), {QStringLiteral("-o"), object, source})) return {};
  if (!run(QStringLiteral(AARCH64_OBJCOPY), {QStringLiteral("-O"), QStringLiteral("binary"), QStringLiteral("-j"),
                                             QStringLiteral(".text"), object, binary}))
    return {};
  QFile made(binary);
  if (!made.open(QIODevice::ReadOnly)) return {};
  const QByteArray bytes = made.readAll();
  if (static_cast<std::size_t>(bytes.size()) != 4 * lines.size()) return {};
  std::vector<std::uint32_t> words(lines.size());
  std::memcpy(words.data(), bytes.constData(), 4 * words.size());
  return words;
}

}  // namespace shearling::arm::testing
