// SPDX-License-Identifier: GPL-3.0-or-later
//
// The MMU against a naive walker on random tables: results, faults with their levels, memory types, and every access
// flag and dirty state in memory; with and without stage 2, with every granule, with models on (TLBs and page-walk
// caches filled by what went before) and off, and with features left out. Invalidation by address must suffice where
// single descriptors change.
#include <QTest>
#include <cstring>

#include "core/events/invariant_checker.h"
#include "tests/isa-arm/mmu/mmu_bench.h"
#include "tests/isa-arm/mmu/naive_walk.h"
#include "tests/isa-arm/mmu/random_tables.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;

namespace {

constexpr std::uint64_t kSeeds = 16;
constexpr std::uint64_t kBase = kRam + RandomTables::kBytes, kBytes = kBase - kRam + RandomTables::kBytes;

MmuFeatures features_of(std::uint64_t seed) {
  MmuFeatures features = all_features();
  features.hafdbs = seed % 3 != 0;
  features.granule_16k = seed % 5 != 0;
  features.xnx = seed % 2 != 0;
  features.physical_address_bits = seed % 4 == 0 ? 40 : seed % 7 == 0 ? 44 : 48;
  return features;
}

/// The descriptors that walks read.
class UsedEntries : public EventSink {
 public:
  void on_event(const Event& event) override {
    const auto* reference = std::get_if<WalkReference>(&event.payload);
    if (reference != nullptr && reference->number != 0) addresses.push_back(reference->address.value);
  }
  std::vector<std::uint64_t> addresses;
};

/// One random world, in both machines.
struct World {
  World(std::uint64_t seed, bool nested, bool models)
      : bench(features_of(seed), bench_config(), kBytes),
        tables(seed, kBase, nested, [this](auto address, auto entry) { put(address, entry); }) {
    bench.path.set_models_on(models);
    bench.events.set_sinks(&checker, nullptr);
  }

  void put(std::uint64_t address, std::uint64_t entry) {
    if (naive.words.empty()) {
      naive.base = kRam;
      naive.words.resize(kBytes / 8);
    }
    naive.store(address, entry);
    bench.set_entry(address, entry);
  }
  [[nodiscard]] bool same_memory() { return std::memcmp(naive.words.data(), bench.memory.host_data(), kBytes) == 0; }

  /// Other registers. What was cached under those before must go: the tags are drawn at random, too.
  void set_registers(const Request& request, bool el2) {
    apply(request, bench.state);
    bench.state.exception_level = el2 ? 2 : 1;
    naive.has_hafdbs = features().hafdbs;
    naive.has_16k = features().granule_16k;
    naive.has_xnx = features().xnx;
    naive.physical_bits = features().physical_address_bits;
    const bool default_cacheable = !el2 && (request.hcr & hcr::kDc) != 0;
    naive.registers = {.sctlr = el2 ? request.sctlr_el2 : request.sctlr_el1,
                       .tcr = el2 ? request.tcr_el2 : request.tcr_el1,
                       .ttbr0 = el2 ? request.ttbr0_el2 : request.ttbr0_el1,
                       .ttbr1 = el2 ? request.ttbr1_el2 : request.ttbr1_el1,
                       .mair = el2 ? request.mair_el2 : request.mair_el1,
                       .two_ranges = !el2 || (request.hcr & hcr::kE2h) != 0,
                       .stage_one = false,
                       .stage_two = !el2 && (default_cacheable || (request.hcr & hcr::kVm) != 0),
                       .hcr = request.hcr,
                       .vtcr = request.vtcr,
                       .vttbr = request.vttbr};
    naive.registers.stage_one = (naive.registers.sctlr & sctlr::kM) != 0 && !default_cacheable;
    if (el2) naive.registers.hcr = 0;
    for (const Regime regime : {Regime::El10, Regime::El2, Regime::El20})
      bench.mmu.invalidate({.kind = TlbInvalidation::Kind::All, .regime = regime, .name = "TLBI"});
    bench.mmu.context_changed();
  }
  [[nodiscard]] MmuFeatures features() const { return features_; }

  MmuFeatures features_;
  InvariantChecker checker;
  NaiveMmu naive;
  MmuBench bench;
  RandomTables tables;
};

std::string difference(const NaiveResult& expected, const TranslateResult& actual) {
  const auto text = [](const char* what, std::uint64_t want, std::uint64_t have) {
    return QStringLiteral("%1: naive 0x%2, here 0x%3")
        .arg(QLatin1String(what))
        .arg(want, 0, 16)
        .arg(have, 0, 16)
        .toStdString();
  };
  const auto* fault = std::get_if<TranslationFault>(&actual);
  if (expected.fault.has_value() != (fault != nullptr))
    return text("fault", expected.fault ? expected.fault->status : 0xff, fault != nullptr ? fault->status : 0xff);
  if (fault != nullptr) {
    if (fault->status != expected.fault->status) return text("status", expected.fault->status, fault->status);
    if (fault->stage != expected.fault->stage) return text("stage", expected.fault->stage, fault->stage);
    if (fault->on_walk != expected.fault->on_walk) return text("S1PTW", expected.fault->on_walk, fault->on_walk);
    if (fault->write != expected.fault->write) return text("WnR", expected.fault->write, fault->write);
    if (fault->intermediate.value != expected.fault->intermediate)
      return text("IPA", expected.fault->intermediate, fault->intermediate.value);
    return {};
  }
  const auto& found = std::get<Translation>(actual);
  if (found.physical.value != expected.physical) return text("PA", expected.physical, found.physical.value);
  if (found.intermediate.value != expected.intermediate)
    return text("IPA", expected.intermediate, found.intermediate.value);
  const bool device = found.type == MemoryType::Device;
  return device == expected.device ? std::string() : text("Device", expected.device, device);
}

}  // namespace

class MmuRandomTest : public QObject {
  Q_OBJECT
 private slots:
  void random_accesses_over_random_tables_agree_data() {
    QTest::addColumn<bool>("nested");
    QTest::addColumn<bool>("models");
    QTest::newRow("stage 1, walks only") << false << false;
    QTest::newRow("stage 1, models on") << false << true;
    QTest::newRow("both stages, walks only") << true << false;
    QTest::newRow("both stages, models on") << true << true;
  }
  void random_accesses_over_random_tables_agree() {
    QFETCH(bool, nested);
    QFETCH(bool, models);
    std::size_t translated = 0, faulted = 0;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      World world(seed, nested, models);
      world.features_ = features_of(seed);
      for (unsigned round = 0; round < 200; ++round) {
        const std::string wrong = one_round(world, translated, faulted);
        QVERIFY2(wrong.empty(),
                 qPrintable(
                     QStringLiteral("seed %1, round %2, %3").arg(seed).arg(round).arg(QString::fromStdString(wrong))));
      }
      QVERIFY2(world.same_memory(), qPrintable(QStringLiteral("seed %1: memory differs").arg(seed)));
      const auto& violations = world.checker.finish();
      QVERIFY2(violations.empty(), violations.empty() ? "" : violations.front().c_str());
    }
    qInfo("seeds 1 to %llu: %zu accesses translated, %zu faulted", static_cast<unsigned long long>(kSeeds), translated,
          faulted);
    QVERIFY(translated > 5000 && faulted > 5000);
  }

  void a_store_that_is_no_hazard_and_leaves_nothing_stale_changes_no_translation_data() {
    QTest::addColumn<bool>("nested");
    QTest::newRow("stage 1") << false;
    QTest::newRow("both stages") << true;
  }
  void a_store_that_is_no_hazard_and_leaves_nothing_stale_changes_no_translation() {
    QFETCH(bool, nested);
    unsigned hazards = 0, harmless = 0, outlived = 0;
    for (std::uint64_t seed = 101; seed <= 108; ++seed) {
      World world(seed, nested, true);
      world.features_ = features_of(seed);
      for (unsigned round = 0; round < 100; ++round) {
        const std::string wrong = change_tables(world, hazards, harmless, outlived);
        QVERIFY2(wrong.empty(),
                 qPrintable(
                     QStringLiteral("seed %1, round %2, %3").arg(seed).arg(round).arg(QString::fromStdString(wrong))));
      }
      QVERIFY2(world.same_memory(), qPrintable(QStringLiteral("seed %1: memory differs").arg(seed)));
    }
    qInfo("seeds 101 to 108: %u stores were hazards, %u were not, %u hazards left nothing stale", hazards, harmless,
          outlived);
    QVERIFY(hazards > 100 && harmless > 100);
  }

 private:
  /// Fills the caches, then changes descriptors that were used; caches may serve only as long as nobody complains.
  static std::string change_tables(World& world, unsigned& hazards, unsigned& harmless, unsigned& outlived) {
    RandomTables& random = world.tables;
    const Request request = random.el1_request();
    world.set_registers(request, false);
    UsedEntries used;
    world.bench.events.set_sinks(&used, nullptr);
    std::vector<NaiveAccess> accesses;
    for (unsigned number = 0; number < 60 && accesses.size() < 12; ++number) {
      NaiveAccess access{
          .address = random.address_for(request, false), .kind = "rwx"[random.below(3)], .user = random.chance(50)};
      const NaiveResult expected = world.naive.translate(access);
      if (!difference(expected, translate(world, access)).empty()) return "before any change";
      if (expected.fault && random.chance(90)) continue;
      accesses.push_back(access);
    }
    if (used.addresses.empty()) return {};
    for (unsigned change = 0; change < 6; ++change) {
      const auto [address, entry] =
          random.random_change(used.addresses, [&](std::uint64_t at) { return world.bench.entry(at); });
      world.bench.mmu.clear_hazard();
      if (world.bench.mmu.is_table_frame({address})) world.bench.mmu.table_store({address}, 8, entry);
      const bool hazard = world.bench.mmu.hazard();
      world.put(address, entry);
      const bool stale = world.bench.mmu.has_stale_entries();
      ++(hazard ? hazards : harmless);
      outlived += hazard && !stale ? 1 : 0;
      if (!hazard && stale)
        return QStringLiteral("a stale entry without a hazard: 0x%1").arg(address, 0, 16).toStdString();
      if (stale) {
        world.bench.mmu.invalidate({.kind = TlbInvalidation::Kind::All, .regime = Regime::El10, .name = "TLBI ALLE1"});
        if (world.bench.mmu.has_stale_entries()) return "stale after TLBI ALLE1";
      }
      for (const NaiveAccess& access : accesses) {
        const std::string wrong = difference(world.naive.translate(access), translate(world, access));
        if (!wrong.empty())
          return QStringLiteral("after a change of 0x%1 to 0x%2 (hazard %3, stale %4), 0x%5: ")
                     .arg(address, 0, 16)
                     .arg(entry, 0, 16)
                     .arg(hazard)
                     .arg(stale)
                     .arg(access.address, 0, 16)
                     .toStdString() +
                 wrong;
      }
    }
    return {};
  }

  static TranslateResult translate(World& world, const NaiveAccess& access) {
    const AccessKind kind = access.kind == 'r'   ? AccessKind::Read
                            : access.kind == 'w' ? AccessKind::Write
                                                 : AccessKind::Fetch;
    return world.bench.mmu.translate({.address = {access.address},
                                      .kind = kind,
                                      .exception_level = access.user ? 0U : 1U,
                                      .regime = Regime::El10,
                                      .pan = access.pan});
  }

  /// One set of registers, forty accesses, most of them to places that were accessed before.
  static std::string one_round(World& world, std::size_t& translated, std::size_t& faulted) {
    RandomTables& random = world.tables;
    const bool el2 = random.chance(25);
    const bool host = random.chance(50);
    Request request = el2 ? random.el2_request(host) : random.el1_request();
    (el2 ? request.sctlr_el2 : request.sctlr_el1) |= random.chance(40) ? sctlr::kWxn : 0;
    world.set_registers(request, el2);
    std::vector<std::uint64_t> addresses;
    for (unsigned number = 0; number < 40; ++number) {
      if (addresses.empty() || random.chance(30))
        addresses.push_back(random.address_for(request, el2));
      else
        addresses.push_back(addresses[random.below(addresses.size())] ^
                            (random.chance(20) ? random.below(0x10000) : 0));
      const bool user = random.chance(50) && (!el2 || host);
      NaiveAccess access{.address = addresses.back(), .kind = "rwx"[random.below(3)], .user = user};
      access.pan = !user && access.kind != 'x' && random.chance(50) && world.naive.registers.two_ranges;
      const AccessKind kind = access.kind == 'r'   ? AccessKind::Read
                              : access.kind == 'w' ? AccessKind::Write
                                                   : AccessKind::Fetch;
      const TranslateResult ours = world.bench.mmu.translate({.address = {access.address},
                                                              .kind = kind,
                                                              .exception_level = user  ? 0U
                                                                                 : el2 ? 2U
                                                                                       : 1U,
                                                              .regime = regime_of(world.bench.state, el2 ? 2 : 1),
                                                              .pan = access.pan});
      const NaiveResult expected = world.naive.translate(access);
      ++(expected.fault ? faulted : translated);
      const std::string wrong = difference(expected, ours);
      if (!wrong.empty())
        return QStringLiteral("access %1 (%2) of 0x%3: ")
                   .arg(number)
                   .arg(QLatin1Char(access.kind))
                   .arg(access.address, 0, 16)
                   .toStdString() +
               wrong;
    }
    return {};
  }
};

QTEST_APPLESS_MAIN(MmuRandomTest)
#include "mmu_random_test.moc"
