// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>
#include <algorithm>
#include <map>
#include <set>

#include "cache-sim/streams/patterns.h"
#include "tests/cache-sim/streams/trace_files.h"

using namespace shearling;
using namespace shearling::test;

namespace {

constexpr std::uint64_t kDataBase = 0x1000000000;

bool is_data(const ReferenceRecord& record) {
  return record.kind == RecordKind::Read || record.kind == RecordKind::Write || record.kind == RecordKind::Modify;
}

std::size_t count_of(const std::vector<ReferenceRecord>& records, RecordKind kind) {
  return static_cast<std::size_t>(std::count_if(records.begin(), records.end(),
                                                [&](const ReferenceRecord& record) { return record.kind == kind; }));
}

std::vector<ReferenceRecord> data_of(const std::vector<ReferenceRecord>& records) {
  std::vector<ReferenceRecord> data;
  std::copy_if(records.begin(), records.end(), std::back_inserter(data), is_data);
  return data;
}

double share_of(std::size_t part, std::size_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

std::vector<ReferenceRecord> records_of(const std::string& specification) {
  const Contents contents = read_all(specification);
  if (contents.error) qFatal("%s", contents.error->message.c_str());
  return contents.records;
}

std::unique_ptr<ReferenceStream> opened(const std::string& specification) {
  auto stream = open_stream(specification);
  return std::move(std::get<std::unique_ptr<ReferenceStream>>(stream));
}

std::size_t lines_of(const std::vector<ReferenceRecord>& records) {
  std::set<std::uint64_t> lines;
  for (const ReferenceRecord& record : records) lines.insert(record.address.value / 64);
  return lines.size();
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const GeneratorDescription& generator : generators()) names.push_back(generator.name);
  for (const WorkloadDescription& workload : workloads()) names.push_back(workload.name);
  return names;
}

}  // namespace

class SyntheticTest : public QObject {
  Q_OBJECT

 private slots:
  void every_generator_and_workload_keeps_its_promises() {
    for (const std::string& name : all_names()) {
      const std::string specification = "synthetic:" + name + ",count=50000,footprint=8M";
      const std::vector<ReferenceRecord> records = records_of(specification);
      const std::vector<ReferenceRecord> data = data_of(records);
      QCOMPARE(data.size(), std::size_t{50'000});
      for (const ReferenceRecord& record : data) {
        const std::uint64_t offset = record.address.value - kDataBase;
        QVERIFY2(offset + record.size <= 8 << 20, name.c_str());
      }
      QVERIFY2(records == records_of(specification), name.c_str());
      if (name != "stream")
        QVERIFY2(records != records_of(specification + ",seed=2"), name.c_str());  // no choice there
    }
  }

  void batches_do_not_change_a_stream() {
    const std::string specification = "synthetic:olio,count=20000";
    const Contents small = read_all(specification, TraceFormat::Guess, 1);
    QVERIFY(small.records == read_all(specification, TraceFormat::Guess, 100'000).records);
  }

  void the_share_of_writes_is_met() {
    for (const std::string& name : all_names()) {
      for (const double writes : {0.05, 0.1}) {
        const auto records =
            records_of("synthetic:" + name + ",count=200000,footprint=16M,writes=" + std::to_string(writes));
        const double share = share_of(count_of(records, RecordKind::Write), data_of(records).size());
        QVERIFY2(std::abs(share - writes) < 0.02, qPrintable(QString("%1: %2").arg(name.c_str()).arg(share)));
      }
    }
  }

  void instructions_come_in_their_number_and_within_their_code() {
    const auto records = records_of("synthetic:key-value,count=40000,fetches=2.5,code=16K");
    const std::size_t fetches = count_of(records, RecordKind::Fetch);
    QVERIFY(std::abs(share_of(fetches, 40'000) - 2.5) < 0.001);
    std::size_t next_in_a_row = 0;
    std::uint64_t before = 0;
    for (const ReferenceRecord& record : records) {
      if (record.kind != RecordKind::Fetch) continue;
      QVERIFY(record.address.value >= 0x400000 && record.address.value < 0x400000 + 16 * 1024);
      next_in_a_row += record.address.value == before + 4;
      before = record.address.value;
    }
    QVERIFY(share_of(next_in_a_row, fetches) > 0.9);
  }

  void probes_and_remaps_come_in_their_number_and_change_no_reference() {
    const auto plain = records_of("synthetic:graph-walk,count=100000");
    const auto records = records_of("synthetic:graph-walk,count=100000,probes=20,invalidations=0.25,remaps=1000");
    QVERIFY(data_of(plain) == data_of(records));
    const std::size_t reads = count_of(records, RecordKind::CoherenceRead);
    const std::size_t invalidations = count_of(records, RecordKind::CoherenceInvalidate);
    QVERIFY(std::abs(share_of(reads + invalidations, 100'000) - 0.02) < 0.003);
    QVERIFY(std::abs(share_of(invalidations, reads + invalidations) - 0.25) < 0.05);
    const std::size_t splinters = count_of(records, RecordKind::Splinter),
                      promotions = count_of(records, RecordKind::Promote);
    QVERIFY(splinters == promotions || splinters == promotions + 1);
    QVERIFY(std::abs(share_of(splinters + promotions, 100'000) - 0.001) < 0.0005);
    std::set<std::uint64_t> seen;
    for (const ReferenceRecord& record : records) {
      if (record.kind == RecordKind::CoherenceRead || record.kind == RecordKind::CoherenceInvalidate) {
        QVERIFY(!record.translated);
        QVERIFY(seen.count(record.address.value) != 0);
      }
      seen.insert(record.address.value);
    }
  }

  void context_switches_rotate_through_the_address_spaces() {
    const auto records = records_of("synthetic:mixture,count=200000,switches=500,spaces=3");
    const std::size_t switches = count_of(records, RecordKind::ContextSwitch);
    QVERIFY(switches > 50 && switches < 150);
    std::uint16_t running = 0;
    std::set<std::uint16_t> spaces;
    for (const ReferenceRecord& record : records) {
      if (record.kind == RecordKind::ContextSwitch) {
        QCOMPARE(record.address_space, (running + 1) % 3);
        running = record.address_space;
      }
      if (is_reference(record.kind)) QCOMPARE(record.address_space, running);
      spaces.insert(record.address_space);
    }
    QCOMPARE(spaces.size(), std::size_t{3});
  }

  void patterns_differ_in_locality_as_their_names_say() {
    const auto touched = [](const std::string& generator) {
      return lines_of(records_of("synthetic:" + generator + ",count=100000,hot=0"));
    };
    const std::size_t random = touched("random-update"), chase = touched("pointer-chase"), stream = touched("stream"),
                      popular = touched("key-value,skew=1.5"), all_alike = touched("key-value,skew=0");
    QVERIFY(random > 45'000);                     // one line for each read and its write
    QVERIFY(stream > 12'000 && stream < 13'000);  // eight words a line
    QVERIFY(chase > 24'000 && chase < 26'000);    // four references a node
    QVERIFY(popular * 2 < all_alike);
    QVERIFY(lines_of(records_of("synthetic:random-update,count=100000,hot=0.9")) < random / 4);
  }

  void a_permutation_meets_everything_once() {
    for (const std::uint64_t count : {1U, 2U, 3U, 1000U, 4096U, 5000U}) {
      const Scatter scatter(count, 42);
      std::set<std::uint64_t> images;
      for (std::uint64_t i = 0; i < count; ++i) images.insert(scatter(i));
      QCOMPARE(images.size(), static_cast<std::size_t>(count));
      QVERIFY(*images.rbegin() == count - 1);
    }
  }

  void ranks_follow_zipfs_law() {
    constexpr std::uint64_t kItems = 1000;
    for (const double skew : {0.0, 0.5, 0.99, 1.5}) {
      const SkewedRank ranks(kItems, skew);
      RandomSequence random(9);
      std::vector<double> seen(kItems);
      constexpr int kDraws = 400'000;
      for (int i = 0; i < kDraws; ++i) seen[ranks(random)] += 1.0 / kDraws;
      double all = 0, expected_head = 0, head = 0;
      for (std::uint64_t i = 0; i < kItems; ++i) all += std::pow(static_cast<double>(i + 1), -skew);
      for (std::uint64_t i = 0; i < 63; ++i) {
        head += seen[i];
        expected_head += std::pow(static_cast<double>(i + 1), -skew) / all;
      }
      QVERIFY2(std::abs(head - expected_head) < 0.02,
               qPrintable(QString("%1: %2, not %3").arg(skew).arg(head).arg(expected_head)));
    }
  }

  void the_share_of_superpages_is_recommended() {
    const auto share = [](const std::string& settings) {
      return opened("synthetic:" + settings)->suggested_pages()->superpage_share;
    };
    QCOMPARE(share("mcf"), 0.88);
    QCOMPARE(share("mcf,memhog=60"), 0.73);
    QCOMPARE(share("mcf,memhog=80"), 0.33);
    QCOMPARE(share("mcf,memhog=20"), 0.85);
    QCOMPARE(share("mcf,superpages=0.5"), 0.5);
    QCOMPARE(share("stencil"), 0.0);
    QCOMPARE(share("stencil,memhog=0"), 0.805);
    QVERIFY(problem_of(*opened("synthetic:mongo")->suggested_pages()).empty());
  }

  void the_sixteen_workloads_carry_figure_3() {
    QCOMPARE(workloads().size(), std::size_t{16});
    std::array<double, 4> sums{};
    for (const WorkloadDescription& workload : workloads()) {
      for (std::size_t i = 0; i < 4; ++i) sums[i] += workload.superpages[i] / 16;
      QVERIFY(!workload.reason.empty());
    }
    static constexpr std::array<double, 4> kMean{80.5, 73.8, 63.9, 29.2};  // good to 0.2
    for (std::size_t i = 0; i < 4; ++i) QVERIFY(std::abs(sums[i] - kMean[i]) < 0.2);
  }

  void bad_specifications_name_the_parameter_and_those_that_exist() {
    struct Bad {
      const char* specification;
      const char* message;
      const char* remedy;
    };
    static constexpr Bad kBad[] = {
        {"synthetic:", "there is no generator ''", "pointer-chase"},
        {"synthetic:quicksort", "there is no generator 'quicksort'", "mcf"},
        {"synthetic:stencil,footprnt=1M", "stencil has no parameter 'footprnt'", "footprint, count"},
        {"synthetic:stencil,skew=1", "stencil has no parameter 'skew'", "footprint"},
        {"synthetic:stencil,footprint=lots", "'footprint=lots' cannot be", "from 64K to 32G"},
        {"synthetic:stencil,footprint=1K", "'footprint=1K' cannot be", "from 64K to 32G"},
        {"synthetic:stencil,footprint", "'footprint' cannot be", "from 64K to 32G"},
        {"synthetic:stencil,footprint=1MM", "'footprint=1MM' cannot be", "from 64K to 32G"},
        {"synthetic:stencil,superpages=1.5", "'superpages=1.5' cannot be", "from 0 to 1"},
        {"synthetic:stencil,superpages=nan", "'superpages=nan' cannot be", "from 0 to 1"},
        {"synthetic:stencil,count=1.5", "'count=1.5' cannot be", "a whole number"},
        {"synthetic:stencil,count=0", "'count=0' cannot be", "a whole number"},
        {"synthetic:mcf,memhog=90", "'memhog=90' cannot be", "from 0 to 80"},
        {"synthetic:mcf,memhog=40,superpages=0.5", "memhog and superpages both set", "one of them"},
        {"synthetic:mcf,,count=1", "pointer-chase has no parameter ''", "footprint"},
    };
    for (const Bad& bad : kBad) {
      const Contents contents = read_all(std::string(bad.specification));
      QVERIFY2(contents.error, bad.specification);
      QVERIFY2(contents.message().find(bad.message) != std::string::npos, contents.message().c_str());
      QVERIFY2(contents.error->remedy.find(bad.remedy) != std::string::npos, contents.error->remedy.c_str());
      QCOMPARE(contents.error->source, std::string(bad.specification));
    }
  }

  void what_the_help_says_can_be_given_back() {
    for (const GeneratorDescription& generator : generators()) {
      std::string specification = "synthetic:" + generator.name;
      for (const auto& parameter : generator.parameters) {
        QVERIFY(!parameter.description.empty());
        if (!parameter.default_value.empty()) specification += "," + parameter.name + "=" + parameter.default_value;
      }
      const auto given = opened(specification + ",count=2000"),
                 left_out = opened("synthetic:" + generator.name + ",count=2000");
      QVERIFY2(read_all(*given).records == read_all(*left_out).records, specification.c_str());
    }
  }

  void extremes_of_every_parameter_work() {
    for (const GeneratorDescription& generator : generators()) {
      for (const char* extreme :
           {"footprint=64K", "footprint=32G", "node=16",      "node=4096",  "fields=0",    "fields=64",
            "run=16",        "degree=1",      "degree=256",   "skew=0",     "skew=2",      "item=16",
            "item=4096",     "arrays=2",      "arrays=16",    "fanout=2",   "fanout=256",  "writes=0",
            "writes=1",      "hot=0.99",      "hot-size=16M", "count=1",    "probes=1000", "switches=100000",
            "spaces=256",    "code=4K",       "code=64M",     "fetches=100"}) {
        const std::string name = std::string(extreme).substr(0, std::string(extreme).find('='));
        const bool has = std::any_of(generator.parameters.begin(), generator.parameters.end(),
                                     [&](const auto& parameter) { return parameter.name == name; });
        if (!has) continue;
        for (const char* footprint : {"64K", "4G"}) {
          const std::string specification =
              "synthetic:" + generator.name + ",count=500,footprint=" + footprint + "," + extreme;
          const Contents contents = read_all(specification);
          QVERIFY2(!contents.error && !contents.records.empty(), specification.c_str());
          const std::uint64_t bytes = std::string(extreme) == "footprint=32G"   ? std::uint64_t{32} << 30
                                      : std::string(extreme) == "footprint=64K" ? 64 << 10
                                      : std::string(footprint) == "4G"          ? std::uint64_t{4} << 30
                                                                                : 64 << 10;
          for (const ReferenceRecord& record : data_of(contents.records))
            QVERIFY2(record.address.value - kDataBase + record.size <= bytes, specification.c_str());
        }
      }
    }
  }
};

QTEST_APPLESS_MAIN(SyntheticTest)
#include "synthetic_test.moc"
