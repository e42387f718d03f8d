// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/memory/physical_memory.h"

#include <QTest>
#include <chrono>
#include <functional>
#include <random>
#include <tuple>

#include <sys/mman.h>

using namespace shearling;

namespace {

constexpr std::uint64_t kBase = 0x40000000;

PhysicalAddress at(std::uint64_t offset) { return {kBase + offset}; }

std::vector<std::uint8_t> content(const PhysicalMemory& memory) {
  std::vector<std::uint8_t> bytes(memory.size());
  memory.read_bytes(memory.base(), bytes);
  return bytes;
}

/// Host pages that stand behind the RAM, the shared zero page included.
std::size_t resident_pages(PhysicalMemory& memory) {
  std::vector<unsigned char> pages(memory.size() / kFrameBytes);
  if (mincore(memory.host_data(), memory.size(), pages.data()) != 0) return pages.size();
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; }));
}

}  // namespace

class PhysicalMemoryTest : public QObject {
  Q_OBJECT
 private slots:
  void sizes_are_rounded_up_to_whole_frames() {
    const PhysicalMemory memory({kBase}, 4097);
    QCOMPARE(memory.size(), std::uint64_t{8192});
    QVERIFY(memory.contains(at(0)));
    QVERIFY(memory.contains(at(8191)));
    QVERIFY(!memory.contains(at(8191), 2));
    QVERIFY(!memory.contains({kBase - 1}));
    QVERIFY(!memory.contains({~std::uint64_t{0}}));
  }

  void values_are_little_endian_and_may_cross_frames() {
    PhysicalMemory memory({kBase}, 8192);
    memory.write(at(4092), 8, 0x1122334455667788);
    QCOMPARE(memory.read(at(4092), 8), std::uint64_t{0x1122334455667788});
    QCOMPARE(memory.read(at(4092), 1), std::uint64_t{0x88});
    QCOMPARE(memory.read(at(4096), 4), std::uint64_t{0x11223344});
    QVERIFY(memory.is_marked(at(0)) && memory.is_marked(at(4096)));
  }

  void outside_ram_reads_give_ones_and_writes_are_lost() {
    PhysicalMemory memory({kBase}, 4096);
    QCOMPARE(memory.read({0}, 4), std::uint64_t{0xffffffff});
    QCOMPARE(memory.read({~std::uint64_t{0}}, 8), ~std::uint64_t{0});
    memory.write({kBase - 4096}, 8, 1);
    memory.write(at(4094), 4, 0xaabbccdd);  // Half of it lies in RAM.
    QCOMPARE(memory.read(at(4094), 4), std::uint64_t{0xffffccdd});
    QVERIFY(memory.frame(0).empty());
    QVERIFY(memory.is_marked({0}));  // Nothing to mark there.
  }

  void frames_are_named_by_their_physical_number() {
    PhysicalMemory memory({kBase}, 8192);
    memory.write(at(4096), 1, 7);
    QCOMPARE(memory.frame(kBase / kFrameBytes + 1).size(), std::size_t{4096});
    QCOMPARE(memory.frame(kBase / kFrameBytes + 1)[0], std::uint8_t{7});
    QCOMPARE(memory.frame(kBase / kFrameBytes)[0], std::uint8_t{0});
    QVERIFY(memory.frame(kBase / kFrameBytes + 2).empty());
  }

  void marks_end_with_each_snapshot_restore_and_digest() {
    PhysicalMemory memory({kBase}, 8192);
    const auto empty = memory.snapshot();
    const std::array<std::function<void()>, 3> enders{[&] { std::ignore = memory.snapshot(); },
                                                      [&] { std::ignore = memory.digest(); },
                                                      [&] { memory.restore(empty); }};
    for (const auto& end : enders) {
      memory.will_write(at(5));
      QVERIFY(memory.is_marked(at(4095)));
      QVERIFY(!memory.is_marked(at(4096)));
      end();
      QVERIFY(!memory.is_marked(at(5)));
    }
  }

  void a_direct_store_after_a_digest_is_in_the_next_snapshot_too() {
    PhysicalMemory memory({kBase}, 4096);
    memory.will_write(at(0));
    memory.host_data()[0] = 1;
    const std::uint64_t first = memory.digest();
    memory.will_write(at(0));
    memory.host_data()[0] = 2;
    const auto picture = memory.snapshot();
    QCOMPARE((*picture->frame(0))[0], std::uint8_t{2});
    QVERIFY(memory.digest() != first);
  }

  void snapshots_share_what_did_not_change() {
    PhysicalMemory memory({kBase}, 1024 * kFrameBytes);
    memory.write(at(0), 1, 1);
    memory.write(at(300 * kFrameBytes), 1, 1);
    const auto first = memory.snapshot();
    QCOMPARE(memory.snapshot(), first);
    memory.write(at(kFrameBytes), 1, 9);
    const auto second = memory.snapshot();
    QCOMPARE(second->frame(0), first->frame(0));
    QVERIFY(first->frame(1) == nullptr);
    QCOMPARE((*second->frame(1))[0], std::uint8_t{9});
    QCOMPARE(second->chunks[1], first->chunks[1]);
    QVERIFY(second->chunks[2] == nullptr);
  }

  void a_frame_that_is_zero_again_is_not_kept() {
    PhysicalMemory memory({kBase}, 4096);
    const std::uint64_t empty = memory.digest();
    memory.write(at(8), 1, 1);
    std::ignore = memory.snapshot();
    memory.write(at(8), 1, 0);
    QVERIFY(memory.snapshot()->frame(0) == nullptr);
    QCOMPARE(memory.digest(), empty);
  }

  void restore_names_the_frames_whose_bytes_changed() {
    PhysicalMemory memory({kBase}, 600 * kFrameBytes);
    memory.write(at(0), 8, 1);
    memory.write(at(kFrameBytes), 8, 1);
    const auto first = memory.snapshot();
    memory.write(at(kFrameBytes), 8, 2);
    memory.write(at(599 * kFrameBytes), 8, 3);
    std::ignore = memory.snapshot();
    memory.write(at(2 * kFrameBytes), 8, 4);
    memory.will_write(at(3 * kFrameBytes));  // Marked, but never written.
    memory.write(at(0), 8, 5);
    memory.write(at(0), 8, 1);  // Written, but as before.
    const std::uint64_t number = kBase / kFrameBytes;
    QCOMPARE(memory.restore(first), (std::vector<std::uint64_t>{number + 1, number + 2, number + 599}));
    QCOMPARE(memory.read(at(kFrameBytes), 8), std::uint64_t{1});
    QCOMPARE(memory.read(at(599 * kFrameBytes), 8), std::uint64_t{0});
    QVERIFY(memory.restore(first).empty());
  }

  void random_histories_restore_every_picture_exactly() {
    const std::uint32_t seed = 20240607;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    PhysicalMemory memory({kBase}, 520 * kFrameBytes);
    struct Past {
      std::shared_ptr<const MemorySnapshot> picture;
      std::vector<std::uint8_t> bytes;
      std::uint64_t digest;
    };
    std::vector<Past> past;
    for (unsigned round = 0; round < 200; ++round) {
      for (auto writes = random() % 20; writes != 0; --writes) {
        const std::uint64_t offset = random() % (memory.size() - 8);
        if (random() % 2 == 0) {
          memory.write(at(offset), 8, random() % 3);
        } else {
          memory.will_write(at(offset));
          memory.host_data()[offset] = static_cast<std::uint8_t>(random() % 3);
        }
        if (random() % 8 == 0) std::ignore = memory.digest();
      }
      if (past.empty() || random() % 3 != 0) {
        auto picture = memory.snapshot();
        past.push_back({std::move(picture), content(memory), memory.digest()});
        continue;
      }
      const Past& chosen = past[random() % past.size()];
      const std::vector<std::uint8_t> before = content(memory);
      std::vector<std::uint64_t> expected;
      for (std::uint64_t frame = 0; frame < memory.size() / kFrameBytes; ++frame) {
        if (std::memcmp(&before[frame * kFrameBytes], &chosen.bytes[frame * kFrameBytes], kFrameBytes) != 0) {
          expected.push_back(kBase / kFrameBytes + frame);
        }
      }
      QCOMPARE(memory.restore(chosen.picture), expected);
      QVERIFY(content(memory) == chosen.bytes);
      QCOMPARE(memory.digest(), chosen.digest);
    }
  }

  void the_digest_kept_up_equals_the_digest_of_a_fresh_copy() {
    PhysicalMemory memory({kBase}, 64 * kFrameBytes);
    std::mt19937 random(5);
    for (unsigned round = 0; round < 50; ++round) {
      memory.write(at(random() % (memory.size() - 8)), 8, random());
      const std::uint64_t kept_up = memory.digest();
      PhysicalMemory copy({kBase}, 128 * kFrameBytes);  // More RAM, all zero: no difference.
      copy.write_bytes({kBase}, content(memory));
      QCOMPARE(copy.digest(), kept_up);
    }
  }

  void the_digest_tells_equal_frames_at_different_places_apart() {
    PhysicalMemory first({kBase}, 8192);
    PhysicalMemory second({kBase}, 8192);
    first.write(at(0), 1, 1);
    second.write(at(4096), 1, 1);
    QVERIFY(first.digest() != second.digest());
  }

  void sha256_covers_frame_numbers_and_bytes_of_non_zero_frames() {
    // printf '\2\0\0\0\0\0\0\0a' plus 4,095 zero bytes | sha256sum
    PhysicalMemory memory({0}, 4 * kFrameBytes);
    memory.write({2 * kFrameBytes}, 1, 'a');
    const auto text = sha256_of_frames(4, [&](std::uint64_t index) { return memory.frame(index); });
    QCOMPARE(text, std::string("d5b5cedf61270b1cb0a992fcc2ddd69aed0f751b5b87685ff4b20412093fb2b3"));
    FrameSha256 empty;
    empty.add(0, std::span<const std::uint8_t>());
    QCOMPARE(empty.finish(), std::string("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
  }

  void large_ram_costs_host_memory_only_where_it_is_touched() {
    PhysicalMemory memory({0}, std::uint64_t{512} << 20);
    memory.write({std::uint64_t{300} << 20}, 8, 1);
    std::ignore = memory.digest();
    const auto picture = memory.snapshot();
    memory.restore(picture);
    sha256_of_frames(memory.size() / kFrameBytes, [&](std::uint64_t index) { return memory.frame(index); });
    QVERIFY(resident_pages(memory) <= 512);  // One page, or one huge page where the host uses them.
  }

  void a_snapshot_of_512_megabytes_with_few_changes_is_cheap() {
    PhysicalMemory memory({0}, std::uint64_t{512} << 20);
    const auto round_trip = [&](std::uint64_t round) {
      for (std::uint64_t index = 0; index < 16; ++index) memory.write({(index * 37 % 512) << 20}, 8, round + 1);
      const auto start = std::chrono::steady_clock::now();
      std::ignore = memory.snapshot();
      return std::chrono::steady_clock::now() - start;
    };
    auto best = round_trip(0);
    for (std::uint64_t round = 1; round < 50; ++round) best = std::min(best, round_trip(round));
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(best).count();
    qInfo("best of 50: %lld us", static_cast<long long>(microseconds));
    QVERIFY(microseconds < 2000);  // Generous: sanitizers and a busy host must not fail it.
  }
};

QTEST_APPLESS_MAIN(PhysicalMemoryTest)
#include "physical_memory_test.moc"
