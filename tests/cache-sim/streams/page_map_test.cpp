// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/page_map.h"

#include <QTest>
#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <unordered_map>

#include "tests/cache-sim/test_support.h"

using namespace shearling;
using test::Random;

namespace {

constexpr std::uint64_t kMegabyte = 1 << 20;
constexpr std::uint64_t kRegion = 2 * kMegabyte;

std::vector<VirtualAddress> pages_from(std::uint64_t first, std::uint64_t bytes) {
  std::vector<VirtualAddress> pages;
  for (std::uint64_t offset = 0; offset < bytes; offset += 4096) pages.push_back({first + offset});
  return pages;
}

double share_of_superpages(PageMap& map, std::uint64_t first, std::uint64_t bytes) {
  for (const VirtualAddress page : pages_from(first, bytes)) static_cast<void>(map.translate(page, 0));
  const double superpages = static_cast<double>(map.footprint(PageSize::Size2M));
  return superpages / (superpages + static_cast<double>(map.footprint(PageSize::Size4K)));
}

/// Which page holds each 4 KB of physical memory; false where two do.
class Owners {
 public:
  bool claim(const MappedPage& mapped, std::uint16_t address_space) {
    const auto known = frames_.try_emplace({mapped.page.value, address_space}, mapped.frame.value);
    if (!known.second) return known.first->second == mapped.frame.value;
    for (std::uint64_t offset = 0; offset < page_bytes(mapped.size); offset += 4096) {
      const auto owner = std::make_pair(mapped.page.value, address_space);
      if (owners_.try_emplace(mapped.frame.value + offset, owner).first->second != owner) return false;
    }
    return true;
  }

 private:
  std::map<std::pair<std::uint64_t, std::uint16_t>, std::uint64_t> frames_;
  std::unordered_map<std::uint64_t, std::pair<std::uint64_t, std::uint16_t>> owners_;
};

}  // namespace

class PageMapTest : public QObject {
  Q_OBJECT

 private slots:
  void no_two_pages_share_a_frame() {
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    for (int round = 0; round < 16; ++round) {
      PageMapConfig config;
      config.superpage_share = static_cast<double>(random.below(5)) / 4;
      config.fragmentation = static_cast<double>(random.below(5)) / 4;
      config.base_page = static_cast<PageSize>(random.below(3));
      config.seed = random.bits();
      config.physical_address_bits = static_cast<unsigned>(24 + random.below(14));  // 16 MB is soon full
      PageMap map(config);
      Owners owners;
      for (int i = 0; i < 2000; ++i) {
        const std::uint64_t area = random.below(3) * 0x123456789000;
        const VirtualAddress address{area + random.below(40 * kRegion)};
        const auto space = static_cast<std::uint16_t>(random.below(3));
        const MappedPage mapped = map.translate(address, space);
        QVERIFY(mapped.page.value <= address.value && address.value - mapped.page.value < page_bytes(mapped.size));
        QCOMPARE(mapped.frame.value & page_offset_mask(mapped.size), 0U);
        QVERIFY(owners.claim(mapped, space));
      }
    }
  }

  void a_page_keeps_its_frame() {
    PageMapConfig config;
    config.superpage_share = 0.5;
    config.fragmentation = 0.5;
    PageMap map(config);
    std::map<std::uint64_t, std::uint64_t> frames;
    Random random(7);
    for (int i = 0; i < 20000; ++i) {
      const VirtualAddress address{random.below(64 * kRegion)};
      const MappedPage mapped = map.translate(address, 3);
      QCOMPARE(frames.try_emplace(mapped.page.value, mapped.frame.value).first->second, mapped.frame.value);
    }
  }

  void the_order_of_touching_does_not_matter() {
    for (const double fragmentation : {0.0, 0.5, 1.0}) {
      PageMapConfig config;
      config.superpage_share = 0.5;
      config.fragmentation = fragmentation;
      PageMap forwards(config), shuffled(config);
      std::vector<VirtualAddress> pages = pages_from(0x7f0012340000, 100 * kRegion);
      std::map<std::uint64_t, std::uint64_t> expected;
      for (const VirtualAddress page : pages) expected[page.value] = forwards.translate(page, 1).frame.value;
      std::shuffle(pages.begin(), pages.end(), std::mt19937_64(5));
      for (const VirtualAddress page : pages) QCOMPARE(shuffled.translate(page, 1).frame.value, expected[page.value]);
    }
  }

  void address_spaces_have_frames_of_their_own() {
    PageMap map({});
    QVERIFY(map.translate({0x5000}, 1).frame != map.translate({0x5000}, 2).frame);
  }

  void the_share_of_superpages_is_met() {
    for (const double share : {0.0, 0.1, 0.29, 0.5, 0.805, 1.0}) {
      for (const std::uint64_t seed : {1U, 2U, 3U}) {
        PageMapConfig config;
        config.superpage_share = share;
        config.seed = seed;
        PageMap large(config);
        const double met = share_of_superpages(large, 0x1000000000, 512 * kRegion);
        QVERIFY2(std::abs(met - share) < 0.02, qPrintable(QString("%1 for %2").arg(met).arg(share)));
        PageMap small(config);
        QVERIFY(std::abs(share_of_superpages(small, 0x1000000000, 32 * kRegion) - share) <= 1.0 / 16);
      }
    }
  }

  void without_fragmentation_base_pages_lie_in_order() {
    PageMapConfig config;
    config.fragmentation = 0;
    PageMap map(config);
    const std::uint64_t first = map.translate({0x40000000}, 0).frame.value;
    QCOMPARE(first % kRegion, 0U);
    for (std::uint64_t offset = 0; offset < kRegion; offset += 4096)
      QCOMPARE(map.translate({0x40000000 + offset}, 0).frame.value, first + offset);
  }

  void with_fragmentation_virtual_and_physical_bits_are_unrelated() {
    PageMap map({});
    unsigned agree = 0;
    const std::vector<VirtualAddress> pages = pages_from(0x40000000, 16 * kRegion);
    for (const VirtualAddress page : pages)
      agree += (map.translate(page, 0).frame.value >> 12 & 3) == (page.value >> 12 & 3);
    const double share = static_cast<double>(agree) / static_cast<double>(pages.size());
    QVERIFY2(share > 0.2 && share < 0.3, qPrintable(QString::number(share)));
  }

  void explicit_ranges_win_over_the_share() {
    PageMapConfig config;
    config.superpages = {{{0x40000000}, {0x401fffff}}};
    PageMap few(config);
    QCOMPARE(few.translate({0x40123456}, 0).size, PageSize::Size2M);
    QCOMPARE(few.translate({0x40200000}, 0).size, PageSize::Size4K);
    config.superpage_share = 1;
    config.superpages.clear();
    config.base_pages = {{{0x40100000}, {0x40100000}}};
    PageMap most(config);
    QCOMPARE(most.translate({0x40000000}, 0).size, PageSize::Size4K);
    QCOMPARE(most.translate({0x40200000}, 0).size, PageSize::Size2M);
  }

  void a_splintered_superpage_keeps_its_frames() {
    PageMapConfig config;
    config.superpage_share = 1;
    PageMap map(config);
    const MappedPage before = map.translate({0x40000000}, 0);
    QVERIFY(map.splinter({0x40001234}, 0));
    QVERIFY(!map.splinter({0x40001234}, 0));
    for (std::uint64_t offset = 0; offset < kRegion; offset += 4096) {
      const MappedPage after = map.translate({0x40000000 + offset}, 0);
      QCOMPARE(after.size, PageSize::Size4K);
      QCOMPARE(after.frame.value, before.frame.value + offset);
    }
    QCOMPARE(map.footprint(PageSize::Size2M), 0U);
    QCOMPARE(map.footprint(PageSize::Size4K), kRegion);
  }

  void a_promotion_tells_the_frames_of_the_pages_that_were_touched() {
    PageMap map({});
    const PhysicalAddress one = map.translate({0x40003000}, 0).frame, other = map.translate({0x40101000}, 0).frame;
    std::vector<PhysicalAddress> old;
    QVERIFY(map.promote({0x40000000}, 0, old));
    QCOMPARE(old.size(), std::size_t{2});
    QVERIFY(old[0] == one && old[1] == other);
    const MappedPage after = map.translate({0x40003000}, 0);
    QCOMPARE(after.size, PageSize::Size2M);
    QCOMPARE(map.footprint(PageSize::Size4K), 0U);
    QCOMPARE(map.footprint(PageSize::Size2M), kRegion);
    QVERIFY(!map.promote({0x40000000}, 0, old));
    QVERIFY(old.empty());
  }

  void pages_stay_apart_through_splinters_and_promotions() {
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    PageMapConfig config;
    config.superpage_share = 0.5;
    config.physical_address_bits = 30;
    PageMap map(config);
    std::vector<PhysicalAddress> old;
    for (int i = 0; i < 300; ++i) {
      const VirtualAddress address{random.below(20 * kRegion)};
      if (random.one_in(2))
        map.splinter(address, 0);
      else
        map.promote(address, 0, old);
      if (i % 10 != 0) continue;
      Owners owners;
      std::uint64_t bytes = 0;
      for (const VirtualAddress page : pages_from(0, 20 * kRegion)) {
        const MappedPage mapped = map.translate(page, 0);
        if (mapped.page == page) bytes += page_bytes(mapped.size);
        if (mapped.page == page) QVERIFY(owners.claim(mapped, 0));
      }
      QCOMPARE(map.footprint(PageSize::Size2M) + map.footprint(PageSize::Size4K), bytes);
    }
  }

  void impossible_configurations_say_why() {
    const auto problem = [](auto change) {
      PageMapConfig config;
      change(config);
      return problem_of(config);
    };
    QVERIFY(problem_of(PageMapConfig{}).empty());
    QVERIFY(!problem([](PageMapConfig& c) { c.superpage_share = 1.5; }).empty());
    QVERIFY(!problem([](PageMapConfig& c) { c.superpage_share = std::numeric_limits<double>::quiet_NaN(); }).empty());
    QVERIFY(!problem([](PageMapConfig& c) { c.fragmentation = -0.1; }).empty());
    QVERIFY(!problem([](PageMapConfig& c) { c.base_page = PageSize::Size2M; }).empty());
    QVERIFY(!problem([](PageMapConfig& c) { c.physical_address_bits = 20; }).empty());
    QVERIFY(!problem([](PageMapConfig& c) { c.superpages = {{{2}, {1}}}; }).empty());
    QVERIFY(!problem([](PageMapConfig& c) {
               c.superpages = {{{0}, {0x1fffff}}};
               c.base_pages = {{{0x100000}, {0x100000}}};
             }).empty());
  }
};

QTEST_APPLESS_MAIN(PageMapTest)
#include "page_map_test.moc"
