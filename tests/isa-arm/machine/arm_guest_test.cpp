// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every AArch64 guest, bare and under the VMM at EL2, prints what it prints in QEMU (aarch64_qemu_test holds QEMU
// against the same texts). Those that misbehave end with a clear reason, or go on for ever without harm.
#include <QTest>

#include "core/events/invariant_checker.h"
#include "tests/isa-arm/machine/arm_machine.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

constexpr StepIndex kLong = 200'000'000, kHostileSteps = 200'000;

struct Level {
  const char* name;
  Observation observation;
};
constexpr Level kLevels[] = {{"direct", Observation::Direct}, {"models", Observation::Models}};

QString row_name(const char* guest, VmmTechnique technique, const Level& level) {
  return QStringLiteral("%1 %2 %3").arg(guest, QString::fromUtf8(name_of(technique)), level.name);
}

}  // namespace

class ArmGuestTest : public QObject {
  Q_OBJECT
 private slots:
  void a_guest_prints_what_it_prints_in_qemu_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<QString>("machine");
    QTest::addColumn<VmmTechnique>("technique");
    QTest::addColumn<Observation>("observation");
    QTest::addColumn<QString>("console");
    for (const test::Aarch64Guest& guest : test::aarch64_guests()) {
      for (const VmmTechnique technique : {VmmTechnique::Bare, VmmTechnique::El2}) {
        if (technique == VmmTechnique::El2 && has_el2(guest)) continue;  // The VMM gives its guest no EL2.
        for (const Level& level : kLevels) {
          if (level.observation == Observation::Models && QString(guest.name).endsWith("long")) continue;
          QTest::newRow(qPrintable(row_name(guest.name, technique, level)))
              << guest.name << QString::fromStdString(machine_for(guest)) << technique << level.observation
              << QString::fromStdString(guest.console);
        }
      }
    }
  }
  void a_guest_prints_what_it_prints_in_qemu() {
    QFETCH(QString, guest);
    QFETCH(QString, machine);
    QFETCH(VmmTechnique, technique);
    QFETCH(Observation, observation);
    QFETCH(QString, console);
    auto ours = arm_machine(guest, technique, machine.toStdString());
    QCOMPARE(ours->run_until(kLong, observation), StopReason::PowerOff);
    QCOMPARE(QString::fromStdString(ours->console()), console);
  }

  void a_hostile_guest_does_no_harm_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<bool>("ends");
    QTest::addColumn<VmmTechnique>("technique");
    QTest::addColumn<QString>("console");
    for (const test::Aarch64HostileGuest& guest : test::aarch64_hostile_guests()) {
      for (const VmmTechnique technique : {VmmTechnique::Bare, VmmTechnique::El2}) {
        QTest::newRow(qPrintable(QStringLiteral("%1 %2").arg(guest.name, QString::fromUtf8(name_of(technique)))))
            << guest.name << guest.ends << technique << QString::fromStdString(guest.console);
      }
    }
  }
  void a_hostile_guest_does_no_harm() {
    QFETCH(QString, guest);
    QFETCH(bool, ends);
    QFETCH(VmmTechnique, technique);
    QFETCH(QString, console);
    std::vector<std::uint64_t> digests;
    for (const Level& level : kLevels) {
      auto machine = arm_machine(guest, technique);
      const StopReason reason = machine->run_until(kHostileSteps, level.observation);
      const StopReason expected = ends                         ? StopReason::PowerOff
                                  : guest.contains("wait-for") ? StopReason::Deadlock
                                                               : StopReason::StepLimit;
      QCOMPARE(reason, expected);
      QCOMPARE(QString::fromStdString(machine->console()), console);
      digests.push_back(machine->digest());
    }
    QCOMPARE(digests.front(), digests.back());
  }

  void what_is_told_is_consistent_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<QString>("machine");
    QTest::addColumn<VmmTechnique>("technique");
    QTest::newRow("levels el2") << "aa64-levels"
                                << "virt" << VmmTechnique::El2;
    QTest::newRow("walk bare") << "aa64-walk"
                               << "virt" << VmmTechnique::Bare;
    QTest::newRow("gic el2") << "aa64-gic"
                             << "virt" << VmmTechnique::El2;
    QTest::newRow("smp el2") << "aa64-smp"
                             << "virt-smp" << VmmTechnique::El2;
    QTest::newRow("hypervisor") << "aa64-hypervisor"
                                << "virt-el2" << VmmTechnique::Bare;
  }
  void what_is_told_is_consistent() {
    QFETCH(QString, guest);
    QFETCH(QString, machine);
    QFETCH(VmmTechnique, technique);
    InvariantChecker checker;
    auto ours = arm_machine(guest, technique, machine.toStdString());
    ours->set_sinks(&checker, nullptr);
    ours->run_until(60'000, Observation::Events);
    QVERIFY2(checker.finish().empty(), checker.violations().empty() ? "" : checker.violations().front().c_str());
  }
};

QTEST_APPLESS_MAIN(ArmGuestTest)
#include "arm_guest_test.moc"
