// SPDX-License-Identifier: GPL-3.0-or-later
//
// The command palette (every action, found by typing) and the sheet of keys.
#pragma once

#include <vector>

#include <QDialog>

class QAction;
class QLineEdit;
class QListWidget;

namespace shearling::gui {

class CommandPalette : public QDialog {
  Q_OBJECT
 public:
  CommandPalette(std::vector<QAction*> actions, QWidget* parent);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void fill(const QString& wanted);
  void trigger();
  std::vector<QAction*> actions_;
  QLineEdit* line_;
  QListWidget* list_;
};

/// All actions that have a key, in two columns.
class KeySheet : public QDialog {
  Q_OBJECT
 public:
  KeySheet(const std::vector<QAction*>& actions, QWidget* parent);
};

/// The action's words without the mark of its access key and without dots.
QString plain_text(const QAction& action);

}  // namespace shearling::gui
