// SPDX-License-Identifier: GPL-3.0-or-later
//
// Observed runs: the client is told of each instruction and access, without a step for each.
#include "core/engine/unicorn_engine.h"

#include <algorithm>

namespace shearling {

EngineOutcome UnicornEngine::run_observed(std::uint64_t budget) {
  budget_ = budget;
  remaining_ = budget;
  fills_.clear();
  UnicornHandle& target = *handle(HandleUse::Observed);
  while (remaining_ != 0) {
    if (const auto end = run_observed_part(target)) return *end;
  }
  return stopped(EngineStop::Completed);
}

/// Runs until something needs attention. Nothing means: go on.
std::optional<EngineOutcome> UnicornEngine::run_observed_part(UnicornHandle& target) {
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
void UnicornEngine::on_observed_block(UnicornHandle& handle, std::uint64_t address, std::uint32_t size) {
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

void UnicornEngine::on_observed_instruction(UnicornHandle& handle, std::uint64_t address, std::uint32_t size) {
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

}  // namespace shearling
