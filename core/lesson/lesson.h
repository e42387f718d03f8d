// SPDX-License-Identifier: GPL-3.0-or-later
//
// A lesson: one Markdown file whose fenced YAML blocks say what machine to build, how far to run, what must be seen on
// the way, and what to ask. Parsed into values here; run by core/lesson/runner.h. It knows no ISA: events, fields and
// sentences come from the event table, symbols from the guest. The format is told in docs/lesson-format.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "core/events/event.h"
#include "core/machine/machine.h"

namespace shearling {

struct ElfImage;

/// Where something stands in the lesson file; both count from 1.
struct LessonPlace {
  unsigned line = 0;
  unsigned column = 0;
  bool operator==(const LessonPlace&) const = default;
};

/// What a field is compared with: `value` is a number, a truth value, a name, a page size, or "sym:name" (an address).
struct FieldCondition {
  enum class Comparison : std::uint8_t { Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual };
  std::string field;
  Comparison comparison = Comparison::Equal;
  std::vector<std::string> values;  ///< Any one of them (exactly one but for Equal and NotEqual).
  LessonPlace place;
};

/// One event, by name and fields: "walk.reference where {stage: 2, served_by: memory}".
struct EventPattern {
  std::string event;
  std::size_t kind = 0;  ///< Its row in the event table.
  std::vector<FieldCondition> where;
  LessonPlace place;
  /// As the lesson says it, on one line.
  [[nodiscard]] std::string text() const;
  /// `image` gives symbols their addresses; one that it lacks matches nothing.
  [[nodiscard]] bool matches(const Event& event, const ElfImage& image) const;
  /// How many conditions an event of this kind fails.
  [[nodiscard]] std::size_t mismatches(const Event& event, const ElfImage& image) const;
};

// How far a step runs. Each but the last makes at least one machine step.
struct UntilCount {
  StepIndex count = 1;
};  ///< That many instructions.
struct UntilSymbol {
  std::string symbol;
};  ///< The instruction at the symbol is the next one.
struct UntilEvent {
  EventPattern pattern;
};                   ///< To the end of the machine step that emits it.
struct UntilEnd {};  ///< The machine stops.
/// The machine stands still while its twin runs: the only one that makes no step.
struct UntilWaits {};
using Until = std::variant<UntilCount, UntilSymbol, UntilEvent, UntilEnd, UntilWaits>;

struct CountExpectation {
  EventPattern pattern;
  FieldCondition::Comparison comparison = FieldCondition::Comparison::Equal;
  std::uint64_t number = 0;
};

struct RegisterExpectation {
  std::string name;
  std::string value;  ///< A number or "sym:name": what the guest believes after the step.
  LessonPlace place;
};

/// Of two machines that a lesson runs in lockstep: the one that the block names first, or its twin.
enum class LessonSide : std::uint8_t { First, Twin };

/// Prose between blocks.
struct LessonText {
  std::string markdown;
  LessonPlace place;
};

/// Builds a machine; the steps that follow run on it. A later machine block starts another run from its beginning.
struct LessonMachine {
  std::string guest;  ///< Name of a built guest, or a path (relative to the lesson's folder).
  VmmTechnique technique = VmmTechnique::Bare;
  std::string machine;  ///< Built-in name, or a YAML file in the lesson's folder; empty: the guest's default.
  /// A second machine that runs in lockstep; null: there is none. A twin has no twin of its own.
  std::shared_ptr<const LessonMachine> twin;
  LessonPlace place;
  /// For people: "cpuid-trap (vt-x)", "page-walk (bare, no-walk-caches.yaml)".
  [[nodiscard]] std::string title() const;
};

struct LessonStep {
  std::string id;
  Until until;
  StepIndex limit = 20'000'000;      ///< Machine steps after which it gives up.
  std::vector<std::string> show;     ///< Views, in order of importance: names of lesson_views().
  std::string memory;                ///< The address that the view "memory" goes to: a register, number or "sym:name".
  std::string focus;                 ///< The event whose narration and view come to the front; may be empty.
  std::vector<EventPattern> expect;  ///< In this order, with anything between them.
  std::vector<EventPattern> expect_any;  ///< All of them, in any order.
  std::vector<EventPattern> never;
  std::vector<CountExpectation> count;
  std::vector<RegisterExpectation> registers;
  std::string say;                   ///< Shown after the step.
  std::vector<std::string> narrate;  ///< Events to be narrated after the step.
  /// The same idea on the twin machine: a step like this one, with the same id; where it says no `show`, that of this
  /// one. Null exactly where the machine has no twin. At least one of the two moves.
  std::shared_ptr<const LessonStep> twin;
  LessonPlace place;
  LessonPlace until_place;
  LessonPlace memory_place;
  [[nodiscard]] bool waits() const { return std::holds_alternative<UntilWaits>(until); }
  /// True when only every event tells whether the step holds.
  [[nodiscard]] bool needs_every_event() const;
};

/// Predict, then reveal. The answer is computed from the trace of the steps that it names.
struct LessonAsk {
  enum class Type : std::uint8_t { Choice, Number, Text, Address };
  std::string id;
  Type type = Type::Number;
  std::string prompt;
  std::vector<std::string> choices;  ///< Type Choice: the answer is one of these.
  std::string answer;                ///< The expression: see core/lesson/answer.h.
  std::string explain;               ///< Shown with the answer.
  LessonPlace place;
  LessonPlace answer_place;
};

using LessonBlock = std::variant<LessonText, LessonMachine, LessonStep, LessonAsk>;

struct Lesson {
  std::string file;    ///< As given.
  std::string folder;  ///< Where it lies: guests and machines are looked up from here.
  std::string id;
  std::string title;
  unsigned order = 1000;              ///< Place in lists of lessons.
  std::vector<std::string> missions;  ///< Ids of what the lesson tells.
  std::string summary;
  std::vector<LessonBlock> blocks;  ///< In the file's order.

  [[nodiscard]] const LessonStep* find_step(std::string_view step_id) const;
};

struct ParsedLesson {
  Lesson lesson;
  std::vector<Diagnostic> diagnostics;  ///< All of them, in the file's order; empty: the lesson is good.
  [[nodiscard]] bool ok() const { return diagnostics.empty(); }
};

/// The views that `show` may name: "stage", "microscope", "registers", "source", "walk", "tlbs", "cache", "memory", ...
const std::vector<std::string_view>& lesson_views();

/// Parses a lesson's text. `file` is for messages and for the lesson's folder.
ParsedLesson parse_lesson(std::string_view text, const std::string& file);
/// Reads a lesson: a lesson.md, a folder that holds one, or the id of a lesson that comes with the program.
ParsedLesson load_lesson(const std::string& id_or_path);
/// The lesson files that come with the program, sorted by path. $SHEARLING_LESSON_DIR, the installed place, the source
/// tree.
std::vector<std::string> find_lessons();
/// The file of a built guest: $SHEARLING_GUEST_DIR, beside the program, the installed place. A path stays as it is;
/// `folder` is where relative paths begin.
Result<std::string> find_guest(const std::string& name_or_path, const std::string& folder = {});
/// What a lesson's machine block asks for, read into memory.
Result<MachineSetup> make_setup(const Lesson& lesson, const LessonMachine& machine);
/// The same from a command line: guest and machine by name or path. An empty machine is the default of the guest's ISA.
/// Guest, machine and technique have been checked to fit together.
Result<MachineSetup> make_setup(const std::string& guest, VmmTechnique technique, const std::string& machine);

}  // namespace shearling
