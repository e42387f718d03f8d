// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the core says of itself: a Cortex-A57 as QEMU's `virt` board shows it, without AArch32 and without big-endian
// data. The features of the machine description add their fields (features.cpp).
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kMidr[] = {{"Implementer", 31, 24, "0x41 is Arm."},
                                   {"Variant", 23, 20, "Major revision."},
                                   {"Architecture", 19, 16, "0xf: the ID registers say which features there are."},
                                   {"PartNum", 15, 4, "0xd07 is the Cortex-A57."},
                                   {"Revision", 3, 0, "Minor revision."}};
constexpr RegisterField kMpidr[] = {{"Aff3", 39, 32, "Highest level of the core's number."},
                                    {"U", 30, 30, "The system has one core only."},
                                    {"MT", 24, 24, "Cores of one lowest level share hardware threads."},
                                    {"Aff2", 23, 16, "Third level of the core's number."},
                                    {"Aff1", 15, 8, "Second level: the cluster."},
                                    {"Aff0", 7, 0, "Lowest level: the core in its cluster."}};
constexpr RegisterField kPfr0[] = {{"GIC", 27, 24, "1: the GIC has a system-register interface."},
                                   {"AdvSIMD", 23, 20, "0: there is Advanced SIMD."},
                                   {"FP", 19, 16, "0: there is floating point."},
                                   {"EL3", 15, 12, "1: EL3 exists, AArch64 only."},
                                   {"EL2", 11, 8, "1: EL2 exists, AArch64 only."},
                                   {"EL1", 7, 4, "1: EL1 is AArch64 only."},
                                   {"EL0", 3, 0, "1: EL0 is AArch64 only."}};
constexpr RegisterField kDfr0[] = {{"CTX_CMPs", 31, 28, "Context-aware breakpoints, less one."},
                                   {"WRPs", 23, 20, "Watchpoints, less one."},
                                   {"BRPs", 15, 12, "Breakpoints, less one."},
                                   {"PMUVer", 11, 8, "1: performance monitors, version 3."},
                                   {"TraceVer", 7, 4, "1: trace has system registers."},
                                   {"DebugVer", 3, 0, "6: Armv8.0 debug, 7: with VHE."}};
constexpr RegisterField kIsar0[] = {{"CRC32", 19, 16, "1: CRC32 instructions."},
                                    {"SHA2", 15, 12, "1: SHA-256 instructions."},
                                    {"SHA1", 11, 8, "1: SHA-1 instructions."},
                                    {"AES", 7, 4, "2: AES and PMULL instructions."}};
constexpr RegisterField kMmfr0[] = {{"TGran4", 31, 28, "0: 4 KB granule."},
                                    {"TGran64", 27, 24, "0: 64 KB granule."},
                                    {"TGran16", 23, 20, "1: 16 KB granule."},
                                    {"BigEndEL0", 19, 16, "1: EL0 alone may be big-endian."},
                                    {"SNSMem", 15, 12, "1: Secure and Non-secure memory are told apart."},
                                    {"BigEnd", 11, 8, "1: data may be big-endian."},
                                    {"ASIDBits", 7, 4, "2: ASIDs have 16 bits."},
                                    {"PARange", 3, 0, "Physical address bits: 4 is 44."}};
constexpr RegisterField kMmfr1[] = {{"XNX", 31, 28, "1: stage 2 forbids execution for EL0 and EL1 apart."},
                                    {"PAN", 23, 20, "1: PSTATE.PAN, 2: AT S1E1RP and S1E1WP too."},
                                    {"LO", 19, 16, "1: limited ordering regions."},
                                    {"HPDS", 15, 12, "1: hierarchical permissions can be disabled."},
                                    {"VH", 11, 8, "1: virtualization host extensions."},
                                    {"VMIDBits", 7, 4, "0: VMIDs have 8 bits, 2: 16 bits."},
                                    {"HAFDBS", 3, 0, "1: hardware sets the access flag, 2: dirty state too."}};
constexpr RegisterField kCtr[] = {{"CWG", 27, 24, "Log2 of the words that a write-back may touch."},
                                  {"ERG", 23, 20, "Log2 of the words of an exclusive reservation."},
                                  {"DminLine", 19, 16, "Log2 of the words of the smallest data-cache line."},
                                  {"L1Ip", 15, 14, "Instruction-cache policy: 3 is physically tagged."},
                                  {"IminLine", 3, 0, "Log2 of the words of the smallest instruction-cache line."}};
constexpr RegisterField kDczid[] = {{"DZP", 4, 4, "DC ZVA is prohibited at this level now."},
                                    {"BS", 3, 0, "Log2 of the words that DC ZVA clears."}};
constexpr RegisterField kClidr[] = {{"LoUU", 29, 27, "Level of unification, uniprocessor."},
                                    {"LoC", 26, 24, "Level of coherence."},
                                    {"LoUIS", 23, 21, "Level of unification, inner shareable."},
                                    {"Ctype2", 5, 3, "Level 2: 4 is a unified cache."},
                                    {"Ctype1", 2, 0, "Level 1: 3 is separate instruction and data caches."}};
constexpr RegisterField kCcsidr[] = {{"NumSets", 27, 13, "Sets, less one."},
                                     {"Associativity", 12, 3, "Ways, less one."},
                                     {"LineSize", 2, 0, "Log2 of the words of a line, less 2."}};
constexpr RegisterField kCsselr[] = {{"Level", 3, 1, "Cache level that CCSIDR_EL1 describes, less one."},
                                     {"InD", 0, 0, "The instruction cache of that level."}};

constexpr RegisterGroup kIdentity{"identification", kGeneralSection};
constexpr SystemRegisterInfo kRows[] = {
    kIdentity.row(R::MIDR_EL1, "MIDR_EL1", {3, 0, 0, 0, 0}, H::Constant, 0x411fd070, 0, 0, 1, kNobody, kMidr),
    kIdentity.row(R::MPIDR_EL1, "MPIDR_EL1", {3, 0, 0, 0, 5}, H::Constant, 0x80000000, 0, 1ULL << 31, 1, kNobody,
                  kMpidr),
    kIdentity.row(R::REVIDR_EL1, "REVIDR_EL1", {3, 0, 0, 0, 6}, H::Constant, 0, 0, 0, 1, kNobody),
    kIdentity.row(R::ID_AA64PFR0_EL1, "ID_AA64PFR0_EL1", {3, 0, 0, 4, 0}, H::Constant, 0x01000011, 0, 0, 1, kNobody,
                  kPfr0),
    kIdentity.row(R::ID_AA64PFR1_EL1, "ID_AA64PFR1_EL1", {3, 0, 0, 4, 1}, H::Constant, 0, 0, 0, 1, kNobody),
    kIdentity.row(R::ID_AA64DFR0_EL1, "ID_AA64DFR0_EL1", {3, 0, 0, 5, 0}, H::Constant, 0x10305106, 0, 0, 1, kNobody,
                  kDfr0),
    kIdentity.row(R::ID_AA64DFR1_EL1, "ID_AA64DFR1_EL1", {3, 0, 0, 5, 1}, H::Constant, 0, 0, 0, 1, kNobody),
    kIdentity.row(R::ID_AA64AFR0_EL1, "ID_AA64AFR0_EL1", {3, 0, 0, 5, 4}, H::Constant, 0, 0, 0, 1, kNobody),
    kIdentity.row(R::ID_AA64AFR1_EL1, "ID_AA64AFR1_EL1", {3, 0, 0, 5, 5}, H::Constant, 0, 0, 0, 1, kNobody),
    kIdentity.row(R::ID_AA64ISAR0_EL1, "ID_AA64ISAR0_EL1", {3, 0, 0, 6, 0}, H::Constant, 0x00011120, 0, 0, 1, kNobody,
                  kIsar0),
    kIdentity.row(R::ID_AA64ISAR1_EL1, "ID_AA64ISAR1_EL1", {3, 0, 0, 6, 1}, H::Constant, 0, 0, 0, 1, kNobody),
    kIdentity.row(R::ID_AA64MMFR0_EL1, "ID_AA64MMFR0_EL1", {3, 0, 0, 7, 0}, H::Constant, 0x00001024, 0, 0, 1, kNobody,
                  kMmfr0),
    kIdentity.row(R::ID_AA64MMFR1_EL1, "ID_AA64MMFR1_EL1", {3, 0, 0, 7, 1}, H::Constant, 0, 0, 0, 1, kNobody, kMmfr1),
    kIdentity.row(R::ID_AA64MMFR2_EL1, "ID_AA64MMFR2_EL1", {3, 0, 0, 7, 2}, H::Constant, 0, 0, 0, 1, kNobody),
    kIdentity.row(R::CTR_EL0, "CTR_EL0", {3, 3, 0, 0, 1}, H::Constant, 0x8444c004, 0, 1ULL << 31, 0, kNobody, kCtr),
    kIdentity.row(R::DCZID_EL0, "DCZID_EL0", {3, 3, 0, 0, 7}, H::Constant, 4, 0, 0, 0, kNobody, kDczid),
    kIdentity.row(R::CLIDR_EL1, "CLIDR_EL1", {3, 1, 0, 0, 1}, H::Constant, 0x0a200023, 0, 0, 1, kNobody, kClidr),
    kIdentity.row(R::CCSIDR_EL1, "CCSIDR_EL1", {3, 1, 0, 0, 0}, H::Constant, 0x701fe00a, 0, 0, 1, kNobody, kCcsidr),
    kIdentity.row(R::CSSELR_EL1, "CSSELR_EL1", {3, 2, 0, 0, 0}, H::Stored, 0, 0xf, 0, 1, 1, kCsselr),
    kIdentity.row(R::AIDR_EL1, "AIDR_EL1", {3, 1, 0, 0, 7}, H::Constant, 0, 0, 0, 1, kNobody),
};

}  // namespace

std::span<const SystemRegisterInfo> identification() { return kRows; }

}  // namespace shearling::arm::groups
