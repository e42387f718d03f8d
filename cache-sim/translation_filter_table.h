// SPDX-License-Identifier: GPL-3.0-or-later
//
// SEESAW's translation filter table (section IV-A2): remembers which 2 MB regions are superpages, so that the cache
// knows within a quarter of a cycle whether one partition is enough. Left out: set-associative forms, which the authors
// did not need. A tag narrower than a region's 43 bits is ours: it can answer "superpage" for a region that only looks
// like one, which the translation then refutes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache-sim/address.h"
#include "cache-sim/tlb.h"

namespace shearling {

struct TranslationFilterTableConfig {
  static constexpr unsigned kRegionBits = 43;  ///< Of a region's number: "bits 64-21" (section IV-A2).
  static constexpr unsigned kOwnerBits = 32;   ///< Of a TlbTag.

  unsigned entries = 16;            ///< Any number: the index is MOD entries (section IV-A2).
  unsigned tag_bits = kRegionBits;  ///< The lowest bits of the region's number that are kept and compared.
  bool tagged = false;              ///< Entries name their address space and virtual machine: no flush on a switch.
  /// Filled also where the L1 TLB knew a 2 MB page that the table did not hold. The paper fills it with the L1 TLB
  /// alone: then a region that the TLB never lets go, but whose entry another one took, stays slow for good. Ours, to
  /// be compared.
  bool fill_on_miss = false;
  bool enabled = true;  ///< False: SEESAW without its fast path. Nobody asks; every way is read.
};

/// Why no such table can be built, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const TranslationFilterTableConfig& config);
/// What it stores, counted as the paper does: without valid bits. 16 entries of 43 bits are its 86 bytes.
[[nodiscard]] constexpr std::uint64_t storage_bits(const TranslationFilterTableConfig& config) {
  const unsigned owner = config.tagged ? TranslationFilterTableConfig::kOwnerBits : 0;
  return std::uint64_t{config.entries} * (config.tag_bits + owner);
}

struct TftOutcome {
  bool asked = false;
  bool hit = false;  ///< The region is held. Whether the page is a superpage, only the translation knows for certain.
  std::uint16_t index = 0;
};

/// Direct mapped, tagged with the 2 MB region, index = region number MOD entries.
class TranslationFilterTable {
 public:
  /// `config` has no problem_of().
  explicit TranslationFilterTable(TranslationFilterTableConfig config);
  [[nodiscard]] TftOutcome lookup(VirtualAddress address, TlbTag owner = {}) const;
  std::uint16_t fill(VirtualAddress address, TlbTag owner = {});  ///< Returns the index.

  // All return the number of entries dropped. A table without tags cannot tell whose entries it holds, and drops all.
  unsigned invalidate(VirtualAddress address);  ///< Whoever owns it: a page can be global. At most one.
  unsigned invalidate_address_space(TlbTag owner);
  unsigned invalidate_virtual_machine(std::uint16_t virtual_machine);
  unsigned context_switched();  ///< Drops nothing where entries name their owner (section IV-C3).
  unsigned flush();

  struct Entry {
    std::uint64_t region = 0;  ///< VA >> 21 of what filled it; its lowest tag_bits are compared.
    std::uint32_t valid = 0;   ///< 0 or 1.
    TlbTag owner;
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(entries_);
  }

 private:
  template <typename Condition>
  unsigned drop_where(Condition condition);

  std::vector<Entry> entries_;
  std::uint64_t tag_mask_ = 0;
  bool tagged_ = false;
};

inline TftOutcome TranslationFilterTable::lookup(VirtualAddress address, TlbTag owner) const {
  const std::uint64_t region = address.value >> page_shift(PageSize::Size2M);
  const auto index = static_cast<std::uint16_t>(region % entries_.size());
  const Entry& entry = entries_[index];
  const bool same_region = ((entry.region ^ region) & tag_mask_) == 0;
  const bool same_owner = !tagged_ || entry.owner == owner;
  return {.asked = true, .hit = entry.valid != 0 && same_region && same_owner, .index = index};
}

}  // namespace shearling
