// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/mmu/walker.h"

#include "isa-x86/mmu/access_rules.h"

namespace shearling::x86 {

namespace {

constexpr std::uint32_t kStage1Permissions = kMayWrite | kMayExecute | kIsUser;
constexpr std::uint64_t kLinearAddressValid = 1ULL << 7, kFinalTranslation = 1ULL << 8;  // Of the exit qualification.

/// WalkCacheEntry::permissions also holds, 3 bits a level, how many EPT references the table of that level took: what
/// a hit makes unnecessary.
constexpr unsigned nested_depth_shift(unsigned level) { return 16 + 3 * (level - 1); }
constexpr std::uint32_t kNestedDepths = 0xfffU << 16;

std::uint32_t nested_permissions(std::uint64_t ept_bits) {
  return ((ept_bits & kEptRead) != 0 ? kNestedMayRead : 0) | ((ept_bits & kEptWrite) != 0 ? kNestedMayWrite : 0) |
         ((ept_bits & kEptExecute) != 0 ? kNestedMayExecute : 0);
}

}  // namespace

Mmu::Walker::Walker(Mmu& owner, const AccessRequest& access, Tables where, bool with_caches)
    : mmu_(owner),
      owner_(&owner),
      request_(access),
      tables_(where),
      purpose_(Purpose::Access),
      use_caches_(with_caches) {}

Mmu::Walker::Walker(Mmu& owner, const AccessRequest& access, Tables where)
    : mmu_(owner), owner_(&owner), request_(access), tables_(where), purpose_(Purpose::Probe) {}

Mmu::Walker::Walker(const Mmu& owner, const AccessRequest& access, Tables where, Purpose why)
    : mmu_(owner), owner_(nullptr), request_(access), tables_(where), purpose_(why) {
  SHEARLING_ASSERT(why == Purpose::Compare || why == Purpose::Inspect, "this walk needs an MMU that it may change");
}

bool Mmu::Walker::run() {
  if (!effects()) return translate();
  const MachineContext& context = mmu_.context_;
  context.events.micro(WalkBegin{.virtual_address = request_.address,
                                 .access = request_.kind,
                                 .guest_levels = static_cast<std::uint8_t>(tables_.paging() ? kPagingLevels : 0),
                                 .nested_levels = static_cast<std::uint8_t>(tables_.nested ? kPagingLevels : 0),
                                 .root = tables_.paging() ? tables_.root : 0});
  const bool translated = translate();
  fill_caches(translated);
  context.events.micro(WalkEnd{.virtual_address = request_.address,
                               .physical_address = translated ? physical_ : PhysicalAddress{},
                               .page_size = size_,
                               .faulted = !translated,
                               .references = references_,
                               .skipped = skipped_,
                               .latency = latency_});
  context.memory_path.count_walk(references_, skipped_);
  return translated;
}

bool Mmu::Walker::translate() {
  PageSize guest_size = PageSize::Size1G;
  if (tables_.paging()) {
    if (!walk_guest()) return false;
    guest_size = size_;
  } else {
    permissions_ = kStage1Permissions | kIsDirty;
    guest_physical_ = {request_.address.value};
  }
  NestedPlace place;
  if (!translate_nested(guest_physical_, 0, checked() ? ept_access(request_.kind) : 0, false, place)) return false;
  permissions_ |= place.permissions;
  size_ = smaller(guest_size, place.size);
  physical_ = place.physical;
  return true;
}

// --- stage 1 ---------------------------------------------------------------------------------------------------------

bool Mmu::Walker::walk_guest() {
  const SystemState& state = mmu_.state_;
  permissions_ = kStage1Permissions;
  GuestPhysicalAddress table{tables_.root};
  NestedPlace place;
  unsigned level = start_from_walk_cache(place, table);
  bool place_known = level != kPagingLevels;
  for (;; --level) {
    if (!place_known && !find_entry(level, table, place)) return false;
    place_known = false;
    std::uint64_t entry = read_entry(place.physical, 1, level, 0, request_.address.value);
    if ((entry & kEntryPresent) == 0) {
      check(kPresentRule, 0, 1, false);
      return page_fault(false, false);
    }
    const std::uint64_t reserved = reserved_bits_set(level, entry, (state.efer & kEferNxe) != 0, mmu_.gigabyte_pages_);
    if (reserved != 0) {
      check(kReservedRule, reserved, 0, false);
      return page_fault(true, true);
    }
    remember(place.physical, 1);
    if ((entry & kEntryWritable) == 0) permissions_ &= ~kMayWrite;
    if ((entry & kEntryUser) == 0) permissions_ &= ~kIsUser;
    if ((entry & kEntryExecuteDisable) != 0) permissions_ &= ~kMayExecute;
    if (is_leaf(level, entry)) return finish_leaf(level, place, entry);
    if (!set_guest_flags(place, entry, kEntryAccessed)) return false;
    table = {entry & kTableAddress};
    pointers_[level] = {.reached = true,
                        .entry_address = place.physical,
                        .entry = entry,
                        .table = table,
                        .table_physical = std::nullopt,
                        .permissions = permissions_};
  }
}

/// Finds where the entry of this level lies on the memory bus.
bool Mmu::Walker::find_entry(unsigned level, GuestPhysicalAddress table, NestedPlace& place) {
  const GuestPhysicalAddress entry{table.value + 8 * table_index(request_.address.value, level)};
  const unsigned access = !checked() ? 0 : tables_.accessed_dirty ? kEptRead | kEptWrite : kEptRead;
  if (!translate_nested(entry, level, access, true, place)) return false;
  if (tables_.nested) depths_ |= references_to(place.size) << nested_depth_shift(level);
  if (level == kPagingLevels) return true;
  Pointer& pointer = pointers_[level + 1];  // It is complete now: where its table lies is known.
  pointer.table_physical = PhysicalAddress{place.physical.value & ~page_offset_mask(PageSize::Size4K)};
  pointer.permissions |= place.permissions | depths_;
  return true;
}

bool Mmu::Walker::finish_leaf(unsigned level, const NestedPlace& place, std::uint64_t entry) {
  check(kReservedRule, 0, 0, true);
  size_ = leaf_size(level);
  const std::uint64_t offset = page_offset_mask(size_);
  guest_physical_ = {(entry & kTableAddress & ~offset) | (request_.address.value & offset)};
  global_ = (entry & kEntryGlobal) != 0 && (mmu_.state_.cr4 & kCr4Pge) != 0;
  const auto report = [this](const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) {
    check(rule, actual, required, passed);
  };
  if (checked() && !stage1_permits(mmu_.state_, request_, permissions_, report)) return page_fault(true, false);
  const bool write = request_.kind == AccessKind::Write;
  if (!set_guest_flags(place, entry, write ? kEntryAccessed | kEntryDirty : kEntryAccessed)) return false;
  if ((entry & kEntryDirty) != 0) permissions_ |= kIsDirty;
  return true;
}

/// Level of the first entry to read: 4 without a hit; otherwise the table and the entry's place are known.
unsigned Mmu::Walker::start_from_walk_cache(NestedPlace& place, GuestPhysicalAddress& table) {
  if (!use_caches_) return kPagingLevels;
  const MachineContext& context = mmu_.context_;
  const TranslationCachesConfig& config = context.memory_path.translation().config();
  if (config.walk_cache_entries != 0) latency_ += config.walk_cache_latency;
  const auto held = context.memory_path.walk_cache_lookup(request_.address, mmu_.tag());
  if (!held) return kPagingLevels;
  used_caches_ = true;
  permissions_ = held->permissions & kStage1Permissions;
  depths_ = held->permissions & kNestedDepths;
  table = held->table;
  const unsigned next = held->level - 1U;
  const auto skip_table = [&](unsigned level) {
    skip_nested(ServedBy::PageWalkCache, level, depths_ >> nested_depth_shift(level) & 7, 0);
  };
  for (unsigned level = kPagingLevels; level > next; --level) {
    skip_table(level);
    const bool is_held = level == held->level;
    skip(ServedBy::PageWalkCache, 1, level, 0, request_.address.value,
         is_held ? held->entry_address : PhysicalAddress{}, is_held ? held->raw_entry : 0);
  }
  skip_table(next);
  const std::uint64_t offset = 8 * table_index(request_.address.value, next);
  place = {.guest_physical = {table.value + offset},
           .physical = {held->table_physical.value + offset},
           .size = PageSize::Size4K,
           .permissions = held->permissions & kAllNested};
  return next;
}

// --- stage 2 ---------------------------------------------------------------------------------------------------------

bool Mmu::Walker::translate_nested(GuestPhysicalAddress address, unsigned column, unsigned access, bool for_table,
                                   NestedPlace& place) {
  place = {.guest_physical = address, .physical = {address.value}, .size = PageSize::Size1G, .permissions = kAllNested};
  if (!tables_.nested || nested_from_cache(address, column, access, for_table, place)) return true;
  PhysicalAddress table{tables_.eptp & kTableAddress};
  std::uint64_t allowed = kEptPermissions;
  for (unsigned level = kPagingLevels;; --level) {
    const PhysicalAddress at{table.value + 8 * table_index(address.value, level)};
    std::uint64_t entry = read_entry(at, 2, column, level, address.value);
    allowed &= entry;
    if ((entry & kEptPermissions) == 0) return ept_violation(address, access, 0, for_table);
    if (is_ept_misconfigured(level, entry)) return ept_misconfiguration(address, entry);
    remember(at, 2);
    if (!is_leaf(level, entry)) {
      if (tables_.accessed_dirty) set_flags(at, entry, kEptAccessed);
      table = {entry & kTableAddress};
      continue;
    }
    if ((access & ~allowed) != 0) return ept_violation(address, access, allowed, for_table);
    if (!for_table) check(kEptRule, allowed, access, true);
    const bool write =
        (access & kEptWrite) != 0 || for_table;  // With A and D flags on, table accesses count as writes.
    if (tables_.accessed_dirty) entry = set_flags(at, entry, write ? kEptAccessed | kEptDirty : kEptAccessed);
    const std::uint64_t offset = page_offset_mask(leaf_size(level));
    place.physical = {(entry & kTableAddress & ~offset) | (address.value & offset)};
    place.size = leaf_size(level);
    place.permissions = nested_permissions(allowed);
    if (!tables_.accessed_dirty || (entry & kEptDirty) != 0) place.permissions |= kNestedIsDirty;
    break;
  }
  if (!effects()) return true;
  const std::uint64_t offset = page_offset_mask(place.size);
  nested_found_[nested_found_count_++] = {.page = {address.value & ~offset},
                                          .frame = {place.physical.value & ~offset},
                                          .guest_frame = {address.value & ~offset},
                                          .size = place.size,
                                          .global = false,
                                          .tag = {.address_space = 0, .virtual_machine = mmu_.nested_.vpid},
                                          .permissions = place.permissions,
                                          .root = tables_.eptp};
  return true;
}

/// A nested TLB entry serves if EPT was the same and permits the access; if not, EPT itself is asked.
bool Mmu::Walker::nested_from_cache(GuestPhysicalAddress address, unsigned column, unsigned access, bool for_table,
                                    NestedPlace& place) {
  if (!use_caches_) return false;
  const MachineContext& context = mmu_.context_;
  const TranslationCachesConfig& config = context.memory_path.translation().config();
  if (config.nested_entries != 0) latency_ += config.nested_latency;
  const TlbEntry* held = context.memory_path.nested_lookup(address, mmu_.nested_.vpid);
  if (held == nullptr || held->root != tables_.eptp) return false;
  if ((access & ~ept_permissions(held->permissions)) != 0) return false;
  if ((access & kEptWrite) != 0 && (held->permissions & kNestedIsDirty) == 0) return false;
  used_caches_ = true;
  place.physical = {held->frame.value + (address.value & page_offset_mask(held->size))};
  place.size = held->size;
  place.permissions = held->permissions;
  skip_nested(ServedBy::NestedTlb, column, references_to(held->size), address.value);
  if (!for_table) check(kEptRule, ept_permissions(held->permissions), access, true);
  return true;
}

// --- references ------------------------------------------------------------------------------------------------------

std::uint64_t Mmu::Walker::read_entry(PhysicalAddress address, unsigned stage, unsigned column, unsigned row,
                                      std::uint64_t input) {
  const MachineContext& context = mmu_.context_;
  const std::uint64_t entry = context.memory.read(address, 8);
  if (!effects()) return entry;
  const MemoryPath::Served served = context.memory_path.walk_access(address);
  latency_ += served.latency;
  ++references_;
  context.events.micro(WalkReference{.number = references_,
                                     .stage = static_cast<std::uint8_t>(stage),
                                     .guest_level = static_cast<std::uint8_t>(column),
                                     .nested_level = static_cast<std::uint8_t>(row),
                                     .served_by = served.by,
                                     .address = address,
                                     .entry = entry,
                                     .input_address = input,
                                     .entry_name = stage == 1 ? stage1_entry_name(column) : ept_entry_name(row),
                                     .latency = served.latency});
  return entry;
}

void Mmu::Walker::skip(ServedBy by, unsigned stage, unsigned column, unsigned row, std::uint64_t input,
                       PhysicalAddress address, std::uint64_t entry) {
  ++skipped_;
  mmu_.context_.events.micro(WalkReference{.number = 0,
                                           .stage = static_cast<std::uint8_t>(stage),
                                           .guest_level = static_cast<std::uint8_t>(column),
                                           .nested_level = static_cast<std::uint8_t>(row),
                                           .served_by = by,
                                           .address = address,
                                           .entry = entry,
                                           .input_address = input,
                                           .entry_name = stage == 1 ? stage1_entry_name(column) : ept_entry_name(row)});
}

void Mmu::Walker::skip_nested(ServedBy by, unsigned column, unsigned count, std::uint64_t input) {
  for (unsigned row = kPagingLevels; row > kPagingLevels - count; --row) skip(by, 2, column, row, input);
}

/// Sets flags of an entry in memory and returns the entry as it is then.
std::uint64_t Mmu::Walker::set_flags(PhysicalAddress address, std::uint64_t entry, std::uint64_t flags) {
  if ((flags & ~entry) == 0) return entry;
  if (!effects()) {
    settled_ = false;
    return entry;
  }
  const MachineContext& context = mmu_.context_;
  context.memory.write(address, 8, entry | flags);
  if (context.engine.holds_code(address)) context.engine.invalidate_code(address);
  return entry | flags;
}

/// A flag in a guest's table is a write to guest-physical memory, which EPT must permit.
bool Mmu::Walker::set_guest_flags(const NestedPlace& place, std::uint64_t& entry, std::uint64_t flags) {
  if ((flags & ~entry) == 0) return true;
  if (checked() && (place.permissions & kNestedMayWrite) == 0) {
    return ept_violation(place.guest_physical, kEptWrite, ept_permissions(place.permissions), true);
  }
  entry = set_flags(place.physical, entry, flags);
  return true;
}

void Mmu::Walker::remember(PhysicalAddress entry, unsigned stage) {
  if (owner_ != nullptr && owner_->used_entries_.record(entry, stage)) owner_->new_table_frames_ = true;
}

void Mmu::Walker::check(const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) const {
  if (effects()) emit_check(mmu_.context_.events, rule, actual, required, passed);
}

// --- outcomes --------------------------------------------------------------------------------------------------------

bool Mmu::Walker::page_fault(bool present, bool reserved) {
  const SystemState& state = mmu_.state_;
  const bool fetch = request_.kind == AccessKind::Fetch;
  const bool tells_fetches = (state.cr4 & kCr4Smep) != 0 || (state.efer & kEferNxe) != 0;
  failure_ = PageFault{.address = request_.address,
                       .error_code = (present ? 1U : 0U) | (request_.kind == AccessKind::Write ? 2U : 0U) |
                                     (is_user_access(request_) ? 4U : 0U) | (reserved ? 8U : 0U) |
                                     (fetch && tells_fetches ? 16U : 0U)};
  return false;
}

bool Mmu::Walker::ept_violation(GuestPhysicalAddress address, unsigned access, std::uint64_t allowed, bool for_table) {
  check(kEptRule, allowed, access, false);
  failure_ =
      EptFault{.misconfiguration = false,
               .guest_physical = address,
               .linear = request_.address,
               .qualification = access | allowed << 3 | kLinearAddressValid | (for_table ? 0 : kFinalTranslation)};
  return false;
}

bool Mmu::Walker::ept_misconfiguration(GuestPhysicalAddress address, std::uint64_t entry) {
  check(kEptConfigurationRule, entry, 0, false);
  failure_ =
      EptFault{.misconfiguration = true, .guest_physical = address, .linear = request_.address, .qualification = 0};
  return false;
}

/// What stage 2 found is good even if stage 1 then failed; table pointers are not kept for an address that faulted.
void Mmu::Walker::fill_caches(bool translated) {
  MemoryPath& path = mmu_.context_.memory_path;
  for (unsigned i = 0; i < nested_found_count_; ++i) path.nested_fill(nested_found_[i]);
  if (!translated) return;
  for (unsigned level = kPagingLevels; level >= 2; --level) {
    const Pointer& pointer = pointers_[level];
    if (!pointer.reached) continue;
    path.walk_cache_fill({.level = static_cast<std::uint8_t>(level),
                          .address_bits = request_.address.value >> walk_cache_shift(level),
                          .tag = mmu_.tag(),
                          .root = tables_.root,
                          .entry_address = pointer.entry_address,
                          .table = pointer.table,
                          .table_physical = *pointer.table_physical,
                          .raw_entry = pointer.entry,
                          .permissions = pointer.permissions});
  }
}

TlbEntry Mmu::Walker::entry() const {
  const std::uint64_t offset = page_offset_mask(size_);
  return {.page = {request_.address.value & ~offset},
          .frame = {physical_.value & ~offset},
          .guest_frame = {guest_physical_.value & ~offset},
          .size = size_,
          .global = global_,
          .tag = mmu_.tag(),
          .permissions = permissions_,
          .root = tables_.root};
}

}  // namespace shearling::x86
