// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where lessons and guests are found.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "core/events/spelling.h"
#include "core/lesson/lesson.h"
#include "core/machine/setup_check.h"

namespace shearling {

namespace {

namespace fs = std::filesystem;

/// Folders in the order in which they are searched: the environment's, those around the program, the source tree's.
std::vector<fs::path> folders(const char* variable, std::initializer_list<const char*> beside_program,
                              const char* built_in) {
  std::vector<fs::path> result;
  if (const char* folder = std::getenv(variable)) result.emplace_back(folder);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const char* relative : beside_program) {
    if (!error) result.push_back((program.parent_path() / relative).lexically_normal());
  }
  result.emplace_back(built_in);
  return result;
}

std::vector<fs::path> guest_folders() {
  return folders("SHEARLING_GUEST_DIR", {"../guests", "../../guests", "../share/shearling/guests"}, SHEARLING_GUESTS);
}

std::vector<fs::path> lesson_folders() {
  return folders("SHEARLING_LESSON_DIR", {"../share/shearling/lessons", "../../../lessons", "../../../../lessons"},
                 SHEARLING_LESSONS);
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

Result<std::vector<std::uint8_t>> read_bytes(const std::string& path) {
  constexpr std::uintmax_t kMostBytes = 1ULL << 30;
  std::error_code error;
  if (fs::file_size(path, error) > kMostBytes && !error)
    return Diagnostic{path, 0, 0, "this is too large for a guest image", "give an ELF file"};
  std::ifstream stream(path, std::ios::binary);
  std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream) return Diagnostic{path, 0, 0, "the file cannot be read", "check its permissions"};
  return bytes;
}

std::string nearest_guest(const std::string& name) {
  std::set<std::string> known;
  std::error_code error;
  for (const fs::path& folder : guest_folders()) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".elf") known.insert(entry.path().stem().string());
    }
  }
  if (known.empty()) return "build the guests, or give the path of an ELF file";
  const std::vector<std::string_view> names(known.begin(), known.end());
  return spelling_remedy(name, names);
}

/// A machine's YAML file lies in the lesson's folder; a bare name is a built-in one.
std::string machine_path(const std::string& machine, const std::string& folder) {
  const bool file_name = machine.ends_with(".yaml") || machine.ends_with(".yml");
  if (!file_name || fs::path(machine).is_absolute() || folder.empty()) return machine;
  return (fs::path(folder) / machine).string();
}

}  // namespace

Result<std::string> find_guest(const std::string& name_or_path, const std::string& folder) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".elf")) {
    const fs::path path = fs::path(name_or_path).is_absolute() || folder.empty() ? fs::path(name_or_path)
                                                                                 : fs::path(folder) / name_or_path;
    if (is_file(path)) return path.string();
    return Diagnostic{path.string(), 0, 0, "there is no such guest image", "check the path"};
  }
  for (const fs::path& one : guest_folders()) {
    if (const fs::path file = one / (name_or_path + ".elf"); is_file(file)) return file.string();
  }
  if (is_file(name_or_path)) return name_or_path;
  return Diagnostic{"", 0, 0, "there is no guest '" + name_or_path + "'", nearest_guest(name_or_path)};
}

namespace {

Result<MachineSetup> setup_of(const std::string& guest, const std::string& folder, VmmTechnique technique,
                              const std::string& machine) {
  Result<std::string> guest_path = find_guest(guest, folder);
  if (!guest_path) return guest_path.error();
  Result<std::vector<std::uint8_t>> image = read_bytes(guest_path.value());
  if (!image) return image.error();
  const Result<ElfImage> parsed = parse_elf_image(image.value(), guest_path.value());
  if (!parsed) return parsed.error();
  const Result<std::string> name = machine.empty() ? default_machine_for(parsed.value()) : machine;
  if (!name) return name.error();
  const std::string description = machine_path(name.value(), folder);
  const Result<MachineConfig> config = load_machine_config(description);
  if (!config) return config.error();
  if (const auto isa = check_setup(config.value(), name.value(), parsed.value(), technique); !isa) return isa.error();
  Result<std::string> yaml = read_machine_description(description);
  if (!yaml) return yaml.error();
  return MachineSetup{.guest_name = guest_path.value(),
                      .guest_image = std::move(image).value(),
                      .machine_yaml = std::move(yaml).value(),
                      .machine_name = name.value(),
                      .technique = technique};
}

}  // namespace

Result<MachineSetup> make_setup(const Lesson& lesson, const LessonMachine& machine) {
  Result<MachineSetup> setup = setup_of(machine.guest, lesson.folder, machine.technique, machine.machine);
  if (setup || !setup.error().file.empty()) return setup;
  Diagnostic error = setup.error();  // about a name: it stands in the lesson
  error.file = lesson.file;
  error.line = machine.place.line;
  error.column = machine.place.column;
  return error;
}

Result<MachineSetup> make_setup(const std::string& guest, VmmTechnique technique, const std::string& machine) {
  return setup_of(guest, {}, technique, machine);
}

std::vector<std::string> find_lessons() {
  std::error_code error;
  std::vector<std::string> found;
  for (const fs::path& folder : lesson_folders()) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (const fs::path file = entry.path() / "lesson.md"; is_file(file)) found.push_back(file.string());
    }
    if (!found.empty()) break;  // the first place that has any: not every copy of them
  }
  std::sort(found.begin(), found.end());
  return found;
}

ParsedLesson load_lesson(const std::string& id_or_path) {
  std::error_code error;
  std::string file = id_or_path;
  if (fs::is_directory(file, error)) file = (fs::path(file) / "lesson.md").string();
  if (!is_file(file)) {
    std::vector<std::string> ids;
    for (const std::string& candidate : find_lessons()) {
      ParsedLesson parsed = load_lesson(candidate);
      if (parsed.lesson.id == id_or_path) return parsed;
      ids.push_back(parsed.lesson.id);
    }
    const std::vector<std::string_view> names(ids.begin(), ids.end());
    const bool is_path = id_or_path.find('/') != std::string::npos || id_or_path.ends_with(".md");
    ParsedLesson missing;
    missing.diagnostics.push_back(
        is_path ? Diagnostic{id_or_path, 0, 0, "there is no such lesson file", "check the path"}
                : Diagnostic{"", 0, 0, "there is no lesson '" + id_or_path + "'", spelling_remedy(id_or_path, names)});
    return missing;
  }
  Result<std::vector<std::uint8_t>> bytes = read_bytes(file);
  if (!bytes) return {{}, {bytes.error()}};
  const std::vector<std::uint8_t>& text = bytes.value();
  return parse_lesson(std::string_view(reinterpret_cast<const char*>(text.data()), text.size()), file);
}

}  // namespace shearling
