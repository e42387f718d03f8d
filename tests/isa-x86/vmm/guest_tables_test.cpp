// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMM's walk of the guest's page tables in software against the MMU's two-stage walk: random tables, rights and
// control bits; translation, fault, error code and the flags left in the tables must agree.
#include <QtTest>

#include <random>

#include "../vmx/vmx_bench.h"
#include "isa-x86/mmu/page_table_format.h"
#include "isa-x86/vmm/guest_tables.h"

using namespace shearling;
using namespace shearling::x86;
using namespace shearling::x86::testing;

namespace {

using F = VmcsField;
constexpr std::uint64_t kRam = 8 << 20, kTables = 0x10000;
constexpr unsigned kTableCount = 24;

MachineConfig machine() {
  MachineConfig config;
  config.ram_bytes = kRam;
  config.cpu_features = {"nx", "pdpe1gb"};
  return config;
}

struct Bench {
  Bench()
      : memory({0}, NestedMemory::physical_memory_bytes(config)),
        path(config.translation, config.caches, events),
        devices(events),
        nested(memory, config),
        tables(vmcs, nested, memory),
        mmu({config, memory, engine, events, path, devices, request, time}, state, translation) {
    path.set_models_on(false);
    for (std::uint64_t page = 0; page < kRam; page += kFrameBytes) nested.map({page});
    translation = {.enabled = true, .accessed_dirty = false, .vpid = 1, .eptp = nested.root().value | 6 | 3 << 3};
  }
  void put(std::uint64_t guest_physical, std::uint64_t entry) {
    memory.write(nested.backing({guest_physical}), 8, entry);
  }
  std::uint64_t get(std::uint64_t guest_physical) const { return nested.read({guest_physical}, 8); }

  MachineConfig config = machine();
  PhysicalMemory memory;
  RegisterEngine engine;
  EventStream events;
  MemoryPath path;
  DeviceBus devices;
  MachineRequest request;
  VirtualTime time;
  SystemState state;
  NestedTranslation translation;
  Vmcs vmcs;
  NestedMemory nested;
  GuestTables tables;
  Mmu mmu;
};

}  // namespace

class GuestTablesTest : public QObject {
  Q_OBJECT
 private slots:
  void the_software_walk_agrees_with_the_mmu() {
    constexpr std::uint32_t seed = 424242;
    qInfo("seed %u", seed);
    std::mt19937_64 random(seed);
    const auto one_in = [&](unsigned n) { return random() % n == 0; };
    unsigned translations = 0, faults = 0;
    for (unsigned round = 0; round < 60; ++round) {
      Bench bench;
      // Tables that point to each other at random; only the first eight entries of each are used.
      for (unsigned table = 0; table < kTableCount; ++table) {
        for (unsigned index = 0; index < 8; ++index) {
          const bool leaf = one_in(3);
          std::uint64_t entry =
              leaf ? random() % kRam & ~std::uint64_t{0xfff} : kTables + random() % kTableCount * kFrameBytes;
          entry |= one_in(8) ? 0 : kEntryPresent;
          entry |= one_in(4) ? 0 : kEntryWritable;
          entry |= one_in(3) ? 0 : kEntryUser;
          entry |= one_in(2) ? kEntryAccessed : 0;
          entry |= one_in(4) ? kEntryDirty : 0;
          entry |= one_in(5) ? kEntryExecuteDisable : 0;
          if (one_in(6)) entry = (entry & ~(page_offset_mask(PageSize::Size2M) & ~std::uint64_t{0xfff})) | kEntryLarge;
          if (one_in(40)) entry |= std::uint64_t{1} << 45;  // Reserved.
          bench.put(kTables + table * kFrameBytes + 8 * index, entry);
        }
      }
      SystemState& state = bench.state;
      state.cr0 = kCr0Pe | kCr0Pg | (one_in(2) ? kCr0Wp : 0);
      state.cr3 = kTables;
      state.cr4 = kCr4Pae | (one_in(2) ? kCr4Smep : 0) | (one_in(2) ? kCr4Smap : 0);
      state.efer = kEferLme | kEferLma | (one_in(4) ? 0 : kEferNxe);
      state.segments[kCs].access_rights = 0xa09b;
      state.rflags = 2 | (one_in(3) ? kFlagAc : 0);
      bench.vmcs.write(F::GuestCr0, state.cr0);
      bench.vmcs.write(F::GuestCr3, state.cr3);
      bench.vmcs.write(F::GuestCr4, state.cr4);
      bench.vmcs.write(F::GuestEfer, state.efer);
      bench.vmcs.write(F::GuestRflags, state.rflags);
      for (unsigned access = 0; access < 300; ++access) {
        std::uint64_t address = random() & 0xfff;
        for (unsigned level = 1; level <= 4; ++level) address |= random() % 8 << level_shift(level);
        const auto kind = static_cast<AccessKind>(random() % 3);
        const unsigned cpl = one_in(2) ? 3 : 0;
        const auto picture = bench.memory.snapshot();
        const TranslateResult expected = bench.mmu.translate(
            {.address = {address}, .kind = kind, .cpl = cpl, .alignment_check_flag = (state.rflags & kFlagAc) != 0});
        std::vector<std::uint64_t> left;
        const auto entries = [&] {
          std::vector<std::uint64_t> values;
          for (unsigned table = 0; table < kTableCount; ++table)
            for (unsigned index = 0; index < 8; ++index)
              values.push_back(bench.get(kTables + table * kFrameBytes + 8 * index));
          return values;
        };
        left = entries();
        const bool beyond = std::holds_alternative<EptFault>(expected);
        if (one_in(2)) static_cast<void>(bench.memory.restore(picture));  // Else it walks what the MMU left: the same.
        const GuestTables::Result found = bench.tables.translate({address}, kind, cpl);
        if (const auto* translation = std::get_if<Translation>(&expected)) {
          const auto* place = std::get_if<GuestPhysicalAddress>(&found);
          QVERIFY2(place != nullptr, qPrintable(QString::number(address, 16)));
          QCOMPARE(*place, translation->guest_physical);
          QCOMPARE(entries(), left);
          ++translations;
        } else if (const auto* fault = std::get_if<PageFault>(&expected)) {
          const auto* given = std::get_if<PageFault>(&found);
          QVERIFY2(given != nullptr, qPrintable(QString::number(address, 16)));
          QCOMPARE(given->error_code, fault->error_code);
          QCOMPARE(given->address, fault->address);
          ++faults;
        } else {
          QVERIFY2(beyond, "the walk ended in neither translation nor fault");
          const auto* place = std::get_if<GuestPhysicalAddress>(&found);
          QVERIFY(place != nullptr && !bench.nested.is_ram(*place));
        }
      }
    }
    QVERIFY(translations > 1000);
    QVERIFY(faults > 1000);
  }

  void without_paging_addresses_are_themselves() {
    Bench bench;
    bench.vmcs.write(F::GuestCr0, kCr0Pe);
    const auto found = bench.tables.translate({0x1'0000'1234}, AccessKind::Read, 0);
    QCOMPARE(std::get<GuestPhysicalAddress>(found).value, std::uint64_t{0x1234});
  }

  void paging_outside_long_mode_is_left_out() {
    Bench bench;
    bench.vmcs.write(F::GuestCr0, kCr0Pe | kCr0Pg);
    QVERIFY(std::holds_alternative<GuestTables::NoMemory>(bench.tables.translate({0x1234}, AccessKind::Read, 0)));
  }

  void tables_where_no_ram_is_read_as_ones() {
    Bench bench;
    bench.vmcs.write(F::GuestCr0, kCr0Pe | kCr0Pg);
    bench.vmcs.write(F::GuestEfer, kEferLma | kEferLme);
    bench.vmcs.write(F::GuestCr3, 0x80000000);
    const auto found = bench.tables.translate({0x1234}, AccessKind::Write, 3);
    QCOMPARE(std::get<PageFault>(found).error_code, 0xfU);
  }
};

QTEST_APPLESS_MAIN(GuestTablesTest)
#include "guest_tables_test.moc"
