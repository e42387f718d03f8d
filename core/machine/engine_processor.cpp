// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/engine_processor.h"

namespace shearling {
namespace {

constexpr StepIndex kStaleLookInterval = 64;  // Looking costs some hundred walks.

}  // namespace

/// True when no entry of the models differs from the tables in memory, so that direct fills give what the models would.
bool EngineProcessor::settle_stale_translations() {
  if (staleness_suspected_ && context_.time.step >= next_stale_look_) {
    staleness_suspected_ = has_stale_translations();
    next_stale_look_ = context_.time.step + kStaleLookInterval;
  }
  return !staleness_suspected_;
}

ProcessorOutcome EngineProcessor::run_observed(StepIndex target) {
  bool step_first = false;
  while (context_.time.step < target && runnable()) {
    if (step_first || must_step() || !settle_stale_translations()) {
      step_first = false;
      const ProcessorOutcome outcome = step();
      if (outcome.kind != ProcessorOutcome::Kind::Continue) return outcome;
      continue;
    }
    const EngineOutcome outcome = run_engine(target, true);
    resumed_ = outcome.stop == EngineStop::Unfinished;
    step_first = outcome.stop != EngineStop::Completed;
  }
  return {ProcessorOutcome::Kind::Continue, context_.time.step};
}

// A step that has to be done again with models has told nothing: its events are held back.
ProcessorOutcome EngineProcessor::run_direct(StepIndex target) {
  bool step_first = false;
  while (context_.time.step < target && runnable()) {
    if (step_first || must_step()) {
      step_first = false;
      context_.events.hold();
      const ProcessorOutcome outcome = step();
      context_.events.release(outcome.kind != ProcessorOutcome::Kind::NeedsModels);
      if (outcome.kind != ProcessorOutcome::Kind::Continue) return outcome;
      continue;
    }
    const EngineOutcome outcome = run_engine(target, false);
    step_first = outcome.stop != EngineStop::Completed || outcome.instructions == 0;
  }
  return {ProcessorOutcome::Kind::Continue, context_.time.step};
}

}  // namespace shearling
