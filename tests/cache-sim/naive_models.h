// SPDX-License-Identifier: GPL-3.0-or-later
//
// Plain models of replacement, TLB and cache for property tests: slow, and right at a glance. They share no code with
// the library: sets and ways are found by division, entries by looking at all of them, order by lists.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <list>
#include <map>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/tlb.h"

namespace shearling::naive {

/// The order of use in one set. Random has none: the test tells the models which way was taken.
class Order {
 public:
  Order(ReplacementKind kind, unsigned ways) : kind_(kind), ways_(ways) {
    for (unsigned way = 0; way < ways; ++way) oldest_first_.push_back(way);
  }
  void touch(unsigned way) {
    oldest_first_.remove(way);
    oldest_first_.push_back(way);
    if (kind_ != ReplacementKind::TreePlru) return;
    for (unsigned size = ways_; size > 1; size /= 2) {
      const unsigned first = way / size * size;
      right_half_is_older_[{first, size}] = way < first + size / 2;
    }
  }
  [[nodiscard]] unsigned victim(unsigned first, unsigned count) const {
    if (kind_ == ReplacementKind::Lru) {
      for (const unsigned way : oldest_first_) {
        if (way >= first && way < first + count) return way;
      }
    }
    while (count > 1) {
      count /= 2;
      const auto older = right_half_is_older_.find({first, count * 2});
      if (older != right_half_is_older_.end() && older->second) first += count;
    }
    return first;
  }

 private:
  ReplacementKind kind_;
  unsigned ways_;
  std::list<unsigned> oldest_first_;
  std::map<std::pair<unsigned, unsigned>, bool> right_half_is_older_;
};

class CacheModel {
 public:
  struct Held {
    std::uint64_t line;
    bool dirty;
  };
  using Ways = std::vector<unsigned>;

  explicit CacheModel(CacheConfig config) : config_(std::move(config)) {
    sets_ = static_cast<unsigned>(config_.size / config_.line / config_.ways);
    seesaw_ = config_.organisation == CacheOrganisation::Seesaw;
    content_.assign(sets_, std::vector<std::optional<Held>>(config_.ways));
    order_.assign(sets_, Order(config_.replacement, config_.ways));
    used_last_first_.resize(sets_);
  }

  /// `random_way` stands for the victim where replacement is random.
  CacheOutcome access(std::uint64_t index, std::uint64_t physical, AccessKind kind, bool fast, unsigned random_way = 0,
                      bool superpage = false) {
    fast = fast && seesaw_;
    const bool write = kind == AccessKind::Write;
    const bool through = config_.write == WritePolicy::WriteThrough;
    const std::uint64_t line = physical / config_.line;
    CacheOutcome outcome;
    outcome.set = set_of(index);
    std::vector<std::optional<Held>>& ways = content_[outcome.set];
    const Ways probed = fast ? partition_of(index) : whole();
    std::optional<unsigned> found;
    for (const unsigned way : probed) {
      if (!found && ways[way] && ways[way]->line == line) found = way;
    }
    outcome.ways_probed_mask = mask_of(probed);
    outcome.latency = fast ? config_.fast_latency : config_.latency;
    outcome.energy = fast ? config_.partition_energy : config_.energy;
    if (config_.way_prediction) {
      const unsigned predicted = predict(outcome.set, probed);
      const auto count = static_cast<float>(probed.size());
      const float one = config_.way_energy != 0 ? config_.way_energy : outcome.energy / count;
      const bool right = ways[predicted] && ways[predicted]->line == line;
      outcome.guess = right ? WayGuess::Right : WayGuess::Wrong;
      ++counters.way_predictions;
      counters.way_mispredictions += right ? 0 : 1;
      if (right) {
        found = predicted;
        outcome.ways_probed_mask = 1U << predicted;
        outcome.energy = one;
      } else {
        outcome.latency *= 2;
        outcome.energy = one + outcome.energy * (count - 1) / count;
      }
    }
    outcome.ways_probed = static_cast<std::uint8_t>(std::popcount(outcome.ways_probed_mask));
    ++(write ? counters.writes : counters.reads);
    counters.ways_probed += outcome.ways_probed;
    counters.energy += double{outcome.energy};
    outcome.hit = found.has_value();
    outcome.passes_on = write && (through || (!outcome.hit && !config_.write_allocate));
    counters.passed_on += outcome.passes_on ? 1 : 0;
    if (!outcome.hit) {
      ++(write ? counters.write_misses : counters.read_misses);
      outcome.way = static_cast<std::uint8_t>(probed.front());
      if (write && !config_.write_allocate) return outcome;
      found = fill(outcome, line, home_of(physical, superpage || fast), random_way);
    }
    outcome.way = static_cast<std::uint8_t>(*found);
    if (write && !through) ways[*found]->dirty = true;
    if (outcome.filled) outcome.filled->dirty = ways[*found]->dirty;
    order_[outcome.set].touch(*found);
    used_last_first_[outcome.set].remove(*found);
    used_last_first_[outcome.set].push_front(*found);
    return outcome;
  }

  ProbeOutcome probe(std::uint64_t index, std::uint64_t physical, CoherenceAction action, bool counted) {
    const Ways probed = home_of(physical, false);
    ProbeOutcome outcome;
    outcome.set = set_of(index);
    outcome.ways_probed = static_cast<std::uint8_t>(probed.size());
    outcome.ways_probed_mask = mask_of(probed);
    outcome.energy = seesaw_ && probed.size() == 4 && config_.insertion == InsertionPolicy::Partition
                         ? config_.partition_energy
                         : config_.energy;
    for (const unsigned way : probed) {
      std::optional<Held>& held = content_[outcome.set][way];
      if (!held || held->line != physical / config_.line) continue;
      if (!outcome.hit) outcome.way = static_cast<std::uint8_t>(way);
      outcome.hit = true;
      outcome.dirty |= held->dirty;
      if (action != CoherenceAction::Look) held->dirty = false;
      if (action == CoherenceAction::Invalidate) held.reset();
    }
    if (action != CoherenceAction::Look && outcome.dirty) ++counters.write_backs;
    if (!counted) return outcome;
    ++counters.probes;
    counters.probe_hits += outcome.hit ? 1 : 0;
    counters.probe_ways += outcome.ways_probed;
    counters.probe_energy += double{outcome.energy};
    return outcome;
  }

  bool mark_dirty(std::uint64_t index, std::uint64_t physical) {
    if (config_.write == WritePolicy::WriteThrough) return false;
    for (const unsigned way : home_of(physical, false)) {
      std::optional<Held>& held = content_[set_of(index)][way];
      if (!held || held->line != physical / config_.line) continue;
      held->dirty = true;
      return true;
    }
    return false;
  }

  unsigned sweep(std::uint64_t address, std::uint64_t bytes) {
    unsigned dropped = 0;
    for (auto& set : content_) {
      for (std::optional<Held>& held : set) {
        if (!held || held->line < address / config_.line || held->line > (address + bytes - 1) / config_.line) continue;
        counters.write_backs += held->dirty ? 1 : 0;
        held.reset();
        ++dropped;
      }
    }
    return dropped;
  }

  [[nodiscard]] unsigned duplicates() const {
    unsigned twice = 0;
    for (const auto& set : content_) {
      std::map<std::uint64_t, unsigned> copies;
      for (const std::optional<Held>& held : set) twice += held && ++copies[held->line] == 2 ? 1 : 0;
    }
    return twice;
  }

  [[nodiscard]] const CacheConfig& config() const { return config_; }
  [[nodiscard]] const std::vector<std::vector<std::optional<Held>>>& content() const { return content_; }
  CacheCounters counters;

 private:
  static std::uint32_t mask_of(const Ways& ways) {
    std::uint32_t mask = 0;
    for (const unsigned way : ways) mask |= 1U << way;
    return mask;
  }
  [[nodiscard]] unsigned set_of(std::uint64_t index) const {
    return static_cast<unsigned>(index / config_.line % sets_);
  }
  [[nodiscard]] Ways whole() const {
    Ways ways(config_.ways);
    std::iota(ways.begin(), ways.end(), 0U);
    return ways;
  }
  [[nodiscard]] Ways partition_of(std::uint64_t address) const {
    const auto first = static_cast<unsigned>(address / config_.line / sets_ % (config_.ways / 4) * 4);
    return {first, first + 1, first + 2, first + 3};
  }
  /// Where a line may be put, for a page known to be a superpage or not.
  [[nodiscard]] Ways home_of(std::uint64_t physical, bool superpage) const {
    const bool narrow = seesaw_ && (superpage || config_.insertion == InsertionPolicy::Partition);
    return narrow ? partition_of(physical) : whole();
  }
  [[nodiscard]] unsigned predict(unsigned set, const Ways& among) const {
    for (const unsigned way : used_last_first_[set]) {
      if (std::count(among.begin(), among.end(), way) != 0) return way;
    }
    return among.front();
  }
  unsigned fill(CacheOutcome& outcome, std::uint64_t line, const Ways& home, unsigned random_way) {
    std::vector<std::optional<Held>>& ways = content_[outcome.set];
    std::optional<unsigned> taken;
    for (const unsigned way : home) {
      if (!taken && !ways[way]) taken = way;
    }
    if (!taken) {
      taken = config_.replacement == ReplacementKind::Random
                  ? random_way
                  : order_[outcome.set].victim(home.front(), static_cast<unsigned>(home.size()));
      outcome.evicted = {.line = {ways[*taken]->line * config_.line},
                         .set = outcome.set,
                         .way = static_cast<std::uint8_t>(*taken),
                         .dirty = ways[*taken]->dirty};
      counters.write_backs += ways[*taken]->dirty ? 1U : 0U;
    }
    ++counters.fills;
    ways[*taken] = Held{line, false};
    outcome.filled = {
        .line = {line * config_.line}, .set = outcome.set, .way = static_cast<std::uint8_t>(*taken), .dirty = false};
    return *taken;
  }

  CacheConfig config_;
  unsigned sets_ = 1;
  bool seesaw_ = false;
  std::vector<std::vector<std::optional<Held>>> content_;
  std::vector<Order> order_;
  std::vector<std::list<unsigned>> used_last_first_;
};

class TlbModel {
 public:
  explicit TlbModel(TlbGeometry geometry) : geometry_(std::move(geometry)) {
    const unsigned sets = geometry_.entries / geometry_.ways;
    content_.assign(sets, std::vector<std::optional<TlbEntry>>(geometry_.ways));
    order_.assign(sets, Order(geometry_.replacement, geometry_.ways));
  }

  static bool belongs(const TlbEntry& entry, TlbTag tag) {
    return entry.tag.virtual_machine == tag.virtual_machine &&
           (entry.global || entry.tag.address_space == tag.address_space);
  }
  static bool covers(const TlbEntry& entry, VirtualAddress address) {
    return address.value / page_bytes(entry.size) == entry.page.value / page_bytes(entry.size);
  }

  TlbOutcome lookup(VirtualAddress address, TlbTag tag, std::optional<TlbEntry>* found) {
    for (const PageSize size : geometry_.page_sizes) {
      const unsigned set = set_of(address, size);
      for (unsigned way = 0; way < geometry_.ways; ++way) {
        const std::optional<TlbEntry>& entry = content_[set][way];
        if (!entry || entry->size != size || !covers(*entry, address) || !belongs(*entry, tag)) continue;
        *found = entry;
        order_[set].touch(way);
        return {.hit = true, .set = static_cast<std::uint16_t>(set), .way = static_cast<std::uint16_t>(way)};
      }
    }
    return {};
  }

  Tlb::FillOutcome fill(const TlbEntry& entry, unsigned random_way = 0) {
    const unsigned set = set_of(entry.page, entry.size);
    std::vector<std::optional<TlbEntry>>& ways = content_[set];
    std::optional<unsigned> taken;
    for (unsigned way = 0; way < geometry_.ways && !taken; ++way) {
      if (ways[way] && ways[way]->size == entry.size && covers(*ways[way], entry.page) &&
          belongs(*ways[way], entry.tag))
        taken = way;
    }
    for (unsigned way = 0; way < geometry_.ways && !taken; ++way) {
      if (!ways[way]) taken = way;
    }
    Tlb::FillOutcome outcome;
    if (!taken) {
      taken = geometry_.replacement == ReplacementKind::Random ? random_way : order_[set].victim(0, geometry_.ways);
      outcome.evicted = ways[*taken];
    }
    ways[*taken] = entry;
    order_[set].touch(*taken);
    outcome.set = static_cast<std::uint16_t>(set);
    outcome.way = static_cast<std::uint16_t>(*taken);
    return outcome;
  }

  template <typename Condition>
  unsigned drop_where(Condition condition) {
    unsigned dropped = 0;
    for (auto& set : content_) {
      for (auto& entry : set) {
        if (!entry || !condition(*entry)) continue;
        entry.reset();
        ++dropped;
      }
    }
    return dropped;
  }
  [[nodiscard]] const std::vector<std::vector<std::optional<TlbEntry>>>& content() const { return content_; }
  [[nodiscard]] const TlbGeometry& geometry() const { return geometry_; }

 private:
  [[nodiscard]] unsigned set_of(VirtualAddress address, PageSize size) const {
    return static_cast<unsigned>(address.value / page_bytes(size) % content_.size());
  }

  TlbGeometry geometry_;
  std::vector<std::vector<std::optional<TlbEntry>>> content_;
  std::vector<Order> order_;
};

inline bool same(const std::optional<LineMove>& a, const std::optional<LineMove>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->line == b->line && a->set == b->set && a->way == b->way && a->dirty == b->dirty;
}

inline bool near(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

/// All but the name.
inline bool same(const CacheOutcome& a, const CacheOutcome& b) {
  return a.hit == b.hit && a.way == b.way && a.ways_probed == b.ways_probed &&
         a.ways_probed_mask == b.ways_probed_mask && a.set == b.set && a.latency == b.latency &&
         near(double{a.energy}, double{b.energy}) && a.guess == b.guess && a.passes_on == b.passes_on &&
         same(a.filled, b.filled) && same(a.evicted, b.evicted);
}

inline bool same(const ProbeOutcome& a, const ProbeOutcome& b) {
  return a.hit == b.hit && a.dirty == b.dirty && a.way == b.way && a.ways_probed == b.ways_probed &&
         a.ways_probed_mask == b.ways_probed_mask && a.set == b.set && a.energy == b.energy;
}

inline bool same(const CacheCounters& a, const CacheCounters& b) {
  return a.reads == b.reads && a.writes == b.writes && a.read_misses == b.read_misses &&
         a.write_misses == b.write_misses && a.ways_probed == b.ways_probed && a.write_backs == b.write_backs &&
         a.fills == b.fills && a.passed_on == b.passed_on && a.way_predictions == b.way_predictions &&
         a.way_mispredictions == b.way_mispredictions && a.probes == b.probes && a.probe_hits == b.probe_hits &&
         a.probe_ways == b.probe_ways && near(a.energy, b.energy) &&
         near(a.probe_energy, b.probe_energy);  // Energies: summed here, multiplied there.
}

/// Every line held, where, and whether it is dirty.
inline bool same_content(const Cache& cache, const CacheModel& model) {
  for (unsigned set = 0; set < cache.sets(); ++set) {
    for (unsigned way = 0; way < cache.config().ways; ++way) {
      const Cache::Line line = cache.line(set, way);
      const auto& held = model.content()[set][way];
      if ((line.valid != 0) != held.has_value()) return false;
      if (held && (line.number != held->line || (line.dirty != 0) != held->dirty)) return false;
    }
  }
  return true;
}

}  // namespace shearling::naive
