// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/card_dock.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QToolButton>
#include <QVBoxLayout>

#include "app/gui/paint.h"
#include "app/gui/view.h"

namespace shearling::gui {

CardDock::CardDock(const QString& name, const QString& object_name, View* view, QWidget* parent)
    : QDockWidget(name, parent), name_(name), view_(view) {
  setObjectName(object_name);
  setAttribute(Qt::WA_StyledBackground, false);

  auto* bar = new QWidget(this);
  auto* layout = new QHBoxLayout(bar);
  layout->setContentsMargins(14, 8, 8, 2);
  title_ = new QLabel(name, bar);
  title_->setTextFormat(Qt::RichText);
  title_->setTextInteractionFlags(Qt::NoTextInteraction);
  title_->setMinimumWidth(24);
  layout->addWidget(title_, 1);
  auto* button = new QToolButton(bar);
  button->setObjectName(QStringLiteral("quiet"));
  button->setText(QStringLiteral("⋯"));
  button->setToolTip(tr("Export, float or close this view"));
  button->setAccessibleName(tr("Menu of the view %1").arg(name));
  button->setFocusPolicy(Qt::NoFocus);
  auto* menu = new QMenu(button);
  menu->addAction(tr("Export as SVG, PDF or PNG..."), this, [this] { emit export_wanted(this); });
  menu->addAction(tr("Float or dock"), this, [this] { setFloating(!isFloating()); });
  menu->addAction(tr("Close"), this, &QDockWidget::close);
  button->setMenu(menu);
  button->setPopupMode(QToolButton::InstantPopup);
  layout->addWidget(button);
  setTitleBarWidget(bar);

  auto* content = new QWidget(this);
  auto* content_layout = new QVBoxLayout(content);
  content_layout->setContentsMargins(8, 0, 8, 8);
  content_layout->addWidget(view);
  setWidget(content);

  connect(view, &View::title_changed, this, &CardDock::set_detail);
  connect(&theme(), &Theme::changed, this, &CardDock::apply_theme);
  apply_theme();
}

void CardDock::set_owner(const QString& owner) {
  owner_ = owner;
  show_title();
}

void CardDock::set_detail(const QString& detail) {
  detail_ = detail;
  show_title();
}

void CardDock::show_title() {
  QStringList parts = {name_};
  for (const QString& part : {owner_, detail_}) {
    if (!part.isEmpty()) parts.push_back(part);
  }
  title_->setText(rich(parts.join(QStringLiteral(" · "))));
}

void CardDock::apply_theme() {
  title_->setFont(theme().words(13, QFont::DemiBold));
  title_->setStyleSheet(QStringLiteral("color: %1; font-weight: 600;").arg(theme().palette().muted.name()));
  update();
}

void CardDock::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  prepare(painter);
  painter.fillRect(rect(), theme().palette().ground);
  draw_box(painter, rect(), theme().palette().surface, theme().palette().line);
}

}  // namespace shearling::gui
