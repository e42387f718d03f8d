// SPDX-License-Identifier: GPL-3.0-or-later
//
// One core's part of a system of several: its L1D lies in a CoherentSystem, its L1I and its SEESAW filter table and
// scheduler here. The same answers as a CacheHierarchy's, so that a SimulatedCore need not know which of them it has.
// Left out: coherence of instructions. An L1I fetches from the home and is never probed; a program that writes code
// for another core would have to tell it, which a trace cannot.
#pragma once

#include <cstdint>
#include <optional>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/coherence/coherent_system.h"

namespace shearling {

class CoherentCaches {
 public:
  /// `config` is what the system's caches were made from. The system outlives it.
  CoherentCaches(const CacheHierarchyConfig& config, CoherentSystem& system, unsigned core);

  HierarchyCost access_quietly(const CacheReference& reference);
  /// A lookup of the shared cache for a line that L1 holds.
  HierarchyCost access_below(PhysicalAddress physical, AccessKind kind);

  void superpage_filled(VirtualAddress address, TlbTag owner);
  void page_invalidated(VirtualAddress address);
  void all_invalidated();
  void context_switched();
  void superpage_entries(unsigned valid, unsigned entries);
  /// SEESAW evicts the lines of base pages that became part of a superpage. Returns lines dropped.
  unsigned promoted(PhysicalAddress address, std::uint64_t bytes);

  [[nodiscard]] const Cache& l1i() const { return l1i_; }
  [[nodiscard]] const Cache& l1d() const { return system_->l1d(core_); }
  [[nodiscard]] const TranslationFilterTable* tft() const { return tft_ ? &*tft_ : nullptr; }
  [[nodiscard]] std::uint64_t replays() const { return replays_; }
  [[nodiscard]] std::uint64_t assumed_slow() const { return assumed_slow_; }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(l1i_);
    if (tft_) archive(*tft_);
    archive(assumes_fast_, replays_, assumed_slow_);
  }

 private:
  HierarchyCost fetch_instruction(const CacheReference& reference);
  HierarchyCost read_home(PhysicalAddress physical);
  std::uint64_t assume(const CacheReference& reference, bool fast);

  SchedulerPolicy scheduler_;
  std::uint64_t fast_gain_;  ///< Cycles that one partition saves.
  bool partition_is_all_;    ///< "4way" insertion: a physical lookup reads one partition.
  bool has_last_level_;
  CoherentSystem* system_;
  unsigned core_;
  Cache l1i_;
  std::optional<TranslationFilterTable> tft_;
  bool assumes_fast_;
  std::uint64_t replays_ = 0, assumed_slow_ = 0;
};

}  // namespace shearling
