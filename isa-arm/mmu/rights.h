// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a cached translation permits (TlbEntry::permissions of this ISA), and the rules that an access must meet: AP,
// UXN, PXN, WXN, PAN of stage 1 (DDI 0487, D8.4.1), S2AP and XN of stage 2 (D8.4.2). Each is a rule with a name and a
// sentence. WXN and PAN are asked when an access is made, so they are not part of an entry.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/events/sink.h"

namespace shearling::arm {

// Stage 1. Two-range regimes only: kMayUser and kMayExecuteUser.
inline constexpr std::uint32_t kMayWrite = 1U << 0, kMayUser = 1U << 1, kMayExecuteUser = 1U << 2,
                               kMayExecutePrivileged = 1U << 3,
                               kIsDirty = 1U << 4;  ///< A write changes no descriptor of stage 1.
// Stage 2
inline constexpr std::uint32_t kNestedMayRead = 1U << 5, kNestedMayWrite = 1U << 6,
                               kNestedMayExecutePrivileged = 1U << 7, kNestedMayExecuteUser = 1U << 8,
                               kNestedIsDirty = 1U << 9;
inline constexpr std::uint32_t kIsDevice = 1U << 10;      ///< Of either stage.
inline constexpr std::uint32_t kStageOneOff = 1U << 11;   ///< Stage 1 has no say.
inline constexpr std::uint32_t kDataIsDevice = 1U << 22;  ///< With stage 1 off: for loads and stores, not for fetches.
/// Levels of the two leaves, for the status of a fault, and log2 of the region that one descriptor maps (of stage 1, in
/// a nested TLB of stage 2): what an invalidation by address reaches, however small the pieces that are held.
inline constexpr unsigned kStageOneLevelShift = 12, kStageTwoLevelShift = 14, kRegionShift = 16;

inline constexpr std::uint32_t kStageOneRights = kMayWrite | kMayUser | kMayExecuteUser | kMayExecutePrivileged;
inline constexpr std::uint32_t kNestedRights =
    kNestedMayRead | kNestedMayWrite | kNestedMayExecutePrivileged | kNestedMayExecuteUser;

constexpr unsigned stage_one_level(std::uint32_t permissions) { return permissions >> kStageOneLevelShift & 3; }
constexpr unsigned stage_two_level(std::uint32_t permissions) { return permissions >> kStageTwoLevelShift & 3; }
constexpr unsigned region_shift(std::uint32_t permissions) { return permissions >> kRegionShift & 63; }

constexpr bool is_device(std::uint32_t permissions, AccessKind kind) {
  return (permissions & (kind == AccessKind::Fetch ? kIsDevice : kIsDevice | kDataIsDevice)) != 0;
}

struct AccessRule {
  std::string_view name;
  std::string_view sentence;
};
inline constexpr AccessRule kValidRule{"valid", "A descriptor of a walk must be valid; this one holds {actual}"},
    kRangeRule{"range", "The address must lie in the range that TCR gives to its half; the address is {actual}"},
    kAddressSizeRule{"address size", "An output address must fit the address size ({required} bits); it is {actual}"},
    kAccessFlagRule{"AF", "The access flag of a block or page must be {required}; it is {actual}"},
    kUserRule{"AP[1]", "An access with the rights of EL0 needs AP[1] = {required}; it is {actual}"},
    kPanRule{"PAN", "PSTATE.PAN: a privileged data access needs AP[1] = {required}; it is {actual}"},
    kWriteRule{"AP[2]", "A write needs AP[2] = {required} (read-only if 1), with APTable; it is {actual}"},
    kUserExecuteRule{"UXN", "A fetch at EL0 needs UXN = {required}; it is {actual}"},
    kPrivilegedExecuteRule{"PXN", "A privileged fetch needs PXN or XN = {required}; it is {actual}"},
    kUserWritableRule{"PXN", "A page that EL0 may write is never executable at EL1 (writable: {actual})"},
    kWxnRule{"WXN", "SCTLR.WXN: a fetch needs a page that is not writable ({required}); writable is {actual}"},
    kDirtyRule{"DBM", "A write needs a TLB entry marked dirty, or a walk that marks it first; marked is {actual}"},
    kStageTwoRule{"S2AP",
                  "Stage 2 must permit the access: {required} is needed, permitted is {actual} "
                  "(read 1, write 2, fetch 4)"},
    kProtectedWalkRule{"PTW",
                       "HCR_EL2.PTW: a stage-1 table must not lie in Device memory of stage 2 (Device: {actual})"};

/// An access as the rules see it.
struct RightsQuery {
  AccessKind kind = AccessKind::Read;
  bool user = false;        ///< With the rights of EL0.
  bool pan = false;         ///< PSTATE.PAN applies.
  bool wxn = false;         ///< SCTLR_ELx.WXN
  bool two_ranges = false;  ///< EL1&0, EL2&0
};

/// Calls `report(rule, actual, required, passed)` for each rule that applies, up to the first that fails.
template <typename Report>
bool stage_one_permits(const RightsQuery& query, std::uint32_t rights, Report report) {
  if ((rights & kStageOneOff) != 0) return true;
  const auto holds = [&](const AccessRule& rule, bool actual, bool required) {
    report(rule, std::uint64_t{actual}, std::uint64_t{required}, actual == required);
    return actual == required;
  };
  const bool user_page = query.two_ranges && (rights & kMayUser) != 0;
  const bool writable = (rights & kMayWrite) != 0 && (!query.user || user_page);
  if (query.kind == AccessKind::Fetch) {
    if (query.user && !holds(kUserExecuteRule, (rights & kMayExecuteUser) == 0, false)) return false;
    if (!query.user && !holds(kPrivilegedExecuteRule, (rights & kMayExecutePrivileged) == 0, false)) return false;
    if (!query.user && user_page && !holds(kUserWritableRule, writable, false)) return false;
    return !query.wxn || holds(kWxnRule, writable, false);
  }
  if (query.user && !holds(kUserRule, user_page, true)) return false;
  if (!query.user && query.two_ranges && query.pan && !holds(kPanRule, user_page, false)) return false;
  return query.kind == AccessKind::Read || holds(kWriteRule, (rights & kMayWrite) == 0, false);
}

/// Stage-2 permissions as numbers for checks: read 1, write 2, fetch 4.
inline constexpr unsigned kNestedRead = 1, kNestedWrite = 2, kNestedFetch = 4;
constexpr unsigned nested_access(AccessKind kind) {
  return kind == AccessKind::Read ? kNestedRead : kind == AccessKind::Write ? kNestedWrite : kNestedFetch;
}
constexpr unsigned nested_allowed(std::uint32_t rights, bool user) {
  const std::uint32_t execute = user ? kNestedMayExecuteUser : kNestedMayExecutePrivileged;
  return ((rights & kNestedMayRead) != 0 ? kNestedRead : 0) | ((rights & kNestedMayWrite) != 0 ? kNestedWrite : 0) |
         ((rights & execute) != 0 ? kNestedFetch : 0);
}

inline void emit_check(EventStream& events, const AccessRule& rule, std::uint64_t actual, std::uint64_t required,
                       bool passed) {
  events.micro(Check{.name = rule.name,
                     .sentence = rule.sentence,
                     .actual = actual,
                     .required = required,
                     .verdict = passed ? CheckVerdict::Passed : CheckVerdict::Failed});
}

}  // namespace shearling::arm
