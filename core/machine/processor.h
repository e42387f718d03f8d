// SPDX-License-Identifier: GPL-3.0-or-later
//
// The seam between the machine and an ISA: a Processor is one core's hardware (engine for innocuous instructions,
// everything else done by the ISA module) together with the VMM that drives it, if any. The machine knows nothing of
// an ISA beyond this page.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/archive.h"
#include "core/base/result.h"
#include "core/devices/device_bus.h"
#include "core/engine/engine.h"
#include "core/events/sink.h"
#include "core/machine/machine_config.h"
#include "core/machine/memory_path.h"
#include "core/memory/physical_memory.h"

namespace shearling {

struct ElfImage;
enum class ElfMachine : std::uint8_t;

/// Guest-visible time: one tick an instruction begun, plus the ticks slept in HLT or WFI. The same at every
/// observation level and under every technique (the VMM's own time is hidden by the TSC offset).
struct VirtualTime {
  StepIndex step = 0;            ///< Instructions begun.
  std::uint64_t idle = 0;        ///< Ticks slept.
  std::uint64_t vmm_cycles = 0;  ///< Cycles of VMM actions so far: accounts, and what the TSC offset hides.
  [[nodiscard]] std::uint64_t guest_ticks() const { return step + idle; }
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(step, idle, vmm_cycles);
  }
};

/// What the blocks of the machine share. All borrowed; the machine owns them and outlives the processors.
struct MachineContext {
  const MachineConfig& config;
  PhysicalMemory& memory;
  CpuEngine& engine;  ///< Shared by all cores: see Processor::take_engine().
  EventStream& events;
  MemoryPath& memory_path;  ///< This core's own.
  DeviceBus& devices;
  MachineRequest& request;  ///< Devices ask for a stop here; the processor asks for triple fault, deadlock, ...
  VirtualTime& time;
  unsigned cpu = 0;  ///< Number of this core.
};

/// How one call of step() or run_direct() ended.
struct ProcessorOutcome {
  enum class Kind : std::uint8_t {
    Continue,     ///< step: the step is complete. run_direct: the target was reached.
    Stopped,      ///< context.request holds the reason.
    NeedsModels,  ///< run_direct: the guest changed a translation that a TLB may hold. The state after
                  ///< the instruction at `step` is worthless and its events were withheld: the machine
                  ///< restores, replays with models up to `step`, and does that step with models.
  };
  Kind kind = Kind::Continue;
  StepIndex step = 0;
};

/// One row of the register view: what the guest believes beside what the hardware holds.
struct RegisterRow {
  std::string_view name;
  std::string_view group;  ///< "general", "control", "segment", "system", "vmx", ...
  std::uint64_t believed = 0;
  std::uint64_t real = 0;
  unsigned bits = 64;
  std::string note;  ///< Why they differ, or decoded fields: "gPA; EPTP 0x7c3000".
  bool operator==(const RegisterRow&) const = default;
};

/// One row of a control structure (VMCS): empty where there is none.
struct ControlFieldRow {
  std::string_view area;  ///< "guest state", "host state", "execution controls", ...
  std::string_view name;
  std::uint32_t encoding = 0;
  std::uint64_t value = 0;
  bool operator==(const ControlFieldRow&) const = default;
};

struct DisassembledInstruction {
  VirtualAddress address;
  std::vector<std::uint8_t> bytes;
  std::string text;  ///< "mov eax, 1"
  InstructionClass classification = InstructionClass::Innocuous;
};

/// A translation for views and tests: no counters, no Accessed or Dirty bits, no fills, no events.
struct InspectedTranslation {
  GuestPhysicalAddress guest_physical;
  PhysicalAddress physical;
  PageSize page_size = PageSize::Size4K;
  bool writable = false, user = false, executable = false;
};

class Processor {
 public:
  virtual ~Processor() = default;

  /// Puts the guest into memory and the core into its reset state for that kind of image. Called for every core by
  /// number: memory is the first one's business.
  virtual Status load(const ElfImage& image, const std::string& file) = 0;

  /// Begins one instruction and does all that follows from it: interrupts due before it, checks, traps and their
  /// delivery, VM exits, the VMM's actions, VM entry, retries. Increments time.step by one (not when it stops before
  /// an instruction could begin). The TLB and cache models are used when memory_path.models_on().
  virtual ProcessorOutcome step() = 0;
  /// The same effect on guest-visible state as step() until time.step == target, without models and micro-events.
  virtual ProcessorOutcome run_direct(StepIndex target) = 0;
  /// As step() until time.step == target, models and their counters included, without micro-events: much faster.
  virtual ProcessorOutcome run_observed(StepIndex target) = 0;

  // Several cores share the engine and are interleaved by the machine: a core that cannot begin an instruction (it is
  // off, or it sleeps and nothing wakes it) is passed over, and a run ends early where the core comes to that. A core
  // that is the only one may sleep by itself instead.
  [[nodiscard]] virtual bool runnable() const { return true; }
  /// While not runnable(): guest ticks at which a timer of its own may wake it.
  [[nodiscard]] virtual std::optional<std::uint64_t> next_wakeup() const { return std::nullopt; }
  /// Guest time has moved while others ran, or jumped while all slept: timers and the lines they drive follow. Called
  /// for every core wherever a turn ends, before runnable() is asked.
  virtual void time_passed() {}
  /// The engine's register file becomes this core's; release_engine() takes it out again. The first core is given the
  /// engine before load(); a core that has not got it keeps its register file itself, also in load() and load_state().
  virtual void take_engine() {}
  virtual void release_engine() {}

  [[nodiscard]] virtual VirtualAddress program_counter() const = 0;
  [[nodiscard]] virtual std::uint8_t privilege() const = 0;  ///< Ring or exception level of the guest.
  [[nodiscard]] virtual Actor actor() const = 0;
  [[nodiscard]] virtual std::string_view mode_name() const = 0;  ///< "64-bit mode", "protected mode", ...
  [[nodiscard]] virtual std::vector<RegisterRow> registers() const = 0;
  [[nodiscard]] virtual std::vector<ControlFieldRow> control_structure() const = 0;

  [[nodiscard]] virtual std::optional<InspectedTranslation> inspect(VirtualAddress address) const = 0;
  /// Guest-physical to physical: identity without a VMM; nothing where the VMM has no backing.
  [[nodiscard]] virtual std::optional<PhysicalAddress> guest_to_physical(GuestPhysicalAddress address) const = 0;
  [[nodiscard]] virtual std::vector<DisassembledInstruction> disassemble(VirtualAddress from, unsigned count) const = 0;
  /// A page-table entry bit by bit, for tooltips: "P=1 RW=1 US=0 A=1 D=0 frame 0x1234". `name` as in walk.reference.
  [[nodiscard]] virtual std::string describe_entry(std::string_view name, std::uint64_t entry) const = 0;

  /// True when some TLB or page-walk-cache entry no longer agrees with the tables in memory.
  [[nodiscard]] virtual bool has_stale_translations() const = 0;
  /// The models now hold what a snapshot or a direct run left behind: forget engine translations derived from them.
  virtual void models_changed() = 0;

  /// Architectural state: engine registers, system registers, virtualization state, VMM, interrupt controllers.
  virtual void save(Writer& writer) const = 0;
  virtual void load_state(Reader& reader) = 0;
};

/// A level of privilege as views call it: one a ring or exception level that guests or VMMs run at.
struct PrivilegeLevel {
  std::uint8_t number = 0;  ///< As in events.
  std::string_view name;    ///< "ring 3", "EL0"
  Actor actor = Actor::GuestUser;
};

/// What views call the parts of a machine under one technique. All are words for people; empty ones are left out.
struct TechniqueWords {
  std::string_view title = "bare";     ///< "VT-x + EPT"
  std::string_view tip;                ///< Of the menu: what choosing it does.
  std::string_view guest;              ///< Of the guest's band: "non-root operation".
  std::string_view vmm;                ///< Of the VMM's band: "root operation".
  std::string_view without_vmm;        ///< In the VMM's band where there is none.
  std::string_view control_structure;  ///< "VMCS"
  std::string_view exit_reason;        ///< Before an exit's number: "VMCS: exit reason".
  std::string_view exit_address;       ///< Before the address of the instruction that exited: "RIP".
  std::string_view trap_words;         ///< Of one delivered: "IDT: vector {vector}"; {name} is its name.
  std::string_view guest_physical;     ///< An address that stage 1 gives: "gPA".
  std::string_view host_physical;      ///< An address that stage 2 gives: "hPA".
  std::string_view nested_tables;      ///< What stage 2 is called: "EPT".
};

/// How the walk grid labels one level of a stage's tables.
struct TableLevelWords {
  std::string_view label;        ///< Where there is room: "guest L4 (PML4E)".
  std::string_view short_label;  ///< "PML4E"
};

/// One instruction set: what the machine needs to build processors of it, and what views call its parts.
class Isa {
 public:
  virtual ~Isa() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;  ///< "x86-64"
  /// True for images that this ISA's machines start.
  [[nodiscard]] virtual bool accepts(ElfMachine machine) const = 0;
  /// The built-in machine for an image when nobody names one: "pc", "virt".
  [[nodiscard]] virtual std::string_view default_machine() const = 0;
  /// The techniques it has, `bare` first.
  [[nodiscard]] virtual std::span<const VmmTechnique> techniques() const = 0;
  [[nodiscard]] virtual std::span<const PrivilegeLevel> privilege_levels() const = 0;  ///< Least privileged first.
  [[nodiscard]] virtual unsigned most_cpus() const { return 1; }
  [[nodiscard]] virtual ExecutionMode initial_mode() const = 0;
  /// Physical memory that the machine must have for this guest RAM under this technique, in bytes.
  [[nodiscard]] virtual std::uint64_t physical_memory_bytes(const MachineConfig& config,
                                                            VmmTechnique technique) const = 0;
  [[nodiscard]] virtual PhysicalAddress physical_memory_base() const = 0;
  [[nodiscard]] virtual TechniqueWords technique_words(VmmTechnique) const { return {}; }
  /// `level` as in walk.reference: 1 is the last one before the page.
  [[nodiscard]] virtual TableLevelWords table_level_words(unsigned /*stage*/, unsigned /*level*/) const { return {}; }
  /// Names of the registers that a lecture looks at first, in the order to show them.
  [[nodiscard]] virtual std::span<const std::string_view> essential_registers() const { return {}; }
  /// True for an instruction, as disassembled, that comes back behind itself: a call, a system call.
  [[nodiscard]] virtual bool comes_back(std::string_view /*instruction*/) const { return false; }
  /// The cores of one machine, by number; they may share hardware, which the first one then saves and loads.
  virtual std::vector<std::unique_ptr<Processor>> make_processors(const std::vector<MachineContext>& contexts,
                                                                  VmmTechnique technique) const = 0;
};

/// The ISAs that this program was built with; the app registers them once at start-up, before any machine exists.
void register_isa(const Isa& isa);
const Isa* find_isa(std::string_view name);
std::span<const Isa* const> registered_isas();

}  // namespace shearling
