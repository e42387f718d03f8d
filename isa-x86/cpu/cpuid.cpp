// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/cpu/cpuid.h"

#include <algorithm>
#include <array>

#include "isa-x86/cpu/system_state.h"

namespace shearling::x86 {
namespace {

constexpr std::uint32_t kExtended = 0x80000000;
enum Reg : std::uint8_t { kEax, kEbx, kEcx, kEdx };

constexpr std::array<FeatureInfo, 15> kFeatures{{
    {Feature::Tsc, "tsc", 1, kEdx, 4},
    {Feature::Apic, "apic", 1, kEdx, 9},
    {Feature::Pge, "pge", 1, kEdx, 13},
    {Feature::Pcid, "pcid", 1, kEcx, 17},
    {Feature::Cx16, "cx16", 1, kEcx, 13},
    {Feature::Popcnt, "popcnt", 1, kEcx, 23},
    {Feature::FsGsBase, "fsgsbase", 7, kEbx, 0},
    {Feature::Smep, "smep", 7, kEbx, 7},
    {Feature::Invpcid, "invpcid", 7, kEbx, 10},
    {Feature::Smap, "smap", 7, kEbx, 20},
    {Feature::Umip, "umip", 7, kEcx, 2},
    {Feature::Syscall, "syscall", kExtended + 1, kEdx, 11},
    {Feature::Nx, "nx", kExtended + 1, kEdx, 20},
    {Feature::Pdpe1Gb, "pdpe1gb", kExtended + 1, kEdx, 26},
    {Feature::Rdtscp, "rdtscp", kExtended + 1, kEdx, 27},
}};

/// What every core of this kind has, whatever the description says.
struct FixedBits {
  std::uint32_t leaf;
  CpuidResult bits;
};
constexpr std::uint32_t bits(std::initializer_list<unsigned> numbers) {
  std::uint32_t value = 0;
  for (const unsigned number : numbers) value |= 1U << number;
  return value;
}
constexpr std::array kFixed{
    // Vendor "ShearlingCPU", in EBX, EDX, ECX.
    FixedBits{0, {.eax = 7, .ebx = 0x61656853, .ecx = 0x55504367, .edx = 0x6e696c72}},
    // Family 6, model 15, stepping 1; CLFLUSH line of 8 quadwords, one logical processor. FPU, DE, PSE, MSR, PAE, CX8,
    // CMOV, PAT, PSE36, CLFSH, MMX, FXSR, SSE, SSE2.
    FixedBits{1, {.eax = 0x6f1, .ebx = 0x00010800, .edx = bits({0, 2, 3, 5, 6, 8, 15, 16, 17, 19, 23, 24, 25, 26})}},
    FixedBits{kExtended, {.eax = kExtended + 8}},
    FixedBits{kExtended + 1, {.ecx = bits({0}), .edx = bits({29})}},  // LAHF in 64-bit mode; long mode
    FixedBits{kExtended + 2,
              {.eax = 0x61656853, .ebx = 0x6e696c72, .ecx = 0x65742067, .edx = 0x69686361}},  // Shearling teachi
    FixedBits{kExtended + 3, {.eax = 0x6320676e, .ebx = 0x0065726f}},                         // ng core
    FixedBits{kExtended + 8, {.eax = 48U << 8 | kPhysicalAddressBits}},
};

std::uint32_t& register_of(CpuidResult& result, std::uint8_t reg) {
  switch (reg) {
    case kEax:
      return result.eax;
    case kEbx:
      return result.ebx;
    case kEcx:
      return result.ecx;
    default:
      return result.edx;
  }
}

}  // namespace

std::span<const FeatureInfo> feature_table() { return kFeatures; }

CpuFeatures::CpuFeatures(const MachineConfig& config) {
  for (const FeatureInfo& info : kFeatures) {
    const bool listed =
        std::find(config.cpu_features.begin(), config.cpu_features.end(), info.name) != config.cpu_features.end();
    if (listed) bits_ |= 1U << static_cast<unsigned>(info.feature);
  }
}

std::uint64_t CpuFeatures::cr4_valid() const {
  std::uint64_t valid = kCr4Tsd | kCr4De | kCr4Pse | kCr4Pae | kCr4Mce | kCr4Pce | kCr4Osfxsr | kCr4Osxmmexcpt;
  static constexpr std::pair<Feature, std::uint64_t> kOptional[] = {
      {Feature::Pge, kCr4Pge},    {Feature::Umip, kCr4Umip}, {Feature::FsGsBase, kCr4Fsgsbase},
      {Feature::Pcid, kCr4Pcide}, {Feature::Smep, kCr4Smep}, {Feature::Smap, kCr4Smap}};
  for (const auto& [feature, bit] : kOptional) {
    if (has(feature)) valid |= bit;
  }
  return valid;
}

std::uint64_t CpuFeatures::efer_valid() const {
  return kEferLme | kEferLma | (has(Feature::Syscall) ? kEferSce : 0) | (has(Feature::Nx) ? kEferNxe : 0);
}

std::string_view unknown_feature(const MachineConfig& config) {
  for (const std::string& name : config.cpu_features) {
    const bool known =
        std::any_of(kFeatures.begin(), kFeatures.end(), [&](const FeatureInfo& info) { return info.name == name; });
    if (!known) return name;
  }
  return {};
}

CpuidResult cpuid(const CpuFeatures& features, std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidResult result;
  if (leaf == 7 && subleaf != 0) return result;
  for (const FixedBits& row : kFixed) {
    if (row.leaf == leaf) result = row.bits;
  }
  for (const FeatureInfo& info : kFeatures) {
    if (info.leaf == leaf && features.has(info.feature)) register_of(result, info.reg) |= 1U << info.bit;
  }
  return result;
}

}  // namespace shearling::x86
