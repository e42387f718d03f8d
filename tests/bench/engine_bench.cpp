// SPDX-License-Identifier: GPL-3.0-or-later
//
// Direct execution through the engine against Unicorn alone (virtual TLB, no hooks but the fill) on the same loop, for
// short and for long blocks, side by side in one run, for x86 and AArch64; and what single steps and register files
// cost. The numbers to look at are the ratios of "instructions" between engine/N and raw/N.
#include <benchmark/benchmark.h>
#include <unicorn/unicorn.h>

#include <array>
#include <cstring>
#include <vector>

#include "core/engine/engine.h"

using namespace shearling;

namespace {

constexpr std::uint64_t kCode = 0x400000;
constexpr std::uint64_t kData = 0x500000;
constexpr std::uint64_t kRam = 16 << 20;
constexpr unsigned kBlocks = 8;
constexpr std::uint64_t kRounds = 100000;

/// What differs between the two guests: each is a loop of `kBlocks` blocks with as many instructions as asked for, a
/// third of them loads and stores, the last a jump. A register counts the rounds down; the last instruction, which is a
/// stopper, ends it.
struct X86Guest {
  static constexpr ExecutionMode kMode = ExecutionMode::X86Long64;
  static constexpr uc_arch kArch = UC_ARCH_X86;
  static constexpr uc_mode kWidth = UC_MODE_64;
  static constexpr int kPointerId = UC_X86_REG_RBX, kCounterId = UC_X86_REG_RCX;
  static constexpr unsigned kPointer = 3, kCounter = 1;
  static constexpr std::uint64_t kRamBase = 0;
  static constexpr std::size_t kStopperBytes = 1;
  static std::vector<std::uint8_t> code(unsigned instructions);
  /// Plans by the shape of the loop alone.
  static bool begins_with_stopper(std::span<const std::uint8_t> bytes) { return bytes[0] == 0xf4; }
  static bool ends_with_jump(std::span<const std::uint8_t> bytes) { return bytes[bytes.size() - 2] == 0xeb; }
};

struct Arm64Guest {
  static constexpr ExecutionMode kMode = ExecutionMode::AArch64;
  static constexpr uc_arch kArch = UC_ARCH_ARM64;
  static constexpr uc_mode kWidth = UC_MODE_ARM;
  static constexpr int kPointerId = UC_ARM64_REG_X1, kCounterId = UC_ARM64_REG_X2;
  static constexpr unsigned kPointer = 1, kCounter = 2;
  static constexpr std::uint64_t kRamBase = 0x40000000;
  static constexpr std::size_t kStopperBytes = 4;
  static std::vector<std::uint8_t> code(unsigned instructions);
  static bool begins_with_stopper(std::span<const std::uint8_t> bytes) { return bytes[0] == 0x01 && bytes[3] == 0xd4; }
  static bool ends_with_jump(std::span<const std::uint8_t> bytes) { return bytes[bytes.size() - 1] == 0x14; }
};

std::vector<std::uint8_t> X86Guest::code(unsigned instructions) {
  std::vector<std::uint8_t> code;
  const auto add = [&](std::initializer_list<int> bytes) {
    for (const int byte : bytes) code.push_back(static_cast<std::uint8_t>(byte));
  };
  for (unsigned block = 0; block < kBlocks; ++block) {
    for (unsigned index = 0; index + 1 < instructions; ++index) {
      switch (index % 6) {
        case 0:
          add({0x48, 0x8b, 0x03});
          break;  // mov rax, [rbx]
        case 1:
          add({0x48, 0x01, 0xd0});
          break;  // add rax, rdx
        case 2:
          add({0x48, 0xff, 0xc2});
          break;  // inc rdx
        case 3:
          add({0x48, 0x89, 0x43, 0x08});
          break;  // mov [rbx + 8], rax
        case 4:
          add({0x48, 0x31, 0xc6});
          break;  // xor rsi, rax
        default:
          add({0x48, 0x8d, 0x7e, 0x05});
          break;  // lea rdi, [rsi + 5]
      }
    }
    if (block + 1 < kBlocks) add({0xeb, 0x00});  // jmp to the next block
  }
  add({0xff, 0xc9});  // dec ecx; jnz to the beginning
  const int back = -static_cast<int>(code.size()) - 6;
  add({0x0f, 0x85, back & 0xff, (back >> 8) & 0xff, (back >> 16) & 0xff, (back >> 24) & 0xff});
  add({0xf4});
  return code;
}

std::vector<std::uint8_t> Arm64Guest::code(unsigned instructions) {
  // ldr x0, [x1]; add x0, x0, x3; add x3, x3, #1; str x0, [x1, #8]; eor x4, x4, x0; add x5, x4, #5
  constexpr std::array<std::uint32_t, 6> kBody{0xf9400020, 0x8b030000, 0x91000463, 0xf9000420, 0xca000084, 0x91001485};
  std::vector<std::uint32_t> words;
  for (unsigned block = 0; block < kBlocks; ++block) {
    for (unsigned index = 0; index + 1 < instructions; ++index) words.push_back(kBody[index % kBody.size()]);
    if (block + 1 < kBlocks) words.push_back(0x14000001);  // b to the next block
  }
  words.push_back(0xf1000442);  // subs x2, x2, #1; b.ne to the beginning; svc #0
  const auto back = static_cast<std::uint32_t>(-static_cast<std::int32_t>(words.size()));
  words.push_back(0x54000001 | (back & 0x7ffff) << 5);
  words.push_back(0xd4000001);
  std::vector<std::uint8_t> code(words.size() * 4);
  std::memcpy(code.data(), words.data(), code.size());
  return code;
}

std::uint64_t loop_instructions(unsigned instructions) { return kRounds * (std::uint64_t{kBlocks} * instructions + 1); }

/// Where code and data lie, physically as virtually.
template <typename Guest>
constexpr std::uint64_t code_of() {
  return Guest::kRamBase + kCode;
}
template <typename Guest>
constexpr std::uint64_t data_of() {
  return Guest::kRamBase + kData;
}

/// Identity translation; plans loops of the shape above by their sizes alone.
template <typename Guest>
class IdentityClient final : public EngineClient {
 public:
  explicit IdentityClient(unsigned instructions) : instructions_(instructions) {}
  FillAnswer fill(VirtualAddress address, AccessKind) override { return {true, {address.value}, true, true, true}; }
  void memory_access(PhysicalAddress, AccessKind, unsigned, std::uint64_t) override {}
  std::uint64_t device_read(PhysicalAddress, unsigned) override { return 0; }
  void device_write(PhysicalAddress, unsigned, std::uint64_t) override {}
  BlockPlan plan_block(VirtualAddress, std::span<const std::uint8_t> bytes) override {
    if (Guest::begins_with_stopper(bytes)) return {0, 0};
    return {Guest::ends_with_jump(bytes) ? instructions_ : instructions_ + 1, std::nullopt};
  }
  std::uint32_t instructions_before(VirtualAddress, std::span<const std::uint8_t>, std::uint32_t) override { return 0; }
  bool observable(VirtualAddress, std::span<const std::uint8_t> bytes) override {
    return !Guest::begins_with_stopper(bytes);
  }
  bool begin_instruction(VirtualAddress, unsigned) override { return true; }

 private:
  unsigned instructions_;
};

template <typename Guest>
struct EngineRig {
  explicit EngineRig(unsigned instructions) : client(instructions), engine(make_unicorn_engine(memory, Guest::kMode)) {
    memory.write_bytes({code_of<Guest>()}, Guest::code(instructions));
    engine->set_client(&client);
    engine->write(integer_register(Guest::kPointer), data_of<Guest>());
    rewind();
  }
  void rewind() {
    set_rounds(kRounds);
    engine->write(program_counter_register(), code_of<Guest>());
  }
  void set_rounds(std::uint64_t rounds) { engine->write(integer_register(Guest::kCounter), rounds); }
  PhysicalMemory memory{PhysicalAddress{Guest::kRamBase}, kRam};
  IdentityClient<Guest> client;
  std::unique_ptr<CpuEngine> engine;
};

void count(benchmark::State& state, std::uint64_t instructions) {
  state.counters["instructions"] =
      benchmark::Counter(static_cast<double>(instructions), benchmark::Counter::kIsIterationInvariantRate);
}

template <typename Guest>
void engine(benchmark::State& state) {
  const auto instructions = static_cast<unsigned>(state.range(0));
  EngineRig<Guest> rig(instructions);
  for (auto _ : state) {
    rig.rewind();
    const EngineOutcome outcome = rig.engine->run(~std::uint64_t{0} >> 1);
    if (outcome.stop != EngineStop::Stopper || outcome.instructions != loop_instructions(instructions)) {
      state.SkipWithError("the loop did not end as it should");
      return;
    }
  }
  count(state, loop_instructions(instructions));
}

bool identity_fill(uc_engine*, std::uint64_t address, uc_mem_type, uc_tlb_entry* entry, void*) {
  *entry = {address, UC_PROT_ALL};
  return true;
}

template <typename Guest>
void raw(benchmark::State& state) {
  const auto instructions = static_cast<unsigned>(state.range(0));
  const std::vector<std::uint8_t> code = Guest::code(instructions);
  PhysicalMemory memory({Guest::kRamBase}, kRam);
  memory.write_bytes({code_of<Guest>()}, code);
  uc_engine* uc = nullptr;
  uc_open(Guest::kArch, Guest::kWidth, &uc);
  uc_mem_map_ptr(uc, Guest::kRamBase, kRam, UC_PROT_ALL, memory.host_data());
  uc_ctl_tlb_mode(uc, UC_TLB_VIRTUAL);
  uc_hook hook{};
  uc_hook_add(uc, &hook, UC_HOOK_TLB_FILL, reinterpret_cast<void*>(&identity_fill), nullptr, 1, 0);
  const std::uint64_t data = data_of<Guest>();
  uc_reg_write(uc, Guest::kPointerId, &data);
  for (auto _ : state) {
    uc_reg_write(uc, Guest::kCounterId, &kRounds);
    const std::uint64_t end = code_of<Guest>() + code.size() - Guest::kStopperBytes;
    if (uc_emu_start(uc, code_of<Guest>(), end, 0, 0) != UC_ERR_OK) state.SkipWithError("Unicorn failed");
  }
  uc_close(uc);
  count(state, loop_instructions(instructions));
}

template <typename Guest>
void observed(benchmark::State& state) {
  const auto instructions = static_cast<unsigned>(state.range(0));
  EngineRig<Guest> rig(instructions);
  for (auto _ : state) {
    rig.rewind();
    const EngineOutcome outcome = rig.engine->run_observed(loop_instructions(instructions));
    if (outcome.stop != EngineStop::Completed) {
      state.SkipWithError("the loop did not end as it should");
      return;
    }
  }
  count(state, loop_instructions(instructions));
}

template <typename Guest>
void step(benchmark::State& state) {
  EngineRig<Guest> rig(6);
  rig.set_rounds(~std::uint64_t{0} >> 1);
  for (auto _ : state) benchmark::DoNotOptimize(rig.engine->step_one());
  count(state, 1);
}

template <typename Guest>
void short_runs(benchmark::State& state) {
  EngineRig<Guest> rig(6);
  const auto budget = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    rig.set_rounds(kRounds);
    benchmark::DoNotOptimize(rig.engine->run(budget));
  }
  count(state, budget);
}

template <typename Guest>
void read_state(benchmark::State& state) {
  EngineRig<Guest> rig(6);
  rig.engine->step_one();
  for (auto _ : state) benchmark::DoNotOptimize(rig.engine->state());
}

template <typename Guest>
void write_state_and_step(benchmark::State& state) {
  EngineRig<Guest> rig(6);
  const EngineState start = rig.engine->state();
  for (auto _ : state) {
    rig.engine->set_state(start);
    benchmark::DoNotOptimize(rig.engine->step_one());
  }
}

template <typename Guest>
void flush_and_run(benchmark::State& state) {
  EngineRig<Guest> rig(6);
  for (auto _ : state) {
    rig.engine->flush_translations();
    rig.set_rounds(kRounds);
    benchmark::DoNotOptimize(rig.engine->run(60));
  }
  count(state, 60);
}

}  // namespace

// The names of x86's have no suffix.
#define SHEARLING_ENGINE_BENCHMARKS(Guest, suffix)                                                                   \
  BENCHMARK_TEMPLATE(raw, Guest)->Name("raw" suffix)->Arg(6)->Arg(20)->Arg(26)->Unit(benchmark::kMillisecond);       \
  BENCHMARK_TEMPLATE(engine, Guest)->Name("engine" suffix)->Arg(6)->Arg(20)->Arg(26)->Unit(benchmark::kMillisecond); \
  BENCHMARK_TEMPLATE(observed, Guest)->Name("observed" suffix)->Arg(6)->Unit(benchmark::kMillisecond);               \
  BENCHMARK_TEMPLATE(step, Guest)->Name("step" suffix);                                                              \
  BENCHMARK_TEMPLATE(short_runs, Guest)->Name("short_runs" suffix)->Arg(1)->Arg(48)->Arg(1000);                      \
  BENCHMARK_TEMPLATE(flush_and_run, Guest)->Name("flush_and_run" suffix);                                            \
  BENCHMARK_TEMPLATE(read_state, Guest)->Name("read_state" suffix);                                                  \
  BENCHMARK_TEMPLATE(write_state_and_step, Guest)->Name("write_state_and_step" suffix)

SHEARLING_ENGINE_BENCHMARKS(X86Guest, "");
SHEARLING_ENGINE_BENCHMARKS(Arm64Guest, "_arm64");

BENCHMARK_MAIN();
