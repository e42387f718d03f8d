// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/synthetic_parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "cache-sim/streams/synthetic.h"
#include "cache-sim/streams/workloads.h"

namespace shearling {

namespace {

enum class Unit : std::uint8_t { Bytes, Count, Number };
constexpr double kKilobyte = 1024, kMegabyte = kKilobyte * 1024, kGigabyte = kMegabyte * 1024;

struct Rule {
  std::string_view name;
  Unit unit;
  double default_value, least, most;
  std::string_view description;
};

constexpr double kNotGiven = -1;  // of superpages and memhog

/// In the order of Parameter.
constexpr std::array<Rule, kParameterCount> kRules{{
    {"footprint", Unit::Bytes, 64 * kMegabyte, 64 * kKilobyte, 32 * kGigabyte, "data of each address space"},
    {"count", Unit::Count, 10e6, 1, 1e15, "data references before the stream ends"},
    {"seed", Unit::Count, 1, 0, 1e15, "another seed gives another stream of the same kind"},
    {"superpages", Unit::Number, kNotGiven, 0, 1, "share of the footprint in 2 MB pages, recommended to the page map"},
    {"memhog", Unit::Number, kNotGiven, 0, 80,
     "sets superpages to Figure 3's share at this level of memory pressure; linear between 0, 40, 60 and 80"},
    {"fragmentation", Unit::Number, 1, 0, 1, "how scattered the frames of 4 KB pages are, for the page map"},
    {"writes", Unit::Number, 0.3, 0, 1, "share of data references that are writes"},
    {"hot", Unit::Number, 0.7, 0, 0.99,
     "share of data references that go to a small hot set: locals, headers, tops of lists"},
    {"hot-size", Unit::Bytes, 12 * kKilobyte, kKilobyte, 16 * kMegabyte,
     "the hot set, in pieces of 512 bytes all over the footprint"},
    {"fetches", Unit::Number, 0, 0, 100, "instructions for each data reference; 0: no instruction stream"},
    {"code", Unit::Bytes, 64 * kKilobyte, 4 * kKilobyte, 64 * kMegabyte,
     "instructions' footprint, always in 4 KB pages"},
    {"probes", Unit::Number, 0, 0, 1000, "coherence probes for 1000 data references, to lines used of late"},
    {"invalidations", Unit::Number, 0.5, 0, 1, "share of the probes that want the line gone"},
    {"switches", Unit::Number, 0, 0, 100'000, "context switches for a million data references"},
    {"spaces", Unit::Count, 2, 2, 256, "address spaces that switches rotate through"},
    {"remaps", Unit::Number, 0, 0, 100'000,
     "splintered or promoted 2 MB regions for a million data references, in turn"},
    {"node", Unit::Bytes, 64, 16, 4096, "bytes of a node"},
    {"fields", Unit::Count, 3, 0, 64, "words used of each node, beside its pointer"},
    {"run", Unit::Count, 4, 1, 16, "nodes in a row that lie one after the other"},
    {"degree", Unit::Count, 16, 1, 256, "mean number of edges of a vertex"},
    {"skew", Unit::Number, 0.8, 0, 2, "exponent of Zipf's law: 0 all alike, 1 some far more often than others"},
    {"item", Unit::Bytes, 128, 16, 4096, "bytes of a value"},
    {"arrays", Unit::Count, 3, 2, 16, "arrays, of which the last is written"},
    {"fanout", Unit::Count, 16, 2, 256, "children of a node"},
}};

const Rule& rule_of(Parameter parameter) { return kRules[static_cast<std::size_t>(parameter)]; }

PatternBase base_of(const SyntheticParameters& parameters, std::uint64_t seed) {
  return {parameters.whole(Parameter::Footprint), parameters[Parameter::Writes], seed};
}

std::unique_ptr<Pattern> make_pointer_chase(const SyntheticParameters& p, std::uint64_t, std::uint64_t seed) {
  return pointer_chase(base_of(p, seed), p.whole(Parameter::Node), p.whole(Parameter::Fields), p.whole(Parameter::Run));
}
std::unique_ptr<Pattern> make_graph_walk(const SyntheticParameters& p, std::uint64_t, std::uint64_t seed) {
  return graph_walk(base_of(p, seed), p.whole(Parameter::Degree), p[Parameter::Skew]);
}
std::unique_ptr<Pattern> make_random_update(const SyntheticParameters& p, std::uint64_t, std::uint64_t seed) {
  return random_update(base_of(p, seed));
}
std::unique_ptr<Pattern> make_key_value(const SyntheticParameters& p, std::uint64_t, std::uint64_t seed) {
  return key_value(base_of(p, seed), p.whole(Parameter::Item), p[Parameter::Skew]);
}
std::unique_ptr<Pattern> make_stencil(const SyntheticParameters& p, std::uint64_t, std::uint64_t seed) {
  return stencil(base_of(p, seed));
}
std::unique_ptr<Pattern> make_stream(const SyntheticParameters& p, std::uint64_t, std::uint64_t seed) {
  return stream_arrays(base_of(p, seed), p.whole(Parameter::Arrays));
}
std::unique_ptr<Pattern> make_tree_search(const SyntheticParameters& p, std::uint64_t, std::uint64_t seed) {
  return tree_search(base_of(p, seed), p.whole(Parameter::Node), p.whole(Parameter::Fanout), p[Parameter::Skew]);
}
std::unique_ptr<Pattern> make_mixture(const SyntheticParameters& p, std::uint64_t space, std::uint64_t seed) {
  constexpr std::uint64_t kArrays = 3;
  if (space % 3 == 0) return make_key_value(p, space, seed);
  if (space % 3 == 1) return make_tree_search(p, space, seed);
  return stream_arrays(base_of(p, seed), kArrays);
}

std::vector<Generator> make_generators() {
  using enum Parameter;
  return {
      {"pointer-chase",
       "follows a linked list through nodes in an order of their own; stands in for mcf",
       {{Node, 64}, {Fields, 3}, {Run, 4}},
       {{Writes, 0.2}},
       make_pointer_chase},
      {"graph-walk",
       "visits the neighbours of vertices of a graph in compressed sparse rows; stands in for graph500, tunkrank, "
       "canneal "
       "and astar",
       {{Degree, 16}, {Skew, 0.8}},
       {{Writes, 0.15}},
       make_graph_walk},
      {"random-update",
       "reads and writes back words anywhere in a table; stands in for GUPS",
       {},
       {{Writes, 0.5}, {Hot, 0.5}},
       make_random_update},
      {"key-value",
       "looks keys up in a hash table, popular ones more often, and reads or writes the values; stands in for redis, "
       "nutch "
       "and tigr",
       {{Item, 128}, {Skew, 0.99}},
       {{Writes, 0.1}},
       make_key_value},
      {"stencil",
       "computes each point of a cubic grid from its neighbours; stands in for cactusADM and GemsFDTD",
       {},
       {{Writes, 0.125}, {Hot, 0.5}},
       make_stencil},
      {"stream",
       "goes through arrays in step, as the STREAM benchmark does; no workload of the paper",
       {{Arrays, 3}},
       {{Writes, 1.0 / 3}, {Hot, 0}},
       make_stream},
      {"tree-search",
       "goes from the root of a tree down to a leaf, popular ones more often; stands in for mummer, xalancbmk, omnetpp "
       "and "
       "mongo",
       {{Node, 64}, {Fanout, 16}, {Skew, 0.8}},
       {{Writes, 0.1}},
       make_tree_search},
      {"mixture",
       "several programs of different kinds (key-value, tree-search, stream) in address spaces of their own, with "
       "context "
       "switches and coherence probes; stands in for olio and for system activity; models no kernel",
       {{Node, 64}, {Fanout, 16}, {Item, 128}, {Skew, 0.9}},
       {{Fetches, 2.5}, {Probes, 5}, {Switches, 100}, {Spaces, 3}, {Code, 512 * kKilobyte}},
       make_mixture},
  };
}

bool is_common(Parameter parameter) { return parameter < Parameter::Node; }

bool has(const Generator& generator, Parameter parameter) {
  if (is_common(parameter)) return true;
  return std::any_of(generator.own.begin(), generator.own.end(),
                     [&](const auto& own) { return own.first == parameter; });
}

SyntheticParameters defaults_of(const Generator& generator) {
  SyntheticParameters parameters;
  for (std::size_t i = 0; i < kRules.size(); ++i) parameters.set(static_cast<Parameter>(i), kRules[i].default_value);
  for (const auto& [parameter, value] : generator.own) parameters.set(parameter, value);
  for (const auto& [parameter, value] : generator.defaults) parameters.set(parameter, value);
  return parameters;
}

double factor_of(Unit unit, char suffix) {
  const double thousand = unit == Unit::Bytes ? 1024 : 1000;
  switch (suffix) {
    case 'k':
    case 'K':
      return thousand;
    case 'M':
      return thousand * thousand;
    case 'G':
      return thousand * thousand * thousand;
    default:
      return 0;
  }
}

std::optional<double> value_of(Unit unit, std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (problem != std::errc() || !std::isfinite(value)) return std::nullopt;
  const std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  if (suffix.size() > 1 || (unit == Unit::Number && !suffix.empty())) return std::nullopt;
  if (!suffix.empty()) value *= factor_of(unit, suffix.front());
  if (!suffix.empty() && value == 0) return std::nullopt;
  if (unit != Unit::Number && value != std::floor(value)) return std::nullopt;
  return value;
}

std::string text_of(Unit unit, double value) {
  if (unit == Unit::Bytes) {
    for (const auto& [factor, suffix] : {std::pair(kGigabyte, 'G'), {kMegabyte, 'M'}, {kKilobyte, 'K'}}) {
      if (value >= factor && std::fmod(value, factor) == 0) return text_of(Unit::Number, value / factor) + suffix;
    }
  }
  std::array<char, 32> digits{};
  const auto [end, problem] =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::general, 12);
  return {digits.data(), end};
}

std::string limits_of(const Rule& rule) {
  return std::string(rule.name) + " is " +
         (rule.unit == Unit::Bytes   ? "a number of bytes"
          : rule.unit == Unit::Count ? "a whole number"
                                     : "a number") +
         " from " + text_of(rule.unit, rule.least) + " to " + text_of(rule.unit, rule.most) + ": " +
         std::string(rule.description);
}

std::string names_of_parameters(const Generator& generator) {
  std::string names;
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    if (has(generator, static_cast<Parameter>(i))) names.append(names.empty() ? "" : ", ").append(kRules[i].name);
  }
  return names;
}

std::string names_of_generators() {
  std::string names;
  for (const Generator& generator : generator_table()) names.append(names.empty() ? "" : ", ").append(generator.name);
  for (const Workload& workload : workload_table()) names.append(", ").append(workload.name);
  return names;
}

struct Problem {
  std::string message, remedy;
};

/// Sets one "key=value".
std::optional<Problem> set_parameter(ParsedSpecification& parsed, std::string_view setting) {
  const std::size_t equals = setting.find('=');
  const std::string_view name = setting.substr(0, equals);
  const auto rule = std::find_if(kRules.begin(), kRules.end(), [&](const Rule& one) { return one.name == name; });
  const auto parameter = static_cast<Parameter>(rule - kRules.begin());
  const std::string generator(parsed.generator->name);
  if (rule == kRules.end() || !has(*parsed.generator, parameter))
    return Problem{generator + " has no parameter '" + std::string(name) + "'",
                   "it has " + names_of_parameters(*parsed.generator)};
  const std::string_view text = equals == std::string_view::npos ? std::string_view{} : setting.substr(equals + 1);
  const std::optional<double> value = value_of(rule->unit, text);
  if (!value || *value < rule->least || *value > rule->most)
    return Problem{"'" + std::string(setting) + "' cannot be", limits_of(*rule)};
  parsed.parameters.set(parameter, *value);
  return std::nullopt;
}

std::optional<Problem> set_parameters(ParsedSpecification& parsed, std::string_view settings) {
  while (!settings.empty()) {
    const std::size_t comma = std::min(settings.find(','), settings.size());
    if (auto problem = set_parameter(parsed, settings.substr(0, comma))) return problem;
    settings.remove_prefix(std::min(comma + 1, settings.size()));
  }
  return std::nullopt;
}

double share_at(const MemhogRow& row, double memhog) {
  static constexpr MemhogRow kLevels{0, 40, 60, 80};
  std::size_t upper = 1;
  while (memhog > kLevels[upper]) ++upper;
  const double part = (memhog - kLevels[upper - 1]) / (kLevels[upper] - kLevels[upper - 1]);
  return (row[upper - 1] + part * (row[upper] - row[upper - 1])) / 100;
}

std::optional<Problem> resolve_superpages(SyntheticParameters& parameters, const Workload* workload) {
  static constexpr MemhogRow kMean{80.5, 73.8, 63.9, 29.2};
  const double memhog = parameters[Parameter::Memhog];
  const bool given = parameters[Parameter::Superpages] >= 0;
  if (given && memhog >= 0)
    return Problem{"memhog and superpages both set the share of superpages", "give one of them"};
  if (given) return std::nullopt;
  const bool plain = workload == nullptr && memhog < 0;
  const MemhogRow& row = workload != nullptr ? workload->superpages : kMean;
  parameters.set(Parameter::Superpages, plain ? 0 : share_at(row, std::max(memhog, 0.0)));
  return std::nullopt;
}

}  // namespace

const std::vector<Generator>& generator_table() {
  static const std::vector<Generator> kGenerators = make_generators();
  return kGenerators;
}

std::vector<GeneratorDescription::Parameter> describe_parameters(const Generator& generator) {
  const SyntheticParameters defaults = defaults_of(generator);
  std::vector<GeneratorDescription::Parameter> described;
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    const auto parameter = static_cast<Parameter>(i);
    if (!has(generator, parameter)) continue;
    const double value = defaults[parameter];
    const std::string text = parameter == Parameter::Superpages ? "0"
                             : value == kNotGiven               ? ""
                                                                : text_of(rule_of(parameter).unit, value);
    described.push_back({std::string(kRules[i].name), text, std::string(kRules[i].description)});
  }
  return described;
}

std::variant<ParsedSpecification, StreamError> parse_specification(const std::string& specification) {
  const auto fail = [&](Problem problem) {
    return StreamError{specification, 0, 0, std::move(problem.message), std::move(problem.remedy)};
  };
  std::string_view settings = std::string_view(specification).substr(kSyntheticPrefix.size());
  const std::size_t comma = std::min(settings.find(','), settings.size());
  std::string_view name = settings.substr(0, comma);
  settings.remove_prefix(std::min(comma + 1, settings.size()));

  const auto& workloads = workload_table();
  const auto workload =
      std::find_if(workloads.begin(), workloads.end(), [&](const Workload& one) { return one.name == name; });
  const bool preset = workload != workloads.end();
  if (preset) name = workload->generator;
  const auto& generators = generator_table();
  const auto generator =
      std::find_if(generators.begin(), generators.end(), [&](const Generator& one) { return one.name == name; });
  if (generator == generators.end())
    return fail({"there is no generator '" + std::string(name) + "'", "choose one of " + names_of_generators()});

  ParsedSpecification parsed{&*generator, defaults_of(*generator)};
  for (const std::string_view some : {preset ? workload->settings : std::string_view{}, settings}) {
    if (auto problem = set_parameters(parsed, some)) return fail(*problem);
  }
  if (auto problem = resolve_superpages(parsed.parameters, preset ? &*workload : nullptr)) return fail(*problem);
  return parsed;
}

}  // namespace shearling
