// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "core/events/spelling.h"
#include "core/lesson/answer.h"
#include "core/lesson/lesson.h"
#include "core/lesson/pattern.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

namespace {

using Keys = std::vector<std::string_view>;

const Keys kBlockKinds{"machine", "step", "ask"};
constexpr std::size_t kMostLessonBytes = 4 << 20;

/// The file cut into pieces: prose and fenced blocks of ours.
struct Piece {
  std::string kind;  ///< "front", "text", "machine", "step", "ask".
  std::string text;
  unsigned line = 0;  ///< Of the piece's first line of text, from 1.
};

class Splitter {
 public:
  Splitter(std::string_view text, std::string file, std::vector<Diagnostic>& diagnostics)
      : text_(text), file_(std::move(file)), diagnostics_(diagnostics) {}

  std::vector<Piece> split() {
    read_front();
    while (next_line()) take_line();
    if (!fence_.empty()) fail(fence_line_, "this block is not closed", "end it with a line of " + fence_);
    if (piece_.kind == "text") close();
    return std::move(pieces_);
  }

 private:
  bool next_line() {
    if (at_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    line_ = text_.substr(at_, end - at_);
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    at_ = end + 1;
    ++number_;
    return true;
  }

  void read_front() {
    if (!next_line()) return fail(1, "the lesson is empty", "begin with a line '---' and the lesson's id and title");
    if (line_ != "---") {
      fail(1, "the lesson does not begin with its front matter",
           "begin with a line '---', then id and title, then '---'");
      return take_line();
    }
    Piece front{"front", "", number_ + 1};
    while (next_line()) {
      if (line_ == "---") {
        pieces_.push_back(front);
        return;
      }
      front.text.append(line_).append("\n");
    }
    fail(1, "the front matter has no end", "close it with a line '---'");
  }

  void take_line() {
    if (!fence_.empty()) {
      const bool closes =
          fence_of(line_).size() >= fence_.size() && fence_of(line_)[0] == fence_[0] && rest_of(line_).empty();
      if (closes) {
        fence_.clear();
        if (piece_.kind != "text") return close();
      }
      return append();
    }
    const std::string_view fence = fence_of(line_);
    if (fence.empty()) return append();
    fence_ = fence;
    fence_line_ = number_;
    const std::string kind(rest_of(line_));
    if (std::find(kBlockKinds.begin(), kBlockKinds.end(), kind) != kBlockKinds.end()) {
      close();
      piece_ = {kind, "", number_ + 1};
      return;
    }
    const auto likely = std::find_if(kBlockKinds.begin(), kBlockKinds.end(),
                                     [&](std::string_view one) { return edit_distance(kind, one) == 1; });
    if (likely != kBlockKinds.end())
      fail(number_, "there is no block '" + kind + "'", "did you mean '" + std::string(*likely) + "'?");
    append();
  }

  /// The run of three or more backticks or tildes at a line's beginning; empty where there is none.
  static std::string_view fence_of(std::string_view line) {
    if (line.empty() || (line[0] != '`' && line[0] != '~')) return {};
    const std::size_t length = std::min(line.find_first_not_of(line[0]), line.size());
    return length >= 3 ? line.substr(0, length) : std::string_view{};
  }
  static std::string_view rest_of(std::string_view line) {
    line.remove_prefix(fence_of(line).size());
    while (line.starts_with(' ')) line.remove_prefix(1);
    while (line.ends_with(' ')) line.remove_suffix(1);
    return line;
  }

  void append() {
    if (piece_.kind.empty()) piece_ = {"text", "", number_};
    piece_.text.append(line_).append("\n");
  }
  void close() {
    const bool blank = piece_.text.find_first_not_of(" \n") == std::string::npos;
    if (!piece_.kind.empty() && (piece_.kind != "text" || !blank)) pieces_.push_back(std::move(piece_));
    piece_ = {};
  }
  void fail(unsigned line, std::string message, std::string remedy) {
    diagnostics_.push_back({file_, line, 1, std::move(message), std::move(remedy)});
  }

  std::string_view text_;
  std::string file_;
  std::vector<Diagnostic>& diagnostics_;
  std::size_t at_ = 0;
  std::string_view line_;
  unsigned number_ = 0;
  std::string fence_;  ///< Of the block that is open; empty: none.
  unsigned fence_line_ = 0;
  Piece piece_;
  std::vector<Piece> pieces_;
};

/// The one mapping of a block's text; undefined where there is none.
YAML::Node load_block(YamlReader& yaml, const std::string& text) {
  const std::vector<YAML::Node> documents = yaml.load(text);
  if (documents.size() > 1) yaml.fail(documents[1], "a block holds one mapping", "remove the '---'");
  return documents.empty() ? YAML::Node(YAML::NodeType::Undefined) : documents.front();
}

/// One YAML block of a lesson, or the part of it that is about the twin machine.
class BlockReader {
 public:
  /// Mistakes go to `yaml`, which is borrowed. `place` is that of the block.
  BlockReader(YamlReader& yaml, const YAML::Node& root, LessonPlace place) : yaml_(yaml), root_(root), place_(place) {}

  void read_front(Lesson& lesson) {
    static const Keys kKeys{"id", "title", "order", "missions", "summary"};
    if (!begin("the front matter", kKeys)) return;
    require("id", lesson.id, "a short name such as privilege-levels");
    require("title", lesson.title, "what the lesson is called");
    yaml_.read(root_, "order", lesson.order, 0, 10000);
    yaml_.read(root_, "summary", lesson.summary);
    words("missions", lesson.missions);
    if (lesson.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
      yaml_.fail(root_["id"], "an id has small letters, digits and '-' only", "for example privilege-levels");
  }

  LessonMachine read_machine() {
    static const Keys kKeys{"guest", "vmm", "machine", "twin"};
    LessonMachine machine = read_one_machine("a machine block", kKeys);
    if (!root_.IsMap()) return machine;
    if (const YAML::Node twin = root_["twin"]; twin.IsDefined())
      machine.twin = std::make_shared<LessonMachine>(nested(twin).read_twin_machine());
    return machine;
  }

  LessonStep read_step() {
    static const Keys kKeys = with(kStepKeys, {"id", "twin"});
    LessonStep step;
    step.place = place_;
    if (!begin("a step block", kKeys)) return step;
    require("id", step.id, "a short name of the step, for questions to refer to");
    read_run(step);
    if (const YAML::Node twin = root_["twin"]; twin.IsDefined())
      step.twin = std::make_shared<LessonStep>(nested(twin).read_twin_step(step));
    return step;
  }

  LessonAsk read_ask() {
    static const Keys kKeys{"id", "type", "prompt", "choices", "answer", "explain"};
    static const Keys kTypes{"choice", "number", "text", "address"};
    LessonAsk ask;
    ask.place = place_;
    if (!begin("an ask block", kKeys)) return ask;
    require("id", ask.id, "a short name of the question");
    require("prompt", ask.prompt, "the question");
    require("answer", ask.answer, "an expression over the trace, such as count(walk.reference, step=cold)");
    std::size_t type = 1;
    if (yaml_.read_choice(root_, "type", kTypes, type))
      ask.type = static_cast<LessonAsk::Type>(type);
    else if (!root_["type"].IsDefined())
      fail_here("a question needs a type", "one of choice, number, text, address");
    words("choices", ask.choices);
    yaml_.read(root_, "explain", ask.explain);
    if ((ask.type == LessonAsk::Type::Choice) != (ask.choices.size() > 1))
      fail_here("choices belong to a question of type choice, and it needs at least two",
                "give 'choices: [a, b]' or another type");
    if (const YAML::Node answer = root_["answer"]; answer.IsDefined())
      ask.answer_place = {yaml_.line_of(answer),
                          yaml_.column_of(answer) + (answer.Tag() == "!" ? 1U : 0U)};  // after the quote
    return ask;
  }

 private:
  /// What both halves of a step may say.
  inline static const Keys kStepKeys{"until",      "limit", "show",  "memory",    "focus", "expect",
                                     "expect_any", "never", "count", "registers", "say",   "narrate"};

  static Keys with(Keys keys, std::initializer_list<std::string_view> more) {
    keys.insert(keys.begin(), more.begin(), more.end());
    return keys;
  }

  BlockReader nested(const YAML::Node& node) { return {yaml_, node, {yaml_.line_of(node), yaml_.column_of(node)}}; }

  LessonMachine read_twin_machine() {
    static const Keys kKeys{"guest", "vmm", "machine"};
    return read_one_machine("a twin", kKeys);
  }

  LessonMachine read_one_machine(std::string_view what, const Keys& keys) {
    LessonMachine machine;
    machine.place = place_;
    if (!begin(what, keys)) return machine;
    require("guest", machine.guest, "the name of a guest");
    std::size_t technique = 0;
    if (yaml_.read_choice(root_, "vmm", all_technique_names(), technique))
      machine.technique = static_cast<VmmTechnique>(technique);
    yaml_.read(root_, "machine", machine.machine);
    return machine;
  }

  /// The twin's half of `step`.
  LessonStep read_twin_step(const LessonStep& step) {
    LessonStep twin;
    twin.id = step.id;
    twin.place = place_;
    if (is_waits(root_)) {
      twin.until = UntilWaits{};
      twin.until_place = place_;
    } else if (begin("a twin", kStepKeys)) {
      twin.show = step.show;
      read_run(twin);
    }
    return twin;
  }

  void read_run(LessonStep& step) {
    read_until(step);
    yaml_.read(root_, "limit", step.limit, 1);
    words("show", step.show, &lesson_views());
    read_memory(step);
    yaml_.read(root_, "say", step.say);
    read_focus(step.focus);
    step.expect = patterns("expect");
    step.expect_any = patterns("expect_any");
    step.never = patterns("never");
    read_counts(step.count);
    read_registers(step.registers);
    for (const EventPattern& pattern : patterns("narrate")) step.narrate.push_back(pattern.event);
    if (step.waits()) refuse_events();
  }

  static bool is_waits(const YAML::Node& node) { return node.IsScalar() && node.Scalar() == "waits"; }

  void refuse_events() {
    for (const char* key : {"limit", "focus", "expect", "expect_any", "never", "count", "narrate"}) {
      if (const YAML::Node node = root_[key]; node.IsDefined())
        yaml_.fail(node, "a machine that waits emits no events, so '" + std::string(key) + "' has no sense",
                   "remove it, or say how far the machine runs");
    }
  }

  bool begin(std::string_view what, const Keys& keys) {
    if (root_.IsDefined()) return yaml_.is_mapping(root_, what, keys);
    if (!yaml_.failed())
      yaml_.fail_at(place_.line, place_.column, std::string(what) + " is empty", "write 'key: value' lines");
    return false;
  }
  void fail_here(std::string message, std::string remedy) { yaml_.fail(root_, std::move(message), std::move(remedy)); }

  void require(const char* key, std::string& out, const std::string& remedy) {
    if (yaml_.read(root_, key, out) || root_[key].IsDefined()) return;
    fail_here("the key '" + std::string(key) + "' is missing", remedy);
  }

  void words(const char* key, std::vector<std::string>& out, const Keys* known = nullptr) {
    const YAML::Node list = root_[key];
    if (!list.IsDefined() || !yaml_.is_list(list, "'" + std::string(key) + "'")) return;
    out.clear();
    for (const auto& node : list) {
      const auto word = yaml_.scalar(node, "an entry of '" + std::string(key) + "'");
      if (!word) continue;
      if (known != nullptr && std::find(known->begin(), known->end(), *word) == known->end())
        yaml_.fail(node, "there is no view '" + *word + "'", spelling_remedy(*word, *known));
      else
        out.push_back(*word);
    }
  }

  void read_until(LessonStep& step) {
    static const Keys kKeys{"count", "symbol", "event", "where", "mark", "end"};
    const YAML::Node node = root_["until"];
    if (!node.IsDefined())
      return fail_here("the key 'until' is missing",
                       "until: {count: 1}, {symbol: name}, {event: vm.exit}, {mark: 1} or {end: true}");
    step.until_place = {yaml_.line_of(node), yaml_.column_of(node)};
    if (is_waits(node)) {
      step.until = UntilWaits{};
      return;
    }
    if (!yaml_.is_mapping(node, "'until'", kKeys)) return;
    const bool has_where = node["where"].IsDefined();
    if (node.size() != (has_where ? 2U : 1U) || (has_where && !node["event"].IsDefined()))
      return yaml_.fail(node, "'until' names one thing to run to",
                        "one of count, symbol, event (with where), mark, end");
    if (StepIndex count = 1; yaml_.read(node, "count", count, 1)) step.until = UntilCount{count};
    if (std::string symbol; yaml_.read(node, "symbol", symbol)) step.until = UntilSymbol{symbol};
    if (node["event"].IsDefined()) step.until = UntilEvent{long_pattern(node)};
    if (std::uint32_t mark = 0; yaml_.read(node, "mark", mark))
      step.until = UntilEvent{mark_pattern(node["mark"], mark)};
    if (bool end = true; yaml_.read(node, "end", end)) step.until = UntilEnd{};
  }

  EventPattern mark_pattern(const YAML::Node& at, std::uint32_t mark) {
    EventPattern pattern;
    pattern.place = {yaml_.line_of(at), yaml_.column_of(at)};
    set_event(pattern, LessonMark::kName);
    pattern.where.push_back({"mark", FieldCondition::Comparison::Equal, {std::to_string(mark)}, pattern.place});
    return pattern;
  }

  void read_memory(LessonStep& step) {
    const YAML::Node node = root_["memory"];
    if (!node.IsDefined()) return;
    if (const auto address = yaml_.scalar(node, "'memory'")) step.memory = *address;
    step.memory_place = {yaml_.line_of(node), yaml_.column_of(node)};
    if (std::find(step.show.begin(), step.show.end(), "memory") == step.show.end())
      yaml_.fail(node, "'memory' says what the view of that name goes to, and the step does not show it",
                 "add memory to 'show'");
  }

  void read_focus(std::string& focus) {
    EventPattern pattern;
    if (!yaml_.read(root_, "focus", focus)) return;
    if (const auto problem = set_event(pattern, focus)) yaml_.fail(root_["focus"], problem->message, problem->remedy);
  }

  std::vector<EventPattern> patterns(const char* key) {
    std::vector<EventPattern> result;
    const YAML::Node list = root_[key];
    if (!list.IsDefined() || !yaml_.is_list(list, "'" + std::string(key) + "'")) return result;
    for (const auto& node : list) {
      const std::size_t before = yaml_.diagnostics().size();
      EventPattern pattern = any_pattern(node);
      if (yaml_.diagnostics().size() == before) result.push_back(std::move(pattern));
    }
    return result;
  }

  /// "vm.exit", "vm.exit: {name: CPUID}" or "{event: vm.exit, where: {name: CPUID}}".
  EventPattern any_pattern(const YAML::Node& node) {
    static const Keys kKeys{"event", "where"};
    if (node.IsMap() && node["event"].IsDefined()) {
      yaml_.is_mapping(node, "an event", kKeys);
      return long_pattern(node);
    }
    if (node.IsMap() && node.size() == 1) {
      const auto entry = *node.begin();
      EventPattern pattern = named(entry.first);
      if (!entry.second.IsNull()) read_where(entry.second, pattern);
      return pattern;
    }
    return named(node);
  }

  EventPattern long_pattern(const YAML::Node& node) {
    EventPattern pattern = named(node["event"]);
    if (const YAML::Node where = node["where"]; where.IsDefined()) read_where(where, pattern);
    return pattern;
  }

  EventPattern named(const YAML::Node& node) {
    EventPattern pattern;
    pattern.place = {yaml_.line_of(node), yaml_.column_of(node)};
    const auto name = yaml_.scalar(node, "an event");
    if (!name) return pattern;
    if (const auto problem = set_event(pattern, *name)) yaml_.fail(node, problem->message, problem->remedy);
    return pattern;
  }

  void read_where(const YAML::Node& node, EventPattern& pattern) {
    if (find_event(pattern.event) == nullptr) return;  // said already
    if (!node.IsMap()) return yaml_.fail(node, "what an event must be like is a mapping", "write {field: value}");
    for (const auto& entry : node) {
      const std::string field = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
      if (const auto problem = check_field(pattern.kind, field)) {
        yaml_.fail(entry.first, problem->message, problem->remedy);
        continue;
      }
      read_condition(entry.second, field, pattern);
    }
  }

  void read_condition(const YAML::Node& node, const std::string& field, EventPattern& pattern) {
    FieldCondition condition;
    condition.field = field;
    condition.place = {yaml_.line_of(node), yaml_.column_of(node)};
    if (node.IsSequence()) {
      for (const auto& value : node) add_value(value, condition, pattern);
    } else {
      add_value(node, condition, pattern);
    }
    if (!condition.values.empty()) pattern.where.push_back(std::move(condition));
  }

  void add_value(const YAML::Node& node, FieldCondition& condition, const EventPattern& pattern) {
    const auto text = yaml_.scalar(node, "a value");
    if (!text) return;
    std::string_view rest = *text;
    const auto comparison = take_comparison(rest);
    std::string value(rest);
    if (auto problem = normalise_value(pattern.kind, condition.field, value))
      return yaml_.fail(node, problem->message, problem->remedy);
    const bool one_only =
        comparison != FieldCondition::Comparison::Equal && comparison != FieldCondition::Comparison::NotEqual;
    if (!condition.values.empty() && (one_only || comparison != condition.comparison))
      return yaml_.fail(node, "the values of a list are compared in one way", "all plain, or all with 'not'");
    if (one_only && !std::holds_alternative<std::uint64_t>(sample_value(pattern, condition.field)))
      return yaml_.fail(node, "only whole numbers can be less or greater", "compare for equality");
    condition.comparison = comparison;
    condition.values.push_back(std::move(value));
  }

  static FieldValue sample_value(const EventPattern& pattern, std::string_view field) {
    Event event;
    event.payload = *make_payload(pattern.event);
    return *field_value(event, field);
  }

  void read_counts(std::vector<CountExpectation>& counts) {
    static const Keys kKeys{"event", "where", "equals", "at_least", "at_most"};
    using Comparison = FieldCondition::Comparison;
    static constexpr std::array<std::pair<const char*, Comparison>, 3> kWords{{{"equals", Comparison::Equal},
                                                                               {"at_least", Comparison::GreaterOrEqual},
                                                                               {"at_most", Comparison::LessOrEqual}}};
    const YAML::Node list = root_["count"];
    if (!list.IsDefined() || !yaml_.is_list(list, "'count'")) return;
    for (const auto& node : list) {
      if (!yaml_.is_mapping(node, "an entry of 'count'", kKeys)) continue;
      if (!node["event"].IsDefined()) {
        yaml_.fail(node, "the key 'event' is missing", "which event is counted?");
        continue;
      }
      const EventPattern pattern = long_pattern(node);
      const std::size_t before = counts.size();
      for (const auto& [word, comparison] : kWords) {
        if (std::uint64_t number = 0; yaml_.read(node, word, number)) counts.push_back({pattern, comparison, number});
      }
      if (counts.size() == before) yaml_.fail(node, "the number is missing", "equals: N, at_least: N or at_most: N");
    }
  }

  void read_registers(std::vector<RegisterExpectation>& registers) {
    const YAML::Node node = root_["registers"];
    if (!node.IsDefined()) return;
    if (!node.IsMap()) return yaml_.fail(node, "'registers' must be a mapping", "write {NAME: value}");
    for (const auto& entry : node) {
      const auto value = yaml_.scalar(entry.second, "a register's value");
      if (!value) continue;
      if (!parse_number(*value) && !value->starts_with("sym:")) {
        yaml_.fail(entry.second, "a register holds a number", "write 24, 0x18 or sym:name");
        continue;
      }
      registers.push_back({entry.first.Scalar(), *value, {yaml_.line_of(entry.first), yaml_.column_of(entry.first)}});
    }
  }

  YamlReader& yaml_;
  const YAML::Node root_;  ///< Constant: else asking for a key would make it.
  LessonPlace place_;
};

/// Ids are unique, a machine comes before the steps, answers can be parsed.
class Judge {
 public:
  Judge(const Lesson& lesson, std::vector<Diagnostic>& diagnostics) : lesson_(lesson), diagnostics_(diagnostics) {}

  void judge() {
    for (const LessonBlock& block : lesson_.blocks) std::visit([&](const auto& one) { look(one); }, block);
    if (!has_machine_)
      fail({1, 1}, "the lesson has no machine block", "add one that names a guest, before the first step");
  }

 private:
  void look(const LessonText&) {}
  void look(const LessonMachine& machine) {
    has_machine_ = true;
    has_twin_ = machine.twin != nullptr;
  }
  void look(const LessonStep& step) {
    if (!has_machine_) fail(step.place, "a step stands before any machine", "put a machine block above it");
    unique(step.id, step.place);
    look_at_halves(step);
  }
  void look_at_halves(const LessonStep& step) {
    if (has_twin_ && step.twin == nullptr)
      return fail(step.place, "the machine has a twin, and this step does not say what the twin does",
                  "add 'twin: {until: ...}' or 'twin: waits'");
    if (has_machine_ && !has_twin_ && step.twin != nullptr)
      return fail(step.twin->place, "the machine has no twin", "give its block a 'twin: {guest: ...}'");
    if (step.waits() && (step.twin == nullptr || step.twin->waits()))
      fail(step.until_place,
           step.twin == nullptr ? "a machine without a twin has nothing to wait for" : "both machines wait",
           "say how far the machine runs, for example until: {count: 1}");
  }
  void look(const LessonAsk& ask) {
    unique(ask.id, ask.place);
    if (!ask.answer.empty()) Answer::parse(ask, lesson_, diagnostics_);
  }
  void unique(const std::string& id, LessonPlace place) {
    if (!id.empty() && !ids_.insert(id).second)
      fail(place, "the id '" + id + "' is used twice", "give each step and question its own");
  }
  void fail(LessonPlace place, std::string message, std::string remedy) {
    diagnostics_.push_back({lesson_.file, place.line, place.column, std::move(message), std::move(remedy)});
  }

  const Lesson& lesson_;
  std::vector<Diagnostic>& diagnostics_;
  std::set<std::string> ids_;
  bool has_machine_ = false;
  bool has_twin_ = false;  ///< The machine that the steps run on.
};

}  // namespace

const std::vector<std::string_view>& lesson_views() {
  static const std::vector<std::string_view> kViews{"stage", "microscope", "registers", "control",  "source", "walk",
                                                    "tlbs",  "cache",      "memory",    "timeline", "lesson"};
  return kViews;
}

std::string LessonMachine::title() const {
  const std::string description = machine.empty() ? "" : ", " + machine;
  return guest + " (" + std::string(name_of(technique)) + description + ")";
}

bool LessonStep::needs_every_event() const {
  const bool judges = !expect.empty() || !expect_any.empty() || !never.empty() || !count.empty() || !narrate.empty();
  if (judges) return true;
  const auto* event = std::get_if<UntilEvent>(&until);
  return event != nullptr && !is_notable(Event{.payload = *make_payload(event->pattern.event)});
}

const LessonStep* Lesson::find_step(std::string_view step_id) const {
  for (const LessonBlock& block : blocks) {
    if (const auto* step = std::get_if<LessonStep>(&block); step != nullptr && step->id == step_id) return step;
  }
  return nullptr;
}

ParsedLesson parse_lesson(std::string_view text, const std::string& file) {
  ParsedLesson parsed;
  Lesson& lesson = parsed.lesson;
  lesson.file = file;
  lesson.folder = std::filesystem::path(file).parent_path().string();
  if (text.size() > kMostLessonBytes) {
    parsed.diagnostics.push_back({file, 0, 0, "this is too long for a lesson", "is it the right file?"});
    return parsed;
  }
  for (const Piece& piece : Splitter(text, file, parsed.diagnostics).split()) {
    if (piece.kind == "text") {
      lesson.blocks.emplace_back(LessonText{piece.text, {piece.line, 1}});
      continue;
    }
    YamlReader yaml(file, piece.line - 1);
    BlockReader reader(yaml, load_block(yaml, piece.text), {piece.line - 1, 1});  // the fence's place
    if (piece.kind == "front") reader.read_front(lesson);
    if (piece.kind == "machine") lesson.blocks.emplace_back(reader.read_machine());
    if (piece.kind == "step") lesson.blocks.emplace_back(reader.read_step());
    if (piece.kind == "ask") lesson.blocks.emplace_back(reader.read_ask());
    parsed.diagnostics.insert(parsed.diagnostics.end(), yaml.diagnostics().begin(), yaml.diagnostics().end());
  }
  Judge(lesson, parsed.diagnostics).judge();
  std::stable_sort(parsed.diagnostics.begin(), parsed.diagnostics.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return parsed;
}

}  // namespace shearling
