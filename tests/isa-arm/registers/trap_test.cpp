// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every trap of the table against what the manuals say (trap_cases.cpp): destination, exception class and syndrome, and
// the same from QEMU, which executes each case at its level with its control bits (access-prober.S).
#include <QStandardPaths>
#include <QtTest>
#include <map>

#include "assembler.h"
#include "core/events/sink.h"
#include "core/machine/machine_config.h"
#include "isa-arm/registers/arm_state.h"
#include "tests/support/qemu.h"
#include "trap_cases.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;

namespace {

using R = SystemRegister;

MachineConfig config_of(const TrapCase& trap) {
  MachineConfig config;
  if (trap.has_el2) config.cpu_features = {"el2"};
  if (trap.needs_host_extensions()) config.cpu_features.emplace_back("vhe");
  return config;
}

ArmState state_of(const TrapCase& trap, const MachineConfig& config) {
  ArmState state;
  reset_system_registers(state, config, 0);
  const Controls& c = trap.controls;
  state.exception_level = trap.level;
  state.stack_pointer_select = c.stack_pointer_select;
  state[R::HCR_EL2] = c.hcr;
  state[R::SCTLR_EL1] = c.sctlr_el1;
  state[R::SCTLR_EL2] = c.sctlr_el2;
  state[R::CPACR_EL1] = c.cpacr;
  state[R::CPTR_EL2] = c.cptr;
  state[R::CNTKCTL_EL1] = c.cntkctl;
  state[R::CNTHCTL_EL2] = c.cnthctl;
  state[R::MDCR_EL2] = c.mdcr;
  state[R::MDSCR_EL1] = c.mdscr;
  state[R::PMUSERENR_EL0] = c.pmuserenr;
  state[R::ICH_HCR_EL2] = c.ich_hcr;
  state[R::ICC_SRE_EL2] = c.icc_sre_el2;
  return state;
}

/// Which question a word is: by its bits alone (DDI 0487, C4.1.66).
AccessDecision decide(const ArmState& state, const MachineConfig& config, std::uint32_t word, EventStream& events) {
  using I = TrappableInstruction;
  const SystemEncoding encoding = SystemEncoding::of_instruction(word);
  const auto ask = [&](const InstructionQuery& query) { return decide_instruction(state, config, query, events); };
  const auto immediate = static_cast<std::uint16_t>(word >> 5);
  if ((word & 0xffd00000) == 0xd5100000)
    return decide_system_access(state, config, encoding, (word >> 21 & 1) != 0, word & 31, events);
  if ((word & 0xffd80000) == 0xd5080000)
    return ask({.instruction = I::System, .encoding = encoding, .rt = word & 31, .read = (word >> 21 & 1) != 0});
  if ((word & 0xfff8f01f) == 0xd500401f) return ask({.instruction = I::MsrImmediate, .encoding = encoding});
  if ((word & 0xffe0001f) == 0xd4000001) return ask({.instruction = I::Svc, .immediate = immediate});
  if ((word & 0xffe0001f) == 0xd4000002) return ask({.instruction = I::Hvc, .immediate = immediate});
  if ((word & 0xffe0001f) == 0xd4000003) return ask({.instruction = I::Smc, .immediate = immediate});
  if (word == 0xd69f03e0) return ask({.instruction = I::Eret});
  if (word == 0xd503207f) return ask({.instruction = I::Wfi});
  if (word == 0xd503205f) return ask({.instruction = I::Wfe});
  return ask({.instruction = I::FloatingPoint});
}

/// SVC and HVC that pass their checks are exceptions too.
Outcome outcome_of(const AccessDecision& decision) {
  const Syndrome& syndrome = decision.exception.syndrome;
  const bool call =
      syndrome.exception_class == ExceptionClass::Svc64 || syndrome.exception_class == ExceptionClass::Hvc64;
  if (decision.kind == AccessDecision::Kind::Allowed && !call) return {};
  return {decision.exception.target, static_cast<std::uint32_t>(syndrome.exception_class), syndrome.iss};
}

QString words_of(const Outcome& outcome) {
  if (outcome.target == 0) return QStringLiteral("nothing stops it");
  return QStringLiteral("EL%1, class 0x%2, ISS 0x%3")
      .arg(outcome.target)
      .arg(outcome.exception_class, 0, 16)
      .arg(outcome.iss, 0, 16);
}

constexpr std::size_t kRequestWords = 16;
constexpr std::uint64_t kScratch = 0x41800000;

/// As access-prober.S takes it.
std::array<std::uint64_t, kRequestWords> request_of(const TrapCase& trap, std::uint32_t word) {
  const Controls& c = trap.controls;
  // System instructions get an address; registers are written with 0, which turns everything off.
  const bool register_access = (word & 0xffd00000) == 0xd5100000;
  const std::uint64_t operand = register_access ? 0 : kScratch;
  const std::uint64_t saved = 0x3c0 | trap.level << 2 | (trap.level != 0 && c.stack_pointer_select ? 1 : 0);
  return {word | static_cast<std::uint64_t>(trap.level) << 32,
          operand,
          c.hcr,
          c.sctlr_el1,
          c.sctlr_el2,
          c.cpacr,
          c.cptr,
          c.cntkctl,
          c.cnthctl,
          c.mdcr,
          c.mdscr,
          c.pmuserenr,
          c.ich_hcr,
          c.icc_sre_el2,
          saved,
          0};
}

/// What QEMU's prober said: ESR and the level that took the exception.
Outcome outcome_of(std::uint64_t answer) {
  constexpr std::uint32_t kBreakpoint = 0x3c, kAfterwards = 0x77;
  const auto esr = static_cast<std::uint32_t>(answer);
  const Outcome outcome{static_cast<unsigned>(answer >> 32), esr >> 26, esr & 0x1ffffff};
  return outcome.exception_class == kBreakpoint && outcome.iss == kAfterwards ? Outcome{} : outcome;
}

}  // namespace

class TrapTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    cases_ = trap_cases();
    std::vector<std::string> lines;
    for (const TrapCase& trap : cases_) lines.push_back(trap.instruction);
    words_ = assemble(lines);
    QVERIFY2(words_.size() == cases_.size(), "the assembler refuses a line");
  }

  void there_are_cases_enough_and_none_twice() {
    std::map<std::string, int> names;
    for (const TrapCase& trap : cases_) {
      QVERIFY2(++names[trap.name()] == 1, trap.name().c_str());
      QVERIFY(!trap.section.empty());
    }
    QVERIFY(cases_.size() >= 500);
    qInfo("%zu cases", cases_.size());
  }

  void every_access_leads_where_the_manual_says() {
    EventStream events;
    int wrong = 0;
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      const MachineConfig config = config_of(cases_[i]);
      const Outcome ours = outcome_of(decide(state_of(cases_[i], config), config, words_[i], events));
      const Outcome expected = cases_[i].expected(words_[i]);
      if (ours == expected) continue;
      ++wrong;
      qWarning("%s: %s, but it should be: %s", cases_[i].name().c_str(), qPrintable(words_of(ours)),
               qPrintable(words_of(expected)));
    }
    QCOMPARE(wrong, 0);
  }

  void the_last_check_tells_the_outcome() {
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      const MachineConfig config = config_of(cases_[i]);
      EventLog log;
      EventStream events;
      events.set_sinks(&log, nullptr);
      const AccessDecision decision = decide(state_of(cases_[i], config), config, words_[i], events);
      CheckVerdict last = CheckVerdict::Passed;
      for (const Event& event : log.events) {
        const auto* check = std::get_if<Check>(&event.payload);
        QVERIFY(check != nullptr && !check->name.empty() && !check->sentence.empty());
        QVERIFY2(last == CheckVerdict::Passed, cases_[i].name().c_str());  // Nothing is checked after a failure.
        last = check->verdict;
      }
      const bool allowed = decision.kind == AccessDecision::Kind::Allowed;
      QVERIFY2(allowed == (last == CheckVerdict::Passed), cases_[i].name().c_str());
      if (last == CheckVerdict::Exits) QCOMPARE(decision.exception.target, 2U);
    }
  }

  void qemu_does_the_same_data() {
    QTest::addColumn<bool>("host_extensions");
    QTest::addRow("Cortex-A57") << false;
    QTest::addRow("with VHE") << true;
  }
  void qemu_does_the_same() {
    if (QStandardPaths::findExecutable(QStringLiteral("qemu-system-aarch64")).isEmpty())
      QSKIP("qemu-system-aarch64 is not installed: run scripts/setup");
    QFETCH(bool, host_extensions);
    std::vector<std::size_t> asked;
    QByteArray requests;
    const auto append = [&](const std::array<std::uint64_t, kRequestWords>& request) {
      requests.append(reinterpret_cast<const char*>(request.data()), sizeof request);
    };
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      if (!cases_[i].witness || cases_[i].needs_host_extensions() != host_extensions) continue;
      asked.push_back(i);
      append(request_of(cases_[i], words_[i]));
    }
    append({});
    const QTemporaryDir folder;
    const QString path = folder.filePath(QStringLiteral("requests"));
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(requests);
    file.close();
    test::QemuVirtOptions options{.el2 = true, .cpu = host_extensions ? "max" : "cortex-a57"};
    options.more_arguments = {"-device", "loader,force-raw=on,addr=0x41000000,file=" + path.toStdString()};
    const test::QemuRun run = test::run_in_qemu_virt(ACCESS_PROBER, options);
    std::vector<std::uint64_t> answers(run.console.size() / 8);
    std::memcpy(answers.data(), run.console.data(), 8 * answers.size());
    int wrong = 0;
    for (std::size_t n = 0; n < std::min(asked.size(), answers.size()); ++n) {
      const TrapCase& trap = cases_[asked[n]];
      const Outcome expected = trap.expected(words_[asked[n]]), qemus = outcome_of(answers[n]);
      if (qemus == expected) continue;
      ++wrong;
      qWarning("%s: QEMU says %s, not: %s", trap.name().c_str(), qPrintable(words_of(qemus)),
               qPrintable(words_of(expected)));
    }
    if (answers.size() < asked.size())
      qWarning("QEMU does not come back from %s", cases_[asked[answers.size()]].name().c_str());
    QCOMPARE(answers.size(), asked.size());
    QCOMPARE(wrong, 0);
    qInfo("%zu cases executed by QEMU", asked.size());
  }

 private:
  std::vector<TrapCase> cases_;
  std::vector<std::uint32_t> words_;
};

QTEST_APPLESS_MAIN(TrapTest)
#include "trap_test.moc"
