// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include "isa-arm/mmu/mmu_implementation.h"

namespace shearling::arm {

namespace {

/// A context as tags tell them apart: without the ASIDs, and without what a switched-off stage would use.
TranslationContext without_names(TranslationContext context) {
  context.ttbr0 &= low_bits(48);
  context.ttbr1 &= low_bits(48);
  if (!context.stage_one) context.ttbr0 = context.ttbr1 = context.tcr = context.mair = 0;
  return context;
}

}  // namespace

// --- what ran under which tag ----------------------------------------------------------------------------------------

bool AddressSpaces::use(TlbTag tag, const TranslationContext& context) {
  const std::uint32_t name = tag.packed();
  const TranslationContext* before = certain_.insert(name).second ? nullptr : latest(tag);
  const bool changed = before == nullptr || *before != context;
  latest_.insert_or_assign(name, context);
  latest_of_machine_.insert_or_assign(tag.virtual_machine & ~kStageOneOffTag, context);
  for (Contexts* known : {&ever_, &recent_}) {
    std::vector<TranslationContext>& contexts = (*known)[name];
    if (std::find(contexts.begin(), contexts.end(), context) == contexts.end()) contexts.push_back(context);
  }
  return changed && recent_[name].size() > 1;
}

void AddressSpaces::restored() {
  recent_ = ever_;
  certain_.clear();
  for (const auto& [machine, pages] : global_pages_) uncertain_.insert(machine);
}

const TranslationContext* AddressSpaces::latest(TlbTag tag) const {
  const auto found = latest_.find(tag.packed());
  return found == latest_.end() ? nullptr : &found->second;
}

const TranslationContext* AddressSpaces::latest_of_machine(std::uint16_t virtual_machine) const {
  const auto found = latest_of_machine_.find(virtual_machine & ~kStageOneOffTag);
  return found == latest_of_machine_.end() ? nullptr : &found->second;
}

const std::unordered_set<std::uint64_t>* AddressSpaces::global_pages(std::uint16_t virtual_machine) const {
  const auto found = global_pages_.find(virtual_machine);
  return found == global_pages_.end() ? nullptr : &found->second;
}

void Mmu::Implementation::context_changed() {
  machine.engine.flush_translations();
  const Regime regime = regime_of(state, state.exception_level);
  const TranslationContext context = without_names(context_of(state, regime));
  if (!context.stage_one && !context.stage_two) return;  // Nothing of it is ever cached.
  const TlbTag tag = tag_of(state, regime, features);
  machine.memory_path.context_switched_to(tag);
  const TranslationContext* before = spaces.latest_of_machine(tag.virtual_machine);
  if (before != nullptr && *before != context &&
      (spaces.take_uncertainty(tag.virtual_machine) || global_pages_differ(tag.virtual_machine, *before, context)))
    watch.hazard = true;
  if (spaces.use(tag, context)) watch.hazard = true;
}

/// The current context goes on after an invalidation.
void Mmu::Implementation::note_current_context() {
  const Regime regime = regime_of(state, state.exception_level);
  const TranslationContext context = without_names(context_of(state, regime));
  if (context.stage_one || context.stage_two) spaces.use(tag_of(state, regime, features), context);
}

/// Global translations are kept over a change of the address space: would other tables translate them otherwise?
bool Mmu::Implementation::global_pages_differ(std::uint16_t virtual_machine, const TranslationContext& before,
                                              const TranslationContext& after) const {
  const auto* pages = spaces.global_pages(virtual_machine);
  if (pages == nullptr || before == after || !before.stage_one || !after.stage_one) return false;
  const WalkEnvironment environment = looking();
  return std::any_of(pages->begin(), pages->end(), [&](std::uint64_t page) {
    if (same_half(before, after, {page})) return false;
    const WalkRequest request{.address = {page}, .reported = {page}, .query = {}, .tag = {}};
    Walker old_walk(environment, before, request, Walker::Purpose::Inspect);
    Walker new_walk(environment, after, request, Walker::Purpose::Inspect);
    const bool was_mapped = old_walk.run(), is_mapped = new_walk.run();
    if (!was_mapped || !is_mapped) return was_mapped != is_mapped;
    return !(old_walk.entry() == new_walk.entry()) || !new_walk.settled();
  });
}

// --- invalidation ----------------------------------------------------------------------------------------------------

bool Mmu::Implementation::holds_any_of(std::uint16_t virtual_machine) const {
  bool found = false;
  for_each_entry([&](const TlbEntry& held, bool nested) {
    found = found || (!nested && held.tag.virtual_machine == virtual_machine);
  });
  return found;
}

void Mmu::Implementation::invalidate(const TlbInvalidation& what) {
  using Kind = TlbInvalidation::Kind;
  machine.engine.flush_translations();
  const std::uint16_t vm = what.regime == Regime::El2    ? kEl2Tag
                           : what.regime == Regime::El20 ? kEl20Tag
                                                         : static_cast<std::uint16_t>(what.vmid & 0xff);
  const TlbTag space{.address_space = what.asid, .virtual_machine = vm};
  switch (what.kind) {
    case Kind::Address:
    case Kind::AddressAllAsids:
      return invalidate_page(what.address, what);
    case Kind::IntermediateAddress:
      return invalidate_intermediate(what);
    case Kind::Asid:
      machine.memory_path.invalidate_address_space(space, true, what.name);
      spaces.forget([&](TlbTag tag) { return tag == space; });
      break;
    case Kind::Vmid:
      invalidate_machine(vm, false, what.name);
      break;
    case Kind::VmidStage12:
      invalidate_machine(vm, true, what.name);
      break;
    case Kind::All:
      if (what.regime == Regime::El10)
        invalidate_all_machines(what.name);
      else
        invalidate_machine(vm, false, what.name);
      break;
  }
  note_current_context();
}

/// One machine's translations, and what was cached of its stage 2 alone while its stage 1 was off.
void Mmu::Implementation::invalidate_machine(std::uint16_t virtual_machine, bool nested, std::string_view name) {
  machine.memory_path.invalidate_virtual_machine(virtual_machine, false, nested, name);
  const std::uint16_t stage_one_off = virtual_machine | kStageOneOffTag;
  if (virtual_machine < kStageOneOffTag && holds_any_of(stage_one_off))
    machine.memory_path.invalidate_virtual_machine(stage_one_off, false, false, name);
  spaces.forget(
      [&](TlbTag tag) { return tag.virtual_machine == virtual_machine || tag.virtual_machine == stage_one_off; });
}

/// TLBI ALLE1: every virtual machine, but neither regime of EL2.
void Mmu::Implementation::invalidate_all_machines(std::string_view name) {
  std::set<std::uint16_t> machines{0};
  constexpr std::uint16_t kVmid = 0xff;
  for_each_entry([&](const TlbEntry& held, bool) {
    if ((held.tag.virtual_machine & kEl2Tag) == 0) machines.insert(held.tag.virtual_machine & kVmid);
  });
  for (const WalkCacheEntry& held : machine.memory_path.translation().walk_cache_entries()) {
    if ((held.tag.virtual_machine & kEl2Tag) == 0) machines.insert(held.tag.virtual_machine & kVmid);
  }
  for (const std::uint16_t vmid : machines) invalidate_machine(vmid, true, name);
  spaces.forget([](TlbTag tag) { return (tag.virtual_machine & kEl2Tag) == 0; });
}

/// By address: all pieces of the block that the address lies in go, whatever their size (DDI 0487, D8.16.5), and what
/// the page-walk caches hold of the address space. A last-level invalidation does the same, which it may.
void Mmu::Implementation::invalidate_page(VirtualAddress address, const TlbInvalidation& what) {
  if (!machine.memory_path.models_on()) return;
  const std::uint16_t vm = what.regime == Regime::El2    ? kEl2Tag
                           : what.regime == Regime::El20 ? kEl20Tag
                                                         : static_cast<std::uint16_t>(what.vmid & 0xff);
  const bool all_spaces = what.kind == TlbInvalidation::Kind::AddressAllAsids;
  // The operand has address bits 55 to 12 only.
  const bool upper = what.regime != Regime::El2 && (address.value >> 55 & 1) != 0;
  const VirtualAddress wanted{upper ? address.value | ~low_bits(56) : address.value & low_bits(56)};
  std::set<std::uint16_t> tags{what.asid};
  std::vector<TlbEntry> pieces;
  for_each_entry([&](const TlbEntry& held, bool nested) {
    if (nested || held.tag.virtual_machine != vm) return;
    if (!all_spaces && !held.global && held.tag.address_space != what.asid) return;
    const unsigned shift = std::max(region_shift(held.permissions), page_shift(held.size));
    if ((held.page.value ^ wanted.value) >> shift != 0) return;
    if (all_spaces) tags.insert(held.tag.address_space);
    if ((held.page.value ^ wanted.value) >> page_shift(held.size) != 0) pieces.push_back(held);
  });
  if (all_spaces) {
    for (const WalkCacheEntry& held : machine.memory_path.translation().walk_cache_entries()) {
      if (held.tag.virtual_machine == vm) tags.insert(held.tag.address_space);
    }
  }
  for (const TlbEntry& piece : pieces) machine.memory_path.drop_page(piece.page, piece.tag);
  for (const std::uint16_t asid : tags)
    machine.memory_path.invalidate_address(wanted, {.address_space = asid, .virtual_machine = vm}, what.name);
}

/// TLBI IPAS2E1: stage 2's own entries. What was made of both stages together stays until TLBI VMALLE1.
void Mmu::Implementation::invalidate_intermediate(const TlbInvalidation& what) {
  if (!machine.memory_path.models_on()) return;
  const auto vmid = static_cast<std::uint16_t>(what.vmid & 0xff);
  std::vector<GuestPhysicalAddress> pieces;
  for_each_entry([&](const TlbEntry& held, bool nested) {
    if (!nested || held.tag.virtual_machine != vmid) return;
    const unsigned shift = std::max(region_shift(held.permissions), page_shift(held.size));
    if ((held.page.value ^ what.intermediate.value) >> shift == 0) pieces.push_back({held.page.value});
  });
  if (pieces.empty()) pieces.push_back(what.intermediate);
  for (const GuestPhysicalAddress piece : pieces) machine.memory_path.invalidate_nested(piece, vmid, what.name);
}

// --- stale entries ---------------------------------------------------------------------------------------------------

/// The tables that a cached translation must agree with; null where nobody knows.
const TranslationContext* Mmu::Implementation::context_behind(TlbTag held, bool global) const {
  return global ? spaces.latest_of_machine(held.virtual_machine) : spaces.latest(held);
}

bool Mmu::Implementation::is_stale(const TlbEntry& held) const {
  const TranslationContext* context = context_behind(held.tag, held.global);
  if (context == nullptr) return true;
  const WalkEnvironment environment = looking();
  const WalkRequest request{.address = held.page, .reported = held.page, .query = {}, .tag = held.tag};
  Walker walker(environment, *context, request, Walker::Purpose::Inspect);
  if (!walker.run() || !walker.settled()) return true;
  const TlbEntry current = walker.entry(held.size);
  const std::uint32_t changed = current.permissions ^ held.permissions;
  constexpr std::uint32_t kDirty = kIsDirty | kNestedIsDirty;
  return page_shift(walker.size()) < page_shift(held.size) || current.frame != held.frame ||
         current.guest_frame != held.guest_frame || current.global != held.global || (changed & ~kDirty) != 0 ||
         (held.permissions & changed & kDirty) != 0;
}

bool Mmu::Implementation::is_stale(const WalkCacheEntry& held) const {
  const TranslationContext* context = context_behind(held.tag, false);
  if (context == nullptr || !context->stage_one) return true;
  const WalkEnvironment environment = looking();
  const std::uint64_t address = held.address_bits << walk_cache_shift(held.level, held.granule);
  const WalkRequest request{.address = {address}, .reported = {address}, .query = {}, .tag = held.tag};
  Walker walker(environment, *context, request, Walker::Purpose::Inspect);
  walker.run();  // Whether it finds a page is not the question: how far it came is.
  const Walker::Pointer& current = walker.pointer(4U - held.level);
  constexpr std::uint32_t kRights = kStageOneRights | kNestedRights | kIsDevice;
  return !current.reached || current.entry_address != held.entry_address ||
         current.table_physical != held.table_physical || descriptor_differs(held.raw_entry, current.entry) ||
         (current.permissions & kRights) != (held.permissions & kRights);
}

bool Mmu::Implementation::is_stale_nested(const TlbEntry& held) const {
  const TranslationContext* context = spaces.latest_of_machine(held.tag.virtual_machine);
  if (context == nullptr || !context->stage_two) return true;
  const WalkEnvironment environment = looking();
  Walker walker(environment, *context, {.address = {}, .reported = {}, .query = {}, .tag = held.tag},
                Walker::Purpose::Inspect);
  Walker::NestedPlace place;
  if (!walker.translate_nested({held.page.value}, 0, 0, false, place) || !walker.settled()) return true;
  const TlbEntry current = walker.nested_entry(place);
  const std::uint32_t changed = current.permissions ^ held.permissions;
  return place.physical != held.frame || page_shift(current.size) < page_shift(held.size) ||
         (changed & ~kNestedIsDirty) != 0 || (held.permissions & changed & kNestedIsDirty) != 0;
}

bool Mmu::Implementation::has_stale_entries() const {
  const auto& pointers = machine.memory_path.translation().walk_cache_entries();
  if (std::any_of(pointers.begin(), pointers.end(), [this](const auto& held) { return is_stale(held); })) return true;
  bool stale = false;
  for_each_entry(
      [&](const TlbEntry& held, bool nested) { stale = stale || (nested ? is_stale_nested(held) : is_stale(held)); });
  return stale;
}

}  // namespace shearling::arm
