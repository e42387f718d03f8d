// SPDX-License-Identifier: GPL-3.0-or-later
//
// Self-hosted debug (DDI 0487, D19.3), and the performance monitors (D19.5): the cycle counter, no event counters.
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kMdscr[] = {{"MDE", 15, 15, "Breakpoints and watchpoints are on."},
                                    {"HDE", 14, 14, "Halting debug is on."},
                                    {"KDE", 13, 13, "Debug exceptions may be taken to the level they come from."},
                                    {"TDCC", 12, 12, "EL0's accesses to the debug channel trap."},
                                    {"SS", 0, 0, "Software step is on."}};
constexpr RegisterField kMdccint[] = {{"RX", 30, 30, "Interrupt when the debug channel has received."},
                                      {"TX", 29, 29, "Interrupt when the debug channel can send."}};
constexpr RegisterField kOslar[] = {{"OSLK", 0, 0, "Sets or clears the OS lock."}};
constexpr RegisterField kOslsr[] = {{"OSLM[1]", 3, 3, "With OSLM[0] clear: the OS lock exists."},
                                    {"nTT", 2, 2, "The lock is written by 32-bit accesses."},
                                    {"OSLK", 1, 1, "The OS lock is locked."},
                                    {"OSLM[0]", 0, 0, "Clear."}};
constexpr RegisterField kOsdlr[] = {{"DLK", 0, 0, "The OS double lock is locked."}};
constexpr RegisterField kBreakpoint[] = {{"BT", 23, 20, "Type."},
                                         {"LBN", 19, 16, "Linked breakpoint."},
                                         {"SSC", 15, 14, "Security states that match."},
                                         {"HMC", 13, 13, "Higher levels match."},
                                         {"BAS", 8, 5, "Bytes that match."},
                                         {"PMC", 2, 1, "Levels that match."},
                                         {"E", 0, 0, "The breakpoint is on."}};
constexpr RegisterField kWatchpoint[] = {{"MASK", 28, 24, "Address bits that do not count."},
                                         {"WT", 20, 20, "Type."},
                                         {"LBN", 19, 16, "Linked breakpoint."},
                                         {"SSC", 15, 14, "Security states that match."},
                                         {"HMC", 13, 13, "Higher levels match."},
                                         {"BAS", 12, 5, "Bytes that match."},
                                         {"LSC", 4, 3, "1 loads, 2 stores, 3 both."},
                                         {"PAC", 2, 1, "Levels that match."},
                                         {"E", 0, 0, "The watchpoint is on."}};

constexpr RegisterField kPmcr[] = {{"IMP", 31, 24, "0x41 is Arm."},
                                   {"IDCODE", 23, 16, "Identification."},
                                   {"N", 15, 11, "Event counters."},
                                   {"LC", 6, 6, "The cycle counter overflows at 64 bits."},
                                   {"DP", 5, 5, "The cycle counter stops where counting is prohibited."},
                                   {"X", 4, 4, "Events are exported."},
                                   {"D", 3, 3, "The cycle counter counts every 64th cycle."},
                                   {"C", 2, 2, "Written as 1: the cycle counter becomes 0."},
                                   {"P", 1, 1, "Written as 1: the event counters become 0."},
                                   {"E", 0, 0, "Counters count."}};
constexpr RegisterField kCounters[] = {{"C", 31, 31, "The cycle counter."}};
constexpr RegisterField kSelect[] = {{"SEL", 4, 0, "Counter that PMXEVTYPER_EL0 means; 31 is the cycle counter."}};
constexpr RegisterField kFilter[] = {
    {"P", 31, 31, "EL1 does not count."}, {"U", 30, 30, "EL0 does not count."}, {"NSH", 27, 27, "EL2 counts."}};
constexpr RegisterField kUserEnable[] = {{"ER", 3, 3, "EL0 may read event counters."},
                                         {"CR", 2, 2, "EL0 may read the cycle counter."},
                                         {"SW", 1, 1, "EL0 may write PMSWINC_EL0."},
                                         {"EN", 0, 0, "EL0 may use the performance monitors."}};

constexpr std::uint64_t kCycleCounter = 1ULL << 31, kFilterBits = 0xc8000000;
constexpr RegisterGroup kDebug{"debug", kDebugSection}, kMonitors{"performance monitors", kMonitorsSection};
constexpr SystemRegisterInfo kDebugRows[] = {
    kDebug.row(R::MDSCR_EL1, "MDSCR_EL1", {2, 0, 0, 2, 2}, H::Stored, 0, 0xf001, 0, 1, 1, kMdscr),
    kDebug.row(R::MDCCINT_EL1, "MDCCINT_EL1", {2, 0, 0, 2, 0}, H::Stored, 0, 0x60000000, 0, 1, 1, kMdccint),
    kDebug.row(R::OSLAR_EL1, "OSLAR_EL1", {2, 0, 1, 0, 4}, H::Stored, 0, 1, 0, kNobody, 1, kOslar),
    kDebug.row(R::OSLSR_EL1, "OSLSR_EL1", {2, 0, 1, 1, 4}, H::Stored, 0xa, 0, 0, 1, kNobody, kOslsr),
    kDebug.row(R::OSDLR_EL1, "OSDLR_EL1", {2, 0, 1, 3, 4}, H::Stored, 0, 1, 0, 1, 1, kOsdlr),
    kDebug.row(R::DBGBVR0_EL1, "DBGBVR0_EL1", {2, 0, 0, 0, 4}, H::Stored, 0, ~3ULL, 0, 1, 1),
    kDebug.row(R::DBGBCR0_EL1, "DBGBCR0_EL1", {2, 0, 0, 0, 5}, H::Stored, 0, 0x00ffe1e7, 0, 1, 1, kBreakpoint),
    kDebug.row(R::DBGWVR0_EL1, "DBGWVR0_EL1", {2, 0, 0, 0, 6}, H::Stored, 0, ~3ULL, 0, 1, 1),
    kDebug.row(R::DBGWCR0_EL1, "DBGWCR0_EL1", {2, 0, 0, 0, 7}, H::Stored, 0, 0x1f1fffff, 0, 1, 1, kWatchpoint),
    kDebug.row(R::MDRAR_EL1, "MDRAR_EL1", {2, 0, 1, 0, 0}, H::Constant, 0, 0, 0, 1, kNobody),
};
constexpr SystemRegisterInfo kMonitorRows[] = {
    kMonitors.row(R::PMCR_EL0, "PMCR_EL0", {3, 3, 9, 12, 0}, H::Stored, 0x41010000, 0x79, 0, 0, 0, kPmcr),
    kMonitors.row(R::PMCNTENSET_EL0, "PMCNTENSET_EL0", {3, 3, 9, 12, 1}, H::Stored, 0, kCycleCounter, 0, 0, 0,
                  kCounters),
    kMonitors.row(R::PMCNTENCLR_EL0, "PMCNTENCLR_EL0", {3, 3, 9, 12, 2}, H::Stored, 0, kCycleCounter, 0, 0, 0,
                  kCounters),
    kMonitors.row(R::PMOVSCLR_EL0, "PMOVSCLR_EL0", {3, 3, 9, 12, 3}, H::Stored, 0, kCycleCounter, 0, 0, 0, kCounters),
    kMonitors.row(R::PMSELR_EL0, "PMSELR_EL0", {3, 3, 9, 12, 5}, H::Stored, 0, 0x1f, 0, 0, 0, kSelect),
    kMonitors.row(R::PMCCNTR_EL0, "PMCCNTR_EL0", {3, 3, 9, 13, 0}, H::Stored, 0, kAllBits, 0, 0, 0),
    kMonitors.row(R::PMCCFILTR_EL0, "PMCCFILTR_EL0", {3, 3, 14, 15, 7}, H::Stored, 0, kFilterBits, 0, 0, 0, kFilter),
    kMonitors.row(R::PMXEVTYPER_EL0, "PMXEVTYPER_EL0", {3, 3, 9, 13, 1}, H::Stored, 0, kFilterBits, 0, 0, 0, kFilter),
    kMonitors.row(R::PMXEVCNTR_EL0, "PMXEVCNTR_EL0", {3, 3, 9, 13, 2}, H::Stored, 0, 0, 0, 0, 0),
    kMonitors.row(R::PMUSERENR_EL0, "PMUSERENR_EL0", {3, 3, 9, 14, 0}, H::Stored, 0, 0xf, 0, 0, 1, kUserEnable),
    kMonitors.row(R::PMINTENSET_EL1, "PMINTENSET_EL1", {3, 0, 9, 14, 1}, H::Stored, 0, kCycleCounter, 0, 1, 1,
                  kCounters),
    kMonitors.row(R::PMINTENCLR_EL1, "PMINTENCLR_EL1", {3, 0, 9, 14, 2}, H::Stored, 0, kCycleCounter, 0, 1, 1,
                  kCounters),
    kMonitors.row(R::PMOVSSET_EL0, "PMOVSSET_EL0", {3, 3, 9, 14, 3}, H::Stored, 0, kCycleCounter, 0, 0, 0, kCounters),
};

}  // namespace

std::span<const SystemRegisterInfo> debug() { return kDebugRows; }
std::span<const SystemRegisterInfo> performance_monitors() { return kMonitorRows; }

}  // namespace shearling::arm::groups
