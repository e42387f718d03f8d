// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/translation_caches.h"

#include <QtTest>
#include <algorithm>
#include <array>

#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

namespace {

constexpr PageSize k4K = PageSize::Size4K;
constexpr PageSize k2M = PageSize::Size2M;
constexpr PageSize k1G = PageSize::Size1G;
constexpr std::array kAllSizes{k4K, PageSize::Size16K, PageSize::Size64K, k2M, k1G};

// As in a real core, but a few entries each; no L1 for 1 GB instruction pages, and none below L1 for 1 GB pages.
TranslationCachesConfig small_config(ReplacementKind replacement = ReplacementKind::Lru) {
  TranslationCachesConfig config;
  config.instruction = {
      {.name = "L1 ITLB 4K", .entries = 4, .ways = 2, .page_sizes = {k4K}, .latency = 1, .replacement = replacement},
      {.name = "L1 ITLB 2M", .entries = 2, .ways = 2, .page_sizes = {k2M}, .latency = 1, .replacement = replacement}};
  config.data = {
      {.name = "L1 DTLB 4K", .entries = 8, .ways = 2, .page_sizes = {k4K}, .latency = 1, .replacement = replacement},
      {.name = "L1 DTLB 2M", .entries = 4, .ways = 2, .page_sizes = {k2M}, .latency = 1, .replacement = replacement},
      {.name = "L1 DTLB 1G", .entries = 2, .ways = 2, .page_sizes = {k1G}, .latency = 1, .replacement = replacement}};
  config.second_level = {
      .name = "L2 TLB", .entries = 16, .ways = 4, .page_sizes = {k4K, k2M}, .latency = 7, .replacement = replacement};
  config.walk_cache_entries = 2;
  config.nested_entries = 4;
  return config;
}

TlbEntry entry_of(std::uint64_t page, PageSize size = k4K, TlbTag tag = {}, bool global = false) {
  TlbEntry entry;
  entry.page = {page};
  entry.frame = {page + 0x100000000};
  entry.size = size;
  entry.tag = tag;
  entry.global = global;
  return entry;
}

WalkCacheEntry walk_entry_of(std::uint64_t address, unsigned level, TlbTag tag = {}) {
  WalkCacheEntry entry;
  entry.level = static_cast<std::uint8_t>(level);
  entry.address_bits = address >> walk_cache_shift(level);
  entry.tag = tag;
  entry.table_physical = {address + level};
  return entry;
}

// L1 TLBs in order, then the L2, each a plain model; the structures that are not TLBs stay out.
struct Model {
  std::vector<naive::TlbModel> instruction, data;
  naive::TlbModel second_level;
  unsigned second_level_latency;

  explicit Model(const TranslationCachesConfig& config)
      : second_level(*config.second_level), second_level_latency(config.second_level->latency) {
    for (const TlbGeometry& geometry : config.instruction) instruction.emplace_back(geometry);
    for (const TlbGeometry& geometry : config.data) data.emplace_back(geometry);
  }
  static bool holds(const naive::TlbModel& tlb, PageSize size) {
    const auto& sizes = tlb.geometry().page_sizes;
    return std::find(sizes.begin(), sizes.end(), size) != sizes.end();
  }
  struct Found {
    std::optional<TlbEntry> entry;
    unsigned latency = 0;
    unsigned probes = 0;
    bool refilled = false;
  };
  Found lookup(VirtualAddress address, AccessKind kind, TlbTag tag) {
    Found found;
    auto& side = kind == AccessKind::Fetch ? instruction : data;
    for (auto& tlb : side) {
      ++found.probes;
      if (tlb.lookup(address, tag, &found.entry).hit) return found;
    }
    ++found.probes;
    found.latency = second_level_latency;
    if (!second_level.lookup(address, tag, &found.entry).hit) return found;
    for (auto& tlb : side) {
      if (!holds(tlb, found.entry->size)) continue;
      tlb.fill(*found.entry);
      found.refilled = true;
    }
    return found;
  }
  unsigned fill(const TlbEntry& entry, AccessKind kind) {
    unsigned filled = 0;
    for (auto& tlb : kind == AccessKind::Fetch ? instruction : data) {
      if (!holds(tlb, entry.size)) continue;
      tlb.fill(entry);
      ++filled;
    }
    if (!holds(second_level, entry.size)) return filled;
    second_level.fill(entry);
    return filled + 1;
  }
  template <typename Condition>
  unsigned drop_where(Condition condition) {
    unsigned dropped = second_level.drop_where(condition);
    for (auto* side : {&instruction, &data}) {
      for (auto& tlb : *side) dropped += tlb.drop_where(condition);
    }
    return dropped;
  }
};

}  // namespace

class TranslationCachesTest : public QObject {
  Q_OBJECT

 private slots:
  void a_walk_fills_the_first_level_of_its_side_and_the_second() {
    TranslationCaches caches(small_config());
    const TranslationFills fills = caches.fill(entry_of(0x1000), AccessKind::Read);
    QCOMPARE(fills.count, 2U);
    QCOMPARE(fills.records[0].tlb->geometry().name, std::string("L1 DTLB 4K"));
    QCOMPARE(fills.records[1].tlb->geometry().name, std::string("L2 TLB"));
    const TranslationFills huge = caches.fill(entry_of(0x40000000, k1G), AccessKind::Write);
    QCOMPARE(huge.count, 1U);
    QCOMPARE(huge.records[0].tlb->geometry().name, std::string("L1 DTLB 1G"));
    QCOMPARE(caches.fill(entry_of(0x40000000, k1G), AccessKind::Fetch).count, 0U);  // Nothing holds it.
  }

  void a_first_level_hit_asks_nobody_else_and_costs_nothing_more() {
    TranslationCaches caches(small_config());
    caches.fill(entry_of(0x1000), AccessKind::Read);
    const TranslationLookup lookup = caches.lookup({0x1008}, AccessKind::Write, {});
    QVERIFY(lookup.entry != nullptr);
    QCOMPARE(lookup.probe_count, 1U);
    QCOMPARE(lookup.latency, 0U);
    QCOMPARE(lookup.fill_count, 0U);
  }

  void a_second_level_hit_refills_the_side_that_asked() {
    TranslationCaches caches(small_config());
    caches.fill(entry_of(0x200000, k2M), AccessKind::Read);
    const TranslationLookup fetched = caches.lookup({0x212345}, AccessKind::Fetch, {});
    QVERIFY(fetched.entry != nullptr);
    QCOMPARE(fetched.probe_count, 3U);
    QCOMPARE(fetched.latency, 7U);
    QCOMPARE(fetched.fill_count, 1U);
    QCOMPARE(fetched.fills[0].tlb->geometry().name, std::string("L1 ITLB 2M"));
    QCOMPARE(caches.lookup({0x212345}, AccessKind::Fetch, {}).probe_count, 2U);  // 4K missed, 2M hit.
  }

  void a_miss_everywhere_asks_every_level_of_its_side() {
    TranslationCaches caches(small_config());
    const TranslationLookup lookup = caches.lookup({0x1000}, AccessKind::Read, {});
    QVERIFY(lookup.entry == nullptr);
    QCOMPARE(lookup.probe_count, 4U);
    QCOMPARE(lookup.latency, 7U);
  }

  void dropping_a_page_counts_every_copy() {
    TranslationCaches caches(small_config());
    caches.fill(entry_of(0x1000), AccessKind::Read);
    caches.fill(entry_of(0x1000), AccessKind::Fetch);
    QCOMPARE(caches.drop_page({0x1fff}, {}), 3U);  // L1 data, L1 instruction, L2.
    QVERIFY(caches.lookup({0x1000}, AccessKind::Read, {}).entry == nullptr);
  }

  void the_lowest_level_of_the_walk_caches_wins() {
    TranslationCaches caches(small_config());
    const std::uint64_t address = 0x7f1234567000;
    QVERIFY(!caches.walk_cache_lookup({address}, {}));
    caches.walk_cache_fill(walk_entry_of(address, 4));
    QCOMPARE(caches.walk_cache_lookup({address}, {})->level, std::uint8_t{4});
    caches.walk_cache_fill(walk_entry_of(address, 2));
    caches.walk_cache_fill(walk_entry_of(address, 3));
    QCOMPARE(caches.walk_cache_lookup({address}, {})->level, std::uint8_t{2});
    QCOMPARE(caches.walk_cache_lookup({address + 0x200000}, {})->level, std::uint8_t{3});
    QCOMPARE(caches.walk_cache_lookup({address + 0x40000000}, {})->level, std::uint8_t{4});
    QVERIFY(!caches.walk_cache_lookup({address + 0x8000000000}, {}));
    QVERIFY(!caches.walk_cache_lookup({address}, {.address_space = 1, .virtual_machine = 0}));
  }

  void a_walk_cache_entry_covers_what_its_granule_says_data() {
    QTest::addColumn<int>("granule");
    QTest::addColumn<unsigned>("level");
    QTest::addColumn<quint64>("bytes");
    const auto row = [](const char* name, PageSize granule, unsigned level, quint64 bytes) {
      QTest::newRow(name) << static_cast<int>(granule) << level << bytes;
    };
    // Arm ARM, D8: what one entry of a table maps, for each translation granule; levels counted from the leaf.
    row("4 KB, level 2: 2 MB", PageSize::Size4K, 2, quint64{1} << 21);
    row("4 KB, level 4: 512 GB", PageSize::Size4K, 4, quint64{1} << 39);
    row("16 KB, level 2: 32 MB", PageSize::Size16K, 2, quint64{1} << 25);
    row("16 KB, level 3: 64 GB", PageSize::Size16K, 3, quint64{1} << 36);
    row("64 KB, level 2: 512 MB", PageSize::Size64K, 2, quint64{1} << 29);
    row("64 KB, level 3: 4 TB", PageSize::Size64K, 3, quint64{1} << 42);
  }
  void a_walk_cache_entry_covers_what_its_granule_says() {
    QFETCH(int, granule);
    QFETCH(unsigned, level);
    QFETCH(quint64, bytes);
    TranslationCaches caches(small_config());
    const std::uint64_t first = 5 * bytes;
    caches.walk_cache_fill({.level = static_cast<std::uint8_t>(level),
                            .granule = static_cast<PageSize>(granule),
                            .address_bits = first >> walk_cache_shift(level, static_cast<PageSize>(granule)),
                            .tag = {}});
    QVERIFY(caches.walk_cache_lookup({first}, {}));
    QVERIFY(caches.walk_cache_lookup({first + bytes - 1}, {}));
    QVERIFY(!caches.walk_cache_lookup({first - 1}, {}));
    QVERIFY(!caches.walk_cache_lookup({first + bytes}, {}));
  }

  void two_granules_of_one_level_do_not_replace_each_other() {
    TranslationCaches caches(small_config());
    caches.walk_cache_fill({.level = 2, .granule = PageSize::Size4K, .address_bits = 1, .tag = {}});
    caches.walk_cache_fill({.level = 2, .granule = PageSize::Size64K, .address_bits = 1, .tag = {}});
    QCOMPARE(caches.walk_cache_entries().size(), std::size_t{2});
    QCOMPARE(caches.walk_cache_lookup({0x200000}, {})->granule, PageSize::Size4K);
    QCOMPARE(caches.walk_cache_lookup({0x20000000}, {})->granule, PageSize::Size64K);
  }

  void walk_caches_tell_virtual_machines_apart() {
    TranslationCaches caches(small_config());
    caches.walk_cache_fill(walk_entry_of(0x200000, 2, {.address_space = 1, .virtual_machine = 1}));
    caches.walk_cache_fill(walk_entry_of(0x200000, 2, {.address_space = 1, .virtual_machine = 2}));
    QVERIFY(!caches.walk_cache_lookup({0x200000}, {.address_space = 1, .virtual_machine = 0}));
    QCOMPARE(caches.invalidate_virtual_machine(1, true, false), 1U);
    QVERIFY(!caches.walk_cache_lookup({0x200000}, {.address_space = 1, .virtual_machine = 1}));
    QVERIFY(caches.walk_cache_lookup({0x200000}, {.address_space = 1, .virtual_machine = 2}));
  }

  void each_page_size_goes_to_the_tlbs_that_hold_it_data() {
    QTest::addColumn<int>("size");
    for (const PageSize size : kAllSizes)
      QTest::addRow("%llu KB", static_cast<unsigned long long>(page_bytes(size) / 1024)) << static_cast<int>(size);
  }
  void each_page_size_goes_to_the_tlbs_that_hold_it() {
    QFETCH(int, size);
    const auto page_size = static_cast<PageSize>(size);
    TranslationCachesConfig config;
    for (const PageSize each : kAllSizes)
      config.data.push_back({.name = std::to_string(page_shift(each)), .entries = 2, .ways = 2, .page_sizes = {each}});
    config.data.resize(4);  // At most four on a side: 1 GB pages are left to the L2 TLB.
    config.second_level = {.name = "L2", .entries = 16, .ways = 4, .page_sizes = {kAllSizes.begin(), kAllSizes.end()}};
    QCOMPARE(problem_of(config), std::string());
    TranslationCaches caches(config);
    const std::uint64_t page = 3 * page_bytes(page_size);
    const TranslationFills fills = caches.fill(entry_of(page, page_size), AccessKind::Read);
    const bool own = page_size != k1G;
    QCOMPARE(fills.count, own ? 2U : 1U);
    QCOMPARE(fills.records[0].tlb->geometry().name, own ? std::to_string(page_shift(page_size)) : std::string("L2"));
    for (unsigned other = 1; other <= 2; ++other)  // Two more push it out of its L1 TLB, not out of the L2.
      caches.fill(entry_of(page + other * page_bytes(page_size), page_size), AccessKind::Read);
    const TranslationLookup lookup = caches.lookup({page + page_bytes(page_size) - 1}, AccessKind::Read, {});
    QVERIFY(lookup.entry != nullptr);
    QCOMPARE(lookup.entry->page.value, page);
    QCOMPARE(lookup.probe_count, 5U);
    QCOMPARE(lookup.fill_count, own ? 1U : 0U);
  }

  void the_nested_tlb_holds_every_page_size() {
    TranslationCachesConfig config = small_config();
    config.nested_entries = 5;
    TranslationCaches caches(config);
    for (const PageSize size : kAllSizes) caches.nested_fill(entry_of(3 * page_bytes(size), size));
    for (const PageSize size : kAllSizes) {
      const TlbEntry* found = caches.nested_lookup({4 * page_bytes(size) - 1}, 0);
      QVERIFY(found != nullptr);
      QCOMPARE(found->size, size);
      QVERIFY(caches.nested_lookup({4 * page_bytes(size) - 1}, 1) == nullptr);
    }
  }

  void each_level_of_the_walk_caches_replaces_its_least_recently_used() {
    TranslationCaches caches(small_config());  // Two entries a level.
    caches.walk_cache_fill(walk_entry_of(0, 3));
    caches.walk_cache_fill(walk_entry_of(0, 2));
    caches.walk_cache_fill(walk_entry_of(0x200000, 2));
    QCOMPARE(caches.walk_cache_lookup({0}, {})->level, std::uint8_t{2});  // Used: the other one is now the older.
    caches.walk_cache_fill(walk_entry_of(0x400000, 2));
    QCOMPARE(caches.walk_cache_lookup({0}, {})->level, std::uint8_t{2});
    QCOMPARE(caches.walk_cache_lookup({0x200000}, {})->level, std::uint8_t{3});
    QCOMPARE(caches.walk_cache_entries().size(), std::size_t{3});
  }

  void a_walk_cache_of_no_entries_holds_nothing() {
    TranslationCachesConfig config = small_config();
    config.walk_cache_entries = 0;
    config.nested_entries = 0;
    TranslationCaches caches(config);
    caches.walk_cache_fill(walk_entry_of(0, 2));
    QVERIFY(!caches.walk_cache_lookup({0}, {}));
    caches.nested_fill(entry_of(0x1000));
    QVERIFY(caches.nested_lookup({0x1000}, 0) == nullptr);
  }

  void the_nested_tlb_translates_guest_physical_pages_of_its_machine() {
    TranslationCaches caches(small_config());
    caches.nested_fill(entry_of(0x200000, k2M, {.address_space = 9, .virtual_machine = 1}));
    QVERIFY(caches.nested_lookup({0x2fffff}, 1) != nullptr);
    QVERIFY(caches.nested_lookup({0x2fffff}, 2) == nullptr);
    QCOMPARE(caches.invalidate_virtual_machine(1, false, false), 0U);  // INVVPID leaves guest-physical mappings.
    QVERIFY(caches.nested_lookup({0x2fffff}, 1) != nullptr);
    QCOMPARE(caches.invalidate_virtual_machine(1, false, true), 1U);  // INVEPT does not.
    QVERIFY(caches.nested_lookup({0x2fffff}, 1) == nullptr);
  }

  void one_address_drops_the_walk_caches_of_its_whole_address_space() {
    TranslationCaches caches(small_config());
    const TlbTag one{.address_space = 1, .virtual_machine = 0};
    const TlbTag two{.address_space = 2, .virtual_machine = 0};
    caches.fill(entry_of(0x1000, k4K, one), AccessKind::Read);
    caches.walk_cache_fill(walk_entry_of(0x1000, 2, one));
    caches.walk_cache_fill(walk_entry_of(0x8000000000, 4, one));
    caches.walk_cache_fill(walk_entry_of(0x1000, 2, two));
    QCOMPARE(caches.invalidate_address({0x1000}, one), 4U);  // L1, L2 and two table pointers.
    QCOMPARE(caches.walk_cache_entries().size(), std::size_t{1});
    QCOMPARE(caches.invalidate_address_space(two, true), 1U);
  }

  void an_address_space_goes_with_or_without_its_globals() {
    TranslationCaches caches(small_config());
    caches.fill(entry_of(0x1000), AccessKind::Read);
    caches.fill(entry_of(0x2000, k4K, {}, true), AccessKind::Read);
    QCOMPARE(caches.invalidate_address_space({}, true), 2U);
    QVERIFY(caches.lookup({0x2000}, AccessKind::Read, {}).entry != nullptr);
    QCOMPARE(caches.invalidate_address_space({}, false), 2U);
    QVERIFY(caches.lookup({0x2000}, AccessKind::Read, {}).entry == nullptr);
  }

  void everything_goes_at_once_and_is_counted() {
    TranslationCaches caches(small_config());
    caches.fill(entry_of(0x1000, k4K, {}, true), AccessKind::Read);
    caches.fill(entry_of(0x200000, k2M, {.address_space = 3, .virtual_machine = 4}), AccessKind::Fetch);
    caches.walk_cache_fill(walk_entry_of(0x1000, 2));
    caches.nested_fill(entry_of(0x5000));
    QCOMPARE(caches.invalidate_all(), 6U);
    QCOMPARE(caches.invalidate_all(), 0U);
  }

  void structures_come_in_a_fixed_order() {
    TranslationCaches caches(small_config());
    QStringList names;
    for (const Tlb* tlb : caches.structures()) names << QString::fromStdString(tlb->geometry().name);
    QCOMPARE(names, (QStringList{"L1 ITLB 4K", "L1 ITLB 2M", "L1 DTLB 4K", "L1 DTLB 2M", "L1 DTLB 1G", "L2 TLB",
                                 "Nested TLB"}));
  }

  void agrees_with_the_plain_model_watched_or_not_data() {
    QTest::addColumn<int>("kind");
    QTest::newRow("LRU") << static_cast<int>(ReplacementKind::Lru);
    QTest::newRow("tree-PLRU") << static_cast<int>(ReplacementKind::TreePlru);
  }
  void agrees_with_the_plain_model_watched_or_not() {
    QFETCH(int, kind);
    const std::uint64_t seed = 500 + static_cast<unsigned>(kind);
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    const TranslationCachesConfig config = small_config(static_cast<ReplacementKind>(kind));
    TranslationCaches watched(config);
    TranslationCaches quiet(config);
    Model model(config);
    unsigned refills = 0;
    for (int step = 0; step < 20000; ++step) {
      const TlbTag tag{.address_space = static_cast<std::uint16_t>(random.below(2)),
                       .virtual_machine = static_cast<std::uint16_t>(random.below(2))};
      const PageSize size = std::array{k4K, k4K, k2M, k1G}[random.below(4)];
      // Sizes do not overlap: 4 KB pages lie in the first megabyte, 2 MB pages below 1 GB.
      const std::uint64_t first = size == k4K ? 0 : 1;
      const TlbEntry entry = entry_of((first + random.below(20)) * page_bytes(size), size, tag, random.one_in(6));
      const VirtualAddress address{entry.page.value + random.below(4096)};
      const AccessKind use = std::array{AccessKind::Fetch, AccessKind::Read, AccessKind::Write}[random.below(3)];
      const std::uint64_t action = random.below(200);
      if (action < 195) {
        const TranslationLookup lookup = watched.lookup(address, use, tag);
        const TranslationHit hit = quiet.lookup_quietly(address, use, tag);
        const Model::Found right = model.lookup(address, use, tag);
        QCOMPARE(lookup.entry != nullptr, right.entry.has_value());
        QCOMPARE(hit.entry != nullptr, right.entry.has_value());
        QCOMPARE(lookup.latency, right.latency);
        QCOMPARE(hit.latency, std::uint64_t{right.latency});
        QCOMPARE(lookup.probe_count, right.probes);
        QCOMPARE(lookup.fill_count, right.refilled ? 1U : 0U);
        QCOMPARE(hit.refilled, right.refilled);
        refills += right.refilled ? 1 : 0;
        if (right.entry) {
          QVERIFY(*lookup.entry == *right.entry && *hit.entry == *right.entry);
        } else {
          const unsigned filled = model.fill(entry, use);
          QCOMPARE(watched.fill(entry, use).count, filled);
          quiet.fill(entry, use);
        }
      } else if (action < 198) {
        const unsigned dropped = model.drop_where([&](const TlbEntry& held) {
          return naive::TlbModel::covers(held, address) && naive::TlbModel::belongs(held, tag);
        });
        QCOMPARE(watched.invalidate_address(address, tag), dropped);
        QCOMPARE(quiet.invalidate_address(address, tag), dropped);
      } else {
        const unsigned dropped =
            model.drop_where([&](const TlbEntry& held) { return naive::TlbModel::belongs(held, tag) && !held.global; });
        QCOMPARE(watched.invalidate_address_space(tag, true), dropped);
        QCOMPARE(quiet.invalidate_address_space(tag, true), dropped);
      }
    }
    QCOMPARE(test::state_of(quiet), test::state_of(watched));
    QVERIFY(refills > 500);
  }

  void restored_structures_go_on_as_the_old_ones_would() {
    const std::uint64_t seed = 91;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    TranslationCaches caches(small_config(ReplacementKind::Random));
    const auto churn = [&random](TranslationCaches& a, TranslationCaches* b) {
      for (int i = 0; i < 2000; ++i) {
        const TlbEntry entry = entry_of(random.below(64) * 4096);
        const TlbEntry nested = entry_of(random.below(16) * 4096);
        const WalkCacheEntry walk = walk_entry_of(random.below(8) << 21, 2);
        bool hit = false;
        for (TranslationCaches* each : {&a, b}) {
          if (each == nullptr) continue;
          const bool now = each->lookup(entry.page, AccessKind::Read, {}).entry != nullptr;
          if (each == b) QCOMPARE(now, hit);
          hit = now;
          if (!now) each->fill(entry, AccessKind::Read);
          if (each->nested_lookup({nested.page.value}, 0) == nullptr) each->nested_fill(nested);
          if (!each->walk_cache_lookup({walk.address_bits << 21}, {})) each->walk_cache_fill(walk);
        }
      }
    };
    churn(caches, nullptr);
    TranslationCaches fresh(small_config(ReplacementKind::Random));
    test::restore(fresh, test::state_of(caches));
    QCOMPARE(test::state_of(fresh), test::state_of(caches));
    churn(caches, &fresh);
    QCOMPARE(test::state_of(fresh), test::state_of(caches));
  }
};

QTEST_APPLESS_MAIN(TranslationCachesTest)
#include "translation_caches_test.moc"
