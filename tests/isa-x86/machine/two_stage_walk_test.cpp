// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a whole machine shows of page walks: a cold access makes 24 references with 4 levels in 4 levels, 19 with 2 MB
// EPT leaves, 4 bare ((n + 1)(m + 1) - 1 with n guest and m nested levels); a page that a TLB still holds is served
// stale until INVLPG. Every stream passes the invariant checker.
#include <QTemporaryDir>
#include <QTest>

#include "core/events/invariant_checker.h"
#include "core/events/reflection.h"
#include "tests/support/guest_machine.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

// Neither page-walk caches nor a nested TLB: every walk is a cold one.
const char* const kColdMachine = R"(extends: pc
page-walk-cache: { entries: 0 }
nested-tlb: { entries: 0 }
)";

std::uint64_t address_of(const Machine& machine, const char* symbol) {
  const ElfSymbol* found = machine.image().find_symbol(symbol);
  if (found == nullptr) qFatal("the guest has no symbol %s", symbol);
  return found->value;
}

/// Runs until the program counter stands on `symbol` and returns the events of the step there.
std::vector<Event> events_at(Machine& machine, const char* symbol) {
  const std::uint64_t address = address_of(machine, symbol);
  const auto there = [&] { return machine.processor().program_counter().value == address; };
  if (machine.run_until(10'000'000, Observation::Models, nullptr, there) != StopReason::Breakpoint) return {};
  return machine.step();
}

template <typename Payload>
std::vector<Payload> all_of(const std::vector<Event>& events) {
  std::vector<Payload> found;
  for (const Event& event : events) {
    if (const auto* payload = std::get_if<Payload>(&event.payload)) found.push_back(*payload);
  }
  return found;
}

}  // namespace

class TwoStageWalkTest : public QObject {
  Q_OBJECT
 private slots:
  void a_cold_load_makes_the_references_of_the_formula_data() {
    QTest::addColumn<VmmTechnique>("technique");
    QTest::addColumn<QString>("nested_page");
    QTest::addColumn<QString>("symbol");
    QTest::addColumn<int>("references");
    QTest::newRow("4 in 4 levels") << VmmTechnique::VtX << "4K"
                                   << "the_cold_load" << 24;
    QTest::newRow("4 in 3 levels: 2 MB EPT leaves") << VmmTechnique::VtX << "2M"
                                                    << "the_cold_load" << 19;
    QTest::newRow("4 in 2 levels: 1 GB EPT leaves") << VmmTechnique::VtX << "1G"
                                                    << "the_cold_load" << 14;
    QTest::newRow("3 in 4 levels: a 2 MB guest page") << VmmTechnique::VtX << "4K"
                                                      << "the_superpage_load" << 19;
    QTest::newRow("bare, 4 KB page") << VmmTechnique::Bare << "4K"
                                     << "the_cold_load" << 4;
    QTest::newRow("bare, 2 MB page") << VmmTechnique::Bare << "4K"
                                     << "the_superpage_load" << 3;
  }
  void a_cold_load_makes_the_references_of_the_formula() {
    QFETCH(VmmTechnique, technique);
    QFETCH(QString, nested_page);
    QFETCH(QString, symbol);
    QFETCH(int, references);
    QTemporaryDir folder;
    const QString path = folder.filePath("cold.yaml");
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(kColdMachine);
    file.write(qPrintable(QStringLiteral("memory: 1 GB\nvmm: { nested-page: %1 }\n").arg(nested_page)));
    file.close();

    auto machine = guest_machine("page-walk", technique, path.toStdString());
    const std::vector<Event> events = events_at(*machine, qPrintable(symbol));
    const auto walks = all_of<WalkEnd>(events);
    QCOMPARE(walks.size(), std::size_t{1});
    QCOMPARE(int{walks[0].references}, references);
    QCOMPARE(int(all_of<WalkReference>(events).size()), references);
    QVERIFY(!walks[0].faulted);
  }

  void a_stale_translation_is_served_until_invlpg_data() {
    QTest::addColumn<VmmTechnique>("technique");
    QTest::addColumn<Observation>("observation");
    QTest::newRow("bare, models") << VmmTechnique::Bare << Observation::Models;
    QTest::newRow("bare, direct") << VmmTechnique::Bare << Observation::Direct;
    QTest::newRow("vt-x, models") << VmmTechnique::VtX << Observation::Models;
    QTest::newRow("vt-x, direct") << VmmTechnique::VtX << Observation::Direct;
  }
  void a_stale_translation_is_served_until_invlpg() {
    QFETCH(VmmTechnique, technique);
    QFETCH(Observation, observation);
    auto finder = guest_machine("page-walk", technique);
    QVERIFY(!events_at(*finder, "the_stale_load").empty());
    const StepIndex after_load = finder->position();

    auto machine = guest_machine("page-walk", technique);
    QCOMPARE(machine->run_until(after_load, observation), StopReason::StepLimit);
    std::uint64_t rax = 0;
    for (const RegisterRow& row : machine->processor().registers()) {
      if (row.name == "RAX") rax = row.believed;
    }
    QCOMPARE(rax, std::uint64_t{0x01d});  // OLD_VALUE of the guest: the table says 0x2e3 by now.
    QCOMPARE(machine->run_until(10'000'000, observation), StopReason::ExitPort);
    QCOMPARE(machine->stop().code, 1U);
  }

  void every_guest_keeps_the_event_streams_promises_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<VmmTechnique>("technique");
    for (const char* guest : {"privilege-levels", "cpuid-trap", "page-walk", "seesaw", "kernel"}) {
      for (const VmmTechnique technique : {VmmTechnique::Bare, VmmTechnique::VtX}) {
        QTest::newRow(qPrintable(QStringLiteral("%1 %2").arg(guest, QString::fromUtf8(name_of(technique)))))
            << QString(guest) << technique;
      }
    }
  }
  void every_guest_keeps_the_event_streams_promises() {
    QFETCH(QString, guest);
    QFETCH(VmmTechnique, technique);
    auto machine = guest_machine(guest, technique);
    InvariantChecker checker;
    machine->set_sinks(&checker, nullptr);
    machine->run_until(400'000, Observation::Events);
    for (const auto& violation : checker.violations()) qWarning("%s", violation.c_str());
    QVERIFY(checker.violations().empty());
  }
};

QTEST_APPLESS_MAIN(TwoStageWalkTest)
#include "two_stage_walk_test.moc"
