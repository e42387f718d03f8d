// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/lesson_view.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <set>

#include <QEvent>
#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPointer>
#include <QPushButton>
#include <QRadioButton>
#include <QScrollArea>
#include <QScrollBar>
#include <QTimer>
#include <QVBoxLayout>

#include "app/gui/rows.h"
#include "app/gui/table_views.h"
#include "core/lesson/answer.h"

namespace shearling::gui {

// --- the run of a lesson
// ----------------------------------------------------------------------------------------------

/// How far a lesson has been taken. The answers are fed on a session's thread (one session at a time: the twin's half
/// of a step begins when the first one is done), everything else is the window's; what passes between them lies in
/// Shared, under its lock.
class LessonRun {
 public:
  struct Shared {
    std::mutex working;  ///< Held for a whole half of a step: one session feeds the answers at a time.
    std::mutex mutex;
    std::vector<std::pair<const LessonAsk*, Answer>> answers;  ///< The sessions' threads only.
    std::vector<std::shared_ptr<const void>> machines;         ///< Kept alive: answers may refer to their names.
    std::map<std::string, LessonStepResult> results;           ///< By step id; of the first machine.
    std::map<std::string, LessonStepResult> twin_results;      ///< Of its twin.
    std::set<std::string> interrupted;                         ///< Steps that were not brought to their end.
    std::map<std::string, std::string> texts;                  ///< Answers known so far, by the ask's id.
  };

  explicit LessonRun(Lesson wanted) : lesson(std::make_shared<const Lesson>(std::move(wanted))) {
    std::vector<Diagnostic> problems;
    for (std::size_t block = 0; block < lesson->blocks.size(); ++block) {
      if (std::holds_alternative<LessonStep>(lesson->blocks[block])) steps.push_back(block);
      const auto* ask = std::get_if<LessonAsk>(&lesson->blocks[block]);
      if (ask == nullptr) continue;
      asks.push_back(block);
      if (auto answer = Answer::parse(*ask, *lesson, problems)) shared->answers.emplace_back(ask, std::move(*answer));
    }
  }

  [[nodiscard]] const LessonStep& step(std::size_t index) const {
    return std::get<LessonStep>(lesson->blocks[steps[index]]);
  }
  [[nodiscard]] const LessonAsk& ask(std::size_t index) const {
    return std::get<LessonAsk>(lesson->blocks[asks[index]]);
  }
  /// The machine block that a step runs on.
  [[nodiscard]] std::optional<std::size_t> machine_of(std::size_t index) const {
    std::optional<std::size_t> machine;
    for (std::size_t block = 0; block < steps[index]; ++block) {
      if (std::holds_alternative<LessonMachine>(lesson->blocks[block])) machine = block;
    }
    return machine;
  }
  [[nodiscard]] const LessonMachine* machine(std::size_t index) const {
    const auto block = machine_of(index);
    return block ? &std::get<LessonMachine>(lesson->blocks[*block]) : nullptr;
  }
  /// Of one machine's half of a step.
  [[nodiscard]] std::optional<LessonStepResult> half(std::size_t index, LessonSide side) const {
    const std::lock_guard lock(shared->mutex);
    const auto& results = side == LessonSide::First ? shared->results : shared->twin_results;
    const auto found = results.find(step(index).id);
    return found == results.end() ? std::nullopt : std::optional(found->second);
  }
  /// Of the whole step, once both halves are done.
  [[nodiscard]] std::optional<LessonStepResult> result(std::size_t index) const {
    std::optional<LessonStepResult> result = half(index, LessonSide::First);
    if (!result || step(index).twin == nullptr) return result;
    auto twin = half(index, LessonSide::Twin);
    if (!twin) return std::nullopt;
    result->twin = std::make_shared<LessonStepResult>(std::move(*twin));
    return result;
  }
  [[nodiscard]] std::optional<std::string> answer_text(const std::string& id) const {
    const std::lock_guard lock(shared->mutex);
    const auto found = shared->texts.find(id);
    return found == shared->texts.end() ? std::nullopt : std::optional(found->second);
  }
  /// True, once, when a step was interrupted: it is to be done again.
  [[nodiscard]] bool take_interruption(std::size_t index) {
    const std::lock_guard lock(shared->mutex);
    return shared->interrupted.erase(step(index).id) != 0;
  }
  /// Where a step begins: where the one before it on the same machine ended.
  [[nodiscard]] StepIndex beginning_of(std::size_t index, LessonSide side) const {
    if (index == 0 || machine_of(index) != machine_of(index - 1)) return 0;
    const auto before = half(index - 1, side);
    return before ? before->end : 0;
  }
  /// What a session has to do for one machine's half of a step.
  [[nodiscard]] Work work_of(std::size_t index, LessonSide side) const {
    const LessonStep& wanted = side == LessonSide::First ? step(index) : *step(index).twin;
    return Work{[lesson = lesson, shared = shared, &wanted, side, first = beginning_of(index, side)](
                    TimeTravel& travel, const std::shared_ptr<const void>& machine,
                    const std::atomic<bool>& interrupted) -> std::string {
      const std::lock_guard alone(shared->working);
      // A step that was left by hand begins again where it begins.
      if (travel.machine().position() != first) travel.seek(first, &interrupted);
      const bool known = is_known(*shared, wanted.id, side);
      struct Feed : EventSink {
        std::vector<Answer*> answers;
        void on_event(const Event& event) override {
          for (Answer* answer : answers) answer->on_event(event);
        }
      } feed;
      for (auto& [ask, answer] : shared->answers) {
        if (known) break;  // What was counted once is not counted again.
        answer.begin_step(wanted.id, travel.machine().image(), side);
        if (answer.needs_step(wanted.id, side)) feed.answers.push_back(&answer);
      }
      LessonStepResult result = run_step(wanted, travel, feed.answers.empty() ? nullptr : &feed, &interrupted);
      const std::lock_guard lock(shared->mutex);
      if (interrupted.load()) {
        shared->interrupted.insert(wanted.id);
        return "The lesson's step was interrupted.";
      }
      shared->machines.push_back(machine);
      (side == LessonSide::First ? shared->results : shared->twin_results)
          .insert_or_assign(wanted.id, std::move(result));
      take_answers(*lesson, *shared);
      return {};
    }};
  }

  std::shared_ptr<const Lesson> lesson;
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  std::vector<std::size_t> steps;  ///< Blocks that are steps.
  std::vector<std::size_t> asks;
  std::optional<std::size_t> loaded;  ///< Machine block that was asked for last.
  std::size_t next = 0;               ///< Step to be done next.
  std::size_t revealed_views = 0;     ///< Steps whose views have been brought to the front.
  std::optional<std::size_t>
      waits_for_twin;  ///< A step whose twin's half is to be asked for when the first one is done.

 private:
  static bool is_known(Shared& shared, const std::string& id, LessonSide side) {
    const std::lock_guard lock(shared.mutex);
    return (side == LessonSide::First ? shared.results : shared.twin_results).count(id) != 0;
  }

  /// Answers are known once every half of a step that they look at has been done. The lock is held.
  static void take_answers(const Lesson& lesson, Shared& shared) {
    for (auto& [ask, answer] : shared.answers) {
      const bool waits =
          std::any_of(lesson.blocks.begin(), lesson.blocks.end(), [&, &answer = answer](const LessonBlock& block) {
            const auto* step = std::get_if<LessonStep>(&block);
            if (step == nullptr) return false;
            return (answer.needs_step(step->id) && shared.results.count(step->id) == 0) ||
                   (answer.needs_step(step->id, LessonSide::Twin) && shared.twin_results.count(step->id) == 0);
          });
      if (waits) continue;
      if (const auto text = answer.text(ask->type)) shared.texts[ask->id] = text.value();
    }
  }
};

// --- one question
// -----------------------------------------------------------------------------------------------------

class AskBox : public QFrame {
 public:
  AskBox(const LessonAsk& ask, QWidget* parent)
      : QFrame(parent),
        ask_(ask),
        title_(new QLabel(this)),
        prompt_(new QLabel(this)),
        outcome_(new QLabel(this)),
        button_(new QPushButton(this)) {
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(16, 12, 16, 12);
    layout->setSpacing(6);
    title_->setText(QObject::tr("Predict, then step"));
    prompt_->setText(QString::fromStdString(ask.prompt));
    prompt_->setTextFormat(Qt::MarkdownText);
    prompt_->setWordWrap(true);
    layout->addWidget(title_);
    layout->addWidget(prompt_);
    if (ask.type == LessonAsk::Type::Choice) {
      for (const std::string& choice : ask.choices) {
        // A radio button cannot wrap its words: they stand in a label beside it.
        auto* row = new QHBoxLayout;
        auto* radio = new QRadioButton(this);
        auto* words = new QLabel(QString::fromStdString(choice), this);
        words->setWordWrap(true);
        words->installEventFilter(this);
        radio->setFocusPolicy(Qt::TabFocus);
        radio->setAccessibleName(words->text());
        choices_.push_back({radio, words});
        row->addWidget(radio, 0, Qt::AlignTop);
        row->addWidget(words, 1);
        layout->addLayout(row);
        QObject::connect(radio, &QRadioButton::toggled, this, [this] { refresh(); });
      }
    } else {
      line_ = new QLineEdit(this);
      line_->setPlaceholderText(ask.type == LessonAsk::Type::Address ? QObject::tr("an address, as 0x100000")
                                                                     : QObject::tr("your prediction"));
      layout->addWidget(line_);
      QObject::connect(line_, &QLineEdit::textChanged, this, [this] { refresh(); });
      QObject::connect(line_, &QLineEdit::returnPressed, this, [this] { button_->click(); });
    }
    outcome_->setWordWrap(true);
    outcome_->setTextFormat(Qt::MarkdownText);
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Minimum);
    layout->addWidget(button_, 0, Qt::AlignLeft);
    layout->addWidget(outcome_);
    outcome_->hide();
    button_->setFocusPolicy(Qt::TabFocus);
    QObject::connect(button_, &QPushButton::clicked, this, [this] {
      if (!predicted_)
        predicted_ = true;
      else
        revealed_ = true;
      refresh();
    });
    apply_theme();
    refresh();
  }

  void set_answer(const std::optional<std::string>& answer) {
    if (answer == answer_) return;
    answer_ = answer;
    refresh();
  }

  void apply_theme() {
    const Palette& palette = theme().palette();
    setStyleSheet(QStringLiteral("AskBox, QFrame#ask { background: %1; border: 1px solid %2; border-radius: 6px; } ")
                      .arg(palette.notice_fill.name(), palette.notice.mark.name()));
    setObjectName(QStringLiteral("ask"));
    title_->setFont(theme().words(14, QFont::Bold));
    title_->setStyleSheet(QStringLiteral("color: %1; font-size: %2px; font-weight: 700; border: none;")
                              .arg(palette.notice.text.name())
                              .arg(std::lround(theme().px(14))));
    const QString text = QStringLiteral("font-size: %1px; border: none;").arg(std::lround(theme().px(15)));
    prompt_->setStyleSheet(text);
    outcome_->setStyleSheet(text);
    for (const Choice& choice : choices_) choice.words->setStyleSheet(text);
  }

  bool eventFilter(QObject* watched, QEvent* event) override {
    if (event->type() == QEvent::MouseButtonRelease) {
      for (const Choice& choice : choices_) {
        if (choice.words == watched && choice.button->isEnabled()) choice.button->setChecked(true);
      }
    }
    return QFrame::eventFilter(watched, event);
  }

 private:
  struct Choice {
    QRadioButton* button;
    QLabel* words;
  };

  [[nodiscard]] std::string reply() const {
    if (line_ != nullptr) return line_->text().trimmed().toStdString();
    for (const Choice& choice : choices_) {
      if (choice.button->isChecked()) return choice.words->text().toStdString();
    }
    return {};
  }

  // Predict first; the answer shows once the trace has it and the prediction stands.
  void refresh() {
    const bool shows = answer_ && (predicted_ || revealed_);
    for (const Choice& choice : choices_) choice.button->setEnabled(!predicted_);
    if (line_ != nullptr) line_->setEnabled(!predicted_);
    button_->setVisible(!predicted_);
    button_->setEnabled(!reply().empty());
    button_->setText(answer_ ? QObject::tr("Compare with the trace") : QObject::tr("Predict"));
    outcome_->setVisible(predicted_);
    if (!predicted_) return;
    if (!shows) {
      outcome_->setText(QObject::tr("You predict %1. Go on with the steps: the trace will tell.")
                            .arg(QString::fromStdString(reply())));
      return;
    }
    const bool right = same_answer(reply(), *answer_);
    QString text = right ? QObject::tr("✓ Right: the trace says %1.").arg(QString::fromStdString(*answer_))
                         : QObject::tr("✗ You said %1; the trace says %2.")
                               .arg(QString::fromStdString(reply()), QString::fromStdString(*answer_));
    if (!ask_.explain.empty()) text += QLatin1Char(' ') + QString::fromStdString(ask_.explain);
    outcome_->setText(text);
    outcome_->setStyleSheet(QStringLiteral("font-size: %1px; border: none; color: %2;")
                                .arg(std::lround(theme().px(15)))
                                .arg((right ? theme().palette().good : theme().palette().bad).name()));
  }

  const LessonAsk& ask_;
  QLabel* title_;
  QLabel* prompt_;
  QLabel* outcome_;
  QPushButton* button_;
  QLineEdit* line_ = nullptr;
  std::vector<Choice> choices_;
  std::optional<std::string> answer_;
  bool predicted_ = false;
  bool revealed_ = false;
};

// --- the view
// ---------------------------------------------------------------------------------------------------------

namespace {

QString name_of_step(const LessonStep& step) {
  QString name = QString::fromStdString(step.id);
  name.replace(QLatin1Char('-'), QLatin1Char(' '));
  return name.replace(QLatin1Char('_'), QLatin1Char(' '));
}

/// What is said after a step; where two machines do it, each under its name.
QString words_of(const LessonStep& step, const LessonMachine* machine) {
  QString words = QString::fromStdString(step.say);
  if (step.twin == nullptr || machine == nullptr || machine->twin == nullptr) return words;
  QStringList parts;
  const auto add = [&](const LessonMachine& of, const std::string& say) {
    if (!say.empty())
      parts.push_back(
          QStringLiteral("**%1**\n\n%2").arg(QString::fromStdString(of.title()), QString::fromStdString(say)));
  };
  add(*machine, step.say);
  add(*machine->twin, step.twin->say);
  return parts.join(QStringLiteral("\n\n"));
}

QStringList failures_of(const LessonStepResult& result) {
  QStringList failures;
  for (const ExpectationResult& expectation : result.expectations) {
    if (!expectation.held)
      failures.push_back(QStringLiteral("✗ %1: %2")
                             .arg(QString::fromStdString(expectation.what), QString::fromStdString(expectation.why)));
  }
  if (result.twin != nullptr) failures += failures_of(*result.twin);
  return failures;
}

}  // namespace

LessonView::LessonView(QWidget* parent)
    : View(parent),
      scroll_(new QScrollArea(this)),
      page_(new QWidget),
      column_(new QVBoxLayout(page_)),
      back_(new QPushButton(tr("◀ back"), this)),
      next_(new QPushButton(tr("next ▶"), this)),
      note_(new QLabel(this)) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(6, 0, 2, 0);
  scroll_->setWidget(page_);
  scroll_->setWidgetResizable(true);
  scroll_->setFrameShape(QFrame::NoFrame);
  scroll_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  column_->setContentsMargins(0, 0, 8, 8);
  column_->setSpacing(10);
  note_->setAlignment(Qt::AlignCenter);
  note_->setWordWrap(true);
  note_->setText(tr("No lesson is open.\nChoose one under File, Lessons (Ctrl+L)."));
  auto* buttons = new QHBoxLayout;
  back_->setToolTip(tr("Back to where the lesson's previous step began (PgUp)"));
  next_->setToolTip(tr("Do the lesson's next step (PgDown)"));
  back_->setFocusPolicy(Qt::NoFocus);
  next_->setFocusPolicy(Qt::NoFocus);
  buttons->addWidget(back_);
  buttons->addStretch(1);
  buttons->addWidget(next_);
  layout->addWidget(note_, 1);
  layout->addWidget(scroll_, 1);
  layout->addLayout(buttons);
  connect(next_, &QPushButton::clicked, this, &LessonView::next_step);
  connect(back_, &QPushButton::clicked, this, &LessonView::previous_step);
  setMinimumWidth(220);
  rebuild();
  LessonView::theme_changed();
}

LessonView::~LessonView() = default;

void LessonView::open(Lesson lesson) {
  run_ = std::make_unique<LessonRun>(std::move(lesson));
  rebuild();
  if (run_->steps.empty()) return;
  if (const auto machine = run_->machine_of(0)) load_machine(*machine);
}

void LessonView::close_lesson() {
  run_.reset();
  rebuild();
}

void LessonView::load_machine(std::size_t block) {
  const auto& machine = std::get<LessonMachine>(run_->lesson->blocks[block]);
  Result<MachineSetup> setup = make_setup(*run_->lesson, machine);
  if (!setup) {
    emit problem_found(setup.error());
    return;
  }
  std::optional<Load> twin;
  if (machine.twin != nullptr) {
    Result<MachineSetup> other = make_setup(*run_->lesson, *machine.twin);
    if (!other) {
      emit problem_found(other.error());
      return;
    }
    twin = Load{.setup = std::move(other).value(), .image_path = {}};
    twin->image_path = twin->setup.guest_name;
  }
  run_->loaded = block;
  const std::string path = setup.value().guest_name;
  emit machine_wanted(Load{.setup = std::move(setup).value(), .image_path = path});
  emit twin_wanted(twin);
}

void LessonView::next_step() {
  if (run_ == nullptr || run_->next >= run_->steps.size() || run_->waits_for_twin) return;
  const std::size_t step = run_->next;
  const auto machine = run_->machine_of(step);
  if (!machine) return;
  if (run_->loaded != machine) load_machine(*machine);
  if (run_->loaded != machine) return;  // It could not be had.
  // A step that is done again has the result of the last time: the twin need not wait for it.
  const bool known = run_->half(step, LessonSide::First).has_value();
  emit work_wanted(run_->work_of(step, LessonSide::First));
  if (run_->step(step).twin != nullptr && known) emit twin_work_wanted(run_->work_of(step, LessonSide::Twin));
  if (run_->step(step).twin != nullptr && !known) run_->waits_for_twin = step;
  ++run_->next;
  run_->revealed_views = std::min(run_->revealed_views, step);
  refresh();
}

void LessonView::previous_step() {
  if (run_ == nullptr || run_->next == 0) return;
  --run_->next;
  run_->revealed_views = std::min(run_->revealed_views, run_->next);
  const auto machine = run_->machine_of(run_->next);
  if (machine && run_->loaded != machine) load_machine(*machine);
  run_->waits_for_twin.reset();
  emit position_wanted(run_->beginning_of(run_->next, LessonSide::First));
  if (run_->step(run_->next).twin != nullptr)
    emit twin_position_wanted(run_->beginning_of(run_->next, LessonSide::Twin));
  refresh();
}

void LessonView::add_text(const QString& markdown) {
  auto* label = new QLabel(page_);
  label->setTextFormat(Qt::MarkdownText);
  label->setText(markdown);
  label->setWordWrap(true);
  label->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Minimum);
  label->setTextInteractionFlags(Qt::LinksAccessibleByMouse);
  label->setOpenExternalLinks(true);
  texts_.push_back(label);
  column_->addWidget(label);
}

void LessonView::add_step(std::size_t step) {
  const auto label = [&](Qt::TextFormat format) {
    auto* made = new QLabel(page_);
    made->setWordWrap(true);
    made->setTextFormat(format);
    made->setContentsMargins(12, 0, 0, 0);
    made->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Minimum);
    column_->addWidget(made);
    return made;
  };
  step_rows_.push_back({label(Qt::PlainText), label(Qt::MarkdownText), label(Qt::PlainText)});
  step_rows_.back().name->setText(name_of_step(run_->step(step)));
}

void LessonView::add_ask(std::size_t ask) {
  auto* box = new AskBox(run_->ask(ask), page_);
  asks_.push_back(box);
  column_->addWidget(box);
}

void LessonView::rebuild() {
  texts_.clear();
  step_rows_.clear();
  asks_.clear();
  while (QLayoutItem* item = column_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  const bool some = run_ != nullptr;
  note_->setVisible(!some);
  scroll_->setVisible(some);
  back_->setVisible(some);
  next_->setVisible(some);
  if (!some) {
    emit title_changed({});
    return;
  }
  auto* title = new QLabel(QString::fromStdString(run_->lesson->title), page_);
  title->setObjectName(QStringLiteral("lesson-title"));
  title->setWordWrap(true);
  column_->addWidget(title);
  std::size_t step = 0;
  std::size_t ask = 0;
  for (const LessonBlock& block : run_->lesson->blocks) {
    if (const auto* text = std::get_if<LessonText>(&block)) {
      QString markdown = QString::fromStdString(text->markdown).trimmed();
      // The title stands above already.
      if (markdown.startsWith(QLatin1String("# "))) markdown = markdown.section(QLatin1Char('\n'), 1).trimmed();
      if (!markdown.isEmpty()) add_text(markdown);
    }
    if (std::holds_alternative<LessonStep>(block)) add_step(step++);
    if (std::holds_alternative<LessonAsk>(block)) add_ask(ask++);
  }
  column_->addStretch(1);
  emit title_changed(tr("%1 steps").arg(run_->steps.size()));
  theme_changed();
}

void LessonView::theme_changed() {
  const Palette& palette = theme().palette();
  note_->setStyleSheet(QStringLiteral("color: %1;").arg(palette.muted.name()));
  const auto size = [](double pixels) { return std::lround(theme().px(pixels)); };
  if (auto* title = page_->findChild<QLabel*>(QStringLiteral("lesson-title"))) {
    title->setStyleSheet(
        QStringLiteral("font-size: %1px; font-weight: 700; color: %2;").arg(size(22)).arg(palette.text.name()));
  }
  for (QLabel* text : texts_)
    text->setStyleSheet(QStringLiteral("font-size: %1px; color: %2;").arg(size(16)).arg(palette.text.name()));
  for (AskBox* ask : asks_) ask->apply_theme();
  refresh();
}

void LessonView::refresh() {
  if (run_ == nullptr) return;
  const Palette& palette = theme().palette();
  for (std::size_t step = 0; step < step_rows_.size(); ++step) {
    const LessonStep& wanted = run_->step(step);
    const auto result = run_->result(step);
    const bool done = step < run_->next && result;
    const bool next = step == run_->next;
    const bool failed = done && !result->passed();
    const QString sign = failed ? QStringLiteral("✗")
                         : done ? QStringLiteral("✓")
                         : next ? QStringLiteral("▶")
                                : QStringLiteral("·");
    const QColor colour = failed ? palette.bad
                          : done ? palette.good
                          : next ? theme().role(Role::Vmm).text
                                 : palette.muted;
    const auto style = [](double pixels, const QColor& ink, int weight) {
      return QStringLiteral("font-size: %1px; color: %2; font-weight: %3;")
          .arg(std::lround(theme().px(pixels)))
          .arg(ink.name())
          .arg(weight);
    };
    const StepRow& row = step_rows_[step];
    row.name->setText(sign + QStringLiteral("  ") + name_of_step(wanted));
    row.name->setStyleSheet(style(16, colour, next ? 700 : 400));
    const QString say = words_of(wanted, run_->machine(step));
    row.say->setText(say);
    row.say->setStyleSheet(style(15, palette.text, 400));
    row.say->setVisible(done && !say.isEmpty());
    const QStringList failures = done ? failures_of(*result) : QStringList();
    row.failures->setText(failures.join(QLatin1Char('\n')));
    row.failures->setStyleSheet(style(14, palette.bad, 400));
    row.failures->setVisible(!failures.isEmpty());
  }
  for (std::size_t ask = 0; ask < asks_.size(); ++ask) asks_[ask]->set_answer(run_->answer_text(run_->ask(ask).id));
  next_->setEnabled(run_->next < run_->steps.size());
  back_->setEnabled(run_->next > 0);
  emit title_changed(tr("step %1 of %2").arg(run_->next).arg(run_->steps.size()));
}

void LessonView::show_moment(const Moment& moment) {
  if (run_ == nullptr || moment.machine->state == RunState::Running) return;
  if (moment.machine->state == RunState::Empty) {  // Switched off: the next step loads it again.
    run_->loaded.reset();
    run_->waits_for_twin.reset();
  }
  look_at_results();
}

void LessonView::show_twin(const Moment& moment) {
  if (run_ == nullptr || moment.machine->state == RunState::Running) return;
  look_at_results();
}

void LessonView::look_at_results() {
  if (run_->next > 0 && run_->take_interruption(run_->next - 1)) {
    --run_->next;
    run_->waits_for_twin.reset();
  }
  if (run_->waits_for_twin && run_->half(*run_->waits_for_twin, LessonSide::First)) {
    const std::size_t step = *run_->waits_for_twin;
    run_->waits_for_twin.reset();
    emit twin_work_wanted(run_->work_of(step, LessonSide::Twin));
  }
  refresh();
  if (run_->next == 0 || run_->revealed_views >= run_->next || !run_->result(run_->next - 1)) return;
  run_->revealed_views = run_->next;
  const LessonStep& done = run_->step(run_->next - 1);
  if (const std::optional<std::uint64_t> memory = run_->result(run_->next - 1)->memory)
    emit address_chosen(AddressSpace::Virtual, *memory);
  QStringList views;
  for (const std::string& view : done.show) views.push_back(QString::fromStdString(view));
  // The window shows the same views of both machines.
  for (const std::string& view : done.twin == nullptr ? std::vector<std::string>() : done.twin->show) {
    if (!views.contains(QString::fromStdString(view))) views.push_back(QString::fromStdString(view));
  }
  if (!views.isEmpty()) emit views_wanted(views);
  // The step that comes next is brought into sight, the one just done above it.
  const std::size_t shown = std::min(run_->next, step_rows_.size() - 1);
  const QPointer<QWidget> row = step_rows_[shown].name;
  QTimer::singleShot(0, this, [this, row] {
    if (row != nullptr) scroll_->ensureWidgetVisible(row, 0, 120);
  });
}

}  // namespace shearling::gui
