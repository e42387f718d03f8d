// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SYS space of this core: cache and TLB maintenance and address translation (DDI 0487, C5.3 to C5.5).
// Left out: what Armv8.2 and later added, EL3's instructions, and the outer-shareable and range forms of TLBI.
#include "isa-arm/registers/trap_rules.h"

namespace shearling::arm {
namespace {

using F = TrapFamily;

constexpr FamilySet kUser = set_of(F::UserMaintenance), kCoherency = set_of(F::ToCoherency),
                    kUnification = set_of(F::ToUnification), kSetWay = set_of(F::BySetAndWay),
                    kTlb = set_of(F::TlbMaintenance);
constexpr SystemInstructionInfo kRows[] = {
    {"IC IALLUIS", {1, 0, 7, 1, 0}, 1, {}, kUnification},
    {"IC IALLU", {1, 0, 7, 5, 0}, 1, {}, kUnification},
    {"IC IVAU", {1, 3, 7, 5, 1}, 0, {}, kUser | kUnification},
    {"DC IVAC", {1, 0, 7, 6, 1}, 1, {}, kCoherency},
    {"DC ISW", {1, 0, 7, 6, 2}, 1, {}, kSetWay},
    {"DC CSW", {1, 0, 7, 10, 2}, 1, {}, kSetWay},
    {"DC CISW", {1, 0, 7, 14, 2}, 1, {}, kSetWay},
    {"DC ZVA", {1, 3, 7, 4, 1}, 0, {}, set_of(F::ZeroByAddress)},
    {"DC CVAC", {1, 3, 7, 10, 1}, 0, {}, kUser | kCoherency},
    {"DC CVAU", {1, 3, 7, 11, 1}, 0, {}, kUser | kUnification},
    {"DC CIVAC", {1, 3, 7, 14, 1}, 0, {}, kUser | kCoherency},
    {"AT S1E1R", {1, 0, 7, 8, 0}, 1, {}, 0},
    {"AT S1E1W", {1, 0, 7, 8, 1}, 1, {}, 0},
    {"AT S1E0R", {1, 0, 7, 8, 2}, 1, {}, 0},
    {"AT S1E0W", {1, 0, 7, 8, 3}, 1, {}, 0},
    {"AT S1E1RP", {1, 0, 7, 9, 0}, 1, "pan", 0},
    {"AT S1E1WP", {1, 0, 7, 9, 1}, 1, "pan", 0},
    {"AT S1E2R", {1, 4, 7, 8, 0}, 2, "el2", 0},
    {"AT S1E2W", {1, 4, 7, 8, 1}, 2, "el2", 0},
    {"AT S12E1R", {1, 4, 7, 8, 4}, 2, "el2", 0},
    {"AT S12E1W", {1, 4, 7, 8, 5}, 2, "el2", 0},
    {"AT S12E0R", {1, 4, 7, 8, 6}, 2, "el2", 0},
    {"AT S12E0W", {1, 4, 7, 8, 7}, 2, "el2", 0},
    {"TLBI VMALLE1IS", {1, 0, 8, 3, 0}, 1, {}, kTlb},
    {"TLBI VAE1IS", {1, 0, 8, 3, 1}, 1, {}, kTlb},
    {"TLBI ASIDE1IS", {1, 0, 8, 3, 2}, 1, {}, kTlb},
    {"TLBI VAAE1IS", {1, 0, 8, 3, 3}, 1, {}, kTlb},
    {"TLBI VALE1IS", {1, 0, 8, 3, 5}, 1, {}, kTlb},
    {"TLBI VAALE1IS", {1, 0, 8, 3, 7}, 1, {}, kTlb},
    {"TLBI VMALLE1", {1, 0, 8, 7, 0}, 1, {}, kTlb},
    {"TLBI VAE1", {1, 0, 8, 7, 1}, 1, {}, kTlb},
    {"TLBI ASIDE1", {1, 0, 8, 7, 2}, 1, {}, kTlb},
    {"TLBI VAAE1", {1, 0, 8, 7, 3}, 1, {}, kTlb},
    {"TLBI VALE1", {1, 0, 8, 7, 5}, 1, {}, kTlb},
    {"TLBI VAALE1", {1, 0, 8, 7, 7}, 1, {}, kTlb},
    {"TLBI IPAS2E1IS", {1, 4, 8, 0, 1}, 2, "el2", 0},
    {"TLBI IPAS2LE1IS", {1, 4, 8, 0, 5}, 2, "el2", 0},
    {"TLBI ALLE2IS", {1, 4, 8, 3, 0}, 2, "el2", 0},
    {"TLBI VAE2IS", {1, 4, 8, 3, 1}, 2, "el2", 0},
    {"TLBI ALLE1IS", {1, 4, 8, 3, 4}, 2, "el2", 0},
    {"TLBI VALE2IS", {1, 4, 8, 3, 5}, 2, "el2", 0},
    {"TLBI VMALLS12E1IS", {1, 4, 8, 3, 6}, 2, "el2", 0},
    {"TLBI IPAS2E1", {1, 4, 8, 4, 1}, 2, "el2", 0},
    {"TLBI IPAS2LE1", {1, 4, 8, 4, 5}, 2, "el2", 0},
    {"TLBI ALLE2", {1, 4, 8, 7, 0}, 2, "el2", 0},
    {"TLBI VAE2", {1, 4, 8, 7, 1}, 2, "el2", 0},
    {"TLBI ALLE1", {1, 4, 8, 7, 4}, 2, "el2", 0},
    {"TLBI VALE2", {1, 4, 8, 7, 5}, 2, "el2", 0},
    {"TLBI VMALLS12E1", {1, 4, 8, 7, 6}, 2, "el2", 0},
};

}  // namespace

std::span<const SystemInstructionInfo> system_instruction_table() { return kRows; }

}  // namespace shearling::arm
