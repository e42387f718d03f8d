// SPDX-License-Identifier: GPL-3.0-or-later
//
// EngineAccesses with the real engine and an MMU that is a map from pages to frames: what the translator is asked, what
// memory, table frames and the cache model are told, one instruction at a time and observed, and what two cores that
// take turns on one engine see of each other.
#include <QtTest>
#include <map>

#include "core/machine/engine_accesses.h"
#include "tests/core/engine/engine_fixture.h"

using namespace shearling;
using shearling::test::kRax;
using shearling::test::kRbx;
using shearling::test::kRcx;
using shearling::test::kRdi;
using shearling::test::kRsi;

namespace {

constexpr std::uint64_t kCode = 0x400000, kData = 0x500000, kOtherName = 0x600000, kTable = 0x700000;
constexpr std::uint64_t kCodeFrame = 0x10, kDataFrame = 0x20, kNextDataFrame = 0x31, kTableFrame = 0x40;

struct Asked {
  std::uint64_t address = 0;
  AccessKind kind = AccessKind::Read;
  bool operator==(const Asked&) const = default;
};

/// One page a frame, all of them accessible in every way, and one frame that is said to hold tables.
class MapTranslator final : public AccessTranslator {
 public:
  explicit MapTranslator(CpuEngine& engine) { decoder_.engine = &engine; }
  std::optional<PageTranslation> translate_access(VirtualAddress address, AccessKind kind) override {
    asked.push_back({address.value, kind});
    return probe_access(address, kind);
  }
  std::optional<PageTranslation> probe_access(VirtualAddress address, AccessKind) override {
    const auto found = frames.find(address.value / kFrameBytes);
    if (found == frames.end()) return std::nullopt;
    return PageTranslation{.physical = {found->second * kFrameBytes + address.value % kFrameBytes},
                           .writable_now = true};
  }
  [[nodiscard]] bool is_table_frame(PhysicalAddress address) const override {
    return frame_number(address) == kTableFrame;
  }
  void table_store(PhysicalAddress address, unsigned, std::uint64_t value) override {
    stored_into_tables.emplace_back(address.value, value);
  }
  [[nodiscard]] std::uint16_t address_space() const override { return 7; }
  EngineClient::BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) override {
    return decoder_.plan_block(pc, bytes);
  }
  std::uint32_t instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                    std::uint32_t offset) override {
    return decoder_.instructions_before(pc, bytes, offset);
  }
  bool observable(VirtualAddress pc, std::span<const std::uint8_t> bytes) override {
    const EngineClient::BlockPlan plan = decoder_.plan_block(pc, bytes);
    return plan.instructions == 1 && !plan.stopper;
  }

  std::map<std::uint64_t, std::uint64_t> frames{{kCode / kFrameBytes, kCodeFrame},
                                                {kData / kFrameBytes, kDataFrame},
                                                {kData / kFrameBytes + 1, kNextDataFrame},
                                                {kOtherName / kFrameBytes, kDataFrame},
                                                {kTable / kFrameBytes, kTableFrame}};
  std::vector<Asked> asked;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> stored_into_tables;

 private:
  test::TestClient decoder_;
};

/// A core as far as EngineAccesses needs one.
struct Core {
  Core(const MachineConfig& config, PhysicalMemory& memory, CpuEngine& engine, EventStream& events, DeviceBus& devices,
       MachineRequest& request, VirtualTime& time)
      : memory_path(config.translation, config.caches, events),
        translator(engine),
        accesses({config, memory, engine, events, memory_path, devices, request, time}, translator) {}

  MemoryPath memory_path;
  MapTranslator translator;
  EngineAccesses accesses;
};

/// A device that keeps the last value written and answers with it.
class Latch final : public Device {
 public:
  [[nodiscard]] std::string_view name() const override { return "latch"; }
  std::uint64_t read(std::uint64_t, unsigned) override { return value; }
  void write(std::uint64_t, unsigned, std::uint64_t written) override { value = written; }
  void save(Writer&) const override {}
  void load(Reader&) override {}
  std::uint64_t value = 0;
};

struct TwoCores {
  TwoCores() {
    events.set_sinks(&log, nullptr);
    devices.attach_memory(latch, {kDeviceFrame * kFrameBytes}, kFrameBytes);
    first.accesses.attach();
  }
  ~TwoCores() { first.accesses.detach(); }
  TwoCores(const TwoCores&) = delete;
  TwoCores& operator=(const TwoCores&) = delete;

  static constexpr std::uint64_t kDeviceFrame = 0xfee00;
  void code(std::initializer_list<std::uint8_t> bytes) {
    memory.write_bytes({kCodeFrame * kFrameBytes}, std::vector<std::uint8_t>(bytes));
    engine->invalidate_code({kCodeFrame * kFrameBytes});
    go_to(kCode);
  }
  void go_to(std::uint64_t pc) { engine->write(program_counter_register(), pc); }
  [[nodiscard]] std::uint64_t pc() const { return engine->read(program_counter_register()); }
  void set(unsigned index, std::uint64_t value) { engine->write(integer_register(index), value); }
  [[nodiscard]] std::uint64_t get(unsigned index) const { return engine->read(integer_register(index)); }
  [[nodiscard]] std::uint64_t quad(std::uint64_t frame, std::uint64_t offset = 0) const {
    return memory.read({frame * kFrameBytes + offset}, 8);
  }

  /// One instruction of `size` bytes, as an ISA steps it.
  EngineOutcome step(Core& core, unsigned size, bool resumed = false) {
    if (resumed) {
      core.accesses.resume_instruction();
    } else {
      core.accesses.begin_instruction();
      const VirtualAddress at{pc()};
      const auto translation = core.translator.translate_access(at, AccessKind::Fetch);
      core.accesses.set_fetched(0, at, *translation);
      core.memory_path.program_access(at, translation->physical, size, AccessKind::Fetch, translation->page_size);
    }
    const EngineOutcome outcome = core.accesses.step_one();
    if (outcome.stop == EngineStop::Completed) core.accesses.commit_accesses();
    return outcome;
  }
  std::vector<MemoryAccess> accesses_told() const {
    std::vector<MemoryAccess> told;
    for (const Event& event : log.events) {
      if (const auto* access = std::get_if<MemoryAccess>(&event.payload)) told.push_back(*access);
    }
    return told;
  }

  MachineConfig config;
  PhysicalMemory memory{{0}, 4 << 20};
  std::unique_ptr<CpuEngine> engine = make_unicorn_engine(memory, ExecutionMode::X86Long64);
  EventStream events;
  EventLog log;
  DeviceBus devices{events};
  Latch latch;
  MachineRequest request;
  VirtualTime time;
  Core first{config, memory, *engine, events, devices, request, time};
  Core second{config, memory, *engine, events, devices, request, time};
};

}  // namespace

class EngineAccessesTest : public QObject {
  Q_OBJECT
 private slots:
  void a_step_looks_up_each_page_once_for_its_first_access_and_once_for_each_further_one();
  void an_access_across_pages_is_told_in_two_parts();
  void observed_runs_ask_and_count_as_steps_do();
  void a_frame_with_two_names_is_known_by_the_one_of_the_access();
  void a_store_into_a_table_frame_is_stepped_and_told_before_it_happens();
  void direct_runs_refuse_what_has_no_translation();
  void translations_that_changed_are_asked_for_anew();
  void own_accesses_reach_memory_devices_and_parts_of_odd_sizes();
  void own_stores_of_one_core_reach_code_that_another_has_stepped();
  void own_stores_of_one_core_reach_code_that_another_has_run();
  void nothing_granted_to_one_core_serves_another();
};

void EngineAccessesTest::a_step_looks_up_each_page_once_for_its_first_access_and_once_for_each_further_one() {
  TwoCores machine;
  machine.code({0x48, 0x01, 0x03});  // add [rbx], rax
  machine.set(kRax, 5);
  machine.set(kRbx, kData + 8);
  QCOMPARE(machine.step(machine.first, 3).stop, EngineStop::Completed);
  QCOMPARE(machine.quad(kDataFrame, 8), 5U);
  const std::vector<Asked> read_and_written{
      {kCode, AccessKind::Fetch}, {kData, AccessKind::Read}, {kData, AccessKind::Write}};
  QCOMPARE(machine.first.translator.asked.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    QCOMPARE(machine.first.translator.asked[i].kind, read_and_written[i].kind);
    QCOMPARE(machine.first.translator.asked[i].address / kFrameBytes, read_and_written[i].address / kFrameBytes);
  }
  const std::vector<MemoryAccess> told = machine.accesses_told();
  QCOMPARE(told.size(), 2U);
  QCOMPARE(told[0].access, AccessKind::Read);
  QCOMPARE(told[1].access, AccessKind::Write);
  for (const MemoryAccess& access : told) {
    QCOMPARE(access.virtual_address.value, kData + 8);
    QCOMPARE(access.physical_address.value, kDataFrame * kFrameBytes + 8);
    QCOMPARE(unsigned{access.size}, 8U);
    QCOMPARE(access.address_space, std::uint16_t{7});
  }
  QCOMPARE(told[1].value, 5U);

  machine.code({0x48, 0xa7});  // cmpsq: two reads of one page
  machine.set(kRsi, kData + 0x10);
  machine.set(kRdi, kData + 0x20);
  machine.first.translator.asked.clear();
  QCOMPARE(machine.step(machine.first, 2).stop, EngineStop::Completed);
  QCOMPARE(machine.first.translator.asked.size(), 3U);
  QCOMPARE(machine.accesses_told().size(), 4U);
  const Asked further{machine.accesses_told().back().virtual_address.value, AccessKind::Read};
  QCOMPARE(machine.first.translator.asked[2], further);
}

void EngineAccessesTest::an_access_across_pages_is_told_in_two_parts() {
  TwoCores machine;
  machine.code({0x48, 0x89, 0x03});  // mov [rbx], rax
  machine.set(kRax, 0x1122334455667788);
  machine.set(kRbx, kData + 0xffd);
  QCOMPARE(machine.step(machine.first, 3).stop, EngineStop::Completed);
  QCOMPARE(machine.memory.read({kDataFrame * kFrameBytes + 0xffc}, 4), 0x66778800U);
  QCOMPARE(machine.quad(kNextDataFrame), 0x1122334455U);
  unsigned bytes = 0;
  std::vector<std::uint64_t> pages;
  for (const MemoryAccess& access : machine.accesses_told()) {
    bytes += access.size;
    pages.push_back(access.virtual_address.value / kFrameBytes);
  }
  QCOMPARE(bytes, 8U);
  QCOMPARE(pages, (std::vector<std::uint64_t>{kData / kFrameBytes, kData / kFrameBytes + 1}));
}

namespace {

/// A loop that loads, stores, adds to memory and jumps through memory, along a page and into the next one.
struct LoopGuest {
  static constexpr unsigned kInstructions = 6, kTurns = 20;
  explicit LoopGuest(TwoCores& machine) {
    machine.code({0x48, 0x01, 0x03,        // add [rbx], rax
                  0x48, 0x8b, 0x0b,        // mov rcx, [rbx]
                  0x48, 0x83, 0xc3, 0x3c,  // add rbx, 60
                  0x48, 0xff, 0xc0,        // inc rax
                  0x48, 0x89, 0x4b, 0x08,  // mov [rbx + 8], rcx
                  0xff, 0x26});            // jmp [rsi]
    machine.memory.write({kDataFrame * kFrameBytes + 0x80}, 8, kCode);
    machine.set(kRsi, kData + 0x80);
    machine.set(kRbx, kData + 0xc00);
    machine.set(kRax, 3);
    machine.events.set_sinks(nullptr, nullptr);  // Observed runs are for runs without micro-events.
  }
  static unsigned size_at(std::uint64_t pc) {
    static const std::map<std::uint64_t, unsigned> kSizes{{0, 3}, {3, 3}, {6, 4}, {10, 3}, {13, 4}, {17, 2}};
    return kSizes.at(pc - kCode);
  }
};

}  // namespace

// The steps are the truth: they ask the translator page by page.
void EngineAccessesTest::observed_runs_ask_and_count_as_steps_do() {
  constexpr unsigned kAll = LoopGuest::kTurns * LoopGuest::kInstructions;
  TwoCores stepped;
  const LoopGuest stepped_guest(stepped);
  for (unsigned i = 0; i < kAll; ++i)
    QCOMPARE(stepped.step(stepped.first, LoopGuest::size_at(stepped.pc())).stop, EngineStop::Completed);

  TwoCores observed;
  const LoopGuest observed_guest(observed);
  unsigned in_runs = 0;
  for (unsigned left = kAll; left != 0;) {
    const EngineOutcome outcome = observed.first.accesses.run(left, true);
    in_runs += static_cast<unsigned>(outcome.instructions);
    left -= static_cast<unsigned>(outcome.instructions);
    if (outcome.stop == EngineStop::Completed) continue;
    const bool resumed = outcome.stop == EngineStop::Unfinished;
    QCOMPARE(observed.step(observed.first, LoopGuest::size_at(observed.pc()), resumed).stop, EngineStop::Completed);
    --left;
  }
  QVERIFY2(in_runs > kAll / 2, "hardly anything ran observed");
  QCOMPARE(observed.pc(), stepped.pc());
  QCOMPARE(observed.get(kRcx), stepped.get(kRcx));
  const std::vector<Asked>&ours = observed.first.translator.asked, &truth = stepped.first.translator.asked;
  QCOMPARE(ours.size(), truth.size());
  for (std::size_t i = 0; i < truth.size(); ++i) {
    QCOMPARE(ours[i].kind, truth[i].kind);
    QCOMPARE(ours[i].address / kFrameBytes, truth[i].address / kFrameBytes);
  }
  QVERIFY(stepped.first.memory_path.counters().latency_cycles != 0);
  QCOMPARE(observed.first.memory_path.counters().latency_cycles, stepped.first.memory_path.counters().latency_cycles);
}

void EngineAccessesTest::a_frame_with_two_names_is_known_by_the_one_of_the_access() {
  TwoCores machine;
  machine.code({0x48, 0x8b, 0x03,    // mov rax, [rbx]
                0x48, 0x8b, 0x0e});  // mov rcx, [rsi]
  machine.set(kRbx, kData);
  machine.set(kRsi, kOtherName);
  machine.events.set_sinks(nullptr, nullptr);
  QCOMPARE(machine.first.accesses.run(1, true).stop, EngineStop::Completed);
  const EngineOutcome outcome = machine.first.accesses.run(1, true);
  QCOMPARE(outcome.stop, EngineStop::Unfinished);
  QCOMPARE(outcome.instructions, 0U);
  machine.events.set_sinks(&machine.log, nullptr);
  QCOMPARE(machine.step(machine.first, 3, true).stop, EngineStop::Completed);
  QCOMPARE(machine.accesses_told().size(), 1U);
  QCOMPARE(machine.accesses_told()[0].virtual_address.value, kOtherName);
}

void EngineAccessesTest::a_store_into_a_table_frame_is_stepped_and_told_before_it_happens() {
  TwoCores machine;
  machine.code({0x48, 0x89, 0x03});  // mov [rbx], rax
  machine.set(kRbx, kTable + 0x18);
  machine.set(kRax, 0xabc);
  QCOMPARE(machine.first.accesses.run(1, false).stop, EngineStop::FillRefused);
  QCOMPARE(machine.quad(kTableFrame, 0x18), 0U);
  QVERIFY(machine.first.translator.stored_into_tables.empty());
  QCOMPARE(machine.step(machine.first, 3).stop, EngineStop::Completed);
  const std::pair<std::uint64_t, std::uint64_t> told{kTableFrame * kFrameBytes + 0x18, 0xabc};
  QCOMPARE(machine.first.translator.stored_into_tables, std::vector{told});
  QCOMPARE(machine.quad(kTableFrame, 0x18), 0xabcU);
}

void EngineAccessesTest::direct_runs_refuse_what_has_no_translation() {
  TwoCores machine;
  machine.code({0x48, 0x8b, 0x03});  // mov rax, [rbx]
  machine.set(kRbx, 0x123456);
  const EngineOutcome outcome = machine.first.accesses.run(1, false);
  QCOMPARE(outcome.stop, EngineStop::FillRefused);
  QCOMPARE(outcome.refused_address.value, 0x123456U);
  QVERIFY(machine.first.translator.asked.empty());  // Nothing has happened yet that a model could see.
  QCOMPARE(machine.step(machine.first, 3).stop, EngineStop::FillRefused);
  QCOMPARE(machine.first.translator.asked.back().kind, AccessKind::Read);
  QCOMPARE(machine.first.translator.asked.back().address / kFrameBytes, 0x123U);
}

void EngineAccessesTest::translations_that_changed_are_asked_for_anew() {
  TwoCores machine;
  machine.code({0x48, 0x8b, 0x03,  // mov rax, [rbx]
                0xeb, 0xfb});      // jmp back
  machine.set(kRbx, kData);
  machine.memory.write({kDataFrame * kFrameBytes}, 8, 1);
  machine.memory.write({kNextDataFrame * kFrameBytes}, 8, 2);
  QCOMPARE(machine.first.accesses.run(2, false).stop, EngineStop::Completed);
  QCOMPARE(machine.get(kRax), 1U);
  machine.first.translator.frames[kData / kFrameBytes] = kNextDataFrame;
  machine.first.accesses.translations_changed();
  QCOMPARE(machine.first.accesses.run(2, false).stop, EngineStop::Completed);
  QCOMPARE(machine.get(kRax), 2U);
}

void EngineAccessesTest::own_accesses_reach_memory_devices_and_parts_of_odd_sizes() {
  TwoCores machine;
  const auto access = [&](std::uint64_t physical, unsigned size, AccessKind kind, std::uint64_t value) {
    return machine.first.accesses.access_physical({kData}, {.physical = {physical}}, size, kind, value);
  };
  constexpr std::uint64_t kPlace = kDataFrame * kFrameBytes;
  for (unsigned size = 1; size <= 8; ++size) {
    machine.memory.write({kPlace}, 8, ~std::uint64_t{0});
    const std::uint64_t mask = size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
    access(kPlace, size, AccessKind::Write, 0x1122334455667788 & mask);
    QCOMPARE(machine.quad(kDataFrame), (0x1122334455667788 & mask) | ~mask);
    QCOMPARE(access(kPlace, size, AccessKind::Read, 0), 0x1122334455667788 & mask);
  }
  QCOMPARE(machine.accesses_told().size(), 16U);
  access(TwoCores::kDeviceFrame * kFrameBytes, 4, AccessKind::Write, 0x99);
  QCOMPARE(machine.latch.value, 0x99U);
  QCOMPARE(access(TwoCores::kDeviceFrame * kFrameBytes, 4, AccessKind::Read, 0), 0x99U);
  access(kTableFrame * kFrameBytes, 8, AccessKind::Write, 1);
  QCOMPARE(machine.first.translator.stored_into_tables.size(), 1U);
}

// The engine does not see stores that an ISA does itself: here the immediate operand of an instruction that it has
// translated.
void EngineAccessesTest::own_stores_of_one_core_reach_code_that_another_has_stepped() {
  TwoCores machine;
  machine.code({0xb8, 1, 0, 0, 0});  // mov eax, 1
  QCOMPARE(machine.step(machine.first, 5).stop, EngineStop::Completed);
  QCOMPARE(machine.get(kRax), 1U);
  machine.second.accesses.attach();
  machine.second.accesses.access_physical({kCode + 1}, {.physical = {kCodeFrame * kFrameBytes + 1}}, 1,
                                          AccessKind::Write, 2);
  machine.first.accesses.attach();
  machine.go_to(kCode);
  QCOMPARE(machine.step(machine.first, 5).stop, EngineStop::Completed);
  QCOMPARE(machine.get(kRax), 2U);
}

void EngineAccessesTest::own_stores_of_one_core_reach_code_that_another_has_run() {
  TwoCores machine;
  machine.code({0xb8, 1, 0, 0, 0,  // mov eax, 1
                0xeb, 0xf9});      // jmp back
  QCOMPARE(machine.first.accesses.run(4, false).stop, EngineStop::Completed);
  QCOMPARE(machine.get(kRax), 1U);
  machine.second.accesses.attach();
  machine.second.accesses.access_physical({kCode + 1}, {.physical = {kCodeFrame * kFrameBytes + 1}}, 1,
                                          AccessKind::Write, 2);
  machine.first.accesses.attach();
  QCOMPARE(machine.first.accesses.run(4, false).stop, EngineStop::Completed);
  QCOMPARE(machine.get(kRax), 2U);
}

void EngineAccessesTest::nothing_granted_to_one_core_serves_another() {
  TwoCores machine;
  machine.code({0x48, 0x01, 0x03,  // add [rbx], rax
                0xeb, 0xfb});      // jmp back
  machine.set(kRbx, kData);
  machine.set(kRax, 1);
  machine.second.translator.frames[kData / kFrameBytes] = kNextDataFrame;
  for (unsigned turn = 1; turn <= 3; ++turn) {
    for (const bool observed : {false, true}) {
      machine.events.set_sinks(nullptr, nullptr);
      for (Core* core : {&machine.first, &machine.second}) {
        machine.go_to(kCode);
        core->accesses.attach();
        QCOMPARE(core->accesses.run(2, observed).stop, EngineStop::Completed);
      }
    }
    QCOMPARE(machine.quad(kDataFrame), 2 * std::uint64_t{turn});
    QCOMPARE(machine.quad(kNextDataFrame), 2 * std::uint64_t{turn});
  }
  machine.first.accesses.attach();
}

QTEST_APPLESS_MAIN(EngineAccessesTest)
#include "engine_accesses_test.moc"
