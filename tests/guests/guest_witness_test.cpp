// SPDX-License-Identifier: GPL-3.0-or-later
//
// The differential test: every guest, bare here and in qemu-system-x86_64, prints the same and ends the same.
#include <QTest>

#include "tests/support/guest_machine.h"
#include "tests/support/qemu.h"

using namespace shearling;
using namespace shearling::testing;

class GuestWitnessTest : public QObject {
  Q_OBJECT
 private slots:
  void prints_and_ends_as_in_qemu_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<Observation>("observation");
    for (const char* guest :
         {"kernel", "privilege-levels", "cpuid-trap", "page-walk", "seesaw", "synonym", "working-sets", "seesaw-cases",
          "twin-x86", "memory-operands", "compute", "hostile-jump-into-nothing", "hostile-jump-beyond-ram",
          "hostile-triple-fault", "hostile-divide-without-idt", "hostile-recursive-tables", "hostile-exit-port-byte",
          "hostile-exit-port-rubbish"}) {
      QTest::newRow(qPrintable(QString(guest) + " direct")) << QString(guest) << Observation::Direct;
      QTest::newRow(qPrintable(QString(guest) + " models")) << QString(guest) << Observation::Models;
    }
    QTest::newRow("compute-long direct") << QString("compute-long") << Observation::Direct;
  }
  void prints_and_ends_as_in_qemu() {
    QFETCH(QString, guest);
    QFETCH(Observation, observation);
    const test::QemuRun witness = test::run_in_qemu(guest_path(guest).toStdString());
    if (!witness.started) QSKIP("QEMU is not installed: scripts/setup installs it");
    QVERIFY2(!witness.timed_out, "QEMU did not end");

    auto machine = guest_machine(guest, VmmTechnique::Bare);
    const StopReason reason = machine->run_until(200'000'000, observation);
    QCOMPARE(QString::fromStdString(machine->console()), QString::fromStdString(witness.console));
    // A triple fault resets the machine, and QEMU is told to end with 0 on a reset.
    const bool ended = reason == StopReason::ExitPort || reason == StopReason::TripleFault;
    QVERIFY2(ended, qPrintable(QString::fromUtf8(name_of(reason))));
    QCOMPARE(reason == StopReason::TripleFault ? 0 : int(machine->stop().code), witness.exit_status);
  }
};

QTEST_APPLESS_MAIN(GuestWitnessTest)
#include "guest_witness_test.moc"
