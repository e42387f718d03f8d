// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMCS field table against what its encodings say, and against encodings noted independently of it.
#include <QtTest>

#include <set>
#include <string>

#include "isa-x86/vmx/vmcs.h"
#include "isa-x86/vmx/vmcs_fields.h"
#include "isa-x86/vmx/vmx_unit.h"

using namespace shearling;
using namespace shearling::x86;

class VmcsTest : public QObject {
  Q_OBJECT
 private slots:
  void encodings_ascend_without_duplicates_and_without_high_halves() {
    std::uint32_t last = 0;
    bool first = true;
    std::set<std::string_view> names;
    for (const VmcsFieldInfo& info : vmcs_field_table()) {
      QVERIFY2(first || info.encoding() > last, std::string(info.name).c_str());
      QCOMPARE(info.encoding() & 1U, 0U);
      QCOMPARE(info.encoding() & ~0x6ffeU, 0U);  // Bits 12 and 15 up are reserved.
      QVERIFY2(names.insert(info.name).second, std::string(info.name).c_str());
      QVERIFY(!info.name.empty());
      last = info.encoding();
      first = false;
    }
    QCOMPARE(vmcs_field_table().size(), std::size_t{149});
  }

  void names_say_the_area_that_the_encoding_says() {
    for (const VmcsFieldInfo& info : vmcs_field_table()) {
      const bool guest = info.name.starts_with("guest ") && info.area() != VmcsArea::ExitInformation;
      QVERIFY2(!guest || info.area() == VmcsArea::GuestState, std::string(info.name).c_str());
      QCOMPARE(info.name.starts_with("host "), info.area() == VmcsArea::HostState);
    }
    QCOMPARE(area_name(VmcsArea::Control), std::string_view("controls"));
    QCOMPARE(area_name(VmcsArea::HostState), std::string_view("host state"));
  }

  // From kvm-unit-tests' list, as the project's reference gives it: written down a second time on purpose.
  void the_encodings_are_the_manuals_data() {
    QTest::addColumn<std::uint32_t>("encoding");
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("width");
    const auto row = [](std::uint32_t encoding, const char* name, int width) {
      QTest::newRow(name) << encoding << QString(name) << width;
    };
    row(0x0000, "virtual-processor identifier (VPID)", 16);
    row(0x0802, "guest CS selector", 16);
    row(0x0c02, "host CS selector", 16);
    row(0x2000, "address of I/O bitmap A", 64);
    row(0x2004, "address of MSR bitmaps", 64);
    row(0x2010, "TSC offset", 64);
    row(0x201a, "EPT pointer", 64);
    row(0x2400, "guest-physical address", 64);
    row(0x2800, "VMCS link pointer", 64);
    row(0x4000, "pin-based VM-execution controls", 32);
    row(0x4002, "primary processor-based VM-execution controls", 32);
    row(0x4004, "exception bitmap", 32);
    row(0x400c, "VM-exit controls", 32);
    row(0x4012, "VM-entry controls", 32);
    row(0x4016, "VM-entry interruption-information field", 32);
    row(0x401e, "secondary processor-based VM-execution controls", 32);
    row(0x4400, "VM-instruction error", 32);
    row(0x4402, "exit reason", 32);
    row(0x4404, "VM-exit interruption information", 32);
    row(0x440c, "VM-exit instruction length", 32);
    row(0x6000, "CR0 guest/host mask", 0);
    row(0x6004, "CR0 read shadow", 0);
    row(0x6400, "exit qualification", 0);
    row(0x640a, "guest-linear address", 0);
    row(0x6800, "guest CR0", 0);
    row(0x6802, "guest CR3", 0);
    row(0x6804, "guest CR4", 0);
    row(0x681c, "guest RSP", 0);
    row(0x681e, "guest RIP", 0);
    row(0x6820, "guest RFLAGS", 0);
    row(0x6c02, "host CR3", 0);
    row(0x6c14, "host RSP", 0);
    row(0x6c16, "host RIP", 0);
  }
  void the_encodings_are_the_manuals() {
    QFETCH(std::uint32_t, encoding);
    QFETCH(QString, name);
    QFETCH(int, width);
    const auto table = vmcs_field_table();
    const auto found = std::find_if(table.begin(), table.end(),
                                    [&](const VmcsFieldInfo& info) { return info.encoding() == encoding; });
    QVERIFY(found != table.end());
    QCOMPARE(QString::fromUtf8(found->name.data(), static_cast<qsizetype>(found->name.size())), name);
    const VmcsWidth expected = width == 16   ? VmcsWidth::Bits16
                               : width == 64 ? VmcsWidth::Bits64
                               : width == 32 ? VmcsWidth::Bits32
                                             : VmcsWidth::Natural;
    QCOMPARE(found->width(), expected);
  }

  void the_host_area_has_no_ldtr_selector() {
    QVERIFY(!Vmcs().read_encoding(0x0c0e));
    QVERIFY(Vmcs().read_encoding(0x0c0c));
  }

  void every_field_holds_its_width_and_no_other_field_changes() {
    Vmcs vmcs;
    for (const VmcsFieldInfo& info : vmcs_field_table()) {
      const std::uint64_t value = 0xa5a5'0000'0000'1234 ^ (std::uint64_t{info.encoding()} << 16);
      vmcs.write(info.field, value);
    }
    for (const VmcsFieldInfo& info : vmcs_field_table()) {
      const std::uint64_t value = 0xa5a5'0000'0000'1234 ^ (std::uint64_t{info.encoding()} << 16);
      const std::uint64_t mask = info.width() == VmcsWidth::Bits16   ? 0xffff
                                 : info.width() == VmcsWidth::Bits32 ? 0xffffffff
                                                                     : ~std::uint64_t{0};
      QCOMPARE(vmcs.read(info.field), value & mask);
      QCOMPARE(vmcs.read_encoding(info.encoding()), std::optional<std::uint64_t>(value & mask));
    }
  }

  void encodings_that_do_not_exist_read_as_nothing() {
    const Vmcs vmcs;
    unsigned known = 0;
    for (std::uint32_t encoding = 0; encoding < 0x10000; ++encoding) known += vmcs.read_encoding(encoding) ? 1U : 0U;
    QCOMPARE(known, static_cast<unsigned>(vmcs_field_table().size()));
    QVERIFY(!vmcs.read_encoding(0x2001));  // The high half of I/O bitmap A.
    QVERIFY(!vmcs.read_encoding(0xffffffff));
  }

  void a_restored_vmcs_holds_the_same() {
    Vmcs vmcs;
    vmcs.write(VmcsField::GuestRip, 0x1234);
    vmcs.set_launched(true);
    std::vector<std::uint8_t> bytes;
    Writer writer(bytes);
    writer(vmcs);
    Vmcs copy;
    Reader reader(bytes);
    reader(copy);
    QVERIFY(reader.at_end());
    QVERIFY(copy.launched());
    QCOMPARE(copy.read(VmcsField::GuestRip), std::uint64_t{0x1234});
  }

  void exit_reasons_have_the_manuals_names_data() {
    QTest::addColumn<std::uint32_t>("reason");
    QTest::addColumn<QString>("name");
    const auto row = [](std::uint32_t reason, const char* name) { QTest::newRow(name) << reason << QString(name); };
    row(0, "exception or NMI");
    row(1, "external interrupt");
    row(2, "triple fault");
    row(7, "interrupt window");
    row(10, "CPUID");
    row(12, "HLT");
    row(14, "INVLPG");
    row(16, "RDTSC");
    row(18, "VMCALL");
    row(27, "VMXON");
    row(28, "CR access");
    row(29, "MOV DR");
    row(30, "I/O instruction");
    row(31, "RDMSR");
    row(32, "WRMSR");
    row(33, "invalid guest state");
    row(40, "PAUSE");
    row(48, "EPT violation");
    row(49, "EPT misconfiguration");
    row(51, "RDTSCP");
    row(53, "INVVPID");
    row(54, "WBINVD");
    row(55, "XSETBV");
    row(58, "INVPCID");
    row(64, "XRSTORS");
    row(35, "unknown reason");
    row(65, "unknown reason ");
  }
  void exit_reasons_have_the_manuals_names() {
    QFETCH(std::uint32_t, reason);
    QFETCH(QString, name);
    const std::string_view given = exit_reason_name(reason);
    QCOMPARE(QString::fromUtf8(given.data(), static_cast<qsizetype>(given.size())), name.trimmed());
  }

  void a_failed_entry_has_the_name_of_its_basic_reason() {
    QCOMPARE(exit_reason_name(0x80000021), std::string_view("invalid guest state"));
  }
};

QTEST_APPLESS_MAIN(VmcsTest)
#include "vmcs_test.moc"
