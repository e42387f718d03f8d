// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/timeline.h"

#include <algorithm>

namespace shearling::gui {

void SegmentList::append(const TimelineSegment& segment) {
  tail_.push_back(segment);
  if (tail_.size() < kChunk) return;
  sealed_.push_back(std::make_shared<const Chunk>(std::move(tail_)));
  tail_.clear();
  if (sealed_.size() >= kMostChunks) coarsen();
}

void SegmentList::extend_or_append(const TimelineSegment& segment) {
  const bool joins =
      !tail_.empty() && (segment.begin <= tail_.back().end || segment.end - tail_.back().begin <= resolution_);
  if (joins) {
    tail_.back().end = segment.end;
    tail_.back().last_step = segment.last_step;
    return;
  }
  append(segment);
}

std::size_t SegmentList::first_ending_after(std::uint64_t cycle) const {
  std::size_t first = 0;
  std::size_t last = size();
  while (first < last) {
    const std::size_t middle = first + (last - first) / 2;
    if ((*this)[middle].end > cycle)
      last = middle;
    else
      first = middle + 1;
  }
  return first;
}

// Joins neighbours that together are no longer than the resolution, twice that each time, until half of them are gone.
void SegmentList::coarsen() {
  const std::size_t wanted = size() / 2;
  while (size() > wanted) {
    resolution_ = std::max<std::uint64_t>(1, resolution_ * 2);
    SegmentList coarser;
    coarser.resolution_ = resolution_;
    for (std::size_t index = 0; index < size(); ++index) coarser.extend_or_append((*this)[index]);
    *this = std::move(coarser);
  }
}

namespace {

/// A guest that is a VMM itself has code of its own at the VMM's level.
Track track_of(Actor actor) {
  if (actor == Actor::GuestUser) return Track::GuestUser;
  return actor == Actor::Vmm ? Track::Vmm : Track::GuestKernel;
}

}  // namespace

void Timeline::begin(std::uint64_t cycles) {
  if (cycles != 0) tracks_[place_of(Track::Vmm, 0)].append({0, cycles, 0, 0});
  cycles_ = cycles;
}

void Timeline::record(const StepAccount& account) {
  if (account.step < steps_) return;
  steps_ = account.step + 1;
  cycles_ = std::max(cycles_, account.end_cycle);
  const auto add = [&](Track track, std::uint64_t begin, std::uint64_t end) {
    if (end > begin) tracks_[place_of(track, account.cpu)].extend_or_append({begin, end, account.step, account.step});
  };
  const std::uint64_t vmm_begin =
      account.end_cycle - std::min(account.vmm_cycles, account.end_cycle - account.begin_cycle);
  add(track_of(account.actor), account.begin_cycle, vmm_begin);
  add(Track::Vmm, vmm_begin, account.end_cycle);
  const std::uint64_t latency = std::max<std::uint64_t>(1, std::min(account.latency, vmm_begin - account.begin_cycle));
  if (account.walks != 0) add(Track::PageWalks, account.begin_cycle, account.begin_cycle + latency);
  if (account.cache_misses != 0) add(Track::CacheMisses, account.begin_cycle, account.begin_cycle + latency);
}

StepIndex Timeline::step_at(std::uint64_t cycle) const {
  for (std::size_t place = 0; place < cpus_ * kCpuTracks; ++place) {
    const SegmentList& list = tracks_[place];
    const std::size_t index = list.first_ending_after(cycle);
    if (index == list.size() || list[index].begin > cycle) continue;
    const TimelineSegment& segment = list[index];
    const double share = static_cast<double>(cycle - segment.begin) / static_cast<double>(segment.end - segment.begin);
    const auto steps = static_cast<double>(segment.last_step - segment.first_step + 1);
    return std::min(segment.last_step, segment.first_step + static_cast<StepIndex>(share * steps));
  }
  return steps_;
}

}  // namespace shearling::gui
