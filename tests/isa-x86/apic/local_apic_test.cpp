// SPDX-License-Identifier: GPL-3.0-or-later
//
// The local APIC alone: registers, priorities, and a timer that is exact to the tick, the latter against a naive model
// that counts one tick at a time.
#include <QtTest>

#include <random>

#include "isa-x86/apic/local_apic.h"

using namespace shearling;
using namespace shearling::x86;

namespace {

struct Bench {
  VirtualTime time;
  EventLog log;
  EventStream events;
  LocalApic apic{"local APIC", time, events};
  Bench() {
    events.set_sinks(&log, nullptr);
    write(kApicSpurious, kApicSoftwareEnable | 0xff);
  }
  void write(std::uint64_t offset, std::uint64_t value) { apic.write(offset, 4, value); }
  std::uint64_t read(std::uint64_t offset) { return apic.read(offset, 4); }
  bool requested(unsigned vector) { return (read(kApicRequest + 16 * (vector / 32)) >> (vector % 32) & 1) != 0; }
  bool in_service(unsigned vector) { return (read(kApicInService + 16 * (vector / 32)) >> (vector % 32) & 1) != 0; }
  void send_to_self(unsigned vector) { write(kApicCommandLow, 1U << 18 | vector); }
  void tick(std::uint64_t ticks) {
    time.step += ticks;
    apic.advance();
  }
  unsigned requests() const { return static_cast<unsigned>(log.events.size()); }
};

constexpr unsigned kDivisors[] = {2, 4, 8, 16, 32, 64, 128, 1};
constexpr unsigned kDivideEncodings[] = {0, 1, 2, 3, 8, 9, 10, 11};

/// The timer as the manual tells it: a prescaler and a counter that goes down.
struct NaiveTimer {
  std::uint32_t initial = 0, count = 0;
  unsigned divisor = 2, prescaler = 0;
  bool periodic = false, masked = true;
  unsigned interrupts = 0;
  void set_initial(std::uint32_t value) {
    initial = count = value;
    prescaler = 0;
  }
  void tick() {
    if (count == 0 || ++prescaler < divisor) return;
    prescaler = 0;
    if (--count != 0) return;
    if (!masked) ++interrupts;
    if (periodic) count = initial;
  }
};

}  // namespace

class LocalApicTest : public QObject {
  Q_OBJECT
 private slots:
  void after_reset_everything_is_masked_and_disabled() {
    VirtualTime time;
    EventStream events;
    LocalApic apic("local APIC", time, events);
    QCOMPARE(apic.read(kApicVersion, 4), std::uint64_t{0x50014});
    QCOMPARE(apic.read(kApicSpurious, 4), std::uint64_t{0xff});
    QCOMPARE(apic.read(kApicDestinationFormat, 4), std::uint64_t{0xffffffff});
    for (const std::uint64_t entry :
         {kApicLvtTimer, kApicLvtThermal, kApicLvtPerformance, kApicLvtLint0, kApicLvtLint1, kApicLvtError})
      QCOMPARE(apic.read(entry, 4), std::uint64_t{kApicLvtMasked});
    apic.write(kApicLvtTimer, 4, 0x20);  // While the APIC is off, the mask cannot be cleared.
    QCOMPARE(apic.read(kApicLvtTimer, 4), std::uint64_t{kApicLvtMasked | 0x20});
    QVERIFY(!apic.pending_vector());
    QVERIFY(!apic.next_expiry());
  }

  void turning_the_apic_off_masks_every_local_vector() {
    Bench bench;
    bench.write(kApicLvtTimer, 0x30);
    bench.write(kApicSpurious, 0xff);
    QCOMPARE(bench.read(kApicLvtTimer), std::uint64_t{kApicLvtMasked | 0x30});
  }

  void unaligned_and_unknown_offsets_read_zero_and_keep_nothing() {
    Bench bench;
    bench.write(0x84, 0xff);
    bench.write(0x3f0, 0x12345678);
    bench.write(0x1000, 1);
    QCOMPARE(bench.read(0x84), std::uint64_t{0});
    QCOMPARE(bench.read(0x3f0), std::uint64_t{0});
    QCOMPARE(bench.read(0x1000), std::uint64_t{0});
    QCOMPARE(bench.read(kApicTaskPriority), std::uint64_t{0});
  }

  void registers_keep_their_writable_bits_only_data() {
    QTest::addColumn<std::uint64_t>("offset");
    QTest::addColumn<std::uint64_t>("kept");
    QTest::newRow("ID") << kApicId << std::uint64_t{0xff000000};
    QTest::newRow("version") << kApicVersion << std::uint64_t{0x50014};
    QTest::newRow("TPR") << kApicTaskPriority << std::uint64_t{0xff};
    QTest::newRow("LDR") << kApicLogicalDestination << std::uint64_t{0xff000000};
    QTest::newRow("DFR") << kApicDestinationFormat << std::uint64_t{0xffffffff};
    QTest::newRow("SVR") << kApicSpurious << std::uint64_t{0x1ff};
    QTest::newRow("LVT timer") << kApicLvtTimer << std::uint64_t{0x300ff};
    QTest::newRow("LVT LINT0") << kApicLvtLint0 << std::uint64_t{0x1a7ff};
    QTest::newRow("LVT error") << kApicLvtError << std::uint64_t{0x100ff};
    QTest::newRow("ISR") << kApicInService << std::uint64_t{0};
    QTest::newRow("IRR") << kApicRequest << std::uint64_t{0};
    QTest::newRow("current count") << kApicCurrentCount << std::uint64_t{0};
    QTest::newRow("divide") << kApicDivide << std::uint64_t{0xb};
    QTest::newRow("ICR high") << kApicCommandHigh << std::uint64_t{0xff000000};
  }
  void registers_keep_their_writable_bits_only() {
    QFETCH(std::uint64_t, offset);
    QFETCH(std::uint64_t, kept);
    Bench bench;
    bench.write(offset, 0xffffffff);
    QCOMPARE(bench.read(offset), kept);
  }

  void the_highest_vector_comes_first_and_end_of_interrupt_uncovers_the_next() {
    Bench bench;
    for (const unsigned vector : {0x31U, 0x52U, 0x51U, 0xa0U}) bench.send_to_self(vector);
    const auto take = [&](std::uint8_t expected) {
      QCOMPARE(bench.apic.pending_vector(), std::optional<std::uint8_t>(expected));
      bench.apic.acknowledge(expected);
      QVERIFY(bench.in_service(expected));
      QVERIFY(!bench.requested(expected));
    };
    take(0xa0);
    QVERIFY(!bench.apic.pending_vector());  // 0x52 has a lower class than 0xa0.
    QCOMPARE(bench.read(kApicProcessorPriority), std::uint64_t{0xa0});
    bench.write(kApicEoi, 0);
    take(0x52);
    QVERIFY(!bench.apic.pending_vector());  // 0x51 has the same class: it waits.
    bench.write(kApicEoi, 0);
    take(0x51);
    bench.write(kApicEoi, 0);
    take(0x31);
    bench.write(kApicEoi, 0);
    bench.write(kApicEoi, 0);  // One too many changes nothing.
    QVERIFY(!bench.apic.pending_vector());
    QCOMPARE(bench.read(kApicProcessorPriority), std::uint64_t{0});
  }

  void the_task_priority_holds_back_its_own_class_and_below() {
    Bench bench;
    bench.send_to_self(0x5f);
    bench.apic.set_task_priority(5);
    QCOMPARE(bench.read(kApicTaskPriority), std::uint64_t{0x50});
    QVERIFY(!bench.apic.pending_vector());
    bench.apic.set_task_priority(4);
    QCOMPARE(bench.apic.pending_vector(), std::optional<std::uint8_t>(0x5f));
    bench.write(kApicTaskPriority, 0x6a);
    QCOMPARE(bench.apic.task_priority(), std::uint64_t{6});
    QVERIFY(!bench.apic.pending_vector());
    QCOMPARE(bench.read(kApicProcessorPriority), std::uint64_t{0x6a});
  }

  void messages_reach_this_core_only_when_it_is_addressed_data() {
    QTest::addColumn<std::uint32_t>("high");
    QTest::addColumn<std::uint32_t>("low");
    QTest::addColumn<bool>("arrives");
    QTest::newRow("self") << 0U << (1U << 18 | 0x40U) << true;
    QTest::newRow("all with self") << 0U << (2U << 18 | 0x40U) << true;
    QTest::newRow("all but self") << 0U << (3U << 18 | 0x40U) << false;
    QTest::newRow("physical, own ID") << 0U << 0x40U << true;
    QTest::newRow("physical, another ID") << 0x01000000U << 0x40U << false;
    QTest::newRow("physical, broadcast") << 0xff000000U << 0x40U << true;
    QTest::newRow("logical, in the group") << 0x04000000U << (1U << 11 | 0x40U) << true;
    QTest::newRow("logical, another group") << 0x02000000U << (1U << 11 | 0x40U) << false;
    QTest::newRow("lowest priority") << 0U << (1U << 8 | 0x40U) << true;
    QTest::newRow("INIT") << 0U << (5U << 8 | 1U << 18 | 0x40U) << false;
  }
  void messages_reach_this_core_only_when_it_is_addressed() {
    QFETCH(std::uint32_t, high);
    QFETCH(std::uint32_t, low);
    QFETCH(bool, arrives);
    Bench bench;
    bench.write(kApicLogicalDestination, 0x04000000);
    bench.write(kApicCommandHigh, high);
    bench.write(kApicCommandLow, low);
    QCOMPARE(bench.requested(0x40), arrives);
  }

  void vectors_below_sixteen_are_errors_not_interrupts() {
    Bench bench;
    bench.write(kApicLvtError, 0x77);
    bench.send_to_self(15);
    QCOMPARE(bench.read(kApicErrorStatus), std::uint64_t{0});  // Visible after a write only.
    bench.write(kApicErrorStatus, 0);
    QCOMPARE(bench.read(kApicErrorStatus), std::uint64_t{kApicSendIllegalVector});
    QVERIFY(bench.requested(0x77));
    bench.write(kApicErrorStatus, 0);
    QCOMPARE(bench.read(kApicErrorStatus), std::uint64_t{0});
    bench.write(kApicLvtTimer, 3);
    bench.write(kApicInitialCount, 1);
    bench.tick(2);
    QVERIFY(!bench.requested(3));
    bench.write(kApicErrorStatus, 0);
    QCOMPARE(bench.read(kApicErrorStatus), std::uint64_t{kApicReceiveIllegalVector});
  }

  void a_one_shot_timer_expires_exactly_once_data() {
    QTest::addColumn<unsigned>("encoding");
    QTest::addColumn<unsigned>("divisor");
    for (unsigned row = 0; row < 8; ++row)
      QTest::addRow("divide by %u", kDivisors[row]) << kDivideEncodings[row] << kDivisors[row];
  }
  void a_one_shot_timer_expires_exactly_once() {
    QFETCH(unsigned, encoding);
    QFETCH(unsigned, divisor);
    Bench bench;
    bench.time.step = 1000;
    bench.write(kApicDivide, encoding);
    bench.write(kApicLvtTimer, 0x40);
    bench.write(kApicInitialCount, 10);
    QCOMPARE(bench.apic.next_expiry(), std::optional<std::uint64_t>(1000 + 10 * divisor));
    bench.tick(10 * divisor - 1);
    QVERIFY(!bench.requested(0x40));
    QCOMPARE(bench.read(kApicCurrentCount), std::uint64_t{1});
    bench.tick(1);
    QVERIFY(bench.requested(0x40));
    QCOMPARE(bench.requests(), 1U);
    QCOMPARE(bench.read(kApicCurrentCount), std::uint64_t{0});
    QVERIFY(!bench.apic.next_expiry());
    bench.tick(100000);
    QCOMPARE(bench.requests(), 1U);
    QCOMPARE(bench.read(kApicInitialCount), std::uint64_t{10});
  }

  void ticks_slept_count_like_instructions() {
    Bench bench;
    bench.write(kApicDivide, 11);
    bench.write(kApicLvtTimer, 0x40);
    bench.write(kApicInitialCount, 100);
    bench.time.step += 40;
    bench.time.idle += 59;
    QCOMPARE(bench.read(kApicCurrentCount), std::uint64_t{1});
    bench.time.idle += 1;
    bench.time.vmm_cycles += 5000;  // The VMM's time is none of the guest's.
    bench.apic.advance();
    QVERIFY(bench.requested(0x40));
  }

  void writing_the_initial_count_zero_stops_the_timer() {
    Bench bench;
    bench.write(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    bench.write(kApicInitialCount, 5);
    bench.tick(3);
    bench.write(kApicInitialCount, 0);
    QVERIFY(!bench.apic.next_expiry());
    QCOMPARE(bench.read(kApicCurrentCount), std::uint64_t{0});
    bench.tick(1000);
    QCOMPARE(bench.requests(), 0U);
  }

  void a_masked_timer_counts_without_interrupts() {
    Bench bench;
    bench.write(kApicDivide, 11);
    bench.write(kApicLvtTimer, kApicTimerPeriodic | kApicLvtMasked | 0x40);
    bench.write(kApicInitialCount, 10);
    QVERIFY(!bench.apic.next_expiry());
    bench.tick(34);
    QCOMPARE(bench.read(kApicCurrentCount), std::uint64_t{6});
    QCOMPARE(bench.requests(), 0U);
    bench.write(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    QCOMPARE(bench.apic.next_expiry(), std::optional<std::uint64_t>(40));
    bench.tick(6);
    QCOMPARE(bench.requests(), 1U);
  }

  void several_expirations_that_nobody_saw_are_one_request() {
    Bench bench;
    bench.write(kApicDivide, 11);
    bench.write(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    bench.write(kApicInitialCount, 10);
    bench.tick(57);
    QCOMPARE(bench.requests(), 1U);
    QCOMPARE(bench.apic.next_expiry(), std::optional<std::uint64_t>(60));
  }

  void a_finished_one_shot_timer_stays_finished_when_it_is_made_periodic() {
    Bench bench;
    bench.write(kApicDivide, 11);
    bench.write(kApicLvtTimer, 0x40);
    bench.write(kApicInitialCount, 10);
    bench.tick(10);
    bench.write(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    QVERIFY(!bench.apic.next_expiry());
    bench.tick(100);
    QCOMPARE(bench.requests(), 1U);
  }

  void the_timer_agrees_with_a_naive_model_tick_by_tick() {
    constexpr std::uint32_t seed = 20241;
    qInfo("seed %u", seed);
    std::mt19937 generator(seed);
    const auto random = [&] { return static_cast<unsigned>(generator()); };
    for (unsigned round = 0; round < 300; ++round) {
      Bench bench;
      NaiveTimer naive;
      const unsigned divide = random() % 8;
      bench.write(kApicDivide, kDivideEncodings[divide]);
      naive.divisor = kDivisors[divide];
      naive.periodic = random() % 2 == 0;
      naive.masked = random() % 5 == 0;
      bench.write(kApicLvtTimer,
                  0x40 | (naive.periodic ? kApicTimerPeriodic : 0) | (naive.masked ? kApicLvtMasked : 0));
      for (unsigned action = 0; action < 20; ++action) {
        switch (random() % 4) {
          case 0: {
            const std::uint32_t count = random() % 40;
            bench.write(kApicInitialCount, count);
            naive.set_initial(count);
            break;
          }
          case 1:
            naive.masked = !naive.masked;
            bench.write(kApicLvtTimer,
                        0x40 | (naive.periodic ? kApicTimerPeriodic : 0) | (naive.masked ? kApicLvtMasked : 0));
            break;
          default:
            break;
        }
        for (unsigned ticks = random() % 200; ticks != 0; --ticks) {
          const unsigned before = naive.interrupts;
          const auto expiry = bench.apic.next_expiry();
          bench.tick(1);
          naive.tick();
          QCOMPARE(bench.read(kApicCurrentCount), std::uint64_t{naive.count});
          QCOMPARE(bench.requests(), naive.interrupts);
          QCOMPARE(expiry == bench.time.guest_ticks(), naive.interrupts != before);
        }
      }
    }
  }

  void a_restored_apic_goes_on_as_the_saved_one() {
    Bench bench;
    bench.write(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    bench.write(kApicInitialCount, 33);
    bench.send_to_self(0x81);
    bench.send_to_self(7);
    bench.tick(50);
    std::vector<std::uint8_t> saved;
    Writer writer(saved);
    bench.apic.save(writer);
    LocalApic copy("local APIC", bench.time, bench.events);
    Reader reader(saved);
    copy.load(reader);
    QVERIFY(reader.at_end());
    for (unsigned round = 0; round < 50; ++round) {
      bench.tick(7);
      copy.advance();
      for (std::uint64_t offset = 0; offset < 0x400; offset += 16) QCOMPARE(copy.read(offset, 4), bench.read(offset));
      QCOMPARE(copy.next_expiry(), bench.apic.next_expiry());
      QCOMPARE(copy.pending_vector(), bench.apic.pending_vector());
    }
  }
};

QTEST_APPLESS_MAIN(LocalApicTest)
#include "local_apic_test.moc"
