// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Plots: a figure of the SEESAW paper, the paper's bars beside the model's, with what the model reproduces and what
// it cannot know. The figure is computed here on a thread of its own, or comes from a file that `shearling seesaw
// --figure N --json F` wrote; or it shows the caches of the machine's own run.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "app/gui/figure_job.h"
#include "app/gui/panel_plot.h"
#include "app/gui/view.h"

class QComboBox;
class QGridLayout;
class QLabel;
class QProgressBar;
class QPushButton;
class QScrollArea;
class QStackedLayout;
class QVBoxLayout;

namespace shearling::gui {

class DrawnPart;

class PlotsView : public View {
  Q_OBJECT
 public:
  /// Without a maker only files and the run can be shown.
  explicit PlotsView(FigureMaker maker = {}, QWidget* parent = nullptr);
  ~PlotsView() override;
  void show_moment(const Moment& moment) override;
  [[nodiscard]] std::optional<Page> page() override;
  [[nodiscard]] QSize sizeHint() const override { return {900, 420}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {320, 120}; }

  /// Problems are told by problem_found().
  void open_file(const QString& path);
  /// Shows a figure once it is computed, at once where it was before.
  void compute(int number);
  void call_off();
  [[nodiscard]] bool computes() const { return job_ != nullptr; }
  void show_run();

  [[nodiscard]] const Figure& figure() const { return figure_; }
  /// The file that is shown; empty where it is none.
  [[nodiscard]] QString file() const;
  [[nodiscard]] std::vector<PanelPlot*> plots() const { return plots_; }
  /// What is said about the bar that is pointed at.
  [[nodiscard]] QString told() const;

 signals:
  void problem_found(const shearling::Diagnostic& problem);
  void file_wanted();  ///< The button; the window asks for the name.

 protected:
  void theme_changed() override;
  void resizeEvent(QResizeEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  struct Source {
    enum class Kind : std::uint8_t { Run, Paper, File } kind = Kind::Run;
    int number = 0;
    QString file;
    bool operator==(const Source&) const = default;
  };
  struct PageLayout {
    double margin = 0, width = 0, head = 0, foot = 0;
    int columns = 1;
    QSize plot;
    [[nodiscard]] QSize size(std::size_t plots) const;
  };
  void make_sources();
  void choose_source(int index);
  void select(const Source& source);
  void show_source(const Source& source, Figure figure);
  void set_figure(Figure figure);
  void job_finished();
  void show_job(double share);
  void arrange_parts();
  void arrange_plots();
  void show_told(const QString& text);
  void draw_page(QCPPainter& painter, const PageLayout& layout);
  [[nodiscard]] PageLayout page_layout() const;
  [[nodiscard]] int columns_for(const QSize& size) const;
  [[nodiscard]] int least_height(int width) const;

  FigureMaker maker_;
  std::vector<Source> sources_;
  Source shown_;
  Figure figure_;
  std::map<int, Figure> computed_;
  std::shared_ptr<const MachineView> machine_;
  std::unique_ptr<FigureJob> job_;
  std::optional<int> waits_;  ///< To be computed once the job that was called off has ended.
  std::vector<PanelPlot*> plots_;

  QComboBox* choice_ = nullptr;
  QPushButton* open_ = nullptr;
  QWidget* working_ = nullptr;
  QProgressBar* progress_ = nullptr;
  QLabel* working_on_ = nullptr;
  QWidget* content_ = nullptr;
  QWidget* head_ = nullptr;
  DrawnPart* title_ = nullptr;
  DrawnPart* foot_ = nullptr;
  QScrollArea* plot_scroll_ = nullptr;
  QScrollArea* foot_scroll_ = nullptr;
  QWidget* plot_area_ = nullptr;
  QVBoxLayout* page_column_ = nullptr;
  QGridLayout* plot_grid_ = nullptr;
  QLabel* told_ = nullptr;
  QLabel* note_ = nullptr;
  QStackedLayout* stack_ = nullptr;
  std::optional<bool> beside_;  ///< The text stands right of the plots, not above and below.
  int columns_ = 0;
};

}  // namespace shearling::gui
