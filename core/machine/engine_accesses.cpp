// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/engine_accesses.h"

#include <algorithm>

#include "core/base/assert.h"

namespace shearling {
namespace {

constexpr std::uint64_t kPageOffset = kFrameBytes - 1;

constexpr std::uint64_t page_number(VirtualAddress address) { return address.value / kFrameBytes; }
constexpr PhysicalAddress frame_of(PhysicalAddress address) { return {address.value & ~kPageOffset}; }

}  // namespace

EngineAccesses::EngineAccesses(const MachineContext& context, AccessTranslator& translator)
    : context_(context), translator_(translator) {}

void EngineAccesses::attach() {
  context_.engine.set_client(this);
  soft_tlb_stale_ = true;
}

void EngineAccesses::detach() { context_.engine.set_client(nullptr); }

void EngineAccesses::reset() {
  soft_tlb_stale_ = true;
  fetched_pages_ = 0;
  forget_accesses();
}

// --- one instruction -------------------------------------------------------------------------------------------------

void EngineAccesses::begin_instruction() {
  fetched_pages_ = 0;
  forget_accesses();
}

void EngineAccesses::resume_instruction() { step_accesses_.clear(); }

EngineOutcome EngineAccesses::step_one() { return context_.engine.step_one(); }

// The first access to a page was looked up when the engine asked for the page; each further one is a lookup of its own.
void EngineAccesses::commit_accesses() {
  const bool models = context_.memory_path.models_on();
  const bool events = context_.events.wants_micro_events();
  if (!models && !events) return;
  for (const StepAccess& access : step_accesses_) {
    StepPage& page = step_pages_[access.page];
    if (page.counted && models) static_cast<void>(translator_.translate_access(access.virtual_address, access.kind));
    page.counted = true;
    if (events) {
      context_.events.micro(MemoryAccess{.access = access.kind,
                                         .size = access.size,
                                         .virtual_address = access.virtual_address,
                                         .physical_address = access.physical_address,
                                         .value = access.value,
                                         .address_space = translator_.address_space()});
    }
    context_.memory_path.program_access(access.virtual_address, access.physical_address, access.size, access.kind,
                                        page.translation.page_size);
  }
  step_accesses_.clear();
}

FillAnswer EngineAccesses::fill(VirtualAddress address, AccessKind kind) {
  if (!running_) return fill_step(address, kind);
  const FillAnswer answer = fill_direct(address, kind);
  return observed_ && answer.granted ? note_grant(address, kind, answer) : answer;
}

FillAnswer EngineAccesses::fill_step(VirtualAddress address, AccessKind kind) {
  if (kind == AccessKind::Fetch) {
    for (unsigned i = 0; i < fetched_pages_; ++i) {
      if (fetched_[i].page != page_number(address)) continue;
      return {.granted = true, .page = frame_of(fetched_[i].translation.physical), .executable = true};
    }
    return {};
  }
  const StepPage* page = step_page(address, kind);
  if (page == nullptr) return {};
  const PhysicalAddress frame = frame_of(page->translation.physical);
  if (kind == AccessKind::Write && context_.memory.contains(frame)) {
    context_.memory.will_write(frame);
    drop_code(frame);
  }
  return {.granted = true, .page = frame, .readable = true, .writable = kind == AccessKind::Write};
}

/// The page as this step has it; looked up, which is remembered as the lookup of its first access, unless it was
/// already. Null: refused, and the translator knows why.
const EngineAccesses::StepPage* EngineAccesses::step_page(VirtualAddress address, AccessKind kind) {
  const std::uint64_t number = page_number(address);
  for (const StepPage& page : step_pages_) {
    if (page.page == number && page.kind == kind) return &page;
  }
  const std::optional<PageTranslation> translation = translator_.translate_access(address, kind);
  if (!translation) return nullptr;
  step_pages_.push_back({number, kind, *translation, false});
  return &step_pages_.back();
}

void EngineAccesses::memory_access(PhysicalAddress address, AccessKind kind, unsigned size, std::uint64_t value) {
  std::size_t best = step_pages_.size();
  for (std::size_t i = 0; i < step_pages_.size(); ++i) {
    if (frame_number(step_pages_[i].translation.physical) != frame_number(address)) continue;
    if (best == step_pages_.size() || step_pages_[i].kind == kind) best = i;
  }
  if (best == step_pages_.size()) return;  // The instruction's own bytes.
  if (kind == AccessKind::Write && translator_.is_table_frame(address)) {
    soft_tlb_stale_ = true;
    // The second half of a store that crosses pages is reported when memory holds it already: that counts as a change.
    const bool second_half =
        address.value % kFrameBytes == 0 && !step_accesses_.empty() && step_accesses_.back().kind == AccessKind::Write;
    translator_.table_store(address, std::min(size, 8U), second_half ? ~value : value);
  }
  step_accesses_.push_back({.virtual_address = {step_pages_[best].page * kFrameBytes | address.value % kFrameBytes},
                            .physical_address = address,
                            .kind = kind,
                            .size = static_cast<std::uint8_t>(size),
                            .value = value,
                            .page = best});
}

std::uint64_t EngineAccesses::device_read(PhysicalAddress address, unsigned size) {
  return context_.devices.memory_read(address, size);
}

void EngineAccesses::device_write(PhysicalAddress address, unsigned size, std::uint64_t value) {
  context_.devices.memory_write(address, size, value);
}

// --- many ------------------------------------------------------------------------------------------------------------

EngineOutcome EngineAccesses::run(std::uint64_t budget, bool observed) {
  if (soft_tlb_stale_) {
    context_.engine.flush_translations();
    writable_frames_.clear();
    observed_pages_.clear();
    granted_.clear();
    soft_tlb_stale_ = false;
  }
  step_accesses_.clear();  // What a step left that ended in a fault.
  running_ = true;
  observed_ = observed;
  const EngineOutcome outcome = observed ? context_.engine.run_observed(budget) : context_.engine.run(budget);
  running_ = observed_ = false;
  awaited_.clear();
  if (observed && outcome.stop != EngineStop::Unfinished) commit_accesses();
  return outcome;
}

// Grants only what needs nothing more from us until the next flush; everything else is refused and becomes a step.
FillAnswer EngineAccesses::fill_direct(VirtualAddress address, AccessKind kind) {
  const std::optional<PageTranslation> translation = translator_.probe_access(address, kind);
  if (!translation) return {};
  const PhysicalAddress frame = frame_of(translation->physical);
  if (!context_.memory.contains(frame, kFrameBytes)) return {};
  const auto also = [&](AccessKind other) { return translator_.probe_access(address, other).has_value(); };
  if (kind == AccessKind::Fetch) {
    if (writable_frames_.contains(frame.value)) {  // Never writable here and executable there at once.
      context_.engine.flush_translations();
      writable_frames_.clear();
    }
    return {.granted = true, .page = frame, .readable = also(AccessKind::Read), .executable = true};
  }
  const bool may_store = !translator_.is_table_frame(frame) && !context_.engine.holds_code(frame);
  if (kind == AccessKind::Write) {
    if (!may_store) return {};
    context_.memory.will_write(frame);
    writable_frames_.insert(frame.value);
    return {.granted = true, .page = frame, .readable = true, .writable = true};
  }
  const bool writable = may_store && translation->writable_now && context_.memory.is_marked(frame);
  if (writable) writable_frames_.insert(frame.value);
  return {.granted = true,
          .page = frame,
          .readable = true,
          .writable = writable,
          .executable = !writable && context_.engine.holds_code(frame) && also(AccessKind::Fetch)};
}

EngineClient::BlockPlan EngineAccesses::plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) {
  return translator_.plan_block(pc, bytes);
}

std::uint32_t EngineAccesses::instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                                  std::uint32_t offset) {
  return translator_.instructions_before(pc, bytes, offset);
}

bool EngineAccesses::observable(VirtualAddress pc, std::span<const std::uint8_t> bytes) {
  return translator_.observable(pc, bytes);
}

// --- observed execution ----------------------------------------------------------------------------------------------

bool EngineAccesses::begin_instruction(VirtualAddress pc, unsigned size) {
  commit_accesses();
  forget_accesses();
  const std::optional<PageTranslation> translation = translator_.translate_access(pc, AccessKind::Fetch);
  if (!translation) return false;
  set_fetched(0, pc, *translation);
  context_.memory_path.program_access(pc, translation->physical, size, AccessKind::Fetch, translation->page_size);
  return true;
}

FillAnswer EngineAccesses::note_grant(VirtualAddress address, AccessKind kind, const FillAnswer& answer) {
  const std::uint64_t page = page_number(address);
  const auto [place, fresh] = observed_pages_.try_emplace(frame_number(answer.page), page);
  if (!fresh && place->second != page) {
    // Another name of the frame. A fetch is known by its program counter; a data access is stepped, and then its name
    // is the one.
    if (kind == AccessKind::Fetch) return {.granted = true, .page = answer.page, .executable = true};
    soft_tlb_stale_ = true;
    return {};
  }
  if (answer.readable) granted_.insert(grant_key(page, AccessKind::Read));
  if (answer.writable) granted_.insert(grant_key(page, AccessKind::Write));
  observe_awaited();
  return answer;
}

// The engine may tell of an access before it asks for the page: such a part waits for the answer, and where that is no,
// it never was.
void EngineAccesses::observed_access(PhysicalAddress address, AccessKind kind, unsigned size) {
  const auto page = observed_pages_.find(frame_number(address));
  SHEARLING_ASSERT(page != observed_pages_.end(), "an access to a frame that was not granted");
  const std::uint64_t offset = address.value % kFrameBytes;
  const auto here = static_cast<unsigned>(std::min<std::uint64_t>(size, kFrameBytes - offset));
  const std::uint64_t number = page->second;
  await({.virtual_address = {number * kFrameBytes | offset}, .kind = kind, .size = here});
  if (here == size) return;
  await({.virtual_address = translator_.wrap((number + 1) * kFrameBytes), .kind = kind, .size = size - here});
}

void EngineAccesses::await(const ObservedPart& part) {
  if (!awaited_.empty() || !observe(part)) awaited_.push_back(part);
}

/// False while its page has not been granted.
bool EngineAccesses::observe(const ObservedPart& part) {
  if (!granted_.contains(grant_key(page_number(part.virtual_address), part.kind))) return false;
  const StepPage* page = step_page(part.virtual_address, part.kind);
  SHEARLING_ASSERT(page != nullptr, "the models refuse what the page tables grant");
  const std::uint64_t frame = frame_of(page->translation.physical).value;
  step_accesses_.push_back({.virtual_address = part.virtual_address,
                            .physical_address = {frame | part.virtual_address.value % kFrameBytes},
                            .kind = part.kind,
                            .size = static_cast<std::uint8_t>(part.size),
                            .page = static_cast<std::size_t>(page - step_pages_.data())});
  return true;
}

void EngineAccesses::observe_awaited() {
  std::size_t done = 0;
  while (done < awaited_.size() && observe(awaited_[done])) ++done;
  awaited_.erase(awaited_.begin(), awaited_.begin() + static_cast<std::ptrdiff_t>(done));
}

// --- memory on behalf of instructions that the ISA executes itself ---------------------------------------------------

std::uint64_t EngineAccesses::access_physical(VirtualAddress address, const PageTranslation& translation, unsigned size,
                                              AccessKind kind, std::uint64_t value) {
  const PhysicalAddress physical = translation.physical;
  if (!context_.memory.contains(physical, size)) {
    if (kind != AccessKind::Write) return context_.devices.memory_read(physical, size);
    context_.devices.memory_write(physical, size, value);
    return value;
  }
  if (kind == AccessKind::Write) {
    will_store(physical, size, value);
    context_.memory.write(physical, size, value);
  } else {
    value = context_.memory.read(physical, size);
  }
  context_.events.micro(MemoryAccess{.access = kind,
                                     .size = static_cast<std::uint8_t>(size),
                                     .virtual_address = address,
                                     .physical_address = physical,
                                     .value = value,
                                     .address_space = translator_.address_space()});
  context_.memory_path.program_access(address, physical, size, kind, translation.page_size);
  return value;
}

void EngineAccesses::will_store(PhysicalAddress address, unsigned size, std::uint64_t value) {
  if (translator_.is_table_frame(address)) translator_.table_store(address, size, value);
  context_.memory.will_write(address);
  drop_code(frame_of(address));
}

/// What the engine has translated of this frame no longer holds: it does not see our own stores.
void EngineAccesses::drop_code(PhysicalAddress frame) {
  if (context_.engine.holds_code(frame)) context_.engine.invalidate_code(frame);
}

}  // namespace shearling
