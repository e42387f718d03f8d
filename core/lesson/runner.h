// SPDX-License-Identifier: GPL-3.0-or-later
//
// Runs a lesson's steps without a window, judges what each expects, and computes the answers to its questions. The
// parts serve the window as well: a StepWatch judges one step from the events of its interval, however they came.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/events/sink.h"
#include "core/lesson/lesson.h"
#include "core/machine/time_travel.h"

namespace shearling {

/// One line of a step's judgement.
struct ExpectationResult {
  bool held = false;
  std::string what;  ///< "expect walk.end {references: 24}".
  std::string why;   ///< What was seen instead; empty where it held.
  LessonPlace place;
};

struct LessonStepResult {
  std::string id;
  std::string machine;  ///< LessonMachine::title() where run_lesson() ran it; a lone run_step() leaves it empty.
  LessonPlace place;
  StepIndex first = 0;  ///< Machine steps [first, end).
  StepIndex end = 0;
  std::vector<ExpectationResult> expectations;
  std::vector<std::string> narration;
  std::optional<std::uint64_t> memory;           ///< The address that the step's `memory` names, as the step ends.
  std::shared_ptr<const LessonStepResult> twin;  ///< What became of LessonStep::twin; null where there is none.
  [[nodiscard]] bool passed() const;             ///< The twin's half, too.
};

struct LessonAnswer {
  std::string id;
  std::string prompt;
  std::string answer;   ///< As people read it.
  std::string problem;  ///< Why there is none; empty if there is.
  LessonPlace place;
  [[nodiscard]] bool ok() const { return problem.empty(); }
};

struct LessonResult {
  std::vector<LessonStepResult> steps;
  std::vector<LessonAnswer> answers;
  std::vector<Diagnostic> diagnostics;  ///< A guest or machine that cannot be had, an unknown symbol.
  bool interrupted = false;
  [[nodiscard]] bool passed() const;
};

/// Judges one step: feed it every event of the step's interval, then ask.
class StepWatch : public EventSink {
 public:
  /// Borrows both.
  StepWatch(const LessonStep& step, const ElfImage& image);
  void on_event(const Event& event) override;
  /// True once an event that `until` names has been seen.
  [[nodiscard]] bool reached() const { return reached_; }
  /// Where the machine stands after the step: for `registers`, and for the case that `until` was not reached.
  [[nodiscard]] LessonStepResult judge(const Machine& machine, StepIndex first, bool finished) const;

 private:
  const LessonStep& step_;
  const ElfImage& image_;
  bool reached_ = false;
  std::size_t matched_ = 0;  ///< How many of `expect` were seen, in order.
  std::vector<bool> any_seen_;
  std::vector<std::optional<StepIndex>> never_seen_;
  std::vector<std::uint64_t> counts_;
  std::vector<std::string> narration_;
  std::vector<std::string> near_misses_;  ///< Of the event that is due: those with the fewest wrong values.
  std::size_t near_miss_errors_ = 0;      ///< How many values of those are wrong.
  void note_near_miss(const Event& event);
};

/// Runs one step on a machine that stands at its beginning. `also` sees the same events (answers, views); may be null.
/// The twin's half of a step is a step as well: run it on the twin's machine, and hang its result into this one's.
LessonStepResult run_step(const LessonStep& step, TimeTravel& travel, EventSink* also,
                          const std::atomic<bool>* interrupted = nullptr);

/// Runs the whole lesson on machines of its own. `progress` is told each step as it is judged; may be empty.
LessonResult run_lesson(const Lesson& lesson, const std::atomic<bool>* interrupted = nullptr,
                        const std::function<void(const LessonStepResult&)>& progress = {});

}  // namespace shearling
