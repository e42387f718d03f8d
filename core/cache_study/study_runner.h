// SPDX-License-Identifier: GPL-3.0-or-later
//
// Runs many points of the study: points of one stream share its generation, and streams are spread over threads. What a
// point measures depends on the point and on the number of references alone.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/cache_study/study_point.h"

namespace shearling {

enum class Quantity : std::uint8_t {
  Instructions,
  Cycles,
  L1Accesses,
  L1Misses,
  SuperpageAccesses,
  TftMissL1Hit,
  TftMissL1Miss,
  WayPredictions,
  WayMispredictions,
  EnergyL1,         ///< nJ: L1D's lookups for the program, the filter table's, and L1D's leakage.
  EnergyCoherence,  ///< nJ: L1D's lookups for probes.
  EnergyBelow,      ///< nJ: LLC, memory, TLBs, and the rest of the leakage.
  Regions,          ///< 2 MB regions of the footprint.
  SuperpageRegions,
  Count,
};

/// Sums over the references counted: those after the warm-up.
class Measurement {
 public:
  double& operator[](Quantity quantity) { return values_[static_cast<std::size_t>(quantity)]; }
  double operator[](Quantity quantity) const { return values_[static_cast<std::size_t>(quantity)]; }
  Measurement operator-(const Measurement& other) const {
    Measurement difference = *this;
    for (std::size_t i = 0; i < values_.size(); ++i) difference.values_[i] -= other.values_[i];
    return difference;
  }
  bool operator==(const Measurement&) const = default;

 private:
  std::array<double, static_cast<std::size_t>(Quantity::Count)> values_{};
};

struct StudyRunOptions {
  std::uint64_t references = 0;                ///< Of each run, the warm-up included.
  unsigned jobs = 0;                           ///< Threads; 0: all cores.
  std::function<void(double share)> progress;  ///< On any thread, never on two at once.
  const std::atomic<bool>* interrupted = nullptr;
};

/// Of each run the first quarter warms TLBs and caches up.
constexpr std::uint64_t warm_up_of(std::uint64_t references) { return references / 4; }

/// By StudyPoint::run_key().
using Measurements = std::map<std::string, Measurement>;
/// Points with equal keys are run once. Incomplete where it was interrupted.
[[nodiscard]] Measurements measure(const std::vector<StudyPoint>& points, const StudySetup& setup,
                                   const StudyRunOptions& options);

}  // namespace shearling
