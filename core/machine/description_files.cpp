// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/description_files.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "core/machine/yaml_reader.h"

namespace shearling {

namespace {

namespace fs = std::filesystem;

Result<std::string> read_text(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return Diagnostic{path, 0, 0, "there is no such file", "check the path"};
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return Diagnostic{path, 0, 0, "the file cannot be read", "check its permissions"};
  return text.str();
}

bool is_path(const std::string& name_or_path) {
  return name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".yaml") ||
         name_or_path.ends_with(".yml");
}

Result<std::string> find_description(const DescriptionKind& kind, const std::string& name_or_path) {
  if (is_path(name_or_path)) return name_or_path;
  std::error_code error;
  for (const fs::path& folder : kind.folders) {
    const fs::path file = folder / (name_or_path + ".yaml");
    if (fs::is_regular_file(file, error)) return file.lexically_normal().string();
  }
  std::string remedy = "give the path of a YAML file";
  std::string_view separator = ", or one of ";
  for (const std::string& name : built_in_descriptions(kind)) {
    remedy.append(separator).append(name);
    separator = ", ";
  }
  return Diagnostic{"", 0, 0, "there is no built-in " + kind.name + " '" + name_or_path + "'", remedy};
}

/// What a description says after "extends:", or nothing. In a joined one (read_machine_description) the first document
/// extends nothing, and the others extend what stands before them. Errors are found later, by the full reading.
std::string extended_name(const std::string& text) {
  YamlReader yaml("");
  for (const YAML::Node& document : yaml.load(text)) {
    if (!document.IsMap()) continue;
    const YAML::Node base = document["extends"];
    return base.IsDefined() && base.IsScalar() ? base.Scalar() : std::string();
  }
  return {};
}

}  // namespace

std::vector<fs::path> asset_folders(const std::string& folder, const char* variable, const fs::path& in_source_tree) {
  std::vector<fs::path> folders;
  if (const char* chosen = std::getenv(variable)) folders.emplace_back(chosen);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    folders.push_back(program.parent_path() / "../share/shearling" / folder);
    folders.push_back(program.parent_path() / "../../../assets" / folder);
  }
  folders.push_back(in_source_tree);
  return folders;
}

Result<std::vector<DescriptionLayer>> read_description(const DescriptionKind& kind, const std::string& name_or_path) {
  Result<std::string> file = find_description(kind, name_or_path);
  if (!file) return file.error();
  Result<std::string> text = read_text(file.value());
  if (!text) return text.error();
  return read_description(kind, DescriptionLayer{file.value(), text.value()});
}

Result<std::vector<DescriptionLayer>> read_description(const DescriptionKind& kind, DescriptionLayer text) {
  constexpr std::size_t kMostLayers = 8;
  std::vector<DescriptionLayer> layers{std::move(text)};
  while (true) {
    const DescriptionLayer& last = layers.front();
    std::string wanted = extended_name(last.text);
    if (wanted.empty()) return layers;
    if (layers.size() == kMostLayers)
      return Diagnostic{layers.back().file, 0, 0, "more than 8 descriptions extend each other",
                        "is there a circle of 'extends'?"};
    if (is_path(wanted) && !fs::path(wanted).is_absolute())
      wanted = (fs::path(last.file).parent_path() / wanted).string();
    Result<std::string> file = find_description(kind, wanted);
    if (!file) return file.error();
    Result<std::string> read = read_text(file.value());
    if (!read) return read.error();
    layers.insert(layers.begin(), {file.value(), read.value()});
  }
}

std::vector<std::string> built_in_descriptions(const DescriptionKind& kind) {
  std::set<std::string> names;
  std::error_code error;
  for (const fs::path& folder : kind.folders) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".yaml") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace shearling
