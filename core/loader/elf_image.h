// SPDX-License-Identifier: GPL-3.0-or-later
//
// A guest image as a loader sees it: what to copy where in physical memory, where to begin, which names its addresses
// have, and whether a multiboot-1 loader would take it. The bytes are untrusted: everything that is wrong with them is
// a Diagnostic. Takes ELF32 and ELF64, little-endian, for x86, x86-64 and AArch64, executables only.
// Leaves out: relocation, dynamic linking, compressed images, multiboot 2, modules and the multiboot information block
// (which belongs to the machine). Multiboot Specification 0.6.96, sections 3.1.1 to 3.1.3; System V gABI, chapter 5.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace shearling {

enum class ElfClass : std::uint8_t { Elf32, Elf64 };
enum class ElfMachine : std::uint8_t { X86, X86_64, AArch64 };
std::string_view name_of(ElfMachine);  ///< "x86", "x86-64", "AArch64"

/// One piece of physical memory to fill: `bytes` at `physical_address`, then zeros up to `memory_size`.
struct ElfSegment {
  std::uint64_t physical_address = 0;
  std::uint64_t virtual_address = 0;  ///< The address it is linked for; the loader does not use it.
  std::vector<std::uint8_t> bytes;
  std::uint64_t memory_size = 0;  ///< At least bytes.size().
  bool operator==(const ElfSegment&) const = default;
};

struct ElfSymbol {
  std::string name;
  std::uint64_t value = 0;
  std::uint64_t size = 0;  ///< 0 where the source does not say.
  bool global = false;     ///< Of several names of one address, the global one is shown.
  bool operator==(const ElfSymbol&) const = default;
};

/// The multiboot-1 header, found by its magic and checksum in the first 8 KB of the file.
struct MultibootHeader {
  std::uint32_t flags = 0;
  std::uint64_t file_offset = 0;
  bool operator==(const MultibootHeader&) const = default;
};

struct ElfImage {
  std::string file;  ///< As the user gave it: for messages.
  ElfClass elf_class = ElfClass::Elf32;
  ElfMachine machine = ElfMachine::X86;
  std::uint64_t entry = 0;
  std::vector<ElfSegment> segments;  ///< In the file's order (the multiboot address kludge makes it exactly one).
  std::vector<ElfSymbol> symbols;    ///< By value, global ones first. Empty if the image was stripped.
  std::optional<MultibootHeader> multiboot;

  /// The symbol of that name, or nullptr.
  [[nodiscard]] const ElfSymbol* find_symbol(std::string_view name) const;
  /// The nearest symbol at or below the address that is linked into the image's segments, or nullptr.
  [[nodiscard]] const ElfSymbol* symbol_at(std::uint64_t address) const;
  /// One past the highest physical byte that loading touches.
  [[nodiscard]] std::uint64_t physical_end() const;
};

/// Parses an image. `file` names it in messages.
Result<ElfImage> parse_elf_image(std::span<const std::uint8_t> bytes, std::string file);

/// Reads a file and parses it. Where a NAME.debug lies beside NAME.elf, its symbols replace the image's own (they are
/// not truncated to 32 bits); one that does not belong to the image is left alone.
Result<ElfImage> load_elf_image(const std::string& path);

/// What a machine demands of an image before it copies it: the right machine, a multiboot header that asks for nothing
/// that is not there (x86), an entry that lies inside a segment, and that all of it fits in RAM.
Status check_multiboot_image(const ElfImage& image, std::uint64_t ram_size);
Status check_aarch64_image(const ElfImage& image, std::uint64_t ram_base, std::uint64_t ram_size);

/// The path of the DWARF file that belongs to an image: "x.elf" has "x.debug".
std::string debug_path_of(const std::string& image_path);

}  // namespace shearling
