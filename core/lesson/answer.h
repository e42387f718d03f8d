// SPDX-License-Identifier: GPL-3.0-or-later
//
// Answers to a lesson's questions are computed from the trace by small expressions, never typed in:
//   count(EVENT[, field=value ...], steps: a..b)     how many such events
//   sum(EVENT.field[, field=value ...], steps: a)    the sum of a field over them, whole or real
//   field(EVENT.field[, field=value ...], steps: a)  the field of the first of them ("last: true" for the last)
//   seen(EVENT[, field=value ...], steps: a)         yes or no
//   symbol(name)                                     an address of the guest
// with numbers, + - * / and parentheses around them. Besides its own fields every event has "cycles", what the cost
// model charges for it. "step: a" is the same as "steps: a..a"; without either, the whole lesson counts. With
// "twin: yes" a function asks the twin machine in place of the first one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/events/reflection.h"
#include "core/events/sink.h"
#include "core/lesson/lesson.h"

namespace shearling {

/// Why a question has no answer.
struct AnswerProblem {
  std::string why;
};

/// A parsed expression together with what it has seen so far. Values in, one value out.
class Answer : public EventSink {
 public:
  Answer();
  ~Answer() override;
  Answer(Answer&&) noexcept;
  Answer& operator=(Answer&&) noexcept;

  /// Parses an ask's expression; mistakes go to `diagnostics`, placed in the lesson file.
  static std::optional<Answer> parse(const LessonAsk& ask, const Lesson& lesson, std::vector<Diagnostic>& diagnostics);

  /// The lesson step whose events follow, those of one side of it; `image`, that side's, gives symbols their addresses
  /// (borrowed).
  void begin_step(std::string_view step_id, const ElfImage& image, LessonSide side = LessonSide::First);
  void on_event(const Event& event) override;
  /// True when the events of this side of the lesson step matter.
  [[nodiscard]] bool needs_step(std::string_view step_id, LessonSide side = LessonSide::First) const;
  /// The answer, or why there is none (no such event was seen, division by zero).
  [[nodiscard]] Result<FieldValue, AnswerProblem> value() const;
  /// The answer as people read it: an Address as hexadecimal.
  [[nodiscard]] Result<std::string, AnswerProblem> text(LessonAsk::Type type) const;

  struct Node;

 private:
  std::unique_ptr<Node> root_;
  const ElfImage* image_ = nullptr;  ///< Of the step whose events are coming in.
};

/// True when a learner's reply is the answer: whole numbers in any base, others to within half a per cent, names
/// whatever their case, and of a choice such as
/// "#GP: the kernel gets control" the part before the colon.
bool same_answer(std::string_view reply, std::string_view answer);

}  // namespace shearling
