// SPDX-License-Identifier: GPL-3.0-or-later
//
// From counts to the report: levels, TLBs, the paper's Table I, cycles by the timing model, energy.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cache-sim/simulation/simulation.h"
#include "cache-sim/simulation/simulation_counts.h"

namespace shearling {

/// Cycles until an L1 hit, the L1 TLBs' lookup included.
constexpr std::uint64_t hit_latency(CacheOrganisation organisation, std::uint64_t tlb, std::uint64_t cache) {
  if (organisation == CacheOrganisation::Pipt) return tlb + cache;
  if (organisation == CacheOrganisation::Vivt) return cache;
  return std::max(tlb, cache);
}

struct Counted {
  const SimulationConfig& config;
  const CacheHierarchy& caches;
  const SideCounts& fetch;
  const SideCounts& data;
  const SimulationCounts& counts;
};
[[nodiscard]] SimulationReport report_of(const Counted& counted);

}  // namespace shearling
