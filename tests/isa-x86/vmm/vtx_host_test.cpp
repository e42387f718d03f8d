// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VT-x host alone: registers instead of an engine, exits made by hand, and what the host does about them.
#include <QtTest>

#include <set>

#include "../vmx/vmx_bench.h"
#include "core/devices/simple_devices.h"
#include "isa-x86/cpu/cpuid.h"
#include "isa-x86/vmm/vtx_host.h"

using namespace shearling;
using namespace shearling::x86;
using namespace shearling::x86::testing;

namespace {

using F = VmcsField;
constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRsi = 6, kRdi = 7;
constexpr std::uint64_t kApic = 0xfee00000, kEntry = 0x100000;
constexpr std::uint64_t kTranslatedRead = 0x181, kTranslatedWrite = 0x182, kTranslatedFetch = 0x184;

MachineConfig machine() {
  MachineConfig config;
  config.ram_bytes = 16 << 20;
  config.cpu_features = {"tsc", "apic", "pge", "pcid", "syscall", "nx", "rdtscp", "smep"};
  config.costs.actions = {{"vm.exit", 600},      {"vm.entry", 400}, {"exit.dispatch", 100},
                          {"cpuid.emulate", 70}, {"tsc.hide", 20},  {"instruction.skip", 50}};
  return config;
}

/// A guest as a multiboot loader leaves it: 32-bit protected mode, no paging, interrupts off.
struct HostBench {
  explicit HostBench(MachineConfig description = machine())
      : config(std::move(description)),
        memory({0}, vtx_physical_memory_bytes(config)),
        path(config.translation, config.caches, events),
        devices(events),
        serial(events),
        exit_port(request),
        vmx(context(), state),
        mmu(context(), state, vmx.nested()),
        apic("local APIC", time, events),
        host(make_vtx_host(context(), state, vmx, mmu, apic)) {
    events.set_sinks(&log, nullptr);
    events.begin_step(0);
    path.set_models_on(false);
    devices.attach_ports(serial, 0x3f8, 8);
    devices.attach_ports(exit_port, 0xf4, 4);
    state.cr0 = kCr0Pe | kCr0Et;
    state.debug[7] = 0x400;
    for (unsigned index = 0; index < kSegmentCount; ++index)
      state.segments[index] = {.limit = 0xffffffff,
                               .access_rights = index == kCs ? 0xc09bU : 0xc093U,
                               .selector = static_cast<std::uint16_t>(index == kCs ? 8 : 16)};
    state.tr = {.limit = 0xffff, .access_rights = 0x8b};
    state.gdtr.limit = state.idtr.limit = 0xffff;
    engine.registers.program_counter = kEntry;
    started = host->start().ok();
  }
  MachineContext context() { return {config, memory, engine, events, path, devices, request, time}; }
  std::uint64_t get(F field) { return vmx.vmcs().read(field); }
  std::uint64_t reg(unsigned index) { return engine.read(integer_register(index)); }
  void set_reg(unsigned index, std::uint64_t value) { engine.write(integer_register(index), value); }
  std::uint64_t pc() { return engine.read(program_counter_register()); }
  void set_pc(std::uint64_t value) { engine.write(program_counter_register(), value); }

  /// The guest leaves, the host does what it does, the guest is back (or the machine stops).
  void leave(VmExitInformation exit, const std::optional<PendingEvent>& delivering = std::nullopt) {
    log.events.clear();
    vmx.exit(exit, delivering);
    host->handle_exit();
  }
  void instruction(std::uint32_t reason, std::uint64_t qualification = 0, std::uint32_t length = 2) {
    leave({.reason = reason, .qualification = qualification, .instruction_length = length});
  }
  /// Code at the program counter touches `address`, where no RAM is.
  void touch(const char* code, std::uint64_t address, std::uint64_t qualification) {
    const QByteArray bytes = QByteArray::fromHex(code);
    for (qsizetype index = 0; index < bytes.size(); ++index)
      memory.write(host->backing({pc() + static_cast<std::uint64_t>(index)}), 1,
                   static_cast<std::uint8_t>(bytes[index]));
    leave({.reason = 48,
           .qualification = qualification,
           .guest_linear_address = address,
           .guest_physical_address = address});
  }
  void write_apic(std::uint64_t offset, std::uint32_t value) {
    set_reg(kRax, value);
    touch("8903", kApic + offset, kTranslatedWrite);  // mov [ebx], eax
  }
  std::uint64_t read_apic(std::uint64_t offset) {
    touch("8b0b", kApic + offset, kTranslatedRead);  // mov ecx, [ebx]
    return reg(kRcx);
  }
  void interrupts(bool on) { state.rflags = on ? state.rflags | kFlagIf : state.rflags & ~kFlagIf; }
  void run(std::uint64_t ticks) {
    time.step += ticks;
    apic.advance();
  }
  /// What the processor does at an instruction boundary.
  bool take_interrupt() {
    if (!apic.pending_vector()) return false;
    const auto exit =
        vmx.intercept({.kind = Intercept::ExternalInterrupt,
                       .event = {.kind = EventKind::ExternalInterrupt, .vector = *apic.pending_vector()}});
    if (exit) leave(*exit);
    return exit.has_value();
  }
  bool take_window() {
    const auto exit = vmx.intercept({.kind = Intercept::InterruptWindow});
    if (exit) leave(*exit);
    return exit.has_value();
  }
  bool did(std::string_view action) const {
    for (const Event& event : log.events) {
      const auto* payload = std::get_if<VmmAction>(&event.payload);
      if (payload != nullptr && payload->name == action) return true;
    }
    return false;
  }
  template <typename Payload>
  unsigned count() const {
    unsigned found = 0;
    for (const Event& event : log.events) found += std::holds_alternative<Payload>(event.payload) ? 1U : 0U;
    return found;
  }
  std::uint64_t visible_tsc() { return vmx.guest_visible_tsc(time.guest_ticks() + time.vmm_cycles); }
  void to_long_mode() {
    set_reg(kRax, kCr4Pae);
    instruction(28, 4, 3);
    set_reg(kRcx, kMsrEfer);
    set_reg(kRax, kEferLme | kEferSce);
    set_reg(kRdx, 0);
    instruction(32);
    set_reg(kRax, kCr0Pg | kCr0Pe | kCr0Wp);
    instruction(28, 0, 3);
    state.segments[kCs].access_rights = 0xa09b;
  }

  MachineConfig config;
  PhysicalMemory memory;
  RegisterEngine engine;
  EventLog log;
  EventStream events;
  MemoryPath path;
  DeviceBus devices;
  MachineRequest request;
  VirtualTime time;
  SystemState state;
  SerialPort serial;
  ExitPort exit_port;
  VmxUnit vmx;
  Mmu mmu;
  LocalApic apic;
  std::unique_ptr<Host> host;
  bool started = false;
};

}  // namespace

class VtxHostTest : public QObject {
  Q_OBJECT

  static void verify_fault(HostBench& bench, std::uint8_t vector, std::optional<std::uint32_t> code = std::nullopt) {
    const auto event = bench.vmx.take_injected();
    QVERIFY(event.has_value());
    QCOMPARE(event->vector, vector);
    QCOMPARE(event->has_error_code, code.has_value());
    if (code) QCOMPARE(event->error_code, *code);
  }

 private slots:
  // --- setting up
  // ------------------------------------------------------------------------------------------------------

  void it_enters_a_guest_that_a_loader_left_in_protected_mode() {
    HostBench bench;
    QVERIFY(bench.started);
    QVERIFY(bench.vmx.in_non_root());
    QCOMPARE(bench.request.stop, StopReason::None);
    QCOMPARE(bench.count<VmEntry>(), 1U);
    for (const char* action : {"vmx.on", "vmcs.clear", "vmcs.load", "bitmaps.build", "ept.create",
                               "vmcs.write-controls", "vmcs.write-host", "vmcs.write-guest"})
      QVERIFY2(bench.did(action), action);
    QCOMPARE(bench.pc(), kEntry);
    QCOMPARE(bench.state.cr0, kCr0Pe | kCr0Et | kCr0Ne);
    QCOMPARE(bench.vmx.guest_visible_cr0(), kCr0Pe | kCr0Et);
    QCOMPARE(bench.vmx.guest_visible_cr4(), std::uint64_t{0});
    QVERIFY(bench.vmx.nested().enabled);
    QCOMPARE(bench.vmx.nested().vpid, std::uint16_t{1});
  }

  void the_description_decides_vpid_and_ept_flags() {
    MachineConfig config = machine();
    config.vmm.vpid = false;
    config.vmm.nested_accessed_dirty = false;
    HostBench bench(config);
    QVERIFY(bench.vmx.in_non_root());
    QCOMPARE(bench.vmx.nested().vpid, std::uint16_t{0});
    QVERIFY(!bench.vmx.nested().accessed_dirty);
  }

  void the_vmm_never_writes_into_backing_of_the_guest() {
    HostBench bench;
    for (std::uint64_t address = 0; address < bench.config.ram_bytes; address += 4096)
      QVERIFY(!bench.host->find_backing({address}));
  }

  // --- time
  // ------------------------------------------------------------------------------------------------------------

  void the_guests_clock_hides_the_vmms_cycles() {
    HostBench bench;
    QVERIFY(bench.time.vmm_cycles > 0);
    QCOMPARE(bench.visible_tsc(), bench.time.guest_ticks());
    for (unsigned round = 0; round < 5; ++round) {
      bench.time.step += 17;
      bench.instruction(10);
      QCOMPARE(bench.visible_tsc(), bench.time.guest_ticks());
    }
  }

  void costs_of_actions_add_up_in_events_and_in_time() {
    HostBench bench;
    const std::uint64_t before = bench.time.vmm_cycles;
    bench.instruction(10);
    std::uint64_t cycles = 0;
    for (const Event& event : bench.log.events) cycles += event.cycles;
    QCOMPARE(bench.time.vmm_cycles - before, cycles);
    QCOMPARE(cycles, std::uint64_t{600 + 100 + 70 + 50 + 20 + 400});
  }

  void writing_the_time_stamp_counter_moves_the_guests_clock_only() {
    HostBench bench;
    bench.time.step = 100;
    bench.set_reg(kRcx, kMsrTsc);
    bench.set_reg(kRax, 5000);
    bench.set_reg(kRdx, 1);
    bench.instruction(32);
    QCOMPARE(bench.visible_tsc(), std::uint64_t{0x100000000 + 5000});
    bench.time.step += 7;
    QCOMPARE(bench.visible_tsc(), std::uint64_t{0x100000000 + 5007});
    bench.instruction(16);  // RDTSC, were it to exit
    QCOMPARE(bench.reg(kRax), std::uint64_t{5007});
    QCOMPARE(bench.reg(kRdx), std::uint64_t{1});
  }

  // --- simple instructions
  // ---------------------------------------------------------------------------------------------

  void cpuid_answers_as_the_hardware_but_for_the_hypervisor_bit() {
    HostBench bench;
    for (const std::uint32_t leaf : {0U, 1U, 7U, 0x80000000U, 0x80000001U, 0x80000008U}) {
      bench.set_reg(kRax, 0xffffffff00000000 | leaf);
      bench.set_reg(kRcx, 0);
      const std::uint64_t from = bench.pc();
      bench.instruction(10);
      const CpuidResult expected = cpuid(CpuFeatures(bench.config), leaf, 0);
      QCOMPARE(bench.reg(kRax), std::uint64_t{expected.eax});
      QCOMPARE(bench.reg(kRbx), std::uint64_t{expected.ebx});
      QCOMPARE(bench.reg(kRcx), std::uint64_t{leaf == 1 ? (expected.ecx | 1U << 31) & ~(1U << 5) : expected.ecx});
      QCOMPARE(bench.reg(kRdx), std::uint64_t{expected.edx});
      QCOMPARE(bench.pc(), from + 2);
    }
    bench.set_reg(kRax, kHypervisorLeaf);
    bench.instruction(10);
    QCOMPARE(bench.reg(kRax), std::uint64_t{kHypervisorInterfaceLeaf});
    QByteArray vendor;
    for (const unsigned index : {kRbx, kRcx, kRdx})
      for (unsigned byte = 0; byte < 4; ++byte) vendor.append(static_cast<char>(bench.reg(index) >> (8 * byte)));
    QCOMPARE(vendor, QByteArray("ShearlingVMM"));
  }

  void an_emulated_instruction_ends_blocking_and_keeps_flags() {
    HostBench bench;
    bench.interrupts(true);
    bench.state.interruptibility = kBlockingBySti;
    bench.engine.registers.flags = kFlagCf | kFlagDf;
    bench.instruction(10);
    QCOMPARE(bench.state.interruptibility, 0U);
    QCOMPARE(bench.engine.registers.flags, kFlagCf | kFlagDf);
  }

  void single_stepping_over_an_emulated_instruction_traps_behind_it() {
    HostBench bench;
    bench.state.rflags |= kFlagTf;
    bench.instruction(10);
    QCOMPARE(bench.pc(), kEntry + 2);
    verify_fault(bench, kDebugException);
    QVERIFY((bench.state.debug[6] & 1U << 14) != 0);
  }

  void hypercalls_give_version_console_and_cycles() {
    HostBench bench;
    bench.set_reg(kRax, 0);
    bench.instruction(18, 0, 3);
    QCOMPARE(bench.reg(kRax), kHypercallVersion);
    QCOMPARE(bench.count<Hypercall>(), 1U);
    bench.set_reg(kRax, 1);
    bench.set_reg(kRbx, 'w');
    bench.instruction(18, 0, 3);
    QCOMPARE(bench.reg(kRax), std::uint64_t{0});
    QCOMPARE(bench.serial.console(), std::string("w"));
    bench.set_reg(kRax, 2);
    bench.instruction(18, 0, 3);
    QVERIFY(bench.reg(kRax) > 0 && bench.reg(kRax) < bench.time.vmm_cycles);
    bench.set_reg(kRax, 77);
    bench.instruction(18, 0, 3);
    QCOMPARE(bench.reg(kRax), ~std::uint64_t{0});
    bench.state.segments[kSs].access_rights = 0xc0f3;  // Ring 3 may not.
    bench.state.segments[kCs].access_rights = 0xc0fb;
    bench.state.cpl = 3;
    bench.set_reg(kRax, 0);
    bench.instruction(18, 0, 3);
    QCOMPARE(bench.reg(kRax), ~std::uint64_t{0});
  }

  void instructions_that_the_guest_must_not_have_are_undefined_data() {
    QTest::addColumn<std::uint32_t>("reason");
    QTest::addColumn<int>("vector");
    for (const std::uint32_t reason : {19U, 20U, 21U, 22U, 23U, 24U, 25U, 26U, 27U, 36U, 39U, 50U, 53U})
      QTest::addRow("reason %u", reason) << reason << 6;
    QTest::newRow("RDPMC") << 15U << 13;
    QTest::newRow("XSETBV") << 55U << 13;
  }
  void instructions_that_the_guest_must_not_have_are_undefined() {
    QFETCH(std::uint32_t, reason);
    QFETCH(int, vector);
    HostBench bench;
    bench.instruction(reason, 0, 3);
    QCOMPARE(bench.pc(), kEntry);
    if (vector == 6)
      verify_fault(bench, 6);
    else
      verify_fault(bench, 13, 0);
  }

  void cache_instructions_and_pause_do_nothing() {
    HostBench bench;
    std::uint64_t expected = kEntry;
    for (const std::uint32_t reason : {13U, 40U, 54U}) {
      bench.instruction(reason);
      QCOMPARE(bench.pc(), expected += 2);
      QVERIFY(!bench.vmx.take_injected());
    }
  }

  void an_exception_that_the_bitmap_caught_goes_to_the_guest() {
    HostBench bench;
    bench.leave({.reason = 0,
                 .qualification = 0xbeef000,
                 .interruption_information = 0x80000b0e,
                 .interruption_error_code = 6});
    QCOMPARE(bench.state.cr2, std::uint64_t{0xbeef000});
    verify_fault(bench, 14, 6);
  }

  // --- control registers and MSRs
  // ----------------------------------------------------------------------------------------

  void long_mode_is_switched_on_by_three_exits() {
    HostBench bench;
    bench.to_long_mode();
    QCOMPARE(bench.state.efer, kEferLme | kEferSce | kEferLma);
    QVERIFY((bench.get(F::EntryControls) & kEntryIa32eModeGuest) != 0);
    QCOMPARE(bench.vmx.guest_visible_cr0(), kCr0Pg | kCr0Pe | kCr0Wp | kCr0Et);
    QCOMPARE(bench.state.cr0, kCr0Pg | kCr0Pe | kCr0Wp | kCr0Et | kCr0Ne);
    QCOMPARE(bench.vmx.guest_visible_cr4(), kCr4Pae);
    QCOMPARE(bench.state.cr4, kCr4Pae | kCr4Vmxe);
    QCOMPARE(bench.pc(), kEntry + 3 + 2 + 3);
  }

  void illegal_control_register_values_are_protection_faults_data() {
    QTest::addColumn<unsigned>("cr");
    QTest::addColumn<std::uint64_t>("value");
    QTest::addColumn<bool>("long_mode");
    QTest::newRow("PG without PE") << 0U << kCr0Pg << false;
    QTest::newRow("NW without CD") << 0U << (kCr0Pe | kCr0Nw) << false;
    QTest::newRow("CR0 high half") << 0U << (kCr0Pe | kCr0Pg | kCr0Cd | std::uint64_t{1} << 32) << true;
    QTest::newRow("PG off in 64-bit mode") << 0U << kCr0Pe << true;
    QTest::newRow("VMXE") << 4U << (kCr4Pae | kCr4Vmxe) << false;
    QTest::newRow("a CR4 bit the core lacks") << 4U << (kCr4Pae | kCr4Smap) << false;
    QTest::newRow("PAE off in long mode") << 4U << std::uint64_t{0} << true;
    QTest::newRow("PCIDE outside long mode") << 4U << (kCr4Pae | kCr4Pcide) << false;
    QTest::newRow("CR8 above 15") << 8U << std::uint64_t{16} << true;
    QTest::newRow("CR3 beyond memory") << 3U << (std::uint64_t{1} << 45) << true;
  }
  void illegal_control_register_values_are_protection_faults() {
    QFETCH(unsigned, cr);
    QFETCH(std::uint64_t, value);
    QFETCH(bool, long_mode);
    HostBench bench;
    if (long_mode) bench.to_long_mode();
    const std::uint64_t from = bench.pc();
    const SystemState before = bench.state;
    bench.set_reg(kRax, value);
    bench.instruction(28, cr, 3);
    QCOMPARE(bench.pc(), from);
    verify_fault(bench, 13, 0);
    QCOMPARE(bench.state.cr0, before.cr0);
    QCOMPARE(bench.state.cr4, before.cr4);
    QCOMPARE(bench.state.cr3, before.cr3);
  }

  void paging_without_pae_cannot_begin_long_mode() {
    HostBench bench;
    bench.set_reg(kRcx, kMsrEfer);
    bench.set_reg(kRax, kEferLme);
    bench.instruction(32);
    bench.set_reg(kRax, kCr0Pg | kCr0Pe);
    bench.instruction(28, 0, 3);
    verify_fault(bench, 13, 0);
  }

  void the_task_priority_goes_through_cr8() {
    HostBench bench;
    bench.to_long_mode();
    bench.set_reg(5, 9);
    bench.instruction(28, 8 | 5 << 8, 4);           // mov cr8, rbp
    bench.instruction(28, 8 | 1 << 4 | 6 << 8, 4);  // mov rsi, cr8
    QCOMPARE(bench.reg(kRsi), std::uint64_t{9});
    QCOMPARE(bench.state.cr8, std::uint64_t{9});
    QCOMPARE(bench.apic.task_priority(), std::uint64_t{0});  // The physical one is the VMM's.
  }

  void efer_keeps_its_rules_data() {
    QTest::addColumn<std::uint64_t>("value");
    QTest::addColumn<bool>("long_mode");
    QTest::addColumn<bool>("legal");
    QTest::newRow("NXE") << kEferNxe << false << true;
    QTest::newRow("LMA is not writable") << (kEferLme | kEferLma) << true << true;
    QTest::newRow("a reserved bit") << std::uint64_t{2} << false << false;
    QTest::newRow("LME off while paging") << kEferSce << true << false;
  }
  void efer_keeps_its_rules() {
    QFETCH(std::uint64_t, value);
    QFETCH(bool, long_mode);
    QFETCH(bool, legal);
    HostBench bench;
    if (long_mode) bench.to_long_mode();
    bench.set_reg(kRcx, kMsrEfer);
    bench.set_reg(kRax, value & 0xffffffff);
    bench.set_reg(kRdx, value >> 32);
    bench.instruction(32);
    if (!legal) {
      verify_fault(bench, 13, 0);
      return;
    }
    QVERIFY(!bench.vmx.take_injected());
    QCOMPARE(bench.state.efer, long_mode ? value | kEferLma : value & ~kEferLma);
  }

  void msrs_that_do_not_exist_are_protection_faults() {
    HostBench bench;
    for (const std::uint32_t reason : {31U, 32U}) {
      bench.set_reg(kRcx, 0x480);
      bench.instruction(reason);
      verify_fault(bench, 13, 0);
    }
    bench.set_reg(kRcx, kMsrApicBase);
    bench.instruction(31);
    QCOMPARE(bench.reg(kRax), std::uint64_t{0xfee00900});
    bench.instruction(32);  // The same value again.
    QVERIFY(!bench.vmx.take_injected());
    QCOMPARE(bench.request.stop, StopReason::None);
  }

  void the_msr_bitmap_passes_what_the_vmcs_switches() {
    HostBench bench;
    const auto exits = [&](Intercept kind, std::uint32_t msr) {
      return bench.vmx.intercept({.kind = kind, .msr = msr}).has_value();
    };
    for (const std::uint32_t msr : {kMsrFsBase, kMsrGsBase, kMsrKernelGsBase, kMsrStar, kMsrLstar, kMsrFmask,
                                    kMsrSysenterCs, kMsrPat, kMsrTscAux}) {
      QVERIFY(!exits(Intercept::RdMsr, msr));
      QVERIFY(!exits(Intercept::WrMsr, msr));
    }
    QVERIFY(!exits(Intercept::RdMsr, kMsrEfer) && exits(Intercept::WrMsr, kMsrEfer));
    QVERIFY(!exits(Intercept::RdMsr, kMsrTsc) && exits(Intercept::WrMsr, kMsrTsc));
    QVERIFY(exits(Intercept::RdMsr, kMsrApicBase) && exits(Intercept::RdMsr, 0x480) &&
            exits(Intercept::WrMsr, kMsrFeatureControl));
  }

  // --- ports
  // -----------------------------------------------------------------------------------------------------------

  void the_serial_port_is_forwarded() {
    HostBench bench;
    bench.set_reg(kRax, 0xffffffffffffff00 | 'x');
    bench.instruction(30, 0x3f8ULL << 16, 1);
    QCOMPARE(bench.serial.console(), std::string("x"));
    QVERIFY(bench.did("port.write"));
    bench.set_reg(kRax, 0x1122334455667788);
    bench.instruction(30, 0x3fdULL << 16 | 8, 1);  // in al, dx
    QCOMPARE(bench.reg(kRax), std::uint64_t{0x1122334455667760});
    bench.instruction(30, 0x80ULL << 16 | 8 | 3, 1);  // in eax, dx: nobody there
    QCOMPARE(bench.reg(kRax), std::uint64_t{0xffffffff});
  }

  void the_exit_port_ends_the_machine_behind_the_instruction() {
    HostBench bench;
    bench.set_reg(kRax, 12);
    bench.instruction(30, 0xf4ULL << 16 | 3, 1);
    QCOMPARE(bench.request.stop, StopReason::ExitPort);
    QCOMPARE(bench.request.code, 25U);
    QVERIFY(bench.vmx.in_non_root());  // The guest's registers are where views look for them.
    QCOMPARE(bench.pc(), kEntry + 1);
  }

  void lesson_marks_cost_no_exit() {
    HostBench bench;
    QVERIFY(!bench.vmx.intercept({.kind = Intercept::PortIo, .port = 0xe9, .port_size = 4}));
    QVERIFY(bench.vmx.intercept({.kind = Intercept::PortIo, .port = 0xe8, .port_size = 1}));
    QVERIFY(bench.vmx.intercept({.kind = Intercept::PortIo, .port = 0xed, .port_size = 1}));
  }

  void repeated_string_output_reads_guest_memory() {
    HostBench bench;
    for (std::uint64_t index = 0; index < 5; ++index)
      bench.memory.write(bench.host->backing({0x2ffe + index}), 1, "wolf!"[index]);
    bench.memory.write(bench.host->backing({kEntry}), 2, 0x6ef3);  // rep outsb
    bench.set_reg(kRsi, 0x2ffe);
    bench.set_reg(kRcx, 5);
    bench.set_reg(kRdx, 0x3f8);
    bench.instruction(30, 0x3f8ULL << 16 | 1 << 4 | 1 << 5, 2);
    QCOMPARE(bench.serial.console(), std::string("wolf!"));
    QCOMPARE(bench.reg(kRsi), std::uint64_t{0x3003});
    QCOMPARE(bench.reg(kRcx), std::uint64_t{0});
    QCOMPARE(bench.pc(), kEntry + 2);
  }

  void string_input_goes_backwards_with_the_direction_flag() {
    HostBench bench;
    bench.memory.write(bench.host->backing({kEntry}), 1, 0x6d);  // insd
    bench.engine.registers.flags = kFlagDf;
    bench.set_reg(kRdi, 0x3ffe);  // Across two pages.
    bench.instruction(30, 0x80ULL << 16 | 3 | 8 | 1 << 4, 1);
    QCOMPARE(bench.memory.read(*bench.host->find_backing({0x3ffe}), 2), std::uint64_t{0xffff});
    QCOMPARE(bench.memory.read(*bench.host->find_backing({0x4000}), 2), std::uint64_t{0xffff});
    QCOMPARE(bench.reg(kRdi), std::uint64_t{0x3ffa});
    QCOMPARE(bench.pc(), kEntry + 1);
  }

  void a_string_operand_that_the_guest_has_not_mapped_is_its_page_fault() {
    HostBench bench;
    bench.to_long_mode();
    const auto entry = [&](std::uint64_t address, std::uint64_t value) {
      bench.memory.write(bench.host->backing({address}), 8, value);
    };
    entry(0x5000, 0x6000 | 3);
    entry(0x6000, 0x7000 | 3);
    entry(0x7000, 0x83);  // 0..2 MB as one page
    bench.state.cr3 = 0x5000;
    bench.memory.write(bench.host->backing({bench.pc()}), 2, 0x6ef3);
    bench.set_reg(kRsi, 0x1fffff);
    bench.set_reg(kRcx, 3);
    const std::uint64_t from = bench.pc();
    bench.instruction(30, 0x3f8ULL << 16 | 1 << 4 | 1 << 5, 2);
    QCOMPARE(bench.serial.console().size(), std::size_t{1});
    QCOMPARE(bench.reg(kRcx), std::uint64_t{2});
    QCOMPARE(bench.pc(), from);
    QCOMPARE(bench.state.cr2, std::uint64_t{0x200000});
    verify_fault(bench, 14, 0);
    QCOMPARE(bench.memory.read(*bench.host->find_backing({0x7000}), 8), std::uint64_t{0xa3});  // Accessed, not dirty.
  }

  // --- nested paging
  // ---------------------------------------------------------------------------------------------------

  void ram_is_mapped_when_it_is_touched_first_and_only_then() {
    HostBench bench;
    bench.memory.write(bench.host->backing({0x3000}), 1, 0x5a);
    const std::uint64_t from = bench.pc();
    bench.leave({.reason = 48,
                 .qualification = kTranslatedRead,
                 .guest_linear_address = 0x3000,
                 .guest_physical_address = 0x3000});
    QCOMPARE(bench.pc(), from);  // The instruction runs again.
    QVERIFY(bench.did("ept.map"));
    QCOMPARE(bench.mmu.inspect_nested({0x3000}), bench.host->find_backing({0x3000}));
    QVERIFY(!bench.mmu.inspect_nested({0x4000}));
    QCOMPARE(bench.request.stop, StopReason::None);
    bench.leave({.reason = 48,
                 .qualification = kTranslatedRead,
                 .guest_linear_address = 0x3000,
                 .guest_physical_address = 0x3000});
    QCOMPARE(bench.request.stop, StopReason::Unsupported);  // Nothing more can be granted.
  }

  void a_fetch_where_no_ram_is_is_undefined() {
    HostBench bench;
    bench.set_pc(0xd0000000);
    bench.leave({.reason = 48,
                 .qualification = kTranslatedFetch,
                 .guest_linear_address = 0xd0000000,
                 .guest_physical_address = 0xd0000000});
    verify_fault(bench, kInvalidOpcode);
  }

  void a_page_table_where_no_ram_is_is_a_page_fault_with_reserved_bits() {
    HostBench bench;
    bench.to_long_mode();
    bench.state.cr3 = 0x80000000;
    bench.leave(
        {.reason = 48, .qualification = 0x81, .guest_linear_address = 0x1234000, .guest_physical_address = 0x80000000});
    QCOMPARE(bench.state.cr2, std::uint64_t{0x1234000});
    verify_fault(bench, 14, 9);
    // The same while that fault is delivered: double fault, and then the end.
    bench.leave(
        {.reason = 48, .qualification = 0x81, .guest_linear_address = 0x1234000, .guest_physical_address = 0x80000000},
        PendingEvent{.vector = 14, .has_error_code = true, .error_code = 9});
    verify_fault(bench, 8, 0);
    bench.leave(
        {.reason = 48, .qualification = 0x81, .guest_linear_address = 0x1234000, .guest_physical_address = 0x80000000},
        PendingEvent{.vector = 8, .has_error_code = true});
    QCOMPARE(bench.request.stop, StopReason::TripleFault);
  }

  void an_event_whose_delivery_broke_off_is_injected_again() {
    HostBench bench;
    bench.leave({.reason = 48,
                 .qualification = kTranslatedWrite,
                 .guest_linear_address = 0x8000,
                 .guest_physical_address = 0x8000},
                PendingEvent{.kind = EventKind::SoftwareInterrupt, .vector = 0x80, .instruction_length = 2});
    const auto event = bench.vmx.take_injected();
    QVERIFY(event);
    QCOMPARE(event->kind, EventKind::SoftwareInterrupt);
    QCOMPARE(event->vector, std::uint8_t{0x80});
    QCOMPARE(event->instruction_length, 2U);
    QVERIFY(bench.did("event.reinject"));
  }

  void misconfigurations_and_triple_faults_end_the_machine() {
    HostBench first;
    first.leave({.reason = 49, .guest_physical_address = 0x3000});
    QCOMPARE(first.request.stop, StopReason::Unsupported);
    HostBench second;
    second.leave({.reason = 2});
    QCOMPARE(second.request.stop, StopReason::TripleFault);
    QCOMPARE(second.pc(), kEntry);
    QCOMPARE(second.state.activity, ActivityState::Shutdown);
    HostBench third;
    third.instruction(9);  // A task switch: nobody handles that.
    QCOMPARE(third.request.stop, StopReason::Unsupported);
  }

  void memory_that_nobody_claims_reads_as_ones_and_swallows_writes() {
    HostBench bench;
    bench.set_reg(kRcx, 0);
    bench.touch("8b0b", 0xd0000000, kTranslatedRead);
    QCOMPARE(bench.reg(kRcx), std::uint64_t{0xffffffff});
    bench.touch("890b", 0xd0000000, kTranslatedWrite);
    QCOMPARE(bench.pc(), kEntry + 4);
    QCOMPARE(bench.request.stop, StopReason::None);
  }

  // --- the virtual APIC
  // --------------------------------------------------------------------------------------------------

  void every_form_of_access_reaches_the_virtual_apic_data() {
    QTest::addColumn<QByteArray>("code");
    QTest::addColumn<std::uint64_t>("expected");  // TPR, 0x30 before
    QTest::newRow("mov [ebx], eax") << QByteArray("8903") << std::uint64_t{0x51};
    QTest::newRow("mov dword [ebx], 0x60") << QByteArray("c70360000000") << std::uint64_t{0x60};
    QTest::newRow("or [ebx], eax") << QByteArray("0903") << std::uint64_t{0x71};
    QTest::newRow("and [ebx], eax") << QByteArray("2103") << std::uint64_t{0x10};
    QTest::newRow("and dword [ebx], 0x20") << QByteArray("832320") << std::uint64_t{0x20};
    QTest::newRow("xor [ebx], eax") << QByteArray("3103") << std::uint64_t{0x61};
    QTest::newRow("test [ebx], eax") << QByteArray("8503") << std::uint64_t{0x30};
    QTest::newRow("xchg [ebx], eax") << QByteArray("8703") << std::uint64_t{0x51};
    QTest::newRow("mov [moffs], eax") << QByteArray("a38000e0fe") << std::uint64_t{0x51};
  }
  void every_form_of_access_reaches_the_virtual_apic() {
    QFETCH(QByteArray, code);
    QFETCH(std::uint64_t, expected);
    HostBench bench;
    bench.write_apic(kApicTaskPriority, 0x30);
    const std::uint64_t from = bench.pc();
    bench.set_reg(kRax, 0x51);
    bench.touch(code.constData(), kApic + kApicTaskPriority, kTranslatedWrite);
    QCOMPARE(bench.pc(), from + static_cast<std::uint64_t>(code.size()) / 2);
    QCOMPARE(bench.read_apic(kApicTaskPriority), expected);
    QCOMPARE(bench.state.cr8, expected >> 4);
    QCOMPARE(bench.apic.read(kApicTaskPriority, 4), std::uint64_t{0});
  }

  void instructions_that_cannot_be_emulated_end_the_machine() {
    HostBench bench;
    bench.touch("a5", kApic, kTranslatedRead);  // movsd
    QCOMPARE(bench.request.stop, StopReason::Unsupported);
  }

  void the_physical_timer_expires_when_the_virtual_one_does() {
    HostBench bench;
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicDivide, 0xb);
    bench.write_apic(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    bench.time.step = 1000;
    bench.write_apic(kApicInitialCount, 250);
    QVERIFY(bench.did("timer.arm"));
    QCOMPARE(bench.apic.next_expiry(), std::optional<std::uint64_t>(1250));
    bench.interrupts(true);
    bench.run(249);
    QVERIFY(!bench.take_interrupt());
    bench.run(1);
    QVERIFY(bench.take_interrupt());
    QVERIFY(bench.did("interrupt.acknowledge") && bench.did("interrupt.inject"));
    const auto event = bench.vmx.take_injected();
    QVERIFY(event);
    QCOMPARE(event->kind, EventKind::ExternalInterrupt);
    QCOMPARE(event->vector, std::uint8_t{0x40});
    QVERIFY(!bench.apic.pending_vector());
    QCOMPARE(bench.apic.next_expiry(), std::optional<std::uint64_t>(1500));
    // The first is in service: the second waits for the guest's EOI, and comes through the window.
    bench.interrupts(true);
    bench.run(250);
    QVERIFY(bench.take_interrupt());
    QVERIFY(!bench.vmx.take_injected());
    QVERIFY(!bench.take_window());
    bench.write_apic(kApicEoi, 0);
    QVERIFY(!bench.vmx.take_injected());  // Not in the middle of the guest's step.
    QVERIFY(bench.did("window.open"));
    QVERIFY(bench.take_window());
    QVERIFY(bench.did("interrupt.inject") && bench.did("window.close"));
    QVERIFY(bench.vmx.take_injected());
    QVERIFY(!bench.take_window());
  }

  void stopping_the_virtual_timer_stops_the_physical_one() {
    HostBench bench;
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicLvtTimer, 0x40);
    bench.write_apic(kApicInitialCount, 250);
    QVERIFY(bench.apic.next_expiry());
    bench.write_apic(kApicLvtTimer, kApicLvtMasked | 0x40);
    QVERIFY(bench.did("timer.stop"));
    QVERIFY(!bench.apic.next_expiry());
    bench.write_apic(kApicLvtTimer, 0x40);
    QCOMPARE(bench.apic.next_expiry(), std::optional<std::uint64_t>(500));
    bench.write_apic(kApicInitialCount, 0);
    QVERIFY(!bench.apic.next_expiry());
  }

  void an_interrupt_waits_for_the_guest_to_take_it() {
    HostBench bench;
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicDivide, 0xb);
    bench.write_apic(kApicLvtTimer, 0x40);
    bench.write_apic(kApicInitialCount, 10);
    bench.run(10);
    QVERIFY(bench.take_interrupt());  // IF is 0.
    QVERIFY(!bench.vmx.take_injected());
    QVERIFY(bench.did("window.open"));
    QVERIFY(!bench.take_window());
    bench.interrupts(true);
    bench.state.interruptibility = kBlockingBySti;
    QVERIFY(!bench.take_window());
    bench.state.interruptibility = 0;
    QVERIFY(bench.take_window());
    verify_injected_interrupt(bench, 0x40);
  }
  static void verify_injected_interrupt(HostBench& bench, std::uint8_t vector) {
    const auto event = bench.vmx.take_injected();
    QVERIFY(event);
    QCOMPARE(event->kind, EventKind::ExternalInterrupt);
    QCOMPARE(event->vector, vector);
  }

  void the_task_priority_holds_an_interrupt_back() {
    HostBench bench;
    bench.interrupts(true);
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicTaskPriority, 0x40);
    bench.write_apic(kApicCommandLow, 1U << 18 | 0x45);  // self-IPI
    QVERIFY(!bench.take_window());
    bench.write_apic(kApicTaskPriority, 0x30);
    QVERIFY(bench.take_window());
    verify_injected_interrupt(bench, 0x45);
  }

  void a_guest_in_halt_sleeps_until_its_timer() {
    HostBench bench;
    bench.interrupts(true);
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicDivide, 0xb);
    bench.write_apic(kApicLvtTimer, 0x40);
    bench.write_apic(kApicInitialCount, 77);
    bench.instruction(12, 0, 1);
    QCOMPARE(bench.state.activity, ActivityState::Halted);
    QVERIFY(bench.apic.next_expiry());
    bench.time.idle += 77;
    bench.apic.advance();
    QVERIFY(bench.take_interrupt());
    QCOMPARE(bench.state.activity, ActivityState::Active);
    verify_injected_interrupt(bench, 0x40);
  }

  void a_pending_interrupt_keeps_a_guest_from_sleeping() {
    HostBench bench;
    bench.interrupts(true);
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicCommandLow, 1U << 18 | 0x45);
    bench.state.interruptibility = kBlockingBySti;  // sti; hlt
    bench.instruction(12, 0, 1);
    QCOMPARE(bench.state.activity, ActivityState::Active);
    QVERIFY(bench.take_window());
    verify_injected_interrupt(bench, 0x45);
  }

  void nothing_wakes_a_guest_that_halts_with_interrupts_off() {
    HostBench bench;
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    bench.write_apic(kApicInitialCount, 77);
    bench.instruction(12, 0, 1);
    QCOMPARE(bench.state.activity, ActivityState::Halted);
    QVERIFY(!bench.apic.next_expiry());  // The processor finds nothing to sleep for.
  }

  // --- state
  // -----------------------------------------------------------------------------------------------------------

  void a_restored_host_goes_on_as_the_saved_one() {
    HostBench bench;
    bench.interrupts(true);
    bench.write_apic(kApicSpurious, 0x1ff);
    bench.write_apic(kApicDivide, 0xb);
    bench.write_apic(kApicLvtTimer, kApicTimerPeriodic | 0x40);
    bench.write_apic(kApicInitialCount, 100);
    std::vector<std::uint8_t> saved;
    Writer writer(saved);
    bench.host->save(writer);
    writer(bench.state, bench.vmx, bench.time, bench.engine.registers);
    bench.apic.save(writer);
    const auto picture = bench.memory.snapshot();
    const auto go_on = [&] {
      bench.run(100);
      bench.take_interrupt();
      bench.vmx.take_injected();
      bench.leave({.reason = 48,
                   .qualification = kTranslatedWrite,
                   .guest_linear_address = 0x9000,
                   .guest_physical_address = 0x9000});
      std::vector<std::uint8_t> bytes;
      Writer out(bytes);
      bench.host->save(out);
      out(bench.state, bench.vmx, bench.time, bench.engine.registers);
      bench.apic.save(out);
      return std::pair(bytes, bench.memory.digest());
    };
    const auto first = go_on();
    static_cast<void>(bench.memory.restore(picture));
    Reader reader(saved);
    bench.host->load(reader);
    reader(bench.state, bench.vmx, bench.time, bench.engine.registers);
    bench.apic.load(reader);
    QVERIFY(reader.at_end());
    const auto second = go_on();
    QCOMPARE(second.first, first.first);
    QCOMPARE(second.second, first.second);
    QVERIFY(first.first != saved);
  }

  void each_exit_ends_in_one_entry_and_actions_stand_between() {
    for (const std::uint32_t reason : {10U, 12U, 13U, 18U, 31U, 55U}) {
      HostBench bench;
      bench.instruction(reason);
      QCOMPARE(bench.count<VmExit>(), 1U);
      QCOMPARE(bench.count<VmEntry>(), 1U);
      QVERIFY(std::holds_alternative<VmExit>(bench.log.events.front().payload));
      QVERIFY(std::holds_alternative<VmEntry>(bench.log.events.back().payload));
      for (std::size_t index = 1; index + 1 < bench.log.events.size(); ++index)
        QCOMPARE(bench.log.events[index].actor, Actor::Vmm);
      QVERIFY(bench.did("exit.dispatch") && bench.did("tsc.hide"));
    }
  }
};

QTEST_APPLESS_MAIN(VtxHostTest)
#include "vtx_host_test.moc"
