// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <QElapsedTimer>
#include <QTest>

#include "app/gui/machine_session.h"
#include "core/events/reflection.h"
#include "core/lesson/lesson.h"
#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;
using namespace shearling::gui;

namespace {

constexpr std::chrono::seconds kPatience{60};

Load load_of(const char* guest, VmmTechnique technique, const char* machine = "") {
  Result<Load> load = load_request(guest, technique, machine);
  if (!load) qFatal("%s", load.error().text().c_str());
  return std::move(load).value();
}

/// A fact about a position: what must be the same however it was reached.
struct Fact {
  StepIndex position = 0;
  std::uint64_t cycles = 0;
  std::vector<RegisterRow> registers;
  std::vector<std::string> events;
  std::vector<TlbView> tlbs;
  std::string instruction, console;
  bool operator==(const Fact&) const = default;
};

Fact fact_of(const MachineView& view) {
  Fact fact{.position = view.position,
            .cycles = view.cycles,
            .registers = view.registers,
            .events = {},
            .tlbs = view.tlbs,
            .instruction = view.instruction,
            .console = *view.console};
  for (const Event& event : view.events) fact.events.push_back(narrate(event));
  return fact;
}

}  // namespace

Q_DECLARE_METATYPE(shearling::VmmTechnique)

class SessionTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() {
    x86::register_x86();
    arm::register_arm();
  }
  void a_view_is_the_same_forwards_and_backwards_data();
  void a_view_is_the_same_forwards_and_backwards();
  void running_to_an_exit_shows_it_and_going_back_finds_the_one_before();
  void a_guest_that_is_a_vmm_has_exits_of_its_own();
  void two_cores_are_told_apart();
  void stepping_over_a_call_comes_back_behind_it();
  void a_technique_that_the_isa_lacks_is_told();
  void a_breakpoint_stops_the_run();
  void an_endless_guest_can_be_paused();
  void breakpoints_and_memory_do_not_stop_a_run();
  void stepping_over_a_trap_comes_back_behind_it();
  void the_guests_end_is_shown_and_can_be_undone();
  void seeking_beyond_the_end_stays_at_the_end();
  void a_bad_image_is_told_and_leaves_the_session_usable();
  void closing_while_running_ends_soon();
  void a_step_is_soon_on_the_screen();

 private:
  static std::shared_ptr<const MachineView> done(MachineSession& session, Command command) {
    auto view = session.wait_for(session.post(std::move(command)), kPatience);
    if (view == nullptr) qFatal("the session did not answer");
    return view;
  }
};

void SessionTest::a_view_is_the_same_forwards_and_backwards_data() {
  QTest::addColumn<VmmTechnique>("technique");
  QTest::newRow("bare") << VmmTechnique::Bare;
  QTest::newRow("VT-x") << VmmTechnique::VtX;
}

void SessionTest::a_view_is_the_same_forwards_and_backwards() {
  QFETCH(VmmTechnique, technique);
  MachineSession session;
  done(session, Load(load_of("privilege-levels", technique)));
  done(session, Seek{2000});
  std::vector<Fact> forwards;
  for (int step = 0; step < 40; ++step) forwards.push_back(fact_of(*done(session, StepForward{1})));
  for (std::size_t step = forwards.size() - 1; step-- > 0;)
    QVERIFY(fact_of(*done(session, StepBack{1})) == forwards[step]);
  for (std::size_t step = 1; step < forwards.size(); ++step)
    QVERIFY(fact_of(*done(session, StepForward{1})) == forwards[step]);
  QVERIFY(fact_of(*done(session, Seek{forwards[7].position})) == forwards[7]);
  QVERIFY(done(session, Restart{})->events.empty());
}

void SessionTest::running_to_an_exit_shows_it_and_going_back_finds_the_one_before() {
  MachineSession session;
  done(session, Load(load_of("cpuid-trap", VmmTechnique::VtX)));
  const auto has_exit = [](const MachineView& view) {
    return std::any_of(view.events.begin(), view.events.end(),
                       [](const Event& event) { return std::holds_alternative<VmExit>(event.payload); });
  };
  std::vector<Fact> exits;
  for (int exit = 0; exit < 5; ++exit) {
    const auto view = done(session, RunTo{Landmark::Exit});
    QVERIFY(has_exit(*view));
    QVERIFY(exits.empty() || view->position > exits.back().position);
    exits.push_back(fact_of(*view));
  }
  for (std::size_t exit = exits.size() - 1; exit-- > 0;)
    QVERIFY(fact_of(*done(session, BackTo{Landmark::Exit})) == exits[exit]);
  const auto none = done(session, BackTo{Landmark::Exit});
  QVERIFY(!none->message.empty());
  QCOMPARE(none->position, exits.front().position);
}

// Exits are those to the VMM that the guest is itself: there is no other.
void SessionTest::a_guest_that_is_a_vmm_has_exits_of_its_own() {
  MachineSession session;
  const auto begin = done(session, Load(load_of("aa64-hypervisor", VmmTechnique::Bare, "virt-el2")));
  QVERIFY(begin->guest_is_vmm());
  QVERIFY(begin->actor == Actor::Vmm);
  std::vector<Fact> exits;
  for (int exit = 0; exit < 3; ++exit) {
    const auto view = done(session, RunTo{Landmark::Exit});
    QVERIFY(view->actor == Actor::Vmm);
    QVERIFY(exits.empty() || view->position > exits.back().position);
    exits.push_back(fact_of(*view));
  }
  QVERIFY(fact_of(*done(session, BackTo{Landmark::Exit})) == exits[1]);
  const auto end = done(session, Run{});
  QVERIFY(end->stop.reason == StopReason::PowerOff);
  QVERIFY(end->timeline->track(Track::Vmm).size() > 3);
}

void SessionTest::two_cores_are_told_apart() {
  MachineSession session;
  done(session, Load(load_of("aa64-smp", VmmTechnique::Bare, "virt-smp")));
  const auto end = done(session, Run{});
  QCOMPARE(end->cpu_count(), 2U);
  QVERIFY(end->timeline->track(Track::GuestKernel, 0).size() > 0);
  QVERIFY(end->timeline->track(Track::GuestKernel, 1).size() > 0);
  // Where the turn passes on, the step is one core's and what comes next the other's.
  const StepIndex middle = end->position / 2;
  bool passed_on = false;
  for (auto view = done(session, Seek{middle}); view->position < middle + 200 && !passed_on;
       view = done(session, StepForward{1})) {
    QVERIFY(view->registers == view->cpus[view->cpu].registers);
    for (const Event& event : view->events) QCOMPARE(static_cast<unsigned>(event.vcpu), view->step_cpu);
    passed_on = view->step_cpu != view->cpu;
  }
  QVERIFY(passed_on);
}

void SessionTest::stepping_over_a_call_comes_back_behind_it() {
  MachineSession session;
  done(session, Load(load_of("aa64-kernel", VmmTechnique::El2)));
  for (int search = 0; search < 4000; ++search) {
    const auto view = done(session, StepForward{1});
    if (view->disassembly.front().text.rfind("bl ", 0) != 0) continue;
    QCOMPARE(done(session, StepOver{})->pc.value, view->pc.value + 4);
    return;
  }
  QFAIL("no call was found");
}

void SessionTest::a_technique_that_the_isa_lacks_is_told() {
  const Result<Load> load = load_request("aa64-kernel", VmmTechnique::VtX);
  QVERIFY(!load);
  QVERIFY(load.error().message.find("vt-x") != std::string::npos);
  QVERIFY(load.error().remedy.find("el2") != std::string::npos);
}

void SessionTest::a_breakpoint_stops_the_run() {
  MachineSession session;
  done(session, Load(load_of("privilege-levels", VmmTechnique::Bare)));
  const auto image = load_elf_image(find_guest("privilege-levels").value());
  const ElfSymbol* symbol = image.value().find_symbol("the_syscall");
  QVERIFY(symbol != nullptr);
  done(session, ToggleBreakpoint{symbol->value});
  const auto view = done(session, Run{});
  QCOMPARE(view->pc.value, symbol->value);
  QVERIFY(view->actor == Actor::GuestUser);
  QVERIFY(view->state == RunState::Paused);
  QVERIFY(view->source.line != 0);
  QVERIFY((*view->source.text)[view->source.line - 1].find("syscall") != std::string::npos);
}

void SessionTest::an_endless_guest_can_be_paused() {
  MachineSession session;
  done(session, Load(load_of("hostile-endless-loop", VmmTechnique::Bare)));
  session.post(Run{});
  QTest::qSleep(300);
  QVERIFY(session.view()->state == RunState::Running);
  QElapsedTimer timer;
  timer.start();
  const auto view = done(session, Pause{});
  QVERIFY2(timer.elapsed() < 1000, qPrintable(QString::number(timer.elapsed())));
  QVERIFY(view->state == RunState::Paused);
  QVERIFY(view->position > 1000);
  QVERIFY(!view->events.empty());
}

void SessionTest::breakpoints_and_memory_do_not_stop_a_run() {
  MachineSession session;
  done(session, Load(load_of("hostile-endless-loop", VmmTechnique::Bare)));
  session.post(Run{});
  session.post(ToggleBreakpoint{0xdead000});
  session.post(WatchMemory{{MemoryWindow{AddressSpace::Physical, 0x100000, {}}}});
  QElapsedTimer timer;
  timer.start();
  while (session.view()->memory.empty() && timer.elapsed() < 10'000) QTest::qSleep(5);
  const auto view = session.view();
  QVERIFY(view->state == RunState::Running);
  QCOMPARE(view->breakpoints.size(), std::size_t{1});
  QCOMPARE(view->memory.front().bytes.size(), std::size_t{1024});
  done(session, Pause{});
}

void SessionTest::stepping_over_a_trap_comes_back_behind_it() {
  MachineSession session;
  done(session, Load(load_of("privilege-levels", VmmTechnique::Bare)));
  const auto image = load_elf_image(find_guest("privilege-levels").value());
  done(session, RunToAddress{image.value().find_symbol("the_syscall")->value});
  const auto view = done(session, StepOver{});
  QCOMPARE(view->pc.value, image.value().find_symbol("after_syscall")->value);
  QVERIFY(view->actor == Actor::GuestUser);
}

void SessionTest::the_guests_end_is_shown_and_can_be_undone() {
  MachineSession session;
  done(session, Load(load_of("privilege-levels", VmmTechnique::VtX)));
  const auto end = done(session, Run{});
  QVERIFY(end->state == RunState::Ended);
  QVERIFY(end->stop.reason == StopReason::ExitPort);
  QVERIFY(end->console->find("#GP") != std::string::npos);
  const bool told = std::any_of(end->events.begin(), end->events.end(), [](const Event& event) {
    return std::holds_alternative<MachineStopped>(event.payload);
  });
  QVERIFY(told);
  QVERIFY(!done(session, StepForward{1})->message.empty());
  const auto before = done(session, StepBack{1});
  QVERIFY(before->state == RunState::Paused);
  QCOMPARE(before->position, end->position - 1);
  QVERIFY(fact_of(*done(session, StepForward{1})) == fact_of(*end));
  QVERIFY(end->timeline->steps() >= end->position);
}

void SessionTest::seeking_beyond_the_end_stays_at_the_end() {
  MachineSession session;
  done(session, Load(load_of("privilege-levels", VmmTechnique::Bare)));
  const auto end = done(session, Run{});
  const auto beyond = done(session, Seek{end->position + 1000});
  QVERIFY(beyond->state == RunState::Ended);
  QCOMPARE(beyond->position, end->position);
}

void SessionTest::a_bad_image_is_told_and_leaves_the_session_usable() {
  MachineSession session;
  Load load = load_of("privilege-levels", VmmTechnique::Bare);
  load.setup.guest_image.resize(100);
  QVERIFY(done(session, load)->error.has_value());
  const auto view = done(session, Load(load_of("privilege-levels", VmmTechnique::Bare)));
  QVERIFY(!view->error.has_value());
  QVERIFY(view->state == RunState::Paused);
}

void SessionTest::closing_while_running_ends_soon() {
  QElapsedTimer timer;
  {
    MachineSession session;
    done(session, Load(load_of("hostile-endless-loop", VmmTechnique::VtX)));
    session.post(Run{});
    QTest::qSleep(100);
    timer.start();
  }
  QVERIFY2(timer.elapsed() < 1000, qPrintable(QString::number(timer.elapsed())));
}

// Step and step back, from the command to the published view. The bound is wide: machines that run tests are busy.
void SessionTest::a_step_is_soon_on_the_screen() {
  MachineSession session;
  done(session, Load(load_of("privilege-levels", VmmTechnique::VtX)));
  done(session, Seek{3000});
  const auto mean = [&](const Command& command) {
    constexpr int kSteps = 50;
    QElapsedTimer timer;
    timer.start();
    for (int step = 0; step < kSteps; ++step) done(session, command);
    return static_cast<double>(timer.nsecsElapsed()) / 1e6 / kSteps;
  };
  const double forward = mean(StepForward{1});
  const double back = mean(StepBack{1});
  qInfo("a step takes %.2f ms, a step back %.2f ms", forward, back);
  QVERIFY(forward < 160);
  QVERIFY(back < 500);
}

QTEST_GUILESS_MAIN(SessionTest)
#include "session_test.moc"
