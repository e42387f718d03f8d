// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/isa_arm.h"

#include <array>

#include "core/loader/elf_image.h"
#include "isa-arm/cpu/arm_processor.h"
#include "isa-arm/vmm/host.h"

namespace shearling::arm {
namespace {

constexpr std::uint64_t kRamBase = 0x40000000;
constexpr unsigned kMostCpus = 8;

class ArmIsa : public Isa {
 public:
  [[nodiscard]] std::string_view name() const override { return "aarch64"; }
  [[nodiscard]] bool accepts(ElfMachine machine) const override { return machine == ElfMachine::AArch64; }
  [[nodiscard]] std::string_view default_machine() const override { return "virt"; }
  [[nodiscard]] std::span<const VmmTechnique> techniques() const override {
    static constexpr std::array kTechniques{VmmTechnique::Bare, VmmTechnique::El2};
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
  std::vector<std::unique_ptr<Processor>> make_processors(const std::vector<MachineContext>& contexts,
                                                          VmmTechnique technique) const override {
    const std::shared_ptr<Host> host =
        technique == VmmTechnique::Bare ? nullptr : make_host(contexts.front(), technique);
    const auto system = std::make_shared<ArmSystem>(contexts.front(), static_cast<unsigned>(contexts.size()),
                                                    host ? host->exception_level() : 0);
    std::vector<std::unique_ptr<Processor>> processors;
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
