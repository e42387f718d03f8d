// SPDX-License-Identifier: GPL-3.0-or-later
//
// EL2's control of the levels below it: configuration and traps, stage 2, and what EL1 is to believe of its identity.
// DDI 0487, D19.2. With HCR_EL2.E2H, CPTR_EL2 has CPACR_EL1's layout (system_register_table.cpp).
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kHcr[] = {{"E2H", 34, 34, "EL2 hosts an operating system: its registers have EL1's names."},
                                  {"ID", 33, 33, "Stage 2 makes instruction accesses non-cacheable."},
                                  {"CD", 32, 32, "Stage 2 makes data accesses non-cacheable."},
                                  {"RW", 31, 31, "EL1 is AArch64."},
                                  {"TRVM", 30, 30, "EL1's reads of translation registers trap."},
                                  {"HCD", 29, 29, "HVC is undefined."},
                                  {"TDZ", 28, 28, "DC ZVA traps."},
                                  {"TGE", 27, 27, "What EL0 raises goes to EL2, which hosts it."},
                                  {"TVM", 26, 26, "EL1's writes of translation registers trap."},
                                  {"TTLB", 25, 25, "EL1's TLB maintenance traps."},
                                  {"TPU", 24, 24, "Cache maintenance to the point of unification traps."},
                                  {"TPC", 23, 23, "Cache maintenance to the point of coherency traps."},
                                  {"TSW", 22, 22, "Cache maintenance by set and way traps."},
                                  {"TACR", 21, 21, "Accesses to ACTLR_EL1 trap."},
                                  {"TIDCP", 20, 20, "Implementation-defined registers trap."},
                                  {"TSC", 19, 19, "SMC traps."},
                                  {"TID3", 18, 18, "Reads of the feature registers trap."},
                                  {"TID2", 17, 17, "Accesses to cache identification trap."},
                                  {"TID1", 16, 16, "Reads of implementation identification trap."},
                                  {"TID0", 15, 15, "AArch32's JIDR traps: without effect here."},
                                  {"TWE", 14, 14, "WFE traps."},
                                  {"TWI", 13, 13, "WFI traps."},
                                  {"DC", 12, 12, "Stage 1 is off and its memory is write-back."},
                                  {"BSU", 11, 10, "Least shareability of EL1's barriers."},
                                  {"FB", 9, 9, "EL1's TLB maintenance is broadcast."},
                                  {"VSE", 8, 8, "A virtual SError is pending."},
                                  {"VI", 7, 7, "A virtual IRQ is pending."},
                                  {"VF", 6, 6, "A virtual FIQ is pending."},
                                  {"AMO", 5, 5, "SErrors go to EL2."},
                                  {"IMO", 4, 4, "IRQs go to EL2, and EL1 has virtual ones."},
                                  {"FMO", 3, 3, "FIQs go to EL2, and EL1 has virtual ones."},
                                  {"PTW", 2, 2, "A stage-1 walk through device memory faults."},
                                  {"SWIO", 1, 1, "Invalidation by set and way also cleans."},
                                  {"VM", 0, 0, "Stage 2 is on."}};
constexpr RegisterField kMdcr[] = {{"TDRA", 11, 11, "Accesses to the debug ROM's address trap."},
                                   {"TDOSA", 10, 10, "Accesses to OS lock and power-down registers trap."},
                                   {"TDA", 9, 9, "Accesses to the other debug registers trap."},
                                   {"TDE", 8, 8, "Debug exceptions go to EL2."},
                                   {"HPME", 7, 7, "EL2's event counters count."},
                                   {"TPM", 6, 6, "Accesses to the performance monitors trap."},
                                   {"TPMCR", 5, 5, "Accesses to PMCR_EL0 trap."},
                                   {"HPMN", 4, 0, "Event counters that EL1 and EL0 may use."}};
constexpr RegisterField kCptr[] = {{"TCPAC", 31, 31, "Accesses to CPACR_EL1 trap."},
                                   {"TFP", 10, 10, "Floating point and SIMD trap."}};
constexpr RegisterField kVttbr[] = {{"VMID", 55, 48, "The virtual machine, as TLB entries carry it."},
                                    {"BADDR", 47, 1, "Physical address of stage 2's first table."}};
constexpr RegisterField kVtcr[] = {{"HD", 22, 22, "Hardware manages dirty state in stage 2."},
                                   {"HA", 21, 21, "Hardware sets stage 2's access flag."},
                                   {"PS", 18, 16, "Output address bits: 0 is 32, 4 is 44, 5 is 48."},
                                   {"TG0", 15, 14, "Granule: 0 is 4 KB, 1 is 64 KB, 2 is 16 KB."},
                                   {"SH0", 13, 12, "Shareability of stage-2 walks."},
                                   {"ORGN0", 11, 10, "Outer cacheability of stage-2 walks."},
                                   {"IRGN0", 9, 8, "Inner cacheability of stage-2 walks."},
                                   {"SL0", 7, 6, "Level at which stage-2 walks begin."},
                                   {"T0SZ", 5, 0, "Guest-physical addresses have 64 - T0SZ bits."}};

constexpr RegisterGroup kHypervisor{"hypervisor", kGeneralSection};
constexpr SystemRegisterInfo kRows[] = {
    kHypervisor.row(R::VPIDR_EL2, "VPIDR_EL2", {3, 4, 0, 0, 0}, H::Stored, 0x411fd070, kLowWord, 0, 2, 2, {}, "el2"),
    kHypervisor.row(R::VMPIDR_EL2, "VMPIDR_EL2", {3, 4, 0, 0, 5}, H::Stored, 0x80000000, 0xff41ffffff, 1ULL << 31, 2, 2,
                    {}, "el2"),
    kHypervisor.row(R::HCR_EL2, "HCR_EL2", {3, 4, 1, 1, 0}, H::Stored, 0x80000000, 0x77fffffff, 1ULL << 31, 2, 2, kHcr,
                    "el2"),
    kHypervisor.row(R::MDCR_EL2, "MDCR_EL2", {3, 4, 1, 1, 1}, H::Stored, 0, 0xfff, 0, 2, 2, kMdcr, "el2"),
    kHypervisor.row(R::CPTR_EL2, "CPTR_EL2", {3, 4, 1, 1, 2}, H::Stored, 0x33ff & ~0x400, 0x80000400, 0x33ff & ~0x400,
                    2, 2, kCptr, "el2"),
    kHypervisor.row(R::HSTR_EL2, "HSTR_EL2", {3, 4, 1, 1, 3}, H::Stored, 0, 0, 0, 2, 2, {}, "el2"),
    kHypervisor.row(R::HACR_EL2, "HACR_EL2", {3, 4, 1, 1, 7}, H::Stored, 0, 0, 0, 2, 2, {}, "el2"),
    kHypervisor.row(R::VTTBR_EL2, "VTTBR_EL2", {3, 4, 2, 1, 0}, H::Stored, 0, 0x00fffffffffffffe, 0, 2, 2, kVttbr,
                    "el2"),
    kHypervisor.row(R::VTCR_EL2, "VTCR_EL2", {3, 4, 2, 1, 2}, H::Stored, 0x80000000, 0x0067ffff, 0x80000000, 2, 2,
                    kVtcr, "el2"),
};

}  // namespace

std::span<const SystemRegisterInfo> hypervisor() { return kRows; }

}  // namespace shearling::arm::groups
