// SPDX-License-Identifier: GPL-3.0-or-later
//
// Short streams by hand, and small configurations, for the tests of this folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cache-sim/simulation/simulation.h"

namespace shearling::test {

inline ReferenceRecord record(RecordKind kind, std::uint64_t address, std::uint32_t size = 4) {
  ReferenceRecord record;
  record.kind = kind;
  record.address = {address};
  record.size = size;
  return record;
}
inline ReferenceRecord fetch(std::uint64_t address, std::uint32_t size = 4) {
  return record(RecordKind::Fetch, address, size);
}
inline ReferenceRecord load(std::uint64_t address, std::uint32_t size = 4) {
  return record(RecordKind::Read, address, size);
}
inline ReferenceRecord store(std::uint64_t address, std::uint32_t size = 4) {
  return record(RecordKind::Write, address, size);
}
inline ReferenceRecord modify(std::uint64_t address, std::uint32_t size = 4) {
  return record(RecordKind::Modify, address, size);
}
/// A probe from outside, by physical address.
inline ReferenceRecord probe(RecordKind kind, std::uint64_t physical) {
  ReferenceRecord probe = record(kind, 0);
  probe.physical = {physical};
  probe.translated = true;
  return probe;
}
/// A reference whose translation the stream knows.
inline ReferenceRecord translated(ReferenceRecord record, std::uint64_t physical, PageSize size) {
  record.translated = true;
  record.physical = {physical};
  record.page_size = size;
  return record;
}

class VectorStream : public ReferenceStream {
 public:
  explicit VectorStream(std::vector<ReferenceRecord> records) : records_(std::move(records)) {}
  void rewind() { at_ = 0; }
  std::size_t read(std::span<ReferenceRecord> batch) override {
    const std::size_t count = std::min(batch.size(), records_.size() - at_);
    std::copy_n(records_.begin() + static_cast<std::ptrdiff_t>(at_), count, batch.begin());
    at_ += count;
    return count;
  }

 private:
  std::vector<ReferenceRecord> records_;
  std::size_t at_ = 0;
};

inline SimulationReport simulate(const SimulationConfig& config, const std::vector<ReferenceRecord>& records) {
  Simulation simulation(config);
  for (const ReferenceRecord& one : records) simulation.take(one);
  return simulation.report();
}

inline const LevelReport& level(const SimulationReport& report, const char* name) {
  return *std::find_if(report.levels.begin(), report.levels.end(),
                       [=](const LevelReport& level) { return level.name == name; });
}

/// Without translation: 2 KB L1s of 2 ways, 16 KB below them; 64-byte lines.
inline SimulationConfig physical_config() {
  SimulationConfig config;
  const CacheConfig small{.size = 2048, .ways = 2, .organisation = CacheOrganisation::Pipt, .latency = 2, .energy = 1};
  config.caches.l1i = config.caches.l1d = small;
  config.caches.l1i.name = "L1I";
  config.caches.last_level = CacheConfig{.name = "LLC",
                                         .size = 16384,
                                         .ways = 4,
                                         .organisation = CacheOrganisation::Pipt,
                                         .latency = 10,
                                         .energy = 3,
                                         .arrival = WriteBackArrival::Update};
  config.caches.memory_latency = 100;
  config.caches.memory_energy = 7;
  return config;
}

/// Two TLB levels, and L1D of 32 KB and 8 ways.
inline SimulationConfig translated_config(CacheOrganisation organisation, double superpages) {
  SimulationConfig config;
  TranslationCachesConfig tlbs;
  tlbs.data = {{.name = "L1 DTLB 4K", .entries = 16, .ways = 4, .page_sizes = {PageSize::Size4K}},
               {.name = "L1 DTLB 2M", .entries = 8, .ways = 4, .page_sizes = {PageSize::Size2M}}};
  tlbs.instruction = tlbs.data;
  tlbs.second_level = TlbGeometry{
      .name = "L2 TLB", .entries = 64, .ways = 4, .page_sizes = {PageSize::Size4K, PageSize::Size2M}, .latency = 7};
  config.translation = tlbs;
  config.caches.l1d.organisation = organisation;
  config.caches.l2 =
      CacheConfig{.name = "L2", .size = 128 << 10, .ways = 8, .organisation = CacheOrganisation::Pipt, .latency = 12};
  config.pages.superpage_share = superpages;
  return config;
}

}  // namespace shearling::test
