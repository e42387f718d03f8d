// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/engine/code_map.h"

#include <QTest>
#include <random>

using namespace shearling;

class CodeMapTest : public QObject {
  Q_OBJECT
 private slots:
  void only_covered_bytes_count() {
    FrameContent bytes{};
    CodeMap map;
    QVERIFY(map.cover(7, 62, 4, bytes.data()));
    QVERIFY(!map.cover(7, 100, 1, bytes.data()));
    QVERIFY(map.holds(7));
    QVERIFY(!map.holds(8));
    for (const std::size_t at : {std::size_t{61}, std::size_t{66}, std::size_t{99}, std::size_t{101}}) bytes[at] = 1;
    QVERIFY(!map.differs(7, bytes.data()));
    bytes[65] = 1;
    QVERIFY(map.differs(7, bytes.data()));
    QVERIFY(!map.differs(8, bytes.data()));
  }

  void covering_again_keeps_the_translated_value() {
    FrameContent bytes{};
    CodeMap map;
    map.cover(1, 0, 8, bytes.data());
    bytes[3] = 9;
    map.cover(1, 0, 16, bytes.data());
    QVERIFY(map.differs(1, bytes.data()));
    map.uncover(1, 3, 1);
    QVERIFY(!map.differs(1, bytes.data()));
    map.cover(1, 3, 1, bytes.data());
    bytes[3] = 0;
    QVERIFY(map.differs(1, bytes.data()));
    map.forget(1);
    QVERIFY(!map.holds(1));
  }

  void agrees_with_a_plain_model() {
    const std::uint32_t seed = 77;
    qInfo("seed %u", seed);
    std::mt19937 random(seed);
    FrameContent now{};
    std::array<int, kFrameBytes> model{};
    model.fill(-1);
    CodeMap map;
    map.cover(0, 0, 0, now.data());
    for (unsigned round = 0; round < 3000; ++round) {
      const auto offset = static_cast<std::uint32_t>(random() % kFrameBytes);
      const auto length = static_cast<std::uint32_t>(random() % 200);
      const std::uint32_t end = std::min<std::uint32_t>(offset + length, kFrameBytes);
      const auto action = random() % 3;
      if (action == 0) map.cover(0, offset, length, now.data());
      if (action == 1) map.uncover(0, offset, length);
      for (std::uint32_t at = offset; at < end; ++at) {
        if (action == 0 && model[at] < 0) model[at] = now[at];
        if (action == 1) model[at] = -1;
      }
      if (action == 2) now[offset] = static_cast<std::uint8_t>(random() % 2);
      bool differs = false;
      for (std::size_t at = 0; at < kFrameBytes; ++at) differs = differs || (model[at] >= 0 && model[at] != now[at]);
      QCOMPARE(map.differs(0, now.data()), differs);
    }
  }
};

QTEST_APPLESS_MAIN(CodeMapTest)
#include "code_map_test.moc"
