// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/support/qemu.h"

#include <QProcess>
#include <QStringList>

namespace shearling::test {

namespace {

QStringList common_arguments() {
  return {"-accel", "tcg", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot", "-m", "256"};
}

QemuRun run(const QString& program, QStringList arguments, const std::vector<std::string>& more, int time_limit) {
  for (const std::string& argument : more) arguments << QString::fromStdString(argument);
  QemuRun run;
  QProcess process;
  process.setStandardInputFile(QProcess::nullDevice());
  process.start(program, arguments);
  run.started = process.waitForStarted();
  if (!run.started) {
    run.messages = program.toStdString() + " does not start: run scripts/setup";
    return run;
  }
  run.timed_out = !process.waitForFinished(time_limit);
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

}  // namespace

QemuRun run_in_qemu(const std::string& image, const QemuOptions& options) {
  QStringList arguments = common_arguments();
  arguments << "-machine"
            << "pc"
            << "-device"
            << "isa-debug-exit,iobase=0xf4,iosize=4";
  arguments << "-cpu" << QString::fromStdString(options.cpu) << "-kernel" << QString::fromStdString(image);
  return run("qemu-system-x86_64", arguments, options.more_arguments, options.time_limit_milliseconds);
}

QemuRun run_in_qemu_virt(const std::string& image, const QemuVirtOptions& options) {
  QStringList arguments = common_arguments();
  arguments << "-machine" << (options.el2 ? "virt,gic-version=3,virtualization=on" : "virt,gic-version=3");
  arguments << "-smp" << QString::number(options.cpus);
  arguments << "-cpu" << QString::fromStdString(options.cpu) << "-kernel" << QString::fromStdString(image);
  return run("qemu-system-aarch64", arguments, options.more_arguments, options.time_limit_milliseconds);
}

}  // namespace shearling::test
