// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/cache.h"

#include <cmath>
#include <utility>

namespace shearling {

namespace {

bool is_energy(float energy) { return std::isfinite(energy) && energy >= 0; }

std::string geometry_problem(const CacheConfig& config) {
  if (!std::has_single_bit(config.line) || config.line < 4 || config.line > 4096)
    return "the line size must be a power of two from 4 to 4096 bytes";
  if (config.ways == 0 || config.ways > Cache::kMostWays) return "ways must be 1 to 32";
  const std::uint64_t row = std::uint64_t{config.line} * config.ways;
  if (config.size == 0 || config.size % row != 0) return "its size must be a multiple of ways times line size";
  if (config.size / row > 1U << 24U) return "at most 2^24 sets";
  return {};
}

// The partition bits lie directly above the set index, and in the 21 bits that a 2 MB page does not translate.
std::string seesaw_problem(const CacheConfig& config) {
  const std::uint64_t sets = config.size / config.line / config.ways;
  if (!std::has_single_bit(sets) || !std::has_single_bit(config.ways) || config.ways < Cache::kPartitionWays)
    return "SEESAW needs a power of two of sets, and of ways, at least 4";
  if (config.size / Cache::kPartitionWays > page_bytes(PageSize::Size2M))
    return "SEESAW holds at most 8 MB: its partition bits must lie in the offset of a 2 MB page";
  return {};
}

std::string policy_problem(const CacheConfig& config) {
  if (config.replacement == ReplacementKind::TreePlru && !std::has_single_bit(config.ways))
    return "tree-PLRU needs a power of two of ways";
  if (config.way_prediction && config.ways < 2) return "way prediction needs at least 2 ways";
  for (const float energy : {config.energy, config.partition_energy, config.way_energy}) {
    if (!is_energy(energy)) return "an energy must be a number of nanojoules, at least 0";
  }
  return config.organisation == CacheOrganisation::Seesaw ? seesaw_problem(config) : std::string();
}

}  // namespace

std::string problem_of(const CacheConfig& config) {
  std::string problem = geometry_problem(config);
  if (problem.empty()) problem = policy_problem(config);
  return problem.empty() ? problem : "cache \"" + config.name + "\": " + problem;
}

Cache::Cache(CacheConfig config, std::uint64_t seed)
    : config_(std::move(config)),
      sets_(static_cast<unsigned>(config_.size / (std::uint64_t{config_.line} * config_.ways))),
      ways_(config_.ways),
      insertion_ways_(config_.ways),
      line_shift_(static_cast<unsigned>(std::countr_zero(config_.line))),
      set_mask_(std::has_single_bit(sets_) ? sets_ - 1 : 0),
      dirties_(config_.write == WritePolicy::WriteBack ? 1 : 0),
      writes_through_(config_.write == WritePolicy::WriteThrough),
      seesaw_(config_.organisation == CacheOrganisation::Seesaw),
      partitioned_(seesaw_ && config_.insertion == InsertionPolicy::Partition),
      always_searches_(config_.way_prediction || (seesaw_ && !partitioned_)),
      tags_(std::size_t{sets_} * ways_ + (always_searches_ ? 1 : 0), kNoLine),
      dirty_(sets_),
      last_(sets_),
      replacement_(config_.replacement, sets_, ways_, seed) {
  assert(problem_of(config_).empty());
  if (seesaw_) {
    partitions_ = ways_ / kPartitionWays;
    partition_shift_ = line_shift_ + static_cast<unsigned>(std::countr_zero(sets_));
  }
  if (partitioned_) insertion_ways_ = kPartitionWays;
  // Where every lookup must go through search(), the way used last is a slot behind the last set, which holds nothing.
  for (unsigned set = 0; set < sets_; ++set) last_[set] = (always_searches_ ? sets_ : set) * ways_;
  if (config_.way_prediction) forget_use();
  set_costs();
}

void Cache::forget_use() {
  recent_.assign(std::size_t{sets_} * (partitions_ + 1), 0);
  for (unsigned set = 0; seesaw_ && set < sets_; ++set) {
    for (unsigned way = 0; way < ways_; way += kPartitionWays)
      recent_[recent_index(set, true, way)] = static_cast<std::uint8_t>(way);
  }
}

// A wrong guess reads one way first, and the others of the set or partition in a second lookup (Powell et al.; the
// energy of n ways is taken for n times that of one, as in T. Zheng et al., "SIPT", HPCA 2018).
void Cache::set_costs() {
  const auto set = [this](bool partition, unsigned latency, unsigned ways, float energy) {
    const std::size_t kind = partition ? 1 : 0;
    const auto share = 1 / static_cast<float>(ways);
    const float way_energy = config_.way_energy != 0 ? config_.way_energy : energy * share;
    costs_[kind] = {latency, energy};
    costs_[kind + 2] = {latency, way_energy};
    costs_[kind + 4] = {2 * latency, way_energy + energy * (1 - share)};
  };
  set(false, config_.latency, ways_, config_.energy);
  set(true, config_.fast_latency, kPartitionWays, config_.partition_energy);
}

Cache::Line Cache::line(unsigned set, unsigned way) const {
  const std::uint64_t number = tags_[std::size_t{set} * ways_ + way];
  if (number == kNoLine) return {};
  return {.number = number, .valid = 1, .dirty = static_cast<std::uint8_t>(dirty_[set] >> way & 1U)};
}

void Cache::remember(unsigned set, unsigned way) {
  recent_[recent_index(set, false, 0)] = static_cast<std::uint8_t>(way);
  if (seesaw_) recent_[recent_index(set, true, way)] = static_cast<std::uint8_t>(way);
}

// A lookup that is not a hit on the way used last, or in a cache where that way cannot simply be looked at first: it
// may be predicted, or the line held twice, or outside of the partition that is asked.
Cache::Rest Cache::search(unsigned set, PhysicalAddress physical, bool write, bool fast, bool superpage) {
  const std::uint64_t line = physical.value >> line_shift_;
  const Range probed = fast ? partition_of(physical) : Range{0, ways_};
  const std::size_t row = std::size_t{set} * ways_;
  Rest rest;
  rest.lookup = fast ? Lookup::Partition : Lookup::Whole;
  rest.ways = static_cast<std::uint8_t>(probed.ways);
  rest.passes_on = write && writes_through_;
  std::uint32_t matching = match(row + probed.first, probed.ways, line) << probed.first;
  if (config_.way_prediction) matching = predict(rest, set, matching, probed);
  rest.hit = matching != 0;
  if (rest.hit) {
    rest.way = static_cast<std::uint8_t>(std::countr_zero(matching));
    dirty_[set] |= (std::uint32_t{write} & dirties_) << rest.way;
  } else {
    rest.way = static_cast<std::uint8_t>(probed.first);
    ++tally_.misses[write ? 1 : 0];
    rest.filled = !write || config_.write_allocate;
    rest.passes_on = rest.passes_on || !rest.filled;
    if (!rest.filled) return rest;
    fill(rest, set, seesaw_ && (superpage || fast) ? partition_of(physical) : home_of(physical), line, write);
  }
  replacement_.touch(set, rest.way);
  if (!always_searches_) last_[set] = static_cast<std::uint32_t>(row + rest.way);
  if (config_.way_prediction) remember(set, rest.way);
  return rest;
}

// What is left to choose from: the predicted way alone if it holds the line, else every way that does.
std::uint32_t Cache::predict(Rest& rest, unsigned set, std::uint32_t matching, Range probed) {
  const bool fast = rest.lookup == Lookup::Partition;
  const std::uint32_t right = matching & std::uint32_t{1} << predicted_way(set, fast, probed.first);
  const WayGuess guess = right != 0 ? WayGuess::Right : WayGuess::Wrong;
  rest.lookup = static_cast<Lookup>(static_cast<unsigned>(rest.lookup) + 2 * static_cast<unsigned>(guess));
  tally_.guessed_right[fast ? 1 : 0] += right != 0 ? 1U : 0U;
  if (right == 0) return matching;
  rest.ways = 1;
  return right;
}

// Into a free way of `home`, else over its victim.
void Cache::fill(Rest& rest, unsigned set, Range home, std::uint64_t line, bool write) {
  const std::size_t row = std::size_t{set} * ways_;
  const std::uint32_t free = match(row + home.first, home.ways, kNoLine);
  const unsigned way = free != 0 ? home.first + static_cast<unsigned>(std::countr_zero(free))
                                 : replacement_.victim(set, home.first, home.ways);
  const std::uint32_t bit = std::uint32_t{1} << way;
  std::uint32_t& dirty = dirty_[set];
  rest.way = static_cast<std::uint8_t>(way);
  if (free == 0) {
    rest.evicted = true;
    rest.evicted_line = tags_[row + way];
    rest.evicted_dirty = (dirty & bit) != 0;
    tally_.write_backs += rest.evicted_dirty ? 1U : 0U;
  }
  tags_[row + way] = line;
  dirty = write && !writes_through_ ? dirty | bit : dirty & ~bit;
}

CacheOutcome Cache::outcome_of(const Step& step) const {
  CacheOutcome outcome;
  outcome.cache = config_.name.c_str();
  outcome.hit = step.hit;
  outcome.way = step.way;
  outcome.ways_probed = step.ways;
  outcome.ways_probed_mask = mask_of(probed_by(step));
  outcome.set = step.set;
  outcome.latency = latency_of(step);
  outcome.energy = energy_of(step);
  outcome.guess = guess_of(step);
  outcome.passes_on = step.passes_on;
  if (!step.filled) return outcome;
  outcome.filled = {
      .line = address_of(step.line), .set = step.set, .way = step.way, .dirty = step.write && !writes_through_};
  if (!step.evicted) return outcome;
  outcome.evicted = {
      .line = address_of(step.evicted_line), .set = step.set, .way = step.way, .dirty = step.evicted_dirty};
  return outcome;
}

CacheCounters Cache::counters() const {
  CacheCounters counters;
  for (const std::size_t kind : {0U, 1U}) {
    const std::uint64_t lookups = tally_.accesses[kind][0] + tally_.accesses[kind][1];
    const std::uint64_t right = tally_.guessed_right[kind];
    const std::uint64_t wrong = config_.way_prediction ? lookups - right : 0;
    counters.reads += tally_.accesses[kind][0];
    counters.writes += tally_.accesses[kind][1];
    counters.ways_probed += right + (lookups - right) * (kind == 0 ? ways_ : kPartitionWays);
    counters.way_predictions += right + wrong;
    counters.way_mispredictions += wrong;
    counters.energy += static_cast<double>(lookups - right - wrong) * double{costs_[kind].energy} +
                       static_cast<double>(right) * double{costs_[kind + 2].energy} +
                       static_cast<double>(wrong) * double{costs_[kind + 4].energy};
  }
  counters.read_misses = tally_.misses[0];
  counters.write_misses = tally_.misses[1];
  counters.write_backs = tally_.write_backs;
  counters.fills = counters.read_misses + (config_.write_allocate ? counters.write_misses : 0);
  const std::uint64_t written_around = config_.write_allocate ? 0 : counters.write_misses;
  counters.passed_on = writes_through_ ? counters.writes : written_around;
  counters.probes = tally_.probes;
  counters.probe_hits = tally_.probe_hits;
  counters.probe_ways = tally_.probes * insertion_ways_;
  counters.probe_energy = static_cast<double>(tally_.probes) * double{probe_energy()};
  return counters;
}

std::optional<unsigned> Cache::find(std::uint64_t index, PhysicalAddress physical) const {
  const std::uint32_t held = held_in(set_of(index), physical);
  if (held == 0) return std::nullopt;
  return static_cast<unsigned>(std::countr_zero(held));
}

std::uint32_t Cache::held_in(unsigned set, PhysicalAddress physical) const {
  const Range home = home_of(physical);
  return match(std::size_t{set} * ways_ + home.first, home.ways, physical.value >> line_shift_) << home.first;
}

ProbeOutcome Cache::coherence_probe(std::uint64_t index, PhysicalAddress physical, CoherenceAction action) {
  const ProbeOutcome outcome = apply(index, physical, action);
  ++tally_.probes;
  tally_.probe_hits += outcome.hit ? 1U : 0U;
  return outcome;
}

ProbeOutcome Cache::apply(std::uint64_t index, PhysicalAddress physical, CoherenceAction action) {
  const Range home = home_of(physical);
  ProbeOutcome outcome;
  outcome.set = set_of(index);
  outcome.ways_probed = static_cast<std::uint8_t>(home.ways);
  outcome.ways_probed_mask = mask_of(home);
  outcome.energy = probe_energy();
  const std::uint32_t held = held_in(outcome.set, physical);
  if (held == 0) return outcome;
  std::uint32_t& dirty = dirty_[outcome.set];
  outcome.hit = true;
  outcome.dirty = (dirty & held) != 0;
  outcome.way = static_cast<std::uint8_t>(std::countr_zero(held));
  if (action == CoherenceAction::Look) return outcome;
  tally_.write_backs += outcome.dirty ? 1U : 0U;
  dirty &= ~held;
  if (action == CoherenceAction::Clean) return outcome;
  for (std::uint32_t left = held; left != 0; left &= left - 1) {
    tags_[std::size_t{outcome.set} * ways_ + static_cast<unsigned>(std::countr_zero(left))] = kNoLine;
  }
  return outcome;
}

bool Cache::mark_dirty_if_held(std::uint64_t index, PhysicalAddress physical) {
  const std::uint32_t held = held_in(set_of(index), physical);
  if (held == 0 || writes_through_) return false;
  dirty_[set_of(index)] |= held & (~held + 1);
  return true;
}

unsigned Cache::duplicates() const {
  unsigned twice = 0;
  for (std::size_t slot = 0; slot < std::size_t{sets_} * ways_; ++slot) {
    const std::size_t row = slot - slot % ways_;
    const auto way = static_cast<unsigned>(slot - row);
    if (tags_[slot] != kNoLine && match(row, way, tags_[slot]) != 0) ++twice;
  }
  return twice;
}

}  // namespace shearling
