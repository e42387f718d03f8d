// SPDX-License-Identifier: GPL-3.0-or-later
//
// Who may do what to a page: U/S, R/W with CR0.WP, XD, SMEP and SMAP (SDM volume 3A, section 4.6), each a rule with a
// name and a sentence. Left out: protection keys.
#pragma once

#include <string_view>

#include "isa-x86/mmu/mmu.h"

namespace shearling::x86 {

struct AccessRule {
  std::string_view name;
  std::string_view sentence;
};
inline constexpr AccessRule kPresentRule{"P",
                                         "Every entry of a walk must be present: P must be {required} and is {actual}"},
    kReservedRule{"reserved", "Reserved bits of an entry must be 0; those set are {actual}"},
    kUserRule{"U/S", "A user-mode access needs U/S = {required} in every entry; it is {actual}"},
    kWriteRule{"R/W", "A write needs R/W = {required} in every entry; it is {actual}"},
    kWriteProtectRule{"WP", "CR0.WP is 0, so a supervisor-mode write needs no R/W, which is {actual}"},
    kExecuteDisableRule{"XD", "A fetch needs XD = {required} in every entry; it is {actual}"},
    kSmepRule{"SMEP", "CR4.SMEP: a supervisor-mode fetch needs a page with U/S = {required}; it is {actual}"},
    kSmapRule{"SMAP", "CR4.SMAP: a supervisor-mode access needs a page with U/S = {required}; it is {actual}"},
    kSmapLiftedRule{"SMAP",
                    "RFLAGS.AC is 1, so CR4.SMAP lets a supervisor-mode access reach a page with U/S = {actual}"},
    kDirtyRule{"D", "A write needs a TLB entry marked dirty, or a walk that sets D first; marked is {actual}"},
    kEptRule{"EPT",
             "EPT must permit the access (read 1, write 2, fetch 4): {required} is needed, permitted is {actual}"},
    kEptConfigurationRule{"EPT configuration", "An EPT entry must be well-formed; this one holds {actual}"};

/// SDM 4.6: user-mode accesses are explicit ones at CPL 3; all others are supervisor-mode.
inline bool is_user_access(const AccessRequest& request) { return request.cpl == 3 && !request.implicit_supervisor; }

/// Stage 1. Calls `report(rule, actual, required, passed)` for each rule that applies, up to the first that fails.
template <typename Report>
bool stage1_permits(const SystemState& state, const AccessRequest& request, std::uint32_t permissions, Report report) {
  const bool user_access = is_user_access(request);
  const bool user_page = (permissions & kIsUser) != 0;
  const bool writable = (permissions & kMayWrite) != 0;
  const auto holds = [&](const AccessRule& rule, bool actual, bool required) {
    report(rule, std::uint64_t{actual}, std::uint64_t{required}, actual == required);
    return actual == required;
  };
  if (user_access && !holds(kUserRule, user_page, true)) return false;
  if (request.kind == AccessKind::Fetch) {
    const bool execute_disable = (permissions & kMayExecute) == 0;
    if ((state.efer & kEferNxe) != 0 && !holds(kExecuteDisableRule, execute_disable, false)) return false;
    return user_access || (state.cr4 & kCr4Smep) == 0 || holds(kSmepRule, user_page, false);
  }
  if (!user_access && (state.cr4 & kCr4Smap) != 0) {
    const bool lifted = request.alignment_check_flag && !request.implicit_supervisor;
    if (lifted)
      report(kSmapLiftedRule, std::uint64_t{user_page}, std::uint64_t{user_page}, true);
    else if (!holds(kSmapRule, user_page, false))
      return false;
  }
  if (request.kind == AccessKind::Read) return true;
  if (user_access || (state.cr0 & kCr0Wp) != 0) return holds(kWriteRule, writable, true);
  report(kWriteProtectRule, std::uint64_t{writable}, std::uint64_t{writable}, true);
  return true;
}

/// An access as bits 2:0 of the EPT violation qualification, and as EPT permissions: read 1, write 2, fetch 4.
constexpr unsigned ept_access(AccessKind kind) {
  return kind == AccessKind::Read ? 1U : kind == AccessKind::Write ? 2U : 4U;
}
/// Permission bits of a cached translation as EPT bits 2:0.
constexpr unsigned ept_permissions(std::uint32_t permissions) {
  return ((permissions & kNestedMayRead) != 0 ? 1U : 0U) | ((permissions & kNestedMayWrite) != 0 ? 2U : 0U) |
         ((permissions & kNestedMayExecute) != 0 ? 4U : 0U);
}

inline void emit_check(EventStream& events, const AccessRule& rule, std::uint64_t actual, std::uint64_t required,
                       bool passed) {
  events.micro(Check{.name = rule.name,
                     .sentence = rule.sentence,
                     .actual = actual,
                     .required = required,
                     .verdict = passed ? CheckVerdict::Passed : CheckVerdict::Failed});
}

}  // namespace shearling::x86
