// SPDX-License-Identifier: GPL-3.0-or-later
//
// The machine's RAM: one block of host memory from physical address `base`, with copy-on-write snapshots and an
// incremental digest. Whoever lets something write to a frame behind this class's back (the engine's direct stores)
// must call will_write(frame) first, each time anew after snapshot(), restore() or digest().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cache-sim/address.h"

namespace shearling {

using FrameContent = std::array<std::uint8_t, kFrameBytes>;

/// An immutable picture of RAM; frames are shared with the pictures before and after it. Null means all zero.
class MemorySnapshot {
 public:
  static constexpr std::size_t kChunkFrames = 256;
  using Chunk = std::array<std::shared_ptr<const FrameContent>, kChunkFrames>;
  std::vector<std::shared_ptr<const Chunk>> chunks;  ///< Null chunk: 256 zero frames.
  [[nodiscard]] const FrameContent* frame(std::uint64_t index) const;
};

class PhysicalMemory {
 public:
  /// `bytes` is rounded up to whole frames. The memory is zero and costs host memory only where it is touched.
  PhysicalMemory(PhysicalAddress base, std::uint64_t bytes);
  ~PhysicalMemory();
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  [[nodiscard]] PhysicalAddress base() const { return base_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool contains(PhysicalAddress address, std::uint64_t bytes = 1) const {
    return address.value >= base_.value && bytes <= size_ && address.value - base_.value <= size_ - bytes;
  }
  /// Host memory behind the RAM, for mapping into the engine only.
  [[nodiscard]] std::uint8_t* host_data() { return data_; }

  /// Little-endian value of 1 to 8 bytes; outside RAM reads give all ones and writes are lost, as on a bus.
  [[nodiscard]] std::uint64_t read(PhysicalAddress address, unsigned bytes) const;
  void write(PhysicalAddress address, unsigned bytes, std::uint64_t value);
  void read_bytes(PhysicalAddress address, std::span<std::uint8_t> out) const;
  void write_bytes(PhysicalAddress address, std::span<const std::uint8_t> in);
  /// The bytes of a frame of the physical address space (number = address / 4,096); empty outside RAM.
  [[nodiscard]] std::span<const std::uint8_t> frame(std::uint64_t frame_number) const;

  /// Marks a frame as changed from now on. Cheap when it is marked already.
  void will_write(PhysicalAddress address);
  /// True when the frame has been marked since the last snapshot(), restore() or digest(), so that direct stores to it
  /// need no further call.
  [[nodiscard]] bool is_marked(PhysicalAddress address) const;
  /// Grows whenever marks are taken back, that is with each snapshot(), restore() and digest(). Who has let something
  /// store directly compares it to know that will_write() is due again.
  [[nodiscard]] std::uint64_t mark_epoch() const;

  /// Copies the frames that were marked since the last picture; all others are shared with it.
  [[nodiscard]] std::shared_ptr<const MemorySnapshot> snapshot();
  /// Puts RAM back. Returns the frames whose bytes changed (number = address / 4,096), so that translated code of
  /// them can be dropped.
  std::vector<std::uint64_t> restore(const std::shared_ptr<const MemorySnapshot>& picture);

  /// 64-bit digest of all of RAM, kept up incrementally: rehashes only frames marked since the last call. Zero frames
  /// do not count, so RAM sizes are comparable. Not cryptographic (XXH3); for equality within and between runs.
  [[nodiscard]] std::uint64_t digest();

 private:
  struct Implementation;
  PhysicalAddress base_;
  std::uint64_t size_ = 0;
  std::uint8_t* data_ = nullptr;
  std::unique_ptr<Implementation> implementation_;
};

/// SHA-256, in hexadecimal, over each frame with a non-zero byte, in order of address: 8 bytes little-endian frame
/// number from 0, then the 4,096 bytes. `frame_at` gives the frame's bytes or an empty span for an all-zero frame.
template <typename FrameAt>
std::string sha256_of_frames(std::uint64_t frames, FrameAt frame_at);

/// Building block of the above: feed frames in order, then take the text.
class FrameSha256 {
 public:
  FrameSha256();
  ~FrameSha256();
  void add(std::uint64_t frame_number, std::span<const std::uint8_t> bytes);  ///< All-zero frames are left out.
  [[nodiscard]] std::string finish();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

template <typename FrameAt>
std::string sha256_of_frames(std::uint64_t frames, FrameAt frame_at) {
  FrameSha256 hash;
  for (std::uint64_t index = 0; index < frames; ++index) hash.add(index, frame_at(index));
  return hash.finish();
}

}  // namespace shearling
