// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which bytes of RAM one Unicorn handle has translated, and what they were then. Real processors snoop stores against
// the instructions they hold; here a frame that may have changed is compared with this map, so that data beside code
// costs no translation.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "core/memory/physical_memory.h"

namespace shearling {

class CodeMap {
 public:
  /// Bytes [offset, offset + length) of the frame are about to be translated. `now` is the frame's present content.
  /// Bytes that are covered already keep the value they were covered with. True when the frame is new to the map.
  bool cover(std::uint64_t frame, std::uint32_t offset, std::uint32_t length, const std::uint8_t* now);
  /// Their translation is gone.
  void uncover(std::uint64_t frame, std::uint32_t offset, std::uint32_t length);
  void forget(std::uint64_t frame) { frames_.erase(frame); }
  void clear() { frames_.clear(); }

  [[nodiscard]] bool holds(std::uint64_t frame) const { return frames_.find(frame) != frames_.end(); }
  template <typename Visit>
  void for_each_frame(Visit visit) const {
    for (const auto& each : frames_) visit(each.first);
  }
  /// True when a covered byte is no longer what was translated.
  [[nodiscard]] bool differs(std::uint64_t frame, const std::uint8_t* now) const;

 private:
  struct Frame {
    FrameContent bytes{};
    std::array<std::uint64_t, kFrameBytes / 64> covered{};
  };
  std::unordered_map<std::uint64_t, std::unique_ptr<Frame>> frames_;
};

}  // namespace shearling
