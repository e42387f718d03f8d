// SPDX-License-Identifier: GPL-3.0-or-later
//
// One x86-64 core: innocuous instructions run on the engine, all others here, check by check; interrupts and exceptions
// go through the guest's tables, and in VMX non-root operation what the VMCS asks for leaves the guest first. SDM
// volume 2 (instructions), volume 3A chapters 2, 3, 5, 6 (system architecture), volume 3C chapters 25 and 27. Left out:
// real mode, 16-bit code, segments that are not flat outside 64-bit mode (they stop the machine as unsupported),
// virtual-8086 mode, hardware tasks, call gates (#GP), debug breakpoints, alignment checks (#AC).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/machine/engine_accesses.h"
#include "core/machine/engine_processor.h"
#include "core/machine/processor.h"
#include "isa-x86/apic/local_apic.h"
#include "isa-x86/cpu/checks.h"
#include "isa-x86/cpu/cpuid.h"
#include "isa-x86/cpu/decoder.h"
#include "isa-x86/cpu/system_state.h"
#include "isa-x86/mmu/mmu.h"
#include "isa-x86/vmm/host.h"
#include "isa-x86/vmx/vmx_unit.h"

namespace shearling::x86 {

/// Makes the VMM; isa_x86.cpp passes it in, so that the core does not depend on any VMM.
using HostFactory = std::unique_ptr<Host> (*)(MachineContext context, SystemState& state, VmxUnit& vmx, Mmu& mmu,
                                              LocalApic& apic);

/// What keeps an instruction, or the delivery of an event, from completing.
struct [[nodiscard]] Obstacle {
  enum class Kind : std::uint8_t { None, Exception, Exit, Stop } kind = Kind::None;
  PendingEvent event;      ///< Exception: software interrupts too.
  VmExitInformation exit;  ///< Exit: leaves the guest.
  explicit operator bool() const { return kind != Kind::None; }
};

/// A segment descriptor as it lies in memory, taken apart.
struct Descriptor {
  std::uint64_t raw = 0;
  std::uint64_t base = 0;
  std::uint32_t limit = 0;          ///< In bytes.
  std::uint32_t access_rights = 0;  ///< VMCS format.
  VirtualAddress address;           ///< Of the descriptor itself.
  explicit Descriptor(std::uint64_t raw_descriptor = 0, VirtualAddress at = {});
  [[nodiscard]] unsigned type() const { return access_rights & 15; }
  [[nodiscard]] bool is_segment() const { return (access_rights & 0x10) != 0; }
  [[nodiscard]] bool is_code() const { return is_segment() && (access_rights & 8) != 0; }
  [[nodiscard]] bool is_conforming() const { return (access_rights & 4) != 0; }  ///< Code segments.
  [[nodiscard]] bool is_writable_data() const { return is_segment() && (access_rights & 10) == 2; }
  [[nodiscard]] bool is_readable() const { return is_segment() && (access_rights & 10) != 8; }
  [[nodiscard]] unsigned dpl() const { return (access_rights >> 5) & 3; }
  [[nodiscard]] bool present() const { return (access_rights & 0x80) != 0; }
  [[nodiscard]] bool long_code() const { return (access_rights & (1U << 13)) != 0; }
  [[nodiscard]] bool big() const { return (access_rights & (1U << 14)) != 0; }
};

// The translator comes first: its functions are the ones that are called for every access.
class X86Processor : private AccessTranslator, public EngineProcessor {
 public:
  X86Processor(const MachineContext& context, VmmTechnique technique, HostFactory make_host);
  ~X86Processor() override;

  Status load(const ElfImage& image, const std::string& file) override;
  ProcessorOutcome step() override;

  [[nodiscard]] VirtualAddress program_counter() const override;
  [[nodiscard]] std::uint8_t privilege() const override { return static_cast<std::uint8_t>(state_.cpl); }
  [[nodiscard]] Actor actor() const override { return state_.cpl == 3 ? Actor::GuestUser : Actor::GuestKernel; }
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

  [[nodiscard]] const SystemState& system_state() const { return state_; }
  [[nodiscard]] SystemState& system_state() { return state_; }  ///< For tests that begin in a state of their own.
  [[nodiscard]] const VmxUnit& vmx() const { return vmx_; }

 private:
  friend struct OperationTable;
  using Routine = Obstacle (X86Processor::*)();

  // --- the step (x86_processor.cpp)
  bool reach_boundary();  ///< False: the machine stops before an instruction.
  bool take_interrupt();  ///< True: something was taken; look again.
  void sleep();
  void execute_one();
  Obstacle attempt();
  Obstacle fetch(std::uint64_t pc);
  Obstacle read_instruction(VirtualAddress address);
  void model_fetch(VirtualAddress address);
  Obstacle execute_innocuous();
  Obstacle execute_repeated();
  Obstacle step_engine();
  Obstacle check_floating_point();
  [[nodiscard]] bool floating_point_permitted(FloatingPointUse use) const;
  static TranslateResult at_exact_address(TranslateResult result, VirtualAddress address);
  static Obstacle engine_exception(std::uint32_t vector);
  void complete(std::uint64_t pc);
  [[nodiscard]] bool interruptible() const;
  [[nodiscard]] bool window_exiting() const;
  [[nodiscard]] bool must_step() const override;
  EngineOutcome run_engine(StepIndex target, bool observed) override;
  [[nodiscard]] std::uint64_t floating_point_policy() const;

  // --- AccessTranslator
  std::optional<PageTranslation> translate_access(VirtualAddress address, AccessKind kind) override;
  std::optional<PageTranslation> probe_access(VirtualAddress address, AccessKind kind) override;
  [[nodiscard]] bool is_table_frame(PhysicalAddress address) const override { return mmu_.is_table_frame(address); }
  void table_store(PhysicalAddress address, unsigned size, std::uint64_t value) override {
    mmu_.table_store(address, size, value);
  }
  [[nodiscard]] std::uint16_t address_space() const override { return state_.pcid(); }
  [[nodiscard]] VirtualAddress wrap(std::uint64_t linear) const override {
    return {state_.sixty_four_bit_mode() ? linear : linear & 0xffffffff};
  }
  EngineClient::BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) override;
  std::uint32_t instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                    std::uint32_t offset) override;
  bool observable(VirtualAddress pc, std::span<const std::uint8_t> bytes) override;
  [[nodiscard]] bool is_stack_reference(VirtualAddress address) const;
  [[nodiscard]] bool stops_direct_run(const DecodedInstruction& instruction) const;

  // --- checks and obstacles
  /// 48-bit linear addresses: bits 63:47 are all the same.
  [[nodiscard]] static constexpr bool is_canonical(std::uint64_t address) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << 16) >> 16) == address;
  }
  bool check(CheckId id, bool passed, std::uint64_t actual = 0, std::uint64_t required = 0);
  [[nodiscard]] static Obstacle fault(std::uint8_t vector);
  [[nodiscard]] static Obstacle fault(std::uint8_t vector, std::uint32_t error_code);
  [[nodiscard]] Obstacle selector_fault(std::uint8_t vector,
                                        std::uint16_t selector) const;  ///< With EXT while delivering.
  Obstacle unsupported(std::string_view detail);
  [[nodiscard]] Obstacle leaves_guest(InterceptQuery query);  ///< Fills in the length.
  Obstacle require_cpl0();
  Obstacle require_feature(Feature feature);

  // --- memory on behalf of our own routines (processor_memory.cpp)
  struct AccessMode {
    bool implicit_supervisor = false;  ///< Descriptor tables, TSS.
    bool stack = false;                ///< #SS rather than #GP when not canonical.
    std::optional<unsigned> cpl;       ///< Another privilege level than the current one (pushes of a delivery).
  };
  [[nodiscard]] static PageTranslation page_translation(const Translation& translation) {
    return {translation.physical, translation.page_size, translation.writable_now};
  }
  [[nodiscard]] AccessRequest request_for(VirtualAddress address, AccessKind kind) const {
    return {
        .address = address, .kind = kind, .cpl = state_.cpl, .alignment_check_flag = (state_.rflags & kFlagAc) != 0};
  }
  Obstacle translate(VirtualAddress address, AccessKind kind, const AccessMode& mode, PageTranslation& out);
  Obstacle obstacle_of(const TranslateResult& result, bool stack);
  Obstacle access(VirtualAddress address, unsigned size, AccessKind kind, const AccessMode& mode, std::uint64_t& value);
  Obstacle read_memory(VirtualAddress address, unsigned size, const AccessMode& mode, std::uint64_t& value);
  Obstacle write_memory(VirtualAddress address, unsigned size, const AccessMode& mode, std::uint64_t value);
  Obstacle probe_write(VirtualAddress address, unsigned size, const AccessMode& mode);
  Obstacle linear_address(unsigned segment, std::uint64_t offset, unsigned size, AccessKind kind, VirtualAddress& out);
  [[nodiscard]] std::uint64_t effective_offset(const DecodedOperand& operand) const;
  Obstacle operand_address(const DecodedOperand& operand, unsigned size, AccessKind kind, VirtualAddress& out);
  Obstacle read_operand(const DecodedOperand& operand, std::uint64_t& value);
  Obstacle write_operand(const DecodedOperand& operand, unsigned size, std::uint64_t value);

  // --- registers
  [[nodiscard]] std::uint64_t general(unsigned index) const { return context_.engine.read(integer_register(index)); }
  void write_general(unsigned index, unsigned size, std::uint64_t value);
  [[nodiscard]] std::uint64_t pc() const { return context_.engine.read(program_counter_register()); }
  void set_pc(std::uint64_t value) {
    context_.engine.write(program_counter_register(), value);
    pc_written_ = true;
  }
  [[nodiscard]] std::uint64_t next_pc() const;
  [[nodiscard]] std::uint64_t flags() const;
  void set_flags(std::uint64_t value);
  void set_zero_flag(bool zero);
  void set_cpl(unsigned cpl, std::string_view reason);
  void set_segment(unsigned index, const Segment& segment);
  void report_write(std::string_view name, std::uint64_t before, std::uint64_t after);
  void update_mode();
  [[nodiscard]] std::string_view unsupported_mode() const;
  [[nodiscard]] std::uint64_t visible_cr0() const;
  [[nodiscard]] std::uint64_t visible_cr4() const;
  [[nodiscard]] std::uint64_t visible_tsc() const;

  // --- the stack
  struct StackCursor {
    std::uint64_t pointer = 0;
    AccessMode mode{.stack = true};
    bool flat = false;  ///< Another stack than SS's, already checked (of a delivery).
  };
  [[nodiscard]] std::uint64_t stack_pointer() const;
  void set_stack_pointer(std::uint64_t value);
  Obstacle push(StackCursor& cursor, unsigned size, std::uint64_t value);
  Obstacle pop(StackCursor& cursor, unsigned size, std::uint64_t& value);

  // --- segments (segments.cpp)
  Obstacle fetch_descriptor(std::uint16_t selector, std::uint8_t vector, Descriptor& out);
  Obstacle find_descriptor(std::uint16_t selector, std::optional<Descriptor>& out);  ///< Without faults of its own.
  Obstacle mark_accessed(Descriptor& descriptor);
  Obstacle load_data_segment(unsigned index, std::uint16_t selector);
  Obstacle load_stack_segment(std::uint16_t selector, unsigned cpl, bool null_allowed, std::uint8_t vector,
                              Segment& out);
  Obstacle check_code_segment(std::uint16_t selector, unsigned cpl, bool returning, Descriptor& out);
  [[nodiscard]] static Segment segment_from(std::uint16_t selector, const Descriptor& descriptor);
  Obstacle check_target(const Descriptor& code, std::uint64_t offset);
  Obstacle far_transfer(std::uint16_t selector, std::uint64_t offset, bool call);
  Obstacle far_return(unsigned size, std::uint64_t release, bool interrupt_return);
  void drop_privileged_segments();

  // --- delivery (delivery.cpp)
  void handle_event(PendingEvent event, bool injected);
  void leave_and_deliver(const VmExitInformation& exit);
  void leave_guest(const VmExitInformation& exit, const std::optional<PendingEvent>& being_delivered);
  void announce(const PendingEvent& event);
  [[nodiscard]] std::optional<VmExitInformation> exception_exit(const PendingEvent& event);
  void record_fault_state(const PendingEvent& event);
  Obstacle deliver(const PendingEvent& event);
  Obstacle deliver_through_gate(const PendingEvent& event);
  struct Gate {
    std::uint16_t selector = 0;
    std::uint64_t offset = 0;
    unsigned type = 0, dpl = 0, stack_table = 0;
    bool present = false;
  };
  Obstacle read_gate(const PendingEvent& event, Gate& gate);
  struct NewStack {
    bool switched = false;
    std::uint64_t pointer = 0;
    Segment segment;
  };
  Obstacle choose_stack(const Gate& gate, unsigned new_cpl, NewStack& stack);
  Obstacle task_state_field(unsigned offset, unsigned size, std::uint64_t& value);
  void shut_down(const std::optional<PendingEvent>& being_delivered);

  // --- our own instructions (system_instructions.cpp, control_registers.cpp, control_transfers.cpp)
  Obstacle execute_own();
  Obstacle op_undefined();
  Obstacle op_cpuid();
  Obstacle op_hlt();
  Obstacle op_cli();
  Obstacle op_sti();
  Obstacle op_load_table();
  Obstacle op_store_table();
  Obstacle op_lldt();
  Obstacle op_ltr();
  Obstacle op_store_selector();
  Obstacle op_lmsw();
  Obstacle op_smsw();
  Obstacle op_clts();
  Obstacle op_mov_from_cr();
  Obstacle op_mov_to_cr();
  Obstacle op_mov_dr();
  Obstacle op_rdmsr();
  Obstacle op_wrmsr();
  Obstacle op_rdtsc();
  Obstacle op_rdpmc();
  Obstacle op_in();
  Obstacle op_out();
  Obstacle op_string_io();
  Obstacle op_invlpg();
  Obstacle op_invpcid();
  Obstacle op_cache_flush();
  Obstacle op_swapgs();
  Obstacle op_syscall();
  Obstacle op_sysret();
  Obstacle op_int();
  Obstacle op_iret();
  Obstacle op_pushf();
  Obstacle op_popf();
  Obstacle op_mov_from_segment();
  Obstacle op_mov_to_segment();
  Obstacle op_push_segment();
  Obstacle op_pop_segment();
  Obstacle op_far_jump();
  Obstacle op_far_return();
  Obstacle op_load_far_pointer();
  Obstacle op_load_rights();
  Obstacle op_verify();
  Obstacle op_smap_flag();
  Obstacle op_fs_gs_base();
  Obstacle op_vmcall();
  Obstacle op_vmx();
  Obstacle op_pause();

  [[nodiscard]] std::uint32_t vmx_exit_reason(const DecodedInstruction& instruction) const;
  Obstacle load_system_segment(std::uint16_t selector, std::string_view name, Segment& target);
  [[nodiscard]] std::uint64_t with_owned_bits(VmcsField mask_field, std::uint64_t old_value,
                                              std::uint64_t new_value) const;
  Obstacle read_far_pointer(const DecodedOperand& operand, std::uint64_t& offset, std::uint16_t& selector);
  Obstacle check_io(std::uint16_t port, unsigned size);
  Obstacle check_descriptor_table_read();
  Obstacle write_cr0(std::uint64_t value);
  Obstacle write_cr3(std::uint64_t value);
  Obstacle write_cr4(std::uint64_t value);
  Obstacle read_msr(std::uint32_t number, std::uint64_t& value);
  Obstacle write_msr(std::uint32_t number, std::uint64_t value);
  Obstacle write_efer(std::uint64_t value);
  Obstacle string_io_once(bool input, unsigned size);

  CpuFeatures features_;
  SystemState state_;
  VmxUnit vmx_;
  Mmu mmu_;
  LocalApic apic_;
  std::unique_ptr<Host> host_;
  EngineAccesses accesses_;

  // --- within one step only: not state
  DecodedInstruction instruction_;
  std::array<std::uint8_t, 15> bytes_{};
  std::optional<TranslateResult> refusal_;  ///< Why translate_access() refused.
  std::uint32_t next_interruptibility_ = 0;
  bool pc_written_ = false;  ///< One of our own instructions went elsewhere.
  bool keep_resume_flag_ = false;
  bool suppress_single_step_ = false;  ///< The instruction entered a handler that RFLAGS.TF does not reach.
  bool delivering_external_ = false;
  static constexpr std::uint64_t kMostIterations = 4096;  ///< Of a repeated string instruction in one step.
  std::uint64_t iterations_left_ = 0;
  bool begun_ = false;  ///< The step's instruction has begun: it counts.
  std::string_view last_mode_;
  std::uint64_t planned_policy_ = 0;  ///< floating_point_policy() that planned blocks rest on.

  // --- caches of pure functions
  struct DecodedLine {
    std::uint64_t key = ~std::uint64_t{0};
    std::array<std::uint8_t, 15> bytes{};
    DecodedInstruction instruction;
  };
  std::vector<DecodedLine> decoded_;
};

}  // namespace shearling::x86
