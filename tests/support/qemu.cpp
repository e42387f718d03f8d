// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/support/qemu.h"

#include <QProcess>
#include <QStringList>

namespace shearling::test {

QemuRun run_in_qemu(const std::string& image, const QemuOptions& options) {
  QStringList arguments{"-machine",
                        "pc",
                        "-accel",
                        "tcg",
                        "-display",
                        "none",
                        "-serial",
                        "stdio",
                        "-monitor",
                        "none",
                        "-no-reboot",
                        "-device",
                        "isa-debug-exit,iobase=0xf4,iosize=4",
                        "-m",
                        "256"};
  arguments << "-cpu" << QString::fromStdString(options.cpu) << "-kernel" << QString::fromStdString(image);
  for (const std::string& argument : options.more_arguments) arguments << QString::fromStdString(argument);

  QemuRun run;
  QProcess process;
  process.setStandardInputFile(QProcess::nullDevice());
  process.start("qemu-system-x86_64", arguments);
  run.started = process.waitForStarted();
  if (!run.started) {
    run.messages = "qemu-system-x86_64 does not start: run scripts/setup";
    return run;
  }
  run.timed_out = !process.waitForFinished(options.time_limit_milliseconds);
  if (run.timed_out) {
    process.kill();
    process.waitForFinished();
  } else if (process.exitStatus() == QProcess::NormalExit) {
    run.exit_status = process.exitCode();
  }
  run.console = process.readAllStandardOutput().toStdString();
  run.messages = process.readAllStandardError().toStdString();
  return run;
}

}  // namespace shearling::test
