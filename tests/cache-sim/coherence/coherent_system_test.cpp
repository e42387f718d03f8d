// SPDX-License-Identifier: GPL-3.0-or-later
#include <QtTest>
#include <algorithm>
#include <map>
#include <set>

#include "cache-sim/coherence/coherent_system.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

namespace {

using Message = CoherenceMessage;
using State = CoherenceState;

constexpr std::array kProtocols{CoherenceProtocol::Directory, CoherenceProtocol::Snoopy};

// One writer or many readers, for each line, in the words of the five states; and the versions of the data, moved by
// the messages that claim to carry them. Knows nothing of directories, probes or tables.
class NaiveModel : public CoherenceObserver {
 public:
  struct LineState {
    std::set<unsigned> holders;
    std::optional<unsigned> owner;
    bool dirty = false;      ///< The owner wrote it.
    bool exclusive = false;  ///< The owner has not shared it since.
  };

  void read(unsigned core, std::uint64_t line) {
    LineState& now = lines[line];
    if (now.holders.contains(core)) return;
    const bool alone = now.holders.empty();
    if (now.owner && !now.dirty) now.owner.reset();
    now.exclusive = alone;
    if (alone) now = {.holders = {}, .owner = core, .dirty = false, .exclusive = true};
    now.holders.insert(core);
  }
  void write(unsigned core, std::uint64_t line) {
    lines[line] = {.holders = {core}, .owner = core, .dirty = true, .exclusive = true};
    latest[line] += 1;
    copies[{core, line}] = latest[line];
  }
  void lose(unsigned core, std::uint64_t line) {
    lines[line].holders.erase(core);
    if (lines[line].owner == core) lines[line].owner.reset();
    copies.erase({core, line});
  }
  [[nodiscard]] State state(unsigned core, std::uint64_t line) {
    const LineState& now = lines[line];
    if (!now.holders.contains(core)) return State::Invalid;
    if (now.owner != core) return State::Shared;
    if (!now.exclusive) return State::Owned;
    return now.dirty ? State::Modified : State::Exclusive;
  }

  void sent(Message message, CoherenceNode from, CoherenceNode to, PhysicalAddress address) override {
    if (carries_data(message)) place(to, address.value) = place(from, address.value);
    ++messages[message];
    names << name_of(message);
  }
  void probed(unsigned core, PhysicalAddress address, CoherenceEvent event, State before) override {
    ++probes[core];
    if (event == CoherenceEvent::Recall && before != State::Invalid) recalled.push_back({core, address.value});
  }

  std::map<std::uint64_t, LineState> lines;
  std::map<std::uint64_t, int> latest, home, memory;
  std::map<std::pair<unsigned, std::uint64_t>, int> copies;
  std::map<Message, std::uint64_t> messages;
  QStringList names;
  std::map<unsigned, std::uint64_t> probes;
  std::vector<std::pair<unsigned, std::uint64_t>> recalled;

 private:
  int& place(CoherenceNode node, std::uint64_t line) {
    if (node.kind == CoherenceNode::Kind::Core) return copies[{node.core, line}];
    return node.kind == CoherenceNode::Kind::Home ? home[line] : memory[line];
  }
};

CacheConfig l1d_of(CacheOrganisation organisation, unsigned kilobytes,
                   InsertionPolicy insertion = InsertionPolicy::Partition) {
  CacheConfig config;
  config.size = std::uint64_t{1024} * kilobytes;
  config.ways = kilobytes / 4;
  config.organisation = organisation;
  config.insertion = insertion;
  return config;
}

CacheConfig last_level_of(std::uint64_t size, bool inclusive, WriteBackArrival arrival = WriteBackArrival::Allocate) {
  CacheConfig config;
  config.name = "LLC";
  config.size = size;
  config.ways = 4;
  config.organisation = CacheOrganisation::Pipt;
  config.latency = 30;
  config.arrival = arrival;
  config.inclusive = inclusive;
  return config;
}

CoherentSystemConfig system_of(unsigned cores, CoherenceProtocol protocol, const CacheConfig& l1d) {
  CoherentSystemConfig config;
  config.cores = cores;
  config.protocol = protocol;
  config.l1d = l1d;
  return config;
}

struct Reference {
  unsigned core = 0;
  VirtualAddress virtual_address;
  PhysicalAddress physical;
  PageSize page_size = PageSize::Size4K;
  AccessKind kind = AccessKind::Read;
  bool fast = false;
};

// Two sets' worth of lines in a few dozen frames, so that lines conflict, are shared, and have virtual addresses whose
// partition bits differ from the physical ones unless they lie in a superpage.
class RandomReferences {
 public:
  static constexpr unsigned kFrames = 24;
  RandomReferences(std::uint64_t seed, unsigned cores, bool mapped_both_ways)
      : random_(seed), cores_(cores), mapped_both_ways_(mapped_both_ways) {}
  Reference next() {
    const std::uint64_t frame = random_.below(kFrames);
    const std::uint64_t offset = random_.below(2) * 64 + random_.below(64);
    const bool superpage = mapped_both_ways_ ? random_.one_in(2) : frame % 3 == 0;
    const std::uint64_t page = superpage ? (std::uint64_t{1} << 24) + frame : (frame * 7 + 3) % kFrames;
    return {.core = static_cast<unsigned>(random_.below(cores_)),
            .virtual_address = {page << 12 | offset},
            .physical = {frame << 12 | offset},
            .page_size = superpage ? PageSize::Size2M : PageSize::Size4K,
            .kind = random_.one_in(3) ? AccessKind::Write : AccessKind::Read,
            .fast = superpage && !random_.one_in(4)};
  }
  static std::vector<std::uint64_t> lines() {
    std::vector<std::uint64_t> all;
    for (std::uint64_t frame = 0; frame < kFrames; ++frame) {
      all.push_back(frame << 12);
      all.push_back(frame << 12 | 64);
    }
    return all;
  }

 private:
  test::Random random_;
  unsigned cores_;
  bool mapped_both_ways_;
};

CoherenceOutcome refer(CoherentSystem& system, const Reference& reference) {
  return system.access(reference.core, reference.virtual_address, reference.physical, reference.page_size,
                       reference.kind, reference.fast);
}
CoherenceOutcome load(CoherentSystem& system, unsigned core, std::uint64_t address) {
  return system.access(core, {address}, {address}, PageSize::Size4K, AccessKind::Read, false);
}
CoherenceOutcome store(CoherentSystem& system, unsigned core, std::uint64_t address) {
  return system.access(core, {address}, {address}, PageSize::Size4K, AccessKind::Write, false);
}
/// "r1", "w1", "e1": core 1 reads, writes, evicts the line at 0.
void perform(CoherentSystem& system, const QString& step) {
  const unsigned core = step.mid(1).toUInt();
  if (step[0] == 'r') load(system, core, 0);
  if (step[0] == 'w') store(system, core, 0);
  if (step[0] == 'e') system.sweep(core, {0}, 64);
}
std::uint64_t count(const CoherentSystem& system, Message message) {
  return system.messages()[static_cast<std::size_t>(message)];
}

/// Nothing if all is well; else what is wrong.
QString broken_rule(const CoherentSystem& system, std::uint64_t line) {
  unsigned holders = 0;
  unsigned alone = 0;
  unsigned owners = 0;
  DirectoryEntry expected;
  for (unsigned core = 0; core < system.config().cores; ++core) {
    const State state = system.state(core, {line});
    const std::optional<unsigned> way = system.l1d(core).find({line});
    if (way.has_value() != (state != State::Invalid)) return "a state without a line, or a line without a state";
    holders += way ? 1 : 0;
    alone += state == State::Modified || state == State::Exclusive ? 1 : 0;
    owners += state == State::Owned ? 1 : 0;
    const unsigned set = static_cast<unsigned>(line / 64 % system.l1d(core).sets());
    if (way && (system.l1d(core).line(set, *way).dirty != 0) != is_dirty(state)) return "dirty bit and state disagree";
    if (way && system.config().last_level && system.config().last_level->inclusive &&
        !system.last_level()->find({line}))
      return "the inclusive last-level cache lacks a line";
    if (is_owner(state)) expected.owner = core;
    if (state == State::Shared) expected.sharers.insert(core);
  }
  if (alone > 1 || (alone == 1 && holders > 1)) return "a core that may write is not alone";
  if (owners > 1) return "two caches own the line";
  if (system.directory() == nullptr) return {};
  const DirectoryEntry entry = system.directory()->look_up(line / 64);
  if (entry.owner != expected.owner || entry.sharers != expected.sharers) return "the directory is not exact";
  return {};
}

}  // namespace

class CoherentSystemTest : public QObject {
  Q_OBJECT

 private slots:
  void every_read_sees_the_latest_write_data() {
    QTest::addColumn<int>("protocol");
    QTest::addColumn<int>("l1d");
    QTest::addColumn<int>("below");
    const std::array<const char*, 4> l1d_names{"VIPT", "PIPT", "SEESAW 4way", "SEESAW 4way-8way"};
    const std::array<const char*, 4> below_names{"memory", "a small LLC", "a small inclusive LLC",
                                                 "an LLC that updates"};
    for (const CoherenceProtocol protocol : kProtocols) {
      for (unsigned l1d = 0; l1d < l1d_names.size(); ++l1d) {
        for (unsigned below = 0; below < below_names.size(); ++below) {
          QTest::addRow("%s, %s over %s", name_of(protocol), l1d_names[l1d], below_names[below])
              << static_cast<int>(protocol) << static_cast<int>(l1d) << static_cast<int>(below);
        }
      }
    }
  }
  void every_read_sees_the_latest_write() {
    QFETCH(int, protocol);
    QFETCH(int, l1d);
    QFETCH(int, below);
    const std::array l1ds{l1d_of(CacheOrganisation::Vipt, 32), l1d_of(CacheOrganisation::Pipt, 16),
                          l1d_of(CacheOrganisation::Seesaw, 32),
                          l1d_of(CacheOrganisation::Seesaw, 32, InsertionPolicy::PartitionOrWhole)};
    const std::array<std::optional<CacheConfig>, 4> belows{std::nullopt, last_level_of(16384, false),
                                                           last_level_of(32768, true),
                                                           last_level_of(16384, false, WriteBackArrival::Update)};
    for (const unsigned cores : {2U, 3U, 8U}) {
      CoherentSystemConfig config =
          system_of(cores, static_cast<CoherenceProtocol>(protocol), l1ds[static_cast<unsigned>(l1d)]);
      config.last_level = belows[static_cast<unsigned>(below)];
      config.l1d.replacement = static_cast<ReplacementKind>(cores % 3);
      QCOMPARE(QString::fromStdString(problem_of(config)), QString());
      const std::uint64_t seed = cores * 100 + static_cast<unsigned>(protocol * 50 + l1d * 10 + below);
      follow(config, seed, l1d == 3);
      if (QTest::currentTestFailed()) return;
    }
  }

  void probes_of_seesaw_read_four_ways_of_eight_sixteen_and_thirty_two_data() {
    QTest::addColumn<unsigned>("kilobytes");
    for (const unsigned kilobytes : {32U, 64U, 128U}) QTest::addRow("%u KB", kilobytes) << kilobytes;
  }
  void probes_of_seesaw_read_four_ways_of_eight_sixteen_and_thirty_two() {
    QFETCH(unsigned, kilobytes);
    for (const CoherenceProtocol protocol : kProtocols) {
      CacheConfig vipt = l1d_of(CacheOrganisation::Vipt, kilobytes);
      CacheConfig seesaw = l1d_of(CacheOrganisation::Seesaw, kilobytes);
      vipt.energy = seesaw.energy = 0.5F;
      vipt.partition_energy = seesaw.partition_energy = 0.125F;
      CoherentSystem plain(system_of(4, protocol, vipt));
      CoherentSystem partitioned(system_of(4, protocol, seesaw));
      // So few lines that nothing is evicted: both systems send the same probes.
      test::Random random(kilobytes);
      for (int step = 0; step < 1500; ++step) {
        const auto core = static_cast<unsigned>(random.below(4));
        const std::uint64_t address = random.below(8) << 12;
        const AccessKind kind = random.one_in(3) ? AccessKind::Write : AccessKind::Read;
        for (CoherentSystem* system : {&plain, &partitioned})
          system->access(core, {address}, {address}, PageSize::Size2M, kind, true);
      }
      const CoherenceReport all_ways = plain.report();
      const CoherenceReport four_ways = partitioned.report();
      QVERIFY(all_ways.total.probes > 500);
      QCOMPARE(four_ways.total.probes, all_ways.total.probes);
      QCOMPARE(four_ways.total.probe_hits, all_ways.total.probe_hits);
      QVERIFY(four_ways.messages == all_ways.messages);
      QCOMPARE(all_ways.total.probe_ways, all_ways.total.probes * (kilobytes / 4));
      QCOMPARE(four_ways.total.probe_ways, four_ways.total.probes * 4);
      const auto probes = static_cast<double>(all_ways.total.probes);
      const auto references = static_cast<double>(all_ways.total.reads + all_ways.total.writes);
      QCOMPARE(all_ways.total.probe_energy, probes * 0.5);
      QCOMPARE(four_ways.total.probe_energy, probes * 0.125);
      QCOMPARE(four_ways.total.probe_energy_saved, probes * 0.375);
      QCOMPARE(four_ways.coherence_share_of_saving(), probes / (probes + references));
      QCOMPARE(all_ways.coherence_share_of_saving(), 0.0);
    }
  }

  void probes_of_4way_8way_insertion_read_every_way() {
    for (const CoherenceProtocol protocol : kProtocols) {
      CoherentSystem system(
          system_of(4, protocol, l1d_of(CacheOrganisation::Seesaw, 64, InsertionPolicy::PartitionOrWhole)));
      RandomReferences references(5, 4, false);
      for (int step = 0; step < 2000; ++step) refer(system, references.next());
      QVERIFY(system.report().total.probes > 500);
      QCOMPARE(system.report().total.probe_ways, system.report().total.probes * 16);
    }
  }

  void snooping_probes_every_other_core_and_the_directory_only_holders() {
    for (const unsigned cores : {2U, 4U, 8U, 32U}) {
      CoherentSystem directory(system_of(cores, CoherenceProtocol::Directory, l1d_of(CacheOrganisation::Seesaw, 32)));
      CoherentSystem snoopy(system_of(cores, CoherenceProtocol::Snoopy, l1d_of(CacheOrganisation::Seesaw, 32)));
      RandomReferences references(cores, cores, false);
      for (int step = 0; step < 4000; ++step) {
        const Reference reference = references.next();
        const CoherenceOutcome exact = refer(directory, reference);
        const CoherenceOutcome broadcast = refer(snoopy, reference);
        QCOMPARE(broadcast.probes, broadcast.request ? cores - 1 : 0U);
        QVERIFY(exact.probes <= broadcast.probes);
        QCOMPARE(exact.l1.hit, broadcast.l1.hit);
      }
      const CoherenceCounters exact = directory.report().total;
      const CoherenceCounters broadcast = snoopy.report().total;
      QCOMPARE(exact.probe_hits, exact.probes);
      QCOMPARE(broadcast.probes, (broadcast.read_misses + broadcast.write_misses + broadcast.upgrades) * (cores - 1));
      QVERIFY(broadcast.probes > exact.probes);
    }
  }

  void a_hundred_and_twenty_eight_readers_lose_their_copies_to_one_writer() {
    CoherentSystem system(system_of(128, CoherenceProtocol::Directory, l1d_of(CacheOrganisation::Seesaw, 32)));
    for (unsigned core = 0; core < 128; ++core) load(system, core, 0x1040);
    QCOMPARE(system.directory()->look_up(0x1040 / 64).sharers.count(), 128U);
    QCOMPARE(store(system, 77, 0x1040).probes, 127U);
    QCOMPARE(count(system, Message::Inv), std::uint64_t{127});
    QCOMPARE(count(system, Message::InvAck), std::uint64_t{127});
    QCOMPARE(count(system, Message::AckCount), std::uint64_t{1});
    QCOMPARE(system.directory()->look_up(0x1040 / 64).owner, std::optional<unsigned>(77));
    QCOMPARE(system.directory()->lines(), std::size_t{1});
  }

  void a_dirty_line_is_shared_through_its_owner_without_a_write_back() {
    for (const CoherenceProtocol protocol : kProtocols) {
      CoherentSystem system(system_of(4, protocol, l1d_of(CacheOrganisation::Vipt, 32)));
      store(system, 0, 0);
      for (unsigned reader = 1; reader < 4; ++reader) {
        const CoherenceOutcome outcome = load(system, reader, 0);
        QCOMPARE(outcome.source, DataSource::OtherCache);
        QCOMPARE(outcome.supplier, std::optional<unsigned>(0));
      }
      QCOMPARE(system.state(0, {0}), State::Owned);
      QCOMPARE(count(system, Message::MemoryRead), std::uint64_t{1});
      QCOMPARE(count(system, Message::MemoryWrite), std::uint64_t{0});
      system.sweep(0, {0}, 64);
      QCOMPARE(count(system, Message::PutO), std::uint64_t{1});
      QCOMPARE(count(system, Message::MemoryWrite), std::uint64_t{1});
      QCOMPARE(system.state(3, {0}), State::Shared);
      QCOMPARE(load(system, 0, 0).source, DataSource::Memory);
    }
  }

  void a_line_read_alone_is_written_without_a_word() {
    for (const CoherenceProtocol protocol : kProtocols) {
      CoherentSystem system(system_of(2, protocol, l1d_of(CacheOrganisation::Vipt, 32)));
      load(system, 0, 0);
      const CoherenceMessageCounts before = system.messages();
      const CoherenceOutcome outcome = store(system, 0, 0);
      QVERIFY(!outcome.request && outcome.probes == 0);
      QCOMPARE(outcome.before, State::Exclusive);
      QCOMPARE(outcome.after, State::Modified);
      QVERIFY(system.messages() == before);
      QCOMPARE(system.counters(0).silent_upgrades, std::uint64_t{1});
    }
  }

  void each_transaction_sends_exactly_these_messages_data() {
    QTest::addColumn<QString>("before");
    QTest::addColumn<QString>("now");
    QTest::addColumn<QString>("directory");
    QTest::addColumn<QString>("snoopy");
    const auto add = [](const char* name, const char* before, const char* now, const char* directory,
                        const char* snoopy) { QTest::newRow(name) << before << now << directory << snoopy; };
    // r1: core 1 reads; w1: it writes; e1: it evicts.
    add("a first read", "", "r0", "GetS Memory-Read Data-Home", "GetS Memory-Read Data-Home");
    add("a first write", "", "w0", "GetM Memory-Read Data-Home", "GetM Memory-Read Data-Home");
    add("a read of E", "r1", "r0", "GetS Fwd-GetS Data", "GetS Data");
    add("a read of M", "w1", "r0", "GetS Fwd-GetS Data", "GetS Data");
    add("a read of O", "w1 r2", "r0", "GetS Fwd-GetS Data", "GetS Data");
    add("a read of S", "r1 r2", "r0", "GetS Memory-Read Data-Home", "GetS Memory-Read Data-Home");
    add("a write of M", "w1", "w0", "GetM Fwd-GetM Data", "GetM Data");
    add("a write of O with a sharer", "w1 r2", "w0", "GetM Fwd-GetM Data Inv Inv-Ack AckCount", "GetM Data");
    add("a write of O alone", "w1 r2 e2", "w0", "GetM Fwd-GetM Data", "GetM Data");
    add("a write of S", "r1 r2", "w0", "GetM Inv Inv-Ack Inv Inv-Ack Memory-Read Data-Home",
        "GetM Memory-Read Data-Home");
    add("an upgrade beside the owner", "w1 r0", "w0", "Upgrade Inv Inv-Ack AckCount", "Upgrade");
    add("an upgrade of the owner", "w0 r1", "w0", "Upgrade Inv Inv-Ack AckCount", "Upgrade");
    add("an upgrade of the owner, alone", "w0 r1 e1", "w0", "Upgrade AckCount", "Upgrade");
    add("an eviction of S", "r1 r0", "e0", "PutS Put-Ack", "");
    add("an eviction of E", "r0", "e0", "PutE Put-Ack", "");
    add("an eviction of O", "w0 r1", "e0", "PutO Memory-Write Put-Ack", "PutO Memory-Write");
    add("an eviction of M", "w0", "e0", "PutM Memory-Write Put-Ack", "PutM Memory-Write");
  }
  void each_transaction_sends_exactly_these_messages() {
    QFETCH(QString, before);
    QFETCH(QString, now);
    QFETCH(QString, directory);
    QFETCH(QString, snoopy);
    for (const CoherenceProtocol protocol : kProtocols) {
      CoherentSystem system(system_of(3, protocol, l1d_of(CacheOrganisation::Vipt, 32)));
      NaiveModel model;
      for (const QString& step : before.split(' ', Qt::SkipEmptyParts)) perform(system, step);
      system.observe(&model);
      perform(system, now);
      QCOMPARE(model.names.join(' '), protocol == CoherenceProtocol::Directory ? directory : snoopy);
    }
  }

  void a_directory_is_told_of_every_eviction() {
    CoherentSystem system(system_of(2, CoherenceProtocol::Directory, l1d_of(CacheOrganisation::Vipt, 32)));
    for (std::uint64_t frame = 0; frame < 20; ++frame) load(system, 0, frame << 12);
    QCOMPARE(count(system, Message::PutE), std::uint64_t{12});
    QCOMPARE(count(system, Message::PutAck), std::uint64_t{12});
    QCOMPARE(system.directory()->lines(), std::size_t{8});
    QCOMPARE(load(system, 1, 0).probes, 0U);  // Gone from core 0: the directory knows.
  }

  void who_waits_for_what_is_the_longest_chain_of_messages() {
    CoherentSystemConfig config = system_of(4, CoherenceProtocol::Directory, l1d_of(CacheOrganisation::Vipt, 32));
    config.message_latency = 1000;
    config.memory_latency = 100;
    config.l1d.latency = 2;
    CoherentSystem directory(config);
    QCOMPARE(load(directory, 0, 0).latency, 2102U);   // GetS, Data-Home.
    QCOMPARE(load(directory, 0, 0).latency, 2U);      // A hit.
    QCOMPARE(store(directory, 0, 0).latency, 2U);     // E to M.
    QCOMPARE(load(directory, 1, 0).latency, 3004U);   // GetS, Fwd-GetS, Data, with the owner's lookup.
    QCOMPARE(store(directory, 1, 0).latency, 3002U);  // Upgrade, Inv, Inv-Ack.
    config.protocol = CoherenceProtocol::Snoopy;
    CoherentSystem snoopy(config);
    QCOMPARE(load(snoopy, 0, 0).latency, 2102U);
    QCOMPARE(store(snoopy, 0, 0).latency, 2U);
    QCOMPARE(load(snoopy, 1, 0).latency, 2004U);   // The broadcast, Data.
    QCOMPARE(store(snoopy, 1, 0).latency, 1002U);  // The broadcast.
  }

  void the_last_level_cache_answers_where_no_cache_owns_the_line() {
    CoherentSystemConfig config = system_of(3, CoherenceProtocol::Directory, l1d_of(CacheOrganisation::Vipt, 32));
    config.last_level = last_level_of(64 * 1024, false);
    CoherentSystem system(config);
    QCOMPARE(load(system, 0, 0).source, DataSource::Memory);
    QCOMPARE(load(system, 1, 0).source, DataSource::OtherCache);
    QCOMPARE(load(system, 2, 0).source, DataSource::LastLevel);
    QCOMPARE(load(system, 2, 0).source, DataSource::OwnCopy);
  }

  void two_runs_are_identical() {
    CoherentSystemConfig config = system_of(4, CoherenceProtocol::Directory, l1d_of(CacheOrganisation::Seesaw, 64));
    config.l1d.replacement = ReplacementKind::Random;
    config.last_level = last_level_of(16384, true);
    const auto run = [&config] {
      CoherentSystem system(config);
      RandomReferences references(9, 4, false);
      for (int step = 0; step < 5000; ++step) refer(system, references.next());
      return test::state_of(system);
    };
    QCOMPARE(run(), run());
  }

  void a_restored_system_goes_on_as_the_old_one_would() {
    for (const CoherenceProtocol protocol : kProtocols) {
      CoherentSystemConfig config = system_of(4, protocol, l1d_of(CacheOrganisation::Seesaw, 32));
      config.last_level = last_level_of(16384, true);
      CoherentSystem system(config);
      RandomReferences references(11, 4, false);
      for (int step = 0; step < 3000; ++step) refer(system, references.next());
      CoherentSystem restored(config);
      test::restore(restored, test::state_of(system));
      for (int step = 0; step < 3000; ++step) {
        const Reference reference = references.next();
        refer(system, reference);
        refer(restored, reference);
      }
      QCOMPARE(test::state_of(restored), test::state_of(system));
      for (const std::uint64_t line : RandomReferences::lines()) QCOMPARE(broken_rule(restored, line), QString());
    }
  }

  void impossible_systems_are_named_data() {
    QTest::addColumn<QString>("part");
    for (const char* part : {"no core", "129 cores", "VIVT", "a virtual index above the page offset", "write-through",
                             "no write allocation", "an impossible L1D", "an impossible LLC", "a VIPT LLC",
                             "two line sizes", "a write-through LLC"})
      QTest::newRow(part) << QString(part);
  }
  void impossible_systems_are_named() {
    QFETCH(QString, part);
    CoherentSystemConfig config = system_of(2, CoherenceProtocol::Directory, l1d_of(CacheOrganisation::Vipt, 32));
    config.last_level = last_level_of(65536, false);
    QVERIFY(problem_of(config).empty());
    if (part == "no core") config.cores = 0;
    if (part == "129 cores") config.cores = 129;
    if (part == "VIVT") config.l1d.organisation = CacheOrganisation::Vivt;
    if (part == "a virtual index above the page offset") config.l1d.ways = 4;
    if (part == "write-through") config.l1d.write = WritePolicy::WriteThrough;
    if (part == "no write allocation") config.l1d.write_allocate = false;
    if (part == "an impossible L1D") config.l1d.ways = 0;
    if (part == "an impossible LLC") config.last_level->ways = 0;
    if (part == "a VIPT LLC") config.last_level->organisation = CacheOrganisation::Vipt;
    if (part == "two line sizes") config.last_level->line = 128;
    if (part == "a write-through LLC") config.last_level->write = WritePolicy::WriteThrough;
    QVERIFY(!problem_of(config).empty());
  }

 private:
  static void follow(const CoherentSystemConfig& config, std::uint64_t seed, bool mapped_both_ways) {
    qInfo("%u cores, seed %llu", config.cores, static_cast<unsigned long long>(seed));
    CoherentSystem system(config);
    NaiveModel model;
    system.observe(&model);
    RandomReferences references(seed, config.cores, mapped_both_ways);
    test::Random random(seed + 1);
    for (int step = 0; step < 1500; ++step) {
      const Reference reference = references.next();
      const std::uint64_t line = reference.physical.value / 64 * 64;
      const State before = model.state(reference.core, line);
      const CoherenceOutcome outcome = refer(system, reference);
      QCOMPARE(outcome.before, before);
      QCOMPARE(outcome.l1.hit, before != State::Invalid);
      QCOMPARE(model.copies.at({reference.core, line}), model.latest[line]);  // What a load gets, and a store changes.

      if (outcome.l1.evicted) model.lose(reference.core, outcome.l1.evicted->line.value);
      const std::optional<unsigned> owner = model.lines[line].owner;
      if (!outcome.l1.hit) QCOMPARE(outcome.supplier, owner);
      reference.kind == AccessKind::Write ? model.write(reference.core, line) : model.read(reference.core, line);
      forget_recalled(model);
      if (random.one_in(200)) sweep(system, model, reference);
      compare(system, model, step % 8 == 0 ? RandomReferences::lines() : std::vector{line});
      if (QTest::currentTestFailed()) return;
    }
    compare_counts(system, model);
    QCOMPARE(system.report().total.recalls > 0, config.last_level && config.last_level->inclusive);
  }
  static void forget_recalled(NaiveModel& model) {
    for (const auto& [core, line] : model.recalled) model.lose(core, line);
    model.recalled.clear();
  }
  static void sweep(CoherentSystem& system, NaiveModel& model, const Reference& reference) {
    const std::uint64_t page = reference.physical.value & ~std::uint64_t{0xfff};
    unsigned held = 0;
    for (const std::uint64_t line : {page, page + 64}) {
      if (model.state(reference.core, line) == State::Invalid) continue;
      ++held;
    }
    QCOMPARE(system.sweep(reference.core, {page}, 4096), held);
    for (const std::uint64_t line : {page, page + 64}) model.lose(reference.core, line);
    forget_recalled(model);
  }
  static void compare(const CoherentSystem& system, NaiveModel& model, const std::vector<std::uint64_t>& lines) {
    for (const std::uint64_t line : lines) {
      const QString broken = broken_rule(system, line);
      QVERIFY2(broken.isEmpty(), qPrintable(broken));
      for (unsigned core = 0; core < system.config().cores; ++core) {
        const State state = model.state(core, line);
        QCOMPARE(system.state(core, {line}), state);
        if (state == State::Invalid) model.copies.erase({core, line});
        if (state != State::Invalid) QCOMPARE(model.copies.at({core, line}), model.latest[line]);
      }
    }
  }
  static void compare_counts(const CoherentSystem& system, NaiveModel& model) {
    const CoherenceReport report = system.report();
    const CoherenceCounters& total = report.total;
    for (std::size_t message = 0; message < kCoherenceMessages; ++message)
      QCOMPARE(report.messages[message], model.messages[static_cast<Message>(message)]);
    std::uint64_t probes = 0;
    for (unsigned core = 0; core < system.config().cores; ++core) {
      QCOMPARE(system.counters(core).probes, model.probes[core]);
      QCOMPARE(system.l1d(core).counters().probes, model.probes[core]);
      probes += model.probes[core];
    }
    QCOMPARE(total.probes, probes);
    QCOMPARE(count(system, Message::GetS), total.read_misses);
    QCOMPARE(count(system, Message::GetM), total.write_misses);
    QCOMPARE(count(system, Message::Upgrade), total.upgrades);
    QCOMPARE(count(system, Message::DataHome), total.from_last_level + total.from_memory);
    QCOMPARE(total.from_other_cache, total.supplied);
    QCOMPARE(total.from_other_cache + total.from_last_level + total.from_memory,
             total.read_misses + total.write_misses);
    const std::uint64_t puts = count(system, Message::PutS) + count(system, Message::PutE) +
                               count(system, Message::PutO) + count(system, Message::PutM);
    const std::uint64_t recalled_dirty = count(system, Message::Data) - total.supplied;
    QCOMPARE(total.write_backs, count(system, Message::PutO) + count(system, Message::PutM) + recalled_dirty);
    if (system.directory() == nullptr) return;
    QCOMPARE(puts, total.evictions);
    QCOMPARE(count(system, Message::PutAck), total.evictions);
    QCOMPARE(count(system, Message::Recall), total.recalls);
    QCOMPARE(count(system, Message::FwdGetS) + count(system, Message::FwdGetM), total.supplied);
    QCOMPARE(count(system, Message::InvAck), count(system, Message::Inv) + total.recalls - recalled_dirty);
    QCOMPARE(total.probes, count(system, Message::FwdGetS) + count(system, Message::FwdGetM) +
                               count(system, Message::Inv) + count(system, Message::Recall));
    QCOMPARE(total.invalidations, count(system, Message::FwdGetM) + count(system, Message::Inv));
  }
};

QTEST_APPLESS_MAIN(CoherentSystemTest)
#include "coherent_system_test.moc"
