// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/cpu/decoder.h"

#include <QTest>
#include <random>

#include "isa-x86/cpu/system_state.h"

using namespace shearling;
using namespace shearling::x86;

namespace {

/// One encoding and what the manual says about it. Bytes in hexadecimal; length is that of all of them unless given.
struct Fact {
  const char* bytes;
  Operation operation;
  bool sixty_four = true;
  int length = -1;
};

std::vector<std::uint8_t> parse(const char* text) {
  const QByteArray bytes = QByteArray::fromHex(text);
  return {bytes.begin(), bytes.end()};
}

using enum Operation;
const Fact kFacts[] = {
    // One-byte opcodes, ModRM and SIB forms.
    {"90", Innocuous},
    {"4890", Innocuous},
    {"f390", Pause},
    {"f34190", Innocuous},
    {"c3", Innocuous},
    {"c21000", Innocuous},
    {"01d8", Innocuous},
    {"4801d8", Innocuous},
    {"660fc8", Innocuous},
    {"0fc8", Innocuous},
    {"8b03", Innocuous},
    {"8b4304", Innocuous},
    {"8b8300010000", Innocuous},
    {"8b0424", Innocuous},
    {"8b442408", Innocuous},
    {"8b842400010000", Innocuous},
    {"8b0578563412", Innocuous},
    {"8b042578563412", Innocuous},
    {"8b04dd78563412", Innocuous},
    {"4b8b04e5785634 12", Innocuous},
    {"418b4500", Innocuous},
    {"418b0424", Innocuous},
    {"678b00", Innocuous},
    {"b801000000", Innocuous},
    {"66b80100", Innocuous},
    {"48b8efcdab8967452301", Innocuous},
    {"b001", Innocuous},
    {"48c7c001000000", Innocuous},
    {"c70001000000", Innocuous},
    {"66c7000100", Innocuous},
    {"c60001", Innocuous},
    {"80c001", Innocuous},
    {"81c001000000", Innocuous},
    {"6681c00100", Innocuous},
    {"4883c001", Innocuous},
    {"f6c001", Innocuous},
    {"f7c001000000", Innocuous},
    {"66f7c00100", Innocuous},
    {"f7d0", Innocuous},
    {"48f7d8", Innocuous},
    {"f7f1", Innocuous},
    {"ffc0", Innocuous},
    {"fec0", Innocuous},
    {"fed0", Undefined, true, 0},
    {"ff10", Innocuous},
    {"ffe0", Innocuous},
    {"fff0", Innocuous},
    {"fff8", Undefined, true, 0},
    {"50", Innocuous},
    {"4158", Innocuous},
    {"6a01", Innocuous},
    {"6801000000", Innocuous},
    {"e800000000", Innocuous},
    {"e900000000", Innocuous},
    {"ebfe", Innocuous},
    {"7400", Innocuous},
    {"0f8400000000", Innocuous},
    {"e2fe", Innocuous},
    {"c8100000", Innocuous},
    {"c9", Innocuous},
    {"8f00", Innocuous},
    {"8fc8", Undefined, true, 0},
    {"48a10102030405060708", Innocuous},
    {"a3010203 0405060708", Innocuous},
    {"67a101020304", Innocuous},
    {"a101020304", Innocuous, false},
    {"69c001000000", Innocuous},
    {"6bc001", Innocuous},
    {"4863c1", Innocuous},
    {"8d0400", Innocuous},
    {"8dc0", Undefined, true, 0},
    {"d1e0", Innocuous},
    {"c1e004", Innocuous},
    {"d3e0", Innocuous},
    {"d7", Innocuous},
    {"99", Innocuous},
    {"4899", Innocuous},
    {"9e", Innocuous},
    {"9f", Innocuous},
    {"f5", Innocuous},
    {"f8", Innocuous},
    {"fc", Innocuous},
    {"fd", Innocuous},
    {"87c3", Innocuous},
    {"f08703", Innocuous},
    {"f0ff03", Innocuous},
    {"f0ffc0", Undefined, true, 0},
    {"f08b03", Undefined, true, 0},
    {"f00fb103", Innocuous},
    {"480fc70e", Innocuous},
    {"f00fc10b", Innocuous},
    {"f090", Undefined, true, 0},
    {"f00fba2b01", Innocuous},
    {"f00fba2301", Undefined, true, 0},
    // Strings.
    {"a4", Innocuous},
    {"f3a4", InnocuousRepeated},
    {"f348a5", InnocuousRepeated},
    {"f2ae", InnocuousRepeated},
    {"f3a6", InnocuousRepeated},
    {"f3ab", InnocuousRepeated},
    {"6c", StringIo},
    {"f36f", StringIo},
    {"666d", StringIo},
    // Two-byte opcodes.
    {"0fb6c1", Innocuous},
    {"0fafc1", Innocuous},
    {"0f44c1", Innocuous},
    {"0f94c0", Innocuous},
    {"0fa3c1", Innocuous},
    {"0fbae001", Innocuous},
    {"0fba0001", Undefined, true, 0},
    {"0fbcc1", Innocuous},
    {"f30fb8c1", Innocuous},
    {"0fb8c1", Undefined, true, 0},
    {"0f1f440000", Innocuous},
    {"660f1f840000000000", Innocuous},
    {"f30f1efa", Innocuous},
    {"0f1800", Innocuous},
    {"0f0d08", Innocuous},
    {"0fa4c104", Innocuous},
    {"0fa5c1", Innocuous},
    {"0faee8", Innocuous},
    {"0faef0", Innocuous},
    {"0faef8", Innocuous},
    {"0fae38", Innocuous},
    {"0fc303", Innocuous},
    {"0fc3c3", Undefined, true, 0},
    {"0f0b", Undefined, true, 0},
    {"0fff", Undefined, true, 0},
    {"0f04", Undefined, true, 0},
    {"0fc7f0", Undefined, true, 0},
    {"0fc7f8", Undefined, true, 0},
    {"0f38f003", Innocuous},
    {"f20f38f1c1", Innocuous},
    // Floating point and vectors.
    {"d9e8", InnocuousFloatingPoint},
    {"dd4500", InnocuousFloatingPoint},
    {"9b", InnocuousFloatingPoint},
    {"0f28c1", InnocuousFloatingPoint},
    {"660f6fc1", InnocuousFloatingPoint},
    {"f30f6f4500", InnocuousFloatingPoint},
    {"f20f58c1", InnocuousFloatingPoint},
    {"660f70c11b", InnocuousFloatingPoint},
    {"0fc6c11b", InnocuousFloatingPoint},
    {"0f77", InnocuousFloatingPoint},
    {"0fae00", InnocuousFloatingPoint},
    {"0fae5500", InnocuousFloatingPoint},
    {"660f3a0fc104", InnocuousFloatingPoint},
    {"c5f877", Undefined, true, 0},
    {"c4e27918c1", Undefined, true, 0},
    {"62f17c4828c1", Undefined, true, 0},
    // Privileged and sensitive.
    {"0fa2", Cpuid},
    {"f4", Hlt},
    {"fa", Cli},
    {"fb", Sti},
    {"0f0100", Sgdt},
    {"0f010c2500000000", Sidt},
    {"0f011500000000", Lgdt},
    {"0f0118", Lidt},
    {"0f0120", Smsw},
    {"480f01e0", Smsw},
    {"0f01f0", Lmsw},
    {"0f0138", Invlpg},
    {"0f01f8", Swapgs},
    {"0f01f9", Rdtscp},
    {"0f01c1", Vmcall},
    {"0f01c2", Vmxinstruction},
    {"0f01c4", Vmxinstruction},
    {"0f01c8", Monitor},
    {"0f01c9", Mwait},
    {"0f01ca", Clac},
    {"0f01cb", Stac},
    {"0f01d0", Xgetbv},
    {"0f01d1", Xsetbv},
    {"0f00c0", Sldt},
    {"0f00c8", Str},
    {"0f00d0", Lldt},
    {"0f00d8", Ltr},
    {"0f00e0", Verr},
    {"0f00e8", Verw},
    {"0f02c1", Lar},
    {"0f03c1", Lsl},
    {"0f05", Syscall},
    {"0f07", Sysret},
    {"480f07", Sysret},
    {"0f06", Clts},
    {"0f08", Invd},
    {"0f09", Wbinvd},
    {"0f20c0", MovFromCr},
    {"440f20c0", MovFromCr},
    {"0f22d8", MovToCr},
    {"0f20c8", Undefined, true, 0},
    {"0f2000", MovFromCr},
    {"0f21c0", MovFromDr},
    {"0f23f8", MovToDr},
    {"0f30", Wrmsr},
    {"0f32", Rdmsr},
    {"0f31", Rdtsc},
    {"0f33", Rdpmc},
    {"e480", In},
    {"ec", In},
    {"66ed", In},
    {"e680", Out},
    {"ee", Out},
    {"ef", Out},
    {"cc", Int3},
    {"f1", Int3},
    {"cd80", Int},
    {"cf", Iret},
    {"48cf", Iret},
    {"9c", Pushf},
    {"669d", Popf},
    {"8cd8", MovFromSegment},
    {"8ed8", MovToSegment},
    {"8ec8", Undefined, true, 0},
    {"8ef8", Undefined, true, 0},
    {"0fa0", PushSegment},
    {"0fa9", PopSegment},
    {"ff28", FarJump},
    {"48ff28", FarJump},
    {"ff18", FarCall},
    {"ffe8", Undefined, true, 0},
    {"cb", FarReturn},
    {"48cb", FarReturn},
    {"ca0800", FarReturn},
    {"0fb200", LoadFarPointer},
    {"0fb2c0", Undefined, true, 0},
    {"f30faec0", RdFsBase},
    {"f3480faed8", WrGsBase},
    {"660f388208", Invpcid},
    {"660f388008", Vmxinstruction},
    {"0f78c1", Vmxinstruction},
    {"0fc730", Vmxinstruction},
    {"0f34", Sysenter},
    {"0f35", Sysexit},
    // What differs outside 64-bit mode.
    {"40", Innocuous, false},
    {"06", PushSegment, false},
    {"06", Undefined, true, 0},
    {"1f", PopSegment, false},
    {"ce", Into, false},
    {"ce", Undefined, true, 0},
    {"9a785634120800", FarCall, false},
    {"ea785634120800", FarJump, false},
    {"ea785634120800", Undefined, true, 0},
    {"66ea78560800", FarJump, false},
    {"c500", LoadFarPointer, false},
    {"c5f877", Undefined, false, 0},
    {"60", Innocuous, false},
    {"60", Undefined, true, 0},
    {"6300", Innocuous, false},
    {"d40a", Innocuous, false},
    {"37", Innocuous, false},
    {"8200 01", Innocuous, false},
    {"820001", Undefined, true, 0},
    {"0f05", Undefined, false, 0},
    {"0f01f8", Undefined, false, 0},
    {"678b4708", Innocuous, false},
    {"678b060001", Innocuous, false},
    {"8b0500010000", Innocuous, false},
    {"48", Innocuous, false},
    {"d6", Undefined, true, 0},
    {"f30faec0", Undefined, false, 0},
};

}  // namespace

class DecoderTest : public QObject {
  Q_OBJECT
 private slots:
  void known_encodings_have_their_operation_and_length() {
    QVERIFY(std::size(kFacts) >= 200);
    for (const Fact& fact : kFacts) {
      std::vector<std::uint8_t> bytes = parse(fact.bytes);
      const int length = fact.length < 0 ? static_cast<int>(bytes.size()) : fact.length;
      const DecodedInstruction exact = decode(bytes, fact.sixty_four);
      bytes.resize(15, 0xcc);  // What follows must not matter.
      const DecodedInstruction padded = decode(bytes, fact.sixty_four);
      QVERIFY2(exact.operation == fact.operation && padded.operation == fact.operation, fact.bytes);
      QVERIFY2(padded.length == length && (length == 0 || exact.length == length), fact.bytes);
    }
  }

  void an_instruction_that_is_cut_short_asks_for_more() {
    for (const Fact& fact : kFacts) {
      if (fact.length == 0) continue;
      const std::vector<std::uint8_t> bytes = parse(fact.bytes);
      for (std::size_t shorter = 0; shorter < bytes.size(); ++shorter) {
        const DecodedInstruction cut = decode(std::span(bytes).first(shorter), fact.sixty_four);
        QVERIFY2(cut.truncated && cut.length == 0, fact.bytes);
      }
    }
  }

  void no_instruction_is_longer_than_fifteen_bytes() {
    const std::vector<std::uint8_t> prefixes(20, 0x66);
    const DecodedInstruction decoded = decode(prefixes, true);
    QCOMPARE(decoded.length, std::uint8_t{0});
    QVERIFY(decoded.truncated);
  }

  void operands_name_registers_memory_and_immediates() {
    const DecodedInstruction load = decode(parse("4a8b848500010000"), true);  // mov rax, [rbp + r8*4 + 0x100]
    QCOMPARE(load.operands[0].reg, std::uint8_t{0});
    QCOMPARE(load.operands[0].size, std::uint8_t{8});
    QCOMPARE(load.operands[1].base, std::int8_t{5});
    QCOMPARE(load.operands[1].index, std::int8_t{8});
    QCOMPARE(load.operands[1].scale, std::uint8_t{4});
    QCOMPARE(load.operands[1].displacement, std::int64_t{0x100});
    QCOMPARE(load.operands[1].segment, static_cast<std::int8_t>(kSs));

    const DecodedInstruction relative = decode(parse("890510000000"), true);  // mov [rip + 16], eax
    QCOMPARE(relative.operands[0].base, std::int8_t{16});
    QCOMPARE(relative.operands[0].segment, static_cast<std::int8_t>(kDs));
    QCOMPARE(relative.operands[1].reg, std::uint8_t{0});

    const DecodedInstruction immediate = decode(parse("65c744240880ffffff"), true);  // mov dword gs:[rsp + 8], -128
    QCOMPARE(immediate.operands[0].segment, static_cast<std::int8_t>(kGs));
    QCOMPARE(immediate.operands[1].displacement, std::int64_t{-128});

    const DecodedInstruction high = decode(parse("8a25 00000000"), true);  // mov ah, [rip]
    QVERIFY(high.operands[0].high_byte);
    QCOMPARE(high.operands[0].reg, std::uint8_t{0});
    const DecodedInstruction rex = decode(parse("408a2500000000"), true);  // mov spl, [rip]
    QVERIFY(!rex.operands[0].high_byte);
    QCOMPARE(rex.operands[0].reg, std::uint8_t{4});

    const DecodedInstruction cr8 = decode(parse("440f22c0"), true);  // mov cr8, rax
    QCOMPARE(cr8.operands[0].reg, std::uint8_t{8});
    QCOMPARE(cr8.operands[1].size, std::uint8_t{8});

    const DecodedInstruction pop_fs = decode(parse("0fa1"), true);
    QCOMPARE(pop_fs.operands[0].reg, static_cast<std::uint8_t>(kFs));
    QCOMPARE(pop_fs.operand_size, std::uint8_t{8});

    const DecodedInstruction far_jump = decode(parse("ea785634120800"), false);
    QCOMPARE(far_jump.operands[0].displacement, std::int64_t{0x12345678});
    QCOMPARE(far_jump.operands[1].displacement, std::int64_t{8});
  }

  void classes_follow_popek_and_goldberg() {
    const auto class_of = [](const char* bytes) { return decode(parse(bytes), true).classification; };
    QCOMPARE(class_of("f4"), InstructionClass::Privileged);
    QCOMPARE(class_of("0f22d8"), InstructionClass::Privileged);
    QCOMPARE(class_of("9d"), InstructionClass::ControlSensitive);
    QCOMPARE(class_of("9c"), InstructionClass::BehaviourSensitive);
    QCOMPARE(class_of("0f0100"), InstructionClass::BehaviourSensitive);
    QCOMPARE(class_of("4801d8"), InstructionClass::Innocuous);
  }

  void floating_point_instructions_know_which_state_they_use() {
    const auto use_of = [](const char* bytes) { return floating_point_use(decode(parse(bytes), true)); };
    QCOMPARE(use_of("d9e8"), FloatingPointUse::X87);
    QCOMPARE(use_of("9b"), FloatingPointUse::Wait);
    QCOMPARE(use_of("0f6fc1"), FloatingPointUse::Mmx);
    QCOMPARE(use_of("660f6fc1"), FloatingPointUse::Sse);
    QCOMPARE(use_of("0f28c1"), FloatingPointUse::Sse);
    QCOMPARE(use_of("0fae00"), FloatingPointUse::SaveRestore);
    QCOMPARE(use_of("0fae10"), FloatingPointUse::Sse);
    QCOMPARE(use_of("90"), FloatingPointUse::None);
  }

  void random_bytes_decode_to_something_sane() {
    const std::uint32_t seed = 20240611;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200000; ++round) {
      std::array<std::uint8_t, 15> bytes{};
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
      const bool sixty_four = (round & 1) != 0;
      const DecodedInstruction decoded = decode(bytes, sixty_four);
      QVERIFY(decoded.length <= 15);
      QCOMPARE(decoded.length == 0, decoded.operation == Operation::Undefined);
      if (decoded.length == 0) continue;
      // Deterministic, and a function of its own bytes alone.
      for (std::size_t i = decoded.length; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(random());
      QCOMPARE(decode(bytes, sixty_four).length, decoded.length);
      QCOMPARE(decode(bytes, sixty_four).operation, decoded.operation);
    }
  }

  void disassembly_is_intel_syntax() {
    QCOMPARE(disassemble(parse("b801000000"), {0x1000}, true), std::string("mov eax, 1"));
    QCOMPARE(disassemble(parse("0fa2"), {0x1000}, true), std::string("cpuid"));
    QCOMPARE(disassemble(parse("0f0b0b"), {0x1000}, true), std::string("ud2"));
  }
};

QTEST_APPLESS_MAIN(DecoderTest)
#include "decoder_test.moc"
