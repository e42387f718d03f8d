// SPDX-License-Identifier: GPL-3.0-or-later
//
// A dock that looks like a card: white, rounded, its title inside. Drag it by the title; its menu floats, closes and
// exports the view.
#pragma once

#include <QDockWidget>

class QLabel;

namespace shearling::gui {

class View;

class CardDock : public QDockWidget {
  Q_OBJECT
 public:
  CardDock(const QString& name, const QString& object_name, View* view, QWidget* parent = nullptr);
  [[nodiscard]] View* view() const { return view_; }
  /// Whose view it is, before the detail: "AArch64, EL2 + stage 2"; empty where there is only one machine.
  void set_owner(const QString& owner);

 signals:
  void export_wanted(shearling::gui::CardDock* dock);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void set_detail(const QString& detail);
  void apply_theme();

  void show_title();

  QString name_;
  QString owner_;
  QString detail_;
  QLabel* title_ = nullptr;
  View* view_ = nullptr;
};

}  // namespace shearling::gui
