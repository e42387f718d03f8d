// SPDX-License-Identifier: GPL-3.0-or-later
//
// VMX as hardware: root and non-root operation, the current VMCS, which instructions and events leave the guest, VM
// exits and VM entries with their checks (SDM volume 3C, chapters 24 to 27). The unit moves state between SystemState
// plus engine and the VMCS; what to do about an exit is the host's business (isa-x86/vmm).
// Left out: VMCS shadowing, MSR load and store areas longer than zero, APIC virtualization, SMM, dual-monitor
// treatment.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/machine/processor.h"
#include "isa-x86/cpu/system_state.h"
#include "isa-x86/mmu/mmu.h"
#include "isa-x86/vmx/vmcs.h"

namespace shearling::x86 {

/// What the processor is about to do in non-root operation. One row of the unit's interception table each.
enum class Intercept : std::uint8_t {
  Cpuid,
  Hlt,
  Invlpg,
  Rdtsc,
  Rdtscp,
  Rdpmc,
  Vmcall,
  Vmxinstruction,
  Invd,
  Wbinvd,
  Xsetbv,
  Pause,
  Mwait,
  Monitor,
  CrWrite,
  CrRead,
  Clts,
  Lmsw,
  DrAccess,
  RdMsr,
  WrMsr,
  PortIo,
  DescriptorTableAccess,
  Invpcid,
  Exception,
  ExternalInterrupt,
  InterruptWindow,
  EptViolation,
  EptMisconfiguration,
  TripleFault
};

struct InterceptQuery {
  Intercept kind = Intercept::Cpuid;
  std::uint32_t instruction_length = 0;
  unsigned cr = 0;          ///< CrRead, CrWrite.
  unsigned gpr = 0;         ///< CrRead, CrWrite: general register (encoding order).
  std::uint64_t value = 0;  ///< CrWrite, Lmsw: the new value. Invlpg: the linear address.
  std::uint32_t msr = 0;
  std::uint16_t port = 0;
  std::uint8_t port_size = 0;
  bool port_in = false, port_string = false, port_rep = false, port_immediate = false;
  bool memory_operand = false;  ///< Lmsw: the source is in memory, at linear address `linear`.
  std::uint64_t linear = 0;
  bool from_debug_register = false;  ///< DrAccess: MOV from DR `cr` (MOV to it otherwise).
  std::uint32_t reason = 0;          ///< Vmxinstruction, DescriptorTableAccess: which of their exit reasons
                                     ///< applies (VMCLEAR 19 ... VMXON 27, 50, 53; 46 or 47). 0: 27 and 46.
  PendingEvent event;                ///< Exception, ExternalInterrupt.
  EptFault ept;
};

/// What an exit records. `reason` is the basic exit reason (SDM appendix C).
struct VmExitInformation {
  std::uint32_t reason = 0;
  std::uint64_t qualification = 0;
  std::uint32_t instruction_length = 0;
  std::uint32_t interruption_information = 0;  ///< Format of table 24-15; valid bit 31.
  std::uint32_t interruption_error_code = 0;
  std::uint64_t guest_linear_address = 0;
  std::uint64_t guest_physical_address = 0;
};

class VmxUnit {
 public:
  VmxUnit(const MachineContext& context, SystemState& state);

  [[nodiscard]] bool in_non_root() const { return non_root_; }
  [[nodiscard]] const NestedTranslation& nested() const { return nested_; }
  [[nodiscard]] Vmcs& vmcs() { return vmcs_; }
  [[nodiscard]] const Vmcs& vmcs() const { return vmcs_; }

  /// In non-root operation: whether this leaves the guest, and with what. Emits one check event with the control that
  /// decided. Nothing in root operation.
  std::optional<VmExitInformation> intercept(const InterceptQuery& query);

  /// Leaves the guest: saves guest state to the VMCS, records the exit, loads host state; emits vm.exit. If an event
  /// was being delivered, it goes to the IDT-vectoring fields.
  void exit(const VmExitInformation& information, const std::optional<PendingEvent>& being_delivered = std::nullopt);

  struct EntryOutcome {
    bool entered = false;
    std::string_view failed_check;  ///< Sentence of the first check that failed.
    std::uint32_t checks_passed = 0;
    std::optional<PendingEvent> injected;  ///< The processor delivers it before the next instruction.
  };
  /// VMLAUNCH/VMRESUME: checks controls, host state and guest state, loads the guest, emits vm.entry (or a failed
  /// check).
  EntryOutcome enter();
  /// The event that the last VM entry injected, once: the processor delivers it before the next instruction.
  std::optional<PendingEvent> take_injected();

  /// CR0 and CR4 as the guest reads them (guest/host mask and read shadow).
  [[nodiscard]] std::uint64_t guest_visible_cr0() const;
  [[nodiscard]] std::uint64_t guest_visible_cr4() const;
  /// Ticks that RDTSC gives the guest: host time plus TSC offset when that control is set.
  [[nodiscard]] std::uint64_t guest_visible_tsc(std::uint64_t host_tsc) const;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(non_root_, nested_, vmcs_);
  }  // injected_ lives within a step only.

  /// Writes the guest-state area from SystemState and the engine, as a VM exit does (the fields that the VM-exit
  /// controls ask for): for a host that makes its first VMCS out of the state that loading the image left.
  void save_guest_state();

 private:
  struct Decision;
  struct InterceptRule;
  static const InterceptRule& rule_of(Intercept kind);
  [[nodiscard]] bool control(VmcsField field, std::uint32_t bit) const;
  [[nodiscard]] bool primary(std::uint32_t bit) const;
  [[nodiscard]] bool secondary(std::uint32_t bit) const;
  [[nodiscard]] Decision decide(const InterceptRule& rule, const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_cr_read(const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_clts(const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_lmsw(const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_window(const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_cr_write(const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_msr(const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_port(const InterceptQuery& query) const;
  [[nodiscard]] Decision decide_exception(const InterceptQuery& query) const;
  [[nodiscard]] std::uint64_t qualification_of(const InterceptQuery& query) const;
  void load_guest_state();
  void load_host_state();

  MachineContext context_;
  SystemState& state_;
  Vmcs vmcs_;
  NestedTranslation nested_;
  bool non_root_ = false;
  std::optional<PendingEvent> injected_;
};

std::string_view exit_reason_name(std::uint32_t reason);

}  // namespace shearling::x86
