// SPDX-License-Identifier: GPL-3.0-or-later
//
// QEMU 7.2 is not asked where it is known to do something else, or where the prober would not survive: TIDCP, which it
// does not implement; MDSCR_EL1.TDCC and the debug channel, which it leaves out; the GIC's Enable and SRE bits, which
// it holds set; TPMCR; instructions that would wait or leave the level when nothing stops them.
#include "trap_cases.h"

#include <functional>

namespace shearling::arm::testing {
namespace {

using Change = std::function<void(Controls&)>;
using List = std::vector<std::string>;

constexpr std::uint64_t bit(unsigned number) { return 1ULL << number; }
constexpr std::uint32_t kSystem = 0x18, kWaiting = 0x01, kSimd = 0x07, kUnknown = 0;
constexpr std::uint32_t kAlways = 0x1e00000;
constexpr std::uint64_t kTge = bit(27), kE2h = bit(34);

struct Named {
  std::string name;
  Change change;
};
const Named kNothing{"", [](Controls&) {}};

Named hcr(const std::string& name, std::uint64_t bits) {
  return {"HCR_EL2." + name, [bits](Controls& c) { c.hcr |= bits; }};
}
Named clear(const std::string& name, std::uint64_t Controls::*reg, std::uint64_t bits) {
  return {name + " clear", [reg, bits](Controls& c) { c.*reg &= ~bits; }};
}
Named set(const std::string& name, std::uint64_t Controls::*reg, std::uint64_t bits) {
  return {name, [reg, bits](Controls& c) { c.*reg |= bits; }};
}
Named operator+(const Named& a, const Named& b) {
  return {a.name.empty() ? b.name : a.name + ", " + b.name, [a, b](Controls& c) {
            a.change(c);
            b.change(c);
          }};
}
/// HCR_EL2.E2H, with the registers whose layout it changes as open as before.
Named guest_of_host() {
  return {"HCR_EL2.E2H", [](Controls& c) {
            c.hcr |= kE2h;
            c.sctlr_el2 = 0x34d5d998;
            c.cptr = 3ULL << 20;
            c.cnthctl = 0xf03;
          }};
}
Named host() { return guest_of_host() + hcr("TGE", kTge); }
Named tge() { return hcr("TGE", kTge); }

/// Grows the list: one case for each instruction.
class Writer {
 public:
  explicit Writer(std::vector<TrapCase>& cases) : cases_(cases) {}

  Writer& section(std::string name) {
    section_ = std::move(name);
    witness_ = true;
    return *this;
  }
  Writer& without_witness() {
    witness_ = false;
    return *this;
  }

  void passes(unsigned level, const Named& change, const List& instructions) {
    add(level, change, instructions, 0, 0, 0);
  }
  void undefined(unsigned level, const Named& change, const List& instructions) {
    Controls controls;
    change.change(controls);
    const bool to_el2 = level == 2 || (level == 0 && (controls.hcr & kTge) != 0);
    add(level, change, instructions, to_el2 ? 2 : 1, kUnknown, 0);
  }
  void traps(unsigned level, const Named& change, const List& instructions, unsigned target,
             std::uint32_t exception_class = kSystem, std::uint32_t iss = 0) {
    add(level, change, instructions, target, exception_class, iss);
  }
  void without_el2(unsigned level, const Named& change, const List& instructions, unsigned target,
                   std::uint32_t exception_class = kUnknown, std::uint32_t iss = 0) {
    const std::size_t first = cases_.size();
    add(level, change, instructions, target, exception_class, iss);
    for (std::size_t i = first; i < cases_.size(); ++i) {
      cases_[i].has_el2 = false;
      cases_[i].witness = false;
    }
  }

 private:
  void add(unsigned level, const Named& change, const List& instructions, unsigned target,
           std::uint32_t exception_class, std::uint32_t iss) {
    for (const std::string& instruction : instructions) {
      TrapCase made{.section = section_,
                    .instruction = instruction,
                    .level = level,
                    .controls = {},
                    .changed = change.name,
                    .target = target,
                    .exception_class = exception_class,
                    .iss = iss,
                    .has_el2 = true,
                    .witness = witness_};
      change.change(made.controls);
      cases_.push_back(std::move(made));
    }
  }

  std::vector<TrapCase>& cases_;
  std::string section_;
  bool witness_ = true;
};

List reads(const List& registers) {
  List made;
  for (const std::string& name : registers) made.push_back("mrs x3, " + name);
  return made;
}
List writes(const List& registers) {
  List made;
  for (const std::string& name : registers) made.push_back("msr " + name + ", x3");
  return made;
}
List both(const List& registers) {
  List made = reads(registers);
  for (const std::string& line : writes(registers)) made.push_back(line);
  return made;
}
List joined(List a, const List& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// --- identification and translation ----------------------------------------------------------------------------------

void translation(Writer& w) {
  const List controls{"sctlr_el1", "ttbr0_el1", "ttbr1_el1", "tcr_el1",   "esr_el1",       "far_el1",
                      "afsr0_el1", "afsr1_el1", "mair_el1",  "amair_el1", "contextidr_el1"};
  w.section("D19.2 HCR_EL2.TVM, TRVM");
  w.traps(1, hcr("TVM", bit(26)), writes(controls), 2);
  w.passes(1, hcr("TVM", bit(26)), reads(controls));
  w.traps(1, hcr("TRVM", bit(30)), reads(controls), 2);
  w.passes(1, hcr("TRVM", bit(30)), writes(controls));
  w.passes(1, kNothing, both(controls));
  w.undefined(0, hcr("TVM, TRVM", bit(26) | bit(30)), both(controls));
  w.passes(2, hcr("TVM, TRVM", bit(26) | bit(30)), both(controls));
  w.passes(1, hcr("TVM, TRVM", bit(26) | bit(30)), both({"tpidr_el1", "spsr_el1", "elr_el1", "par_el1"}));
  w.traps(1, guest_of_host() + hcr("TVM", bit(26)), writes(controls), 2);
}

void identification(Writer& w) {
  const List features{"id_aa64pfr0_el1",  "id_aa64pfr1_el1",  "id_aa64dfr0_el1",  "id_aa64dfr1_el1",
                      "id_aa64afr0_el1",  "id_aa64afr1_el1",  "id_aa64isar0_el1", "id_aa64isar1_el1",
                      "id_aa64mmfr0_el1", "id_aa64mmfr1_el1", "id_aa64mmfr2_el1", "id_pfr0_el1",
                      "id_mmfr0_el1",     "id_isar0_el1",     "mvfr0_el1",        "S3_0_C0_C3_7",
                      "S3_0_C0_C7_7"};
  w.section("D19.2 HCR_EL2.TID3");
  w.traps(1, hcr("TID3", bit(18)), reads(features), 2);
  w.passes(1, kNothing, reads(features));
  w.passes(2, hcr("TID3", bit(18)), reads(features));
  w.undefined(0, hcr("TID3", bit(18)), reads(features));
  w.undefined(1, hcr("TID3", bit(18)), {"msr S3_0_C0_C4_0, x3", "msr S3_0_C0_C7_0, x3"});
  w.passes(1, hcr("TID3", bit(18)), reads({"midr_el1", "mpidr_el1", "revidr_el1", "ctr_el0", "dczid_el0"}));

  w.section("D19.2 HCR_EL2.TID1");
  w.traps(1, hcr("TID1", bit(16)), reads({"revidr_el1", "aidr_el1"}), 2);
  w.passes(1, kNothing, reads({"revidr_el1", "aidr_el1", "midr_el1", "mpidr_el1"}));
  w.passes(1, hcr("TID1", bit(16)), reads({"midr_el1", "mpidr_el1"}));
  w.passes(2, hcr("TID1", bit(16)), reads({"revidr_el1", "aidr_el1"}));
  w.undefined(0, hcr("TID1", bit(16)), reads({"revidr_el1", "aidr_el1", "midr_el1", "mpidr_el1"}));
  w.undefined(1, kNothing, writes({"S3_0_C0_C0_0", "S3_0_C0_C0_5", "S3_0_C0_C0_6"}));

  w.section("D19.2 HCR_EL2.TID2, SCTLR_EL1.UCT");
  const List caches{"mrs x3, ctr_el0", "mrs x3, ccsidr_el1", "mrs x3, clidr_el1", "mrs x3, csselr_el1",
                    "msr csselr_el1, x3"};
  const Named no_uct = clear("SCTLR_EL1.UCT", &Controls::sctlr_el1, bit(15));
  w.traps(1, hcr("TID2", bit(17)), caches, 2);
  w.passes(1, kNothing, caches);
  w.passes(2, hcr("TID2", bit(17)), caches);
  w.traps(0, hcr("TID2", bit(17)), {"mrs x3, ctr_el0"}, 2);
  w.passes(0, kNothing, {"mrs x3, ctr_el0", "mrs x3, dczid_el0"});
  w.traps(0, no_uct, {"mrs x3, ctr_el0"}, 1);
  w.traps(0, no_uct + hcr("TID2", bit(17)), {"mrs x3, ctr_el0"}, 1);
  w.traps(0, no_uct + tge(), {"mrs x3, ctr_el0"}, 2);
  w.passes(0, no_uct + host() + hcr("TID2", bit(17)), {"mrs x3, ctr_el0"});
  w.traps(0, host() + clear("SCTLR_EL2.UCT", &Controls::sctlr_el2, bit(15)), {"mrs x3, ctr_el0"}, 2);
  w.passes(1, no_uct, {"mrs x3, ctr_el0"});
  w.undefined(0, hcr("TID2", bit(17)), {"mrs x3, ccsidr_el1", "mrs x3, clidr_el1", "mrs x3, csselr_el1"});

  w.section("D19.2 HCR_EL2.TACR");
  w.traps(1, hcr("TACR", bit(21)), both({"actlr_el1"}), 2);
  w.passes(1, kNothing, both({"actlr_el1"}));
  w.passes(2, hcr("TACR", bit(21)), both({"actlr_el1", "actlr_el2"}));
  w.undefined(0, hcr("TACR", bit(21)), both({"actlr_el1"}));

  w.section("D19.2 HCR_EL2.TIDCP").without_witness();
  const List own = both({"S3_1_C15_C2_0", "S3_1_C15_C2_1", "S3_1_C11_C0_2"});
  const List unknown{"mrs x3, S3_0_C15_C2_1", "msr S3_7_C11_C3_4, x3", "sys #0, C11, C0, #0, x3",
                     "sys #7, C15, C7, #7, x3", "sysl x3, #3, C15, C2, #0"};
  w.traps(1, hcr("TIDCP", bit(20)), joined(own, unknown), 2);
  w.passes(1, kNothing, own);
  w.undefined(1, kNothing, unknown);
  w.passes(2, hcr("TIDCP", bit(20)), own);
  w.undefined(2, hcr("TIDCP", bit(20)), unknown);
  w.undefined(0, hcr("TIDCP", bit(20)), joined(own, unknown));
}

// --- system instructions ---------------------------------------------------------------------------------------------

void maintenance(Writer& w) {
  const Named no_uci = clear("SCTLR_EL1.UCI", &Controls::sctlr_el1, bit(26));
  const Named no_host_uci = host() + clear("SCTLR_EL2.UCI", &Controls::sctlr_el2, bit(26));
  const List user{"dc cvac, x3", "dc cvau, x3", "dc civac, x3", "ic ivau, x3"};
  w.section("D19.2 SCTLR_EL1.UCI");
  w.passes(0, kNothing, user);
  w.traps(0, no_uci, user, 1);
  w.traps(0, no_uci + hcr("TPC, TPU", bit(23) | bit(24)), user, 1);
  w.traps(0, no_uci + tge(), user, 2);
  w.passes(0, no_uci + host(), user);
  w.traps(0, no_host_uci, user, 2);
  w.passes(1, no_uci, user);

  w.section("D19.2 HCR_EL2.TPC");
  const List coherency{"dc cvac, x3", "dc civac, x3"};
  w.traps(1, hcr("TPC", bit(23)), joined(coherency, {"dc ivac, x3"}), 2);
  w.traps(0, hcr("TPC", bit(23)), coherency, 2);
  w.passes(2, hcr("TPC", bit(23)), joined(coherency, {"dc ivac, x3"}));
  w.passes(1, hcr("TPC", bit(23)), {"dc cvau, x3", "ic ivau, x3", "ic iallu"});
  w.passes(0, hcr("TPC", bit(23)) + host(), coherency);
  w.undefined(0, hcr("TPC", bit(23)), {"dc ivac, x3"});

  w.section("D19.2 HCR_EL2.TPU");
  const List unification{"dc cvau, x3", "ic ivau, x3"};
  w.traps(1, hcr("TPU", bit(24)), joined(unification, {"ic iallu", "ic ialluis"}), 2);
  w.traps(0, hcr("TPU", bit(24)), unification, 2);
  w.passes(2, hcr("TPU", bit(24)), joined(unification, {"ic iallu", "ic ialluis"}));
  w.passes(1, hcr("TPU", bit(24)), {"dc cvac, x3", "dc civac, x3", "dc ivac, x3"});
  w.passes(0, hcr("TPU", bit(24)) + host(), unification);
  w.undefined(0, kNothing, {"ic iallu", "ic ialluis"});

  w.section("D19.2 HCR_EL2.TSW");
  const List set_way{"dc isw, x3", "dc csw, x3", "dc cisw, x3"};
  w.traps(1, hcr("TSW", bit(22)), set_way, 2);
  w.passes(1, kNothing, set_way);
  w.passes(2, hcr("TSW", bit(22)), set_way);
  w.undefined(0, hcr("TSW", bit(22)), set_way);

  w.section("D19.2 HCR_EL2.TDZ, SCTLR_EL1.DZE");
  const Named no_dze = clear("SCTLR_EL1.DZE", &Controls::sctlr_el1, bit(14));
  const List zero{"dc zva, x3"};
  w.passes(0, kNothing, zero);
  w.traps(0, no_dze, zero, 1);
  w.traps(0, no_dze + hcr("TDZ", bit(28)), zero, 1);
  w.traps(0, no_dze + tge(), zero, 2);
  w.traps(0, hcr("TDZ", bit(28)), zero, 2);
  w.traps(1, hcr("TDZ", bit(28)), zero, 2);
  w.passes(1, no_dze, zero);
  w.passes(2, no_dze + hcr("TDZ", bit(28)), zero);
  w.passes(0, no_dze + host() + hcr("TDZ", bit(28)), zero);
  w.traps(0, host() + clear("SCTLR_EL2.DZE", &Controls::sctlr_el2, bit(14)), zero, 2);

  w.section("D19.2 HCR_EL2.TTLB");
  const List tlb{"tlbi vmalle1",      "tlbi vae1, x3",    "tlbi aside1, x3",  "tlbi vaae1, x3",
                 "tlbi vale1, x3",    "tlbi vaale1, x3",  "tlbi vmalle1is",   "tlbi vae1is, x3",
                 "tlbi aside1is, x3", "tlbi vaae1is, x3", "tlbi vale1is, x3", "tlbi vaale1is, x3"};
  const List el2_tlb{"tlbi alle1",        "tlbi alle1is",       "tlbi alle2",       "tlbi alle2is",
                     "tlbi vae2, x3",     "tlbi vae2is, x3",    "tlbi vale2, x3",   "tlbi vale2is, x3",
                     "tlbi vmalls12e1",   "tlbi vmalls12e1is",  "tlbi ipas2e1, x3", "tlbi ipas2e1is, x3",
                     "tlbi ipas2le1, x3", "tlbi ipas2le1is, x3"};
  w.traps(1, hcr("TTLB", bit(25)), tlb, 2);
  w.passes(1, kNothing, tlb);
  w.passes(2, hcr("TTLB", bit(25)), joined(tlb, el2_tlb));
  w.undefined(0, hcr("TTLB", bit(25)), tlb);
  w.undefined(1, hcr("TTLB", bit(25)), el2_tlb);
  w.undefined(0, tge(), tlb);

  w.section("C5.5 AT");
  const List stage_one{"at s1e1r, x3", "at s1e1w, x3", "at s1e0r, x3", "at s1e0w, x3"};
  const List of_el2{"at s1e2r, x3", "at s1e2w, x3", "at s12e1r, x3", "at s12e1w, x3", "at s12e0r, x3", "at s12e0w, x3"};
  w.passes(1, kNothing, stage_one);
  w.passes(2, kNothing, joined(stage_one, of_el2));
  w.undefined(1, kNothing, of_el2);
  w.undefined(0, kNothing, joined(stage_one, of_el2));
}

// --- waiting, floating point, calls ----------------------------------------------------------------------------------

void waiting(Writer& w) {
  struct Kind {
    const char* instruction;
    unsigned user_bit, trap_bit;
    std::uint32_t iss;
  };
  for (const Kind kind : {Kind{"wfi", 16, 13, kAlways}, Kind{"wfe", 18, 14, kAlways | 1}}) {
    const Named trap = hcr(kind.instruction == std::string("wfi") ? "TWI" : "TWE", bit(kind.trap_bit));
    const Named no_user = clear("SCTLR_EL1.nTWx", &Controls::sctlr_el1, bit(kind.user_bit));
    const Named no_host_user = host() + clear("SCTLR_EL2.nTWx", &Controls::sctlr_el2, bit(kind.user_bit));
    const List line{kind.instruction};
    w.section("D19.2 HCR_EL2.TWI, TWE; SCTLR_EL1.nTWI, nTWE");
    if (kind.instruction == std::string("wfe")) w.without_witness();
    w.traps(1, trap, line, 2, kWaiting, kind.iss);
    w.traps(0, trap, line, 2, kWaiting, kind.iss);
    w.traps(0, no_user, line, 1, kWaiting, kind.iss);
    w.traps(0, no_user + trap, line, 1, kWaiting, kind.iss);
    w.traps(0, no_user + tge(), line, 2, kWaiting, kind.iss);
    w.without_witness();
    w.traps(0, no_host_user, line, 2, kWaiting, kind.iss);
    w.passes(0, kNothing, line);
    w.passes(1, no_user, line);
    w.passes(2, trap + no_user, line);
    w.passes(0, no_user + trap + host(), line);
  }
}

void floating_point(Writer& w) {
  const List uses{"fadd s0, s1, s2", "movi v0.4s, #1", "mrs x3, fpcr", "msr fpcr, x3", "mrs x3, fpsr", "msr fpsr, x3"};
  const auto cpacr = [](unsigned value) {
    return Named{"CPACR_EL1.FPEN = " + std::to_string(value), [value](Controls& c) { c.cpacr = bit(20) * value; }};
  };
  const auto cptr = [](unsigned value) {
    return Named{"CPTR_EL2.FPEN = " + std::to_string(value), [value](Controls& c) { c.cptr = bit(20) * value; }};
  };
  const Named tfp = set("CPTR_EL2.TFP", &Controls::cptr, bit(10));
  w.section("D19.2 CPACR_EL1.FPEN");
  for (const unsigned level : {0U, 1U, 2U}) w.passes(level, kNothing, uses);
  for (const unsigned value : {0U, 2U}) {
    w.traps(0, cpacr(value), uses, 1, kSimd, kAlways);
    w.traps(1, cpacr(value), uses, 1, kSimd, kAlways);
    w.passes(2, cpacr(value), uses);
  }
  w.traps(0, cpacr(1), uses, 1, kSimd, kAlways);
  w.passes(1, cpacr(1), uses);
  w.traps(0, cpacr(0) + tfp, uses, 1, kSimd, kAlways);
  w.section("D19.2 CPTR_EL2.TFP");
  for (const unsigned level : {0U, 1U, 2U}) w.traps(level, tfp, uses, 2, kSimd, kAlways);
  w.section("D19.2 CPTR_EL2.FPEN");
  w.traps(1, guest_of_host() + cptr(0), uses, 2, kSimd, kAlways);
  w.traps(0, guest_of_host() + cptr(2), uses, 2, kSimd, kAlways);
  w.traps(2, guest_of_host() + cptr(0), uses, 2, kSimd, kAlways);
  w.passes(1, guest_of_host() + cptr(1), uses);
  w.passes(0, guest_of_host() + cptr(1), uses);
  w.passes(2, host() + cptr(1), uses);
  w.traps(0, host() + cptr(1), uses, 2, kSimd, kAlways);
  w.passes(0, host() + cptr(3) + cpacr(0), uses);
  w.section("D19.2 HCR_EL2.TGE");
  w.traps(0, cpacr(0) + tge(), {"fadd s0, s1, s2", "movi v0.4s, #1"}, 2, kUnknown, 0);

  w.section("D19.2 CPTR_EL2.TCPAC");
  const Named tcpac = set("CPTR_EL2.TCPAC", &Controls::cptr, bit(31));
  w.traps(1, tcpac, both({"cpacr_el1"}), 2);
  w.traps(1, guest_of_host() + tcpac, both({"cpacr_el1"}), 2);
  w.passes(1, kNothing, both({"cpacr_el1"}));
  w.passes(2, tcpac, both({"cpacr_el1"}));
  w.undefined(0, tcpac, both({"cpacr_el1"}));
}

void calls(Writer& w) {
  const Named hcd = hcr("HCD, TSC", bit(29) | bit(19));
  w.section("C6.2 SVC");
  w.traps(0, kNothing, {"svc #0x1234"}, 1, 0x15, 0x1234);
  w.traps(1, kNothing, {"svc #1"}, 1, 0x15, 1);
  w.traps(2, kNothing, {"svc #0xffff"}, 2, 0x15, 0xffff);
  w.traps(0, tge(), {"svc #7"}, 2, 0x15, 7);
  w.traps(0, host(), {"svc #8"}, 2, 0x15, 8);
  w.section("C6.2 HVC; D19.2 HCR_EL2.HCD");
  w.undefined(0, kNothing, {"hvc #1"});
  w.undefined(0, tge(), {"hvc #1"});
  w.traps(1, kNothing, {"hvc #0x4321"}, 2, 0x16, 0x4321);
  w.traps(2, kNothing, {"hvc #2"}, 2, 0x16, 2);
  w.undefined(1, hcd, {"hvc #1"});
  w.undefined(2, hcd, {"hvc #1"});
  w.section("C6.2 SMC; D19.2 HCR_EL2.TSC");
  w.traps(1, hcr("TSC", bit(19)), {"smc #0x2345", "smc #0"}, 2, 0x17, 0);
  w.undefined(0, hcr("TSC", bit(19)), {"smc #1"});
  w.without_witness();
  w.passes(1, kNothing, {"smc #0"});
  w.passes(2, hcr("TSC", bit(19)), {"smc #0"});
  w.section("C6.2 ERET");
  w.undefined(0, kNothing, {"eret"});
  w.undefined(0, tge(), {"eret"});
  w.without_witness();
  w.passes(1, kNothing, {"eret"});
  w.passes(2, kNothing, {"eret"});
}

void process_state(Writer& w) {
  const List immediate{"msr daifset, #15", "msr daifclr, #3"}, masks = both({"daif"});
  const Named no_uma = clear("SCTLR_EL1.UMA", &Controls::sctlr_el1, bit(9));
  w.section("D19.2 SCTLR_EL1.UMA");
  w.passes(0, kNothing, masks);
  w.traps(0, no_uma, masks, 1);
  w.traps(0, no_uma + tge(), masks, 2);
  w.traps(0, host(), masks, 2);
  w.passes(1, no_uma, masks);
  w.passes(2, no_uma, joined(immediate, masks));
  w.passes(0, kNothing, immediate);
  w.passes(1, no_uma, immediate);
  w.without_witness();
  w.traps(0, no_uma, immediate, 1);
  w.traps(0, no_uma + tge(), immediate, 2);
  w.traps(0, host(), immediate, 2);
  w.section("C5.2 SPSel, CurrentEL, SP_EL0");
  w.undefined(0, kNothing, {"msr spsel, #1", "mrs x3, spsel", "msr spsel, x3", "mrs x3, currentel", "mrs x3, sp_el0"});
  w.passes(1, kNothing, {"msr spsel, #1", "mrs x3, spsel", "msr spsel, x3", "mrs x3, currentel", "mrs x3, sp_el0"});
  w.undefined(1, kNothing, {"msr S3_0_C4_C2_2, x3", "mrs x3, sp_el1", "msr sp_el1, x3", "mrs x3, S3_6_C4_C1_0"});
  w.passes(2, kNothing, {"mrs x3, sp_el1", "msr sp_el1, x3", "mrs x3, sp_el0"});
  const Named sp0{"PSTATE.SP clear", [](Controls& c) { c.stack_pointer_select = false; }};
  w.undefined(1, sp0, both({"sp_el0"}));
  w.undefined(2, sp0, both({"sp_el0"}));
  w.passes(0, kNothing, both({"nzcv", "tpidr_el0"}));
  w.section("C5.2 PAN, without FEAT_PAN");
  w.undefined(1, kNothing, {"msr pan, #1", "mrs x3, pan", "msr pan, x3", "at s1e1rp, x3"});
  w.section("D19.2 TPIDRRO_EL0");
  w.passes(0, kNothing, {"mrs x3, tpidrro_el0"});
  w.undefined(0, kNothing, {"msr tpidrro_el0, x3"});
  w.passes(1, kNothing, both({"tpidrro_el0"}));
}

// --- timers ----------------------------------------------------------------------------------------------------------

void timers(Writer& w) {
  const List physical = both({"cntp_ctl_el0", "cntp_cval_el0", "cntp_tval_el0"});
  const List virtual_timer = both({"cntv_ctl_el0", "cntv_cval_el0", "cntv_tval_el0"});
  const auto no = [](const std::string& name, unsigned number) {
    return clear("CNTKCTL_EL1." + name, &Controls::cntkctl, bit(number));
  };
  const auto hyp_no = [](const std::string& name, unsigned number) {
    return clear("CNTHCTL_EL2." + name, &Controls::cnthctl, bit(number));
  };
  struct Group {
    List lines;
    std::string user_name;
    unsigned user_bit;
  };
  w.section("D19 CNTKCTL_EL1; CNTHCTL_EL2 with E2H and TGE");
  for (const Group& group :
       {Group{physical, "EL0PTEN", 9}, Group{virtual_timer, "EL0VTEN", 8}, Group{{"mrs x3, cntpct_el0"}, "EL0PCTEN", 0},
        Group{{"mrs x3, cntvct_el0"}, "EL0VCTEN", 1}}) {
    w.passes(0, kNothing, group.lines);
    w.traps(0, no(group.user_name, group.user_bit), group.lines, 1);
    w.traps(0, no(group.user_name, group.user_bit) + tge(), group.lines, 2);
    w.passes(1, no(group.user_name, group.user_bit), group.lines);
    w.passes(0, no(group.user_name, group.user_bit) + host(), group.lines);
    w.traps(0, host() + hyp_no(group.user_name, group.user_bit), group.lines, 2);
  }
  w.passes(0, no("EL0PCTEN", 0), {"mrs x3, cntfrq_el0"});
  w.passes(0, no("EL0VCTEN", 1), {"mrs x3, cntfrq_el0"});
  w.traps(0, no("EL0PCTEN", 0) + no("EL0VCTEN", 1), {"mrs x3, cntfrq_el0"}, 1);
  w.traps(0, no("EL0PCTEN", 0) + no("EL0VCTEN", 1) + tge(), {"mrs x3, cntfrq_el0"}, 2);
  w.traps(0, host() + hyp_no("EL0PCTEN", 0) + hyp_no("EL0VCTEN", 1), {"mrs x3, cntfrq_el0"}, 2);
  w.passes(0, host() + hyp_no("EL0PCTEN", 0), {"mrs x3, cntfrq_el0"});
  w.undefined(1, kNothing, {"msr cntfrq_el0, x3", "msr S3_3_C14_C0_1, x3"});
  w.undefined(0, kNothing, {"msr cntfrq_el0, x3"});
  w.passes(2, kNothing, {"msr cntfrq_el0, x3"});

  w.section("D19 CNTHCTL_EL2");
  w.traps(1, hyp_no("EL1PCEN", 1), physical, 2);
  w.traps(0, hyp_no("EL1PCEN", 1), physical, 2);
  w.traps(0, no("EL0PTEN", 9) + hyp_no("EL1PCEN", 1), physical, 1);
  w.passes(2, hyp_no("EL1PCEN", 1), physical);
  w.passes(1, hyp_no("EL1PCEN", 1), virtual_timer);
  w.traps(1, hyp_no("EL1PCTEN", 0), {"mrs x3, cntpct_el0"}, 2);
  w.passes(1, hyp_no("EL1PCTEN", 0), {"mrs x3, cntvct_el0"});
  w.traps(1, guest_of_host() + hyp_no("EL1PTEN", 11), physical, 2);
  w.traps(0, guest_of_host() + hyp_no("EL1PTEN", 11), physical, 2);
  w.traps(1, guest_of_host() + hyp_no("EL1PCTEN", 10), {"mrs x3, cntpct_el0"}, 2);
  w.traps(0, guest_of_host() + hyp_no("EL1PCTEN", 10), {"mrs x3, cntpct_el0"}, 2);
  w.passes(1, guest_of_host() + hyp_no("EL0PTEN", 9) + hyp_no("EL0PCTEN", 0), physical);
  w.without_witness();
  w.traps(0, hyp_no("EL1PCTEN", 0), {"mrs x3, cntpct_el0"}, 2);
}

// --- performance monitors and debug ----------------------------------------------------------------------------------

void monitors(Writer& w) {
  const List user_only = both({"pmcr_el0", "pmcntenset_el0", "pmcntenclr_el0", "pmovsclr_el0", "pmovsset_el0",
                               "pmxevtyper_el0", "pmccfiltr_el0"});
  const List kernel_only = both({"pmintenset_el1", "pmintenclr_el1"});
  const auto enable = [](const std::string& name, std::uint64_t value) {
    return Named{"PMUSERENR_EL0 = " + name, [value](Controls& c) { c.pmuserenr = value; }};
  };
  const Named tpm = set("MDCR_EL2.TPM", &Controls::mdcr, bit(6));
  const Named tpmcr = set("MDCR_EL2.TPMCR", &Controls::mdcr, bit(5));
  w.section("D19.5 PMUSERENR_EL0");
  w.passes(0, enable("EN", 1), user_only);
  w.traps(0, enable("CR, ER, SW", 0xe), user_only, 1);
  w.traps(0, enable("0", 0) + tge(), {"mrs x3, pmcr_el0", "msr pmcr_el0, x3"}, 2);
  w.passes(1, enable("0", 0), user_only);
  w.passes(0, enable("CR", 4), {"mrs x3, pmccntr_el0"});
  w.traps(0, enable("CR", 4), {"msr pmccntr_el0, x3"}, 1);
  w.traps(0, enable("ER, SW", 0xa), both({"pmccntr_el0"}), 1);
  w.passes(0, enable("ER", 8), both({"pmselr_el0"}));
  w.traps(0, enable("CR, SW", 6), both({"pmselr_el0"}), 1);
  w.passes(0, enable("ER", 8), {"mrs x3, pmxevcntr_el0"});
  w.traps(0, enable("ER", 8), {"msr pmxevcntr_el0, x3"}, 1);
  w.passes(0, enable("SW", 2), {"msr pmswinc_el0, x3"});
  w.traps(0, enable("CR, ER", 0xc), {"msr pmswinc_el0, x3"}, 1);
  w.passes(0, enable("0", 0), {"mrs x3, pmuserenr_el0"});
  w.undefined(0, enable("EN", 1), joined({"msr pmuserenr_el0, x3"}, kernel_only));
  w.section("D19.3 MDCR_EL2.TPM, TPMCR");
  w.traps(1, tpm, joined(user_only, kernel_only), 2);
  w.traps(1, tpm, both({"pmccntr_el0", "pmselr_el0", "pmxevcntr_el0", "pmuserenr_el0"}), 2);
  w.traps(0, tpm, joined(user_only, {"mrs x3, pmuserenr_el0"}), 2);
  w.traps(0, enable("0", 0) + tpm, {"mrs x3, pmcr_el0", "mrs x3, pmccntr_el0"}, 1);
  w.passes(2, tpm + tpmcr, joined(user_only, kernel_only));
  w.passes(1, tpmcr, both({"pmcntenset_el0", "pmccntr_el0"}));
  w.without_witness();
  w.traps(1, tpmcr, both({"pmcr_el0"}), 2);
  w.traps(0, tpmcr, both({"pmcr_el0"}), 2);
}

void debug(Writer& w) {
  const auto mdcr = [](const std::string& name, unsigned number) {
    return set("MDCR_EL2." + name, &Controls::mdcr, bit(number));
  };
  const List general = both({"mdscr_el1", "mdccint_el1", "dbgbvr0_el1", "dbgbcr0_el1", "dbgwvr0_el1", "dbgwcr0_el1",
                             "dbgbvr1_el1", "dbgwcr1_el1"});
  const List lock{"msr oslar_el1, x3", "mrs x3, oslsr_el1", "mrs x3, osdlr_el1", "msr osdlr_el1, x3"};
  const List rom{"mrs x3, mdrar_el1"};
  w.section("D19.3 MDCR_EL2.TDA, TDOSA, TDRA");
  w.traps(1, mdcr("TDA", 9), general, 2);
  w.traps(1, mdcr("TDOSA", 10), lock, 2);
  w.traps(1, mdcr("TDRA", 11), rom, 2);
  w.passes(1, mdcr("TDA", 9), joined(lock, rom));
  w.passes(1, mdcr("TDOSA", 10), joined(general, rom));
  w.passes(1, mdcr("TDRA", 11), joined(general, lock));
  w.passes(2, mdcr("TDA, TDOSA, TDRA", 9) + mdcr("TDOSA", 10) + mdcr("TDRA", 11), joined(general, joined(lock, rom)));
  w.section("D19.3 MDCR_EL2.TDE");
  w.traps(1, mdcr("TDE", 8), joined(general, joined(lock, rom)), 2);
  w.section("D19.3 OSLAR_EL1, OSLSR_EL1");
  w.undefined(0, kNothing, joined(general, joined(lock, rom)));
  w.undefined(1, kNothing, {"mrs x3, S2_0_C1_C0_4", "msr S2_0_C1_C1_4, x3", "msr S2_0_C1_C0_0, x3"});
  w.section("D19.3 MDSCR_EL1.TDCC").without_witness();
  const List channel{"mrs x3, mdccsr_el0", "mrs x3, dbgdtr_el0", "msr dbgdtr_el0, x3"};
  const Named tdcc = set("MDSCR_EL1.TDCC", &Controls::mdscr, bit(12));
  w.passes(0, kNothing, channel);
  w.traps(0, tdcc, channel, 1);
  w.traps(0, tdcc + tge(), channel, 2);
  w.traps(0, tge(), channel, 2);
  w.traps(0, mdcr("TDA", 9), channel, 2);
  w.traps(0, tdcc + mdcr("TDA", 9), channel, 1);
  w.traps(1, mdcr("TDA", 9), channel, 2);
  w.passes(1, tdcc, channel);
}

// --- interrupt controller --------------------------------------------------------------------------------------------

void interrupts(Writer& w) {
  const auto ich = [](const std::string& name, unsigned number) {
    return set("ICH_HCR_EL2." + name, &Controls::ich_hcr, bit(number));
  };
  const List common = joined(both({"icc_ctlr_el1", "icc_pmr_el1"}), {"mrs x3, icc_rpr_el1", "msr icc_dir_el1, x3"});
  const List sending{"msr icc_sgi0r_el1, x3", "msr icc_sgi1r_el1, x3", "msr icc_asgi1r_el1, x3"};
  const List group0 = joined(both({"icc_bpr0_el1", "icc_ap0r0_el1", "icc_igrpen0_el1"}),
                             {"mrs x3, icc_iar0_el1", "msr icc_eoir0_el1, x3", "mrs x3, icc_hppir0_el1"});
  const List group1 = joined(both({"icc_bpr1_el1", "icc_ap1r0_el1", "icc_igrpen1_el1"}),
                             {"mrs x3, icc_iar1_el1", "msr icc_eoir1_el1, x3", "mrs x3, icc_hppir1_el1"});
  const List all = joined(common, joined(sending, joined(group0, group1)));
  const Named imo = hcr("IMO", bit(4)), fmo = hcr("FMO", bit(3));
  w.section("IHI 0069, 12.4 ICH_HCR_EL2.TC");
  w.traps(1, ich("TC", 10), joined(common, sending), 2);
  w.passes(1, ich("TC", 10), joined(group0, group1));
  w.traps(1, ich("TC", 10) + imo + fmo, joined(common, sending), 2);
  w.section("IHI 0069, 12.4 ICH_HCR_EL2.TALL0");
  w.traps(1, ich("TALL0", 11), group0, 2);
  w.passes(1, ich("TALL0", 11), joined(group1, common));
  w.traps(1, ich("TALL0", 11) + fmo, group0, 2);
  w.section("IHI 0069, 12.4 ICH_HCR_EL2.TALL1");
  w.traps(1, ich("TALL1", 12), group1, 2);
  w.passes(1, ich("TALL1", 12), joined(group0, common));
  w.traps(1, ich("TALL1", 12) + imo, group1, 2);
  w.section("IHI 0069, 12.4 ICH_HCR_EL2.TDIR");
  w.traps(1, ich("TDIR", 14), {"msr icc_dir_el1, x3"}, 2);
  w.passes(1, ich("TDIR", 14), {"mrs x3, icc_ctlr_el1", "msr icc_eoir1_el1, x3"});
  w.section("IHI 0069, 12.2 ICC_SGI1R_EL1");
  w.traps(1, imo, sending, 2);
  w.traps(1, fmo, sending, 2);
  w.passes(1, imo + fmo, joined(common, joined(group0, group1)));
  w.section("IHI 0069, 12.2");
  w.passes(1, kNothing, all);
  w.passes(2, ich("TC", 10) + ich("TALL0", 11) + ich("TALL1", 12) + ich("TDIR", 14) + imo + fmo, all);
  w.undefined(0, kNothing, all);
  w.undefined(1, kNothing,
              {"msr S3_0_C12_C8_0, x3", "mrs x3, S3_0_C12_C12_1", "mrs x3, S3_0_C12_C11_5", "mrs x3, S3_0_C12_C11_1",
               "msr S3_0_C12_C11_3, x3"});
  w.passes(1, kNothing, both({"icc_sre_el1"}));
  const List hypervisor = joined(both({"ich_hcr_el2", "ich_vmcr_el2", "ich_ap0r0_el2", "ich_ap1r0_el2", "ich_lr0_el2",
                                       "ich_lr3_el2", "icc_sre_el2"}),
                                 reads({"ich_vtr_el2", "ich_misr_el2", "ich_eisr_el2", "ich_elrsr_el2"}));
  w.section("IHI 0069, 12.4");
  w.undefined(1, kNothing, hypervisor);
  w.undefined(0, kNothing, hypervisor);
  w.passes(2, kNothing, hypervisor);
  w.undefined(2, kNothing, {"msr S3_4_C12_C11_1, x3", "msr S3_4_C12_C11_3, x3"});
  w.section("IHI 0069, 12.2 ICC_SRE_EL2.Enable, SRE").without_witness();
  const Named disabled = clear("ICC_SRE_EL2.Enable", &Controls::icc_sre_el2, bit(3));
  w.traps(1, disabled, both({"icc_sre_el1"}), 2);
  w.passes(1, disabled, {"mrs x3, icc_iar1_el1"});
  w.passes(2, disabled, both({"icc_sre_el1", "icc_sre_el2"}));
  const Named off = clear("ICC_SRE_EL2.SRE", &Controls::icc_sre_el2, bit(0));
  w.traps(2, off, {"mrs x3, icc_iar1_el1", "mrs x3, ich_vtr_el2", "msr ich_lr0_el2, x3"}, 2);
}

// --- levels and host names -------------------------------------------------------------------------------------------

void levels(Writer& w) {
  const List of_el2{"vpidr_el2",   "vmpidr_el2",  "sctlr_el2",     "actlr_el2",      "hcr_el2",       "mdcr_el2",
                    "cptr_el2",    "hstr_el2",    "hacr_el2",      "ttbr0_el2",      "tcr_el2",       "vttbr_el2",
                    "vtcr_el2",    "spsr_el2",    "elr_el2",       "afsr0_el2",      "afsr1_el2",     "esr_el2",
                    "far_el2",     "hpfar_el2",   "mair_el2",      "amair_el2",      "vbar_el2",      "tpidr_el2",
                    "cntvoff_el2", "cnthctl_el2", "cnthp_ctl_el2", "cnthp_cval_el2", "cnthp_tval_el2"};
  w.section("D19.2 registers of EL2");
  w.undefined(1, kNothing, both(of_el2));
  w.undefined(0, kNothing, reads(of_el2));
  w.undefined(0, tge(), reads(of_el2));
  w.passes(2, kNothing, reads(of_el2));
  w.section("D19.2 registers of EL1");
  const List of_el1{"vbar_el1", "tpidr_el1", "spsr_el1", "elr_el1", "par_el1", "cntkctl_el1", "isr_el1"};
  w.undefined(0, kNothing, reads(of_el1));
  w.undefined(0, tge(), reads(of_el1));
  w.undefined(0, host(), reads(of_el1));
  w.passes(1, kNothing, reads(of_el1));
  w.passes(2, kNothing, reads(of_el1));
  w.section("D19.2 RVBAR_EL1, RVBAR_EL2");
  w.undefined(1, kNothing, {"mrs x3, S3_0_C12_C0_1"});
  w.passes(2, kNothing, {"mrs x3, S3_4_C12_C0_1"});
  w.section("D19.1 encodings that stand for nothing");
  w.undefined(1, kNothing,
              {"mrs x3, S3_0_C1_C15_7", "msr S3_5_C9_C9_5, x3", "mrs x3, S2_7_C3_C3_3", "sys #6, C7, C8, #0, x3",
               "sys #0, C8, C1, #0, x3", "sysl x3, #0, C7, C5, #0", "mrs x3, S3_6_C1_C0_0"});

  const List aliases{"S3_5_C1_C0_0",  "S3_5_C1_C0_2",  "S3_5_C2_C0_0",  "S3_5_C2_C0_1",  "S3_5_C2_C0_2",
                     "S3_5_C4_C0_0",  "S3_5_C4_C0_1",  "S3_5_C5_C1_0",  "S3_5_C5_C1_1",  "S3_5_C5_C2_0",
                     "S3_5_C6_C0_0",  "S3_5_C10_C2_0", "S3_5_C10_C3_0", "S3_5_C12_C0_0", "S3_5_C13_C0_1",
                     "S3_5_C14_C1_0", "S3_5_C14_C2_0", "S3_5_C14_C2_1", "S3_5_C14_C2_2", "S3_5_C14_C3_0",
                     "S3_5_C14_C3_1", "S3_5_C14_C3_2"};
  w.section("D8.2 names in _EL12 and _EL02");
  w.undefined(1, guest_of_host(), reads(aliases));
  w.undefined(0, host(), reads(aliases));
  w.undefined(2, kNothing, reads(aliases));
  w.undefined(1, kNothing, writes(aliases));
  w.passes(2, guest_of_host(), reads(aliases));
  w.passes(2, host(), reads(aliases));
  w.section("D8.2 registers of FEAT_VHE");
  const List of_vhe{"S3_4_C2_C0_1", "S3_4_C13_C0_1", "S3_4_C14_C3_0", "S3_4_C14_C3_1", "S3_4_C14_C3_2"};
  w.passes(2, guest_of_host(), reads(of_vhe));
  w.undefined(1, guest_of_host(), reads(of_vhe));
  w.undefined(2, kNothing, reads(of_vhe));
}

void without_el2(Writer& w) {
  const Named all = hcr("everything", 0x7ffffffff & ~bit(31));
  w.section("D1.1 a core without EL2");
  w.without_el2(1, kNothing,
                {"hvc #1", "mrs x3, hcr_el2", "msr hcr_el2, x3", "mrs x3, vttbr_el2", "mrs x3, sp_el1", "at s1e2r, x3",
                 "tlbi alle1", "mrs x3, ich_vtr_el2", "mrs x3, icc_sre_el2"},
                1);
  w.without_el2(
      1, all,
      joined(both({"sctlr_el1", "ttbr0_el1", "actlr_el1", "pmcr_el0", "cntp_ctl_el0", "cpacr_el1"}),
             {"mrs x3, id_aa64pfr0_el1", "mrs x3, rvbar_el1", "msr cntfrq_el0, x3", "dc cisw, x3", "tlbi vmalle1",
              "wfi", "wfe", "fadd s0, s1, s2", "msr icc_sgi1r_el1, x3", "mrs x3, midr_el1", "smc #0"}),
      0);
  w.without_el2(0, all, {"svc #3"}, 1, 0x15, 3);
  w.without_el2(0, all, {"mrs x3, sctlr_el1", "hvc #0"}, 1);
  w.without_el2(0, all + clear("SCTLR_EL1.UCT", &Controls::sctlr_el1, bit(15)), {"mrs x3, ctr_el0"}, 1, kSystem);
  w.without_el2(0, all + Named{"CPACR_EL1.FPEN = 0", [](Controls& c) { c.cpacr = 0; }}, {"fadd s0, s1, s2"}, 1, kSimd,
                kAlways);
}

}  // namespace

Outcome TrapCase::expected(std::uint32_t word) const {
  if (exception_class == 0x17) return {target, exception_class, word >> 5 & 0xffff};
  if (exception_class != kSystem) return {target, exception_class, iss};
  // ISS of class 0x18 (D19.2.37): Op0, Op2, Op1, CRn, Rt, CRm, Direction.
  const std::uint32_t op0 = word >> 19 & 3, op1 = word >> 16 & 7, crn = word >> 12 & 15, crm = word >> 8 & 15,
                      op2 = word >> 5 & 7, rt = word & 31, direction = word >> 21 & 1;
  return {target, exception_class,
          op0 * 0x100000 + op2 * 0x20000 + op1 * 0x4000 + crn * 0x400 + rt * 0x20 + crm * 2 + direction};
}

std::string TrapCase::name() const {
  return section + ": " + instruction + " at EL" + std::to_string(level) + (changed.empty() ? "" : ", " + changed) +
         (has_el2 ? "" : ", no EL2");
}

std::vector<TrapCase> trap_cases() {
  std::vector<TrapCase> cases;
  Writer writer(cases);
  for (const auto group : {translation, identification, maintenance, waiting, floating_point, calls, process_state,
                           timers, monitors, debug, interrupts, levels, without_el2})
    group(writer);
  return cases;
}

}  // namespace shearling::arm::testing
