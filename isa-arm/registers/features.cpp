// SPDX-License-Identifier: GPL-3.0-or-later
//
// Optional CPU features of the machine description, what they add to the ID registers, and the values after reset.
#include <algorithm>
#include <array>

#include "core/machine/machine_config.h"
#include "isa-arm/registers/arm_state.h"

namespace shearling::arm {
namespace {

using R = SystemRegister;

constexpr std::array kFeatures{
    FeatureInfo{"el2", "EL2", "The hypervisor's exception level, with stage-2 translation and traps."},
    FeatureInfo{"vhe", "FEAT_VHE", "EL2 can host an operating system: HCR_EL2.E2H and the _EL12 names."},
    FeatureInfo{"pan", "FEAT_PAN, FEAT_PAN2", "PSTATE.PAN keeps EL1 and EL2 from memory that EL0 may touch."},
    FeatureInfo{"hafdbs", "FEAT_HAFDBS", "Hardware sets the access flag and manages dirty state."},
    FeatureInfo{"granule-16k", "16 KB granule", "Translation tables and pages of 16 KB."},
    FeatureInfo{"xnx", "FEAT_XNX", "Stage 2 forbids execution for EL0 and EL1 apart."},
};

struct IdentificationField {
  std::string_view feature;
  R reg;
  unsigned low;
  std::uint64_t value, mask = 0xf;
};
constexpr std::array kIdentification{
    IdentificationField{"el2", R::ID_AA64PFR0_EL1, 8, 1},
    IdentificationField{"vhe", R::ID_AA64MMFR1_EL1, 8, 1},
    IdentificationField{"vhe", R::ID_AA64DFR0_EL1, 0, 7},
    IdentificationField{"pan", R::ID_AA64MMFR1_EL1, 20, 2},
    IdentificationField{"hafdbs", R::ID_AA64MMFR1_EL1, 0, 2},
    IdentificationField{"granule-16k", R::ID_AA64MMFR0_EL1, 20, 1},
    IdentificationField{"xnx", R::ID_AA64MMFR1_EL1, 28, 1},
};

/// Affinity as QEMU's board numbers cores under a GICv3: clusters of 16.
std::uint64_t affinity_of(unsigned cpu) {
  constexpr unsigned kCoresPerCluster = 16;
  return (cpu % kCoresPerCluster) | static_cast<std::uint64_t>(cpu / kCoresPerCluster) << 8;
}

}  // namespace

std::span<const FeatureInfo> feature_table() { return kFeatures; }

std::string_view unknown_feature(const MachineConfig& config) {
  for (const std::string& name : config.cpu_features) {
    const bool known =
        std::any_of(kFeatures.begin(), kFeatures.end(), [&](const FeatureInfo& info) { return info.name == name; });
    if (!known) return name;
  }
  return {};
}

bool has_feature(const MachineConfig& config, std::string_view name) {
  return std::find(config.cpu_features.begin(), config.cpu_features.end(), name) != config.cpu_features.end();
}

void reset_system_registers(ArmState& state, const MachineConfig& config, unsigned cpu) {
  for (const SystemRegisterInfo& info : system_register_table()) {
    const bool exists = info.feature.empty() || has_feature(config, info.feature);
    state[info.id] = exists ? info.reset : 0;
  }
  for (const IdentificationField& field : kIdentification) {
    if (!has_feature(config, field.feature)) continue;
    state[field.reg] = (state[field.reg] & ~(field.mask << field.low)) | field.value << field.low;
  }
  state[R::MPIDR_EL1] |= affinity_of(cpu);
  if (has_feature(config, "el2")) state[R::VMPIDR_EL2] = state[R::MPIDR_EL1];
}

}  // namespace shearling::arm
