// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/cache_hierarchy.h"

#include <algorithm>
#include <utility>

namespace shearling {

namespace {

// Each cache draws its own random sequence; the twin draws L1D's.
enum class Role : std::uint8_t { L1i, L1d, L2, LastLevel, L2i };
constexpr std::uint64_t seed_of(const CacheHierarchyConfig& config, Role role) {
  return config.seed * 8 + static_cast<std::uint64_t>(role);
}

CacheConfig twin_of(CacheConfig config) {
  config.name += " VIPT";
  config.organisation = CacheOrganisation::Vipt;
  config.plain_twin = false;
  return config;
}

std::string problem_of_first_level(const CacheConfig& config) {
  if (std::string problem = problem_of(config); !problem.empty()) return problem;
  if (config.inclusive) return "cache \"" + config.name + "\": nothing lies above it that it could include";
  return alias_problem_of(config);
}

std::string problem_of_lower_level(const CacheConfig& config, const CacheHierarchyConfig& hierarchy) {
  if (std::string problem = problem_of(config); !problem.empty()) return problem;
  const std::string who = "cache \"" + config.name + "\": ";
  if (config.organisation == CacheOrganisation::Seesaw) return who + "only L1D can be SEESAW";
  if (config.organisation == CacheOrganisation::Vivt) return who + "only a first level can have virtual tags";
  if (config.line != hierarchy.l1d.line || config.line != hierarchy.l1i.line)
    return who + "every cache must have the same line size";
  return {};
}

struct Recording {
  HierarchyOutcome& outcome;
  void asked(TftOutcome tft) { outcome.tft = tft; }
  void replayed() { outcome.replayed = true; }
  void aliased(AliasError error) { outcome.alias = error; }
  void looked_up(const Cache& cache, const Cache::Step& step) {
    outcome.levels[outcome.level_count++] = cache.outcome_of(step);
  }
  void slowed(std::uint64_t cycles) { outcome.levels[0].latency += static_cast<std::uint32_t>(cycles); }
  /// Of a cache whose tags are no physical addresses.
  void renamed(PhysicalAddress line, PhysicalAddress victim) {
    CacheOutcome& first = outcome.levels[0];
    if (first.filled) first.filled->line = line;
    if (first.evicted) first.evicted->line = victim;
  }
  void twin_did(const Cache& cache, const Cache::Step& step) { outcome.twin = cache.outcome_of(step); }
  void wrote_back(const Cache& cache, const Cache::Step& step) {
    outcome.write_backs.push_back(cache.outcome_of(step));
  }
  void dropped(const Cache& cache, const LineMove& line) {
    outcome.dropped.push_back({cache.config().name.c_str(), line});
  }
};

struct Silent {
  void asked(TftOutcome) {}
  void replayed() {}
  void aliased(AliasError) {}
  void looked_up(const Cache&, const Cache::Step&) {}
  void slowed(std::uint64_t) {}
  void renamed(PhysicalAddress, PhysicalAddress) {}
  void twin_did(const Cache&, const Cache::Step&) {}
  void wrote_back(const Cache&, const Cache::Step&) {}
  void dropped(const Cache&, const LineMove&) {}
};

/// Of a fetch that nobody waits for: the program's own levels are told apart from it.
template <typename Observer>
struct InTheBackground {
  Observer& observer;
  void looked_up(const Cache& cache, const Cache::Step& step) { observer.wrote_back(cache, step); }
  void wrote_back(const Cache& cache, const Cache::Step& step) { observer.wrote_back(cache, step); }
  void dropped(const Cache& cache, const LineMove& line) { observer.dropped(cache, line); }
};

}  // namespace

std::string problem_of(const CacheHierarchyConfig& config) {
  for (const CacheConfig* first_level : {&config.l1i, &config.l1d}) {
    if (std::string problem = problem_of_first_level(*first_level); !problem.empty()) return problem;
  }
  if (config.l1i.organisation == CacheOrganisation::Seesaw) {
    return "cache \"" + config.l1i.name + "\": SEESAW is modelled on the data side only, as in the paper";
  }
  for (const std::optional<CacheConfig>* lower : {&config.l2, &config.l2i, &config.last_level}) {
    if (!*lower) continue;
    if (std::string problem = problem_of_lower_level(**lower, config); !problem.empty()) return problem;
  }
  if (config.sweep_on_invalidation && config.l1d.organisation != CacheOrganisation::Seesaw)
    return "only a SEESAW L1D is swept on an invalidation";
  return problem_of(config.tft);
}

CacheHierarchy::CacheHierarchy(CacheHierarchyConfig config)
    : config_(std::move(config)),
      l1i_(config_.l1i, seed_of(config_, Role::L1i)),
      l1d_(config_.l1d, seed_of(config_, Role::L1d)) {
  assert(problem_of(config_).empty());
  if (config_.l2) l2_.emplace(*config_.l2, seed_of(config_, Role::L2));
  if (config_.l2i) l2i_.emplace(*config_.l2i, seed_of(config_, Role::L2i));
  if (config_.last_level) last_level_.emplace(*config_.last_level, seed_of(config_, Role::LastLevel));
  if (has_aliases(config_.l1i)) l1i_guard_.emplace(config_.l1i);
  if (has_aliases(config_.l1d)) l1d_guard_.emplace(config_.l1d);
  for (const Cache* lower : {l2(), l2i(), last_level()})
    victims_first_ |= lower != nullptr && lower->config().inclusive;
  decide_assumption();
  if (config_.l1d.organisation != CacheOrganisation::Seesaw) return;
  if (config_.tft.enabled) tft_.emplace(config_.tft);
  if (config_.l1d.plain_twin) twin_.emplace(twin_of(config_.l1d), seed_of(config_, Role::L1d));
}

CacheHierarchy::Below CacheHierarchy::below(Level level) {
  if (level == Level::SecondOfInstructions && l2i_) return {&*l2i_, level};
  if (level == Level::SecondOfInstructions) level = Level::Second;
  if (level == Level::Second && l2_) return {&*l2_, level};
  if (level != Level::Memory && last_level_) return {&*last_level_, Level::Last};
  return {};
}

// --- one reference ---------------------------------------------------------------------------------------------------

HierarchyOutcome CacheHierarchy::access(const CacheReference& reference) {
  HierarchyOutcome outcome;
  Recording recording{outcome};
  const HierarchyCost cost = run(reference, recording);
  outcome.latency = static_cast<std::uint32_t>(cost.latency);
  outcome.energy = static_cast<float>(cost.energy);
  outcome.memory_reached = cost.memory_reached && outcome.levels[0].filled.has_value();
  return outcome;
}

HierarchyCost CacheHierarchy::access_quietly(const CacheReference& reference) {
  Silent silent;
  return run(reference, silent);
}

bool CacheHierarchy::can_hit_again(AccessKind kind) const {
  const Cache& cache = kind == AccessKind::Fetch ? l1i_ : l1d_;
  const bool has_twin = kind != AccessKind::Fetch && twin_.has_value();
  return guard_of(cache) == nullptr && !has_twin && !cache.config().way_prediction;
}

void CacheHierarchy::hit_again(const CacheReference& reference, std::uint64_t times) {
  assert(can_hit_again(reference.kind) && !reference.walk);
  Silent silent;
  const bool filtered = reference.kind != AccessKind::Fetch && tft_;
  const bool filter_hit = filtered && ask_filter(reference, silent, times);
  Cache& cache = reference.kind == AccessKind::Fetch ? l1i_ : l1d_;
  cache.hit_again(filter_hit, reference.kind == AccessKind::Write, times);
  if (filter_hit) seesaw_.superpage_tft_hit_l1_hit += times;
  if (filtered) assume(reference, filter_hit, silent, times);
}

HierarchyCost CacheHierarchy::access_below(PhysicalAddress physical, AccessKind kind) {
  Silent silent;
  return fetch(kind == AccessKind::Fetch ? Level::SecondOfInstructions : Level::Second, physical,
               kind == AccessKind::Write ? AccessKind::Read : kind, silent);
}

template <typename Observer>
HierarchyCost CacheHierarchy::run(const CacheReference& reference, Observer& observer) {
  Cache& cache = reference.kind == AccessKind::Fetch && !reference.walk ? l1i_ : l1d_;
  if (AliasGuard* guard = guard_of(cache); guard != nullptr) return run_guarded(cache, *guard, reference, observer);
  const bool by_physical = reference.walk || cache.config().organisation == CacheOrganisation::Pipt;
  const std::uint64_t index = by_physical ? reference.physical_address.value : reference.virtual_address.value;
  const bool data = &cache == &l1d_;
  const bool filtered = data && tft_ && !reference.walk;
  const bool filter_hit = filtered && ask_filter(reference, observer);
  // A walk reference is physical throughout: where its own partition is all that can hold the line, that is probed.
  const bool fast = filter_hit || (reference.walk && tft_ && config_.l1d.insertion == InsertionPolicy::Partition);
  const Cache::Step step = cache.step(index, reference.physical_address, reference.kind, fast,
                                      filtered && is_superpage(reference.page_size));
  observer.looked_up(cache, step);
  if (filter_hit) ++(step.hit ? seesaw_.superpage_tft_hit_l1_hit : seesaw_.superpage_tft_hit_l1_miss);
  if (data && twin_) observer.twin_did(*twin_, twin_->step(index, reference.physical_address, reference.kind, false));

  std::uint64_t latency = cache.latency_of(step);
  if (filtered) latency += assume(reference, filter_hit, observer);
  const double energy{cache.energy_of(step)};
  if (step.hit && !step.passes_on)
    return {.latency = latency,
            .energy = energy,
            .l1_hit = true,
            .fast = filter_hit,
            .l1_latency = latency,
            .l1_ways = step.ways};
  HierarchyCost cost = go_down({.victim = cache.address_of(step.evicted_line),
                                .victim_dirty = step.evicted_dirty,
                                .hit = step.hit,
                                .filled = step.filled,
                                .passes_on = step.passes_on},
                               reference, observer);
  cost.latency += latency;
  cost.energy += energy;
  cost.fast = filter_hit;
  cost.l1_latency = latency;
  cost.l1_ways = step.ways;
  return cost;
}

/// What a first-level lookup leads to below.
template <typename Observer>
HierarchyCost CacheHierarchy::go_down(FirstLevel first, const CacheReference& reference, Observer& observer) {
  HierarchyCost cost;
  const double written_back =
      victims_first_ && first.victim_dirty ? write_back(Level::Second, first.victim, observer) : 0;
  if (first.filled) {
    // A store's miss fetches the line like a load's: the line is dirty in L1 alone.
    const AccessKind kind = reference.kind == AccessKind::Write ? AccessKind::Read : reference.kind;
    const bool instruction = reference.kind == AccessKind::Fetch && !reference.walk;
    cost = fetch(instruction ? Level::SecondOfInstructions : Level::Second, reference.physical_address, kind, observer);
  }
  if (first.passes_on) {
    const HierarchyCost passed = pass_on(Level::Second, reference.physical_address, observer);
    cost.energy += passed.energy;
    if (!first.filled) cost.memory_reached = passed.memory_reached;
    if (!first.filled) cost.levels = passed.levels;
  }
  cost.l1_hit = first.hit;
  ++cost.levels;
  cost.energy += written_back;
  if (!victims_first_ && first.victim_dirty) cost.energy += write_back(Level::Second, first.victim, observer);
  return cost;
}

template <typename Observer>
HierarchyCost CacheHierarchy::fetch(Level level, PhysicalAddress physical, AccessKind kind, Observer& observer) {
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
  const double lost = victims_first_ ? lose(lower, step, observer) : 0;
  HierarchyCost cost;
  if (!step.hit) {
    cost = fetch(lower.next(), physical, kind, observer);
    ++cost.levels;
  }
  cost.latency += lower.cache->latency_of(step);
  cost.energy += double{lower.cache->energy_of(step)} + lost;
  if (!victims_first_) cost.energy += lose(lower, step, observer);
  return cost;
}

/// A whole line arrives from above: it is allocated without asking further down.
template <typename Observer>
double CacheHierarchy::write_back(Level level, PhysicalAddress line, Observer& observer) {
  const Below lower = below(level);
  if (lower.cache == nullptr) {
    ++memory_.writes;
    return double{config_.memory_energy};
  }
  if (lower.cache->config().arrival == WriteBackArrival::Update)
    return lower.cache->mark_dirty_if_held(line) ? 0 : write_back(lower.next(), line, observer);
  const Cache::Step step = lower.cache->step(line.value, line, AccessKind::Write, false);
  observer.wrote_back(*lower.cache, step);
  double energy = double{lower.cache->energy_of(step)} + lose(lower, step, observer);
  if (step.passes_on) energy += write_back(lower.next(), line, observer);
  return energy;
}

/// A store arrives that the level above did not keep to itself: part of a line, whose rest must be fetched. Nobody
/// waits for it: it has no latency.
template <typename Observer>
HierarchyCost CacheHierarchy::pass_on(Level level, PhysicalAddress physical, Observer& observer) {
  const Below lower = below(level);
  if (lower.cache == nullptr) {
    ++memory_.writes;
    return {.energy = double{config_.memory_energy}, .memory_reached = true, .levels = 0};
  }
  const Cache::Step step = lower.cache->step(physical.value, physical, AccessKind::Write, false);
  observer.wrote_back(*lower.cache, step);
  InTheBackground<Observer> background{observer};
  const double lost = victims_first_ ? lose(lower, step, background) : 0;
  HierarchyCost cost{.levels = 0};
  if (step.filled) cost = fetch(lower.next(), physical, AccessKind::Read, background);
  if (step.passes_on) {
    const HierarchyCost passed = pass_on(lower.next(), physical, observer);
    cost.energy += passed.energy;
    if (!step.hit && !step.filled) cost.memory_reached = passed.memory_reached;
    if (!step.hit && !step.filled) cost.levels = passed.levels;
  }
  cost.latency = 0;
  ++cost.levels;
  cost.energy += double{lower.cache->energy_of(step)} + lost;
  if (!victims_first_) cost.energy += lose(lower, step, background);
  return cost;
}

/// What a fill below L1 displaced goes further down, and out of the levels above where this one includes them.
template <typename Observer>
double CacheHierarchy::lose(const Below& from, const Cache::Step& step, Observer& observer) {
  if (!step.evicted) return 0;
  const PhysicalAddress victim = from.cache->address_of(step.evicted_line);
  bool dirty = step.evicted_dirty;
  if (from.cache->config().inclusive) dirty |= invalidate_above(from.level, victim, observer);
  return dirty ? write_back(from.next(), victim, observer) : 0;
}

template <typename Observer>
bool CacheHierarchy::invalidate_above(Level level, PhysicalAddress line, Observer& observer) {
  bool dirty = false;
  if (level == Level::Last && l2_) dirty |= invalidate_in(*l2_, line, observer);
  if (level == Level::Last && l2i_) dirty |= invalidate_in(*l2i_, line, observer);
  const bool instructions = level != Level::Second || !l2i_;
  if (instructions) dirty |= invalidate_in(l1i_, line, observer);
  if (level == Level::SecondOfInstructions) return dirty;
  dirty |= invalidate_in(l1d_, line, observer);
  if (twin_) twin_->invalidate_line(line);
  return dirty;
}

std::vector<LineMove> CacheHierarchy::drop_everywhere(Cache& cache, PhysicalAddress line) {
  std::vector<LineMove> gone;
  if (AliasGuard* guard = guard_of(cache); guard != nullptr) {
    for (const AliasGuard::Place place : guard->places_of(line)) gone.push_back(drop(cache, *guard, place));
  } else if (const ProbeOutcome probe = cache.invalidate_line(line); probe.hit) {
    gone.push_back({.line = line, .set = probe.set, .way = probe.way, .dirty = probe.dirty});
  }
  return gone;
}

/// Returns whether its data were newer than those below.
template <typename Observer>
bool CacheHierarchy::invalidate_in(Cache& cache, PhysicalAddress line, Observer& observer) {
  bool dirty = false;
  for (const LineMove& move : drop_everywhere(cache, line)) {
    observer.dropped(cache, move);
    dirty |= move.dirty;
    ++inclusion_.invalidated;
    inclusion_.dirty += move.dirty ? 1U : 0U;
  }
  return dirty;
}

// --- SEESAW ----------------------------------------------------------------------------------------------------------

/// Takes the TFT's answer, counts the cases that it decides alone, and says whether one partition is enough. A hit for
/// a base page (a narrow tag, or software that does not invalidate what it splinters) is refuted by the translation:
/// every way is read, at the slow time.
template <typename Observer>
bool CacheHierarchy::ask_filter(const CacheReference& reference, Observer& observer, std::uint64_t times) {
  const bool superpage = is_superpage(reference.page_size);
  const TftOutcome tft =
      reference.filter.asked ? reference.filter : tft_->lookup(reference.virtual_address, reference.owner);
  observer.asked(tft);
  if (tft.hit && superpage) return true;
  (superpage ? seesaw_.superpage_tft_miss : seesaw_.base_page) += times;
  seesaw_.false_positives += tft.hit ? times : 0U;
  return false;
}

/// The scheduler (section IV-B3). Returns the cycles that a fast lookup loses where it assumed a slow one.
template <typename Observer>
std::uint64_t CacheHierarchy::assume(const CacheReference& reference, bool fast, Observer& observer,
                                     std::uint64_t times) {
  if (fast == assumes_fast_) return 0;
  if (!fast) {
    if (reference.kind != AccessKind::Read) return 0;  // Nothing waits for a store's data.
    seesaw_.replays += times;
    observer.replayed();
    return 0;
  }
  seesaw_.assumed_slow += times;
  const CacheConfig& config = config_.l1d;
  const std::uint64_t cycles = config.latency > config.fast_latency ? config.latency - config.fast_latency : 0;
  observer.slowed(cycles);
  return cycles;
}

void CacheHierarchy::superpage_entries(unsigned valid, unsigned entries) {
  superpages_scarce_ = std::uint64_t{valid} * 4 < entries;
  decide_assumption();
}

void CacheHierarchy::decide_assumption() {
  assumes_fast_ = config_.scheduler == SchedulerPolicy::AlwaysFast ||
                  (config_.scheduler == SchedulerPolicy::QuarterRule && !superpages_scarce_);
}

std::optional<std::uint16_t> CacheHierarchy::superpage_filled(VirtualAddress address, TlbTag owner) {
  if (!tft_) return std::nullopt;
  return tft_->fill(address, owner);
}

unsigned CacheHierarchy::promoted(PhysicalAddress address, std::uint64_t bytes) {
  Silent silent;
  return sweep(address, bytes, silent);
}

HierarchyOutcome CacheHierarchy::promoted_watched(PhysicalAddress address, std::uint64_t bytes) {
  HierarchyOutcome outcome;
  Recording recording{outcome};
  sweep(address, bytes, recording);
  return outcome;
}

template <typename Observer>
unsigned CacheHierarchy::sweep(PhysicalAddress address, std::uint64_t bytes, Observer& observer) {
  if (config_.l1d.organisation != CacheOrganisation::Seesaw) return 0;
  return l1d_.sweep(address, bytes, [&](const LineMove& line) {
    observer.dropped(l1d_, line);
    if (line.dirty) write_back(Level::Second, line.line, observer);
  });
}

// --- aliases ---------------------------------------------------------------------------------------------------------

/// A first level whose lines can have several names.
template <typename Observer>
HierarchyCost CacheHierarchy::run_guarded(Cache& cache, AliasGuard& guard, const CacheReference& reference,
                                          Observer& observer) {
  const AliasGuard::Name name{.virtual_address = reference.virtual_address,
                              .physical_address = reference.physical_address,
                              .page_size = reference.page_size,
                              .owner = reference.owner,
                              .walk = reference.walk};
  if (!guard.has_number_for(name)) {
    flush(cache, guard, guard.named_places(cache));
    guard.restart();
  }
  guard.number(name);
  const std::uint64_t index = AliasGuard::index_of(name);
  const PhysicalAddress tag = guard.tag_of(name);
  Synonyms synonyms;
  if (guard.handles() && !cache.find(index, tag)) synonyms = evict_synonyms(cache, guard, reference.physical_address);

  const Cache::Step step = cache.step(index, tag, reference.kind, false);
  PhysicalAddress victim;
  const AliasError error = record(guard, step, name, victim);
  observer.looked_up(cache, step);
  observer.renamed({reference.physical_address.value & ~std::uint64_t{cache.config().line - 1}}, victim);
  observer.aliased(error);
  double energy = double{cache.energy_of(step)} + synonyms.energy;
  for (const LineMove& copy : synonyms.copies) {
    observer.dropped(cache, copy);
    if (copy.dirty) energy += write_back(Level::Second, copy.line, observer);
  }

  HierarchyCost cost{.l1_hit = step.hit};
  if (!step.hit || step.passes_on)
    cost = go_down({.victim = victim,
                    .victim_dirty = step.evicted_dirty,
                    .hit = step.hit,
                    .filled = step.filled,
                    .passes_on = step.passes_on},
                   reference, observer);
  cost.l1_latency = cache.latency_of(step);
  cost.l1_ways = step.ways;
  cost.latency += cost.l1_latency;
  cost.energy += energy;
  return cost;
}

/// Keeps the golden record beside what the cache just did. `victim` receives the line that had to go.
AliasError CacheHierarchy::record(AliasGuard& guard, const Cache::Step& step, const AliasGuard::Name& name,
                                  PhysicalAddress& victim) {
  const AliasGuard::Place place{step.set, step.way};
  if (step.evicted) {
    victim = guard.line_in(place);
    guard.left(place, step.evicted_dirty);
  }
  if (step.hit) return guard.hit(place, name.physical_address, step.write, step.passes_on);
  if (step.filled) return guard.filled(place, name, step.write, step.passes_on);
  guard.wrote_around(name.physical_address);
  return AliasError::None;
}

CacheHierarchy::Synonyms CacheHierarchy::evict_synonyms(Cache& cache, AliasGuard& guard, PhysicalAddress physical) {
  unsigned sets = 0;
  guard.for_each_set(physical, [&](unsigned) { ++sets; });
  if (!guard.virtual_tags()) --sets;  // The lookup has compared its own set's tags with the physical address.
  Synonyms synonyms;
  synonyms.energy = sets * double{cache.config().energy};
  guard.count_search(std::uint64_t{sets} * cache.config().ways, synonyms.energy);
  for (const AliasGuard::Place place : guard.places_of(physical)) synonyms.copies.push_back(drop(cache, guard, place));
  guard.count_evicted(synonyms.copies.size());
  return synonyms;
}

LineMove CacheHierarchy::drop(Cache& cache, AliasGuard& guard, AliasGuard::Place place) {
  const PhysicalAddress line = guard.line_in(place);
  const PhysicalAddress tag = cache.address_of(cache.line(place.set, place.way).number);
  const bool dirty = cache.invalidate_line(guard.index_of_set(place.set), tag).dirty;
  guard.left(place, dirty);
  return {.line = line, .set = place.set, .way = static_cast<std::uint8_t>(place.way), .dirty = dirty};
}

unsigned CacheHierarchy::flush(Cache& cache, AliasGuard& guard, const std::vector<AliasGuard::Place>& places) {
  Silent silent;
  for (const AliasGuard::Place place : places) {
    const LineMove gone = drop(cache, guard, place);
    if (gone.dirty) write_back(Level::Second, gone.line, silent);
  }
  guard.count_flushed(places.size());
  return static_cast<unsigned>(places.size());
}

template <typename Places>
unsigned CacheHierarchy::flush_named(Places places) {
  unsigned lines = 0;
  for (Cache* cache : {&l1i_, &l1d_}) {
    AliasGuard* guard = guard_of(*cache);
    if (guard != nullptr && guard->virtual_tags() && guard->handles())
      lines += flush(*cache, *guard, places(*guard, *cache));
  }
  return lines;
}

Invalidated CacheHierarchy::page_invalidated(VirtualAddress address) {
  return {.filter_entries = tft_ ? tft_->invalidate(address) : 0,
          .lines = flush_named(
              [&](const AliasGuard& guard, const Cache& cache) { return guard.places_of_page(cache, address); })};
}

Invalidated CacheHierarchy::address_space_invalidated(TlbTag owner) {
  return {.filter_entries = tft_ ? tft_->invalidate_address_space(owner) : 0,
          .lines = flush_named(
              [&](const AliasGuard& guard, const Cache& cache) { return guard.places_of_space(cache, owner); })};
}

Invalidated CacheHierarchy::virtual_machine_invalidated(std::uint16_t virtual_machine) {
  return {.filter_entries = tft_ ? tft_->invalidate_virtual_machine(virtual_machine) : 0,
          .lines = flush_named([&](const AliasGuard& guard, const Cache& cache) {
            return guard.places_of_machine(cache, virtual_machine);
          })};
}

Invalidated CacheHierarchy::all_invalidated() {
  return {.filter_entries = tft_ ? tft_->flush() : 0,
          .lines = flush_named([](const AliasGuard& guard, const Cache& cache) { return guard.named_places(cache); })};
}

unsigned CacheHierarchy::context_switched() { return tft_ ? tft_->context_switched() : 0; }

TranslationOrder CacheHierarchy::translation_order(AccessKind kind) const {
  const CacheConfig& first = kind == AccessKind::Fetch ? config_.l1i : config_.l1d;
  if (first.organisation == CacheOrganisation::Pipt) return TranslationOrder::Before;
  return first.organisation == CacheOrganisation::Vivt ? TranslationOrder::OnMiss : TranslationOrder::Beside;
}

bool CacheHierarchy::hits_virtually(const CacheReference& reference) const {
  if (reference.walk || translation_order(reference.kind) != TranslationOrder::OnMiss) return false;
  const Cache& cache = reference.kind == AccessKind::Fetch ? l1i_ : l1d_;
  const AliasGuard& guard = *guard_of(cache);
  const AliasGuard::Name name{.virtual_address = reference.virtual_address,
                              .physical_address = reference.physical_address,
                              .page_size = reference.page_size,
                              .owner = reference.owner,
                              .walk = false};
  return cache.find(AliasGuard::index_of(name), guard.tag_of(name)).has_value();
}

AliasCounters CacheHierarchy::alias_counters() const {
  AliasCounters sum;
  for (const std::optional<AliasGuard>* guard : {&l1i_guard_, &l1d_guard_}) {
    if (*guard) sum += (*guard)->counters();
  }
  return sum;
}

std::optional<PhysicalAddress> CacheHierarchy::line_in(const Cache& cache, unsigned set, unsigned way) const {
  const Cache::Line line = cache.line(set, way);
  if (line.valid == 0) return std::nullopt;
  const AliasGuard* guard = guard_of(cache);
  return guard != nullptr ? guard->line_in({set, way}) : cache.address_of(line.number);
}

// --- coherence -------------------------------------------------------------------------------------------------------

ProbeOutcome CacheHierarchy::coherence_probe(PhysicalAddress physical, CoherenceAction action) {
  Silent silent;
  ProbeOutcome outcome = l1d_guard_ ? probe_guarded(physical, action) : l1d_.coherence_probe(physical, action);
  if (twin_) twin_->coherence_probe(physical, action);
  if (action == CoherenceAction::Invalidate) drop_everywhere(l1i_, physical);
  for (std::optional<Cache>* cache : {&l2_, &l2i_}) {
    if (*cache) outcome.dirty |= (*cache)->coherence_probe(physical, action).dirty;
  }
  if (action == CoherenceAction::Clean && outcome.dirty) write_back(Level::Last, physical, silent);
  return outcome;
}

/// One request to a cache where a line can be in several places: a probe of each set that could hold it.
ProbeOutcome CacheHierarchy::probe_guarded(PhysicalAddress physical, CoherenceAction action) {
  AliasGuard& guard = *l1d_guard_;
  ProbeOutcome sum;
  const auto probe = [&](unsigned set, PhysicalAddress tag) {
    const ProbeOutcome one = l1d_.coherence_probe(guard.index_of_set(set), tag, action);
    if (one.hit || !sum.hit) {
      sum.set = one.set;
      sum.way = one.way;
      sum.ways_probed_mask = one.ways_probed_mask;
    }
    sum.hit |= one.hit;
    sum.dirty |= one.dirty;
    sum.ways_probed = static_cast<std::uint8_t>(std::min(255, sum.ways_probed + one.ways_probed));
    sum.energy += one.energy;
    return one;
  };
  const std::vector<AliasGuard::Place> places = guard.places_of(physical);
  guard.for_each_set(physical, [&](unsigned set) {
    const auto is_here = [set](AliasGuard::Place place) { return place.set == set; };
    if (std::none_of(places.begin(), places.end(), is_here)) probe(set, guard.physical_tag_of(physical));
  });
  for (const AliasGuard::Place place : places) {
    const ProbeOutcome one = probe(place.set, l1d_.address_of(l1d_.line(place.set, place.way).number));
    if (action == CoherenceAction::Invalidate)
      guard.left(place, one.dirty);
    else if (action == CoherenceAction::Clean && one.dirty)
      guard.written_back(place);
  }
  return sum;
}

}  // namespace shearling
