// SPDX-License-Identifier: GPL-3.0-or-later
//
// "Did you mean": the name that a misspelt one is nearest to, for errors in lessons, machine descriptions and commands.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace shearling {

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other; case counts nothing.
unsigned edit_distance(std::string_view a, std::string_view b);
/// The candidate that is nearest to `misspelt`; empty where none is near enough to be what was meant.
std::string_view nearest_name(std::string_view misspelt, std::span<const std::string_view> candidates);
/// "did you mean 'x'?", or where nothing is near "one of a, b, c": the remedy of a Diagnostic about an unknown name.
std::string spelling_remedy(std::string_view misspelt, std::span<const std::string_view> candidates);

}  // namespace shearling
