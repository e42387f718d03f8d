// SPDX-License-Identifier: GPL-3.0-or-later
//
// All that remembers translations in one core: L1 TLBs split by use and page size, an L2 TLB, page-walk caches (upper
// levels of stage 1, keyed by the address bits above the level), and a nested TLB (guest-physical to physical).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "cache-sim/tlb.h"

namespace shearling {

struct TranslationCachesConfig {
  static constexpr std::size_t kMostFirstLevel = 4;
  std::vector<TlbGeometry> instruction;  ///< L1, one a page size or shared; at most kMostFirstLevel.
  std::vector<TlbGeometry> data;         ///< L1, likewise.
  std::optional<TlbGeometry> second_level;
  unsigned walk_cache_entries = 16;  ///< For each level that points to a table; 0: none. Fully associative, LRU.
  unsigned walk_cache_latency = 1;   ///< Cycles.
  unsigned nested_entries = 32;      ///< 0: none. Fully associative, LRU.
  unsigned nested_latency = 1;       ///< Cycles.
  std::uint64_t seed = 1;            ///< Of random replacement.
};

/// Why no such structures can be built, in one sentence; empty if they can.
[[nodiscard]] std::string problem_of(const TranslationCachesConfig& config);

/// One structure's answer, for one event.
struct TlbProbe {
  const Tlb* tlb = nullptr;
  TlbOutcome outcome;
};
struct TlbFillRecord {
  const Tlb* tlb = nullptr;
  Tlb::FillOutcome outcome;
};

/// What a fill wrote: at most one L1 TLB and the L2. Iterable, for one event each.
struct TranslationFills {
  std::array<TlbFillRecord, 2> records{};
  unsigned count = 0;
  [[nodiscard]] const TlbFillRecord* begin() const { return records.data(); }
  [[nodiscard]] const TlbFillRecord* end() const { return records.data() + count; }
};

/// Translation lookup over L1 and L2. The L1 TLBs of one side are asked in their configured order up to the first hit
/// (hardware asks them at once; a miss changes nothing).
struct TranslationLookup {
  const TlbEntry* entry = nullptr;   ///< Null: every level missed.
  std::array<TlbProbe, 5> probes{};  ///< In the order probed.
  unsigned probe_count = 0;
  std::array<TlbFillRecord, 2> fills{};  ///< L1 fills made because the L2 hit.
  unsigned fill_count = 0;
  unsigned latency = 0;  ///< Cycles beyond the L1 lookup that runs beside the cache.
};

/// The same lookup without its report: for when nobody watches. Wide fields, as in HierarchyCost.
struct TranslationHit {
  const TlbEntry* entry = nullptr;  ///< Null: every level missed.
  std::uint64_t latency = 0;        ///< As in TranslationLookup.
  bool refilled = false;            ///< The L2 hit, and an L1 TLB was filled from it.
};

/// The key of a page-walk cache is the address above what one entry of `level` maps. A table fills one granule (4 KB,
/// on Arm also 16 or 64 KB) with entries of 8 bytes: 9, 11 or 13 address bits a level.
constexpr unsigned walk_cache_shift(unsigned level, PageSize granule = PageSize::Size4K) {
  return page_shift(granule) + (page_shift(granule) - 3) * (level - 1);
}

/// A table pointer that a page-walk cache holds: the entry of level `level` (4: PML4E gives the level-3 table).
struct WalkCacheEntry {
  std::uint8_t level = 0;
  PageSize granule = PageSize::Size4K;
  std::uint64_t address_bits = 0;  ///< VA >> walk_cache_shift(level, granule), the key.
  TlbTag tag;
  std::uint64_t root = 0;
  PhysicalAddress entry_address;   ///< Where the entry lies on the memory bus.
  GuestPhysicalAddress table;      ///< The next table, as stage 1 holds it.
  PhysicalAddress table_physical;  ///< The same after stage 2.
  std::uint64_t raw_entry = 0;
  std::uint32_t permissions = 0;  ///< Accumulated from the root down to here, the ISA's bits.
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(level, granule, address_bits, tag.address_space, tag.virtual_machine, root, entry_address.value,
            table.value, table_physical.value, raw_entry, permissions);
  }
};

class TranslationCaches {
 public:
  explicit TranslationCaches(TranslationCachesConfig config);

  [[nodiscard]] const TranslationCachesConfig& config() const { return config_; }

  TranslationLookup lookup(VirtualAddress address, AccessKind kind, TlbTag tag);
  /// Changes state exactly as lookup() does.
  TranslationHit lookup_quietly(VirtualAddress address, AccessKind kind, TlbTag tag);
  /// Fills L1 (of the kind's side and the entry's size) and L2 after a walk. Returns what was filled, for events. Where
  /// no structure holds the entry's size nothing is filled, and every access walks.
  TranslationFills fill(const TlbEntry& entry, AccessKind kind);
  /// Drops one page from every L1 and L2 TLB (before a rewalk that sets a Dirty bit, for instance). Counts what went.
  unsigned drop_page(VirtualAddress address, TlbTag tag);

  /// The lowest-level table pointer held for this address (level 2 beats 3 beats 4), or nothing.
  std::optional<WalkCacheEntry> walk_cache_lookup(VirtualAddress address, TlbTag tag);
  void walk_cache_fill(const WalkCacheEntry& entry);

  /// Nested TLB: guest-physical page to physical. An entry's `page` is the guest-physical page as a plain number; of
  /// its tag only the virtual machine counts.
  const TlbEntry* nested_lookup(GuestPhysicalAddress address, std::uint16_t virtual_machine);
  void nested_fill(const TlbEntry& entry);

  /// Invalidations reach TLBs and page-walk caches. One address drops all that the page-walk caches hold of its address
  /// space, whatever the address (Intel SDM vol. 3, 4.10.4.1, INVLPG). `nested` says whether guest-physical
  /// translations go too (INVEPT, stage-2 TLBI). All return the number of entries dropped.
  unsigned invalidate_address(VirtualAddress address, TlbTag tag);
  unsigned invalidate_address_space(TlbTag tag, bool keep_global);
  unsigned invalidate_virtual_machine(std::uint16_t virtual_machine, bool keep_global, bool nested);
  unsigned invalidate_all();
  /// Of the nested TLB alone (TLBI IPAS2E1): what was made of both stages together stays.
  unsigned invalidate_nested(GuestPhysicalAddress address, std::uint16_t virtual_machine);

  /// Every TLB, in a fixed order (instruction, data, second level, nested), for views and staleness checks.
  [[nodiscard]] std::vector<const Tlb*> structures() const;
  [[nodiscard]] const std::vector<WalkCacheEntry>& walk_cache_entries() const { return walk_cache_; }

  template <typename Archive>
  void serialize(Archive& archive) {
    for (auto& tlb : instruction_) archive(tlb);
    for (auto& tlb : data_) archive(tlb);
    if (second_level_) archive(*second_level_);
    if (nested_) archive(*nested_);
    archive(walk_cache_);
  }

 private:
  template <typename Observer>
  const TlbEntry* find(VirtualAddress address, AccessKind kind, TlbTag tag, Observer& observer);
  [[nodiscard]] std::vector<Tlb>& first_level(AccessKind kind) {
    return kind == AccessKind::Fetch ? instruction_ : data_;
  }
  template <typename Operation>
  unsigned sum_over_tlbs(Operation operation);
  template <typename Condition>
  unsigned drop_walk_cache_where(Condition condition);

  TranslationCachesConfig config_;
  std::vector<Tlb> instruction_;
  std::vector<Tlb> data_;
  std::optional<Tlb> second_level_;
  std::optional<Tlb> nested_;
  std::vector<WalkCacheEntry> walk_cache_;  ///< Most recently used first, at most walk_cache_entries of each level.
};

}  // namespace shearling
