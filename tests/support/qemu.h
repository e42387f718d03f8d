// SPDX-License-Identifier: GPL-3.0-or-later
//
// The independent witness: boots a guest image in QEMU's pc machine, as the machine `pc` describes it, or on its virt
// board, as `virt` and `virt-el2` do, and gives back what it printed on its first serial port and how it ended.
// Software emulation always, never KVM: the answers must not depend on the machine that the tests run on.
#pragma once

#include <string>
#include <vector>

namespace shearling::test {

struct QemuRun {
  bool started = false;    ///< False where QEMU is not installed.
  bool timed_out = false;  ///< It was killed after the time limit.
  int exit_status = -1;    ///< V << 1 | 1 after a write of V to the exit port; 0 after a triple fault or PSCI.
  std::string console;     ///< COM1 or the PL011.
  std::string messages;    ///< QEMU's own.
};

struct QemuOptions {
  std::string cpu = "max";
  int time_limit_milliseconds = 20000;
  std::vector<std::string> more_arguments;
};

QemuRun run_in_qemu(const std::string& image, const QemuOptions& options = {});

struct QemuVirtOptions {
  bool el2 = false;  ///< The image starts at EL2: machine `virt-el2`.
  unsigned cpus = 1;
  std::string cpu = "cortex-a57";
  int time_limit_milliseconds = 20000;
  std::vector<std::string> more_arguments;
};

QemuRun run_in_qemu_virt(const std::string& image, const QemuVirtOptions& options = {});

}  // namespace shearling::test
