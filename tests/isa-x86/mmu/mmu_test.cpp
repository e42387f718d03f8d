// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>
#include <chrono>

#include "core/events/invariant_checker.h"
#include "tests/isa-x86/mmu/mmu_bench.h"

using namespace shearling;
using namespace shearling::x86;
using namespace shearling::x86::testing;

namespace {

// The guest's tables, as guest-physical addresses, and one page of each size. One entry a table: the page's.
constexpr std::uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kPt = 0x4000, kFrame = 0x9000;
constexpr std::uint64_t kPage = 0x0000'7f3a'1020'4000;
constexpr std::uint64_t kUserTable = kEntryPresent | kEntryWritable | kEntryUser;
constexpr std::uint64_t kUserPage = kUserTable;
// EPT: tables above 8 MB. With 4 KB leaves, gPA + kMoved is where a page lies.
constexpr std::uint64_t kEptPml4 = 0x800000, kEptPdpt = 0x801000, kEptPd = 0x802000, kEptPt = 0x803000,
                        kMoved = 0x100000;
constexpr std::uint64_t kEptAll = kEptRead | kEptWrite | kEptExecute;

std::uint64_t place(std::uint64_t table, unsigned level, std::uint64_t address = kPage) {
  return table + 8 * table_index(address, level);
}

/// Maps kPage at kFrame with 4 KB pages; guest tables lie at `offset` on the memory bus.
void map_page(MmuBench& bench, std::uint64_t flags = kUserPage, std::uint64_t offset = 0) {
  bench.state.cr3 = kPml4;
  bench.set_entry(place(kPml4, 4) + offset, kPdpt | kUserTable);
  bench.set_entry(place(kPdpt, 3) + offset, kPd | kUserTable);
  bench.set_entry(place(kPd, 2) + offset, kPt | kUserTable);
  bench.set_entry(place(kPt, 1) + offset, kFrame | flags);
}

/// The first 2 MB of guest-physical memory, in pages of 4 KB (moved) or one of 2 MB or 1 GB (in place).
void map_nested(MmuBench& bench, PageSize leaf, bool accessed_dirty = false) {
  bench.nested = {.enabled = true,
                  .accessed_dirty = accessed_dirty,
                  .vpid = 1,
                  .eptp = kEptPml4 | 0x1e | (accessed_dirty ? 0x40 : 0)};
  bench.set_entry(kEptPml4, kEptPdpt | kEptAll);
  bench.set_entry(kEptPdpt, leaf == PageSize::Size1G ? kEptAll | kEptLarge : kEptPd | kEptAll);
  bench.set_entry(kEptPd, leaf == PageSize::Size2M ? kEptAll | kEptLarge : kEptPt | kEptAll);
  for (std::uint64_t index = 0; index < 512; ++index)
    bench.set_entry(kEptPt + 8 * index, (index * 0x1000 + kMoved) | kEptAll);
}

std::uint64_t physical_of(const TranslateResult& result) {
  const auto* translation = std::get_if<Translation>(&result);
  return translation != nullptr ? translation->physical.value : ~std::uint64_t{0};
}
/// The error code of a page fault; ~0 if it is none.
std::uint32_t fault_of(const TranslateResult& result) {
  const auto* fault = std::get_if<PageFault>(&result);
  return fault != nullptr ? fault->error_code : ~0U;
}
EptFault ept_fault_of(const TranslateResult& result) {
  const auto* fault = std::get_if<EptFault>(&result);
  return fault != nullptr ? *fault : EptFault{};
}

std::vector<WalkReference> made(const MmuBench& bench) {
  std::vector<WalkReference> references = bench.of<WalkReference>();
  std::erase_if(references, [](const WalkReference& reference) { return reference.number == 0; });
  return references;
}

struct Cell {
  unsigned guest_level, nested_level;
  bool operator==(const Cell&) const = default;
};
std::vector<Cell> cells(const std::vector<WalkReference>& references) {
  std::vector<Cell> found;
  for (const auto& reference : references) found.push_back({reference.guest_level, reference.nested_level});
  return found;
}
/// Every cell of a two-stage grid whose EPT leaves have that many levels above them, in the order of a walk.
std::vector<Cell> grid(unsigned nested_references) {
  std::vector<Cell> all;
  for (const unsigned column : {4U, 3U, 2U, 1U, 0U}) {
    for (unsigned row = 4; row > 4 - nested_references; --row) all.push_back({column, row});
    if (column != 0) all.push_back({column, 0});
  }
  return all;
}

std::vector<std::string_view> checks(const MmuBench& bench, CheckVerdict verdict) {
  std::vector<std::string_view> names;
  for (const Check& check : bench.of<Check>()) {
    if (check.verdict == verdict) names.push_back(check.name);
  }
  return names;
}

}  // namespace

class MmuTest : public QObject {
  Q_OBJECT
 private slots:
  // --- how many references ------------------------------------------------------------------------------------------

  void a_cold_bare_access_takes_4_references() {
    MmuBench bench;
    map_page(bench);
    QCOMPARE(physical_of(bench.read(kPage + 0x18)), kFrame + 0x18);
    const auto references = made(bench);
    QCOMPARE(cells(references), (std::vector<Cell>{{4, 0}, {3, 0}, {2, 0}, {1, 0}}));
    constexpr std::array<std::string_view, 4> kNames = {"PML4E", "PDPTE", "PDE", "PTE"};
    constexpr std::array kTables = {kPml4, kPdpt, kPd, kPt};
    for (unsigned i = 0; i < 4; ++i) {
      QCOMPARE(references[i].number, std::uint8_t(i + 1));
      QCOMPARE(references[i].entry_name, kNames[i]);
      QCOMPARE(references[i].address.value, place(kTables[i], 4 - i));
      QCOMPARE(references[i].input_address, kPage + 0x18);
      QVERIFY(references[i].served_by == ServedBy::Memory);
      QVERIFY(references[i].latency != 0);
    }
    const auto ends = bench.of<WalkEnd>();
    QCOMPARE(ends.size(), 1U);
    QCOMPARE(ends[0].references, std::uint8_t{4});
    QCOMPARE(ends[0].skipped, std::uint8_t{0});
    QCOMPARE(ends[0].physical_address.value, kFrame + 0x18);
    QVERIFY(!ends[0].faulted);
    QCOMPARE(bench.path.counters().walk_references, 4U);
  }

  void a_cold_bare_access_to_a_2_mb_page_takes_3() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kPd, 2), 0x600000 | kUserPage | kEntryLarge);
    const TranslateResult result = bench.read(kPage + 0x18);
    QCOMPARE(physical_of(result), 0x600000 + (kPage & 0x1fffff) + 0x18);
    QVERIFY(std::get<Translation>(result).page_size == PageSize::Size2M);
    QCOMPARE(cells(made(bench)), (std::vector<Cell>{{4, 0}, {3, 0}, {2, 0}}));
  }

  void a_cold_bare_access_to_a_1_gb_page_takes_2() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kPdpt, 3), 0x40000000 | kUserPage | kEntryLarge);
    const TranslateResult result = bench.read(kPage);
    QCOMPARE(physical_of(result), 0x40000000 + (kPage & 0x3fffffff));
    QVERIFY(std::get<Translation>(result).page_size == PageSize::Size1G);
    QCOMPARE(made(bench).size(), 2U);
  }

  void a_cold_access_of_4_levels_in_4_levels_takes_24() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    QCOMPARE(physical_of(bench.read(kPage + 0x18)), kFrame + kMoved + 0x18);
    const auto references = made(bench);
    QCOMPARE(references.size(), 24U);
    QCOMPARE(cells(references), grid(4));
    for (unsigned i = 0; i < 24; ++i) QCOMPARE(references[i].number, std::uint8_t(i + 1));
    QCOMPARE(references[0].entry_name, std::string_view("EPT PML4E"));
    QCOMPARE(references[3].entry_name, std::string_view("EPT PTE"));
    QCOMPARE(references[0].input_address, place(kPml4, 4));
    QCOMPARE(references[4].entry_name, std::string_view("PML4E"));
    QCOMPARE(references[4].address.value, place(kPml4, 4) + kMoved);
    QCOMPARE(references[4].input_address, kPage + 0x18);
    QCOMPARE(references[23].input_address, kFrame + 0x18);
    QCOMPARE(bench.of<WalkEnd>()[0].references, std::uint8_t{24});
    QCOMPARE(bench.of<WalkBegin>()[0].guest_levels, std::uint8_t{4});
    QCOMPARE(bench.of<WalkBegin>()[0].nested_levels, std::uint8_t{4});
  }

  void a_cold_access_with_2_mb_ept_leaves_takes_19() {
    MmuBench bench;
    map_nested(bench, PageSize::Size2M);
    map_page(bench);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    QCOMPARE(cells(made(bench)), grid(3));
    QCOMPARE(made(bench).size(), 19U);
  }

  void a_cold_access_with_1_gb_ept_leaves_takes_14() {
    MmuBench bench;
    map_nested(bench, PageSize::Size1G);
    map_page(bench);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    QCOMPARE(cells(made(bench)), grid(2));
  }

  void with_paging_off_under_ept_the_data_column_is_all() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    bench.state.cr0 = kCr0Pe;
    bench.state.efer = 0;
    QCOMPARE(physical_of(bench.write(0x5123)), 0x5123 + kMoved);
    QCOMPARE(cells(made(bench)), (std::vector<Cell>{{0, 4}, {0, 3}, {0, 2}, {0, 1}}));
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.write(0x5ffc)), 0x5ffc + kMoved);
    QVERIFY(bench.of<WalkBegin>().empty());
    QVERIFY(!bench.mmu.has_stale_entries());
  }

  void with_paging_off_and_no_ept_nothing_is_looked_up() {
    MmuBench bench;
    bench.state.cr0 = kCr0Pe;
    bench.state.efer = 0;
    const TranslateResult result = bench.write(0xfee00123);
    QCOMPARE(physical_of(result), 0xfee00123U);
    QVERIFY(std::get<Translation>(result).writable_now);
    QVERIFY(bench.log.events.empty());
  }

  void paging_without_long_mode_is_unsupported() {
    MmuBench bench;
    bench.state.efer = 0;
    QVERIFY(std::holds_alternative<UnsupportedPaging>(bench.read(0x1000)));
    QVERIFY(!bench.mmu.probe({.address = {0x1000}}));
    QVERIFY(!bench.mmu.inspect({0x1000}));
  }

  // --- what the caches make unnecessary -----------------------------------------------------------------------------

  void a_second_page_of_the_same_table_takes_1_reference() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kPt, 1, kPage + 0x1000), 0xa000 | kUserPage);
    bench.read(kPage);
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.read(kPage + 0x1000)), 0xa000U);
    QCOMPARE(cells(made(bench)), (std::vector<Cell>{{1, 0}}));
    const auto all = bench.of<WalkReference>();
    QCOMPARE(cells(all), (std::vector<Cell>{{4, 0}, {3, 0}, {2, 0}, {1, 0}}));
    for (unsigned i = 0; i < 3; ++i) QVERIFY(all[i].served_by == ServedBy::PageWalkCache);
    QCOMPARE(all[2].address.value, place(kPd, 2));  // The held entry itself is known.
    QCOMPARE(all[2].entry & kTableAddress, kPt);
    const WalkEnd end = bench.of<WalkEnd>()[0];
    QCOMPARE(end.references, std::uint8_t{1});
    QCOMPARE(end.skipped, std::uint8_t{3});
  }

  void a_table_pointer_of_level_3_leaves_2_references() {
    MmuBench bench;
    map_page(bench);
    constexpr std::uint64_t kNext = kPage + (2ULL << 20);  // The next PDE, the same page directory.
    bench.set_entry(place(kPd, 2, kNext), 0x5000 | kUserTable);
    bench.set_entry(place(0x5000, 1, kNext), 0xa000 | kUserPage);
    bench.read(kPage);
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.read(kNext)), 0xa000U);
    QCOMPARE(cells(made(bench)), (std::vector<Cell>{{2, 0}, {1, 0}}));
  }

  void under_ept_a_table_pointer_saves_its_columns_and_the_next_tables_translation() {
    for (const auto& [leaf, cold, nested] :
         {std::tuple{PageSize::Size4K, 24U, 4U}, std::tuple{PageSize::Size2M, 19U, 3U}}) {
      MachineConfig config = bench_config();
      config.translation.nested_entries = 0;
      MmuBench bench(config);
      const std::uint64_t moved = leaf == PageSize::Size4K ? kMoved : 0;
      map_nested(bench, leaf);
      map_page(bench, kUserPage, moved);
      bench.set_entry(place(kPt, 1, kPage + 0x1000) + moved, 0xa000 | kUserPage);
      bench.read(kPage);
      bench.log.events.clear();
      QCOMPARE(physical_of(bench.read(kPage + 0x1000)), 0xa000 + moved);
      QCOMPARE(made(bench).size(), std::size_t{1} + nested);
      const WalkEnd end = bench.of<WalkEnd>()[0];
      QCOMPARE(unsigned{end.references} + unsigned{end.skipped}, cold);
      QCOMPARE(cells(bench.of<WalkReference>()), grid(nested));  // The whole grid, made or skipped.
    }
  }

  void the_nested_tlb_saves_whole_columns_of_ept() {
    MachineConfig config = bench_config();
    config.translation.walk_cache_entries = 0;
    MmuBench bench(config);
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.set_entry(place(kPt, 1, kPage + 0x1000) + kMoved, 0xa000 | kUserPage);
    bench.read(kPage);
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.read(kPage + 0x1000)), 0xa000 + kMoved);
    // Four table frames are known; the new page's own frame is not.
    QCOMPARE(cells(made(bench)), (std::vector<Cell>{{4, 0}, {3, 0}, {2, 0}, {1, 0}, {0, 4}, {0, 3}, {0, 2}, {0, 1}}));
    const auto all = bench.of<WalkReference>();
    QCOMPARE(all.size(), 24U);
    QVERIFY(all[0].served_by == ServedBy::NestedTlb);
    QCOMPARE(bench.of<WalkEnd>()[0].skipped, std::uint8_t{16});
  }

  void a_walk_never_uses_what_it_found_itself() {
    MmuBench bench;
    map_nested(bench, PageSize::Size2M);  // All tables and the data lie in one 2 MB page of EPT.
    map_page(bench);
    bench.read(kPage);
    QCOMPARE(bench.of<WalkReference>().size(), 19U);
    QCOMPARE(bench.of<WalkEnd>()[0].skipped, std::uint8_t{0});
  }

  // --- TLB ----------------------------------------------------------------------------------------------------------

  void a_tlb_entry_has_the_smaller_of_both_page_sizes() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.set_entry(place(kPd, 2) + kMoved, 0 | kUserPage | kEntryLarge);  // 2 MB of the guest on 4 KB of EPT.
    const std::uint64_t offset = kPage & 0x1fffff;
    const TranslateResult result = bench.read(kPage);
    QCOMPARE(physical_of(result), offset + kMoved);
    QVERIFY(std::get<Translation>(result).page_size == PageSize::Size4K);
    QVERIFY(bench.of<TlbFill>()[0].page_size == PageSize::Size4K);
    MmuBench other;
    map_nested(other, PageSize::Size2M);
    map_page(other);
    QVERIFY(std::get<Translation>(other.read(kPage)).page_size == PageSize::Size4K);
  }

  void a_stale_entry_serves_the_old_page_until_it_is_invalidated() {
    MmuBench bench;
    map_page(bench);
    bench.read(kPage);
    bench.set_entry(place(kPt, 1), 0xa000 | kUserPage | kEntryAccessed);
    QVERIFY(bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    bench.mmu.invlpg({kPage + 0x123});
    QVERIFY(!bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage)), 0xa000U);
  }

  void a_stale_table_pointer_leads_to_the_old_table() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kPt, 1, kPage + 0x1000), 0xa000 | kUserPage);
    bench.read(kPage);
    bench.set_entry(place(kPd, 2), 0x6000 | kUserTable | kEntryAccessed);
    bench.set_entry(place(0x6000, 1, kPage + 0x1000), 0xb000 | kUserPage);
    QVERIFY(bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage + 0x1000)), 0xa000U);
    bench.mmu.invlpg({0});  // Any address drops the table pointers of the address space.
    bench.mmu.invlpg({kPage});
    bench.mmu.invlpg({kPage + 0x1000});
    QCOMPARE(physical_of(bench.read(kPage + 0x1000)), 0xb000U);
  }

  void a_fault_is_raised_for_the_tables_in_memory_never_for_a_stale_entry() {
    MmuBench bench;
    map_page(bench, kEntryPresent | kEntryUser);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    bench.set_entry(place(kPt, 1), kFrame | kUserPage);  // Writable now, and no invalidation.
    QCOMPARE(physical_of(bench.write(kPage, 3)), kFrame);
  }

  void a_stale_table_pointer_raises_no_fault_that_memory_does_not_hold() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kPt, 1, kPage + 0x1000), 0xa000 | kUserPage);
    bench.set_entry(place(kPd, 2), kPt | kEntryPresent | kEntryUser);  // Read-only.
    bench.read(kPage);
    bench.set_entry(place(kPd, 2), kPt | kUserTable | kEntryAccessed);
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.write(kPage + 0x1000, 3)), 0xa000U);
    const auto ends = bench.of<WalkEnd>();
    QCOMPARE(ends.size(), 2U);
    QVERIFY(ends[0].faulted && !ends[1].faulted);
    QCOMPARE(ends[1].references, std::uint8_t{4});
  }

  void a_fault_drops_what_is_cached_for_its_address() {
    MmuBench bench;
    map_page(bench);
    bench.read(kPage);
    QCOMPARE(fault_of(bench.read(kPage + 0x1000)), 0U);  // Walked with the cached PDE: one reference.
    QCOMPARE(made(bench).size(), 5U);
    QCOMPARE(bench.of<TlbInvalidate>().back().reason, std::string_view("A page fault"));
    QVERIFY(bench.path.translation().walk_cache_entries().empty());
  }

  void global_pages_survive_mov_cr3_only_with_pge() {
    for (const bool pge : {true, false}) {
      MmuBench bench;
      bench.state.cr4 = kCr4Pae | (pge ? kCr4Pge : 0);
      map_page(bench, kUserPage | kEntryGlobal);
      bench.read(kPage);
      bench.mmu.cr3_written(false);
      bench.log.events.clear();
      bench.read(kPage);
      QCOMPARE(bench.of<WalkBegin>().empty(), pge);
    }
  }

  void address_spaces_are_told_apart_by_pcid() {
    MmuBench bench;
    bench.state.cr4 |= kCr4Pcide;
    map_page(bench);
    bench.state.cr3 = kPml4 | 5;
    bench.read(kPage);
    bench.state.cr3 = kPml4 | 6;
    bench.mmu.cr3_written(true);
    bench.log.events.clear();
    bench.read(kPage);
    QCOMPARE(bench.of<WalkBegin>().size(), 1U);  // PCID 6 knows nothing.
    bench.state.cr3 = kPml4 | 5;
    bench.mmu.cr3_written(true);
    bench.log.events.clear();
    bench.read(kPage);
    QVERIFY(bench.of<WalkBegin>().empty());  // PCID 5 was kept.
    bench.mmu.invpcid(Mmu::InvpcidType::Context, 5, {});
    bench.read(kPage);
    QCOMPARE(bench.of<WalkBegin>().size(), 1U);
    bench.log.events.clear();
    bench.mmu.invpcid(Mmu::InvpcidType::Address, 6, {kPage});
    bench.read(kPage);
    QVERIFY(bench.of<WalkBegin>().empty());
  }

  void virtual_machines_are_told_apart_by_vpid() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.read(kPage);
    bench.nested.vpid = 2;
    bench.log.events.clear();
    bench.read(kPage);
    QCOMPARE(bench.of<WalkBegin>().size(), 1U);
    bench.mmu.invvpid_all(1);
    bench.nested.vpid = 1;
    bench.log.events.clear();
    bench.read(kPage);
    QCOMPARE(bench.of<WalkBegin>().size(), 1U);
  }

  void a_world_switch_without_vpid_drops_everything_of_vpid_0() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.read(kPage);
    bench.log.events.clear();
    bench.nested.vpid = 0;  // In root operation.
    bench.mmu.world_switched();
    QVERIFY(bench.of<TlbInvalidate>().empty());  // Nothing of VPID 0 was there, and VPID 1 stays.
    bench.nested.vpid = 1;
    bench.read(kPage);
    QVERIFY(bench.of<WalkBegin>().empty());
    bench.nested.vpid = 0;
    bench.read(kPage);
    bench.mmu.world_switched();
    QCOMPARE(bench.of<TlbInvalidate>().size(), 1U);
    bench.log.events.clear();
    bench.read(kPage);
    QCOMPARE(bench.of<WalkBegin>().size(), 1U);
  }

  void a_nested_tlb_entry_of_other_ept_tables_is_not_used() {
    MachineConfig config = bench_config();
    config.translation.walk_cache_entries = 0;
    MmuBench bench(config);
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.read(kPage);
    bench.nested.eptp = 0x900000 | 0x1e;  // An empty EPT.
    const EptFault fault = ept_fault_of(bench.read(kPage + 0x1000));
    QCOMPARE(fault.guest_physical.value, place(kPml4, 4));
  }

  // --- Accessed and Dirty -------------------------------------------------------------------------------------------

  void a_read_sets_accessed_in_every_entry_and_a_write_dirty_in_the_leaf() {
    MmuBench bench;
    map_page(bench);
    bench.read(kPage);
    const auto flags = [&] {
      std::vector<std::uint64_t> found;
      for (const std::uint64_t at : {place(kPml4, 4), place(kPdpt, 3), place(kPd, 2), place(kPt, 1)}) {
        found.push_back(bench.entry(at) & (kEntryAccessed | kEntryDirty));
      }
      return found;
    };
    QCOMPARE(flags(), (std::vector<std::uint64_t>(4, kEntryAccessed)));
    bench.log.events.clear();
    bench.write(kPage);  // The TLB entry is clean: a walk sets D.
    QCOMPARE(bench.of<WalkBegin>().size(), 1U);
    QCOMPARE(checks(bench, CheckVerdict::Failed), (std::vector<std::string_view>{"D"}));
    QCOMPARE(flags(), (std::vector<std::uint64_t>{kEntryAccessed, kEntryAccessed, kEntryAccessed,
                                                  kEntryAccessed | kEntryDirty}));
    bench.log.events.clear();
    QVERIFY(std::get<Translation>(bench.write(kPage)).writable_now);
    QVERIFY(bench.of<WalkBegin>().empty());
  }

  void a_fault_leaves_the_leaf_untouched() {
    MmuBench bench;
    map_page(bench, kEntryPresent | kEntryUser);
    QCOMPARE(fault_of(bench.write(kPage, 3)), 7U);
    QCOMPARE(bench.entry(place(kPt, 1)), kFrame | kEntryPresent | kEntryUser);
    QVERIFY((bench.entry(place(kPd, 2)) & kEntryAccessed) != 0);
  }

  void setting_a_flag_reaches_snapshots_and_translated_code() {
    MmuBench bench;
    map_page(bench);
    const auto before = bench.memory.snapshot();
    bench.engine.code_frame = kPt / 0x1000;
    bench.read(kPage);
    QCOMPARE(bench.engine.invalidated, (std::vector<std::uint64_t>{place(kPt, 1)}));
    bench.memory.restore(before);
    QCOMPARE(bench.entry(place(kPt, 1)), kFrame | kUserPage);
  }

  void ept_flags_are_set_in_both_stages_and_tables_count_as_written() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K, true);
    map_page(bench, kUserPage, kMoved);
    bench.read(kPage);
    QVERIFY((bench.entry(kEptPml4) & kEptAccessed) != 0);
    const auto leaf = [&](std::uint64_t frame) {
      return bench.entry(kEptPt + frame / 0x1000 * 8) & (kEptAccessed | kEptDirty);
    };
    for (const std::uint64_t table : {kPml4, kPdpt, kPd, kPt}) QCOMPARE(leaf(table), kEptAccessed | kEptDirty);
    QCOMPARE(leaf(kFrame), kEptAccessed);
    bench.write(kPage);
    QCOMPARE(leaf(kFrame), kEptAccessed | kEptDirty);
  }

  void without_ept_flags_ept_entries_stay_as_they_are() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K, false);
    map_page(bench, kUserPage, kMoved);
    bench.write(kPage);
    QCOMPARE(bench.entry(kEptPt + kFrame / 0x1000 * 8), (kFrame + kMoved) | kEptAll);
    QCOMPARE(bench.entry(kEptPml4), kEptPdpt | kEptAll);
  }

  // --- faults -------------------------------------------------------------------------------------------------------

  void addresses_that_are_not_canonical_are_no_page_faults() {
    MmuBench bench;
    map_page(bench);
    QVERIFY(std::holds_alternative<NonCanonical>(bench.read(0x0000'8000'0000'0000)));
    QVERIFY(std::holds_alternative<NonCanonical>(bench.read(0xffff'7fff'ffff'ffff)));
    QVERIFY(std::holds_alternative<PageFault>(bench.read(0xffff'8000'0000'0000)));
    QVERIFY(std::holds_alternative<PageFault>(bench.read(0x0000'7fff'ffff'f000)));
  }

  void the_error_code_tells_what_was_tried() {
    MmuBench bench;
    bench.state.cr3 = kPml4;
    QCOMPARE(fault_of(bench.read(kPage, 0)), 0U);
    QCOMPARE(fault_of(bench.read(kPage, 3)), 4U);
    QCOMPARE(fault_of(bench.write(kPage, 0)), 2U);
    QCOMPARE(fault_of(bench.write(kPage, 3)), 6U);
    QCOMPARE(fault_of(bench.fetch(kPage, 0)), 16U);
    QCOMPARE(fault_of(bench.fetch(kPage, 3)), 20U);
    bench.state.efer &= ~kEferNxe;
    QCOMPARE(fault_of(bench.fetch(kPage, 3)), 4U);  // Neither NXE nor SMEP: fetches are not told.
    bench.state.cr4 |= kCr4Smep;
    QCOMPARE(fault_of(bench.fetch(kPage, 3)), 20U);
    QCOMPARE(fault_of(bench.mmu.translate({.address = {kPage}, .cpl = 3, .implicit_supervisor = true})), 0U);
  }

  void each_reserved_bit_faults() {
    struct Case {
      std::uint64_t table;
      unsigned level;
      std::uint64_t bits;
    };
    for (const auto& [table, level, bits] :
         {Case{kPml4, 4, kEntryLarge}, Case{kPml4, 4, 1ULL << 40}, Case{kPdpt, 3, 1ULL << 51}, Case{kPt, 1, 1ULL << 45},
          Case{kPd, 2, kEntryLarge | 1ULL << 13}, Case{kPdpt, 3, kEntryLarge | 1ULL << 29}}) {
      MmuBench bench;
      map_page(bench);
      bench.set_entry(place(table, level), kUserPage | bits);
      QCOMPARE(fault_of(bench.read(kPage, 3)), 1U | 4U | 8U);
      QCOMPARE(checks(bench, CheckVerdict::Failed), (std::vector<std::string_view>{"reserved"}));
    }
    MmuBench bench;
    map_page(bench, kUserPage | kEntryExecuteDisable);
    bench.state.efer &= ~kEferNxe;
    QCOMPARE(fault_of(bench.read(kPage)), 9U);
    MachineConfig without = bench_config();
    without.cpu_features = {"nx"};
    MmuBench small(without);
    map_page(small);
    small.set_entry(place(kPdpt, 3), kUserPage | kEntryLarge);
    QCOMPARE(fault_of(small.read(kPage)), 9U);
  }

  void a_large_page_may_have_its_pat_bit() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kPd, 2), 0x600000 | kUserPage | kEntryLarge | 1ULL << 12);
    QCOMPARE(physical_of(bench.read(kPage)), 0x600000 + (kPage & 0x1fffff));
  }

  void every_applicable_rule_is_told() {
    MmuBench bench;
    bench.state.cr4 |= kCr4Smep | kCr4Smap;
    map_page(bench);
    QCOMPARE(physical_of(bench.write(kPage, 3)), kFrame);
    QCOMPARE(checks(bench, CheckVerdict::Passed), (std::vector<std::string_view>{"reserved", "U/S", "R/W"}));
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.fetch(kPage, 3)), kFrame);
    QCOMPARE(checks(bench, CheckVerdict::Passed), (std::vector<std::string_view>{"U/S", "XD"}));  // The L2 TLB hits.
    bench.log.events.clear();
    QCOMPARE(fault_of(bench.fetch(kPage, 0)), 17U);
    QCOMPARE(checks(bench, CheckVerdict::Failed),
             (std::vector<std::string_view>{"SMEP", "SMEP"}));  // TLB, then tables.
    bench.log.events.clear();
    QCOMPARE(fault_of(bench.read(kPage, 0)), 1U);
    QCOMPARE(checks(bench, CheckVerdict::Failed).back(), std::string_view("SMAP"));
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.mmu.translate({.address = {kPage}, .alignment_check_flag = true})), kFrame);
    QCOMPARE(checks(bench, CheckVerdict::Passed), (std::vector<std::string_view>{"reserved", "SMAP"}));
    QCOMPARE(
        fault_of(bench.mmu.translate({.address = {kPage}, .implicit_supervisor = true, .alignment_check_flag = true})),
        1U);
    bench.log.events.clear();
    bench.state.cr4 &= ~kCr4Smap;
    bench.state.cr0 &= ~kCr0Wp;
    bench.set_entry(place(kPt, 1), kFrame | kEntryPresent);
    bench.mmu.invlpg({kPage});
    QCOMPARE(physical_of(bench.write(kPage, 0)), kFrame);
    QCOMPARE(checks(bench, CheckVerdict::Passed), (std::vector<std::string_view>{"reserved", "WP"}));
  }

  void a_final_ept_violation_tells_access_permissions_and_address() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.set_entry(kEptPt + kFrame / 0x1000 * 8, (kFrame + kMoved) | kEptRead);
    const EptFault write = ept_fault_of(bench.write(kPage + 0x18));
    QVERIFY(!write.misconfiguration);
    QCOMPARE(write.guest_physical.value, kFrame + 0x18);
    QCOMPARE(write.linear.value, kPage + 0x18);
    QCOMPARE(write.qualification, 0x180U | 1U << 3 | 2U);
    QCOMPARE(ept_fault_of(bench.fetch(kPage)).qualification, 0x180U | 1U << 3 | 4U);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame + kMoved);
    QCOMPARE(ept_fault_of(bench.write(kPage)).qualification, 0x180U | 1U << 3 | 2U);  // With a TLB entry, too.
    bench.set_entry(kEptPt + kFrame / 0x1000 * 8, 0);
    bench.mmu.invept_all();
    QCOMPARE(ept_fault_of(bench.read(kPage)).qualification, 0x180U | 1U);
  }

  void an_ept_violation_of_a_table_access_says_so() {
    for (const bool flags : {false, true}) {
      MmuBench bench;
      map_nested(bench, PageSize::Size4K, flags);
      map_page(bench, kUserPage, kMoved);
      bench.set_entry(kEptPt + kPd / 0x1000 * 8, 0);
      const EptFault fault = ept_fault_of(bench.read(kPage));
      QCOMPARE(fault.guest_physical.value, place(kPd, 2));
      QCOMPARE(fault.qualification, 0x80U | (flags ? 3U : 1U));  // With A and D flags, table accesses count as writes.
    }
  }

  void setting_a_guests_flag_needs_a_writable_table() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.set_entry(kEptPt + kPml4 / 0x1000 * 8, (kPml4 + kMoved) | kEptRead);
    const EptFault fault = ept_fault_of(bench.read(kPage));
    QCOMPARE(fault.guest_physical.value, place(kPml4, 4));
    QCOMPARE(fault.qualification, 0x80U | 1U << 3 | 2U);
    bench.set_entry(place(kPml4, 4) + kMoved, kPdpt | kUserTable | kEntryAccessed);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame + kMoved);  // Nothing to set there any more.
  }

  void a_guests_page_fault_comes_before_the_ept_violation_of_its_data() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kEntryPresent, kMoved);
    bench.set_entry(kEptPt + kFrame / 0x1000 * 8, 0);
    QCOMPARE(fault_of(bench.read(kPage, 3)), 5U);
  }

  void malformed_ept_entries_are_misconfigurations() {
    struct Case {
      std::uint64_t at, entry;
    };
    constexpr std::uint64_t kLeaf = kEptPt + kFrame / 0x1000 * 8;
    for (const auto& [at, entry] : {Case{kLeaf, kFrame | kEptWrite}, Case{kLeaf, kFrame | kEptWrite | kEptExecute},
                                    Case{kLeaf, kFrame | kEptAll | 2 << 3}, Case{kLeaf, kFrame | kEptAll | 7 << 3},
                                    Case{kLeaf, kEptAll | 1ULL << 41}, Case{kEptPml4, kEptPdpt | kEptAll | kEptLarge},
                                    Case{kEptPdpt, kEptPd | kEptAll | 8}, Case{kEptPd, kEptAll | kEptLarge | 0x1000},
                                    Case{kEptPdpt, kEptAll | kEptLarge | 0x200000}}) {
      MmuBench bench;
      map_nested(bench, PageSize::Size4K);
      map_page(bench, kUserPage, kMoved);
      bench.set_entry(at, entry);
      const EptFault fault = ept_fault_of(bench.read(kPage));
      QVERIFY(fault.misconfiguration);
    }
    MmuBench bench;
    map_nested(bench, PageSize::Size4K);
    map_page(bench, kUserPage, kMoved);
    bench.set_entry(kLeaf, (kFrame + kMoved) | kEptExecute | 6 << 3);  // Execute-only, write back: both are fine.
    QCOMPARE(physical_of(bench.fetch(kPage)), kFrame + kMoved);
    QCOMPARE(ept_fault_of(bench.read(kPage)).qualification, 0x180U | 4U << 3 | 1U);
  }

  // --- probes, hazards, views ---------------------------------------------------------------------------------------

  void a_probe_grants_only_what_changes_nothing() {
    MmuBench bench;
    map_page(bench);
    bench.log.events.clear();
    const AccessRequest read{.address = {kPage}}, write{.address = {kPage}, .kind = AccessKind::Write};
    QVERIFY(!bench.mmu.probe(read));
    QCOMPARE(bench.entry(place(kPt, 1)), kFrame | kUserPage);
    QVERIFY(bench.log.events.empty());
    bench.read(kPage);
    QVERIFY(bench.mmu.probe(read));
    QVERIFY(!bench.mmu.probe(read)->writable_now);
    QVERIFY(!bench.mmu.probe(write));
    bench.write(kPage);
    QVERIFY(bench.mmu.probe(write));
    QVERIFY(bench.mmu.probe(read)->writable_now);
    QCOMPARE(bench.mmu.probe(read)->physical.value, kFrame);
    bench.state.cr4 |= kCr4Smap;
    QVERIFY(!bench.mmu.probe(read));
  }

  void a_probe_makes_table_frames_known_and_old_grants_void() {
    MmuBench bench;
    map_page(bench, kUserPage | kEntryAccessed);
    QVERIFY(!bench.mmu.is_table_frame({kPt}));
    (void)bench.mmu.probe({.address = {kPage}});
    for (const std::uint64_t table : {kPml4, kPdpt, kPd, kPt}) QVERIFY(bench.mmu.is_table_frame({table + 0x123}));
    QVERIFY(!bench.mmu.is_table_frame({kFrame}));
    QCOMPARE(bench.engine.flushes, 1U);
    (void)bench.mmu.probe({.address = {kPage}});
    QCOMPARE(bench.engine.flushes, 1U);
  }

  void only_a_change_that_hardware_could_miss_is_a_hazard() {
    struct Case {
      std::uint64_t before, after;
      bool hazard;
    };
    constexpr std::uint64_t kOld = kFrame | kUserPage | kEntryAccessed;
    for (const auto& [before, after, hazard] :
         {Case{kOld, 0xa000 | kUserPage | kEntryAccessed, true}, Case{kOld, kOld & ~kEntryPresent, true},
          Case{kOld, kOld & ~kEntryWritable, true}, Case{kOld, kOld & ~kEntryAccessed, true},
          Case{kOld | kEntryDirty, kOld, true}, Case{kOld, kOld & ~kEntryUser, true},
          Case{kOld, kOld | kEntryExecuteDisable, true}, Case{kOld, kOld, false}, Case{kOld, kOld | kEntryDirty, false},
          Case{kOld, kOld | 1ULL << 9 | 1ULL << 55, false}, Case{kOld & ~kEntryWritable, kOld, false},
          Case{kOld | kEntryExecuteDisable, kOld, false}, Case{kOld & ~kEntryUser, kOld, true}}) {
      MmuBench bench;
      map_page(bench);
      bench.set_entry(place(kPt, 1), before);
      bench.read(kPage);
      bench.mmu.table_store({place(kPt, 1)}, 8, after);
      QCOMPARE(bench.mmu.hazard(), hazard);
      bench.mmu.clear_hazard();
      QVERIFY(!bench.mmu.hazard());
    }
  }

  void stores_of_every_size_and_place_are_judged_by_the_entries_they_touch() {
    MmuBench bench;
    map_page(bench);
    bench.read(kPage);
    const std::uint64_t at = place(kPt, 1);
    const auto is_hazard = [&](std::uint64_t address, unsigned size, std::uint64_t value) {
      bench.mmu.clear_hazard();
      bench.mmu.table_store({address}, size, value);
      return bench.mmu.hazard();
    };
    QVERIFY(!is_hazard(at + 8, 8, 1));  // An entry that nothing was made from.
    QVERIFY(!is_hazard(at - 8, 8, 0));
    QVERIFY(is_hazard(at, 1, 0));  // P goes.
    QVERIFY(!is_hazard(at, 1, bench.entry(at) & 0xff));
    QVERIFY(is_hazard(at + 1, 1, 0xa0));  // The frame changes.
    QVERIFY(is_hazard(at - 4, 8, 0));     // Half of it lies in our entry.
    QVERIFY(is_hazard(at + 4, 4, 1));
    QVERIFY(!is_hazard(0x9000, 8, 0));  // No table.
  }

  void keeping_translations_over_another_root_is_a_hazard() {
    MmuBench bench;
    bench.state.cr4 |= kCr4Pcide;
    bench.state.cr3 = kPml4 | 1;
    bench.mmu.cr3_written(false);
    bench.state.cr3 = 0x8000 | 2;
    bench.mmu.cr3_written(true);
    bench.state.cr3 = kPml4 | 1;
    bench.mmu.cr3_written(true);
    QVERIFY(!bench.mmu.hazard());
    bench.state.cr3 = 0x8000 | 1;
    bench.mmu.cr3_written(true);
    QVERIFY(bench.mmu.hazard());
  }

  void a_global_page_that_another_root_maps_otherwise_is_a_hazard() {
    constexpr std::uint64_t kOther = 0x8000;
    const auto hazard = [](std::uint64_t other_pml4e, std::uint64_t page_flags, bool models) {
      MmuBench bench;
      bench.path.set_models_on(models);
      map_page(bench, kUserPage | page_flags);
      bench.write(kPage);
      bench.set_entry(place(kOther, 4), other_pml4e);
      bench.state.cr3 = kOther;
      bench.mmu.cr3_written(false);
      return bench.mmu.hazard();
    };
    QVERIFY(!hazard(kPdpt | kUserTable | kEntryAccessed, kEntryGlobal, false));  // The same page.
    QVERIFY(hazard(0, kEntryGlobal, false));
    QVERIFY(hazard(kPdpt | kUserTable, kEntryGlobal, false));  // A walk would set A, a TLB hit not.
    QVERIFY(hazard(kPdpt | kEntryPresent | kEntryUser | kEntryAccessed, kEntryGlobal, false));
    QVERIFY(!hazard(0, 0, false));           // Not global: it is flushed.
    QVERIFY(hazard(0, kEntryGlobal, true));  // An observed run grants by the tables, too.
  }

  void every_kind_of_stale_entry_is_found() {
    constexpr std::uint64_t kLeafFlags = kUserPage | kEntryAccessed | kEntryDirty;
    const auto stale_after = [](std::uint64_t at, std::uint64_t entry, bool nested = false) {
      MmuBench bench;
      if (nested) map_nested(bench, PageSize::Size4K, true);
      map_page(bench, kUserPage, nested ? kMoved : 0);
      bench.write(kPage);
      if (bench.mmu.has_stale_entries()) return false;  // The tables have not changed yet.
      bench.set_entry(at, entry);
      return bench.mmu.has_stale_entries();
    };
    const std::uint64_t leaf = place(kPt, 1);
    QVERIFY(!stale_after(leaf, kFrame | kLeafFlags));
    QVERIFY(stale_after(leaf, 0xa000 | kLeafFlags));
    QVERIFY(stale_after(leaf, 0));
    QVERIFY(stale_after(leaf, kFrame | (kLeafFlags & ~kEntryDirty)));
    QVERIFY(stale_after(leaf, kFrame | (kLeafFlags & ~kEntryAccessed)));
    QVERIFY(stale_after(leaf, kFrame | (kLeafFlags & ~kEntryWritable)));
    QVERIFY(stale_after(leaf, kFrame | kLeafFlags | kEntryExecuteDisable));
    QVERIFY(stale_after(place(kPd, 2), kPt | kUserTable));  // A cleared in a table pointer.
    QVERIFY(stale_after(place(kPml4, 4), 0));
    QVERIFY(!stale_after(place(kPt, 1, kPage + 0x1000), 0xb000 | kUserPage));  // Somebody else's entry.
    const std::uint64_t nested_leaf = kEptPt + kFrame / 0x1000 * 8;
    QVERIFY(stale_after(nested_leaf, (kFrame + 0x200000) | kEptAll | kEptAccessed | kEptDirty, true));
    QVERIFY(stale_after(nested_leaf, (kFrame + kMoved) | kEptRead | kEptAccessed | kEptDirty, true));
    QVERIFY(stale_after(nested_leaf, (kFrame + kMoved) | kEptAll | kEptAccessed, true));
    QVERIFY(stale_after(kEptPt + kPt / 0x1000 * 8, (kPt + 0x200000) | kEptAll | kEptAccessed | kEptDirty, true));
  }

  void a_reused_pcid_without_a_flush_is_stale() {
    MmuBench bench;
    bench.state.cr4 |= kCr4Pcide;
    map_page(bench);
    bench.state.cr3 = kPml4 | 1;
    bench.read(kPage);
    bench.state.cr3 = 0x8000 | 1;
    bench.mmu.cr3_written(true);
    QVERIFY(bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);  // The old address space shines through.
  }

  void views_translate_without_leaving_a_trace() {
    MmuBench bench;
    map_nested(bench, PageSize::Size4K, true);
    map_page(bench, kUserPage | kEntryExecuteDisable, kMoved);
    const auto before = bench.memory.digest();
    bench.log.events.clear();
    const auto seen = bench.mmu.inspect({kPage + 0x18});
    QVERIFY(seen);
    QCOMPARE(seen->physical.value, kFrame + kMoved + 0x18);
    QCOMPARE(seen->guest_physical.value, kFrame + 0x18);
    QVERIFY(seen->writable && seen->user && !seen->executable);
    QCOMPARE(bench.mmu.inspect_nested({kFrame + 5})->value, kFrame + kMoved + 5);
    QVERIFY(!bench.mmu.inspect_nested({64ULL << 30}));
    QVERIFY(!bench.mmu.inspect({kPage + 0x1000}));
    QVERIFY(!bench.mmu.inspect({0x0000'8000'0000'0000}));
    QVERIFY(bench.log.events.empty());
    QCOMPARE(bench.memory.digest(), before);
    QVERIFY(!bench.mmu.is_table_frame({kPt + kMoved}));
  }

  void an_entry_is_described_bit_by_bit() {
    QCOMPARE(describe_page_table_entry("PTE", 0x9000 | kUserPage | kEntryAccessed | kEntryGlobal),
             std::string("P=1 R/W=1 U/S=1 PWT=0 PCD=0 A=1 D=0 G=1 PAT=0 XD=0 4 KB frame 0x9000"));
    QCOMPARE(describe_page_table_entry("PDE", 0x600000 | kEntryPresent | kEntryLarge | kEntryExecuteDisable),
             std::string("P=1 R/W=0 U/S=0 PWT=0 PCD=0 A=0 D=0 G=0 PAT=0 XD=1 PS=1 2 MB frame 0x600000"));
    QCOMPARE(describe_page_table_entry("PML4E", kPdpt | kUserTable),
             std::string("P=1 R/W=1 U/S=1 PWT=0 PCD=0 A=0 XD=0 PS=0 next table 0x2000"));
    QCOMPARE(describe_page_table_entry("PTE", 0x9000),
             std::string("P=0: not present; the other bits (0x9000) mean nothing"));
    QCOMPARE(describe_page_table_entry("EPT PTE", 0x9000 | kEptRead | kEptWrite | 6 << 3 | kEptDirty),
             std::string("R=1 W=1 X=0 A=0 D=1 memory type=6 IPAT=0 4 KB frame 0x9000"));
    QCOMPARE(describe_page_table_entry("EPT PDPTE", kEptPd | kEptAll),
             std::string("R=1 W=1 X=1 A=0 PS=0 next table 0x802000"));
  }

  void every_change_of_the_world_empties_the_engine() {
    MmuBench bench;
    unsigned expected = 0;
    const auto flushed = [&] { return bench.engine.flushes == ++expected; };
    bench.mmu.cr3_written(false);
    QVERIFY(flushed());
    bench.mmu.cr3_written(true);
    QVERIFY(flushed());
    bench.mmu.invlpg({kPage});
    QVERIFY(flushed());
    bench.mmu.invpcid(Mmu::InvpcidType::AllExceptGlobal, 0, {});
    QVERIFY(flushed());
    bench.mmu.paging_mode_changed("MOV CR4");
    QVERIFY(flushed());
    QCOMPARE(bench.of<TlbInvalidate>().back().reason, std::string_view("MOV CR4"));
    bench.mmu.invvpid_all(1);
    QVERIFY(flushed());
    bench.mmu.invept_all();
    QVERIFY(flushed());
    bench.mmu.world_switched();
    QVERIFY(flushed());
    bench.mmu.access_rights_changed();
    QVERIFY(flushed());
  }

  void with_models_off_it_walks_every_time_and_tells_no_lookup() {
    MmuBench bench;
    map_page(bench);
    bench.path.set_models_on(false);
    bench.events.set_sinks(nullptr, nullptr);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    bench.set_entry(place(kPt, 1), 0xa000 | kUserPage);
    QCOMPARE(physical_of(bench.read(kPage)), 0xa000U);
    QCOMPARE(bench.path.counters().walks, 0U);
  }

  void tables_that_map_themselves_are_walked_like_others() {
    MmuBench bench;
    bench.state.cr3 = kPml4;
    const std::uint64_t index = 0x1ff;
    bench.set_entry(kPml4 + 8 * index, kPml4 | kUserTable);
    constexpr std::uint64_t kSelf = 0xffff'ffff'ffff'f000;  // Every index is 511: the PML4 four times over.
    QCOMPARE(physical_of(bench.write(kSelf + 8 * index)), kPml4 + 8 * index);
    QCOMPARE(bench.entry(kPml4 + 8 * index), kPml4 | kUserTable | kEntryAccessed | kEntryDirty);
    QCOMPARE(bench.of<WalkReference>().size(), 4U);
    QVERIFY(!bench.mmu.has_stale_entries());
  }

  void tables_outside_ram_fault_on_reserved_bits() {
    MmuBench bench;
    bench.state.cr3 = 0x80'0000'0000 - 0x1000;  // Nothing answers there: all ones are read.
    QCOMPARE(fault_of(bench.read(kPage)), 9U);
  }

  void its_events_keep_the_invariants() {
    InvariantChecker checker;
    MmuBench bench;
    bench.events.set_sinks(&checker, nullptr);
    map_nested(bench, PageSize::Size4K, true);
    map_page(bench, kUserPage, kMoved);
    for (std::uint64_t page = 0; page < 64; ++page)
      bench.set_entry(kPt + kMoved + 8 * page, (0x10000 + page * 0x1000) | kUserPage);
    for (std::uint64_t step = 0; step < 2000; ++step) {
      bench.events.begin_step(step);
      const std::uint64_t address = (kPage & ~0x1fffffULL) + step * 37 % 70 * 0x1000;
      if (step % 3 == 0)
        bench.write(address, 3);
      else
        bench.read(address, 3);
      if (step % 100 == 0) bench.mmu.invlpg({address});
    }
    const auto& violations = checker.finish();
    QVERIFY2(violations.empty(), violations.empty() ? "" : violations.front().c_str());
  }

  // --- speed --------------------------------------------------------------------------------------------------------

  void a_tlb_hit_nobody_watches_is_cheap() {
    MmuBench bench;
    map_page(bench);
    bench.write(kPage);
    bench.events.set_sinks(nullptr, nullptr);
    constexpr unsigned kTimes = 1'000'000;
    std::uint64_t sum = 0;
    const auto start = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < kTimes; ++i) {
      const TranslateResult result = bench.write(kPage + i % 4096, 3);
      sum += std::get<Translation>(result).physical.value;
    }
    const auto nanoseconds =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / kTimes;
    qInfo("translate() with a TLB hit: %.1f ns (sum %llx)", nanoseconds, static_cast<unsigned long long>(sum));
    QCOMPARE(bench.path.counters().tlb_misses, 1U);
    QVERIFY2(nanoseconds < 5000, "a TLB hit takes longer than any machine explains");
  }
};

QTEST_APPLESS_MAIN(MmuTest)
#include "mmu_test.moc"
