// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/main_window.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include <QAction>
#include <QActionGroup>
#include <QApplication>
#include <QCloseEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QLabel>
#include <QMenuBar>
#include <QMessageBox>
#include <QPainter>
#include <QSettings>
#include <QTimer>
#include <QToolBar>
#include <QToolButton>

#include "app/gui/actions_dialogs.h"
#include "app/gui/cache_sets_view.h"
#include "app/gui/card_dock.h"
#include "app/gui/lesson_view.h"
#include "app/gui/plots_view.h"
#include "app/gui/rows.h"
#include "app/gui/stage_view.h"
#include "app/gui/table_views.h"
#include "app/gui/timeline_view.h"
#include "app/gui/walk_grid_view.h"
#include "core/run_file/run_file.h"

namespace shearling::gui {
namespace {

constexpr int kStateVersion = 2;
/// Views that a twin machine has, too.
constexpr std::array<const char*, 5> kTwinViews = {"stage", "microscope", "registers", "control", "walk"};
constexpr int kMargin = 12;
constexpr int kLowWindow = 820;
constexpr int kBarPadding = 8;
constexpr double kPresenterZoom = 1.6;
constexpr double kZoomStep = 1.1;

/// Lessons name views in their own words; the window's ids.
QString dock_id_of(const QString& view) {
  static const std::map<QString, QString> other = {{QStringLiteral("tlb"), QStringLiteral("tlbs")},
                                                   {QStringLiteral("disassembly"), QStringLiteral("source")}};
  const auto found = other.find(view);
  return found == other.end() ? view : found->second;
}

QString text_of(std::string_view text) { return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size())); }

/// "aa64-smp.elf - CPU 1 of 2 - Shearling".
QString title_of(const MachineView& view) {
  const QString guest = QString::fromStdString(view.guest);
  if (view.cpu_count() == 1) return QObject::tr("%1 - Shearling").arg(guest);
  return QObject::tr("%1 - CPU %2 of %3 - Shearling").arg(guest).arg(view.cpu).arg(view.cpu_count());
}

}  // namespace

MainWindow::MainWindow(bool remembers, QWidget* parent)
    : QMainWindow(parent),
      controller_(new SessionController(this)),
      twin_(new SessionController(this)),
      remembers_(remembers) {
  setWindowTitle(tr("Shearling"));
  setDockNestingEnabled(true);
  setAnimated(false);
  setContentsMargins(kMargin, 0, kMargin, kMargin);
  setCorner(Qt::BottomLeftCorner, Qt::BottomDockWidgetArea);
  setCorner(Qt::BottomRightCorner, Qt::BottomDockWidgetArea);
  setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
  resize(1600, 1000);
  make_docks();
  make_actions();
  make_toolbar();
  make_connections();
  connect(&theme(), &Theme::changed, this, &MainWindow::apply_theme);
  if (remembers_) restore();
  apply_theme();
  show_moment(controller_->moment());
}

MainWindow::~MainWindow() = default;

// --- parts
// ------------------------------------------------------------------------------------------------------------

CardDock* MainWindow::add_dock(const QString& id, const QString& name, View* view) {
  auto* dock = new CardDock(name, QStringLiteral("dock-") + id, view, this);
  docks_[id] = dock;
  view->setAccessibleName(name);
  connect_view(controller_, view);
  connect(view, &View::windows_wanted, this,
          [this](const std::vector<MemoryWindow>& windows) { controller_->post(WatchMemory{windows}); });
  connect(view, &View::address_chosen, this, [this](AddressSpace space, quint64 address) {
    show_view(QStringLiteral("memory"));
    memory_->go_to(space, address);
  });
  connect(dock, &CardDock::export_wanted, this, &MainWindow::ask_export);
  view->show_moment(controller_->moment());
  dock->hide();  // Until a layout has a place for it.
  return dock;
}

void MainWindow::add_twin_dock(const QString& id, const QString& name, View* view) {
  auto* dock = new CardDock(name, QStringLiteral("dock-") + id, view, this);
  docks_[id] = dock;
  view->setAccessibleName(tr("%1 of the twin machine").arg(name));
  dock->toggleViewAction()->setText(tr("%1 (twin)").arg(name));
  connect_view(twin_, view);
  connect(dock, &CardDock::export_wanted, this, &MainWindow::ask_export);
  view->show_moment(twin_->moment());
  dock->hide();
}

void MainWindow::connect_view(SessionController* session, View* view) {
  connect(session, &SessionController::moment_changed, view,
          [view](const Moment& moment) { view->show_moment(moment); });
  connect(view, &View::event_chosen, session, &SessionController::light);
  connect(view, &View::step_chosen, session, &SessionController::seek);
  connect(view, &View::breakpoint_toggled, session,
          [session](quint64 address) { session->post(ToggleBreakpoint{address}); });
  connect(view, &View::run_to_wanted, session, [session](quint64 address) { session->post(RunToAddress{address}); });
}

void MainWindow::make_docks() {
  lesson_ = new LessonView;
  stage_ = new StageView;
  microscope_ = new MicroscopeView;
  memory_ = new MemoryView;
  plots_ = new PlotsView(study_maker());
  add_dock(QStringLiteral("lesson"), tr("Lesson"), lesson_);
  add_dock(QStringLiteral("stage"), tr("Stage"), stage_);
  add_dock(QStringLiteral("microscope"), tr("Microscope"), microscope_);
  add_dock(QStringLiteral("registers"), tr("Registers"), new RegistersView);
  add_dock(QStringLiteral("control"), tr("Control structure"), new ControlView);
  add_dock(QStringLiteral("source"), tr("Source"), new CodeView);
  add_dock(QStringLiteral("walk"), tr("Walk grid"), new WalkGridView);
  add_dock(QStringLiteral("tlbs"), tr("TLBs"), new TlbsView);
  add_dock(QStringLiteral("cache"), tr("Cache sets"), new CacheSetsView);
  add_dock(QStringLiteral("plots"), tr("Plots"), plots_);
  add_dock(QStringLiteral("timeline"), tr("Timeline"), new TimelineView);
  add_dock(QStringLiteral("memory"), tr("Memory"), memory_);
  add_dock(QStringLiteral("console"), tr("Console"), new ConsoleView);
  auto* microscope = new MicroscopeView;
  connect(microscope, &MicroscopeView::detail_chosen, twin_, &SessionController::show_detail);
  add_twin_dock(QStringLiteral("twin-stage"), tr("Stage"), new StageView);
  add_twin_dock(QStringLiteral("twin-microscope"), tr("Microscope"), microscope);
  add_twin_dock(QStringLiteral("twin-registers"), tr("Registers"), new RegistersView);
  add_twin_dock(QStringLiteral("twin-control"), tr("Control structure"), new ControlView);
  add_twin_dock(QStringLiteral("twin-walk"), tr("Walk grid"), new WalkGridView);
}

template <typename Slot>
QAction* MainWindow::add(QMenu* menu, const ActionTexts& texts, Slot slot) {
  auto* action = new QAction(tr(texts.text), this);
  action->setShortcuts(texts.keys);
  action->setShortcutContext(Qt::WindowShortcut);
  QStringList keys;
  for (const QKeySequence& key : texts.keys) keys.push_back(key.toString(QKeySequence::NativeText));
  const QString tip = tr(texts.tip);
  action->setStatusTip(tip);
  action->setToolTip(keys.isEmpty() ? tip : QStringLiteral("%1 (%2)").arg(tip, keys.join(QStringLiteral(", "))));
  connect(action, &QAction::triggered, this, slot);
  menu->addAction(action);
  menu->setToolTipsVisible(true);
  addAction(action);  // Keys work with the menu bar hidden, too.
  actions_[QLatin1String(texts.id)] = action;
  return action;
}

void MainWindow::make_actions() {
  SessionController* run = controller_;
  QMenu* file = menuBar()->addMenu(tr("&File"));
  add(file, {"open-guest", QT_TR_NOOP("Open &guest..."), QT_TR_NOOP("Open a guest image (ELF)"), {QKeySequence::Open}},
      [this] { ask_guest(); });
  add(file, {"open-lesson", QT_TR_NOOP("Open &lesson..."), QT_TR_NOOP("Open a lesson file"), {Qt::CTRL | Qt::Key_L}},
      [this] { ask_lesson(); });
  QMenu* lessons = file->addMenu(tr("Le&ssons"));
  connect(lessons, &QMenu::aboutToShow, this, [this, lessons] { fill_lessons(lessons); });
  add(file, {"open-run", QT_TR_NOOP("Open &run file..."), QT_TR_NOOP("Open a recorded run and go through it"), {}},
      [this] { ask_run_file(); });
  add(file,
      {"open-figure",
       QT_TR_NOOP("Open &figure..."),
       QT_TR_NOOP("Open a figure of the cache study, as `shearling seesaw --figure N --json F` writes it"),
       {Qt::CTRL | Qt::SHIFT | Qt::Key_O}},
      [this] { ask_figure(); });
  file->addSeparator();
  add(file,
      {"export-window",
       QT_TR_NOOP("&Export the window..."),
       QT_TR_NOOP("Draw the whole window as SVG, PDF or PNG"),
       {Qt::CTRL | Qt::Key_E}},
      [this] { ask_export(nullptr); });
  file->addSeparator();
  add(file, {"quit", QT_TR_NOOP("&Quit"), QT_TR_NOOP("Close the window"), {QKeySequence::Quit}}, [this] { close(); });

  QMenu* machine = menuBar()->addMenu(tr("&Run"));
  add(machine, {"run", QT_TR_NOOP("&Run"), QT_TR_NOOP("Run to the next breakpoint or the guest's end"), {Qt::Key_F5}},
      [run] { run->run(); });
  add(machine, {"pause", QT_TR_NOOP("&Pause"), QT_TR_NOOP("Stop where the guest is"), {Qt::Key_F6}},
      [run] { run->pause(); });
  add(machine, {"stop", QT_TR_NOOP("S&top"), QT_TR_NOOP("Switch the machine off"), {Qt::SHIFT | Qt::Key_F5}},
      [run] { run->stop(); });
  add(machine,
      {"restart",
       QT_TR_NOOP("Rest&art"),
       QT_TR_NOOP("Back to the beginning of the run"),
       {Qt::CTRL | Qt::SHIFT | Qt::Key_F5}},
      [run] { run->restart(); });
  machine->addSeparator();
  add(machine,
      {"step",
       QT_TR_NOOP("&Step"),
       QT_TR_NOOP("One instruction, with all that the hardware and the VMM do for it"),
       {Qt::Key_F7, Qt::Key_Space}},
      [run] { run->step(); });
  add(machine,
      {"step-over",
       QT_TR_NOOP("Step &over"),
       QT_TR_NOOP("Over a call, a system call or a trap with its whole handler"),
       {Qt::Key_F10}},
      [run] { run->step_over(); });
  add(machine,
      {"step-into",
       QT_TR_NOOP("Step &into"),
       QT_TR_NOOP("The next micro-event: a check, a walk's reference, a VMM action; then the next instruction"),
       {Qt::Key_F11}},
      [run] { run->step_into(); });
  add(machine,
      {"finish-step", QT_TR_NOOP("To the step's &end"), QT_TR_NOOP("Show the whole step"), {Qt::SHIFT | Qt::Key_F11}},
      [run] { run->finish_step(); });
  add(machine,
      {"back",
       QT_TR_NOOP("&Back"),
       QT_TR_NOOP("Undo: one micro-event back inside a step, else one instruction"),
       {Qt::Key_F4, Qt::Key_Backspace}},
      [run] { run->back(); });
  machine->addSeparator();
  add(machine,
      {"to-trap",
       QT_TR_NOOP("Run to next &trap"),
       QT_TR_NOOP("To the next trap, interrupt or VM exit"),
       {Qt::Key_F8 | Qt::CTRL}},
      [run] { run->run_to_trap(); });
  add(machine,
      {"to-exit",
       QT_TR_NOOP("Run to next VM e&xit"),
       QT_TR_NOOP("To the next exit to the VMM"),
       {Qt::Key_F9 | Qt::CTRL}},
      [run] { run->run_to_exit(); });
  add(machine,
      {"back-to-trap",
       QT_TR_NOOP("Back to previous t&rap"),
       QT_TR_NOOP("Back to the trap, interrupt or VM exit before this one"),
       {Qt::SHIFT | Qt::Key_F4}},
      [run] { run->back_to_trap(); });
  machine->addSeparator();
  add(machine,
      {"breakpoint",
       QT_TR_NOOP("Toggle brea&kpoint"),
       QT_TR_NOOP("Stop before the next instruction, or no longer"),
       {Qt::Key_F9}},
      [this] { toggle_breakpoint_here(); });
  machine->addSeparator();
  add(machine,
      {"lesson-next",
       QT_TR_NOOP("&Next lesson step"),
       QT_TR_NOOP("Do the next step of the lesson"),
       {Qt::Key_PageDown}},
      [this] { lesson_->next_step(); });
  add(machine,
      {"lesson-back",
       QT_TR_NOOP("Pre&vious lesson step"),
       QT_TR_NOOP("Back to where the lesson's previous step began"),
       {Qt::Key_PageUp}},
      [this] { lesson_->previous_step(); });
  machine->addSeparator();
  QMenu* technique = machine->addMenu(tr("Te&chnique"));
  techniques_ = new QActionGroup(this);
  make_technique_actions(technique);
  QMenu* machines = machine->addMenu(tr("&Machine"));
  connect(machines, &QMenu::aboutToShow, this, [this, machines] { fill_machines(machines); });

  QMenu* view = menuBar()->addMenu(tr("&View"));
  themes_ = new QActionGroup(this);
  const std::array<std::pair<ThemeChoice, ActionTexts>, 4> themes = {
      {{ThemeChoice::Light, {"theme-light", QT_TR_NOOP("&Light"), QT_TR_NOOP("Dark on light"), {}}},
       {ThemeChoice::Dark, {"theme-dark", QT_TR_NOOP("&Dark"), QT_TR_NOOP("Light on dark"), {}}},
       {ThemeChoice::HighContrast,
        {"theme-high-contrast", QT_TR_NOOP("&High contrast"), QT_TR_NOOP("Strong colours, black lines"), {}}},
       {ThemeChoice::System,
        {"theme-system", QT_TR_NOOP("As the &desktop"), QT_TR_NOOP("Light or dark, as the desktop is"), {}}}}};
  for (const auto& [choice, texts] : themes) {
    QAction* action = add(view, texts, [choice = choice] { theme().choose(choice); });
    action->setCheckable(true);
    action->setData(static_cast<int>(choice));
    themes_->addAction(action);
  }
  view->addSeparator();
  add(view,
      {"presenter", QT_TR_NOOP("&Presenter"), QT_TR_NOOP("Large type for a lecture hall, no menus"), {Qt::Key_F8}},
      [this] { set_presenter(!presenter_); })
      ->setCheckable(true);
  add(view,
      {"zoom-in",
       QT_TR_NOOP("Zoom &in"),
       QT_TR_NOOP("Larger type"),
       {Qt::CTRL | Qt::Key_Plus, Qt::CTRL | Qt::Key_Equal}},
      [this] { zoom_by(kZoomStep); });
  add(view, {"zoom-out", QT_TR_NOOP("Zoom &out"), QT_TR_NOOP("Smaller type"), {Qt::CTRL | Qt::Key_Minus}},
      [this] { zoom_by(1 / kZoomStep); });
  add(view, {"zoom-reset", QT_TR_NOOP("&100 %"), QT_TR_NOOP("Type of the usual size"), {Qt::CTRL | Qt::Key_0}},
      [] { theme().set_zoom(1); });
  add(view,
      {"plots",
       QT_TR_NOOP("P&lots"),
       QT_TR_NOOP("The caches of this run, and the SEESAW paper's figures beside the model's"),
       {Qt::Key_F3}},
      [this] { show_view(QStringLiteral("plots")); });
  QAction* movement =
      add(view, {"movement", QT_TR_NOOP("&Movement"), QT_TR_NOOP("Arrows move; switch off for stillness"), {}},
          [this] { stage_->set_movement(action(QStringLiteral("movement"))->isChecked()); });
  movement->setCheckable(true);
  movement->setChecked(true);

  QMenu* window = menuBar()->addMenu(tr("&Window"));
  const std::array<std::pair<Preset, ActionTexts>, 5> presets = {
      {{Preset::Lecture,
        {"preset-lecture",
         QT_TR_NOOP("&Lecture"),
         QT_TR_NOOP("Lesson, Stage, Microscope, Registers, Source, Timeline"),
         {Qt::ALT | Qt::Key_1}}},
       {Preset::Lab,
        {"preset-lab",
         QT_TR_NOOP("La&b"),
         QT_TR_NOOP("Source, Registers, Memory, Console, Microscope"),
         {Qt::ALT | Qt::Key_2}}},
       {Preset::Paging,
        {"preset-paging",
         QT_TR_NOOP("&Paging"),
         QT_TR_NOOP("Walk grid, TLBs, Memory, Control structure"),
         {Qt::ALT | Qt::Key_3}}},
       {Preset::Cache,
        {"preset-cache",
         QT_TR_NOOP("&Cache"),
         QT_TR_NOOP("Cache sets, Plots, TLBs, Microscope"),
         {Qt::ALT | Qt::Key_4}}},
       {Preset::Twin,
        {"preset-twin",
         QT_TR_NOOP("&Twin"),
         QT_TR_NOOP("Two machines side by side, as in a lesson in lockstep"),
         {Qt::ALT | Qt::Key_5}}}}};
  for (const auto& [preset, texts] : presets) add(window, texts, [this, preset = preset] { arrange(preset); });
  add(window,
      {"reset-layout", QT_TR_NOOP("&Reset layout"), QT_TR_NOOP("The arrangement of the Lecture preset, at 100 %"), {}},
      [this] {
        theme().set_zoom(1);
        arrange(Preset::Lecture);
      });
  window->addSeparator();
  for (const auto& [id, dock] : docks_) window->addAction(dock->toggleViewAction());

  QMenu* help = menuBar()->addMenu(tr("&Help"));
  add(help,
      {"commands",
       QT_TR_NOOP("&Commands..."),
       QT_TR_NOOP("Find any action by typing"),
       {Qt::Key_F1, Qt::CTRL | Qt::SHIFT | Qt::Key_P}},
      [this] { show_palette(); });
  add(help, {"keys", QT_TR_NOOP("&Keys..."), QT_TR_NOOP("The sheet of keys"), {Qt::Key_F2, Qt::Key_Question}},
      [this] { show_keys(); });
  add(help, {"about", QT_TR_NOOP("&About Shearling"), QT_TR_NOOP("What this is"), {}}, [this] { show_about(); });
}

// Every technique of every ISA that the program was built with; only those of the guest's ISA are offered.
void MainWindow::make_technique_actions(QMenu* menu) {
  for (const Isa* isa : registered_isas()) {
    for (const VmmTechnique technique : isa->techniques()) {
      const QString id = text_of(name_of(technique));
      if (action(id) != nullptr) continue;
      const TechniqueWords words = isa->technique_words(technique);
      auto* made = new QAction(text_of(words.title), this);
      made->setStatusTip(text_of(words.tip));
      made->setToolTip(text_of(words.tip));
      made->setCheckable(true);
      made->setData(static_cast<int>(technique));
      connect(made, &QAction::triggered, this, [this, technique] { choose_technique(technique); });
      menu->addAction(made);
      techniques_->addAction(made);
      actions_[id] = made;
    }
  }
}

void MainWindow::make_toolbar() {
  toolbar_ = addToolBar(tr("Steps"));
  toolbar_->setObjectName(QStringLiteral("toolbar"));
  toolbar_->setMovable(false);
  toolbar_->setContextMenuPolicy(Qt::PreventContextMenu);
  toolbar_->setContentsMargins(0, 4, 0, kBarPadding + kMargin);
  const std::array<std::pair<const char*, QString>, 7> buttons = {{{"restart", QStringLiteral("|◀")},
                                                                   {"back-to-trap", tr("◀ trap")},
                                                                   {"back", tr("◀ step")},
                                                                   {"step", tr("step ▶")},
                                                                   {"to-trap", tr("trap ▶")},
                                                                   {"to-exit", tr("exit ▶")},
                                                                   {"run", tr("run ▶▶")}}};
  for (const auto& [id, text] : buttons) {
    QAction* shown = action(QLatin1String(id));
    auto* button = new QToolButton(toolbar_);
    button->setObjectName(QStringLiteral("button-") + QLatin1String(id));
    button->setText(text);
    button->setToolTip(shown->toolTip());
    button->setAccessibleName(plain_text(*shown));
    button->setFocusPolicy(Qt::NoFocus);
    connect(button, &QToolButton::clicked, this, [this, id = QString::fromLatin1(id)] {
      const bool pauses = id == QLatin1String("run") && controller_->running();
      action(pauses ? QStringLiteral("pause") : id)->trigger();
    });
    connect(shown, &QAction::enabledChanged, button, &QToolButton::setEnabled);
    toolbar_->addWidget(button);
  }
  const auto label = [this](QAction** action = nullptr) {
    auto* made = new QLabel(toolbar_);
    QAction* shown = toolbar_->addWidget(made);
    if (action != nullptr) *action = shown;
    return made;
  };
  auto* space = new QWidget(toolbar_);
  space->setFixedWidth(12);
  toolbar_->addWidget(space);
  isa_chip_ = label();
  technique_chip_ = label();
  step_label_ = label(&step_action_);
  cycle_label_ = label(&cycle_action_);
  auto* stretch = new QWidget(toolbar_);
  stretch->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
  toolbar_->addWidget(stretch);
  hint_label_ = label(&hint_action_);
  hint_label_->setText(tr("F1 commands    F2 keys    F8 presenter"));
}

void MainWindow::make_connections() {
  connect(controller_, &SessionController::moment_changed, this, &MainWindow::show_moment);
  connect(microscope_, &MicroscopeView::detail_chosen, controller_, &SessionController::show_detail);
  connect(lesson_, &LessonView::work_wanted, this, [this](const Work& work) { controller_->post(work); });
  connect(lesson_, &LessonView::machine_wanted, this, [this](const Load& load) {
    guest_path_ = QString::fromStdString(load.image_path);
    machine_name_ = QString::fromStdString(load.setup.machine_name);
    controller_->post(load);
  });
  connect(lesson_, &LessonView::position_wanted, controller_, &SessionController::seek);
  connect(twin_, &SessionController::moment_changed, lesson_, &LessonView::show_twin);
  connect(twin_, &SessionController::moment_changed, this, &MainWindow::show_twin);
  connect(lesson_, &LessonView::twin_work_wanted, this, [this](const Work& work) { twin_->post(work); });
  connect(lesson_, &LessonView::twin_position_wanted, twin_, &SessionController::seek);
  connect(lesson_, &LessonView::twin_wanted, this, &MainWindow::load_twin);
  connect(lesson_, &LessonView::problem_found, this, &MainWindow::show_problem);
  connect(plots_, &PlotsView::problem_found, this, &MainWindow::show_problem);
  connect(plots_, &PlotsView::file_wanted, this, &MainWindow::ask_figure);
  connect(lesson_, &LessonView::views_wanted, this, [this](const QStringList& views) {
    // The first is the most important: it is raised last.
    for (auto view = views.rbegin(); view != views.rend(); ++view) show_view(*view);
  });
}

// A lesson in lockstep brings its twin, and any other lesson or guest sends it away.
void MainWindow::load_twin(const std::optional<Load>& load) {
  const bool had = twin_->machine().state != RunState::Empty;
  if (load) {
    twin_->post(*load);
    if (!had) arrange(Preset::Twin);
    return;
  }
  twin_->stop();
  if (preset_ == Preset::Twin && had) arrange(Preset::Lecture);
}

void MainWindow::show_twin(const Moment& moment) {
  const std::optional<Diagnostic>& problem = moment.machine->error;
  if (problem && problem != shown_twin_problem_) show_problem(*problem);
  shown_twin_problem_ = problem;
  show_owners();
}

// With two machines on the screen every view says whose it is.
void MainWindow::show_owners() {
  const bool both = twin_->machine().state != RunState::Empty && controller_->machine().state != RunState::Empty;
  const auto owner = [&](const MachineView& view) {
    return both ? QStringLiteral("%1, %2").arg(text_of(view.isa->name()), text_of(view.words().title)) : QString();
  };
  for (const char* id : kTwinViews) {
    docks_.at(QLatin1String(id))->set_owner(owner(controller_->machine()));
    docks_.at(QStringLiteral("twin-") + QLatin1String(id))->set_owner(owner(twin_->machine()));
  }
}

CardDock* MainWindow::dock(const QString& id) const {
  const auto found = docks_.find(id);
  return found == docks_.end() ? nullptr : found->second;
}

QAction* MainWindow::action(const QString& id) const {
  const auto found = actions_.find(id);
  return found == actions_.end() ? nullptr : found->second;
}

QStringList MainWindow::action_ids() const {
  QStringList ids;
  for (const auto& [id, action] : actions_) ids.push_back(id);
  return ids;
}

// --- layout
// -----------------------------------------------------------------------------------------------------------

void MainWindow::arrange(Preset preset) {
  preset_ = preset;
  keeps_shares_ = true;
  for (const auto& [id, dock] : docks_) {
    dock->setFloating(false);
    removeDockWidget(dock);
  }
  const auto at = [this](const char* id) { return docks_.at(QLatin1String(id)); };
  const auto first = [&](const char* id) { addDockWidget(Qt::LeftDockWidgetArea, at(id)); };
  const auto beside = [&](const char* id, const char* after) { splitDockWidget(at(id), at(after), Qt::Horizontal); };
  const auto below = [&](const char* id, const char* after) { splitDockWidget(at(id), at(after), Qt::Vertical); };
  const auto bottom = [&](const char* id) { addDockWidget(Qt::BottomDockWidgetArea, at(id)); };
  const auto show = [&](std::initializer_list<const char*> ids) {
    for (const char* id : ids) at(id)->show();
  };
  switch (preset) {
    case Preset::Lecture:
      first("lesson");
      beside("lesson", "stage");
      beside("stage", "registers");
      below("stage", "microscope");
      below("registers", "source");
      bottom("timeline");
      show({"lesson", "stage", "registers", "microscope", "source", "timeline"});
      break;
    case Preset::Lab:
      first("source");
      beside("source", "microscope");
      beside("microscope", "registers");
      below("microscope", "memory");
      below("source", "console");
      show({"source", "microscope", "registers", "memory", "console"});
      break;
    case Preset::Paging:
      first("walk");
      beside("walk", "tlbs");
      below("walk", "microscope");
      below("tlbs", "memory");
      below("memory", "control");
      show({"walk", "tlbs", "microscope", "memory", "control"});
      break;
    case Preset::Cache:
      first("cache");
      beside("cache", "plots");
      below("plots", "microscope");
      tabifyDockWidget(at("microscope"), at("tlbs"));
      show({"cache", "plots", "microscope", "tlbs"});
      at("tlbs")->raise();
      break;
    case Preset::Twin:
      first("lesson");
      beside("lesson", "stage");
      beside("stage", "twin-stage");
      below("stage", "control");
      below("twin-stage", "twin-control");
      for (const auto& [id, above] :
           {std::pair{"microscope", "control"}, std::pair{"twin-microscope", "twin-control"}}) {
        // Three views of each machine want a high window. (What is split has no tabs yet: Qt would only add one.)
        if (height() < kLowWindow)
          tabifyDockWidget(at(above), at(id));
        else
          below(above, id);
      }
      for (const char* id : {"walk", "registers"}) tabifyDockWidget(at("control"), at(id));
      for (const char* id : {"twin-walk", "twin-registers"}) tabifyDockWidget(at("twin-control"), at(id));
      show({"lesson", "stage", "control", "walk", "registers", "microscope", "twin-stage", "twin-control", "twin-walk",
            "twin-registers", "twin-microscope"});
      at("control")->raise();
      at("twin-control")->raise();
      break;
  }
  // The others have a place too, out of sight: a layout that is kept must know of every dock.
  for (const auto& [id, dock] : docks_) {
    if (!dock->isHidden()) continue;
    addDockWidget(Qt::RightDockWidgetArea, dock);
    dock->hide();
  }
  arranged_ = true;
  apply_shares();
  // Once more when the layout has taken its place: before that, sizes are only wishes.
  QTimer::singleShot(0, this, &MainWindow::apply_shares);
}

void MainWindow::apply_shares() {
  if (!keeps_shares_ || presenter_) return;
  const auto share = [this](std::initializer_list<const char*> ids, QList<int> shares, Qt::Orientation orientation) {
    QList<QDockWidget*> shown;
    for (const char* id : ids) shown.push_back(docks_.at(QLatin1String(id)));
    const int whole = orientation == Qt::Horizontal ? width() : height();
    for (int& one : shares) one = one * whole / 1000;
    resizeDocks(shown, shares, orientation);
  };
  const bool low = height() < kLowWindow;  // The Stage's lines come first.
  switch (preset_) {
    case Preset::Lecture: {
      // A grid of walks or of cache sets in the Stage's place needs more of it.
      const bool large =
          !docks_.at(QStringLiteral("walk"))->isHidden() || !docks_.at(QStringLiteral("cache"))->isHidden();
      share({"timeline"}, {low || large ? 195 : 245}, Qt::Vertical);
      share({"lesson", "stage", "registers"}, large ? QList<int>{225, 525, 240} : QList<int>{235, 465, 290},
            Qt::Horizontal);
      share({"stage", "microscope"},
            low     ? QList<int>{430, 230}
            : large ? QList<int>{520, 190}
                    : QList<int>{390, 255},
            Qt::Vertical);
      share({"registers", "source"}, {low ? 400 : 390, 255}, Qt::Vertical);
      break;
    }
    case Preset::Lab:
      share({"source", "microscope", "registers"}, {310, 380, 310}, Qt::Horizontal);
      share({"source", "console"}, {680, 250}, Qt::Vertical);
      share({"microscope", "memory"}, {500, 430}, Qt::Vertical);
      break;
    case Preset::Paging:
      share({"walk", "tlbs"}, {600, 400}, Qt::Horizontal);
      share({"walk", "microscope"}, {640, 290}, Qt::Vertical);
      share({"tlbs", "memory", "control"}, {330, 300, 300}, Qt::Vertical);
      break;
    case Preset::Cache:
      share({"cache", "plots"}, {550, 450}, Qt::Horizontal);
      share({"plots", "tlbs"}, low ? QList<int>{650, 220} : QList<int>{600, 300}, Qt::Vertical);
      break;
    case Preset::Twin:
      share({"lesson", "stage", "twin-stage"}, {200, 400, 400}, Qt::Horizontal);
      for (const auto& [stage, control] : {std::pair{"stage", "control"}, std::pair{"twin-stage", "twin-control"}})
        share({stage, control}, low ? QList<int>{560, 370} : QList<int>{370, 330}, Qt::Vertical);
      break;
  }
}

// A view that is not on the screen comes as a tab of the one it goes with; the twin's comes with it.
void MainWindow::show_view(const QString& view) {
  const QString id = dock_id_of(view);
  if (twin_->machine().state != RunState::Empty) {
    if (CardDock* twin = dock(QStringLiteral("twin-") + id)) {
      twin->show();
      twin->raise();
    }
  }
  CardDock* wanted = dock(id);
  if (wanted == nullptr) return;
  if (wanted->isHidden()) {
    static const std::map<QString, QStringList> partners = {
        {QStringLiteral("walk"), {QStringLiteral("stage"), QStringLiteral("cache")}},
        {QStringLiteral("cache"), {QStringLiteral("stage"), QStringLiteral("walk")}},
        {QStringLiteral("plots"), {QStringLiteral("cache"), QStringLiteral("walk"), QStringLiteral("stage")}},
        {QStringLiteral("control"), {QStringLiteral("registers"), QStringLiteral("memory")}}};
    QStringList candidates = {QStringLiteral("microscope"), QStringLiteral("source"), QStringLiteral("registers"),
                              QStringLiteral("stage")};
    if (const auto found = partners.find(id); found != partners.end()) candidates = found->second + candidates;
    for (const QString& candidate : candidates) {
      CardDock* partner = dock(candidate);
      if (candidate == id || partner->isHidden() || partner->isFloating()) continue;
      addDockWidget(dockWidgetArea(partner), wanted);
      tabifyDockWidget(partner, wanted);
      break;
    }
    wanted->show();
    QTimer::singleShot(0, this, &MainWindow::apply_shares);
  }
  // In large type the Plots need the whole place.
  if (presenter_ && id == QLatin1String("plots")) docks_.at(QStringLiteral("microscope"))->hide();
  wanted->raise();
}

void MainWindow::set_presenter(bool on) {
  if (on == presenter_) return;
  presenter_ = on;
  action(QStringLiteral("presenter"))->setChecked(on);
  menuBar()->setVisible(!on);
  if (on) {
    before_presenter_ = saveState(kStateVersion);
    zoom_before_presenter_ = theme().zoom();
    // What a step does not name stays out of sight.
    for (const auto& [id, dock] : docks_) {
      if (id != QLatin1String("lesson") && id != QLatin1String("stage") && id != QLatin1String("microscope") &&
          !dock->isFloating())
        dock->hide();
    }
    constexpr int kHighEnoughForTwo = 880;
    docks_.at(QStringLiteral("stage"))->show();
    docks_.at(QStringLiteral("stage"))->raise();
    docks_.at(QStringLiteral("microscope"))->setVisible(height() >= kHighEnoughForTwo);
    theme().set_zoom(zoom_before_presenter_ * kPresenterZoom);
    resizeDocks({docks_.at(QStringLiteral("stage")), docks_.at(QStringLiteral("microscope"))},
                {height() * 3 / 5, height() * 2 / 5}, Qt::Vertical);
    return;
  }
  theme().set_zoom(zoom_before_presenter_);
  restoreState(before_presenter_, kStateVersion);
}

void MainWindow::zoom_by(double factor) { theme().set_zoom(theme().zoom() * factor); }

void MainWindow::apply_theme() {
  setStyleSheet(theme().style_sheet());
  const Palette& palette = theme().palette();
  const auto chip = [&](QLabel* label, Role role) {
    const RoleColour& colour = theme().role(role);
    label->setStyleSheet(QStringLiteral("background: %1; color: %2; border: 1px solid %3; border-radius: %4px; "
                                        "padding: 3px 12px; font-size: %5px; font-weight: 600;")
                             .arg(theme().tint(role, 0.14).name(), colour.text.name(), colour.mark.name())
                             .arg(std::lround(theme().px(12)))
                             .arg(std::lround(theme().px(13))));
  };
  chip(isa_chip_, Role::Hardware);
  chip(technique_chip_, controller_->machine().technique == VmmTechnique::Bare ? Role::GuestKernel : Role::Vmm);
  const auto mono = [&](QLabel* label, const QColor& colour, int weight) {
    label->setStyleSheet(
        QStringLiteral("color: %1; font-family: 'JetBrains Mono'; font-size: %2px; font-weight: %3; padding: 0 6px;")
            .arg(colour.name())
            .arg(std::lround(theme().px(14)))
            .arg(weight));
  };
  mono(step_label_, palette.text, 600);
  mono(cycle_label_, palette.muted, 400);
  hint_label_->setStyleSheet(
      QStringLiteral("color: %1; font-size: %2px;").arg(palette.muted.name()).arg(std::lround(theme().px(13))));
  apply_hint();
  for (QAction* action : themes_->actions())
    action->setChecked(action->data().toInt() == static_cast<int>(theme().choice()));
}

// The bars reach from border to border, though the docks keep a margin.
void MainWindow::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const Palette& palette = theme().palette();
  painter.fillRect(rect(), palette.ground);
  const int bottom = toolbar_->geometry().bottom() - kMargin;
  painter.fillRect(QRect(0, 0, width(), bottom + 1), palette.surface);
  painter.fillRect(QRect(0, bottom, width(), 1), palette.line);
}

// The shares of a preset hold until someone moves a separator.
bool MainWindow::event(QEvent* event) {
  if (event->type() == QEvent::MouseButtonPress) keeps_shares_ = false;
  return QMainWindow::event(event);
}

void MainWindow::resizeEvent(QResizeEvent* event) {
  QMainWindow::resizeEvent(event);
  apply_hint();
  if (arranged_) QTimer::singleShot(0, this, &MainWindow::apply_shares);
}

// What the bar has no room for goes, the least important first.
void MainWindow::apply_hint() {
  const double room = width() / theme().zoom();
  hint_action_->setVisible(!presenter_ && room > 1360);
  cycle_action_->setVisible(room > 1080);
  step_action_->setVisible(room > 920);
}

void MainWindow::showEvent(QShowEvent* event) {
  QMainWindow::showEvent(event);
  if (!arranged_)
    QTimer::singleShot(0, this, [this] {
      if (!arranged_) arrange(Preset::Lecture);
    });
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (remembers_) keep();
  QMainWindow::closeEvent(event);
}

void MainWindow::restore() {
  const QSettings settings;
  theme().choose(static_cast<ThemeChoice>(std::clamp(settings.value(QStringLiteral("theme"), 0).toInt(), 0, 3)));
  theme().set_zoom(settings.value(QStringLiteral("zoom"), 1.0).toDouble());
  restoreGeometry(settings.value(QStringLiteral("geometry")).toByteArray());
  if (const QString figure = settings.value(QStringLiteral("figure")).toString(); QFileInfo::exists(figure))
    plots_->open_file(figure);
  // A state that does not fit this version leaves the default layout.
  arranged_ = restoreState(settings.value(QStringLiteral("state")).toByteArray(), kStateVersion);
}

bool MainWindow::reopen() {
  const QSettings settings;
  const QString path = settings.value(QStringLiteral("open/path")).toString();
  const std::string name = path.toStdString();
  if (path.isEmpty() || (!QFileInfo::exists(path) && !find_guest(name) && !load_lesson(name).ok())) return false;
  open(path, technique_named(settings.value(QStringLiteral("open/technique")).toString().toStdString()),
       settings.value(QStringLiteral("open/machine")).toString());
  // The machine is asked for by now: what is posted after that meets it.
  for (const QString& address : settings.value(QStringLiteral("open/breakpoints")).toStringList()) {
    bool good = false;
    const quint64 value = address.toULongLong(&good, 0);
    if (good) controller_->post(ToggleBreakpoint{value});
  }
  return true;
}

void MainWindow::keep_opened(QSettings& settings) const {
  settings.remove(QStringLiteral("open"));
  if (!opened_) return;
  const QFileInfo file(opened_->path);
  settings.setValue(QStringLiteral("open/path"), file.exists() ? file.absoluteFilePath() : opened_->path);
  if (opened_->technique) settings.setValue(QStringLiteral("open/technique"), text_of(name_of(*opened_->technique)));
  settings.setValue(QStringLiteral("open/machine"), opened_->machine);
  QStringList breakpoints;
  for (const std::uint64_t address : controller_->machine().breakpoints) breakpoints.push_back(hex(address));
  settings.setValue(QStringLiteral("open/breakpoints"), breakpoints);
}

void MainWindow::keep() const {
  QSettings settings;
  keep_opened(settings);
  settings.setValue(QStringLiteral("figure"), plots_->file());
  settings.setValue(QStringLiteral("theme"), static_cast<int>(theme().choice()));
  settings.setValue(QStringLiteral("zoom"), presenter_ ? zoom_before_presenter_ : theme().zoom());
  settings.setValue(QStringLiteral("geometry"), saveGeometry());
  settings.setValue(QStringLiteral("state"), presenter_ ? before_presenter_ : saveState(kStateVersion));
}

// --- what is shown
// ----------------------------------------------------------------------------------------------------

void MainWindow::show_moment(const Moment& moment) {
  const MachineView& view = *moment.machine;
  const bool some = view.state != RunState::Empty;
  const bool runs = view.state == RunState::Running;
  const bool goes = view.state == RunState::Paused;
  isa_chip_->setText(some ? text_of(view.isa->name()) : tr("no machine"));
  const QString technique = text_of(view.words().title);
  if (technique_chip_->text() != technique) {
    technique_chip_->setText(technique);
    apply_theme();
  }
  step_label_->setText(tr("step %1").arg(grouped(view.position)));
  cycle_label_->setText(tr("cycle %1").arg(grouped(view.cycles)));
  for (const char* id : {"step", "step-over", "to-trap", "run", "step-into"})
    actions_.at(QLatin1String(id))->setEnabled(goes);
  actions_.at(QStringLiteral("step-into"))->setEnabled(goes || (view.state == RunState::Ended && !moment.whole));
  actions_.at(QStringLiteral("to-exit"))->setEnabled(goes && view.has_vmm());
  for (const char* id : {"back", "back-to-trap", "restart"})
    actions_.at(QLatin1String(id))->setEnabled(some && !runs && (view.position > 0 || !moment.whole));
  actions_.at(QStringLiteral("pause"))->setEnabled(runs);
  actions_.at(QStringLiteral("stop"))->setEnabled(some);
  actions_.at(QStringLiteral("breakpoint"))->setEnabled(some);
  show_techniques(view);
  if (auto* button = toolbar_->findChild<QToolButton*>(QStringLiteral("button-run"))) {
    button->setText(runs ? tr("pause ❚❚") : tr("run ▶▶"));
    button->setEnabled(goes || runs);
  }
  setWindowTitle(some ? title_of(view) : tr("Shearling"));
  show_owners();
  if (view.error && view.error != shown_problem_) show_problem(*view.error);
  shown_problem_ = view.error;
}

void MainWindow::show_techniques(const MachineView& view) {
  const auto offered = view.isa == nullptr ? std::span<const VmmTechnique>() : view.isa->techniques();
  for (QAction* shown : techniques_->actions()) {
    const auto technique = static_cast<VmmTechnique>(shown->data().toInt());
    const bool has = std::find(offered.begin(), offered.end(), technique) != offered.end();
    shown->setVisible(has || view.isa == nullptr);
    shown->setChecked(has && technique == view.technique);
    if (!has) continue;
    const TechniqueWords words = view.isa->technique_words(technique);
    shown->setText(text_of(words.title));
    shown->setStatusTip(text_of(words.tip));
    shown->setToolTip(text_of(words.tip));
  }
}

void MainWindow::show_problem(const Diagnostic& problem) {
  auto* box = new QMessageBox(QMessageBox::Warning, tr("Shearling"), QString::fromStdString(problem.message),
                              QMessageBox::Ok, this);
  box->setAttribute(Qt::WA_DeleteOnClose);
  box->setInformativeText(QString::fromStdString(problem.text()));
  box->open();
}

// --- what can be done
// -------------------------------------------------------------------------------------------------

void MainWindow::open(const QString& path, std::optional<VmmTechnique> technique, const QString& machine) {
  const QFileInfo file(path);
  if (path.endsWith(QLatin1String(".run"))) {
    Result<std::unique_ptr<RunFile>> run = RunFile::open(path.toStdString());
    if (!run) return show_problem(run.error());
    Load load{.setup = run.value()->info().setup, .image_path = run.value()->info().setup.guest_name};
    if (!QFileInfo::exists(QString::fromStdString(load.image_path))) load.image_path.clear();
    lesson_->close_lesson();
    load_twin(std::nullopt);
    guest_path_.clear();
    opened_ = {path, std::nullopt, {}};
    controller_->post(std::move(load));
    return;
  }
  if (path.endsWith(QLatin1String(".json"))) {
    show_view(QStringLiteral("plots"));
    plots_->open_file(path);
    return;
  }
  const ParsedLesson lesson = load_lesson(path.toStdString());
  const bool is_lesson = file.isDir() || path.endsWith(QLatin1String(".md")) || !lesson.lesson.blocks.empty();
  if (is_lesson && !technique) return open_lesson(path);
  open_guest(path, technique.value_or(VmmTechnique::Bare), machine);
}

void MainWindow::open_lesson(const QString& id_or_path) {
  ParsedLesson parsed = load_lesson(id_or_path.toStdString());
  if (!parsed.ok()) return show_problem(parsed.diagnostics.front());
  show_view(QStringLiteral("lesson"));
  opened_ = {id_or_path, std::nullopt, {}};
  lesson_->open(std::move(parsed.lesson));
}

void MainWindow::open_guest(const QString& path, VmmTechnique technique, const QString& machine) {
  Result<Load> load = load_request(path.toStdString(), technique, machine.toStdString());
  if (!load) return show_problem(load.error());
  lesson_->close_lesson();
  load_twin(std::nullopt);
  guest_path_ = path;
  machine_name_ = machine;
  opened_ = {path, technique, machine};
  controller_->post(std::move(load).value());
}

void MainWindow::choose_technique(VmmTechnique technique) {
  if (!guest_path_.isEmpty()) open_guest(guest_path_, technique, machine_name_);
}

// The built-in machines of the guest's ISA: what else there is, a guest is opened on by its name.
void MainWindow::fill_machines(QMenu* menu) {
  menu->clear();
  const MachineView& view = controller_->machine();
  for (const std::string& name : built_in_machines()) {
    const Result<MachineConfig> config = load_machine_config(name);
    if (!config || view.isa == nullptr || config.value().isa != view.isa->name()) continue;
    QAction* machine = menu->addAction(QString::fromStdString(name), this, [this, name = QString::fromStdString(name)] {
      if (!guest_path_.isEmpty()) open_guest(guest_path_, controller_->machine().technique, name);
    });
    machine->setToolTip(QString::fromStdString(config.value().description));
    machine->setCheckable(true);
    machine->setChecked(name == view.machine);
  }
  menu->setToolTipsVisible(true);
  if (menu->isEmpty()) menu->addAction(tr("There is no machine"))->setEnabled(false);
}

void MainWindow::toggle_breakpoint_here() { controller_->post(ToggleBreakpoint{controller_->machine().pc.value}); }

void MainWindow::ask_guest() {
  const QString path = QFileDialog::getOpenFileName(this, tr("Open guest"), QFileInfo(guest_path_).path(),
                                                    tr("Guest images (*.elf);;All files (*)"));
  if (path.isEmpty()) return;
  // The technique stays, where the new guest's ISA has it too.
  const VmmTechnique technique = controller_->machine().technique;
  open_guest(path, load_request(path.toStdString(), technique) ? technique : VmmTechnique::Bare);
}

void MainWindow::ask_lesson() {
  const QString path = QFileDialog::getOpenFileName(this, tr("Open lesson"), {}, tr("Lessons (*.md);;All files (*)"));
  if (!path.isEmpty()) open_lesson(path);
}

void MainWindow::ask_run_file() {
  const QString path =
      QFileDialog::getOpenFileName(this, tr("Open run file"), {}, tr("Run files (*.run);;All files (*)"));
  if (!path.isEmpty()) open(path);
}

void MainWindow::ask_figure() {
  const QString path = QFileDialog::getOpenFileName(this, tr("Open figure"), {}, tr("Figures (*.json);;All files (*)"));
  if (!path.isEmpty()) open(path);
}

void MainWindow::fill_lessons(QMenu* menu) {
  menu->clear();
  struct Entry {
    unsigned order;
    QString title, file;
  };
  std::vector<Entry> entries;
  for (const std::string& file : find_lessons()) {
    const ParsedLesson parsed = load_lesson(file);
    const QString title = QString::fromStdString(parsed.lesson.title.empty() ? file : parsed.lesson.title);
    entries.push_back({parsed.lesson.order, title, QString::fromStdString(file)});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.order, a.title) < std::tie(b.order, b.title); });
  for (const Entry& entry : entries)
    menu->addAction(entry.title, this, [this, file = entry.file] { open_lesson(file); });
  if (entries.empty()) menu->addAction(tr("There are no lessons"))->setEnabled(false);
}

void MainWindow::ask_export(CardDock* dock) {
  const QString name = dock == nullptr ? QStringLiteral("shearling") : dock->objectName().section(QLatin1Char('-'), 1);
  const QString file = QFileDialog::getSaveFileName(this, tr("Export"), name + QStringLiteral(".svg"),
                                                    tr("Pictures (*.svg *.pdf *.png)"));
  if (file.isEmpty()) return;
  QWidget& widget = dock == nullptr ? static_cast<QWidget&>(*this) : *dock;
  if (!export_view(widget, file))
    show_problem({.file = file.toStdString(),
                  .message = "the picture cannot be written",
                  .remedy = "choose another place, and .svg, .pdf or .png"});
}

bool MainWindow::export_view(QWidget& widget, const QString& file) {
  const auto* dock = qobject_cast<CardDock*>(&widget);
  std::optional<Page> page = dock == nullptr ? std::nullopt : dock->view()->page();
  if (!page) page = page_of(widget);
  return write_picture(*page, file, windowTitle());
}

void MainWindow::show_palette() {
  std::vector<QAction*> all;
  for (const auto& [id, action] : actions_) all.push_back(action);
  for (const auto& [id, dock] : docks_) all.push_back(dock->toggleViewAction());
  std::sort(all.begin(), all.end(),
            [](const QAction* a, const QAction* b) { return plain_text(*a).localeAwareCompare(plain_text(*b)) < 0; });
  (new CommandPalette(std::move(all), this))->open();
}

void MainWindow::show_keys() {
  std::vector<QAction*> all;
  for (const QAction* menu : menuBar()->actions()) {
    for (QAction* action : menu->menu()->actions()) {
      if (action->menu() == nullptr && !action->isSeparator()) all.push_back(action);
    }
  }
  (new KeySheet(all, this))->open();
}

void MainWindow::show_about() {
  auto* box = new QMessageBox(QMessageBox::NoIcon, tr("About Shearling"),
                              tr("Shearling takes the wool off the wolf: a virtual machine monitor that you can stop, "
                                 "look into, and run backwards."),
                              QMessageBox::Ok, this);
  box->setAttribute(Qt::WA_DeleteOnClose);
  box->setInformativeText(tr("Licensed under the GNU General Public License, version 3 or later."));
  box->open();
}

}  // namespace shearling::gui
