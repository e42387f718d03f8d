// SPDX-License-Identifier: GPL-3.0-or-later
//
// A VMM at EL1 on a core without EL2, after Popek and Goldberg (CACM 17(7), 1974): the guest's kernel, written for EL1,
// runs at EL0, and what it may not do there traps. The VMM keeps what the guest believes of its system registers and of
// PSTATE in a second register file, and does there what the trapped instruction says; the guest's translation tables it
// replaces by shadow tables. Nothing names the trapped instruction to it: MRS and MSR at EL0 are UNDEFINED without a
// syndrome, and an abort of stage 1 has none for a device access (DDI 0487, D19.2.37: ISV is stage 2's), so it reads
// the instruction and decodes it.
// What does not trap, and differs: LDTR and STTR, which at EL0 have no other rights than LDR and STR, so that the
// guest's kernel gets through with accesses that its user may not make. It is let off, as hardware would. The guest has
// the board's devices and its interrupt controller to itself: the physical CPU interface is worked on its behalf, and
// physical interrupts are masked when it masks them. Its clock is VirtualTime::guest_ticks(): all counter and timer
// registers trap (CNTKCTL_EL1 is 0). Left out: more cores than one, hardware management of the access flag and dirty
// state, big-endian data.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "isa-arm/mmu/rights.h"
#include "isa-arm/vmm/host.h"
#include "isa-arm/vmm/trap_and_emulate_actions.h"
#include "isa-arm/vmm/trap_and_emulate_shadow.h"

namespace shearling::arm {

class TrapAndEmulateHost final : public Host {
 public:
  explicit TrapAndEmulateHost(const MachineContext& context);

  [[nodiscard]] unsigned exception_level() const override { return 1; }
  [[nodiscard]] unsigned guest_level(unsigned) const override { return level(); }
  PhysicalAddress backing(GuestPhysicalAddress address) override { return {address.value}; }
  [[nodiscard]] std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const override;
  Status start(HostCore& core) override;
  void handle_exception(HostCore& core, const ArmException& exception) override;
  [[nodiscard]] std::vector<ControlFieldRow> control_structure(const HostCore& core) const override;
  [[nodiscard]] std::vector<BelievedRegister> believed(const HostCore& core) const override;
  void save(Writer& writer) const override;
  void load(Reader& reader) override;

  static std::uint64_t physical_memory_bytes(const MachineConfig& config);

 private:
  using R = SystemRegister;
  using Action = actions::Action;
  struct ClassHandler;
  struct OperationHandler;
  class CoreScope;
  static const std::array<ClassHandler, 11> kClassHandlers;
  static const std::array<OperationHandler, 6> kOperationHandlers;

  // --- small tools
  void act(const Action& action, std::uint64_t a = 0, std::uint64_t b = 0);
  [[nodiscard]] std::uint64_t read(R reg) const;
  void write(R reg, std::uint64_t value);
  void update(R reg, std::uint64_t value);  ///< Only where it changes something.
  void give_up(std::string_view why);
  [[nodiscard]] unsigned level() const { return guest_.exception_level; }
  [[nodiscard]] std::uint64_t guest_process_state() const;
  [[nodiscard]] bool is_ram(std::uint64_t address) const;

  // --- setting up, exits and entries
  void dispatch(const ArmException& exception);
  void prepare_entry();
  void select_shadow_tables();
  void set_controls();
  void shift_timers();
  void set_timer(R control, R compare, std::uint64_t hidden);

  // --- ways to end a handler
  void skip_instruction();
  void inject(ExceptionKind kind, const Syndrome& syndrome);
  void inject(const AccessDecision& decision);
  void inject_undefined();
  void change_guest_level(unsigned new_level, bool stack_pointer_select);

  // --- handlers by exception class
  void on_wait();
  void on_floating_point();
  void on_fault_address();
  void on_other();
  void on_sensitive();
  void on_fetch_abort();
  void on_data_abort();

  // --- instructions (trap_and_emulate_instructions.cpp)
  [[nodiscard]] std::uint32_t instruction();
  void emulate_return();
  [[nodiscard]] bool legal_return(std::uint64_t saved) const;
  void emulate_hypervisor_call();
  void call_firmware();
  void emulate_state_write();
  void emulate_read();
  void emulate_write();
  void emulate_system();
  void translate_address(std::string_view name, VirtualAddress address);
  [[nodiscard]] std::uint64_t read_guest(R reg);
  [[nodiscard]] std::uint64_t read_guest_state(R reg);
  [[nodiscard]] std::uint64_t read_guest_timer(R reg) const;
  void write_guest(R reg, std::uint64_t value);
  void write_guest_state(R reg, std::uint64_t value);
  void write_guest_timer(R reg, std::uint64_t value);

  // --- memory (trap_and_emulate_memory.cpp)
  struct GuestAccess {
    VirtualAddress address;
    AccessKind kind = AccessKind::Read;
    bool user = false, pan = false, cache_maintenance = false;
  };
  struct GuestTranslation {
    bool found = false;
    std::uint8_t status = 0;  ///< DFSC or IFSC where it is not.
    GuestPhysicalAddress address;
    std::uint32_t permissions = 0;
    std::uint8_t attribute = 0, shareability = 0;
  };
  [[nodiscard]] GuestTranslation walk(const GuestAccess& access) const;
  [[nodiscard]] GuestAccess own_access(VirtualAddress address, AccessKind kind) const;
  [[nodiscard]] bool permits(const GuestAccess& access, std::uint32_t permissions) const;
  void on_abort(const GuestAccess& access);
  void map(const GuestAccess& access, const GuestTranslation& translation);
  void emulate_device_access(GuestPhysicalAddress address);
  void inject_abort(const GuestAccess& access, std::uint8_t status);
  void clear_shadow_tables();
  [[nodiscard]] ShadowKey shadow_key() const;

  MachineContext context_;
  MachineConfig guest_config_;  ///< What the guest's core can do.
  VmmFrames frames_;
  ShadowTables shadow_;
  /// What the guest believes of its core: PSTATE, stack pointers but the one in use, and system registers.
  ArmState guest_;
  HostCore* core_ = nullptr;  ///< Within a call.
  std::uint32_t word_ = 0;    ///< Within a call: the instruction that trapped.
};

}  // namespace shearling::arm
