// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/theme.h"

#include <cmath>

#include <QCoreApplication>
#include <QFile>
#include <QGuiApplication>
#include <QJsonDocument>
#include <QJsonObject>
#include <QPalette>

#include "core/base/assert.h"

/// The resources lie in a static library: nothing else would link them in. (The macro must stand outside of
/// namespaces.)
static void load_resources() { Q_INIT_RESOURCE(themes); }

namespace shearling::gui {
namespace {

constexpr std::array<const char*, kRoleCount> kRoleNames = {"guest user", "guest kernel", "VMM",   "hardware",
                                                            "stage 1",    "stage 2",      "SEESAW"};

QColor colour_in(const QJsonObject& object, const char* key) {
  const QColor colour(object.value(QLatin1String(key)).toString());
  SHEARLING_ASSERT(colour.isValid(), "a theme lacks a colour");
  return colour;
}

RoleColour role_in(const QJsonObject& object, const char* key) {
  const QJsonObject role = object.value(QLatin1String(key)).toObject();
  return {colour_in(role, "mark"), colour_in(role, "text")};
}

bool desktop_is_dark() {
  const QPalette palette = QGuiApplication::palette();
  return palette.color(QPalette::Window).lightnessF() < palette.color(QPalette::WindowText).lightnessF();
}

QString file_of(ThemeChoice choice) {
  switch (choice) {
    case ThemeChoice::Light:
      return QStringLiteral("light");
    case ThemeChoice::Dark:
      return QStringLiteral("dark");
    case ThemeChoice::HighContrast:
      return QStringLiteral("high-contrast");
    case ThemeChoice::System:
      return desktop_is_dark() ? QStringLiteral("dark") : QStringLiteral("light");
  }
  return QStringLiteral("light");
}

double channel_luminance(double channel) {
  return channel <= 0.04045 ? channel / 12.92 : std::pow((channel + 0.055) / 1.055, 2.4);
}

double luminance(const QColor& colour) {
  return 0.2126 * channel_luminance(colour.redF()) + 0.7152 * channel_luminance(colour.greenF()) +
         0.0722 * channel_luminance(colour.blueF());
}

QFont font_of(const QStringList& families, QFont::StyleHint hint, double pixels, QFont::Weight weight) {
  QFont font;
  font.setFamilies(families);
  font.setStyleHint(hint);
  font.setPixelSize(std::max(6, static_cast<int>(std::lround(pixels))));
  font.setWeight(weight);
  font.setHintingPreference(QFont::PreferNoHinting);
  return font;
}

}  // namespace

Palette load_palette(ThemeChoice choice) {
  load_resources();
  QFile file(QStringLiteral(":/shearling/themes/%1.json").arg(file_of(choice)));
  const bool opened = file.open(QIODevice::ReadOnly);
  SHEARLING_ASSERT(opened, "a built-in theme is missing");
  const QJsonObject object = QJsonDocument::fromJson(file.readAll()).object();
  Palette palette;
  palette.name = object.value(QLatin1String("name")).toString();
  const QJsonObject roles = object.value(QLatin1String("roles")).toObject();
  for (std::size_t role = 0; role < kRoleCount; ++role) palette.roles[role] = role_in(roles, kRoleNames[role]);
  palette.text = colour_in(object, "text");
  palette.muted = colour_in(object, "muted");
  palette.line = colour_in(object, "line");
  palette.surface = colour_in(object, "surface");
  palette.ground = colour_in(object, "ground");
  palette.button = colour_in(object, "button");
  palette.good = colour_in(object, "good");
  palette.bad = colour_in(object, "bad");
  palette.notice = role_in(object, "notice");
  palette.notice_fill = colour_in(object, "notice_fill");
  return palette;
}

double contrast(const QColor& a, const QColor& b) {
  const double one = luminance(a);
  const double other = luminance(b);
  return (std::max(one, other) + 0.05) / (std::min(one, other) + 0.05);
}

QColor mix(const QColor& colour, const QColor& ground, double strength) {
  const auto channel = [&](float over, float under) {
    return static_cast<float>(over * strength + under * (1 - strength));
  };
  return QColor::fromRgbF(channel(colour.redF(), ground.redF()), channel(colour.greenF(), ground.greenF()),
                          channel(colour.blueF(), ground.blueF()));
}

Theme& Theme::instance() {
  static Theme theme;
  return theme;
}

Theme::Theme() : palette_(load_palette(choice_)) {}

void Theme::choose(ThemeChoice choice) {
  choice_ = choice;
  palette_ = load_palette(choice);
  emit changed();
}

void Theme::set_zoom(double zoom) {
  zoom_ = std::clamp(zoom, 0.6, 4.0);
  emit changed();
}

QFont Theme::words(double pixels, QFont::Weight weight) const {
  return font_of({QStringLiteral("Inter"), QStringLiteral("Noto Sans"), QStringLiteral("DejaVu Sans"),
                  QStringLiteral("sans-serif")},
                 QFont::SansSerif, px(pixels), weight);
}

QFont Theme::mono(double pixels, QFont::Weight weight) const {
  return font_of({QStringLiteral("JetBrains Mono"), QStringLiteral("DejaVu Sans Mono"), QStringLiteral("monospace")},
                 QFont::Monospace, px(pixels), weight);
}

QString Theme::style_sheet() const {
  const auto size = [this](double pixels) { return QString::number(std::lround(px(pixels))); };
  QString sheet = QStringLiteral(R"(
    QMainWindow, QDialog, QMainWindow > QWidget#ground { background: @ground; }
    QMainWindow::separator { background: transparent; width: 12px; height: 12px; }
    QWidget { color: @text; font-family: Inter, "Noto Sans", "DejaVu Sans", sans-serif; font-size: @13px; }
    QMenuBar { background: transparent; border: none; padding: 2px 0px; }
    QMenuBar::item { padding: 4px 8px; border-radius: 4px; background: transparent; }
    QMenuBar::item:selected, QMenu::item:selected { background: @button; color: @text; }
    QMenu { background: @surface; border: 1px solid @line; padding: 4px; }
    QMenu::item { padding: 5px 24px 5px 20px; border-radius: 4px; }
    QMenu::item:disabled { color: @faint; }
    QMenu::separator { height: 1px; background: @line; margin: 4px 8px; }
    QToolBar { background: transparent; border: none; padding: 0px; spacing: 8px; }
    QToolBar QToolButton, QPushButton { background: @button; border: 1px solid @line; border-radius: 6px; padding: 5px 12px; color: @text;
      font-size: @14px; font-weight: 600; }
    QToolBar QToolButton:hover, QPushButton:hover { border-color: @muted; }
    QToolBar QToolButton:pressed, QPushButton:pressed { background: @line; }
    QToolBar QToolButton:disabled, QPushButton:disabled { color: @faint; }
    QToolButton#quiet { background: transparent; border: none; border-radius: 4px; color: @muted; font-size: @13px; padding: 0px 6px; }
    QToolButton#quiet:hover { background: @button; }
    QToolButton::menu-indicator { image: none; }
    QTableView, QTreeView, QTextBrowser, QPlainTextEdit, QScrollArea, QListView { background: transparent; border: none;
      selection-background-color: @selected; selection-color: @text; outline: none; }
    QScrollArea > QWidget > QWidget { background: transparent; }
    QHeaderView { background: transparent; }
    QHeaderView::section { background: transparent; border: none; color: @muted; font-size: @13px; font-weight: 600; padding: 2px 4px; }
    QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
    QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
    QScrollBar::handle { background: @line; border-radius: 4px; min-height: 24px; min-width: 24px; margin: 1px; }
    QScrollBar::handle:hover { background: @muted; }
    QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
    QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
    QTabBar::tab { background: transparent; color: @muted; padding: 4px 10px; border: none; border-bottom: 2px solid transparent; font-weight: 600; }
    QTabBar::tab:selected { color: @text; border-bottom: 2px solid @text; }
    QTabBar { qproperty-drawBase: 0; }
    QLineEdit, QComboBox { background: @surface; border: 1px solid @line; border-radius: 6px; padding: 4px 8px; color: @text; }
    QLineEdit:focus, QComboBox:focus { border-color: @muted; }
    QComboBox::drop-down { border: none; width: 22px; }
    QComboBox::down-arrow { image: url(:/shearling/icons/down.svg); width: @13px; height: @13px; }
    QProgressBar { background: @button; border: 1px solid @line; border-radius: 4px; max-height: 10px; }
    QProgressBar::chunk { background: @muted; border-radius: 3px; }
    QComboBox QAbstractItemView { background: @surface; border: 1px solid @line; selection-background-color: @button; selection-color: @text; }
    QToolTip { background: @surface; color: @text; border: 1px solid @line; padding: 6px; }
    QStatusBar { background: @ground; color: @muted; }
    QStatusBar::item { border: none; }
    QRadioButton { spacing: 8px; background: transparent; border: none; }
    QRadioButton::indicator { width: 10px; height: 10px; border: 2px solid @muted; border-radius: 7px; background: @surface; }
    QRadioButton::indicator:checked { background: @text; border-color: @text; }
    QRadioButton::indicator:disabled { border-color: @line; }
    QRadioButton::indicator:checked:disabled { background: @muted; border-color: @muted; }
    QLabel { background: transparent; }
  )");
  sheet.replace(QStringLiteral("@faint"), mix(palette_.muted, palette_.surface, 0.55).name());
  sheet.replace(QStringLiteral("@selected"), mix(palette_.muted, palette_.surface, 0.18).name());
  const std::array<std::pair<const char*, QColor>, 6> colours = {{{"@ground", palette_.ground},
                                                                  {"@surface", palette_.surface},
                                                                  {"@button", palette_.button},
                                                                  {"@text", palette_.text},
                                                                  {"@muted", palette_.muted},
                                                                  {"@line", palette_.line}}};
  for (const auto& [name, colour] : colours) sheet.replace(QLatin1String(name), colour.name());
  for (const int pixels : {13, 14, 16, 22})
    sheet.replace(QStringLiteral("@%1px").arg(pixels), size(pixels) + QStringLiteral("px"));
  return sheet;
}

Role role_of(Actor actor) {
  switch (actor) {
    case Actor::GuestUser:
      return Role::GuestUser;
    case Actor::GuestKernel:
      return Role::GuestKernel;
    case Actor::Vmm:
      return Role::Vmm;
    case Actor::Hardware:
      return Role::Hardware;
  }
  return Role::Hardware;
}

QString word_of(Role role) {
  switch (role) {
    case Role::GuestUser:
      return QCoreApplication::translate("Role", "guest user");
    case Role::GuestKernel:
      return QCoreApplication::translate("Role", "guest kernel");
    case Role::Vmm:
      return QCoreApplication::translate("Role", "VMM");
    case Role::Hardware:
      return QCoreApplication::translate("Role", "hardware");
    case Role::FirstStage:
      return QCoreApplication::translate("Role", "stage 1");
    case Role::SecondStage:
      return QCoreApplication::translate("Role", "stage 2");
    case Role::Seesaw:
      return QCoreApplication::translate("Role", "SEESAW");
  }
  return {};
}

}  // namespace shearling::gui
