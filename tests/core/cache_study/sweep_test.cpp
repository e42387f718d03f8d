// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sweeps: plans and their mistakes, resuming, shards and merging, files that are none. What simulates is a stand-in
// here, so that the machinery around it is tested alone.
#include "core/cache_study/sweep.h"

#include <sqlite3.h>
#include <unistd.h>

#include <sys/wait.h>
#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

using namespace shearling;

namespace {

constexpr const char* kPlan = R"(name: sizes
config:
  l1d: {size: 32 KB, ways: 8}
  tlb:
    data: [{entries: 64}, {entries: 32}]
axes:
  l1d.organisation: [vipt, seesaw]
  l1: [{l1d.size: 32 KB, l1d.ways: 8}, {l1d.size: 64 KB, l1d.ways: 16}]
  tlb.data.1.entries: [16, 32, 64]
streams: ["synthetic:mcf,memhog=0", "synthetic:gups"]
references: 1000
)";

Status everything_goes(const std::string&) { return Done{}; }

SweepPlan plan_of(const std::string& yaml = kPlan) {
  auto plan = parse_sweep_plan(yaml, "plan.yaml", everything_goes);
  if (!plan) qFatal("%s", plan.error().text().c_str());
  return std::move(plan).value();
}

/// A report that says which run it is of.
Result<std::string> pretend(const SweepRun& run, const std::function<bool()>&) {
  const auto hash = std::hash<std::string>{}(run.configuration->yaml + run.stream) % 100000;
  return nlohmann::ordered_json{{"references", run.references},
                                {"instructions", 3 * run.references},
                                {"cycles", {{"total", static_cast<double>(hash) / 8}}},
                                {"l1d", {{"accesses", run.references}, {"misses", hash}}},
                                {"energy_nj", {{"total", 0.1}}}}
      .dump();
}

struct Row {
  std::vector<std::string> cells;
  bool operator==(const Row&) const = default;
};

/// All rows of a query, through SQLite itself.
std::vector<Row> rows_of(const std::string& path, const char* query) {
  sqlite3* database = nullptr;
  std::vector<Row> rows;
  if (sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK)
    qFatal("%s cannot be opened", path.c_str());
  const auto take = [](void* list, int count, char** cells, char**) {
    Row row;
    for (int i = 0; i < count; ++i) row.cells.emplace_back(cells[i] == nullptr ? "NULL" : cells[i]);
    static_cast<std::vector<Row>*>(list)->push_back(row);
    return 0;
  };
  char* problem = nullptr;
  if (sqlite3_exec(database, query, take, &rows, &problem) != SQLITE_OK) qFatal("%s", problem);
  sqlite3_close(database);
  return rows;
}

std::vector<Row> everything_in(const std::string& path) {
  std::vector<Row> all;
  for (const char* query :
       {"SELECT * FROM plan ORDER BY 1", "SELECT * FROM configuration ORDER BY 1", "SELECT * FROM stream ORDER BY 1",
        "SELECT * FROM run ORDER BY 1, 2, 3, 4", "SELECT * FROM results ORDER BY 1, 3"})
    for (Row& row : rows_of(path, query)) all.push_back(std::move(row));
  return all;
}

}  // namespace

class SweepTest : public QObject {
  Q_OBJECT

 private:
  // In memory where there is such a folder: each run is flushed to the disk otherwise, as it should be.
  QTemporaryDir folder_{(QDir("/dev/shm").exists() ? QString("/dev/shm") : QDir::tempPath()) + "/sweep-XXXXXX"};
  std::string path(const char* name) const { return folder_.filePath(name).toStdString(); }
  std::string write(const char* name, const QByteArray& bytes) const {
    QFile file(folder_.filePath(name));
    if (!file.open(QIODevice::WriteOnly)) qFatal("no temporary file");
    file.write(bytes);
    return file.fileName().toStdString();
  }
  static SweepSummary sweep(const SweepPlan& plan, const std::string& output, SweepShard shard = {},
                            unsigned jobs = 2) {
    const auto summary =
        run_sweep(plan, {.output = output, .shard = shard, .jobs = jobs, .simulate = pretend, .progress = {}});
    if (!summary) qFatal("%s", summary.error().text().c_str());
    return summary.value();
  }

 private slots:
  void a_plan_is_the_cross_product_of_its_axes() {
    const SweepPlan plan = plan_of();
    QCOMPARE(plan.configurations.size(), std::size_t{2 * 2 * 3});
    QCOMPARE(runs_of(plan).size(), std::size_t{2 * 2 * 3 * 2});
    std::set<std::string> ids, texts;
    for (const auto& one : plan.configurations) {
      ids.insert(one.id);
      texts.insert(one.yaml);
      QCOMPARE(one.axes.size(), std::size_t{3});
    }
    QCOMPARE(ids.size(), std::size_t{12});
    QCOMPARE(texts.size(), std::size_t{12});
    // The last axis turns fastest; values that belong together change together; lists are indexed.
    const std::string& third = plan.configurations[2].yaml;
    QVERIFY2(third.find("size: 32 KB, ways: 8, organisation: vipt") != std::string::npos, third.c_str());
    QVERIFY2(third.find("entries: 64}, {entries: 64") != std::string::npos, third.c_str());
    const std::string& fourth = plan.configurations[3].yaml;
    QVERIFY2(fourth.find("size: 64 KB, ways: 16, organisation: vipt") != std::string::npos, fourth.c_str());
  }

  void a_plan_without_axes_is_its_base() {
    const SweepPlan plan = plan_of("config: {l1d: {size: 32 KB}}\nstreams: [a.din]\n");
    QCOMPARE(plan.configurations.size(), std::size_t{1});
    QCOMPARE(plan.name, std::string("plan"));
    QCOMPARE(plan_of("config: {l1d: {size: 32 KB}}\nstreams: [a.din]\n").configurations[0].id,
             plan.configurations[0].id);
  }

  void a_stream_that_is_a_file_lies_beside_the_plan() {
    const auto plan = parse_sweep_plan("config: {}\nstreams: [a.din, /b.din, synthetic:mcf]\nreferences: 5\n",
                                       "/plans/p.yaml", everything_goes);
    const auto runs = runs_of(plan.value());
    QCOMPARE(runs[0].source, std::string("/plans/a.din"));
    QCOMPARE(runs[0].stream, std::string("a.din"));
    QCOMPARE(runs[1].source, std::string("/b.din"));
    QCOMPARE(runs[2].source, std::string("synthetic:mcf"));
  }

  void a_mistake_in_a_plan_has_its_place_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("what");
    QTest::newRow("misspelt key") << "config: {}\nstreems: [a]\n"
                                  << "plan.yaml:2:1: a plan has no key 'streems'; did you mean 'streams'?";
    QTest::newRow("no stream") << "config: {}\n"
                               << "'streams' is missing";
    QTest::newRow("empty streams") << "config: {}\nstreams: []\n"
                                   << "plan.yaml:2:10: a plan needs a stream";
    QTest::newRow("stream twice") << "config: {}\nstreams: [a, a]\n"
                                  << "plan.yaml:2:14: the stream 'a' stands here twice";
    QTest::newRow("standard input") << "config: {}\nstreams: [\"-\"]\n"
                                    << "standard input can be read once";
    QTest::newRow("no base") << "streams: [a]\n"
                             << "'base' or 'config' is missing";
    QTest::newRow("two bases") << "base: x\nconfig: {}\nstreams: [a]\n"
                               << "are both here";
    QTest::newRow("unknown base") << "base: nothing-such\nstreams: [a]\n"
                                  << "plan.yaml:1:7: there is no configuration 'nothing-such'";
    QTest::newRow("axis no list") << "config: {}\nstreams: [a]\naxes: {l1d.size: 32 KB}\n"
                                  << "plan.yaml:3:18: an axis must be a list";
    QTest::newRow("axis twice") << "config: {}\nstreams: [a]\naxes: {x: [1], x: [2]}\n"
                                << "plan.yaml:3:16: the axis 'x' stands here twice";
    QTest::newRow("axis empty") << "config: {}\nstreams: [a]\naxes: {x: []}\n"
                                << "an axis needs a value";
    QTest::newRow("through a scalar") << "config: {l1d: 3}\nstreams: [a]\naxes: {l1d.size: [1]}\n"
                                      << "the key 'l1d.size' leads to no place";
    QTest::newRow("list too short") << "config: {tlb: [{entries: 1}]}\nstreams: [a]\naxes: {tlb.1.entries: [1]}\n"
                                    << "leads to no place";
    QTest::newRow("same value twice") << "config: {}\nstreams: [a]\naxes: {x: [1, 1]}\n"
                                      << "the same configuration (x: 1)";
    QTest::newRow("not YAML") << "config: {\n"
                              << "this is not YAML";
    QTest::newRow("references") << "config: {}\nstreams: [a]\nreferences: many\n"
                                << "plan.yaml:3:13: 'references' must be a whole number";
    QTest::newRow("too many") << QString("config: {}\nstreams: [a]\naxes:\n") + [] {
      QString text;
      for (int axis = 0; axis < 7; ++axis) text += QString("  a%1: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n").arg(axis);
      return text;
    }() << "more than 1000000 runs";
  }
  void a_mistake_in_a_plan_has_its_place() {
    QFETCH(QString, text);
    QFETCH(QString, what);
    const auto plan = parse_sweep_plan(text.toStdString(), "plan.yaml", everything_goes);
    QVERIFY(!plan.ok());
    QVERIFY2(plan.error().text().find(what.toStdString()) != std::string::npos, plan.error().text().c_str());
    QVERIFY(!plan.error().remedy.empty());
  }

  void a_configuration_that_cannot_be_is_placed_at_the_axis_that_makes_it_so() {
    const auto check = [](const std::string& yaml) -> Status {
      if (yaml.find("wyas") == std::string::npos) return Done{};
      return Diagnostic{"generated", 3, 5, "a cache has no key 'wyas'", "did you mean 'ways'?"};
    };
    const auto plan = parse_sweep_plan("config: {}\nstreams: [a]\naxes:\n  l1d.size: [1, 2]\n  l1d.wyas: [8, 16]\n",
                                       "plan.yaml", check);
    QVERIFY(!plan.ok());
    QCOMPARE(
        plan.error().text(),
        std::string("plan.yaml:5:14: with l1d.size: 1, l1d.wyas: 8: a cache has no key 'wyas'; did you mean 'ways'?"));
  }

  void a_sweep_is_taken_up_where_it_stopped() {
    const SweepPlan plan = plan_of();
    std::atomic<bool> interrupted{false};
    std::atomic<int> calls{0};
    SweepOptions options{.output = path("resume.sqlite"),
                         .shard = {},
                         .jobs = 2,
                         .simulate = {},
                         .progress = {},
                         .interrupted = &interrupted};
    options.simulate = [&](const SweepRun& run, const std::function<bool()>& go_on) {
      if (++calls == 7) interrupted = true;
      return pretend(run, go_on);
    };
    const auto first = run_sweep(plan, options);
    QVERIFY(first.ok() && first.value().interrupted);
    QVERIFY(first.value().simulated >= 4 && first.value().simulated < 24);
    interrupted = false;
    const auto second = run_sweep(plan, options);
    QVERIFY(second.ok() && !second.value().interrupted);
    QCOMPARE(second.value().found, first.value().simulated);
    QCOMPARE(second.value().found + second.value().simulated, std::size_t{24});
    sweep(plan, path("whole.sqlite"));
    QVERIFY(everything_in(path("resume.sqlite")) == everything_in(path("whole.sqlite")));
    QCOMPARE(sweep(plan, path("whole.sqlite")).simulated, std::size_t{0});
  }

  void a_sweep_that_was_killed_opens_and_goes_on() {
    const SweepPlan plan = plan_of();
    const std::string output = path("killed.sqlite");
    for (const int death : {3, 9}) {  // dies in the middle of a run, with others written
      const pid_t child = ::fork();
      if (child == 0) {
        int calls = 0;
        static_cast<void>(run_sweep(plan, {.output = output,
                                           .shard = {},
                                           .jobs = 1,
                                           .simulate =
                                               [&](const SweepRun& run, const std::function<bool()>& go_on) {
                                                 if (++calls == death) ::kill(::getpid(), SIGKILL);
                                                 return pretend(run, go_on);
                                               },
                                           .progress = {}}));
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      QVERIFY(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    const SweepSummary rest = sweep(plan, output);
    QCOMPARE(rest.found, std::size_t{2 + 8});
    QCOMPARE(rest.found + rest.simulated, std::size_t{24});
    sweep(plan, path("unkilled.sqlite"));
    QVERIFY(everything_in(output) == everything_in(path("unkilled.sqlite")));
  }

  void jobs_change_no_result() {
    sweep(plan_of(), path("one.sqlite"), {}, 1);
    sweep(plan_of(), path("four.sqlite"), {}, 4);
    QVERIFY(everything_in(path("one.sqlite")) == everything_in(path("four.sqlite")));
  }

  void shards_partition_the_plan_and_merge_into_the_whole() {
    const SweepPlan plan = plan_of();
    for (const unsigned count : {1U, 2U, 5U, 30U}) {
      std::map<std::string, int> seen;
      for (unsigned index = 1; index <= count; ++index)
        for (const SweepRun& run : runs_of(plan, {index, count})) ++seen[run.configuration->id + run.stream];
      QCOMPARE(seen.size(), std::size_t{24});
      for (const auto& [run, times] : seen) QCOMPARE(times, 1);
    }
    std::vector<std::string> parts;
    for (unsigned index = 1; index <= 5; ++index) {
      parts.push_back(path(("part" + std::to_string(index)).c_str()));
      sweep(plan, parts.back(), {index, 5});
    }
    sweep(plan, path("unsharded.sqlite"));
    const auto merged = merge_sweeps(path("merged.sqlite"), parts);
    QVERIFY2(merged.ok(), merged.ok() ? "" : merged.error().text().c_str());
    QCOMPARE(merged.value(), std::size_t{24});
    QVERIFY(everything_in(path("merged.sqlite")) == everything_in(path("unsharded.sqlite")));
    QCOMPARE(merge_sweeps(path("merged.sqlite"), parts).value(), std::size_t{0});
  }

  void runs_that_differ_are_not_merged() {
    const SweepPlan plan = plan_of();
    sweep(plan, path("here.sqlite"), {1, 2});
    sweep(plan, path("there.sqlite"));
    rows_of(path("there.sqlite"),
            "UPDATE run SET report = '{}' WHERE configuration = (SELECT min(configuration) FROM (SELECT configuration "
            "FROM run))");
    const auto before = everything_in(path("here.sqlite"));
    const auto merged = merge_sweeps(path("here.sqlite"), {path("there.sqlite")});
    QVERIFY(!merged.ok());
    QVERIFY2(merged.error().text().find("differs from that of") != std::string::npos, merged.error().text().c_str());
    QVERIFY(everything_in(path("here.sqlite")) == before);
    QVERIFY(!merge_sweeps(path("here.sqlite"), {path("here.sqlite")}).ok());
  }

  void a_file_of_another_kind_is_told_and_left_alone_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("statement");
    QTest::addColumn<QString>("what");
    QTest::newRow("text") << QByteArray("hello, this is a text of more than sixteen bytes\n") << ""
                          << "this is no results file";
    QTest::newRow("other database") << QByteArray() << "CREATE TABLE cake (flour)"
                                    << "this is no results file";
    QTest::newRow("newer") << QByteArray()
                           << "PRAGMA application_id = 1397257047; PRAGMA user_version = 2; CREATE TABLE x (y)"
                           << "has version 2, and this program knows up to 1";
  }
  void a_file_of_another_kind_is_told_and_left_alone() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, statement);
    QFETCH(QString, what);
    const std::string file = write("foreign.sqlite", bytes);
    if (!statement.isEmpty()) rows_of(file, statement.toStdString().c_str());
    QFile content(QString::fromStdString(file));
    QVERIFY(content.open(QIODevice::ReadOnly));
    const QByteArray before = content.readAll();
    const auto summary =
        run_sweep(plan_of(), {.output = file, .shard = {}, .jobs = 1, .simulate = pretend, .progress = {}});
    QVERIFY(!summary.ok());
    QVERIFY2(summary.error().text().find(what.toStdString()) != std::string::npos, summary.error().text().c_str());
    std::ostringstream out;
    QVERIFY(!export_sweep_csv(file, out).ok());
    QVERIFY(content.seek(0));
    QCOMPARE(content.readAll(), before);
  }

  void a_damaged_file_is_told() {
    sweep(plan_of(), path("damaged.sqlite"));
    QFile file(folder_.filePath("damaged.sqlite"));
    QVERIFY(file.open(QIODevice::ReadWrite));
    QVERIFY(file.seek(4096));
    file.write(QByteArray(static_cast<int>(file.size() - 4096), 'x'));
    file.close();
    std::ostringstream out;
    QVERIFY(!export_sweep_csv(path("damaged.sqlite"), out).ok());
    QVERIFY(!merge_sweeps(path("into.sqlite"), {path("damaged.sqlite")}).ok());
    QVERIFY(!QFile::exists(folder_.filePath("into.sqlite")));
  }

  void a_trace_that_changed_is_not_mixed_with_what_it_was() {
    const std::string trace = write("trace.din", "0 1000\n");
    const auto plan = parse_sweep_plan("config: {}\nstreams: [trace.din]\n", path("plan.yaml"), everything_goes);
    QCOMPARE(sweep(plan.value(), path("trace.sqlite")).simulated, std::size_t{1});
    write("trace.din", "0 1000\n0 2000\n");
    const auto again = run_sweep(
        plan.value(), {.output = path("trace.sqlite"), .shard = {}, .jobs = 1, .simulate = pretend, .progress = {}});
    QVERIFY(!again.ok());
    QVERIFY2(again.error().text().find("'trace.din' has changed") != std::string::npos, again.error().text().c_str());
  }

  void what_one_run_meets_ends_the_sweep_and_keeps_the_others() {
    int calls = 0;
    const auto summary = run_sweep(
        plan_of(), {.output = path("error.sqlite"),
                    .shard = {},
                    .jobs = 1,
                    .simulate = [&](const SweepRun& run, const std::function<bool()>& go_on) -> Result<std::string> {
                      if (++calls == 5) return Diagnostic{"trace", 9, 1, "this line is no reference", "mend it"};
                      return pretend(run, go_on);
                    },
                    .progress = {}});
    QVERIFY(!summary.ok());
    QCOMPARE(summary.error().text(), std::string("trace:9:1: this line is no reference; mend it"));
    QCOMPARE(rows_of(path("error.sqlite"), "SELECT 1 FROM run").size(), std::size_t{4});
  }

  void the_csv_has_a_column_an_axis_and_a_row_a_run() {
    sweep(plan_of(), path("csv.sqlite"));
    std::ostringstream out;
    QVERIFY(export_sweep_csv(path("csv.sqlite"), out).ok());
    const QStringList lines = QString::fromStdString(out.str()).split("\r\n");
    QCOMPARE(lines.size(), 1 + 24 + 1);
    QVERIFY2(lines[0].startsWith("configuration,l1,l1d.organisation,tlb.data.1.entries,stream,reference_count,warm_up,"
                                 "references_counted,instructions,cycles"),
             qPrintable(lines[0]));
    QVERIFY2(lines[1].contains("\"{l1d.size: 32 KB, l1d.ways: 8}\"") ||
                 lines[1].contains("\"{l1d.size: 64 KB, l1d.ways: 16}\""),
             qPrintable(lines[1]));
    QCOMPARE(out.str().find(",1000,0,1000,3000,") != std::string::npos, true);
  }

  void a_shard_is_i_of_n() {
    QCOMPARE(parse_shard("2/16").value().index, 2U);
    QCOMPARE(parse_shard("2/16").value().count, 16U);
    for (const char* wrong : {"", "2", "0/4", "5/4", "a/b", "1/", "/2", "-1/2", "1/2/3"})
      QVERIFY2(!parse_shard(wrong).ok(), wrong);
  }

  void progress_counts_every_run_once() {
    std::vector<std::size_t> seen;
    const SweepOptions options{.output = path("progress.sqlite"),
                               .shard = {},
                               .jobs = 3,
                               .simulate = pretend,
                               .progress = [&](std::size_t done, std::size_t total) {
                                 QCOMPARE(total, std::size_t{24});
                                 seen.push_back(done);
                               }};
    QVERIFY(run_sweep(plan_of(), options).ok());
    QCOMPARE(seen.size(), std::size_t{25});
    for (std::size_t i = 0; i < seen.size(); ++i) QCOMPARE(seen[i], i);
  }
};

QTEST_APPLESS_MAIN(SweepTest)
#include "sweep_test.moc"
