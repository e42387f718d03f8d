// SPDX-License-Identifier: GPL-3.0-or-later
//
// Files for tests of the readers, compressed or not, and whole streams as vectors.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <QTemporaryDir>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cache-sim/streams/open_stream.h"
#include "cache-sim/streams/trace_writer.h"
#include "tests/cache-sim/test_support.h"

namespace shearling::test {

inline std::string gzipped(const std::string& bytes) {
  z_stream state{};
  deflateInit2(&state, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&state, bytes.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  state.avail_in = static_cast<uInt>(bytes.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  deflate(&state, Z_FINISH);
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}

inline std::string in_zstd(const std::string& bytes) {
  std::string packed(ZSTD_compressBound(bytes.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  return packed;
}

class Folder {
 public:
  /// Writes `bytes` to a file and returns its name.
  std::string file(const std::string& bytes) {
    const std::string name = folder_.filePath(QString::number(++count_)).toStdString();
    QFile file(QString::fromStdString(name));
    if (!file.open(QIODevice::WriteOnly)) qFatal("no temporary file");
    file.write(bytes.data(), static_cast<qint64>(bytes.size()));
    return name;
  }

 private:
  QTemporaryDir folder_;
  int count_ = 0;
};

struct Contents {
  std::vector<ReferenceRecord> records;
  std::optional<StreamError> error;
  [[nodiscard]] std::string message() const { return error ? error->message : std::string{}; }
  [[nodiscard]] std::uint64_t line() const { return error ? error->line : 0; }
};

/// Reads in batches of `batch`. Checks the contract of error(): nothing before read() has returned 0.
inline Contents read_all(ReferenceStream& stream, std::size_t batch = 1000) {
  Contents contents;
  std::vector<ReferenceRecord> some(batch);
  while (const std::size_t count = stream.read(some)) {
    if (stream.error() != nullptr) qFatal("an error before the end");
    contents.records.insert(contents.records.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
  }
  if (stream.error() != nullptr) contents.error = *stream.error();
  if (stream.read(some) != 0) qFatal("a stream went on after its end");
  return contents;
}

inline Contents read_all(const std::string& specification, TraceFormat format = TraceFormat::Guess,
                         std::size_t batch = 1000) {
  auto opened = open_stream(specification, format);
  if (const auto* error = std::get_if<StreamError>(&opened)) return {{}, *error};
  return read_all(*std::get<std::unique_ptr<ReferenceStream>>(opened), batch);
}

inline std::string as_trace(const std::vector<ReferenceRecord>& records) {
  std::ostringstream out;
  TraceWriter writer(out);
  writer.write(records);
  writer.finish();
  return out.str();
}

inline ReferenceRecord reference(RecordKind kind, std::uint64_t address, std::uint32_t size) {
  ReferenceRecord record;
  record.kind = kind;
  record.address = {address};
  record.size = size;
  return record;
}

/// A change of one byte, one removed or added stretch, or a cut: what disks, transfers and editors do.
inline std::string damaged(std::string bytes, Random& random) {
  const std::size_t at = random.below(bytes.size());
  const std::size_t length = 1 + random.below(std::min<std::size_t>(bytes.size() - at, 64));
  switch (random.below(4)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 + random.below(255)));
      break;
    case 1:
      bytes.erase(at, length);
      break;
    case 2:
      bytes.insert(at, bytes.substr(random.below(bytes.size()), length));
      break;
    default:
      bytes.resize(at);
  }
  return bytes;
}

}  // namespace shearling::test
