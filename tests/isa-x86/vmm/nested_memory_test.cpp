// SPDX-License-Identifier: GPL-3.0-or-later
//
// Backing and EPT of every leaf size, checked by a walk of our own that knows nothing but the manual's entry format.
#include <QtTest>

#include <random>
#include <set>

#include "core/base/archive.h"
#include "isa-x86/vmm/nested_memory.h"

using namespace shearling;
using namespace shearling::x86;

namespace {

constexpr std::uint64_t kMegabyte = 1 << 20, kGigabyte = 1 << 30;

struct Leaf {
  std::uint64_t physical = 0;  ///< Of the very address.
  unsigned shift = 0;
};

/// SDM 28.2.2: nine bits a level from 47 down; R, W, X in 2:0; bit 7 ends the walk above the last level.
std::optional<Leaf> walk(const PhysicalMemory& memory, std::uint64_t root, std::uint64_t address) {
  std::uint64_t table = root;
  for (unsigned shift = 39;; shift -= 9) {
    const std::uint64_t entry = memory.read({table + 8 * (address >> shift & 511)}, 8);
    if ((entry & 7) == 0) return std::nullopt;
    if ((entry & 7) != 7) qFatal("an EPT entry without all rights");
    const std::uint64_t target = entry & 0x000f'ffff'ffff'f000;
    if (shift == 12 || (entry >> 7 & 1) != 0) {
      if ((entry >> 3 & 7) != 6) qFatal("an EPT leaf that is not write-back");
      if ((target & ((1ULL << shift) - 1)) != 0) qFatal("an EPT leaf that is not aligned");
      return Leaf{target | (address & ((1ULL << shift) - 1)), shift};
    }
    if ((entry & 0xf8) != 0) qFatal("reserved bits in an EPT table pointer");
    table = target;
  }
}

MachineConfig machine(PageSize page, std::uint64_t ram) {
  MachineConfig config;
  config.ram_bytes = ram;
  config.vmm.nested_page = page;
  return config;
}

}  // namespace

class NestedMemoryTest : public QObject {
  Q_OBJECT
 private slots:
  void every_address_maps_to_its_backing_data() {
    QTest::addColumn<int>("page");
    QTest::addColumn<std::uint64_t>("ram");
    QTest::newRow("4 KB pages") << static_cast<int>(PageSize::Size4K) << 64 * kMegabyte;
    QTest::newRow("2 MB pages") << static_cast<int>(PageSize::Size2M) << 64 * kMegabyte;
    QTest::newRow("2 MB pages, ragged end") << static_cast<int>(PageSize::Size2M) << 63 * kMegabyte + 12288;
    QTest::newRow("1 GB pages") << static_cast<int>(PageSize::Size1G) << 2 * kGigabyte;
    QTest::newRow("1 GB pages, ragged end")
        << static_cast<int>(PageSize::Size1G) << 2 * kGigabyte + 3 * kMegabyte + 4096;
    QTest::newRow("1 GB pages, RAM below 1 GB") << static_cast<int>(PageSize::Size1G) << 256 * kMegabyte;
  }
  void every_address_maps_to_its_backing() {
    QFETCH(int, page);
    QFETCH(std::uint64_t, ram);
    const auto size = static_cast<PageSize>(page);
    const MachineConfig config = machine(size, ram);
    PhysicalMemory memory({0}, NestedMemory::physical_memory_bytes(config));
    NestedMemory nested(memory, config);
    constexpr std::uint32_t seed = 99;
    qInfo("seed %u", seed);
    std::mt19937_64 random(seed);
    std::set<std::uint64_t> asked{0, ram - 1, ram - 4096, ram / 2};
    while (asked.size() < 200) asked.insert(random() % ram);
    for (const std::uint64_t address : asked) {
      const bool known = walk(memory, nested.root().value, address).has_value();
      const NestedMemory::Mapping mapping = nested.map({address});
      QCOMPARE(mapping.added, !known);
      const auto leaf = walk(memory, nested.root().value, address);
      QVERIFY(leaf);
      QCOMPARE(leaf->shift, page_shift(mapping.page_size));
      QVERIFY(page_shift(mapping.page_size) <= page_shift(size));
      QCOMPARE(nested.find_backing({address}), std::optional(PhysicalAddress{leaf->physical}));
      QCOMPARE(nested.backing({address}), PhysicalAddress{leaf->physical});
      QVERIFY(memory.contains({leaf->physical}));
      const std::uint64_t end = (address | ((1ULL << leaf->shift) - 1)) + 1;
      QVERIFY2(end <= ram, "a leaf reaches beyond the guest's RAM");
      const std::uint64_t next_smaller_fits =
          page_shift(size) == leaf->shift ? 1 : (address | ((1ULL << page_shift(size)) - 1)) >= ram;
      QVERIFY2(next_smaller_fits != 0 || ram < page_bytes(size), "a leaf is smaller than it need be");
    }
    // No two guest addresses share a physical one, and none lies in a table.
    std::set<std::uint64_t> physical;
    for (const std::uint64_t address : asked)
      QVERIFY(physical.insert(walk(memory, nested.root().value, address)->physical).second);
  }

  void backing_is_given_in_the_order_of_first_touch_and_is_no_identity() {
    const MachineConfig config = machine(PageSize::Size4K, 16 * kMegabyte);
    PhysicalMemory memory({0}, NestedMemory::physical_memory_bytes(config));
    NestedMemory nested(memory, config);
    const std::uint64_t first = nested.backing({0x700123}).value;
    QCOMPARE(first & 0xfff, std::uint64_t{0x123});
    QVERIFY(first != 0x700123);
    QCOMPARE(nested.backing({0x1000}).value, (first & ~0xfffULL) + 0x1000);
    QCOMPARE(nested.backing({0x700fff}).value, first - 0x123 + 0xfff);
    QCOMPARE(nested.pages_backed(), std::size_t{2});
  }

  void memory_that_was_loaded_is_backed_but_not_mapped() {
    const MachineConfig config = machine(PageSize::Size4K, 16 * kMegabyte);
    PhysicalMemory memory({0}, NestedMemory::physical_memory_bytes(config));
    NestedMemory nested(memory, config);
    const PhysicalAddress place = nested.backing({0x100000});
    memory.write(place, 4, 0x1badb002);
    QVERIFY(!walk(memory, nested.root().value, 0x100000));
    QCOMPARE(nested.read({0x100000}, 4), std::uint64_t{0x1badb002});
    QCOMPARE(nested.map({0x100abc}).frame, place);
    QCOMPARE(walk(memory, nested.root().value, 0x100000)->physical, place.value);
  }

  void tables_are_counted_and_shared() {
    const MachineConfig config = machine(PageSize::Size4K, 64 * kMegabyte);
    PhysicalMemory memory({0}, NestedMemory::physical_memory_bytes(config));
    NestedMemory nested(memory, config);
    QCOMPARE(nested.map({0}).tables_added, 3U);
    QCOMPARE(nested.map({0x1ff000}).tables_added, 0U);
    QCOMPARE(nested.map({0x200000}).tables_added, 1U);
    const MachineConfig large = machine(PageSize::Size2M, 64 * kMegabyte);
    PhysicalMemory other({0}, NestedMemory::physical_memory_bytes(large));
    NestedMemory wide(other, large);
    QCOMPARE(wide.map({0}).tables_added, 2U);
    QCOMPARE(wide.map({0x200000}).tables_added, 0U);
  }

  void a_machine_without_room_for_alignment_uses_smaller_pages() {
    const MachineConfig config = machine(PageSize::Size1G, 2 * kGigabyte);
    PhysicalMemory memory({0}, NestedMemory::physical_memory_bytes(machine(PageSize::Size2M, 2 * kGigabyte)));
    NestedMemory nested(memory, config);
    QCOMPARE(nested.map({0x12345678}).page_size, PageSize::Size2M);
  }

  void untouched_memory_has_no_backing_and_reads_as_zero() {
    const MachineConfig config = machine(PageSize::Size2M, 16 * kMegabyte);
    PhysicalMemory memory({0}, NestedMemory::physical_memory_bytes(config));
    const NestedMemory nested(memory, config);
    QVERIFY(!nested.find_backing({0x1000}));
    QCOMPARE(nested.read({0x1000}, 8), std::uint64_t{0});
    QVERIFY(!nested.is_ram({16 * kMegabyte}));
    QVERIFY(!nested.find_backing({16 * kMegabyte}));
    QVERIFY(!nested.find_backing({~std::uint64_t{0}}));
  }

  void a_restored_state_goes_on_allocating_as_before() {
    const MachineConfig config = machine(PageSize::Size4K, 16 * kMegabyte);
    PhysicalMemory memory({0}, NestedMemory::physical_memory_bytes(config));
    NestedMemory nested(memory, config);
    nested.map({0x5000});
    std::vector<std::uint8_t> bytes;
    Writer writer(bytes);
    writer(nested);
    const auto picture = memory.snapshot();
    const PhysicalAddress expected = nested.map({0x9000}).frame, own = nested.allocate_frame();
    static_cast<void>(memory.restore(picture));
    Reader reader(bytes);
    reader(nested);
    QVERIFY(!nested.find_backing({0x9000}));
    QVERIFY(!walk(memory, nested.root().value, 0x9000));
    QCOMPARE(nested.map({0x9000}).frame, expected);
    QCOMPARE(nested.allocate_frame(), own);
  }
};

QTEST_APPLESS_MAIN(NestedMemoryTest)
#include "nested_memory_test.moc"
