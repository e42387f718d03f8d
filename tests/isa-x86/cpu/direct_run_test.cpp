// SPDX-License-Identifier: GPL-3.0-or-later
//
// Direct execution, in pieces of random length, must pass through the very states that stepping passes through.
#include <QFile>
#include <QTest>
#include <random>

#include "core/machine/machine.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;

namespace {

std::unique_ptr<Machine> make_machine(const QString& guest, VmmTechnique technique) {
  QFile file(QStringLiteral(SHEARLING_BINARY_DIR "/guests/%1.elf").arg(guest));
  if (!file.open(QIODevice::ReadOnly)) return nullptr;
  const QByteArray bytes = file.readAll();
  MachineSetup setup;
  setup.guest_name = guest.toStdString();
  setup.guest_image.assign(bytes.begin(), bytes.end());
  Result<std::string> description = read_machine_description("pc");
  if (!description) return nullptr;
  setup.machine_yaml = description.value();
  setup.technique = technique;
  Result<std::unique_ptr<Machine>> machine = Machine::create(std::move(setup));
  return machine ? std::move(machine).value() : nullptr;
}

}  // namespace

class DirectRunTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { x86::register_x86(); }

  void random_pieces_meet_the_states_of_stepping_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<int>("technique");
    QTest::addColumn<int>("largest");
    for (const char* guest : {"kernel", "privilege-levels", "page-walk", "cpuid-trap"}) {
      QTest::addRow("%s, bare", guest) << guest << static_cast<int>(VmmTechnique::Bare)
                                       << (QByteArray(guest) == "kernel" ? 9000 : 97);
      QTest::addRow("%s, VT-x", guest) << guest << static_cast<int>(VmmTechnique::VtX)
                                       << (QByteArray(guest) == "kernel" ? 9000 : 97);
    }
  }
  void random_pieces_meet_the_states_of_stepping() {
    QFETCH(QString, guest);
    QFETCH(int, technique);
    QFETCH(int, largest);
    const std::uint32_t seed = 4711;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    const auto direct = make_machine(guest, static_cast<VmmTechnique>(technique));
    const auto stepped = make_machine(guest, static_cast<VmmTechnique>(technique));
    QVERIFY(direct != nullptr && stepped != nullptr);
    unsigned pieces = 0;
    while (!direct->stopped()) {
      const StepIndex target = direct->position() + 1 + random() % static_cast<unsigned>(largest);
      direct->run_until(target, Observation::Direct);
      stepped->run_until(target, Observation::Models);
      QCOMPARE(direct->position(), stepped->position());
      QVERIFY2(direct->digest() == stepped->digest(), qPrintable(QString("at step %1").arg(direct->position())));
      ++pieces;
    }
    QVERIFY(stepped->stopped());
    QCOMPARE(direct->stop().reason, StopReason::ExitPort);
    QCOMPARE(direct->console(), stepped->console());
    QVERIFY(pieces > 50);
  }
};

QTEST_APPLESS_MAIN(DirectRunTest)
#include "direct_run_test.moc"
