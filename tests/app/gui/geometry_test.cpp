// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>

#include "app/gui/geometry.h"
#include "app/gui/timeline.h"

using namespace shearling;
using namespace shearling::gui;

class GeometryTest : public QObject {
  Q_OBJECT
 private slots:
  void the_stage_keeps_its_boxes_apart_and_inside();
  void the_walk_grid_gives_each_reference_a_cell_of_its_own_data();
  void the_walk_grid_gives_each_reference_a_cell_of_its_own();
  void the_partitions_of_a_set_stand_apart();
  void a_short_table_shows_all_it_can();
  void an_address_splits_as_the_cache_sees_it();
  void zooming_keeps_the_cycle_under_the_pointer();
  void the_timeline_never_shows_more_than_the_run();
  void segments_that_touch_become_one();
  void a_long_run_stays_bounded_and_in_order();
  void a_cycle_finds_its_step();
  void a_step_is_recorded_once();
  void each_core_has_its_tracks();
};

void GeometryTest::the_stage_keeps_its_boxes_apart_and_inside() {
  for (const QSizeF size : {QSizeF(340, 220), QSizeF(736, 340), QSizeF(1500, 800)}) {
    const StageLayout layout = stage_layout(size, 1);
    const QRectF whole({0, 0}, size);
    for (const QRectF& box : {layout.guest, layout.vmm, layout.hardware, layout.narration})
      QVERIFY(whole.adjusted(-1, -1, 1, 1).contains(box));
    QVERIFY(layout.guest.contains(layout.user));
    QVERIFY(layout.guest.contains(layout.kernel));
    QVERIFY(!layout.user.intersects(layout.kernel));
    QVERIFY(layout.guest.bottom() < layout.vmm.top());
    QVERIFY(layout.vmm.bottom() < layout.hardware.top());
  }
}

void GeometryTest::the_walk_grid_gives_each_reference_a_cell_of_its_own_data() {
  QTest::addColumn<unsigned>("guest");
  QTest::addColumn<unsigned>("nested");
  QTest::newRow("4 in 4") << 4U << 4U;
  QTest::newRow("4 levels, bare") << 4U << 0U;
  QTest::newRow("3 in 4") << 3U << 4U;
}

void GeometryTest::the_walk_grid_gives_each_reference_a_cell_of_its_own() {
  QFETCH(unsigned, guest);
  QFETCH(unsigned, nested);
  const QSizeF size(900, 600);
  const WalkGridLayout layout = walk_grid_layout(size, guest, nested, 1);
  std::vector<QRectF> cells;
  for (unsigned column = guest + 1; column-- > 0;) {
    for (unsigned row = nested + 1; row-- > 0;) {
      if (nested == 0 && column == 0) continue;
      cells.push_back(layout.cell_of(column, row));
    }
  }
  for (std::size_t one = 0; one < cells.size(); ++one) {
    QVERIFY(QRectF({0, 0}, size).contains(cells[one]));
    for (std::size_t other = one + 1; other < cells.size(); ++other) QVERIFY(!cells[one].intersects(cells[other]));
  }
  // The root is on the left, the guest's own entry under its nested ones.
  QVERIFY(layout.cell_of(guest, nested).left() < layout.cell_of(1, nested).left());
  if (nested != 0) QVERIFY(layout.cell_of(1, 0).top() > layout.cell_of(1, 1).top());
  QVERIFY(QRectF({0, 0}, size).contains(layout.result()));
}

void GeometryTest::the_partitions_of_a_set_stand_apart() {
  const auto boxes = way_boxes({0, 0, 800, 60}, 8, 2, 6);
  QCOMPARE(boxes.size(), std::size_t{8});
  QCOMPARE(boxes[1].left() - boxes[0].right(), 6.0);
  QCOMPARE(boxes[4].left() - boxes[3].right(), 12.0);
  QCOMPARE(boxes[7].right(), 800.0);
  QVERIFY(way_boxes({0, 0, 100, 10}, 0, 1, 6).empty());
}

void GeometryTest::a_short_table_shows_all_it_can() {
  const auto inside = [](const QRectF& box, const TableFlow& flow) {
    for (std::size_t one = 0; one < flow.rows.size(); ++one) {
      if (!box.contains(flow.rows[one])) return false;
      for (std::size_t other = 0; other < one; ++other) {
        if (flow.rows[one].intersects(flow.rows[other])) return false;
      }
    }
    return true;
  };
  constexpr std::size_t kEntries = 16;
  for (const QRectF& box : {QRectF(10, 20, 300, 600), QRectF(0, 0, 300, 330), QRectF(0, 0, 340, 170)}) {
    const TableFlow flow = table_flow(box, kEntries, 5, 1);
    QCOMPARE(flow.rows.size(), kEntries);
    QVERIFY(inside(box, flow));
  }
  // Too low and too narrow for all: the one that matters is among those shown.
  const QRectF low(0, 0, 200, 100);
  for (std::size_t matters = 0; matters < kEntries; ++matters) {
    const TableFlow flow = table_flow(low, kEntries, matters, 1);
    QCOMPARE(flow.rows.size(), std::size_t{5});
    QVERIFY(flow.first <= matters && matters < flow.first + flow.rows.size());
    QVERIFY(flow.first + flow.rows.size() <= kEntries);
    QVERIFY(inside(low, flow));
  }
  QVERIFY(table_flow(low, 0, 0, 1).rows.empty());
}

void GeometryTest::an_address_splits_as_the_cache_sees_it() {
  const AddressSplit split = split_address(0x7f3a1218, 64, 64, 2);
  QCOMPARE(split.offset, std::uint64_t{0x18});
  QCOMPARE(split.set, std::uint64_t{8});
  QCOMPARE(split.partition, std::uint64_t{1});
  QCOMPARE(split.tag, std::uint64_t{0x7f3a1218 >> 13});
  QCOMPARE(split_address(0x7f3a1218, 64, 64, 1).partition_bits, 0U);
}

void GeometryTest::zooming_keeps_the_cycle_under_the_pointer() {
  const TimelineScale whole{.first = 0, .last = 10000, .left = 100, .width = 1000};
  const TimelineScale zoomed = whole.zoomed(350, 0.5, 10000);
  QCOMPARE(zoomed.to_cycle(350), whole.to_cycle(350));
  QCOMPARE(zoomed.last - zoomed.first, 5000.0);
  QCOMPARE(zoomed.to_pixel(zoomed.to_cycle(700)), 700.0);
}

void GeometryTest::the_timeline_never_shows_more_than_the_run() {
  const TimelineScale whole{.first = 0, .last = 1000, .left = 0, .width = 500};
  const TimelineScale out = whole.zoomed(10, 4, 1000);
  QCOMPARE(out.first, 0.0);
  QCOMPARE(out.last, 1000.0);
  const TimelineScale panned = whole.zoomed(0, 0.1, 1000).panned(-100000, 1000);
  QCOMPARE(panned.last, 1000.0);
  QCOMPARE(panned.first, 900.0);
}

void GeometryTest::segments_that_touch_become_one() {
  Timeline timeline;
  for (StepIndex step = 0; step < 100; ++step)
    timeline.record({.step = step, .actor = Actor::GuestKernel, .begin_cycle = step, .end_cycle = step + 1});
  QCOMPARE(timeline.track(Track::GuestKernel).size(), std::size_t{1});
  const TimelineSegment expected{.begin = 0, .end = 100, .first_step = 0, .last_step = 99};
  QVERIFY(timeline.track(Track::GuestKernel)[0] == expected);
}

void GeometryTest::a_long_run_stays_bounded_and_in_order() {
  SegmentList list;
  constexpr std::uint64_t kSegments = 600'000;
  for (std::uint64_t index = 0; index < kSegments; ++index)
    list.extend_or_append({index * 10, index * 10 + 3, index, index});
  QVERIFY(list.size() <= SegmentList::kChunk * SegmentList::kMostChunks);
  QVERIFY(list.size() > 1000);
  for (std::size_t index = 1; index < list.size(); ++index) QVERIFY(list[index - 1].end < list[index].begin);
  QCOMPARE(list[0].begin, std::uint64_t{0});
  QCOMPARE(list[list.size() - 1].end, (kSegments - 1) * 10 + 3);
  QCOMPARE(list.first_ending_after(~std::uint64_t{0} - 1), list.size());
}

void GeometryTest::a_cycle_finds_its_step() {
  Timeline timeline;
  timeline.record({.step = 0, .actor = Actor::GuestKernel, .begin_cycle = 0, .end_cycle = 10, .vmm_cycles = 9});
  timeline.record({.step = 1, .actor = Actor::GuestUser, .begin_cycle = 10, .end_cycle = 11});
  QCOMPARE(timeline.step_at(0), StepIndex{0});
  QCOMPARE(timeline.step_at(5), StepIndex{0});
  QCOMPARE(timeline.step_at(10), StepIndex{1});
  QCOMPARE(timeline.step_at(50), StepIndex{2});
  QCOMPARE(timeline.track(Track::Vmm)[0].begin, std::uint64_t{1});
}

void GeometryTest::a_step_is_recorded_once() {
  Timeline timeline;
  for (int pass = 0; pass < 2; ++pass) {
    for (StepIndex step = 0; step < 10; ++step)
      timeline.record({.step = step, .actor = Actor::GuestUser, .begin_cycle = step, .end_cycle = step + 1});
  }
  QCOMPARE(timeline.cycles(), std::uint64_t{10});
  QCOMPARE(timeline.steps(), StepIndex{10});
}

void GeometryTest::each_core_has_its_tracks() {
  Timeline timeline(2);
  timeline.record({.step = 0, .cpu = 0, .actor = Actor::GuestKernel, .begin_cycle = 0, .end_cycle = 4});
  timeline.record({.step = 1, .cpu = 1, .actor = Actor::Vmm, .begin_cycle = 4, .end_cycle = 9, .walks = 1});
  timeline.record({.step = 2, .cpu = 1, .actor = Actor::GuestUser, .begin_cycle = 9, .end_cycle = 12});
  QCOMPARE(timeline.track(Track::GuestKernel, 0).size(), std::size_t{1});
  QCOMPARE(timeline.track(Track::GuestKernel, 1).size(), std::size_t{0});
  // A guest's own code at the level of a VMM.
  QCOMPARE(timeline.track(Track::Vmm, 1)[0].end, std::uint64_t{9});
  QCOMPARE(timeline.track(Track::PageWalks).size(), std::size_t{1});
  QCOMPARE(timeline.step_at(10), StepIndex{2});
  QCOMPARE(timeline.step_at(5), StepIndex{1});
}

QTEST_APPLESS_MAIN(GeometryTest)
#include "geometry_test.moc"
