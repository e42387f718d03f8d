// SPDX-License-Identifier: GPL-3.0-or-later
//
// The bytes of a file or of standard input, with gzip (RFC 1952, several members too) or zstd (RFC 8878, several frames
// too) taken off: which of them it is, is seen from the first bytes, never from the name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cache-sim/streams/reference_stream.h"

namespace shearling {

class ByteSource {
 public:
  ByteSource() = default;
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// Writes bytes to the front of `room`; returns how many. 0: the end, or an error().
  virtual std::size_t read(std::span<char> room) = 0;
  /// `byte` counts decompressed bytes.
  [[nodiscard]] virtual const StreamError* error() const = 0;
  /// 0 to 1, or below 0 where the length is not known.
  [[nodiscard]] virtual double progress() const = 0;
};

/// `path` is a file's name, or "-" for standard input.
[[nodiscard]] std::variant<std::unique_ptr<ByteSource>, StreamError> open_bytes(const std::string& path);
/// How `path` is called in messages.
[[nodiscard]] std::string name_of_source(const std::string& path);

/// A window on a source's bytes that can be looked at before they are taken. Its memory does not grow.
class InputBuffer {
 public:
  static constexpr std::size_t kCapacity = std::size_t{1} << 21;
  explicit InputBuffer(std::unique_ptr<ByteSource> source, std::string name);

  [[nodiscard]] const char* begin() const { return bytes_.data() + begin_; }
  [[nodiscard]] const char* end() const { return bytes_.data() + end_; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  /// Everything up to `position`, which lies between begin() and end(), has been used.
  void take_to(const char* position) { begin_ = static_cast<std::size_t>(position - bytes_.data()); }
  /// Reads on behind end(); begin() may move in memory. False: nothing came, for good.
  bool fill();
  /// Reads on until there are `count` bytes, at most kCapacity. False: the source has no more than size() bytes.
  bool fill_to(std::size_t count);
  /// Puts a byte behind end() that the source does not have: the line feed that a last line lacks.
  void append(char byte) { bytes_[end_++] = byte; }

  /// Of begin(), in the decompressed whole.
  [[nodiscard]] std::uint64_t offset() const { return offset_of_first_ + begin_; }
  [[nodiscard]] const StreamError* error() const { return source_->error(); }
  [[nodiscard]] double progress() const { return source_->progress(); }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  static constexpr std::size_t kSlack = 64;  ///< Zeros behind the end, so that a parser may look a few bytes ahead.
  std::unique_ptr<ByteSource> source_;
  std::string name_;
  std::vector<char> bytes_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t offset_of_first_ = 0;  ///< Of bytes_[0].
};

}  // namespace shearling
