// SPDX-License-Identifier: GPL-3.0-or-later
//
// The figures of the SEESAW paper, regenerated with the model and set beside the paper's values. Each is a declared
// recipe: for each panel a metric and the settings that all its cells share; what a row and a column mean follows from
// their names. docs/seesaw-report.md tells what comes of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/result.h"
#include "core/cache_study/figure.h"

namespace shearling {

struct FigureOptions {
  /// Data references of each run, of which the first quarter warms up.
  std::uint64_t references = 1'000'000;
  unsigned jobs = 0;          ///< Threads; 0: all cores. Changes no result.
  bool fill_on_miss = false;  ///< The filter table also where the L1 TLB knew a page that the table did not.
  bool swapped_tlbs = false;  ///< The TLBs of Table II with their labels exchanged.
  std::function<void(double share)> progress;  ///< On any thread, never on two at once.
  const std::atomic<bool>* interrupted = nullptr;
};

/// Numbers of figure_numbers(), in any order; runs that several figures need are made once. Empty where it was
/// interrupted.
[[nodiscard]] Result<std::vector<Figure>> compute_figures(const std::vector<int>& numbers,
                                                          const FigureOptions& options);

/// The statements of the paper that belong to a figure, judged by the figure's model side. `figure` is whole.
[[nodiscard]] std::vector<FigureTrend> trends_of(const Figure& figure);

}  // namespace shearling
