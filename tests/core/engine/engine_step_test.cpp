// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>
#include <cstring>

#include "tests/core/engine/engine_fixture.h"

using namespace shearling;
using namespace shearling::test;

namespace {
constexpr std::uint64_t kCodePage = Rig::kCode / kFrameBytes;
constexpr std::uint64_t kDataPage = Rig::kData / kFrameBytes;
constexpr std::uint64_t kDataAddress = Rig::kDataFrame * kFrameBytes;
constexpr std::uint64_t kSecondAddress = Rig::kSecondDataFrame * kFrameBytes;
}  // namespace

class EngineStepTest : public QObject {
  Q_OBJECT
 private slots:
  void a_step_asks_once_for_each_page_and_kind_of_access() {
    Rig rig;
    rig.code({0xff, 0x03, 0xeb, 0xfc});  // inc dword [rbx]; jmp back
    rig.set(kRbx, Rig::kData);
    for (unsigned round = 0; round < 3; ++round) {
      rig.client.fills.clear();
      QCOMPARE(rig.engine->step_one().instructions, std::uint64_t{1});
      QCOMPARE(rig.client.fills,
               (std::vector<Fill>{
                   {kCodePage, AccessKind::Fetch}, {kDataPage, AccessKind::Read}, {kDataPage, AccessKind::Write}}));
      rig.client.fills.clear();
      rig.engine->step_one();
      QCOMPARE(rig.client.fills, (std::vector<Fill>{{kCodePage, AccessKind::Fetch}}));
      QCOMPARE(rig.pc(), Rig::kCode);
    }
    QCOMPARE(rig.load(Rig::kData, 4), std::uint64_t{3});
  }

  void accesses_are_reported_with_address_size_and_value() {
    Rig rig;
    rig.code({0xff, 0x03});
    rig.set(kRbx, Rig::kData + 8);
    rig.memory.write({kDataAddress + 8}, 4, 0x11223344);
    rig.engine->step_one();
    QCOMPARE(rig.client.accesses, (std::vector<Access>{{kDataAddress + 8, AccessKind::Read, 4, 0x11223344},
                                                       {kDataAddress + 8, AccessKind::Write, 4, 0x11223345}}));
  }

  void a_jump_does_not_ask_for_its_target() {
    Rig rig;
    rig.code({0xe9, 0xfb, 0x0f, 0x00, 0x00});  // jmp to the next page, which is not mapped
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.pc(), Rig::kCode + 0x1000);
    QCOMPARE(rig.client.fills.size(), std::size_t{1});
    const EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.instructions, std::uint64_t{0});
    QCOMPARE(outcome.refused_kind, AccessKind::Fetch);
    QCOMPARE(outcome.refused_address.value, Rig::kCode + 0x1000);
  }

  void a_jump_to_itself_is_an_instruction_each_time() {
    Rig rig;
    rig.code({0xeb, 0xfe});
    QCOMPARE(rig.engine->step_one().instructions, std::uint64_t{1});
    QCOMPARE(rig.engine->step_one().instructions, std::uint64_t{1});
  }

  void nothing_is_fetched_before_it_is_needed() {
    Rig rig;
    rig.put(Rig::kCode + 0xffd, {0x90, 0x48, 0xb8});  // nop; mov rax, imm64 that lies in the next page
    rig.jump(Rig::kCode + 0xffd);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.pc(), Rig::kCode + 0xffe);
    EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.refused_address.value, Rig::kCode + 0x1000);
    QCOMPARE(rig.pc(), Rig::kCode + 0xffe);
    rig.client.map(Rig::kCode + 0x1000, 0x11);
    rig.put(Rig::kCode + 0x1000, {1, 2, 3, 4, 5, 6, 7, 8});
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.get(kRax), std::uint64_t{0x0807060504030201});
  }

  void a_refused_access_changes_nothing_and_names_the_exact_byte_data() {
    QTest::addColumn<QByteArray>("code");
    QTest::addColumn<quint64>("address");
    QTest::addColumn<int>("kind");
    QTest::newRow("mov rax, [rbx]") << QByteArray("\x48\x8b\x03", 3) << quint64{0x900123} << int(AccessKind::Read);
    QTest::newRow("mov [rbx], rax") << QByteArray("\x48\x89\x03", 3) << quint64{0x900123} << int(AccessKind::Write);
    QTest::newRow("add [rbx], eax") << QByteArray("\x01\x03", 2) << quint64{0x900ffc} << int(AccessKind::Read);
    QTest::newRow("push [rbx]") << QByteArray("\xff\x33", 2) << quint64{0x900008} << int(AccessKind::Read);
    QTest::newRow("movups xmm0, [rbx]") << QByteArray("\x0f\x10\x03", 3) << quint64{0x900777} << int(AccessKind::Read);
    QTest::newRow("xchg [rbx], rax") << QByteArray("\x48\x87\x03", 3) << quint64{0x900770} << int(AccessKind::Read);
  }
  void a_refused_access_changes_nothing_and_names_the_exact_byte() {
    QFETCH(QByteArray, code);
    QFETCH(quint64, address);
    QFETCH(int, kind);
    Rig rig;
    rig.memory.write_bytes({Rig::kCodeFrame * kFrameBytes},
                           {reinterpret_cast<const std::uint8_t*>(code.data()), static_cast<std::size_t>(code.size())});
    rig.set(kRbx, address);
    rig.set(kRax, 0x1234);
    const EngineState before = rig.engine->state();
    const std::uint64_t digest = rig.memory.digest();
    for (unsigned round = 0; round < 2; ++round) {
      const EngineOutcome outcome = rig.engine->step_one();
      QCOMPARE(outcome.stop, EngineStop::FillRefused);
      QCOMPARE(outcome.refused_address.value, std::uint64_t{address});
      QCOMPARE(int(outcome.refused_kind), kind);
      QVERIFY(rig.engine->state() == before);
      QCOMPARE(rig.memory.digest(), digest);
    }
    rig.client.map(address & ~kPageOffset, 0x77);
    rig.client.map((address & ~kPageOffset) + 0x1000, 0x78);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
  }

  void a_write_refused_after_its_read_was_granted_names_the_byte() {
    Rig rig;
    rig.code({0x01, 0x03});  // add [rbx], eax
    rig.client.map(0x900000, 0x77, false);
    rig.set(kRbx, 0x900468);
    const EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.refused_kind, AccessKind::Write);
    QCOMPARE(outcome.refused_address.value, std::uint64_t{0x900468});
  }

  void an_access_that_crosses_pages_is_two_accesses() {
    Rig rig;
    rig.code({0x48, 0x8b, 0x03, 0x48, 0x89, 0x03});  // mov rax, [rbx]; mov [rbx], rax
    rig.set(kRbx, Rig::kData + 0xffd);
    rig.memory.write({kDataAddress + 0xffd}, 3, 0x030201);
    rig.memory.write({kSecondAddress}, 5, 0x0807060504);
    rig.engine->step_one();
    QCOMPARE(rig.get(kRax), std::uint64_t{0x0807060504030201});
    QCOMPARE(rig.client.accesses, (std::vector<Access>{{kDataAddress + 0xffd, AccessKind::Read, 3, 0x030201},
                                                       {kSecondAddress, AccessKind::Read, 5, 0x0807060504}}));
    rig.client.accesses.clear();
    rig.engine->step_one();
    QCOMPARE(rig.client.accesses, (std::vector<Access>{{kDataAddress + 0xffd, AccessKind::Write, 3, 0x030201},
                                                       {kSecondAddress, AccessKind::Write, 5, 0x0807060504}}));
  }

  void a_store_that_crosses_into_a_refused_page_writes_nothing() {
    Rig rig;
    rig.code({0x48, 0x89, 0x03});  // mov [rbx], rax
    rig.client.unmap(Rig::kData + 0x1000);
    rig.set(kRbx, Rig::kData + 0xffc);
    rig.set(kRax, ~std::uint64_t{0});
    const EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.refused_address.value, Rig::kData + 0x1000);
    QCOMPARE(rig.load(Rig::kData + 0xff8, 8), std::uint64_t{0});
  }

  void a_repeated_instruction_goes_one_iteration_a_step() {
    Rig rig;
    rig.code({0xf3, 0xa4});  // rep movsb
    rig.memory.write({kDataAddress}, 3, 0x030201);
    rig.set(kRsi, Rig::kData);
    rig.set(kRdi, Rig::kData + 0x100);
    rig.set(kRcx, 3);
    for (unsigned left = 3; left != 0; --left) {
      QCOMPARE(rig.pc(), Rig::kCode);
      const EngineOutcome outcome = rig.engine->step_one();
      QCOMPARE(outcome.stop, EngineStop::Completed);
      QCOMPARE(outcome.instructions, std::uint64_t{left == 1 ? 1U : 0U});
      QCOMPARE(rig.get(kRcx), std::uint64_t{left - 1});
    }
    QCOMPARE(rig.pc(), Rig::kCode + 2);
    QCOMPARE(rig.load(Rig::kData + 0x100, 4), std::uint64_t{0x030201});
    QCOMPARE(rig.client.accesses.size(), std::size_t{6});
  }

  void a_repeated_instruction_with_nothing_to_do_is_one_step() {
    Rig rig;
    rig.code({0xf3, 0x48, 0xab});  // rep stosq
    rig.set(kRcx, 0);
    QCOMPARE(rig.engine->step_one().instructions, std::uint64_t{1});
    QCOMPARE(rig.pc(), Rig::kCode + 3);
    QVERIFY(rig.client.accesses.empty());
  }

  void a_repeated_instruction_faults_between_iterations() {
    Rig rig;
    rig.code({0xf3, 0xa4});
    rig.client.unmap(Rig::kData + 0x1000);
    rig.set(kRsi, Rig::kData);
    rig.set(kRdi, Rig::kData + 0xffe);
    rig.set(kRcx, 5);
    rig.engine->step_one();
    rig.engine->step_one();
    const EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.refused_address.value, Rig::kData + 0x1000);
    QCOMPARE(rig.get(kRcx), std::uint64_t{3});
    QCOMPARE(rig.get(kRsi), Rig::kData + 2);
    QCOMPARE(rig.get(kRdi), Rig::kData + 0x1000);
    QCOMPARE(rig.pc(), Rig::kCode);
  }

  void code_may_change_the_instruction_after_it_data() {
    QTest::addColumn<quint64>("alias");
    QTest::newRow("same page") << quint64{Rig::kCode};
    QTest::newRow("through another virtual page") << quint64{0x800000};
  }
  void code_may_change_the_instruction_after_it() {
    QFETCH(quint64, alias);
    Rig rig;
    rig.client.map(0x800000, Rig::kCodeFrame);
    rig.code({0xc6, 0x03, 0xc3, 0xff, 0xc0, 0xeb, 0xf9});  // mov byte [rbx], 0xc3; inc eax; jmp back
    rig.set(kRbx, alias + 4);                              // inc eax becomes inc ebx
    rig.set(kRax, 0);
    for (unsigned count = 0; count < 3; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.get(kRax), std::uint64_t{0});
    QCOMPARE(rig.get(kRbx), std::uint64_t{alias + 5});
    rig.set(kRbx, alias + 4);
    rig.memory.write({Rig::kCodeFrame * kFrameBytes + 2}, 1, 0xc0);  // The host changes the store's value back.
    rig.engine->invalidate_code({Rig::kCodeFrame * kFrameBytes});
    for (unsigned count = 0; count < 2; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.get(kRax), std::uint64_t{1});
  }

  void an_instruction_may_change_itself() {
    Rig rig;
    rig.code({0xc6, 0x03, 0x90, 0xeb, 0xfb});  // mov byte [rbx], 0x90
    rig.set(kRbx, Rig::kCode);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.pc(), Rig::kCode + 3);
    rig.engine->step_one();
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);  // nop
    QCOMPARE(rig.pc(), Rig::kCode + 1);
  }

  void host_writes_to_code_are_seen_after_invalidation() {
    Rig rig;
    rig.code({0xb8, 1, 0, 0, 0, 0xeb, 0xf9});  // mov eax, 1; jmp back
    rig.engine->step_one();
    QVERIFY(rig.engine->holds_code({Rig::kCodeFrame * kFrameBytes}));
    for (int value = 2; value < 6; ++value) {
      rig.put(Rig::kCode + 1, {value});
      rig.engine->invalidate_code({Rig::kCodeFrame * kFrameBytes});
      rig.jump(Rig::kCode);
      rig.engine->step_one();
      QCOMPARE(rig.get(kRax), static_cast<std::uint64_t>(value));
    }
    rig.put(Rig::kCode + 1, {9});
    rig.engine->invalidate_all_code();
    rig.jump(Rig::kCode);
    rig.engine->step_one();
    QCOMPARE(rig.get(kRax), std::uint64_t{9});
  }

  void devices_are_reached_outside_ram() {
    Rig rig;
    rig.code(
        {0x8b, 0x03, 0x89, 0x4b, 0x04, 0x8a, 0x43, 0x03});  // mov eax, [rbx]; mov [rbx + 4], ecx; mov al, [rbx + 3]
    rig.set(kRbx, Rig::kDevice + 0x80);
    rig.set(kRcx, 0xabcd);
    rig.client.device_value = 0x11223344;
    for (unsigned count = 0; count < 3; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.client.device, (std::vector<Access>{{0xfee00080, AccessKind::Read, 4, 0},
                                                     {0xfee00084, AccessKind::Write, 4, 0xabcd},
                                                     {0xfee00083, AccessKind::Read, 1, 0}}));
    QCOMPARE(rig.get(kRax), std::uint64_t{0x11223344});
    QVERIFY(rig.client.accesses.empty());
  }

  void native_exceptions_leave_the_registers_alone_each_time_data() {
    QTest::addColumn<QByteArray>("code");
    QTest::addColumn<unsigned>("vector");
    QTest::newRow("div by zero") << QByteArray("\xf7\xf1", 2) << 0U;
    QTest::newRow("idiv overflow") << QByteArray("\x48\xf7\xf9", 3) << 0U;
    QTest::newRow("x87 error pending") << QByteArray("\x9b", 1) << 16U;
  }
  void native_exceptions_leave_the_registers_alone_each_time() {
    QFETCH(QByteArray, code);
    QFETCH(unsigned, vector);
    Rig rig;
    rig.memory.write_bytes({Rig::kCodeFrame * kFrameBytes},
                           {reinterpret_cast<const std::uint8_t*>(code.data()), static_cast<std::size_t>(code.size())});
    EngineState state = rig.engine->state();
    state.floating_point_control[0] = 0x340;   // All x87 exceptions unmasked,
    state.floating_point_control[1] = 0x8084;  // a zero divide pending.
    state.integer[kRdx] = 5;
    rig.engine->set_state(state);
    for (unsigned round = 0; round < 4; ++round) {
      const EngineOutcome outcome = rig.engine->step_one();
      QCOMPARE(outcome.stop, EngineStop::NativeException);
      QCOMPARE(outcome.exception, vector);
      QCOMPARE(outcome.instructions, std::uint64_t{0});
      QVERIFY(rig.engine->state() == state);
    }
  }

  void unknown_instructions_are_reported_where_they_stand() {
    Rig rig;
    rig.code({0x0f, 0x0b});
    for (unsigned round = 0; round < 3; ++round) {
      QCOMPARE(rig.engine->step_one().stop, EngineStop::InvalidOpcode);
      QCOMPARE(rig.pc(), Rig::kCode);
    }
    rig.code({0xff, 0xff});
    rig.engine->invalidate_code({Rig::kCodeFrame * kFrameBytes});
    QCOMPARE(rig.engine->step_one().stop, EngineStop::InvalidOpcode);
    rig.code({0x90, 0x90});
    rig.engine->invalidate_code({Rig::kCodeFrame * kFrameBytes});
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
  }

  void wild_program_counters_are_harmless() {
    Rig rig;
    for (const std::uint64_t pc :
         {std::uint64_t{0}, std::uint64_t{0x8000000000000123}, ~std::uint64_t{0}, std::uint64_t{0x7ffffffffff0}}) {
      rig.jump(pc);
      const EngineOutcome step = rig.engine->step_one();
      QCOMPARE(step.stop, EngineStop::FillRefused);
      QCOMPARE(step.refused_address.value, pc);
      const EngineOutcome run = rig.engine->run(10);
      QCOMPARE(run.stop, EngineStop::FillRefused);
      QCOMPARE(run.instructions, std::uint64_t{0});
      QCOMPARE(rig.pc(), pc);
    }
    rig.jump(Rig::kDevice);  // Executing a device.
    QCOMPARE(rig.engine->step_one().stop, EngineStop::InvalidOpcode);
    QCOMPARE(rig.engine->run(10).stop, EngineStop::InvalidOpcode);
    QVERIFY(rig.client.device.empty());
    rig.client.map(0xa00000, (std::uint64_t{1} << 40) - 1);  // Far outside RAM.
    rig.jump(0xa00000);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::InvalidOpcode);
  }

  void the_register_file_survives_a_round_trip() {
    for (const ExecutionMode mode : {ExecutionMode::X86Long64, ExecutionMode::X86Protected32}) {
      Rig rig(mode);
      rig.code({0x90});
      EngineState state;
      state.mode = mode;
      for (unsigned index = 0; index < 16; ++index) state.integer[index] = 0x1111111 * (index + 1);
      state.program_counter = Rig::kCode;
      state.flags = 0xcd7;
      state.segment_base = {0x12340000, 0x56780000};
      for (std::uint64_t index = 0; index < 16; ++index) state.vector[index] = {index + 0x1111222233334444, ~index};
      state.vector_control[0] = 0x9fc0;
      for (std::uint64_t index = 0; index < 8; ++index)
        state.floating_point[index] = {0x8000000000000000 + index, 0x3fff + index};
      state.floating_point_control = {0x27f, 0x3800, 0};
      rig.engine->set_state(state);
      QVERIFY(rig.engine->state() == state);
      QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
      ++state.program_counter;
      QVERIFY(rig.engine->state() == state);
      for (unsigned index = 0; index < 8; ++index) QCOMPARE(rig.get(index), state.integer[index]);
      QCOMPARE(rig.engine->read(flags_register()), std::uint64_t{0xcd7});
      rig.engine->write(flags_register(), ~std::uint64_t{0});
      QCOMPARE(rig.engine->read(flags_register()), std::uint64_t{0xcd7});
      rig.engine->write(flags_register(), 0);
      QCOMPARE(rig.engine->read(flags_register()), std::uint64_t{2});
      rig.engine->write({RegisterClass::SegmentBase, 5}, 0x777000);
      QCOMPARE(rig.engine->read({RegisterClass::SegmentBase, 5}), std::uint64_t{0x777000});
      QCOMPARE(rig.engine->state().segment_base[1], std::uint64_t{0x777000});
    }
  }

  void switching_between_32_and_64_bit_mode_keeps_the_registers() {
    Rig rig(ExecutionMode::X86Protected32);
    rig.code({0x40, 0x64, 0x8b, 0x1d, 0x10, 0x00, 0x00, 0x00});  // inc eax; mov ebx, fs:[0x10]
    EngineState state = rig.engine->state();
    state.integer[kRax] = 0xffffffff;
    state.integer[12] = 0x123456789abcdef0;
    state.vector[3] = {1, 2};
    state.vector[11] = {3, 4};
    state.segment_base[0] = Rig::kData;
    rig.engine->set_state(state);
    rig.memory.write({kDataAddress + 0x10}, 4, 0xcafe);
    rig.engine->step_one();
    rig.engine->step_one();
    QCOMPARE(rig.get(kRax), std::uint64_t{0});
    QCOMPARE(rig.get(kRbx), std::uint64_t{0xcafe});
    rig.engine->set_mode(ExecutionMode::X86Long64);
    state.mode = ExecutionMode::X86Long64;
    state.integer[kRax] = 0;
    state.integer[kRbx] = 0xcafe;
    state.program_counter += 8;
    state.flags = rig.engine->state().flags;
    QVERIFY(rig.engine->state() == state);
    rig.put(rig.pc(), {0x49, 0xff, 0xc4});  // inc r12
    rig.engine->invalidate_code({Rig::kCodeFrame * kFrameBytes});
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.get(12), std::uint64_t{0x123456789abcdef1});
    rig.set(kRax, ~std::uint64_t{0});
    rig.engine->set_mode(ExecutionMode::X86Protected32);
    QCOMPARE(rig.get(kRax), std::uint64_t{0xffffffff});
    QCOMPARE(rig.get(12), std::uint64_t{0x123456789abcdef1});
  }

  void vector_instructions_work_in_both_modes() {
    for (const ExecutionMode mode : {ExecutionMode::X86Long64, ExecutionMode::X86Protected32}) {
      Rig rig(mode);
      rig.code({0x0f, 0x10, 0x03, 0x0f, 0x11, 0x43, 0x20});  // movups xmm0, [rbx]; movups [rbx + 32], xmm0
      rig.set(kRbx, Rig::kData);
      rig.memory.write({kDataAddress}, 8, 0x0102030405060708);
      rig.memory.write({kDataAddress + 8}, 8, 0x1112131415161718);
      rig.engine->step_one();
      rig.engine->step_one();
      QCOMPARE(rig.load(Rig::kData + 32, 8), std::uint64_t{0x0102030405060708});
      QCOMPARE(rig.load(Rig::kData + 40, 8), std::uint64_t{0x1112131415161718});
    }
  }

  void stores_are_seen_by_digests_and_snapshots() {
    Rig rig;
    rig.code({0xfe, 0x03, 0xeb, 0xfc});  // inc byte [rbx]
    rig.set(kRbx, Rig::kData);
    std::set<std::uint64_t> digests;
    for (unsigned round = 0; round < 5; ++round) {
      digests.insert(rig.memory.digest());
      QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
      const auto picture = rig.memory.snapshot();
      QCOMPARE((*picture->frame(Rig::kDataFrame))[0], static_cast<std::uint8_t>(round + 1));
      rig.engine->step_one();
    }
    QCOMPARE(digests.size(), std::size_t{5});
  }

 private:
  static constexpr std::uint64_t kPageOffset = kFrameBytes - 1;
};

QTEST_APPLESS_MAIN(EngineStepTest)
#include "engine_step_test.moc"
