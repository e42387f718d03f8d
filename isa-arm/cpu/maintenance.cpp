// SPDX-License-Identifier: GPL-3.0-or-later
//
// The system instructions: TLB maintenance, address translation, data and instruction cache maintenance (DDI 0487,
// C5.1.3). The machine's caches hold no data of their own, so cache maintenance is checked, translated and traced, and
// changes nothing but DC ZVA's memory.
#include <algorithm>
#include <array>

#include "isa-arm/cpu/arm_processor.h"

namespace shearling::arm {
namespace {

enum class Work : std::uint8_t { Invalidate, TranslateAddress, ZeroBlock, CacheByAddress, CacheByWay, CacheAll };

struct SystemInstruction {
  SystemEncoding encoding;
  std::string_view name;
  Work work = Work::CacheAll;
  // Invalidate
  TlbInvalidation::Kind kind = TlbInvalidation::Kind::All;
  bool broadcast = false, last_level = false, second_level_regime = false;
  // TranslateAddress
  std::uint8_t level = 0;
  bool write = false, both_stages = false, with_pan = false;
};

constexpr SystemEncoding at(unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return {1, static_cast<std::uint8_t>(op1), static_cast<std::uint8_t>(crn), static_cast<std::uint8_t>(crm),
          static_cast<std::uint8_t>(op2)};
}
using Kind = TlbInvalidation::Kind;
constexpr SystemInstruction tlbi(SystemEncoding encoding, std::string_view name, Kind kind, bool broadcast,
                                 bool last_level = false, bool of_el2 = false) {
  return {.encoding = encoding,
          .name = name,
          .work = Work::Invalidate,
          .kind = kind,
          .broadcast = broadcast,
          .last_level = last_level,
          .second_level_regime = of_el2};
}
constexpr SystemInstruction translate(SystemEncoding encoding, std::string_view name, unsigned level, bool write,
                                      bool both = false, bool pan = false) {
  return {.encoding = encoding,
          .name = name,
          .work = Work::TranslateAddress,
          .level = static_cast<std::uint8_t>(level),
          .write = write,
          .both_stages = both,
          .with_pan = pan};
}
constexpr SystemInstruction cache(SystemEncoding encoding, std::string_view name, Work work) {
  return {.encoding = encoding, .name = name, .work = work};
}

constexpr std::array kSystemInstructions{tlbi(at(0, 8, 3, 0), "TLBI VMALLE1IS", Kind::Vmid, true),
                                         tlbi(at(0, 8, 3, 1), "TLBI VAE1IS", Kind::Address, true),
                                         tlbi(at(0, 8, 3, 2), "TLBI ASIDE1IS", Kind::Asid, true),
                                         tlbi(at(0, 8, 3, 3), "TLBI VAAE1IS", Kind::AddressAllAsids, true),
                                         tlbi(at(0, 8, 3, 5), "TLBI VALE1IS", Kind::Address, true, true),
                                         tlbi(at(0, 8, 3, 7), "TLBI VAALE1IS", Kind::AddressAllAsids, true, true),
                                         tlbi(at(0, 8, 7, 0), "TLBI VMALLE1", Kind::Vmid, false),
                                         tlbi(at(0, 8, 7, 1), "TLBI VAE1", Kind::Address, false),
                                         tlbi(at(0, 8, 7, 2), "TLBI ASIDE1", Kind::Asid, false),
                                         tlbi(at(0, 8, 7, 3), "TLBI VAAE1", Kind::AddressAllAsids, false),
                                         tlbi(at(0, 8, 7, 5), "TLBI VALE1", Kind::Address, false, true),
                                         tlbi(at(0, 8, 7, 7), "TLBI VAALE1", Kind::AddressAllAsids, false, true),
                                         tlbi(at(4, 8, 0, 1), "TLBI IPAS2E1IS", Kind::IntermediateAddress, true),
                                         tlbi(at(4, 8, 0, 5), "TLBI IPAS2LE1IS", Kind::IntermediateAddress, true, true),
                                         tlbi(at(4, 8, 4, 1), "TLBI IPAS2E1", Kind::IntermediateAddress, false),
                                         tlbi(at(4, 8, 4, 5), "TLBI IPAS2LE1", Kind::IntermediateAddress, false, true),
                                         tlbi(at(4, 8, 3, 0), "TLBI ALLE2IS", Kind::All, true, false, true),
                                         tlbi(at(4, 8, 3, 1), "TLBI VAE2IS", Kind::Address, true, false, true),
                                         tlbi(at(4, 8, 3, 4), "TLBI ALLE1IS", Kind::All, true),
                                         tlbi(at(4, 8, 3, 5), "TLBI VALE2IS", Kind::Address, true, true, true),
                                         tlbi(at(4, 8, 3, 6), "TLBI VMALLS12E1IS", Kind::VmidStage12, true),
                                         tlbi(at(4, 8, 7, 0), "TLBI ALLE2", Kind::All, false, false, true),
                                         tlbi(at(4, 8, 7, 1), "TLBI VAE2", Kind::Address, false, false, true),
                                         tlbi(at(4, 8, 7, 4), "TLBI ALLE1", Kind::All, false),
                                         tlbi(at(4, 8, 7, 5), "TLBI VALE2", Kind::Address, false, true, true),
                                         tlbi(at(4, 8, 7, 6), "TLBI VMALLS12E1", Kind::VmidStage12, false),
                                         translate(at(0, 7, 8, 0), "AT S1E1R", 1, false),
                                         translate(at(0, 7, 8, 1), "AT S1E1W", 1, true),
                                         translate(at(0, 7, 8, 2), "AT S1E0R", 0, false),
                                         translate(at(0, 7, 8, 3), "AT S1E0W", 0, true),
                                         translate(at(0, 7, 9, 0), "AT S1E1RP", 1, false, false, true),
                                         translate(at(0, 7, 9, 1), "AT S1E1WP", 1, true, false, true),
                                         translate(at(4, 7, 8, 0), "AT S1E2R", 2, false),
                                         translate(at(4, 7, 8, 1), "AT S1E2W", 2, true),
                                         translate(at(4, 7, 8, 4), "AT S12E1R", 1, false, true),
                                         translate(at(4, 7, 8, 5), "AT S12E1W", 1, true, true),
                                         translate(at(4, 7, 8, 6), "AT S12E0R", 0, false, true),
                                         translate(at(4, 7, 8, 7), "AT S12E0W", 0, true, true),
                                         cache(at(0, 7, 1, 0), "IC IALLUIS", Work::CacheAll),
                                         cache(at(0, 7, 5, 0), "IC IALLU", Work::CacheAll),
                                         cache(at(3, 7, 5, 1), "IC IVAU", Work::CacheByAddress),
                                         cache(at(0, 7, 6, 1), "DC IVAC", Work::CacheByAddress),
                                         cache(at(0, 7, 6, 2), "DC ISW", Work::CacheByWay),
                                         cache(at(0, 7, 10, 2), "DC CSW", Work::CacheByWay),
                                         cache(at(0, 7, 14, 2), "DC CISW", Work::CacheByWay),
                                         cache(at(3, 7, 4, 1), "DC ZVA", Work::ZeroBlock),
                                         cache(at(3, 7, 10, 1), "DC CVAC", Work::CacheByAddress),
                                         cache(at(3, 7, 11, 1), "DC CVAU", Work::CacheByAddress),
                                         cache(at(3, 7, 14, 1), "DC CIVAC", Work::CacheByAddress)};

constexpr std::uint64_t kZeroBlockBytes = 64;  // DCZID_EL0.BS = 4.

/// TLBI's operand: ASID in bits 63:48, page number in bits 43:0 (IPA: 35:0).
TlbInvalidation invalidation_of(const SystemInstruction& row, std::uint64_t operand, const ArmState& state,
                                std::uint16_t vmid) {
  constexpr std::uint64_t kPageMask = (1ULL << 44) - 1, kIntermediateMask = (1ULL << 36) - 1;
  TlbInvalidation made{.kind = row.kind, .last_level_only = row.last_level, .name = row.name};
  const bool host_regime = state.e2h() && (row.second_level_regime || state.tge());
  made.regime = host_regime ? Regime::El20 : row.second_level_regime ? Regime::El2 : Regime::El10;
  made.asid = static_cast<std::uint16_t>(operand >> 48);
  made.vmid = vmid;
  const auto page = static_cast<std::int64_t>((operand & kPageMask) << 20);
  made.address = {static_cast<std::uint64_t>(page >> 8)};  // Bit 55 is carried on, as in a virtual address.
  made.intermediate = {(operand & kIntermediateMask) << 12};
  return made;
}

}  // namespace

Obstacle ArmProcessor::system_instruction() {
  const SystemEncoding encoding = SystemEncoding::of_instruction(word_);
  const unsigned operand = register_field(word_, 0);
  if (Obstacle obstacle = obstacle_of(decide_instruction(
          state_, system_->config, {.instruction = TrappableInstruction::System, .encoding = encoding, .rt = operand},
          context_.events)))
    return obstacle;
  const auto row = std::find_if(kSystemInstructions.begin(), kSystemInstructions.end(),
                                [&](const SystemInstruction& candidate) { return candidate.encoding == encoding; });
  if (row == kSystemInstructions.end()) return undefined();
  const std::uint64_t value = general(operand);
  switch (row->work) {
    case Work::Invalidate: {
      const TlbInvalidation what = invalidation_of(*row, value, state_, mmu_.current_vmid());
      if (row->broadcast || (state_.exception_level == 1 && state_.hcr(hcr::kFb)))
        system_->invalidate_everywhere(what);
      else
        invalidate(what);
      return {};
    }
    case Work::TranslateAddress:
      return translate_address({value}, {.stage_two = row->both_stages,
                                         .exception_level = row->level,
                                         .regime = regime_for_translation(row->level),
                                         .write = row->write,
                                         .pan = row->with_pan && state_.pan});
    case Work::ZeroBlock:
      return zero_block({value & ~(kZeroBlockBytes - 1)});
    case Work::CacheByAddress:
      return cache_by_address({value});
    default:
      return {};
  }
}

/// AT for EL1 and EL0 asks the EL1&0 regime, but for the host's EL0 where HCR_EL2.E2H and TGE say so.
Regime ArmProcessor::regime_for_translation(unsigned level) const {
  if (level == 2) return state_.e2h() ? Regime::El20 : Regime::El2;
  return state_.e2h() && state_.tge() ? Regime::El20 : Regime::El10;
}

void ArmProcessor::invalidate(const TlbInvalidation& what) {
  mmu_.invalidate(what);
  accesses_.translations_changed();
}

Obstacle ArmProcessor::translate_address(VirtualAddress address, const AddressTranslation& what) {
  const Mmu::AtResult result = mmu_.address_translate(address, what);
  if (result.exception) return abort_of(*result.exception, AccessKind::Read, address);
  write_register(SystemRegister::PAR_EL1, result.par);
  return {};
}

Obstacle ArmProcessor::zero_block(VirtualAddress address) {
  AccessRequest wanted = request(address, AccessKind::Write, state_.exception_level);
  wanted.cache_maintenance = true;
  const auto page = translate_page(wanted);
  if (!page) return abort_of(*refusal_, AccessKind::Write, address);
  for (std::uint64_t offset = 0; offset < kZeroBlockBytes; offset += 8) {
    PageTranslation part = *page;
    part.physical.value += offset;
    accesses_.access_physical({address.value + offset}, part, 8, AccessKind::Write, 0);
  }
  return {};
}

/// Translated as a read; a data or instruction cache operation of an address that does not translate faults.
Obstacle ArmProcessor::cache_by_address(VirtualAddress address) {
  AccessRequest wanted = request(address, AccessKind::Read, state_.exception_level);
  wanted.cache_maintenance = true;
  wanted.pan = false;
  if (translate_page(wanted)) return {};
  return abort_of(*refusal_, AccessKind::Write, address);
}

}  // namespace shearling::arm
