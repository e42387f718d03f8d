// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include <QAbstractItemModelTester>
#include <QDir>
#include <QImage>
#include <QSignalSpy>
#include <QTest>

#include "app/gui/cache_sets_view.h"
#include "app/gui/rows.h"
#include "app/gui/stage_view.h"
#include "app/gui/table_views.h"
#include "app/gui/timeline_view.h"
#include "app/gui/walk_grid_view.h"
#include "core/events/reflection.h"
#include "tests/app/gui/view_builder.h"

using namespace shearling;
using namespace shearling::gui;

Q_DECLARE_METATYPE(shearling::gui::Moment)

class ViewsTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase();
  void models_obey_the_rules_of_models();
  void a_register_that_differs_is_marked_by_a_dot_and_a_tint();
  void a_register_that_changed_is_marked();
  void registers_come_in_the_order_of_the_isa();
  void decoded_fields_stand_beside_a_value_and_in_its_tip();
  void each_core_has_its_registers();
  void levels_are_called_as_the_isa_calls_them();
  void a_guest_that_switches_the_machine_off_has_ended_well();
  void a_changed_control_field_is_marked();
  void events_still_to_come_are_muted();
  void detail_hides_caches_but_never_the_cursor();
  void breakpoints_show_in_the_gutter();
  void a_hit_has_a_sign_and_a_word();
  void a_tlb_entry_used_in_the_step_is_marked();
  void memory_marks_what_changed();
  void crossings_follow_the_cursor();
  void the_walk_under_the_cursor_is_shown();
  void the_lookup_shown_is_the_programs();
  void the_most_telling_event_is_the_exit();
  void text_can_be_read_in_every_theme();
  void every_view_draws_every_state_data();
  void every_view_draws_every_state();
  void clicking_the_timeline_seeks();

 private:
  static void save(QWidget& widget, const QString& name);
};

void ViewsTest::initTestCase() { theme().choose(ThemeChoice::Light); }

void ViewsTest::save(QWidget& widget, const QString& name) {
  QDir(QStringLiteral(SHEARLING_BINARY_DIR)).mkpath(QStringLiteral("screenshots"));
  const QImage image = widget.grab().toImage();
  std::set<QRgb> colours;
  for (int y = 0; y < image.height(); y += 3) {
    for (int x = 0; x < image.width(); x += 3) colours.insert(image.pixel(x, y));
  }
  QVERIFY2(colours.size() > 3, qPrintable(name));
  QVERIFY(image.save(QStringLiteral(SHEARLING_BINARY_DIR "/screenshots/%1.png").arg(name)));
}

void ViewsTest::models_obey_the_rules_of_models() {
  const ViewBuilder vtx = ViewBuilder().cpuid_exit().walk(4, 4).translations();
  const ViewBuilder bare = ViewBuilder(VmmTechnique::Bare).trap();
  const std::vector<std::pair<std::vector<Column>, std::vector<std::vector<Row>>>> all = {
      {register_columns(),
       {register_rows(*vtx.view(), RegisterChoice::All), register_rows(*bare.view(), RegisterChoice::Essential), {}}},
      {control_columns(), {control_rows(*vtx.view()), control_rows(*bare.view()), control_rows(*vtx.view())}},
      {event_columns(), {event_rows(vtx.moment()), event_rows(bare.moment()), event_rows(vtx.at(3))}},
      {code_columns(), {disassembly_rows(*vtx.view()), source_rows(*vtx.view()), {}}},
      {tlb_columns(), {tlb_rows(*vtx.view(), 0), tlb_rows(*vtx.view(), 1), tlb_rows(*vtx.view(), 2)}},
      {memory_columns(), {memory_rows({AddressSpace::Virtual, 0, std::vector<std::uint8_t>(40)}, nullptr), {}}}};
  for (const auto& [columns, states] : all) {
    TableModel model(columns);
    const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    for (const auto& rows : states) {
      model.set_rows(rows);
      QCOMPARE(model.rowCount(), static_cast<int>(rows.size()));
      QVERIFY(model.rows() == rows);
    }
  }
}

void ViewsTest::a_register_that_differs_is_marked_by_a_dot_and_a_tint() {
  const ViewBuilder builder;
  const auto rows = register_rows(*builder.view(), RegisterChoice::All);
  const auto row_of = [&](const QString& name) {
    return *std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.cells[1].text == name; });
  };
  QCOMPARE(row_of(QStringLiteral("CR4")).cells[0].text, QStringLiteral("●"));
  QVERIFY(row_of(QStringLiteral("CR4")).tint.has_value());
  QVERIFY(row_of(QStringLiteral("CR4")).cells[3].text.contains(QStringLiteral("0x00002620")));
  QVERIFY(row_of(QStringLiteral("CR0")).cells[0].text.isEmpty());
  QVERIFY(!row_of(QStringLiteral("CR0")).tint.has_value());
}

void ViewsTest::a_register_that_changed_is_marked() {
  const auto rows = register_rows(*ViewBuilder().view(), RegisterChoice::Essential);
  QCOMPARE(rows[0].cells[1].text, QStringLiteral("RAX"));
  QCOMPARE(rows[0].cells[0].text, QStringLiteral("▸"));
  QVERIFY(rows[0].cells[2].bold);
  QVERIFY(!rows[1].cells[2].bold);
}

void ViewsTest::registers_come_in_the_order_of_the_isa() {
  const auto names = [](const std::vector<Row>& rows) {
    QStringList list;
    for (const Row& row : rows) list.push_back(row.cells[1].text);
    return list;
  };
  const auto arm = ViewBuilder().arm(VmmTechnique::El2, true).view();
  QCOMPARE(names(register_rows(*arm, RegisterChoice::Essential)),
           QStringList({QStringLiteral("PC"), QStringLiteral("X0"), QStringLiteral("ESR_EL1"),
                        QStringLiteral("TTBR1_EL1"), QStringLiteral("HCR_EL2")}));
  // All of them, each group under its heading.
  QCOMPARE(names(register_rows(*arm, RegisterChoice::All)),
           QStringList({QStringLiteral("general"), QStringLiteral("X0"), QStringLiteral("PC"),
                        QStringLiteral("exceptions"), QStringLiteral("ESR_EL1"), QStringLiteral("virtualization"),
                        QStringLiteral("HCR_EL2"), QStringLiteral("translation"), QStringLiteral("TTBR1_EL1")}));
  const auto x86 = names(register_rows(*ViewBuilder().view(), RegisterChoice::All));
  QCOMPARE(x86.count(QStringLiteral("system")), 1);
  // One that is not among the first ones is shown as soon as guest and hardware disagree about it.
  arm->registers.push_back({.name = "MIDR_EL1", .group = "identification", .believed = 1, .real = 1});
  QVERIFY(!names(register_rows(*arm, RegisterChoice::Essential)).contains(QStringLiteral("MIDR_EL1")));
  arm->registers.back().real = 2;
  QVERIFY(names(register_rows(*arm, RegisterChoice::Essential)).endsWith(QStringLiteral("MIDR_EL1")));
}

void ViewsTest::decoded_fields_stand_beside_a_value_and_in_its_tip() {
  const auto arm = ViewBuilder().arm(VmmTechnique::El2, true).view();
  const auto rows = register_rows(*arm, RegisterChoice::Essential);
  QVERIFY(rows[2].cells[3].text.contains(QStringLiteral("EC=0x15 (SVC)")));
  QVERIFY(rows[2].tooltip.contains(QStringLiteral("\nIL=1")));
  // A control structure of registers says what their fields mean, too.
  QVERIFY(control_rows(*arm)[1].cells[3].text.contains(QStringLiteral("VM=1")));
}

void ViewsTest::each_core_has_its_registers() {
  const auto view = ViewBuilder().arm(VmmTechnique::Bare, false).two_cpus().view();
  const auto x0 = [&](std::optional<unsigned> cpu) {
    return register_rows(*view, RegisterChoice::Essential, cpu)[1].cells[2].text;
  };
  QVERIFY(x0(0) != x0(1));
  QCOMPARE(x0(0), x0(std::nullopt));
  QCOMPARE(x0(1), hex_padded(77, 64));
  QCOMPARE(x0(9), x0(std::nullopt));
}

void ViewsTest::levels_are_called_as_the_isa_calls_them() {
  const auto x86 = ViewBuilder().view();
  const auto arm = ViewBuilder().arm(VmmTechnique::Bare, true).view();
  QCOMPARE(x86->level_name(Actor::GuestUser), std::string_view("ring 3"));
  QCOMPARE(arm->level_name(Actor::GuestUser), std::string_view("EL0"));
  QCOMPARE(arm->level_name(Actor::Vmm), std::string_view("EL2"));
  QVERIFY(x86->actor_of(0) == Actor::GuestKernel);
  QVERIFY(arm->actor_of(0) == Actor::GuestUser);
  QVERIFY(x86->has_vmm() && !x86->guest_is_vmm());
  QVERIFY(arm->has_vmm() && arm->guest_is_vmm());
  QVERIFY(!ViewBuilder().arm(VmmTechnique::Bare, false).view()->has_vmm());
  QVERIFY(!ViewBuilder().arm(VmmTechnique::El2, true).view()->guest_is_vmm());
}

void ViewsTest::a_guest_that_switches_the_machine_off_has_ended_well() {
  QVERIFY(ended_well({StopReason::PowerOff, 0}));
  QVERIFY(ended_well({StopReason::ExitPort, 1}));
  QVERIFY(!ended_well({StopReason::ExitPort, 3}));
  QVERIFY(!ended_well({StopReason::Reset, 0}));
  QVERIFY(end_words({StopReason::PowerOff, 0}).contains(QStringLiteral("switched the machine off")));
  QVERIFY(end_words({StopReason::Reset, 0}).startsWith(QStringLiteral("failed")));
  Event event;
  event.payload = MachineStopped{.reason = StopReason::PowerOff};
  QVERIFY(family_of(event).ink == Ink::Good);
  event.payload = MachineStopped{.reason = StopReason::Reset};
  QVERIFY(family_of(event).ink == Ink::Bad);
}

void ViewsTest::a_changed_control_field_is_marked() {
  const auto rows = control_rows(*ViewBuilder().view());
  const auto reason = std::find_if(rows.begin(), rows.end(), [](const Row& row) { return row.key == 0x4402; });
  QVERIFY(reason != rows.end());
  QCOMPARE(reason->cells[0].text, QStringLiteral("▸"));
  QVERIFY(reason->tooltip.contains(QStringLiteral("0x1e")));
  QVERIFY(control_rows(*ViewBuilder(VmmTechnique::Bare).view()).empty());
}

void ViewsTest::events_still_to_come_are_muted() {
  const auto rows = event_rows(ViewBuilder().cpuid_exit().at(5));
  QCOMPARE(rows[5].cells[0].text, QStringLiteral("▶"));
  QVERIFY(rows[5].tint.has_value());
  QVERIFY(rows[4].cells[2].ink != Ink::Muted);
  QVERIFY(rows[6].cells[2].ink == Ink::Muted);
}

void ViewsTest::detail_hides_caches_but_never_the_cursor() {
  ViewBuilder builder;
  CacheLookup walk;
  walk.cache = "L1D";
  walk.walk = true;
  builder.walk(4, 4).event(walk);
  Moment moment = builder.moment();
  const std::size_t all = builder.view()->events.size();
  QCOMPARE(event_rows(moment).size(), all - 1);
  moment.detail = Detail::Story;
  QCOMPARE(event_rows(moment).size(), std::size_t{2});
  moment.detail = Detail::Everything;
  QCOMPARE(event_rows(moment).size(), all);
  moment = builder.at(all - 1);
  QCOMPARE(event_rows(moment).size(), all);
}

void ViewsTest::breakpoints_show_in_the_gutter() {
  const auto rows = disassembly_rows(*ViewBuilder().view());
  QVERIFY(rows[0].cells[0].text.contains(QStringLiteral("▶")));
  QVERIFY(rows[3].cells[0].text.contains(QStringLiteral("●")));
  QVERIFY(!rows[1].cells[0].text.contains(QStringLiteral("●")));
}

void ViewsTest::a_hit_has_a_sign_and_a_word() {
  Event event;
  event.payload = TlbLookup{.structure = "L2 TLB", .hit = true};
  QCOMPARE(family_of(event).sign, QStringLiteral("✓"));
  QVERIFY(narrate(event).find("hit") != std::string::npos);
  event.payload = TlbLookup{.structure = "L2 TLB", .hit = false};
  QCOMPARE(family_of(event).sign, QStringLiteral("✗"));
  QVERIFY(narrate(event).find("miss") != std::string::npos);
}

void ViewsTest::a_tlb_entry_used_in_the_step_is_marked() {
  const auto rows = tlb_rows(*ViewBuilder().cpuid_exit().translations().view(), 0);
  QCOMPARE(rows[1].cells[0].text, QStringLiteral("✓"));
  QVERIFY(rows[0].cells[0].text.isEmpty());
}

void ViewsTest::memory_marks_what_changed() {
  const MemoryWindow before{AddressSpace::Virtual, 0x1000, std::vector<std::uint8_t>(32, 0x41)};
  MemoryWindow after = before;
  after.bytes[17] = 0;
  const auto rows = memory_rows(after, &before);
  QVERIFY(!rows[0].tint.has_value());
  QVERIFY(rows[1].tint.has_value());
  QCOMPARE(rows[0].cells[2].text, QString(16, QLatin1Char('A')));
  after.address = 0x2000;
  QVERIFY(!memory_rows(after, &before)[1].tint.has_value());
}

void ViewsTest::crossings_follow_the_cursor() {
  const ViewBuilder builder = ViewBuilder().cpuid_exit();
  QVERIFY(!crossing_of(builder.at(2)).has_value());
  QVERIFY(crossing_of(builder.at(4))->to == Crossing::Place::Vmm);
  QVERIFY(crossing_of(builder.at(7))->from == Crossing::Place::Vmm);
  QVERIFY(crossing_of(builder.moment())->label.contains(QStringLiteral("10")));
  const auto trap = crossing_of(ViewBuilder(VmmTechnique::Bare).trap().moment());
  QVERIFY(trap->from == Crossing::Place::User && trap->to == Crossing::Place::Kernel);
  // An exception to the level of a VMM that is the guest's own.
  const auto up = crossing_of(ViewBuilder().arm(VmmTechnique::Bare, true).trap_to(1, 2).moment());
  QVERIFY(up->from == Crossing::Place::Kernel && up->to == Crossing::Place::Vmm);
  QCOMPARE(up->label, QStringLiteral("HVC"));
  const auto call = crossing_of(ViewBuilder().arm(VmmTechnique::Bare, false).trap_to(0, 1).moment());
  QVERIFY(call->from == Crossing::Place::User && call->to == Crossing::Place::Kernel);
}

void ViewsTest::the_walk_under_the_cursor_is_shown() {
  const ViewBuilder builder = ViewBuilder().walk(4, 4).walk(4, 0);
  const auto walks = walks_in(builder.view()->events);
  QCOMPARE(walks.size(), std::size_t{2});
  QCOMPARE(walks[0].references.size(), std::size_t{24});
  QCOMPARE(walks[1].references.size(), std::size_t{4});
  QCOMPARE(*walk_to_show(walks, builder.moment()), std::size_t{1});
  QCOMPARE(*walk_to_show(walks, builder.at(5)), std::size_t{0});
  QVERIFY(!walk_to_show({}, builder.moment()).has_value());
}

void ViewsTest::the_lookup_shown_is_the_programs() {
  ViewBuilder builder;
  CacheLookup walk;
  walk.cache = "L1D";
  walk.walk = true;
  builder.seesaw_load().event(walk);
  const auto shown = lookup_to_show(builder.moment());
  QVERIFY(shown.has_value());
  QCOMPARE(shown->lookup, std::size_t{1});
  QCOMPARE(*shown->tft, std::size_t{0});
  QCOMPARE(*shown->twin, std::size_t{2});
  QVERIFY(!lookup_to_show(ViewBuilder().moment()).has_value());
}

void ViewsTest::the_most_telling_event_is_the_exit() {
  const ViewBuilder builder = ViewBuilder().walk(4, 4).cpuid_exit();
  QVERIFY(std::holds_alternative<VmExit>(builder.view()->events[telling_event(builder.view()->events)].payload));
}

void ViewsTest::text_can_be_read_in_every_theme() {
  constexpr double kReadable = 4.5;
  for (const ThemeChoice choice : {ThemeChoice::Light, ThemeChoice::Dark, ThemeChoice::HighContrast}) {
    const Palette palette = load_palette(choice);
    const auto readable = [&](const QColor& ink, const QColor& ground, const char* what) {
      const double ratio = contrast(ink, ground);
      QVERIFY2(ratio >= kReadable,
               qPrintable(QStringLiteral("%1: %2 has %3").arg(palette.name, QLatin1String(what)).arg(ratio)));
    };
    readable(palette.text, palette.surface, "text");
    readable(palette.muted, palette.surface, "muted");
    readable(palette.muted, palette.ground, "muted on the ground");
    readable(palette.good, palette.surface, "good");
    readable(palette.bad, palette.surface, "bad");
    readable(palette.notice.text, palette.notice_fill, "notice");
    for (std::size_t role = 0; role < kRoleCount; ++role) {
      const RoleColour& colour = palette.roles[role];
      for (const double strength : {0.06, 0.14, 0.2}) {
        readable(colour.text, mix(colour.mark, palette.surface, strength),
                 qPrintable(word_of(static_cast<Role>(role))));
        readable(palette.text, mix(colour.mark, palette.surface, strength), "text on a tint");
      }
    }
  }
}

void ViewsTest::every_view_draws_every_state_data() {
  QTest::addColumn<QString>("state");
  QTest::addColumn<Moment>("moment");
  const auto add = [](const char* name, const Moment& moment) {
    QTest::newRow(name) << QString::fromLatin1(name) << moment;
  };
  add("exit", ViewBuilder().cpuid_exit().translations().timeline(3000).moment());
  add("action", ViewBuilder().cpuid_exit().translations().timeline(3000).at(5));
  add("walk", ViewBuilder().walk(4, 4).seesaw_load().timeline(3000).at(19));
  add("bare-walk", ViewBuilder(VmmTechnique::Bare).walk(4, 0).seesaw_load(false).moment());
  add("fault", ViewBuilder().walk(4, 4, true).trap().moment());
  add("trap", ViewBuilder(VmmTechnique::Bare).trap().moment());
  add("ended", ViewBuilder().ended().moment());
  add("running", ViewBuilder().cpuid_exit().running().moment());
  add("el2", ViewBuilder().arm(VmmTechnique::El2, true).cpuid_exit().walk(3, 3).timeline(3000).moment());
  add("own-vmm", ViewBuilder().arm(VmmTechnique::Bare, true).trap_to(1, 2).timeline(3000).moment());
  add("two-cores", ViewBuilder().arm(VmmTechnique::Bare, false).two_cpus().trap_to(0, 1).timeline(3000).moment());
  add("powered-off", ViewBuilder().arm(VmmTechnique::Bare, false).ended(StopReason::PowerOff).moment());
  add("empty", {.machine = std::make_shared<const MachineView>(), .cursor = 0, .detail = Detail::Main, .whole = true});
}

void ViewsTest::every_view_draws_every_state() {
  QFETCH(QString, state);
  QFETCH(Moment, moment);
  const auto draw = [&](View& view, const char* name, QSize size) {
    view.setStyleSheet(theme().style_sheet() +
                       QStringLiteral("QWidget { background: %1; }").arg(theme().palette().surface.name()));
    view.resize(size);
    view.show_moment(moment);
    QTest::qWait(1);
    save(view, QStringLiteral("%1-%2").arg(QLatin1String(name), state));
  };
  StageView stage;
  stage.set_movement(false);
  WalkGridView walk;
  CacheSetsView cache;
  TimelineView timeline;
  RegistersView registers;
  ControlView control;
  MicroscopeView microscope;
  CodeView code;
  TlbsView tlbs;
  draw(stage, "stage", {736, 360});
  draw(walk, "walk", {1000, 640});
  draw(cache, "cache", {1000, 600});
  draw(timeline, "timeline", {1400, 220});
  draw(registers, "registers", {430, 330});
  draw(control, "control", {430, 330});
  draw(microscope, "microscope", {736, 260});
  draw(code, "code", {430, 260});
  draw(tlbs, "tlbs", {700, 260});
}

void ViewsTest::clicking_the_timeline_seeks() {
  TimelineView view;
  view.resize(1000, 220);
  view.show_moment(ViewBuilder().timeline(3000).moment());
  QSignalSpy chosen(&view, &View::step_chosen);
  QTest::mouseClick(&view, Qt::LeftButton, {}, {200, 50});
  QTest::mouseClick(&view, Qt::LeftButton, {}, {900, 50});
  QCOMPARE(chosen.size(), 2);
  const auto first = chosen[0][0].value<StepIndex>();
  const auto second = chosen[1][0].value<StepIndex>();
  QVERIFY(first < second);
  QVERIFY(second <= 3000);
}

QTEST_MAIN(ViewsTest)
#include "views_test.moc"
