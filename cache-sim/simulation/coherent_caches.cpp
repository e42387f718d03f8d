// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/coherent_caches.h"

namespace shearling {

namespace {

bool is_seesaw(const CacheHierarchyConfig& config) { return config.l1d.organisation == CacheOrganisation::Seesaw; }

}  // namespace

CoherentCaches::CoherentCaches(const CacheHierarchyConfig& config, CoherentSystem& system, unsigned core)
    : scheduler_(config.scheduler),
      fast_gain_(config.l1d.latency > config.l1d.fast_latency ? config.l1d.latency - config.l1d.fast_latency : 0),
      partition_is_all_(is_seesaw(config) && config.tft.enabled && config.l1d.insertion == InsertionPolicy::Partition),
      has_last_level_(config.last_level.has_value()),
      system_(&system),
      core_(core),
      l1i_(config.l1i, config.seed * kMostCores + core),
      assumes_fast_(config.scheduler == SchedulerPolicy::AlwaysFast) {
  if (is_seesaw(config) && config.tft.enabled) tft_.emplace(config.tft);
}

HierarchyCost CoherentCaches::access_quietly(const CacheReference& reference) {
  if (reference.kind == AccessKind::Fetch && !reference.walk) return fetch_instruction(reference);
  const bool filtered = tft_ && !reference.walk;
  const bool filter_hit = filtered && reference.filter.hit && is_superpage(reference.page_size);
  const bool one_partition = filter_hit || (reference.walk && partition_is_all_);
  // The walker has physical addresses alone; all caches here find a set by the page offset.
  const VirtualAddress address =
      reference.walk ? VirtualAddress{reference.physical_address.value} : reference.virtual_address;
  const CoherenceOutcome outcome = system_->access(
      core_, address, reference.physical_address,
      reference.walk && one_partition ? PageSize::Size2M : reference.page_size, reference.kind, one_partition);
  const std::uint64_t lost = filtered ? assume(reference, filter_hit) : 0;
  HierarchyCost cost{.latency = outcome.latency + lost,
                     .energy = double{outcome.l1.energy} + outcome.probe_energy + outcome.below_energy,
                     .l1_hit = outcome.l1.hit,
                     .fast = filter_hit,
                     .l1_latency = outcome.l1.latency + lost,
                     .l1_ways = outcome.l1.ways_probed};
  if (cost.l1_hit) return cost;
  cost.memory_reached = outcome.source == DataSource::Memory;
  const bool from_home = outcome.source != DataSource::OtherCache;
  if (from_home && has_last_level_) ++cost.levels;
  return cost;
}

HierarchyCost CoherentCaches::fetch_instruction(const CacheReference& reference) {
  const bool by_physical = l1i_.config().organisation == CacheOrganisation::Pipt;
  const std::uint64_t index = by_physical ? reference.physical_address.value : reference.virtual_address.value;
  const Cache::Step step = l1i_.step(index, reference.physical_address, reference.kind, false);
  HierarchyCost cost;
  if (!step.hit) {
    cost = read_home(reference.physical_address);
    ++cost.levels;
  }
  cost.l1_hit = step.hit;
  cost.l1_latency = l1i_.latency_of(step);
  cost.l1_ways = step.ways;
  cost.latency += cost.l1_latency;
  cost.energy += double{l1i_.energy_of(step)};
  return cost;
}

HierarchyCost CoherentCaches::access_below(PhysicalAddress physical, AccessKind) { return read_home(physical); }

HierarchyCost CoherentCaches::read_home(PhysicalAddress physical) {
  const CoherenceOutcome outcome = system_->read_home(physical);
  return {.latency = outcome.latency,
          .energy = outcome.probe_energy + outcome.below_energy,
          .memory_reached = outcome.source == DataSource::Memory,
          .levels = has_last_level_ ? 1U : 0U};
}

/// The scheduler (section IV-B3), as in CacheHierarchy.
std::uint64_t CoherentCaches::assume(const CacheReference& reference, bool fast) {
  if (fast == assumes_fast_) return 0;
  if (!fast) {
    if (reference.kind == AccessKind::Read) ++replays_;
    return 0;
  }
  ++assumed_slow_;
  return fast_gain_;
}

void CoherentCaches::superpage_filled(VirtualAddress address, TlbTag owner) { tft_->fill(address, owner); }

void CoherentCaches::page_invalidated(VirtualAddress address) {
  if (tft_) tft_->invalidate(address);
}

void CoherentCaches::all_invalidated() {
  if (tft_) tft_->flush();
}

void CoherentCaches::context_switched() {
  if (tft_) tft_->context_switched();
}

void CoherentCaches::superpage_entries(unsigned valid, unsigned entries) {
  const bool scarce = std::uint64_t{valid} * 4 < entries;
  assumes_fast_ = scheduler_ == SchedulerPolicy::AlwaysFast || (scheduler_ == SchedulerPolicy::QuarterRule && !scarce);
}

unsigned CoherentCaches::promoted(PhysicalAddress address, std::uint64_t bytes) {
  if (system_->config().l1d.organisation != CacheOrganisation::Seesaw) return 0;
  return system_->sweep(core_, address, bytes);
}

}  // namespace shearling
