// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/events/reflection.h"

#include <QFile>
#include <QTest>
#include <set>

#include "core/events/spelling.h"

using namespace shearling;

namespace {

Event event_of(EventPayload payload) { return Event{.payload = std::move(payload)}; }

/// Some value that fits a field and is not its default.
FieldValue sample(const FieldInfo& field) {
  if (!field.choices.empty()) return field.choices.back();
  switch (field.format) {
    case FieldFormat::Text:
      return std::string_view("a text");
    case FieldFormat::Flag:
      return true;
    case FieldFormat::Real:
      return 0.5;
    default:
      return std::uint64_t{3};
  }
}

}  // namespace

class ReflectionTest : public QObject {
  Q_OBJECT

 private slots:
  void every_event_has_a_name_of_its_own_and_fields_of_their_own() {
    std::set<std::string_view> names;
    for (const EventInfo& info : event_table()) {
      QVERIFY(names.insert(info.name).second);
      std::set<std::string_view> fields;
      for (const FieldInfo& field : info.fields)
        QVERIFY2(fields.insert(field.name).second, std::string(info.name).c_str());
      QVERIFY(find_event(info.name) == &info);
    }
    QCOMPARE(names.size(), std::variant_size_v<EventPayload>);
  }

  void the_row_of_an_event_is_that_of_its_payload() {
    QCOMPARE(info_of(event_of(VmExit{})).name, std::string_view("vm.exit"));
    QCOMPARE(info_of(event_of(MachineStopped{})).name, std::string_view("machine.stopped"));
  }

  void every_field_takes_a_value_and_gives_it_back() {
    for (const EventInfo& info : event_table()) {
      Event event = event_of(*make_payload(info.name));
      for (const FieldInfo& field : info.fields) {
        QVERIFY2(set_field(event.payload, field.name, sample(field)), std::string(field.name).c_str());
        QCOMPARE(format_value(*field_value(event, field.name), field.format),
                 format_value(sample(field), field.format));
      }
      QCOMPARE(field_values(event).size(), info.fields.size());
    }
  }

  void a_value_that_does_not_fit_its_field_is_refused() {
    EventPayload payload = VmExit{};
    QVERIFY(!set_field(payload, "reason", std::string_view("CPUID")));
    QVERIFY(!set_field(payload, "reason", std::uint64_t{1} << 40));
    QVERIFY(!set_field(payload, "no_such_field", std::uint64_t{1}));
    payload = WalkReference{};
    QVERIFY(!set_field(payload, "served_by", std::string_view("the moon")));
    QVERIFY(!make_payload("vm.exti"));
  }

  void no_sentence_names_a_field_that_its_event_lacks() {
    for (const EventInfo& info : event_table()) {
      Event event = event_of(*make_payload(info.name));
      for (const bool set : {false, true}) {
        for (const FieldInfo& field : info.fields) {
          if (set) set_field(event.payload, field.name, sample(field));
        }
        const std::string text = narrate(event);
        QVERIFY2(text.find('{') == std::string::npos && text.find('}') == std::string::npos, text.c_str());
      }
    }
  }

  void a_narration_shows_values_in_their_formats() {
    const Event walk = event_of(WalkEnd{.virtual_address = {0x28451041128},
                                        .physical_address = {0x3804128},
                                        .references = 24,
                                        .skipped = 0,
                                        .latency = 700});
    QCOMPARE(narrate(walk), std::string("The walk of 0x28451041128 ends after 24 references (0 skipped, 700 cycles) at "
                                        "0x3804128, page size 4 KB."));
    const Event miss = event_of(TlbLookup{.structure = "L2 TLB", .virtual_address = {0x1000}, .set = 1});
    QCOMPARE(narrate(miss), std::string("L2 TLB looks up 0x1000 in set 1: miss."));
  }

  void words_for_a_condition_depend_on_the_field() {
    QCOMPARE(narrate(event_of(
                 WalkReference{.number = 0, .stage = 2, .served_by = ServedBy::NestedTlb, .entry_name = "EPT PDE"})),
             std::string("Not needed: the EPT PDE (stage 2), thanks to the nested TLB."));
    QVERIFY(narrate(event_of(TrapRaised{.name = "#GP", .has_error_code = true, .vector = 13, .error_code = 0x10}))
                .find("error code 0x10") != std::string::npos);
    QVERIFY(narrate(event_of(TrapRaised{.name = "#UD", .vector = 6})).find("error code") == std::string::npos);
  }

  void the_sentence_of_a_check_or_an_action_is_a_template_of_its_own() {
    const Event check = event_of(Check{.name = "cpl",
                                       .sentence = "CPL {actual} may not exceed {required}",
                                       .actual = 3,
                                       .required = 0,
                                       .verdict = CheckVerdict::Failed});
    QCOMPARE(narrate(check), std::string("CPL 0x3 may not exceed 0x0: failed."));
    const Event action =
        event_of(VmmAction{.name = "map", .sentence = "maps {a} to {b}", .a = 0x1000, .b = 0x2000, .cost = 90});
    QCOMPARE(narrate(action), std::string("VMM: maps 0x1000 to 0x2000 (90 cycles)."));
  }

  void traps_exits_and_marks_are_notable_and_lookups_are_not() {
    QVERIFY(is_notable(event_of(TrapRaised{})));
    QVERIFY(is_notable(event_of(VmmAction{})));
    QVERIFY(is_notable(event_of(ConsoleOutput{})));
    QVERIFY(is_notable(event_of(LessonMark{})));
    QVERIFY(!is_notable(event_of(TlbLookup{})));
    QVERIFY(!is_notable(event_of(TlbInvalidate{})));
    QVERIFY(!is_notable(event_of(WalkEnd{})));
  }

  void the_documentation_lists_every_event_with_its_fields() {
    QFile file(SHEARLING_SOURCE_DIR "/docs/events.md");
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QString text = file.readAll();
    for (const EventInfo& info : event_table()) {
      const QString name = QString::fromStdString(std::string(info.name));
      const qsizetype begin =
          text.indexOf("### " + name + (is_notable(event_of(*make_payload(info.name))) ? " \u00b7 notable\n" : "\n"));
      QVERIFY2(begin >= 0, qPrintable(name));
      const QString section = text.mid(begin, text.indexOf("\n### ", begin + 4) - begin);
      QVERIFY2(section.contains("*" + QString::fromStdString(std::string(info.sentence)) + "*"), qPrintable(section));
      QCOMPARE(section.count("\n- `"), static_cast<qsizetype>(info.fields.size()));
      for (const FieldInfo& field : info.fields)
        QVERIFY2(section.contains("- `" + QString::fromStdString(std::string(field.name)) + "`: "), qPrintable(name));
    }
  }

  void a_misspelt_event_is_recognised() {
    QCOMPARE(nearest_event_name("vm.exti"), std::string_view("vm.exit"));
    QCOMPARE(nearest_event_name("walk.refrence"), std::string_view("walk.reference"));
    QCOMPARE(nearest_event_name("something else entirely"), std::string_view(""));
  }

  void the_edit_distance_counts_swaps_as_one() {
    QCOMPARE(edit_distance("exit", "exti"), 1U);
    QCOMPARE(edit_distance("kitten", "sitting"), 3U);
    QCOMPARE(edit_distance("", "abc"), 3U);
    QCOMPARE(edit_distance("Step", "step"), 0U);
  }
};

QTEST_APPLESS_MAIN(ReflectionTest)
#include "reflection_test.moc"
