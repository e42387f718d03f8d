// SPDX-License-Identifier: GPL-3.0-or-later
//
// The comparisons that the core makes beside those of the system-register table, with the sentences that tell them.
// {actual} and {required} are what was compared.
#pragma once

#include <cstdint>

#include "core/events/check_text.h"

namespace shearling::arm {

enum class CheckId : std::uint8_t {
  ProgramCounterAligned,
  LegalState,
  ReturnMode,
  ReturnNotHigher,
  ReturnNotToGuest,
  InterruptMask,
  ExclusiveMonitor,
  ExclusiveAligned,
  AccessAligned,
  OrderedAligned,
  InstructionKnown,
  Count
};

inline constexpr CheckTexts<CheckId> kCheckTexts{{
    {CheckId::ProgramCounterAligned, "PC alignment", "The program counter {actual} must be a multiple of 4"},
    {CheckId::LegalState, "PSTATE.IL", "An illegal exception return has set PSTATE.IL: it is {actual}, and must be 0"},
    {CheckId::ReturnMode, "SPSR.M", "SPSR.M is {actual}: it must name an AArch64 mode that this core has"},
    {CheckId::ReturnNotHigher, "return not to a higher level",
     "The return goes to exception level {actual}, which must not be above {required}"},
    {CheckId::ReturnNotToGuest, "HCR_EL2.TGE",
     "With HCR_EL2.TGE set nothing returns to EL1: it would go to level {actual}"},
    {CheckId::InterruptMask, "PSTATE mask",
     "The interrupt's mask bit in PSTATE is {actual}: taken if it is {required}"},
    {CheckId::ExclusiveMonitor, "exclusive monitor",
     "The store-exclusive goes to {actual}: the monitor must still be open for it, and stands at {required}"},
    {CheckId::ExclusiveAligned, "exclusive alignment",
     "The exclusive access at {actual} must be a multiple of {required}"},
    {CheckId::AccessAligned, "SCTLR.A", "With SCTLR_ELx.A set the address {actual} must be a multiple of {required}"},
    {CheckId::OrderedAligned, "acquire and release alignment",
     "The load-acquire or store-release at {actual} must be a multiple of {required}"},
    {CheckId::InstructionKnown, "instruction exists", "The word {actual} must be an instruction of this core"},
}};

static_assert(are_in_order<CheckId>(kCheckTexts));

}  // namespace shearling::arm
