// SPDX-License-Identifier: GPL-3.0-or-later
//
// Several simulated cores: counts by hand, one core beside the simulation of one core, what protocols and organisations
// make of probes, pages that change for every core, and records that nobody can take.
#include <QTest>
#include <cmath>

#include "cache-sim/simulation/multicore_simulation.h"
#include "cache-sim/streams/deterministic_random.h"
#include "cache-sim/streams/open_stream.h"
#include "tests/cache-sim/simulation/records.h"

using namespace shearling;
using namespace shearling::test;

namespace {

ReferenceRecord of(unsigned core, ReferenceRecord record) {
  record.core = static_cast<std::uint8_t>(core);
  return record;
}

SimulationConfig several(SimulationConfig config, unsigned cores,
                         CoherenceProtocol protocol = CoherenceProtocol::Directory) {
  config.coherence = CoherenceSettings{.cores = cores, .protocol = protocol, .message_latency = 0};
  return config;
}

MulticoreReport run(const SimulationConfig& config, const std::vector<ReferenceRecord>& records) {
  MulticoreSimulation simulation(config);
  VectorStream stream(records);
  simulation.run(stream);
  return simulation.report();
}

std::uint64_t sent(const MulticoreReport& report, CoherenceMessage message) {
  return report.coherence.messages[static_cast<std::size_t>(message)];
}

constexpr std::uint64_t kA = 0x10000, kB = 0x20000;
/// Two cores read and write one line, and one of them reads another.
std::vector<ReferenceRecord> ping_pong() {
  return {of(0, load(kA)), of(1, load(kA)), of(0, store(kA)), of(1, store(kA)), of(0, load(kA)), of(1, load(kB))};
}

/// Cores that share 16 KB and have 256 KB each, with a superpage share of their own.
std::vector<ReferenceRecord> shared_work(unsigned cores, unsigned references, std::uint64_t seed) {
  qInfo("seed %llu", static_cast<unsigned long long>(seed));
  RandomSequence random(seed);
  std::vector<ReferenceRecord> records;
  for (unsigned i = 0; i < references; ++i) {
    const auto core = static_cast<unsigned>(random.below(cores));
    const bool shared = random.below(4) == 0;
    const std::uint64_t base = shared ? 0x40000000 : 0x50000000 + std::uint64_t{core} * 0x600000;
    const std::uint64_t address = base + random.below((shared ? 16 << 10 : 256 << 10) / 8) * 8;
    records.push_back(of(core, random.below(3) == 0 ? store(address) : load(address)));
  }
  return records;
}

/// translated_config() as cores can have it: what they share in place of an L2.
SimulationConfig shared_config(CacheOrganisation organisation, double superpages) {
  SimulationConfig config = translated_config(organisation, superpages);
  config.caches.last_level = config.caches.l2;
  config.caches.last_level->name = "LLC";
  config.caches.last_level->arrival = WriteBackArrival::Update;
  config.caches.l2.reset();
  config.caches.l1d.energy = 0.047F;
  config.caches.l1d.partition_energy = 0.0285F;
  return config;
}

std::vector<ReferenceRecord> generated(const char* specification) {
  auto stream = std::get<0>(open_stream(specification));
  std::vector<ReferenceRecord> records, batch(4096);
  while (const std::size_t got = stream->read(batch))
    records.insert(records.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(got));
  return records;
}

void compare_levels(const SimulationReport& several, const SimulationReport& one) {
  QCOMPARE(several.levels.size(), one.levels.size());
  for (std::size_t i = 0; i < one.levels.size(); ++i) {
    const LevelReport &ours = several.levels[i], &theirs = one.levels[i];
    QCOMPARE(ours.name, theirs.name);
    QCOMPARE(ours.reads, theirs.reads);
    QCOMPARE(ours.writes, theirs.writes);
    QCOMPARE(ours.read_misses, theirs.read_misses);
    QCOMPARE(ours.write_misses, theirs.write_misses);
    QCOMPARE(ours.ways_probed, theirs.ways_probed);
    QCOMPARE(ours.walk_accesses, theirs.walk_accesses);
    QCOMPARE(ours.walk_misses, theirs.walk_misses);
  }
}

}  // namespace

class MulticoreSimulationTest : public QObject {
  Q_OBJECT

 private slots:
  void two_cores_count_as_by_hand_with_a_directory() {
    const MulticoreReport report = run(several(physical_config(), 2), ping_pong());
    // Core 0 misses its first load and the one after core 1's store; its store hits its shared copy.
    QCOMPARE(level(report.cores[0], "l1d").reads, 2U);
    QCOMPARE(level(report.cores[0], "l1d").writes, 1U);
    QCOMPARE(level(report.cores[0], "l1d").read_misses, 2U);
    QCOMPARE(level(report.cores[0], "l1d").write_misses, 0U);
    QCOMPARE(level(report.cores[1], "l1d").read_misses, 2U);
    QCOMPARE(level(report.cores[1], "l1d").write_misses, 1U);
    QCOMPARE(level(report.total, "l1d").accesses, 6U);
    QCOMPARE(level(report.total, "l1d").misses, 5U);
    QCOMPARE(level(report.total, "l1d").energy, 6.0);
    // Each line comes from memory once; the other three misses are answered by the other core.
    QCOMPARE(level(report.total, "llc").accesses, 2U);
    QCOMPARE(level(report.total, "llc").misses, 2U);
    QCOMPARE(level(report.total, "llc").energy, 6.0);
    QCOMPARE(report.total.memory_reads, 2U);
    QCOMPARE(report.total.memory_writes, 0U);
    QCOMPARE(report.total.energy.memory, 14.0);
    QCOMPARE(report.coherence.total.from_other_cache, 3U);

    QCOMPARE(report.total.probes, 4U);
    QCOMPARE(report.total.probe_hits, 4U);
    QCOMPARE(report.total.probe_ways, 8U);
    QCOMPARE(report.cores[0].probes, 2U);
    QCOMPARE(report.total.energy.l1d_coherence, 4.0);
    const std::vector<std::pair<CoherenceMessage, std::uint64_t>> kMessages{
        {CoherenceMessage::GetS, 4},     {CoherenceMessage::GetM, 1},       {CoherenceMessage::Upgrade, 1},
        {CoherenceMessage::FwdGetS, 2},  {CoherenceMessage::FwdGetM, 1},    {CoherenceMessage::Inv, 1},
        {CoherenceMessage::InvAck, 1},   {CoherenceMessage::AckCount, 1},   {CoherenceMessage::Data, 3},
        {CoherenceMessage::DataHome, 2}, {CoherenceMessage::MemoryRead, 2}, {CoherenceMessage::PutM, 0}};
    for (const auto& [message, count] : kMessages) QCOMPARE(sent(report, message), count);
  }

  void a_snoopy_system_probes_on_every_miss_and_upgrade() {
    const MulticoreReport report = run(several(physical_config(), 2, CoherenceProtocol::Snoopy), ping_pong());
    QCOMPARE(report.total.probes, 6U);
    QCOMPARE(report.total.probe_hits, 4U);
    QCOMPARE(report.cores[0].probes, 3U);
    QCOMPARE(sent(report, CoherenceMessage::Inv), 0U);
    QCOMPARE(level(report.total, "l1d").misses, 5U);
  }

  void messages_take_their_time() {
    SimulationConfig config = several(physical_config(), 2);
    config.timing = default_timing(CoreModel::InOrder);
    const MulticoreReport before = run(config, ping_pong());
    config.coherence->message_latency = 10;
    const MulticoreReport after = run(config, ping_pong());
    // Loads wait: core 0's first for 2 messages and its second for 3, core 1's for 3 and 2. Stores do not.
    QCOMPARE(after.cores[0].beyond_l1_cycles - before.cores[0].beyond_l1_cycles, 50.0);
    QCOMPARE(after.cores[1].beyond_l1_cycles - before.cores[1].beyond_l1_cycles, 50.0);
    QCOMPARE(after.total.nanoseconds, std::max(after.cores[0].nanoseconds, after.cores[1].nanoseconds));
  }

  void each_core_fetches_through_its_own_l1i_and_the_shared_cache() {
    const MulticoreReport report =
        run(several(physical_config(), 2), {of(0, fetch(0x400000)), of(0, fetch(0x400004)), of(1, fetch(0x400000))});
    QCOMPARE(level(report.total, "l1i").accesses, 3U);
    QCOMPARE(level(report.total, "l1i").misses, 2U);
    QCOMPARE(level(report.total, "llc").accesses, 2U);
    QCOMPARE(level(report.total, "llc").misses, 1U);
    QCOMPARE(report.total.instructions, 3U);
    QCOMPARE(report.total.probes, 0U);
  }

  void one_core_counts_as_the_simulation_of_one_core_data() {
    QTest::addColumn<CacheOrganisation>("organisation");
    QTest::addColumn<LineCrossing>("crossing");
    QTest::addColumn<bool>("inclusive");
    for (const auto& [name, organisation] : {std::pair("PIPT", CacheOrganisation::Pipt),
                                             {"VIPT", CacheOrganisation::Vipt},
                                             {"SEESAW", CacheOrganisation::Seesaw}}) {
      for (const LineCrossing crossing : {LineCrossing::OneReference, LineCrossing::EachLine}) {
        for (const bool inclusive : {false, true})
          QTest::addRow("%s, %s, %s", name, crossing == LineCrossing::EachLine ? "each line" : "one reference",
                        inclusive ? "inclusive, data alone" : "not inclusive, with instructions")
              << organisation << crossing << inclusive;
      }
    }
  }
  void one_core_counts_as_the_simulation_of_one_core() {
    QFETCH(CacheOrganisation, organisation);
    QFETCH(LineCrossing, crossing);
    QFETCH(bool, inclusive);
    SimulationConfig config = shared_config(organisation, 0.6);
    config.line_crossing = crossing;
    config.has_l1i = !inclusive;
    config.caches.last_level->inclusive = inclusive;
    std::vector<ReferenceRecord> records =
        generated("synthetic:key-value,count=100K,footprint=16M,fetches=1,switches=500,remaps=2000");
    for (std::size_t i = 0; i < records.size(); i += 7) {  // Some that cross a line, or a page.
      if (is_reference(records[i].kind)) records[i].address.value |= 61;
    }
    const SimulationReport one = simulate(config, records);
    const MulticoreReport report = run(several(config, 1), records);
    compare_levels(report.total, one);
    QVERIFY(one.promotions > 10 && one.context_switches > 10 && one.walks > 1000);
    QCOMPARE(report.total.references, one.references);
    QCOMPARE(report.total.walks, one.walks);
    QCOMPARE(report.total.tft_fills, one.tft_fills);
    QCOMPARE(report.total.swept_lines, one.swept_lines);
    QCOMPARE(report.total.replays, one.replays);
    QCOMPARE(report.total.tft_hit_l1_hit.accesses, one.tft_hit_l1_hit.accesses);
    QCOMPARE(report.total.memory_reads, one.memory_reads);
    QCOMPARE(report.total.cycles, one.cycles);
    QCOMPARE(report.total.energy.l1d, one.energy.l1d);
    if (organisation == CacheOrganisation::Seesaw) QVERIFY(one.tft_fills > 100 && one.tft_hit_l1_hit.accesses > 1000);
    // Where the shared cache includes L1D, both write victims back before they fetch.
    if (inclusive) QCOMPARE(report.total.memory_writes, one.memory_writes);
  }

  void snooping_probes_more_than_a_directory() {
    const auto records = shared_work(4, 20'000, 11);
    const SimulationConfig config = shared_config(CacheOrganisation::Vipt, 1);
    const MulticoreReport directory = run(several(config, 4), records);
    const MulticoreReport snoopy = run(several(config, 4, CoherenceProtocol::Snoopy), records);
    QVERIFY(directory.total.probes > 1000);
    QVERIFY(snoopy.total.probes > directory.total.probes);
    // Nobody looks anything up in vain where the directory knows who holds what.
    QCOMPARE(directory.total.probe_hits, directory.total.probes);
    QVERIFY(snoopy.total.probe_hits < snoopy.total.probes);
    compare_levels(snoopy.total, directory.total);
  }

  void seesaw_probes_four_ways_where_vipt_probes_all() {
    const auto records = shared_work(4, 20'000, 12);
    const MulticoreReport vipt = run(several(shared_config(CacheOrganisation::Vipt, 1), 4), records);
    const MulticoreReport seesaw = run(several(shared_config(CacheOrganisation::Seesaw, 1), 4), records);
    QCOMPARE(vipt.total.probe_ways, vipt.total.probes * 8);
    QCOMPARE(seesaw.total.probe_ways, seesaw.total.probes * 4);
    QCOMPARE(vipt.coherence.coherence_share_of_saving(), 0.0);
    const double share = seesaw.coherence.coherence_share_of_saving();
    QVERIFY(share > 0 && share < 1);
    // Every lookup of one partition saves the same, whoever asked.
    const double probes = static_cast<double>(seesaw.total.probes);
    const CaseReport &hits = seesaw.total.tft_hit_l1_hit, &misses = seesaw.total.tft_hit_l1_miss;
    const std::uint64_t walked = level(seesaw.total, "l1d").walk_accesses;  // By physical address: one partition, too.
    const auto lookups = static_cast<double>(hits.accesses + misses.accesses + walked);
    QVERIFY(std::abs(share - probes / (probes + lookups)) < 1e-6);
  }

  void without_the_filter_table_probes_read_all_ways() {
    SimulationConfig config = several(shared_config(CacheOrganisation::Seesaw, 1), 4);
    config.caches.tft.enabled = false;
    const MulticoreReport report = run(config, shared_work(4, 5'000, 13));
    QVERIFY(report.total.probes > 100);
    QCOMPARE(report.total.probe_ways, report.total.probes * 8);
  }

  void a_promotion_reaches_every_core() {
    const SimulationConfig config = several(shared_config(CacheOrganisation::Seesaw, 0), 2);
    std::vector<ReferenceRecord> records{of(0, store(0x40000000)), of(1, load(0x40000040)), of(1, load(0x40001000))};
    records.push_back(of(0, record(RecordKind::Promote, 0x40000000)));
    records.push_back(of(1, load(0x40000040)));
    const MulticoreReport report = run(config, records);
    QCOMPARE(report.total.promotions, 1U);
    QCOMPARE(report.total.swept_lines, 3U);
    QCOMPARE(report.cores[1].swept_lines, 2U);
    QCOMPARE(report.cores[1].superpage_data.accesses, 1U);
    QCOMPARE(report.cores[1].superpage_data.misses, 1U);
  }

  void cores_share_page_tables() {
    const MulticoreReport report =
        run(several(shared_config(CacheOrganisation::Vipt, 0), 2), {of(0, load(0x40000000)), of(1, load(0x40000000))});
    QCOMPARE(report.cores[0].walks, 1U);
    QCOMPARE(report.cores[1].walks, 1U);
    // The second walker finds its entries with the first one.
    QCOMPARE(report.coherence.cores[1].from_memory, 0U);
  }

  void two_runs_give_the_same_report() {
    const auto records = shared_work(3, 10'000, 14);
    const SimulationConfig config = several(shared_config(CacheOrganisation::Seesaw, 0.5), 3);
    const MulticoreReport first = run(config, records), second = run(config, records);
    compare_levels(first.total, second.total);
    QVERIFY(first.coherence.messages == second.coherence.messages);
    QCOMPARE(first.total.cycles, second.total.cycles);
    QCOMPARE(first.total.energy.total(), second.total.energy.total());
  }

  void a_record_of_a_core_that_is_not_there_ends_the_run() {
    MulticoreSimulation simulation(several(physical_config(), 2));
    VectorStream stream({of(0, load(kA)), of(1, load(kA)), of(2, load(kA)), of(0, load(kB))});
    QCOMPARE(simulation.run(stream), 2U);
    QVERIFY(simulation.problem() != nullptr);
    QCOMPARE(simulation.problem()->record, 3U);
    QCOMPARE(simulation.problem()->message, std::string("it is of core 2, and the configuration has cores 0 to 1"));
    QCOMPARE(simulation.problem()->remedy, std::string("set coherence.cores to at least 3"));
    QCOMPARE(simulation.report().total.references, 2U);
  }

  void a_probe_from_outside_ends_the_run() {
    MulticoreSimulation simulation(several(physical_config(), 2));
    QVERIFY(simulation.take(of(0, load(kA))));
    QVERIFY(!simulation.take(probe(RecordKind::CoherenceRead, kA)));
    QCOMPARE(simulation.problem()->record, 2U);
  }

  void what_several_cores_cannot_have_is_told_in_a_sentence() {
    const auto problem = [](auto change) {
      SimulationConfig config = several(shared_config(CacheOrganisation::Vipt, 0), 2);
      change(config);
      return problem_of(config);
    };
    QCOMPARE(problem([](SimulationConfig&) {}), std::string());
    QVERIFY(problem([](SimulationConfig& c) { c.coherence->cores = 0; }).find("1 to 128 cores") != std::string::npos);
    QVERIFY(problem([](SimulationConfig& c) { c.coherence->cores = 129; }).find("1 to 128 cores") != std::string::npos);
    QVERIFY(problem([](SimulationConfig& c) { c.caches.l2 = c.caches.last_level; }).find("l2") != std::string::npos);
    QVERIFY(problem([](SimulationConfig& c) { c.caches.last_level->inclusive = true; }).find("L1I") !=
            std::string::npos);
    QVERIFY(problem([](SimulationConfig& c) { c.caches.l1d.write = WritePolicy::WriteThrough; }).find("write-back") !=
            std::string::npos);
  }
};

QTEST_APPLESS_MAIN(MulticoreSimulationTest)
#include "multicore_simulation_test.moc"
