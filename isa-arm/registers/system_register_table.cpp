// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cassert>

#include "isa-arm/registers/arm_state.h"
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm {
namespace {

using R = SystemRegister;
using Table = std::array<SystemRegisterInfo, kSystemRegisterCount>;

Table joined() {
  Table table{};
  for (const auto group : {groups::identification(), groups::process_state(), groups::translation(),
                           groups::exceptions(), groups::hypervisor(), groups::timers(), groups::interrupts(),
                           groups::debug(), groups::performance_monitors()}) {
    for (const SystemRegisterInfo& info : group) {
      SystemRegisterInfo& place = table[static_cast<std::size_t>(info.id)];
      assert(place.id == R::Count);
      place = info;
    }
  }
  return table;
}

const Table& table_of_registers() {
  static const Table table = joined();
  return table;
}

constexpr HostRedirection kRedirections[] = {
    {R::SCTLR_EL1, R::SCTLR_EL2, "SCTLR_EL12"},
    {R::CPACR_EL1, R::CPTR_EL2, "CPACR_EL12"},
    {R::TTBR0_EL1, R::TTBR0_EL2, "TTBR0_EL12"},
    {R::TTBR1_EL1, R::TTBR1_EL2, "TTBR1_EL12"},
    {R::TCR_EL1, R::TCR_EL2, "TCR_EL12"},
    {R::SPSR_EL1, R::SPSR_EL2, "SPSR_EL12"},
    {R::ELR_EL1, R::ELR_EL2, "ELR_EL12"},
    {R::AFSR0_EL1, R::AFSR0_EL2, "AFSR0_EL12"},
    {R::AFSR1_EL1, R::AFSR1_EL2, "AFSR1_EL12"},
    {R::ESR_EL1, R::ESR_EL2, "ESR_EL12"},
    {R::FAR_EL1, R::FAR_EL2, "FAR_EL12"},
    {R::MAIR_EL1, R::MAIR_EL2, "MAIR_EL12"},
    {R::AMAIR_EL1, R::AMAIR_EL2, "AMAIR_EL12"},
    {R::VBAR_EL1, R::VBAR_EL2, "VBAR_EL12"},
    {R::CONTEXTIDR_EL1, R::CONTEXTIDR_EL2, "CONTEXTIDR_EL12"},
    {R::CNTKCTL_EL1, R::CNTHCTL_EL2, "CNTKCTL_EL12"},
    {R::CNTP_TVAL_EL0, R::CNTHP_TVAL_EL2, "CNTP_TVAL_EL02"},
    {R::CNTP_CTL_EL0, R::CNTHP_CTL_EL2, "CNTP_CTL_EL02"},
    {R::CNTP_CVAL_EL0, R::CNTHP_CVAL_EL2, "CNTP_CVAL_EL02"},
    {R::CNTV_TVAL_EL0, R::CNTHV_TVAL_EL2, "CNTV_TVAL_EL02"},
    {R::CNTV_CTL_EL0, R::CNTHV_CTL_EL2, "CNTV_CTL_EL02"},
    {R::CNTV_CVAL_EL0, R::CNTHV_CVAL_EL2, "CNTV_CVAL_EL02"},
};

/// Registers of EL2 that have another layout while HCR_EL2.E2H is set.
struct HostLayout {
  R reg;
  std::uint64_t writable, always_one;
};
constexpr HostLayout kHostLayouts[] = {
    {R::SCTLR_EL2, 0x048dd01f, 0x30500980},  // As SCTLR_EL1, without UMA.
    {R::TCR_EL2, 0x1f7ffffffbf, 0},          // As TCR_EL1.
    {R::CPTR_EL2, 0x80300000, 0},            // TCPAC, and FPEN where CPACR_EL1 has it.
    {R::CNTHCTL_EL2, 0xfff, 0},              // As CNTKCTL_EL1, with EL1PCTEN and EL1PTEN in bits 10 and 11.
};

/// Bits that are writable only with a feature; without it they read as zero, or as one where `otherwise` says so.
struct OptionalBits {
  R reg;
  std::string_view feature;
  std::uint64_t bits, otherwise;
};
constexpr std::uint64_t kStageOneUpdates = 3ULL << 39, kEl2Updates = 3ULL << 21;
constexpr OptionalBits kOptionalBits[] = {
    {R::SCTLR_EL1, "pan", sctlr::kSpan, sctlr::kSpan},
    {R::SPSR_EL1, "pan", spsr::kPan, 0},
    {R::SPSR_EL2, "pan", spsr::kPan, 0},
    {R::TCR_EL1, "hafdbs", kStageOneUpdates, 0},
    {R::VTCR_EL2, "hafdbs", kEl2Updates, 0},
    {R::HCR_EL2, "vhe", hcr::kE2h, 0},
};
/// The same where the layout matters, for E2H clear and set.
constexpr OptionalBits kPlainLayoutBits[] = {{R::TCR_EL2, "hafdbs", kEl2Updates, 0}};
constexpr OptionalBits kHostLayoutBits[] = {{R::TCR_EL2, "hafdbs", kStageOneUpdates, 0},
                                            {R::SCTLR_EL2, "pan", sctlr::kSpan, sctlr::kSpan}};

std::uint64_t without_missing_features(std::span<const OptionalBits> rows, const MachineConfig& config, R reg,
                                       std::uint64_t value) {
  for (const OptionalBits& row : rows) {
    if (row.reg == reg && !has_feature(config, row.feature)) value = (value & ~row.bits) | row.otherwise;
  }
  return value;
}

std::uint64_t legal_value(const ArmState& state, const MachineConfig& config, R reg, std::uint64_t value) {
  const SystemRegisterInfo& info = info_of(reg);
  std::uint64_t writable = info.writable, always_one = info.always_one;
  const auto* const host = std::find_if(std::begin(kHostLayouts), std::end(kHostLayouts),
                                        [reg](const HostLayout& layout) { return layout.reg == reg; });
  const bool host_layout = state.e2h() && host != std::end(kHostLayouts);
  if (host_layout) {
    writable = host->writable;
    always_one = host->always_one;
  }
  value = (value & writable) | always_one;
  value = without_missing_features(kOptionalBits, config, reg, value);
  return host_layout ? without_missing_features(kHostLayoutBits, config, reg, value)
                     : without_missing_features(kPlainLayoutBits, config, reg, value);
}

/// Registers that only set or only clear bits of one word, which both of them read (DDI 0487, D19.5).
struct BitPair {
  R set, clear;
};
constexpr BitPair kBitPairs[] = {
    {R::PMCNTENSET_EL0, R::PMCNTENCLR_EL0}, {R::PMINTENSET_EL1, R::PMINTENCLR_EL1}, {R::PMOVSSET_EL0, R::PMOVSCLR_EL0}};

bool write_bit_pair(ArmState& state, R reg, std::uint64_t value) {
  for (const BitPair& pair : kBitPairs) {
    if (reg != pair.set && reg != pair.clear) continue;
    const std::uint64_t bits = value & info_of(reg).writable;
    const std::uint64_t after = reg == pair.set ? state[pair.set] | bits : state[pair.set] & ~bits;
    state[pair.set] = state[pair.clear] = after;
    return true;
  }
  return false;
}

// Event counters there are none, so only the cycle counter's filter can be selected.
constexpr std::uint64_t kCycleCounterSelected = 31;
constexpr std::uint64_t kResetCycleCounter = 1ULL << 2, kWritableControl = 0x79;

void write_monitor_control(ArmState& state, std::uint64_t value) {
  if ((value & kResetCycleCounter) != 0) state[R::PMCCNTR_EL0] = 0;
  state[R::PMCR_EL0] = (state[R::PMCR_EL0] & ~kWritableControl) | (value & kWritableControl);
}

constexpr std::uint64_t kLocked = 1ULL << 1;  // OSLSR_EL1.OSLK

// CCSIDR_EL1 of the Cortex-A57 by CSSELR_EL1: 32 KB data, 48 KB instructions, 2 MB of level 2.
constexpr std::uint64_t kCacheSizes[] = {0x701fe00a, 0x201fe012, 0x70ffe07a};
constexpr std::uint64_t kZeroProhibited = 1ULL << 4;

/// DC ZVA would trap now (DDI 0487, D19.2, DCZID_EL0).
bool zeroing_is_prohibited(const ArmState& state) {
  const bool host = state.e2h() && state.tge();
  if (state.exception_level < 2 && !host && state.hcr(hcr::kTdz)) return true;
  if (state.exception_level != 0) return false;
  return (state[host ? R::SCTLR_EL2 : R::SCTLR_EL1] & sctlr::kDze) == 0;
}

}  // namespace

std::span<const SystemRegisterInfo> system_register_table() { return table_of_registers(); }

const SystemRegisterInfo& info_of(SystemRegister reg) {
  assert(reg != SystemRegister::Count);
  return table_of_registers()[static_cast<std::size_t>(reg)];
}

SystemEncoding HostRedirection::alias_encoding() const {
  constexpr std::uint8_t kAliasOp1 = 5;
  SystemEncoding encoding = info_of(reg).encoding;
  encoding.op1 = kAliasOp1;
  return encoding;
}

std::span<const HostRedirection> host_redirections() { return kRedirections; }

std::uint64_t read_stored(const ArmState& state, SystemRegister reg) {
  switch (reg) {
    case R::CCSIDR_EL1: {
      const std::uint64_t selected = state[R::CSSELR_EL1];
      return selected < std::size(kCacheSizes) ? kCacheSizes[selected] : 0;
    }
    case R::DCZID_EL0:
      return state[reg] | (zeroing_is_prohibited(state) ? kZeroProhibited : 0);
    case R::PMXEVTYPER_EL0:
      return state[R::PMSELR_EL0] == kCycleCounterSelected ? state[R::PMCCFILTR_EL0] : 0;
    default:
      return state[reg];
  }
}

void write_stored(ArmState& state, const MachineConfig& config, SystemRegister reg, std::uint64_t value) {
  if (write_bit_pair(state, reg, value)) return;
  switch (reg) {
    case R::PMCR_EL0:
      return write_monitor_control(state, value);
    case R::OSLAR_EL1:
      state[R::OSLSR_EL1] = (value & 1) != 0 ? state[R::OSLSR_EL1] | kLocked : state[R::OSLSR_EL1] & ~kLocked;
      return;
    case R::PMXEVTYPER_EL0:
      if (state[R::PMSELR_EL0] == kCycleCounterSelected) state[R::PMCCFILTR_EL0] = value & info_of(reg).writable;
      return;
    default:
      state[reg] = legal_value(state, config, reg, value);
  }
}

}  // namespace shearling::arm
