// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/run_file/run_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <csignal>

#include "core/events/reflection.h"
#include "core/run_file/event_json.h"
#include "core/run_file/sqlite.h"

using namespace shearling;

namespace {

constexpr std::size_t kBatch = 100;

MachineSetup some_setup() {
  return {.guest_name = "guest.elf",
          .guest_image = {0x7f, 'E', 'L', 'F', 0, 1, 2, 255},
          .machine_yaml = "extends: pc\n",
          .machine_name = "pc",
          .technique = VmmTechnique::VtX};
}

/// The notable events of a step, three of them.
std::vector<Event> events_of(StepIndex step) {
  return {{.step = step,
           .ordinal = 4,
           .actor = Actor::GuestKernel,
           .cycles = 620,
           .payload = VmExit{.reason = 10, .name = "CPUID", .guest_pc = {0xffffffff80001000 + step}}},
          {.step = step,
           .ordinal = 5,
           .actor = Actor::Vmm,
           .cycles = 70,
           .payload = VmmAction{.name = "cpuid.emulate", .sentence = "answers leaf {a}", .a = step, .cost = 70}},
          {.step = step,
           .ordinal = 6,
           .actor = Actor::Vmm,
           .privilege = 3,
           .cycles = 490,
           .payload = VmEntry{.injects = true, .injected_vector = 32}}};
}

void record(RunRecorder& recorder, StepIndex first, StepIndex end) {
  for (StepIndex step = first; step < end; ++step) {
    for (const Event& event : events_of(step)) recorder.on_event(event);
  }
}

void must(bool success, const char* what) {
  if (!success) qFatal("%s", what);
}

std::string problem_of_opening(const QString& path) {
  const auto file = RunFile::open(path.toStdString());
  return file ? std::string() : file.error().text();
}

}  // namespace

class RunFileTest : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir folder_;
  [[nodiscard]] QString path(const char* name) const { return folder_.filePath(name); }
  void make_run(const QString& file, StepIndex steps) const {
    auto recorder = RunRecorder::create(file.toStdString(), some_setup(), kBatch);
    must(recorder.ok(), "a recording could not be begun");
    record(*recorder.value(), 0, steps);
    must(recorder.value()->flush().ok(), "a recording could not be written");
  }

 private slots:
  void what_was_recorded_comes_back() {
    make_run(path("a.run"), 50);
    auto file = RunFile::open(path("a.run").toStdString());
    QVERIFY2(file.ok(), file ? "" : file.error().text().c_str());
    const RunInfo& info = file.value()->info();
    QCOMPARE(info.format, RunRecorder::kFormat);
    QCOMPARE(info.setup.guest_image, some_setup().guest_image);
    QCOMPARE(info.setup.machine_yaml, some_setup().machine_yaml);
    QVERIFY(info.setup.technique == VmmTechnique::VtX);
    QVERIFY(!info.end);
    QCOMPARE(file.value()->event_count(), std::uint64_t{150});
    QCOMPARE(file.value()->recorded_steps(), StepIndex{50});

    const auto events = file.value()->events(7, 8, 100);
    QVERIFY(events.ok());
    QCOMPARE(events.value().size(), std::size_t{3});
    for (std::size_t i = 0; i < 3; ++i) {
      const Event& read = events.value()[i];
      const Event written = events_of(7)[i];
      QCOMPARE(narrate(read), narrate(written));
      QVERIFY(fields_to_json(read) == fields_to_json(written));
      QCOMPARE(read.step, written.step);
      QCOMPARE(read.ordinal, static_cast<std::uint32_t>(i));
      QCOMPARE(read.cycles, written.cycles);
      QCOMPARE(read.privilege, written.privilege);
      QVERIFY(read.actor == written.actor);
    }
  }

  void pages_of_events_join_without_gap() {
    make_run(path("pages.run"), 40);
    auto file = RunFile::open(path("pages.run").toStdString());
    QVERIFY(file.ok());
    std::vector<StepIndex> seen;
    for (std::size_t skip = 0;; skip += 7) {
      const auto page = file.value()->events(10, 30, 7, skip);
      QVERIFY(page.ok());
      for (const Event& event : page.value()) seen.push_back(event.step);
      if (page.value().size() < 7) break;
    }
    QCOMPARE(seen.size(), std::size_t{60});
    QVERIFY(std::is_sorted(seen.begin(), seen.end()));
    QCOMPARE(seen.front(), StepIndex{10});
    QCOMPARE(seen.back(), StepIndex{29});
  }

  void every_notable_event_survives_the_file() {
    TextPool texts;
    for (const EventInfo& info : event_table()) {
      const Event event{.payload = *make_payload(info.name)};
      EventPayload back;
      const auto json = nlohmann::json::parse(fields_to_json(event).dump());
      QVERIFY2(payload_from_json(info.name, json, texts, back), std::string(info.name).c_str());
      QVERIFY(fields_to_json(Event{.payload = back}) == fields_to_json(event));
    }
  }

  void a_recording_that_is_killed_leaves_all_but_its_last_batch() {
    const QString file_name = path("killed.run");
    int pipe_ends[2];
    must(pipe(pipe_ends) == 0, "pipe");
    const pid_t child = fork();
    if (child == 0) {
      // The child records for ever, in batches of 100 events, and says after 1,000 steps that it is under way.
      auto recorder = RunRecorder::create(file_name.toStdString(), some_setup(), kBatch);
      for (StepIndex step = 0;; ++step) {
        record(*recorder.value(), step, step + 1);
        if (step == 1000 && write(pipe_ends[1], "x", 1) != 1) _exit(1);
      }
    }
    char letter = 0;
    must(read(pipe_ends[0], &letter, 1) == 1, "the recording child said nothing");
    must(kill(child, SIGKILL) == 0, "kill");
    int status = 0;
    waitpid(child, &status, 0);
    QVERIFY(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);

    auto file = RunFile::open(file_name.toStdString());
    QVERIFY2(file.ok(), file ? "" : file.error().text().c_str());
    QVERIFY(!file.value()->info().end);
    const std::uint64_t events = file.value()->event_count();
    QVERIFY2(events >= 3 * 1000 - kBatch, std::to_string(events).c_str());
    QCOMPARE(events % kBatch, std::uint64_t{0});  // whole batches, nothing torn
    const auto all = file.value()->events(0, ~StepIndex{0}, 1'000'000);
    QVERIFY(all.ok());
    for (std::size_t i = 0; i < all.value().size(); ++i) QCOMPARE(all.value()[i].step, static_cast<StepIndex>(i / 3));
  }

  void a_file_can_be_read_while_it_is_being_recorded() {
    auto recorder = RunRecorder::create(path("live.run").toStdString(), some_setup(), kBatch);
    QVERIFY(recorder.ok());
    record(*recorder.value(), 0, 200);
    auto file = RunFile::open(path("live.run").toStdString());
    QVERIFY2(file.ok(), file ? "" : file.error().text().c_str());
    QCOMPARE(file.value()->event_count(), std::uint64_t{600});
    record(*recorder.value(), 200, 300);
    QVERIFY(recorder.value()->flush().ok());
    QCOMPARE(file.value()->event_count(), std::uint64_t{900});
  }

  void what_is_no_run_file_is_refused_in_one_line() {
    QVERIFY(problem_of_opening(path("missing.run")).find("there is no such file") != std::string::npos);
    QVERIFY(problem_of_opening(folder_.path()).find("this is not a file") != std::string::npos);

    QFile text(path("text.run"));
    must(text.open(QIODevice::WriteOnly), "open");
    text.write("hello, I am no run");
    text.close();
    QVERIFY(problem_of_opening(path("text.run")).find("this is not a run file") != std::string::npos);

    SqliteDatabase other;
    must(other.open(path("other.run").toStdString(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) &&
             other.run("CREATE TABLE t (a)"),
         "sqlite");
    const std::string foreign = problem_of_opening(path("other.run"));
    QVERIFY(foreign.find("not a run of Shearling") != std::string::npos);
    QVERIFY(foreign.find('\n') == std::string::npos);
  }

  void a_newer_format_is_refused() {
    make_run(path("newer.run"), 3);
    {
      SqliteDatabase file;
      must(file.open(path("newer.run").toStdString(), SQLITE_OPEN_READWRITE) && file.run("PRAGMA user_version = 99"),
           "sqlite");
    }
    const std::string problem = problem_of_opening(path("newer.run"));
    QVERIFY2(problem.find("format 99") != std::string::npos && problem.find("newer Shearling") != std::string::npos,
             problem.c_str());
  }

  void a_damaged_file_is_refused_data() {
    QTest::addColumn<int>("kind");
    QTest::newRow("truncated") << 0;
    QTest::newRow("garbage in the middle") << 1;
    QTest::newRow("without its guest") << 2;
    QTest::newRow("with an unknown technique") << 3;
  }
  void a_damaged_file_is_refused() {
    QFETCH(int, kind);
    const QString name = path("damaged.run");
    make_run(name, 600);
    if (kind < 2) {
      QFile file(name);
      must(file.open(QIODevice::ReadWrite), "open");
      if (kind == 0) file.resize(file.size() / 2);
      if (kind == 1) {
        file.seek(file.size() / 2);
        file.write(QByteArray(8192, '\x5a'));
      }
    } else {
      SqliteDatabase file;
      const char* change = kind == 2 ? "DELETE FROM meta WHERE key = 'guest_image'"
                                     : "UPDATE meta SET value = 'magic' WHERE key = 'vmm'";
      must(file.open(name.toStdString(), SQLITE_OPEN_READWRITE) && file.run(change), "sqlite");
    }
    const std::string problem = problem_of_opening(name);
    QVERIFY2(problem.find("damaged") != std::string::npos, problem.c_str());
  }

  void an_event_that_cannot_be_read_is_told_and_not_skipped() {
    make_run(path("bad-event.run"), 3);
    {
      SqliteDatabase file;
      must(file.open(path("bad-event.run").toStdString(), SQLITE_OPEN_READWRITE) &&
               file.run("UPDATE event SET fields = '{\"reason\": -1}' WHERE step = 1"),
           "sqlite");
    }
    auto file = RunFile::open(path("bad-event.run").toStdString());
    QVERIFY(file.ok());
    QVERIFY(file.value()->events(0, 1, 10).ok());
    QVERIFY(!file.value()->events(0, 3, 10).ok());
  }

  void a_recording_replaces_a_run_and_nothing_else() {
    make_run(path("again.run"), 10);
    make_run(path("again.run"), 2);
    auto file = RunFile::open(path("again.run").toStdString());
    QVERIFY(file.ok());
    QCOMPARE(file.value()->event_count(), std::uint64_t{6});

    QFile text(path("thesis.txt"));
    must(text.open(QIODevice::WriteOnly), "open");
    text.write("irreplaceable");
    text.close();
    const auto recorder = RunRecorder::create(path("thesis.txt").toStdString(), some_setup());
    QVERIFY(!recorder.ok());
    QCOMPARE(text.size(), qint64{13});
    QVERIFY(!RunRecorder::create(path("no/such/folder.run").toStdString(), some_setup()).ok());
  }
};

QTEST_APPLESS_MAIN(RunFileTest)
#include "run_file_test.moc"
