// SPDX-License-Identifier: GPL-3.0-or-later
//
// What guests compute, computed here: independently of any emulator, and the same for both instruction sets.
#pragma once

#include <bit>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace shearling::test {

inline std::string hex(std::uint64_t value) {
  std::ostringstream text;
  text << "0x" << std::hex << value;
  return text.str();
}

/// What compute.S computes, on either instruction set.
inline std::uint64_t compute_checksum(std::uint64_t iterations) {
  constexpr std::uint64_t kQuads = 8192;
  std::vector<std::uint64_t> buffer(kQuads, 0);
  std::uint64_t state = 0x9e3779b97f4a7c15, sum = 0;
  for (std::uint64_t i = 0; i < iterations; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::uint64_t& place = buffer[(state >> 33) & (kQuads - 1)];
    const std::uint64_t mixed = place ^ state;
    place = (std::rotl(mixed, 13) ^ (mixed >> 7)) * 5;
    sum = std::rotl(sum + place, 1);
    if ((place & 1) != 0) sum ^= i;
  }
  for (const std::uint64_t quad : buffer) sum = std::rotl(sum + quad, 7);
  return sum;
}

/// What a task of kernel.S computes from its seed.
inline std::uint64_t task_result(std::uint32_t state) {
  std::vector<std::uint64_t> heap(4096, 0);
  std::uint64_t sum = 0;
  for (int round = 0; round < 20000; ++round) {
    state = state * 1103515245u + 12345u;
    std::uint64_t& place = heap[(state >> 16) & 4095];
    sum = std::rotl(sum + place, 3) ^ state;
    place = sum;
  }
  return sum;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace shearling::test
