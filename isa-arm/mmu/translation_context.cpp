// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/mmu/translation_context.h"

#include <algorithm>
#include <array>

namespace shearling::arm {

namespace {

constexpr std::array<unsigned, 8> kAddressSizes = {32, 36, 40, 42, 44, 48, 48, 48};
constexpr unsigned kMinimumTsz = 16, kMaximumTsz = 39;

/// The fields of TCR for one half; TCR_EL2 without FEAT_VHE has others than TCR_EL1.
struct RangeControl {
  unsigned tsz, granule_shift;
  bool walks_off, ignores_top_byte;
};

unsigned granule_shift_of(std::uint64_t code, std::array<unsigned, 4> shifts, const MmuFeatures& features) {
  const unsigned shift = shifts[code & 3];
  return shift == 14 && !features.granule_16k ? 12 : shift;
}
unsigned lower_granule(std::uint64_t code, const MmuFeatures& features) {
  return granule_shift_of(code, {12, 16, 14, 12}, features);
}

bool upper_half(const TranslationContext& context, VirtualAddress address) {
  return context.two_ranges() && (address.value >> 55 & 1) != 0;
}

bool ignores_top_byte(const TranslationContext& context, VirtualAddress address) {
  const unsigned bit = !context.two_ranges() ? 20 : upper_half(context, address) ? 38 : 37;
  return (context.tcr >> bit & 1) != 0;
}

RangeControl range_control(const TranslationContext& context, const MmuFeatures& features, VirtualAddress address) {
  const std::uint64_t tcr = context.tcr;
  RangeControl control{};
  control.ignores_top_byte = ignores_top_byte(context, address);
  const bool upper = upper_half(context, address);
  control.tsz = static_cast<unsigned>(bit_field(tcr, upper ? 16 : 0, 6));
  control.granule_shift = upper ? granule_shift_of(bit_field(tcr, 30, 2), {12, 14, 12, 16}, features)
                                : lower_granule(bit_field(tcr, 14, 2), features);
  control.walks_off = context.two_ranges() && (tcr >> (upper ? 23 : 7) & 1) != 0;
  return control;
}

unsigned output_bits_of(std::uint64_t size_code, const MmuFeatures& features) {
  return std::min({kAddressSizes[size_code & 7], features.physical_address_bits, 48U});
}

/// A table is aligned to its size. CnP and RES0 bits lie below.
void set_base(TableShape& shape, std::uint64_t base_register) {
  const unsigned resolved = shape.input_bits - level_shift(shape.granule_shift, shape.start_level);
  shape.base = base_register & low_bits(48) & ~low_bits(resolved + 3);
  if ((base_register & low_bits(48)) >> shape.output_bits != 0) shape.problem = TableShape::Problem::AddressSize;
}

struct StartLevel {
  bool valid;
  unsigned level;
};

/// SL0 of VTCR_EL2 (DDI 0487, D8.2.8): which level it names, and whether implementations of this address size have it.
StartLevel stage_two_start(std::uint64_t sl0, unsigned granule_shift, unsigned physical_address_bits) {
  if (sl0 == 3) return {false, 0};
  const unsigned level = static_cast<unsigned>((granule_shift == 12 ? 2 : 3) - sl0);
  if (granule_shift == 12) return {level != 0 || physical_address_bits > 42, level};
  if (granule_shift == 14) return {level != 1 || physical_address_bits > 40, level};
  return {level != 1 || physical_address_bits > 42, level};
}

}  // namespace

Regime regime_of(const ArmState& state, unsigned exception_level) {
  if (exception_level == 2) return state.e2h() ? Regime::El20 : Regime::El2;
  return exception_level == 0 && state.e2h() && state.tge() ? Regime::El20 : Regime::El10;
}

TranslationContext context_of(const ArmState& state, Regime regime) {
  using enum SystemRegister;
  if (regime != Regime::El10) {
    return {.regime = regime,
            .stage_one = (state[SCTLR_EL2] & sctlr::kM) != 0,
            .ttbr0 = state[TTBR0_EL2],
            .ttbr1 = regime == Regime::El20 ? state[TTBR1_EL2] : 0,
            .tcr = state[TCR_EL2],
            .mair = state[MAIR_EL2]};
  }
  // HCR_EL2.TGE turns stage 1 off, and with E2H the virtual machine's controls too (DDI 0487, D19.2.48).
  const bool host = state.e2h() && state.tge();
  const bool default_cacheable = state.hcr(hcr::kDc) && !host;
  TranslationContext context{
      .regime = regime,
      .stage_one = (state[SCTLR_EL1] & sctlr::kM) != 0 && !default_cacheable && !state.tge(),
      .stage_two = (state.hcr(hcr::kVm) && !host) || default_cacheable,
      .protected_walks = state.hcr(hcr::kPtw) && !state.tge(),
      .default_cacheable = default_cacheable,
      .ttbr0 = state[TTBR0_EL1],
      .ttbr1 = state[TTBR1_EL1],
      .tcr = state[TCR_EL1],
      .mair = state[MAIR_EL1],
  };
  if (context.stage_two) {
    context.vttbr = state[VTTBR_EL2] & low_bits(48);
    context.vtcr = state[VTCR_EL2];
  }
  return context;
}

TlbTag tag_of(const ArmState& state, Regime regime, const MmuFeatures& features) {
  if (regime == Regime::El2) return {.address_space = 0, .virtual_machine = kEl2Tag};
  const TranslationContext context = context_of(state, regime);
  const std::uint64_t from = (context.tcr >> 22 & 1) != 0 ? context.ttbr1 : context.ttbr0;  // TCR.A1
  const bool wide = features.asid_bits > 8 && (context.tcr >> 36 & 1) != 0;                 // TCR.AS
  const auto asid = static_cast<std::uint16_t>(from >> 48 & (wide ? 0xffff : 0xff));
  if (regime == Regime::El20) return {.address_space = asid, .virtual_machine = kEl20Tag};
  const std::uint16_t vmid = context.stage_two ? state[SystemRegister::VTTBR_EL2] >> 48 & 0xff : 0;
  if (!context.stage_one && context.stage_two)
    return {.address_space = 0, .virtual_machine = static_cast<std::uint16_t>(kStageOneOffTag | vmid)};
  return {.address_space = asid, .virtual_machine = vmid};
}

bool same_half(const TranslationContext& a, const TranslationContext& b, VirtualAddress address) {
  TranslationContext first = a, second = b;
  const bool upper = upper_half(a, address);
  for (TranslationContext* context : {&first, &second}) {
    (upper ? context->ttbr0 : context->ttbr1) = 0;
    (upper ? context->ttbr1 : context->ttbr0) &= low_bits(48);
  }
  return first == second;
}

VirtualAddress strip_tag(const TranslationContext& context, VirtualAddress address) {
  if (!ignores_top_byte(context, address)) return address;
  const std::uint64_t without = address.value & low_bits(56);
  return {context.stage_one && upper_half(context, address) ? without | ~low_bits(56) : without};
}

TableShape stage_one_shape(const TranslationContext& context, const MmuFeatures& features, VirtualAddress address) {
  const RangeControl control = range_control(context, features, address);
  TableShape shape;
  shape.granule_shift = control.granule_shift;
  const unsigned stride = stride_of(shape.granule_shift);
  const unsigned tsz = std::clamp(control.tsz, kMinimumTsz, kMaximumTsz);
  shape.input_bits = 64 - tsz;
  shape.output_bits = output_bits_of(bit_field(context.tcr, context.two_ranges() ? 32 : 16, 3), features);
  shape.start_level = 4 - (shape.input_bits - 4) / stride;
  shape.hardware_access_flag = features.hafdbs && (context.tcr >> (context.two_ranges() ? 39 : 21) & 1) != 0;
  shape.hardware_dirty = shape.hardware_access_flag && (context.tcr >> (context.two_ranges() ? 40 : 22) & 1) != 0;
  const bool upper = upper_half(context, address);
  const unsigned top = control.ignores_top_byte ? 56 : 64;
  const std::uint64_t above = (address.value & low_bits(top)) >> shape.input_bits;
  const bool in_range = above == (upper ? low_bits(top - shape.input_bits) : 0);
  set_base(shape, upper ? context.ttbr1 : context.ttbr0);
  if (tsz != control.tsz || !in_range || control.walks_off) shape.problem = TableShape::Problem::Translation;
  return shape;
}

TableShape stage_two_shape(const TranslationContext& context, const MmuFeatures& features,
                           GuestPhysicalAddress address) {
  const std::uint64_t vtcr = context.vtcr;
  TableShape shape;
  shape.granule_shift = lower_granule(bit_field(vtcr, 14, 2), features);
  const auto tsz = static_cast<unsigned>(bit_field(vtcr, 0, 6));
  shape.input_bits = 64 - std::clamp(tsz, kMinimumTsz, kMaximumTsz);
  shape.output_bits = output_bits_of(bit_field(vtcr, 16, 3), features);
  shape.hardware_access_flag = features.hafdbs && (vtcr >> 21 & 1) != 0;
  shape.hardware_dirty = shape.hardware_access_flag && (vtcr >> 22 & 1) != 0;
  const StartLevel start = stage_two_start(bit_field(vtcr, 6, 2), shape.granule_shift, features.physical_address_bits);
  shape.start_level = start.level;
  const unsigned below = level_shift(shape.granule_shift, start.level);
  // At least two entries in the first table, at most sixteen tables side by side.
  const bool fits = shape.input_bits > below && shape.input_bits <= below + stride_of(shape.granule_shift) + 4;
  if (fits) set_base(shape, context.vttbr);
  if (!fits || !start.valid || tsz != 64 - shape.input_bits || shape.input_bits > features.physical_address_bits ||
      address.value >> shape.input_bits != 0)
    shape.problem = TableShape::Problem::Translation;
  return shape;
}

bool fits_physical(std::uint64_t address, const MmuFeatures& features) {
  return address >> std::min(features.physical_address_bits, 48U) == 0;
}

}  // namespace shearling::arm
