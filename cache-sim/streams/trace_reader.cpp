// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/trace_reader.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "cache-sim/streams/trace_format.h"

namespace shearling {

namespace {

using namespace trace;

constexpr const char* kAgain = "copy or record the file again";

std::uint32_t checksum(std::uint32_t before, const std::uint8_t* bytes, std::size_t count) {
  return static_cast<std::uint32_t>(crc32(before, bytes, static_cast<uInt>(count)));
}

const std::uint8_t* bytes_of(const InputBuffer& input) { return reinterpret_cast<const std::uint8_t*>(input.begin()); }

/// Records out of the raw bytes of one block.
class Decoder {
 public:
  std::uint8_t* prepare(std::size_t raw_bytes) {
    bytes_.resize(kLargestBlock + 2 * kLargestRecord);
    at_ = bytes_.data();
    end_ = at_ + raw_bytes;
    std::memset(bytes_.data() + raw_bytes, 0, kLargestRecord);  // a torn record ends inside the memory
    context_ = {};
    return bytes_.data();
  }
  [[nodiscard]] bool at_end() const { return at_ == end_; }
  /// Decodes to the end of `batch`. False: a record is none.
  bool decode(std::span<ReferenceRecord> batch) {
    for (ReferenceRecord& record : batch) {
      if (!decode_one(record)) return false;
    }
    return true;
  }

 private:
  std::uint64_t number() {
    std::uint64_t value = *at_++;
    if (value < 0x80) return value;
    value &= 0x7f;
    for (unsigned shift = 7; shift < 64; shift += 7) {
      const std::uint64_t byte = *at_++;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
  bool decode_one(ReferenceRecord& record) {
    const std::uint8_t op = *at_++;
    const std::size_t kind = op & kKindBits;
    if (kind >= kKinds) return false;
    if ((op & kHasContext) != 0) {
      context_.core = *at_++;
      context_.address_space = get<std::uint16_t>(at_);
      at_ += 2;
    }
    Context::OfKind& last = context_.kinds[kind];
    if ((op & kHasSize) != 0) {
      const std::uint64_t size = number();
      if (size == 0 || size > kLargestSize) return false;
      last.size = static_cast<std::uint32_t>(size);
    }
    const std::uint64_t address = last.expected + unzigzag(number());
    last.expected = address + (kind == static_cast<std::size_t>(RecordKind::Fetch) ? last.size : 0);
    record = {.address = {address},
              .physical = {},
              .size = last.size,
              .kind = static_cast<RecordKind>(kind),
              .page_size = PageSize::Size4K,
              .translated = (op & kTranslated) != 0,
              .core = context_.core,
              .address_space = context_.address_space};
    if ((op & (kTranslated | kHasPhysical)) != 0 && !decode_physical(op, record)) return false;
    return at_ <= end_;
  }
  bool decode_physical(std::uint8_t op, ReferenceRecord& record) {
    const std::uint64_t address = record.address.value;
    Context::OfPage& page = context_.page_of(address);
    if ((op & kHasPhysical) == 0) {
      if (!page.known || page.page != address >> 12) return false;
      record.physical = {address + page.distance};
      record.page_size = page.size;
      return true;
    }
    const std::uint64_t distance = unzigzag(number());
    const std::uint8_t size = *at_++;
    if (size > static_cast<std::uint8_t>(PageSize::Size1G)) return false;
    record.physical = {address + distance};
    record.page_size = static_cast<PageSize>(size);
    if (record.translated) page = {address >> 12, distance, record.page_size, true};
    return true;
  }

  std::vector<std::uint8_t> bytes_;
  const std::uint8_t* at_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  Context context_;
};

class TraceReader final : public ReferenceStream {
 public:
  explicit TraceReader(std::unique_ptr<InputBuffer> input)
      : input_(std::move(input)), decompressor_(ZSTD_createDCtx()) {}
  ~TraceReader() override { ZSTD_freeDCtx(decompressor_); }

  std::size_t read(std::span<ReferenceRecord> batch) override {
    std::size_t count = 0;
    while (count < batch.size() && !finished_) {
      if (left_in_block_ == 0 && !next_block()) break;
      const std::size_t some = std::min<std::size_t>(left_in_block_, batch.size() - count);
      if (!decoder_.decode(batch.subspan(count, some))) {
        fail(block_at_, "a record cannot be decoded", kAgain);
        break;
      }
      count += some;
      left_in_block_ -= static_cast<std::uint32_t>(some);
      if (left_in_block_ == 0 && !decoder_.at_end()) fail(block_at_, "a block has bytes behind its records", kAgain);
    }
    reported_ = reported_ || (count == 0 && failed_);
    return count;
  }
  [[nodiscard]] const StreamError* error() const override { return reported_ ? &error_ : nullptr; }
  [[nodiscard]] double progress() const override { return input_->progress(); }

 private:
  /// Fails, or leaves records in the decoder, or finishes.
  bool next_block() {
    block_at_ = input_->offset();
    if (!input_->fill_to(kBlockHeaderBytes)) return cut_off();
    const std::uint8_t* const bytes = bytes_of(*input_);
    chain_ = checksum(chain_, bytes, kBlockHeaderBytes - 4);
    if (chain_ != get<std::uint32_t>(bytes + kBlockHeaderBytes - 4))
      return fail(block_at_, "a block's head is damaged", kAgain);
    const BlockHeader header{.stored_bytes = get<std::uint32_t>(bytes + 4),
                             .raw_bytes = get<std::uint32_t>(bytes + 8),
                             .records = get<std::uint32_t>(bytes + 12),
                             .first_record = get<std::uint64_t>(bytes + 16)};
    const std::string_view mark(input_->begin(), 4);
    if (header.first_record != records_) return fail(block_at_, "records are missing before this block", kAgain);
    input_->take_to(input_->begin() + kBlockHeaderBytes);
    if (mark == kEndMark) return end();
    if (mark != kRecordsMark || !plausible(header)) return fail(block_at_, "a block's head makes no sense", kAgain);
    return open_block(header);
  }
  static bool plausible(const BlockHeader& header) {
    return header.records != 0 && header.raw_bytes <= kLargestBlock && header.records <= header.raw_bytes &&
           header.stored_bytes <= ZSTD_compressBound(kLargestBlock);
  }
  bool open_block(const BlockHeader& header) {
    if (!input_->fill_to(header.stored_bytes)) return cut_off();
    const std::size_t raw = ZSTD_decompressDCtx(decompressor_, decoder_.prepare(header.raw_bytes), header.raw_bytes,
                                                input_->begin(), header.stored_bytes);
    if (ZSTD_isError(raw) != 0 || raw != header.raw_bytes)
      return fail(block_at_,
                  std::string("a block is damaged: ") +
                      (ZSTD_isError(raw) != 0 ? ZSTD_getErrorName(raw) : "it has another length"),
                  kAgain);
    input_->take_to(input_->begin() + header.stored_bytes);
    left_in_block_ = header.records;
    records_ += header.records;
    return true;
  }
  bool end() {
    finished_ = true;
    if (input_->fill_to(1)) return fail(input_->offset(), "something follows the end of the trace", kAgain);
    if (input_->error() != nullptr) return fail_with(*input_->error());
    return false;
  }
  bool cut_off() {
    if (input_->error() != nullptr) return fail_with(*input_->error());
    return fail(input_->offset() + input_->size(),
                "the trace is cut off after " + std::to_string(records_) + " records",
                "record it again, or let the recording finish");
  }
  bool fail(std::uint64_t byte, std::string message, std::string remedy) {
    return fail_with({input_->name(), 0, byte, std::move(message), std::move(remedy)});
  }
  bool fail_with(StreamError error) {
    failed_ = finished_ = true;
    error_ = std::move(error);
    return false;
  }

  std::unique_ptr<InputBuffer> input_;
  ZSTD_DCtx* decompressor_;
  Decoder decoder_;
  std::uint32_t left_in_block_ = 0;
  std::uint64_t records_ = 0;  ///< To the end of the present block.
  std::uint64_t block_at_ = 0;
  std::uint32_t chain_ = 0;
  bool finished_ = false, failed_ = false, reported_ = false;
  StreamError error_;
};

}  // namespace

bool looks_like_trace(InputBuffer& input) {
  input.fill_to(kFileHeaderBytes);
  const std::string_view front(input.begin(), std::min(input.size(), kMagic.size()));
  return (!front.empty() && kMagic.starts_with(front)) || front.find("ShlTrc") != std::string_view::npos;
}

OpenedStream make_trace_reader(std::unique_ptr<InputBuffer> input) {
  const auto fail = [&](const char* message, const char* remedy) {
    return OpenedStream(StreamError{input->name(), 0, 0, message, remedy});
  };
  const bool whole = input->fill_to(kFileHeaderBytes);
  if (!whole && input->error() != nullptr) return *input->error();
  if (input->size() == 0) return fail("it is empty", kAgain);
  const std::uint8_t* const bytes = bytes_of(*input);
  const std::string_view front(input->begin(), std::min(input->size(), kMagic.size()));
  if (front.find("ShlTrc") != std::string_view::npos && !kMagic.starts_with(front))
    return fail("the trace was changed by a transfer as text", "transfer it as binary");
  if (!kMagic.starts_with(front)) return fail("it is no Shearling trace", kAgain);
  if (!whole) return fail("the trace is cut off in its head", kAgain);
  const auto version = get<std::uint32_t>(bytes + kMagic.size());
  if (checksum(0, bytes, kFileHeaderBytes - 4) != get<std::uint32_t>(bytes + kFileHeaderBytes - 4))
    return fail("the head of the trace is damaged", kAgain);
  if (version != kTraceVersion)
    return OpenedStream(StreamError{input->name(), 0, kMagic.size(),
                                    "the trace has version " + std::to_string(version) +
                                        "; this program reads version " + std::to_string(kTraceVersion),
                                    "use a newer Shearling, or write the trace again with this one"});
  input->take_to(input->begin() + kFileHeaderBytes);
  return OpenedStream(std::make_unique<TraceReader>(std::move(input)));
}

}  // namespace shearling
