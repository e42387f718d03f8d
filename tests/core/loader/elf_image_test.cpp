// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include "core/loader/elf_image.h"

using namespace shearling;

namespace {

using Content = std::vector<std::uint8_t>;

std::string guest(const std::string& file) { return std::string(SHEARLING_BINARY_DIR "/guests/") + file; }

Content read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const Content& content) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
}

std::uint64_t get(const Content& content, std::size_t offset, unsigned width) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < width; ++i) value |= static_cast<std::uint64_t>(content[offset + i]) << (8 * i);
  return value;
}

void put(Content& content, std::size_t offset, unsigned width, std::uint64_t value) {
  for (unsigned i = 0; i < width; ++i) content[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// Where things lie in an ELF32 file; the first program header follows the file header.
constexpr std::size_t kHeader32 = 52, kSegment32 = kHeader32;
constexpr std::size_t kHeader64 = 64, kSegment64 = kHeader64;

/// The offset of the symbol table's section header in an ELF32 file.
std::size_t symbol_section(const Content& content) {
  const std::size_t table = get(content, 32, 4), count = get(content, 48, 2);
  for (std::size_t i = 0; i < count; ++i)
    if (get(content, table + i * 40 + 4, 4) == 2) return table + i * 40;
  return 0;
}

QByteArray text_of(const Diagnostic& diagnostic) { return QByteArray::fromStdString(diagnostic.text()); }

/// What must hold of any image that the parser lets through, whatever its bytes were.
bool consistent(const ElfImage& image, std::size_t file_size) {
  std::uint64_t bytes = 0;
  for (const ElfSegment& segment : image.segments) {
    bytes += segment.bytes.size();
    if (segment.memory_size < segment.bytes.size()) return false;
    if (segment.physical_address + segment.memory_size < segment.physical_address) return false;
  }
  const auto order = [](const ElfSymbol& a, const ElfSymbol& b) { return a.value < b.value; };
  return bytes <= file_size && !image.segments.empty() && std::ranges::is_sorted(image.symbols, order);
}

}  // namespace

class ElfImageTest : public QObject {
  Q_OBJECT

 private slots:
  void a_guest_is_read_as_its_linker_script_lays_it_out() {
    const auto image = load_elf_image(guest("privilege-levels.elf"));
    QVERIFY2(image.ok(), image.ok() ? "" : text_of(image.error()));
    const ElfImage& guest_image = image.value();
    QVERIFY(guest_image.elf_class == ElfClass::Elf32 && guest_image.machine == ElfMachine::X86);
    QCOMPARE(guest_image.segments.size(), std::size_t{3});
    QCOMPARE(guest_image.segments[0].physical_address, std::uint64_t{0x100000});
    QVERIFY(guest_image.segments[1].memory_size > guest_image.segments[1].bytes.size());
    QCOMPARE(guest_image.segments[2].virtual_address, std::uint64_t{0x40000000});
    QVERIFY(guest_image.segments[2].physical_address < 0x200000);
    QVERIFY(guest_image.multiboot.has_value());
    const ElfSymbol* start = guest_image.find_symbol("_start");
    QVERIFY(start != nullptr);
    QCOMPARE(guest_image.entry, start->value);
    QVERIFY(check_multiboot_image(guest_image, 256 << 20).ok());
    QCOMPARE(guest_image.physical_end(),
             guest_image.segments[2].physical_address + guest_image.segments[2].memory_size);
  }

  void an_address_has_the_name_of_the_place_at_or_below_it() {
    const auto image = load_elf_image(guest("privilege-levels.elf"));
    QVERIFY(image.ok());
    const ElfSymbol* cli = image.value().find_symbol("the_cli");
    QVERIFY(cli != nullptr);
    QCOMPARE(image.value().symbol_at(cli->value), cli);
    const ElfSymbol* handler = image.value().find_symbol("gp_handler");
    QCOMPARE(image.value().symbol_at(handler->value + 5), handler);
    QCOMPARE(QString::fromStdString(image.value().symbol_at(0x40000000)->name), QString("user_main"));
    QVERIFY(image.value().symbol_at(0x3fffffff) == nullptr);
    QVERIFY(image.value().symbol_at(0x7fff00000000) == nullptr);
    QVERIFY(image.value().find_symbol("PTE_P") == nullptr);  // a constant of the assembler source is no place
  }

  void symbols_come_from_the_debug_file_of_the_same_link_only() {
    QTemporaryDir folder;
    const std::string base = folder.path().toStdString();
    std::filesystem::copy(guest("compute.elf"), base + "/a.elf");
    Content debug = read_file(guest("compute.debug"));
    const auto parsed_debug = parse_elf_image(debug, "compute.debug");
    QVERIFY(parsed_debug.ok());
    QVERIFY(parsed_debug.value().machine == ElfMachine::X86_64);

    // Rename _start in the debug file's string table: then it shows whose symbols are taken.
    const std::string wanted = "kernel_main", renamed = "kernel_MAIN";
    const auto name = std::ranges::search(debug, wanted);
    QVERIFY(!name.empty());
    std::ranges::copy(renamed, name.begin());
    write_file(base + "/a.debug", debug);
    const auto with_own = load_elf_image(base + "/a.elf");
    QVERIFY(with_own.ok());
    QVERIFY(with_own.value().find_symbol(renamed) != nullptr);

    std::filesystem::copy(guest("seesaw.debug"), base + "/a.debug", std::filesystem::copy_options::overwrite_existing);
    const auto with_foreign = load_elf_image(base + "/a.elf");
    QVERIFY(with_foreign.ok());
    QVERIFY(with_foreign.value().find_symbol("compute_loop") != nullptr);
    QVERIFY(with_foreign.value().find_symbol("the_superpage_load") == nullptr);

    write_file(base + "/a.debug", Content(100, 0x7f));
    const auto with_rubbish = load_elf_image(base + "/a.elf");
    QVERIFY(with_rubbish.ok());
    QVERIFY(with_rubbish.value().find_symbol(wanted) != nullptr);
  }

  void a_file_that_cannot_be_read_is_a_diagnostic() {
    QTemporaryDir folder;
    const std::string base = folder.path().toStdString();
    for (const std::string& path : {base + "/missing.elf", base}) {
      const auto image = load_elf_image(path);
      QVERIFY(!image.ok());
      QCOMPARE(image.error().file, path);
      QVERIFY(!image.error().remedy.empty());
    }
    write_file(base + "/empty.elf", {});
    QVERIFY(!load_elf_image(base + "/empty.elf").ok());
  }

  void every_truncated_image_is_a_diagnostic() {
    const Content good = read_file(guest("compute.elf"));
    QVERIFY(parse_elf_image(good, "x").ok());
    for (std::size_t length = 0; length < good.size(); length += length < 256 ? 1 : 61) {
      const auto image = parse_elf_image(std::span(good).first(length), "cut.elf");
      QVERIFY2(!image.ok(), std::to_string(length).c_str());
      QVERIFY(!image.error().message.empty() && !image.error().remedy.empty() && image.error().file == "cut.elf");
    }
  }

  void a_crafted_header_is_a_diagnostic_data() {
    QTest::addColumn<QString>("file");
    QTest::addColumn<int>("offset");
    QTest::addColumn<int>("width");
    QTest::addColumn<quint64>("value");
    QTest::addColumn<QString>("message");
    const auto row = [](const char* name, const char* file, std::size_t offset, int width, quint64 value,
                        const char* message) {
      QTest::newRow(name) << QString(file) << static_cast<int>(offset) << width << value << QString(message);
    };
    const char* small = "compute.elf";
    const char* large = "compute.debug";
    row("magic", small, 0, 1, 0x7e, "not an ELF file");
    row("class", small, 4, 1, 3, "ELF class is 3");
    row("class of another machine", small, 18, 2, 62, "does not fit the machine");
    row("big endian", small, 5, 1, 2, "not little-endian");
    row("version", small, 6, 1, 0, "version");
    row("relocatable", small, 16, 2, 1, "not an executable");
    row("shared", small, 16, 2, 3, "not an executable");
    row("machine", small, 18, 2, 8, "machine number 8");
    row("program headers far away", small, 28, 4, 0xffffffff, "program headers reach beyond");
    row("program headers overflow", large, 32, 8, 0xffffffffffffffe0, "program headers reach beyond");
    row("no program headers", small, 44, 2, 0, "no program headers");
    row("too many program headers", small, 44, 2, 0xffff, "program headers reach beyond");
    row("size of a program header", small, 42, 2, 31, "program headers have a wrong size");
    row("segment offset", small, kSegment32 + 4, 4, 0xfffffff0, "segment 0 reaches beyond the end of the file");
    row("segment offset overflow", large, kSegment64 + 8, 8, ~0ull, "segment 0 reaches beyond the end of the file");
    row("segment size", small, kSegment32 + 16, 4, 0x7fffffff, "segment 0 reaches beyond the end of the file");
    row("memory size below file size", small, kSegment32 + 20, 4, 1, "more bytes in the file than in memory");
    row("memory size beyond 4 GB", small, kSegment32 + 20, 4, 0xffffffff, "end of the address space");
    row("physical address at the top", small, kSegment32 + 12, 4, 0xffffff00, "end of the address space");
    row("physical address overflow", large, kSegment64 + 24, 8, ~0ull - 8, "end of the address space");
    row("huge memory size", large, kSegment64 + 40, 8, 1ull << 60, "more than 64 GB");
    row("section headers far away", small, 32, 4, 0xffffff00, "section headers reach beyond");
    row("size of a section header", small, 46, 2, 41, "section headers have a wrong size");
  }

  void a_crafted_header_is_a_diagnostic() {
    QFETCH(QString, file);
    QFETCH(int, offset);
    QFETCH(int, width);
    QFETCH(quint64, value);
    QFETCH(QString, message);
    Content content = read_file(guest(file.toStdString()));
    QVERIFY(parse_elf_image(content, "x").ok());
    put(content, static_cast<std::size_t>(offset), static_cast<unsigned>(width), value);
    const auto image = parse_elf_image(content, "crafted.elf");
    QVERIFY(!image.ok());
    QVERIFY2(text_of(image.error()).contains(message.toUtf8()), text_of(image.error()));
  }

  void crafted_symbols_are_a_diagnostic() {
    const Content good = read_file(guest("compute.elf"));
    const std::size_t section = symbol_section(good);
    QVERIFY(section != 0);
    struct Change {
      std::size_t offset;
      std::uint64_t value;
      const char* message;
    };
    const std::size_t second_symbol = get(good, section + 16, 4) + 16;
    const Change changes[] = {{section + 24, 0xffff, "string table that does not exist"},
                              {section + 16, 0xfffffff0, "symbol table reaches beyond"},
                              {section + 20, 0xfffffff0, "symbol table reaches beyond"},
                              {section + 36, 15, "symbols have a wrong size"},
                              {section + 24, 0, "symbol names reach beyond"},
                              {second_symbol, 0x7fffffff, "outside the string table"}};
    for (const Change& change : changes) {
      Content content = good;
      put(content, change.offset, 4, change.value);
      const auto image = parse_elf_image(content, "crafted.elf");
      QVERIFY2(!image.ok(), change.message);
      QVERIFY2(text_of(image.error()).contains(change.message), text_of(image.error()));
    }
  }

  void segments_that_share_their_bytes_cannot_fill_the_memory() {
    // 200 program headers that all load the whole file.
    Content content = read_file(guest("compute.elf"));
    const std::size_t table = content.size();
    content.resize(table + 200 * 32);
    for (std::size_t i = 0; i < 200; ++i) {
      put(content, table + i * 32, 4, 1);
      put(content, table + i * 32 + 12, 4, i << 20);
      put(content, table + i * 32 + 16, 4, table);
      put(content, table + i * 32 + 20, 4, table);
    }
    put(content, 28, 4, table);
    put(content, 44, 2, 200);
    const auto image = parse_elf_image(content, "crafted.elf");
    QVERIFY(!image.ok());
    QVERIFY2(text_of(image.error()).contains("more bytes than the file has"), text_of(image.error()));
  }

  void a_machine_refuses_what_it_cannot_boot() {
    const Content good = read_file(guest("compute.elf"));
    const auto expect = [&](const Content& content, std::uint64_t ram, const char* message) {
      const auto image = parse_elf_image(content, "x.elf");
      QVERIFY2(image.ok(), image.ok() ? "" : text_of(image.error()));
      const Status status = check_multiboot_image(image.value(), ram);
      QVERIFY2(!status.ok(), message);
      QVERIFY2(text_of(status.error()).contains(message), text_of(status.error()));
      QVERIFY(!status.error().remedy.empty());
    };
    expect(good, 1 << 20, "does not fit");
    expect(good, 0, "does not fit");
    expect(read_file(guest("compute.debug")), 256 << 20, "64-bit ELF");
    Content changed = good;
    const std::size_t header = get(good, kSegment32 + 4, 4);
    put(changed, header + 8, 4, 0);  // the checksum
    expect(changed, 256 << 20, "no multiboot-1 header");
    changed = good;
    put(changed, header + 4, 4, 4);
    put(changed, header + 8, 4, static_cast<std::uint32_t>(-(0x1badb002u + 4u)));
    expect(changed, 256 << 20, "demands");
    changed = good;
    put(changed, 24, 4, 0x500000);
    expect(changed, 256 << 20, "entry point lies in no segment");
    changed = read_file(guest("compute.debug"));
    put(changed, 18, 2, 183);
    expect(changed, 256 << 20, "AArch64");
    QVERIFY(check_aarch64_image(parse_elf_image(changed, "x").value(), 0, 256 << 20).ok());
    QVERIFY(!check_aarch64_image(parse_elf_image(changed, "x").value(), 0x40000000, 256 << 20).ok());
    QVERIFY(!check_aarch64_image(parse_elf_image(good, "x").value(), 0, 256 << 20).ok());
  }

  void an_aarch64_image_must_lie_in_the_machines_memory_and_begin_in_it() {
    const Content good = read_file(guest("aa64-hello.elf"));
    constexpr std::uint64_t kBase = 0x40000000, kSize = 256 << 20;
    const auto image = parse_elf_image(good, "x");
    QVERIFY2(image.ok(), image.ok() ? "" : text_of(image.error()));
    QVERIFY(image.value().machine == ElfMachine::AArch64 && image.value().elf_class == ElfClass::Elf64);
    QVERIFY(image.value().entry >= kBase);
    QVERIFY(check_aarch64_image(image.value(), kBase, kSize).ok());
    const auto expect = [](const Status& status, const char* what) {
      QVERIFY2(!status.ok(), what);
      QVERIFY2(text_of(status.error()).contains(what), text_of(status.error()));
    };
    expect(check_aarch64_image(image.value(), 0, kSize), "does not fit");
    expect(check_aarch64_image(image.value(), kBase, image.value().segments.front().physical_address - kBase),
           "does not fit");
    Content changed = good;
    put(changed, 24, 8, kBase + kSize - 4);
    expect(check_aarch64_image(parse_elf_image(changed, "x").value(), kBase, kSize), "entry point lies in no segment");
    expect(check_aarch64_image(load_elf_image(guest("compute.elf")).value(), kBase, kSize), "for x86");
    expect(check_multiboot_image(image.value(), kSize), "for AArch64");
  }

  void the_multiboot_address_fields_win_over_the_program_headers() {
    const Content good = read_file(guest("compute.elf"));
    const std::size_t header = get(good, kSegment32 + 4, 4);
    const auto with_fields = [&](std::uint32_t header_address, std::uint32_t load, std::uint32_t load_end,
                                 std::uint32_t bss_end, std::uint32_t entry) {
      Content content = good;
      const std::uint32_t flags = 1u << 16;
      const std::uint32_t fields[] = {flags, 0u - (0x1badb002u + flags), header_address, load, load_end, bss_end,
                                      entry};
      for (std::size_t i = 0; i < std::size(fields); ++i) put(content, header + 4 + 4 * i, 4, fields[i]);
      return parse_elf_image(content, "kludge.elf");
    };
    const auto image = with_fields(0x200010, 0x200000, 0x200100, 0x203000, 0x200020);
    QVERIFY2(image.ok(), image.ok() ? "" : text_of(image.error()));
    QCOMPARE(image.value().segments.size(), std::size_t{1});
    const ElfSegment& segment = image.value().segments.front();
    QCOMPARE(segment.physical_address, std::uint64_t{0x200000});
    QCOMPARE(segment.bytes.size(), std::size_t{0x100});
    QCOMPARE(get(segment.bytes, 0x10, 4), std::uint64_t{0x1badb002});
    QCOMPARE(segment.memory_size, std::uint64_t{0x3000});
    QCOMPARE(image.value().entry, std::uint64_t{0x200020});

    const auto to_the_end = with_fields(0x200000, 0x200000, 0, 0, 0x200020);
    QVERIFY(to_the_end.ok());
    QCOMPARE(to_the_end.value().segments.front().bytes.size(), good.size() - header);

    QVERIFY(!with_fields(0x200000, 0x200010, 0, 0, 0x200020).ok());           // loads from behind the header
    QVERIFY(!with_fields(0x200000, 0, 0, 0, 0x200020).ok());                  // begins before the file
    QVERIFY(!with_fields(0x200000, 0x200000, 0x1ff000, 0, 0x200020).ok());    // ends before it begins
    QVERIFY(!with_fields(0x200000, 0x200000, 0x90000000, 0, 0x200020).ok());  // ends behind the file
    QVERIFY(!with_fields(0x200000, 0x200000, 0x200100, 0x200080, 0x200020).ok());
  }

  void no_mutant_of_an_image_crashes_the_loader_data() {
    QTest::addColumn<QString>("file");
    QTest::newRow("ELF32") << "kernel.elf";
    QTest::newRow("ELF64 with DWARF") << "privilege-levels.debug";
  }

  void no_mutant_of_an_image_crashes_the_loader() {
    QFETCH(QString, file);
    constexpr unsigned kSeed = 20240611;
    constexpr int kMutants = 6000;
    qInfo("seed %u", kSeed);
    std::mt19937 random(kSeed);
    const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
    const Content good = read_file(guest(file.toStdString()));
    const bool elf32 = good[4] == 1;
    const std::size_t sections = get(good, elf32 ? 32 : 40, elf32 ? 4 : 8);
    constexpr std::uint64_t kEdges[] = {0,          1,     0x7fffffff, 0x80000000, 0xffffffff,
                                        0xfffffff0, ~0ull, 1ull << 63, 0x100000000};

    int accepted = 0;
    for (int mutant = 0; mutant < kMutants; ++mutant) {
      Content content = good;
      const std::size_t changes = 1 + below(6);
      for (std::size_t change = 0; change < changes; ++change) {
        // Mostly in the tables, where it hurts; sometimes anywhere.
        const std::size_t area = below(4);
        const std::size_t begin = area <= 1 ? 0 : area == 2 ? sections : 0;
        const std::size_t length = area <= 1 ? 256 : content.size() - begin;
        const std::size_t offset = begin + below(length);
        const unsigned width = 1u << below(4);
        if (offset + width > content.size()) continue;
        put(content, offset, width, below(2) == 0 ? random() : kEdges[below(std::size(kEdges))]);
      }
      if (below(8) == 0) content.resize(below(content.size()));
      const auto image = parse_elf_image(content, "mutant.elf");
      if (!image.ok()) {
        QVERIFY(!image.error().message.empty());
        continue;
      }
      ++accepted;
      QVERIFY(consistent(image.value(), content.size()));
      static_cast<void>(check_multiboot_image(image.value(), 256 << 20).ok());
      static_cast<void>(check_aarch64_image(image.value(), 0, 256 << 20).ok());
      for (const std::uint64_t address : kEdges) static_cast<void>(image.value().symbol_at(address));
      static_cast<void>(image.value().symbol_at(random()));
    }
    // Both ways must have been walked, or the test has not tested.
    QVERIFY(accepted > kMutants / 100);
    QVERIFY(accepted < kMutants);
  }
};

QTEST_APPLESS_MAIN(ElfImageTest)
#include "elf_image_test.moc"
