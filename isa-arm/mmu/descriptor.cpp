// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/mmu/descriptor.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "isa-arm/mmu/mmu.h"

namespace shearling::arm {

namespace {

constexpr std::array<std::string_view, 4> kStageOneNames = {"stage 1 L0", "stage 1 L1", "stage 1 L2", "stage 1 L3"};
constexpr std::array<std::string_view, 4> kStageTwoNames = {"stage 2 L0", "stage 2 L1", "stage 2 L2", "stage 2 L3"};
constexpr std::uint64_t kAddressField = low_bits(48) & ~low_bits(12);
constexpr std::uint64_t kSoftwareBits = low_bits(59) & ~low_bits(55);
constexpr std::uint64_t kShareabilityBits = 3ULL << 8;
constexpr std::uint64_t kIgnoredInAll = 1ULL << 63;

struct NamedField {
  std::string_view name;
  unsigned low, count;
};
constexpr std::array kTableFields = {NamedField{"APTable", 61, 2}, NamedField{"UXNTable", 60, 1},
                                     NamedField{"PXNTable", 59, 1}};
constexpr std::array kStageOneFields = {
    NamedField{"AttrIndx", 2, 3}, NamedField{"AP[2:1]", 6, 2}, NamedField{"SH", 8, 2},
    NamedField{"AF", 10, 1},      NamedField{"nG", 11, 1},     NamedField{"DBM", 51, 1},
    NamedField{"PXN", 53, 1},     NamedField{"UXN", 54, 1},    NamedField{"contiguous", 52, 1},
};
constexpr std::array kStageTwoFields = {
    NamedField{"MemAttr", 2, 4}, NamedField{"S2AP", 6, 2}, NamedField{"SH", 8, 2},          NamedField{"AF", 10, 1},
    NamedField{"DBM", 51, 1},    NamedField{"XN", 53, 2},  NamedField{"contiguous", 52, 1},
};

template <typename Fields>
void add_fields(std::string& text, const Fields& fields, std::uint64_t entry) {
  for (const NamedField& field : fields) {
    const std::uint64_t value = bit_field(entry, field.low, field.count);
    text += fmt::format("{}={:0{}b} ", field.name, value, field.count);
  }
}

}  // namespace

DescriptorKind kind_of(std::uint64_t entry, unsigned granule_shift, unsigned level) {
  if ((entry & descriptor::kValid) == 0) return DescriptorKind::Invalid;
  const bool table_or_page = (entry & descriptor::kTableOrPage) != 0;
  if (level == kLastLevel) return table_or_page ? DescriptorKind::Leaf : DescriptorKind::Invalid;
  if (table_or_page) return DescriptorKind::Table;
  return may_be_block(granule_shift, level) ? DescriptorKind::Leaf : DescriptorKind::Invalid;
}

std::uint64_t output_address(std::uint64_t entry, unsigned granule_shift, unsigned level, DescriptorKind kind) {
  const unsigned low = kind == DescriptorKind::Leaf ? level_shift(granule_shift, level) : granule_shift;
  return entry & low_bits(48) & ~low_bits(low);
}

bool descriptor_differs(std::uint64_t before, std::uint64_t after) {
  if ((before & descriptor::kValid) == 0) return false;
  const std::uint64_t access_flag_set = after & ~before & descriptor::kAccessFlag;
  return ((before ^ after) & ~(kSoftwareBits | kShareabilityBits | kIgnoredInAll | access_flag_set)) != 0;
}

std::string_view descriptor_name(unsigned stage, unsigned level) {
  return (stage == 1 ? kStageOneNames : kStageTwoNames)[level & 3];
}

std::string describe_descriptor(std::string_view name, std::uint64_t entry) {
  const unsigned level = name.empty() ? kLastLevel : static_cast<unsigned>(name.back() - '0') & 3;
  const bool stage_two = name.starts_with("stage 2");
  if ((entry & descriptor::kValid) == 0)
    return fmt::format("valid=0: invalid; the other bits ({:#x}) mean nothing", entry);
  const bool table_bit = (entry & descriptor::kTableOrPage) != 0;
  if (level == kLastLevel && !table_bit) return "valid=1 page=0: reserved at level 3, taken as invalid";
  std::string text = fmt::format("valid=1 {}={} ", level == kLastLevel ? "page" : "table", table_bit ? 1 : 0);
  const bool table = level != kLastLevel && table_bit;
  if (table && !stage_two) add_fields(text, kTableFields, entry);
  if (!table && stage_two) add_fields(text, kStageTwoFields, entry);
  if (!table && !stage_two) add_fields(text, kStageOneFields, entry);
  text += fmt::format("{} {:#x}",
                      table                 ? "next table"
                      : level == kLastLevel ? "page at"
                                            : "block at",
                      entry & kAddressField);
  return text;
}

}  // namespace shearling::arm
