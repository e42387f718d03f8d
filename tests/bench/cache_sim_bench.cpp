// SPDX-License-Identifier: GPL-3.0-or-later
//
// References a second of the cache simulator alone: L1 and L2 TLBs, then L1D, L2, LLC. First the parts that the machine
// uses, for plain VIPT and for SEESAW, unwatched (counters only) and watched (a report of everything). Then for every
// organisation the parts without timing (hierarchy/) and the whole stand-alone Simulation with page map, walker, timing
// and energy (simulation/), on the same streams. The streams are made beforehand.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/simulation/simulation.h"
#include "cache-sim/streams/open_stream.h"
#include "cache-sim/translation_caches.h"
#include "tests/cache-sim/simulation/records.h"

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
    std::uint64_t offset = i * 8 % (std::size_t{16} * 1024);
    if (stream == kRuns) {
      if (run_left == 0) {
        run_left = 1 + random() % 32;
        run_at = random() % (random() % 20 != 0 ? 24 * 1024 : 1 << 20);
      }
      --run_left;
      offset = run_at += 8;
    }
    if (stream == kMixed) offset = random() % 10 != 0 ? random() % (std::size_t{24} * 1024) : random() % (4 << 20);
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
  config.l2 = CacheConfig{.name = "L2",
                          .size = std::uint64_t{256} * 1024,
                          .ways = 8,
                          .organisation = CacheOrganisation::Pipt,
                          .latency = 12};
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

// --- every organisation ----------------------------------------------------------------------------------------------

struct Organisation {
  const char* name;
  CacheOrganisation organisation;
  InsertionPolicy insertion = InsertionPolicy::Partition;
  bool way_prediction = false;
};
constexpr std::array kOrganisations{
    Organisation{"PIPT", CacheOrganisation::Pipt},
    Organisation{"VIVT", CacheOrganisation::Vivt},
    Organisation{"VIPT", CacheOrganisation::Vipt},
    Organisation{"VIPT with way prediction", CacheOrganisation::Vipt, InsertionPolicy::Partition, true},
    Organisation{"SEESAW 4way", CacheOrganisation::Seesaw},
    Organisation{"SEESAW 4way-8way", CacheOrganisation::Seesaw, InsertionPolicy::PartitionOrWhole},
    Organisation{"SEESAW with way prediction", CacheOrganisation::Seesaw, InsertionPolicy::Partition, true},
};

CacheHierarchyConfig caches_of(const Organisation& one) {
  CacheHierarchyConfig config = cache_config(one.organisation, false);
  config.l1d.insertion = one.insertion;
  config.l1d.way_prediction = one.way_prediction;
  if (one.organisation == CacheOrganisation::Vivt) config.l1d.aliases = AliasHandling::Evict;
  return config;
}

/// Records in memory, and the pages that they are meant for.
struct Recording {
  std::vector<ReferenceRecord> records;
  PageMapConfig pages;
};

Recording runs(double superpages) {
  Recording recording;
  for (const Reference& reference : make_stream(kRuns)) {
    ReferenceRecord record;
    record.address = reference.address;
    record.size = 8;
    record.kind = reference.kind == AccessKind::Write ? RecordKind::Write : RecordKind::Read;
    recording.records.push_back(record);
  }
  recording.pages.superpage_share = superpages;
  return recording;
}

Recording generated(const std::string& specification) {
  const OpenedStream opened = open_stream(specification);
  if (const auto* error = std::get_if<StreamError>(&opened)) {
    std::fprintf(stderr, "%s: %s\n", error->source.c_str(), error->message.c_str());
    return {};
  }
  ReferenceStream& stream = *std::get<std::unique_ptr<ReferenceStream>>(opened);
  Recording recording;
  recording.records.resize(kReferences);
  std::size_t have = 0;
  while (have < kReferences) {
    const std::size_t count = stream.read(std::span(recording.records).subspan(have));
    if (count == 0) break;
    have += count;
  }
  recording.records.resize(have);
  if (const PageMapConfig* pages = stream.suggested_pages()) recording.pages = *pages;
  return recording;
}

SimulationConfig simulation_config(const Organisation& one, const PageMapConfig& pages) {
  SimulationConfig config;
  config.translation = translation_config();
  config.translation->instruction = config.translation->data;
  config.caches = caches_of(one);
  config.pages = pages;
  return config;
}

void simulate(benchmark::State& state, const Organisation& one, const Recording& recording) {
  const SimulationConfig config = simulation_config(one, recording.pages);
  if (const std::string problem = problem_of(config); !problem.empty()) return state.SkipWithError(problem.c_str());
  Simulation simulation(config);
  test::VectorStream stream(recording.records);
  for (auto _ : state) {
    stream.rewind();
    simulation.run(stream);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(recording.records.size()));
  const SimulationReport report = simulation.report();
  const auto l1d =
      std::find_if(report.levels.begin(), report.levels.end(), [](const auto& l) { return l.name == "l1d"; });
  state.counters["miss%"] = 100.0 * static_cast<double>(l1d->misses) / static_cast<double>(l1d->accesses);
}

/// TLBs and caches on the loads and stores of the recording, translated beforehand: no page map, walk references,
/// timing or energy report.
void look_up(benchmark::State& state, const Organisation& one, const Recording& recording) {
  struct Translated {
    VirtualAddress address;
    AccessKind kind;
    MappedPage page;
  };
  PageMap pages(recording.pages);
  std::vector<Translated> references;
  for (const ReferenceRecord& record : recording.records) {
    if (!is_reference(record.kind) || record.kind == RecordKind::Fetch) continue;
    references.push_back({record.address, record.kind == RecordKind::Read ? AccessKind::Read : AccessKind::Write,
                          pages.translate(record.address, record.address_space)});
  }
  TranslationCaches tlbs(translation_config());
  CacheHierarchy caches(caches_of(one));
  const bool late = one.organisation == CacheOrganisation::Vivt;
  const bool filter = one.organisation == CacheOrganisation::Seesaw;
  const auto translate = [&](const Translated& reference) {
    const TranslationHit hit = tlbs.lookup_quietly(reference.address, reference.kind, {});
    if (hit.entry == nullptr) {
      TlbEntry entry;
      entry.page = reference.page.page;
      entry.frame = reference.page.frame;
      entry.size = reference.page.size;
      tlbs.fill(entry, reference.kind);
    }
    return hit.entry == nullptr || hit.refilled;
  };
  std::uint64_t cycles = 0;
  const auto look = [&](const Translated& reference) {
    const bool filled = !late && translate(reference);
    const std::uint64_t offset = reference.address.value & page_offset_mask(reference.page.size);
    const HierarchyCost cost = caches.access_quietly({.virtual_address = reference.address,
                                                      .physical_address = {reference.page.frame.value | offset},
                                                      .page_size = reference.page.size,
                                                      .kind = reference.kind});
    if (filter && filled && reference.page.size == PageSize::Size2M) caches.superpage_filled(reference.address);
    if (late && !cost.l1_hit) translate(reference);
    cycles += cost.latency;
  };
  for (auto _ : state) {
    for (const Translated& reference : references) look(reference);
  }
  benchmark::DoNotOptimize(cycles);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(references.size()));
}

}  // namespace

int main(int argc, char** argv) {
  const std::array<std::pair<const char*, Recording>, 4> recordings{{
      {"runs, 4 KB pages", runs(0)},
      {"runs, 2 MB pages", runs(1)},
      {"mcf", generated("synthetic:mcf,count=1M")},
      {"redis with fetches", generated("synthetic:redis,count=1M,fetches=3")},
  }};
  for (const auto& [stream, recording] : recordings) {
    for (const Organisation& one : kOrganisations) {
      const std::string name = std::string(one.name) + "/" + stream;
      benchmark::RegisterBenchmark(("hierarchy/" + name).c_str(), look_up, one, std::cref(recording));
      benchmark::RegisterBenchmark(("simulation/" + name).c_str(), simulate, one, std::cref(recording));
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
