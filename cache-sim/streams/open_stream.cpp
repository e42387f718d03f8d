// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/open_stream.h"

#include "cache-sim/streams/byte_source.h"
#include "cache-sim/streams/synthetic.h"
#include "cache-sim/streams/text_stream.h"
#include "cache-sim/streams/trace_reader.h"

namespace shearling {

OpenedStream open_stream(const std::string& specification, TraceFormat format) {
  if (specification.starts_with(kSyntheticPrefix)) return make_synthetic_stream(specification);
  auto opened = open_bytes(specification);
  if (const auto* error = std::get_if<StreamError>(&opened)) return *error;
  auto input = std::make_unique<InputBuffer>(std::move(std::get<std::unique_ptr<ByteSource>>(opened)),
                                             name_of_source(specification));
  if (format == TraceFormat::Shearling || (format == TraceFormat::Guess && looks_like_trace(*input)))
    return make_trace_reader(std::move(input));
  if (format == TraceFormat::Guess) {
    const auto guessed = guess_text_format(*input);
    if (const auto* error = std::get_if<StreamError>(&guessed)) return *error;
    format = std::get<TraceFormat>(guessed);
  }
  return make_text_stream(std::move(input), format);
}

}  // namespace shearling
