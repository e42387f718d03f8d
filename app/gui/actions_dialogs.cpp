// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/actions_dialogs.h"

#include <QAction>
#include <QGridLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QVBoxLayout>

#include "app/gui/theme.h"

namespace shearling::gui {
namespace {

QString keys_of(const QAction& action) {
  QStringList keys;
  for (const QKeySequence& key : action.shortcuts()) keys.push_back(key.toString(QKeySequence::NativeText));
  return keys.join(QStringLiteral(", "));
}

}  // namespace

QString plain_text(const QAction& action) {
  QString text = action.text();
  text.remove(QLatin1Char('&'));
  if (text.endsWith(QLatin1String("..."))) text.chop(3);
  return text;
}

CommandPalette::CommandPalette(std::vector<QAction*> actions, QWidget* parent)
    : QDialog(parent), actions_(std::move(actions)), line_(new QLineEdit(this)), list_(new QListWidget(this)) {
  setWindowTitle(tr("Commands"));
  setAttribute(Qt::WA_DeleteOnClose);
  line_->setPlaceholderText(tr("Type a part of what you want to do"));
  auto* layout = new QVBoxLayout(this);
  layout->addWidget(line_);
  layout->addWidget(list_);
  resize(static_cast<int>(theme().px(560)), static_cast<int>(theme().px(420)));
  line_->installEventFilter(this);
  connect(line_, &QLineEdit::textChanged, this, &CommandPalette::fill);
  connect(list_, &QListWidget::itemActivated, this, &CommandPalette::trigger);
  connect(list_, &QListWidget::itemClicked, this, &CommandPalette::trigger);
  fill({});
}

void CommandPalette::fill(const QString& wanted) {
  list_->clear();
  for (std::size_t index = 0; index < actions_.size(); ++index) {
    const QString text = plain_text(*actions_[index]);
    if (!text.contains(wanted, Qt::CaseInsensitive) &&
        !actions_[index]->statusTip().contains(wanted, Qt::CaseInsensitive))
      continue;
    QString line = text;
    if (const QString tip = actions_[index]->statusTip(); !tip.isEmpty()) line += QStringLiteral(" - ") + tip;
    if (const QString keys = keys_of(*actions_[index]); !keys.isEmpty()) line += QStringLiteral("    ") + keys;
    auto* item = new QListWidgetItem(line, list_);
    item->setData(Qt::UserRole, static_cast<qulonglong>(index));
    item->setToolTip(actions_[index]->statusTip());
    if (!actions_[index]->isEnabled()) item->setFlags(item->flags() & ~Qt::ItemIsEnabled);
  }
  list_->setCurrentRow(0);
}

void CommandPalette::trigger() {
  const QListWidgetItem* item = list_->currentItem();
  if (item == nullptr) return;
  QAction* action = actions_[static_cast<std::size_t>(item->data(Qt::UserRole).toULongLong())];
  close();
  action->trigger();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() != QEvent::KeyPress) return QDialog::eventFilter(watched, event);
  const auto* key = static_cast<QKeyEvent*>(event);
  const int row = list_->currentRow();
  switch (key->key()) {
    case Qt::Key_Down:
      list_->setCurrentRow(std::min(row + 1, list_->count() - 1));
      return true;
    case Qt::Key_Up:
      list_->setCurrentRow(std::max(row - 1, 0));
      return true;
    case Qt::Key_Return:
    case Qt::Key_Enter:
      trigger();
      return true;
    default:
      return QDialog::eventFilter(watched, event);
  }
}

KeySheet::KeySheet(const std::vector<QAction*>& actions, QWidget* parent) : QDialog(parent) {
  setWindowTitle(tr("Keys"));
  setAttribute(Qt::WA_DeleteOnClose);
  auto* grid = new QGridLayout(this);
  grid->setHorizontalSpacing(24);
  grid->setContentsMargins(24, 20, 24, 20);
  std::vector<const QAction*> with_keys;
  for (const QAction* action : actions) {
    if (!action->shortcuts().isEmpty()) with_keys.push_back(action);
  }
  const int rows = static_cast<int>((with_keys.size() + 1) / 2);
  for (int index = 0; index < static_cast<int>(with_keys.size()); ++index) {
    const QAction& action = *with_keys[static_cast<std::size_t>(index)];
    auto* key = new QLabel(keys_of(action), this);
    key->setStyleSheet(QStringLiteral("font-family: 'JetBrains Mono', monospace; font-size: %1px; color: %2;")
                           .arg(static_cast<int>(theme().px(13)))
                           .arg(theme().palette().muted.name()));
    auto* text = new QLabel(plain_text(action), this);
    text->setToolTip(action.statusTip());
    grid->addWidget(key, index % rows, index / rows * 2);
    grid->addWidget(text, index % rows, index / rows * 2 + 1);
  }
}

}  // namespace shearling::gui
