// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a configuration asks for, of one core or (with `coherence`) of several, behind one face.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>

#include "cache-sim/simulation/multicore_simulation.h"
#include "cache-sim/simulation/simulation.h"
#include "core/base/result.h"

namespace shearling {

/// Several cores' is the MulticoreReport; one core's has neither cores nor coherence.
struct StudyReport {
  SimulationReport total;
  std::vector<SimulationReport> cores;
  std::optional<CoherenceReport> coherence;
};
/// The object of to_json(SimulationReport); of several cores with `cores` and more of `coherence`.
[[nodiscard]] nlohmann::ordered_json to_json(const StudyReport& report);
/// Shares are no sums: computes them again from what a report (or the difference of two) says.
void renew_shares(nlohmann::ordered_json& report);

class StudySimulation {
 public:
  /// `config` has no problem_of().
  explicit StudySimulation(SimulationConfig config);
  /// As Simulation::run(); ends also where a record cannot be taken.
  std::uint64_t run(ReferenceStream& stream, std::uint64_t most = 0,
                    const std::function<bool(std::uint64_t taken)>& go_on = {});
  /// The record of `stream` (its name) that could not be taken.
  [[nodiscard]] std::optional<Diagnostic> problem(const std::string& stream) const;
  [[nodiscard]] StudyReport report() const;

 private:
  std::variant<std::unique_ptr<Simulation>, std::unique_ptr<MulticoreSimulation>> simulation_;
};

}  // namespace shearling
