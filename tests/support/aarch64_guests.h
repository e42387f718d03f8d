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

/// An address of walk.S's cold path: level-0 index 5, then 17, 33 and what is given.
constexpr std::uint64_t cold_address(std::uint64_t page) {
  return std::uint64_t{5} << 39 | std::uint64_t{17} << 30 | std::uint64_t{33} << 21 | page << 12 | 0x128;
}

inline std::string walk_console() {
  const auto fault = [](int status, int write, std::uint64_t address) {
    return "fault: status " + hex(static_cast<std::uint64_t>(status)) + ", write " + std::to_string(write) + ", at " +
           hex(address) + "\n";
  };
  return "walk: after TLBI the new page is seen\nwalk: the upper half holds 0x1d\n" +  //
         fault(0x07, 0, cold_address(66)) + "  it is zero there: 0x0\n" +              // translation, level 3
         fault(0x0b, 0, cold_address(67)) + "  the page holds 0x2e3\n" +               // access flag, level 3
         fault(0x0f, 1, cold_address(68)) + "  the copy holds " + hex(cold_address(68)) + ", the page 0x2e3\n" +
         fault(0x04, 0, std::uint64_t{9} << 39) + "  skipped: 0x0\nwalk: done\n";
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
      {"aa64-walk", "virt", 1, "cortex-a57", walk_console()},
      {"aa64-granules", "virt", 1, "max", expected_console("aa64-granules")},
      {"aa64-smp", "virt", 2, "cortex-a57", expected_console("aa64-smp")},
      {"aa64-gic", "virt", 1, "cortex-a57", expected_console("aa64-gic")},
      {"aa64-hypervisor", "virt-el2", 1, "cortex-a57", expected_console("aa64-hypervisor")},
      // An instruction abort from EL1: translation fault of stage 2, on the walk of stage 1 (S1PTW).
      {"aa64-hostile-walk-through-stage-2", "virt-el2", 1, "cortex-a57",
       "walk-through-stage-2: class 0x20, syndrome without level 0x84, HPFAR for 0x123456000\n"},
      {"aa64-vhe", "virt-el2", 1, "max", expected_console("aa64-vhe")},
      // Those of the lessons. Refused: DAIFSet, SCTLR_EL1, CurrentEL, WFI, CTR_EL0, ERET, a load of EL1's, and EL1's
      // own.
      {"aa64-exception-levels", "virt", 1, "cortex-a57",
       "EL1: going to EL0\nEL0: hello through SVC\n"
       "EL1: classes of what was refused: 0x18 0x0 0x0 0x1 0x18 0x0 0x24 0x25\nEL1: the last address was 0x90000128\n"},
      {"aa64-three-addresses", "virt", 1, "cortex-a57",
       "three-addresses: AT gives 0x43804000, the loads add up to " +
           hex(0x1d + 0x5e5 + 0xf00d + 3 * 0x111 + 2 * 0x222) + "\n"},
      {"aa64-el2-traps", "virt", 1, "cortex-a57", "*\nel2-traps: core 0 is on: 0, transmitter full: 0, undefined: 1\n"},
      {"twin-aarch64", "virt", 1, "cortex-a57", "* two-architectures: done\n"},
      {"aa64-virtual-interrupts", "virt", 1, "cortex-a57", "virtual-interrupts: taken 5 27 1 2 3 4 5 6\n"},
      {"aa64-el1-at-el0", "virt", 1, "cortex-a57", "el1-at-el0: CurrentEL 0x4, masks 0x380, the program says 0x5e\n"},
  };
}

/// Guests that misbehave. Most never end: a machine may stop them at a limit of its own, having printed just this.
struct Aarch64HostileGuest {
  const char* name;
  bool ends;
  std::string console;
};

inline std::vector<Aarch64HostileGuest> aarch64_hostile_guests() {
  return {
      {"aa64-hostile-illegal-returns", true, "illegal-returns: 10 illegal-state exceptions, still at EL1\n"},
      {"aa64-hostile-reserved-encodings", true, "reserved-encodings: 26 undefined of 26\n"},
      {"aa64-hostile-undefined-calls", true, "undefined-calls: 3 undefined\n"},
      {"aa64-hostile-table-on-device", true, "table-on-device: survived\n"},
      {"aa64-hostile-jump-into-nothing", true,
       "unexpected exception: vector 4 ESR 0x86000004 FAR 0x7fffdeadb000 at 0x7fffdeadb000\n"},
      {"aa64-hostile-vectors-unmapped", false, ""},
      {"aa64-hostile-stack-unmapped", false, ""},
      {"aa64-hostile-recursive-tables", false, "recursive-tables: the window works\n"},
      {"aa64-hostile-illegal-return-forever", false, ""},
      {"aa64-hostile-wait-for-nothing", false, ""},
      {"aa64-hostile-wait-for-event", false, ""},
      {"aa64-hostile-jump-beyond-ram", false, ""},
      {"aa64-hostile-endless-loop", false, ""},
      {"aa64-hostile-handler-stack-overflow", false, ""},
  };
}

}  // namespace shearling::test
