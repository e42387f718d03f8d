// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/cache_hierarchy.h"

#include <utility>

namespace shearling {

namespace {

// Each cache draws its own random sequence; the twin draws L1D's.
enum class Role : std::uint8_t { L1i, L1d, L2, LastLevel };
constexpr std::uint64_t seed_of(const CacheHierarchyConfig& config, Role role) {
  return config.seed * 8 + static_cast<std::uint64_t>(role);
}

constexpr bool is_superpage(PageSize size) { return page_shift(size) >= page_shift(PageSize::Size2M); }

CacheConfig twin_of(CacheConfig config) {
  config.name += " VIPT";
  config.organisation = CacheOrganisation::Vipt;
  config.plain_twin = false;
  return config;
}

// The set index of a virtually indexed cache must lie in the page offset, or one line could be in two sets.
std::string index_problem(const CacheConfig& config) {
  const bool is_virtual = config.organisation != CacheOrganisation::Pipt;
  if (!is_virtual || config.size / config.ways <= kFrameBytes) return {};
  return "cache \"" + config.name +
         "\": a virtually indexed cache holds at most 4096 bytes a way; give it more ways, or organisation PIPT";
}

struct Recording {
  HierarchyOutcome& outcome;
  void asked(TftOutcome tft) { outcome.tft = tft; }
  void looked_up(const Cache& cache, const Cache::Step& step) {
    outcome.levels[outcome.level_count++] = cache.outcome_of(step);
  }
  void twin_did(const Cache& cache, const Cache::Step& step) { outcome.twin = cache.outcome_of(step); }
  void wrote_back(const Cache& cache, const Cache::Step& step) {
    outcome.write_backs[outcome.write_back_count++] = cache.outcome_of(step);
  }
};

struct Silent {
  void asked(TftOutcome) {}
  void looked_up(const Cache&, const Cache::Step&) {}
  void twin_did(const Cache&, const Cache::Step&) {}
  void wrote_back(const Cache&, const Cache::Step&) {}
};

}  // namespace

std::string problem_of(const CacheHierarchyConfig& config) {
  for (const CacheConfig* first_level : {&config.l1i, &config.l1d}) {
    if (std::string problem = problem_of(*first_level); !problem.empty()) return problem;
    if (std::string problem = index_problem(*first_level); !problem.empty()) return problem;
  }
  if (config.l1i.organisation == CacheOrganisation::Seesaw) {
    return "cache \"" + config.l1i.name + "\": SEESAW is modelled on the data side only, as in the paper";
  }
  for (const std::optional<CacheConfig>* lower : {&config.l2, &config.last_level}) {
    if (!*lower) continue;
    if (std::string problem = problem_of(**lower); !problem.empty()) return problem;
    if ((*lower)->organisation == CacheOrganisation::Seesaw)
      return "cache \"" + (*lower)->name + "\": only L1D can be SEESAW";
    if ((*lower)->line != config.l1d.line || (*lower)->line != config.l1i.line) {
      return "cache \"" + (*lower)->name + "\": every cache must have the same line size";
    }
  }
  if (config.tft.entries == 0 || config.tft.entries > 65535) return "the TFT must have 1 to 65535 entries";
  return {};
}

CacheHierarchy::CacheHierarchy(CacheHierarchyConfig config)
    : config_(std::move(config)),
      l1i_(config_.l1i, seed_of(config_, Role::L1i)),
      l1d_(config_.l1d, seed_of(config_, Role::L1d)) {
  assert(problem_of(config_).empty());
  if (config_.l2) l2_.emplace(*config_.l2, seed_of(config_, Role::L2));
  if (config_.last_level) last_level_.emplace(*config_.last_level, seed_of(config_, Role::LastLevel));
  if (config_.l1d.organisation != CacheOrganisation::Seesaw) return;
  tft_.emplace(config_.tft);
  if (config_.l1d.plain_twin) twin_.emplace(twin_of(config_.l1d), seed_of(config_, Role::L1d));
}

CacheHierarchy::Below CacheHierarchy::below(unsigned level) {
  if (level == 0 && l2_) return {&*l2_, 1};
  if (level <= 1 && last_level_) return {&*last_level_, 2};
  return {};
}

HierarchyOutcome CacheHierarchy::access(const CacheReference& reference) {
  HierarchyOutcome outcome;
  Recording recording{outcome};
  const HierarchyCost cost = run(reference, recording);
  outcome.latency = static_cast<std::uint32_t>(cost.latency);
  outcome.energy = static_cast<float>(cost.energy);
  outcome.memory_reached = cost.memory_reached;
  return outcome;
}

HierarchyCost CacheHierarchy::access_quietly(const CacheReference& reference) {
  Silent silent;
  return run(reference, silent);
}

HierarchyCost CacheHierarchy::access_below(PhysicalAddress physical, AccessKind kind) {
  Silent silent;
  return fetch(0, physical, kind == AccessKind::Write ? AccessKind::Read : kind, silent);
}

template <typename Observer>
HierarchyCost CacheHierarchy::run(const CacheReference& reference, Observer& observer) {
  Cache& cache = reference.kind == AccessKind::Fetch && !reference.walk ? l1i_ : l1d_;
  const bool by_physical = reference.walk || cache.config().organisation == CacheOrganisation::Pipt;
  const std::uint64_t index = by_physical ? reference.physical_address.value : reference.virtual_address.value;
  const bool data = &cache == &l1d_;
  // A walk reference is physical throughout: under 4way insertion its own partition is all there is to probe.
  const bool filter_hit = data && tft_ && !reference.walk && ask_filter(reference, observer);
  const Cache::Step step = cache.step(index, reference.physical_address, reference.kind, reference.walk || filter_hit);
  observer.looked_up(cache, step);
  if (filter_hit) ++(step.hit ? seesaw_.superpage_tft_hit_l1_hit : seesaw_.superpage_tft_hit_l1_miss);
  if (data && twin_) observer.twin_did(*twin_, twin_->step(index, reference.physical_address, reference.kind, false));

  const std::uint64_t latency = cache.latency_of(step);
  const double energy{cache.energy_of(step)};
  if (step.hit) return {.latency = latency, .energy = energy, .l1_latency = latency, .l1_ways = step.ways};
  // A store's miss fetches the line like a load's: the line is dirty in L1 alone.
  const AccessKind fetched_as = reference.kind == AccessKind::Write ? AccessKind::Read : reference.kind;
  HierarchyCost cost = fetch(0, reference.physical_address, fetched_as, observer);
  cost.latency += latency;
  cost.energy += energy;
  ++cost.levels;
  cost.l1_latency = latency;
  cost.l1_ways = step.ways;
  if (step.evicted_dirty) cost.energy += write_back(0, cache.address_of(step.evicted_line), observer);
  return cost;
}

/// Asks the TFT, counts the two cases that it decides alone, and says whether one partition is enough. The TFT never
/// hits for a base page as long as software invalidates what it splinters; where it does not, the model still trusts
/// the translation rather than the table.
template <typename Observer>
bool CacheHierarchy::ask_filter(const CacheReference& reference, Observer& observer) {
  const bool superpage = is_superpage(reference.page_size);
  TftOutcome tft = reference.filter.asked ? reference.filter : tft_->lookup(reference.virtual_address);
  tft.hit = tft.hit && superpage;
  observer.asked(tft);
  if (!tft.hit) ++(superpage ? seesaw_.superpage_tft_miss : seesaw_.base_page);
  return tft.hit;
}

template <typename Observer>
HierarchyCost CacheHierarchy::fetch(unsigned level, PhysicalAddress physical, AccessKind kind, Observer& observer) {
  const Below lower = below(level);
  if (lower.cache == nullptr) {
    ++memory_.reads;
    return {.latency = config_.memory_latency,
            .energy = double{config_.memory_energy},
            .memory_reached = true,
            .levels = 0};
  }
  const Cache::Step step = lower.cache->step(physical.value, physical, kind, false);
  observer.looked_up(*lower.cache, step);
  HierarchyCost cost;
  if (!step.hit) {
    cost = fetch(lower.next, physical, kind, observer);
    ++cost.levels;
  }
  cost.latency += lower.cache->latency_of(step);
  cost.energy += double{lower.cache->energy_of(step)};
  if (step.evicted_dirty) cost.energy += write_back(lower.next, lower.cache->address_of(step.evicted_line), observer);
  return cost;
}

/// A whole line arrives from above: it is allocated without asking further down.
template <typename Observer>
double CacheHierarchy::write_back(unsigned level, PhysicalAddress physical, Observer& observer) {
  const Below lower = below(level);
  if (lower.cache == nullptr) {
    ++memory_.writes;
    return double{config_.memory_energy};
  }
  const Cache::Step step = lower.cache->step(physical.value, physical, AccessKind::Write, false);
  observer.wrote_back(*lower.cache, step);
  const double energy{lower.cache->energy_of(step)};
  if (!step.evicted_dirty) return energy;
  return energy + write_back(lower.next, lower.cache->address_of(step.evicted_line), observer);
}

std::optional<std::uint16_t> CacheHierarchy::superpage_filled(VirtualAddress address) {
  if (!tft_) return std::nullopt;
  return tft_->fill(address);
}

bool CacheHierarchy::superpage_invalidated(VirtualAddress address) { return tft_ && tft_->invalidate(address); }

unsigned CacheHierarchy::context_switched() { return tft_ ? tft_->flush() : 0; }

unsigned CacheHierarchy::promoted(PhysicalAddress address, std::uint64_t bytes) {
  Silent silent;
  return l1d_.sweep(address, bytes, [&](PhysicalAddress line) { write_back(0, line, silent); });
}

}  // namespace shearling
