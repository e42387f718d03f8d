// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads YAML that a person wrote: every unknown key, wrong type and impossible number becomes a Diagnostic with its
// line and column, and reading goes on, so that one look shows all mistakes. Used for machine descriptions and for the
// blocks inside lessons (which lie somewhere in a larger file: the offsets).
#pragma once

#include <yaml-cpp/yaml.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "cache-sim/address.h"
#include "core/base/result.h"

namespace shearling {

/// "0x40", "64": a whole number; nothing for anything else (signs included).
std::optional<std::uint64_t> parse_number(std::string_view text);
/// "32 KB", "256M", "1 GB", "4096": bytes.
std::optional<std::uint64_t> parse_byte_size(std::string_view text);
/// "4K", "4 KB", "2M", "1G".
std::optional<PageSize> parse_page_size(std::string_view text);

class YamlReader {
 public:
  static constexpr double kMostNumber = std::numeric_limits<double>::max();

  /// `line_offset` lines of the file lie above the YAML text's first, each of whose lines is indented by
  /// `column_offset`.
  explicit YamlReader(std::string file, unsigned line_offset = 0, unsigned column_offset = 0)
      : file_(std::move(file)), line_offset_(line_offset), column_offset_(column_offset) {}

  /// All documents of the text; none (and a Diagnostic) where it is not YAML.
  std::vector<YAML::Node> load(const std::string& text);

  void fail(const YAML::Node& at, std::string message, std::string remedy);
  void fail_at(unsigned line, unsigned column, std::string message, std::string remedy) {
    diagnostics_.push_back({file_, line, column, std::move(message), std::move(remedy)});
  }
  [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }
  [[nodiscard]] bool failed() const { return !diagnostics_.empty(); }
  [[nodiscard]] unsigned line_of(const YAML::Node& node) const;
  [[nodiscard]] unsigned column_of(const YAML::Node& node) const;

  /// True for a mapping; its unknown and repeated keys are reported. `what` names it: "an L1 cache".
  bool is_mapping(const YAML::Node& node, std::string_view what, std::span<const std::string_view> keys);
  /// True for a list.
  bool is_list(const YAML::Node& node, std::string_view what);

  // Each leaves `out` alone and returns false where the key is absent; a wrong value is reported as well.
  bool read(const YAML::Node& mapping, std::string_view key, std::string& out);
  bool read(const YAML::Node& mapping, std::string_view key, bool& out);
  bool read(const YAML::Node& mapping, std::string_view key, double& out, double most = kMostNumber);
  bool read(const YAML::Node& mapping, std::string_view key, float& out);
  template <std::integral Integer>
  bool read(const YAML::Node& mapping, std::string_view key, Integer& out, std::uint64_t least = 0,
            std::uint64_t most = std::numeric_limits<Integer>::max()) {
    const auto number = read_number(mapping, key, least, most);
    if (number) out = static_cast<Integer>(*number);
    return number.has_value();
  }
  bool read_bytes(const YAML::Node& mapping, std::string_view key, std::uint64_t& out);
  /// One of the named choices, in upper or lower case; `out` receives its index.
  bool read_choice(const YAML::Node& mapping, std::string_view key, std::span<const std::string_view> choices,
                   std::size_t& out);
  /// The same for an enumeration whose enumerators have the choices' order.
  template <typename Enumeration>
  requires std::is_enum_v<Enumeration>
  bool read_choice(const YAML::Node& mapping, std::string_view key, std::span<const std::string_view> choices,
                   Enumeration& out) {
    std::size_t index = 0;
    if (!read_choice(mapping, key, choices, index)) return false;
    out = static_cast<Enumeration>(index);
    return true;
  }
  /// The text of a scalar, or nothing and a Diagnostic.
  std::optional<std::string> scalar(const YAML::Node& node, std::string_view what);

 private:
  std::optional<std::uint64_t> read_number(const YAML::Node& mapping, std::string_view key, std::uint64_t least,
                                           std::uint64_t most);

  std::string file_;
  unsigned line_offset_;
  unsigned column_offset_;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace shearling
