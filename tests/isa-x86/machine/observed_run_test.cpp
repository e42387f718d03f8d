// SPDX-License-Identifier: GPL-3.0-or-later
//
// Running with the models on is two mechanisms: step by step, and in stretches in which the engine tells of each
// instruction and access. Both must leave the same guest and the same TLBs, caches and counters, at whatever index one
// looks.
#include <QTest>
#include <random>

#include "core/machine/machine.h"
#include "tests/support/guest_machine.h"
#include "tests/support/run_comparison.h"

using namespace shearling;
using namespace shearling::testing;

class ObservedRunTest : public QObject {
  Q_OBJECT
 private slots:
  void stretches_leave_what_steps_leave_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<VmmTechnique>("technique");
    QTest::addColumn<StepIndex>("steps");
    const QStringList guests{"compute",
                             "kernel",
                             "page-walk",
                             "seesaw",
                             "cpuid-trap",
                             "memory-operands",
                             "privilege-levels",
                             "interrupt-storm",
                             "hostile-recursive-tables",
                             "hostile-triple-fault"};
    for (const QString& guest : guests) {
      for (const VmmTechnique technique : {VmmTechnique::Bare, VmmTechnique::VtX}) {
        const QString row = guest + " " + QString::fromUtf8(name_of(technique).data());
        QTest::newRow(qPrintable(row)) << guest << technique << StepIndex{150'000};
      }
    }
  }
  void stretches_leave_what_steps_leave() {
    QFETCH(QString, guest);
    QFETCH(VmmTechnique, technique);
    QFETCH(StepIndex, steps);
    const unsigned seed = 20260;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    auto in_stretches = guest_machine(guest, technique), by_steps = guest_machine(guest, technique);
    while (in_stretches->position() < steps && !in_stretches->stopped()) {
      const StepIndex target = std::min(steps, in_stretches->position() + 1 + random() % (1U << random() % 13));
      in_stretches->run_until(target, Observation::Models);
      by_steps->run_until(target, Observation::Models, nullptr, never);
      const QByteArray place = QByteArray::number(qulonglong{in_stretches->position()});
      QCOMPARE(in_stretches->position(), by_steps->position());
      QCOMPARE(in_stretches->stop().reason, by_steps->stop().reason);
      QVERIFY2(in_stretches->digest() == by_steps->digest(), place);
      QVERIFY2(same_counters(*in_stretches, *by_steps), place);
      QVERIFY2(in_stretches->models_digest() == by_steps->models_digest(), place);
    }
    QVERIFY(in_stretches->position() != 0);
  }
};

QTEST_GUILESS_MAIN(ObservedRunTest)
#include "observed_run_test.moc"
