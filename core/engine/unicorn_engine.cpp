// SPDX-License-Identifier: GPL-3.0-or-later
//
// Unicorn as the CPU of an x86 machine. Up to six Unicorn handles share the machine's RAM: for each of 32-bit and
// 64-bit code one that runs directly, one that steps, and one that runs with every instruction and access observed.
// They are opened when first needed; one of them at a time owns the register file. What was measured with
// Unicorn 2.1.1, and decided from it:
// - Handing the register file to a handle of the same mode (context save and restore, then EFLAGS): 0.15 us. Using one
//   handle for both instead costs all translations: Unicorn drops them whenever it changes between count = 1 and 0.
// - Single steps use EFLAGS.TF, not count = 1. With TF a translation block is one instruction, so nothing is fetched
//   ahead, and code that changes its own next instruction works; with count = 1 whole blocks are translated, the page
//   after the next instruction is asked for, and a store into its own block never gets done. 1.1 us a step with the
//   soft TLB emptied first, 0.3 us without.
// - Hooks never come or go: each handle has its own from the beginning. In the direct handles there is a block hook and
//   nothing else; instructions that must not reach Unicorn are kept out by stopping before their block
//   and stepping up to them, which needs no hook on an address and no new translation.
// - FS_BASE and GS_BASE cannot be written in 32-bit mode, but the MSRs can (and cannot be read back).
// - Unicorn's #XM and the #GP of misaligned SSE operands do not exist; a 16-byte store is two stores of 8.
// - After BT, BTS, BTR and BTC the undefined flags depend on what stands before them in the same translation block, and
//   after CMPXCHG8B and 16B even defined ones are wrong; RCL and RCR of memory that is refused lose the flags. These
//   are always stepped, which has none of this: bit tests leave all flags but CF alone as on real processors, and the
//   flags from before a refused step are put back.
// - The fill hook is told the page, never the byte: the exact address of a refused access is found by executing the
//   instruction once more with that page on a device that notes where it is touched, and taking everything back.
#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "core/base/assert.h"
#include "core/engine/code_map.h"
#include "core/engine/engine.h"
#include "core/engine/unicorn_architecture.h"

#ifdef __SANITIZE_ADDRESS__
// Unicorn 2.1.1 loses 32 bytes with each handle that is closed.
extern "C" const char* __lsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() { return "leak:libunicorn.so"; }  // NOLINT
#endif

namespace shearling {

namespace {

constexpr std::uint64_t kPageOffsetMask = kFrameBytes - 1;
/// Not canonical, so no block begins there.
constexpr std::uint64_t kNowhere = 0x8000000000000001;
constexpr std::uint64_t kNextGeneration = std::uint64_t{1} << 48;
constexpr std::uint64_t kGenerations = ~(std::uint64_t{1} << 63);
constexpr std::uint64_t kNeverAffordable = ~std::uint64_t{0};
constexpr std::size_t kFastPlans = 1024;
/// More changed frames than this, and all translations go at once.
constexpr std::size_t kManyFrames = 64;

constexpr std::uint64_t page_of(std::uint64_t address) { return address / kFrameBytes; }

// ---------------------------------------------------------------------------------------------------- direct code

/// What the client said of a block.
struct Plan {
  std::uint64_t pc = 0;
  std::uint32_t size = 0;
  std::uint32_t instructions = 0;  ///< Up to the stopper.
  bool stopper = false;
  bool stepped = false;                   ///< Ends with an instruction that must be stepped; it is counted.
  std::optional<std::uint32_t> repeated;  ///< Byte offset of a repeated string instruction at its end.
  std::array<std::uint64_t, 2> frames{};  ///< The second counts when the block crosses into another page.
  [[nodiscard]] bool crosses() const { return (pc & kPageOffsetMask) + size > kFrameBytes; }
};

/// The block hook's direct-mapped view of the plans that are valid for the present translations. The tag is the
/// program counter with the present generation in bits 48 to 62, which in addresses of code are all equal to bit 63.
struct FastPlan {
  std::uint64_t tag = kNowhere;
  std::uint64_t charge = kNeverAffordable;  ///< Instructions; never affordable when the block must not begin.
  std::uint64_t repeat_pc = kNowhere;
  const Plan* plan = nullptr;
};
static_assert(sizeof(FastPlan) == 32);

constexpr std::size_t fast_index(std::uint64_t pc) { return static_cast<std::size_t>((pc ^ (pc >> 10)) % kFastPlans); }

struct PlanKey {
  std::uint64_t pc = 0;
  std::array<std::uint64_t, 2> frames{};
  bool operator==(const PlanKey&) const = default;
};
struct PlanKeyHash {
  std::size_t operator()(const PlanKey& key) const {
    return static_cast<std::size_t>((key.pc * 0x9e3779b97f4a7c15) ^ (key.frames[0] * 0xc2b2ae3d27d4eb4f) ^
                                    key.frames[1]);
  }
};

class UnicornEngine;

/// What a handle is for; its hooks follow from it.
enum class HandleUse : std::uint8_t { Direct, Stepping, Observed };

/// What is known, for the present translations, of an instruction that an observed run has met. The tag is as in
/// FastPlan.
struct ObservedInstruction {
  std::uint64_t tag = kNowhere;
  bool runs = false;  ///< Else it must be stepped.
};
constexpr std::size_t kObservedInstructions = 8192;
constexpr std::size_t observed_index(std::uint64_t pc) {
  return static_cast<std::size_t>((pc ^ (pc >> 13)) % kObservedInstructions);
}

/// One Unicorn instance and what is known of the state that it keeps beside the register file.
struct Handle {
  ~Handle() {
    if (clean != nullptr) uc_context_free(clean);
    if (scratch != nullptr) uc_context_free(scratch);
    if (uc != nullptr) uc_close(uc);
  }
  [[nodiscard]] bool stepping() const { return use == HandleUse::Stepping; }

  UnicornEngine* engine = nullptr;
  uc_engine* uc = nullptr;
  const UnicornArchitecture* architecture = nullptr;
  HandleUse use = HandleUse::Direct;
  uc_context* clean = nullptr;  ///< As opened, with no exception pending.
  uc_context* scratch = nullptr;
  bool soft_tlb_stale = true;
  std::unordered_set<std::uint64_t> writable;  ///< Direct: frames that the soft TLB may let it store to.
  CodeMap code;
  std::unordered_set<std::uint64_t> suspect;  ///< Frames of `code` whose bytes may have changed.
  bool drop_all = false;
  std::unordered_map<PlanKey, Plan, PlanKeyHash> plans;
  std::unordered_multimap<std::uint64_t, PlanKey> plans_of_frame;
  std::array<FastPlan, kFastPlans> fast;      ///< Observed: of blocks that are noted as translated; charge is the size.
  std::vector<ObservedInstruction> observed;  ///< Observed: kObservedInstructions, direct mapped.
};

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

// ---------------------------------------------------------------------------------------------------- the engine

class UnicornEngine final : public CpuEngine {
 public:
  UnicornEngine(PhysicalMemory& memory, ExecutionMode mode)
      : memory_(memory), mode_(mode), architecture_(&architecture_of(mode)), registers_(architecture_->initial) {}

  /// False when Unicorn cannot be opened.
  bool open() { return handle(HandleUse::Direct) != nullptr && handle(HandleUse::Stepping) != nullptr; }

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
  bool on_fill(Handle& handle, std::uint64_t address, AccessKind kind, uc_tlb_entry& entry);
  void on_block(Handle& handle, std::uint64_t address, std::uint32_t size);
  [[gnu::noinline]] void on_unusual_block(Handle& handle, std::uint64_t address, std::uint32_t size);
  void on_observed_block(Handle& handle, std::uint64_t address, std::uint32_t size);
  void on_observed_instruction(Handle& handle, std::uint64_t address, std::uint32_t size);
  void on_observed_access(AccessKind kind, std::uint64_t address, unsigned size);
  void on_interrupt(Handle& handle, std::uint32_t vector);
  void on_memory(Handle& handle, AccessKind kind, std::uint64_t address, unsigned size, std::uint64_t value);
  std::uint64_t on_device_read(Handle& handle, std::uint64_t address, unsigned size);
  void on_device_write(Handle& handle, std::uint64_t address, unsigned size, std::uint64_t value);
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
  Handle* handle(HandleUse use);
  std::unique_ptr<Handle> open_handle(HandleUse use);
  bool add_hooks(Handle& opened);
  void acquire(Handle& target);
  void prepare(Handle& target);
  void repair(Handle& target);
  void read_registers(uc_engine* uc, EngineState& state) const;
  void write_registers(uc_engine* uc, const EngineState& state) const;
  [[nodiscard]] std::uint64_t program_counter() const {
    return owner_ != nullptr ? hook_program_counter(*owner_) : registers_.program_counter;
  }
  static std::uint64_t hook_program_counter(const Handle& handle);
  [[nodiscard]] std::uint64_t next_page(std::uint64_t page) const {
    return (page + 1) & page_of(architecture_->address_mask);
  }

  // Translated code.
  [[nodiscard]] bool holds_code_frame(std::uint64_t frame) const;
  [[nodiscard]] const std::uint8_t* frame_data(std::uint64_t frame) const {
    return memory_.host_data() + (frame * kFrameBytes - memory_.base().value);
  }
  void cover(Handle& target, std::uint64_t frame, std::uint32_t offset, std::uint32_t length);
  bool cover_block(Handle& target, std::uint64_t pc, std::uint32_t length);
  void cover_fetched(Handle& target, std::uint64_t pc, std::uint32_t length);
  void drop_changed_code(Handle& target);
  void forget_fast_plans();
  void note_fetch(std::uint64_t page, std::uint64_t frame);
  void report_crossing_store();
  void finish_stores(Handle& target, bool completed);
  void suspect_everything();

  // Stepping.
  Stepped drive(Handle& target, std::uint64_t count);
  EngineOutcome outcome_of(const Stepped& stepped);
  /// Two pages at the end of the physical address space that no machine has, for finding refused addresses.
  [[nodiscard]] std::uint64_t probe_page() const { return architecture_->physical_end - 2 * kFrameBytes; }
  [[nodiscard]] std::uint64_t sink_page() const { return architecture_->physical_end - kFrameBytes; }
  FillAnswer ask_client(std::uint64_t page, AccessKind kind);
  bool probe_fill(std::uint64_t address, AccessKind kind, uc_tlb_entry& entry);
  VirtualAddress find_refused_address(Handle& target);
  void note_probed(Handle& handle, std::uint64_t address);
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
  void make_plan(Handle& target, std::uint64_t pc, std::uint32_t size, FastPlan& fast);
  std::vector<std::uint8_t> bytes_of(const Plan& plan) const;
  void take_back_rest_of_block();
  std::optional<std::uint32_t> steps_to_stepped(std::uint64_t pc, std::span<const std::uint8_t> bytes);
  std::optional<std::uint32_t> repeated_at_end(std::uint64_t pc, std::span<const std::uint8_t> bytes,
                                               std::uint32_t instructions);
  bool runs_observed(std::uint64_t pc, std::uint32_t size);
  std::optional<EngineOutcome> run_observed_part(Handle& target);
  EngineOutcome stopped(EngineStop stop) const { return {stop, budget_ - remaining_, 0, {}, AccessKind::Fetch}; }
  std::optional<EngineOutcome> after_steps(const Stepped& stepped);

  PhysicalMemory& memory_;
  ExecutionMode mode_;
  const UnicornArchitecture* architecture_;  ///< Of mode_.
  EngineClient* client_ = nullptr;
  std::array<std::unique_ptr<Handle>, 6> handles_;  ///< By mode, then by use.
  Handle* owner_ = nullptr;                         ///< Holds the register file; null: registers_ does.
  EngineState registers_;                           ///< Without an owner all; with one what its mode cannot hold.
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
  std::uint64_t generation_ = 0;        ///< In bits 48 to 63: see FastPlan.
  const Plan* current_ = nullptr;       ///< Of the latest block that was begun.
  const Plan* stop_plan_ = nullptr;
  BlockStop block_stop_ = BlockStop::None;
  bool instruction_open_ = false;  ///< run_observed(): begun, and the next one has not been reached.
  std::unordered_map<std::uint64_t, std::uint64_t> fetch_frames_;  ///< Pages granted for fetching since the last flush.
};

// ---------------------------------------------------------------------------------------------------- hooks

bool fill_hook(uc_engine*, std::uint64_t address, uc_mem_type type, uc_tlb_entry* entry, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  const AccessKind kind = type == UC_MEM_FETCH   ? AccessKind::Fetch
                          : type == UC_MEM_WRITE ? AccessKind::Write
                                                 : AccessKind::Read;
  return handle.engine->on_fill(handle, address, kind, *entry);
}
void block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user);
void observed_block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user);
void observed_instruction_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user);
void observed_memory_hook(uc_engine*, uc_mem_type type, std::uint64_t address, int size, std::int64_t, void* user);
void interrupt_hook(uc_engine*, std::uint32_t vector, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  handle.engine->on_interrupt(handle, vector);
}
void memory_hook(uc_engine*, uc_mem_type type, std::uint64_t address, int size, std::int64_t value, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  handle.engine->on_memory(handle, type == UC_MEM_WRITE ? AccessKind::Write : AccessKind::Read, address,
                           static_cast<unsigned>(size), static_cast<std::uint64_t>(value));
}
template <bool kAboveRam>
std::uint64_t device_read_hook(uc_engine*, std::uint64_t offset, unsigned size, void* user);
template <bool kAboveRam>
void device_write_hook(uc_engine*, std::uint64_t offset, unsigned size, std::uint64_t value, void* user);

template <typename Callback>
bool add_hook(Handle& handle, int type, Callback* callback) {
  uc_hook id{};
  return uc_hook_add(handle.uc, &id, type, reinterpret_cast<void*>(callback), &handle, 1, 0) == UC_ERR_OK;
}

// ---------------------------------------------------------------------------------------------------- handles

Handle* UnicornEngine::handle(HandleUse use) {
  auto& slot = handles_[architecture_->first_handle + static_cast<unsigned>(use)];
  if (slot == nullptr) slot = open_handle(use);
  return slot.get();
}

bool UnicornEngine::add_hooks(Handle& opened) {
  if (!add_hook(opened, UC_HOOK_TLB_FILL, &fill_hook) || !add_hook(opened, UC_HOOK_INTR, &interrupt_hook)) return false;
  switch (opened.use) {
    case HandleUse::Direct:
      return add_hook(opened, UC_HOOK_BLOCK, &block_hook);
    case HandleUse::Stepping:
      return add_hook(opened, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, &memory_hook);
    case HandleUse::Observed:
      opened.observed.resize(kObservedInstructions);
      return add_hook(opened, UC_HOOK_BLOCK, &observed_block_hook) &&
             add_hook(opened, UC_HOOK_CODE, &observed_instruction_hook) &&
             add_hook(opened, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, &observed_memory_hook);
  }
  return false;
}

std::unique_ptr<Handle> UnicornEngine::open_handle(HandleUse use) {
  constexpr std::uint32_t kDirectCodeBytes = 64 << 20;
  constexpr std::uint32_t kSteppingCodeBytes = 32 << 20;
  auto opened = std::make_unique<Handle>();
  opened->engine = this;
  opened->architecture = architecture_;
  opened->use = use;
  const UnicornArchitecture& architecture = *architecture_;
  if (uc_open(architecture.arch, architecture.width, &opened->uc) != UC_ERR_OK) return nullptr;
  uc_engine* uc = opened->uc;
  const std::uint64_t base = memory_.base().value;
  const std::uint64_t end = base + memory_.size();
  bool good = uc_ctl_set_cpu_model(uc, architecture.cpu_model) == UC_ERR_OK;
  good = good && uc_ctl_set_tcg_buffer_size(uc, use == HandleUse::Stepping ? kSteppingCodeBytes : kDirectCodeBytes) ==
                     UC_ERR_OK;
  good = good && uc_mem_map_ptr(uc, base, memory_.size(), UC_PROT_ALL, memory_.host_data()) == UC_ERR_OK;
  good = good && uc_mmio_map(uc, end, architecture.physical_end - end, &device_read_hook<true>, opened.get(),
                             &device_write_hook<true>, opened.get()) == UC_ERR_OK;
  if (base != 0) {
    good = good && uc_mmio_map(uc, 0, base, &device_read_hook<false>, opened.get(), &device_write_hook<false>,
                               opened.get()) == UC_ERR_OK;
  }
  good = good && uc_ctl_tlb_mode(uc, UC_TLB_VIRTUAL) == UC_ERR_OK;
  // No address ends a run, not even 0.
  good = good && uc_ctl_exits_enable(uc) == UC_ERR_OK;
  good = good && uc_ctl_set_exits(uc, static_cast<std::uint64_t*>(nullptr), std::size_t{0}) == UC_ERR_OK;
  good = good && add_hooks(*opened);
  good = good && architecture.set_up(uc);
  good =
      good && uc_context_alloc(uc, &opened->clean) == UC_ERR_OK && uc_context_alloc(uc, &opened->scratch) == UC_ERR_OK;
  good = good && uc_context_save(uc, opened->clean) == UC_ERR_OK;
  if (!good) return nullptr;
  return opened;
}

// ---------------------------------------------------------------------------------------------------- register file

void UnicornEngine::read_registers(uc_engine* uc, EngineState& state) const {
  const RegisterList& list = architecture_->registers;
  std::array<std::array<std::uint64_t, 2>, kMostRegisters> values{};
  std::array<void*, kMostRegisters> places{};
  const std::size_t count = list.ids.size();
  for (std::size_t index = 0; index < count; ++index) places[index] = values[index].data();
  uc_reg_read_batch(uc, const_cast<int*>(list.ids.data()), places.data(), static_cast<int>(count));
  for (std::size_t index = 0; index < count; ++index) {
    const auto words = architecture_->words_of(state, list.names[index]);
    std::copy_n(values[index].begin(), words.size(), words.begin());
  }
  architecture_->normalize(state);
}

void UnicornEngine::write_registers(uc_engine* uc, const EngineState& state) const {
  const RegisterList& list = architecture_->registers;
  EngineState copy = state;
  architecture_->normalize(copy);
  std::array<std::array<std::uint64_t, 2>, kMostRegisters> values{};
  std::array<void*, kMostRegisters> places{};
  const std::size_t count = list.ids.size();
  for (std::size_t index = 0; index < count; ++index) {
    const auto words = architecture_->words_of(copy, list.names[index]);
    std::copy(words.begin(), words.end(), values[index].begin());
    places[index] = values[index].data();
  }
  uc_reg_write_batch(uc, const_cast<int*>(list.ids.data()), places.data(), static_cast<int>(count));
  if (architecture_->write_unlisted != nullptr) architecture_->write_unlisted(uc, state);
}

/// Makes `target` the owner of the register file, with the trap flag as it needs it.
void UnicornEngine::acquire(Handle& target) {
  if (owner_ == &target) return;
  if (owner_ != nullptr && owner_->architecture == target.architecture) {
    uc_context_save(owner_->uc, owner_->scratch);
    uc_context_restore(target.uc, owner_->scratch);
  } else {
    write_registers(target.uc, state());
  }
  owner_ = &target;
  architecture_->set_stepping(target.uc, target.stepping());
}

/// Before execution on a handle: registers, code, soft TLB.
void UnicornEngine::prepare(Handle& target) {
  if (mark_epoch_ != memory_.mark_epoch()) {
    mark_epoch_ = memory_.mark_epoch();
    for (auto& each : handles_) {
      if (each != nullptr) each->soft_tlb_stale = true;
    }
  }
  if (target.drop_all || !target.suspect.empty()) drop_changed_code(target);
  if (target.soft_tlb_stale) {
    uc_ctl_flush_tlb(target.uc);
    target.writable.clear();
    target.soft_tlb_stale = false;
  }
  acquire(target);
}

/// After an exception of Unicorn's own: it keeps the exception, and the next one would become a double fault.
void UnicornEngine::repair(Handle& target) {
  const EngineState kept = state();
  uc_context_restore(target.uc, target.clean);
  registers_ = kept;
  owner_ = nullptr;
}

std::uint64_t UnicornEngine::hook_program_counter(const Handle& handle) {
  std::uint64_t value = 0;
  uc_reg_read(handle.uc, handle.architecture->program_counter, &value);
  return value;
}

std::uint64_t UnicornEngine::read(EngineRegister reg) const {
  if (owner_ != nullptr) {
    const RegisterList& list = architecture_->registers;
    const auto found = std::find(list.names.begin(), list.names.end(), reg);
    if (found != list.names.end()) {
      std::array<std::uint64_t, 2> value{};
      uc_reg_read(owner_->uc, list.ids[static_cast<std::size_t>(found - list.names.begin())], value.data());
      if (reg.register_class != RegisterClass::Flags) return value[0];
      return (value[0] & architecture_->carried_flags) | architecture_->constant_flags;
    }
  }
  const auto words = architecture_->words_of(const_cast<EngineState&>(registers_), reg);
  return words.empty() ? 0 : words[0];
}

void UnicornEngine::write(EngineRegister reg, std::uint64_t value) {
  if (owner_ == nullptr) {
    const auto words = architecture_->words_of(registers_, reg);
    if (!words.empty()) words[0] = value;
    architecture_->normalize(registers_);
    return;
  }
  const auto words = architecture_->words_of(registers_, reg);
  if (words.empty()) return;
  const RegisterList& list = architecture_->registers;
  const auto found = std::find(list.names.begin(), list.names.end(), reg);
  if (found == list.names.end()) {
    words[0] = value;
    if (architecture_->write_unlisted != nullptr) architecture_->write_unlisted(owner_->uc, registers_);
    return;
  }
  const int id = list.ids[static_cast<std::size_t>(found - list.names.begin())];
  std::array<std::uint64_t, 2> raw{};
  uc_reg_read(owner_->uc, id, raw.data());
  raw[0] = reg.register_class == RegisterClass::Flags
               ? (value & architecture_->carried_flags) | architecture_->constant_flags |
                     (owner_->stepping() ? architecture_->stepping_flags : 0)
               : value;
  uc_reg_write(owner_->uc, id, raw.data());
}

EngineState UnicornEngine::state() const {
  EngineState result = registers_;
  if (owner_ != nullptr) read_registers(owner_->uc, result);
  return result;
}

void UnicornEngine::set_state(const EngineState& state) {
  SHEARLING_ASSERT(architecture_of(state.mode).arch == architecture_->arch, "an engine executes one architecture");
  mode_ = state.mode;
  architecture_ = &architecture_of(mode_);
  registers_ = state;
  architecture_->normalize(registers_);
  owner_ = nullptr;
}

void UnicornEngine::set_mode(ExecutionMode mode) {
  if (mode == mode_) return;
  EngineState carried = state();
  carried.mode = mode;
  set_state(carried);
  flush_translations();
}

// ---------------------------------------------------------------------------------------------------- translated code

bool UnicornEngine::holds_code_frame(std::uint64_t frame) const {
  return std::any_of(handles_.begin(), handles_.end(),
                     [&](const auto& each) { return each != nullptr && each->code.holds(frame); });
}

/// The bytes are about to be translated by `target`. A direct handle that may store to that frame without asking has
/// to ask again.
void UnicornEngine::cover(Handle& target, std::uint64_t frame, std::uint32_t offset, std::uint32_t length) {
  if (!target.code.cover(frame, offset, length, frame_data(frame))) return;
  for (auto& each : handles_) {
    if (each != nullptr && each->writable.count(frame) != 0) each->soft_tlb_stale = true;
  }
}

/// The same before execution of code at a virtual address, as far as its pages have been fetched from.
void UnicornEngine::cover_fetched(Handle& target, std::uint64_t pc, std::uint32_t length) {
  prepare(target);  // What has changed is dropped first, and with it what the map says of it.
  cover_block(target, pc, length);
}

/// True where every page of it is known.
bool UnicornEngine::cover_block(Handle& target, std::uint64_t pc, std::uint32_t length) {
  const auto offset = static_cast<std::uint32_t>(pc & kPageOffsetMask);
  const std::uint32_t here = std::min(length, static_cast<std::uint32_t>(kFrameBytes) - offset);
  const auto first = fetch_frames_.find(page_of(pc));
  const auto second = here < length ? fetch_frames_.find(next_page(page_of(pc))) : first;
  if (first != fetch_frames_.end()) cover(target, first->second, offset, here);
  if (here < length && second != fetch_frames_.end()) cover(target, second->second, 0, length - here);
  return first != fetch_frames_.end() && second != fetch_frames_.end();
}

/// Drops the translations of suspect frames whose translated bytes have changed. Unicorn drops by virtual address,
/// through the soft TLB: any address will do that is made to stand for the frame.
void UnicornEngine::drop_changed_code(Handle& target) {
  std::vector<std::uint64_t> changed;
  for (const std::uint64_t frame : target.suspect) {
    if (target.code.differs(frame, frame_data(frame))) changed.push_back(frame);
  }
  target.suspect.clear();
  if (target.drop_all || changed.size() > kManyFrames) {
    uc_ctl_flush_tb(target.uc);
    target.code.clear();
    target.plans.clear();
    target.plans_of_frame.clear();
    target.drop_all = false;
    forget_fast_plans();
    return;
  }
  if (changed.empty()) return;
  uc_ctl_flush_tlb(target.uc);
  std::uint64_t address = kFrameBytes;
  for (const std::uint64_t frame : changed) {
    drop_frame_ = frame;
    uc_ctl_remove_cache(target.uc, address, address + kFrameBytes);
    address += kFrameBytes;
    target.code.forget(frame);
    const auto [first, last] = target.plans_of_frame.equal_range(frame);
    for (auto each = first; each != last; ++each) target.plans.erase(each->second);
    target.plans_of_frame.erase(frame);
  }
  drop_frame_.reset();
  target.soft_tlb_stale = true;
  forget_fast_plans();
}

void UnicornEngine::flush_translations() {
  for (auto& each : handles_) {
    if (each != nullptr) each->soft_tlb_stale = true;
  }
  fetch_frames_.clear();
  forget_fast_plans();
}

void UnicornEngine::forget_fast_plans() {
  generation_ = (generation_ + kNextGeneration) & kGenerations;
  if (generation_ != 0) return;
  for (auto& each : handles_) {
    if (each == nullptr) continue;
    each->fast.fill({});
    std::fill(each->observed.begin(), each->observed.end(), ObservedInstruction{});
  }
}

void UnicornEngine::invalidate_code(PhysicalAddress address) {
  const std::uint64_t frame = frame_number(address);
  for (auto& each : handles_) {
    if (each != nullptr && each->code.holds(frame)) each->suspect.insert(frame);
  }
}

void UnicornEngine::invalidate_all_code() {
  for (auto& each : handles_) {
    if (each != nullptr) each->drop_all = true;
  }
}

void UnicornEngine::forget_plans() {
  for (auto& each : handles_) {
    if (each == nullptr) continue;
    each->plans.clear();
    each->plans_of_frame.clear();
  }
  forget_fast_plans();
}

void UnicornEngine::note_fetch(std::uint64_t page, std::uint64_t frame) {
  const auto [place, fresh] = fetch_frames_.try_emplace(page, frame);
  if (fresh || place->second == frame) return;
  place->second = frame;
  forget_fast_plans();
}

// ---------------------------------------------------------------------------------------------------- fills

/// A step asks once for each page and kind of access, however small Unicorn's own pages are.
FillAnswer UnicornEngine::ask_client(std::uint64_t page, AccessKind kind) {
  if (observing_) {
    const auto recorded = std::find_if(
        fills_.begin(), fills_.end(), [&](const RecordedFill& fill) { return fill.page == page && fill.kind == kind; });
    if (recorded != fills_.end()) return {true, {recorded->frame * kFrameBytes}, true, true, true};
  }
  return client_->fill({page * kFrameBytes}, kind);
}

bool UnicornEngine::on_fill(Handle& handle, std::uint64_t address, AccessKind kind, uc_tlb_entry& entry) {
  address &= handle.architecture->address_mask;
  const std::uint64_t offset_in_frame = address & kPageOffsetMask;  // Of Unicorn's own page.
  if (drop_frame_) {
    entry = {*drop_frame_ * kFrameBytes + offset_in_frame, UC_PROT_EXEC};
    return true;
  }
  if (probing_) return probe_fill(address, kind, entry);
  const std::uint64_t page = page_of(address);
  refused_page_ = page;
  refused_kind_ = kind;
  bool ahead = false;
  if (kind == AccessKind::Fetch && !handle.stepping()) {
    // Between two blocks; only here is the program counter exact in a fill.
    const std::uint64_t pc = hook_program_counter(handle);
    if (remaining_ == 0 && pc != repeat_pc_) {
      refusal_ = Refusal::BudgetUsedUp;
      return false;
    }
    ahead = page != page_of(pc);
    if (ahead && fetch_frames_.find(page) == fetch_frames_.end()) {
      refusal_ = Refusal::Ahead;
      return false;
    }
  }
  const FillAnswer answer = ask_client(page, kind);
  const bool permitted = kind == AccessKind::Fetch  ? answer.executable
                         : kind == AccessKind::Read ? answer.readable
                                                    : answer.writable;
  if (!answer.granted || !permitted) {
    refusal_ = ahead ? Refusal::Ahead : Refusal::Client;
    return false;
  }
  const std::uint64_t frame = frame_number(answer.page) & (page_of(architecture_->physical_end) - 1);
  const bool in_ram = memory_.contains({frame * kFrameBytes});
  if (kind == AccessKind::Fetch) {
    if (!in_ram) {
      refusal_ = Refusal::FetchOutsideRam;
      return false;
    }
    note_fetch(page, frame);
  }
  if (kind == AccessKind::Write && in_ram) {
    if (!handle.stepping() && holds_code_frame(frame)) {
      refusal_ = Refusal::CodeStore;
      return false;
    }
    memory_.will_write({frame * kFrameBytes});
  }
  if (observing_) {
    fills_.push_back({page, kind, frame});
    if (kind == AccessKind::Fetch) {
      const std::uint64_t pc = hook_program_counter(handle);
      const auto offset = static_cast<std::uint32_t>(pc & kPageOffsetMask);
      if (page == page_of(pc))
        cover(handle, frame, offset, architecture_->longest_instruction);
      else
        cover(handle, frame, 0, architecture_->longest_instruction);
    }
  }
  unsigned permissions = kind == AccessKind::Fetch  ? UC_PROT_EXEC
                         : kind == AccessKind::Read ? UC_PROT_READ
                                                    : UC_PROT_WRITE;
  if (!observing_) {
    // Grant more than was asked where that tells nobody anything: reading follows from fetching and writing, fetching
    // was granted before, and the frame is marked as changing already.
    if (answer.readable) permissions |= UC_PROT_READ;
    const auto fetched = fetch_frames_.find(page);
    if (answer.executable && fetched != fetch_frames_.end() && fetched->second == frame) permissions |= UC_PROT_EXEC;
    const bool writable_too = kind == AccessKind::Read && answer.writable && handle.writable.count(frame) != 0;
    if (writable_too && !holds_code_frame(frame)) permissions |= UC_PROT_WRITE;
    if (kind == AccessKind::Write && in_ram) handle.writable.insert(frame);
  }
  entry = {frame * kFrameBytes + offset_in_frame, static_cast<uc_prot>(permissions)};
  return true;
}

/// While an instruction is executed once more to find where exactly it was refused: the refused page is a device that
/// notes the first offset, and nothing reaches memory.
bool UnicornEngine::probe_fill(std::uint64_t address, AccessKind kind, uc_tlb_entry& entry) {
  const std::uint64_t page = page_of(address);
  const std::uint64_t offset_in_frame = address & kPageOffsetMask;
  if (page == refused_page_ && kind == refused_kind_) {
    entry = {probe_page() + offset_in_frame, kind == AccessKind::Write ? UC_PROT_WRITE : UC_PROT_READ};
    return true;
  }
  if (kind == AccessKind::Write) {
    entry = {sink_page() + offset_in_frame, UC_PROT_WRITE};
    return true;
  }
  const auto recorded = std::find_if(fills_.begin(), fills_.end(),
                                     [&](const RecordedFill& fill) { return fill.page == page && fill.kind == kind; });
  std::optional<std::uint64_t> frame;
  if (recorded != fills_.end()) frame = recorded->frame;
  if (!frame && kind == AccessKind::Fetch) {
    const auto known = fetch_frames_.find(page);
    if (known != fetch_frames_.end()) frame = known->second;
  }
  if (!frame) {
    const FillAnswer answer = client_->fill({page * kFrameBytes}, kind);
    if (answer.granted && answer.readable) frame = frame_number(answer.page);
  }
  if (!frame || !memory_.contains({*frame * kFrameBytes})) return false;
  entry = {*frame * kFrameBytes + offset_in_frame, kind == AccessKind::Fetch ? UC_PROT_EXEC : UC_PROT_READ};
  return true;
}

VirtualAddress UnicornEngine::find_refused_address(Handle& target) {
  const std::uint64_t pc = program_counter();
  const std::uint64_t base = refused_page_ * kFrameBytes;
  if (refused_kind_ == AccessKind::Fetch) return {page_of(pc) == refused_page_ ? pc : base};
  prepare(target);
  uc_context_save(target.uc, target.scratch);
  uc_ctl_flush_tlb(target.uc);
  probing_ = true;
  probed_offset_.reset();
  steps_left_ = 1;
  uc_emu_start(target.uc, pc, 0, 0, 0);
  probing_ = false;
  uc_context_restore(target.uc, target.scratch);
  target.soft_tlb_stale = true;
  return {base + probed_offset_.value_or(0)};
}

// ---------------------------------------------------------------------------------------------------- accesses

void UnicornEngine::on_interrupt(Handle& handle, std::uint32_t vector) {
  if (handle.stepping() && architecture_->completed_step(handle.uc, vector)) {
    flags_before_ = probing_ ? flags_before_ : read(flags_register());
    if (--steps_left_ != 0 && !code_stored_) return;
  } else {
    vector_ = vector;
  }
  uc_emu_stop(handle.uc);
}

void UnicornEngine::on_memory(Handle& handle, AccessKind kind, std::uint64_t address, unsigned size,
                              std::uint64_t value) {
  if (probing_) {
    // Unaligned accesses reach a device in aligned parts, but are reported whole here first.
    if (page_of(address) == page_of(probe_page())) note_probed(handle, address);
    return;
  }
  if (crossing_store_ && observing_) report_crossing_store();
  const bool store = kind == AccessKind::Write;
  const bool in_ram = memory_.contains({address});
  if (!store && crossing_reads_to_skip_ != 0) {
    // A read that crosses Unicorn's pages comes three times: whole, then its two aligned halves. The whole was reported
    // as far as its page of 4 KB goes; of the second half only the part that was asked for counts.
    if (--crossing_reads_to_skip_ == 0 && crossing_read_rest_ != 0 && in_ram && observing_) {
      client_->memory_access({address}, kind, crossing_read_rest_, memory_.read({address}, crossing_read_rest_));
    }
    return;
  }
  const auto offset = static_cast<std::uint32_t>(address & kPageOffsetMask);
  const auto here = static_cast<unsigned>(std::min<std::uint64_t>(size, kFrameBytes - offset));
  if (store && in_ram && holds_code_frame(page_of(address))) {
    code_stores_.push_back({page_of(address), offset, here});
    code_stored_ = true;
  }
  const std::uint64_t unit = architecture_->translation_unit;
  const bool read_in_parts = !store && (address & (unit - 1)) + size > unit;
  if (here < size && store) {
    crossing_store_ = CrossingStore{page_of(address), size - here, value >> (8 * here)};
    code_stored_ = true;
  } else if (read_in_parts) {
    crossing_reads_to_skip_ = 2;
    crossing_read_rest_ = size - here;
  }
  if (!observing_ || !in_ram) return;
  // Unicorn gives 0 as the value of a read.
  const std::uint64_t mask = here >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * here)) - 1;
  client_->memory_access({address}, kind, here, store ? value & mask : memory_.read({address}, here));
}

/// The second half of a store that crossed pages. The store is complete, so its pages are known.
void UnicornEngine::report_crossing_store() {
  const CrossingStore store = *crossing_store_;
  crossing_store_.reset();
  const auto wrote = [&](std::uint64_t page) {
    return std::find_if(fills_.begin(), fills_.end(),
                        [&](const RecordedFill& fill) { return fill.page == page && fill.kind == AccessKind::Write; });
  };
  for (const RecordedFill& fill : fills_) {
    if (fill.kind != AccessKind::Write || fill.frame != store.first_frame) continue;
    const auto second = wrote(fill.page + 1);
    if (second == fills_.end() || !memory_.contains({second->frame * kFrameBytes})) continue;
    if (holds_code_frame(second->frame)) code_stores_.push_back({second->frame, 0, store.size});
    client_->memory_access({second->frame * kFrameBytes}, AccessKind::Write, store.size, store.value);
    break;
  }
  if (!observing_) suspect_everything();
}

/// After an instruction: lets every handle know of stores into code. The handle that executed a store has dropped what
/// it hit by itself.
void UnicornEngine::finish_stores(Handle& target, bool completed) {
  if (crossing_store_ && completed) report_crossing_store();
  for (const CodeStore& store : code_stores_) {
    for (auto& each : handles_) {
      if (each == nullptr || !each->code.holds(store.frame)) continue;
      if (each.get() == &target && completed)
        each->code.uncover(store.frame, store.offset, store.size);
      else
        each->suspect.insert(store.frame);
    }
  }
  code_stores_.clear();
  crossing_store_.reset();
  crossing_reads_to_skip_ = 0;
}

/// Where the second page of a store is not known any more: the soft TLB held it.
void UnicornEngine::suspect_everything() {
  for (auto& each : handles_) {
    if (each != nullptr) each->code.for_each_frame([&](std::uint64_t frame) { each->suspect.insert(frame); });
  }
}

std::uint64_t UnicornEngine::on_device_read(Handle& handle, std::uint64_t address, unsigned size) {
  if (!probing_) return client_->device_read({address}, size);
  if (page_of(address) == page_of(probe_page())) note_probed(handle, address);
  return 0;
}

void UnicornEngine::on_device_write(Handle& handle, std::uint64_t address, unsigned size, std::uint64_t value) {
  if (!probing_) return client_->device_write({address}, size, value);
  if (page_of(address) == page_of(probe_page())) note_probed(handle, address);
}

void UnicornEngine::note_probed(Handle& handle, std::uint64_t address) {
  if (!probed_offset_) probed_offset_ = address & kPageOffsetMask;
  uc_emu_stop(handle.uc);
}

template <bool kAboveRam>
std::uint64_t device_read_hook(uc_engine*, std::uint64_t offset, unsigned size, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  return handle.engine->on_device_read(handle, handle.engine->device_address(offset, kAboveRam), size);
}
template <bool kAboveRam>
void device_write_hook(uc_engine*, std::uint64_t offset, unsigned size, std::uint64_t value, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  handle.engine->on_device_write(handle, handle.engine->device_address(offset, kAboveRam), size, value);
}

// ---------------------------------------------------------------------------------------------------- stepping

/// Executes up to `count` instructions on a stepping handle; fewer after a store into code.
UnicornEngine::Stepped UnicornEngine::drive(Handle& target, std::uint64_t count) {
  prepare(target);
  steps_left_ = count;
  code_stored_ = false;
  vector_.reset();
  refusal_ = Refusal::None;
  flags_before_ = read(flags_register());
  const uc_err error = uc_emu_start(target.uc, program_counter(), 0, 0, 0);
  Stepped result;
  result.instructions = count - steps_left_;
  if (vector_ && architecture_->has_native_exceptions)
    result.stop = EngineStop::NativeException;
  else if (error != UC_ERR_OK && refusal_ == Refusal::Client)
    result.stop = EngineStop::FillRefused;
  else if (vector_ || error != UC_ERR_OK || result.instructions == 0)
    result.stop = EngineStop::InvalidOpcode;
  if (result.stop == EngineStop::FillRefused) write(flags_register(), flags_before_);
  finish_stores(target, result.stop == EngineStop::Completed);
  if (result.stop == EngineStop::NativeException || result.stop == EngineStop::InvalidOpcode) repair(target);
  return result;
}

/// Fills in what a stop on a stepping handle has to say.
EngineOutcome UnicornEngine::outcome_of(const Stepped& stepped) {
  EngineOutcome outcome;
  outcome.stop = stepped.stop;
  outcome.instructions = stepped.instructions;
  if (stepped.stop == EngineStop::NativeException) outcome.exception = vector_.value_or(0);
  if (stepped.stop == EngineStop::FillRefused) {
    outcome.refused_kind = refused_kind_;
    outcome.refused_address = find_refused_address(*handle(HandleUse::Stepping));
  }
  return outcome;
}

bool UnicornEngine::repeats_at(std::uint64_t pc) const {
  const auto found = fetch_frames_.find(page_of(pc));
  if (found == fetch_frames_.end()) return false;
  const std::uint64_t offset = pc & kPageOffsetMask;
  if (architecture_->is_repeated == nullptr) return false;
  std::vector<std::uint8_t> bytes(architecture_->longest_instruction);
  const std::size_t here = std::min<std::size_t>(bytes.size(), kFrameBytes - offset);
  std::copy_n(frame_data(found->second) + offset, here, bytes.begin());
  const auto next = fetch_frames_.find(next_page(page_of(pc)));
  if (here < bytes.size() && next != fetch_frames_.end()) {
    std::copy_n(frame_data(next->second), bytes.size() - here, bytes.begin() + static_cast<std::ptrdiff_t>(here));
  }
  return architecture_->is_repeated(bytes);
}

EngineOutcome UnicornEngine::step_one() {
  Handle& target = *handle(HandleUse::Stepping);
  const std::uint64_t before = program_counter();
  fills_.clear();
  target.soft_tlb_stale = true;
  observing_ = true;
  const Stepped stepped = drive(target, 1);
  observing_ = false;
  target.soft_tlb_stale = true;  // What was granted held for this step.
  EngineOutcome outcome = outcome_of(stepped);
  if (stepped.stop == EngineStop::Completed && program_counter() == before && repeats_at(before))
    outcome.instructions = 0;
  return outcome;
}

// ---------------------------------------------------------------------------------------------------- running

EngineOutcome UnicornEngine::run(std::uint64_t budget) {
  budget_ = budget;
  remaining_ = budget;
  fills_.clear();
  while (remaining_ != 0) {
    if (const auto end = run_blocks()) return *end;
  }
  return stopped(EngineStop::Completed);
}

/// The one thing that costs anything in a direct run: everything rare is kept out of line.
inline void UnicornEngine::on_block(Handle& handle, std::uint64_t address, std::uint32_t size) {
  if (address == repeat_pc_) ++remaining_;  // Another iteration: the instruction was not complete.
  const FastPlan& fast = handle.fast[fast_index(address)];
  if (fast.tag != (address ^ generation_) || fast.charge > remaining_) [[unlikely]] {
    return on_unusual_block(handle, address, size);
  }
  remaining_ -= fast.charge;
  repeat_pc_ = fast.repeat_pc;
  current_ = fast.plan;
}

void block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  handle.engine->on_block(handle, address, size);
}

/// A block that has no valid plan, or that must not begin.
void UnicornEngine::on_unusual_block(Handle& handle, std::uint64_t address, std::uint32_t size) {
  FastPlan& fast = handle.fast[fast_index(address)];
  if (fast.tag != (address ^ generation_) || fast.plan == nullptr) make_plan(handle, address, size, fast);
  // The client flushed within a fill, or a frame could be stored to directly until now whose code is about to run.
  if (handle.soft_tlb_stale) block_stop_ = BlockStop::Flush;
  if (block_stop_ == BlockStop::None && fast.charge <= remaining_) {
    remaining_ -= fast.charge;
    repeat_pc_ = fast.repeat_pc;
    current_ = fast.plan;
    return;
  }
  stop_plan_ = fast.plan;
  if (block_stop_ == BlockStop::None) block_stop_ = BlockStop::Plan;
  repeat_pc_ = kNowhere;
  uc_emu_stop(handle.uc);
}

/// Runs directly until something needs attention. Nothing means: go on.
std::optional<EngineOutcome> UnicornEngine::run_blocks() {
  Handle& target = *handle(HandleUse::Direct);
  prepare(target);
  repeat_pc_ = kNowhere;
  current_ = nullptr;
  block_stop_ = BlockStop::None;
  refusal_ = Refusal::None;
  vector_.reset();
  const uc_err error = uc_emu_start(target.uc, program_counter(), 0, 0, 0);
  if (error == UC_ERR_OK && !vector_) {
    if (remaining_ == 0 || block_stop_ == BlockStop::Flush) return std::nullopt;
    if (block_stop_ == BlockStop::Plan) return run_part(*stop_plan_);
    if (block_stop_ == BlockStop::Careful) return careful_step();
  }
  const bool between_blocks = refusal_ != Refusal::None && refused_kind_ == AccessKind::Fetch;
  if (!between_blocks)
    take_back_rest_of_block();
  else if (program_counter() == repeat_pc_)
    ++remaining_;
  if (vector_ || refusal_ == Refusal::None || refusal_ == Refusal::FetchOutsideRam) {
    const bool native = vector_ && architecture_->has_native_exceptions;
    EngineOutcome outcome = stopped(native ? EngineStop::NativeException : EngineStop::InvalidOpcode);
    if (native) outcome.exception = *vector_;
    repair(target);
    return outcome;
  }
  if (refusal_ == Refusal::BudgetUsedUp) return std::nullopt;
  if (refusal_ == Refusal::Ahead) return leave_page_carefully();
  if (refusal_ == Refusal::CodeStore) return step_code_store();
  EngineOutcome outcome = stopped(EngineStop::FillRefused);
  outcome.refused_kind = refused_kind_;
  outcome.refused_address = find_refused_address(*handle(HandleUse::Stepping));
  return outcome;
}

/// A direct store to a frame that holds translated code: the stepping handle can, and sees to its own translations.
/// The client granted the write; it need not know.
std::optional<EngineOutcome> UnicornEngine::step_code_store() {
  Handle& target = *handle(HandleUse::Stepping);
  const std::uint64_t pc = program_counter();
  cover_fetched(target, pc, architecture_->longest_instruction);
  Stepped stepped = drive(target, 1);
  if (stepped.stop == EngineStop::Completed && program_counter() == pc && repeats_at(pc)) stepped.instructions = 0;
  return after_steps(stepped);
}

/// After a stop in the middle of a block: only what stands before the program counter is complete.
void UnicornEngine::take_back_rest_of_block() {
  if (current_ == nullptr) return;
  const std::uint64_t offset = program_counter() - current_->pc;
  if (offset >= current_->size) return;
  const auto bytes = bytes_of(*current_);
  remaining_ +=
      current_->instructions - client_->instructions_before({current_->pc}, bytes, static_cast<std::uint32_t>(offset));
}

/// The part of a block before its stopper, or as far as the budget goes, by steps.
std::optional<EngineOutcome> UnicornEngine::run_part(const Plan& plan) {
  const std::uint64_t count = std::min<std::uint64_t>(remaining_, plan.instructions);
  if (count == 0) return plan.stopper ? std::optional(stopped(EngineStop::Stopper)) : careful_step();
  Handle& target = *handle(HandleUse::Stepping);
  cover_fetched(target, plan.pc, plan.size);
  const bool reaches_stopper = plan.stopper && count == plan.instructions;
  const Stepped stepped = drive(target, count);
  if (auto end = after_steps(stepped)) return end;
  if (reaches_stopper && stepped.instructions == count && remaining_ != 0) return stopped(EngineStop::Stopper);
  return std::nullopt;
}

std::optional<EngineOutcome> UnicornEngine::after_steps(const Stepped& stepped) {
  remaining_ -= stepped.instructions;
  if (stepped.stop == EngineStop::Completed) return std::nullopt;
  EngineOutcome outcome = outcome_of(stepped);
  outcome.instructions = budget_ - remaining_;
  return outcome;
}

/// The frame from which a page is fetched, asking the client where it has not been asked since the last flush.
std::optional<std::uint64_t> UnicornEngine::fetch_frame(std::uint64_t page) {
  const auto known = fetch_frames_.find(page);
  if (known != fetch_frames_.end()) return known->second;
  refused_page_ = page;
  refused_kind_ = AccessKind::Fetch;
  const FillAnswer answer = client_->fill({page * kFrameBytes}, AccessKind::Fetch);
  refusal_ = answer.granted && answer.executable ? Refusal::FetchOutsideRam : Refusal::Client;
  if (refusal_ == Refusal::Client || !memory_.contains(answer.page)) return std::nullopt;
  note_fetch(page, frame_number(answer.page));
  return frame_number(answer.page);
}

/// One instruction, fetched exactly as far as it goes and checked for being a stopper.
std::optional<EngineOutcome> UnicornEngine::careful_step() {
  const std::uint64_t pc = program_counter();
  const auto offset = static_cast<std::uint32_t>(pc & kPageOffsetMask);
  const auto refused = [&] {
    EngineOutcome outcome = stopped(refusal_ == Refusal::Client ? EngineStop::FillRefused : EngineStop::InvalidOpcode);
    outcome.refused_address = find_refused_address(*handle(HandleUse::Stepping));
    return outcome;
  };
  const auto first = fetch_frame(page_of(pc));
  if (!first) return refused();
  Handle& target = *handle(HandleUse::Stepping);
  const std::uint32_t longest = architecture_->longest_instruction;
  const std::uint32_t here = std::min(longest, static_cast<std::uint32_t>(kFrameBytes) - offset);
  std::vector<std::uint8_t> bytes(frame_data(*first) + offset, frame_data(*first) + offset + here);
  if (here < longest && client_->instructions_before({pc}, bytes, 1) == 0) {
    const auto second = fetch_frame(next_page(page_of(pc)));
    if (!second) return refused();
    bytes.insert(bytes.end(), frame_data(*second), frame_data(*second) + (longest - here));
  }
  cover_fetched(target, pc, architecture_->longest_instruction);
  if (client_->plan_block({pc}, bytes).stopper == std::uint32_t{0}) return stopped(EngineStop::Stopper);
  Stepped stepped = drive(target, 1);
  if (stepped.stop == EngineStop::Completed && program_counter() == pc && is_repeated(bytes)) {
    stepped.instructions = 0;
  }
  return after_steps(stepped);
}

/// A block could not be translated because it runs on into a page that has not been fetched from: goes instruction by
/// instruction until that page is really reached, or the code goes elsewhere.
std::optional<EngineOutcome> UnicornEngine::leave_page_carefully() {
  const std::uint64_t page = page_of(program_counter());
  while (remaining_ != 0) {
    const std::uint64_t before = program_counter();
    if (auto end = careful_step()) return end;
    if (page_of(program_counter()) != page || program_counter() < before) break;
  }
  return std::nullopt;
}

std::vector<std::uint8_t> UnicornEngine::bytes_of(const Plan& plan) const {
  const std::uint64_t offset = plan.pc & kPageOffsetMask;
  const std::size_t here = std::min<std::size_t>(plan.size, kFrameBytes - offset);
  const std::uint8_t* first = frame_data(plan.frames[0]) + offset;
  std::vector<std::uint8_t> bytes(first, first + here);
  if (plan.crosses())
    bytes.insert(bytes.end(), frame_data(plan.frames[1]), frame_data(plan.frames[1]) + (plan.size - here));
  return bytes;
}

/// Fills a slot of the fast table for a block that is about to begin. Sets block_stop_ where it must not begin yet.
void UnicornEngine::make_plan(Handle& target, std::uint64_t pc, std::uint32_t size, FastPlan& fast) {
  fast = FastPlan{};
  Plan made;
  made.pc = pc;
  made.size = size;
  const auto first = fetch_frames_.find(page_of(pc));
  const auto second = made.crosses() ? fetch_frames_.find(next_page(page_of(pc))) : first;
  if (first == fetch_frames_.end() || second == fetch_frames_.end()) {
    block_stop_ = BlockStop::Careful;
    return;
  }
  made.frames = {first->second, second->second};
  const PlanKey key{pc, made.frames};
  const auto known = target.plans.find(key);
  const bool valid = known != target.plans.end() && known->second.size == size;
  if (!valid) {
    const auto bytes = bytes_of(made);
    const EngineClient::BlockPlan answer = client_->plan_block({pc}, bytes);
    made.instructions = answer.instructions;
    made.stopper = answer.stopper.has_value();
    const std::uint32_t end = answer.stopper.value_or(size);
    if (const auto steps = steps_to_stepped(pc, std::span(bytes).first(std::min(end, size)))) {
      made.instructions = *steps;
      made.stopper = false;
      made.stepped = true;
    }
    if (!made.stopper && !made.stepped) made.repeated = repeated_at_end(pc, bytes, made.instructions);
    const auto offset = static_cast<std::uint32_t>(pc & kPageOffsetMask);
    cover(target, made.frames[0], offset, size);
    if (made.crosses()) cover(target, made.frames[1], 0, offset + size - static_cast<std::uint32_t>(kFrameBytes));
    if (known == target.plans.end()) {
      target.plans_of_frame.emplace(made.frames[0], key);
      if (made.crosses()) target.plans_of_frame.emplace(made.frames[1], key);
    }
  }
  const Plan& plan = valid ? known->second : (target.plans[key] = made);
  fast.tag = pc ^ generation_;
  fast.plan = &plan;
  if (!plan.stopper && !plan.stepped && plan.instructions != 0) fast.charge = plan.instructions;
  if (plan.repeated) fast.repeat_pc = pc + *plan.repeated;
}

// ---------------------------------------------------------------------------------------------------- observed running

void observed_block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  handle.engine->on_observed_block(handle, address, size);
}
void observed_instruction_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  handle.engine->on_observed_instruction(handle, address, size);
}
void observed_memory_hook(uc_engine*, uc_mem_type type, std::uint64_t address, int size, std::int64_t, void* user) {
  auto& handle = *static_cast<Handle*>(user);
  handle.engine->on_observed_access(type == UC_MEM_WRITE ? AccessKind::Write : AccessKind::Read, address,
                                    static_cast<unsigned>(size));
}

EngineOutcome UnicornEngine::run_observed(std::uint64_t budget) {
  budget_ = budget;
  remaining_ = budget;
  fills_.clear();
  Handle& target = *handle(HandleUse::Observed);
  while (remaining_ != 0) {
    if (const auto end = run_observed_part(target)) return *end;
  }
  return stopped(EngineStop::Completed);
}

/// Runs until something needs attention. Nothing means: go on.
std::optional<EngineOutcome> UnicornEngine::run_observed_part(Handle& target) {
  prepare(target);
  repeat_pc_ = kNowhere;
  block_stop_ = BlockStop::None;
  refusal_ = Refusal::None;
  vector_.reset();
  instruction_open_ = false;
  crossing_reads_to_skip_ = 0;
  const uc_err error = uc_emu_start(target.uc, program_counter(), 0, 0, 0);
  const bool refused = error != UC_ERR_OK && refusal_ != Refusal::None;
  // A block is fetched when the instruction before it is complete.
  if (refused && refused_kind_ == AccessKind::Fetch) instruction_open_ = false;
  if (block_stop_ == BlockStop::Flush || refusal_ == Refusal::BudgetUsedUp) return std::nullopt;
  if (vector_ || (error != UC_ERR_OK && !refused)) repair(target);
  if (!instruction_open_) return remaining_ == 0 ? std::nullopt : std::optional(stopped(EngineStop::Stopper));
  ++remaining_;
  return stopped(EngineStop::Unfinished);
}

/// Before the first instruction of a block. Its bytes are noted as translated the first time.
void UnicornEngine::on_observed_block(Handle& handle, std::uint64_t address, std::uint32_t size) {
  instruction_open_ = false;
  FastPlan& known = handle.fast[fast_index(address)];
  if (known.tag != (address ^ generation_) || known.charge != size) {
    if (cover_block(handle, address, size)) known = {.tag = address ^ generation_, .charge = size};
  }
  // The client flushed within a fill, or a frame could be stored to until now whose code is about to run.
  if (!handle.soft_tlb_stale) return;
  block_stop_ = BlockStop::Flush;
  uc_emu_stop(handle.uc);
}

void UnicornEngine::on_observed_instruction(Handle& handle, std::uint64_t address, std::uint32_t size) {
  if (block_stop_ != BlockStop::None) return;
  instruction_open_ = false;
  ObservedInstruction& known = handle.observed[observed_index(address)];
  if (known.tag != (address ^ generation_))
    known = {.tag = address ^ generation_, .runs = runs_observed(address, size)};
  if (remaining_ != 0 && known.runs && client_->begin_instruction({address}, size)) {
    instruction_open_ = true;
    --remaining_;
    return;
  }
  block_stop_ = BlockStop::Plan;
  uc_emu_stop(handle.uc);
}

/// Whether an instruction may run here at all: known, within one page, none of those that are always stepped.
bool UnicornEngine::runs_observed(std::uint64_t pc, std::uint32_t size) {
  const auto offset = static_cast<std::uint32_t>(pc & kPageOffsetMask);
  const auto frame = fetch_frames_.find(page_of(pc));
  if (size == 0 || size > architecture_->longest_instruction || offset + size > kFrameBytes ||
      frame == fetch_frames_.end())
    return false;
  const std::span bytes(frame_data(frame->second) + offset, size);
  return !begins_stepped(bytes) && !is_repeated(bytes) && client_->observable({pc}, bytes);
}

void UnicornEngine::on_observed_access(AccessKind kind, std::uint64_t address, unsigned size) {
  if (crossing_reads_to_skip_ != 0) {  // See on_memory().
    --crossing_reads_to_skip_;
    return;
  }
  const std::uint64_t unit = architecture_->translation_unit;
  if (kind == AccessKind::Read && (address & (unit - 1)) + size > unit) crossing_reads_to_skip_ = 2;
  client_->observed_access({address}, kind, size);
}

/// Whether the one instruction must always be stepped.
bool UnicornEngine::begins_stepped(std::span<const std::uint8_t> bytes) const {
  if (architecture_->is_always_stepped == nullptr) return false;
  std::size_t at = 0;
  while (at + 1 < bytes.size() && architecture_->is_prefix(bytes[at])) ++at;
  return at + 1 < bytes.size() && architecture_->is_always_stepped(bytes[at], bytes[at + 1]);
}

/// Number of instructions up to and with the first one that must be stepped, if there is one.
std::optional<std::uint32_t> UnicornEngine::steps_to_stepped(std::uint64_t pc, std::span<const std::uint8_t> bytes) {
  if (architecture_->is_always_stepped == nullptr) return std::nullopt;
  for (std::uint32_t at = 0; at + 1 < bytes.size(); ++at) {
    if (!architecture_->is_always_stepped(bytes[at], bytes[at + 1])) continue;
    // The two bytes may also lie within an operand. They are an opcode when nothing but prefixes stands between them
    // and the beginning of an instruction.
    const std::uint32_t begun = client_->instructions_before({pc}, bytes, at + 1);
    std::uint32_t start = at;
    while (start != 0 && client_->instructions_before({pc}, bytes, start) == begun) --start;
    const auto prefixes = bytes.subspan(start, at - start);
    if (begun != 0 && std::all_of(prefixes.begin(), prefixes.end(), architecture_->is_prefix)) return begun;
  }
  return std::nullopt;
}

/// Byte offset of the block's last instruction if that is a repeated string instruction.
std::optional<std::uint32_t> UnicornEngine::repeated_at_end(std::uint64_t pc, std::span<const std::uint8_t> bytes,
                                                            std::uint32_t instructions) {
  if (instructions == 0 || architecture_->is_repeated == nullptr) return std::nullopt;
  const auto size = static_cast<std::uint32_t>(bytes.size());
  for (std::uint32_t length = 2; length <= std::min(size, architecture_->longest_instruction); ++length) {
    const std::uint32_t offset = size - length;
    if (!is_repeated(bytes.subspan(offset))) continue;
    if (client_->instructions_before({pc}, bytes, offset) == instructions - 1) return offset;
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<CpuEngine> make_unicorn_engine(PhysicalMemory& memory, ExecutionMode initial_mode) {
  auto engine = std::make_unique<UnicornEngine>(memory, initial_mode);
  if (!engine->open()) return nullptr;
  return engine;
}

}  // namespace shearling
