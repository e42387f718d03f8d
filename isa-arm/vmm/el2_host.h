// SPDX-License-Identifier: GPL-3.0-or-later
//
// The VMM that EL2 was made for: it runs below the guest's kernel, which stays at EL1 and works on the real EL1
// registers. It fills stage 2 on demand, emulates what traps (identification registers, the physical timer, device and
// interrupt-controller accesses by their syndrome), serves PSCI in place of the firmware, and hands interrupts on
// through list registers.
// Guest time is VirtualTime::guest_ticks(): CNTVOFF_EL2 hides the VMM's cycles from the virtual counter, and the
// physical counter and timer of EL1 are trapped and shifted by the same, so that the guest is interrupted at the same
// instruction as without a VMM. One thing a guest can see of list registers: an interrupt that it takes back at the
// device while it is masked has been handed over already, and stays pending until the next exit.
// With two virtual machines (one core only), the second runs a copy of the same image, with a console of its own and no
// other devices; the EL2 physical timer ends each one's turn.
// Left out: device assignment with an SMMU, lazy switching of SIMD registers, debug registers, nested virtualization,
// group 0 interrupts as FIQ of the hardware.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "isa-arm/vmm/el2_actions.h"
#include "isa-arm/vmm/host.h"
#include "isa-arm/vmm/stage_two_tables.h"
#include "isa-arm/vmm/virtual_distributor.h"

namespace shearling::arm {

struct SavedContext;

class El2Host final : public Host {
 public:
  explicit El2Host(const MachineContext& context);
  ~El2Host() override;

  [[nodiscard]] unsigned exception_level() const override { return 2; }
  PhysicalAddress backing(GuestPhysicalAddress address) override;
  [[nodiscard]] std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const override;
  Status start(HostCore& core) override;
  void handle_exception(HostCore& core, const ArmException& exception) override;
  [[nodiscard]] std::vector<ControlFieldRow> control_structure(const HostCore& core) const override;
  [[nodiscard]] std::vector<BelievedRegister> believed(const HostCore& core) const override;
  void save(Writer& writer) const override;
  void load(Reader& reader) override;

  static std::uint64_t physical_memory_bytes(const MachineConfig& config);
  /// What virtual machine `number` has printed on the console that the VMM keeps for it: all but the first.
  [[nodiscard]] const std::string& kept_console(unsigned number) const;

 private:
  using R = SystemRegister;
  using Action = actions::Action;
  struct VirtualMachine;
  struct ClassHandler;
  struct RegisterTrap;
  struct CallHandler;
  class CoreScope;
  static const std::array<ClassHandler, 7> kClassHandlers;
  static const std::array<RegisterTrap, 5> kRegisterTraps;
  static const std::array<CallHandler, 9> kCallHandlers;

  // --- small tools (el2_host.cpp)
  void act(const Action& action, std::uint64_t a = 0, std::uint64_t b = 0);
  [[nodiscard]] std::uint64_t read(R reg) const;
  void write(R reg, std::uint64_t value);
  /// Only where it changes something: for registers that are written at each entry.
  void update(R reg, std::uint64_t value);
  [[nodiscard]] unsigned cpu() const;
  [[nodiscard]] VirtualMachine& machine();
  [[nodiscard]] const VirtualMachine& machine() const;
  [[nodiscard]] std::uint32_t cost(const Action& action) const;

  // --- setting up
  void enter_level_two();
  void set_up_controls();
  void set_up_interrupt_controller();
  void set_up_other_machines();
  void copy_memory(VirtualMachine& to);

  // --- ways to end a handler
  void skip_instruction();
  void inject_exception(ExceptionClass lower, ExceptionClass same, std::uint32_t iss);
  void inject_undefined();
  void inject_external_abort(bool fetch);
  /// `why` is static text, for the action's sentence; {a} is the syndrome.
  void give_up(StopReason reason, std::string_view why);
  void dispatch(const ArmException& exception);
  void prepare_entry();
  void enter_guest(HostCore& core);
  void hide_time(std::uint32_t following_cost);
  void set_clocks(HostCore& core, std::uint64_t hidden);

  // --- handlers by exception class
  void on_wait();
  void on_wait_for_interrupt();
  void on_hypervisor_call();
  void on_monitor_call();
  void on_system_register();
  void on_instruction_abort();
  void on_data_abort();
  void on_serror();

  // --- memory (el2_memory.cpp)
  [[nodiscard]] GuestPhysicalAddress fault_page() const;
  bool map_page(GuestPhysicalAddress address);
  void emulate_device_access(GuestPhysicalAddress address);
  [[nodiscard]] bool has_device(GuestPhysicalAddress address) const;
  std::uint64_t device_read(GuestPhysicalAddress address, unsigned size);
  std::uint64_t controller_read(GuestPhysicalAddress address, unsigned size);
  void device_write(GuestPhysicalAddress address, unsigned size, std::uint64_t value);
  void controller_write(GuestPhysicalAddress address, unsigned size, std::uint64_t value);
  void forward_to_controller(GuestPhysicalAddress address, unsigned size, std::uint64_t value);

  // --- calls and system registers (el2_emulation.cpp)
  std::int64_t call_firmware();
  std::int64_t call_version();
  std::int64_t call_convention_version();
  std::int64_t call_cpu_off();
  std::int64_t call_cpu_on();
  std::int64_t call_affinity_info();
  std::int64_t call_migrate_info_type();
  std::int64_t call_system_off();
  std::int64_t call_system_reset();
  std::int64_t call_features();
  [[nodiscard]] std::optional<unsigned> core_of(std::uint64_t affinity) const;
  std::uint64_t read_identification(SystemEncoding encoding);
  std::uint64_t read_physical_count(R reg);
  std::uint64_t read_physical_timer(R reg);
  void write_physical_timer(R reg, std::uint64_t value);
  void program_physical_timer();
  std::uint64_t read_real(R reg);
  void write_real(R reg, std::uint64_t value);
  void write_ignored(R, std::uint64_t) {}
  void write_software_interrupt(R reg, std::uint64_t value);

  // --- interrupts (el2_interrupts.cpp)
  void on_interrupt();
  void take_physical_interrupt(unsigned interrupt);
  void deactivate(unsigned interrupt);
  void read_list();
  void write_list();
  void release_interrupts();
  void retract_fallen_lines();
  /// The board's interrupts and the timers, as a word of pending bits from `first` on shows them.
  [[nodiscard]] std::uint64_t physical_pending(unsigned core, unsigned first);
  void kick_others();
  Device& physical_distributor();
  Device& physical_redistributors();

  // --- two virtual machines (el2_switch.cpp)
  void schedule();
  void switch_to(unsigned number);
  void capture(SavedContext& into);
  void exchange_system(const SavedContext& in);
  void exchange_timer(const SavedContext& in);
  void exchange_interface(const SavedContext& in);
  void hold_interrupts(const VirtualMachine& of, bool active);
  [[nodiscard]] bool can_run(const VirtualMachine& candidate) const;
  [[nodiscard]] std::optional<std::uint64_t> timer_deadline(const VirtualMachine& of) const;
  void arm_slice();
  void sleep_until_somebody_can_run();
  void on_turn_timer();

  MachineContext context_;
  VmmFrames frames_;
  /// The identification registers of a core without EL2, which is the VMM's: made once, no state.
  ArmState believed_identification_;
  std::vector<std::unique_ptr<VirtualMachine>> machines_;
  unsigned running_ = 0;  ///< Of machines_.
  bool prepared_ = false;
  bool turn_over_ = false;                ///< The running machine's time slice has ended, or it offered the core.
  std::optional<std::uint64_t> wake_at_;  ///< Guest ticks at which the EL2 physical timer is to expire.
  HostCore* core_ = nullptr;              ///< The one at work, within a call.
};

}  // namespace shearling::arm
