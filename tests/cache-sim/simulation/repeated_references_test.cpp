// SPDX-License-Identifier: GPL-3.0-or-later
//
// References that hit the line of the one before are counted in one go. The truth is the same simulation asked for its
// report after every record: it then may leave nothing for later, and looks every reference up.
#include <QTest>
#include <random>

#include "tests/cache-sim/simulation/records.h"

using namespace shearling;
using namespace shearling::test;

namespace {

using Numbers = std::vector<double>;

void add(Numbers& numbers, const CaseReport& one) {
  for (const std::uint64_t value : {one.accesses, one.misses, one.ways_probed, one.latency_cycles})
    numbers.push_back(static_cast<double>(value));
}

void add(Numbers& numbers, const CacheCounters& c) {
  for (const std::uint64_t value :
       {c.reads, c.writes, c.read_misses, c.write_misses, c.ways_probed, c.write_backs, c.fills, c.passed_on,
        c.way_predictions, c.way_mispredictions, c.probes, c.probe_hits, c.probe_ways})
    numbers.push_back(static_cast<double>(value));
  numbers.push_back(c.energy);
}

/// All that a simulation can tell.
Numbers numbers_of(const Simulation& simulation) {
  const SimulationReport report = simulation.report();
  Numbers numbers;
  for (const LevelReport& level : report.levels) {
    for (const std::uint64_t value :
         {level.accesses, level.reads, level.writes, level.misses, level.read_misses, level.write_misses,
          level.ways_probed, level.write_backs, level.walk_accesses, level.walk_misses})
      numbers.push_back(static_cast<double>(value));
    numbers.push_back(level.energy);
  }
  for (const SimulationReport::TlbReport& tlb : report.tlbs) {
    numbers.push_back(static_cast<double>(tlb.lookups));
    numbers.push_back(static_cast<double>(tlb.hits));
  }
  for (const CaseReport& one :
       {report.superpage_data, report.base_page_data, report.tft_hit_l1_hit, report.tft_hit_l1_miss,
        report.tft_miss_l1_hit, report.tft_miss_l1_miss, report.base_page})
    add(numbers, one);
  for (const std::uint64_t value :
       {report.references, report.instructions, report.walks, report.walk_references, report.walk_cycles,
        report.tft_fills, report.memory_reads, report.memory_writes, report.swept_lines, report.probes,
        report.probe_hits, report.replays, report.assumed_slow})
    numbers.push_back(static_cast<double>(value));
  for (const double value : {report.cycles, report.l1_cycles, report.beyond_l1_cycles, report.replay_cycles,
                             report.energy.l1d, report.energy.tlb, report.energy.tft, report.energy.total()})
    numbers.push_back(value);
  const CacheHierarchy& caches = simulation.caches();
  add(numbers, caches.l1i().counters());
  add(numbers, caches.l1d().counters());
  const SeesawCounters& seesaw = caches.seesaw_counters();
  for (const std::uint64_t value : {seesaw.superpage_tft_hit_l1_hit, seesaw.superpage_tft_hit_l1_miss,
                                    seesaw.superpage_tft_miss, seesaw.base_page, seesaw.replays, seesaw.assumed_slow})
    numbers.push_back(static_cast<double>(value));
  return numbers;
}

/// Short runs of references in and around few lines, in two address spaces; now and then something that changes pages
/// or caches from outside.
std::vector<ReferenceRecord> random_stream(std::mt19937_64& random, std::size_t count) {
  std::vector<ReferenceRecord> records;
  std::uint16_t space = 0;
  std::uint64_t code = 0x400000, data = 0x40000000;
  while (records.size() < count) {
    const std::uint64_t dice = random() % 400;
    if (random() % 6 == 0) data = 0x40000000 + random() % (random() % 4 == 0 ? 8 << 20 : 16 << 10);
    if (random() % 12 == 0) code = 0x400000 + random() % (64 << 10);
    ReferenceRecord one = record(RecordKind::Read, data + random() % 64, 1U << random() % 4);
    if (dice == 0) space = static_cast<std::uint16_t>(1 - space);
    if (dice < 9) {
      constexpr std::array kEvents{RecordKind::ContextSwitch, RecordKind::InvalidatePage,
                                   RecordKind::Splinter,      RecordKind::Promote,
                                   RecordKind::CoherenceRead, RecordKind::CoherenceInvalidate};
      one.kind = dice == 0 ? RecordKind::ContextSwitch : kEvents[1 + random() % 5];
    } else if (dice < 150) {
      one = fetch(code += 4);
    } else {
      one.kind = static_cast<RecordKind>(1 + random() % 3);
    }
    one.address_space = space;
    records.push_back(one);
  }
  return records;
}

struct Variant {
  const char* name;
  void (*change)(SimulationConfig&);
};
const std::vector<Variant>& variants() {
  static const std::vector<Variant> kVariants{
      {"as it is", [](SimulationConfig&) {}},
      {"write-through", [](SimulationConfig& c) { c.caches.l1d.write = WritePolicy::WriteThrough; }},
      {"no allocation on writes", [](SimulationConfig& c) { c.caches.l1d.write_allocate = false; }},
      {"4way-8way", [](SimulationConfig& c) { c.caches.l1d.insertion = InsertionPolicy::PartitionOrWhole; }},
      {"tree-PLRU", [](SimulationConfig& c) { c.caches.l1d.replacement = ReplacementKind::TreePlru; }},
      {"random replacement", [](SimulationConfig& c) { c.caches.l1d.replacement = ReplacementKind::Random; }},
      {"way prediction", [](SimulationConfig& c) { c.caches.l1d.way_prediction = true; }},
      {"quarter rule", [](SimulationConfig& c) { c.caches.scheduler = SchedulerPolicy::QuarterRule; }},
      {"always slow", [](SimulationConfig& c) { c.caches.scheduler = SchedulerPolicy::AlwaysSlow; }},
      {"an inclusive L2",
       [](SimulationConfig& c) {
         c.caches.l2->inclusive = true;
         c.caches.l2->size = 32 << 10;
       }},
      {"each line", [](SimulationConfig& c) { c.line_crossing = LineCrossing::EachLine; }},
      {"walks through a small L1D",
       [](SimulationConfig& c) {
         c.address_space_tags = false;
         c.translation->second_level.reset();
         c.translation->walk_cache_entries = 0;
         for (auto* side : {&c.translation->data, &c.translation->instruction}) (*side)[0].entries = 4;
         if (c.caches.l1d.organisation == CacheOrganisation::Seesaw) return;
         c.caches.l1d.size = 512;
         c.caches.l1d.ways = 2;
       }},
  };
  return kVariants;
}

}  // namespace

class RepeatedReferencesTest : public QObject {
  Q_OBJECT

 private slots:
  void they_count_as_if_each_were_looked_up_data() {
    QTest::addColumn<int>("organisation");
    QTest::addColumn<int>("variant");
    static constexpr std::array kNames{"VIPT", "SEESAW", "PIPT", "VIVT"};
    for (int organisation = 0; organisation < 4; ++organisation) {
      for (int variant = 0; variant < static_cast<int>(variants().size()); ++variant) {
        QTest::addRow("%s, %s", kNames[static_cast<std::size_t>(organisation)],
                      variants()[static_cast<std::size_t>(variant)].name)
            << organisation << variant;
      }
    }
  }
  void they_count_as_if_each_were_looked_up() {
    QFETCH(int, organisation);
    QFETCH(int, variant);
    SimulationConfig config = translated_config(static_cast<CacheOrganisation>(organisation), 0.5);
    if (config.caches.l1d.organisation == CacheOrganisation::Vivt) config.caches.l1d.aliases = AliasHandling::Evict;
    config.timing.replay_penalty = 5;
    variants()[static_cast<std::size_t>(variant)].change(config);
    if (const std::string problem = problem_of(config); !problem.empty()) QSKIP(problem.c_str());
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      std::mt19937_64 random(seed);
      Simulation at_once(config), one_by_one(config);
      for (const ReferenceRecord& record : random_stream(random, 6000)) {
        at_once.take(record);
        one_by_one.take(record);
        (void)one_by_one.report();
      }
      const Numbers expected = numbers_of(one_by_one), found = numbers_of(at_once);
      QCOMPARE(found.size(), expected.size());
      for (std::size_t i = 0; i < found.size(); ++i)
        QVERIFY2(found[i] == expected[i], qPrintable(QString("number %1 is %2, not %3, with seed %4")
                                                         .arg(i)
                                                         .arg(found[i], 0, 'g', 17)
                                                         .arg(expected[i], 0, 'g', 17)
                                                         .arg(seed)));
    }
  }
};

QTEST_APPLESS_MAIN(RepeatedReferencesTest)
#include "repeated_references_test.moc"
