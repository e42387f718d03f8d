// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the SEESAW paper says: the values of its figures, read for comparison alone, and the inputs of the model (Tables
// II and III, CACTI, fill-ins from elsewhere). Both lie in assets/cache/paper, each number with its source. No value of
// a figure enters the model that is compared with it: the two kinds are different files and different types.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/cache_study/figure.h"

namespace shearling {

/// A sentence of the paper's text that goes with a figure.
struct PaperStatement {
  std::string source;  ///< "paper, section VI-A".
  std::string says;
};

struct PaperFigure {
  Figure figure;                        ///< Without a model's side.
  std::vector<std::string> provenance;  ///< One a panel: "digitised" or "paper".
  std::vector<PaperStatement> text;
};

/// 2, 3, 7 to 15.
[[nodiscard]] const std::vector<int>& figure_numbers();
[[nodiscard]] Result<PaperFigure> load_paper_figure(int number);
[[nodiscard]] Result<PaperFigure> parse_paper_figure(const std::string& yaml, const std::string& file);

/// What the model is fed; assets/cache/paper/model-inputs.yaml gives each number's source.
struct StudyInputs {
  struct Latency {
    std::uint64_t size = 0;
    double ghz = 0;
    unsigned all_ways = 0, partition = 0;  ///< Cycles.
  };
  std::vector<Latency> latencies;  ///< Table III.

  struct Array {
    std::uint64_t size = 0;
    unsigned ways = 0;
    double energy = 0, time = 0;  ///< nJ, ns.
  };
  std::vector<Array> arrays;                ///< CACTI.
  std::map<std::uint64_t, double> leakage;  ///< L1 size in bytes: mW.
  double partition_saving = 0;

  struct Machine {
    std::uint64_t llc_size = 0;
    unsigned llc_ways = 0;
    double llc_ns = 0, llc_energy = 0, llc_leakage = 0, memory_ns = 0, memory_energy = 0, memory_leakage = 0;
    double l1_tlb_ns = 0, l2_tlb_ns = 0;
  } machine;

  struct Tlbs {
    unsigned base = 0, superpage = 0, second = 0;  ///< Entries.
  };
  struct Core {
    Tlbs tlbs;
    double base_cycles = 0;    ///< An instruction, with every reference free.
    double load_exposure = 0;  ///< This and the next two: cache-sim/simulation/timing.h.
    double window_cycles = 0;
    double miss_overlap = 1;
  };
  Core in_order, out_of_order;
  double instructions_per_reference = 0;

  struct PiptTlb {
    double share = 1, ns = 0;  ///< Of the entries that VIPT has.
  };
  std::vector<unsigned> pipt_ways;
  std::vector<PiptTlb> pipt_tlbs;

  /// Nothing where the table has no such row.
  [[nodiscard]] std::optional<Latency> latency(std::uint64_t size, double ghz) const;
  [[nodiscard]] std::optional<Array> array(std::uint64_t size, unsigned ways) const;
};
[[nodiscard]] Result<StudyInputs> load_study_inputs();
[[nodiscard]] Result<StudyInputs> parse_study_inputs(const std::string& yaml, const std::string& file);

}  // namespace shearling
