// SPDX-License-Identifier: GPL-3.0-or-later
//
// VM entries and exits: each check of an entry failing alone, what an entry loads and an exit saves, event injection,
// and what the guest sees of CR0, CR4 and the time-stamp counter.
#include <QtTest>

#include <functional>
#include <map>
#include <set>

#include "isa-x86/vmx/entry_checks.h"
#include "vmx_bench.h"

using namespace shearling;
using namespace shearling::x86;
using namespace shearling::x86::testing;

namespace {

using F = VmcsField;
struct Broken {
  EntryCheckGroup group = EntryCheckGroup::Controls;
  QString words;  ///< Of the sentence that must fail.
  std::function<void(VmxBench&)> damage;
  std::uint64_t qualification = 0;
};

std::function<void(VmxBench&)> put(F field, std::uint64_t value) {
  return [=](VmxBench& bench) { bench.set(field, value); };
}
std::function<void(VmxBench&)> add(F field, std::uint64_t bits) {
  return [=](VmxBench& bench) { bench.add(field, bits); };
}
std::function<void(VmxBench&)> drop(F field, std::uint64_t bits) {
  return [=](VmxBench& bench) { bench.remove(field, bits); };
}
std::function<void(VmxBench&)> all(std::vector<std::function<void(VmxBench&)>> steps) {
  return [=](VmxBench& bench) {
    for (const auto& step : steps) step(bench);
  };
}
std::function<void(VmxBench&)> inject(EventKind kind, unsigned vector, bool code = false) {
  return put(F::EntryInterruptionInformation,
             kInterruptionValid | vector | static_cast<unsigned>(kind) << 8 | (code ? kInterruptionErrorCodeValid : 0));
}
/// Without "unrestricted guest", more is checked.
std::function<void(VmxBench&)> restricted() { return drop(F::SecondaryControls, kSecondaryUnrestrictedGuest); }

constexpr std::uint64_t kNotCanonical = 0x0000800000000000, kBeyond = 1ULL << 45;

}  // namespace
Q_DECLARE_METATYPE(Broken)

class EntryTest : public QObject {
  Q_OBJECT

  struct Row {
    const char* name;
    Broken broken;
  };
  std::vector<Row> rows_;
  void row(const char* name, EntryCheckGroup group, const char* words, std::function<void(VmxBench&)> damage,
           std::uint64_t qualification = 0) {
    rows_.push_back({name, Broken{group, QString(words), std::move(damage), qualification}});
  }

 private slots:
  void the_undamaged_structure_passes_every_check() {
    VmxBench bench;
    const auto outcome = bench.vmx.enter();
    QVERIFY2(outcome.entered, std::string(outcome.failed_check).c_str());
    QCOMPARE(outcome.checks_passed, static_cast<std::uint32_t>(vm_entry_check_sentences().size()));
    QVERIFY(outcome.checks_passed >= 30);
    QVERIFY(bench.vmx.in_non_root());
    QVERIFY(bench.vmcs().launched());
    QCOMPARE(bench.of<VmEntry>().size(), std::size_t{1});
    QCOMPARE(bench.of<VmEntry>()[0].checks_passed, outcome.checks_passed);
  }

  void check_sentences_are_different() {
    std::set<std::string_view> sentences;
    for (const std::string_view sentence : vm_entry_check_sentences()) QVERIFY(sentences.insert(sentence).second);
  }

  void initTestCase() {
    const auto controls = EntryCheckGroup::Controls, host = EntryCheckGroup::HostState,
               guest = EntryCheckGroup::GuestState;
    row("pin: a required bit is 0", controls, "pin-based controls", drop(F::PinBasedControls, 2));
    row("pin: the preemption timer does not exist", controls, "pin-based controls", add(F::PinBasedControls, 1U << 6));
    row("primary: a required bit is 0", controls, "primary controls", drop(F::PrimaryControls, 1U << 26));
    row("primary: monitor trap flag does not exist", controls, "primary controls", add(F::PrimaryControls, 1U << 27));
    row("secondary: virtual APIC accesses do not exist", controls, "secondary controls", add(F::SecondaryControls, 1));
    row("five CR3 targets", controls, "CR3-target count", put(F::Cr3TargetCount, 5));
    row("I/O bitmap A not aligned", controls, "I/O bitmaps",
        all({add(F::PrimaryControls, kPrimaryUseIoBitmaps), add(F::IoBitmapA, 8)}));
    row("I/O bitmap B beyond memory", controls, "I/O bitmaps",
        all({add(F::PrimaryControls, kPrimaryUseIoBitmaps), add(F::IoBitmapB, kBeyond)}));
    row("MSR bitmap not aligned", controls, "MSR bitmaps",
        all({add(F::PrimaryControls, kPrimaryUseMsrBitmaps), add(F::MsrBitmaps, 1)}));
    row("virtual NMIs without NMI exiting", controls, "virtual NMIs need", add(F::PinBasedControls, kPinVirtualNmis));
    row("NMI window without virtual NMIs", controls, "NMI-window exiting",
        add(F::PrimaryControls, kPrimaryNmiWindowExiting));
    row("VPID 0", controls, "VPID is not 0", put(F::VirtualProcessorIdentifier, 0));
    row("EPTP memory type 2", controls, "memory type of the EPT pointer",
        put(F::EptPointer, VmxBench::kEptRoot | 2 | kEptpFourLevels));
    row("EPTP five levels", controls, "four levels", put(F::EptPointer, VmxBench::kEptRoot | kEptpWriteBack | 4 << 3));
    row("EPTP reserved bit 7", controls, "reserved bits 11:7", add(F::EptPointer, 1U << 7));
    row("EPTP beyond memory", controls, "EPT pointer lies within", add(F::EptPointer, kBeyond));
    row("unrestricted guest without EPT", controls, "unrestricted guest needs EPT",
        drop(F::SecondaryControls, kSecondaryEnableEpt));
    row("exit: a required bit is 0", controls, "VM-exit controls", drop(F::ExitControls, 1U << 13));
    row("exit: bit 30 does not exist", controls, "VM-exit controls", add(F::ExitControls, 1U << 30));
    row("MSR-store area not aligned", controls, "MSR-store area",
        all({put(F::ExitMsrStoreCount, 1), put(F::ExitMsrStoreAddress, 8)}));
    row("exit MSR-load area not aligned", controls, "VM-exit MSR-load area",
        all({put(F::ExitMsrLoadCount, 1), put(F::ExitMsrLoadAddress, 4)}));
    row("entry: a required bit is 0", controls, "VM-entry controls", drop(F::EntryControls, 1U << 4));
    row("entry: SMM does not exist", controls, "VM-entry controls", add(F::EntryControls, 1U << 10));
    row("entry MSR-load area beyond memory", controls, "VM-entry MSR-load area",
        all({put(F::EntryMsrLoadCount, 1), put(F::EntryMsrLoadAddress, kBeyond)}));
    row("injection of type 1", controls, "type that exists",
        put(F::EntryInterruptionInformation, kInterruptionValid | 1U << 8 | 32));
    row("NMI with vector 3", controls, "vector to inject", inject(EventKind::Nmi, 3));
    row("exception 32", controls, "vector to inject", inject(EventKind::HardwareException, 32));
    row("#GP without its error code", controls, "error code is given", inject(EventKind::HardwareException, 13));
    row("#UD with an error code", controls, "error code is given", inject(EventKind::HardwareException, 6, true));
    row("interrupt with an error code", controls, "error code is given",
        inject(EventKind::ExternalInterrupt, 32, true));
    row("reserved injection bit", controls, "reserved bits 30:12",
        all({inject(EventKind::HardwareException, 6), add(F::EntryInterruptionInformation, 1U << 20)}));
    row("error code with high bits", controls, "bits 31:16 of the error code",
        all({inject(EventKind::HardwareException, 13, true), put(F::EntryExceptionErrorCode, 0x10000)}));
    row("INT n of length 0", controls, "instruction length", inject(EventKind::SoftwareInterrupt, 0x80));
    row("INT3 of length 16", controls, "instruction length",
        all({inject(EventKind::SoftwareException, 3), put(F::EntryInstructionLength, 16)}));

    row("host CR0.PG", host, "host CR0", drop(F::HostCr0, kCr0Pg));
    row("host CR0.NE", host, "host CR0", drop(F::HostCr0, kCr0Ne));
    row("host CR4.VMXE", host, "host CR4", drop(F::HostCr4, kCr4Vmxe));
    row("host CR4 reserved", host, "host CR4", add(F::HostCr4, 1U << 30));
    row("host CR3 beyond memory", host, "host CR3", add(F::HostCr3, kBeyond));
    row("host SYSENTER_EIP", host, "host SYSENTER", put(F::HostSysenterEip, kNotCanonical));
    row("host PAT type 2", host, "host PAT", put(F::HostPat, 2));
    row("host EFER reserved", host, "host EFER", add(F::HostEfer, 1U << 1));
    row("host EFER.LMA", host, "host EFER", drop(F::HostEfer, kEferLma));
    row("host CS with RPL 3", host, "host selectors", put(F::HostCsSelector, 0xb));
    row("host SS in an LDT", host, "host selectors", put(F::HostSsSelector, 0x14));
    row("host CS null", host, "host CS selector", put(F::HostCsSelector, 0));
    row("host TR null", host, "host TR selector", put(F::HostTrSelector, 0));
    row("host GS base", host, "host FS, GS and TR", put(F::HostGsBase, kNotCanonical));
    row("host IDTR base", host, "host GDTR and IDTR", put(F::HostIdtrBase, kNotCanonical));
    row("host in 32-bit mode", host, "64-bit mode",
        all({drop(F::ExitControls, kExitHostAddressSpaceSize), put(F::HostEfer, 0)}));
    row("host CR4.PAE", host, "CR4.PAE", drop(F::HostCr4, kCr4Pae));
    row("host RIP", host, "host RIP", put(F::HostRip, kNotCanonical));

    row("guest CR0.NE", guest, "guest CR0 has", drop(F::GuestCr0, kCr0Ne));
    row("guest CR0 high half", guest, "guest CR0 has", add(F::GuestCr0, 1ULL << 40));
    row("restricted guest without PG", guest, "guest CR0 has", all({restricted(), drop(F::GuestCr0, kCr0Pg)}));
    row("PG without PE", guest, "CR0.PG needs CR0.PE", drop(F::GuestCr0, kCr0Pe));
    row("guest CR4.VMXE", guest, "guest CR4 has", drop(F::GuestCr4, kCr4Vmxe));
    row("guest CR4 reserved", guest, "guest CR4 has", add(F::GuestCr4, 1U << 22));
    row("long mode without PG", guest, "IA-32e mode guest has CR0.PG", drop(F::GuestCr0, kCr0Pg));
    row("long mode without PAE", guest, "IA-32e mode guest has CR4.PAE", drop(F::GuestCr4, kCr4Pae));
    row("PCIDE outside long mode", guest, "PCIDE",
        all({drop(F::EntryControls, kEntryIa32eModeGuest), put(F::GuestEfer, 0), add(F::GuestCr4, kCr4Pcide)}));
    row("guest CR3 beyond memory", guest, "guest CR3", add(F::GuestCr3, kBeyond));
    row("guest DR7 high half", guest, "guest DR7", put(F::GuestDr7, 1ULL << 32));
    row("guest DEBUGCTL reserved", guest, "DEBUGCTL", put(F::GuestDebugControl, 4));
    row("guest SYSENTER_ESP", guest, "guest SYSENTER", put(F::GuestSysenterEsp, kNotCanonical));
    row("guest PAT type 3", guest, "guest PAT", put(F::GuestPat, 3ULL << 56));
    row("guest EFER reserved", guest, "guest EFER, if loaded, has no", add(F::GuestEfer, 1U << 14));
    row("guest EFER.LMA against the control", guest, "EFER.LMA", drop(F::EntryControls, kEntryIa32eModeGuest));
    row("guest EFER.LMA without LME", guest, "EFER.LME", drop(F::GuestEfer, kEferLme));
    row("guest TR in an LDT", guest, "TR selector", put(F::GuestTrSelector, 0x34));
    row("guest LDTR in an LDT", guest, "LDTR selector",
        all({put(F::GuestLdtrAccessRights, 0x82), put(F::GuestLdtrSelector, 0x3c)}));
    row("SS RPL against CS RPL", guest, "RPL of guest SS", all({restricted(), put(F::GuestSsSelector, 0x13)}));
    row("guest GS base", guest, "TR, FS and GS bases", put(F::GuestGsBase, kNotCanonical));
    row("guest TR base", guest, "TR, FS and GS bases", put(F::GuestTrBase, kNotCanonical));
    row("guest LDTR base", guest, "LDTR base",
        all({put(F::GuestLdtrAccessRights, 0x82), put(F::GuestLdtrBase, kNotCanonical)}));
    row("guest CS base wide", guest, "CS base", put(F::GuestCsBase, 1ULL << 32));
    row("guest DS base wide", guest, "SS, DS and ES bases", put(F::GuestDsBase, 1ULL << 32));
    row("guest CS not accessed", guest, "guest CS is accessed code", put(F::GuestCsAccessRights, 0xa09a));
    row("restricted guest with CS data", guest, "guest CS is accessed code",
        all({restricted(), put(F::GuestCsAccessRights, 0xc093)}));
    row("guest SS read-only", guest, "guest SS, if usable", put(F::GuestSsAccessRights, 0xc091));
    row("guest FS not accessed", guest, "are accessed", put(F::GuestFsAccessRights, 0xc092));
    row("guest ES execute-only", guest, "is readable", put(F::GuestEsAccessRights, 0xc099));
    row("guest DS a system segment", guest, "code or data", put(F::GuestDsAccessRights, 0xc083));
    row("guest CS DPL against SS DPL", guest, "DPL of guest CS", put(F::GuestCsAccessRights, 0xa0fb));
    row("guest conforming CS above SS", guest, "DPL of guest CS", put(F::GuestCsAccessRights, 0xa0bf));
    row("guest SS DPL against its RPL", guest, "DPL of guest SS",
        all({restricted(), put(F::GuestSsAccessRights, 0xc0f3), put(F::GuestCsAccessRights, 0xa0fb)}));
    row("guest SS DPL without protection", guest, "DPL of guest SS",
        all({drop(F::GuestCr0, kCr0Pe | kCr0Pg), drop(F::EntryControls, kEntryIa32eModeGuest), put(F::GuestEfer, 0),
             put(F::GuestRip, 0x1000), put(F::GuestSsAccessRights, 0xc0f3), put(F::GuestCsAccessRights, 0xc0fb)}));
    row("guest DS DPL below its RPL", guest, "DPL of at least their RPL",
        all({restricted(), put(F::GuestDsSelector, 0x13)}));
    row("guest GS not present", guest, "are present", put(F::GuestGsAccessRights, 0xc013));
    row("guest ES reserved bit 8", guest, "reserved bits in the access rights", add(F::GuestEsAccessRights, 1U << 8));
    row("guest CS with L and D/B", guest, "L and D/B", add(F::GuestCsAccessRights, 1U << 14));
    row("guest DS limit too large for bytes", guest, "limits and granularity of usable",
        put(F::GuestDsAccessRights, 0x4093));
    row("guest DS limit not of pages", guest, "limits and granularity of usable", put(F::GuestDsLimit, 0xfffff000));
    row("guest TR available", guest, "busy TSS", put(F::GuestTrAccessRights, 0x89));
    row("guest TR 16-bit in long mode", guest, "busy TSS", put(F::GuestTrAccessRights, 0x83));
    row("guest TR unusable", guest, "present system segment", add(F::GuestTrAccessRights, 1U << 16));
    row("guest TR not present", guest, "present system segment", drop(F::GuestTrAccessRights, 1U << 7));
    row("guest TR granularity", guest, "limit and granularity of guest TR", add(F::GuestTrAccessRights, 1U << 15));
    row("guest LDTR of type 3", guest, "guest LDTR, if usable, is", put(F::GuestLdtrAccessRights, 0x83));
    row("guest GDTR base", guest, "guest GDTR and IDTR bases", put(F::GuestGdtrBase, kNotCanonical));
    row("guest IDTR limit", guest, "guest GDTR and IDTR limits", put(F::GuestIdtrLimit, 0x10000));
    row("guest RIP not canonical", guest, "guest RIP", put(F::GuestRip, kNotCanonical));
    row("guest RIP wide in compatibility mode", guest, "guest RIP", put(F::GuestCsAccessRights, 0xc09b));
    row("guest RFLAGS bit 1", guest, "reserved bits of guest RFLAGS", put(F::GuestRflags, kFlagIf));
    row("guest RFLAGS bit 3", guest, "reserved bits of guest RFLAGS", put(F::GuestRflags, 0xa));
    row("guest RFLAGS.VM in long mode", guest, "RFLAGS.VM", add(F::GuestRflags, kFlagVm));
    row("interrupt without IF", guest, "only with RFLAGS.IF",
        all({inject(EventKind::ExternalInterrupt, 32), put(F::GuestRflags, 2)}));
    row("activity 3", guest, "activity state is", put(F::GuestActivityState, 3));
    row("HLT in ring 3", guest, "HLT runs in ring 0",
        all({put(F::GuestActivityState, 1), put(F::GuestSsAccessRights, 0xc0f3), put(F::GuestCsAccessRights, 0xa0fb)}));
    row("HLT with blocking", guest, "is active",
        all({put(F::GuestActivityState, 1), put(F::GuestInterruptibility, kBlockingBySti)}));
    row("#UD into HLT", guest, "can reach a guest",
        all({put(F::GuestActivityState, 1), inject(EventKind::HardwareException, 6)}));
    row("interrupt into shutdown", guest, "can reach a guest",
        all({put(F::GuestActivityState, 2), inject(EventKind::ExternalInterrupt, 32)}));
    row("interruptibility reserved", guest, "reserved bits of guest interruptibility",
        put(F::GuestInterruptibility, 1U << 5));
    row("STI and MOV SS at once", guest, "both STI and MOV SS", put(F::GuestInterruptibility, 3));
    row("STI without IF", guest, "blocking by STI needs",
        all({put(F::GuestInterruptibility, 1), put(F::GuestRflags, 2)}));
    row("interrupt into blocking by STI", guest, "no external interrupt",
        all({put(F::GuestInterruptibility, 1), inject(EventKind::ExternalInterrupt, 32)}));
    row("NMI into blocking by MOV SS", guest, "no NMI is injected into blocking by MOV SS",
        all({put(F::GuestInterruptibility, 2), inject(EventKind::Nmi, 2)}), 3);
    row("blocking by SMI", guest, "blocking by SMI", put(F::GuestInterruptibility, 4));
    row("virtual NMI into blocking by NMI", guest, "with virtual NMIs",
        all({add(F::PinBasedControls, kPinNmiExiting | kPinVirtualNmis), put(F::GuestInterruptibility, 8),
             inject(EventKind::Nmi, 2)}));
    row("pending debug exceptions reserved", guest, "pending debug exceptions",
        put(F::GuestPendingDebugExceptions, 1U << 13));
    row("VMCS link pointer", guest, "link pointer", put(F::VmcsLinkPointer, 0x40000), 4);
  }

  void each_check_fails_alone_data() {
    QTest::addColumn<Broken>("given");
    for (const Row& one : rows_) QTest::newRow(one.name) << one.broken;
  }
  void each_check_fails_alone() {
    QFETCH(Broken, given);
    VmxBench bench;
    given.damage(bench);
    const std::uint64_t rip = bench.engine.read(program_counter_register());
    const auto outcome = bench.vmx.enter();
    QVERIFY(!outcome.entered);
    QVERIFY(!bench.vmx.in_non_root());
    QVERIFY(!bench.vmcs().launched());
    QVERIFY(bench.of<VmEntry>().empty());
    const QString sentence =
        QString::fromUtf8(outcome.failed_check.data(), static_cast<qsizetype>(outcome.failed_check.size()));
    QVERIFY2(sentence.contains(given.words), qPrintable(sentence));
    const auto checks = bench.of<Check>();
    QCOMPARE(checks.size(), std::size_t{1});
    QCOMPARE(checks[0].verdict, CheckVerdict::Failed);
    if (given.group == EntryCheckGroup::GuestState) {
      QCOMPARE(bench.get(F::ExitReason), std::uint64_t{0x80000021});
      QCOMPARE(bench.get(F::ExitQualification), given.qualification);
      QCOMPARE(bench.engine.read(program_counter_register()), bench.get(F::HostRip));
    } else {
      QCOMPARE(bench.get(F::InstructionError), std::uint64_t{given.group == EntryCheckGroup::Controls ? 7U : 8U});
      QCOMPARE(bench.get(F::ExitReason), std::uint64_t{0});
      QCOMPARE(bench.engine.read(program_counter_register()), rip);
    }
  }

  void every_check_is_seen_failing() {
    std::set<std::string> failed;
    for (const Row& one : rows_) {
      VmxBench bench;
      one.broken.damage(bench);
      failed.insert(std::string(bench.vmx.enter().failed_check));
    }
    for (const std::string_view sentence : vm_entry_check_sentences())
      QVERIFY2(failed.contains(std::string(sentence)), std::string(sentence).c_str());
  }

  void a_restricted_guest_with_consistent_segments_enters() {
    VmxBench bench;
    restricted()(bench);
    const auto outcome = bench.vmx.enter();
    QVERIFY2(outcome.entered, std::string(outcome.failed_check).c_str());
  }

  void an_unrestricted_guest_may_begin_without_paging() {
    VmxBench bench;
    bench.remove(F::GuestCr0, kCr0Pg);
    bench.remove(F::EntryControls, kEntryIa32eModeGuest);
    bench.set(F::GuestEfer, 0);
    bench.set(F::GuestCsAccessRights, 0xc09b);
    bench.set(F::GuestRip, 0x100000);
    const auto outcome = bench.vmx.enter();
    QVERIFY2(outcome.entered, std::string(outcome.failed_check).c_str());
    QCOMPARE(bench.engine.mode(), ExecutionMode::X86Protected32);
  }

  void an_entry_loads_the_guest_and_an_exit_saves_it_back() {
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    QCOMPARE(bench.state.cr3, std::uint64_t{0x5000});
    QCOMPARE(bench.engine.mode(), ExecutionMode::X86Long64);
    QCOMPARE(bench.engine.read(flags_register()), kFlagCf);
    QCOMPARE(bench.state.rflags, 2 | kFlagIf);
    QCOMPARE(bench.engine.read({RegisterClass::SegmentBase, 5}), std::uint64_t{0xffff888000000000});
    QCOMPARE(bench.state.segments[kFs].base, std::uint64_t{0x7f0000001000});
    QVERIFY(bench.vmx.nested().enabled && bench.vmx.nested().accessed_dirty);
    QCOMPARE(bench.vmx.nested().vpid, std::uint16_t{1});

    std::map<std::uint32_t, std::uint64_t> before;
    for (const VmcsFieldInfo& info : vmcs_field_table()) {
      if (info.area() == VmcsArea::GuestState) before[info.encoding()] = bench.vmcs().read(info.field);
    }
    bench.vmx.exit({.reason = 10, .instruction_length = 2});
    for (const auto& [encoding, value] : before) QCOMPARE(*bench.vmcs().read_encoding(encoding), value);
    QVERIFY(!bench.vmx.in_non_root());
    QVERIFY(!bench.vmx.nested().enabled);
    QCOMPARE(bench.state.cr3, std::uint64_t{0x30000});
    QCOMPARE(bench.state.rflags, std::uint64_t{2});
    QCOMPARE(bench.state.segments[kCs].access_rights, 0xa09bU);
    QCOMPARE(bench.state.segments[kGs].base, std::uint64_t{0x2222000});
    QVERIFY(bench.state.segments[kDs].unusable());  // Its host selector is null.
    QCOMPARE(bench.engine.read(integer_register(4)), std::uint64_t{0xffff800000008000});
    QCOMPARE(bench.of<VmExit>()[0].guest_pc, VirtualAddress{0xffff800000400000});
    QCOMPARE(bench.of<VmExit>()[0].name, std::string_view("CPUID"));
  }

  void an_exit_saves_what_the_guest_changed() {
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    bench.state.cr0 |= kCr0Ts;
    bench.state.cr3 = 0x9000;
    bench.state.cpl = 3;
    bench.state.segments[kSs] = Segment{};  // Null in 64-bit ring 3: the DPL still says the level.
    bench.state.interruptibility = kBlockingBySti;
    bench.state.activity = ActivityState::Halted;
    bench.state.debug[7] = 0x455;
    bench.state.msrs[kMsrSysenterEip] = 0x1234;
    bench.engine.write(integer_register(4), 0x777);
    bench.engine.write(program_counter_register(), 0x888);
    bench.engine.write(flags_register(), kFlagDf | kFlagCf);
    bench.vmx.exit({.reason = 12});
    QCOMPARE(bench.get(F::GuestCr0) & kCr0Ts, kCr0Ts);
    QCOMPARE(bench.get(F::GuestCr3), std::uint64_t{0x9000});
    QCOMPARE(bench.get(F::GuestSsAccessRights), std::uint64_t{1U << 16 | 0x60});
    QCOMPARE(bench.get(F::GuestInterruptibility), std::uint64_t{1});
    QCOMPARE(bench.get(F::GuestActivityState), std::uint64_t{1});
    QCOMPARE(bench.get(F::GuestDr7), std::uint64_t{0x455});
    QCOMPARE(bench.get(F::GuestSysenterEip), std::uint64_t{0x1234});
    QCOMPARE(bench.get(F::GuestRsp), std::uint64_t{0x777});
    QCOMPARE(bench.get(F::GuestRip), std::uint64_t{0x888});
    QCOMPARE(bench.get(F::GuestRflags), 2 | kFlagIf | kFlagDf | kFlagCf);
    QCOMPARE(bench.state.msrs[kMsrSysenterEip], std::uint64_t{0});
  }

  void leaving_long_mode_clears_the_entry_control_of_an_unrestricted_guest() {
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    bench.state.efer &= ~kEferLma;
    bench.vmx.exit({.reason = 10});
    QCOMPARE(bench.get(F::EntryControls) & kEntryIa32eModeGuest, std::uint64_t{0});
  }

  void an_event_is_injected_once_and_its_valid_bit_goes_with_the_next_exit() {
    VmxBench bench;
    bench.state.cr2 = 0xabc000;
    inject(EventKind::HardwareException, 14, true)(bench);
    bench.set(F::EntryExceptionErrorCode, 6);
    const auto outcome = bench.vmx.enter();
    QVERIFY(outcome.injected);
    QCOMPARE(bench.of<VmEntry>()[0].injected_vector, 14U);
    const auto event = bench.vmx.take_injected();
    QVERIFY(event);
    QCOMPARE(event->vector, std::uint8_t{14});
    QVERIFY(event->has_error_code);
    QCOMPARE(event->error_code, 6U);
    QCOMPARE(event->fault_address, std::uint64_t{0xabc000});
    QVERIFY(!bench.vmx.take_injected());
    bench.vmx.exit({.reason = 10});
    QCOMPARE(bench.get(F::EntryInterruptionInformation) & kInterruptionValid, std::uint64_t{0});
    QVERIFY(!bench.vmx.enter().injected);
  }

  void an_interrupt_wakes_a_guest_in_halt() {
    VmxBench bench;
    bench.set(F::GuestActivityState, 1);
    QVERIFY(bench.vmx.enter().entered);
    QCOMPARE(bench.state.activity, ActivityState::Halted);
    bench.vmx.exit({.reason = 1});
    inject(EventKind::ExternalInterrupt, 0x40)(bench);
    QVERIFY(bench.vmx.enter().entered);
    QCOMPARE(bench.state.activity, ActivityState::Active);
  }

  void an_exit_during_delivery_records_the_event() {
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    bench.vmx.exit(
        {.reason = 48},
        PendingEvent{.kind = EventKind::HardwareException, .vector = 13, .has_error_code = true, .error_code = 0x28});
    QCOMPARE(bench.get(F::IdtVectoringInformation), std::uint64_t{0x80000b0d});
    QCOMPARE(bench.get(F::IdtVectoringErrorCode), std::uint64_t{0x28});
    QVERIFY(bench.vmx.enter().entered);
    bench.vmx.exit({.reason = 48},
                   PendingEvent{.kind = EventKind::SoftwareInterrupt, .vector = 0x80, .instruction_length = 2});
    QCOMPARE(bench.get(F::IdtVectoringInformation), std::uint64_t{0x80000480});
    QCOMPARE(bench.get(F::ExitInstructionLength), std::uint64_t{2});
    QVERIFY(bench.vmx.enter().entered);
    bench.vmx.exit({.reason = 10, .instruction_length = 2});
    QCOMPARE(bench.get(F::IdtVectoringInformation), std::uint64_t{0});
  }

  void the_guest_reads_owned_bits_from_the_shadows() {
    VmxBench bench;
    bench.set(F::Cr0GuestHostMask, kCr0Ne | kCr0Cd);
    bench.set(F::Cr0ReadShadow, kCr0Cd);
    bench.set(F::Cr4GuestHostMask, kCr4Vmxe);
    bench.set(F::Cr4ReadShadow, 0);
    QVERIFY(bench.vmx.enter().entered);
    QCOMPARE(bench.vmx.guest_visible_cr0(), (bench.state.cr0 & ~kCr0Ne) | kCr0Cd);
    QCOMPARE(bench.vmx.guest_visible_cr4(), bench.state.cr4 & ~kCr4Vmxe);
    bench.vmx.exit({.reason = 10});
    QCOMPARE(bench.vmx.guest_visible_cr0(), bench.state.cr0);
  }

  void the_time_stamp_offset_counts_only_with_its_control_and_in_the_guest() {
    VmxBench bench;
    bench.set(F::TscOffset, 0 - std::uint64_t{1000});
    QCOMPARE(bench.vmx.guest_visible_tsc(5000), std::uint64_t{5000});
    QVERIFY(bench.vmx.enter().entered);
    QCOMPARE(bench.vmx.guest_visible_tsc(5000), std::uint64_t{5000});
    bench.add(F::PrimaryControls, kPrimaryUseTscOffsetting);
    QCOMPARE(bench.vmx.guest_visible_tsc(5000), std::uint64_t{4000});
  }

  void exits_and_entries_cost_what_the_cost_model_says() {
    VmxBench bench;
    bench.config.costs.actions = {{"vm.exit", 700}, {"vm.entry", 300}};
    QVERIFY(bench.vmx.enter().entered);
    QCOMPARE(bench.time.vmm_cycles, std::uint64_t{300});
    bench.vmx.exit({.reason = 10});
    QCOMPARE(bench.time.vmm_cycles, std::uint64_t{1000});
    QCOMPARE(bench.log.events.back().cycles, 700U);
  }
};

QTEST_APPLESS_MAIN(EntryTest)
#include "entry_test.moc"
