// SPDX-License-Identifier: GPL-3.0-or-later
//
// The timeline of a run: who had the machine when, in cycles of account (instructions, modelled latencies, VMM
// actions). Three tracks of segments for each core and two for all of them, recorded step by step as the run reaches
// new ground; a step that is reached again by going back is not recorded twice. Long runs are kept bounded by joining
// neighbours that no screen can tell apart.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/events/event.h"

namespace shearling::gui {

/// The first three are those of one core, the others of the machine.
enum class Track : std::uint8_t { GuestUser, GuestKernel, Vmm, PageWalks, CacheMisses };
constexpr std::size_t kCpuTracks = 3;
constexpr std::size_t kMachineTracks = 2;

struct TimelineSegment {
  std::uint64_t begin = 0, end = 0;         ///< Cycles.
  StepIndex first_step = 0, last_step = 0;  ///< Steps first_step ... last_step (included).
  bool operator==(const TimelineSegment&) const = default;
};

/// An append-only list of segments that can be shared with another thread at any moment at little cost.
class SegmentList {
 public:
  static constexpr std::size_t kChunk = 4096;
  static constexpr std::size_t kMostChunks = 64;

  void append(const TimelineSegment& segment);
  [[nodiscard]] std::size_t size() const { return sealed_.size() * kChunk + tail_.size(); }
  [[nodiscard]] const TimelineSegment& operator[](std::size_t index) const {
    return index / kChunk < sealed_.size() ? (*sealed_[index / kChunk])[index % kChunk]
                                           : tail_[index - sealed_.size() * kChunk];
  }
  /// Index of the first segment that ends after `cycle`; size() when there is none.
  [[nodiscard]] std::size_t first_ending_after(std::uint64_t cycle) const;
  /// Lets the last segment grow, when it ends where the new one begins (within the list's resolution).
  void extend_or_append(const TimelineSegment& segment);

 private:
  using Chunk = std::vector<TimelineSegment>;
  void coarsen();

  std::vector<std::shared_ptr<const Chunk>> sealed_;
  Chunk tail_;
  std::uint64_t resolution_ = 0;  ///< Gaps up to this many cycles are closed.
};

/// What one step added to the accounts.
struct StepAccount {
  StepIndex step = 0;
  unsigned cpu = 0;
  Actor actor = Actor::GuestKernel;  ///< Who ran the instruction.
  std::uint64_t begin_cycle = 0, end_cycle = 0;
  std::uint64_t vmm_cycles = 0;    ///< Of these, spent by the VMM (at the step's end).
  std::uint64_t walks = 0;         ///< Page walks made in the step.
  std::uint64_t latency = 0;       ///< Of these, modelled memory latency.
  std::uint64_t cache_misses = 0;  ///< L1 misses in the step.
};

class Timeline {
 public:
  explicit Timeline(unsigned cpus = 1) : cpus_(cpus), tracks_(cpus * kCpuTracks + kMachineTracks) {}
  /// What the VMM spent before the first step.
  void begin(std::uint64_t cycles);
  /// Steps come in order; one that is already recorded is ignored.
  void record(const StepAccount& account);
  [[nodiscard]] unsigned cpus() const { return cpus_; }
  /// `cpu` means nothing for the tracks of the whole machine.
  [[nodiscard]] const SegmentList& track(Track track, unsigned cpu = 0) const { return tracks_[place_of(track, cpu)]; }
  [[nodiscard]] std::uint64_t cycles() const { return cycles_; }
  [[nodiscard]] StepIndex steps() const { return steps_; }
  /// The step that was under way at a cycle: exact at the ends of a segment, proportional inside it.
  [[nodiscard]] StepIndex step_at(std::uint64_t cycle) const;

 private:
  [[nodiscard]] std::size_t place_of(Track track, unsigned cpu) const {
    const auto number = static_cast<std::size_t>(track);
    return number < kCpuTracks ? cpu * kCpuTracks + number : cpus_ * kCpuTracks + number - kCpuTracks;
  }

  unsigned cpus_;
  std::vector<SegmentList> tracks_;
  std::uint64_t cycles_ = 0;
  StepIndex steps_ = 0;  ///< Steps recorded: the next one has this index.
};

}  // namespace shearling::gui
