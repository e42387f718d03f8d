// SPDX-License-Identifier: GPL-3.0-or-later
//
// A VMM in C++ that takes the exceptions of one exception level: EL2 with `el2`, EL1 with `trap-and-emulate`. It does
// only what a real one can do: read and write system registers and memory, and return from the exception. Each thing it
// does is a vmm.action event with a name and a cost, and advances MachineContext::time.vmm_cycles.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/archive.h"
#include "core/base/result.h"
#include "core/machine/processor.h"
#include "isa-arm/gic/generic_timer.h"
#include "isa-arm/gic/gic.h"
#include "isa-arm/mmu/mmu.h"
#include "isa-arm/registers/arm_state.h"
#include "isa-arm/registers/exception.h"

namespace shearling::arm {

/// What a core offers to the software that runs on it at its host's level. Implemented by ArmProcessor.
class HostCore {
 public:
  virtual ~HostCore() = default;
  [[nodiscard]] virtual const MachineContext& context() const = 0;
  [[nodiscard]] virtual ArmState& state() = 0;
  [[nodiscard]] virtual Mmu& mmu() = 0;
  [[nodiscard]] virtual Gic& gic() = 0;
  [[nodiscard]] virtual GenericTimer& timer() = 0;
  /// X0 to X30; 31 reads as zero and swallows writes.
  [[nodiscard]] virtual std::uint64_t general(unsigned index) const = 0;
  virtual void set_general(unsigned index, std::uint64_t value) = 0;
  /// The whole engine register file (general, SIMD, NZCV), to switch between virtual machines.
  [[nodiscard]] virtual EngineState engine_state() const = 0;
  virtual void set_engine_state(const EngineState& state) = 0;
  /// MSR by the host: with a register.written event and whatever the write brings about (MMU, timer, GIC).
  virtual void write_register(SystemRegister reg, std::uint64_t value) = 0;
  virtual std::uint64_t read_register(SystemRegister reg) = 0;
  /// ERET from the host's level by ELR_ELx and SPSR_ELx.
  virtual void exception_return() = 0;
  virtual void invalidate(const TlbInvalidation& what) = 0;  ///< TLBI, on this core.
  /// A store by the host to physical memory: snapshots, translated code and tables in use hear of it.
  virtual void store(PhysicalAddress address, unsigned size, std::uint64_t value) = 0;
  /// PSCI CPU_ON of another core of the machine; false: it is on already or does not exist.
  virtual bool power_on(unsigned cpu, VirtualAddress entry, std::uint64_t context_id) = 0;
  virtual void power_off() = 0;  ///< This core.
  /// A core of the machine by its number, this one included; null where there is none.
  [[nodiscard]] virtual HostCore* core(unsigned cpu) = 0;
  /// A register's value for views, without side effects; nothing for the ICC_* registers.
  [[nodiscard]] virtual std::optional<std::uint64_t> peek(SystemRegister reg) const = 0;
  /// The host has set EL1's registers so that the guest takes an exception: the instruction is not tried again.
  virtual void exception_injected() {}
  /// Waits for an interrupt as WFI does once the guest is entered again.
  virtual void wait_for_interrupt() = 0;
};

/// What the guest believes of a register, where the host shows it something else than the hardware holds.
struct BelievedRegister {
  SystemRegister reg = SystemRegister::Count;
  std::uint64_t value = 0;
};

class Host {
 public:
  virtual ~Host() = default;
  /// The exception level whose exceptions it takes.
  [[nodiscard]] virtual unsigned exception_level() const = 0;
  /// The level at which the guest's software believes to run, where the core is at `real`, below the host's.
  [[nodiscard]] virtual unsigned guest_level(unsigned real) const { return real; }
  /// Backing for guest memory while the image is loaded: allocates the frame where there is none yet.
  virtual PhysicalAddress backing(GuestPhysicalAddress address) = 0;
  /// The same without allocating; nothing where there is none (such memory reads as zero).
  [[nodiscard]] virtual std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const = 0;
  /// After loading, once for each core (also of those that PSCI starts later): the state holds what the guest is to
  /// begin with, at EL1. Sets up the host's registers and makes the first entry.
  virtual Status start(HostCore& core) = 0;
  /// The hardware has just taken an exception to the host's level: ESR, ELR, SPSR, FAR and HPFAR hold it, and
  /// state().exception_level is that level. Handles it and returns to the guest, or asks for a stop in context.request.
  virtual void handle_exception(HostCore& core, const ArmException& exception) = 0;
  [[nodiscard]] virtual std::vector<ControlFieldRow> control_structure(const HostCore& core) const = 0;
  /// Registers that the guest sees otherwise than the hardware holds them.
  [[nodiscard]] virtual std::vector<BelievedRegister> believed(const HostCore&) const { return {}; }
  virtual void save(Writer& writer) const = 0;
  virtual void load(Reader& reader) = 0;
};

std::uint64_t host_physical_memory_bytes(const MachineConfig& config, VmmTechnique technique);
std::unique_ptr<Host> make_host(const MachineContext& context, VmmTechnique technique);

}  // namespace shearling::arm
