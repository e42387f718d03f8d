// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Plots against the figures they are given: heights are read from the plot's data, not from pixels.
#include <cmath>
#include <fstream>
#include <set>
#include <thread>

#include <QComboBox>
#include <QDir>
#include <QElapsedTimer>
#include <QImage>
#include <QLabel>
#include <QScrollArea>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <QXmlStreamReader>
#include <nlohmann/json.hpp>

#include "app/gui/plots_view.h"
#include "app/gui/run_figure.h"
#include "tests/app/gui/view_builder.h"

using namespace shearling;
using namespace shearling::gui;

namespace {

FigureCell cell(double paper, double model, double half_range = 0) {
  return {.paper = FigureValue{paper, paper - half_range, paper + half_range},
          .model = FigureValue{model, model - half_range / 2, model + half_range}};
}

/// Values made up for the test: ranges, a gap on each side, values below zero.
Figure small_figure() {
  FigurePanel gains{.title = "Out-of-order core",
                    .axis = "runtime improvement, %",
                    .categories = {"1.33 GHz", "2.80 GHz", "4.00 GHz"},
                    .series = {{"32 KB", {cell(4.25, 6.5, 2), cell(5, 7.125, 3), cell(5, 7, 1)}},
                               {"64 KB", {cell(7.5, 9, 3), cell(8, 11, 2), cell(8, 12, 2)}},
                               {"128 KB", {cell(10.5, 14, 4), cell(12, 15, 2), cell(11, 16, 3)}}}};
  gains.series[0].cells[1].model.reset();
  gains.series[2].cells[2].paper.reset();
  FigurePanel losses{.title = "Way prediction",
                     .axis = "energy of an access, nJ",
                     .categories = {"olio", "redis"},
                     .series = {{"32 KB", {cell(-8, -6.5), cell(-4, -2)}}, {"64 KB", {cell(5, 4), cell(9, 12345)}}}};
  return {
      .number = 8,
      .title = "Runtime improvement of SEESAW over VIPT",
      .panels = {gains, losses},
      .trends = {{"Larger caches gain more.", true, "4.3, 7.5 and 10.5 % in the paper; 6.5, 9 and 14 % here."},
                 {"In-order cores gain more than out-of-order ones.", false, "6.5 % against 7.1 %."}},
      .notes = {"The model's loads expose a fixed share of their latency; the size of the gains is not comparable."}};
}

/// As wide as the paper's widest: 16 workloads and their mean, three series.
Figure wide_figure() {
  FigurePanel panel{.title = "",
                    .axis = "runtime improvement, %",
                    .categories = {"astar", "cactus", "cann", "gems", "g500", "gups", "mcf", "mumm", "omnet", "tigr",
                                   "tunk", "xalanc", "nutch", "olio", "redis", "mongo", "mean"},
                    .series = {{"32 KB", {}}, {"64 KB", {}}, {"128 KB", {}}}};
  for (std::size_t series = 0; series < panel.series.size(); ++series) {
    for (std::size_t category = 0; category < panel.categories.size(); ++category) {
      const auto value = static_cast<double>(3 * (series + 1) + category % 4);
      panel.series[series].cells.push_back(cell(value, value * 1.25));
    }
  }
  return {.number = 7,
          .title = "Runtime improvement, out-of-order, 1.33 GHz",
          .panels = {panel},
          .trends = {},
          .notes = {}};
}

QString write_figure(const QTemporaryDir& folder, const Figure& figure) {
  const QString path = folder.filePath(QStringLiteral("figure-%1.json").arg(figure.number));
  std::ofstream(path.toStdString()) << to_json(figure).dump(2);
  return path;
}

/// Computes at once.
FigureMaker ready(const Figure& figure) {
  return [figure](int, const FigureProgress&, const std::atomic<bool>&) -> Result<Figure> { return figure; };
}

/// Goes on until it is told to give up.
Result<Figure> endless(int, const FigureProgress& progress, const std::atomic<bool>& called_off) {
  progress(0.25);
  while (!called_off) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return Diagnostic{.message = "given up"};
}

void dress(QWidget& widget, const QSize& size) {
  widget.setStyleSheet(theme().style_sheet() +
                       QStringLiteral("QWidget { background: %1; }").arg(theme().palette().surface.name()));
  widget.resize(size);
  widget.show();
  QTest::qWait(20);
}

QByteArray bytes_of(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

}  // namespace

class PlotsTest : public QObject {
  Q_OBJECT
 private slots:
  void init();
  void bars_and_ranges_are_the_figures();
  void bars_stand_apart_and_are_found_again();
  void a_side_without_values_takes_no_room();
  void hatching_stays_inside_its_bar();
  void paper_and_model_differ_without_colour();
  void shades_can_be_told_apart_in_every_theme();
  void a_panel_of_other_series_has_its_own_legend();
  void a_cell_is_told_with_unit_range_and_difference();
  void arrow_keys_walk_over_the_bars();
  void pointing_tells_the_bar();
  void a_file_is_shown_as_it_was_written();
  void bad_files_give_one_located_message_data();
  void bad_files_give_one_located_message();
  void a_figure_is_computed_beside_the_window();
  void a_figure_is_computed_once();
  void computing_can_be_called_off();
  void another_figure_replaces_the_one_under_way();
  void a_failure_is_told();
  void closing_while_computing_ends_soon();
  void the_study_can_be_called_off();
  void the_run_has_its_own_figure();
  void an_empty_view_says_what_to_do();
  void exports_are_well_formed_data();
  void exports_are_well_formed();
  void every_theme_and_size_is_drawn_data();
  void every_theme_and_size_is_drawn();
};

void PlotsTest::init() {
  theme().choose(ThemeChoice::Light);
  theme().set_zoom(1);
}

void PlotsTest::bars_and_ranges_are_the_figures() {
  const QTemporaryDir folder;
  PlotsView view;
  view.open_file(write_figure(folder, small_figure()));
  const Figure figure = small_figure();
  QCOMPARE(view.plots().size(), figure.panels.size());
  for (std::size_t index = 0; index < figure.panels.size(); ++index) {
    const FigurePanel& panel = figure.panels[index];
    const PanelPlot& plot = *view.plots()[index];
    for (std::size_t series = 0; series < panel.series.size(); ++series) {
      for (const Side side : kSides) {
        const QCPBars& bars = *plot.bars(series, side);
        const QCPErrorBars& ranges = *plot.ranges(series, side);
        int drawn = 0;
        for (std::size_t category = 0; category < panel.categories.size(); ++category) {
          const auto& value = value_of(panel.series[series].cells[category], side);
          if (!value) continue;
          QCOMPARE(bars.data()->at(drawn)->key, plot.layout_of_bars().key({category, series}, side));
          QCOMPARE(bars.data()->at(drawn)->value, value->value);
          const QCPErrorBarsData& range = ranges.data()->at(drawn);
          const bool some = value->low < value->high;
          QCOMPARE(std::isnan(range.errorMinus), !some);
          if (some) {
            QCOMPARE(range.errorMinus, value->value - value->low);
            QCOMPARE(range.errorPlus, value->high - value->value);
          }
          QVERIFY(plot.yAxis->range().contains(value->low) && plot.yAxis->range().contains(value->high));
          ++drawn;
        }
        QCOMPARE(bars.data()->size(), drawn);
        QCOMPARE(ranges.data()->size(), drawn);
      }
    }
  }
  QCOMPARE(view.plots()[0]->bars(0, Side::Model)->data()->size(), 2);
  QCOMPARE(view.plots()[1]->bars(2, Side::Model), nullptr);
}

void PlotsTest::bars_stand_apart_and_are_found_again() {
  for (const Figure& figure : {small_figure(), wide_figure()}) {
    for (const FigurePanel& panel : figure.panels) {
      const BarLayout layout(panel);
      double last = -0.5;
      for (std::size_t category = 0; category < panel.categories.size(); ++category) {
        for (std::size_t series = 0; series < panel.series.size(); ++series) {
          for (const Side side : kSides) {
            const double key = layout.key({category, series}, side);
            QVERIFY(key - layout.bar_width() / 2 >= last - 1e-9);
            last = key + layout.bar_width() / 2;
            QVERIFY((layout.nearest(key) == CellPlace{category, series}));
          }
        }
        QVERIFY(last <= static_cast<double>(category) + 0.5);
      }
    }
  }
}

void PlotsTest::a_side_without_values_takes_no_room() {
  FigurePanel panel = small_figure().panels[0];
  const double both = BarLayout(panel).bar_width();
  for (FigureSeries& series : panel.series) {
    for (FigureCell& one : series.cells) one.paper.reset();
  }
  const BarLayout layout(panel);
  QVERIFY(!layout.has(Side::Paper));
  QVERIFY(layout.bar_width() > both * 1.5);
  PanelPlot plot;
  plot.set_panel({.number = 8, .title = "", .panels = {panel}, .trends = {}, .notes = {}}, 0);
  QCOMPARE(plot.bars(0, Side::Paper), nullptr);
  QVERIFY(plot.bars(0, Side::Model) != nullptr);
}

void PlotsTest::hatching_stays_inside_its_bar() {
  for (const QRectF& box : {QRectF(0, 0, 20, 100), QRectF(-7.5, 3.25, 3, 40), QRectF(10, 10, 300, 2)}) {
    const auto lines = hatch_lines(box, 4);
    QVERIFY(!lines.empty());
    const QRectF border = box.adjusted(-1e-6, -1e-6, 1e-6, 1e-6);
    for (const QLineF& line : lines) QVERIFY(border.contains(line.p1()) && border.contains(line.p2()));
  }
  QVERIFY(hatch_lines({}, 4).empty());
}

void PlotsTest::paper_and_model_differ_without_colour() {
  const auto greys = [](Side side) {
    QImage image(60, 60, QImage::Format_RGB32);
    image.fill(theme().palette().surface);
    {
      QPainter painter(&image);
      draw_bar(painter, {5, 5, 50, 50}, series_colour({"32 KB", "64 KB", "128 KB"}, 1), side);
    }
    std::set<int> found;
    for (int y = 12; y < 48; ++y) {
      for (int x = 12; x < 48; ++x) found.insert(qGray(image.pixel(x, y)));
    }
    return found;
  };
  QCOMPARE(greys(Side::Model).size(), std::size_t{1});
  const auto paper = greys(Side::Paper);
  QVERIFY(*paper.rbegin() - *paper.begin() > 60);
}

void PlotsTest::shades_can_be_told_apart_in_every_theme() {
  for (const ThemeChoice choice : {ThemeChoice::Light, ThemeChoice::Dark, ThemeChoice::HighContrast}) {
    theme().choose(choice);
    const Palette& palette = theme().palette();
    QVERIFY(contrast(bar_outline(), palette.surface) >= 3);
    const auto differ = [&](const std::vector<std::string>& names) {
      for (std::size_t series = 1; series < names.size(); ++series) {
        const double step = contrast(series_colour(names, series - 1), series_colour(names, series));
        QVERIFY2(
            step > 1.12,
            qPrintable(QStringLiteral("%1, %2 of %3: %4").arg(palette.name).arg(series).arg(names.size()).arg(step)));
      }
    };
    std::vector<std::string> names = {"1"};
    while (names.size() < 6) {
      names.push_back(std::to_string(names.size() + 1));
      differ(names);
    }
    differ({"WP", "SEESAW", "both"});
    differ({"others", "SEESAW"});
    QCOMPARE(series_colour({"SEESAW", "VIPT"}, 0), theme().role(Role::Seesaw).mark);
    QCOMPARE(series_colour({"SEESAW", "VIPT"}, 1), theme().role(Role::Hardware).mark);
  }
}

void PlotsTest::a_panel_of_other_series_has_its_own_legend() {
  Figure figure = small_figure();
  const std::vector<std::string> sizes = {"32 KB", "64 KB", "128 KB"};
  FigurePanel policies = figure.panels[1];
  policies.series[0].name = "4way";
  policies.series[1].name = "4way-8way";
  figure.panels.push_back(policies);
  QCOMPARE(main_legend(figure), sizes);
  QCOMPARE(legend_of(figure, figure.panels[1]), sizes);
  QCOMPARE(legend_of(figure, policies), (std::vector<std::string>{"4way", "4way-8way"}));
  PanelPlot plain;
  PanelPlot special;
  plain.set_panel(figure, 1);
  special.set_panel(figure, 2);
  QVERIFY(special.least_height(600) > plain.least_height(600));
}

void PlotsTest::a_cell_is_told_with_unit_range_and_difference() {
  const Figure figure = small_figure();
  QCOMPARE(cell_text(figure.panels[0], {0, 0}),
           QStringLiteral("1.33 GHz, 32 KB: paper 4.25 % (2.25 to 6.25) · model 6.5 % (5.5 to 8.5) · "
                          "difference +2.25 points (model − paper)"));
  QCOMPARE(cell_text(figure.panels[0], {1, 0}),
           QStringLiteral("2.80 GHz, 32 KB: paper 5 % (2 to 8) · model: no value"));
  QCOMPARE(cell_text(figure.panels[1], {1, 1}),
           QStringLiteral("redis, 64 KB: paper 9 nJ · model 12,345 nJ · difference +12,336 nJ (model − paper)"));
  QCOMPARE(cell_text(figure.panels[1], {0, 0}),
           QStringLiteral("olio, 32 KB: paper -8 nJ · model -6.5 nJ · difference +1.5 nJ (model − paper)"));
  QVERIFY(cell_text(figure.panels[1], {2, 0}).isEmpty());
}

void PlotsTest::arrow_keys_walk_over_the_bars() {
  const QTemporaryDir folder;
  PlotsView view;
  view.open_file(write_figure(folder, small_figure()));
  dress(view, {1000, 700});
  view.activateWindow();
  QVERIFY(QTest::qWaitForWindowActive(&view));
  PanelPlot& plot = *view.plots()[0];
  plot.setFocus(Qt::TabFocusReason);
  QVERIFY((plot.chosen() == CellPlace{0, 0}));
  QTest::keyClick(&plot, Qt::Key_Right);
  QVERIFY((plot.chosen() == CellPlace{0, 1}));
  QTest::keyClick(&plot, Qt::Key_Down);
  QVERIFY((plot.chosen() == CellPlace{1, 1}));
  QCOMPARE(view.told(), cell_text(small_figure().panels[0], {1, 1}));
  QTest::keyClick(&plot, Qt::Key_End);
  QTest::keyClick(&plot, Qt::Key_Right);
  QVERIFY((plot.chosen() == CellPlace{2, 2}));
  QTest::keyClick(&plot, Qt::Key_Tab);
  QVERIFY(view.plots()[1]->hasFocus());
  QVERIFY(!plot.chosen());
}

void PlotsTest::pointing_tells_the_bar() {
  const QTemporaryDir folder;
  PlotsView view;
  view.open_file(write_figure(folder, small_figure()));
  dress(view, {1000, 700});
  PanelPlot& plot = *view.plots()[0];
  plot.replot();
  const double x = plot.xAxis->coordToPixel(plot.layout_of_bars().key({1, 2}, Side::Paper));
  QTest::mouseMove(&plot, QPoint(static_cast<int>(x), plot.axisRect()->center().y()));
  QTRY_COMPARE(view.told(), cell_text(small_figure().panels[0], {1, 2}));
  QTest::mouseMove(&plot, QPoint(1, 1));
  QTRY_VERIFY(view.told().isEmpty());
}

void PlotsTest::a_file_is_shown_as_it_was_written() {
  const QTemporaryDir folder;
  PlotsView view;
  const QSignalSpy problems(&view, &PlotsView::problem_found);
  const QString path = write_figure(folder, small_figure());
  view.open_file(path);
  QCOMPARE(problems.size(), 0);
  QVERIFY(view.figure() == small_figure());
  QCOMPARE(view.file(), path);
  // Opened again it has no second entry.
  const int entries = view.findChild<QComboBox*>()->count();
  view.open_file(path);
  QCOMPARE(view.findChild<QComboBox*>()->count(), entries);
}

void PlotsTest::bad_files_give_one_located_message_data() {
  QTest::addColumn<QByteArray>("text");
  QTest::addColumn<unsigned>("line");
  const QByteArray good = QByteArray::fromStdString(to_json(small_figure()).dump(2));
  QTest::newRow("no JSON") << QByteArray("{\n  \"schema\": 1,\n  oops\n}") << 3U;
  QTest::newRow("cut off") << good.left(good.size() / 2)
                           << 1U + static_cast<unsigned>(good.left(good.size() / 2).count('\n'));
  QTest::newRow("another kind of JSON") << QByteArray("[1, 2]") << 0U;
  QTest::newRow("empty") << QByteArray() << 1U;
}

void PlotsTest::bad_files_give_one_located_message() {
  QFETCH(QByteArray, text);
  QFETCH(unsigned, line);
  const QTemporaryDir folder;
  PlotsView view;
  view.open_file(write_figure(folder, small_figure()));
  QSignalSpy problems(&view, &PlotsView::problem_found);
  const QString path = folder.filePath(QStringLiteral("bad.json"));
  std::ofstream(path.toStdString()) << text.toStdString();
  view.open_file(path);
  QCOMPARE(problems.size(), 1);
  const auto problem = problems[0][0].value<Diagnostic>();
  QCOMPARE(QString::fromStdString(problem.file), path);
  QCOMPARE(problem.line, line);
  QVERIFY(!problem.message.empty() && !problem.remedy.empty());
  QVERIFY(view.figure() == small_figure());  // What was shown stays.
  view.open_file(folder.filePath(QStringLiteral("none.json")));
  QCOMPARE(problems.size(), 2);
}

void PlotsTest::a_figure_is_computed_beside_the_window() {
  const auto window_thread = std::this_thread::get_id();
  bool beside = false;
  PlotsView view([&](int number, const FigureProgress& progress, const std::atomic<bool>&) -> Result<Figure> {
    beside = std::this_thread::get_id() != window_thread;
    progress(0.5);
    Figure figure = small_figure();
    figure.number = number;
    return figure;
  });
  QSignalSpy titles(&view, &View::title_changed);
  view.compute(8);
  QVERIFY(view.computes());
  QTRY_VERIFY(!view.computes());
  QVERIFY(beside);
  QVERIFY(view.figure() == small_figure());
  QVERIFY(titles.last()[0].toString().contains(QStringLiteral("8")));
}

void PlotsTest::a_figure_is_computed_once() {
  int times = 0;
  PlotsView view([&](int, const FigureProgress&, const std::atomic<bool>&) -> Result<Figure> {
    ++times;
    return small_figure();
  });
  view.compute(8);
  QTRY_VERIFY(!view.computes());
  view.show_run();
  QVERIFY(view.figure().panels.empty());
  view.compute(8);
  QVERIFY(!view.computes());
  QVERIFY(view.figure() == small_figure());
  QCOMPARE(times, 1);
}

void PlotsTest::computing_can_be_called_off() {
  PlotsView view(endless);
  dress(view, {900, 420});
  const QSignalSpy problems(&view, &PlotsView::problem_found);
  view.compute(7);
  QTest::qWait(30);
  QVERIFY(view.computes());
  QTest::keyClick(&view, Qt::Key_Escape);
  QTRY_VERIFY_WITH_TIMEOUT(!view.computes(), 1000);
  QCOMPARE(problems.size(), 0);
  QVERIFY(view.figure().panels.empty());
}

void PlotsTest::another_figure_replaces_the_one_under_way() {
  PlotsView view([](int number, const FigureProgress& progress, const std::atomic<bool>& called_off) -> Result<Figure> {
    return number == 7 ? endless(number, progress, called_off) : Result<Figure>(small_figure());
  });
  view.compute(7);
  view.compute(8);
  QTRY_VERIFY(view.figure() == small_figure());
  QVERIFY(!view.computes());
}

void PlotsTest::a_failure_is_told() {
  PlotsView view([](int, const FigureProgress&, const std::atomic<bool>&) -> Result<Figure> {
    return Diagnostic{.file = "model-inputs.yaml", .line = 3, .message = "there is no such cache", .remedy = "mend it"};
  });
  QSignalSpy problems(&view, &PlotsView::problem_found);
  view.compute(9);
  QTRY_COMPARE(problems.size(), 1);
  QCOMPARE(problems[0][0].value<Diagnostic>().line, 3U);
}

void PlotsTest::closing_while_computing_ends_soon() {
  QElapsedTimer timer;
  {
    PlotsView view(endless);
    view.compute(7);
    QTest::qWait(20);
    timer.start();
  }
  QVERIFY2(timer.elapsed() < 1000, qPrintable(QString::number(timer.elapsed())));
}

void PlotsTest::the_study_can_be_called_off() {
  PlotsView view(study_maker());
  const QSignalSpy problems(&view, &PlotsView::problem_found);
  view.compute(7);
  QTest::qWait(100);
  QVERIFY(view.computes());
  QElapsedTimer timer;
  timer.start();
  view.call_off();
  QTRY_VERIFY_WITH_TIMEOUT(!view.computes(), 20'000);
  qInfo("the study stopped after %lld ms", timer.elapsed());
  QCOMPARE(problems.size(), 0);
  QVERIFY(view.figure().panels.empty());
}

void PlotsTest::the_run_has_its_own_figure() {
  const ViewBuilder builder = ViewBuilder().seesaw_load();
  const MachineView& machine = *builder.view();
  const Figure figure = run_figure(machine);
  const CacheCounters& counts = machine.caches.l1d.counters;
  const double ways = static_cast<double>(counts.ways_probed) / static_cast<double>(counts.reads + counts.writes);
  QCOMPARE(figure.panels[1].series[0].cells[0].model->value, ways);
  QVERIFY(!figure.panels[1].series[0].cells[0].paper);
  QCOMPARE(figure.panels[1].series.size(), std::size_t{2});
  QVERIFY(run_figure(MachineView()).panels.empty());
  PlotsView view;
  view.show_moment(builder.moment());
  QVERIFY(view.figure() == figure);
  QCOMPARE(view.plots()[1]->bars(0, Side::Model)->data()->at(0)->value, ways);
}

void PlotsTest::an_empty_view_says_what_to_do() {
  PlotsView view(ready(small_figure()));
  dress(view, {900, 420});
  const auto labels = view.findChildren<QLabel*>();
  const bool says = std::any_of(labels.begin(), labels.end(), [](const QLabel* label) {
    return label->isVisible() && label->text().contains(QStringLiteral("choose a figure of the paper"));
  });
  QVERIFY(says);
  QCOMPARE(view.findChild<QComboBox*>()->count(), 12);  // The run and eleven figures.
}

void PlotsTest::exports_are_well_formed_data() {
  QTest::addColumn<QString>("ending");
  for (const char* ending : {"svg", "pdf", "png"}) QTest::newRow(ending) << QString::fromLatin1(ending);
}

void PlotsTest::exports_are_well_formed() {
  QFETCH(QString, ending);
  const QTemporaryDir folder;
  PlotsView view;
  QVERIFY(!view.page());
  view.open_file(write_figure(folder, small_figure()));
  dress(view, {500, 300});  // The page shows everything even where the view does not.
  const QString path = folder.filePath(QStringLiteral("figure.") + ending);
  const std::optional<Page> page = view.page();
  QVERIFY(page.has_value());
  QVERIFY(write_picture(*page, path, QStringLiteral("Plots")));
  QDir(QStringLiteral(SHEARLING_BINARY_DIR)).mkpath(QStringLiteral("screenshots"));
  const QString copy = QStringLiteral(SHEARLING_BINARY_DIR "/screenshots/plots-export.") + ending;
  QFile::remove(copy);
  QVERIFY(QFile::copy(path, copy));
  const QByteArray bytes = bytes_of(path);
  if (ending == QLatin1String("svg")) {
    QXmlStreamReader xml(bytes);
    QString text;
    int lines = 0;
    while (!xml.atEnd()) {
      xml.readNext();
      if (xml.isCharacters()) text += xml.text().toString() + QLatin1Char('\n');
      if (xml.isStartElement()) {
        QVERIFY(xml.name() != QLatin1String("image"));
        lines += xml.name() == QLatin1String("polyline") || xml.name() == QLatin1String("path") ? 1 : 0;
      }
    }
    QVERIFY2(!xml.hasError(), qPrintable(xml.errorString()));
    QVERIFY(lines > 40);
    for (const char* part : {"Runtime improvement of SEESAW", "runtime improvement, %", "2.80 GHz", "redis", "128 KB",
                             "the paper", "the model", "not reproduced", "Larger caches gain more."})
      QVERIFY2(text.contains(QLatin1String(part)), part);
  } else if (ending == QLatin1String("pdf")) {
    QVERIFY(bytes.startsWith("%PDF-"));
    QVERIFY(bytes.trimmed().endsWith("%%EOF"));
    QVERIFY(bytes.size() > 5000);
  } else {
    const QImage image(path);
    QCOMPARE(image.size(), page->size * 2);
  }
  QVERIFY(!write_picture(*page, folder.filePath(QStringLiteral("figure.doc")), {}));
  QVERIFY(!write_picture(*page, QStringLiteral("/nowhere/at/all.") + ending, {}));
}

void PlotsTest::every_theme_and_size_is_drawn_data() {
  QTest::addColumn<ThemeChoice>("choice");
  QTest::addColumn<double>("zoom");
  QTest::addColumn<QSize>("size");
  QTest::addColumn<bool>("wide");
  QTest::newRow("light") << ThemeChoice::Light << 1.0 << QSize(1000, 700) << false;
  QTest::newRow("dark") << ThemeChoice::Dark << 1.0 << QSize(1560, 300) << true;
  QTest::newRow("high-contrast") << ThemeChoice::HighContrast << 1.0 << QSize(1250, 220) << false;
  QTest::newRow("presenter") << ThemeChoice::Light << 1.6 << QSize(1500, 800) << true;
  QTest::newRow("small") << ThemeChoice::Dark << 1.0 << QSize(430, 330) << true;
}

void PlotsTest::every_theme_and_size_is_drawn() {
  QFETCH(ThemeChoice, choice);
  QFETCH(double, zoom);
  QFETCH(QSize, size);
  QFETCH(bool, wide);
  const QTemporaryDir folder;
  PlotsView view(ready(small_figure()));
  theme().choose(choice);
  theme().set_zoom(zoom);
  dress(view, size);
  view.open_file(write_figure(folder, wide ? wide_figure() : small_figure()));
  QTest::qWait(50);
  QDir(QStringLiteral(SHEARLING_BINARY_DIR)).mkpath(QStringLiteral("screenshots"));
  const QImage image = view.grab().toImage();
  QVERIFY(image.save(
      QStringLiteral(SHEARLING_BINARY_DIR "/screenshots/plots-%1.png").arg(QLatin1String(QTest::currentDataTag()))));
  // With room enough nothing scrolls, once the layout has settled.
  if (size.height() >= 600) {
    for (const QScrollArea* area : view.findChildren<QScrollArea*>())
      QTRY_VERIFY(!area->isVisible() || area->verticalScrollBar()->maximum() == 0);
  }
  for (const PanelPlot* plot : view.plots()) {
    QVERIFY(plot->isVisible());
    QVERIFY(plot->height() >= plot->least_height(plot->width()) * 4 / 5);
    QVERIFY(plot->axisRect()->height() > 40 * zoom);
  }
}

QTEST_MAIN(PlotsTest)
#include "plots_test.moc"
