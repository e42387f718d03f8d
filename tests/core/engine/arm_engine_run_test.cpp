// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>
#include <algorithm>
#include <random>

#include "tests/core/engine/arm_engine_fixture.h"

using namespace shearling;
using namespace shearling::test;

namespace {

constexpr std::uint64_t kCodeAddress = ArmRig::kCodeFrame * kFrameBytes;
constexpr std::uint64_t kOtherFrame = ArmRig::kRamFrame + 0x60;

/// A guest that does a bit of everything and never ends: arithmetic, a loop, calls, stores and loads across pages and
/// across the parts of a page, vectors, floating point, flags, code on two pages.
void busy_guest(ArmRig& rig) {
  rig.client.map(ArmRig::kCode + 0x1000, ArmRig::kRamFrame + 0x55);
  rig.code({
      0xd2a00a01,  // 000 mov x1, #0x500000
      0x8b000c63,  // 004 add x3, x3, x0, lsl #3
      0xf9400424,  // 008 ldr x4, [x1, #8]
      0xca040000,  // 00c eor x0, x0, x4
      0xa8810c20,  // 010 stp x0, x3, [x1], #16
      0x913fb421,  // 014 add x1, x1, #0xfed
      0xf8003423,  // 018 str x3, [x1], #3
      0xf9400025,  // 01c ldr x5, [x1]
      0xf8402026,  // 020 ldur x6, [x1, #2]
      0xab050000,  // 024 adds x0, x0, x5
      0xd28000a2,  // 028 mov x2, #0x5
      0x9b021800,  // 02c madd x0, x0, x2, x6
      0xf1000442,  // 030 subs x2, x2, #0x1
      0x93c01c00,  // 034 ror x0, x0, #7
      0x54ffffa1,  // 038 b.ne 2c
      0x940003ed,  // 03c bl ff0
      0xd2a00a01,  // 040 mov x1, #0x500000
      0x3dc00420,  // 044 ldr q0, [x1, #16]
      0x4ea08421,  // 048 add v1.4s, v1.4s, v0.4s
      0x3d801021,  // 04c str q1, [x1, #64]
      0x9e620042,  // 050 scvtf d2, x2
      0x1e622863,  // 054 fadd d3, d3, d2
      0x6e63dc64,  // 058 fmul v4.2d, v3.2d, v3.2d
      0xad031021,  // 05c stp q1, q4, [x1, #96]
      0x4c406025,  // 060 ld1 {v5.16b-v7.16b}, [x1]
      0x910fd027,  // 064 add x7, x1, #0x3f4
      0x4c0060e5,  // 068 st1 {v5.16b-v7.16b}, [x7]
      0xa97fa4e8,  // 06c ldp x8, x9, [x7, #-8]
      0x9a89210a,  // 070 csel x10, x8, x9, cs
      0xd53b420b,  // 074 mrs x11, nzcv
      0x361ffc40,  // 078 tbz w0, #3, 0
      0x3862682c,  // 07c ldrb w12, [x1, x2]
      0x1100058c,  // 080 add w12, w12, #0x1
      0x3900802c,  // 084 strb w12, [x1, #32]
      0x17ffffde,  // 088 b 0
  });
  rig.put(ArmRig::kCode + 0xff0, {
                                     0xa9bf7bfd,  // ff0 stp x29, x30, [sp, #-16]!
                                     0x91000442,  // ff4 add x2, x2, #0x1
                                     0x8b020000,  // ff8 add x0, x0, x2
                                     0xd503201f,  // ffc nop
                                     0x8b020042,  // 1000 add x2, x2, x2
                                     0xd51b4200,  // 1004 msr nzcv, x0
                                     0xa8c17bfd,  // 1008 ldp x29, x30, [sp], #16
                                     0xd65f03c0,  // 100c ret
                                 });
  rig.set(0, 0x1234567);
}

struct Outcome {
  EngineState state;
  std::uint64_t digest = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(ArmRig& rig) { return {rig.engine->state(), rig.memory.digest()}; }

/// Instructions of registers alone: destination in bits 0 to 4, sources in 5 to 9 and 16 to 20.
constexpr std::array kRegisterForms{
    0x8b020000U,  // add x0, x0, x2
    0xab020003U,  // adds x3, x0, x2
    0x4b050083U,  // sub w3, w4, w5
    0x6b050083U,  // subs w3, w4, w5
    0x8a050083U,  // and x3, x4, x5
    0xaa051083U,  // orr x3, x4, x5, lsl #4
    0xca050083U,  // eor x3, x4, x5
    0xea050083U,  // ands x3, x4, x5
    0x8a250083U,  // bic x3, x4, x5
    0x8b254883U,  // add x3, x4, w5, uxtw #2
    0x9a050083U,  // adc x3, x4, x5
    0xfa050083U,  // sbcs x3, x4, x5
    0x9b051883U,  // madd x3, x4, x5, x6
    0x1b059883U,  // msub w3, w4, w5, w6
    0x9bc57c83U,  // umulh x3, x4, x5
    0x9b457c83U,  // smulh x3, x4, x5
    0x9b251883U,  // smaddl x3, w4, w5, x6
    0x9ac50883U,  // udiv x3, x4, x5
    0x1ac50c83U,  // sdiv w3, w4, w5
    0x9ac52083U,  // lsl x3, x4, x5
    0x1ac52c83U,  // ror w3, w4, w5
    0xdac01083U,  // clz x3, x4
    0x5ac00083U,  // rbit w3, w4
    0xdac00c83U,  // rev x3, x4
    0x5ac01483U,  // cls w3, w4
    0x9a85a083U,  // csel x3, x4, x5, ge
    0x9a856483U,  // csinc x3, x4, x5, vs
    0x5a858483U,  // csneg w3, w4, w5, hi
    0xfa451083U,  // ccmp x4, x5, #0x3, ne
    0x93c53483U,  // extr x3, x4, x5, #13
    0xd3434483U,  // ubfx x3, x4, #3, #15
    0x13034483U,  // sbfx w3, w4, #3, #15
    0xb3452483U,  // bfxil x3, x4, #5, #5
    0x9ac55c83U,  // crc32cx w3, w4, x5
    0x1e652883U,  // fadd d3, d4, d5
    0x1e250883U,  // fmul s3, s4, s5
    0x1e651883U,  // fdiv d3, d4, d5
    0x1e61c083U,  // fsqrt d3, d4
    0x1f451883U,  // fmadd d3, d4, d5, d6
    0x1e652080U,  // fcmp d4, d5
    0x9e780083U,  // fcvtzs x3, d4
    0x9e630083U,  // ucvtf d3, x4
    0x4e258483U,  // add v3.16b, v4.16b, v5.16b
    0x4e659c83U,  // mul v3.8h, v4.8h, v5.8h
    0x4e25d483U,  // fadd v3.4s, v4.4s, v5.4s
    0x4e050083U,  // tbl v3.16b, {v4.16b}, v5.16b
    0x4e183c83U,  // mov x3, v4.d[1]
    0x4e081c83U,  // mov v3.d[0], x4
    0x4e31b883U,  // addv b3, v4.16b
    0x4e284883U,  // aese v3.16b, v4.16b
    0x0e25e083U,  // pmull v3.8h, v4.8b, v5.8b
    0x4ea50c83U,  // sqadd v3.4s, v4.4s, v5.4s
    0x6e052883U,  // ext v3.16b, v4.16b, v5.16b, #5
};
/// Loads and stores through the pointer in bits 5 to 9; bits 10 to 14 are the second register of pairs.
constexpr std::array kMemoryForms{
    0xf9400083U,  // ldr x3, [x4]
    0xb9400083U,  // ldr w3, [x4]
    0xb9800083U,  // ldrsw x3, [x4]
    0x79c00083U,  // ldrsh w3, [x4]
    0x39400083U,  // ldrb w3, [x4]
    0xf9000083U,  // str x3, [x4]
    0xb9000083U,  // str w3, [x4]
    0x79000083U,  // strh w3, [x4]
    0x39000083U,  // strb w3, [x4]
    0xf8408c83U,  // ldr x3, [x4, #8]!
    0xf81f8483U,  // str x3, [x4], #-8
    0xa9401483U,  // ldp x3, x5, [x4]
    0xa9bf1483U,  // stp x3, x5, [x4, #-16]!
    0xa8c21483U,  // ldp x3, x5, [x4], #32
    0x69401483U,  // ldpsw x3, x5, [x4]
    0x3dc00083U,  // ldr q3, [x4]
    0x3d800083U,  // str q3, [x4]
    0xfc410483U,  // ldr d3, [x4], #16
    0xad001483U,  // stp q3, q5, [x4]
    0x6d401483U,  // ldp d3, d5, [x4]
    0xad401483U,  // ldp q3, q5, [x4]
    0x4c407083U,  // ld1 {v3.16b}, [x4]
    0x4c9f7883U,  // st1 {v3.4s}, [x4], #16
    0x0d400c83U,  // ld1 {v3.b}[3], [x4]
    0x4d008483U,  // st1 {v3.d}[1], [x4]
    0x4d40c883U,  // ld1r {v3.4s}, [x4]
};
constexpr unsigned kFirstPointer = 20, kPointers = 4;  // x20 to x23

/// Straight and branching code of innocuous instructions, ended by a stopper.
std::vector<std::uint32_t> random_code(std::mt19937& random) {
  const auto below = [&](std::size_t limit) { return static_cast<std::uint32_t>(random() % limit); };
  std::vector<std::uint32_t> code;
  while (code.size() < 150) {
    const std::uint32_t kind = below(16);
    if (kind == 0) {  // b.cond, over a few instructions
      code.push_back(0x54000000 | (1 + below(6)) << 5 | below(14));
    } else if (kind == 1) {  // add or sub of a pointer
      const std::uint32_t pointer = kFirstPointer + below(kPointers);
      code.push_back((below(2) == 0 ? 0x91000000 : 0xd1000000) | below(80) << 10 | pointer << 5 | pointer);
    } else if (kind < 8) {
      const std::uint32_t word = kMemoryForms[below(kMemoryForms.size())] & ~0x3ffU;
      const std::uint32_t first = below(16);
      const bool pair = (word & 0x3a000000) == 0x28000000;
      const std::uint32_t second = pair ? ((first + 1 + below(8)) % 16) << 10 : word & 0x7c00;
      code.push_back((word & ~0x7c00U) | second | (kFirstPointer + below(kPointers)) << 5 | first);
    } else {
      const std::uint32_t word = kRegisterForms[below(kRegisterForms.size())] & ~0x3ffU;
      code.push_back(word | below(32) << 5 | below(16));
    }
  }
  // Conditional compares keep flags where others have a destination, and comparisons of floating point an opcode.
  for (std::uint32_t& word : code) {
    if ((word & 0xffe0fc00) == 0xfa401000 || (word & 0xffe0fc00) == 0x1e602000) word &= ~0x10U;
    if ((word & 0xffe0fc00) == 0x1e602000) word &= ~0x1fU;
  }
  code.push_back(a64::kSvc);
  return code;
}

/// The same guest in several rigs: registers, pointers near the ends of pages, code across two pages.
EngineState random_state(std::mt19937& random) {
  EngineState state;
  state.mode = ExecutionMode::AArch64;
  for (std::uint64_t& value : state.integer) value = random() | std::uint64_t{random()} << 32;
  for (auto& value : state.vector) value = {random() | std::uint64_t{random()} << 32, random()};
  // Around the end of the first page of data, and one before the end of the second, behind which nothing is mapped.
  for (unsigned index = 0; index < kPointers; ++index) {
    const std::uint64_t end = ArmRig::kData + (index + 1 < kPointers ? 0x1000 : 0x1fa0);
    state.integer[kFirstPointer + index] = end - 64 + random() % 128;
  }
  state.flags = (random() % 16) << 28;
  state.program_counter = ArmRig::kCode + 0x1000 - 4 * (random() % 150);
  return state;
}

void put_guest(ArmRig& rig, const EngineState& state, const std::vector<std::uint32_t>& code) {
  rig.client.map(ArmRig::kCode + 0x1000, ArmRig::kCodeFrame + 1);
  std::uint64_t place = state.program_counter;
  for (const std::uint32_t word : code) {
    rig.put(place, {word});
    place += 4;
  }
  for (std::uint64_t at = 0; at < kFrameBytes; at += 8) {
    rig.memory.write({ArmRig::kDataFrame * kFrameBytes + at}, 8, 0x0123456789abcdef * (at + 1));
    rig.memory.write({ArmRig::kSecondDataFrame * kFrameBytes + at}, 8, 0xfedcba987654321 * (at + 1));
  }
  rig.engine->set_state(state);
}

/// An observed access as steps report it: in two where it crosses pages.
void add_parts(std::vector<Access>& parts, const Access& access) {
  const std::uint64_t here = std::min<std::uint64_t>(access.size, kFrameBytes - access.address % kFrameBytes);
  parts.push_back({access.address, access.kind, static_cast<unsigned>(here), 0});
  if (here == access.size) return;
  const std::uint64_t next = access.address / kFrameBytes == ArmRig::kDataFrame ? ArmRig::kSecondDataFrame : 0;
  parts.push_back({next * kFrameBytes, access.kind, static_cast<unsigned>(access.size - here), 0});
}

std::vector<Access> without_values(std::vector<Access> accesses) {
  for (Access& access : accesses) access.value = 0;
  return accesses;
}

}  // namespace

class ArmEngineRunTest : public QObject {
  Q_OBJECT
 private slots:
  void a_budget_is_used_exactly_and_equals_single_steps() {
    const std::uint32_t seed = 4711;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    ArmRig direct;
    ArmRig stepped;
    busy_guest(direct);
    busy_guest(stepped);
    for (unsigned round = 0; round < 300; ++round) {
      const std::uint64_t budget = random() % (round % 10 == 0 ? 2000 : 40);
      const EngineOutcome outcome = direct.engine->run(budget);
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(outcome.instructions, budget);
      for (std::uint64_t count = 0; count < budget; ++count) {
        QCOMPARE(stepped.engine->step_one().instructions, std::uint64_t{1});
      }
      QVERIFY2(outcome_of(direct) == outcome_of(stepped), qPrintable(QString("round %1").arg(round)));
      if (random() % 8 == 0) direct.engine->flush_translations();
      if (random() % 16 == 0) direct.engine->invalidate_all_code();
      if (random() % 8 == 0) std::ignore = direct.memory.snapshot();
      if (random() % 4 == 0) {  // The same registers, another way of executing.
        direct.engine->step_one();
        stepped.engine->step_one();
      }
    }
  }

  void a_run_asks_for_no_page_before_its_instruction_needs_it() {
    ArmRig stepped;
    busy_guest(stepped);
    std::vector<std::set<Fill>> asked(1);
    for (unsigned count = 0; count < 120; ++count) {
      stepped.engine->step_one();
      asked.push_back(asked.back());
      asked.back().insert(stepped.client.fills.begin(), stepped.client.fills.end());
    }
    for (unsigned budget = 0; budget <= 120; ++budget) {
      ArmRig direct;
      busy_guest(direct);
      direct.engine->run(budget);
      const std::set<Fill> fills(direct.client.fills.begin(), direct.client.fills.end());
      QVERIFY2(std::includes(asked[budget].begin(), asked[budget].end(), fills.begin(), fills.end()),
               qPrintable(QString("budget %1").arg(budget)));
    }
  }

  void a_run_stops_before_a_stopper_wherever_it_stands() {
    constexpr unsigned kLength = 24;
    for (unsigned position = 0; position < kLength; ++position) {
      ArmRig rig;
      std::vector<std::uint32_t> code(kLength, a64::kIncrement0);
      code[10] = a64::branch(1);  // So that it is the first, the last or in the middle of a block.
      code[position] = a64::kSvc;
      const std::uint64_t start = ArmRig::kCode + 0x400 - 64;  // Across two parts of the page.
      rig.put(start, code);
      for (unsigned round = 0; round < 2; ++round) {
        rig.jump(start);
        const EngineOutcome outcome = rig.engine->run(100);
        QCOMPARE(outcome.stop, EngineStop::Stopper);
        QCOMPARE(outcome.instructions, std::uint64_t{position});
        QCOMPARE(rig.pc(), start + 4 * std::uint64_t{position});
        QCOMPARE(rig.engine->run(100).instructions, std::uint64_t{0});
      }
      rig.jump(start);
      EngineOutcome outcome = rig.engine->run(position);  // The budget ends where the stopper stands.
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(rig.pc(), start + 4 * std::uint64_t{position});
      if (position == 0) continue;
      rig.jump(start);
      outcome = rig.engine->run(position - 1);
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(outcome.instructions, std::uint64_t{position - 1});
      QCOMPARE(rig.pc(), start + 4 * std::uint64_t{position - 1});
    }
  }

  void a_loop_is_cut_at_any_budget() {
    ArmRig rig;
    rig.code({a64::kIncrement0, 0xf1000442, 0x54ffffc1, a64::kSvc});  // add; subs x2, x2, #1; b.ne; svc
    for (std::uint64_t budget = 0; budget < 40; ++budget) {
      rig.jump(ArmRig::kCode);
      rig.set(0, 0);
      rig.set(2, 10);
      const EngineOutcome outcome = rig.engine->run(budget);
      QCOMPARE(outcome.instructions, std::min<std::uint64_t>(budget, 30));
      QCOMPARE(outcome.stop, budget <= 30 ? EngineStop::Completed : EngineStop::Stopper);
      QCOMPARE(rig.get(0), std::min<std::uint64_t>((budget + 2) / 3, 10));
    }
  }

  void a_block_is_planned_once() {
    ArmRig rig;
    rig.code({a64::kNop, a64::kIncrement0, a64::branch(-2)});
    rig.engine->run(3000);
    const unsigned plans = rig.client.plans;
    QVERIFY(plans <= 2);
    rig.engine->run(3000);
    rig.engine->flush_translations();
    rig.engine->run(3000);
    QCOMPARE(rig.client.plans, plans);
    QCOMPARE(rig.get(0), std::uint64_t{3000});
  }

  void a_refused_access_in_the_middle_of_a_block_is_exact() {
    ArmRig rig;
    rig.code({a64::kIncrement0, a64::kIncrement2, 0xf8408c20, a64::kIncrement3, a64::branch(0)});  // ldr x0, [x1, #8]!
    rig.set(1, 0x900118);
    EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
    QCOMPARE(outcome.refused_address.value, std::uint64_t{0x900120});
    QCOMPARE(outcome.refused_kind, AccessKind::Read);
    QCOMPARE(rig.pc(), ArmRig::kCode + 8);
    QCOMPARE(rig.get(0), std::uint64_t{1});
    QCOMPARE(rig.get(1), std::uint64_t{0x900118});
    QCOMPARE(rig.get(2), std::uint64_t{1});
    QCOMPARE(rig.get(3), std::uint64_t{0});
    rig.client.map(0x900000, kOtherFrame);
    rig.memory.write({kOtherFrame * kFrameBytes + 0x120}, 8, 42);
    rig.engine->flush_translations();
    outcome = rig.engine->run(2);
    QCOMPARE(outcome.stop, EngineStop::Completed);
    QCOMPARE(rig.get(0), std::uint64_t{42});
    QCOMPARE(rig.get(3), std::uint64_t{1});
  }

  void a_refused_store_is_asked_for_again_and_exact() {
    ArmRig rig;
    rig.code({a64::kLoad, a64::kIncrement0, a64::kStore, a64::kIncrement2, a64::branch(0)});
    rig.set(1, 0x900ffd);
    rig.client.map(0x900000, kOtherFrame);
    rig.client.map(0x901000, kOtherFrame + 1, false);
    EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
    QCOMPARE(outcome.refused_address.value, std::uint64_t{0x901000});
    QCOMPARE(outcome.refused_kind, AccessKind::Write);
    QCOMPARE(rig.load(0x900ff8, 8), std::uint64_t{0});
    rig.client.map(0x901000, kOtherFrame + 1);
    outcome = rig.engine->run(2);
    QCOMPARE(outcome.stop, EngineStop::Completed);
    QCOMPARE(rig.load(0x900ff8, 8), std::uint64_t{0x10000000000});
    QCOMPARE(rig.get(2), std::uint64_t{1});
  }

  void code_that_runs_into_a_refused_page_stops_exactly_there() {
    for (const std::uint64_t start : {std::uint64_t{0xff0}, std::uint64_t{0x800}, std::uint64_t{0xffc}}) {
      ArmRig rig;
      const std::uint64_t count = (0x1000 - start) / 4;
      rig.put(ArmRig::kCode + start, std::vector<std::uint32_t>(count, a64::kIncrement0));
      rig.jump(ArmRig::kCode + start);
      EngineOutcome outcome = rig.engine->run(10000);
      QCOMPARE(outcome.stop, EngineStop::FillRefused);
      QCOMPARE(outcome.instructions, count);
      QCOMPARE(outcome.refused_kind, AccessKind::Fetch);
      QCOMPARE(outcome.refused_address.value, ArmRig::kCode + 0x1000);
      QCOMPARE(rig.pc(), ArmRig::kCode + 0x1000);
      QCOMPARE(rig.get(0), count);
      // A budget that ends just there is used up before the page is needed.
      rig.jump(ArmRig::kCode + start);
      rig.client.fills.clear();
      outcome = rig.engine->run(count);
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(outcome.instructions, count);
      QCOMPARE(std::count(rig.client.fills.begin(), rig.client.fills.end(),
                          Fill{ArmRig::kCode / kFrameBytes + 1, AccessKind::Fetch}),
               std::ptrdiff_t{0});
      rig.client.map(ArmRig::kCode + 0x1000, kOtherFrame);
      rig.put(ArmRig::kCode + 0x1000, {a64::kIncrement0, a64::kSvc});
      outcome = rig.engine->run(100);
      QCOMPARE(outcome.stop, EngineStop::Stopper);
      QCOMPARE(outcome.instructions, std::uint64_t{1});
    }
  }

  void a_misaligned_program_counter_is_the_clients_to_stop() {
    ArmRig rig;
    rig.code({a64::kIncrement0, 0xd61f0020, a64::kIncrement2});  // br x1
    for (const std::uint64_t target : {ArmRig::kCode + 9, ArmRig::kCode + 0x3fe, ArmRig::kCode + 0xffe}) {
      rig.jump(ArmRig::kCode);
      rig.set(1, target);
      const EngineOutcome outcome = rig.engine->run(100);
      QCOMPARE(outcome.stop, EngineStop::Stopper);
      QCOMPARE(outcome.instructions, std::uint64_t{2});
      QCOMPARE(rig.pc(), target);
    }
  }

  void unknown_instructions_are_exact_each_time() {
    ArmRig rig;
    rig.client.stops = false;
    rig.code({a64::kNop, a64::kIncrement0, 0xf8200022, a64::kNop});  // ldadd x0, x2, [x1]: not of Armv8.0
    for (std::uint64_t round = 1; round < 4; ++round) {
      rig.jump(ArmRig::kCode);
      EngineOutcome outcome = rig.engine->run(100);
      QCOMPARE(outcome.stop, EngineStop::InvalidOpcode);
      QCOMPARE(outcome.instructions, std::uint64_t{2});
      QCOMPARE(rig.pc(), ArmRig::kCode + 8);
      QCOMPARE(rig.get(0), round);
      outcome = rig.engine->run(100);  // Now it is the first of its block.
      QCOMPARE(outcome.stop, EngineStop::InvalidOpcode);
      QCOMPARE(outcome.instructions, std::uint64_t{0});
      QCOMPARE(rig.pc(), ArmRig::kCode + 8);
    }
    rig.jump(ArmRig::kCode);
    QCOMPARE(rig.engine->run(2).stop, EngineStop::Completed);
  }

  void self_modifying_code_data() {
    QTest::addColumn<bool>("other_block");
    QTest::addColumn<quint64>("alias");
    QTest::addColumn<bool>("client_refuses");
    for (const bool refuses : {false, true}) {
      const char* suffix = refuses ? ", writes to code refused" : "";
      for (const bool other : {false, true}) {
        const char* block = other ? "next block" : "same block";
        QTest::addRow("%s%s", block, suffix) << other << quint64{ArmRig::kCode} << refuses;
        QTest::addRow("%s, alias%s", block, suffix) << other << quint64{0x800000} << refuses;
      }
    }
  }
  void self_modifying_code() {
    QFETCH(bool, other_block);
    QFETCH(quint64, alias);
    QFETCH(bool, client_refuses);
    ArmRig rig;
    rig.client.map(0x800000, ArmRig::kCodeFrame);
    rig.client.refuse_code_writes = client_refuses;
    // str w0, [x1]; a branch to the next instruction or nop; add x2, x2, #1, which becomes add x3, x3, #1; svc
    rig.code({a64::kStoreWord, other_block ? a64::branch(1) : a64::kNop, a64::kIncrement2, a64::kSvc});
    for (std::uint64_t round = 1; round < 4; ++round) {
      rig.memory.write({kCodeAddress + 8}, 4, a64::kIncrement2);
      rig.engine->invalidate_code({kCodeAddress});
      rig.set(0, a64::kIncrement3);
      rig.set(1, alias + 8);
      rig.jump(ArmRig::kCode);
      std::uint64_t instructions = 0;
      EngineOutcome outcome = rig.engine->run(100);
      instructions += outcome.instructions;
      while (outcome.stop == EngineStop::FillRefused) {  // The machine's part: step the store, then say so.
        QVERIFY(client_refuses);
        rig.client.refuse_code_writes = false;
        instructions += rig.engine->step_one().instructions;
        rig.client.refuse_code_writes = true;
        rig.engine->invalidate_code({kCodeAddress});
        outcome = rig.engine->run(100);
        instructions += outcome.instructions;
      }
      QCOMPARE(outcome.stop, EngineStop::Stopper);
      QCOMPARE(instructions, std::uint64_t{3});
      QCOMPARE(rig.get(2), std::uint64_t{0});
      QCOMPARE(rig.get(3), round);
    }
  }

  void code_may_write_a_stopper_ahead_of_itself() {
    ArmRig rig;
    rig.code({a64::kStoreWord, a64::kIncrement2, a64::kNop, a64::branch(0)});
    rig.set(0, a64::kSvc);
    rig.set(1, ArmRig::kCode + 8);
    const EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
    QCOMPARE(rig.pc(), ArmRig::kCode + 8);
  }

  void data_that_becomes_code_is_watched() {
    // The loop writes a routine into a data page, calls it, changes it and calls it again.
    ArmRig rig;
    // str w0, [x1]; str w4, [x1, #4]; blr x1; str w5, [x1]; blr x1; b back
    rig.code({a64::kStoreWord, 0xb9000424, 0xd63f0020, 0xb9000025, 0xd63f0020, a64::branch(-5)});
    rig.set(0, a64::kIncrement2);
    rig.set(4, a64::kReturn);
    rig.set(5, a64::kIncrement3);
    rig.set(1, ArmRig::kData + 0x800);
    for (std::uint64_t round = 1; round < 20; ++round) {
      QCOMPARE(rig.engine->run(10).instructions, std::uint64_t{10});
      QCOMPARE(rig.get(2), round);
      QCOMPARE(rig.get(3), round);
    }
  }

  void steps_and_runs_see_each_others_changes_to_code() {
    ArmRig rig;
    rig.code({a64::move0(1), a64::branch(-1)});
    rig.put(ArmRig::kCode + 0x900, {0xb9000022, a64::branch(0)});  // str w2, [x1]
    rig.set(1, ArmRig::kCode);
    const auto execute = [&](std::uint64_t place, bool by_step) {
      rig.jump(place);
      if (by_step)
        rig.engine->step_one();
      else
        rig.engine->run(1);
    };
    std::uint32_t next = 2;
    for (const unsigned how : {0U, 1U, 2U, 3U, 0U, 3U}) {
      for (const bool by_step : {false, true}) {
        execute(ArmRig::kCode, by_step);
        QCOMPARE(rig.get(0), std::uint64_t{next - 1});
      }
      QCOMPARE(rig.engine->run(10).instructions, std::uint64_t{10});
      rig.set(2, a64::move0(next));
      execute(ArmRig::kCode + 0x900, (how & 1) != 0);
      execute(ArmRig::kCode, (how & 2) != 0);
      QCOMPARE(rig.get(0), std::uint64_t{next});
      ++next;
    }
  }

  void the_same_page_on_another_frame_runs_the_other_code() {
    ArmRig rig;
    rig.code({a64::kIncrement0, a64::kNop, a64::branch(-2)});
    rig.client.map(0x800000, kOtherFrame);
    rig.put(0x800000, {a64::kIncrement2, a64::kNop, a64::kSvc});
    for (std::uint64_t round = 1; round < 4; ++round) {
      rig.client.map(ArmRig::kCode, ArmRig::kCodeFrame);
      rig.engine->flush_translations();
      rig.jump(ArmRig::kCode);
      EngineOutcome outcome = rig.engine->run(300);
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(rig.get(0), 100 * round);
      rig.client.map(ArmRig::kCode, kOtherFrame);
      rig.engine->flush_translations();
      rig.jump(ArmRig::kCode);
      outcome = rig.engine->run(300);
      QCOMPARE(outcome.stop, EngineStop::Stopper);
      QCOMPARE(outcome.instructions, std::uint64_t{2});
      QCOMPARE(rig.get(2), round);
      QCOMPARE(rig.get(0), 100 * round);
    }
  }

  void translations_flushed_within_a_fill_are_asked_for_again() {
    ArmRig rig;
    // add x0, x0, #1; blr x6, on another page; ldr x5, [x1]; blr x6; b back
    rig.code({a64::kIncrement0, 0xd63f00c0, 0xf9400025, 0xd63f00c0, a64::branch(-4)});
    rig.client.map(0x800000, kOtherFrame);
    rig.client.map(0x801000, kOtherFrame + 1);
    rig.put(0x800000, {a64::kIncrement2, a64::kReturn});
    rig.put(0x801000, {a64::kIncrement3, a64::kReturn});
    rig.set(6, 0x800000);
    rig.set(1, ArmRig::kData);
    rig.client.on_fill = [&](std::uint64_t page, AccessKind kind) {
      if (page != ArmRig::kData / kFrameBytes || kind != AccessKind::Read) return;
      rig.client.map(0x800000, kOtherFrame + 1);
      rig.engine->flush_translations();
    };
    const EngineOutcome outcome = rig.engine->run(9);  // Both calls, and back at the beginning.
    QCOMPARE(outcome.instructions, std::uint64_t{9});
    QCOMPARE(rig.pc(), ArmRig::kCode);
    QCOMPARE(rig.get(2), std::uint64_t{1});
    QCOMPARE(rig.get(3), std::uint64_t{1});
  }

  void plans_are_asked_for_again_when_they_are_forgotten() {
    ArmRig rig;
    rig.code({a64::kNop, a64::kIncrement2, a64::branch(-2)});
    QCOMPARE(rig.engine->run(30).stop, EngineStop::Completed);
    rig.client.stoppers.insert(a64::kIncrement2);
    rig.engine->forget_plans();
    const EngineOutcome outcome = rig.engine->run(30);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{1});
  }

  void two_virtual_pages_of_one_frame_are_coherent() {
    ArmRig rig;
    rig.client.map(0x800000, ArmRig::kDataFrame);
    // ldr x0, [x1]; add x0, x0, #1; str x0, [x1]; ldr x2, [x6]; add x2, x2, #1; str x2, [x6]; b back
    rig.code({a64::kLoad, a64::kIncrement0, a64::kStore, 0xf94000c2, a64::kIncrement2, 0xf90000c2, a64::branch(-6)});
    rig.set(1, ArmRig::kData + 0x740);
    rig.set(6, 0x800740);
    for (std::uint64_t round = 1; round < 5; ++round) {
      if (round % 2 == 0) {
        for (unsigned count = 0; count < 7; ++count) rig.engine->step_one();
      } else {
        rig.engine->run(7);
      }
      QCOMPARE(rig.get(2), 2 * round);
    }
  }

  void direct_stores_are_seen_by_digests_and_snapshots() {
    ArmRig rig;
    rig.code({a64::kIncrement0, a64::kStore, a64::branch(-2)});
    rig.set(1, ArmRig::kData);
    for (unsigned round = 1; round < 10; ++round) {
      rig.engine->run(3);
      if (round % 3 == 0) std::ignore = rig.memory.digest();
      if (round % 3 == 1) continue;
      QCOMPARE((*rig.memory.snapshot()->frame(ArmRig::kDataFrame - ArmRig::kRamFrame))[0],
               static_cast<std::uint8_t>(round));
    }
  }

  void restored_memory_and_state_replay_to_the_same_end() {
    ArmRig rig;
    busy_guest(rig);
    rig.engine->run(1000);
    const auto picture = rig.memory.snapshot();
    const EngineState state = rig.engine->state();
    rig.engine->run(5000);
    const Outcome end = outcome_of(rig);
    for (unsigned round = 0; round < 3; ++round) {
      for (const std::uint64_t frame : rig.memory.restore(picture)) rig.engine->invalidate_code({frame * kFrameBytes});
      rig.engine->set_state(state);
      rig.engine->flush_translations();
      QCOMPARE(rig.engine->run(5000).instructions, std::uint64_t{5000});
      QVERIFY(outcome_of(rig) == end);
    }
  }

  void devices_are_reached_in_direct_runs() {
    ArmRig rig;
    rig.code({a64::kLoadWord, 0xb9001020, a64::kSvc});  // ldr w0, [x1]; str w0, [x1, #16]
    rig.set(1, ArmRig::kLowDevice + 0x400);
    rig.client.device_value = 0x55;
    QCOMPARE(rig.engine->run(10).stop, EngineStop::Stopper);
    const std::uint64_t physical = ArmRig::kLowDeviceFrame * kFrameBytes + 0x400;
    QCOMPARE(rig.client.device,
             (std::vector<Access>{{physical, AccessKind::Read, 4, 0}, {physical + 16, AccessKind::Write, 4, 0x55}}));
  }

  void random_innocuous_code_runs_as_it_steps() {
    // Another sequence with each value of the variable.
    const std::uint32_t seed = qEnvironmentVariableIntValue("SHEARLING_TEST_SEED") + 20250701U;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    std::map<EngineStop, unsigned> stops;
    for (unsigned guest = 0; guest < 200; ++guest) {
      const std::vector<std::uint32_t> code = random_code(random);
      const EngineState state = random_state(random);
      ArmRig direct;
      ArmRig stepped;
      for (ArmRig* rig : {&direct, &stepped}) put_guest(*rig, state, code);
      const std::uint64_t budget = random() % 160;
      const EngineOutcome outcome = direct.engine->run(budget);
      ++stops[outcome.stop];
      for (std::uint64_t count = 0; count < outcome.instructions; ++count) {
        QCOMPARE(stepped.engine->step_one().stop, EngineStop::Completed);
      }
      if (outcome.stop != EngineStop::Completed && outcome.stop != EngineStop::Stopper) {
        const EngineOutcome last = stepped.engine->step_one();
        QCOMPARE(last.stop, outcome.stop);
        QCOMPARE(last.refused_address.value, outcome.refused_address.value);
        QCOMPARE(last.refused_kind, outcome.refused_kind);
      }
      QVERIFY2(outcome_of(direct) == outcome_of(stepped), qPrintable(QString("guest %1").arg(guest)));
    }
    for (const EngineStop stop : {EngineStop::Completed, EngineStop::Stopper, EngineStop::FillRefused}) {
      QVERIFY2(stops[stop] != 0, qPrintable(QString("no guest ended with stop %1").arg(int(stop))));
    }
    QVERIFY(stops[EngineStop::InvalidOpcode] == 0);
  }

  void an_observed_run_reports_what_steps_report() {
    const std::uint32_t seed = qEnvironmentVariableIntValue("SHEARLING_TEST_SEED") + 20250702U;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    std::size_t reported = 0;
    for (unsigned guest = 0; guest < 100; ++guest) {
      const std::vector<std::uint32_t> code = random_code(random);
      const EngineState state = random_state(random);
      ArmRig observed;
      ArmRig stepped;
      for (ArmRig* rig : {&observed, &stepped}) put_guest(*rig, state, code);
      observed.client.observing = true;
      const std::uint64_t budget = random() % 160;
      const EngineOutcome outcome = observed.engine->run_observed(budget);
      QVERIFY(outcome.stop == EngineStop::Completed || outcome.stop == EngineStop::Stopper ||
              outcome.stop == EngineStop::Unfinished);
      if (outcome.stop == EngineStop::Completed) QCOMPARE(outcome.instructions, budget);
      std::vector<std::uint64_t> begun;
      for (std::uint64_t count = 0; count < outcome.instructions; ++count) {
        begun.push_back(stepped.pc());
        QCOMPARE(stepped.engine->step_one().stop, EngineStop::Completed);
      }
      std::vector<Access> parts;
      for (const Access& access : observed.client.observed) add_parts(parts, access);
      if (outcome.stop == EngineStop::Unfinished) {
        begun.push_back(stepped.pc());
        QCOMPARE(stepped.pc(), observed.pc());
        QCOMPARE(stepped.engine->step_one().stop, EngineStop::FillRefused);
        // Of the instruction that did not complete both may have reported something.
        parts.resize(std::min(parts.size(), stepped.client.accesses.size()));
        stepped.client.accesses.resize(parts.size());
      }
      QCOMPARE(observed.client.begun, begun);
      QCOMPARE(parts, without_values(stepped.client.accesses));
      QVERIFY2(outcome_of(observed) == outcome_of(stepped), qPrintable(QString("guest %1").arg(guest)));
      reported += parts.size();
    }
    QVERIFY(reported > 1000);
  }

  void rubbish_is_survived() {
    const std::uint32_t seed = 99;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    for (unsigned guest = 0; guest < 100; ++guest) {
      ArmRig rig;
      rig.client.observing = true;
      for (std::uint64_t at = 0; at < kFrameBytes; at += 4) rig.memory.write({kCodeAddress + at}, 4, random());
      for (unsigned index = 0; index < 31; ++index) rig.set(index, ArmRig::kData + 0x800);
      for (unsigned attempt = 0; attempt < 20; ++attempt) {
        rig.jump(ArmRig::kCode + 4 * (random() % (kFrameBytes / 4)));
        QVERIFY(rig.engine->run(60).instructions <= 60);
        QVERIFY(rig.engine->step_one().instructions <= 1);
        QVERIFY(rig.engine->run_observed(60).instructions <= 60);
      }
      rig.code({a64::kNop, a64::branch(-1)});  // It still works.
      rig.engine->invalidate_code({kCodeAddress});
      rig.jump(ArmRig::kCode);
      const EngineOutcome outcome = rig.engine->run(100);
      QVERIFY2(outcome.stop == EngineStop::Completed && outcome.instructions == 100,
               qPrintable(QString("guest %1").arg(guest)));
      QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    }
  }
};

QTEST_APPLESS_MAIN(ArmEngineRunTest)
#include "arm_engine_run_test.moc"
