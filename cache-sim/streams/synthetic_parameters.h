// SPDX-License-Identifier: GPL-3.0-or-later
//
// What can be set of a generated stream: one table of names, units and limits, and the parser of specifications.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cache-sim/streams/open_stream.h"
#include "cache-sim/streams/patterns.h"

namespace shearling {

enum class Parameter : std::uint8_t {
  Footprint,
  Count,
  Seed,
  Superpages,
  Memhog,
  Fragmentation,
  Writes,
  Hot,
  HotSize,
  Fetches,
  Code,
  Probes,
  Invalidations,
  Switches,
  Spaces,
  Remaps,
  // Of some generators only.
  Node,
  Fields,
  Run,
  Degree,
  Skew,
  Item,
  Arrays,
  Fanout,
};
constexpr std::size_t kParameterCount = 24;

class SyntheticParameters {
 public:
  [[nodiscard]] double operator[](Parameter parameter) const { return values_[static_cast<std::size_t>(parameter)]; }
  [[nodiscard]] std::uint64_t whole(Parameter parameter) const {
    return static_cast<std::uint64_t>((*this)[parameter]);
  }
  void set(Parameter parameter, double value) { values_[static_cast<std::size_t>(parameter)] = value; }

 private:
  std::array<double, kParameterCount> values_{};
};

struct Generator {
  std::string_view name, description;
  std::vector<std::pair<Parameter, double>> own;       ///< Parameters that only some have, with their defaults.
  std::vector<std::pair<Parameter, double>> defaults;  ///< Where they differ from the table's.
  /// Patterns of address space number `space`.
  std::unique_ptr<Pattern> (*make)(const SyntheticParameters& parameters, std::uint64_t space, std::uint64_t seed);
};
[[nodiscard]] const std::vector<Generator>& generator_table();

/// Share of the footprint in 2 MB pages, per cent, at memhog 0, 40, 60 and 80 (SEESAW, Figure 3).
using MemhogRow = std::array<double, 4>;

struct ParsedSpecification {
  const Generator* generator = nullptr;
  SyntheticParameters parameters;
};
/// Superpages are resolved: memhog and a workload's row have been applied.
[[nodiscard]] std::variant<ParsedSpecification, StreamError> parse_specification(const std::string& specification);
/// A parameter's default and meaning for `generator`, for help texts.
[[nodiscard]] std::vector<GeneratorDescription::Parameter> describe_parameters(const Generator& generator);

}  // namespace shearling
