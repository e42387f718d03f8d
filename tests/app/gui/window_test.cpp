// SPDX-License-Identifier: GPL-3.0-or-later
//
// The real window, driven by keys, with a real machine behind it. Runs under Xvfb where there is no display.
#include <fstream>
#include <set>

#include <QAction>
#include <QApplication>
#include <QDir>
#include <QElapsedTimer>
#include <QImage>
#include <QMenu>
#include <QMenuBar>
#include <QMessageBox>
#include <QSettings>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <nlohmann/json.hpp>

#include "app/gui/actions_dialogs.h"
#include "app/gui/card_dock.h"
#include "app/gui/lesson_view.h"
#include "app/gui/main_window.h"
#include "app/gui/plots_view.h"
#include "core/lesson/lesson.h"
#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;
using namespace shearling::gui;

class WindowTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase();
  void init();
  void cleanup();
  void keys_step_forwards_and_backwards();
  void stepping_into_goes_from_event_to_event();
  void the_window_opens_the_first_lesson_and_steps_through_it();
  void an_endless_guest_is_paused_and_the_window_stays_responsive();
  void closing_while_running();
  void the_techniques_are_those_of_the_guests_isa();
  void a_technique_that_the_isa_lacks_is_told();
  void the_title_says_which_core_is_current();
  void a_lesson_in_lockstep_runs_both_machines();
  void every_action_has_a_menu_a_tip_and_no_rival_for_its_key();
  void every_preset_shows_its_views();
  void presenter_and_back_restores_the_layout();
  void views_export_in_three_formats();
  void the_layout_comes_back_and_a_foreign_one_does_not_harm();
  void what_was_open_comes_back_with_its_breakpoints();
  void what_is_no_longer_there_is_not_opened();
  void a_figure_opens_in_the_plots();
  void a_guest_that_is_none_is_told();
  void nothing_is_clipped_on_a_small_screen();

 private:
  MainWindow& open(const QString& path, VmmTechnique technique, const QString& machine = {});
  bool arrives_at(StepIndex position);
  bool rests();
  void save(const QString& name);
  static void keep_settings_in(const QTemporaryDir& folder);
  static std::vector<RegisterRow> registers(const MainWindow& window);

  std::unique_ptr<MainWindow> window_;
};

void WindowTest::initTestCase() {
  QApplication::setStyle(QStringLiteral("Fusion"));
  x86::register_x86();
  arm::register_arm();
  QDir(QStringLiteral(SHEARLING_BINARY_DIR)).mkpath(QStringLiteral("screenshots"));
}

void WindowTest::init() {
  theme().choose(ThemeChoice::Light);
  theme().set_zoom(1);
  window_ = std::make_unique<MainWindow>(false);
  window_->resize(1600, 1000);
  window_->show();
  QVERIFY(QTest::qWaitForWindowExposed(window_.get()));
  // Keys only reach an active window, and a bare X server has no window manager to make it one.
  window_->activateWindow();
  QVERIFY(QTest::qWaitForWindowActive(window_.get()));
  QCoreApplication::processEvents();
}

void WindowTest::cleanup() { window_.reset(); }

MainWindow& WindowTest::open(const QString& path, VmmTechnique technique, const QString& machine) {
  window_->open_guest(path, technique, machine);
  [this] { QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().state != RunState::Empty, 20'000); }();
  return *window_;
}

bool WindowTest::arrives_at(StepIndex position) {
  return QTest::qWaitFor([&] { return window_->controller().machine().position == position; }, 10'000);
}

bool WindowTest::rests() {
  return QTest::qWaitFor([&] { return !window_->controller().running(); }, 30'000);
}

void WindowTest::save(const QString& name) {
  const QImage image = window_->grab().toImage();
  std::set<QRgb> colours;
  for (int y = 0; y < image.height(); y += 5) {
    for (int x = 0; x < image.width(); x += 5) colours.insert(image.pixel(x, y));
  }
  QVERIFY2(colours.size() > 20, qPrintable(name));
  QVERIFY(image.save(QStringLiteral(SHEARLING_BINARY_DIR "/screenshots/window-%1.png").arg(name)));
}

std::vector<RegisterRow> WindowTest::registers(const MainWindow& window) {
  return const_cast<MainWindow&>(window).controller().machine().registers;
}

void WindowTest::keys_step_forwards_and_backwards() {
  MainWindow& window = open(QStringLiteral("privilege-levels"), VmmTechnique::VtX);
  std::vector<std::vector<RegisterRow>> forwards = {registers(window)};
  for (StepIndex step = 1; step <= 6; ++step) {
    QTest::keyClick(&window, Qt::Key_F7);
    QVERIFY(arrives_at(step));
    forwards.push_back(registers(window));
  }
  QVERIFY(forwards[1] != forwards[0]);
  save(QStringLiteral("stepped"));
  for (StepIndex step = 6; step-- > 0;) {
    QTest::keyClick(&window, Qt::Key_F4);
    QVERIFY(arrives_at(step));
    QVERIFY(registers(window) == forwards[step]);
  }
  QTest::keyClick(&window, Qt::Key_Space);
  QVERIFY(arrives_at(1));
  QTest::keyClick(&window, Qt::Key_F5, Qt::ControlModifier | Qt::ShiftModifier);
  QVERIFY(arrives_at(0));
}

void WindowTest::stepping_into_goes_from_event_to_event() {
  MainWindow& window = open(QStringLiteral("cpuid-trap"), VmmTechnique::VtX);
  QTest::keyClick(&window, Qt::Key_F11);
  QVERIFY(arrives_at(1));
  QTRY_VERIFY(!window.controller().moment().whole);
  const std::size_t first = window.controller().moment().cursor;
  QTest::keyClick(&window, Qt::Key_F11);
  QVERIFY(window.controller().moment().cursor > first);
  QCOMPARE(window.controller().machine().position, StepIndex{1});
  QTest::keyClick(&window, Qt::Key_F4);
  QCOMPARE(window.controller().moment().cursor, first);
  QTest::keyClick(&window, Qt::Key_F11, Qt::ShiftModifier);
  QVERIFY(window.controller().moment().whole);
  // From the last event of a step the next one begins.
  for (int press = 0; press < 400 && window.controller().machine().position == 1; ++press) {
    QTest::keyClick(&window, Qt::Key_F11);
    QTest::qWait(2);
  }
  QVERIFY(window.controller().machine().position > 1);
}

void WindowTest::the_window_opens_the_first_lesson_and_steps_through_it() {
  window_->open_lesson(QStringLiteral("privilege-levels"));
  QVERIFY(window_->lesson().has_lesson());
  QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().state == RunState::Paused, 20'000);
  QTest::keyClick(window_.get(), Qt::Key_PageDown);
  QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().position > 0, 30'000);
  QVERIFY(rests());
  const StepIndex after_first = window_->controller().machine().position;
  QTest::keyClick(window_.get(), Qt::Key_PageDown);
  QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().position > after_first, 30'000);
  QVERIFY(rests());
  save(QStringLiteral("lesson"));
  // The lecturer looks elsewhere and comes back.
  QTest::keyClick(window_.get(), Qt::Key_F4);
  QTest::keyClick(window_.get(), Qt::Key_PageUp);
  QVERIFY(arrives_at(after_first));
}

void WindowTest::an_endless_guest_is_paused_and_the_window_stays_responsive() {
  MainWindow& window = open(QStringLiteral("hostile-endless-loop"), VmmTechnique::VtX);
  QTest::keyClick(&window, Qt::Key_F5);
  QTRY_VERIFY_WITH_TIMEOUT(window.controller().running(), 5000);
  QElapsedTimer timer;
  timer.start();
  qint64 slowest = 0;
  while (timer.elapsed() < 1000) {
    QElapsedTimer one;
    one.start();
    QCoreApplication::processEvents();
    slowest = std::max(slowest, one.elapsed());
    QTest::qSleep(2);
  }
  QVERIFY2(slowest < 500, qPrintable(QString::number(slowest)));
  timer.restart();
  QTest::keyClick(&window, Qt::Key_F6);
  QTRY_VERIFY_WITH_TIMEOUT(!window.controller().running(), 1000);
  QVERIFY(!window.controller().machine().events.empty());
  const StepIndex position = window.controller().machine().position;
  QTest::keyClick(&window, Qt::Key_F4);
  QVERIFY(arrives_at(position - 1));
}

void WindowTest::closing_while_running() {
  MainWindow& window = open(QStringLiteral("hostile-endless-loop"), VmmTechnique::Bare);
  QTest::keyClick(&window, Qt::Key_F5);
  QTRY_VERIFY_WITH_TIMEOUT(window.controller().running(), 5000);
  QElapsedTimer timer;
  timer.start();
  window.close();
  window_.reset();
  QVERIFY2(timer.elapsed() < 1000, qPrintable(QString::number(timer.elapsed())));
}

void WindowTest::the_techniques_are_those_of_the_guests_isa() {
  const auto offered = [this] {
    QStringList ids;
    for (const char* id : {"bare", "vt-x", "el2"}) {
      const QAction* action = window_->action(QLatin1String(id));
      if (action->isVisible())
        ids.push_back(QLatin1String(id) + (action->isChecked() ? QStringLiteral("!") : QString()));
    }
    return ids;
  };
  open(QStringLiteral("aa64-kernel"), VmmTechnique::Bare);
  QCOMPARE(offered(), QStringList({QStringLiteral("bare!"), QStringLiteral("el2")}));
  QVERIFY(!window_->action(QStringLiteral("to-exit"))->isEnabled());
  window_->action(QStringLiteral("el2"))->trigger();
  QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().technique == VmmTechnique::El2, 20'000);
  QTRY_COMPARE(offered(), QStringList({QStringLiteral("bare"), QStringLiteral("el2!")}));
  QTest::keyClick(window_.get(), Qt::Key_F9, Qt::ControlModifier);
  QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().position > 0, 20'000);
  save(QStringLiteral("el2"));
  window_->open_guest(QStringLiteral("cpuid-trap"), VmmTechnique::VtX);
  QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().technique == VmmTechnique::VtX, 20'000);
  QTRY_COMPARE(offered(), QStringList({QStringLiteral("bare"), QStringLiteral("vt-x!")}));
}

void WindowTest::a_technique_that_the_isa_lacks_is_told() {
  window_->open_guest(QStringLiteral("aa64-kernel"), VmmTechnique::VtX);
  QTRY_VERIFY(window_->findChild<QMessageBox*>() != nullptr);
  QVERIFY(window_->findChild<QMessageBox*>()->text().contains(QStringLiteral("vt-x")));
  QVERIFY(window_->findChild<QMessageBox*>()->informativeText().contains(QStringLiteral("el2")));
}

void WindowTest::the_title_says_which_core_is_current() {
  open(QStringLiteral("aa64-smp"), VmmTechnique::Bare, QStringLiteral("virt-smp"));
  QTRY_VERIFY(window_->windowTitle().contains(QStringLiteral("CPU 0 of 2")));
  QTest::keyClick(window_.get(), Qt::Key_F5);
  QTRY_VERIFY_WITH_TIMEOUT(window_->controller().machine().state == RunState::Ended, 60'000);
  save(QStringLiteral("two-cores"));
}

void WindowTest::a_lesson_in_lockstep_runs_both_machines() {
  window_->open_lesson(QStringLiteral("two-architectures"));
  QTRY_VERIFY_WITH_TIMEOUT(window_->twin().machine().state == RunState::Paused, 20'000);
  QTRY_VERIFY(window_->dock(QStringLiteral("twin-stage"))->isVisible());
  QVERIFY(window_->controller().machine().isa != window_->twin().machine().isa);
  std::vector<std::pair<StepIndex, StepIndex>> places;
  const auto place = [this] {
    return std::pair(window_->controller().machine().position, window_->twin().machine().position);
  };
  places.push_back(place());
  for (int step = 0; step < 3; ++step) {
    const auto before = place();
    QTest::keyClick(window_.get(), Qt::Key_PageDown);
    QTRY_VERIFY_WITH_TIMEOUT(place().first != before.first && place().second != before.second, 30'000);
    QVERIFY(rests());
    places.push_back(place());
  }
  save(QStringLiteral("lockstep"));
  for (std::size_t step = places.size() - 1; step-- > 0;) {
    QTest::keyClick(window_.get(), Qt::Key_PageUp);
    QTRY_VERIFY_WITH_TIMEOUT(place() == places[step], 30'000);
  }
  // A guest of one's own has no twin.
  open(QStringLiteral("cpuid-trap"), VmmTechnique::VtX);
  QTRY_VERIFY(window_->twin().machine().state == RunState::Empty);
  QTRY_VERIFY(!window_->dock(QStringLiteral("twin-stage"))->isVisible());
}

void WindowTest::every_action_has_a_menu_a_tip_and_no_rival_for_its_key() {
  QSet<QAction*> in_menus;
  const std::function<void(const QWidget*)> collect = [&](const QWidget* menu) {
    for (QAction* action : menu->actions()) {
      in_menus.insert(action);
      if (action->menu() != nullptr) collect(action->menu());
    }
  };
  collect(window_->menuBar());
  QMap<QString, QString> keys;
  for (const QString& id : window_->action_ids()) {
    const QAction* action = window_->action(id);
    QVERIFY2(in_menus.contains(const_cast<QAction*>(action)), qPrintable(id));
    QVERIFY2(!action->statusTip().isEmpty(), qPrintable(id));
    for (const QKeySequence& key : action->shortcuts()) {
      QVERIFY2(!keys.contains(key.toString()), qPrintable(id + QStringLiteral(" and ") + keys.value(key.toString())));
      QVERIFY(action->toolTip().contains(key.toString(QKeySequence::NativeText)));
      keys.insert(key.toString(), id);
    }
  }
  for (const char* key :
       {"F1", "F4", "F5", "F6", "F8", "F9", "F10", "F11", "Shift+F4", "Shift+F5", "Shift+F11", "Ctrl+Shift+F5"}) {
    QVERIFY2(keys.contains(QLatin1String(key)), key);
  }
  window_->action(QStringLiteral("keys"))->trigger();
  window_->action(QStringLiteral("commands"))->trigger();
  QTRY_VERIFY(window_->findChild<CommandPalette*>() != nullptr);
  QVERIFY(window_->findChild<KeySheet*>() != nullptr);
  const QString folder = QStringLiteral(SHEARLING_BINARY_DIR "/screenshots/");
  QVERIFY(window_->findChild<KeySheet*>()->grab().save(folder + QStringLiteral("keys.png")));
  QVERIFY(window_->findChild<CommandPalette*>()->grab().save(folder + QStringLiteral("commands.png")));
}

void WindowTest::every_preset_shows_its_views() {
  open(QStringLiteral("seesaw"), VmmTechnique::VtX);
  const std::vector<std::pair<Preset, QStringList>> presets = {
      {Preset::Lecture,
       {QStringLiteral("lesson"), QStringLiteral("stage"), QStringLiteral("microscope"), QStringLiteral("registers"),
        QStringLiteral("source"), QStringLiteral("timeline")}},
      {Preset::Lab,
       {QStringLiteral("source"), QStringLiteral("registers"), QStringLiteral("memory"), QStringLiteral("console"),
        QStringLiteral("microscope")}},
      {Preset::Paging,
       {QStringLiteral("walk"), QStringLiteral("tlbs"), QStringLiteral("memory"), QStringLiteral("control")}},
      {Preset::Cache, {QStringLiteral("cache"), QStringLiteral("plots"), QStringLiteral("tlbs")}},
      {Preset::Twin,
       {QStringLiteral("stage"), QStringLiteral("control"), QStringLiteral("twin-stage"),
        QStringLiteral("twin-control"), QStringLiteral("twin-microscope")}}};
  for (const auto& [preset, views] : presets) {
    window_->arrange(preset);
    QCoreApplication::processEvents();
    for (const QString& view : views) QVERIFY2(window_->dock(view)->isVisible(), qPrintable(view));
    save(QStringLiteral("preset-%1").arg(static_cast<int>(preset)));
  }
  QVERIFY(!window_->dock(QStringLiteral("plots"))->isVisible());
}

void WindowTest::presenter_and_back_restores_the_layout() {
  open(QStringLiteral("cpuid-trap"), VmmTechnique::VtX);
  window_->arrange(Preset::Lecture);
  QCoreApplication::processEvents();
  QTest::keyClick(window_.get(), Qt::Key_F8);
  QCOMPARE(theme().zoom(), 1.6);
  QVERIFY(!window_->menuBar()->isVisible());
  QVERIFY(!window_->dock(QStringLiteral("registers"))->isVisible());
  QTest::keyClick(window_.get(), Qt::Key_F7);
  QVERIFY(arrives_at(1));
  save(QStringLiteral("presenter"));
  QTest::keyClick(window_.get(), Qt::Key_F8);
  QCOMPARE(theme().zoom(), 1.0);
  QVERIFY(window_->menuBar()->isVisible());
  QTRY_VERIFY(window_->dock(QStringLiteral("registers"))->isVisible());
}

void WindowTest::views_export_in_three_formats() {
  open(QStringLiteral("cpuid-trap"), VmmTechnique::VtX);
  const QTemporaryDir folder;
  for (const char* ending : {"svg", "pdf", "png"}) {
    const QString file = folder.filePath(QStringLiteral("stage.") + QLatin1String(ending));
    QVERIFY(window_->export_view(*window_->dock(QStringLiteral("stage")), file));
    QVERIFY2(QFileInfo(file).size() > 1000, ending);
  }
  QVERIFY(!window_->export_view(*window_, folder.filePath(QStringLiteral("stage.doc"))));
  QVERIFY(!window_->export_view(*window_, QStringLiteral("/nowhere/at/all.svg")));
}

void WindowTest::keep_settings_in(const QTemporaryDir& folder) {
  QSettings::setDefaultFormat(QSettings::IniFormat);
  QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, folder.path());
  QApplication::setOrganizationName(QStringLiteral("Shearling"));
  QApplication::setApplicationName(QStringLiteral("window-test"));
}

void WindowTest::the_layout_comes_back_and_a_foreign_one_does_not_harm() {
  const QTemporaryDir folder;
  keep_settings_in(folder);
  {
    MainWindow first;
    first.show();
    QCoreApplication::processEvents();
    first.arrange(Preset::Paging);
    theme().choose(ThemeChoice::Dark);
    first.close();
  }
  theme().choose(ThemeChoice::Light);
  {
    MainWindow second;
    second.show();
    QCoreApplication::processEvents();
    QVERIFY(second.dock(QStringLiteral("walk"))->isVisible());
    QVERIFY(!second.dock(QStringLiteral("stage"))->isVisible());
    QVERIFY(theme().choice() == ThemeChoice::Dark);
  }
  QSettings().setValue(QStringLiteral("state"), QByteArray("from another world"));
  MainWindow third;
  third.show();
  QTRY_VERIFY(third.dock(QStringLiteral("stage"))->isVisible());
}

void WindowTest::what_was_open_comes_back_with_its_breakpoints() {
  const QTemporaryDir folder;
  keep_settings_in(folder);
  const std::set<std::uint64_t> breakpoints = {0x100040, 0xffffffff80001000};
  {
    MainWindow first;
    QVERIFY(!first.reopen());
    first.show();
    first.open_guest(QStringLiteral("cpuid-trap"), VmmTechnique::VtX);
    for (const std::uint64_t address : breakpoints) first.controller().post(ToggleBreakpoint{address});
    QTRY_VERIFY_WITH_TIMEOUT(first.controller().machine().breakpoints == breakpoints, 20'000);
    first.close();
  }
  {
    MainWindow second;
    second.show();
    QVERIFY(second.reopen());
    QTRY_VERIFY_WITH_TIMEOUT(second.controller().machine().breakpoints == breakpoints, 20'000);
    QVERIFY(second.controller().machine().technique == VmmTechnique::VtX);
    QCOMPARE(second.controller().machine().state, RunState::Paused);
    QVERIFY(QString::fromStdString(second.controller().machine().guest).startsWith(QStringLiteral("cpuid-trap")));
    second.open_lesson(QStringLiteral("privilege-levels"));
    QTRY_VERIFY_WITH_TIMEOUT(second.controller().machine().breakpoints.empty(), 20'000);
    second.close();
  }
  MainWindow third;
  third.show();
  QVERIFY(third.reopen());
  QVERIFY(third.lesson().has_lesson());
  QTRY_VERIFY_WITH_TIMEOUT(third.controller().machine().state == RunState::Paused, 20'000);
  QVERIFY(third.controller().machine().breakpoints.empty());
}

void WindowTest::what_is_no_longer_there_is_not_opened() {
  const QTemporaryDir folder;
  keep_settings_in(folder);
  {
    QSettings settings;
    settings.setValue(QStringLiteral("open/path"), folder.filePath(QStringLiteral("gone.elf")));
    settings.setValue(QStringLiteral("figure"), folder.filePath(QStringLiteral("gone.json")));
  }
  MainWindow window;
  window.show();
  QVERIFY(!window.reopen());
  QVERIFY(window.findChild<QMessageBox*>() == nullptr);
}

void WindowTest::a_figure_opens_in_the_plots() {
  const QTemporaryDir folder;
  const QString path = folder.filePath(QStringLiteral("figure.json"));
  const FigureCell one{.paper = FigureValue{4, 3, 5}, .model = FigureValue{6, 6, 6}};
  const Figure figure{
      .number = 8,
      .title = "A figure",
      .panels = {{.title = "", .axis = "gain, %", .categories = {"here"}, .series = {{"32 KB", {one}}}}},
      .trends = {},
      .notes = {}};
  std::ofstream(path.toStdString()) << to_json(figure).dump(2);
  window_->open(path);
  QVERIFY(window_->dock(QStringLiteral("plots"))->isVisible());
  QVERIFY(window_->plots().figure() == figure);
  std::ofstream(path.toStdString()) << "{ not JSON";
  window_->open(path);
  QTRY_COMPARE(window_->findChildren<QMessageBox*>().size(), 1);
  QVERIFY(window_->findChild<QMessageBox*>()->informativeText().contains(QStringLiteral("figure.json:1:")));
  window_->findChild<QMessageBox*>()->close();
  QTRY_VERIFY(window_->findChild<QMessageBox*>() == nullptr);
  window_->arrange(Preset::Lecture);
  QVERIFY(!window_->dock(QStringLiteral("plots"))->isVisible());
  window_->action(QStringLiteral("plots"))->trigger();
  QTRY_VERIFY(window_->dock(QStringLiteral("plots"))->isVisible());
}

void WindowTest::a_guest_that_is_none_is_told() {
  window_->open_guest(QStringLiteral("no-such-guest"), VmmTechnique::Bare);
  QTRY_VERIFY(window_->findChild<QMessageBox*>() != nullptr);
  QVERIFY(window_->findChild<QMessageBox*>()->text().contains(QStringLiteral("no-such-guest")));
}

void WindowTest::nothing_is_clipped_on_a_small_screen() {
  open(QStringLiteral("cpuid-trap"), VmmTechnique::VtX);
  window_->resize(1280, 720);
  for (const Preset preset : {Preset::Lecture, Preset::Lab, Preset::Paging, Preset::Cache, Preset::Twin}) {
    window_->arrange(preset);
    QTest::qWait(50);
    QVERIFY2(window_->width() <= 1280 && window_->height() <= 720,
             qPrintable(QStringLiteral("%1 x %2").arg(window_->width()).arg(window_->height())));
    for (const char* id : {"lesson", "stage", "microscope", "registers", "source", "timeline", "walk", "tlbs", "cache",
                           "memory", "control", "console", "plots", "twin-stage", "twin-control", "twin-microscope"}) {
      const CardDock* dock = window_->dock(QLatin1String(id));
      if (!dock->isVisible() || dock->visibleRegion().isEmpty()) continue;  // Not there, or a tab behind another.
      QVERIFY2(window_->rect().contains(dock->geometry()), id);
      QVERIFY2(dock->height() >= 90 && dock->width() >= 180, id);
    }
    save(QStringLiteral("small-%1").arg(static_cast<int>(preset)));
  }
}

QTEST_MAIN(WindowTest)
#include "window_test.moc"
