// SPDX-License-Identifier: GPL-3.0-or-later
//
// What CPUID says on this core (SDM volume 2A, CPUID) and what follows from it: which CR4 and EFER bits exist. The
// machine description names the optional features; the rest (PAE, CX8, CMOV, FXSR, SSE2, long mode, ...) always exists.
// Left out: leaves on caches and topology (they read as zero), AVX and XSAVE, MTRRs, machine check.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/machine/machine_config.h"

namespace shearling::x86 {

enum class Feature : std::uint8_t {
  Tsc,
  Apic,
  Pge,
  Pcid,
  Cx16,
  Popcnt,
  FsGsBase,
  Smep,
  Invpcid,
  Smap,
  Umip,
  Syscall,
  Nx,
  Pdpe1Gb,
  Rdtscp
};
struct FeatureInfo {
  Feature feature;
  std::string_view name;  ///< As machine descriptions spell it.
  std::uint32_t leaf;
  std::uint8_t reg;  ///< 0 EAX, 1 EBX, 2 ECX, 3 EDX.
  std::uint8_t bit;
};
std::span<const FeatureInfo> feature_table();

/// The optional features of one machine.
class CpuFeatures {
 public:
  explicit CpuFeatures(const MachineConfig& config);
  [[nodiscard]] bool has(Feature feature) const { return (bits_ >> static_cast<unsigned>(feature) & 1) != 0; }
  /// Bits of CR4 that may be set; all others are reserved.
  [[nodiscard]] std::uint64_t cr4_valid() const;
  [[nodiscard]] std::uint64_t efer_valid() const;

 private:
  std::uint32_t bits_ = 0;
};
/// The first name in the description that is no feature of this ISA; empty when all are known.
std::string_view unknown_feature(const MachineConfig& config);

struct CpuidResult {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  bool operator==(const CpuidResult&) const = default;
};
/// The hardware's own answer. A VMM may give its guest another one (the hypervisor bit, for example).
CpuidResult cpuid(const CpuFeatures& features, std::uint32_t leaf, std::uint32_t subleaf);

}  // namespace shearling::x86
