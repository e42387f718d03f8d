// SPDX-License-Identifier: GPL-3.0-or-later
//
// Writes Shearling reference traces (docs/trace-format.md): every field of every record comes back from the reader.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <span>

#include "cache-sim/streams/reference_stream.h"

namespace shearling {

class TraceWriter {
 public:
  /// Writes the head of the file. `out` is borrowed, and binary.
  explicit TraceWriter(std::ostream& out, int compression_level = 3);
  ~TraceWriter();
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;

  /// A record's size is 1 to 65536 bytes.
  void write(const ReferenceRecord& record) { write(std::span(&record, 1)); }
  void write(std::span<const ReferenceRecord> records);
  /// Writes what is left and the end. Without it, a reader says that the trace is cut off. Once only.
  void finish();
  [[nodiscard]] std::uint64_t records() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shearling
