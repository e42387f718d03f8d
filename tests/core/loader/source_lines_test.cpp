// SPDX-License-Identifier: GPL-3.0-or-later
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "core/loader/elf_image.h"
#include "core/loader/source_lines.h"

using namespace shearling;

namespace {
std::string guest(const std::string& file) { return std::string(SHEARLING_BINARY_DIR "/guests/") + file; }
}  // namespace

class SourceLinesTest : public QObject {
  Q_OBJECT

 private slots:
  void a_place_leads_to_its_line_and_the_line_back_to_it_data() {
    QTest::addColumn<QString>("image");
    QTest::addColumn<QString>("symbol");
    QTest::addColumn<QString>("file");
    QTest::addColumn<QString>("text");
    QTest::newRow("first instruction") << "kernel"
                                       << "_start"
                                       << "boot.S"
                                       << "cld";
    QTest::newRow("ring 3") << "privilege-levels"
                            << "the_cli"
                            << "privilege-levels/privilege-levels.S"
                            << "cli";
    QTest::newRow("system call") << "privilege-levels"
                                 << "the_sysret"
                                 << "privilege-levels.S"
                                 << "sysretq";
    QTest::newRow("cold load") << "page-walk"
                               << "the_cold_load"
                               << "page-walk.S"
                               << "mov (%rbx), %rax";
    QTest::newRow("included source") << "kernel"
                                     << "the_touch"
                                     << "kernel-tasks.inc"
                                     << "mov (%rdi), %cl";
    QTest::newRow("CPUID") << "cpuid-trap"
                           << "the_cpuid"
                           << "cpuid-trap.S"
                           << "cpuid";
  }

  void a_place_leads_to_its_line_and_the_line_back_to_it() {
    QFETCH(QString, image);
    QFETCH(QString, symbol);
    QFETCH(QString, file);
    QFETCH(QString, text);
    const std::string path = guest(image.toStdString() + ".elf");
    const auto elf = load_elf_image(path);
    const auto lines = SourceLines::read_beside(path);
    QVERIFY(elf.ok() && lines.ok());
    const ElfSymbol* place = elf.value().find_symbol(symbol.toStdString());
    QVERIFY(place != nullptr);
    const auto location = lines.value().at(place->value);
    QVERIFY(location.has_value());
    QVERIFY2(QString::fromStdString(location->file).endsWith("/" + file), location->file.c_str());
    const auto source = read_source_text(location->file);
    QVERIFY(source.ok());
    QVERIFY(location->line <= source.value().size());
    const QString line = QString::fromStdString(source.value()[location->line - 1]);
    QVERIFY2(line.trimmed().startsWith(text), line.toUtf8());
    const auto addresses = lines.value().addresses(file.toStdString(), location->line);
    QVERIFY(std::ranges::find(addresses, place->value) != addresses.end());
    QVERIFY(std::ranges::is_sorted(addresses));
    QVERIFY(lines.value().addresses(file.mid(1).toStdString(), location->line).empty());  // half a name is no name
    QVERIFY(lines.value().addresses(file.toStdString(), 1).empty());                      // a comment has no code
  }

  void all_instructions_between_two_lines_belong_to_the_first() {
    const auto elf = load_elf_image(guest("cpuid-trap.elf"));
    const auto lines = SourceLines::read_beside(guest("cpuid-trap.elf"));
    QVERIFY(elf.ok() && lines.ok());
    const std::uint64_t cpuid = elf.value().find_symbol("the_cpuid")->value;
    const std::uint64_t after = elf.value().find_symbol("after_cpuid")->value;
    QCOMPARE(after, cpuid + 2);
    QVERIFY(lines.value().at(cpuid + 1) == lines.value().at(cpuid));
    QVERIFY(lines.value().at(after) != lines.value().at(cpuid));
  }

  void data_and_nowhere_have_no_line() {
    const auto elf = load_elf_image(guest("kernel.elf"));
    const auto lines = SourceLines::read_beside(guest("kernel.elf"));
    QVERIFY(elf.ok() && lines.ok());
    QVERIFY(!lines.value().at(elf.value().find_symbol("gdt")->value).has_value());
    QVERIFY(!lines.value().at(0).has_value());
    QVERIFY(!lines.value().at(~0ull).has_value());
  }

  void a_file_without_dwarf_has_no_lines_and_a_bad_one_is_a_diagnostic() {
    const auto stripped = SourceLines::read(guest("kernel.elf"));
    QVERIFY(stripped.ok());
    QVERIFY(stripped.value().empty());
    QTemporaryDir folder;
    const std::string rubbish = folder.path().toStdString() + "/rubbish.elf";
    std::ofstream(rubbish) << "no ELF file at all";
    for (const std::string& path : {rubbish, folder.path().toStdString() + "/missing.elf"}) {
      const auto lines = SourceLines::read(path);
      QVERIFY(!lines.ok());
      QCOMPARE(lines.error().file, path);
    }
    QVERIFY(!read_source_text(folder.path().toStdString()).ok());
    QVERIFY(!read_source_text(folder.path().toStdString() + "/missing.S").ok());
  }

  void no_mutant_of_a_debug_file_crashes_the_reader() {
    constexpr unsigned kSeed = 77001;
    qInfo("seed %u", kSeed);
    std::mt19937 random(kSeed);
    std::ifstream stream(guest("privilege-levels.debug"), std::ios::binary);
    const std::vector<char> good{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    QTemporaryDir folder;
    const std::string path = folder.path().toStdString() + "/mutant.debug";
    int read = 0;
    for (int mutant = 0; mutant < 400; ++mutant) {
      std::vector<char> content = good;
      for (unsigned change = 0; change < 1 + random() % 8; ++change)
        content[random() % content.size()] = static_cast<char>(random());
      if (random() % 8 == 0) content.resize(random() % content.size());
      std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
      const auto lines = SourceLines::read(path);
      if (!lines.ok()) continue;
      ++read;
      static_cast<void>(lines.value().at(0x100100));
    }
    QVERIFY(read > 0);
  }
};

QTEST_APPLESS_MAIN(SourceLinesTest)
#include "source_lines_test.moc"
