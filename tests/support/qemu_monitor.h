// SPDX-License-Identifier: GPL-3.0-or-later
//
// QEMU as a machine that can be asked questions: boots an image in the pc machine and talks to its monitor (QMP over
// standard input and output). Software emulation always, never KVM.
#pragma once

#include <QProcess>
#include <QString>
#include <cstdint>
#include <string>
#include <vector>

namespace shearling::test {

class QemuMonitor {
 public:
  ~QemuMonitor();
  [[nodiscard]] static bool is_installed();
  /// Boots `image` (multiboot) with that much RAM. False if QEMU does not answer.
  bool start(const QString& image, unsigned megabytes);
  /// Answers of the human monitor, one for each command ("info tlb", "gva2gpa 0x1000", ...).
  std::vector<std::string> ask(const std::vector<std::string>& commands);
  std::string ask(const std::string& command) { return ask(std::vector{command}).front(); }
  /// Waits until the processor stands in HLT with interrupts off.
  bool wait_for_halt(int milliseconds);
  std::vector<std::uint8_t> physical_memory(std::uint64_t address, std::uint64_t bytes);

 private:
  QByteArray answer();
  QProcess process_;
};

}  // namespace shearling::test
