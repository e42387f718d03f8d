// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/loader/source_lines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "core/loader/elf_image.h"

namespace shearling {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(const std::string& path) : number_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~FileDescriptor() {
    if (number_ >= 0) close(number_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

using DwarfHandle = std::unique_ptr<Dwarf, decltype(&dwarf_end)>;
using ElfHandle = std::unique_ptr<Elf, decltype(&elf_end)>;

std::string absolute_path(const char* file, const char* compilation_folder) {
  std::filesystem::path path(file);
  if (path.is_relative() && compilation_folder != nullptr) path = std::filesystem::path(compilation_folder) / path;
  return path.lexically_normal().string();
}

const char* compilation_folder_of(Dwarf_Die* unit) {
  Dwarf_Attribute attribute;
  return dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
}

/// "kernel.S" and "guests/kernel.S" name "/x/guests/kernel.S"; "rnel.S" does not.
bool names_file(std::string_view path, std::string_view name) {
  if (path == name) return true;
  return !name.empty() && path.size() > name.size() && path.ends_with(name) &&
         path[path.size() - name.size() - 1] == '/';
}

}  // namespace

Result<SourceLines> SourceLines::read(const std::string& path) {
  const FileDescriptor descriptor(path);
  if (descriptor.number() < 0)
    return Diagnostic{path, 0, 0, "the file cannot be opened", "check the path and its permissions"};
  elf_version(EV_CURRENT);
  const ElfHandle elf(elf_begin(descriptor.number(), ELF_C_READ, nullptr), &elf_end);
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF)
    return Diagnostic{path, 0, 0, "this is not an ELF file", "give the file that ld made"};
  SourceLines lines;
  const DwarfHandle dwarf(dwarf_begin_elf(elf.get(), DWARF_C_READ, nullptr), &dwarf_end);
  if (!dwarf) return lines;

  const Diagnostic damaged{path, 0, 0, "the line table cannot be read", "assemble the guest again, with -g"};
  std::map<std::string, std::uint32_t> numbers;
  const auto number_of = [&](const std::string& file) {
    const auto [entry, added] = numbers.try_emplace(file, static_cast<std::uint32_t>(lines.files_.size()));
    if (added) lines.files_.push_back(file);
    return entry->second;
  };

  Dwarf_CU* unit = nullptr;
  Dwarf_Die unit_die;
  int unit_status = 0;
  while ((unit_status = dwarf_get_units(dwarf.get(), unit, &unit, nullptr, nullptr, &unit_die, nullptr)) == 0) {
    Dwarf_Lines* table = nullptr;
    std::size_t count = 0;
    if (dwarf_getsrclines(&unit_die, &table, &count) != 0) return damaged;
    const char* folder = compilation_folder_of(&unit_die);
    for (std::size_t i = 0; i < count; ++i) {
      Dwarf_Line* line = dwarf_onesrcline(table, i);
      Dwarf_Addr address = 0;
      int number = 0;
      bool end = false;
      const char* file = dwarf_linesrc(line, nullptr, nullptr);
      if (file == nullptr || dwarf_lineaddr(line, &address) != 0 || dwarf_lineno(line, &number) != 0 ||
          dwarf_lineendsequence(line, &end) != 0)
        return damaged;
      lines.rows_.push_back({address, number_of(absolute_path(file, folder)), static_cast<std::uint32_t>(number), end});
    }
  }
  if (unit_status < 0) return damaged;
  // Where one sequence ends and the next begins at the same address, the beginning must win: it sorts last.
  std::ranges::stable_sort(lines.rows_, {},
                           [](const Row& row) { return std::tuple(row.address, !row.end_of_sequence); });
  return lines;
}

Result<SourceLines> SourceLines::read_beside(const std::string& image_path) {
  const std::string debug_path = debug_path_of(image_path);
  return read(std::filesystem::exists(debug_path) ? debug_path : image_path);
}

std::optional<SourceLocation> SourceLines::at(std::uint64_t address) const {
  const auto above = std::ranges::upper_bound(rows_, address, {}, &Row::address);
  if (above == rows_.begin()) return std::nullopt;
  const Row& row = *std::prev(above);
  if (row.end_of_sequence) return std::nullopt;
  return SourceLocation{files_[row.file], row.line};
}

std::vector<std::uint64_t> SourceLines::addresses(std::string_view file, unsigned line) const {
  std::vector<std::uint64_t> result;
  const auto wanted = [&](const Row& row) {
    return !row.end_of_sequence && row.line == line && names_file(files_[row.file], file);
  };
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const bool continues = i > 0 && wanted(rows_[i - 1]) && rows_[i - 1].file == rows_[i].file;
    if (wanted(rows_[i]) && !continues) result.push_back(rows_[i].address);
  }
  return result;
}

Result<std::vector<std::string>> read_source_text(const std::string& path) {
  std::ifstream stream(path);
  std::error_code error;
  if (!stream || !std::filesystem::is_regular_file(path, error))
    return Diagnostic{path, 0, 0, "the source file cannot be read",
                      "build the guest on this machine, or put its source back"};
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(std::move(line));
  return lines;
}

}  // namespace shearling
