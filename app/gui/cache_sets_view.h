// SPDX-License-Identifier: GPL-3.0-or-later
//
// One lookup of the L1 data cache, way by way: SEESAW with its translation filter table beside a plain VIPT cache on
// the same reference; and what the run's lookups were, by the four cases of the SEESAW paper's Table I.
#pragma once

#include <optional>

#include "app/gui/geometry.h"
#include "app/gui/view.h"

namespace shearling::gui {

/// "SEESAW".
QString organisation_name(CacheOrganisation organisation);

/// The L1D lookup of a step to show, with the TFT's and the twin's that belong to it; indices into the events.
struct ShownLookup {
  std::size_t lookup = 0;
  std::optional<std::size_t> tft;
  std::optional<std::size_t> twin;
};
/// The last data lookup of a program (not the walker's) up to the cursor, or the last in the step; else the walker's.
std::optional<ShownLookup> lookup_to_show(const Moment& moment);

class CacheSetsView : public PaintedView {
  Q_OBJECT
 public:
  using PaintedView::PaintedView;
  void show_moment(const Moment& moment) override;
  [[nodiscard]] QSize sizeHint() const override { return {880, 560}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {420, 320}; }

 protected:
  void paint(QPainter& painter) override;

 private:
  void paint_address(QPainter& painter, const QRectF& box) const;
  void paint_tft(QPainter& painter, const QRectF& box) const;
  void paint_cache(QPainter& painter, const QRectF& box, const CacheSummary& cache, std::optional<std::size_t> lookup,
                   bool seesaw) const;
  void paint_cases(QPainter& painter, const QRectF& box) const;
  void paint_totals(QPainter& painter, const QRectF& box) const;
  [[nodiscard]] const CacheLookup* lookup_of(std::optional<std::size_t> index) const;
  [[nodiscard]] bool is_seesaw() const {
    return moment_.machine->caches.l1d.config.organisation == CacheOrganisation::Seesaw;
  }

  std::optional<ShownLookup> shown_;
};

}  // namespace shearling::gui
