// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/registers/encoding_index.h"

#include <cassert>
#include <vector>

#include "isa-arm/registers/trap_rules.h"

namespace shearling::arm {
namespace {

using Kind = EncodingMeaning::Kind;
constexpr std::size_t kEncodings = std::size_t{1} << 16;

struct StateFieldName {
  std::string_view name;
  SystemEncoding encoding;  ///< Without CRm: that is the immediate.
};
// MSR (immediate): DDI 0487, C6.2.
constexpr StateFieldName kStateFields[] = {
    {"PAN", {0, 0, 4, 0, 4}}, {"SPSel", {0, 0, 4, 0, 5}}, {"DAIFSet", {0, 3, 4, 0, 6}}, {"DAIFClr", {0, 3, 4, 0, 7}}};

SystemEncoding unpacked(std::size_t packed) {
  return {static_cast<std::uint8_t>(packed >> 14), static_cast<std::uint8_t>(packed >> 11 & 7),
          static_cast<std::uint8_t>(packed >> 7 & 15), static_cast<std::uint8_t>(packed >> 3 & 15),
          static_cast<std::uint8_t>(packed & 7)};
}

std::vector<EncodingMeaning> filled() {
  std::vector<EncodingMeaning> index(kEncodings);
  const auto put = [&](SystemEncoding encoding, Kind kind, std::size_t number) {
    assert(number <= 0xff);
    EncodingMeaning& place = index[encoding.packed()];
    if (place.kind == Kind::Nothing) place = {kind, static_cast<std::uint8_t>(number)};
  };
  for (const SystemRegisterInfo& info : system_register_table())
    put(info.encoding, Kind::Register, static_cast<std::size_t>(info.id));
  for (std::size_t i = 0; i < host_redirections().size(); ++i)
    put(host_redirections()[i].alias_encoding(), Kind::Alias, i);
  for (std::size_t i = 0; i < system_instruction_table().size(); ++i)
    put(system_instruction_table()[i].encoding, Kind::Instruction, i);
  for (std::size_t packed = 0; packed < kEncodings; ++packed) {
    for (std::size_t i = 0; i < encoding_spaces().size(); ++i) {
      if (encoding_spaces()[i].contains(unpacked(packed))) put(unpacked(packed), Kind::Space, i);
    }
  }
  return index;
}

}  // namespace

EncodingMeaning meaning_of(SystemEncoding encoding) {
  static const std::vector<EncodingMeaning> index = filled();
  return index[encoding.packed()];
}

std::string_view name_of(SystemEncoding encoding) {
  const EncodingMeaning meaning = meaning_of(encoding);
  switch (meaning.kind) {
    case Kind::Register:
      return system_register_table()[meaning.index].name;
    case Kind::Alias:
      return host_redirections()[meaning.index].alias;
    case Kind::Instruction:
      return system_instruction_table()[meaning.index].name;
    case Kind::Space:
      return encoding_spaces()[meaning.index].name;
    case Kind::Nothing:
      break;
  }
  for (const StateFieldName& field : kStateFields) {
    SystemEncoding without_immediate = encoding;
    without_immediate.crm = 0;
    if (field.encoding == without_immediate) return field.name;
  }
  return {};
}

}  // namespace shearling::arm
