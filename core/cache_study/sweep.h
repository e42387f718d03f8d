// SPDX-License-Identifier: GPL-3.0-or-later
//
// Many configurations over many streams: a plan (YAML) is the cross product of axes laid over a base configuration,
// times its streams. Each run is a row of one SQLite file, written in a transaction of its own: a sweep that was killed
// is taken up again where it stopped, and the shards of a cluster's job array are merged into what one process would
// have written. The grammar of plans and the schema are told in docs/cache-sweeps.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace shearling {

struct SweepConfiguration {
  std::string id;                                         ///< 16 hexadecimal digits: a hash of `yaml`.
  std::string yaml;                                       ///< What parse_study_config() takes.
  std::vector<std::pair<std::string, std::string>> axes;  ///< Name and value, in the plan's order.
};

struct SweepPlan {
  std::string file;
  std::string name;
  std::string yaml;  ///< The plan itself.
  std::vector<SweepConfiguration> configurations;
  std::vector<std::string> streams;
  std::uint64_t references = 0;  ///< Records counted of each stream; 0: to its end.
  std::uint64_t warm_up = 0;     ///< Records before these, which train TLBs and caches and are not counted.
};

/// What says whether a configuration can be simulated: in production parse_study_config(). The Diagnostic's place is
/// replaced with that of the axis in the plan.
using CheckConfiguration = std::function<Status(const std::string& yaml)>;

/// `file` is the plan's name; a base configuration that it names is looked for beside it.
[[nodiscard]] Result<SweepPlan> parse_sweep_plan(const std::string& yaml, const std::string& file,
                                                 const CheckConfiguration& check);
/// The same from a file, with parse_study_config() as the judge.
[[nodiscard]] Result<SweepPlan> load_sweep_plan(const std::string& path);

/// One point of the cross product.
struct SweepRun {
  const SweepConfiguration* configuration = nullptr;
  std::string stream;              ///< As the plan names it.
  std::string source;              ///< What open_stream() takes: a file is looked for beside the plan.
  std::string configuration_file;  ///< The plan: what a configuration extends is looked for beside it.
  std::uint64_t references = 0, warm_up = 0;
};

/// What open_stream() takes for a stream that the plan names.
[[nodiscard]] std::string stream_source(const SweepPlan& plan, const std::string& stream);

/// i of n, from 1: every n-th run of the plan, beginning with the i-th.
struct SweepShard {
  unsigned index = 1, count = 1;
};
/// "2/16".
[[nodiscard]] Result<SweepShard> parse_shard(const std::string& text);
/// In the plan's order: configurations outside, streams inside. The plan outlives them.
[[nodiscard]] std::vector<SweepRun> runs_of(const SweepPlan& plan, SweepShard shard = {});

/// One run to its report, as to_json(SimulationReport) gives it: JSON on one line. Called on several threads at once;
/// `go_on` says no once nobody wants the report any more.
using SimulateRun = std::function<Result<std::string>(const SweepRun&, const std::function<bool()>& go_on)>;
/// open_stream(), parse_study_config() and Simulation. The report of a run that was told to stop is empty.
[[nodiscard]] Result<std::string> simulate_run(const SweepRun& run, const std::function<bool()>& go_on);

struct SweepOptions {
  std::string output;
  SweepShard shard;
  unsigned jobs = 0;     ///< 0: all cores.
  SimulateRun simulate;  ///< simulate_run, or what a test puts in its place.
  /// Called after each run, on any thread but never on two at once.
  std::function<void(std::size_t done, std::size_t total)> progress;
  const std::atomic<bool>* interrupted = nullptr;
};

struct SweepSummary {
  std::size_t total = 0, found = 0, simulated = 0;  ///< Runs: of this shard, there already, done now.
  bool interrupted = false;
};

/// Runs that the output holds already are not simulated again.
[[nodiscard]] Result<SweepSummary> run_sweep(const SweepPlan& plan, const SweepOptions& options);

/// Adds the runs of `inputs` to `output`, which may exist. Returns how many were added. Two different reports of one
/// run are an error, and leave the output as it was.
[[nodiscard]] Result<std::size_t> merge_sweeps(const std::string& output, const std::vector<std::string>& inputs);

/// A row a run, ordered by configuration and stream: axes, stream, and the columns of the table `run`.
[[nodiscard]] Status export_sweep_csv(const std::string& path, std::ostream& out);

}  // namespace shearling
