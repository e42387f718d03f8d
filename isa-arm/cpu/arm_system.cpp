// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/cpu/arm_system.h"

#include <algorithm>
#include <array>

#include "isa-arm/cpu/arm_processor.h"
#include "isa-arm/cpu/psci.h"

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

void ArmSystem::call_firmware(ArmProcessor& core) {
  const auto function = static_cast<std::uint32_t>(core.general(0));
  std::uint64_t result = psci::kNotSupported;
  switch (function) {
    case psci::kVersion:
      result = psci::kVersion11;
      break;
    case psci::kFeatures:
      result = psci::is_known(static_cast<std::uint32_t>(core.general(1))) ? psci::kSuccess : psci::kNotSupported;
      break;
    case psci::kMigrateInfoType:
      result = psci::kMigrationNotRequired;
      break;
    case psci::kCpuOn32:
    case psci::kCpuOn64:
      result = cpu_on(core.general(1), {core.general(2)}, core.general(3));
      break;
    case psci::kAffinityInfo32:
    case psci::kAffinityInfo64: {
      const ArmProcessor* target = by_affinity(core.general(1));
      result = target == nullptr   ? psci::kInvalidParameters
               : target->powered() ? psci::kAffinityOn
                                   : psci::kAffinityOff;
      break;
    }
    case psci::kCpuOff:
      return core.power_off();
    case psci::kSystemOff:
      request_.stop = StopReason::PowerOff;
      return;
    case psci::kSystemReset:
      request_.stop = StopReason::Reset;
      return;
    default:
      break;
  }
  core.set_general(0, result);
}

ArmProcessor* ArmSystem::by_affinity(std::uint64_t affinity) const {
  constexpr std::uint64_t kAffinityMask = 0xff00ffffff;
  const auto found = std::find_if(cores_.begin(), cores_.end(), [&](const ArmProcessor* core) {
    return (core->affinity() & kAffinityMask) == (affinity & kAffinityMask);
  });
  return found == cores_.end() ? nullptr : *found;
}

std::uint64_t ArmSystem::cpu_on(std::uint64_t affinity, VirtualAddress entry, std::uint64_t context_id) {
  ArmProcessor* const target = by_affinity(affinity);
  if (target == nullptr) return psci::kInvalidParameters;
  if (target->powered()) return psci::kAlreadyOn;
  target->start_at(entry, context_id);
  return psci::kSuccess;
}

}  // namespace shearling::arm
