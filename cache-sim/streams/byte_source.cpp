// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace shearling {

namespace {

constexpr std::size_t kChunk = std::size_t{1} << 18;
constexpr std::string_view kGzipMagic{"\x1f\x8b", 2};
constexpr std::string_view kZstdMagic{"\x28\xb5\x2f\xfd", 4};
constexpr const char* kCutOff = "the file is cut off: copy or record it again";
constexpr const char* kDamaged = "copy or record the file again";

/// The file itself, a chunk at a time.
class RawInput {
 public:
  RawInput(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)), chunk_(kChunk) {
    struct stat status {};
    if (fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode))
      length_ = static_cast<std::uint64_t>(status.st_size);
  }
  ~RawInput() {
    if (descriptor_ > STDERR_FILENO) close(descriptor_);
  }
  RawInput(const RawInput&) = delete;
  RawInput& operator=(const RawInput&) = delete;

  [[nodiscard]] std::string_view rest() const { return {chunk_.data() + begin_, end_ - begin_}; }
  void take(std::size_t count) { begin_ += count; }
  /// Reads on behind what is left of the chunk. False: the end, or an error().
  bool fill() {
    std::memmove(chunk_.data(), chunk_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const std::size_t got = read_file(chunk_.data() + end_, chunk_.size() - end_);
    end_ += got;
    return got != 0;
  }
  std::size_t read_file(char* to, std::size_t room) {
    ssize_t got = 0;
    do {
      got = ::read(descriptor_, to, room);
    } while (got < 0 && errno == EINTR);
    if (got < 0) fail(taken_, std::string("it cannot be read: ") + std::strerror(errno), "check the file and the disk");
    if (got <= 0) return 0;
    taken_ += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  }
  [[nodiscard]] double progress() const {
    if (length_ == 0) return -1;
    return std::min(1.0, static_cast<double>(taken_ - (end_ - begin_)) / static_cast<double>(length_));
  }
  void fail(std::uint64_t byte, std::string message, std::string remedy) {
    if (!error_) error_ = StreamError{name_, 0, byte, std::move(message), std::move(remedy)};
  }
  [[nodiscard]] const StreamError* error() const { return error_ ? &*error_ : nullptr; }

 private:
  int descriptor_;
  std::string name_;
  std::vector<char> chunk_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t taken_ = 0;   ///< From the file.
  std::uint64_t length_ = 0;  ///< Of the file; 0 where it has none.
  std::optional<StreamError> error_;
};

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(std::unique_ptr<RawInput> input) : input_(std::move(input)) {}
  std::size_t read(std::span<char> room) override {
    const std::string_view rest = input_->rest();
    if (rest.empty()) return input_->read_file(room.data(), room.size());
    const std::size_t count = std::min(rest.size(), room.size());
    std::memcpy(room.data(), rest.data(), count);
    input_->take(count);
    return count;
  }
  [[nodiscard]] const StreamError* error() const override { return input_->error(); }
  [[nodiscard]] double progress() const override { return input_->progress(); }

 private:
  std::unique_ptr<RawInput> input_;
};

/// What both decompressors share: the loop until something comes out.
class CompressedSource : public ByteSource {
 public:
  explicit CompressedSource(std::unique_ptr<RawInput> input) : input_(std::move(input)) {}
  std::size_t read(std::span<char> room) override {
    while (!finished_) {
      const bool more = !input_->rest().empty() || input_->fill();
      const std::size_t produced = inflate_some(room);
      produced_ += produced;
      finished_ = finished_ || input_->error() != nullptr;
      if (produced != 0) return produced;
      if (!more && !finished_) {
        at_end_of_file();
        finished_ = true;
      }
    }
    return 0;
  }
  [[nodiscard]] const StreamError* error() const override { return input_->error(); }
  [[nodiscard]] double progress() const override { return input_->progress(); }

 protected:
  /// Takes some of input()'s rest and returns the bytes written: progress, or fail(). Where the rest is empty, as it is
  /// at the end of the file, what waits inside the decompressor may still come out.
  virtual std::size_t inflate_some(std::span<char> room) = 0;
  virtual void at_end_of_file() = 0;
  void fail(std::string message, std::string remedy) {
    input_->fail(produced_, std::move(message), std::move(remedy));
    finished_ = true;
  }
  RawInput& input() { return *input_; }

 private:
  std::unique_ptr<RawInput> input_;
  std::uint64_t produced_ = 0;
  bool finished_ = false;
};

class GzipSource : public CompressedSource {
 public:
  explicit GzipSource(std::unique_ptr<RawInput> input) : CompressedSource(std::move(input)) {
    constexpr int kGzipAlone = 16;
    ready_ = inflateInit2(&state_, MAX_WBITS + kGzipAlone) == Z_OK;
  }
  ~GzipSource() override { inflateEnd(&state_); }

 protected:
  std::size_t inflate_some(std::span<char> room) override {
    if (!ready_) {
      fail("there is no memory for taking gzip off", "free some memory");
      return 0;
    }
    if (between_members_ && (input().rest().empty() || !begin_member())) return 0;
    const std::string_view rest = input().rest();
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
    state_.avail_in = static_cast<uInt>(rest.size());
    state_.next_out = reinterpret_cast<Bytef*>(room.data());
    state_.avail_out = static_cast<uInt>(room.size());
    const int answer = inflate(&state_, Z_NO_FLUSH);
    input().take(rest.size() - state_.avail_in);
    if (answer == Z_STREAM_END) between_members_ = true;
    if (answer != Z_OK && answer != Z_STREAM_END && answer != Z_BUF_ERROR)  // the last: there was no more input
      fail(std::string("the gzip data are damaged") + (state_.msg != nullptr ? std::string(": ") + state_.msg : ""),
           kDamaged);
    return room.size() - state_.avail_out;
  }
  void at_end_of_file() override {
    if (!between_members_) fail("the gzip data end before their end", kCutOff);
  }

 private:
  bool begin_member() {
    while (input().rest().size() < kGzipMagic.size() && input().fill()) continue;
    if (!input().rest().starts_with(kGzipMagic)) {
      fail("something else follows the gzip data", "cut off what does not belong to the trace");
      return false;
    }
    between_members_ = false;
    return inflateReset(&state_) == Z_OK;
  }
  z_stream state_{};
  bool ready_ = false;
  bool between_members_ = false;
};

class ZstdSource : public CompressedSource {
 public:
  explicit ZstdSource(std::unique_ptr<RawInput> input)
      : CompressedSource(std::move(input)), state_(ZSTD_createDStream()) {
    ZSTD_initDStream(state_);
  }
  ~ZstdSource() override { ZSTD_freeDStream(state_); }

 protected:
  std::size_t inflate_some(std::span<char> room) override {
    const std::string_view rest = input().rest();
    if (rest.empty() && !inside_frame_) return 0;
    ZSTD_inBuffer in{rest.data(), rest.size(), 0};
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const std::size_t answer = ZSTD_decompressStream(state_, &out, &in);
    if (ZSTD_isError(answer) != 0) {
      fail(std::string("the zstd data are damaged: ") + ZSTD_getErrorName(answer), kDamaged);
      return 0;
    }
    input().take(in.pos);
    inside_frame_ = answer != 0;
    return out.pos;
  }
  void at_end_of_file() override {
    if (inside_frame_) fail("the zstd data end before their end", kCutOff);
  }

 private:
  ZSTD_DStream* state_;
  bool inside_frame_ = true;
};

}  // namespace

std::string name_of_source(const std::string& path) { return path == "-" ? "standard input" : path; }

std::variant<std::unique_ptr<ByteSource>, StreamError> open_bytes(const std::string& path) {
  const std::string name = name_of_source(path);
  const int descriptor = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return StreamError{name, 0, 0, std::string("it cannot be opened: ") + std::strerror(errno),
                       "check the name and the permissions"};
  auto input = std::make_unique<RawInput>(descriptor, name);
  while (input->rest().size() < kZstdMagic.size() && input->fill()) continue;
  if (input->error() != nullptr) return *input->error();
  using Opened = std::unique_ptr<ByteSource>;
  if (input->rest().starts_with(kGzipMagic)) return Opened(std::make_unique<GzipSource>(std::move(input)));
  if (input->rest().starts_with(kZstdMagic)) return Opened(std::make_unique<ZstdSource>(std::move(input)));
  return Opened(std::make_unique<PlainSource>(std::move(input)));
}

InputBuffer::InputBuffer(std::unique_ptr<ByteSource> source, std::string name)
    : source_(std::move(source)), name_(std::move(name)), bytes_(kCapacity + kSlack) {}

bool InputBuffer::fill() {
  if (begin_ == end_ || end_ + kChunk > kCapacity) {
    std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
    offset_of_first_ += begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  const std::size_t room = std::min(kChunk, kCapacity - end_);
  const std::size_t got = room == 0 ? 0 : source_->read({bytes_.data() + end_, room});
  end_ += got;
  std::memset(bytes_.data() + end_, 0, kSlack);
  return got != 0;
}

bool InputBuffer::fill_to(std::size_t count) {
  while (size() < count) {
    if (!fill()) return false;
  }
  return true;
}

}  // namespace shearling
