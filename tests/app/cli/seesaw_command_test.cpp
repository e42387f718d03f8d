// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling seesaw as a user has it: figures as tables and JSON, sweeps, shards, what is wrong and where.
#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/shearling_program.h"

using namespace shearling::testing;
using nlohmann::json;

namespace {

constexpr const char* kPlan = R"(name: sizes
base: seesaw-32k
axes:
  l1d.organisation: [vipt, seesaw]
  seesaw.tft.entries: [12, 16]
streams: ["synthetic:mcf,count=3000", "synthetic:gups,count=3000"]
warm-up: 1000
)";

}  // namespace

class SeesawCommandTest : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir folder_{(QDir("/dev/shm").exists() ? QString("/dev/shm") : QDir::tempPath()) + "/seesaw-XXXXXX"};
  [[nodiscard]] QString path(const char* name) const { return folder_.filePath(name); }
  QString write(const char* name, const QByteArray& text) const {
    QFile file(path(name));
    if (!file.open(QIODevice::WriteOnly)) qFatal("no temporary file");
    file.write(text);
    return path(name);
  }

 private slots:
  void a_figure_is_a_table_with_the_paper_beside_the_model() {
    const Outcome outcome = run_shearling({"seesaw", "--figure", "8", "--references", "1000", "--jobs", "2"});
    QCOMPARE(outcome.status, 0);
    QVERIFY(outcome.output.startsWith("Figure 8: "));
    for (const char* text :
         {"paper", "model", "diff", "1.33 GHz", "4.3", "1.0..8.0", "reproduced:", "1,000 data references"})
      QVERIFY2(outcome.output.contains(text), qPrintable(outcome.output));
    QCOMPARE(outcome.errors, QString());  // no progress where nobody watches
  }

  void json_goes_to_standard_output_alone_and_is_the_same_twice() {
    const QStringList arguments{"seesaw", "--figure", "15", "--references", "1000", "--json", "-"};
    const Outcome first = run_shearling(arguments), second = run_shearling(arguments + QStringList{"--jobs", "1"});
    QCOMPARE(first.status, 0);
    QCOMPARE(first.output, second.output);
    const json figure = json::parse(first.output.toStdString(), nullptr, false);
    QCOMPARE(figure["schema"].get<int>(), 1);
    QCOMPARE(figure["figure"].get<int>(), 15);
    const json& cell = figure["panels"][0]["series"][0]["cells"][0];
    QCOMPARE(cell["paper"]["value"].get<double>(), -8.0);
    QVERIFY(std::abs(cell["difference"].get<double>() - (cell["model"]["value"].get<double>() + 8)) < 1e-12);
  }

  void the_overview_has_every_figure() {
    const Outcome outcome = run_shearling({"seesaw", "--references", "1000", "--json", path("all.json")});
    QCOMPARE(outcome.status, 0);
    for (const char* figure :
         {"Figure 2 ", "Figure 3 ", "Figure 7 ", "Figure 15 ", "statements of the paper are reproduced"})
      QVERIFY2(outcome.output.contains(figure), qPrintable(outcome.output));
    QFile file(path("all.json"));
    QVERIFY(file.open(QIODevice::ReadOnly));
    QCOMPARE(json::parse(file.readAll().toStdString())["figures"].size(), std::size_t{11});
  }

  void wrong_usage_is_one_line_and_status_2_data() {
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QString>("what");
    QTest::newRow("unknown figure") << QStringList{"seesaw", "--figure", "5"}
                                    << "the study has no figure '5'; give 2, 3, or a number from 7 to 15";
    QTest::newRow("figure no number") << QStringList{"seesaw", "--figure", "7a"} << "no figure '7a'";
    QTest::newRow("no references") << QStringList{"seesaw", "--figure", "7", "--references", "0"} << "--references";
    QTest::newRow("tlbs") << QStringList{"seesaw", "--figure", "7", "--tlbs", "exchanged"} << "--tlbs";
    QTest::newRow("sweep without output") << QStringList{"seesaw", "--sweep", "x.yaml"} << "--output";
    QTest::newRow("missing plan") << QStringList{"seesaw", "--sweep", "./none.yaml", "--output", "o.sqlite"}
                                  << "./none.yaml: the plan cannot be read";
    QTest::newRow("export of nothing") << QStringList{"seesaw", "--export", "csv"} << "--output is missing";
    QTest::newRow("export of no results")
        << QStringList{"seesaw", "--export", "csv", "--output", SHEARLING_SOURCE_DIR "/LICENSE"}
        << "this is no results file";
    QTest::newRow("merge of no results") << QStringList{"seesaw", "merge", "out.sqlite",
                                                        SHEARLING_SOURCE_DIR "/LICENSE"}
                                         << "this is no results file";
    QTest::newRow("merge of nothing") << QStringList{"seesaw", "merge", "out.sqlite"} << "INPUT";
  }
  void wrong_usage_is_one_line_and_status_2() {
    QFETCH(QStringList, arguments);
    QFETCH(QString, what);
    const Outcome outcome = run_shearling(arguments);
    QVERIFY2(outcome.status == 2, qPrintable(outcome.errors));
    QVERIFY2(is_one_line(outcome) && outcome.errors.contains(what), qPrintable(outcome.errors));
    QCOMPARE(outcome.output, QString());
  }

  void a_mistake_in_a_plan_has_its_place_data() {
    QTest::addColumn<QByteArray>("plan");
    QTest::addColumn<QString>("what");
    QTest::newRow("misspelt key") << QByteArray("bsae: seesaw-32k\n")
                                  << "plan.yaml:1:1: a plan has no key 'bsae'; did you mean 'base'?";
    QTest::newRow("misspelt axis") << QByteArray(
                                          "base: seesaw-32k\nstreams: [\"synthetic:mcf\"]\naxes:\n  l1d.wyas: [8]\n")
                                   << "plan.yaml:4:14: with l1d.wyas: 8: ";
    QTest::newRow("impossible geometry")
        << QByteArray("base: seesaw-32k\nstreams: [\"synthetic:mcf\"]\naxes:\n  l1d.ways: [8, 7]\n")
        << "plan.yaml:4:17: with l1d.ways: 7: ";
    QTest::newRow("unknown stream") << QByteArray("base: seesaw-32k\nstreams: [\"synthetic:mfc\"]\n")
                                    << "there is no generator 'mfc'";
    QTest::newRow("missing trace") << QByteArray("base: seesaw-32k\nstreams: [none.din]\n") << "none.din";
  }
  void a_mistake_in_a_plan_has_its_place() {
    QFETCH(QByteArray, plan);
    QFETCH(QString, what);
    const Outcome outcome =
        run_shearling({"seesaw", "--sweep", write("plan.yaml", plan), "--output", path("none.sqlite")});
    QVERIFY2(outcome.status == 2, qPrintable(outcome.errors));
    QVERIFY2(is_one_line(outcome) && outcome.errors.contains(what), qPrintable(outcome.errors));
    QVERIFY(!QFile::exists(path("none.sqlite")));
  }

  void shards_merged_are_the_whole_and_a_second_run_does_nothing() {
    const QString plan = write("sizes.yaml", kPlan);
    Outcome whole = run_shearling({"seesaw", "--sweep", plan, "--output", path("whole.sqlite"), "--export", "csv"});
    QVERIFY2(whole.status == 0, qPrintable(whole.errors));
    QVERIFY2(whole.errors.contains("8 runs are in") && whole.errors.contains("8 of them new"),
             qPrintable(whole.errors));
    QCOMPARE(whole.output.count("\r\n"), 1 + 8);
    QVERIFY(!whole.output.contains(",,"));  // every column of the view finds its value in a report
    QVERIFY(run_shearling({"seesaw", "--sweep", plan, "--output", path("whole.sqlite"), "--resume"})
                .errors.contains("0 of them new"));

    QStringList merge{"seesaw", "merge", path("merged.sqlite")};
    for (const char* shard : {"1/3", "2/3", "3/3"}) {
      const QString part = path((std::string("part-") + shard[0]).c_str());
      QCOMPARE(run_shearling({"seesaw", "--sweep", plan, "--output", part, "--shard", shard, "--jobs", "1"}).status, 0);
      merge.append(part);
    }
    QCOMPARE(run_shearling(merge).status, 0);
    QCOMPARE(run_shearling({"seesaw", "--output", path("merged.sqlite"), "--export", "csv"}).output, whole.output);
  }

  void the_warm_up_is_taken_off_the_counts() {
    const QString plan =
        write("warm.yaml",
              "base: seesaw-32k\nstreams: [\"synthetic:gups,count=100000\"]\nreferences: 5000\nwarm-up: 20000\n");
    const Outcome outcome =
        run_shearling({"seesaw", "--sweep", plan, "--output", path("warm.sqlite"), "--export", "csv"});
    QVERIFY2(outcome.status == 0, qPrintable(outcome.errors));
    const QStringList header = outcome.output.section("\r\n", 0, 0).split(','),
                      row = outcome.output.section("\r\n", 1, 1).split(',');
    const qsizetype counted = row.size() - (header.size() - header.indexOf("references_counted"));
    QVERIFY2(row[counted].toInt() > 4900 && row[counted].toInt() <= 5000,
             qPrintable(outcome.output));  // some records are probes
  }

  void control_c_ends_a_sweep_which_then_goes_on() {
    const QString plan = write("long.yaml",
                               "base: seesaw-32k\naxes:\n  seesaw.tft.entries: [4, 6, 8, 10, 12, 16, 20, 24]\nstreams: "
                               "[\"synthetic:mcf,count=100000000\"]\nreferences: 2000000\n");
    QProcess process;
    process.start(SHEARLING_PROGRAM, {"seesaw", "--sweep", plan, "--output", path("long.sqlite"), "--jobs", "1"});
    QVERIFY(process.waitForStarted());
    QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(path("long.sqlite")), 20'000);
    ::kill(static_cast<pid_t>(process.processId()), SIGINT);
    QVERIFY(process.waitForFinished(60'000));
    QCOMPARE(process.exitCode(), 4);
    QVERIFY(QString(process.readAllStandardError()).contains("the same command goes on from there"));
    const Outcome rest = run_shearling({"seesaw", "--sweep", plan, "--output", path("long.sqlite")});
    QVERIFY2(rest.status == 0 && rest.errors.contains("8 runs are in"), qPrintable(rest.errors));
  }

  void control_c_ends_a_figure() {
    QProcess process;
    process.start(SHEARLING_PROGRAM, {"seesaw", "--figure", "14", "--references", "100000000"});
    QVERIFY(process.waitForStarted());
    QTest::qWait(500);
    ::kill(static_cast<pid_t>(process.processId()), SIGINT);
    QVERIFY(process.waitForFinished(60'000));
    QCOMPARE(process.exitStatus(), QProcess::NormalExit);
    QCOMPARE(process.exitCode(), 4);
    QCOMPARE(process.readAllStandardOutput(), QByteArray());
  }
};

QTEST_APPLESS_MAIN(SeesawCommandTest)
#include "seesaw_command_test.moc"
