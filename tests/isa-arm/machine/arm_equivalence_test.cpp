// SPDX-License-Identifier: GPL-3.0-or-later
//
// The same image, bare and as a virtual machine under EL2, ends with the same console, registers and memory (time,
// interrupt controller and timer excepted).
#include <QTest>

#include "tests/isa-arm/machine/arm_machine.h"
#include "tests/support/run_comparison.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

bool is_compared(const RegisterRow& row) {
  return row.group != "timer" && row.group != "GIC" && !row.name.ends_with("_EL2") && !row.name.starts_with("ICH_");
}

}  // namespace

class ArmEquivalenceTest : public QObject {
  Q_OBJECT
 private slots:
  void bare_and_el2_end_alike_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<QString>("machine");
    QTest::addColumn<Observation>("observation");
    for (const test::Aarch64Guest& guest : test::aarch64_guests()) {
      if (has_el2(guest)) continue;  // The VMM gives its guest no EL2.
      const QString machine = QString::fromStdString(machine_for(guest));
      QTest::addRow("%s direct", guest.name) << guest.name << machine << Observation::Direct;
      if (QString(guest.name).endsWith("long")) continue;
      QTest::addRow("%s models", guest.name) << guest.name << machine << Observation::Models;
    }
  }
  void bare_and_el2_end_alike() {
    QFETCH(QString, guest);
    QFETCH(QString, machine);
    QFETCH(Observation, observation);
    auto bare = arm_machine(guest, VmmTechnique::Bare, machine.toStdString());
    auto virtualized = arm_machine(guest, VmmTechnique::El2, machine.toStdString());
    QCOMPARE(bare->run_until(200'000'000, observation), StopReason::PowerOff);
    QCOMPARE(virtualized->run_until(200'000'000, observation), StopReason::PowerOff);
    QCOMPARE(difference_of_ends(*bare, *virtualized, is_compared), QString());
  }
};

QTEST_APPLESS_MAIN(ArmEquivalenceTest)
#include "arm_equivalence_test.moc"
