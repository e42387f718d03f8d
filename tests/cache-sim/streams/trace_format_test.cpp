// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/trace_format.h"

#include <QTest>
#include <random>

#include "tests/cache-sim/streams/trace_files.h"

using namespace shearling;
using namespace shearling::test;

namespace {

/// Any record that the type can hold.
ReferenceRecord any_record(Random& random) {
  ReferenceRecord record;
  record.kind = static_cast<RecordKind>(random.below(10));
  record.address = {random.bits() >> random.below(64)};
  record.size = static_cast<std::uint32_t>(random.one_in(3) ? 1 + random.below(65536) : 8);
  record.translated = random.one_in(2);
  if (record.translated || random.one_in(20)) {
    record.physical = {random.bits() >> random.below(64)};
    record.page_size = static_cast<PageSize>(random.below(5));
  }
  if (random.one_in(10)) record.core = static_cast<std::uint8_t>(random.bits());
  if (random.one_in(10)) record.address_space = static_cast<std::uint16_t>(random.bits());
  return record;
}

/// References of a program: loops of code, and data on a few pages whose translations change now and then.
std::vector<ReferenceRecord> likely_records(Random& random, std::size_t count) {
  std::vector<ReferenceRecord> records;
  std::vector<std::uint64_t> frames(512);
  for (std::uint64_t& frame : frames) frame = random.below(1 << 20) << 12;
  std::uint64_t at = 0x401000;
  for (std::size_t i = 0; i < count; ++i) {
    const bool fetch = random.below(10) < 6;
    if (random.one_in(12)) at = 0x401000 + random.below(0x4000);
    const std::uint64_t address = fetch ? at : 0x7f0000000000 + random.below(512) * 4096 + random.below(512) * 8;
    ReferenceRecord record = reference(fetch              ? RecordKind::Fetch
                                       : random.one_in(3) ? RecordKind::Write
                                                          : RecordKind::Read,
                                       address, static_cast<std::uint32_t>(fetch ? 1 + random.below(8) : 8));
    if (fetch) at += record.size;
    std::uint64_t& frame = frames[address >> 12 & 511];
    if (random.one_in(5000)) frame = random.below(1 << 20) << 12;
    record.translated = true;
    record.physical = {frame | (address & 0xfff)};
    records.push_back(record);
  }
  return records;
}

std::vector<ReferenceRecord> any_records(Random& random, std::size_t count) {
  std::vector<ReferenceRecord> records;
  while (records.size() < count) records.push_back(any_record(random));
  return records;
}

}  // namespace

class TraceFormatTest : public QObject {
  Q_OBJECT
  Folder folder_;

 private slots:
  void every_field_of_every_record_comes_back() {
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    for (const std::size_t count : {0U, 1U, 2U, 1000U, 200'000U}) {
      for (const auto& records : {any_records(random, count), likely_records(random, count)}) {
        const std::string bytes = as_trace(records);
        for (const std::string& file :
             {folder_.file(bytes), folder_.file(gzipped(bytes)), folder_.file(in_zstd(bytes))}) {
          for (const std::size_t batch : {999U, 1'000'000U}) {
            const Contents contents = read_all(file, TraceFormat::Guess, batch);
            QVERIFY2(!contents.error, contents.message().c_str());
            QVERIFY(contents.records == records);
          }
        }
      }
    }
  }

  void a_programs_references_take_few_bytes() {
    Random random(1);
    const std::vector<ReferenceRecord> records = likely_records(random, 100'000);
    const double bytes = static_cast<double>(as_trace(records).size()) / static_cast<double>(records.size());
    qInfo("%.2f bytes a record", bytes);
    QVERIFY(bytes < 4);
  }

  void two_writers_write_the_same_bytes() {
    Random random(2);
    const std::vector<ReferenceRecord> records = any_records(random, 5000);
    std::ostringstream one_by_one;
    TraceWriter writer(one_by_one);
    for (const ReferenceRecord& record : records) writer.write(record);
    QCOMPARE(writer.records(), std::uint64_t{5000});
    writer.finish();
    QVERIFY(one_by_one.str() == as_trace(records));
  }

  void a_cut_is_told_apart_from_the_end_wherever_it_falls() {
    Random random(3);
    const std::string bytes = as_trace(any_records(random, 60'000));  // several blocks
    for (int i = 0; i < 200; ++i) {
      const std::size_t length =
          i < 64 ? static_cast<std::size_t>(i) : bytes.size() - 1 - random.below(bytes.size() - 1);
      const Contents contents = read_all(folder_.file(bytes.substr(0, length)));
      QVERIFY2(contents.error, qPrintable(QString("cut to %1 bytes").arg(length)));
      const std::string message = contents.message();
      QVERIFY2(message.find("cut off") != std::string::npos || length == 0, message.c_str());
    }
    QVERIFY(!read_all(folder_.file(bytes)).error);
  }

  void no_damaged_byte_changes_a_record_unnoticed() {
    Random random(4);
    const std::vector<ReferenceRecord> records = any_records(random, 100);
    const std::string bytes = as_trace(records);
    std::size_t noticed = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      std::string copy = bytes;
      copy[at] = static_cast<char>(copy[at] ^ static_cast<char>(1U << random.below(8)));
      const Contents contents = read_all(folder_.file(copy), TraceFormat::Shearling);
      noticed += contents.error.has_value();
      QVERIFY2(contents.error || contents.records == records,
               qPrintable(QString("byte %1 of %2").arg(at).arg(bytes.size())));
    }
    QVERIFY(noticed + 20 > bytes.size());  // zstd has a few bits that mean nothing
  }

  void missing_doubled_and_foreign_blocks_are_noticed() {
    Random random(5);
    const std::string bytes = as_trace(any_records(random, 60'000));
    const auto block_at = [&](std::size_t number) {
      std::size_t at = trace::kFileHeaderBytes;
      for (; number > 0; --number)
        at +=
            trace::kBlockHeaderBytes + trace::get<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(&bytes[at + 4]));
      return at;
    };
    const std::size_t first = block_at(0), second = block_at(1), third = block_at(2);
    const std::string without_first = bytes.substr(0, first) + bytes.substr(second);
    const std::string doubled = bytes.substr(0, second) + bytes.substr(first, second - first) + bytes.substr(second);
    const std::string exchanged = bytes.substr(0, first) + bytes.substr(second, third - second) +
                                  bytes.substr(first, second - first) + bytes.substr(third);
    for (const std::string& bad : {without_first, doubled, exchanged, bytes + "x"}) {
      const Contents contents = read_all(folder_.file(bad));
      QVERIFY(contents.error);
      QVERIFY(contents.error->byte >= first);
    }
  }

  void foreign_changed_and_newer_files_are_told_apart() {
    const std::string bytes = as_trace({reference(RecordKind::Read, 0x1000, 8)});
    QCOMPARE(read_all(folder_.file(" L 1000,8\n"), TraceFormat::Shearling).message(),
             std::string("it is no Shearling trace"));
    QCOMPARE(read_all(folder_.file(""), TraceFormat::Shearling).message(), std::string("it is empty"));
    std::string as_text = bytes;
    as_text.replace(as_text.find("\r\n"), 2, "\n");
    QCOMPARE(read_all(folder_.file(as_text)).message(), std::string("the trace was changed by a transfer as text"));
    std::string newer = bytes;
    newer[trace::kMagic.size()] = 2;
    const auto checksum = crc32(0, reinterpret_cast<const Bytef*>(newer.data()), trace::kFileHeaderBytes - 4);
    trace::put(reinterpret_cast<std::uint8_t*>(newer.data()) + trace::kFileHeaderBytes - 4,
               static_cast<std::uint32_t>(checksum));
    const Contents contents = read_all(folder_.file(newer));
    QCOMPARE(contents.message(), std::string("the trace has version 2; this program reads version 1"));
  }

  void damaged_traces_never_crash_or_hang() {
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    const std::string original = as_trace(any_records(random, 2000));
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = damaged(original, random);
      const Contents contents = read_all(folder_.file(bytes), TraceFormat::Shearling);
      QVERIFY(contents.error || bytes == original);
    }
  }

  void nonsense_behind_right_checksums_never_crashes() {
    // What a foreign writer might produce: the frame is whole, the records in it are not.
    const std::uint64_t seed = std::random_device{}();
    qInfo("seed %llu", static_cast<unsigned long long>(seed));
    Random random(seed);
    const std::string whole = as_trace({});
    for (int i = 0; i < 1500; ++i) {
      std::string raw;
      for (std::uint64_t n = 1 + random.below(200); n > 0; --n) raw += static_cast<char>(random.bits() & random.bits());
      const std::string stored = in_zstd(raw);
      std::uint8_t head[trace::kBlockHeaderBytes] = {'R', 'E', 'C', 'S'};
      trace::put(head + 4, static_cast<std::uint32_t>(stored.size()));
      trace::put(head + 8, static_cast<std::uint32_t>(raw.size()));
      trace::put(head + 12, static_cast<std::uint32_t>(1 + random.below(raw.size())));
      trace::put(head + 24, static_cast<std::uint32_t>(crc32(0, head, trace::kBlockHeaderBytes - 4)));
      const std::string bytes = whole.substr(0, trace::kFileHeaderBytes) +
                                std::string(reinterpret_cast<const char*>(head), sizeof head) + stored;
      const Contents contents = read_all(folder_.file(bytes));
      QVERIFY(contents.error);
      for (const ReferenceRecord& record : contents.records) QVERIFY(record.size >= 1 && record.size <= 65536);
    }
  }
};

QTEST_APPLESS_MAIN(TraceFormatTest)
#include "trace_format_test.moc"
