// SPDX-License-Identifier: GPL-3.0-or-later
//
// Textual traces as streams, and which format a text is in.
#pragma once

#include <memory>

#include "cache-sim/streams/byte_source.h"
#include "cache-sim/streams/open_stream.h"

namespace shearling {

/// The format of the first line that is no comment. An error where there is no such line, or no such format.
[[nodiscard]] std::variant<TraceFormat, StreamError> guess_text_format(InputBuffer& input);
/// `format` is a textual one.
[[nodiscard]] std::unique_ptr<ReferenceStream> make_text_stream(std::unique_ptr<InputBuffer> input, TraceFormat format);

}  // namespace shearling
