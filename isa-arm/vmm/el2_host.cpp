// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/vmm/el2_host.h"

#include <algorithm>

#include "core/base/assert.h"
#include "isa-arm/vmm/el2_machine.h"
#include "isa-arm/vmm/trap_and_emulate_host.h"

namespace shearling::arm {
namespace {

constexpr std::uint8_t kLevelTwo = 2;
constexpr std::uint64_t kEl1WithOwnStack = 0b0101;  ///< SPSR_ELx.M
constexpr unsigned kInstructionBytes = 4;

/// What traps, after KVM's set (Linux, kvm_arm.h), without what costs a guest something that this VMM makes no use of:
/// TID2 (cache geometry may be known), FB (a virtual core stays on its core), PTW (no device memory is mapped).
constexpr std::uint64_t kTraps = hcr::kVm | hcr::kSwio | hcr::kFmo | hcr::kImo | hcr::kAmo | hcr::kTwi | hcr::kTid3 |
                                 hcr::kTsc | hcr::kTidcp | hcr::kTacr | hcr::kTsw | hcr::kRw;
constexpr std::uint64_t kCptrAlwaysOne = 0x33ff;                                 ///< No FP or SIMD traps.
constexpr std::uint64_t kTrapMonitors = 1U << 6, kTrapMonitorControl = 1U << 5;  ///< MDCR_EL2.TPM, TPMCR

struct ShownRegister {
  SystemRegister reg;
  std::string_view area;
};
constexpr std::array kShownRegisters{
    ShownRegister{SystemRegister::HCR_EL2, "traps"},
    ShownRegister{SystemRegister::CPTR_EL2, "traps"},
    ShownRegister{SystemRegister::MDCR_EL2, "traps"},
    ShownRegister{SystemRegister::CNTHCTL_EL2, "traps"},
    ShownRegister{SystemRegister::HSTR_EL2, "traps"},
    ShownRegister{SystemRegister::VTTBR_EL2, "stage 2"},
    ShownRegister{SystemRegister::VTCR_EL2, "stage 2"},
    ShownRegister{SystemRegister::VPIDR_EL2, "identification"},
    ShownRegister{SystemRegister::VMPIDR_EL2, "identification"},
    ShownRegister{SystemRegister::CNTVOFF_EL2, "time"},
    ShownRegister{SystemRegister::CNTHP_CTL_EL2, "time"},
    ShownRegister{SystemRegister::CNTHP_CVAL_EL2, "time"},
    ShownRegister{SystemRegister::ICH_HCR_EL2, "virtual interrupts"},
    ShownRegister{SystemRegister::ICH_VMCR_EL2, "virtual interrupts"},
    ShownRegister{SystemRegister::ICH_AP1R0_EL2, "virtual interrupts"},
    ShownRegister{SystemRegister::ICH_LR0_EL2, "virtual interrupts"},
    ShownRegister{SystemRegister::ICH_LR1_EL2, "virtual interrupts"},
    ShownRegister{SystemRegister::ICH_LR2_EL2, "virtual interrupts"},
    ShownRegister{SystemRegister::ICH_LR3_EL2, "virtual interrupts"},
    ShownRegister{SystemRegister::ESR_EL2, "last exit"},
    ShownRegister{SystemRegister::ELR_EL2, "last exit"},
    ShownRegister{SystemRegister::SPSR_EL2, "last exit"},
    ShownRegister{SystemRegister::FAR_EL2, "last exit"},
    ShownRegister{SystemRegister::HPFAR_EL2, "last exit"},
};

bool is_saturated_sum(std::uint64_t left, std::uint64_t right) { return left > ~std::uint64_t{0} - right; }

}  // namespace

/// The core at work, for the time of one call from it.
class El2Host::CoreScope {
 public:
  CoreScope(El2Host& host, HostCore& core) : host_(host), outer_(host.core_) { host.core_ = &core; }
  ~CoreScope() { host_.core_ = outer_; }
  CoreScope(const CoreScope&) = delete;
  CoreScope& operator=(const CoreScope&) = delete;

 private:
  El2Host& host_;
  HostCore* outer_;  ///< CPU_ON: the one that starts another.
};

struct El2Host::ClassHandler {
  ExceptionClass exception_class;
  void (El2Host::*handle)();
};
const std::array<El2Host::ClassHandler, 7> El2Host::kClassHandlers{{
    {ExceptionClass::WfxTrap, &El2Host::on_wait},
    {ExceptionClass::Hvc64, &El2Host::on_hypervisor_call},
    {ExceptionClass::Smc64, &El2Host::on_monitor_call},
    {ExceptionClass::SystemInstruction, &El2Host::on_system_register},
    {ExceptionClass::InstructionAbortLower, &El2Host::on_instruction_abort},
    {ExceptionClass::DataAbortLower, &El2Host::on_data_abort},
    {ExceptionClass::SError, &El2Host::on_serror},
}};

El2Host::El2Host(const MachineContext& context) : context_(context), frames_(context.memory) {
  MachineConfig without_level_two = context.config;
  std::erase_if(without_level_two.cpu_features, [](const std::string& name) { return name == "el2" || name == "vhe"; });
  reset_system_registers(believed_identification_, without_level_two, 0);
  const bool management = context.config.vmm.nested_accessed_dirty && has_feature(context.config, "hafdbs");
  for (unsigned number = 0; number < context.config.vmm.virtual_machines; ++number)
    machines_.push_back(std::make_unique<VirtualMachine>(context_, frames_, number, management));
}

El2Host::~El2Host() = default;

std::uint64_t El2Host::physical_memory_bytes(const MachineConfig& config) {
  return GuestMemory::physical_memory_bytes(config.ram_bytes, config.vmm.nested_page, config.vmm.virtual_machines);
}

PhysicalAddress El2Host::backing(GuestPhysicalAddress address) { return machines_[0]->memory.backing(address); }

std::optional<PhysicalAddress> El2Host::find_backing(GuestPhysicalAddress address) const {
  return machine().memory.find_backing(address);
}

const std::string& El2Host::kept_console(unsigned number) const { return machines_[number]->console; }

// --- small tools -----------------------------------------------------------------------------------------------------

std::uint32_t El2Host::cost(const Action& action) const { return context_.config.costs.cost_of(action.name); }

void El2Host::act(const Action& action, std::uint64_t a, std::uint64_t b) {
  const std::uint32_t cycles = cost(action);
  context_.events.notable(VmmAction{.name = action.name, .sentence = action.sentence, .a = a, .b = b, .cost = cycles},
                          cycles);
  context_.time.vmm_cycles += cycles;
}

std::uint64_t El2Host::read(R reg) const { return core_->read_register(reg); }
void El2Host::write(R reg, std::uint64_t value) { core_->write_register(reg, value); }
void El2Host::update(R reg, std::uint64_t value) {
  if (read(reg) != value) write(reg, value);
}

unsigned El2Host::cpu() const { return core_->context().cpu; }
El2Host::VirtualMachine& El2Host::machine() { return *machines_[running_]; }
const El2Host::VirtualMachine& El2Host::machine() const { return *machines_[running_]; }

void El2Host::skip_instruction() {
  const std::uint64_t from = read(R::ELR_EL2);
  act(actions::kSkip, from, from + kInstructionBytes);
  write(R::ELR_EL2, from + kInstructionBytes);
  update(R::SPSR_EL2, read(R::SPSR_EL2) & ~spsr::kSs);  // The emulated instruction has been stepped over.
}

/// As the hardware takes an exception to EL1 (DDI 0487, D1.3.4), which only EL1 itself could do.
void El2Host::inject_exception(ExceptionClass lower, ExceptionClass same, std::uint32_t iss) {
  const std::uint64_t saved = read(R::SPSR_EL2);
  const bool from_user = spsr::exception_level_of(saved) == 0;
  const bool own_stack = (saved & spsr::kSpSelected) != 0;
  constexpr std::uint64_t kFromLower = 0x400, kFromOwnStack = 0x200;
  const std::uint64_t vector = read(R::VBAR_EL1) + (from_user ? kFromLower : own_stack ? kFromOwnStack : 0);
  const Syndrome syndrome{from_user ? lower : same, iss, (read(R::ESR_EL2) >> 25 & 1) != 0};
  act(actions::kException, syndrome.esr(), vector);
  write(R::ESR_EL1, syndrome.esr());
  core_->exception_injected();
  write(R::SPSR_EL1, saved);
  write(R::ELR_EL1, read(R::ELR_EL2));
  const bool sets_pan = has_feature(context_.config, "pan") && (read(R::SCTLR_EL1) & sctlr::kSpan) == 0;
  write(R::SPSR_EL2,
        kEl1WithOwnStack | spsr::kDaif | (saved & (spsr::kNzcv | spsr::kPan)) | (sets_pan ? spsr::kPan : 0));
  write(R::ELR_EL2, vector);
}

void El2Host::inject_undefined() { inject_exception(ExceptionClass::Unknown, ExceptionClass::Unknown, 0); }

void El2Host::give_up(StopReason reason, std::string_view why) {
  act({"vm.stop", why}, read(R::ESR_EL2));
  core_->context().request.stop = reason;
}

// --- setting up ------------------------------------------------------------------------------------------------------

Status El2Host::start(HostCore& core) {
  if (machines_.size() > 1 && context_.config.cpus > 1)
    return Diagnostic{.file = context_.config.cpus_place.file,
                      .line = context_.config.cpus_place.line,
                      .column = context_.config.cpus_place.column,
                      .message = "two virtual machines need a machine with one core, and this one has " +
                                 std::to_string(context_.config.cpus),
                      .remedy = "set 'count' under 'cpu' to 1, or 'virtual-machines' under 'vmm' to 1"};
  {
    const CoreScope at_work(*this, core);
    const ActorScope scope(context_.events, Actor::Vmm, kLevelTwo);
    enter_level_two();
    set_up_controls();
    set_up_interrupt_controller();
    if (!prepared_) set_up_other_machines();
    prepared_ = true;
    prepare_entry();
  }
  enter_guest(core);
  return Done{};
}

/// The firmware would start EL2, and EL2 the guest: here the core already holds what the guest is to begin with.
void El2Host::enter_level_two() {
  ArmState& state = core_->state();
  EngineState engine = core_->engine_state();
  const std::uint64_t mode =
      static_cast<std::uint64_t>(state.exception_level) << 2 | (state.stack_pointer_select ? spsr::kSpSelected : 0);
  const std::uint64_t saved = mode | state.daif | (state.pan ? spsr::kPan : 0) | (engine.flags & spsr::kNzcv);
  state.stack_pointers[state.stack_pointer_level()] = engine.integer[31];
  state.exception_level = kLevelTwo;
  state.stack_pointer_select = true;
  state.daif = spsr::kDaif;
  engine.integer[31] = state.stack_pointers[kLevelTwo];
  core_->set_engine_state(engine);
  act(actions::kGuestState, engine.program_counter, saved);
  write(R::ELR_EL2, engine.program_counter);
  write(R::SPSR_EL2, saved);
}

void El2Host::set_up_controls() {
  act(actions::kStageTwoRoot, machine().tables.root().value, machine().translation_base());
  const std::uint64_t traps = kTraps | (machines_.size() > 1 ? hcr::kTwe : 0);  // WFE: others may want to run.
  act(actions::kControls, traps, machine().tables.control());
  write(R::VPIDR_EL2, core_->state()[R::MIDR_EL1]);
  write(R::VMPIDR_EL2, core_->state()[R::MPIDR_EL1]);
  write(R::VTTBR_EL2, machine().translation_base());
  write(R::VTCR_EL2, machine().tables.control());
  write(R::CPTR_EL2, kCptrAlwaysOne);
  write(R::MDCR_EL2, kTrapMonitors | kTrapMonitorControl);
  write(R::CNTHCTL_EL2, 0);  // EL1PCTEN, EL1PCEN clear: the physical counter and timer of EL1 trap.
  write(R::HCR_EL2, traps);
}

void El2Host::set_up_other_machines() {
  for (const auto& other : machines_) {
    if (other->number == running_) continue;
    copy_memory(*other);
    capture(other->saved);
  }
  if (machines_.size() > 1) arm_slice();
}

void El2Host::copy_memory(VirtualMachine& to) {
  const GuestMemory& from = machine().memory;
  act(actions::kCopyGuest, to.number, from.units().size());
  for (const auto& [guest, physical] : from.units()) {
    const std::uint64_t frames = page_bytes(from.unit_of({guest})) / kFrameBytes;
    const std::uint64_t target = to.memory.backing({guest}).value;
    for (std::uint64_t frame = 0; frame < frames; ++frame) {
      const auto bytes = context_.memory.frame(physical / kFrameBytes + frame);
      if (std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; }))
        context_.memory.write_bytes({target + frame * kFrameBytes}, bytes);
    }
  }
}

// --- exits -----------------------------------------------------------------------------------------------------------

void El2Host::handle_exception(HostCore& core, const ArmException& exception) {
  {
    const CoreScope at_work(*this, core);
    const ActorScope scope(context_.events, Actor::Vmm, kLevelTwo);
    read_list();
    dispatch(exception);
    prepare_entry();
  }
  enter_guest(core);
}

void El2Host::dispatch(const ArmException& exception) {
  if (exception.kind == ExceptionKind::Irq) {
    on_interrupt();
    return;
  }
  if (exception.kind != ExceptionKind::Synchronous) {
    on_serror();
    return;
  }
  const std::uint64_t esr = read(R::ESR_EL2);
  act(actions::kDispatch, esr, esr >> 26);
  const auto handler = std::find_if(kClassHandlers.begin(), kClassHandlers.end(), [&](const ClassHandler& row) {
    return static_cast<std::uint64_t>(row.exception_class) == esr >> 26;
  });
  if (handler != kClassHandlers.end())
    (this->*handler->handle)();
  else
    give_up(StopReason::Unsupported, "gives the virtual machine up: it has no handler for the syndrome {a}");
}

void El2Host::on_serror() {
  give_up(StopReason::Unsupported,
          "gives the virtual machine up: a physical SError or FIQ, which nothing here should raise");
}

void El2Host::prepare_entry() {
  const bool stopping = core_->context().request.stop != StopReason::None;
  if (!stopping && machines_.size() > 1) schedule();
  write_list();
  hide_time(context_.config.costs.cost_of("vm.entry"));
}

/// The entry's own cycles pass as well; from then on every clock stands where its guest expects it.
void El2Host::enter_guest(HostCore& core) {
  core.exception_return();
  for (unsigned each = 0; each < context_.config.cpus; ++each) core.core(each)->timer().advance();
}

/// `following_cost`: of what is still to come before the guest looks at its clock.
void El2Host::hide_time(std::uint32_t following_cost) {
  const std::uint64_t hidden = context_.time.vmm_cycles + cost(actions::kHideTime) + following_cost;
  act(actions::kHideTime, hidden);
  // All cores of this machine live in one time, so what one core's VMM does would show on the others' clocks, where it
  // did not happen. Their VMMs hide it in turn; it is no work of this core's.
  for (unsigned each = 0; each < context_.config.cpus; ++each) {
    HostCore& affected = *core_->core(each);
    if (!affected.state().powered) continue;
    affected.write_register(R::CNTVOFF_EL2, hidden);
    set_clocks(affected, hidden);
  }
}

/// The physical timers count with the VMM's cycles: their compare values move along.
void El2Host::set_clocks(HostCore& core, std::uint64_t hidden) {
  const auto follow = [&](R compare, std::uint64_t ticks) {
    core.write_register(compare, is_saturated_sum(ticks, hidden) ? ~std::uint64_t{0} : ticks + hidden);
  };
  const auto& timer = machine().physical_timers[core.context().cpu];
  if ((timer.control & 1) != 0) follow(R::CNTP_CVAL_EL0, timer.compare);
  if (wake_at_) follow(R::CNTHP_CVAL_EL2, *wake_at_);
}

// --- views and state -------------------------------------------------------------------------------------------------

std::vector<ControlFieldRow> El2Host::control_structure(const HostCore& core) const {
  std::vector<ControlFieldRow> rows;
  for (const ShownRegister& shown : kShownRegisters) {
    const SystemRegisterInfo& info = info_of(shown.reg);
    rows.push_back({shown.area, info.name, info.encoding.packed(), core.peek(shown.reg).value_or(0)});
  }
  return rows;
}

void El2Host::save(Writer& writer) const {
  writer(frames_, running_, prepared_, turn_over_, wake_at_);
  for (const auto& each : machines_) writer(*each);
}

void El2Host::load(Reader& reader) {
  reader(frames_, running_, prepared_, turn_over_, wake_at_);
  for (const auto& each : machines_) reader(*each);
}

// --- the seam --------------------------------------------------------------------------------------------------------

std::uint64_t host_physical_memory_bytes(const MachineConfig& config, VmmTechnique technique) {
  if (technique == VmmTechnique::El2) return El2Host::physical_memory_bytes(config);
  if (technique == VmmTechnique::TrapAndEmulate) return TrapAndEmulateHost::physical_memory_bytes(config);
  return config.ram_bytes;
}

std::unique_ptr<Host> make_host(const MachineContext& context, VmmTechnique technique) {
  if (technique == VmmTechnique::El2) return std::make_unique<El2Host>(context);
  if (technique == VmmTechnique::TrapAndEmulate) return std::make_unique<TrapAndEmulateHost>(context);
  return nullptr;
}

}  // namespace shearling::arm
