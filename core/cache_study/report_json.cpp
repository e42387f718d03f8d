// SPDX-License-Identifier: GPL-3.0-or-later
//
// The report of `shearling cache --json`: the keys are a contract, told in docs/cache-study.md.
#include <nlohmann/json.hpp>

#include "core/cache_study/study_config.h"

namespace shearling {

namespace {

using Json = nlohmann::ordered_json;

Json level_to_json(const LevelReport& level) {
  return {{"accesses", level.accesses},
          {"reads", level.reads},
          {"writes", level.writes},
          {"misses", level.misses},
          {"read_misses", level.read_misses},
          {"write_misses", level.write_misses},
          {"ways_probed", level.ways_probed},
          {"write_backs", level.write_backs},
          {"walk_accesses", level.walk_accesses},
          {"walk_misses", level.walk_misses},
          {"energy_nj", level.energy}};
}

Json case_to_json(const CaseReport& one) {
  return {{"accesses", one.accesses},
          {"misses", one.misses},
          {"ways_probed", one.ways_probed},
          {"latency_cycles", one.latency_cycles}};
}

Json tlbs_to_json(const SimulationReport& report) {
  Json json = Json::object();
  for (const SimulationReport::TlbReport& tlb : report.tlbs)
    json[tlb.name] = {{"lookups", tlb.lookups}, {"hits", tlb.hits}, {"misses", tlb.lookups - tlb.hits}};
  return json;
}

Json energy_to_json(const SimulationReport::Energy& energy) {
  return {{"l1i", energy.l1i},      {"l1d", energy.l1d},       {"l1d_coherence", energy.l1d_coherence},
          {"tft", energy.tft},      {"tlb", energy.tlb},       {"l2", energy.l2},
          {"llc", energy.llc},      {"memory", energy.memory}, {"leakage", energy.leakage},
          {"total", energy.total()}};
}

}  // namespace

Json to_json(const SimulationReport& report) {
  Json json{{"references", report.references}, {"instructions", report.instructions}};
  for (const LevelReport& level : report.levels) json[level.name] = level_to_json(level);
  json["memory"] = {{"reads", report.memory_reads}, {"writes", report.memory_writes}};
  json["tlb"] = tlbs_to_json(report);
  json["walks"] = {{"count", report.walks},
                   {"references", report.walk_references},
                   {"skipped", report.walk_skipped},
                   {"cycles", report.walk_cycles}};
  json["pages"] = {{"base", case_to_json(report.base_page_data)}, {"superpage", case_to_json(report.superpage_data)}};
  json["seesaw"] = {{"superpage_tft_hit_l1_hit", case_to_json(report.tft_hit_l1_hit)},
                    {"superpage_tft_hit_l1_miss", case_to_json(report.tft_hit_l1_miss)},
                    {"superpage_tft_miss_l1_hit", case_to_json(report.tft_miss_l1_hit)},
                    {"superpage_tft_miss_l1_miss", case_to_json(report.tft_miss_l1_miss)},
                    {"base_page", case_to_json(report.base_page)},
                    {"tft_fills", report.tft_fills},
                    {"replays", report.replays},
                    {"assumed_slow", report.assumed_slow}};
  json["coherence"] = {{"probes", report.probes}, {"hits", report.probe_hits}, {"ways_probed", report.probe_ways}};
  json["way_prediction"] = {{"predictions", report.way_predictions}, {"mispredictions", report.way_mispredictions}};
  json["aliases"] = {{"homonym_errors", report.homonym_errors}, {"synonym_errors", report.synonym_errors}};
  json["events"] = {{"context_switches", report.context_switches},
                    {"invalidations", report.invalidations},
                    {"splinters", report.splinters},
                    {"promotions", report.promotions},
                    {"swept_lines", report.swept_lines}};
  json["cycles"] = {{"total", report.cycles},
                    {"base", report.base_cycles},
                    {"l1", report.l1_cycles},
                    {"beyond_l1", report.beyond_l1_cycles},
                    {"replays", report.replay_cycles}};
  json["time_ns"] = report.nanoseconds;
  json["energy_nj"] = energy_to_json(report.energy);
  return json;
}

}  // namespace shearling
