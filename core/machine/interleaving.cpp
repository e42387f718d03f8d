// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/interleaving.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/assert.h"

namespace shearling {
namespace {

// A core whose timer wakes it again and again without its ever going on is as dead as one that nothing wakes.
constexpr unsigned kMostWakeups = 1000;

}  // namespace

Interleaving::Interleaving(std::vector<std::unique_ptr<Processor>> processors, unsigned slice, VirtualTime& time,
                           MachineRequest& request, EventStream& events)
    : processors_(std::move(processors)), slice_(slice), time_(time), request_(request), events_(events), rest_(slice) {
  SHEARLING_ASSERT(!processors_.empty() && slice != 0, "a machine without a core, or a turn without an instruction");
  processors_[current_]->take_engine();
}

Status Interleaving::load(const ElfImage& image, const std::string& file) {
  for (const auto& processor : processors_) {
    if (Status loaded = processor->load(image, file); !loaded) return loaded;
  }
  return Done{};
}

// --- turns -----------------------------------------------------------------------------------------------------------

StepIndex Interleaving::end_of_turn(StepIndex target) const {
  return processors_.size() == 1 ? target : std::min(target, time_.step + rest_);
}

template <typename Run>
ProcessorOutcome Interleaving::in_turns(StepIndex target, Run run) {
  ProcessorOutcome outcome{ProcessorOutcome::Kind::Continue, time_.step};
  while (time_.step < target && outcome.kind == ProcessorOutcome::Kind::Continue) {
    const StepIndex before = time_.step;
    outcome = run(*processors_[current_], end_of_turn(target));
    if (outcome.kind == ProcessorOutcome::Kind::NeedsModels) return outcome;
    if (processors_.size() > 1) rest_ -= time_.step - before;
    if (outcome.kind == ProcessorOutcome::Kind::Continue) settle();
    if (request_.stop != StopReason::None) outcome.kind = ProcessorOutcome::Kind::Stopped;
  }
  return outcome;
}

ProcessorOutcome Interleaving::step() {
  return in_turns(time_.step + 1, [](Processor& processor, StepIndex) { return processor.step(); });
}

ProcessorOutcome Interleaving::run_direct(StepIndex target) {
  return in_turns(target, [](Processor& processor, StepIndex end) { return processor.run_direct(end); });
}

ProcessorOutcome Interleaving::run_observed(StepIndex target) {
  return in_turns(target, [](Processor& processor, StepIndex end) { return processor.run_observed(end); });
}

// Nothing happens here in the middle of a turn, so it does not matter how often the machine looks.
void Interleaving::settle() {
  if (rest_ != 0 && processors_[current_]->runnable()) return;
  tell_time_passed();
  if (!pass_turn() && !sleep()) request_.stop = StopReason::Deadlock;
}

/// Gives the turn to the next core that can go on, the current one last.
bool Interleaving::pass_turn() {
  for (unsigned distance = 1; distance <= cpus(); ++distance) {
    const unsigned candidate = (current_ + distance) % cpus();
    if (!processors_[candidate]->runnable()) continue;
    give_engine_to(candidate);
    rest_ = slice_;
    return true;
  }
  return false;
}

/// All sleep: time jumps from timer to timer until one of them wakes a core. False where none ever will.
bool Interleaving::sleep() {
  for (unsigned wakeups = 0; wakeups < kMostWakeups; ++wakeups) {
    std::optional<std::uint64_t> earliest;
    for (const auto& processor : processors_) {
      const std::optional<std::uint64_t> wakeup = processor->next_wakeup();
      if (wakeup && *wakeup > time_.guest_ticks() && (!earliest || *wakeup < *earliest)) earliest = wakeup;
    }
    if (!earliest) return false;
    time_.idle += *earliest - time_.guest_ticks();
    tell_time_passed();
    if (pass_turn()) return true;
  }
  return false;
}

void Interleaving::tell_time_passed() {
  for (const auto& processor : processors_) processor->time_passed();
}

void Interleaving::give_engine_to(unsigned cpu) {
  if (cpu == current_) return;
  processors_[current_]->release_engine();
  current_ = cpu;
  processors_[current_]->take_engine();
  events_.set_vcpu(static_cast<std::uint16_t>(current_));
}

// --- models and state ------------------------------------------------------------------------------------------------

bool Interleaving::has_stale_translations() const {
  return std::any_of(processors_.begin(), processors_.end(),
                     [](const auto& processor) { return processor->has_stale_translations(); });
}

void Interleaving::models_changed() {
  for (const auto& processor : processors_) processor->models_changed();
}

void Interleaving::save(Writer& writer) const {
  writer(current_, rest_);
  for (const auto& processor : processors_) processor->save(writer);
}

void Interleaving::load_state(Reader& reader) {
  unsigned next = 0;
  reader(next, rest_);
  give_engine_to(next);
  for (const auto& processor : processors_) processor->load_state(reader);
}

}  // namespace shearling
