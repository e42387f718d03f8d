// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/loader/elf_image.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <tuple>
#include <utility>

namespace shearling {
namespace {

constexpr std::uint64_t kMaximumFileSize = 1ull << 30;
constexpr std::uint64_t kMaximumMemorySize = 1ull << 36;
constexpr std::string_view kRebuild = "build the image again; this file is damaged";

constexpr std::uint32_t kMultibootMagic = 0x1badb002;
constexpr std::uint64_t kMultibootSearchSize = 8192;
constexpr std::uint32_t kMultibootUnknownRequirements = 0xfffc;  // bits 0 and 1 ask for what every loader gives
constexpr std::uint32_t kMultibootHasAddresses = 1u << 16;

/// Offsets inside the little-endian records of both classes: the same fields, differently arranged.
struct ElfLayout {
  unsigned word;  // size of an address, offset or size field
  unsigned header_size, entry, program_offset, section_offset, program_entry_size, program_count, section_entry_size,
      section_count;
  unsigned program_size, segment_offset, segment_virtual, segment_physical, segment_file_size, segment_memory_size;
  unsigned section_size, section_file_offset, section_byte_size, section_link, section_entry;
  unsigned symbol_size, symbol_info, symbol_section, symbol_value, symbol_byte_size;
};
constexpr ElfLayout kLayout32{4,  52, 24, 28, 32, 42, 44, 46, 48, 32, 4, 8, 12,
                              16, 20, 40, 16, 20, 24, 36, 16, 12, 14, 4, 8};
constexpr ElfLayout kLayout64{8,  64, 24, 32, 40, 54, 56, 58, 60, 56, 8, 16, 24,
                              32, 40, 64, 24, 32, 40, 56, 24, 4,  6,  8, 16};

/// Reads little-endian numbers and hands out ranges; every answer is checked against the end of the file.
class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] bool holds(std::uint64_t offset, std::uint64_t length) const {
    return offset <= bytes_.size() && length <= bytes_.size() - offset;
  }
  /// Reads a number; the caller has asked holds() for the record that it lies in.
  [[nodiscard]] std::uint64_t number(std::uint64_t offset, unsigned width) const {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < width; ++i) value |= static_cast<std::uint64_t>(bytes_[offset + i]) << (8 * i);
    return value;
  }
  [[nodiscard]] std::uint32_t number32(std::uint64_t offset) const {
    return static_cast<std::uint32_t>(number(offset, 4));
  }
  [[nodiscard]] std::vector<std::uint8_t> copy(std::uint64_t offset, std::uint64_t length) const {
    const auto part = bytes_.subspan(offset, length);
    return {part.begin(), part.end()};
  }
  /// The zero-terminated text at `offset`, cut off at `end`.
  [[nodiscard]] std::string text(std::uint64_t offset, std::uint64_t end) const {
    std::string result;
    for (; offset < end && bytes_[offset] != 0; ++offset) result.push_back(static_cast<char>(bytes_[offset]));
    return result;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

class Parser {
 public:
  Parser(std::span<const std::uint8_t> bytes, std::string file) : bytes_(bytes) { image_.file = std::move(file); }

  Result<ElfImage> parse() {
    for (const auto step :
         {&Parser::parse_header, &Parser::parse_segments, &Parser::parse_multiboot, &Parser::parse_symbols})
      if (Status status = (this->*step)(); !status) return status.error();
    return std::move(image_);
  }

 private:
  [[nodiscard]] Diagnostic wrong(std::string message, std::string_view remedy = kRebuild) const {
    return {image_.file, 0, 0, std::move(message), std::string(remedy)};
  }
  [[nodiscard]] std::uint64_t field(std::uint64_t record, unsigned offset) const {
    return bytes_.number(record + offset, layout_->word);
  }
  [[nodiscard]] std::uint64_t address_limit() const { return image_.elf_class == ElfClass::Elf32 ? 1ull << 32 : ~0ull; }

  Status parse_header() {
    constexpr std::string_view kNotGuest = "give an executable ELF file (GNU as and ld make one)";
    if (!bytes_.holds(0, EI_NIDENT) || bytes_.number32(0) != 0x464c457fu)
      return wrong("this is not an ELF file", kNotGuest);
    const std::uint64_t elf_class = bytes_.number(EI_CLASS, 1);
    if (elf_class != ELFCLASS32 && elf_class != ELFCLASS64)
      return wrong("the ELF class is " + std::to_string(elf_class) + ", neither 1 (32-bit) nor 2 (64-bit)");
    image_.elf_class = elf_class == ELFCLASS32 ? ElfClass::Elf32 : ElfClass::Elf64;
    layout_ = elf_class == ELFCLASS32 ? &kLayout32 : &kLayout64;
    if (bytes_.number(EI_DATA, 1) != ELFDATA2LSB)
      return wrong("the ELF file is not little-endian", "assemble the guest for x86 or little-endian AArch64");
    if (!bytes_.holds(0, layout_->header_size)) return wrong("the ELF header is cut off");
    if (bytes_.number(EI_VERSION, 1) != EV_CURRENT) return wrong("the ELF version is not 1");
    if (const std::uint64_t type = bytes_.number(16, 2); type != ET_EXEC)
      return wrong("the ELF file is of type " + std::to_string(type) + ", not an executable (2)",
                   "link it with ld, without -shared, -pie or -r");
    if (Status status = parse_machine(); !status) return status;
    image_.entry = field(0, layout_->entry);
    return Done{};
  }

  Status parse_machine() {
    struct Known {
      std::uint64_t number;
      ElfMachine machine;
      ElfClass elf_class;
    };
    constexpr Known kKnown[] = {{EM_386, ElfMachine::X86, ElfClass::Elf32},
                                {EM_X86_64, ElfMachine::X86_64, ElfClass::Elf64},
                                {EM_AARCH64, ElfMachine::AArch64, ElfClass::Elf64}};
    const std::uint64_t number = bytes_.number(18, 2);
    const auto known = std::ranges::find(kKnown, number, &Known::number);
    if (known == std::end(kKnown))
      return wrong("the ELF file is for machine number " + std::to_string(number),
                   "assemble the guest for x86 or AArch64");
    if (known->elf_class != image_.elf_class) return wrong("the ELF class does not fit the machine that it is for");
    image_.machine = known->machine;
    return Done{};
  }

  Status parse_segments() {
    const std::uint64_t table = field(0, layout_->program_offset);
    const std::uint64_t count = bytes_.number(layout_->program_count, 2);
    if (count == 0) return wrong("the ELF file has no program headers", "link it with ld; an object file cannot run");
    if (bytes_.number(layout_->program_entry_size, 2) != layout_->program_size)
      return wrong("the program headers have a wrong size");
    if (!bytes_.holds(table, count * layout_->program_size))
      return wrong("the program headers reach beyond the end of the file");
    for (std::uint64_t i = 0; i < count; ++i)
      if (Status status = parse_segment(i, table + i * layout_->program_size); !status) return status;
    if (image_.segments.empty()) return wrong("the ELF file has nothing to load", "give it a section with code");
    return Done{};
  }

  Status parse_segment(std::uint64_t index, std::uint64_t record) {
    if (bytes_.number(record, 4) != PT_LOAD) return Done{};
    const std::string name = "segment " + std::to_string(index);
    const std::uint64_t offset = field(record, layout_->segment_offset);
    const std::uint64_t file_size = field(record, layout_->segment_file_size);
    ElfSegment segment;
    segment.virtual_address = field(record, layout_->segment_virtual);
    segment.physical_address = field(record, layout_->segment_physical);
    segment.memory_size = field(record, layout_->segment_memory_size);
    if (segment.memory_size == 0 && file_size == 0) return Done{};
    if (!bytes_.holds(offset, file_size)) return wrong(name + " reaches beyond the end of the file");
    if (segment.memory_size < file_size) return wrong(name + " has more bytes in the file than in memory");
    if (segment.physical_address >= address_limit() || segment.memory_size > address_limit() - segment.physical_address)
      return wrong(name + " reaches beyond the end of the address space");
    // Crafted headers that name the same bytes many times would make a small file fill our memory.
    file_bytes_ += file_size;
    memory_bytes_ += std::min(segment.memory_size, kMaximumMemorySize + 1);
    if (file_bytes_ > bytes_.size()) return wrong("the segments hold more bytes than the file has");
    if (memory_bytes_ > kMaximumMemorySize)
      return wrong("the segments take more than 64 GB of memory", "make the guest smaller");
    segment.bytes = bytes_.copy(offset, file_size);
    image_.segments.push_back(std::move(segment));
    return Done{};
  }

  Status parse_multiboot() {
    if (image_.machine == ElfMachine::AArch64) return Done{};
    const std::uint64_t end = std::min(bytes_.size(), kMultibootSearchSize);
    for (std::uint64_t offset = 0; offset + 12 <= end; offset += 4) {
      if (bytes_.number32(offset) != kMultibootMagic) continue;
      const std::uint32_t flags = bytes_.number32(offset + 4);
      if (static_cast<std::uint32_t>(kMultibootMagic + flags + bytes_.number32(offset + 8)) != 0) continue;
      image_.multiboot = MultibootHeader{flags, offset};
      return (flags & kMultibootHasAddresses) != 0 ? load_by_multiboot_addresses(offset) : Done{};
    }
    return Done{};
  }

  /// The "address kludge": the header itself says what to load where, and the ELF headers do not count.
  Status load_by_multiboot_addresses(std::uint64_t header) {
    const std::string name = "the multiboot header's address field";
    if (!bytes_.holds(header, 32)) return wrong("the multiboot header is cut off");
    const std::uint64_t header_address = bytes_.number32(header + 12);
    const std::uint64_t load_address = bytes_.number32(header + 16);
    const std::uint64_t load_end = bytes_.number32(header + 20);
    const std::uint64_t bss_end = bytes_.number32(header + 24);
    if (header_address < load_address || header_address - load_address > header)
      return wrong(name + "s place the load address before the file's beginning");
    const std::uint64_t offset = header - (header_address - load_address);
    if (load_end != 0 && load_end < load_address) return wrong(name + " load_end_addr lies before load_addr");
    const std::uint64_t length = load_end != 0 ? load_end - load_address : bytes_.size() - offset;
    if (!bytes_.holds(offset, length)) return wrong(name + " load_end_addr lies beyond the end of the file");
    if (bss_end != 0 && bss_end < load_address + length) return wrong(name + " bss_end_addr lies before load_end_addr");
    ElfSegment segment;
    segment.physical_address = segment.virtual_address = load_address;
    segment.bytes = bytes_.copy(offset, length);
    segment.memory_size = bss_end != 0 ? bss_end - load_address : length;
    image_.segments.assign(1, segment);
    image_.entry = bytes_.number32(header + 28);
    return Done{};
  }

  Status parse_symbols() {
    const std::uint64_t table = field(0, layout_->section_offset);
    const std::uint64_t count = bytes_.number(layout_->section_count, 2);
    if (count == 0) return Done{};
    if (bytes_.number(layout_->section_entry_size, 2) != layout_->section_size)
      return wrong("the section headers have a wrong size");
    if (!bytes_.holds(table, count * layout_->section_size))
      return wrong("the section headers reach beyond the end of the file");
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t section = table + i * layout_->section_size;
      if (bytes_.number(section + 4, 4) != SHT_SYMTAB) continue;
      const std::uint64_t strings = bytes_.number(section + layout_->section_link, 4);
      if (strings >= count) return wrong("the symbol table names a string table that does not exist");
      if (Status status = parse_symbol_table(section, table + strings * layout_->section_size); !status) return status;
      break;  // the ABI allows one symbol table
    }
    std::ranges::sort(image_.symbols, {}, [](const ElfSymbol& symbol) {
      return std::tuple(symbol.value, !symbol.global, std::string_view(symbol.name));
    });
    return Done{};
  }

  Status parse_symbol_table(std::uint64_t section, std::uint64_t string_section) {
    const std::uint64_t offset = field(section, layout_->section_file_offset);
    const std::uint64_t size = field(section, layout_->section_byte_size);
    const std::uint64_t strings = field(string_section, layout_->section_file_offset);
    const std::uint64_t strings_size = field(string_section, layout_->section_byte_size);
    if (field(section, layout_->section_entry) != layout_->symbol_size) return wrong("the symbols have a wrong size");
    if (!bytes_.holds(offset, size)) return wrong("the symbol table reaches beyond the end of the file");
    if (bytes_.number(string_section + 4, 4) != SHT_STRTAB || !bytes_.holds(strings, strings_size))
      return wrong("the symbol names reach beyond the end of the file");
    // Names that share their bytes would otherwise let a small file fill our memory.
    std::uint64_t name_bytes = 0;
    for (std::uint64_t record = offset; record + layout_->symbol_size <= offset + size;
         record += layout_->symbol_size) {
      const std::uint64_t name = bytes_.number32(record);
      if (name >= strings_size && name != 0) return wrong("a symbol's name lies outside the string table");
      if (!wanted_symbol(record)) continue;
      ElfSymbol symbol{bytes_.text(strings + name, strings + strings_size), field(record, layout_->symbol_value),
                       field(record, layout_->symbol_byte_size), is_global(record)};
      if (symbol.name.empty()) continue;
      name_bytes += symbol.name.size();
      if (name_bytes > 2 * bytes_.size()) return wrong("the symbol names are longer than the file");
      image_.symbols.push_back(std::move(symbol));
    }
    return Done{};
  }

  [[nodiscard]] bool is_global(std::uint64_t record) const {
    return (bytes_.number(record + layout_->symbol_info, 1) >> 4) != STB_LOCAL;
  }
  /// Names of places: no sections, no files, nothing undefined, and none of an assembler source's own constants.
  [[nodiscard]] bool wanted_symbol(std::uint64_t record) const {
    const std::uint64_t type = bytes_.number(record + layout_->symbol_info, 1) & 15;
    const std::uint64_t section = bytes_.number(record + layout_->symbol_section, 2);
    if (type == STT_SECTION || type == STT_FILE || section == SHN_UNDEF) return false;
    return section != SHN_ABS || is_global(record);
  }

  Bytes bytes_;
  const ElfLayout* layout_ = nullptr;
  ElfImage image_;
  std::uint64_t file_bytes_ = 0, memory_bytes_ = 0;
};

bool contains(std::uint64_t base, std::uint64_t size, std::uint64_t address) {
  return address >= base && address - base < size;
}

/// Whether a debug file was made from the same link as the image.
bool same_contents(const ElfImage& a, const ElfImage& b) {
  const auto same = [](const ElfSegment& x, const ElfSegment& y) {
    return x.physical_address == y.physical_address && x.memory_size == y.memory_size && x.bytes == y.bytes;
  };
  return a.entry == b.entry && std::ranges::equal(a.segments, b.segments, same);
}

Result<std::vector<std::uint8_t>> read_bytes(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return Diagnostic{path, 0, 0, "there is no such file", "check the path"};
  if (!std::filesystem::is_regular_file(status))
    return Diagnostic{path, 0, 0, "this is not a file", "give the path of an ELF file"};
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size > kMaximumFileSize)
    return Diagnostic{path, 0, 0, "the file is larger than 1 GB", "give a smaller image"};
  std::vector<std::uint8_t> bytes(error ? 0 : static_cast<std::size_t>(size));
  std::ifstream stream(path, std::ios::binary);
  if (error || !stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())))
    return Diagnostic{path, 0, 0, "the file cannot be read", "check its permissions"};
  return bytes;
}

Status check_segments(const ElfImage& image, std::uint64_t ram_base, std::uint64_t ram_size) {
  for (const ElfSegment& segment : image.segments) {
    const bool inside = segment.physical_address >= ram_base && segment.physical_address - ram_base <= ram_size &&
                        segment.memory_size <= ram_size - (segment.physical_address - ram_base);
    if (!inside)
      return Diagnostic{image.file, 0, 0,
                        "the image does not fit in the machine's RAM (" + std::to_string(ram_size >> 20) + " MB)",
                        "take a machine with more RAM, or link the guest for where the RAM lies"};
  }
  const auto holds_entry = [&](const ElfSegment& segment) {
    return contains(segment.physical_address, segment.memory_size, image.entry);
  };
  if (!std::ranges::any_of(image.segments, holds_entry))
    return Diagnostic{image.file, 0, 0, "the entry point lies in no segment",
                      "link the guest with ENTRY(_start) and a physical address"};
  return Done{};
}

}  // namespace

std::string_view name_of(ElfMachine machine) {
  static constexpr std::array<std::string_view, 3> kNames{"x86", "x86-64", "AArch64"};
  return kNames[static_cast<std::size_t>(machine)];
}

const ElfSymbol* ElfImage::find_symbol(std::string_view name) const {
  const auto found = std::ranges::find(symbols, name, &ElfSymbol::name);
  return found == symbols.end() ? nullptr : &*found;
}

const ElfSymbol* ElfImage::symbol_at(std::uint64_t address) const {
  for (const ElfSegment& segment : segments) {
    if (!contains(segment.virtual_address, segment.memory_size, address)) continue;
    const auto above = std::ranges::upper_bound(symbols, address, {}, &ElfSymbol::value);
    if (above == symbols.begin()) return nullptr;
    const std::uint64_t value = std::prev(above)->value;
    if (value < segment.virtual_address) return nullptr;
    return &*std::ranges::lower_bound(symbols, value, {}, &ElfSymbol::value);
  }
  return nullptr;
}

std::uint64_t ElfImage::physical_end() const {
  std::uint64_t end = 0;
  for (const ElfSegment& segment : segments) end = std::max(end, segment.physical_address + segment.memory_size);
  return end;
}

Result<ElfImage> parse_elf_image(std::span<const std::uint8_t> bytes, std::string file) {
  return Parser(bytes, std::move(file)).parse();
}

Result<ElfImage> load_elf_image(const std::string& path) {
  const auto bytes = read_bytes(path);
  if (!bytes) return bytes.error();
  auto image = parse_elf_image(bytes.value(), path);
  if (!image) return image;
  const std::string debug_path = debug_path_of(path);
  const auto debug_bytes = debug_path == path ? bytes : read_bytes(debug_path);
  if (!debug_bytes) return image;
  auto debug = parse_elf_image(debug_bytes.value(), debug_path);
  if (debug && same_contents(image.value(), debug.value())) image.value().symbols = std::move(debug.value().symbols);
  return image;
}

Status check_multiboot_image(const ElfImage& image, std::uint64_t ram_size) {
  if (image.machine == ElfMachine::AArch64)
    return Diagnostic{image.file, 0, 0, "this image is for AArch64", "run it on the machine virt (--machine virt)"};
  if (image.machine == ElfMachine::X86_64)
    return Diagnostic{image.file, 0, 0,
                      "this is a 64-bit ELF file; multiboot 1 takes 32-bit ones, 64-bit kernels included",
                      "convert it: objcopy -O elf32-i386 --strip-debug"};
  if (!image.multiboot)
    return Diagnostic{image.file, 0, 0, "there is no multiboot-1 header in the first 8 KB of the file",
                      "put magic 0x1BADB002, flags and checksum at the beginning of the image, 4-byte aligned"};
  if ((image.multiboot->flags & kMultibootUnknownRequirements) != 0)
    return Diagnostic{image.file, 0, 0,
                      "the multiboot header demands what this loader does not have (video modes or unknown flags)",
                      "clear bits 2 to 15 of its flags"};
  return check_segments(image, 0, ram_size);
}

Status check_aarch64_image(const ElfImage& image, std::uint64_t ram_base, std::uint64_t ram_size) {
  if (image.machine != ElfMachine::AArch64)
    return Diagnostic{image.file, 0, 0, "this image is for x86", "run it on the machine pc (--machine pc)"};
  return check_segments(image, ram_base, ram_size);
}

std::string debug_path_of(const std::string& image_path) {
  return std::filesystem::path(image_path).replace_extension(".debug").string();
}

}  // namespace shearling
