// SPDX-License-Identifier: GPL-3.0-or-later
//
// From latencies to cycles: how much of a reference's latency a core does not hide. Two models, in-order and
// out-of-order, neither of them cycle accurate: the equations stand in docs/cache-study.md, with what they cannot know.
#pragma once

#include <cstdint>
#include <string>

namespace shearling {

enum class CoreModel : std::uint8_t { InOrder, OutOfOrder };

struct TimingConfig {
  CoreModel core = CoreModel::OutOfOrder;
  double frequency_ghz = 1.33;
  double base_cycles_per_instruction = 0.5;  ///< With every reference free: issue width and dependences.
  double instructions_per_reference = 3;     ///< Where the stream has no fetches.
  double load_exposure = 0.1;                ///< Share of loads whose L1 latency the core waits for.
  /// Where above 0, a latency of l counts as l x s / (l + s): the core finds other work the longer it waits. 0: linear.
  double saturation_cycles = 0;
  double window_cycles = 42;  ///< Out-of-order: what the reorder buffer hides of a latency beyond L1 (168 entries / 4).
  double miss_overlap = 1;    ///< Latencies beyond L1 that run at the same time, on average.
  unsigned replay_penalty = 0;  ///< Cycles of a squash where the scheduler assumed a fast hit. Not in the paper.
};
/// The parameters that a description of this core begins with.
[[nodiscard]] TimingConfig default_timing(CoreModel core);
/// The same core's frequency and penalties with the exposure that another core begins with.
[[nodiscard]] TimingConfig with_core(TimingConfig config, CoreModel core);
/// Why nothing can be timed so, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const TimingConfig& config);

/// What one load with this L1 latency adds to the run time, in cycles.
[[nodiscard]] double exposed_l1(const TimingConfig& config, double latency);
/// What a load or fetch adds whose latency beyond that of an L1 hit (translation, lower levels) is `latency`. Stores
/// wait in a buffer.
[[nodiscard]] inline double exposed_beyond_l1(const TimingConfig& config, double latency) {
  const double hidden = config.core == CoreModel::InOrder ? 0 : config.window_cycles;
  return latency <= hidden ? 0 : (latency - hidden) / config.miss_overlap;
}

}  // namespace shearling
