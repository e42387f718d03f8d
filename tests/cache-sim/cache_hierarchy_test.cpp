// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/cache_hierarchy.h"

#include <QtTest>
#include <cmath>

#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

namespace {

CacheHierarchyConfig plain_config() {
  CacheHierarchyConfig config;
  config.l2 = CacheConfig{.name = "L2",
                          .size = 8 * 1024,
                          .ways = 4,
                          .organisation = CacheOrganisation::Pipt,
                          .latency = 12,
                          .energy = 0.13F};
  config.last_level = CacheConfig{.name = "LLC",
                                  .size = 30 * 1024,
                                  .ways = 5,
                                  .organisation = CacheOrganisation::Pipt,
                                  .latency = 25,
                                  .energy = 0.35F};
  config.l1i.size = config.l1d.size = 2 * 1024;
  config.l1i.ways = config.l1d.ways = 2;
  config.memory_latency = 68;
  config.memory_energy = 1.5F;
  return config;
}

CacheReference data_at(std::uint64_t address, AccessKind kind = AccessKind::Read) {
  return {.virtual_address = {address},
          .physical_address = {address},
          .page_size = PageSize::Size4K,
          .kind = kind,
          .walk = false};
}

// The rules of the hierarchy, written down once more on plain models: demand first, from the top down, each victim
// after the fetch that displaced it.
class HierarchyModel {
 public:
  explicit HierarchyModel(const CacheHierarchyConfig& config) : config_(config), l1i(config.l1i), l1d(config.l1d) {
    if (config.l2) lower.emplace_back(*config.l2);
    if (config.last_level) lower.emplace_back(*config.last_level);
  }
  HierarchyOutcome access(const CacheReference& reference, bool tft_hit) {
    HierarchyOutcome outcome;
    const bool instruction = reference.kind == AccessKind::Fetch && !reference.walk;
    naive::CacheModel& cache = instruction ? l1i : l1d;
    const bool physical = reference.walk || cache.config().organisation == CacheOrganisation::Pipt;
    const std::uint64_t index = physical ? reference.physical_address.value : reference.virtual_address.value;
    const CacheOutcome first =
        cache.access(index, reference.physical_address.value, reference.kind, tft_hit || reference.walk);
    note(outcome, first);
    if (first.hit) return outcome;
    fetch(0, reference.physical_address.value, reference.kind, outcome);
    if (first.evicted && first.evicted->dirty) write_back(0, first.evicted->line.value, outcome);
    return outcome;
  }

 private:
  void note(HierarchyOutcome& outcome, const CacheOutcome& one) {
    outcome.levels[outcome.level_count++] = one;
    outcome.latency += one.latency;
    outcome.energy += one.energy;
  }
  void fetch(std::size_t level, std::uint64_t physical, AccessKind kind, HierarchyOutcome& outcome) {
    if (level == lower.size()) {
      outcome.memory_reached = true;
      outcome.latency += config_.memory_latency;
      outcome.energy += config_.memory_energy;
      return;
    }
    const CacheOutcome one =
        lower[level].access(physical, physical, kind == AccessKind::Fetch ? kind : AccessKind::Read, false);
    note(outcome, one);
    if (one.hit) return;
    fetch(level + 1, physical, kind, outcome);
    if (one.evicted && one.evicted->dirty) write_back(level + 1, one.evicted->line.value, outcome);
  }
  void write_back(std::size_t level, std::uint64_t physical, HierarchyOutcome& outcome) {
    if (level == lower.size()) {
      outcome.energy += config_.memory_energy;
      return;
    }
    const CacheOutcome one = lower[level].access(physical, physical, AccessKind::Write, false);
    outcome.write_backs.push_back(one);
    outcome.energy += one.energy;
    if (one.evicted && one.evicted->dirty) write_back(level + 1, one.evicted->line.value, outcome);
  }

  CacheHierarchyConfig config_;

 public:
  naive::CacheModel l1i, l1d;
  std::vector<naive::CacheModel> lower;
};

// Sums of a few floats, in another order.
bool same_energy(double a, double b) { return std::abs(a - b) < 1e-5; }

bool same(const HierarchyOutcome& a, const HierarchyOutcome& b) {
  if (a.level_count != b.level_count || a.write_backs.size() != b.write_backs.size()) return false;
  for (unsigned i = 0; i < a.level_count; ++i) {
    if (!naive::same(a.levels[i], b.levels[i])) return false;
  }
  for (std::size_t i = 0; i < a.write_backs.size(); ++i) {
    if (!naive::same(a.write_backs[i], b.write_backs[i])) return false;
  }
  return a.latency == b.latency && same_energy(a.energy, b.energy) && a.memory_reached == b.memory_reached;
}

}  // namespace

class CacheHierarchyTest : public QObject {
  Q_OBJECT

 private slots:
  void latency_adds_up_down_to_where_the_line_was_found() {
    CacheHierarchy caches(plain_config());
    const HierarchyOutcome cold = caches.access(data_at(0x1000));
    QCOMPARE(cold.level_count, 3U);
    QCOMPARE(cold.latency, 2U + 12 + 25 + 68);
    QVERIFY(cold.memory_reached);
    QVERIFY(same_energy(double{cold.energy}, 0.047 + 0.13 + 0.35 + 1.5));
    QCOMPARE(QByteArray(cold.levels[0].cache), QByteArray("L1D"));
    QCOMPARE(QByteArray(cold.levels[2].cache), QByteArray("LLC"));
    const HierarchyOutcome warm = caches.access(data_at(0x1000));
    QCOMPARE(warm.level_count, 1U);
    QCOMPARE(warm.latency, 2U);
    QVERIFY(!warm.memory_reached && !warm.tft.asked && !warm.twin);
  }

  void fetches_go_to_the_instruction_cache_and_share_what_lies_below() {
    CacheHierarchy caches(plain_config());
    caches.access(data_at(0x1000));
    const HierarchyOutcome fetch = caches.access(data_at(0x1000, AccessKind::Fetch));
    QCOMPARE(QByteArray(fetch.levels[0].cache), QByteArray("L1I"));
    QVERIFY(!fetch.levels[0].hit && fetch.levels[1].hit);
    QCOMPARE(caches.l1i().counters().reads, std::uint64_t{1});
  }

  void a_dirty_victim_arrives_in_the_next_level_without_anybody_waiting() {
    CacheHierarchy caches(plain_config());  // L1D: 16 sets of 2 ways; L2: 32 sets of 4.
    caches.access(data_at(0, AccessKind::Write));
    caches.access(data_at(0x400));
    const std::uint64_t writes = caches.l2()->counters().writes;
    const HierarchyOutcome outcome = caches.access(data_at(0x800));
    QVERIFY(outcome.levels[0].evicted && outcome.levels[0].evicted->dirty);
    QCOMPARE(outcome.latency, 2U + 12 + 25 + 68);
    QCOMPARE(outcome.write_backs.size(), std::size_t{1});
    QVERIFY(outcome.write_backs[0].hit);
    QCOMPARE(QByteArray(outcome.write_backs[0].cache), QByteArray("L2"));
    QCOMPARE(caches.l2()->counters().writes, writes + 1);
    const std::optional<unsigned> way = caches.l2()->probe({0});
    QVERIFY(way);
    QCOMPARE(caches.l2()->line(0, *way).dirty, std::uint8_t{1});
  }

  void a_store_miss_leaves_the_lower_levels_clean() {
    CacheHierarchy caches(plain_config());
    caches.access(data_at(0, AccessKind::Write));
    QCOMPARE(caches.l1d().line(0, *caches.l1d().probe({0})).dirty, std::uint8_t{1});
    QCOMPARE(caches.l2()->line(0, *caches.l2()->probe({0})).dirty, std::uint8_t{0});
    QCOMPARE(caches.l2()->counters().writes, std::uint64_t{0});
  }

  void a_walk_reference_is_physical_and_goes_to_the_data_cache() {
    CacheHierarchyConfig config = plain_config();
    config.l1d.size = 32 * 1024;
    config.l1d.ways = 8;
    CacheHierarchy caches(config);
    const HierarchyOutcome walk = caches.access({.virtual_address = {},
                                                 .physical_address = {0x5fc0},
                                                 .page_size = PageSize::Size4K,
                                                 .kind = AccessKind::Read,
                                                 .walk = true});
    QCOMPARE(walk.levels[0].set, 63U);
    QCOMPARE(QByteArray(walk.levels[0].cache), QByteArray("L1D"));
    QVERIFY(caches.l1d().probe({0x5fc0}));
  }

  void impossible_hierarchies_are_named() {
    QVERIFY(problem_of(plain_config()).empty());
    CacheHierarchyConfig config = plain_config();
    config.l1d.size = 64 * 1024;  // 8 KB a way: bit 12 of the index would be virtual.
    config.l1d.ways = 8;
    QVERIFY(!problem_of(config).empty());
    config.l1d.organisation = CacheOrganisation::Pipt;
    QVERIFY(problem_of(config).empty());
    config = plain_config();
    config.l2->line = 128;
    QVERIFY(!problem_of(config).empty());
    config = plain_config();
    config.l1i.organisation = CacheOrganisation::Seesaw;
    QVERIFY(!problem_of(config).empty());
    config = plain_config();
    config.tft.entries = 0;
    QVERIFY(!problem_of(config).empty());
  }

  void agrees_with_the_plain_model_watched_or_not_data() {
    QTest::addColumn<int>("organisation");
    QTest::addColumn<int>("replacement");
    QTest::addColumn<bool>("l2");
    QTest::addColumn<bool>("last_level");
    for (const int organisation : {0, 1, 2}) {
      for (const bool l2 : {false, true}) {
        for (const bool last_level : {false, true}) {
          QTest::addRow("organisation %d, L2 %d, LLC %d", organisation, l2, last_level)
              << organisation << static_cast<int>(ReplacementKind::Lru) << l2 << last_level;
        }
      }
      QTest::addRow("organisation %d, tree-PLRU", organisation)
          << organisation << static_cast<int>(ReplacementKind::TreePlru) << true << false;
    }
  }
  void agrees_with_the_plain_model_watched_or_not() {
    QFETCH(int, organisation);
    QFETCH(int, replacement);
    QFETCH(bool, l2);
    QFETCH(bool, last_level);
    const std::uint64_t seed =
        700 + static_cast<unsigned>(organisation * 10 + replacement) + (l2 ? 100 : 0) + (last_level ? 200 : 0);
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchyConfig config = plain_config();
    config.l1d.organisation = static_cast<CacheOrganisation>(organisation);
    config.l1d.size = 4 * 1024;  // 8 sets: SEESAW's partition bits are then bits 11 to 9 of the page offset.
    config.l1d.ways = 8;
    config.l1d.plain_twin = true;
    if (l2)
      config.l2->replacement = static_cast<ReplacementKind>(replacement);
    else
      config.l2.reset();
    config.l1d.replacement = static_cast<ReplacementKind>(replacement);
    if (!last_level) config.last_level.reset();
    CacheHierarchy watched(config);
    CacheHierarchy quiet(config);
    HierarchyModel model(config);
    std::size_t write_backs = 0;
    for (int step = 0; step < 20000; ++step) {
      // 32 pages, permuted; every other 2 MB region stands for a superpage of the first frames.
      const bool superpage = random.one_in(2);
      const std::uint64_t offset = random.below(32) * 4096 + (random.below(64) * 64);
      const CacheReference reference{
          .virtual_address = {superpage ? 0x40000000 + offset : offset ^ 0x5000},
          .physical_address = {offset},
          .page_size = superpage ? PageSize::Size2M : PageSize::Size4K,
          .kind = std::array{AccessKind::Read, AccessKind::Read, AccessKind::Write, AccessKind::Fetch}[random.below(4)],
          .walk = random.one_in(10)};
      if (superpage && random.one_in(3))
        QCOMPARE(watched.superpage_filled(reference.virtual_address),
                 quiet.superpage_filled(reference.virtual_address));
      if (random.one_in(50)) QCOMPARE(watched.context_switched(), quiet.context_switched());
      const HierarchyOutcome outcome = watched.access(reference);
      const HierarchyCost cost = quiet.access_quietly(reference);
      const HierarchyOutcome right = model.access(reference, outcome.tft.hit && superpage);
      QVERIFY2(same(outcome, right), qPrintable(QString("step %1").arg(step)));
      QCOMPARE(cost.latency, std::uint64_t{right.latency});
      QVERIFY(same_energy(cost.energy, double{right.energy}));
      QCOMPARE(cost.memory_reached, right.memory_reached);
      write_backs += right.write_backs.size();
    }
    QCOMPARE(test::state_of(quiet), test::state_of(watched));
    QVERIFY(naive::same(watched.l1i().counters(), model.l1i.counters) && naive::same_content(watched.l1i(), model.l1i));
    QVERIFY(naive::same(watched.l1d().counters(), model.l1d.counters) && naive::same_content(watched.l1d(), model.l1d));
    std::vector<const Cache*> lower;
    for (const Cache* cache : {watched.l2(), watched.last_level()}) {
      if (cache != nullptr) lower.push_back(cache);
    }
    QCOMPARE(lower.size(), model.lower.size());
    for (std::size_t i = 0; i < lower.size(); ++i) {
      QVERIFY(naive::same(lower[i]->counters(), model.lower[i].counters) &&
              naive::same_content(*lower[i], model.lower[i]));
    }
    QCOMPARE(write_backs > 1000, l2 || last_level);
  }

  void a_restored_hierarchy_goes_on_as_the_old_one_would() {
    const std::uint64_t seed = 4321;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchyConfig config = plain_config();
    config.l1d = {.name = "L1D",
                  .size = 32 * 1024,
                  .ways = 8,
                  .organisation = CacheOrganisation::Seesaw,
                  .replacement = ReplacementKind::Random,
                  .plain_twin = true};
    config.l2->replacement = ReplacementKind::Random;
    const auto next = [&random] {
      const std::uint64_t address = random.below(1 << 24);
      return CacheReference{.virtual_address = {address},
                            .physical_address = {address},
                            .page_size = PageSize::Size2M,
                            .kind = random.one_in(3) ? AccessKind::Write : AccessKind::Read,
                            .walk = false};
    };
    CacheHierarchy caches(config);
    for (int i = 0; i < 5000; ++i) {
      const CacheReference reference = next();
      if (random.one_in(4)) caches.superpage_filled(reference.virtual_address);
      caches.access_quietly(reference);
    }
    CacheHierarchy fresh(config);
    test::restore(fresh, test::state_of(caches));
    for (int i = 0; i < 5000; ++i) {
      const CacheReference reference = next();
      const HierarchyOutcome expected = caches.access(reference);
      const HierarchyOutcome outcome = fresh.access(reference);
      QVERIFY(same(outcome, expected));
      QCOMPARE(outcome.tft.hit, expected.tft.hit);
      QVERIFY(naive::same(*outcome.twin, *expected.twin));
    }
    QCOMPARE(test::state_of(fresh), test::state_of(caches));
  }

  void a_copy_names_its_caches_itself() {
    std::optional<CacheHierarchy> original(plain_config());
    CacheHierarchy copy = *original;
    original.reset();
    QCOMPARE(QByteArray(copy.access(data_at(0)).levels[1].cache), QByteArray("L2"));
  }
};

QTEST_APPLESS_MAIN(CacheHierarchyTest)
#include "cache_hierarchy_test.moc"
