// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/plots_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include <QComboBox>
#include <QFileInfo>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QPicture>
#include <QProgressBar>
#include <QPushButton>
#include <QScrollArea>
#include <QStackedLayout>
#include <QVBoxLayout>

#include "app/gui/paint.h"
#include "app/gui/run_figure.h"

namespace shearling::gui {
namespace {

struct PaperFigureName {
  int number;
  const char* name;
};
constexpr std::array<PaperFigureName, 11> kPaperFigures = {
    {{2, QT_TRANSLATE_NOOP("PlotsView", "more ways: misses, latency, energy")},
     {3, QT_TRANSLATE_NOOP("PlotsView", "memory in superpages")},
     {7, QT_TRANSLATE_NOOP("PlotsView", "runtime by workload")},
     {8, QT_TRANSLATE_NOOP("PlotsView", "runtime, out-of-order cores")},
     {9, QT_TRANSLATE_NOOP("PlotsView", "runtime, in-order cores")},
     {10, QT_TRANSLATE_NOOP("PlotsView", "energy of the memory hierarchy")},
     {11, QT_TRANSLATE_NOOP("PlotsView", "energy saved in coherence")},
     {12, QT_TRANSLATE_NOOP("PlotsView", "fragmented memory")},
     {13, QT_TRANSLATE_NOOP("PlotsView", "misses of the filter table")},
     {14, QT_TRANSLATE_NOOP("PlotsView", "against other designs")},
     {15, QT_TRANSLATE_NOOP("PlotsView", "way prediction")}}};

constexpr double kTextColumn = 340;
constexpr int kSpacing = 8;

bool has_any_value(const Figure& figure) {
  return std::any_of(figure.panels.begin(), figure.panels.end(), [](const FigurePanel& panel) {
    return has_values(panel, Side::Paper) || has_values(panel, Side::Model);
  });
}

int rows_of(std::size_t plots, int columns) { return (static_cast<int>(plots) + columns - 1) / columns; }

}  // namespace

/// A widget whose height follows from its width, by drawing.
class DrawnPart : public QWidget {
 public:
  using Drawing = std::function<double(QPainter&, double width)>;
  DrawnPart(Drawing drawing, QWidget* parent) : QWidget(parent), drawing_(std::move(drawing)) {
    QSizePolicy policy(QSizePolicy::Preferred, QSizePolicy::Preferred);
    policy.setHeightForWidth(true);
    setSizePolicy(policy);
  }
  void redraw() {
    measured_.reset();
    updateGeometry();
    update();
  }
  static double measure(const Drawing& drawing, double width) {
    QPicture picture;
    QPainter painter(&picture);
    return drawing(painter, width);
  }
  [[nodiscard]] bool hasHeightForWidth() const override { return true; }
  [[nodiscard]] int heightForWidth(int width) const override {
    if (!measured_ || measured_->first != width)
      measured_ = {width, static_cast<int>(std::ceil(measure(drawing_, width)))};
    return measured_->second;
  }
  [[nodiscard]] QSize sizeHint() const override { return {kHint, heightForWidth(std::max(width(), kHint))}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {80, 0}; }

 protected:
  void paintEvent(QPaintEvent*) override {
    QPainter painter(this);
    prepare(painter);
    drawing_(painter, width());
  }

 private:
  static constexpr int kHint = 200;
  Drawing drawing_;
  mutable std::optional<std::pair<int, int>> measured_;
};

// --- parts
// ------------------------------------------------------------------------------------------------------------

PlotsView::PlotsView(FigureMaker maker, QWidget* parent)
    : View(parent),
      maker_(std::move(maker)),
      machine_(std::make_shared<const MachineView>()),
      choice_(new QComboBox(this)),
      open_(new QPushButton(tr("Open..."), this)),
      working_(new QWidget(this)),
      progress_(new QProgressBar(working_)),
      working_on_(new QLabel(working_)),
      head_(new QWidget(this)),
      told_(new QLabel(this)) {
  title_ = new DrawnPart(
      [this](QPainter& painter, double width) {
        return has_any_value(figure_) ? draw_figure_head(painter, width, figure_) : 0.0;
      },
      head_);
  choice_->setAccessibleName(tr("Figure that is plotted"));
  choice_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  choice_->setMinimumContentsLength(10);
  choice_->setToolTip(tr("The caches of this run, or a figure of the SEESAW paper computed with the model"));
  open_->setToolTip(tr("Open a figure that `shearling seesaw --figure N --json F` wrote"));
  open_->setFocusPolicy(Qt::NoFocus);
  auto* call_off = new QPushButton(tr("Cancel"), working_);
  call_off->setToolTip(tr("Stop computing (Esc)"));
  call_off->setFocusPolicy(Qt::NoFocus);
  progress_->setTextVisible(false);
  progress_->setRange(0, 100);
  progress_->setAccessibleName(tr("Share of the figure that is computed"));

  auto* row = new QHBoxLayout;
  row->addWidget(choice_, 1);
  row->addWidget(open_);
  auto* working_row = new QHBoxLayout(working_);
  working_row->setContentsMargins(0, 0, 0, 0);
  working_row->addWidget(progress_, 1);
  working_row->addWidget(working_on_);
  working_row->addWidget(call_off);
  auto* head_column = new QVBoxLayout(head_);
  head_column->setContentsMargins(0, 0, 0, 0);
  head_column->setSpacing(6);
  head_column->addLayout(row);
  head_column->addWidget(working_);
  head_column->addWidget(title_);

  auto* area = new QWidget(this);
  plot_scroll_ = new QScrollArea(area);
  auto* page = new QWidget(plot_scroll_);
  page_column_ = new QVBoxLayout(page);
  page_column_->setContentsMargins(0, 0, 0, 0);
  page_column_->setSpacing(kSpacing);
  plot_area_ = new QWidget(page);
  page_column_->addWidget(plot_area_);
  plot_grid_ = new QGridLayout(plot_area_);
  plot_grid_->setContentsMargins(0, 0, 0, 0);
  plot_grid_->setHorizontalSpacing(16);
  plot_scroll_->setWidget(page);
  plot_scroll_->setWidgetResizable(true);
  plot_scroll_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  plot_scroll_->setFocusPolicy(Qt::NoFocus);
  note_ = new QLabel(area);
  note_->setAlignment(Qt::AlignCenter);
  note_->setWordWrap(true);
  stack_ = new QStackedLayout(area);
  stack_->addWidget(plot_scroll_);
  stack_->addWidget(note_);

  content_ = area;
  content_->installEventFilter(this);
  foot_scroll_ = new QScrollArea(this);
  foot_ = new DrawnPart([this](QPainter& painter, double width) { return draw_figure_foot(painter, width, figure_); },
                        page);
  foot_->setAccessibleName(tr("What the model reproduces, and notes"));
  page_column_->addWidget(foot_);
  foot_scroll_->setWidgetResizable(true);
  foot_scroll_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  told_->setWordWrap(true);
  told_->setAlignment(Qt::AlignLeft | Qt::AlignTop);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(6, 0, 6, 0);
  grid->setSpacing(kSpacing);

  working_->hide();
  make_sources();
  connect(choice_, &QComboBox::activated, this, &PlotsView::choose_source);
  connect(open_, &QPushButton::clicked, this, &PlotsView::file_wanted);
  connect(call_off, &QPushButton::clicked, this, &PlotsView::call_off);
  PlotsView::theme_changed();
  arrange_parts();
  show_run();
}

PlotsView::~PlotsView() = default;

void PlotsView::make_sources() {
  sources_ = {{}};
  choice_->addItem(tr("This run"));
  if (!maker_) return;
  for (const PaperFigureName& figure : kPaperFigures) {
    sources_.push_back({.kind = Source::Kind::Paper, .number = figure.number, .file = {}});
    choice_->addItem(tr("Figure %1: %2").arg(figure.number).arg(tr(figure.name)));
  }
}

// --- what is shown
// ----------------------------------------------------------------------------------------------------

void PlotsView::choose_source(int index) {
  const Source source = sources_[static_cast<std::size_t>(index)];
  if (source.kind == Source::Kind::Paper) return compute(source.number);
  if (source.kind == Source::Kind::File) return open_file(source.file);
  show_run();
}

void PlotsView::select(const Source& source) {
  const auto found = std::find(sources_.begin(), sources_.end(), source);
  if (found == sources_.end()) {
    sources_.push_back(source);
    choice_->addItem(QFileInfo(source.file).fileName());
    choice_->setCurrentIndex(choice_->count() - 1);
  } else {
    choice_->setCurrentIndex(static_cast<int>(found - sources_.begin()));
  }
  shown_ = source;
}

void PlotsView::show_source(const Source& source, Figure figure) {
  select(source);
  set_figure(std::move(figure));
}

void PlotsView::show_run() {
  note_->setText(machine_->state == RunState::Empty
                     ? tr("Nothing is loaded.\nOpen a guest or a lesson (Ctrl+O) to see the caches of its run,\n"
                          "or choose a figure of the paper.")
                     : tr("The L1 data cache has not been asked yet.\nStep with F7, or choose a figure of the paper."));
  show_source({}, run_figure(*machine_));
}

void PlotsView::show_moment(const Moment& moment) {
  machine_ = moment.machine;
  if (shown_.kind == Source::Kind::Run) show_run();
}

void PlotsView::open_file(const QString& path) {
  Result<Figure> figure = read_figure(path.toStdString());
  if (!figure) {
    select(shown_);
    emit problem_found(figure.error());
    return;
  }
  note_->setText(tr("This figure has no values."));
  show_source({.kind = Source::Kind::File, .number = 0, .file = path}, std::move(figure).value());
}

QString PlotsView::file() const { return shown_.kind == Source::Kind::File ? shown_.file : QString(); }

void PlotsView::set_figure(Figure figure) {
  if (figure == figure_ && !plots_.empty()) return;
  const bool had_values = has_any_value(figure_);
  const bool same_panels = figure.panels.size() == plots_.size();
  const bool same_text = figure.title == figure_.title && figure.notes == figure_.notes &&
                         figure.trends == figure_.trends && same_panels && figure.number == figure_.number &&
                         had_values == has_any_value(figure);
  figure_ = std::move(figure);
  if (!same_panels) {
    qDeleteAll(plots_);
    plots_.clear();
    for (std::size_t panel = 0; panel < figure_.panels.size(); ++panel) {
      plots_.push_back(new PanelPlot(plot_area_));
      connect(plots_.back(), &PanelPlot::told, this, &PlotsView::show_told);
    }
    columns_ = 0;
  }
  for (std::size_t panel = 0; panel < plots_.size(); ++panel) plots_[panel]->set_panel(figure_, panel);
  const bool some = has_any_value(figure_);
  stack_->setCurrentIndex(some ? 0 : 1);
  told_->setVisible(some);
  if (same_text) {
    title_->update();
    return;
  }
  title_->redraw();
  foot_->redraw();
  show_told({});
  arrange_parts();
  emit title_changed(figure_.number != 0 ? tr("Figure %1 of the SEESAW paper, beside the model").arg(figure_.number)
                     : some              ? tr("this run")
                                         : QString());
}

void PlotsView::show_told(const QString& text) {
  const Palette& palette = theme().palette();
  told_->setText(rich(text.isEmpty() ? tr("Point at a bar for its value, or use Tab and the arrow keys.") : text));
  told_->setStyleSheet(QStringLiteral("color: %1; font-size: %2px;")
                           .arg((text.isEmpty() ? palette.muted : palette.text).name())
                           .arg(std::lround(theme().px(14))));
  told_->setAccessibleName(text);
}

QString PlotsView::told() const { return told_->accessibleName(); }

// --- computing
// --------------------------------------------------------------------------------------------------------

void PlotsView::compute(int number) {
  const Source source{.kind = Source::Kind::Paper, .number = number, .file = {}};
  if (const auto found = computed_.find(number); found != computed_.end()) {
    waits_.reset();
    return show_source(source, found->second);
  }
  if (!maker_) return;
  note_->setText(tr("Figure %1 is being computed: the model simulates each of its bars.").arg(number));
  show_source(source, Figure{.number = number, .title = {}, .panels = {}, .trends = {}, .notes = {}});
  if (job_ != nullptr && job_->number() == number && !job_->called_off()) return;
  if (job_ != nullptr) {
    job_->call_off();
    waits_ = number;
    return;
  }
  job_ = std::make_unique<FigureJob>(maker_, number);
  connect(job_.get(), &FigureJob::progressed, this, &PlotsView::show_job);
  connect(job_.get(), &FigureJob::finished, this, &PlotsView::job_finished);
  working_->show();
  show_job(0);
}

void PlotsView::show_job(double share) {
  progress_->setValue(static_cast<int>(share * 100));
  working_on_->setText(tr("Figure %1 · %2 %").arg(job_->number()).arg(progress_->value()));
}

void PlotsView::call_off() {
  if (job_ == nullptr) return;
  job_->call_off();
  waits_.reset();
  working_on_->setText(tr("stopping..."));
}

void PlotsView::job_finished() {
  const std::unique_ptr<FigureJob> job = std::move(job_);
  working_->hide();
  const int number = job->number();
  const bool waited_for = shown_ == Source{.kind = Source::Kind::Paper, .number = number, .file = {}};
  if (!job->called_off() && job->result()) computed_[number] = job->result().value();
  if (waits_) return compute(*std::exchange(waits_, std::nullopt));
  if (computed_.count(number) != 0) {
    if (waited_for) compute(number);
    return;
  }
  note_->setText(tr("Figure %1 was not computed. Choose it again to compute it.").arg(number));
  if (!job->called_off()) emit problem_found(job->result().error());
}

void PlotsView::keyPressEvent(QKeyEvent* event) {
  if (event->key() != Qt::Key_Escape || !computes()) return View::keyPressEvent(event);
  call_off();
}

// --- layout
// -----------------------------------------------------------------------------------------------------------

void PlotsView::theme_changed() {
  note_->setStyleSheet(QStringLiteral("color: %1; font-size: %2px;")
                           .arg(theme().palette().muted.name())
                           .arg(std::lround(theme().px(16))));
  show_told({});
  title_->redraw();
  foot_->redraw();
  beside_.reset();
  columns_ = 0;
  arrange_parts();
}

// A wide and low place has the words right of the plots; any other one above and below.
void PlotsView::arrange_parts() {
  const bool beside = width() > theme().px(880) && width() > 2 * height();
  if (beside_ != beside) {
    beside_ = beside;
    auto* grid = static_cast<QGridLayout*>(layout());
    while (QLayoutItem* item = grid->takeAt(0)) delete item;
    const int column = beside ? 1 : 0;
    grid->addWidget(head_, 0, column);
    grid->addWidget(content_, beside ? 0 : 1, 0, beside ? 3 : 1, 1);
    grid->addWidget(told_, beside ? 1 : 2, column);
    if (beside) {
      page_column_->removeWidget(foot_);
      foot_scroll_->setWidget(foot_);
      grid->addWidget(foot_scroll_, 2, column);
    } else if (foot_scroll_->widget() != nullptr) {
      foot_scroll_->takeWidget();
      page_column_->addWidget(foot_);
    }
    foot_scroll_->setVisible(beside);
    grid->setColumnStretch(0, 1);
    grid->setColumnMinimumWidth(1, beside ? static_cast<int>(theme().px(kTextColumn)) : 0);
    for (int part = 0; part < 3; ++part) grid->setRowStretch(part, 0);
    grid->setRowStretch(beside ? 2 : 1, 1);
    told_->setMinimumHeight(static_cast<int>(theme().px(beside ? 58 : 22)));
    for (QWidget* part : std::initializer_list<QWidget*>{head_, told_, foot_scroll_})
      part->setMaximumWidth(beside ? static_cast<int>(theme().px(kTextColumn)) : QWIDGETSIZE_MAX);
  }
  foot_->setVisible(has_any_value(figure_) && !(figure_.trends.empty() && figure_.notes.empty()));
  arrange_plots();
}

// Without scrolling where that can be, then with panels nearest to a shape that is good to read; the bars always keep
// room.
int PlotsView::columns_for(const QSize& size) const {
  constexpr double kGoodShape = 1.8;
  int least_width = 1;
  for (const PanelPlot* plot : plots_) least_width = std::max(least_width, plot->least_width());
  const int most = std::clamp(size.width() / least_width, 1, std::max(1, static_cast<int>(plots_.size())));
  int best = most;
  double best_distance = std::numeric_limits<double>::infinity();
  for (int columns = 1; columns <= most; ++columns) {
    const double width = static_cast<double>(size.width()) / columns;
    const double height = static_cast<double>(size.height()) / rows_of(plots_.size(), columns);
    const double distance = std::abs(std::log(width / std::max(1.0, height) / kGoodShape));
    if (height < least_height(static_cast<int>(width)) || distance >= best_distance) continue;
    best = columns;
    best_distance = distance;
  }
  return best;
}

int PlotsView::least_height(int width) const {
  int least = 1;
  for (const PanelPlot* plot : plots_) least = std::max(least, plot->least_height(width));
  return least;
}

void PlotsView::arrange_plots() {
  if (plots_.empty()) return;
  // The words have up to two fifths of the height; where the panels need it, only as much as says that there are some.
  const QSize place = content_->size();
  const int words = *beside_ || foot_->isHidden() ? 0 : foot_->heightForWidth(place.width());
  const int foot = words == 0 ? 0 : words + kSpacing;
  const int columns = columns_for({place.width(), std::max(place.height() - foot, place.height() * 3 / 5)});
  const int rows = rows_of(plots_.size(), columns);
  const int row = least_height(place.width() / columns);
  const int peek = std::min(foot, static_cast<int>(theme().px(52)));
  const int squeezed = std::clamp((place.height() - peek) / rows, row * 4 / 5, row);
  const int words_room = std::min(foot, place.height() * 2 / 5);
  plot_area_->setFixedHeight(std::max(rows * squeezed, place.height() - words_room));
  if (columns == columns_) return;
  columns_ = columns;
  while (QLayoutItem* item = plot_grid_->takeAt(0)) delete item;
  for (std::size_t index = 0; index < plots_.size(); ++index) {
    PanelPlot* plot = plots_[index];
    plot_grid_->addWidget(plot, static_cast<int>(index) / columns, static_cast<int>(index) % columns);
    plot->show();
  }
  for (int column = 0; column < plot_grid_->columnCount(); ++column)
    plot_grid_->setColumnStretch(column, column < columns ? 1 : 0);
}

void PlotsView::resizeEvent(QResizeEvent* event) {
  View::resizeEvent(event);
  arrange_parts();
}

bool PlotsView::eventFilter(QObject* watched, QEvent* event) {
  if (watched == content_ && event->type() == QEvent::Resize) arrange_plots();
  return View::eventFilter(watched, event);
}

// --- export
// -----------------------------------------------------------------------------------------------------------

QSize PlotsView::PageLayout::size(std::size_t plots) const {
  const double height = head + foot + rows_of(plots, columns) * plot.height() + 4 * margin;
  return {static_cast<int>(width + 2 * margin), static_cast<int>(std::ceil(height))};
}

PlotsView::PageLayout PlotsView::page_layout() const {
  PageLayout layout{.margin = theme().px(24), .width = theme().px(1200)};
  layout.head = DrawnPart::measure(
      [this](QPainter& painter, double width) { return draw_figure_head(painter, width, figure_); }, layout.width);
  layout.foot = DrawnPart::measure(
      [this](QPainter& painter, double width) { return draw_figure_foot(painter, width, figure_); }, layout.width);
  int least = 1;
  for (const PanelPlot* plot : plots_) least = std::max(least, plot->least_width());
  constexpr int kMostColumns = 3;
  layout.columns = std::clamp(static_cast<int>(layout.width) / least, 1,
                              std::clamp(static_cast<int>(plots_.size()), 1, kMostColumns));
  layout.plot = QSize(static_cast<int>(layout.width) / layout.columns, static_cast<int>(theme().px(280)));
  return layout;
}

std::optional<Page> PlotsView::page() {
  if (plots_.empty()) return std::nullopt;
  const PageLayout layout = page_layout();
  return Page{.size = layout.size(plots_.size()),
              .draw = [this, layout](QCPPainter& painter) { draw_page(painter, layout); }};
}

void PlotsView::draw_page(QCPPainter& painter, const PageLayout& layout) {
  painter.fillRect(QRect(QPoint(), layout.size(plots_.size())), theme().palette().surface);
  const auto part = [&](double y, double (*draw)(QPainter&, double, const Figure&)) {
    painter.save();
    painter.translate(layout.margin, y);
    painter.setRenderHint(QPainter::Antialiasing);
    draw(painter, layout.width, figure_);
    painter.restore();
  };
  part(layout.margin, draw_figure_head);
  double y = layout.head + 2 * layout.margin;
  for (std::size_t index = 0; index < plots_.size(); ++index) {
    PanelPlot* plot = plots_[index];
    const auto column = static_cast<int>(index) % layout.columns;
    const auto row = static_cast<int>(index) / layout.columns;
    plot->choose(std::nullopt);
    plot->fit(layout.plot);
    painter.save();
    painter.translate(layout.margin + column * layout.plot.width(), y + row * layout.plot.height());
    plot->toPainter(&painter, layout.plot.width(), layout.plot.height());
    painter.restore();
    plot->fit(plot->size());
  }
  y += rows_of(plots_.size(), layout.columns) * layout.plot.height();
  part(y + layout.margin, draw_figure_foot);
}

}  // namespace shearling::gui
