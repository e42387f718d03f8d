// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the SEESAW paper promises, checked on a small core: page tables as a map, TLBs, TFT and L1D.
#include <QtTest>
#include <map>
#include <set>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/translation_caches.h"
#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

namespace {

constexpr std::uint64_t kRegion = 1 << 21;

CacheHierarchyConfig seesaw_config(unsigned kilobytes, unsigned tft_entries = 16) {
  CacheHierarchyConfig config;
  config.l1d.size = kilobytes * 1024;
  config.l1d.ways = kilobytes / 4;
  config.l1d.organisation = CacheOrganisation::Seesaw;
  config.l1d.plain_twin = true;
  config.l2 =
      CacheConfig{.name = "L2", .size = 256 * 1024, .ways = 8, .organisation = CacheOrganisation::Pipt, .latency = 12};
  config.tft.entries = tft_entries;
  return config;
}

TranslationCachesConfig tlb_config() {
  TranslationCachesConfig config;
  config.data = {{.name = "L1 DTLB 4K", .entries = 64, .ways = 4, .page_sizes = {PageSize::Size4K}},
                 {.name = "L1 DTLB 2M", .entries = 8, .ways = 4, .page_sizes = {PageSize::Size2M}}};
  config.second_level = {
      .name = "L2 TLB", .entries = 128, .ways = 4, .page_sizes = {PageSize::Size4K, PageSize::Size2M}};
  return config;
}

CacheReference reference_to(std::uint64_t virtual_address, std::uint64_t physical_address, PageSize size,
                            AccessKind kind = AccessKind::Read) {
  return {.virtual_address = {virtual_address},
          .physical_address = {physical_address},
          .page_size = size,
          .kind = kind,
          .walk = false};
}

CacheHierarchyConfig scheduled_config(SchedulerPolicy scheduler) {
  CacheHierarchyConfig config = seesaw_config(32);
  config.scheduler = scheduler;
  return config;
}

// Two programs on one core, each with its own page table; the core fills and drops the TFT as section IV-A2 says.
class Core {
 public:
  explicit Core(const CacheHierarchyConfig& config) : tlbs(tlb_config()), caches(config) {}

  void map_superpage(std::uint64_t region, std::uint64_t frame) {
    unmap(region);
    table()[region] = {.superpage = true, .superpage_frame = frame * kRegion, .frames = {}};
  }
  void map_base_pages(std::uint64_t region, const std::vector<std::uint64_t>& frames) {
    unmap(region);
    table()[region] = {.superpage = false, .superpage_frame = 0, .frames = frames};
  }
  void splinter(std::uint64_t region) {
    const Mapping old = table().at(region);
    QVERIFY(old.superpage);
    std::vector<std::uint64_t> frames;
    for (std::uint64_t offset = 0; offset < kRegion; offset += 4096) frames.push_back(old.superpage_frame + offset);
    map_base_pages(region, frames);
  }
  /// In place: the base pages already lie as the superpage will.
  void promote(std::uint64_t region) {
    const std::uint64_t frame = table().at(region).frames.front();
    map_superpage(region, frame / kRegion);
    caches.promoted({frame}, kRegion);
  }
  void switch_to(std::uint16_t program) {
    program_ = program;
    caches.context_switched();
  }
  [[nodiscard]] bool is_superpage(std::uint64_t region) { return table().at(region).superpage; }
  [[nodiscard]] bool is_mapped(std::uint64_t region) { return table().count(region) != 0; }
  [[nodiscard]] std::uint64_t physical(std::uint64_t address) {
    const Mapping& mapping = table().at(address / kRegion);
    const std::uint64_t offset = address % kRegion;
    return mapping.superpage ? mapping.superpage_frame + offset : mapping.frames[offset / 4096] + offset % 4096;
  }
  HierarchyOutcome access(std::uint64_t address, AccessKind kind) {
    const TlbTag tag{.address_space = program_, .virtual_machine = 0};
    const TranslationLookup lookup = tlbs.lookup({address}, kind, tag);
    for (unsigned i = 0; i < lookup.fill_count; ++i) filled(*lookup.fills[i].tlb, address);
    if (lookup.entry != nullptr) return reference(address, *lookup.entry, kind);
    TlbEntry entry;
    entry.size = is_superpage(address / kRegion) ? PageSize::Size2M : PageSize::Size4K;
    entry.page = {address & ~page_offset_mask(entry.size)};
    entry.frame = {physical(address) & ~page_offset_mask(entry.size)};
    entry.tag = tag;
    for (const TlbFillRecord& fill : tlbs.fill(entry, kind)) filled(*fill.tlb, address);
    return reference(address, entry, kind);
  }

  TranslationCaches tlbs;
  CacheHierarchy caches;

 private:
  struct Mapping {
    bool superpage = false;
    std::uint64_t superpage_frame = 0;
    std::vector<std::uint64_t> frames;
  };
  std::map<std::uint64_t, Mapping>& table() { return tables_[program_]; }
  void unmap(std::uint64_t region) {
    if (!is_mapped(region)) return;
    const std::uint64_t step = is_superpage(region) ? kRegion : 4096;
    for (std::uint64_t address = region * kRegion; address < (region + 1) * kRegion; address += step) {
      tlbs.invalidate_address({address}, {.address_space = program_, .virtual_machine = 0});
      caches.page_invalidated({address});
    }
    table().erase(region);
  }
  void filled(const Tlb& tlb, std::uint64_t address) {
    if (tlb.geometry().name == "L1 DTLB 2M") caches.superpage_filled({address}, owner());
  }
  [[nodiscard]] TlbTag owner() const { return {.address_space = program_, .virtual_machine = 0}; }
  HierarchyOutcome reference(std::uint64_t address, const TlbEntry& entry, AccessKind kind) {
    CacheReference wanted = reference_to(address, entry.frame.value + (address - entry.page.value), entry.size, kind);
    wanted.owner = owner();
    return caches.access(wanted);
  }

  std::uint16_t program_ = 0;
  std::map<std::uint64_t, Mapping> tables_[2];
};

/// No line twice, and each within the partition of its physical address.
bool is_well_placed(const Cache& cache) {
  std::set<std::uint64_t> seen;
  for (unsigned set = 0; set < cache.sets(); ++set) {
    for (unsigned way = 0; way < cache.config().ways; ++way) {
      const Cache::Line line = cache.line(set, way);
      if (line.valid == 0) continue;
      if (!seen.insert(line.number).second) return false;
      if (line.number % 64 != set || line.number / 64 % cache.partitions() != way / 4) return false;
    }
  }
  return true;
}

/// Anywhere in the cache, whatever the partition.
bool is_anywhere(const Cache& cache, std::uint64_t physical) {
  for (unsigned set = 0; set < cache.sets(); ++set) {
    for (unsigned way = 0; way < cache.config().ways; ++way) {
      const Cache::Line line = cache.line(set, way);
      if (line.valid != 0 && line.number == physical / 64) return true;
    }
  }
  return false;
}

std::vector<std::uint64_t> scattered_frames(test::Random& random) {
  std::vector<std::uint64_t> frames;
  for (unsigned i = 0; i < 512; ++i) frames.push_back((random.below(8) * 512 + random.below(512)) * 4096);
  return frames;
}

}  // namespace

class SeesawTest : public QObject {
  Q_OBJECT

 private slots:
  void the_four_cases_of_table_one_with_the_cycles_of_table_three_data() {
    QTest::addColumn<unsigned>("kilobytes");
    QTest::addColumn<unsigned>("base");
    QTest::addColumn<unsigned>("super");
    QTest::addColumn<float>("energy");
    QTest::addColumn<float>("partition_energy");
    QTest::newRow("32 KB, 1.33 GHz") << 32U << 2U << 1U << 0.047F << 0.0285F;
    QTest::newRow("32 KB, 2.80 GHz") << 32U << 4U << 2U << 0.047F << 0.0285F;
    QTest::newRow("32 KB, 4.00 GHz") << 32U << 5U << 3U << 0.047F << 0.0285F;
    QTest::newRow("64 KB, 1.33 GHz") << 64U << 5U << 1U << 0.095F << 0.027F;
    QTest::newRow("64 KB, 2.80 GHz") << 64U << 9U << 2U << 0.095F << 0.027F;
    QTest::newRow("64 KB, 4.00 GHz") << 64U << 13U << 3U << 0.095F << 0.027F;
    QTest::newRow("128 KB, 1.33 GHz") << 128U << 14U << 2U << 0.188F << 0.027F;
    QTest::newRow("128 KB, 2.80 GHz") << 128U << 30U << 3U << 0.188F << 0.027F;
    QTest::newRow("128 KB, 4.00 GHz") << 128U << 42U << 4U << 0.188F << 0.027F;
  }
  void the_four_cases_of_table_one_with_the_cycles_of_table_three() {
    QFETCH(unsigned, kilobytes);
    QFETCH(unsigned, base);
    QFETCH(unsigned, super);
    QFETCH(float, energy);
    QFETCH(float, partition_energy);
    CacheHierarchyConfig config = seesaw_config(kilobytes);
    config.l1d.latency = base;
    config.l1d.fast_latency = super;
    config.l1d.energy = energy;
    config.l1d.partition_energy = partition_energy;
    CacheHierarchy caches(config);
    const unsigned ways = kilobytes / 4;
    const auto all = static_cast<std::uint32_t>((std::uint64_t{1} << ways) - 1);
    const CacheReference superpage = reference_to(0x40201040, 0x80201040, PageSize::Size2M);  // VA[14:12] = 1.

    const HierarchyOutcome tft_miss = caches.access(superpage);
    QVERIFY(tft_miss.tft.asked && !tft_miss.tft.hit);
    QCOMPARE(tft_miss.levels[0].ways_probed_mask, all);
    QCOMPARE(tft_miss.levels[0].latency, base);
    QCOMPARE(tft_miss.levels[0].energy, energy);
    QCOMPARE(tft_miss.levels[0].way, std::uint8_t{4});

    caches.superpage_filled(superpage.virtual_address);
    const HierarchyOutcome hit = caches.access(superpage);
    QVERIFY(hit.tft.hit && hit.levels[0].hit);
    QCOMPARE(hit.levels[0].ways_probed, std::uint8_t{4});
    QCOMPARE(hit.levels[0].ways_probed_mask, 0xf0U);
    QCOMPARE(hit.latency, super);
    QCOMPARE(hit.energy, partition_energy);
    QCOMPARE(hit.twin->ways_probed_mask, all);
    QCOMPARE(hit.twin->latency, base);
    QCOMPARE(hit.twin->energy, energy);

    const HierarchyOutcome miss = caches.access(reference_to(0x40209040, 0x80209040, PageSize::Size2M));
    QVERIFY(miss.tft.hit && !miss.levels[0].hit);
    QCOMPARE(miss.levels[0].ways_probed_mask, 0xf0U);
    QCOMPARE(miss.levels[0].energy, partition_energy);
    QCOMPARE(miss.latency, super + 12 + config.memory_latency);

    const HierarchyOutcome base_page = caches.access(reference_to(0x1040, 0x80201040, PageSize::Size4K));
    QVERIFY(base_page.tft.asked && !base_page.tft.hit && base_page.levels[0].hit);
    QCOMPARE(base_page.levels[0].ways_probed_mask, all);
    QCOMPARE(base_page.latency, base);
    QCOMPARE(base_page.energy, energy);

    QCOMPARE(caches.seesaw_counters().superpage_tft_miss, std::uint64_t{1});
    QCOMPARE(caches.seesaw_counters().superpage_tft_hit_l1_hit, std::uint64_t{1});
    QCOMPARE(caches.seesaw_counters().superpage_tft_hit_l1_miss, std::uint64_t{1});
    QCOMPARE(caches.seesaw_counters().base_page, std::uint64_t{1});
    QCOMPARE(caches.l1d().counters().ways_probed, std::uint64_t{2 * ways + 8});
  }

  void the_default_energies_are_the_papers_saving() {
    const CacheConfig config;
    QVERIFY(qAbs(1.0 - double{config.partition_energy} / double{config.energy} - 0.3943) < 0.001);
  }

  void a_walk_reference_reads_one_partition_and_is_not_counted_among_the_cases() {
    CacheHierarchy caches(seesaw_config(64));
    const CacheReference walk{.virtual_address = {},
                              .physical_address = {0x7008},
                              .page_size = PageSize::Size4K,
                              .kind = AccessKind::Read,
                              .walk = true};
    const HierarchyOutcome outcome = caches.access(walk);
    QVERIFY(!outcome.tft.asked);
    QCOMPARE(outcome.levels[0].ways_probed_mask, 0xf000U);  // PA[13:12] = 3.
    QCOMPARE(outcome.levels[0].latency, 1U);
    QCOMPARE(outcome.twin->ways_probed_mask, 0xffffU);
    QVERIFY(caches.access(walk).levels[0].hit);
    const SeesawCounters& counters = caches.seesaw_counters();
    QCOMPARE(counters.base_page + counters.superpage_tft_miss + counters.superpage_tft_hit_l1_hit +
                 counters.superpage_tft_hit_l1_miss,
             std::uint64_t{0});
    QCOMPARE(caches.l1d().counters().reads, std::uint64_t{2});
  }

  void fetches_do_not_ask_the_filter() {
    CacheHierarchy caches(seesaw_config(32));
    const HierarchyOutcome outcome =
        caches.access(reference_to(0x200000, 0x200000, PageSize::Size2M, AccessKind::Fetch));
    QVERIFY(!outcome.tft.asked && !outcome.twin);
    QCOMPARE(outcome.levels[0].ways_probed, std::uint8_t{8});
  }

  void the_filter_is_direct_mapped_by_remainder_data() {
    QTest::addColumn<unsigned>("entries");
    QTest::addColumn<unsigned>("tag_bits");
    QTest::addColumn<bool>("tagged");
    for (const unsigned entries : {1U, 12U, 16U, 20U}) {
      QTest::addRow("%u entries", entries) << entries << 43U << false;
      QTest::addRow("%u entries, narrow", entries) << entries << 2U << false;
      QTest::addRow("%u entries, tagged", entries) << entries << 43U << true;
    }
  }
  void the_filter_is_direct_mapped_by_remainder() {
    QFETCH(unsigned, entries);
    QFETCH(unsigned, tag_bits);
    QFETCH(bool, tagged);
    const std::uint64_t seed = 40 + entries + tag_bits;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    TranslationFilterTable filter({.entries = entries, .tag_bits = tag_bits, .tagged = tagged});
    struct Held {
      std::uint64_t tag;
      TlbTag owner;
    };
    std::map<std::uint64_t, Held> held;  // By index.
    const auto drop = [&held](const auto& goes) {
      unsigned count = 0;
      for (auto one = held.begin(); one != held.end();) {
        const bool gone = goes(one->second);
        count += gone ? 1 : 0;
        one = gone ? held.erase(one) : std::next(one);
      }
      return count;
    };
    for (int step = 0; step < 5000; ++step) {
      const std::uint64_t region = random.below(3 * entries + 2) + (random.one_in(2) ? 0x7ffffff0000 : 0);
      const VirtualAddress address{region * kRegion + random.below(kRegion)};
      const std::uint64_t index = region % entries;
      const std::uint64_t tag = region % (std::uint64_t{1} << tag_bits);
      const TlbTag owner{.address_space = static_cast<std::uint16_t>(random.below(2)),
                         .virtual_machine = static_cast<std::uint16_t>(random.below(2))};
      const bool right = held.count(index) != 0 && held[index].tag == tag;
      const TftOutcome outcome = filter.lookup(address, owner);
      QVERIFY(outcome.asked);
      QCOMPARE(outcome.hit, right && (!tagged || held[index].owner == owner));
      QCOMPARE(std::uint64_t{outcome.index}, index);
      const std::uint64_t action = random.below(100);
      if (action < 40) {
        QCOMPARE(std::uint64_t{filter.fill(address, owner)}, index);
        held[index] = {tag, owner};
      } else if (action < 50) {
        QCOMPARE(filter.invalidate(address), right ? 1U : 0U);
        if (right) held.erase(index);
      } else if (action == 50) {
        QCOMPARE(std::size_t{filter.flush()}, held.size());
        held.clear();
      } else if (action == 51) {
        QCOMPARE(filter.context_switched(), tagged ? 0U : drop([](const Held&) { return true; }));
      } else if (action == 52) {
        QCOMPARE(filter.invalidate_address_space(owner),
                 drop([&](const Held& one) { return !tagged || one.owner == owner; }));
      } else if (action == 53) {
        QCOMPARE(filter.invalidate_virtual_machine(owner.virtual_machine),
                 drop([&](const Held& one) { return !tagged || one.owner.virtual_machine == owner.virtual_machine; }));
      }
    }
  }

  void the_papers_table_takes_86_bytes() {
    QCOMPARE(storage_bits({}), std::uint64_t{86 * 8});
    QCOMPARE(storage_bits({.entries = 12}), std::uint64_t{12 * 43});
    QCOMPARE(storage_bits({.tagged = true}), std::uint64_t{16 * 75});  // "Nearly double" (section IV-C3).
  }

  void impossible_tables_are_named() {
    QVERIFY(problem_of(TranslationFilterTableConfig{}).empty());
    QVERIFY(!problem_of(TranslationFilterTableConfig{.entries = 0}).empty());
    QVERIFY(!problem_of(TranslationFilterTableConfig{.tag_bits = 0}).empty());
    QVERIFY(!problem_of(TranslationFilterTableConfig{.tag_bits = 44}).empty());
  }

  void a_tagged_filter_survives_a_context_switch() {
    CacheHierarchyConfig config = seesaw_config(32);
    config.tft.tagged = true;
    CacheHierarchy caches(config);
    CacheReference reference = reference_to(0x40000000, 0x40000000, PageSize::Size2M);
    reference.owner = {.address_space = 1};
    caches.superpage_filled(reference.virtual_address, reference.owner);
    QCOMPARE(caches.context_switched(), 0U);
    QVERIFY(caches.access(reference).tft.hit);
    CacheReference other = reference;
    other.owner = {.address_space = 2};
    QVERIFY(!caches.access(other).tft.hit);
    QCOMPARE(caches.address_space_invalidated(other.owner).filter_entries, 0U);
    QCOMPARE(caches.page_invalidated(reference.virtual_address).filter_entries, 1U);
    QVERIFY(!caches.access(reference).tft.hit);
  }

  void the_scheduler_that_assumes_slow_keeps_the_energy_and_loses_the_time() {
    CacheHierarchy caches(scheduled_config(SchedulerPolicy::AlwaysSlow));
    const CacheReference superpage = reference_to(0x40201040, 0x80201040, PageSize::Size2M);
    caches.access(superpage);
    caches.superpage_filled(superpage.virtual_address);
    const HierarchyOutcome outcome = caches.access(superpage);
    QVERIFY(outcome.tft.hit && outcome.levels[0].hit);
    QCOMPARE(outcome.latency, 2U);
    QCOMPARE(outcome.levels[0].latency, 2U);
    QCOMPARE(outcome.levels[0].ways_probed, std::uint8_t{4});
    QCOMPARE(outcome.energy, caches.config().l1d.partition_energy);
    QCOMPARE(caches.access_quietly(superpage).latency, std::uint64_t{2});
    QVERIFY(!caches.access(reference_to(0x1000, 0x1000, PageSize::Size4K)).replayed);
    QCOMPARE(caches.seesaw_counters().assumed_slow, std::uint64_t{2});
    QCOMPARE(caches.seesaw_counters().replays, std::uint64_t{0});
  }

  void the_scheduler_that_assumes_fast_replays_loads_of_base_pages() {
    CacheHierarchy caches(scheduled_config(SchedulerPolicy::AlwaysFast));
    const HierarchyOutcome load = caches.access(reference_to(0x1000, 0x1000, PageSize::Size4K));
    QVERIFY(load.replayed);
    QVERIFY(!caches.access(reference_to(0x1000, 0x1000, PageSize::Size4K, AccessKind::Write)).replayed);
    CacheReference walk{.physical_address = {0x5000}, .walk = true};
    QVERIFY(!caches.access(walk).replayed);
    QVERIFY(caches.access(reference_to(0x40000000, 0x40000000, PageSize::Size2M)).replayed);  // The TFT missed.
    caches.superpage_filled({0x40000000});
    const HierarchyOutcome fast = caches.access(reference_to(0x40000000, 0x40000000, PageSize::Size2M));
    QVERIFY(!fast.replayed);
    QCOMPARE(fast.latency, 1U);
    QCOMPARE(caches.seesaw_counters().replays, std::uint64_t{2});
  }

  void superpages_are_scarce_below_a_quarter_of_the_entries() {
    CacheHierarchy caches(scheduled_config(SchedulerPolicy::QuarterRule));
    const CacheReference superpage = reference_to(0x40000000, 0x40000000, PageSize::Size2M);
    caches.access(superpage);
    caches.superpage_filled(superpage.virtual_address);
    QCOMPARE(caches.access(superpage).latency, 2U);  // Nobody has told of any.
    for (const unsigned entries : {16U, 32U}) {      // Table II: 4 of 16, 8 of 32.
      for (unsigned valid = 0; valid <= entries; ++valid) {
        caches.superpage_entries(valid, entries);
        QCOMPARE(caches.access(superpage).latency, valid < entries / 4 ? 2U : 1U);
      }
    }
    caches.superpage_entries(3, 16);
    CacheHierarchy fresh(scheduled_config(SchedulerPolicy::QuarterRule));
    fresh.superpage_entries(16, 16);
    test::restore(fresh, test::state_of(caches));
    QCOMPARE(fresh.access(superpage).latency, 2U);
  }

  // Without its fast path SEESAW with 4way-8way insertion is plain VIPT, access for access, whatever the page sizes.
  void without_its_fast_path_it_is_plain_vipt_data() {
    QTest::addColumn<unsigned>("kilobytes");
    QTest::addColumn<bool>("way_prediction");
    for (const unsigned kilobytes : {16U, 32U, 64U, 128U}) {
      for (const bool way_prediction : {false, true})
        QTest::addRow("%u KB%s", kilobytes, way_prediction ? ", way prediction" : "") << kilobytes << way_prediction;
    }
  }
  void without_its_fast_path_it_is_plain_vipt() {
    QFETCH(unsigned, kilobytes);
    QFETCH(bool, way_prediction);
    const std::uint64_t seed = 77 + kilobytes;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchyConfig config = seesaw_config(kilobytes);
    config.l1d.insertion = InsertionPolicy::PartitionOrWhole;
    config.l1d.way_prediction = way_prediction;
    config.tft.enabled = false;
    CacheHierarchy seesaw(config);
    QVERIFY(seesaw.tft() == nullptr);
    config.l1d.organisation = CacheOrganisation::Vipt;
    CacheHierarchy vipt(config);
    for (int step = 0; step < 20000; ++step) {
      const std::uint64_t address = random.below(4 * kilobytes * 1024);
      const bool superpage = random.one_in(2);
      CacheReference reference = reference_to(superpage ? 0x40000000 + address : address ^ 0x7000, address,
                                              superpage ? PageSize::Size2M : PageSize::Size4K,
                                              random.one_in(3) ? AccessKind::Write : AccessKind::Read);
      reference.walk = random.one_in(20);
      if (superpage) seesaw.superpage_filled(reference.virtual_address);
      const HierarchyOutcome outcome = seesaw.access(reference);
      const HierarchyOutcome right = vipt.access(reference);
      QVERIFY(!outcome.tft.asked);
      QCOMPARE(outcome.level_count, right.level_count);
      for (unsigned i = 0; i < right.level_count; ++i) QVERIFY(naive::same(outcome.levels[i], right.levels[i]));
      QVERIFY(naive::same(*outcome.twin, right.levels[0]));
      QCOMPARE(outcome.latency, right.latency);
      QCOMPARE(outcome.energy, right.energy);
    }
    QVERIFY(naive::same(seesaw.l1d().counters(), vipt.l1d().counters()));
    QVERIFY(naive::same(seesaw.l2()->counters(), vipt.l2()->counters()));
    QCOMPARE(seesaw.memory_counters().writes, vipt.memory_counters().writes);
  }

  void under_4way_8way_a_page_mapped_both_ways_can_be_held_twice_and_every_probe_finds_both() {
    CacheHierarchyConfig config = seesaw_config(32);
    config.l1d.insertion = InsertionPolicy::PartitionOrWhole;
    CacheHierarchy caches(config);
    // Base pages fill the set from way 0 on, so the line of partition 1 comes to lie in partition 0.
    caches.access(reference_to(0x6000, 0x1000, PageSize::Size4K, AccessKind::Write));
    QCOMPARE(*caches.l1d().find(0x1000, PhysicalAddress{0x1000}), 0U);
    caches.superpage_filled({0x40000000});
    const HierarchyOutcome again = caches.access(reference_to(0x40001000, 0x1000, PageSize::Size2M));
    QVERIFY(again.tft.hit && !again.levels[0].hit);  // It looked in partition 1 alone.
    QCOMPARE(caches.l1d().duplicates(), 1U);
    const ProbeOutcome probe = caches.coherence_probe({0x1000}, CoherenceAction::Invalidate);
    QVERIFY(probe.hit && probe.dirty);
    QCOMPARE(unsigned{probe.ways_probed}, 8U);
    QVERIFY(!is_anywhere(caches.l1d(), 0x1000));
  }

  void under_4way_8way_a_promotion_sweeps_what_lies_outside_its_partition() {
    CacheHierarchyConfig config = seesaw_config(32);
    config.l1d.insertion = InsertionPolicy::PartitionOrWhole;
    CacheHierarchy caches(config);
    caches.access(reference_to(0x6000, 0x1000, PageSize::Size4K, AccessKind::Write));
    QCOMPARE(caches.promoted({0}, kRegion), 1U);
    QVERIFY(!is_anywhere(caches.l1d(), 0x1000));
    QCOMPARE(caches.l2()->line(64, *caches.l2()->find(PhysicalAddress{0x1000})).dirty, std::uint8_t{1});
    caches.superpage_filled({0x40000000});
    caches.access(reference_to(0x40001000, 0x1000, PageSize::Size2M));
    QCOMPARE(caches.l1d().duplicates(), 0U);
  }

  void a_probe_reads_four_ways_where_the_twin_reads_all() {
    CacheHierarchy caches(seesaw_config(128));
    caches.access(reference_to(0x5040, 0x7040, PageSize::Size4K, AccessKind::Write));
    const ProbeOutcome probe = caches.coherence_probe({0x7040}, CoherenceAction::Clean);
    QVERIFY(probe.hit && probe.dirty);
    QCOMPARE(unsigned{probe.ways_probed}, 4U);
    QVERIFY(!caches.coherence_probe({0x7040}, CoherenceAction::Look).dirty);
    QCOMPARE(caches.l1d().counters().probes, std::uint64_t{2});
    QCOMPARE(caches.l1d().counters().probe_ways, std::uint64_t{8});
    QCOMPARE(caches.twin()->counters().probe_ways, std::uint64_t{64});
  }

  void a_context_switch_flushes_the_filter() {
    CacheHierarchy caches(seesaw_config(32));
    const CacheReference reference = reference_to(0x40000000, 0x40000000, PageSize::Size2M);
    QCOMPARE(caches.superpage_filled(reference.virtual_address), std::optional<std::uint16_t>(std::uint16_t{0}));
    caches.superpage_filled({0x40200000});
    QVERIFY(caches.access(reference).tft.hit);
    QCOMPARE(caches.context_switched(), 2U);
    QVERIFY(!caches.access(reference).tft.hit);
    QCOMPARE(caches.context_switched(), 0U);
  }

  void without_seesaw_there_is_no_filter() {
    CacheHierarchyConfig config = seesaw_config(32);
    config.l1d.organisation = CacheOrganisation::Vipt;
    CacheHierarchy caches(config);
    QVERIFY(caches.tft() == nullptr && caches.twin() == nullptr);
    QVERIFY(!caches.superpage_filled({0}));
    QCOMPARE(caches.page_invalidated({0}).filter_entries, 0U);
    QCOMPARE(caches.context_switched(), 0U);
    QVERIFY(!caches.access(reference_to(0, 0, PageSize::Size2M)).tft.asked);
  }

  // The invariants of the whole: with splinters, promotions, remappings and context switches going on,
  // - the filter itself never holds the region of a base page (not only after the model's own check),
  // - a lookup sees a line exactly if a coherence probe of 4 ways finds it, and that exactly if it is anywhere,
  // - no line is held twice, nor outside the partition of its physical address.
  void a_life_of_paging_keeps_every_line_reachable_data() {
    QTest::addColumn<unsigned>("kilobytes");
    QTest::addColumn<unsigned>("entries");
    QTest::addColumn<unsigned>("tag_bits");
    QTest::addColumn<bool>("tagged");
    for (const unsigned kilobytes : {32U, 64U, 128U}) {
      for (const unsigned entries : {12U, 16U, 20U}) {
        QTest::addRow("%u KB, %u TFT entries", kilobytes, entries) << kilobytes << entries << 43U << false;
      }
    }
    QTest::newRow("64 KB, 16 TFT entries with narrow tags") << 64U << 16U << 3U << false;
    QTest::newRow("64 KB, 12 TFT entries with address spaces") << 64U << 12U << 43U << true;
  }
  void a_life_of_paging_keeps_every_line_reachable() {
    QFETCH(unsigned, kilobytes);
    QFETCH(unsigned, entries);
    QFETCH(unsigned, tag_bits);
    QFETCH(bool, tagged);
    const std::uint64_t seed = kilobytes * 100 + entries;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchyConfig config = seesaw_config(kilobytes, entries);
    config.tft.tag_bits = tag_bits;
    config.tft.tagged = tagged;
    Core core(config);
    std::uint64_t false_positives = 0;
    constexpr std::uint64_t kRegions = 24;
    unsigned filter_hits = 0;
    unsigned base_pages = 0;
    unsigned splinters = 0;
    unsigned promotions = 0;
    for (int step = 0; step < 12000; ++step) {
      const std::uint64_t region = random.below(kRegions);
      if (!core.is_mapped(region)) {
        // Eight frames for all: two programs and many regions share physical memory, as superpages and as base pages.
        if (random.one_in(2))
          core.map_superpage(region, random.below(8));
        else
          core.map_base_pages(region, scattered_frames(random));
      }
      const std::uint64_t action = random.below(1000);
      if (action < 5 && core.is_superpage(region)) {
        core.splinter(region);
        ++splinters;
        if (random.one_in(2)) {
          core.promote(region);
          ++promotions;
        }
      } else if (action < 10) {
        core.map_superpage(region, random.below(8));
      } else if (action < 15) {
        core.map_base_pages(region, scattered_frames(random));
      } else if (action < 20) {
        core.switch_to(static_cast<std::uint16_t>(random.below(2)));
      }
      if (!core.is_mapped(region)) continue;  // The other program has not touched it yet.
      // A few lines of a few pages, so that the cache sees them again.
      const std::uint64_t address =
          region * kRegion + random.below(16) * 4096 + random.below(4) * 64 + random.below(64);
      const std::uint64_t physical = core.physical(address);
      const bool probed = core.caches.l1d().find({physical}).has_value();
      QCOMPARE(probed, is_anywhere(core.caches.l1d(), physical));
      const HierarchyOutcome outcome = core.access(address, random.one_in(3) ? AccessKind::Write : AccessKind::Read);
      const bool fast = outcome.tft.hit && core.is_superpage(region);
      false_positives += outcome.tft.hit && !fast ? 1 : 0;
      QCOMPARE(outcome.levels[0].hit, probed);
      QCOMPARE(outcome.levels[0].ways_probed, static_cast<std::uint8_t>(fast ? 4 : kilobytes / 4));
      QVERIFY(core.caches.l1d().find({physical}).has_value());
      filter_hits += outcome.tft.hit ? 1 : 0;
      base_pages += core.is_superpage(region) ? 0 : 1;
      if (step % 250 == 0) QVERIFY(is_well_placed(core.caches.l1d()));
    }
    QVERIFY(is_well_placed(core.caches.l1d()));
    QVERIFY(filter_hits > 500 && base_pages > 1000 && splinters > 5 && promotions > 2);
    QCOMPARE(core.caches.seesaw_counters().false_positives, false_positives);
    QCOMPARE(false_positives != 0, tag_bits < 43);
  }

  void one_page_mapped_both_ways_is_held_once() {
    CacheHierarchy caches(seesaw_config(32));
    caches.superpage_filled({0x40000000});
    caches.access(reference_to(0x40001000, 0x1000, PageSize::Size2M));
    // The same frame at a virtual address with the other partition bit: 4way-8way insertion could install it again.
    QVERIFY(caches.access(reference_to(0x6000, 0x1000, PageSize::Size4K)).levels[0].hit);
    caches.access(reference_to(0x7000, 0x2000, PageSize::Size4K));
    QVERIFY(caches.access(reference_to(0x40002000, 0x2000, PageSize::Size2M)).levels[0].hit);
    QVERIFY(is_well_placed(caches.l1d()));
  }

  void after_a_splinter_the_lines_are_still_found() {
    Core core(seesaw_config(32));
    core.map_superpage(3, 5);
    const std::uint64_t address = 3 * kRegion + 0x5040;
    core.access(address, AccessKind::Write);
    QVERIFY(core.access(address, AccessKind::Read).tft.hit);
    core.splinter(3);
    const HierarchyOutcome outcome = core.access(address, AccessKind::Read);
    QVERIFY(!outcome.tft.hit && outcome.levels[0].hit);
    QCOMPARE(outcome.levels[0].ways_probed, std::uint8_t{8});
  }

  void a_promotion_sweeps_the_lines_and_loses_no_written_data() {
    Core core(seesaw_config(32));
    core.map_superpage(3, 5);
    core.splinter(3);
    const std::uint64_t address = 3 * kRegion + 0x5040;
    const std::uint64_t physical = 5 * kRegion + 0x5040;
    core.access(address, AccessKind::Write);
    const Cache& l2 = *core.caches.l2();
    const auto dirty_in_l2 = [&] {
      return l2.line(static_cast<unsigned>(physical / 64 % l2.sets()), *l2.find({physical})).dirty;
    };
    QCOMPARE(dirty_in_l2(), std::uint8_t{0});
    core.promote(3);
    QVERIFY(!core.caches.l1d().find({physical}));
    QVERIFY(core.caches.twin()->find({physical}));  // Plain VIPT needs no sweep.
    QCOMPARE(dirty_in_l2(), std::uint8_t{1});
    const HierarchyOutcome outcome = core.access(address, AccessKind::Read);
    QVERIFY(outcome.tft.hit && !outcome.levels[0].hit && outcome.levels[1].hit);
    QVERIFY(core.access(address, AccessKind::Read).levels[0].hit);
  }

  void an_operating_system_that_forgets_to_invalidate_gets_no_wrong_lookup() {
    CacheHierarchy caches(seesaw_config(32));
    caches.superpage_filled({0x40000000});
    caches.access(reference_to(0x40000000, 0x1000, PageSize::Size4K));  // Now a base page; the other partition.
    const HierarchyOutcome outcome = caches.access(reference_to(0x40000000, 0x1000, PageSize::Size4K));
    QVERIFY(outcome.tft.hit && outcome.levels[0].hit);  // The TFT is wrong; the translation refutes it.
    QCOMPARE(outcome.levels[0].ways_probed, std::uint8_t{8});
    QCOMPARE(outcome.latency, 2U);
    QVERIFY(outcome.replayed);
    QVERIFY(is_well_placed(caches.l1d()));
    QCOMPARE(caches.seesaw_counters().base_page, std::uint64_t{2});
    QCOMPARE(caches.seesaw_counters().false_positives, std::uint64_t{2});
    QCOMPARE(caches.seesaw_counters().replays, std::uint64_t{2});
  }

  // 4way insertion makes 64 sets x P partitions x 4 ways behave as 64 P sets of 4 ways, whichever ways are probed.
  void it_hits_where_a_physical_cache_of_four_ways_hits_data() {
    QTest::addColumn<unsigned>("kilobytes");
    QTest::addColumn<bool>("filter");
    for (const unsigned kilobytes : {16U, 32U, 64U, 128U}) {
      QTest::addRow("%u KB, TFT filled", kilobytes) << kilobytes << true;
      QTest::addRow("%u KB, TFT never filled", kilobytes) << kilobytes << false;
    }
  }
  void it_hits_where_a_physical_cache_of_four_ways_hits() {
    QFETCH(unsigned, kilobytes);
    QFETCH(bool, filter);
    const std::uint64_t seed = 9000 + kilobytes;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchy seesaw(seesaw_config(kilobytes));
    CacheHierarchyConfig physical_config = seesaw_config(kilobytes);
    physical_config.l1d.organisation = CacheOrganisation::Pipt;
    physical_config.l1d.ways = 4;
    CacheHierarchy physical(physical_config);
    unsigned hits = 0;
    for (int step = 0; step < 30000; ++step) {
      const std::uint64_t frame = random.below(kilobytes / 2);
      const bool superpage = random.one_in(2);
      const CacheReference reference = reference_to(
          superpage ? 0x40000000 + frame * 4096 + step % 64 * 64 : 0x1000000 + (frame ^ 5) * 4096 + step % 64 * 64,
          frame * 4096 + step % 64 * 64, superpage ? PageSize::Size2M : PageSize::Size4K,
          random.one_in(4) ? AccessKind::Write : AccessKind::Read);
      if (filter && superpage && random.one_in(8)) seesaw.superpage_filled(reference.virtual_address);
      const HierarchyOutcome outcome = seesaw.access(reference);
      const HierarchyOutcome right = physical.access(reference);
      QCOMPARE(outcome.levels[0].hit, right.levels[0].hit);
      QCOMPARE(outcome.levels[0].evicted.has_value(), right.levels[0].evicted.has_value());
      if (right.levels[0].evicted) QCOMPARE(outcome.levels[0].evicted->line.value, right.levels[0].evicted->line.value);
      hits += right.levels[0].hit ? 1 : 0;
    }
    QVERIFY(hits > 3000 && hits < 29000);
    QCOMPARE(seesaw.seesaw_counters().superpage_tft_hit_l1_hit > 0, filter);
  }

  void with_one_partition_and_an_empty_filter_it_is_plain_vipt() {
    const std::uint64_t seed = 16;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchyConfig config = seesaw_config(16);
    CacheHierarchy seesaw(config);
    config.l1d.organisation = CacheOrganisation::Vipt;
    CacheHierarchy vipt(config);
    for (int step = 0; step < 10000; ++step) {
      const std::uint64_t address = random.below(64 * 1024);
      const CacheReference reference = reference_to(address ^ 0x7000, address, PageSize::Size4K,
                                                    random.one_in(3) ? AccessKind::Write : AccessKind::Read);
      const HierarchyOutcome outcome = seesaw.access(reference);
      const HierarchyOutcome right = vipt.access(reference);
      QVERIFY(naive::same(outcome.levels[0], right.levels[0]));
      QVERIFY(naive::same(*outcome.twin, right.levels[0]));
      QCOMPARE(outcome.latency, right.latency);
    }
    QVERIFY(naive::same(seesaw.l1d().counters(), vipt.l1d().counters()));
  }

  void the_twin_does_what_a_plain_vipt_cache_would() {
    const std::uint64_t seed = 64;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchyConfig config = seesaw_config(64);
    CacheHierarchy seesaw(config);
    config.l1d.organisation = CacheOrganisation::Vipt;
    CacheHierarchy vipt(config);
    unsigned different = 0;
    for (int step = 0; step < 20000; ++step) {
      const std::uint64_t address = random.below(96 * 1024) + (random.one_in(3) ? 1U << 20 : 0);
      CacheReference reference = reference_to(0x40000000 + address, address, PageSize::Size2M,
                                              random.one_in(3) ? AccessKind::Write : AccessKind::Read);
      reference.walk = random.one_in(20);
      seesaw.superpage_filled(reference.virtual_address);
      const HierarchyOutcome outcome = seesaw.access(reference);
      const HierarchyOutcome right = vipt.access(reference);
      QVERIFY(outcome.twin && naive::same(*outcome.twin, right.levels[0]));
      different += outcome.levels[0].hit != right.levels[0].hit ? 1 : 0;
    }
    QVERIFY(naive::same(seesaw.twin()->counters(), vipt.l1d().counters()));
    QVERIFY(different > 0);  // 4 ways of a partition are not 16 ways of a set.
  }
};

QTEST_APPLESS_MAIN(SeesawTest)
#include "seesaw_test.moc"
