// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/time_travel.h"

#include <algorithm>
#include <iterator>

namespace shearling {
namespace {

bool is_interrupted(const std::atomic<bool>* interrupted) {
  return interrupted != nullptr && interrupted->load(std::memory_order_relaxed);
}

/// Remembers the last step that had a wanted event.
class LastWanted : public EventSink {
 public:
  explicit LastWanted(const std::function<bool(const Event&)>& wanted) : wanted_(wanted) {}
  void on_event(const Event& event) override {
    if (wanted_(event)) step = event.step;
  }
  std::optional<StepIndex> step;

 private:
  const std::function<bool(const Event&)>& wanted_;
};

}  // namespace

TimeTravel::TimeTravel(Machine& machine, std::size_t most_snapshots, StepIndex first_interval)
    : machine_(machine),
      most_snapshots_(std::max<std::size_t>(most_snapshots, 4)),
      interval_(std::max<StepIndex>(first_interval, 1)) {
  maybe_snapshot();
}

// A picture with models replaces one without at the same step, never the other way round.
void TimeTravel::maybe_snapshot() {
  const StepIndex position = machine_.position();
  furthest_ = std::max(furthest_, position);
  const auto present = snapshots_.find(position);
  if (present != snapshots_.end() && (present->second->has_models() || !machine_.models_valid())) return;
  snapshots_[position] = machine_.snapshot();
  if (snapshots_.size() > most_snapshots_) thin();
}

// Doubling the distance and dropping what no longer lies on a multiple of it halves the number.
void TimeTravel::thin() {
  interval_ *= 2;
  for (auto iterator = std::next(snapshots_.begin()); iterator != snapshots_.end();) {
    iterator = iterator->first % interval_ != 0 ? snapshots_.erase(iterator) : std::next(iterator);
  }
}

StopReason TimeTravel::run_until(StepIndex target, Observation observation, const std::atomic<bool>* interrupted,
                                 const std::function<bool()>& should_stop) {
  StopReason reason = machine_.stop().reason;
  while (reason == StopReason::None || reason == StopReason::StepLimit) {
    if (machine_.position() >= target) return StopReason::StepLimit;
    const StepIndex next_picture = (machine_.position() / interval_ + 1) * interval_;
    reason = machine_.run_until(std::min(target, next_picture), observation, interrupted, should_stop);
    if (machine_.position() % interval_ == 0) maybe_snapshot();
    furthest_ = std::max(furthest_, machine_.position());
  }
  return reason;
}

StepIndex TimeTravel::seek(StepIndex target, const std::atomic<bool>* interrupted) {
  auto nearest = std::prev(snapshots_.upper_bound(target));
  while (!nearest->second->has_models()) --nearest;  // The first, at the beginning, has them.
  const bool already_nearer =
      machine_.models_valid() && machine_.position() <= target && machine_.position() >= nearest->first;
  if (!already_nearer) machine_.restore(nearest->second);
  machine_.set_sinks(nullptr, nullptr);
  run_until(target, Observation::Models, interrupted);
  return machine_.position();
}

std::vector<Event> TimeTravel::step_forward() {
  std::vector<Event> events = machine_.step();
  if (machine_.position() % interval_ == 0) maybe_snapshot();
  furthest_ = std::max(furthest_, machine_.position());
  return events;
}

std::vector<Event> TimeTravel::step_back(const std::atomic<bool>* interrupted) {
  const StepIndex position = machine_.position();
  if (position == 0) return {};
  const StepIndex before = position - 1;
  if (seek(before, interrupted) != before) return {};
  const auto here = machine_.snapshot();
  std::vector<Event> events = machine_.step();
  machine_.restore(here);
  return events;
}

void TimeTravel::replay(StepIndex first, StepIndex count, EventSink& sink, const std::atomic<bool>* interrupted) {
  if (seek(first, interrupted) != first) return;
  machine_.set_sinks(&sink, nullptr);
  machine_.run_until(first + count, Observation::Events, interrupted);
  machine_.set_sinks(nullptr, nullptr);
  furthest_ = std::max(furthest_, machine_.position());
}

// Searches one interval between snapshots after the other, from here towards the beginning.
std::optional<StepIndex> TimeTravel::seek_back_to(const std::function<bool(const Event&)>& wanted,
                                                  const std::atomic<bool>* interrupted) {
  const StepIndex position = machine_.position();
  StepIndex end = position;
  while (end > 0 && !is_interrupted(interrupted)) {
    const StepIndex begin = std::prev(snapshots_.lower_bound(end))->first;
    LastWanted last(wanted);
    seek(begin, interrupted);
    machine_.set_sinks(nullptr, &last);
    machine_.run_until(end, Observation::Models, interrupted);
    machine_.set_sinks(nullptr, nullptr);
    if (last.step) {
      seek(*last.step, interrupted);
      return last.step;
    }
    end = begin;
  }
  seek(position, nullptr);
  return std::nullopt;
}

}  // namespace shearling
