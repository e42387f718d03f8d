// SPDX-License-Identifier: GPL-3.0-or-later
//
// Seeded random choices and state as bytes, for the tests of this folder.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "core/base/archive.h"

namespace shearling::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  /// 0 to below - 1.
  std::uint64_t below(std::uint64_t below) { return engine_() % below; }
  bool one_in(std::uint64_t times) { return below(times) == 0; }
  std::uint64_t bits() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

template <typename Component>
std::vector<std::uint8_t> state_of(const Component& component) {
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  writer(component);
  return bytes;
}

template <typename Component>
void restore(Component& component, const std::vector<std::uint8_t>& bytes) {
  Reader reader(bytes);
  reader(component);
  SHEARLING_ASSERT(reader.at_end(), "the whole state was read");
}

}  // namespace shearling::test
