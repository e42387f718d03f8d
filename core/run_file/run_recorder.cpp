// SPDX-License-Identifier: GPL-3.0-or-later
#include <filesystem>
#include <map>

#include "core/events/reflection.h"
#include "core/run_file/event_json.h"
#include "core/run_file/run_file.h"
#include "core/run_file/schema.h"
#include "core/run_file/sqlite.h"

namespace shearling {

namespace {

RunCounters model_counters(const Machine& machine) {
  const MemoryPathCounters path = machine.counters();
  const auto misses = [](const Cache* cache) {
    return cache == nullptr ? 0 : cache->counters().read_misses + cache->counters().write_misses;
  };
  RunCounters counters;
  counters.tlb_lookups = path.tlb_lookups;
  counters.tlb_misses = path.tlb_misses;
  counters.walks = path.walks;
  counters.walk_references = path.walk_references;
  for (unsigned cpu = 0; cpu < machine.cpus(); ++cpu) {
    const CacheHierarchy& caches = machine.memory_path(cpu).caches();
    counters.l1i_misses += misses(&caches.l1i());
    counters.l1d_misses += misses(&caches.l1d());
    counters.l2_misses += misses(caches.l2());
    counters.llc_misses += misses(caches.last_level());
  }
  return counters;
}

}  // namespace

RunCounters operator-(const RunCounters& a, const RunCounters& b) {
  return {a.traps - b.traps,
          a.exits - b.exits,
          a.cycles - b.cycles,
          a.tlb_lookups - b.tlb_lookups,
          a.tlb_misses - b.tlb_misses,
          a.walks - b.walks,
          a.walk_references - b.walk_references,
          a.l1i_misses - b.l1i_misses,
          a.l1d_misses - b.l1d_misses,
          a.l2_misses - b.l2_misses,
          a.llc_misses - b.llc_misses};
}

struct RunRecorder::Storage {
  std::string path;
  std::size_t batch = 4096;
  SqliteDatabase database;
  std::unique_ptr<SqliteStatement> insert_event;
  std::unique_ptr<SqliteStatement> insert_interval;
  std::size_t waiting = 0;  ///< Rows since the last commit.
  bool failed = false;      ///< The disk is full, or the like: nothing more is written.
  std::string problem;

  // The ordinal stored is the place among the step's notable events: the same at every observation level.
  StepIndex last_step = 0;
  std::int64_t next_ordinal = 0;
  std::uint64_t traps = 0, exits = 0;
  StepIndex interval_first = 0;
  RunCounters interval_start;
  bool interval_start_has_models = true;

  void note(bool success) {
    if (success || failed) return;
    failed = true;
    problem = database.problem();
  }
  void write_meta(std::string_view key, auto value) {
    SqliteStatement insert(database, "INSERT OR REPLACE INTO meta VALUES (?, ?)");
    insert.bind(1, key);
    insert.bind(2, value);
    note(insert.run());
  }
  void commit() {
    note(database.run("COMMIT; BEGIN"));
    waiting = 0;
  }
  void row_written() {
    if (++waiting >= batch) commit();
  }
  [[nodiscard]] Status status() const {
    if (!failed) return Done{};
    return Diagnostic{path, 0, 0, "the recording cannot be written: " + problem,
                      "is there room on the disk, and may you write there?"};
  }
};

RunRecorder::RunRecorder(std::unique_ptr<Storage> storage) : storage_(std::move(storage)) {}

RunRecorder::~RunRecorder() {
  if (!storage_->failed) storage_->database.run("COMMIT; PRAGMA journal_mode = DELETE");
}

Result<std::unique_ptr<RunRecorder>> RunRecorder::create(const std::string& path, const MachineSetup& setup,
                                                         std::size_t batch) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    const bool ours = std::filesystem::is_regular_file(path, error) && application_id_of(path) == kApplicationId;
    if (!ours)
      return Diagnostic{path, 0, 0, "this exists and is no run file, so it is not overwritten", "choose another name"};
  }
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) std::filesystem::remove(path + suffix, error);

  auto storage = std::make_unique<Storage>();
  storage->path = path;
  storage->batch = batch;
  // A rollback journal, and not a write-ahead log: then the run is this one file whenever nobody is writing it.
  const std::string pragmas =
      "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = PERSIST; PRAGMA synchronous = NORMAL; PRAGMA application_id "
      "= " +
      std::to_string(kApplicationId) + "; PRAGMA user_version = " + std::to_string(kFormat) + "; BEGIN;";
  storage->note(storage->database.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) &&
                storage->database.run(pragmas.c_str()) && storage->database.run(kRunFileSchema));
  if (!storage->failed) {
    storage->write_meta("tool_version", std::string_view(SHEARLING_VERSION));
    storage->write_meta("guest_name", std::string_view(setup.guest_name));
    storage->write_meta("guest_image", std::span<const std::uint8_t>(setup.guest_image));
    storage->write_meta("machine_name", std::string_view(setup.machine_name));
    storage->write_meta("machine_yaml", std::string_view(setup.machine_yaml));
    storage->write_meta("vmm", name_of(setup.technique));
    SqliteStatement insert_kind(storage->database, "INSERT INTO kind VALUES (?, ?)");
    for (const EventInfo& info : event_table()) {
      insert_kind.bind(1, static_cast<std::int64_t>(&info - event_table().data()));
      insert_kind.bind(2, info.name);
      storage->note(insert_kind.run());
    }
    storage->commit();
  }
  if (storage->failed) return storage->status().error();
  storage->insert_event =
      std::make_unique<SqliteStatement>(storage->database, "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  storage->insert_interval = std::make_unique<SqliteStatement>(
      storage->database, "INSERT INTO interval VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  return std::unique_ptr<RunRecorder>(new RunRecorder(std::move(storage)));
}

void RunRecorder::on_event(const Event& event) {
  Storage& storage = *storage_;
  if (storage.failed || !is_notable(event)) return;
  if (std::holds_alternative<TrapRaised>(event.payload)) ++storage.traps;
  if (std::holds_alternative<VmExit>(event.payload)) ++storage.exits;
  if (event.step != storage.last_step) storage.next_ordinal = 0;
  storage.last_step = event.step;
  SqliteStatement& insert = *storage.insert_event;
  insert.bind(1, static_cast<std::int64_t>(event.step));
  insert.bind(2, storage.next_ordinal++);
  insert.bind(3, event.vcpu);
  insert.bind(4, static_cast<std::int64_t>(event.actor));
  insert.bind(5, event.privilege);
  insert.bind(6, event.cycles);
  insert.bind(7, static_cast<std::int64_t>(event.payload.index()));
  insert.bind(8,
              std::string_view(fields_to_json(event).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  storage.note(insert.run());
  storage.row_written();
}

void RunRecorder::interval(const Machine& machine) {
  Storage& storage = *storage_;
  if (storage.failed || machine.position() <= storage.interval_first) return;
  const bool has_models = machine.models_valid();
  RunCounters now = has_models ? model_counters(machine) : RunCounters{};
  now.traps = storage.traps;
  now.exits = storage.exits;
  now.cycles = machine.cycles();
  const bool models = has_models && storage.interval_start_has_models;
  const RunCounters counted = now - storage.interval_start;
  SqliteStatement& insert = *storage.insert_interval;
  insert.bind(1, static_cast<std::int64_t>(storage.interval_first));
  insert.bind(2, static_cast<std::int64_t>(machine.position() - storage.interval_first));
  const auto bind = [&](int column, std::uint64_t value, bool known) {
    if (known)
      insert.bind(column, static_cast<std::int64_t>(value));
    else
      insert.bind_null(column);
  };
  bind(3, counted.traps, true);
  bind(4, counted.exits, true);
  bind(5, counted.cycles, true);
  bind(6, counted.tlb_lookups, models);
  bind(7, counted.tlb_misses, models);
  bind(8, counted.walks, models);
  bind(9, counted.walk_references, models);
  bind(10, counted.l1i_misses, models);
  bind(11, counted.l1d_misses, models);
  bind(12, counted.l2_misses, models);
  bind(13, counted.llc_misses, models);
  storage.note(insert.run());
  storage.interval_first = machine.position();
  storage.interval_start = now;
  storage.interval_start_has_models = has_models;
  storage.row_written();
}

Status RunRecorder::flush() {
  if (!storage_->failed && storage_->waiting != 0) storage_->commit();
  return storage_->status();
}

Status RunRecorder::finish(Machine& machine) {
  interval(machine);
  Storage& storage = *storage_;
  if (!storage.failed) {
    storage.write_meta("stop_reason", static_cast<std::int64_t>(machine.stop().reason));
    storage.write_meta("stop_code", static_cast<std::int64_t>(machine.stop().code));
    storage.write_meta("steps", static_cast<std::int64_t>(machine.position()));
    storage.write_meta("cycles", static_cast<std::int64_t>(machine.cycles()));
    storage.write_meta("console", std::span(reinterpret_cast<const std::uint8_t*>(machine.console().data()),
                                            machine.console().size()));
    storage.write_meta("digest", static_cast<std::int64_t>(machine.digest()));
    storage.note(
        storage.database.run("COMMIT; PRAGMA journal_mode = DELETE; BEGIN"));  // leaves one file, and nothing beside it
  }
  return storage.status();
}

}  // namespace shearling
