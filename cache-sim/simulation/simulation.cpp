// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/simulation.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "cache-sim/simulation/multicore_simulation.h"
#include "cache-sim/simulation/simulated_core.h"
#include "cache-sim/simulation/simulation_report.h"
#include "cache-sim/simulation/take_records.h"

namespace shearling {

namespace {}  // namespace

std::string problem_of(const SimulationConfig& config) {
  if (config.translation) {
    if (std::string problem = problem_of(*config.translation); !problem.empty()) return problem;
    if (!config.has_l1d) return "page-table walks read through L1D: TLBs need one";
  }
  if (std::string problem = problem_of(config.caches); !problem.empty()) return problem;
  if (!config.has_l1i && !config.has_l1d) return "there is neither an L1I nor an L1D";
  const bool is_seesaw = config.has_l1d && config.caches.l1d.organisation == CacheOrganisation::Seesaw;
  if (is_seesaw && !config.translation)
    return "SEESAW needs TLBs: its filter table learns from their fills which regions are superpages";
  if (std::string problem = problem_of(config.pages); !problem.empty()) return problem;
  if (std::string problem = problem_of(config.timing); !problem.empty()) return problem;
  if (std::string problem = problem_of(config.energy); !problem.empty()) return problem;
  return config.coherence ? problem_of_several_cores(config) : std::string{};
}

struct Simulation::State {
  explicit State(SimulationConfig configuration)
      : config(std::move(configuration)), memory(config), core(config, memory, hierarchy_of(config)) {}

  SimulationConfig config;
  SharedMemory memory;
  SimulatedCore<CacheHierarchy> core;
  std::vector<PhysicalAddress> old_frames;

  void take(const ReferenceRecord& record) {
    if (is_reference(record.kind)) return core.take(record);
    happen(record);
  }
  void happen(const ReferenceRecord& record);
  void probe(const ReferenceRecord& record);
};

void Simulation::State::happen(const ReferenceRecord& record) {
  core.settle();
  switch (record.kind) {
    case RecordKind::Splinter:
      ++core.counts().splinters;
      memory.pages.splinter(record.address, record.address_space);
      core.splintered(record);
      break;
    case RecordKind::Promote:
      ++core.counts().promotions;
      if (memory.pages.promote(record.address, record.address_space, old_frames)) core.promoted(record, old_frames);
      break;
    case RecordKind::CoherenceRead:
    case RecordKind::CoherenceInvalidate:
      probe(record);
      break;
    default:
      core.take(record);
      break;
  }
}

void Simulation::State::probe(const ReferenceRecord& record) {
  const bool invalidates = record.kind == RecordKind::CoherenceInvalidate;
  core.caches().coherence_probe(physical_address_of(record, config, memory),
                                invalidates ? CoherenceAction::Invalidate : CoherenceAction::Clean);
}

// --- the whole -------------------------------------------------------------------------------------------------------

Simulation::Simulation(SimulationConfig config) : state_(std::make_unique<State>(std::move(config))) {}
Simulation::~Simulation() = default;

void Simulation::take(const ReferenceRecord& record) { state_->take(record); }

std::uint64_t Simulation::run(ReferenceStream& stream, std::uint64_t most,
                              const std::function<bool(std::uint64_t taken)>& go_on) {
  return take_records(stream, most, go_on, [this](const ReferenceRecord& record) {
    state_->take(record);
    return true;
  });
}

SimulationReport Simulation::report() const {
  state_->core.settle();
  return report_of({.config = state_->config,
                    .caches = view_of(state_->core.caches()),
                    .fetch = state_->core.fetch(),
                    .data = state_->core.data(),
                    .counts = state_->core.counts()});
}

const SimulationConfig& Simulation::config() const { return state_->config; }
const CacheHierarchy& Simulation::caches() const {
  state_->core.settle();
  return state_->core.caches();
}

}  // namespace shearling
