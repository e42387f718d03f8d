// SPDX-License-Identifier: GPL-3.0-or-later
#include <QProcess>
#include <QTest>
#include <cinttypes>
#include <cstdio>

#include "cache-sim/streams/text_formats.h"
#include "tests/cache-sim/streams/trace_files.h"

using namespace shearling;
using namespace shearling::test;

namespace {

constexpr const char* kLackey =
    "==4711== Lackey, an example Valgrind tool\n"
    "==4711== \n"
    "I  04001020,3\n"
    " L 1fff000708,8\n"
    " S 1fff000700,16\n"
    " M 0421c7f0,4\n"
    "==4711== Exit code:       0\n";

std::vector<ReferenceRecord> lackey_records() {
  return {reference(RecordKind::Fetch, 0x4001020, 3), reference(RecordKind::Read, 0x1fff000708, 8),
          reference(RecordKind::Write, 0x1fff000700, 16), reference(RecordKind::Modify, 0x421c7f0, 4)};
}

/// Lines as Lackey prints them, with everything at random.
std::string random_lackey(Random& random, std::size_t lines) {
  std::string text;
  for (std::size_t i = 0; i < lines; ++i) {
    char line[64];
    static constexpr const char* kLetters[] = {"I ", " L", " S", " M"};
    std::snprintf(line, sizeof line, "%s %08" PRIx64 ",%u\n", kLetters[random.below(4)],
                  random.bits() >> (16 + random.below(40)), static_cast<unsigned>(1 + random.below(64)));
    text += line;
  }
  return text;
}

/// The same by the C library.
std::vector<ReferenceRecord> naive_lackey(const std::string& text) {
  std::vector<ReferenceRecord> records;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    char letter = 0;
    std::uint64_t address = 0;
    unsigned size = 0;
    if (line.starts_with("==") || std::sscanf(line.c_str(), " %c %" SCNx64 ",%u", &letter, &address, &size) != 3)
      continue;
    const std::size_t kind = std::string("ILSM").find(letter);
    records.push_back(reference(static_cast<RecordKind>(kind), address, size));
  }
  return records;
}

struct BadTrace {
  const char* text;
  std::uint64_t line;
  const char* message;
};

}  // namespace

class TextReaderTest : public QObject {
  Q_OBJECT
  Folder folder_;

 private slots:
  void lackey_is_recognised_and_read() {
    const Contents contents = read_all(folder_.file(kLackey));
    QVERIFY2(!contents.error, contents.message().c_str());
    QVERIFY(contents.records == lackey_records());
  }

  void compressed_traces_are_recognised_whatever_their_name() {
    for (const std::string& packed : {gzipped(kLackey), in_zstd(kLackey)}) {
      const Contents contents = read_all(folder_.file(packed));
      QVERIFY2(!contents.error, contents.message().c_str());
      QVERIFY(contents.records == lackey_records());
    }
  }

  void several_gzip_members_and_zstd_frames_are_one_trace() {
    const std::string one = " L 1000,8\n", other = " S 2000,8\n";
    for (const std::string& packed : {gzipped(one) + gzipped(other), in_zstd(one) + in_zstd(other)})
      QCOMPARE(read_all(folder_.file(packed)).records.size(), std::size_t{2});
  }

  void standard_input_is_read_too() {
    // A child of our own, for standard input belongs to the process.
    for (const std::string& bytes : {std::string(kLackey), gzipped(kLackey), in_zstd(kLackey)}) {
      QProcess child;
      child.start(QString::fromStdString(program_), {"--count-standard-input"});
      child.write(bytes.data(), static_cast<qint64>(bytes.size()));
      child.closeWriteChannel();
      QVERIFY(child.waitForFinished());
      QCOMPARE(child.exitCode(), 4);
    }
  }

  void dinero_has_words_and_extended_dinero_has_sizes() {
    const Contents din = read_all(folder_.file("2 408ed4\n0 10019d94 a comment\n1 0x10019d8b\n3 10\n"));
    QVERIFY2(!din.error, din.message().c_str());
    QVERIFY((din.records ==
             std::vector{reference(RecordKind::Fetch, 0x408ed4, 4), reference(RecordKind::Read, 0x10019d94, 4),
                         reference(RecordKind::Write, 0x10019d88, 4), reference(RecordKind::Read, 0x10, 4)}));
    const Contents extended =
        read_all(folder_.file("r 1000 8\nW 0x2001 0x10 comment\n\ti 400000 3\nm 3000 1\n\nr ffffffffffffffff 1\n"));
    QVERIFY2(!extended.error, extended.message().c_str());
    QVERIFY((extended.records ==
             std::vector{reference(RecordKind::Read, 0x1000, 8), reference(RecordKind::Write, 0x2001, 16),
                         reference(RecordKind::Fetch, 0x400000, 3), reference(RecordKind::Read, 0x3000, 1),
                         reference(RecordKind::Read, ~std::uint64_t{0}, 1)}));
  }

  void other_writers_layouts_are_read() {
    const Contents contents = read_all(folder_.file("I 0400d7d4,8\r\n M 0421c7f0,4\r\n\r\n L 0,1"));
    QVERIFY2(!contents.error, contents.message().c_str());
    QVERIFY((contents.records == std::vector{reference(RecordKind::Fetch, 0x400d7d4, 8),
                                             reference(RecordKind::Modify, 0x421c7f0, 4),
                                             reference(RecordKind::Read, 0, 1)}));
  }

  void the_fast_path_agrees_with_the_c_library_in_every_batch_size() {
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    const std::string text = random_lackey(random, 100'000);  // more than the buffer holds
    const std::vector<ReferenceRecord> expected = naive_lackey(text);
    const std::string plain = folder_.file(text), packed = folder_.file(gzipped(text));
    for (const std::size_t batch : {1U, 7U, 4096U, 1'000'000U}) {
      QVERIFY(read_all(plain, TraceFormat::Guess, batch).records == expected);
      QVERIFY(read_all(packed, TraceFormat::Guess, batch).records == expected);
    }
  }

  void a_fast_path_takes_only_what_the_whole_rule_takes() {
    using Fast = const char* (*)(const char*, ReferenceRecord&);
    static constexpr std::pair<TraceFormat, Fast> kPaths[] = {{TraceFormat::Lackey, text::fast_lackey},
                                                              {TraceFormat::Din, text::fast_din},
                                                              {TraceFormat::ExtendedDin, text::fast_extended_din}};
    static constexpr std::string_view kLines[] = {" L 1fff000708,8", "I  04001020,65536", "0 7fff01c8", "r 7fff01c8 8"};
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    int taken = 0;
    for (int i = 0; i < 200'000; ++i) {
      std::string line(kLines[random.below(std::size(kLines))]);
      for (std::uint64_t change = random.below(3); change > 0; --change)
        line[random.below(line.size())] = " ,ILSMrwi0123456789abcdefx\r\t\xa0"[random.below(29)];
      for (const auto& [format, fast] : kPaths) {
        ReferenceRecord quick, whole;
        const std::string padded = line + "\n" + std::string(8, '\0');
        const char* const end = fast(padded.data(), quick);
        if (end == nullptr) continue;
        ++taken;
        LineProblem problem;
        QVERIFY2(parse_line(format, line, whole, problem) == LineKind::Record, line.c_str());
        QVERIFY2(quick == whole, line.c_str());
        QCOMPARE(end - padded.data(), static_cast<std::ptrdiff_t>(line.size() + 1));
      }
    }
    QVERIFY(taken > 10'000);
  }

  void bad_lines_are_located_and_told_what_is_wrong() {
    static constexpr BadTrace kBad[] = {
        {" L 1000,8\n L 1000\n", 2, "the size is missing"},
        {" L 1000,8\n L 1000,\n", 2, "the size is missing"},
        {" L 1000,8\n L 1000,0\n", 2, "the size is 0"},
        {" L 1000,8\n L 1000,70000\n", 2, "the size is larger than 65536 bytes"},
        {" L 1000,8\n L 1000,99999999999999999999999\n", 2, "the size is larger than 65536 bytes"},
        {" L 1000,8\n L 10000000000000000,8\n", 2, "the address has more than 64 bits"},
        {" L 1000,8\n L fffffffffffffffc,8\n", 2, "the reference runs past the end of the address space"},
        {" L 1000,8\n L ,8\n", 2, "a hexadecimal address is missing"},
        {" L 1000,8\n L 1000,8 9\n", 2, "something follows the size"},
        {" L 1000,8\n\n==1== x\nHello world\n", 4, "this is no line of Valgrind Lackey"},
        {" L 1000,8\nr 1000 8\n", 2, "this line is in the format extended Dinero, the trace in Valgrind Lackey"},
        {"0 1000\n L 1000,8\n", 2, "this line is in the format Valgrind Lackey, the trace in Dinero"},
        {"0 1000\n0\n", 2, "a hexadecimal address is missing"},
        {"0 1000\n0 10q0\n", 2, "the address is not hexadecimal"},
        {"0 1000\n7 1000\n", 2, "this is no line of Dinero: it begins with no label from 0 to 5"},
        {"0 1000\n4 0\n", 2, "it is an order to a cache (copy back or invalidate), not a reference"},
        {"r 1000 8\nr 1000\n", 2, "the size is missing"},
        {"r 1000 8\nv 1000 8\n", 2, "it is an order to a cache (copy back or invalidate), not a reference"},
        {" L 1000,8\n\x01\x02\x03\n", 2, "there are binary data here"},
        {"hello\n", 1, "this line is in no known format"},
        {"==1== Lackey\n==1== Exit code: 0\n", 3, "there is no reference in it"},
    };
    for (const BadTrace& bad : kBad) {
      const Contents contents = read_all(folder_.file(bad.text));
      QVERIFY2(contents.error, bad.text);
      QCOMPARE(QString::fromStdString(contents.message()), QString(bad.message));
      QCOMPARE(contents.line(), bad.line);
      QVERIFY(!contents.error->remedy.empty());
      QVERIFY(!contents.error->source.empty());
    }
  }

  void references_before_a_bad_line_come_first() {
    const Contents contents = read_all(folder_.file(" L 1000,8\n S 2000,8\nrubbish\n"));
    QCOMPARE(contents.records.size(), std::size_t{2});
    QCOMPARE(contents.line(), 3U);
  }

  void files_that_are_no_traces_are_told_apart() {
    const std::string sqlite("SQLite format 3\0 and more", 25), elf("\x7f"
                                                                    "ELF\x02\x01\x01",
                                                                    7);
    QCOMPARE(read_all(folder_.file("")).message(), std::string("it is empty"));
    QCOMPARE(read_all(folder_.file(gzipped(""))).message(), std::string("it is empty"));
    QCOMPARE(read_all(folder_.file(sqlite)).message(), std::string("it is a run file, not a trace"));
    QCOMPARE(read_all(folder_.file(elf)).message(), std::string("it is a program, not a trace"));
    QCOMPARE(read_all(folder_.file(gzipped(gzipped(kLackey)))).message(), std::string("it is compressed twice"));
    QCOMPARE(read_all(folder_.file("\x80\x81\x82")).message(), std::string("it is binary, but no Shearling trace"));
    QVERIFY(read_all("/nowhere/at/all").message().starts_with("it cannot be opened"));
    QVERIFY(read_all("/").message().starts_with("it cannot be read"));
  }

  void an_endless_line_is_an_error() {
    const std::string zeros(std::size_t{3} << 20, '0');
    QCOMPARE(read_all(folder_.file(" L 1000,8\n L " + zeros)).message(),
             std::string("the line is longer than 65536 bytes"));
    QCOMPARE(read_all(folder_.file("0 1000\n0 10 " + std::string(70'000, 'x') + "\n")).message(),
             std::string("the line is longer than 65536 bytes"));
    QVERIFY(read_all(folder_.file(zeros)).error);
  }

  void cut_off_compressed_traces_are_told_apart_from_whole_ones() {
    Random random(3);
    const std::string text = random_lackey(random, 20'000);
    for (const auto& [packed, message] : {std::pair(gzipped(text), "the gzip data end before their end"),
                                          std::pair(in_zstd(text), "the zstd data end before their end")}) {
      const Contents contents = read_all(folder_.file(packed.substr(0, packed.size() / 2)));
      QCOMPARE(contents.message(), std::string(message));
      QVERIFY(contents.error->byte > 0);
      QVERIFY(!contents.records.empty());
      QVERIFY(read_all(folder_.file(packed.substr(0, packed.size() - 1))).error);
      QVERIFY(!read_all(folder_.file(packed)).error);
    }
    QCOMPARE(read_all(folder_.file(gzipped(text) + "rubbish")).message(),
             std::string("something else follows the gzip data"));
  }

  void damaged_traces_never_crash_or_hang() {
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    const std::string text = std::string(kLackey) + random_lackey(random, 200);
    const std::string originals[] = {text, gzipped(text), in_zstd(text), "0 1000\n1 2000\n2 3000\n", "r 1 2\nw 3 4\n"};
    int errors = 0;
    for (int i = 0; i < 2000; ++i) {
      std::string bytes = originals[random.below(std::size(originals))];
      for (std::uint64_t more = random.below(3) + 1; more > 0 && !bytes.empty(); --more) bytes = damaged(bytes, random);
      const Contents contents = read_all(folder_.file(bytes));
      errors += contents.error.has_value();
      if (contents.error) QVERIFY(!contents.error->message.empty() && !contents.error->remedy.empty());
      for (const ReferenceRecord& record : contents.records)
        QVERIFY(record.size >= 1 && record.size <= kLargestReference);
    }
    QVERIFY(errors > 500);
  }

  void a_real_trace_of_valgrind_is_read_line_for_line() {
    QTemporaryDir folder;
    const QString log = folder.filePath("trace");
    QProcess valgrind;
    valgrind.start("valgrind", {"--tool=lackey", "--trace-mem=yes", "--log-file=" + log, "/bin/true"});
    QVERIFY2(valgrind.waitForFinished(60'000), "valgrind must be installed");
    QCOMPARE(valgrind.exitCode(), 0);
    QFile file(log);
    QVERIFY(file.open(QIODevice::ReadOnly));
    const Contents contents = read_all(log.toStdString());
    QVERIFY2(!contents.error, contents.message().c_str());
    QVERIFY(contents.records.size() > 10'000);
    QVERIFY(contents.records == naive_lackey(file.readAll().toStdString()));
  }

 public:
  std::string program_;
};

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--count-standard-input") {
    const Contents contents = read_all(std::string("-"));
    return contents.error ? 99 : static_cast<int>(contents.records.size());
  }
  TextReaderTest test;
  test.program_ = argv[0];
  return QTest::qExec(&test, argc, argv);
}
#include "text_reader_test.moc"
