// SPDX-License-Identifier: GPL-3.0-or-later
//
// Control of the levels and of stage-1 translation at EL1 and EL2 (DDI 0487, D8 and D19.2). With HCR_EL2.E2H, SCTLR_EL2
// and TCR_EL2 have EL1's layout: system_register_table.cpp knows both.
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kSctlr[] = {{"UCI", 26, 26, "EL0 may use DC CVAU, CIVAC and CVAC, and IC IVAU."},
                                    {"EE", 25, 25, "Data of this level and table walks are big-endian."},
                                    {"E0E", 24, 24, "Data of EL0 are big-endian."},
                                    {"SPAN", 23, 23, "1: PSTATE.PAN stays as it is when an exception is taken."},
                                    {"WXN", 19, 19, "What is writable is not executable."},
                                    {"nTWE", 18, 18, "EL0 may use WFE."},
                                    {"nTWI", 16, 16, "EL0 may use WFI."},
                                    {"UCT", 15, 15, "EL0 may read CTR_EL0."},
                                    {"DZE", 14, 14, "EL0 may use DC ZVA."},
                                    {"I", 12, 12, "Instruction fetches are cacheable."},
                                    {"UMA", 9, 9, "EL0 may change PSTATE's masks D, A, I and F."},
                                    {"SA0", 4, 4, "EL0's stack pointer is checked for alignment."},
                                    {"SA", 3, 3, "The stack pointer is checked for alignment."},
                                    {"C", 2, 2, "Data accesses are cacheable."},
                                    {"A", 1, 1, "Data accesses are checked for alignment."},
                                    {"M", 0, 0, "Stage-1 translation is on."}};
constexpr RegisterField kSctlrEl2[] = {{"EE", 25, 25, "Data of EL2 and table walks are big-endian."},
                                       {"WXN", 19, 19, "What is writable is not executable."},
                                       {"I", 12, 12, "Instruction fetches are cacheable."},
                                       {"SA", 3, 3, "The stack pointer is checked for alignment."},
                                       {"C", 2, 2, "Data accesses are cacheable."},
                                       {"A", 1, 1, "Data accesses are checked for alignment."},
                                       {"M", 0, 0, "Stage-1 translation of EL2 is on."}};
constexpr RegisterField kTtbr[] = {{"ASID", 63, 48, "The address space, if TCR.A1 chooses this register."},
                                   {"BADDR", 47, 1, "Physical address of the first table."}};
constexpr RegisterField kTcr[] = {{"HD", 40, 40, "Hardware manages dirty state."},
                                  {"HA", 39, 39, "Hardware sets the access flag."},
                                  {"TBI1", 38, 38, "Bits 63:56 of upper addresses are ignored."},
                                  {"TBI0", 37, 37, "Bits 63:56 of lower addresses are ignored."},
                                  {"AS", 36, 36, "ASIDs have 16 bits."},
                                  {"IPS", 34, 32, "Output address bits: 0 is 32, 4 is 44, 5 is 48."},
                                  {"TG1", 31, 30, "Granule of TTBR1: 1 is 16 KB, 2 is 4 KB, 3 is 64 KB."},
                                  {"SH1", 29, 28, "Shareability of walks through TTBR1."},
                                  {"ORGN1", 27, 26, "Outer cacheability of walks through TTBR1."},
                                  {"IRGN1", 25, 24, "Inner cacheability of walks through TTBR1."},
                                  {"EPD1", 23, 23, "A TLB miss through TTBR1 faults instead of walking."},
                                  {"A1", 22, 22, "The ASID is TTBR1's."},
                                  {"T1SZ", 21, 16, "Upper addresses have 64 - T1SZ bits."},
                                  {"TG0", 15, 14, "Granule of TTBR0: 0 is 4 KB, 1 is 64 KB, 2 is 16 KB."},
                                  {"SH0", 13, 12, "Shareability of walks through TTBR0."},
                                  {"ORGN0", 11, 10, "Outer cacheability of walks through TTBR0."},
                                  {"IRGN0", 9, 8, "Inner cacheability of walks through TTBR0."},
                                  {"EPD0", 7, 7, "A TLB miss through TTBR0 faults instead of walking."},
                                  {"T0SZ", 5, 0, "Lower addresses have 64 - T0SZ bits."}};
constexpr RegisterField kTcrEl2[] = {{"HD", 22, 22, "Hardware manages dirty state."},
                                     {"HA", 21, 21, "Hardware sets the access flag."},
                                     {"TBI", 20, 20, "Bits 63:56 of addresses are ignored."},
                                     {"PS", 18, 16, "Output address bits: 0 is 32, 4 is 44, 5 is 48."},
                                     {"TG0", 15, 14, "Granule: 0 is 4 KB, 1 is 64 KB, 2 is 16 KB."},
                                     {"SH0", 13, 12, "Shareability of walks."},
                                     {"ORGN0", 11, 10, "Outer cacheability of walks."},
                                     {"IRGN0", 9, 8, "Inner cacheability of walks."},
                                     {"T0SZ", 5, 0, "Addresses have 64 - T0SZ bits."}};
constexpr RegisterField kMair[] = {
    {"Attr7", 63, 56, "Memory type that AttrIndx 7 means."},
    {"Attr6", 55, 48, "Memory type that AttrIndx 6 means."},
    {"Attr5", 47, 40, "Memory type that AttrIndx 5 means."},
    {"Attr4", 39, 32, "Memory type that AttrIndx 4 means."},
    {"Attr3", 31, 24, "Memory type that AttrIndx 3 means."},
    {"Attr2", 23, 16, "Memory type that AttrIndx 2 means."},
    {"Attr1", 15, 8, "Memory type that AttrIndx 1 means."},
    {"Attr0", 7, 0, "0x00: Device-nGnRnE, 0x44: Normal not cacheable, 0xff: write-back."}};
constexpr RegisterField kPar[] = {{"ATTR", 63, 56, "Memory type, when F is 0."},
                                  {"PA", 47, 12, "The page's output address, when F is 0."},
                                  {"SH", 8, 7, "Shareability, when F is 0."},
                                  {"FST", 6, 1, "Fault status, when F is 1."},
                                  {"F", 0, 0, "The translation faulted."}};
constexpr RegisterField kCpacr[] = {{"FPEN", 21, 20, "Floating point: 3 traps nothing, 1 traps EL0, 0 and 2 both."}};
constexpr RegisterField kContext[] = {{"PROCID", 31, 0, "Name of the process, for debuggers."}};

constexpr RegisterGroup kTranslation{"translation", kGeneralSection};
constexpr SystemRegisterInfo kRows[] = {
    kTranslation.row(R::SCTLR_EL1, "SCTLR_EL1", {3, 0, 1, 0, 0}, H::Stored, 0x30d50998, 0x048dd21f, 0x30500980, 1, 1,
                     kSctlr),
    kTranslation.row(R::ACTLR_EL1, "ACTLR_EL1", {3, 0, 1, 0, 1}, H::Stored, 0, 0, 0, 1, 1),
    kTranslation.row(R::CPACR_EL1, "CPACR_EL1", {3, 0, 1, 0, 2}, H::Stored, 0, 3ULL << 20, 0, 1, 1, kCpacr),
    kTranslation.row(R::TTBR0_EL1, "TTBR0_EL1", {3, 0, 2, 0, 0}, H::Stored, 0, ~1ULL, 0, 1, 1, kTtbr),
    kTranslation.row(R::TTBR1_EL1, "TTBR1_EL1", {3, 0, 2, 0, 1}, H::Stored, 0, ~1ULL, 0, 1, 1, kTtbr),
    kTranslation.row(R::TCR_EL1, "TCR_EL1", {3, 0, 2, 0, 2}, H::Stored, 0, 0x1f7ffffffbf, 0, 1, 1, kTcr),
    kTranslation.row(R::MAIR_EL1, "MAIR_EL1", {3, 0, 10, 2, 0}, H::Stored, 0, kAllBits, 0, 1, 1, kMair),
    kTranslation.row(R::AMAIR_EL1, "AMAIR_EL1", {3, 0, 10, 3, 0}, H::Stored, 0, 0, 0, 1, 1),
    kTranslation.row(R::PAR_EL1, "PAR_EL1", {3, 0, 7, 4, 0}, H::Stored, 0, kAllBits, 0, 1, 1, kPar),
    kTranslation.row(R::CONTEXTIDR_EL1, "CONTEXTIDR_EL1", {3, 0, 13, 0, 1}, H::Stored, 0, kLowWord, 0, 1, 1, kContext),
    kTranslation.row(R::SCTLR_EL2, "SCTLR_EL2", {3, 4, 1, 0, 0}, H::Stored, 0x30c50830, 0x0008100f, 0x30c50830, 2, 2,
                     kSctlrEl2, "el2"),
    kTranslation.row(R::ACTLR_EL2, "ACTLR_EL2", {3, 4, 1, 0, 1}, H::Stored, 0, 0, 0, 2, 2, {}, "el2"),
    kTranslation.row(R::TTBR0_EL2, "TTBR0_EL2", {3, 4, 2, 0, 0}, H::Stored, 0, ~1ULL, 0, 2, 2, kTtbr, "el2"),
    kTranslation.row(R::TTBR1_EL2, "TTBR1_EL2", {3, 4, 2, 0, 1}, H::Stored, 0, ~1ULL, 0, 2, 2, kTtbr, "vhe"),
    kTranslation.row(R::TCR_EL2, "TCR_EL2", {3, 4, 2, 0, 2}, H::Stored, 0x80800000, 0x0077ff3f, 0x80800000, 2, 2,
                     kTcrEl2, "el2"),
    kTranslation.row(R::MAIR_EL2, "MAIR_EL2", {3, 4, 10, 2, 0}, H::Stored, 0, kAllBits, 0, 2, 2, kMair, "el2"),
    kTranslation.row(R::AMAIR_EL2, "AMAIR_EL2", {3, 4, 10, 3, 0}, H::Stored, 0, 0, 0, 2, 2, {}, "el2"),
    kTranslation.row(R::CONTEXTIDR_EL2, "CONTEXTIDR_EL2", {3, 4, 13, 0, 1}, H::Stored, 0, kLowWord, 0, 2, 2, kContext,
                     "vhe"),
};

}  // namespace

std::span<const SystemRegisterInfo> translation() { return kRows; }

}  // namespace shearling::arm::groups
