// SPDX-License-Identifier: GPL-3.0-or-later
//
// Plain models of replacement, TLB and cache for property tests: slow, and right at a glance. They share no code with
// the library: sets and ways are found by division, entries by looking at all of them, order by lists.
#pragma once

#include <cmath>
#include <cstdint>
#include <list>
#include <map>
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
  explicit CacheModel(CacheConfig config) : config_(std::move(config)) {
    sets_ = static_cast<unsigned>(config_.size / config_.line / config_.ways);
    seesaw_ = config_.organisation == CacheOrganisation::Seesaw;
    content_.assign(sets_, std::vector<std::optional<Held>>(config_.ways));
    order_.assign(sets_, Order(config_.replacement, config_.ways));
  }

  /// `random_way` stands for the victim where replacement is random.
  CacheOutcome access(std::uint64_t index, std::uint64_t physical, AccessKind kind, bool fast,
                      unsigned random_way = 0) {
    fast = fast && seesaw_;
    const std::uint64_t line = physical / config_.line;
    const auto set = static_cast<unsigned>(index / config_.line % sets_);
    const unsigned probe_first = fast ? partition_of(index) * 4 : 0;
    const unsigned probe_count = fast ? 4 : config_.ways;
    const bool write = kind == AccessKind::Write;
    CacheOutcome outcome;
    outcome.set = set;
    outcome.ways_probed = static_cast<std::uint8_t>(probe_count);
    for (unsigned way = probe_first; way < probe_first + probe_count; ++way) outcome.ways_probed_mask |= 1U << way;
    outcome.latency = fast ? config_.fast_latency : config_.latency;
    outcome.energy = fast ? config_.partition_energy : config_.energy;
    ++(write ? counters.writes : counters.reads);
    counters.ways_probed += probe_count;
    counters.energy += double{outcome.energy};
    std::vector<std::optional<Held>>& ways = content_[set];
    for (unsigned way = probe_first; way < probe_first + probe_count; ++way) {
      if (!ways[way] || ways[way]->line != line) continue;
      outcome.hit = true;
      outcome.way = static_cast<std::uint8_t>(way);
      ways[way]->dirty |= write;
      order_[set].touch(way);
      return outcome;
    }
    ++(write ? counters.write_misses : counters.read_misses);
    const unsigned first = seesaw_ ? partition_of(physical) * 4 : 0;
    const unsigned count = seesaw_ ? 4 : config_.ways;
    std::optional<unsigned> taken;
    for (unsigned way = first; way < first + count && !taken; ++way) {
      if (!ways[way]) taken = way;
    }
    if (!taken) {
      taken = config_.replacement == ReplacementKind::Random ? random_way : order_[set].victim(first, count);
      const Held& old = *ways[*taken];
      outcome.evicted = {
          .line = {old.line * config_.line}, .set = set, .way = static_cast<std::uint8_t>(*taken), .dirty = old.dirty};
      counters.write_backs += old.dirty ? 1U : 0U;
    }
    ways[*taken] = Held{line, write};
    order_[set].touch(*taken);
    outcome.way = static_cast<std::uint8_t>(*taken);
    outcome.filled = {.line = {line * config_.line}, .set = set, .way = outcome.way, .dirty = write};
    return outcome;
  }

  struct Held {
    std::uint64_t line;
    bool dirty;
  };
  [[nodiscard]] const CacheConfig& config() const { return config_; }
  [[nodiscard]] const std::vector<std::vector<std::optional<Held>>>& content() const { return content_; }
  CacheCounters counters;

 private:
  [[nodiscard]] unsigned partition_of(std::uint64_t address) const {
    return static_cast<unsigned>(address / config_.line / sets_ % (config_.ways / 4));
  }

  CacheConfig config_;
  unsigned sets_ = 1;
  bool seesaw_ = false;
  std::vector<std::vector<std::optional<Held>>> content_;
  std::vector<Order> order_;
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

/// All but the name.
inline bool same(const CacheOutcome& a, const CacheOutcome& b) {
  return a.hit == b.hit && a.way == b.way && a.ways_probed == b.ways_probed &&
         a.ways_probed_mask == b.ways_probed_mask && a.set == b.set && a.latency == b.latency && a.energy == b.energy &&
         same(a.filled, b.filled) && same(a.evicted, b.evicted);
}

inline bool same(const CacheCounters& a, const CacheCounters& b) {
  return a.reads == b.reads && a.writes == b.writes && a.read_misses == b.read_misses &&
         a.write_misses == b.write_misses && a.ways_probed == b.ways_probed && a.write_backs == b.write_backs &&
         std::abs(a.energy - b.energy) <= 1e-9 * std::abs(b.energy);  // Summed here, multiplied there.
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
