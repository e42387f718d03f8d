// SPDX-License-Identifier: GPL-3.0-or-later
//
// Popek and Goldberg's equivalence: the same image, bare and under VT-x, ends with the same console, registers and
// memory (time and devices excepted).
#include <QTest>
#include <map>

#include "tests/support/guest_machine.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

const char* const kGuests[] = {"kernel", "privilege-levels", "cpuid-trap", "page-walk", "seesaw", "compute"};

std::map<std::string, std::uint64_t> believed_registers(const Machine& machine) {
  std::map<std::string, std::uint64_t> result;
  for (const RegisterRow& row : machine.processor().registers()) {
    if (row.name != "TSC" && row.group != "vmx") result[std::string(row.name)] = row.believed;
  }
  return result;
}

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
    QCOMPARE(QString::fromStdString(virtualized->console()), QString::fromStdString(bare->console()));
    const auto expected = believed_registers(*bare);
    const auto actual = believed_registers(*virtualized);
    QVERIFY(expected.size() > 20);
    for (const auto& [name, value] : expected) {
      QVERIFY2(actual.count(name) == 1 && actual.at(name) == value,
               qPrintable(QStringLiteral("%1: bare %2, under VT-x %3")
                              .arg(QString::fromStdString(name))
                              .arg(value, 0, 16)
                              .arg(actual.count(name) ? actual.at(name) : 0, 0, 16)));
    }
    QCOMPARE(QString::fromStdString(virtualized->guest_memory_sha256()),
             QString::fromStdString(bare->guest_memory_sha256()));
    QCOMPARE(virtualized->position(), bare->position());
  }
};

QTEST_APPLESS_MAIN(EquivalenceTest)
#include "equivalence_test.moc"
