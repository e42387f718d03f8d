// SPDX-License-Identifier: GPL-3.0-or-later
//
// Between records one at a time and batches of them: records that a stream has made and not yet handed out, and another
// stream taken record by record.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "cache-sim/streams/reference_stream.h"

namespace shearling {

/// Records that wait to be handed out, in their order.
class RecordQueue {
 public:
  [[nodiscard]] bool empty() const { return next_ == records_.size(); }
  /// A new one at the end, and the one that is there.
  ReferenceRecord& add() {
    if (empty()) clear();
    return records_.emplace_back();
  }
  ReferenceRecord& last() { return records_.back(); }
  void clear() {
    records_.clear();
    next_ = 0;
  }
  /// Moves as many as there are, or fit, to the front of `batch`; returns how many.
  std::size_t hand_out(std::span<ReferenceRecord> batch) {
    const std::size_t count = std::min(batch.size(), records_.size() - next_);
    std::copy_n(records_.begin() + static_cast<std::ptrdiff_t>(next_), count, batch.begin());
    next_ += count;
    return count;
  }
  /// Fills `batch` from the queue, which `produce` fills anew when it is empty. False from it: the end.
  template <typename Produce>
  std::size_t fill(std::span<ReferenceRecord> batch, Produce produce) {
    std::size_t count = 0;
    while (count < batch.size() && (!empty() || produce())) count += hand_out(batch.subspan(count));
    return count;
  }

 private:
  std::vector<ReferenceRecord> records_;
  std::size_t next_ = 0;
};

/// Another stream, record by record.
class RecordReader {
 public:
  explicit RecordReader(std::unique_ptr<ReferenceStream> stream) : stream_(std::move(stream)) {}
  [[nodiscard]] const ReferenceStream& stream() const { return *stream_; }
  /// Nothing was there any more; stream().error() says whether it ended well.
  [[nodiscard]] bool ended() const { return ended_; }
  std::optional<ReferenceRecord> next() {
    if (next_ == records_.size() && !ended_) refill();
    if (ended_) return std::nullopt;
    return records_[next_++];
  }

 private:
  static constexpr std::size_t kBatch = 512;
  void refill() {
    records_.resize(kBatch);
    records_.resize(stream_->read(records_));
    next_ = 0;
    ended_ = records_.empty();
  }

  std::unique_ptr<ReferenceStream> stream_;
  std::vector<ReferenceRecord> records_;
  std::size_t next_ = 0;
  bool ended_ = false;
};

}  // namespace shearling
