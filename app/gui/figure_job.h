// SPDX-License-Identifier: GPL-3.0-or-later
//
// A figure being computed on a thread of its own: the window stays usable, hears how far it is, and can call it off.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include <QObject>

#include "core/cache_study/figure.h"

namespace shearling::gui {

/// Called with the share done, 0 to 1.
using FigureProgress = std::function<void(double share)>;
/// Computes a figure by its number. What it returns after `called_off` became true is ignored.
using FigureMaker =
    std::function<Result<Figure>(int number, const FigureProgress& progress, const std::atomic<bool>& called_off)>;
/// The cache study's figures, as `shearling seesaw --figure N` computes them.
FigureMaker study_maker();

class FigureJob : public QObject {
  Q_OBJECT
 public:
  FigureJob(FigureMaker maker, int number, QObject* parent = nullptr);
  /// Calls it off, and waits until it has noticed.
  ~FigureJob() override;

  [[nodiscard]] int number() const { return number_; }
  void call_off() { called_off_ = true; }
  [[nodiscard]] bool called_off() const { return called_off_; }
  /// After finished().
  [[nodiscard]] const Result<Figure>& result() const { return *result_; }

 signals:
  void progressed(double share);
  void finished();

 private:
  void report(double share);

  int number_;
  std::atomic<bool> called_off_{false};
  int shown_percent_ = -1;  ///< Of whoever reports; never two threads at once.
  std::optional<Result<Figure>> result_;
  std::thread thread_;
};

}  // namespace shearling::gui
