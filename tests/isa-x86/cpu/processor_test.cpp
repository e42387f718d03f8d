// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>

#include "tests/isa-x86/cpu/bare_core.h"

using namespace shearling;
using namespace shearling::x86;

namespace {

constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRsi = 6, kRdi = 7, kR11 = 11;
constexpr std::uint64_t kNonCanonical = 0x0000800000000000;

/// An instruction and what each ring gets: a vector, or -1 where it completes.
struct PrivilegeRow {
  const char* name;
  const char* bytes;
  int ring0;
  int ring3;
};
constexpr PrivilegeRow kPrivilege[] = {
    {"HLT", "f4", -1, 13},
    {"CLI", "fa", -1, 13},
    {"STI", "fb", -1, 13},
    {"LGDT", "0f0113", -1, 13},  // [rbx]
    {"LIDT", "0f011b", -1, 13},
    {"SGDT", "0f0103", -1, -1},
    {"SIDT", "0f010b", -1, -1},
    {"SLDT", "0f00c0", -1, -1},
    {"STR", "0f00c8", -1, -1},
    {"SMSW", "0f01e0", -1, -1},
    {"LMSW", "0f01f0", -1, 13},
    {"CLTS", "0f06", -1, 13},
    {"MOV from CR0", "0f20c0", -1, 13},
    {"MOV to CR3", "0f22d9", -1, 13},  // rcx
    {"MOV from CR8", "440f20c0", -1, 13},
    {"MOV from DR7", "0f21f8", -1, 13},
    {"MOV to DR0", "0f23c0", -1, 13},
    {"RDMSR", "0f32", 13, 13},  // ECX = CR3's value is no MSR
    {"INVLPG", "0f013b", -1, 13},
    {"INVD", "0f08", -1, 13},
    {"WBINVD", "0f09", -1, 13},
    {"SWAPGS", "0f01f8", -1, 13},
    {"SYSRET", "480f07", -1, 13},
    {"IN", "ec", -1, 13},
    {"OUT", "ee", -1, 13},
    {"INSB", "6c", -1, 13},
    {"RDTSC", "0f31", -1, -1},
    {"RDTSCP", "0f01f9", -1, -1},
    {"RDPMC", "0f33", 13, 13},
    {"CPUID", "0fa2", -1, -1},
    {"PUSHF", "9c", -1, -1},
    {"POPF", "9d", -1, -1},
    {"CLAC", "0f01ca", -1, 6},
    {"STAC", "0f01cb", -1, 6},
    {"VMCALL", "0f01c1", 6, 6},
    {"VMLAUNCH", "0f01c2", 6, 6},
    {"VMREAD", "0f78c1", 6, 6},
    {"XGETBV", "0f01d0", 6, 6},
    {"MONITOR", "0f01c8", 6, 6},
    {"SYSENTER", "0f34", 6, 6},
    {"UD2", "0f0b", 6, 6},
    {"RDFSBASE", "f3480faec0", 6, 6},  // CR4.FSGSBASE is clear
    {"MOV from SS", "8cd0", -1, -1},
    {"LAR", "0f02c1", -1, -1},
    {"INT3", "cc", 3, 13},  // gates with DPL 0: ring 3 gets #GP
    {"INT 0x80", "cd80", 128, 13},
    {"ADD", "4801d8", -1, -1},
    {"PAUSE", "f390", -1, -1},
};

}  // namespace

class ProcessorTest : public QObject {
  Q_OBJECT
 private slots:
  void each_instruction_obeys_its_ring_data() {
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<int>("ring");
    QTest::addColumn<int>("expected");
    for (const PrivilegeRow& row : kPrivilege) {
      QTest::addRow("%s, ring 0", row.name) << row.bytes << 0 << row.ring0;
      QTest::addRow("%s, ring 3", row.name) << row.bytes << 3 << row.ring3;
    }
  }
  void each_instruction_obeys_its_ring() {
    QFETCH(QString, bytes);
    QFETCH(int, ring);
    QFETCH(int, expected);
    BareCore core;
    core.enter_ring(static_cast<unsigned>(ring));
    core.code(bytes.toLatin1().constData());
    core.put_quad(BareCore::kData, 0x1234);
    core.set(kRbx, BareCore::kData);
    core.set(kRcx, BareCore::kPml4);
    core.set(kRdi, BareCore::kData);
    core.set(kRsi, BareCore::kData);
    const std::uint64_t stack = core.get(kRsp);
    core.put_quad(stack, 2);
    core.step();
    int vector = -1;  // The last trap counts: #GP arises while INT n is on its way.
    for (const Event& event : core.log.events) {
      if (const auto* trap = std::get_if<TrapRaised>(&event.payload)) vector = static_cast<int>(trap->vector);
    }
    QCOMPARE(vector, expected);
    QCOMPARE(core.request.stop, StopReason::None);
    if (expected >= 0) QCOMPARE(core.pc(), BareCore::handler(static_cast<unsigned>(expected)));
    if (expected == -1) QCOMPARE(core.count<InstructionRetired>(), 1U);
    QCOMPARE(core.time.step, std::uint64_t{1});
  }

  void a_fault_from_ring_3_builds_its_frame_on_the_stack_of_the_task_state() {
    BareCore core;
    core.enter_ring(3);
    core.code("fa");  // cli
    QCOMPARE(core.step(), 13);
    QCOMPARE(core.state().cpl, 0U);
    const std::uint64_t frame = core.get(kRsp);
    QCOMPARE(frame, BareCore::kRing0Stack - 48);
    QCOMPARE(core.quad(frame), std::uint64_t{0});  // error code
    QCOMPARE(core.quad(frame + 8), BareCore::kCode);
    QCOMPARE(core.quad(frame + 16), std::uint64_t{BareCore::kUserCode});
    QCOMPARE(core.quad(frame + 24), std::uint64_t{2} | kFlagRf);
    QCOMPARE(core.quad(frame + 32), BareCore::kUserStack);
    QCOMPARE(core.quad(frame + 40), std::uint64_t{BareCore::kUserData});
    QCOMPARE(core.state().segments[kSs].selector, std::uint16_t{0});
    const Check* check = core.find_check("CPL <= IOPL");
    QVERIFY(check != nullptr);
    QCOMPARE(check->verdict, CheckVerdict::Failed);
  }

  void int_and_iretq_come_back_to_the_next_instruction() {
    BareCore core;
    core.enter_ring(3);
    core.set_gate(0x80, BareCore::handler(0x80), 15, 3);  // trap gate for ring 3
    core.state().rflags |= kFlagIf;
    core.put(BareCore::handler(0x80), "48cf");
    core.code("cd80");
    core.engine->write(flags_register(), 0x41);  // CF, ZF
    QCOMPARE(core.step(), 0x80);
    QCOMPARE(core.state().cpl, 0U);
    QVERIFY((core.state().rflags & kFlagIf) != 0);  // a trap gate leaves IF alone
    QCOMPARE(core.step(), -1);
    QCOMPARE(core.count<TrapReturned>(), 1U);
    QCOMPARE(core.state().cpl, 3U);
    QCOMPARE(core.pc(), BareCore::kCode + 2);
    QCOMPARE(core.get(kRsp), BareCore::kUserStack);
    QCOMPARE(core.engine->read(flags_register()) & kEngineFlags, std::uint64_t{0x41});
    QCOMPARE(core.state().segments[kSs].selector, BareCore::kUserData);
  }

  void an_interrupt_gate_clears_if_and_the_frame_is_aligned() {
    BareCore core;
    core.state().rflags |= kFlagIf;
    core.code("cd40");
    core.set(kRsp, BareCore::kRing0Stack - 5);
    QCOMPARE(core.step(), 0x40);
    QVERIFY((core.state().rflags & kFlagIf) == 0);
    QCOMPARE(core.get(kRsp), ((BareCore::kRing0Stack - 5) & ~15ULL) - 40);
    QCOMPARE(core.quad(core.get(kRsp) + 24), BareCore::kRing0Stack - 5);
  }

  void a_gate_with_an_interrupt_stack_switches_to_it() {
    BareCore core;
    core.set_gate(6, BareCore::handler(6), 14, 0, 1);
    core.code("0f0b");
    QCOMPARE(core.step(), 6);
    QCOMPARE(core.get(kRsp), BareCore::kInterruptStack - 40);
    QCOMPARE(core.quad(core.get(kRsp) + 24), BareCore::kRing0Stack);
  }

  void a_software_interrupt_needs_a_gate_that_its_ring_may_use() {
    BareCore core;
    core.enter_ring(3);
    core.code("cd21");
    core.step();
    QCOMPARE(core.pc(), BareCore::handler(13));
    QCOMPARE(core.quad(core.get(kRsp)), std::uint64_t{0x21 * 8 + 2});  // error code: the gate, EXT clear
    QCOMPARE(core.quad(core.get(kRsp) + 8), BareCore::kCode);          // it points at INT
  }

  void syscall_and_sysret_change_rings_and_keep_the_return_address() {
    BareCore core;
    core.enter_ring(3);
    core.state().msrs[kMsrStar] = std::uint64_t{0x1b} << 48 | std::uint64_t{BareCore::kKernelCode} << 32;
    core.state().msrs[kMsrLstar] = BareCore::kHandlers;
    core.state().msrs[kMsrFmask] = kFlagIf | kFlagDf;
    core.state().rflags |= kFlagIf;
    core.put(BareCore::kHandlers, "480f07");
    core.code("0f05");
    core.step();
    QCOMPARE(core.pc(), BareCore::kHandlers);
    QCOMPARE(core.state().cpl, 0U);
    QCOMPARE(core.get(kRcx), BareCore::kCode + 2);
    QCOMPARE(core.get(kR11), kFlagIf | 2);
    QVERIFY((core.state().rflags & kFlagIf) == 0);
    QCOMPARE(core.state().segments[kCs].selector, BareCore::kKernelCode);
    QCOMPARE(core.get(kRsp), BareCore::kUserStack);  // SYSCALL leaves the stack alone
    core.step();
    QCOMPARE(core.pc(), BareCore::kCode + 2);
    QCOMPARE(core.state().cpl, 3U);
    QVERIFY((core.state().rflags & kFlagIf) != 0);
    QCOMPARE(core.state().segments[kCs].selector, BareCore::kUserCode);
    QCOMPARE(core.state().segments[kSs].selector, BareCore::kUserData);
  }

  void syscall_without_efer_sce_is_undefined() {
    BareCore core;
    core.enter_ring(3);
    core.state().efer &= ~kEferSce;
    core.code("0f05");
    QCOMPARE(core.step(), 6);
  }

  void sysret_to_an_address_that_is_not_canonical_faults_in_ring_0() {
    BareCore core;
    core.code("480f07");
    core.set(kRcx, kNonCanonical);
    QCOMPARE(core.step(), 13);
    QCOMPARE(core.get(kRsp), BareCore::kRing0Stack - 48);
  }

  void page_faults_say_what_went_wrong_data() {
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<int>("ring");
    QTest::addColumn<quint64>("entry");
    QTest::addColumn<uint>("error");
    const quint64 page = BareCore::kData, no_execute = 1ULL << 63;
    QTest::newRow("read, not present, ring 0") << "488b03" << 0 << quint64{0} << 0U;
    QTest::newRow("read, not present, ring 3") << "488b03" << 3 << quint64{0} << 4U;
    QTest::newRow("write, not present, ring 3") << "488903" << 3 << quint64{0} << 6U;
    QTest::newRow("write, read-only, ring 0 with WP") << "488903" << 0 << (page | 5) << 3U;
    QTest::newRow("write, read-only, ring 3") << "488903" << 3 << (page | 5) << 7U;
    QTest::newRow("read, supervisor page, ring 3") << "488b03" << 3 << (page | 3) << 5U;
    QTest::newRow("fetch, no-execute") << "ffe3" << 3 << (page | 7 | no_execute) << 0x15U;
    QTest::newRow("reserved bit") << "488b03" << 0 << (page | 7 | 1ULL << 50) << 9U;
    QTest::newRow("own instruction: SGDT into nothing") << "0f0103" << 3 << quint64{0} << 6U;
  }
  void page_faults_say_what_went_wrong() {
    QFETCH(QString, bytes);
    QFETCH(int, ring);
    QFETCH(quint64, entry);
    QFETCH(uint, error);
    BareCore core;
    core.enter_ring(static_cast<unsigned>(ring));
    core.set_entry(BareCore::kData, entry);
    core.code(bytes.toLatin1().constData());
    core.set(kRbx, BareCore::kData + 0x128);
    int vector = core.step();
    if (vector < 0) vector = core.step();  // the jump itself is fine; its target is not
    QCOMPARE(vector, 14);
    QCOMPARE(core.last_trap.error_code, error);
    QCOMPARE(core.last_trap.fault_address.value, BareCore::kData + 0x128);
    QCOMPARE(core.state().cr2, BareCore::kData + 0x128);
    QCOMPARE(core.pc(), BareCore::handler(14));
    QCOMPARE(core.quad(core.get(kRsp)), std::uint64_t{error});
  }

  void a_store_across_pages_faults_before_it_writes() {
    BareCore core;
    core.set_entry(BareCore::kData + 0x1000, 0);
    core.put_quad(BareCore::kData + 0xff8, 0x1111);
    core.code("488903");
    core.set(kRbx, BareCore::kData + 0xffc);
    core.set(kRax, ~std::uint64_t{0});
    QCOMPARE(core.step(), 14);
    QCOMPARE(core.state().cr2, BareCore::kData + 0x1000);
    QCOMPARE(core.quad(BareCore::kData + 0xff8), std::uint64_t{0x1111});
    QCOMPARE(core.count<MemoryAccess>(), 9U);  // the gate's two halves, the code descriptor, six pushes; not the store
  }

  void a_fetch_that_crosses_into_nothing_faults_only_if_it_needs_the_second_page() {
    BareCore core;
    core.set_entry(BareCore::kCode + 0x1000, 0);
    core.put(BareCore::kCode + 0xffd, "4889c0");
    core.go_to(BareCore::kCode + 0xffd);
    QCOMPARE(core.step(), -1);
    core.put(BareCore::kCode + 0xffe, "48b8");
    core.go_to(BareCore::kCode + 0xffe);
    QCOMPARE(core.step(), 14);
    QCOMPARE(core.state().cr2, BareCore::kCode + 0x1000);
    QCOMPARE(core.last_trap.error_code, 0x10U);
    QCOMPARE(core.last_trap.pc.value, BareCore::kCode + 0xffe);
  }

  void addresses_that_are_not_canonical_raise_gp_or_ss() {
    BareCore core;
    core.code("488b03");  // mov rax, [rbx]
    core.set(kRbx, kNonCanonical);
    QCOMPARE(core.step(), 13);
    BareCore stack;
    stack.set_gate(12, BareCore::handler(12), 14, 0, 1);
    stack.code("50");  // push rax
    stack.set(kRsp, kNonCanonical + 0x100);
    QCOMPARE(stack.step(), 12);
    BareCore base;
    base.set_gate(12, BareCore::handler(12), 14, 0, 1);
    base.code("488b0424");  // mov rax, [rsp]
    base.set(kRsp, kNonCanonical);
    QCOMPARE(base.step(), 12);
  }

  void a_fault_while_a_fault_is_delivered_becomes_a_double_fault() {
    BareCore core;
    core.set_gate(13, BareCore::handler(13), 14, 0, 0, false);  // #GP's gate is not present
    core.enter_ring(3);
    core.code("fa");
    core.step();
    QCOMPARE(core.pc(), BareCore::handler(8));
    QCOMPARE(core.count<TrapRaised>(), 3U);  // #GP, #NP, #DF
    QCOMPARE(core.quad(core.get(kRsp)), std::uint64_t{0});
    QCOMPARE(core.quad(core.get(kRsp) + 8), BareCore::kCode);
  }

  void a_benign_fault_and_a_second_one_are_handled_one_after_the_other() {
    BareCore core;
    core.set_gate(6, BareCore::handler(6), 14, 0, 0, false);
    core.code("0f0b");
    core.step();
    QCOMPARE(core.pc(), BareCore::handler(11));
    QCOMPARE(core.quad(core.get(kRsp)), std::uint64_t{6 * 8 + 2 + 1});  // the gate of #UD; EXT: an event was on its way
  }

  void a_fault_while_a_double_fault_is_delivered_ends_the_machine() {
    BareCore core;
    core.state().idtr.limit = 0;
    core.code("0f0b");
    core.step();
    QCOMPARE(core.request.stop, StopReason::TripleFault);
    QCOMPARE(core.outcome.kind, ProcessorOutcome::Kind::Stopped);
  }

  void interrupts_wait_for_if_and_for_the_instruction_behind_sti() {
    BareCore core;
    const auto apic = [&](std::uint64_t offset, std::uint64_t value) {
      core.devices.memory_write({0xfee00000 + offset}, 4, value);
    };
    core.code("90fb9090");  // nop; sti; nop; nop
    apic(0xf0, 0x1ff);
    apic(0x320, 0x50);          // timer: one-shot, vector 0x50
    apic(0x3e0, 0xb);           // divide by 1
    apic(0x380, 1);             // expires at tick 1
    QCOMPARE(core.step(), -1);  // nop: tick 1 comes
    QCOMPARE(core.step(), -1);  // sti: IF was clear before it
    QCOMPARE(core.state().interruptibility, kBlockingBySti);
    QCOMPARE(core.step(), -1);  // nop in the shadow of sti
    QCOMPARE(core.pc(), BareCore::kCode + 3);
    QCOMPARE(core.step(), 0x50);  // before the last nop; the handler's first instruction runs too
    QCOMPARE(core.last_trap.cause, TrapCause::Interrupt);
    QCOMPARE(core.pc(), BareCore::handler(0x50) + 1);
    QCOMPARE(core.quad(core.get(kRsp)), BareCore::kCode + 3);
    QCOMPARE(core.time.step, std::uint64_t{4});
  }

  void hlt_sleeps_until_the_timer_and_ends_the_machine_without_one() {
    BareCore core;
    const auto apic = [&](std::uint64_t offset, std::uint64_t value) {
      core.devices.memory_write({0xfee00000 + offset}, 4, value);
    };
    core.state().rflags |= kFlagIf;
    core.code("f4f4");
    apic(0xf0, 0x1ff);
    apic(0x320, 0x50);
    apic(0x3e0, 0xb);
    apic(0x380, 1000);
    QCOMPARE(core.step(), -1);
    QCOMPARE(core.state().activity, ActivityState::Halted);
    QCOMPARE(core.step(), 0x50);
    QCOMPARE(core.time.step, std::uint64_t{2});
    QCOMPARE(core.time.idle, std::uint64_t{999});
    QCOMPARE(core.quad(core.get(kRsp)), BareCore::kCode + 1);

    BareCore dead;
    dead.state().rflags |= kFlagIf;
    dead.code("f4");
    dead.step();
    dead.step();
    QCOMPARE(dead.request.stop, StopReason::Deadlock);
    QCOMPARE(dead.time.step, std::uint64_t{1});
  }

  void the_trap_flag_traps_after_each_instruction() {
    BareCore core;
    core.state().rflags |= kFlagTf;
    core.code("9090");
    QCOMPARE(core.step(), 1);
    QCOMPARE(core.quad(core.get(kRsp)), BareCore::kCode + 1);
    QVERIFY((core.quad(core.get(kRsp) + 16) & kFlagTf) != 0);
    QVERIFY((core.state().rflags & kFlagTf) == 0);
    QVERIFY((core.state().debug[6] & 1U << 14) != 0);
  }

  void control_registers_refuse_what_is_illegal_data() {
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<quint64>("value");
    QTest::addColumn<bool>("legal");
    const quint64 cr0 = kCr0Pe | kCr0Pg | kCr0Wp | kCr0Et | kCr0Ne | kCr0Mp, cr4 = kCr4Pae | kCr4Osfxsr;
    QTest::newRow("CR0 as it is") << "0f22c0" << cr0 << true;
    QTest::newRow("CR0 with a high bit") << "0f22c0" << (cr0 | 1ULL << 40) << false;
    QTest::newRow("CR0: NW without CD") << "0f22c0" << (cr0 | kCr0Nw) << false;
    QTest::newRow("CR0: PG without PE") << "0f22c0" << (cr0 & ~kCr0Pe) << false;
    QTest::newRow("CR0: paging off in 64-bit mode") << "0f22c0" << (cr0 & ~kCr0Pg) << false;
    QTest::newRow("CR0 with TS") << "0f22c0" << (cr0 | kCr0Ts) << true;
    QTest::newRow("CR3 beyond the physical address") << "0f22d8" << (1ULL << 45) << false;
    QTest::newRow("CR3 bit 63 without PCIDE") << "0f22d8" << (BareCore::kPml4 | 1ULL << 63) << false;
    QTest::newRow("CR4: PAE off in long mode") << "0f22e0" << (cr4 & ~kCr4Pae) << false;
    QTest::newRow("CR4 with VMXE") << "0f22e0" << (cr4 | kCr4Vmxe) << false;
    QTest::newRow("CR4 with SMEP") << "0f22e0" << (cr4 | kCr4Pge) << true;
    QTest::newRow("CR4 with PCIDE") << "0f22e0" << (cr4 | kCr4Pcide) << true;
    QTest::newRow("CR8 above 15") << "440f22c0" << quint64{16} << false;
    QTest::newRow("CR8") << "440f22c0" << quint64{5} << true;
    QTest::newRow("DR7 with a high bit") << "0f23f8" << (1ULL << 32) << false;
  }
  void control_registers_refuse_what_is_illegal() {
    QFETCH(QString, bytes);
    QFETCH(quint64, value);
    QFETCH(bool, legal);
    BareCore core;
    core.code(bytes.toLatin1().constData());
    core.set(kRax, value);
    QCOMPARE(core.step(), legal ? -1 : 13);
    QCOMPARE(core.request.stop, StopReason::None);
  }

  void model_specific_registers_refuse_what_is_illegal_data() {
    QTest::addColumn<uint>("number");
    QTest::addColumn<quint64>("value");
    QTest::addColumn<bool>("legal");
    QTest::newRow("EFER as it is") << kMsrEfer << quint64{kEferSce | kEferLme | kEferLma | kEferNxe} << true;
    QTest::newRow("EFER without LME while paging") << kMsrEfer << quint64{kEferSce | kEferNxe} << false;
    QTest::newRow("EFER with SVME") << kMsrEfer << quint64{kEferSce | kEferLme | 1ULL << 12} << false;
    QTest::newRow("LSTAR") << kMsrLstar << quint64{0xffff800000000000} << true;
    QTest::newRow("LSTAR not canonical") << kMsrLstar << quint64{kNonCanonical} << false;
    QTest::newRow("FS base not canonical") << kMsrFsBase << quint64{kNonCanonical} << false;
    QTest::newRow("TSC_AUX with high bits") << kMsrTscAux << quint64{1ULL << 32} << false;
    QTest::newRow("PAT with a reserved type") << kMsrPat << quint64{0x0000000000000002} << false;
    QTest::newRow("no such MSR") << 0x12345U << quint64{0} << false;
  }
  void model_specific_registers_refuse_what_is_illegal() {
    QFETCH(uint, number);
    QFETCH(quint64, value);
    QFETCH(bool, legal);
    BareCore core;
    core.code("0f300f32");  // wrmsr; rdmsr
    core.set(kRcx, number);
    core.set(kRax, value & 0xffffffff);
    core.set(kRdx, value >> 32);
    QCOMPARE(core.step(), legal ? -1 : 13);
    if (!legal) return;
    core.set(kRax, 0);
    core.set(kRdx, 0);
    QCOMPARE(core.step(), -1);
    QCOMPARE(core.get(kRax) | core.get(kRdx) << 32, std::uint64_t{value});
  }

  void writing_the_fs_base_moves_what_fs_points_to() {
    BareCore core;
    core.code("0f3064488b0425 08000000");  // wrmsr; mov rax, fs:[8]
    core.put_quad(BareCore::kData + 8, 0xfeed);
    core.set(kRcx, kMsrFsBase);
    core.set(kRax, BareCore::kData);
    core.set(kRdx, 0);
    QCOMPARE(core.step(), -1);
    QCOMPARE(core.step(), -1);
    QCOMPARE(core.get(kRax), std::uint64_t{0xfeed});
  }

  void user_mode_instruction_prevention_hides_the_tables() {
    BareCore core;
    core.state().cr4 |= kCr4Umip;
    core.enter_ring(3);
    core.code("0f0103");
    core.set(kRbx, BareCore::kData);
    QCOMPARE(core.step(), 13);
    BareCore without;
    without.enter_ring(3);
    without.code("0f0103");
    without.set(kRbx, BareCore::kData);
    QCOMPARE(without.step(), -1);
    QCOMPARE(without.memory.read({BareCore::kData}, 2), std::uint64_t{without.state().gdtr.limit});
    QCOMPARE(without.quad(BareCore::kData + 2), std::uint64_t{BareCore::kGdt});
  }

  void popf_in_ring_3_cannot_touch_if_or_iopl() {
    BareCore core;
    core.enter_ring(3);
    core.state().rflags |= kFlagIf;
    core.code("9d");
    core.put_quad(BareCore::kUserStack - 8, kFlagIoplMask | 0x41);
    core.set(kRsp, BareCore::kUserStack - 8);
    QCOMPARE(core.step(), -1);
    QVERIFY((core.state().rflags & kFlagIf) != 0);
    QVERIFY((core.state().rflags & kFlagIoplMask) == 0);
    QCOMPARE(core.engine->read(flags_register()) & 0x41, std::uint64_t{0x41});
  }

  void the_permission_map_of_the_task_state_opens_single_ports() {
    BareCore core;
    core.state().tr.limit = 104 + 200;
    core.memory.write({BareCore::kTss + 104 + 0x3f8 / 8}, 2, 0xfffe);  // port 0x3f8 alone
    core.enter_ring(3);
    core.code("ecec");
    core.set(kRdx, 0x3f8);
    QCOMPARE(core.step(), -1);
    core.set(kRdx, 0x3f9);
    QCOMPARE(core.step(), 13);
  }

  void lar_lsl_verr_and_verw_see_descriptors_without_loading_them() {
    BareCore core;
    core.code(
        "0f02c1"
        "0f03c1"
        "0f00e1"
        "0f00e9");  // lar eax, cx; lsl eax, cx; verr cx; verw cx
    core.set(kRcx, BareCore::kKernelData);
    constexpr std::uint64_t kZero = 0x40;
    core.step();
    QCOMPARE(core.get(kRax), std::uint64_t{0x00cf9300});
    QVERIFY((core.engine->read(flags_register()) & kZero) != 0);
    core.step();
    QCOMPARE(core.get(kRax), std::uint64_t{0xffffffff});
    core.step();
    QVERIFY((core.engine->read(flags_register()) & kZero) != 0);
    core.set(kRcx, BareCore::kKernelCode);
    core.step();
    QVERIFY((core.engine->read(flags_register()) & kZero) == 0);  // code is not writable
  }

  void loading_a_segment_register_checks_its_descriptor_data() {
    QTest::addColumn<int>("ring");
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<uint>("selector");
    QTest::addColumn<int>("vector");
    QTest::addColumn<uint>("error");
    QTest::newRow("DS null") << 3 << "8ed9" << 0U << -1 << 0U;
    QTest::newRow("DS user data") << 3 << "8ed9" << 0x23U << -1 << 0U;
    QTest::newRow("DS kernel data from ring 3") << 3 << "8ed9" << 0x10U << 13 << 0x10U;
    QTest::newRow("DS beyond the GDT") << 0 << "8ed9" << 0x1000U << 13 << 0x1000U;
    QTest::newRow("DS in an LDT that is not there") << 0 << "8ed9" << 0x14U << 13 << 0x14U;
    QTest::newRow("DS a TSS") << 0 << "8ed9" << 0x30U << 13 << 0x30U;
    QTest::newRow("SS kernel data") << 0 << "8ed1" << 0x10U << -1 << 0U;
    QTest::newRow("SS code") << 0 << "8ed1" << 0x08U << 13 << 0x08U;
    QTest::newRow("SS with another RPL") << 0 << "8ed1" << 0x13U << 13 << 0x10U;
    QTest::newRow("SS null in ring 0") << 0 << "8ed1" << 0U << -1 << 0U;
    QTest::newRow("SS null in ring 3") << 3 << "8ed1" << 3U << 13 << 0U;
  }
  void loading_a_segment_register_checks_its_descriptor() {
    QFETCH(int, ring);
    QFETCH(QString, bytes);
    QFETCH(uint, selector);
    QFETCH(int, vector);
    QFETCH(uint, error);
    BareCore core;
    core.enter_ring(static_cast<unsigned>(ring));
    core.code(bytes.toLatin1().constData());
    core.set(kRcx, selector);
    QCOMPARE(core.step(), vector);
    if (vector >= 0)
      QCOMPARE(core.last_trap.error_code, error);
    else
      QCOMPARE(core.state().segments[bytes == "8ed1" ? kSs : kDs].selector, static_cast<std::uint16_t>(selector));
  }

  void iretq_refuses_frames_that_it_must_not_take_data() {
    QTest::addColumn<quint64>("rip");
    QTest::addColumn<uint>("cs");
    QTest::addColumn<uint>("ss");
    QTest::addColumn<int>("ring");
    QTest::addColumn<int>("vector");
    QTest::addColumn<uint>("error");
    QTest::newRow("to ring 3") << quint64{0x20100} << 0x2bU << 0x23U << 0 << -1 << 0U;
    QTest::newRow("to ring 0") << quint64{0x20100} << 0x08U << 0x10U << 0 << -1 << 0U;
    QTest::newRow("to ring 0, SS null") << quint64{0x20100} << 0x08U << 0U << 0 << -1 << 0U;
    QTest::newRow("CS null") << quint64{0x20100} << 0U << 0x10U << 0 << 13 << 0U;
    QTest::newRow("CS is data") << quint64{0x20100} << 0x10U << 0x10U << 0 << 13 << 0x10U;
    QTest::newRow("to a more privileged ring") << quint64{0x20100} << 0x08U << 0x10U << 3 << 13 << 0x08U;
    QTest::newRow("RPL and DPL differ") << quint64{0x20100} << 0x0bU << 0x23U << 0 << 13 << 0x08U;
    QTest::newRow("SS of another ring") << quint64{0x20100} << 0x2bU << 0x10U << 0 << 13 << 0x10U;
    QTest::newRow("SS null for ring 3") << quint64{0x20100} << 0x2bU << 3U << 0 << 13 << 0U;
    QTest::newRow("RIP not canonical") << quint64{kNonCanonical} << 0x2bU << 0x23U << 0 << 13 << 0U;
  }
  void iretq_refuses_frames_that_it_must_not_take() {
    QFETCH(quint64, rip);
    QFETCH(uint, cs);
    QFETCH(uint, ss);
    QFETCH(int, ring);
    QFETCH(int, vector);
    QFETCH(uint, error);
    BareCore core;
    core.enter_ring(static_cast<unsigned>(ring));
    core.code("48cf");
    const std::uint64_t frame = core.get(kRsp) - 64;
    const std::uint64_t content[] = {rip, cs, 2, BareCore::kUserStack, ss};
    for (std::size_t i = 0; i < std::size(content); ++i) core.put_quad(frame + 8 * i, content[i]);
    core.set(kRsp, frame);
    QCOMPARE(core.step(), vector);
    if (vector >= 0) {
      QCOMPARE(core.last_trap.error_code, error);
      QCOMPARE(core.last_trap.pc.value, BareCore::kCode);
      return;
    }
    QCOMPARE(core.pc(), std::uint64_t{rip});
    QCOMPARE(core.state().cpl, cs & 3);
    QCOMPARE(core.get(kRsp), BareCore::kUserStack);
  }

  void iretq_to_compatibility_mode_runs_32_bit_code() {
    BareCore core;
    core.code("48cf");
    core.put(BareCore::kCode + 0x100, "40");  // inc eax (a REX prefix in 64-bit mode)
    const std::uint64_t frame = BareCore::kRing0Stack - 64;
    const std::uint64_t content[] = {BareCore::kCode + 0x100, BareCore::kUserCode32, 2, BareCore::kUserStack,
                                     BareCore::kUserData};
    for (std::size_t i = 0; i < std::size(content); ++i) core.put_quad(frame + 8 * i, content[i]);
    core.set(kRsp, frame);
    QCOMPARE(core.step(), -1);
    QCOMPARE(core.count<ModeChanged>(), 1U);
    QCOMPARE(core.processor->mode_name(), std::string_view("compatibility mode"));
    core.set(kRax, 41);
    QCOMPARE(core.step(), -1);
    QCOMPARE(core.get(kRax), std::uint64_t{42});
  }

  void a_segment_that_is_not_flat_stops_32_bit_code_as_unsupported() {
    BareCore core;
    core.put_quad(BareCore::kGdt + 0x20, 0x00cff3000000ffff | std::uint64_t{0x1000} << 16);  // user data, base 0x1000
    core.code("48cf");
    const std::uint64_t frame = BareCore::kRing0Stack - 64;
    const std::uint64_t content[] = {BareCore::kCode, BareCore::kUserCode32, 2, BareCore::kUserStack,
                                     BareCore::kUserData};
    for (std::size_t i = 0; i < std::size(content); ++i) core.put_quad(frame + 8 * i, content[i]);
    core.set(kRsp, frame);
    core.step();
    QCOMPARE(core.request.stop, StopReason::Unsupported);
    QVERIFY(core.request.detail.find("not flat") != std::string_view::npos);
  }

  void a_repeated_string_instruction_faults_at_the_exact_iteration() {
    BareCore core;
    core.set_entry(BareCore::kData + 0x1000, 0);
    core.code("f3aa");  // rep stosb
    core.set(kRdi, BareCore::kData + 0xff0);
    core.set(kRcx, 100);
    core.set(kRax, 0x55);
    QCOMPARE(core.step(), 14);
    QCOMPARE(core.get(kRcx), std::uint64_t{100 - 16});
    QCOMPARE(core.get(kRdi), BareCore::kData + 0x1000);
    QCOMPARE(core.state().cr2, BareCore::kData + 0x1000);
    QCOMPARE(core.last_trap.pc.value, BareCore::kCode);
    QCOMPARE(core.quad(BareCore::kData + 0xff8), std::uint64_t{0x5555555555555555});
  }

  void a_long_repeated_instruction_takes_several_steps() {
    BareCore core;
    core.code("f3aa");
    core.set(kRdi, 0x100000);
    core.set(kRcx, 10000);
    core.step();
    QCOMPARE(core.get(kRcx), std::uint64_t{10000 - 4096});
    QCOMPARE(core.pc(), BareCore::kCode);
    core.step();
    core.step();
    QCOMPARE(core.get(kRcx), std::uint64_t{0});
    QCOMPARE(core.pc(), BareCore::kCode + 2);
    QCOMPARE(core.time.step, std::uint64_t{3});
  }

  void floating_point_obeys_its_control_bits_data() {
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<quint64>("cr0");
    QTest::addColumn<quint64>("cr4");
    QTest::addColumn<int>("vector");
    QTest::newRow("x87") << "d9e8" << quint64{0} << quint64{0} << -1;
    QTest::newRow("x87 with TS") << "d9e8" << quint64{kCr0Ts} << quint64{0} << 7;
    QTest::newRow("x87 with EM") << "d9e8" << quint64{kCr0Em} << quint64{0} << 7;
    QTest::newRow("SSE") << "0f28c1" << quint64{0} << quint64{kCr4Osfxsr} << -1;
    QTest::newRow("SSE without OSFXSR") << "0f28c1" << quint64{0} << quint64{0} << 6;
    QTest::newRow("SSE with TS") << "0f28c1" << quint64{kCr0Ts} << quint64{kCr4Osfxsr} << 7;
    QTest::newRow("SSE with EM") << "0f28c1" << quint64{kCr0Em} << quint64{kCr4Osfxsr} << 6;
    QTest::newRow("FWAIT with TS and MP") << "9b" << quint64{kCr0Ts} << quint64{0} << 7;
  }
  void floating_point_obeys_its_control_bits() {
    QFETCH(QString, bytes);
    QFETCH(quint64, cr0);
    QFETCH(quint64, cr4);
    QFETCH(int, vector);
    BareCore core;
    core.state().cr0 |= cr0;
    core.state().cr4 = kCr4Pae | cr4;
    core.code(bytes.toLatin1().constData());
    QCOMPARE(core.step(), vector);
  }

  void native_exceptions_of_the_engine_are_delivered_through_the_idt() {
    BareCore core;
    core.enter_ring(3);
    core.code("f7f1");  // div ecx
    core.set(kRcx, 0);
    QCOMPARE(core.step(), 0);
    QCOMPARE(core.pc(), BareCore::handler(0));
    QCOMPARE(core.quad(core.get(kRsp)), BareCore::kCode);
    QVERIFY(!core.last_trap.has_error_code);
  }

  void a_snapshot_brings_the_core_back() {
    BareCore core;
    core.code(
        "48ffc0"
        "48ffc0"
        "cd40");
    core.step();
    std::vector<std::uint8_t> before, after, again;
    Writer first(before);
    core.processor->save(first);
    const auto memory = core.memory.snapshot();
    const VirtualTime time = core.time;
    core.step();
    core.step();
    Writer second(after);
    core.processor->save(second);
    core.memory.restore(memory);
    core.time = time;
    Reader reader(before);
    core.processor->load_state(reader);
    QVERIFY(reader.at_end());
    core.step();
    core.step();
    Writer third(again);
    core.processor->save(third);
    QVERIFY(before != after);
    QCOMPARE(again, after);
  }

  void registers_show_what_the_core_holds() {
    BareCore core;
    core.set(kRbx, 0x1234);
    const std::vector<RegisterRow> rows = core.processor->registers();
    const auto find = [&](std::string_view name) {
      const auto row =
          std::find_if(rows.begin(), rows.end(), [&](const RegisterRow& candidate) { return candidate.name == name; });
      return row == rows.end() ? RegisterRow{} : *row;
    };
    QCOMPARE(find("RBX").believed, std::uint64_t{0x1234});
    QCOMPARE(find("CR3").real, BareCore::kPml4);
    QCOMPARE(find("CS").real, std::uint64_t{BareCore::kKernelCode});
    QVERIFY(find("EFER").note.find("LMA") != std::string::npos);
    QVERIFY(core.processor->control_structure().empty());
  }

  void disassembly_reads_through_the_current_translation() {
    BareCore core;
    core.code("b8010000000fa2f4");
    const auto lines = core.processor->disassemble({BareCore::kCode}, 3);
    QCOMPARE(lines.size(), std::size_t{3});
    QCOMPARE(lines[0].text, std::string("mov eax, 1"));
    QCOMPARE(lines[1].classification, InstructionClass::BehaviourSensitive);
    QCOMPARE(lines[2].address.value, BareCore::kCode + 7);
  }
};

QTEST_APPLESS_MAIN(ProcessorTest)
#include "processor_test.moc"
