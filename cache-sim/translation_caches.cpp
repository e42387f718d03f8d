// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/translation_caches.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace shearling {

namespace {

// Each structure draws its own random sequence.
enum class Role : std::uint8_t { Instruction = 0, Data = 4, SecondLevel = 8, Nested = 9 };
constexpr std::uint64_t seed_of(const TranslationCachesConfig& config, Role role) {
  return config.seed * 16 + static_cast<std::uint64_t>(role);
}

TlbGeometry nested_geometry(const TranslationCachesConfig& config) {
  return {.name = "Nested TLB",
          .entries = config.nested_entries,
          .ways = config.nested_entries,
          .page_sizes = {PageSize::Size4K, PageSize::Size16K, PageSize::Size64K, PageSize::Size2M, PageSize::Size1G},
          .latency = config.nested_latency,
          .replacement = ReplacementKind::Lru};
}

std::vector<Tlb> build(const std::vector<TlbGeometry>& geometries, std::uint64_t seed) {
  std::vector<Tlb> tlbs;
  tlbs.reserve(geometries.size());
  for (const TlbGeometry& geometry : geometries) tlbs.emplace_back(geometry, seed++);
  return tlbs;
}

std::string first_problem(const std::vector<TlbGeometry>& geometries) {
  if (geometries.size() > TranslationCachesConfig::kMostFirstLevel) return "at most 4 L1 TLBs on each side";
  for (const TlbGeometry& geometry : geometries) {
    if (std::string problem = problem_of(geometry); !problem.empty()) return problem;
  }
  return {};
}

struct Recording {
  TranslationLookup& lookup;
  void probed(const Tlb& tlb, TlbOutcome outcome) { lookup.probes[lookup.probe_count++] = {&tlb, outcome}; }
  void waited(unsigned cycles) { lookup.latency += cycles; }
  void refilled(const Tlb& tlb, const Tlb::FillOutcome& outcome) {
    lookup.fills[lookup.fill_count++] = {&tlb, outcome};
  }
};

struct Silent {
  TranslationHit& hit;
  void probed(const Tlb&, TlbOutcome) {}
  void waited(unsigned cycles) { hit.latency += cycles; }
  void refilled(const Tlb&, const Tlb::FillOutcome&) { hit.refilled = true; }
};

}  // namespace

std::string problem_of(const TranslationCachesConfig& config) {
  if (std::string problem = first_problem(config.instruction); !problem.empty()) return problem;
  if (std::string problem = first_problem(config.data); !problem.empty()) return problem;
  if (config.nested_entries > 65536) return "nested TLB: at most 65536 entries";
  return config.second_level ? problem_of(*config.second_level) : std::string();
}

TranslationCaches::TranslationCaches(TranslationCachesConfig config)
    : config_(std::move(config)),
      instruction_(build(config_.instruction, seed_of(config_, Role::Instruction))),
      data_(build(config_.data, seed_of(config_, Role::Data))) {
  assert(problem_of(config_).empty());
  if (config_.second_level) second_level_.emplace(*config_.second_level, seed_of(config_, Role::SecondLevel));
  if (config_.nested_entries != 0) nested_.emplace(nested_geometry(config_), seed_of(config_, Role::Nested));
}

template <typename Observer>
const TlbEntry* TranslationCaches::find(VirtualAddress address, AccessKind kind, TlbTag tag, Observer& observer) {
  const TlbEntry* found = nullptr;
  for (Tlb& tlb : first_level(kind)) {
    const TlbOutcome outcome = tlb.lookup(address, tag, &found);
    observer.probed(tlb, outcome);
    if (outcome.hit) return found;
  }
  if (!second_level_) return nullptr;
  const TlbOutcome outcome = second_level_->lookup(address, tag, &found);
  observer.probed(*second_level_, outcome);
  observer.waited(second_level_->geometry().latency);
  if (!outcome.hit) return nullptr;
  for (Tlb& tlb : first_level(kind)) {
    if (!tlb.holds(found->size)) continue;
    observer.refilled(tlb, tlb.fill(*found));
    break;
  }
  return found;
}

TranslationLookup TranslationCaches::lookup(VirtualAddress address, AccessKind kind, TlbTag tag) {
  TranslationLookup lookup;
  Recording recording{lookup};
  lookup.entry = find(address, kind, tag, recording);
  return lookup;
}

TranslationHit TranslationCaches::lookup_quietly(VirtualAddress address, AccessKind kind, TlbTag tag) {
  TranslationHit hit;
  Silent silent{hit};
  hit.entry = find(address, kind, tag, silent);
  return hit;
}

TranslationFills TranslationCaches::fill(const TlbEntry& entry, AccessKind kind) {
  TranslationFills fills;
  for (Tlb& tlb : first_level(kind)) {
    if (!tlb.holds(entry.size)) continue;
    fills.records[fills.count++] = {&tlb, tlb.fill(entry)};
    break;
  }
  if (second_level_ && second_level_->holds(entry.size)) {
    fills.records[fills.count++] = {&*second_level_, second_level_->fill(entry)};
  }
  return fills;
}

template <typename Operation>
unsigned TranslationCaches::sum_over_tlbs(Operation operation) {
  unsigned sum = 0;
  for (Tlb& tlb : instruction_) sum += operation(tlb);
  for (Tlb& tlb : data_) sum += operation(tlb);
  if (second_level_) sum += operation(*second_level_);
  return sum;
}

template <typename Condition>
unsigned TranslationCaches::drop_walk_cache_where(Condition condition) {
  return static_cast<unsigned>(std::erase_if(walk_cache_, condition));
}

unsigned TranslationCaches::drop_page(VirtualAddress address, TlbTag tag) {
  return sum_over_tlbs([=](Tlb& tlb) { return tlb.invalidate_address(address, tag); });
}

std::optional<WalkCacheEntry> TranslationCaches::walk_cache_lookup(VirtualAddress address, TlbTag tag) {
  auto best = walk_cache_.end();
  for (auto entry = walk_cache_.begin(); entry != walk_cache_.end(); ++entry) {
    const unsigned shift = walk_cache_shift(entry->level, entry->granule);
    if (entry->tag != tag || entry->address_bits != address.value >> shift) continue;
    if (best == walk_cache_.end() || entry->level < best->level) best = entry;
  }
  if (best == walk_cache_.end()) return std::nullopt;
  std::rotate(walk_cache_.begin(), best, best + 1);
  return walk_cache_.front();
}

void TranslationCaches::walk_cache_fill(const WalkCacheEntry& entry) {
  if (config_.walk_cache_entries == 0) return;
  drop_walk_cache_where([&](const WalkCacheEntry& held) {
    return held.level == entry.level && held.granule == entry.granule && held.tag == entry.tag &&
           held.address_bits == entry.address_bits;
  });
  const auto same_level = [&](const WalkCacheEntry& held) { return held.level == entry.level; };
  if (std::count_if(walk_cache_.begin(), walk_cache_.end(), same_level) >= config_.walk_cache_entries) {
    const auto oldest = std::find_if(walk_cache_.rbegin(), walk_cache_.rend(), same_level);
    walk_cache_.erase(std::next(oldest).base());
  }
  walk_cache_.insert(walk_cache_.begin(), entry);
}

const TlbEntry* TranslationCaches::nested_lookup(GuestPhysicalAddress address, std::uint16_t virtual_machine) {
  const TlbEntry* found = nullptr;
  if (nested_) nested_->lookup({address.value}, {.address_space = 0, .virtual_machine = virtual_machine}, &found);
  return found;
}

void TranslationCaches::nested_fill(const TlbEntry& entry) {
  if (!nested_) return;
  TlbEntry held = entry;
  held.tag.address_space = 0;
  held.global = false;
  nested_->fill(held);
}

unsigned TranslationCaches::invalidate_address(VirtualAddress address, TlbTag tag) {
  return drop_page(address, tag) + drop_walk_cache_where([=](const WalkCacheEntry& held) { return held.tag == tag; });
}

unsigned TranslationCaches::invalidate_address_space(TlbTag tag, bool keep_global) {
  return sum_over_tlbs([=](Tlb& tlb) { return tlb.invalidate_address_space(tag, keep_global); }) +
         drop_walk_cache_where([=](const WalkCacheEntry& held) { return held.tag == tag; });
}

unsigned TranslationCaches::invalidate_virtual_machine(std::uint16_t virtual_machine, bool keep_global, bool nested) {
  const auto drop = [=](Tlb& tlb) { return tlb.invalidate_virtual_machine(virtual_machine, keep_global); };
  const auto of_machine = [=](const WalkCacheEntry& held) { return held.tag.virtual_machine == virtual_machine; };
  return sum_over_tlbs(drop) + drop_walk_cache_where(of_machine) + (nested && nested_ ? drop(*nested_) : 0);
}

unsigned TranslationCaches::invalidate_all() {
  const auto drop = [](Tlb& tlb) { return tlb.invalidate_all(); };
  const auto walk_entries = static_cast<unsigned>(walk_cache_.size());
  walk_cache_.clear();
  return sum_over_tlbs(drop) + walk_entries + (nested_ ? drop(*nested_) : 0);
}

unsigned TranslationCaches::invalidate_nested(GuestPhysicalAddress address, std::uint16_t virtual_machine) {
  if (!nested_) return 0;
  return nested_->invalidate_address({address.value}, {.address_space = 0, .virtual_machine = virtual_machine});
}

std::vector<const Tlb*> TranslationCaches::structures() const {
  std::vector<const Tlb*> all;
  for (const Tlb& tlb : instruction_) all.push_back(&tlb);
  for (const Tlb& tlb : data_) all.push_back(&tlb);
  if (second_level_) all.push_back(&*second_level_);
  if (nested_) all.push_back(&*nested_);
  return all;
}

}  // namespace shearling
