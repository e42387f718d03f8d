// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>
#include <array>
#include <set>

#include "tests/core/engine/arm_engine_fixture.h"

using namespace shearling;
using namespace shearling::test;

namespace {

constexpr std::uint64_t kCodePage = ArmRig::kCode / kFrameBytes;
constexpr std::uint64_t kDataPage = ArmRig::kData / kFrameBytes;
constexpr std::uint64_t kCodeAddress = ArmRig::kCodeFrame * kFrameBytes;
constexpr std::uint64_t kDataAddress = ArmRig::kDataFrame * kFrameBytes;
constexpr std::uint64_t kSecondAddress = ArmRig::kSecondDataFrame * kFrameBytes;

}  // namespace

class ArmEngineStepTest : public QObject {
  Q_OBJECT
 private slots:
  void a_step_asks_once_for_each_page_and_kind_of_access() {
    ArmRig rig;
    rig.code({a64::kLoad, a64::kIncrement0, a64::kStore, a64::branch(-3)});
    rig.set(1, ArmRig::kData);
    for (unsigned round = 0; round < 3; ++round) {
      const std::array<std::vector<Fill>, 4> expected{
          std::vector<Fill>{{kCodePage, AccessKind::Fetch}, {kDataPage, AccessKind::Read}},
          std::vector<Fill>{{kCodePage, AccessKind::Fetch}},
          std::vector<Fill>{{kCodePage, AccessKind::Fetch}, {kDataPage, AccessKind::Write}},
          std::vector<Fill>{{kCodePage, AccessKind::Fetch}}};
      for (const auto& fills : expected) {
        rig.client.fills.clear();
        QCOMPARE(rig.engine->step_one().instructions, std::uint64_t{1});
        QCOMPARE(rig.client.fills, fills);
      }
      QCOMPARE(rig.pc(), ArmRig::kCode);
    }
    QCOMPARE(rig.load(ArmRig::kData, 8), std::uint64_t{3});
  }

  void every_part_of_a_page_is_that_part_of_its_frame() {
    ArmRig rig;
    for (std::uint64_t offset = 0; offset < kFrameBytes; offset += 0x1f8) {
      rig.put(ArmRig::kCode + (offset & ~std::uint64_t{3}), {a64::kLoad});
      rig.memory.write({kDataAddress + offset}, 8, 0x1000 + offset);
      rig.engine->invalidate_code({kCodeAddress});
      rig.jump(ArmRig::kCode + offset);
      rig.set(1, ArmRig::kData + offset);
      rig.client.fills.clear();
      rig.client.accesses.clear();
      QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
      QCOMPARE(rig.client.fills, (std::vector<Fill>{{kCodePage, AccessKind::Fetch}, {kDataPage, AccessKind::Read}}));
      QCOMPARE(rig.client.accesses,
               (std::vector<Access>{{kDataAddress + offset, AccessKind::Read, 8, 0x1000 + offset}}));
      QCOMPARE(rig.get(0), 0x1000 + offset);
    }
  }

  void a_branch_does_not_ask_for_its_target() {
    ArmRig rig;
    rig.code({a64::branch(0x400)});  // To the next page, which is not mapped.
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.pc(), ArmRig::kCode + 0x1000);
    QCOMPARE(rig.client.fills.size(), std::size_t{1});
    const EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.instructions, std::uint64_t{0});
    QCOMPARE(outcome.refused_kind, AccessKind::Fetch);
    QCOMPARE(outcome.refused_address.value, ArmRig::kCode + 0x1000);
    QCOMPARE(rig.pc(), ArmRig::kCode + 0x1000);
  }

  void a_branch_to_itself_is_an_instruction_each_time() {
    ArmRig rig;
    rig.code({a64::branch(0)});
    for (unsigned round = 0; round < 3; ++round) {
      QCOMPARE(rig.engine->step_one().instructions, std::uint64_t{1});
      QCOMPARE(rig.pc(), ArmRig::kCode);
    }
  }

  void nothing_is_fetched_before_it_is_needed() {
    ArmRig rig;
    rig.put(ArmRig::kCode + 0xff8, {a64::kNop, a64::kIncrement0});
    rig.jump(ArmRig::kCode + 0xff8);
    for (unsigned count = 0; count < 2; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.client.fills, (std::vector<Fill>(2, {kCodePage, AccessKind::Fetch})));
    const EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.refused_address.value, ArmRig::kCode + 0x1000);
    QCOMPARE(rig.pc(), ArmRig::kCode + 0x1000);
    QCOMPARE(rig.get(0), std::uint64_t{1});
  }

  void a_refused_access_changes_nothing_and_names_the_exact_byte_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<quint64>("address");
    QTest::addColumn<int>("kind");
    QTest::addColumn<int>("displacement");
    const auto row = [](const char* name, std::uint32_t word, std::uint64_t address, AccessKind kind,
                        int displacement = 0) {
      QTest::newRow(name) << word << quint64{address} << int(kind) << displacement;
    };
    row("ldr x0, [x1]", 0xf9400020, 0x900120, AccessKind::Read);
    row("ldr x0, [x1] in the page's last part", 0xf9400020, 0x900ff1, AccessKind::Read);
    row("str x0, [x1]", 0xf9000020, 0x900523, AccessKind::Write);
    row("ldr x0, [x1] across two parts of a page", 0xf9400020, 0x9003fd, AccessKind::Read);
    row("str x0, [x1] across two parts of a page", 0xf9000020, 0x900bff, AccessKind::Write);
    row("ldr x0, [x1, #8]!", 0xf8408c20, 0x900120, AccessKind::Read, 8);
    row("ldr x0, [x1], #8", 0xf8408420, 0x900120, AccessKind::Read);
    row("str x0, [x1, #8]!", 0xf8008c20, 0x900120, AccessKind::Write, 8);
    row("stp x0, x2, [x1, #-16]!", 0xa9bf0820, 0x900810, AccessKind::Write, -16);
    row("ldp x0, x2, [x1], #16", 0xa8c10820, 0x900c00, AccessKind::Read);
    row("ldr q0, [x1]", 0x3dc00020, 0x900777, AccessKind::Read);
    row("str q0, [x1]", 0x3d800020, 0x900770, AccessKind::Write);
    row("ldp q0, q1, [x1]", 0xad400420, 0x900120, AccessKind::Read);
    row("stp q0, q1, [x1]", 0xad000420, 0x900120, AccessKind::Write);
    row("ld1 {v0.16b-v3.16b}, [x1]", 0x4c402020, 0x900120, AccessKind::Read);
    row("st1 {v0.16b-v3.16b}, [x1], #64", 0x4c9f2020, 0x900120, AccessKind::Write);
    row("ld2 {v0.8h, v1.8h}, [x1]", 0x4c408420, 0x900120, AccessKind::Read);
    row("ldrb w0, [x1]", 0x39400020, 0x900fff, AccessKind::Read);
  }
  void a_refused_access_changes_nothing_and_names_the_exact_byte() {
    QFETCH(quint32, word);
    QFETCH(quint64, address);
    QFETCH(int, kind);
    QFETCH(int, displacement);
    ArmRig rig;
    rig.code({word});
    EngineState before = rig.engine->state();
    for (unsigned index = 0; index < 31; ++index) before.integer[index] = std::uint64_t{0x1111} * (index + 1);
    for (std::uint64_t index = 0; index < 32; ++index) before.vector[index] = {index, ~index};
    before.integer[1] = address;
    before.flags = 0xa0000000;
    rig.engine->set_state(before);
    const std::uint64_t digest = rig.memory.digest();
    const std::uint64_t refused = address + static_cast<std::uint64_t>(std::int64_t{displacement});
    for (unsigned round = 0; round < 2; ++round) {
      const EngineOutcome outcome = rig.engine->step_one();
      QCOMPARE(outcome.stop, EngineStop::FillRefused);
      QCOMPARE(outcome.instructions, std::uint64_t{0});
      QCOMPARE(outcome.refused_address.value, refused);
      QCOMPARE(int(outcome.refused_kind), kind);
      QVERIFY(rig.engine->state() == before);
      QCOMPARE(rig.memory.digest(), digest);
    }
    rig.client.map(refused & ~kPageOffset, ArmRig::kRamFrame + 0x77);
    rig.client.map((refused & ~kPageOffset) + 0x1000, ArmRig::kRamFrame + 0x78);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.pc(), ArmRig::kCode + 4);
  }

  void a_second_page_that_is_refused_is_named_exactly_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<quint64>("offset");
    QTest::addColumn<int>("kind");
    QTest::newRow("ldr x0, [x1]") << 0xf9400020U << quint64{0xffc} << int(AccessKind::Read);
    QTest::newRow("str x0, [x1]") << 0xf9000020U << quint64{0xffd} << int(AccessKind::Write);
    QTest::newRow("ldp x0, x2, [x1]") << 0xa9400820U << quint64{0xff8} << int(AccessKind::Read);
    QTest::newRow("ldp x0, x2, [x1], #16") << 0xa8c10820U << quint64{0xff8} << int(AccessKind::Read);
    QTest::newRow("ldr q0, [x1]") << 0x3dc00020U << quint64{0xff8} << int(AccessKind::Read);
    QTest::newRow("ldr q0, [x1], unaligned") << 0x3dc00020U << quint64{0xff3} << int(AccessKind::Read);
  }
  void a_second_page_that_is_refused_is_named_exactly() {
    QFETCH(quint32, word);
    QFETCH(quint64, offset);
    QFETCH(int, kind);
    ArmRig rig;
    rig.code({word});
    rig.client.unmap(ArmRig::kData + 0x1000);
    rig.set(1, ArmRig::kData + offset);
    rig.set(0, ~std::uint64_t{0});
    const EngineState before = rig.engine->state();
    const std::uint64_t digest = rig.memory.digest();
    for (unsigned round = 0; round < 2; ++round) {
      const EngineOutcome outcome = rig.engine->step_one();
      QCOMPARE(outcome.stop, EngineStop::FillRefused);
      QCOMPARE(outcome.refused_address.value, ArmRig::kData + 0x1000);
      QCOMPARE(int(outcome.refused_kind), kind);
      QVERIFY(rig.engine->state() == before);
      QCOMPARE(rig.memory.digest(), digest);
    }
  }

  void a_write_refused_to_a_page_that_may_be_read_names_the_byte() {
    ArmRig rig;
    rig.code({a64::kLoad, a64::kStore});
    rig.client.map(0x900000, ArmRig::kRamFrame + 0x77, false);
    rig.set(1, 0x900468);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    const EngineOutcome outcome = rig.engine->step_one();
    QCOMPARE(outcome.stop, EngineStop::FillRefused);
    QCOMPARE(outcome.refused_kind, AccessKind::Write);
    QCOMPARE(outcome.refused_address.value, std::uint64_t{0x900468});
  }

  void accesses_are_reported_once_each_data() {
    QTest::addColumn<quint32>("word");
    QTest::addColumn<quint64>("offset");
    QTest::addColumn<bool>("writes");
    QTest::addColumn<QList<int>>("parts");  // Sizes, one behind the other from the offset on.
    const auto row = [](const char* name, std::uint32_t word, std::uint64_t offset, bool writes,
                        const QList<int>& parts) { QTest::newRow(name) << word << quint64{offset} << writes << parts; };
    row("ldr x0, [x1]", 0xf9400020, 0x10, false, {8});
    row("ldr x0, [x1], unaligned", 0xf9400020, 0x13, false, {8});
    row("ldr w0, [x1]", 0xb9400020, 0x13, false, {4});
    row("ldrb w0, [x1]", 0x39400020, 0x3ff, false, {1});
    row("str x0, [x1]", 0xf9000020, 0x10, true, {8});
    row("strb w0, [x1]", 0x39000020, 0xfff, true, {1});
    row("ldr x0, [x1] across parts of a page", 0xf9400020, 0x3fd, false, {8});
    row("str x0, [x1] across parts of a page", 0xf9000020, 0x7fb, true, {8});
    row("ldr x0, [x1] across pages", 0xf9400020, 0xffd, false, {3, 5});
    row("str x0, [x1] across pages", 0xf9000020, 0xffb, true, {5, 3});
    row("ldr w0, [x1] across pages", 0xb9400020, 0xffe, false, {2, 2});
    row("ldp x0, x2, [x1]", 0xa9400820, 0x20, false, {8, 8});
    row("stp x0, x2, [x1]", 0xa9000820, 0x20, true, {8, 8});
    row("ldp x0, x2, [x1] across parts of a page", 0xa9400820, 0x3f4, false, {8, 8});
    row("ldp x0, x2, [x1] across pages", 0xa9400820, 0xff4, false, {8, 4, 4});
    row("stp x0, x2, [x1] across pages", 0xa9000820, 0xff4, true, {8, 4, 4});
    row("stp x0, x2, [x1], first across pages", 0xa9000820, 0xffc, true, {4, 4, 8});
    row("ldr q0, [x1]", 0x3dc00020, 0x40, false, {8, 8});
    row("str q0, [x1]", 0x3d800020, 0x40, true, {8, 8});
    row("ldr q0, [x1] across pages", 0x3dc00020, 0xff1, false, {8, 7, 1});
    row("str q0, [x1] across pages", 0x3d800020, 0xff1, true, {8, 7, 1});
    row("ldp q0, q1, [x1]", 0xad400420, 0x40, false, {8, 8, 8, 8});
    row("stp q0, q1, [x1]", 0xad000420, 0x40, true, {8, 8, 8, 8});
    row("ld1 {v0.16b-v3.16b}, [x1]", 0x4c402020, 0x3f0, false, {8, 8, 8, 8, 8, 8, 8, 8});
    row("st1 {v0.16b-v3.16b}, [x1], #64", 0x4c9f2020, 0xfe0, true, {8, 8, 8, 8, 8, 8, 8, 8});
    row("prfm pldl1keep, [x1]", 0xf9800020, 0x40, false, {});
  }
  void accesses_are_reported_once_each() {
    QFETCH(quint32, word);
    QFETCH(quint64, offset);
    QFETCH(bool, writes);
    QFETCH(QList<int>, parts);
    ArmRig rig;
    rig.code({word});
    EngineState state = rig.engine->state();
    std::array<std::uint8_t, 256> bytes{};
    for (std::size_t index = 0; index < bytes.size(); ++index) bytes[index] = static_cast<std::uint8_t>(37 * index + 5);
    // What is stored is what lies in memory, so that one list of bytes serves both directions.
    const auto value_at = [&](std::size_t at) {
      std::uint64_t value = 0;
      std::memcpy(&value, bytes.data() + at, 8);
      return value;
    };
    state.integer[0] = value_at(0);
    state.integer[2] = value_at(8);
    for (std::size_t index = 0; index < 4; ++index)
      state.vector[index] = {value_at(16 * index), value_at(16 * index + 8)};
    state.integer[1] = ArmRig::kData + offset;
    rig.engine->set_state(state);
    if (!writes) {
      const std::size_t here = std::min<std::size_t>(bytes.size(), kFrameBytes - offset);
      rig.memory.write_bytes({kDataAddress + offset}, std::span(bytes).first(here));
      if (here < bytes.size()) rig.memory.write_bytes({kSecondAddress}, std::span(bytes).subspan(here));
    }
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    std::vector<Access> expected;
    std::uint64_t at = 0;
    for (const int part : parts) {
      const auto size = static_cast<unsigned>(part);
      std::uint64_t value = 0;
      std::memcpy(&value, bytes.data() + at, size);
      const std::uint64_t place = offset + at;
      expected.push_back({place < kFrameBytes ? kDataAddress + place : kSecondAddress + place - kFrameBytes,
                          writes ? AccessKind::Write : AccessKind::Read, size, value});
      at += size;
    }
    QCOMPARE(rig.client.accesses, expected);
    for (const Access& access : expected) QCOMPARE(rig.memory.read({access.address}, access.size), access.value);
  }

  void of_several_registers_those_before_the_refused_access_are_done_alike_in_steps_and_runs_data() {
    QTest::addColumn<quint32>("word");
    QTest::newRow("stp x0, x2, [x1]") << 0xa9000820U;
    QTest::newRow("stp q0, q1, [x1]") << 0xad000420U;
    QTest::newRow("ldp q0, q1, [x1]") << 0xad400420U;
    QTest::newRow("ld1 {v0.16b-v3.16b}, [x1]") << 0x4c402020U;
    QTest::newRow("st1 {v0.16b-v3.16b}, [x1], #64") << 0x4c9f2020U;
  }
  /// The architecture leaves it open what such an instruction has done (DDI 0487, on precise exceptions); PC and base
  /// stay.
  void of_several_registers_those_before_the_refused_access_are_done_alike_in_steps_and_runs() {
    QFETCH(quint32, word);
    std::array<ArmRig, 2> rigs;
    for (ArmRig& rig : rigs) {
      rig.code({word});
      rig.memory.write({kDataAddress + 0xff8}, 8, 0x1122334455667788);
      rig.client.unmap(ArmRig::kData + 0x1000);
      rig.set(0, 0xaa);
      rig.set(1, ArmRig::kData + 0xff8);
    }
    for (unsigned round = 0; round < 2; ++round) {
      const EngineOutcome stepped = rigs[0].engine->step_one();
      const EngineOutcome ran = rigs[1].engine->run(10);
      for (const EngineOutcome& outcome : {stepped, ran}) {
        QCOMPARE(outcome.stop, EngineStop::FillRefused);
        QCOMPARE(outcome.refused_address.value, ArmRig::kData + 0x1000);
      }
      QCOMPARE(rigs[0].pc(), ArmRig::kCode);
      QCOMPARE(rigs[0].get(1), ArmRig::kData + 0xff8);
      QVERIFY(rigs[0].engine->state() == rigs[1].engine->state());
      QCOMPARE(rigs[0].memory.digest(), rigs[1].memory.digest());
    }
  }

  void a_store_whose_second_page_is_refused_writes_nothing() {
    ArmRig rig;
    rig.code({a64::kStore});
    rig.client.unmap(ArmRig::kData + 0x1000);
    rig.set(1, ArmRig::kData + 0xffc);
    rig.set(0, ~std::uint64_t{0});
    QCOMPARE(rig.engine->step_one().stop, EngineStop::FillRefused);
    QCOMPARE(rig.load(ArmRig::kData + 0xff8, 8), std::uint64_t{0});
  }

  void code_may_change_the_instruction_after_it_data() {
    QTest::addColumn<quint64>("alias");
    QTest::newRow("same page") << quint64{ArmRig::kCode};
    QTest::newRow("through another virtual page") << quint64{0x800000};
  }
  void code_may_change_the_instruction_after_it() {
    QFETCH(quint64, alias);
    ArmRig rig;
    rig.client.map(0x800000, ArmRig::kCodeFrame);
    rig.code({a64::kStoreWord, a64::kIncrement2, a64::branch(-2)});
    rig.engine->step_one();  // str w0, [x1], to nowhere near
    rig.jump(ArmRig::kCode + 4);
    rig.engine->step_one();
    QCOMPARE(rig.get(2), std::uint64_t{1});
    rig.jump(ArmRig::kCode);
    rig.set(1, alias + 4);
    rig.set(0, a64::kIncrement3);
    for (unsigned count = 0; count < 3; ++count) {
      QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
      rig.engine->invalidate_code({kCodeAddress});  // What the guest's IC IVAU leads to.
    }
    QCOMPARE(rig.get(2), std::uint64_t{1});
    QCOMPARE(rig.get(3), std::uint64_t{1});
    rig.memory.write({kCodeAddress + 4}, 4, a64::kIncrement2);  // The host changes it back.
    rig.engine->invalidate_code({kCodeAddress});
    rig.jump(ArmRig::kCode + 4);
    rig.engine->step_one();
    QCOMPARE(rig.get(2), std::uint64_t{2});
  }

  void an_instruction_may_change_itself() {
    ArmRig rig;
    rig.code({a64::kStoreWord, a64::branch(-1)});
    rig.set(1, ArmRig::kCode);
    rig.set(0, a64::kIncrement2);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.pc(), ArmRig::kCode + 4);
    rig.engine->invalidate_code({kCodeAddress});
    rig.engine->step_one();
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.get(2), std::uint64_t{1});
    QCOMPARE(rig.pc(), ArmRig::kCode + 4);
  }

  void host_writes_to_code_are_seen_after_invalidation() {
    ArmRig rig;
    const std::uint64_t place = ArmRig::kCode + 0xd00;  // Not in the first part of its page.
    rig.put(place, {a64::move0(1)});
    rig.jump(place);
    rig.engine->step_one();
    QVERIFY(rig.engine->holds_code({kCodeAddress}));
    for (std::uint32_t value = 2; value < 6; ++value) {
      rig.put(place, {a64::move0(value)});
      rig.engine->invalidate_code({kCodeAddress});
      rig.jump(place);
      rig.engine->step_one();
      QCOMPARE(rig.get(0), std::uint64_t{value});
    }
    rig.put(place, {a64::move0(9)});
    rig.engine->invalidate_all_code();
    rig.jump(place);
    rig.engine->step_one();
    QCOMPARE(rig.get(0), std::uint64_t{9});
  }

  void devices_are_reached_below_and_above_ram() {
    ArmRig rig;
    rig.code({a64::kLoadWord, 0xb9000422, 0x39400c20});  // ldr w0, [x1]; str w2, [x1, #4]; ldrb w0, [x1, #3]
    for (const auto& [address, frame] : {std::pair{ArmRig::kLowDevice, ArmRig::kLowDeviceFrame},
                                         std::pair{ArmRig::kHighDevice, ArmRig::kHighDeviceFrame}}) {
      for (const std::uint64_t offset : {std::uint64_t{0x80}, std::uint64_t{0xc18}}) {
        rig.client.device.clear();
        rig.jump(ArmRig::kCode);
        rig.set(1, address + offset);
        rig.set(2, 0xabcd);
        rig.client.device_value = 0x11223344;
        const std::uint64_t physical = frame * kFrameBytes + offset;
        QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
        QCOMPARE(rig.get(0), std::uint64_t{0x11223344});
        for (unsigned count = 0; count < 2; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
        QCOMPARE(rig.client.device, (std::vector<Access>{{physical, AccessKind::Read, 4, 0},
                                                         {physical + 4, AccessKind::Write, 4, 0xabcd},
                                                         {physical + 3, AccessKind::Read, 1, 0}}));
        QVERIFY(rig.client.accesses.empty());
      }
    }
  }

  void unknown_instructions_are_reported_where_they_stand() {
    ArmRig rig;
    // udf #0; brk #0; an atomic of Armv8.1 (ldadd x0, x2, [x1]); pacga x0, x1, x2; fadd h0, h0, h0
    for (const std::uint32_t word : {0x00000000U, 0xd4200000U, 0xf8200022U, 0x9ac23020U, 0x1ee02800U}) {
      rig.code({word, a64::kIncrement2});
      rig.engine->invalidate_code({kCodeAddress});
      rig.jump(ArmRig::kCode);
      rig.set(1, ArmRig::kData);
      const EngineState before = rig.engine->state();
      for (unsigned round = 0; round < 3; ++round) {
        const EngineOutcome outcome = rig.engine->step_one();
        QCOMPARE(outcome.stop, EngineStop::InvalidOpcode);
        QCOMPARE(outcome.instructions, std::uint64_t{0});
        QVERIFY(rig.engine->state() == before);
      }
      rig.jump(ArmRig::kCode + 4);
      QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    }
    QCOMPARE(rig.get(2), std::uint64_t{5});
  }

  void wild_program_counters_are_harmless() {
    ArmRig rig;
    for (const std::uint64_t pc : {std::uint64_t{0}, std::uint64_t{0x8000000000000124}, ~std::uint64_t{3},
                                   std::uint64_t{0xfffffffffff0}, std::uint64_t{0xffff000000000000}}) {
      rig.jump(pc);
      const EngineOutcome step = rig.engine->step_one();
      QCOMPARE(step.stop, EngineStop::FillRefused);
      QCOMPARE(step.refused_address.value, pc);
      const EngineOutcome run = rig.engine->run(10);
      QCOMPARE(run.stop, EngineStop::FillRefused);
      QCOMPARE(run.instructions, std::uint64_t{0});
      QCOMPARE(rig.pc(), pc);
    }
    for (const std::uint64_t device : {ArmRig::kLowDevice, ArmRig::kHighDevice}) {
      rig.jump(device);
      QCOMPARE(rig.engine->step_one().stop, EngineStop::InvalidOpcode);
      QCOMPARE(rig.engine->run(10).stop, EngineStop::InvalidOpcode);
      QCOMPARE(rig.pc(), device);
    }
    QVERIFY(rig.client.device.empty());
    rig.client.map(0xa00000, (std::uint64_t{1} << 36) - 1);  // Far outside RAM.
    rig.jump(0xa00000);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::InvalidOpcode);
  }

  void code_in_the_upper_half_of_the_address_space_runs() {
    ArmRig rig;
    const std::uint64_t upper = 0xffff000000080000;
    rig.client.map(upper, ArmRig::kCodeFrame);
    rig.code({a64::kIncrement0, a64::kLoad, a64::branch(-2)});
    rig.client.map(0xfffffffffffff000, ArmRig::kDataFrame);
    rig.memory.write({kDataAddress + 0xff8}, 8, 77);
    rig.set(1, 0xfffffffffffffff8);
    rig.jump(upper);
    for (unsigned count = 0; count < 2; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.get(0), std::uint64_t{77});
    QCOMPARE(rig.engine->run(301).instructions, std::uint64_t{301});
    QCOMPARE(rig.pc(), upper);
  }

  void the_register_file_survives_a_round_trip() {
    ArmRig rig;
    rig.code({a64::kNop});
    const EngineState state = some_state(0x1111);
    rig.engine->set_state(state);
    QVERIFY(rig.engine->state() == state);
    QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    EngineState after = state;
    after.program_counter += 4;
    QVERIFY(rig.engine->state() == after);
    for (unsigned index = 0; index < 32; ++index) QCOMPARE(rig.get(index), state.integer[index]);
    QCOMPARE(rig.engine->read(flags_register()), state.flags);
    rig.engine->write(flags_register(), ~std::uint64_t{0});
    QCOMPARE(rig.engine->read(flags_register()), std::uint64_t{0xf0000000});
    rig.engine->write(flags_register(), 0);
    QCOMPARE(rig.engine->read(flags_register()), std::uint64_t{0});
    rig.engine->write({RegisterClass::SegmentBase, 0}, 0x777000);
    QCOMPARE(rig.engine->read({RegisterClass::SegmentBase, 0}), std::uint64_t{0x777000});
    rig.engine->write({RegisterClass::VectorControl, 0}, 0x400000);
    rig.engine->write({RegisterClass::VectorControl, 1}, 0x11);
    QCOMPARE(rig.engine->read({RegisterClass::VectorControl, 0}), std::uint64_t{0x400000});
    QCOMPARE(rig.engine->read({RegisterClass::VectorControl, 1}), std::uint64_t{0x11});
  }

  void instructions_see_all_registers() {
    ArmRig rig;
    rig.code({0xd53b4200, 0xd53bd041, 0xd53b4402, 0xd53b4423, 0x910003e4, 0x9e66000a, 0xd51b421f, 0xf81f0fe5,
              0xaa1d03e6, 0xaa1e03e7});
    // mrs x0, nzcv; mrs x1, tpidr_el0; mrs x2, fpcr; mrs x3, fpsr; mov x4, sp; fmov x10, d0; msr nzcv, xzr;
    // str x5, [sp, #-16]!; mov x6, x29; mov x7, x30
    EngineState state = some_state(0x2222);
    state.program_counter = ArmRig::kCode;
    state.integer[31] = ArmRig::kStackTop;
    rig.engine->set_state(state);
    for (unsigned count = 0; count < 10; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
    QCOMPARE(rig.get(0), state.flags);
    QCOMPARE(rig.get(1), state.segment_base[0]);
    QCOMPARE(rig.get(2), state.vector_control[0]);
    QCOMPARE(rig.get(3), state.vector_control[1]);
    QCOMPARE(rig.get(4), ArmRig::kStackTop);
    QCOMPARE(rig.get(10), state.vector[0][0]);
    QCOMPARE(rig.engine->read(flags_register()), std::uint64_t{0});
    QCOMPARE(rig.get(31), ArmRig::kStackTop - 16);
    QCOMPARE(rig.load(ArmRig::kStackTop - 16, 8), state.integer[5]);
    QCOMPARE(rig.get(6), state.integer[29]);
    QCOMPARE(rig.get(7), state.integer[30]);
  }

  void two_cores_take_turns_on_one_engine() {
    // Each core has its own registers and its own mapping of the page of data.
    ArmRig rig;
    rig.code({a64::kLoad, a64::kIncrement0, a64::kStore, 0x4ea08400, a64::branch(-4)});
    // ... add v0.4s, v0.4s, v0.4s
    std::array<EngineState, 2> cores{some_state(0x10), some_state(0x20)};
    for (EngineState& core : cores) {
      core.program_counter = ArmRig::kCode;
      core.integer[1] = ArmRig::kData;
      core.vector[0] = {1, 0};
    }
    for (unsigned turn = 0; turn < 12; ++turn) {
      const unsigned core = turn % 2;
      rig.client.map(ArmRig::kData, core == 0 ? ArmRig::kDataFrame : ArmRig::kSecondDataFrame);
      rig.engine->flush_translations();
      rig.engine->set_state(cores[core]);
      const std::uint64_t round = turn / 2 + 1;
      if (turn % 4 < 2) {
        QCOMPARE(rig.engine->run(5).instructions, std::uint64_t{5});
      } else {
        for (unsigned count = 0; count < 5; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
      }
      cores[core] = rig.engine->state();
      QCOMPARE(cores[core].integer[0], round);
      QCOMPARE(cores[core].vector[0][0], std::uint64_t{1} << round);
      QCOMPARE(cores[core].integer[9], std::uint64_t{core == 0 ? 0x10U * 10 : 0x20U * 10});
    }
    QCOMPARE(rig.memory.read({kDataAddress}, 8), std::uint64_t{6});
    QCOMPARE(rig.memory.read({kSecondAddress}, 8), std::uint64_t{6});
  }

  void floating_point_keeps_its_control_and_status() {
    ArmRig rig;
    rig.code({0x1e621820});  // fdiv d0, d1, d2
    EngineState state = rig.engine->state();
    state.vector[1][0] = 0x3ff0000000000000;  // 1.0
    state.vector[2][0] = 0x4008000000000000;  // 3.0
    const auto quotient = [&](std::uint64_t control) {
      state.vector_control = {control, 0};
      rig.engine->set_state(state);
      rig.engine->step_one();
      return rig.engine->state();
    };
    const EngineState nearest = quotient(0);
    QCOMPARE(nearest.vector[0][0], std::uint64_t{0x3fd5555555555555});
    QCOMPARE(nearest.vector_control[1], std::uint64_t{0x10});                      // FPSR.IXC
    QCOMPARE(quotient(0x400000).vector[0][0], std::uint64_t{0x3fd5555555555556});  // FPCR.RMode: towards plus infinity
    state.vector[2][0] = 0;
    const EngineState infinite = quotient(0);
    QCOMPARE(infinite.vector[0][0], std::uint64_t{0x7ff0000000000000});
    QCOMPARE(infinite.vector_control[1], std::uint64_t{2});  // FPSR.DZC
  }

  void stores_are_seen_by_digests_and_snapshots() {
    ArmRig rig;
    rig.code({a64::kIncrement0, a64::kStore, a64::branch(-2)});
    rig.set(1, ArmRig::kData);
    std::set<std::uint64_t> digests;
    for (unsigned round = 0; round < 5; ++round) {
      digests.insert(rig.memory.digest());
      for (unsigned count = 0; count < 2; ++count) QCOMPARE(rig.engine->step_one().stop, EngineStop::Completed);
      const auto picture = rig.memory.snapshot();
      QCOMPARE((*picture->frame(ArmRig::kDataFrame - ArmRig::kRamFrame))[0], static_cast<std::uint8_t>(round + 1));
      rig.engine->step_one();
    }
    QCOMPARE(digests.size(), std::size_t{5});
  }

 private:
  static constexpr std::uint64_t kPageOffset = kFrameBytes - 1;

  static EngineState some_state(std::uint64_t seed) {
    EngineState state;
    state.mode = ExecutionMode::AArch64;
    for (unsigned index = 0; index < 32; ++index) state.integer[index] = seed * (index + 1);
    state.program_counter = ArmRig::kCode;
    state.flags = 0x90000000;
    state.segment_base[0] = 0x123400000000 + seed;
    for (std::uint64_t index = 0; index < 32; ++index) state.vector[index] = {index + seed, ~(index * seed)};
    state.vector_control = {0x3c00000, 0x0800009f};
    return state;
  }
};

QTEST_APPLESS_MAIN(ArmEngineStepTest)
#include "arm_engine_step_test.moc"
