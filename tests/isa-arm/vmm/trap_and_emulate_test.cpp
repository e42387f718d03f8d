// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest kernels that run at EL0 under a VMM at EL1: they print, compute and end as they do on the bare machine, and
// what does not trap is what the architecture says.
#include <QtTest>

#include "core/events/sink.h"
#include "tests/isa-arm/machine/arm_machine.h"
#include "tests/support/run_comparison.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

constexpr const char* kGuests[] = {"aa64-hello",   "aa64-levels", "aa64-walk",
                                   "aa64-compute", "aa64-gic",    "aa64-exception-levels"};
constexpr StepIndex kLimit = 20'000'000;

/// The hardware's own PSTATE is EL0's; what the guest believes of it is in CurrentEL, SPSel, DAIF and PAN.
bool is_compared(const RegisterRow& row) { return row.name != "PSTATE" && row.group != "GIC"; }

}  // namespace

class TrapAndEmulateTest : public QObject {
  Q_OBJECT
 private slots:
  void a_kernel_at_el0_ends_as_it_does_at_el1_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<Observation>("observation");
    for (const char* guest : kGuests) {
      QTest::newRow(qPrintable(QString(guest) + " direct")) << QString(guest) << Observation::Direct;
      QTest::newRow(qPrintable(QString(guest) + " models")) << QString(guest) << Observation::Models;
    }
  }
  void a_kernel_at_el0_ends_as_it_does_at_el1() {
    QFETCH(QString, guest);
    QFETCH(Observation, observation);
    auto bare = arm_machine(guest, VmmTechnique::Bare);
    auto emulated = arm_machine(guest, VmmTechnique::TrapAndEmulate);
    QCOMPARE(bare->run_until(kLimit, observation), StopReason::PowerOff);
    const StopReason stopped = emulated->run_until(kLimit, observation);
    QCOMPARE(QString::fromStdString(emulated->console()), QString::fromStdString(bare->console()));
    QCOMPARE(stopped, StopReason::PowerOff);
    QCOMPARE(difference_of_ends(*bare, *emulated, is_compared), QString());
  }

  /// LDTR asks with EL0's rights, and at EL0 every load does: nothing traps, and the kernel's own check of what its
  /// user may read is gone. It prints a byte of the kernel's memory for task 1, and sees both failures itself.
  void unprivileged_loads_are_the_hole_that_the_kernel_sees() {
    auto bare = arm_machine("aa64-kernel", VmmTechnique::Bare);
    auto emulated = arm_machine("aa64-kernel", VmmTechnique::TrapAndEmulate);
    QCOMPARE(bare->run_until(kLimit, Observation::Direct), StopReason::PowerOff);
    QCOMPARE(emulated->run_until(kLimit, Observation::Direct), StopReason::PowerOff);
    const QStringList expected = QString::fromStdString(bare->console()).split('\n');
    const QStringList actual = QString::fromStdString(emulated->console()).split('\n');
    QCOMPARE(actual.size(), expected.size());
    QStringList differing;
    for (qsizetype line = 0; line < expected.size(); ++line) {
      if (actual[line] == expected[line]) continue;
      if (actual[line].mid(1) == expected[line])
        differing << "a character before: " + expected[line].left(6);
      else
        differing << actual[line];
    }
    QCOMPARE(differing,
             (QStringList{"FAIL LDTR may not read what EL0 may not", "a character before: task 1",
                          "FAIL task 1: write refuses the kernel's memory", "kernel: FAILED 2 of 85 checks"}));
  }

  void direct_and_observed_runs_and_a_restart_end_with_one_digest_data() {
    QTest::addColumn<QString>("guest");
    for (const char* guest : {"aa64-levels", "aa64-walk", "aa64-kernel"}) QTest::newRow(guest) << QString(guest);
  }
  void direct_and_observed_runs_and_a_restart_end_with_one_digest() {
    QFETCH(QString, guest);
    auto direct = arm_machine(guest, VmmTechnique::TrapAndEmulate);
    direct->run_until(kLimit, Observation::Direct);
    const StepIndex end = direct->position();
    auto observed = arm_machine(guest, VmmTechnique::TrapAndEmulate);
    observed->run_until(end / 2, Observation::Models);
    const auto half = observed->snapshot();
    observed->run_until(kLimit, Observation::Models);
    QCOMPARE(observed->digest(), direct->digest());
    observed->restore(half);
    observed->run_until(kLimit, Observation::Models);
    QCOMPARE(observed->digest(), direct->digest());
  }

  void machines_that_it_cannot_serve_are_refused() {
    arm::register_arm();
    const auto image = read_file(guest_path("aa64-hello"));
    const auto two_cores = try_machine(image, VmmTechnique::TrapAndEmulate, "virt-smp");
    QVERIFY(!two_cores);
    QVERIFY(QString::fromStdString(two_cores.error().text()).contains("one AArch64 core"));
    const auto with_el2 = try_machine(image, VmmTechnique::TrapAndEmulate, "virt-el2");
    QVERIFY(!with_el2);
    QVERIFY(QString::fromStdString(with_el2.error().text()).contains("begin at EL2"));
  }
};

QTEST_APPLESS_MAIN(TrapAndEmulateTest)
#include "trap_and_emulate_test.moc"
