// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/isa_x86.h"

#include <array>

#include "core/loader/elf_image.h"
#include "isa-x86/cpu/x86_processor.h"
#include "isa-x86/vmm/vtx_host.h"

namespace shearling::x86 {
namespace {

constexpr TechniqueWords kBareWords{.title = "bare",
                                    .tip = "Start the guest again with no VMM",
                                    .guest = "on the bare machine",
                                    .vmm = {},
                                    .without_vmm = "no VMM: traps go through the guest's own table",
                                    .control_structure = {},
                                    .exit_reason = {},
                                    .exit_address = {},
                                    .trap_words = "IDT: vector {vector}",
                                    .guest_physical = "gPA",
                                    .host_physical = "PA",
                                    .nested_tables = {}};
constexpr TechniqueWords kVtxWords{.title = "VT-x + EPT",
                                   .tip = "Start the guest again as a VM under VT-x",
                                   .guest = "non-root operation",
                                   .vmm = "root operation",
                                   .without_vmm = {},
                                   .control_structure = "VMCS",
                                   .exit_reason = "VMCS: exit reason",
                                   .exit_address = "RIP",
                                   .trap_words = "IDT: vector {vector}",
                                   .guest_physical = "gPA",
                                   .host_physical = "hPA",
                                   .nested_tables = "EPT"};

constexpr std::array<TableLevelWords, 6> kStage1Levels{{{},
                                                        {"guest L1 (PTE)", "PTE"},
                                                        {"guest L2 (PDE)", "PDE"},
                                                        {"guest L3 (PDPTE)", "PDPTE"},
                                                        {"guest L4 (PML4E)", "PML4E"},
                                                        {"guest L5 (PML5E)", "PML5E"}}};
constexpr std::array<TableLevelWords, 6> kStage2Levels{
    {{}, {"EPT L1", "EPT L1"}, {"EPT L2", "EPT L2"}, {"EPT L3", "EPT L3"}, {"EPT L4", "EPT L4"}, {"EPT L5", "EPT L5"}}};

class X86Isa : public Isa {
 public:
  [[nodiscard]] std::string_view name() const override { return "x86-64"; }
  [[nodiscard]] bool accepts(ElfMachine machine) const override { return machine != ElfMachine::AArch64; }
  [[nodiscard]] std::string_view default_machine() const override { return "pc"; }
  [[nodiscard]] std::span<const VmmTechnique> techniques() const override {
    static constexpr std::array kTechniques{VmmTechnique::Bare, VmmTechnique::VtX};
    return kTechniques;
  }
  [[nodiscard]] std::span<const PrivilegeLevel> privilege_levels() const override {
    static constexpr std::array kLevels{PrivilegeLevel{3, "ring 3", Actor::GuestUser},
                                        PrivilegeLevel{0, "ring 0", Actor::GuestKernel}};
    return kLevels;
  }
  [[nodiscard]] ExecutionMode initial_mode() const override { return ExecutionMode::X86Protected32; }
  [[nodiscard]] PhysicalAddress physical_memory_base() const override { return {0}; }
  [[nodiscard]] std::uint64_t physical_memory_bytes(const MachineConfig& config,
                                                    VmmTechnique technique) const override {
    return technique == VmmTechnique::VtX ? vtx_physical_memory_bytes(config) : config.ram_bytes;
  }
  [[nodiscard]] TechniqueWords technique_words(VmmTechnique technique) const override {
    return technique == VmmTechnique::VtX ? kVtxWords : kBareWords;
  }
  [[nodiscard]] TableLevelWords table_level_words(unsigned stage, unsigned level) const override {
    const auto& levels = stage == 1 ? kStage1Levels : kStage2Levels;
    return level < levels.size() ? levels[level] : TableLevelWords{};
  }
  [[nodiscard]] std::span<const std::string_view> essential_registers() const override {
    static constexpr std::array<std::string_view, 11> kNames{"RAX", "RSP", "RIP", "RFLAGS", "CR0", "CR2",
                                                             "CR3", "CR4", "CPL", "TSC",    "IDTR"};
    return kNames;
  }
  [[nodiscard]] bool comes_back(std::string_view instruction) const override {
    return instruction.starts_with("call") || instruction.starts_with("syscall");
  }
  std::vector<std::unique_ptr<Processor>> make_processors(const std::vector<MachineContext>& contexts,
                                                          VmmTechnique technique) const override {
    std::vector<std::unique_ptr<Processor>> processors;
    processors.reserve(contexts.size());
    for (const MachineContext& context : contexts)
      processors.push_back(std::make_unique<X86Processor>(context, technique, &make_vtx_host));
    return processors;
  }
};

}  // namespace

const Isa& x86_isa() {
  static const X86Isa kIsa;
  return kIsa;
}

void register_x86() { register_isa(x86_isa()); }

}  // namespace shearling::x86
