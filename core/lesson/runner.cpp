// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lesson/runner.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>

#include "core/events/reflection.h"
#include "core/lesson/answer.h"
#include "core/lesson/pattern.h"
#include "core/loader/elf_image.h"

namespace shearling {

namespace {

constexpr std::size_t kMostNarrated = 200;
constexpr std::size_t kMostNearMisses = 3;

/// Hands events on to several sinks.
class Fan : public EventSink {
 public:
  void add(EventSink* sink) {
    if (sink != nullptr) sinks_.push_back(sink);
  }
  void on_event(const Event& event) override {
    for (EventSink* sink : sinks_) sink->on_event(event);
  }

 private:
  std::vector<EventSink*> sinks_;
};

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

std::string hex(std::uint64_t value) { return format_value(value, FieldFormat::Hex); }

ExpectationResult judge_register(const RegisterExpectation& expected, const Machine& machine) {
  ExpectationResult result{.what = "register " + expected.name + " is " + expected.value, .place = expected.place};
  for (const RegisterRow& row : machine.processor().registers()) {
    if (!same_word(row.name, expected.name)) continue;
    const auto value = number_of(expected.value, machine.image());
    result.held = value && *value == row.believed;
    if (!value)
      result.why = "the guest has no symbol of that name";
    else if (!result.held)
      result.why = "it is " + hex(row.believed);
    return result;
  }
  result.why = "there is no such register";
  return result;
}

/// The value of a register as the guest believes it, a number, or a symbol's address.
std::optional<std::uint64_t> address_of(std::string_view text, const Machine& machine) {
  for (const RegisterRow& row : machine.processor().registers()) {
    if (same_word(row.name, text)) return row.believed;
  }
  return number_of(text, machine.image());
}

/// The symbol of an UntilSymbol, or nothing where the step runs to something else.
const ElfSymbol* target_symbol(const LessonStep& step, const ElfImage& image) {
  const auto* until = std::get_if<UntilSymbol>(&step.until);
  return until == nullptr ? nullptr : image.find_symbol(until->symbol);
}

std::string until_text(const LessonStep& step) {
  if (const auto* count = std::get_if<UntilCount>(&step.until))
    return "until " + std::to_string(count->count) + " instructions have begun";
  if (const auto* symbol = std::get_if<UntilSymbol>(&step.until)) return "until the symbol " + symbol->symbol;
  if (const auto* event = std::get_if<UntilEvent>(&step.until)) return "until " + event->pattern.text();
  return "until the machine stops";
}

}  // namespace

bool LessonStepResult::passed() const {
  const bool held =
      std::all_of(expectations.begin(), expectations.end(), [](const ExpectationResult& one) { return one.held; });
  return held && (twin == nullptr || twin->passed());
}

bool LessonResult::passed() const {
  return diagnostics.empty() && !interrupted &&
         std::all_of(steps.begin(), steps.end(), [](const LessonStepResult& step) { return step.passed(); }) &&
         std::all_of(answers.begin(), answers.end(), [](const LessonAnswer& answer) { return answer.ok(); });
}

StepWatch::StepWatch(const LessonStep& step, const ElfImage& image)
    : step_(step),
      image_(image),
      any_seen_(step.expect_any.size()),
      never_seen_(step.never.size()),
      counts_(step.count.size()) {}

void StepWatch::on_event(const Event& event) {
  if (const auto* until = std::get_if<UntilEvent>(&step_.until);
      until != nullptr && until->pattern.matches(event, image_))
    reached_ = true;
  if (matched_ < step_.expect.size()) {
    const EventPattern& due = step_.expect[matched_];
    if (due.matches(event, image_)) {
      ++matched_;
      near_misses_.clear();
    } else if (due.kind == event.payload.index()) {
      note_near_miss(event);
    }
  }
  for (std::size_t i = 0; i < any_seen_.size(); ++i) {
    if (!any_seen_[i] && step_.expect_any[i].matches(event, image_)) any_seen_[i] = true;
  }
  for (std::size_t i = 0; i < never_seen_.size(); ++i) {
    if (!never_seen_[i] && step_.never[i].matches(event, image_)) never_seen_[i] = event.step;
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (step_.count[i].pattern.matches(event, image_)) ++counts_[i];
  }
  const std::string_view name = event_table()[event.payload.index()].name;
  const bool narrated = std::find(step_.narrate.begin(), step_.narrate.end(), name) != step_.narrate.end();
  if (narrated && narration_.size() < kMostNarrated) narration_.push_back(narrate(event));
}

void StepWatch::note_near_miss(const Event& event) {
  const std::size_t errors = step_.expect[matched_].mismatches(event, image_);
  if (near_misses_.empty() || errors < near_miss_errors_) {
    near_misses_.clear();
    near_miss_errors_ = errors;
  }
  if (errors == near_miss_errors_ && near_misses_.size() < kMostNearMisses) near_misses_.push_back(narrate(event));
}

LessonStepResult StepWatch::judge(const Machine& machine, StepIndex first, bool finished) const {
  LessonStepResult result{.id = step_.id, .place = step_.place, .first = first, .end = machine.position()};
  result.narration = narration_;
  const auto add = [&](bool held, std::string what, std::string why, LessonPlace place) {
    result.expectations.push_back({held, std::move(what), held ? std::string() : std::move(why), place});
  };
  if (!finished) {
    const std::string where = machine.stopped()
                                  ? "the machine stopped (" + std::string(name_of(machine.stop().reason)) + ") at step "
                                  : "the limit was reached at step ";
    add(false, until_text(step_), where + std::to_string(machine.position()), step_.until_place);
  }
  for (std::size_t i = 0; i < step_.expect.size(); ++i) {
    std::string why =
        i == matched_ ? "no such event after those before it" : "not looked for: one before it is missing";
    if (i == matched_ && !near_misses_.empty()) {
      why = "seen instead: " + near_misses_.front();
      for (std::size_t near = 1; near < near_misses_.size(); ++near) why += " | " + near_misses_[near];
    }
    add(i < matched_, "expect " + step_.expect[i].text(), why, step_.expect[i].place);
  }
  for (std::size_t i = 0; i < any_seen_.size(); ++i)
    add(any_seen_[i], "expect " + step_.expect_any[i].text(), "no such event", step_.expect_any[i].place);
  for (std::size_t i = 0; i < never_seen_.size(); ++i)
    add(!never_seen_[i], "never " + step_.never[i].text(),
        "it happened at step " + std::to_string(never_seen_[i].value_or(0)), step_.never[i].place);
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const CountExpectation& count = step_.count[i];
    add(compare(counts_[i], count.comparison, count.number),
        "count of " + count.pattern.text() + " is " + std::string(sign_of(count.comparison)) +
            std::to_string(count.number),
        "it is " + std::to_string(counts_[i]), count.pattern.place);
  }
  if (!step_.memory.empty()) {
    result.memory = address_of(step_.memory, machine);
    if (!result.memory)
      add(false, "memory at " + step_.memory, "there is no such register or symbol", step_.memory_place);
  }
  for (const RegisterExpectation& one : step_.registers) result.expectations.push_back(judge_register(one, machine));
  return result;
}

LessonStepResult run_step(const LessonStep& step, TimeTravel& travel, EventSink* also,
                          const std::atomic<bool>* interrupted) {
  Machine& machine = travel.machine();
  const StepIndex first = machine.position();
  if (step.waits()) return StepWatch(step, machine.image()).judge(machine, first, true);
  const auto* count = std::get_if<UntilCount>(&step.until);
  const StepIndex target = first + (count != nullptr ? std::min(count->count, step.limit) : step.limit);

  StepWatch watch(step, machine.image());
  Fan fan;
  fan.add(&watch);
  fan.add(also);
  const bool every_event = step.needs_every_event() || also != nullptr;
  machine.set_sinks(every_event ? &fan : nullptr, every_event ? nullptr : &fan);
  const ElfSymbol* symbol = target_symbol(step, machine.image());
  const auto arrived = [&] {
    return watch.reached() || (symbol != nullptr && machine.processor().program_counter().value == symbol->value);
  };
  const StopReason reason =
      travel.run_until(target, every_event ? Observation::Events : Observation::Models, interrupted, arrived);
  machine.set_sinks(nullptr, nullptr);

  // An event that `until` names may be the one that stops the machine.
  const bool to_end = std::holds_alternative<UntilEnd>(step.until);
  const bool finished = reason == StopReason::Breakpoint || watch.reached() || (to_end && machine.stopped()) ||
                        (count != nullptr && machine.position() == first + count->count);
  LessonStepResult result = watch.judge(machine, first, finished);
  if (const auto* until = std::get_if<UntilSymbol>(&step.until); until != nullptr && symbol == nullptr)
    result.expectations.front().why = "the guest has no symbol '" + until->symbol + "'";
  return result;
}

namespace {

/// The state of one run through a lesson.
class LessonRun {
 public:
  LessonRun(const Lesson& lesson, const std::atomic<bool>* interrupted,
            const std::function<void(const LessonStepResult&)>& progress)
      : lesson_(lesson), interrupted_(interrupted), progress_(progress) {}

  LessonResult run() {
    for (const LessonBlock& block : lesson_.blocks) {
      if (const auto* ask = std::get_if<LessonAsk>(&block)) {
        if (auto answer = Answer::parse(*ask, lesson_, result_.diagnostics))
          answers_.emplace_back(ask, std::move(*answer));
      }
    }
    for (const LessonBlock& block : lesson_.blocks) {
      if (!result_.diagnostics.empty() || result_.interrupted) break;
      if (const auto* machine = std::get_if<LessonMachine>(&block)) build_both(*machine);
      if (const auto* step = std::get_if<LessonStep>(&block)) take(*step);
    }
    if (result_.diagnostics.empty() && !result_.interrupted) answer_all();
    return std::move(result_);
  }

 private:
  /// One machine and its past.
  struct Place {
    std::string title;
    std::optional<TimeTravel> travel;
  };

  void build_both(const LessonMachine& block) {
    build(block, first_);
    twin_.travel.reset();
    if (block.twin != nullptr) build(*block.twin, twin_);
  }

  void build(const LessonMachine& block, Place& place) {
    place.travel.reset();
    Result<MachineSetup> setup = make_setup(lesson_, block);
    if (!setup) return result_.diagnostics.push_back(setup.error());
    Result<std::unique_ptr<Machine>> machine = Machine::create(std::move(setup).value());
    if (!machine) return result_.diagnostics.push_back(machine.error());
    machines_.push_back(std::move(machine).value());  // kept: answers may refer to symbols and names of theirs
    place.title = block.title();
    place.travel.emplace(*machines_.back());
  }

  void take(const LessonStep& step) {
    if (!first_.travel) return;
    LessonStepResult result = take_half(step, LessonSide::First, first_);
    if (step.twin != nullptr && twin_.travel)
      result.twin = std::make_shared<LessonStepResult>(take_half(*step.twin, LessonSide::Twin, twin_));
    result_.interrupted = interrupted_ != nullptr && interrupted_->load();
    if (progress_) progress_(result);
    result_.steps.push_back(std::move(result));
  }

  LessonStepResult take_half(const LessonStep& step, LessonSide side, Place& place) {
    Fan fan;
    bool asked = false;
    for (auto& [ask, answer] : answers_) {
      answer.begin_step(step.id, place.travel->machine().image(), side);
      if (!answer.needs_step(step.id, side)) continue;
      asked = true;
      fan.add(&answer);
    }
    LessonStepResult result = run_step(step, *place.travel, asked ? &fan : nullptr, interrupted_);
    result.machine = place.title;
    return result;
  }

  void answer_all() {
    for (const auto& [ask, answer] : answers_) {
      const auto text = answer.text(ask->type);
      LessonAnswer result{.id = ask->id, .prompt = ask->prompt, .place = ask->answer_place};
      if (!text)
        result.problem = text.error().why;
      else
        result.answer = text.value();
      const auto right = [&](const std::string& choice) { return same_answer(choice, result.answer); };
      if (text && ask->type == LessonAsk::Type::Choice && std::none_of(ask->choices.begin(), ask->choices.end(), right))
        result.problem = "the answer is '" + result.answer + "', which is none of the choices";
      result_.answers.push_back(std::move(result));
    }
  }

  const Lesson& lesson_;
  const std::atomic<bool>* interrupted_;
  const std::function<void(const LessonStepResult&)>& progress_;
  LessonResult result_;
  std::vector<std::pair<const LessonAsk*, Answer>> answers_;
  std::vector<std::unique_ptr<Machine>> machines_;
  Place first_;
  Place twin_;
};

}  // namespace

LessonResult run_lesson(const Lesson& lesson, const std::atomic<bool>* interrupted,
                        const std::function<void(const LessonStepResult&)>& progress) {
  return LessonRun(lesson, interrupted, progress).run();
}

}  // namespace shearling
