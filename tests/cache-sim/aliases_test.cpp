// SPDX-License-Identifier: GPL-3.0-or-later
//
// Synonyms and homonyms: pointed cases, and a plain model that keeps the data themselves. Its slots hold whose line
// they are and the latest store in them, so an error is seen by comparing what was served with what was meant.
#include <QtTest>
#include <list>
#include <map>

#include "cache-sim/cache_hierarchy.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

Q_DECLARE_METATYPE(CacheHierarchyConfig)

namespace {

constexpr TlbTag kFirst{.address_space = 1};
constexpr TlbTag kSecond{.address_space = 2};

CacheHierarchyConfig config_of(CacheOrganisation organisation, AliasHandling aliases, unsigned kilobytes_a_way = 4) {
  CacheHierarchyConfig config;
  config.l1d.organisation = organisation;
  config.l1d.aliases = aliases;
  config.l1d.ways = 2;
  config.l1d.size = std::uint64_t{kilobytes_a_way} * 1024 * config.l1d.ways;
  config.l2 =
      CacheConfig{.name = "L2", .size = 256 * 1024, .ways = 8, .organisation = CacheOrganisation::Pipt, .latency = 12};
  return config;
}

CacheReference at(std::uint64_t virtual_address, std::uint64_t physical_address, AccessKind kind = AccessKind::Read,
                  TlbTag owner = kFirst) {
  return {.virtual_address = {virtual_address},
          .physical_address = {physical_address},
          .page_size = PageSize::Size4K,
          .kind = kind,
          .walk = false,
          .owner = owner};
}

/// One L1 in front of a memory, with data: for each line the number of the latest store to it, and whose line it is.
class DataModel {
 public:
  struct Datum {
    std::uint64_t line = 0, store = 0;
  };
  explicit DataModel(const CacheConfig& config) : config_(config) {
    sets_ = config.size / config.line / config.ways;
    content_.resize(sets_);
  }

  struct Served {
    bool hit = false;
    AliasError error = AliasError::None;
  };
  Served access(const CacheReference& reference) {
    const bool write = reference.kind == AccessKind::Write;
    const bool through = config_.write == WritePolicy::WriteThrough;
    const std::uint64_t line = reference.physical_address.value / 64;
    const std::uint64_t set = (reference.walk ? line : reference.virtual_address.value / 64) % sets_;
    const Name name = name_of(reference);
    std::list<Slot>& in_set = content_[set];
    auto slot = std::find_if(in_set.begin(), in_set.end(), [&](const Slot& held) { return held.name == name; });
    Served served;
    served.hit = slot != in_set.end();
    if (!served.hit) {
      if (config_.aliases == AliasHandling::Evict) take_away(line);
      if (write && !config_.write_allocate) {
        memory_[line] = latest_[line] = ++clock_;
        return served;
      }
      if (in_set.size() == config_.ways) {
        give_back(in_set.back());
        in_set.pop_back();
      }
      in_set.push_front({.name = name, .datum = {line, memory_[line]}, .page_shift = page_shift(reference.page_size)});
    } else {
      in_set.splice(in_set.begin(), in_set, slot);
    }
    Slot& used = in_set.front();
    if (used.datum.line != line)
      served.error = AliasError::Homonym;
    else if (used.datum.store != latest_[line])
      served.error = AliasError::Synonym;
    if (!write) return served;
    const std::uint64_t mine = ++clock_;
    latest_[line] = mine;
    if (through) memory_[line] = mine;
    if (used.datum.line == line) {
      used.datum.store = mine;
      used.dirty = !through;
    } else if (!through) {
      used.datum.store = latest_[used.datum.line] = ++clock_;  // As if it had been a store to that line.
      used.dirty = true;
    }
    return served;
  }

  void probe(std::uint64_t line, CoherenceAction action) {
    for (std::list<Slot>& in_set : content_) {
      for (Slot& slot : in_set) {
        if (slot.datum.line != line || action == CoherenceAction::Look) continue;
        give_back(slot);
        slot.dirty = false;
      }
      if (action == CoherenceAction::Invalidate)
        in_set.remove_if([&](const Slot& slot) { return slot.datum.line == line; });
    }
  }
  template <typename Condition>
  unsigned flush(Condition condition) {
    unsigned count = 0;
    for (std::list<Slot>& in_set : content_) {
      for (auto slot = in_set.begin(); slot != in_set.end();) {
        const bool goes = !slot->name.physical && condition(*slot);
        if (goes) give_back(*slot);
        count += goes ? 1 : 0;
        slot = goes ? in_set.erase(slot) : std::next(slot);
      }
    }
    return count;
  }
  struct Name {
    bool physical = false;
    std::uint64_t line = 0;
    std::uint32_t space = 0;
    bool operator==(const Name&) const = default;
  };
  struct Slot {
    Name name;
    Datum datum;
    bool dirty = false;
    unsigned page_shift = 12;
  };

 private:
  [[nodiscard]] Name name_of(const CacheReference& reference) const {
    const bool physical = reference.walk || config_.organisation == CacheOrganisation::Vipt;
    if (physical) return {.physical = true, .line = reference.physical_address.value / 64};
    return {.line = reference.virtual_address.value / 64,
            .space = config_.aliases == AliasHandling::Evict ? reference.owner.address_space : 0U};
  }
  void give_back(const Slot& slot) {
    if (slot.dirty) memory_[slot.datum.line] = slot.datum.store;
  }
  void take_away(std::uint64_t line) {
    for (std::list<Slot>& in_set : content_) {
      for (const Slot& slot : in_set) {
        if (slot.datum.line == line) give_back(slot);
      }
      in_set.remove_if([&](const Slot& slot) { return slot.datum.line == line; });
    }
  }

  CacheConfig config_;
  std::uint64_t sets_ = 1;
  std::vector<std::list<Slot>> content_;  ///< Most recently used first.
  std::map<std::uint64_t, std::uint64_t> memory_, latest_;
  std::uint64_t clock_ = 0;
};

}  // namespace

class AliasesTest : public QObject {
  Q_OBJECT

 private slots:
  void only_virtual_tags_and_large_ways_have_aliases() {
    CacheConfig config;  // 32 KB, 8 ways.
    QVERIFY(!has_aliases(config));
    config.ways = 4;
    QVERIFY(has_aliases(config));
    config.organisation = CacheOrganisation::Pipt;
    QVERIFY(!has_aliases(config));
    config.ways = 8;
    config.organisation = CacheOrganisation::Vivt;
    QVERIFY(has_aliases(config));
  }

  void what_cannot_be_handled_is_refused_with_a_remedy() {
    CacheHierarchyConfig config = config_of(CacheOrganisation::Vivt, AliasHandling::Refuse);
    QVERIFY(problem_of(config).find("aliases: evict") != std::string::npos);
    config.l1d.aliases = AliasHandling::Evict;
    QCOMPARE(problem_of(config), std::string());
    config = config_of(CacheOrganisation::Vipt, AliasHandling::Refuse, 8);
    QVERIFY(problem_of(config).find("more ways") != std::string::npos);
    config.l1d.aliases = AliasHandling::Ignore;
    QCOMPARE(problem_of(config), std::string());
    config.l1d = {.size = 96 * 64, .ways = 2};  // 48 sets: other sets before and after translation.
    QVERIFY(problem_of(config).find("power of two of sets") != std::string::npos);
    config = config_of(CacheOrganisation::Seesaw, AliasHandling::Evict, 16);
    config.l1d.ways = 4;  // 8 KB a way.
    QVERIFY(!problem_of(config).empty());
    config = config_of(CacheOrganisation::Vivt, AliasHandling::Evict);
    config.l2->organisation = CacheOrganisation::Vivt;
    QVERIFY(!problem_of(config).empty());
  }

  void a_synonym_in_a_virtually_tagged_cache_reads_the_old_copy() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Ignore));
    QVERIFY(caches.access(at(0x1000, 0x9000)).alias == AliasError::None);
    QVERIFY(!caches.access(at(0x2000, 0x9000)).levels[0].hit);  // The other name brings a second copy.
    QVERIFY(caches.access(at(0x1000, 0x9000, AccessKind::Write)).alias == AliasError::None);
    QVERIFY(caches.access(at(0x1000, 0x9000)).alias == AliasError::None);
    QVERIFY(caches.access(at(0x2000, 0x9000)).alias == AliasError::Synonym);
    QCOMPARE(caches.alias_counters().synonym_errors, std::uint64_t{1});
    QCOMPARE(caches.alias_counters().homonym_errors, std::uint64_t{0});
  }

  void a_miss_that_fetches_what_a_dirty_synonym_has_not_written_back_is_an_error_too() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Ignore));
    caches.access(at(0x1000, 0x9000, AccessKind::Write));
    const HierarchyOutcome stale = caches.access(at(0x2000, 0x9000));
    QVERIFY(!stale.levels[0].hit);
    QVERIFY(stale.alias == AliasError::Synonym);
  }

  void a_homonym_in_a_virtually_tagged_cache_reads_another_line() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Ignore));
    caches.access(at(0x1000, 0x9000, AccessKind::Read, kFirst));
    caches.context_switched();
    const HierarchyOutcome wrong = caches.access(at(0x1000, 0xa000, AccessKind::Read, kSecond));
    QVERIFY(wrong.levels[0].hit);
    QVERIFY(wrong.alias == AliasError::Homonym);
    QCOMPARE(caches.alias_counters().homonym_errors, std::uint64_t{1});
  }

  void tags_that_hold_the_address_space_have_no_homonyms() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Evict));
    caches.access(at(0x1000, 0x9000, AccessKind::Read, kFirst));
    QVERIFY(!caches.access(at(0x1000, 0xa000, AccessKind::Read, kSecond)).levels[0].hit);
    QVERIFY(caches.access(at(0x1000, 0x9000, AccessKind::Read, kFirst)).levels[0].hit);
    QVERIFY(caches.access(at(0x1000, 0xa000, AccessKind::Read, kSecond)).levels[0].hit);
    QCOMPARE(caches.alias_counters().homonym_errors, std::uint64_t{0});
  }

  void a_handled_synonym_is_searched_written_back_and_dropped() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Evict));
    caches.access(at(0x1000, 0x9000, AccessKind::Write));
    const std::uint64_t searches = caches.alias_counters().searches;
    const HierarchyOutcome outcome = caches.access(at(0x2000, 0x9000));
    QVERIFY(outcome.alias == AliasError::None);
    QCOMPARE(outcome.dropped.size(), std::size_t{1});
    QCOMPARE(QByteArray(outcome.dropped[0].cache), QByteArray("L1D"));
    QCOMPARE(outcome.dropped[0].line.line.value, std::uint64_t{0x9000});
    QVERIFY(outcome.dropped[0].line.dirty);
    QCOMPARE(outcome.write_backs.size(), std::size_t{1});  // Into L2, before it is read from there.
    QVERIFY(outcome.levels[1].hit);
    QCOMPARE(caches.alias_counters().searches, searches + 1);
    QCOMPARE(caches.alias_counters().searched_ways, 2 * (searches + 1));  // One set of two ways each time.
    QCOMPARE(caches.alias_counters().evicted, std::uint64_t{1});
    QVERIFY(!caches.access(at(0x1000, 0x9000)).levels[0].hit);
  }

  void a_large_vipt_searches_the_other_sets_where_a_line_can_be() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vipt, AliasHandling::Evict, 16));  // Four colours.
    caches.access(at(0x1000, 0x9000, AccessKind::Write));
    QCOMPARE(caches.alias_counters().searched_ways, std::uint64_t{3 * 2});  // Its own set's tags are physical.
    QVERIFY(caches.access(at(0x5000, 0x9000)).levels[0].hit);               // The same colour: the same place.
    const HierarchyOutcome moved = caches.access(at(0x2000, 0x9000));
    QVERIFY(!moved.levels[0].hit);
    QCOMPARE(moved.dropped.size(), std::size_t{1});
    QCOMPARE(moved.dropped[0].line.set, 64U);
    QVERIFY(moved.alias == AliasError::None);
  }

  void a_large_vipt_whose_synonyms_nobody_handles_reads_old_data() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vipt, AliasHandling::Ignore, 8));
    caches.access(at(0x1000, 0x9000));
    caches.access(at(0x2000, 0x9000, AccessKind::Write));
    QVERIFY(caches.access(at(0x1000, 0x9000)).alias == AliasError::Synonym);
    QVERIFY(caches.access(at(0x2000, 0x9000)).alias == AliasError::None);
    QCOMPARE(caches.alias_counters().homonym_errors, std::uint64_t{0});  // Its tags are physical.
  }

  void a_dirty_victim_of_a_virtually_tagged_cache_goes_to_its_physical_address() {
    for (const AliasHandling aliases : {AliasHandling::Evict, AliasHandling::Ignore}) {
      CacheHierarchy caches(config_of(CacheOrganisation::Vivt, aliases));
      caches.access(at(0x1000, 0x9000, AccessKind::Write));
      caches.access(at(0x2000, 0xa000));
      const HierarchyOutcome outcome = caches.access(at(0x3000, 0xb000));
      QCOMPARE(outcome.levels[0].evicted->line.value, std::uint64_t{0x9000});
      QCOMPARE(outcome.levels[0].filled->line.value, std::uint64_t{0xb000});
      QVERIFY(outcome.levels[0].evicted->dirty);
      const std::optional<unsigned> way = caches.l2()->find(PhysicalAddress{0x9000});
      QVERIFY(way);
      QCOMPARE(caches.l2()->line(0x9000 / 64 % caches.l2()->sets(), *way).dirty, std::uint8_t{1});
      QCOMPARE(caches.line_in(caches.l1d(), 0, outcome.levels[0].way)->value, std::uint64_t{0xb000});
    }
  }

  void a_lost_translation_takes_the_lines_of_its_page_along() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Evict));
    caches.access(at(0x1040, 0x9040, AccessKind::Write));
    caches.access(at(0x2080, 0xa080));
    CacheReference large = at(0x40000000, 0x600000);
    large.page_size = PageSize::Size2M;
    caches.access(large);
    QCOMPARE(caches.page_invalidated({0x1fff}).lines, 1U);
    QCOMPARE(caches.page_invalidated({0x1fff}).lines, 0U);
    QVERIFY(caches.l2()->find(PhysicalAddress{0x9040}));
    QCOMPARE(caches.page_invalidated({0x40123456}).lines, 1U);  // The 2 MB page that the line came through.
    QVERIFY(caches.access(at(0x2080, 0xa080)).levels[0].hit);
    caches.access(at(0x3000, 0xb000, AccessKind::Read, kSecond));
    QCOMPARE(caches.address_space_invalidated(kFirst).lines, 1U);
    QCOMPARE(caches.virtual_machine_invalidated(1).lines, 0U);
    QCOMPARE(caches.virtual_machine_invalidated(0).lines, 1U);
    QCOMPARE(caches.all_invalidated().lines, 0U);
  }

  void remapping_a_page_after_its_invalidation_is_no_homonym() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Evict));
    caches.access(at(0x1000, 0x9000));
    caches.page_invalidated({0x1000});
    QVERIFY(caches.access(at(0x1000, 0xa000)).alias == AliasError::None);
    // An operating system that forgets it gets what it deserves, and is told.
    QVERIFY(caches.access(at(0x1000, 0xb000)).alias == AliasError::Homonym);
  }

  void a_virtual_hit_needs_no_translation() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Evict));
    QVERIFY(caches.translation_order(AccessKind::Read) == TranslationOrder::OnMiss);
    QVERIFY(caches.translation_order(AccessKind::Fetch) == TranslationOrder::Beside);
    QVERIFY(!caches.hits_virtually(at(0x1000, 0x9000)));
    caches.access(at(0x1000, 0x9000));
    QVERIFY(caches.hits_virtually(at(0x1008, 0x9008)));
    QVERIFY(!caches.hits_virtually(at(0x1000, 0x9000, AccessKind::Read, kSecond)));
    CacheHierarchyConfig physical;
    physical.l1d.organisation = CacheOrganisation::Pipt;
    QVERIFY(CacheHierarchy(physical).translation_order(AccessKind::Write) == TranslationOrder::Before);
    QVERIFY(!CacheHierarchy(physical).hits_virtually(at(0x1000, 0x9000)));
  }

  void a_probe_finds_a_line_under_every_name() {
    for (const CacheOrganisation organisation : {CacheOrganisation::Vivt, CacheOrganisation::Vipt}) {
      CacheHierarchy caches(config_of(organisation, AliasHandling::Ignore, 8));
      caches.access(at(0x1000, 0x8000, AccessKind::Write));
      caches.access(at(0x2000, 0x8000));
      const ProbeOutcome look = caches.coherence_probe({0x8000}, CoherenceAction::Look);
      QVERIFY(look.hit && look.dirty);
      QCOMPARE(unsigned{look.ways_probed}, 4U);  // Two sets of two ways.
      QVERIFY(caches.coherence_probe({0x8000}, CoherenceAction::Invalidate).dirty);
      QVERIFY(!caches.coherence_probe({0x8000}, CoherenceAction::Look).hit);
      QVERIFY(!caches.access(at(0x1000, 0x8000)).levels[0].hit);
      QVERIFY(!caches.coherence_probe({0xc000}, CoherenceAction::Look).hit);
    }
  }

  void an_inclusive_level_takes_every_copy_along() {
    CacheHierarchyConfig config = config_of(CacheOrganisation::Vivt, AliasHandling::Ignore);
    config.l2->size = 4096;
    config.l2->ways = 1;
    config.l2->inclusive = true;
    CacheHierarchy caches(config);
    caches.access(at(0x1000, 0x9000));
    caches.access(at(0x2000, 0x9000, AccessKind::Write));
    const HierarchyOutcome outcome = caches.access(at(0x3040, 0xa000));  // Another set of L1, the same of L2.
    QCOMPARE(outcome.dropped.size(), std::size_t{2});
    QCOMPARE(caches.inclusion_counters().invalidated, std::uint64_t{2});
    QCOMPARE(caches.inclusion_counters().dirty, std::uint64_t{1});
    QCOMPARE(caches.memory_counters().writes, std::uint64_t{1});
  }

  void address_spaces_are_renumbered_when_their_numbers_run_out() {
    CacheHierarchy caches(config_of(CacheOrganisation::Vivt, AliasHandling::Evict));
    unsigned errors = 0;
    for (unsigned round = 0; round < 3; ++round) {
      for (unsigned space = 0; space < 5000; ++space) {
        const TlbTag owner{.address_space = static_cast<std::uint16_t>(space)};
        const HierarchyOutcome outcome = caches.access(at(0x1000, 0x10000 + space * 0x1000, AccessKind::Write, owner));
        errors += outcome.alias != AliasError::None ? 1 : 0;
      }
    }
    QCOMPARE(errors, 0U);
    QVERIFY(caches.alias_counters().flushed > 0);
  }

  void agrees_with_data_that_are_really_there_data() {
    QTest::addColumn<CacheHierarchyConfig>("config");
    for (const CacheOrganisation organisation : {CacheOrganisation::Vivt, CacheOrganisation::Vipt}) {
      for (const AliasHandling aliases : {AliasHandling::Evict, AliasHandling::Ignore}) {
        for (const unsigned kilobytes : {4U, 16U}) {
          if (organisation == CacheOrganisation::Vipt && kilobytes == 4) continue;
          for (const bool through : {false, true}) {
            CacheHierarchyConfig config = config_of(organisation, aliases, kilobytes);
            config.l1d.write = through ? WritePolicy::WriteThrough : WritePolicy::WriteBack;
            config.l1d.write_allocate = !through || kilobytes == 4;
            QTest::addRow("%s, %s, %u KB a way, %s", organisation == CacheOrganisation::Vivt ? "VIVT" : "VIPT",
                          aliases == AliasHandling::Evict ? "evict" : "ignore", kilobytes, through ? "through" : "back")
                << config;
          }
        }
      }
    }
  }
  void agrees_with_data_that_are_really_there() {
    QFETCH(CacheHierarchyConfig, config);
    const std::uint64_t seed = 5150;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    CacheHierarchy watched(config);
    CacheHierarchy quiet(config);
    DataModel model(config.l1d);
    std::map<std::pair<unsigned, std::uint64_t>, std::uint64_t> frames;  // (space, page) to frame, a few for many.
    std::uint64_t homonyms = 0, synonyms = 0;
    for (int step = 0; step < 30000; ++step) {
      const auto space = static_cast<std::uint16_t>(1 + random.below(3));
      const std::uint64_t page = random.below(12);
      const TlbTag owner{.address_space = space};
      if (random.one_in(200)) {  // The operating system maps the page anew, and invalidates it as it should.
        frames.erase({space, page});
        const VirtualAddress gone{page << 12};
        const unsigned lines = watched.page_invalidated(gone).lines;
        QCOMPARE(quiet.page_invalidated(gone).lines, lines);
        const bool flushes =
            config.l1d.organisation == CacheOrganisation::Vivt && config.l1d.aliases == AliasHandling::Evict;
        if (flushes)
          QCOMPARE(lines, model.flush([&](const DataModel::Slot& slot) { return slot.name.line / 64 == page; }));
        else
          QCOMPARE(lines, 0U);
      }
      if (frames.count({space, page}) == 0) frames[{space, page}] = random.below(10);
      const std::uint64_t offset = random.below(3) * 64;
      const std::uint64_t physical = frames[{space, page}] << 12 | offset;
      CacheReference reference =
          at(page << 12 | offset, physical, random.one_in(3) ? AccessKind::Write : AccessKind::Read, owner);
      if (random.one_in(15)) {
        reference.walk = true;
        reference.virtual_address = {};
        reference.kind = AccessKind::Read;
      }
      if (random.one_in(60)) {
        const auto action = static_cast<CoherenceAction>(random.below(3));
        const bool held = watched.coherence_probe({physical}, action).hit;
        QCOMPARE(quiet.coherence_probe({physical}, action).hit, held);
        model.probe(physical / 64, action);
      }
      const HierarchyOutcome outcome = watched.access(reference);
      const HierarchyCost cost = quiet.access_quietly(reference);
      const DataModel::Served right = model.access(reference);
      QVERIFY2(outcome.levels[0].hit == right.hit, qPrintable(QString("step %1").arg(step)));
      QVERIFY2(outcome.alias == right.error, qPrintable(QString("step %1").arg(step)));
      QCOMPARE(cost.l1_hit, right.hit);
      QCOMPARE(cost.latency, std::uint64_t{outcome.latency});
      homonyms += right.error == AliasError::Homonym ? 1 : 0;
      synonyms += right.error == AliasError::Synonym ? 1 : 0;
    }
    QCOMPARE(watched.alias_counters().homonym_errors, homonyms);
    QCOMPARE(watched.alias_counters().synonym_errors, synonyms);
    QCOMPARE(test::state_of(quiet), test::state_of(watched));
    const bool ignored = config.l1d.aliases == AliasHandling::Ignore;
    QCOMPARE(synonyms > 20, ignored);
    QCOMPARE(homonyms > 100, ignored && config.l1d.organisation == CacheOrganisation::Vivt);
    if (!ignored) QCOMPARE(synonyms + homonyms, std::uint64_t{0});
  }

  void a_restored_guard_goes_on_as_the_old_one_would() {
    const std::uint64_t seed = 31;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    const CacheHierarchyConfig config = config_of(CacheOrganisation::Vivt, AliasHandling::Ignore);
    const auto next = [&random] {
      return at(random.below(8) << 12, random.below(6) << 12, random.one_in(3) ? AccessKind::Write : AccessKind::Read);
    };
    CacheHierarchy caches(config);
    for (int i = 0; i < 1000; ++i) caches.access_quietly(next());
    CacheHierarchy fresh(config);
    test::restore(fresh, test::state_of(caches));
    for (int i = 0; i < 1000; ++i) {
      const CacheReference reference = next();
      QVERIFY(fresh.access(reference).alias == caches.access(reference).alias);
    }
    QCOMPARE(test::state_of(fresh), test::state_of(caches));
  }
};

QTEST_APPLESS_MAIN(AliasesTest)
#include "aliases_test.moc"
