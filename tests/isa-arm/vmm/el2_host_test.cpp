// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMM at EL2 alone: exits made by hand, and what it does about each.
#include <QtTest>
#include <random>
#include <set>

#include "el2_bench.h"
#include "isa-arm/vmm/psci.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;

namespace {

struct Leaf {
  std::uint64_t physical = 0;
  std::uint64_t attributes = 0;  ///< The entry without its address.
  unsigned shift = 0;
};

/// DDI 0487, D8.2.12 and D8.3: stage 2 with the 4 KB granule from level 1, the first index as wide as it must be. Knows
/// nothing but the registers and the manual's format.
std::optional<Leaf> walk(Bench& bench, std::uint64_t address) {
  std::uint64_t table = bench.state()[R::VTTBR_EL2] & 0x0000'ffff'ffff'fffe;
  const std::uint64_t control = bench.state()[R::VTCR_EL2];
  if ((control >> 6 & 3) != 1 || (control >> 14 & 3) != 0) qFatal("VTCR_EL2 is not of the expected form");
  const unsigned bits = 64 - static_cast<unsigned>(control & 63);
  for (unsigned shift = 30;; shift -= 9) {
    const std::uint64_t index = shift == 30 ? (address & ((1ULL << bits) - 1)) >> 30 : address >> shift & 511;
    const std::uint64_t entry = bench.memory.read({table + 8 * index}, 8);
    if ((entry & 1) == 0) return std::nullopt;
    const std::uint64_t target = entry & 0x0000'ffff'ffff'f000;
    const bool last = shift == 12;
    if (last || (entry & 2) == 0) {
      if (last && (entry & 2) == 0) qFatal("a level-3 entry of a reserved kind");
      if ((target & ((1ULL << shift) - 1)) != 0) qFatal("a leaf that is not aligned");
      return Leaf{target | (address & ((1ULL << shift) - 1)), entry & ~0x0000'ffff'ffff'f000ULL, shift};
    }
    table = target;
  }
}

constexpr std::uint64_t kVectors = 0xffff'8000'0000'1000;

}  // namespace

class El2HostTest : public QObject {
  Q_OBJECT
 private slots:
  // --- the start -----------------------------------------------------------------------------------------------------

  void the_guest_begins_at_level_one_where_the_loader_left_it() {
    Bench bench;
    bench.x(0) = 0x48000000;
    bench.x(31) = 0x1234;
    bench.start();
    QCOMPARE(bench.state().exception_level, 1U);
    QVERIFY(bench.state().stack_pointer_select);
    QCOMPARE(bench.pc(), kEntry);
    QCOMPARE(bench.x(0), std::uint64_t{0x48000000});
    QCOMPARE(bench.x(31), std::uint64_t{0x1234});
    QCOMPARE(bench.state().daif, spsr::kDaif);
    const std::uint64_t wanted = hcr::kVm | hcr::kFmo | hcr::kImo | hcr::kAmo | hcr::kTwi | hcr::kTid3 | hcr::kTsc |
                                 hcr::kTidcp | hcr::kTacr | hcr::kTsw | hcr::kRw;
    QCOMPARE(bench.state()[R::HCR_EL2] & wanted, wanted);
    const std::uint64_t unwanted = hcr::kTvm | hcr::kTrvm | hcr::kTge | hcr::kTtlb | hcr::kTpc | hcr::kTpu | hcr::kTdz |
                                   hcr::kHcd | hcr::kE2h | hcr::kTwe;
    QCOMPARE(bench.state()[R::HCR_EL2] & unwanted, std::uint64_t{0});
    QCOMPARE(bench.state()[R::VTCR_EL2] & 63, std::uint64_t{24});
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{1});
    QCOMPARE(bench.state()[R::VTTBR_EL2] & 0x1fff, std::uint64_t{0});  // Two tables side by side: 8 KB.
    QCOMPARE(bench.state()[R::VMPIDR_EL2], bench.state()[R::MPIDR_EL1]);
    QCOMPARE(bench.state()[R::CNTHCTL_EL2] & 3, std::uint64_t{0});
  }

  void guest_time_hides_the_vmm_at_every_entry() {
    Bench bench;
    bench.start();
    QVERIFY(bench.time.vmm_cycles > 0);
    for (unsigned exit = 0; exit < 5; ++exit) {
      bench.run(17);
      QCOMPARE(bench.core().read_register(R::CNTVCT_EL0), bench.time.guest_ticks());
      bench.hypervisor_call(psci::kVersion);
      QCOMPARE(bench.core().read_register(R::CNTVCT_EL0), bench.time.guest_ticks());
    }
    QVERIFY(bench.core().read_register(R::CNTPCT_EL0) > bench.time.guest_ticks());
  }

  void two_machines_on_two_cores_are_refused_with_a_remedy() {
    Bench bench(machine(2, 2));
    const Status status = bench.host->start(bench.core());
    QVERIFY(!status);
    QVERIFY(!status.error().remedy.empty());
  }

  // --- memory --------------------------------------------------------------------------------------------------------

  void a_touched_page_is_backed_and_mapped_and_the_instruction_is_tried_again_data() {
    QTest::addColumn<int>("page");
    QTest::addColumn<int>("shift");
    QTest::newRow("4 KB") << static_cast<int>(PageSize::Size4K) << 12;
    QTest::newRow("2 MB") << static_cast<int>(PageSize::Size2M) << 21;
  }
  void a_touched_page_is_backed_and_mapped_and_the_instruction_is_tried_again() {
    QFETCH(int, page);
    QFETCH(int, shift);
    MachineConfig config = machine();
    config.vmm.nested_page = static_cast<PageSize>(page);
    Bench bench(config);
    bench.start();
    constexpr std::uint32_t seed = 4242;
    qInfo("seed %u", seed);
    std::mt19937_64 random(seed);
    std::set<std::uint64_t> physical;
    for (unsigned touch = 0; touch < 100; ++touch) {
      const std::uint64_t address = kRam + random() % config.ram_bytes;
      if (walk(bench, address)) continue;
      const bool fetch = touch % 3 == 0;
      bench.abort(address, touch % 5 == 0 ? 1U << 7 : 0, 0x400123,  // Some on a stage-1 walk: S1PTW.
                  fetch ? ExceptionClass::InstructionAbortLower : ExceptionClass::DataAbortLower);
      QCOMPARE(bench.request.stop, StopReason::None);
      QCOMPARE(bench.pc(), kEntry);
      QCOMPARE(bench.did("stage2.map"), 1U);
      const auto leaf = walk(bench, address);
      QVERIFY(leaf);
      QCOMPARE(leaf->shift, static_cast<unsigned>(shift));
      QCOMPARE(bench.host->find_backing({address}), std::optional(PhysicalAddress{leaf->physical}));
      QVERIFY(leaf->physical != address);
      QVERIFY(bench.memory.contains({leaf->physical}));
      // Normal write-back, readable and writable, inner shareable, accessed, executable.
      QCOMPARE(leaf->attributes & ~2ULL, std::uint64_t{0xfU << 2 | 3U << 6 | 3U << 8 | 1U << 10 | 1U});
      QVERIFY(physical.insert(leaf->physical).second);
    }
  }

  void a_gigabyte_block_is_one_entry_of_the_first_level() {
    MachineConfig config = machine();
    config.ram_bytes = 1ULL << 30;
    config.vmm.nested_page = PageSize::Size1G;
    Bench bench(config);
    bench.start();
    bench.abort(kRam + 0x12345678, 0, 0);
    QCOMPARE(bench.did("stage2.table"), 0U);
    QCOMPARE(walk(bench, kRam + 0x2000'0000)->shift, 30U);
  }

  void with_hardware_management_pages_begin_unaccessed_and_clean() {
    MachineConfig config = machine();
    config.cpu_features.emplace_back("hafdbs");
    config.vmm.nested_accessed_dirty = true;
    Bench bench(config);
    bench.start();
    QCOMPARE(bench.state()[R::VTCR_EL2] >> 21 & 3, std::uint64_t{3});  // HA, HD
    bench.abort(kRam, 0, 0);
    const auto leaf = walk(bench, kRam);
    QVERIFY(leaf);
    QCOMPARE(leaf->attributes & (1U << 10), std::uint64_t{0});  // AF
    QCOMPARE(leaf->attributes >> 51 & 1, std::uint64_t{1});     // DBM
    QCOMPARE(leaf->attributes >> 6 & 3, std::uint64_t{1});      // S2AP: readable
  }

  void a_fault_at_a_page_with_all_rights_is_not_looped_on() {
    Bench bench;
    bench.start();
    bench.abort(kRam, 0, 0);
    bench.abort(kRam, 0, 0);
    QCOMPARE(bench.request.stop, StopReason::Unsupported);
  }

  void memory_that_the_loader_filled_is_mapped_where_it_lies() {
    Bench bench;
    const PhysicalAddress place = bench.host->backing({kEntry});
    bench.memory.write(place, 4, 0xd4000002);
    bench.start();
    QVERIFY(!walk(bench, kEntry));
    bench.abort(kEntry, 0, kEntry, ExceptionClass::InstructionAbortLower);
    QCOMPARE(bench.memory.read({walk(bench, kEntry)->physical}, 4), std::uint64_t{0xd4000002});
  }

  // --- aborts that the guest must take -------------------------------------------------------------------------------

  void an_access_to_nothing_is_an_external_abort_at_level_one_data() {
    QTest::addColumn<unsigned>("level");
    QTest::addColumn<bool>("own_stack");
    QTest::addColumn<bool>("fetch");
    QTest::addColumn<std::uint64_t>("vector");
    QTest::addColumn<std::uint64_t>("esr");
    constexpr std::uint64_t kLong = 1U << 25;
    QTest::newRow("EL0 data") << 0U << false << false << std::uint64_t{0x400}
                              << (std::uint64_t{0x24} << 26 | kLong | 0x50);
    QTest::newRow("EL0 fetch") << 0U << false << true << std::uint64_t{0x400}
                               << (std::uint64_t{0x20} << 26 | kLong | 0x10);
    QTest::newRow("EL1h data") << 1U << true << false << std::uint64_t{0x200}
                               << (std::uint64_t{0x25} << 26 | kLong | 0x50);
    QTest::newRow("EL1t data") << 1U << false << false << std::uint64_t{0x000}
                               << (std::uint64_t{0x25} << 26 | kLong | 0x50);
    QTest::newRow("EL1h fetch") << 1U << true << true << std::uint64_t{0x200}
                                << (std::uint64_t{0x21} << 26 | kLong | 0x10);
  }
  void an_access_to_nothing_is_an_external_abort_at_level_one() {
    QFETCH(unsigned, level);
    QFETCH(bool, own_stack);
    QFETCH(bool, fetch);
    QFETCH(std::uint64_t, vector);
    QFETCH(std::uint64_t, esr);
    Bench bench;
    bench.start();
    bench.state()[R::VBAR_EL1] = kVectors;
    bench.state()[R::SCTLR_EL1] |= sctlr::kSpan;
    bench.core().change_level(level, own_stack);
    bench.state().daif = 0;
    bench.core().engine.flags = 0x60000000;
    const std::uint64_t stack = bench.state().stack_pointers[1] = 0x7000;
    bench.abort(0x0b000000, fetch ? 0 : 1U << 6, 0x0b000010,
                fetch ? ExceptionClass::InstructionAbortLower : ExceptionClass::DataAbortLower);
    QCOMPARE(bench.request.stop, StopReason::None);
    QCOMPARE(bench.pc(), kVectors + vector);
    QCOMPARE(bench.state()[R::ESR_EL1], esr);
    QCOMPARE(bench.state()[R::FAR_EL1], std::uint64_t{0x0b000010});
    QCOMPARE(bench.state()[R::ELR_EL1], kEntry);
    QCOMPARE(bench.state()[R::SPSR_EL1], std::uint64_t{0x60000000} | level << 2 | (own_stack && level == 1 ? 1 : 0));
    QCOMPARE(bench.state().exception_level, 1U);
    QVERIFY(bench.state().stack_pointer_select);
    QCOMPARE(bench.state().daif, spsr::kDaif);
    if (level == 0) QCOMPARE(bench.x(31), stack);
  }

  void a_table_in_nothing_is_an_abort_on_the_walk_with_its_level() {
    Bench bench;
    bench.start();
    bench.state()[R::TCR_EL1] = 25;  // T0SZ: 39 bits, 4 KB granule: the walk begins at level 1.
    bench.state()[R::TTBR0_EL1] = kRam + 0x1000;
    constexpr std::uint64_t kVirtual = 0x12'3456'7890;
    const auto write = [&](std::uint64_t address, std::uint64_t value) {
      bench.memory.write(bench.host->backing({address}), 8, value);
    };
    write(kRam + 0x1000 + 8 * (kVirtual >> 30 & 511), (kRam + 0x2000) | 3);
    write(kRam + 0x2000 + 8 * (kVirtual >> 21 & 511), 0x0b000000 | 3);
    bench.abort(0x0b000000, 1U << 7, kVirtual);
    QCOMPARE(bench.state()[R::ESR_EL1] & 0x3f, std::uint64_t{0x17});  // External abort, walk, level 3.
    write(kRam + 0x1000 + 8 * (kVirtual >> 30 & 511), 0x0b000000 | 3);
    bench.abort(0x0b000000, 1U << 7, kVirtual);
    QCOMPARE(bench.state()[R::ESR_EL1] & 0x3f, std::uint64_t{0x16});
  }

  // --- devices -------------------------------------------------------------------------------------------------------

  void the_console_prints_what_the_guest_stores_there() {
    Bench bench;
    bench.start();
    for (const char letter : {'o', 'k'}) bench.poke(kUart, static_cast<unsigned char>(letter), 0, 0);
    QCOMPARE(bench.uart.console(), std::string("ok"));
    QCOMPARE(bench.pc(), kEntry + 8);
    QCOMPARE(bench.did("mmio.write"), 1U);
  }

  void loads_follow_the_syndrome_data() {
    QTest::addColumn<unsigned>("size");
    QTest::addColumn<bool>("sign");
    QTest::addColumn<bool>("wide");
    QTest::addColumn<std::uint64_t>("expected");
    // UARTPeriphID2 to 3 read 0x34 and 0x00; the latch UARTIBRD holds 0x8a95.
    QTest::newRow("LDRB") << 0U << false << false << std::uint64_t{0x95};
    QTest::newRow("LDRSB w") << 0U << true << false << std::uint64_t{0xffffff95};
    QTest::newRow("LDRSB x") << 0U << true << true << ~std::uint64_t{0x6a};
    QTest::newRow("LDRH") << 1U << false << false << std::uint64_t{0x8a95};
    QTest::newRow("LDRSH w") << 1U << true << false << std::uint64_t{0xffff8a95};
    QTest::newRow("LDRSH x") << 1U << true << true << ~std::uint64_t{0x756a};
    QTest::newRow("LDR w") << 2U << false << false << std::uint64_t{0x8a95};
    QTest::newRow("LDRSW") << 2U << true << true << std::uint64_t{0x8a95};
  }
  void loads_follow_the_syndrome() {
    QFETCH(unsigned, size);
    QFETCH(bool, sign);
    QFETCH(bool, wide);
    QFETCH(std::uint64_t, expected);
    Bench bench;
    bench.start();
    bench.poke(kUart + 0x24, 0x8a95);
    bench.x(5) = 0xdddd'dddd'dddd'dddd;
    bench.abort(kUart + 0x24, 1U << 24 | size << 22 | (sign ? 1U << 21 : 0) | 5U << 16 | (wide ? 1U << 15 : 0),
                kUart + 0x24);
    QCOMPARE(bench.x(5), expected);
  }

  void register_thirty_one_is_zero_and_swallows() {
    Bench bench;
    bench.start();
    bench.x(31) = 0xabcd;
    bench.poke(kUart + 0x24, 0x77);
    bench.device_store(kUart + 0x24, 2, 31);
    QCOMPARE(bench.peek(kUart + 0x24), std::uint64_t{0});
    bench.device_load(kUart + 0x24, 2, 31);
    QCOMPARE(bench.x(31), std::uint64_t{0xabcd});
  }

  void an_access_without_a_syndrome_ends_the_machine_and_says_why() {
    Bench bench;
    bench.start();
    bench.abort(kUart, 0, kUart);
    QCOMPARE(bench.request.stop, StopReason::Unsupported);
    QCOMPARE(bench.pc(), kEntry);
    QCOMPARE(bench.did("vm.stop"), 1U);
  }

  void cache_maintenance_on_a_device_is_passed_over() {
    Bench bench;
    bench.start();
    bench.abort(kUart, 1U << 8 | 1U << 6, kUart);
    QCOMPARE(bench.pc(), kEntry + 4);
    QVERIFY(bench.uart.console().empty());
  }

  // --- calls ---------------------------------------------------------------------------------------------------------

  void firmware_calls_data() {
    QTest::addColumn<std::uint64_t>("function");
    QTest::addColumn<std::uint64_t>("argument");
    QTest::addColumn<std::int64_t>("result");
    const auto row = [](const char* name, std::uint64_t function, std::uint64_t argument, std::int64_t result) {
      QTest::newRow(name) << function << argument << result;
    };
    row("PSCI_VERSION", psci::kVersion, 0, 0x10001);
    row("SMCCC_VERSION", psci::kSmcccVersion, 0, 0x10001);
    row("MIGRATE_INFO_TYPE", psci::kMigrateInfoType, 0, 2);
    row("FEATURES of CPU_ON, 64 bits", psci::kFeatures, 0xc4000003, 0);
    row("FEATURES of CPU_ON, 32 bits", psci::kFeatures, 0x84000003, 0);
    row("FEATURES of CPU_OFF, 64 bits", psci::kFeatures, 0xc4000002, -1);
    row("FEATURES of CPU_SUSPEND", psci::kFeatures, 0x84000001, -1);
    row("AFFINITY_INFO of itself", 0xc4000004, 0, 0);
    row("AFFINITY_INFO of the other", 0xc4000004, 1, 1);
    row("AFFINITY_INFO of nobody", 0xc4000004, 2, -2);
    row("CPU_ON of itself", 0xc4000003, 0, -4);
    row("CPU_ON of nobody", 0xc4000003, 0x100, -2);
    row("a number of nobody's", 0x8400001f, 0, -1);
    row("zero", 0, 0, -1);
  }
  void firmware_calls() {
    QFETCH(std::uint64_t, function);
    QFETCH(std::uint64_t, argument);
    QFETCH(std::int64_t, result);
    Bench bench(machine(2));
    bench.start();
    bench.hypervisor_call(function, argument);
    QCOMPARE(static_cast<std::int64_t>(bench.x(0)), result);
    QCOMPARE(bench.pc(), kEntry + 4);
  }

  void a_monitor_call_is_no_instruction_of_this_core() {
    Bench bench;
    bench.start();
    bench.state()[R::VBAR_EL1] = kVectors;
    bench.x(0) = psci::kVersion;
    bench.leave({.syndrome = {ExceptionClass::Smc64, 0}});
    QCOMPARE(bench.x(0), std::uint64_t{psci::kVersion});
    QCOMPARE(bench.pc(), kVectors + 0x200);
    QCOMPARE(bench.state()[R::ESR_EL1], std::uint64_t{1U << 25});
    QCOMPARE(bench.state()[R::ELR_EL1], kEntry);
  }

  void system_off_and_reset_stop_the_machine_and_leave_x0() {
    for (const auto& [function, reason] :
         {std::pair{psci::kSystemOff, StopReason::PowerOff}, std::pair{psci::kSystemReset, StopReason::Reset}}) {
      Bench bench;
      bench.start();
      bench.hypervisor_call(function);
      QCOMPARE(bench.request.stop, reason);
      QCOMPARE(bench.x(0), std::uint64_t{function});
      QCOMPARE(bench.state().exception_level, 1U);
      QCOMPARE(bench.pc(), kEntry + 4);
    }
  }

  void cpu_on_starts_a_core_in_its_own_guest() {
    Bench bench(machine(2));
    bench.start();
    bench.hypervisor_call(0xc4000003, 1, kEntry + 0x100, 0x5a5a);
    QCOMPARE(bench.x(0), std::uint64_t{0});
    QVERIFY(bench.state(1).powered);
    QCOMPARE(bench.state(1).exception_level, 1U);
    QCOMPARE(bench.pc(1), kEntry + 0x100);
    QCOMPARE(bench.x(0, 1), std::uint64_t{0x5a5a});
    QCOMPARE(bench.state(1)[R::VTTBR_EL2], bench.state(0)[R::VTTBR_EL2]);
    QCOMPARE(bench.state(1)[R::VMPIDR_EL2], bench.state(1)[R::MPIDR_EL1]);
    for (unsigned cpu = 0; cpu < 2; ++cpu)
      QCOMPARE(bench.core(cpu).read_register(R::CNTVCT_EL0), bench.time.guest_ticks());
    bench.hypervisor_call(0xc4000003, 1);
    QCOMPARE(static_cast<std::int64_t>(bench.x(0)), std::int64_t{-4});
    bench.hypervisor_call(psci::kCpuOff, 0, 0, 0, 1);
    QVERIFY(!bench.state(1).powered);
    bench.hypervisor_call(0xc4000004, 1);
    QCOMPARE(bench.x(0), std::uint64_t{1});
  }

  void wait_for_interrupt_sleeps_behind_the_instruction() {
    Bench bench;
    bench.start();
    bench.wait(false);
    QCOMPARE(bench.pc(), kEntry + 4);
    QVERIFY(bench.state().waiting_for_interrupt);
  }

  // --- system registers ----------------------------------------------------------------------------------------------

  void identification_is_that_of_a_core_without_level_two() {
    Bench bench;
    bench.start();
    QCOMPARE(bench.state()[R::ID_AA64PFR0_EL1] >> 8 & 15, std::uint64_t{1});
    QCOMPARE(bench.mrs(R::ID_AA64PFR0_EL1), bench.state()[R::ID_AA64PFR0_EL1] & ~0xf00ULL);
    QCOMPARE(bench.mrs(R::ID_AA64MMFR0_EL1), bench.state()[R::ID_AA64MMFR0_EL1]);
    QCOMPARE(bench.pc(), kEntry + 8);
    bench.x(11) = 1;
    bench.system_register({3, 0, 0, 7, 7}, true, 11);  // Not given away: reads as zero.
    QCOMPARE(bench.x(11), std::uint64_t{0});
    bool told = false;
    for (const BelievedRegister& row : bench.host->believed(bench.core()))
      told |= row.reg == R::ID_AA64PFR0_EL1 && (row.value >> 8 & 15) == 0;
    QVERIFY(told);
  }

  void the_physical_count_is_guest_time() {
    Bench bench;
    bench.start();
    bench.run(1234);
    QCOMPARE(bench.mrs(R::CNTPCT_EL0), std::uint64_t{1234});
  }

  void the_physical_timer_reads_back_in_guest_time() {
    Bench bench;
    bench.start();
    bench.run(1000);
    bench.msr(R::CNTP_TVAL_EL0, 500);
    QCOMPARE(bench.mrs(R::CNTP_CVAL_EL0), std::uint64_t{1500});
    bench.msr(R::CNTP_TVAL_EL0, 0xffffffff);  // Signed: one tick ago.
    QCOMPARE(bench.mrs(R::CNTP_CVAL_EL0), std::uint64_t{999});
    QCOMPARE(bench.mrs(R::CNTP_TVAL_EL0), std::uint64_t{0xffffffff});
    bench.msr(R::CNTP_CTL_EL0, 3);
    QCOMPARE(bench.mrs(R::CNTP_CTL_EL0), std::uint64_t{7});
    bench.msr(R::CNTP_CVAL_EL0, 2000);
    QCOMPARE(bench.mrs(R::CNTP_CTL_EL0), std::uint64_t{3});
  }

  void what_else_traps_is_ignored_carried_out_or_undefined() {
    Bench bench;
    bench.start();
    bench.state()[R::VBAR_EL1] = kVectors;
    const std::uint64_t auxiliary = bench.state()[R::ACTLR_EL1];
    bench.msr(R::ACTLR_EL1, 0xff);
    QCOMPARE(bench.state()[R::ACTLR_EL1], auxiliary);
    bench.system_register({1, 0, 7, 14, 2}, false, 3);  // DC CISW
    QCOMPARE(bench.did("cache.set-way"), 1U);
    bench.msr(R::PMUSERENR_EL0, 1);
    QCOMPARE(bench.mrs(R::PMUSERENR_EL0), std::uint64_t{1});
    QCOMPARE(bench.pc(), kEntry + 16);
    bench.system_register({3, 0, 15, 1, 0}, true, 3);  // Implementation defined: TIDCP.
    QCOMPARE(bench.pc(), kVectors + 0x200);
    QCOMPARE(bench.state()[R::ESR_EL1], std::uint64_t{1U << 25});
    QCOMPARE(bench.state()[R::ELR_EL1], kEntry + 16);
  }

  void a_syndrome_without_a_handler_ends_the_machine() {
    Bench bench;
    bench.start();
    bench.leave({.syndrome = {ExceptionClass::FloatingPointAccess, 0}});
    QCOMPARE(bench.request.stop, StopReason::Unsupported);
  }

  // --- interrupts ----------------------------------------------------------------------------------------------------

  void a_timer_interrupt_reaches_the_guest_and_its_end_reaches_the_hardware_data() {
    QTest::addColumn<bool>("physical");
    QTest::newRow("virtual timer") << false;
    QTest::newRow("EL1 physical timer") << true;
  }
  void a_timer_interrupt_reaches_the_guest_and_its_end_reaches_the_hardware() {
    QFETCH(bool, physical);
    const unsigned interrupt = physical ? 30 : 27;
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    if (physical) {
      bench.msr(R::CNTP_CVAL_EL0, 100);
      bench.msr(R::CNTP_CTL_EL0, 1);
    } else {
      bench.core().write_register(R::CNTV_CVAL_EL0, 100);
      bench.core().write_register(R::CNTV_CTL_EL0, 1);
    }
    bench.run(99);
    QVERIFY(!bench.gic.irq(0));
    bench.run(1);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.pc(), kEntry + 4 * (physical ? 6 : 4));  // Nothing was skipped by the interrupt itself.
    QVERIFY(!bench.gic.irq(0));                             // Active in the hardware.
    QVERIFY(bench.gic.virtual_irq(0));
    const std::uint64_t entry = bench.core().read_register(R::ICH_LR0_EL2);
    QCOMPARE(entry & 0xffffffff, std::uint64_t{interrupt});
    QCOMPARE(entry >> 32 & 0x1fff, std::uint64_t{interrupt});
    QCOMPARE(entry >> 61, std::uint64_t{0b011});  // HW, pending
    QCOMPARE(bench.acknowledge(), std::uint64_t{interrupt});
    QVERIFY(!bench.gic.irq(0));
    if (physical)
      bench.msr(R::CNTP_CVAL_EL0, 1000);
    else
      bench.core().write_register(R::CNTV_CVAL_EL0, 1000);
    bench.end(interrupt);
    QVERIFY(!bench.gic.virtual_irq(0));
    QVERIFY(!bench.gic.irq(0));
    bench.run(899);
    QVERIFY(!bench.gic.irq(0));
    bench.run(1);
    QVERIFY2(bench.gic.irq(0), "the guest's end of interrupt did not deactivate the hardware's");
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.acknowledge(), std::uint64_t{interrupt});
  }

  void a_line_that_stays_high_interrupts_again_after_the_end() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.core().write_register(R::CNTV_CVAL_EL0, 10);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.run(10);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
    bench.end(27);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
  }

  void the_vmms_cycles_never_make_a_timer_expire() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.core().write_register(R::CNTV_CVAL_EL0, 50);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.msr(R::CNTP_CVAL_EL0, 60);
    bench.msr(R::CNTP_CTL_EL0, 1);
    for (unsigned exit = 0; exit < 20; ++exit) {
      bench.hypervisor_call(psci::kVersion);
      QVERIFY(!bench.gic.irq(0));
    }
    bench.run(50);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.did("interrupt.acknowledge"), 1U);  // Not the other one, which is ten ticks away.
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
  }

  void an_interrupt_that_the_guest_has_not_switched_on_stays_away() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.poke(kRedistributorBase.value + 0x10180, 1U << 27);
    bench.core().write_register(R::CNTV_CVAL_EL0, 10);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.run(20);
    QVERIFY(!bench.gic.irq(0));
    bench.poke(kRedistributorBase.value + 0x10100, 1U << 27);
    QVERIFY(bench.take_interrupt());
    QVERIFY(bench.gic.virtual_irq(0));
  }

  void the_console_interrupt_is_handed_on() {
    Bench bench;
    struct Lines : InterruptLines {
      Gic& gic;
      explicit Lines(Gic& g) : gic(g) {}
      void set_line(unsigned line, bool level) override { gic.set_shared_line(line, level); }
    } lines(bench.gic);
    bench.devices.connect_interrupts(&lines);
    bench.start();
    bench.set_up_guest_interrupts();
    bench.poke(kDistributorBase.value + 0x84, 2);   // Group 1: SPI 1
    bench.poke(kDistributorBase.value + 0x104, 2);  // Enabled
    bench.gic.set_shared_line(1, true);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.acknowledge(), std::uint64_t{33});
    bench.gic.set_shared_line(1, false);
    bench.end(33);
    QVERIFY(!bench.gic.irq(0));
  }

  void software_interrupts_come_by_priority_and_more_than_the_list_holds() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    // Eight interrupts to itself, 0 with the lowest priority.
    for (unsigned interrupt = 0; interrupt < 8; ++interrupt)
      bench.poke(kRedistributorBase.value + 0x10400 + interrupt, 0x80 - 8 * interrupt, 0, 0);
    for (unsigned interrupt = 0; interrupt < 8; ++interrupt) bench.msr(R::ICC_SGI1R_EL1, interrupt << 24 | 1);
    QCOMPARE(bench.core().read_register(R::ICH_HCR_EL2) & 2, std::uint64_t{2});  // Tell when nearly empty.
    // They can be seen waiting, whether listed or not.
    QCOMPARE(bench.peek(kRedistributorBase.value + 0x10200), std::uint64_t{0xff});
    std::vector<std::uint64_t> order;
    while (order.size() < 8) {
      const std::uint64_t interrupt = bench.acknowledge();
      QVERIFY(interrupt < 8);
      order.push_back(interrupt);
      bench.end(interrupt);
      while (bench.take_interrupt()) {
      }
    }
    QCOMPARE(order, (std::vector<std::uint64_t>{7, 6, 5, 4, 3, 2, 1, 0}));
    QVERIFY(!bench.gic.virtual_irq(0));
    QCOMPARE(bench.core().read_register(R::ICH_HCR_EL2) & 2, std::uint64_t{0});
  }

  void nested_interrupts_all_find_their_end() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    for (unsigned interrupt = 0; interrupt < 7; ++interrupt)
      bench.poke(kRedistributorBase.value + 0x10400 + interrupt, 0x80 - 8 * interrupt, 0, 0);
    // Each one preempts the one before: seven active at once, in four list registers.
    for (unsigned interrupt = 0; interrupt < 7; ++interrupt) {
      bench.msr(R::ICC_SGI1R_EL1, interrupt << 24 | 1);
      QCOMPARE(bench.acknowledge(), std::uint64_t{interrupt});
    }
    QCOMPARE(bench.peek(kRedistributorBase.value + 0x10300), std::uint64_t{0x7f});
    for (unsigned interrupt = 7; interrupt-- > 0;) {
      bench.end(interrupt);
      while (bench.take_interrupt()) {
      }
      QCOMPARE(bench.peek(kRedistributorBase.value + 0x10300), (std::uint64_t{1} << interrupt) - 1);
    }
  }

  void sending_a_pending_software_interrupt_again_merges() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.msr(R::ICC_SGI1R_EL1, 3U << 24 | 1);
    bench.msr(R::ICC_SGI1R_EL1, 3U << 24 | 1);
    QCOMPARE(bench.acknowledge(), std::uint64_t{3});
    bench.msr(R::ICC_SGI1R_EL1, 3U << 24 | 1);  // While it is active: comes again after the end.
    bench.end(3);
    QCOMPARE(bench.acknowledge(), std::uint64_t{3});
    bench.end(3);
    QCOMPARE(bench.acknowledge(), std::uint64_t{1023});
  }

  void clearing_a_handed_on_interrupt_frees_the_hardware() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.core().write_register(R::CNTV_CVAL_EL0, 10);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.run(10);
    QVERIFY(bench.take_interrupt());
    bench.poke(kRedistributorBase.value + 0x10280, 1U << 27);  // ICPENDR
    QCOMPARE(bench.did("interrupt.deactivate"), 1U);
    QVERIFY(!bench.gic.virtual_irq(0));
    QVERIFY2(bench.take_interrupt(), "a level that is still high is pending again");
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
  }

  void a_timer_that_the_guest_takes_back_is_taken_back_at_the_next_exit() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.core().write_register(R::CNTV_CVAL_EL0, 10);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.run(10);
    QVERIFY(bench.take_interrupt());
    QVERIFY(bench.gic.virtual_irq(0));
    bench.hypervisor_call(psci::kVersion);
    QVERIFY(bench.gic.virtual_irq(0));  // The line is still high.
    bench.core().write_register(R::CNTV_CVAL_EL0, 100);
    bench.hypervisor_call(psci::kVersion);
    QCOMPARE(bench.did("interrupt.retract"), 1U);
    QVERIFY(!bench.gic.virtual_irq(0));
    bench.run(90);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
    bench.hypervisor_call(psci::kVersion);  // Acknowledged: it is the guest's until its end.
    bench.core().write_register(R::CNTV_CVAL_EL0, 200);
    bench.hypervisor_call(psci::kVersion);
    QCOMPARE(bench.did("interrupt.retract"), 0U);
    bench.end(27);
  }

  void pending_hardware_can_be_seen_before_it_is_switched_on() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.poke(kRedistributorBase.value + 0x10180, 1U << 27);
    bench.core().write_register(R::CNTV_CVAL_EL0, 10);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.run(10);
    QCOMPARE(bench.peek(kRedistributorBase.value + 0x10200), std::uint64_t{1U << 27});
    bench.core().write_register(R::CNTV_CTL_EL0, 3);
    QCOMPARE(bench.peek(kRedistributorBase.value + 0x10200), std::uint64_t{0});
    bench.gic.set_shared_line(5, true);
    QCOMPARE(bench.peek(kDistributorBase.value + 0x204), std::uint64_t{1U << 5});
    QCOMPARE(bench.peek(kDistributorBase.value + 0x200), std::uint64_t{0});
  }

  void a_virtual_interrupt_between_cores_arrives() {
    Bench bench(machine(2));
    bench.start();
    bench.set_up_guest_interrupts();
    bench.hypervisor_call(0xc4000003, 1, kEntry, 0);
    bench.set_up_guest_interrupts(1);
    bench.msr(R::ICC_SGI1R_EL1, 5U << 24 | 2);
    QCOMPARE(bench.did("cpu.kick"), 1U);
    QVERIFY(!bench.gic.virtual_irq(1));
    QVERIFY(!bench.gic.irq(0));
    QVERIFY(bench.take_interrupt(1));
    QVERIFY(bench.gic.virtual_irq(1));
    QVERIFY(!bench.gic.virtual_irq(0));
    QCOMPARE(bench.acknowledge(1), std::uint64_t{5});
    bench.end(5, 1);
    bench.msr(R::ICC_SGI1R_EL1, 6ULL << 24 | 1ULL << 40, 1);  // IRM: all but itself.
    QVERIFY(bench.take_interrupt(0));
    QCOMPARE(bench.acknowledge(0), std::uint64_t{6});
    QVERIFY(!bench.gic.irq(1));
  }

  void the_virtual_controller_keeps_what_is_written() {
    Bench bench(machine(2));
    bench.start();
    const std::uint64_t distributor = kDistributorBase.value, redistributor = kRedistributorBase.value;
    QCOMPARE(bench.peek(distributor), std::uint64_t{0x50});  // ARE, DS
    bench.poke(distributor, 3);
    QCOMPARE(bench.peek(distributor), std::uint64_t{0x53});
    QCOMPARE(bench.peek(distributor + 4), bench.gic.distributor().read(4, 4));             // GICD_TYPER
    QCOMPARE(bench.peek(redistributor + 8, 0, 3), bench.gic.redistributors().read(8, 8));  // GICR_TYPER
    bench.poke(distributor + 0x100, 0xffffffff);  // Private: the redistributor's.
    QCOMPARE(bench.peek(distributor + 0x100), std::uint64_t{0});
    bench.poke(distributor + 0x108, 0xf0f0);
    bench.poke(distributor + 0x188, 0x00f0);
    QCOMPARE(bench.peek(distributor + 0x108), std::uint64_t{0xf000});
    QCOMPARE(bench.peek(distributor + 0x188), std::uint64_t{0xf000});
    bench.poke(distributor + 0x424, 0xa0b0c8ff);
    QCOMPARE(bench.peek(distributor + 0x424), std::uint64_t{0xa0b0c8f8});
    QCOMPARE(bench.peek(distributor + 0x426, 0, 0), std::uint64_t{0xb0});
    bench.poke(distributor + 0xc08, 0xaaaaaaaa);
    QCOMPARE(bench.peek(distributor + 0xc08), std::uint64_t{0xaaaaaaaa});
    bench.poke(distributor + 0x6000 + 8 * 40, 1, 0, 3);
    QCOMPARE(bench.peek(distributor + 0x6000 + 8 * 40, 0, 3), std::uint64_t{1});
    QCOMPARE(bench.peek(redistributor + 0x10c00), std::uint64_t{0xaaaaaaaa});  // SGIs are edge-triggered.
    QCOMPARE(bench.peek(redistributor + 0x14), std::uint64_t{6});
    bench.poke(redistributor + 0x14, 0);
    QCOMPARE(bench.peek(redistributor + 0x14), std::uint64_t{0});
    QCOMPARE(bench.peek(redistributor + kRedistributorBytes + 0x14), std::uint64_t{6});
  }

  // --- two virtual machines ------------------------------------------------------------------------------------------

  void two_machines_take_turns_and_keep_apart() {
    Bench bench(machine(1, 2));
    bench.memory.write(bench.host->backing({kEntry}), 4, 0x1111);
    bench.start();
    const std::uint64_t first_tables = bench.state()[R::VTTBR_EL2];
    bench.set_up_guest_interrupts();
    bench.x(19) = 0x19;
    bench.core().engine.vector[7] = {7, 70};
    bench.state()[R::TTBR0_EL1] = 0x4242;
    bench.core().write_register(R::CNTV_CVAL_EL0, 123456);
    bench.state().stack_pointers[0] = 0x900;
    bench.poke(kUart, 'a', 0, 0);
    bench.abort(kEntry, 0, kEntry);
    const std::uint64_t first_place = walk(bench, kEntry)->physical;
    const std::uint64_t stopped_at = bench.pc();

    bench.run(6000);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.did("vm.switch"), 1U);
    for (const char* group :
         {"switch.general", "switch.simd", "switch.el1", "switch.timer", "switch.vgic", "switch.stage2"})
      QCOMPARE(bench.did(group), 1U);
    QVERIFY(bench.state()[R::VTTBR_EL2] != first_tables);
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{2});
    QCOMPARE(bench.pc(), kEntry);  // It has done nothing yet.
    QCOMPARE(bench.x(19), std::uint64_t{0});
    QCOMPARE(bench.core().engine.vector[7][0], std::uint64_t{0});
    QCOMPARE(bench.state()[R::TTBR0_EL1], std::uint64_t{0});
    QCOMPARE(bench.core().read_register(R::ICH_VMCR_EL2) & 0xff000002, std::uint64_t{0});  // VPMR, VENG1
    QVERIFY(!walk(bench, kEntry));
    bench.abort(kEntry, 0, kEntry);
    QVERIFY(walk(bench, kEntry)->physical != first_place);
    QCOMPARE(bench.memory.read({walk(bench, kEntry)->physical}, 4), std::uint64_t{0x1111});
    bench.memory.write({walk(bench, kEntry)->physical}, 4, 0x2222);
    bench.poke(kUart, 'b', 0, 0);
    bench.x(19) = 0x20;
    QCOMPARE(bench.uart.console(), std::string("a"));
    QCOMPARE(bench.host->kept_console(1), std::string("b"));

    bench.run(6000);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.state()[R::VTTBR_EL2], first_tables);
    QCOMPARE(bench.pc(), stopped_at);
    QCOMPARE(bench.x(19), std::uint64_t{0x19});
    QCOMPARE(bench.core().engine.vector[7][1], std::uint64_t{70});
    QCOMPARE(bench.state()[R::TTBR0_EL1], std::uint64_t{0x4242});
    QCOMPARE(bench.core().read_register(R::CNTV_CVAL_EL0), std::uint64_t{123456});
    QCOMPARE(bench.state().stack_pointers[0], std::uint64_t{0x900});
    QCOMPARE(bench.memory.read({first_place}, 4), std::uint64_t{0x1111});
    QCOMPARE(bench.core().read_register(R::CNTVCT_EL0), bench.time.guest_ticks());
  }

  void waiting_gives_the_core_to_the_other_machine_and_its_timer_brings_it_back() {
    Bench bench(machine(1, 2));
    bench.start();
    bench.set_up_guest_interrupts();
    bench.core().write_register(R::CNTV_CVAL_EL0, 700);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.wait(false);
    QCOMPARE(bench.did("vm.switch"), 1U);
    QVERIFY(!bench.state().waiting_for_interrupt);
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{2});
    bench.wait(false);  // Now nobody has work until tick 700.
    QCOMPARE(bench.did("vm.switch"), 0U);
    QVERIFY(bench.state().waiting_for_interrupt);
    QCOMPARE(bench.core().timer().next_expiry(), std::optional<std::uint64_t>{700});
    bench.run(699);
    QVERIFY(!bench.gic.irq(0));
    bench.run(1);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{1});
    QCOMPARE(bench.pc(), kEntry + 4 * 5);
    QVERIFY(bench.take_interrupt());  // Its own timer, loaded and due.
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
  }

  void an_interrupt_being_handled_does_not_keep_the_other_machines_timer_away() {
    Bench bench(machine(1, 2));
    bench.start();
    bench.set_up_guest_interrupts();
    bench.core().write_register(R::CNTV_CVAL_EL0, 10);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.run(10);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
    bench.core().write_register(R::CNTV_CVAL_EL0, 100000);
    bench.run(5000);
    QVERIFY(bench.take_interrupt());  // The turn ends within the handler.
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{2});
    QCOMPARE(bench.did("switch.active"), 1U);
    bench.set_up_guest_interrupts();
    bench.core().write_register(R::CNTV_CVAL_EL0, 5020);
    bench.core().write_register(R::CNTV_CTL_EL0, 1);
    bench.run(20);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.acknowledge(), std::uint64_t{27});
    bench.core().write_register(R::CNTV_CVAL_EL0, 100000);
    bench.end(27);
    bench.run(5000);
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{1});
    bench.end(27);  // The first machine's handler goes on and ends.
    bench.run(90000);
    bool again = false;
    for (unsigned exit = 0; exit < 4 && !again; ++exit) again = bench.take_interrupt() && bench.acknowledge() == 27;
    QVERIFY2(again, "no timer interrupt after a switch within a handler");
  }

  void the_second_machine_may_switch_itself_off() {
    Bench bench(machine(1, 2));
    bench.start();
    bench.wait(true);  // WFE: an offer.
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{2});
    bench.hypervisor_call(psci::kSystemOff);
    QCOMPARE(bench.request.stop, StopReason::None);
    QCOMPARE(bench.state()[R::VTTBR_EL2] >> 48, std::uint64_t{1});
    bench.wait(true);
    QCOMPARE(bench.did("vm.switch"), 0U);
    bench.hypervisor_call(psci::kSystemOff);
    QCOMPARE(bench.request.stop, StopReason::PowerOff);
  }

  // --- state and views -----------------------------------------------------------------------------------------------

  void a_restored_host_goes_on_as_before() {
    Bench bench;
    bench.start();
    bench.set_up_guest_interrupts();
    bench.abort(kRam + 0x5000, 0, 0);
    bench.msr(R::ICC_SGI1R_EL1, 3U << 24 | 1);
    bench.msr(R::CNTP_CVAL_EL0, 4711);
    std::vector<std::uint8_t> bytes;
    Writer writer(bytes);
    bench.host->save(writer);
    const auto picture = bench.memory.snapshot();
    const auto go_on = [&] {
      bench.abort(kRam + 0x9000, 0, 0);
      const std::uint64_t place = walk(bench, kRam + 0x9000)->physical;
      bench.poke(kRedistributorBase.value + 0x10400, 0x40, 0, 0);
      bench.msr(R::CNTP_CVAL_EL0, 1);
      std::vector<std::uint8_t> after;
      Writer second(after);
      bench.host->save(second);
      return std::pair{place, after};
    };
    const auto first = go_on();
    static_cast<void>(bench.memory.restore(picture));
    Reader reader(bytes);
    bench.host->load(reader);
    QVERIFY(reader.at_end());
    QVERIFY(!bench.host->find_backing({kRam + 0x9000}));
    QCOMPARE(bench.mrs(R::CNTP_CVAL_EL0), std::uint64_t{4711});
    const auto second = go_on();
    QCOMPARE(second.first, first.first);
    QVERIFY(second.second == first.second);
  }

  void the_control_structure_shows_what_the_hardware_holds() {
    Bench bench;
    bench.start();
    std::set<std::string> names;
    for (const ControlFieldRow& row : bench.host->control_structure(bench.core())) {
      names.insert(std::string(row.name));
      if (row.name == "HCR_EL2") QCOMPARE(row.value, bench.state()[R::HCR_EL2]);
      if (row.name == "ICH_HCR_EL2") QCOMPARE(row.value, std::uint64_t{1});
      QVERIFY(!row.area.empty());
    }
    for (const char* name : {"HCR_EL2", "VTCR_EL2", "VTTBR_EL2", "CNTVOFF_EL2", "ICH_LR0_EL2", "ESR_EL2"})
      QVERIFY2(names.count(name) == 1, name);
  }
};

QTEST_APPLESS_MAIN(El2HostTest)
#include "el2_host_test.moc"
