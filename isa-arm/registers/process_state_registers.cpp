// SPDX-License-Identifier: GPL-3.0-or-later
//
// PSTATE's fields and what else instructions change besides MSR: DDI 0487, C5.2 and D1.4.
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kSpsel[] = {{"SP", 0, 0, "1: SP_ELx of the current level is in use, 0: SP_EL0."}};
constexpr RegisterField kCurrentEl[] = {{"EL", 3, 2, "The exception level."}};
constexpr RegisterField kDaif[] = {{"D", 9, 9, "Debug exceptions of this level are masked."},
                                   {"A", 8, 8, "SErrors are masked."},
                                   {"I", 7, 7, "IRQs are masked."},
                                   {"F", 6, 6, "FIQs are masked."}};
constexpr RegisterField kNzcv[] = {{"N", 31, 31, "The result was negative."},
                                   {"Z", 30, 30, "The result was zero."},
                                   {"C", 29, 29, "There was a carry."},
                                   {"V", 28, 28, "There was a signed overflow."}};
constexpr RegisterField kPan[] = {{"PAN", 22, 22, "EL1 and EL2 must not touch memory that EL0 may touch."}};
constexpr RegisterField kFpcr[] = {{"AHP", 26, 26, "Alternative half-precision format."},
                                   {"DN", 25, 25, "NaN results are the default NaN."},
                                   {"FZ", 24, 24, "Denormals are flushed to zero."},
                                   {"RMode", 23, 22, "0: to nearest, 1: up, 2: down, 3: to zero."}};
constexpr RegisterField kFpsr[] = {
    {"QC", 27, 27, "A SIMD result was saturated."},  {"IDC", 7, 7, "An input was denormal."},
    {"IXC", 4, 4, "A result was inexact."},          {"UFC", 3, 3, "There was an underflow."},
    {"OFC", 2, 2, "There was an overflow."},         {"DZC", 1, 1, "There was a division by zero."},
    {"IOC", 0, 0, "There was an invalid operation."}};
constexpr RegisterField kIsr[] = {
    {"A", 8, 8, "An SError is pending."}, {"I", 7, 7, "An IRQ is pending."}, {"F", 6, 6, "An FIQ is pending."}};

constexpr RegisterGroup kState{"process state", kProcessStateSection}, kPending{"process state", kGeneralSection};
constexpr SystemRegisterInfo kRows[] = {
    kState.row(R::SP_EL0, "SP_EL0", {3, 0, 4, 1, 0}, H::ProcessState, 0, kAllBits, 0, 1, 1),
    kState.row(R::SP_EL1, "SP_EL1", {3, 4, 4, 1, 0}, H::ProcessState, 0, kAllBits, 0, 2, 2, {}, "el2"),
    kState.row(R::SPSel, "SPSel", {3, 0, 4, 2, 0}, H::ProcessState, 1, 1, 0, 1, 1, kSpsel),
    kState.row(R::CurrentEL, "CurrentEL", {3, 0, 4, 2, 2}, H::ProcessState, 0, 0, 0, 1, kNobody, kCurrentEl),
    kState.row(R::DAIF, "DAIF", {3, 3, 4, 2, 1}, H::ProcessState, 0x3c0, 0x3c0, 0, 0, 0, kDaif),
    kState.row(R::NZCV, "NZCV", {3, 3, 4, 2, 0}, H::ProcessState, 0, 0xf0000000, 0, 0, 0, kNzcv),
    kState.row(R::PAN, "PAN", {3, 0, 4, 2, 3}, H::ProcessState, 0, 1ULL << 22, 0, 1, 1, kPan, "pan"),
    kState.row(R::FPCR, "FPCR", {3, 3, 4, 4, 0}, H::ProcessState, 0, 0x07c00000, 0, 0, 0, kFpcr),
    kState.row(R::FPSR, "FPSR", {3, 3, 4, 4, 1}, H::ProcessState, 0, 0x0800009f, 0, 0, 0, kFpsr),
    kPending.row(R::ISR_EL1, "ISR_EL1", {3, 0, 12, 1, 0}, H::ProcessState, 0, 0, 0, 1, kNobody, kIsr),
};

}  // namespace

std::span<const SystemRegisterInfo> process_state() { return kRows; }

}  // namespace shearling::arm::groups
