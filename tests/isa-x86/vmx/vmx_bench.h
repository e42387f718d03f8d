// SPDX-License-Identifier: GPL-3.0-or-later
//
// A VMX unit with everything around it, an engine that only holds registers, and a VMCS for a 64-bit guest that passes
// every check of a VM entry.
#pragma once

#include <vector>

#include "isa-x86/vmx/vmcs_fields.h"
#include "isa-x86/vmx/vmx_controls.h"
#include "isa-x86/vmx/vmx_unit.h"
#include "tests/support/idle_engine.h"

namespace shearling::x86::testing {

/// Registers and nothing else.
class RegisterEngine : public shearling::testing::IdleEngine {
 public:
  EngineState registers;

  void set_mode(ExecutionMode mode) override { registers.mode = mode; }
  [[nodiscard]] ExecutionMode mode() const override { return registers.mode; }
  [[nodiscard]] std::uint64_t read(EngineRegister reg) const override {
    return const_cast<RegisterEngine*>(this)->at(reg);
  }
  void write(EngineRegister reg, std::uint64_t value) override { at(reg) = value; }
  [[nodiscard]] EngineState state() const override { return registers; }
  void set_state(const EngineState& state) override { registers = state; }

 private:
  std::uint64_t& at(EngineRegister reg) {
    switch (reg.register_class) {
      case RegisterClass::Integer:
        return registers.integer[reg.index];
      case RegisterClass::ProgramCounter:
        return registers.program_counter;
      case RegisterClass::Flags:
        return registers.flags;
      case RegisterClass::SegmentBase:
        return registers.segment_base[reg.index - 4U];
      default:
        return registers.vector_control[0];
    }
  }
};

struct VmxBench {
  using F = VmcsField;
  static constexpr std::uint64_t kIoBitmapA = 0x10000, kIoBitmapB = 0x11000, kMsrBitmap = 0x12000, kEptRoot = 0x20000;

  explicit VmxBench(std::uint64_t memory_bytes = 1 << 20)
      : memory({0}, memory_bytes),
        path(config.translation, config.caches, events),
        devices(events),
        vmx(context(), state) {
    events.set_sinks(&log, nullptr);
    events.begin_step(0);
    write_valid_vmcs();
  }
  MachineContext context() { return {config, memory, engine, events, path, devices, request, time}; }
  Vmcs& vmcs() { return vmx.vmcs(); }
  std::uint64_t get(F field) { return vmx.vmcs().read(field); }
  void set(F field, std::uint64_t value) { vmx.vmcs().write(field, value); }
  void add(F field, std::uint64_t bits) { set(field, get(field) | bits); }
  void remove(F field, std::uint64_t bits) { set(field, get(field) & ~bits); }

  template <typename Payload>
  std::vector<Payload> of() const {
    std::vector<Payload> found;
    for (const Event& event : log.events) {
      if (const auto* payload = std::get_if<Payload>(&event.payload)) found.push_back(*payload);
    }
    return found;
  }

  void write_valid_vmcs() {
    set(F::PinBasedControls, kPinCapability.required);
    set(F::PrimaryControls, kPrimaryCapability.required | kPrimaryActivateSecondary);
    set(F::SecondaryControls, kSecondaryEnableEpt | kSecondaryEnableVpid | kSecondaryUnrestrictedGuest);
    set(F::VirtualProcessorIdentifier, 1);
    set(F::EptPointer, kEptRoot | kEptpWriteBack | kEptpFourLevels | kEptpAccessedDirty);
    set(F::ExitControls, kExitCapability.required | kExitHostAddressSpaceSize | kExitSaveDebugControls | kExitSaveEfer |
                             kExitLoadEfer | kExitSavePat | kExitLoadPat);
    set(F::EntryControls,
        kEntryCapability.required | kEntryLoadDebugControls | kEntryLoadEfer | kEntryLoadPat | kEntryIa32eModeGuest);
    set(F::IoBitmapA, kIoBitmapA);
    set(F::IoBitmapB, kIoBitmapB);
    set(F::MsrBitmaps, kMsrBitmap);
    set(F::VmcsLinkPointer, ~std::uint64_t{0});

    set(F::HostCr0, kVmxCr0Required | kCr0Et);
    set(F::HostCr3, 0x30000);
    set(F::HostCr4, kCr4Vmxe | kCr4Pae);
    set(F::HostEfer, kEferLme | kEferLma | kEferNxe);
    set(F::HostPat, kPat);
    set(F::HostCsSelector, 8);
    set(F::HostSsSelector, 16);
    set(F::HostTrSelector, 24);
    set(F::HostFsBase, 0x1111000);
    set(F::HostGsBase, 0x2222000);
    set(F::HostRsp, 0xffff800000008000);
    set(F::HostRip, 0xffff800000001000);

    set(F::GuestCr0, kVmxCr0Required | kCr0Et | kCr0Wp);
    set(F::GuestCr3, 0x5000);
    set(F::GuestCr4, kCr4Vmxe | kCr4Pae | kCr4Pge);
    set(F::Cr0ReadShadow, kCr0Pe | kCr0Pg | kCr0Et | kCr0Wp);
    set(F::Cr4ReadShadow, kCr4Pae | kCr4Pge);
    set(F::GuestEfer, kEferLme | kEferLma | kEferNxe | kEferSce);
    set(F::GuestPat, kPat);
    set(F::GuestDr7, 0x400);
    for (const F field : {F::GuestEsAccessRights, F::GuestSsAccessRights, F::GuestDsAccessRights,
                          F::GuestFsAccessRights, F::GuestGsAccessRights})
      set(field, 0xc093);
    set(F::GuestCsAccessRights, 0xa09b);
    for (const F field :
         {F::GuestEsLimit, F::GuestCsLimit, F::GuestSsLimit, F::GuestDsLimit, F::GuestFsLimit, F::GuestGsLimit})
      set(field, 0xffffffff);
    for (const F field : {F::GuestEsSelector, F::GuestSsSelector, F::GuestDsSelector}) set(field, 16);
    set(F::GuestCsSelector, 8);
    set(F::GuestFsBase, 0x7f0000001000);
    set(F::GuestGsBase, 0xffff888000000000);
    set(F::GuestLdtrAccessRights, 1U << 16);
    set(F::GuestTrAccessRights, 0x8b);
    set(F::GuestTrLimit, 0x67);
    set(F::GuestTrBase, 0xffff800000100000);
    set(F::GuestTrSelector, 0x30);
    set(F::GuestGdtrBase, 0xffff800000200000);
    set(F::GuestGdtrLimit, 0x3f);
    set(F::GuestIdtrBase, 0xffff800000300000);
    set(F::GuestIdtrLimit, 0xfff);
    set(F::GuestRip, 0xffff800000400000);
    set(F::GuestRsp, 0xffff800000500000);
    set(F::GuestRflags, 0x2 | kFlagIf | kFlagCf);
  }

  static constexpr std::uint64_t kPat = 0x0007040600070406;
  MachineConfig config;
  PhysicalMemory memory;
  RegisterEngine engine;
  EventLog log;
  EventStream events;
  MemoryPath path;
  DeviceBus devices;
  MachineRequest request;
  VirtualTime time;
  SystemState state;
  VmxUnit vmx;
};

}  // namespace shearling::x86::testing
