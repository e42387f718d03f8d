// SPDX-License-Identifier: GPL-3.0-or-later
//
// Machines with one core and with several, of an instruction set that exists only here: whose turn it is, who sleeps
// and what wakes it, and that none of it depends on how closely anybody looks or where the run was put back to.
#include <QTest>
#include <random>

#include "core/machine/time_travel.h"
#include "tests/core/machine/toy_isa.h"

using namespace shearling;
using namespace shearling::test;

namespace {

using enum ToyOperation;

const ToyProgram kCount{{Add, 1}, {JumpBack, 1}};
const ToyProgram kKickAndCount{{Kick, 1}, {Add, 1}, {JumpBack, 1}};

std::unique_ptr<Machine> machine_of(MachineSetup setup) {
  auto created = Machine::create(std::move(setup));
  if (!created) qFatal("%s", created.error().text().c_str());
  return std::move(created).value();
}

QByteArray refusal_of(MachineSetup setup) {
  const auto created = Machine::create(std::move(setup));
  return created ? QByteArray("it was not refused") : QByteArray::fromStdString(created.error().text());
}

/// "0000011111": whose instructions the steps are, as their events say.
std::string turns(Machine& machine, StepIndex steps) {
  EventLog log;
  machine.set_sinks(&log, nullptr);
  machine.run_until(machine.position() + steps, Observation::Events);
  machine.set_sinks(nullptr, nullptr);
  std::string result;
  for (const Event& event : log.events) {
    if (std::holds_alternative<InstructionRetired>(event.payload)) result += static_cast<char>('0' + event.vcpu);
  }
  return result;
}

/// Programs that count, sleep, kick each other, and now and then do what direct execution cannot.
std::vector<ToyProgram> random_programs(std::mt19937_64& random, unsigned cores) {
  constexpr std::array kOperations{Add,      Add,   Add,  Add,  PlainStep, PlainStep,
                                   SleepFor, Sleep, Kick, Kick, Models,    Print};
  std::vector<ToyProgram> programs(cores);
  for (ToyProgram& program : programs) {
    for (unsigned count = 0; count < 30; ++count) {
      const ToyOperation operation = kOperations[random() % kOperations.size()];
      const auto operand = static_cast<std::uint8_t>(operation == Kick ? random() % cores : random() % 40);
      program.push_back({operation, operand});
    }
    program.push_back({JumpBack, 30});
  }
  for (unsigned core = 1; core < cores; ++core)
    programs[0].insert(programs[0].begin(), {Kick, static_cast<std::uint8_t>(core)});
  programs[0].back().operand = 30;
  return programs;
}

/// The digest before each step up to `last` or the end.
std::vector<std::uint64_t> digests(Machine& machine, StepIndex last, Observation observation, StepIndex stride = 1) {
  std::vector<std::uint64_t> result{machine.digest()};
  while (machine.position() < last && !machine.stopped()) {
    machine.run_until(machine.position() + stride, observation);
    result.push_back(machine.digest());
  }
  return result;
}

}  // namespace

class SeveralCoresTest : public QObject {
  Q_OBJECT
 private slots:
  void initTestCase() { register_isa(toy_isa()); }

  void cores_take_turns_of_a_slice() {
    auto machine = machine_of(toy_setup({kKickAndCount, kCount, kCount}, 4));
    QCOMPARE(turns(*machine, 20), std::string("00001111000011110000"));  // Nobody has started the third.
    QCOMPARE(machine->current_cpu(), 1U);
    QCOMPARE(machine->processor().program_counter().value, machine->processor(1).program_counter().value);
    QCOMPARE(toy_isa().hardware->without_engine, 0U);
  }

  void each_core_keeps_its_own_registers_and_all_share_memory() {
    auto machine = machine_of(toy_setup({kKickAndCount, {{Add, 10}, {JumpBack, 1}}}));
    machine->run_until(1 + 4 * kToyTurn, Observation::Direct);
    // Core 0 began with a kick, so it added at steps 1, 3, 10, 12 and 14, and 20 follows; core 1 three times a turn,
    // then two.
    const auto& cores = toy_isa().hardware->cores;
    QCOMPARE(cores[0]->accumulator(), std::uint64_t{5});
    QCOMPARE(cores[1]->accumulator(), std::uint64_t{50});
    QCOMPARE(machine->memory().read({kToyCounter}, 8), std::uint64_t{1 + 2 + 3 + 4 + 5 + 10 + 20 + 30 + 40 + 50});
  }

  void a_core_that_sleeps_ends_its_turn() {
    auto machine = machine_of(toy_setup({{{Kick, 1}, {SleepFor, 8}, {Add, 1}, {JumpBack, 1}}, kCount}));
    // Its alarm rings at tick 9, in the second core's second turn, and it goes on when that is over.
    QCOMPARE(turns(*machine, 20), std::string("00111111111100000111"));
  }

  void a_kick_is_seen_when_the_turn_ends() {
    auto machine = machine_of(
        toy_setup({{{Kick, 1}, {Sleep, 0}, {Add, 1}, {JumpBack, 1}}, {{Add, 1}, {Kick, 0}, {Add, 1}, {JumpBack, 1}}}));
    QCOMPARE(turns(*machine, 16), std::string("0011111000001111"));
  }

  void time_jumps_to_the_first_alarm_when_all_sleep() {
    auto machine =
        machine_of(toy_setup({{{Kick, 1}, {SleepFor, 100}, {Add, 1}, {End, 0}}, {{SleepFor, 30}, {Sleep, 0}}}));
    // Core 0 sleeps from tick 1 to 101, core 1 from 2 to 32: at tick 3 nobody goes on.
    machine->run_until(3, Observation::Models);
    QCOMPARE(machine->time().idle, std::uint64_t{29});
    QCOMPARE(machine->current_cpu(), 1U);
    machine->run_until(4, Observation::Models);
    QCOMPARE(machine->time().guest_ticks(), std::uint64_t{101});
    QCOMPARE(machine->current_cpu(), 0U);
    QVERIFY(machine->run_until(100, Observation::Models) == StopReason::ExitPort);
  }

  void the_only_core_may_leave_its_sleep_to_the_machine() {
    auto machine = machine_of(toy_setup({{{SleepFor, 50}, {Add, 1}, {End, 0}}}));
    QVERIFY(machine->run_until(100, Observation::Direct) == StopReason::ExitPort);
    QCOMPARE(machine->time().idle, std::uint64_t{49});
  }

  void a_machine_whose_cores_all_sleep_for_ever_is_dead() {
    for (const Observation observation : {Observation::Direct, Observation::Models, Observation::Events}) {
      auto machine = machine_of(toy_setup({{{Kick, 1}, {Sleep, 0}}, {{Add, 1}, {Sleep, 0}}}));
      EventLog log;
      machine->set_sinks(nullptr, &log);
      QVERIFY(machine->run_until(100, observation) == StopReason::Deadlock);
      QCOMPARE(machine->position(), StepIndex{4});
      QCOMPARE(log.events.size(), std::size_t{1});
      QVERIFY(std::holds_alternative<MachineStopped>(log.events.front().payload));
    }
  }

  void one_core_has_no_slices() {
    auto machine = machine_of(toy_setup({kCount}));
    machine->run_until(100'000, Observation::Direct);
    QCOMPARE(toy_isa().hardware->direct_runs[0], 1U);
  }

  void every_index_agrees_at_each_level_and_stride() {
    const std::uint64_t seed = 20240611;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    StepIndex steps = 0;
    for (unsigned round = 0; round < 30; ++round) {
      const unsigned cores = 2 + round % 3;
      const auto programs = random_programs(random, cores);
      const StepIndex slice = 1 + random() % 9;
      auto by_steps = machine_of(toy_setup(programs, slice));
      const auto expected = digests(*by_steps, 400, Observation::Events);
      auto observed = machine_of(toy_setup(programs, slice));
      QCOMPARE(digests(*observed, 400, Observation::Models), expected);
      auto direct = machine_of(toy_setup(programs, slice));
      QCOMPARE(digests(*direct, 400, Observation::Direct), expected);
      auto in_strides = machine_of(toy_setup(programs, slice));
      const auto coarse = digests(*in_strides, 399, Observation::Direct, 7);
      for (std::size_t index = 0; index + 1 < coarse.size(); ++index) QCOMPARE(coarse[index], expected[7 * index]);
      QCOMPARE(toy_isa().hardware->without_engine, 0U);
      QCOMPARE(by_steps->models_digest(), observed->models_digest());
      QCOMPARE(by_steps->console(), direct->console());
      QVERIFY(by_steps->stop().reason == direct->stop().reason);
      steps += by_steps->position();
    }
    QVERIFY2(steps > 2000, "nearly all of the programs end in a deadlock at once");
  }

  void every_index_agrees_back_and_forth() {
    const std::uint64_t seed = 7;
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (unsigned round = 0; round < 5; ++round) {
      auto machine = machine_of(toy_setup(random_programs(random, 2 + round % 2), 1 + random() % 9));
      const auto expected = digests(*machine, 300, Observation::Models);
      machine->restore(machine_of(machine->setup())->snapshot());
      TimeTravel travel(*machine, 16, 32);
      for (unsigned jump = 0; jump < 100; ++jump) {
        const StepIndex target = random() % expected.size();
        if (random() % 2 == 0) {
          travel.seek(target);
        } else {
          travel.seek(random() % (target + 1));
          travel.run_until(target, Observation::Direct);
        }
        if (machine->position() == target) QCOMPARE(machine->digest(), expected[target]);
      }
    }
  }

  void a_snapshot_remembers_what_is_left_of_a_turn() {
    auto machine = machine_of(toy_setup({kKickAndCount, kCount}));
    machine->run_until(7, Observation::Models);
    const auto picture = machine->snapshot();
    QCOMPARE(turns(*machine, 9), std::string("111000001"));
    machine->restore(picture);
    QCOMPARE(machine->current_cpu(), 1U);
    QCOMPARE(turns(*machine, 9), std::string("111000001"));
  }

  void each_core_has_its_own_memory_path() {
    auto machine = machine_of(toy_setup({kKickAndCount, kCount, kCount}));
    machine->run_until(4 * kToyTurn, Observation::Models);
    QCOMPARE(machine->memory_path(0).caches().l1i().counters().reads, std::uint64_t{2 * kToyTurn});
    QCOMPARE(machine->memory_path(1).caches().l1i().counters().reads, std::uint64_t{2 * kToyTurn});
    QCOMPARE(machine->memory_path(2).caches().l1i().counters().reads, std::uint64_t{0});
    QVERIFY(machine->memory_path(0).counters().latency_cycles != 0);
    QCOMPARE(machine->counters().latency_cycles,
             machine->memory_path(0).counters().latency_cycles + machine->memory_path(1).counters().latency_cycles);
    QCOMPARE(machine->cycles(), 4 * kToyTurn + machine->counters().latency_cycles);
  }

  void what_does_not_fit_together_is_refused_with_its_place() {
    MachineSetup setup = toy_setup({kCount});
    setup.machine_yaml = "isa: toy\nboard: virt\ncpu:\n  count: 5\n";
    QCOMPARE(refusal_of(setup),
             QByteArray("toy.yaml:4:10: the machine has 5 cores, and toy machines have at most 4; write a smaller "
                        "'count'"));
    setup.machine_yaml = "isa: toys\n";
    QCOMPARE(refusal_of(setup), QByteArray("toy.yaml:1:6: the machine's ISA 'toys' is not built in; use one of toy"));
    setup.machine_yaml = "isa: toy\nboard: toy box\n";
    QCOMPARE(refusal_of(setup), QByteArray("toy.yaml:2:8: there is no board 'toy box'; use pc or virt"));
    setup = toy_setup({kCount});
    setup.technique = VmmTechnique::VtX;
    QCOMPARE(refusal_of(setup), QByteArray("toy has no technique 'vt-x'; use one of bare"));
    setup = toy_setup({kCount});
    setup.guest_image = toy_image({kCount}, 62);
    QCOMPARE(
        refusal_of(setup),
        QByteArray("toy.elf: this image is for x86-64, and the machine toy.yaml is toy; take a guest that was built "
                   "for toy"));
  }
};

QTEST_APPLESS_MAIN(SeveralCoresTest)
#include "several_cores_test.moc"
