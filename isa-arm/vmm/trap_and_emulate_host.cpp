// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/vmm/trap_and_emulate_host.h"

#include <algorithm>

#include "core/base/assert.h"

namespace shearling::arm {
namespace {

constexpr std::uint8_t kLevelOne = 1;
constexpr unsigned kInstructionBytes = 4;
/// Above the guest's RAM: at most 2048 shadow tables and some room.
constexpr std::uint64_t kOwnMemory = 16ULL << 20;

/// TCR_EL1 for the shadow tables: 48-bit input addresses in both halves, 4 KB granule (TG1 spells it 0b10), write-back
/// inner-shareable walks, 44-bit output addresses. The top-byte bits are the guest's own.
constexpr std::uint64_t kShadowControl =
    16U | 1U << 8 | 1U << 10 | 3U << 12 | 16ULL << 16 | 1ULL << 24 | 1ULL << 26 | 3ULL << 28 | 2ULL << 30 | 4ULL << 32;
constexpr std::uint64_t kTopByteIgnored = 3ULL << 37;
constexpr std::uint64_t kWriteBack = 0xff;  ///< MAIR_EL1, attribute 0.

/// What of SCTLR_EL1 the VMM decides, and which of it lets EL0 do what EL1 always may.
constexpr std::uint64_t kUserRights = sctlr::kUct | sctlr::kDze | sctlr::kUci;
constexpr std::uint64_t kOwnControls = sctlr::kM | sctlr::kC | sctlr::kI | sctlr::kA | sctlr::kUma | sctlr::kNtwi |
                                       sctlr::kNtwe | sctlr::kWxn | sctlr::kSpan | kUserRights;
constexpr std::uint64_t kFloatingPoint = 3ULL << 20;  ///< CPACR_EL1.FPEN
constexpr std::uint64_t kFloatingPointKernel = 1ULL << 20;

constexpr std::uint64_t kTimerEnable = 1;

struct ShownRegister {
  SystemRegister reg;
  std::string_view area;
};
constexpr std::array kShownRegisters{
    ShownRegister{SystemRegister::SCTLR_EL1, "traps"},
    ShownRegister{SystemRegister::CPACR_EL1, "traps"},
    ShownRegister{SystemRegister::CNTKCTL_EL1, "traps"},
    ShownRegister{SystemRegister::TTBR0_EL1, "shadow tables"},
    ShownRegister{SystemRegister::TTBR1_EL1, "shadow tables"},
    ShownRegister{SystemRegister::TCR_EL1, "shadow tables"},
    ShownRegister{SystemRegister::CNTV_CVAL_EL0, "time"},
    ShownRegister{SystemRegister::CNTP_CVAL_EL0, "time"},
    ShownRegister{SystemRegister::ESR_EL1, "last exit"},
    ShownRegister{SystemRegister::ELR_EL1, "last exit"},
    ShownRegister{SystemRegister::SPSR_EL1, "last exit"},
    ShownRegister{SystemRegister::FAR_EL1, "last exit"},
};

/// Registers that the guest reads of the hardware: EL0 may.
constexpr std::array kRealRegisters{SystemRegister::NZCV, SystemRegister::FPCR, SystemRegister::FPSR,
                                    SystemRegister::TPIDR_EL0, SystemRegister::ISR_EL1};

MachineConfig without_hardware_management(MachineConfig config) {
  std::erase(config.cpu_features, "hafdbs");
  return config;
}

}  // namespace

/// The core at work, for the time of one call from it.
class TrapAndEmulateHost::CoreScope {
 public:
  CoreScope(TrapAndEmulateHost& host, HostCore& core)
      : host_(host), actor_(core.context().events, Actor::Vmm, kLevelOne) {
    host.core_ = &core;
  }
  ~CoreScope() { host_.core_ = nullptr; }
  CoreScope(const CoreScope&) = delete;
  CoreScope& operator=(const CoreScope&) = delete;

 private:
  TrapAndEmulateHost& host_;
  ActorScope actor_;
};

struct TrapAndEmulateHost::ClassHandler {
  ExceptionClass exception_class;
  void (TrapAndEmulateHost::*handle)();
};
const std::array<TrapAndEmulateHost::ClassHandler, 11> TrapAndEmulateHost::kClassHandlers{{
    {ExceptionClass::Unknown, &TrapAndEmulateHost::on_sensitive},
    {ExceptionClass::SystemInstruction, &TrapAndEmulateHost::on_sensitive},
    {ExceptionClass::WfxTrap, &TrapAndEmulateHost::on_wait},
    {ExceptionClass::FloatingPointAccess, &TrapAndEmulateHost::on_floating_point},
    {ExceptionClass::Svc64, &TrapAndEmulateHost::on_other},
    {ExceptionClass::Brk64, &TrapAndEmulateHost::on_other},
    {ExceptionClass::IllegalState, &TrapAndEmulateHost::on_other},
    {ExceptionClass::PcAlignment, &TrapAndEmulateHost::on_fault_address},
    {ExceptionClass::SpAlignment, &TrapAndEmulateHost::on_other},
    {ExceptionClass::InstructionAbortLower, &TrapAndEmulateHost::on_fetch_abort},
    {ExceptionClass::DataAbortLower, &TrapAndEmulateHost::on_data_abort},
}};

TrapAndEmulateHost::TrapAndEmulateHost(const MachineContext& context)
    : context_(context),
      guest_config_(without_hardware_management(context.config)),
      frames_(context.memory),
      shadow_(frames_) {}

std::uint64_t TrapAndEmulateHost::physical_memory_bytes(const MachineConfig& config) {
  return (config.ram_bytes + kFrameBytes - 1) / kFrameBytes * kFrameBytes + kOwnMemory;
}

std::optional<PhysicalAddress> TrapAndEmulateHost::find_backing(GuestPhysicalAddress address) const {
  if (!is_ram(address.value)) return std::nullopt;
  return PhysicalAddress{address.value};
}

// --- small tools -----------------------------------------------------------------------------------------------------

void TrapAndEmulateHost::act(const Action& action, std::uint64_t a, std::uint64_t b) {
  const std::uint32_t cycles = context_.config.costs.cost_of(action.name);
  context_.events.notable(VmmAction{.name = action.name, .sentence = action.sentence, .a = a, .b = b, .cost = cycles},
                          cycles);
  context_.time.vmm_cycles += cycles;
}

std::uint64_t TrapAndEmulateHost::read(R reg) const { return core_->read_register(reg); }
void TrapAndEmulateHost::write(R reg, std::uint64_t value) { core_->write_register(reg, value); }
void TrapAndEmulateHost::update(R reg, std::uint64_t value) {
  if (read(reg) != value) write(reg, value);
}

void TrapAndEmulateHost::give_up(std::string_view why) {
  act({"vm.stop", why}, read(R::ESR_EL1), read(R::ELR_EL1));
  core_->context().request.stop = StopReason::Unsupported;
}

bool TrapAndEmulateHost::is_ram(std::uint64_t address) const {
  return address - context_.memory.base().value < context_.config.ram_bytes;
}

/// PSTATE as the guest would have it; the condition flags are the hardware's.
std::uint64_t TrapAndEmulateHost::guest_process_state() const {
  return (read(R::SPSR_EL1) & spsr::kNzcv) | guest_.daif | std::uint64_t{level()} << 2 |
         (guest_.stack_pointer_select && level() != 0 ? spsr::kSpSelected : 0) | (guest_.pan ? spsr::kPan : 0) |
         (guest_.illegal ? spsr::kIl : 0);
}

// --- setting up ------------------------------------------------------------------------------------------------------

Status TrapAndEmulateHost::start(HostCore& core) {
  const DescriptionPlace& place = context_.config.cpus_place;
  const auto refuse = [&](std::string message, std::string remedy) {
    return Diagnostic{.file = place.file,
                      .line = place.line,
                      .column = place.column,
                      .message = std::move(message),
                      .remedy = std::move(remedy)};
  };
  if (context_.config.cpus > 1)
    return refuse(
        "trap-and-emulate serves one AArch64 core, and this machine has " + std::to_string(context_.config.cpus),
        "set 'count' under 'cpu' to 1");
  if (has_feature(context_.config, "el2"))
    return refuse("trap-and-emulate runs a guest that begins at EL1, and with the feature 'el2' it would begin at EL2",
                  "take 'el2' out of the CPU features, as the machine 'virt' does");
  {
    const CoreScope at_work(*this, core);
    guest_ = core.state();
    reset_system_registers(guest_, guest_config_, core.context().cpu);
    const EngineState engine = core.engine_state();
    const std::uint64_t entry = engine.program_counter;
    write(R::SPSR_EL1, engine.flags & spsr::kNzcv);
    act(actions::kDeprivilege, entry, guest_process_state());
    write(R::ELR_EL1, entry);
    write(R::SP_EL0, engine.integer[31]);
    write(R::MAIR_EL1, kWriteBack);
    prepare_entry();
  }
  core.exception_return();
  core.timer().advance();
  return Done{};
}

// --- exits and entries -----------------------------------------------------------------------------------------------

void TrapAndEmulateHost::handle_exception(HostCore& core, const ArmException& exception) {
  {
    const CoreScope at_work(*this, core);
    dispatch(exception);
    prepare_entry();
  }
  core.exception_return();
  core.timer().advance();
}

void TrapAndEmulateHost::dispatch(const ArmException& exception) {
  if (exception.kind != ExceptionKind::Synchronous) {
    inject(exception.kind, {.exception_class = ExceptionClass::SError});  // They are masked when the guest masks them.
    return;
  }
  const std::uint64_t esr = read(R::ESR_EL1);
  act(actions::kDispatchOne, esr, esr >> 26);
  const auto handler = std::find_if(kClassHandlers.begin(), kClassHandlers.end(), [&](const ClassHandler& row) {
    return static_cast<std::uint64_t>(row.exception_class) == esr >> 26;
  });
  if (handler != kClassHandlers.end())
    (this->*handler->handle)();
  else
    give_up("gives the virtual machine up: it has no handler for the syndrome {a}");
}

void TrapAndEmulateHost::prepare_entry() {
  select_shadow_tables();
  set_controls();
  shift_timers();
  write(R::SPSR_EL1, (read(R::SPSR_EL1) & spsr::kNzcv) | guest_.daif | (guest_.illegal ? spsr::kIl : 0));
}

void TrapAndEmulateHost::select_shadow_tables() {
  const ShadowKey key = shadow_key();
  const ShadowSpace* space = shadow_.find(key);
  if (space == nullptr) {
    if (shadow_.is_full()) clear_shadow_tables();
    space = &shadow_.add(key);
    act(actions::kShadowSpace, space->ttbr0(), space->upper);
  }
  const std::uint64_t control = kShadowControl | (guest_[R::TCR_EL1] & kTopByteIgnored);
  if (read(R::TTBR0_EL1) == space->ttbr0() && read(R::TTBR1_EL1) == space->upper && read(R::TCR_EL1) == control) return;
  act(actions::kShadowSwitch, space->ttbr0(), space->upper);
  // The VMM itself lives outside of translation, so there is no moment at which half of a new address space is in use
  // under the new ASID: the MMU hears of all three with the last one.
  core_->state()[R::TCR_EL1] = control;
  core_->state()[R::TTBR1_EL1] = space->upper;
  write(R::TTBR0_EL1, space->ttbr0());
}

void TrapAndEmulateHost::set_controls() {
  const std::uint64_t guest_controls = guest_[R::SCTLR_EL1];
  const std::uint64_t rights = level() == 0 ? guest_controls & kUserRights : kUserRights;
  const std::uint64_t own = sctlr::kM | sctlr::kC | sctlr::kI | sctlr::kSpan | (guest_controls & sctlr::kA) | rights;
  update(R::SCTLR_EL1, (read(R::SCTLR_EL1) & ~kOwnControls) | own);
  const std::uint64_t floating_point = guest_[R::CPACR_EL1] & kFloatingPoint;
  const bool permitted = floating_point == kFloatingPoint || (level() == 1 && floating_point == kFloatingPointKernel);
  update(R::CPACR_EL1, permitted ? kFloatingPoint : 0);
  update(R::CNTKCTL_EL1, 0);
  update(R::TPIDRRO_EL0, guest_[R::TPIDRRO_EL0]);
}

/// Both counters count the VMM's cycles, which the guest must not see: what it waits for moves along.
void TrapAndEmulateHost::shift_timers() {
  const bool armed = ((guest_[R::CNTP_CTL_EL0] | guest_[R::CNTV_CTL_EL0]) & kTimerEnable) != 0;
  if (armed) act(actions::kShiftTimers, context_.time.vmm_cycles);
  const std::uint64_t hidden = context_.time.vmm_cycles + context_.config.costs.cost_of("vm.entry");
  set_timer(R::CNTP_CTL_EL0, R::CNTP_CVAL_EL0, hidden);
  set_timer(R::CNTV_CTL_EL0, R::CNTV_CVAL_EL0, hidden);
}

void TrapAndEmulateHost::set_timer(R control, R compare, std::uint64_t hidden) {
  constexpr std::uint64_t kNever = ~std::uint64_t{0};
  const std::uint64_t ticks = guest_[compare];
  if ((guest_[control] & kTimerEnable) != 0) update(compare, ticks > kNever - hidden ? kNever : ticks + hidden);
  if (core_->state()[control] != guest_[control]) write(control, guest_[control]);
}

// --- ways to end a handler -------------------------------------------------------------------------------------------

void TrapAndEmulateHost::skip_instruction() {
  const std::uint64_t from = read(R::ELR_EL1);
  act(actions::kSkipOne, from, from + kInstructionBytes);
  write(R::ELR_EL1, from + kInstructionBytes);
}

/// The stack pointer in use is in the hardware's SP_EL0.
void TrapAndEmulateHost::change_guest_level(unsigned new_level, bool stack_pointer_select) {
  guest_.stack_pointers[guest_.stack_pointer_level()] = read(R::SP_EL0);
  guest_.exception_level = new_level;
  guest_.stack_pointer_select = stack_pointer_select;
  update(R::SP_EL0, guest_.stack_pointers[guest_.stack_pointer_level()]);
}

/// As the hardware takes an exception to EL1 (DDI 0487, D1.3.4), all in the VMM's books.
void TrapAndEmulateHost::inject(ExceptionKind kind, const Syndrome& syndrome) {
  constexpr std::uint64_t kFromLower = 0x400, kFromOwnStack = 0x200, kVectorBytes = 0x80;
  const std::uint64_t origin = level() == 0 ? kFromLower : guest_.stack_pointer_select ? kFromOwnStack : 0;
  const std::uint64_t vector = guest_[R::VBAR_EL1] + origin + kVectorBytes * static_cast<std::uint64_t>(kind);
  const bool has_syndrome = kind == ExceptionKind::Synchronous || kind == ExceptionKind::SError;
  act(actions::kExceptionOne, has_syndrome ? syndrome.esr() : 0, vector);
  if (has_syndrome) guest_[R::ESR_EL1] = syndrome.esr();
  guest_[R::SPSR_EL1] = guest_process_state();
  guest_[R::ELR_EL1] = read(R::ELR_EL1);
  change_guest_level(1, true);
  guest_.daif = spsr::kDaif;
  guest_.illegal = false;
  if (has_feature(guest_config_, "pan") && (guest_[R::SCTLR_EL1] & sctlr::kSpan) == 0) guest_.pan = true;
  write(R::ELR_EL1, vector);
  core_->exception_injected();
}

void TrapAndEmulateHost::inject(const AccessDecision& decision) {
  inject(ExceptionKind::Synchronous, decision.exception.syndrome);
}

void TrapAndEmulateHost::inject_undefined() { inject(ExceptionKind::Synchronous, {}); }

// --- handlers that need no instruction -------------------------------------------------------------------------------

void TrapAndEmulateHost::on_wait() {
  const bool for_event = (read(R::ESR_EL1) & 1) != 0;
  EventStream quiet;
  const AccessDecision decision = decide_instruction(
      guest_, guest_config_, {.instruction = for_event ? TrappableInstruction::Wfe : TrappableInstruction::Wfi}, quiet);
  if (decision.kind != AccessDecision::Kind::Allowed) {
    inject(decision);
    return;
  }
  skip_instruction();
  act(actions::kHalt);
  if (for_event)
    core_->state().waiting_for_event = true;
  else
    core_->wait_for_interrupt();
}

void TrapAndEmulateHost::on_floating_point() {
  EventStream quiet;
  inject(decide_instruction(guest_, guest_config_, {.instruction = TrappableInstruction::FloatingPoint}, quiet));
}

/// SVC, BRK and illegal states are exceptions of the guest's own, at whichever of its levels.
void TrapAndEmulateHost::on_other() {
  const std::uint64_t esr = read(R::ESR_EL1);
  inject(ExceptionKind::Synchronous, {.exception_class = static_cast<ExceptionClass>(esr >> 26),
                                      .iss = static_cast<std::uint32_t>(esr & 0x1ffffff)});
}

void TrapAndEmulateHost::on_fault_address() {
  guest_[R::FAR_EL1] = read(R::FAR_EL1);
  on_other();
}

// --- views and state -------------------------------------------------------------------------------------------------

std::vector<ControlFieldRow> TrapAndEmulateHost::control_structure(const HostCore& core) const {
  std::vector<ControlFieldRow> rows;
  for (const ShownRegister& shown : kShownRegisters) {
    const SystemRegisterInfo& info = info_of(shown.reg);
    rows.push_back({shown.area, info.name, info.encoding.packed(), core.peek(shown.reg).value_or(0)});
  }
  return rows;
}

std::vector<BelievedRegister> TrapAndEmulateHost::believed(const HostCore& core) const {
  std::vector<BelievedRegister> rows;
  for (const SystemRegisterInfo& info : system_register_table()) {
    const bool real = std::find(kRealRegisters.begin(), kRealRegisters.end(), info.id) != kRealRegisters.end();
    if (!real && info.home != RegisterHome::Interrupt && info.home != RegisterHome::Hypervisor)
      rows.push_back({info.id, guest_[info.id]});
  }
  const auto set = [&](R reg, std::uint64_t value) {
    std::find_if(rows.begin(), rows.end(), [&](const BelievedRegister& row) { return row.reg == reg; })->value = value;
  };
  const auto stack_pointer = [&](unsigned of) {
    return guest_.stack_pointer_level() == of ? core.peek(R::SP_EL0).value_or(0) : guest_.stack_pointers[of];
  };
  set(R::CurrentEL, std::uint64_t{level()} << 2);
  set(R::SPSel, guest_.stack_pointer_select ? 1 : 0);
  set(R::DAIF, guest_.daif);
  set(R::PAN, guest_.pan ? spsr::kPan : 0);
  set(R::SP_EL0, stack_pointer(0));
  set(R::SP_EL1, stack_pointer(1));
  for (const R reg :
       {R::CNTPCT_EL0, R::CNTVCT_EL0, R::CNTP_TVAL_EL0, R::CNTP_CTL_EL0, R::CNTV_TVAL_EL0, R::CNTV_CTL_EL0})
    set(reg, read_guest_timer(reg));
  return rows;
}

void TrapAndEmulateHost::save(Writer& writer) const { writer(frames_, shadow_, guest_); }
void TrapAndEmulateHost::load(Reader& reader) { reader(frames_, shadow_, guest_); }

}  // namespace shearling::arm
