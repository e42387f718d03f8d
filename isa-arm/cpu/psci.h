// SPDX-License-Identifier: GPL-3.0-or-later
//
// Function and result numbers of the Power State Coordination Interface, version 1.1 (DEN 0022, chapter 5), by the SMC
// calling convention (DEN 0028). The whole of it that the firmware of this board answers.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace shearling::arm::psci {

inline constexpr std::uint32_t kVersion = 0x84000000, kCpuOff = 0x84000002, kCpuOn32 = 0x84000003,
                               kCpuOn64 = 0xc4000003, kAffinityInfo32 = 0x84000004, kAffinityInfo64 = 0xc4000004,
                               kMigrateInfoType = 0x84000006, kSystemOff = 0x84000008, kSystemReset = 0x84000009,
                               kFeatures = 0x8400000a;
inline constexpr std::uint64_t kSuccess = 0, kNotSupported = ~std::uint64_t{0}, kInvalidParameters = ~std::uint64_t{1},
                               kAlreadyOn = ~std::uint64_t{3};
inline constexpr std::uint64_t kVersion11 = 0x10001, kMigrationNotRequired = 2, kAffinityOn = 0, kAffinityOff = 1;

inline constexpr std::array kFunctions{kVersion,        kCpuOff,          kCpuOn32,   kCpuOn64,     kAffinityInfo32,
                                       kAffinityInfo64, kMigrateInfoType, kSystemOff, kSystemReset, kFeatures};
constexpr bool is_known(std::uint32_t function) {
  return std::find(kFunctions.begin(), kFunctions.end(), function) != kFunctions.end();
}

}  // namespace shearling::arm::psci
