// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTest>
#include <random>

#include "core/lesson/lesson.h"
#include "core/loader/elf_image.h"

using namespace shearling;

namespace {

constexpr const char* kFront = "---\nid: test\ntitle: A test\n---\n";
constexpr const char* kMachine = "```machine\nguest: page-walk\nvmm: vt-x\n```\n";  // lines 5 to 8

/// A lesson whose only step has this body; the body begins in line 10.
ParsedLesson with_step(const std::string& body) {
  return parse_lesson(std::string(kFront) + kMachine + "```step\n" + body + "```\n", "l.md");
}
std::string first_error(const ParsedLesson& parsed) {
  return parsed.ok() ? std::string() : parsed.diagnostics.front().text();
}
/// The same on a machine that has a twin; the body begins in line 11.
ParsedLesson with_twin_step(const std::string& body) {
  return parse_lesson(
      std::string(kFront) +
          "```machine\nguest: page-walk\nvmm: vt-x\ntwin: {guest: other, vmm: el2, machine: m.yaml}\n```\n"
          "```step\n" +
          body + "```\n",
      "l.md");
}
const LessonStep& only_step(const ParsedLesson& parsed) { return std::get<LessonStep>(parsed.lesson.blocks.back()); }

}  // namespace

class LessonParserTest : public QObject {
  Q_OBJECT

 private slots:
  void a_lesson_is_prose_and_blocks_in_order() {
    const ParsedLesson parsed = parse_lesson(
        "---\nid: walks\ntitle: Walks\norder: 3\nmissions: [L11, U2]\nsummary: short\n---\n# Walks\n\nProse.\n"
        "```machine\nguest: page-walk\nvmm: vt-x\nmachine: mine.yaml\n```\nMore prose.\n"
        "```c\nint not_ours;\n```\n"
        "```step\nid: one\nuntil: {symbol: the_cold_load}\nshow: [walk, tlbs]\nsay: |\n  Two\n  lines.\n```\n"
        "```ask\nid: q\ntype: number\nprompt: How many?\nanswer: count(walk.reference, step=one)\n```\n",
        "folder/lesson.md");
    QVERIFY2(parsed.ok(), first_error(parsed).c_str());
    const Lesson& lesson = parsed.lesson;
    QCOMPARE(lesson.id, std::string("walks"));
    QCOMPARE(lesson.order, 3U);
    QCOMPARE(lesson.missions.size(), std::size_t{2});
    QCOMPARE(lesson.folder, std::string("folder"));
    QCOMPARE(lesson.blocks.size(), std::size_t{5});
    QCOMPARE(std::get<LessonText>(lesson.blocks[0]).markdown, std::string("# Walks\n\nProse.\n"));
    QCOMPARE(std::get<LessonText>(lesson.blocks[0]).place.line, 8U);
    QVERIFY(std::get<LessonMachine>(lesson.blocks[1]).technique == VmmTechnique::VtX);
    QCOMPARE(std::get<LessonMachine>(lesson.blocks[1]).machine, std::string("mine.yaml"));
    QCOMPARE(std::get<LessonText>(lesson.blocks[2]).markdown, std::string("More prose.\n```c\nint not_ours;\n```\n"));
    const auto& step = std::get<LessonStep>(lesson.blocks[3]);
    QCOMPARE(std::get<UntilSymbol>(step.until).symbol, std::string("the_cold_load"));
    QCOMPARE(step.say, std::string("Two\nlines.\n"));
    QCOMPARE(step.place.line, 20U);
    QVERIFY(lesson.find_step("one") == &step);
  }

  void an_event_can_be_written_in_three_ways() {
    const ParsedLesson parsed = with_step(
        "id: s\nuntil: {end: yes}\nexpect:\n  - vm.exit\n  - vm.exit: {name: CPUID}\n  - {event: vm.exit, where: "
        "{name: CPUID, reason: 10}}\n");
    QVERIFY2(parsed.ok(), first_error(parsed).c_str());
    const auto& expect = only_step(parsed).expect;
    QCOMPARE(expect.size(), std::size_t{3});
    QCOMPARE(expect[0].text(), std::string("vm.exit"));
    QCOMPARE(expect[1].text(), std::string("vm.exit {name: CPUID}"));
    QCOMPARE(expect[2].text(), std::string("vm.exit {name: CPUID, reason: 10}"));
    QCOMPARE(expect[1].place.line, 14U);
  }

  void values_compare_as_people_mean_them() {
    const ParsedLesson parsed = with_step(
        "id: s\nuntil: {end: yes}\nexpect:\n  - walk.end: {references: 0x18, page_size: 4K, faulted: no}\n  - "
        "walk.end: {references: '>= 20'}\n"
        "  - vm.exit: {reason: [10, 12]}\n  - vm.exit: {name: not CPUID}\n  - trap.raised: {pc: 'sym:here'}\n  - "
        "cache.lookup: {energy: 0.0285}\n");
    QVERIFY2(parsed.ok(), first_error(parsed).c_str());
    const auto& expect = only_step(parsed).expect;
    ElfImage image;
    image.symbols.push_back({.name = "here", .value = 0x1234});
    const auto matches = [&](std::size_t index, EventPayload payload) {
      return expect[index].matches(Event{.payload = std::move(payload)}, image);
    };
    QVERIFY(matches(0, WalkEnd{.references = 24}));
    QVERIFY(!matches(0, WalkEnd{.page_size = PageSize::Size2M, .references = 24}));
    QVERIFY(!matches(0, WalkEnd{.faulted = true, .references = 24}));
    QVERIFY(matches(1, WalkEnd{.references = 24}) && !matches(1, WalkEnd{.references = 19}));
    QVERIFY(matches(2, VmExit{.reason = 12}) && !matches(2, VmExit{.reason = 11}));
    QVERIFY(matches(3, VmExit{.name = "HLT"}) && !matches(3, VmExit{.name = "CPUID"}));
    QVERIFY(matches(4, TrapRaised{.pc = {0x1234}}) && !matches(4, TrapRaised{.pc = {0x1235}}));
    QVERIFY(matches(5, CacheLookup{.energy = 0.0285F}) && !matches(5, CacheLookup{.energy = 0.047F}));
    QVERIFY(!matches(0, VmExit{}));
  }

  void every_mistake_in_a_step_is_told_with_its_place_data() {
    QTest::addColumn<QString>("body");
    QTest::addColumn<QString>("error");
    const auto row = [](const char* name, const char* body, const char* error) {
      QTest::newRow(name) << QString(body) << QString(error);
    };
    row("misspelt key", "id: s\nuntil: {count: 1}\nexpcet: []\n",
        "l.md:12:1: a step block has no key 'expcet'; did you mean 'expect'?");
    row("misspelt event", "id: s\nuntil: {count: 1}\nexpect:\n  - vm.exti: {reason: 10}\n",
        "l.md:13:5: there is no event 'vm.exti'; did you mean 'vm.exit'?");
    row("misspelt field", "id: s\nuntil: {count: 1}\nexpect:\n  - vm.exit: {reson: 10}\n",
        "l.md:13:15: the event 'vm.exit' has no field 'reson'; did you mean 'reason'?");
    row("misspelt value", "id: s\nuntil: {count: 1}\nexpect:\n  - walk.reference: {served_by: memroy}\n",
        "l.md:13:33: 'served_by' cannot be 'memroy'; did you mean 'memory'?");
    row("text for a number", "id: s\nuntil: {count: 1}\nnever: [vm.exit: {reason: ten}]\n",
        "l.md:12:27: 'reason' is a number, not 'ten'; write 24, 0x18, or sym:name for the address of a symbol");
    row("text for a flag", "id: s\nuntil: {count: 1}\nnever: [tlb.lookup: {hit: maybe}]\n",
        "l.md:12:27: 'hit' is yes or no, not 'maybe'; write yes or no");
    row("less than a text", "id: s\nuntil: {count: 1}\nnever: [vm.exit: {name: '< CPUID'}]\n",
        "l.md:12:25: only whole numbers can be less or greater; compare for equality");
    row("misspelt view", "id: s\nuntil: {count: 1}\nshow: [walk, chache]\n",
        "l.md:12:14: there is no view 'chache'; did you mean 'cache'?");
    row("two goals", "id: s\nuntil: {count: 1, mark: 2}\n",
        "l.md:11:8: 'until' names one thing to run to; one of count, symbol, event (with where), mark, end");
    row("no goal", "id: s\n",
        "l.md:10:1: the key 'until' is missing; until: {count: 1}, {symbol: name}, {event: vm.exit}, {mark: 1} or "
        "{end: true}");
    row("no id", "until: {count: 1}\n",
        "l.md:10:1: the key 'id' is missing; a short name of the step, for questions to refer to");
    row("count without number", "id: s\nuntil: {count: 1}\ncount:\n  - {event: vm.exit}\n",
        "l.md:13:5: the number is missing; equals: N, at_least: N or at_most: N");
    row("register without number", "id: s\nuntil: {count: 1}\nregisters: {RAX: many}\n",
        "l.md:12:18: a register holds a number; write 24, 0x18 or sym:name");
    row("memory that is not shown", "id: s\nuntil: {count: 1}\nshow: [stage]\nmemory: RSP\n",
        "l.md:13:9: 'memory' says what the view of that name goes to, and the step does not show it; add memory to "
        "'show'");
    row("memory that is no address", "id: s\nuntil: {count: 1}\nshow: [memory]\nmemory: [RSP]\n",
        "l.md:13:9: 'memory' must be one word or text; write it on one line, without brackets");
    row("negative count", "id: s\nuntil: {count: -1}\n",
        "l.md:11:16: 'count' must be a whole number; from 1 to 18446744073709551615");
    row("focus on nothing", "id: s\nuntil: {count: 1}\nfocus: walks\n",
        "l.md:12:8: there is no event 'walks'; docs/events.md lists them");
    row("tabs", "id: s\n\tuntil: x\n",
        "l.md:11:1: this is not YAML: illegal tab when looking for indentation; check brackets, quotes and indentation "
        "(blanks, no tabs)");
    row("empty", "\n", "l.md:9:1: a step block is empty; write 'key: value' lines");
  }
  void every_mistake_in_a_step_is_told_with_its_place() {
    QFETCH(QString, body);
    QFETCH(QString, error);
    QCOMPARE(QString::fromStdString(first_error(with_step(body.toStdString()))), error);
  }

  void a_machine_and_its_steps_may_have_a_twin() {
    const ParsedLesson parsed = with_twin_step(
        "id: s\nuntil: {symbol: here}\nshow: [walk, tlbs]\ntwin:\n  until: {event: vm.exit}\n  limit: 7\n"
        "  expect:\n    - vm.exit: {reason: 36}\n  say: Two.\nsay: One.\n");
    QVERIFY2(parsed.ok(), first_error(parsed).c_str());
    const auto& machine = std::get<LessonMachine>(parsed.lesson.blocks[0]);
    QCOMPARE(machine.title(), std::string("page-walk (vt-x)"));
    QVERIFY(machine.twin != nullptr);
    QCOMPARE(machine.twin->title(), std::string("other (el2, m.yaml)"));
    QVERIFY(machine.twin->twin == nullptr);
    QVERIFY((machine.twin->place == LessonPlace{8, 7}));
    const LessonStep& step = only_step(parsed);
    QVERIFY(step.twin != nullptr && step.twin->twin == nullptr);
    QCOMPARE(step.twin->id, std::string("s"));
    QCOMPARE(step.say + step.twin->say, std::string("One.Two."));
    QCOMPARE(step.limit, StepIndex{20'000'000});
    QCOMPARE(step.twin->limit, StepIndex{7});
    QVERIFY(std::holds_alternative<UntilEvent>(step.twin->until));
    QVERIFY(step.expect.empty() && step.twin->expect.size() == 1);
    QCOMPARE(step.twin->expect[0].place.line, 18U);
    QCOMPARE(step.twin->show, step.show);  // it says none of its own
  }

  void one_of_the_two_machines_may_wait() {
    const ParsedLesson twin = with_twin_step("id: s\nuntil: {count: 1}\ntwin: waits\n");
    QVERIFY2(twin.ok(), first_error(twin).c_str());
    QVERIFY(!only_step(twin).waits() && only_step(twin).twin->waits());
    const ParsedLesson first = with_twin_step(
        "id: s\nuntil: waits\nshow: [stage]\ntwin:\n  until: {count: 2}\n  show: [registers, memory]\n  memory: X0\n");
    QVERIFY2(first.ok(), first_error(first).c_str());
    QVERIFY(only_step(first).waits() && !only_step(first).twin->waits());
    QCOMPARE(only_step(first).twin->show, (std::vector<std::string>{"registers", "memory"}));
    QCOMPARE(only_step(first).twin->memory, std::string("X0"));
  }

  void every_mistake_about_a_twin_is_told_with_its_place_data() {
    QTest::addColumn<QString>("body");
    QTest::addColumn<QString>("error");
    const auto row = [](const char* name, const char* body, const char* error) {
      QTest::newRow(name) << QString(body) << QString(error);
    };
    row("no twin", "id: s\nuntil: {count: 1}\n",
        "l.md:10:1: the machine has a twin, and this step does not say what the twin does; add 'twin: {until: ...}' or "
        "'twin: waits'");
    row("both wait", "id: s\nuntil: waits\ntwin: waits\n",
        "l.md:12:8: both machines wait; say how far the machine runs, for example until: {count: 1}");
    row("misspelt key", "id: s\nuntil: {count: 1}\ntwin: {until: {count: 1}, expcet: []}\n",
        "l.md:13:27: a twin has no key 'expcet'; did you mean 'expect'?");
    row("an id of its own", "id: s\nuntil: {count: 1}\ntwin: {id: t, until: {count: 1}}\n",
        "l.md:13:8: a twin has no key 'id'; one of until, limit, show, memory, focus, expect, expect_any, never, "
        "count, "
        "registers, say, narrate");
    row("no until", "id: s\nuntil: {count: 1}\ntwin: {say: Two.}\n",
        "l.md:13:7: the key 'until' is missing; until: {count: 1}, {symbol: name}, {event: vm.exit}, {mark: 1} or "
        "{end: "
        "true}");
    row("misspelt waiting", "id: s\nuntil: {count: 1}\ntwin: wait\n",
        "l.md:13:7: a twin must be a mapping; write 'key: value' lines");
    row("misspelt event", "id: s\nuntil: {count: 1}\ntwin:\n  until: {count: 1}\n  expect:\n    - vm.exti\n",
        "l.md:16:7: there is no event 'vm.exti'; did you mean 'vm.exit'?");
    row("events while it waits", "id: s\nuntil: {count: 1}\ntwin: {until: waits, never: [vm.exit]}\n",
        "l.md:13:29: a machine that waits emits no events, so 'never' has no sense; remove it, or say how far the "
        "machine runs");
    row("memory that is not shown", "id: s\nuntil: {count: 1}\ntwin: {until: {count: 1}, memory: X0}\n",
        "l.md:13:35: 'memory' says what the view of that name goes to, and the step does not show it; add memory to "
        "'show'");
  }
  void every_mistake_about_a_twin_is_told_with_its_place() {
    QFETCH(QString, body);
    QFETCH(QString, error);
    QCOMPARE(QString::fromStdString(first_error(with_twin_step(body.toStdString()))), error);
  }

  void a_twin_needs_a_machine_that_has_one() {
    QCOMPARE(first_error(with_step("id: s\nuntil: {count: 1}\ntwin: {until: {count: 1}}\n")),
             std::string("l.md:12:7: the machine has no twin; give its block a 'twin: {guest: ...}'"));
    QCOMPARE(
        first_error(with_step("id: s\nuntil: waits\n")),
        std::string("l.md:11:8: a machine without a twin has nothing to wait for; say how far the machine runs, for "
                    "example until: {count: 1}"));
    const auto machine = [](const std::string& twin) {
      return first_error(parse_lesson(kFront + ("```machine\nguest: g\ntwin: " + twin + "\n```\n"), "l.md"));
    };
    QCOMPARE(machine("{vmm: el2}"), std::string("l.md:7:7: the key 'guest' is missing; the name of a guest"));
    QCOMPARE(machine("{guest: h, vmm: el3}").substr(0, 33), std::string("l.md:7:23: 'vmm' cannot be 'el3';"));
    QCOMPARE(machine("{guest: h, twin: {guest: i}}"),
             std::string("l.md:7:18: a twin has no key 'twin'; one of guest, vmm, machine"));
  }

  void all_mistakes_are_told_at_once_and_in_order() {
    const ParsedLesson parsed =
        with_step("id: s\nuntil: {count: 1}\nshow: [wlak]\nexpect: [vm.exti, walk.ned]\nnarrate: [tlb.full]\n");
    QCOMPARE(parsed.diagnostics.size(), std::size_t{4});
    for (std::size_t i = 1; i < 4; ++i) QVERIFY(parsed.diagnostics[i - 1].line <= parsed.diagnostics[i].line);
  }

  void the_shape_of_the_file_is_checked_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("error");
    const QString front = kFront;
    const QString machine = kMachine;
    QTest::newRow("empty") << ""
                           << "l.md:1:1: the lesson is empty; begin with a line '---' and the lesson's id and title";
    QTest::newRow("no front matter") << "# Hello\n"
                                     << "l.md:1:1: the lesson does not begin with its front matter; begin with a line "
                                        "'---', then id and title, then '---'";
    QTest::newRow("front matter without end") << "---\nid: x\n"
                                              << "l.md:1:1: the front matter has no end; close it with a line '---'";
    QTest::newRow("no title") << "---\nid: x\n---\n" + machine
                              << "l.md:2:1: the key 'title' is missing; what the lesson is called";
    QTest::newRow("block without end") << front + machine + "```step\nid: s\n"
                                       << "l.md:9:1: this block is not closed; end it with a line of ```";
    QTest::newRow("misspelt block") << front + machine + "```stpe\nid: s\n```\n"
                                    << "l.md:9:1: there is no block 'stpe'; did you mean 'step'?";
    QTest::newRow("no machine")
        << front + "Prose.\n"
        << "l.md:1:1: the lesson has no machine block; add one that names a guest, before the first step";
    QTest::newRow("step before machine") << front + "```step\nid: s\nuntil: {count: 1}\n```\n" + machine
                                         << "l.md:5:1: a step stands before any machine; put a machine block above it";
    QTest::newRow("id used twice")
        << front + machine + "```step\nid: s\nuntil: {count: 1}\n```\n```step\nid: s\nuntil: {count: 1}\n```\n"
        << "l.md:13:1: the id 's' is used twice; give each step and question its own";
    QTest::newRow("unknown technique") << front + "```machine\nguest: g\nvmm: vtx\n```\n"
                                       << "l.md:7:6: 'vmm' cannot be 'vtx'; did you mean 'vt-x'?";
    QTest::newRow("choices without type")
        << front + machine + "```ask\nid: q\ntype: number\nprompt: p\nchoices: [a, b]\nanswer: '1'\n```\n"
        << "l.md:10:1: choices belong to a question of type choice, and it needs at least two; give 'choices: [a, b]' "
           "or another type";
  }
  void the_shape_of_the_file_is_checked() {
    QFETCH(QString, text);
    QFETCH(QString, error);
    QCOMPARE(QString::fromStdString(first_error(parse_lesson(text.toStdString(), "l.md"))), error);
  }

  void no_damage_to_a_lesson_makes_the_parser_fail_data() {
    QTest::addColumn<QString>("id");
    for (const char* id : {"privilege-levels", "one-trap-under-vt-x", "two-stage-walk", "seesaw-beside-vipt",
                           "why-more-ways-can-be-worse", "pipt-vivt-vipt", "seesaw-four-cases", "two-architectures"})
      QTest::newRow(id) << QString(id);
  }
  void no_damage_to_a_lesson_makes_the_parser_fail() {
    QFETCH(QString, id);
    QFile file(QString(SHEARLING_SOURCE_DIR "/lessons/%1/lesson.md").arg(id));
    QVERIFY(file.open(QIODevice::ReadOnly));
    const std::string text = file.readAll().toStdString();
    const ParsedLesson whole = parse_lesson(text, "l.md");
    QVERIFY2(whole.ok(), first_error(whole).c_str());
    constexpr unsigned kSeed = 20260822;
    qInfo("seed %u", kSeed);
    std::mt19937 random(kSeed);
    for (int round = 0; round < 150; ++round) {
      std::string damaged = text;
      for (int change = 0; change < 8; ++change) {
        const std::size_t at = random() % damaged.size();
        if (random() % 2 == 0)
          damaged[at] = "{}[]:-`'\"#|>&*!%@\n\t ax0"[random() % 23];
        else
          damaged.erase(at, random() % 40 + 1);
      }
      for (const Diagnostic& diagnostic : parse_lesson(damaged, "l.md").diagnostics) {
        QVERIFY(!diagnostic.message.empty());
        QVERIFY(diagnostic.line >= 1);
      }
    }
  }
};

QTEST_APPLESS_MAIN(LessonParserTest)
#include "lesson_parser_test.moc"
