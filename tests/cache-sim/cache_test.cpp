// SPDX-License-Identifier: GPL-3.0-or-later
#include <QtTest>

#include "cache-sim/cache_hierarchy.h"
#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

namespace {

CacheConfig config_of(std::uint64_t size, unsigned ways, CacheOrganisation organisation = CacheOrganisation::Vipt,
                      ReplacementKind replacement = ReplacementKind::Lru) {
  CacheConfig config;
  config.size = size;
  config.ways = ways;
  config.organisation = organisation;
  config.replacement = replacement;
  return config;
}

}  // namespace

class CacheTest : public QObject {
  Q_OBJECT

 private slots:
  void a_first_use_misses_and_fills_and_a_second_hits() {
    Cache cache(config_of(32 * 1024, 8));
    const CacheOutcome miss = cache.access(0x1040, {0x7040}, AccessKind::Read, false);
    QVERIFY(!miss.hit);
    QCOMPARE(miss.set, 1U);
    QVERIFY(miss.filled && !miss.evicted);
    QCOMPARE(miss.filled->line.value, std::uint64_t{0x7040});
    QCOMPARE(miss.ways_probed_mask, 0xffU);
    const CacheOutcome hit = cache.access(0x107f, {0x707f}, AccessKind::Read, false);
    QVERIFY(hit.hit && !hit.filled);
    QCOMPARE(hit.way, miss.way);
    QCOMPARE(QByteArray(hit.cache), QByteArray("L1D"));
    QCOMPARE(cache.counters().reads, std::uint64_t{2});
    QCOMPARE(cache.counters().read_misses, std::uint64_t{1});
  }

  void only_a_written_line_is_written_back() {
    Cache cache(config_of(128, 1));  // Two sets of one way.
    QVERIFY(!cache.access(0, {0}, AccessKind::Write, false).evicted);
    const CacheOutcome dirty = cache.access(0x80, {0x80}, AccessKind::Read, false);
    QVERIFY(dirty.evicted->dirty);
    QCOMPARE(dirty.evicted->line.value, std::uint64_t{0});
    const CacheOutcome clean = cache.access(0x100, {0x100}, AccessKind::Read, false);
    QVERIFY(!clean.evicted->dirty);
    QCOMPARE(cache.counters().write_backs, std::uint64_t{1});
  }

  void partitions_hold_sixteen_kilobytes() {
    QCOMPARE(Cache(config_of(32 * 1024, 8, CacheOrganisation::Seesaw)).partitions(), 2U);
    QCOMPARE(Cache(config_of(64 * 1024, 16, CacheOrganisation::Seesaw)).partitions(), 4U);
    QCOMPARE(Cache(config_of(128 * 1024, 32, CacheOrganisation::Seesaw)).partitions(), 8U);
    QCOMPARE(Cache(config_of(32 * 1024, 8)).partitions(), 1U);
  }

  void the_partition_is_named_by_the_bits_above_the_set_index_data() {
    QTest::addColumn<unsigned>("kilobytes");
    QTest::addColumn<quint64>("address");
    QTest::addColumn<unsigned>("mask");
    QTest::newRow("32 KB, VA[12] = 0") << 32U << quint64{0xe000} << 0x0fU;
    QTest::newRow("32 KB, VA[12] = 1") << 32U << quint64{0xf000} << 0xf0U;
    QTest::newRow("64 KB, VA[13:12] = 2") << 64U << quint64{0xe000} << 0x0f00U;
    QTest::newRow("64 KB, VA[13:12] = 3") << 64U << quint64{0xf000} << 0xf000U;
    QTest::newRow("128 KB, VA[14:12] = 6") << 128U << quint64{0xe000} << 0x0f000000U;
    QTest::newRow("128 KB, VA[14:12] = 7") << 128U << quint64{0x7fff} << 0xf0000000U;
  }
  void the_partition_is_named_by_the_bits_above_the_set_index() {
    QFETCH(unsigned, kilobytes);
    QFETCH(quint64, address);
    QFETCH(unsigned, mask);
    Cache cache(config_of(kilobytes * 1024, kilobytes / 4, CacheOrganisation::Seesaw));
    QCOMPARE(cache.sets(), 64U);
    const CacheOutcome outcome = cache.access(address, {address}, AccessKind::Read, true);
    QCOMPARE(outcome.ways_probed_mask, mask);
    QCOMPARE(outcome.ways_probed, std::uint8_t{4});
    QCOMPARE(outcome.filled->way, static_cast<std::uint8_t>(std::countr_zero(mask)));
  }

  void a_base_page_is_inserted_by_its_physical_address() {
    Cache cache(config_of(32 * 1024, 8, CacheOrganisation::Seesaw));
    const CacheOutcome outcome = cache.access(0x0000, {0x1000}, AccessKind::Read, false);
    QCOMPARE(outcome.ways_probed_mask, 0xffU);
    QCOMPARE(outcome.way, std::uint8_t{4});  // Virtual bit 12 is 0, physical bit 12 is 1: the second partition.
    QCOMPARE(cache.find({0x1000}), std::optional<unsigned>(4));
    QVERIFY(!cache.find({0x0000}));
  }

  void a_sweep_drops_the_lines_of_its_range_only() {
    Cache cache(config_of(32 * 1024, 8));
    for (std::uint64_t address = 0; address < 0x4000; address += 64) {
      cache.access(address, {address}, (address & 64) != 0 ? AccessKind::Write : AccessKind::Read, false);
    }
    QCOMPARE(cache.sweep({0x1000}, 0x1000), 64U);
    QCOMPARE(cache.counters().write_backs, std::uint64_t{32});
    QCOMPARE(cache.sweep({0x1000}, 0x1000), 0U);
    QVERIFY(!cache.find({0x1fc0}));
    QVERIFY(cache.find({0x2000}));
    QCOMPARE(cache.sweep({0x203f}, 2), 2U);  // One byte of each of two lines.
    QCOMPARE(cache.sweep({0}, 0), 0U);
  }

  void impossible_caches_are_named() {
    QVERIFY(problem_of(config_of(32 * 1024, 8)).empty());
    QVERIFY(problem_of(config_of(24 * 1024 * 1024, 24)).empty());
    QVERIFY(!problem_of(config_of(32 * 1024, 0)).empty());
    QVERIFY(!problem_of(config_of(32 * 1024, 64)).empty());
    QVERIFY(!problem_of(config_of(32 * 1024 + 64, 8)).empty());
    QVERIFY(!problem_of(config_of(24 * 1024, 6, CacheOrganisation::Vipt, ReplacementKind::TreePlru)).empty());
    QVERIFY(!problem_of(config_of(48 * 1024, 12, CacheOrganisation::Seesaw)).empty());
    QVERIFY(!problem_of(config_of(8 * 1024, 2, CacheOrganisation::Seesaw)).empty());
    CacheConfig odd_line = config_of(32 * 1024, 8);
    odd_line.line = 48;
    QVERIFY(!problem_of(odd_line).empty());
  }

  void agrees_with_the_plain_model_data() {
    QTest::addColumn<unsigned>("size");
    QTest::addColumn<unsigned>("ways");
    QTest::addColumn<unsigned>("line");
    QTest::addColumn<int>("organisation");
    QTest::addColumn<int>("replacement");
    for (const int replacement : {0, 1, 2}) {
      for (const unsigned kilobytes : {16U, 32U, 64U, 128U}) {
        QTest::addRow("SEESAW %u KB, policy %d", kilobytes, replacement)
            << kilobytes * 1024 << kilobytes / 4 << 64U << static_cast<int>(CacheOrganisation::Seesaw) << replacement;
      }
      QTest::addRow("VIPT 32 KB, policy %d", replacement)
          << 32768U << 8U << 64U << static_cast<int>(CacheOrganisation::Vipt) << replacement;
      QTest::addRow("PIPT 8 KB direct mapped, policy %d", replacement)
          << 8192U << 1U << 64U << static_cast<int>(CacheOrganisation::Pipt) << replacement;
      QTest::addRow("PIPT 4 KB, 2 ways, 32 B lines, policy %d", replacement)
          << 4096U << 2U << 32U << static_cast<int>(CacheOrganisation::Pipt) << replacement;
    }
    QTest::addRow("PIPT 3 ways, 21 sets")
        << 3U * 21 * 64 << 3U << 64U << static_cast<int>(CacheOrganisation::Pipt) << 0;
    QTest::addRow("PIPT 12 ways, 10 sets")
        << 12U * 10 * 64 << 12U << 64U << static_cast<int>(CacheOrganisation::Pipt) << 0;
  }
  void agrees_with_the_plain_model() {
    QFETCH(unsigned, size);
    QFETCH(unsigned, ways);
    QFETCH(unsigned, line);
    QFETCH(int, organisation);
    QFETCH(int, replacement);
    const std::uint64_t seed = size + ways + static_cast<unsigned>(replacement);
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheConfig config =
        config_of(size, ways, static_cast<CacheOrganisation>(organisation), static_cast<ReplacementKind>(replacement));
    config.line = line;
    Cache cache(config, seed);
    naive::CacheModel model(config);
    const bool is_virtual = config.organisation != CacheOrganisation::Pipt;
    unsigned hits = 0;
    unsigned fast_accesses = 0;
    for (int step = 0; step < 30000; ++step) {
      // Twice the cache's size. A fixed scrambling of the frames makes the virtual bits above the page offset differ.
      const std::uint64_t physical = random.below(2 * std::uint64_t{size});
      const bool superpage = random.one_in(2);
      const std::uint64_t index = is_virtual && !superpage ? physical ^ (physical >> 12 & 3) << 13 ^ 0x1000 : physical;
      const bool fast = superpage && random.one_in(2);
      const AccessKind kind = random.one_in(3) ? AccessKind::Write : AccessKind::Read;
      const CacheOutcome outcome = cache.access(index, {physical}, kind, fast);
      const CacheOutcome right = model.access(index, physical, kind, fast, outcome.way);
      QVERIFY2(naive::same(outcome, right), qPrintable(QString("step %1").arg(step)));
      hits += right.hit ? 1 : 0;
      fast_accesses += right.ways_probed < ways ? 1 : 0;
      if (step % 3000 == 0) QVERIFY(naive::same_content(cache, model));
    }
    QVERIFY(naive::same_content(cache, model));
    QVERIFY(naive::same(cache.counters(), model.counters));
    QVERIFY(hits > 1000);
    QCOMPARE(fast_accesses > 1000, cache.partitions() > 1);
  }

  void a_restored_cache_goes_on_as_the_old_one_would() {
    const std::uint64_t seed = 77;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    for (const ReplacementKind kind : {ReplacementKind::Lru, ReplacementKind::TreePlru, ReplacementKind::Random}) {
      test::Random random(seed);
      const CacheConfig config = config_of(64 * 1024, 16, CacheOrganisation::Seesaw, kind);
      Cache cache(config, 3);
      const auto next = [&random] { return random.below(1 << 18); };
      for (int i = 0; i < 5000; ++i) cache.access(next() & 0xfff, {next()}, AccessKind::Write, false);
      Cache fresh(config, 4);
      test::restore(fresh, test::state_of(cache));
      for (int i = 0; i < 5000; ++i) {
        const std::uint64_t address = next();
        QVERIFY(naive::same(fresh.access(address, {address}, AccessKind::Read, true),
                            cache.access(address, {address}, AccessKind::Read, true)));
      }
      QCOMPARE(test::state_of(fresh), test::state_of(cache));
      QVERIFY(naive::same(fresh.counters(), cache.counters()));
    }
  }
};

QTEST_APPLESS_MAIN(CacheTest)
#include "cache_test.moc"
