// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling run: a guest from beginning to end. Its console goes to standard output as it prints.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <limits>

#include "app/cli/cli.h"
#include "core/events/reflection.h"
#include "core/events/statistics.h"
#include "core/lesson/lesson.h"
#include "core/run_file/run_file.h"

namespace shearling::cli {

namespace {

/// Counts, records, and prints the console.
class RunSink : public EventSink {
 public:
  RunSink(RunRecorder* recorder, std::FILE* console) : recorder_(recorder), console_(console) {}

  void on_event(const Event& event) override {
    counts_.on_event(event);
    if (recorder_ != nullptr) recorder_->on_event(event);
    const auto* output = std::get_if<ConsoleOutput>(&event.payload);
    if (output == nullptr) return;
    std::fputc(output->byte, console_);
    if (output->byte == '\n') std::fflush(console_);
  }
  [[nodiscard]] const Statistics& statistics() const { return counts_.statistics(); }

 private:
  StatisticsSink counts_;
  RunRecorder* recorder_;
  std::FILE* console_;
};

nlohmann::ordered_json cache_to_json(const Cache& cache) {
  const CacheCounters& counters = cache.counters();
  return {{"reads", counters.reads},
          {"writes", counters.writes},
          {"read_misses", counters.read_misses},
          {"write_misses", counters.write_misses},
          {"ways_probed", counters.ways_probed},
          {"write_backs", counters.write_backs},
          {"energy_nj", counters.energy}};
}

nlohmann::ordered_json caches_to_json(const CacheHierarchy& caches) {
  nlohmann::ordered_json json;
  for (const Cache* cache : {&caches.l1i(), &caches.l1d(), caches.twin(), caches.l2(), caches.last_level()}) {
    if (cache != nullptr) json[cache->config().name] = cache_to_json(*cache);
  }
  if (caches.tft() == nullptr) return json;
  const SeesawCounters& seesaw = caches.seesaw_counters();
  json["seesaw"] = {{"superpage_tft_hit_l1_hit", seesaw.superpage_tft_hit_l1_hit},
                    {"superpage_tft_hit_l1_miss", seesaw.superpage_tft_hit_l1_miss},
                    {"superpage_tft_miss", seesaw.superpage_tft_miss},
                    {"base_page", seesaw.base_page}};
  return json;
}

/// Adds number to number in objects of one shape; an empty sum takes that shape.
void add(nlohmann::ordered_json& sum, const nlohmann::ordered_json& part) {
  if (sum.is_null()) {
    sum = part;
  } else if (part.is_object()) {
    for (const auto& [name, value] : part.items()) add(sum[name], value);
  } else if (part.is_number_float()) {
    sum = sum.get<double>() + part.get<double>();
  } else {
    sum = sum.get<std::uint64_t>() + part.get<std::uint64_t>();
  }
}

/// Of all cores together.
nlohmann::ordered_json caches_to_json(const Machine& machine) {
  nlohmann::ordered_json sum;
  for (unsigned cpu = 0; cpu < machine.cpus(); ++cpu) add(sum, caches_to_json(machine.memory_path(cpu).caches()));
  return sum;
}

nlohmann::ordered_json registers_to_json(const Processor& processor) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const RegisterRow& row : processor.registers())
    json[std::string(row.name)] = format_value(FieldValue(row.believed), FieldFormat::Hex);
  return json;
}

nlohmann::ordered_json cpus_to_json(const Machine& machine) {
  nlohmann::ordered_json cpus = nlohmann::ordered_json::array();
  for (unsigned cpu = 0; cpu < machine.cpus(); ++cpu)
    cpus.push_back({{"registers", registers_to_json(machine.processor(cpu))}});
  return cpus;
}

nlohmann::ordered_json report(const Machine& machine, const RunOptions& options, const Statistics& statistics,
                              StopReason reason) {
  nlohmann::ordered_json traps = nlohmann::ordered_json::object();
  for (const auto& [name, count] : statistics.traps) traps[name] = count;
  nlohmann::ordered_json exits = nlohmann::ordered_json::object();
  for (const auto& [name, exit] : statistics.exits) exits[name] = {{"count", exit.count}, {"cycles", exit.cycles}};
  const MemoryPathCounters path = machine.counters();
  nlohmann::ordered_json json{{"schema", 1},
                              {"guest", machine.setup().guest_name},
                              {"vmm", options.guest.vmm},
                              {"machine", machine.setup().machine_name},
                              {"stop", stop_to_json(reason, machine.stop().code)},
                              {"console", machine.console()},
                              {"instructions", machine.position()},
                              {"cycles", machine.cycles()},
                              {"traps", traps},
                              {"exits", exits}};
  const bool models = machine.models_valid();  // without them nothing is known of TLBs and caches
  json["walks"] = models ? nlohmann::ordered_json{{"count", path.walks},
                                                  {"references", path.walk_references},
                                                  {"skipped", path.walk_skipped}}
                         : nullptr;
  json["tlb"] = models ? nlohmann::ordered_json{{"lookups", path.tlb_lookups}, {"misses", path.tlb_misses}} : nullptr;
  json["caches"] = models ? caches_to_json(machine) : nullptr;
  json["cpus"] = cpus_to_json(machine);
  json["memory_sha256"] = machine.guest_memory_sha256();
  return json;
}

void print_summary(const Machine& machine, const Statistics& statistics, StopReason reason) {
  std::cerr << "shearling: " << machine.position() << " instructions, stopped: " << name_of(reason);
  if (reason == StopReason::ExitPort) std::cerr << ", guest status " << (machine.stop().code >> 1);
  std::uint64_t traps = 0;
  std::uint64_t exits = 0;
  for (const auto& entry : statistics.traps) traps += entry.second;
  for (const auto& entry : statistics.exits) exits += entry.second.count;
  std::cerr << "; " << traps << " traps, " << exits << " VM exits";
  if (machine.models_valid())
    std::cerr << ", " << machine.counters().walks << " page walks, " << machine.cycles() << " cycles";
  std::cerr << '\n';
}

/// Runs in slices: between them progress is shown and the recording gets its counters.
StopReason run_in_slices(Machine& machine, const RunOptions& options, RunRecorder* recorder) {
  Progress progress("running");
  const StepIndex limit = options.limit == 0 ? std::numeric_limits<StepIndex>::max() : options.limit;
  const Observation observation = options.fast ? Observation::Direct : Observation::Models;
  StopReason reason = StopReason::StepLimit;
  while (reason == StopReason::StepLimit && machine.position() < limit) {
    const StepIndex target = std::min(limit, machine.position() + RunRecorder::interval_steps());
    reason = machine.run_until(target, observation, interrupted());
    if (recorder != nullptr) recorder->interval(machine);
    progress.show(machine.position());
  }
  return reason;
}

}  // namespace

int run(const RunOptions& options) {
  Result<MachineSetup> setup = make_setup(options.guest.guest, technique_of(options.guest.vmm), options.guest.machine);
  if (!setup) return complain(setup.error());
  std::unique_ptr<RunRecorder> recorder;
  if (!options.record.empty()) {
    auto created = RunRecorder::create(options.record, setup.value());
    if (!created) return complain(created.error());
    recorder = std::move(created).value();
  }
  Result<std::unique_ptr<Machine>> created = Machine::create(std::move(setup).value());
  if (!created) return complain(created.error());
  Machine& machine = *created.value();

  const bool json_on_output = options.json == "-";
  RunSink sink(recorder.get(), json_on_output ? stderr : stdout);
  machine.set_sinks(nullptr, &sink);
  const StopReason reason = run_in_slices(machine, options, recorder.get());
  std::fflush(stdout);
  if (recorder != nullptr) {
    if (const Status status = recorder->finish(machine); !status) return complain(status.error());
  }
  if (!json_on_output) print_summary(machine, sink.statistics(), reason);
  if (!options.json.empty()) {
    const int written = write_json(report(machine, options, sink.statistics(), reason), options.json);
    if (written != kAsAsked) return written;
  }
  return status_of(reason, machine.stop().code);
}

}  // namespace shearling::cli
