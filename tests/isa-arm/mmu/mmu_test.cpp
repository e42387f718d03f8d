// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>

#include "core/events/invariant_checker.h"
#include "isa-arm/mmu/rights.h"
#include "isa-arm/mmu/translation_context.h"
#include "tests/isa-arm/mmu/mmu_bench.h"

using namespace shearling;
using namespace shearling::arm;
using namespace shearling::arm::testing;

namespace {

using enum SystemRegister;

// Stage 1 of 4 KB, one entry a table: the page's.
constexpr std::uint64_t kL0 = kRam + 0x1000, kL1 = kRam + 0x2000, kL2 = kRam + 0x3000, kL3 = kRam + 0x4000,
                        kFrame = kRam + 0x9000;
constexpr std::uint64_t kPage = 0x0000'7f3a'1020'4000;
constexpr std::uint64_t kKernelPage = 0xffff'8000'0000'5000;
// Stage 2: tables above 8 MB. With 4 KB pages, IPA + kMoved is where a page lies.
constexpr std::uint64_t kTwoL0 = kRam + 0x800000, kTwoL1 = kRam + 0x801000, kTwoL2 = kRam + 0x802000,
                        kTwoL3 = kRam + 0x803000, kMoved = 0x100000;
constexpr std::uint64_t kTable = 3, kPageBits = 3 | 1ULL << 10 | 3ULL << 8, kBlockBits = kPageBits & ~2ULL;
constexpr std::uint64_t kUser = 1ULL << 6, kReadOnly = 1ULL << 7, kNotGlobal = 1ULL << 11, kClean = 1ULL << 51,
                        kContiguousHint = 1ULL << 52, kPxn = 1ULL << 53, kUxn = 1ULL << 54;
constexpr std::uint64_t kAllOfStageTwo = 3ULL << 6 | 0xfULL << 2 | kPageBits;
constexpr std::uint64_t kHardwareFlags = 3ULL << 39;

std::uint64_t place(std::uint64_t table, unsigned level, std::uint64_t address = kPage, unsigned granule = 12) {
  return table + (address >> level_shift(granule, level) & low_bits(stride_of(granule))) * 8;
}

/// Maps kPage at kFrame with 48-bit addresses; tables lie at `offset` on the memory bus.
void map_page(MmuBench& bench, std::uint64_t bits = kPageBits | kUser | kNotGlobal, std::uint64_t offset = 0) {
  bench.state[SCTLR_EL1] = sctlr::kM;
  bench.state[TCR_EL1] = 16 | 16ULL << 16 | 2ULL << 30 | 5ULL << 32 | 1ULL << 36;
  bench.state[TTBR0_EL1] = kL0 | 5ULL << 48;
  bench.state[MAIR_EL1] = 0xff;
  bench.set_entry(place(kL0, 0) + offset, kL1 | kTable);
  bench.set_entry(place(kL1, 1) + offset, kL2 | kTable);
  bench.set_entry(place(kL2, 2) + offset, kL3 | kTable);
  bench.set_entry(place(kL3, 3) + offset, kFrame | bits);
  bench.mmu.context_changed();
}

/// Two megabytes of intermediate memory from kRam, in moved pages or one block in place.
void map_stage_two(MmuBench& bench, bool pages = true, std::uint64_t bits = kAllOfStageTwo) {
  bench.state[HCR_EL2] |= hcr::kVm;
  bench.state[VTCR_EL2] = 1ULL << 31 | 16 | 2U << 6 | 5U << 16;
  bench.state[VTTBR_EL2] = kTwoL0 | 9ULL << 48;
  bench.set_entry(place(kTwoL0, 0, kRam), kTwoL1 | kTable);
  bench.set_entry(place(kTwoL1, 1, kRam), kTwoL2 | kTable);
  bench.set_entry(place(kTwoL2, 2, kRam), pages ? kTwoL3 | kTable : kRam | (kAllOfStageTwo & ~2ULL));
  for (std::uint64_t index = 0; index < 512; ++index)
    bench.set_entry(kTwoL3 + 8 * index, (kRam + index * 0x1000 + kMoved) | bits);
  bench.mmu.context_changed();
}

/// EL2 without FEAT_VHE's host mode, by the same tables.
void use_el2(MmuBench& bench) {
  bench.state.exception_level = 2;
  bench.state[SCTLR_EL2] = sctlr::kM;
  bench.state[TCR_EL2] = 16 | 5U << 16;
  bench.state[TTBR0_EL2] = kL0;
  bench.state[MAIR_EL2] = 0xff;
  bench.mmu.context_changed();
}

std::uint64_t physical_of(const TranslateResult& result) {
  const auto* translation = std::get_if<Translation>(&result);
  return translation != nullptr ? translation->physical.value : ~std::uint64_t{0};
}
Translation translation_of(const TranslateResult& result) {
  const auto* translation = std::get_if<Translation>(&result);
  return translation != nullptr ? *translation : Translation{};
}
TranslationFault fault_of(const TranslateResult& result) {
  const auto* fault = std::get_if<TranslationFault>(&result);
  return fault != nullptr ? *fault : TranslationFault{.status = 0xff, .address = {}, .intermediate = {}};
}
unsigned status_of(const TranslateResult& result) { return fault_of(result).status; }
constexpr unsigned kNoFault = 0xff;

void invalidate(MmuBench& bench, TlbInvalidation::Kind kind, std::uint64_t address = 0, std::uint16_t asid = 5,
                Regime regime = Regime::El10, std::uint16_t vmid = 0) {
  bench.mmu.invalidate({.kind = kind,
                        .regime = regime,
                        .asid = asid,
                        .vmid = vmid,
                        .address = {address},
                        .intermediate = {address},
                        .name = "TLBI"});
}
void forget_everything(MmuBench& bench) {
  for (const Regime regime : {Regime::El10, Regime::El2, Regime::El20})
    invalidate(bench, TlbInvalidation::Kind::All, 0, 0, regime);
}

/// A store of the guest: told first, then made.
void store(MmuBench& bench, std::uint64_t address, std::uint64_t entry) {
  if (bench.mmu.is_table_frame({address})) bench.mmu.table_store({address}, 8, entry);
  bench.set_entry(address, entry);
}

using Cell = std::pair<unsigned, unsigned>;
std::vector<Cell> cells_made(const MmuBench& bench) {
  std::vector<Cell> found;
  for (const auto& reference : bench.of<WalkReference>()) {
    if (reference.number != 0) found.emplace_back(reference.guest_level, reference.nested_level);
  }
  return found;
}
std::vector<Cell> whole_grid(unsigned nested_references) {
  std::vector<Cell> all;
  for (const unsigned column : {4U, 3U, 2U, 1U, 0U}) {
    for (unsigned row = 4; row > 4 - nested_references; --row) all.emplace_back(column, row);
    if (column != 0) all.emplace_back(column, 0);
  }
  return all;
}
std::size_t walks(const MmuBench& bench) { return bench.of<WalkEnd>().size(); }

}  // namespace

class ArmMmuTest : public QObject {
  Q_OBJECT
 private slots:
  // --- how many references ------------------------------------------------------------------------------------------

  void a_cold_access_by_4_levels_takes_4_references() {
    MmuBench bench;
    map_page(bench);
    QCOMPARE(physical_of(bench.read(kPage + 0x18)), kFrame + 0x18);
    QCOMPARE(cells_made(bench), (std::vector<Cell>{{4, 0}, {3, 0}, {2, 0}, {1, 0}}));
    const auto references = bench.of<WalkReference>();
    constexpr std::array<std::string_view, 4> kNames = {"stage 1 L0", "stage 1 L1", "stage 1 L2", "stage 1 L3"};
    constexpr std::array kTables = {kL0, kL1, kL2, kL3};
    for (unsigned level = 0; level < 4; ++level) {
      QCOMPARE(references[level].entry_name, kNames[level]);
      QCOMPARE(references[level].address.value, place(kTables[level], level));
      QCOMPARE(references[level].input_address, kPage + 0x18);
    }
    const auto begins = bench.of<WalkBegin>();
    QCOMPARE(begins[0].guest_levels, std::uint8_t{4});
    QCOMPARE(begins[0].nested_levels, std::uint8_t{0});
    QCOMPARE(begins[0].root, kL0);
    QCOMPARE(bench.of<WalkEnd>()[0].references, std::uint8_t{4});
  }

  void the_start_level_follows_from_granule_and_input_size_data() {
    QTest::addColumn<unsigned>("granule");
    QTest::addColumn<unsigned>("size");
    QTest::addColumn<unsigned>("levels");
    // DDI 0487, tables D8-9 to D8-11.
    QTest::newRow("4 KB, 48 bits") << 12U << 16U << 4U;
    QTest::newRow("4 KB, 40 bits") << 12U << 24U << 4U;
    QTest::newRow("4 KB, 39 bits") << 12U << 25U << 3U;
    QTest::newRow("4 KB, 30 bits") << 12U << 34U << 2U;
    QTest::newRow("16 KB, 48 bits") << 14U << 16U << 4U;
    QTest::newRow("16 KB, 47 bits") << 14U << 17U << 3U;
    QTest::newRow("16 KB, 36 bits") << 14U << 28U << 2U;
    QTest::newRow("16 KB, 25 bits") << 14U << 39U << 1U;
    QTest::newRow("64 KB, 48 bits") << 16U << 16U << 3U;
    QTest::newRow("64 KB, 42 bits") << 16U << 22U << 2U;
    QTest::newRow("64 KB, 29 bits") << 16U << 35U << 1U;
  }
  void the_start_level_follows_from_granule_and_input_size() {
    QFETCH(unsigned, granule);
    QFETCH(unsigned, size);
    QFETCH(unsigned, levels);
    MmuBench bench;
    map_page(bench);
    const std::uint64_t code = granule == 12 ? 0 : granule == 14 ? 2 : 1;
    bench.state[TCR_EL1] = size | code << 14 | 5ULL << 32;
    // Entry 0 of tables 64 KB apart, and a page at the end.
    const std::uint64_t tables = kRam + 0x100000;
    bench.state[TTBR0_EL1] = tables;
    for (unsigned i = 0; i + 1 < levels; ++i)
      bench.set_entry(tables + i * 0x10000, (tables + (i + 1) * 0x10000) | kTable);
    bench.set_entry(tables + (levels - 1) * 0x10000, (kRam + 0x200000) | kPageBits);
    QCOMPARE(physical_of(bench.read(0x123)), kRam + 0x200123);
    QCOMPARE(cells_made(bench).size(), std::size_t{levels});
    QCOMPARE(bench.of<WalkBegin>()[0].guest_levels, std::uint8_t(levels));
    QVERIFY(translation_of(bench.read(0x123)).page_size == granule_size(granule));
  }

  void blocks_end_a_walk_early() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kL2, 2), (kRam + 0x600000) | kBlockBits);
    QCOMPARE(physical_of(bench.read(kPage + 0x18)), kRam + 0x600000 + (kPage & 0x1fffff) + 0x18);
    QVERIFY(translation_of(bench.read(kPage)).page_size == PageSize::Size2M);
    forget_everything(bench);
    bench.set_entry(place(kL1, 1), 0x80000000 | kBlockBits);
    const Translation large = translation_of(bench.read(kPage + 0x18));
    QCOMPARE(large.physical.value, 0x80000000 + (kPage & 0x3fffffff) + 0x18);
    QVERIFY(large.page_size == PageSize::Size1G);
    forget_everything(bench);
    bench.set_entry(place(kL0, 0), kBlockBits);
    QCOMPARE(status_of(bench.read(kPage)), 4U);  // No blocks at level 0.
  }

  void a_cold_walk_of_both_stages_takes_24_references() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser, kMoved);
    map_stage_two(bench);
    QCOMPARE(physical_of(bench.read(kPage + 0x18)), kFrame + kMoved + 0x18);
    QCOMPARE(cells_made(bench), whole_grid(4));
    QCOMPARE(bench.of<WalkEnd>()[0].references, std::uint8_t{24});
    QCOMPARE(bench.of<WalkReference>()[0].entry_name, std::string_view("stage 2 L0"));
    QCOMPARE(translation_of(bench.read(kPage + 0x18)).intermediate.value, kFrame + 0x18);
  }

  void stage_two_blocks_and_start_levels_shorten_the_grid() {
    MmuBench bench;
    map_page(bench);
    map_stage_two(bench, false);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    QCOMPARE(cells_made(bench), whole_grid(3));
    // 40 bits from level 1: two tables of 4 KB side by side.
    MmuBench concatenated;
    map_page(concatenated, kPageBits, kMoved);
    map_stage_two(concatenated);
    concatenated.state[VTCR_EL2] = 1ULL << 31 | 24 | 1U << 6 | 5U << 16;
    concatenated.state[VTTBR_EL2] = (kTwoL1 + 0x4000) & ~0x1fffULL;
    const std::uint64_t root = concatenated.state[VTTBR_EL2];
    concatenated.set_entry(root + 8, kTwoL2 | kTable);
    concatenated.set_entry(root + 8 * 513, (kRam + 0x40000000) | (kAllOfStageTwo & ~2ULL));
    QCOMPARE(physical_of(concatenated.read(kPage)), kFrame + kMoved);
    QCOMPARE(concatenated.of<WalkEnd>()[0].references, std::uint8_t{19});
    QCOMPARE(concatenated.mmu.inspect_stage_two({513ULL << 30 | 0x123})->value, kRam + 0x40000123);
  }

  void page_walk_caches_and_nested_tlb_skip_what_they_hold() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser, kMoved);
    map_stage_two(bench);
    bench.set_entry(place(kL3, 3, kPage + 0x1000) + kMoved, (kFrame + 0x1000) | kPageBits);
    bench.read(kPage);
    bench.log.events.clear();
    QCOMPARE(physical_of(bench.read(kPage + 0x1000)), kFrame + 0x1000 + kMoved);
    // The level-3 entry, and stage 2 of the page itself.
    QCOMPARE(cells_made(bench), (std::vector<Cell>{{1, 0}, {0, 4}, {0, 3}, {0, 2}, {0, 1}}));
    QCOMPARE(bench.of<WalkEnd>()[0].skipped, std::uint8_t{19});
    QVERIFY(!bench.mmu.has_stale_entries());
  }

  // --- TLB ----------------------------------------------------------------------------------------------------------

  void a_hit_needs_no_walk_and_serves_what_is_stale() {
    MmuBench bench;
    map_page(bench);
    bench.read(kPage);
    QVERIFY(!bench.mmu.has_stale_entries());
    bench.mmu.clear_hazard();
    store(bench, place(kL3, 3), (kFrame + 0x1000) | kPageBits | kUser | kNotGlobal);
    QVERIFY(bench.mmu.hazard());
    QVERIFY(bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    QCOMPARE(walks(bench), std::size_t{1});
    invalidate(bench, TlbInvalidation::Kind::Address, kPage);
    QVERIFY(!bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage)), kFrame + 0x1000);
  }

  void a_permission_fault_comes_from_the_tlb_entry_stale_or_not() {
    MmuBench bench;
    map_page(bench, kPageBits | kReadOnly);
    bench.read(kPage);
    bench.mmu.clear_hazard();
    store(bench, place(kL3, 3), kFrame | kPageBits);
    QVERIFY(bench.mmu.hazard());
    const TranslationFault fault = fault_of(bench.write(kPage));
    QCOMPARE(unsigned{fault.status}, 0xfU);
    QVERIFY(fault.write);
    QCOMPARE(walks(bench), std::size_t{1});
    invalidate(bench, TlbInvalidation::Kind::Address, kPage);
    QCOMPARE(physical_of(bench.write(kPage)), kFrame);
  }

  void an_invalid_descriptor_that_becomes_valid_is_no_hazard() {
    MmuBench bench;
    map_page(bench, 0);
    QCOMPARE(status_of(bench.read(kPage)), 7U);
    bench.mmu.clear_hazard();
    store(bench, place(kL3, 3), kFrame | kPageBits);
    QVERIFY(!bench.mmu.hazard());
    QVERIFY(!bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
  }

  void software_bits_shareability_and_setting_the_access_flag_are_no_hazards() {
    QVERIFY(!descriptor_differs(kPageBits, kPageBits | 1ULL << 55 | 1ULL << 58));
    QVERIFY(!descriptor_differs(kPageBits, kPageBits & ~(3ULL << 8)));
    QVERIFY(!descriptor_differs(kPageBits & ~(1ULL << 10), kPageBits));
    QVERIFY(descriptor_differs(kPageBits, kPageBits & ~(1ULL << 10)));
    QVERIFY(descriptor_differs(kPageBits, 0));
    QVERIFY(descriptor_differs(kPageBits, kPageBits | kReadOnly));
    QVERIFY(descriptor_differs(kPageBits | kReadOnly, kPageBits));
    QVERIFY(!descriptor_differs(kPageBits & ~1ULL, kPageBits));
  }

  void address_spaces_are_told_apart_by_asid_and_share_global_pages() {
    MmuBench bench;
    map_page(bench);
    bench.state[TTBR1_EL1] = kL0;
    bench.set_entry(place(kL0, 0, kKernelPage), kL1 | kTable);
    bench.set_entry(place(kL1, 1, kKernelPage), kL2 | kTable);
    bench.set_entry(place(kL2, 2, kKernelPage), kL3 | kTable);
    bench.set_entry(place(kL3, 3, kKernelPage), kFrame | kPageBits);
    bench.mmu.context_changed();
    bench.read(kPage);
    bench.read(kKernelPage);
    QCOMPARE(walks(bench), std::size_t{2});
    bench.mmu.clear_hazard();
    bench.state[TTBR0_EL1] = kL0 | 6ULL << 48;
    bench.mmu.context_changed();
    QVERIFY(!bench.mmu.hazard());
    QCOMPARE(bench.mmu.current_asid(), std::uint16_t{6});
    bench.read(kKernelPage);
    QCOMPARE(walks(bench), std::size_t{2});
    bench.read(kPage);
    QCOMPARE(walks(bench), std::size_t{3});
    invalidate(bench, TlbInvalidation::Kind::Asid, 0, 6);
    bench.read(kKernelPage);
    QCOMPARE(walks(bench), std::size_t{3});
    bench.read(kPage);
    QCOMPARE(walks(bench), std::size_t{4});
    invalidate(bench, TlbInvalidation::Kind::AddressAllAsids, kPage, 0);
    bench.read(kPage);
    bench.state[TTBR0_EL1] = kL0 | 5ULL << 48;
    bench.mmu.context_changed();
    bench.read(kPage);
    QCOMPARE(walks(bench), std::size_t{6});
  }

  void only_vmid_and_regime_of_an_invalidation_lose_entries() {
    MmuBench bench;
    map_page(bench);
    map_stage_two(bench, false);
    bench.read(kPage);
    use_el2(bench);
    bench.access(AccessKind::Read, kPage, 2);
    bench.state.exception_level = 1;
    const std::size_t filled = walks(bench);
    QCOMPARE(filled, std::size_t{2});
    const auto walks_after = [&](TlbInvalidation::Kind kind, Regime regime, std::uint16_t vmid) {
      bench.log.events.clear();
      invalidate(bench, kind, 0, 0, regime, vmid);
      bench.access(AccessKind::Read, kPage, 1);
      bench.access(AccessKind::Read, kPage, 2);
      return walks(bench);
    };
    QCOMPARE(walks_after(TlbInvalidation::Kind::Vmid, Regime::El10, 8), std::size_t{0});
    QCOMPARE(walks_after(TlbInvalidation::Kind::Vmid, Regime::El10, 9), std::size_t{1});
    QCOMPARE(walks_after(TlbInvalidation::Kind::VmidStage12, Regime::El10, 9), std::size_t{1});
    QCOMPARE(walks_after(TlbInvalidation::Kind::All, Regime::El10, 0), std::size_t{1});
    QCOMPARE(walks_after(TlbInvalidation::Kind::All, Regime::El2, 0), std::size_t{1});
    QCOMPARE(bench.mmu.current_vmid(), std::uint16_t{9});
  }

  void an_invalidation_by_intermediate_address_leaves_what_both_stages_made() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser, kMoved);
    map_stage_two(bench);
    bench.read(kPage);
    const std::uint64_t entry = kTwoL3 + (kFrame - kRam) / 0x1000 * 8;
    store(bench, entry, (kFrame + 2 * kMoved) | kAllOfStageTwo);
    invalidate(bench, TlbInvalidation::Kind::IntermediateAddress, kFrame, 0, Regime::El10, 9);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame + kMoved);
    QVERIFY(bench.mmu.has_stale_entries());
    invalidate(bench, TlbInvalidation::Kind::Vmid, 0, 0, Regime::El10, 9);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame + 2 * kMoved);
    QVERIFY(!bench.mmu.has_stale_entries());
  }

  void without_the_intermediate_invalidation_the_nested_tlb_stays_stale() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser, kMoved);
    map_stage_two(bench);
    bench.read(kPage);
    store(bench, kTwoL3 + (kFrame - kRam) / 0x1000 * 8, (kFrame + 2 * kMoved) | kAllOfStageTwo);
    invalidate(bench, TlbInvalidation::Kind::Vmid, 0, 0, Regime::El10, 9);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame + kMoved);
    QVERIFY(bench.mmu.has_stale_entries());
  }

  void a_block_held_in_pieces_goes_as_a_whole() {
    MachineConfig config = bench_config();
    const std::vector<PageSize> small = {PageSize::Size4K, PageSize::Size2M};
    config.translation.data[0].page_sizes = small;
    config.translation.second_level->page_sizes = small;
    MmuBench bench(all_features(), config);
    map_page(bench);
    bench.set_entry(place(kL1, 1), kRam | kBlockBits);
    constexpr std::uint64_t kOther = kPage ^ 0x10000000;
    bench.read(kPage);
    bench.read(kOther);
    QCOMPARE(walks(bench), std::size_t{2});
    invalidate(bench, TlbInvalidation::Kind::Address, kPage);
    bench.read(kOther);
    QCOMPARE(walks(bench), std::size_t{3});
  }

  void blocks_of_512_mb_are_held_as_2_mb() {
    MmuBench bench;
    map_page(bench);
    bench.state[TCR_EL1] = 22 | 1ULL << 14 | 5ULL << 32;  // 64 KB, 42 bits: level 2
    bench.state[TTBR0_EL1] = kRam + 0x100000;
    bench.set_entry(kRam + 0x100000 + 8 * 3, 0x60000000 | kBlockBits);
    const Translation found = translation_of(bench.read(0x71234567));
    QCOMPARE(found.physical.value, std::uint64_t{0x71234567});
    QVERIFY(found.page_size == PageSize::Size2M);
    bench.state[TCR_EL1] = 28 | 2ULL << 14 | 5ULL << 32;  // 16 KB, 36 bits: level 2
    forget_everything(bench);
    bench.set_entry(kRam + 0x100000 + 8 * 3, 0x62000000 | kBlockBits);
    QCOMPARE(physical_of(bench.read(0x07234567)), std::uint64_t{0x63234567});
  }

  void a_contiguous_run_is_one_entry_where_all_of_it_agrees() {
    MmuBench bench;
    map_page(bench);
    const std::uint64_t first = kRam + 0x20000;
    const std::uint64_t bits = kPageBits | kUser | kNotGlobal | kContiguousHint;
    for (std::uint64_t page = 0; page < 16; ++page)
      bench.set_entry(place(kL3, 3, (kPage & ~0xffffULL) + page * 0x1000), (first + page * 0x1000) | bits);
    QVERIFY(translation_of(bench.read(kPage)).page_size == PageSize::Size64K);
    QCOMPARE(physical_of(bench.read((kPage & ~0xffffULL) + 0xf123)), first + 0xf123);
    QCOMPARE(walks(bench), std::size_t{1});
    bench.mmu.clear_hazard();
    store(bench, place(kL3, 3, (kPage & ~0xffffULL) + 0x9000), (first + 0x9000) | bits | kReadOnly);
    QVERIFY(bench.mmu.hazard());
    QVERIFY(bench.mmu.has_stale_entries());
    invalidate(bench, TlbInvalidation::Kind::Address, kPage);
    QVERIFY(translation_of(bench.read(kPage)).page_size == PageSize::Size4K);
  }

  // --- faults -------------------------------------------------------------------------------------------------------

  void misprogrammed_ranges_are_translation_faults_at_level_0() {
    MmuBench bench;
    map_page(bench);
    QCOMPARE(status_of(bench.read(1ULL << 48)), 4U);
    QCOMPARE(status_of(bench.read(kPage | 1ULL << 60)), 4U);
    bench.state[TCR_EL1] |= 1ULL << 37;  // TBI0
    QCOMPARE(physical_of(bench.read(kPage | 0x5aULL << 56)), kFrame);
    QCOMPARE(fault_of(bench.write(1ULL << 50 | 0x5aULL << 56)).address.value, 1ULL << 50 | 0x5aULL << 56);
    bench.state[TCR_EL1] |= 1ULL << 7;  // EPD0: what a TLB holds still serves.
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    forget_everything(bench);
    QCOMPARE(status_of(bench.read(kPage)), 4U);
    bench.state[TCR_EL1] = (bench.state[TCR_EL1] & ~0xbfULL) | 40;
    QCOMPARE(status_of(bench.read(0)), 4U);
  }

  void addresses_beyond_the_programmed_size_are_address_size_faults() {
    MmuBench bench;
    map_page(bench);
    bench.state[TCR_EL1] &= ~(7ULL << 32);  // 32 bits
    bench.set_entry(place(kL3, 3), 1ULL << 33 | kPageBits);
    QCOMPARE(status_of(bench.read(kPage)), 3U);
    bench.set_entry(place(kL2, 2), 1ULL << 40 | kTable);
    QCOMPARE(status_of(bench.read(kPage)), 2U);
    forget_everything(bench);
    QCOMPARE(status_of(bench.read(kPage)), 2U);
    bench.state[TTBR0_EL1] = 1ULL << 32;
    forget_everything(bench);
    QCOMPARE(status_of(bench.read(kPage)), 0U);
    bench.state[SCTLR_EL1] = 0;
    QCOMPARE(physical_of(bench.read(1ULL << 47)), 1ULL << 47);
    QCOMPARE(status_of(bench.read(1ULL << 48)), 0U);
  }

  void a_table_where_no_memory_is_is_an_external_abort_on_the_walk() {
    MmuBench bench;
    map_page(bench);
    bench.set_entry(place(kL1, 1), 1ULL << 40 | kTable);
    const TranslationFault fault = fault_of(bench.read(kPage));
    QCOMPARE(unsigned{fault.status}, 0x16U);
    QVERIFY(fault.external);
    QVERIFY(!fault.on_walk);
  }

  void permissions_are_those_of_the_table_data() {
    QTest::addColumn<quint64>("bits");
    QTest::addColumn<QString>("privileged");
    QTest::addColumn<QString>("user");
    // DDI 0487, tables D8-44 and D8-45, without WXN.
    QTest::newRow("AP 00") << quint64{0} << "rwx"
                           << "--x";
    QTest::newRow("AP 01: EL0 may write, so EL1 may not execute") << quint64{kUser} << "rw-"
                                                                  << "rwx";
    QTest::newRow("AP 10") << quint64{kReadOnly} << "r-x"
                           << "--x";
    QTest::newRow("AP 11") << quint64{kReadOnly | kUser} << "r-x"
                           << "r-x";
    QTest::newRow("AP 11, UXN") << quint64{kReadOnly | kUser | kUxn} << "r-x"
                                << "r--";
    QTest::newRow("AP 11, PXN") << quint64{kReadOnly | kUser | kPxn} << "r--"
                                << "r-x";
    QTest::newRow("AP 00, both") << quint64{kUxn | kPxn} << "rw-"
                                 << "---";
  }
  void permissions_are_those_of_the_table() {
    QFETCH(quint64, bits);
    QFETCH(QString, privileged);
    QFETCH(QString, user);
    for (const unsigned level : {0U, 1U}) {
      QString found;
      for (const auto& [kind, letter] :
           {std::pair{AccessKind::Read, 'r'}, std::pair{AccessKind::Write, 'w'}, std::pair{AccessKind::Fetch, 'x'}}) {
        MmuBench bench;
        map_page(bench, kPageBits | bits);
        const unsigned status = status_of(bench.access(kind, kPage, level));
        QVERIFY(status == kNoFault || status == 0xf);
        found += QLatin1Char(status == kNoFault ? letter : '-');
      }
      QCOMPARE(found, level == 0 ? user : privileged);
    }
  }

  void pan_wxn_and_hierarchical_attributes_take_rights_away() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser);
    QCOMPARE(status_of(bench.access(AccessKind::Read, kPage, 1, true)), 0xfU);
    QCOMPARE(status_of(bench.access(AccessKind::Read, kPage, 1, false)), kNoFault);
    QCOMPARE(status_of(bench.access(AccessKind::Read, kPage, 0, false)), kNoFault);
    QCOMPARE(status_of(bench.fetch(kPage, 0)), kNoFault);
    bench.state[SCTLR_EL1] |= sctlr::kWxn;
    QCOMPARE(status_of(bench.fetch(kPage, 0)), 0xfU);
    bench.state[SCTLR_EL1] &= ~sctlr::kWxn;
    const auto with = [&](unsigned bit) {
      forget_everything(bench);
      bench.set_entry(place(kL1, 1), kL2 | kTable | 1ULL << bit);
    };
    with(62);
    QCOMPARE(status_of(bench.write(kPage)), 0xfU);
    with(61);
    QCOMPARE(status_of(bench.read(kPage, 0)), 0xfU);
    QCOMPARE(status_of(bench.write(kPage)), kNoFault);
    with(60);
    QCOMPARE(status_of(bench.fetch(kPage, 0)), 0xfU);
    with(59);
    bench.set_entry(place(kL3, 3), kFrame | kPageBits);
    QCOMPARE(status_of(bench.fetch(kPage)), 0xfU);
    QCOMPARE(status_of(bench.fetch(kPage, 0)), kNoFault);
  }

  void el2_has_one_range_and_its_own_execute_never() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser);
    use_el2(bench);
    QCOMPARE(physical_of(bench.write(kPage, 2)), kFrame);
    QCOMPARE(physical_of(bench.fetch(kPage, 2)), kFrame);  // AP[1] means nothing here.
    QCOMPARE(status_of(bench.read(kKernelPage, 2)), 4U);
    QCOMPARE(bench.mmu.current_tag().virtual_machine, std::uint16_t{0x8000});
    forget_everything(bench);
    bench.set_entry(place(kL3, 3), kFrame | kPageBits | kUxn);
    QCOMPARE(status_of(bench.fetch(kPage, 2)), 0xfU);
    forget_everything(bench);
    bench.set_entry(place(kL3, 3), kFrame | kPageBits | kPxn);
    QCOMPARE(status_of(bench.fetch(kPage, 2)), kNoFault);
  }

  void the_host_regime_has_two_ranges_and_el0() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser);
    bench.state[HCR_EL2] |= hcr::kE2h | hcr::kTge;
    bench.state[SCTLR_EL2] = sctlr::kM;
    bench.state[TCR_EL2] = bench.state[TCR_EL1];
    bench.state[TTBR0_EL2] = kL0 | 7ULL << 48;
    bench.state[SCTLR_EL1] = 0;
    QVERIFY(regime_of(bench.state, 0) == Regime::El20);
    QCOMPARE(status_of(bench.read(kPage, 0)), kNoFault);
    QCOMPARE(status_of(bench.access(AccessKind::Read, kPage, 2, true)), 0xfU);
    QCOMPARE(status_of(bench.fetch(kPage, 2)), 0xfU);
    bench.state.exception_level = 2;
    QCOMPARE(bench.mmu.current_tag().virtual_machine, std::uint16_t{0xc000});
    QCOMPARE(bench.mmu.current_asid(), std::uint16_t{7});
  }

  // --- stage 2 ------------------------------------------------------------------------------------------------------

  void a_stage_two_fault_tells_the_intermediate_address() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser, kMoved);
    map_stage_two(bench);
    bench.set_entry(kTwoL3 + (kFrame - kRam) / 0x1000 * 8, 0);
    const TranslationFault final_fault = fault_of(bench.write(kPage + 0x123));
    QCOMPARE(unsigned{final_fault.status}, 7U);
    QCOMPARE(unsigned{final_fault.stage}, 2U);
    QVERIFY(final_fault.write && !final_fault.on_walk);
    QCOMPARE(final_fault.intermediate.value, kFrame + 0x123);
    QCOMPARE(final_fault.address.value, kPage + 0x123);
    forget_everything(bench);
    bench.set_entry(kTwoL3 + (kL2 - kRam) / 0x1000 * 8, 0);
    const TranslationFault table_fault = fault_of(bench.write(kPage + 0x123));
    QVERIFY(table_fault.on_walk && !table_fault.write);
    QCOMPARE(table_fault.intermediate.value, place(kL2, 2));
  }

  void stage_two_permissions_include_execution_by_level() {
    constexpr unsigned kPermission = 0xf;
    for (const unsigned code : {0U, 1U, 2U, 3U}) {
      for (const bool xnx : {false, true}) {
        MmuFeatures features = all_features();
        features.xnx = xnx;
        MmuBench bench(features);
        map_page(bench, kPageBits | kUser | kReadOnly, kMoved);
        map_stage_two(bench);
        bench.set_entry(kTwoL3 + (kFrame - kRam) / 0x1000 * 8,
                        (kFrame + kMoved) | kAllOfStageTwo | std::uint64_t{code} << 53);
        const bool el1 = xnx ? code == 0 || code == 3 : code < 2, el0 = xnx ? code < 2 : code < 2;
        QCOMPARE(status_of(bench.fetch(kPage, 1)), el1 ? kNoFault : kPermission);
        QCOMPARE(status_of(bench.fetch(kPage, 0)), el0 ? kNoFault : kPermission);
      }
    }
  }

  void a_protected_walk_does_not_read_tables_in_device_memory() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser, kMoved);
    map_stage_two(bench, true, kAllOfStageTwo & ~(0xfULL << 2));
    QVERIFY(translation_of(bench.read(kPage)).type == MemoryType::Device);
    bench.state[HCR_EL2] |= hcr::kPtw;
    forget_everything(bench);
    const TranslationFault fault = fault_of(bench.read(kPage));
    QCOMPARE(unsigned{fault.status}, 0xfU);
    QVERIFY(fault.on_walk);
    QCOMPARE(fault.intermediate.value, place(kL0, 0));
  }

  void stage_one_off_goes_through_stage_two_alone() {
    MmuBench bench;
    map_stage_two(bench);
    const Translation found = translation_of(bench.read(kFrame));
    QCOMPARE(found.physical.value, kFrame + kMoved);
    QVERIFY(found.type == MemoryType::Device);
    QVERIFY(translation_of(bench.fetch(kFrame)).type == MemoryType::Normal);
    QCOMPARE(bench.of<WalkBegin>()[0].guest_levels, std::uint8_t{0});
    bench.read(kFrame);
    QCOMPARE(walks(bench), std::size_t{1});  // The L2 TLB serves the fetch as well.
    bench.state[HCR_EL2] |= hcr::kDc;
    forget_everything(bench);
    QVERIFY(translation_of(bench.read(kFrame)).type == MemoryType::Normal);
    bench.state[HCR_EL2] = hcr::kRw;
    QCOMPARE(physical_of(bench.read(kFrame)), kFrame);
  }

  // --- access flag and dirty state ----------------------------------------------------------------------------------

  void hardware_sets_the_access_flag_where_it_is_told_to() {
    MmuBench bench;
    map_page(bench, (kPageBits | kUser) & ~(1ULL << 10));
    QCOMPARE(status_of(bench.read(kPage)), 0xbU);
    bench.state[TCR_EL1] |= 1ULL << 39;
    QVERIFY(!bench.mmu.probe({.address = {kPage}}));
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    QCOMPARE(bench.entry(place(kL3, 3)), kFrame | kPageBits | kUser);
    QVERIFY(bench.mmu.probe({.address = {kPage}}).has_value());
    MmuFeatures without = all_features();
    without.hafdbs = false;
    MmuBench older(without);
    map_page(older, (kPageBits | kUser) & ~(1ULL << 10));
    older.state[TCR_EL1] |= kHardwareFlags;
    QCOMPARE(status_of(older.read(kPage)), 0xbU);
  }

  void a_write_marks_a_clean_page_dirty() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser | kReadOnly | kClean);
    bench.state[TCR_EL1] |= kHardwareFlags;
    QVERIFY(!translation_of(bench.read(kPage)).writable_now);
    QVERIFY(!bench.mmu.probe({.address = {kPage}, .kind = AccessKind::Write}));
    const Translation written = translation_of(bench.write(kPage));
    QVERIFY(written.writable_now);
    QCOMPARE(bench.entry(place(kL3, 3)), kFrame | kPageBits | kUser | kClean);
    QCOMPARE(walks(bench), std::size_t{2});
    bench.write(kPage);
    QCOMPARE(walks(bench), std::size_t{2});
    QVERIFY(!bench.mmu.has_stale_entries());
  }

  void a_page_that_software_cleans_stays_dirty_in_the_tlb() {
    MmuBench bench;
    map_page(bench, kPageBits | kUser | kReadOnly | kClean);
    bench.state[TCR_EL1] |= kHardwareFlags;
    bench.mmu.context_changed();
    bench.write(kPage);
    bench.mmu.clear_hazard();
    const std::uint64_t clean = kFrame | kPageBits | kUser | kReadOnly | kClean;
    store(bench, place(kL3, 3), clean);
    QVERIFY(bench.mmu.hazard());
    QVERIFY(bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.write(kPage)), kFrame);
    QCOMPARE(bench.entry(place(kL3, 3)), clean);
    forget_everything(bench);
    bench.write(kPage);
    QCOMPARE(bench.entry(place(kL3, 3)), clean & ~kReadOnly);
  }

  void an_update_of_a_descriptor_is_a_write_that_stage_two_must_permit() {
    MmuBench bench;
    map_page(bench, (kPageBits | kUser) & ~(1ULL << 10), kMoved);
    map_stage_two(bench);
    bench.state[TCR_EL1] |= kHardwareFlags;
    const std::uint64_t entry = kTwoL3 + (kL3 - kRam) / 0x1000 * 8;
    bench.set_entry(entry, (kL3 + kMoved) | (kAllOfStageTwo & ~(1ULL << 7)));
    const TranslationFault fault = fault_of(bench.read(kPage));
    QCOMPARE(unsigned{fault.status}, 0xfU);
    QVERIFY(fault.on_walk && fault.write);
    QCOMPARE(fault.intermediate.value, place(kL3, 3));
    forget_everything(bench);
    bench.state[VTCR_EL2] |= 3ULL << 21;
    bench.set_entry(entry, (kL3 + kMoved) | (kAllOfStageTwo & ~(1ULL << 7)) | kClean);
    QCOMPARE(physical_of(bench.read(kPage)), kFrame + kMoved);
    QCOMPARE(bench.entry(entry), (kL3 + kMoved) | kAllOfStageTwo | kClean);
  }

  // --- probes, views, AT --------------------------------------------------------------------------------------------

  void a_probe_changes_nothing_and_remembers_the_tables() {
    MmuBench bench;
    map_page(bench);
    const std::uint64_t digest = bench.memory.digest();
    QVERIFY(!bench.mmu.is_table_frame({kL3}));
    const auto found = bench.mmu.probe({.address = {kPage + 0x18}, .exception_level = 0});
    QCOMPARE(found->physical.value, kFrame + 0x18);
    QVERIFY(found->writable_now);
    QVERIFY(bench.mmu.is_table_frame({kL3}));
    QVERIFY(bench.log.events.empty());
    QCOMPARE(bench.memory.digest(), digest);
    QVERIFY(!bench.mmu.probe({.address = {kPage}, .pan = true}));
  }

  void views_see_through_both_stages_without_rights() {
    MmuBench bench;
    map_page(bench, kPageBits | kReadOnly | kUxn, kMoved);
    map_stage_two(bench);
    bench.state.exception_level = 0;
    const auto seen = bench.mmu.inspect({kPage + 0x18});
    QCOMPARE(seen->guest_physical.value, kFrame + 0x18);
    QCOMPARE(seen->physical.value, kFrame + kMoved + 0x18);
    QVERIFY(!seen->writable && !seen->user && seen->executable);
    QCOMPARE(bench.mmu.inspect_stage_two({kFrame})->value, kFrame + kMoved);
    QVERIFY(!bench.mmu.inspect_stage_two({0}));
    QVERIFY(!bench.mmu.inspect({0x1000}));
    QVERIFY(bench.log.events.empty());
  }

  void at_gives_attributes_or_the_status_of_the_fault() {
    MmuBench bench;
    map_page(bench);
    const auto par = bench.mmu.address_translate({kPage + 0x123}, {});
    QCOMPARE(par.par, 0xffULL << 56 | kFrame | 1ULL << 11 | 1ULL << 9 | 3ULL << 7);
    QCOMPARE(bench.mmu.address_translate({0x1000}, {}).par, 1ULL << 11 | 4U << 1 | 1);
    QVERIFY(cells_made(bench).size() >= 4);
    bench.read(kPage);
    QCOMPARE(walks(bench), std::size_t{3});  // AT left nothing in the TLBs.
  }

  void at_by_el1_whose_table_stage_two_refuses_is_an_exception() {
    MmuBench bench;
    map_page(bench, kPageBits, kMoved);
    map_stage_two(bench);
    bench.set_entry(kTwoL3 + (kL1 - kRam) / 0x1000 * 8, 0);
    const auto of_el1 = bench.mmu.address_translate({kPage}, {});
    QVERIFY(of_el1.exception.has_value());
    QVERIFY(of_el1.exception->on_walk && of_el1.exception->write && of_el1.exception->cache_maintenance);
    QCOMPARE(of_el1.exception->intermediate.value, place(kL1, 1));
    bench.state.exception_level = 2;
    const auto of_el2 = bench.mmu.address_translate({kPage}, {});
    QVERIFY(!of_el2.exception);
    QCOMPARE(of_el2.par, 1ULL << 11 | 1ULL << 9 | 1ULL << 8 | 7U << 1 | 1);
  }

  void descriptors_are_told_field_by_field() {
    QCOMPARE(describe_descriptor("stage 1 L0", 0x40002003), std::string("valid=1 table=1 APTable=00 UXNTable=0 "
                                                                        "PXNTable=0 next table 0x40002000"));
    QCOMPARE(describe_descriptor("stage 1 L3", 0x400094c3 | kUxn),
             std::string("valid=1 page=1 AttrIndx=000 AP[2:1]=11 SH=00 AF=1 nG=0 DBM=0 PXN=0 UXN=1 contiguous=0 page "
                         "at 0x40009000"));
    QCOMPARE(describe_descriptor("stage 2 L2", 0x400004fd), std::string("valid=1 table=0 MemAttr=1111 S2AP=11 SH=00 "
                                                                        "AF=1 DBM=0 XN=00 contiguous=0 block at "
                                                                        "0x40000000"));
    QVERIFY(describe_descriptor("stage 2 L2", 0x400004fc).starts_with("valid=0"));
  }

  // --- hazards of changed registers ---------------------------------------------------------------------------------

  void other_tables_under_the_same_tag_are_a_hazard_until_the_tag_is_invalidated() {
    MmuBench bench;
    map_page(bench);
    bench.read(kPage);
    bench.mmu.clear_hazard();
    bench.mmu.context_changed();
    QVERIFY(!bench.mmu.hazard());
    bench.state[TTBR0_EL1] = (kL0 + 0x10000) | 5ULL << 48;
    bench.mmu.context_changed();
    QVERIFY(bench.mmu.hazard());
    QVERIFY(bench.mmu.has_stale_entries());
    QCOMPARE(physical_of(bench.read(kPage)), kFrame);
    invalidate(bench, TlbInvalidation::Kind::Asid, 0, 5);
    QVERIFY(!bench.mmu.has_stale_entries());
    bench.mmu.clear_hazard();
    bench.mmu.context_changed();
    QVERIFY(!bench.mmu.hazard());
    // Back in time, the invalidation has not happened.
    bench.mmu.state_restored();
    bench.mmu.context_changed();
    QVERIFY(bench.mmu.hazard());
  }

  void the_tables_of_an_address_space_that_does_not_run_are_remembered() {
    MmuBench bench;
    map_page(bench);
    bench.read(kPage);
    bench.state[TTBR0_EL1] = (kL0 + 0x10000) | 6ULL << 48;
    bench.mmu.context_changed();
    QVERIFY(!bench.mmu.has_stale_entries());
    store(bench, place(kL3, 3), (kFrame + 0x1000) | kPageBits | kUser | kNotGlobal);
    QVERIFY(bench.mmu.hazard());
    QVERIFY(bench.mmu.has_stale_entries());
  }

  void a_global_page_that_the_next_tables_map_otherwise_is_a_hazard() {
    MmuBench bench;
    map_page(bench, kPageBits);  // global
    bench.read(kPage);
    bench.mmu.clear_hazard();
    bench.state[TTBR0_EL1] = (kL0 + 0x10000) | 6ULL << 48;
    bench.mmu.context_changed();
    QVERIFY(bench.mmu.hazard());
    QVERIFY(bench.mmu.has_stale_entries());
  }

  void a_maze_of_walks_keeps_the_event_stream_in_order() {
    MmuBench bench;
    InvariantChecker checker;
    bench.events.set_sinks(&checker, nullptr);
    map_page(bench, kPageBits | kUser, kMoved);
    map_stage_two(bench);
    for (const std::uint64_t address : {kPage, kPage + 0x1000, kPage, std::uint64_t{0}, kKernelPage, kPage}) {
      for (const unsigned level : {0U, 1U}) {
        bench.read(address, level);
        bench.write(address, level);
        bench.fetch(address, level);
      }
    }
    QVERIFY(checker.finish().empty());
  }
};

QTEST_APPLESS_MAIN(ArmMmuTest)
#include "mmu_test.moc"
