// SPDX-License-Identifier: GPL-3.0-or-later
//
// The stand-alone simulator with several cores: each record's core has TLBs, a filter table, an L1I and an L1D of its
// own; the L1Ds are kept coherent by MOESI (cache-sim/coherence), above one shared last-level cache. Page map and page
// tables are common, as one operating system's are. With one core it counts as Simulation does.
// Left out: private second levels, coherence of L1I, and time between cores: the order of the stream is the order of
// the references, and each core's cycles are added up for itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/coherence/coherent_system.h"
#include "cache-sim/simulation/simulation.h"

namespace shearling {

/// What a configuration with `coherence` means for the caches; problem_of(SimulationConfig) has seen it.
[[nodiscard]] CoherentSystemConfig coherent_system_of(const SimulationConfig& config);
/// Why its caches cannot be those of several cores, in one sentence; empty if they can.
[[nodiscard]] std::string problem_of_several_cores(const SimulationConfig& config);

struct MulticoreReport {
  /// Sums over all cores; time is that of the core that takes longest, and so is the leakage of everything.
  SimulationReport total;
  /// Each core's own; what is shared (the last-level cache's energy and write-backs, memory, leakage) is in the total
  /// alone.
  std::vector<SimulationReport> cores;
  CoherenceReport coherence;
};

/// A record that the cores cannot take.
struct RecordProblem {
  std::uint64_t record = 0;  ///< From 1, in the order of the stream.
  std::string message, remedy;
};

/// Deterministic: the same configuration and stream give the same report, bit for bit.
class MulticoreSimulation {
 public:
  /// `config` has `coherence`, and no problem_of().
  explicit MulticoreSimulation(SimulationConfig config);
  ~MulticoreSimulation();
  MulticoreSimulation(const MulticoreSimulation&) = delete;
  MulticoreSimulation& operator=(const MulticoreSimulation&) = delete;

  /// False: the record is the problem(), and nothing happened.
  bool take(const ReferenceRecord& record);
  /// As Simulation::run(). Ends also where a record cannot be taken.
  std::uint64_t run(ReferenceStream& stream, std::uint64_t most = 0,
                    const std::function<bool(std::uint64_t taken)>& go_on = {});
  [[nodiscard]] const RecordProblem* problem() const;
  [[nodiscard]] MulticoreReport report() const;
  [[nodiscard]] const CoherentSystem& system() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shearling
