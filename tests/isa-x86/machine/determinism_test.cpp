// SPDX-License-Identifier: GPL-3.0-or-later
//
// A run is a pure function of guest, machine and technique: the state digest at every index of a run of a million
// instructions is the same forwards, backwards and forwards again, and at each observation level.
#include <QTest>
#include <random>

#include "core/events/reflection.h"
#include "core/machine/time_travel.h"
#include "tests/support/guest_machine.h"
#include "tests/support/run_comparison.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

constexpr StepIndex kSteps = 1'000'000;

}  // namespace

class DeterminismTest : public QObject {
  Q_OBJECT
 private slots:
  void every_index_agrees_at_each_observation_level_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<VmmTechnique>("technique");
    QTest::addColumn<StepIndex>("steps");
    QTest::newRow("compute bare") << "compute" << VmmTechnique::Bare << kSteps;
    QTest::newRow("kernel bare") << "kernel" << VmmTechnique::Bare << StepIndex{100'000};
    QTest::newRow("kernel vt-x") << "kernel" << VmmTechnique::VtX << StepIndex{100'000};
  }
  void every_index_agrees_at_each_observation_level() {
    QFETCH(QString, guest);
    QFETCH(VmmTechnique, technique);
    QFETCH(StepIndex, steps);
    auto machine = guest_machine(guest, technique);
    const std::vector<std::uint64_t> with_models = digests(*machine, steps, Observation::Models);
    QVERIFY(with_models.size() > 10'000);

    CountingSink sink;
    auto observed = guest_machine(guest, technique);
    observed->set_sinks(&sink, nullptr);
    QCOMPARE(first_difference(digests(*observed, steps, Observation::Events), with_models), QString());
    QVERIFY(sink.count > with_models.size());

    auto direct = guest_machine(guest, technique);
    QCOMPARE(first_difference(digests(*direct, steps, Observation::Direct), with_models), QString());
  }

  void every_index_agrees_backwards_and_forwards_again() {
    auto machine = guest_machine("compute", VmmTechnique::Bare);
    TimeTravel travel(*machine);
    std::vector<std::uint64_t> forwards;
    while (machine->position() < kSteps) {
      forwards.push_back(machine->digest());
      QCOMPARE(travel.run_until(machine->position() + 1, Observation::Models), StopReason::StepLimit);
    }
    // Backwards: from the end, stretch by stretch, each reached by seeking back and compared at every index in it.
    constexpr StepIndex kStretch = 5'000;
    for (StepIndex end = kSteps; end > 0; end -= kStretch) {
      QCOMPARE(travel.seek(end - kStretch), end - kStretch);
      for (StepIndex index = end - kStretch; index < end; ++index) {
        if (machine->digest() != forwards[index]) QFAIL(qPrintable(QStringLiteral("backwards, index %1").arg(index)));
        travel.run_until(index + 1, Observation::Models);
      }
    }
    travel.seek(0);
    for (StepIndex index = 0; index < kSteps; ++index) {
      if (machine->digest() != forwards[index])
        QFAIL(qPrintable(QStringLiteral("forwards again, index %1").arg(index)));
      travel.run_until(index + 1, Observation::Models);
    }
  }

  void stepping_back_one_by_one_undoes_each_step_data() {
    QTest::addColumn<VmmTechnique>("technique");
    QTest::newRow("bare") << VmmTechnique::Bare;
    QTest::newRow("vt-x") << VmmTechnique::VtX;
  }
  void stepping_back_one_by_one_undoes_each_step() {
    QFETCH(VmmTechnique, technique);
    auto machine = guest_machine("kernel", technique);
    TimeTravel travel(*machine);
    travel.run_until(20'000, Observation::Models);
    std::vector<std::uint64_t> states, models;
    for (int count = 0; count < 3'000 && !machine->stopped(); ++count) {
      states.push_back(machine->digest());
      models.push_back(machine->models_digest());
      travel.step_forward();
    }
    while (!states.empty()) {
      travel.step_back();
      QCOMPARE(machine->digest(), states.back());
      QCOMPARE(machine->models_digest(), models.back());
      states.pop_back();
      models.pop_back();
    }
  }

  void seeking_anywhere_gives_the_state_and_the_models_of_that_index() {
    constexpr std::uint32_t kSeed = 20261122;
    qInfo("seed %u", kSeed);
    std::mt19937 random(kSeed);
    auto machine = guest_machine("kernel", VmmTechnique::VtX);
    TimeTravel travel(*machine, 16, 512);
    std::vector<std::uint64_t> states, models;
    while (!machine->stopped() && machine->position() < 60'000) {
      states.push_back(machine->digest());
      models.push_back(machine->position() % 64 == 0 ? machine->models_digest() : 0);
      travel.run_until(machine->position() + 1, Observation::Models);
    }
    for (int count = 0; count < 200; ++count) {
      const StepIndex target = random() % states.size();
      QCOMPARE(travel.seek(target), target);
      QCOMPARE(machine->digest(), states[target]);
      if (models[target] != 0) QCOMPARE(machine->models_digest(), models[target]);
    }
  }

  void the_same_step_gives_the_same_events_again() {
    auto machine = guest_machine("cpuid-trap", VmmTechnique::VtX);
    TimeTravel travel(*machine);
    std::vector<std::vector<Event>> first;
    while (!machine->stopped()) first.push_back(travel.step_forward());
    QVERIFY(first.size() > 20);
    travel.seek(0);
    for (const std::vector<Event>& expected : first) {
      const std::vector<Event> again = travel.step_forward();
      QCOMPARE(again.size(), expected.size());
      for (std::size_t index = 0; index < again.size(); ++index) {
        QCOMPARE(narrate(again[index]), narrate(expected[index]));
      }
    }
  }
};

QTEST_APPLESS_MAIN(DeterminismTest)
#include "determinism_test.moc"
