// SPDX-License-Identifier: GPL-3.0-or-later
//
// What every view of the window is: a widget that shows a moment of the run and may point at something elsewhere (an
// address, an event, a step). Views hold no state of the simulation, only the last moment they were shown.
#pragma once

#include <optional>

#include <QWidget>

#include "app/gui/picture.h"
#include "app/gui/session_controller.h"
#include "app/gui/theme.h"

class QPainter;

namespace shearling::gui {

class View : public QWidget {
  Q_OBJECT
 public:
  explicit View(QWidget* parent = nullptr) : QWidget(parent) {
    connect(&theme(), &Theme::changed, this, [this] { theme_changed(); });
  }
  virtual void show_moment(const Moment& moment) = 0;
  /// What an export of the view shows; nothing: what the screen shows.
  virtual std::optional<Page> page() { return std::nullopt; }

 signals:
  void title_changed(const QString& title);
  void event_chosen(std::size_t event);
  void step_chosen(shearling::StepIndex step);
  void address_chosen(shearling::gui::AddressSpace space, quint64 address);
  void breakpoint_toggled(quint64 address);
  void windows_wanted(const std::vector<shearling::gui::MemoryWindow>& windows);
  void run_to_wanted(quint64 address);

 protected:
  virtual void theme_changed() { update(); }
};

/// A view that paints itself: it keeps the moment and repaints. Without a machine it says what to do.
class PaintedView : public View {
  Q_OBJECT
 public:
  using View::View;
  void show_moment(const Moment& moment) override {
    moment_ = moment;
    update();
  }

 protected:
  void paintEvent(QPaintEvent* event) final;
  /// There is a machine.
  virtual void paint(QPainter& painter) = 0;

  Moment moment_{.machine = std::make_shared<const MachineView>(), .cursor = 0, .detail = Detail::Main, .whole = true};
};

}  // namespace shearling::gui
