// SPDX-License-Identifier: GPL-3.0-or-later
//
// One AArch64 core with EL0, EL1 and EL2: innocuous instructions run on the engine, all others here, check by check.
// Exceptions are taken and returned from as the architecture says (DDI 0487, D1.3); where a VMM in C++ owns a level, it
// handles what is taken to that level and returns to the guest within the same step. Left out: AArch32, EL3 (PSCI
// stands in its place), Secure state, debug exceptions but BRK, software step, big-endian data, stack-pointer
// alignment checks, SVE, pointer authentication, memory tagging.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/machine/engine_accesses.h"
#include "core/machine/engine_processor.h"
#include "core/machine/processor.h"
#include "isa-arm/cpu/arm_system.h"
#include "isa-arm/cpu/checks.h"
#include "isa-arm/cpu/decoder.h"
#include "isa-arm/gic/generic_timer.h"
#include "isa-arm/mmu/mmu.h"
#include "isa-arm/registers/arm_state.h"
#include "isa-arm/vmm/host.h"

namespace shearling::arm {

/// What keeps an instruction from completing.
struct [[nodiscard]] Obstacle {
  enum class Kind : std::uint8_t { None, Exception, Stop } kind = Kind::None;
  ArmException exception;
  explicit operator bool() const { return kind != Kind::None; }
};

class ArmProcessor final : public EngineProcessor, public HostCore, private AccessTranslator {
 public:
  /// `host` is shared by all cores and may be null: the bare machine.
  ArmProcessor(const MachineContext& context, std::shared_ptr<ArmSystem> system, std::shared_ptr<Host> host);
  ~ArmProcessor() override;

  // Processor
  Status load(const ElfImage& image, const std::string& file) override;
  ProcessorOutcome step() override;
  [[nodiscard]] bool runnable() const override;
  [[nodiscard]] std::optional<std::uint64_t> next_wakeup() const override;
  void time_passed() override { timer_.advance(); }
  void take_engine() override;
  void release_engine() override;
  [[nodiscard]] VirtualAddress program_counter() const override { return {pc()}; }
  [[nodiscard]] std::uint8_t privilege() const override { return static_cast<std::uint8_t>(state_.exception_level); }
  [[nodiscard]] Actor actor() const override;
  [[nodiscard]] std::string_view mode_name() const override;
  [[nodiscard]] std::vector<RegisterRow> registers() const override;
  [[nodiscard]] std::vector<ControlFieldRow> control_structure() const override;
  [[nodiscard]] std::optional<InspectedTranslation> inspect(VirtualAddress address) const override;
  [[nodiscard]] std::optional<PhysicalAddress> guest_to_physical(GuestPhysicalAddress address) const override;
  [[nodiscard]] std::vector<DisassembledInstruction> disassemble(VirtualAddress from, unsigned count) const override;
  [[nodiscard]] std::string describe_entry(std::string_view name, std::uint64_t entry) const override;
  [[nodiscard]] bool has_stale_translations() const override { return mmu_.has_stale_entries(); }
  void models_changed() override;
  void save(Writer& writer) const override;
  void load_state(Reader& reader) override;

  // HostCore
  [[nodiscard]] const MachineContext& context() const override { return context_; }
  [[nodiscard]] ArmState& state() override { return state_; }
  [[nodiscard]] Mmu& mmu() override { return mmu_; }
  [[nodiscard]] Gic& gic() override { return system_->gic; }
  [[nodiscard]] GenericTimer& timer() override { return timer_; }
  [[nodiscard]] std::uint64_t general(unsigned index) const override;
  void set_general(unsigned index, std::uint64_t value) override;
  [[nodiscard]] EngineState engine_state() const override;
  void set_engine_state(const EngineState& state) override;
  void write_register(SystemRegister reg, std::uint64_t value) override;
  std::uint64_t read_register(SystemRegister reg) override;
  void exception_return() override;
  void invalidate(const TlbInvalidation& what) override;
  void store(PhysicalAddress address, unsigned size, std::uint64_t value) override;
  [[nodiscard]] HostCore* core(unsigned cpu) override { return system_->core(cpu); }
  bool power_on(unsigned cpu, VirtualAddress entry, std::uint64_t context_id) override;
  void power_off() override;
  void exception_injected() override { injected_ = true; }
  void wait_for_interrupt() override { state_.waiting_for_interrupt = true; }

  // ArmSystem
  void tables_changed();
  void receive_event() { state_.event_register = true; }
  /// PSCI: begins at `entry` with `context_id` in X0, in the state that reset leaves.
  void start_at(VirtualAddress entry, std::uint64_t context_id);
  [[nodiscard]] bool powered() const { return state_.powered; }
  [[nodiscard]] std::uint64_t affinity() const { return state_[SystemRegister::MPIDR_EL1]; }
  [[nodiscard]] const ArmState& state() const { return state_; }

 private:
  // --- the step (arm_processor.cpp)
  bool reach_boundary();
  void execute_one();
  Obstacle attempt();
  Obstacle fetch(std::uint64_t pc);
  [[nodiscard]] std::uint64_t without_tag(std::uint64_t address) const;
  Obstacle execute(Operation operation);
  Obstacle execute_own(Operation operation);
  Obstacle execute_innocuous();
  [[nodiscard]] bool checks_alignment() const;
  Obstacle check_alignment(CheckId id);
  [[nodiscard]] std::optional<ArmException> due_interrupt() const;
  [[nodiscard]] bool asleep() const { return state_.waiting_for_interrupt || state_.waiting_for_event; }
  [[nodiscard]] bool wakes() const;
  [[nodiscard]] bool must_step() const override;
  [[nodiscard]] bool floating_point_permitted() const;
  EngineOutcome run_engine(StepIndex target, bool observed) override;

  // --- AccessTranslator
  std::optional<PageTranslation> translate_page(const AccessRequest& wanted);
  std::optional<PageTranslation> translate_access(VirtualAddress address, AccessKind kind) override;
  std::optional<PageTranslation> probe_access(VirtualAddress address, AccessKind kind) override;
  [[nodiscard]] bool is_table_frame(PhysicalAddress address) const override { return mmu_.is_table_frame(address); }
  void table_store(PhysicalAddress address, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint16_t address_space() const override { return mmu_.current_asid(); }
  EngineClient::BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) override;
  std::uint32_t instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                    std::uint32_t offset) override;
  bool observable(VirtualAddress pc, std::span<const std::uint8_t> bytes) override;
  [[nodiscard]] bool stops_direct_run(std::uint32_t instruction) const;

  // --- exceptions (exceptions.cpp)
  /// True: a VMM handled it and has returned to the guest, or has asked for a stop.
  bool raise(const ArmException& exception, std::uint64_t preferred_return);
  [[nodiscard]] unsigned target_of(const ArmException& exception) const;
  void enter(const ArmException& exception, unsigned target, std::uint64_t preferred_return);
  void return_from_exception(std::string_view name);
  [[nodiscard]] bool legal_return(std::uint64_t saved);
  [[nodiscard]] std::uint64_t process_state() const;
  void change_level(unsigned level, bool stack_pointer_select, std::string_view reason);
  [[nodiscard]] Obstacle undefined();
  [[nodiscard]] static Obstacle exception(ExceptionClass exception_class, std::uint32_t iss);
  [[nodiscard]] Obstacle abort_of(const TranslationFault& fault, AccessKind kind, VirtualAddress address) const;
  [[nodiscard]] static Obstacle obstacle_of(const AccessDecision& decision);
  bool check(CheckId id, bool passed, std::uint64_t actual = 0, std::uint64_t required = 0);
  Obstacle unsupported(std::string_view detail);

  // --- system registers (system_access.cpp)
  Obstacle read_system_register();
  Obstacle write_system_register();
  Obstacle move_to_state();
  [[nodiscard]] std::uint64_t read_process_state(SystemRegister reg) const;
  [[nodiscard]] std::uint64_t pending_interrupts() const;
  void write_process_state(SystemRegister reg, std::uint64_t value);
  [[nodiscard]] std::optional<std::uint64_t> peek(SystemRegister reg) const override;
  [[nodiscard]] bool virtual_interface(SystemRegister reg) const;
  void report_write(std::string_view name, std::uint64_t before, std::uint64_t after);

  // --- system instructions (maintenance.cpp)
  Obstacle system_instruction();
  Obstacle translate_address(VirtualAddress address, const AddressTranslation& what);
  [[nodiscard]] Regime regime_for_translation(unsigned level) const;
  Obstacle zero_block(VirtualAddress address);
  Obstacle cache_by_address(VirtualAddress address);

  // --- memory on behalf of our own instructions (memory_instructions.cpp)
  Obstacle translate(VirtualAddress address, AccessKind kind, unsigned level, PageTranslation& out);
  Obstacle access(VirtualAddress address, unsigned size, AccessKind kind, unsigned level, std::uint64_t& value);
  Obstacle check_exclusive(VirtualAddress address, unsigned size, AccessKind kind, PageTranslation& page);
  Obstacle load_exclusive();
  Obstacle store_exclusive();
  Obstacle unprivileged();
  [[nodiscard]] std::uint64_t base_register(unsigned index) const;  ///< 31 is the stack pointer.
  [[nodiscard]] std::uint64_t low_bytes(unsigned index, unsigned size) const;
  [[nodiscard]] AccessRequest request(VirtualAddress address, AccessKind kind, unsigned level) const;

  Obstacle supervisor_call(Operation operation);
  Obstacle call_firmware();
  Obstacle wait(Operation operation);

  // --- registers
  [[nodiscard]] std::uint64_t read_engine(EngineRegister reg) const;
  void write_engine(EngineRegister reg, std::uint64_t value);
  [[nodiscard]] std::uint64_t pc() const { return read_engine(program_counter_register()); }
  void set_pc(std::uint64_t value) { write_engine(program_counter_register(), value); }
  void reset(std::uint64_t entry, unsigned level);

  std::shared_ptr<ArmSystem> system_;
  std::shared_ptr<Host> host_;
  ArmState state_;
  Mmu mmu_;
  GenericTimer timer_;
  EngineAccesses accesses_;
  bool owns_engine_ = false;
  bool awaits_entry_ = false;  ///< PSCI has started this core: its first turn begins with the VMM's entry.
  EngineState parked_{.mode = ExecutionMode::AArch64};  ///< The register file while another core has the engine.

  // --- within one step only: not state
  std::uint32_t word_ = 0;  ///< The instruction.
  std::optional<TranslationFault> refusal_;
  bool begun_ = false;     ///< The step's instruction has begun: it counts.
  bool injected_ = false;  ///< The VMM has let the guest take an exception.
};

}  // namespace shearling::arm
