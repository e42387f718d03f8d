// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/tlb.h"

#include <QtTest>

#include "tests/cache-sim/naive_models.h"
#include "tests/cache-sim/test_support.h"

using namespace shearling;

namespace {

TlbGeometry small_tlb(std::vector<PageSize> sizes = {PageSize::Size4K}) {
  return {.name = "test", .entries = 8, .ways = 2, .page_sizes = std::move(sizes)};
}

TlbEntry entry_of(std::uint64_t page, PageSize size = PageSize::Size4K, TlbTag tag = {}, bool global = false) {
  TlbEntry entry;
  entry.page = {page};
  entry.frame = {page + 0x40000000};
  entry.guest_frame = {page + 0x20000000};
  entry.size = size;
  entry.tag = tag;
  entry.global = global;
  return entry;
}

PageSize any_of(const TlbGeometry& geometry, test::Random& random) {
  return geometry.page_sizes[random.below(geometry.page_sizes.size())];
}

// Few pages of each size, few tags: everything meets everything.
TlbEntry random_entry(const TlbGeometry& geometry, test::Random& random) {
  const PageSize size = any_of(geometry, random);
  TlbEntry entry = entry_of(random.below(48) * page_bytes(size), size,
                            {.address_space = static_cast<std::uint16_t>(random.below(3)),
                             .virtual_machine = static_cast<std::uint16_t>(random.below(2))},
                            random.one_in(5));
  entry.permissions = static_cast<std::uint32_t>(random.bits());
  entry.root = random.bits();
  return entry;
}

bool same_content(const Tlb& tlb, const naive::TlbModel& model) {
  for (unsigned set = 0; set < tlb.sets(); ++set) {
    for (unsigned way = 0; way < tlb.geometry().ways; ++way) {
      const TlbSlot& slot = tlb.slot(set, way);
      const auto& held = model.content()[set][way];
      if (slot.valid != held.has_value() || (held && slot.entry != *held)) return false;
    }
  }
  return true;
}

}  // namespace

class TlbTest : public QObject {
  Q_OBJECT

 private slots:
  void holds_pages_of_several_sizes_at_once() {
    Tlb tlb(small_tlb({PageSize::Size4K, PageSize::Size2M}));
    tlb.fill(entry_of(0x1000));
    tlb.fill(entry_of(0x200000, PageSize::Size2M));
    QCOMPARE(tlb.valid_entries(PageSize::Size4K), 1U);
    QCOMPARE(tlb.valid_entries(PageSize::Size2M), 1U);
    QCOMPARE(tlb.valid_entries(PageSize::Size1G), 0U);
    const TlbEntry* found = nullptr;
    QVERIFY(tlb.lookup({0x1fff}, {}, &found).hit);
    QCOMPARE(found->size, PageSize::Size4K);
    QVERIFY(tlb.lookup({0x3fffff}, {}, &found).hit);
    QCOMPARE(found->size, PageSize::Size2M);
    QVERIFY(!tlb.lookup({0x2000}, {}, &found).hit);
    QVERIFY(!tlb.lookup({0x400000}, {}, &found).hit);
  }

  void every_page_size_covers_its_own_bytes_and_no_more_data() {
    QTest::addColumn<int>("size");
    QTest::addColumn<quint64>("bytes");
    QTest::newRow("4 KB") << static_cast<int>(PageSize::Size4K) << quint64{4096};
    QTest::newRow("16 KB") << static_cast<int>(PageSize::Size16K) << quint64{16384};
    QTest::newRow("64 KB") << static_cast<int>(PageSize::Size64K) << quint64{65536};
    QTest::newRow("2 MB") << static_cast<int>(PageSize::Size2M) << quint64{2097152};
    QTest::newRow("1 GB") << static_cast<int>(PageSize::Size1G) << quint64{1073741824};
  }
  void every_page_size_covers_its_own_bytes_and_no_more() {
    QFETCH(int, size);
    QFETCH(quint64, bytes);
    const auto page_size = static_cast<PageSize>(size);
    for (const std::vector<PageSize>& held : {std::vector{page_size}, std::vector{PageSize::Size4K, page_size}}) {
      Tlb tlb(small_tlb(held));
      const std::uint64_t page = 0x7fff40000000 / bytes * bytes + bytes;
      const Tlb::FillOutcome filled = tlb.fill(entry_of(page, page_size));
      QCOMPARE(unsigned{filled.set}, static_cast<unsigned>(page / bytes % 4));  // By its own page number.
      QVERIFY(tlb.peek({page}, {}) != nullptr);
      QVERIFY(tlb.peek({page + bytes - 1}, {}) != nullptr);
      QVERIFY(tlb.peek({page - 1}, {}) == nullptr);
      QVERIFY(tlb.peek({page + bytes}, {}) == nullptr);
      QCOMPARE(tlb.valid_entries(page_size), 1U);
      QCOMPARE(tlb.invalidate_address({page + bytes / 2}, {}), 1U);
      QCOMPARE(tlb.valid_entries(page_size), 0U);
    }
  }

  void tags_have_sixteen_bits_each() {
    Tlb tlb({.name = "test", .entries = 8, .ways = 8, .page_sizes = {PageSize::Size64K}});
    for (const TlbTag tag : {TlbTag{0xffff, 0}, TlbTag{0, 0xffff}, TlbTag{0x7fff, 0xffff}, TlbTag{0xffff, 0xffff}})
      tlb.fill(entry_of(0x10000, PageSize::Size64K, tag));
    QCOMPARE(tlb.valid_entries(PageSize::Size64K), 4U);
    QVERIFY(tlb.peek({0x1ffff}, {.address_space = 0, .virtual_machine = 0xffff}) != nullptr);
    QVERIFY(tlb.peek({0x1ffff}, {}) == nullptr);
    QCOMPARE(tlb.invalidate_address_space({.address_space = 0xffff, .virtual_machine = 0}, false), 1U);
    QCOMPARE(tlb.invalidate_virtual_machine(0xffff, false), 3U);
  }

  void tags_keep_address_spaces_and_machines_apart() {
    Tlb tlb(small_tlb());
    tlb.fill(entry_of(0x1000, PageSize::Size4K, {.address_space = 1, .virtual_machine = 1}));
    tlb.fill(entry_of(0x2000, PageSize::Size4K, {.address_space = 1, .virtual_machine = 1}, true));
    const TlbEntry* found = nullptr;
    QVERIFY(tlb.lookup({0x1000}, {.address_space = 1, .virtual_machine = 1}, &found).hit);
    QVERIFY(!tlb.lookup({0x1000}, {.address_space = 2, .virtual_machine = 1}, &found).hit);
    QVERIFY(!tlb.lookup({0x1000}, {.address_space = 1, .virtual_machine = 0}, &found).hit);
    QVERIFY(tlb.lookup({0x2000}, {.address_space = 2, .virtual_machine = 1}, &found).hit);   // Global.
    QVERIFY(!tlb.lookup({0x2000}, {.address_space = 1, .virtual_machine = 2}, &found).hit);  // Not beyond its machine.
  }

  void a_stale_entry_stays_until_it_is_invalidated() {
    Tlb tlb(small_tlb());
    tlb.fill(entry_of(0x1000));
    const TlbEntry* found = nullptr;
    for (int i = 0; i < 3; ++i) QVERIFY(tlb.lookup({0x1234}, {}, &found).hit);  // Page tables are none of its business.
    QCOMPARE(found->frame.value, std::uint64_t{0x40001000});
    QCOMPARE(tlb.invalidate_address({0x1000}, {}), 1U);
    QVERIFY(!tlb.lookup({0x1234}, {}, &found).hit);
    QCOMPARE(tlb.invalidate_address({0x1000}, {}), 0U);
  }

  void a_fill_of_the_same_page_replaces_it_in_place() {
    Tlb tlb(small_tlb());
    const Tlb::FillOutcome first = tlb.fill(entry_of(0x1000));
    TlbEntry changed = entry_of(0x1000);
    changed.permissions = 7;
    const Tlb::FillOutcome second = tlb.fill(changed);
    QCOMPARE(second.way, first.way);
    QVERIFY(!second.evicted);
    QCOMPARE(tlb.valid_entries(PageSize::Size4K), 1U);
    QCOMPARE(tlb.peek({0x1000}, {})->permissions, 7U);
  }

  void peek_leaves_the_order_of_use_alone() {
    Tlb tlb(small_tlb());  // 4 sets of 2 ways: these three pages share set 1.
    tlb.fill(entry_of(0x1000));
    tlb.fill(entry_of(0x5000));
    QVERIFY(tlb.peek({0x1000}, {}) != nullptr);
    QCOMPARE(tlb.fill(entry_of(0x9000)).evicted->page.value, std::uint64_t{0x1000});
  }

  void one_address_drops_every_size_that_covers_it() {
    Tlb tlb(small_tlb({PageSize::Size4K, PageSize::Size2M}));
    tlb.fill(entry_of(0x201000));
    tlb.fill(entry_of(0x200000, PageSize::Size2M));  // Software forgot to invalidate when it changed the size.
    QCOMPARE(tlb.invalidate_address({0x201000}, {}), 2U);
  }

  void impossible_geometries_are_named() {
    QVERIFY(problem_of(small_tlb()).empty());
    TlbGeometry geometry = small_tlb();
    geometry.ways = 3;
    QVERIFY(!problem_of(geometry).empty());
    geometry = small_tlb({});
    QVERIFY(!problem_of(geometry).empty());
    geometry = {.name = "x",
                .entries = 12,
                .ways = 12,
                .page_sizes = {PageSize::Size4K},
                .replacement = ReplacementKind::TreePlru};
    QVERIFY(!problem_of(geometry).empty());
    geometry.replacement = ReplacementKind::Lru;
    QVERIFY(problem_of(geometry).empty());
    geometry.entries = 0;
    QVERIFY(!problem_of(geometry).empty());
  }

  void agrees_with_the_plain_model_data() {
    QTest::addColumn<unsigned>("entries");
    QTest::addColumn<unsigned>("ways");
    QTest::addColumn<int>("kind");
    QTest::addColumn<int>("sizes");
    for (const int kind : {0, 1, 2}) {
      for (const int sizes : {1, 2, 3, 5}) {
        QTest::addRow("16 entries, 4 ways, policy %d, %d sizes", kind, sizes) << 16U << 4U << kind << sizes;
        QTest::addRow("32 entries, fully associative, policy %d, %d sizes", kind, sizes) << 32U << 32U << kind << sizes;
        QTest::addRow("8 entries, direct mapped, policy %d, %d sizes", kind, sizes) << 8U << 1U << kind << sizes;
      }
    }
    QTest::addRow("24 entries, 4 ways: 6 sets") << 24U << 4U << 0 << 2;
    QTest::addRow("36 entries, 12 ways: 3 sets") << 36U << 12U << 0 << 3;
  }
  void agrees_with_the_plain_model() {
    QFETCH(unsigned, entries);
    QFETCH(unsigned, ways);
    QFETCH(int, kind);
    QFETCH(int, sizes);
    const std::uint64_t seed = 2000 + entries * 100 + static_cast<unsigned>(kind * 10 + sizes);
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    test::Random random(seed);
    const std::vector<PageSize> all = {PageSize::Size2M, PageSize::Size4K, PageSize::Size1G, PageSize::Size16K,
                                       PageSize::Size64K};
    const TlbGeometry geometry{.name = "test",
                               .entries = entries,
                               .ways = ways,
                               .page_sizes = {all.begin(), all.begin() + sizes},
                               .latency = 1,
                               .replacement = static_cast<ReplacementKind>(kind)};
    Tlb tlb(geometry, seed);
    naive::TlbModel model(geometry);
    unsigned hits = 0;
    unsigned evictions = 0;
    TlbEntry entry = random_entry(geometry, random);
    for (int step = 0; step < 20000; ++step) {
      // Half of the time the page asked last again, often as another program: a set answers from memory only what the
      // same program asked, and only until the set changes.
      if (random.one_in(2)) entry = random_entry(geometry, random);
      if (random.one_in(4)) entry.tag.address_space = static_cast<std::uint16_t>(random.below(3));
      const VirtualAddress address{entry.page.value + random.below(page_bytes(entry.size))};
      const std::uint64_t action = random.below(400);
      if (action < 250) {
        const TlbEntry* found = nullptr;
        std::optional<TlbEntry> expected;
        const TlbOutcome outcome = tlb.lookup(address, entry.tag, &found);
        const TlbOutcome right = model.lookup(address, entry.tag, &expected);
        QCOMPARE(outcome.hit, right.hit);
        QCOMPARE(outcome.set, right.set);
        QCOMPARE(outcome.way, right.way);
        if (right.hit) QVERIFY(*found == *expected);
        hits += right.hit ? 1 : 0;
      } else if (action < 385) {
        const Tlb::FillOutcome outcome = tlb.fill(entry);
        const Tlb::FillOutcome right = model.fill(entry, outcome.way);
        QCOMPARE(outcome.set, right.set);
        QCOMPARE(outcome.way, right.way);
        QVERIFY(outcome.evicted == right.evicted);
        evictions += right.evicted ? 1 : 0;
      } else if (action < 395) {
        QCOMPARE(tlb.invalidate_address(address, entry.tag), model.drop_where([&](const TlbEntry& held) {
          return naive::TlbModel::covers(held, address) && naive::TlbModel::belongs(held, entry.tag);
        }));
      } else if (action < 397) {
        const bool keep_global = random.one_in(2);
        QCOMPARE(tlb.invalidate_address_space(entry.tag, keep_global), model.drop_where([&](const TlbEntry& held) {
          return naive::TlbModel::belongs(held, entry.tag) && !(keep_global && held.global);
        }));
      } else if (action < 399) {
        const bool keep_global = random.one_in(2);
        QCOMPARE(tlb.invalidate_virtual_machine(entry.tag.virtual_machine, keep_global),
                 model.drop_where([&](const TlbEntry& held) {
                   return held.tag.virtual_machine == entry.tag.virtual_machine && !(keep_global && held.global);
                 }));
      } else {
        QCOMPARE(tlb.invalidate_all(), model.drop_where([](const TlbEntry&) { return true; }));
      }
      if (step % 500 == 0) QVERIFY(same_content(tlb, model));
    }
    QVERIFY(same_content(tlb, model));
    QVERIFY(hits > 100 && evictions > 100);
  }

  void a_restored_tlb_forgets_what_it_was_asked_before() {
    Tlb saved(small_tlb());
    saved.fill(entry_of(0x2000));
    Tlb tlb(small_tlb());
    tlb.fill(entry_of(0x1000));
    const TlbEntry* found = nullptr;
    QVERIFY(tlb.lookup({0x1000}, {}, &found).hit);
    test::restore(tlb, test::state_of(saved));
    QVERIFY(!tlb.lookup({0x1000}, {}, &found).hit);
    QVERIFY(tlb.lookup({0x2000}, {}, &found).hit);
  }

  void a_restored_tlb_goes_on_as_the_old_one_would() {
    const std::uint64_t seed = 31;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    for (const ReplacementKind kind : {ReplacementKind::Lru, ReplacementKind::TreePlru, ReplacementKind::Random}) {
      test::Random random(seed);
      TlbGeometry geometry = small_tlb({PageSize::Size4K, PageSize::Size2M});
      geometry.replacement = kind;
      Tlb tlb(geometry, 5);
      for (int i = 0; i < 300; ++i) tlb.fill(random_entry(geometry, random));
      Tlb fresh(geometry, 99);
      fresh.fill(random_entry(geometry, random));  // Must leave no trace.
      test::restore(fresh, test::state_of(tlb));
      for (const PageSize size : geometry.page_sizes) QCOMPARE(fresh.valid_entries(size), tlb.valid_entries(size));
      for (int i = 0; i < 300; ++i) {
        const TlbEntry entry = random_entry(geometry, random);
        const TlbEntry* found = nullptr;
        QCOMPARE(fresh.lookup(entry.page, entry.tag, &found).way, tlb.lookup(entry.page, entry.tag, &found).way);
        QCOMPARE(fresh.fill(entry).way, tlb.fill(entry).way);
      }
      QCOMPARE(test::state_of(fresh), test::state_of(tlb));
    }
  }
};

QTEST_APPLESS_MAIN(TlbTest)
#include "tlb_test.moc"
