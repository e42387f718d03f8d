// SPDX-License-Identifier: GPL-3.0-or-later
//
// Unicorn's soft-TLB misses: what is asked of the client, what is granted beyond the question, and how the exact
// address of a refused access is found.
#include "core/engine/unicorn_engine.h"

#include <algorithm>

namespace shearling {

namespace {

unsigned permission_of(AccessKind kind) {
  return kind == AccessKind::Fetch ? UC_PROT_EXEC : kind == AccessKind::Read ? UC_PROT_READ : UC_PROT_WRITE;
}

}  // namespace

/// A step asks once for each page and kind of access, however small Unicorn's own pages are.
FillAnswer UnicornEngine::ask_client(std::uint64_t page, AccessKind kind) {
  if (observing_) {
    const auto recorded = std::find_if(
        fills_.begin(), fills_.end(), [&](const RecordedFill& fill) { return fill.page == page && fill.kind == kind; });
    if (recorded != fills_.end()) return {true, {recorded->frame * kFrameBytes}, true, true, true};
  }
  return client_->fill({page * kFrameBytes}, kind);
}

bool UnicornEngine::on_fill(UnicornHandle& handle, std::uint64_t address, AccessKind kind, uc_tlb_entry& entry) {
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
  const bool block = kind == AccessKind::Fetch && !handle.stepping();
  const Refusal early = block ? refusal_of_block(handle, page) : Refusal::None;
  if (early == Refusal::BudgetUsedUp || (early == Refusal::Ahead && fetch_frames_.count(page) == 0)) {
    refusal_ = early;
    return false;
  }
  const FillAnswer answer = ask_client(page, kind);
  const bool permitted = kind == AccessKind::Fetch  ? answer.executable
                         : kind == AccessKind::Read ? answer.readable
                                                    : answer.writable;
  if (!answer.granted || !permitted) {
    refusal_ = early == Refusal::Ahead ? Refusal::Ahead : Refusal::Client;
    return false;
  }
  const std::uint64_t frame = frame_number(answer.page) & (page_of(architecture_->physical_end) - 1);
  if (!note_granted(handle, page, kind, frame)) return false;
  const unsigned permissions = observing_ ? permission_of(kind) : direct_permissions(handle, page, kind, answer, frame);
  entry = {frame * kFrameBytes + offset_in_frame, static_cast<uc_prot>(permissions)};
  return true;
}

/// A block that is fetched is not to run, or runs on into a page that may never be reached. This is between two blocks;
/// only here is the program counter exact in a fill.
Refusal UnicornEngine::refusal_of_block(const UnicornHandle& handle, std::uint64_t page) const {
  const std::uint64_t pc = hook_program_counter(handle);
  if (remaining_ == 0 && pc != repeat_pc_) return Refusal::BudgetUsedUp;
  return page != page_of(pc) ? Refusal::Ahead : Refusal::None;
}

/// What a granted fill means for translated code, snapshots and the present step. False: refused all the same.
bool UnicornEngine::note_granted(UnicornHandle& handle, std::uint64_t page, AccessKind kind, std::uint64_t frame) {
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
    if (!observing_) handle.writable.insert(frame);
  }
  if (!observing_) return true;
  fills_.push_back({page, kind, frame});
  if (kind != AccessKind::Fetch) return true;
  const std::uint64_t pc = hook_program_counter(handle);
  const auto offset = static_cast<std::uint32_t>(pc & kPageOffsetMask);
  cover(handle, frame, page == page_of(pc) ? offset : 0, architecture_->longest_instruction);
  return true;
}

/// Grants more than was asked where that tells nobody anything: reading follows from fetching and writing, fetching was
/// granted before, and the frame is marked as changing already.
unsigned UnicornEngine::direct_permissions(const UnicornHandle& handle, std::uint64_t page, AccessKind kind,
                                           const FillAnswer& answer, std::uint64_t frame) const {
  unsigned permissions = permission_of(kind);
  if (answer.readable) permissions |= UC_PROT_READ;
  const auto fetched = fetch_frames_.find(page);
  if (answer.executable && fetched != fetch_frames_.end() && fetched->second == frame) permissions |= UC_PROT_EXEC;
  const bool writable_too = kind == AccessKind::Read && answer.writable && handle.writable.count(frame) != 0;
  if (writable_too && !holds_code_frame(frame)) permissions |= UC_PROT_WRITE;
  return permissions;
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

VirtualAddress UnicornEngine::find_refused_address(UnicornHandle& target) {
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

}  // namespace shearling
