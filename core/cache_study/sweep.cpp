// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/sweep.h"

#include <mutex>
#include <optional>

#include "core/cache_study/sweep_results.h"
#include "core/cache_study/worker_pool.h"

namespace shearling {

namespace {

/// The runs that the file lacks, over all threads; each report is written as soon as it is there.
class Sweep {
 public:
  Sweep(SweepResults& results, std::vector<SweepRun> runs, const SweepOptions& options, SweepSummary& summary)
      : results_(results), runs_(std::move(runs)), options_(options), summary_(summary) {}

  Status run() {
    run_in_parallel(options_.jobs, runs_.size(), [this](std::size_t index) { return run_one(runs_[index]); });
    summary_.interrupted = interrupted();
    if (problem_) return *problem_;
    return Done{};
  }

 private:
  [[nodiscard]] bool interrupted() const { return options_.interrupted != nullptr && options_.interrupted->load(); }

  bool run_one(const SweepRun& run) {
    if (interrupted()) return false;
    const Result<std::string> report = options_.simulate(run, [this] { return !interrupted() && !failed_; });
    if (interrupted()) return false;  // the report is of a part
    const std::scoped_lock lock(guard_);
    if (failed_) return false;
    const Status kept = report ? results_.add(run, report.value()) : Status(report.error());
    if (!kept) {
      problem_ = kept.error();
      failed_ = true;
      return false;
    }
    ++summary_.simulated;
    if (options_.progress) options_.progress(summary_.found + summary_.simulated, summary_.total);
    return true;
  }

  SweepResults& results_;
  std::vector<SweepRun> runs_;
  const SweepOptions& options_;
  SweepSummary& summary_;
  std::mutex guard_;
  std::atomic<bool> failed_{false};
  std::optional<Diagnostic> problem_;
};

}  // namespace

Result<SweepSummary> run_sweep(const SweepPlan& plan, const SweepOptions& options) {
  const auto opened = SweepResults::open(options.output, SweepResults::Mode::Write);
  if (!opened) return opened.error();
  SweepResults& results = *opened.value();
  if (const Status added = results.add_plan(plan); !added) return added.error();

  for (const std::string& stream : plan.streams) {
    if (const Status same = results.check_stream(stream, stream_source(plan, stream)); !same) return same.error();
  }

  SweepSummary summary;
  std::vector<SweepRun> missing;
  for (SweepRun& run : runs_of(plan, options.shard)) {
    ++summary.total;
    if (results.has(run))
      ++summary.found;
    else
      missing.push_back(std::move(run));
  }
  if (options.progress) options.progress(summary.found, summary.total);
  if (const Status done = Sweep(results, std::move(missing), options, summary).run(); !done) return done.error();
  return summary;
}

Result<std::size_t> merge_sweeps(const std::string& output, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {  // nothing is created where an input is not there
    if (const auto readable = SweepResults::open(input, SweepResults::Mode::Read); !readable) return readable.error();
  }
  const auto opened = SweepResults::open(output, SweepResults::Mode::Write);
  if (!opened) return opened.error();
  std::size_t added = 0;
  for (const std::string& input : inputs) {
    const auto merged = opened.value()->merge(input);
    if (!merged) return merged.error();
    added += merged.value();
  }
  return added;
}

Status export_sweep_csv(const std::string& path, std::ostream& out) {
  const auto opened = SweepResults::open(path, SweepResults::Mode::Read);
  if (!opened) return opened.error();
  return opened.value()->write_csv(out);
}

}  // namespace shearling
