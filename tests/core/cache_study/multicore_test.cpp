// SPDX-License-Identifier: GPL-3.0-or-later
//
// Several cores as a user asks for them: the 'coherence' section, the multicore stream in its two forms, the report as
// JSON, and what a mistake in each of them says.
#include <QTest>
#include <nlohmann/json.hpp>

#include "cache-sim/coherence/probe_stream.h"
#include "core/cache_study/multicore.h"
#include "core/cache_study/multicore_stream.h"
#include "core/cache_study/study_config.h"

using namespace shearling;

namespace {

using Json = nlohmann::ordered_json;

SimulationConfig parsed(const std::string& yaml) {
  Result<SimulationConfig> config = parse_study_config(yaml, "f.yaml");
  if (!config) qFatal("%s", config.error().text().c_str());
  return std::move(config).value();
}

std::string complaint(const std::string& yaml) {
  const Result<SimulationConfig> config = parse_study_config(yaml, "f.yaml");
  return config ? "" : config.error().text();
}

std::unique_ptr<ReferenceStream> opened(const std::string& specification) {
  OpenedStream stream = open_study_stream(specification);
  if (const auto* error = std::get_if<StreamError>(&stream)) qFatal("%s", error->message.c_str());
  return std::get<0>(std::move(stream));
}

StreamError refused(const std::string& specification) {
  const OpenedStream stream = open_study_stream(specification);
  const auto* error = std::get_if<StreamError>(&stream);
  return error == nullptr ? StreamError{} : *error;
}

std::vector<ReferenceRecord> all_of(ReferenceStream& stream) {
  std::vector<ReferenceRecord> records, batch(1000);
  while (const std::size_t got = stream.read(batch))
    records.insert(records.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(got));
  return records;
}

Json simulated(const std::string& yaml, const std::string& specification) {
  const auto stream = opened(specification);
  SimulationConfig config = parsed(yaml);
  config.pages = *stream->suggested_pages();
  StudySimulation simulation(std::move(config));
  simulation.run(*stream);
  return to_json(simulation.report());
}

}  // namespace

class MulticoreTest : public QObject {
  Q_OBJECT

 private slots:
  void the_coherence_section_asks_for_several_cores() {
    QVERIFY(!parsed("extends: seesaw-32k\n").coherence);
    const SimulationConfig defaults = parsed("extends: seesaw-32k\ncoherence: {}\n");
    QCOMPARE(defaults.coherence->cores, 2U);
    QVERIFY(defaults.coherence->protocol == CoherenceProtocol::Directory);
    QCOMPARE(defaults.coherence->message_latency, 0U);
    const SimulationConfig config =
        parsed("extends: seesaw-32k\ncoherence: {cores: 128, protocol: snoopy, message-latency: 7}\n");
    QCOMPARE(config.coherence->cores, 128U);
    QVERIFY(config.coherence->protocol == CoherenceProtocol::Snoopy);
    QCOMPARE(config.coherence->message_latency, 7U);
    QVERIFY(!parsed("extends: seesaw-32k\ncoherence: {cores: 4}\n---\ncoherence: ~\n").coherence);
  }

  void a_mistake_in_the_coherence_section_is_named_with_its_place_data() {
    QTest::addColumn<QString>("section");
    QTest::addColumn<QString>("place");
    QTest::addColumn<QString>("says");
    QTest::newRow("no core") << "coherence: {cores: 0}"
                             << "f.yaml:2:20"
                             << "from 1 to 128";
    QTest::newRow("too many cores") << "coherence: {cores: 129}"
                                    << "f.yaml:2:20"
                                    << "from 1 to 128";
    QTest::newRow("misspelt key") << "coherence: {core: 2}"
                                  << "f.yaml:2:13"
                                  << "did you mean 'cores'?";
    QTest::newRow("unknown protocol") << "coherence: {protocol: mesi}"
                                      << "f.yaml:2:23"
                                      << "directory, snoopy";
    QTest::newRow("no mapping") << "coherence: 2"
                                << "f.yaml:2:12"
                                << "must be a mapping";
    QTest::newRow("an L2") << "l2: {size: 256 KB}\ncoherence: {cores: 2}"
                           << "f.yaml:3:12"
                           << "private second-level caches are not modelled";
    QTest::newRow("no L1D") << "coherence: {cores: 2}\ntlb: ~\nl1d: ~"
                            << "f.yaml:2:12"
                            << "need an L1D";
  }
  void a_mistake_in_the_coherence_section_is_named_with_its_place() {
    QFETCH(QString, section);
    QFETCH(QString, place);
    QFETCH(QString, says);
    const QString text = QString::fromStdString(complaint("extends: vipt-32k\n" + section.toStdString() + "\n"));
    QVERIFY2(text.startsWith(place + ": "), qPrintable(text));
    QVERIFY2(text.contains(says), qPrintable(text));
    QVERIFY(!text.contains('\n'));
  }

  void the_report_tells_of_every_core() {
    const std::string yaml = "extends: seesaw-32k\ncoherence: {cores: 3}\n";
    const Json json = simulated(yaml, "synthetic:multicore,cores=3,count=20K,superpages=1");
    QCOMPARE(json["references"].get<int>(), 60000);
    QCOMPARE(json["cores"].size(), std::size_t{3});
    for (const char* key : {"accesses", "misses", "ways_probed", "reads", "write_misses"}) {
      std::uint64_t sum = 0;
      for (const Json& core : json["cores"]) sum += core["l1d"][key].get<std::uint64_t>();
      QCOMPARE(json["l1d"][key].get<std::uint64_t>(), sum);
    }
    const Json& coherence = json["coherence"];
    QCOMPARE(coherence["protocol"].get<std::string>(), std::string("directory"));
    QVERIFY(coherence["probes"].get<int>() > 0);
    QCOMPARE(coherence["hits"].get<int>(), coherence["probes"].get<int>());
    QCOMPARE(coherence["ways_probed"].get<int>(), 4 * coherence["probes"].get<int>());
    const Json& messages = coherence["messages"];
    QCOMPARE(messages["Fwd-GetS"].get<int>() + messages["Fwd-GetM"].get<int>() + messages["Inv"].get<int>(),
             coherence["probes"].get<int>());
    QVERIFY(coherence["energy_nj"].get<double>() > 0);
    QVERIFY(coherence["share_of_saving"].get<double>() > 0);
    QCOMPARE(simulated(yaml, "synthetic:multicore,cores=3,count=20K,superpages=1").dump(), json.dump());
  }

  void without_a_saving_there_is_no_share_of_it() {
    const Json json =
        simulated("extends: vipt-32k\ncoherence: {cores: 2}\n", "synthetic:multicore,cores=2,count=10K,superpages=1");
    QVERIFY(json["coherence"]["share_of_saving"].is_null());
    QCOMPARE(json["coherence"]["ways_probed"].get<int>(), 8 * json["coherence"]["probes"].get<int>());
  }

  void a_configuration_without_coherence_reports_as_ever() {
    const Json json = simulated("extends: seesaw-32k\n", "synthetic:multicore,view=core0,count=10K,superpages=1");
    QVERIFY(!json.contains("cores"));
    QVERIFY(!json["coherence"].contains("messages"));
  }

  void a_record_of_a_missing_core_is_an_error_with_its_place() {
    const auto stream = opened("synthetic:multicore,cores=4,count=10");
    StudySimulation simulation(parsed("extends: vipt-32k\ncoherence: {cores: 2}\n"));
    QVERIFY(!simulation.problem("trace"));
    simulation.run(*stream);
    QCOMPARE(simulation.problem("trace")->text(),
             std::string("trace: record 3: it is of core 2, and the configuration has cores 0 to 1; set "
                         "coherence.cores to at least 3"));
  }

  void the_cores_of_a_multicore_stream_take_turns() {
    const auto stream = opened("synthetic:multicore,cores=3,count=2K,superpages=0.5,seed=9");
    QCOMPARE(stream->suggested_pages()->superpage_share, 0.5);
    QCOMPARE(stream->suggested_pages()->seed, 9U);
    const std::vector<ReferenceRecord> records = all_of(*stream);
    QCOMPARE(records.size(), std::size_t{6000});
    for (std::size_t i = 0; i < records.size(); ++i) QCOMPARE(records[i].core, i % 3);
    // Each core's are those of its thread.
    const auto thread = thread_stream({.cores = 3, .references = 2000, .seed = 9}, 1);
    const std::vector<ReferenceRecord> own = all_of(*thread);
    for (std::size_t i = 0; i < own.size(); ++i) QVERIFY(records[3 * i + 1] == own[i]);
  }

  void a_cores_view_has_its_references_and_the_probes_that_reach_it() {
    const std::string specification = "synthetic:multicore,cores=4,count=20K,superpages=1";
    const std::vector<ReferenceRecord> view = all_of(*opened(specification + ",view=core2,organisation=seesaw"));
    std::uint64_t references = 0, probes = 0;
    for (const ReferenceRecord& record : view) {
      QCOMPARE(record.core, 2);
      QVERIFY(record.translated);
      ++(is_reference(record.kind) ? references : probes);
    }
    QCOMPARE(references, 20000U);
    // They are those of the system of four, and they find what a simulation of this core alone holds. The first
    // reference to each superpage misses the filter table here and not there, which changes no hit.
    const Json several = simulated("extends: seesaw-32k\ncoherence: {cores: 4}\n", specification);
    const Json alone = simulated("extends: seesaw-32k\n", specification + ",view=core2,organisation=seesaw");
    QCOMPARE(alone["coherence"]["probes"].get<std::uint64_t>(), probes);
    QVERIFY(alone["coherence"]["hits"].get<double>() > 0.99 * static_cast<double>(probes));
    const double ratio = static_cast<double>(probes) / several["cores"][2]["coherence"]["probes"].get<double>();
    QVERIFY2(ratio > 0.9 && ratio < 1.1, qPrintable(QString::number(ratio)));
  }

  void a_snoopy_view_has_more_probes() {
    const std::string specification = "synthetic:multicore,cores=4,count=5K,view=core0";
    const std::size_t directory = all_of(*opened(specification)).size();
    const std::size_t snoopy = all_of(*opened(specification + ",protocol=snoopy")).size();
    QVERIFY(snoopy > directory);
  }

  void other_specifications_are_as_ever() {
    QCOMPARE(all_of(*opened("synthetic:stream,count=100")).size(), std::size_t{100});
    QVERIFY(QString::fromStdString(refused("synthetic:multicores").remedy).endsWith(", multicore"));
    const std::vector<GeneratorDescription> all = study_generators();
    QCOMPARE(all.size(), generators().size() + 1);
    QCOMPARE(all.back().name, std::string("multicore"));
  }

  void a_mistake_in_a_specification_is_refused_with_a_remedy_data() {
    QTest::addColumn<QString>("settings");
    QTest::addColumn<QString>("says");
    QTest::newRow("misspelt") << "coers=2"
                              << "no parameter 'coers'";
    QTest::newRow("no value") << "cores"
                              << "'cores' cannot be";
    QTest::newRow("too many") << "cores=129"
                              << "'cores=129' cannot be";
    QTest::newRow("share") << "sharing=1.5"
                           << "'sharing=1.5' cannot be";
    QTest::newRow("fraction") << "count=1.5"
                              << "'count=1.5' cannot be";
    QTest::newRow("suffix") << "shared=1X"
                            << "'shared=1X' cannot be";
    QTest::newRow("odd bytes") << "private=12"
                               << "a multiple of 8";
    QTest::newRow("no such core") << "cores=2,view=core2"
                                  << "view=core2 names no core";
    QTest::newRow("no such view") << "view=some"
                                  << "view=some names no core";
    QTest::newRow("protocol") << "view=core0,protocol=mesi"
                              << "no such protocol";
    QTest::newRow("organisation") << "view=core0,organisation=vivt"
                                  << "no such organisation";
    QTest::newRow("geometry") << "view=core0,ways=1"
                              << "4096 bytes a way";
  }
  void a_mistake_in_a_specification_is_refused_with_a_remedy() {
    QFETCH(QString, settings);
    QFETCH(QString, says);
    const std::string specification = "synthetic:multicore," + settings.toStdString();
    const StreamError error = refused(specification);
    QVERIFY2(QString::fromStdString(error.message).contains(says), error.message.c_str());
    QCOMPARE(error.source, specification);
    QVERIFY(!error.remedy.empty());
  }
};

QTEST_APPLESS_MAIN(MulticoreTest)
#include "multicore_test.moc"
