// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling lesson: list them, check them, or go through one on the terminal.
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "app/cli/cli.h"
#include "core/lesson/answer.h"
#include "core/lesson/runner.h"
#include "core/machine/yaml_reader.h"

namespace shearling::cli {

namespace {

/// A step's result and, where there is one, its twin's.
std::vector<const LessonStepResult*> halves_of(const LessonStepResult& step) {
  if (step.twin == nullptr) return {&step};
  return {&step, step.twin.get()};
}

nlohmann::ordered_json to_json(const LessonStepResult& step) {
  nlohmann::ordered_json expectations = nlohmann::ordered_json::array();
  for (const ExpectationResult& one : step.expectations)
    expectations.push_back({{"held", one.held},
                            {"what", one.what},
                            {"why", one.why},
                            {"line", one.place.line},
                            {"column", one.place.column}});
  nlohmann::ordered_json json{
      {"id", step.id},       {"machine", step.machine}, {"passed", step.passed()},      {"line", step.place.line},
      {"first", step.first}, {"end", step.end},         {"expectations", expectations}, {"narration", step.narration}};
  if (step.twin != nullptr) json["twin"] = to_json(*step.twin);
  return json;
}

nlohmann::ordered_json to_json(const LessonAnswer& answer) {
  return {{"id", answer.id},
          {"prompt", answer.prompt},
          {"answer", answer.answer},
          {"problem", answer.problem},
          {"line", answer.place.line}};
}

nlohmann::ordered_json to_json(const std::vector<Diagnostic>& diagnostics) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Diagnostic& one : diagnostics)
    json.push_back({{"file", one.file},
                    {"line", one.line},
                    {"column", one.column},
                    {"message", one.message},
                    {"remedy", one.remedy}});
  return json;
}

nlohmann::ordered_json to_json(const Lesson& lesson, const LessonResult& result) {
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (const LessonStepResult& step : result.steps) steps.push_back(to_json(step));
  nlohmann::ordered_json answers = nlohmann::ordered_json::array();
  for (const LessonAnswer& answer : result.answers) answers.push_back(to_json(answer));
  return {{"id", lesson.id},
          {"title", lesson.title},
          {"file", lesson.file},
          {"passed", result.passed()},
          {"steps", steps},
          {"answers", answers},
          {"diagnostics", to_json(result.diagnostics)}};
}

void print_failure(const Lesson& lesson, LessonPlace place, std::string message) {
  std::cerr << Diagnostic{lesson.file, place.line, place.column, std::move(message), {}}.text() << '\n';
}

void print_failures(const Lesson& lesson, const LessonStepResult& step, const std::string& name) {
  for (const ExpectationResult& one : step.expectations) {
    if (!one.held) print_failure(lesson, one.place, name + ": " + one.what + " does not hold: " + one.why);
  }
}

/// What did not hold, one line each, as compilers say it.
void print_failures(const Lesson& lesson, const LessonResult& result) {
  for (const LessonStepResult& step : result.steps) {
    const std::string name = "step " + step.id;
    for (const LessonStepResult* half : halves_of(step))
      print_failures(lesson, *half, step.twin == nullptr ? name : name + " on " + half->machine);
  }
  for (const LessonAnswer& answer : result.answers) {
    if (!answer.ok()) print_failure(lesson, answer.place, "question " + answer.id + ": " + answer.problem);
  }
}

int worse(int a, int b) { return std::max(a, b); }

int status_of_result(const LessonResult& result) {
  if (!result.diagnostics.empty()) return kBadInput;
  if (result.interrupted) return kLimitReached;
  return result.passed() ? kAsAsked : kDidNotHold;
}

/// Goes through a lesson as a reader does: prose, then a step and what it showed, then a question and its answer.
class Recital {
 public:
  Recital(const Lesson& lesson, const LessonResult& result, std::ostream& out)
      : lesson_(lesson), result_(result), out_(out) {}
  void recite() {
    for (const LessonBlock& block : lesson_.blocks) std::visit([&](const auto& one) { tell(one); }, block);
  }

 private:
  void tell(const LessonText& text) { out_ << text.markdown; }
  void tell(const LessonMachine& machine) {
    tell_one("machine", machine);
    if (machine.twin != nullptr) tell_one("its twin", *machine.twin);
  }
  void tell_one(std::string_view role, const LessonMachine& machine) {
    out_ << '[' << role << ": " << machine.guest << ", --vmm " << name_of(machine.technique)
         << (machine.machine.empty() ? "" : ", ") << machine.machine << "]\n";
  }
  void tell(const LessonStep& step) {
    const auto found = std::find_if(result_.steps.begin(), result_.steps.end(),
                                    [&](const LessonStepResult& one) { return one.id == step.id; });
    if (found == result_.steps.end()) return;
    tell_half(step, *found, found->twin == nullptr ? "" : " on " + found->machine);
    if (step.twin != nullptr && found->twin != nullptr)
      tell_half(*step.twin, *found->twin, " on " + found->twin->machine);
  }
  void tell_half(const LessonStep& step, const LessonStepResult& result, const std::string& where) {
    out_ << "[step " << step.id << where << ": ";
    if (step.waits())
      out_ << "waits";
    else
      out_ << "instructions " << result.first << " to " << result.end;
    out_ << ", " << (all_held(result) ? "as expected" : "NOT as expected") << "]\n";
    for (const std::string& sentence : result.narration) out_ << "    " << sentence << '\n';
    if (!step.say.empty()) out_ << step.say << '\n';
  }
  /// Of this half alone.
  static bool all_held(const LessonStepResult& result) {
    return std::all_of(result.expectations.begin(), result.expectations.end(),
                       [](const ExpectationResult& one) { return one.held; });
  }
  void tell(const LessonAsk& ask) {
    const auto found = std::find_if(result_.answers.begin(), result_.answers.end(),
                                    [&](const LessonAnswer& one) { return one.id == ask.id; });
    if (found == result_.answers.end()) return;
    out_ << "\n? " << ask.prompt << '\n';
    for (std::size_t i = 0; i < ask.choices.size(); ++i) out_ << "  " << i + 1 << ". " << ask.choices[i] << '\n';
    std::string reply = predict();
    const auto number = parse_number(reply);
    if (number && *number >= 1 && *number <= ask.choices.size()) reply = ask.choices[*number - 1];
    out_ << (reply.empty()                       ? "  Answer: "
             : same_answer(reply, found->answer) ? "  Right: "
                                                 : "  No: ")
         << found->answer << '\n';
    if (!ask.explain.empty()) out_ << "  " << ask.explain << '\n';
  }
  /// The reader's guess; empty where nobody sits there.
  std::string predict() {
    std::string reply;
    if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1) return reply;
    out_ << "  your prediction> " << std::flush;
    std::getline(std::cin, reply);
    return reply;
  }

  const Lesson& lesson_;
  const LessonResult& result_;
  std::ostream& out_;
};

}  // namespace

int lesson_list(const std::string& json) {
  std::vector<Lesson> lessons;
  int status = kAsAsked;
  for (const std::string& file : find_lessons()) {
    ParsedLesson parsed = load_lesson(file);
    if (!parsed.ok())
      status = complain(parsed.diagnostics);
    else
      lessons.push_back(std::move(parsed.lesson));
  }
  std::stable_sort(lessons.begin(), lessons.end(), [](const Lesson& a, const Lesson& b) { return a.order < b.order; });
  if (json != "-") {
    for (const Lesson& lesson : lessons)
      std::cout << lesson.id << std::string(std::max<std::size_t>(28, lesson.id.size() + 2) - lesson.id.size(), ' ')
                << lesson.title << '\n';
  }
  if (json.empty()) return status;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Lesson& lesson : lessons)
    list.push_back({{"id", lesson.id},
                    {"title", lesson.title},
                    {"summary", lesson.summary},
                    {"missions", lesson.missions},
                    {"file", lesson.file}});
  return worse(status, write_json({{"schema", 1}, {"lessons", list}}, json));
}

int lesson_check(const std::vector<std::string>& paths, const std::string& json) {
  nlohmann::ordered_json lessons = nlohmann::ordered_json::array();
  int status = kAsAsked;
  for (const std::string& path : paths) {
    const ParsedLesson parsed = load_lesson(path);
    if (!parsed.ok()) {
      status = worse(status, complain(parsed.diagnostics));
      lessons.push_back(
          {{"id", parsed.lesson.id}, {"file", path}, {"passed", false}, {"diagnostics", to_json(parsed.diagnostics)}});
      continue;
    }
    const LessonResult result = run_lesson(parsed.lesson, interrupted());
    complain(result.diagnostics);
    print_failures(parsed.lesson, result);
    status = worse(status, status_of_result(result));
    lessons.push_back(to_json(parsed.lesson, result));
    if (json != "-")
      std::cout << parsed.lesson.id << ": " << (result.passed() ? "holds" : "does not hold") << " ("
                << result.steps.size() << " steps, " << result.answers.size() << " questions)\n";
  }
  if (json.empty()) return status;
  return worse(status, write_json({{"schema", 1}, {"lessons", lessons}}, json));
}

int lesson_run(const std::string& id, const std::string& json) {
  const ParsedLesson parsed = load_lesson(id);
  if (!parsed.ok()) return complain(parsed.diagnostics);
  const LessonResult result = run_lesson(parsed.lesson, interrupted());
  complain(result.diagnostics);
  if (json != "-") Recital(parsed.lesson, result, std::cout).recite();
  print_failures(parsed.lesson, result);
  const int status = status_of_result(result);
  if (json.empty()) return status;
  nlohmann::ordered_json report{{"schema", 1}};
  report.update(to_json(parsed.lesson, result));
  return worse(status, write_json(report, json));
}

}  // namespace shearling::cli
