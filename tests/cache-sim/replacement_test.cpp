// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/replacement.h"

#include <QtTest>
#include <set>

#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

class ReplacementTest : public QObject {
  Q_OBJECT

 private slots:
  void lru_replaces_the_way_used_longest_ago() {
    ReplacementState state(ReplacementKind::Lru, 1, 4, 1);
    for (const unsigned way : {0U, 1U, 2U, 3U, 0U, 2U}) state.touch(0, way);
    QCOMPARE(state.victim(0, 0, 4), 1U);
    QCOMPARE(state.victim(0, 2, 2), 3U);  // Within one partition, whatever is older elsewhere.
  }

  void tree_plru_points_away_from_what_was_used() {
    ReplacementState state(ReplacementKind::TreePlru, 1, 4, 1);
    for (const unsigned way : {0U, 1U, 2U, 3U}) state.touch(0, way);
    QCOMPARE(state.victim(0, 0, 4), 0U);
    state.touch(0, 0);
    QCOMPARE(state.victim(0, 0, 4), 2U);  // True LRU would say way 1: the tree only knows that the right half is older.
    QCOMPARE(state.victim(0, 0, 2), 1U);
  }

  void random_stays_in_its_range_and_takes_every_way() {
    ReplacementState state(ReplacementKind::Random, 1, 8, 42);
    std::set<unsigned> seen;
    for (int i = 0; i < 200; ++i) {
      const unsigned way = state.victim(0, 4, 4);
      QVERIFY(way >= 4 && way < 8);
      seen.insert(way);
    }
    QCOMPARE(seen.size(), std::size_t{4});
  }

  void random_repeats_with_its_seed_and_differs_without() {
    const auto draw = [](std::uint64_t seed) {
      ReplacementState state(ReplacementKind::Random, 1, 16, seed);
      std::vector<unsigned> ways;
      for (int i = 0; i < 64; ++i) ways.push_back(state.victim(0, 0, 16));
      return ways;
    };
    QCOMPARE(draw(7), draw(7));
    QVERIFY(draw(7) != draw(8));
    QCOMPARE(draw(0), draw(1));
  }

  void agrees_with_the_plain_model_data() {
    QTest::addColumn<int>("kind");
    QTest::addColumn<unsigned>("ways");
    for (const unsigned ways : {1U, 2U, 4U, 8U, 16U, 32U, 64U}) {
      QTest::addRow("LRU, %u ways", ways) << static_cast<int>(ReplacementKind::Lru) << ways;
      QTest::addRow("tree-PLRU, %u ways", ways) << static_cast<int>(ReplacementKind::TreePlru) << ways;
    }
    QTest::addRow("LRU, 12 ways") << static_cast<int>(ReplacementKind::Lru) << 12U;
  }
  void agrees_with_the_plain_model() {
    QFETCH(int, kind);
    QFETCH(unsigned, ways);
    const std::uint64_t seed = 1000 + ways;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    constexpr unsigned kSets = 3;
    ReplacementState state(static_cast<ReplacementKind>(kind), kSets, ways, 1);
    std::vector<naive::Order> model(kSets, naive::Order(static_cast<ReplacementKind>(kind), ways));
    for (int step = 0; step < 4000; ++step) {
      const auto set = static_cast<unsigned>(random.below(kSets));
      const auto way = static_cast<unsigned>(random.below(ways));
      state.touch(set, way);
      model[set].touch(way);
      if (step < 64 * static_cast<int>(kSets)) continue;  // Until every way has been used, LRU ties are undefined.
      for (unsigned count = ways; count >= 1; count /= 2) {
        if (ways % count != 0) continue;
        const unsigned first = static_cast<unsigned>(random.below(ways / count)) * count;
        QCOMPARE(state.victim(set, first, count), model[set].victim(first, count));
      }
    }
  }
};

QTEST_APPLESS_MAIN(ReplacementTest)
#include "replacement_test.moc"
