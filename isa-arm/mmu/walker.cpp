// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/mmu/walker.h"

#include <algorithm>
#include <utility>

namespace shearling::arm {

namespace {

/// WalkCacheEntry::permissions also holds, 3 bits a level, how many stage-2 references the table of that level took:
/// what a hit makes unnecessary.
constexpr unsigned nested_depth_shift(unsigned level) { return 16 + 3 * level; }
constexpr std::uint32_t kNestedDepths = 0xfffU << 16;
constexpr std::uint32_t kOfTable = kNestedRights | kNestedIsDirty | kIsDevice | 3U << kStageTwoLevelShift;

constexpr std::uint8_t kNormalWriteBack = 0xff, kNormalWriteThrough = 0xee, kNormalNonCacheable = 0x44;

constexpr bool is_device_attribute(unsigned mair_attribute) { return (mair_attribute & 0xf0) == 0; }

constexpr bool has(std::uint64_t entry, std::uint64_t bits) { return (entry & bits) == bits; }

}  // namespace

Walker::Walker(const WalkEnvironment& environment, const TranslationContext& context, const WalkRequest& request,
               Purpose purpose, bool with_caches)
    : environment_(environment), context_(context), request_(request), purpose_(purpose), use_caches_(with_caches) {}

bool Walker::run() {
  if (context_.stage_one) one_ = stage_one_shape(context_, environment_.features, request_.address);
  if (!effects()) return translate();
  const MachineContext& machine = environment_.machine;
  const TableShape two = stage_two_shape(context_, environment_.features, {});
  const bool both = nested() && (context_.stage_one || !request_.stage_one_only);
  machine.events.micro(WalkBegin{.virtual_address = request_.address,
                                 .access = request_.query.kind,
                                 .guest_levels = static_cast<std::uint8_t>(context_.stage_one ? one_.levels() : 0),
                                 .nested_levels = static_cast<std::uint8_t>(both ? two.levels() : 0),
                                 .root = context_.stage_one ? one_.base : 0});
  const bool translated = translate();
  if (purpose_ == Purpose::Access) fill_caches(translated);
  machine.events.micro(WalkEnd{.virtual_address = request_.address,
                               .physical_address = translated ? physical_ : PhysicalAddress{},
                               .page_size = size(),
                               .faulted = !translated,
                               .references = references_,
                               .skipped = skipped_,
                               .latency = latency_});
  machine.memory_path.count_walk(references_, skipped_);
  return translated;
}

bool Walker::translate() {
  if (!context_.stage_one)
    no_stage_one();
  else if (!walk_stage_one())
    return false;
  physical_ = {intermediate_.value};
  if (request_.stage_one_only) return true;
  NestedPlace place;
  const unsigned access = checked() ? nested_access(request_.query.kind) : 0;
  if (!translate_nested(intermediate_, 0, access, false, place)) return false;
  permissions_ |= place.rights;
  shift_ = std::min(region_shift_, place.shift);
  physical_ = place.physical;
  return true;
}

// --- stage 1 ---------------------------------------------------------------------------------------------------------

/// VA = IPA, everything allowed; Device for data unless HCR_EL2.DC (DDI 0487, D8.2.10).
void Walker::no_stage_one() {
  permissions_ = kStageOneOff | kStageOneRights | kIsDirty | region_shift_ << kRegionShift |
                 (context_.default_cacheable ? 0 : kDataIsDevice);
  intermediate_ = {request_.address.value};
  const bool cacheable_fetch = request_.query.kind == AccessKind::Fetch;
  if (context_.default_cacheable)
    attributes_ = {.stage_one = kNormalWriteBack, .stage_one_shareability = 0};
  else
    attributes_.stage_one = cacheable_fetch ? kNormalWriteThrough : 0;
}

/// What TCR and TTBR alone decide, before any table is read: faults at level 0.
bool Walker::range_is_good() {
  if (one_.problem == TableShape::Problem::Translation) {
    check(kRangeRule, request_.address.value, 0, false);
    return fail(Status::Translation, 0);
  }
  if (one_.problem == TableShape::Problem::None) return true;
  check(kAddressSizeRule, one_.base, one_.output_bits, false);
  return fail(Status::AddressSize, 0);
}

bool Walker::walk_stage_one() {
  if (!range_is_good()) return false;
  permissions_ = kStageOneRights;
  table_ = {one_.base};
  NestedPlace place;
  unsigned level = start_level(place);
  bool place_known = place.walked;
  for (;; ++level) {
    if (!place_known && !find_entry(level, place)) return false;
    place_known = false;
    const auto entry = read_entry(place.physical, {1, event_level(level), 0, level, request_.address.value});
    if (!entry) return fail(Status::External, level);
    const DescriptorKind kind = kind_of(*entry, one_.granule_shift, level);
    if (kind == DescriptorKind::Invalid) {
      check(kValidRule, *entry, 0, false);
      return fail(Status::Translation, level);
    }
    const std::uint64_t output = output_address(*entry, one_.granule_shift, level, kind);
    if (output >> one_.output_bits != 0) {
      check(kAddressSizeRule, output, one_.output_bits, false);
      return fail(Status::AddressSize, level);
    }
    if (kind == DescriptorKind::Leaf) return finish_stage_one(level, *entry, place);
    follow(level, *entry, place);
  }
}

/// A table descriptor: what it takes away holds for all below it (DDI 0487, D8.4.4).
void Walker::follow(unsigned level, std::uint64_t entry, const NestedPlace& place) {
  remember(place.physical, 1);
  const bool two_ranges = context_.two_ranges();
  if (has(entry, descriptor::kApTableReadOnly)) permissions_ &= ~kMayWrite;
  if (has(entry, descriptor::kApTableNoUser)) permissions_ &= ~kMayUser;
  if (has(entry, descriptor::kXnTable)) permissions_ &= ~(two_ranges ? kMayExecuteUser : kMayExecutePrivileged);
  if (two_ranges && has(entry, descriptor::kPxnTable)) permissions_ &= ~kMayExecutePrivileged;
  table_ = {output_address(entry, one_.granule_shift, level, DescriptorKind::Table)};
  pointers_[level] = {.reached = true,
                      .entry_address = place.physical,
                      .entry = entry,
                      .table = table_,
                      .table_physical = std::nullopt,
                      .permissions = permissions_};
}

/// Finds where the entry of this level lies on the memory bus.
bool Walker::find_entry(unsigned level, NestedPlace& place) {
  const GuestPhysicalAddress entry{table_.value + one_.entry_offset(request_.address.value, level)};
  const unsigned before = references_ + skipped_;
  if (!translate_nested(entry, event_level(level), checked() ? kNestedRead : 0, true, place)) return false;
  if (nested()) depths_ |= (references_ + skipped_ - before) << nested_depth_shift(level);
  if (level == 0 || !pointers_[level - 1].reached) return true;
  Pointer& pointer = pointers_[level - 1];  // It is complete now: where its table lies is known.
  const std::uint64_t offset = entry.value - table_.value;
  // Stage 2 may map the parts of a large granule's table elsewhere: then no one place can be remembered.
  if (!nested() || place.shift >= one_.granule_shift)
    pointer.table_physical = PhysicalAddress{place.physical.value - offset};
  pointer.permissions |= (place.rights & kOfTable) | depths_;
  return true;
}

void Walker::take_attributes(std::uint64_t entry) {
  attributes_.stage_one =
      static_cast<std::uint8_t>(context_.mair >> 8 * descriptor::memory_attribute_index(entry) & 0xff);
  attributes_.stage_one_shareability = static_cast<std::uint8_t>(descriptor::shareability(entry));
  if (is_device_attribute(attributes_.stage_one)) permissions_ |= kIsDevice;
}

bool Walker::finish_stage_one(unsigned level, std::uint64_t entry, const NestedPlace& place) {
  if (!has(entry, descriptor::kAccessFlag) && !one_.hardware_access_flag) {
    settled_ = false;
    check(kAccessFlagRule, 0, 1, false);
    if (checked()) return fail(Status::AccessFlag, level);
  }
  remember(place.physical, 1);
  const bool read_only = has(entry, descriptor::kReadOnly);
  const bool dirty_by_hardware = one_.hardware_dirty && has(entry, descriptor::kDirtyModifier);
  take_rights(entry, read_only && !dirty_by_hardware);
  take_attributes(entry);
  region_shift_ = level_shift(one_.granule_shift, level);
  intermediate_ = {output_address(entry, one_.granule_shift, level, DescriptorKind::Leaf) |
                   (request_.address.value & low_bits(region_shift_))};
  if (level == kLastLevel && run_agrees(place.physical, entry, one_, 1))
    region_shift_ += contiguous_shift(one_.granule_shift);
  permissions_ |= level << kStageOneLevelShift | region_shift_ << kRegionShift;
  shift_ = region_shift_;
  const auto report = [this](const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) {
    check(rule, actual, required, passed);
  };
  if (checked() && !stage_one_permits(request_.query, permissions_, report)) return fail(Status::Permission, level);
  std::uint64_t updated = entry | (one_.hardware_access_flag ? descriptor::kAccessFlag : 0);
  const bool makes_dirty = request_.query.kind == AccessKind::Write && dirty_by_hardware && marks_dirty();
  if (makes_dirty) updated &= ~descriptor::kReadOnly;
  if (!read_only || makes_dirty) permissions_ |= kIsDirty;
  return update_stage_one(place, level, entry, updated);
}

/// A block or page: what it takes away of what the tables above it left.
void Walker::take_rights(std::uint64_t entry, bool never_writable) {
  const bool two_ranges = context_.two_ranges();
  if (never_writable) permissions_ &= ~kMayWrite;
  if (!two_ranges || !has(entry, descriptor::kUserAccess)) permissions_ &= ~kMayUser;
  if (has(entry, descriptor::kExecuteNever)) permissions_ &= ~(two_ranges ? kMayExecuteUser : kMayExecutePrivileged);
  if (two_ranges && has(entry, descriptor::kPrivilegedExecuteNever)) permissions_ &= ~kMayExecutePrivileged;
  if (!two_ranges) permissions_ &= ~kMayExecuteUser;
  global_ = !two_ranges || !has(entry, descriptor::kNotGlobal);
}

/// A descriptor that hardware updates is a write to its place, which stage 2 must permit.
bool Walker::update_stage_one(NestedPlace place, unsigned level, std::uint64_t before, std::uint64_t after) {
  if (before == after) return true;
  if (nested() && checked()) {
    const bool permitted = (place.rights & kNestedMayWrite) != 0;
    if (!permitted || (place.rights & kNestedIsDirty) == 0) {
      const bool cached = std::exchange(use_caches_, false);
      const bool translated = translate_nested(place.address, event_level(level), kNestedWrite, true, place);
      use_caches_ = cached;
      if (!translated) return false;
    }
  }
  write_entry(place.physical, before, after);
  return true;
}

/// Level of the first entry to read: the start level without a hit; otherwise the table and the entry's place are
/// known.
unsigned Walker::start_level(NestedPlace& place) {
  if (!use_caches_) return one_.start_level;
  MemoryPath& path = environment_.machine.memory_path;
  const TranslationCachesConfig& config = path.translation().config();
  if (config.walk_cache_entries != 0) latency_ += config.walk_cache_latency;
  const auto held = path.walk_cache_lookup(request_.address, request_.tag);
  if (!held || page_shift(held->granule) != one_.granule_shift) return one_.start_level;
  permissions_ = held->permissions & kStageOneRights;
  depths_ = held->permissions & kNestedDepths;
  table_ = held->table;
  const unsigned next = event_level(held->level) + 1;
  const auto skip_table = [&](unsigned level) {
    skip_nested(ServedBy::PageWalkCache, event_level(level), depths_ >> nested_depth_shift(level) & 7, 0);
  };
  for (unsigned level = one_.start_level; level < next; ++level) {
    skip_table(level);
    const bool is_held = level + 1 == next;
    skip(ServedBy::PageWalkCache, {1, event_level(level), 0, level, request_.address.value},
         is_held ? held->entry_address : PhysicalAddress{}, is_held ? held->raw_entry : 0);
  }
  skip_table(next);
  const std::uint64_t offset = one_.entry_offset(request_.address.value, next);
  place = {.address = {table_.value + offset},
           .physical = {held->table_physical.value + offset},
           .shift = one_.granule_shift,
           .rights = held->permissions & kOfTable,
           .walked = true};
  return next;
}

// --- stage 2 ---------------------------------------------------------------------------------------------------------

bool Walker::translate_nested(GuestPhysicalAddress address, unsigned column, unsigned access, bool for_table,
                              NestedPlace& place) {
  place = {.address = address, .physical = {address.value}};
  if (!nested()) return true;
  bool served = false;
  if (!nested_from_cache(column, access, for_table, place, served)) return false;
  if (served) return true;
  const TableShape shape = stage_two_shape(context_, environment_.features, address);
  if (shape.problem == TableShape::Problem::Translation) {
    check(kRangeRule, address.value, 0, false);
    return fail_nested(Status::Translation, 0, address, access, for_table);
  }
  if (shape.problem == TableShape::Problem::AddressSize) {
    check(kAddressSizeRule, shape.base, shape.output_bits, false);
    return fail_nested(Status::AddressSize, 0, address, access, for_table);
  }
  if (!nested_walk(shape, column, access, for_table, place)) return false;
  if (purpose_ == Purpose::Access && nested_found_count_ < nested_found_.size())
    nested_found_[nested_found_count_++] = nested_entry(place);
  return true;
}

bool Walker::nested_walk(const TableShape& shape, unsigned column, unsigned access, bool for_table,
                         NestedPlace& place) {
  const GuestPhysicalAddress address = place.address;
  PhysicalAddress table{shape.base};
  for (unsigned level = shape.start_level;; ++level) {
    const PhysicalAddress at{table.value + shape.entry_offset(address.value, level)};
    const auto entry = read_entry(at, {2, column, event_level(level), level, address.value});
    if (!entry) return fail_nested(Status::External, level, address, access, for_table);
    const DescriptorKind kind = kind_of(*entry, shape.granule_shift, level);
    if (kind == DescriptorKind::Invalid) {
      check(kValidRule, *entry, 0, false);
      return fail_nested(Status::Translation, level, address, access, for_table);
    }
    const std::uint64_t output = output_address(*entry, shape.granule_shift, level, kind);
    if (output >> shape.output_bits != 0) {
      check(kAddressSizeRule, output, shape.output_bits, false);
      return fail_nested(Status::AddressSize, level, address, access, for_table);
    }
    if (kind == DescriptorKind::Leaf) return nested_leaf(shape, level, at, *entry, access, for_table, place);
    remember(at, 2);
    table = {output};
  }
}

bool Walker::nested_leaf(const TableShape& shape, unsigned level, PhysicalAddress at, std::uint64_t entry,
                         unsigned access, bool for_table, NestedPlace& place) {
  if (!has(entry, descriptor::kAccessFlag) && !shape.hardware_access_flag) {
    settled_ = false;
    check(kAccessFlagRule, 0, 1, false);
    if (checked()) return fail_nested(Status::AccessFlag, level, place.address, access, for_table);
  }
  remember(at, 2);
  place.shift = level_shift(shape.granule_shift, level);
  place.physical = {output_address(entry, shape.granule_shift, level, DescriptorKind::Leaf) |
                    (place.address.value & low_bits(place.shift))};
  if (level == kLastLevel && run_agrees(at, entry, shape, 2)) place.shift += contiguous_shift(shape.granule_shift);
  place.rights = nested_rights(entry, shape.hardware_dirty) | level << kStageTwoLevelShift;
  place.walked = true;
  if (!nested_permits(level, access, for_table, place)) return false;
  if (!for_table) {
    attributes_.stage_two = static_cast<std::uint8_t>(descriptor::stage_two_memory_type(entry));
    attributes_.stage_two_shareability = static_cast<std::uint8_t>(descriptor::shareability(entry));
  }
  std::uint64_t updated = entry | (shape.hardware_access_flag ? descriptor::kAccessFlag : 0);
  if ((access & kNestedWrite) != 0 && (for_table || marks_dirty())) {
    if ((place.rights & kNestedMayWrite) != 0) updated |= descriptor::kStageTwoWrite;
  }
  if (has(updated, descriptor::kStageTwoWrite)) place.rights |= kNestedIsDirty;
  write_entry(at, entry, updated);
  return true;
}

std::uint32_t Walker::nested_rights(std::uint64_t entry, bool hardware_dirty) const {
  std::uint32_t rights = has(entry, descriptor::kStageTwoRead) ? kNestedMayRead : 0;
  if (has(entry, descriptor::kStageTwoWrite) || (hardware_dirty && has(entry, descriptor::kDirtyModifier)))
    rights |= kNestedMayWrite;
  // XN[1:0] with FEAT_XNX: 0 all may execute, 1 EL0 only, 2 nobody, 3 EL1 only; without it bit 1 alone, for all.
  constexpr std::array<std::uint32_t, 4> kExecution = {kNestedMayExecutePrivileged | kNestedMayExecuteUser,
                                                       kNestedMayExecuteUser, 0, kNestedMayExecutePrivileged};
  const unsigned execute_never = descriptor::stage_two_execute_never(entry);
  rights |= kExecution[environment_.features.xnx ? execute_never : execute_never & 2];
  return (descriptor::stage_two_memory_type(entry) & 0xc) == 0 ? rights | kIsDevice : rights;
}

bool Walker::nested_permits(unsigned level, unsigned access, bool for_table, const NestedPlace& place) {
  if (!checked()) return true;
  if (for_table && context_.protected_walks && (place.rights & kIsDevice) != 0) {
    check(kProtectedWalkRule, 1, 0, false);
    return fail_nested(Status::Permission, level, place.address, access, for_table);
  }
  const unsigned allowed = nested_allowed(place.rights, request_.query.user);
  const bool permitted = (access & ~allowed) == 0;
  if (!for_table || !permitted) check(kStageTwoRule, allowed, access, permitted);
  return permitted || fail_nested(Status::Permission, level, place.address, access, for_table);
}

/// A nested TLB entry serves if stage 2 had the same root; its own rights decide, stale or not. Where a write must mark
/// the page dirty first, stage 2 itself is asked.
bool Walker::nested_from_cache(unsigned column, unsigned access, bool for_table, NestedPlace& place, bool& served) {
  if (!use_caches_) return true;
  MemoryPath& path = environment_.machine.memory_path;
  const TranslationCachesConfig& config = path.translation().config();
  if (config.nested_entries != 0) latency_ += config.nested_latency;
  const std::uint16_t machine = request_.tag.virtual_machine & ~kStageOneOffTag;
  const TlbEntry* held = path.nested_lookup(place.address, machine);
  if (held == nullptr) return true;
  const unsigned level = stage_two_level(held->permissions);
  const bool must_mark = (access & kNestedWrite) != 0 && (held->permissions & kNestedMayWrite) != 0 &&
                         (held->permissions & kNestedIsDirty) == 0;
  if (must_mark) return true;
  place.physical = {held->frame.value + (place.address.value & page_offset_mask(held->size))};
  place.shift = page_shift(held->size);
  place.rights = held->permissions & kOfTable;
  place.walked = true;
  served = true;
  const TableShape shape = stage_two_shape(context_, environment_.features, place.address);
  const unsigned references = level >= shape.start_level ? level - shape.start_level + 1 : 1;
  skip_nested(ServedBy::NestedTlb, column, references, place.address.value);
  return nested_permits(level, access, for_table, place);
}

TlbEntry Walker::nested_entry(const NestedPlace& place) const {
  const PageSize size = page_within(place.shift);
  const std::uint64_t offset = page_offset_mask(size);
  const auto machine = static_cast<std::uint16_t>(request_.tag.virtual_machine & ~kStageOneOffTag);
  return {.page = {place.address.value & ~offset},
          .frame = {place.physical.value & ~offset},
          .guest_frame = {place.address.value & ~offset},
          .size = size,
          .global = false,
          .tag = {.address_space = 0, .virtual_machine = machine},
          .permissions = place.rights | place.shift << kRegionShift,
          .root = context_.vttbr};
}

// --- references ------------------------------------------------------------------------------------------------------

/// Nothing: there is no memory at this address.
std::optional<std::uint64_t> Walker::read_entry(PhysicalAddress address, const Reference& where) {
  const MachineContext& machine = environment_.machine;
  if (!machine.memory.contains(address, 8)) return std::nullopt;
  const std::uint64_t entry = machine.memory.read(address, 8);
  if (!effects()) return entry;
  const MemoryPath::Served served = machine.memory_path.walk_access(address);
  latency_ += served.latency;
  ++references_;
  machine.events.micro(WalkReference{.number = references_,
                                     .stage = static_cast<std::uint8_t>(where.stage),
                                     .guest_level = static_cast<std::uint8_t>(where.column),
                                     .nested_level = static_cast<std::uint8_t>(where.row),
                                     .served_by = served.by,
                                     .address = address,
                                     .entry = entry,
                                     .input_address = where.input,
                                     .entry_name = descriptor_name(where.stage, where.level),
                                     .latency = served.latency});
  return entry;
}

/// The contiguous hint (DDI 0487, D8.5.5) is taken where all pages of the run say the same: then they are one page.
bool Walker::run_agrees(PhysicalAddress at, std::uint64_t entry, const TableShape& shape, unsigned stage) {
  if (!has(entry, descriptor::kContiguous | descriptor::kAccessFlag)) return false;
  const std::uint64_t pages = std::uint64_t{1} << contiguous_shift(shape.granule_shift);
  if (shape.start_level == kLastLevel && low_bits(shape.input_bits - shape.granule_shift) + 1 < pages) return false;
  const std::uint64_t first = at.value & ~(8 * pages - 1);
  const std::uint64_t mine = (at.value - first) / 8;
  const PhysicalMemory& memory = environment_.machine.memory;
  const std::uint64_t start = entry - (mine << shape.granule_shift);
  const std::uint64_t output = output_address(start, shape.granule_shift, kLastLevel, DescriptorKind::Leaf);
  if (output % (pages << shape.granule_shift) != 0) return false;
  for (std::uint64_t page = 0; page < pages; ++page) {
    if (memory.read({first + 8 * page}, 8) != start + (page << shape.granule_shift)) return false;
  }
  for (std::uint64_t page = 0; page < pages; ++page) remember({first + 8 * page}, stage);
  return true;
}

void Walker::skip(ServedBy by, const Reference& where, PhysicalAddress address, std::uint64_t entry) {
  ++skipped_;
  environment_.machine.events.micro(WalkReference{.number = 0,
                                                  .stage = static_cast<std::uint8_t>(where.stage),
                                                  .guest_level = static_cast<std::uint8_t>(where.column),
                                                  .nested_level = static_cast<std::uint8_t>(where.row),
                                                  .served_by = by,
                                                  .address = address,
                                                  .entry = entry,
                                                  .input_address = where.input,
                                                  .entry_name = descriptor_name(where.stage, where.level)});
}

void Walker::skip_nested(ServedBy by, unsigned column, unsigned count, std::uint64_t input) {
  if (count == 0) return;
  const unsigned start = stage_two_shape(context_, environment_.features, {}).start_level;
  for (unsigned level = start; level < start + count && level <= kLastLevel; ++level)
    skip(by, {2, column, event_level(level), level, input});
}

/// Updates a descriptor in memory, as hardware does: one access, which nothing else can come between.
void Walker::write_entry(PhysicalAddress address, std::uint64_t before, std::uint64_t after) {
  if (before == after) return;
  if (!effects()) {
    settled_ = false;
    return;
  }
  const MachineContext& machine = environment_.machine;
  machine.memory.write(address, 8, after);
  if (machine.engine.holds_code(address)) machine.engine.invalidate_code(address);
}

void Walker::remember(PhysicalAddress entry, unsigned stage) {
  if (environment_.watch == nullptr || !checked()) return;
  if (environment_.watch->entries.record(entry, stage)) *environment_.new_table_frames = true;
}

void Walker::check(const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) const {
  if (effects()) emit_check(environment_.machine.events, rule, actual, required, passed);
}

// --- outcomes --------------------------------------------------------------------------------------------------------

bool Walker::fail(Status status, unsigned level, unsigned stage) {
  fault_ = {.status = static_cast<std::uint8_t>(static_cast<unsigned>(status) + level),
            .stage = static_cast<std::uint8_t>(stage),
            .on_walk = false,
            .write = request_.query.kind == AccessKind::Write || request_.cache_maintenance,
            .cache_maintenance = request_.cache_maintenance,
            .external = status == Status::External,
            .address = request_.reported,
            .intermediate = {}};
  return false;
}

/// Of a stage-1 table's address the walk's own access counts: a read, or the write of an updated descriptor.
bool Walker::fail_nested(Status status, unsigned level, GuestPhysicalAddress address, unsigned access, bool for_table) {
  fail(status, level, 2);
  fault_.on_walk = for_table;
  fault_.intermediate = address;
  if (for_table) fault_.write = (access & kNestedWrite) != 0 || request_.cache_maintenance;
  return false;
}

/// What stage 2 found is good even if stage 1 then failed. So are table pointers: an architecture without a rule that a
/// fault drops them.
void Walker::fill_caches(bool translated) {
  MemoryPath& path = environment_.machine.memory_path;
  for (unsigned i = 0; i < nested_found_count_; ++i) path.nested_fill(nested_found_[i]);
  if (!translated || !context_.stage_one) return;
  for (unsigned level = 0; level < kLastLevel; ++level) {
    const Pointer& pointer = pointers_[level];
    if (!pointer.reached || !pointer.table_physical) continue;
    const PageSize granule = granule_size(one_.granule_shift);
    path.walk_cache_fill({.level = static_cast<std::uint8_t>(event_level(level)),
                          .granule = granule,
                          .address_bits = request_.address.value >> walk_cache_shift(event_level(level), granule),
                          .tag = request_.tag,
                          .root = one_.base,
                          .entry_address = pointer.entry_address,
                          .table = pointer.table,
                          .table_physical = *pointer.table_physical,
                          .raw_entry = pointer.entry,
                          .permissions = pointer.permissions});
  }
}

TlbEntry Walker::entry(PageSize held) const {
  const std::uint64_t offset = page_offset_mask(held);
  return {.page = {request_.address.value & ~offset},
          .frame = {physical_.value & ~offset},
          .guest_frame = {intermediate_.value & ~offset},
          .size = held,
          .global = global_,
          .tag = request_.tag,
          .permissions = permissions_,
          .root = context_.stage_one ? one_.base : context_.vttbr};
}

}  // namespace shearling::arm
