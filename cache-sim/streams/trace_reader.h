// SPDX-License-Identifier: GPL-3.0-or-later
//
// Shearling reference traces as streams. Every checksum is checked; a trace that is cut off, damaged, foreign or of a
// newer version is an error that says so.
#pragma once

#include <memory>

#include "cache-sim/streams/byte_source.h"
#include "cache-sim/streams/open_stream.h"

namespace shearling {

/// True where the first bytes are a Shearling trace's, or were until something damaged them.
[[nodiscard]] bool looks_like_trace(InputBuffer& input);
/// Checks the head of the file.
[[nodiscard]] OpenedStream make_trace_reader(std::unique_ptr<InputBuffer> input);

}  // namespace shearling
