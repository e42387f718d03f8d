// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/multicore_stream.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "cache-sim/coherence/probe_stream.h"
#include "cache-sim/streams/record_buffer.h"

namespace shearling {

namespace {

constexpr std::string_view kName = "multicore";
constexpr std::string_view kPrefix = "synthetic:multicore";

/// One of a specification's numbers.
enum class Number : std::uint8_t {
  Cores,
  Count,
  Private,
  Shared,
  Sharing,
  Writes,
  Run,
  Skew,
  Seed,
  Superpages,
  Scatter,
  Size,
  Ways
};
/// One of its words.
enum class Word : std::uint8_t { View, Protocol, Organisation };

struct NumberRule {
  std::string_view name, default_text;
  double unit;  ///< What K means: 1024 bytes, 1000, or (0) nothing; M and G its powers. 0 also allows fractions.
  double least, most;
  std::string_view description;
};
constexpr double kBytes = 1024, kThings = 1000, kShare = 0;

/// In the order of Number.
constexpr std::array<NumberRule, 13> kNumbers{{
    {"cores", "4", kThings, 1, kMostCores, "threads, one a core"},
    {"count", "1M", kThings, 1, 1e15, "references of each core"},
    {"private", "1M", kBytes, 8, 68719476736.0, "data of each thread's own, a multiple of 8 bytes"},
    {"shared", "1M", kBytes, 8, 68719476736.0, "data of all threads, a multiple of 8 bytes"},
    {"sharing", "0.2", kShare, 0, 1, "share of references that go to the shared data"},
    {"writes", "0.3", kShare, 0, 1, "share of references that write"},
    {"run", "8", kThings, 1, 1e6, "references in a row to neighbouring words"},
    {"skew", "3", kThings, 1, 64, "how much runs prefer the start of the data; 1: not at all"},
    {"seed", "1", kThings, 0, 1e15, "another seed gives another stream of the same kind"},
    {"superpages", "0", kShare, 0, 1, "share of the data in 2 MB pages"},
    {"fragmentation", "1", kShare, 0, 1, "how scattered the frames of base pages are"},
    {"size", "32K", kBytes, 64, 1073741824.0, "view=coreK: each core's L1D; give the simulation's own"},
    {"ways", "8", kThings, 1, 32, "view=coreK: ways of each core's L1D"},
}};

struct WordRule {
  std::string_view name, default_text, description;
};
/// In the order of Word.
constexpr std::array<WordRule, 3> kWords{{
    {"view", "all", "all: every core's references in turn; coreK: those of core K, and the probes that reach it"},
    {"protocol", "directory", "view=coreK: directory or snoopy"},
    {"organisation", "vipt", "view=coreK: each core's L1D is vipt, pipt or seesaw"},
}};

struct Problem {
  std::string message, remedy;
};

struct Parsed {
  std::array<double, kNumbers.size()> numbers{};
  std::array<std::string_view, kWords.size()> words{};
  [[nodiscard]] double operator[](Number number) const { return numbers[static_cast<std::size_t>(number)]; }
  [[nodiscard]] std::uint64_t whole(Number number) const { return static_cast<std::uint64_t>((*this)[number]); }
  [[nodiscard]] std::string_view operator[](Word word) const { return words[static_cast<std::size_t>(word)]; }
};

std::optional<double> number_of(const NumberRule& rule, std::string_view text) {
  static constexpr std::string_view kSuffixes = "KMG";
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (problem != std::errc() || !std::isfinite(value)) return std::nullopt;
  const std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  if (suffix.size() > 1 || (!suffix.empty() && rule.unit == kShare)) return std::nullopt;
  if (!suffix.empty()) {
    const std::size_t power = kSuffixes.find(suffix.front());
    if (power == std::string_view::npos) return std::nullopt;
    value *= std::pow(rule.unit, static_cast<double>(power + 1));
  }
  if (rule.unit != kShare && value != std::floor(value)) return std::nullopt;
  return value >= rule.least && value <= rule.most ? std::optional(value) : std::nullopt;
}

std::string plain(double number) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed).ptr;
  return {digits.data(), end};
}

std::string names_of_parameters() {
  std::string names;
  for (const NumberRule& rule : kNumbers) names.append(names.empty() ? "" : ", ").append(rule.name);
  for (const WordRule& rule : kWords) names.append(", ").append(rule.name);
  return names;
}

/// Sets one "key=value".
std::optional<Problem> set(Parsed& parsed, std::string_view setting) {
  const std::size_t equals = std::min(setting.find('='), setting.size());
  const std::string_view name = setting.substr(0, equals);
  const std::string_view value = setting.substr(std::min(equals + 1, setting.size()));
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i].name == name) {
      parsed.words[i] = value;
      return std::nullopt;
    }
  }
  const auto* const rule =
      std::find_if(kNumbers.begin(), kNumbers.end(), [&](const NumberRule& one) { return one.name == name; });
  if (rule == kNumbers.end())
    return Problem{"multicore has no parameter '" + std::string(name) + "'", "it has " + names_of_parameters()};
  const std::optional<double> number = number_of(*rule, value);
  if (!number)
    return Problem{"'" + std::string(setting) + "' cannot be", std::string(name) + " is from " + plain(rule->least) +
                                                                   " to " + plain(rule->most) + ": " +
                                                                   std::string(rule->description)};
  parsed.numbers[static_cast<std::size_t>(rule - kNumbers.begin())] = *number;
  return std::nullopt;
}

Parsed defaults() {
  Parsed parsed;
  for (std::size_t i = 0; i < kNumbers.size(); ++i)
    parsed.numbers[i] = *number_of(kNumbers[i], kNumbers[i].default_text);
  for (std::size_t i = 0; i < kWords.size(); ++i) parsed.words[i] = kWords[i].default_text;
  return parsed;
}

MulticoreConfig threads_of(const Parsed& parsed) {
  return {.cores = static_cast<unsigned>(parsed.whole(Number::Cores)),
          .references = parsed.whole(Number::Count),
          .private_bytes = parsed.whole(Number::Private),
          .shared_bytes = parsed.whole(Number::Shared),
          .sharing = parsed[Number::Sharing],
          .writes = parsed[Number::Writes],
          .run = static_cast<unsigned>(parsed.whole(Number::Run)),
          .skew = static_cast<unsigned>(parsed.whole(Number::Skew)),
          .seed = parsed.whole(Number::Seed)};
}

PageMapConfig pages_of(const Parsed& parsed) {
  PageMapConfig pages;
  pages.superpage_share = parsed[Number::Superpages];
  pages.fragmentation = parsed[Number::Scatter];
  pages.seed = parsed.whole(Number::Seed);
  return pages;
}

/// All cores' references, one of each in turn.
class TurnsStream final : public ReferenceStream {
 public:
  TurnsStream(const MulticoreConfig& threads, const PageMapConfig& pages) : pages_(pages) {
    for (std::unique_ptr<ReferenceStream>& stream : thread_streams(threads)) threads_.emplace_back(std::move(stream));
  }
  std::size_t read(std::span<ReferenceRecord> batch) override {
    std::size_t count = 0;
    for (; count < batch.size(); ++count) {
      const std::optional<ReferenceRecord> record = threads_[turn_].next();
      if (!record) break;  // All are equally long.
      batch[count] = *record;
      turn_ = turn_ + 1 == threads_.size() ? 0 : turn_ + 1;
    }
    return count;
  }
  [[nodiscard]] double progress() const override { return threads_.front().stream().progress(); }
  [[nodiscard]] const PageMapConfig* suggested_pages() const override { return &pages_; }

 private:
  PageMapConfig pages_;
  std::vector<RecordReader> threads_;
  std::size_t turn_ = 0;
};

/// One core's view, with the pages that it was made for.
class ViewStream final : public ReferenceStream {
 public:
  ViewStream(const ProbeStreamConfig& config, const MulticoreConfig& threads)
      : pages_(config.pages), view_(config, thread_streams(threads)) {}
  std::size_t read(std::span<ReferenceRecord> batch) override { return view_.read(batch); }
  [[nodiscard]] const StreamError* error() const override { return view_.error(); }
  [[nodiscard]] double progress() const override { return view_.progress(); }
  [[nodiscard]] const PageMapConfig* suggested_pages() const override { return &pages_; }

 private:
  PageMapConfig pages_;
  ProbeStream view_;
};

template <typename Value, std::size_t kCount>
std::optional<Value> chosen(const std::array<std::pair<std::string_view, Value>, kCount>& choices,
                            std::string_view word) {
  for (const auto& [name, value] : choices) {
    if (name == word) return value;
  }
  return std::nullopt;
}

/// "core3": 3.
std::optional<unsigned> observed_core(std::string_view view) {
  static constexpr std::string_view kCore = "core";
  if (!view.starts_with(kCore)) return std::nullopt;
  view.remove_prefix(kCore.size());
  unsigned core = 0;
  const auto [end, problem] = std::from_chars(view.data(), view.data() + view.size(), core);
  if (problem != std::errc() || end != view.data() + view.size()) return std::nullopt;
  return core;
}

std::variant<ProbeStreamConfig, Problem> view_of(const Parsed& parsed) {
  static constexpr std::array<std::pair<std::string_view, CoherenceProtocol>, 2> kProtocols{
      {{"directory", CoherenceProtocol::Directory}, {"snoopy", CoherenceProtocol::Snoopy}}};
  static constexpr std::array<std::pair<std::string_view, CacheOrganisation>, 3> kOrganisations{
      {{"vipt", CacheOrganisation::Vipt}, {"pipt", CacheOrganisation::Pipt}, {"seesaw", CacheOrganisation::Seesaw}}};
  const auto protocol = chosen(kProtocols, parsed[Word::Protocol]);
  if (!protocol) return Problem{"there is no such protocol", "choose protocol=directory or protocol=snoopy"};
  const auto organisation = chosen(kOrganisations, parsed[Word::Organisation]);
  if (!organisation) return Problem{"there is no such organisation", "choose organisation=vipt, pipt or seesaw"};
  const auto observed = observed_core(parsed[Word::View]);
  if (!observed || *observed >= parsed.whole(Number::Cores))
    return Problem{"view=" + std::string(parsed[Word::View]) + " names no core of the stream",
                   "choose view=all, or view=core0 to view=core" + std::to_string(parsed.whole(Number::Cores) - 1)};
  ProbeStreamConfig config;
  config.system.cores = static_cast<unsigned>(parsed.whole(Number::Cores));
  config.system.protocol = *protocol;
  config.system.l1d.size = parsed.whole(Number::Size);
  config.system.l1d.ways = static_cast<unsigned>(parsed.whole(Number::Ways));
  config.system.l1d.organisation = *organisation;
  config.pages = pages_of(parsed);
  config.observed = *observed;
  if (std::string problem = problem_of(config); !problem.empty())
    return Problem{std::move(problem), "change size, ways or organisation"};
  return config;
}

OpenedStream make_multicore_stream(const std::string& specification) {
  const auto fail = [&](const Problem& problem) {
    return StreamError{specification, 0, 0, problem.message, problem.remedy};
  };
  Parsed parsed = defaults();
  std::string_view settings = std::string_view(specification).substr(kPrefix.size());
  while (!settings.empty()) {
    settings.remove_prefix(1);
    const std::size_t comma = std::min(settings.find(','), settings.size());
    if (const auto problem = set(parsed, settings.substr(0, comma))) return fail(*problem);
    settings.remove_prefix(comma);
  }
  const MulticoreConfig threads = threads_of(parsed);
  if (std::string problem = problem_of(threads); !problem.empty())
    return fail({std::move(problem), "change private or shared"});
  if (parsed[Word::View] == "all") return OpenedStream(std::make_unique<TurnsStream>(threads, pages_of(parsed)));
  const auto view = view_of(parsed);
  if (const auto* problem = std::get_if<Problem>(&view)) return fail(*problem);
  return OpenedStream(std::make_unique<ViewStream>(std::get<ProbeStreamConfig>(view), threads));
}

bool is_multicore(std::string_view specification) {
  if (!specification.starts_with(kPrefix)) return false;
  return specification.size() == kPrefix.size() || specification[kPrefix.size()] == ',';
}

}  // namespace

OpenedStream open_study_stream(const std::string& specification, TraceFormat format) {
  if (is_multicore(specification)) return make_multicore_stream(specification);
  OpenedStream opened = open_stream(specification, format);
  // Who misspelt a generator is told of this one, too.
  if (auto* error = std::get_if<StreamError>(&opened); error != nullptr && error->remedy.starts_with("choose one of "))
    error->remedy += ", multicore";
  return opened;
}

Diagnostic diagnostic_of(const StreamError& error) {
  std::string message = error.message;
  if (error.line == 0 && error.byte != 0) message = "byte " + std::to_string(error.byte) + ": " + message;
  return {error.source, static_cast<unsigned>(error.line), 0, message, error.remedy};
}

std::vector<GeneratorDescription> study_generators() {
  std::vector<GeneratorDescription> all = generators();
  GeneratorDescription multicore{std::string(kName),
                                 "threads, one a core, that share part of their data; for configurations with "
                                 "'coherence', or as one core's view with the probes that reach it",
                                 {}};
  for (const NumberRule& rule : kNumbers)
    multicore.parameters.push_back(
        {std::string(rule.name), std::string(rule.default_text), std::string(rule.description)});
  for (const WordRule& rule : kWords)
    multicore.parameters.push_back(
        {std::string(rule.name), std::string(rule.default_text), std::string(rule.description)});
  all.push_back(std::move(multicore));
  return all;
}

}  // namespace shearling
