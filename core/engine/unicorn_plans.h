// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is known of translated blocks and instructions: what the client said of them, and the tables in which the hooks
// that Unicorn calls for each find it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/memory/physical_memory.h"

namespace shearling {

inline constexpr std::uint64_t kPageOffsetMask = kFrameBytes - 1;
constexpr std::uint64_t page_of(std::uint64_t address) { return address / kFrameBytes; }

/// No block begins there: it is not canonical on x86, and not a multiple of 4.
inline constexpr std::uint64_t kNowhere = 0x8000000000000001;
/// The present generation of translations, as tags hold it: in bits 48 to 62.
inline constexpr std::uint64_t kNextGeneration = std::uint64_t{1} << 48;
inline constexpr std::uint64_t kGenerations = ~(std::uint64_t{1} << 63);
inline constexpr std::uint64_t kNeverAffordable = ~std::uint64_t{0};
inline constexpr std::size_t kFastPlans = 1024;

/// What the client said of a block.
struct Plan {
  std::uint64_t pc = 0;
  std::uint32_t size = 0;
  std::uint32_t instructions = 0;  ///< Up to the stopper.
  bool stopper = false;
  bool stepped = false;                   ///< Ends with an instruction that must be stepped; it is counted.
  std::optional<std::uint32_t> repeated;  ///< Byte offset of a repeated string instruction at its end.
  std::array<std::uint64_t, 2> frames{};  ///< The second counts when the block crosses into another page.
  [[nodiscard]] bool crosses() const { return (pc & kPageOffsetMask) + size > kFrameBytes; }
};

/// The block hook's direct-mapped view of the plans that are valid for the present translations. The tag is the
/// program counter with the present generation in bits 48 to 62, which in addresses of code are all equal to bit 63.
struct FastPlan {
  std::uint64_t tag = kNowhere;
  std::uint64_t charge = kNeverAffordable;  ///< Instructions; never affordable when the block must not begin.
  std::uint64_t repeat_pc = kNowhere;
  const Plan* plan = nullptr;
};
static_assert(sizeof(FastPlan) == 32);

constexpr std::size_t fast_index(std::uint64_t pc) { return static_cast<std::size_t>((pc ^ (pc >> 10)) % kFastPlans); }

struct PlanKey {
  std::uint64_t pc = 0;
  std::array<std::uint64_t, 2> frames{};
  bool operator==(const PlanKey&) const = default;
};
struct PlanKeyHash {
  std::size_t operator()(const PlanKey& key) const {
    return static_cast<std::size_t>((key.pc * 0x9e3779b97f4a7c15) ^ (key.frames[0] * 0xc2b2ae3d27d4eb4f) ^
                                    key.frames[1]);
  }
};

/// What is known, for the present translations, of an instruction that an observed run has met. The tag is as in
/// FastPlan.
struct ObservedInstruction {
  std::uint64_t tag = kNowhere;
  bool runs = false;  ///< Else it must be stepped.
};
inline constexpr std::size_t kObservedInstructions = 8192;
constexpr std::size_t observed_index(std::uint64_t pc) {
  return static_cast<std::size_t>((pc ^ (pc >> 13)) % kObservedInstructions);
}

}  // namespace shearling
