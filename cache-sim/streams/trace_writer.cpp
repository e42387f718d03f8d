// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/trace_writer.h"

#include <zlib.h>
#include <zstd.h>

#include <cassert>
#include <vector>

#include "cache-sim/streams/trace_format.h"

namespace shearling {

namespace {

using namespace trace;

constexpr std::size_t kBlockGoal = std::size_t{1} << 18;  // raw bytes: small enough to stay in the second-level cache

std::uint32_t checksum(std::uint32_t before, const std::uint8_t* bytes, std::size_t count) {
  return static_cast<std::uint32_t>(crc32(before, bytes, static_cast<uInt>(count)));
}

class Coder {
 public:
  Coder() : bytes_(kBlockGoal + kLargestRecord) {}
  void add(const ReferenceRecord& record) {
    Context::OfKind& last = context_.kinds[static_cast<std::size_t>(record.kind)];
    std::uint8_t* const op = at_++;
    *op = static_cast<std::uint8_t>(record.kind);
    if (record.translated) *op |= kTranslated;
    if (record.core != context_.core || record.address_space != context_.address_space) {
      *op |= kHasContext;
      *at_++ = context_.core = record.core;
      put(at_, context_.address_space = record.address_space);
      at_ += 2;
    }
    if (record.size != last.size) {
      *op |= kHasSize;
      number(record.size);
    }
    number(zigzag(record.address.value - last.expected));
    if (needs_physical(record)) {
      *op |= kHasPhysical;
      number(zigzag(record.physical.value - record.address.value));
      *at_++ = static_cast<std::uint8_t>(record.page_size);
    }
    context_.remember(record);
    ++records_;
  }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(at_ - bytes_.data()); }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] std::uint32_t records() const { return records_; }
  void clear() {
    at_ = bytes_.data();
    records_ = 0;
    context_ = {};
  }

 private:
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at_++ = static_cast<std::uint8_t>(value | 0x80);
    *at_++ = static_cast<std::uint8_t>(value);
  }
  bool needs_physical(const ReferenceRecord& record) {
    if (!record.translated) return record.physical.value != 0 || record.page_size != PageSize::Size4K;
    const Context::OfPage now{record.address.value >> 12, record.physical.value - record.address.value,
                              record.page_size, true};
    Context::OfPage& before = context_.page_of(record.address.value);
    if (before.known && before.page == now.page && before.distance == now.distance && before.size == now.size)
      return false;
    before = now;
    return true;
  }

  std::vector<std::uint8_t> bytes_;
  std::uint8_t* at_ = bytes_.data();
  std::uint32_t records_ = 0;
  Context context_;
};

}  // namespace

struct TraceWriter::State {
  explicit State(std::ostream& stream, int level) : out(stream), compressor(ZSTD_createCCtx()) {
    ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(compressor, ZSTD_c_checksumFlag, 1);
    stored.resize(ZSTD_compressBound(kBlockGoal + kLargestRecord));
    std::array<std::uint8_t, kFileHeaderBytes> head{};
    std::memcpy(head.data(), kMagic.data(), kMagic.size());
    put(head.data() + kMagic.size(), kTraceVersion);
    put(head.data() + kFileHeaderBytes - 4, checksum(0, head.data(), kFileHeaderBytes - 4));
    emit(head.data(), head.size());
  }
  ~State() { ZSTD_freeCCtx(compressor); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void emit(const std::uint8_t* bytes, std::size_t count) {
    out.write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(count));
  }
  void emit_header(std::string_view mark, const BlockHeader& header) {
    std::array<std::uint8_t, kBlockHeaderBytes> bytes{};
    std::memcpy(bytes.data(), mark.data(), mark.size());
    put(bytes.data() + 4, header.stored_bytes);
    put(bytes.data() + 8, header.raw_bytes);
    put(bytes.data() + 12, header.records);
    put(bytes.data() + 16, header.first_record);
    chain = checksum(chain, bytes.data(), kBlockHeaderBytes - 4);
    put(bytes.data() + kBlockHeaderBytes - 4, chain);
    emit(bytes.data(), bytes.size());
  }
  void end_block() {
    if (block.records() == 0) return;
    const std::size_t size = ZSTD_compress2(compressor, stored.data(), stored.size(), block.data(), block.size());
    assert(ZSTD_isError(size) == 0);
    emit_header(kRecordsMark, {static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(block.size()),
                               block.records(), finished_records});
    emit(stored.data(), size);
    finished_records += block.records();
    block.clear();
  }

  std::ostream& out;
  ZSTD_CCtx* compressor;
  Coder block;
  std::vector<std::uint8_t> stored;
  std::uint64_t finished_records = 0;  ///< In blocks that were written.
  std::uint32_t chain = 0;             ///< Checksum over all block headers so far.
};

TraceWriter::TraceWriter(std::ostream& out, int compression_level)
    : state_(std::make_unique<State>(out, compression_level)) {}
TraceWriter::~TraceWriter() = default;

void TraceWriter::write(std::span<const ReferenceRecord> records) {
  for (const ReferenceRecord& record : records) {
    assert(record.size >= 1 && record.size <= kLargestSize);
    state_->block.add(record);
    if (state_->block.size() >= kBlockGoal) state_->end_block();
  }
}

void TraceWriter::finish() {
  state_->end_block();
  state_->emit_header(kEndMark, {.first_record = state_->finished_records});
}

std::uint64_t TraceWriter::records() const { return state_->finished_records + state_->block.records(); }

}  // namespace shearling
