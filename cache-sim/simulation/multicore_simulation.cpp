// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/multicore_simulation.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "cache-sim/simulation/coherent_caches.h"
#include "cache-sim/simulation/simulated_core.h"
#include "cache-sim/simulation/simulation_report.h"
#include "cache-sim/simulation/take_records.h"

namespace shearling {

namespace {

void add(LevelReport& sum, const LevelReport& level) {
  sum.accesses += level.accesses;
  sum.reads += level.reads;
  sum.writes += level.writes;
  sum.misses += level.misses;
  sum.read_misses += level.read_misses;
  sum.write_misses += level.write_misses;
  sum.ways_probed += level.ways_probed;
  sum.write_backs += level.write_backs;
  sum.walk_accesses += level.walk_accesses;
  sum.walk_misses += level.walk_misses;
  sum.energy += level.energy;
}

void add(SimulationReport::TlbReport& sum, const SimulationReport::TlbReport& tlb) {
  sum.lookups += tlb.lookups;
  sum.hits += tlb.hits;
}

void add(CaseReport& sum, const CaseReport& one) {
  sum.accesses += one.accesses;
  sum.misses += one.misses;
  sum.ways_probed += one.ways_probed;
  sum.latency_cycles += one.latency_cycles;
}

void add(SimulationReport::Energy& sum, const SimulationReport::Energy& energy) {
  sum.l1i += energy.l1i;
  sum.l1d += energy.l1d;
  sum.l1d_coherence += energy.l1d_coherence;
  sum.tft += energy.tft;
  sum.tlb += energy.tlb;
  sum.l2 += energy.l2;
  sum.llc += energy.llc;
  sum.memory += energy.memory;
  sum.leakage += energy.leakage;
}

/// Every number of a report that is a plain sum over cores.
constexpr std::array kSummed{
    &SimulationReport::references,       &SimulationReport::instructions,    &SimulationReport::walks,
    &SimulationReport::walk_references,  &SimulationReport::walk_skipped,    &SimulationReport::walk_cycles,
    &SimulationReport::tft_fills,        &SimulationReport::memory_reads,    &SimulationReport::memory_writes,
    &SimulationReport::context_switches, &SimulationReport::invalidations,   &SimulationReport::splinters,
    &SimulationReport::promotions,       &SimulationReport::swept_lines,     &SimulationReport::probes,
    &SimulationReport::probe_hits,       &SimulationReport::probe_ways,      &SimulationReport::replays,
    &SimulationReport::assumed_slow,     &SimulationReport::way_predictions, &SimulationReport::way_mispredictions,
    &SimulationReport::homonym_errors,   &SimulationReport::synonym_errors,
};
constexpr std::array kSummedCycles{&SimulationReport::cycles, &SimulationReport::base_cycles,
                                   &SimulationReport::l1_cycles, &SimulationReport::beyond_l1_cycles,
                                   &SimulationReport::replay_cycles};
constexpr std::array kSummedCases{&SimulationReport::superpage_data,  &SimulationReport::base_page_data,
                                  &SimulationReport::tft_hit_l1_hit,  &SimulationReport::tft_hit_l1_miss,
                                  &SimulationReport::tft_miss_l1_hit, &SimulationReport::tft_miss_l1_miss,
                                  &SimulationReport::base_page};

/// Reports of cores alike: the same levels and TLBs.
void add(SimulationReport& sum, const SimulationReport& core) {
  for (std::size_t i = 0; i < sum.levels.size(); ++i) add(sum.levels[i], core.levels[i]);
  for (std::size_t i = 0; i < sum.tlbs.size(); ++i) add(sum.tlbs[i], core.tlbs[i]);
  for (const auto member : kSummed) sum.*member += core.*member;
  for (const auto member : kSummedCycles) sum.*member += core.*member;
  for (const auto member : kSummedCases) add(sum.*member, core.*member);
  add(sum.energy, core.energy);
  sum.nanoseconds = std::max(sum.nanoseconds, core.nanoseconds);
}

std::uint64_t sent(const CoherenceReport& report, CoherenceMessage message) {
  return report.messages[static_cast<std::size_t>(message)];
}

}  // namespace

CoherentSystemConfig coherent_system_of(const SimulationConfig& config) {
  const CacheHierarchyConfig caches = hierarchy_of(config);
  return {.cores = config.coherence->cores,
          .protocol = config.coherence->protocol,
          .l1d = caches.l1d,
          .last_level = caches.last_level,
          .message_latency = config.coherence->message_latency,
          .memory_latency = caches.memory_latency,
          .memory_energy = caches.memory_energy,
          .seed = caches.seed};
}

std::string problem_of_several_cores(const SimulationConfig& config) {
  const CacheHierarchyConfig& caches = config.caches;
  if (!config.has_l1d) return "several cores need an L1D each: it is what coherence is about";
  if (caches.l2 || caches.l2i)
    return "private second-level caches are not modelled with several cores: leave l2 out; the llc is what they share";
  if (config.has_l1i && has_aliases(caches.l1i))
    return "with several cores an L1I has lines of one name alone: make it PIPT, or VIPT of at most 4096 bytes a way";
  if (config.has_l1i && caches.last_level && caches.last_level->inclusive)
    return "with several cores an inclusive llc takes no lines back from an L1I: leave l1i out, or inclusion";
  return problem_of(coherent_system_of(config));
}

struct MulticoreSimulation::State {
  explicit State(SimulationConfig configuration)
      : config(std::move(configuration)), memory(config), system(coherent_system_of(config)) {
    const CacheHierarchyConfig caches = hierarchy_of(config);
    for (unsigned core = 0; core < config.coherence->cores; ++core)
      cores.push_back(
          std::make_unique<SimulatedCore<CoherentCaches>>(config, memory, CoherentCaches(caches, system, core)));
  }

  SimulationConfig config;
  SharedMemory memory;
  CoherentSystem system;
  std::vector<std::unique_ptr<SimulatedCore<CoherentCaches>>> cores;
  std::vector<PhysicalAddress> old_frames;
  std::uint64_t taken = 0;
  std::optional<RecordProblem> problem;

  bool take(const ReferenceRecord& record);
  bool refuse(std::string message, std::string remedy);
  void promote(const ReferenceRecord& record);
  [[nodiscard]] SimulationReport report_of_core(const SimulatedCore<CoherentCaches>& core) const;
  void add_what_is_shared(MulticoreReport& report) const;
};

bool MulticoreSimulation::State::take(const ReferenceRecord& record) {
  if (record.core >= cores.size()) [[unlikely]]
    return refuse(
        "it is of core " + std::to_string(record.core) + ", and the configuration has " +
            (cores.size() == 1 ? std::string("core 0 alone") : "cores 0 to " + std::to_string(cores.size() - 1)),
        "set coherence.cores to at least " + std::to_string(record.core + 1));
  SimulatedCore<CoherentCaches>& core = *cores[record.core];
  switch (record.kind) {
    case RecordKind::Splinter:  // Pages are common: every core loses the translation.
      ++core.counts().splinters;
      memory.pages.splinter(record.address, record.address_space);
      for (const auto& each : cores) each->splintered(record);
      break;
    case RecordKind::Promote:
      promote(record);
      break;
    case RecordKind::CoherenceRead:
    case RecordKind::CoherenceInvalidate:
      return refuse("it is a coherence probe, and several cores send their own",
                    "leave probes out of the stream, or 'coherence' out of the configuration");
    default:
      core.take(record);
      break;
  }
  ++taken;
  return true;
}

bool MulticoreSimulation::State::refuse(std::string message, std::string remedy) {
  problem = RecordProblem{.record = taken + 1, .message = std::move(message), .remedy = std::move(remedy)};
  return false;
}

void MulticoreSimulation::State::promote(const ReferenceRecord& record) {
  ++cores[record.core]->counts().promotions;
  if (!memory.pages.promote(record.address, record.address_space, old_frames)) return;
  for (const auto& each : cores) each->promoted(record, old_frames);
}

SimulationReport MulticoreSimulation::State::report_of_core(const SimulatedCore<CoherentCaches>& core) const {
  const CoherentCaches& caches = core.caches();
  const CachesView view{.l1i = &caches.l1i(),
                        .l1d = &caches.l1d(),
                        .l2 = nullptr,
                        .last_level = system.last_level(),
                        .memory = {},
                        .aliases = {},
                        .replays = caches.replays(),
                        .assumed_slow = caches.assumed_slow(),
                        .has_filter = caches.tft() != nullptr};
  SimulationReport report = shearling::report_of(
      {.config = config, .caches = view, .fetch = core.fetch(), .data = core.data(), .counts = core.counts()});
  report.energy.llc = report.energy.leakage = 0;
  if (system.last_level() == nullptr) return report;
  report.levels.back().write_backs = 0;
  report.levels.back().energy = 0;
  return report;
}

void MulticoreSimulation::State::add_what_is_shared(MulticoreReport& report) const {
  SimulationReport& total = report.total;
  if (system.last_level() != nullptr) {
    const CacheCounters shared = system.last_level()->counters();
    total.levels.back().write_backs = shared.write_backs;
    total.levels.back().energy = total.energy.llc = shared.energy;
  }
  total.memory_reads = sent(report.coherence, CoherenceMessage::MemoryRead);
  total.memory_writes = sent(report.coherence, CoherenceMessage::MemoryWrite);
  total.energy.memory = report.coherence.memory_energy;
  const EnergyConfig& energy = config.energy;
  const double of_cores = (energy.l1i_leakage_mw + energy.l1d_leakage_mw) * static_cast<double>(cores.size());
  const double shared_mw = energy.llc_leakage_mw + energy.memory_leakage_mw;
  total.energy.leakage = (of_cores + shared_mw) * total.nanoseconds * 1e-3;
}

MulticoreSimulation::MulticoreSimulation(SimulationConfig config) {
  assert(config.coherence && problem_of(config).empty());
  state_ = std::make_unique<State>(std::move(config));
}
MulticoreSimulation::~MulticoreSimulation() = default;

bool MulticoreSimulation::take(const ReferenceRecord& record) { return state_->take(record); }

std::uint64_t MulticoreSimulation::run(ReferenceStream& stream, std::uint64_t most,
                                       const std::function<bool(std::uint64_t taken)>& go_on) {
  return take_records(stream, most, go_on, [this](const ReferenceRecord& record) { return state_->take(record); });
}

const RecordProblem* MulticoreSimulation::problem() const { return state_->problem ? &*state_->problem : nullptr; }

MulticoreReport MulticoreSimulation::report() const {
  MulticoreReport report;
  report.coherence = state_->system.report();
  for (const auto& core : state_->cores) report.cores.push_back(state_->report_of_core(*core));
  report.total = report.cores.front();
  for (std::size_t core = 1; core < report.cores.size(); ++core) add(report.total, report.cores[core]);
  state_->add_what_is_shared(report);
  return report;
}

const CoherentSystem& MulticoreSimulation::system() const { return state_->system; }

}  // namespace shearling
