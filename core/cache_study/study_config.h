// SPDX-License-Identifier: GPL-3.0-or-later
//
// What `shearling cache --config F.yaml` reads: the whole configuration of a stand-alone simulation. What is left out
// is absent or has the default that docs/cache-study.md states.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cache-sim/simulation/simulation.h"
#include "core/base/result.h"

namespace shearling {

/// Misspelt keys, wrong types and impossible geometries are located errors.
[[nodiscard]] Result<SimulationConfig> parse_study_config(const std::string& yaml, const std::string& file);
/// `name_or_path`: a built-in one of assets/cache/ ("sandy-bridge", "seesaw-32k", ...) or a path.
[[nodiscard]] Result<SimulationConfig> load_study_config(const std::string& name_or_path);

/// One of assets/cache/.
struct BuiltInStudyConfig {
  std::string name, description;
};
[[nodiscard]] std::vector<BuiltInStudyConfig> built_in_study_configs();
/// Those of assets/cache/tlb/, for `tlb: NAME`.
[[nodiscard]] std::vector<BuiltInStudyConfig> built_in_tlbs();

/// An object for each level, and the rest of the report.
[[nodiscard]] nlohmann::ordered_json to_json(const SimulationReport& report);

}  // namespace shearling
