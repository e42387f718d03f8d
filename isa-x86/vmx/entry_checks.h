// SPDX-License-Identifier: GPL-3.0-or-later
//
// The checks of a VM entry, one named row each: VM-execution, VM-exit and VM-entry controls (SDM volume 3C, section
// 26.2.1), host state (26.2.2 to 26.2.4), guest state (26.3.1). Left out: checks of features that the modelled
// processor does not have (a control that asks for one fails the check of allowed bits), MSR areas beyond their
// alignment, SMM and enclaves.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "isa-x86/vmx/vmcs.h"

namespace shearling::x86 {

enum class EntryCheckGroup : std::uint8_t { Controls, HostState, GuestState };

struct EntryCheckFailure {
  EntryCheckGroup group = EntryCheckGroup::Controls;
  std::string_view sentence;        ///< What should hold.
  std::uint64_t qualification = 0;  ///< Exit qualification of a guest-state failure.
};

struct EntryCheckOutcome {
  std::uint32_t passed = 0;  ///< Checks that held before the first that did not.
  std::optional<EntryCheckFailure> failure;
};

EntryCheckOutcome check_vm_entry(const Vmcs& vmcs);
/// Every check's sentence, in the order they are made.
std::span<const std::string_view> vm_entry_check_sentences();

}  // namespace shearling::x86
