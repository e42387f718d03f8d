// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the architecture says becomes of an instruction at a level with certain control bits, written down group by
// group as the manuals list them. Our decisions and QEMU are both held against it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shearling::arm::testing {

/// Control registers; the default is a machine in which nothing traps.
struct Controls {
  std::uint64_t hcr = 1ULL << 31;
  std::uint64_t sctlr_el1 = 0x34d5da98, sctlr_el2 = 0x30c50830;
  std::uint64_t cpacr = 3ULL << 20, cptr = 0x33ff & ~(1ULL << 10);
  std::uint64_t cntkctl = 0x303, cnthctl = 3;
  std::uint64_t mdcr = 0, mdscr = 0, pmuserenr = 0xf;
  std::uint64_t ich_hcr = 0, icc_sre_el2 = 0xf;
  bool stack_pointer_select = true;
};

/// Where it leads: nowhere, or to the exception level `target` with a class and a syndrome.
struct Outcome {
  unsigned target = 0;
  std::uint32_t exception_class = 0, iss = 0;
  bool operator==(const Outcome&) const = default;
};

struct TrapCase {
  std::string section;      ///< DDI 0487 unless it names another manual.
  std::string instruction;  ///< As the assembler takes it; the general register is X3.
  unsigned level = 1;
  Controls controls;
  std::string changed;  ///< What is unlike the default, in words.
  /// How the syndrome is made: the class 0x18 has that of the instruction word.
  unsigned target = 0;
  std::uint32_t exception_class = 0;
  std::uint32_t iss = 0;
  bool has_el2 = true;
  bool witness = true;  ///< QEMU 7.2 can be asked: see trap_cases.cpp for why not.

  /// With the instruction's own word, whose fields a syndrome of class 0x18 repeats.
  [[nodiscard]] Outcome expected(std::uint32_t word) const;
  [[nodiscard]] bool needs_host_extensions() const { return (controls.hcr >> 34 & 1) != 0; }
  [[nodiscard]] std::string name() const;
};

std::vector<TrapCase> trap_cases();

}  // namespace shearling::arm::testing
