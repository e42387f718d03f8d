// SPDX-License-Identifier: GPL-3.0-or-later
#include <utility>

#include "cache-sim/cache.h"

namespace shearling {

std::string problem_of(const CacheConfig& config) {
  const std::string who = "cache \"" + config.name + "\": ";
  if (!std::has_single_bit(config.line) || config.line < 4)
    return who + "the line size must be a power of two, at least 4";
  if (config.ways == 0 || config.ways > Cache::kMostWays) return who + "ways must be 1 to 32";
  const std::uint64_t row = std::uint64_t{config.line} * config.ways;
  if (config.size == 0 || config.size % row != 0) return who + "its size must be a multiple of ways times line size";
  if (config.size / row > 1U << 24U) return who + "at most 2^24 sets";
  if (config.replacement == ReplacementKind::TreePlru && !std::has_single_bit(config.ways)) {
    return who + "tree-PLRU needs a power of two of ways";
  }
  if (config.organisation != CacheOrganisation::Seesaw) return {};
  const std::uint64_t sets = config.size / row;
  if (!std::has_single_bit(sets) || !std::has_single_bit(config.ways) || config.ways < Cache::kPartitionWays) {
    return who + "SEESAW needs a power of two of sets, and of ways, at least 4";
  }
  return {};
}

Cache::Cache(CacheConfig config, std::uint64_t seed)
    : config_(std::move(config)),
      sets_(static_cast<unsigned>(config_.size / (std::uint64_t{config_.line} * config_.ways))),
      ways_(config_.ways),
      insertion_ways_(config_.ways),
      line_shift_(static_cast<unsigned>(std::countr_zero(config_.line))),
      set_mask_(std::has_single_bit(sets_) ? sets_ - 1 : 0),
      seesaw_(config_.organisation == CacheOrganisation::Seesaw),
      tags_(std::size_t{sets_} * ways_, kNoLine),
      dirty_(sets_),
      guess_(sets_),
      replacement_(config_.replacement, sets_, ways_, seed) {
  assert(problem_of(config_).empty());
  if (!seesaw_) return;
  partitions_ = ways_ / kPartitionWays;
  insertion_ways_ = kPartitionWays;
  partition_shift_ = line_shift_ + static_cast<unsigned>(std::countr_zero(sets_));
}

Cache::Line Cache::line(unsigned set, unsigned way) const {
  const std::uint64_t number = tags_[std::size_t{set} * ways_ + way];
  if (number == kNoLine) return {};
  return {.number = number, .valid = 1, .dirty = static_cast<std::uint8_t>(dirty_[set] >> way & 1U)};
}

// On a miss: into a free way, else over the victim, of the partition that the line's physical address maps to.
Cache::Filled Cache::fill(unsigned set, unsigned first_way, std::uint64_t line, bool write) {
  ++tally_.misses[write ? 1 : 0];
  const std::size_t row = std::size_t{set} * ways_;
  const std::uint32_t free = match(row + first_way, insertion_ways_, kNoLine);
  const unsigned way = free != 0 ? first_way + static_cast<unsigned>(std::countr_zero(free))
                                 : replacement_.victim(set, first_way, insertion_ways_);
  const std::uint32_t bit = std::uint32_t{1} << way;
  std::uint32_t& dirty = dirty_[set];
  Filled filled;
  filled.way = static_cast<std::uint8_t>(way);
  if (free == 0) {
    filled.evicted = true;
    filled.evicted_line = tags_[row + way];
    filled.evicted_dirty = (dirty & bit) != 0;
    tally_.write_backs += filled.evicted_dirty ? 1U : 0U;
  }
  tags_[row + way] = line;
  dirty = write ? dirty | bit : dirty & ~bit;
  guess_[set] = filled.way;
  replacement_.touch(set, way);
  return filled;
}

CacheOutcome Cache::outcome_of(const Step& step) const {
  CacheOutcome outcome;
  outcome.cache = config_.name.c_str();
  outcome.hit = step.hit;
  outcome.way = step.way;
  outcome.ways_probed = step.ways;
  outcome.ways_probed_mask = static_cast<std::uint32_t>(((std::uint64_t{1} << step.ways) - 1) << step.first_way);
  outcome.set = step.set;
  outcome.latency = latency_of(step);
  outcome.energy = energy_of(step);
  if (step.hit) return outcome;
  outcome.filled = {.line = address_of(step.line), .set = step.set, .way = step.way, .dirty = step.write};
  if (!step.evicted) return outcome;
  outcome.evicted = {
      .line = address_of(step.evicted_line), .set = step.set, .way = step.way, .dirty = step.evicted_dirty};
  return outcome;
}

CacheCounters Cache::counters() const {
  const auto& [full, partition] = tally_.accesses;
  const std::uint64_t full_lookups = full[0] + full[1];
  const std::uint64_t partition_lookups = partition[0] + partition[1];
  return {.reads = full[0] + partition[0],
          .writes = full[1] + partition[1],
          .read_misses = tally_.misses[0],
          .write_misses = tally_.misses[1],
          .ways_probed = full_lookups * ways_ + partition_lookups * kPartitionWays,
          .write_backs = tally_.write_backs,
          .energy = static_cast<double>(full_lookups) * double{config_.energy} +
                    static_cast<double>(partition_lookups) * double{config_.partition_energy}};
}

std::optional<unsigned> Cache::probe(PhysicalAddress physical) const {
  const unsigned first_way = partitions_ == 1 ? 0 : first_way_of_partition(physical.value);
  const std::size_t row = std::size_t{set_of(physical.value)} * ways_;
  const std::uint32_t matching = match(row + first_way, insertion_ways_, physical.value >> line_shift_);
  if (matching == 0) return std::nullopt;
  return first_way + static_cast<unsigned>(std::countr_zero(matching));
}

unsigned Cache::sweep(PhysicalAddress address, std::uint64_t bytes) {
  return sweep(address, bytes, [](PhysicalAddress) {});
}

}  // namespace shearling
