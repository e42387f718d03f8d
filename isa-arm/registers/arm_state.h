// SPDX-License-Identifier: GPL-3.0-or-later
//
// The architectural state of one AArch64 core that is not in the engine's register file: PSTATE without NZCV, the
// banked stack pointers, and the system registers. Arm Architecture Reference Manual (DDI 0487), D1.2 and D1.4.
// The current stack pointer and NZCV are the engine's; SP_ELx here are those of the levels that do not use theirs now.
#pragma once

#include <array>
#include <cstdint>

#include "isa-arm/registers/system_registers.h"

namespace shearling::arm {

/// HCR_EL2 (DDI 0487, D19.2.48).
namespace hcr {
inline constexpr std::uint64_t kVm = 1ULL << 0, kSwio = 1ULL << 1, kPtw = 1ULL << 2, kFmo = 1ULL << 3, kImo = 1ULL << 4,
                               kAmo = 1ULL << 5, kVf = 1ULL << 6, kVi = 1ULL << 7, kVse = 1ULL << 8, kFb = 1ULL << 9,
                               kDc = 1ULL << 12, kTwi = 1ULL << 13, kTwe = 1ULL << 14, kTid0 = 1ULL << 15,
                               kTid1 = 1ULL << 16, kTid2 = 1ULL << 17, kTid3 = 1ULL << 18, kTsc = 1ULL << 19,
                               kTidcp = 1ULL << 20, kTacr = 1ULL << 21, kTsw = 1ULL << 22, kTpc = 1ULL << 23,
                               kTpu = 1ULL << 24, kTtlb = 1ULL << 25, kTvm = 1ULL << 26, kTge = 1ULL << 27,
                               kTdz = 1ULL << 28, kHcd = 1ULL << 29, kTrvm = 1ULL << 30, kRw = 1ULL << 31,
                               kCd = 1ULL << 32, kId = 1ULL << 33, kE2h = 1ULL << 34;
}  // namespace hcr

/// SCTLR_ELx (DDI 0487, D19.2.120): the bits that this core looks at.
namespace sctlr {
inline constexpr std::uint64_t kM = 1ULL << 0, kA = 1ULL << 1, kC = 1ULL << 2, kSa = 1ULL << 3, kSa0 = 1ULL << 4,
                               kUma = 1ULL << 9, kI = 1ULL << 12, kDze = 1ULL << 14, kUct = 1ULL << 15,
                               kNtwi = 1ULL << 16, kNtwe = 1ULL << 18, kWxn = 1ULL << 19, kSpan = 1ULL << 23,
                               kE0e = 1ULL << 24, kEe = 1ULL << 25, kUci = 1ULL << 26;
}  // namespace sctlr

/// SPSR_ELx and PSTATE (DDI 0487, C5.2.18).
namespace spsr {
inline constexpr std::uint64_t kSpSelected = 1ULL << 0, kAArch32 = 1ULL << 4, kF = 1ULL << 6, kI = 1ULL << 7,
                               kA = 1ULL << 8, kD = 1ULL << 9, kDaif = 0xfULL << 6, kIl = 1ULL << 20, kSs = 1ULL << 21,
                               kPan = 1ULL << 22, kNzcv = 0xfULL << 28;
constexpr unsigned exception_level_of(std::uint64_t value) { return (value >> 2) & 3; }
}  // namespace spsr

struct ArmState {
  unsigned exception_level = 1;                   ///< 0 to 2.
  bool stack_pointer_select = true;               ///< PSTATE.SP: SP_ELx rather than SP_EL0.
  std::uint64_t daif = spsr::kDaif;               ///< The mask bits, where SPSR has them.
  bool pan = false;                               ///< PSTATE.PAN (FEAT_PAN).
  bool illegal = false;                           ///< PSTATE.IL.
  bool software_step = false;                     ///< PSTATE.SS.
  std::array<std::uint64_t, 3> stack_pointers{};  ///< SP_EL0 to SP_EL2, as of when each was last the current one.
  std::array<std::uint64_t, kSystemRegisterCount> system{};

  bool powered = false;                ///< PSCI: this core runs.
  bool waiting_for_interrupt = false;  ///< WFI.
  bool waiting_for_event = false;      ///< WFE.
  bool event_register = false;         ///< Set by SEV and by what WFE waits for.
  bool serror_pending = false;         ///< A physical SError.
  /// The local exclusive monitor (DDI 0487, B2.12): a region of one cache line, by its physical address.
  bool exclusive_open = false;
  std::uint64_t exclusive_address = 0;
  std::uint32_t exclusive_size = 0;  ///< Bytes.

  [[nodiscard]] std::uint64_t operator[](SystemRegister reg) const { return system[static_cast<std::size_t>(reg)]; }
  [[nodiscard]] std::uint64_t& operator[](SystemRegister reg) { return system[static_cast<std::size_t>(reg)]; }
  [[nodiscard]] bool hcr(std::uint64_t bit) const { return ((*this)[SystemRegister::HCR_EL2] & bit) != 0; }
  /// FEAT_VHE's host mode is on: EL2 has the EL2&0 regime and its registers' EL1 names.
  [[nodiscard]] bool e2h() const { return hcr(hcr::kE2h); }
  /// EL0 belongs to EL2: HCR_EL2.TGE.
  [[nodiscard]] bool tge() const { return hcr(hcr::kTge); }
  /// The level that the stack pointer in use belongs to.
  [[nodiscard]] unsigned stack_pointer_level() const { return stack_pointer_select ? exception_level : 0; }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(exception_level, stack_pointer_select, daif, pan, illegal, software_step, stack_pointers, system, powered,
            waiting_for_interrupt, waiting_for_event, event_register, serror_pending, exclusive_open, exclusive_address,
            exclusive_size);
  }
};

}  // namespace shearling::arm
