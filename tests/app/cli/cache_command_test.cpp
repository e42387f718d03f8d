// SPDX-License-Identifier: GPL-3.0-or-later
//
// `shearling cache` as a user has it: the real program on small traces, good and bad.
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

constexpr const char* kConfig =
    "l1i: {size: 32 KB, ways: 8, line: 64, organisation: VIPT, replacement: LRU, write: write-back}\n"
    "l1d: {size: 32 KB, ways: 8, line: 64, organisation: VIPT, replacement: LRU, write: write-back}\n"
    "llc: {size: 1 MB, ways: 16, line: 64}\n";
constexpr const char* kLackey = "I  04000000,3\n L 1ffeffe7e0,8\nI  04000003,5\n S 1ffeffe7e8,8\n M 0421c7cc,4\n";

}  // namespace

class CacheCommandTest : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir folder_;

  QString file(const char* name, const QByteArray& content) {
    QFile file(folder_.filePath(name));
    if (!file.open(QIODevice::WriteOnly)) return {};
    file.write(content);
    return file.fileName();
  }

 private slots:
  void json_has_an_object_for_each_level() {
    const Outcome outcome =
        run_shearling({"cache", file("t.lackey", kLackey), "--config", file("c.yaml", kConfig), "--json", "-"});
    QCOMPARE(outcome.status, 0);
    QCOMPARE(outcome.errors, QString());
    const json report = outcome.parsed();
    QCOMPARE(report["schema"].get<int>(), 1);
    QCOMPARE(report["ended"].get<std::string>(), std::string("end"));
    QCOMPARE(report["references"].get<int>(), 5);
    QCOMPARE(report["instructions"].get<int>(), 2);
    const auto counts = [&](const char* level) {
      const json& one = report[level];
      return std::array{one["accesses"].get<int>(),   one["reads"].get<int>(),       one["writes"].get<int>(),
                        one["misses"].get<int>(),     one["read_misses"].get<int>(), one["write_misses"].get<int>(),
                        one["ways_probed"].get<int>()};
    };
    QVERIFY((counts("l1i") == std::array{2, 2, 0, 1, 1, 0, 16}));
    QVERIFY((counts("l1d") == std::array{3, 2, 1, 2, 2, 0, 24}));
    QVERIFY((counts("llc") == std::array{3, 3, 0, 3, 3, 0, 48}));
    QVERIFY(!report.contains("l2"));
  }

  void a_trace_can_come_through_standard_input() {
    const QStringList arguments{"cache", "-", "--config", file("c.yaml", kConfig), "--json", "-"};
    const json report = run_shearling(arguments, "0 1000\n1 1000\n2 2000\n").parsed();
    QCOMPARE(report["l1d"]["accesses"].get<int>(), 2);
    QCOMPARE(report["l1i"]["accesses"].get<int>(), 1);
  }

  void a_table_is_printed_without_json() {
    const Outcome outcome = run_shearling({"cache", file("t.lackey", kLackey)});
    QCOMPARE(outcome.status, 0);
    for (const char* word : {"l1d", "llc", "L2 TLB", "on base pages", "cycles", "walks"})
      QVERIFY2(outcome.output.contains(word), word);
  }

  void two_runs_give_identical_bytes() {
    const QStringList arguments{
        "cache", "synthetic:graph-walk,count=50K,superpages=0.8", "--config", "seesaw-64k", "--json", "-"};
    const Outcome first = run_shearling(arguments);
    QCOMPARE(first.status, 0);
    QCOMPARE(first.output, run_shearling(arguments).output);
    QVERIFY(first.parsed()["seesaw"]["superpage_tft_hit_l1_hit"]["accesses"].get<int>() > 0);
  }

  void a_generators_superpages_count_more_than_the_configurations() {
    const QString base_pages = file("c.yaml", "extends: sandy-bridge\npages: {superpages: 0}\n");
    const auto superpage_accesses = [&](const char* stream) {
      const json report = run_shearling({"cache", stream, "--config", base_pages, "--json", "-"}).parsed();
      return report["pages"]["superpage"]["accesses"].get<int>();
    };
    QCOMPARE(superpage_accesses("synthetic:stream,count=20000,superpages=1"), 20'000);
    QCOMPARE(superpage_accesses("synthetic:stream,count=20000"), 0);
  }

  void the_limit_is_status_4() {
    const Outcome outcome = run_shearling({"cache", "synthetic:stream", "--limit", "1000", "--json", "-"});
    QCOMPARE(outcome.status, 4);
    QCOMPARE(outcome.parsed()["references"].get<int>(), 1000);
    QCOMPARE(outcome.parsed()["ended"].get<std::string>(), std::string("limit"));
    QCOMPARE(run_shearling({"cache", file("t.lackey", kLackey), "--limit", "5"}).status, 0);  // Just its end.
  }

  void control_c_tells_what_was_counted() {
    QProcess process;
    process.start(SHEARLING_PROGRAM, {"cache", "synthetic:random-update,count=2000000000", "--json", "-"});
    QVERIFY(process.waitForStarted());
    QTest::qWait(700);
    ::kill(static_cast<pid_t>(process.processId()), SIGINT);
    QVERIFY(process.waitForFinished(30'000));
    QCOMPARE(process.exitStatus(), QProcess::NormalExit);
    QCOMPARE(process.exitCode(), 4);
    const json report = json::parse(process.readAllStandardOutput().toStdString(), nullptr, false);
    QCOMPARE(report["ended"].get<std::string>(), std::string("interrupted"));
    QVERIFY(report["references"].get<std::uint64_t>() > 0);
  }

  void the_core_model_can_be_chosen() {
    const auto cycles = [](const char* core) {
      return run_shearling({"cache", "synthetic:pointer-chase,count=20K", "--core-model", core, "--json", "-"})
          .parsed()["cycles"]["total"]
          .get<double>();
    };
    QVERIFY(cycles("in-order") > cycles("out-of-order"));
  }

  void what_there_is_can_be_listed() {
    const Outcome outcome = run_shearling({"cache", "--list"});
    QCOMPARE(outcome.status, 0);
    for (const char* word : {"sandy-bridge", "seesaw-32k", "atom-swapped", "pointer-chase", "footprint"})
      QVERIFY2(outcome.output.contains(word), word);
    QVERIFY(run_shearling({"cache", "--help"}).output.contains("Examples:"));
  }

  void bad_input_is_one_line_and_status_2_data() {
    QTest::addColumn<QByteArray>("trace");
    QTest::addColumn<QByteArray>("config");
    QTest::addColumn<QString>("what");
    const QByteArray good(kLackey), fine(kConfig);
    QByteArray garbage;
    for (int i = 0; i < 5000; ++i) garbage.append(static_cast<char>(i * i * 7 + i / 3));
    QTest::newRow("garbage") << garbage << fine << "t.trace";
    QTest::newRow("two formats in one") << good + "0 1000 4\n" << fine << "t.trace:6";
    QTest::newRow("cut line") << good + " L 1ff\n" << fine << "t.trace:6";
    QTest::newRow("cut gzip") << QByteArray::fromHex("1f8b080000000000000003f3540030") << fine << "t.trace";
    QTest::newRow("misspelt key") << good << QByteArray("l1d:\n  sise: 32 KB\n")
                                  << "c.yaml:2:3: a cache has no key 'sise'; did you mean 'size'?";
    QTest::newRow("impossible geometry") << good << QByteArray("l1d: {size: 32 KB, ways: 7}\n") << "c.yaml:1:6: ";
    QTest::newRow("no cache at all") << good << QByteArray("{}\n") << "c.yaml: ";
  }
  void bad_input_is_one_line_and_status_2() {
    QFETCH(QByteArray, trace);
    QFETCH(QByteArray, config);
    QFETCH(QString, what);
    const Outcome outcome = run_shearling({"cache", file("t.trace", trace), "--config", file("c.yaml", config)});
    QVERIFY2(outcome.status == 2 && is_one_line(outcome), qPrintable(outcome.errors));
    QVERIFY2(outcome.errors.contains(what), qPrintable(outcome.errors));
    QCOMPARE(outcome.output, QString());
  }

  void wrong_usage_is_one_line_and_status_2_data() {
    QTest::addColumn<QStringList>("arguments");
    QTest::addColumn<QString>("what");
    QTest::newRow("no trace") << QStringList{"cache"} << "TRACE";
    QTest::newRow("missing trace") << QStringList{"cache", "./none.lackey"} << "none.lackey";
    QTest::newRow("misspelt generator") << QStringList{"cache", "synthetic:streem"} << "stream";
    QTest::newRow("misspelt configuration") << QStringList{"cache", "synthetic:stream", "--config", "sandy"}
                                            << "there is no built-in cache configuration 'sandy'";
    QTest::newRow("missing configuration")
        << QStringList{"cache", "synthetic:stream", "--config", "none.yaml"} << "none.yaml: there is no such file";
    QTest::newRow("unknown format") << QStringList{"cache", "synthetic:stream", "--format", "elf"} << "elf";
    QTest::newRow("unknown core") << QStringList{"cache", "synthetic:stream", "--core-model", "vliw"} << "vliw";
    QTest::newRow("unwritable result") << QStringList{"cache", "synthetic:stream,count=10", "--json", "/none/x.json"}
                                       << "/none/x.json: the file cannot be written";
  }
  void wrong_usage_is_one_line_and_status_2() {
    QFETCH(QStringList, arguments);
    QFETCH(QString, what);
    const Outcome outcome = run_shearling(arguments);
    QVERIFY2(outcome.status == 2 && is_one_line(outcome), qPrintable(outcome.errors));
    QVERIFY2(outcome.errors.contains(what), qPrintable(outcome.errors));
  }
};

QTEST_GUILESS_MAIN(CacheCommandTest)
#include "cache_command_test.moc"
