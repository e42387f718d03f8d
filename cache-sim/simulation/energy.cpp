// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/simulation/energy.h"

namespace shearling {

std::string problem_of(const EnergyConfig& config) {
  for (const double value : {config.tft, config.l1_tlb, config.l2_tlb, config.l1i_leakage_mw, config.l1d_leakage_mw,
                             config.l2_leakage_mw, config.llc_leakage_mw, config.memory_leakage_mw}) {
    if (!(value >= 0)) return "energies and leakage powers cannot be below 0";
  }
  return {};
}

}  // namespace shearling
