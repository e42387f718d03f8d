// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/isa_x86.h"

#include <array>

#include "core/loader/elf_image.h"
#include "isa-x86/cpu/x86_processor.h"
#include "isa-x86/vmm/vtx_host.h"

namespace shearling::x86 {
namespace {

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
  std::vector<std::unique_ptr<Processor>> make_processors(const std::vector<MachineContext>& contexts,
                                                          VmmTechnique technique) const override {
    std::vector<std::unique_ptr<Processor>> processors;
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
