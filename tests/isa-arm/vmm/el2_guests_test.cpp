// SPDX-License-Identifier: GPL-3.0-or-later
//
// Real guests under the VMM at EL2 in the machines that others leave out: two virtual machines, blocks in stage 2, and
// access flag and dirty state kept by hardware.
#include <QtTest>

#include "core/events/sink.h"
#include "isa-arm/isa_arm.h"
#include "tests/support/guest_machine.h"

using namespace shearling;
using namespace shearling::testing;

namespace {

std::unique_ptr<Machine> kernel(VmmTechnique technique, const std::string& more) {
  arm::register_arm();
  const auto virt = read_machine_description("virt");
  if (!virt) qFatal("%s", virt.error().text().c_str());
  auto machine = Machine::create({.guest_name = "aa64-kernel.elf",
                                  .guest_image = read_file(guest_path("aa64-kernel")),
                                  .machine_yaml = virt.value() + "\n---\n" + more,
                                  .machine_name = "virt",
                                  .technique = technique});
  if (!machine) qFatal("%s", machine.error().text().c_str());
  return std::move(machine).value();
}

/// What the second machine prints, and how often the VMM changes from one to the other.
struct SecondMachine : EventSink {
  void on_event(const Event& event) override {
    const auto* action = std::get_if<VmmAction>(&event.payload);
    if (action == nullptr) return;
    if (action->name == "console.keep") console += static_cast<char>(action->a);
    if (action->name == "vm.switch") ++switches;
  }
  std::string console;
  unsigned switches = 0;
};

constexpr StepIndex kLimit = 20'000'000;

}  // namespace

class El2GuestsTest : public QObject {
  Q_OBJECT
 private slots:
  void every_form_of_stage_two_serves_the_kernel_alike_data() {
    QTest::addColumn<QString>("description");
    QTest::newRow("2 MB blocks") << "vmm: { nested-page: 2M }";
    QTest::newRow("1 GB blocks, as far as they fit") << "vmm: { nested-page: 1G }";
    QTest::newRow("hardware management") << "cpu: { features: [hafdbs] }\nvmm: { nested-accessed-dirty: true }";
  }
  void every_form_of_stage_two_serves_the_kernel_alike() {
    QFETCH(QString, description);
    auto bare = kernel(VmmTechnique::Bare, description.toStdString());
    auto virtualized = kernel(VmmTechnique::El2, description.toStdString());
    QCOMPARE(bare->run_until(kLimit, Observation::Direct), StopReason::PowerOff);
    QCOMPARE(virtualized->run_until(kLimit, Observation::Direct), StopReason::PowerOff);
    QCOMPARE(QString::fromStdString(virtualized->console()), QString::fromStdString(bare->console()));
    QCOMPARE(virtualized->guest_memory_sha256(), bare->guest_memory_sha256());
    QCOMPARE(virtualized->position(), bare->position());
  }

  void two_kernels_share_one_core() {
    auto machine = kernel(VmmTechnique::El2, "vmm: { virtual-machines: 2 }");
    SecondMachine second;
    machine->set_sinks(nullptr, &second);
    QCOMPARE(machine->run_until(kLimit, Observation::Direct), StopReason::PowerOff);
    const QString first = QString::fromStdString(machine->console());
    QVERIFY2(first.contains("checks passed"), qPrintable(first));
    QVERIFY(!first.contains("FAIL"));
    QVERIFY(second.switches > 100);
    // The second is as far as the first when that switches the machine off, but for the last turn.
    const QString other = QString::fromStdString(second.console);
    QVERIFY2(other.contains("task 2: yield comes back"), qPrintable(other));
    QVERIFY2(first.startsWith(other.left(other.size() * 9 / 10)), qPrintable(other));
  }

  void two_kernels_are_the_same_run_at_every_level_and_after_a_restart() {
    constexpr StepIndex kStop = 100'000;
    auto machine = kernel(VmmTechnique::El2, "vmm: { virtual-machines: 2 }");
    machine->run_until(kStop / 2, Observation::Direct);
    const auto half = machine->snapshot();
    machine->run_until(kStop, Observation::Direct);
    const std::uint64_t digest = machine->digest();
    machine->restore(half);
    machine->run_until(kStop, Observation::Direct);
    QCOMPARE(machine->digest(), digest);
    auto observed = kernel(VmmTechnique::El2, "vmm: { virtual-machines: 2 }");
    observed->run_until(kStop, Observation::Models);
    QCOMPARE(observed->digest(), digest);
  }
};

QTEST_APPLESS_MAIN(El2GuestsTest)
#include "el2_guests_test.moc"
