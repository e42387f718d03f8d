// SPDX-License-Identifier: GPL-3.0-or-later
//
// How many references a walk takes, which entries it reads, and what page-walk caches and the nested TLB spare.
#include <QTest>
#include <set>

#include "cache-sim/simulation/page_walker.h"

using namespace shearling;

namespace {

TranslationCaches caches(unsigned walk_entries, unsigned nested_entries) {
  TranslationCachesConfig config;
  config.walk_cache_entries = walk_entries;
  config.walk_cache_latency = 1;
  config.nested_entries = nested_entries;
  config.nested_latency = 2;
  return TranslationCaches(config);
}

Walk walk(PageWalker& walker, TranslationCaches& held, std::uint64_t address, PageSize size,
          std::uint16_t address_space = 0) {
  return walker.walk({address}, size, {address & ~page_offset_mask(size)}, {.address_space = address_space}, held);
}

}  // namespace

class PageWalkerTest : public QObject {
  Q_OBJECT

 private slots:
  void a_walk_reads_an_entry_a_level_data() {
    QTest::addColumn<int>("size");
    QTest::addColumn<unsigned>("one_stage");
    QTest::addColumn<unsigned>("two_stages");  // Second stage of 4 KB pages: (n + 1) (4 + 1) - 1.
    QTest::newRow("4 KB") << static_cast<int>(PageSize::Size4K) << 4U << 24U;
    QTest::newRow("16 KB") << static_cast<int>(PageSize::Size16K) << 4U << 24U;
    QTest::newRow("64 KB") << static_cast<int>(PageSize::Size64K) << 4U << 24U;
    QTest::newRow("2 MB") << static_cast<int>(PageSize::Size2M) << 3U << 19U;
    QTest::newRow("1 GB") << static_cast<int>(PageSize::Size1G) << 2U << 14U;
  }
  void a_walk_reads_an_entry_a_level() {
    QFETCH(int, size);
    QFETCH(unsigned, one_stage);
    QFETCH(unsigned, two_stages);
    TranslationCaches nothing = caches(0, 0);
    PageWalker native{WalkConfig{}}, nested{WalkConfig{.two_stage = true}};
    const Walk one = walk(native, nothing, 0x123456789000, static_cast<PageSize>(size));
    QCOMPARE(one.count, one_stage);
    QCOMPARE(one.skipped, 0U);
    QCOMPARE(one.latency, 0U);
    const Walk two = walk(nested, nothing, 0x123456789000, static_cast<PageSize>(size));
    QCOMPARE(two.count, two_stages);
    QCOMPARE(two.skipped, 0U);
  }

  void larger_pages_of_the_second_stage_shorten_the_walk() {
    TranslationCaches nothing = caches(0, 0);
    PageWalker large{WalkConfig{.two_stage = true, .nested_page = PageSize::Size2M}};
    QCOMPARE(walk(large, nothing, 0, PageSize::Size4K).count, 19U);  // 4 (3 + 1) + 3
    QCOMPARE(walk(large, nothing, 0, PageSize::Size2M).count, 15U);
  }

  void a_tlb_holds_the_smaller_of_the_two_stages_pages() {
    const PageWalker native{WalkConfig{}}, nested{WalkConfig{.two_stage = true}};
    const PageWalker large{WalkConfig{.two_stage = true, .nested_page = PageSize::Size1G}};
    QCOMPARE(native.effective_size(PageSize::Size2M), PageSize::Size2M);
    QCOMPARE(nested.effective_size(PageSize::Size2M), PageSize::Size4K);
    QCOMPARE(large.effective_size(PageSize::Size2M), PageSize::Size2M);
  }

  void neighbours_share_their_tables_and_read_neighbouring_entries() {
    TranslationCaches nothing = caches(0, 0);
    PageWalker walker{WalkConfig{}};
    const Walk first = walk(walker, nothing, 0x40000000, PageSize::Size4K);
    const Walk second = walk(walker, nothing, 0x40001000, PageSize::Size4K);
    for (unsigned i = 0; i < 3; ++i) QVERIFY(first.references[i] == second.references[i]);
    QCOMPARE(second.references[3].value, first.references[3].value + 8);
    const Walk elsewhere = walk(walker, nothing, 0x40000000, PageSize::Size4K, 1);
    for (unsigned i = 0; i < 4; ++i) QVERIFY(first.references[i] != elsewhere.references[i]);
  }

  void no_two_entries_share_an_address() {
    TranslationCaches nothing = caches(0, 0);
    PageWalker walker{WalkConfig{.two_stage = true}};
    std::set<std::uint64_t> leaves;
    for (std::uint64_t page = 0; page < 3000; ++page)
      leaves.insert(walk(walker, nothing, page * 0x12345000, PageSize::Size4K).references[19].value);
    QCOMPARE(leaves.size(), std::size_t{3000});
  }

  void the_upper_half_of_the_address_space_has_the_same_root() {
    TranslationCaches nothing = caches(0, 0);
    PageWalker walker{WalkConfig{}};
    const Walk low = walk(walker, nothing, 0x1000, PageSize::Size4K);
    const Walk high = walk(walker, nothing, 0xffff800000001000, PageSize::Size4K);
    QCOMPARE(high.references[0].value, low.references[0].value + 256U * 8);
  }

  void page_walk_caches_leave_the_last_level() {
    TranslationCaches held = caches(16, 0);
    PageWalker walker{WalkConfig{}};
    QCOMPARE(walk(walker, held, 0x40000000, PageSize::Size4K).count, 4U);
    const Walk near = walk(walker, held, 0x40001000, PageSize::Size4K);
    QCOMPARE(near.count, 1U);
    QCOMPARE(near.skipped, 3U);
    QCOMPARE(near.latency, 1U);
    QCOMPARE(walk(walker, held, 0x40200000, PageSize::Size4K).count, 2U);  // The next table of the lowest level.
    QCOMPARE(walk(walker, held, 0x40200000, PageSize::Size4K, 9).count, 4U);
  }

  void the_nested_tlb_spares_second_stages() {
    TranslationCaches held = caches(0, 32);
    PageWalker walker{WalkConfig{.two_stage = true}};
    const Walk cold = walk(walker, held, 0x40000000, PageSize::Size4K);
    QCOMPARE(cold.count, 24U);
    QCOMPARE(cold.latency, 10U);  // Five lookups.
    const Walk warm = walk(walker, held, 0x40000000, PageSize::Size4K);
    QCOMPARE(warm.count, 4U);
    QCOMPARE(warm.skipped, 20U);
    QCOMPARE(walk(walker, held, 0x40001000, PageSize::Size4K).count, 8U);  // Only the data's second stage is new.
  }

  void both_together_leave_one_reference() {
    TranslationCaches held = caches(16, 32);
    PageWalker walker{WalkConfig{.two_stage = true}};
    walk(walker, held, 0x40000000, PageSize::Size4K);
    QCOMPARE(walk(walker, held, 0x40000000, PageSize::Size4K).count, 1U);
  }
};

QTEST_APPLESS_MAIN(PageWalkerTest)
#include "page_walker_test.moc"
