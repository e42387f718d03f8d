// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling seesaw: the SEESAW paper's figures, model beside paper; sweeps over many configurations and streams.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "app/cli/cli.h"
#include "core/cache_study/figures.h"
#include "core/cache_study/paper_data.h"
#include "core/cache_study/sweep.h"

namespace shearling::cli {

namespace {

constexpr std::size_t kTextWidth = 100;

/// A bar on standard error with the time that is left; nothing where that is not a terminal.
class ProgressBar {
 public:
  explicit ProgressBar(std::string what) : what_(std::move(what)), terminal_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `share` of the whole is done; `of_this` of it by this process: what was there before says nothing about the time.
  void show(double share, double of_this, const std::string& count = {}) {
    if (!terminal_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_ && share < 1) return;
    next_ = now + std::chrono::milliseconds(200);
    constexpr int kBar = 30;
    const int full = std::clamp(static_cast<int>(share * kBar), 0, kBar);
    const double elapsed = std::chrono::duration<double>(now - start_).count();
    std::string left;
    if (of_this > 0.01) left = ", " + duration(elapsed / of_this * (1 - share)) + " left";
    std::fprintf(stderr, "\r%s [%s%s] %3.0f %%%s%s (Ctrl-C stops)\x1b[K", what_.c_str(),
                 std::string(static_cast<std::size_t>(full), '#').c_str(),
                 std::string(static_cast<std::size_t>(kBar - full), '.').c_str(), 100 * share, count.c_str(),
                 left.c_str());
    std::fflush(stderr);
    shown_ = true;
  }
  void clear() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
    shown_ = false;
  }

 private:
  static std::string duration(double seconds) {
    const auto whole = static_cast<unsigned long>(std::lround(seconds));
    std::array<char, 32> text{};
    if (whole < 3600)
      std::snprintf(text.data(), text.size(), "%lu:%02lu", whole / 60, whole % 60);
    else
      std::snprintf(text.data(), text.size(), "%lu h %02lu min", whole / 3600, whole / 60 % 60);
    return text.data();
  }

  std::string what_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_{};
};

// --- figures as text -------------------------------------------------------------------------------------------------

std::string number(double value, int decimals) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

/// As many decimals as the panel's values need: three for nanojoules, one for per cent.
int decimals_of(const FigurePanel& panel) {
  double most = 0;
  for (const FigureSeries& series : panel.series) {
    for (const FigureCell& cell : series.cells) {
      for (const auto& value : {cell.paper, cell.model}) most = std::max(most, value ? std::abs(value->high) : 0);
    }
  }
  return most < 1 ? 3 : most < 6 ? 2 : 1;
}

bool has_ranges(const FigurePanel& panel) {
  return std::any_of(panel.series.begin(), panel.series.end(), [](const FigureSeries& series) {
    return std::any_of(series.cells.begin(), series.cells.end(), [](const FigureCell& cell) {
      return (cell.paper && cell.paper->low < cell.paper->high) || (cell.model && cell.model->low < cell.model->high);
    });
  });
}

std::string value_text(const std::optional<FigureValue>& value, int decimals) {
  return value ? number(value->value, decimals) : "-";
}

std::string range_text(const std::optional<FigureValue>& value, int decimals) {
  return value ? number(value->low, decimals) + ".." + number(value->high, decimals) : "";
}

bool has_paper(const FigurePanel& panel) {
  return std::any_of(panel.series.begin(), panel.series.end(), [](const FigureSeries& series) {
    return std::any_of(series.cells.begin(), series.cells.end(),
                       [](const FigureCell& cell) { return cell.paper.has_value(); });
  });
}

void print_padded(const std::string& text, std::size_t width) {
  std::printf("%*s", static_cast<int>(width), text.c_str());
}

/// For each series the paper's value, the model's, and the difference; the model's alone where the paper has no panel.
void print_panel(const FigurePanel& panel) {
  std::size_t first = 8;
  for (const std::string& category : panel.categories) first = std::max(first, category.size() + 2);
  const int decimals = decimals_of(panel);
  const bool compared = has_paper(panel), ranges = has_ranges(panel);
  const std::size_t column = ranges ? 13 : 8;
  const std::size_t group = compared ? 2 * column + 8 : std::max<std::size_t>(column, 10);

  std::printf("\n%s (%s)%s\n", panel.title.c_str(), panel.axis.c_str(), compared ? "" : ", the model alone");
  print_padded("", first);
  for (const FigureSeries& series : panel.series) print_padded(series.name, std::max(group, series.name.size() + 2));
  std::printf("\n");
  if (compared) {
    print_padded("", first);
    for (std::size_t i = 0; i < panel.series.size(); ++i) {
      print_padded("paper", column);
      print_padded("model", column);
      print_padded("diff", 8);
    }
    std::printf("\n");
  }
  for (std::size_t row = 0; row < panel.categories.size(); ++row) {
    std::printf("%-*s", static_cast<int>(first), panel.categories[row].c_str());
    for (const FigureSeries& series : panel.series) {
      const FigureCell& cell = series.cells[row];
      if (compared) print_padded(value_text(cell.paper, decimals), column);
      print_padded(value_text(cell.model, decimals), compared ? column : std::max(group, series.name.size() + 2));
      if (!compared) continue;
      const bool both = cell.paper && cell.model;
      const double difference = both ? cell.model->value - cell.paper->value : 0;
      print_padded(both ? (difference >= 0 ? "+" : "") + number(difference, decimals) : "", 8);
    }
    std::printf("\n");
    if (!ranges) continue;
    print_padded("", first);
    for (const FigureSeries& series : panel.series) {
      if (compared) print_padded(range_text(series.cells[row].paper, decimals), column);
      print_padded(range_text(series.cells[row].model, decimals),
                   compared ? column : std::max(group, series.name.size() + 2));
      if (compared) print_padded("", 8);
    }
    std::printf("\n");
  }
}

/// A paragraph with a hanging indent.
void print_wrapped(const std::string& lead, const std::string& text) {
  std::string line = lead;
  const std::string indent(lead.size(), ' ');
  std::size_t at = 0;
  bool fresh = true;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (!fresh && line.size() + 1 + (end - at) > kTextWidth) {
      std::printf("%s\n", line.c_str());
      line = indent;
      fresh = true;
    }
    line += (fresh ? "" : " ") + text.substr(at, end - at);
    fresh = false;
    at = end + 1;
  }
  std::printf("%s\n", line.c_str());
}

void print_trends(const Figure& figure, bool only_failed) {
  for (const FigureTrend& trend : figure.trends) {
    if (only_failed && trend.reproduced) continue;
    print_wrapped(trend.reproduced ? "  reproduced:     " : "  NOT reproduced: ",
                  trend.statement + " [" + trend.evidence + "]");
  }
}

void print_figure(const Figure& figure) {
  std::printf("Figure %d: %s\n", figure.number, figure.title.c_str());
  for (const FigurePanel& panel : figure.panels) print_panel(panel);
  std::printf("\nWhat the paper says, and the model's evidence:\n");
  print_trends(figure, false);
  std::printf("\n");
  for (const std::string& note : figure.notes) print_wrapped("  * ", note);
}

void print_overview(const std::vector<Figure>& figures) {
  std::size_t all = 0, good = 0;
  for (const Figure& figure : figures) {
    const auto reproduced = static_cast<std::size_t>(std::count_if(
        figure.trends.begin(), figure.trends.end(), [](const FigureTrend& trend) { return trend.reproduced; }));
    all += figure.trends.size();
    good += reproduced;
    std::printf("Figure %-3d %zu of %zu  %s\n", figure.number, reproduced, figure.trends.size(), figure.title.c_str());
    print_trends(figure, true);
  }
  std::printf(
      "\n%zu of %zu statements of the paper are reproduced. 'shearling seesaw --figure N' shows a figure whole;\n%s\n",
      good, all, figures.empty() ? "" : figures.front().notes.back().c_str());
}

// --- commands --------------------------------------------------------------------------------------------------------

/// All of them for an empty text.
Result<std::vector<int>> figures_asked(const std::string& text) {
  if (text.empty()) return figure_numbers();
  for (const int one : figure_numbers()) {
    if (text == std::to_string(one)) return std::vector<int>{one};
  }
  return Diagnostic{.message = "--figure: the study has no figure '" + text + "'",
                    .remedy = "give 2, 3, or a number from 7 to 15"};
}

int stopped(const std::string& what) {
  std::cerr << "shearling: stopped: " << what << '\n';
  return kLimitReached;
}

int show_figures(const SeesawOptions& options) {
  const auto numbers = figures_asked(options.figure);
  if (!numbers) return complain(numbers.error());
  FigureOptions figure_options{.jobs = options.jobs,
                               .fill_on_miss = options.tft_fill == "every-miss",
                               .swapped_tlbs = options.tlbs == "swapped",
                               .progress = {},
                               .interrupted = interrupted()};
  const bool overview = options.figure.empty();
  if (options.references != 0)
    figure_options.references = options.references;
  else if (overview)
    figure_options.references /= 4;  // many runs: an overview need not be exact
  Result<std::vector<Figure>> figures = [&] {
    ProgressBar bar(overview ? "all figures" : "figure " + options.figure);
    figure_options.progress = [&](double share) { bar.show(share, share); };
    return compute_figures(numbers.value(), figure_options);
  }();
  if (!figures) return complain(figures.error());
  if (figures.value().empty()) return stopped("no figure is shown");

  if (options.json != "-") overview ? print_overview(figures.value()) : print_figure(figures.value().front());
  std::fflush(stdout);
  if (options.json.empty()) return kAsAsked;
  if (!overview) return write_json(to_json(figures.value().front()), options.json);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Figure& figure : figures.value()) list.push_back(to_json(figure));
  return write_json({{"schema", 1}, {"figures", list}}, options.json);
}

int run_plan(const SeesawOptions& options) {
  const auto plan = load_sweep_plan(options.sweep);
  if (!plan) return complain(plan.error());
  const auto shard = options.shard.empty() ? Result<SweepShard>(SweepShard{}) : parse_shard(options.shard);
  if (!shard) return complain(shard.error());
  const Result<SweepSummary> summary = [&] {
    ProgressBar bar("sweep " + plan.value().name);
    std::size_t found = 0;
    bool first = true;
    SweepOptions sweep{.output = options.output,
                       .shard = shard.value(),
                       .jobs = options.jobs,
                       .simulate = simulate_run,
                       .progress = {},
                       .interrupted = interrupted()};
    sweep.progress = [&](std::size_t done, std::size_t total) {
      if (first) found = done;
      first = false;
      const auto whole = static_cast<double>(std::max<std::size_t>(total, 1));
      bar.show(static_cast<double>(done) / whole, static_cast<double>(done - found) / whole,
               ", " + std::to_string(done) + " of " + std::to_string(total) + " runs");
    };
    return run_sweep(plan.value(), sweep);
  }();
  if (!summary) return complain(summary.error());
  const SweepSummary& done = summary.value();
  const std::size_t there = done.found + done.simulated;
  if (done.interrupted)
    return stopped(std::to_string(there) + " of " + std::to_string(done.total) + " runs are in " + options.output +
                   "; the same command goes on from there");
  std::cerr << "shearling: " << done.total << " runs are in " << options.output << ", " << done.simulated
            << " of them new\n";
  return kAsAsked;
}

}  // namespace

int seesaw(const SeesawOptions& options) {
  if (options.sweep.empty() && options.export_format.empty()) return show_figures(options);
  if (options.output.empty())
    return complain(Diagnostic{.message = "--output is missing",
                               .remedy = "name the results file, for example --output results.sqlite"});
  if (!options.sweep.empty()) {
    if (const int status = run_plan(options); status != kAsAsked) return status;
  }
  if (options.export_format.empty()) return kAsAsked;
  if (const Status written = export_sweep_csv(options.output, std::cout); !written) return complain(written.error());
  std::cout.flush();
  if (std::cout) return kAsAsked;
  return complain(Diagnostic{.message = "standard output cannot be written", .remedy = "is the reader gone?"});
}

int seesaw_merge(const SeesawOptions& options) {
  const auto merged = merge_sweeps(options.output, options.merge_inputs);
  if (!merged) return complain(merged.error());
  std::cerr << "shearling: " << merged.value() << " runs added to " << options.output << '\n';
  return kAsAsked;
}

}  // namespace shearling::cli
