// SPDX-License-Identifier: GPL-3.0-or-later
//
// An MMU alone, with memory, events and a memory path around it, and an engine that only counts what it is told.
#pragma once

#include <memory>
#include <vector>

#include "isa-arm/mmu/descriptor.h"
#include "isa-arm/mmu/mmu.h"
#include "isa-arm/mmu/table_watch.h"
#include "tests/support/idle_engine.h"

namespace shearling::arm::testing {

constexpr std::uint64_t kRam = 0x40000000;

inline MachineConfig bench_config() {
  const std::vector<PageSize> all = {PageSize::Size4K, PageSize::Size16K, PageSize::Size64K, PageSize::Size2M,
                                     PageSize::Size1G};
  MachineConfig config;
  config.translation.instruction = {{.name = "L1 ITLB", .entries = 16, .ways = 16, .page_sizes = all}};
  config.translation.data = {{.name = "L1 DTLB", .entries = 16, .ways = 16, .page_sizes = all}};
  config.translation.second_level =
      TlbGeometry{.name = "L2 TLB", .entries = 64, .ways = 4, .page_sizes = all, .latency = 7};
  config.caches.l2 =
      CacheConfig{.name = "L2", .size = 256 * 1024, .organisation = CacheOrganisation::Pipt, .latency = 12};
  return config;
}

inline MmuFeatures all_features() {
  return {.pan = true,
          .hafdbs = true,
          .vhe = true,
          .granule_16k = true,
          .xnx = true,
          .physical_address_bits = 48,
          .asid_bits = 16};
}

struct MmuBench {
  explicit MmuBench(const MmuFeatures& features = all_features(), MachineConfig description = bench_config(),
                    std::uint64_t memory_bytes = 16ULL << 20)
      : config(std::move(description)),
        memory({kRam}, memory_bytes),
        path(config.translation, config.caches, events),
        devices(events),
        mmu({config, memory, engine, events, path, devices, request, time}, state, features, watch) {
    state[SystemRegister::HCR_EL2] = hcr::kRw;
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
  /// By the level's own regime.
  TranslateResult access(AccessKind kind, std::uint64_t address, unsigned level = 1, bool pan = false) {
    return mmu.translate(
        {.address = {address}, .kind = kind, .exception_level = level, .regime = regime_of(state, level), .pan = pan});
  }
  TranslateResult read(std::uint64_t address, unsigned level = 1) { return access(AccessKind::Read, address, level); }
  TranslateResult write(std::uint64_t address, unsigned level = 1) { return access(AccessKind::Write, address, level); }
  TranslateResult fetch(std::uint64_t address, unsigned level = 1) { return access(AccessKind::Fetch, address, level); }

  MachineConfig config;
  EventLog log;
  EventStream events;
  PhysicalMemory memory;
  shearling::testing::IdleEngine engine;
  MemoryPath path;
  DeviceBus devices;
  MachineRequest request;
  VirtualTime time;
  ArmState state;
  TableWatch watch;
  Mmu mmu;
};

}  // namespace shearling::arm::testing
