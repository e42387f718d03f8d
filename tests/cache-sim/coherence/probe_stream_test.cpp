// SPDX-License-Identifier: GPL-3.0-or-later
#include <QtTest>
#include <algorithm>
#include <cmath>
#include <set>

#include "cache-sim/coherence/probe_stream.h"

using namespace shearling;

namespace {

constexpr std::array kProtocols{CoherenceProtocol::Directory, CoherenceProtocol::Snoopy};

class FixedStream final : public ReferenceStream {
 public:
  explicit FixedStream(std::vector<ReferenceRecord> records, std::optional<StreamError> error = std::nullopt)
      : records_(std::move(records)), error_(std::move(error)) {}
  std::size_t read(std::span<ReferenceRecord> batch) override {
    const std::size_t count = std::min(batch.size(), records_.size() - next_);
    std::copy_n(records_.begin() + static_cast<std::ptrdiff_t>(next_), count, batch.begin());
    next_ += count;
    return count;
  }
  [[nodiscard]] const StreamError* error() const override {
    return error_ && next_ == records_.size() ? &*error_ : nullptr;
  }

 private:
  std::vector<ReferenceRecord> records_;
  std::optional<StreamError> error_;
  std::size_t next_ = 0;
};

MulticoreConfig program(unsigned cores) {
  MulticoreConfig config;
  config.cores = cores;
  config.references = 5000;
  config.private_bytes = 64 * 1024;
  config.shared_bytes = 32 * 1024;
  config.seed = 3;
  return config;
}

ProbeStreamConfig view(unsigned cores, CoherenceProtocol protocol) {
  ProbeStreamConfig config;
  config.system.cores = cores;
  config.system.protocol = protocol;
  config.system.l1d.organisation = CacheOrganisation::Seesaw;
  config.pages.superpage_share = 0.5;
  return config;
}

std::vector<ReferenceRecord> drain(ReferenceStream& stream, std::size_t batch_size = 300) {
  std::vector<ReferenceRecord> all;
  std::vector<ReferenceRecord> batch(batch_size);
  while (const std::size_t count = stream.read(batch))
    all.insert(all.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(count));
  return all;
}

ReferenceRecord record(RecordKind kind, std::uint64_t address, std::uint32_t size = 8) {
  ReferenceRecord made;
  made.kind = kind;
  made.address = {address};
  made.size = size;
  return made;
}

ProbeStream two_cores(std::vector<ReferenceRecord> first, std::vector<ReferenceRecord> second,
                      std::optional<StreamError> error = std::nullopt) {
  std::vector<std::unique_ptr<ReferenceStream>> streams;
  streams.push_back(std::make_unique<FixedStream>(std::move(first)));
  streams.push_back(std::make_unique<FixedStream>(std::move(second), std::move(error)));
  ProbeStreamConfig config = view(2, CoherenceProtocol::Directory);
  config.pages.superpage_share = 0;
  return ProbeStream(config, std::move(streams));
}

}  // namespace

class ProbeStreamTest : public QObject {
  Q_OBJECT

 private slots:
  void the_observed_core_keeps_its_references_in_their_order() {
    for (const unsigned observed : {0U, 2U}) {
      ProbeStreamConfig config = view(4, CoherenceProtocol::Directory);
      config.observed = observed;
      ProbeStream stream(config, thread_streams(program(4)));
      const auto alone = thread_stream(program(4), observed);
      std::vector<ReferenceRecord> own;
      unsigned probes = 0;
      for (const ReferenceRecord& each : drain(stream)) {
        if (is_reference(each.kind)) own.push_back(each);
        probes += is_reference(each.kind) ? 0 : 1;
      }
      const std::vector<ReferenceRecord> right = drain(*alone);
      QCOMPARE(own.size(), right.size());
      for (std::size_t i = 0; i < own.size(); ++i) {
        QVERIFY(own[i].address == right[i].address && own[i].kind == right[i].kind && own[i].translated);
      }
      QVERIFY(probes > 100);
      QVERIFY(stream.error() == nullptr);
      QCOMPARE(stream.progress(), 1.0);
    }
  }

  void a_single_cache_on_the_stream_does_what_it_did_among_the_others_data() {
    QTest::addColumn<int>("protocol");
    for (const CoherenceProtocol protocol : kProtocols) QTest::newRow(name_of(protocol)) << static_cast<int>(protocol);
  }
  void a_single_cache_on_the_stream_does_what_it_did_among_the_others() {
    QFETCH(int, protocol);
    const ProbeStreamConfig config = view(4, static_cast<CoherenceProtocol>(protocol));
    ProbeStream stream(config, thread_streams(program(4)));
    Cache alone(config.system.l1d);
    for (const ReferenceRecord& each : drain(stream)) {
      if (each.kind == RecordKind::CoherenceRead) {
        alone.coherence_probe(each.physical, CoherenceAction::Look);
      } else if (each.kind == RecordKind::CoherenceInvalidate) {
        alone.coherence_probe(each.physical, CoherenceAction::Invalidate);
      } else {
        const bool superpage = each.page_size == PageSize::Size2M;
        alone.access(each.address.value, each.physical,
                     each.kind == RecordKind::Write ? AccessKind::Write : AccessKind::Read, superpage, superpage);
      }
    }
    const CoherenceCounters& among = stream.system().counters(0);
    const CacheCounters single = alone.counters();
    QCOMPARE(single.reads, among.reads);
    QCOMPARE(single.read_misses, among.read_misses);
    QCOMPARE(single.write_misses, among.write_misses);
    QCOMPARE(single.probes, among.probes);
    QCOMPARE(single.probe_hits, among.probe_hits);
    QCOMPARE(single.probe_ways, among.probe_ways);
    QVERIFY(among.invalidations > 50);
    QVERIFY(among.probes >= among.probe_hits);
    if (config.system.protocol == CoherenceProtocol::Directory) QCOMPARE(single.probe_hits, single.probes);
  }

  void threads_that_share_nothing_send_probes_only_where_probes_are_broadcast() {
    MulticoreConfig apart = program(3);
    apart.sharing = 0;
    const auto probes = [&](CoherenceProtocol protocol) {
      ProbeStream stream(view(3, protocol), thread_streams(apart));
      const std::vector<ReferenceRecord> all = drain(stream);
      return std::count_if(all.begin(), all.end(),
                           [](const ReferenceRecord& each) { return !is_reference(each.kind); });
    };
    QCOMPARE(probes(CoherenceProtocol::Directory), 0);
    QVERIFY(probes(CoherenceProtocol::Snoopy) > 1000);
  }

  void more_sharing_means_more_probes() {
    std::uint64_t before = 0;
    for (const double sharing : {0.05, 0.2, 0.6}) {
      MulticoreConfig config = program(4);
      config.sharing = sharing;
      ProbeStream stream(view(4, CoherenceProtocol::Directory), thread_streams(config));
      drain(stream);
      QVERIFY(stream.system().counters(0).probes > before);
      before = stream.system().counters(0).probes;
    }
  }

  void a_stream_is_the_same_in_batches_of_any_size_and_in_every_run() {
    const auto make = [] {
      return std::make_unique<ProbeStream>(view(4, CoherenceProtocol::Snoopy), thread_streams(program(4)));
    };
    const std::vector<ReferenceRecord> right = drain(*make(), 4096);
    QVERIFY(drain(*make(), 1) == right);
    QVERIFY(drain(*make(), 7) == right);
    QVERIFY(drain(*make(), 4096) == right);
  }

  void a_write_of_another_core_arrives_as_an_invalidation_and_a_read_as_a_look() {
    ProbeStream stream = two_cores({record(RecordKind::Write, 0x1000), record(RecordKind::Read, 0x1000)},
                                   {record(RecordKind::Read, 0x1010), record(RecordKind::Write, 0x1008)});
    const std::vector<ReferenceRecord> all = drain(stream);
    QCOMPARE(all.size(), std::size_t{4});
    QCOMPARE(all[1].kind, RecordKind::CoherenceRead);
    QCOMPARE(all[1].physical.value, all[0].physical.value & ~std::uint64_t{63});
    QCOMPARE(all[3].kind, RecordKind::CoherenceInvalidate);
  }

  void a_reference_over_two_pages_comes_as_two() {
    ProbeStream stream = two_cores({record(RecordKind::Write, 0x1ffc, 8)}, {});
    const std::vector<ReferenceRecord> all = drain(stream);
    QCOMPARE(all.size(), std::size_t{2});
    QCOMPARE(all[0].size, 4U);
    QCOMPARE(all[1].size, 4U);
    QCOMPARE(all[1].address.value, std::uint64_t{0x2000});
    QCOMPARE(all[1].physical.value & 0xfff, std::uint64_t{0});
  }

  void every_line_of_a_wide_reference_is_accessed() {
    ProbeStream stream = two_cores({record(RecordKind::Write, 0x1020, 128)}, {});
    QCOMPARE(drain(stream).size(), std::size_t{1});
    QCOMPARE(stream.system().counters(0).write_misses, std::uint64_t{3});
  }

  void what_is_no_reference_of_the_observed_core_passes_and_of_others_is_dropped() {
    ProbeStream stream = two_cores({record(RecordKind::ContextSwitch, 0), record(RecordKind::Fetch, 0x1000)},
                                   {record(RecordKind::ContextSwitch, 0), record(RecordKind::InvalidatePage, 0x1000)});
    const std::vector<ReferenceRecord> all = drain(stream);
    QCOMPARE(all.size(), std::size_t{2});
    QCOMPARE(all[0].kind, RecordKind::ContextSwitch);
    QCOMPARE(all[1].kind, RecordKind::Fetch);
    QCOMPARE(stream.system().counters(0).reads, std::uint64_t{0});
  }

  void an_error_of_any_core_ends_the_stream() {
    const StreamError broken{.source = "b.din", .line = 3, .byte = 0, .message = "no such label", .remedy = "mend it"};
    std::vector<ReferenceRecord> many(1000, record(RecordKind::Read, 0x40));
    ProbeStream stream = two_cores(many, {record(RecordKind::Read, 0)}, broken);
    QVERIFY(drain(stream).size() < many.size());
    QVERIFY(stream.error() != nullptr);
    QCOMPARE(stream.error()->source, std::string("b.din"));
  }

  void pages_that_change_their_size_and_ready_made_probes_are_refused() {
    for (const RecordKind kind :
         {RecordKind::Splinter, RecordKind::Promote, RecordKind::CoherenceRead, RecordKind::CoherenceInvalidate}) {
      ProbeStream stream = two_cores({record(RecordKind::Read, 0), record(kind, 0)}, {});
      QCOMPARE(drain(stream).size(), std::size_t{1});
      QVERIFY(stream.error() != nullptr);
      QCOMPARE(stream.error()->source, std::string("the stream of core 0"));
      QVERIFY(!stream.error()->message.empty() && !stream.error()->remedy.empty());
    }
  }

  void impossible_configurations_are_named() {
    ProbeStreamConfig config = view(2, CoherenceProtocol::Directory);
    QVERIFY(problem_of(config).empty());
    config.observed = 2;
    QVERIFY(!problem_of(config).empty());
    config.observed = 0;
    config.pages.superpage_share = 2;
    QVERIFY(!problem_of(config).empty());
    QVERIFY(problem_of(program(2)).empty());
    for (const int part : {0, 1, 2, 3, 4, 5}) {
      MulticoreConfig wrong = program(2);
      if (part == 0) wrong.cores = 0;
      if (part == 1) wrong.private_bytes = 0;
      if (part == 2) wrong.shared_bytes = 12;
      if (part == 3) wrong.sharing = 1.5;
      if (part == 4) wrong.writes = -1;
      if (part == 5) wrong.run = 0;
      QVERIFY2(!problem_of(wrong).empty(), qPrintable(QString::number(part)));
    }
  }

  void writes_and_shared_references_come_as_often_as_asked() {
    MulticoreConfig config = program(2);
    config.references = 100000;
    config.sharing = 0.4;
    config.writes = 0.25;
    const auto first = thread_stream(config, 0);
    const auto second = thread_stream(config, 1);
    const std::vector<ReferenceRecord> mine = drain(*first);
    std::set<std::uint64_t> theirs;
    for (const ReferenceRecord& each : drain(*second)) theirs.insert(each.address.value >> 36);
    double writes = 0;
    double shared = 0;
    for (const ReferenceRecord& each : mine) {
      writes += each.kind == RecordKind::Write ? 1 : 0;
      shared += theirs.contains(each.address.value >> 36) ? 1 : 0;
    }
    QCOMPARE(mine.size(), std::size_t{100000});
    QVERIFY(std::abs(writes / 100000 - 0.25) < 0.01);
    QVERIFY(std::abs(shared / 100000 - 0.4) < 0.02);
  }
};

QTEST_APPLESS_MAIN(ProbeStreamTest)
#include "probe_stream_test.moc"
