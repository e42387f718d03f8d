// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where an address of a guest stands in its source, from the DWARF line table of NAME.debug (or of the image itself).
// Read once, completely, into plain tables: nothing of libdw is held afterwards. Leaves out: inlining, variables,
// call frames. DWARF 5, section 6.2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace shearling {

struct SourceLocation {
  std::string file;   ///< Path of the source; absolute where the DWARF says in which folder it was assembled.
  unsigned line = 0;  ///< From 1.
  bool operator==(const SourceLocation&) const = default;
};

class SourceLines {
 public:
  /// Reads the line table of an ELF file. A file without DWARF gives an empty table; a broken one a Diagnostic.
  static Result<SourceLines> read(const std::string& path);
  /// Reads NAME.debug beside NAME.elf, or the image itself where there is none.
  static Result<SourceLines> read_beside(const std::string& image_path);

  [[nodiscard]] bool empty() const { return rows_.empty(); }
  /// The line to which the instruction at this address belongs.
  [[nodiscard]] std::optional<SourceLocation> at(std::uint64_t address) const;
  /// Addresses at which the code of a line begins, ascending. `file` may be a path or its last part(s).
  [[nodiscard]] std::vector<std::uint64_t> addresses(std::string_view file, unsigned line) const;
  /// All source files that code came from.
  [[nodiscard]] const std::vector<std::string>& files() const { return files_; }

 private:
  struct Row {
    std::uint64_t address = 0;
    std::uint32_t file = 0;
    std::uint32_t line = 0;
    bool end_of_sequence = false;  ///< Addresses from here on belong to no line.
  };
  std::vector<Row> rows_;  ///< By address.
  std::vector<std::string> files_;
};

/// The text of a source file, one string a line.
Result<std::vector<std::string>> read_source_text(const std::string& path);

}  // namespace shearling
