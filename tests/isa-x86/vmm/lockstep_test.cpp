// SPDX-License-Identifier: GPL-3.0-or-later
//
// Bare and VT-x side by side: not only do they end alike, they stand alike at every instruction boundary on the way,
// timer interrupts included. So the VMM interrupts its guest at the same instruction as the hardware alone does.
#include <QTest>

#include "tests/support/guest_machine.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

/// Everything the guest believes; empty when equal, else the first difference.
QString difference(const Machine& bare, const Machine& virtualized) {
  const auto expected = bare.processor().registers(), actual = virtualized.processor().registers();
  std::size_t compared = 0;
  for (const RegisterRow& row : expected) {
    if (row.group == "vmx") continue;
    for (const RegisterRow& other : actual) {
      if (other.name != row.name || other.group == "vmx") continue;
      ++compared;
      if (other.believed != row.believed)
        return QStringLiteral("step %1: %2 is %3 bare and %4 under VT-x")
            .arg(bare.position())
            .arg(QString::fromStdString(std::string(row.name)))
            .arg(row.believed, 0, 16)
            .arg(other.believed, 0, 16);
    }
  }
  return compared > 20 ? QString() : QStringLiteral("only %1 registers were compared").arg(compared);
}

}  // namespace

class LockstepTest : public QObject {
  Q_OBJECT
 private slots:
  void both_stand_alike_at_every_boundary_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<quint64>("from");
    QTest::addColumn<quint64>("stride");
    QTest::addColumn<quint64>("most");
    QTest::newRow("privilege levels, every instruction")
        << "privilege-levels" << quint64{4000} << quint64{1} << quint64{5000};
    QTest::newRow("page walk, every instruction") << "page-walk" << quint64{4000} << quint64{1} << quint64{5000};
    QTest::newRow("random interrupts, every instruction")
        << "interrupt-storm" << quint64{4300} << quint64{1} << quint64{15000};
    QTest::newRow("random interrupts, strides") << "interrupt-storm" << quint64{0} << quint64{97} << quint64{5000};
    QTest::newRow("kernel, strides over all of it") << "kernel" << quint64{0} << quint64{997} << quint64{5000};
    QTest::newRow("kernel, its end, every instruction") << "kernel" << quint64{817000} << quint64{1} << quint64{20000};
  }
  void both_stand_alike_at_every_boundary() {
    QFETCH(QString, guest);
    QFETCH(quint64, from);
    QFETCH(quint64, stride);
    QFETCH(quint64, most);
    auto bare = guest_machine(guest, VmmTechnique::Bare);
    auto virtualized = guest_machine(guest, VmmTechnique::VtX);
    unsigned compared = 0;
    for (quint64 target = from; compared < most; target += stride, ++compared) {
      const StopReason first = bare->run_until(target, Observation::Direct),
                       second = virtualized->run_until(target, Observation::Direct);
      QCOMPARE(second, first);
      QCOMPARE(virtualized->position(), bare->position());
      const QString found = difference(*bare, *virtualized);
      QVERIFY2(found.isEmpty(), qPrintable(found));
      if (first != StopReason::StepLimit) break;
    }
    QVERIFY(compared >= 800);
  }
};

QTEST_APPLESS_MAIN(LockstepTest)
#include "lockstep_test.moc"
