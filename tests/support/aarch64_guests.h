// SPDX-License-Identifier: GPL-3.0-or-later
//
// The AArch64 guests that end, with the machine each wants and what it must print there: computed here or written down
// from what the guest says it does and checks by itself. Both QEMU and our machine are held against it.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/guest_results.h"

namespace shearling::test {

struct Aarch64Guest {
  const char* name;     ///< As in the build's guest folder, without ".elf".
  const char* machine;  ///< "virt" or "virt-el2".
  unsigned cpus = 1;
  const char* cpu = "cortex-a57";  ///< "max" where the guest needs a newer feature.
  std::string console;
};

inline std::string levels_console() {
  std::string text = "EL1: going to EL0\nEL0: hello through SVC\n";
  // SCTLR_EL1 and CurrentEL are UNDEFINED at EL0; CTR_EL0 and DAIFSet are traps of SCTLR_EL1, and so is WFI; HVC is
  // UNDEFINED.
  const char* const classes[] = {"0x0", "0x0", "0x18", "0x18", "0x1", "0x0"};
  for (int i = 0; i < 6; ++i)
    text += std::string("EL1: exception class ") + classes[i] + ", from EL0, at byte " + std::to_string(4 * i) +
            " of the attempts\n";
  return text + "EL0: still here\nEL1: EL0 has ended\n";
}

/// What a guest prints that is too long to stand here: tests/guests/expected/NAME.txt.
inline std::string expected_console(const std::string& name) {
  std::ifstream file(SHEARLING_SOURCE_DIR "/tests/guests/expected/" + name + ".txt");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::vector<Aarch64Guest> aarch64_guests() {
  return {
      {"aa64-hello", "virt", 1, "cortex-a57", "hello from EL1\n"},
      {"aa64-hello-el2", "virt-el2", 1, "cortex-a57", "hello from EL2\n"},
      {"aa64-compute", "virt", 1, "cortex-a57", "compute: checksum " + hex(compute_checksum(60000)) + "\n"},
      {"aa64-compute-long", "virt", 1, "cortex-a57", "compute: checksum " + hex(compute_checksum(5000000)) + "\n"},
      {"aa64-levels", "virt", 1, "cortex-a57", levels_console()},
      {"aa64-kernel", "virt", 1, "cortex-a57", expected_console("aa64-kernel")},
  };
}

}  // namespace shearling::test
