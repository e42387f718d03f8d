// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/cache_hierarchy.h"

#include <QtTest>
#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

Q_DECLARE_METATYPE(CacheHierarchyConfig)

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

// The rules of the hierarchy, written down once more on plain models. A miss fetches from the top down, then each
// victim goes down; with an inclusive level each victim is gone before the next fetch. It also knows which lines are
// newer than memory, so that no store can be lost on the way.
class HierarchyModel {
 public:
  explicit HierarchyModel(const CacheHierarchyConfig& config) : l1i(config.l1i), l1d(config.l1d), config_(config) {
    if (config.l2) l2.emplace(*config.l2);
    if (config.l2i) l2i.emplace(*config.l2i);
    if (config.last_level) last_level.emplace(*config.last_level);
    for (const auto* cache : {&l2, &l2i, &last_level})
      victims_first_ |= cache->has_value() && (*cache)->config().inclusive;
  }

  HierarchyOutcome access(const CacheReference& reference, bool filter_hit) {
    HierarchyOutcome outcome;
    const bool instruction = reference.kind == AccessKind::Fetch && !reference.walk;
    const bool filtered = !instruction && !reference.walk && config_.l1d.organisation == CacheOrganisation::Seesaw;
    naive::CacheModel& cache = instruction ? l1i : l1d;
    const std::uint64_t physical = reference.physical_address.value;
    const bool by_physical = reference.walk || cache.config().organisation == CacheOrganisation::Pipt;
    const bool walk_fast = reference.walk && config_.l1d.insertion == InsertionPolicy::Partition;
    const CacheOutcome first =
        cache.access(by_physical ? physical : reference.virtual_address.value, physical, reference.kind,
                     filter_hit || walk_fast, 0, filtered && reference.page_size == PageSize::Size2M);
    note(outcome, first);
    if (reference.kind == AccessKind::Write) newer_than_memory.insert(physical / 64);
    const bool dirty_victim = first.evicted && first.evicted->dirty;
    if (victims_first_ && dirty_victim) write_back(&l2, first.evicted->line.value, outcome);
    if (first.filled) fetch(instruction && l2i ? &l2i : &l2, physical, reference.kind, outcome, false);
    if (first.passes_on) store_below(&l2, physical, outcome);
    if (!victims_first_ && dirty_victim) write_back(&l2, first.evicted->line.value, outcome);
    return outcome;
  }

  bool coherence(std::uint64_t physical, CoherenceAction action) {
    bool dirty = l1d.probe(physical, physical, action, true).dirty;
    if (action == CoherenceAction::Invalidate) l1i.probe(physical, physical, action, false);
    for (auto* cache : {&l2, &l2i}) {
      if (*cache) dirty |= (*cache)->probe(physical, physical, action, true).dirty;
    }
    HierarchyOutcome ignored;
    if (action == CoherenceAction::Clean && dirty) write_back(&last_level, physical, ignored);
    if (action == CoherenceAction::Invalidate && dirty) newer_than_memory.erase(physical / 64);  // The other has it.
    return dirty;
  }

  /// No store is lost: what is newer than memory is dirty somewhere.
  [[nodiscard]] bool keeps_every_store() const {
    return std::all_of(newer_than_memory.begin(), newer_than_memory.end(), [&](std::uint64_t line) {
      return holds(l1d, line, true) || (l2 && holds(*l2, line, true)) || (last_level && holds(*last_level, line, true));
    });
  }
  static bool holds(const naive::CacheModel& cache, std::uint64_t line, bool dirty) {
    for (const auto& set : cache.content()) {
      for (const auto& held : set) {
        if (held && held->line == line && (held->dirty || !dirty)) return true;
      }
    }
    return false;
  }
  static bool includes(const naive::CacheModel& lower, const naive::CacheModel& upper) {
    for (const auto& set : upper.content()) {
      for (const auto& held : set) {
        if (held && !holds(lower, held->line, false)) return false;
      }
    }
    return true;
  }
  [[nodiscard]] bool is_inclusive() const {
    bool right = true;
    if (l2 && l2->config().inclusive) right &= includes(*l2, l1d) && (l2i || includes(*l2, l1i));
    if (l2i && l2i->config().inclusive) right &= includes(*l2i, l1i);
    if (!last_level || !last_level->config().inclusive) return right;
    right &= includes(*last_level, l1d) && includes(*last_level, l1i);
    return right && (!l2 || includes(*last_level, *l2)) && (!l2i || includes(*last_level, *l2i));
  }

 private:
  using Level = std::optional<naive::CacheModel>;

  void note(HierarchyOutcome& outcome, const CacheOutcome& one) {
    outcome.levels[outcome.level_count++] = one;
    outcome.latency += one.latency;
    outcome.energy += one.energy;
  }
  /// The level itself, or where there is none the next; null is memory.
  Level* at(Level* level) {
    if (level != nullptr && !level->has_value()) level = level == &last_level ? nullptr : &last_level;
    return level != nullptr && level->has_value() ? level : nullptr;
  }
  Level* after(Level* level) { return level == &last_level ? nullptr : &last_level; }

  void fetch(Level* wanted, std::uint64_t physical, AccessKind kind, HierarchyOutcome& outcome, bool background) {
    Level* level = at(wanted);
    if (level == nullptr) {
      ++memory_reads;
      outcome.memory_reached |= !background;
      outcome.latency += background ? 0 : config_.memory_latency;
      outcome.energy += config_.memory_energy;
      return;
    }
    const CacheOutcome one =
        (*level)->access(physical, physical, kind == AccessKind::Fetch ? kind : AccessKind::Read, false);
    if (background)
      arrive(outcome, one);
    else
      note(outcome, one);
    if (victims_first_) lose(level, one, outcome);
    if (!one.hit) fetch(after(level), physical, kind, outcome, background);
    if (!victims_first_) lose(level, one, outcome);
  }
  void arrive(HierarchyOutcome& outcome, const CacheOutcome& one) {
    outcome.write_backs.push_back(one);
    outcome.energy += one.energy;
  }
  void write_back(Level* wanted, std::uint64_t line, HierarchyOutcome& outcome) {
    Level* level = at(wanted);
    if (level == nullptr) return to_memory(line, outcome);
    if ((*level)->config().arrival == WriteBackArrival::Update) {
      if (!(*level)->mark_dirty(line, line)) write_back(after(level), line, outcome);
      return;
    }
    const CacheOutcome one = (*level)->access(line, line, AccessKind::Write, false);
    arrive(outcome, one);
    lose(level, one, outcome);
    if (one.passes_on) write_back(after(level), line, outcome);
  }
  void store_below(Level* wanted, std::uint64_t physical, HierarchyOutcome& outcome) {
    Level* level = at(wanted);
    if (level == nullptr) return to_memory(physical, outcome);
    const CacheOutcome one = (*level)->access(physical, physical, AccessKind::Write, false);
    arrive(outcome, one);
    if (victims_first_) lose(level, one, outcome);
    if (one.filled) fetch(after(level), physical, AccessKind::Read, outcome, true);
    if (one.passes_on) store_below(after(level), physical, outcome);
    if (!victims_first_) lose(level, one, outcome);
  }
  void to_memory(std::uint64_t physical, HierarchyOutcome& outcome) {
    ++memory_writes;
    outcome.energy += config_.memory_energy;
    newer_than_memory.erase(physical / 64);
  }
  void lose(Level* level, const CacheOutcome& one, HierarchyOutcome& outcome) {
    if (!one.evicted) return;
    const std::uint64_t line = one.evicted->line.value;
    bool dirty = one.evicted->dirty;
    if ((*level)->config().inclusive) {
      std::vector<naive::CacheModel*> above;
      if (level != &l2i) above.push_back(&l1d);
      if (level != &l2 || !l2i) above.push_back(&l1i);
      if (level == &last_level && l2) above.push_back(&*l2);
      if (level == &last_level && l2i) above.push_back(&*l2i);
      for (naive::CacheModel* cache : above) {
        const ProbeOutcome gone = cache->probe(line, line, CoherenceAction::Invalidate, false);
        invalidated += gone.hit ? 1 : 0;
        dirty |= gone.dirty;
      }
    }
    if (dirty) write_back(after(level), line, outcome);
  }

 public:
  naive::CacheModel l1i, l1d;
  Level l2, l2i, last_level;
  std::set<std::uint64_t> newer_than_memory;
  std::uint64_t memory_reads = 0, memory_writes = 0, invalidated = 0;

 private:
  CacheHierarchyConfig config_;
  bool victims_first_ = false;
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
    const std::optional<unsigned> way = caches.l2()->find({0});
    QVERIFY(way);
    QCOMPARE(caches.l2()->line(0, *way).dirty, std::uint8_t{1});
  }

  void a_store_miss_leaves_the_lower_levels_clean() {
    CacheHierarchy caches(plain_config());
    caches.access(data_at(0, AccessKind::Write));
    QCOMPARE(caches.l1d().line(0, *caches.l1d().find({0})).dirty, std::uint8_t{1});
    QCOMPARE(caches.l2()->line(0, *caches.l2()->find({0})).dirty, std::uint8_t{0});
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
    QVERIFY(caches.l1d().find({0x5fc0}));
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
    QTest::addColumn<CacheHierarchyConfig>("config");
    using Change = std::function<void(CacheHierarchyConfig&)>;
    const std::vector<std::pair<const char*, Change>> organisations = {
        {"PIPT", [](auto& config) { config.l1d.organisation = CacheOrganisation::Pipt; }},
        {"VIPT", [](auto& config) { config.l1d.organisation = CacheOrganisation::Vipt; }},
        {"SEESAW 4way", [](auto& config) { config.l1d.organisation = CacheOrganisation::Seesaw; }},
        {"SEESAW 4way-8way",
         [](auto& config) {
           config.l1d.organisation = CacheOrganisation::Seesaw;
           config.l1d.insertion = InsertionPolicy::PartitionOrWhole;
         }},
    };
    const auto through = [](auto& config) { config.l1d.write = WritePolicy::WriteThrough; };
    const auto around = [](auto& config) { config.l1d.write_allocate = false; };
    const auto split = [](auto& config) {
      config.l2i = config.l2;
      config.l2i->name = "L2I";
      config.l2i->size = 4 * 1024;
    };
    const std::vector<std::pair<const char*, Change>> policies = {
        {"as it is", [](auto&) {}},
        {"no L2", [](auto& config) { config.l2.reset(); }},
        {"no LLC", [](auto& config) { config.last_level.reset(); }},
        {"nothing below",
         [](auto& config) {
           config.l2.reset();
           config.last_level.reset();
         }},
        {"tree-PLRU",
         [](auto& config) { config.l1d.replacement = config.l2->replacement = ReplacementKind::TreePlru; }},
        {"write-through", through},
        {"stores around", around},
        {"write-through, around",
         [=](auto& config) {
           through(config);
           around(config);
         }},
        {"write-through everywhere",
         [=](auto& config) {
           through(config);
           config.l2->write = config.last_level->write = WritePolicy::WriteThrough;
           config.l2->write_allocate = false;
         }},
        {"victims only update",
         [](auto& config) { config.l2->arrival = config.last_level->arrival = WriteBackArrival::Update; }},
        {"L2 inclusive", [](auto& config) { config.l2->inclusive = true; }},
        {"LLC inclusive",
         [](auto& config) {
           config.last_level->inclusive = true;
           config.last_level->size = 10 * 1024;
         }},
        {"both inclusive, write-through",
         [=](auto& config) {
           through(config);
           config.l2->inclusive = config.last_level->inclusive = true;
           config.last_level->size = 10 * 1024;
         }},
        {"split L2", split},
        {"split L2, all inclusive",
         [=](auto& config) {
           config.l2->inclusive = config.last_level->inclusive = true;
           split(config);
         }},
        {"way prediction", [](auto& config) { config.l1d.way_prediction = true; }},
    };
    for (const auto& [organisation, organise] : organisations) {
      for (const auto& [policy, decide] : policies) {
        CacheHierarchyConfig config = plain_config();
        config.l1d.size = 4 * 1024;  // 8 sets: SEESAW's partition bits are then bits 11 to 9 of the page offset.
        config.l1d.ways = 8;
        organise(config);
        decide(config);
        QTest::addRow("%s, %s", organisation, policy) << config;
      }
    }
  }
  void agrees_with_the_plain_model_watched_or_not() {
    QFETCH(CacheHierarchyConfig, config);
    const std::uint64_t seed = 700;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    QCOMPARE(problem_of(config), std::string());
    CacheHierarchy watched(config);
    CacheHierarchy quiet(config);
    HierarchyModel model(config);
    for (int step = 0; step < 8000; ++step) {
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
      if (random.one_in(40)) {
        const auto action = static_cast<CoherenceAction>(random.below(3));
        const PhysicalAddress probed{random.below(32) * 4096 + random.below(4) * 64};
        const ProbeOutcome probe = watched.coherence_probe(probed, action);
        QCOMPARE(quiet.coherence_probe(probed, action).hit, probe.hit);
        QCOMPARE(probe.dirty, model.coherence(probed.value, action));
      }
      const HierarchyOutcome outcome = watched.access(reference);
      const HierarchyCost cost = quiet.access_quietly(reference);
      const HierarchyOutcome right = model.access(reference, outcome.tft.hit && superpage);
      QVERIFY2(same(outcome, right), qPrintable(QString("step %1").arg(step)));
      QCOMPARE(cost.latency, std::uint64_t{right.latency});
      QVERIFY(same_energy(cost.energy, double{right.energy}));
      QCOMPARE(cost.l1_hit, right.levels[0].hit);
      if (right.levels[0].filled) QCOMPARE(cost.memory_reached, right.memory_reached);
      if (right.levels[0].filled) QCOMPARE(cost.levels, std::uint64_t{right.level_count});
      if (step % 1000 == 0) QVERIFY(model.keeps_every_store() && model.is_inclusive());
    }
    QVERIFY(model.keeps_every_store());
    QVERIFY(model.is_inclusive());
    QCOMPARE(test::state_of(quiet), test::state_of(watched));
    const std::vector<std::pair<const Cache*, const naive::CacheModel*>> pairs = {
        {&watched.l1i(), &model.l1i},
        {&watched.l1d(), &model.l1d},
        {watched.l2(), model.l2 ? &*model.l2 : nullptr},
        {watched.l2i(), model.l2i ? &*model.l2i : nullptr},
        {watched.last_level(), model.last_level ? &*model.last_level : nullptr}};
    for (const auto& [cache, right] : pairs) {
      QCOMPARE(cache == nullptr, right == nullptr);
      if (cache == nullptr) continue;
      QVERIFY2(naive::same(cache->counters(), right->counters), cache->config().name.c_str());
      QVERIFY2(naive::same_content(*cache, *right), cache->config().name.c_str());
    }
    QCOMPARE(watched.memory_counters().reads, model.memory_reads);
    QCOMPARE(watched.memory_counters().writes, model.memory_writes);
    QCOMPARE(watched.inclusion_counters().invalidated, model.invalidated);
    const bool any_inclusive =
        (config.l2 && config.l2->inclusive) || (config.last_level && config.last_level->inclusive);
    QCOMPARE(model.invalidated > 100, any_inclusive);
    QVERIFY(model.memory_writes > 100);
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
