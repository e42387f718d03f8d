// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling cache: the cache simulator alone, on a trace or a generated stream of references.
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <utility>
#include <variant>

#include "app/cli/cli.h"
#include "cache-sim/streams/open_stream.h"
#include "core/cache_study/multicore.h"
#include "core/cache_study/multicore_stream.h"
#include "core/cache_study/study_config.h"

namespace shearling::cli {

namespace {

constexpr std::array<std::pair<std::string_view, TraceFormat>, 5> kFormats{{
    {"guess", TraceFormat::Guess},
    {"lackey", TraceFormat::Lackey},
    {"din", TraceFormat::Din},
    {"extended-din", TraceFormat::ExtendedDin},
    {"shearling", TraceFormat::Shearling},
}};

TraceFormat format_of(std::string_view name) {
  const auto* found =
      std::find_if(kFormats.begin(), kFormats.end(), [&](const auto& one) { return one.first == name; });
  return found->second;
}

enum class Ending : std::uint8_t { End, Limit, Interrupted };
constexpr std::array<const char*, 3> kEndings{"end", "limit", "interrupted"};

// --- the table -------------------------------------------------------------------------------------------------------

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

using Number = unsigned long long;  // what printf's %llu takes

void print_levels(const SimulationReport& report) {
  std::printf("\n%-6s %14s %14s %14s %14s %9s %16s %14s\n", "level", "accesses", "reads", "writes", "misses", "miss",
              "ways probed", "energy");
  for (const LevelReport& level : report.levels) {
    std::printf("%-6s %14llu %14llu %14llu %14llu %8.3f%% %16llu %11.3f uJ\n", level.name.c_str(),
                Number{level.accesses}, Number{level.reads}, Number{level.writes}, Number{level.misses},
                percent(level.misses, level.accesses), Number{level.ways_probed}, level.energy * 1e-3);
  }
  std::printf("%-6s %14llu %14llu %14llu\n", "memory", Number{report.memory_reads + report.memory_writes},
              Number{report.memory_reads}, Number{report.memory_writes});
}

void print_translation(const SimulationReport& report) {
  if (report.tlbs.empty()) return;
  std::printf("\n%-18s %14s %14s %9s\n", "TLB", "lookups", "hits", "hit");
  for (const SimulationReport::TlbReport& tlb : report.tlbs) {
    std::printf("%-18s %14llu %14llu %8.3f%%\n", tlb.name.c_str(), Number{tlb.lookups}, Number{tlb.hits},
                percent(tlb.hits, tlb.lookups));
  }
  std::printf("%llu walks, %llu references of theirs; page-walk caches and nested TLB saved %llu\n",
              Number{report.walks}, Number{report.walk_references}, Number{report.walk_skipped});
}

void print_case(const char* name, const CaseReport& one) {
  if (one.accesses == 0) return;
  const auto accesses = static_cast<double>(one.accesses);
  std::printf("%-34s %14llu %8.3f%% %10.2f %10.2f\n", name, Number{one.accesses}, percent(one.misses, one.accesses),
              static_cast<double>(one.ways_probed) / accesses, static_cast<double>(one.latency_cycles) / accesses);
}

void print_cases(const SimulationReport& report) {
  std::printf("\n%-34s %14s %9s %10s %10s\n", "data references", "accesses", "miss", "ways", "cycles");
  print_case("on base pages", report.base_page_data);
  print_case("on superpages", report.superpage_data);
  print_case("  superpage, TFT hit, L1 hit", report.tft_hit_l1_hit);
  print_case("  superpage, TFT hit, L1 miss", report.tft_hit_l1_miss);
  print_case("  superpage, TFT miss, L1 hit", report.tft_miss_l1_hit);
  print_case("  superpage, TFT miss, L1 miss", report.tft_miss_l1_miss);
}

void print_what_happened(const SimulationReport& report) {
  const std::array<std::pair<const char*, std::uint64_t>, 11> rows{{
      {"context switches", report.context_switches},
      {"pages invalidated", report.invalidations},
      {"superpages splintered", report.splinters},
      {"regions promoted", report.promotions},
      {"lines swept", report.swept_lines},
      {"coherence probes", report.probes},
      {"ways they probed", report.probe_ways},
      {"loads replayed", report.replays},
      {"ways mispredicted", report.way_mispredictions},
      {"homonym errors", report.homonym_errors},
      {"synonym errors", report.synonym_errors},
  }};
  for (const auto& [name, count] : rows) {
    if (count != 0) std::printf("%-34s %14llu\n", name, Number{count});
  }
}

void print_core(const std::string& name, const SimulationReport& core, const CoherenceCounters& counters) {
  const auto l1d = std::find_if(core.levels.begin(), core.levels.end(),
                                [](const LevelReport& level) { return level.name == "l1d"; });
  std::printf("%-6s %14llu %14llu %8.3f%% %16llu %12llu %12llu %14llu\n", name.c_str(), Number{l1d->accesses},
              Number{l1d->misses}, percent(l1d->misses, l1d->accesses), Number{l1d->ways_probed},
              Number{counters.probes}, Number{counters.probe_hits}, Number{counters.probe_ways});
}

void print_coherence(const StudyReport& report) {
  const CoherenceReport& coherence = *report.coherence;
  std::printf("\n%zu cores, %s\n%-6s %14s %14s %9s %16s %12s %12s %14s\n", report.cores.size(),
              name_of(coherence.protocol), "l1d", "accesses", "misses", "miss", "ways probed", "probes", "probe hits",
              "by probes");
  for (std::size_t core = 0; core < report.cores.size(); ++core)
    print_core("core" + std::to_string(core), report.cores[core], coherence.cores[core]);
  print_core("all", report.total, coherence.total);
  std::printf("\nmessages");
  for (std::size_t i = 0; i < coherence.messages.size(); ++i) {
    if (coherence.messages[i] != 0)
      std::printf("  %s %llu", name_of(static_cast<CoherenceMessage>(i)), Number{coherence.messages[i]});
  }
  std::printf("\nprobes of L1D: %.3f uJ\n", coherence.total.probe_energy * 1e-3);
  if (coherence.total.lookup_energy_saved + coherence.total.probe_energy_saved == 0) return;
  std::printf(
      "L1D's saving against lookups of all ways: %.3f uJ for the program, %.3f uJ for probes, %.1f%% of the whole\n",
      coherence.total.lookup_energy_saved * 1e-3, coherence.total.probe_energy_saved * 1e-3,
      100 * coherence.coherence_share_of_saving());
}

void print_report(const StudyReport& study) {
  const SimulationReport& report = study.total;
  std::printf("%llu references, %llu instructions\n", Number{report.references}, Number{report.instructions});
  print_levels(report);
  print_translation(report);
  print_cases(report);
  print_what_happened(report);
  if (study.coherence) print_coherence(study);
  std::printf("\n%.0f cycles: %.0f base, %.0f for L1, %.0f beyond L1, %.0f for replays; %.3f ms\n", report.cycles,
              report.base_cycles, report.l1_cycles, report.beyond_l1_cycles, report.replay_cycles,
              report.nanoseconds * 1e-6);
  std::printf("%.3f uJ, %.3f uJ of it leakage\n", report.energy.total() * 1e-3, report.energy.leakage * 1e-3);
}

// --- one run ---------------------------------------------------------------------------------------------------------

/// Takes the stream to its end, the limit, or Ctrl-C.
Ending simulate(StudySimulation& simulation, ReferenceStream& stream, std::uint64_t limit) {
  Progress progress("simulating", "references");
  const std::uint64_t taken = simulation.run(stream, limit, [&](std::uint64_t so_far) {
    progress.show(so_far, stream.progress());
    return !interrupted()->load();
  });
  if (interrupted()->load()) return Ending::Interrupted;
  std::array<ReferenceRecord, 1> next;
  return limit != 0 && taken == limit && stream.read(next) != 0 ? Ending::Limit : Ending::End;
}

Result<SimulationConfig> configuration(const CacheOptions& options) {
  Result<SimulationConfig> config = load_study_config(options.config);
  if (!config || options.core_model.empty()) return config;
  TimingConfig& timing = config.value().timing;
  timing = with_core(timing, options.core_model == "in-order" ? CoreModel::InOrder : CoreModel::OutOfOrder);
  return config;
}

int report(const CacheOptions& options, const StudySimulation& simulation, Ending ending) {
  const StudyReport report = simulation.report();
  const int ended_as = ending == Ending::End ? kAsAsked : kLimitReached;
  if (options.json.empty()) {
    print_report(report);
    return ended_as;
  }
  nlohmann::ordered_json json{{"schema", 1},
                              {"trace", options.trace},
                              {"config", options.config},
                              {"ended", kEndings[static_cast<std::size_t>(ending)]}};
  json.update(to_json(report));
  const int written = write_json(json, options.json);
  return written == kAsAsked ? ended_as : written;
}

}  // namespace

const std::vector<std::string>& trace_format_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    names.reserve(kFormats.size());
    for (const auto& [name, format] : kFormats) names.emplace_back(name);
    return names;
  }();
  return kNames;
}

int cache(const CacheOptions& options) {
  Result<SimulationConfig> config = configuration(options);
  if (!config) return complain(config.error());
  OpenedStream opened = open_study_stream(options.trace, format_of(options.format));
  if (const auto* error = std::get_if<StreamError>(&opened)) return complain(diagnostic_of(*error));
  ReferenceStream& stream = *std::get<0>(opened);
  // A generator that was asked for superpages knows better than the configuration.
  const PageMapConfig* pages = stream.suggested_pages();
  if (pages != nullptr && pages->superpage_share > 0) config.value().pages = *pages;
  StudySimulation simulation(std::move(config).value());
  const Ending ending = simulate(simulation, stream, options.limit);
  if (stream.error() != nullptr) return complain(diagnostic_of(*stream.error()));
  if (const auto problem = simulation.problem(options.trace)) return complain(*problem);
  return report(options, simulation, ending);
}

int cache_list() {
  std::printf("Configurations (--config NAME):\n");
  for (const BuiltInStudyConfig& one : built_in_study_configs())
    std::printf("  %-22s %s\n", one.name.c_str(), one.description.c_str());
  std::printf("\nTLBs (in a configuration, tlb: NAME):\n");
  for (const BuiltInStudyConfig& one : built_in_tlbs())
    std::printf("  %-22s %s\n", one.name.c_str(), one.description.c_str());
  std::printf("\nGenerated streams (synthetic:NAME,parameter=value,...):\n");
  for (const GeneratorDescription& one : study_generators()) {
    std::printf("  %-22s %s\n", one.name.c_str(), one.description.c_str());
    for (const GeneratorDescription::Parameter& parameter : one.parameters)
      std::printf("      %-18s %s (default %s)\n", parameter.name.c_str(), parameter.description.c_str(),
                  parameter.default_value.c_str());
  }
  return kAsAsked;
}

}  // namespace shearling::cli
