// SPDX-License-Identifier: GPL-3.0-or-later
//
// The lesson beside the machine: its prose, its steps with what they have shown, and its questions (predict, then
// reveal). Knows no machine: it asks for a step to be done, and is told what came of it. Where a lesson has a twin, the
// twin's half of a step is asked for when the first machine's is done: answers see one machine after the other.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "app/gui/view.h"
#include "core/lesson/lesson.h"
#include "core/lesson/runner.h"

class QLabel;
class QPushButton;
class QScrollArea;
class QVBoxLayout;

namespace shearling::gui {

class LessonRun;
class AskBox;

class LessonView : public View {
  Q_OBJECT
 public:
  explicit LessonView(QWidget* parent = nullptr);
  ~LessonView() override;
  void show_moment(const Moment& moment) override;
  /// The twin machine's; does nothing where the lesson has none.
  void show_twin(const Moment& moment);

  /// Shows a lesson from its beginning; the machine block it begins with is asked for at once.
  void open(Lesson lesson);
  void close_lesson();
  [[nodiscard]] bool has_lesson() const { return run_ != nullptr; }
  [[nodiscard]] const LessonRun* run() const { return run_.get(); }

 public slots:
  /// Does the lesson's next step.
  void next_step();
  /// Back to where the step before was done.
  void previous_step();

 signals:
  void work_wanted(const shearling::gui::Work& work);
  void machine_wanted(const shearling::gui::Load& load);
  void position_wanted(shearling::StepIndex step);
  // The same of the twin machine; no twin is wanted where the machine block names none.
  void twin_work_wanted(const shearling::gui::Work& work);
  void twin_wanted(const std::optional<shearling::gui::Load>& load);
  void twin_position_wanted(shearling::StepIndex step);
  void views_wanted(const QStringList& views);
  void problem_found(const shearling::Diagnostic& problem);

 protected:
  void theme_changed() override;

 private:
  void rebuild();
  void refresh();
  void load_machine(std::size_t block);
  /// What became of a step may be known by now, of one of its halves or of both.
  void look_at_results();
  void add_text(const QString& markdown);
  void add_step(std::size_t step);
  void add_ask(std::size_t ask);

  std::unique_ptr<LessonRun> run_;
  QScrollArea* scroll_;
  QWidget* page_;
  QVBoxLayout* column_;
  QPushButton* back_;
  QPushButton* next_;
  QLabel* note_;
  std::vector<QLabel*> texts_;
  struct StepRow {
    QLabel* name;
    QLabel* say;  ///< Shown once the step is done.
    QLabel* failures;
  };
  std::vector<StepRow> step_rows_;
  std::vector<AskBox*> asks_;
};

}  // namespace shearling::gui
