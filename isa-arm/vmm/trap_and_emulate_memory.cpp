// SPDX-License-Identifier: GPL-3.0-or-later
//
// Aborts of a guest whose whole translation is shadow tables: pages that these do not have yet, faults that are the
// guest's own, and devices.
#include "isa-arm/cpu/decoder.h"
#include "isa-arm/mmu/walker.h"
#include "isa-arm/vmm/trap_and_emulate_host.h"

namespace shearling::arm {
namespace {

/// ISS of aborts (DDI 0487, D19.2.37), and of it what load_store_syndrome() gives.
namespace abort_iss {
constexpr std::uint64_t kSignExtend = 1U << 21, kSixtyFour = 1U << 15, kCacheMaintenance = 1U << 8, kWrite = 1U << 6;
constexpr std::uint8_t kExternal = 0x10, kExternalOnWalk = 0x14;  ///< The latter plus the level.
constexpr std::uint8_t status_of(std::uint64_t iss) { return static_cast<std::uint8_t>(iss & 0x3f); }
constexpr unsigned size_of(std::uint64_t iss) { return 1U << (iss >> 22 & 3); }
constexpr unsigned register_of(std::uint64_t iss) { return iss >> 16 & 31; }
}  // namespace abort_iss

/// What shadow tables can mend: translation and permission faults.
constexpr bool is_of_the_tables(std::uint8_t status) { return (status >> 2) == 1 || (status >> 2) == 3; }

constexpr SystemEncoding kZeroBlock{1, 3, 7, 4, 1};  ///< DC ZVA

MmuFeatures features_of(const MachineConfig& config) {
  return {.pan = has_feature(config, "pan"),
          .granule_16k = has_feature(config, "granule-16k"),
          .xnx = has_feature(config, "xnx")};
}

void ignore_rule(const AccessRule&, std::uint64_t, std::uint64_t, bool) {}

}  // namespace

ShadowKey TrapAndEmulateHost::shadow_key() const {
  const std::uint64_t control = guest_[R::SCTLR_EL1] & (sctlr::kM | sctlr::kWxn);
  if ((control & sctlr::kM) == 0) return {.tcr = guest_[R::TCR_EL1]};
  return {.control = control,
          .ttbr0 = guest_[R::TTBR0_EL1],
          .ttbr1 = guest_[R::TTBR1_EL1],
          .tcr = guest_[R::TCR_EL1],
          .user = level() == 0 ? 1U : 0U,
          .pan = level() == 1 && guest_.pan ? 1U : 0U};
}

TrapAndEmulateHost::GuestAccess TrapAndEmulateHost::own_access(VirtualAddress address, AccessKind kind) const {
  const bool user = level() == 0;
  return {.address = address, .kind = kind, .user = user, .pan = guest_.pan && !user && kind != AccessKind::Fetch};
}

/// The guest's own stage 1 (DDI 0487, D8.2), by the registers that it believes to have. Its tables may lie in its RAM
/// only: the VMM's frames are no memory for it.
TrapAndEmulateHost::GuestTranslation TrapAndEmulateHost::walk(const GuestAccess& access) const {
  const MmuFeatures features = features_of(guest_config_);
  const TranslationContext translation = context_of(guest_, Regime::El10);
  const VirtualAddress address = strip_tag(translation, access.address);
  if (!translation.stage_one && !fits_physical(address.value, features)) return {};
  const TableShape shape = stage_one_shape(translation, features, address);
  const bool has_tables = translation.stage_one && shape.problem == TableShape::Problem::None;
  if (has_tables && !is_ram(shape.base))
    return {.status = static_cast<std::uint8_t>(abort_iss::kExternalOnWalk + shape.start_level)};
  const WalkEnvironment environment{.machine = context_, .features = features};
  const WalkRequest request{.address = address,
                            .reported = access.address,
                            .query = {.kind = access.kind,
                                      .user = access.user,
                                      .pan = features.pan && access.pan,
                                      .wxn = (guest_[R::SCTLR_EL1] & sctlr::kWxn) != 0,
                                      .two_ranges = true},
                            .tag = {},
                            .cache_maintenance = access.cache_maintenance};
  Walker walker(environment, translation, request, Walker::Purpose::Probe);
  const bool found = walker.run();
  for (unsigned at = has_tables ? shape.start_level : kLastLevel; at < kLastLevel; ++at) {
    const Walker::Pointer& pointer = walker.pointer(at);
    if (pointer.reached && !is_ram(pointer.table.value))
      return {.status = static_cast<std::uint8_t>(abort_iss::kExternalOnWalk + at + 1)};
  }
  if (!found) return {.status = walker.fault().status};
  return {.found = true,
          .address = walker.intermediate(),
          .permissions = walker.permissions(),
          .attribute = walker.attributes().stage_one,
          .shareability = walker.attributes().stage_one_shareability};
}

bool TrapAndEmulateHost::permits(const GuestAccess& access, std::uint32_t permissions) const {
  const bool pan = has_feature(guest_config_, "pan") && access.pan;
  return stage_one_permits({.kind = access.kind,
                            .user = access.user,
                            .pan = pan,
                            .wxn = (guest_[R::SCTLR_EL1] & sctlr::kWxn) != 0,
                            .two_ranges = true},
                           permissions, ignore_rule);
}

// --- aborts ----------------------------------------------------------------------------------------------------------

void TrapAndEmulateHost::on_fetch_abort() { on_abort(own_access({read(R::FAR_EL1)}, AccessKind::Fetch)); }

void TrapAndEmulateHost::on_data_abort() {
  const std::uint64_t iss = read(R::ESR_EL1);
  const bool maintenance = (iss & abort_iss::kCacheMaintenance) != 0;
  bool writes = (iss & abort_iss::kWrite) != 0;
  // Cache maintenance is reported as a write, but only DC ZVA needs a page that may be written.
  if (maintenance) writes = SystemEncoding::of_instruction(instruction()) == kZeroBlock;
  GuestAccess access = own_access({read(R::FAR_EL1)}, writes ? AccessKind::Write : AccessKind::Read);
  access.cache_maintenance = maintenance;
  if (maintenance && !writes) access.pan = false;
  on_abort(access);
}

void TrapAndEmulateHost::on_abort(const GuestAccess& access) {
  const std::uint8_t reported = abort_iss::status_of(read(R::ESR_EL1));
  if (!is_of_the_tables(reported)) {
    inject_abort(access, reported);
    return;
  }
  const GuestTranslation translation = walk(access);
  if (!translation.found) {
    act(actions::kShadowFault, access.address.value, translation.status);
    inject_abort(access, translation.status);
    return;
  }
  act(actions::kShadowWalk, access.address.value, translation.address.value);
  if (is_ram(translation.address.value))
    map(access, translation);
  else if (access.kind == AccessKind::Fetch || !context_.devices.claims_memory({translation.address.value}))
    inject_abort(access, abort_iss::kExternal);
  else if (access.cache_maintenance)
    skip_instruction();  // Devices are not cached.
  else
    emulate_device_access(translation.address);
}

void TrapAndEmulateHost::map(const GuestAccess& access, const GuestTranslation& translation) {
  constexpr std::uint64_t kOffset = kFrameBytes - 1;
  const auto permitted = [&](AccessKind kind) {
    return permits(own_access(access.address, kind), translation.permissions);
  };
  if (shadow_.is_full()) {
    clear_shadow_tables();
    return;  // The entry that follows makes new ones, and the access faults once more.
  }
  const ShadowSpace* space = shadow_.find(shadow_key());
  const ShadowTables::Mapping mapping =
      shadow_.map(*core_, *space, access.address, {translation.address.value & ~kOffset},
                  {permitted(AccessKind::Read), permitted(AccessKind::Write), permitted(AccessKind::Fetch)});
  if (mapping.tables_added != 0) act(actions::kShadowTable, mapping.tables_added);
  act(actions::kShadowMap, access.address.value & ~kOffset, mapping.entry);
  if (mapping.useless)
    give_up("gives the virtual machine up: a fault ({a}) at {b} that the shadow tables do not explain");
  if (mapping.changed)
    core_->invalidate(
        {.kind = TlbInvalidation::Kind::AddressAllAsids, .address = access.address, .name = "TLBI VAAE1"});
}

/// Class and syndrome as the guest's own level would have found them.
void TrapAndEmulateHost::inject_abort(const GuestAccess& access, std::uint8_t status) {
  const bool fetch = access.kind == AccessKind::Fetch;
  const auto kept =
      static_cast<std::uint32_t>(fetch ? 0
                                       : (access.cache_maintenance ? abort_iss::kWrite | abort_iss::kCacheMaintenance
                                          : access.kind == AccessKind::Write ? abort_iss::kWrite
                                                                             : 0));
  const bool same = level() == 1;
  const ExceptionClass exception_class =
      fetch  ? same ? ExceptionClass::InstructionAbortSame : ExceptionClass::InstructionAbortLower
      : same ? ExceptionClass::DataAbortSame
             : ExceptionClass::DataAbortLower;
  guest_[R::FAR_EL1] = access.address.value;
  inject(ExceptionKind::Synchronous, {.exception_class = exception_class, .iss = kept | status});
}

void TrapAndEmulateHost::clear_shadow_tables() {
  const std::uint64_t entries = shadow_.clear(*core_);
  core_->invalidate({.kind = TlbInvalidation::Kind::Vmid, .name = "TLBI VMALLE1"});
  act(actions::kShadowClear, entries);
}

// --- devices ---------------------------------------------------------------------------------------------------------

void TrapAndEmulateHost::emulate_device_access(GuestPhysicalAddress address) {
  const std::uint32_t word = instruction();
  const std::optional<std::uint32_t> decoded = load_store_syndrome(word);
  if (!decoded) {
    give_up(
        "gives the virtual machine up: the instruction at {b} accesses a device, and this VMM decodes only loads "
        "and stores of one register without writeback");
    return;
  }
  const unsigned size = abort_iss::size_of(*decoded), target = abort_iss::register_of(*decoded);
  const std::uint64_t mask = size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
  if ((read(R::ESR_EL1) & abort_iss::kWrite) != 0) {
    const std::uint64_t value = core_->general(target) & mask;
    act(actions::kDeviceWrite, address.value, value);
    context_.devices.memory_write({address.value}, size, value);
  } else {
    std::uint64_t value = context_.devices.memory_read({address.value}, size);
    act(actions::kDeviceRead, address.value, value);
    const std::uint64_t sign = std::uint64_t{1} << (8 * size - 1);
    if ((*decoded & abort_iss::kSignExtend) != 0) value = (value ^ sign) - sign;
    if ((*decoded & abort_iss::kSixtyFour) == 0) value &= 0xffffffff;
    core_->set_general(target, value);
  }
  skip_instruction();
}

}  // namespace shearling::arm
