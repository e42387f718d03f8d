// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>

#include "core/lesson/answer.h"
#include "core/loader/elf_image.h"

using namespace shearling;

namespace {

/// Three lesson steps: a, b and c, of which b has a twin.
Lesson some_lesson() {
  Lesson lesson;
  lesson.file = "l.md";
  for (const char* id : {"a", "b", "c"}) lesson.blocks.emplace_back(LessonStep{.id = id});
  std::get<LessonStep>(lesson.blocks[1]).twin = std::make_shared<LessonStep>(LessonStep{.id = "b"});
  return lesson;
}

LessonAsk ask_of(const std::string& expression) { return {.id = "q", .answer = expression, .answer_place = {5, 9}}; }

Event event_of(EventPayload payload) { return Event{.payload = std::move(payload)}; }

/// Evaluates over a fixed trace: step a has a walk of 24, b one of 19 and a CPUID exit, c one of 4 and a HLT exit. On
/// the twin, b has a walk of 15 and an HVC exit.
std::string evaluate(const std::string& expression, LessonAsk::Type type = LessonAsk::Type::Number) {
  const Lesson lesson = some_lesson();
  std::vector<Diagnostic> diagnostics;
  auto answer = Answer::parse(ask_of(expression), lesson, diagnostics);
  if (!answer) return "error: " + diagnostics.front().text();
  ElfImage image;
  image.symbols.push_back({.name = "here", .value = 0x1234});
  ElfImage twin_image;
  twin_image.symbols.push_back({.name = "here", .value = 0x5678});
  const auto feed = [&](const char* step, std::initializer_list<Event> events, LessonSide side = LessonSide::First) {
    answer->begin_step(step, side == LessonSide::First ? image : twin_image, side);
    for (const Event& event : events) answer->on_event(event);
  };
  feed("a",
       {event_of(WalkEnd{.references = 24, .latency = 100}), event_of(CacheLookup{.cache = "L1D", .energy = 0.047F})});
  feed("b", {event_of(WalkEnd{.references = 19, .latency = 50}),
             Event{.cycles = 143, .payload = CacheLookup{.cache = "L1D", .latency = 4, .energy = 0.0655F}},
             event_of(VmExit{.reason = 10, .name = "CPUID", .guest_pc = {0x1234}})});
  feed("b",
       {event_of(WalkEnd{.references = 15, .latency = 30}),
        event_of(VmExit{.reason = 0x16, .name = "HVC", .guest_pc = {0x5678}})},
       LessonSide::Twin);
  feed("c", {event_of(WalkEnd{.references = 4, .skipped = 20}), event_of(VmExit{.reason = 12, .name = "HLT"})});
  const auto text = answer->text(type);
  return text ? text.value() : "none: " + text.error().why;
}

}  // namespace

class LessonAnswerTest : public QObject {
  Q_OBJECT

 private slots:
  void expressions_have_the_value_of_the_trace_data() {
    QTest::addColumn<QString>("expression");
    QTest::addColumn<QString>("answer");
    const auto row = [](const char* expression, const char* answer) {
      QTest::newRow(expression) << QString(expression) << QString(answer);
    };
    row("count(walk.end)", "3");
    row("count(walk.end, step=b)", "1");
    row("count(walk.end, steps=a..b)", "2");
    row("count(walk.end, steps: b..c)", "2");
    row("count(walk.end, references>=19)", "2");
    row("count(vm.exit, name='CPUID')", "1");
    row("count(vm.exit, name!=CPUID)", "1");
    row("sum(walk.end.references)", "47");
    row("sum(walk.end.latency, steps=a..b)", "150");
    row("field(walk.end.references, step=b)", "19");
    row("field(walk.end.references)", "24");
    row("field(walk.end.references, last=true)", "4");
    row("field(vm.exit.name, step=c)", "HLT");
    row("seen(vm.exit, step=a)", "no");
    row("seen(vm.exit, step=b)", "yes");
    row("count(vm.exit, guest_pc=sym:here)", "1");
    row("count(vm.exit, twin=yes)", "1");
    row("count(walk.end, step=b, twin=no)", "1");
    row("field(vm.exit.name, step=b, twin=yes)", "HVC");
    row("field(vm.exit.name, twin=yes, steps=a..c, last=true)", "HVC");
    row("field(walk.end.references, step=b) - field(walk.end.references, step=b, twin=yes)", "4");
    row("count(vm.exit, twin=yes, guest_pc=sym:here)", "1");
    row("seen(vm.exit, name=CPUID, twin=yes)", "no");
    row("symbol(here, twin=yes)", "22136");
    row("symbol(here)", "4660");
    row("1 + 2 * 3", "7");
    row("(1 + 2) * 3", "9");
    row("0x10 - 6", "10");
    row("7 / 2", "3.5");
    row("2 - 7", "-5");
    row("7 / 2 * 4 - 1", "13");
    row("(2 - 7) / 2", "-2.5");
    row("1 / (7 / 2 - 3 - 1 / 2)", "none: it divides by zero");
    row("sum(cache.lookup.energy)", "0.1125");
    row("sum(cache.lookup.energy, cache=L1D, step=a) * 1000", "47");
    row("sum(cache.lookup.energy, cache=L1D, step=a) / sum(cache.lookup.energy, step=b)", "0.7176");
    row("sum(cache.lookup.energy, step=c)", "0");
    row("sum(cache.lookup.cycles)", "143");
    row("sum(cache.lookup.latency)", "4");
    row("field(cache.lookup.cycles, step=b)", "143");
    row("field(walk.end.references, step=a) - field(walk.end.references, step=b)", "5");
    row("count(trap.raised)", "0");
    row("field(trap.raised.name)", "none: no trap.raised was seen");
    row("1 / 0", "none: it divides by zero");
    row("symbol(nowhere)", "none: the guest has no symbol 'nowhere'");
    row("field(vm.exit.name, step=b) + 1", "none: only numbers can be added, subtracted, multiplied and divided");
  }
  void expressions_have_the_value_of_the_trace() {
    QFETCH(QString, expression);
    QFETCH(QString, answer);
    QCOMPARE(QString::fromStdString(evaluate(expression.toStdString())), answer);
  }

  void addresses_are_shown_as_such() {
    QCOMPARE(evaluate("symbol(here)", LessonAsk::Type::Address), std::string("0x1234"));
  }

  void mistakes_are_told_at_their_column_data() {
    QTest::addColumn<QString>("expression");
    QTest::addColumn<QString>("error");
    const auto row = [](const char* expression, const char* error) {
      QTest::newRow(expression) << QString(expression) << QString(error);
    };
    row("cuont(vm.exit)", "error: l.md:5:9: there is no function 'cuont'; did you mean 'count'?");
    row("count(vm.exti)", "error: l.md:5:15: there is no event 'vm.exti'; did you mean 'vm.exit'?");
    row("field(vm.exit.resaon)", "error: l.md:5:23: the event 'vm.exit' has no field 'resaon'; did you mean 'reason'?");
    row("count(vm.exit, reson=3)",
        "error: l.md:5:24: the event 'vm.exit' has no field 'reson'; did you mean 'reason'?");
    row("count(vm.exit, reason=ten)",
        "error: l.md:5:31: 'reason' is a number, not 'ten'; write 24, 0x18, or sym:name for the address of a symbol");
    row("count(vm.exit, step=d)", "error: l.md:5:29: there is no step 'd'; one of a, b, c");
    row("count(vm.exit, steps=c..a)",
        "error: l.md:5:30: these steps are in the wrong order; write the earlier one first");
    row("count(vm.exit, twin=maybe)",
        "error: l.md:5:29: 'twin' is yes or no, not 'maybe'; write twin=yes, or leave it out");
    row("1 + count(vm.exit, twin=yes, step=a)",
        "error: l.md:5:33: the steps that count have no twin; leave 'twin' out, or give the machine and its steps a "
        "twin");
    row("count(vm.exit", "error: l.md:5:22: ')' is missing; see docs/lesson-format.md on answers");
    row("1 + 2)", "error: l.md:5:14: ')' is left over; is there a ')' too many?");
    row("sum(vm.exit.name)",
        "error: l.md:5:21: 'name' is no number, so it has no sum; use field(...) or another field");
    row("field(reason)", "error: l.md:5:15: the field is missing; write event.field, for example vm.exit.reason");
    row("count(vm.exit, reason)", "error: l.md:5:24: 'reason' has no value; write name=value");
  }
  void mistakes_are_told_at_their_column() {
    QFETCH(QString, expression);
    QFETCH(QString, error);
    QCOMPARE(QString::fromStdString(evaluate(expression.toStdString())), error);
  }

  void deep_nesting_is_an_error_and_no_crash() {
    const std::string deep = std::string(100'000, '(') + "1" + std::string(100'000, ')');
    QVERIFY(evaluate(deep).find("nested too deeply") != std::string::npos);
  }

  void a_learners_reply_is_compared_kindly() {
    QVERIFY(same_answer(" 0x18 ", "24"));
    QVERIFY(same_answer("cpuid", "CPUID"));
    QVERIFY(!same_answer("25", "24"));
    QVERIFY(same_answer("9.25", "9.27"));
    QVERIFY(same_answer("-9.270", "-9.27"));
    QVERIFY(!same_answer("9.2", "9.27"));
    QVERIFY(!same_answer("9.27", "9"));
    QVERIFY(!same_answer("9.27 or so", "9.27"));
    QVERIFY(same_answer("#GP: the kernel gets control", "#GP"));
    QVERIFY(same_answer("yes", "yes"));
    QVERIFY(!same_answer("#PF: no", "#GP"));
  }
};

QTEST_APPLESS_MAIN(LessonAnswerTest)
#include "lesson_answer_test.moc"
