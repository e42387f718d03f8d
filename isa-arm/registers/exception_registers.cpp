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
constexpr std::string_view kGroup = "exception", kThread = "thread";
constexpr SystemRegisterInfo kRows[] = {
    {R::SPSR_EL1, "SPSR_EL1", {3, 0, 4, 0, 0}, H::Stored, 0, kSpsrBits, 0, 1, 1, kGroup, kProcessStateSection, kSpsr},
    {R::ELR_EL1, "ELR_EL1", {3, 0, 4, 0, 1}, H::Stored, 0, kAllBits, 0, 1, 1, kGroup, kProcessStateSection, {}},
    {R::AFSR0_EL1, "AFSR0_EL1", {3, 0, 5, 1, 0}, H::Stored, 0, 0, 0, 1, 1, kGroup, kGeneralSection, {}},
    {R::AFSR1_EL1, "AFSR1_EL1", {3, 0, 5, 1, 1}, H::Stored, 0, 0, 0, 1, 1, kGroup, kGeneralSection, {}},
    {R::ESR_EL1, "ESR_EL1", {3, 0, 5, 2, 0}, H::Stored, 0, kLowWord, 0, 1, 1, kGroup, kGeneralSection, kEsr},
    {R::FAR_EL1, "FAR_EL1", {3, 0, 6, 0, 0}, H::Stored, 0, kAllBits, 0, 1, 1, kGroup, kGeneralSection, {}},
    {R::VBAR_EL1, "VBAR_EL1", {3, 0, 12, 0, 0}, H::Stored, 0, kVbarBits, 0, 1, 1, kGroup, kGeneralSection, kVbar},
    {R::RVBAR_EL1, "RVBAR_EL1", {3, 0, 12, 0, 1}, H::Constant, 0, 0, 0, 1, kNobody, kGroup, kGeneralSection, {}},
    {R::SPSR_EL2,
     "SPSR_EL2",
     {3, 4, 4, 0, 0},
     H::Stored,
     0,
     kSpsrBits,
     0,
     2,
     2,
     kGroup,
     kProcessStateSection,
     kSpsr,
     "el2"},
    {R::ELR_EL2, "ELR_EL2", {3, 4, 4, 0, 1}, H::Stored, 0, kAllBits, 0, 2, 2, kGroup, kProcessStateSection, {}, "el2"},
    {R::AFSR0_EL2, "AFSR0_EL2", {3, 4, 5, 1, 0}, H::Stored, 0, 0, 0, 2, 2, kGroup, kGeneralSection, {}, "el2"},
    {R::AFSR1_EL2, "AFSR1_EL2", {3, 4, 5, 1, 1}, H::Stored, 0, 0, 0, 2, 2, kGroup, kGeneralSection, {}, "el2"},
    {R::ESR_EL2, "ESR_EL2", {3, 4, 5, 2, 0}, H::Stored, 0, kLowWord, 0, 2, 2, kGroup, kGeneralSection, kEsr, "el2"},
    {R::FAR_EL2, "FAR_EL2", {3, 4, 6, 0, 0}, H::Stored, 0, kAllBits, 0, 2, 2, kGroup, kGeneralSection, {}, "el2"},
    {R::HPFAR_EL2,
     "HPFAR_EL2",
     {3, 4, 6, 0, 4},
     H::Stored,
     0,
     0xfffffffff0,
     0,
     2,
     2,
     kGroup,
     kGeneralSection,
     kHpfar,
     "el2"},
    {R::VBAR_EL2,
     "VBAR_EL2",
     {3, 4, 12, 0, 0},
     H::Stored,
     0,
     kVbarBits,
     0,
     2,
     2,
     kGroup,
     kGeneralSection,
     kVbar,
     "el2"},
    {R::RVBAR_EL2, "RVBAR_EL2", {3, 4, 12, 0, 1}, H::Constant, 0, 0, 0, 2, kNobody, kGroup, kGeneralSection, {}, "el2"},
    {R::TPIDR_EL0, "TPIDR_EL0", {3, 3, 13, 0, 2}, H::Stored, 0, kAllBits, 0, 0, 0, kThread, kGeneralSection, {}},
    {R::TPIDRRO_EL0, "TPIDRRO_EL0", {3, 3, 13, 0, 3}, H::Stored, 0, kAllBits, 0, 0, 1, kThread, kGeneralSection, {}},
    {R::TPIDR_EL1, "TPIDR_EL1", {3, 0, 13, 0, 4}, H::Stored, 0, kAllBits, 0, 1, 1, kThread, kGeneralSection, {}},
    {R::TPIDR_EL2, "TPIDR_EL2", {3, 4, 13, 0, 2}, H::Stored, 0, kAllBits, 0, 2, 2, kThread, kGeneralSection, {}, "el2"},
};

}  // namespace

std::span<const SystemRegisterInfo> exceptions() { return kRows; }

}  // namespace shearling::arm::groups
