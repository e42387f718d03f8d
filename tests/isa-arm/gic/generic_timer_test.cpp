// SPDX-License-Identifier: GPL-3.0-or-later
//
// The generic timer of a core: registers, lines, and an expiry that is exact to the tick, the latter against a clock
// that is moved one tick at a time.
#include <QtTest>
#include <random>

#include "isa-arm/gic/generic_timer.h"
#include "tests/isa-arm/gic/gic_bench.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;
using Register = SystemRegister;

namespace {

constexpr std::uint64_t kEnable = 1, kMask = 2, kStatus = 4;

struct TimerRegisters {
  const char* name;
  Register control, compare, value;
  unsigned interrupt;
};
constexpr std::array kTimers{TimerRegisters{"EL1 physical", Register::CNTP_CTL_EL0, Register::CNTP_CVAL_EL0,
                                            Register::CNTP_TVAL_EL0, kPhysicalTimerInterrupt},
                             TimerRegisters{"EL1 virtual", Register::CNTV_CTL_EL0, Register::CNTV_CVAL_EL0,
                                            Register::CNTV_TVAL_EL0, kVirtualTimerInterrupt},
                             TimerRegisters{"EL2 physical", Register::CNTHP_CTL_EL2, Register::CNTHP_CVAL_EL2,
                                            Register::CNTHP_TVAL_EL2, kHypervisorTimerInterrupt},
                             TimerRegisters{"EL2 virtual", Register::CNTHV_CTL_EL2, Register::CNTHV_CVAL_EL2,
                                            Register::CNTHV_TVAL_EL2, kHypervisorVirtualTimerInterrupt}};

struct TimerBench : GicBench {
  ArmState state;
  VirtualTime time;
  GenericTimer timer{1, state, time, gic};
  bool line(unsigned interrupt) { return bit(kSetPending, interrupt, 1); }
  void tick(std::uint64_t ticks) {
    time.step += ticks;
    timer.advance();
  }
};

}  // namespace

class GenericTimerTest : public QObject {
  Q_OBJECT
 private slots:
  void each_timer_raises_its_own_line_while_its_condition_holds_data() {
    QTest::addColumn<unsigned>("which");
    for (unsigned which = 0; which < kTimers.size(); ++which) QTest::newRow(kTimers[which].name) << which;
  }
  void each_timer_raises_its_own_line_while_its_condition_holds() {
    QFETCH(unsigned, which);
    const TimerRegisters& it = kTimers[which];
    TimerBench bench;
    bench.time.step = 1000;
    bench.timer.write(it.compare, 1010);
    bench.timer.write(it.control, kEnable);
    QCOMPARE(bench.timer.next_expiry(), std::optional<std::uint64_t>(1010));
    QCOMPARE(bench.timer.read(it.value), std::uint64_t{10});
    bench.tick(9);
    QVERIFY(!bench.line(it.interrupt));
    QCOMPARE(bench.timer.read(it.control), kEnable);
    bench.tick(1);
    for (const TimerRegisters& each : kTimers) QCOMPARE(bench.line(each.interrupt), each.interrupt == it.interrupt);
    QCOMPARE(bench.timer.read(it.control), kEnable | kStatus);
    QVERIFY(!bench.timer.next_expiry());
    QCOMPARE(bench.take<InterruptRequested>().size(), std::size_t{1});
    bench.timer.write(it.control, kEnable | kMask);  // The condition holds, the line is low.
    QVERIFY(!bench.line(it.interrupt));
    QCOMPARE(bench.timer.read(it.control), kEnable | kMask | kStatus);
    bench.timer.write(it.control, kEnable);
    QVERIFY(bench.line(it.interrupt));
    bench.timer.write(it.compare, 1011);  // Moved on: the level falls by itself.
    QVERIFY(!bench.line(it.interrupt));
    bench.timer.write(it.control, 0);
    bench.tick(100);
    QVERIFY(!bench.line(it.interrupt));
    QCOMPARE(bench.timer.read(it.control), std::uint64_t{0});
    QVERIFY(!bench.bit(kSetPending, it.interrupt, 0));  // The other core's is another.
  }

  void a_timer_value_is_signed_and_counts_down() {
    for (const TimerRegisters& it : kTimers) {
      TimerBench bench;
      bench.time.step = 5'000'000'000;
      bench.timer.write(it.value, 100);
      QCOMPARE(bench.timer.read(it.compare), std::uint64_t{5'000'000'100});
      bench.tick(101);
      QCOMPARE(bench.timer.read(it.value), std::uint64_t{0xffffffff});
      bench.timer.write(it.value, 0xdeadbeef'fffffff0);  // -16; the high half is ignored.
      QCOMPARE(bench.timer.read(it.compare), std::uint64_t{5'000'000'101 - 16});
    }
  }

  void counters_count_ticks_slept_and_what_the_vmm_did() {
    TimerBench bench;
    bench.time = {.step = 100, .idle = 20, .vmm_cycles = 3};
    QCOMPARE(bench.timer.read(Register::CNTPCT_EL0), std::uint64_t{123});
    bench.timer.write(Register::CNTVOFF_EL2, 3);
    QCOMPARE(bench.timer.read(Register::CNTVCT_EL0), std::uint64_t{120});
    bench.timer.write(Register::CNTPCT_EL0, 7);  // Read only.
    QCOMPARE(bench.timer.physical_count(), std::uint64_t{123});
  }

  void cycles_of_the_vmm_bring_an_expiry_nearer() {
    TimerBench bench;
    bench.timer.write(Register::CNTP_CVAL_EL0, 100);
    bench.timer.write(Register::CNTP_CTL_EL0, kEnable);
    QCOMPARE(bench.timer.next_expiry(), std::optional<std::uint64_t>(100));
    bench.time.vmm_cycles = 30;
    QCOMPARE(bench.timer.next_expiry(), std::optional<std::uint64_t>(70));
    bench.time.vmm_cycles = 100;
    bench.timer.advance();
    QVERIFY(bench.line(kPhysicalTimerInterrupt));
  }

  void an_offset_hides_the_time_of_the_vmm_from_the_guests_timer() {
    TimerBench bench;
    bench.timer.write(Register::CNTV_CVAL_EL0, 100);
    bench.timer.write(Register::CNTV_CTL_EL0, kEnable);
    bench.time.step = 50;
    bench.time.vmm_cycles = 4000;
    bench.timer.write(Register::CNTVOFF_EL2, 4000);
    QCOMPARE(bench.timer.virtual_count(), std::uint64_t{50});
    QVERIFY(!bench.line(kVirtualTimerInterrupt));
    QCOMPARE(bench.timer.next_expiry(), std::optional<std::uint64_t>(100));
    bench.tick(50);
    QVERIFY(bench.line(kVirtualTimerInterrupt));
  }

  void in_host_mode_the_virtual_counter_has_no_offset_data() {
    QTest::addColumn<unsigned>("level");
    QTest::addColumn<bool>("e2h");
    QTest::addColumn<bool>("tge");
    QTest::addColumn<bool>("hidden");
    QTest::newRow("EL2") << 2U << false << false << false;
    QTest::newRow("EL2, E2H") << 2U << true << false << true;
    QTest::newRow("EL1, E2H") << 1U << true << false << false;
    QTest::newRow("EL0, E2H") << 0U << true << false << false;
    QTest::newRow("EL0, E2H and TGE") << 0U << true << true << true;
    QTest::newRow("EL0, TGE") << 0U << false << true << false;
  }
  void in_host_mode_the_virtual_counter_has_no_offset() {
    QFETCH(unsigned, level);
    QFETCH(bool, e2h);
    QFETCH(bool, tge);
    QFETCH(bool, hidden);
    TimerBench bench;
    bench.time.step = 500;
    bench.state[Register::CNTVOFF_EL2] = 100;
    bench.state[Register::HCR_EL2] = (e2h ? hcr::kE2h : 0) | (tge ? hcr::kTge : 0);
    bench.state.exception_level = level;
    QCOMPARE(bench.timer.read(Register::CNTVCT_EL0), std::uint64_t{hidden ? 500U : 400U});
    // The guest's timer keeps its offset whoever looks on.
    bench.timer.write(Register::CNTV_CVAL_EL0, 450);
    bench.timer.write(Register::CNTV_CTL_EL0, kEnable);
    QCOMPARE(bench.timer.next_expiry(), std::optional<std::uint64_t>(550));
  }

  void comparisons_are_unsigned_up_to_the_last_value() {
    TimerBench bench;
    bench.time.step = 10;
    bench.timer.write(Register::CNTP_CVAL_EL0, ~0ULL);
    bench.timer.write(Register::CNTP_CTL_EL0, kEnable);
    QVERIFY(!bench.line(kPhysicalTimerInterrupt));
    QVERIFY(bench.timer.next_expiry() == ~0ULL);
    bench.timer.write(Register::CNTV_CVAL_EL0, ~0ULL);
    bench.timer.write(Register::CNTV_CTL_EL0, kEnable);
    bench.timer.write(Register::CNTVOFF_EL2, 20);  // The virtual counter stands before its wrap-around.
    QCOMPARE(bench.timer.virtual_count(), ~0ULL - 9);
    QCOMPARE(bench.timer.next_expiry(), std::optional<std::uint64_t>(19));
    bench.tick(9);
    QVERIFY(bench.line(kVirtualTimerInterrupt));
    bench.tick(1);  // Wrapped around: zero is less than the value.
    QVERIFY(!bench.line(kVirtualTimerInterrupt));
  }

  void an_expiry_beyond_the_end_of_guest_time_never_comes() {
    TimerBench bench;
    bench.time.step = 10;
    bench.timer.write(Register::CNTVOFF_EL2, 11);  // The virtual counter reads 2^64 - 1.
    bench.timer.write(Register::CNTV_CVAL_EL0, ~0ULL);
    bench.timer.write(Register::CNTV_CTL_EL0, kEnable);
    QVERIFY(bench.line(kVirtualTimerInterrupt));
    bench.timer.write(Register::CNTVOFF_EL2, 10);  // Zero: the value is a whole turn away.
    QVERIFY(!bench.line(kVirtualTimerInterrupt));
    QVERIFY(!bench.timer.next_expiry());
  }

  void lines_and_expiry_agree_with_a_clock_moved_tick_by_tick() {
    constexpr std::uint32_t kSeed = 4711;
    qInfo("seed %u", kSeed);
    std::mt19937 random(kSeed);
    const auto below = [&](unsigned bound) { return static_cast<std::uint64_t>(random() % bound); };
    unsigned expiries = 0;
    for (unsigned round = 0; round < 400; ++round) {
      TimerBench bench;
      bench.time = {.step = below(1000), .idle = below(1000), .vmm_cycles = below(1000)};
      const std::uint64_t now = bench.timer.physical_count();
      bench.timer.write(Register::CNTVOFF_EL2, below(3) == 0 ? now + below(50) : below(1000));
      for (const TimerRegisters& it : kTimers) {
        const std::uint64_t count = it.control == Register::CNTV_CTL_EL0 ? bench.timer.virtual_count() : now;
        bench.timer.write(it.compare, below(10) == 0 ? ~0ULL - below(50) : count - 10 + below(60));
        bench.timer.write(it.control, below(4) == 0 ? below(4) : kEnable);
      }
      const auto expiry = bench.timer.next_expiry();
      const auto conditions = [&] {
        std::array<bool, kTimers.size()> hold{};
        for (std::size_t index = 0; index < kTimers.size(); ++index) {
          const std::uint64_t count = index == 1 ? bench.timer.virtual_count() : bench.timer.physical_count();
          const bool armed = (bench.timer.read(kTimers[index].control) & 3) == kEnable;
          hold[index] = armed && count >= bench.timer.read(kTimers[index].compare);
        }
        return hold;
      };
      const auto first = conditions();
      for (unsigned tick = 0; tick < 120; ++tick) {
        const auto hold = conditions();
        bool begun = false;
        for (std::size_t index = 0; index < kTimers.size(); ++index) {
          QCOMPARE(bench.line(kTimers[index].interrupt), hold[index]);
          begun = begun || (hold[index] && !first[index]);
        }
        QCOMPARE(begun, expiry.has_value() && *expiry <= bench.time.guest_ticks());
        if (begun) {
          ++expiries;
          break;
        }
        bench.tick(1);
      }
    }
    QVERIFY(expiries > 200);
  }
};

QTEST_APPLESS_MAIN(GenericTimerTest)
#include "generic_timer_test.moc"
