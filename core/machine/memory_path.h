// SPDX-License-Identifier: GPL-3.0-or-later
//
// The memory path of one core: translation caches and cache hierarchy, with an event for each thing they do. It has no
// idea of page-table formats: the ISA's MMU walks, and tells the path about every reference. Every access asks the
// TLBs, for its rights are there: where a VIVT cache hits, their latency is charged although no data waited for it.
// With models off (direct execution), lookups miss, fills and accesses do nothing, and no event is emitted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/translation_caches.h"
#include "core/events/sink.h"

namespace shearling {

/// Sums since the machine started, for `run --json` and the counters' tracks.
struct MemoryPathCounters {
  std::uint64_t tlb_lookups = 0, tlb_misses = 0;  ///< Whole lookups (all levels); misses lead to a walk.
  std::uint64_t walks = 0, walk_references = 0, walk_skipped = 0;
  std::uint64_t latency_cycles = 0;
  MemoryPathCounters& operator+=(const MemoryPathCounters& other) {
    tlb_lookups += other.tlb_lookups;
    tlb_misses += other.tlb_misses;
    walks += other.walks;
    walk_references += other.walk_references;
    walk_skipped += other.walk_skipped;
    latency_cycles += other.latency_cycles;
    return *this;
  }
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(tlb_lookups, tlb_misses, walks, walk_references, walk_skipped, latency_cycles);
  }
};

class MemoryPath {
 public:
  MemoryPath(const TranslationCachesConfig& translation, const CacheHierarchyConfig& caches, EventStream& events);

  void set_models_on(bool on) { models_on_ = on; }
  [[nodiscard]] bool models_on() const { return models_on_; }

  /// TLB lookup over all levels, and the TFT's beside it; emits tlb.lookup, tft.lookup, and the L1 refills of an L2 hit
  /// (with tft.fill for 2 MB pages).
  const TlbEntry* lookup(VirtualAddress address, AccessKind kind, TlbTag tag);
  /// After a walk; emits tlb.fill, tlb.evict, and tft.fill when a 2 MB L1 data entry was filled.
  void fill(const TlbEntry& entry, AccessKind kind);
  void drop_page(VirtualAddress address, TlbTag tag);

  std::optional<WalkCacheEntry> walk_cache_lookup(VirtualAddress address, TlbTag tag);
  void walk_cache_fill(const WalkCacheEntry& entry);
  const TlbEntry* nested_lookup(GuestPhysicalAddress address, std::uint16_t virtual_machine);
  void nested_fill(const TlbEntry& entry);

  /// The cache access of one walk reference; emits cache events. Returns latency and, while micro-events are wanted,
  /// where it was found.
  struct Served {
    ServedBy by = ServedBy::None;
    std::uint32_t latency = 0;
  };
  Served walk_access(PhysicalAddress address);
  /// A fetch, load or store of the program: split at line borders, then L1, L2, ... with events and latency. The TFT's
  /// answer is the one of the access's lookup; an access without one (paging is off) asks now.
  void program_access(VirtualAddress virtual_address, PhysicalAddress physical_address, unsigned size, AccessKind kind,
                      PageSize page_size);

  // Invalidations: TLBs, page-walk caches and TFT together, with one tlb.invalidate event (and tft.invalidate). Where
  // the machine asks for it, that of an address also sweeps the lines of the base page whose translation a TLB held
  // (section IV-C2); of a page that no TLB holds, the hardware cannot know the frame.
  void invalidate_address(VirtualAddress address, TlbTag tag, std::string_view reason);
  void invalidate_address_space(TlbTag tag, bool keep_global, std::string_view reason);
  void invalidate_virtual_machine(std::uint16_t virtual_machine, bool keep_global, bool nested,
                                  std::string_view reason);
  void invalidate_all(std::string_view reason);
  /// Stage 2's own translations of an address, and nothing made of both stages together (TLBI IPAS2E1).
  void invalidate_nested(GuestPhysicalAddress address, std::uint16_t virtual_machine, std::string_view reason);
  /// Another address space runs, and its translations were kept: flushes the TFT unless its entries are tagged (section
  /// IV-C3 of the paper).
  void context_switched();
  /// The same, unless it is the address space that was looked up last.
  void context_switched_to(TlbTag tag) {
    if (tag != owner_) context_switched();
  }

  void count_walk(unsigned references, unsigned skipped);
  [[nodiscard]] const MemoryPathCounters& counters() const { return counters_; }
  [[nodiscard]] const TranslationCaches& translation() const { return translation_; }
  [[nodiscard]] const CacheHierarchy& caches() const { return caches_; }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(translation_, caches_, counters_, owner_.address_space, owner_.virtual_machine);
    if constexpr (Archive::kReading) filter_answers_.clear();
  }

 private:
  /// What the TFT said when an access was looked up, until the caches see that access: within one instruction, so this
  /// is no state between steps.
  struct FilterAnswer {
    std::uint64_t page = 0;
    AccessKind kind = AccessKind::Read;
    TftOutcome outcome;
  };
  void ask_filter(VirtualAddress address, AccessKind kind);
  void tell_filter(VirtualAddress address, const TftOutcome& answer);
  TftOutcome take_filter_answer(VirtualAddress address, AccessKind kind);
  /// The same name in memory that outlives this machine: events go wherever they like.
  [[nodiscard]] std::string_view kept(std::string_view name) const;
  void access(const CacheReference& reference);
  void fill_filter(const TlbEntry& entry, AccessKind kind);
  void invalidated(InvalidationScope scope, unsigned dropped, std::string_view reason, const Invalidated& in_caches);
  void count_superpages();
  [[nodiscard]] std::optional<TlbEntry> base_page_to_sweep(VirtualAddress address, TlbTag tag) const;
  void sweep(const TlbEntry& base_page);
  [[nodiscard]] ServedBy served_by(const HierarchyOutcome& outcome) const;
  void charge(std::uint64_t latency);
  void emit_fill(const TlbEntry& entry, const Tlb& tlb, const Tlb::FillOutcome& outcome);
  void emit_hierarchy(const HierarchyOutcome& outcome, const CacheReference& reference);
  void emit_cache(const CacheOutcome& outcome, const CacheReference& reference, std::uint32_t charged);
  void emit_moves(const CacheOutcome& outcome);
  void emit_eviction(std::string_view cache, const LineMove& line);
  void emit_alias(const HierarchyOutcome& outcome, const CacheReference& reference);

  EventStream& events_;
  std::vector<std::string_view> names_;
  TranslationCaches translation_;
  CacheHierarchy caches_;
  MemoryPathCounters counters_;
  std::uint32_t fetch_waits_ = 0, data_waits_ = 0;  ///< Cycles of the L1 TLB that a PIPT cache waits for.
  TlbTag owner_;                                    ///< Of the latest lookup: whoever runs.
  std::vector<FilterAnswer> filter_answers_;
  bool models_on_ = true;
};

}  // namespace shearling
