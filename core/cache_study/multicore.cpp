// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/multicore.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/cache_study/study_config.h"

namespace shearling {

namespace {

using Json = nlohmann::ordered_json;

Json messages_to_json(const CoherenceMessageCounts& messages) {
  Json json = Json::object();
  for (std::size_t i = 0; i < messages.size(); ++i) json[name_of(static_cast<CoherenceMessage>(i))] = messages[i];
  return json;
}

/// What probes and the protocol did to one core's L1D, or to all.
Json counters_to_json(const CoherenceCounters& counters) {
  return {{"probes", counters.probes},
          {"hits", counters.probe_hits},
          {"ways_probed", counters.probe_ways},
          {"energy_nj", counters.probe_energy},
          {"invalidations", counters.invalidations},
          {"recalls", counters.recalls},
          {"supplied", counters.supplied},
          {"upgrades", counters.upgrades},
          {"silent_upgrades", counters.silent_upgrades},
          {"misses_from_other_cache", counters.from_other_cache},
          {"misses_from_llc", counters.from_last_level},
          {"misses_from_memory", counters.from_memory}};
}

Json coherence_to_json(const CoherenceReport& report) {
  Json json{{"protocol", report.protocol == CoherenceProtocol::Directory ? "directory" : "snoopy"}};
  json.update(counters_to_json(report.total));
  json["messages"] = messages_to_json(report.messages);
  json["saving_nj"] = {{"lookups", report.total.lookup_energy_saved}, {"probes", report.total.probe_energy_saved}};
  return json;
}

/// Of a core: the keys that are its own.
Json core_to_json(const SimulationReport& core, const CoherenceCounters& counters) {
  const Json whole = to_json(core);
  Json json = Json::object();
  for (const char* key : {"references", "instructions", "l1i", "l1d", "tlb", "walks", "seesaw", "cycles", "time_ns"}) {
    if (whole.contains(key)) json[key] = whole[key];
  }
  json["coherence"] = counters_to_json(counters);
  return json;
}

}  // namespace

Json to_json(const StudyReport& report) {
  Json json = to_json(report.total);
  if (!report.coherence) return json;
  json["coherence"] = coherence_to_json(*report.coherence);
  renew_shares(json);
  Json& cores = json["cores"] = Json::array();
  for (std::size_t core = 0; core < report.cores.size(); ++core)
    cores.push_back(core_to_json(report.cores[core], report.coherence->cores[core]));
  return json;
}

void renew_shares(Json& report) {
  Json& coherence = report["coherence"];
  if (!coherence.contains("saving_nj")) return;
  const double lookups = coherence["saving_nj"]["lookups"].get<double>();
  const double probes = coherence["saving_nj"]["probes"].get<double>();
  coherence["share_of_saving"] = lookups + probes == 0 ? Json() : Json(probes / (lookups + probes));
}

StudySimulation::StudySimulation(SimulationConfig config) {
  if (config.coherence)
    simulation_ = std::make_unique<MulticoreSimulation>(std::move(config));
  else
    simulation_ = std::make_unique<Simulation>(std::move(config));
}

std::uint64_t StudySimulation::run(ReferenceStream& stream, std::uint64_t most,
                                   const std::function<bool(std::uint64_t taken)>& go_on) {
  return std::visit([&](auto& simulation) { return simulation->run(stream, most, go_on); }, simulation_);
}

std::optional<Diagnostic> StudySimulation::problem(const std::string& stream) const {
  const auto* several = std::get_if<std::unique_ptr<MulticoreSimulation>>(&simulation_);
  if (several == nullptr || (*several)->problem() == nullptr) return std::nullopt;
  const RecordProblem& problem = *(*several)->problem();
  return Diagnostic{stream, 0, 0, "record " + std::to_string(problem.record) + ": " + problem.message, problem.remedy};
}

StudyReport StudySimulation::report() const {
  if (const auto* one = std::get_if<std::unique_ptr<Simulation>>(&simulation_))
    return {.total = (*one)->report(), .cores = {}, .coherence = std::nullopt};
  MulticoreReport report = std::get<1>(simulation_)->report();
  return {.total = std::move(report.total), .cores = std::move(report.cores), .coherence = std::move(report.coherence)};
}

}  // namespace shearling
