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
  double load_exposure = 0;                  ///< Share of loads whose L1-hit latency the core waits for.
  double window_cycles = 0;                  ///< Out-of-order: latency that the reorder buffer hides of a longer one.
  unsigned replay_penalty = 0;  ///< Cycles of a squash where the scheduler assumed a fast hit. Not in the paper.
};

}  // namespace shearling
