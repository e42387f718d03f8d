// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the VMM at EL2 does in the place of firmware and hardware: PSCI, waiting, and the system registers that trap.
#include <algorithm>

#include "isa-arm/vmm/el2_host.h"
#include "isa-arm/vmm/el2_machine.h"
#include "isa-arm/vmm/psci.h"

namespace shearling::arm {
namespace {

/// ISS of a trapped MSR, MRS or system instruction (DDI 0487, D19.2.37).
struct TrappedAccess {
  explicit TrappedAccess(std::uint64_t iss)
      : encoding{static_cast<std::uint8_t>(iss >> 20 & 3), static_cast<std::uint8_t>(iss >> 14 & 7),
                 static_cast<std::uint8_t>(iss >> 10 & 15), static_cast<std::uint8_t>(iss >> 1 & 15),
                 static_cast<std::uint8_t>(iss >> 17 & 7)},
        general(static_cast<unsigned>(iss >> 5 & 31)),
        read((iss & 1) != 0) {}
  SystemEncoding encoding;
  unsigned general;
  bool read;
};

/// DC ISW, DC CSW, DC CISW
constexpr std::array kSetWayInstructions{SystemEncoding{1, 0, 7, 6, 2}, SystemEncoding{1, 0, 7, 10, 2},
                                         SystemEncoding{1, 0, 7, 14, 2}};

constexpr bool is_identification(const SystemEncoding& encoding) {
  return encoding.op0 == 3 && encoding.op1 == 0 && encoding.crn == 0 && encoding.crm >= 1 && encoding.crm <= 7;
}

std::optional<SystemRegister> register_of(const SystemEncoding& encoding) {
  const auto table = system_register_table();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& info) { return info.encoding == encoding; });
  if (found == table.end()) return std::nullopt;
  return found->id;
}

constexpr std::uint64_t kTimerEnable = 1, kTimerMask = 2, kTimerStatus = 4;  ///< CNTP_CTL_EL0

}  // namespace

// --- calls -----------------------------------------------------------------------------------------------------------

struct El2Host::CallHandler {
  std::uint32_t function;
  std::int64_t (El2Host::*serve)();
};
const std::array<El2Host::CallHandler, 9> El2Host::kCallHandlers{{
    {psci::kVersion, &El2Host::call_version},
    {psci::kSmcccVersion, &El2Host::call_convention_version},
    {psci::kCpuOff, &El2Host::call_cpu_off},
    {psci::kCpuOn, &El2Host::call_cpu_on},
    {psci::kAffinityInfo, &El2Host::call_affinity_info},
    {psci::kMigrateInfoType, &El2Host::call_migrate_info_type},
    {psci::kSystemOff, &El2Host::call_system_off},
    {psci::kSystemReset, &El2Host::call_system_reset},
    {psci::kFeatures, &El2Host::call_features},
}};

/// ELR_EL2 is behind the HVC.
void El2Host::on_hypervisor_call() {
  const std::uint64_t function = core_->general(0) & 0xffffffff, argument = core_->general(1);
  const auto result = static_cast<std::uint64_t>(call_firmware());
  act(actions::kHypercall, function, result);
  context_.events.notable(Hypercall{.number = function, .argument = argument, .result = result});
  if (core_->context().request.stop == StopReason::None && core_->state().powered) core_->set_general(0, result);
}

/// Where HVC leads to the firmware there is no EL3 to call by SMC: the guest's core does not know the instruction.
void El2Host::on_monitor_call() { inject_undefined(); }

std::int64_t El2Host::call_firmware() {
  const std::optional<std::uint32_t> function = psci::function_of(core_->general(0));
  const auto handler = std::find_if(kCallHandlers.begin(), kCallHandlers.end(),
                                    [&](const CallHandler& row) { return row.function == function; });
  return handler == kCallHandlers.end() ? psci::kNotSupported : (this->*handler->serve)();
}

std::int64_t El2Host::call_version() { return psci::kPsciVersion11; }
std::int64_t El2Host::call_convention_version() { return psci::kSmcccVersion11; }
std::int64_t El2Host::call_migrate_info_type() { return psci::kNoTrustedOs; }

std::int64_t El2Host::call_cpu_off() {
  act(actions::kPowerOff, cpu());
  core_->power_off();
  return psci::kSuccess;
}

/// The core whose MPIDR_EL1 has that affinity.
std::optional<unsigned> El2Host::core_of(std::uint64_t affinity) const {
  for (unsigned each = 0; each < context_.config.cpus; ++each) {
    if (((core_->core(each)->state()[R::MPIDR_EL1] ^ affinity) & psci::kAffinityMask) == 0) return each;
  }
  return std::nullopt;
}

std::int64_t El2Host::call_cpu_on() {
  const std::optional<unsigned> target = core_of(core_->general(1));
  if (!target) return psci::kInvalidParameters;
  const VirtualAddress entry{core_->general(2)};
  act(actions::kPowerOn, *target, entry.value);
  return core_->power_on(*target, entry, core_->general(3)) ? psci::kSuccess : psci::kAlreadyOn;
}

std::int64_t El2Host::call_affinity_info() {
  const std::optional<unsigned> target = core_of(core_->general(1));
  if (!target) return psci::kInvalidParameters;
  return core_->core(*target)->state().powered ? psci::kAffinityOn : psci::kAffinityOff;
}

std::int64_t El2Host::call_system_off() {
  if (machine().number != 0) {  // The machine belongs to the first one.
    act(actions::kEnded, machine().number);
    machine().on = false;
    return psci::kSuccess;
  }
  core_->context().request.stop = StopReason::PowerOff;
  return psci::kSuccess;
}

std::int64_t El2Host::call_system_reset() {
  if (machine().number != 0) return call_system_off();
  core_->context().request.stop = StopReason::Reset;
  return psci::kSuccess;
}

std::int64_t El2Host::call_features() {
  return psci::function_of(core_->general(1)) ? psci::kSuccess : psci::kNotSupported;
}

// --- waiting ---------------------------------------------------------------------------------------------------------

void El2Host::on_wait() {
  const bool for_event = (read(R::ESR_EL2) & 1) != 0;
  skip_instruction();
  if (!for_event) {
    on_wait_for_interrupt();
    return;
  }
  act(actions::kYield);
  turn_over_ = true;
}

void El2Host::on_wait_for_interrupt() {
  act(actions::kHalt);
  if (machines_.size() > 1)
    machine().waiting = true;  // schedule() decides who uses the time.
  else
    core_->wait_for_interrupt();
}

// --- system registers ------------------------------------------------------------------------------------------------

/// Registers from `first` to `last` of the enumeration. A null pointer: such an access is UNDEFINED.
struct El2Host::RegisterTrap {
  SystemRegister first, last;
  std::uint64_t (El2Host::*read)(SystemRegister);
  void (El2Host::*write)(SystemRegister, std::uint64_t);
};
const std::array<El2Host::RegisterTrap, 5> El2Host::kRegisterTraps{{
    {R::CNTPCT_EL0, R::CNTPCT_EL0, &El2Host::read_physical_count, nullptr},
    {R::CNTP_TVAL_EL0, R::CNTP_CVAL_EL0, &El2Host::read_physical_timer, &El2Host::write_physical_timer},
    {R::ICC_SGI1R_EL1, R::ICC_SGI0R_EL1, nullptr, &El2Host::write_software_interrupt},
    {R::ACTLR_EL1, R::ACTLR_EL1, &El2Host::read_real, &El2Host::write_ignored},
    {R::PMCR_EL0, R::PMOVSSET_EL0, &El2Host::read_real, &El2Host::write_real},
}};

void El2Host::on_system_register() {
  const TrappedAccess access(read(R::ESR_EL2));
  const std::uint64_t code = access.encoding.packed();
  if (std::find(kSetWayInstructions.begin(), kSetWayInstructions.end(), access.encoding) != kSetWayInstructions.end()) {
    act(actions::kSetWay, core_->general(access.general));
    skip_instruction();
    return;
  }
  if (is_identification(access.encoding) && access.read) {
    const std::uint64_t value = read_identification(access.encoding);
    act(actions::kIdentification, code, value);
    core_->set_general(access.general, value);
    skip_instruction();
    return;
  }
  const std::optional<SystemRegister> reg = register_of(access.encoding);
  const auto trap = std::find_if(kRegisterTraps.begin(), kRegisterTraps.end(),
                                 [&](const RegisterTrap& row) { return reg && row.first <= *reg && *reg <= row.last; });
  if (trap == kRegisterTraps.end() || (access.read ? trap->read == nullptr : trap->write == nullptr)) {
    inject_undefined();
    return;
  }
  if (access.read) {
    const std::uint64_t value = (this->*trap->read)(*reg);
    act(actions::kSystemRead, code, value);
    core_->set_general(access.general, value);
  } else {
    act(actions::kSystemWrite, code, core_->general(access.general));
    (this->*trap->write)(*reg, core_->general(access.general));
  }
  skip_instruction();
}

/// The whole space reads as zero where it is not given away yet.
std::uint64_t El2Host::read_identification(SystemEncoding encoding) {
  const std::optional<SystemRegister> reg = register_of(encoding);
  return reg ? believed_identification_[*reg] : 0;
}

std::vector<BelievedRegister> El2Host::believed(const HostCore& core) const {
  std::vector<BelievedRegister> registers;
  for (const SystemRegisterInfo& info : system_register_table()) {
    if (is_identification(info.encoding)) registers.push_back({info.id, believed_identification_[info.id]});
  }
  const auto& timer = machine().physical_timers[core.context().cpu];
  registers.push_back({R::CNTPCT_EL0, context_.time.guest_ticks()});
  registers.push_back({R::CNTP_CVAL_EL0, timer.compare});
  return registers;
}

std::uint64_t El2Host::read_real(R reg) { return read(reg); }
void El2Host::write_real(R reg, std::uint64_t value) { write(reg, value); }

/// Without a VMM the physical count is the guest's time.
std::uint64_t El2Host::read_physical_count(R) { return context_.time.guest_ticks(); }

std::uint64_t El2Host::read_physical_timer(R reg) {
  const auto& timer = machine().physical_timers[cpu()];
  const std::uint64_t now = context_.time.guest_ticks();
  if (reg == R::CNTP_CVAL_EL0) return timer.compare;
  if (reg == R::CNTP_TVAL_EL0) return (timer.compare - now) & 0xffffffff;
  const bool met = (timer.control & kTimerEnable) != 0 && now >= timer.compare;
  return timer.control | (met ? kTimerStatus : 0);
}

void El2Host::write_physical_timer(R reg, std::uint64_t value) {
  auto& timer = machine().physical_timers[cpu()];
  if (reg == R::CNTP_CVAL_EL0)
    timer.compare = value;
  else if (reg == R::CNTP_TVAL_EL0)
    timer.compare =
        context_.time.guest_ticks() +
        static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(static_cast<std::uint32_t>(value))});
  else
    timer.control = value & (kTimerEnable | kTimerMask);
  program_physical_timer();
}

/// The hardware's timer runs for the guest; its compare value is set before each entry, with the time that is hidden.
void El2Host::program_physical_timer() {
  const auto& timer = machine().physical_timers[cpu()];
  act(actions::kPhysicalTimer, timer.control, timer.compare);
  set_clocks(*core_, context_.time.vmm_cycles);
  update(R::CNTP_CTL_EL0, timer.control);
}

void El2Host::write_software_interrupt(R reg, std::uint64_t value) {
  if (reg == R::ICC_ASGI1R_EL1) return;  // For the other security state: there is none.
  const auto interrupt = static_cast<unsigned>(value >> 24 & 15);
  const bool all_others = (value >> 40 & 1) != 0;
  const std::uint64_t cluster = (value >> 48 & 0xff) << 32 | (value >> 32 & 0xff) << 16 | (value >> 16 & 0xff) << 8;
  const unsigned first = static_cast<unsigned>(value >> 44 & 15) * 16;
  std::uint64_t targets = 0;
  for (unsigned target = 0; target < context_.config.cpus; ++target) {
    const bool named = cluster == 0 && target >= first && target < first + 16 && (value >> (target - first) & 1) != 0;
    if (all_others ? target != cpu() : named) targets |= std::uint64_t{1} << target;
  }
  act(actions::kSoftwareInterrupt, interrupt, targets);
  for (unsigned target = 0; target < context_.config.cpus; ++target) {
    if ((targets >> target & 1) != 0) machine().distributor.raise_software(target, interrupt);
  }
  kick_others();
}

}  // namespace shearling::arm
