// SPDX-License-Identifier: GPL-3.0-or-later
//
// Direct execution through the engine against Unicorn alone (virtual TLB, no hooks but the fill) on the same loop, for
// short and for long blocks, side by side in one run; and what single steps and register files cost. The numbers to
// look at are the ratios of "instructions" between engine/N and raw/N.
#include <benchmark/benchmark.h>
#include <unicorn/unicorn.h>

#include <vector>

#include "core/engine/engine.h"

using namespace shearling;

namespace {

constexpr std::uint64_t kCode = 0x400000;
constexpr std::uint64_t kData = 0x500000;
constexpr std::uint64_t kRam = 16 << 20;
constexpr unsigned kBlocks = 8;
constexpr std::uint64_t kRounds = 100000;

/// A loop of `kBlocks` blocks with `instructions` each: a third of them loads and stores, the last a jump. RCX counts
/// the rounds down, HLT ends.
std::vector<std::uint8_t> loop_code(unsigned instructions) {
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

std::uint64_t loop_instructions(unsigned instructions) { return kRounds * (std::uint64_t{kBlocks} * instructions + 1); }

/// Identity translation; plans loops of the shape above by their sizes alone.
class IdentityClient final : public EngineClient {
 public:
  explicit IdentityClient(unsigned instructions) : instructions_(instructions) {}
  FillAnswer fill(VirtualAddress address, AccessKind) override { return {true, {address.value}, true, true, true}; }
  void memory_access(PhysicalAddress, AccessKind, unsigned, std::uint64_t) override {}
  std::uint64_t device_read(PhysicalAddress, unsigned) override { return 0; }
  void device_write(PhysicalAddress, unsigned, std::uint64_t) override {}
  BlockPlan plan_block(VirtualAddress, std::span<const std::uint8_t> bytes) override {
    if (bytes[0] == 0xf4) return {0, 0};
    return {bytes[bytes.size() - 2] == 0xeb ? instructions_ : instructions_ + 1, std::nullopt};
  }
  std::uint32_t instructions_before(VirtualAddress, std::span<const std::uint8_t>, std::uint32_t) override { return 0; }

 private:
  unsigned instructions_;
};

struct EngineRig {
  explicit EngineRig(unsigned instructions)
      : client(instructions), engine(make_unicorn_engine(memory, ExecutionMode::X86Long64)) {
    memory.write_bytes({kCode}, loop_code(instructions));
    engine->set_client(&client);
    engine->write(integer_register(3), kData);
    rewind();
  }
  void rewind() {
    engine->write(integer_register(1), kRounds);
    engine->write(program_counter_register(), kCode);
  }
  PhysicalMemory memory{PhysicalAddress{0}, kRam};
  IdentityClient client;
  std::unique_ptr<CpuEngine> engine;
};

void count(benchmark::State& state, std::uint64_t instructions) {
  state.counters["instructions"] =
      benchmark::Counter(static_cast<double>(instructions), benchmark::Counter::kIsIterationInvariantRate);
}

void engine(benchmark::State& state) {
  const auto instructions = static_cast<unsigned>(state.range(0));
  EngineRig rig(instructions);
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

void raw(benchmark::State& state) {
  const auto instructions = static_cast<unsigned>(state.range(0));
  const std::vector<std::uint8_t> code = loop_code(instructions);
  PhysicalMemory memory({0}, kRam);
  memory.write_bytes({kCode}, code);
  uc_engine* uc = nullptr;
  uc_open(UC_ARCH_X86, UC_MODE_64, &uc);
  uc_mem_map_ptr(uc, 0, kRam, UC_PROT_ALL, memory.host_data());
  uc_ctl_tlb_mode(uc, UC_TLB_VIRTUAL);
  uc_hook hook{};
  uc_hook_add(uc, &hook, UC_HOOK_TLB_FILL, reinterpret_cast<void*>(&identity_fill), nullptr, 1, 0);
  uc_reg_write(uc, UC_X86_REG_RBX, &kData);
  for (auto _ : state) {
    uc_reg_write(uc, UC_X86_REG_RCX, &kRounds);
    if (uc_emu_start(uc, kCode, kCode + code.size() - 1, 0, 0) != UC_ERR_OK) state.SkipWithError("Unicorn failed");
  }
  uc_close(uc);
  count(state, loop_instructions(instructions));
}

void step(benchmark::State& state) {
  EngineRig rig(6);
  rig.engine->write(integer_register(1), ~std::uint64_t{0} >> 1);
  for (auto _ : state) benchmark::DoNotOptimize(rig.engine->step_one());
  count(state, 1);
}

void short_runs(benchmark::State& state) {
  EngineRig rig(6);
  const auto budget = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    rig.engine->write(integer_register(1), kRounds);
    benchmark::DoNotOptimize(rig.engine->run(budget));
  }
  count(state, budget);
}

void read_state(benchmark::State& state) {
  EngineRig rig(6);
  rig.engine->step_one();
  for (auto _ : state) benchmark::DoNotOptimize(rig.engine->state());
}

void write_state_and_step(benchmark::State& state) {
  EngineRig rig(6);
  const EngineState start = rig.engine->state();
  for (auto _ : state) {
    rig.engine->set_state(start);
    benchmark::DoNotOptimize(rig.engine->step_one());
  }
}

void flush_and_run(benchmark::State& state) {
  EngineRig rig(6);
  for (auto _ : state) {
    rig.engine->flush_translations();
    rig.engine->write(integer_register(1), kRounds);
    benchmark::DoNotOptimize(rig.engine->run(60));
  }
  count(state, 60);
}

}  // namespace

BENCHMARK(raw)->Arg(6)->Arg(20)->Arg(26)->Unit(benchmark::kMillisecond);
BENCHMARK(engine)->Arg(6)->Arg(20)->Arg(26)->Unit(benchmark::kMillisecond);
BENCHMARK(step);
BENCHMARK(short_runs)->Arg(1)->Arg(48)->Arg(1000);
BENCHMARK(flush_and_run);
BENCHMARK(read_state);
BENCHMARK(write_state_and_step);

BENCHMARK_MAIN();
