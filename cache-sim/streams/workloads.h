// SPDX-License-Identifier: GPL-3.0-or-later
//
// Stand-ins for the sixteen workloads of the SEESAW paper (section V): a generator and its parameters for each. The
// traces of the paper are not public, so these are not they: pattern, footprint and sharing follow what is known in
// public of each program, and shares of hot references, writes, fetches and probes are our own choices, made by kind of
// program and never from a result of the paper. The share of superpages is the paper's Figure 3: an input, for it
// describes the machine that the traces were taken on.
#pragma once

#include <string_view>
#include <vector>

#include "cache-sim/streams/synthetic_parameters.h"

namespace shearling {

struct Workload {
  std::string_view name;  ///< As the paper's figures call it.
  std::string_view generator;
  std::string_view settings;  ///< As in a specification.
  MemhogRow superpages;       ///< Figure 3.
  std::string_view program;   ///< What it stands in for.
  std::string_view reason;    ///< For pattern and footprint.
};
[[nodiscard]] const std::vector<Workload>& workload_table();

}  // namespace shearling
