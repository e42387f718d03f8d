// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/isa_arm.h"

#include <algorithm>
#include <array>

#include "core/loader/elf_image.h"
#include "isa-arm/cpu/arm_processor.h"
#include "isa-arm/vmm/host.h"

namespace shearling::arm {
namespace {

constexpr std::uint64_t kRamBase = 0x40000000;
constexpr unsigned kMostCpus = 8;

constexpr TechniqueWords kBareWords{.title = "bare",
                                    .tip = "Start the guest again with no VMM of ours",
                                    .guest = "on the bare machine",
                                    .vmm = "EL2 · the guest's own",
                                    .without_vmm = "no VMM: EL2 is empty, exceptions go to the guest's vectors at EL1",
                                    .control_structure = "EL2 registers",
                                    .exit_reason = "ESR_EL2: class",
                                    .exit_address = "ELR_EL2",
                                    .trap_words = "vector table: {name}",
                                    .guest_physical = "IPA",
                                    .host_physical = "PA",
                                    .nested_tables = "VTTBR_EL2"};
constexpr TechniqueWords kEl2Words{.title = "EL2 + stage 2",
                                   .tip = "Start the guest again as a VM under a VMM at EL2",
                                   .guest = "EL1 and EL0 with stage 2",
                                   .vmm = "EL2",
                                   .without_vmm = {},
                                   .control_structure = "EL2 registers",
                                   .exit_reason = "ESR_EL2: class",
                                   .exit_address = "ELR_EL2",
                                   .trap_words = "vector table: {name}",
                                   .guest_physical = "IPA",
                                   .host_physical = "PA",
                                   .nested_tables = "VTTBR_EL2"};
constexpr TechniqueWords kTrapAndEmulateWords{.title = "trap and emulate",
                                              .tip = "Start the guest again with its kernel at EL0, under a VMM at EL1",
                                              .guest = "EL0, its kernel as well",
                                              .vmm = "EL1",
                                              .without_vmm = {},
                                              .control_structure = "EL1 registers",
                                              .exit_reason = "ESR_EL1: class",
                                              .exit_address = "ELR_EL1",
                                              .trap_words = "vector table: {name}",
                                              .guest_physical = "guest PA",
                                              .host_physical = "PA",
                                              .nested_tables = {}};

// Events count levels down to the page, the architecture up to it.
constexpr std::array<TableLevelWords, 5> kStage1Levels{
    {{}, {"stage 1 L3", "L3"}, {"stage 1 L2", "L2"}, {"stage 1 L1", "L1"}, {"stage 1 L0", "L0"}}};
constexpr std::array<TableLevelWords, 5> kStage2Levels{
    {{}, {"stage 2 L3", "S2 L3"}, {"stage 2 L2", "S2 L2"}, {"stage 2 L1", "S2 L1"}, {"stage 2 L0", "S2 L0"}}};

class ArmIsa : public Isa {
 public:
  [[nodiscard]] std::string_view name() const override { return "aarch64"; }
  [[nodiscard]] bool accepts(ElfMachine machine) const override { return machine == ElfMachine::AArch64; }
  [[nodiscard]] std::string_view default_machine() const override { return "virt"; }
  [[nodiscard]] std::span<const VmmTechnique> techniques() const override {
    static constexpr std::array kTechniques{VmmTechnique::Bare, VmmTechnique::El2, VmmTechnique::TrapAndEmulate};
    return kTechniques;
  }
  [[nodiscard]] std::span<const PrivilegeLevel> privilege_levels() const override {
    static constexpr std::array kLevels{PrivilegeLevel{0, "EL0", Actor::GuestUser},
                                        PrivilegeLevel{1, "EL1", Actor::GuestKernel},
                                        PrivilegeLevel{2, "EL2", Actor::Vmm}};
    return kLevels;
  }
  [[nodiscard]] unsigned most_cpus() const override { return kMostCpus; }
  [[nodiscard]] ExecutionMode initial_mode() const override { return ExecutionMode::AArch64; }
  [[nodiscard]] PhysicalAddress physical_memory_base() const override { return {kRamBase}; }
  [[nodiscard]] std::uint64_t physical_memory_bytes(const MachineConfig& config,
                                                    VmmTechnique technique) const override {
    return technique == VmmTechnique::Bare ? config.ram_bytes : host_physical_memory_bytes(config, technique);
  }
  [[nodiscard]] TechniqueWords technique_words(VmmTechnique technique) const override {
    if (technique == VmmTechnique::TrapAndEmulate) return kTrapAndEmulateWords;
    return technique == VmmTechnique::El2 ? kEl2Words : kBareWords;
  }
  [[nodiscard]] TableLevelWords table_level_words(unsigned stage, unsigned level) const override {
    const auto& levels = stage == 1 ? kStage1Levels : kStage2Levels;
    return level < levels.size() ? levels[level] : TableLevelWords{};
  }
  [[nodiscard]] std::span<const std::string_view> essential_registers() const override {
    static constexpr std::array<std::string_view, 21> kNames{
        "PC",       "SP",       "PSTATE",  "X0",      "X1",        "X8",        "X30",
        "ELR_EL1",  "SPSR_EL1", "ESR_EL1", "FAR_EL1", "SCTLR_EL1", "TTBR0_EL1", "TTBR1_EL1",
        "VBAR_EL1", "HCR_EL2",  "ESR_EL2", "ELR_EL2", "VTTBR_EL2", "HPFAR_EL2", "ICH_LR0_EL2"};
    return kNames;
  }
  [[nodiscard]] bool comes_back(std::string_view instruction) const override {
    static constexpr std::array<std::string_view, 5> kCalls{"bl ", "blr ", "svc ", "hvc ", "smc "};
    return std::any_of(kCalls.begin(), kCalls.end(),
                       [&](std::string_view call) { return instruction.starts_with(call); });
  }
  std::vector<std::unique_ptr<Processor>> make_processors(const std::vector<MachineContext>& contexts,
                                                          VmmTechnique technique) const override {
    const std::shared_ptr<Host> host =
        technique == VmmTechnique::Bare ? nullptr : make_host(contexts.front(), technique);
    const auto system = std::make_shared<ArmSystem>(contexts.front(), static_cast<unsigned>(contexts.size()),
                                                    host ? host->exception_level() : 0);
    std::vector<std::unique_ptr<Processor>> processors;
    processors.reserve(contexts.size());
    for (const MachineContext& context : contexts)
      processors.push_back(std::make_unique<ArmProcessor>(context, system, host));
    return processors;
  }
};

}  // namespace

const Isa& arm_isa() {
  static const ArmIsa kIsa;
  return kIsa;
}

void register_arm() { register_isa(arm_isa()); }

}  // namespace shearling::arm
