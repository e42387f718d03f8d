// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>
#include <random>

#include "tests/core/engine/engine_fixture.h"

using namespace shearling;
using namespace shearling::test;

namespace {

constexpr std::uint64_t kCodeAddress = Rig::kCodeFrame * kFrameBytes;

/// A guest that does a bit of everything and never ends: arithmetic, a loop, calls, a string copy, a store and a load
/// across pages, vector and x87 instructions, code on two pages with an instruction that straddles them.
void busy_guest(Rig& rig) {
  rig.client.map(Rig::kCode + 0x1000, 0x55);
  rig.code({
      0xbe, 0x00, 0x00, 0x50, 0x00,                    // 00 mov esi, 0x500000
      0xbf, 0x00, 0x03, 0x50, 0x00,                    // 05 mov edi, 0x500300
      0xb9, 0x07, 0x00, 0x00, 0x00,                    // 0a mov ecx, 7
      0x48, 0x01, 0xc8,                                // 0f add rax, rcx
      0xf3, 0xa4,                                      // 12 rep movsb
      0x48, 0x69, 0xd8, 0x35, 0x01, 0x00, 0x00,        // 14 imul rbx, rax, 309
      0x89, 0x1c, 0x25, 0x10, 0x00, 0x50, 0x00,        // 1b mov [0x500010], ebx
      0x48, 0x89, 0x1c, 0x25, 0xfd, 0x0f, 0x50, 0x00,  // 22 mov [0x500ffd], rbx
      0x48, 0x33, 0x04, 0x25, 0xff, 0x0f, 0x50, 0x00,  // 2a xor rax, [0x500fff]
      0xe8, 0xb9, 0x0f, 0x00, 0x00,                    // 32 call 0xff0
      0xb9, 0x05, 0x00, 0x00, 0x00,                    // 37 mov ecx, 5
      0x48, 0xff, 0xc0,                                // 3c inc rax
      0x48, 0xd1, 0xc0,                                // 3f rol rax, 1
      0xe2, 0xf8,                                      // 42 loop 3c
      0x0f, 0x10, 0x04, 0x25, 0x00, 0x00, 0x50, 0x00,  // 44 movups xmm0, [0x500000]
      0x66, 0x0f, 0xfe, 0xc8,                          // 4c paddd xmm1, xmm0
      0x0f, 0x11, 0x0c, 0x25, 0x40, 0x00, 0x50, 0x00,  // 50 movups [0x500040], xmm1
      0xd9, 0xe8,                                      // 58 fld1
      0xdf, 0x3c, 0x25, 0x80, 0x00, 0x50, 0x00,        // 5a fistp qword [0x500080]
      0x31, 0xc9,                                      // 61 xor ecx, ecx
      0xf3, 0x48, 0xab,                                // 63 rep stosq, nothing to do
      0xa8, 0x01,                                      // 66 test al, 1
      0x75, 0x96,                                      // 68 jnz 00
      0xff, 0x04, 0x25, 0x20, 0x00, 0x50, 0x00,        // 6a inc dword [0x500020]
      0xeb, 0x8d,                                      // 71 jmp 00
  });
  rig.put(Rig::kCode + 0xff0, {
                                  0x50,              // push rax
                                  0x48, 0xff, 0xc2,  // inc rdx
                                  0x48, 0x01, 0xd0,  // add rax, rdx
                                  0x48, 0x01, 0xd2,  // add rdx, rdx
                                  0x90, 0x90, 0x90, 0x49, 0xb8, 0x88, 0x77,
                                  0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  // mov r8, imm64 across the pages
                                  0x59,                                // pop rcx
                                  0xc3,                                // ret
                              });
  rig.set(kRax, 0x1234567);
}

struct Outcome {
  EngineState state;
  std::uint64_t digest = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(Rig& rig) { return {rig.engine->state(), rig.memory.digest()}; }

/// One whole instruction by steps.
void step_instruction(Rig& rig) {
  while (rig.engine->step_one().instructions == 0) {
  }
}

}  // namespace

class EngineRunTest : public QObject {
  Q_OBJECT
 private slots:
  void a_budget_is_used_exactly_and_equals_single_steps() {
    const std::uint32_t seed = 4711;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    Rig direct;
    Rig stepped;
    busy_guest(direct);
    busy_guest(stepped);
    for (unsigned round = 0; round < 300; ++round) {
      const std::uint64_t budget = random() % (round % 10 == 0 ? 2000 : 40);
      const EngineOutcome outcome = direct.engine->run(budget);
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(outcome.instructions, budget);
      for (std::uint64_t count = 0; count < budget; ++count) step_instruction(stepped);
      QVERIFY2(outcome_of(direct) == outcome_of(stepped), qPrintable(QString("round %1").arg(round)));
      if (random() % 8 == 0) direct.engine->flush_translations();
      if (random() % 16 == 0) direct.engine->invalidate_all_code();
      if (random() % 8 == 0) std::ignore = direct.memory.snapshot();
      if (random() % 4 == 0) {  // The same handle, other ways of executing.
        step_instruction(direct);
        step_instruction(stepped);
      }
    }
  }

  void a_run_asks_for_no_page_before_its_instruction_needs_it() {
    Rig stepped;
    busy_guest(stepped);
    std::vector<std::set<Fill>> asked(1);
    for (unsigned count = 0; count < 120; ++count) {
      step_instruction(stepped);
      asked.push_back(asked.back());
      asked.back().insert(stepped.client.fills.begin(), stepped.client.fills.end());
    }
    for (unsigned budget = 0; budget <= 120; ++budget) {
      Rig direct;
      busy_guest(direct);
      direct.engine->run(budget);
      // Direct runs may read what they have written or fetched without asking again.
      const std::set<Fill> fills(direct.client.fills.begin(), direct.client.fills.end());
      QVERIFY2(std::includes(asked[budget].begin(), asked[budget].end(), fills.begin(), fills.end()),
               qPrintable(QString("budget %1").arg(budget)));
    }
  }

  void a_run_stops_before_stoppers_and_counts_up_to_them() {
    Rig rig;
    rig.code({0x90, 0x90, 0x0f, 0xa2, 0x90, 0xf4, 0xf4, 0x90, 0xeb, 0xfd});  // nop; nop; cpuid; nop; hlt; hlt; nop; jmp
    EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
    QCOMPARE(rig.pc(), Rig::kCode + 2);
    QCOMPARE(rig.engine->run(100).instructions, std::uint64_t{0});
    rig.jump(Rig::kCode + 4);
    outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{1});
    QCOMPARE(rig.pc(), Rig::kCode + 5);
    rig.jump(Rig::kCode);
    outcome = rig.engine->run(2);  // The budget ends where the stopper stands.
    QCOMPARE(outcome.stop, EngineStop::Completed);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
    rig.jump(Rig::kCode);
    outcome = rig.engine->run(1);
    QCOMPARE(outcome.stop, EngineStop::Completed);
    QCOMPARE(rig.pc(), Rig::kCode + 1);
  }

  void a_block_is_planned_once() {
    Rig rig;
    rig.code({0x90, 0x48, 0xff, 0xc0, 0xeb, 0xfa});
    rig.engine->run(3000);
    const unsigned plans = rig.client.plans;
    QVERIFY(plans <= 2);
    rig.engine->run(3000);
    rig.engine->flush_translations();
    rig.engine->run(3000);
    QCOMPARE(rig.client.plans, plans);
    QCOMPARE(rig.get(kRax), std::uint64_t{3000});
  }

  void a_refused_access_in_the_middle_of_a_block_is_exact() {
    Rig rig;
    rig.code({0x48, 0xff, 0xc0, 0x48, 0xff, 0xc1, 0x48, 0x89, 0x03, 0x48, 0xff, 0xc2, 0xeb, 0xfe});
    rig.set(kRbx, 0x900120);
    rig.client.map(0x900000, 0x77, false);
    EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
    QCOMPARE(outcome.refused_address.value, std::uint64_t{0x900120});
    QCOMPARE(outcome.refused_kind, AccessKind::Write);
    QCOMPARE(rig.pc(), Rig::kCode + 6);
    QCOMPARE(rig.get(kRax), std::uint64_t{1});
    QCOMPARE(rig.get(kRcx), std::uint64_t{1});
    QCOMPARE(rig.get(kRdx), std::uint64_t{0});
    QCOMPARE(rig.load(0x900120, 8), std::uint64_t{0});
    rig.client.map(0x900000, 0x77);
    rig.engine->flush_translations();
    outcome = rig.engine->run(2);
    QCOMPARE(outcome.stop, EngineStop::Completed);
    QCOMPARE(rig.load(0x900120, 8), std::uint64_t{1});
    QCOMPARE(rig.get(kRdx), std::uint64_t{1});
  }

  void a_repeated_instruction_counts_once_even_when_it_is_interrupted() {
    Rig rig;
    rig.code({0x90, 0xf3, 0xaa, 0x90, 0xeb, 0xfe});  // nop; rep stosb; nop; jmp to itself
    rig.client.unmap(Rig::kData + 0x1000);
    rig.set(kRdi, Rig::kData + 0xff0);
    rig.set(kRcx, 0x20);
    EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.instructions, std::uint64_t{1});
    QCOMPARE(rig.get(kRcx), std::uint64_t{0x10});
    QCOMPARE(rig.pc(), Rig::kCode + 1);
    QCOMPARE(outcome.refused_address.value, Rig::kData + 0x1000);
    rig.client.map(Rig::kData + 0x1000, 0x31);
    outcome = rig.engine->run(1);
    QCOMPARE(outcome.stop, EngineStop::Completed);
    QCOMPARE(rig.get(kRcx), std::uint64_t{0});
    QCOMPARE(rig.pc(), Rig::kCode + 3);
    outcome = rig.engine->run(5);
    QCOMPARE(outcome.instructions, std::uint64_t{5});
    QCOMPARE(rig.pc(), Rig::kCode + 4);
  }

  void code_that_runs_into_a_refused_page_stops_exactly_there() {
    for (const std::uint64_t start :
         {std::uint64_t{0xff0}, std::uint64_t{0xf00}, std::uint64_t{0xffe}, std::uint64_t{0xfff}}) {
      Rig rig;
      for (std::uint64_t at = start; at < 0x1000; ++at) rig.put(Rig::kCode + at, {0x90});
      rig.jump(Rig::kCode + start);
      EngineOutcome outcome = rig.engine->run(10000);
      QCOMPARE(outcome.stop, EngineStop::FillRefused);
      QCOMPARE(outcome.instructions, 0x1000 - start);
      QCOMPARE(outcome.refused_kind, AccessKind::Fetch);
      QCOMPARE(outcome.refused_address.value, Rig::kCode + 0x1000);
      QCOMPARE(rig.pc(), Rig::kCode + 0x1000);
      // A budget that ends just there is used up before the page is needed.
      rig.jump(Rig::kCode + start);
      rig.client.fills.clear();
      outcome = rig.engine->run(0x1000 - start);
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(outcome.instructions, 0x1000 - start);
      QCOMPARE(std::count(rig.client.fills.begin(), rig.client.fills.end(),
                          Fill{Rig::kCode / kFrameBytes + 1, AccessKind::Fetch}),
               std::ptrdiff_t{0});
      rig.client.map(Rig::kCode + 0x1000, 0x66);
      rig.put(Rig::kCode + 0x1000, {0x48, 0xff, 0xc0, 0xf4});
      outcome = rig.engine->run(100);
      QCOMPARE(outcome.stop, EngineStop::Stopper);
      QCOMPARE(outcome.instructions, std::uint64_t{1});
    }
  }

  void an_instruction_that_straddles_into_a_refused_page_names_that_page() {
    Rig rig;
    rig.put(Rig::kCode + 0xffc, {0x90, 0x90, 0x48, 0xb8});
    rig.jump(Rig::kCode + 0xffc);
    const EngineOutcome outcome = rig.engine->run(50);
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
    QCOMPARE(rig.pc(), Rig::kCode + 0xffe);
    QCOMPARE(outcome.refused_address.value, Rig::kCode + 0x1000);
  }

  void a_stopper_just_before_a_refused_page_is_found() {
    Rig rig;
    rig.put(Rig::kCode + 0xffc, {0x90, 0x90, 0x90, 0xf4});
    rig.jump(Rig::kCode + 0xffc);
    EngineOutcome outcome = rig.engine->run(50);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{3});
    rig.put(Rig::kCode + 0xffc, {0x90, 0x90, 0x0f, 0xa2});
    rig.engine->invalidate_code({kCodeAddress});
    rig.jump(Rig::kCode + 0xffc);
    outcome = rig.engine->run(50);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{2});
  }

  void native_exceptions_are_exact_each_time() {
    Rig rig;
    rig.code({0x48, 0xff, 0xc6, 0x48, 0xff, 0xc7, 0x48, 0xf7, 0xf1, 0x90, 0xeb, 0xfe});  // inc rsi; inc rdi; div rcx
    for (unsigned round = 1; round < 5; ++round) {
      rig.jump(Rig::kCode);
      const EngineOutcome outcome = rig.engine->run(100);
      QCOMPARE(outcome.stop, EngineStop::NativeException);
      QCOMPARE(outcome.exception, 0U);
      QCOMPARE(outcome.instructions, std::uint64_t{2});
      QCOMPARE(rig.pc(), Rig::kCode + 6);
      QCOMPARE(rig.get(kRdi), std::uint64_t{round});
    }
    rig.set(kRcx, 1);
    rig.set(kRdx, 0);
    rig.jump(Rig::kCode);
    QCOMPARE(rig.engine->run(10).stop, EngineStop::Completed);
  }

  void unknown_instructions_are_exact_each_time() {
    Rig rig;
    rig.client.stoppers.erase(X86_INS_UD2);
    rig.code({0x90, 0x90, 0x0f, 0x0b, 0x90});
    for (unsigned round = 0; round < 3; ++round) {
      rig.jump(Rig::kCode);
      EngineOutcome outcome = rig.engine->run(100);
      QCOMPARE(outcome.stop, EngineStop::InvalidOpcode);
      QCOMPARE(outcome.instructions, std::uint64_t{2});
      QCOMPARE(rig.pc(), Rig::kCode + 2);
      outcome = rig.engine->run(100);  // Now it is the first of its block.
      QCOMPARE(outcome.stop, EngineStop::InvalidOpcode);
      QCOMPARE(outcome.instructions, std::uint64_t{0});
      QCOMPARE(rig.pc(), Rig::kCode + 2);
    }
    rig.code({0x90, 0xff, 0xff});  // What the client cannot decode is a stopper.
    rig.engine->invalidate_code({kCodeAddress});
    rig.jump(Rig::kCode);
    for (const std::uint64_t expected : {std::uint64_t{1}, std::uint64_t{0}}) {
      const EngineOutcome outcome = rig.engine->run(100);
      QCOMPARE(outcome.stop, EngineStop::Stopper);
      QCOMPARE(outcome.instructions, expected);
      QCOMPARE(rig.pc(), Rig::kCode + 1);
    }
  }

  void self_modifying_code_data() {
    QTest::addColumn<QByteArray>("code");
    QTest::addColumn<quint64>("alias");
    QTest::addColumn<bool>("client_refuses");
    // mov byte [rbx + 5], 0xc3; inc eax (becomes inc ebx); hlt
    const QByteArray same_block("\xc6\x43\x05\xc3\xff\xc0\xf4", 7);
    // mov byte [rbx + 7], 0xc3; jmp to the next instruction; inc eax (becomes inc ebx); hlt
    const QByteArray next_block("\xc6\x43\x07\xc3\xeb\x00\xff\xc0\xf4", 9);
    for (const bool refuses : {false, true}) {
      const char* suffix = refuses ? ", writes to code refused" : "";
      QTest::addRow("same block%s", suffix) << same_block << quint64{Rig::kCode} << refuses;
      QTest::addRow("same block, alias%s", suffix) << same_block << quint64{0x800000} << refuses;
      QTest::addRow("next block%s", suffix) << next_block << quint64{Rig::kCode} << refuses;
      QTest::addRow("next block, alias%s", suffix) << next_block << quint64{0x800000} << refuses;
    }
  }
  void self_modifying_code() {
    QFETCH(QByteArray, code);
    QFETCH(quint64, alias);
    QFETCH(bool, client_refuses);
    Rig rig;
    rig.client.map(0x800000, Rig::kCodeFrame);
    rig.client.refuse_code_writes = client_refuses;
    rig.memory.write_bytes({kCodeAddress},
                           {reinterpret_cast<const std::uint8_t*>(code.data()), static_cast<std::size_t>(code.size())});
    const std::uint64_t patch = static_cast<std::uint64_t>(code.indexOf("\xff\xc0")) + 1;
    for (unsigned round = 0; round < 3; ++round) {
      rig.memory.write({kCodeAddress + patch}, 1, 0xc0);
      rig.engine->invalidate_code({kCodeAddress});
      rig.set(kRax, 0);
      rig.set(kRbx, alias);
      rig.jump(Rig::kCode);
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
      QCOMPARE(instructions, std::uint64_t{code.size() == 7 ? 2U : 3U});
      QCOMPARE(rig.get(kRax), std::uint64_t{0});
      QCOMPARE(rig.get(kRbx), std::uint64_t{alias + 1});
    }
  }

  void code_may_write_a_stopper_ahead_of_itself() {
    Rig rig;
    rig.code({0xc6, 0x43, 0x06, 0xf4, 0x90, 0x90, 0x90, 0x90, 0xeb, 0xfe});  // mov byte [rbx + 6], hlt; nops
    rig.set(kRbx, Rig::kCode);
    const EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{3});
    QCOMPARE(rig.pc(), Rig::kCode + 6);
  }

  void data_that_becomes_code_is_watched() {
    // The loop writes a routine into a data page, calls it, changes it and calls it again.
    Rig rig;
    rig.code({0xc7, 0x03, 0xff, 0xc0, 0xc3, 0x90,  // mov dword [rbx], inc eax; ret
              0xff, 0xd3,                          // call rbx
              0xc6, 0x43, 0x01, 0xc1,              // mov byte [rbx + 1], 0xc1: inc ecx
              0xff, 0xd3,                          // call rbx
              0xeb, 0xf0});
    rig.set(kRbx, Rig::kData);
    for (unsigned round = 1; round < 20; ++round) {
      const EngineOutcome outcome = rig.engine->run(9);
      QCOMPARE(outcome.instructions, std::uint64_t{9});
      QCOMPARE(rig.get(kRax), std::uint64_t{round});
      QCOMPARE(rig.get(kRcx), std::uint64_t{round});
    }
  }

  void steps_and_runs_see_each_others_changes_to_code() {
    Rig rig;
    rig.code({0xb8, 1, 0, 0, 0, 0xeb, 0xf9});                  // mov eax, 1; jmp back
    rig.put(Rig::kCode + 0x100, {0xc6, 0x03, 5, 0xeb, 0xfe});  // mov byte [rbx], 5
    rig.set(kRbx, Rig::kCode + 1);
    const auto value = [&](bool by_step) {
      rig.jump(Rig::kCode);
      if (by_step)
        rig.engine->step_one();
      else
        rig.engine->run(1);
      return rig.get(kRax);
    };
    const auto change = [&](int to, bool by_step) {
      rig.put(Rig::kCode + 0x102, {to});
      rig.engine->invalidate_code({kCodeAddress});
      rig.jump(Rig::kCode + 0x100);
      if (by_step)
        rig.engine->step_one();
      else
        rig.engine->run(1);
    };
    int next = 2;
    for (const unsigned how : {0U, 1U, 2U, 3U, 0U, 3U}) {
      QCOMPARE(value(false), static_cast<std::uint64_t>(next - 1));
      QCOMPARE(value(true), static_cast<std::uint64_t>(next - 1));
      QCOMPARE(rig.engine->run(10).instructions, std::uint64_t{10});
      change(next, (how & 1) != 0);
      QCOMPARE(value((how & 2) != 0), static_cast<std::uint64_t>(next));
      ++next;
    }
  }

  void the_same_page_on_another_frame_runs_the_other_code() {
    Rig rig;
    constexpr std::uint64_t kOther = 0x60;
    rig.code({0x48, 0xff, 0xc0, 0x90, 0xeb, 0xfa});  // inc rax; nop; jmp back
    const std::array<std::uint8_t, 8> other{0x48, 0xff, 0xc1, 0x90,
                                            0x0f, 0xa2, 0xeb, 0xf8};  // inc rcx; nop; cpuid; jmp
    rig.memory.write_bytes({kOther * kFrameBytes}, other);
    for (unsigned round = 1; round < 4; ++round) {
      rig.client.map(Rig::kCode, Rig::kCodeFrame);
      rig.engine->flush_translations();
      rig.jump(Rig::kCode);
      EngineOutcome outcome = rig.engine->run(300);
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(rig.get(kRax), std::uint64_t{100 * round});
      rig.client.map(Rig::kCode, kOther);
      rig.engine->flush_translations();
      rig.jump(Rig::kCode);
      outcome = rig.engine->run(300);
      QCOMPARE(outcome.stop, EngineStop::Stopper);
      QCOMPARE(outcome.instructions, std::uint64_t{2});
      QCOMPARE(rig.get(kRcx), std::uint64_t{round});
      QCOMPARE(rig.get(kRax), std::uint64_t{100 * round});
    }
  }

  void blocks_that_cross_pages_follow_a_remapped_second_page() {
    Rig rig;
    rig.put(Rig::kCode + 0xffd, {0x90, 0x48, 0xff});  // nop; inc r? whose last byte lies in the next page
    const auto run_with = [&](std::uint64_t frame) {
      rig.client.map(Rig::kCode + 0x1000, frame);
      rig.engine->flush_translations();
      rig.jump(Rig::kCode + 0xffd);
      return rig.engine->run(100);
    };
    rig.memory.write({0x60 * kFrameBytes}, 2, 0xf4c0);      // inc rax; hlt
    rig.memory.write({0x61 * kFrameBytes}, 4, 0xf49090c1);  // inc rcx; nop; nop; hlt
    for (unsigned round = 1; round < 4; ++round) {
      QCOMPARE(run_with(0x60).instructions, std::uint64_t{2});
      QCOMPARE(run_with(0x61).instructions, std::uint64_t{4});
      QCOMPARE(rig.get(kRax), std::uint64_t{round});
      QCOMPARE(rig.get(kRcx), std::uint64_t{round});
    }
  }

  void translations_flushed_within_a_fill_are_asked_for_again() {
    Rig rig;
    rig.code({0x48, 0xff, 0xc1,  // inc rcx
              0xff, 0xd6,        // call rsi, on another page
              0x8b, 0x03,        // mov eax, [rbx]
              0xff, 0xd6,        // call rsi
              0xeb, 0xf5});
    rig.client.map(0x800000, 0x60);
    rig.put(0x800000, {0x48, 0xff, 0xc2, 0xc3});            // inc rdx; ret
    rig.memory.write({0x61 * kFrameBytes}, 4, 0xc3c7ff48);  // inc rdi; ret
    rig.set(kRsi, 0x800000);
    rig.set(kRbx, Rig::kData);
    rig.set(kRdi, 0);
    rig.client.on_fill = [&](std::uint64_t page, AccessKind kind) {
      if (page != Rig::kData / kFrameBytes || kind != AccessKind::Read) return;
      rig.client.map(0x800000, 0x61);
      rig.engine->flush_translations();
    };
    const EngineOutcome outcome = rig.engine->run(9);  // Both calls, and back at the beginning.
    QCOMPARE(outcome.instructions, std::uint64_t{9});
    QCOMPARE(rig.pc(), Rig::kCode);
    QCOMPARE(rig.get(kRdx), std::uint64_t{1});
    QCOMPARE(rig.get(kRdi), std::uint64_t{1});
  }

  void plans_are_asked_for_again_when_they_are_forgotten() {
    Rig rig;
    rig.code({0x90, 0x0f, 0x31, 0xeb, 0xfb});  // nop; rdtsc; jmp back
    rig.client.stoppers.erase(X86_INS_RDTSC);
    QCOMPARE(rig.engine->run(30).stop, EngineStop::Completed);
    rig.client.stoppers.insert(X86_INS_RDTSC);
    rig.engine->forget_plans();
    const EngineOutcome outcome = rig.engine->run(30);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{1});
  }

  void two_virtual_pages_of_one_frame_are_coherent() {
    Rig rig;
    rig.client.map(0x800000, Rig::kDataFrame);
    rig.code({0x48, 0xff, 0x03,  // inc qword [rbx]
              0x48, 0x8b, 0x06,  // mov rax, [rsi]
              0x48, 0xff, 0xc0,  // inc rax
              0x48, 0x89, 0x06,  // mov [rsi], rax
              0x48, 0x8b, 0x0b,  // mov rcx, [rbx]
              0xeb, 0xef});
    rig.set(kRbx, Rig::kData + 0x40);
    rig.set(kRsi, 0x800040);
    for (unsigned round = 1; round < 5; ++round) {
      if (round % 2 == 0) {
        for (unsigned count = 0; count < 6; ++count) rig.engine->step_one();
      } else {
        rig.engine->run(6);
      }
      QCOMPARE(rig.get(kRcx), std::uint64_t{2 * round});
    }
  }

  void direct_stores_are_seen_by_digests_and_snapshots() {
    Rig rig;
    rig.code({0xfe, 0x03, 0xeb, 0xfc});
    rig.set(kRbx, Rig::kData);
    for (unsigned round = 1; round < 10; ++round) {
      rig.engine->run(2);
      if (round % 3 == 0) std::ignore = rig.memory.digest();
      if (round % 3 == 1) continue;
      QCOMPARE((*rig.memory.snapshot()->frame(Rig::kDataFrame))[0], static_cast<std::uint8_t>(round));
    }
  }

  void restored_memory_and_state_replay_to_the_same_end() {
    Rig rig;
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
    Rig rig;
    rig.code({0x8b, 0x03, 0x89, 0x43, 0x10, 0xf4});
    rig.set(kRbx, Rig::kDevice);
    rig.client.device_value = 0x55;
    const EngineOutcome outcome = rig.engine->run(10);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(rig.client.device,
             (std::vector<Access>{{0xfee00000, AccessKind::Read, 4, 0}, {0xfee00010, AccessKind::Write, 4, 0x55}}));
  }

  void protected_mode_runs_wrap_and_count() {
    Rig rig(ExecutionMode::X86Protected32);
    rig.code({0x40, 0x41, 0xe2, 0xfd, 0xff, 0xe3});  // inc eax; inc ecx; loop to inc ecx; jmp ebx
    rig.set(kRbx, 0xfffffffe);
    rig.set(kRcx, 5);
    QCOMPARE(rig.engine->run(100).instructions, std::uint64_t{100});
    rig.jump(Rig::kCode + 4);
    rig.client.map(0xfffff000, 0x70);
    rig.client.map(0, 0x71);
    rig.put(0xfffffffe, {0x90, 0x42});  // nop; inc edx; then address 0
    rig.put(0, {0x42, 0xf4});           // inc edx; hlt
    const EngineOutcome outcome = rig.engine->run(100);
    QCOMPARE(outcome.stop, EngineStop::Stopper);
    QCOMPARE(outcome.instructions, std::uint64_t{4});
    QCOMPARE(rig.pc(), std::uint64_t{1});
    QCOMPARE(rig.get(kRdx), std::uint64_t{2});
  }

  void random_innocuous_code_runs_as_it_steps() {
    // Another sequence with each value of the variable.
    const std::uint32_t seed = qEnvironmentVariableIntValue("SHEARLING_TEST_SEED") + 20250101U;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    std::map<EngineStop, unsigned> stops;
    for (unsigned guest = 0; guest < 200; ++guest) {
      const ExecutionMode mode = guest % 3 == 0 ? ExecutionMode::X86Protected32 : ExecutionMode::X86Long64;
      const std::vector<std::uint8_t> bytes = random_code(random, mode);
      EngineState state = Rig(mode).engine->state();
      const bool wide = mode == ExecutionMode::X86Long64;
      for (unsigned index = 0; index < (wide ? 16U : 8U); ++index) state.integer[index] = random();
      for (const unsigned index : {kRbx, kRsi, kRdi}) state.integer[index] = Rig::kData + 0x700 + random() % 0x1000;
      for (std::uint64_t index = 0; index < (wide ? 16U : 8U); ++index) state.vector[index] = {random(), random()};
      // Somewhere on the two code pages, so that blocks and instructions cross.
      state.program_counter = Rig::kCode + 0x1000 - random() % 600;
      Rig direct(mode);
      Rig stepped(mode);
      for (Rig* rig : {&direct, &stepped}) {
        rig->client.map(Rig::kCode + 0x1000, Rig::kCodeFrame + 1);
        rig->memory.write_bytes({kCodeAddress + state.program_counter - Rig::kCode}, bytes);
        rig->engine->set_state(state);
      }
      const std::uint64_t budget = random() % 120;
      EngineOutcome outcome = direct.engine->run(budget);
      ++stops[outcome.stop];
      for (std::uint64_t count = 0; count < outcome.instructions; ++count) step_instruction(stepped);
      if (outcome.stop != EngineStop::Completed && outcome.stop != EngineStop::Stopper) {
        EngineOutcome last = stepped.engine->step_one();
        while (last.stop == EngineStop::Completed)
          last = stepped.engine->step_one();  // Iterations before the refused one.
        QCOMPARE(last.stop, outcome.stop);
        QCOMPARE(last.exception, outcome.exception);
        QCOMPARE(last.refused_address.value, outcome.refused_address.value);
        QCOMPARE(last.refused_kind, outcome.refused_kind);
      }
      QVERIFY2(outcome_of(direct) == outcome_of(stepped), qPrintable(QString("guest %1").arg(guest)));
    }
    for (const EngineStop stop : {EngineStop::Completed, EngineStop::Stopper, EngineStop::FillRefused}) {
      QVERIFY2(stops[stop] != 0, qPrintable(QString("no guest ended with stop %1").arg(int(stop))));
    }
  }

  void rubbish_is_survived() {
    const std::uint32_t seed = 99;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    for (unsigned guest = 0; guest < 200; ++guest) {
      Rig rig(guest % 2 == 0 ? ExecutionMode::X86Long64 : ExecutionMode::X86Protected32);
      std::vector<std::uint8_t> bytes(kFrameBytes);
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
      rig.memory.write_bytes({kCodeAddress}, bytes);
      if (guest % 3 == 0) rig.client.stoppers.clear();  // Even what should never reach the engine must not break it.
      for (const unsigned index : {kRbx, kRsi, kRdi, kRbp}) rig.set(index, Rig::kData + 0x800);
      for (unsigned attempt = 0; attempt < 10; ++attempt) {
        rig.jump(Rig::kCode + random() % kFrameBytes);
        QVERIFY(rig.engine->run(60).instructions <= 60);
        QVERIFY(rig.engine->step_one().instructions <= 1);
      }
      rig.code({0x90, 0xeb, 0xfd});  // It still works.
      rig.engine->invalidate_code({kCodeAddress});
      rig.client.map(Rig::kCode, Rig::kCodeFrame);
      rig.jump(Rig::kCode);
      const EngineOutcome outcome = rig.engine->run(100);
      QVERIFY2(outcome.stop == EngineStop::Completed && outcome.instructions == 100,
               qPrintable(QString("guest %1").arg(guest)));
    }
  }

 private:
  /// Straight and branching code of instructions that any engine must execute alike, ended by HLT.
  static std::vector<std::uint8_t> random_code(std::mt19937& random, ExecutionMode mode) {
    struct Form {
      std::vector<std::uint8_t> opcode;
      bool immediate8 = false;
    };
    static const std::vector<Form> kForms{{{0x01}},
                                          {{0x03}},
                                          {{0x11}},
                                          {{0x13}},
                                          {{0x1b}},
                                          {{0x21}},
                                          {{0x29}},
                                          {{0x2b}},
                                          {{0x31}},
                                          {{0x39}},
                                          {{0x85}},
                                          {{0x87}},
                                          {{0x89}},
                                          {{0x8b}},
                                          {{0x88}},
                                          {{0x8a}},
                                          {{0x83}, true},
                                          {{0xc1}, true},
                                          {{0xd1}},
                                          {{0xd3}},
                                          {{0xf7}},
                                          {{0xfe}},
                                          {{0x0f, 0xaf}},
                                          {{0x0f, 0x44}},
                                          {{0x0f, 0x4c}},
                                          {{0x0f, 0x92}},
                                          {{0x0f, 0xb6}},
                                          {{0x0f, 0xbf}},
                                          {{0x0f, 0xbc}},
                                          {{0x0f, 0xa3}},
                                          {{0x0f, 0xab}},
                                          {{0x0f, 0xc1}},
                                          {{0x0f, 0xb1}},
                                          {{0x0f, 0x10}},
                                          {{0x0f, 0x11}},
                                          {{0x0f, 0x58}},
                                          {{0x0f, 0x59}},
                                          {{0x0f, 0x57}},
                                          {{0x66, 0x0f, 0xfe}},
                                          {{0xf3, 0x0f, 0x2a}},
                                          {{0xf2, 0x0f, 0x5e}},
                                          {{0xf3, 0x0f, 0xb8}},
                                          {{0x0f, 0x2e}},
                                          {{0x0f, 0xa4}, true},
                                          {{0x0f, 0xa5}},
                                          {{0x0f, 0xad}},
                                          {{0x0f, 0xc7}},
                                          {{0x6b}, true},
                                          {{0x8d}},
                                          {{0x0f, 0xc6}, true},
                                          {{0x66, 0x0f, 0x38, 0x00}},
                                          {{0x0f, 0xba}, true},
                                          {{0xff}},
                                          {{0x0f, 0xae}},
                                          {{0x66, 0x03}},
                                          {{0x8f}},
                                          {{0xd8}},
                                          {{0xd9}},
                                          {{0xda}},
                                          {{0xdb}},
                                          {{0xdc}},
                                          {{0xdd}},
                                          {{0xde}},
                                          {{0xdf}}};
    std::vector<std::uint8_t> code;
    const auto byte = [&](unsigned value) { code.push_back(static_cast<std::uint8_t>(value)); };
    while (code.size() < 400) {
      const auto kind = random() % 16;
      if (kind == 0) {  // Jcc over a few bytes: perhaps into the middle of an instruction.
        byte(0x70 + static_cast<unsigned>(random() % 16));
        byte(static_cast<unsigned>(random() % 12));
      } else if (kind == 1) {  // A string instruction on few elements.
        byte(0xb9);
        for (unsigned index = 0; index < 4; ++index) byte(index == 0 ? static_cast<unsigned>(random() % 20) : 0);
        byte(random() % 2 == 0 ? 0xf3 : 0xf2);
        constexpr std::array<unsigned, 8> kStrings{0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xae, 0xad};
        byte(kStrings[random() % kStrings.size()]);
      } else if (kind == 2) {  // mov rbx/rsi/rdi back to the data, near the page's end.
        constexpr std::array<unsigned, 3> kPointers{0xbb, 0xbe, 0xbf};
        byte(kPointers[random() % 3]);
        const std::uint32_t value = 0x500fe0 + static_cast<std::uint32_t>(random() % 64);
        for (unsigned index = 0; index < 4; ++index) byte((value >> (8 * index)) & 0xff);
      } else if (kind == 3) {
        byte(0x50 + static_cast<unsigned>(random() % 16));  // push or pop
      } else {
        const Form& form = kForms[random() % kForms.size()];
        const bool legacy = form.opcode.front() == 0x66 || form.opcode.front() >= 0xf2;
        if (mode == ExecutionMode::X86Long64 && !legacy && random() % 2 == 0)
          byte(0x40 + static_cast<unsigned>(random() % 16));
        for (const std::uint8_t each : form.opcode) byte(each);
        const auto reg = static_cast<unsigned>(random() % 8);
        constexpr std::array<unsigned, 3> kBases{3, 6, 7};
        byte(random() % 2 == 0 ? 0xc0 | reg << 3 | static_cast<unsigned>(random() % 8)
                               : reg << 3 | kBases[random() % 3]);
        if (form.immediate8 || form.opcode.front() == 0xf7) byte(static_cast<unsigned>(random()) & 0xff);
      }
    }
    byte(0xf4);
    return code;
  }
};

QTEST_APPLESS_MAIN(EngineRunTest)
#include "engine_run_test.moc"
