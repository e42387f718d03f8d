// SPDX-License-Identifier: GPL-3.0-or-later
//
// The figures as they are made: whole, independent of the number of threads, and from the inputs that they name. The
// runs are far too short to say anything about caches.
#include "core/cache_study/figures.h"

#include <QTest>
#include <set>

#include "cache-sim/streams/open_stream.h"
#include "core/cache_study/paper_data.h"
#include "core/cache_study/study_runner.h"

using namespace shearling;

namespace {

constexpr std::uint64_t kShort = 4000;

std::vector<Figure> figures(const std::vector<int>& numbers, FigureOptions options = {}) {
  if (options.references == FigureOptions{}.references) options.references = kShort;
  auto made = compute_figures(numbers, options);
  if (!made) qFatal("%s", made.error().text().c_str());
  return std::move(made).value();
}

StudySetup setup() { return {load_study_inputs().value(), false, false}; }

Measurement measure_one(const StudyPoint& point, std::uint64_t references = 40'000) {
  return measure({point}, setup(), {.references = references, .jobs = 1, .progress = {}}).at(point.run_key());
}

StudyPoint mcf(StudyDesign design) {
  StudyPoint point;
  point.workload = "mcf";
  point.design = design;
  return point;
}

}  // namespace

class FiguresTest : public QObject {
  Q_OBJECT
 private slots:
  void every_label_of_the_paper_is_a_setting_of_the_study() {
    for (const int number : figure_numbers()) {
      const PaperFigure paper = load_paper_figure(number).value();
      for (const FigurePanel& panel : paper.figure.panels) {
        StudyPoint point;
        for (const std::string& category : panel.categories)
          QVERIFY2(apply_label(category, point) != LabelKind::Unknown, category.c_str());
        for (const FigureSeries& series : panel.series)
          QVERIFY2(apply_label(series.name, point) == LabelKind::Setting, series.name.c_str());
      }
    }
    StudyPoint point;
    for (const char* wrong : {"", "64 MB", "GHz", "x GHz", "memhog %", "sixteen entries"})
      QVERIFY2(apply_label(wrong, point) == LabelKind::Unknown, wrong);
  }

  void labels_say_what_they_mean() {
    StudyPoint point;
    for (const char* label : {"128 KB", "2.80 GHz", "memhog 30 %", "20 entries", "in-order", "both", "redis", "8 ways",
                              "below L1 x 0.25", "100 probes"})
      apply_label(label, point);
    QCOMPARE(point.size, std::uint64_t{128} << 10);
    QCOMPARE(point.ghz, 2.8);
    QCOMPARE(point.memhog, 30U);
    QCOMPARE(point.tft_entries, 20U);
    QVERIFY(point.core == CoreModel::InOrder && point.design == StudyDesign::SeesawWayPrediction);
    QCOMPARE(point.workload, std::string("redis"));
    QCOMPARE(point.ways, 8U);
    QCOMPARE(point.below_l1, 0.25);
    QCOMPARE(point.probes.value(), 100.0);
  }

  void the_workloads_are_those_of_the_generators_and_of_figure_3() {
    std::set<std::string> generated;
    for (const WorkloadDescription& one : workloads()) generated.insert(one.name);
    QVERIFY(std::set<std::string>(study_workloads().begin(), study_workloads().end()) == generated);
    auto categories = load_paper_figure(3).value().figure.panels[0].categories;
    categories.pop_back();  // the mean
    QVERIFY(categories == study_workloads());
  }

  void every_point_of_table_iii_is_configured_with_its_latencies_and_can_be_simulated() {
    const StudySetup study = setup();
    for (const auto& row : study.inputs.latencies) {
      for (const StudyDesign design : {StudyDesign::Vipt, StudyDesign::Seesaw, StudyDesign::SeesawWholeInsertion,
                                       StudyDesign::WayPrediction, StudyDesign::SeesawWayPrediction}) {
        for (const CoreModel core : {CoreModel::InOrder, CoreModel::OutOfOrder}) {
          StudyPoint point = mcf(design);
          point.size = row.size;
          point.ghz = row.ghz;
          point.core = core;
          const SimulationConfig config = configuration_of(point, study, {});
          QCOMPARE(QString::fromStdString(problem_of(config)), QString());
          QCOMPARE(config.caches.l1d.latency, row.all_ways);
          QCOMPARE(config.caches.l1d.ways, static_cast<unsigned>(row.size / 4096));
          if (config.caches.l1d.organisation == CacheOrganisation::Seesaw)
            QCOMPARE(config.caches.l1d.fast_latency, row.partition);
          QVERIFY(config.caches.l1d.energy > config.caches.l1d.way_energy);
        }
      }
    }
  }

  void the_other_designs_take_the_latency_of_their_ways_and_the_tlb_on_top() {
    StudyPoint point = mcf(StudyDesign::Pipt);
    point.size = std::uint64_t{128} << 10;
    point.ghz = 4.0;
    const auto latency = [&](unsigned ways) {
      point.ways = ways;
      const SimulationConfig config = configuration_of(point, setup(), {});
      if (!problem_of(config).empty()) qFatal("%s", problem_of(config).c_str());
      return config.caches.l1d.latency;
    };
    QCOMPARE(latency(4), 4U);
    QCOMPARE(latency(8), 5U);
    QCOMPARE(latency(16), 13U);
    QCOMPARE(configuration_of(point, setup(), {}).translation->data.front().latency, 3U);  // 0.67 ns at 4 GHz
    QCOMPARE(point.with(StudyDesign::Vipt).way_count(), 32U);                              // the baseline keeps its own
  }

  void a_figure_has_a_model_value_wherever_it_can() {
    for (const Figure& figure : figures(figure_numbers())) {
      QVERIFY(!figure.trends.empty() && !figure.notes.empty());
      for (const FigureTrend& trend : figure.trends) QVERIFY(!trend.evidence.empty());
      for (std::size_t i = 0; i < figure.panels.size(); ++i) {
        const FigurePanel& panel = figure.panels[i];
        for (const FigureSeries& series : panel.series) {
          QCOMPARE(series.cells.size(), panel.categories.size());
          for (const FigureCell& cell : series.cells) {
            const bool from_cacti = figure.number == 2 && i > 0;  // CACTI was not asked for 16 KB 16-way
            QVERIFY2(cell.model || from_cacti, (std::to_string(figure.number) + ": " + panel.title).c_str());
            if (cell.model) QVERIFY(cell.model->low <= cell.model->value && cell.model->value <= cell.model->high);
          }
        }
      }
    }
  }

  void threads_change_nothing() {
    const auto one = figures({13, 15}, {.jobs = 1, .progress = {}});
    const auto three = figures({15, 13}, {.jobs = 3, .progress = {}});
    QVERIFY(one[0] == three[1] && one[1] == three[0]);
  }

  void figures_that_are_made_together_are_as_those_made_alone() { QVERIFY(figures({7, 11})[1] == figures({11})[0]); }

  void no_value_of_a_figure_enters_the_model_compared_with_it() {
    // The figures' files could say anything: the model's side is made from labels and inputs alone. Figure 3's shares
    // are an input of the generators, from their own table.
    const auto made = figures({7})[0];
    StudyPoint vipt = mcf(StudyDesign::Vipt), seesaw = mcf(StudyDesign::Seesaw);
    const double before = measure_one(vipt, kShort)[Quantity::Cycles];
    const double gain = 100 * (before - measure_one(seesaw, kShort)[Quantity::Cycles]) / before;
    const FigurePanel& panel = made.panels[0];
    const auto row = static_cast<std::size_t>(std::find(panel.categories.begin(), panel.categories.end(), "mcf") -
                                              panel.categories.begin());
    QCOMPARE(panel.series[1].cells[row].model->value, gain);
  }

  void a_bar_of_the_mean_is_the_mean_of_the_workloads() {
    const FigurePanel panel = figures({12})[0].panels[0];
    for (const FigureSeries& series : panel.series) {
      double sum = 0;
      for (std::size_t i = 0; i + 1 < series.cells.size(); ++i) sum += series.cells[i].model->value;
      QVERIFY(std::abs(series.cells.back().model->value - sum / 8) < 1e-9);
    }
  }

  void figures_7_and_8_agree_where_they_show_the_same() {
    const auto made = figures({7, 8});
    for (std::size_t size = 0; size < 3; ++size)
      QVERIFY(std::abs(made[0].panels[0].series[size].cells.back().model->value -
                       made[1].panels[0].series[size].cells[0].model->value) < 1e-9);
  }

  void the_warm_up_is_not_counted() {
    const Measurement run = measure_one(mcf(StudyDesign::Vipt), 40'000);
    QVERIFY(run[Quantity::L1Accesses] <= 30'000 && run[Quantity::L1Accesses] > 29'000);  // some records are probes
    QCOMPARE(run[Quantity::Instructions], 2.5 * run[Quantity::L1Accesses]);
  }

  void seesaw_and_vipt_see_the_same_references() {
    const Measurement vipt = measure_one(mcf(StudyDesign::Vipt)), seesaw = measure_one(mcf(StudyDesign::Seesaw));
    QCOMPARE(vipt[Quantity::L1Accesses], seesaw[Quantity::L1Accesses]);
    QCOMPARE(vipt[Quantity::SuperpageAccesses], seesaw[Quantity::SuperpageAccesses]);
    QCOMPARE(vipt[Quantity::TftMissL1Hit] + vipt[Quantity::TftMissL1Miss], 0.0);
    QVERIFY(seesaw[Quantity::TftMissL1Hit] + seesaw[Quantity::TftMissL1Miss] > 0);
    QVERIFY(seesaw[Quantity::EnergyL1] < vipt[Quantity::EnergyL1]);
  }

  void a_table_filled_on_every_miss_misses_less() {
    StudyPoint printed = mcf(StudyDesign::Seesaw), on_miss = printed;
    on_miss.fill_on_miss = true;
    QVERIFY(printed.run_key() != on_miss.run_key());
    const auto missed = [](const Measurement& run) {
      return run[Quantity::TftMissL1Hit] + run[Quantity::TftMissL1Miss];
    };
    QVERIFY(missed(measure_one(on_miss)) < missed(measure_one(printed)));
  }

  void more_probes_give_coherence_a_larger_share() {
    StudyPoint few = mcf(StudyDesign::Seesaw), many = few;
    few.probes = 1;
    many.probes = 100;
    QVERIFY(measure_one(many)[Quantity::EnergyCoherence] > 10 * measure_one(few)[Quantity::EnergyCoherence]);
  }

  void energies_below_l1_take_no_run_of_their_own() {
    StudyPoint one = mcf(StudyDesign::Seesaw), other = one;
    other.below_l1 = 16;
    QCOMPARE(one.run_key(), other.run_key());
  }

  void exchanged_tlbs_are_exchanged() {
    StudySetup study = setup();
    const auto superpages = [&](CoreModel core) {
      StudyPoint point = mcf(StudyDesign::Seesaw);
      point.core = core;
      return configuration_of(point, study, {}).translation->data[1].entries;
    };
    QCOMPARE(superpages(CoreModel::InOrder), 32U);
    QCOMPARE(superpages(CoreModel::OutOfOrder), 16U);
    study.swapped_tlbs = true;
    QCOMPARE(superpages(CoreModel::InOrder), 16U);
    QCOMPARE(superpages(CoreModel::OutOfOrder), 32U);
  }

  void trends_follow_the_model_and_not_the_paper() {
    Figure figure = figures({15})[0];
    const auto holds = [](const Figure& one, const char* statement) {
      for (const FigureTrend& trend : trends_of(one)) {
        if (trend.statement == statement) return trend.reproduced;
      }
      qFatal("there is no such trend");
    };
    constexpr const char* kStatement = "way prediction alone never helps run time";
    for (FigureCell& cell : figure.panels[0].series[0].cells) cell.model = FigureValue{-1, -1, -1};
    QVERIFY(holds(figure, kStatement));
    figure.panels[0].series[0].cells[3].model = FigureValue{0.5, 0.5, 0.5};
    QVERIFY(!holds(figure, kStatement));
    for (FigureCell& cell : figure.panels[0].series[0].cells) cell.paper = FigureValue{-9, -9, -9};
    QVERIFY(!holds(figure, kStatement));
  }

  void the_mean_alone_does_not_make_a_trend_of_every_workload() {
    Figure figure = figures({7})[0];
    for (FigureSeries& series : figure.panels[0].series)
      for (FigureCell& cell : series.cells) cell.model = FigureValue{5, 5, 5};
    QVERIFY(trends_of(figure)[0].reproduced);
    QVERIFY(!trends_of(figure)[1].reproduced);  // larger caches gain as much, not more
    figure.panels[0].series[1].cells[4].model = FigureValue{-0.1, -0.1, -0.1};
    QVERIFY(!trends_of(figure)[0].reproduced);
    QVERIFY(trends_of(figure)[0].evidence.find("g500, 64 KB") != std::string::npos);
  }

  void interruption_gives_nothing() {
    const std::atomic<bool> interrupted{true};
    const auto made = compute_figures({13}, {.references = kShort, .progress = {}, .interrupted = &interrupted});
    QVERIFY(made.ok() && made.value().empty());
  }

  void progress_goes_up_to_the_whole() {
    double last = 0;
    bool falls = false;
    figures({11}, {.references = 0, .jobs = 2, .progress = {}});  // nothing to do, and nothing to divide by
    figures({11}, {.references = kShort, .jobs = 2, .progress = [&](double share) {
                     falls = falls || share < last;
                     last = share;
                   }});
    QVERIFY(!falls);
    QVERIFY(std::abs(last - 1) < 1e-9);
  }
};

QTEST_APPLESS_MAIN(FiguresTest)
#include "figures_test.moc"
