// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/text_stream.h"

#include <algorithm>
#include <cstring>

#include "cache-sim/streams/text_formats.h"

namespace shearling {

namespace {

const char* last_line_feed(const char* begin, const char* end) {
  const void* found = memrchr(begin, '\n', static_cast<std::size_t>(end - begin));
  return static_cast<const char*>(found);
}

const char* next_line_feed(const char* begin, const char* end) {
  return static_cast<const char*>(std::memchr(begin, '\n', static_cast<std::size_t>(end - begin)));
}

constexpr const char* kTooLong = "the line is longer than 65536 bytes";
constexpr const char* kIsThisATrace = "is this a trace?";

using FastPath = const char* (*)(const char*, ReferenceRecord&);

template <TraceFormat kFormat, FastPath kFast>
class TextStream final : public ReferenceStream {
 public:
  explicit TextStream(std::unique_ptr<InputBuffer> input) : input_(std::move(input)) { at_ = end_ = input_->begin(); }

  std::size_t read(std::span<ReferenceRecord> batch) override {
    std::size_t count = 0;
    std::fill(batch.begin(), batch.end(), ReferenceRecord{});
    while (count < batch.size() && !failed_) {
      count += read_fast(batch.subspan(count));
      if (count == batch.size() || !have_line()) break;
      count += take_line(batch[count]) ? 1 : 0;
    }
    references_ += count;
    if (count == 0 && !failed_) end_of_text();
    reported_ = reported_ || (count == 0 && failed_);
    return count;
  }
  [[nodiscard]] const StreamError* error() const override { return reported_ ? &error_ : nullptr; }
  [[nodiscard]] double progress() const override { return input_->progress(); }

 private:
  /// Lines as their writer prints them, up to the first that is not.
  std::size_t read_fast(std::span<ReferenceRecord> batch) {
    const char* at = at_;
    std::size_t count = 0;
    while (count < batch.size() && at < end_) {
      const char* const next = kFast(at, batch[count]);
      if (next == nullptr) break;
      at = next;
      ++count;
    }
    at_ = at;
    line_ += count;
    return count;
  }

  /// True where a whole line lies at at_.
  bool have_line() {
    if (at_ < end_) return true;
    input_->take_to(at_);
    const char* feed = last_line_feed(input_->begin(), input_->end());
    while (feed == nullptr) {
      if (input_->size() > kLongestLine) return fail(kTooLong, kIsThisATrace), false;
      const bool more = input_->fill();
      at_ = end_ = input_->begin();
      if (!more && input_->error() != nullptr) return fail_with(*input_->error()), false;
      if (!more && input_->size() == 0) return false;
      if (!more) input_->append('\n');  // the last line's
      feed = last_line_feed(input_->begin(), input_->end());
    }
    at_ = input_->begin();
    end_ = feed + 1;
    return true;
  }

  /// The line at at_, by the format's whole rule. True where it is a record.
  bool take_line(ReferenceRecord& record) {
    const char* const feed = next_line_feed(at_, end_);
    const std::string_view line(at_, static_cast<std::size_t>(feed - at_));
    if (line.size() > kLongestLine) return fail(kTooLong, kIsThisATrace), false;
    LineProblem problem;
    const LineKind kind = parse_line(kFormat, line, record, problem);
    if (kind == LineKind::Bad) return fail(problem.message, problem.remedy), false;
    at_ = feed + 1;
    ++line_;
    return kind == LineKind::Record;
  }

  void end_of_text() {
    if (references_ == 0)
      fail("there is no reference in it", kFormat == TraceFormat::Lackey
                                              ? "record it with valgrind --tool=lackey --trace-mem=yes"
                                              : "is this the right file?");
  }
  void fail(std::string message, std::string remedy) {
    fail_with({input_->name(), line_ + 1, 0, std::move(message), std::move(remedy)});
  }
  void fail_with(StreamError error) {
    failed_ = true;
    error_ = std::move(error);
  }

  std::unique_ptr<InputBuffer> input_;
  const char* at_;
  const char* end_;         ///< Behind the last line feed in the buffer.
  std::uint64_t line_ = 0;  ///< Lines taken.
  std::uint64_t references_ = 0;
  bool failed_ = false, reported_ = false;
  StreamError error_;
};

/// Files that are taken for traces by mistake.
struct KnownFile {
  std::string_view magic;
  const char* message;
  const char* remedy;
};
constexpr std::array<KnownFile, 6> kKnownFiles{{
    {{"\x7f"
      "ELF",
      4},
     "it is a program, not a trace",
     "record a trace of it: valgrind --tool=lackey --trace-mem=yes PROGRAM"},
    {{"SQLite format 3\0", 16},
     "it is a run file, not a trace",
     "write its references with shearling export --format trace"},
    {{"\xfd"
      "7zXZ",
      5},
     "it is compressed with xz",
     "use gzip or zstd, or: xz -dc FILE | shearling cache -"},
    {{"BZh", 3}, "it is compressed with bzip2", "use gzip or zstd, or: bzip2 -dc FILE | shearling cache -"},
    {{"\x1f\x8b", 2}, "it is compressed twice", "take one layer off"},
    {{"\x28\xb5\x2f\xfd", 4}, "it is compressed twice", "take one layer off"},
}};
constexpr const char* kKnownFormats =
    "traces are Valgrind Lackey, Dinero (din), extended Dinero or Shearling's own, plain or in gzip or zstd";

std::variant<TraceFormat, StreamError> unknown(const InputBuffer& input, std::uint64_t line, std::string_view text) {
  const auto binary = std::find_if(text.begin(), text.end(), [](char letter) {
    const auto byte = static_cast<std::uint8_t>(letter);
    return byte >= 0x7f || (byte < 0x20 && letter != '\t' && letter != '\r' && letter != '\n');
  });
  const std::string_view whole(input.begin(), input.size());
  for (const KnownFile& known : kKnownFiles) {
    if (whole.starts_with(known.magic)) return StreamError{input.name(), 0, 0, known.message, known.remedy};
  }
  if (binary != text.end())
    return StreamError{input.name(), 0, static_cast<std::uint64_t>(&*binary - input.begin()),
                       "it is binary, but no Shearling trace", kKnownFormats};
  return StreamError{input.name(), line, 0, "this line is in no known format", kKnownFormats};
}

}  // namespace

std::variant<TraceFormat, StreamError> guess_text_format(InputBuffer& input) {
  static constexpr std::array<TraceFormat, 3> kFormats{TraceFormat::Lackey, TraceFormat::ExtendedDin, TraceFormat::Din};
  const bool goes_on = input.fill_to(2 * kLongestLine);
  if (input.size() == 0 && input.error() != nullptr) return *input.error();
  if (input.size() == 0) return StreamError{input.name(), 0, 0, "it is empty", "record the trace again"};
  const char* at = input.begin();
  TraceFormat skipped = TraceFormat::Guess;
  for (std::uint64_t line = 1; at < input.end(); ++line) {
    const char* feed = next_line_feed(at, input.end());
    if (feed == nullptr && goes_on) break;
    if (feed == nullptr) feed = input.end();
    const std::string_view text(at, static_cast<std::size_t>(feed - at));
    ReferenceRecord record;
    LineProblem problem;
    bool skips = false;
    for (const TraceFormat format : kFormats) {
      const LineKind kind = parse_line(format, text, record, problem);
      if (kind == LineKind::Record) return format;
      if (kind == LineKind::Skip && !text.empty() && text != "\r") skipped = format;
      skips = skips || kind == LineKind::Skip;
    }
    if (!skips && input.error() != nullptr) return *input.error();
    if (!skips) return unknown(input, line, text);
    at = feed + (feed == input.end() ? 0 : 1);
  }
  if (skipped != TraceFormat::Guess) return skipped;
  return StreamError{input.name(), 1, 0, "there is no reference in it", kKnownFormats};
}

std::unique_ptr<ReferenceStream> make_text_stream(std::unique_ptr<InputBuffer> input, TraceFormat format) {
  using namespace text;
  if (format == TraceFormat::Lackey)
    return std::make_unique<TextStream<TraceFormat::Lackey, fast_lackey>>(std::move(input));
  if (format == TraceFormat::Din) return std::make_unique<TextStream<TraceFormat::Din, fast_din>>(std::move(input));
  return std::make_unique<TextStream<TraceFormat::ExtendedDin, fast_extended_din>>(std::move(input));
}

}  // namespace shearling
