// SPDX-License-Identifier: GPL-3.0-or-later
//
// References a second of the cache simulator alone: L1 and L2 TLBs, then L1D, L2, LLC, for plain VIPT and for SEESAW,
// unwatched (counters only) and watched (a report of everything). The streams are made beforehand.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/translation_caches.h"

namespace {

using namespace shearling;

struct Reference {
  VirtualAddress address;
  AccessKind kind = AccessKind::Read;
};
enum Stream : int { kLoop, kRuns, kMixed, kRandom };

constexpr std::size_t kReferences = 1 << 18;

// Loop: an array of 16 KB over and over. Runs: 1 to 32 words in a row, 95 in 100 of the runs in a hot 24 KB and the
// others anywhere in 1 MB, which is nearest to ordinary programs. Mixed: no run at all, nine in ten references to 24 KB
// of stack and heap, the others over 4 MB. Random: all over 1 GB, as GUPS does; most references walk and reach memory.
std::vector<Reference> make_stream(Stream stream) {
  std::mt19937_64 random(12345);
  std::vector<Reference> references;
  references.reserve(kReferences);
  std::uint64_t run_left = 0;
  std::uint64_t run_at = 0;
  for (std::size_t i = 0; i < kReferences; ++i) {
    std::uint64_t offset = i * 8 % (16 * 1024);
    if (stream == kRuns) {
      if (run_left == 0) {
        run_left = 1 + random() % 32;
        run_at = random() % (random() % 20 != 0 ? 24 * 1024 : 1 << 20);
      }
      --run_left;
      offset = run_at += 8;
    }
    if (stream == kMixed) offset = random() % 10 != 0 ? random() % (24 * 1024) : random() % (4 << 20);
    if (stream == kRandom) offset = random() % (1 << 30);
    references.push_back(
        {{0x40000000 + (offset & ~std::uint64_t{7})}, random() % 3 == 0 ? AccessKind::Write : AccessKind::Read});
  }
  return references;
}

TranslationCachesConfig translation_config() {
  TranslationCachesConfig config;
  config.data = {{.name = "L1 DTLB 4K", .entries = 64, .ways = 4, .page_sizes = {PageSize::Size4K}},
                 {.name = "L1 DTLB 2M", .entries = 32, .ways = 4, .page_sizes = {PageSize::Size2M}}};
  config.second_level = {
      .name = "L2 TLB", .entries = 1024, .ways = 8, .page_sizes = {PageSize::Size4K, PageSize::Size2M}, .latency = 7};
  return config;
}

CacheHierarchyConfig cache_config(CacheOrganisation organisation, bool twin) {
  CacheHierarchyConfig config;
  config.l1d.organisation = organisation;
  config.l1d.plain_twin = twin;
  config.l2 =
      CacheConfig{.name = "L2", .size = 256 * 1024, .ways = 8, .organisation = CacheOrganisation::Pipt, .latency = 12};
  config.last_level =
      CacheConfig{.name = "LLC", .size = 2 << 20, .ways = 16, .organisation = CacheOrganisation::Pipt, .latency = 25};
  return config;
}

// Stands for a walk: 4 KB pages for VIPT, as most programs have; 2 MB pages for SEESAW, so that its filter works.
TlbEntry walk(VirtualAddress address, PageSize size) {
  TlbEntry entry;
  entry.page = {address.value & ~page_offset_mask(size)};
  entry.frame = entry.page.value < 0x40000000 ? PhysicalAddress{entry.page.value}
                                              : PhysicalAddress{entry.page.value - 0x40000000};
  entry.size = size;
  return entry;
}

template <bool kWatched>
void run(benchmark::State& state, CacheOrganisation organisation, bool twin) {
  const std::vector<Reference> references = make_stream(static_cast<Stream>(state.range(0)));
  const PageSize size = organisation == CacheOrganisation::Seesaw ? PageSize::Size2M : PageSize::Size4K;
  TranslationCaches tlbs(translation_config());
  CacheHierarchy caches(cache_config(organisation, twin));
  std::uint64_t cycles = 0;
  const auto one = [&](const Reference& reference) {
    const TlbEntry* entry = nullptr;
    bool filled = false;
    if constexpr (kWatched) {
      const TranslationLookup lookup = tlbs.lookup(reference.address, reference.kind, {});
      entry = lookup.entry;
      filled = lookup.fill_count != 0;
    } else {
      const TranslationHit hit = tlbs.lookup_quietly(reference.address, reference.kind, {});
      entry = hit.entry;
      filled = hit.refilled;
    }
    TlbEntry walked;
    if (entry == nullptr) {
      walked = walk(reference.address, size);
      tlbs.fill(walked, reference.kind);
      entry = &walked;
      filled = true;
    }
    if (filled && size == PageSize::Size2M) caches.superpage_filled(reference.address);
    const CacheReference access{
        .virtual_address = reference.address,
        .physical_address = {entry->frame.value | (reference.address.value & page_offset_mask(entry->size))},
        .page_size = entry->size,
        .kind = reference.kind,
        .walk = false};
    if constexpr (kWatched) {
      const HierarchyOutcome outcome = caches.access(access);
      benchmark::DoNotOptimize(&outcome);
      cycles += outcome.latency;
    } else {
      cycles += caches.access_quietly(access).latency;
    }
  };
  for (auto _ : state) {
    for (const Reference& reference : references) one(reference);
  }
  benchmark::DoNotOptimize(cycles);
  const CacheCounters& counters = caches.l1d().counters();
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(references.size()));
  state.counters["miss%"] = 100.0 * static_cast<double>(counters.read_misses + counters.write_misses) /
                            static_cast<double>(counters.reads + counters.writes);
}

void vipt(benchmark::State& state) { run<false>(state, CacheOrganisation::Vipt, false); }
void seesaw(benchmark::State& state) { run<false>(state, CacheOrganisation::Seesaw, false); }
void seesaw_with_twin(benchmark::State& state) { run<false>(state, CacheOrganisation::Seesaw, true); }
void vipt_watched(benchmark::State& state) { run<true>(state, CacheOrganisation::Vipt, false); }
void seesaw_with_twin_watched(benchmark::State& state) { run<true>(state, CacheOrganisation::Seesaw, true); }

void streams(benchmark::internal::Benchmark* one) {
  one->ArgName("loop0_runs1_mixed2_random3");
  for (const int stream : {kLoop, kRuns, kMixed, kRandom}) one->Arg(stream);
}

BENCHMARK(vipt)->Apply(streams);
BENCHMARK(seesaw)->Apply(streams);
BENCHMARK(seesaw_with_twin)->Apply(streams);
BENCHMARK(vipt_watched)->Apply(streams);
BENCHMARK(seesaw_with_twin_watched)->Apply(streams);

}  // namespace

BENCHMARK_MAIN();
