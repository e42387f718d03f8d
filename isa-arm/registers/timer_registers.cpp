// SPDX-License-Identifier: GPL-3.0-or-later
//
// The generic timer's registers (DDI 0487, chapter D12): counters, four timers, and who may use them. With
// HCR_EL2.E2H, CNTHCTL_EL2 has CNTKCTL_EL1's layout and two bits more (system_register_table.cpp).
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kKernelControl[] = {{"EL0PTEN", 9, 9, "EL0 may use the physical timer."},
                                            {"EL0VTEN", 8, 8, "EL0 may use the virtual timer."},
                                            {"EVNTI", 7, 4, "Bit of the counter that makes events."},
                                            {"EVNTDIR", 3, 3, "Events come when that bit falls."},
                                            {"EVNTEN", 2, 2, "The counter makes events."},
                                            {"EL0VCTEN", 1, 1, "EL0 may read the virtual counter."},
                                            {"EL0PCTEN", 0, 0, "EL0 may read the physical counter."}};
constexpr RegisterField kHypervisorControl[] = {{"EVNTI", 7, 4, "Bit of the counter that makes events."},
                                                {"EVNTDIR", 3, 3, "Events come when that bit falls."},
                                                {"EVNTEN", 2, 2, "The counter makes events."},
                                                {"EL1PCEN", 1, 1, "EL1 and EL0 may use the physical timer."},
                                                {"EL1PCTEN", 0, 0, "EL1 and EL0 may read the physical counter."}};
constexpr RegisterField kControl[] = {{"ISTATUS", 2, 2, "The condition is met: the counter has reached CVAL."},
                                      {"IMASK", 1, 1, "The timer's interrupt is masked."},
                                      {"ENABLE", 0, 0, "The timer is on."}};
constexpr RegisterField kTimerValue[] = {{"TimerValue", 31, 0, "CVAL less the counter, signed."}};

constexpr RegisterGroup kTimer{"timer", kTimerSection};
constexpr SystemRegisterInfo kRows[] = {
    kTimer.row(R::CNTKCTL_EL1, "CNTKCTL_EL1", {3, 0, 14, 1, 0}, H::Stored, 0, 0x3ff, 0, 1, 1, kKernelControl),
    kTimer.row(R::CNTVOFF_EL2, "CNTVOFF_EL2", {3, 4, 14, 0, 3}, H::Timer, 0, kAllBits, 0, 2, 2, {}, "el2"),
    kTimer.row(R::CNTHCTL_EL2, "CNTHCTL_EL2", {3, 4, 14, 1, 0}, H::Stored, 3, 0xff, 0, 2, 2, kHypervisorControl, "el2"),
    kTimer.row(R::CNTHP_TVAL_EL2, "CNTHP_TVAL_EL2", {3, 4, 14, 2, 0}, H::Timer, 0, kLowWord, 0, 2, 2, kTimerValue,
               "el2"),
    kTimer.row(R::CNTHP_CTL_EL2, "CNTHP_CTL_EL2", {3, 4, 14, 2, 1}, H::Timer, 0, 3, 0, 2, 2, kControl, "el2"),
    kTimer.row(R::CNTHP_CVAL_EL2, "CNTHP_CVAL_EL2", {3, 4, 14, 2, 2}, H::Timer, 0, kAllBits, 0, 2, 2, {}, "el2"),
    kTimer.row(R::CNTHV_TVAL_EL2, "CNTHV_TVAL_EL2", {3, 4, 14, 3, 0}, H::Timer, 0, kLowWord, 0, 2, 2, kTimerValue,
               "vhe"),
    kTimer.row(R::CNTHV_CTL_EL2, "CNTHV_CTL_EL2", {3, 4, 14, 3, 1}, H::Timer, 0, 3, 0, 2, 2, kControl, "vhe"),
    kTimer.row(R::CNTHV_CVAL_EL2, "CNTHV_CVAL_EL2", {3, 4, 14, 3, 2}, H::Timer, 0, kAllBits, 0, 2, 2, {}, "vhe"),
    kTimer.row(R::CNTFRQ_EL0, "CNTFRQ_EL0", {3, 3, 14, 0, 0}, H::Stored, 62'500'000, kLowWord, 0, 0, 1),
    kTimer.row(R::CNTPCT_EL0, "CNTPCT_EL0", {3, 3, 14, 0, 1}, H::Timer, 0, 0, 0, 0, kNobody),
    kTimer.row(R::CNTVCT_EL0, "CNTVCT_EL0", {3, 3, 14, 0, 2}, H::Timer, 0, 0, 0, 0, kNobody),
    kTimer.row(R::CNTP_TVAL_EL0, "CNTP_TVAL_EL0", {3, 3, 14, 2, 0}, H::Timer, 0, kLowWord, 0, 0, 0, kTimerValue),
    kTimer.row(R::CNTP_CTL_EL0, "CNTP_CTL_EL0", {3, 3, 14, 2, 1}, H::Timer, 0, 3, 0, 0, 0, kControl),
    kTimer.row(R::CNTP_CVAL_EL0, "CNTP_CVAL_EL0", {3, 3, 14, 2, 2}, H::Timer, 0, kAllBits, 0, 0, 0),
    kTimer.row(R::CNTV_TVAL_EL0, "CNTV_TVAL_EL0", {3, 3, 14, 3, 0}, H::Timer, 0, kLowWord, 0, 0, 0, kTimerValue),
    kTimer.row(R::CNTV_CTL_EL0, "CNTV_CTL_EL0", {3, 3, 14, 3, 1}, H::Timer, 0, 3, 0, 0, 0, kControl),
    kTimer.row(R::CNTV_CVAL_EL0, "CNTV_CVAL_EL0", {3, 3, 14, 3, 2}, H::Timer, 0, kAllBits, 0, 0, 0),
};

}  // namespace

std::span<const SystemRegisterInfo> timers() { return kRows; }

}  // namespace shearling::arm::groups
