// SPDX-License-Identifier: GPL-3.0-or-later
//
// The only bridge between the session's thread and the window: takes the newest view at most at frame rate, and keeps
// the micro-cursor, the event of the shown step that the views light. The cursor belongs to the window alone: the
// machine always stands after the whole step.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include <QObject>
#include <QTimer>

#include "app/gui/machine_session.h"

namespace shearling::gui {

/// How much of a step is shown and stepped through: its story, also translation and first-level caches, everything.
enum class Detail : std::uint8_t { Story, Main, Everything };
bool is_shown(const Event& event, Detail detail);

/// What all views show: a machine view and a place among its step's events.
struct Moment {
  std::shared_ptr<const MachineView> machine;
  std::size_t cursor = 0;  ///< Event that is lit; meaningful when there are events.
  Detail detail = Detail::Main;
  bool whole = true;  ///< The step is shown complete; else events after the cursor are still to come.

  [[nodiscard]] const Event* event() const {
    return cursor < machine->events.size() ? &machine->events[cursor] : nullptr;
  }
  /// Events up to here have happened.
  [[nodiscard]] std::size_t happened() const { return whole ? machine->events.size() : cursor + 1; }
};

/// The event of a step that says most: a stop, an exit, a trap, ... down to the instruction's end.
std::size_t telling_event(const std::vector<Event>& events);

class SessionController : public QObject {
  Q_OBJECT
 public:
  explicit SessionController(QObject* parent = nullptr);
  ~SessionController() override;

  [[nodiscard]] const Moment& moment() const { return moment_; }
  [[nodiscard]] const MachineView& machine() const { return *moment_.machine; }
  [[nodiscard]] bool running() const { return machine().state == RunState::Running; }

  /// Queues a command; see MachineSession::post. A run that is under way is paused first.
  std::uint64_t post(Command command);
  /// Takes the newest view at once instead of at the next frame. For tests and exports.
  void refresh();

 public slots:
  void step() { post(StepForward{1}); }
  void step_over() { post(StepOver{}); }
  /// To the next micro-event; at the end of a step to the first one of the next.
  void step_into();
  void finish_step();
  /// Undoes what step_into or step did: one micro-event back inside a step, else one step back.
  void back();
  void run() { post(Run{}); }
  void pause();
  void run_to_trap() { post(RunTo{Landmark::Trap}); }
  void run_to_exit() { post(RunTo{Landmark::Exit}); }
  void back_to_trap() { post(BackTo{Landmark::Trap}); }
  void restart() { post(Restart{}); }
  void stop() { post(Unload{}); }
  void seek(shearling::StepIndex step) { post(Seek{step}); }
  /// Lights an event of the shown step: F11 goes on from there.
  void light(std::size_t event);
  void show_detail(shearling::gui::Detail detail);

 signals:
  void moment_changed(const shearling::gui::Moment& moment);

 private:
  void view_arrived();
  void take(std::shared_ptr<const MachineView> view);
  [[nodiscard]] std::optional<std::size_t> shown_from(std::size_t first) const;

  Moment moment_;
  std::uint64_t enter_step_ = 0;  ///< The step of this command is entered at its first micro-event.
  QTimer frame_;
  bool view_waits_ = false;
  std::unique_ptr<MachineSession> session_;
};

}  // namespace shearling::gui
