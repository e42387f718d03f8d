// SPDX-License-Identifier: GPL-3.0-or-later
//
// The command line as a user has it: the real program, its exit statuses, and what it writes where.
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/shearling_program.h"

using namespace shearling::testing;
using nlohmann::json;

class CommandLineTest : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir folder_;
  [[nodiscard]] QString path(const char* name) const { return folder_.filePath(name); }

 private slots:
  void a_run_prints_the_guests_console_and_nothing_else_on_standard_output() {
    const Outcome outcome = run_shearling({"run", "cpuid-trap", "--vmm", "vt-x"});
    QCOMPARE(outcome.status, 0);
    QCOMPARE(outcome.output, QString("* done\n"));
    QVERIFY(is_one_line(outcome));
    QVERIFY(outcome.errors.contains("VM exits"));
  }

  void run_json_has_every_key_of_the_contract() {
    const Outcome outcome = run_shearling({"run", "cpuid-trap", "--vmm", "vt-x", "--json", "-"});
    QCOMPARE(outcome.status, 0);
    QCOMPARE(outcome.errors, QString("* done\n"));
    const json report = outcome.parsed();
    QVERIFY(!report.is_discarded());
    QCOMPARE(report["schema"].get<int>(), 1);
    QCOMPARE(report["vmm"].get<std::string>(), std::string("vt-x"));
    QCOMPARE(report["console"].get<std::string>(), std::string("* done\n"));
    QCOMPARE(report["stop"]["reason"].get<std::string>(), std::string("exit port"));
    QCOMPARE(report["stop"]["code"].get<int>(), 1);
    QVERIFY(report["instructions"].get<int>() > 1000);
    QVERIFY(report["exits"]["CPUID"]["count"].get<int>() >= 1);
    QVERIFY(report["exits"]["CPUID"]["cycles"].get<int>() >= 1350);
    QVERIFY(report["walks"]["references"].get<int>() >= report["walks"]["count"].get<int>());
    QVERIFY(report["tlb"]["misses"].get<int>() > 0);
    QVERIFY(report["caches"]["L1D"]["reads"].get<int>() > 0);
    QVERIFY(report["cpus"][0]["registers"]["RIP"].get<std::string>().starts_with("0x"));
    QCOMPARE(report["memory_sha256"].get<std::string>().size(), std::size_t{64});
    for (const char* key : {"guest", "cycles", "traps"}) QVERIFY(report.contains(key));
  }

  void bare_and_vt_x_end_alike_and_the_fast_way_as_well() {
    const json bare = run_shearling({"run", "privilege-levels", "--json", "-"}).parsed();
    const json guest = run_shearling({"run", "privilege-levels", "--vmm", "vt-x", "--json", "-"}).parsed();
    const json fast = run_shearling({"run", "privilege-levels", "--fast", "--json", "-"}).parsed();
    for (const char* key : {"console", "instructions", "memory_sha256", "traps"}) {
      QVERIFY2(bare[key] == guest[key], key);
      QVERIFY2(bare[key] == fast[key], key);
    }
    QVERIFY(bare["exits"].empty() && !guest["exits"].empty());
    QVERIFY(fast["tlb"].is_null() && fast["caches"].is_null());
  }

  void the_machine_follows_from_the_guest() {
    const json pc = run_shearling({"run", "compute", "--fast", "--json", "-"}).parsed();
    QCOMPARE(pc["machine"].get<std::string>(), std::string("pc"));
    QCOMPARE(pc["cpus"].size(), std::size_t{1});
    const Outcome outcome = run_shearling({"run", "aa64-hello", "--json", "-"});
    QCOMPARE(outcome.status, 0);
    const json virt = outcome.parsed();
    QCOMPARE(virt["machine"].get<std::string>(), std::string("virt"));
    QCOMPARE(virt["stop"]["reason"].get<std::string>(), std::string("power off"));
    QVERIFY(virt["console"].get<std::string>().starts_with("hello"));
  }

  void every_core_has_its_registers_in_json() {
    const json report = run_shearling({"run", "aa64-hello", "--machine", "virt-smp", "--json", "-"}).parsed();
    QCOMPARE(report["cpus"].size(), std::size_t{2});
    for (const json& cpu : report["cpus"]) QVERIFY(!cpu["registers"].empty());
    QVERIFY(report["cpus"][0] != report["cpus"][1]);  // The second core has never been started.
    const json one = run_shearling({"run", "aa64-hello", "--json", "-"}).parsed();
    for (const char* key : {"console", "instructions", "caches", "memory_sha256"})
      QVERIFY2(report[key] == one[key], key);
  }

  void what_does_not_fit_together_is_refused_with_a_remedy() {
    const auto refusal = [](const QStringList& arguments) {
      const Outcome outcome = run_shearling(arguments);
      return is_one_line(outcome) && outcome.status == 2 ? outcome.errors : QStringLiteral("it was not refused");
    };
    QVERIFY(refusal({"run", "aa64-hello", "--machine", "pc"}).contains("run it on the machine virt (--machine virt)"));
    QVERIFY(refusal({"run", "compute", "--machine", "virt"}).contains("run it on the machine pc (--machine pc)"));
    QVERIFY(
        refusal({"run", "compute", "--vmm", "el2"}).contains("x86-64 has no technique 'el2'; use one of bare, vt-x"));
    QVERIFY(refusal({"run", "aa64-hello", "--vmm", "vt-x"}).contains("has no technique 'vt-x'; use one of bare, el2"));
    QFile description(path("cores.yaml"));
    QVERIFY(description.open(QIODevice::WriteOnly));
    description.write("extends: pc\ncpu:\n  count: 2\n");
    description.close();
    const QString message = refusal({"run", "compute", "--machine", path("cores.yaml")});
    QVERIFY2(message.contains("cores.yaml:3:10: the machine has 2 cores"), qPrintable(message));
  }

  void the_exit_status_tells_how_it_ended_data() {
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<int>("status");
    QTest::newRow("as asked") << QStringList{"run", "page-walk"} << 0;
    QTest::newRow("triple fault") << QStringList{"run", "hostile-divide-without-idt"} << 3;
    QTest::newRow("deadlock") << QStringList{"run", "hostile-halt-without-interrupts"} << 3;
    QTest::newRow("limit") << QStringList{"run", "hostile-endless-loop", "--limit", "20000"} << 4;
    QTest::newRow("version") << QStringList{"--version"} << 0;
    QTest::newRow("help") << QStringList{"run", "--help"} << 0;
    QTest::newRow("lesson holds") << QStringList{"lesson", "check", "one-trap-under-vt-x"} << 0;
  }
  void the_exit_status_tells_how_it_ended() {
    QFETCH(QStringList, arguments);
    QFETCH(int, status);
    const Outcome outcome = run_shearling(arguments);
    QVERIFY2(outcome.status == status, qPrintable(QString::number(outcome.status) + " " + outcome.errors));
  }

  void wrong_usage_is_one_line_and_status_2_data() {
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QString>("what");
    QTest::newRow("nothing") << QStringList{} << "subcommand";
    QTest::newRow("unknown command") << QStringList{"stpe"} << "there is no command 'stpe'; did you mean 'step'?";
    QTest::newRow("unknown option") << QStringList{"run", "page-walk", "--quick"} << "--quick";
    QTest::newRow("unknown technique") << QStringList{"run", "page-walk", "--vmm", "magic"} << "magic";
    QTest::newRow("limit of 0") << QStringList{"run", "page-walk", "--limit", "0"} << "--limit";
    QTest::newRow("misspelt guest") << QStringList{"run", "page-wlak"} << "did you mean 'page-walk'?";
    QTest::newRow("missing image") << QStringList{"run", "./no.elf"} << "there is no such guest image";
    QTest::newRow("unknown machine") << QStringList{"run", "page-walk", "--machine", "vax"}
                                     << "there is no built-in machine 'vax'";
    QTest::newRow("no ELF file") << QStringList{"run", SHEARLING_SOURCE_DIR "/LICENSE"} << "LICENSE";
    QTest::newRow("no run file") << QStringList{"export", SHEARLING_SOURCE_DIR "/LICENSE", "--format", "csv", "-o", "-"}
                                 << "this is not a run file";
    QTest::newRow("unknown place") << QStringList{"step", "page-walk", "--at", "nowhere"} << "no step, no symbol";
    QTest::newRow("step behind the end") << QStringList{"step", "page-walk", "--at", "99999999"} << "it ends at step";
    QTest::newRow("unknown lesson") << QStringList{"lesson", "run", "one-trap-under-vtx"}
                                    << "did you mean 'one-trap-under-vt-x'?";
    QTest::newRow("unwritable recording")
        << QStringList{"run", "page-walk", "--record", "/no/such/folder/a.run"} << "recording cannot be written";
  }
  void wrong_usage_is_one_line_and_status_2() {
    QFETCH(QStringList, arguments);
    QFETCH(QString, what);
    const Outcome outcome = run_shearling(arguments);
    QCOMPARE(outcome.status, 2);
    QVERIFY2(is_one_line(outcome), qPrintable(outcome.errors));
    QVERIFY2(outcome.errors.contains(what), qPrintable(outcome.errors));
    QCOMPARE(outcome.output, QString());
  }

  void a_lesson_that_does_not_hold_is_status_1_with_the_place() {
    QFile file(path("wrong.md"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(
        "---\nid: wrong\ntitle: Wrong\n---\n```machine\nguest: cpuid-trap\n```\n```step\nid: s\nuntil: {end: "
        "true}\nexpect:\n  - vm.exit\n```\n");
    file.close();
    const Outcome outcome = run_shearling({"lesson", "check", path("wrong.md")});
    QCOMPARE(outcome.status, 1);
    QVERIFY2(outcome.errors.contains("wrong.md:12:5: step s: expect vm.exit does not hold"),
             qPrintable(outcome.errors));
  }

  void a_cold_access_takes_24_references_and_19_with_large_nested_pages() {
    const auto references = [](const char* machine) {
      const Outcome outcome =
          run_shearling({"step", "page-walk", "--vmm", "vt-x", "--at", "the_cold_load", "--machine",
                         QString(SHEARLING_SOURCE_DIR "/lessons/two-stage-walk/") + machine, "--json", "-"});
      std::vector<int> found;
      const json report = outcome.parsed();
      for (const json& event : report["steps"][0]["events"]) {
        if (event["event"] == "walk.end") found.push_back(event["fields"]["references"].get<int>());
      }
      return found;
    };
    QCOMPARE(references("no-walk-caches.yaml"), std::vector<int>{24});
    QCOMPARE(references("large-nested-pages.yaml"), std::vector<int>{19});
  }

  void step_tells_each_event_with_all_fields() {
    const Outcome text = run_shearling({"step", "cpuid-trap", "--vmm", "vt-x", "--at", "the_cpuid"});
    QCOMPARE(text.status, 0);
    QVERIFY(text.output.contains("<the_cpuid>  cpuid\n"));
    QVERIFY(text.output.contains("    vm.exit              VM exit, reason 10 (CPUID)"));
    const json steps =
        run_shearling({"step", "cpuid-trap", "--vmm", "vt-x", "--at", "mark:1", "--count", "3", "--json", "-"})
            .parsed();
    QCOMPARE(steps["steps"].size(), std::size_t{3});
    for (const json& step : steps["steps"]) {
      std::uint32_t ordinal = 0;
      for (const json& event : step["events"]) {
        QCOMPARE(event["ordinal"].get<std::uint32_t>(), ordinal++);
        QCOMPARE(event["step"].get<int>(), step["step"].get<int>());
        for (const char* key : {"event", "narration", "actor", "privilege", "cycles", "fields"})
          QVERIFY(event.contains(key));
      }
    }
  }

  void a_recording_can_be_stepped_and_exported() {
    const QString run = path("a.run");
    QCOMPARE(run_shearling({"run", "cpuid-trap", "--vmm", "vt-x", "--record", run}).status, 0);
    QVERIFY(!QFile::exists(run + "-journal"));
    QVERIFY(run_shearling({"step", run, "--at", "the_cpuid"}).output.contains("reason 10 (CPUID)"));

    const Outcome chrome = run_shearling({"export", run, "--format", "chrome", "-o", "-"});
    QCOMPARE(chrome.status, 0);
    const json trace = chrome.parsed();
    QVERIFY(!trace.is_discarded());
    int arrows = 0;
    for (const json& entry : trace["traceEvents"]) {
      if (entry["ph"] == "s") ++arrows;
    }
    QVERIFY(arrows > 10);

    const Outcome notable =
        run_shearling({"export", run, "--format", "csv", "--events", "notable", "-o", path("n.csv")});
    QCOMPARE(notable.status, 0);
    const Outcome all =
        run_shearling({"export", run, "--format", "csv", "--from", "4360", "--to", "4370", "-o", path("a.csv")});
    QCOMPARE(all.status, 0);
    QFile notable_file(path("n.csv"));
    QFile all_file(path("a.csv"));
    QVERIFY(notable_file.open(QIODevice::ReadOnly) && all_file.open(QIODevice::ReadOnly));
    QVERIFY(!notable_file.readAll().contains("cache.lookup"));
    const QByteArray rows = all_file.readAll();
    QVERIFY(rows.contains("cache.lookup"));
    QVERIFY(rows.contains("\r\n4360,") && rows.contains("\r\n4369,") && !rows.contains("\r\n4370,"));
  }

  void control_c_ends_a_run_and_keeps_its_recording() {
    const QString run = path("interrupted.run");
    QProcess process;
    process.start(SHEARLING_PROGRAM,
                  {"run", "hostile-endless-loop", "--record", run, "--json", path("interrupted.json")});
    QVERIFY(process.waitForStarted());
    QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(run), 10'000);
    QTest::qWait(300);
    ::kill(static_cast<pid_t>(process.processId()), SIGINT);
    QVERIFY(process.waitForFinished(20'000));
    QCOMPARE(process.exitStatus(), QProcess::NormalExit);
    QCOMPARE(process.exitCode(), 4);
    QFile report(path("interrupted.json"));
    QVERIFY(report.open(QIODevice::ReadOnly));
    QCOMPARE(json::parse(report.readAll().toStdString())["stop"]["reason"].get<std::string>(),
             std::string("interrupted"));
    QCOMPARE(run_shearling({"step", run, "--at", "100"}).status, 0);
  }

  void lessons_are_listed_in_their_order() {
    const json list = run_shearling({"lesson", "list", "--json", "-"}).parsed()["lessons"];
    QVERIFY(list.size() >= 4);
    QCOMPARE(list[0]["id"].get<std::string>(), std::string("privilege-levels"));
    QCOMPARE(list[1]["id"].get<std::string>(), std::string("one-trap-under-vt-x"));
    for (const json& lesson : list) QVERIFY(!lesson["summary"].get<std::string>().empty());
  }

  void a_lesson_is_told_with_its_answers_revealed() {
    const Outcome outcome = run_shearling({"lesson", "run", "two-stage-walk"});
    QCOMPARE(outcome.status, 0);
    QVERIFY(outcome.output.contains("# A page walk in two stages"));
    QVERIFY(outcome.output.contains("ends after 24 references"));
    QVERIFY(outcome.output.contains("Answer: 24"));
    const json report = run_shearling({"lesson", "run", "two-stage-walk", "--json", "-"}).parsed();
    QVERIFY(report["passed"].get<bool>());
    QCOMPARE(report["schema"].get<int>(), 1);
  }

  void a_lesson_of_two_machines_reports_both_halves_of_its_steps() {
    const json report = run_shearling({"lesson", "run", "two-architectures", "--json", "-"}).parsed();
    QVERIFY(report["passed"].get<bool>());
    for (const json& step : report["steps"]) {
      QVERIFY(step["machine"].get<std::string>().starts_with("twin-x86 (vt-x"));
      QVERIFY(step["twin"]["machine"].get<std::string>().starts_with("twin-aarch64 (el2"));
      QVERIFY(step["twin"]["id"] == step["id"]);
      QVERIFY(!step["twin"]["expectations"].empty());
    }
    const json alone = run_shearling({"lesson", "run", "two-stage-walk", "--json", "-"}).parsed();
    QVERIFY(!alone["steps"][0].contains("twin"));
  }

  void a_half_that_does_not_hold_is_told_with_its_machine() {
    QFile lesson(path("wrong-twin.md"));
    QVERIFY(lesson.open(QIODevice::WriteOnly));
    lesson.write(
        "---\nid: wrong-twin\ntitle: T\n---\n```machine\nguest: twin-x86\ntwin: {guest: twin-aarch64}\n```\n"
        "```step\nid: s\nuntil: {count: 1}\ntwin: {until: {count: 1}, expect: [vm.exit]}\n```\n");
    lesson.close();
    const Outcome outcome = run_shearling({"lesson", "check", path("wrong-twin.md")});
    QCOMPARE(outcome.status, 1);
    QVERIFY2(outcome.errors.contains("12:36: step s on twin-aarch64 (bare): expect vm.exit does not hold"),
             qPrintable(outcome.errors));
  }

  void every_command_helps_with_examples() {
    for (const char* command : {"run", "step", "export", "lesson"}) {
      const Outcome outcome = run_shearling({command, "--help"});
      QCOMPARE(outcome.status, 0);
      QVERIFY2(outcome.output.contains("Examples:"), command);
    }
  }
};

QTEST_GUILESS_MAIN(CommandLineTest)
#include "command_line_test.moc"
