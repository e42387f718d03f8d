// SPDX-License-Identifier: GPL-3.0-or-later
//
// Caches of one core and what lies below them: split L1, second level (unified or split), last level, memory. An L1 is
// PIPT, VIPT, VIVT (cache-sim/aliases.h says what becomes of its synonyms and homonyms) or, on the data side, SEESAW
// with its translation filter table, its scheduler's assumption, and a plain VIPT twin beside it for comparison. Values
// in, outcomes out. Left out: data, queues and bandwidth; nobody waits for a store or a victim on its way down. SEESAW
// after M. Parasar, A. Bhattacharjee, T. Krishna, "SEESAW: Using Superpages to Improve VIPT Caches", ISCA 2018.
//
// Who adds which latency: a hierarchy's latency begins where its L1 can begin. VIPT and SEESAW begin together with the
// TLBs, and a VIVT hit needs none; PIPT begins when they have answered, so its caller adds the L1 TLB's cycles before
// (translation_order()). What translation takes beyond the L1 TLB is the caller's in every organisation.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/aliases.h"
#include "cache-sim/cache.h"
#include "cache-sim/translation_filter_table.h"

namespace shearling {

/// Which hit time an out-of-order core's scheduler assumes of SEESAW (section IV-B3). A load that turns out slow where
/// it assumed fast is replayed.
enum class SchedulerPolicy : std::uint8_t {
  AlwaysFast,   ///< Also a core that assumes nothing: then its replays mean nothing.
  AlwaysSlow,   ///< No gain of time, all of the energy's.
  QuarterRule,  ///< Slow while fewer than a quarter of the L1 TLB's superpage entries are valid.
};

struct CacheHierarchyConfig {
  CacheConfig l1i{.name = "L1I"};
  CacheConfig l1d{.name = "L1D"};
  std::optional<CacheConfig> l2;   ///< Unified, or the data side's where there is an l2i.
  std::optional<CacheConfig> l2i;  ///< The instruction side's second level.
  std::optional<CacheConfig> last_level;
  TranslationFilterTableConfig tft;
  SchedulerPolicy scheduler = SchedulerPolicy::AlwaysFast;
  /// SEESAW: whoever invalidates the translation of a base page calls promoted() for it, as in the extended TLB
  /// invalidation of section IV-C2.
  bool sweep_on_invalidation = false;
  unsigned memory_latency = 68;  ///< Cycles: 51 ns at 1.33 GHz (Table II).
  float memory_energy = 0.0F;    ///< nJ; 0 means not modelled. The paper does not give it.
  std::uint64_t seed = 1;        ///< Of random replacement.
};

[[nodiscard]] std::string problem_of(const CacheHierarchyConfig& config);

/// One reference. Walk references have no virtual address and go to L1D by physical address.
struct CacheReference {
  VirtualAddress virtual_address;
  PhysicalAddress physical_address;
  PageSize page_size = PageSize::Size4K;  ///< Effective size of the translation.
  AccessKind kind = AccessKind::Read;
  bool walk = false;
  TlbTag owner;  ///< Whose virtual address it is: for virtual tags, and a TFT with tags.
  /// What the TFT answered when the reference began, beside the TLBs: before a walk of this very reference could fill
  /// it. Where nobody asked (`asked` is false) the hierarchy asks now.
  TftOutcome filter;
};

/// A line that left a cache although nothing took its place there: it had another name, or left a lower level that
/// includes this one.
struct DroppedLine {
  const char* cache = "";  ///< Name, owned by the hierarchy.
  LineMove line;
};

struct HierarchyOutcome {
  TftOutcome tft;
  bool replayed = false;                 ///< The scheduler assumed a fast hit; it was a slow lookup of a load.
  AliasError alias = AliasError::None;   ///< What the program was served is wrong, or old.
  std::array<CacheOutcome, 4> levels{};  ///< In the order asked: L1, L2, LLC as far as it went.
  unsigned level_count = 0;
  /// Writes arriving one level further down, in their order: dirty victims, stores written through or around, and the
  /// fetches that such a store causes there. Those of the last level go to memory.
  std::vector<CacheOutcome> write_backs;
  std::vector<DroppedLine> dropped;
  std::optional<CacheOutcome> twin;  ///< What the plain VIPT twin did.
  std::uint32_t latency = 0;         ///< Cycles in all, memory included.
  float energy = 0;                  ///< nJ in all.
  bool memory_reached = false;       ///< It waited for memory.
};

/// What one reference cost: the report of access_quietly(), with the same sums as HierarchyOutcome. Too wide for
/// registers on purpose: packing narrower fields into them would stall every hit on its own store.
struct HierarchyCost {
  std::uint64_t latency = 0;  ///< Cycles in all, memory included.
  double energy = 0;          ///< nJ in all.
  bool memory_reached = false;
  bool l1_hit = false;
  bool fast = false;  ///< SEESAW: the TFT hit, and one partition was enough.
  /// Caches asked, L1 first; all but the last one missed, and that one if memory_reached. For a store that L1 passes
  /// on, without a line of its own or through the one it holds, nobody waits below; it counts what it reached.
  std::uint64_t levels = 1;
  std::uint64_t l1_latency = 0;  ///< L1's part of `latency`.
  std::uint64_t l1_ways = 0;     ///< Ways that L1 probed.
};

/// Lines, and stores written through, that went to and from memory.
struct MemoryCounters {
  std::uint64_t reads = 0, writes = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(reads, writes);
  }
};

/// Of data references that are not the walker's. The first four are the cases of the paper's Table I.
struct SeesawCounters {
  std::uint64_t superpage_tft_hit_l1_hit = 0, superpage_tft_hit_l1_miss = 0, superpage_tft_miss = 0, base_page = 0;
  std::uint64_t false_positives = 0;  ///< Of base_page: the TFT hit, and the translation refuted it.
  std::uint64_t replays = 0;          ///< Loads that the scheduler assumed fast, and were not.
  std::uint64_t assumed_slow = 0;     ///< TFT hits without their gain of time: the scheduler assumed slow.
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(superpage_tft_hit_l1_hit, superpage_tft_hit_l1_miss, superpage_tft_miss, base_page);
    archive(false_positives, replays, assumed_slow);
  }
};

/// Lines that left a level because an inclusive one below lost them, and those of them that were dirty.
struct InclusionCounters {
  std::uint64_t invalidated = 0, dirty = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(invalidated, dirty);
  }
};

/// When an L1 needs the translation.
enum class TranslationOrder : std::uint8_t {
  Beside,  ///< VIPT, SEESAW: to compare tags.
  Before,  ///< PIPT: to begin.
  OnMiss,  ///< VIVT.
};

/// What a lost translation took along.
struct Invalidated {
  unsigned filter_entries = 0;  ///< Of the TFT.
  unsigned lines = 0;           ///< Of virtually tagged caches that handle aliases; dirty ones were written back.
};

class CacheHierarchy {
 public:
  explicit CacheHierarchy(CacheHierarchyConfig config);
  [[nodiscard]] const CacheHierarchyConfig& config() const { return config_; }

  /// One reference that does not cross a line.
  HierarchyOutcome access(const CacheReference& reference);
  /// Changes state and counters exactly as access() does: for when nobody watches.
  HierarchyCost access_quietly(const CacheReference& reference);
  /// Whether hit_again() can stand for access_quietly(): aliases, a plain twin and way prediction remember more.
  [[nodiscard]] bool can_hit_again(AccessKind kind) const;
  /// Counts `times` more references like the last one to this L1, which hit there and went no further.
  void hit_again(const CacheReference& reference, std::uint64_t times);
  /// A lookup of what lies below L1, for a line that L1 holds: what cachegrind does where the other line of one
  /// reference missed. `levels` does not count L1.
  HierarchyCost access_below(PhysicalAddress physical, AccessKind kind);

  /// By a fetch, or by loads and stores.
  [[nodiscard]] TranslationOrder translation_order(AccessKind kind) const;
  /// Whether the reference would hit a virtually tagged cache: it then asks no TLB.
  [[nodiscard]] bool hits_virtually(const CacheReference& reference) const;

  // What happens to translations. The TFT is filled on every 2 MB L1 DTLB fill; returns its index, if there is a TFT.
  std::optional<std::uint16_t> superpage_filled(VirtualAddress address, TlbTag owner = {});
  /// The translation of one page goes (INVLPG, TLBI): also a splinter.
  Invalidated page_invalidated(VirtualAddress address);
  Invalidated address_space_invalidated(TlbTag owner);
  Invalidated virtual_machine_invalidated(std::uint16_t virtual_machine);
  Invalidated all_invalidated();
  /// Another address space runs, and every translation stays. Returns the TFT entries dropped: all, unless it has tags.
  unsigned context_switched();
  /// How many entries of the L1 TLB of superpages are valid, of how many: for the quarter rule.
  void superpage_entries(unsigned valid, unsigned entries);

  /// A promotion to a larger page: SEESAW evicts the lines of [address, address + bytes) from L1D, dirty ones to the
  /// next level (section IV-C2). The plain twin keeps its lines: VIPT needs no sweep. Returns lines dropped.
  unsigned promoted(PhysicalAddress address, std::uint64_t bytes);
  /// The same, and reports what went (`dropped`) and where it arrived (`write_backs`).
  HierarchyOutcome promoted_watched(PhysicalAddress address, std::uint64_t bytes);
  /// Another agent asks for a line by its physical address. L1D answers, and counts it, and the twin does; L1I and the
  /// second level, which are this core's, too. The last level is everybody's. Cleaned data arrive there; whoever
  /// invalidates a line takes its data. Returns L1D's answer, with `dirty` where any of them had it dirty.
  ProbeOutcome coherence_probe(PhysicalAddress physical, CoherenceAction action);

  [[nodiscard]] const Cache& l1i() const { return l1i_; }
  [[nodiscard]] const Cache& l1d() const { return l1d_; }
  [[nodiscard]] const Cache* twin() const { return twin_ ? &*twin_ : nullptr; }
  [[nodiscard]] const Cache* l2() const { return l2_ ? &*l2_ : nullptr; }
  [[nodiscard]] const Cache* l2i() const { return l2i_ ? &*l2i_ : nullptr; }
  [[nodiscard]] const Cache* last_level() const { return last_level_ ? &*last_level_ : nullptr; }
  [[nodiscard]] const TranslationFilterTable* tft() const { return tft_ ? &*tft_ : nullptr; }
  [[nodiscard]] const SeesawCounters& seesaw_counters() const { return seesaw_; }
  [[nodiscard]] const MemoryCounters& memory_counters() const { return memory_; }
  [[nodiscard]] const InclusionCounters& inclusion_counters() const { return inclusion_; }
  /// Of both first-level caches.
  [[nodiscard]] AliasCounters alias_counters() const;
  /// The physical line in a slot of one of the caches above, whatever its tag says; nothing if it is empty.
  [[nodiscard]] std::optional<PhysicalAddress> line_in(const Cache& cache, unsigned set, unsigned way) const;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(l1i_, l1d_);
    if (twin_) archive(*twin_);
    if (l2_) archive(*l2_);
    if (l2i_) archive(*l2i_);
    if (last_level_) archive(*last_level_);
    if (tft_) archive(*tft_);
    if (l1i_guard_) archive(*l1i_guard_);
    if (l1d_guard_) archive(*l1d_guard_);
    archive(superpages_scarce_, seesaw_, memory_, inclusion_);
    if constexpr (Archive::kReading) decide_assumption();
  }

 private:
  template <typename Observer>
  unsigned sweep(PhysicalAddress address, std::uint64_t bytes, Observer& observer);
  /// What lies below L1, in the order of their fetches.
  enum class Level : std::uint8_t { Second, SecondOfInstructions, Last, Memory };
  struct Below {
    Cache* cache = nullptr;  ///< None: memory.
    Level level = Level::Memory;
    [[nodiscard]] Level next() const { return level == Level::Last ? Level::Memory : Level::Last; }
  };
  [[nodiscard]] Below below(Level level);
  /// Null where lines have one name.
  [[nodiscard]] AliasGuard* guard_of(const Cache& cache) {
    if (&cache == &l1d_) return l1d_guard_ ? &*l1d_guard_ : nullptr;
    return &cache == &l1i_ && l1i_guard_ ? &*l1i_guard_ : nullptr;
  }
  [[nodiscard]] const AliasGuard* guard_of(const Cache& cache) const {
    return const_cast<CacheHierarchy*>(this)->guard_of(cache);
  }

  /// What of a first-level step concerns the levels below. By value: the step itself stays in registers.
  struct FirstLevel {
    PhysicalAddress victim;
    bool victim_dirty = false, hit = false, filled = false, passes_on = false;
  };
  template <typename Observer>
  HierarchyCost run(const CacheReference& reference, Observer& observer);
  // Kept out of run(): inlined, they would cost its hit path registers.
  template <typename Observer>
  [[gnu::noinline]] HierarchyCost run_guarded(Cache& cache, AliasGuard& guard, const CacheReference& reference,
                                              Observer& observer);
  template <typename Observer>
  [[gnu::noinline]] HierarchyCost go_down(FirstLevel first, const CacheReference& reference, Observer& observer);
  template <typename Observer>
  bool ask_filter(const CacheReference& reference, Observer& observer, std::uint64_t times = 1);
  template <typename Observer>
  std::uint64_t assume(const CacheReference& reference, bool fast, Observer& observer, std::uint64_t times = 1);
  template <typename Observer>
  HierarchyCost fetch(Level level, PhysicalAddress physical, AccessKind kind, Observer& observer);
  template <typename Observer>
  HierarchyCost pass_on(Level level, PhysicalAddress physical, Observer& observer);
  // These return the energy: nobody waits for them.
  template <typename Observer>
  double write_back(Level level, PhysicalAddress line, Observer& observer);
  template <typename Observer>
  double lose(const Below& from, const Cache::Step& step, Observer& observer);
  template <typename Observer>
  bool invalidate_above(Level level, PhysicalAddress line, Observer& observer);
  template <typename Observer>
  bool invalidate_in(Cache& cache, PhysicalAddress line, Observer& observer);
  /// Every copy of a line goes. Returns what was there.
  std::vector<LineMove> drop_everywhere(Cache& cache, PhysicalAddress line);

  struct Synonyms {
    std::vector<LineMove> copies;
    double energy = 0;
  };
  static AliasError record(AliasGuard& guard, const Cache::Step& step, const AliasGuard::Name& name,
                           PhysicalAddress& victim);
  Synonyms evict_synonyms(Cache& cache, AliasGuard& guard, PhysicalAddress physical);
  /// Empties a slot of a guarded cache. Returns what was in it.
  LineMove drop(Cache& cache, AliasGuard& guard, AliasGuard::Place place);
  /// Empties the slots that `places(guard, cache)` names, of the caches that handle aliases of virtual tags.
  template <typename Places>
  unsigned flush_named(Places places);
  unsigned flush(Cache& cache, AliasGuard& guard, const std::vector<AliasGuard::Place>& places);
  ProbeOutcome probe_guarded(PhysicalAddress physical, CoherenceAction action);
  void decide_assumption();

  CacheHierarchyConfig config_;
  Cache l1i_;
  Cache l1d_;
  std::optional<Cache> twin_;
  std::optional<Cache> l2_;
  std::optional<Cache> l2i_;
  std::optional<Cache> last_level_;
  std::optional<TranslationFilterTable> tft_;
  std::optional<AliasGuard> l1i_guard_;
  std::optional<AliasGuard> l1d_guard_;
  /// A victim is on its way before what displaced it is fetched: where a level includes others, its own victim could
  /// otherwise overtake a newer copy from above. Else the fetch goes first, as from a write buffer.
  bool victims_first_ = false;
  bool superpages_scarce_ = true;  ///< Before anybody has told of any.
  bool assumes_fast_ = true;       ///< Follows from the policy and superpages_scarce_.
  SeesawCounters seesaw_;
  MemoryCounters memory_;
  InclusionCounters inclusion_;
};

}  // namespace shearling
