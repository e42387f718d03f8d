// SPDX-License-Identifier: GPL-3.0-or-later
//
// The MMU against a naive walker on random tables: results, page sizes, fault codes, qualifications, and every Accessed
// and Dirty flag in memory, with and without EPT, with models on (TLBs filled by what went before) and off.
#include <QTest>
#include <cstring>
#include <random>

#include "core/events/invariant_checker.h"
#include "tests/isa-x86/mmu/mmu_bench.h"
#include "tests/isa-x86/mmu/naive_walk.h"

using namespace shearling;
using namespace shearling::x86;
using namespace shearling::x86::testing;

namespace {

constexpr std::uint64_t kFrames = 40;  // The guest's memory: frames that tables and pages are drawn from.
constexpr std::uint64_t kEptFirst = kFrames, kEptFrames = 8;
constexpr std::uint64_t kRam = (kFrames + kEptFrames) * 0x1000;
constexpr std::uint64_t kEptRoot = kEptFirst * 0x1000;
constexpr std::array<std::uint64_t, 6> kIndices = {0, 1, 2, 255, 256, 511};

/// One random world: tables, control registers, and the same for the naive walker.
class World {
 public:
  World(std::uint64_t seed, bool ept, bool models) : random_(seed), bench(bench_config(), kRam) {
    bench.path.set_models_on(models);
    naive.words.resize(kRam / 8);
    naive.ept = bench.nested.enabled = ept;
    naive.ept_flags = bench.nested.accessed_dirty = ept && chance(50);
    naive.ept_root = kEptRoot;
    bench.nested.eptp = kEptRoot | 0x1e | (naive.ept_flags ? 0x40 : 0);
    bench.nested.vpid = ept ? 1 : 0;
    naive.write_protect = chance(50);
    naive.smep = chance(50);
    naive.smap = chance(50);
    naive.no_execute = chance(80);
    bench.state.cr0 = kCr0Pe | kCr0Pg | (naive.write_protect ? kCr0Wp : 0);
    bench.state.cr4 = kCr4Pae | (chance(50) ? kCr4Pge : 0) | (naive.smep ? kCr4Smep : 0) | (naive.smap ? kCr4Smap : 0);
    bench.state.efer = kEferLme | kEferLma | (naive.no_execute ? kEferNxe : 0);
    make_places();
    if (ept) make_ept();
    const std::uint64_t root = below(kFrames);
    naive.cr3 = bench.state.cr3 = root << 12;
    for (std::uint64_t frame = 0; frame < kFrames; ++frame) {
      for (const std::uint64_t index : kIndices) put(places_[frame] + 8 * index, random_entry());
    }
    bench.events.set_sinks(nullptr, nullptr);
  }

  bool chance(unsigned percent) { return random_() % 100 < percent; }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  NaiveAccess random_access() {
    std::uint64_t address = below(0x1000);
    for (unsigned level = 1; level <= 4; ++level) address |= kIndices[below(kIndices.size())] << (12 + 9 * (level - 1));
    if (chance(20)) address ^= below(0x40000000) & ~0xfffULL;  // Elsewhere in a large page.
    if ((address >> 47 & 1) != 0) address |= 0xffff'0000'0000'0000;
    NaiveAccess access{.address = address, .kind = "rwx"[below(3)]};
    access.user = chance(50);
    access.implicit = !access.user && access.kind != 'x' && chance(20);
    access.ac = chance(30);
    return access;
  }
  /// An entry of some table, rewritten at random. Returns its address on the memory bus.
  std::pair<std::uint64_t, std::uint64_t> random_change() {
    const std::uint64_t at = places_[below(kFrames)] + 8 * kIndices[below(kIndices.size())];
    const std::uint64_t old = naive.load(at);
    const std::uint64_t flips[] = {1, 2, 4, 0x20, 0x40, 1ULL << 63, 1ULL << 52, 8, 0x1000, 0x100, 0x80};
    return {at, chance(20) ? random_entry() : old ^ flips[below(std::size(flips))]};
  }
  void put(std::uint64_t at, std::uint64_t entry) {
    naive.store(at, entry);
    bench.set_entry(at, entry);
  }
  bool same_memory() { return std::memcmp(naive.words.data(), bench.memory.host_data(), kRam) == 0; }

  static AccessRequest request_of(const NaiveAccess& access) {
    return {.address = {access.address},
            .kind = access.kind == 'r'   ? AccessKind::Read
                    : access.kind == 'w' ? AccessKind::Write
                                         : AccessKind::Fetch,
            .cpl = access.user || access.implicit ? 3U : 0U,
            .implicit_supervisor = access.implicit,
            .alignment_check_flag = access.ac};
  }

 private:
  std::mt19937_64 random_;

 public:
  NaiveMachine naive;
  MmuBench bench;

 private:
  std::uint64_t random_entry() {
    std::uint64_t entry = below(kFrames) << 12;
    entry |= (chance(93) ? 1 : 0) | (chance(75) ? 2 : 0) | (chance(75) ? 4 : 0) | (chance(30) ? 0x20 : 0) |
             (chance(30) ? 0x40 : 0) | (chance(20) ? 0x100 : 0) | (chance(10) ? 0x18 : 0) | (chance(20) ? 0x200 : 0);
    if (chance(10))
      entry = (entry & 0xfff) | 0x80 | below(8) << 30;  // 1 GB or 2 MB
    else if (chance(10))
      entry = (entry & 0xfff) | 0x80 | (chance(50) ? 0 : below(512) << 21) | (chance(20) ? 0x1000 : 0);
    else if (chance(4))
      entry |= 0x80;  // PAT, or badly aligned
    if (chance(10)) entry |= 1ULL << 63;
    if (chance(10)) entry |= below(0x800) << 52;       // Ignored.
    if (chance(1)) entry |= 1ULL << (40 + below(12));  // Reserved.
    return entry;
  }
  void make_places() {
    for (std::uint64_t frame = 0; frame < kFrames; ++frame) places_[frame] = frame << 12;
    if (naive.ept) std::shuffle(places_.begin(), places_.end(), random_);
  }
  std::uint64_t random_rights() { return chance(92) ? 7 : below(8); }
  std::uint64_t random_leaf_bits() {
    return random_rights() | (chance(97) ? 6 : below(8)) << 3 | (chance(30) ? 0x100 : 0) | (chance(30) ? 0x200 : 0);
  }
  /// Guest-physical frames below kFrames lie shuffled in 4 KB pages; the rest is random pages of all sizes.
  void make_ept() {
    const std::uint64_t pdpt = kEptRoot + 0x1000, pd = kEptRoot + 0x2000, pt = kEptRoot + 0x3000;
    const bool plain = chance(50);  // Else a few entries are bad.
    put(kEptRoot, pdpt | 7);
    put(pdpt, pd | 7);
    put(pd, pt | 7);
    for (std::uint64_t frame = 0; frame < 512; ++frame) {
      const std::uint64_t place = frame < kFrames ? places_[frame] : below(kFrames) << 12;
      put(pt + 8 * frame,
          place | (plain ? 0x37 : random_leaf_bits()) | (frame >= kFrames && chance(50) ? 0x1ULL << 40 : 0));
    }
    for (std::uint64_t index = 1; index < 512; ++index) {
      put(pd + 8 * index, chance(90) ? below(512) << 21 | 0x80 | random_leaf_bits() : pt | random_rights());
      put(pdpt + 8 * index,
          chance(80) ? below(8) << 30 | 0x80 | random_leaf_bits() : pd | random_rights() | (chance(20) ? 8 : 0));
    }
  }
  std::array<std::uint64_t, kFrames> places_{};
};

std::string difference(const NaiveResult& expected, const TranslateResult& actual) {
  const auto text = [](const char* what, std::uint64_t want, std::uint64_t have) {
    return QStringLiteral("%1: naive 0x%2, here 0x%3")
        .arg(QLatin1String(what))
        .arg(want, 0, 16)
        .arg(have, 0, 16)
        .toStdString();
  };
  switch (expected.kind) {
    case NaiveResult::Ok: {
      const auto* got = std::get_if<Translation>(&actual);
      if (got == nullptr) return "naive translates, here alternative " + std::to_string(actual.index());
      if (got->physical.value != expected.physical)
        return text("physical address", expected.physical, got->physical.value);
      if (got->guest_physical.value != expected.guest_physical)
        return text("guest-physical address", expected.guest_physical, got->guest_physical.value);
      if (page_bytes(got->page_size) != expected.page_bytes)
        return text("page size", expected.page_bytes, page_bytes(got->page_size));
      return {};
    }
    case NaiveResult::PageFault: {
      const auto* got = std::get_if<PageFault>(&actual);
      if (got == nullptr) return "naive page faults, here alternative " + std::to_string(actual.index());
      return got->error_code == expected.error_code ? std::string()
                                                    : text("error code", expected.error_code, got->error_code);
    }
    case NaiveResult::Violation:
    case NaiveResult::Misconfiguration: {
      const auto* got = std::get_if<EptFault>(&actual);
      if (got == nullptr) return "naive has an EPT fault, here alternative " + std::to_string(actual.index());
      if (got->misconfiguration != (expected.kind == NaiveResult::Misconfiguration))
        return "violation or misconfiguration";
      if (got->guest_physical.value != expected.guest_physical)
        return text("guest-physical address", expected.guest_physical, got->guest_physical.value);
      return got->qualification == expected.qualification
                 ? std::string()
                 : text("qualification", expected.qualification, got->qualification);
    }
  }
  return "?";
}

std::string access_text(const NaiveAccess& access) {
  return QStringLiteral("%1%2%3%4 0x%5")
      .arg(QLatin1Char(access.kind))
      .arg(QLatin1String(access.user ? " user" : ""))
      .arg(QLatin1String(access.implicit ? " implicit" : ""))
      .arg(QLatin1String(access.ac ? " AC" : ""))
      .arg(access.address, 0, 16)
      .toStdString();
}

struct Tally {
  std::array<unsigned, 4> kinds{};
  std::array<unsigned, 32> codes{};
  void add(const NaiveResult& result) {
    ++kinds[result.kind];
    if (result.kind == NaiveResult::PageFault) ++codes[result.error_code];
  }
};

}  // namespace

class MmuRandomTest : public QObject {
  Q_OBJECT
 private slots:
  void it_agrees_with_a_naive_walker_data() {
    QTest::addColumn<bool>("ept");
    QTest::addColumn<bool>("models");
    QTest::newRow("bare, models off") << false << false;
    QTest::newRow("bare, models on") << false << true;
    QTest::newRow("EPT, models off") << true << false;
    QTest::newRow("EPT, models on") << true << true;
  }
  void it_agrees_with_a_naive_walker() {
    QFETCH(bool, ept);
    QFETCH(bool, models);
    Tally tally;
    for (std::uint64_t seed = 1; seed <= 120; ++seed) {
      World world(seed, ept, models);
      InvariantChecker checker;
      if (models && seed % 4 == 0) world.bench.events.set_sinks(&checker, nullptr);
      for (unsigned turn = 0; turn < 150; ++turn) {
        world.bench.events.begin_step(turn);
        const NaiveAccess access = world.random_access();
        const NaiveResult expected = naive_walk(world.naive, access);
        const std::string wrong = difference(expected, world.bench.mmu.translate(World::request_of(access)));
        tally.add(expected);
        const auto where = QStringLiteral("seed %1, turn %2, %3: ")
                               .arg(seed)
                               .arg(turn)
                               .arg(QString::fromStdString(access_text(access)));
        QVERIFY2(wrong.empty(), qPrintable(where + QString::fromStdString(wrong)));
        QVERIFY2(world.same_memory(), qPrintable(where + QStringLiteral("Accessed and Dirty flags differ")));
        if (turn % 16 == 0)
          QVERIFY2(!world.bench.mmu.has_stale_entries(),
                   qPrintable(where + QStringLiteral("stale, and no table changed")));
      }
      const auto& violations = checker.finish();
      QVERIFY2(violations.empty(), violations.empty() ? "" : violations.front().c_str());
    }
    qInfo("seeds 1..120: %u translations, %u page faults, %u EPT violations, %u misconfigurations", tally.kinds[0],
          tally.kinds[1], tally.kinds[2], tally.kinds[3]);
    for (const unsigned code : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 9U, 13U, 16U, 17U, 20U, 21U})
      QVERIFY2(tally.codes[code] != 0,
               qPrintable(QStringLiteral("no page fault with error code %1 came up").arg(code)));
    QVERIFY(tally.kinds[0] > 1000);
    if (ept) QVERIFY(tally.kinds[2] > 50 && tally.kinds[3] > 5);
  }

  void a_probe_grants_exactly_what_would_change_nothing() {
    unsigned granted = 0, refused = 0;
    for (std::uint64_t seed = 1001; seed <= 1060; ++seed) {
      World world(seed, seed % 2 == 0, false);
      for (unsigned turn = 0; turn < 200; ++turn) {
        const NaiveAccess access = world.random_access();
        if (turn % 2 == 0)
          (void)naive_walk(world.naive, access), (void)world.bench.mmu.translate(World::request_of(access));
        const std::vector<std::uint64_t> before = world.naive.words;
        const NaiveResult expected = naive_walk(world.naive, access);
        const bool expect_grant = expected.kind == NaiveResult::Ok && world.naive.words == before;
        const auto probed = world.bench.mmu.probe(World::request_of(access));
        const auto where =
            QStringLiteral("seed %1, turn %2, %3").arg(seed).arg(turn).arg(QString::fromStdString(access_text(access)));
        QVERIFY2(probed.has_value() == expect_grant, qPrintable(where));
        world.naive.words = before;
        QVERIFY2(world.same_memory(), qPrintable(where));
        if (!probed) {
          ++refused;
          continue;
        }
        ++granted;
        QCOMPARE(probed->physical.value, expected.physical);
        NaiveAccess write = access;
        write.kind = 'w';
        if (access.kind == 'x') continue;
        const bool silent_write = naive_walk(world.naive, write).kind == NaiveResult::Ok && world.naive.words == before;
        world.naive.words = before;
        QVERIFY2(probed->writable_now == silent_write, qPrintable(where + QStringLiteral(": writable_now")));
      }
    }
    QVERIFY(granted > 500 && refused > 500);
  }

  /// The two promises that direct execution rests on: a change that can make an entry stale is a hazard; and while
  /// nothing is stale, TLBs and page-walk caches answer as the tables in memory do.
  void every_stale_entry_was_a_hazard_and_without_one_the_caches_agree_with_memory() {
    unsigned stale = 0, harmless = 0;
    for (std::uint64_t seed = 2001; seed <= 2150; ++seed) {
      World world(seed, seed % 2 == 0, true);
      Mmu& mmu = world.bench.mmu;
      for (unsigned round = 0; round < 12; ++round) {
        for (unsigned turn = 0; turn < 25; ++turn) {
          const NaiveAccess access = world.random_access();
          (void)naive_walk(world.naive, access);
          (void)mmu.translate(World::request_of(access));
        }
        const auto [at, entry] = world.random_change();
        mmu.clear_hazard();
        mmu.table_store({at}, 8, entry);
        world.put(at, entry);
        const auto where = QStringLiteral("seed %1, round %2").arg(seed).arg(round);
        if (mmu.has_stale_entries()) {
          ++stale;
          QVERIFY2(mmu.hazard(), qPrintable(where + QStringLiteral(": stale, and no hazard was seen")));
          mmu.paging_mode_changed("test");
          QVERIFY(!mmu.has_stale_entries() || world.naive.ept);
          mmu.invept_all();
          QVERIFY2(!mmu.has_stale_entries(), qPrintable(where));
        }
        ++harmless;
        for (unsigned turn = 0; turn < 25; ++turn) {
          const NaiveAccess access = world.random_access();
          const NaiveResult expected = naive_walk(world.naive, access);
          const std::string wrong = difference(expected, mmu.translate(World::request_of(access)));
          const QString what = where + QStringLiteral(", %1: ").arg(QString::fromStdString(access_text(access)));
          // A page may be held as a part of a larger one that the tables have become; only its size may then differ.
          QVERIFY2(wrong.empty() || wrong.starts_with("page size"), qPrintable(what + QString::fromStdString(wrong)));
          QVERIFY2(world.same_memory(), qPrintable(what + QStringLiteral("Accessed and Dirty flags differ")));
        }
      }
    }
    qInfo("seeds 2001..2150: %u changes left something stale, %u were followed by agreement", stale, harmless);
    QVERIFY(stale > 20 && harmless > 200);
  }

  void views_agree_with_the_naive_walker_on_what_a_supervisor_reads() {
    for (std::uint64_t seed = 3001; seed <= 3040; ++seed) {
      World world(seed, seed % 2 == 0, false);
      for (unsigned turn = 0; turn < 100; ++turn) {
        NaiveAccess access = world.random_access();
        access = {.address = access.address, .kind = 'r', .ac = true};
        const std::vector<std::uint64_t> before = world.naive.words;
        const NaiveResult expected = naive_walk(world.naive, access);
        world.naive.words = before;
        const auto seen = world.bench.mmu.inspect({access.address});
        QVERIFY(expected.kind != NaiveResult::Ok || seen);
        if (expected.kind == NaiveResult::PageFault) QVERIFY(!seen);  // A supervisor's read faults on nothing else.
        if (expected.kind == NaiveResult::Ok) QCOMPARE(seen->physical.value, expected.physical);
        QVERIFY(world.same_memory());
      }
    }
  }
};

QTEST_APPLESS_MAIN(MmuRandomTest)
#include "mmu_random_test.moc"
