// SPDX-License-Identifier: GPL-3.0-or-later
//
// What EL0 computes, against an independent machine: random sequences of user-mode instructions from random registers
// (sequences.h) run in QEMU's Cortex-A57 and here, directly and with models; registers, flags, memory and every
// exception with its ESR and FAR must be the same, byte for byte.
#include <QFile>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>
#include <cstring>

#include "isa-arm/cpu/decoder.h"
#include "tests/isa-arm/cpu/sequences.h"
#include "tests/isa-arm/machine/arm_machine.h"
#include "tests/support/qemu.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;

namespace {

constexpr unsigned kSequences = 1000, kInstructions = 40;
constexpr unsigned kAligned = 300;   ///< With alignment checked, the core steps one by one, the prober included.
constexpr unsigned kModelled = 150;  ///< The first of them also run with models, which are slower.
constexpr std::uint64_t kFirstSeed = 20260101;
constexpr StepIndex kSteps = 100'000'000;
constexpr std::uint64_t kSctlr = 0x30d00800 | 1 << 0 | 1 << 2 | 1 << 12 | 1 << 14 | 1 << 15 | 1 << 26;
constexpr std::uint64_t kCheckAlignment = 1 << 1;

struct Program {
  std::vector<Input> inputs;
  std::vector<std::vector<InstructionKind>> kinds;
  std::vector<std::uint8_t> image;
  std::size_t count_offset = 0;  ///< In the image: how many sequences the prober runs.
};

/// Where the image's file holds a physical address.
std::size_t file_offset(std::span<const std::uint8_t> image, std::uint64_t address) {
  const auto word = [&](std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, image.data() + at, bytes);
    return value;
  };
  constexpr std::size_t kHeaders = 32, kHeaderCount = 56, kHeaderBytes = 56;
  for (std::size_t i = 0; i < word(kHeaderCount, 2); ++i) {
    const std::size_t header = word(kHeaders, 8) + i * kHeaderBytes;
    const std::uint64_t start = word(header + 24, 8), bytes = word(header + 32, 8);
    if (address >= start && address < start + bytes) return word(header + 8, 8) + address - start;
  }
  qFatal("the image holds nothing at that address");
}

Program make_program(std::uint64_t seed, bool check_alignment, const std::string& result_file) {
  const unsigned sequences = check_alignment ? kAligned : kSequences;
  Program program;
  program.image = shearling::testing::read_file(QStringLiteral(SEQUENCE_PROBER));
  SequenceGenerator generator(seed, check_alignment);
  std::uint8_t* const header = program.image.data() + file_offset(program.image, kInputs);
  const std::array<std::uint64_t, 3> head{sequences, kSctlr | (check_alignment ? kCheckAlignment : 0),
                                          result_file.size()};
  std::memcpy(header, head.data(), sizeof head);
  std::memcpy(header + kHeaderNameOffset, result_file.c_str(), result_file.size() + 1);
  const std::vector<std::uint8_t> pages = generator.data_pages();
  std::copy(pages.begin(), pages.end(), header + kDataOffset);
  for (unsigned i = 0; i < sequences; ++i) {
    program.inputs.push_back(generator.make(kInstructions, kFirstSequence + i * sizeof(Input)));
    program.kinds.push_back(generator.kinds());
  }
  program.count_offset = static_cast<std::size_t>(header - program.image.data());
  std::memcpy(header + (kFirstSequence - kInputs), program.inputs.data(), sequences * sizeof(Input));
  return program;
}

bool write_file(const QString& name, const std::vector<std::uint8_t>& bytes) {
  QFile file(name);
  const auto size = static_cast<qint64>(bytes.size());
  return file.open(QIODevice::WriteOnly) && file.write(reinterpret_cast<const char*>(bytes.data()), size) == size;
}

std::vector<SequenceResult> results_of(std::span<const std::uint8_t> bytes) {
  std::vector<SequenceResult> results(bytes.size() / sizeof(SequenceResult));
  std::memcpy(results.data(), bytes.data(), results.size() * sizeof(SequenceResult));
  return results;
}

std::vector<SequenceResult> run_here(const Program& program, Observation observation, std::uint64_t sequences) {
  std::vector<std::uint8_t> image = program.image;
  std::memcpy(image.data() + program.count_offset, &sequences, sizeof sequences);
  register_arm();
  auto machine = shearling::testing::try_machine(std::move(image), VmmTechnique::Bare, "virt");
  if (!machine) qFatal("%s", machine.error().text().c_str());
  if (machine.value()->run_until(kSteps, observation) != StopReason::PowerOff) return {};
  std::vector<std::uint8_t> bytes(sequences * sizeof(SequenceResult));
  machine.value()->memory().read_bytes({kResults}, bytes);
  return results_of(bytes);
}

// --- telling a difference --------------------------------------------------------------------------------------------

struct Field {
  const char* name;
  std::size_t offset;
  std::size_t count, bytes;
};
constexpr Field kFields[] = {{"X", 0, 31, 8},
                             {"SP", offsetof(Registers, stack_pointer), 1, 8},
                             {"PSTATE", offsetof(Registers, flags), 1, 8},
                             {"FPCR", offsetof(Registers, fpcr), 1, 8},
                             {"FPSR", offsetof(Registers, fpsr), 1, 8},
                             {"exceptions", offsetof(Registers, exceptions), 1, 8},
                             {"V", offsetof(Registers, vectors), 32, 16},
                             {"exception", offsetof(SequenceResult, log), kLogEntries, sizeof(LoggedException)},
                             {"data at ", offsetof(SequenceResult, data), kDataBytes / 16, 16}};

QString hex(const std::uint8_t* bytes, std::size_t count) {
  QString text;
  for (std::size_t i = 0; i < count; i += 8) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes + i, 8);
    text += QStringLiteral(" %1").arg(value, 16, 16, QLatin1Char('0'));
  }
  return text;
}

QString difference(const SequenceResult& ours, const SequenceResult& theirs) {
  QString text;
  std::array<std::uint8_t, sizeof(SequenceResult)> mine{}, other{};
  std::memcpy(mine.data(), &ours, mine.size());
  std::memcpy(other.data(), &theirs, other.size());
  for (const Field& field : kFields) {
    for (std::size_t i = 0; i < field.count; ++i) {
      const std::uint8_t *const a = mine.data() + field.offset + i * field.bytes, *const b = other.data() +
                                                                                             field.offset +
                                                                                             i * field.bytes;
      if (std::memcmp(a, b, field.bytes) == 0) continue;
      text += QStringLiteral("  %1%2: here%3, in QEMU%4\n")
                  .arg(field.name)
                  .arg(i)
                  .arg(hex(a, field.bytes), hex(b, field.bytes));
    }
  }
  return text;
}

QString listing(const Input& input, std::uint64_t address) {
  QString text;
  for (std::size_t i = 0; i <= kInstructions; ++i) {
    const std::uint64_t at = address + sizeof(Registers) + 4 * i;
    text += QStringLiteral("  %1  %2  %3\n")
                .arg(at, 8, 16)
                .arg(input.code[i], 8, 16, QLatin1Char('0'))
                .arg(QString::fromStdString(disassemble(input.code[i], {at})));
  }
  return text;
}

/// How many instructions of each kind came before the end of their sequence.
void count_kinds(const Program& program, const std::vector<SequenceResult>& results,
                 std::array<unsigned, kKinds>& counts) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::uint64_t exceptions = results[i].registers.exceptions;
    std::uint64_t reached = kInstructions;
    if (exceptions > 0) {
      const LoggedException& last = results[i].log[exceptions - 1];
      const std::uint64_t first = kFirstSequence + i * sizeof(Input) + sizeof(Registers);
      const bool lost = last.syndrome >> 26 == 0x20 || last.syndrome >> 26 == 0x22 || exceptions == kLogEntries;
      if (lost) reached = std::min<std::uint64_t>(kInstructions, (last.link - first) / 4);
    }
    for (std::size_t word = 0; word < reached; ++word) ++counts[static_cast<std::size_t>(program.kinds[i][word])];
  }
}

/// How many sequences end otherwise here; the first few are told.
unsigned differences(const Program& program, Observation observation, std::span<const SequenceResult> theirs) {
  constexpr unsigned kTold = 3;
  const std::vector<SequenceResult> ours = run_here(program, observation, theirs.size());
  if (ours.size() != theirs.size()) return ~0U;
  unsigned different = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (std::memcmp(&ours[i], &theirs[i], sizeof ours[i]) == 0 || ++different > kTold) continue;
    const QString how = observation == Observation::Direct ? QStringLiteral("directly") : QStringLiteral("with models");
    qWarning("%s, sequence %zu:\n%s%s", qPrintable(how), i, qPrintable(difference(ours[i], theirs[i])),
             qPrintable(listing(program.inputs[i], kFirstSequence + i * sizeof(Input))));
  }
  return different;
}

}  // namespace

class UserSequencesTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() {
    if (QStandardPaths::findExecutable(QStringLiteral("qemu-system-aarch64")).isEmpty())
      QSKIP("qemu-system-aarch64 is not installed: run scripts/setup");
  }

  void sequences_end_as_in_qemu_data() {
    QTest::addColumn<quint64>("seed");
    QTest::addColumn<bool>("check_alignment");
    const int more = qEnvironmentVariableIntValue("SHEARLING_MORE_SEQUENCES");
    for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + 2 + static_cast<unsigned>(more); ++seed)
      QTest::addRow("seed %llu", static_cast<unsigned long long>(seed)) << quint64{seed} << false;
    QTest::addRow("alignment checked") << quint64{kFirstSeed} << true;
  }
  void sequences_end_as_in_qemu() {
    QFETCH(quint64, seed);
    QFETCH(bool, check_alignment);
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    const QTemporaryDir folder;
    const QString result_file = folder.filePath(QStringLiteral("results"));
    const Program program = make_program(seed, check_alignment, result_file.toStdString());
    const QString image_file = folder.filePath(QStringLiteral("image.elf"));
    QVERIFY(write_file(image_file, program.image));
    const test::QemuRun run = test::run_in_qemu_virt(image_file.toStdString(), {.more_arguments = {"-semihosting"}});
    QVERIFY2(!run.timed_out && run.exit_status == 0, run.messages.c_str());
    const std::vector<std::uint8_t> bytes = shearling::testing::read_file(result_file);
    QCOMPARE(bytes.size(), program.inputs.size() * sizeof(SequenceResult));
    const std::vector<SequenceResult> theirs = results_of(bytes);
    QCOMPARE(differences(program, Observation::Direct, theirs), 0U);
    QCOMPARE(differences(program, Observation::Models, std::span(theirs).first(kModelled)), 0U);
    if (check_alignment) return;
    count_kinds(program, theirs, counts_);
    ++counted_;
  }

  void every_kind_came_often_enough() {
    if (counted_ < 2) QSKIP("the seeds above must have run");
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      qInfo("%6u %s", counts_[kind], kKindNames[kind].data());
      QVERIFY2(counts_[kind] >= 3000, kKindNames[kind].data());
    }
  }

 private:
  std::array<unsigned, kKinds> counts_{};
  unsigned counted_ = 0;  ///< Images in it.
};

QTEST_APPLESS_MAIN(UserSequencesTest)
#include "user_sequences_test.moc"
