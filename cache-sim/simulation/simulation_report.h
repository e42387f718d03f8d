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

/// What a report says of one core's caches, and of what it shares. Null: there is none, or somebody else's report
/// tells.
struct CachesView {
  const Cache* l1i = nullptr;
  const Cache* l1d = nullptr;
  const Cache* l2 = nullptr;
  const Cache* last_level = nullptr;
  MemoryCounters memory;
  AliasCounters aliases;
  std::uint64_t replays = 0, assumed_slow = 0;
  bool has_filter = false;  ///< SEESAW, and its fast path is on.
};
[[nodiscard]] CachesView view_of(const CacheHierarchy& caches);

struct Counted {
  const SimulationConfig& config;
  CachesView caches;
  const SideCounts& fetch;
  const SideCounts& data;
  const SimulationCounts& counts;
};
[[nodiscard]] SimulationReport report_of(const Counted& counted);

}  // namespace shearling
