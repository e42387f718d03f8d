// SPDX-License-Identifier: GPL-3.0-or-later
//
// A stream of memory references, whatever it comes from: a trace file, a generator, a recorded guest. Records are
// values, handed out in batches, so that a stream of any length needs the memory of one batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "cache-sim/address.h"
#include "cache-sim/streams/page_map.h"

namespace shearling {

/// What a record is. The first four are references of the program; the others are what happens around it.
enum class RecordKind : std::uint8_t {
  Fetch,
  Read,
  Write,
  Modify,               ///< A load and a store to the same bytes by one instruction: one access that dirties the line.
  ContextSwitch,        ///< From here on `address_space` runs on `core`.
  InvalidatePage,       ///< INVLPG or TLBI of the page that holds `address`.
  Splinter,             ///< The 2 MB page that holds `address` becomes 4 KB pages, in place.
  Promote,              ///< The 2 MB region that holds `address` becomes one 2 MB page.
  CoherenceRead,        ///< Another agent reads a line: a probe arrives that wants it clean or shared.
  CoherenceInvalidate,  ///< Another agent writes it: a probe arrives that wants it gone.
};
/// A coherence probe means the line of `physical` where `translated`; else the line that `address` has in
/// `address_space`, which a PageMap knows.
constexpr bool is_reference(RecordKind kind) { return kind <= RecordKind::Modify; }

struct ReferenceRecord {
  VirtualAddress address;
  PhysicalAddress physical;  ///< Where `translated`.
  std::uint32_t size = 1;    ///< Bytes, from 1.
  RecordKind kind = RecordKind::Read;
  PageSize page_size = PageSize::Size4K;  ///< Where `translated`.
  bool translated = false;                ///< The stream knows the translation: a recorded guest. Else a PageMap does.
  std::uint8_t core = 0;
  std::uint16_t address_space = 0;
  bool operator==(const ReferenceRecord&) const = default;
};

/// Why a stream ended before its end: what a user needs to mend it.
struct StreamError {
  std::string source;      ///< File name, "standard input", or the generator's specification.
  std::uint64_t line = 0;  ///< From 1, of a text; 0 otherwise.
  std::uint64_t byte = 0;  ///< Offset from 0, of a binary (uncompressed); meaningful where `line` is 0.
  std::string message;
  std::string remedy;
};

class ReferenceStream {
 public:
  ReferenceStream() = default;
  virtual ~ReferenceStream() = default;
  ReferenceStream(const ReferenceStream&) = delete;
  ReferenceStream& operator=(const ReferenceStream&) = delete;

  /// Writes the next records to the front of `batch`; returns how many. 0: the end, or an error().
  virtual std::size_t read(std::span<ReferenceRecord> batch) = 0;
  /// Set once read() has returned 0 because of what it met. Null at a regular end.
  [[nodiscard]] virtual const StreamError* error() const { return nullptr; }
  /// 0 to 1 of the whole, or below 0 where nobody knows (standard input).
  [[nodiscard]] virtual double progress() const { return -1; }
  /// The pages that this stream is meant for: a generator's share of superpages. Null where it has no opinion. A
  /// recommendation: the user of the stream decides.
  [[nodiscard]] virtual const PageMapConfig* suggested_pages() const { return nullptr; }
};

}  // namespace shearling
