// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/cpu/arm_system.h"

#include <algorithm>

#include "isa-arm/cpu/arm_processor.h"
#include "isa-arm/vmm/psci.h"

namespace shearling::arm {
namespace {

constexpr unsigned kHypervisorLevel = 2;

MachineConfig with_host(MachineConfig config, unsigned host_level) {
  if (host_level == kHypervisorLevel && !has_feature(config, "el2")) config.cpu_features.emplace_back("el2");
  return config;
}

}  // namespace

ArmSystem::ArmSystem(const MachineContext& first, unsigned cpus, unsigned host_level)
    : config(with_host(first.config, host_level)),
      gic(cpus, first.events),
      devices_(first.devices),
      request_(first.request),
      host_level_(host_level),
      has_el2_(has_feature(config, "el2")) {
  devices_.attach_memory(gic.distributor(), kDistributorBase, kDistributorBytes);
  devices_.attach_memory(gic.redistributors(), kRedistributorBase, kRedistributorBytes * cpus);
  devices_.connect_interrupts(this);
}

ArmSystem::~ArmSystem() { devices_.connect_interrupts(nullptr); }

void ArmSystem::invalidate_everywhere(const TlbInvalidation& what) {
  for (ArmProcessor* core : cores_) core->invalidate(what);
}

void ArmSystem::send_event() {
  for (ArmProcessor* core : cores_) core->receive_event();
}

void ArmSystem::tables_changed() {
  for (ArmProcessor* core : cores_) core->tables_changed();
}

/// PSCI and the calling convention's version, as the firmware of QEMU's board answers them.
void ArmSystem::call_firmware(ArmProcessor& core) {
  const std::optional<std::uint32_t> function = psci::function_of(core.general(0));
  const auto answer = [&](std::uint64_t value) { core.set_general(0, value); };
  const auto answer_code = [&](std::int64_t code) { answer(static_cast<std::uint64_t>(code)); };
  if (!function) return answer_code(psci::kNotSupported);
  switch (*function) {
    case psci::kVersion:
      return answer(psci::kPsciVersion11);
    case psci::kSmcccVersion:
      return answer(psci::kSmcccVersion11);
    case psci::kFeatures:
      return answer_code(psci::function_of(core.general(1)) ? psci::kSuccess : psci::kNotSupported);
    case psci::kMigrateInfoType:
      return answer(psci::kNoTrustedOs);
    case psci::kCpuOn:
      return answer_code(cpu_on(core.general(1), {core.general(2)}, core.general(3)));
    case psci::kAffinityInfo: {
      const ArmProcessor* target = by_affinity(core.general(1));
      if (target == nullptr) return answer_code(psci::kInvalidParameters);
      return answer(target->powered() ? psci::kAffinityOn : psci::kAffinityOff);
    }
    case psci::kCpuOff:
      return core.power_off();
    case psci::kSystemOff:
      request_.stop = StopReason::PowerOff;
      return;
    default:
      request_.stop = StopReason::Reset;
  }
}

ArmProcessor* ArmSystem::by_affinity(std::uint64_t affinity) const {
  const auto found = std::find_if(cores_.begin(), cores_.end(), [&](const ArmProcessor* core) {
    return (core->affinity() & psci::kAffinityMask) == (affinity & psci::kAffinityMask);
  });
  return found == cores_.end() ? nullptr : *found;
}

std::int64_t ArmSystem::cpu_on(std::uint64_t affinity, VirtualAddress entry, std::uint64_t context_id) {
  ArmProcessor* const target = by_affinity(affinity);
  if (target == nullptr) return psci::kInvalidParameters;
  if (target->powered()) return psci::kAlreadyOn;
  target->start_at(entry, context_id);
  return psci::kSuccess;
}

}  // namespace shearling::arm
