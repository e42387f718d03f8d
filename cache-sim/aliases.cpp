// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/aliases.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace shearling {

namespace {

// A virtual tag: the address's low bits, and the number of its address space above them. 52 bits are what the largest
// physical addresses and Arm's large virtual ones have; the bits above are copies of the sign.
constexpr unsigned kNameBits = 52;
constexpr std::uint64_t kNameMask = (std::uint64_t{1} << kNameBits) - 1;
constexpr std::uint64_t kPhysicalSpace = 0;  // The walker's.
constexpr std::uint64_t kOnlySpace = 1;      // Of every program, where tags hold no address space.
constexpr std::size_t kMostSpaces = (std::size_t{1} << (64 - kNameBits)) - 2;
constexpr std::uint64_t kNoSpace = kMostSpaces + 1;  // In no tag that a cache holds.

std::uint64_t space_of(std::uint64_t tag) { return tag >> kNameBits; }

}  // namespace

AliasCounters& AliasCounters::operator+=(const AliasCounters& other) {
  homonym_errors += other.homonym_errors;
  synonym_errors += other.synonym_errors;
  searches += other.searches;
  searched_ways += other.searched_ways;
  evicted += other.evicted;
  flushed += other.flushed;
  energy += other.energy;
  return *this;
}

bool has_aliases(const CacheConfig& config) {
  switch (config.organisation) {
    case CacheOrganisation::Vivt:
      return true;
    case CacheOrganisation::Vipt:
      return config.size / config.ways > kFrameBytes;
    case CacheOrganisation::Seesaw:
    case CacheOrganisation::Pipt:
      return false;
  }
  return false;
}

std::string alias_problem_of(const CacheConfig& config) {
  const std::string who = "cache \"" + config.name + "\": ";
  if (config.organisation == CacheOrganisation::Pipt) return {};
  if (config.line > kFrameBytes) return who + "a virtually indexed cache has lines of at most 4096 bytes";
  if (!std::has_single_bit(config.size / config.ways)) {
    return who + "a virtually indexed cache has a power of two of sets, as other index bits change with translation";
  }
  if (config.organisation == CacheOrganisation::Seesaw && config.size / config.ways > kFrameBytes)
    return who + "SEESAW holds at most 4096 bytes a way; give it more ways";
  if (!has_aliases(config) || config.aliases != AliasHandling::Refuse) return {};
  const std::string choice = "say whether its aliases are handled (aliases: evict) or not (aliases: ignore)";
  if (config.organisation == CacheOrganisation::Vivt) return who + "virtual tags have aliases; " + choice;
  return who + "a virtually indexed cache without aliases holds at most 4096 bytes a way; give it more ways, or " +
         "organisation PIPT, or " + choice;
}

AliasGuard::AliasGuard(const CacheConfig& config)
    : handles_(config.aliases == AliasHandling::Evict),
      virtual_tags_(config.organisation == CacheOrganisation::Vivt),
      ways_(config.ways),
      sets_(static_cast<unsigned>(config.size / (std::uint64_t{config.line} * config.ways))),
      sets_in_page_(std::min(sets_, static_cast<unsigned>(kFrameBytes / config.line))),
      line_shift_(static_cast<unsigned>(std::countr_zero(config.line))),
      lines_(std::size_t{sets_} * ways_, kNoLine),
      ages_(lines_.size()),
      page_shifts_(lines_.size()) {
  assert(has_aliases(config) && alias_problem_of(config).empty());
}

// --- names -----------------------------------------------------------------------------------------------------------

std::optional<std::uint64_t> AliasGuard::number_of(TlbTag owner) const {
  const auto found = std::find(spaces_.begin(), spaces_.end(), owner.packed());
  if (found == spaces_.end()) return std::nullopt;
  return static_cast<std::uint64_t>(found - spaces_.begin()) + 1;
}

bool AliasGuard::has_number_for(const Name& name) const {
  return !virtual_tags_ || !handles_ || name.walk || spaces_.size() < kMostSpaces || number_of(name.owner);
}

void AliasGuard::number(const Name& name) {
  if (!virtual_tags_ || !handles_ || name.walk || number_of(name.owner)) return;
  assert(spaces_.size() < kMostSpaces);
  spaces_.push_back(name.owner.packed());
}

PhysicalAddress AliasGuard::physical_tag_of(PhysicalAddress physical) const {
  return virtual_tags_ ? PhysicalAddress{(physical.value & kNameMask) | kPhysicalSpace << kNameBits} : physical;
}

PhysicalAddress AliasGuard::tag_of(const Name& name) const {
  if (!virtual_tags_ || name.walk) return physical_tag_of(name.physical_address);
  const std::uint64_t space = handles_ ? number_of(name.owner).value_or(kNoSpace) : kOnlySpace;
  return {(name.virtual_address.value & kNameMask) | space << kNameBits};
}

std::vector<AliasGuard::Place> AliasGuard::places_of(PhysicalAddress physical) const {
  std::vector<Place> places;
  for_each_set(physical, [&](unsigned set) {
    for (unsigned way = 0; way < ways_; ++way) {
      if (lines_[slot({set, way})] == line_of(physical)) places.push_back({set, way});
    }
  });
  return places;
}

template <typename Condition>
std::vector<AliasGuard::Place> AliasGuard::named_places_where(const Cache& cache, Condition condition) const {
  std::vector<Place> places;
  if (!virtual_tags_) return places;
  for (unsigned set = 0; set < sets_; ++set) {
    for (unsigned way = 0; way < ways_; ++way) {
      const Place place{set, way};
      if (lines_[slot(place)] == kNoLine) continue;
      const std::uint64_t tag = cache.address_of(cache.line(set, way).number).value;
      if (space_of(tag) != kPhysicalSpace && condition(place, tag)) places.push_back(place);
    }
  }
  return places;
}

std::vector<AliasGuard::Place> AliasGuard::places_of_page(const Cache& cache, VirtualAddress address) const {
  return named_places_where(cache, [&](Place place, std::uint64_t tag) {
    return ((tag ^ address.value) & kNameMask) >> page_shifts_[slot(place)] == 0;
  });
}

std::vector<AliasGuard::Place> AliasGuard::places_of_space(const Cache& cache, TlbTag owner) const {
  return named_places_where(cache, [&](Place, std::uint64_t tag) { return number_of(owner) == space_of(tag); });
}

std::vector<AliasGuard::Place> AliasGuard::places_of_machine(const Cache& cache, std::uint16_t virtual_machine) const {
  return named_places_where(
      cache, [&](Place, std::uint64_t tag) { return spaces_[space_of(tag) - 1] >> 16 == virtual_machine; });
}

std::vector<AliasGuard::Place> AliasGuard::named_places(const Cache& cache) const {
  return named_places_where(cache, [](Place, std::uint64_t) { return true; });
}

// --- the golden record -----------------------------------------------------------------------------------------------

AliasError AliasGuard::counted(AliasError error) {
  if (error == AliasError::Homonym) ++counters_.homonym_errors;
  if (error == AliasError::Synonym) ++counters_.synonym_errors;
  return error;
}

void AliasGuard::stored(std::size_t slot, bool written_through) {
  const std::uint64_t line = lines_[slot];
  Ages& ages = disputed_[line];
  ages_[slot] = ages.newest = ++clock_;
  if (!written_through) return;
  ages.below = clock_;
  settle(line);
}

/// Forgets a line that everybody agrees about.
void AliasGuard::settle(std::uint64_t line) {
  const auto ages = disputed_.find(line);
  if (ages == disputed_.end() || ages->second.below != ages->second.newest) return;
  for (const Place place : places_of({line << line_shift_})) {
    if (ages_[slot(place)] != ages->second.newest) return;
  }
  disputed_.erase(ages);
}

AliasError AliasGuard::hit(Place place, PhysicalAddress physical, bool write, bool written_through) {
  const std::size_t at = slot(place);
  if (lines_[at] != line_of(physical)) {
    if (!write) return counted(AliasError::Homonym);
    // The store is in the wrong line. What it was meant for has it only if it was written through.
    if (!written_through) stored(at, false);
    Ages& missed = disputed_[line_of(physical)];
    missed.newest = ++clock_;
    if (written_through) missed.below = clock_;
    settle(line_of(physical));
    return counted(AliasError::Homonym);
  }
  const auto ages = disputed_.find(lines_[at]);
  const bool stale = ages != disputed_.end() && ages->second.newest != ages_[at];
  if (write) stored(at, written_through);
  return counted(stale ? AliasError::Synonym : AliasError::None);
}

AliasError AliasGuard::filled(Place place, const Name& name, bool write, bool written_through) {
  const std::size_t at = slot(place);
  lines_[at] = line_of(name.physical_address);
  page_shifts_[at] = static_cast<std::uint8_t>(page_shift(name.page_size));
  const auto ages = disputed_.find(lines_[at]);
  ages_[at] = ages == disputed_.end() ? 0 : ages->second.below;
  const bool stale = ages != disputed_.end() && ages->second.below != ages->second.newest;
  if (write) stored(at, written_through);
  return counted(stale ? AliasError::Synonym : AliasError::None);
}

void AliasGuard::wrote_around(PhysicalAddress physical) {
  const std::uint64_t line = line_of(physical);
  Ages& ages = disputed_[line];
  ages.newest = ages.below = ++clock_;
  settle(line);
}

void AliasGuard::written_back(Place place) {
  const std::size_t at = slot(place);
  const auto ages = disputed_.find(lines_[at]);
  if (ages == disputed_.end()) return;
  ages->second.below = ages_[at];
  settle(lines_[at]);
}

void AliasGuard::left(Place place, bool dirty) {
  if (dirty) written_back(place);
  const std::uint64_t line = lines_[slot(place)];
  lines_[slot(place)] = kNoLine;
  settle(line);
}

void AliasGuard::count_search(std::uint64_t ways, double energy) {
  ++counters_.searches;
  counters_.searched_ways += ways;
  counters_.energy += energy;
}

}  // namespace shearling
