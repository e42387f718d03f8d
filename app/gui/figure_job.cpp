// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/figure_job.h"

#include <algorithm>

#include "core/cache_study/figures.h"

namespace shearling::gui {

FigureMaker study_maker() {
  return [](int number, const FigureProgress& progress, const std::atomic<bool>& called_off) -> Result<Figure> {
    const unsigned cores = std::max(2U, std::thread::hardware_concurrency());
    FigureOptions options;
    options.jobs = cores - 1;  // One stays with the window.
    options.progress = progress;
    options.interrupted = &called_off;
    Result<std::vector<Figure>> figures = compute_figures({number}, options);
    if (!figures) return figures.error();
    if (figures.value().empty()) return Diagnostic{.message = "the figure was called off"};
    return std::move(figures.value().front());
  };
}

FigureJob::FigureJob(FigureMaker maker, int number, QObject* parent) : QObject(parent), number_(number) {
  thread_ = std::thread([this, maker = std::move(maker)] {
    result_ = maker(
        number_, [this](double share) { report(share); }, called_off_);
    QMetaObject::invokeMethod(this, &FigureJob::finished, Qt::QueuedConnection);
  });
}

FigureJob::~FigureJob() {
  call_off();
  thread_.join();
}

// At most one message a percent: the window must not drown in them.
void FigureJob::report(double share) {
  const int percent = static_cast<int>(share * 100);
  if (percent == shown_percent_) return;
  shown_percent_ = percent;
  QMetaObject::invokeMethod(
      this, [this, share] { emit progressed(share); }, Qt::QueuedConnection);
}

}  // namespace shearling::gui
