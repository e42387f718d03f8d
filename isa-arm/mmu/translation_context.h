// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the registers say about translation: the tables of each stage and how they are shaped (DDI 0487, D8.2; TCR_ELx,
// TTBRn_ELx, VTCR_EL2, VTTBR_EL2). A context is a value, so that one can be remembered with what was cached under it.
// Where the manual leaves a choice: a reserved or absent granule is taken as 4 KB; an input size out of bounds, and a
// stage-2 start level that does not fit, are translation faults at level 0.
#pragma once

#include <cstdint>

#include "isa-arm/mmu/descriptor.h"
#include "isa-arm/mmu/mmu.h"

namespace shearling::arm {

// TlbTag::virtual_machine is the VMID for EL1&0; these stand for the other regimes, and mark what was cached of stage 2
// alone while stage 1 is off.
inline constexpr std::uint16_t kEl2Tag = 0x8000, kEl20Tag = 0xc000, kStageOneOffTag = 0x4000;

struct TranslationContext {
  Regime regime = Regime::El10;
  bool stage_one = false, stage_two = false;
  bool protected_walks = false;    ///< HCR_EL2.PTW
  bool default_cacheable = false;  ///< HCR_EL2.DC
  std::uint64_t ttbr0 = 0, ttbr1 = 0, tcr = 0, mair = 0;
  std::uint64_t vttbr = 0, vtcr = 0;
  bool operator==(const TranslationContext&) const = default;
  [[nodiscard]] bool two_ranges() const { return regime != Regime::El2; }
};
TranslationContext context_of(const ArmState& state, Regime regime);
TlbTag tag_of(const ArmState& state, Regime regime, const MmuFeatures& features);
/// Tables, sizes and all that decides how the half with this address is translated are the same.
bool same_half(const TranslationContext& a, const TranslationContext& b, VirtualAddress address);

/// The address that is looked up: without a tag in its top byte where TBI says that there may be one.
VirtualAddress strip_tag(const TranslationContext& context, VirtualAddress address);

/// One stage's tables for one input address.
struct TableShape {
  enum class Problem : std::uint8_t { None, Translation, AddressSize };
  Problem problem = Problem::None;  ///< At level 0, before any table is read.
  unsigned granule_shift = 12;
  unsigned input_bits = 48, output_bits = 48;
  unsigned start_level = 0;
  std::uint64_t base = 0;
  bool hardware_access_flag = false, hardware_dirty = false;
  [[nodiscard]] std::uint64_t entry_offset(std::uint64_t address, unsigned level) const {
    const unsigned shift = level_shift(granule_shift, level);
    const unsigned top = level == start_level ? input_bits : shift + stride_of(granule_shift);
    return (address & low_bits(top)) >> shift << 3;
  }
  [[nodiscard]] unsigned levels() const { return 4 - start_level; }
};
TableShape stage_one_shape(const TranslationContext& context, const MmuFeatures& features, VirtualAddress address);
TableShape stage_two_shape(const TranslationContext& context, const MmuFeatures& features,
                           GuestPhysicalAddress address);

/// True where a flat address (stage 1 is off) fits the implemented physical addresses.
bool fits_physical(std::uint64_t address, const MmuFeatures& features);

}  // namespace shearling::arm
