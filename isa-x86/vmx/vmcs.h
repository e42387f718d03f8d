// SPDX-License-Identifier: GPL-3.0-or-later
//
// The virtual-machine control structure: its fields with their real encodings and widths (SDM volume 3C, section 24 and
// appendix B), read and written by encoding as VMREAD and VMWRITE do. One declared table feeds the hardware, the host,
// the control-structure view and the tests.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace shearling::x86 {

enum class VmcsField : std::uint32_t;  // Enumerators are the encodings: see vmcs_fields.h.

enum class VmcsWidth : std::uint8_t { Bits16, Bits64, Bits32, Natural };                 // Encoding bits 14:13.
enum class VmcsArea : std::uint8_t { Control, ExitInformation, GuestState, HostState };  // Encoding bits 11:10.

struct VmcsFieldInfo {
  VmcsField field;
  std::string_view name;  ///< "guest RIP", as in the manual.
  [[nodiscard]] constexpr std::uint32_t encoding() const { return static_cast<std::uint32_t>(field); }
  [[nodiscard]] constexpr VmcsWidth width() const { return static_cast<VmcsWidth>((encoding() >> 13) & 3); }
  [[nodiscard]] constexpr VmcsArea area() const { return static_cast<VmcsArea>((encoding() >> 10) & 3); }
};

/// Every field, in order of encoding.
std::span<const VmcsFieldInfo> vmcs_field_table();
std::string_view area_name(VmcsArea area);

class Vmcs {
 public:
  Vmcs();
  /// Zero-extended value. Asking for a field that is not in the table is our own bug.
  [[nodiscard]] std::uint64_t read(VmcsField field) const;
  /// Truncates to the field's width.
  void write(VmcsField field, std::uint64_t value);
  /// For guests and views: by encoding, nothing where there is no such field.
  [[nodiscard]] std::optional<std::uint64_t> read_encoding(std::uint32_t encoding) const;

  [[nodiscard]] bool launched() const { return launched_ != 0; }
  void set_launched(bool launched) { launched_ = launched ? 1 : 0; }
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(values_, launched_);
  }

 private:
  std::vector<std::uint64_t> values_;  ///< One a row of the table.
  std::uint8_t launched_ = 0;
};

}  // namespace shearling::x86
