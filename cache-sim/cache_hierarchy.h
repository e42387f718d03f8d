// SPDX-License-Identifier: GPL-3.0-or-later
//
// Caches of one core and what lies below them: split L1 (VIPT, or SEESAW with its translation filter table, with a
// plain VIPT twin beside it for comparison), unified L2 and last-level cache, memory. Values in, outcomes out.
// SEESAW after M. Parasar, A. Bhattacharjee, T. Krishna, "SEESAW: Using Superpages to Improve VIPT Caches", ISCA 2018.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/address.h"
#include "cache-sim/replacement.h"

namespace shearling {

enum class CacheOrganisation : std::uint8_t { Vipt, Seesaw, Pipt };

struct CacheConfig {
  std::string name = "L1D";
  std::uint64_t size = 32 * 1024;            ///< Bytes.
  unsigned ways = 8;
  unsigned line = 64;                        ///< Bytes.
  CacheOrganisation organisation = CacheOrganisation::Vipt;
  ReplacementKind replacement = ReplacementKind::Lru;
  unsigned latency = 2;                      ///< Cycles of a full lookup (Table III: base page).
  unsigned fast_latency = 1;                 ///< SEESAW: cycles of a one-partition lookup (Table III: superpage).
  float energy = 0.047F;                     ///< nJ of a full lookup (Figure 2c, 32 KB 8-way).
  float partition_energy = 0.0285F;          ///< nJ of a one-partition lookup (0.6057 x 0.047; section IV-A4).
  bool plain_twin = false;                   ///< SEESAW: keep a plain VIPT twin on the same references.
};

struct TranslationFilterTableConfig {
  unsigned entries = 16;                     ///< Any number: the index is MOD entries (section IV-A2).
};

struct CacheHierarchyConfig {
  CacheConfig l1i{.name = "L1I"};
  CacheConfig l1d{.name = "L1D"};
  std::optional<CacheConfig> l2;
  std::optional<CacheConfig> last_level;
  TranslationFilterTableConfig tft;
  unsigned memory_latency = 68;              ///< Cycles: 51 ns at 1.33 GHz (Table II).
  float memory_energy = 0.0F;                ///< nJ; 0 means not modelled. The paper does not give it.
};

/// One reference. Walk references have no virtual address and go to L1D by physical address.
struct CacheReference {
  VirtualAddress virtual_address;
  PhysicalAddress physical_address;
  PageSize page_size = PageSize::Size4K;     ///< Effective size of the translation.
  AccessKind kind = AccessKind::Read;
  bool walk = false;
};

struct LineMove {
  PhysicalAddress line;
  std::uint32_t set = 0;
  std::uint8_t way = 0;
  bool dirty = false;                        ///< Of an evicted line: it is written back.
};

/// What one cache did with one reference.
struct CacheOutcome {
  const char* cache = "";                    ///< Name, owned by the hierarchy.
  bool hit = false;
  std::uint8_t way = 0;
  std::uint8_t ways_probed = 0;
  std::uint32_t ways_probed_mask = 0;
  std::uint32_t set = 0;
  std::uint32_t latency = 0;                 ///< Cycles.
  float energy = 0;                          ///< nJ.
  std::optional<LineMove> filled;
  std::optional<LineMove> evicted;
};

struct TftOutcome {
  bool asked = false;
  bool hit = false;
  std::uint16_t index = 0;
};

struct HierarchyOutcome {
  TftOutcome tft;
  std::array<CacheOutcome, 4> levels{};      ///< In the order asked: L1, L2, LLC as far as it went.
  unsigned level_count = 0;
  std::optional<CacheOutcome> twin;          ///< What the plain VIPT twin did.
  std::uint32_t latency = 0;                 ///< Cycles in all, memory included.
  float energy = 0;                          ///< nJ in all.
  bool memory_reached = false;
};

/// Counters of one cache; all sums.
struct CacheCounters {
  std::uint64_t reads = 0, writes = 0, read_misses = 0, write_misses = 0, ways_probed = 0, write_backs = 0;
  double energy = 0;
  template <typename Archive>
  void serialize(Archive& archive) { archive(reads, writes, read_misses, write_misses, ways_probed, write_backs, energy); }
};

/// The four cases of the paper's Table I, counted on data references that are not the walker's.
struct SeesawCounters {
  std::uint64_t superpage_tft_hit_l1_hit = 0, superpage_tft_hit_l1_miss = 0, superpage_tft_miss = 0, base_page = 0;
  template <typename Archive>
  void serialize(Archive& archive) { archive(superpage_tft_hit_l1_hit, superpage_tft_hit_l1_miss, superpage_tft_miss, base_page); }
};

/// Direct mapped, tagged with the 2 MB region, index = region number MOD entries.
class TranslationFilterTable {
 public:
  explicit TranslationFilterTable(TranslationFilterTableConfig config);
  [[nodiscard]] TftOutcome lookup(VirtualAddress address) const;
  std::uint16_t fill(VirtualAddress address);          ///< Returns the index.
  bool invalidate(VirtualAddress address);             ///< True if an entry went.
  unsigned flush();                                    ///< Number of entries dropped.
  struct Entry {
    std::uint64_t region = 0;                          ///< VA >> 21.
    std::uint64_t valid = 0;                           ///< 0 or 1.
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  template <typename Archive>
  void serialize(Archive& archive) { archive(entries_); }

 private:
  std::vector<Entry> entries_;
};

/// One set-associative, write-back, write-allocate cache. Partitioned lookups and insertions for SEESAW.
class Cache {
 public:
  explicit Cache(CacheConfig config, std::uint64_t seed = 1);
  struct Line {
    std::uint64_t number = 0;                          ///< Physical address / line size.
    std::uint8_t valid = 0, dirty = 0;
    std::array<std::uint8_t, 6> padding{};
  };
  [[nodiscard]] const CacheConfig& config() const { return config_; }
  [[nodiscard]] unsigned sets() const { return sets_; }
  [[nodiscard]] unsigned partitions() const { return partitions_; }   ///< 16 KB each (4 ways x 64 sets x 64 B); 1 unless SEESAW.
  [[nodiscard]] const Line& line(unsigned set, unsigned way) const { return lines_[set * config_.ways + way]; }
  /// Whole access: lookup over `fast ? the partition of the address : all ways`, fill on a miss. `index` supplies the
  /// set-index bits (virtual for VIPT and SEESAW, physical otherwise).
  CacheOutcome access(std::uint64_t index, PhysicalAddress physical, AccessKind kind, bool fast);
  /// Drops every line of [address, address + bytes); dirty ones count as written back. Returns lines dropped.
  unsigned sweep(PhysicalAddress address, std::uint64_t bytes);
  [[nodiscard]] const CacheCounters& counters() const { return counters_; }
  template <typename Archive>
  void serialize(Archive& archive) { archive(lines_, replacement_, counters_); }

 private:
  CacheConfig config_;
  unsigned sets_ = 1;
  unsigned partitions_ = 1;
  std::vector<Line> lines_;
  ReplacementState replacement_;
  CacheCounters counters_;
};

class CacheHierarchy {
 public:
  explicit CacheHierarchy(CacheHierarchyConfig config);
  [[nodiscard]] const CacheHierarchyConfig& config() const { return config_; }

  /// One reference that does not cross a line.
  HierarchyOutcome access(const CacheReference& reference);

  // The TFT's other events: on every 2 MB L1 DTLB fill, on an invalidation, on a context switch (no ASIDs).
  std::optional<std::uint16_t> superpage_filled(VirtualAddress address);   ///< TFT index, or nothing without SEESAW.
  bool superpage_invalidated(VirtualAddress address);
  unsigned context_switched();

  [[nodiscard]] const Cache& l1i() const { return l1i_; }
  [[nodiscard]] const Cache& l1d() const { return l1d_; }
  [[nodiscard]] const Cache* twin() const { return twin_ ? &*twin_ : nullptr; }
  [[nodiscard]] const Cache* l2() const { return l2_ ? &*l2_ : nullptr; }
  [[nodiscard]] const Cache* last_level() const { return last_level_ ? &*last_level_ : nullptr; }
  [[nodiscard]] const TranslationFilterTable* tft() const { return tft_ ? &*tft_ : nullptr; }
  [[nodiscard]] const SeesawCounters& seesaw_counters() const { return seesaw_; }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(l1i_, l1d_);
    if (twin_) archive(*twin_);
    if (l2_) archive(*l2_);
    if (last_level_) archive(*last_level_);
    if (tft_) archive(*tft_);
    archive(seesaw_);
  }

 private:
  CacheHierarchyConfig config_;
  Cache l1i_;
  Cache l1d_;
  std::optional<Cache> twin_;
  std::optional<Cache> l2_;
  std::optional<Cache> last_level_;
  std::optional<TranslationFilterTable> tft_;
  SeesawCounters seesaw_;
};

}  // namespace shearling
