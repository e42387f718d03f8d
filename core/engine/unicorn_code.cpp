// SPDX-License-Identifier: GPL-3.0-or-later
//
// What of RAM each handle has translated, and how it is dropped when the bytes change.
#include "core/engine/unicorn_engine.h"

#include <algorithm>

namespace shearling {

namespace {

/// More changed frames than this, and all translations go at once.
constexpr std::size_t kManyFrames = 64;

}  // namespace

bool UnicornEngine::holds_code_frame(std::uint64_t frame) const {
  return std::any_of(handles_.begin(), handles_.end(),
                     [&](const auto& each) { return each != nullptr && each->code.holds(frame); });
}

/// The bytes are about to be translated by `target`. A direct handle that may store to that frame without asking has
/// to ask again.
void UnicornEngine::cover(UnicornHandle& target, std::uint64_t frame, std::uint32_t offset, std::uint32_t length) {
  if (!target.code.cover(frame, offset, length, frame_data(frame))) return;
  for (auto& each : handles_) {
    if (each != nullptr && each->writable.count(frame) != 0) each->soft_tlb_stale = true;
  }
}

/// The same before execution of code at a virtual address, as far as its pages have been fetched from.
void UnicornEngine::cover_fetched(UnicornHandle& target, std::uint64_t pc, std::uint32_t length) {
  prepare(target);  // What has changed is dropped first, and with it what the map says of it.
  cover_block(target, pc, length);
}

/// True where every page of it is known.
bool UnicornEngine::cover_block(UnicornHandle& target, std::uint64_t pc, std::uint32_t length) {
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
void UnicornEngine::drop_changed_code(UnicornHandle& target) {
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

}  // namespace shearling
