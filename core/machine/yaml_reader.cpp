// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/yaml_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/events/spelling.h"

namespace shearling {

namespace {

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::string_view without_blanks_around(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool equal_but_for_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

YAML::Node value_of(const YAML::Node& mapping, std::string_view key) {
  for (const auto& entry : mapping) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  int base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text.remove_prefix(2);
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> parse_byte_size(std::string_view text) {
  text = without_blanks_around(text);
  if (!text.empty() && std::toupper(static_cast<unsigned char>(text.back())) == 'B') text.remove_suffix(1);
  unsigned shift = 0;
  if (!text.empty()) {
    switch (std::toupper(static_cast<unsigned char>(text.back()))) {
      case 'K':
        shift = 10;
        break;
      case 'M':
        shift = 20;
        break;
      case 'G':
        shift = 30;
        break;
      default:
        break;
    }
  }
  if (shift != 0) text.remove_suffix(1);
  const auto number = parse_number(without_blanks_around(text));
  if (!number || (*number << shift) >> shift != *number) return std::nullopt;
  return *number << shift;
}

std::optional<PageSize> parse_page_size(std::string_view text) {
  const auto bytes = parse_byte_size(text);
  if (!bytes) return std::nullopt;
  for (const PageSize size :
       {PageSize::Size4K, PageSize::Size16K, PageSize::Size64K, PageSize::Size2M, PageSize::Size1G}) {
    if (page_bytes(size) == *bytes) return size;
  }
  return std::nullopt;
}

std::vector<YAML::Node> YamlReader::load(const std::string& text) {
  try {
    return YAML::LoadAll(text);
  } catch (const YAML::Exception& error) {
    const bool placed = error.mark.line >= 0;
    diagnostics_.push_back({file_, placed ? static_cast<unsigned>(error.mark.line) + 1 + line_offset_ : 0,
                            placed ? static_cast<unsigned>(error.mark.column) + 1 + column_offset_ : 0,
                            "this is not YAML: " + error.msg,
                            "check brackets, quotes and indentation (blanks, no tabs)"});
    return {};
  }
}

unsigned YamlReader::line_of(const YAML::Node& node) const {
  const YAML::Mark mark = node.Mark();
  return mark.line < 0 ? 0 : static_cast<unsigned>(mark.line) + 1 + line_offset_;
}

unsigned YamlReader::column_of(const YAML::Node& node) const {
  const YAML::Mark mark = node.Mark();
  return mark.line < 0 ? 0 : static_cast<unsigned>(mark.column) + 1 + column_offset_;
}

void YamlReader::fail(const YAML::Node& at, std::string message, std::string remedy) {
  diagnostics_.push_back({file_, line_of(at), column_of(at), std::move(message), std::move(remedy)});
}

bool YamlReader::is_mapping(const YAML::Node& node, std::string_view what, std::span<const std::string_view> keys) {
  if (!node.IsMap()) {
    fail(node, std::string(what) + " must be a mapping", "write 'key: value' lines");
    return false;
  }
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      fail(entry.first, std::string(what) + " has a key that is not a word", spelling_remedy("", keys));
      continue;
    }
    const std::string& key = entry.first.Scalar();
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      fail(entry.first, std::string(what) + " has no key " + quoted(key), spelling_remedy(key, keys));
    else if (std::find(seen.begin(), seen.end(), key) != seen.end())
      fail(entry.first, "the key " + quoted(key) + " stands here twice", "keep one of them");
    seen.push_back(key);
  }
  return true;
}

bool YamlReader::is_list(const YAML::Node& node, std::string_view what) {
  if (node.IsSequence()) return true;
  fail(node, std::string(what) + " must be a list", "write [a, b] or lines that begin with '- '");
  return false;
}

std::optional<std::string> YamlReader::scalar(const YAML::Node& node, std::string_view what) {
  if (node.IsScalar()) return node.Scalar();
  fail(node, std::string(what) + " must be one word or text", "write it on one line, without brackets");
  return std::nullopt;
}

bool YamlReader::read(const YAML::Node& mapping, std::string_view key, std::string& out) {
  const YAML::Node node = value_of(mapping, key);
  if (!node.IsDefined()) return false;
  const auto text = scalar(node, quoted(key));
  if (text) out = *text;
  return text.has_value();
}

bool YamlReader::read(const YAML::Node& mapping, std::string_view key, bool& out) {
  static constexpr std::array<std::string_view, 6> kWords{"true", "yes", "on", "false", "no", "off"};
  const YAML::Node node = value_of(mapping, key);
  if (!node.IsDefined()) return false;
  const auto word = std::find(kWords.begin(), kWords.end(), node.IsScalar() ? node.Scalar() : std::string());
  if (word == kWords.end())
    fail(node, quoted(key) + " must be true or false", "write true or false");
  else
    out = word - kWords.begin() < 3;
  return word != kWords.end();
}

bool YamlReader::read(const YAML::Node& mapping, std::string_view key, double& out, double most) {
  const YAML::Node node = value_of(mapping, key);
  if (!node.IsDefined()) return false;
  const std::string text = node.IsScalar() ? node.Scalar() : std::string();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const bool good = !text.empty() && *end == '\0' && std::isfinite(number) && number >= 0;
  if (good && number <= most)
    out = number;
  else if (good)
    fail(node, quoted(key) + " is too large a number", most == 1 ? "at most 1" : "for example 0.047");
  else
    fail(node, quoted(key) + " must be a number, at least 0", "for example 0.047");
  return good && number <= most;
}

bool YamlReader::read(const YAML::Node& mapping, std::string_view key, float& out) {
  double number = 0;
  if (!read(mapping, key, number, std::numeric_limits<float>::max())) return false;
  out = static_cast<float>(number);
  return true;
}

std::optional<std::uint64_t> YamlReader::read_number(const YAML::Node& mapping, std::string_view key,
                                                     std::uint64_t least, std::uint64_t most) {
  const YAML::Node node = value_of(mapping, key);
  if (!node.IsDefined()) return std::nullopt;
  const auto number = node.IsScalar() ? parse_number(node.Scalar()) : std::nullopt;
  if (number && *number >= least && *number <= most) return number;
  fail(node, quoted(key) + " must be a whole number", "from " + std::to_string(least) + " to " + std::to_string(most));
  return std::nullopt;
}

bool YamlReader::read_bytes(const YAML::Node& mapping, std::string_view key, std::uint64_t& out) {
  const YAML::Node node = value_of(mapping, key);
  if (!node.IsDefined()) return false;
  const auto bytes = node.IsScalar() ? parse_byte_size(node.Scalar()) : std::nullopt;
  if (bytes)
    out = *bytes;
  else
    fail(node, quoted(key) + " must be a size", "for example 32 KB, 256 MB or 4096");
  return bytes.has_value();
}

bool YamlReader::read_choice(const YAML::Node& mapping, std::string_view key, std::span<const std::string_view> choices,
                             std::size_t& out) {
  const YAML::Node node = value_of(mapping, key);
  if (!node.IsDefined()) return false;
  const std::string word = node.IsScalar() ? node.Scalar() : std::string();
  const auto found = std::find_if(choices.begin(), choices.end(),
                                  [&](std::string_view choice) { return equal_but_for_case(choice, word); });
  if (found == choices.end()) {
    fail(node, quoted(key) + " cannot be " + quoted(word), spelling_remedy(word, choices));
    return false;
  }
  out = static_cast<std::size_t>(found - choices.begin());
  return true;
}

}  // namespace shearling
