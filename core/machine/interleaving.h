// SPDX-License-Identifier: GPL-3.0-or-later
//
// The cores of one machine, taking turns on the one engine. A real machine's cores run at the same time; here one
// begins instructions until its slice is used up or it cannot go on (it is off, or sleeps in WFI), then the next that
// can go on has its turn, round and round by number. So a run is a pure function of its inputs and two cores still meet
// at every distance that a multiple of the slice allows. Where all sleep, guest time jumps to the first timer. Whose
// turn it is and what is left of it is state of the machine, the same at every observation level: it moves on only
// where a turn ends. One core alone has no slices. Left out: true concurrency within a slice, and stores that wait in a
// buffer: memory is sequentially consistent.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/machine/processor.h"

namespace shearling {

class Interleaving {
 public:
  /// Everything but the processors is borrowed. `slice`: instructions of one turn.
  Interleaving(std::vector<std::unique_ptr<Processor>> processors, unsigned slice, VirtualTime& time,
               MachineRequest& request, EventStream& events);

  [[nodiscard]] unsigned cpus() const { return static_cast<unsigned>(processors_.size()); }
  /// The core that begins the next instruction.
  [[nodiscard]] unsigned current() const { return current_; }
  [[nodiscard]] const Processor& processor(unsigned cpu) const { return *processors_[cpu]; }
  [[nodiscard]] const Processor& processor() const { return *processors_[current_]; }

  /// Resets all cores for this image. The first one has the turn.
  Status load(const ElfImage& image, const std::string& file);

  // As Processor's, over all cores: until time.step == target, a stop, or NeedsModels (then nothing here is worth
  // keeping: the machine restores).
  ProcessorOutcome step();
  ProcessorOutcome run_direct(StepIndex target);
  ProcessorOutcome run_observed(StepIndex target);

  [[nodiscard]] bool has_stale_translations() const;
  void models_changed();
  /// The schedule, then the cores by number.
  void save(Writer& writer) const;
  void load_state(Reader& reader);

 private:
  template <typename Run>
  ProcessorOutcome in_turns(StepIndex target, Run run);
  [[nodiscard]] StepIndex end_of_turn(StepIndex target) const;
  void settle();
  [[nodiscard]] bool pass_turn();
  [[nodiscard]] bool sleep();
  void tell_time_passed();
  void give_engine_to(unsigned cpu);

  std::vector<std::unique_ptr<Processor>> processors_;
  StepIndex slice_;
  VirtualTime& time_;
  MachineRequest& request_;
  EventStream& events_;
  unsigned current_ = 0;
  StepIndex rest_;  ///< Instructions left of the current turn; with one core always the slice.
};

}  // namespace shearling
