// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the decoder makes of instruction words: who executes them, what a data abort tells of them, and where they go
// and how they are aligned. The words are those of the GNU assembler for the texts beside them.
#include <QTest>

#include "isa-arm/cpu/decoder.h"
#include "isa-arm/cpu/memory_operand.h"

using namespace shearling;
using namespace shearling::arm;

Q_DECLARE_METATYPE(shearling::arm::Operation)

namespace {

struct OperationCase {
  std::uint32_t word;
  const char* text;
  Operation operation;
};
constexpr OperationCase kOperations[] = {
    {0xd4000021, "svc #1", Operation::Svc},
    {0xd4000042, "hvc #2", Operation::Hvc},
    {0xd4000063, "smc #3", Operation::Smc},
    {0xd4200080, "brk #4", Operation::Brk},
    {0xd69f03e0, "eret", Operation::Eret},
    {0xd503207f, "wfi", Operation::Wfi},
    {0xd503205f, "wfe", Operation::Wfe},
    {0xd503209f, "sev", Operation::SendEvent},
    {0xd50320bf, "sevl", Operation::SendEventLocal},
    {0xd5033f5f, "clrex", Operation::ClearExclusive},
    {0xc85f7c23, "ldxr x3, [x1]", Operation::LoadExclusive},
    {0x885ffc23, "ldaxr w3, [x1]", Operation::LoadExclusive},
    {0x085f7c23, "ldxrb w3, [x1]", Operation::LoadExclusive},
    {0xc87f1023, "ldxp x3, x4, [x1]", Operation::LoadExclusive},
    {0xc8027c23, "stxr w2, x3, [x1]", Operation::StoreExclusive},
    {0x8802fc23, "stlxr w2, w3, [x1]", Operation::StoreExclusive},
    {0xc8221023, "stxp w2, x3, x4, [x1]", Operation::StoreExclusive},
    {0x88dffc23, "ldar w3, [x1]", Operation::Ordered},
    {0xc89ffc23, "stlr x3, [x1]", Operation::Ordered},
    {0x08dffc23, "ldarb w3, [x1]", Operation::Innocuous},
    {0xb8400823, "ldtr w3, [x1]", Operation::Unprivileged},
    {0x78000823, "sttrh w3, [x1]", Operation::Unprivileged},
    {0xd5034fdf, "msr daifset, #15", Operation::MoveToState},
    {0xd50041bf, "msr spsel, #1", Operation::MoveToState},
    {0xd500419f, "msr pan, #1", Operation::MoveToState},
    {0xd508871f, "tlbi vmalle1", Operation::System},
    {0xd5087800, "at s1e1r, x0", Operation::System},
    {0xd50b7420, "dc zva, x0", Operation::System},
    {0xd508751f, "ic iallu", Operation::System},
    {0xd5385200, "mrs x0, esr_el1", Operation::ReadRegister},
    {0xd5185200, "msr esr_el1, x0", Operation::WriteRegister},
    {0xd53bd060, "mrs x0, tpidrro_el0", Operation::ReadRegister},
    {0xd53b4200, "mrs x0, nzcv", Operation::Innocuous},
    {0xd53bd040, "mrs x0, tpidr_el0", Operation::Innocuous},
    {0xd51b4400, "msr fpcr, x0", Operation::InnocuousFloatingPoint},
    {0xd4400000, "hlt #0", Operation::Undefined},
    {0xd4a00001, "dcps1", Operation::Undefined},
    {0xd6bf03e0, "drps", Operation::Undefined},
    {0x00000001, "udf #1", Operation::Undefined},
    {0xd503201f, "nop", Operation::Innocuous},
    {0xd503203f, "yield", Operation::Innocuous},
    {0xd5033f9f, "dsb sy", Operation::Innocuous},
    {0xd5033fdf, "isb", Operation::Innocuous},
    {0xd28000ff, "movz xzr, #7", Operation::LessonMark},
    {0xd28000e1, "movz x1, #7", Operation::Innocuous},
    {0x8b020020, "add x0, x1, x2", Operation::Innocuous},
    {0xd61f0020, "br x1", Operation::Innocuous},
    {0xf9400023, "ldr x3, [x1]", Operation::Innocuous},
    {0x1e622820, "fadd d0, d1, d2", Operation::InnocuousFloatingPoint},
    {0x4ea28420, "add v0.4s, v1.4s, v2.4s", Operation::InnocuousFloatingPoint},
    {0x3dc00023, "ldr q3, [x1]", Operation::InnocuousFloatingPoint},
    {0x4c407820, "ld1 {v0.4s}, [x1]", Operation::InnocuousFloatingPoint},
    {0x48227c24, "casp x2, x3, x4, x5, [x1]", Operation::Innocuous},
};

/// ISS[24:14] of a stage-2 data abort: ISV, SAS, SSE, SRT, SF and AR.
constexpr std::uint32_t syndrome(unsigned size, bool extends, unsigned target, bool wide, bool ordered) {
  return 1U << 24 | size << 22 | (extends ? 1U << 21 : 0) | target << 16 | (wide ? 1U << 15 : 0) |
         (ordered ? 1U << 14 : 0);
}
struct SyndromeCase {
  std::uint32_t word;
  const char* text;
  std::uint32_t syndrome;  ///< 0: none.
};
constexpr SyndromeCase kSyndromes[] = {
    {0x39400023, "ldrb w3, [x1]", syndrome(0, false, 3, false, false)},
    {0x39c01423, "ldrsb w3, [x1, #5]", syndrome(0, true, 3, false, false)},
    {0x39800023, "ldrsb x3, [x1]", syndrome(0, true, 3, true, false)},
    {0x78626823, "ldrh w3, [x1, x2]", syndrome(1, false, 3, false, false)},
    {0x79c00023, "ldrsh w3, [x1]", syndrome(1, true, 3, false, false)},
    {0xb9800023, "ldrsw x3, [x1]", syndrome(2, true, 3, true, false)},
    {0xb9400023, "ldr w3, [x1]", syndrome(2, false, 3, false, false)},
    {0xf9400023, "ldr x3, [x1]", syndrome(3, false, 3, true, false)},
    {0xb900003f, "str wzr, [x1]", syndrome(2, false, 31, false, false)},
    {0xf9000023, "str x3, [x1]", syndrome(3, false, 3, true, false)},
    {0x381ff023, "sturb w3, [x1, #-1]", syndrome(0, false, 3, false, false)},
    {0xf85f9023, "ldur x3, [x1, #-7]", syndrome(3, false, 3, true, false)},
    {0xb8400823, "ldtr w3, [x1]", syndrome(2, false, 3, false, false)},
    {0x78000823, "sttrh w3, [x1]", syndrome(1, false, 3, false, false)},
    {0x88dffc23, "ldar w3, [x1]", syndrome(2, false, 3, false, true)},
    {0xc89ffc23, "stlr x3, [x1]", syndrome(3, false, 3, true, true)},
    {0x08dffc23, "ldarb w3, [x1]", syndrome(0, false, 3, false, true)},
    {0x18000043, "ldr w3, literal", syndrome(2, false, 3, false, false)},
    {0x58000043, "ldr x3, literal", syndrome(3, false, 3, true, false)},
    {0x98000043, "ldrsw x3, literal", syndrome(2, true, 3, true, false)},
    {0xf8408423, "ldr x3, [x1], #8", 0},
    {0xb8004c23, "str w3, [x1, #4]!", 0},
    {0xa9401023, "ldp x3, x4, [x1]", 0},
    {0x29001023, "stp w3, w4, [x1]", 0},
    {0x3dc00023, "ldr q3, [x1]", 0},
    {0xfd000023, "str d3, [x1]", 0},
    {0xc85f7c23, "ldxr x3, [x1]", 0},
    {0xc8027c23, "stxr w2, x3, [x1]", 0},
    {0xf9800020, "prfm pldl1keep, [x1]", 0},
    {0x4c407820, "ld1 {v0.4s}, [x1]", 0},
    {0xf8220023, "ldadd x2, x3, [x1]", 0},
};

// X1 is 0x1000 and X2 is 0xfffffffe: -2 as a word.
struct OperandCase {
  std::uint32_t word;
  const char* text;
  std::uint64_t address;
  unsigned alignment;  ///< 0: nothing to align.
  bool write;
};
constexpr std::uint64_t kHere = 0x8000;
constexpr OperandCase kOperands[] = {
    {0xf9400023, "ldr x3, [x1]", 0x1000, 8, false},
    {0xfd400820, "ldr d0, [x1, #16]", 0x1010, 8, false},
    {0x3dc00023, "ldr q3, [x1]", 0x1000, 16, false},
    {0xb8004c23, "str w3, [x1, #4]!", 0x1004, 4, true},
    {0xf8408423, "ldr x3, [x1], #8", 0x1000, 8, false},
    {0xf85f9023, "ldur x3, [x1, #-7]", 0xff9, 8, false},
    {0xf862d823, "ldr x3, [x1, w2, sxtw #3]", 0xff0, 8, false},
    {0xb8624823, "ldr w3, [x1, w2, uxtw]", 0x100000ffe, 4, false},
    {0x29001023, "stp w3, w4, [x1]", 0x1000, 4, true},
    {0x6dc10420, "ldp d0, d1, [x1, #16]!", 0x1010, 8, false},
    {0xac810420, "stp q0, q1, [x1], #32", 0x1000, 16, true},
    {0xa8411023, "ldnp x3, x4, [x1, #16]", 0x1010, 8, false},
    {0x69401023, "ldpsw x3, x4, [x1]", 0x1000, 4, false},
    {0x18000043, "ldr w3, literal", kHere + 8, 4, false},
    {0x9c000080, "ldr q0, literal", kHere + 16, 16, false},
    {0xc89ffc23, "stlr x3, [x1]", 0x1000, 8, true},
    {0x4c407820, "ld1 {v0.4s}, [x1]", 0x1000, 4, false},
    {0x4c404420, "ld3 {v0.8h-v2.8h}, [x1]", 0x1000, 2, false},
    {0x4d40cc20, "ld1r {v0.2d}, [x1]", 0x1000, 8, false},
    {0x0d829020, "st1 {v0.s}[1], [x1], x2", 0x1000, 4, true},
    {0x0d000c20, "st1 {v0.b}[3], [x1]", 0, 0, false},
    {0x39400023, "ldrb w3, [x1]", 0, 0, false},
    {0xf9800020, "prfm pldl1keep, [x1]", 0, 0, false},
    {0xd8000040, "prfm pldl1keep, literal", 0, 0, false},
    {0x8b020020, "add x0, x1, x2", 0, 0, false},
    {0x0c009c20, "st2 with one lane of 64 bits: unallocated", 0, 0, false},
    {0x0d00c820, "a store of one value to all lanes: unallocated", 0, 0, false},
    {0xb9c00023, "size 2 and opc 3: unallocated", 0, 0, false},
    {0xfd800023, "SIMD with size 3 and opc 2: unallocated", 0, 0, false},
    {0x68001023, "a pair with opc 1 that stores: unallocated", 0, 0, false},
    {0xdc000043, "SIMD literal with opc 3: unallocated", 0, 0, false},
    {0xf8628823, "register offset with option 4: unallocated", 0, 0, false},
};

}  // namespace

class DecoderTest : public QObject {
  Q_OBJECT
 private slots:
  void an_instruction_belongs_to_the_core_or_the_engine_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<Operation>("operation");
    for (const OperationCase& row : kOperations) QTest::newRow(row.text) << row.word << row.operation;
  }
  void an_instruction_belongs_to_the_core_or_the_engine() {
    QFETCH(quint32, word);
    QFETCH(Operation, operation);
    QCOMPARE(operation_of(word), operation);
  }

  void sensitivity_follows_popek_and_goldberg() {
    struct Case {
      std::uint32_t word;
      InstructionClass expected;
    };
    constexpr Case kCases[] = {{0xd4000021, InstructionClass::ControlSensitive},    // svc
                               {0xd4000042, InstructionClass::Privileged},          // hvc
                               {0xd69f03e0, InstructionClass::Privileged},          // eret
                               {0xd5385200, InstructionClass::Privileged},          // mrs x0, esr_el1
                               {0xd53bd060, InstructionClass::BehaviourSensitive},  // mrs x0, tpidrro_el0
                               {0xd50b7420, InstructionClass::BehaviourSensitive},  // dc zva
                               {0xb8400823, InstructionClass::BehaviourSensitive},  // ldtr
                               {0xd503209f, InstructionClass::Innocuous},           // sev
                               {0x8b020020, InstructionClass::Innocuous}};          // add
    for (const Case& row : kCases) QCOMPARE(class_of(operation_of(row.word), row.word), row.expected);
  }

  void a_data_abort_describes_simple_loads_and_stores_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<quint32>("syndrome");
    for (const SyndromeCase& row : kSyndromes) QTest::newRow(row.text) << row.word << row.syndrome;
  }
  void a_data_abort_describes_simple_loads_and_stores() {
    QFETCH(quint32, word);
    QFETCH(quint32, syndrome);
    const auto made = load_store_syndrome(word);
    QCOMPARE(made.has_value(), syndrome != 0);
    QCOMPARE(made.value_or(0), syndrome);
  }

  void an_operand_has_an_address_and_an_alignment_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<quint64>("address");
    QTest::addColumn<quint32>("alignment");
    QTest::addColumn<bool>("write");
    for (const OperandCase& row : kOperands)
      QTest::newRow(row.text) << row.word << quint64{row.address} << row.alignment << row.write;
  }
  void an_operand_has_an_address_and_an_alignment() {
    QFETCH(quint32, word);
    QFETCH(quint64, address);
    QFETCH(quint32, alignment);
    QFETCH(bool, write);
    const auto read = [](unsigned index) -> std::uint64_t { return index == 1 ? 0x1000 : 0xfffffffe; };
    const auto operand = memory_operand(word, kHere, read);
    QCOMPARE(operand.has_value(), alignment != 0);
    if (!operand) return;
    QCOMPARE(operand->address, address);
    QCOMPARE(operand->alignment, alignment);
    QCOMPARE(operand->write, write);
  }
};

QTEST_APPLESS_MAIN(DecoderTest)
#include "decoder_test.moc"
