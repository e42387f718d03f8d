// SPDX-License-Identifier: GPL-3.0-or-later
//
// Seeded choices for page maps and generators, the same on every machine: whole numbers alone, and nothing of the
// standard library's distributions, whose results the standard leaves open.
#pragma once

#include <cstdint>

namespace shearling {

/// A bijection of 64-bit numbers that looks random (the finaliser of splitmix64).
constexpr std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}
constexpr std::uint64_t mixed(std::uint64_t first, std::uint64_t second) { return mixed(mixed(first) ^ second); }

/// 0 to 1, from the upper bits of a random number.
constexpr double as_fraction(std::uint64_t value) { return static_cast<double>(value >> 11U) * 0x1p-53; }

/// A permutation of 0 to 2^bits - 1, chosen by a key: sums, shifts and odd factors, each of which can be undone.
constexpr std::uint64_t permuted(std::uint64_t value, unsigned bits, std::uint64_t key) {
  const std::uint64_t mask = bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  const unsigned shift = bits < 2 ? 1 : bits / 2;
  value &= mask;
  for (std::uint64_t round = 0; round < 3; ++round) {
    const std::uint64_t round_key = mixed(key, round);
    value = (value + round_key) & mask;
    value = (value * (round_key >> 7U | 1U)) & mask;
    value ^= value >> shift;
  }
  return value;
}

/// splitmix64 as a sequence.
class RandomSequence {
 public:
  explicit RandomSequence(std::uint64_t seed) : state_(mixed(seed)) {}
  std::uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t value = (state_ ^ (state_ >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31U);
  }
  /// 0 to below - 1; below is 1 to 2^32.
  std::uint64_t below(std::uint64_t below) { return ((bits() >> 32U) * below) >> 32U; }
  /// True with a chance of threshold / 2^32.
  bool chance(std::uint64_t threshold) { return bits() >> 32U < threshold; }

 private:
  std::uint64_t state_;
};

/// The threshold of chance() for a share of 0 to 1.
constexpr std::uint64_t chance_of(double share) { return static_cast<std::uint64_t>(share * 0x1p32); }

}  // namespace shearling
