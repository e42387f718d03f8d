// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/simulation.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "cache-sim/simulation/simulation_counts.h"
#include "cache-sim/simulation/simulation_report.h"

namespace shearling {

namespace {

constexpr std::size_t kBatch = 4096;

constexpr bool is_superpage(PageSize size) { return page_shift(size) >= page_shift(PageSize::Size2M); }

/// What L1 does for this record. A modification dirties its line.
constexpr AccessKind access_kind(RecordKind kind) {
  constexpr std::array<AccessKind, 4> kKinds{AccessKind::Fetch, AccessKind::Read, AccessKind::Write, AccessKind::Write};
  return kKinds[static_cast<std::size_t>(kind)];
}

/// Where a reference's bytes lie, and what it took to find out.
struct Place {
  PhysicalAddress physical;
  PageSize size = PageSize::Size4K;
  TftOutcome filter;
  bool l1_tlb_hit = true;     ///< Or nobody asked.
  bool fills_filter = false;  ///< A 2 MB entry went into an L1 DTLB.
  std::uint64_t latency = 0;  ///< Cycles beyond the L1 TLBs' lookup.
};

/// The page that the last reference of one side was in. Another to the same page changes neither TLBs nor TFT, whose
/// answers are the same: its entry is the most recent one already. No page: a mask that no address agrees with.
struct RecentPage {
  std::uint64_t mask = 0, page = 1;
  std::uint64_t frame = 0;
  CacheReference reference;  ///< All but addresses and kind.
  std::size_t counted_as = 0;
};

/// Instruction fetches or data.
struct Side {
  bool data = false;
  bool present = true;
  CacheOrganisation organisation = CacheOrganisation::Vipt;
  std::uint64_t line = 64;
  std::uint64_t tlb_latency = 0;  ///< Of the L1 TLBs, which are looked up at once.
  RecentPage recent;
  SideCounts counts;
};

/// By what a reference to the recent page counts.
void remember_class(Side& side) {
  const CacheReference& reference = side.recent.reference;
  side.recent.counted_as =
      SideCounts::index_of(reference.page_size, reference.filter.hit && is_superpage(reference.page_size));
}

std::uint64_t slowest(const std::vector<TlbGeometry>& tlbs) {
  std::uint64_t latency = 0;
  for (const TlbGeometry& tlb : tlbs) latency = std::max<std::uint64_t>(latency, tlb.latency);
  return latency;
}

/// Lines below L1 that one lookup of the hierarchy asked for.
constexpr Descent descent_of(const HierarchyCost& cost) {
  const auto below = static_cast<unsigned>(cost.levels - 1);
  return {.levels = below,
          .missed = cost.memory_reached || below == 0 ? below : below - 1,
          .latency = cost.latency - cost.l1_latency};
}
constexpr Descent joined(const Descent& a, const Descent& b) {
  return {.levels = std::max(a.levels, b.levels),
          .missed = std::max(a.missed, b.missed),
          .latency = std::max(a.latency, b.latency)};
}

/// What the configuration means for the hierarchy.
CacheHierarchyConfig hierarchy_of(const SimulationConfig& config) {
  CacheHierarchyConfig caches = config.caches;
  // An in-order core waits for what comes: it assumes nothing, and replays nothing.
  if (config.timing.core == CoreModel::InOrder) caches.scheduler = SchedulerPolicy::AlwaysFast;
  // Without the filter table nobody knows a superpage when a line arrives: it goes anywhere, as in VIPT.
  if (!caches.tft.enabled) caches.l1d.insertion = InsertionPolicy::PartitionOrWhole;
  return caches;
}

}  // namespace

std::string problem_of(const SimulationConfig& config) {
  if (config.translation) {
    if (std::string problem = problem_of(*config.translation); !problem.empty()) return problem;
    if (!config.has_l1d) return "page-table walks read through L1D: TLBs need one";
  }
  if (std::string problem = problem_of(config.caches); !problem.empty()) return problem;
  if (!config.has_l1i && !config.has_l1d) return "there is neither an L1I nor an L1D";
  const bool is_seesaw = config.has_l1d && config.caches.l1d.organisation == CacheOrganisation::Seesaw;
  if (is_seesaw && !config.translation)
    return "SEESAW needs TLBs: its filter table learns from their fills which regions are superpages";
  if (std::string problem = problem_of(config.pages); !problem.empty()) return problem;
  if (std::string problem = problem_of(config.timing); !problem.empty()) return problem;
  return problem_of(config.energy);
}

struct Simulation::State {
  explicit State(SimulationConfig configuration);

  SimulationConfig config;
  CacheHierarchy caches;
  std::optional<TranslationCaches> tlbs;
  std::vector<const Tlb*> superpage_tlbs;  ///< L1, data: those that hold 2 MB pages.
  PageMap pages;
  PageWalker walker;
  bool one_reference = true;
  std::uint64_t longest_reference = 64;   ///< OneReference: the shortest line.
  bool loads_before_it_modifies = false;  ///< A store alone would not bring its line.
  Side fetch, data;
  SimulationCounts counts;
  std::vector<PhysicalAddress> old_frames;

  void take(const ReferenceRecord& record);
  void refer(Side& side, const ReferenceRecord& record);
  void refer_to_each_line(Side& side, const ReferenceRecord& record);
  void refer_to_two_lines(Side& side, const ReferenceRecord& record, VirtualAddress second);
  HierarchyCost access(Side& side, const ReferenceRecord& record, Place& place);
  void fill_filter(Side& side, const ReferenceRecord& record);
  HierarchyCost modify(CacheReference& reference);
  Descent descend(const HierarchyCost& cost, PhysicalAddress physical, RecordKind kind);
  void count_beyond(const Side& side, RecordKind kind, std::uint64_t translation, const HierarchyCost& cost,
                    const Descent& descent);

  static bool is_recent(const Side& side, const ReferenceRecord& record);
  void find_place(Side& side, const ReferenceRecord& record, Place& place);
  [[nodiscard]] MappedPage mapping(const ReferenceRecord& record);
  void look_up(Side& side, const ReferenceRecord& record, Place& place);
  void walk(Side& side, const ReferenceRecord& record, TlbTag tag, Place& place);
  static void remember(Side& side, const ReferenceRecord& record, const Place& place);
  void judge_scheduler();
  void forget_recent();

  void happen(const ReferenceRecord& record);
  void switch_context();
  void invalidate(const ReferenceRecord& record);
  void splinter(const ReferenceRecord& record);
  void promote(const ReferenceRecord& record);
  void probe(const ReferenceRecord& record);
};

Simulation::State::State(SimulationConfig configuration)
    : config(std::move(configuration)), caches(hierarchy_of(config)), pages(config.pages), walker(config.walk) {
  if (config.translation) tlbs.emplace(*config.translation);
  const CacheHierarchyConfig& levels = config.caches;
  fetch = {.data = false,
           .present = config.has_l1i,
           .organisation = levels.l1i.organisation,
           .line = levels.l1i.line,
           .tlb_latency = tlbs ? slowest(config.translation->instruction) : 0};
  data = {.data = true,
          .present = config.has_l1d,
          .organisation = levels.l1d.organisation,
          .line = levels.l1d.line,
          .tlb_latency = tlbs ? slowest(config.translation->data) : 0};
  loads_before_it_modifies = !levels.l1d.write_allocate;
  one_reference = config.line_crossing == LineCrossing::OneReference;
  longest_reference = std::min(fetch.present ? fetch.line : data.line, data.present ? data.line : fetch.line);
  if (tlbs) {
    const std::vector<const Tlb*> all = tlbs->structures();
    for (std::size_t i = 0; i < config.translation->data.size(); ++i) {
      const Tlb* tlb = all[config.translation->instruction.size() + i];
      if (tlb->holds(PageSize::Size2M)) superpage_tlbs.push_back(tlb);
    }
  }
  forget_recent();
  judge_scheduler();
}

// --- references ------------------------------------------------------------------------------------------------------

inline void Simulation::State::take(const ReferenceRecord& record) {
  if (!is_reference(record.kind)) return happen(record);
  Side& side = record.kind == RecordKind::Fetch ? fetch : data;
  if (!side.present) {
    ++side.counts.elsewhere;
    return;
  }
  const std::uint64_t size = std::max<std::uint64_t>(record.size, 1);
  const std::uint64_t last = record.address.value + (one_reference ? std::min(size, longest_reference) : size) - 1;
  if (((record.address.value ^ last) & ~(side.line - 1)) == 0) return refer(side, record);
  if (one_reference) return refer_to_two_lines(side, record, {last & ~(side.line - 1)});
  refer_to_each_line(side, record);
}

/// A reference within a line.
[[gnu::always_inline]] inline void Simulation::State::refer(Side& side, const ReferenceRecord& record) {
  Place place;
  const HierarchyCost cost = access(side, record, place);
  side.counts.count(side.recent.counted_as, record.kind == RecordKind::Write, cost.l1_hit, cost.l1_latency,
                    cost.l1_ways);
  if (cost.l1_hit && cost.levels == 1 && place.l1_tlb_hit) [[likely]]
    return;
  if (place.fills_filter) fill_filter(side, record);
  const Descent descent = descent_of(cost);
  counts.count_lookups(descent);
  counts.count_descent(descent, record.kind == RecordKind::Write);
  count_beyond(side, record.kind, place.latency, cost, descent);
}

/// An access to each line that the bytes touch.
void Simulation::State::refer_to_each_line(Side& side, const ReferenceRecord& record) {
  ReferenceRecord piece = record;
  std::uint64_t left = record.size;
  while (left != 0) {
    const std::uint64_t bytes = std::min(left, side.line - (piece.address.value & (side.line - 1)));
    piece.size = static_cast<std::uint32_t>(bytes);
    refer(side, piece);
    left -= bytes;
    piece.address.value += bytes;
    piece.physical.value += bytes;
  }
}

/// One access, as cachegrind counts it: where one of the lines misses in L1, the reference goes down with both. (The
/// two are neighbours: they lie in different sets, so that their order below does not matter.)
void Simulation::State::refer_to_two_lines(Side& side, const ReferenceRecord& record, VirtualAddress second) {
  ReferenceRecord rest = record;
  rest.address = second;
  rest.physical.value += second.value - record.address.value;
  Place place, rest_place;
  HierarchyCost cost = access(side, record, place);
  const std::size_t counted_as = side.recent.counted_as;
  if (place.fills_filter) fill_filter(side, record);
  const PhysicalAddress physical = side.recent.reference.physical_address;
  const HierarchyCost rest_cost = access(side, rest, rest_place);
  if (rest_place.fills_filter) fill_filter(side, rest);
  const CacheReference& last = side.recent.reference;
  if ((second.value ^ record.address.value) >> 12U != 0)
    ++side.counts.extra_lookups[static_cast<std::size_t>(last.page_size)];

  const bool hit = cost.l1_hit && rest_cost.l1_hit;
  Descent descent;
  if (hit) {
    descent = joined(descent_of(cost), descent_of(rest_cost));  // Stores written through go down as well.
  } else {
    const Descent first = descend(cost, physical, record.kind);
    descent = joined(first, descend(rest_cost, last.physical_address, record.kind));
  }
  counts.count_descent(descent, record.kind == RecordKind::Write);
  cost.l1_latency = std::max(cost.l1_latency, rest_cost.l1_latency);
  side.counts.count(counted_as, record.kind == RecordKind::Write, hit, cost.l1_latency,
                    cost.l1_ways + rest_cost.l1_ways);
  count_beyond(side, record.kind, place.latency + rest_place.latency, cost, descent);
}

/// Of a reference that missed with one of its lines: also the one that hit is looked up below.
Descent Simulation::State::descend(const HierarchyCost& cost, PhysicalAddress physical, RecordKind kind) {
  HierarchyCost below = cost;
  if (cost.l1_hit && cost.levels == 1) {
    below = caches.access_below(physical, access_kind(kind));
    ++below.levels;
  }
  const Descent descent = descent_of(below);
  counts.count_lookups(descent);
  return descent;
}

/// Translation and caches. VIVT asks the TLBs after a miss.
[[gnu::always_inline]] inline HierarchyCost Simulation::State::access(Side& side, const ReferenceRecord& record,
                                                                      Place& place) {
  if (!is_recent(side, record)) [[unlikely]]
    find_place(side, record, place);
  CacheReference& reference = side.recent.reference;
  reference.virtual_address = record.address;
  reference.physical_address = {side.recent.frame + (record.address.value & ~side.recent.mask)};
  reference.kind = access_kind(record.kind);
  const HierarchyCost cost = record.kind == RecordKind::Modify && loads_before_it_modifies
                                 ? modify(reference)
                                 : caches.access_quietly(reference);
  if (side.organisation == CacheOrganisation::Vivt && tlbs && !cost.l1_hit) [[unlikely]]
    look_up(side, record, place);
  return cost;
}

/// An L1 TLB's new entry reaches the filter table too late for the reference that brought it.
void Simulation::State::fill_filter(Side& side, const ReferenceRecord& record) {
  CacheReference& reference = side.recent.reference;
  caches.superpage_filled(record.address, reference.owner);
  ++counts.tft_fills;
  reference.filter = caches.tft()->lookup(record.address, reference.owner);
  remember_class(side);
}

HierarchyCost Simulation::State::modify(CacheReference& reference) {
  reference.kind = AccessKind::Read;
  const HierarchyCost cost = caches.access_quietly(reference);
  reference.kind = AccessKind::Write;
  caches.access_quietly(reference);
  return cost;
}

/// Latency beyond an L1 hit's: further translation runs beside the lookup of a virtually indexed cache, before that of
/// a PIPT one, and after that of a VIVT one.
void Simulation::State::count_beyond(const Side& side, RecordKind kind, std::uint64_t translation,
                                     const HierarchyCost& cost, const Descent& descent) {
  if (kind == RecordKind::Write) return;  // Stores wait in a buffer.
  const std::uint64_t hit = hit_latency(side.organisation, side.tlb_latency, cost.l1_latency);
  const bool late = side.organisation == CacheOrganisation::Vivt;
  std::uint64_t beyond = descent.latency;
  if (!late) beyond += hit_latency(side.organisation, side.tlb_latency + translation, cost.l1_latency) - hit;
  if (late && !cost.l1_hit) beyond += side.tlb_latency + translation;
  counts.beyond_l1_cycles += exposed_beyond_l1(config.timing, static_cast<double>(beyond));
}

// --- translation -----------------------------------------------------------------------------------------------------

inline bool Simulation::State::is_recent(const Side& side, const ReferenceRecord& record) {
  const RecentPage& recent = side.recent;
  if ((record.address.value & recent.mask) != recent.page ||
      recent.reference.owner.address_space != record.address_space)
    return false;
  if (!record.translated) return true;
  return record.physical.value == recent.frame + (record.address.value & ~recent.mask) &&
         record.page_size == recent.reference.page_size;
}

void Simulation::State::find_place(Side& side, const ReferenceRecord& record, Place& place) {
  if (!tlbs && !record.translated) {
    place.physical = {record.address.value};
  } else if (!tlbs || side.organisation == CacheOrganisation::Vivt) {
    const MappedPage page = mapping(record);
    place.size = page.size;
    place.physical = {page.frame.value + (record.address.value & page_offset_mask(page.size))};
  } else {
    if (side.data && caches.tft() != nullptr)
      place.filter = caches.tft()->lookup(record.address, {.address_space = record.address_space});
    look_up(side, record, place);
  }
  remember(side, record, place);
  // Without translation every address is its own, in one page that never ends.
  if (!tlbs && !record.translated) side.recent.mask = side.recent.page = side.recent.frame = 0;
}

MappedPage Simulation::State::mapping(const ReferenceRecord& record) {
  if (!record.translated) return pages.translate(record.address, record.address_space);
  const std::uint64_t offset = page_offset_mask(record.page_size);
  return {
      .page = {record.address.value & ~offset}, .frame = {record.physical.value & ~offset}, .size = record.page_size};
}

/// TLBs, then the walk. A stream that brings its own translations may have changed one without telling: the entry that
/// disagrees goes.
void Simulation::State::look_up(Side& side, const ReferenceRecord& record, Place& place) {
  const AccessKind kind = access_kind(record.kind);
  const TlbTag tag{.address_space = record.address_space};
  TranslationHit found = tlbs->lookup_quietly(record.address, kind, tag);
  place.latency = found.latency;
  if (found.entry != nullptr) {
    place.size = found.entry->size;
    place.physical = {found.entry->frame.value + (record.address.value & page_offset_mask(place.size))};
    if (record.translated &&
        (place.physical != record.physical || place.size != walker.effective_size(record.page_size))) {
      tlbs->drop_page(record.address, tag);
      found.entry = nullptr;
    }
  }
  place.l1_tlb_hit = found.entry != nullptr && found.latency == 0 && !found.refilled;
  if (found.entry == nullptr) walk(side, record, tag, place);
  if (side.organisation == CacheOrganisation::Vivt) ++side.counts.late_lookups[static_cast<std::size_t>(place.size)];
  if (place.l1_tlb_hit) {
    place.fills_filter = side.data && config.caches.tft.fill_on_miss && caches.tft() != nullptr && !place.filter.hit &&
                         place.size == PageSize::Size2M;
    place.l1_tlb_hit = !place.fills_filter;  // There is something left to do.
    return;
  }
  ++side.counts.tlb_misses[static_cast<std::size_t>(place.size)];
  if (!side.data) return;
  judge_scheduler();
  place.fills_filter = caches.tft() != nullptr && place.size == PageSize::Size2M && !superpage_tlbs.empty();
}

void Simulation::State::walk(Side& side, const ReferenceRecord& record, TlbTag tag, Place& place) {
  const MappedPage page = mapping(record);
  const Walk walk = walker.walk(record.address, page.size, page.frame, tag, *tlbs);
  std::uint64_t latency = walk.latency;
  for (unsigned i = 0; i < walk.count; ++i) {
    const HierarchyCost cost = caches.access_quietly({.physical_address = walk.references[i], .walk = true});
    latency += cost.latency;
    const std::uint64_t missed = cost.memory_reached ? cost.levels : cost.levels - 1;
    for (std::size_t level = 0; level < cost.levels; ++level) ++counts.walk_accesses[level];
    for (std::size_t level = 0; level < missed; ++level) ++counts.walk_misses[level];
  }
  ++counts.walks;
  counts.walk_references += walk.count;
  counts.walk_skipped += walk.skipped;
  counts.walk_cycles += latency;
  place.latency += latency;

  place.size = walker.effective_size(page.size);
  place.physical = {page.frame.value + (record.address.value & page_offset_mask(page.size))};
  const std::uint64_t offset = page_offset_mask(place.size);
  const PhysicalAddress frame{place.physical.value & ~offset};
  tlbs->fill({.page = {record.address.value & ~offset},
              .frame = frame,
              .guest_frame = {frame.value},
              .size = place.size,
              .tag = tag},
             side.data ? AccessKind::Read : AccessKind::Fetch);
}

void Simulation::State::remember(Side& side, const ReferenceRecord& record, const Place& place) {
  const std::uint64_t mask = ~page_offset_mask(place.size);
  RecentPage& recent = side.recent;
  recent.mask = mask;
  recent.page = record.address.value & mask;
  recent.frame = place.physical.value & mask;
  recent.reference.page_size = place.size;
  recent.reference.owner.address_space = record.address_space;
  recent.reference.filter = place.filter;
  remember_class(side);
}

void Simulation::State::forget_recent() {
  for (Side* side : {&fetch, &data}) {
    side->recent.mask = 0;
    side->recent.page = 1;
  }
}

/// Superpages are scarce while they hold less than a quarter of the entries of the L1 TLBs that can hold them.
void Simulation::State::judge_scheduler() {
  if (caches.tft() == nullptr) return;
  unsigned valid = 0, entries = 0;
  for (const Tlb* tlb : superpage_tlbs) {
    valid += tlb->valid_entries(PageSize::Size2M);
    entries += tlb->geometry().entries;
  }
  caches.superpage_entries(valid, entries);
}

// --- what happens around the references ------------------------------------------------------------------------------

void Simulation::State::happen(const ReferenceRecord& record) {
  forget_recent();
  switch (record.kind) {
    case RecordKind::ContextSwitch:
      switch_context();
      break;
    case RecordKind::InvalidatePage:
      ++counts.invalidations;
      invalidate(record);
      break;
    case RecordKind::Splinter:
      splinter(record);
      break;
    case RecordKind::Promote:
      promote(record);
      break;
    default:
      probe(record);
      break;
  }
  judge_scheduler();
}

void Simulation::State::switch_context() {
  ++counts.context_switches;
  caches.context_switched();
  if (!tlbs || config.address_space_tags) return;
  tlbs->invalidate_all();
  caches.all_invalidated();
}

/// INVLPG, TLBI: the filter table listens (section IV-C2).
void Simulation::State::invalidate(const ReferenceRecord& record) {
  if (tlbs) tlbs->invalidate_address(record.address, {.address_space = record.address_space});
  caches.page_invalidated(record.address);
}

void Simulation::State::splinter(const ReferenceRecord& record) {
  ++counts.splinters;
  pages.splinter(record.address, record.address_space);
  invalidate(record);
}

/// The base pages' translations go, and the extended TLB invalidation sweeps their lines out of L1D (section IV-C2).
void Simulation::State::promote(const ReferenceRecord& record) {
  ++counts.promotions;
  if (!pages.promote(record.address, record.address_space, old_frames)) return;
  const std::uint64_t region = record.address.value & ~page_offset_mask(PageSize::Size2M);
  const std::uint64_t step = page_bytes(config.pages.base_page);
  const TlbTag tag{.address_space = record.address_space};
  for (std::uint64_t offset = 0; tlbs && offset < page_bytes(PageSize::Size2M); offset += step)
    tlbs->drop_page({region + offset}, tag);
  invalidate(record);
  for (const PhysicalAddress frame : old_frames) counts.swept_lines += caches.promoted(frame, step);
}

void Simulation::State::probe(const ReferenceRecord& record) {
  const bool invalidates = record.kind == RecordKind::CoherenceInvalidate;
  caches.coherence_probe(record.physical, invalidates ? CoherenceAction::Invalidate : CoherenceAction::Clean);
}

// --- the whole -------------------------------------------------------------------------------------------------------

Simulation::Simulation(SimulationConfig config) : state_(std::make_unique<State>(std::move(config))) {}
Simulation::~Simulation() = default;

void Simulation::take(const ReferenceRecord& record) { state_->take(record); }

std::uint64_t Simulation::run(ReferenceStream& stream, std::uint64_t most,
                              const std::function<bool(std::uint64_t taken)>& go_on) {
  std::vector<ReferenceRecord> batch(kBatch);
  std::uint64_t taken = 0;
  while (most == 0 || taken < most) {
    const std::uint64_t wanted = most == 0 ? kBatch : std::min<std::uint64_t>(kBatch, most - taken);
    const std::size_t got = stream.read({batch.data(), static_cast<std::size_t>(wanted)});
    if (got == 0) break;
    for (std::size_t i = 0; i < got; ++i) state_->take(batch[i]);
    taken += got;
    if (go_on && !go_on(taken)) break;
  }
  return taken;
}

SimulationReport Simulation::report() const {
  return report_of({.config = state_->config,
                    .caches = state_->caches,
                    .fetch = state_->fetch.counts,
                    .data = state_->data.counts,
                    .counts = state_->counts});
}

const SimulationConfig& Simulation::config() const { return state_->config; }
const CacheHierarchy& Simulation::caches() const { return state_->caches; }

}  // namespace shearling
