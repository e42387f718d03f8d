// SPDX-License-Identifier: GPL-3.0-or-later
//
// Configurations of the stand-alone simulator: every key reaches its place, every mistake is named with its place.
#include <QTest>
#include <nlohmann/json.hpp>

#include "core/cache_study/study_config.h"

using namespace shearling;

namespace {

SimulationConfig parsed(const std::string& yaml) {
  Result<SimulationConfig> config = parse_study_config(yaml, "f.yaml");
  if (!config) qWarning("%s", config.error().text().c_str());
  return config ? std::move(config).value() : SimulationConfig{};
}

std::string complaint(const std::string& yaml) {
  const Result<SimulationConfig> config = parse_study_config(yaml, "f.yaml");
  return config ? "" : config.error().text();
}

}  // namespace

class StudyConfigTest : public QObject {
  Q_OBJECT

 private slots:
  void a_cache_has_what_its_keys_say() {
    const SimulationConfig config = parsed(
        "l1d: {size: 64 KB, ways: 16, line: 32, organisation: PIPT, replacement: Random, write: write-through,\n"
        "      allocate: no, latency: 5, energy: 0.5, way-energy: 0.25, way-prediction: yes}\n"
        "l2: {size: 512K, ways: 4, line: 32, replacement: PLRU, inclusive: true, write-back-arrival: allocate}\n"
        "llc: {line: 32}\n"
        "memory: {latency: 99, energy: 20}\n"
        "line-crossing: each-line\nseed: 5\n");
    const CacheConfig& l1d = config.caches.l1d;
    QCOMPARE(l1d.size, 65536U);
    QCOMPARE(l1d.ways, 16U);
    QCOMPARE(l1d.line, 32U);
    QVERIFY(l1d.organisation == CacheOrganisation::Pipt && l1d.replacement == ReplacementKind::Random);
    QVERIFY(l1d.write == WritePolicy::WriteThrough && !l1d.write_allocate && l1d.way_prediction);
    QCOMPARE(l1d.latency, 5U);
    QCOMPARE(l1d.energy, 0.5F);
    QCOMPARE(l1d.way_energy, 0.25F);
    QVERIFY(config.caches.l2->replacement == ReplacementKind::TreePlru && config.caches.l2->inclusive);
    QVERIFY(config.caches.l2->arrival == WriteBackArrival::Allocate);
    QVERIFY(config.caches.last_level->arrival == WriteBackArrival::Update);
    QCOMPARE(config.caches.last_level->size, 2U << 20);
    QCOMPARE(config.caches.memory_latency, 99U);
    QCOMPARE(config.caches.memory_energy, 20.0F);
    QVERIFY(!config.has_l1i && config.has_l1d && config.line_crossing == LineCrossing::EachLine);
    QCOMPARE(config.caches.seed, 5U);
    QCOMPARE(config.pages.seed, 5U);
  }

  void sizes_are_read_as_people_write_them() {
    for (const char* size : {"32KB", "32 KB", "32K", "32 k", "32768", "0x8000"})
      QCOMPARE(parsed(std::string("l1d: {size: ") + size + "}").caches.l1d.size, 32768U);
  }

  void names_are_read_in_upper_and_lower_case() {
    QVERIFY(parsed("l1d: {organisation: VIPT, replacement: LRU, write: Write-Back}").caches.l1d.organisation ==
            CacheOrganisation::Vipt);
    QVERIFY(parsed("l1d: {organisation: SEESAW}\ntlb: atom\n").caches.l1d.organisation == CacheOrganisation::Seesaw);
    QVERIFY(parsed("l1d: {replacement: Tree-PLRU}").caches.l1d.replacement == ReplacementKind::TreePlru);
  }

  void a_cache_that_nobody_organises_is_virtually_indexed_where_that_needs_no_care() {
    QVERIFY(parsed("l1d: {size: 32K, ways: 8}").caches.l1d.organisation == CacheOrganisation::Vipt);
    QVERIFY(parsed("l1d: {size: 32K, ways: 2}").caches.l1d.organisation == CacheOrganisation::Pipt);
  }

  void levels_that_are_left_out_are_absent() {
    const SimulationConfig config = parsed("l1i: {line: 32}");
    QVERIFY(config.has_l1i && !config.has_l1d && !config.caches.l2 && !config.caches.last_level && !config.translation);
    const SimulationConfig without = parsed("extends: sandy-bridge\nl1i: ~\nl2: ~\nllc: null\ntlb: ~\n");
    QVERIFY(!without.has_l1i && without.has_l1d && !without.caches.l2 && !without.caches.last_level);
    QVERIFY(!without.translation);
  }

  void seesaw_timing_energy_and_pages_have_what_their_keys_say() {
    const SimulationConfig config = parsed(
        "l1d: {organisation: seesaw}\n"
        "tlb: atom\n"
        "seesaw: {partition-latency: 3, partition-energy: 0.25, insertion: 4way-8way, scheduler: always-slow,\n"
        "         hit-path: off, replay-penalty: 4, tft: {entries: 12, tag-bits: 20, tagged: yes}}\n"
        "energy: {tft: 1, l1-tlb: 2, l2-tlb: 3, leakage: {l1i: 4, l1d: 5, l2: 6, llc: 7, memory: 8}}\n"
        "timing: {core: in-order, frequency: 4, base-cycles: 0.75, instructions-per-reference: 2.5,\n"
        "         load-exposure: 0.125, saturation: 30, window: 10, miss-overlap: 2}\n"
        "pages: {base: 16K, superpages: 0.5, fragmentation: 0.25, physical-bits: 40, seed: 9,\n"
        "        ranges: {superpages: [[0x400000, 0x7fffff]], base: [[0x800000, 0x9fffff], [0, 1]]}}\n"
        "walk: {stages: 2, nested-page: 2M}\n");
    QCOMPARE(config.caches.l1d.fast_latency, 3U);
    QCOMPARE(config.caches.l1d.partition_energy, 0.25F);
    QVERIFY(config.caches.l1d.insertion == InsertionPolicy::PartitionOrWhole);
    QVERIFY(config.caches.scheduler == SchedulerPolicy::AlwaysSlow && !config.caches.tft.enabled);
    QCOMPARE(config.caches.tft.entries, 12U);
    QCOMPARE(config.caches.tft.tag_bits, 20U);
    QVERIFY(config.caches.tft.tagged);
    const EnergyConfig& energy = config.energy;
    QVERIFY(energy.tft == 1 && energy.l1_tlb == 2 && energy.l2_tlb == 3 && energy.leakage_mw() == 30);
    const TimingConfig& timing = config.timing;
    QVERIFY(timing.core == CoreModel::InOrder && timing.frequency_ghz == 4 &&
            timing.base_cycles_per_instruction == 0.75);
    QVERIFY(timing.instructions_per_reference == 2.5 && timing.load_exposure == 0.125 && timing.window_cycles == 10);
    QVERIFY(timing.saturation_cycles == 30 && timing.miss_overlap == 2 && timing.replay_penalty == 4);
    const PageMapConfig& pages = config.pages;
    QVERIFY(pages.base_page == PageSize::Size16K && pages.superpage_share == 0.5 && pages.fragmentation == 0.25);
    QVERIFY(pages.physical_address_bits == 40 && pages.seed == 9 && pages.superpages.size() == 1);
    QCOMPARE(pages.superpages[0].last.value, 0x7fffffU);
    QCOMPARE(pages.base_pages.size(), std::size_t{2});
    QVERIFY(config.walk.two_stage && config.walk.nested_page == PageSize::Size2M);
  }

  void a_core_brings_its_exposure() {
    const SimulationConfig out_of_order = parsed("l1d: {}");
    const SimulationConfig in_order = parsed("l1d: {}\ntiming: {core: in-order}\n");
    QVERIFY(out_of_order.timing.window_cycles > 0 && in_order.timing.window_cycles == 0);
    QVERIFY(in_order.timing.load_exposure > out_of_order.timing.load_exposure);
  }

  void tlbs_are_described_named_or_extended() {
    const SimulationConfig own = parsed(
        "l1d: {}\ntlb: {data: [{entries: 32, ways: 2, pages: [4K, 2M], latency: 2}], second-level: {entries: 256, "
        "pages: [4K]}, page-walk-cache: {entries: 8, latency: 3}, nested: {entries: 5}, address-space-tags: no}\n");
    QCOMPARE(own.translation->data.size(), std::size_t{1});
    QCOMPARE(own.translation->data[0].name, std::string("L1 DTLB 4K+2M"));
    QCOMPARE(own.translation->data[0].ways, 2U);
    QCOMPARE(own.translation->instruction[0].entries, 32U);  // As data, where nobody says otherwise.
    QCOMPARE(own.translation->second_level->ways, 256U);
    QCOMPARE(own.translation->walk_cache_entries, 8U);
    QCOMPARE(own.translation->nested_entries, 5U);
    QVERIFY(!own.address_space_tags);
    const SimulationConfig named = parsed("l1d: {}\ntlb: sandy-bridge\n");
    QCOMPARE(named.translation->data[0].entries, 128U);
    QVERIFY(!named.translation->second_level);
    const SimulationConfig extended = parsed("l1d: {}\ntlb: {extends: atom, second-level: ~}\n");
    QCOMPARE(extended.translation->data[0].entries, 64U);
    QVERIFY(!extended.translation->second_level);
  }

  void the_papers_two_tlbs_can_be_swapped() {
    const auto entries = [](const char* name) {
      return parsed(std::string("l1d: {}\ntlb: ") + name).translation->data[0].entries;
    };
    QCOMPARE(entries("atom"), entries("sandy-bridge-swapped"));
    QCOMPARE(entries("sandy-bridge"), entries("atom-swapped"));
    QVERIFY(entries("atom") != entries("sandy-bridge"));
  }

  void every_built_in_configuration_can_be_simulated() {
    const std::vector<BuiltInStudyConfig> all = built_in_study_configs();
    QVERIFY(all.size() >= 9);
    for (const BuiltInStudyConfig& one : all) {
      const Result<SimulationConfig> config = load_study_config(one.name);
      QVERIFY2(config.ok(), one.name.c_str());
      QCOMPARE(problem_of(config.value()), std::string());
      QVERIFY2(!one.description.empty(), one.name.c_str());
    }
    QVERIFY(built_in_tlbs().size() >= 4);
    for (const BuiltInStudyConfig& one : built_in_tlbs()) QVERIFY2(!one.description.empty(), one.name.c_str());
  }

  void built_in_latencies_are_table_iii() {
    const auto latencies = [](const char* name) {
      const CacheConfig l1d = load_study_config(name).value().caches.l1d;
      return std::array<unsigned, 4>{static_cast<unsigned>(l1d.size >> 10U), l1d.ways, l1d.latency, l1d.fast_latency};
    };
    QVERIFY((latencies("seesaw-32k") == std::array<unsigned, 4>{32, 8, 2, 1}));
    QVERIFY((latencies("seesaw-64k") == std::array<unsigned, 4>{64, 16, 5, 1}));
    QVERIFY((latencies("seesaw-128k") == std::array<unsigned, 4>{128, 32, 14, 2}));
    QVERIFY(latencies("vipt-64k") == latencies("seesaw-64k"));
  }

  void mistakes_are_named_with_their_place_data() {
    QTest::addColumn<QString>("yaml");
    QTest::addColumn<QString>("place");
    QTest::addColumn<QString>("what");
    const auto row = [](const char* name, const char* yaml, const char* place, const char* what) {
      QTest::newRow(name) << yaml << place << what;
    };
    row("misspelt section", "l1d: {}\ntimming: {}\n", "f.yaml:2:1: ", "did you mean 'timing'?");
    row("misspelt key", "l1d:\n  sise: 32 KB\n", "f.yaml:2:3: ", "did you mean 'size'?");
    row("misspelt organisation", "l1d: {organisation: vitp}\n", "f.yaml:1:21: ", "did you mean 'vipt'?");
    row("misspelt TLB", "l1d: {}\ntlb: atmo\n", "f.yaml:2:6: ", "one of atom");
    row("no size", "l1d: {size: big}\n", "f.yaml:1:13: ", "'size' must be a size");
    row("no number", "l1d: {}\ntiming: {frequency: fast}\n", "f.yaml:2:21: ", "must be a number");
    row("share above 1", "l1d: {}\npages: {superpages: 1.5}\n", "f.yaml:2:21: ", "at most 1");
    row("impossible geometry", "l1d: {size: 1000, ways: 3}\n", "f.yaml:1:6: ", "multiple of ways times line size");
    row("too wide for VIPT", "l1d: {size: 64 KB, ways: 8, organisation: vipt}\n", "f.yaml: ", "4096 bytes a way");
    row("SEESAW without TLBs", "l1d: {organisation: seesaw}\n", "f.yaml: ", "SEESAW needs TLBs");
    row("nothing at all", "", "f.yaml: ", "neither an L1I nor an L1D");
    row("lines that differ", "l1d: {line: 32}\nllc: {line: 64}\n", "f.yaml: ", "same line size");
    row("no YAML", "l1d: {size: [\n", "f.yaml:", "this is not YAML");
    row("a TLB without entries", "l1d: {}\ntlb: {data: []}\n", "f.yaml:2:13: ", "no TLB in this list");
    row("unknown base", "extends: nothing\n", "", "there is no built-in cache configuration 'nothing'");
    row("a range of one", "l1d: {}\npages: {ranges: {superpages: [[1]]}}\n", "f.yaml:2:31: ", "a first and a last");
  }
  void mistakes_are_named_with_their_place() {
    QFETCH(QString, yaml);
    QFETCH(QString, place);
    QFETCH(QString, what);
    const QString text = QString::fromStdString(complaint(yaml.toStdString()));
    QVERIFY2(text.startsWith(place) && text.contains(what) && !text.contains('\n'), qPrintable(text));
  }

  void a_report_has_an_object_for_each_level_with_every_key() {
    Simulation simulation(load_study_config("seesaw-32k").value());
    for (std::uint64_t address = 0; address < 1 << 20; address += 4096)
      simulation.take({.address = {address}, .size = 4, .kind = RecordKind::Write});
    const nlohmann::ordered_json json = to_json(simulation.report());
    QVERIFY(json.contains("l1i") && !json.contains("l2"));
    for (const char* level : {"l1d", "llc"}) {
      for (const char* key : {"accesses", "reads", "writes", "misses", "read_misses", "write_misses", "ways_probed"})
        QVERIFY2(json[level].contains(key), key);
      QCOMPARE(json[level]["accesses"].get<int>(), 256);
      QCOMPARE(json[level]["writes"].get<int>(), 256);
      QCOMPARE(json[level]["write_misses"].get<int>(), 256);
    }
    for (const char* key : {"tlb", "walks", "pages", "seesaw", "coherence", "cycles", "energy_nj", "memory", "events"})
      QVERIFY2(json.contains(key), key);
    QCOMPARE(json["tlb"]["L1 DTLB 4K"]["lookups"].get<int>(), 256);
  }
};

QTEST_APPLESS_MAIN(StudyConfigTest)
#include "study_config_test.moc"
