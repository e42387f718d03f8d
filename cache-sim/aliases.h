// SPDX-License-Identifier: GPL-3.0-or-later
//
// What stands beside a first-level cache where one line can have two names (synonyms) or one name two lines
// (homonyms): a virtually tagged cache (VIVT), and one with physical tags whose index reaches above the 4 KB page
// offset (a large VIPT). It gives a line its name, knows the places where its other copies can be, and keeps a golden
// record: which physical line each slot really holds, and how old. With that the errors of a cache whose aliases nobody
// handles are found and counted when they happen. Left out: data. A line's age is that of its latest store as a whole,
// and a store through the wrong name counts once, not again for each reader of the line that it spoilt. Copies in the
// other first-level cache are not watched. Handling (AliasHandling::Evict): on a miss every place where a copy can be
// is searched by physical address, beside the access to the next level, and a copy found is written back and dropped
// (as MIPS's R10000 did with the help of its second level; K. Yeager, IEEE Micro 16(2), 1996: quoted from memory).
// Virtual tags then hold the address space, and what the translations lose, the cache loses (as operating systems flush
// such caches).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cache-sim/cache.h"
#include "cache-sim/tlb.h"

namespace shearling {

enum class AliasError : std::uint8_t {
  None,
  Homonym,  ///< The line served is another physical line than the one meant.
  Synonym,  ///< It is the right line, and older than the latest store to it.
};

/// All sums.
struct AliasCounters {
  std::uint64_t homonym_errors = 0, synonym_errors = 0;
  std::uint64_t searches = 0;       ///< Misses that looked for other copies.
  std::uint64_t searched_ways = 0;  ///< Ways probed by them, the lookup's own not among them.
  std::uint64_t evicted = 0;        ///< Copies dropped under another name.
  std::uint64_t flushed = 0;        ///< Lines dropped because their translation went.
  double energy = 0;                ///< nJ of the searches.
  AliasCounters& operator+=(const AliasCounters& other);
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(homonym_errors, synonym_errors, searches, searched_ways, evicted, flushed, energy);
  }
};

/// Whether such a cache needs a guard. Caches below the first level are physical, and never do.
[[nodiscard]] bool has_aliases(const CacheConfig& config);
/// Why aliases cannot be handled as the configuration says, in one sentence; empty if they can.
[[nodiscard]] std::string alias_problem_of(const CacheConfig& config);

class AliasGuard {
 public:
  /// `config` has aliases and no alias_problem_of().
  explicit AliasGuard(const CacheConfig& config);

  /// A slot of the cache.
  struct Place {
    unsigned set = 0, way = 0;
  };
  /// One reference of the program, or of the walker: it has no virtual address.
  struct Name {
    VirtualAddress virtual_address;
    PhysicalAddress physical_address;
    PageSize page_size = PageSize::Size4K;
    TlbTag owner;
    bool walk = false;
  };

  [[nodiscard]] bool handles() const { return handles_; }
  [[nodiscard]] bool virtual_tags() const { return virtual_tags_; }

  /// What chooses the set.
  [[nodiscard]] static std::uint64_t index_of(const Name& name) {
    return name.walk ? name.physical_address.value : name.virtual_address.value;
  }
  /// What the cache compares: the physical address, or the virtual one with the number of its address space.
  [[nodiscard]] PhysicalAddress tag_of(const Name& name) const;
  /// The tag of a line without a virtual name.
  [[nodiscard]] PhysicalAddress physical_tag_of(PhysicalAddress physical) const;
  /// Address spaces have numbers in the order of their first reference. Where there is none left for this one, the
  /// cache must be emptied and restart() called, as an operating system does with its ASIDs.
  [[nodiscard]] bool has_number_for(const Name& name) const;
  void number(const Name& name);
  void restart() { spaces_.clear(); }

  /// Calls `visit(set)` for every set where the line could be, whatever its name.
  template <typename Visit>
  void for_each_set(PhysicalAddress physical, Visit visit) const {
    for (unsigned set = static_cast<unsigned>(line_of(physical)) % sets_in_page_; set < sets_; set += sets_in_page_)
      visit(set);
  }
  /// The slots that hold the physical line.
  [[nodiscard]] std::vector<Place> places_of(PhysicalAddress physical) const;
  /// Slots that hold lines of the page that covers the address, of any address space; of one; of a virtual machine;
  /// all. Those that the walker brought have no virtual name and stay.
  [[nodiscard]] std::vector<Place> places_of_page(const Cache& cache, VirtualAddress address) const;
  [[nodiscard]] std::vector<Place> places_of_space(const Cache& cache, TlbTag owner) const;
  [[nodiscard]] std::vector<Place> places_of_machine(const Cache& cache, std::uint16_t virtual_machine) const;
  [[nodiscard]] std::vector<Place> named_places(const Cache& cache) const;

  [[nodiscard]] std::uint64_t index_of_set(unsigned set) const { return std::uint64_t{set} << line_shift_; }
  /// The physical line of a slot in use.
  [[nodiscard]] PhysicalAddress line_in(Place place) const { return {lines_[slot(place)] << line_shift_}; }

  // The golden record follows what the cache does.
  AliasError hit(Place place, PhysicalAddress physical, bool write, bool written_through);
  /// Returns whether what came from below was older than the latest store.
  AliasError filled(Place place, const Name& name, bool write, bool written_through);
  void wrote_around(PhysicalAddress physical);
  void written_back(Place place);  ///< It may stay.
  void left(Place place, bool dirty);

  [[nodiscard]] const AliasCounters& counters() const { return counters_; }
  void count_search(std::uint64_t ways, double energy);
  void count_evicted(std::uint64_t copies) { counters_.evicted += copies; }
  void count_flushed(std::uint64_t lines) { counters_.flushed += lines; }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(lines_, ages_, page_shifts_, spaces_, clock_, disputed_, counters_);
  }

 private:
  static constexpr std::uint64_t kNoLine = ~std::uint64_t{0};

  /// Ages of a line of which some copy, or what lies below, may be older than the latest store. A line that is not here
  /// is everywhere as it should be.
  struct Ages {
    std::uint64_t newest = 0;  ///< Of the latest store.
    std::uint64_t below = 0;   ///< Of what the next level has.
  };
  [[nodiscard]] std::size_t slot(Place place) const { return std::size_t{place.set} * ways_ + place.way; }
  [[nodiscard]] std::uint64_t line_of(PhysicalAddress physical) const { return physical.value >> line_shift_; }
  [[nodiscard]] std::optional<std::uint64_t> number_of(TlbTag owner) const;
  template <typename Condition>
  std::vector<Place> named_places_where(const Cache& cache, Condition condition) const;
  void stored(std::size_t slot, bool written_through);
  void settle(std::uint64_t line);
  AliasError counted(AliasError error);

  bool handles_ = false;
  bool virtual_tags_ = false;
  unsigned ways_ = 1;
  unsigned sets_ = 1;
  unsigned sets_in_page_ = 1;  ///< Sets that the page offset tells apart.
  unsigned line_shift_ = 6;
  std::vector<std::uint64_t> lines_;       ///< Number of the physical line that a slot holds, or kNoLine.
  std::vector<std::uint64_t> ages_;        ///< When it was stored to last, in stores.
  std::vector<std::uint8_t> page_shifts_;  ///< Of the page through which it came.
  std::vector<std::uint32_t> spaces_;      ///< Owner, in the order of their numbers.
  std::uint64_t clock_ = 0;
  std::map<std::uint64_t, Ages> disputed_;
  AliasCounters counters_;
};

}  // namespace shearling
