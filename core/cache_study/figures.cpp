// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/figures.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/base/assert.h"
#include "core/cache_study/paper_data.h"
#include "core/cache_study/study_runner.h"

namespace shearling {

namespace {

// --- metrics ---------------------------------------------------------------------------------------------------------

/// Answers for a point's run; while the runs are being planned it only takes note of them, and answers nothing.
class Runs {
 public:
  explicit Runs(const StudySetup& setup) : setup_(setup) {}
  Measurement of(const StudyPoint& point) {
    if (!measured_) {
      wanted_.push_back(point);
      return {};
    }
    const auto found = measured_->find(point.run_key());
    SHEARLING_ASSERT(found != measured_->end(), "a metric asks for a run that it did not ask for when it was planned");
    return found->second;
  }
  [[nodiscard]] const std::vector<StudyPoint>& wanted() const { return wanted_; }
  [[nodiscard]] const StudyInputs& inputs() const { return setup_.inputs; }
  void answer_from(Measurements measured) { measured_ = std::move(measured); }

 private:
  const StudySetup& setup_;
  std::vector<StudyPoint> wanted_;
  std::optional<Measurements> measured_;
};

using Metric = std::optional<double> (*)(Runs&, const StudyPoint&);

double share(double part, double whole) { return whole == 0 ? 0 : 100 * part / whole; }

std::optional<double> runtime_improvement(Runs& runs, const StudyPoint& point) {
  const double before = runs.of(point.with(StudyDesign::Vipt))[Quantity::Cycles];
  return share(before - runs.of(point)[Quantity::Cycles], before);
}

double energy_of(const Measurement& run, const StudyPoint& point) {
  return run[Quantity::EnergyL1] + run[Quantity::EnergyCoherence] + point.below_l1 * run[Quantity::EnergyBelow];
}

std::optional<double> energy_saved(Runs& runs, const StudyPoint& point) {
  const double before = energy_of(runs.of(point.with(StudyDesign::Vipt)), point);
  return share(before - energy_of(runs.of(point), point), before);
}

std::optional<double> coherence_share(Runs& runs, const StudyPoint& point) {
  const Measurement saved = runs.of(point.with(StudyDesign::Vipt)) - runs.of(point);
  return share(saved[Quantity::EnergyCoherence], energy_of(saved, point));
}

std::optional<double> tft_missed_l1_hit(Runs& runs, const StudyPoint& point) {
  const Measurement run = runs.of(point);
  return share(run[Quantity::TftMissL1Hit], run[Quantity::SuperpageAccesses]);
}

std::optional<double> tft_missed_l1_miss(Runs& runs, const StudyPoint& point) {
  const Measurement run = runs.of(point);
  return share(run[Quantity::TftMissL1Miss], run[Quantity::SuperpageAccesses]);
}

std::optional<double> tft_missed(Runs& runs, const StudyPoint& point) {
  return *tft_missed_l1_hit(runs, point) + *tft_missed_l1_miss(runs, point);
}

std::optional<double> superpage_references(Runs& runs, const StudyPoint& point) {
  const Measurement run = runs.of(point);
  return share(run[Quantity::SuperpageAccesses], run[Quantity::L1Accesses]);
}

std::optional<double> l1_hit_rate(Runs& runs, const StudyPoint& point) {
  const Measurement run = runs.of(point);
  return share(run[Quantity::L1Accesses] - run[Quantity::L1Misses], run[Quantity::L1Accesses]);
}

std::optional<double> prediction_accuracy(Runs& runs, const StudyPoint& point) {
  const Measurement run = runs.of(point);
  return share(run[Quantity::WayPredictions] - run[Quantity::WayMispredictions], run[Quantity::WayPredictions]);
}

std::optional<double> misses_per_thousand(Runs& runs, const StudyPoint& point) {
  const Measurement run = runs.of(point.with(StudyDesign::Plain));
  return share(run[Quantity::L1Misses], run[Quantity::Instructions]) * 10;
}

std::optional<double> superpage_footprint(Runs& runs, const StudyPoint& point) {
  const Measurement run = runs.of(point.with(StudyDesign::Footprint));
  return share(run[Quantity::SuperpageRegions], run[Quantity::Regions]);
}

std::optional<double> array_time(Runs& runs, const StudyPoint& point) {
  const auto array = runs.inputs().array(point.size, point.way_count());
  return array ? std::optional(array->time) : std::nullopt;
}

std::optional<double> array_energy(Runs& runs, const StudyPoint& point) {
  const auto array = runs.inputs().array(point.size, point.way_count());
  return array ? std::optional(array->energy) : std::nullopt;
}

// --- recipes ---------------------------------------------------------------------------------------------------------

using Labels = std::vector<std::string>;

/// A panel of the paper takes title, categories and series from the paper's data.
struct PanelRecipe {
  Metric metric;
  Labels settings;  ///< What all its cells share.
};
/// A panel that the paper has not.
struct OwnPanelRecipe {
  const char* title;
  const char* axis;
  Metric metric;
  Labels settings, categories, series;
};
struct FigureRecipe {
  int number;
  std::vector<PanelRecipe> panels;  ///< One a panel of the paper.
  std::vector<OwnPanelRecipe> own_panels;
  std::vector<const char*> notes;
};

constexpr const char* kStandIns =
    "The paper's traces are not public. The model's workloads are synthetic stand-ins, whose parameters were chosen by "
    "kind of program and not from results of the paper.";
constexpr const char* kEnvironment =
    "The stand-ins' superpage shares are those of the paper's Figure 3: an input, which describes the machine.";
constexpr const char* kTiming =
    "Cycles come from an exposure model, which is not cycle accurate. Its load exposures are calibrated to the gains "
    "of "
    "SIPT (HPCA 2018), a different paper; Table III's latencies are inputs. Magnitudes are not to be trusted, trends "
    "are.";
constexpr const char* kEnergy =
    "L1 energies are CACTI's. Energies of LLC and memory, and leakage below L1, are not in the paper: they are our "
    "assumptions, and decide how large the percentages are.";
constexpr const char* kNoFetches = "Instruction fetches are left out: the L1I has no part in SEESAW.";

constexpr const char* kProbes =
    "How many probes arrive is a choice of the stand-ins: 1 for 1000 data references for one thread, 10 for servers, "
    "20 "
    "where threads share what they write.";
constexpr const char* kOthers =
    "The other designs are PIPT caches of 4, 8 and 16 ways with the TLB's entries or a quarter of them; for each "
    "frequency "
    "the one whose mean is best. The paper does not list the points that it swept; these are ours.";
constexpr const char* kPageMap =
    "The shares of the paper are the input of the page map; the model's side counts the 2 MB regions of the footprint, "
    "and those of them that the map really made superpages. It proves the page map, not the paper.";
constexpr const char* kArrays =
    "Latency and energy: not simulated; the model's side is CACTI 7 at 22 nm, which the model takes as input, beside "
    "the "
    "paper's SRAM compiler at 28 nm.";

const Labels kSizes{"32 KB", "64 KB", "128 KB"};
const Labels kFrequencies{"1.33 GHz", "2.80 GHz", "4.00 GHz"};

const std::vector<FigureRecipe>& recipes() {
  static const std::vector<FigureRecipe> kRecipes{
      {2,
       {{misses_per_thousand, {"memhog 0 %"}}, {array_time, {}}, {array_energy, {}}},
       {},
       {kStandIns, "Misses: the mean of the sixteen stand-ins, indexed by address without translation.", kArrays}},
      {3,
       {{superpage_footprint, {}}},
       {{"References to superpages",
         "share of data references, %",
         superpage_references,
         {"64 KB", "SEESAW"},
         study_workloads(),
         {"memhog 0 %"}}},
       {kPageMap}},
      {7,
       {{runtime_improvement, {"out-of-order", "1.33 GHz", "SEESAW"}}},
       {{"Hit rate of L1D under the two insertion policies",
         "L1D hit rate, %",
         l1_hit_rate,
         {"64 KB", "1.33 GHz"},
         study_workloads(),
         {"4way insertion", "4way-8way insertion"}}},
       {kStandIns, kEnvironment, kTiming, kNoFetches}},
      {8, {{runtime_improvement, {"out-of-order", "SEESAW"}}}, {}, {kStandIns, kEnvironment, kTiming, kNoFetches}},
      {9,
       {{runtime_improvement, {"in-order", "SEESAW"}}},
       {{"Runtime improvement, out-of-order, for comparison",
         "runtime improvement, %",
         runtime_improvement,
         {"out-of-order", "SEESAW"},
         kFrequencies,
         kSizes}},
       {kStandIns, kEnvironment, kTiming, kNoFetches}},
      {10,
       {{energy_saved, {"in-order", "SEESAW"}}, {energy_saved, {"out-of-order", "SEESAW"}}},
       {{"Sweep of the unknown: every energy that is not L1D's times a factor",
         "energy saved, %",
         energy_saved,
         {"out-of-order", "1.33 GHz", "SEESAW"},
         {"below L1 x 0", "below L1 x 0.25", "below L1 x 1", "below L1 x 4", "below L1 x 16"},
         kSizes}},
       {kStandIns, kEnvironment, kEnergy, kTiming, kNoFetches}},
      {11,
       {{coherence_share, {"out-of-order", "1.33 GHz", "64 KB", "SEESAW"}}},
       {{"Share against the probes that arrive for 1000 data references, all workloads",
         "share of the saving, %",
         coherence_share,
         {"out-of-order", "1.33 GHz", "64 KB"},
         {"1 probes", "10 probes", "100 probes", "300 probes"},
         {"SEESAW"}}},
       {kStandIns, kEnvironment, kEnergy, kProbes, kNoFetches}},
      {12,
       {{runtime_improvement, {"out-of-order", "1.33 GHz", "64 KB", "SEESAW"}},
        {energy_saved, {"out-of-order", "1.33 GHz", "64 KB", "SEESAW"}}},
       {},
       {kStandIns, kEnvironment, "memhog 30 % is interpolated between the levels of Figure 3.", kTiming, kEnergy,
        kNoFetches}},
      {13,
       {{tft_missed_l1_hit, {"out-of-order", "1.33 GHz", "SEESAW"}},
        {tft_missed_l1_miss, {"out-of-order", "1.33 GHz", "SEESAW"}}},
       {{"Runtime improvement against entries",
         "runtime improvement, %",
         runtime_improvement,
         {"out-of-order", "1.33 GHz", "SEESAW"},
         {"12 entries", "16 entries", "20 entries"},
         kSizes},
        {"Superpage accesses missed by 16 entries in all, under two rules of filling",
         "share of superpage accesses, %",
         tft_missed,
         {"out-of-order", "1.33 GHz", "64 KB", "SEESAW", "16 entries"},
         study_workloads(),
         {"filled with the TLB", "filled on every miss"}}},
       {kStandIns, kEnvironment, "Both parts are shares of all superpage accesses.", kNoFetches}},
      {14,
       {{runtime_improvement, {"out-of-order", "128 KB"}}, {energy_saved, {"out-of-order", "128 KB"}}},
       {},
       {kStandIns, kEnvironment, kTiming, kEnergy, kOthers, kNoFetches}},
      {15,
       {{runtime_improvement, {"out-of-order", "1.33 GHz", "64 KB"}},
        {energy_saved, {"out-of-order", "1.33 GHz", "64 KB"}}},
       {{"Accuracy of way prediction",
         "predictions that were right, %",
         prediction_accuracy,
         {"out-of-order", "1.33 GHz", "64 KB"},
         {"olio", "redis", "nutch", "tunk", "g500", "mongo", "cann", "mcf"},
         {"way prediction", "both"}}},
       {kStandIns, kEnvironment, kTiming, kEnergy, kNoFetches}},
  };
  return kRecipes;
}

// --- cells -----------------------------------------------------------------------------------------------------------

/// One cell as asked: a point for each workload.
struct CellRequest {
  StudyPoint point;
  std::vector<std::string> workloads;
  bool is_mean = false;  ///< A bar of the mean alone, without its range.
};

class PanelMaker {
 public:
  PanelMaker(Runs& runs, Metric metric, const Labels& settings) : runs_(runs), metric_(metric), settings_(settings) {}

  /// Fills the model's side of a panel that has its labels.
  void fill(FigurePanel& panel) {
    for (FigureSeries& series : panel.series) {
      series.cells.resize(panel.categories.size());
      for (std::size_t i = 0; i < panel.categories.size(); ++i)
        series.cells[i].model = value_of(request(panel, panel.categories[i], series.name));
    }
  }

 private:
  [[nodiscard]] CellRequest request(const FigurePanel& panel, const std::string& category,
                                    const std::string& series) const {
    CellRequest cell;
    LabelKind kind = LabelKind::Setting;
    for (const std::string& label : settings_) apply(label, cell.point);
    apply(series, cell.point);
    kind = apply(category, cell.point);
    if (kind == LabelKind::Workload) cell.workloads = {category};
    if (kind != LabelKind::Workload) cell.workloads = study_workloads();
    if (kind == LabelKind::Mean) {
      cell.is_mean = true;
      cell.workloads.assign(panel.categories.begin(), panel.categories.end());
      std::erase(cell.workloads, category);
    }
    return cell;
  }

  static LabelKind apply(const std::string& label, StudyPoint& point) {
    const LabelKind kind = apply_label(label, point);
    SHEARLING_ASSERT(kind != LabelKind::Unknown, "a figure's data has a label that no setting of the study has");
    return kind;
  }

  [[nodiscard]] std::optional<FigureValue> value_of(const CellRequest& cell) {
    std::optional<FigureValue> best;
    for (const StudyPoint& point : candidates(cell.point)) {
      const auto value = value_at(point, cell);
      if (value && (!best || value->value > best->value)) best = value;
    }
    return best;
  }

  /// The points that a cell chooses the best of: one, but for "others".
  [[nodiscard]] std::vector<StudyPoint> candidates(const StudyPoint& point) const {
    if (point.design != StudyDesign::BestOther) return {point};
    std::vector<StudyPoint> points;
    for (const unsigned ways : runs_.inputs().pipt_ways) {
      for (std::size_t tlb = 0; tlb < runs_.inputs().pipt_tlbs.size(); ++tlb) {
        points.push_back(point.with(StudyDesign::Pipt));
        points.back().ways = ways;
        points.back().pipt_tlb = tlb;
      }
    }
    return points;
  }

  [[nodiscard]] std::optional<FigureValue> value_at(StudyPoint point, const CellRequest& cell) {
    std::vector<double> values;
    for (const std::string& workload : cell.workloads) {
      point.workload = workload;
      if (const auto value = metric_(runs_, point)) values.push_back(*value);
    }
    if (values.empty()) return std::nullopt;
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    // Equal values have their own mean: rounding must not leave the range.
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    const double mean = std::clamp(sum / static_cast<double>(values.size()), *low, *high);
    return cell.is_mean ? FigureValue{mean, mean, mean} : FigureValue{mean, *low, *high};
  }

  Runs& runs_;
  Metric metric_;
  const Labels& settings_;
};

Figure draw(const FigureRecipe& recipe, const PaperFigure& paper, Runs& runs) {
  Figure figure = paper.figure;
  SHEARLING_ASSERT(figure.panels.size() == recipe.panels.size(), "a recipe has other panels than the paper's figure");
  for (std::size_t i = 0; i < recipe.panels.size(); ++i)
    PanelMaker(runs, recipe.panels[i].metric, recipe.panels[i].settings).fill(figure.panels[i]);
  for (const OwnPanelRecipe& own : recipe.own_panels) {
    FigurePanel panel{.title = own.title, .axis = own.axis, .categories = own.categories, .series = {}};
    for (const std::string& series : own.series) panel.series.push_back({series, {}});
    PanelMaker(runs, own.metric, own.settings).fill(panel);
    figure.panels.push_back(std::move(panel));
  }
  figure.notes.assign(recipe.notes.begin(), recipe.notes.end());
  return figure;
}

const FigureRecipe& recipe_of(int number) {
  const auto found =
      std::find_if(recipes().begin(), recipes().end(), [&](const FigureRecipe& one) { return one.number == number; });
  SHEARLING_ASSERT(found != recipes().end(), "there is no recipe for a figure of figure_numbers()");
  return *found;
}

std::string with_separators(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace

Result<std::vector<Figure>> compute_figures(const std::vector<int>& numbers, const FigureOptions& options) {
  Result<StudyInputs> inputs = load_study_inputs();
  if (!inputs) return inputs.error();
  const StudySetup setup{std::move(inputs).value(), options.swapped_tlbs, options.fill_on_miss};
  std::vector<PaperFigure> papers;
  for (const int number : numbers) {
    auto paper = load_paper_figure(number);
    if (!paper) return paper.error();
    papers.push_back(std::move(paper).value());
  }

  Runs runs(setup);
  for (const PaperFigure& paper : papers) draw(recipe_of(paper.figure.number), paper, runs);
  runs.answer_from(measure(runs.wanted(), setup,
                           {.references = options.references,
                            .jobs = options.jobs,
                            .progress = options.progress,
                            .interrupted = options.interrupted}));
  std::vector<Figure> figures;
  if (options.interrupted != nullptr && options.interrupted->load()) return figures;
  for (const PaperFigure& paper : papers) {
    Figure figure = draw(recipe_of(paper.figure.number), paper, runs);
    figure.notes.push_back("Each run: " + with_separators(options.references) +
                           " data references, of which the first quarter only warms up; TLBs of Table II " +
                           (options.swapped_tlbs ? "with their labels exchanged" : "as printed") +
                           "; filter table filled " +
                           (options.fill_on_miss ? "on every miss (not the paper's rule)."
                                                 : "with the L1 TLB alone, as the paper has it."));
    figure.trends = trends_of(figure);
    figures.push_back(std::move(figure));
  }
  return figures;
}

}  // namespace shearling
