// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every guest that ends must do in QEMU what it says, so that it can be a witness against our machine. What it prints
// is compared with what is computed here, independently of any emulator.
#include <QTest>

#include <array>
#include <bit>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/guest_results.h"
#include "tests/support/qemu.h"

using namespace shearling::test;

namespace {

std::string image_of(const std::string& name) { return std::string(SHEARLING_BINARY_DIR "/guests/") + name + ".elf"; }

constexpr int exit_status_of(int code) { return (code << 1 | 1) & 0xff; }

/// What both loops of seesaw.S compute.
std::uint64_t seesaw_checksum() {
  std::uint64_t sum = 0;
  for (int pass = 0; pass < 4; ++pass)
    for (std::uint64_t line = 0; line < 512; ++line) sum = std::rotl(sum + line * line + 1, 1);
  return sum;
}

/// What working-sets.S computes: the addresses that its three walks come past, twice and then four times.
std::uint64_t working_sets_checksum() {
  std::vector<std::uint64_t> compact, scattered{0x6100000}, large;
  for (std::uint64_t line = 0; line < 192; ++line) compact.push_back(0x6000000 + line * 64);
  for (std::uint32_t state = 20180602; scattered.size() < 192;) {
    state = state * 1103515245u + 12345u;
    const std::uint64_t line = 0x6100000 + (state >> 16 & 0x3fff) * 64;
    if (std::ranges::find(scattered, line) == scattered.end()) scattered.push_back(line);
  }
  for (std::uint64_t i = 0; i < 1536; ++i) large.push_back(0x6010000 + i * 613 % 1536 * 64);
  std::uint64_t sum = 0;
  for (const std::vector<std::uint64_t>& lines : {compact, scattered, large})
    for (std::size_t i = 1; i <= lines.size() * 6; ++i) sum = std::rotl(sum + lines[i % lines.size()], 1);
  return sum;
}

QByteArray shown(const QemuRun& run) { return QByteArray::fromStdString(run.messages + run.console); }

}  // namespace

class GuestQemuTest : public QObject {
  Q_OBJECT

 private slots:
  void a_guest_prints_what_it_computes_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("code");
    QTest::addColumn<QString>("console");
    const auto row = [](const char* name, int code, const std::string& console) {
      QTest::newRow(name) << QString(name) << code << QString::fromStdString(console);
    };
    row("compute", 0, "compute: checksum " + hex(compute_checksum(60000)) + "\n");
    row("compute-long", 0, "compute: checksum " + hex(compute_checksum(5000000)) + "\n");
    row("seesaw", 0,
        "seesaw: superpage checksum " + hex(seesaw_checksum()) + "\nseesaw: small pages checksum " +
            hex(seesaw_checksum()) + "\n");
    row("synonym", 0, "synonym: every load gave what its frame holds\n");
    row("working-sets", 0, "working-sets: checksum " + hex(working_sets_checksum()) + "\n");
    row("seesaw-cases", 0, "seesaw-cases: splintered and promoted, and every value is where it was\n");
    row("privilege-levels", 0,
        "ring 0: going to ring 3\nring 3: hello through SYSCALL\n"
        "ring 0: #GP, error code 0, from ring 3, at the CLI\n");
    row("cpuid-trap", 0, "* done\n");
    row("page-walk", 0, "page-walk: after INVLPG the new page is seen\n");
    row("twin-x86", 0, "* two-architectures: done\n");
    row("hostile-jump-into-nothing", 102, "unexpected vector 14 error 0x10 at 0x7fffdeadb000 CR2 0x7fffdeadb000\n");
    row("hostile-exit-port-byte", 0x35, "");
    row("hostile-exit-port-rubbish", 0x98, "exit-port-rubbish: before\n");
  }

  void a_guest_prints_what_it_computes() {
    QFETCH(QString, name);
    QFETCH(int, code);
    QFETCH(QString, console);
    const QemuRun run = run_in_qemu(image_of(name.toStdString()));
    QVERIFY2(run.started, run.messages.c_str());
    QVERIFY2(!run.timed_out, shown(run));
    QCOMPARE(QString::fromStdString(run.console), console);
    QCOMPARE(run.exit_status, exit_status_of(code));
  }

  void the_kernel_passes_all_its_checks() {
    const QemuRun run = run_in_qemu(image_of("kernel"));
    QVERIFY2(run.started, run.messages.c_str());
    QVERIFY2(!run.timed_out, shown(run));
    QVERIFY2(run.exit_status == exit_status_of(0), shown(run));
    const auto lines = lines_of(run.console);
    std::size_t passed = 0;
    for (const std::string& line : lines) {
      QVERIFY2(!line.starts_with("FAIL"), line.c_str());
      passed += line.starts_with("ok   ");
    }
    QVERIFY(passed >= 60);
    QCOMPARE(QString::fromStdString(lines.back()), QString("kernel: all %1 checks passed").arg(passed));
    const auto has = [&](const std::string& line) { return std::ranges::find(lines, line) != lines.end(); };
    QVERIFY(has("task 1: result " + hex(task_result(0x1357)) + ", pages mapped on demand 8"));
    QVERIFY(has("task 2: result " + hex(task_result(0x2468)) + ", pages mapped on demand 12"));
  }

  void the_kernel_prints_the_same_on_a_cpu_without_newer_features() {
    QemuOptions old_cpu;
    old_cpu.cpu = "max,-smep,-smap,-pdpe1gb";
    const QemuRun with = run_in_qemu(image_of("kernel"));
    const QemuRun without = run_in_qemu(image_of("kernel"), old_cpu);
    QVERIFY2(!without.timed_out && without.exit_status == exit_status_of(0), shown(without));
    QCOMPARE(QString::fromStdString(without.console), QString::fromStdString(with.console));
  }

  void a_guest_that_cannot_be_helped_shuts_the_machine_down_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("console");
    QTest::newRow("triple fault") << "hostile-triple-fault"
                                  << "";
    QTest::newRow("divide without IDT") << "hostile-divide-without-idt"
                                        << "";
    QTest::newRow("jump beyond RAM") << "hostile-jump-beyond-ram"
                                     << "";
    QTest::newRow("recursive tables") << "hostile-recursive-tables"
                                      << "recursive-tables: the window works\n";
  }

  void a_guest_that_cannot_be_helped_shuts_the_machine_down() {
    QFETCH(QString, name);
    QFETCH(QString, console);
    const QemuRun run = run_in_qemu(image_of(name.toStdString()));
    QVERIFY2(run.started, run.messages.c_str());
    QVERIFY2(!run.timed_out, shown(run));
    QCOMPARE(run.exit_status, 0);  // -no-reboot: the reset that a triple fault causes ends QEMU
    QCOMPARE(QString::fromStdString(run.console), console);
  }

  void an_image_that_no_multiboot_loader_takes_is_refused() {
    const QemuRun run = run_in_qemu(SHEARLING_BINARY_DIR "/guests/compute.debug");
    QVERIFY2(run.started, run.messages.c_str());
    QVERIFY2(!run.timed_out && run.exit_status == 1, shown(run));
  }
};

QTEST_GUILESS_MAIN(GuestQemuTest)
#include "guest_qemu_test.moc"
