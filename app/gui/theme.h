// SPDX-License-Identifier: GPL-3.0-or-later
//
// Colours, type and sizes of the window, from assets/themes. Each role (who acts) has one colour everywhere: `mark` for
// lines and blocks, `text` for words (contrast 4.5 to 1 on every surface it is used on). Sizes are pixels at 100 %.
#pragma once

#include <array>

#include <QColor>
#include <QFont>
#include <QObject>
#include <QString>

#include "core/events/event.h"

namespace shearling::gui {

enum class Role : std::uint8_t { GuestUser, GuestKernel, Vmm, Hardware, FirstStage, SecondStage, Seesaw };
constexpr std::size_t kRoleCount = 7;

struct RoleColour {
  QColor mark;
  QColor text;
};

struct Palette {
  QString name;
  std::array<RoleColour, kRoleCount> roles;
  QColor text, muted, line, surface, ground, button, good, bad;
  RoleColour notice;
  QColor notice_fill;
};

enum class ThemeChoice : std::uint8_t { Light, Dark, HighContrast, System };

/// Colours of a theme as assets/themes has them; System follows the desktop.
Palette load_palette(ThemeChoice choice);

/// WCAG 2.1 contrast of two opaque colours: 1 to 21.
double contrast(const QColor& a, const QColor& b);
/// `strength` (0 to 1) of one colour over another.
QColor mix(const QColor& colour, const QColor& ground, double strength);

class Theme : public QObject {
  Q_OBJECT
 public:
  static Theme& instance();

  [[nodiscard]] const Palette& palette() const { return palette_; }
  [[nodiscard]] ThemeChoice choice() const { return choice_; }
  [[nodiscard]] double zoom() const { return zoom_; }
  void choose(ThemeChoice choice);
  void set_zoom(double zoom);

  [[nodiscard]] const RoleColour& role(Role role) const { return palette_.roles[static_cast<std::size_t>(role)]; }
  [[nodiscard]] QColor tint(Role role, double strength = 0.14) const {
    return mix(this->role(role).mark, palette_.surface, strength);
  }
  [[nodiscard]] double px(double at_100_percent) const { return at_100_percent * zoom_; }
  [[nodiscard]] QFont words(double pixels, QFont::Weight weight = QFont::Normal) const;
  [[nodiscard]] QFont mono(double pixels, QFont::Weight weight = QFont::Normal) const;
  /// The style sheet of the whole window.
  [[nodiscard]] QString style_sheet() const;

 signals:
  void changed();

 private:
  Theme();
  ThemeChoice choice_ = ThemeChoice::Light;
  Palette palette_;
  double zoom_ = 1.0;
};

inline Theme& theme() { return Theme::instance(); }

Role role_of(Actor actor);
/// The word that goes with a role's colour.
QString word_of(Role role);

}  // namespace shearling::gui
