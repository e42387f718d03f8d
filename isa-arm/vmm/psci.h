// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Power State Coordination Interface (DEN 0022, version 1.1) and the SMC Calling Convention (DEN 0028) as numbers:
// function identifiers in X0, answers in X0. A function that has a 32-bit and a 64-bit form differs in bit 30.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace shearling::arm::psci {

inline constexpr std::uint32_t kVersion = 0x84000000, kCpuSuspend = 0x84000001, kCpuOff = 0x84000002,
                               kCpuOn = 0x84000003, kAffinityInfo = 0x84000004, kMigrateInfoType = 0x84000006,
                               kSystemOff = 0x84000008, kSystemReset = 0x84000009, kFeatures = 0x8400000a,
                               kSmcccVersion = 0x80000000;
inline constexpr std::uint32_t kSixtyFourBit = 1U << 30;

inline constexpr std::uint64_t kPsciVersion11 = 0x10001, kSmcccVersion11 = 0x10001;
inline constexpr std::uint64_t kNoTrustedOs = 2;  ///< MIGRATE_INFO_TYPE: nothing to migrate.
inline constexpr std::uint64_t kAffinityOn = 0, kAffinityOff = 1;

inline constexpr std::int64_t kSuccess = 0, kNotSupported = -1, kInvalidParameters = -2, kAlreadyOn = -4;

/// The affinity fields of MPIDR_EL1, as CPU_ON and AFFINITY_INFO name a core.
inline constexpr std::uint64_t kAffinityMask = 0xff00ffffff;

/// Every function that this board's firmware serves, whoever stands in for it.
inline constexpr std::array kFunctions{kVersion,   kCpuOff,      kCpuOn,    kAffinityInfo, kMigrateInfoType,
                                       kSystemOff, kSystemReset, kFeatures, kSmcccVersion};
inline constexpr std::array kWideFunctions{kCpuOn, kAffinityInfo};  ///< Have a form with bit 30 set.

/// The function that an identifier (its low 32 bits) names, without the bit that tells its wide form; nothing where
/// there is none.
inline std::optional<std::uint32_t> function_of(std::uint64_t identifier) {
  const auto given = static_cast<std::uint32_t>(identifier), narrow = given & ~kSixtyFourBit;
  const auto among = [&](const auto& functions) {
    return std::find(functions.begin(), functions.end(), narrow) != functions.end();
  };
  if (given == narrow ? among(kFunctions) : among(kWideFunctions)) return narrow;
  return std::nullopt;
}

}  // namespace shearling::arm::psci
