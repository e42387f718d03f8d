// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lesson/answer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <functional>

#include "core/events/spelling.h"
#include "core/lesson/pattern.h"
#include "core/loader/elf_image.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

struct Answer::Node {
  enum class Kind : std::uint8_t { Number, Symbol, Count, Sum, Field, Seen, Add, Subtract, Multiply, Divide };
  Kind kind = Kind::Number;
  std::unique_ptr<Node> left, right;  ///< Of the four operations.

  std::uint64_t number = 0;  ///< Number; what Count and Sum have come to; Symbol's address.
  double real = 0;           ///< What Sum has come to over a field of real numbers.
  std::string name;          ///< Of a symbol.
  bool known = false;        ///< Symbol found, Field seen.

  EventPattern pattern;
  std::string field;
  std::vector<std::string> steps;  ///< Lesson steps that count; empty: all.
  bool last = false;               ///< Field: of the last such event, not the first.
  LessonSide side = LessonSide::First;
  bool active = false;  ///< The events of a step that counts are coming in.
  FieldValue value;
  std::string text;  ///< What `value` refers to when it is text.
  FieldFormat format = FieldFormat::Decimal;

  [[nodiscard]] bool reads_events() const { return kind >= Kind::Count && kind <= Kind::Seen; }
  [[nodiscard]] bool counts_step(std::string_view id, LessonSide of_side) const {
    return of_side == side && (steps.empty() || std::find(steps.begin(), steps.end(), id) != steps.end());
  }
};

namespace {

using Node = Answer::Node;

/// What the cost model charges for an event: every event has it, besides its fields.
constexpr std::string_view kCharged = "cycles";

FieldValue value_of(const Event& event, std::string_view field) {
  if (field == kCharged) return std::uint64_t{event.cycles};
  return *field_value(event, field);
}

void for_each(Node& node, const std::function<void(Node&)>& visit) {
  visit(node);
  if (node.left) for_each(*node.left, visit);
  if (node.right) for_each(*node.right, visit);
}

class AnswerParser {
 public:
  AnswerParser(const LessonAsk& ask, const Lesson& lesson, std::vector<Diagnostic>& diagnostics)
      : text_(ask.answer), place_(ask.answer_place), lesson_(lesson), diagnostics_(diagnostics) {}

  std::unique_ptr<Node> parse() {
    auto node = sum();
    skip_blanks();
    if (!failed_ && at_ < text_.size())
      fail(at_, "'" + std::string(text_.substr(at_)) + "' is left over", "is there a ')' too many?");
    return failed_ ? nullptr : std::move(node);
  }

 private:
  static constexpr unsigned kMostDepth = 64;

  std::unique_ptr<Node> sum() {
    auto node = product();
    for (char sign = next_of("+-"); sign != 0; sign = next_of("+-"))
      node = join(sign == '+' ? Node::Kind::Add : Node::Kind::Subtract, std::move(node), product());
    return node;
  }

  std::unique_ptr<Node> product() {
    auto node = term();
    for (char sign = next_of("*/"); sign != 0; sign = next_of("*/"))
      node = join(sign == '*' ? Node::Kind::Multiply : Node::Kind::Divide, std::move(node), term());
    return node;
  }

  static std::unique_ptr<Node> join(Node::Kind kind, std::unique_ptr<Node> left, std::unique_ptr<Node> right) {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->left = std::move(left);
    node->right = std::move(right);
    return node;
  }

  std::unique_ptr<Node> term() {
    auto node = std::make_unique<Node>();
    skip_blanks();
    if (failed_) return node;
    if (next_of("(") != 0) {
      if (++depth_ > kMostDepth) fail(at_, "the parentheses are nested too deeply", "write it more simply");
      node = sum();
      expect(')');
      --depth_;
      return node;
    }
    const std::size_t begin = at_;
    const std::string_view word = take_word();
    if (const auto number = parse_number(word)) {
      node->number = *number;
      return node;
    }
    function(*node, word, begin);
    return node;
  }

  void function(Node& node, std::string_view word, std::size_t begin) {
    static const std::vector<std::string_view> kFunctions{"count", "sum", "field", "seen", "symbol"};
    static constexpr std::array<Node::Kind, 5> kKinds{Node::Kind::Count, Node::Kind::Sum, Node::Kind::Field,
                                                      Node::Kind::Seen, Node::Kind::Symbol};
    const auto found = std::find(kFunctions.begin(), kFunctions.end(), word);
    if (found == kFunctions.end())
      return fail(begin, "there is no function '" + std::string(word) + "'", spelling_remedy(word, kFunctions));
    node.kind = kKinds[static_cast<std::size_t>(found - kFunctions.begin())];
    if (!expect('(')) return;
    skip_blanks();
    subject(node);
    while (!failed_ && next_of(",") != 0) argument(node);
    if (expect(')')) check_side(node);
  }

  /// The event (and field) or symbol that a function is about.
  void subject(Node& node) {
    const std::size_t begin = at_;
    const std::string_view word = take_word();
    if (node.kind == Node::Kind::Symbol) {
      node.name = word;
      return;
    }
    std::string_view event = word;
    const bool with_field = node.kind == Node::Kind::Sum || node.kind == Node::Kind::Field;
    const std::size_t dot = word.rfind('.');
    if (with_field) {
      if (dot == std::string_view::npos)
        return fail(begin, "the field is missing", "write event.field, for example vm.exit.reason");
      event = word.substr(0, dot);
    }
    if (const auto problem = set_event(node.pattern, event)) return fail(begin, problem->message, problem->remedy);
    if (!with_field) return;
    node.field = word.substr(dot + 1);
    if (node.field == kCharged) return;
    if (const auto problem = check_field(node.pattern.kind, node.field))
      return fail(begin + dot + 1, problem->message, problem->remedy);
    for (const FieldInfo& info : event_table()[node.pattern.kind].fields) {
      if (info.name == node.field) node.format = info.format;
    }
    const bool summable =
        node.format == FieldFormat::Decimal || node.format == FieldFormat::Hex || node.format == FieldFormat::Real;
    if (node.kind == Node::Kind::Sum && !summable)
      fail(begin + dot + 1, "'" + node.field + "' is no number, so it has no sum", "use field(...) or another field");
  }

  /// "field=value", "step=id", "steps=a..b", "last=true" or "twin=yes".
  void argument(Node& node) {
    skip_blanks();
    const std::size_t begin = at_;
    const std::string_view name = take_word();
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == ':') {
      ++at_;
    } else if (at_ >= text_.size() || std::string_view("=<>!").find(text_[at_]) == std::string_view::npos) {
      return fail(begin, "'" + std::string(name) + "' has no value", "write name=value");
    }
    skip_blanks();
    std::string_view value = take_value();
    const auto comparison = take_comparison(value);
    const auto value_at = static_cast<std::size_t>(value.data() - text_.data());
    if (name == "step" || name == "steps") return steps(node, value, value_at);
    if (name == "last") {
      node.last = value == "true" || value == "yes";
      return;
    }
    if (name == "twin") return side(node, value, value_at);
    if (const auto problem = check_field(node.pattern.kind, name))
      return fail(begin, problem->message, problem->remedy);
    std::string normal(unquoted(value));
    if (const auto problem = normalise_value(node.pattern.kind, name, normal))
      return fail(value_at, problem->message, problem->remedy);
    node.pattern.where.push_back({std::string(name), comparison, {normal}, place_});
  }

  void side(Node& node, std::string_view value, std::size_t at) {
    const bool twin = value == "yes" || value == "true";
    if (!twin && value != "no" && value != "false")
      return fail(at, "'twin' is yes or no, not '" + std::string(value) + "'", "write twin=yes, or leave it out");
    node.side = twin ? LessonSide::Twin : LessonSide::First;
    side_at_ = at;
  }

  /// Who asks the twin needs a step that has one.
  void check_side(const Node& node) {
    if (node.side == LessonSide::First) return;
    for (const LessonBlock& block : lesson_.blocks) {
      const auto* step = std::get_if<LessonStep>(&block);
      if (step != nullptr && step->twin != nullptr && node.counts_step(step->id, LessonSide::Twin)) return;
    }
    fail(side_at_, node.steps.empty() ? "no step of the lesson has a twin" : "the steps that count have no twin",
         "leave 'twin' out, or give the machine and its steps a twin");
  }

  void steps(Node& node, std::string_view value, std::size_t at) {
    const std::size_t dots = value.find("..");
    const std::string_view first = value.substr(0, dots);
    const std::string_view last = dots == std::string_view::npos ? first : value.substr(dots + 2);
    bool inside = false;
    bool ended = false;
    for (const LessonBlock& block : lesson_.blocks) {
      const auto* step = std::get_if<LessonStep>(&block);
      if (step == nullptr) continue;
      if (step->id == first) inside = true;
      if (inside && !ended) node.steps.push_back(step->id);
      if (inside && step->id == last) ended = true;
    }
    if (ended) return;
    const std::string_view culprit = inside ? last : first;
    std::vector<std::string_view> names;
    for (const LessonBlock& block : lesson_.blocks) {
      if (const auto* step = std::get_if<LessonStep>(&block)) names.emplace_back(step->id);
    }
    fail(at,
         lesson_.find_step(culprit) == nullptr ? "there is no step '" + std::string(culprit) + "'"
                                               : "these steps are in the wrong order",
         lesson_.find_step(culprit) == nullptr ? spelling_remedy(culprit, names) : "write the earlier one first");
  }

  // --- letters -------------------------------------------------------------------------------------------------------

  void skip_blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  std::string_view take_word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  std::string_view("._-").find(text_[at_]) != std::string_view::npos)) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  /// Up to the next comma or parenthesis outside quotes.
  std::string_view take_value() {
    const std::size_t begin = at_;
    char quote = 0;
    while (at_ < text_.size()) {
      const char letter = text_[at_];
      if (quote == 0 && (letter == ',' || letter == ')')) break;
      if (letter == '\'' || letter == '"') quote = quote == 0 ? letter : quote == letter ? char{0} : quote;
      ++at_;
    }
    std::string_view value = text_.substr(begin, at_ - begin);
    while (value.ends_with(' ')) value.remove_suffix(1);
    return value;
  }
  static std::string_view unquoted(std::string_view value) {
    const bool quoted =
        value.size() >= 2 && (value.front() == '\'' || value.front() == '"') && value.back() == value.front();
    return quoted ? value.substr(1, value.size() - 2) : value;
  }
  char next_of(std::string_view letters) {
    skip_blanks();
    if (failed_ || at_ >= text_.size() || letters.find(text_[at_]) == std::string_view::npos) return 0;
    return text_[at_++];
  }
  bool expect(char letter) {
    if (next_of(std::string_view(&letter, 1)) != 0) return true;
    if (!failed_) fail(at_, std::string("'") + letter + "' is missing", "see docs/lesson-format.md on answers");
    return false;
  }
  void fail(std::size_t at, std::string message, std::string remedy) {
    if (failed_) return;
    failed_ = true;
    diagnostics_.push_back(
        {lesson_.file, place_.line, place_.column + static_cast<unsigned>(at), std::move(message), std::move(remedy)});
  }

  std::string_view text_;
  LessonPlace place_;
  const Lesson& lesson_;
  std::vector<Diagnostic>& diagnostics_;
  std::size_t at_ = 0;
  std::size_t side_at_ = 0;  ///< Where the function that is being read says whom it asks.
  unsigned depth_ = 0;
  bool failed_ = false;
};

using ValueResult = Result<FieldValue, AnswerProblem>;

ValueResult evaluate(const Node& node);

void add(Node& node, const FieldValue& value) {
  if (const auto* whole = std::get_if<std::uint64_t>(&value)) node.number += *whole;
  if (const auto* real = std::get_if<double>(&value)) node.real += *real;
}

std::optional<double> real_of(const FieldValue& value) {
  if (const auto* whole = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return std::nullopt;
}

ValueResult operate_real(Node::Kind kind, double a, double b) {
  switch (kind) {
    case Node::Kind::Add:
      return FieldValue(a + b);
    case Node::Kind::Subtract:
      return FieldValue(a - b);
    case Node::Kind::Multiply:
      return FieldValue(a * b);
    default:
      break;
  }
  if (b == 0) return AnswerProblem{"it divides by zero"};
  return FieldValue(a / b);
}

/// Whole as long as the result is: a negative one or a fraction is a real number.
ValueResult operate_whole(Node::Kind kind, std::uint64_t a, std::uint64_t b) {
  if (kind == Node::Kind::Add) return FieldValue(a + b);
  if (kind == Node::Kind::Multiply) return FieldValue(a * b);
  if (kind == Node::Kind::Subtract && a >= b) return FieldValue(a - b);
  if (kind == Node::Kind::Divide && b != 0 && a % b == 0) return FieldValue(a / b);
  return operate_real(kind, static_cast<double>(a), static_cast<double>(b));
}

ValueResult operate(const Node& node) {
  ValueResult left = evaluate(*node.left);
  if (!left) return left;
  ValueResult right = evaluate(*node.right);
  if (!right) return right;
  const auto* a = std::get_if<std::uint64_t>(&left.value());
  const auto* b = std::get_if<std::uint64_t>(&right.value());
  if (a != nullptr && b != nullptr) return operate_whole(node.kind, *a, *b);
  const auto x = real_of(left.value());
  const auto y = real_of(right.value());
  if (!x || !y) return AnswerProblem{"only numbers can be added, subtracted, multiplied and divided"};
  return operate_real(node.kind, *x, *y);
}

ValueResult evaluate(const Node& node) {
  switch (node.kind) {
    case Node::Kind::Number:
    case Node::Kind::Count:
      return FieldValue(node.number);
    case Node::Kind::Sum:
      if (node.format == FieldFormat::Real) return FieldValue(node.real);
      return FieldValue(node.number);
    case Node::Kind::Seen:
      return FieldValue(node.number != 0);
    case Node::Kind::Symbol:
      if (!node.known) return AnswerProblem{"the guest has no symbol '" + node.name + "'"};
      return FieldValue(node.number);
    case Node::Kind::Field:
      if (!node.known) return AnswerProblem{"no " + node.pattern.text() + " was seen"};
      if (std::holds_alternative<std::string_view>(node.value)) return FieldValue(std::string_view(node.text));
      return node.value;
    default:
      return operate(node);
  }
}

}  // namespace

Answer::Answer() = default;
Answer::~Answer() = default;
Answer::Answer(Answer&&) noexcept = default;
Answer& Answer::operator=(Answer&&) noexcept = default;

std::optional<Answer> Answer::parse(const LessonAsk& ask, const Lesson& lesson, std::vector<Diagnostic>& diagnostics) {
  Answer answer;
  answer.root_ = AnswerParser(ask, lesson, diagnostics).parse();
  if (!answer.root_) return std::nullopt;
  return answer;
}

void Answer::begin_step(std::string_view step_id, const ElfImage& image, LessonSide side) {
  image_ = &image;
  for_each(*root_, [&](Node& node) {
    node.active = node.reads_events() && node.counts_step(step_id, side);
    if (node.kind != Node::Kind::Symbol || node.side != side) return;
    if (const ElfSymbol* symbol = image.find_symbol(node.name)) {
      node.number = symbol->value;
      node.known = true;
    }
  });
}

void Answer::on_event(const Event& event) {
  for_each(*root_, [&](Node& node) {
    if (!node.active || event.payload.index() != node.pattern.kind || !node.pattern.matches(event, *image_)) return;
    if (node.kind == Node::Kind::Count || node.kind == Node::Kind::Seen) ++node.number;
    if (node.kind == Node::Kind::Sum) add(node, value_of(event, node.field));
    if (node.kind != Node::Kind::Field || (node.known && !node.last)) return;
    node.known = true;
    node.value = value_of(event, node.field);
    if (const auto* text = std::get_if<std::string_view>(&node.value)) node.text = *text;
  });
}

bool Answer::needs_step(std::string_view step_id, LessonSide side) const {
  bool needs = false;
  for_each(*root_, [&](Node& node) { needs = needs || (node.reads_events() && node.counts_step(step_id, side)); });
  return needs;
}

Result<FieldValue, AnswerProblem> Answer::value() const { return evaluate(*root_); }

Result<std::string, AnswerProblem> Answer::text(LessonAsk::Type type) const {
  const auto answer = value();
  if (!answer) return answer.error();
  return format_value(answer.value(), type == LessonAsk::Type::Address ? FieldFormat::Hex : FieldFormat::Decimal);
}

namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// A decimal number with or without a fraction, and nothing else.
std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool same_value(std::string_view reply, std::string_view answer) {
  constexpr double kCloseEnough = 0.005;
  const auto a = parse_number(reply);
  const auto b = parse_number(answer);
  if (a && b) return *a == *b;
  const auto estimate = parse_real(reply);
  const auto exact = parse_real(answer);
  if (estimate && exact && !b) return std::abs(*estimate - *exact) <= kCloseEnough * std::abs(*exact);
  return std::equal(reply.begin(), reply.end(), answer.begin(), answer.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

bool same_answer(std::string_view reply, std::string_view answer) {
  reply = trimmed(reply);
  answer = trimmed(answer);
  return same_value(reply, answer) || same_value(trimmed(reply.substr(0, reply.find(':'))), answer);
}

}  // namespace shearling
