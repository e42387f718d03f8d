// SPDX-License-Identifier: GPL-3.0-or-later
//
// The smallest instruction set with which cores can meet: for tests of the machine itself. An instruction is an
// operation's byte and an operand's. Each core has an accumulator in the engine's register file, so that a core that
// runs without holding the engine is noticed.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/loader/elf_image.h"
#include "core/machine/machine.h"

namespace shearling::test {

inline constexpr std::uint64_t kToyCode = 0x10000, kToyCodeOfACore = 0x1000, kToyCounter = 0x8000;
inline constexpr StepIndex kToyTurn = 5;

enum class ToyOperation : std::uint8_t {
  Add,        ///< Adds the operand to the accumulator, and the accumulator to the counter that all cores share.
  SleepFor,   ///< Until so many guest ticks from now have passed, or a kick.
  Sleep,      ///< Until a kick.
  Kick,       ///< Wakes, and switches on, the core of that number.
  Models,     ///< What direct execution cannot do.
  Print,      ///< On the board's serial port.
  JumpBack,   ///< So many instructions.
  End,        ///< Of the machine.
  PlainStep,  ///< Nothing.
};

struct ToyInstruction {
  ToyOperation operation;
  std::uint8_t operand = 0;
};
using ToyProgram = std::vector<ToyInstruction>;

class ToyProcessor;
struct ToyHardware {
  std::vector<ToyProcessor*> cores;
  std::vector<unsigned> direct_runs;  ///< By core: how often run_direct() was called.
  unsigned without_engine = 0;        ///< How often a core ran that had not been given the engine.
};

class ToyProcessor final : public Processor {
 public:
  ToyProcessor(const MachineContext& context, std::shared_ptr<ToyHardware> hardware)
      : context_(context), hardware_(std::move(hardware)) {
    hardware_->cores.push_back(this);
    hardware_->direct_runs.push_back(0);
  }

  Status load(const ElfImage& image, const std::string&) override {
    pc_ = image.entry + context_.cpu * kToyCodeOfACore;
    powered_ = context_.cpu == 0;
    if (context_.cpu != 0) return Done{};
    for (const ElfSegment& segment : image.segments)
      context_.memory.write_bytes({segment.physical_address}, segment.bytes);
    return Done{};
  }

  ProcessorOutcome step() override {
    context_.events.begin_step(context_.time.step);
    execute();
    const StepIndex begun = context_.time.step++;
    context_.events.micro(InstructionRetired{.pc = {pc_}, .next_pc = {pc_}});
    if (needs_models_ && !context_.memory_path.models_on()) {
      needs_models_ = false;
      return {ProcessorOutcome::Kind::NeedsModels, begun};
    }
    needs_models_ = false;
    return {stopped() ? ProcessorOutcome::Kind::Stopped : ProcessorOutcome::Kind::Continue, begun};
  }
  ProcessorOutcome run_direct(StepIndex target) override {
    ++hardware_->direct_runs[context_.cpu];
    return run(target);
  }
  ProcessorOutcome run_observed(StepIndex target) override { return run(target); }

  [[nodiscard]] bool runnable() const override { return powered_ && !sleeping_; }
  [[nodiscard]] std::optional<std::uint64_t> next_wakeup() const override {
    return sleeping_ && alarm_ != 0 ? std::optional(alarm_) : std::nullopt;
  }
  void time_passed() override {
    if (alarm_ != 0 && context_.time.guest_ticks() >= alarm_) kick();
  }
  void take_engine() override {
    holds_engine_ = true;
    context_.engine.set_state(registers_);
  }
  void release_engine() override {
    holds_engine_ = false;
    registers_ = context_.engine.state();
  }
  void kick() {
    powered_ = true;
    sleeping_ = false;
    alarm_ = 0;
  }

  [[nodiscard]] VirtualAddress program_counter() const override { return {pc_}; }
  [[nodiscard]] std::uint8_t privilege() const override { return 0; }
  [[nodiscard]] Actor actor() const override { return Actor::GuestKernel; }
  [[nodiscard]] std::string_view mode_name() const override { return "toy"; }
  [[nodiscard]] std::vector<RegisterRow> registers() const override { return {}; }
  [[nodiscard]] std::vector<ControlFieldRow> control_structure() const override { return {}; }
  [[nodiscard]] std::optional<InspectedTranslation> inspect(VirtualAddress) const override { return std::nullopt; }
  [[nodiscard]] std::optional<PhysicalAddress> guest_to_physical(GuestPhysicalAddress address) const override {
    return PhysicalAddress{address.value};
  }
  [[nodiscard]] std::vector<DisassembledInstruction> disassemble(VirtualAddress, unsigned) const override { return {}; }
  [[nodiscard]] std::string describe_entry(std::string_view, std::uint64_t) const override { return {}; }
  [[nodiscard]] bool has_stale_translations() const override { return false; }
  void models_changed() override {}

  void save(Writer& writer) const override {
    writer(holds_engine_ ? context_.engine.state() : registers_, pc_, powered_, sleeping_, alarm_);
  }
  void load_state(Reader& reader) override {
    reader(registers_, pc_, powered_, sleeping_, alarm_);
    if (holds_engine_) context_.engine.set_state(registers_);
  }
  [[nodiscard]] std::uint64_t accumulator() const {
    return holds_engine_ ? context_.engine.read(integer_register(0)) : registers_.integer[0];
  }

 private:
  [[nodiscard]] bool stopped() const { return context_.request.stop != StopReason::None; }
  ProcessorOutcome run(StepIndex target) {
    while (context_.time.step < target && runnable()) {
      if (const ProcessorOutcome outcome = step(); outcome.kind != ProcessorOutcome::Kind::Continue) return outcome;
    }
    return {ProcessorOutcome::Kind::Continue, context_.time.step};
  }
  void execute() {
    if (!holds_engine_) ++hardware_->without_engine;
    const auto operation = static_cast<ToyOperation>(context_.memory.read({pc_}, 1));
    const std::uint64_t operand = context_.memory.read({pc_ + 1}, 1);
    context_.memory_path.program_access({pc_}, {pc_}, 2, AccessKind::Fetch, PageSize::Size4K);
    pc_ += 2;
    switch (operation) {
      case ToyOperation::Add: {
        const std::uint64_t sum = accumulator() + operand;
        context_.engine.write(integer_register(0), sum);
        context_.memory.will_write({kToyCounter});
        context_.memory.write({kToyCounter}, 8, context_.memory.read({kToyCounter}, 8) + sum);
        break;
      }
      case ToyOperation::SleepFor:
        alarm_ = context_.time.guest_ticks() + operand;
        sleeping_ = true;
        break;
      case ToyOperation::Sleep:
        sleeping_ = true;
        break;
      case ToyOperation::Kick:
        hardware_->cores[operand]->kick();
        break;
      case ToyOperation::Models:
        needs_models_ = true;
        break;
      case ToyOperation::Print:
        context_.devices.memory_write({0x09000000}, 1, operand);
        break;
      case ToyOperation::JumpBack:
        pc_ -= 2 * (operand + 1);
        break;
      case ToyOperation::End:
        context_.request.stop = StopReason::ExitPort;
        break;
      case ToyOperation::PlainStep:
        break;
    }
  }

  MachineContext context_;
  std::shared_ptr<ToyHardware> hardware_;
  EngineState registers_{.mode = ExecutionMode::X86Long64};
  std::uint64_t pc_ = 0;
  bool holds_engine_ = false, powered_ = false, sleeping_ = false;
  bool needs_models_ = false;  ///< Within one step.
  std::uint64_t alarm_ = 0;    ///< Guest ticks; 0: none.
};

class ToyIsa final : public Isa {
 public:
  [[nodiscard]] std::string_view name() const override { return "toy"; }
  [[nodiscard]] bool accepts(ElfMachine machine) const override { return machine == ElfMachine::AArch64; }
  [[nodiscard]] std::string_view default_machine() const override { return "toy-machine"; }
  [[nodiscard]] std::span<const VmmTechnique> techniques() const override {
    static constexpr std::array kTechniques{VmmTechnique::Bare};
    return kTechniques;
  }
  [[nodiscard]] std::span<const PrivilegeLevel> privilege_levels() const override { return {}; }
  [[nodiscard]] unsigned most_cpus() const override { return 4; }
  [[nodiscard]] ExecutionMode initial_mode() const override { return ExecutionMode::X86Long64; }
  [[nodiscard]] std::uint64_t physical_memory_bytes(const MachineConfig& config, VmmTechnique) const override {
    return config.ram_bytes;
  }
  [[nodiscard]] PhysicalAddress physical_memory_base() const override { return {0}; }
  std::vector<std::unique_ptr<Processor>> make_processors(const std::vector<MachineContext>& contexts,
                                                          VmmTechnique) const override {
    hardware = std::make_shared<ToyHardware>();
    std::vector<std::unique_ptr<Processor>> processors;
    for (const MachineContext& context : contexts)
      processors.push_back(std::make_unique<ToyProcessor>(context, hardware));
    return processors;
  }
  mutable std::shared_ptr<ToyHardware> hardware;  ///< Of the machine that was built last.
};

inline ToyIsa& toy_isa() {
  static ToyIsa isa;
  return isa;
}

/// An ELF file whose one segment holds each core's program.
inline std::vector<std::uint8_t> toy_image(const std::vector<ToyProgram>& programs, std::uint16_t elf_machine = 183) {
  constexpr std::size_t kHeader = 64, kProgramHeader = 56, kContents = kHeader + kProgramHeader;
  const std::size_t size = programs.size() * kToyCodeOfACore;
  std::vector<std::uint8_t> file(kContents + size);
  const auto put = [&](std::size_t offset, std::uint64_t value, unsigned bytes) {
    std::memcpy(file.data() + offset, &value, bytes);
  };
  const std::array<std::uint8_t, 7> identification{0x7f, 'E', 'L', 'F', 2, 1, 1};
  std::copy(identification.begin(), identification.end(), file.begin());
  put(16, 2, 2);  // an executable
  put(18, elf_machine, 2);
  put(20, 1, 4);
  put(24, kToyCode, 8);
  put(32, kHeader, 8);
  put(52, kHeader, 2);
  put(54, kProgramHeader, 2);
  put(56, 1, 2);
  put(58, 64, 2);
  put(kHeader, 1, 4);  // PT_LOAD
  put(kHeader + 4, 7, 4);
  put(kHeader + 8, kContents, 8);
  put(kHeader + 16, kToyCode, 8);
  put(kHeader + 24, kToyCode, 8);
  put(kHeader + 32, size, 8);
  put(kHeader + 40, size, 8);
  for (std::size_t core = 0; core < programs.size(); ++core) {
    std::size_t offset = kContents + core * kToyCodeOfACore;
    for (const ToyInstruction& instruction : programs[core]) {
      put(offset++, static_cast<std::uint8_t>(instruction.operation), 1);
      put(offset++, instruction.operand, 1);
    }
  }
  return file;
}

inline MachineSetup toy_setup(const std::vector<ToyProgram>& programs, StepIndex slice = kToyTurn) {
  return {.guest_name = "toy.elf",
          .guest_image = toy_image(programs),
          .machine_yaml = "isa: toy\nboard: virt\nmemory: 4 MB\ncpu: { count: " + std::to_string(programs.size()) +
                          ", slice: " + std::to_string(slice) + " }\n",
          .machine_name = "toy.yaml",
          .technique = VmmTechnique::Bare};
}

}  // namespace shearling::test
