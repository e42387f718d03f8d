// SPDX-License-Identifier: GPL-3.0-or-later
//
// Finds the YAML descriptions that come with the program (machines, cache configurations) or that a user gives as a
// path, and follows their "extends:".
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace shearling {

/// One sort of description.
struct DescriptionKind {
  std::string name;                            ///< As in "there is no built-in NAME 'x'".
  std::vector<std::filesystem::path> folders;  ///< Of the built-in ones, in the order asked.
};
/// The folders of an installed program, of a build, and of the source tree, before all of them that of the environment
/// variable: "machines", "SHEARLING_MACHINE_DIR".
[[nodiscard]] std::vector<std::filesystem::path> asset_folders(const std::string& folder, const char* variable,
                                                               const std::filesystem::path& in_source_tree);

/// One file of a chain of `extends`.
struct DescriptionLayer {
  std::string file;
  std::string text;
};

/// The description of that name or path and all that it extends, the most basic one first.
[[nodiscard]] Result<std::vector<DescriptionLayer>> read_description(const DescriptionKind& kind,
                                                                     const std::string& name_or_path);
/// The same for a text whose file is known; what it extends by a relative path is looked for beside that file.
[[nodiscard]] Result<std::vector<DescriptionLayer>> read_description(const DescriptionKind& kind,
                                                                     DescriptionLayer text);
/// Names of the built-in ones, sorted.
[[nodiscard]] std::vector<std::string> built_in_descriptions(const DescriptionKind& kind);

}  // namespace shearling
