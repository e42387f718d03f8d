// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/sweep_results.h"

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

namespace shearling {

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kWholeCheckBytes = 64ULL << 20;  // a larger file's damage shows when the page is read

// Version 1. A change that an older reader cannot read raises SweepResults::kVersion.
constexpr const char* kTables = R"sql(
CREATE TABLE plan (yaml TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE configuration (id TEXT PRIMARY KEY, yaml TEXT NOT NULL, axes TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE stream (name TEXT PRIMARY KEY, bytes INTEGER) WITHOUT ROWID;
CREATE TABLE run (
  configuration TEXT NOT NULL REFERENCES configuration(id), stream TEXT NOT NULL REFERENCES stream(name),
  reference_count INTEGER NOT NULL, warm_up INTEGER NOT NULL, report TEXT NOT NULL,
  PRIMARY KEY (configuration, stream, reference_count, warm_up)) WITHOUT ROWID;
)sql";

/// A column of the view `results`, and where it lies in a report.
struct Column {
  const char* name;
  const char* path;
};
constexpr std::array kColumns{Column{"references_counted", "$.references"},
                              Column{"instructions", "$.instructions"},
                              Column{"cycles", "$.cycles.total"},
                              Column{"time_ns", "$.time_ns"},
                              Column{"l1d_accesses", "$.l1d.accesses"},
                              Column{"l1d_misses", "$.l1d.misses"},
                              Column{"l1d_ways_probed", "$.l1d.ways_probed"},
                              Column{"walks", "$.walks.count"},
                              Column{"energy_l1d_nj", "$.energy_nj.l1d"},
                              Column{"energy_nj", "$.energy_nj.total"}};

std::string view_statement() {
  std::string text = "CREATE VIEW results AS SELECT configuration, axes, stream, reference_count, warm_up";
  for (const Column& column : kColumns)
    text += std::string(", json_extract(report, '") + column.path + "') AS " + column.name;
  return text + " FROM run JOIN configuration ON configuration.id = run.configuration;";
}

std::string axes_as_json(const SweepConfiguration& configuration) {
  nlohmann::ordered_json axes = nlohmann::ordered_json::object();
  for (const auto& [name, value] : configuration.axes) axes[name] = value;
  return axes.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string csv_quoted(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"') quoted += '"';
    quoted += letter;
  }
  return quoted + "\"";
}

Diagnostic damaged(const std::string& path, const std::string& what) {
  return {path, 0, 0, "this results file is damaged: " + what, "run the sweep again into another file"};
}

Diagnostic foreign(const std::string& path) {
  return {path, 0, 0, "this is no results file of a sweep", "give a file made with 'shearling seesaw --sweep'"};
}

}  // namespace

Result<std::unique_ptr<SweepResults>> SweepResults::open(const std::string& path, Mode mode) {
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (!exists && mode == Mode::Read) return Diagnostic{path, 0, 0, "there is no such file", "check the path"};
  if (exists && !fs::is_regular_file(path, error)) return foreign(path);
  std::unique_ptr<SweepResults> results(new SweepResults(path));
  // Also for reading: what a killed process left half written is rolled back first.
  if (!results->database_.open(path, SQLITE_OPEN_READWRITE | (mode == Mode::Write ? SQLITE_OPEN_CREATE : 0)))
    return Diagnostic{path, 0, 0, "the file cannot be opened: " + results->database_.problem(),
                      "check the folder and its permissions"};
  sqlite3_busy_timeout(results->database_.handle(), 30'000);
  results->database_.run("PRAGMA synchronous = NORMAL");
  if (const Status good = results->check(); !good) return good.error();
  return results;
}

/// Ours, whole, and of a version that we know; an empty one is made ours.
Status SweepResults::check() {
  SqliteStatement pages(database_, "PRAGMA page_count");
  if (!pages.row()) {
    const int code = sqlite3_errcode(database_.handle());
    return code == SQLITE_NOTADB ? foreign(path_) : failure();
  }
  if (pages.number(0) == 0) {
    const std::string create = "BEGIN IMMEDIATE; PRAGMA application_id = " + std::to_string(kApplicationId) +
                               "; PRAGMA user_version = " + std::to_string(kVersion) + ";" + kTables +
                               view_statement() + "COMMIT;";
    if (!database_.run(create.c_str())) return failure();
    return Done{};
  }
  if (database_.number("PRAGMA application_id") != kApplicationId) return foreign(path_);
  const std::int64_t version = database_.number("PRAGMA user_version");
  if (version > kVersion)
    return Diagnostic{path_, 0, 0,
                      "this results file has version " + std::to_string(version) + ", and this program knows up to " +
                          std::to_string(kVersion),
                      "use a newer Shearling"};
  std::error_code error;
  if (fs::file_size(path_, error) > kWholeCheckBytes) return Done{};
  SqliteStatement check(database_, "PRAGMA quick_check(1)");
  if (!check.row()) return damaged(path_, database_.problem());
  if (check.text(0) != "ok") return damaged(path_, std::string(check.text(0)));
  return Done{};
}

Diagnostic SweepResults::failure() const {
  return {path_, 0, 0, "the results cannot be read or written: " + database_.problem(),
          "is there room on the disk, and may you write there?"};
}

Status SweepResults::add_plan(const SweepPlan& plan) {
  if (!database_.run("BEGIN IMMEDIATE")) return failure();
  SqliteStatement insert(database_, "INSERT OR IGNORE INTO plan VALUES (?, ?)");
  insert.bind(1, std::string_view(plan.yaml));
  insert.bind(2, std::string_view(plan.name));
  bool good = insert.run();
  SqliteStatement configuration(database_, "INSERT OR IGNORE INTO configuration VALUES (?, ?, ?)");
  for (const SweepConfiguration& one : plan.configurations) {
    configuration.bind(1, std::string_view(one.id));
    configuration.bind(2, std::string_view(one.yaml));
    configuration.bind(3, std::string_view(axes_as_json(one)));
    good = good && configuration.run();
  }
  if (good && database_.run("COMMIT")) return Done{};
  const Diagnostic problem = failure();
  database_.run("ROLLBACK");
  return problem;
}

Status SweepResults::check_stream(const std::string& name, const std::string& source) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(source, error);
  {
    SqliteStatement insert(database_, "INSERT OR IGNORE INTO stream VALUES (?, ?)");
    insert.bind(1, std::string_view(name));
    if (error)
      insert.bind_null(2);  // no file: a generator
    else
      insert.bind(2, static_cast<std::int64_t>(bytes));
    if (!insert.run()) return failure();
  }
  SqliteStatement query(database_, "SELECT bytes FROM stream WHERE name = ?");
  query.bind(1, std::string_view(name));
  if (!query.row()) return failure();
  if (error || (!query.is_null(0) && query.number(0) == static_cast<std::int64_t>(bytes))) return Done{};
  return Diagnostic{path_, 0, 0, "the stream '" + name + "' has changed since its runs were simulated",
                    "write into another file"};
}

bool SweepResults::has(const SweepRun& run) {
  SqliteStatement query(
      database_, "SELECT 1 FROM run WHERE configuration = ? AND stream = ? AND reference_count = ? AND warm_up = ?");
  query.bind(1, std::string_view(run.configuration->id));
  query.bind(2, std::string_view(run.stream));
  query.bind(3, static_cast<std::int64_t>(run.references));
  query.bind(4, static_cast<std::int64_t>(run.warm_up));
  return query.row();
}

Status SweepResults::add(const SweepRun& run, const std::string& report) {
  SqliteStatement insert(database_, "INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, ?)");
  insert.bind(1, std::string_view(run.configuration->id));
  insert.bind(2, std::string_view(run.stream));
  insert.bind(3, static_cast<std::int64_t>(run.references));
  insert.bind(4, static_cast<std::int64_t>(run.warm_up));
  insert.bind(5, std::string_view(report));
  if (!insert.run()) return failure();
  return Done{};
}

Result<std::size_t> SweepResults::merge(const std::string& other) {
  std::error_code error;
  if (fs::equivalent(path_, other, error))
    return Diagnostic{other, 0, 0, "this is the file to merge into", "leave it out of the inputs"};
  if (const auto checked = open(other, Mode::Read); !checked) return checked.error();
  {
    SqliteStatement attach(database_, "ATTACH ? AS other");
    attach.bind(1, std::string_view(other));
    if (!attach.run()) return failure();
  }
  Result<std::size_t> merged = merge_attached(other);
  if (!merged) database_.run("ROLLBACK");
  database_.run("DETACH other");
  return merged;
}

Result<std::size_t> SweepResults::merge_attached(const std::string& other) {
  static constexpr const char* kDifferent =
      "SELECT a.configuration, a.stream FROM main.run a JOIN other.run b USING (configuration, stream, "
      "reference_count, warm_up) "
      "WHERE a.report <> b.report UNION ALL SELECT a.id, '' FROM main.configuration a JOIN other.configuration b USING "
      "(id) WHERE "
      "a.yaml <> b.yaml UNION ALL SELECT '', a.name FROM main.stream a JOIN other.stream b USING (name) WHERE a.bytes "
      "IS NOT b.bytes";
  if (!database_.run("BEGIN IMMEDIATE")) return failure();
  {
    SqliteStatement different(database_, kDifferent);
    if (different.row())
      return Diagnostic{
          other, 0, 0,
          "its run of configuration '" + std::string(different.text(0)) + "' over stream '" +
              std::string(different.text(1)) + "' differs from that of " + path_,
          "were they made by two versions of the program, or from two traces of one name? Run one of them again"};
    if (!different.ended_well()) return failure();
  }
  if (!database_.run("INSERT OR IGNORE INTO main.plan SELECT * FROM other.plan;"
                     "INSERT OR IGNORE INTO main.configuration SELECT * FROM other.configuration;"
                     "INSERT OR IGNORE INTO main.stream SELECT * FROM other.stream;"
                     "INSERT OR IGNORE INTO main.run SELECT * FROM other.run;"))
    return failure();
  const auto added = static_cast<std::size_t>(database_.number("SELECT changes()"));
  if (!database_.run("COMMIT")) return failure();
  return added;
}

Status SweepResults::write_csv(std::ostream& out) {
  std::vector<std::string> axes;
  SqliteStatement names(database_, "SELECT DISTINCT key FROM configuration, json_each(axes) ORDER BY key");
  while (names.row()) axes.emplace_back(names.text(0));
  if (!names.ended_well()) return failure();

  out << "configuration";
  for (const std::string& axis : axes) out << ',' << csv_quoted(axis);
  out << ",stream,reference_count,warm_up";
  for (const Column& column : kColumns) out << ',' << column.name;
  out << "\r\n";

  SqliteStatement rows(database_, "SELECT * FROM results ORDER BY configuration, stream, reference_count, warm_up");
  while (rows.row()) {
    const auto values = nlohmann::json::parse(rows.text(1), nullptr, false);
    out << rows.text(0);
    for (const std::string& axis : axes) out << ',' << csv_quoted(values.is_object() ? values.value(axis, "") : "");
    out << ',' << csv_quoted(rows.text(2));
    for (int column = 3; column < static_cast<int>(5 + kColumns.size()); ++column) out << ',' << rows.text(column);
    out << "\r\n";
  }
  if (!rows.ended_well()) return failure();
  return Done{};
}

}  // namespace shearling
