// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/events/invariant_checker.h"

#include <QTest>
#include <functional>

using namespace shearling;

namespace {

/// Writes a stream: each call of step() begins the next step.
class Script {
 public:
  Script& step() {
    ++step_;
    ordinal_ = 0;
    return *this;
  }
  Script& add(EventPayload payload) {
    events_.push_back({.step = static_cast<StepIndex>(step_), .ordinal = ordinal_++, .payload = std::move(payload)});
    return *this;
  }
  [[nodiscard]] std::vector<std::string> judge() const {
    InvariantChecker checker;
    for (const Event& event : events_) checker.on_event(event);
    return checker.finish();
  }
  std::vector<Event>& events() { return events_; }

 private:
  std::vector<Event> events_;
  int step_ = -1;
  std::uint32_t ordinal_ = 0;
};

constexpr VirtualAddress kPage{0x5000};

/// One step of everything, as it should be.
Script good() {
  Script script;
  script.step()
      .add(TlbLookup{.structure = "L1 DTLB", .virtual_address = kPage})
      .add(TlbLookup{.structure = "L2 TLB", .virtual_address = kPage})
      .add(WalkBegin{.virtual_address = kPage})
      .add(TlbLookup{.structure = "nested TLB", .virtual_address = {0x9000}})
      .add(WalkReference{.number = 0})
      .add(WalkReference{.number = 1})
      .add(WalkReference{.number = 2})
      .add(WalkEnd{.virtual_address = kPage, .references = 2, .skipped = 1})
      .add(TlbFill{.structure = "L1 DTLB", .page = kPage, .set = 1, .way = 2})
      .add(CacheLookup{
          .cache = "L1D", .ways_probed = 8, .ways_probed_mask = 0xff, .set = 4, .physical_address = {0x7000}})
      .add(CacheFill{.cache = "L1D", .line = {0x7000}, .set = 4, .way = 1})
      .add(InstructionRetired{});
  script.step()
      .add(TlbLookup{.structure = "L1 DTLB", .virtual_address = {0x5008}, .hit = true, .set = 1, .way = 2})
      .add(CacheLookup{.cache = "L1D",
                       .hit = true,
                       .way = 1,
                       .ways_probed = 4,
                       .ways_probed_mask = 0x0f,
                       .set = 4,
                       .physical_address = {0x7008}})
      .add(TrapRaised{.name = "#PF"})
      .add(VmExit{})
      .add(VmmAction{})
      .add(VmEntry{})
      .add(TrapRaised{.name = "#GP"})
      .add(TrapDelivered{.name = "#GP"});
  script.step().add(MachineStopped{});
  return script;
}

bool mentions(const std::vector<std::string>& violations, const char* what) {
  return violations.size() == 1 && violations.front().find(what) != std::string::npos;
}

}  // namespace

class InvariantCheckerTest : public QObject {
  Q_OBJECT

 private slots:
  void a_good_stream_has_no_violation() {
    const auto violations = good().judge();
    QVERIFY2(violations.empty(), violations.empty() ? "" : violations.front().c_str());
  }

  void cores_have_structures_of_the_same_names_and_are_told_apart() {
    const auto fill = [](std::uint64_t page) { return TlbFill{.structure = "L1 DTLB", .page = {page}, .set = 1}; };
    const auto hit = [](std::uint64_t page) {
      return TlbLookup{.structure = "L1 DTLB", .virtual_address = {page}, .hit = true, .set = 1};
    };
    Script script;
    script.step().add(fill(0x5000)).step().add(fill(0x9000)).step().add(hit(0x5000)).step().add(hit(0x9000));
    script.events()[1].vcpu = script.events()[3].vcpu = 1;
    QVERIFY(script.judge().empty());
    script.events()[2].vcpu = 1;
    QCOMPARE(script.judge().size(), std::size_t{1});
  }

  void each_kind_of_damage_is_found_data() {
    QTest::addColumn<QString>("what");
    const auto row = [](const char* name, const char* what) { QTest::newRow(name) << QString(what); };
    row("gap in steps", "follows step");
    row("gap in ordinals", "was due");
    row("exit without entry", "no vm.entry");
    row("entry without exit", "without a vm.exit");
    row("action outside", "outside exit and entry");
    row("walk that does not end", "does not end");
    row("reference outside a walk", "outside walk.begin");
    row("wrong number of references", "counts 3 references");
    row("wrong number of skipped", "skipped");
    row("miss without a walk", "no walk begins");
    row("trap that goes nowhere", "neither delivered");
    row("hit outside the probed ways", "outside the probed ways");
    row("mask and count differ", "mask");
    row("retired twice", "second instruction.retired");
    row("hit in another page's slot", "was filled");
    row("hit in another line's slot", "was filled");
    row("event after the end", "follows machine.stopped");
    row("two cores in one step", "share a step");
  }
  void each_kind_of_damage_is_found() {
    QFETCH(QString, what);
    const QString damage = QTest::currentDataTag();
    Script script;
    script.step();
    if (damage == "gap in steps") script.add(InstructionRetired{}).step().step().add(InstructionRetired{});
    if (damage == "gap in ordinals")
      script.add(InstructionRetired{}).add(LessonMark{}), script.events().back().ordinal = 2;
    if (damage == "two cores in one step")
      script.add(LessonMark{}).add(InstructionRetired{}), script.events().back().vcpu = 1;
    if (damage == "exit without entry") script.add(VmExit{}).add(VmmAction{}).step().add(InstructionRetired{});
    if (damage == "entry without exit") script.add(VmEntry{}).add(VmEntry{});
    if (damage == "action outside") script.add(VmExit{}).add(VmEntry{}).add(VmmAction{});
    if (damage == "walk that does not end") script.add(WalkBegin{}).step().add(InstructionRetired{});
    if (damage == "reference outside a walk") script.add(WalkReference{.number = 1});
    if (damage == "wrong number of references")
      script.add(WalkBegin{}).add(WalkReference{.number = 1}).add(WalkEnd{.references = 3});
    if (damage == "wrong number of skipped") script.add(WalkBegin{}).add(WalkReference{.number = 0}).add(WalkEnd{});
    if (damage == "miss without a walk") script.add(TlbLookup{.virtual_address = kPage}).add(InstructionRetired{});
    if (damage == "trap that goes nowhere") script.add(TrapRaised{.name = "#UD"}).step().add(InstructionRetired{});
    if (damage == "hit outside the probed ways")
      script.add(CacheLookup{.cache = "L1D", .hit = true, .way = 5, .ways_probed = 4, .ways_probed_mask = 0x0f});
    if (damage == "mask and count differ")
      script.add(CacheLookup{.cache = "L1D", .ways_probed = 8, .ways_probed_mask = 0x0f});
    if (damage == "retired twice") script.add(InstructionRetired{}).add(InstructionRetired{});
    if (damage == "hit in another page's slot")
      script.add(TlbFill{.structure = "T", .page = {0x1000}})
          .add(TlbLookup{.structure = "T", .virtual_address = {0x2000}, .hit = true});
    if (damage == "hit in another line's slot")
      script.add(CacheFill{.cache = "C", .line = {0x40}})
          .add(CacheLookup{
              .cache = "C", .hit = true, .ways_probed = 1, .ways_probed_mask = 1, .physical_address = {0x80}});
    if (damage == "event after the end") script.add(MachineStopped{}).step().add(InstructionRetired{});
    const auto violations = script.judge();
    QVERIFY2(mentions(violations, qPrintable(what)),
             violations.empty() ? "nothing was found" : violations.front().c_str());
  }

  void setting_up_before_the_first_entry_is_no_violation() {
    Script script;
    script.step().add(VmmAction{.name = "write the VMCS"}).add(VmEntry{}).add(InstructionRetired{});
    QVERIFY(script.judge().empty());
  }

  void a_machine_that_stops_owes_nothing_more() {
    Script script;
    script.step().add(TrapRaised{.name = "#DF"}).add(VmExit{}).add(VmmAction{}).add(MachineStopped{});
    QVERIFY(script.judge().empty());
  }

  void after_a_jump_in_time_the_stream_may_begin_anywhere() {
    InvariantChecker checker;
    checker.on_event({.step = 7, .ordinal = 0, .payload = InstructionRetired{}});
    checker.forget();
    checker.on_event({.step = 3, .ordinal = 0, .payload = InstructionRetired{}});
    QVERIFY(checker.finish().empty());
  }
};

QTEST_APPLESS_MAIN(InvariantCheckerTest)
#include "invariant_checker_test.moc"
