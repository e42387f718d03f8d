// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Shearling reference trace: constants of the file and the coding of one record, shared by writer and reader.
// docs/trace-format.md is the description; whatever changes here changes there, and kTraceVersion with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cache-sim/streams/reference_stream.h"

namespace shearling::trace {

constexpr std::uint32_t kTraceVersion = 1;
// A byte above 127, then CR LF and LF: a transfer that takes the file for text damages it visibly.
constexpr std::string_view kMagic{"\x8fShlTrc\r\n\x1a\n\0", 12};
constexpr std::size_t kFileHeaderBytes = 20;   // magic, version, checksum of both
constexpr std::size_t kBlockHeaderBytes = 28;  // mark, stored bytes, raw bytes, records, first record, checksum
constexpr std::string_view kRecordsMark{"RECS"}, kEndMark{"DONE"};
constexpr std::uint32_t kLargestBlock = 1U << 20;  // raw bytes
constexpr std::size_t kLargestRecord = 40;         // more than the longest numbers make
constexpr std::uint32_t kLargestSize = 1U << 16;   // of a reference, bytes

struct BlockHeader {
  std::uint32_t stored_bytes = 0;  ///< Of the zstd frame that follows.
  std::uint32_t raw_bytes = 0;
  std::uint32_t records = 0;
  std::uint64_t first_record = 0;
};

template <typename Integer>
void put(std::uint8_t* to, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<std::uint8_t>(std::uint64_t{value} >> (8 * i));
}
template <typename Integer>
Integer get(const std::uint8_t* from) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) value |= std::uint64_t{from[i]} << (8 * i);
  return static_cast<Integer>(value);
}

// The first byte of a record.
constexpr std::uint8_t kKindBits = 0x0f;
constexpr std::uint8_t kHasSize = 0x10;      // else the last size of this kind
constexpr std::uint8_t kTranslated = 0x20;   // ReferenceRecord::translated
constexpr std::uint8_t kHasPhysical = 0x40;  // else as last on this page (translated), or 0 (not translated)
constexpr std::uint8_t kHasContext = 0x80;   // else core and address space of the record before
constexpr std::size_t kKinds = 10;

/// What both sides know after each record of a block; a block begins with a fresh one.
struct Context {
  struct OfKind {
    std::uint64_t expected = 0;  ///< Address: the last one; behind the last one for a fetch.
    std::uint32_t size = 1;
  };
  struct OfPage {
    std::uint64_t page = 0;      ///< Address >> 12.
    std::uint64_t distance = 0;  ///< Physical - virtual.
    PageSize size = PageSize::Size4K;
    bool known = false;
  };
  static constexpr std::size_t kPages = 256;
  std::array<OfKind, kKinds> kinds{};
  std::array<OfPage, kPages> pages{};
  std::uint8_t core = 0;
  std::uint16_t address_space = 0;

  OfPage& page_of(std::uint64_t address) { return pages[address >> 12 & (kPages - 1)]; }
  void remember(const ReferenceRecord& record) {
    OfKind& kind = kinds[static_cast<std::size_t>(record.kind)];
    kind.size = record.size;
    kind.expected = record.address.value + (record.kind == RecordKind::Fetch ? record.size : 0);
  }
};

// Signed numbers with small ones first: 0, -1, 1, -2, ...; then seven bits a byte, the lowest first.
constexpr std::uint64_t zigzag(std::uint64_t value) { return value << 1 ^ (value >> 63 != 0 ? ~std::uint64_t{0} : 0); }
constexpr std::uint64_t unzigzag(std::uint64_t value) {
  return value >> 1 ^ ((value & 1) != 0 ? ~std::uint64_t{0} : 0);
}

}  // namespace shearling::trace
