// SPDX-License-Identifier: GPL-3.0-or-later
//
// One core, a few instruction words at a time: exceptions taken and returned from, exclusives, unprivileged accesses,
// alignment, sleep, interrupts, stage-2 aborts, firmware calls. Sections are those of DDI 0487.
#include <QTest>

#include "isa-arm/vmm/psci.h"
#include "tests/isa-arm/cpu/bare_arm_core.h"

using namespace shearling;
using namespace shearling::arm;

namespace {

using Core = BareArmCore;
using Reg = SystemRegister;

constexpr std::uint64_t kLongInstruction = 1ULL << 25;
constexpr std::uint64_t esr(unsigned exception_class, std::uint32_t iss) {
  return std::uint64_t{exception_class} << 26 | kLongInstruction | iss;
}
constexpr std::uint32_t kAlignment = 0x21, kWrite = 1U << 6, kPermission3 = 0x0f, kTranslation1 = 0x05;

// GNU assembler: the texts beside them.
constexpr std::uint32_t kLoad = 0xf9400020;            // ldr x0, [x1]
constexpr std::uint32_t kStore = 0xf9000020;           // str x0, [x1]
constexpr std::uint32_t kLoadByte = 0x39400023;        // ldrb w3, [x1]
constexpr std::uint32_t kLoadUser = 0xf8400820;        // ldtr x0, [x1]
constexpr std::uint32_t kStoreUser = 0xf8000820;       // sttr x0, [x1]
constexpr std::uint32_t kLoadExclusive = 0xc85f7c20;   // ldxr x0, [x1]
constexpr std::uint32_t kStoreExclusive = 0xc8027c20;  // stxr w2, x0, [x1]
constexpr std::uint32_t kStoreExclusive32 = 0x88027c20;
constexpr std::uint32_t kLoadPair = 0xc87f1023;   // ldxp x3, x4, [x1]
constexpr std::uint32_t kStorePair = 0xc8221023;  // stxp w2, x3, x4, [x1]
constexpr std::uint32_t kClearExclusive = 0xd5033f5f;
constexpr std::uint32_t kLoadAcquire = 0x88dffc23;   // ldar w3, [x1]
constexpr std::uint32_t kStoreRelease = 0xc89ffc23;  // stlr x3, [x1]
constexpr std::uint32_t kHvc = 0xd4000042, kSmc = 0xd4000063, kBrk = 0xd4200080, kSvc1 = 0xd4000021;
constexpr std::uint32_t kWfi = 0xd503207f, kWfe = 0xd503205f, kSev = 0xd503209f, kSevl = 0xd50320bf;
constexpr std::uint32_t kBranch = 0xd61f0000;         // br x0
constexpr std::uint32_t kMaskAll = 0xd5034fdf;        // msr daifset, #15
constexpr std::uint32_t kUndefinedLoad = 0xb9c00020;  // size 2, opc 3

const std::vector<std::string> kPlain;  ///< No feature: no EL2.

struct LevelRegisters {
  Reg saved, link, syndrome, address;
};
const LevelRegisters& registers_of(unsigned level) {
  static constexpr LevelRegisters kRegisters[] = {{Reg::SPSR_EL1, Reg::ELR_EL1, Reg::ESR_EL1, Reg::FAR_EL1},
                                                  {Reg::SPSR_EL2, Reg::ELR_EL2, Reg::ESR_EL2, Reg::FAR_EL2}};
  return kRegisters[level - 1];
}
constexpr std::uint64_t vectors_of(unsigned level) { return level == 1 ? Core::kVectors1 : Core::kVectors2; }

}  // namespace

class ProcessorTest : public QObject {
  Q_OBJECT
 private slots:
  // --- exceptions taken (D1.3.1, D1.4)

  void an_exception_enters_the_level_and_vector_that_it_must_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<int>("from");
    QTest::addColumn<bool>("select");
    QTest::addColumn<quint64>("hcr");
    QTest::addColumn<int>("target");
    QTest::addColumn<quint64>("offset");
    QTest::addColumn<quint64>("syndrome");
    QTest::addColumn<bool>("after");
    const auto row = [](const char* name, std::uint32_t word, int from, bool select, std::uint64_t control, int target,
                        std::uint64_t offset, std::uint64_t syndrome, bool after) {
      QTest::newRow(name) << word << from << select << quint64{control} << target << quint64{offset}
                          << quint64{syndrome} << after;
    };
    row("SVC from EL0", kSvc1, 0, false, 0, 1, 0x400, esr(0x15, 1), true);
    row("SVC from EL0 with TGE", kSvc1, 0, false, hcr::kTge, 2, 0x400, esr(0x15, 1), true);
    row("SVC from EL1 with SP_EL1", kSvc1, 1, true, 0, 1, 0x200, esr(0x15, 1), true);
    row("SVC from EL1 with SP_EL0", kSvc1, 1, false, 0, 1, 0, esr(0x15, 1), true);
    row("SVC from EL2 with SP_EL2", kSvc1, 2, true, 0, 2, 0x200, esr(0x15, 1), true);
    row("SVC from EL2 with SP_EL0", kSvc1, 2, false, 0, 2, 0, esr(0x15, 1), true);
    row("HVC from EL1", kHvc, 1, true, 0, 2, 0x400, esr(0x16, 2), true);
    row("HVC from EL2", kHvc, 2, true, 0, 2, 0x200, esr(0x16, 2), true);
    row("HVC from EL1, disabled", kHvc, 1, true, hcr::kHcd, 1, 0x200, esr(0, 0), false);
    row("HVC from EL0", kHvc, 0, false, 0, 1, 0x400, esr(0, 0), false);
    row("SMC from EL1, trapped", kSmc, 1, true, hcr::kTsc, 2, 0x400, esr(0x17, 3), false);
    row("BRK from EL0", kBrk, 0, false, 0, 1, 0x400, esr(0x3c, 4), false);
    row("BRK from EL0 with TGE", kBrk, 0, false, hcr::kTge, 2, 0x400, esr(0x3c, 4), false);
    row("undefined at EL1", 0, 1, true, 0, 1, 0x200, esr(0, 0), false);
    row("undefined at EL2", 0, 2, true, 0, 2, 0x200, esr(0, 0), false);
    row("ERET at EL0", Core::kEret, 0, false, 0, 1, 0x400, esr(0, 0), false);
    // The syndrome names op0, op2, op1, CRn, Rt, CRm in this order (D19.2.37).
    row("MSR DAIFSet at EL0", kMaskAll, 0, false, 0, 1, 0x400,
        esr(0x18, 0U << 20 | 6U << 17 | 3U << 14 | 4U << 10 | 31U << 5 | 15U << 1), false);
  }
  void an_exception_enters_the_level_and_vector_that_it_must() {
    QFETCH(quint32, word);
    QFETCH(int, from);
    QFETCH(bool, select);
    QFETCH(quint64, hcr);
    QFETCH(int, target);
    QFETCH(quint64, offset);
    QFETCH(quint64, syndrome);
    QFETCH(bool, after);
    Core core;
    core.set(Reg::HCR_EL2, hcr | hcr::kRw);
    const auto level = static_cast<unsigned>(from);
    core.at(level, select);
    const unsigned own = core.state().stack_pointer_level();
    core.state().stack_pointers = {0x1000, 0x2000, 0x3000};
    core.set_stack(core.state().stack_pointers[own]);
    core.state().daif = spsr::kI;
    core.engine->write(flags_register(), 0x60000000);
    core.run({word});

    const auto to = static_cast<unsigned>(target);
    const LevelRegisters& registers = registers_of(to);
    QCOMPARE(core.state().exception_level, to);
    QCOMPARE(core.pc(), vectors_of(to) + offset);
    QCOMPARE(core.get(registers.link), Core::kCode + (after ? 4 : 0));
    QCOMPARE(core.get(registers.syndrome), syndrome);
    QCOMPARE(core.get(registers.saved), 0x60000000 | spsr::kI | level << 2 | (select ? 1U : 0U));
    QCOMPARE(core.state().daif, spsr::kDaif);
    QVERIFY(core.state().stack_pointer_select);
    QCOMPARE(core.stack(), 0x1000 * (std::uint64_t{to} + 1));
    QVERIFY(core.find<TrapRaised>() != nullptr);
  }

  // With FEAT_PAN: D8.4.13.
  void taking_an_exception_sets_pan_unless_span_says_no_data() {
    QTest::addColumn<bool>("span");
    QTest::addColumn<bool>("feature");
    QTest::addColumn<bool>("before");
    QTest::addColumn<bool>("after");
    QTest::newRow("SPAN clear") << false << true << false << true;
    QTest::newRow("SPAN set") << true << true << false << false;
    QTest::newRow("SPAN set, PAN stays") << true << true << true << true;
    QTest::newRow("no such feature") << false << false << false << false;
  }
  void taking_an_exception_sets_pan_unless_span_says_no() {
    QFETCH(bool, span);
    QFETCH(bool, feature);
    QFETCH(bool, before);
    QFETCH(bool, after);
    Core core(feature ? std::vector<std::string>{"pan"} : std::vector<std::string>{});
    core.set(Reg::SCTLR_EL1, span ? sctlr::kSpan : 0);
    core.at(1);
    core.state().pan = before;
    core.run({kSvc1});
    QCOMPARE(core.state().pan, after);
    QCOMPARE((core.get(Reg::SPSR_EL1) & spsr::kPan) != 0, before);
  }

  // --- exception returns (D1.4.4)

  void a_return_goes_where_spsr_says_data() {
    QTest::addColumn<int>("from");
    QTest::addColumn<quint64>("mode");
    QTest::addColumn<int>("level");
    QTest::addColumn<bool>("select");
    QTest::newRow("EL1 to EL0") << 1 << quint64{0} << 0 << false;
    QTest::newRow("EL1 to EL1t") << 1 << quint64{4} << 1 << false;
    QTest::newRow("EL1 to EL1h") << 1 << quint64{5} << 1 << true;
    QTest::newRow("EL2 to EL0") << 2 << quint64{0} << 0 << false;
    QTest::newRow("EL2 to EL1h") << 2 << quint64{5} << 1 << true;
    QTest::newRow("EL2 to EL2t") << 2 << quint64{8} << 2 << false;
  }
  void a_return_goes_where_spsr_says() {
    QFETCH(int, from);
    QFETCH(quint64, mode);
    QFETCH(int, level);
    QFETCH(bool, select);
    Core core;
    const auto origin = static_cast<unsigned>(from);
    core.at(origin);
    core.set(registers_of(origin).saved, mode | 0x90000000 | spsr::kF);
    core.set(registers_of(origin).link, Core::kData);
    core.run({Core::kEret});
    QCOMPARE(core.state().exception_level, static_cast<unsigned>(level));
    QCOMPARE(core.state().stack_pointer_select && level != 0, select);
    QCOMPARE(core.pc(), Core::kData);
    QCOMPARE(core.state().daif, spsr::kF);
    QCOMPARE(core.engine->read(flags_register()), 0x90000000U);
    QVERIFY(!core.state().illegal);
  }

  void an_illegal_return_stays_and_the_next_instruction_faults_data() {
    QTest::addColumn<int>("from");
    QTest::addColumn<quint64>("mode");
    QTest::addColumn<quint64>("hcr");
    QTest::newRow("to a higher level") << 1 << quint64{9} << quint64{0};
    QTest::newRow("to EL3") << 2 << quint64{13} << quint64{0};
    QTest::newRow("to AArch32") << 1 << quint64{0x10} << quint64{0};
    QTest::newRow("reserved mode bit") << 1 << quint64{2} << quint64{0};
    QTest::newRow("EL0 with its own stack pointer bit") << 1 << quint64{1} << quint64{0};
    QTest::newRow("to EL1 under TGE") << 2 << quint64{5} << quint64{hcr::kTge};
    QTest::newRow("saved state has IL") << 1 << quint64{spsr::kIl | 5} << quint64{0};
  }
  void an_illegal_return_stays_and_the_next_instruction_faults() {
    QFETCH(int, from);
    QFETCH(quint64, mode);
    QFETCH(quint64, hcr);
    Core core;
    core.set(Reg::HCR_EL2, hcr | hcr::kRw);
    const auto level = static_cast<unsigned>(from);
    const LevelRegisters& registers = registers_of(level);
    core.at(level);
    core.set(registers.saved, mode | 0x40000000 | spsr::kI);
    core.set(registers.link, Core::kData);
    core.run({Core::kEret});
    QVERIFY(core.state().illegal);
    QCOMPARE(core.state().exception_level, level);
    QCOMPARE(core.pc(), Core::kData);
    QCOMPARE(core.state().daif, spsr::kI);
    QCOMPARE(core.engine->read(flags_register()), 0x40000000U);
    core.step();
    QCOMPARE(core.get(registers.syndrome), esr(0x0e, 0));
    QCOMPARE(core.get(registers.link), Core::kData);
    QVERIFY((core.get(registers.saved) & spsr::kIl) != 0);
    QVERIFY(!core.state().illegal);
  }

  // --- exclusives (B2.12)

  void a_store_exclusive_succeeds_once_after_its_load() {
    Core core;
    core.put_quad(Core::kData, 7);
    core.set_x(1, Core::kData);
    core.run({kLoadExclusive, kStoreExclusive, kStoreExclusive});
    QCOMPARE(core.x(0), 7U);
    QCOMPARE(core.x(2), 1U);  // The second one.
    core.set_x(0, 7);
    core.run({kLoadExclusive});
    core.set_x(0, 9);
    core.run({kStoreExclusive});
    QCOMPARE(core.x(2), 0U);
    QCOMPARE(core.quad(Core::kData), 9U);
  }

  void what_closes_the_monitor_makes_the_store_fail_data() {
    QTest::addColumn<QString>("between");
    for (const char* name : {"clrex", "eret", "other address", "other size", "other core's turn"})
      QTest::newRow(name) << name;
  }
  void what_closes_the_monitor_makes_the_store_fail() {
    QFETCH(QString, between);
    Core core;
    core.at(1);
    core.put_quad(Core::kData, 7);
    core.set_x(1, Core::kData);
    core.run({kLoadExclusive});
    core.set_x(0, 9);
    std::uint32_t store = kStoreExclusive;
    if (between == QStringLiteral("clrex")) core.run({kClearExclusive});
    if (between == QStringLiteral("eret")) {
      core.set(Reg::SPSR_EL1, 5);
      core.set(Reg::ELR_EL1, Core::kCode);
      core.run({Core::kEret});
    }
    if (between == QStringLiteral("other address")) core.set_x(1, Core::kData + 64);
    if (between == QStringLiteral("other size")) store = kStoreExclusive32;
    if (between.startsWith(QStringLiteral("other core"))) {
      core.core->release_engine();
      core.other->take_engine();
      core.other->release_engine();
      core.core->take_engine();
      QVERIFY(core.state().event_register);  // The monitor's closing is an event (D1.6.2).
    }
    core.run({store});
    QCOMPARE(core.x(2), 1U);
    QCOMPARE(core.quad(Core::kData), 7U);
  }

  void a_pair_is_one_exclusive() {
    Core core;
    core.put_quad(Core::kData, 7);
    core.put_quad(Core::kData + 8, 8);
    core.set_x(1, Core::kData);
    core.run({kLoadPair});
    QCOMPARE(core.x(3), 7U);
    QCOMPARE(core.x(4), 8U);
    core.set_x(3, 70);
    core.set_x(4, 80);
    core.run({kStorePair});
    QCOMPARE(core.x(2), 0U);
    QCOMPARE(core.quad(Core::kData), 70U);
    QCOMPARE(core.quad(Core::kData + 8), 80U);
  }

  // --- alignment (B2.5)

  void an_access_that_must_be_aligned_faults_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<int>("offset");
    QTest::addColumn<bool>("checked");
    QTest::addColumn<quint64>("syndrome");  // 0: it is done.
    const auto row = [](const char* name, std::uint32_t word, int offset, bool checked, std::uint64_t syndrome) {
      QTest::newRow(name) << word << offset << checked << quint64{syndrome};
    };
    row("plain load", kLoad, 1, false, 0);
    row("plain load, checked", kLoad, 1, true, esr(0x25, kAlignment));
    row("plain store, checked", kStore, 4, true, esr(0x25, kAlignment | kWrite));
    row("aligned load, checked", kLoad, 8, true, 0);
    row("byte, checked", kLoadByte, 1, true, 0);
    row("unprivileged load, checked", kLoadUser, 1, true, esr(0x25, kAlignment));
    row("unprivileged store, checked", kStoreUser, 2, true, esr(0x25, kAlignment | kWrite));
    row("load-acquire", kLoadAcquire, 2, false, esr(0x25, kAlignment));
    row("store-release", kStoreRelease, 4, false, esr(0x25, kAlignment | kWrite));
    row("aligned store-release", kStoreRelease, 8, false, 0);
    row("load-exclusive", kLoadExclusive, 4, false, esr(0x25, kAlignment));
    row("store-exclusive", kStoreExclusive, 4, false, esr(0x25, kAlignment | kWrite));
    row("pair of exclusives needs both aligned", kLoadPair, 8, false, esr(0x25, kAlignment));
    row("unallocated word, checked", kUndefinedLoad, 1, true, esr(0, 0));
  }
  void an_access_that_must_be_aligned_faults() {
    QFETCH(quint32, word);
    QFETCH(int, offset);
    QFETCH(bool, checked);
    QFETCH(quint64, syndrome);
    Core core;
    core.at(1);
    core.set(Reg::SCTLR_EL1, checked ? sctlr::kA : 0);
    core.set_x(1, Core::kData + static_cast<unsigned>(offset));
    core.run({word});
    QCOMPARE(core.get(Reg::ESR_EL1), syndrome);
    QCOMPARE(core.pc(), syndrome == 0 ? Core::kCode + 4 : Core::kVectors1 + 0x200);
    const bool aborts = syndrome >> 26 == 0x25;
    QCOMPARE(core.get(Reg::FAR_EL1), aborts ? Core::kData + static_cast<unsigned>(offset) : 0);
  }

  void a_misaligned_program_counter_faults_before_the_fetch() {
    Core core;
    core.at(1);
    core.set_x(0, 0x10000000002);  // Nothing is there either.
    core.run({kBranch});
    core.step();
    QCOMPARE(core.get(Reg::ESR_EL1), esr(0x22, 0));
    QCOMPARE(core.get(Reg::FAR_EL1), 0x10000000002U);
    QCOMPARE(core.get(Reg::ELR_EL1), 0x10000000002U);
  }

  // --- unprivileged loads and stores (C3.2.5)

  void unprivileged_accesses_have_the_rights_of_el0_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<bool>("user_page");
    QTest::addColumn<bool>("pan");
    QTest::addColumn<quint64>("syndrome");
    const auto row = [](const char* name, std::uint32_t word, bool user_page, bool pan, std::uint64_t syndrome) {
      QTest::newRow(name) << word << user_page << pan << quint64{syndrome};
    };
    row("LDR of EL1's page", kLoad, false, false, 0);
    row("LDTR of EL1's page", kLoadUser, false, false, esr(0x25, kPermission3));
    row("STTR to EL1's page", kStoreUser, false, false, esr(0x25, kPermission3 | kWrite));
    row("LDTR of EL0's page", kLoadUser, true, false, 0);
    row("STTR to EL0's page", kStoreUser, true, false, 0);
    row("LDR of EL0's page with PAN", kLoad, true, true, esr(0x25, kPermission3));
    row("LDTR of EL0's page with PAN", kLoadUser, true, true, 0);
  }
  void unprivileged_accesses_have_the_rights_of_el0() {
    QFETCH(quint32, word);
    QFETCH(bool, user_page);
    QFETCH(bool, pan);
    QFETCH(quint64, syndrome);
    Core core;
    core.map_identity();
    if (user_page) core.map(Core::kData, Core::kData | Core::kPage | Core::kUserMayWrite);
    core.at(1);
    core.set(Reg::PAN, pan ? spsr::kPan : 0);
    core.set_x(1, Core::kData);
    core.run({word});
    QCOMPARE(core.get(Reg::ESR_EL1), syndrome);
    QCOMPARE(core.get(Reg::FAR_EL1), syndrome == 0 ? 0 : Core::kData);
  }

  void unprivileged_loads_extend_as_they_say() {
    Core core;
    core.at(1);
    core.put_quad(Core::kData, 0xfedcba9876548080);
    core.set_x(1, Core::kData);
    core.run({0x38c00820});  // ldtrsb w0, [x1]
    QCOMPARE(core.x(0), 0xffffff80U);
    core.run({0x78800820});  // ldtrsh x0, [x1]
    QCOMPARE(core.x(0), 0xffffffffffff8080U);
    core.set_x(0, 0x1122334455667788);
    core.run({0xb8000820});  // sttr w0, [x1]
    QCOMPARE(core.quad(Core::kData), 0xfedcba9855667788U);
  }

  // --- stage 2 (D8.2.3, D19.2.63)

  void a_stage_two_abort_has_its_address_and_syndrome() {
    Core core;
    constexpr std::uint64_t kVtcr = 2 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 1 << 6 | 25 | 1ULL << 31;
    constexpr std::uint64_t kBlock = 0x7fd, kNowhere = 0x80123458;
    core.put_quad(Core::kStage2 + 8, Core::kRam | kBlock);
    core.set(Reg::VTCR_EL2, kVtcr);
    core.set(Reg::VTTBR_EL2, Core::kStage2);
    core.set(Reg::HCR_EL2, hcr::kRw | hcr::kVm);
    core.at(1);
    core.set_x(1, kNowhere);
    core.run({kStore});
    constexpr std::uint32_t kDescribed = 1U << 24 | 3U << 22 | 0U << 16 | 1U << 15;  // ISV, 8 bytes, X0, SF
    QCOMPARE(core.state().exception_level, 2U);
    QCOMPARE(core.get(Reg::ESR_EL2), esr(0x24, kDescribed | kWrite | kTranslation1));
    QCOMPARE(core.get(Reg::FAR_EL2), kNowhere);
    QCOMPARE(core.get(Reg::HPFAR_EL2), kNowhere >> 12 << 4);
    QCOMPARE(core.get(Reg::ELR_EL2), Core::kCode);
    QCOMPARE(core.pc(), Core::kVectors2 + 0x400);
  }

  // --- interrupts (D1.3.6)

  void an_serror_goes_where_it_is_routed_data() {
    QTest::addColumn<int>("level");
    QTest::addColumn<quint64>("hcr");
    QTest::addColumn<bool>("masked");
    QTest::addColumn<int>("target");  // 0: not taken.
    const auto row = [](const char* name, int level, std::uint64_t control, bool masked, int target) {
      QTest::newRow(name) << level << quint64{control} << masked << target;
    };
    row("EL1", 1, 0, false, 1);
    row("EL1, masked", 1, 0, true, 0);
    row("EL0, masked", 0, 0, true, 0);
    row("EL0", 0, 0, false, 1);
    row("EL1, routed to EL2", 1, hcr::kAmo, false, 2);
    row("EL1, routed to EL2, masks do not count", 1, hcr::kAmo, true, 2);
    row("EL0, host's", 0, hcr::kTge, true, 2);
    row("EL2, routed to EL1", 2, 0, false, 0);
    row("EL2, its own", 2, hcr::kAmo, false, 2);
    row("EL2, its own, masked", 2, hcr::kAmo, true, 0);
  }
  void an_serror_goes_where_it_is_routed() {
    QFETCH(int, level);
    QFETCH(quint64, hcr);
    QFETCH(bool, masked);
    QFETCH(int, target);
    Core core;
    core.set(Reg::HCR_EL2, hcr | hcr::kRw);
    core.at(static_cast<unsigned>(level));
    core.state().daif = masked ? spsr::kA : 0;
    core.state().serror_pending = true;
    core.run({Core::kNop});
    QCOMPARE(core.state().serror_pending, target == 0);
    if (target == 0) {
      QCOMPARE(core.pc(), Core::kCode + 4);
      return;
    }
    const auto to = static_cast<unsigned>(target), from = static_cast<unsigned>(level);
    QCOMPARE(core.state().exception_level, to);
    QCOMPARE(core.pc(), vectors_of(to) + (to == from ? 0x380 : 0x580) + 4);
    const LevelRegisters& registers = registers_of(to);
    QCOMPARE(core.get(registers.syndrome) >> 26, 0x2fU);
    QCOMPARE(core.get(registers.link), Core::kCode);
  }

  void a_virtual_interrupt_reaches_only_the_guest_data() {
    QTest::addColumn<quint64>("hcr");
    QTest::addColumn<int>("level");
    QTest::addColumn<quint64>("masks");
    QTest::addColumn<quint64>("vector");  // 0: not taken.
    const auto row = [](const char* name, std::uint64_t control, int level, std::uint64_t masks, std::uint64_t vector) {
      QTest::newRow(name) << quint64{control} << level << quint64{masks} << quint64{vector};
    };
    row("IRQ at EL1", hcr::kImo | hcr::kVi, 1, 0, 0x280);
    row("IRQ at EL0", hcr::kImo | hcr::kVi, 0, 0, 0x480);
    row("IRQ masked", hcr::kImo | hcr::kVi, 1, spsr::kI, 0);
    row("IRQ without routing", hcr::kVi, 1, 0, 0);
    row("IRQ at EL2", hcr::kImo | hcr::kVi, 2, 0, 0);
    row("IRQ under TGE", hcr::kImo | hcr::kVi | hcr::kTge, 0, 0, 0);
    row("FIQ at EL1", hcr::kFmo | hcr::kVf, 1, spsr::kI, 0x300);
    row("FIQ masked", hcr::kFmo | hcr::kVf, 1, spsr::kF, 0);
    row("SError at EL1", hcr::kAmo | hcr::kVse, 1, spsr::kI | spsr::kF, 0x380);
    row("SError masked", hcr::kAmo | hcr::kVse, 1, spsr::kA, 0);
  }
  void a_virtual_interrupt_reaches_only_the_guest() {
    QFETCH(quint64, hcr);
    QFETCH(int, level);
    QFETCH(quint64, masks);
    QFETCH(quint64, vector);
    Core core;
    core.set(Reg::HCR_EL2, hcr | hcr::kRw);
    core.at(static_cast<unsigned>(level));
    core.state().daif = masks;
    core.run({Core::kNop});
    QCOMPARE(core.pc(), vector == 0 ? Core::kCode + 4 : Core::kVectors1 + vector + 4);
    // Taking a virtual SError ends it; the other two are EL2's to withdraw (D1.3.6.3).
    const bool withdrawn = (hcr & hcr::kVse) != 0 && vector != 0;
    QCOMPARE(core.get(Reg::HCR_EL2), (withdrawn ? hcr & ~hcr::kVse : hcr) | hcr::kRw);
  }

  // --- sleep (D1.6)

  void wfi_sleeps_until_an_interrupt_pends_masked_or_not() {
    Core core;
    core.at(1);
    core.run({kWfi});
    QVERIFY(!core.core->runnable());
    QCOMPARE(core.pc(), Core::kCode + 4);
    core.set(Reg::HCR_EL2, hcr::kRw | hcr::kImo | hcr::kVi);
    QVERIFY(core.core->runnable());
    core.memory.write({Core::kCode + 4}, 4, Core::kNop);
    core.step();
    QCOMPARE(core.pc(), Core::kCode + 8);  // Masked: it goes on.
  }

  void wfi_does_not_wait_for_what_is_pending() {
    Core core;
    core.at(1);
    core.state().serror_pending = true;
    core.run({kWfi});
    QVERIFY(core.core->runnable());
    QVERIFY(!core.state().waiting_for_interrupt);
  }

  void wfe_consumes_an_event_or_waits_for_one() {
    Core core;
    core.at(1);
    core.run({kSevl, kWfe});
    QVERIFY(core.core->runnable());
    QVERIFY(!core.state().event_register);
    core.run({kWfe});
    QVERIFY(!core.core->runnable());
    core.system->send_event();
    QVERIFY(core.core->runnable());
    core.memory.write({Core::kCode + 4}, 4, Core::kNop);
    core.step();
    QCOMPARE(core.pc(), Core::kCode + 8);
    QVERIFY(!core.state().event_register);
  }

  void sev_reaches_every_core_and_sevl_its_own() {
    Core core;
    core.at(1);
    core.run({kSevl});
    QVERIFY(core.state().event_register);
    QVERIFY(!core.other->state().event_register);
    core.run({kSev});
    QVERIFY(core.other->state().event_register);
  }

  void wfi_is_trapped_only_where_it_would_wait() {
    Core core;
    core.set(Reg::HCR_EL2, hcr::kRw | hcr::kTwi);
    core.at(1);
    core.run({kWfi});
    QCOMPARE(core.state().exception_level, 2U);
    QCOMPARE(core.get(Reg::ESR_EL2), esr(1, 1U << 24 | 0xeU << 20));
    Core pending;
    pending.set(Reg::HCR_EL2, hcr::kRw | hcr::kTwi);
    pending.at(1);
    pending.state().serror_pending = true;
    pending.run({kWfi});
    QCOMPARE(pending.state().exception_level, 1U);
  }

  // --- firmware (DEN 0022)

  void the_firmware_answers_data() {
    QTest::addColumn<quint64>("function");
    QTest::addColumn<quint64>("argument");
    QTest::addColumn<qint64>("answer");
    const auto row = [](const char* name, std::uint64_t function, std::uint64_t argument, std::int64_t answer) {
      QTest::newRow(name) << quint64{function} << quint64{argument} << qint64{answer};
    };
    row("version", psci::kVersion, 0, 0x10001);
    row("features of CPU_ON", psci::kFeatures, psci::kCpuOn | psci::kSixtyFourBit, psci::kSuccess);
    row("features of nothing", psci::kFeatures, 0x84001234, psci::kNotSupported);
    row("affinity of this core", psci::kAffinityInfo, 0, 0);
    row("affinity of the other core", psci::kAffinityInfo | psci::kSixtyFourBit, 1, 1);
    row("affinity of no core", psci::kAffinityInfo, 5, psci::kInvalidParameters);
    row("no Trusted OS", psci::kMigrateInfoType, 0, 2);
    row("CPU_ON of itself", psci::kCpuOn, 0, psci::kAlreadyOn);
    row("CPU_ON of no core", psci::kCpuOn, 9, psci::kInvalidParameters);
    row("unknown", 0x8400ffff, 0, psci::kNotSupported);
  }
  void the_firmware_answers() {
    QFETCH(quint64, function);
    QFETCH(quint64, argument);
    QFETCH(qint64, answer);
    Core core(kPlain);
    core.set_x(0, function);
    core.set_x(1, argument);
    core.run({kHvc});
    QCOMPARE(static_cast<qint64>(core.x(0)), answer);
    QCOMPARE(core.pc(), Core::kCode + 4);
  }

  void the_conduit_is_hvc_without_el2_and_smc_with_it() {
    Core with;
    with.at(2);
    with.set_x(0, psci::kVersion);
    with.run({kSmc});
    QCOMPARE(with.x(0), psci::kPsciVersion11);
    Core without(kPlain);
    without.run({kSmc});
    QCOMPARE(without.get(Reg::ESR_EL1), esr(0, 0));
  }

  void cpu_on_starts_a_core_in_the_state_of_reset() {
    Core core(kPlain);
    core.set_x(0, psci::kCpuOn | psci::kSixtyFourBit);
    core.set_x(1, 1);
    core.set_x(2, Core::kData);
    core.set_x(3, 0x77);
    core.run({kHvc});
    QCOMPARE(core.x(0), 0U);
    QVERIFY(core.other->powered());
    QCOMPARE(core.other->program_counter().value, Core::kData);
    QCOMPARE(core.other->general(0), 0x77U);
    const ArmProcessor& other = *core.other;
    QCOMPARE(other.state().exception_level, 1U);
    QCOMPARE(other.state().daif, spsr::kDaif);
  }

  void system_off_and_reset_ask_the_machine() {
    Core off(kPlain);
    off.set_x(0, psci::kSystemOff);
    QCOMPARE(off.run({kHvc}).kind, ProcessorOutcome::Kind::Stopped);
    QCOMPARE(off.request.stop, StopReason::PowerOff);
    Core reset(kPlain);
    reset.set_x(0, psci::kSystemReset);
    reset.run({kHvc});
    QCOMPARE(reset.request.stop, StopReason::Reset);
    Core cpu_off(kPlain);
    cpu_off.set_x(0, psci::kCpuOff);
    cpu_off.run({kHvc});
    QVERIFY(!cpu_off.core->runnable());
  }
};

QTEST_APPLESS_MAIN(ProcessorTest)
#include "processor_test.moc"
