// SPDX-License-Identifier: GPL-3.0-or-later
//
// Direct runs: whole blocks at Unicorn's own speed, with one hook a block that takes its instructions off the budget.
#include "core/engine/unicorn_engine.h"

#include <algorithm>

namespace shearling {

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
inline void UnicornEngine::on_block(UnicornHandle& handle, std::uint64_t address, std::uint32_t size) {
  if (address == repeat_pc_) ++remaining_;  // Another iteration: the instruction was not complete.
  const FastPlan& fast = handle.fast[fast_index(address)];
  if (fast.tag != (address ^ generation_) || fast.charge > remaining_) [[unlikely]] {
    return on_unusual_block(handle, address, size);
  }
  remaining_ -= fast.charge;
  repeat_pc_ = fast.repeat_pc;
  current_ = fast.plan;
}

void direct_block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  handle.engine->on_block(handle, address, size);
}

/// A block that has no valid plan, or that must not begin.
void UnicornEngine::on_unusual_block(UnicornHandle& handle, std::uint64_t address, std::uint32_t size) {
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
  UnicornHandle& target = *handle(HandleUse::Direct);
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
  UnicornHandle& target = *handle(HandleUse::Stepping);
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
  UnicornHandle& target = *handle(HandleUse::Stepping);
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
  UnicornHandle& target = *handle(HandleUse::Stepping);
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
void UnicornEngine::make_plan(UnicornHandle& target, std::uint64_t pc, std::uint32_t size, FastPlan& fast) {
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

}  // namespace shearling
