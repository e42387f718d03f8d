// SPDX-License-Identifier: GPL-3.0-or-later
//
// The parts that machine descriptions and configurations of the cache simulator have in common: caches and TLBs. What a
// mapping leaves out stays as it was.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache-sim/cache.h"
#include "cache-sim/translation_caches.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

class GeometryReader {
 public:
  static constexpr std::uint32_t kMostCycles = 1'000'000;

  explicit GeometryReader(YamlReader& yaml) : yaml_(yaml) {}

  void read_cache(const YAML::Node& node, CacheConfig& cache);
  /// "~" or "null": there is none.
  void read_optional_cache(const YAML::Node& node, const char* name, std::optional<CacheConfig>& cache);
  /// `side` names one that has no name of its own: "L1 DTLB". Empty: it must have one.
  [[nodiscard]] std::optional<TlbGeometry> read_tlb(const YAML::Node& node, std::string_view side = {});
  void read_optional_tlb(const YAML::Node& node, std::optional<TlbGeometry>& tlb, std::string_view side = {});
  /// One side's first level: a list.
  void read_first_level(const YAML::Node& list, std::vector<TlbGeometry>& tlbs, std::string_view side = {});
  void read_replacement(const YAML::Node& node, ReplacementKind& replacement);
  /// {entries, latency}.
  void read_entries(const YAML::Node& node, std::string_view what, unsigned& entries, unsigned& latency);
  /// Reports a geometry's problem at its node; true where there is none.
  bool judge(const YAML::Node& at, std::string problem);

  template <typename Reader>
  static void section(const YAML::Node& mapping, const char* key, Reader reader) {
    if (const YAML::Node node = mapping[key]; node.IsDefined()) reader(node);
  }

 private:
  void read_policies(const YAML::Node& node, CacheConfig& cache);
  void read_page_sizes(const YAML::Node& pages, std::vector<PageSize>& sizes);

  YamlReader& yaml_;
};

}  // namespace shearling
