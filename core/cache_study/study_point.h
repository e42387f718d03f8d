// SPDX-License-Identifier: GPL-3.0-or-later
//
// One operating point of the SEESAW study (workload, L1D, core, frequency, fragmentation, design), how the words of the
// paper's figures name it, and the configuration of the simulator that it means. What is the same at every point comes
// from StudyInputs; nothing here comes from a result of the paper.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache-sim/simulation/simulation.h"
#include "core/cache_study/paper_data.h"

namespace shearling {

enum class StudyDesign : std::uint8_t {
  Vipt,                  ///< The baseline: all ways, the TLB beside them.
  Seesaw,                ///< With the "4way" insertion policy.
  SeesawWholeInsertion,  ///< With "4way-8way".
  WayPrediction,         ///< VIPT with MRU way prediction.
  SeesawWayPrediction,
  Pipt,       ///< One of the other designs of Figure 14.
  BestOther,  ///< The best of those: no point of its own.
  Plain,      ///< Physical addresses alone, any associativity, no translation: for misses against ways.
  Footprint,  ///< No cache: the 2 MB regions of the footprint, and which of them are superpages.
};

struct StudyPoint {
  std::string workload;
  StudyDesign design = StudyDesign::Seesaw;
  CoreModel core = CoreModel::OutOfOrder;
  double ghz = 1.33;
  std::uint64_t size = std::uint64_t{64} << 10;
  unsigned ways = 0;  ///< 0: as VIPT needs them, 4 KB each.
  unsigned tft_entries = 16;
  bool fill_on_miss = false;     ///< The filter table, against the paper (cache-sim/translation_filter_table.h).
  unsigned memhog = 0;           ///< Per cent.
  std::optional<double> probes;  ///< Coherence probes for 1000 data references; the workload's own where not given.
  std::size_t pipt_tlb = 0;      ///< Of StudyInputs::pipt_tlbs.
  double below_l1 = 1;           ///< Factor on all energies that are not L1D's: no other run.

  [[nodiscard]] unsigned way_count() const { return ways != 0 ? ways : static_cast<unsigned>(size >> 12); }
  [[nodiscard]] StudyPoint with(StudyDesign other) const;
  /// Equal for points that one run measures.
  [[nodiscard]] std::string run_key() const;
  /// The stream that its workload is.
  [[nodiscard]] std::string stream() const;
};

/// Which workloads a label stands for, beside what it says about the point.
enum class LabelKind : std::uint8_t { Unknown, Setting, Workload, Mean };
/// "64 KB", "in-order", "4.00 GHz", "memhog 30 %", "16 entries", "8 ways", "way prediction", "mcf", "mean", ...
LabelKind apply_label(std::string_view label, StudyPoint& point);

/// The sixteen, in the order of Figure 3.
[[nodiscard]] const std::vector<std::string>& study_workloads();

struct StudySetup {
  StudyInputs inputs;
  bool swapped_tlbs = false;  ///< The TLBs of Table II with their labels exchanged.
  bool fill_on_miss = false;  ///< At every point.
};
/// For a point of a design that is simulated (neither BestOther nor Footprint). It has no problem_of().
[[nodiscard]] SimulationConfig configuration_of(const StudyPoint& point, const StudySetup& setup,
                                                const PageMapConfig& pages);

}  // namespace shearling
