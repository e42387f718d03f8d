// SPDX-License-Identifier: GPL-3.0-or-later
//
// The equations of docs/cache-study.md, worked out by hand for each organisation and core.
#include <QTest>

#include "tests/cache-sim/simulation/records.h"

using namespace shearling;
using namespace shearling::test;

namespace {

/// L1 TLBs of 3 cycles, L2 TLB of 7, no page-walk cache; L1D 5 cycles, or 4 of one partition; L2 12; memory 100.
SimulationConfig timed_config(CacheOrganisation organisation, double superpages) {
  SimulationConfig config = translated_config(organisation, superpages);
  for (TlbGeometry& tlb : config.translation->data) tlb.latency = 3;
  config.translation->walk_cache_entries = 0;
  config.caches.l1d.latency = 5;
  config.caches.l1d.fast_latency = 4;
  config.caches.memory_latency = 100;
  config.timing = {.core = CoreModel::InOrder,
                   .frequency_ghz = 2,
                   .base_cycles_per_instruction = 0.5,
                   .instructions_per_reference = 4,
                   .load_exposure = 0.25,
                   .window_cycles = 0};
  return config;
}

}  // namespace

class TimingTest : public QObject {
  Q_OBJECT

 private slots:
  void base_cycles_follow_from_instructions() {
    const SimulationReport data = simulate(timed_config(CacheOrganisation::Vipt, 0), {store(0), store(0)});
    QCOMPARE(data.instructions, 8U);
    QCOMPARE(data.base_cycles, 4.0);
    const SimulationReport code = simulate(timed_config(CacheOrganisation::Vipt, 0), {fetch(0), store(0), fetch(4)});
    QCOMPARE(code.instructions, 2U);
    QCOMPARE(code.base_cycles, 1.0);
  }

  void an_l1_hit_takes_the_organisations_time_data() {
    QTest::addColumn<int>("organisation");
    QTest::addColumn<double>("superpages");
    QTest::addColumn<int>("cycles");
    QTest::newRow("VIPT: the longer of the two") << static_cast<int>(CacheOrganisation::Vipt) << 0.0 << 5;
    QTest::newRow("PIPT: one after the other") << static_cast<int>(CacheOrganisation::Pipt) << 0.0 << 8;
    QTest::newRow("VIVT: the cache alone") << static_cast<int>(CacheOrganisation::Vivt) << 0.0 << 5;
    QTest::newRow("SEESAW, superpage") << static_cast<int>(CacheOrganisation::Seesaw) << 1.0 << 4;
    QTest::newRow("SEESAW, base page") << static_cast<int>(CacheOrganisation::Seesaw) << 0.0 << 5;
  }
  void an_l1_hit_takes_the_organisations_time() {
    QFETCH(int, organisation);
    QFETCH(double, superpages);
    QFETCH(int, cycles);
    SimulationConfig config = timed_config(static_cast<CacheOrganisation>(organisation), superpages);
    config.caches.l1d.aliases = AliasHandling::Evict;
    const SimulationReport cold = simulate(config, {load(0)});
    const SimulationReport warm = simulate(config, {load(0), load(0), load(0)});
    QCOMPARE(warm.l1_cycles - cold.l1_cycles, 2 * 0.25 * cycles);
    QCOMPARE(warm.beyond_l1_cycles, cold.beyond_l1_cycles);
    const CaseReport& now = superpages > 0 ? warm.superpage_data : warm.base_page_data;
    const CaseReport& before = superpages > 0 ? cold.superpage_data : cold.base_page_data;
    QCOMPARE(now.latency_cycles - before.latency_cycles, static_cast<std::uint64_t>(2 * cycles));
  }

  void what_comes_beyond_l1_is_added_in_the_organisations_order_data() {
    QTest::addColumn<int>("organisation");
    QTest::addColumn<double>("beyond");
    // The walk: four entries that each miss everywhere, 5 + 12 + 100, behind the L2 TLB's 7. The load: 12 + 100 below.
    const double translation = 7 + 4 * 117.0, below = 112;
    QTest::newRow("VIPT") << static_cast<int>(CacheOrganisation::Vipt) << 3 + translation - 5 + below;
    QTest::newRow("PIPT") << static_cast<int>(CacheOrganisation::Pipt) << translation + below;
    QTest::newRow("VIVT") << static_cast<int>(CacheOrganisation::Vivt) << 3 + translation + below;
  }
  void what_comes_beyond_l1_is_added_in_the_organisations_order() {
    QFETCH(int, organisation);
    QFETCH(double, beyond);
    SimulationConfig config = timed_config(static_cast<CacheOrganisation>(organisation), 0);
    config.caches.l1d.aliases = AliasHandling::Evict;
    const SimulationReport report = simulate(config, {load(0x12345678)});
    QCOMPARE(report.walk_cycles, 468U);
    QCOMPARE(report.beyond_l1_cycles, beyond);
    QCOMPARE(report.cycles, report.base_cycles + report.l1_cycles + report.beyond_l1_cycles);
    QCOMPARE(report.nanoseconds, report.cycles / 2);
  }

  void a_store_waits_in_its_buffer() {
    const SimulationReport report = simulate(timed_config(CacheOrganisation::Vipt, 0), {store(0), store(64)});
    QCOMPARE(report.l1_cycles, 0.0);
    QCOMPARE(report.beyond_l1_cycles, 0.0);
  }

  void an_out_of_order_core_hides_its_window_and_overlaps_misses() {
    SimulationConfig config = timed_config(CacheOrganisation::Pipt, 0);
    config.timing.core = CoreModel::OutOfOrder;
    config.timing.window_cycles = 50;
    QCOMPARE(simulate(config, {load(0x12345678)}).beyond_l1_cycles, 475.0 + 112 - 50);
    config.timing.miss_overlap = 2;
    QCOMPARE(simulate(config, {load(0x12345678)}).beyond_l1_cycles, (475.0 + 112 - 50) / 2);
    config.timing.window_cycles = 1000;
    QCOMPARE(simulate(config, {load(0x12345678)}).beyond_l1_cycles, 0.0);
    QCOMPARE(exposed_beyond_l1({.core = CoreModel::InOrder, .window_cycles = 1000}, 5), 5.0);
  }

  void exposure_can_saturate() {
    QCOMPARE(exposed_l1({.load_exposure = 0.5}, 10), 5.0);
    QCOMPARE(exposed_l1({.load_exposure = 0.5, .saturation_cycles = 10}, 10), 2.5);
    QCOMPARE(exposed_l1({.load_exposure = 0.5, .saturation_cycles = 10}, 30), 3.75);
  }

  void a_wrong_assumption_costs_a_replay() {
    SimulationConfig config = timed_config(CacheOrganisation::Seesaw, 0);
    config.timing.core = CoreModel::OutOfOrder;
    config.timing.replay_penalty = 6;
    config.caches.scheduler = SchedulerPolicy::AlwaysFast;
    const SimulationReport report = simulate(config, {load(0), load(0), store(0)});
    QCOMPARE(report.replays, 2U);
    QCOMPARE(report.replay_cycles, 12.0);
    config.caches.scheduler = SchedulerPolicy::AlwaysSlow;
    QCOMPARE(simulate(config, {load(0), load(0)}).replays, 0U);
    config.timing.core = CoreModel::InOrder;
    config.caches.scheduler = SchedulerPolicy::AlwaysFast;
    QCOMPARE(simulate(config, {load(0), load(0)}).replay_cycles, 0.0);
  }

  void tlb_and_filter_energies_are_those_of_their_lookups() {
    SimulationConfig config = timed_config(CacheOrganisation::Seesaw, 1);
    config.energy = {.tft = 0.5, .l1_tlb = 2, .l2_tlb = 16};
    const SimulationReport report = simulate(config, {load(0), load(0), load(0)});
    QCOMPARE(report.energy.tft, 1.5);
    QCOMPARE(report.energy.tlb, 3 * 2.0 + 16);
  }

  void impossible_parameters_are_named() {
    QVERIFY(!problem_of(TimingConfig{.load_exposure = 1.5}).empty());
    QVERIFY(!problem_of(TimingConfig{.miss_overlap = 0}).empty());
    QVERIFY(!problem_of(TimingConfig{.window_cycles = -1}).empty());
    QVERIFY(!problem_of(EnergyConfig{.tft = -1}).empty());
    for (const CoreModel core : {CoreModel::InOrder, CoreModel::OutOfOrder})
      QCOMPARE(problem_of(default_timing(core)), std::string());
  }
};

QTEST_APPLESS_MAIN(TimingTest)
#include "timing_test.moc"
