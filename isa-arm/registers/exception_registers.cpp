// SPDX-License-Identifier: GPL-3.0-or-later
//
// What an exception leaves behind, where its vectors are, and the words that software keeps for itself: DDI 0487, D1.3
// and D19.2.
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kSpsr[] = {{"N", 31, 31, "Flag N."},
                                   {"Z", 30, 30, "Flag Z."},
                                   {"C", 29, 29, "Flag C."},
                                   {"V", 28, 28, "Flag V."},
                                   {"PAN", 22, 22, "PSTATE.PAN."},
                                   {"SS", 21, 21, "Software step."},
                                   {"IL", 20, 20, "Illegal execution state."},
                                   {"D", 9, 9, "Debug exceptions are masked."},
                                   {"A", 8, 8, "SErrors are masked."},
                                   {"I", 7, 7, "IRQs are masked."},
                                   {"F", 6, 6, "FIQs are masked."},
                                   {"M", 4, 0, "Exception level and stack pointer that ERET goes back to."}};
constexpr RegisterField kEsr[] = {{"EC", 31, 26, "Class of the exception."},
                                  {"IL", 25, 25, "The instruction has 32 bits."},
                                  {"ISS", 24, 0, "What more there is to know, by class."}};
constexpr RegisterField kVbar[] = {{"VBA", 63, 11, "Virtual address of the vectors."}};
constexpr RegisterField kHpfar[] = {{"FIPA", 39, 4, "Bits 47:12 of the guest-physical address that stage 2 refused."}};

constexpr std::uint64_t kSpsrBits = 0xf07003df, kVbarBits = ~0x7ffULL;
constexpr RegisterGroup kReturn{"exception", kProcessStateSection}, kException{"exception", kGeneralSection},
    kThread{"thread", kGeneralSection};
constexpr SystemRegisterInfo kRows[] = {
    kReturn.row(R::SPSR_EL1, "SPSR_EL1", {3, 0, 4, 0, 0}, H::Stored, 0, kSpsrBits, 0, 1, 1, kSpsr),
    kReturn.row(R::ELR_EL1, "ELR_EL1", {3, 0, 4, 0, 1}, H::Stored, 0, kAllBits, 0, 1, 1),
    kException.row(R::AFSR0_EL1, "AFSR0_EL1", {3, 0, 5, 1, 0}, H::Stored, 0, 0, 0, 1, 1),
    kException.row(R::AFSR1_EL1, "AFSR1_EL1", {3, 0, 5, 1, 1}, H::Stored, 0, 0, 0, 1, 1),
    kException.row(R::ESR_EL1, "ESR_EL1", {3, 0, 5, 2, 0}, H::Stored, 0, kLowWord, 0, 1, 1, kEsr),
    kException.row(R::FAR_EL1, "FAR_EL1", {3, 0, 6, 0, 0}, H::Stored, 0, kAllBits, 0, 1, 1),
    kException.row(R::VBAR_EL1, "VBAR_EL1", {3, 0, 12, 0, 0}, H::Stored, 0, kVbarBits, 0, 1, 1, kVbar),
    kException.row(R::RVBAR_EL1, "RVBAR_EL1", {3, 0, 12, 0, 1}, H::Constant, 0, 0, 0, 1, kNobody),
    kReturn.row(R::SPSR_EL2, "SPSR_EL2", {3, 4, 4, 0, 0}, H::Stored, 0, kSpsrBits, 0, 2, 2, kSpsr, "el2"),
    kReturn.row(R::ELR_EL2, "ELR_EL2", {3, 4, 4, 0, 1}, H::Stored, 0, kAllBits, 0, 2, 2, {}, "el2"),
    kException.row(R::AFSR0_EL2, "AFSR0_EL2", {3, 4, 5, 1, 0}, H::Stored, 0, 0, 0, 2, 2, {}, "el2"),
    kException.row(R::AFSR1_EL2, "AFSR1_EL2", {3, 4, 5, 1, 1}, H::Stored, 0, 0, 0, 2, 2, {}, "el2"),
    kException.row(R::ESR_EL2, "ESR_EL2", {3, 4, 5, 2, 0}, H::Stored, 0, kLowWord, 0, 2, 2, kEsr, "el2"),
    kException.row(R::FAR_EL2, "FAR_EL2", {3, 4, 6, 0, 0}, H::Stored, 0, kAllBits, 0, 2, 2, {}, "el2"),
    kException.row(R::HPFAR_EL2, "HPFAR_EL2", {3, 4, 6, 0, 4}, H::Stored, 0, 0xfffffffff0, 0, 2, 2, kHpfar, "el2"),
    kException.row(R::VBAR_EL2, "VBAR_EL2", {3, 4, 12, 0, 0}, H::Stored, 0, kVbarBits, 0, 2, 2, kVbar, "el2"),
    kException.row(R::RVBAR_EL2, "RVBAR_EL2", {3, 4, 12, 0, 1}, H::Constant, 0, 0, 0, 2, kNobody, {}, "el2"),
    kThread.row(R::TPIDR_EL0, "TPIDR_EL0", {3, 3, 13, 0, 2}, H::Stored, 0, kAllBits, 0, 0, 0),
    kThread.row(R::TPIDRRO_EL0, "TPIDRRO_EL0", {3, 3, 13, 0, 3}, H::Stored, 0, kAllBits, 0, 0, 1),
    kThread.row(R::TPIDR_EL1, "TPIDR_EL1", {3, 0, 13, 0, 4}, H::Stored, 0, kAllBits, 0, 1, 1),
    kThread.row(R::TPIDR_EL2, "TPIDR_EL2", {3, 4, 13, 0, 2}, H::Stored, 0, kAllBits, 0, 2, 2, {}, "el2"),
};

}  // namespace

std::span<const SystemRegisterInfo> exceptions() { return kRows; }

}  // namespace shearling::arm::groups
