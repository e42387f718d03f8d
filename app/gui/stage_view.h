// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Stage: who runs now, what just happened, what comes next. Guest user, guest kernel, VMM (ours, or a guest that is
// one itself) and hardware keep their places, under the names of the ISA's levels of privilege; a trap, an exit or a
// return is an arrow between them; the bottom line says it in words.
#pragma once

#include <optional>

#include "app/gui/geometry.h"
#include "app/gui/view.h"

class QVariantAnimation;

namespace shearling::gui {

/// A change of hands, as the Stage draws it.
struct Crossing {
  enum class Place : std::uint8_t { User, Kernel, Vmm };
  Place from = Place::Kernel;
  Place to = Place::Vmm;
  QString label;  ///< "VM exit · 10".
  bool operator==(const Crossing&) const = default;
};
/// The newest one among the events that have happened.
std::optional<Crossing> crossing_of(const Moment& moment);

class StageView : public PaintedView {
  Q_OBJECT
 public:
  explicit StageView(QWidget* parent = nullptr);
  void show_moment(const Moment& moment) override;
  void set_movement(bool on) { moves_ = on; }
  [[nodiscard]] QSize sizeHint() const override { return {640, 340}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {320, 200}; }

 protected:
  void paint(QPainter& painter) override;

 private:
  void paint_guest(QPainter& painter, const StageLayout& layout) const;
  void paint_level(QPainter& painter, const QRectF& box, Actor actor, const QString& name, bool lit) const;
  void paint_vmm(QPainter& painter, const QRectF& box) const;
  void paint_band(QPainter& painter, const QRectF& box, Role role, const QString& title, const QString& text,
                  bool lit) const;
  void paint_crossing(QPainter& painter, const StageLayout& layout) const;
  void paint_narration(QPainter& painter, const QRectF& box) const;
  [[nodiscard]] Actor actor_now() const;
  [[nodiscard]] QString vmm_words() const;
  [[nodiscard]] QString hardware_words() const;

  std::optional<Crossing> crossing_;
  QVariantAnimation* animation_;
  double progress_ = 1;  ///< Of the arrow.
  bool moves_ = true;
};

}  // namespace shearling::gui
