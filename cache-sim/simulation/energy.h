// SPDX-License-Identifier: GPL-3.0-or-later
//
// Energies of one access and leakage powers, as data: figures come from files that name the source of each. What the
// paper does not give (LLC, memory, leakage) is a parameter to be swept.
#pragma once

#include <string>

namespace shearling {

/// nJ an access and mW; what is 0 is not modelled. The caches' own dynamic energies are in CacheConfig.
struct EnergyConfig {
  double tft = 0, l1_tlb = 0, l2_tlb = 0;
  double l1i_leakage_mw = 0, l1d_leakage_mw = 0, l2_leakage_mw = 0, llc_leakage_mw = 0, memory_leakage_mw = 0;
  /// Of everything; 1 mW over 1 ns is 1 pJ.
  [[nodiscard]] double leakage_mw() const {
    return l1i_leakage_mw + l1d_leakage_mw + l2_leakage_mw + llc_leakage_mw + memory_leakage_mw;
  }
};
/// Why it cannot be, in one sentence; empty if it can.
[[nodiscard]] std::string problem_of(const EnergyConfig& config);

}  // namespace shearling
