// SPDX-License-Identifier: GPL-3.0-or-later
//
// "synthetic:multicore,...": threads of one program, one a core, that share part of their data. Either all their
// references, the cores taking turns (for a configuration with `coherence`), or one core's view: its own references
// and the coherence probes that reach it (for a simulation of one core).
#pragma once

#include <string>
#include <vector>

#include "cache-sim/streams/open_stream.h"
#include "core/base/result.h"

namespace shearling {

/// What every command of the study takes for a stream: "synthetic:multicore,..." or what open_stream() opens.
[[nodiscard]] OpenedStream open_study_stream(const std::string& specification, TraceFormat format = TraceFormat::Guess);
/// What it met, with its place, for whoever gave the stream.
[[nodiscard]] Diagnostic diagnostic_of(const StreamError& error);
/// generators(), and multicore.
[[nodiscard]] std::vector<GeneratorDescription> study_generators();

}  // namespace shearling
