// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/support/qemu_monitor.h"

#include <QDeadlineTimer>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QThread>

namespace shearling::test {

namespace {

constexpr int kPatience = 20000;  // Milliseconds for one answer.

QByteArray human_command(const QString& command) {
  const QJsonObject arguments{{QStringLiteral("command-line"), command}};
  const QJsonObject request{{QStringLiteral("execute"), QStringLiteral("human-monitor-command")},
                            {QStringLiteral("arguments"), arguments}};
  return QJsonDocument(request).toJson(QJsonDocument::Compact) + '\n';
}

}  // namespace

bool QemuMonitor::is_installed() {
  return !QStandardPaths::findExecutable(QStringLiteral("qemu-system-x86_64")).isEmpty();
}

QemuMonitor::~QemuMonitor() {
  if (process_.state() == QProcess::NotRunning) return;
  process_.kill();
  process_.waitForFinished();
}

bool QemuMonitor::start(const QString& image, unsigned megabytes) {
  process_.setProcessChannelMode(QProcess::SeparateChannels);
  process_.start(
      QStringLiteral("qemu-system-x86_64"),
      {QStringLiteral("-machine"), QStringLiteral("pc"), QStringLiteral("-accel"), QStringLiteral("tcg"),
       QStringLiteral("-cpu"), QStringLiteral("max"), QStringLiteral("-m"), QString::number(megabytes),
       QStringLiteral("-display"), QStringLiteral("none"), QStringLiteral("-nodefaults"), QStringLiteral("-no-reboot"),
       QStringLiteral("-qmp"), QStringLiteral("stdio"), QStringLiteral("-kernel"), image});
  if (!process_.waitForStarted(kPatience)) return false;
  process_.write("{\"execute\":\"qmp_capabilities\"}\n");
  return answer().contains("\"return\"");
}

/// The next line that answers a command; greetings and events are passed over.
QByteArray QemuMonitor::answer() {
  const QDeadlineTimer deadline(kPatience);
  while (!deadline.hasExpired()) {
    if (!process_.canReadLine() && !process_.waitForReadyRead(kPatience)) break;
    while (process_.canReadLine()) {
      const QByteArray line = process_.readLine();
      if (line.startsWith("{\"return\"") || line.startsWith("{\"error\"")) return line;
    }
  }
  return {};
}

std::vector<std::string> QemuMonitor::ask(const std::vector<std::string>& commands) {
  std::vector<std::string> answers;
  constexpr std::size_t kAtOnce = 64;  // Neither pipe ever fills up.
  for (std::size_t first = 0; first < commands.size(); first += kAtOnce) {
    const std::size_t end = std::min(commands.size(), first + kAtOnce);
    for (std::size_t i = first; i < end; ++i) process_.write(human_command(QString::fromStdString(commands[i])));
    for (std::size_t i = first; i < end; ++i) {
      answers.push_back(
          QJsonDocument::fromJson(answer()).object()[QStringLiteral("return")].toString().trimmed().toStdString());
    }
  }
  return answers;
}

bool QemuMonitor::wait_for_halt(int milliseconds) {
  const QDeadlineTimer deadline(milliseconds);
  while (!deadline.hasExpired()) {
    if (ask("info registers").find("HLT=1") != std::string::npos) return true;
    if (process_.state() != QProcess::Running) return false;
    QThread::msleep(10);
  }
  return false;
}

std::vector<std::uint8_t> QemuMonitor::physical_memory(std::uint64_t address, std::uint64_t bytes) {
  const QTemporaryDir folder;
  QFile file(folder.filePath(QStringLiteral("memory")));
  ask(QStringLiteral("pmemsave %1 %2 \"%3\"").arg(address).arg(bytes).arg(file.fileName()).toStdString());
  if (!file.open(QIODevice::ReadOnly)) return {};
  const QByteArray content = file.readAll();
  return {content.begin(), content.end()};
}

}  // namespace shearling::test
