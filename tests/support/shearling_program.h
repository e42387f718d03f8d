// SPDX-License-Identifier: GPL-3.0-or-later
//
// Runs the built `shearling` as a user would. SHEARLING_PROGRAM is its path.
#pragma once

#include <QProcess>
#include <QStringList>
#include <nlohmann/json.hpp>

namespace shearling::testing {

struct Outcome {
  int status = -1;  ///< -1: it crashed, or did not end in time.
  QString output, errors;
  [[nodiscard]] nlohmann::json parsed() const { return nlohmann::json::parse(output.toStdString(), nullptr, false); }
};

inline Outcome run_shearling(const QStringList& arguments, const QByteArray& input = {}) {
  QProcess process;
  process.start(SHEARLING_PROGRAM, arguments);
  process.write(input);
  process.closeWriteChannel();
  if (!process.waitForFinished(60'000)) process.kill();
  return {process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1, process.readAllStandardOutput(),
          process.readAllStandardError()};
}

/// Complaints are one line that begins with the program's name.
inline bool is_one_line(const Outcome& outcome) {
  return outcome.errors.startsWith("shearling: ") && outcome.errors.count('\n') == 1;
}

}  // namespace shearling::testing
