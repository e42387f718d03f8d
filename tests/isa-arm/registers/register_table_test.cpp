// SPDX-License-Identifier: GPL-3.0-or-later
//
// The register table against itself and against the assembler: encodings, fields, reserved bits, aliases, features,
// what writes leave behind, FEAT_VHE's redirections, and values in words.
#include <QtTest>
#include <algorithm>
#include <bit>
#include <map>
#include <random>
#include <set>

#include "assembler.h"
#include "core/machine/machine_config.h"
#include "isa-arm/registers/arm_state.h"
#include "isa-arm/registers/trap_rules.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;

namespace {

using R = SystemRegister;

MachineConfig config_with(std::vector<std::string> features) {
  MachineConfig config;
  config.cpu_features = std::move(features);
  return config;
}
MachineConfig everything() { return config_with({"el2", "vhe", "pan", "hafdbs", "granule-16k", "xnx"}); }

ArmState reset_state(const MachineConfig& config, unsigned cpu = 0) {
  ArmState state;
  reset_system_registers(state, config, cpu);
  return state;
}

std::uint64_t mask_of(unsigned high, unsigned low) {
  std::uint64_t mask = 0;
  for (unsigned number = low; number <= high; ++number) mask |= std::uint64_t{1} << number;
  return mask;
}

}  // namespace

class RegisterTableTest : public QObject {
  Q_OBJECT

 private slots:
  void every_register_has_its_row() {
    const auto table = system_register_table();
    QCOMPARE(table.size(), kSystemRegisterCount);
    for (std::size_t i = 0; i < table.size(); ++i) {
      QCOMPARE(static_cast<std::size_t>(table[i].id), i);
      QVERIFY2(!table[i].name.empty() && !table[i].group.empty() && !table[i].section.empty(), table[i].name.data());
      QVERIFY(table[i].read_from <= 3 && table[i].write_from <= 3);
    }
  }

  void encodings_and_names_are_unique() {
    std::map<std::uint32_t, std::string_view> encodings;
    std::set<std::string_view> names;
    const auto add = [&](SystemEncoding encoding, std::string_view name) {
      const auto [place, is_new] = encodings.emplace(encoding.packed(), name);
      QVERIFY2(is_new, (std::string(name) + " and " + std::string(place->second)).c_str());
      QVERIFY2(names.insert(name).second, std::string(name).c_str());
      QCOMPARE(name_of(encoding), name);
    };
    for (const SystemRegisterInfo& info : system_register_table()) add(info.encoding, info.name);
    for (const HostRedirection& redirection : host_redirections()) add(redirection.alias_encoding(), redirection.alias);
    for (const SystemInstructionInfo& info : system_instruction_table()) add(info.encoding, info.name);
  }

  void encodings_are_the_assemblers() {
    std::vector<std::string> lines;
    std::vector<SystemEncoding> encodings;
    const auto add = [&](const std::string& line, SystemEncoding encoding) {
      lines.push_back(line);
      encodings.push_back(encoding);
    };
    for (const SystemRegisterInfo& info : system_register_table()) {
      const std::string name(info.name);
      if (info.read_from < 3) add("mrs x3, " + name, info.encoding);
      if (info.write_from < 3) add("msr " + name + ", x3", info.encoding);
    }
    for (const HostRedirection& redirection : host_redirections())
      add("mrs x3, " + std::string(redirection.alias), redirection.alias_encoding());
    for (const SystemInstructionInfo& info : system_instruction_table()) {
      static const std::set<std::string_view> kAlone{
          "IC IALLUIS",   "IC IALLU",          "TLBI VMALLE1IS", "TLBI VMALLE1", "TLBI ALLE2IS",
          "TLBI ALLE1IS", "TLBI VMALLS12E1IS", "TLBI ALLE2",     "TLBI ALLE1",   "TLBI VMALLS12E1"};
      add(std::string(info.name) + (kAlone.count(info.name) != 0 ? "" : ", x3"), info.encoding);
    }
    const std::vector<std::uint32_t> words = assemble(lines);
    QCOMPARE(words.size(), lines.size());
    for (std::size_t i = 0; i < words.size(); ++i)
      QVERIFY2(SystemEncoding::of_instruction(words[i]) == encodings[i], lines[i].c_str());
  }

  void fields_lie_within_the_register_and_apart() {
    for (const SystemRegisterInfo& info : system_register_table()) {
      std::uint64_t taken = 0;
      for (const RegisterField& field : info.fields) {
        QVERIFY2(field.high < 64 && field.low <= field.high, info.name.data());
        const std::uint64_t mask = mask_of(field.high, field.low);
        QVERIFY2((taken & mask) == 0, (std::string(info.name) + "." + std::string(field.name)).c_str());
        QVERIFY2(field.meaning.ends_with('.'), (std::string(info.name) + "." + std::string(field.name)).c_str());
        taken |= mask;
      }
    }
  }

  void reset_values_respect_the_reserved_bits() {
    for (const SystemRegisterInfo& info : system_register_table()) {
      QVERIFY2((info.reset & info.always_one) == info.always_one, info.name.data());
      QVERIFY2((info.writable & info.always_one) == 0 || info.name == "HCR_EL2" || info.name == "VMPIDR_EL2",
               info.name.data());
      const bool has_read_only_fields =
          info.home == RegisterHome::Constant || info.write_from == 3 || info.id == R::PMCR_EL0;  // IMP and IDCODE
      if (!has_read_only_fields) QVERIFY2((info.reset & ~(info.writable | info.always_one)) == 0, info.name.data());
    }
  }

  void writing_the_reset_value_changes_nothing() {
    for (const MachineConfig& config : {config_with({}), config_with({"el2"}), everything()}) {
      const ArmState state = reset_state(config);
      for (const SystemRegisterInfo& info : system_register_table()) {
        const bool exists = info.feature.empty() || has_feature(config, info.feature);
        if (info.home != RegisterHome::Stored || info.write_from == 3 || info.id == R::OSLAR_EL1 || !exists) continue;
        ArmState written = state;
        write_stored(written, config, info.id, state[info.id]);
        QVERIFY2(written.system == state.system, info.name.data());
      }
    }
  }

  void reserved_bits_stay_what_they_are_whatever_is_written() {
    std::mt19937_64 random(0x5ea1);
    qInfo("seed 0x5ea1");
    const MachineConfig config = everything();
    for (const SystemRegisterInfo& info : system_register_table()) {
      if (info.home != RegisterHome::Stored || info.write_from == 3) continue;
      ArmState state = reset_state(config);
      for (int i = 0; i < 20; ++i) write_stored(state, config, info.id, random());
      const std::uint64_t value = state[info.id];
      QVERIFY2((value & info.always_one) == info.always_one, info.name.data());
      if (info.id != R::PMCR_EL0) QVERIFY2((value & ~(info.writable | info.always_one)) == 0, info.name.data());
    }
  }

  void every_alias_is_its_registers() {
    const MachineConfig config = everything();
    EventStream events;
    QCOMPARE(host_redirections().size(), std::size_t{22});
    for (const HostRedirection& redirection : host_redirections()) {
      const std::string_view name = info_of(redirection.reg).name, suffix = name.substr(name.size() - 4);
      QCOMPARE(std::string(redirection.alias),
               std::string(name.substr(0, name.size() - 4)) + (suffix == "_EL1" ? "_EL12" : "_EL02"));
      ArmState state = reset_state(config);
      state.exception_level = 2;
      const auto meant = [&](SystemEncoding encoding) {
        return decide_system_access(state, config, encoding, true, 0, events).reg;
      };
      const SystemEncoding plain = info_of(redirection.reg).encoding;
      QCOMPARE(meant(plain), redirection.reg);
      state[R::HCR_EL2] |= hcr::kE2h;
      QCOMPARE(meant(plain), redirection.host);
      QCOMPARE(meant(redirection.alias_encoding()), redirection.reg);
      QCOMPARE(meant(info_of(redirection.host).encoding), redirection.host);
      state.exception_level = 1;
      state[R::CNTHCTL_EL2] = 0xfff;
      QCOMPARE(meant(plain), redirection.reg);
    }
  }

  void a_hosted_el0_has_the_hosts_timers() {
    const MachineConfig config = everything();
    EventStream events;
    ArmState state = reset_state(config);
    state.exception_level = 0;
    state[R::CNTHCTL_EL2] = 0xfff;
    state[R::CNTKCTL_EL1] = 0x3ff;
    const auto meant = [&](R reg) {
      return decide_system_access(state, config, info_of(reg).encoding, true, 0, events).reg;
    };
    QCOMPARE(meant(R::CNTP_CVAL_EL0), R::CNTP_CVAL_EL0);
    state[R::HCR_EL2] |= hcr::kE2h | hcr::kTge;
    QCOMPARE(meant(R::CNTP_CVAL_EL0), R::CNTHP_CVAL_EL2);
    QCOMPARE(meant(R::CNTV_CTL_EL0), R::CNTHV_CTL_EL2);
    QCOMPARE(meant(R::CNTVCT_EL0), R::CNTVCT_EL0);
  }

  void el1_reads_the_identity_that_el2_gives_it() {
    EventStream events;
    for (const bool el2 : {false, true}) {
      const MachineConfig config = el2 ? config_with({"el2"}) : config_with({});
      ArmState state = reset_state(config);
      const auto meant = [&](R reg) {
        return decide_system_access(state, config, info_of(reg).encoding, true, 0, events).reg;
      };
      QCOMPARE(meant(R::MIDR_EL1), el2 ? R::VPIDR_EL2 : R::MIDR_EL1);
      QCOMPARE(meant(R::MPIDR_EL1), el2 ? R::VMPIDR_EL2 : R::MPIDR_EL1);
      state.exception_level = 2;
      QCOMPARE(meant(R::MIDR_EL1), R::MIDR_EL1);
    }
  }

  void features_show_in_the_identification() {
    const ArmState plain = reset_state(config_with({})), all = reset_state(everything(), 17);
    QCOMPARE(plain[R::ID_AA64PFR0_EL1], 0x01000011U);
    QCOMPARE(all[R::ID_AA64PFR0_EL1], 0x01000111U);
    QCOMPARE(plain[R::ID_AA64MMFR1_EL1], 0U);
    QCOMPARE(all[R::ID_AA64MMFR1_EL1], 0x10200102U);
    QCOMPARE(all[R::ID_AA64MMFR0_EL1] ^ plain[R::ID_AA64MMFR0_EL1], 0x00100000U);
    QCOMPARE(all[R::MPIDR_EL1], 0x80000101U);  // Core 1 of cluster 1.
    QCOMPARE(all[R::VMPIDR_EL2], all[R::MPIDR_EL1]);
    QCOMPARE(plain[R::HCR_EL2], 0U);
    QCOMPARE(unknown_feature(everything()), std::string_view{});
    const MachineConfig misspelt = config_with({"el2", "ehv"});
    QCOMPARE(unknown_feature(misspelt), std::string_view{"ehv"});
    for (const SystemRegisterInfo& info : system_register_table()) {
      const auto known = [&](const FeatureInfo& feature) { return feature.name == info.feature; };
      QVERIFY(info.feature.empty() || std::any_of(feature_table().begin(), feature_table().end(), known));
    }
  }

  void writes_obey_features_and_layouts() {
    const MachineConfig plain = config_with({"el2"}), all = everything();
    ArmState state = reset_state(plain);
    const auto written = [&](const MachineConfig& config, R reg, std::uint64_t value) {
      write_stored(state, config, reg, value);
      return state[reg];
    };
    QCOMPARE(written(plain, R::HCR_EL2, hcr::kE2h | hcr::kVm), hcr::kVm | hcr::kRw);
    QCOMPARE(written(plain, R::SCTLR_EL1, 0), 0x30d00980U);  // Without PAN, SPAN reads as one.
    QCOMPARE(written(all, R::SCTLR_EL1, 0), 0x30500980U);
    QCOMPARE(written(plain, R::TCR_EL1, 3ULL << 39), 0U);
    QCOMPARE(written(all, R::TCR_EL1, 3ULL << 39), 3ULL << 39);
    QCOMPARE(written(all, R::CPTR_EL2, ~0ULL), 0x800037ffU);
    QCOMPARE(written(all, R::CNTHCTL_EL2, ~0ULL), 0xffU);
    QCOMPARE(written(all, R::VBAR_EL1, ~0ULL), ~0x7ffULL);
    QCOMPARE(written(all, R::ICC_SRE_EL2, 0), 7U);
    QCOMPARE(written(all, R::HCR_EL2, hcr::kE2h), hcr::kE2h | hcr::kRw);
    QCOMPARE(written(all, R::CPTR_EL2, ~0ULL), 0x80300000U);
    QCOMPARE(written(all, R::CNTHCTL_EL2, ~0ULL), 0xfffU);
    QCOMPARE(written(all, R::SCTLR_EL2, sctlr::kSa0 | sctlr::kUma), 0x30500980U | sctlr::kSa0);
    QCOMPARE(written(all, R::TCR_EL2, 1ULL << 36 | 3ULL << 39), 1ULL << 36 | 3ULL << 39);
  }

  void pairs_of_registers_set_and_clear_the_same_bits() {
    constexpr std::uint64_t kCycleCounter = 1ULL << 31;
    const MachineConfig config = config_with({});
    struct Pair {
      R set, clear;
    };
    for (const Pair pair : {Pair{R::PMCNTENSET_EL0, R::PMCNTENCLR_EL0}, Pair{R::PMINTENSET_EL1, R::PMINTENCLR_EL1},
                            Pair{R::PMOVSSET_EL0, R::PMOVSCLR_EL0}}) {
      ArmState state = reset_state(config);
      write_stored(state, config, pair.set, ~0ULL);
      QCOMPARE(read_stored(state, pair.clear), kCycleCounter);
      write_stored(state, config, pair.clear, 1);
      QCOMPARE(read_stored(state, pair.set), kCycleCounter);
      write_stored(state, config, pair.clear, kCycleCounter);
      QCOMPARE(read_stored(state, pair.set), 0U);
      QCOMPARE(read_stored(state, pair.clear), 0U);
    }
    ArmState state = reset_state(config);
    write_stored(state, config, R::PMXEVTYPER_EL0, kCycleCounter);
    QCOMPARE(read_stored(state, R::PMCCFILTR_EL0), 0U);
    write_stored(state, config, R::PMSELR_EL0, 31);
    write_stored(state, config, R::PMXEVTYPER_EL0, kCycleCounter);
    QCOMPARE(read_stored(state, R::PMCCFILTR_EL0), kCycleCounter);
    QCOMPARE(read_stored(state, R::PMXEVTYPER_EL0), kCycleCounter);
    QCOMPARE(read_stored(state, R::OSLSR_EL1), 0xaU);
    write_stored(state, config, R::OSLAR_EL1, 0);
    QCOMPARE(read_stored(state, R::OSLSR_EL1), 8U);
    write_stored(state, config, R::OSLAR_EL1, ~0ULL);
    QCOMPARE(read_stored(state, R::OSLSR_EL1), 0xaU);
    write_stored(state, config, R::PMCCNTR_EL0, 5);
    write_stored(state, config, R::PMCR_EL0, 4);  // C
    QCOMPARE(read_stored(state, R::PMCCNTR_EL0), 0U);
    QCOMPARE(read_stored(state, R::PMCR_EL0), 0x41010000U);
  }

  void cache_sizes_follow_the_selection() {
    const MachineConfig config = config_with({"el2"});
    ArmState state = reset_state(config);
    // Sets, ways and line as CCSIDR_EL1 has them: NumSets 27:13, Associativity 12:3, LineSize 2:0.
    const auto kilobytes = [&](std::uint64_t selection) {
      write_stored(state, config, R::CSSELR_EL1, selection);
      const std::uint64_t value = read_stored(state, R::CCSIDR_EL1);
      return ((value >> 13 & 0x7fff) + 1) * ((value >> 3 & 0x3ff) + 1) * (std::uint64_t{16} << (value & 7)) / 1024;
    };
    QCOMPARE(kilobytes(0), 32U);
    QCOMPARE(kilobytes(1), 48U);
    QCOMPARE(kilobytes(2), 2048U);
    // DCZID_EL0.DZP says whether DC ZVA would trap here.
    state.exception_level = 0;
    write_stored(state, config, R::SCTLR_EL1, sctlr::kDze);
    QCOMPARE(read_stored(state, R::DCZID_EL0), 4U);
    write_stored(state, config, R::SCTLR_EL1, 0);
    QCOMPARE(read_stored(state, R::DCZID_EL0), 0x14U);
    state.exception_level = 1;
    QCOMPARE(read_stored(state, R::DCZID_EL0), 4U);
    state[R::HCR_EL2] |= hcr::kTdz;
    QCOMPARE(read_stored(state, R::DCZID_EL0), 0x14U);
  }

  void rules_name_registers_that_hold_their_bits() {
    for (const TrapRule& rule : trap_rules()) {
      const SystemRegisterInfo& control = info_of(rule.control);
      QVERIFY2(rule.mask != 0 && !rule.name.empty() && !rule.sentence.empty(), rule.name.data());
      QVERIFY2(rule.sentence.find("{actual}") != std::string_view::npos, rule.name.data());
      if (rule.name.find('.') == std::string_view::npos || rule.control == R::SPSel) continue;
      QVERIFY2(rule.name.starts_with(control.name), rule.name.data());
      // The host's layouts of SCTLR_EL2, CPTR_EL2 and CNTHCTL_EL2 are wider than the table's.
      if (rule.mode != TrapRule::HostOnly && rule.mode != TrapRule::HostOn && rule.mode != TrapRule::GuestOfHost)
        QVERIFY2((rule.mask & ~(control.writable | control.always_one)) == 0, rule.name.data());
    }
  }

  void a_host_reads_its_registers_in_el1s_layout() {
    QCOMPARE(describe_fields(R::CPTR_EL2, 3ULL << 20, true), std::string("TCPAC=0 FPEN=3"));
    QCOMPARE(describe_fields(R::CPTR_EL2, 1ULL << 10), std::string("TCPAC=0 TFP=1"));
    QCOMPARE(describe_fields(R::TCR_EL2, 0x19, true), describe_fields(R::TCR_EL1, 0x19));
    QVERIFY(describe_fields(R::CNTHCTL_EL2, 0xc00, true).starts_with("EL1PTEN=1 EL1PCTEN=1"));
  }

  void every_family_has_members_and_a_rule() {
    FamilySet members = 0, rules = 0;
    for (const SystemRegisterInfo& info : system_register_table()) members |= families_of(info.id);
    for (const SystemInstructionInfo& info : system_instruction_table()) members |= info.trap_families;
    for (const EncodingSpace& space : encoding_spaces()) members |= space.families;
    for (const TrapRule& rule : trap_rules()) rules |= set_of(rule.family);
    for (const TrapFamily instruction : {TrapFamily::WaitForInterrupt, TrapFamily::WaitForEvent,
                                         TrapFamily::SecureMonitorCall, TrapFamily::HypervisorCall})
      members |= set_of(instruction);
    const FamilySet all = (FamilySet{1} << static_cast<unsigned>(TrapFamily::Count)) - 1;
    QCOMPARE(members, all);
    QCOMPARE(rules, all);
  }

  void values_are_told_in_words_data() {
    QTest::addColumn<int>("reg");
    QTest::addColumn<quint64>("value");
    QTest::addColumn<QString>("words");
    const auto row = [](const char* name, R reg, std::uint64_t value, const char* words) {
      QTest::addRow("%s", name) << static_cast<int>(reg) << static_cast<quint64>(value) << QString::fromLatin1(words);
    };
    row("SVC", R::ESR_EL1, 0x5600002a, "EC=0x15 (SVC in AArch64) IL=1 imm16=0x2a");
    row("MRS", R::ESR_EL2, 0x62300008 | 3U << 5 | 1,
        "EC=0x18 (trapped MSR, MRS or system instruction) IL=1 MRS X3, ID_AA64PFR0_EL1");
    row("TLBI", R::ESR_EL2, 0x18U << 26 | 1U << 25 | 1U << 20 | 1U << 17 | 8U << 10 | 5U << 5 | 3U << 1,
        "EC=0x18 (trapped MSR, MRS or system instruction) IL=1 TLBI VAE1IS, X5");
    row("MSR immediate", R::ESR_EL1, 0x18U << 26 | 1U << 25 | 6U << 17 | 3U << 14 | 4U << 10 | 31U << 5 | 2U << 1,
        "EC=0x18 (trapped MSR, MRS or system instruction) IL=1 MSR DAIFSet, #2");
    row("data abort", R::ESR_EL2, 0x93820046,
        "EC=0x24 (data abort from a lower level) IL=1 ISV=1 SAS=2 SSE=0 SRT=2 SF=0 AR=0 FnV=0 EA=0 CM=0 S1PTW=0 WnR=1 "
        "DFSC=6 (translation fault, level 2)");
    row("fetch", R::ESR_EL1, 0x8600000f,
        "EC=0x21 (instruction abort from the same level) IL=1 FnV=0 EA=0 S1PTW=0 IFSC=0xf (permission fault, level 3)");
    row("WFI", R::ESR_EL2, 0x07e00000, "EC=1 (trapped WFI or WFE) IL=1 CV=1 COND=0xe TI=0");
    row("unknown", R::ESR_EL1, 0x02000000, "EC=0 (unknown reason) IL=1");
    row("mode", R::SPSR_EL1, 0x600003c5, "N=0 Z=1 C=1 V=0 PAN=0 SS=0 IL=0 D=1 A=1 I=1 F=1 M=5 (EL1h)");
    row("level", R::CurrentEL, 8, "EL=2 (EL2)");
    row("list register", R::ICH_LR0_EL2, 0x50a0000000000028, "State=1 HW=0 Group=1 Priority=0xa0 pINTID=0 vINTID=0x28");
    row("no fields", R::ELR_EL1, 0x1234, "");
  }
  void values_are_told_in_words() {
    QFETCH(int, reg);
    QFETCH(quint64, value);
    QFETCH(QString, words);
    QCOMPARE(QString::fromStdString(describe_fields(static_cast<R>(reg), value)), words);
  }
};

QTEST_APPLESS_MAIN(RegisterTableTest)
#include "register_table_test.moc"
