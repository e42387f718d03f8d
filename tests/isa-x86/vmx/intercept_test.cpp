// SPDX-License-Identifier: GPL-3.0-or-later
//
// What leaves the guest, control by control: each row sets controls, asks, and expects an exit (basic reason and
// qualification as SDM volume 3C, chapter 27 and appendix C give them) or none. Each decision must be told by one check
// with the verdict.
#include <QtTest>

#include <functional>

#include "vmx_bench.h"

using namespace shearling;
using namespace shearling::x86;
using namespace shearling::x86::testing;

namespace {

using F = VmcsField;
using Setup = std::function<void(VmxBench&)>;

/// Expected: no exit.
constexpr int kStays = -1;

struct Case {
  Setup setup;
  InterceptQuery query;
  int reason = kStays;
  std::uint64_t qualification = 0;
  bool silent = false;  ///< No control looks at this: no check is told.
};

Setup nothing() {
  return [](VmxBench&) {};
}
Setup with(F field, std::uint64_t bits) {
  return [=](VmxBench& bench) { bench.add(field, bits); };
}
Setup without(F field, std::uint64_t bits) {
  return [=](VmxBench& bench) { bench.remove(field, bits); };
}
Setup both(const Setup& first, const Setup& second) {
  return [=](VmxBench& bench) {
    first(bench);
    second(bench);
  };
}
Setup primary(std::uint32_t bits) { return with(F::PrimaryControls, bits); }
Setup secondary(std::uint32_t bits) { return with(F::SecondaryControls, bits); }
Setup memory_bit(std::uint64_t base, std::uint32_t bit) {
  return [=](VmxBench& bench) {
    bench.memory.write({base + bit / 8}, 1, bench.memory.read({base + bit / 8}, 1) | 1U << (bit % 8));
  };
}

std::uint64_t cr_qualification(unsigned cr, unsigned type, unsigned gpr) { return cr | type << 4 | gpr << 8; }

}  // namespace
Q_DECLARE_METATYPE(Case)

class InterceptTest : public QObject {
  Q_OBJECT

  static void row(const char* name, Case given) { QTest::newRow(name) << std::move(given); }
  /// The same question with the control's bit clear and set.
  static void control_row(const char* name, const Setup& off, const Setup& on, const InterceptQuery& query, int reason,
                          std::uint64_t qualification = 0) {
    QTest::addRow("%s, control 0", name) << Case{off, query, kStays};
    QTest::addRow("%s, control 1", name) << Case{on, query, reason, qualification};
  }

  static void add_instructions() {
    control_row("HLT", nothing(), primary(kPrimaryHltExiting), {.kind = Intercept::Hlt}, 12);
    control_row("INVLPG", nothing(), primary(kPrimaryInvlpgExiting), {.kind = Intercept::Invlpg, .value = 0x1234567},
                14, 0x1234567);
    control_row("INVPCID", nothing(), primary(kPrimaryInvlpgExiting), {.kind = Intercept::Invpcid}, 58);
    control_row("RDTSC", nothing(), primary(kPrimaryRdtscExiting), {.kind = Intercept::Rdtsc}, 16);
    control_row("RDTSCP", nothing(), primary(kPrimaryRdtscExiting), {.kind = Intercept::Rdtscp}, 51);
    control_row("RDPMC", nothing(), primary(kPrimaryRdpmcExiting), {.kind = Intercept::Rdpmc}, 15);
    control_row("MWAIT", nothing(), primary(kPrimaryMwaitExiting), {.kind = Intercept::Mwait}, 36);
    control_row("MONITOR", nothing(), primary(kPrimaryMonitorExiting), {.kind = Intercept::Monitor}, 39);
    control_row("PAUSE", nothing(), primary(kPrimaryPauseExiting), {.kind = Intercept::Pause}, 40);
    control_row("WBINVD", nothing(), secondary(kSecondaryWbinvdExiting), {.kind = Intercept::Wbinvd}, 54);
    control_row("SGDT", nothing(), secondary(kSecondaryDescriptorTableExiting),
                {.kind = Intercept::DescriptorTableAccess, .reason = 46}, 46);
    control_row("LTR", nothing(), secondary(kSecondaryDescriptorTableExiting),
                {.kind = Intercept::DescriptorTableAccess, .reason = 47}, 47);
    control_row("MOV to DR3 from R9", nothing(), primary(kPrimaryMovDrExiting),
                {.kind = Intercept::DrAccess, .cr = 3, .gpr = 9}, 29, 3 | 9 << 8);
    control_row("MOV from DR7 to RAX", nothing(), primary(kPrimaryMovDrExiting),
                {.kind = Intercept::DrAccess, .cr = 7, .from_debug_register = true}, 29, 7 | 1 << 4);
    row("WBINVD exiting counts only with the secondary controls active",
        {both(secondary(kSecondaryWbinvdExiting), without(F::PrimaryControls, kPrimaryActivateSecondary)),
         {.kind = Intercept::Wbinvd},
         kStays});
    row("CPUID", {nothing(), {.kind = Intercept::Cpuid}, 10});
    row("INVD", {nothing(), {.kind = Intercept::Invd}, 13});
    row("VMCALL", {nothing(), {.kind = Intercept::Vmcall}, 18});
    row("XSETBV", {nothing(), {.kind = Intercept::Xsetbv}, 55});
    row("VMXON", {nothing(), {.kind = Intercept::Vmxinstruction}, 27});
    for (const std::uint32_t reason : {19U, 20U, 21U, 22U, 23U, 24U, 25U, 26U, 50U, 53U})
      QTest::addRow("VMX instruction with reason %u", reason)
          << Case{nothing(), {.kind = Intercept::Vmxinstruction, .reason = reason}, static_cast<int>(reason)};
    row("triple fault", {nothing(), {.kind = Intercept::TripleFault}, 2});
  }

  static void add_control_registers() {
    const auto mask0 = [](std::uint64_t mask, std::uint64_t shadow) {
      return [=](VmxBench& bench) {
        bench.set(F::Cr0GuestHostMask, mask);
        bench.set(F::Cr0ReadShadow, shadow);
      };
    };
    const auto mask4 = [](std::uint64_t mask, std::uint64_t shadow) {
      return [=](VmxBench& bench) {
        bench.set(F::Cr4GuestHostMask, mask);
        bench.set(F::Cr4ReadShadow, shadow);
      };
    };
    const auto write = [](unsigned cr, std::uint64_t value, unsigned gpr = 0) {
      return InterceptQuery{.kind = Intercept::CrWrite, .cr = cr, .gpr = gpr, .value = value};
    };
    row("MOV to CR0, nothing owned", {mask0(0, 0), write(0, ~0ULL), kStays});
    row("MOV to CR0, owned bit as in the shadow", {mask0(kCr0Pg, kCr0Pg), write(0, kCr0Pg | kCr0Wp), kStays});
    row("MOV to CR0, owned bit differs", {mask0(kCr0Pg, 0), write(0, kCr0Pg, 12), 28, cr_qualification(0, 0, 12)});
    row("MOV to CR0, owned bit differs downwards", {mask0(kCr0Pg, kCr0Pg), write(0, 0), 28, cr_qualification(0, 0, 0)});
    row("MOV to CR0, only a bit that is not owned differs",
        {mask0(kCr0Pe, kCr0Pe), write(0, kCr0Pe | kCr0Ts | kCr0Pg), kStays});
    row("MOV to CR4, nothing owned", {mask4(0, 0), write(4, kCr4Pae), kStays});
    row("MOV to CR4, owned bit differs", {mask4(kCr4Pae, 0), write(4, kCr4Pae, 1), 28, cr_qualification(4, 0, 1)});
    row("MOV to CR4, owned bit as in the shadow",
        {mask4(kCr4Pae | kCr4Vmxe, kCr4Pae), write(4, kCr4Pae | kCr4Pge), kStays});
    row("MOV to CR4, VMXE wanted", {mask4(kCr4Vmxe, 0), write(4, kCr4Vmxe), 28, cr_qualification(4, 0, 0)});
    row("MOV to CR2 never leaves", {nothing(), write(2, 1), kStays, 0, true});
    control_row("MOV to CR3", nothing(), primary(kPrimaryCr3LoadExiting), write(3, 0x5000, 7), 28,
                cr_qualification(3, 0, 7));
    for (unsigned target = 0; target < 4; ++target) {
      const auto setup = [=](VmxBench& bench) {
        bench.add(F::PrimaryControls, kPrimaryCr3LoadExiting);
        bench.set(static_cast<F>(static_cast<std::uint32_t>(F::Cr3Target0) + 2 * target), 0x7000);
        bench.set(F::Cr3TargetCount, target + 1);
      };
      QTest::addRow("MOV to CR3, target value %u matches", target) << Case{setup, write(3, 0x7000), kStays};
      const auto too_few = [=](VmxBench& bench) {
        setup(bench);
        bench.set(F::Cr3TargetCount, target);
      };
      QTest::addRow("MOV to CR3, target value %u is not counted", target)
          << Case{too_few, write(3, 0x7000), 28, cr_qualification(3, 0, 0)};
    }
    control_row("MOV to CR8", nothing(), primary(kPrimaryCr8LoadExiting), write(8, 3, 2), 28,
                cr_qualification(8, 0, 2));
    control_row("MOV from CR3", nothing(), primary(kPrimaryCr3StoreExiting),
                {.kind = Intercept::CrRead, .cr = 3, .gpr = 15}, 28, cr_qualification(3, 1, 15));
    control_row("MOV from CR8", nothing(), primary(kPrimaryCr8StoreExiting),
                {.kind = Intercept::CrRead, .cr = 8, .gpr = 5}, 28, cr_qualification(8, 1, 5));
    row("MOV from CR0 never leaves", {mask0(~0ULL, 0), {.kind = Intercept::CrRead, .cr = 0}, kStays});
    row("MOV from CR4 never leaves", {mask4(~0ULL, 0), {.kind = Intercept::CrRead, .cr = 4}, kStays});
    row("CLTS, TS not owned", {mask0(0, kCr0Ts), {.kind = Intercept::Clts}, kStays});
    row("CLTS, TS owned and clear in the shadow", {mask0(kCr0Ts, 0), {.kind = Intercept::Clts}, kStays});
    row("CLTS, TS owned and set in the shadow", {mask0(kCr0Ts, kCr0Ts), {.kind = Intercept::Clts}, 28, 2 << 4});
    row("LMSW, nothing owned", {mask0(0, 0), {.kind = Intercept::Lmsw, .value = 0xf}, kStays});
    row("LMSW sets an owned PE", {mask0(kCr0Pe, 0), {.kind = Intercept::Lmsw, .value = 1}, 28, 3 << 4 | 1 << 16});
    row("LMSW cannot clear an owned PE", {mask0(kCr0Pe, kCr0Pe), {.kind = Intercept::Lmsw, .value = 0}, kStays});
    row("LMSW clears an owned TS",
        {mask0(kCr0Ts, kCr0Ts), {.kind = Intercept::Lmsw, .value = 1}, 28, 3 << 4 | 1 << 16});
    row("LMSW leaves bits above 3 alone", {mask0(kCr0Ne, 0), {.kind = Intercept::Lmsw, .value = kCr0Ne}, kStays});
    row("LMSW from memory", {mask0(kCr0Mp, 0),
                             {.kind = Intercept::Lmsw, .value = 0xabc2, .memory_operand = true, .linear = 0x9000},
                             28,
                             3 << 4 | 1 << 6 | 0xabc2ULL << 16});
  }

  static void add_ports() {
    const auto out = [](std::uint16_t port, std::uint8_t size) {
      return InterceptQuery{.kind = Intercept::PortIo, .port = port, .port_size = size};
    };
    control_row("OUT, unconditional", nothing(), primary(kPrimaryUnconditionalIoExiting), out(0x3f8, 1), 30,
                0x3f8ULL << 16);
    row("I/O bitmaps override unconditional exiting",
        {primary(kPrimaryUnconditionalIoExiting | kPrimaryUseIoBitmaps), out(0x3f8, 1), kStays});
    const Setup bitmaps = primary(kPrimaryUseIoBitmaps);
    const auto bitmap_case = [&](const char* name, std::uint32_t marked, std::uint16_t port, std::uint8_t size,
                                 bool exits) {
      const std::uint64_t base = marked < 0x8000 ? VmxBench::kIoBitmapA : VmxBench::kIoBitmapB;
      row(name, {both(bitmaps, memory_bit(base, marked & 0x7fff)), out(port, size), exits ? 30 : kStays,
                 exits ? (size - 1U) | std::uint64_t{port} << 16 : 0});
    };
    bitmap_case("bitmap A, first port", 0, 0, 1, true);
    bitmap_case("bitmap A, port below the marked one", 0x80, 0x7f, 1, false);
    bitmap_case("bitmap A, the marked port", 0x80, 0x80, 1, true);
    bitmap_case("bitmap A, port above the marked one", 0x80, 0x81, 1, false);
    bitmap_case("bitmap A, two bytes reach the marked port", 0x80, 0x7f, 2, true);
    bitmap_case("bitmap A, four bytes reach the marked port", 0x83, 0x80, 4, true);
    bitmap_case("bitmap A, four bytes end before the marked port", 0x84, 0x80, 4, false);
    bitmap_case("bitmap A, last port", 0x7fff, 0x7fff, 1, true);
    bitmap_case("bitmap B, first port", 0x8000, 0x8000, 1, true);
    bitmap_case("bitmap B, reached from bitmap A", 0x8000, 0x7fff, 2, true);
    bitmap_case("bitmap B, not reached", 0x8001, 0x7fff, 2, false);
    bitmap_case("bitmap B, last port", 0xffff, 0xffff, 1, true);
    row("an access that wraps around the ports leaves", {bitmaps, out(0xffff, 2), 30, 1 | 0xffffULL << 16});
    row("an access that ends with the last port stays", {bitmaps, out(0xfffc, 4), kStays});
    const Setup all = primary(kPrimaryUnconditionalIoExiting);
    const auto in = [](InterceptQuery query) {
      query.kind = Intercept::PortIo;
      query.port = 0x64;
      return query;
    };
    row("IN of a byte from DX", {all, in({.port_size = 1, .port_in = true}), 30, 0x640008});
    row("IN of a word", {all, in({.port_size = 2, .port_in = true}), 30, 0x640009});
    row("IN of a doubleword", {all, in({.port_size = 4, .port_in = true}), 30, 0x64000b});
    row("IN with an immediate port",
        {all, in({.port_size = 1, .port_in = true, .port_immediate = true}), 30, 0x640048});
    row("OUT with an immediate port", {all, in({.port_size = 1, .port_immediate = true}), 30, 0x640040});
    row("INS", {all, in({.port_size = 1, .port_in = true, .port_string = true}), 30, 0x640018});
    row("REP OUTSD", {all, in({.port_size = 4, .port_string = true, .port_rep = true}), 30, 0x640033});
  }

  static void add_msrs() {
    const auto access = [](Intercept kind, std::uint32_t msr) { return InterceptQuery{.kind = kind, .msr = msr}; };
    row("RDMSR without bitmaps", {nothing(), access(Intercept::RdMsr, 0x10), 31});
    row("WRMSR without bitmaps", {nothing(), access(Intercept::WrMsr, 0x10), 32});
    const Setup bitmaps = primary(kPrimaryUseMsrBitmaps);
    struct Range {
      const char* name;
      Intercept kind;
      std::uint64_t offset;
      std::uint32_t first;
      int reason;
    };
    for (const Range& range :
         {Range{"RDMSR low", Intercept::RdMsr, 0, 0, 31}, Range{"RDMSR high", Intercept::RdMsr, 1024, 0xc0000000, 31},
          Range{"WRMSR low", Intercept::WrMsr, 2048, 0, 32},
          Range{"WRMSR high", Intercept::WrMsr, 3072, 0xc0000000, 32}}) {
      for (const std::uint32_t index : {0U, 0x81U, 0x1fffU}) {
        const Setup marked = both(bitmaps, memory_bit(VmxBench::kMsrBitmap + range.offset, index));
        QTest::addRow("%s %#x, bit 0", range.name, index)
            << Case{bitmaps, access(range.kind, range.first + index), kStays};
        QTest::addRow("%s %#x, bit 1", range.name, index)
            << Case{marked, access(range.kind, range.first + index), range.reason};
      }
      const Setup marked = both(bitmaps, memory_bit(VmxBench::kMsrBitmap + range.offset, 0x80));
      QTest::addRow("%s, the neighbour's bit", range.name)
          << Case{marked, access(range.kind, range.first + 0x81), kStays};
      const Intercept other = range.kind == Intercept::RdMsr ? Intercept::WrMsr : Intercept::RdMsr;
      QTest::addRow("%s, the other direction's bit", range.name)
          << Case{marked, access(other, range.first + 0x80), kStays};
      QTest::addRow("%s, behind the range", range.name)
          << Case{bitmaps, access(range.kind, range.first + 0x2000), range.reason};
    }
    row("RDMSR below the high range", {bitmaps, access(Intercept::RdMsr, 0xbfffffff), 31});
    row("WRMSR of the last number", {bitmaps, access(Intercept::WrMsr, 0xffffffff), 32});
  }

  static void add_events() {
    const auto exception = [](std::uint8_t vector, EventKind kind = EventKind::HardwareException) {
      return InterceptQuery{.kind = Intercept::Exception, .event = {.kind = kind, .vector = vector}};
    };
    const auto fault = [](std::uint32_t code) {
      return InterceptQuery{.kind = Intercept::Exception,
                            .event = {.kind = EventKind::HardwareException,
                                      .vector = 14,
                                      .has_error_code = true,
                                      .error_code = code,
                                      .fault_address = 0xdead000}};
    };
    const auto bitmap = [](std::uint32_t bits, std::uint32_t mask = 0, std::uint32_t match = 0) {
      return [=](VmxBench& bench) {
        bench.set(F::ExceptionBitmap, bits);
        bench.set(F::PageFaultErrorCodeMask, mask);
        bench.set(F::PageFaultErrorCodeMatch, match);
      };
    };
    for (const unsigned vector : {0U, 1U, 6U, 13U, 17U}) {
      QTest::addRow("exception %u, bit 0", vector)
          << Case{bitmap(~(1U << vector)), exception(static_cast<std::uint8_t>(vector)), kStays};
      QTest::addRow("exception %u, bit 1", vector)
          << Case{bitmap(1U << vector), exception(static_cast<std::uint8_t>(vector)), 0};
    }
    row("INT3, bit 1", {bitmap(1U << 3), exception(3, EventKind::SoftwareException), 0});
    row("INT n is no exception", {bitmap(~0U), exception(0x80, EventKind::SoftwareInterrupt), kStays, 0, true});
    row("#PF, bit 0", {bitmap(0), fault(2), kStays});
    row("#PF, bit 1", {bitmap(1U << 14), fault(2), 0, 0xdead000});
    row("#PF, bit 1, code matches", {bitmap(1U << 14, 0x5, 0x4), fault(0x6), 0, 0xdead000});
    row("#PF, bit 1, code does not match", {bitmap(1U << 14, 0x5, 0x4), fault(0x7), kStays});
    row("#PF, bit 0, code matches", {bitmap(0, 0x5, 0x4), fault(0x4), kStays});
    row("#PF, bit 0, code does not match", {bitmap(0, 0x5, 0x4), fault(0x5), 0, 0xdead000});
    row("#PF, mask 0 and match 1 turn the bit round", {bitmap(1U << 14, 0, 1), fault(0), kStays});
    const InterceptQuery nmi = exception(2, EventKind::Nmi);
    row("NMI, control 0", {bitmap(~0U), nmi, kStays});
    row("NMI, control 1", {with(F::PinBasedControls, kPinNmiExiting), nmi, 0});
    const InterceptQuery interrupt{.kind = Intercept::ExternalInterrupt,
                                   .event = {.kind = EventKind::ExternalInterrupt, .vector = 0xef}};
    control_row("external interrupt", nothing(), with(F::PinBasedControls, kPinExternalInterruptExiting), interrupt, 1);
    const InterceptQuery window{.kind = Intercept::InterruptWindow};
    const Setup asked = primary(kPrimaryInterruptWindowExiting);
    const auto flags = [](std::uint64_t rflags, std::uint32_t blocking) {
      return [=](VmxBench& bench) {
        bench.state.rflags = rflags;
        bench.state.interruptibility = blocking;
      };
    };
    row("interrupt window, not asked for", {flags(kFlagIf, 0), window, kStays, 0, true});
    row("interrupt window, open", {both(asked, flags(kFlagIf, 0)), window, 7});
    row("interrupt window, IF clear", {both(asked, flags(0, 0)), window, kStays});
    row("interrupt window, blocked by STI", {both(asked, flags(kFlagIf, kBlockingBySti)), window, kStays});
    row("interrupt window, blocked by MOV SS", {both(asked, flags(kFlagIf, kBlockingByMovSs)), window, kStays});
    row("EPT violation", {nothing(),
                          {.kind = Intercept::EptViolation,
                           .ept = {.guest_physical = {0x123000}, .linear = {0x456000}, .qualification = 0x181}},
                          48,
                          0x181});
    row("EPT misconfiguration",
        {nothing(),
         {.kind = Intercept::EptMisconfiguration, .ept = {.misconfiguration = true, .guest_physical = {0x123000}}},
         49});
  }

 private slots:
  void each_control_decides_what_leaves_the_guest_data() {
    QTest::addColumn<Case>("given");
    add_instructions();
    add_control_registers();
    add_ports();
    add_msrs();
    add_events();
  }
  void each_control_decides_what_leaves_the_guest() {
    QFETCH(Case, given);
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    given.setup(bench);
    bench.log.events.clear();
    InterceptQuery query = given.query;
    query.instruction_length = 3;
    const auto exit = bench.vmx.intercept(query);
    QCOMPARE(exit ? static_cast<int>(exit->reason) : kStays, given.reason);
    if (exit) {
      QCOMPARE(exit->qualification, given.qualification);
      QCOMPARE(exit->instruction_length, 3U);
    }
    const auto checks = bench.of<Check>();
    QCOMPARE(checks.size(), given.silent ? std::size_t{0} : std::size_t{1});
    if (given.silent) return;
    QCOMPARE(checks[0].verdict, exit ? CheckVerdict::Exits : CheckVerdict::Passed);
    QVERIFY(!checks[0].sentence.empty() && !checks[0].name.empty());
  }

  void in_root_operation_nothing_is_intercepted() {
    VmxBench bench;
    for (unsigned kind = 0; kind <= static_cast<unsigned>(Intercept::TripleFault); ++kind)
      QVERIFY(!bench.vmx.intercept({.kind = static_cast<Intercept>(kind)}));
    QVERIFY(bench.of<Check>().empty());
  }

  void the_exit_describes_an_exception_with_its_error_code() {
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    bench.set(F::ExceptionBitmap, 1U << 13);
    const auto exit = bench.vmx.intercept(
        {.kind = Intercept::Exception, .event = {.vector = 13, .has_error_code = true, .error_code = 0x18}});
    QVERIFY(exit);
    QCOMPARE(exit->interruption_information, 0x80000b0dU);
    QCOMPARE(exit->interruption_error_code, 0x18U);
  }

  void an_interrupt_is_described_only_when_the_exit_acknowledges_it() {
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    bench.add(F::PinBasedControls, kPinExternalInterruptExiting);
    const InterceptQuery interrupt{.kind = Intercept::ExternalInterrupt,
                                   .event = {.kind = EventKind::ExternalInterrupt, .vector = 0xef}};
    QCOMPARE(bench.vmx.intercept(interrupt)->interruption_information, 0U);
    bench.add(F::ExitControls, kExitAcknowledgeInterrupt);
    QCOMPARE(bench.vmx.intercept(interrupt)->interruption_information, 0x800000efU);
  }

  void an_ept_violation_carries_both_addresses() {
    VmxBench bench;
    QVERIFY(bench.vmx.enter().entered);
    const auto exit =
        bench.vmx.intercept({.kind = Intercept::EptViolation,
                             .ept = {.guest_physical = {0x123456}, .linear = {0x7ff456}, .qualification = 0x182}});
    QVERIFY(exit);
    bench.vmx.exit(*exit);
    QCOMPARE(bench.get(F::GuestPhysicalAddress), std::uint64_t{0x123456});
    QCOMPARE(bench.get(F::GuestLinearAddress), std::uint64_t{0x7ff456});
    QCOMPARE(bench.get(F::ExitQualification), std::uint64_t{0x182});
    QCOMPARE(bench.get(F::ExitReason), std::uint64_t{48});
  }
};

QTEST_APPLESS_MAIN(InterceptTest)
#include "intercept_test.moc"
