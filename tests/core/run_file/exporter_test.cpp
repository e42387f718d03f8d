// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/exporter.h"

#include <QTest>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace shearling;
using nlohmann::json;

namespace {

std::vector<Event> a_run() {
  const auto event = [](StepIndex step, std::uint32_t ordinal, Actor actor, std::uint8_t privilege,
                        std::uint32_t cycles, EventPayload payload) {
    return Event{.step = step,
                 .ordinal = ordinal,
                 .actor = actor,
                 .privilege = privilege,
                 .cycles = cycles,
                 .payload = std::move(payload)};
  };
  return {event(0, 0, Actor::GuestKernel, 0, 0, LessonMark{.mark = 1}),
          event(10, 0, Actor::GuestKernel, 0, 0, PrivilegeChanged{.from = 0, .to = 3, .reason = "IRETQ"}),
          event(20, 0, Actor::GuestUser, 3, 620, VmExit{.reason = 10, .name = "CPUID"}),
          event(20, 1, Actor::Vmm, 0, 70,
                VmmAction{.name = "cpuid.emulate", .sentence = "answers \"leaf\" {a}", .cost = 70}),
          event(20, 2, Actor::Vmm, 0, 490, VmEntry{}),
          event(30, 0, Actor::GuestUser, 3, 0, TrapRaised{.name = "#GP"}),
          event(30, 1, Actor::GuestUser, 3, 0, PrivilegeChanged{.from = 3, .to = 0, .reason = "#GP"}),
          event(31, 0, Actor::GuestKernel, 0, 0, WalkBegin{}),
          event(31, 1, Actor::GuestKernel, 0, 40, WalkReference{.number = 1}),
          event(31, 2, Actor::GuestKernel, 0, 0, WalkEnd{.references = 1, .latency = 40}),
          event(40, 0, Actor::GuestKernel, 0, 0, MachineStopped{.reason = StopReason::ExitPort, .code = 1})};
}

std::string exported(ExportOptions options) {
  std::ostringstream out;
  options.title = "guest";
  const auto exporter = Exporter::make(out, options);
  exporter->interval({.first = 0, .steps = 40, .models = true, .counters = {.traps = 1, .exits = 1}});
  for (const Event& event : a_run()) exporter->on_event(event);
  exporter->finish(41);
  return out.str();
}

std::vector<json> entries(const json& trace, const char* phase) {
  std::vector<json> found;
  for (const json& entry : trace["traceEvents"]) {
    if (entry["ph"] == phase) found.push_back(entry);
  }
  return found;
}

json slice_named(const json& trace, const std::string& name) {
  for (const json& entry : entries(trace, "X")) {
    if (entry["name"] == name) return entry;
  }
  return nullptr;
}

}  // namespace

class ExporterTest : public QObject {
  Q_OBJECT

 private slots:
  void a_chrome_trace_is_json_with_a_track_for_each_actor() {
    const json trace = json::parse(exported({}), nullptr, false);
    QVERIFY(!trace.is_discarded());
    std::vector<std::string> tracks;
    for (const json& entry : entries(trace, "M")) {
      if (entry["name"] == "thread_name") tracks.push_back(entry["args"]["name"].get<std::string>());
    }
    QVERIFY((tracks ==
             std::vector<std::string>{"guest user", "guest kernel", "VMM", "page walks", "console and interrupts"}));
  }

  void each_core_has_a_process_of_its_own() {
    std::ostringstream out;
    const auto exporter = Exporter::make(out, {.time = ExportTime::Steps, .cpus = 2, .title = "guest"});
    for (Event one : a_run()) {
      one.vcpu = one.step < 20 ? 0 : 1;
      exporter->on_event(one);
    }
    exporter->finish(41);
    const json trace = json::parse(out.str());
    std::vector<std::string> processes;
    for (const json& entry : entries(trace, "M")) {
      if (entry["name"] == "process_name") processes.push_back(entry["args"]["name"].get<std::string>());
    }
    QVERIFY((processes == std::vector<std::string>{"guest, core 0", "guest, core 1"}));
    QCOMPARE(slice_named(trace, "CPUID")["pid"].get<int>(), 2);
    // The first core stays where it was, whatever the second one does.
    int ends_at = 0;
    for (const json& slice : entries(trace, "X")) {
      if (slice["pid"] == 1) ends_at = slice["ts"].get<int>() + slice["dur"].get<int>();
    }
    QCOMPARE(ends_at, 41);
  }

  void slices_have_the_cycles_that_were_charged() {
    const json trace = json::parse(exported({}));
    const json exit = slice_named(trace, "CPUID");
    QCOMPARE(exit["ts"].get<int>(), 20);
    QCOMPARE(exit["dur"].get<int>(), 620 + 70 + 490);
    const json action = slice_named(trace, "cpuid.emulate");
    QCOMPARE(action["ts"].get<int>(), 20 + 620);
    QCOMPARE(action["dur"].get<int>(), 70);
    QCOMPARE(slice_named(trace, "walk")["dur"].get<int>(), 40);
    QCOMPARE(slice_named(trace, "guest user")["ts"].get<int>(), 10);
    QCOMPARE(slice_named(trace, "guest user")["dur"].get<int>(), 10);
  }

  void slices_of_a_track_never_overlap_but_by_nesting() {
    const json trace = json::parse(exported({}));
    const auto slices = entries(trace, "X");
    for (const json& a : slices) {
      for (const json& b : slices) {
        if (a == b || a["tid"] != b["tid"] || a["ts"] > b["ts"]) continue;
        const auto end_a = a["ts"].get<int>() + a["dur"].get<int>();
        const auto end_b = b["ts"].get<int>() + b["dur"].get<int>();
        QVERIFY2(b["ts"].get<int>() >= end_a || end_b <= end_a, (a.dump() + b.dump()).c_str());
      }
    }
  }

  void an_arrow_leads_from_the_exit_through_the_vmm_to_the_entry() {
    const json trace = json::parse(exported({}));
    const auto start = entries(trace, "s"), through = entries(trace, "t"), end = entries(trace, "f");
    QCOMPARE(start.size(), std::size_t{1});
    QCOMPARE(through.size(), std::size_t{1});
    QCOMPARE(end.size(), std::size_t{1});
    QCOMPARE(start[0]["id"].get<int>(), end[0]["id"].get<int>());
    QCOMPARE(start[0]["tid"].get<int>(), 1);  // guest user: whom it leaves
    QCOMPARE(through[0]["tid"].get<int>(), 3);
    QCOMPARE(end[0]["tid"].get<int>(), 1);
    QVERIFY(start[0]["ts"] < through[0]["ts"] && through[0]["ts"] < end[0]["ts"]);
  }

  void time_can_be_told_in_steps() {
    const json trace = json::parse(exported({.time = ExportTime::Steps}));
    const auto stops = entries(trace, "i");
    QCOMPARE(stops.back()["ts"].get<int>(), 40);
    QCOMPARE(slice_named(trace, "CPUID")["dur"].get<int>(), 0);
  }

  void csv_has_one_row_an_event_and_quotes_what_needs_it() {
    const QStringList rows =
        QString::fromStdString(exported({.format = ExportFormat::Csv})).split("\r\n", Qt::SkipEmptyParts);
    QCOMPARE(rows.size(), static_cast<int>(a_run().size()) + 1);
    QCOMPARE(rows[0], QString("step,ordinal,vcpu,actor,privilege,cycles,event,narration,fields"));
    QVERIFY(rows[4].startsWith(
        "20,1,0,VMM,0,70,vmm.action,\"VMM: answers \"\"leaf\"\" 0x0 (70 cycles).\",\"name=cpuid.emulate; "));
  }
};

QTEST_APPLESS_MAIN(ExporterTest)
#include "exporter_test.moc"
