// SPDX-License-Identifier: GPL-3.0-or-later
//
// Time travel is snapshots plus deterministic replay: a position in the past is reached from the nearest earlier
// snapshot by running forward again. Snapshots are thinned so that their number stays bounded and their distance grows
// with the run's length.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/machine/machine.h"

namespace shearling {

class TimeTravel {
 public:
  /// `machine` is borrowed, at its beginning or anywhere later.
  explicit TimeTravel(Machine& machine, std::size_t most_snapshots = 256, StepIndex first_interval = 1024);

  /// Runs forward like Machine::run_until, taking snapshots on the way.
  StopReason run_until(StepIndex target, Observation observation, const std::atomic<bool>* interrupted = nullptr,
                       const std::function<bool()>& should_stop = {});
  /// Puts the machine at `target` with valid models; stops early where the guest ended before, or when interrupted.
  StepIndex seek(StepIndex target, const std::atomic<bool>* interrupted = nullptr);
  /// Events of the step at position(), by replay: the machine is left after that step.
  std::vector<Event> step_forward();
  /// Goes back one step and returns the events of the step that comes next from there (the one just undone).
  std::vector<Event> step_back(const std::atomic<bool>* interrupted = nullptr);
  /// Events of steps [first, first + count) by replay, handed over step by step; the machine is left after them.
  void replay(StepIndex first, StepIndex count, EventSink& sink, const std::atomic<bool>* interrupted = nullptr);
  /// Goes back to the last step before position() with a notable event for which `wanted` is true (a trap, a VM exit),
  /// so that this step is the next one. Nothing when there is none; then the position is unchanged.
  std::optional<StepIndex> seek_back_to(const std::function<bool(const Event&)>& wanted,
                                        const std::atomic<bool>* interrupted = nullptr);

  [[nodiscard]] Machine& machine() { return machine_; }
  [[nodiscard]] std::size_t snapshots() const { return snapshots_.size(); }
  [[nodiscard]] StepIndex furthest() const { return furthest_; }  ///< Largest position ever reached.

 private:
  void maybe_snapshot();
  void thin();

  Machine& machine_;
  std::size_t most_snapshots_;
  StepIndex interval_;
  StepIndex furthest_ = 0;
  std::map<StepIndex, std::shared_ptr<const MachineSnapshot>> snapshots_;
};

}  // namespace shearling
