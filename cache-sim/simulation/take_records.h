// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loop of Simulation::run() and MulticoreSimulation::run(): a stream's records, batch by batch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "cache-sim/streams/reference_stream.h"

namespace shearling {

/// Gives records to `take` until the stream ends, `most` were taken (0: all), `take` refuses one, or `go_on(taken)`,
/// asked after each batch, says no. Returns the number taken.
template <typename Take>
std::uint64_t take_records(ReferenceStream& stream, std::uint64_t most,
                           const std::function<bool(std::uint64_t taken)>& go_on, Take take) {
  constexpr std::size_t kBatch = 4096;
  std::vector<ReferenceRecord> batch(kBatch);
  std::uint64_t taken = 0;
  while (most == 0 || taken < most) {
    const std::uint64_t wanted = most == 0 ? kBatch : std::min<std::uint64_t>(kBatch, most - taken);
    const std::size_t got = stream.read({batch.data(), static_cast<std::size_t>(wanted)});
    if (got == 0) break;
    for (std::size_t i = 0; i < got; ++i) {
      if (!take(batch[i])) return taken + i;
    }
    taken += got;
    if (go_on && !go_on(taken)) break;
  }
  return taken;
}

}  // namespace shearling
