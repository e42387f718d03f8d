// SPDX-License-Identifier: GPL-3.0-or-later
//
// Rule by rule: what IHI 0069 says of states, priorities, groups, routing, SGIs, list registers and the maintenance
// interrupt, each on the controller alone.
#include <QtTest>

#include "tests/isa-arm/gic/gic_bench.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;
using Register = SystemRegister;

namespace {

constexpr std::uint64_t kPending = 1ULL << 62, kActive = 1ULL << 63, kHardware = 1ULL << 61, kGroup1 = 1ULL << 60,
                        kTellEnd = 1ULL << 41;
std::uint64_t entry(unsigned number, unsigned priority, std::uint64_t flags, unsigned physical = 0) {
  return number | std::uint64_t{physical} << 32 | std::uint64_t{priority} << 48 | flags;
}

/// Everything open, at the virtual interface too.
struct OpenBench : GicBench {
  explicit OpenBench(unsigned cpus = 2) : GicBench(cpus) {
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
      open(cpu);
      set_guest(Register::ICC_PMR_EL1, 0xff, cpu);
      set_guest(Register::ICC_IGRPEN0_EL1, 1, cpu);
      set_guest(Register::ICC_IGRPEN1_EL1, 1, cpu);
      set_hypervisor(Register::ICH_HCR_EL2, 1, cpu);
    }
    log.events.clear();
  }
  std::uint64_t acknowledge(unsigned cpu = 0) { return physical(Register::ICC_IAR1_EL1, cpu); }
  void end(std::uint64_t number, unsigned cpu = 0) { set_physical(Register::ICC_EOIR1_EL1, number, cpu); }
  std::uint64_t guest_acknowledge() { return guest(Register::ICC_IAR1_EL1); }
  void guest_end(std::uint64_t number) { set_guest(Register::ICC_EOIR1_EL1, number); }
  bool maintenance() { return bit(kSetPending, kMaintenanceInterrupt); }
};

}  // namespace

class GicTest : public QObject {
  Q_OBJECT
 private slots:
  void registers_identify_a_gic_version_3_with_one_security_state() {
    GicBench bench(2);
    QCOMPARE(bench.distributor(kControl), std::uint64_t{0x50});  // DS, ARE
    QCOMPARE(bench.distributor(kTyper) & 31, std::uint64_t{kInterruptCount / 32 - 1});
    QCOMPARE(bench.distributor(0xffe8) >> 4, std::uint64_t{3});
    QCOMPARE(bench.redistributor(0, 0xffe8) >> 4, std::uint64_t{3});
    QCOMPARE(bench.redistributor(1, kRedistributorTyper, 8), std::uint64_t{1ULL << 32 | 1 << 24 | 1 << 8 | 1 << 4});
    QCOMPARE(bench.redistributor(1, kRedistributorTyper + 4), std::uint64_t{1});
    QCOMPARE(bench.redistributor(0, kRedistributorTyper) & 0x10, std::uint64_t{0});
    QCOMPARE(bench.physical(Register::ICC_SRE_EL1), std::uint64_t{7});
    QCOMPARE(bench.physical(Register::ICC_CTLR_EL1) >> 8 & 7, std::uint64_t{4});  // Five bits of priority.
  }

  void the_thirtysecond_core_has_affinity_1_15() {
    GicBench bench(32);
    QCOMPARE(bench.redistributor(31, kRedistributorTyper, 8),
             std::uint64_t{0x010fULL << 32 | 1 << 24 | 31 << 8 | 1 << 4});
    QCOMPARE(bench.redistributor(32, kRedistributorTyper, 8), std::uint64_t{0});
  }

  void the_distributor_has_nothing_of_the_first_thirtytwo_interrupts() {
    OpenBench bench;
    for (const std::uint64_t offset : {kGroup, kSetEnable, kSetPending, kSetActive, kPriority, kConfiguration}) {
      bench.set_distributor(offset, ~0U);
      QCOMPARE(bench.distributor(offset), std::uint64_t{0});
    }
    bench.set_distributor(kRouter, 1, 8);
    QCOMPARE(bench.distributor(kRouter, 8), std::uint64_t{0});
  }

  void accesses_of_another_size_or_alignment_find_nothing() {
    OpenBench bench;
    bench.set_distributor(kSetEnable + 4, 1, 1);
    bench.set_distributor(kSetEnable + 4, 1, 8);
    bench.set_distributor(kSetEnable + 6, 1, 4);
    QCOMPARE(bench.distributor(kSetEnable + 4), std::uint64_t{0});
    bench.set_distributor(kPriority + 32, 0x10203040);
    QCOMPARE(bench.distributor(kPriority + 33, 1), std::uint64_t{0x30});
    QCOMPARE(bench.distributor(kPriority + 32, 2), std::uint64_t{0});
    QCOMPARE(bench.distributor(0x1100), std::uint64_t{0});
    QCOMPARE(bench.redistributor(5, kWaker), std::uint64_t{0});
  }

  void priorities_have_five_bits() {
    OpenBench bench;
    bench.set_priority(40, 0xff);
    QCOMPARE(bench.distributor(kPriority + 40), std::uint64_t{0xf8});
    bench.set_redistributor(0, kSgiFrame + kPriority + 4, 0x8f0742ff);
    QCOMPARE(bench.redistributor(0, kSgiFrame + kPriority + 4), std::uint64_t{0x880040f8});
    QCOMPARE(bench.physical(Register::ICC_PMR_EL1), std::uint64_t{0xf8});
  }

  void each_half_of_a_route_is_written_by_itself() {
    OpenBench bench;
    bench.set_distributor(router_of(40), ~0ULL, 8);
    QCOMPARE(bench.distributor(router_of(40), 8), std::uint64_t{0xff00ffffff});
    bench.set_distributor(router_of(40) + 4, 0);
    QCOMPARE(bench.distributor(router_of(40), 8), std::uint64_t{0xffffff});
    bench.set_distributor(router_of(40), 1);
    QCOMPARE(bench.distributor(router_of(40)), std::uint64_t{1});
  }

  void an_sgi_is_always_edge_triggered() {
    OpenBench bench;
    bench.set_redistributor(0, kSgiFrame + kConfiguration, 0);
    QCOMPARE(bench.redistributor(0, kSgiFrame + kConfiguration), std::uint64_t{0xaaaaaaaa});
    bench.set_redistributor(0, kSgiFrame + kConfiguration + 4, 0xffffffff);
    QCOMPARE(bench.redistributor(0, kSgiFrame + kConfiguration + 4), std::uint64_t{0xaaaaaaaa});
  }

  // --- what has to be open -------------------------------------------------------------------------------------------

  void an_interrupt_arrives_only_through_every_gate_data() {
    QTest::addColumn<int>("closed");
    const char* const gates[] = {"none",          "its enable",          "the distributor's group", "the core's group",
                                 "priority mask", "redistributor sleeps"};
    for (int gate = 0; gate < 6; ++gate) QTest::newRow(gates[gate]) << gate;
  }
  void an_interrupt_arrives_only_through_every_gate() {
    QFETCH(int, closed);
    OpenBench bench;
    bench.enable(40);
    bench.gic.set_shared_line(8, true);
    switch (closed) {
      case 1:
        bench.set_bit(kClearEnable, 40);
        break;
      case 2:
        bench.set_distributor(kControl, 1);
        break;
      case 3:
        bench.set_physical(Register::ICC_IGRPEN1_EL1, 0);
        break;
      case 4:
        bench.set_physical(Register::ICC_PMR_EL1, 0x80);
        break;
      case 5:
        bench.set_redistributor(0, kWaker, 2);
        break;
      default:
        break;
    }
    QCOMPARE(bench.gic.irq(0), closed == 0);
    QVERIFY(!bench.gic.fiq(0));
    QCOMPARE(bench.acknowledge(), closed == 0 ? std::uint64_t{40} : std::uint64_t{kSpuriousInterrupt});
    // The mask holds back the signal, not the knowledge of it.
    if (closed == 4) QCOMPARE(bench.physical(Register::ICC_HPPIR1_EL1), std::uint64_t{40});
  }

  void a_sleeping_redistributor_says_so() {
    GicBench bench;
    QCOMPARE(bench.redistributor(0, kWaker), std::uint64_t{6});
    bench.set_redistributor(0, kWaker, 0);
    QCOMPARE(bench.redistributor(0, kWaker), std::uint64_t{0});
    QCOMPARE(bench.redistributor(1, kWaker), std::uint64_t{6});
  }

  // --- states --------------------------------------------------------------------------------------------------------

  void a_level_is_pending_while_it_is_high_and_again_after_its_end() {
    OpenBench bench;
    bench.enable(40);
    bench.gic.set_shared_line(8, true);
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    QVERIFY(bench.bit(kSetPending, 40) && bench.bit(kSetActive, 40));  // Active and pending.
    QVERIFY(!bench.gic.irq(0));
    bench.end(40);
    QVERIFY(bench.gic.irq(0));
    bench.gic.set_shared_line(8, false);
    QVERIFY(!bench.gic.irq(0) && !bench.bit(kSetPending, 40));
  }

  void an_edge_is_pending_once() {
    OpenBench bench;
    bench.enable(40);
    bench.set_edge(40, true);
    bench.gic.set_shared_line(8, true);
    bench.gic.set_shared_line(8, false);
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    bench.gic.set_shared_line(8, true);  // A second edge while it is active.
    bench.end(40);
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    bench.end(40);
    QVERIFY(!bench.gic.irq(0));  // The line is high still, but that is no edge.
  }

  void software_cannot_clear_a_level_that_is_high() {
    OpenBench bench;
    bench.enable(40);
    bench.gic.set_shared_line(8, true);
    bench.set_bit(kSetPending, 40);
    bench.set_bit(kClearPending, 40);
    QVERIFY(bench.bit(kSetPending, 40));
    bench.gic.set_shared_line(8, false);
    QVERIFY(!bench.bit(kSetPending, 40));
    bench.set_bit(kSetPending, 40);  // Pending without a line, until it is acknowledged.
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    QVERIFY(!bench.bit(kSetPending, 40));
  }

  void an_interrupt_that_software_made_active_is_not_signalled() {
    OpenBench bench;
    bench.enable(40);
    bench.set_bit(kSetActive, 40);
    bench.gic.set_shared_line(8, true);
    QVERIFY(!bench.gic.irq(0));
    bench.set_bit(kClearActive, 40);
    QVERIFY(bench.gic.irq(0));
  }

  // --- priorities ----------------------------------------------------------------------------------------------------

  void the_lowest_value_comes_first_then_the_lowest_number() {
    OpenBench bench;
    bench.enable(50, 1, 0x80);
    bench.enable(45, 1, 0x80);
    bench.enable(60, 1, 0x40);
    for (const unsigned number : {50U, 45U, 60U}) bench.set_bit(kSetPending, number);
    for (const unsigned number : {60U, 45U, 50U}) {
      QCOMPARE(bench.acknowledge(), std::uint64_t{number});
      bench.end(number);
    }
    QCOMPARE(bench.acknowledge(), std::uint64_t{kSpuriousInterrupt});
  }

  void only_a_higher_group_priority_preempts_data() {
    QTest::addColumn<unsigned>("binary_point");
    QTest::addColumn<unsigned>("running");
    QTest::addColumn<unsigned>("arriving");
    QTest::addColumn<bool>("preempts");
    QTest::newRow("finest: one step up") << 3U << 0x80U << 0x78U << true;
    QTest::newRow("finest: equal") << 3U << 0x80U << 0x80U << false;
    QTest::newRow("finest: lower") << 3U << 0x80U << 0x88U << false;
    QTest::newRow("16 to a group: same group") << 4U << 0x88U << 0x80U << false;
    QTest::newRow("16 to a group: next group") << 4U << 0x80U << 0x78U << true;
    QTest::newRow("64 to a group: same group") << 6U << 0xb8U << 0x80U << false;
    QTest::newRow("64 to a group: next group") << 6U << 0x80U << 0x78U << true;
    QTest::newRow("two groups: same") << 7U << 0x78U << 0x00U << false;
    QTest::newRow("two groups: other") << 7U << 0x80U << 0x78U << true;
  }
  void only_a_higher_group_priority_preempts() {
    QFETCH(unsigned, binary_point);
    QFETCH(unsigned, running);
    QFETCH(unsigned, arriving);
    QFETCH(bool, preempts);
    OpenBench bench;
    bench.set_physical(Register::ICC_BPR1_EL1, binary_point);
    bench.enable(40, 1, running);
    bench.enable(41, 1, arriving);
    bench.set_bit(kSetPending, 40);
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    bench.set_bit(kSetPending, 41);
    QCOMPARE(bench.gic.irq(0), preempts);
  }

  void group_1_has_a_binary_point_one_to_the_left_unless_it_is_common() {
    OpenBench bench;
    bench.set_physical(Register::ICC_BPR0_EL1, 0);
    bench.set_physical(Register::ICC_BPR1_EL1, 0);
    QCOMPARE(bench.physical(Register::ICC_BPR0_EL1), std::uint64_t{2});
    QCOMPARE(bench.physical(Register::ICC_BPR1_EL1), std::uint64_t{3});
    bench.set_physical(Register::ICC_CTLR_EL1, 1);
    bench.set_physical(Register::ICC_BPR0_EL1, 5);
    bench.set_physical(Register::ICC_BPR1_EL1, 3);  // Ignored.
    QCOMPARE(bench.physical(Register::ICC_BPR1_EL1), std::uint64_t{6});
    bench.set_physical(Register::ICC_BPR0_EL1, 7);
    QCOMPARE(bench.physical(Register::ICC_BPR1_EL1), std::uint64_t{7});
    bench.set_physical(Register::ICC_CTLR_EL1, 0);
    QCOMPARE(bench.physical(Register::ICC_BPR1_EL1), std::uint64_t{3});
  }

  void nested_interrupts_restore_the_running_priority_step_by_step() {
    OpenBench bench;
    for (unsigned level = 0; level < 4; ++level) {
      bench.enable(40 + level, 1, 0xc0 - 0x20 * level);
      bench.set_bit(kSetPending, 40 + level);
      QCOMPARE(bench.acknowledge(), std::uint64_t{40 + level});
      QCOMPARE(bench.physical(Register::ICC_RPR_EL1), std::uint64_t{0xc0 - 0x20 * level});
    }
    QCOMPARE(bench.physical(Register::ICC_AP1R0_EL1), std::uint64_t{1U << 24 | 1U << 20 | 1U << 16 | 1U << 12});
    for (unsigned level = 4; level-- != 0;) {
      bench.end(40 + level);
      QCOMPARE(bench.physical(Register::ICC_RPR_EL1),
               level == 0 ? std::uint64_t{0xff} : std::uint64_t{0xc0 - 0x20 * (level - 1)});
    }
  }

  void priority_drop_and_deactivation_can_be_two_steps() {
    OpenBench bench;
    bench.set_physical(Register::ICC_CTLR_EL1, 2);
    bench.enable(40);
    bench.gic.set_shared_line(8, true);
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    bench.log.events.clear();
    bench.end(40);
    QCOMPARE(bench.physical(Register::ICC_RPR_EL1), std::uint64_t{0xff});
    QVERIFY(bench.bit(kSetActive, 40) && !bench.gic.irq(0));
    bench.set_physical(Register::ICC_DIR_EL1, 40);
    QVERIFY(bench.gic.irq(0));
    const auto ends = bench.take<InterruptEnded>();
    QCOMPARE(ends.size(), std::size_t{2});
    QVERIFY(!ends[0].deactivated && ends[1].deactivated);
    bench.set_physical(Register::ICC_CTLR_EL1, 0);
    bench.set_bit(kSetActive, 40);
    bench.set_physical(Register::ICC_DIR_EL1, 40);  // Without EOImode, DIR does nothing.
    QVERIFY(bench.bit(kSetActive, 40));
  }

  // --- groups --------------------------------------------------------------------------------------------------------

  void group_0_is_fiq_and_has_its_own_registers() {
    OpenBench bench;
    bench.enable(40, 0);
    bench.set_bit(kSetPending, 40);
    QVERIFY(bench.gic.fiq(0) && !bench.gic.irq(0));
    QCOMPARE(bench.physical(Register::ICC_HPPIR1_EL1), std::uint64_t{kSpuriousInterrupt});
    QCOMPARE(bench.acknowledge(), std::uint64_t{kSpuriousInterrupt});
    QVERIFY(bench.gic.fiq(0));
    QCOMPARE(bench.physical(Register::ICC_IAR0_EL1), std::uint64_t{40});
    QCOMPARE(bench.physical(Register::ICC_AP0R0_EL1), std::uint64_t{1U << 16});
    bench.end(40);  // Group 1's register ends nothing of group 0.
    QCOMPARE(bench.physical(Register::ICC_RPR_EL1), std::uint64_t{0x80});
    bench.set_physical(Register::ICC_EOIR0_EL1, 40);
    QCOMPARE(bench.physical(Register::ICC_RPR_EL1), std::uint64_t{0xff});
  }

  void a_disabled_group_does_not_hide_the_other() {
    OpenBench bench;
    bench.enable(40, 0, 0x40);
    bench.enable(41, 1, 0x80);
    bench.set_bit(kSetPending, 40);
    bench.set_bit(kSetPending, 41);
    QVERIFY(bench.gic.fiq(0));
    bench.set_physical(Register::ICC_IGRPEN0_EL1, 0);
    QVERIFY(bench.gic.irq(0));
    QCOMPARE(bench.acknowledge(), std::uint64_t{41});
  }

  // --- cores ---------------------------------------------------------------------------------------------------------

  void a_shared_interrupt_goes_to_the_core_of_its_route() {
    OpenBench bench;
    bench.enable(40);
    bench.gic.set_shared_line(8, true);
    QVERIFY(bench.gic.irq(0) && !bench.gic.irq(1));
    bench.set_distributor(router_of(40), 1, 8);
    QVERIFY(!bench.gic.irq(0) && bench.gic.irq(1));
    bench.set_distributor(router_of(40), 9, 8);  // Nobody's.
    QVERIFY(!bench.gic.irq(0) && !bench.gic.irq(1));
  }

  void a_private_interrupt_is_each_cores_own() {
    OpenBench bench;
    for (const unsigned cpu : {0U, 1U}) bench.enable(kVirtualTimerInterrupt, 1, 0x80, cpu);
    bench.gic.set_private_line(1, kVirtualTimerInterrupt, true);
    QVERIFY(!bench.gic.irq(0) && bench.gic.irq(1));
    QCOMPARE(bench.acknowledge(1), std::uint64_t{kVirtualTimerInterrupt});
    QVERIFY(!bench.bit(kSetActive, kVirtualTimerInterrupt, 0) && bench.bit(kSetActive, kVirtualTimerInterrupt, 1));
  }

  void an_sgi_reaches_whom_it_names_data() {
    QTest::addColumn<std::uint64_t>("value");
    QTest::addColumn<unsigned>("reached");  // One bit a core.
    QTest::newRow("a list") << std::uint64_t{0b0101} << 0b0101U;
    QTest::newRow("itself") << std::uint64_t{0b0010} << 0b0010U;
    QTest::newRow("nobody") << std::uint64_t{0} << 0U;
    QTest::newRow("cores that do not exist") << std::uint64_t{0xfff0} << 0U;
    QTest::newRow("all others") << std::uint64_t{1ULL << 40} << 0b1101U;
    QTest::newRow("all others, list ignored") << std::uint64_t{1ULL << 40 | 2} << 0b1101U;
    QTest::newRow("another cluster: affinity 1") << std::uint64_t{1ULL << 16 | 0xf} << 0U;
    QTest::newRow("another cluster: affinity 2") << std::uint64_t{1ULL << 32 | 0xf} << 0U;
    QTest::newRow("another cluster: affinity 3") << std::uint64_t{1ULL << 48 | 0xf} << 0U;
  }
  void an_sgi_reaches_whom_it_names() {
    QFETCH(std::uint64_t, value);
    QFETCH(unsigned, reached);
    OpenBench bench(4);
    for (unsigned cpu = 0; cpu < 4; ++cpu) bench.enable(5, 1, 0x80, cpu);
    bench.set_physical(Register::ICC_SGI1R_EL1, value | 5 << 24, 1);
    for (unsigned cpu = 0; cpu < 4; ++cpu) QCOMPARE(bench.gic.irq(cpu), (reached >> cpu & 1) != 0);
  }

  void an_sgi_of_the_other_group_is_not_sent() {
    OpenBench bench;
    bench.enable(5, 0);
    bench.set_physical(Register::ICC_SGI1R_EL1, 5 << 24 | 1);
    QVERIFY(!bench.bit(kSetPending, 5));
    bench.set_physical(Register::ICC_SGI0R_EL1, 5 << 24 | 1);
    QVERIFY(bench.gic.fiq(0));
  }

  void cores_of_a_second_cluster_have_sgis_too() {
    OpenBench bench(18);
    bench.enable(5, 1, 0x80, 17);
    bench.set_physical(Register::ICC_SGI1R_EL1, 1ULL << 16 | 5 << 24 | 2);
    QVERIFY(bench.gic.irq(17));
  }

  // --- events --------------------------------------------------------------------------------------------------------

  void the_stream_tells_request_acknowledge_and_end() {
    OpenBench bench;
    bench.enable(33, 1, 0x48);
    bench.log.events.clear();
    bench.gic.set_shared_line(1, true);
    bench.gic.set_shared_line(1, true);
    const auto requests = bench.take<InterruptRequested>();
    QCOMPARE(requests.size(), std::size_t{1});
    QCOMPARE(requests[0].vector, 33U);
    QCOMPARE(requests[0].source, std::string_view("SPI 33 (UART)"));
    QCOMPARE(bench.acknowledge(), std::uint64_t{33});
    const auto acknowledged = bench.take<InterruptAcknowledged>();
    QCOMPARE(acknowledged.size(), std::size_t{1});
    QVERIFY(acknowledged[0].interrupt == 33 && acknowledged[0].priority == 0x48 && !acknowledged[0].virtual_interface);
    bench.end(33);
    const auto ended = bench.take<InterruptEnded>();
    QCOMPARE(ended.size(), std::size_t{1});
    QVERIFY(ended[0].interrupt == 33 && ended[0].deactivated && !ended[0].virtual_interface);
    QCOMPARE(bench.acknowledge(), std::uint64_t{33});  // The level is still high.
    bench.end(500);                                    // No such interrupt.
    QVERIFY(bench.take<InterruptEnded>().empty());
  }

  // --- the virtual interface -----------------------------------------------------------------------------------------

  void a_guest_takes_and_ends_an_interrupt_from_a_list_register() {
    OpenBench bench;
    bench.log.events.clear();
    bench.set_hypervisor(Register::ICH_LR2_EL2, entry(77, 0x80, kPending | kGroup1));
    QVERIFY(bench.gic.virtual_irq(0) && !bench.gic.virtual_fiq(0) && !bench.gic.irq(0));
    QCOMPARE(bench.gic.pending_virtual_interrupt(0), std::optional<unsigned>(77));
    QCOMPARE(bench.guest_acknowledge(), std::uint64_t{77});
    QCOMPARE(bench.hypervisor(Register::ICH_LR2_EL2), entry(77, 0x80, kActive | kGroup1));
    QCOMPARE(bench.hypervisor(Register::ICH_AP1R0_EL2), std::uint64_t{1U << 16});
    QCOMPARE(bench.guest(Register::ICC_RPR_EL1), std::uint64_t{0x80});
    QCOMPARE(bench.physical(Register::ICC_RPR_EL1), std::uint64_t{0xff});
    bench.guest_end(77);
    QCOMPARE(bench.hypervisor(Register::ICH_LR2_EL2), entry(77, 0x80, kGroup1));
    QCOMPARE(bench.hypervisor(Register::ICH_ELRSR_EL2), std::uint64_t{0xf});
    std::vector<std::string> story;
    for (const Event& event : bench.log.events) story.push_back(narrate_kind(event));
    QCOMPARE(story, (std::vector<std::string>{"requested", "acknowledged virtual", "ended virtual"}));
  }

  void the_end_of_a_hardware_interrupt_deactivates_the_physical_one() {
    OpenBench bench;
    bench.set_physical(Register::ICC_CTLR_EL1,
                       2);  // EL2 drops the priority itself and leaves deactivation to the guest.
    bench.enable(kVirtualTimerInterrupt);
    bench.gic.set_private_line(0, kVirtualTimerInterrupt, true);
    QCOMPARE(bench.acknowledge(), std::uint64_t{kVirtualTimerInterrupt});
    bench.end(kVirtualTimerInterrupt);
    bench.set_hypervisor(Register::ICH_LR0_EL2, entry(27, 0x80, kPending | kGroup1 | kHardware, 27));
    QCOMPARE(bench.guest_acknowledge(), std::uint64_t{27});
    bench.gic.set_private_line(0, kVirtualTimerInterrupt, false);
    bench.guest_end(27);
    QVERIFY(!bench.bit(kSetActive, kVirtualTimerInterrupt));
    bench.gic.set_private_line(0, kVirtualTimerInterrupt, true);  // It can come again.
    QVERIFY(bench.gic.irq(0));
  }

  void the_virtual_interface_has_priorities_of_its_own() {
    OpenBench bench;
    bench.set_hypervisor(Register::ICH_LR0_EL2, entry(50, 0x80, kPending | kGroup1));
    bench.set_hypervisor(Register::ICH_LR1_EL2, entry(51, 0x40, kPending | kGroup1));
    bench.set_hypervisor(Register::ICH_LR3_EL2, entry(52, 0x40, kPending));
    QCOMPARE(bench.guest_acknowledge(), std::uint64_t{51});
    QVERIFY(!bench.gic.virtual_fiq(0));  // 52 is no more urgent.
    bench.guest_end(51);
    QVERIFY(bench.gic.virtual_fiq(0));
    QCOMPARE(bench.guest(Register::ICC_IAR0_EL1), std::uint64_t{52});
    bench.set_guest(Register::ICC_EOIR0_EL1, 52);
    bench.set_guest(Register::ICC_PMR_EL1, 0x80);
    QVERIFY(!bench.gic.virtual_irq(0));
    QCOMPARE(bench.guest(Register::ICC_HPPIR1_EL1), std::uint64_t{50});
    QCOMPARE(bench.guest_acknowledge(), std::uint64_t{kSpuriousInterrupt});
  }

  void without_the_enable_of_el2_nothing_is_signalled() {
    OpenBench bench;
    bench.set_hypervisor(Register::ICH_LR0_EL2, entry(50, 0x80, kPending | kGroup1));
    bench.set_hypervisor(Register::ICH_HCR_EL2, 0);
    QVERIFY(!bench.gic.virtual_irq(0));
    QCOMPARE(bench.guest_acknowledge(), std::uint64_t{kSpuriousInterrupt});
    bench.set_hypervisor(Register::ICH_HCR_EL2, 1);
    QVERIFY(bench.gic.virtual_irq(0));
  }

  void special_numbers_in_a_list_register_are_never_signalled() {
    OpenBench bench;
    for (const unsigned number : {1020U, 1023U}) {
      bench.set_hypervisor(Register::ICH_LR0_EL2, entry(number, 0x80, kPending | kGroup1));
      QVERIFY(!bench.gic.virtual_irq(0));
    }
  }

  void what_the_guest_writes_shows_in_the_virtual_machine_control_register() {
    OpenBench bench;
    bench.set_guest(Register::ICC_PMR_EL1, 0xa7);
    bench.set_guest(Register::ICC_BPR0_EL1, 4);
    bench.set_guest(Register::ICC_BPR1_EL1, 5);
    bench.set_guest(Register::ICC_CTLR_EL1, 2);
    bench.set_guest(Register::ICC_IGRPEN0_EL1, 0);
    QCOMPARE(bench.hypervisor(Register::ICH_VMCR_EL2),
             std::uint64_t{0xa0U << 24 | 4U << 21 | 5U << 18 | 1U << 9 | 1U << 3 | 1U << 1});
    bench.set_hypervisor(Register::ICH_VMCR_EL2, 0xffU << 24 | 1);
    QCOMPARE(bench.guest(Register::ICC_PMR_EL1), std::uint64_t{0xf8});
    QCOMPARE(bench.guest(Register::ICC_BPR0_EL1), std::uint64_t{2});  // The least there is.
    QCOMPARE(bench.guest(Register::ICC_BPR1_EL1), std::uint64_t{3});
    QCOMPARE(bench.guest(Register::ICC_CTLR_EL1), bench.physical(Register::ICC_CTLR_EL1));
    QCOMPARE(bench.guest(Register::ICC_IGRPEN0_EL1), std::uint64_t{1});
    QCOMPARE(bench.guest(Register::ICC_IGRPEN1_EL1), std::uint64_t{0});
  }

  void ends_that_no_list_register_knows_are_counted() {
    OpenBench bench;
    bench.set_hypervisor(Register::ICH_LR0_EL2, entry(50, 0x80, kPending | kGroup1));
    QCOMPARE(bench.guest_acknowledge(), std::uint64_t{50});
    bench.set_hypervisor(Register::ICH_LR0_EL2, 0);  // EL2 puts it aside.
    bench.guest_end(50);
    QCOMPARE(bench.hypervisor(Register::ICH_HCR_EL2), std::uint64_t{1U << 27 | 1});
    bench.guest_end(50);  // Nothing runs: not an end at all.
    QCOMPARE(bench.hypervisor(Register::ICH_HCR_EL2), std::uint64_t{1U << 27 | 1});
    bench.set_guest(Register::ICC_CTLR_EL1, 2);
    for (unsigned count = 0; count < 31; ++count) bench.set_guest(Register::ICC_DIR_EL1, 50);
    QCOMPARE(bench.hypervisor(Register::ICH_HCR_EL2), std::uint64_t{1});  // Five bits: it wraps around.
    bench.set_guest(Register::ICC_DIR_EL1, kSpuriousInterrupt);
    QCOMPARE(bench.hypervisor(Register::ICH_HCR_EL2), std::uint64_t{1});
  }

  void maintenance_is_asked_for_condition_by_condition_data() {
    QTest::addColumn<unsigned>("control");
    QTest::addColumn<std::uint64_t>("list0");
    QTest::addColumn<std::uint64_t>("list1");
    QTest::addColumn<unsigned>("status");
    const std::uint64_t waiting = entry(50, 0x80, kPending | kGroup1), taken = entry(51, 0x80, kActive | kGroup1);
    QTest::newRow("an end that EL2 wants to hear of") << 0U << entry(50, 0x80, kTellEnd) << waiting << 1U;
    QTest::newRow("not yet ended") << 0U << entry(50, 0x80, kTellEnd | kPending) << waiting << 0U;
    QTest::newRow("underflow: none valid") << 2U << std::uint64_t{0} << std::uint64_t{0} << 2U;
    QTest::newRow("underflow: one valid") << 2U << waiting << std::uint64_t{0} << 2U;
    QTest::newRow("no underflow: two valid") << 2U << waiting << taken << 0U;
    QTest::newRow("entry not present") << (4U | 3U << 27) << waiting << taken << 4U;
    QTest::newRow("no entry missed") << 4U << waiting << taken << 0U;
    QTest::newRow("none pending") << 8U << std::uint64_t{0} << taken << 8U;
    QTest::newRow("pending and active is not pending") << 8U << entry(9, 0, kPending | kActive) << taken << 8U;
    QTest::newRow("one pending") << 8U << waiting << taken << 0U;
    QTest::newRow("group 0 on") << 0x10U << waiting << taken << 0x10U;
    QTest::newRow("group 0 off") << 0x20U << waiting << taken << 0U;
    QTest::newRow("group 1 on") << 0x40U << waiting << taken << 0U;
    QTest::newRow("group 1 off") << 0x80U << waiting << taken << 0x80U;
  }
  void maintenance_is_asked_for_condition_by_condition() {
    QFETCH(unsigned, control);
    QFETCH(std::uint64_t, list0);
    QFETCH(std::uint64_t, list1);
    QFETCH(unsigned, status);
    OpenBench bench;
    bench.set_guest(Register::ICC_IGRPEN1_EL1, 0);  // Group 0 is on, group 1 off.
    bench.set_hypervisor(Register::ICH_LR0_EL2, list0);
    bench.set_hypervisor(Register::ICH_LR1_EL2, list1);
    bench.set_hypervisor(Register::ICH_HCR_EL2, control | 1);
    QCOMPARE(bench.hypervisor(Register::ICH_MISR_EL2), std::uint64_t{status});
    QCOMPARE(bench.maintenance(), status != 0);
    bench.set_hypervisor(Register::ICH_HCR_EL2, control);
    QVERIFY(!bench.maintenance());
  }

  void the_guests_accesses_move_the_maintenance_line() {
    OpenBench bench;
    bench.set_hypervisor(Register::ICH_LR0_EL2, entry(50, 0x80, kPending | kGroup1 | kTellEnd));
    QCOMPARE(bench.guest_acknowledge(), std::uint64_t{50});
    QVERIFY(!bench.maintenance());
    bench.guest_end(50);
    QVERIFY(bench.maintenance());
    QCOMPARE(bench.hypervisor(Register::ICH_EISR_EL2), std::uint64_t{1});
    QCOMPARE(bench.hypervisor(Register::ICH_ELRSR_EL2), std::uint64_t{0xe});
    bench.set_hypervisor(Register::ICH_LR0_EL2, 0);
    QVERIFY(!bench.maintenance());
    bench.set_hypervisor(Register::ICH_HCR_EL2, 1 | 1U << 7);
    QVERIFY(!bench.maintenance());
    bench.set_guest(Register::ICC_IGRPEN1_EL1, 0);
    QVERIFY(bench.maintenance());
  }

  // --- state ---------------------------------------------------------------------------------------------------------

  void a_restored_controller_is_the_saved_one() {
    OpenBench bench;
    bench.enable(40, 1, 0x40);
    bench.enable(41, 0, 0x20);
    bench.enable(5, 1, 0x60, 1);
    bench.gic.set_shared_line(8, true);
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    bench.set_bit(kSetPending, 41);
    bench.set_physical(Register::ICC_SGI1R_EL1, 5 << 24 | 2);
    bench.set_hypervisor(Register::ICH_LR1_EL2, entry(50, 0x80, kPending | kGroup1));
    std::vector<std::uint8_t> saved, again;
    Writer writer(saved);
    bench.gic.save(writer);
    GicBench copy;
    QVERIFY(!copy.gic.fiq(0));  // It has an opinion of its own, which must go.
    Reader reader(saved);
    copy.gic.load(reader);
    QVERIFY(reader.at_end());
    QVERIFY(copy.gic.fiq(0) && copy.gic.irq(1) && copy.gic.virtual_irq(0));
    Writer second(again);
    copy.gic.save(second);
    QVERIFY(saved == again);
    QVERIFY(copy.log.events.empty());
    copy.set_physical(Register::ICC_EOIR1_EL1, 40);
    QVERIFY(!copy.bit(kSetActive, 40));
  }

  void a_reset_of_a_core_resets_its_cpu_interface_only() {
    OpenBench bench;
    bench.enable(40);
    bench.set_bit(kSetPending, 40);
    QCOMPARE(bench.acknowledge(), std::uint64_t{40});
    bench.set_hypervisor(Register::ICH_LR1_EL2, entry(50, 0x80, kPending | kGroup1));
    bench.gic.reset_cpu_interface(0);
    QCOMPARE(bench.physical(Register::ICC_RPR_EL1), std::uint64_t{0xff});
    QCOMPARE(bench.physical(Register::ICC_PMR_EL1), std::uint64_t{0});
    QCOMPARE(bench.hypervisor(Register::ICH_LR1_EL2), std::uint64_t{0});
    QCOMPARE(bench.hypervisor(Register::ICH_VMCR_EL2), std::uint64_t{0x4c0008});
    QVERIFY(bench.bit(kSetActive, 40));
    QCOMPARE(bench.physical(Register::ICC_PMR_EL1, 1), std::uint64_t{0xf8});
  }

 private:
  static std::string narrate_kind(const Event& event) {
    if (const auto* acknowledged = std::get_if<InterruptAcknowledged>(&event.payload))
      return acknowledged->virtual_interface ? "acknowledged virtual" : "acknowledged physical";
    if (const auto* ended = std::get_if<InterruptEnded>(&event.payload))
      return ended->virtual_interface ? "ended virtual" : "ended physical";
    return std::holds_alternative<InterruptRequested>(event.payload) ? "requested" : "something else";
  }
};

QTEST_APPLESS_MAIN(GicTest)
#include "gic_test.moc"
