// SPDX-License-Identifier: GPL-3.0-or-later
//
// One instruction at a time, with its accesses: step_one(), and the steps that runs need.
#include "core/engine/unicorn_engine.h"

#include <algorithm>

namespace shearling {

void UnicornEngine::on_interrupt(UnicornHandle& handle, std::uint32_t vector) {
  if (handle.stepping() && architecture_->completed_step(handle.uc, vector)) {
    flags_before_ = probing_ ? flags_before_ : read(flags_register());
    if (--steps_left_ != 0 && !code_stored_) return;
  } else {
    vector_ = vector;
  }
  uc_emu_stop(handle.uc);
}

void UnicornEngine::on_memory(UnicornHandle& handle, AccessKind kind, std::uint64_t address, unsigned size,
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
void UnicornEngine::finish_stores(UnicornHandle& target, bool completed) {
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

std::uint64_t UnicornEngine::on_device_read(UnicornHandle& handle, std::uint64_t address, unsigned size) {
  if (!probing_) return client_->device_read({address}, size);
  if (page_of(address) == page_of(probe_page())) note_probed(handle, address);
  return 0;
}

void UnicornEngine::on_device_write(UnicornHandle& handle, std::uint64_t address, unsigned size, std::uint64_t value) {
  if (!probing_) return client_->device_write({address}, size, value);
  if (page_of(address) == page_of(probe_page())) note_probed(handle, address);
}

void UnicornEngine::note_probed(UnicornHandle& handle, std::uint64_t address) {
  if (!probed_offset_) probed_offset_ = address & kPageOffsetMask;
  uc_emu_stop(handle.uc);
}

/// Executes up to `count` instructions on a stepping handle; fewer after a store into code.
UnicornEngine::Stepped UnicornEngine::drive(UnicornHandle& target, std::uint64_t count) {
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
  UnicornHandle& target = *handle(HandleUse::Stepping);
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

}  // namespace shearling
