// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/run_file/run_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>

#include "core/events/reflection.h"
#include "core/run_file/event_json.h"
#include "core/run_file/sqlite.h"

namespace shearling {

namespace {

// Up to this size the whole file is checked on opening; a damaged page of a larger one shows when it is read.
constexpr std::uintmax_t kWholeCheckBytes = 64ULL << 20;
constexpr auto kNoStep = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

std::int64_t clamp_step(StepIndex step) { return static_cast<std::int64_t>(std::min(step, kNoStep)); }

Diagnostic damaged(const std::string& path, const std::string& what) {
  return {path, 0, 0, "this run file is damaged: " + what, "record the run again"};
}

}  // namespace

std::optional<std::int32_t> application_id_of(const std::string& path) {
  static constexpr std::string_view kMagic = "SQLite format 3";
  std::array<char, 72> head{};
  std::ifstream stream(path, std::ios::binary);
  stream.read(head.data(), head.size());
  if (stream.gcount() != static_cast<std::streamsize>(head.size()) ||
      !std::string_view(head.data(), head.size()).starts_with(kMagic))
    return std::nullopt;
  std::uint32_t id = 0;
  for (std::size_t at = 68; at < 72; ++at) id = id << 8 | static_cast<std::uint8_t>(head[at]);
  return static_cast<std::int32_t>(id);
}

struct RunFile::Storage {
  std::string path;
  SqliteDatabase database;
  RunInfo info;
  TextPool texts;
  std::map<std::int64_t, std::string> kinds;

  std::optional<Diagnostic> check_kind_of_file();
  std::optional<Diagnostic> check_whole();
  std::optional<Diagnostic> read_info();
  std::optional<Diagnostic> read_kinds();
  void read_end(const std::map<std::string, std::string>& texts_of, const std::map<std::string, std::int64_t>& numbers);
};

/// Is it ours, and one that we can read?
std::optional<Diagnostic> RunFile::Storage::check_kind_of_file() {
  if (application_id_of(path) != RunRecorder::kApplicationId)
    return Diagnostic{path, 0, 0, "this is an SQLite database, but not a run of Shearling",
                      "give a file made with --record"};
  info.format = static_cast<int>(database.number("PRAGMA user_version"));
  if (info.format > RunRecorder::kFormat)
    return Diagnostic{path, 0, 0,
                      "this run file has format " + std::to_string(info.format) + ", and this program reads up to " +
                          std::to_string(RunRecorder::kFormat),
                      "use a newer Shearling"};
  return std::nullopt;
}

std::optional<Diagnostic> RunFile::Storage::check_whole() {
  std::error_code error;
  if (std::filesystem::file_size(path, error) > kWholeCheckBytes) return std::nullopt;
  SqliteStatement check(database, "PRAGMA quick_check(1)");
  if (!check.row()) return damaged(path, database.problem());
  if (check.text(0) != "ok") return damaged(path, std::string(check.text(0)));
  return std::nullopt;
}

std::optional<Diagnostic> RunFile::Storage::read_info() {
  std::map<std::string, std::string> texts_of;
  std::map<std::string, std::int64_t> numbers;
  SqliteStatement query(database, "SELECT key, value FROM meta");
  while (query.row()) {
    texts_of[std::string(query.text(0))] = std::string(query.text(1));
    numbers[std::string(query.text(0))] = query.number(1);
  }
  if (!query.ended_well()) return damaged(path, database.problem());
  for (const char* key : {"tool_version", "guest_name", "guest_image", "machine_name", "machine_yaml", "vmm"}) {
    if (!texts_of.contains(key)) return damaged(path, std::string("it has no ") + key);
  }
  const auto technique = technique_named(texts_of["vmm"]);
  if (!technique) return damaged(path, "there is no technique '" + texts_of["vmm"] + "'");
  const std::string& image = texts_of["guest_image"];
  info.tool_version = texts_of["tool_version"];
  info.setup = {.guest_name = texts_of["guest_name"],
                .guest_image = {image.begin(), image.end()},
                .machine_yaml = texts_of["machine_yaml"],
                .machine_name = texts_of["machine_name"],
                .technique = *technique};
  read_end(texts_of, numbers);
  return std::nullopt;
}

void RunFile::Storage::read_end(const std::map<std::string, std::string>& texts_of,
                                const std::map<std::string, std::int64_t>& numbers) {
  if (!numbers.contains("digest")) return;
  const auto number = [&](const char* key) {
    const auto found = numbers.find(key);
    return found == numbers.end() ? 0 : found->second;
  };
  const auto console = texts_of.find("console");
  info.end = RunEnd{.reason = static_cast<StopReason>(
                        std::clamp<std::int64_t>(number("stop_reason"), 0, static_cast<int>(StopReason::Reset))),
                    .code = static_cast<std::uint32_t>(number("stop_code")),
                    .steps = static_cast<StepIndex>(number("steps")),
                    .cycles = static_cast<std::uint64_t>(number("cycles")),
                    .digest = static_cast<std::uint64_t>(number("digest")),
                    .console = console == texts_of.end() ? std::string() : console->second};
}

std::optional<Diagnostic> RunFile::Storage::read_kinds() {
  SqliteStatement query(database, "SELECT id, name FROM kind");
  while (query.row()) kinds[query.number(0)] = query.text(1);
  if (!query.ended_well()) return damaged(path, database.problem());
  return std::nullopt;
}

RunFile::RunFile(std::unique_ptr<Storage> storage) : storage_(std::move(storage)) {}
RunFile::~RunFile() = default;

Result<std::unique_ptr<RunFile>> RunFile::open(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return Diagnostic{path, 0, 0, "there is no such file", "check the path"};
  if (!std::filesystem::is_regular_file(path, error))
    return Diagnostic{path, 0, 0, "this is not a file", "give a file made with --record"};
  if (!application_id_of(path))
    return Diagnostic{path, 0, 0, "this is not a run file", "give a file made with --record"};

  auto storage = std::make_unique<Storage>();
  storage->path = path;
  // A recording that was killed inside a transaction left a journal; rolling that back needs a writable file.
  SqliteDatabase& database = storage->database;
  const bool has_journal = std::filesystem::exists(path + "-journal", error);
  if (!database.open(path, has_journal ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY))
    return Diagnostic{path, 0, 0, "the file cannot be opened: " + database.problem(), "check its permissions"};
  sqlite3_busy_timeout(database.handle(), 5000);  // a recording of it may be going on
  if (auto problem = storage->check_kind_of_file()) return *problem;
  if (auto problem = storage->check_whole()) return *problem;
  if (auto problem = storage->read_info()) return *problem;
  if (auto problem = storage->read_kinds()) return *problem;
  return std::unique_ptr<RunFile>(new RunFile(std::move(storage)));
}

const RunInfo& RunFile::info() const { return storage_->info; }

std::uint64_t RunFile::event_count() const {
  return static_cast<std::uint64_t>(storage_->database.number("SELECT count(*) FROM event"));
}

StepIndex RunFile::recorded_steps() const {
  const auto events = storage_->database.number("SELECT max(step) + 1 FROM event");
  const auto intervals = storage_->database.number("SELECT first + steps FROM interval ORDER BY first DESC LIMIT 1");
  return static_cast<StepIndex>(std::max<std::int64_t>({events, intervals, 0}));
}

Result<std::vector<Event>> RunFile::events(StepIndex first, StepIndex end, std::size_t most, std::size_t skip) {
  SqliteStatement query(storage_->database,
                        "SELECT step, ordinal, vcpu, actor, privilege, cycles, kind, fields FROM event "
                        "WHERE step >= ? AND step < ? ORDER BY step, ordinal LIMIT ? OFFSET ?");
  query.bind(1, clamp_step(first));
  query.bind(2, clamp_step(end));
  query.bind(3, clamp_step(most));
  query.bind(4, clamp_step(skip));
  std::vector<Event> events;
  while (query.row()) {
    Event event{
        .step = static_cast<StepIndex>(query.number(0)),
        .ordinal = static_cast<std::uint32_t>(query.number(1)),
        .vcpu = static_cast<std::uint16_t>(query.number(2)),
        .actor = static_cast<Actor>(std::clamp<std::int64_t>(query.number(3), 0, static_cast<int>(Actor::Hardware))),
        .privilege = static_cast<std::uint8_t>(query.number(4)),
        .cycles = static_cast<std::uint32_t>(query.number(5)),
        .payload = {}};
    const auto kind = storage_->kinds.find(query.number(6));
    const auto fields = nlohmann::json::parse(query.text(7), nullptr, false);
    if (kind == storage_->kinds.end() || !payload_from_json(kind->second, fields, storage_->texts, event.payload))
      return damaged(storage_->path, "an event of step " + std::to_string(event.step) + " cannot be read");
    events.push_back(event);
  }
  if (!query.ended_well()) return damaged(storage_->path, storage_->database.problem());
  return events;
}

Result<std::vector<RunInterval>> RunFile::intervals(StepIndex first, StepIndex end) {
  SqliteStatement query(
      storage_->database,
      "SELECT first, steps, traps, exits, cycles, tlb_lookups, tlb_misses, walks, walk_references, l1i_misses, "
      "l1d_misses, l2_misses, llc_misses FROM interval WHERE first + steps > ? AND first < ? ORDER BY first");
  query.bind(1, clamp_step(first));
  query.bind(2, clamp_step(end));
  std::vector<RunInterval> intervals;
  const auto count = [&](int column) { return static_cast<std::uint64_t>(query.number(column)); };
  while (query.row()) {
    intervals.push_back({.first = count(0),
                         .steps = count(1),
                         .models = !query.is_null(5),
                         .counters = {count(2), count(3), count(4), count(5), count(6), count(7), count(8), count(9),
                                      count(10), count(11), count(12)}});
  }
  if (!query.ended_well()) return damaged(storage_->path, storage_->database.problem());
  return intervals;
}

}  // namespace shearling
