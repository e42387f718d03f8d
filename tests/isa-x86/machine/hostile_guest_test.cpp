// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guests that misbehave, and images that are no images: each ends with a clear reason, under every technique and at
// every observation level, and never with a crash.
#include <QTest>
#include <random>

#include "tests/support/guest_machine.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

struct HostileGuest {
  const char* name;
  StopReason reason;
  std::uint32_t code;  // Process status for ExitPort: what QEMU ends with on the same image.
};

const HostileGuest kHostileGuests[] = {
    {"jump-into-nothing", StopReason::ExitPort, 205},     {"jump-beyond-ram", StopReason::TripleFault, 0},
    {"triple-fault", StopReason::TripleFault, 0},         {"divide-without-idt", StopReason::TripleFault, 0},
    {"recursive-tables", StopReason::TripleFault, 0},     {"exit-port-byte", StopReason::ExitPort, 107},
    {"exit-port-rubbish", StopReason::ExitPort, 49},      {"endless-loop", StopReason::StepLimit, 0},
    {"halt-without-interrupts", StopReason::Deadlock, 0},
};

struct Level {
  const char* name;
  Observation observation;
};
const Level kLevels[] = {{"direct", Observation::Direct}, {"models", Observation::Models}};

}  // namespace

class HostileGuestTest : public QObject {
  Q_OBJECT
 private slots:
  void each_ends_with_a_clear_reason_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<StopReason>("reason");
    QTest::addColumn<unsigned>("code");
    QTest::addColumn<VmmTechnique>("technique");
    QTest::addColumn<Observation>("observation");
    for (const HostileGuest& guest : kHostileGuests) {
      for (const VmmTechnique technique : {VmmTechnique::Bare, VmmTechnique::VtX}) {
        for (const Level& level : kLevels) {
          const QString row =
              QStringLiteral("%1 %2 %3").arg(guest.name, QString::fromUtf8(name_of(technique)), level.name);
          QTest::newRow(qPrintable(row)) << QString(guest.name) << guest.reason << guest.code << technique
                                         << level.observation;
        }
      }
    }
  }
  void each_ends_with_a_clear_reason() {
    QFETCH(QString, guest);
    QFETCH(StopReason, reason);
    QFETCH(unsigned, code);
    QFETCH(VmmTechnique, technique);
    QFETCH(Observation, observation);
    auto machine = guest_machine("hostile-" + guest, technique);
    QCOMPARE(machine->run_until(300'000, observation), reason);
    QCOMPARE(machine->stop().code, code);
  }

  void recursive_tables_end_at_the_same_step_everywhere() {
    std::vector<std::uint64_t> positions;
    for (const VmmTechnique technique : {VmmTechnique::Bare, VmmTechnique::VtX}) {
      for (const Level& level : kLevels) {
        auto machine = guest_machine("hostile-recursive-tables", technique);
        machine->run_until(300'000, level.observation);
        positions.push_back(machine->position());
      }
    }
    for (const std::uint64_t position : positions) QCOMPARE(position, positions.front());
  }

  void a_mutated_image_is_refused_or_runs_to_a_reason() {
    constexpr std::uint32_t kSeed = 7;
    qInfo("seed %u", kSeed);
    std::mt19937 random(kSeed);
    const std::vector<std::uint8_t> good = read_file(guest_path("privilege-levels"));
    int refused = 0, ran = 0;
    for (int count = 0; count < 120; ++count) {
      std::vector<std::uint8_t> image = good;
      if (count % 4 == 0) image.resize(random() % image.size());
      for (int flips = 0; flips < 8 && !image.empty(); ++flips)
        image[random() % std::min<std::size_t>(image.size(), 0x1400)] ^=
            static_cast<std::uint8_t>(1U << (random() % 8));
      auto machine = try_machine(image, count % 2 == 0 ? VmmTechnique::Bare : VmmTechnique::VtX);
      if (!machine) {
        QVERIFY(!machine.error().message.empty());
        ++refused;
        continue;
      }
      ++ran;
      const StopReason reason =
          machine.value()->run_until(20'000, count % 3 == 0 ? Observation::Models : Observation::Direct);
      QVERIFY(reason != StopReason::None);
    }
    QVERIFY(refused > 0 && ran > 0);
  }

  void an_image_larger_than_memory_is_refused_with_a_remedy() {
    std::vector<std::uint8_t> image = read_file(guest_path("privilege-levels"));
    x86::register_x86();
    auto description = read_machine_description("pc");
    QVERIFY(description.ok());
    // Program header 0 of an ELF32 file: p_memsz is the sixth word.
    const std::uint32_t program_headers = image[28] | (static_cast<std::uint32_t>(image[29]) << 8);
    for (int byte = 0; byte < 4; ++byte) image[program_headers + 20 + byte] = byte == 3 ? 0x7f : 0xff;
    const auto machine = try_machine(image, VmmTechnique::Bare);
    QVERIFY(!machine.ok());
    QVERIFY(!machine.error().remedy.empty());
  }
};

QTEST_APPLESS_MAIN(HostileGuestTest)
#include "hostile_guest_test.moc"
