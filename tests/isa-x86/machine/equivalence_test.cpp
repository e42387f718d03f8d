// SPDX-License-Identifier: GPL-3.0-or-later
//
// Popek and Goldberg's equivalence: the same image, bare and under VT-x, ends with the same console, registers and
// memory (time and devices excepted).
#include <QTest>

#include "tests/support/guest_machine.h"
#include "tests/support/run_comparison.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

const char* const kGuests[] = {"kernel", "privilege-levels", "cpuid-trap", "page-walk", "seesaw", "compute"};

bool is_compared(const RegisterRow& row) { return row.name != "TSC" && row.group != "vmx"; }

}  // namespace

class EquivalenceTest : public QObject {
  Q_OBJECT
 private slots:
  void bare_and_vt_x_end_alike_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<Observation>("observation");
    for (const char* guest : kGuests) {
      QTest::newRow(qPrintable(QString(guest) + " direct")) << QString(guest) << Observation::Direct;
      QTest::newRow(qPrintable(QString(guest) + " models")) << QString(guest) << Observation::Models;
    }
  }
  void bare_and_vt_x_end_alike() {
    QFETCH(QString, guest);
    QFETCH(Observation, observation);
    auto bare = guest_machine(guest, VmmTechnique::Bare);
    auto virtualized = guest_machine(guest, VmmTechnique::VtX);
    QCOMPARE(bare->run_until(50'000'000, observation), StopReason::ExitPort);
    QCOMPARE(virtualized->run_until(50'000'000, observation), StopReason::ExitPort);
    QCOMPARE(virtualized->stop().code, bare->stop().code);
    QCOMPARE(difference_of_ends(*bare, *virtualized, is_compared), QString());
  }
};

QTEST_APPLESS_MAIN(EquivalenceTest)
#include "equivalence_test.moc"
