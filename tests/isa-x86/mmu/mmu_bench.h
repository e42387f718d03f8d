// SPDX-License-Identifier: GPL-3.0-or-later
//
// An MMU alone, with memory, events and a memory path around it, and an engine that only counts what it is told.
#pragma once

#include <memory>
#include <vector>

#include "isa-x86/mmu/mmu.h"
#include "isa-x86/mmu/page_table_format.h"
#include "tests/support/idle_engine.h"

namespace shearling::x86::testing {

inline MachineConfig bench_config() {
  MachineConfig config;
  config.cpu_features = {"nx", "pdpe1gb"};
  config.translation.instruction = {{.name = "L1 ITLB",
                                     .entries = 16,
                                     .ways = 4,
                                     .page_sizes = {PageSize::Size4K, PageSize::Size2M, PageSize::Size1G}}};
  config.translation.data = {{.name = "L1 DTLB 4K", .entries = 16, .ways = 4, .page_sizes = {PageSize::Size4K}},
                             {.name = "L1 DTLB 2M", .entries = 8, .ways = 4, .page_sizes = {PageSize::Size2M}},
                             {.name = "L1 DTLB 1G", .entries = 4, .ways = 4, .page_sizes = {PageSize::Size1G}}};
  config.translation.second_level = TlbGeometry{
      .name = "L2 TLB", .entries = 64, .ways = 4, .page_sizes = {PageSize::Size4K, PageSize::Size2M}, .latency = 7};
  config.caches.l2 =
      CacheConfig{.name = "L2", .size = 256 * 1024, .organisation = CacheOrganisation::Pipt, .latency = 12};
  return config;
}

struct MmuBench {
  explicit MmuBench(MachineConfig description = bench_config(), std::uint64_t memory_bytes = 16ULL << 20)
      : config(std::move(description)),
        memory({0}, memory_bytes),
        path(config.translation, config.caches, events),
        devices(events),
        mmu({config, memory, engine, events, path, devices, request, time}, state, nested) {
    state.cr0 = kCr0Pe | kCr0Pg | kCr0Wp;
    state.cr4 = kCr4Pae | kCr4Pge;
    state.efer = kEferLme | kEferLma | kEferNxe;
    state.segments[kCs].access_rights = 1U << 13;
    events.set_sinks(&log, nullptr);
    events.begin_step(0);
  }

  [[nodiscard]] std::uint64_t entry(std::uint64_t address) const { return memory.read({address}, 8); }
  void set_entry(std::uint64_t address, std::uint64_t value) { memory.write({address}, 8, value); }

  template <typename Payload>
  std::vector<Payload> of() const {
    std::vector<Payload> found;
    for (const Event& event : log.events) {
      if (const auto* payload = std::get_if<Payload>(&event.payload)) found.push_back(*payload);
    }
    return found;
  }
  TranslateResult read(std::uint64_t address, unsigned cpl = 0) {
    return mmu.translate({.address = {address}, .cpl = cpl});
  }
  TranslateResult write(std::uint64_t address, unsigned cpl = 0) {
    return mmu.translate({.address = {address}, .kind = AccessKind::Write, .cpl = cpl});
  }
  TranslateResult fetch(std::uint64_t address, unsigned cpl = 0) {
    return mmu.translate({.address = {address}, .kind = AccessKind::Fetch, .cpl = cpl});
  }

  MachineConfig config;
  EventLog log;
  EventStream events;
  PhysicalMemory memory;
  shearling::testing::IdleEngine engine;
  MemoryPath path;
  DeviceBus devices;
  MachineRequest request;
  VirtualTime time;
  SystemState state;
  NestedTranslation nested;
  Mmu mmu;
};

}  // namespace shearling::x86::testing
