// SPDX-License-Identifier: GPL-3.0-or-later
//
// Write policies, SEESAW's two insertion policies, way prediction, coherence and virtual tags of one cache: each by
// itself, and all together against the plain model.
#include <QtTest>
#include <array>
#include <limits>
#include <set>

#include "cache-sim/cache.h"
#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

namespace {

constexpr AccessKind kRead = AccessKind::Read;
constexpr AccessKind kWrite = AccessKind::Write;

CacheConfig config_of(std::uint64_t size, unsigned ways, CacheOrganisation organisation = CacheOrganisation::Pipt) {
  CacheConfig config;
  config.size = size;
  config.ways = ways;
  config.organisation = organisation;
  return config;
}

CacheConfig seesaw_config(unsigned kilobytes, InsertionPolicy insertion) {
  CacheConfig config = config_of(std::uint64_t{kilobytes} * 1024, kilobytes / 4, CacheOrganisation::Seesaw);
  config.insertion = insertion;
  return config;
}

// Energies that tell every kind of lookup apart.
CacheConfig predicting(CacheConfig config) {
  config.way_prediction = true;
  config.latency = 5;
  config.fast_latency = 2;
  config.energy = 16;
  config.partition_energy = 6;
  return config;
}

unsigned lines_of(const Cache& cache, bool dirty_alone) {
  unsigned lines = 0;
  for (unsigned set = 0; set < cache.sets(); ++set) {
    for (unsigned way = 0; way < cache.config().ways; ++way) {
      const Cache::Line line = cache.line(set, way);
      lines += line.valid != 0 && (!dirty_alone || line.dirty != 0) ? 1 : 0;
    }
  }
  return lines;
}

// Everything in set 0 of a 32 KB cache of 64 sets.
constexpr std::uint64_t page(std::uint64_t number) { return number * 4096; }

// --- random references to a few sets ---------------------------------------------------------------------------------

struct Geometry {
  const char* name;
  unsigned size, ways, line;
};
constexpr std::array kGeometries{
    Geometry{"16 KB, 1 way", 16 << 10, 1, 64},
    Geometry{"16 KB, 4 ways", 16 << 10, 4, 64},
    Geometry{"32 KB, 8 ways", 32 << 10, 8, 64},
    Geometry{"64 KB, 16 ways, 32 B lines", 64 << 10, 16, 32},
    Geometry{"256 KB, 32 ways, 128 B lines", 256 << 10, 32, 128},
    Geometry{"2 KB, 2 ways, 4 B lines", 2 << 10, 2, 4},
    Geometry{"256 KB, 8 ways, 4096 B lines", 256 << 10, 8, 4096},
    Geometry{"12 ways, 54 sets", 12 * 54 * 64, 12, 64},
    Geometry{"3 ways, 21 sets", 3 * 21 * 64, 3, 64},
};

/// Both addresses of one reference: few lines in few sets, so that everything meets everything.
struct Addresses {
  std::uint64_t index = 0, physical = 0;
  bool superpage = false;
};

class AddressSource {
 public:
  AddressSource(const CacheConfig& config, test::Random& random)
      : config_(config), random_(random), way_bytes_(config.size / config.ways) {}

  Addresses next() {
    Addresses next;
    const std::uint64_t lines = config_.size / config_.ways / config_.line;
    // Three address spaces make three lines of one with virtual tags.
    const std::uint64_t names = config_.organisation == CacheOrganisation::Vivt ? 3 : 1;
    const std::uint64_t frame = random_.below((3 * std::uint64_t{config_.ways} / 2 + 2) / names + 1);
    next.physical = frame * way_bytes_ + random_.below(std::min<std::uint64_t>(lines, 3)) * config_.line +
                    random_.below(config_.line);
    next.superpage = random_.one_in(2);
    next.index = next.physical;
    if (config_.organisation == CacheOrganisation::Vivt) return virtually_tagged(next);
    const bool translated = config_.organisation != CacheOrganisation::Pipt && !next.superpage;
    // Only bits above the set index differ: what bits inside of it do is the hierarchy's business.
    if (translated) next.index += way_bytes_ * random_.below(2 * std::uint64_t{config_.ways});
    return next;
  }

 private:
  Addresses virtually_tagged(Addresses next) {
    next.physical |= random_.below(3) << 60;  // The address space, far above what the index sees.
    return next;
  }

  const CacheConfig& config_;
  test::Random& random_;
  std::uint64_t way_bytes_;
};

bool is_possible(const CacheConfig& config) { return problem_of(config).empty(); }

/// What one run of random references found, to see that it tried what it should.
struct Tried {
  unsigned hits = 0, evictions = 0, passed_on = 0, right_guesses = 0, probe_hits = 0, most_duplicates = 0;
};

/// Empty, or where the cache and the plain model disagree first.
QString disagreement(const CacheConfig& config, std::uint64_t seed, Tried& tried) {
  test::Random random(seed);
  Cache cache(config, seed);
  naive::CacheModel model(config);
  AddressSource source(config, random);
  for (int step = 0; step < 1000; ++step) {
    const QString where = QString("step %1").arg(step);
    const Addresses at = source.next();
    const std::uint64_t action = random.below(100);
    if (action < 86) {
      const AccessKind kind = std::array{kRead, kRead, kWrite, AccessKind::Fetch}[random.below(4)];
      const bool fast = at.superpage && random.one_in(2);
      const CacheOutcome outcome = cache.access(at.index, {at.physical}, kind, fast, at.superpage);
      const CacheOutcome right = model.access(at.index, at.physical, kind, fast, outcome.way, at.superpage);
      if (!naive::same(outcome, right)) return where + ": access";
      tried.hits += right.hit ? 1 : 0;
      tried.evictions += right.evicted ? 1 : 0;
      tried.passed_on += right.passes_on ? 1 : 0;
      tried.right_guesses += right.guess == WayGuess::Right ? 1 : 0;
    } else if (action < 94) {
      const auto what = static_cast<CoherenceAction>(random.below(3));
      const ProbeOutcome right = model.probe(at.index, at.physical, what, true);
      const std::optional<unsigned> way = cache.find(at.index, {at.physical});
      if (way.has_value() != right.hit || (way && *way != right.way)) return where + ": find";
      if (!naive::same(cache.coherence_probe(at.index, {at.physical}, what), right)) return where + ": probe";
      tried.probe_hits += right.hit ? 1 : 0;
    } else if (action < 96) {
      const ProbeOutcome right = model.probe(at.index, at.physical, CoherenceAction::Invalidate, false);
      if (!naive::same(cache.invalidate_line(at.index, {at.physical}), right)) return where + ": invalidate";
    } else if (action < 99) {
      if (cache.mark_dirty_if_held(at.index, {at.physical}) != model.mark_dirty(at.index, at.physical))
        return where + ": mark dirty";
    } else {
      const std::uint64_t bytes = 1 + random.below(2 * std::uint64_t{config.line});
      if (cache.sweep({at.physical}, bytes) != model.sweep(at.physical, bytes)) return where + ": sweep";
    }
    if (step % 100 != 0) continue;
    if (cache.duplicates() != model.duplicates()) return where + ": duplicates";
    if (step % 500 == 0 && !naive::same_content(cache, model)) return where + ": content";
    tried.most_duplicates = std::max(tried.most_duplicates, cache.duplicates());
  }
  if (!naive::same_content(cache, model)) return "content";
  return naive::same(cache.counters(), model.counters) ? QString() : "counters";
}

}  // namespace

class CachePoliciesTest : public QObject {
  Q_OBJECT

 private slots:
  // --- geometry ------------------------------------------------------------------------------------------------------

  void every_geometry_holds_as_much_as_its_size() {
    for (unsigned kilobytes = 16; kilobytes <= 256; kilobytes *= 2) {
      for (unsigned ways = 1; ways <= 32; ways *= 2) {
        for (unsigned line = 4; line <= 4096 && line * ways <= kilobytes * 1024; line *= 4) {
          CacheConfig config = config_of(std::uint64_t{kilobytes} * 1024, ways);
          config.line = line;
          QCOMPARE(problem_of(config), std::string());
          Cache cache(config);
          for (std::uint64_t at = 0; at < config.size; at += line) QVERIFY(!cache.step(at, {at}, kRead, false).evicted);
          QCOMPARE(lines_of(cache, false), kilobytes * 1024 / line);
          const Cache::Step first = cache.step(config.size, {config.size}, kRead, false);
          QVERIFY(first.evicted);
          QCOMPARE(first.evicted_line, std::uint64_t{0});  // The least recently used line of the set.
        }
      }
    }
  }

  // --- writes --------------------------------------------------------------------------------------------------------

  void a_write_through_cache_is_never_dirty_and_passes_every_write_on() {
    CacheConfig config = config_of(128, 1);
    config.write = WritePolicy::WriteThrough;
    Cache cache(config);
    const CacheOutcome miss = cache.access(0, {0}, kWrite, false);
    QVERIFY(!miss.hit && miss.passes_on && miss.filled && !miss.filled->dirty);
    const CacheOutcome hit = cache.access(0, {0}, kWrite, false);
    QVERIFY(hit.hit && hit.passes_on && !hit.filled);
    QVERIFY(!cache.access(0, {0}, kRead, false).passes_on);
    QCOMPARE(lines_of(cache, true), 0U);
    const CacheOutcome eviction = cache.access(128, {128}, kRead, false);
    QVERIFY(eviction.evicted && !eviction.evicted->dirty);
    QCOMPARE(cache.counters().write_backs, std::uint64_t{0});
    QCOMPARE(cache.counters().passed_on, std::uint64_t{2});
    QCOMPARE(cache.counters().fills, std::uint64_t{2});
  }

  void a_write_miss_that_does_not_allocate_changes_nothing() {
    for (const WritePolicy policy : {WritePolicy::WriteBack, WritePolicy::WriteThrough}) {
      CacheConfig config = config_of(128, 2);
      config.write = policy;
      config.write_allocate = false;
      Cache cache(config);
      cache.access(0, {0}, kRead, false);
      cache.access(64, {64}, kRead, false);
      const CacheOutcome around = cache.access(128, {128}, kWrite, false);
      QVERIFY(!around.hit && around.passes_on && !around.filled && !around.evicted);
      QVERIFY(!cache.find({128}));
      QCOMPARE(cache.counters().write_misses, std::uint64_t{1});
      QCOMPARE(cache.counters().fills, std::uint64_t{2});
      // The order of use is untouched: line 0 is still the older.
      QCOMPARE(cache.access(192, {192}, kRead, false).evicted->line.value, std::uint64_t{0});
      const CacheOutcome hit = cache.access(64, {64}, kWrite, false);
      QCOMPARE(hit.passes_on, policy == WritePolicy::WriteThrough);
      QCOMPARE(lines_of(cache, true), policy == WritePolicy::WriteBack ? 1U : 0U);
      QCOMPARE(cache.counters().passed_on, std::uint64_t{policy == WritePolicy::WriteBack ? 1U : 2U});
    }
  }

  void random_replacement_draws_nothing_for_a_write_around() {
    CacheConfig config = config_of(512, 8);
    config.replacement = ReplacementKind::Random;
    config.write_allocate = false;
    Cache with(config, 9);
    Cache without(config, 9);
    for (std::uint64_t at = 0; at < 8192; at += 64) {
      with.access(at + 65536, {at + 65536}, kWrite, false);
      QVERIFY(naive::same(with.access(at, {at}, kRead, false), without.access(at, {at}, kRead, false)));
    }
  }

  void a_seesaw_cache_writes_around_and_through_as_well() {
    CacheConfig config = seesaw_config(32, InsertionPolicy::Partition);
    config.write = WritePolicy::WriteThrough;
    config.write_allocate = false;
    Cache cache(config);
    const CacheOutcome around = cache.access(page(1), {page(1)}, kWrite, true);
    QVERIFY(around.passes_on && !around.filled);
    QCOMPARE(around.ways_probed_mask, 0xf0U);
    QCOMPARE(cache.access(page(1), {page(1)}, kRead, true).filled->way, std::uint8_t{4});
    QVERIFY(cache.access(page(1), {page(1)}, kWrite, true).passes_on);
  }

  void a_dirty_victim_from_above_is_taken_without_a_use() {
    Cache cache(config_of(128, 2));
    cache.access(0, {0}, kRead, false);
    cache.access(64, {64}, kRead, false);
    QVERIFY(cache.mark_dirty_if_held({5}));
    QVERIFY(!cache.mark_dirty_if_held({128}));
    QCOMPARE(cache.counters().writes, std::uint64_t{0});
    const CacheOutcome eviction = cache.access(128, {128}, kRead, false);
    QCOMPARE(eviction.evicted->line.value, std::uint64_t{0});  // Still the least recently used.
    QVERIFY(eviction.evicted->dirty);
    CacheConfig through = config_of(128, 2);
    through.write = WritePolicy::WriteThrough;
    Cache below(through);
    below.access(0, {0}, kRead, false);
    QVERIFY(!below.mark_dirty_if_held({0}));  // Its level below must see the data.
    QCOMPARE(lines_of(below, true), 0U);
  }

  // --- 4way and 4way-8way insertion ----------------------------------------------------------------------------------

  void under_partition_or_whole_a_base_page_goes_anywhere_and_a_superpage_to_its_partition() {
    Cache cache(seesaw_config(32, InsertionPolicy::PartitionOrWhole));
    // Base pages whose physical addresses all name the second partition fill the first one, too.
    for (unsigned way = 0; way < 8; ++way) {
      const std::uint64_t physical = page(2 * way + 1);
      QCOMPARE(cache.access(page(0), {physical}, kRead, false).filled->way, static_cast<std::uint8_t>(way));
    }
    // The set's least recently used line is in way 0; that of the second partition is in way 4.
    QCOMPARE(cache.access(page(101), {page(101)}, kRead, true).filled->way, std::uint8_t{4});
    // A superpage that the filter table does not know is looked up everywhere and still inserted in its partition.
    const CacheOutcome unknown = cache.access(page(103), {page(103)}, kRead, false, true);
    QCOMPARE(unknown.ways_probed_mask, 0xffU);
    QCOMPARE(unknown.filled->way, std::uint8_t{5});
    QCOMPARE(cache.access(page(0), {page(205)}, kRead, false).filled->way, std::uint8_t{0});
  }

  void a_page_mapped_both_ways_is_held_twice_under_partition_or_whole_alone() {
    for (const InsertionPolicy policy : {InsertionPolicy::Partition, InsertionPolicy::PartitionOrWhole}) {
      const bool whole = policy == InsertionPolicy::PartitionOrWhole;
      Cache cache(seesaw_config(32, policy));
      cache.access(page(0), {page(1)}, kWrite, false);  // As a base page: way 0, or 4 under Partition.
      QCOMPARE(cache.access(page(1), {page(1)}, kRead, true).hit, !whole);
      QCOMPARE(cache.duplicates(), whole ? 1U : 0U);
      if (!whole) continue;
      QVERIFY(cache.find({page(1)}) == 0U);  // The lower of ways 0 and 4.
      const CacheOutcome base = cache.access(page(0), {page(1)}, kRead, false);
      QVERIFY(base.hit);
      QCOMPARE(base.way, std::uint8_t{0});
      QCOMPARE(cache.access(page(1), {page(1)}, kRead, true).way, std::uint8_t{4});
      QCOMPARE(cache.access(page(0), {page(1)}, kRead, false).way, std::uint8_t{0});  // Not the way used last.
      // One copy dirty, the other not: a sweep drops both and writes back one.
      QCOMPARE(cache.sweep({page(1)}, 64), 2U);
      QCOMPARE(cache.counters().write_backs, std::uint64_t{1});
      QCOMPARE(cache.duplicates(), 0U);
    }
  }

  void a_fast_lookup_does_not_see_a_line_outside_of_its_partition() {
    Cache cache(seesaw_config(32, InsertionPolicy::PartitionOrWhole));
    cache.access(page(0), {page(1)}, kRead, false);
    const CacheOutcome fast = cache.access(page(1), {page(1)}, kRead, true);
    QVERIFY(!fast.hit);  // It is in way 0, used last, and ways 4 to 7 were read.
    QCOMPARE(fast.ways_probed_mask, 0xf0U);
  }

  void with_one_partition_both_insertions_are_the_same() {
    const std::uint64_t seed = 4;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    Cache narrow(seesaw_config(16, InsertionPolicy::Partition));
    Cache whole(seesaw_config(16, InsertionPolicy::PartitionOrWhole));
    for (int step = 0; step < 5000; ++step) {
      const std::uint64_t at = random.below(1 << 15);
      const bool fast = random.one_in(2);
      QVERIFY(naive::same(narrow.access(at, {at}, kWrite, fast), whole.access(at, {at}, kWrite, fast)));
    }
    QCOMPARE(whole.duplicates(), 0U);
  }

  // --- way prediction ------------------------------------------------------------------------------------------------

  void a_right_guess_reads_one_way_and_a_wrong_one_the_others_in_a_second_lookup() {
    Cache cache(predicting(config_of(4096, 8)));
    const CacheOutcome miss = cache.access(0, {0}, kRead, false);
    QCOMPARE(miss.guess, WayGuess::Wrong);  // A miss is known only after every way was read.
    QCOMPARE(miss.ways_probed, std::uint8_t{8});
    QCOMPARE(miss.latency, 10U);
    QCOMPARE(miss.energy, 2.0F + 14.0F);  // One way, then the other seven.
    const CacheOutcome right = cache.access(0, {0}, kRead, false);
    QCOMPARE(right.guess, WayGuess::Right);
    QCOMPARE(right.ways_probed_mask, 1U);
    QCOMPARE(right.latency, 5U);
    QCOMPARE(right.energy, 2.0F);
    cache.access(4096, {4096}, kRead, false);
    const CacheOutcome wrong = cache.access(0, {0}, kRead, false);
    QVERIFY(wrong.hit);
    QCOMPARE(wrong.guess, WayGuess::Wrong);
    QCOMPARE(wrong.ways_probed, std::uint8_t{8});
    QCOMPARE(wrong.latency, 10U);
    const CacheCounters counters = cache.counters();
    QCOMPARE(counters.way_predictions, std::uint64_t{4});
    QCOMPARE(counters.way_mispredictions, std::uint64_t{3});
    QCOMPARE(counters.ways_probed, std::uint64_t{3 * 8 + 1});
    QCOMPARE(counters.energy, 3 * 16.0 + 2.0);
  }

  void a_given_energy_of_one_way_replaces_the_lookups_share() {
    CacheConfig config = predicting(config_of(4096, 8));
    config.way_energy = 3;
    Cache cache(config);
    QCOMPARE(cache.access(0, {0}, kRead, false).energy, 3.0F + 14.0F);
    QCOMPARE(cache.access(0, {0}, kRead, false).energy, 3.0F);
  }

  void the_prediction_is_the_partitions_own_where_one_is_probed_and_the_sets_otherwise() {
    Cache cache(predicting(seesaw_config(32, InsertionPolicy::Partition)));
    QCOMPARE(cache.predicted_way(0, true, 4), 4U);
    for (const std::uint64_t number : {0U, 2U, 1U, 3U}) cache.access(page(number), {page(number)}, kRead, true);
    QCOMPARE(cache.predicted_way(0, true, 0), 1U);   // Page 2.
    QCOMPARE(cache.predicted_way(0, true, 4), 5U);   // Page 3.
    QCOMPARE(cache.predicted_way(0, false, 0), 5U);  // Of all, page 3 was last.
    const CacheOutcome fast = cache.access(page(2), {page(2)}, kRead, true);
    QCOMPARE(fast.guess, WayGuess::Right);
    QCOMPARE(fast.latency, 2U);
    QCOMPARE(fast.energy, 1.5F);
    const CacheOutcome wrong = cache.access(page(0), {page(0)}, kRead, true);
    QVERIFY(wrong.hit);
    QCOMPARE(wrong.guess, WayGuess::Wrong);
    QCOMPARE(wrong.ways_probed_mask, 0x0fU);  // The other three of the partition, not of the set.
    QCOMPARE(wrong.latency, 4U);
    QCOMPARE(wrong.energy, 6.0F);
    const CacheOutcome whole = cache.access(page(0), {page(0)}, kRead, false);
    QCOMPARE(whole.guess, WayGuess::Right);
    QCOMPARE(whole.latency, 5U);
    QCOMPARE(whole.energy, 2.0F);
    QCOMPARE(cache.access(page(3), {page(3)}, kRead, false).ways_probed, std::uint8_t{8});
  }

  void a_predicted_copy_hits_even_where_a_lower_way_holds_the_line_too() {
    Cache cache(predicting(seesaw_config(32, InsertionPolicy::PartitionOrWhole)));
    cache.access(page(0), {page(1)}, kRead, false);
    cache.access(page(1), {page(1)}, kRead, true);
    QCOMPARE(cache.duplicates(), 1U);
    QCOMPARE(cache.access(page(0), {page(1)}, kRead, false).way, std::uint8_t{4});  // Nothing else was read.
  }

  void an_invalidated_line_stays_predicted_and_is_a_wrong_guess() {
    Cache cache(predicting(config_of(4096, 8)));
    cache.access(0, {0}, kRead, false);
    cache.invalidate_line({0});
    QCOMPARE(cache.access(0, {0}, kRead, false).guess, WayGuess::Wrong);
  }

  void without_prediction_nothing_is_said_of_it() {
    Cache cache(config_of(4096, 8));
    QCOMPARE(cache.access(0, {0}, kRead, false).guess, WayGuess::None);
    QCOMPARE(cache.access(0, {0}, kRead, false).guess, WayGuess::None);
    QCOMPARE(cache.counters().way_predictions, std::uint64_t{0});
    QCOMPARE(cache.counters().way_mispredictions, std::uint64_t{0});
  }

  void prediction_changes_what_a_lookup_costs_and_nothing_else() {
    const std::uint64_t seed = 12;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    const CacheConfig config = seesaw_config(64, InsertionPolicy::Partition);
    Cache plain(config);
    Cache predicted(predicting(config));
    for (int step = 0; step < 10000; ++step) {
      const std::uint64_t at = random.below(1 << 17);
      const AccessKind kind = random.one_in(3) ? kWrite : kRead;
      const bool fast = random.one_in(2);
      const Cache::Step a = plain.step(at, {at}, kind, fast);
      const Cache::Step b = predicted.step(at, {at}, kind, fast);
      QVERIFY(a.hit == b.hit && a.way == b.way && a.evicted_line == b.evicted_line);
      QCOMPARE(a.evicted_dirty, b.evicted_dirty);
    }
    QVERIFY(predicted.counters().ways_probed < plain.counters().ways_probed);
    QVERIFY(predicted.counters().way_mispredictions > predicted.counters().read_misses);
  }

  // --- coherence -----------------------------------------------------------------------------------------------------

  void under_partition_a_probe_finds_every_line_with_four_ways_data() {
    QTest::addColumn<unsigned>("kilobytes");
    for (const unsigned kilobytes : {16U, 32U, 64U, 128U}) QTest::addRow("%u KB", kilobytes) << kilobytes;
  }
  void under_partition_a_probe_finds_every_line_with_four_ways() {
    QFETCH(unsigned, kilobytes);
    const std::uint64_t seed = kilobytes;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    Cache cache(seesaw_config(kilobytes, InsertionPolicy::Partition));
    for (int step = 0; step < 10000; ++step) {
      const std::uint64_t physical = random.below(std::uint64_t{kilobytes} * 2048);
      const bool superpage = random.one_in(2);
      const std::uint64_t index = superpage ? physical : physical % 4096 + page(random.below(64));
      cache.access(index, {physical}, random.one_in(4) ? kWrite : kRead, superpage && random.one_in(2));
    }
    QCOMPARE(cache.duplicates(), 0U);
    unsigned found = 0;
    for (unsigned set = 0; set < cache.sets(); ++set) {
      for (unsigned way = 0; way < cache.config().ways; ++way) {
        const Cache::Line line = cache.line(set, way);
        if (line.valid == 0) continue;
        const ProbeOutcome probe = cache.coherence_probe(cache.address_of(line.number), CoherenceAction::Look);
        QVERIFY(probe.hit);
        QCOMPARE(unsigned{probe.way}, way);
        QCOMPARE(probe.set, set);
        QCOMPARE(unsigned{probe.ways_probed}, 4U);
        QCOMPARE(probe.dirty, line.dirty != 0);
        QCOMPARE(probe.energy, cache.config().partition_energy);
        ++found;
      }
    }
    QCOMPARE(found, kilobytes * 16);  // The cache was full.
    QCOMPARE(cache.counters().probes, std::uint64_t{found});
    QCOMPARE(cache.counters().probe_hits, std::uint64_t{found});
    QCOMPARE(cache.counters().probe_ways, std::uint64_t{4} * found);
    QVERIFY(naive::near(cache.counters().probe_energy, 0.0285 * found));
  }

  void a_probe_reads_every_way_where_a_line_may_be_anywhere() {
    Cache whole(seesaw_config(64, InsertionPolicy::PartitionOrWhole));
    whole.access(page(0), {page(3)}, kRead, false);
    const ProbeOutcome probe = whole.coherence_probe({page(3)}, CoherenceAction::Look);
    QVERIFY(probe.hit);
    QCOMPARE(probe.ways_probed, std::uint8_t{16});
    QCOMPARE(probe.ways_probed_mask, 0xffffU);
    QCOMPARE(probe.energy, whole.config().energy);
    Cache plain(config_of(std::uint64_t{128} * 1024, 32, CacheOrganisation::Vipt));
    QCOMPARE(plain.coherence_probe({0}, CoherenceAction::Look).ways_probed, std::uint8_t{32});
    QCOMPARE(plain.counters().probe_hits, std::uint64_t{0});
  }

  void a_probe_looks_cleans_or_invalidates_and_leaves_the_order_of_use() {
    Cache cache(config_of(128, 2));
    cache.access(0, {0}, kWrite, false);
    cache.access(64, {64}, kRead, false);
    for (int i = 0; i < 2; ++i) QVERIFY(cache.coherence_probe({0}, CoherenceAction::Look).dirty);
    QVERIFY(cache.coherence_probe({0}, CoherenceAction::Clean).dirty);
    QCOMPARE(cache.counters().write_backs, std::uint64_t{1});
    const ProbeOutcome clean = cache.coherence_probe({0}, CoherenceAction::Clean);
    QVERIFY(clean.hit && !clean.dirty);
    const CacheOutcome eviction = cache.access(128, {128}, kRead, false);
    QCOMPARE(eviction.evicted->line.value, std::uint64_t{0});  // Four probes were no use.
    QVERIFY(!eviction.evicted->dirty);
    QVERIFY(cache.coherence_probe({64}, CoherenceAction::Invalidate).hit);
    QVERIFY(!cache.coherence_probe({64}, CoherenceAction::Invalidate).hit);
    QVERIFY(!cache.find({64}));
    QCOMPARE(cache.counters().write_backs, std::uint64_t{1});
    QCOMPARE(cache.counters().probes, std::uint64_t{6});
    QCOMPARE(cache.counters().probe_hits, std::uint64_t{5});
    QCOMPARE(cache.counters().reads + cache.counters().writes, std::uint64_t{3});
  }

  void an_invalidation_reaches_both_copies_of_a_line() {
    Cache cache(seesaw_config(32, InsertionPolicy::PartitionOrWhole));
    cache.access(page(0), {page(1)}, kRead, false);
    cache.access(page(1), {page(1)}, kWrite, true);
    QCOMPARE(cache.duplicates(), 1U);
    const ProbeOutcome probe = cache.coherence_probe({page(1)}, CoherenceAction::Invalidate);
    QVERIFY(probe.hit && probe.dirty);  // The copy in the higher way is the dirty one.
    QCOMPARE(probe.way, std::uint8_t{0});
    QVERIFY(!cache.find({page(1)}));
    QCOMPARE(lines_of(cache, false), 0U);
    QCOMPARE(cache.counters().write_backs, std::uint64_t{1});
  }

  void an_invalidation_from_inside_is_no_probe() {
    Cache cache(config_of(128, 2));
    cache.access(0, {0}, kWrite, false);
    QVERIFY(cache.invalidate_line({0}).dirty);
    QVERIFY(!cache.invalidate_line({0}).hit);
    QCOMPARE(cache.counters().probes, std::uint64_t{0});
    QCOMPARE(cache.counters().write_backs, std::uint64_t{1});
    QCOMPARE(lines_of(cache, true), 0U);
    QVERIFY(!cache.access(0, {0}, kRead, false).hit);
    QCOMPARE(lines_of(cache, true), 0U);  // The dirty bit did not outlive its line.
  }

  void a_line_in_the_set_of_another_name_is_found_by_that_index_alone() {
    Cache cache(config_of(65536, 4, CacheOrganisation::Vipt));  // 16 KB a way: two index bits are translated.
    cache.access(page(1), {page(2)}, kWrite, false);
    QVERIFY(!cache.find({page(2)}));
    QVERIFY(cache.find(page(1), {page(2)}));
    QVERIFY(!cache.mark_dirty_if_held({page(2)}));
    QVERIFY(cache.invalidate_line(page(1), {page(2)}).dirty);
    QVERIFY(!cache.find(page(1), {page(2)}));
  }

  // --- virtual tags --------------------------------------------------------------------------------------------------

  void a_virtual_tag_keeps_sixty_three_bits_apart_data() {
    QTest::addColumn<unsigned>("size");
    QTest::addColumn<unsigned>("ways");
    QTest::newRow("64 sets") << 32U * 1024 << 8U;
    QTest::newRow("21 sets") << 3U * 21 * 64 << 3U;
  }
  void a_virtual_tag_keeps_sixty_three_bits_apart() {
    QFETCH(unsigned, size);
    QFETCH(unsigned, ways);
    Cache cache(config_of(size, ways, CacheOrganisation::Vivt));
    const std::uint64_t address = 0x7fffdeadb000;
    const std::uint64_t first = address | std::uint64_t{0x7fff} << 48;
    const std::uint64_t second = address | std::uint64_t{0x3fff} << 48;  // Differs in bit 62 alone.
    const CacheOutcome filled = cache.access(address, {first}, kWrite, false);
    QCOMPARE(filled.set, static_cast<unsigned>(address / 64 % cache.sets()));  // Of the index, not of the tag.
    QVERIFY(!cache.access(address, {second}, kRead, false).hit);
    QVERIFY(cache.access(address, {first}, kRead, false).hit);
    QVERIFY(cache.access(address, {second}, kRead, false).hit);
    QVERIFY(!cache.find(address, {address}));
    QCOMPARE(cache.find(address, {first}), std::optional<unsigned>(filled.way));
    std::set<std::uint64_t> evicted;
    for (std::uint64_t space = 1; space <= ways; ++space) {
      const CacheOutcome outcome = cache.access(address, {address | space << 48}, kRead, false);
      if (outcome.evicted) evicted.insert(outcome.evicted->line.value);
    }
    QVERIFY(evicted.count(first) == 1 && evicted.count(second) == 1);  // Every bit came back.
  }

  // --- the rest ------------------------------------------------------------------------------------------------------

  void a_sweep_reaches_the_end_of_the_address_space() {
    Cache cache(config_of(std::uint64_t{32} * 1024, 8));
    const std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
    cache.access(last, {last}, kRead, false);
    cache.access(0, {0}, kRead, false);
    QCOMPARE(cache.sweep({last - 1}, 4096), 1U);
    QCOMPARE(cache.sweep({0}, last), 1U);
  }

  void impossible_policies_are_named_data() {
    QTest::addColumn<QString>("part");
    QTest::addColumn<int>("what");
    int what = -1;
    for (const char* part : {"2 ways", "8 MB", "4 to 4096", "4 to 4096", "nanojoules", "nanojoules", "multiple",
                             "2^24 sets", "power of two of sets", "tree-PLRU"}) {
      ++what;
      QTest::addRow("%d: %s", what, part) << QString(part) << what;
    }
  }
  void impossible_policies_are_named() {
    QFETCH(QString, part);
    QFETCH(int, what);
    std::array<CacheConfig, 10> wrong;
    wrong[0] = predicting(config_of(4096, 1));
    wrong[1] = config_of(16 << 20, 4, CacheOrganisation::Seesaw);
    wrong[2].line = 2;
    wrong[3].line = 8192;
    wrong[4].energy = std::numeric_limits<float>::quiet_NaN();
    wrong[5].way_energy = -1;
    wrong[6].size = 0;
    wrong[7] = config_of(std::uint64_t{64} << 30, 1);
    wrong[8] = config_of(4032, 3, CacheOrganisation::Seesaw);
    wrong[9] = config_of(48 << 10, 12);
    wrong[9].replacement = ReplacementKind::TreePlru;
    const QString problem = QString::fromStdString(problem_of(wrong[static_cast<std::size_t>(what)]));
    QVERIFY2(problem.contains(part) && problem.startsWith("cache \"L1D\": "), qPrintable(problem));
  }

  void the_policies_go_together() {
    for (const CacheOrganisation organisation :
         {CacheOrganisation::Vipt, CacheOrganisation::Seesaw, CacheOrganisation::Pipt, CacheOrganisation::Vivt}) {
      CacheConfig config = predicting(config_of(std::uint64_t{32} * 1024, 8, organisation));
      config.insertion = InsertionPolicy::PartitionOrWhole;  // Means nothing without partitions.
      config.write = WritePolicy::WriteThrough;
      config.write_allocate = false;
      QCOMPARE(problem_of(config), std::string());
    }
  }

  void a_restored_cache_goes_on_as_the_old_one_would() {
    const std::uint64_t seed = 21;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    for (const InsertionPolicy insertion : {InsertionPolicy::Partition, InsertionPolicy::PartitionOrWhole}) {
      test::Random random(seed);
      const CacheConfig config = predicting(seesaw_config(32, insertion));
      Cache cache(config);
      const auto next = [&random] { return random.below(1 << 14) * 8; };
      for (int i = 0; i < 3000; ++i) cache.access(next() % 4096, {next()}, kWrite, false);
      cache.coherence_probe({0}, CoherenceAction::Look);
      Cache fresh(config);
      for (int i = 0; i < 100; ++i) fresh.access(next(), {next()}, kWrite, false);  // Must leave no trace.
      test::restore(fresh, test::state_of(cache));
      for (int i = 0; i < 3000; ++i) {
        const std::uint64_t at = next();
        const bool fast = random.one_in(2);
        QVERIFY(naive::same(fresh.access(at, {at}, kRead, fast), cache.access(at, {at}, kRead, fast)));
      }
      QCOMPARE(test::state_of(fresh), test::state_of(cache));
      QVERIFY(naive::same(fresh.counters(), cache.counters()));
    }
  }

  // --- against the plain model ---------------------------------------------------------------------------------------

  void every_combination_agrees_with_the_plain_model_data() {
    QTest::addColumn<int>("geometry");
    QTest::addColumn<int>("organisation");
    for (std::size_t geometry = 0; geometry < kGeometries.size(); ++geometry) {
      for (const auto& [organisation, name] :
           {std::pair{CacheOrganisation::Vipt, "VIPT"}, std::pair{CacheOrganisation::Seesaw, "SEESAW"},
            std::pair{CacheOrganisation::Pipt, "PIPT"}, std::pair{CacheOrganisation::Vivt, "VIVT"}}) {
        CacheConfig config = config_of(kGeometries[geometry].size, kGeometries[geometry].ways, organisation);
        config.line = kGeometries[geometry].line;
        if (!is_possible(config)) continue;
        QTest::addRow("%s, %s", name, kGeometries[geometry].name)
            << static_cast<int>(geometry) << static_cast<int>(organisation);
      }
    }
  }
  void every_combination_agrees_with_the_plain_model() {
    QFETCH(int, geometry);
    QFETCH(int, organisation);
    const Geometry& shape = kGeometries[static_cast<std::size_t>(geometry)];
    const std::uint64_t first_seed = static_cast<unsigned>(geometry) * 1000 + static_cast<unsigned>(organisation) * 100;
    qInfo("seeds from %llu", static_cast<unsigned long long>(first_seed));
    Tried tried;
    unsigned run = 0;
    for (unsigned choice = 0; choice < 3 * 2 * 2 * 2 * 2; ++choice) {
      CacheConfig config = config_of(shape.size, shape.ways, static_cast<CacheOrganisation>(organisation));
      config.line = shape.line;
      config.replacement = static_cast<ReplacementKind>(choice / 16);
      config.write = (choice & 1U) != 0 ? WritePolicy::WriteThrough : WritePolicy::WriteBack;
      config.write_allocate = (choice & 2U) == 0;
      config.insertion = (choice & 4U) != 0 ? InsertionPolicy::PartitionOrWhole : InsertionPolicy::Partition;
      config.way_prediction = (choice & 8U) != 0;
      config.way_energy = (choice & 1U) != 0 ? 0.25F : 0.0F;
      if (!is_possible(config)) continue;
      Tried now;
      const QString problem = disagreement(config, first_seed + choice, now);
      QVERIFY2(problem.isEmpty(),
               qPrintable(QString("choice %1, seed %2, %3").arg(choice).arg(first_seed + choice).arg(problem)));
      const bool may_duplicate = config.organisation == CacheOrganisation::Seesaw && shape.ways > 4 &&
                                 config.insertion == InsertionPolicy::PartitionOrWhole;
      QVERIFY(may_duplicate || now.most_duplicates == 0);
      QCOMPARE(now.right_guesses != 0, config.way_prediction);
      QCOMPARE(now.passed_on != 0, config.write == WritePolicy::WriteThrough || !config.write_allocate);
      QVERIFY(now.hits > 50 && now.evictions > 10 && now.probe_hits > 5);
      tried.most_duplicates = std::max(tried.most_duplicates, now.most_duplicates);
      ++run;
    }
    QVERIFY(run >= 16);
    const bool duplicates = organisation == static_cast<int>(CacheOrganisation::Seesaw) && shape.ways > 4;
    QCOMPARE(tried.most_duplicates != 0, duplicates);
  }
};

QTEST_APPLESS_MAIN(CachePoliciesTest)
#include "cache_policies_test.moc"
