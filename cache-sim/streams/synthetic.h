// SPDX-License-Identifier: GPL-3.0-or-later
//
// Generated streams: "synthetic:NAME,key=value,...". NAME is a generator (open_stream.h: generators()) or a workload, a
// generator with its parameters set (workloads()).
#pragma once

#include <string>
#include <string_view>

#include "cache-sim/streams/open_stream.h"

namespace shearling {

inline constexpr std::string_view kSyntheticPrefix = "synthetic:";
[[nodiscard]] OpenedStream make_synthetic_stream(const std::string& specification);

}  // namespace shearling
