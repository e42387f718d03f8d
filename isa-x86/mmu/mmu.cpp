// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/mmu/mmu.h"

#include <algorithm>

#include "isa-x86/mmu/access_rules.h"
#include "isa-x86/mmu/walker.h"

namespace shearling::x86 {

namespace {

bool is_canonical(VirtualAddress address) {
  const auto upper = static_cast<std::int64_t>(address.value) >> 47;
  return upper == 0 || upper == -1;
}

/// Permissions that a cached translation grants and the tables no longer do. A page that has become a user page counts
/// too: SMEP and SMAP would forbid what the cached one allows.
bool grants_too_much(std::uint32_t held, std::uint32_t current) {
  return (held & ~current) != 0 || (current & ~held & kIsUser) != 0;
}

constexpr std::uint64_t kEptpAccessedDirty = 1ULL << 6;

std::string_view reason_of(const TranslateResult& failure) {
  const auto* nested = std::get_if<EptFault>(&failure);
  return nested == nullptr ? "A page fault" : nested->misconfiguration ? "An EPT misconfiguration" : "An EPT violation";
}

constexpr std::uint32_t kRights =
    kMayWrite | kMayExecute | kIsUser | kNestedMayRead | kNestedMayWrite | kNestedMayExecute;

}  // namespace

Mmu::Mmu(const MachineContext& context, const SystemState& state, const NestedTranslation& nested)
    : context_(context),
      state_(state),
      nested_(nested),
      gigabyte_pages_(std::find(context.config.cpu_features.begin(), context.config.cpu_features.end(), "pdpe1gb") !=
                      context.config.cpu_features.end()) {}

// --- translation -----------------------------------------------------------------------------------------------------

/// What needs neither TLB nor tables.
std::optional<TranslateResult> Mmu::without_walk(const AccessRequest& request) const {
  if (!state_.paging()) {
    if (nested_.enabled) return std::nullopt;
    return Translation{.physical = {request.address.value},
                       .guest_physical = {request.address.value},
                       .page_size = PageSize::Size4K,
                       .writable_now = true};
  }
  if (!state_.long_mode_active()) return UnsupportedPaging{};
  if (!is_canonical(request.address)) return NonCanonical{request.address};
  return std::nullopt;
}

TranslateResult Mmu::translate(const AccessRequest& request) {
  if (auto result = without_walk(request)) return *result;
  const TlbEntry* held = context_.memory_path.lookup(request.address, request.kind, tag());
  if (held == nullptr) return walk(request, true);
  const Fit fits = fit(*held, request);
  if (fits == Fit::Serves) {
    const std::uint64_t offset = request.address.value & page_offset_mask(held->size);
    return Translation{.physical = {held->frame.value + offset},
                       .guest_physical = {held->guest_frame.value + offset},
                       .page_size = held->size,
                       .writable_now = writable_now(held->permissions, request)};
  }
  // A fault is raised for what the tables in memory say, not for what a TLB entry says (SDM 4.10.4.1).
  context_.memory_path.drop_page(request.address, tag());
  return walk(request, fits == Fit::NotDirty);
}

Mmu::Fit Mmu::fit(const TlbEntry& entry, const AccessRequest& request) const {
  EventStream& events = context_.events;
  const bool tell = events.wants_micro_events();
  const auto report = [&](const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) {
    if (tell) emit_check(events, rule, actual, required, passed);
  };
  if (state_.paging() && !stage1_permits(state_, request, entry.permissions, report)) return Fit::Denies;
  if (nested_.enabled) {
    const unsigned access = ept_access(request.kind);
    const unsigned allowed = ept_permissions(entry.permissions);
    report(kEptRule, allowed, access, (access & ~allowed) == 0);
    if ((access & ~allowed) != 0) return Fit::Denies;
  }
  constexpr std::uint32_t kBothDirty = kIsDirty | kNestedIsDirty;
  if (request.kind != AccessKind::Write || (entry.permissions & kBothDirty) == kBothDirty) return Fit::Serves;
  report(kDirtyRule, 0, 1, false);
  return Fit::NotDirty;
}

bool Mmu::writable_now(std::uint32_t permissions, const AccessRequest& request) const {
  constexpr std::uint32_t kNeeded = kIsDirty | kNestedIsDirty | kNestedMayWrite;
  if ((permissions & kNeeded) != kNeeded) return false;
  if (!state_.paging()) return true;
  AccessRequest write = request;
  write.kind = AccessKind::Write;
  return stage1_permits(state_, write, permissions, [](const AccessRule&, std::uint64_t, std::uint64_t, bool) {});
}

TranslateResult Mmu::walk(const AccessRequest& request, bool with_caches) {
  const Tables tables = current_tables();
  Walker first(*this, request, tables, with_caches && context_.memory_path.models_on());
  bool translated = first.run();
  note_table_frames();
  if (!translated && first.used_caches()) {
    // The page-walk caches or the nested TLB led to this fault. If the tables in memory say otherwise, they were stale.
    Walker from_memory(*this, request, tables, Walker::Purpose::Compare);
    if (from_memory.run() || !(from_memory.failure() == first.failure())) {
      Walker second(*this, request, tables, false);
      translated = second.run();
      note_table_frames();
      return conclude(second, translated, request);
    }
  }
  return conclude(first, translated, request);
}

TranslateResult Mmu::conclude(const Walker& walker, bool translated, const AccessRequest& request) {
  if (!translated) {
    // SDM 4.10.4.1 and 28.3.3.1: a fault drops what is cached for its address.
    context_.memory_path.invalidate_address(request.address, tag(), reason_of(walker.failure()));
    return walker.failure();
  }
  note_walk(walker);
  context_.memory_path.fill(walker.entry(), request.kind);
  return Translation{.physical = walker.physical(),
                     .guest_physical = walker.guest_physical(),
                     .page_size = walker.size(),
                     .writable_now = writable_now(walker.permissions(), request)};
}

std::optional<Translation> Mmu::probe(const AccessRequest& request) {
  if (auto result = without_walk(request)) {
    const auto* translation = std::get_if<Translation>(&*result);
    return translation != nullptr ? std::optional(*translation) : std::nullopt;
  }
  Walker walker(*this, request, current_tables());
  const bool translated = walker.run();
  note_table_frames();
  if (!translated || !walker.settled()) return std::nullopt;
  note_walk(walker);
  return Translation{.physical = walker.physical(),
                     .guest_physical = walker.guest_physical(),
                     .page_size = walker.size(),
                     .writable_now = writable_now(walker.permissions(), request)};
}

std::optional<InspectedTranslation> Mmu::inspect(VirtualAddress address) const {
  const AccessRequest request{.address = address};
  if (const auto result = without_walk(request)) {
    const auto* plain = std::get_if<Translation>(&*result);
    if (plain == nullptr) return std::nullopt;
    return InspectedTranslation{.guest_physical = plain->guest_physical,
                                .physical = plain->physical,
                                .page_size = plain->page_size,
                                .writable = true,
                                .user = true,
                                .executable = true};
  }
  Walker walker(*this, request, current_tables(), Walker::Purpose::Inspect);
  if (!walker.run()) return std::nullopt;
  const std::uint32_t permissions = walker.permissions();
  const auto has = [=](std::uint32_t wanted) { return (permissions & wanted) == wanted; };
  return InspectedTranslation{.guest_physical = walker.guest_physical(),
                              .physical = walker.physical(),
                              .page_size = walker.size(),
                              .writable = has(kMayWrite | kNestedMayWrite),
                              .user = has(kIsUser),
                              .executable = has(kMayExecute | kNestedMayExecute)};
}

std::optional<PhysicalAddress> Mmu::inspect_nested(GuestPhysicalAddress address) const {
  Walker walker(*this, {}, current_tables(), Walker::Purpose::Inspect);
  Walker::NestedPlace place;
  if (!walker.translate_nested(address, 0, 0, false, place)) return std::nullopt;
  return place.physical;
}

/// Frames that were filled as ordinary pages before hold tables now: nobody may keep a grant to write them unseen.
void Mmu::note_table_frames() {
  if (!new_table_frames_) return;
  new_table_frames_ = false;
  context_.engine.flush_translations();
}

void Mmu::note_walk(const Walker& walker) {
  if (!state_.paging()) return;
  walked_root_ = state_.cr3 & kTableAddress;
  if (const TlbEntry entry = walker.entry(); entry.global) global_pages_.insert(entry.page.value);
}

bool Mmu::global_pages_differ(std::uint64_t before, std::uint64_t after) const {
  if (before == after || !state_.paging() || !state_.long_mode_active() || (state_.cr4 & kCr4Pge) == 0) return false;
  return std::any_of(global_pages_.begin(), global_pages_.end(), [&](std::uint64_t page) {
    Tables tables = current_tables();
    tables.root = before;
    Walker old_walk(*this, {.address = {page}}, tables, Walker::Purpose::Inspect);
    tables.root = after;
    Walker new_walk(*this, {.address = {page}}, tables, Walker::Purpose::Inspect);
    const bool was_mapped = old_walk.run(), is_mapped = new_walk.run();
    if (!was_mapped || !is_mapped) return was_mapped != is_mapped;
    return old_walk.physical() != new_walk.physical() || old_walk.size() != new_walk.size() || !new_walk.settled() ||
           old_walk.permissions() != new_walk.permissions() || old_walk.entry().global != new_walk.entry().global;
  });
}

// --- invalidation ----------------------------------------------------------------------------------------------------

/// Two things may be remembered over a change of the root that direct execution would not see: global pages, where the
/// new tables map them otherwise, and with `keep_translations` what an address space had under another root.
void Mmu::cr3_written(bool keep_translations) {
  context_.engine.flush_translations();
  const std::uint64_t root = state_.cr3 & kTableAddress;
  if (global_pages_differ(walked_root_, root)) hazard_ = true;
  auto& roots = roots_[tag().packed()];
  roots.insert(root);
  if (!keep_translations) {
    context_.memory_path.invalidate_address_space(tag(), true, "MOV CR3");
    return;
  }
  if (roots.size() > 1) hazard_ = true;
  context_.memory_path.context_switched();
}

void Mmu::invlpg(VirtualAddress address) {
  if (state_.sixty_four_bit_mode() && !is_canonical(address)) return;
  context_.engine.flush_translations();
  context_.memory_path.invalidate_address(address, tag(), "INVLPG");
}

void Mmu::invpcid(InvpcidType type, std::uint16_t pcid, VirtualAddress address) {
  constexpr std::string_view kReason = "INVPCID";
  context_.engine.flush_translations();
  MemoryPath& path = context_.memory_path;
  const TlbTag space{.address_space = pcid, .virtual_machine = nested_.vpid};
  switch (type) {
    case InvpcidType::Address:
      return path.invalidate_address(address, space, kReason);
    case InvpcidType::Context:
      return path.invalidate_address_space(space, true, kReason);
    case InvpcidType::AllIncludingGlobal:
      return path.invalidate_virtual_machine(nested_.vpid, false, false, kReason);
    case InvpcidType::AllExceptGlobal:
      return path.invalidate_virtual_machine(nested_.vpid, true, false, kReason);
  }
}

void Mmu::paging_mode_changed(std::string_view reason) {
  context_.engine.flush_translations();
  context_.memory_path.invalidate_virtual_machine(nested_.vpid, false, false, reason);
}

void Mmu::invvpid_all(std::uint16_t vpid) {
  context_.engine.flush_translations();
  context_.memory_path.invalidate_virtual_machine(vpid, false, false, "INVVPID");
}

void Mmu::invept_all() {
  context_.engine.flush_translations();
  context_.memory_path.invalidate_all("INVEPT");
}

void Mmu::world_switched() {
  context_.engine.flush_translations();
  context_.memory_path.context_switched();
  if (nested_.vpid != 0 || !holds_translations_of(0)) return;
  context_.memory_path.invalidate_virtual_machine(0, false, false, "A VM entry or exit without VPID");
}

bool Mmu::holds_translations_of(std::uint16_t vpid) const {
  const TranslationCaches& caches = context_.memory_path.translation();
  const auto& pointers = caches.walk_cache_entries();
  if (std::any_of(pointers.begin(), pointers.end(), [=](const auto& held) { return held.tag.virtual_machine == vpid; }))
    return true;
  return any_entry([=](const TlbEntry& entry, bool nested) { return !nested && entry.tag.virtual_machine == vpid; });
}

void Mmu::access_rights_changed() { context_.engine.flush_translations(); }

// --- stale entries ---------------------------------------------------------------------------------------------------

bool Mmu::is_table_frame(PhysicalAddress address) const { return used_entries_.is_table_frame(address); }

void Mmu::table_store(PhysicalAddress address, unsigned size, std::uint64_t value) {
  constexpr std::uint64_t kEntryBytes = 8;
  const std::uint64_t end = address.value + size;
  for (std::uint64_t at = address.value & ~(kEntryBytes - 1); at < end && !hazard_; at += kEntryBytes) {
    const bool stage1 = used_entries_.was_used({at}, 1), stage2 = used_entries_.was_used({at}, 2);
    if (!stage1 && !stage2) continue;
    const std::uint64_t before = context_.memory.read({at}, kEntryBytes);
    std::uint64_t after = before;
    for (std::uint64_t byte = std::max(at, address.value); byte < std::min(at + kEntryBytes, end); ++byte) {
      const unsigned shift = 8 * static_cast<unsigned>(byte - at);
      const std::uint64_t stored = value >> 8 * (byte - address.value) & 0xff;
      after = (after & ~(std::uint64_t{0xff} << shift)) | stored << shift;
    }
    hazard_ = (stage1 && stage1_entry_differs(before, after)) || (stage2 && ept_entry_differs(before, after));
  }
}

template <typename Condition>
bool Mmu::any_entry(Condition condition) const {
  const TranslationCaches& caches = context_.memory_path.translation();
  const std::vector<const Tlb*> structures = caches.structures();
  for (const Tlb* tlb : structures) {
    const bool nested = caches.config().nested_entries != 0 && tlb == structures.back();
    for (unsigned set = 0; set < tlb->sets(); ++set) {
      for (unsigned way = 0; way < tlb->geometry().ways; ++way) {
        const TlbSlot& slot = tlb->slot(set, way);
        if (slot.valid && condition(slot.entry, nested)) return true;
      }
    }
  }
  return false;
}

bool Mmu::has_stale_entries() const {
  const auto& pointers = context_.memory_path.translation().walk_cache_entries();
  if (std::any_of(pointers.begin(), pointers.end(), [this](const auto& held) { return is_stale(held); })) return true;
  return any_entry(
      [this](const TlbEntry& held, bool nested) { return nested ? is_stale_nested(held) : is_stale(held); });
}

Mmu::Tables Mmu::current_tables() const {
  return {.root = state_.paging() ? state_.cr3 & kTableAddress : kNoPagingRoot,
          .nested = nested_.enabled,
          .accessed_dirty = nested_.accessed_dirty,
          .eptp = nested_.eptp};
}

/// The tables that a cached translation must agree with: the current ones if it can serve now, and those it came from
/// if it belongs to another address space.
Mmu::Tables Mmu::tables_behind(TlbTag held, bool global, std::uint64_t root) const {
  Tables tables = current_tables();
  if (!global && held.address_space != tag().address_space) tables.root = root;
  return tables;
}

bool Mmu::is_stale(const TlbEntry& held) const {
  if (held.tag.virtual_machine != nested_.vpid) return true;  // Of a machine whose tables are not at hand.
  const Tables tables = tables_behind(held.tag, held.global, held.root);
  if (tables.paging() != (held.root != kNoPagingRoot)) return true;
  Walker walker(*this, {.address = held.page}, tables, Walker::Purpose::Inspect);
  if (!walker.run() || !walker.settled()) return true;
  const TlbEntry current = walker.entry();
  return walker.physical() != held.frame || page_shift(current.size) < page_shift(held.size) ||
         grants_too_much(held.permissions, current.permissions) || (held.global && !current.global);
}

bool Mmu::is_stale(const WalkCacheEntry& held) const {
  if (held.tag.virtual_machine != nested_.vpid) return true;
  const Tables tables = tables_behind(held.tag, false, held.root);
  if (!tables.paging()) return true;
  const std::uint64_t address = held.address_bits << walk_cache_shift(held.level);
  Walker walker(*this, {.address = {address}}, tables, Walker::Purpose::Inspect);
  walker.run();  // Whether it finds a page is not the question: how far it came is.
  const Walker::Pointer& current = walker.pointer(held.level);
  if (!current.reached || current.entry_address != held.entry_address || current.table_physical != held.table_physical)
    return true;
  for (unsigned level = kPagingLevels; level >= held.level; --level) {
    if ((walker.pointer(level).entry & kEntryAccessed) == 0) return true;
  }
  return stage1_entry_differs(held.raw_entry, current.entry) ||
         grants_too_much(held.permissions & kRights, current.permissions & kRights);
}

bool Mmu::is_stale_nested(const TlbEntry& held) const {
  const Tables tables{.root = kNoPagingRoot,
                      .nested = true,
                      .accessed_dirty = (held.root & kEptpAccessedDirty) != 0,
                      .eptp = held.root};
  Walker walker(*this, {}, tables, Walker::Purpose::Inspect);
  Walker::NestedPlace place;
  if (!walker.translate_nested({held.page.value}, 0, 0, false, place) || !walker.settled()) return true;
  return place.physical != held.frame || page_shift(place.size) < page_shift(held.size) ||
         (held.permissions & ~place.permissions) != 0;
}

}  // namespace shearling::x86
