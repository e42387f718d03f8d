// SPDX-License-Identifier: GPL-3.0-or-later
//
// The stand-alone simulator: every counter on streams small enough to be worked out by hand.
#include <QTest>
#include <random>

#include "tests/cache-sim/simulation/records.h"

using namespace shearling;
using namespace shearling::test;

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kRegion = 2 << 20;

/// References, splinters, promotions, switches and probes at random over a few regions.
std::vector<ReferenceRecord> random_records(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random(seed);
  std::vector<ReferenceRecord> records;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t address = random() % 24 * kRegion + (random() % 4 == 0 ? random() % kRegion : random() % 8192);
    ReferenceRecord one = record(static_cast<RecordKind>(random() % 4), address, 1 + random() % 16);
    const std::uint64_t rare = random() % 400;
    if (rare == 0) one.kind = RecordKind::Splinter;
    if (rare == 1) one.kind = RecordKind::Promote;
    if (rare == 2) one.kind = RecordKind::InvalidatePage;
    if (rare == 3) one.kind = RecordKind::ContextSwitch;
    records.push_back(one);
  }
  return records;
}

}  // namespace

class SimulationTest : public QObject {
  Q_OBJECT

 private slots:
  void reads_writes_and_their_misses_are_counted_at_every_level() {
    // L1D: 16 sets of 2 ways. 0, 0x400 and 0x800 are in set 0: the third evicts the first, dirty.
    const SimulationReport report =
        simulate(physical_config(), {store(0), load(0x400), load(0x400), load(0x800), load(0), fetch(0x40)});
    const LevelReport& l1d = level(report, "l1d");
    QCOMPARE(l1d.accesses, 5U);
    QCOMPARE(l1d.reads, 4U);
    QCOMPARE(l1d.writes, 1U);
    QCOMPARE(l1d.misses, 4U);
    QCOMPARE(l1d.read_misses, 3U);
    QCOMPARE(l1d.write_misses, 1U);
    QCOMPARE(l1d.ways_probed, 10U);
    QCOMPARE(l1d.write_backs, 1U);
    QCOMPARE(level(report, "l1i").accesses, 1U);
    QCOMPARE(level(report, "l1i").misses, 1U);
    const LevelReport& llc = level(report, "llc");
    QCOMPARE(llc.accesses, 5U);  // Four misses of data, one of code; the dirty victim is no access.
    QCOMPARE(llc.writes, 1U);
    QCOMPARE(llc.misses, 4U);  // The second miss of line 0 finds it here.
    QCOMPARE(llc.write_misses, 1U);
    QCOMPARE(llc.ways_probed, 20U);
    QCOMPARE(report.references, 6U);
    QCOMPARE(report.instructions, 1U);
    QCOMPARE(report.memory_reads, 4U);
    QCOMPARE(report.memory_writes, 0U);
  }

  void a_modification_is_one_read_that_dirties_its_line() {
    const SimulationReport report = simulate(physical_config(), {modify(0), load(0x400), load(0x800)});
    QCOMPARE(level(report, "l1d").reads, 3U);
    QCOMPARE(level(report, "l1d").writes, 0U);
    QCOMPARE(level(report, "l1d").write_misses, 0U);
    QCOMPARE(level(report, "l1d").write_backs, 1U);
  }

  void a_modification_brings_its_line_even_where_a_store_does_not() {
    SimulationConfig config = physical_config();
    config.caches.l1d.write_allocate = false;
    QCOMPARE(level(simulate(config, {store(0), load(0)}), "l1d").misses, 2U);
    const SimulationReport report = simulate(config, {modify(0), load(0)});
    QCOMPARE(level(report, "l1d").misses, 1U);
    QCOMPARE(level(report, "l1d").accesses, 2U);
  }

  void a_crossing_counts_as_one_reference_as_cachegrind_has_it() {
    // 0x3c to 0x43 touches lines 0 and 1; line 0 is held already, and the LLC sees both lines in one access.
    const SimulationReport report = simulate(physical_config(), {load(0), load(0x3c, 8), load(0x3c, 8)});
    QCOMPARE(level(report, "l1d").accesses, 3U);
    QCOMPARE(level(report, "l1d").misses, 2U);
    QCOMPARE(level(report, "l1d").ways_probed, 10U);
    QCOMPARE(level(report, "llc").accesses, 2U);
    QCOMPARE(level(report, "llc").misses, 2U);
    QCOMPARE(level(report, "llc").ways_probed, 12U);
  }

  void the_line_that_hit_is_used_below_as_well() {
    // An LLC of two sets and two ways: lines 0, 2 and 4 are in set 0, line 1 is in set 1. When line 4 comes, the older
    // of lines 0 and 2 goes. The crossing load hits line 0 in L1 and misses line 1; a load of line 1 alone uses no
    // other.
    SimulationConfig config = physical_config();
    config.caches.last_level->size = 256;
    config.caches.last_level->ways = 2;
    const auto holds = [&](const ReferenceRecord& third, std::uint64_t address) {
      Simulation simulation(config);
      for (const ReferenceRecord& one : {load(0), load(0x80), third, load(0x100)}) simulation.take(one);
      return simulation.caches().last_level()->find(PhysicalAddress{address}).has_value();
    };
    QVERIFY(holds(load(0x3c, 8), 0) && !holds(load(0x3c, 8), 0x80));
    QVERIFY(!holds(load(0x40), 0) && holds(load(0x40), 0x80));
  }

  void each_line_of_a_long_reference_can_be_an_access() {
    SimulationConfig config = physical_config();
    config.line_crossing = LineCrossing::EachLine;
    const SimulationReport report = simulate(config, {load(0x3c, 200)});  // Lines 0 to 4.
    QCOMPARE(level(report, "l1d").accesses, 5U);
    QCOMPARE(level(report, "l1d").misses, 5U);
    QCOMPARE(level(report, "llc").accesses, 5U);
    // As one reference it is at most a line long.
    const SimulationReport one = simulate(physical_config(), {load(0x3c, 200)});
    QCOMPARE(level(one, "l1d").accesses, 1U);
    QCOMPARE(level(one, "llc").ways_probed, 8U);
  }

  void a_side_without_a_cache_counts_its_references_alone() {
    SimulationConfig config = physical_config();
    config.has_l1i = false;
    const SimulationReport report = simulate(config, {fetch(0), fetch(4), load(0)});
    QCOMPARE(report.levels.size(), std::size_t{2});
    QCOMPARE(report.instructions, 2U);
    QCOMPARE(report.references, 3U);
    QCOMPARE(level(report, "llc").accesses, 1U);
  }

  void energies_are_those_of_the_lookups() {
    SimulationConfig config = physical_config();
    config.energy.l1d_leakage_mw = 10;
    config.timing = {.frequency_ghz = 2, .base_cycles_per_instruction = 1, .instructions_per_reference = 100};
    const SimulationReport report = simulate(config, {store(0), load(0x400), load(0x400)});
    QCOMPARE(report.energy.l1d, 3.0);
    QCOMPARE(report.energy.llc, 6.0);
    QCOMPARE(report.energy.memory, 14.0);
    QCOMPARE(report.energy.leakage, 10 * report.nanoseconds * 1e-3);
    QCOMPARE(report.energy.total(), 23.0 + report.energy.leakage);
  }

  void tlbs_and_walks_are_counted() {
    // Two pages of one region, then the first again: two walks of 4 references, of which the page-walk cache spares the
    // second one three.
    const SimulationReport report = simulate(translated_config(CacheOrganisation::Vipt, 0),
                                             {load(0), load(64), load(kPage), load(0), store(kPage + 8)});
    QCOMPARE(report.walks, 2U);
    QCOMPARE(report.walk_references, 5U);
    QCOMPARE(report.walk_skipped, 3U);
    QCOMPARE(level(report, "l1d").walk_accesses, 5U);
    QCOMPARE(level(report, "l1d").accesses, 5U);
    QCOMPARE(level(report, "l1d").ways_probed, 40U);
    const auto& tlbs = report.tlbs;
    QCOMPARE(tlbs.size(), std::size_t{5});  // Two for instructions, two for data, one for both.
    QCOMPARE(tlbs[2].name, std::string("L1 DTLB 4K"));
    QCOMPARE(tlbs[2].lookups, 5U);
    QCOMPARE(tlbs[2].hits, 3U);
    QCOMPARE(tlbs[3].hits, 0U);
    QCOMPARE(tlbs[4].lookups, 2U);
    QCOMPARE(tlbs[4].hits, 0U);
    QCOMPARE(report.base_page_data.accesses, 5U);
    QCOMPARE(report.superpage_data.accesses, 0U);
  }

  void an_l2_tlb_hit_spares_the_walk() {
    SimulationConfig config = translated_config(CacheOrganisation::Vipt, 0);
    std::vector<ReferenceRecord> records;
    for (std::uint64_t page = 0; page < 5; ++page) records.push_back(load(page * 4 * kPage));  // One set of 4 ways.
    records.push_back(load(0));
    const SimulationReport report = simulate(config, records);
    QCOMPARE(report.walks, 5U);
    QCOMPARE(report.tlbs[4].lookups, 6U);
    QCOMPARE(report.tlbs[4].hits, 1U);
  }

  void a_reference_across_a_page_boundary_is_looked_up_twice() {
    const SimulationReport report =
        simulate(translated_config(CacheOrganisation::Vipt, 0), {load(kPage - 4, 8), load(kPage - 4, 8)});
    QCOMPARE(report.tlbs[2].lookups, 4U);
    QCOMPARE(report.tlbs[2].hits, 2U);
    QCOMPARE(report.walks, 2U);
    QCOMPARE(level(report, "l1d").accesses, 2U);
  }

  void the_filter_table_answers_before_the_fill_of_the_same_reference() {
    // The first load walks and fills; the second one of the region is the first that can hit.
    const SimulationReport report = simulate(translated_config(CacheOrganisation::Seesaw, 1),
                                             {load(0), load(0), load(64), store(64), load(kRegion)});
    QCOMPARE(report.tft_miss_l1_miss.accesses, 2U);
    QCOMPARE(report.tft_miss_l1_hit.accesses, 0U);
    QCOMPARE(report.tft_hit_l1_hit.accesses, 2U);
    QCOMPARE(report.tft_hit_l1_miss.accesses, 1U);
    QCOMPARE(report.tft_hit_l1_hit.ways_probed, 8U);
    QCOMPARE(report.tft_miss_l1_miss.ways_probed, 16U);
    QCOMPARE(report.tft_hit_l1_miss.misses, 1U);
    QCOMPARE(report.tft_fills, 2U);
    QCOMPARE(report.superpage_data.accesses, 5U);
    QCOMPARE(report.superpage_data.misses, 3U);
    QCOMPARE(level(report, "l1d").ways_probed, 28U);
  }

  void a_base_page_reads_all_ways_at_the_slow_time() {
    const SimulationReport report =
        simulate(translated_config(CacheOrganisation::Seesaw, 0), {load(0), load(0), store(0)});
    QCOMPARE(report.base_page.accesses, 3U);
    QCOMPARE(report.base_page.ways_probed, 24U);
    QCOMPARE(report.base_page.latency_cycles, 6U);
    QCOMPARE(report.tft_fills, 0U);
  }

  void l1_latencies_are_those_of_the_scheduler() {
    // Eight superpages would fill the TLB: from the second one on a quarter of it is valid.
    SimulationConfig config = translated_config(CacheOrganisation::Seesaw, 1);
    config.caches.scheduler = SchedulerPolicy::QuarterRule;
    const SimulationReport scarce = simulate(config, {load(0), load(0), load(0)});
    QCOMPARE(scarce.tft_hit_l1_hit.latency_cycles, 4U);  // Early, and used late.
    QCOMPARE(scarce.assumed_slow, 2U);
    const SimulationReport enough = simulate(config, {load(0), load(kRegion), load(0), load(0)});
    QCOMPARE(enough.tft_hit_l1_hit.latency_cycles, 2U);
    QCOMPARE(enough.assumed_slow, 0U);
    config.timing.core = CoreModel::InOrder;  // It waits for what comes, and assumes nothing.
    const SimulationReport in_order = simulate(config, {load(0), load(0), load(0)});
    QCOMPARE(in_order.tft_hit_l1_hit.latency_cycles, 2U);
    QCOMPARE(in_order.replays, 0U);
  }

  void a_context_switch_flushes_the_filter_table_and_untagged_tlbs() {
    SimulationConfig config = translated_config(CacheOrganisation::Seesaw, 1);
    const std::vector<ReferenceRecord> records{load(0), load(0), record(RecordKind::ContextSwitch, 0), load(0)};
    const SimulationReport tagged = simulate(config, records);
    QCOMPARE(tagged.walks, 1U);
    QCOMPARE(tagged.tft_miss_l1_hit.accesses, 1U);  // The TLB hit does not fill the filter table again.
    QCOMPARE(tagged.context_switches, 1U);
    config.address_space_tags = false;
    QCOMPARE(simulate(config, records).walks, 2U);
    config.address_space_tags = true;
    config.caches.tft.tagged = true;
    QCOMPARE(simulate(config, records).tft_hit_l1_hit.accesses, 2U);
  }

  void address_spaces_have_translations_of_their_own() {
    ReferenceRecord other = load(0);
    other.address_space = 7;
    const SimulationReport report =
        simulate(translated_config(CacheOrganisation::Vipt, 0), {load(0), other, load(0), other});
    QCOMPARE(report.walks, 2U);
    QCOMPARE(level(report, "l1d").misses, 2U);
  }

  void a_splintered_page_leaves_tlb_and_filter_table_and_its_lines_stay_reachable() {
    const SimulationReport report =
        simulate(translated_config(CacheOrganisation::Seesaw, 1),
                 {load(0x1000), load(0x1000), record(RecordKind::Splinter, 0), load(0x1000), load(0x1000)});
    QCOMPARE(report.splinters, 1U);
    QCOMPARE(report.walks, 2U);
    QCOMPARE(report.tft_hit_l1_hit.accesses, 1U);
    QCOMPARE(report.base_page.accesses, 2U);
    QCOMPARE(report.base_page.misses, 0U);
  }

  void a_promotion_sweeps_the_old_lines_and_makes_a_superpage() {
    const SimulationReport report =
        simulate(translated_config(CacheOrganisation::Seesaw, 0),
                 {store(0x1000), load(0x2000), record(RecordKind::Promote, 0), load(0x1000), load(0x1000)});
    QCOMPARE(report.promotions, 1U);
    QCOMPARE(report.swept_lines, 2U);
    QCOMPARE(report.base_page.accesses, 2U);
    QCOMPARE(report.tft_miss_l1_miss.accesses, 1U);
    QCOMPARE(report.tft_hit_l1_hit.accesses, 1U);
    QCOMPARE(level(report, "l1d").write_backs, 1U);
  }

  void an_invalidated_page_is_walked_again() {
    const SimulationReport report = simulate(translated_config(CacheOrganisation::Vipt, 0),
                                             {load(0), record(RecordKind::InvalidatePage, 0), load(0)});
    QCOMPARE(report.invalidations, 1U);
    QCOMPARE(report.walks, 2U);
  }

  void a_coherence_probe_reads_four_ways_of_seesaw_and_all_of_vipt() {
    const auto probed = [](CacheOrganisation organisation) {
      return simulate(
          translated_config(organisation, 1),
          {translated(store(0), 0x40000000, PageSize::Size2M), probe(RecordKind::CoherenceRead, 0x40000000),
           probe(RecordKind::CoherenceInvalidate, 0x40000000), probe(RecordKind::CoherenceInvalidate, 0x40000000),
           translated(load(0), 0x40000000, PageSize::Size2M)});
    };
    const SimulationReport seesaw = probed(CacheOrganisation::Seesaw), vipt = probed(CacheOrganisation::Vipt);
    QCOMPARE(seesaw.probes, 3U);
    QCOMPARE(seesaw.probe_hits, 2U);
    QCOMPARE(seesaw.probe_ways, 12U);
    QCOMPARE(vipt.probe_ways, 24U);
    QCOMPARE(level(seesaw, "l1d").misses, 2U);
    QVERIFY(seesaw.energy.l1d_coherence < vipt.energy.l1d_coherence);
  }

  void the_streams_own_translations_are_taken() {
    // Two names of one line, then a new frame without an invalidation: the old entry is not believed.
    const SimulationReport report =
        simulate(translated_config(CacheOrganisation::Vipt, 0), {translated(load(0x1000), 0x5000, PageSize::Size4K),
                                                                 translated(load(0x9000), 0x5000, PageSize::Size4K),
                                                                 translated(load(0x1000), 0x7000, PageSize::Size4K)});
    QCOMPARE(level(report, "l1d").misses, 2U);
    QCOMPARE(report.walks, 3U);
  }

  void a_vivt_cache_asks_no_tlb_where_it_hits() {
    SimulationConfig config = translated_config(CacheOrganisation::Vivt, 0);
    config.caches.l1d.aliases = AliasHandling::Evict;
    const SimulationReport report = simulate(config, {load(0), load(0), load(64), load(0)});
    QCOMPARE(level(report, "l1d").misses, 2U);
    QCOMPARE(report.tlbs[2].lookups, 2U);
    QCOMPARE(report.walks, 1U);
  }

  void unhandled_synonyms_and_homonyms_are_reported() {
    SimulationConfig config = translated_config(CacheOrganisation::Vivt, 0);
    config.caches.l1d.aliases = AliasHandling::Ignore;
    const std::vector<ReferenceRecord> synonym{translated(load(0x1000), 0x5000, PageSize::Size4K),
                                               translated(store(0x2000), 0x5000, PageSize::Size4K),
                                               translated(load(0x1000), 0x5000, PageSize::Size4K)};
    QCOMPARE(simulate(config, synonym).synonym_errors, 1U);
    ReferenceRecord other = load(0x1000);
    other.address_space = 2;
    QCOMPARE(simulate(config, {load(0x1000), other}).homonym_errors, 1U);
    config.caches.l1d.aliases = AliasHandling::Evict;
    QCOMPARE(simulate(config, synonym).synonym_errors, 0U);
    QCOMPARE(simulate(config, {load(0x1000), other}).homonym_errors, 0U);
  }

  void without_its_hit_path_seesaw_equals_vipt_access_for_access_data() {
    QTest::addColumn<int>("replacement");
    QTest::newRow("LRU") << static_cast<int>(ReplacementKind::Lru);
    QTest::newRow("tree-PLRU") << static_cast<int>(ReplacementKind::TreePlru);
    QTest::newRow("random") << static_cast<int>(ReplacementKind::Random);
  }
  void without_its_hit_path_seesaw_equals_vipt_access_for_access() {
    QFETCH(int, replacement);
    const std::uint64_t seed = 20180602;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    SimulationConfig vipt_config = translated_config(CacheOrganisation::Vipt, 0.6);
    vipt_config.caches.l1d.replacement = static_cast<ReplacementKind>(replacement);
    SimulationConfig seesaw_config = vipt_config;
    seesaw_config.caches.l1d.organisation = CacheOrganisation::Seesaw;
    seesaw_config.caches.tft.enabled = false;
    Simulation vipt(vipt_config), seesaw(seesaw_config);
    // VIPT needs no sweep on a promotion, so there is none here.
    for (ReferenceRecord record : random_records(seed, 40'000)) {
      if (record.kind == RecordKind::Promote) record.kind = RecordKind::InvalidatePage;
      vipt.take(record);
      seesaw.take(record);
      const CacheCounters a = vipt.caches().l1d().counters(), b = seesaw.caches().l1d().counters();
      QVERIFY(a.reads == b.reads && a.writes == b.writes && a.read_misses == b.read_misses &&
              a.write_misses == b.write_misses && a.ways_probed == b.ways_probed && a.write_backs == b.write_backs);
    }
    const SimulationReport a = vipt.report(), b = seesaw.report();
    QCOMPARE(a.cycles, b.cycles);
    QCOMPARE(a.energy.total(), b.energy.total());
    QVERIFY(b.tft_hit_l1_hit.accesses == 0 && a.superpage_data.accesses > 1000);
  }

  void the_filter_table_is_never_wrong_whatever_happens_to_the_pages() {
    const std::uint64_t seed = 4711;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    for (const unsigned entries : {12U, 16U, 20U}) {
      SimulationConfig config = translated_config(CacheOrganisation::Seesaw, 0.6);
      config.caches.tft.entries = entries;
      Simulation simulation(config);
      for (const ReferenceRecord& record : random_records(seed, 60'000)) simulation.take(record);
      QCOMPARE(simulation.caches().seesaw_counters().false_positives, 0U);
      QCOMPARE(simulation.caches().l1d().duplicates(), 0U);
      const SimulationReport report = simulation.report();
      QVERIFY(report.tft_hit_l1_hit.accesses > 1000 && report.base_page.accesses > 1000);
      QCOMPARE(report.tft_hit_l1_hit.accesses + report.tft_hit_l1_miss.accesses + report.tft_miss_l1_hit.accesses +
                   report.tft_miss_l1_miss.accesses,
               report.superpage_data.accesses);
      QCOMPARE(report.base_page.accesses, report.base_page_data.accesses);
    }
  }

  void a_remembered_page_changes_no_count() {
    // The same references with an invalidation of a page that is never used between every two: nothing is remembered,
    // and all counts stay.
    const std::uint64_t seed = 99;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    const SimulationConfig config = translated_config(CacheOrganisation::Seesaw, 0.5);
    std::vector<ReferenceRecord> records = random_records(seed, 20'000), interrupted;
    for (const ReferenceRecord& one : records) {
      interrupted.push_back(probe(RecordKind::CoherenceRead, std::uint64_t{1} << 50U));
      interrupted.push_back(one);
    }
    const SimulationReport a = simulate(config, records), b = simulate(config, interrupted);
    for (const char* name : {"l1i", "l1d", "l2"}) {
      QCOMPARE(level(a, name).accesses, level(b, name).accesses);
      QCOMPARE(level(a, name).misses, level(b, name).misses);
      QCOMPARE(level(a, name).ways_probed, level(b, name).ways_probed);
    }
    QCOMPARE(a.walks, b.walks);
    QCOMPARE(a.tft_hit_l1_hit.accesses, b.tft_hit_l1_hit.accesses);
    QCOMPARE(a.cycles, b.cycles);
  }

  void a_run_stops_at_its_limit_and_when_told_to() {
    std::vector<ReferenceRecord> records(20'000, load(0));
    VectorStream stream(records), other(records);
    Simulation simulation(physical_config()), stopped(physical_config());
    QCOMPARE(simulation.run(stream, 12'345), 12'345U);
    QCOMPARE(simulation.report().references, 12'345U);
    QCOMPARE(simulation.run(stream), 20'000U - 12'345U);
    const std::uint64_t taken = stopped.run(other, 0, [](std::uint64_t) { return false; });
    QVERIFY(taken > 0 && taken < 20'000);
  }

  void two_runs_give_the_same_report() {
    const std::vector<ReferenceRecord> records = random_records(7, 20'000);
    SimulationConfig config = translated_config(CacheOrganisation::Seesaw, 0.5);
    config.caches.l1d.replacement = ReplacementKind::Random;
    const SimulationReport a = simulate(config, records), b = simulate(config, records);
    QCOMPARE(a.cycles, b.cycles);
    QCOMPARE(a.energy.total(), b.energy.total());
    QCOMPARE(level(a, "l1d").misses, level(b, "l1d").misses);
  }

  void impossible_configurations_are_named() {
    SimulationConfig seesaw = physical_config();
    seesaw.caches.l1d = CacheConfig{.organisation = CacheOrganisation::Seesaw};
    QVERIFY(problem_of(seesaw).find("SEESAW needs TLBs") != std::string::npos);
    SimulationConfig nothing = physical_config();
    nothing.has_l1i = nothing.has_l1d = false;
    QVERIFY(!problem_of(nothing).empty());
    SimulationConfig walkless = translated_config(CacheOrganisation::Vipt, 0);
    walkless.has_l1d = false;
    QVERIFY(!problem_of(walkless).empty());
    SimulationConfig timeless = physical_config();
    timeless.timing.frequency_ghz = 0;
    QVERIFY(!problem_of(timeless).empty());
    QCOMPARE(problem_of(physical_config()), std::string());
    QCOMPARE(problem_of(translated_config(CacheOrganisation::Seesaw, 1)), std::string());
  }
};

QTEST_APPLESS_MAIN(SimulationTest)
#include "simulation_test.moc"
