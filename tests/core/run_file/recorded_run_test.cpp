// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whole runs of real guests: their streams keep the contract, and their recordings give the same run back.
#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include "core/events/invariant_checker.h"
#include "core/events/reflection.h"
#include "core/events/statistics.h"
#include "core/lesson/lesson.h"
#include "core/run_file/run_file.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;

namespace {

std::unique_ptr<Machine> machine_of(const Result<MachineSetup>& setup) {
  if (!setup) qFatal("%s", setup.error().text().c_str());
  auto machine = Machine::create(setup.value());
  if (!machine) qFatal("%s", machine.error().text().c_str());
  return std::move(machine).value();
}

}  // namespace

class RecordedRunTest : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir folder_;

 private slots:
  void initTestCase() {
    qputenv("SHEARLING_GUEST_DIR", SHEARLING_BINARY_DIR "/guests");
    x86::register_x86();
  }

  void the_event_stream_keeps_its_contract_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<bool>("under_vmm");
    for (const char* guest : {"privilege-levels", "cpuid-trap", "page-walk", "seesaw", "hostile-triple-fault",
                              "hostile-divide-without-idt"}) {
      for (const bool under_vmm : {false, true})
        QTest::addRow("%s %s", guest, under_vmm ? "vt-x" : "bare") << QString(guest) << under_vmm;
    }
  }
  void the_event_stream_keeps_its_contract() {
    QFETCH(QString, guest);
    QFETCH(bool, under_vmm);
    const auto machine =
        machine_of(make_setup(guest.toStdString(), under_vmm ? VmmTechnique::VtX : VmmTechnique::Bare, "pc"));
    InvariantChecker checker;
    machine->set_sinks(&checker, nullptr);
    machine->run_until(100'000, Observation::Events);
    QVERIFY(machine->stopped());
    for (const std::string& violation : checker.finish()) qWarning("%s", violation.c_str());
    QVERIFY(checker.violations().empty());
  }

  void a_recording_gives_the_run_back() {
    const std::string path = folder_.filePath("run").toStdString();
    std::uint64_t digest = 0;
    StatisticsSink before;
    {
      const auto setup = make_setup("cpuid-trap", VmmTechnique::VtX, "pc");
      const auto machine = machine_of(setup);
      auto recorder = RunRecorder::create(path, setup.value());
      QVERIFY(recorder.ok());
      machine->set_sinks(nullptr, recorder.value().get());
      while (!machine->stopped()) {
        machine->run_until(machine->position() + 1000, Observation::Models);
        recorder.value()->interval(*machine);
      }
      QVERIFY(recorder.value()->finish(*machine).ok());
      digest = machine->digest();
      machine->set_sinks(nullptr, nullptr);
    }
    auto file = RunFile::open(path);
    QVERIFY2(file.ok(), file ? "" : file.error().text().c_str());
    QVERIFY(!QFile::exists(QString::fromStdString(path) + "-journal"));
    const RunInfo& info = file.value()->info();
    QVERIFY(info.end.has_value());
    QCOMPARE(info.end->digest, digest);
    QVERIFY(info.end->reason == StopReason::ExitPort);
    QCOMPARE(info.end->console, std::string("* done\n"));
    QCOMPARE(file.value()->recorded_steps(), info.end->steps);

    auto replayed = Machine::create(info.setup);
    QVERIFY(replayed.ok());
    EventLog log;
    replayed.value()->set_sinks(nullptr, &log);
    replayed.value()->run_until(1'000'000, Observation::Direct);
    QCOMPARE(replayed.value()->digest(), digest);
    const auto recorded = file.value()->events(0, ~StepIndex{0}, 1'000'000);
    QVERIFY(recorded.ok());
    QCOMPARE(recorded.value().size(), log.events.size());
    for (std::size_t i = 0; i < log.events.size(); ++i) {
      QCOMPARE(recorded.value()[i].step, log.events[i].step);
      QCOMPARE(narrate(recorded.value()[i]), narrate(log.events[i]));
    }
  }

  void intervals_add_up_to_the_whole() {
    const std::string path = folder_.filePath("intervals").toStdString();
    const auto setup = make_setup("seesaw", VmmTechnique::VtX, "pc");
    const auto machine = machine_of(setup);
    auto recorder = RunRecorder::create(path, setup.value());
    QVERIFY(recorder.ok());
    StatisticsSink statistics;
    machine->set_sinks(nullptr, recorder.value().get());
    while (!machine->stopped()) {
      machine->run_until(machine->position() + 5000, Observation::Models);
      recorder.value()->interval(*machine);
    }
    QVERIFY(recorder.value()->finish(*machine).ok());
    auto file = RunFile::open(path);
    QVERIFY(file.ok());
    const auto intervals = file.value()->intervals(0, ~StepIndex{0});
    QVERIFY(intervals.ok());
    QVERIFY(intervals.value().size() >= 6);
    RunCounters sum;
    StepIndex next = 0;
    for (const RunInterval& interval : intervals.value()) {
      QCOMPARE(interval.first, next);
      QVERIFY(interval.models);
      next += interval.steps;
      sum = interval.counters - (RunCounters{} - sum);
    }
    QCOMPARE(next, machine->position());
    QCOMPARE(sum.cycles, machine->cycles());
    QCOMPARE(sum.walks, machine->memory_path().counters().walks);
    QCOMPARE(sum.walk_references, machine->memory_path().counters().walk_references);
    const CacheCounters& l1d = machine->memory_path().caches().l1d().counters();
    QCOMPARE(sum.l1d_misses, l1d.read_misses + l1d.write_misses);
    const auto part = file.value()->intervals(5000, 5001);
    QVERIFY(part.ok());
    QCOMPARE(part.value().size(), std::size_t{1});
  }
};

QTEST_APPLESS_MAIN(RecordedRunTest)
#include "recorded_run_test.moc"
