// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/timing.h"

namespace shearling {

TimingConfig default_timing(CoreModel core) {
  TimingConfig config;
  config.core = core;
  if (core == CoreModel::OutOfOrder) return config;
  config.load_exposure = 0.3;
  config.window_cycles = 0;
  return config;
}

TimingConfig with_core(TimingConfig config, CoreModel core) {
  const TimingConfig fresh = default_timing(core);
  config.core = core;
  config.load_exposure = fresh.load_exposure;
  config.window_cycles = fresh.window_cycles;
  return config;
}

std::string problem_of(const TimingConfig& config) {
  if (!(config.frequency_ghz > 0)) return "the frequency must be above 0";
  if (!(config.load_exposure >= 0 && config.load_exposure <= 1)) return "the load exposure is a share from 0 to 1";
  if (!(config.miss_overlap >= 1)) return "the overlap of misses is at least 1";
  for (const double value : {config.base_cycles_per_instruction, config.instructions_per_reference,
                             config.saturation_cycles, config.window_cycles}) {
    if (!(value >= 0)) return "cycles and instructions cannot be below 0";
  }
  return {};
}

double exposed_l1(const TimingConfig& config, double latency) {
  if (config.saturation_cycles <= 0) return config.load_exposure * latency;
  return config.load_exposure * latency * config.saturation_cycles / (latency + config.saturation_cycles);
}

}  // namespace shearling
