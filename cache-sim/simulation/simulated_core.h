// SPDX-License-Identifier: GPL-3.0-or-later
//
// One simulated core: references through TLBs, page-table walk and first-level caches, to counts. What lies below its
// first level is the business of `Caches`: a CacheHierarchy of its own, or CoherentCaches, one core's part of a system
// of several. Page map and walker are the operating system's: cores share them. What changes a page for every core
// (splintering, promotion) and coherence probes come from whoever owns the cores.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/simulation/page_walker.h"
#include "cache-sim/simulation/simulation.h"
#include "cache-sim/simulation/simulation_counts.h"
#include "cache-sim/simulation/simulation_report.h"
#include "cache-sim/streams/page_map.h"
#include "cache-sim/streams/reference_stream.h"
#include "cache-sim/translation_caches.h"

namespace shearling {

/// What L1 does for this record. A modification dirties its line.
constexpr AccessKind access_kind(RecordKind kind) {
  constexpr std::array<AccessKind, 4> kKinds{AccessKind::Fetch, AccessKind::Read, AccessKind::Write, AccessKind::Write};
  return kKinds[static_cast<std::size_t>(kind)];
}

/// Where a reference's bytes lie, and what it took to find out.
struct FoundPlace {
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

/// The line that the last reference of one side hit. A record of a kind that has hit there already changes nothing but
/// counters, as long as nothing else happens: these are settled later, in one go for each page. A write is remembered
/// apart from a read, because the first one makes the line dirty.
struct RecentLine {
  static constexpr std::uint64_t kNone = 1;  ///< No line begins there.
  struct Repeats {
    std::uint64_t times = 0;              ///< Not settled yet.
    std::uint64_t latency = 0, ways = 0;  ///< Of each.
  };
  bool allowed = false;
  std::uint64_t line = kNone;      ///< Address.
  unsigned kinds = 0;              ///< A bit for each kind of record that has hit.
  std::array<Repeats, 4> repeats;  ///< By kind of record.
};

/// Instruction fetches or data.
struct CoreSide {
  bool data = false;
  bool present = true;
  CacheOrganisation organisation = CacheOrganisation::Vipt;
  std::uint64_t line = 64;
  std::uint64_t tlb_latency = 0;  ///< Of the L1 TLBs, which are looked up at once.
  RecentPage recent;
  RecentLine recent_line;
  SideCounts counts;
};

/// By what a reference to the recent page counts.
inline void remember_class(CoreSide& side) {
  const CacheReference& reference = side.recent.reference;
  side.recent.counted_as =
      SideCounts::index_of(reference.page_size, reference.filter.hit && is_superpage(reference.page_size));
}

inline std::uint64_t slowest(const std::vector<TlbGeometry>& tlbs) {
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
inline CacheHierarchyConfig hierarchy_of(const SimulationConfig& config) {
  CacheHierarchyConfig caches = config.caches;
  // An in-order core waits for what comes: it assumes nothing, and replays nothing.
  if (config.timing.core == CoreModel::InOrder) caches.scheduler = SchedulerPolicy::AlwaysFast;
  // Without the filter table nobody knows a superpage when a line arrives: it goes anywhere, as in VIPT.
  if (!caches.tft.enabled) caches.l1d.insertion = InsertionPolicy::PartitionOrWhole;
  return caches;
}

/// The operating system's part of a simulation.
struct SharedMemory {
  explicit SharedMemory(const SimulationConfig& config) : pages(config.pages), walker(config.walk) {}
  PageMap pages;
  PageWalker walker;
};

/// The line that a coherence probe means.
inline PhysicalAddress physical_address_of(const ReferenceRecord& record, const SimulationConfig& config,
                                           SharedMemory& memory) {
  if (record.translated) return record.physical;
  if (!config.translation) return {record.address.value};
  const MappedPage page = memory.pages.translate(record.address, record.address_space);
  return {page.frame.value + (record.address.value & page_offset_mask(page.size))};
}

template <typename Caches>
class SimulatedCore {
 public:
  /// `config` and `memory` outlive it; the rest makes its Caches.
  template <typename... CachesArguments>
  SimulatedCore(const SimulationConfig& config, SharedMemory& memory, CachesArguments&&... caches);

  /// A reference, a context switch or the invalidation of a page.
  void take(const ReferenceRecord& record);
  /// The superpage that holds the record's address was splintered.
  void splintered(const ReferenceRecord& record);
  /// The region that holds it became a superpage; base pages at `old_frames` are no more.
  void promoted(const ReferenceRecord& record, const std::vector<PhysicalAddress>& old_frames);

  /// Brings all counters up to date. Whoever looks at them, or changes the caches from outside, calls it before.
  void settle();
  [[nodiscard]] Caches& caches() { return caches_; }
  [[nodiscard]] const Caches& caches() const { return caches_; }
  [[nodiscard]] const SideCounts& fetch() const { return fetch_.counts; }
  [[nodiscard]] const SideCounts& data() const { return data_.counts; }
  [[nodiscard]] SimulationCounts& counts() { return counts_; }
  [[nodiscard]] const SimulationCounts& counts() const { return counts_; }

 private:
  void refer(CoreSide& side, const ReferenceRecord& record);
  void refer_to_each_line(CoreSide& side, const ReferenceRecord& record);
  void refer_to_two_lines(CoreSide& side, const ReferenceRecord& record, VirtualAddress second);
  HierarchyCost access(CoreSide& side, const ReferenceRecord& record, FoundPlace& place);
  void fill_filter(CoreSide& side, const ReferenceRecord& record);
  HierarchyCost modify(CacheReference& reference);
  Descent descend(const HierarchyCost& cost, PhysicalAddress physical, RecordKind kind);
  void count_beyond(const CoreSide& side, RecordKind kind, std::uint64_t translation, const HierarchyCost& cost,
                    const Descent& descent);

  void allow_repeats();
  static bool is_repeat(const CoreSide& side, const ReferenceRecord& record);
  static void remember_line(CoreSide& side, const ReferenceRecord& record, const HierarchyCost& cost);
  void forget_lines() { fetch_.recent_line.line = data_.recent_line.line = RecentLine::kNone; }
  void settle(CoreSide& side);
  static bool is_recent(const CoreSide& side, const ReferenceRecord& record);
  void find_place(CoreSide& side, const ReferenceRecord& record, FoundPlace& place);
  [[nodiscard]] MappedPage mapping(const ReferenceRecord& record);
  void look_up(CoreSide& side, const ReferenceRecord& record, FoundPlace& place);
  void walk(CoreSide& side, const ReferenceRecord& record, TlbTag tag, FoundPlace& place);
  static void remember(CoreSide& side, const ReferenceRecord& record, const FoundPlace& place);
  void judge_scheduler();
  void forget_recent();

  void happen(const ReferenceRecord& record);
  void switch_context();
  void invalidate(const ReferenceRecord& record);

  const SimulationConfig& config_;
  SharedMemory& memory_;
  Caches caches_;
  std::optional<TranslationCaches> tlbs_;
  std::vector<const Tlb*> superpage_tlbs_;  ///< L1, data: those that hold 2 MB pages.
  bool one_reference_ = true;
  std::uint64_t longest_reference_ = 64;   ///< OneReference: the shortest line.
  bool loads_before_it_modifies_ = false;  ///< A store alone would not bring its line.
  CoreSide fetch_, data_;
  SimulationCounts counts_;
};

template <typename Caches>
template <typename... CachesArguments>
SimulatedCore<Caches>::SimulatedCore(const SimulationConfig& config, SharedMemory& memory, CachesArguments&&... caches)
    : config_(config), memory_(memory), caches_(std::forward<CachesArguments>(caches)...) {
  if (config.translation) tlbs_.emplace(*config.translation);
  const CacheHierarchyConfig& levels = config.caches;
  fetch_ = {.data = false,
            .present = config.has_l1i,
            .organisation = levels.l1i.organisation,
            .line = levels.l1i.line,
            .tlb_latency = tlbs_ ? slowest(config.translation->instruction) : 0};
  data_ = {.data = true,
           .present = config.has_l1d,
           .organisation = levels.l1d.organisation,
           .line = levels.l1d.line,
           .tlb_latency = tlbs_ ? slowest(config.translation->data) : 0};
  loads_before_it_modifies_ = !levels.l1d.write_allocate;
  one_reference_ = config.line_crossing == LineCrossing::OneReference;
  longest_reference_ = std::min(fetch_.present ? fetch_.line : data_.line, data_.present ? data_.line : fetch_.line);
  if (tlbs_) {
    const std::vector<const Tlb*> all = tlbs_->structures();
    for (std::size_t i = 0; i < config.translation->data.size(); ++i) {
      const Tlb* tlb = all[config.translation->instruction.size() + i];
      if (tlb->holds(PageSize::Size2M)) superpage_tlbs_.push_back(tlb);
    }
  }
  allow_repeats();
  forget_recent();
  judge_scheduler();
}

// --- references ------------------------------------------------------------------------------------------------------

template <typename Caches>
inline void SimulatedCore<Caches>::take(const ReferenceRecord& record) {
  if (!is_reference(record.kind)) return happen(record);
  CoreSide& side = record.kind == RecordKind::Fetch ? fetch_ : data_;
  if (!side.present) {
    ++side.counts.elsewhere;
    return;
  }
  const std::uint64_t size = std::max<std::uint64_t>(record.size, 1);
  const std::uint64_t last = record.address.value + (one_reference_ ? std::min(size, longest_reference_) : size) - 1;
  if (((record.address.value ^ last) & ~(side.line - 1)) == 0) {
    if (!is_repeat(side, record)) return refer(side, record);
    ++side.recent_line.repeats[static_cast<std::size_t>(record.kind)].times;
    return;
  }
  if (one_reference_) return refer_to_two_lines(side, record, {last & ~(side.line - 1)});
  refer_to_each_line(side, record);
}

/// A reference within a line.
template <typename Caches>
[[gnu::always_inline]] inline void SimulatedCore<Caches>::refer(CoreSide& side, const ReferenceRecord& record) {
  FoundPlace place;
  const HierarchyCost cost = access(side, record, place);
  side.counts.count(side.recent.counted_as, record.kind == RecordKind::Write, cost.l1_hit, cost.l1_latency,
                    cost.l1_ways);
  if (cost.l1_hit && cost.levels == 1 && place.l1_tlb_hit) [[likely]]
    return remember_line(side, record, cost);
  forget_lines();
  if (place.fills_filter) fill_filter(side, record);
  const Descent descent = descent_of(cost);
  counts_.count_lookups(descent);
  counts_.count_descent(descent, record.kind == RecordKind::Write);
  count_beyond(side, record.kind, place.latency, cost, descent);
}

/// An access to each line that the bytes touch.
template <typename Caches>
void SimulatedCore<Caches>::refer_to_each_line(CoreSide& side, const ReferenceRecord& record) {
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
template <typename Caches>
void SimulatedCore<Caches>::refer_to_two_lines(CoreSide& side, const ReferenceRecord& record, VirtualAddress second) {
  ReferenceRecord rest = record;
  rest.address = second;
  rest.physical.value += second.value - record.address.value;
  forget_lines();
  FoundPlace place, rest_place;
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
  counts_.count_descent(descent, record.kind == RecordKind::Write);
  cost.l1_latency = std::max(cost.l1_latency, rest_cost.l1_latency);
  side.counts.count(counted_as, record.kind == RecordKind::Write, hit, cost.l1_latency,
                    cost.l1_ways + rest_cost.l1_ways);
  count_beyond(side, record.kind, place.latency + rest_place.latency, cost, descent);
}

/// Of a reference that missed with one of its lines: also the one that hit is looked up below.
template <typename Caches>
Descent SimulatedCore<Caches>::descend(const HierarchyCost& cost, PhysicalAddress physical, RecordKind kind) {
  HierarchyCost below = cost;
  if (cost.l1_hit && cost.levels == 1) {
    below = caches_.access_below(physical, access_kind(kind));
    ++below.levels;
  }
  const Descent descent = descent_of(below);
  counts_.count_lookups(descent);
  return descent;
}

/// Translation and caches. VIVT asks the TLBs after a miss.
template <typename Caches>
[[gnu::always_inline]] inline HierarchyCost SimulatedCore<Caches>::access(CoreSide& side, const ReferenceRecord& record,
                                                                          FoundPlace& place) {
  if (!is_recent(side, record)) [[unlikely]]
    find_place(side, record, place);
  CacheReference& reference = side.recent.reference;
  reference.virtual_address = record.address;
  reference.physical_address = {side.recent.frame + (record.address.value & ~side.recent.mask)};
  reference.kind = access_kind(record.kind);
  const HierarchyCost cost = record.kind == RecordKind::Modify && loads_before_it_modifies_
                                 ? modify(reference)
                                 : caches_.access_quietly(reference);
  if (side.organisation == CacheOrganisation::Vivt && tlbs_ && !cost.l1_hit) [[unlikely]]
    look_up(side, record, place);
  return cost;
}

/// An L1 TLB's new entry reaches the filter table too late for the reference that brought it.
template <typename Caches>
void SimulatedCore<Caches>::fill_filter(CoreSide& side, const ReferenceRecord& record) {
  CacheReference& reference = side.recent.reference;
  caches_.superpage_filled(record.address, reference.owner);
  ++counts_.tft_fills;
  reference.filter = caches_.tft()->lookup(record.address, reference.owner);
  remember_class(side);
}

template <typename Caches>
HierarchyCost SimulatedCore<Caches>::modify(CacheReference& reference) {
  reference.kind = AccessKind::Read;
  const HierarchyCost cost = caches_.access_quietly(reference);
  reference.kind = AccessKind::Write;
  caches_.access_quietly(reference);
  return cost;
}

/// Latency beyond an L1 hit's: further translation runs beside the lookup of a virtually indexed cache, before that of
/// a PIPT one, and after that of a VIVT one.
template <typename Caches>
void SimulatedCore<Caches>::count_beyond(const CoreSide& side, RecordKind kind, std::uint64_t translation,
                                         const HierarchyCost& cost, const Descent& descent) {
  if (kind == RecordKind::Write) return;  // Stores wait in a buffer.
  const std::uint64_t hit = hit_latency(side.organisation, side.tlb_latency, cost.l1_latency);
  const bool late = side.organisation == CacheOrganisation::Vivt;
  std::uint64_t beyond = descent.latency;
  if (!late) beyond += hit_latency(side.organisation, side.tlb_latency + translation, cost.l1_latency) - hit;
  if (late && !cost.l1_hit) beyond += side.tlb_latency + translation;
  counts_.beyond_l1_cycles += exposed_beyond_l1(config_.timing, static_cast<double>(beyond));
}

// --- repeated references ---------------------------------------------------------------------------------------------

template <typename Caches>
void SimulatedCore<Caches>::allow_repeats() {
  if constexpr (requires { caches_.can_hit_again(AccessKind::Read); }) {  // Else others reach into these caches.
    fetch_.recent_line.allowed = caches_.can_hit_again(AccessKind::Fetch);
    data_.recent_line.allowed = caches_.can_hit_again(AccessKind::Read) && !loads_before_it_modifies_;
  }
}

template <typename Caches>
inline bool SimulatedCore<Caches>::is_repeat(const CoreSide& side, const ReferenceRecord& record) {
  return (record.address.value & ~(side.line - 1)) == side.recent_line.line &&
         (side.recent_line.kinds >> static_cast<unsigned>(record.kind) & 1U) != 0 && is_recent(side, record);
}

template <typename Caches>
inline void SimulatedCore<Caches>::remember_line(CoreSide& side, const ReferenceRecord& record,
                                                 const HierarchyCost& cost) {
  RecentLine& recent = side.recent_line;
  if (!recent.allowed) return;
  const std::uint64_t line = record.address.value & ~(side.line - 1);
  const auto kind = static_cast<unsigned>(record.kind);
  recent.kinds = (recent.line == line ? recent.kinds : 0U) | 1U << kind;
  recent.line = line;
  recent.repeats[kind].latency = cost.l1_latency;
  recent.repeats[kind].ways = cost.l1_ways;
}

template <typename Caches>
void SimulatedCore<Caches>::settle(CoreSide& side) {
  if constexpr (requires { caches_.can_hit_again(AccessKind::Read); }) {
    for (std::size_t kind = 0; kind < side.recent_line.repeats.size(); ++kind) {
      RecentLine::Repeats& repeats = side.recent_line.repeats[kind];
      if (repeats.times == 0) continue;
      const auto record_kind = static_cast<RecordKind>(kind);
      CacheReference& reference = side.recent.reference;
      reference.kind = access_kind(record_kind);
      caches_.hit_again(reference, repeats.times);
      side.counts.count_hits(side.recent.counted_as, record_kind == RecordKind::Write, repeats.latency, repeats.ways,
                             repeats.times);
      repeats.times = 0;
    }
  }
}

template <typename Caches>
void SimulatedCore<Caches>::settle() {
  forget_lines();
  settle(fetch_);
  settle(data_);
}

// --- translation -----------------------------------------------------------------------------------------------------

template <typename Caches>
inline bool SimulatedCore<Caches>::is_recent(const CoreSide& side, const ReferenceRecord& record) {
  const RecentPage& recent = side.recent;
  if ((record.address.value & recent.mask) != recent.page ||
      recent.reference.owner.address_space != record.address_space)
    return false;
  if (!record.translated) return true;
  return record.physical.value == recent.frame + (record.address.value & ~recent.mask) &&
         record.page_size == recent.reference.page_size;
}

template <typename Caches>
void SimulatedCore<Caches>::find_place(CoreSide& side, const ReferenceRecord& record, FoundPlace& place) {
  settle(side);
  if (!tlbs_ && !record.translated) {
    place.physical = {record.address.value};
  } else if (!tlbs_ || side.organisation == CacheOrganisation::Vivt) {
    const MappedPage page = mapping(record);
    place.size = page.size;
    place.physical = {page.frame.value + (record.address.value & page_offset_mask(page.size))};
  } else {
    if (side.data && caches_.tft() != nullptr)
      place.filter = caches_.tft()->lookup(record.address, {.address_space = record.address_space});
    look_up(side, record, place);
  }
  remember(side, record, place);
  // Without translation every address is its own, in one page that never ends.
  if (!tlbs_ && !record.translated) side.recent.mask = side.recent.page = side.recent.frame = 0;
}

template <typename Caches>
MappedPage SimulatedCore<Caches>::mapping(const ReferenceRecord& record) {
  if (!record.translated) return memory_.pages.translate(record.address, record.address_space);
  const std::uint64_t offset = page_offset_mask(record.page_size);
  return {
      .page = {record.address.value & ~offset}, .frame = {record.physical.value & ~offset}, .size = record.page_size};
}

/// TLBs, then the walk. A stream that brings its own translations may have changed one without telling: the entry that
/// disagrees goes.
template <typename Caches>
void SimulatedCore<Caches>::look_up(CoreSide& side, const ReferenceRecord& record, FoundPlace& place) {
  const AccessKind kind = access_kind(record.kind);
  const TlbTag tag{.address_space = record.address_space};
  TranslationHit found = tlbs_->lookup_quietly(record.address, kind, tag);
  place.latency = found.latency;
  if (found.entry != nullptr) {
    place.size = found.entry->size;
    place.physical = {found.entry->frame.value + (record.address.value & page_offset_mask(place.size))};
    if (record.translated &&
        (place.physical != record.physical || place.size != memory_.walker.effective_size(record.page_size))) {
      tlbs_->drop_page(record.address, tag);
      found.entry = nullptr;
    }
  }
  place.l1_tlb_hit = found.entry != nullptr && found.latency == 0 && !found.refilled;
  if (found.entry == nullptr) walk(side, record, tag, place);
  if (side.organisation == CacheOrganisation::Vivt) ++side.counts.late_lookups[static_cast<std::size_t>(place.size)];
  if (place.l1_tlb_hit) {
    place.fills_filter = side.data && config_.caches.tft.fill_on_miss && caches_.tft() != nullptr &&
                         !place.filter.hit && place.size == PageSize::Size2M;
    place.l1_tlb_hit = !place.fills_filter;  // There is something left to do.
    return;
  }
  ++side.counts.tlb_misses[static_cast<std::size_t>(place.size)];
  if (!side.data) return;
  judge_scheduler();
  place.fills_filter = caches_.tft() != nullptr && place.size == PageSize::Size2M && !superpage_tlbs_.empty();
}

template <typename Caches>
void SimulatedCore<Caches>::walk(CoreSide& side, const ReferenceRecord& record, TlbTag tag, FoundPlace& place) {
  const MappedPage page = mapping(record);
  const Walk walk = memory_.walker.walk(record.address, page.size, page.frame, tag, *tlbs_);
  std::uint64_t latency = walk.latency;
  for (unsigned i = 0; i < walk.count; ++i) {
    const HierarchyCost cost = caches_.access_quietly({.physical_address = walk.references[i], .walk = true});
    latency += cost.latency;
    std::uint64_t missed = cost.memory_reached ? cost.levels : cost.levels - 1;
    if (!cost.l1_hit) missed = std::max<std::uint64_t>(missed, 1);  // Another core's L1D had the line.
    for (std::size_t level = 0; level < cost.levels; ++level) ++counts_.walk_accesses[level];
    for (std::size_t level = 0; level < missed; ++level) ++counts_.walk_misses[level];
  }
  ++counts_.walks;
  counts_.walk_references += walk.count;
  counts_.walk_skipped += walk.skipped;
  counts_.walk_cycles += latency;
  place.latency += latency;

  place.size = memory_.walker.effective_size(page.size);
  place.physical = {page.frame.value + (record.address.value & page_offset_mask(page.size))};
  const std::uint64_t offset = page_offset_mask(place.size);
  const PhysicalAddress frame{place.physical.value & ~offset};
  tlbs_->fill({.page = {record.address.value & ~offset},
               .frame = frame,
               .guest_frame = {frame.value},
               .size = place.size,
               .tag = tag},
              side.data ? AccessKind::Read : AccessKind::Fetch);
}

template <typename Caches>
void SimulatedCore<Caches>::remember(CoreSide& side, const ReferenceRecord& record, const FoundPlace& place) {
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

template <typename Caches>
void SimulatedCore<Caches>::forget_recent() {
  settle();
  for (CoreSide* side : {&fetch_, &data_}) {
    side->recent.mask = 0;
    side->recent.page = 1;
  }
}

/// Superpages are scarce while they hold less than a quarter of the entries of the L1 TLBs that can hold them.
template <typename Caches>
void SimulatedCore<Caches>::judge_scheduler() {
  if (caches_.tft() == nullptr) return;
  unsigned valid = 0, entries = 0;
  for (const Tlb* tlb : superpage_tlbs_) {
    valid += tlb->valid_entries(PageSize::Size2M);
    entries += tlb->geometry().entries;
  }
  caches_.superpage_entries(valid, entries);
}

// --- what happens around the references ------------------------------------------------------------------------------

template <typename Caches>
void SimulatedCore<Caches>::happen(const ReferenceRecord& record) {
  forget_recent();
  if (record.kind == RecordKind::ContextSwitch) {
    switch_context();
  } else {
    ++counts_.invalidations;
    invalidate(record);
  }
  judge_scheduler();
}

template <typename Caches>
void SimulatedCore<Caches>::switch_context() {
  ++counts_.context_switches;
  caches_.context_switched();
  if (!tlbs_ || config_.address_space_tags) return;
  tlbs_->invalidate_all();
  caches_.all_invalidated();
}

/// INVLPG, TLBI: the filter table listens (section IV-C2).
template <typename Caches>
void SimulatedCore<Caches>::invalidate(const ReferenceRecord& record) {
  if (tlbs_) tlbs_->invalidate_address(record.address, {.address_space = record.address_space});
  caches_.page_invalidated(record.address);
}

template <typename Caches>
void SimulatedCore<Caches>::splintered(const ReferenceRecord& record) {
  forget_recent();
  invalidate(record);
  judge_scheduler();
}

/// The base pages' translations go, and the extended TLB invalidation sweeps their lines out of L1D (section IV-C2).
template <typename Caches>
void SimulatedCore<Caches>::promoted(const ReferenceRecord& record, const std::vector<PhysicalAddress>& old_frames) {
  forget_recent();
  const std::uint64_t region = record.address.value & ~page_offset_mask(PageSize::Size2M);
  const std::uint64_t step = page_bytes(config_.pages.base_page);
  const TlbTag tag{.address_space = record.address_space};
  for (std::uint64_t offset = 0; tlbs_ && offset < page_bytes(PageSize::Size2M); offset += step)
    tlbs_->drop_page({region + offset}, tag);
  invalidate(record);
  for (const PhysicalAddress frame : old_frames) counts_.swept_lines += caches_.promoted(frame, step);
  judge_scheduler();
}

}  // namespace shearling
