// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a sweep simulates: a configuration over a stream, to a report.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/assert.h"
#include "core/cache_study/multicore.h"
#include "core/cache_study/multicore_stream.h"
#include "core/cache_study/study_config.h"
#include "core/cache_study/sweep.h"

namespace shearling {

namespace {

using nlohmann::ordered_json;

/// Every number of a report is a sum, shares apart: what a part of a run did is the difference of two reports.
void subtract(ordered_json& report, const ordered_json& before) {
  if (report.is_number_integer()) {
    report = report.get<std::uint64_t>() - before.get<std::uint64_t>();
  } else if (report.is_number()) {
    report = report.get<double>() - before.get<double>();
  } else if (report.is_object()) {
    for (auto& [key, value] : report.items()) subtract(value, before.at(key));
  } else if (report.is_array()) {
    for (std::size_t i = 0; i < report.size(); ++i) subtract(report[i], before[i]);
  }
}

/// Takes `most` records, or what there is; false where somebody said no.
bool take(StudySimulation& simulation, ReferenceStream& stream, std::uint64_t most,
          const std::function<bool()>& go_on) {
  bool going = true;
  simulation.run(stream, most, [&](std::uint64_t) { return going = !go_on || go_on(); });
  return going;
}

}  // namespace

Result<SweepPlan> load_sweep_plan(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream || std::filesystem::is_directory(path))
    return Diagnostic{path, 0, 0, "the plan cannot be read", "check the path and the permissions"};
  const auto check = [&](const std::string& yaml) -> Status {
    const auto config = parse_study_config(yaml, path);
    if (!config) return config.error();
    return Done{};
  };
  Result<SweepPlan> plan = parse_sweep_plan(text.str(), path, check);
  if (!plan) return plan;
  for (const std::string& name : plan.value().streams) {
    const OpenedStream opened = open_study_stream(stream_source(plan.value(), name));
    if (const auto* error = std::get_if<StreamError>(&opened)) return diagnostic_of(*error);
  }
  return plan;
}

Result<std::string> simulate_run(const SweepRun& run, const std::function<bool()>& go_on) {
  OpenedStream opened = open_study_stream(run.source);
  if (const auto* error = std::get_if<StreamError>(&opened)) return diagnostic_of(*error);
  ReferenceStream& stream = *std::get<0>(opened);
  Result<SimulationConfig> config = parse_study_config(run.configuration->yaml, run.configuration_file);
  if (!config) return config.error();
  // As in `shearling cache`: a generator that was asked for superpages knows better than the configuration.
  const PageMapConfig* pages = stream.suggested_pages();
  if (pages != nullptr && pages->superpage_share > 0) config.value().pages = *pages;

  StudySimulation simulation(std::move(config).value());
  ordered_json before;
  if (run.warm_up != 0) {
    if (!take(simulation, stream, run.warm_up, go_on)) return std::string();
    before = to_json(simulation.report());
  }
  if (!take(simulation, stream, run.references, go_on)) return std::string();
  if (const StreamError* error = stream.error(); error != nullptr) return diagnostic_of(*error);
  if (auto problem = simulation.problem(run.source)) return *std::move(problem);
  ordered_json report = to_json(simulation.report());
  if (run.warm_up != 0) {
    subtract(report, before);
    renew_shares(report);
  }
  return report.dump();
}

}  // namespace shearling
