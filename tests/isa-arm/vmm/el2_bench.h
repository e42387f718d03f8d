// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMM at EL2 with cores that only hold registers: exceptions are made by hand, and the interrupt controller, the
// timers, the memory and the devices are the real ones.
#pragma once

#include <QtGlobal>
#include <memory>
#include <vector>

#include "core/devices/pl011.h"
#include "isa-arm/vmm/el2_host.h"
#include "tests/support/idle_engine.h"

namespace shearling::arm::testing {

using R = SystemRegister;

struct Bench;

class FakeCore : public HostCore {
 public:
  FakeCore(Bench& bench, const MachineContext& context, Gic& gic)
      : bench_(bench), context_(context), gic_(gic), timer_(context.cpu, state_, context.time, gic) {}

  [[nodiscard]] const MachineContext& context() const override { return context_; }
  [[nodiscard]] ArmState& state() override { return state_; }
  [[nodiscard]] Mmu& mmu() override { qFatal("the VMM needs no MMU"); }
  [[nodiscard]] Gic& gic() override { return gic_; }
  [[nodiscard]] GenericTimer& timer() override { return timer_; }
  [[nodiscard]] std::uint64_t general(unsigned index) const override { return index == 31 ? 0 : engine.integer[index]; }
  void set_general(unsigned index, std::uint64_t value) override {
    if (index != 31) engine.integer[index] = value;
  }
  [[nodiscard]] EngineState engine_state() const override { return engine; }
  void set_engine_state(const EngineState& state) override { engine = state; }
  void write_register(SystemRegister reg, std::uint64_t value) override {
    switch (info_of(reg).home) {
      case RegisterHome::Timer:
        return timer_.write(reg, value);
      case RegisterHome::Interrupt:
        return gic_.write_cpu_interface(context_.cpu, reg, value, false);
      case RegisterHome::Hypervisor:
        return gic_.write_hypervisor(context_.cpu, reg, value);
      default:
        state_[reg] = value;
    }
  }
  std::uint64_t read_register(SystemRegister reg) override {
    if (info_of(reg).home == RegisterHome::Interrupt) return gic_.read_cpu_interface(context_.cpu, reg, false);
    return *peek(reg);
  }
  [[nodiscard]] std::optional<std::uint64_t> peek(SystemRegister reg) const override {
    switch (info_of(reg).home) {
      case RegisterHome::Timer:
        return timer_.read(reg);
      case RegisterHome::Interrupt:
        return std::nullopt;
      case RegisterHome::Hypervisor:
        return gic_.read_hypervisor(context_.cpu, reg);
      default:
        return state_[reg];
    }
  }
  void exception_return() override {
    if (state_.exception_level != 2) qFatal("ERET from EL%u", state_.exception_level);
    context_.time.vmm_cycles += context_.config.costs.cost_of("vm.entry");
    const std::uint64_t saved = state_[R::SPSR_EL2];
    change_level(spsr::exception_level_of(saved), (saved & spsr::kSpSelected) != 0);
    state_.daif = saved & spsr::kDaif;
    state_.pan = (saved & spsr::kPan) != 0;
    engine.flags = saved & spsr::kNzcv;
    engine.program_counter = state_[R::ELR_EL2];
    ++entries;
  }
  void invalidate(const TlbInvalidation&) override {}
  void store(PhysicalAddress address, unsigned size, std::uint64_t value) override {
    context_.memory.write(address, size, value);
  }
  inline bool power_on(unsigned cpu, VirtualAddress entry, std::uint64_t context_id) override;
  void power_off() override { state_.powered = false; }
  [[nodiscard]] inline HostCore* core(unsigned cpu) override;
  void wait_for_interrupt() override { state_.waiting_for_interrupt = true; }

  void reset(std::uint64_t entry) {
    state_ = {};
    reset_system_registers(state_, context_.config, context_.cpu);
    engine = {.mode = ExecutionMode::AArch64, .program_counter = entry};
  }
  /// As the hardware takes an exception to EL2.
  void enter_level_two(const ArmException& exception, std::uint64_t preferred_return) {
    std::uint64_t saved = std::uint64_t{state_.exception_level} << 2 | state_.daif | engine.flags;
    if (state_.stack_pointer_select && state_.exception_level != 0) saved |= spsr::kSpSelected;
    if (state_.pan) saved |= spsr::kPan;
    state_[R::SPSR_EL2] = saved;
    state_[R::ELR_EL2] = preferred_return;
    if (exception.kind == ExceptionKind::Synchronous) state_[R::ESR_EL2] = exception.syndrome.esr();
    if (exception.has_fault_address) state_[R::FAR_EL2] = exception.fault_address.value;
    if (exception.has_intermediate_address) state_[R::HPFAR_EL2] = exception.intermediate_address.value >> 12 << 4;
    change_level(2, true);
    state_.daif = spsr::kDaif;
  }
  void change_level(unsigned level, bool own_stack) {
    state_.stack_pointers[state_.stack_pointer_level()] = engine.integer[31];
    state_.exception_level = level;
    state_.stack_pointer_select = own_stack;
    engine.integer[31] = state_.stack_pointers[state_.stack_pointer_level()];
  }

  EngineState engine;
  unsigned entries = 0;

 private:
  Bench& bench_;
  MachineContext context_;
  Gic& gic_;
  ArmState state_;
  GenericTimer timer_;
};

inline MachineConfig machine(unsigned cpus = 1, unsigned virtual_machines = 1) {
  MachineConfig config;
  config.isa = "aarch64";
  config.ram_bytes = 16 << 20;
  config.cpus = cpus;
  config.cpu_features = {"el2"};
  config.vmm.nested_accessed_dirty = false;
  config.vmm.virtual_machines = virtual_machines;
  config.costs.actions = {{"vm.exit", 400},     {"vm.entry", 300},       {"exit.dispatch", 70},
                          {"counter.hide", 11}, {"instruction.skip", 7}, {"stage2.map", 500}};
  return config;
}

inline constexpr std::uint64_t kRam = 0x40000000, kEntry = kRam + 0x80000, kUart = 0x09000000;

struct Bench {
  explicit Bench(MachineConfig description = machine())
      : config(std::move(description)),
        memory({kRam}, host_physical_memory_bytes(config, VmmTechnique::El2)),
        path(config.translation, config.caches, events),
        devices(events),
        uart(events, devices, 1),
        gic(config.cpus, events) {
    events.set_sinks(&log, nullptr);
    events.begin_step(0);
    devices.attach_memory(uart, {kUart}, 0x1000);
    host = std::make_unique<El2Host>(context(0));
    for (unsigned cpu = 0; cpu < config.cpus; ++cpu) {
      cores.push_back(std::make_unique<FakeCore>(*this, context(cpu), gic));
      cores.back()->reset(kEntry);
    }
  }
  void start() {
    core().state().powered = true;
    if (!host->start(core())) qFatal("the VMM does not start");
  }
  MachineContext context(unsigned cpu) { return {config, memory, engine, events, path, devices, request, time, cpu}; }
  FakeCore& core(unsigned cpu = 0) { return *cores[cpu]; }
  ArmState& state(unsigned cpu = 0) { return core(cpu).state(); }
  std::uint64_t& x(unsigned index, unsigned cpu = 0) { return core(cpu).engine.integer[index]; }
  std::uint64_t pc(unsigned cpu = 0) { return core(cpu).engine.program_counter; }

  /// The guest leaves, the host does what it does, the guest is back.
  void leave(const ArmException& exception, unsigned cpu = 0) {
    log.events.clear();
    time.vmm_cycles += config.costs.cost_of("vm.exit");
    core(cpu).enter_level_two(exception, pc(cpu) + (exception.returns_after ? 4 : 0));
    host->handle_exception(core(cpu), exception);
  }
  void hypervisor_call(std::uint64_t function, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0,
                       unsigned cpu = 0) {
    x(0, cpu) = function;
    x(1, cpu) = a;
    x(2, cpu) = b;
    x(3, cpu) = c;
    leave({.syndrome = {ExceptionClass::Hvc64, 0}, .returns_after = true}, cpu);
  }
  void wait(bool for_event) { leave({.syndrome = {ExceptionClass::WfxTrap, for_event ? 0x1e00001U : 0x1e00000U}}); }
  /// An abort of stage 2. `iss` without the status: translation fault, level 3.
  void abort(std::uint64_t address, std::uint32_t iss, std::uint64_t virtual_address,
             ExceptionClass exception_class = ExceptionClass::DataAbortLower, unsigned cpu = 0) {
    leave({.syndrome = {exception_class, iss | 7},
           .has_fault_address = true,
           .fault_address = {virtual_address},
           .has_intermediate_address = true,
           .intermediate_address = {address & ~0xfffULL}},
          cpu);
  }
  /// LDR and STR of general registers, by their syndrome.
  void device_store(std::uint64_t address, unsigned size_log2, unsigned source, unsigned cpu = 0) {
    abort(address, 1U << 24 | size_log2 << 22 | source << 16 | 1U << 15 | 1U << 6, address,
          ExceptionClass::DataAbortLower, cpu);
  }
  void device_load(std::uint64_t address, unsigned size_log2, unsigned target, unsigned cpu = 0) {
    abort(address, 1U << 24 | size_log2 << 22 | target << 16 | 1U << 15, address, ExceptionClass::DataAbortLower, cpu);
  }
  void poke(std::uint64_t address, std::uint64_t value, unsigned cpu = 0, unsigned size_log2 = 2) {
    x(9, cpu) = value;
    device_store(address, size_log2, 9, cpu);
  }
  std::uint64_t peek(std::uint64_t address, unsigned cpu = 0, unsigned size_log2 = 2) {
    device_load(address, size_log2, 10, cpu);
    return x(10, cpu);
  }
  void system_register(SystemEncoding encoding, bool read, unsigned general, unsigned cpu = 0) {
    const auto iss = static_cast<std::uint32_t>(encoding.op0) << 20 | static_cast<std::uint32_t>(encoding.op2) << 17 |
                     static_cast<std::uint32_t>(encoding.op1) << 14 | static_cast<std::uint32_t>(encoding.crn) << 10 |
                     general << 5 | static_cast<std::uint32_t>(encoding.crm) << 1 | (read ? 1U : 0U);
    leave({.syndrome = {ExceptionClass::SystemInstruction, iss}}, cpu);
  }
  std::uint64_t mrs(SystemRegister reg, unsigned cpu = 0) {
    system_register(info_of(reg).encoding, true, 11, cpu);
    return x(11, cpu);
  }
  void msr(SystemRegister reg, std::uint64_t value, unsigned cpu = 0) {
    x(12, cpu) = value;
    system_register(info_of(reg).encoding, false, 12, cpu);
  }
  /// The guest's own accesses to the interrupt controller's CPU interface do not trap.
  std::uint64_t acknowledge(unsigned cpu = 0) { return gic.read_cpu_interface(cpu, R::ICC_IAR1_EL1, true); }
  void end(std::uint64_t interrupt, unsigned cpu = 0) {
    gic.write_cpu_interface(cpu, R::ICC_EOIR1_EL1, interrupt, true);
  }
  /// What a guest's kernel does first.
  void set_up_guest_interrupts(unsigned cpu = 0) {
    poke(kDistributorBase.value, 2, cpu);  // EnableGrp1
    const std::uint64_t own = kRedistributorBase.value + cpu * kRedistributorBytes;
    poke(own + 0x14, 0, cpu);
    poke(own + 0x10080, 0xffffffff, cpu);
    poke(own + 0x10100, 0x4800ffff, cpu);  // SGIs, both timers
    gic.write_cpu_interface(cpu, R::ICC_PMR_EL1, 0xff, true);
    gic.write_cpu_interface(cpu, R::ICC_IGRPEN1_EL1, 1, true);
  }
  void run(std::uint64_t ticks) {
    time.step += ticks;
    for (auto& each : cores) each->timer().advance();
  }
  /// At an instruction boundary: physical interrupts go to EL2. False: none was due.
  bool take_interrupt(unsigned cpu = 0) {
    if (!gic.irq(cpu)) return false;
    state(cpu).waiting_for_interrupt = false;
    leave({.kind = ExceptionKind::Irq, .target = 2}, cpu);
    return true;
  }
  [[nodiscard]] unsigned did(std::string_view action) const {
    unsigned found = 0;
    for (const Event& event : log.events) {
      const auto* payload = std::get_if<VmmAction>(&event.payload);
      if (payload != nullptr && payload->name == action) ++found;
    }
    return found;
  }

  MachineConfig config;
  EventLog log;
  EventStream events;
  PhysicalMemory memory;
  MemoryPath path;
  DeviceBus devices;
  shearling::testing::IdleEngine engine;
  MachineRequest request;
  VirtualTime time;
  Pl011 uart;
  Gic gic;
  std::unique_ptr<El2Host> host;
  std::vector<std::unique_ptr<FakeCore>> cores;
};

inline HostCore* FakeCore::core(unsigned cpu) { return cpu < bench_.cores.size() ? bench_.cores[cpu].get() : nullptr; }

inline bool FakeCore::power_on(unsigned cpu, VirtualAddress entry, std::uint64_t context_id) {
  FakeCore& target = bench_.core(cpu);
  if (target.state().powered) return false;
  target.reset(entry.value);
  target.state().powered = true;
  target.engine.integer[0] = context_id;
  return bench_.host->start(target).ok();
}

}  // namespace shearling::arm::testing
