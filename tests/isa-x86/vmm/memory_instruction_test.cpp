// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMM's emulation of memory instructions against the engine: each form is executed by both on random registers,
// flags and memory, and everything must agree.
#include <QtTest>

#include <random>

#include "core/engine/engine.h"
#include "isa-x86/cpu/system_state.h"
#include "isa-x86/vmm/memory_instruction.h"

using namespace shearling;
using namespace shearling::x86;

namespace {

constexpr std::uint64_t kCode = 0x1000, kData = 0x3000, kOperand = kData + 0x80;
constexpr std::uint64_t kCompared = 0x8d5;  // CF PF AF ZF SF OF
constexpr unsigned kRbx = 3, kRdi = 7;

/// Memory as it is, everything allowed.
class PlainClient : public EngineClient {
 public:
  FillAnswer fill(VirtualAddress address, AccessKind) override {
    return {.granted = true,
            .page = {address.value & ~(kFrameBytes - 1)},
            .readable = true,
            .writable = true,
            .executable = true};
  }
  void memory_access(PhysicalAddress, AccessKind, unsigned, std::uint64_t) override {}
  std::uint64_t device_read(PhysicalAddress, unsigned) override { return 0; }
  void device_write(PhysicalAddress, unsigned, std::uint64_t) override {}
  BlockPlan plan_block(VirtualAddress, std::span<const std::uint8_t>) override { return {}; }
  std::uint32_t instructions_before(VirtualAddress, std::span<const std::uint8_t>, std::uint32_t) override { return 0; }
};

using Bytes = std::vector<std::uint8_t>;

struct Bench {
  PhysicalMemory memory{{0}, 0x8000};
  PlainClient client;
  std::unique_ptr<CpuEngine> engine;
  explicit Bench(ExecutionMode mode) : engine(make_unicorn_engine(memory, mode)) {
    engine->set_mode(mode);
    engine->set_client(&client);
  }
};

/// Opcode bytes, whether a ModRM byte follows, its reg field (-1: any), and bytes of immediate (-1: by operand size).
struct Form {
  const char* name;
  Bytes opcode;
  int extension;
  int immediate;
  bool byte_operand;
};
const std::vector<Form>& forms() {
  static const std::vector<Form> kForms = [] {
    std::vector<Form> list{{"mov m8, r8", {0x88}, -1, 0, true},
                           {"mov m, r", {0x89}, -1, 0, false},
                           {"mov r8, m8", {0x8a}, -1, 0, true},
                           {"mov r, m", {0x8b}, -1, 0, false},
                           {"mov m8, imm8", {0xc6}, 0, 1, true},
                           {"mov m, imm", {0xc7}, 0, -1, false},
                           {"test m8, r8", {0x84}, -1, 0, true},
                           {"test m, r", {0x85}, -1, 0, false},
                           {"test m8, imm8", {0xf6}, 0, 1, true},
                           {"test m, imm", {0xf7}, 0, -1, false},
                           {"not m8", {0xf6}, 2, 0, true},
                           {"not m", {0xf7}, 2, 0, false},
                           {"neg m8", {0xf6}, 3, 0, true},
                           {"neg m", {0xf7}, 3, 0, false},
                           {"inc m8", {0xfe}, 0, 0, true},
                           {"inc m", {0xff}, 0, 0, false},
                           {"dec m8", {0xfe}, 1, 0, true},
                           {"dec m", {0xff}, 1, 0, false},
                           {"xchg m8, r8", {0x86}, -1, 0, true},
                           {"xchg m, r", {0x87}, -1, 0, false},
                           {"movzx r, m8", {0x0f, 0xb6}, -1, 0, false},
                           {"movzx r, m16", {0x0f, 0xb7}, -1, 0, false},
                           {"movsx r, m8", {0x0f, 0xbe}, -1, 0, false},
                           {"movsx r, m16", {0x0f, 0xbf}, -1, 0, false}};
    static const std::vector<std::string> kNames = [] {
      std::vector<std::string> names;
      for (const char* operation : {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"})
        for (const char* operands : {" m8, r8", " m, r", " r8, m8", " r, m", " m8, imm8", " m, imm", " m, simm8"})
          names.push_back(std::string(operation) + operands);
      return names;
    }();
    for (unsigned operation = 0; operation < 8; ++operation) {
      const auto base = static_cast<std::uint8_t>(operation * 8);
      const auto name = [&](unsigned index) { return kNames[operation * 7 + index].c_str(); };
      for (unsigned index = 0; index < 4; ++index)
        list.push_back({name(index), {static_cast<std::uint8_t>(base + index)}, -1, 0, index % 2 == 0});
      list.push_back({name(4), {0x80}, static_cast<int>(operation), 1, true});
      list.push_back({name(5), {0x81}, static_cast<int>(operation), -1, false});
      list.push_back({name(6), {0x83}, static_cast<int>(operation), 1, false});
    }
    return list;
  }();
  return kForms;
}

}  // namespace

class MemoryInstructionTest : public QObject {
  Q_OBJECT

  std::mt19937_64 generator_{7701};
  std::uint64_t random() { return generator_(); }

  /// Emulates and executes `bytes` on the same random state.
  void compare(Bench& bench, const Bytes& bytes, bool sixty_four) {
    EngineState before = bench.engine->state();
    for (unsigned reg = 0; reg < 16; ++reg) before.integer[reg] = sixty_four ? random() : random() & 0xffffffff;
    before.integer[kRbx] = kOperand;
    before.integer[kRdi] = 4;
    before.program_counter = kCode;
    before.flags = random() & kCompared;
    const std::uint64_t memory_before = random() >> (random() % 64);
    bench.memory.write({kOperand}, 8, memory_before);
    Bytes padded = bytes;
    padded.resize(16, 0x90);
    bench.memory.write_bytes({kCode}, padded);
    bench.engine->invalidate_all_code();
    bench.engine->set_state(before);
    const EngineOutcome outcome = bench.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::Completed);
    const EngineState after = bench.engine->state();

    std::array<std::uint64_t, 33> registers = before.integer;
    std::uint64_t memory = memory_before;
    EmulationTarget target{
        .read_register = [&](unsigned reg) { return registers[reg]; },
        .write_register = [&](unsigned reg, std::uint64_t value) { registers[reg] = value; },
        .read_memory = [&](unsigned size) { return size == 8 ? memory : memory & ((1ULL << 8 * size) - 1); },
        .write_memory =
            [&](unsigned size, std::uint64_t value) {
              const std::uint64_t mask = size == 8 ? ~std::uint64_t{0} : (1ULL << 8 * size) - 1;
              memory = (memory & ~mask) | (value & mask);
            },
        .rflags = before.flags | 0x202};
    const auto length = emulate_memory_instruction(padded, sixty_four, target);
    QVERIFY(length.has_value());
    QCOMPARE(*length, static_cast<unsigned>(bytes.size()));
    QCOMPARE(after.program_counter, kCode + bytes.size());
    for (unsigned reg = 0; reg < 16; ++reg) QCOMPARE(registers[reg], after.integer[reg]);
    QCOMPARE(memory, bench.memory.read({kOperand}, 8));
    QCOMPARE(target.rflags & kCompared, after.flags & kCompared);
    QCOMPARE(target.rflags & 0x202, std::uint64_t{0x202});
  }

  /// The form with random prefixes and one of the ways to address the operand through RBX.
  Bytes encode(const Form& form, bool sixty_four) {
    Bytes bytes;
    const bool word = random() % 4 == 0;
    if (word) bytes.push_back(0x66);
    std::uint8_t rex = 0;
    // REX.W and REX.R; the engine wants no REX.R where the reg field is part of the opcode (hardware ignores it).
    const std::uint64_t allowed = form.extension >= 0 ? 0x8 : 0xc;
    if (sixty_four && random() % 2 == 0) rex = static_cast<std::uint8_t>(0x40 | (random() & allowed));
    if (rex != 0) bytes.push_back(rex);
    bytes.insert(bytes.end(), form.opcode.begin(), form.opcode.end());
    unsigned reg = form.extension >= 0 ? static_cast<unsigned>(form.extension) : static_cast<unsigned>(random() % 8);
    switch (random() % 5) {
      case 0:
        bytes.push_back(static_cast<std::uint8_t>(reg << 3 | 3));
        break;  // [rbx]
      case 1:
        bytes.insert(bytes.end(), {static_cast<std::uint8_t>(0x40 | reg << 3 | 3), 0});
        break;  // [rbx + disp8]
      case 2:
        bytes.insert(bytes.end(), {static_cast<std::uint8_t>(0x80 | reg << 3 | 3), 0, 0, 0, 0});
        break;  // [rbx + disp32]
      case 3:
        bytes.insert(bytes.end(), {static_cast<std::uint8_t>(0x40 | reg << 3 | 4), 0x3b, 0xfc});
        break;  // [rbx + rdi - 4]
      default:
        bytes.insert(bytes.end(), {static_cast<std::uint8_t>(reg << 3 | 4), 0x25, 0x80, 0x30, 0, 0});
        break;  // [disp32]
    }
    const bool wide = (rex & 8) != 0;
    unsigned immediate = form.immediate >= 0 ? static_cast<unsigned>(form.immediate) : word && !wide ? 2U : 4U;
    for (; immediate != 0; --immediate) bytes.push_back(static_cast<std::uint8_t>(random()));
    return bytes;
  }

 private slots:
  void every_form_does_what_the_engine_does_data() {
    QTest::addColumn<unsigned>("index");
    QTest::addColumn<bool>("sixty_four");
    qInfo("seed 7701");
    for (unsigned index = 0; index < forms().size(); ++index) {
      QTest::addRow("%s, 64-bit", forms()[index].name) << index << true;
      QTest::addRow("%s, 32-bit", forms()[index].name) << index << false;
    }
  }
  void every_form_does_what_the_engine_does() {
    QFETCH(unsigned, index);
    QFETCH(bool, sixty_four);
    static Bench long_mode(ExecutionMode::X86Long64), protected_mode(ExecutionMode::X86Protected32);
    for (unsigned round = 0; round < 12; ++round) {
      const Bytes bytes = encode(forms()[index], sixty_four);
      compare(sixty_four ? long_mode : protected_mode, bytes, sixty_four);
      if (QTest::currentTestFailed()) {
        qInfo()
            << QByteArray(reinterpret_cast<const char*>(bytes.data()), static_cast<qsizetype>(bytes.size())).toHex(' ');
        return;
      }
    }
  }

  void special_forms_do_what_the_engine_does_data() {
    QTest::addColumn<QByteArray>("code");
    QTest::addColumn<bool>("sixty_four");
    const auto row = [](const char* name, const char* code, bool sixty_four) {
      QTest::newRow(name) << QByteArray::fromHex(code) << sixty_four;
    };
    row("movsxd rcx, [rbx]", "48630b", true);
    row("movsxd ecx, [rbx]", "630b", true);
    row("mov eax, [moffs64]", "a18030000000000000", true);
    row("mov [moffs64], rax", "48a38030000000000000", true);
    row("mov al, [moffs64]", "a08030000000000000", true);
    row("mov eax, [moffs32]", "a180300000", false);
    row("mov [moffs32], ax", "66a380300000", false);
    row("mov eax, [rip + disp]", "8b057a200000", true);
    row("mov ds:[rbx], ecx", "3e890b", true);
    row("lock add [rbx], ecx", "f0010b", true);
    row("mov r12d, [ebx]", "67448b23", true);
  }
  void special_forms_do_what_the_engine_does() {
    QFETCH(QByteArray, code);
    QFETCH(bool, sixty_four);
    Bench bench(sixty_four ? ExecutionMode::X86Long64 : ExecutionMode::X86Protected32);
    for (unsigned round = 0; round < 10; ++round) compare(bench, Bytes(code.begin(), code.end()), sixty_four);
  }

  void what_is_left_out_is_refused_and_changes_nothing_data() {
    QTest::addColumn<QByteArray>("code");
    QTest::addColumn<bool>("sixty_four");
    const auto row = [](const char* name, const char* code, bool sixty_four = true) {
      QTest::newRow(name) << QByteArray::fromHex(code) << sixty_four;
    };
    row("register operand", "89d8");
    row("push [rbx]", "ff33");
    row("movsd", "a5");
    row("stosd", "ab");
    row("bt [rbx], eax", "0fa303");
    row("movups xmm0, [rbx]", "0f1003");
    row("mul dword [rbx]", "f723");
    row("group 11 with another digit", "c70b00000000");
    row("16-bit addressing", "67890c", false);
    row("movsxd outside 64-bit mode", "630b", false);
    row("a prefix alone", "66");
    row("bytes end in the displacement", "898b00");
    row("bytes end in the immediate", "c7030000");
    row("no bytes", "");
    row("all ones", "ffffffffffffffffffffffffffffff");
  }
  void what_is_left_out_is_refused_and_changes_nothing() {
    QFETCH(QByteArray, code);
    QFETCH(bool, sixty_four);
    unsigned touched = 0;
    EmulationTarget target{.read_register = [&](unsigned) { return std::uint64_t{0}; },
                           .write_register = [&](unsigned, std::uint64_t) { ++touched; },
                           .read_memory =
                               [&](unsigned) {
                                 ++touched;
                                 return std::uint64_t{0};
                               },
                           .write_memory = [&](unsigned, std::uint64_t) { ++touched; },
                           .rflags = 0x246};
    QVERIFY(!emulate_memory_instruction(Bytes(code.begin(), code.end()), sixty_four, target));
    QCOMPARE(touched, 0U);
    QCOMPARE(target.rflags, std::uint64_t{0x246});
  }

  void random_bytes_never_read_beyond_their_end() {
    std::mt19937_64 noise(5);
    EmulationTarget target{.read_register = [](unsigned reg) { return std::uint64_t{reg}; },
                           .write_register = [](unsigned, std::uint64_t) {},
                           .read_memory = [](unsigned) { return std::uint64_t{1}; },
                           .write_memory = [](unsigned, std::uint64_t) {},
                           .rflags = 2};
    unsigned emulated = 0;
    for (unsigned round = 0; round < 200000; ++round) {
      Bytes bytes(noise() % 16);
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(noise());
      const auto length = emulate_memory_instruction(bytes, noise() % 2 == 0, target);
      if (!length) continue;
      QVERIFY(*length <= bytes.size());
      ++emulated;
    }
    QVERIFY(emulated > 1000);
  }
};

QTEST_APPLESS_MAIN(MemoryInstructionTest)
#include "memory_instruction_test.moc"
