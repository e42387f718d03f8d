// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whole-machine speed, side by side in one run, for x86 and AArch64: direct execution (bare and under the VMM) beside
// raw Unicorn on the same guest code, execution with every TLB and cache lookup simulated, one step with all its
// events, and seeking.
#include <benchmark/benchmark.h>
#include <unicorn/unicorn.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>

#include "core/machine/time_travel.h"
#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;

namespace {

struct UnicornRegister {
  const char* name;  ///< In the register view.
  int id;
};
constexpr UnicornRegister kX86Registers[] = {{"RAX", UC_X86_REG_RAX}, {"RCX", UC_X86_REG_RCX}, {"RDX", UC_X86_REG_RDX},
                                             {"RBX", UC_X86_REG_RBX}, {"RSP", UC_X86_REG_RSP}, {"RBP", UC_X86_REG_RBP},
                                             {"RSI", UC_X86_REG_RSI}, {"RDI", UC_X86_REG_RDI}, {"R8", UC_X86_REG_R8},
                                             {"R9", UC_X86_REG_R9},   {"R10", UC_X86_REG_R10}, {"R11", UC_X86_REG_R11},
                                             {"R12", UC_X86_REG_R12}, {"R13", UC_X86_REG_R13}, {"R14", UC_X86_REG_R14},
                                             {"R15", UC_X86_REG_R15}, {"RIP", UC_X86_REG_RIP}};
constexpr UnicornRegister kArmRegisters[] = {
    {"X0", UC_ARM64_REG_X0},   {"X1", UC_ARM64_REG_X1},   {"X2", UC_ARM64_REG_X2},   {"X3", UC_ARM64_REG_X3},
    {"X4", UC_ARM64_REG_X4},   {"X5", UC_ARM64_REG_X5},   {"X6", UC_ARM64_REG_X6},   {"X7", UC_ARM64_REG_X7},
    {"X8", UC_ARM64_REG_X8},   {"X9", UC_ARM64_REG_X9},   {"X10", UC_ARM64_REG_X10}, {"X11", UC_ARM64_REG_X11},
    {"X12", UC_ARM64_REG_X12}, {"X13", UC_ARM64_REG_X13}, {"X14", UC_ARM64_REG_X14}, {"X15", UC_ARM64_REG_X15},
    {"X16", UC_ARM64_REG_X16}, {"X17", UC_ARM64_REG_X17}, {"X18", UC_ARM64_REG_X18}, {"X19", UC_ARM64_REG_X19},
    {"X20", UC_ARM64_REG_X20}, {"X21", UC_ARM64_REG_X21}, {"X22", UC_ARM64_REG_X22}, {"X23", UC_ARM64_REG_X23},
    {"X24", UC_ARM64_REG_X24}, {"X25", UC_ARM64_REG_X25}, {"X26", UC_ARM64_REG_X26}, {"X27", UC_ARM64_REG_X27},
    {"X28", UC_ARM64_REG_X28}, {"X29", UC_ARM64_REG_X29}, {"X30", UC_ARM64_REG_X30}, {"SP", UC_ARM64_REG_SP},
    {"PC", UC_ARM64_REG_PC}};

/// What differs between the two architectures. Both guests compute the same.
struct Architecture {
  const char* suffix;
  const char* machine;
  const char *long_compute, *compute, *kernel;
  VmmTechnique vmm;
  uc_arch unicorn;
  uc_mode mode;
  int program_counter;
  std::span<const UnicornRegister> registers;
};
constexpr Architecture kX86{"",          "pc",       "compute-long", "compute",    "kernel", VmmTechnique::VtX,
                            UC_ARCH_X86, UC_MODE_64, UC_X86_REG_RIP, kX86Registers};
constexpr Architecture kArm{"_arm64",          "virt",        "aa64-compute-long", "aa64-compute",  "aa64-kernel",
                            VmmTechnique::El2, UC_ARCH_ARM64, UC_MODE_ARM,         UC_ARM64_REG_PC, kArmRegisters};

std::unique_ptr<Machine> make_machine(const Architecture& architecture, const char* guest, VmmTechnique technique) {
  x86::register_x86();
  arm::register_arm();
  const std::string path = std::string(SHEARLING_BINARY_DIR "/guests/") + guest + ".elf";
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint8_t> image{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto machine = Machine::create({.guest_name = path,
                                  .guest_image = std::move(image),
                                  .machine_yaml = read_machine_description(architecture.machine).value(),
                                  .machine_name = architecture.machine,
                                  .technique = technique});
  if (!machine) {
    std::fprintf(stderr, "%s\n", machine.error().text().c_str());
    std::exit(1);
  }
  return std::move(machine).value();
}

/// Past start-up: in the guest's long loop, with its tables.
constexpr StepIndex kWarm = 400'000;
constexpr StepIndex kMeasured = 40'000'000;

void direct(benchmark::State& state, const Architecture& architecture, VmmTechnique technique) {
  auto machine = make_machine(architecture, architecture.long_compute, technique);
  machine->run_until(kWarm, Observation::Direct);
  for (auto _ : state) {
    const StepIndex before = machine->position();
    machine->run_until(before + kMeasured, Observation::Direct);
    if (machine->stopped()) state.SkipWithError("the guest ended too early");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kMeasured));
}

void models(benchmark::State& state, const Architecture& architecture, VmmTechnique technique) {
  auto machine = make_machine(architecture, architecture.long_compute, technique);
  machine->run_until(kWarm, Observation::Models);
  constexpr StepIndex kSteps = 500'000;
  for (auto _ : state) machine->run_until(machine->position() + kSteps, Observation::Models);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kSteps));
}

void step_with_all_events(benchmark::State& state, const Architecture& architecture) {
  auto machine = make_machine(architecture, architecture.kernel, architecture.vmm);
  TimeTravel travel(*machine);
  travel.run_until(5'000, Observation::Models);
  for (auto _ : state) benchmark::DoNotOptimize(travel.step_forward());
}

void step_back(benchmark::State& state, const Architecture& architecture) {
  auto machine = make_machine(architecture, architecture.kernel, architecture.vmm);
  TimeTravel travel(*machine);
  travel.run_until(40'000, Observation::Models);
  for (auto _ : state) benchmark::DoNotOptimize(travel.step_back());
}

void seek_anywhere_in_a_million(benchmark::State& state, const Architecture& architecture) {
  auto machine = make_machine(architecture, architecture.compute, architecture.vmm);
  TimeTravel travel(*machine);
  travel.run_until(1'000'000, Observation::Models);
  std::mt19937 random(1);
  for (auto _ : state) travel.seek(random() % 1'000'000);
}

// Raw Unicorn on the very same code: RAM and registers of the machine in its loop, an identity-mapped virtual TLB, no
// hooks but the fill.
bool identity_fill(uc_engine*, std::uint64_t address, uc_mem_type, uc_tlb_entry* entry, void*) {
  *entry = {address, UC_PROT_ALL};
  return true;
}

void raw_unicorn(benchmark::State& state, const Architecture& architecture) {
  auto machine = make_machine(architecture, architecture.long_compute, VmmTechnique::Bare);
  machine->run_until(kWarm, Observation::Direct);
  const PhysicalMemory& memory = machine->memory();
  std::vector<std::uint8_t> ram(16 << 20);
  memory.read_bytes(memory.base(), ram);

  uc_engine* engine = nullptr;
  uc_open(architecture.unicorn, architecture.mode, &engine);
  uc_mem_map_ptr(engine, memory.base().value, ram.size(), UC_PROT_ALL, ram.data());
  uc_ctl_tlb_mode(engine, UC_TLB_VIRTUAL);
  uc_hook hook = 0;
  uc_hook_add(engine, &hook, UC_HOOK_TLB_FILL, reinterpret_cast<void*>(identity_fill), nullptr, 1, 0);
  for (const RegisterRow& row : machine->processor().registers()) {
    for (const UnicornRegister& reg : architecture.registers) {
      if (row.name == reg.name) uc_reg_write(engine, reg.id, &row.real);
    }
  }
  // Raw Unicorn cannot be told to stop after so many instructions without counting them, so it is stopped by the
  // guest's own end: the remaining instructions are known from the machine.
  auto counter = make_machine(architecture, architecture.long_compute, VmmTechnique::Bare);
  const ElfSymbol* end = machine->image().find_symbol("compute_done");
  if (end == nullptr) {
    state.SkipWithError("the guest has no symbol compute_done");
    return;
  }
  counter->run_until(~StepIndex{0}, Observation::Direct);
  const StepIndex remaining = counter->position() - kWarm;
  std::vector<std::uint8_t> pristine = ram;
  uc_context* context = nullptr;
  uc_context_alloc(engine, &context);
  uc_context_save(engine, context);
  for (auto _ : state) {
    state.PauseTiming();
    std::copy(pristine.begin(), pristine.end(), ram.begin());
    uc_context_restore(engine, context);
    std::uint64_t program_counter = 0;
    uc_reg_read(engine, architecture.program_counter, &program_counter);
    state.ResumeTiming();
    if (uc_emu_start(engine, program_counter, end->value, 0, 0) != UC_ERR_OK)
      state.SkipWithError("raw Unicorn stopped with an error");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * remaining));
  uc_context_free(context);
  uc_close(engine);
}

void add_benchmarks(const Architecture& architecture) {
  const auto named = [&](const std::string& name, auto function) {
    return benchmark::RegisterBenchmark((name + architecture.suffix).c_str(), function)->UseRealTime();
  };
  const auto under = [](void (*function)(benchmark::State&, const Architecture&, VmmTechnique), VmmTechnique technique,
                        const Architecture& which) {
    return [=, &which](benchmark::State& state) { function(state, which, technique); };
  };
  const auto alone = [&](void (*function)(benchmark::State&, const Architecture&)) {
    return [function, &architecture](benchmark::State& state) { function(state, architecture); };
  };
  named("raw_unicorn", alone(raw_unicorn))->Unit(benchmark::kMillisecond);
  for (const VmmTechnique technique : {VmmTechnique::Bare, architecture.vmm}) {
    const std::string name = "/" + std::string(name_of(technique));
    named("direct" + name, under(direct, technique, architecture))->Unit(benchmark::kMillisecond)->Iterations(2);
    named("models" + name, under(models, technique, architecture))->Unit(benchmark::kMillisecond);
  }
  named("step_with_all_events", alone(step_with_all_events))->Unit(benchmark::kMicrosecond);
  named("step_back", alone(step_back))->Unit(benchmark::kMicrosecond);
  named("seek_anywhere_in_a_million", alone(seek_anywhere_in_a_million))->Unit(benchmark::kMillisecond);
}

/// The usual table, and after it each speed as a share of raw Unicorn's in the same run.
class RatioReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const bool raw = run.benchmark_name().starts_with("raw_unicorn");
      if (raw) raw_ = 0;  // Each architecture has its own.
      const auto speed = run.counters.find("items_per_second");
      if (speed == run.counters.end() || run.run_type != Run::RT_Iteration) continue;
      if (raw)
        raw_ = speed->second;
      else if (raw_ > 0)
        ratios_.emplace_back(run.benchmark_name(), speed->second / raw_);
    }
  }
  void Finalize() override {
    for (const auto& [name, ratio] : ratios_) std::printf("ratio to raw Unicorn: %-36s %.4f\n", name.c_str(), ratio);
  }

 private:
  double raw_ = 0;
  std::vector<std::pair<std::string, double>> ratios_;
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  add_benchmarks(kX86);
  add_benchmarks(kArm);
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
