// SPDX-License-Identifier: GPL-3.0-or-later
//
// Unicorn as the CPU. Up to six Unicorn handles share the machine's RAM: for each mode of an architecture one that runs
// directly, one that steps, and one that runs with every instruction and access observed. They are opened when first
// needed; one of them at a time owns the register file. What differs between architectures is in UnicornArchitecture;
// the engine's parts are in files of their own: registers (unicorn_engine.cpp), translated code (unicorn_code.cpp),
// fills (unicorn_fills.cpp), and the three ways to execute (unicorn_stepping.cpp, unicorn_direct.cpp,
// unicorn_observed.cpp). What was measured with Unicorn 2.1.1, and decided from it:
// - Handing the register file to a handle of the same mode (context save and restore, then the flags): 0.15 us. Using
//   one handle for both instead costs all translations: Unicorn drops them whenever it changes between count = 1 and 0.
// - Hooks never come or go: each handle has its own from the beginning. In the direct handles there is a block hook and
//   nothing else; instructions that must not reach Unicorn are kept out by stopping before their block
//   and stepping up to them, which needs no hook on an address and no new translation.
// - The fill hook is told the page, never the byte: the exact address of a refused access is found by executing the
//   instruction once more with that page on a device that notes where it is touched, and taking everything back.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/engine/engine.h"
#include "core/engine/unicorn_handle.h"

namespace shearling {

/// Why a fill was refused, or by whom.
enum class Refusal : std::uint8_t {
  None,
  Client,        ///< It belongs to the instruction at the program counter.
  Ahead,         ///< A block was being translated into a page that may never be reached.
  BudgetUsedUp,  ///< The next block is not to run in this call.
  CodeStore,     ///< A direct store to a frame that holds translated code.
  FetchOutsideRam,
};

/// Why the block hook stopped a direct run.
enum class BlockStop : std::uint8_t { None, Plan, Flush, Careful };

struct RecordedFill {
  std::uint64_t page = 0;
  AccessKind kind = AccessKind::Fetch;
  std::uint64_t frame = 0;
};

class UnicornEngine final : public CpuEngine {
 public:
  UnicornEngine(PhysicalMemory& memory, ExecutionMode mode)
      : memory_(memory), mode_(mode), architecture_(&architecture_of(mode)), registers_(architecture_->initial) {}

  /// False when Unicorn cannot be opened.
  [[nodiscard]] bool open() { return handle(HandleUse::Direct) != nullptr && handle(HandleUse::Stepping) != nullptr; }

  void set_client(EngineClient* client) override { client_ = client; }
  void set_mode(ExecutionMode mode) override;
  [[nodiscard]] ExecutionMode mode() const override { return mode_; }
  EngineOutcome step_one() override;
  EngineOutcome run(std::uint64_t budget) override;
  EngineOutcome run_observed(std::uint64_t budget) override;
  [[nodiscard]] std::uint64_t read(EngineRegister reg) const override;
  void write(EngineRegister reg, std::uint64_t value) override;
  [[nodiscard]] EngineState state() const override;
  void set_state(const EngineState& state) override;
  void flush_translations() override;
  void invalidate_code(PhysicalAddress frame) override;
  void invalidate_all_code() override;
  void forget_plans() override;
  [[nodiscard]] bool holds_code(PhysicalAddress frame) const override { return holds_code_frame(frame_number(frame)); }

  // Called from Unicorn's hooks.
  bool on_fill(UnicornHandle& handle, std::uint64_t address, AccessKind kind, uc_tlb_entry& entry);
  void on_block(UnicornHandle& handle, std::uint64_t address, std::uint32_t size);
  [[gnu::noinline]] void on_unusual_block(UnicornHandle& handle, std::uint64_t address, std::uint32_t size);
  void on_observed_block(UnicornHandle& handle, std::uint64_t address, std::uint32_t size);
  void on_observed_instruction(UnicornHandle& handle, std::uint64_t address, std::uint32_t size);
  void on_observed_access(AccessKind kind, std::uint64_t address, unsigned size);
  void on_interrupt(UnicornHandle& handle, std::uint32_t vector);
  void on_memory(UnicornHandle& handle, AccessKind kind, std::uint64_t address, unsigned size, std::uint64_t value);
  std::uint64_t on_device_read(UnicornHandle& handle, std::uint64_t address, unsigned size);
  void on_device_write(UnicornHandle& handle, std::uint64_t address, unsigned size, std::uint64_t value);
  [[nodiscard]] std::uint64_t device_address(std::uint64_t offset, bool above_ram) const {
    return above_ram ? memory_.base().value + memory_.size() + offset : offset;
  }

 private:
  /// How execution on a stepping handle ended.
  struct Stepped {
    EngineStop stop = EngineStop::Completed;
    std::uint64_t instructions = 0;
  };
  struct CodeStore {
    std::uint64_t frame = 0;
    std::uint32_t offset = 0, size = 0;
  };
  /// A store that reaches into a second page, of which Unicorn reports only the beginning.
  struct CrossingStore {
    std::uint64_t first_frame = 0;
    unsigned size = 0;
    std::uint64_t value = 0;
  };

  // Handles and registers.
  UnicornHandle* handle(HandleUse use);
  void acquire(UnicornHandle& target);
  void prepare(UnicornHandle& target);
  void repair(UnicornHandle& target);
  void read_registers(uc_engine* uc, EngineState& state) const;
  void write_registers(uc_engine* uc, const EngineState& state) const;
  [[nodiscard]] std::uint64_t program_counter() const {
    return owner_ != nullptr ? hook_program_counter(*owner_) : registers_.program_counter;
  }
  static std::uint64_t hook_program_counter(const UnicornHandle& handle);
  [[nodiscard]] std::uint64_t next_page(std::uint64_t page) const {
    return (page + 1) & page_of(architecture_->address_mask);
  }

  // Translated code.
  [[nodiscard]] bool holds_code_frame(std::uint64_t frame) const;
  [[nodiscard]] const std::uint8_t* frame_data(std::uint64_t frame) const {
    return memory_.host_data() + (frame * kFrameBytes - memory_.base().value);
  }
  void cover(UnicornHandle& target, std::uint64_t frame, std::uint32_t offset, std::uint32_t length);
  bool cover_block(UnicornHandle& target, std::uint64_t pc, std::uint32_t length);
  void cover_fetched(UnicornHandle& target, std::uint64_t pc, std::uint32_t length);
  void drop_changed_code(UnicornHandle& target);
  void forget_fast_plans();
  void note_fetch(std::uint64_t page, std::uint64_t frame);
  void report_crossing_store();
  void finish_stores(UnicornHandle& target, bool completed);
  void suspect_everything();

  // Fills.
  /// Two pages at the end of the physical address space that no machine has, for finding refused addresses.
  [[nodiscard]] std::uint64_t probe_page() const { return architecture_->physical_end - 2 * kFrameBytes; }
  [[nodiscard]] std::uint64_t sink_page() const { return architecture_->physical_end - kFrameBytes; }
  [[nodiscard]] Refusal refusal_of_block(const UnicornHandle& handle, std::uint64_t page) const;
  bool note_granted(UnicornHandle& handle, std::uint64_t page, AccessKind kind, std::uint64_t frame);
  [[nodiscard]] unsigned direct_permissions(const UnicornHandle& handle, std::uint64_t page, AccessKind kind,
                                            const FillAnswer& answer, std::uint64_t frame) const;
  FillAnswer ask_client(std::uint64_t page, AccessKind kind);
  bool probe_fill(std::uint64_t address, AccessKind kind, uc_tlb_entry& entry);
  VirtualAddress find_refused_address(UnicornHandle& target);
  void note_probed(UnicornHandle& handle, std::uint64_t address);

  // Stepping.
  Stepped drive(UnicornHandle& target, std::uint64_t count);
  EngineOutcome outcome_of(const Stepped& stepped);
  [[nodiscard]] bool is_repeated(std::span<const std::uint8_t> bytes) const {
    return architecture_->is_repeated != nullptr && architecture_->is_repeated(bytes);
  }
  [[nodiscard]] bool begins_stepped(std::span<const std::uint8_t> bytes) const;
  bool repeats_at(std::uint64_t pc) const;

  // Running.
  std::optional<EngineOutcome> run_blocks();
  std::optional<EngineOutcome> run_part(const Plan& plan);
  std::optional<EngineOutcome> careful_step();
  std::optional<EngineOutcome> step_code_store();
  std::optional<EngineOutcome> leave_page_carefully();
  std::optional<std::uint64_t> fetch_frame(std::uint64_t page);
  void make_plan(UnicornHandle& target, std::uint64_t pc, std::uint32_t size, FastPlan& fast);
  std::vector<std::uint8_t> bytes_of(const Plan& plan) const;
  void take_back_rest_of_block();
  std::optional<std::uint32_t> steps_to_stepped(std::uint64_t pc, std::span<const std::uint8_t> bytes);
  std::optional<std::uint32_t> repeated_at_end(std::uint64_t pc, std::span<const std::uint8_t> bytes,
                                               std::uint32_t instructions);
  bool runs_observed(std::uint64_t pc, std::uint32_t size);
  std::optional<EngineOutcome> run_observed_part(UnicornHandle& target);
  EngineOutcome stopped(EngineStop stop) const { return {stop, budget_ - remaining_, 0, {}, AccessKind::Fetch}; }
  std::optional<EngineOutcome> after_steps(const Stepped& stepped);

  PhysicalMemory& memory_;
  ExecutionMode mode_;
  const UnicornArchitecture* architecture_;  ///< Of mode_.
  EngineClient* client_ = nullptr;
  std::array<std::unique_ptr<UnicornHandle>, 6> handles_;  ///< By mode, then by use.
  UnicornHandle* owner_ = nullptr;                         ///< Holds the register file; null: registers_ does.
  EngineState registers_;  ///< Without an owner all; with one what its mode cannot hold.
  std::uint64_t mark_epoch_ = 0;

  // Of the present call.
  bool observing_ = false;  ///< step_one(): report accesses, grant only what is asked.
  std::uint64_t steps_left_ = 0;
  std::uint64_t flags_before_ = 0;  ///< Before the instruction that is being stepped.
  bool code_stored_ = false;
  std::optional<std::uint32_t> vector_;
  Refusal refusal_ = Refusal::None;
  std::uint64_t refused_page_ = 0;
  AccessKind refused_kind_ = AccessKind::Fetch;
  std::vector<RecordedFill> fills_;
  std::vector<CodeStore> code_stores_;
  std::optional<CrossingStore> crossing_store_;
  unsigned crossing_reads_to_skip_ = 0;
  unsigned crossing_read_rest_ = 0;
  bool probing_ = false;
  std::optional<std::uint64_t> probed_offset_;
  std::optional<std::uint64_t> drop_frame_;  ///< Answers fills while translations of a frame are being dropped.

  // Of run().
  // The order matters to speed: next to repeat_pc_, remaining_ was stored as half of a vector, and each block waited
  // for that of the one before (3.4 ns a block).
  std::uint64_t remaining_ = 0;
  std::uint64_t budget_ = 0;
  std::uint64_t repeat_pc_ = kNowhere;  ///< Where the repeated instruction stands that ends the latest block.
  std::uint64_t generation_ = 0;        ///< In bits 48 to 62: see FastPlan.
  const Plan* current_ = nullptr;       ///< Of the latest block that was begun.
  const Plan* stop_plan_ = nullptr;
  BlockStop block_stop_ = BlockStop::None;
  bool instruction_open_ = false;  ///< run_observed(): begun, and the next one has not been reached.
  std::unordered_map<std::uint64_t, std::uint64_t> fetch_frames_;  ///< Pages granted for fetching since the last flush.
};

}  // namespace shearling
