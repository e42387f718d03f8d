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

struct Guest {
  const char* name;
  const char* machine;
};
constexpr Guest kGuests[] = {{"aa64-hello", "virt"},   {"aa64-compute", "virt"}, {"aa64-levels", "virt"},
                             {"aa64-walk", "virt"},    {"aa64-kernel", "virt"},  {"aa64-gic", "virt"},
                             {"aa64-smp", "virt-smp"}, {"twin-aarch64", "virt"}};

bool is_compared(const RegisterRow& row) {
  return row.group != "timer" && row.group != "GIC" && !row.name.ends_with("_EL2") && !row.name.starts_with("ICH_");
}

}  // namespace

class ArmEquivalenceTest : public QObject {
  Q_OBJECT
 private slots:
  void bare_and_el2_end_alike_data() {
    QTest::addColumn<int>("guest");
    QTest::addColumn<Observation>("observation");
    for (int i = 0; i < static_cast<int>(std::size(kGuests)); ++i) {
      QTest::newRow(qPrintable(QString(kGuests[i].name) + " direct")) << i << Observation::Direct;
      QTest::newRow(qPrintable(QString(kGuests[i].name) + " models")) << i << Observation::Models;
    }
  }
  void bare_and_el2_end_alike() {
    QFETCH(int, guest);
    QFETCH(Observation, observation);
    const Guest& what = kGuests[guest];
    auto bare = arm_machine(what.name, VmmTechnique::Bare, what.machine);
    auto virtualized = arm_machine(what.name, VmmTechnique::El2, what.machine);
    QCOMPARE(bare->run_until(20'000'000, observation), StopReason::PowerOff);
    QCOMPARE(virtualized->run_until(20'000'000, observation), StopReason::PowerOff);
    QCOMPARE(difference_of_ends(*bare, *virtualized, is_compared), QString());
  }
};

QTEST_APPLESS_MAIN(ArmEquivalenceTest)
#include "arm_equivalence_test.moc"
