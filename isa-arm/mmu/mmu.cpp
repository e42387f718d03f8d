// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/mmu/mmu.h"

#include <algorithm>

#include "isa-arm/mmu/mmu_implementation.h"

namespace shearling::arm {

namespace {

constexpr auto kSilent = [](const AccessRule&, std::uint64_t, std::uint64_t, bool) {};

/// The largest size of a page's pieces that a TLB of this side, or the second level, can hold.
PageSize largest_held(const TranslationCachesConfig& config, bool fetches, PageSize wanted) {
  constexpr std::array kSizes = {PageSize::Size1G, PageSize::Size2M, PageSize::Size64K, PageSize::Size16K};
  const auto holds = [](const TlbGeometry& geometry, PageSize size) {
    return std::find(geometry.page_sizes.begin(), geometry.page_sizes.end(), size) != geometry.page_sizes.end();
  };
  for (const PageSize size : kSizes) {
    if (page_shift(size) > page_shift(wanted)) continue;
    const auto& first = fetches ? config.instruction : config.data;
    if (std::any_of(first.begin(), first.end(), [&](const TlbGeometry& tlb) { return holds(tlb, size); })) return size;
    if (config.second_level && holds(*config.second_level, size)) return size;
  }
  return PageSize::Size4K;
}

// PAR_EL1 (DDI 0487, D19.2.105)
constexpr std::uint64_t kParFailed = 1, kParWalk = 1ULL << 8, kParStageTwo = 1ULL << 9, kParNonSecure = 1ULL << 9,
                        kParAlwaysOne = 1ULL << 11;
constexpr unsigned kOuterShareable = 2, kInnerShareable = 3;

/// MemAttr of stage 2 as MAIR would say it (DDI 0487, D8.5.3).
std::uint8_t as_mair(unsigned stage_two) {
  const unsigned outer = stage_two >> 2, inner = stage_two & 3;
  if (outer == 0) return static_cast<std::uint8_t>(inner << 2);
  constexpr std::array<unsigned, 4> kCacheability = {4, 4, 0xb, 0xf};
  return static_cast<std::uint8_t>(kCacheability[outer] << 4 | kCacheability[inner]);
}

constexpr bool is_device_attribute(unsigned attribute) { return (attribute & 0xf0) == 0; }

/// One of outer and inner cacheability: the weaker of the two stages, with stage 1's allocation hints.
unsigned combined_nibble(unsigned one, unsigned two) {
  constexpr unsigned kNonCacheable = 4;
  if (one == kNonCacheable || two == kNonCacheable) return kNonCacheable;
  if ((one & 0xc) == 0 || (one & 0xc) == 8) return one;
  return (two & 0xc) == 8 ? 8 | (one & 3) : one;
}

unsigned combined_attribute(unsigned one, unsigned two) {
  if (is_device_attribute(one) && is_device_attribute(two)) return std::min(one, two);
  if (is_device_attribute(one) || is_device_attribute(two)) return is_device_attribute(one) ? one : two;
  return combined_nibble(one >> 4, two >> 4) << 4 | combined_nibble(one & 15, two & 15);
}

unsigned combined_shareability(unsigned one, unsigned two) {
  if (one == kOuterShareable || two == kOuterShareable) return kOuterShareable;
  return one == kInnerShareable || two == kInnerShareable ? kInnerShareable : 0;
}

constexpr bool always_outer_shareable(unsigned attribute) {
  return is_device_attribute(attribute) || attribute == 0x44;
}

}  // namespace

Mmu::Implementation::Implementation(const MachineContext& context, const ArmState& arm_state,
                                    const MmuFeatures& mmu_features, TableWatch& table_watch)
    : machine(context), state(arm_state), features(mmu_features), watch(table_watch) {
  const TranslationCachesConfig& config = machine.memory_path.translation().config();
  for (const bool fetches : {false, true}) {
    for (unsigned size = 0; size < 5; ++size)
      held_size[fetches ? 1 : 0][size] = largest_held(config, fetches, static_cast<PageSize>(size));
  }
}

Mmu::Mmu(const MachineContext& context, const ArmState& state, const MmuFeatures& features, TableWatch& watch)
    : implementation_(std::make_unique<Implementation>(context, state, features, watch)) {}
Mmu::~Mmu() = default;

// --- translation -----------------------------------------------------------------------------------------------------

RightsQuery Mmu::Implementation::rights_query(const AccessRequest& request) const {
  const auto control = request.regime == Regime::El10 ? SystemRegister::SCTLR_EL1 : SystemRegister::SCTLR_EL2;
  return {.kind = request.kind,
          .user = request.exception_level == 0,
          .pan = features.pan && request.pan,
          .wxn = (state[control] & sctlr::kWxn) != 0,
          .two_ranges = request.regime != Regime::El2};
}

WalkRequest Mmu::Implementation::walk_request(const AccessRequest& request, const TranslationContext& context) const {
  return {.address = strip_tag(context, request.address),
          .reported = request.address,
          .query = rights_query(request),
          .tag = tag_of(state, request.regime, features),
          .cache_maintenance = request.cache_maintenance};
}

/// With stage 1 off the address itself must fit (DDI 0487, D8.2.10): an address-size fault at level 0 if not.
std::optional<TranslateResult> Mmu::Implementation::without_walk(const AccessRequest& request,
                                                                 const TranslationContext& context) const {
  if (context.stage_one) return std::nullopt;
  const VirtualAddress flat = strip_tag(context, request.address);
  if (!fits_physical(flat.value, features)) {
    return TranslationFault{.write = request.kind == AccessKind::Write || request.cache_maintenance,
                            .cache_maintenance = request.cache_maintenance,
                            .address = request.address,
                            .intermediate = {}};
  }
  if (context.stage_two) return std::nullopt;
  const bool device = request.kind != AccessKind::Fetch;
  return Translation{.physical = {flat.value},
                     .intermediate = {flat.value},
                     .page_size = PageSize::Size4K,
                     .writable_now = true,
                     .type = device ? MemoryType::Device : MemoryType::Normal};
}

TranslateResult Mmu::translate(const AccessRequest& request) {
  Implementation& mmu = *implementation_;
  const TranslationContext context = context_of(mmu.state, request.regime);
  if (auto result = mmu.without_walk(request, context)) return *result;
  const WalkRequest walk = mmu.walk_request(request, context);
  MemoryPath& path = mmu.machine.memory_path;
  const TlbEntry* held = path.lookup(walk.address, request.kind, walk.tag);
  if (held == nullptr) return mmu.walk(walk, context);
  const Implementation::Fit fits = mmu.fit(*held, walk.query);
  if (fits != Implementation::Fit::NotDirty) return mmu.from_entry(*held, request, walk, fits);
  path.drop_page(walk.address, walk.tag);
  return mmu.walk(walk, context);
}

/// A hit decides: also a refusal comes from the entry, whatever the tables say by now.
TranslateResult Mmu::Implementation::from_entry(const TlbEntry& entry, const AccessRequest& request,
                                                const WalkRequest& walk, Fit fits) const {
  const std::uint64_t offset = walk.address.value & page_offset_mask(entry.size);
  const GuestPhysicalAddress intermediate{entry.guest_frame.value + offset};
  if (fits == Fit::Serves) {
    return Translation{.physical = {entry.frame.value + offset},
                       .intermediate = intermediate,
                       .page_size = entry.size,
                       .writable_now = writable_now(entry.permissions, walk.query),
                       .type = is_device(entry.permissions, request.kind) ? MemoryType::Device : MemoryType::Normal};
  }
  constexpr unsigned kPermissionFault = 12;
  const bool stage_two = fits == Fit::StageTwoDenies;
  const unsigned level = stage_two ? stage_two_level(entry.permissions) : stage_one_level(entry.permissions);
  return TranslationFault{.status = static_cast<std::uint8_t>(kPermissionFault + level),
                          .stage = static_cast<std::uint8_t>(stage_two ? 2 : 1),
                          .write = request.kind == AccessKind::Write || request.cache_maintenance,
                          .cache_maintenance = request.cache_maintenance,
                          .address = request.address,
                          .intermediate = stage_two ? intermediate : GuestPhysicalAddress{}};
}

Mmu::Implementation::Fit Mmu::Implementation::fit(const TlbEntry& entry, const RightsQuery& query) const {
  EventStream& events = machine.events;
  const bool tell = events.wants_micro_events();
  const auto report = [&](const AccessRule& rule, std::uint64_t actual, std::uint64_t required, bool passed) {
    if (tell) emit_check(events, rule, actual, required, passed);
  };
  if (!stage_one_permits(query, entry.permissions, report)) return Fit::StageOneDenies;
  const unsigned access = nested_access(query.kind);
  const unsigned allowed = nested_allowed(entry.permissions, query.user);
  if ((access & ~allowed) != 0) {
    report(kStageTwoRule, allowed, access, false);
    return Fit::StageTwoDenies;
  }
  constexpr std::uint32_t kBothDirty = kIsDirty | kNestedIsDirty;
  if (query.kind != AccessKind::Write || (entry.permissions & kBothDirty) == kBothDirty) return Fit::Serves;
  report(kDirtyRule, 0, 1, false);
  return Fit::NotDirty;
}

bool Mmu::Implementation::writable_now(std::uint32_t permissions, RightsQuery query) const {
  constexpr std::uint32_t kNeeded = kIsDirty | kNestedIsDirty | kNestedMayWrite;
  query.kind = AccessKind::Write;
  return (permissions & kNeeded) == kNeeded && stage_one_permits(query, permissions, kSilent);
}

Translation Mmu::Implementation::translation_of(const Walker& walker, const WalkRequest& request) const {
  return {.physical = walker.physical(),
          .intermediate = walker.intermediate(),
          .page_size = walker.size(),
          .writable_now = writable_now(walker.permissions(), request.query),
          .type = is_device(walker.permissions(), request.query.kind) ? MemoryType::Device : MemoryType::Normal};
}

TranslateResult Mmu::Implementation::walk(const WalkRequest& request, const TranslationContext& context) {
  const WalkEnvironment environment = watching();
  Walker walker(environment, context, request, Walker::Purpose::Access, machine.memory_path.models_on());
  const bool translated = walker.run();
  note_table_frames();
  if (!translated) return walker.fault();
  note_walk(walker);
  const bool fetches = request.query.kind == AccessKind::Fetch;
  const PageSize held = held_size[fetches ? 1 : 0][static_cast<unsigned>(walker.size())];
  machine.memory_path.fill(walker.entry(held), request.query.kind);
  return translation_of(walker, request);
}

void Mmu::Implementation::note_walk(const Walker& walker) {
  const TlbEntry entry = walker.entry();
  if (entry.global) spaces.note_global(entry);
  if (spaces.latest(entry.tag) == nullptr) note_current_context();
}

void Mmu::Implementation::note_table_frames() {
  if (!new_table_frames) return;
  new_table_frames = false;
  machine.engine.flush_translations();
}

std::optional<Translation> Mmu::probe(const AccessRequest& request) {
  Implementation& mmu = *implementation_;
  const TranslationContext context = context_of(mmu.state, request.regime);
  if (const auto result = mmu.without_walk(request, context)) {
    const auto* translation = std::get_if<Translation>(&*result);
    return translation != nullptr ? std::optional(*translation) : std::nullopt;
  }
  const WalkRequest walk = mmu.walk_request(request, context);
  const WalkEnvironment environment = mmu.watching();
  Walker walker(environment, context, walk, Walker::Purpose::Probe);
  const bool translated = walker.run();
  mmu.note_table_frames();
  if (!translated || !walker.settled()) return std::nullopt;
  mmu.note_walk(walker);
  return mmu.translation_of(walker, walk);
}

std::optional<InspectedTranslation> Mmu::inspect(VirtualAddress address) const {
  const Implementation& mmu = *implementation_;
  const unsigned level = mmu.state.exception_level;
  const AccessRequest request{.address = address, .exception_level = level, .regime = regime_of(mmu.state, level)};
  const TranslationContext context = context_of(mmu.state, request.regime);
  if (const auto result = mmu.without_walk(request, context)) {
    const auto* flat = std::get_if<Translation>(&*result);
    if (flat == nullptr) return std::nullopt;
    return InspectedTranslation{.guest_physical = flat->intermediate,
                                .physical = flat->physical,
                                .page_size = flat->page_size,
                                .writable = true,
                                .user = true,
                                .executable = true};
  }
  const WalkEnvironment environment = mmu.looking();
  Walker walker(environment, context, mmu.walk_request(request, context), Walker::Purpose::Inspect);
  if (!walker.run()) return std::nullopt;
  const std::uint32_t rights = walker.permissions();
  return InspectedTranslation{
      .guest_physical = walker.intermediate(),
      .physical = walker.physical(),
      .page_size = walker.size(),
      .writable = (rights & kMayWrite) != 0 && (rights & kNestedMayWrite) != 0,
      .user = (rights & kMayUser) != 0,
      .executable = ((rights & kMayExecuteUser) != 0 && (rights & kNestedMayExecuteUser) != 0) ||
                    ((rights & kMayExecutePrivileged) != 0 && (rights & kNestedMayExecutePrivileged) != 0)};
}

std::optional<PhysicalAddress> Mmu::inspect_stage_two(GuestPhysicalAddress address) const {
  const Implementation& mmu = *implementation_;
  const TranslationContext context = context_of(mmu.state, Regime::El10);
  const WalkEnvironment environment = mmu.looking();
  Walker walker(environment, context, {}, Walker::Purpose::Inspect);
  Walker::NestedPlace place;
  if (!walker.translate_nested(address, 0, 0, false, place)) return std::nullopt;
  return place.physical;
}

// --- AT --------------------------------------------------------------------------------------------------------------

std::uint64_t Mmu::Implementation::par_of(const Walker& walker, bool two_stages) const {
  const Walker::Attributes& found = walker.attributes();
  unsigned attribute = found.stage_one, shareability = found.stage_one_shareability;
  if (two_stages) {
    attribute = combined_attribute(attribute, as_mair(found.stage_two));
    shareability = combined_shareability(shareability, found.stage_two_shareability);
  }
  if (always_outer_shareable(attribute)) shareability = kOuterShareable;
  const std::uint64_t address = two_stages ? walker.physical().value : walker.intermediate().value;
  return static_cast<std::uint64_t>(attribute) << 56 | (address & low_bits(48) & ~low_bits(12)) | kParAlwaysOne |
         kParNonSecure | static_cast<std::uint64_t>(shareability) << 7;
}

/// AT asks the tables, not the TLBs, and leaves nothing in them. It sets access flags where hardware does so, and never
/// marks a page dirty (DDI 0487, D8.4.6).
Mmu::AtResult Mmu::address_translate(VirtualAddress address, const AddressTranslation& what) {
  Implementation& mmu = *implementation_;
  const TranslationContext context = context_of(mmu.state, what.regime);
  const AccessRequest request{.address = address,
                              .kind = what.write ? AccessKind::Write : AccessKind::Read,
                              .exception_level = what.exception_level,
                              .regime = what.regime,
                              .pan = what.pan,
                              .cache_maintenance = true};
  WalkRequest walk = mmu.walk_request(request, context);
  walk.stage_one_only = !what.stage_two;
  const WalkEnvironment environment = mmu.watching();
  Walker walker(environment, context, walk, Walker::Purpose::Instruction);
  std::optional<TranslationFault> fault;
  if (!context.stage_one && !fits_physical(walk.address.value, mmu.features)) {
    fault = TranslationFault{.write = true, .cache_maintenance = true, .address = address, .intermediate = {}};
  } else if (!walker.run()) {
    fault = walker.fault();
  }
  mmu.note_table_frames();
  if (!fault) return {.par = mmu.par_of(walker, what.stage_two && context.stage_two), .exception = std::nullopt};
  // Of EL1's own AT S1Exy a stage-2 fault is EL2's business, and an external abort is always an exception.
  if (fault->external || (fault->on_walk && !what.stage_two && mmu.state.exception_level == 1))
    return {.par = 0, .exception = fault};
  return {.par = kParFailed | static_cast<std::uint64_t>(fault->status) << 1 | (fault->on_walk ? kParWalk : 0) |
                 (fault->stage == 2 ? kParStageTwo : 0) | kParAlwaysOne,
          .exception = std::nullopt};
}

// --- the rest of the seam --------------------------------------------------------------------------------------------

void Mmu::invalidate(const TlbInvalidation& what) { implementation_->invalidate(what); }
void Mmu::context_changed() { implementation_->context_changed(); }
void Mmu::state_restored() { implementation_->spaces.restored(); }

TlbTag Mmu::current_tag() const {
  const Implementation& mmu = *implementation_;
  return tag_of(mmu.state, regime_of(mmu.state, mmu.state.exception_level), mmu.features);
}
std::uint16_t Mmu::current_asid() const { return current_tag().address_space; }
std::uint16_t Mmu::current_vmid() const {
  const Implementation& mmu = *implementation_;
  return context_of(mmu.state, Regime::El10).stage_two ? mmu.state[SystemRegister::VTTBR_EL2] >> 48 & 0xff : 0;
}

bool Mmu::is_table_frame(PhysicalAddress address) const {
  return implementation_->watch.entries.is_table_frame(address);
}
bool Mmu::hazard() const { return implementation_->watch.hazard; }
void Mmu::clear_hazard() { implementation_->watch.hazard = false; }
bool Mmu::has_stale_entries() const { return implementation_->has_stale_entries(); }

void Mmu::table_store(PhysicalAddress address, unsigned size, std::uint64_t value) {
  TableWatch& watch = implementation_->watch;
  const PhysicalMemory& memory = implementation_->machine.memory;
  constexpr std::uint64_t kEntryBytes = 8;
  const std::uint64_t end = address.value + size;
  for (std::uint64_t at = address.value & ~(kEntryBytes - 1); at < end && !watch.hazard; at += kEntryBytes) {
    if (!watch.entries.was_used({at}, 1) && !watch.entries.was_used({at}, 2)) continue;
    const std::uint64_t before = memory.read({at}, kEntryBytes);
    std::uint64_t after = before;
    for (std::uint64_t byte = std::max(at, address.value); byte < std::min(at + kEntryBytes, end); ++byte) {
      const unsigned shift = 8 * static_cast<unsigned>(byte - at);
      const std::uint64_t stored = value >> 8 * (byte - address.value) & 0xff;
      after = (after & ~(std::uint64_t{0xff} << shift)) | stored << shift;
    }
    watch.hazard = descriptor_differs(before, after);
  }
}

}  // namespace shearling::arm
