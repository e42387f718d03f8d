// SPDX-License-Identifier: GPL-3.0-or-later
//
// The window: docks with the views, menus, toolbar, presets, themes, and what is kept from one session to the next.
// Every action has a place in a menu, a key in its tooltip and a line in the cheat sheet.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <QMainWindow>

#include "app/gui/session_controller.h"
#include "app/gui/view.h"

class QActionGroup;
class QLabel;
class QMenu;
class QSettings;
class QToolBar;

namespace shearling::gui {

class CardDock;
class CodeView;
class LessonView;
class MemoryView;
class MicroscopeView;
class PlotsView;
class StageView;

enum class Preset : std::uint8_t { Lecture, Lab, Paging, Cache, Twin };

class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  /// `remembers`: whether to restore and keep the layout and choices of the last session.
  explicit MainWindow(bool remembers = true, QWidget* parent = nullptr);
  ~MainWindow() override;

  /// Opens whatever the path is: a lesson, a run file, a figure or a guest. Problems are told in the window.
  /// `machine`: a built-in one or a path; empty: the default of the guest's ISA.
  void open(const QString& path, std::optional<VmmTechnique> technique = std::nullopt, const QString& machine = {});
  /// Opens what the last session had open, with its breakpoints; false where that is nothing, or no longer there.
  bool reopen();
  void open_lesson(const QString& id_or_path);
  void open_guest(const QString& path, VmmTechnique technique, const QString& machine = {});

  void arrange(Preset preset);
  void set_presenter(bool on);
  /// Brings a view to the front: "stage", "microscope", "walk", ...
  void show_view(const QString& id);
  [[nodiscard]] SessionController& controller() { return *controller_; }
  /// The second machine of a lesson in lockstep; empty where there is none.
  [[nodiscard]] SessionController& twin() { return *twin_; }
  [[nodiscard]] LessonView& lesson() { return *lesson_; }
  [[nodiscard]] PlotsView& plots() { return *plots_; }
  [[nodiscard]] CardDock* dock(const QString& id) const;
  [[nodiscard]] QAction* action(const QString& id) const;
  [[nodiscard]] QStringList action_ids() const;

  /// Draws a view into a file; the ending says how. False when the file cannot be written.
  bool export_view(QWidget& widget, const QString& file);

 protected:
  bool event(QEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void showEvent(QShowEvent* event) override;
  void closeEvent(QCloseEvent* event) override;

 private:
  struct ActionTexts {
    const char* id;
    const char* text;
    const char* tip;
    QList<QKeySequence> keys;
  };
  void make_docks();
  void make_actions();
  void make_toolbar();
  void make_connections();
  CardDock* add_dock(const QString& id, const QString& name, View* view);
  /// The same for a view of the twin machine.
  void add_twin_dock(const QString& id, const QString& name, View* view);
  void connect_view(SessionController* session, View* view);
  void load_twin(const std::optional<Load>& load);
  void show_twin(const Moment& moment);
  void show_owners();
  template <typename Slot>
  QAction* add(QMenu* menu, const ActionTexts& texts, Slot slot);
  void apply_theme();
  void show_moment(const Moment& moment);
  void show_problem(const Diagnostic& problem);
  void toggle_breakpoint_here();
  void make_technique_actions(QMenu* menu);
  void show_techniques(const MachineView& view);
  void choose_technique(VmmTechnique technique);
  void fill_machines(QMenu* menu);
  void ask_guest();
  void ask_lesson();
  void ask_run_file();
  void ask_figure();
  void ask_export(CardDock* dock);
  void show_palette();
  void show_keys();
  void show_about();
  void apply_shares();
  void apply_hint();
  void zoom_by(double factor);
  void restore();
  void keep() const;
  void keep_opened(QSettings& settings) const;
  void fill_lessons(QMenu* menu);

  SessionController* controller_ = nullptr;
  SessionController* twin_ = nullptr;
  std::map<QString, CardDock*> docks_;
  std::map<QString, QAction*> actions_;
  StageView* stage_ = nullptr;
  MicroscopeView* microscope_ = nullptr;
  MemoryView* memory_ = nullptr;
  LessonView* lesson_ = nullptr;
  PlotsView* plots_ = nullptr;
  QToolBar* toolbar_ = nullptr;
  QLabel* isa_chip_ = nullptr;
  QLabel* technique_chip_ = nullptr;
  QLabel* step_label_ = nullptr;
  QLabel* cycle_label_ = nullptr;
  QLabel* hint_label_ = nullptr;
  QAction* hint_action_ = nullptr;
  QAction* step_action_ = nullptr;
  QAction* cycle_action_ = nullptr;
  QActionGroup* techniques_ = nullptr;
  QActionGroup* themes_ = nullptr;
  QString guest_path_;
  QString machine_name_;  ///< What the guest was opened on; empty: its default.
  struct Opened {
    QString path;
    std::optional<VmmTechnique> technique;  ///< Of a guest.
    QString machine;                        ///< The same.
  };
  std::optional<Opened> opened_;
  bool remembers_ = true;
  bool arranged_ = false;
  bool keeps_shares_ = false;  ///< The preset's sizes follow the window's.
  Preset preset_ = Preset::Lecture;
  bool presenter_ = false;
  QByteArray before_presenter_;
  double zoom_before_presenter_ = 1;
  std::optional<Diagnostic> shown_problem_;
  std::optional<Diagnostic> shown_twin_problem_;
};

}  // namespace shearling::gui
