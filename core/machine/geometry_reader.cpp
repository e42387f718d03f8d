// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/geometry_reader.h"

#include <array>
#include <set>

namespace shearling {

namespace {

using Keys = std::vector<std::string_view>;

/// "L1 DTLB 4K+16K".
std::string name_of(std::string_view side, const std::vector<PageSize>& sizes) {
  static constexpr std::array<std::string_view, 5> kSizes{"4K", "16K", "64K", "2M", "1G"};
  std::string name(side);
  char separator = ' ';
  for (const PageSize size : sizes) {
    (name += separator) += kSizes[static_cast<std::size_t>(size)];
    separator = '+';
  }
  return name;
}

}  // namespace

void GeometryReader::read_cache(const YAML::Node& node, CacheConfig& cache) {
  static const Keys kKeys{
      "name",       "size",      "ways",      "line",         "organisation",   "replacement",
      "write",      "allocate",  "latency",   "fast-latency", "energy",         "partition-energy",
      "way-energy", "inclusive", "insertion", "aliases",      "way-prediction", "write-back-arrival",
      "plain-twin"};
  static const Keys kOrganisations{"vipt", "seesaw", "pipt", "vivt"};
  if (!yaml_.is_mapping(node, "a cache", kKeys)) return;
  yaml_.read(node, "name", cache.name);
  yaml_.read_bytes(node, "size", cache.size);
  yaml_.read(node, "ways", cache.ways, 1, Cache::kMostWays);
  yaml_.read(node, "line", cache.line, 4, kFrameBytes);
  yaml_.read_choice(node, "organisation", kOrganisations, cache.organisation);
  read_replacement(node, cache.replacement);
  yaml_.read(node, "latency", cache.latency, 0, kMostCycles);
  yaml_.read(node, "fast-latency", cache.fast_latency, 0, kMostCycles);
  yaml_.read(node, "energy", cache.energy);
  yaml_.read(node, "partition-energy", cache.partition_energy);
  yaml_.read(node, "way-energy", cache.way_energy);
  yaml_.read(node, "plain-twin", cache.plain_twin);
  read_policies(node, cache);
  judge(node, problem_of(cache));
}

void GeometryReader::read_policies(const YAML::Node& node, CacheConfig& cache) {
  static const Keys kWrites{"write-back", "write-through"};
  static const Keys kInsertions{"4way", "4way-8way"};
  static const Keys kAliases{"refuse", "evict", "ignore"};
  static const Keys kArrivals{"allocate", "update"};
  yaml_.read_choice(node, "write", kWrites, cache.write);
  yaml_.read(node, "allocate", cache.write_allocate);
  yaml_.read_choice(node, "write-back-arrival", kArrivals, cache.arrival);
  yaml_.read(node, "inclusive", cache.inclusive);
  yaml_.read_choice(node, "insertion", kInsertions, cache.insertion);
  yaml_.read_choice(node, "aliases", kAliases, cache.aliases);
  yaml_.read(node, "way-prediction", cache.way_prediction);
}

void GeometryReader::read_optional_cache(const YAML::Node& node, const char* name, std::optional<CacheConfig>& cache) {
  if (node.IsNull()) {
    cache.reset();
    return;
  }
  if (!cache) cache.emplace(CacheConfig{.name = name, .organisation = CacheOrganisation::Pipt});
  read_cache(node, *cache);
}

std::optional<TlbGeometry> GeometryReader::read_tlb(const YAML::Node& node, std::string_view side) {
  static const Keys kKeys{"name", "entries", "ways", "pages", "latency", "replacement"};
  if (!yaml_.is_mapping(node, "a TLB", kKeys)) return std::nullopt;
  TlbGeometry geometry;
  if (!yaml_.read(node, "name", geometry.name) && side.empty())
    yaml_.fail(node, "a TLB needs a name", "for example name: L1 DTLB 4K");
  yaml_.read(node, "entries", geometry.entries, 1, 65536);
  geometry.ways = geometry.entries;  // fully associative unless said otherwise
  yaml_.read(node, "ways", geometry.ways, 1, 65536);
  yaml_.read(node, "latency", geometry.latency, 0, kMostCycles);
  read_replacement(node, geometry.replacement);
  section(node, "pages", [&](const YAML::Node& pages) { read_page_sizes(pages, geometry.page_sizes); });
  if (geometry.name.empty()) geometry.name = name_of(side, geometry.page_sizes);
  return judge(node, problem_of(geometry)) ? std::optional(geometry) : std::nullopt;
}

void GeometryReader::read_optional_tlb(const YAML::Node& node, std::optional<TlbGeometry>& tlb, std::string_view side) {
  if (node.IsNull())
    tlb.reset();
  else if (auto geometry = read_tlb(node, side))
    tlb = *geometry;
}

void GeometryReader::read_first_level(const YAML::Node& list, std::vector<TlbGeometry>& tlbs, std::string_view side) {
  if (!yaml_.is_list(list, "the first-level TLBs")) return;
  tlbs.clear();
  std::set<PageSize> held;
  for (const YAML::Node& node : list) {
    const auto geometry = read_tlb(node, side);
    if (!geometry) continue;
    for (const PageSize size : geometry->page_sizes) {
      if (!held.insert(size).second)
        yaml_.fail(node, "two TLBs of one side hold the same page size", "name each page size once");
    }
    tlbs.push_back(*geometry);
  }
  if (tlbs.empty() && !yaml_.failed()) yaml_.fail(list, "there is no TLB in this list", "describe at least one");
}

void GeometryReader::read_page_sizes(const YAML::Node& pages, std::vector<PageSize>& sizes) {
  if (!yaml_.is_list(pages, "'pages'")) return;
  for (const YAML::Node& page : pages) {
    const auto size = page.IsScalar() ? parse_page_size(page.Scalar()) : std::nullopt;
    if (size)
      sizes.push_back(*size);
    else
      yaml_.fail(page, "this is no page size", "one of 4K, 16K, 64K, 2M, 1G");
  }
}

void GeometryReader::read_replacement(const YAML::Node& node, ReplacementKind& replacement) {
  static const Keys kNames{"lru", "tree-plru", "random", "plru"};
  std::size_t index = 0;
  if (!yaml_.read_choice(node, "replacement", kNames, index)) return;
  replacement = kNames[index] == "plru" ? ReplacementKind::TreePlru : static_cast<ReplacementKind>(index);
}

void GeometryReader::read_entries(const YAML::Node& node, std::string_view what, unsigned& entries, unsigned& latency) {
  static const Keys kKeys{"entries", "latency"};
  if (!yaml_.is_mapping(node, what, kKeys)) return;
  yaml_.read(node, "entries", entries, 0, 4096);
  yaml_.read(node, "latency", latency, 0, kMostCycles);
}

bool GeometryReader::judge(const YAML::Node& at, std::string problem) {
  if (problem.empty()) return true;
  yaml_.fail(at, std::move(problem), "change its numbers so that they agree");
  return false;
}

}  // namespace shearling
