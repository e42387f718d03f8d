// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the paper says about its figures, as predicates over the model's side. Each says with which of the model's
// values it holds or fails; none looks at the paper's values.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

#include "core/base/assert.h"
#include "core/cache_study/figures.h"

namespace shearling {

namespace {

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", std::abs(value) < 0.1 ? 3 : 1, value);
  return text;
}

/// The model's values of one panel.
class Values {
 public:
  Values(const Figure& figure, std::size_t panel) : panel_(figure.panels.at(panel)) {}
  [[nodiscard]] const FigureValue& at(std::size_t category, std::size_t series) const {
    const auto& model = panel_.series.at(series).cells.at(category).model;
    SHEARLING_ASSERT(model.has_value(), "a trend looks at a cell that the model does not fill");
    return *model;
  }
  [[nodiscard]] bool has(std::size_t category, std::size_t series) const {
    return panel_.series.at(series).cells.at(category).model.has_value();
  }
  [[nodiscard]] std::size_t row(const std::string& category) const {
    const auto found = std::find(panel_.categories.begin(), panel_.categories.end(), category);
    SHEARLING_ASSERT(found != panel_.categories.end(), "a trend looks for a category that the panel has not");
    return static_cast<std::size_t>(found - panel_.categories.begin());
  }
  [[nodiscard]] std::size_t rows() const { return panel_.categories.size(); }
  [[nodiscard]] std::size_t columns() const { return panel_.series.size(); }
  [[nodiscard]] const std::string& row_name(std::size_t row) const { return panel_.categories[row]; }
  [[nodiscard]] const std::string& column_name(std::size_t column) const { return panel_.series[column].name; }
  /// "4.3 / 7.3 / 10.4" of one row.
  [[nodiscard]] std::string row_text(std::size_t row) const {
    std::string text;
    for (std::size_t column = 0; column < columns(); ++column)
      text += (column == 0 ? "" : " / ") + rounded(at(row, column).value);
    return text;
  }
  /// All rows; of many, the mean alone.
  [[nodiscard]] std::string table_text() const {
    std::string text;
    if (rows() > 6 && panel_.categories.back() == "mean") return "mean: " + row_text(rows() - 1);
    for (std::size_t row = 0; row < rows(); ++row)
      text += (row == 0 ? "" : "; ") + row_name(row) + ": " + row_text(row);
    return text;
  }

 private:
  const FigurePanel& panel_;
};

using Verdict = std::pair<bool, std::string>;
using Judge = Verdict (*)(const Figure&);

/// Calls judge(row, column) over a panel; the first that fails is named.
template <typename Holds>
Verdict every_cell(const Values& values, Holds holds, const std::string& otherwise) {
  for (std::size_t row = 0; row < values.rows(); ++row) {
    for (std::size_t column = 0; column < values.columns(); ++column) {
      if (!values.has(row, column) || holds(values.at(row, column))) continue;
      const FigureValue& value = values.at(row, column);
      return {false, values.row_name(row) + ", " + values.column_name(column) + ": " + rounded(value.value) + " (" +
                         rounded(value.low) + " to " + rounded(value.high) + ")"};
    }
  }
  return {true, otherwise};
}

/// Each row's values rise (or fall) from column to column by more than `least`.
Verdict rows_go(const Values& values, double direction, double least = 0) {
  for (std::size_t row = 0; row < values.rows(); ++row) {
    for (std::size_t column = 1; column < values.columns(); ++column) {
      if (!(direction * (values.at(row, column).value - values.at(row, column - 1).value) > least))
        return {false, values.row_name(row) + ": " + values.row_text(row)};
    }
  }
  return {true, values.table_text()};
}

Verdict row_goes(const Values& values, std::size_t row, double direction) {
  bool goes = true;
  for (std::size_t column = 1; column < values.columns(); ++column)
    goes = goes && direction * (values.at(row, column).value - values.at(row, column - 1).value) > 0;
  return {goes, values.row_name(row) + ": " + values.row_text(row)};
}

Verdict every_mean_within(const Values& values, double low, double high) {
  return every_cell(
      values, [&](const FigureValue& value) { return value.value >= low && value.value <= high; }, values.table_text());
}

Verdict every_workload_gains(const Values& values) {
  double least = 1e300;
  for (std::size_t row = 0; row < values.rows(); ++row)
    for (std::size_t column = 0; column < values.columns(); ++column)
      least = std::min(least, values.at(row, column).low);
  return every_cell(
      values, [](const FigureValue& value) { return value.low > 0; }, "the least gain is " + rounded(least) + " %");
}

// --- the figures -----------------------------------------------------------------------------------------------------

Verdict more_ways_barely_miss_less(const Figure& figure) {
  const Values values(figure, 0);
  double most = 0;
  for (std::size_t size = 0; size < values.columns(); ++size)
    most = std::max(most, values.at(values.row("4 ways"), size).value - values.at(values.row("32 ways"), size).value);
  return {most < 2, "at most " + rounded(most) + " misses per thousand instructions fewer"};
}

Verdict larger_caches_miss_less(const Figure& figure) { return rows_go(Values(figure, 0), -1); }

/// The range of the steps from each associativity to the next, in per cent.
Verdict steps_within(const Values& values, double low, double high) {
  double least = 1e300, most = -1e300;
  for (std::size_t row = 1; row < values.rows(); ++row) {
    for (std::size_t column = 0; column < values.columns(); ++column) {
      if (!values.has(row, column) || !values.has(row - 1, column)) continue;
      const double step = 100 * (values.at(row, column).value / values.at(row - 1, column).value - 1);
      least = std::min(least, step);
      most = std::max(most, step);
    }
  }
  return {least >= low && most <= high, "the steps are from " + rounded(least) + " to " + rounded(most) + " %"};
}

Verdict each_step_costs_latency(const Figure& figure) { return steps_within(Values(figure, 1), 10, 25); }
Verdict each_step_costs_energy(const Figure& figure) { return steps_within(Values(figure, 2), 40, 50); }

Verdict most_is_in_superpages(const Figure& figure) {
  const Values values(figure, 0);
  double least = 100;
  for (std::size_t row = 0; row < values.rows(); ++row) least = std::min(least, values.at(row, 0).value);
  return {least >= 65, "the least share without memhog is " + rounded(least) + " %"};
}

Verdict memhog_takes_superpages(const Figure& figure) { return rows_go(Values(figure, 0), -1); }

Verdict references_favour_superpages(const Figure& figure) {
  const Values values(figure, 1);
  return every_cell(
      values, [](const FigureValue& value) { return value.value >= 53 && value.value <= 95; },
      [&] {
        double low = 100, high = 0;
        for (std::size_t row = 0; row < values.rows(); ++row) {
          low = std::min(low, values.at(row, 0).value);
          high = std::max(high, values.at(row, 0).value);
        }
        return "from " + rounded(low) + " to " + rounded(high) + " %";
      }());
}

Verdict all_gain(const Figure& figure) { return every_workload_gains(Values(figure, 0)); }
Verdict larger_gain_more(const Figure& figure) { return rows_go(Values(figure, 0), +1); }

Verdict mean_gain_in_band(const Figure& figure) {
  const Values values(figure, 0);
  const std::size_t mean = values.row("mean");
  const bool within = values.at(mean, 0).value >= 4 && values.at(mean, 2).value <= 11;
  return {within, "mean: " + values.row_text(mean)};
}

Verdict insertion_costs_little(const Figure& figure) {
  const Values values(figure, 1);
  double sum = 0, most = 0;
  for (std::size_t row = 0; row < values.rows(); ++row) {
    const double lost = values.at(row, 1).value - values.at(row, 0).value;
    sum += lost;
    most = std::max(most, std::abs(lost));
  }
  const double mean = sum / static_cast<double>(values.rows());
  return {std::abs(mean) <= 1,
          "4way hits " + rounded(mean) + " points less on average; the largest difference is " + rounded(most)};
}

Verdict frequency_matters_little(const Figure& figure) {
  const Values values(figure, 0);
  double most = 0;
  for (std::size_t size = 0; size < values.columns(); ++size) {
    const auto [low, high] =
        std::minmax({values.at(0, size).value, values.at(1, size).value, values.at(2, size).value});
    most = std::max(most, high - low);
  }
  return {most <= 2, "the means of one size differ by up to " + rounded(most) + " points"};
}

/// In-order minus out-of-order over all sizes and frequencies.
std::pair<double, double> advantage_of_in_order(const Figure& figure) {
  const Values in_order(figure, 0), out_of_order(figure, 1);
  double least = 1e300, most = -1e300;
  for (std::size_t row = 0; row < in_order.rows(); ++row) {
    for (std::size_t column = 0; column < in_order.columns(); ++column) {
      const double more = in_order.at(row, column).value - out_of_order.at(row, column).value;
      least = std::min(least, more);
      most = std::max(most, more);
    }
  }
  return {least, most};
}

std::string advantage_text(const std::pair<double, double>& advantage) {
  return "in-order gains " + rounded(advantage.first) + " to " + rounded(advantage.second) + " points more";
}

Verdict in_order_gains_more(const Figure& figure) {
  const auto advantage = advantage_of_in_order(figure);
  return {advantage.first > 0, advantage_text(advantage)};
}

Verdict in_order_gains_three_to_five_more(const Figure& figure) {
  const auto advantage = advantage_of_in_order(figure);
  return {advantage.first >= 1.7 && advantage.second <= 6, advantage_text(advantage)};
}

Verdict all_save(const Figure& figure) {
  Verdict in_order = every_workload_gains(Values(figure, 0));
  return in_order.first ? every_workload_gains(Values(figure, 1)) : in_order;
}

Verdict larger_save_more(const Figure& figure) {
  Verdict in_order = rows_go(Values(figure, 0), +1);
  const Verdict out_of_order = rows_go(Values(figure, 1), +1);
  if (!in_order.first) return in_order;
  return {out_of_order.first, "in-order " + in_order.second + "; out-of-order " + out_of_order.second};
}

Verdict savings_in_band(const Figure& figure) {
  Verdict in_order = every_mean_within(Values(figure, 0), 3, 10);
  return in_order.first ? every_mean_within(Values(figure, 1), 3, 10) : in_order;
}

Verdict coherence_matters_to_all(const Figure& figure) {
  const Values values(figure, 0);
  double least = 1e300;
  std::string who;
  for (std::size_t row = 0; row < values.rows(); ++row) {
    if (values.at(row, 0).value >= least) continue;
    least = values.at(row, 0).value;
    who = values.row_name(row);
  }
  return {least >= 9, "the least share is " + rounded(least) + " % (" + who + ")"};
}

Verdict coherence_is_a_third(const Figure& figure) {
  const Values values(figure, 0);
  const double cann = values.at(values.row("cann"), 0).value, tunk = values.at(values.row("tunk"), 0).value;
  return {std::min(cann, tunk) >= 25 && std::max(cann, tunk) <= 42,
          "cann " + rounded(cann) + " %, tunk " + rounded(tunk) + " %"};
}

Verdict sharing_raises_coherence(const Figure& figure) {
  const Values values(figure, 0);
  const std::vector<std::string> sharing{"cann", "g500", "tunk", "nutch", "olio", "redis", "mongo"};
  double shared = 0, alone = 0;
  for (std::size_t row = 0; row < values.rows(); ++row) {
    const bool shares = std::find(sharing.begin(), sharing.end(), values.row_name(row)) != sharing.end();
    (shares ? shared : alone) += values.at(row, 0).value;
  }
  shared /= static_cast<double>(sharing.size());
  alone /= static_cast<double>(values.rows() - sharing.size());
  return {shared > alone, "mean " + rounded(shared) + " % against " + rounded(alone) + " %"};
}

Verdict memhog_takes_runtime(const Figure& figure) {
  return row_goes(Values(figure, 0), Values(figure, 0).row("mean"), -1);
}
Verdict memhog_takes_energy(const Figure& figure) {
  return row_goes(Values(figure, 1), Values(figure, 1).row("mean"), -1);
}

Verdict some_gain_remains(const Figure& figure) {
  const Values values(figure, 0);
  const double left = values.at(values.row("mean"), 2).value;
  return {left >= 4 && left <= 6, "mean at memhog 60 %: " + rounded(left) + " %"};
}

/// Missed by a table of so many entries, hits and misses of L1 together: mean of one size.
double missed_by_tft(const Figure& figure, const char* entries, std::size_t size) {
  const Values hits(figure, 0), misses(figure, 1);
  const std::size_t row = hits.row(entries);
  return hits.at(row, size).value + misses.at(row, size).value;
}

Verdict sixteen_entries_suffice(const Figure& figure) {
  const Values total(figure, 3);
  double printed = 0, on_miss = 0;
  std::string who;
  for (std::size_t row = 0; row < total.rows(); ++row) {
    on_miss = std::max(on_miss, total.at(row, 1).value);
    if (total.at(row, 0).value <= printed) continue;
    printed = total.at(row, 0).value;
    who = total.row_name(row);
  }
  return {printed < 10, "the worst case is " + rounded(printed) + " % (" + who +
                            "); were the table filled on every miss, " + rounded(on_miss) + " %"};
}

Verdict twelve_entries_miss_more(const Figure& figure) {
  const double twelve = missed_by_tft(figure, "12 entries", 1), sixteen = missed_by_tft(figure, "16 entries", 1);
  return {twelve > sixteen, "64 KB: " + rounded(twelve) + " % against " + rounded(sixteen) + " %"};
}

Verdict twenty_entries_add_little(const Figure& figure) {
  const Values runtime(figure, 2);
  double most = 0;
  for (std::size_t size = 0; size < runtime.columns(); ++size)
    most = std::max(
        most, runtime.at(runtime.row("20 entries"), size).value - runtime.at(runtime.row("16 entries"), size).value);
  return {most < 0.1, "20 entries add at most " + rounded(most) + " points of run time"};
}

Verdict tft_misses_miss_in_l1(const Figure& figure) {
  const Values hits(figure, 0), misses(figure, 1);
  const std::size_t row = hits.row("16 entries");
  bool all = true;
  for (std::size_t size = 0; size < hits.columns(); ++size)
    all = all && misses.at(row, size).value > hits.at(row, size).value;
  return {all, "16 entries: L1 misses " + misses.row_text(row) + ", L1 hits " + hits.row_text(row)};
}

Verdict seesaw_beats(const Values& values) {
  bool all = true;
  for (std::size_t row = 0; row < values.rows(); ++row) all = all && values.at(row, 1).value > values.at(row, 0).value;
  return {all, "others / SEESAW: " + values.table_text()};
}
Verdict seesaw_is_faster_than_others(const Figure& figure) { return seesaw_beats(Values(figure, 0)); }
Verdict seesaw_saves_more_than_others(const Figure& figure) { return seesaw_beats(Values(figure, 1)); }

Verdict way_prediction_never_helps(const Figure& figure) {
  const Values values(figure, 0);
  double most = -1e300;
  for (std::size_t row = 0; row < values.rows(); ++row) most = std::max(most, values.at(row, 0).value);
  return {most <= 0, "its greatest gain is " + rounded(most) + " %"};
}

Verdict seesaw_alone_is_fastest(const Figure& figure) {
  const Values values(figure, 0);
  const std::size_t mean = values.row("mean");
  return {values.at(mean, 1).value >= values.at(mean, 2).value && values.at(mean, 1).value > values.at(mean, 0).value,
          "way prediction / SEESAW / both: " + values.row_text(mean)};
}

Verdict both_save_most(const Figure& figure) {
  const Values values(figure, 1);
  const std::size_t mean = values.row("mean");
  return {values.at(mean, 2).value > values.at(mean, 1).value && values.at(mean, 2).value > values.at(mean, 0).value,
          "way prediction / SEESAW / both: " + values.row_text(mean)};
}

Verdict accuracy_is_as_told(const Figure& figure) {
  const Values values(figure, 2);
  const double nutch = values.at(values.row("nutch"), 0).value, g500 = values.at(values.row("g500"), 0).value,
               olio = values.at(values.row("olio"), 0).value;
  return {nutch > 85 && g500 < nutch && olio < nutch,
          "nutch " + rounded(nutch) + " %, g500 " + rounded(g500) + " %, olio " + rounded(olio) + " %"};
}

struct TrendRecipe {
  int figure;
  const char* statement;
  Judge judge;
};

const std::vector<TrendRecipe>& trend_recipes() {
  static const std::vector<TrendRecipe> kTrends{
      {2, "from 4 ways to 32, misses fall by less than 2 per thousand instructions at every size",
       more_ways_barely_miss_less},
      {2, "larger caches miss less at every associativity", larger_caches_miss_less},
      {2, "each doubling of the ways adds 10-25 % latency (CACTI's side)", each_step_costs_latency},
      {2, "each doubling of the ways adds 40-50 % energy (CACTI's side)", each_step_costs_energy},
      {3, "without memhog every workload has 65 % or more of its footprint in superpages", most_is_in_superpages},
      {3, "more memhog leaves fewer superpages, for every workload", memhog_takes_superpages},
      {3, "53-95 % of references go to superpages", references_favour_superpages},
      {7, "every workload gains at every size", all_gain},
      {7, "larger caches gain more, for every workload", larger_gain_more},
      {7, "the means lie between 4 and 11 %", mean_gain_in_band},
      {7, "4way insertion hits within 1 point of 4way-8way on average", insertion_costs_little},
      {8, "every workload gains at every size and frequency", all_gain},
      {8, "larger caches gain more at every frequency", larger_gain_more},
      {8, "frequency changes the mean by no more than 2 points", frequency_matters_little},
      {9, "every workload gains at every size and frequency", all_gain},
      {9, "larger caches gain more at every frequency", larger_gain_more},
      {9, "in-order cores gain more than out-of-order cores, at every size and frequency", in_order_gains_more},
      {9, "they gain 1.7 to 6 points more (the figures; 3-5 in the text)", in_order_gains_three_to_five_more},
      {10, "every workload saves energy everywhere", all_save},
      {10, "larger caches save more", larger_save_more},
      {10, "the means lie between 3 and 10 %", savings_in_band},
      {11, "9 % or more of the saving comes from coherence, for every workload", coherence_matters_to_all},
      {11, "about a third for canneal and tunkrank", coherence_is_a_third},
      {11, "the share is larger where threads or servers share data", sharing_raises_coherence},
      {12, "more memhog leaves less gain in run time (mean)", memhog_takes_runtime},
      {12, "more memhog leaves less gain in energy (mean)", memhog_takes_energy},
      {12, "4-6 % of run time are still gained at memhog 60 %", some_gain_remains},
      {13, "16 entries miss fewer than 10 % of superpage accesses in the worst case", sixteen_entries_suffice},
      {13, "12 entries miss more than 16", twelve_entries_miss_more},
      {13, "20 entries add less than 0.1 % performance", twenty_entries_add_little},
      {13, "most accesses that 16 entries miss miss in L1 too", tft_misses_miss_in_l1},
      {14, "SEESAW is faster than the best other design at every frequency", seesaw_is_faster_than_others},
      {14, "SEESAW saves more energy than the best other design at every frequency", seesaw_saves_more_than_others},
      {15, "way prediction alone never helps run time", way_prediction_never_helps},
      {15, "SEESAW alone has the best mean run time", seesaw_alone_is_fastest},
      {15, "the combination has the best mean energy", both_save_most},
      {15, "prediction is right above 85 % on nutch, and less on g500 and olio", accuracy_is_as_told},
  };
  return kTrends;
}

}  // namespace

std::vector<FigureTrend> trends_of(const Figure& figure) {
  std::vector<FigureTrend> trends;
  for (const TrendRecipe& recipe : trend_recipes()) {
    if (recipe.figure != figure.number) continue;
    Verdict verdict = recipe.judge(figure);
    trends.push_back({recipe.statement, verdict.first, std::move(verdict.second)});
  }
  return trends;
}

}  // namespace shearling
