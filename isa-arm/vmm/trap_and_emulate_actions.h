// SPDX-License-Identifier: GPL-3.0-or-later
//
// What only the VMM does that runs the guest's kernel at EL0, with the name that cost files and lessons use. What it
// does like the VMM at EL2 has its name and its sentence from there, but for EL2's own registers.
#pragma once

#include "isa-arm/vmm/el2_actions.h"

namespace shearling::arm::actions {

inline constexpr Action kDeprivilege{
    "guest.deprivilege",
    "lets the guest begin at EL0 at {a}; that it is at EL1 is kept in the VMM's books: PSTATE {b}"};
inline constexpr Action kDispatchOne{"exit.dispatch", "reads ESR_EL1 ({a}) and finds the handler of class {b}"};
inline constexpr Action kSkipOne{"instruction.skip", "moves ELR_EL1 from {a} to {b}, behind the instruction"};
inline constexpr Action kExceptionOne{
    "exception.inject", "lets the guest take an exception at its EL1, which is EL0: syndrome {a}, vector {b}"};
inline constexpr Action kReturn{"exception.return",
                                "does the guest's ERET: it goes on at {a}, and its PSTATE is now {b}"};
inline constexpr Action kDecode{"instruction.decode",
                                "reads the instruction at {a} and decodes it, for the syndrome does not say what it "
                                "is: {b}"};
inline constexpr Action kProcessState{"pstate.write", "sets the guest's PSTATE fields in the VMM's books: {a}"};
inline constexpr Action kMaintenance{"cache.none",
                                     "does nothing for the cache maintenance {a}: there is nothing to be seen of it"};
inline constexpr Action kTranslate{"at.emulate", "walks the guest's tables for AT of {a}: PAR_EL1 is {b}"};
inline constexpr Action kShiftTimers{"timer.shift",
                                     "moves the timers' compare values by the VMM's {a} cycles: without EL2 there is "
                                     "no CNTVOFF_EL2 to hide them"};
inline constexpr Action kShadowWalk{"shadow.walk", "walks the guest's own tables in software for {a}: it lies at {b}"};
inline constexpr Action kShadowFault{
    "shadow.fault", "walks the guest's own tables in software for {a}: they permit no such access, status {b}"};
inline constexpr Action kShadowTable{"shadow.table", "adds {a} shadow tables"};
inline constexpr Action kShadowMap{"shadow.map", "enters the page {a} into the shadow tables: {b}"};
inline constexpr Action kShadowSpace{"shadow.space",
                                     "makes empty shadow tables for a new address space: TTBR0_EL1 is to be {a}, "
                                     "TTBR1_EL1 {b}"};
inline constexpr Action kShadowSwitch{"shadow.switch",
                                      "points TTBR0_EL1 at the shadow tables at {a}, TTBR1_EL1 at {b}"};
inline constexpr Action kShadowClear{"shadow.clear", "empties the shadow tables, {a} entries, and the TLB with TLBI"};

}  // namespace shearling::arm::actions
