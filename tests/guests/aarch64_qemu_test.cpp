// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every AArch64 guest that ends must do in QEMU what it says, so that it can be a witness against our machine.
#include <QTest>

#include <algorithm>
#include <string>

#include "tests/support/aarch64_guests.h"
#include "tests/support/qemu.h"

using namespace shearling::test;

namespace {

std::string image_of(const std::string& name) { return std::string(SHEARLING_BINARY_DIR "/guests/") + name + ".elf"; }

QByteArray shown(const QemuRun& run) { return QByteArray::fromStdString(run.messages + run.console); }

}  // namespace

class Aarch64QemuTest : public QObject {
  Q_OBJECT

 private slots:
  void a_guest_prints_what_it_says_data() {
    QTest::addColumn<int>("index");
    const auto guests = aarch64_guests();
    for (std::size_t i = 0; i < guests.size(); ++i) QTest::newRow(guests[i].name) << static_cast<int>(i);
  }

  void a_guest_prints_what_it_says() {
    QFETCH(int, index);
    const Aarch64Guest guest = aarch64_guests()[static_cast<std::size_t>(index)];
    QemuVirtOptions options;
    options.el2 = std::string(guest.machine) == "virt-el2";
    options.cpus = guest.cpus;
    options.cpu = guest.cpu;
    const QemuRun run = run_in_qemu_virt(image_of(guest.name), options);
    QVERIFY2(run.started, run.messages.c_str());
    QVERIFY2(!run.timed_out, shown(run));
    QCOMPARE(QString::fromStdString(run.console), QString::fromStdString(guest.console));
    QCOMPARE(run.exit_status, 0);
  }

  void a_hostile_guest_does_what_it_says_data() {
    QTest::addColumn<int>("index");
    const auto guests = aarch64_hostile_guests();
    for (std::size_t i = 0; i < guests.size(); ++i) QTest::newRow(guests[i].name) << static_cast<int>(i);
  }

  void a_hostile_guest_does_what_it_says() {
    QFETCH(int, index);
    const Aarch64HostileGuest guest = aarch64_hostile_guests()[static_cast<std::size_t>(index)];
    QemuVirtOptions options;
    if (!guest.ends) options.time_limit_milliseconds = 600;
    const QemuRun run = run_in_qemu_virt(image_of(guest.name), options);
    QVERIFY2(run.started, run.messages.c_str());
    QCOMPARE(run.timed_out, !guest.ends);
    QCOMPARE(QString::fromStdString(run.console), QString::fromStdString(guest.console));
  }

  void no_expected_text_holds_a_failed_check() {
    for (const Aarch64Guest& guest : aarch64_guests()) {
      QVERIFY2(!guest.console.empty(), guest.name);
      QVERIFY2(guest.console.find("FAIL") == std::string::npos, guest.name);
    }
  }

  void the_kernel_s_expected_text_counts_its_checks_and_holds_what_its_tasks_compute() {
    const auto lines = lines_of(expected_console("aa64-kernel"));
    std::size_t passed = 0;
    for (const std::string& line : lines) passed += line.starts_with("ok   ");
    QVERIFY(passed >= 80);
    QCOMPARE(QString::fromStdString(lines.back()), QString("kernel: all %1 checks passed").arg(passed));
    const auto has = [&](const std::string& line) { return std::ranges::find(lines, line) != lines.end(); };
    QVERIFY(has("task 1: result " + hex(task_result(0x1357)) + ", pages mapped on demand 8"));
    QVERIFY(has("task 2: result " + hex(task_result(0x2468)) + ", pages mapped on demand 12"));
  }

  void an_image_for_another_level_says_so() {
    QemuVirtOptions with_el2;
    with_el2.el2 = true;
    const QemuRun low = run_in_qemu_virt(image_of("aa64-hello"), with_el2);
    QCOMPARE(QString::fromStdString(low.console),
             QString("boot: this image starts at EL1: give it a machine without EL2\n"));
    const QemuRun high = run_in_qemu_virt(image_of("aa64-hello-el2"));
    QCOMPARE(QString::fromStdString(high.console),
             QString("boot: this image starts at EL2: the machine must have it\n"));
  }
};

QTEST_GUILESS_MAIN(Aarch64QemuTest)
#include "aarch64_qemu_test.moc"
