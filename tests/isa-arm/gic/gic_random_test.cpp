// SPDX-License-Identifier: GPL-3.0-or-later
//
// The interrupt controller beside a naive one, both driven by the same random accesses from several cores: after each,
// what every core sees must be the same, and after some, every register. Requests must be told exactly when something
// becomes pending.
#include <QtTest>
#include <random>
#include <set>

#include "tests/isa-arm/gic/gic_bench.h"
#include "tests/isa-arm/gic/naive_gic.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;
using Register = SystemRegister;

namespace {

constexpr unsigned kCores = 3;
constexpr std::array<unsigned, 14> kInterrupts{0, 1, 2, 15, 16, 25, 27, 30, 32, 33, 63, 64, 150, 287};

Register list_register_at(unsigned index) {
  return static_cast<Register>(static_cast<unsigned>(Register::ICH_LR0_EL2) + index);
}
Register of_group(unsigned group, Register group0, Register group1) { return group == 0 ? group0 : group1; }

class Pair {
 public:
  explicit Pair(std::uint32_t seed) : bench(kCores), naive(kCores), random_(seed) {
    for (unsigned cpu = 0; cpu < kCores; ++cpu) wake(cpu, true);
    naive.group_on[0] = naive.group_on[1] = true;
    bench.set_distributor(kControl, 3);
    for (unsigned cpu = 0; cpu < kCores; ++cpu) {
      for (unsigned number : kInterrupts) enable(cpu, number, true);
      for (const bool guest : {false, true}) {
        set_mask(cpu, guest, 0xf8);
        set_group_on(cpu, guest, 0, true);
        set_group_on(cpu, guest, 1, true);
      }
      set_hypervisor_control(cpu, 1);
    }
    bench.log.events.clear();
  }

  void act() {
    const unsigned cpu = below(kCores), number = kInterrupts[below(kInterrupts.size())];
    switch (below(20)) {
      case 0:
        return change_bits(cpu, number);
      case 1:
        return configure(cpu, number);
      case 2:
      case 3:
        return send(cpu);
      case 4:
      case 5:
        return move_line(cpu, number);
      case 6:
        return change_interface(cpu, chance(50));
      case 7:
      case 8:
      case 9:
        return acknowledge(cpu);
      case 10:
      case 11:
        return end(cpu);
      case 12:
      case 13:
      case 14:
        return fill_list_register(cpu);
      case 15:
      case 16:
        return guest_acknowledge(cpu);
      case 17:
      case 18:
        return guest_end(cpu);
      default:
        return chance(50) ? settle(cpu) : set_hypervisor_control(cpu, random_() & 0xf80000ff);
    }
  }

  void compare_signals() {
    for (unsigned cpu = 0; cpu < kCores; ++cpu) {
      const auto taken = naive.signalled(cpu);
      QCOMPARE(bench.gic.irq(cpu), taken && taken->group == 1);
      QCOMPARE(bench.gic.fiq(cpu), taken && taken->group == 0);
      QCOMPARE(bench.gic.pending_interrupt(cpu),
               taken ? std::optional<unsigned>(taken->number) : std::optional<unsigned>());
      const int entry = naive.signalled_entry(cpu);
      QCOMPARE(bench.gic.virtual_irq(cpu), entry >= 0 && naive.core(cpu).list[entry].group == 1);
      QCOMPARE(bench.gic.virtual_fiq(cpu), entry >= 0 && naive.core(cpu).list[entry].group == 0);
    }
  }

  void compare_everything() {
    for (unsigned cpu = 0; cpu < kCores; ++cpu) {
      for (const unsigned number : kInterrupts) {
        const NaiveInterrupt& it = naive.interrupt(cpu, number);
        QCOMPARE(bench.bit(kSetPending, number, cpu), it.pending());
        QCOMPARE(bench.bit(kClearActive, number, cpu), it.active);
        QCOMPARE(bench.bit(kClearEnable, number, cpu), it.enabled);
        QCOMPARE(bench.bit(kGroup, number, cpu), it.group == 1);
      }
      compare_interface(cpu, false);
      compare_interface(cpu, true);
      compare_hypervisor(cpu);
    }
  }

  GicBench bench;
  NaiveGic naive;
  unsigned acknowledged = 0, acknowledged_by_guests = 0;

 private:
  std::uint32_t below(std::size_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  bool chance(unsigned percent) { return below(100) < percent; }
  unsigned random_priority() { return chance(70) ? 0x60 + 8 * below(6) : 8 * below(32); }
  NaiveInterface& interface(unsigned cpu, bool guest) {
    return guest ? naive.core(cpu).guest : naive.core(cpu).physical;
  }

  // --- the same to both ----------------------------------------------------------------------------------------------

  void wake(unsigned cpu, bool awake) {
    naive.core(cpu).awake = awake;
    bench.set_redistributor(cpu, kWaker, awake ? 0 : 2);
  }
  void enable(unsigned cpu, unsigned number, bool on) {
    naive.interrupt(cpu, number).enabled = on;
    bench.set_bit(on ? kSetEnable : kClearEnable, number, cpu);
  }
  void set_interface(unsigned cpu, bool guest, Register reg, std::uint64_t value) {
    bench.gic.write_cpu_interface(cpu, reg, value, guest);
    naive.move_maintenance_line(cpu);
  }
  void set_mask(unsigned cpu, bool guest, unsigned mask) {
    interface(cpu, guest).mask = mask & 0xf8;
    set_interface(cpu, guest, Register::ICC_PMR_EL1, mask);
  }
  void set_group_on(unsigned cpu, bool guest, unsigned group, bool on) {
    interface(cpu, guest).on[group] = on;
    set_interface(cpu, guest, of_group(group, Register::ICC_IGRPEN0_EL1, Register::ICC_IGRPEN1_EL1), on ? 1 : 0);
  }
  void set_control(unsigned cpu, bool guest, unsigned value) {
    interface(cpu, guest).common = (value & 1) != 0;
    interface(cpu, guest).split = (value & 2) != 0;
    set_interface(cpu, guest, Register::ICC_CTLR_EL1, value);
  }
  void set_binary_point(unsigned cpu, bool guest, unsigned group, unsigned value) {
    interface(cpu, guest).set_binary_point(group, value);
    set_interface(cpu, guest, of_group(group, Register::ICC_BPR0_EL1, Register::ICC_BPR1_EL1), value);
  }
  void set_hypervisor_control(unsigned cpu, std::uint64_t value) {
    NaiveCore& core = naive.core(cpu);
    core.virtual_on = (value & 1) != 0;
    for (unsigned which = 1; which < 8; ++which) core.told[which] = (value >> which & 1) != 0;
    core.ends_without_entry = static_cast<unsigned>(value >> 27 & 31);
    bench.set_hypervisor(Register::ICH_HCR_EL2, value, cpu);
    naive.move_maintenance_line(cpu);
  }

  void change_bits(unsigned cpu, unsigned number) {
    NaiveInterrupt& it = naive.interrupt(cpu, number);
    switch (below(8)) {
      case 0:
      case 1:
        return enable(cpu, number, true);
      case 2:
        return enable(cpu, number, false);
      case 3:
      case 4:
        it.latched = true;
        return bench.set_bit(kSetPending, number, cpu);
      case 5:
        it.latched = false;
        return bench.set_bit(kClearPending, number, cpu);
      case 6:
        it.active = true;
        return bench.set_bit(kSetActive, number, cpu);
      default:
        it.active = false;
        return bench.set_bit(kClearActive, number, cpu);
    }
  }

  void configure(unsigned cpu, unsigned number) {
    NaiveInterrupt& it = naive.interrupt(cpu, number);
    switch (below(6)) {
      case 0:
        it.priority = random_priority();
        return bench.set_priority(number, it.priority | below(8), cpu);
      case 1:
        it.group = below(2);
        return bench.set_group(number, it.group, cpu);
      case 2: {
        const bool edge = chance(50);
        if (number >= 16) it.edge = edge;
        return bench.set_edge(number, edge, cpu);
      }
      case 3:
        if (number < 32) return;
        it.route = below(kCores + 1);
        return bench.set_distributor(router_of(number), it.route, 8);
      case 4: {
        const unsigned on = chance(70) ? 3 : below(4);
        naive.group_on[0] = (on & 1) != 0;
        naive.group_on[1] = (on & 2) != 0;
        return bench.set_distributor(kControl, on);
      }
      default:
        return wake(cpu, chance(70));
    }
  }

  void send(unsigned cpu) {
    const unsigned number = chance(50) ? below(3) : 15, group = below(2), targets = below(16);
    const bool all_others = chance(20);
    naive.send(cpu, number, group, all_others, targets);
    bench.set_physical(of_group(group, Register::ICC_SGI0R_EL1, Register::ICC_SGI1R_EL1),
                       (all_others ? 1ULL << 40 : 0) | std::uint64_t{number} << 24 | targets, cpu);
  }

  void move_line(unsigned cpu, unsigned number) {
    if (number < 16 || number == kMaintenanceInterrupt) return;
    const bool level = chance(50);
    naive.set_line(cpu, number, level);
    if (number < 32)
      bench.gic.set_private_line(cpu, number, level);
    else
      bench.gic.set_shared_line(number - 32, level);
  }

  void change_interface(unsigned cpu, bool guest) {
    switch (below(6)) {
      case 0:
        return set_mask(cpu, guest, chance(50) ? 0xf8 : random_priority() | below(8));
      case 1:
        return set_group_on(cpu, guest, below(2), chance(70));
      case 2:
        return set_control(cpu, guest, below(4));
      case 3:
        return set_binary_point(cpu, guest, 0, below(8));
      case 4:
        return set_binary_point(cpu, guest, 1, below(8));
      default:
        return set_mask(cpu, guest, 0xf8);
    }
  }

  /// Nothing runs, nothing is active, everything is open.
  void settle(unsigned cpu) {
    for (const bool guest : {false, true}) {
      interface(cpu, guest).running.clear();
      set_interface(cpu, guest, Register::ICC_AP0R0_EL1, 0);
      set_interface(cpu, guest, Register::ICC_AP1R0_EL1, 0);
      set_mask(cpu, guest, 0xf8);
      set_control(cpu, guest, 0);
      set_binary_point(cpu, guest, 0, 0);
      set_binary_point(cpu, guest, 1, 0);
      set_group_on(cpu, guest, 0, true);
      set_group_on(cpu, guest, 1, true);
    }
    for (const unsigned number : kInterrupts) {
      naive.interrupt(cpu, number).active = false;
      bench.set_bit(kClearActive, number, cpu);
    }
    set_hypervisor_control(cpu, 1);
    wake(cpu, true);
    naive.group_on[0] = naive.group_on[1] = true;
    bench.set_distributor(kControl, 3);
  }

  void acknowledge(unsigned cpu) {
    const unsigned group = bench.gic.fiq(cpu) != chance(10) ? 0 : 1;
    const unsigned number = naive.acknowledge(cpu, group);
    QCOMPARE(bench.physical(of_group(group, Register::ICC_IAR0_EL1, Register::ICC_IAR1_EL1), cpu),
             std::uint64_t{number});
    if (number == kSpuriousInterrupt) return;
    ++acknowledged;
    running_[cpu].push_back(number);
  }

  void end(unsigned cpu) {
    unsigned number = chance(5) ? 600 : kInterrupts[below(kInterrupts.size())];
    if (!running_[cpu].empty() && chance(80)) {
      number = running_[cpu].back();
      running_[cpu].pop_back();
    }
    for (unsigned group = 0; group < 2; ++group) {
      naive.end(cpu, group, number);
      bench.set_physical(of_group(group, Register::ICC_EOIR0_EL1, Register::ICC_EOIR1_EL1), number, cpu);
    }
    if (chance(40)) return;
    naive.deactivate(cpu, number);
    bench.set_physical(Register::ICC_DIR_EL1, number, cpu);
  }

  void fill_list_register(unsigned cpu) {
    const unsigned index = below(kListRegisters), state = chance(60) ? 1 : below(4);
    NaiveListRegister entry{.number = 100 + below(6),
                            .priority = random_priority(),
                            .group = below(2),
                            .physical = 0,
                            .pending = (state & 1) != 0,
                            .active = (state & 2) != 0,
                            .hardware = chance(40),
                            .tell_end = false};
    if (entry.hardware)
      entry.physical = chance(10) ? 500 : kInterrupts[below(kInterrupts.size())];
    else
      entry.tell_end = chance(50);
    naive.core(cpu).list[index] = entry;
    bench.set_hypervisor(list_register_at(index), value_of(entry), cpu);
    naive.move_maintenance_line(cpu);
  }

  static std::uint64_t value_of(const NaiveListRegister& entry) {
    return entry.number | std::uint64_t{entry.physical} << 32 | (entry.tell_end ? 1ULL << 41 : 0) |
           std::uint64_t{entry.priority} << 48 | std::uint64_t{entry.group} << 60 | (entry.hardware ? 1ULL << 61 : 0) |
           (entry.pending ? 1ULL << 62 : 0) | (entry.active ? 1ULL << 63 : 0);
  }

  void guest_acknowledge(unsigned cpu) {
    const unsigned group = bench.gic.virtual_fiq(cpu) != chance(10) ? 0 : 1;
    const unsigned number = naive.guest_acknowledge(cpu, group);
    naive.move_maintenance_line(cpu);
    QCOMPARE(bench.guest(of_group(group, Register::ICC_IAR0_EL1, Register::ICC_IAR1_EL1), cpu), std::uint64_t{number});
    if (number != kSpuriousInterrupt) ++acknowledged_by_guests;
  }

  void guest_end(unsigned cpu) {
    const unsigned number = 100 + below(7), group = below(2);
    naive.guest_end(cpu, group, number);
    naive.move_maintenance_line(cpu);
    bench.set_guest(of_group(group, Register::ICC_EOIR0_EL1, Register::ICC_EOIR1_EL1), number, cpu);
    if (chance(50)) return;
    naive.guest_deactivate(cpu, number);
    naive.move_maintenance_line(cpu);
    bench.set_guest(Register::ICC_DIR_EL1, number, cpu);
  }

  // --- comparing -----------------------------------------------------------------------------------------------------

  void compare_interface(unsigned cpu, bool guest) {
    const NaiveInterface& it = interface(cpu, guest);
    const auto read = [&](Register reg) { return bench.gic.read_cpu_interface(cpu, reg, guest); };
    QCOMPARE(read(Register::ICC_RPR_EL1), std::uint64_t{it.running_priority()});
    QCOMPARE(read(Register::ICC_PMR_EL1), std::uint64_t{it.mask});
    QCOMPARE(read(Register::ICC_BPR0_EL1), std::uint64_t{it.seen_binary_point(0)});
    QCOMPARE(read(Register::ICC_BPR1_EL1), std::uint64_t{it.seen_binary_point(1)});
    std::uint64_t active[2] = {0, 0};
    for (const NaiveInterface::Running& each : it.running) active[each.group] |= 1ULL << (each.priority / 8);
    QCOMPARE(read(Register::ICC_AP0R0_EL1), active[0]);
    QCOMPARE(read(Register::ICC_AP1R0_EL1), active[1]);
    for (unsigned group = 0; group < 2; ++group) {
      unsigned highest = kSpuriousInterrupt;
      if (guest) {
        const int entry = naive.most_urgent_entry(cpu);
        if (entry >= 0 && naive.core(cpu).list[entry].group == group) highest = naive.core(cpu).list[entry].number;
      } else if (const auto urgent = naive.most_urgent(cpu); urgent && urgent->group == group) {
        highest = urgent->number;
      }
      QCOMPARE(read(of_group(group, Register::ICC_HPPIR0_EL1, Register::ICC_HPPIR1_EL1)), std::uint64_t{highest});
    }
  }

  void compare_hypervisor(unsigned cpu) {
    std::uint64_t free = 0, ended = 0;
    for (unsigned index = 0; index < kListRegisters; ++index) {
      const NaiveListRegister& entry = naive.core(cpu).list[index];
      QCOMPARE(bench.hypervisor(list_register_at(index), cpu), value_of(entry));
      const bool valid = entry.pending || entry.active, tells = !entry.hardware && entry.tell_end;
      free |= !valid && !tells ? 1U << index : 0;
      ended |= !valid && tells ? 1U << index : 0;
    }
    QCOMPARE(bench.hypervisor(Register::ICH_ELRSR_EL2, cpu), free);
    QCOMPARE(bench.hypervisor(Register::ICH_EISR_EL2, cpu), ended);
    QCOMPARE(bench.hypervisor(Register::ICH_MISR_EL2, cpu), std::uint64_t{naive.maintenance_status(cpu)});
    QCOMPARE(bench.hypervisor(Register::ICH_HCR_EL2, cpu) >> 27, std::uint64_t{naive.core(cpu).ends_without_entry});
  }

  std::mt19937 random_;
  std::vector<unsigned> running_[kCores];
};

}  // namespace

class GicRandomTest : public QObject {
  Q_OBJECT
 private slots:
  void every_core_sees_what_the_naive_controller_shows_data() {
    QTest::addColumn<std::uint32_t>("seed");
    for (const std::uint32_t seed : {1U, 2U, 3U, 4U}) QTest::addRow("seed %u", seed) << seed;
  }
  void every_core_sees_what_the_naive_controller_shows() {
    QFETCH(std::uint32_t, seed);
    Pair pair(seed);
    for (unsigned action = 0; action < 20000; ++action) {
      pair.act();
      if (!QTest::currentTestFailed()) pair.compare_signals();
      if (!QTest::currentTestFailed() && action % 10 == 0) pair.compare_everything();
      if (QTest::currentTestFailed()) {
        qInfo("seed %u, action %u", seed, action);
        return;
      }
    }
    qInfo("%u interrupts acknowledged, %u by guests", pair.acknowledged, pair.acknowledged_by_guests);
    QVERIFY(pair.acknowledged > 300 && pair.acknowledged_by_guests > 300);
  }

  void what_becomes_pending_is_told_and_nothing_else() {
    constexpr std::uint32_t kSeed = 77;
    qInfo("seed %u", kSeed);
    Pair pair(kSeed);
    for (unsigned action = 0; action < 3000; ++action) {
      pair.bench.log.events.clear();
      const auto before = pending(pair);
      pair.act();
      const auto now = pending(pair);
      std::multiset<unsigned> told, expected;
      for (const auto& request : pair.bench.take<InterruptRequested>()) {
        if (request.source.substr(0, 4) != "list") told.insert(request.vector);
      }
      for (const auto& each : now) {
        if (!before.contains(each)) expected.insert(each.second);
      }
      told.erase(kMaintenanceInterrupt);  // One action may raise its line more than once.
      expected.erase(kMaintenanceInterrupt);
      QVERIFY(told == expected);
    }
  }

 private:
  /// Core and number; shared ones under core 0.
  static std::set<std::pair<unsigned, unsigned>> pending(Pair& pair) {
    std::set<std::pair<unsigned, unsigned>> found;
    for (const unsigned number : kInterrupts) {
      for (unsigned cpu = 0; cpu < (number < 32 ? kCores : 1); ++cpu) {
        if (pair.naive.interrupt(cpu, number).pending()) found.insert({cpu, number});
      }
    }
    return found;
  }
};

QTEST_APPLESS_MAIN(GicRandomTest)
#include "gic_random_test.moc"
