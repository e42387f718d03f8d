// SPDX-License-Identifier: GPL-3.0-or-later
//
// A run of an AArch64 machine is a pure function of guest, machine and technique: the state digest at every index is
// the same forwards, backwards and forwards again, at each observation level, with one core and with two.
#include <QTest>
#include <random>

#include "core/events/reflection.h"
#include "core/machine/time_travel.h"
#include "tests/isa-arm/machine/arm_machine.h"
#include "tests/support/run_comparison.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

struct Run {
  const char* guest;
  VmmTechnique technique;
  const char* machine;
  StepIndex steps;
};
constexpr Run kRuns[] = {
    {"aa64-compute", VmmTechnique::Bare, "virt", 100'000},       {"aa64-kernel", VmmTechnique::Bare, "virt", 100'000},
    {"aa64-kernel", VmmTechnique::El2, "virt", 60'000},          {"aa64-smp", VmmTechnique::Bare, "virt-smp", 60'000},
    {"aa64-smp", VmmTechnique::El2, "virt-smp", 60'000},         {"aa64-gic", VmmTechnique::El2, "virt", 60'000},
    {"aa64-hypervisor", VmmTechnique::Bare, "virt-el2", 60'000},
};

void add_runs() {
  QTest::addColumn<int>("run");
  for (int i = 0; i < static_cast<int>(std::size(kRuns)); ++i) {
    const Run& run = kRuns[i];
    QTest::newRow(qPrintable(QStringLiteral("%1 %2").arg(run.guest, QString::fromUtf8(name_of(run.technique))))) << i;
  }
}

std::unique_ptr<Machine> machine_of(const Run& run) { return arm_machine(run.guest, run.technique, run.machine); }

}  // namespace

class ArmDeterminismTest : public QObject {
  Q_OBJECT
 private slots:
  void every_index_agrees_at_each_observation_level_data() { add_runs(); }
  void every_index_agrees_at_each_observation_level() {
    QFETCH(int, run);
    const Run& what = kRuns[run];
    auto machine = machine_of(what);
    const std::vector<std::uint64_t> with_models = digests(*machine, what.steps, Observation::Models);
    QVERIFY(with_models.size() > 1'000);
    CountingSink sink;
    auto observed = machine_of(what);
    observed->set_sinks(&sink, nullptr);
    QCOMPARE(first_difference(digests(*observed, what.steps, Observation::Events), with_models), QString());
    QVERIFY(sink.count > with_models.size());
    auto direct = machine_of(what);
    QCOMPARE(first_difference(digests(*direct, what.steps, Observation::Direct), with_models), QString());
  }

  void every_index_agrees_backwards_and_forwards_again_data() { add_runs(); }
  void every_index_agrees_backwards_and_forwards_again() {
    QFETCH(int, run);
    const Run& what = kRuns[run];
    auto machine = machine_of(what);
    TimeTravel travel(*machine);
    std::vector<std::uint64_t> forwards;
    while (machine->position() < what.steps) {
      forwards.push_back(machine->digest());
      if (travel.run_until(machine->position() + 1, Observation::Models) != StopReason::StepLimit) break;
    }
    constexpr StepIndex kStretch = 5'000;
    for (StepIndex end = forwards.size(); end > 0; end -= std::min(end, kStretch)) {
      const StepIndex first = end - std::min(end, kStretch);
      QCOMPARE(travel.seek(first), first);
      for (StepIndex index = first; index < end; ++index) {
        if (machine->digest() != forwards[index]) QFAIL(qPrintable(QStringLiteral("backwards, index %1").arg(index)));
        travel.run_until(index + 1, Observation::Models);
      }
    }
    travel.seek(0);
    for (StepIndex index = 0; index < forwards.size(); ++index) {
      if (machine->digest() != forwards[index])
        QFAIL(qPrintable(QStringLiteral("forwards again, index %1").arg(index)));
      travel.run_until(index + 1, Observation::Models);
    }
  }

  void seeking_anywhere_gives_the_state_and_the_models_of_that_index_data() { add_runs(); }
  void seeking_anywhere_gives_the_state_and_the_models_of_that_index() {
    QFETCH(int, run);
    constexpr std::uint32_t kSeed = 20261122;
    qInfo("seed %u", kSeed);
    std::mt19937 random(kSeed);
    auto machine = machine_of(kRuns[run]);
    TimeTravel travel(*machine, 16, 512);
    std::vector<std::uint64_t> states, models;
    while (!machine->stopped() && machine->position() < 20'000) {
      states.push_back(machine->digest());
      models.push_back(machine->position() % 64 == 0 ? machine->models_digest() : 0);
      travel.run_until(machine->position() + 1, Observation::Models);
    }
    for (int count = 0; count < 60; ++count) {
      const StepIndex target = random() % states.size();
      QCOMPARE(travel.seek(target), target);
      QCOMPARE(machine->digest(), states[target]);
      if (models[target] != 0) QCOMPARE(machine->models_digest(), models[target]);
    }
  }

  void stretches_leave_what_steps_leave_data() { add_runs(); }
  void stretches_leave_what_steps_leave() {
    QFETCH(int, run);
    const unsigned seed = 20261;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    auto in_stretches = machine_of(kRuns[run]), by_steps = machine_of(kRuns[run]);
    while (in_stretches->position() < kRuns[run].steps && !in_stretches->stopped()) {
      const StepIndex target =
          std::min(kRuns[run].steps, in_stretches->position() + 1 + random() % (1U << random() % 13));
      in_stretches->run_until(target, Observation::Models);
      by_steps->run_until(target, Observation::Models, nullptr, never);
      const QByteArray place = QByteArray::number(qulonglong{in_stretches->position()});
      QCOMPARE(in_stretches->position(), by_steps->position());
      QCOMPARE(in_stretches->stop().reason, by_steps->stop().reason);
      QVERIFY2(in_stretches->digest() == by_steps->digest(), place);
      QVERIFY2(same_counters(*in_stretches, *by_steps), place);
      QVERIFY2(in_stretches->models_digest() == by_steps->models_digest(), place);
    }
  }

  void the_same_step_gives_the_same_events_again() {
    auto machine = arm_machine("aa64-levels", VmmTechnique::El2);
    TimeTravel travel(*machine);
    std::vector<std::vector<Event>> first;
    while (!machine->stopped() && first.size() < 3'000) first.push_back(travel.step_forward());
    QVERIFY(first.size() > 20);
    travel.seek(0);
    for (const std::vector<Event>& expected : first) {
      const std::vector<Event> again = travel.step_forward();
      QCOMPARE(again.size(), expected.size());
      for (std::size_t index = 0; index < again.size(); ++index)
        QCOMPARE(narrate(again[index]), narrate(expected[index]));
    }
  }
};

QTEST_APPLESS_MAIN(ArmDeterminismTest)
#include "arm_determinism_test.moc"
