// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/memory_path.h"

#include <QTest>
#include <memory>

#include "core/base/archive.h"
#include "core/events/invariant_checker.h"

using namespace shearling;

namespace {

constexpr TlbTag kTag{.address_space = 3, .virtual_machine = 7};
constexpr std::uint64_t kMegabyte = 1ULL << 20;

TranslationCachesConfig small_tlbs() {
  return {.instruction = {{.name = "ITLB", .entries = 2, .ways = 2, .page_sizes = {PageSize::Size4K}}},
          .data = {{.name = "DTLB 4K", .entries = 2, .ways = 1, .page_sizes = {PageSize::Size4K}},
                   {.name = "DTLB 2M", .entries = 1, .ways = 1, .page_sizes = {PageSize::Size2M}}},
          .second_level = TlbGeometry{.name = "L2 TLB",
                                      .entries = 16,
                                      .ways = 4,
                                      .page_sizes = {PageSize::Size4K, PageSize::Size2M},
                                      .latency = 7},
          .walk_cache_entries = 2,
          .nested_entries = 2};
}

CacheHierarchyConfig small_caches(CacheOrganisation organisation = CacheOrganisation::Vipt) {
  CacheHierarchyConfig config;
  config.l1d.organisation = organisation;
  config.l1d.plain_twin = organisation == CacheOrganisation::Seesaw;
  config.l2 = CacheConfig{.name = "L2", .size = 64 * 1024, .organisation = CacheOrganisation::Pipt, .latency = 12};
  config.memory_latency = 100;
  return config;
}

TlbEntry page(std::uint64_t address, std::uint64_t frame, PageSize size = PageSize::Size4K) {
  return {.page = {address}, .frame = {frame}, .guest_frame = {frame}, .size = size, .tag = kTag};
}

/// A memory path with a log, in one step.
struct Bench {
  explicit Bench(TranslationCachesConfig tlbs = small_tlbs(), CacheHierarchyConfig caches = small_caches())
      : path(tlbs, caches, events) {
    events.set_sinks(&log, nullptr);
    events.begin_step(0);
  }
  template <typename Payload>
  std::vector<Payload> of() const {
    std::vector<Payload> found;
    for (const Event& event : log.events) {
      if (const auto* payload = std::get_if<Payload>(&event.payload)) found.push_back(*payload);
    }
    return found;
  }
  template <typename Payload>
  Payload only() const {
    const auto found = of<Payload>();
    return found.size() == 1 ? found.front() : Payload{};
  }
  std::uint64_t cycles_charged() const {
    std::uint64_t sum = 0;
    for (const Event& event : log.events) sum += event.cycles;
    return sum;
  }
  EventLog log;
  EventStream events;
  MemoryPath path;
};

}  // namespace

class MemoryPathTest : public QObject {
  Q_OBJECT
 private slots:
  void a_miss_asks_every_level_in_order() {
    Bench bench;
    QCOMPARE(bench.path.lookup({0x5000}, AccessKind::Read, kTag), nullptr);
    const auto lookups = bench.of<TlbLookup>();
    QCOMPARE(lookups.size(), 3U);
    QCOMPARE(lookups[0].structure, std::string_view("DTLB 4K"));
    QCOMPARE(lookups[0].set, std::uint16_t{1});  // Page 5 in two sets.
    QCOMPARE(lookups[1].structure, std::string_view("DTLB 2M"));
    QCOMPARE(lookups[2].structure, std::string_view("L2 TLB"));
    QVERIFY(!lookups[0].hit && !lookups[1].hit && !lookups[2].hit);
    QCOMPARE(bench.path.counters().tlb_lookups, 1U);
    QCOMPARE(bench.path.counters().tlb_misses, 1U);
    QCOMPARE(bench.path.counters().latency_cycles, 7U);  // The L2's; an L1 lookup runs beside the cache.
    QCOMPARE(bench.cycles_charged(), 7U);
  }

  void a_fill_is_told_for_each_structure_and_hits_afterwards() {
    Bench bench;
    bench.path.fill(page(0x5000, 0x9000), AccessKind::Read);
    const auto fills = bench.of<TlbFill>();
    QCOMPARE(fills.size(), 2U);
    QCOMPARE(fills[0].structure, std::string_view("DTLB 4K"));
    QCOMPARE(fills[0].page.value, 0x5000U);
    QCOMPARE(fills[0].frame.value, 0x9000U);
    QCOMPARE(fills[0].address_space, kTag.address_space);
    QCOMPARE(fills[0].virtual_machine, kTag.virtual_machine);
    QCOMPARE(fills[1].structure, std::string_view("L2 TLB"));
    const TlbEntry* held = bench.path.lookup({0x5123}, AccessKind::Read, kTag);
    QVERIFY(held != nullptr);
    QCOMPARE(held->frame.value, 0x9000U);
    const TlbLookup lookup = bench.only<TlbLookup>();
    QVERIFY(lookup.hit);
    QCOMPARE(lookup.set, fills[0].set);
    QCOMPARE(lookup.way, fills[0].way);
    QCOMPARE(bench.path.counters().tlb_misses, 0U);
    QCOMPARE(bench.path.counters().latency_cycles, 0U);
  }

  void a_replaced_entry_is_told_before_what_replaces_it() {
    Bench bench;
    bench.path.fill(page(0x1000, 0x9000), AccessKind::Read);
    bench.path.fill(page(0x3000, 0xa000), AccessKind::Read);  // The same set of one way.
    const TlbEvict evicted = bench.only<TlbEvict>();
    QCOMPARE(evicted.structure, std::string_view("DTLB 4K"));
    QCOMPARE(evicted.page.value, 0x1000U);
    const auto is_evict = [](const Event& event) { return std::holds_alternative<TlbEvict>(event.payload); };
    const auto place = std::find_if(bench.log.events.begin(), bench.log.events.end(), is_evict);
    QVERIFY(place + 1 != bench.log.events.end());
    QCOMPARE(std::get<TlbFill>((place + 1)->payload).page.value, 0x3000U);
  }

  void a_second_level_hit_refills_the_first_level() {
    Bench bench;
    bench.path.fill(page(0x1000, 0x9000), AccessKind::Read);
    bench.path.fill(page(0x3000, 0xa000), AccessKind::Read);
    bench.log.events.clear();
    QVERIFY(bench.path.lookup({0x1000}, AccessKind::Read, kTag) != nullptr);
    const auto lookups = bench.of<TlbLookup>();
    QCOMPARE(lookups.size(), 3U);
    QVERIFY(lookups[2].hit);
    QCOMPARE(bench.only<TlbFill>().structure, std::string_view("DTLB 4K"));
    QCOMPARE(bench.only<TlbFill>().page.value, 0x1000U);
    QCOMPARE(bench.only<TlbEvict>().page.value, 0x3000U);
    QCOMPARE(bench.path.counters().tlb_misses, 0U);
  }

  void fetches_and_data_have_first_level_tlbs_of_their_own() {
    Bench bench;
    bench.path.fill(page(0x1000, 0x9000), AccessKind::Fetch);
    bench.log.events.clear();
    QVERIFY(bench.path.lookup({0x1000}, AccessKind::Fetch, kTag) != nullptr);
    QCOMPARE(bench.only<TlbLookup>().structure, std::string_view("ITLB"));
    bench.log.events.clear();
    QVERIFY(bench.path.lookup({0x1000}, AccessKind::Write, kTag) != nullptr);
    QVERIFY(!bench.of<TlbLookup>()[0].hit);
  }

  void another_address_space_or_machine_misses() {
    Bench bench;
    bench.path.fill(page(0x1000, 0x9000), AccessKind::Read);
    QCOMPARE(bench.path.lookup({0x1000}, AccessKind::Read, {.address_space = 4, .virtual_machine = 7}), nullptr);
    QCOMPARE(bench.path.lookup({0x1000}, AccessKind::Read, {.address_space = 3, .virtual_machine = 8}), nullptr);
  }

  void with_models_off_nothing_is_kept_told_or_counted() {
    Bench bench;
    bench.path.set_models_on(false);
    bench.path.fill(page(0x1000, 0x9000), AccessKind::Read);
    QCOMPARE(bench.path.lookup({0x1000}, AccessKind::Read, kTag), nullptr);
    bench.path.walk_cache_fill({.level = 2, .tag = kTag});
    QVERIFY(!bench.path.walk_cache_lookup({0}, kTag));
    bench.path.nested_fill(page(0x1000, 0x9000));
    QCOMPARE(bench.path.nested_lookup({0x1000}, 7), nullptr);
    QCOMPARE(bench.path.walk_access({0x1000}).latency, 0U);
    bench.path.program_access({0x1000}, {0x9000}, 8, AccessKind::Read, PageSize::Size4K);
    bench.path.drop_page({0x1000}, kTag);
    bench.path.invalidate_address({0x1000}, kTag, "test");
    bench.path.invalidate_address_space(kTag, false, "test");
    bench.path.invalidate_virtual_machine(7, false, true, "test");
    bench.path.invalidate_all("test");
    bench.path.context_switched();
    bench.path.count_walk(4, 0);
    QVERIFY(bench.log.events.empty());
    QCOMPARE(bench.path.counters().latency_cycles, 0U);
    QCOMPARE(bench.path.counters().tlb_lookups, 0U);
    QCOMPARE(bench.path.counters().walks, 0U);
    bench.path.set_models_on(true);
    QCOMPARE(bench.path.lookup({0x1000}, AccessKind::Read, kTag), nullptr);
  }

  void without_a_sink_the_models_do_the_same() {
    Bench told, silent;
    silent.events.set_sinks(nullptr, nullptr);
    for (unsigned round = 0; round < 200; ++round) {
      const std::uint64_t address = round * 0x2345ULL % 0x20000;
      for (Bench* bench : {&told, &silent}) {
        const AccessKind kind = round % 3 == 0 ? AccessKind::Write : AccessKind::Read;
        if (bench->path.lookup({address}, kind, kTag) == nullptr) {
          bench->path.walk_access({address * 8});
          bench->path.fill(page(address & ~0xfffULL, address & ~0xfffULL), kind);
        }
        bench->path.program_access({address}, {address}, 8, kind, PageSize::Size4K);
      }
    }
    std::vector<std::uint8_t> first, second;
    Writer write_first(first), write_second(second);
    told.path.serialize(write_first);
    silent.path.serialize(write_second);
    QVERIFY(first == second);
    QVERIFY(!told.log.events.empty() && silent.log.events.empty());
  }

  void an_access_across_lines_is_split() {
    Bench bench;
    bench.path.program_access({0x103c}, {0x903c}, 8, AccessKind::Read, PageSize::Size4K);
    std::vector<std::uint64_t> places;
    for (const CacheLookup& lookup : bench.of<CacheLookup>()) {
      if (lookup.cache == "L1D") places.push_back(lookup.physical_address.value);
    }
    QCOMPARE(places, (std::vector<std::uint64_t>{0x903c, 0x9040}));
    QCOMPARE(bench.of<CacheLookup>()[2].virtual_address.value, 0x1040U);
  }

  void an_access_inside_a_line_is_one_reference() {
    Bench bench;
    bench.path.program_access({0x1038}, {0x9038}, 8, AccessKind::Read, PageSize::Size4K);
    const auto lookups = bench.of<CacheLookup>();
    QCOMPARE(lookups.size(), 2U);  // L1D and L2.
    QCOMPARE(bench.of<CacheFill>().size(), 2U);
    QCOMPARE(bench.cycles_charged(), 114U);
    QCOMPARE(bench.path.counters().latency_cycles, 114U);
  }

  void fetches_go_to_the_instruction_cache() {
    Bench bench;
    bench.path.program_access({0x1000}, {0x9000}, 4, AccessKind::Fetch, PageSize::Size4K);
    QCOMPARE(bench.of<CacheLookup>()[0].cache, std::string_view("L1I"));
  }

  void a_walk_reference_says_where_it_was_found() {
    CacheHierarchyConfig config = small_caches();
    config.last_level =
        CacheConfig{.name = "LLC", .size = 256 * 1024, .organisation = CacheOrganisation::Pipt, .latency = 30};
    Bench bench(small_tlbs(), config);
    QVERIFY(bench.path.walk_access({0x4000}).by == ServedBy::Memory);
    QVERIFY(bench.path.walk_access({0x4000}).by == ServedBy::L1);
    QVERIFY(bench.of<CacheLookup>()[0].walk);
    // Push the line out of L1D (8 ways of one set), then out of L2 as well (8 ways of 128 sets).
    for (std::uint64_t way = 1; way <= 8; ++way) bench.path.walk_access({0x4000 + way * 0x1000});
    QVERIFY(bench.path.walk_access({0x4000}).by == ServedBy::L2);
    for (std::uint64_t way = 1; way <= 16; ++way) bench.path.walk_access({0x4000 + way * 0x2000});
    QVERIFY(bench.path.walk_access({0x4000}).by == ServedBy::LastLevel);
  }

  void the_filter_learns_of_a_superpage_when_the_data_tlb_is_filled() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
    QCOMPARE(bench.only<TftFill>().region.value, 4 * kMegabyte);
    bench.path.program_access({4 * kMegabyte}, {8 * kMegabyte}, 8, AccessKind::Read, PageSize::Size2M);
    QVERIFY(bench.only<TftLookup>().hit);
    QCOMPARE(bench.of<CacheLookup>()[0].ways_probed, std::uint8_t{4});
    QCOMPARE(bench.of<CacheLookup>().back().cache, std::string_view("L1D VIPT"));  // The twin, after the real levels.
    QCOMPARE(bench.of<CacheLookup>().back().ways_probed, std::uint8_t{8});
  }

  // Table I: TLBs, TFT and cache start together, so what a walk fills into the TFT serves the next access.
  void the_access_that_fills_the_filter_was_a_filter_miss() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    const auto load = [&](std::uint64_t offset) {
      bench.log.events.clear();
      const VirtualAddress address{4 * kMegabyte + offset};
      if (bench.path.lookup(address, AccessKind::Read, kTag) == nullptr)
        bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
      bench.path.program_access(address, {8 * kMegabyte + offset}, 8, AccessKind::Read, PageSize::Size2M);
    };
    load(0);
    QVERIFY(!bench.only<TftLookup>().hit);
    QCOMPARE(bench.of<TftFill>().size(), 1U);
    QCOMPARE(bench.of<CacheLookup>()[0].ways_probed, std::uint8_t{8});
    load(0x40);
    QVERIFY(bench.only<TftLookup>().hit);
    QCOMPARE(bench.of<CacheLookup>()[0].ways_probed, std::uint8_t{4});
    bench.path.context_switched();
    load(0x80);  // Its TLB entry is there, and does not refill the TFT.
    QVERIFY(!bench.only<TftLookup>().hit);
    QVERIFY(bench.of<TftFill>().empty());
    QCOMPARE(bench.path.caches().seesaw_counters().superpage_tft_miss, 2U);
  }

  void every_line_of_an_access_asks_and_gets_the_answer_of_its_lookup() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    QCOMPARE(bench.path.lookup({4 * kMegabyte + 0x3c}, AccessKind::Read, kTag), nullptr);
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
    bench.path.program_access({4 * kMegabyte + 0x3c}, {8 * kMegabyte + 0x3c}, 8, AccessKind::Read, PageSize::Size2M);
    const auto asked = bench.of<TftLookup>();
    QCOMPARE(asked.size(), 2U);
    QVERIFY(!asked[0].hit && !asked[1].hit);
    QCOMPARE(asked[1].virtual_address.value, 4 * kMegabyte + 0x40);
    QCOMPARE(bench.path.caches().seesaw_counters().superpage_tft_miss, 2U);
  }

  void each_page_of_an_access_has_an_answer_of_its_own() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    const std::uint64_t border = 4 * kMegabyte;
    bench.path.fill(page(border, 8 * kMegabyte, PageSize::Size2M), AccessKind::Write);
    bench.path.lookup({border - 4}, AccessKind::Write, kTag);
    bench.path.lookup({border}, AccessKind::Write, kTag);
    bench.path.program_access({border - 4}, {8 * kMegabyte - 4}, 8, AccessKind::Write, PageSize::Size2M);
    const auto asked = bench.of<TftLookup>();
    QCOMPARE(asked.size(), 2U);
    QVERIFY(!asked[0].hit && asked[1].hit);
    QCOMPARE(bench.path.caches().seesaw_counters().superpage_tft_hit_l1_miss, 1U);
    QCOMPARE(bench.path.caches().seesaw_counters().superpage_tft_miss, 1U);
  }

  void the_answer_to_an_access_that_never_came_is_forgotten() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    const auto load = [&] {
      bench.path.program_access({4 * kMegabyte}, {8 * kMegabyte}, 8, AccessKind::Read, PageSize::Size2M);
    };
    bench.path.lookup({4 * kMegabyte}, AccessKind::Read, kTag);  // A miss; then, say, an EPT violation.
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
    bench.path.lookup({4 * kMegabyte}, AccessKind::Read, kTag);  // Tried again.
    load();
    QCOMPARE(bench.path.caches().seesaw_counters().superpage_tft_hit_l1_miss, 1U);
    bench.path.context_switched();
    bench.path.lookup({4 * kMegabyte}, AccessKind::Read, kTag);  // A miss, and its access never comes.
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
    bench.path.lookup({0x1000}, AccessKind::Fetch, kTag);  // The next instruction.
    load();                                                // Without a lookup: it asks now.
    QCOMPARE(bench.path.caches().seesaw_counters().superpage_tft_hit_l1_hit, 1U);
  }

  void a_tagged_filter_survives_a_switch_and_serves_its_owner_alone() {
    CacheHierarchyConfig caches = small_caches(CacheOrganisation::Seesaw);
    caches.tft.tagged = true;
    Bench bench(small_tlbs(), caches);
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
    bench.path.context_switched();
    QVERIFY(bench.of<TftInvalidate>().empty());
    TlbTag other = kTag;
    other.address_space = 4;
    for (const TlbTag tag : {kTag, other}) {
      bench.log.events.clear();
      bench.path.lookup({4 * kMegabyte}, AccessKind::Read, tag);
      bench.path.program_access({4 * kMegabyte}, {8 * kMegabyte}, 8, AccessKind::Read, PageSize::Size2M);
      QCOMPARE(bench.only<TftLookup>().hit, tag == kTag);
      QCOMPARE(bench.of<CacheLookup>()[0].ways_probed, static_cast<std::uint8_t>(tag == kTag ? 4 : 8));
    }
    bench.log.events.clear();
    bench.path.invalidate_address_space(other, true, "test");
    QVERIFY(bench.of<TftInvalidate>().empty());
    bench.path.invalidate_address_space(kTag, true, "test");
    QVERIFY(bench.only<TftInvalidate>().all);
  }

  void the_scheduler_hears_of_the_superpages_in_the_data_tlb() {
    CacheHierarchyConfig caches = small_caches(CacheOrganisation::Seesaw);
    caches.scheduler = SchedulerPolicy::QuarterRule;
    TranslationCachesConfig tlbs = small_tlbs();
    tlbs.data[1].entries = tlbs.data[1].ways = 8;
    Bench bench(tlbs, caches);
    const auto latency = [&](std::uint64_t region) {
      const std::uint64_t address = region * 2 * kMegabyte;
      if (bench.path.lookup({address}, AccessKind::Read, kTag) == nullptr)
        bench.path.fill(page(address, address, PageSize::Size2M), AccessKind::Read);
      bench.path.program_access({address}, {address}, 8, AccessKind::Read, PageSize::Size2M);
      bench.log.events.clear();
      bench.path.lookup({address}, AccessKind::Read, kTag);
      bench.path.program_access({address}, {address}, 8, AccessKind::Read, PageSize::Size2M);
      return bench.of<CacheLookup>()[0].latency;
    };
    QCOMPARE(latency(1), 2U);  // One of eight: scarce.
    QCOMPARE(latency(2), 1U);  // Two are a quarter.
    bench.path.invalidate_address({2 * kMegabyte}, kTag, "INVLPG");
    QCOMPARE(latency(2), 2U);
  }

  void a_physically_indexed_cache_waits_for_the_first_level_tlb() {
    for (const bool told : {true, false}) {
      TranslationCachesConfig tlbs = small_tlbs();
      tlbs.data[0].latency = 3;
      Bench bench(tlbs, small_caches(CacheOrganisation::Pipt));
      if (!told) bench.events.set_sinks(nullptr, nullptr);
      bench.path.lookup({0x5000}, AccessKind::Read, kTag);
      QCOMPARE(bench.path.counters().latency_cycles, 3U + 7U);
      bench.path.fill(page(0x5000, 0x9000), AccessKind::Read);
      bench.path.lookup({0x5000}, AccessKind::Read, kTag);
      QCOMPARE(bench.path.counters().latency_cycles, 3U + 7U + 3U);
      bench.path.lookup({0x5000}, AccessKind::Fetch, kTag);  // L1I is VIPT: the second level's 7 alone.
      QCOMPARE(bench.path.counters().latency_cycles, 3U + 7U + 3U + 7U);
      QCOMPARE(bench.cycles_charged(), told ? 20U : 0U);
    }
  }

  void errors_of_a_virtually_tagged_cache_are_told() {
    CacheHierarchyConfig caches = small_caches(CacheOrganisation::Vivt);
    caches.l1d.aliases = AliasHandling::Ignore;
    Bench bench(small_tlbs(), caches);
    const auto access = [&](std::uint64_t address, std::uint64_t frame, AccessKind kind, std::uint16_t space) {
      bench.path.lookup({address}, kind, {.address_space = space, .virtual_machine = 7});
      bench.path.program_access({address}, {frame}, 8, kind, PageSize::Size4K);
    };
    access(0x1000, 0x9000, AccessKind::Read, 1);
    access(0x2000, 0x9000, AccessKind::Write, 1);
    QVERIFY(bench.of<CacheAlias>().empty());
    access(0x1000, 0x9000, AccessKind::Read, 1);  // The other name's store is not in this copy.
    CacheAlias alias = bench.only<CacheAlias>();
    QCOMPARE(alias.kind, std::string_view("synonym"));
    QCOMPARE(alias.cache, std::string_view("L1D"));
    QCOMPARE(alias.virtual_address.value, 0x1000U);
    QCOMPARE(alias.physical_address.value, 0x9000U);
    bench.log.events.clear();
    access(0x2000, 0xa000, AccessKind::Read, 2);  // Another program's page of the same name.
    alias = bench.only<CacheAlias>();
    QCOMPARE(alias.kind, std::string_view("homonym"));
    QVERIFY(!alias.walk);
  }

  void a_virtually_tagged_cache_that_handles_aliases_drops_the_other_copy() {
    CacheHierarchyConfig caches = small_caches(CacheOrganisation::Vivt);
    caches.l1d.aliases = AliasHandling::Evict;
    Bench bench(small_tlbs(), caches);
    const auto access = [&](std::uint64_t address, std::uint64_t frame, std::uint16_t space) {
      bench.path.lookup({address}, AccessKind::Write, {.address_space = space, .virtual_machine = 7});
      bench.path.program_access({address}, {frame}, 8, AccessKind::Write, PageSize::Size4K);
    };
    access(0x1000, 0x9000, 1);
    access(0x2000, 0x9000, 1);
    const CacheEvict gone = bench.only<CacheEvict>();
    QCOMPARE(gone.cache, std::string_view("L1D"));
    QCOMPARE(gone.line.value, 0x9000U);
    QVERIFY(gone.written_back);
    access(0x2000, 0xa000, 2);
    QVERIFY(bench.of<CacheAlias>().empty());
    bench.path.invalidate_address_space({.address_space = 1, .virtual_machine = 7}, false, "MOV CR3");
    access(0x2000, 0xb000, 1);  // Remapped.
    QVERIFY(bench.of<CacheAlias>().empty());
    QCOMPARE(bench.path.caches().alias_counters().homonym_errors, 0U);
  }

  void a_fetch_of_a_superpage_does_not_reach_the_filter() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Fetch);
    QVERIFY(bench.of<TftFill>().empty());
  }

  void a_refill_from_the_second_level_reaches_the_filter() {
    for (const bool told : {true, false}) {
      Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
      bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
      bench.path.fill(page(6 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);  // Evicts it from L1.
      bench.path.context_switched();
      bench.log.events.clear();
      if (!told) bench.events.set_sinks(nullptr, nullptr);
      QVERIFY(bench.path.lookup({4 * kMegabyte}, AccessKind::Read, kTag) != nullptr);
      if (told) QCOMPARE(bench.only<TftFill>().region.value, 4 * kMegabyte);
      QVERIFY(bench.path.caches().tft()->lookup({4 * kMegabyte}).hit);
    }
  }

  void invalidating_an_address_reaches_tlbs_walk_caches_and_filter() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
    bench.path.walk_cache_fill({.level = 3, .address_bits = 0, .tag = kTag});
    bench.path.invalidate_address({4 * kMegabyte + 0x1234}, kTag, "INVLPG");
    const TlbInvalidate event = bench.only<TlbInvalidate>();
    QCOMPARE(event.reason, std::string_view("INVLPG"));
    QVERIFY(event.scope == InvalidationScope::Address);
    QCOMPARE(event.dropped, 3U);  // L1, L2, and the table pointer.
    QCOMPARE(bench.only<TftInvalidate>().region.value, 4 * kMegabyte);
    QVERIFY(!bench.only<TftInvalidate>().all);
    QVERIFY(!bench.path.walk_cache_lookup({4 * kMegabyte}, kTag));
    QCOMPARE(bench.path.lookup({4 * kMegabyte}, AccessKind::Read, kTag), nullptr);
  }

  void an_invalidated_base_page_is_swept_where_the_machine_asks_for_it_data() {
    QTest::addColumn<bool>("asked");
    QTest::addColumn<bool>("held");
    QTest::addColumn<PageSize>("size");
    QTest::addColumn<bool>("swept");
    QTest::newRow("base page") << true << true << PageSize::Size4K << true;
    QTest::newRow("not asked for") << false << true << PageSize::Size4K << false;
    QTest::newRow("in no TLB") << true << false << PageSize::Size4K << false;
    QTest::newRow("superpage") << true << true << PageSize::Size2M << false;
  }
  void an_invalidated_base_page_is_swept_where_the_machine_asks_for_it() {
    QFETCH(bool, asked);
    QFETCH(bool, held);
    QFETCH(PageSize, size);
    QFETCH(bool, swept);
    CacheHierarchyConfig caches = small_caches(CacheOrganisation::Seesaw);
    caches.sweep_on_invalidation = asked;
    for (const bool told : {true, false}) {
      Bench bench(small_tlbs(), caches);
      if (held) bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, size), AccessKind::Read);
      for (const std::uint64_t at : {0x40U, 0xfc0U, 0x1000U})  // Two lines of the page, and one behind it.
        bench.path.program_access({4 * kMegabyte + at}, {8 * kMegabyte + at}, 8, AccessKind::Write, size);
      bench.log.events.clear();
      if (!told) bench.events.set_sinks(nullptr, nullptr);
      bench.path.invalidate_address({4 * kMegabyte + 0x123}, kTag, "INVLPG");
      QCOMPARE(bench.of<CacheEvict>().size(), swept && told ? std::size_t{2} : std::size_t{0});
      for (const CacheEvict& gone : bench.of<CacheEvict>()) QVERIFY(gone.cache == "L1D" && gone.written_back);
      const Cache& cache = bench.path.caches().l1d();
      QCOMPARE(cache.find({8 * kMegabyte + 0x40}).has_value(), !swept);
      QCOMPARE(cache.find({8 * kMegabyte + 0xfc0}).has_value(), !swept);
      QVERIFY(cache.find({8 * kMegabyte + 0x1000}).has_value());
      QCOMPARE(bench.path.caches().twin()->find({8 * kMegabyte + 0x40}).has_value(), true);
      QCOMPARE(cache.counters().write_backs, swept ? std::uint64_t{2} : std::uint64_t{0});
    }
  }

  void a_context_switch_empties_the_filter_and_keeps_the_tlbs() {
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    bench.path.fill(page(4 * kMegabyte, 8 * kMegabyte, PageSize::Size2M), AccessKind::Read);
    bench.path.context_switched();
    QVERIFY(bench.only<TftInvalidate>().all);
    QVERIFY(!bench.path.caches().tft()->lookup({4 * kMegabyte}).hit);
    QVERIFY(bench.path.lookup({4 * kMegabyte}, AccessKind::Read, kTag) != nullptr);
    bench.log.events.clear();
    bench.path.context_switched();  // It has nothing left to drop.
    QVERIFY(bench.log.events.empty());
  }

  void an_address_space_goes_without_its_global_pages() {
    Bench bench;
    TlbEntry global = page(0x2000, 0xb000);
    global.global = true;
    bench.path.fill(page(0x1000, 0x9000), AccessKind::Read);
    bench.path.fill(global, AccessKind::Read);
    bench.path.invalidate_address_space(kTag, true, "MOV CR3");
    QCOMPARE(bench.only<TlbInvalidate>().dropped, 2U);
    QCOMPARE(bench.path.lookup({0x1000}, AccessKind::Read, kTag), nullptr);
    QVERIFY(bench.path.lookup({0x2000}, AccessKind::Read, kTag) != nullptr);
    bench.path.invalidate_virtual_machine(7, false, false, "MOV CR4");
    QCOMPARE(bench.path.lookup({0x2000}, AccessKind::Read, kTag), nullptr);
  }

  void the_nested_tlb_is_told_like_any_other() {
    Bench bench;
    bench.path.nested_fill(page(0x1000, 0x9000));
    bench.path.nested_fill(page(0x2000, 0xa000));
    bench.log.events.clear();
    const TlbEntry* held = bench.path.nested_lookup({0x2abc}, 7);
    QVERIFY(held != nullptr);
    QCOMPARE(held->frame.value, 0xa000U);
    QVERIFY(bench.only<TlbLookup>().hit);
    QCOMPARE(bench.only<TlbLookup>().structure, std::string_view("Nested TLB"));
    QCOMPARE(bench.only<TlbLookup>().way, std::uint16_t{1});
    QCOMPARE(bench.path.counters().latency_cycles, 1U);
    bench.path.invalidate_virtual_machine(7, false, true, "INVEPT");
    QCOMPARE(bench.path.nested_lookup({0x2abc}, 7), nullptr);
  }

  void walks_are_counted() {
    Bench bench;
    bench.path.count_walk(24, 0);
    bench.path.count_walk(5, 19);
    QCOMPARE(bench.path.counters().walks, 2U);
    QCOMPARE(bench.path.counters().walk_references, 29U);
    QCOMPARE(bench.path.counters().walk_skipped, 19U);
  }

  void names_in_events_outlive_the_machine() {
    EventLog log;
    {
      EventStream events;
      TranslationCachesConfig tlbs = small_tlbs();
      tlbs.data[0].name = "A name that no other test has, too long to be kept inside a string object";
      MemoryPath path(tlbs, small_caches(), events);
      events.set_sinks(&log, nullptr);
      path.lookup({0x5000}, AccessKind::Read, kTag);
    }
    QCOMPARE(std::get<TlbLookup>(log.events.front().payload).structure,
             std::string_view("A name that no other test has, too long to be kept inside a string object"));
  }

  void what_it_tells_keeps_the_invariants() {
    InvariantChecker checker;
    Bench bench(small_tlbs(), small_caches(CacheOrganisation::Seesaw));
    bench.events.set_sinks(&checker, nullptr);
    for (std::uint64_t step = 0; step < 500; ++step) {
      bench.events.begin_step(step);
      const bool super = step % 3 == 0;
      const std::uint64_t address = super ? step % 5 * 2 * kMegabyte : 64 * kMegabyte + step % 11 * 0x1000;
      if (bench.path.lookup({address}, AccessKind::Read, kTag) == nullptr) {
        bench.events.micro(WalkBegin{.virtual_address = {address}});
        bench.events.micro(WalkEnd{.virtual_address = {address}});
        bench.path.fill(page(address, address, super ? PageSize::Size2M : PageSize::Size4K), AccessKind::Read);
      }
      bench.path.program_access({address + step % 64}, {address + step % 64}, 4, AccessKind::Write,
                                super ? PageSize::Size2M : PageSize::Size4K);
      if (step % 50 == 49) bench.path.invalidate_all("test");
    }
    const auto& violations = checker.finish();
    QVERIFY2(violations.empty(), violations.empty() ? "" : violations.front().c_str());
  }
};

QTEST_APPLESS_MAIN(MemoryPathTest)
#include "memory_path_test.moc"
