// SPDX-License-Identifier: GPL-3.0-or-later
//
// The order of checks, as in the access pseudocode of DDI 0487, D19: does the encoding exist, is the level high enough,
// may it be read or written at all, then the traps of trap_rules.cpp, then which register the name means.
#include <bit>
#include <iterator>
#include <optional>

#include "core/events/event.h"
#include "core/machine/machine_config.h"
#include "isa-arm/registers/arm_state.h"
#include "isa-arm/registers/encoding_index.h"
#include "isa-arm/registers/trap_rules.h"

namespace shearling::arm {
namespace {

using R = SystemRegister;
using F = TrapFamily;
using MeaningKind = EncodingMeaning::Kind;

struct CheckText {
  std::string_view name, sentence;
};
constexpr CheckText kEncodingExists{"encoding exists", "The core must know the encoding {actual}"};
constexpr CheckText kFeaturePresent{"feature present", "The core must have the feature that brings this"};
constexpr CheckText kLevel{"exception level", "The exception level {actual} must be at least {required}"};
constexpr CheckText kReadable{"readable", "The register must be one that can be read"};
constexpr CheckText kWritable{"writable", "The register must be one that can be written"};
constexpr CheckText kHostNames{"HCR_EL2.E2H",
                               "Names in _EL12 and _EL02 exist at EL2 while HCR_EL2.E2H, {actual}, is {required}"};

constexpr std::uint8_t kNobody = 3;
constexpr std::uint32_t kConditionAlways = 0x1e00000;  // CV set, COND 0b1110.
constexpr std::uint32_t kWaitForEvent = 1;             // WFx: TI

/// What the syndromes of a trapped access are made of.
struct Access {
  FamilySet families = 0;
  bool read = false;
  std::uint32_t system_syndrome = 0;  ///< ISS where the class is that of MSR, MRS and system instructions.
  std::uint16_t immediate = 0;        ///< SMC
  bool wait_for_event = false;        ///< WFE rather than WFI.
};

/// ISS of a trapped MSR, MRS or system instruction (DDI 0487, D19.2.37).
std::uint32_t system_syndrome(SystemEncoding encoding, unsigned rt, bool read) {
  return static_cast<std::uint32_t>(encoding.op0) << 20 | static_cast<std::uint32_t>(encoding.op2) << 17 |
         static_cast<std::uint32_t>(encoding.op1) << 14 | static_cast<std::uint32_t>(encoding.crn) << 10 |
         (rt & 31) << 5 | static_cast<std::uint32_t>(encoding.crm) << 1 | (read ? 1 : 0);
}

AccessDecision allowed(R reg) { return {.kind = AccessDecision::Kind::Allowed, .reg = reg}; }

bool trips(const TrapRule& rule, std::uint64_t bits) {
  switch (rule.trips) {
    case TrapRule::Trips::AnySet:
      return bits != 0;
    case TrapRule::Trips::NoneSet:
      return bits == 0;
    case TrapRule::Trips::NotAllSet:
      return bits != rule.mask;
  }
  return false;
}

bool concerns(const TrapRule& rule, const Access& access) {
  if ((access.families & set_of(rule.family)) == 0) return false;
  return rule.direction == TrapRule::Direction::Both || (rule.direction == TrapRule::Direction::Read) == access.read;
}

/// One access, checked by the state that the core is in now.
class Judge {
 public:
  Judge(const ArmState& state, const MachineConfig& config, EventStream& events)
      : state_(state),
        config_(config),
        events_(events),
        has_el2_(has_feature(config, "el2")),
        hcr_(has_el2_ ? state[R::HCR_EL2] : 0) {}

  [[nodiscard]] AccessDecision register_access(SystemEncoding encoding, const Access& access);
  [[nodiscard]] AccessDecision instruction(std::uint8_t from, std::string_view feature, const Access& access);
  [[nodiscard]] AccessDecision system_instruction(SystemEncoding encoding, const Access& access);
  [[nodiscard]] AccessDecision undefined() const {
    return {.kind = AccessDecision::Kind::Undefined, .exception = {.target = own_target()}};
  }
  /// Where exceptions go that no control routes: EL1, or EL2 from there and where it hosts EL0.
  [[nodiscard]] unsigned own_target() const {
    return state_.exception_level == 2 || (state_.exception_level == 0 && (hcr_ & hcr::kTge) != 0) ? 2 : 1;
  }

 private:
  bool passes(const CheckText& text, std::uint64_t actual, std::uint64_t required, bool passed);
  bool feature_present(std::string_view feature);
  bool level_reached(std::uint8_t from);
  [[nodiscard]] std::optional<AccessDecision> trap(const Access& access);
  [[nodiscard]] AccessDecision outcome(const TrapRule& rule, const Access& access) const;
  [[nodiscard]] bool applies(const TrapRule& rule) const;
  [[nodiscard]] std::uint64_t control(R reg) const;
  [[nodiscard]] R meant(R named) const;
  [[nodiscard]] bool host() const { return (hcr_ & hcr::kE2h) != 0; }

  const ArmState& state_;
  const MachineConfig& config_;
  EventStream& events_;
  bool has_el2_;
  std::uint64_t hcr_;
};

bool Judge::passes(const CheckText& text, std::uint64_t actual, std::uint64_t required, bool passed) {
  events_.micro(Check{.name = text.name,
                      .sentence = text.sentence,
                      .actual = actual,
                      .required = required,
                      .verdict = passed ? CheckVerdict::Passed : CheckVerdict::Failed});
  return passed;
}

bool Judge::feature_present(std::string_view feature) {
  if (feature.empty()) return true;
  const bool present = has_feature(config_, feature);
  return passes(kFeaturePresent, present ? 1 : 0, 1, present);
}

bool Judge::level_reached(std::uint8_t from) {
  return passes(kLevel, state_.exception_level, from, state_.exception_level >= from);
}

std::uint64_t Judge::control(R reg) const {
  if (reg == R::SPSel) return state_.stack_pointer_select ? 1 : 0;
  return reg == R::HCR_EL2 ? hcr_ : state_[reg];
}

bool Judge::applies(const TrapRule& rule) const {
  const unsigned mode = (host() ? 2 : 0) + ((hcr_ & hcr::kTge) != 0 ? 1 : 0);
  if ((rule.from >> state_.exception_level & 1) == 0 || (rule.mode >> mode & 1) == 0) return false;
  return has_el2_ || rule.to != TrapRule::To::Hypervisor;
}

AccessDecision Judge::outcome(const TrapRule& rule, const Access& access) const {
  if (rule.to == TrapRule::To::Undefined) return undefined();
  AccessDecision decision{.kind = AccessDecision::Kind::Trapped};
  decision.exception.target = rule.to == TrapRule::To::Hypervisor ? 2 : own_target();
  Syndrome& syndrome = decision.exception.syndrome;
  syndrome.exception_class = rule.exception_class;
  switch (rule.exception_class) {
    case ExceptionClass::SystemInstruction:
      syndrome.iss = access.system_syndrome;
      break;
    case ExceptionClass::WfxTrap:
      syndrome.iss = kConditionAlways | (access.wait_for_event ? kWaitForEvent : 0);
      break;
    case ExceptionClass::FloatingPointAccess:
      // What TGE moves from EL1 to EL2 is reported as unknown (DDI 0487, D19.2, HCR_EL2.TGE).
      if (rule.to == TrapRule::To::Kernel && decision.exception.target == 2)
        syndrome = Syndrome{};
      else
        syndrome.iss = kConditionAlways;
      break;
    default:
      syndrome.iss = access.immediate;
  }
  return decision;
}

std::optional<AccessDecision> Judge::trap(const Access& access) {
  if (access.families == 0) return std::nullopt;
  for (const TrapRule& rule : trap_rules()) {
    if (!concerns(rule, access) || !applies(rule)) continue;
    const std::uint64_t bits = control(rule.control) & rule.mask;
    const bool tripped = trips(rule, bits);
    const int low = std::countr_zero(rule.mask);
    events_.micro(Check{.name = rule.name,
                        .sentence = rule.sentence,
                        .actual = bits >> low,
                        .required = rule.trips == TrapRule::Trips::AnySet ? 0 : rule.mask >> low,
                        .verdict = !tripped                              ? CheckVerdict::Passed
                                   : rule.to == TrapRule::To::Hypervisor ? CheckVerdict::Exits
                                                                         : CheckVerdict::Failed});
    if (tripped) return outcome(rule, access);
  }
  return std::nullopt;
}

/// What EL2 lets EL1 believe of its identity, and FEAT_VHE's redirection: at EL2, and of the timers also at EL0 where
/// EL2 hosts it.
R Judge::meant(R named) const {
  const unsigned level = state_.exception_level;
  if (has_el2_ && level == 1) {
    if (named == R::MIDR_EL1) return R::VPIDR_EL2;
    if (named == R::MPIDR_EL1) return R::VMPIDR_EL2;
  }
  const bool hosted = level == 0 && (hcr_ & hcr::kTge) != 0;
  if (!host() || (level != 2 && !hosted)) return named;
  for (const HostRedirection& redirection : host_redirections()) {
    if (redirection.reg == named) return redirection.host;
  }
  return named;
}

AccessDecision Judge::register_access(SystemEncoding encoding, const Access& asked) {
  const EncodingMeaning meaning = meaning_of(encoding);
  const bool is_register = meaning.kind == MeaningKind::Register || meaning.kind == MeaningKind::Alias;
  if (!passes(kEncodingExists, encoding.packed(), 0, is_register || meaning.kind == MeaningKind::Space))
    return undefined();
  Access access = asked;
  if (!is_register) {
    const EncodingSpace& space = encoding_spaces()[meaning.index];
    const std::uint8_t from = access.read ? space.read_from : space.write_from;
    if (!passes(access.read ? kReadable : kWritable, 0, 0, from != kNobody) || !level_reached(from)) return undefined();
    access.families = space.families;
    if (auto decision = trap(access)) return *decision;
    return passes(kEncodingExists, encoding.packed(), 0, space.exists) ? allowed(R::Count) : undefined();
  }
  const bool alias = meaning.kind == MeaningKind::Alias;
  const R named = alias ? host_redirections()[meaning.index].reg : static_cast<R>(meaning.index);
  if (alias && !passes(kHostNames, host() ? 1 : 0, 1, host() && state_.exception_level == 2)) return undefined();
  const SystemRegisterInfo& info = info_of(named);
  const std::uint8_t from = access.read ? info.read_from : info.write_from;
  if (!feature_present(info.feature) || !passes(access.read ? kReadable : kWritable, 0, 0, from != kNobody) ||
      !level_reached(from))
    return undefined();
  access.families = families_of(named);
  if (auto decision = trap(access)) return *decision;
  return allowed(alias ? named : meant(named));
}

AccessDecision Judge::instruction(std::uint8_t from, std::string_view feature, const Access& access) {
  if (!feature_present(feature) || !level_reached(from)) return undefined();
  if (auto decision = trap(access)) return *decision;
  return allowed(R::Count);
}

AccessDecision Judge::system_instruction(SystemEncoding encoding, const Access& asked) {
  const EncodingMeaning meaning = meaning_of(encoding);
  Access access = asked;
  if (meaning.kind == MeaningKind::Instruction && !access.read) {
    const SystemInstructionInfo& info = system_instruction_table()[meaning.index];
    access.families = info.trap_families;
    return instruction(info.from, info.feature, access);
  }
  if (meaning.kind == MeaningKind::Space) {
    const EncodingSpace& space = encoding_spaces()[meaning.index];
    if (!level_reached(space.read_from)) return undefined();
    access.families = space.families;
    if (auto decision = trap(access)) return *decision;
  }
  passes(kEncodingExists, encoding.packed(), 0, false);
  return undefined();
}

// --- instructions by kind --------------------------------------------------------------------------------------------

struct InstructionRow {
  std::uint8_t from = 0;
  std::string_view feature;
  FamilySet families = 0;
};
/// By TrappableInstruction, up to FloatingPoint.
constexpr InstructionRow kInstructions[] = {
    {0, {}, 0},                             // SVC
    {1, "el2", set_of(F::HypervisorCall)},  // HVC
    {1, {}, set_of(F::SecureMonitorCall)},  // SMC
    {1, {}, 0},                             // ERET
    {0, {}, set_of(F::WaitForInterrupt)},   // WFI
    {0, {}, set_of(F::WaitForEvent)},       // WFE
    {0, {}, set_of(F::FloatingPoint)},      // floating point
};
static_assert(std::size(kInstructions) == static_cast<std::size_t>(TrappableInstruction::MsrImmediate));

/// MSR (immediate), by op1 and op2.
struct StateFieldRow {
  std::uint8_t op1, op2;
  InstructionRow row;
};
constexpr StateFieldRow kStateFields[] = {
    {0, 4, {1, "pan", 0}},                     // PAN
    {0, 5, {1, {}, 0}},                        // SPSel
    {3, 6, {0, {}, set_of(F::ProcessMasks)}},  // DAIFSet
    {3, 7, {0, {}, set_of(F::ProcessMasks)}},  // DAIFClr
};

std::optional<InstructionRow> row_of(const InstructionQuery& query) {
  if (query.instruction != TrappableInstruction::MsrImmediate)
    return kInstructions[static_cast<std::size_t>(query.instruction)];
  for (const StateFieldRow& field : kStateFields) {
    if (field.op1 == query.encoding.op1 && field.op2 == query.encoding.op2) return field.row;
  }
  return std::nullopt;
}

/// SVC and HVC that pass their checks are exceptions: to the level's own target, and to EL2.
ArmException call_exception(ExceptionClass exception_class, std::uint16_t immediate, unsigned target) {
  return {.syndrome = {.exception_class = exception_class, .iss = immediate}, .target = target, .returns_after = true};
}

}  // namespace

AccessDecision decide_system_access(const ArmState& state, const MachineConfig& config, SystemEncoding encoding,
                                    bool read, unsigned rt, EventStream& events) {
  return Judge(state, config, events)
      .register_access(encoding, {.read = read, .system_syndrome = system_syndrome(encoding, rt, read)});
}

AccessDecision decide_instruction(const ArmState& state, const MachineConfig& config, const InstructionQuery& query,
                                  EventStream& events) {
  Judge judge(state, config, events);
  Access access{.read = query.read,
                .system_syndrome = system_syndrome(query.encoding, query.rt, query.read),
                .immediate = query.immediate,
                .wait_for_event = query.instruction == TrappableInstruction::Wfe};
  if (query.instruction == TrappableInstruction::System) return judge.system_instruction(query.encoding, access);
  const auto row = row_of(query);
  if (!row) return judge.undefined();
  access.families = row->families;
  AccessDecision decision = judge.instruction(row->from, row->feature, access);
  if (decision.kind != AccessDecision::Kind::Allowed) return decision;
  if (query.instruction == TrappableInstruction::Svc)
    decision.exception = call_exception(ExceptionClass::Svc64, query.immediate, judge.own_target());
  if (query.instruction == TrappableInstruction::Hvc)
    decision.exception = call_exception(ExceptionClass::Hvc64, query.immediate, 2);
  return decision;
}

}  // namespace shearling::arm
