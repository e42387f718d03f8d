// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/events/statistics.h"

#include <QTest>

using namespace shearling;

namespace {
Event event_of(EventPayload payload, std::uint32_t cycles = 0) {
  return Event{.cycles = cycles, .payload = std::move(payload)};
}
}  // namespace

class StatisticsTest : public QObject {
  Q_OBJECT

 private slots:
  void an_exits_cycles_reach_from_the_exit_to_the_entry() {
    StatisticsSink sink;
    sink.on_event(event_of(VmExit{.name = "CPUID"}, 600));
    sink.on_event(event_of(VmmAction{}, 40));
    sink.on_event(event_of(VmEntry{}, 500));
    sink.on_event(event_of(InstructionRetired{}, 9));
    sink.on_event(event_of(VmExit{.name = "HLT"}, 600));
    QCOMPARE(sink.statistics().exits.at("CPUID").count, std::uint64_t{1});
    QCOMPARE(sink.statistics().exits.at("CPUID").cycles, std::uint64_t{1140});
    QCOMPARE(sink.statistics().exits.at("HLT").cycles, std::uint64_t{600});
  }

  void the_difference_of_two_counts_is_what_happened_between() {
    StatisticsSink sink;
    sink.on_event(event_of(TrapRaised{.name = "#PF"}));
    sink.on_event(event_of(TrapRaised{.name = "#GP"}));
    const Statistics before = sink.statistics();
    sink.on_event(event_of(TrapRaised{.name = "#PF"}));
    const Statistics between = sink.statistics() - before;
    QCOMPARE(between.traps.size(), std::size_t{1});
    QCOMPARE(between.traps.at("#PF"), std::uint64_t{1});
    QCOMPARE(between.events.at("trap.raised"), std::uint64_t{1});
    QVERIFY(before - before == Statistics{});
  }
};

QTEST_APPLESS_MAIN(StatisticsTest)
#include "statistics_test.moc"
