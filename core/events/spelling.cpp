// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/events/spelling.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace shearling {

namespace {
bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}
}  // namespace

unsigned edit_distance(std::string_view a, std::string_view b) {
  const std::size_t columns = b.size() + 1;
  std::vector<unsigned> table((a.size() + 1) * columns);
  const auto at = [&](std::size_t i, std::size_t j) -> unsigned& { return table[i * columns + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = static_cast<unsigned>(i);
  for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = static_cast<unsigned>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const unsigned replaced = at(i - 1, j - 1) + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
      at(i, j) = std::min({replaced, at(i - 1, j) + 1, at(i, j - 1) + 1});
      const bool swapped = i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]);
      if (swapped) at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  }
  return at(a.size(), b.size());
}

std::string_view nearest_name(std::string_view misspelt, std::span<const std::string_view> candidates) {
  std::string_view nearest;
  unsigned least = static_cast<unsigned>(misspelt.size()) / 2 + 1;  // further off it is another word
  for (const std::string_view candidate : candidates) {
    const unsigned distance = edit_distance(misspelt, candidate);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

std::string spelling_remedy(std::string_view misspelt, std::span<const std::string_view> candidates) {
  if (const std::string_view nearest = nearest_name(misspelt, candidates); !nearest.empty())
    return "did you mean '" + std::string(nearest) + "'?";
  std::string remedy = "one of ";
  for (const std::string_view candidate : candidates) {
    if (candidate != candidates.front()) remedy += ", ";
    remedy += candidate;
  }
  return remedy;
}

}  // namespace shearling
