// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/memory_path.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "core/base/assert.h"

namespace shearling {

namespace {

constexpr std::string_view kHomonym = "homonym";
constexpr std::string_view kSynonym = "synonym";
constexpr std::string_view kNewWalk = "A new walk of the page";

/// An L1 TLB's cycles, where the cache begins only when it has answered.
std::uint32_t wait_of(const std::vector<TlbGeometry>& first_level, TranslationOrder order) {
  std::uint32_t longest = 0;
  if (order != TranslationOrder::Before) return longest;
  for (const TlbGeometry& tlb : first_level) longest = std::max(longest, tlb.latency);
  return longest;
}

bool is_data(AccessKind kind) { return kind != AccessKind::Fetch; }

/// A copy that lives as long as the program. There are as many as machine descriptions have names.
std::string_view keep(const std::string& name) {
  static std::mutex mutex;
  static std::set<std::string> names;
  const std::lock_guard lock(mutex);
  return *names.insert(name).first;
}

/// The set that was asked. A TLB of several page sizes is asked once for each of them: the first one stands for all.
std::uint16_t asked_set(const TlbProbe& probe, VirtualAddress address) {
  if (probe.outcome.hit) return probe.outcome.set;
  const unsigned shift = page_shift(probe.tlb->geometry().page_sizes.front());
  return static_cast<std::uint16_t>((address.value >> shift) % probe.tlb->sets());
}

/// Way of the nested TLB (one set) that holds this entry.
std::uint16_t way_of(const Tlb& tlb, const TlbEntry* entry) {
  for (unsigned way = 0; way < tlb.geometry().ways; ++way) {
    if (&tlb.slot(0, way).entry == entry) return static_cast<std::uint16_t>(way);
  }
  return 0;
}

}  // namespace

MemoryPath::MemoryPath(const TranslationCachesConfig& translation, const CacheHierarchyConfig& caches,
                       EventStream& events)
    : events_(events),
      translation_(translation),
      caches_(caches),
      fetch_waits_(wait_of(translation.instruction, caches_.translation_order(AccessKind::Fetch))),
      data_waits_(wait_of(translation.data, caches_.translation_order(AccessKind::Read))) {
  for (const Tlb* tlb : translation_.structures()) names_.push_back(keep(tlb->geometry().name));
  for (const Cache* cache :
       {&caches_.l1i(), &caches_.l1d(), caches_.twin(), caches_.l2(), caches_.l2i(), caches_.last_level()}) {
    if (cache != nullptr) names_.push_back(keep(cache->config().name));
  }
}

std::string_view MemoryPath::kept(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  SHEARLING_ASSERT(found != names_.end(), "a structure of the memory path has no name");
  return *found;
}

// --- translation -----------------------------------------------------------------------------------------------------

const TlbEntry* MemoryPath::lookup(VirtualAddress address, AccessKind kind, TlbTag tag) {
  if (!models_on_) return nullptr;
  ++counters_.tlb_lookups;
  owner_ = tag;
  if (caches_.tft() != nullptr) ask_filter(address, kind);
  const std::uint32_t wait = is_data(kind) ? data_waits_ : fetch_waits_;
  charge(wait);
  if (!events_.wants_micro_events()) {
    const TranslationHit hit = translation_.lookup_quietly(address, kind, tag);
    charge(hit.latency);
    if (hit.entry == nullptr)
      ++counters_.tlb_misses;
    else if (hit.refilled)
      fill_filter(*hit.entry, kind);
    return hit.entry;
  }
  const TranslationLookup found = translation_.lookup(address, kind, tag);
  charge(found.latency);
  if (found.entry == nullptr) ++counters_.tlb_misses;
  for (unsigned i = 0; i < found.probe_count; ++i) {
    const TlbProbe& probe = found.probes[i];
    // The second level is asked last. The first level's latency is hidden behind the cache's, unless that is PIPT.
    const bool last = i + 1 == found.probe_count;
    events_.micro(TlbLookup{.structure = kept(probe.tlb->geometry().name),
                            .virtual_address = address,
                            .hit = probe.outcome.hit,
                            .set = asked_set(probe, address),
                            .way = probe.outcome.way},
                  (last ? found.latency : 0) + (i == 0 ? wait : 0));
  }
  if (found.entry == nullptr) return nullptr;
  for (unsigned i = 0; i < found.fill_count; ++i) emit_fill(*found.entry, *found.fills[i].tlb, found.fills[i].outcome);
  if (found.fill_count != 0) fill_filter(*found.entry, kind);
  return found.entry;
}

/// TLBs, TFT and cache start together: a fill that this access causes comes too late for it. A later lookup of the same
/// page for the same kind of access replaces one whose access never came.
void MemoryPath::ask_filter(VirtualAddress address, AccessKind kind) {
  if (!is_data(kind)) {  // An instruction begins.
    filter_answers_.clear();
    return;
  }
  const TftOutcome outcome = caches_.tft()->lookup(address, owner_);
  tell_filter(address, outcome);
  take_filter_answer(address, kind);
  filter_answers_.push_back({address.value / kFrameBytes, kind, outcome});
}

void MemoryPath::tell_filter(VirtualAddress address, const TftOutcome& answer) {
  if (!answer.asked) return;
  events_.micro(TftLookup{.virtual_address = address, .index = answer.index, .hit = answer.hit});
}

TftOutcome MemoryPath::take_filter_answer(VirtualAddress address, AccessKind kind) {
  for (FilterAnswer& answer : filter_answers_) {
    if (answer.page != address.value / kFrameBytes || answer.kind != kind) continue;
    const TftOutcome outcome = answer.outcome;
    answer = filter_answers_.back();
    filter_answers_.pop_back();
    return outcome;
  }
  return {};
}

void MemoryPath::fill(const TlbEntry& entry, AccessKind kind) {
  if (!models_on_) return;
  const TranslationFills fills = translation_.fill(entry, kind);
  if (events_.wants_micro_events()) {
    for (const TlbFillRecord& record : fills) emit_fill(entry, *record.tlb, record.outcome);
  }
  fill_filter(entry, kind);
}

/// The TFT learns of a superpage whenever an L1 data TLB is filled with a 2 MB entry (section IV-A2 of the paper).
void MemoryPath::fill_filter(const TlbEntry& entry, AccessKind kind) {
  if (entry.size != PageSize::Size2M || !is_data(kind)) return;
  const auto& data = translation_.config().data;
  const bool first_level_holds = std::any_of(data.begin(), data.end(), [](const TlbGeometry& geometry) {
    return std::find(geometry.page_sizes.begin(), geometry.page_sizes.end(), PageSize::Size2M) !=
           geometry.page_sizes.end();
  });
  if (!first_level_holds) return;
  count_superpages();
  if (const auto index = caches_.superpage_filled(entry.page, entry.tag))
    events_.micro(TftFill{.region = entry.page, .index = *index});
}

void MemoryPath::drop_page(VirtualAddress address, TlbTag tag) {
  if (!models_on_) return;
  const unsigned dropped = translation_.drop_page(address, tag);
  if (dropped == 0) return;
  count_superpages();
  events_.micro(
      TlbInvalidate{.scope = InvalidationScope::Address, .address = address, .dropped = dropped, .reason = kNewWalk});
}

std::optional<WalkCacheEntry> MemoryPath::walk_cache_lookup(VirtualAddress address, TlbTag tag) {
  if (!models_on_ || translation_.config().walk_cache_entries == 0) return std::nullopt;
  charge(translation_.config().walk_cache_latency);
  return translation_.walk_cache_lookup(address, tag);
}

void MemoryPath::walk_cache_fill(const WalkCacheEntry& entry) {
  if (models_on_) translation_.walk_cache_fill(entry);
}

const TlbEntry* MemoryPath::nested_lookup(GuestPhysicalAddress address, std::uint16_t virtual_machine) {
  if (!models_on_ || translation_.config().nested_entries == 0) return nullptr;
  const unsigned latency = translation_.config().nested_latency;
  charge(latency);
  const TlbEntry* entry = translation_.nested_lookup(address, virtual_machine);
  if (events_.wants_micro_events()) {
    const Tlb& tlb = *translation_.structures().back();
    events_.micro(TlbLookup{.structure = kept(tlb.geometry().name),
                            .virtual_address = {address.value},
                            .hit = entry != nullptr,
                            .way = entry != nullptr ? way_of(tlb, entry) : std::uint16_t{0}},
                  latency);
  }
  return entry;
}

void MemoryPath::nested_fill(const TlbEntry& entry) {
  if (!models_on_ || translation_.config().nested_entries == 0) return;
  translation_.nested_fill(entry);
  if (!events_.wants_micro_events()) return;
  const Tlb& tlb = *translation_.structures().back();
  const TlbEntry* held = tlb.peek(entry.page, {.address_space = 0, .virtual_machine = entry.tag.virtual_machine});
  Tlb::FillOutcome outcome;
  outcome.way = way_of(tlb, held);
  emit_fill(*held, tlb, outcome);
}

void MemoryPath::emit_fill(const TlbEntry& entry, const Tlb& tlb, const Tlb::FillOutcome& outcome) {
  const std::string_view name = kept(tlb.geometry().name);
  if (outcome.evicted) {
    events_.micro(TlbEvict{.structure = name, .page = outcome.evicted->page, .set = outcome.set, .way = outcome.way});
  }
  events_.micro(TlbFill{.structure = name,
                        .page = entry.page,
                        .frame = entry.frame,
                        .page_size = entry.size,
                        .address_space = entry.tag.address_space,
                        .virtual_machine = entry.tag.virtual_machine,
                        .set = outcome.set,
                        .way = outcome.way});
}

// --- caches ----------------------------------------------------------------------------------------------------------

MemoryPath::Served MemoryPath::walk_access(PhysicalAddress address) {
  if (!models_on_) return {};
  const CacheReference reference{.physical_address = address, .walk = true};
  if (!events_.wants_micro_events()) {
    const HierarchyCost cost = caches_.access_quietly(reference);
    charge(cost.latency);
    return {.latency = static_cast<std::uint32_t>(cost.latency)};
  }
  const HierarchyOutcome outcome = caches_.access(reference);
  charge(outcome.latency);
  emit_hierarchy(outcome, reference);
  return {.by = served_by(outcome), .latency = static_cast<std::uint32_t>(outcome.latency)};
}

ServedBy MemoryPath::served_by(const HierarchyOutcome& outcome) const {
  if (outcome.memory_reached) return ServedBy::Memory;
  if (outcome.level_count <= 1) return ServedBy::L1;
  return outcome.level_count == 2 && caches_.config().l2 ? ServedBy::L2 : ServedBy::LastLevel;
}

void MemoryPath::program_access(VirtualAddress virtual_address, PhysicalAddress physical_address, unsigned size,
                                AccessKind kind, PageSize page_size) {
  if (!models_on_) return;
  const std::uint64_t line = is_data(kind) ? caches_.config().l1d.line : caches_.config().l1i.line;
  TftOutcome filter;
  std::uint64_t done = 0;
  do {  // Each line that the bytes touch is a reference of its own.
    CacheReference reference{.virtual_address = {virtual_address.value + done},
                             .physical_address = {physical_address.value + done},
                             .page_size = page_size,
                             .kind = kind,
                             .owner = owner_,
                             .filter = filter};
    if (done == 0 || reference.virtual_address.value % kFrameBytes == 0)
      reference.filter = filter = take_filter_answer(reference.virtual_address, kind);
    else
      tell_filter(reference.virtual_address, filter);  // Each line asks; the lookup has told of the first.
    access(reference);
    done += line - (reference.physical_address.value & (line - 1));
  } while (done < size);
}

void MemoryPath::access(const CacheReference& reference) {
  if (!events_.wants_micro_events()) {
    charge(caches_.access_quietly(reference).latency);
    return;
  }
  const HierarchyOutcome outcome = caches_.access(reference);
  charge(outcome.latency);
  emit_hierarchy(outcome, reference);
}

void MemoryPath::emit_hierarchy(const HierarchyOutcome& outcome, const CacheReference& reference) {
  if (!reference.filter.asked) tell_filter(reference.virtual_address, outcome.tft);
  // Memory has no event of its own: its latency is charged to the miss that went there.
  for (unsigned i = 0; i < outcome.level_count; ++i) {
    const bool to_memory = outcome.memory_reached && i + 1 == outcome.level_count;
    emit_cache(outcome.levels[i], reference,
               outcome.levels[i].latency + (to_memory ? caches_.config().memory_latency : 0));
  }
  emit_alias(outcome, reference);
  for (const DroppedLine& dropped : outcome.dropped) emit_eviction(dropped.cache, dropped.line);
  for (const CacheOutcome& arrival : outcome.write_backs) emit_moves(arrival);
  if (outcome.twin) emit_cache(*outcome.twin, reference, 0);
}

void MemoryPath::emit_cache(const CacheOutcome& outcome, const CacheReference& reference, std::uint32_t charged) {
  events_.micro(CacheLookup{.cache = kept(outcome.cache),
                            .access = reference.kind,
                            .walk = reference.walk,
                            .hit = outcome.hit,
                            .way = outcome.way,
                            .ways_probed = outcome.ways_probed,
                            .ways_probed_mask = outcome.ways_probed_mask,
                            .set = outcome.set,
                            .virtual_address = reference.virtual_address,
                            .physical_address = reference.physical_address,
                            .page_size = reference.page_size,
                            .latency = outcome.latency,
                            .energy = outcome.energy},
                charged);
  emit_moves(outcome);
}

void MemoryPath::emit_moves(const CacheOutcome& outcome) {
  if (outcome.evicted) emit_eviction(outcome.cache, *outcome.evicted);
  if (!outcome.filled) return;
  events_.micro(CacheFill{.cache = kept(outcome.cache),
                          .line = outcome.filled->line,
                          .set = outcome.filled->set,
                          .way = outcome.filled->way});
}

void MemoryPath::emit_eviction(std::string_view cache, const LineMove& line) {
  events_.micro(CacheEvict{
      .cache = kept(cache), .line = line.line, .set = line.set, .way = line.way, .written_back = line.dirty});
}

void MemoryPath::emit_alias(const HierarchyOutcome& outcome, const CacheReference& reference) {
  if (outcome.alias == AliasError::None) return;
  events_.micro(CacheAlias{.cache = kept(outcome.levels[0].cache),
                           .kind = outcome.alias == AliasError::Homonym ? kHomonym : kSynonym,
                           .walk = reference.walk,
                           .virtual_address = reference.virtual_address,
                           .physical_address = reference.physical_address});
}

// --- invalidations ---------------------------------------------------------------------------------------------------

void MemoryPath::invalidate_address(VirtualAddress address, TlbTag tag, std::string_view reason) {
  if (!models_on_) return;
  const std::optional<TlbEntry> base_page = base_page_to_sweep(address, tag);
  const unsigned dropped = translation_.invalidate_address(address, tag);
  events_.micro(
      TlbInvalidate{.scope = InvalidationScope::Address, .address = address, .dropped = dropped, .reason = reason});
  if (caches_.page_invalidated(address).filter_entries != 0)
    events_.micro(TftInvalidate{.region = {address.value & ~page_offset_mask(PageSize::Size2M)}});
  if (base_page) sweep(*base_page);
  count_superpages();
}

/// Whose lines are to go with its translation.
std::optional<TlbEntry> MemoryPath::base_page_to_sweep(VirtualAddress address, TlbTag tag) const {
  if (!caches_.config().sweep_on_invalidation) return std::nullopt;
  std::vector<const Tlb*> tlbs = translation_.structures();
  if (translation_.config().nested_entries != 0) tlbs.pop_back();  // It holds guest-physical pages.
  for (const Tlb* tlb : tlbs) {
    const TlbEntry* entry = tlb->peek(address, tag);
    if (entry != nullptr && page_shift(entry->size) < page_shift(PageSize::Size2M)) return *entry;
  }
  return std::nullopt;
}

void MemoryPath::sweep(const TlbEntry& base_page) {
  const HierarchyOutcome outcome = caches_.promoted_watched(base_page.frame, page_bytes(base_page.size));
  if (!events_.wants_micro_events()) return;
  for (const DroppedLine& dropped : outcome.dropped) emit_eviction(dropped.cache, dropped.line);
  for (const CacheOutcome& arrival : outcome.write_backs) emit_moves(arrival);
}

void MemoryPath::invalidate_address_space(TlbTag tag, bool keep_global, std::string_view reason) {
  if (!models_on_) return;
  const unsigned dropped = translation_.invalidate_address_space(tag, keep_global);
  invalidated(InvalidationScope::AddressSpace, dropped, reason, caches_.address_space_invalidated(tag));
}

void MemoryPath::invalidate_virtual_machine(std::uint16_t virtual_machine, bool keep_global, bool nested,
                                            std::string_view reason) {
  if (!models_on_) return;
  const unsigned dropped = translation_.invalidate_virtual_machine(virtual_machine, keep_global, nested);
  invalidated(keep_global ? InvalidationScope::AllButGlobal : InvalidationScope::VirtualMachine, dropped, reason,
              caches_.virtual_machine_invalidated(virtual_machine));
}

void MemoryPath::invalidate_all(std::string_view reason) {
  if (!models_on_) return;
  invalidated(InvalidationScope::All, translation_.invalidate_all(), reason, caches_.all_invalidated());
}

void MemoryPath::invalidate_nested(GuestPhysicalAddress address, std::uint16_t virtual_machine,
                                   std::string_view reason) {
  if (!models_on_) return;
  const unsigned dropped = translation_.invalidate_nested(address, virtual_machine);
  events_.micro(TlbInvalidate{
      .scope = InvalidationScope::Address, .address = {address.value}, .dropped = dropped, .reason = reason});
}

void MemoryPath::invalidated(InvalidationScope scope, unsigned dropped, std::string_view reason,
                             const Invalidated& in_caches) {
  events_.micro(TlbInvalidate{.scope = scope, .address = {}, .dropped = dropped, .reason = reason});
  if (in_caches.filter_entries != 0) events_.micro(TftInvalidate{.region = {}, .all = true});
  count_superpages();
}

void MemoryPath::context_switched() {
  if (!models_on_) return;
  if (caches_.context_switched() != 0) events_.micro(TftInvalidate{.region = {}, .all = true});
}

/// Tells SEESAW's scheduler how many superpages the L1 data TLBs hold (section IV-B3 of the paper).
void MemoryPath::count_superpages() {
  if (caches_.tft() == nullptr || caches_.config().scheduler != SchedulerPolicy::QuarterRule) return;
  unsigned valid = 0;
  unsigned entries = 0;
  const std::vector<const Tlb*> tlbs = translation_.structures();
  const std::size_t first = translation_.config().instruction.size();
  for (std::size_t i = first; i < first + translation_.config().data.size(); ++i) {
    if (!tlbs[i]->holds(PageSize::Size2M)) continue;
    valid += tlbs[i]->valid_entries(PageSize::Size2M);
    entries += tlbs[i]->geometry().entries;
  }
  caches_.superpage_entries(valid, entries);
}

// --- accounts --------------------------------------------------------------------------------------------------------

void MemoryPath::count_walk(unsigned references, unsigned skipped) {
  if (!models_on_) return;
  ++counters_.walks;
  counters_.walk_references += references;
  counters_.walk_skipped += skipped;
}

void MemoryPath::charge(std::uint64_t latency) { counters_.latency_cycles += latency; }

}  // namespace shearling
