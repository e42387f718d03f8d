// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lesson/runner.h"

#include <QTest>

#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;

namespace {

/// A lesson on the guest with the named marks and symbols; the first step's body begins in line 9.
LessonResult run(const std::string& steps, const char* vmm = "vt-x") {
  const std::string text =
      std::string("---\nid: test\ntitle: A test\n---\n```machine\nguest: cpuid-trap\nvmm: ") + vmm + "\n```\n" + steps;
  const ParsedLesson parsed = parse_lesson(text, "l.md");
  if (!parsed.ok()) qFatal("%s", parsed.diagnostics.front().text().c_str());
  return run_lesson(parsed.lesson);
}

std::string step(const std::string& body) { return "```step\n" + body + "```\n"; }

/// Start-up code uses CPUID too: go past it.
const std::string kToCpuid = step("id: start\nuntil: {symbol: the_cpuid}\n");

/// A lesson on a pair of guests, one of either ISA; the first step's body begins in line 11.
LessonResult run_pair(const std::string& steps) {
  const ParsedLesson parsed = parse_lesson(
      "---\nid: test\ntitle: A test\n---\n```machine\nguest: twin-x86\nvmm: vt-x\ntwin: {guest: twin-aarch64, vmm: "
      "el2}\n"
      "```\n" +
          steps,
      "l.md");
  if (!parsed.ok()) qFatal("%s", parsed.diagnostics.front().text().c_str());
  return run_lesson(parsed.lesson);
}

std::vector<std::string> failures(const LessonResult& result) {
  std::vector<std::string> lines;
  for (const LessonStepResult& one : result.steps) {
    for (const ExpectationResult& expectation : one.expectations) {
      if (!expectation.held)
        lines.push_back(std::to_string(expectation.place.line) + ":" + std::to_string(expectation.place.column) + " " +
                        expectation.what + " | " + expectation.why);
    }
  }
  return lines;
}

}  // namespace

class LessonRunnerTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    qputenv("SHEARLING_GUEST_DIR", SHEARLING_BINARY_DIR "/guests");
    x86::register_x86();
    arm::register_arm();
  }

  void a_step_runs_to_the_symbol_and_not_beyond() {
    const LessonResult result =
        run(step("id: a\nuntil: {symbol: the_cpuid}\nregisters: {RAX: 1, RIP: 'sym:the_cpuid'}\nnever: [vm.exit: "
                 "{guest_pc: 'sym:the_cpuid'}]\n") +
            step("id: b\nuntil: {count: 1}\nexpect: [vm.exit: {name: CPUID}]\nregisters: {RIP: 'sym:after_cpuid'}\n"));
    QVERIFY2(result.passed(), failures(result).empty() ? "" : failures(result).front().c_str());
    QCOMPARE(result.steps[1].first + 1, result.steps[1].end);
    QCOMPARE(result.steps[0].end, result.steps[1].first);
  }

  void marks_and_events_end_a_step_where_they_happen() {
    const LessonResult result =
        run(step("id: a\nuntil: {mark: 2}\nexpect: [lesson.mark: {mark: 1}, lesson.mark: {mark: 2}]\n") +
            step("id: b\nuntil: {event: device.access, where: {device: COM1, write: yes}}\nexpect: [device.access: "
                 "{value: 0x2a}]\n") +
            step("id: c\nuntil: {end: true}\nexpect: [machine.stopped]\n"));
    const auto failed = failures(result);
    QVERIFY2(failed.empty(), failed.empty() ? "" : failed.front().c_str());
  }

  void what_fails_is_told_with_its_place_and_what_was_seen() {
    const LessonResult result =
        run(kToCpuid +
            step("id: a\nuntil: {symbol: after_cpuid}\nexpect:\n  - vm.exit: {name: CPUID, reason: 11}\n  - "
                 "vm.entry\nnever:\n  - vm.exit: {name: CPUID}\n"
                 "count:\n  - {event: vm.exit, where: {name: CPUID}, equals: 2}\nregisters: {RAX: 1, R99: 0}\n"));
    const auto failed = failures(result);
    QCOMPARE(failed.size(), std::size_t{6});
    QVERIFY2(failed[0].starts_with(
                 "17:5 expect vm.exit {name: CPUID, reason: 11} | seen instead: VM exit, reason 10 (CPUID)"),
             failed[0].c_str());
    QVERIFY2(failed[1].starts_with("18:5 expect vm.entry | not looked for"), failed[1].c_str());
    QVERIFY2(failed[2].starts_with("20:5 never vm.exit {name: CPUID} | it happened at step "), failed[2].c_str());
    QVERIFY2(failed[3] == "22:13 count of vm.exit {name: CPUID} is 2 | it is 1", failed[3].c_str());
    QVERIFY2(failed[4].starts_with("23:13 register RAX is 1 | it is 0x"), failed[4].c_str());
    QCOMPARE(failed[5], std::string("23:21 register R99 is 0 | there is no such register"));
  }

  void a_step_says_where_the_memory_view_goes() {
    const LessonResult result = run(kToCpuid + step("id: a\nuntil: {count: 1}\nshow: [memory]\nmemory: RIP\n") +
                                    step("id: b\nuntil: {count: 1}\nshow: [memory]\nmemory: 'sym:the_cpuid'\n") +
                                    step("id: c\nuntil: {count: 1}\nshow: [memory]\nmemory: 0x1008\n") +
                                    step("id: d\nuntil: {count: 1}\nshow: [memory]\nmemory: R99\n"));
    QCOMPARE(failures(result), std::vector<std::string>{"35:9 memory at R99 | there is no such register or symbol"});
    QVERIFY(!result.steps[0].memory);
    QVERIFY(result.steps[1].memory > result.steps[2].memory);  // past the CPUID, and at it
    QCOMPARE(result.steps[3].memory.value_or(0), std::uint64_t{0x1008});
    QVERIFY(!result.steps[4].memory);
  }

  void the_order_of_expect_matters_and_that_of_expect_any_does_not() {
    const LessonResult wrong = run(kToCpuid + step("id: a\nuntil: {symbol: after_cpuid}\nexpect: [vmm.action: {name: "
                                                   "cpuid.emulate}, vm.exit: {name: CPUID}]\n"));
    QCOMPARE(failures(wrong).size(), std::size_t{1});
    const LessonResult right = run(kToCpuid + step("id: a\nuntil: {symbol: after_cpuid}\nexpect_any: [vmm.action: "
                                                   "{name: cpuid.emulate}, vm.exit: {name: CPUID}]\n"));
    QVERIFY(right.passed());
  }

  void a_goal_that_is_never_reached_fails_the_step() {
    const LessonResult ended = run(step("id: a\nuntil: {mark: 77}\n"));
    QCOMPARE(failures(ended).size(), std::size_t{1});
    QVERIFY(failures(ended)[0].find("the machine stopped (exit port)") != std::string::npos);
    const LessonResult limited = run(step("id: a\nuntil: {mark: 77}\nlimit: 100\n"));
    QCOMPARE(limited.steps[0].end, StepIndex{100});
    QVERIFY(failures(limited)[0].find("the limit was reached at step 100") != std::string::npos);
    const LessonResult unknown = run(step("id: a\nuntil: {symbol: nowhere}\nlimit: 100\n"));
    QVERIFY(failures(unknown)[0].find("the guest has no symbol 'nowhere'") != std::string::npos);
  }

  void answers_come_from_the_steps_that_they_name() {
    const LessonResult result =
        run(step("id: a\nuntil: {symbol: the_cpuid}\n") + step("id: b\nuntil: {symbol: after_cpuid}\n") +
            "```ask\nid: q\ntype: text\nprompt: p\nanswer: field(vm.exit.name, step=b)\n```\n" +
            "```ask\nid: r\ntype: number\nprompt: p\nanswer: count(vm.exit, step=b)\n```\n" +
            "```ask\nid: s\ntype: choice\nprompt: p\nchoices: [a, b]\nanswer: field(vm.exit.name, step=b)\n```\n");
    QCOMPARE(result.answers.size(), std::size_t{3});
    QCOMPARE(result.answers[0].answer, std::string("CPUID"));
    QCOMPARE(result.answers[1].answer, std::string("1"));
    QVERIFY(result.answers[2].problem.find("none of the choices") != std::string::npos);
    QVERIFY(!result.passed());
  }

  void a_second_machine_block_begins_again() {
    const std::string second = "```machine\nguest: cpuid-trap\nvmm: bare\n```\n";
    const LessonResult result = run(step("id: a\nuntil: {symbol: the_cpuid}\n") + second +
                                    step("id: b\nuntil: {symbol: the_cpuid}\nnever: [vm.exit]\n"));
    QVERIFY(result.passed());
    QCOMPARE(result.steps[0].end, result.steps[1].end);  // the virtual time that all runs share
    QCOMPARE(result.steps[1].first, StepIndex{0});
  }

  void two_machines_run_side_by_side_each_to_its_own_end_of_the_step() {
    const LessonResult result =
        run_pair(step("id: a\nuntil: {symbol: the_question}\ntwin: {until: {symbol: the_question}}\n") +
                 step("id: b\nuntil: {count: 1}\nexpect: [vm.exit: {name: CPUID}]\n"
                      "registers: {RIP: 'sym:after_question'}\n"
                      "twin: {until: {count: 2}, expect: [vm.exit: {reason: 0x18}]}\n"));
    QVERIFY(result.passed());
    const LessonStepResult& first = result.steps[1];
    const LessonStepResult& twin = *first.twin;
    QCOMPARE(first.machine, std::string("twin-x86 (vt-x)"));
    QCOMPARE(twin.machine, std::string("twin-aarch64 (el2)"));
    QCOMPARE(twin.id, std::string("b"));
    QCOMPARE(first.end - first.first, StepIndex{1});
    QCOMPARE(twin.end - twin.first, StepIndex{2});
    QCOMPARE(twin.first, result.steps[0].twin->end);
  }

  void a_step_fails_with_either_of_its_machines() {
    const LessonResult result = run_pair(
        step("id: a\nuntil: {symbol: the_question}\ntwin:\n  until: {symbol: the_question}\n  expect:\n    - vm.exit: "
             "{name: CPUID}\n"));
    QVERIFY(failures(result).empty());
    QVERIFY(!result.steps[0].passed() && !result.passed());
    const ExpectationResult& failed = result.steps[0].twin->expectations.front();
    QVERIFY(!failed.held);
    QVERIFY((failed.place == LessonPlace{16, 7}));
  }

  void a_machine_that_waits_stays_where_it_is() {
    const LessonResult result =
        run_pair(step("id: a\nuntil: {symbol: the_question}\nregisters: {RAX: 1}\ntwin: waits\n") +
                 step("id: b\nuntil: waits\nregisters: {RAX: 1}\ntwin: {until: {count: 3}}\n"));
    QVERIFY2(result.passed(), failures(result).empty() ? "" : failures(result).front().c_str());
    QCOMPARE(result.steps[0].twin->end, StepIndex{0});
    QVERIFY(result.steps[0].end > 0);
    QCOMPARE(result.steps[1].first, result.steps[0].end);
    QCOMPARE(result.steps[1].end, result.steps[0].end);
    QCOMPARE(result.steps[1].twin->end, StepIndex{3});
  }

  void one_answer_may_ask_both_machines() {
    const LessonResult result =
        run_pair(step("id: a\nuntil: {symbol: the_call}\ntwin: {until: {symbol: the_call}}\n") +
                 step("id: b\nuntil: {symbol: after_call}\ntwin: {until: {symbol: after_call}}\n") +
                 "```ask\nid: q\ntype: number\nprompt: p\nanswer: field(vm.exit.reason, step=b) * 100 + "
                 "field(vm.exit.reason, step=b, twin=yes)\n```\n" +
                 "```ask\nid: r\ntype: address\nprompt: p\nanswer: symbol(the_call, twin=yes) - symbol(_start, "
                 "twin=yes)\n```\n");
    QVERIFY(result.passed());
    QCOMPARE(result.answers[0].answer, std::string("1822"));  // VMCALL is reason 18, HVC exception class 0x16
    QVERIFY(result.answers[1].answer.starts_with("0x"));
  }

  void a_machine_block_without_a_twin_ends_the_pair() {
    const LessonResult result = run_pair(step("id: a\nuntil: {count: 1}\ntwin: {until: {count: 1}}\n") +
                                         "```machine\nguest: cpuid-trap\n```\n" + step("id: b\nuntil: {count: 1}\n"));
    QVERIFY(result.passed());
    QVERIFY(result.steps[0].twin != nullptr && result.steps[1].twin == nullptr);
    QCOMPARE(result.steps[1].machine, std::string("cpuid-trap (bare)"));
  }

  void a_twin_that_does_not_exist_is_told_at_its_place() {
    const LessonResult result = run_lesson(
        parse_lesson(
            "---\nid: test\ntitle: A test\n---\n```machine\nguest: cpuid-trap\ntwin:\n  guest: twin-aarch46\n```\n",
            "l.md")
            .lesson);
    QCOMPARE(result.diagnostics.size(), std::size_t{1});
    QCOMPARE(result.diagnostics[0].text(),
             std::string("l.md:8:3: there is no guest 'twin-aarch46'; did you mean 'twin-aarch64'?"));
  }

  void a_guest_that_does_not_exist_is_told_at_its_machine_block() {
    const std::string text =
        "---\nid: test\ntitle: A test\n---\n```machine\nguest: cpuid-trpa\n```\n```step\nid: a\nuntil: {count: "
        "1}\n```\n";
    const LessonResult result = run_lesson(parse_lesson(text, "l.md").lesson);
    QCOMPARE(result.diagnostics.size(), std::size_t{1});
    QCOMPARE(result.diagnostics[0].text(),
             std::string("l.md:5:1: there is no guest 'cpuid-trpa'; did you mean 'cpuid-trap'?"));
  }

  void a_lesson_can_be_interrupted() {
    const std::string text = "---\nid: test\ntitle: A test\n---\n```machine\nguest: compute\n```\n" +
                             step("id: a\nuntil: {end: true}\n") + step("id: b\nuntil: {end: true}\n");
    const std::atomic<bool> interrupted{true};
    const LessonResult result = run_lesson(parse_lesson(text, "l.md").lesson, &interrupted);
    QVERIFY(result.interrupted);
    QVERIFY(!result.passed());
    QCOMPARE(result.steps.size(), std::size_t{1});
  }
};

QTEST_APPLESS_MAIN(LessonRunnerTest)
#include "lesson_runner_test.moc"
