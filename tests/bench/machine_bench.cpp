// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whole-machine speed, side by side in one run: direct execution (bare and under VT-x) beside raw Unicorn on the same
// guest code, execution with every TLB and cache lookup simulated, one step with all its events, and seeking.
#include <benchmark/benchmark.h>
#include <unicorn/unicorn.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include "core/machine/time_travel.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;

namespace {

std::unique_ptr<Machine> make_machine(const char* guest, VmmTechnique technique) {
  x86::register_x86();
  const std::string path = std::string(SHEARLING_BINARY_DIR "/guests/") + guest + ".elf";
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint8_t> image{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto machine = Machine::create({.guest_name = path,
                                  .guest_image = std::move(image),
                                  .machine_yaml = read_machine_description("pc").value(),
                                  .machine_name = "pc",
                                  .technique = technique});
  if (!machine) {
    std::fprintf(stderr, "%s\n", machine.error().text().c_str());
    std::exit(1);
  }
  return std::move(machine).value();
}

/// Past start-up: in the guest's long loop, in 64-bit mode.
constexpr StepIndex kWarm = 400'000;
constexpr StepIndex kMeasured = 40'000'000;

void direct(benchmark::State& state, VmmTechnique technique) {
  auto machine = make_machine("compute-long", technique);
  machine->run_until(kWarm, Observation::Direct);
  for (auto _ : state) {
    const StepIndex before = machine->position();
    machine->run_until(before + kMeasured, Observation::Direct);
    if (machine->stopped()) state.SkipWithError("the guest ended too early");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kMeasured));
}

void models(benchmark::State& state, VmmTechnique technique) {
  auto machine = make_machine("compute-long", technique);
  machine->run_until(kWarm, Observation::Models);
  constexpr StepIndex kSteps = 500'000;
  for (auto _ : state) machine->run_until(machine->position() + kSteps, Observation::Models);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kSteps));
}

void step_with_all_events(benchmark::State& state) {
  auto machine = make_machine("kernel", VmmTechnique::VtX);
  TimeTravel travel(*machine);
  travel.run_until(5'000, Observation::Models);
  for (auto _ : state) benchmark::DoNotOptimize(travel.step_forward());
}

void step_back(benchmark::State& state) {
  auto machine = make_machine("kernel", VmmTechnique::VtX);
  TimeTravel travel(*machine);
  travel.run_until(40'000, Observation::Models);
  for (auto _ : state) benchmark::DoNotOptimize(travel.step_back());
}

void seek_anywhere_in_a_million(benchmark::State& state) {
  auto machine = make_machine("compute", VmmTechnique::VtX);
  TimeTravel travel(*machine);
  travel.run_until(1'000'000, Observation::Models);
  std::mt19937 random(1);
  for (auto _ : state) travel.seek(random() % 1'000'000);
}

// Raw Unicorn on the very same code: RAM and registers of the machine in its loop, an identity-mapped virtual TLB, no
// hooks but the fill.
bool identity_fill(uc_engine*, std::uint64_t address, uc_mem_type, uc_tlb_entry* entry, void*) {
  entry->paddr = address & ~std::uint64_t{0xfff};
  entry->perms = UC_PROT_ALL;
  return true;
}

void raw_unicorn(benchmark::State& state) {
  auto machine = make_machine("compute-long", VmmTechnique::Bare);
  machine->run_until(kWarm, Observation::Direct);
  const PhysicalMemory& memory = machine->memory();
  std::vector<std::uint8_t> ram(16 << 20);
  memory.read_bytes(PhysicalAddress{0}, ram);

  uc_engine* engine = nullptr;
  uc_open(UC_ARCH_X86, UC_MODE_64, &engine);
  uc_mem_map_ptr(engine, 0, ram.size(), UC_PROT_ALL, ram.data());
  uc_ctl_tlb_mode(engine, UC_TLB_VIRTUAL);
  uc_hook hook = 0;
  uc_hook_add(engine, &hook, UC_HOOK_TLB_FILL, reinterpret_cast<void*>(identity_fill), nullptr, 1, 0);
  const struct {
    const char* name;
    int id;
  } registers[] = {{"RAX", UC_X86_REG_RAX}, {"RCX", UC_X86_REG_RCX}, {"RDX", UC_X86_REG_RDX}, {"RBX", UC_X86_REG_RBX},
                   {"RSP", UC_X86_REG_RSP}, {"RBP", UC_X86_REG_RBP}, {"RSI", UC_X86_REG_RSI}, {"RDI", UC_X86_REG_RDI},
                   {"R8", UC_X86_REG_R8},   {"R9", UC_X86_REG_R9},   {"R10", UC_X86_REG_R10}, {"R11", UC_X86_REG_R11},
                   {"R12", UC_X86_REG_R12}, {"R13", UC_X86_REG_R13}, {"R14", UC_X86_REG_R14}, {"R15", UC_X86_REG_R15},
                   {"RIP", UC_X86_REG_RIP}};
  for (const RegisterRow& row : machine->processor().registers()) {
    for (const auto& reg : registers) {
      if (row.name == reg.name) uc_reg_write(engine, reg.id, &row.real);
    }
  }
  // Raw Unicorn cannot be told to stop after so many instructions without counting them, so it is stopped by the
  // guest's own end: the remaining instructions are known from the machine.
  auto counter = make_machine("compute-long", VmmTechnique::Bare);
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
    std::uint64_t rip = 0;
    uc_reg_read(engine, UC_X86_REG_RIP, &rip);
    state.ResumeTiming();
    if (uc_emu_start(engine, rip, end->value, 0, 0) != UC_ERR_OK)
      state.SkipWithError("raw Unicorn stopped with an error");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * remaining));
  uc_context_free(context);
  uc_close(engine);
}

BENCHMARK(raw_unicorn)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(direct, bare, VmmTechnique::Bare)->Unit(benchmark::kMillisecond)->Iterations(2)->UseRealTime();
BENCHMARK_CAPTURE(direct, vt_x, VmmTechnique::VtX)->Unit(benchmark::kMillisecond)->Iterations(2)->UseRealTime();
BENCHMARK_CAPTURE(models, bare, VmmTechnique::Bare)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(models, vt_x, VmmTechnique::VtX)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(step_with_all_events)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(step_back)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(seek_anywhere_in_a_million)->Unit(benchmark::kMillisecond)->UseRealTime();

/// The usual table, and after it each speed as a share of raw Unicorn's in the same run.
class RatioReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto speed = run.counters.find("items_per_second");
      if (speed == run.counters.end() || run.run_type != Run::RT_Iteration) continue;
      if (run.benchmark_name().starts_with("raw_unicorn"))
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
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
