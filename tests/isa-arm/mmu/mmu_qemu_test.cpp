// SPDX-License-Identifier: GPL-3.0-or-later
//
// The MMU against an independent machine: random translation tables of both stages and a list of AT instructions with
// all their registers go into a guest (table-prober.S), QEMU executes them at EL2, and every PAR_EL1, every exception's
// syndrome and every access flag must be ours.
#include <QFile>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>
#include <cstring>
#include <map>
#include <memory>

#include "tests/isa-arm/mmu/mmu_bench.h"
#include "tests/isa-arm/mmu/random_tables.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;

namespace {

// As in table-prober.S.
constexpr std::uint64_t kProber = 0x40200000, kRequests = 0x41000000, kTables = 0x42000000;
constexpr unsigned kMegabytes = 256, kWorlds = 8;
constexpr std::uint64_t kTableBytes = kWorlds * RandomTables::kBytes;

struct Answer {
  std::uint64_t par = 0, esr = 0, far = 0, hpfar = 0;
  bool operator==(const Answer&) const = default;
};
static_assert(sizeof(Answer) == 32);

struct Witness {
  std::string cpu;
  unsigned physical_address_bits;
};

/// The last descriptor that a walk read.
class LastReference : public EventSink {
 public:
  void on_event(const Event& event) override {
    if (const auto* reference = std::get_if<WalkReference>(&event.payload)) last = *reference;
  }
  WalkReference last;
};

class Experiment {
 public:
  Experiment(std::uint64_t seed, const Witness& witness)
      : bench(features_of(witness), bench_config(), std::uint64_t{kMegabytes} << 20),
        wider_addresses_(witness.cpu == "max") {
    bench.events.set_sinks(&references, nullptr);
    for (unsigned world = 0; world < kWorlds; ++world) {
      worlds.push_back(std::make_unique<RandomTables>(
          seed * kWorlds + world, kTables + world * RandomTables::kBytes, world % 2 == 1,
          [this](std::uint64_t address, std::uint64_t entry) { bench.set_entry(address, entry); }));
    }
    tables_before = table_bytes();
  }

  [[nodiscard]] std::vector<std::uint8_t> table_bytes() const {
    std::vector<std::uint8_t> bytes(kTableBytes);
    bench.memory.read_bytes({kTables}, bytes);
    return bytes;
  }

  /// AT marks nothing dirty (AArch64.S1Translate), but QEMU 7.2 does: what may be marked comes last, when it makes no
  /// difference any more.
  void ask(unsigned number, bool marking) {
    RandomTables& world = *worlds[number % kWorlds];
    Request request;
    if (number / kWorlds % 4 == 3)
      request = world.el2_request(world.chance(50));
    else
      request = world.el1_request();
    // Only where both stages may mark, a marked descriptor says the same as one that is not.
    if (marking) {
      request.tcr_el1 |= 3ULL << 39;
      request.vtcr |= 3ULL << 21;
    }
    if (may_mark(request) != marking || registers_differ_in_qemu(request)) return;
    const auto before = bench.memory.snapshot();
    const Answer answer = answer_of(request);
    if (walk_differs_in_qemu(answer)) {
      bench.memory.restore(before);
      return;
    }
    requests.push_back(request);
    answers.push_back(answer);
    last_references.push_back(references.last);
  }

  MmuBench bench;
  LastReference references;
  std::vector<std::unique_ptr<RandomTables>> worlds;
  std::vector<Request> requests;
  std::vector<Answer> answers;
  std::vector<WalkReference> last_references;
  std::vector<std::uint8_t> tables_before;

 private:
  bool wider_addresses_;

  static MmuFeatures features_of(const Witness& witness) {
    MmuFeatures features = all_features();
    features.physical_address_bits = witness.physical_address_bits;
    return features;
  }
  static bool may_mark(const Request& request) {
    constexpr std::uint64_t kEl1 = 3ULL << 39, kEl2 = 3ULL << 21;
    const bool host = (request.hcr & hcr::kE2h) != 0;
    const bool stage_one = request.operation < 10 ? (request.tcr_el1 & kEl1) == kEl1
                           : host                 ? (request.tcr_el2 & kEl1) == kEl1
                                                  : (request.tcr_el2 & kEl2) == kEl2;
    return request.operation % 2 == 1 && (stage_one || (request.operation < 10 && (request.vtcr & kEl2) == kEl2));
  }
  /// FEAT_LVA and FEAT_TTST give these sizes a meaning.
  static bool size_out_of_bounds(const Request& request) {
    for (const std::uint64_t control : {request.tcr_el1, request.tcr_el2, request.vtcr}) {
      for (const unsigned low : {0U, 16U}) {
        const std::uint64_t size = bit_field(control, low, 6);
        if (size != 0 && (size < 16 || size > 39) && (low == 0 || control != request.vtcr)) return true;
      }
    }
    return false;
  }
  /// Registers that QEMU 7.2 takes otherwise than the manual.
  [[nodiscard]] bool registers_differ_in_qemu(const Request& request) const {
    constexpr std::array<unsigned, 8> kSizes = {32, 36, 40, 42, 44, 48, 48, 48};
    const bool stage_two = (request.hcr & (hcr::kVm | hcr::kDc)) != 0;
    // HCR_EL2.PTW is about the memory type that stage 2 gives to a table. QEMU heeds it with stage 2 off, too.
    if (!stage_two && (request.hcr & hcr::kPtw) != 0) return true;
    // Whether a table that HCR_EL2.PTW forbids gets its access flag set is left open
    // (AArch64.SettingAccessFlagPermitted).
    if ((request.hcr & hcr::kPtw) != 0 && (request.vtcr >> 21 & 1) != 0) return true;
    // Whether an intermediate address size and a start level are possible depends on the implemented physical
    // addresses (AArch64.S2MinTxSZ, AArch64.S2InconsistentSL). QEMU limits these by VTCR_EL2.PS too.
    const unsigned output = kSizes[bit_field(request.vtcr, 16, 3)];
    const auto input = static_cast<unsigned>(64 - bit_field(request.vtcr, 0, 6));
    if (stage_two && (output < input || output <= 42)) return true;
    const bool stage_one = ((request.operation < 10 ? request.sctlr_el1 : request.sctlr_el2) & sctlr::kM) != 0;
    return wider_addresses_ && (!stage_one || size_out_of_bounds(request));
  }
  [[nodiscard]] bool walk_differs_in_qemu(const Answer& answer) const {
    const bool exception = answer.par == ~std::uint64_t{0};
    if (exception) return ends_in_devices();
    const bool translation_fault = (answer.par & 1) != 0 && (answer.par >> 1 & 0x3c) == 4;
    return translation_fault && ends_in_a_block_too_large();
  }
  /// A block descriptor where the granule has no blocks: invalid by the manual (AArch64.BlockDescSupported), but QEMU
  /// takes it.
  [[nodiscard]] bool ends_in_a_block_too_large() const {
    const WalkReference& last = references.last;
    const unsigned level = 4U - (last.stage == 1 ? last.guest_level : last.nested_level);
    return (last.entry & 3) == 1 && level < kLastLevel;
  }

  /// A table where the board has flash memory, devices or the PCI windows.
  [[nodiscard]] bool ends_in_devices() const {
    const std::uint64_t table = bit_field(references.last.entry, 12, 36) << 12;
    return table < kRam || (table >= 1ULL << 38 && table < 1ULL << 40);
  }

  Answer answer_of(const Request& request) {
    apply(request, bench.state);
    bench.state.exception_level = 2;
    const std::uint64_t operation = request.operation;
    const bool el2 = operation >= 10;
    const bool user = operation == 2 || operation == 3 || operation == 8 || operation == 9;
    const AddressTranslation what{.stage_two = operation >= 6 && operation < 10,
                                  .exception_level = el2    ? 2U
                                                     : user ? 0U
                                                            : 1U,
                                  .regime = el2 ? regime_of(bench.state, 2) : Regime::El10,
                                  .write = operation % 2 == 1,
                                  .pan = (operation == 4 || operation == 5) && bench.state.pan};
    references.last = {};
    const Mmu::AtResult result = bench.mmu.address_translate({request.address}, what);
    if (!result.exception) return {.par = result.par};
    const TranslationFault& fault = *result.exception;
    constexpr std::uint64_t kDataAbortSame = 0x25, kLongInstruction = 1ULL << 25;
    return {.par = ~std::uint64_t{0},
            .esr = kDataAbortSame << 26 | kLongInstruction | (fault.cache_maintenance ? 1U << 8 : 0) |
                   (fault.on_walk ? 1U << 7 : 0) | (fault.write ? 1U << 6 : 0) | fault.status,
            .far = fault.address.value,
            .hpfar = 0};
  }
};

bool write_file(const QString& name, const QByteArray& bytes) {
  QFile file(name);
  return file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size();
}

QByteArray read_file(const QString& name) {
  QFile file(name);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

QString loader(const QString& file, std::uint64_t address, const QString& more = {}) {
  return QStringLiteral("loader,file=%1,addr=0x%2,force-raw=on%3").arg(file).arg(address, 0, 16).arg(more);
}

/// Runs the prober on the experiment; its files appear in `folder`. An empty text, or what went wrong.
QString run_prober(const Experiment& experiment, const std::string& cpu, const QString& folder) {
  QByteArray list(static_cast<int>((experiment.requests.size() + 1) * sizeof(Request)), '\0');
  const std::array<std::uint64_t, 3> head = {experiment.requests.size(), kTables, kTableBytes};
  std::memcpy(list.data(), head.data(), sizeof head);
  std::memcpy(list.data() + sizeof(Request), experiment.requests.data(), experiment.requests.size() * sizeof(Request));
  const QByteArray tables(reinterpret_cast<const char*>(experiment.tables_before.data()),
                          static_cast<int>(experiment.tables_before.size()));
  const QString list_name = folder + QStringLiteral("/requests"), table_name = folder + QStringLiteral("/tables");
  if (!write_file(list_name, list) || !write_file(table_name, tables)) return QStringLiteral("cannot write files");
  QProcess qemu;
  qemu.setWorkingDirectory(folder);
  qemu.start(QStringLiteral("qemu-system-aarch64"),
             {QStringLiteral("-M"), QStringLiteral("virt,virtualization=on,gic-version=3"), QStringLiteral("-accel"),
              QStringLiteral("tcg"), QStringLiteral("-cpu"), QString::fromStdString(cpu), QStringLiteral("-m"),
              QString::number(kMegabytes), QStringLiteral("-display"), QStringLiteral("none"),
              QStringLiteral("-nodefaults"), QStringLiteral("-semihosting"), QStringLiteral("-device"),
              loader(QStringLiteral(TABLE_PROBER), kProber, QStringLiteral(",cpu-num=0")), QStringLiteral("-device"),
              loader(list_name, kRequests), QStringLiteral("-device"), loader(table_name, kTables)});
  if (qemu.waitForFinished(20000)) return {};
  qemu.kill();
  qemu.waitForFinished();
  return QStringLiteral("the prober does not end");
}

}  // namespace

class MmuQemuTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() {
    if (QStandardPaths::findExecutable(QStringLiteral("qemu-system-aarch64")).isEmpty())
      QSKIP("qemu-system-aarch64 is not installed: run scripts/setup");
  }

  void every_address_translation_is_as_in_qemu_data() {
    QTest::addColumn<quint64>("seed");
    QTest::addColumn<QString>("cpu");
    QTest::addColumn<unsigned>("bits");
    QTest::newRow("seed 1, 48 bits") << quint64{1} << QStringLiteral("neoverse-n1") << 48U;
    QTest::newRow("seed 2, 40 bits") << quint64{2} << QStringLiteral("cortex-a76") << 40U;
    QTest::newRow("seed 3, everything that QEMU has") << quint64{3} << QStringLiteral("max") << 48U;
  }
  void every_address_translation_is_as_in_qemu() {
    QFETCH(quint64, seed);
    QFETCH(QString, cpu);
    QFETCH(unsigned, bits);
    Experiment experiment(seed, {cpu.toStdString(), bits});
    constexpr unsigned kAttempts = 20000;
    for (unsigned number = 0; number < kAttempts; ++number) experiment.ask(number, number >= kAttempts / 5 * 4);

    const QTemporaryDir folder;
    const QString problem = run_prober(experiment, cpu.toStdString(), folder.path());
    QVERIFY2(problem.isEmpty(), qPrintable(problem));
    compare_answers(experiment, read_file(folder.filePath(QStringLiteral("answers.bin"))));
    compare_tables(experiment, read_file(folder.filePath(QStringLiteral("tables.bin"))));
  }

 private:
  static void compare_answers(const Experiment& experiment, const QByteArray& bytes) {
    const std::size_t count = experiment.requests.size();
    QCOMPARE(static_cast<std::size_t>(bytes.size()), count * sizeof(Answer));
    std::map<std::uint64_t, unsigned> outcomes;
    unsigned wrong = 0;
    for (std::size_t i = 0; i < count; ++i) {
      Answer witness;
      std::memcpy(&witness, bytes.data() + i * sizeof witness, sizeof witness);
      const Answer& ours = experiment.answers[i];
      forgive(witness, ours, experiment.requests[i]);
      ++outcomes[ours.par == ~std::uint64_t{0} ? ours.par : (ours.par & 1) != 0 ? ours.par : 0];
      if (witness == ours) continue;
      if (++wrong <= 10) tell(i, experiment, witness);
    }
    qInfo("%zu translations, %u as they should be, %zu kinds of outcome", count, outcomes[0], outcomes.size());
    QVERIFY(count > 6000 && outcomes[0] > 1500 && outcomes.size() >= 25);
    QCOMPARE(wrong, 0U);
  }

  static bool has_inner_non_cacheable(std::uint64_t mair) {
    for (unsigned low = 0; low < 64; low += 8) {
      if ((mair >> low & 0xf) == 4 && (mair >> low & 0xf0) != 0) return true;
    }
    return false;
  }

  /// What QEMU 7.2 answers otherwise than the manual says.
  static void forgive(Answer& witness, const Answer& ours, const Request& request) {
    constexpr std::uint64_t kFailed = 1, kLevel = 3ULL << 1, kWalk = 1ULL << 8, kShareability = 3ULL << 7;
    const auto take_ours = [&](std::uint64_t bits) { witness.par = (witness.par & ~bits) | (ours.par & bits); };
    constexpr std::uint64_t kException = ~std::uint64_t{0}, kOnWalk = 1ULL << 7;
    if (witness.par == kException && (witness.esr & kOnWalk) != 0)
      witness.esr = (witness.esr & ~std::uint64_t{3}) | (ours.esr & 3);
    if ((witness.par & kFailed) != 0) {
      // The level of a stage-2 fault on a table address is that of stage 2 (D19.2.105, FST). QEMU gives stage 1's.
      if (witness.par != kException && (witness.par & kWalk) != 0) take_ours(kLevel);
      return;
    }
    // Device and Normal Non-cacheable memory is outer shareable in PAR_EL1.SH; QEMU repeats the descriptor.
    // Device of stage 2 over Normal memory is Device as stage 2 says (D8.5.5). QEMU takes the lower half of the Normal
    // attribute for a type of Device memory, which makes it nGnRE where that is 4.
    constexpr std::uint64_t kAttribute = 0xffULL << 56, kDeviceNgnre = 4ULL << 56;
    if ((witness.par & kAttribute) == kDeviceNgnre && has_inner_non_cacheable(request.mair_el1) &&
        (ours.par & kAttribute) >> 60 == 0)
      take_ours(kAttribute);
    const std::uint64_t attribute = witness.par >> 56;
    if ((attribute & 0xf0) == 0 || attribute == 0x44) take_ours(kShareability);
  }

  static void tell(std::size_t i, const Experiment& experiment, const Answer& witness) {
    const auto hex = [](std::uint64_t value) { return QString::number(value, 16); };
    const Request& request = experiment.requests[i];
    const Answer& ours = experiment.answers[i];
    const WalkReference& last = experiment.last_references[i];
    qWarning() << "request" << i << "address" << hex(request.address) << "AT" << request.operation << "HCR"
               << hex(request.hcr) << "VTCR" << hex(request.vtcr) << "VTTBR" << hex(request.vttbr) << "SCTLR_EL1"
               << hex(request.sctlr_el1) << "TCR_EL1" << hex(request.tcr_el1) << "TTBR" << hex(request.ttbr0_el1)
               << hex(request.ttbr1_el1) << "MAIR" << hex(request.mair_el1) << "TCR_EL2" << hex(request.tcr_el2)
               << "TTBR0_EL2" << hex(request.ttbr0_el2) << "PAN" << request.pan << "| last entry" << hex(last.entry)
               << "stage" << last.stage << "levels" << last.guest_level << last.nested_level << "| QEMU"
               << hex(witness.par) << hex(witness.esr) << hex(witness.far) << hex(witness.hpfar) << "here"
               << hex(ours.par) << hex(ours.esr) << hex(ours.far);
  }

  static void compare_tables(const Experiment& experiment, const QByteArray& witness) {
    const auto ours = experiment.table_bytes();
    QCOMPARE(static_cast<std::size_t>(witness.size()), ours.size());
    QVERIFY(ours != experiment.tables_before);
    constexpr std::uint64_t kMarked = 1ULL << 7;
    unsigned wrong = 0;
    for (std::size_t at = 0; at < ours.size(); at += 8) {
      std::uint64_t here = 0, there = 0;
      std::memcpy(&here, ours.data() + at, 8);
      std::memcpy(&there, witness.data() + at, 8);
      if ((here & descriptor::kDirtyModifier) != 0) here = (here & ~kMarked) | (there & kMarked);
      if (here == there) continue;
      if (++wrong < 20)
        qWarning() << "entry at" << QString::number(kTables + at, 16) << "QEMU" << QString::number(there, 16) << "here"
                   << QString::number(here, 16);
    }
    QCOMPARE(wrong, 0U);
  }
};

QTEST_GUILESS_MAIN(MmuQemuTest)
#include "mmu_qemu_test.moc"
