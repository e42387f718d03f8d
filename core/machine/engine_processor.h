// SPDX-License-Identifier: GPL-3.0-or-later
//
// How every processor comes forward that runs on the engine: in stretches in which nothing can happen that is not the
// engine's business, and by steps where something can. The ISA says when; here is the going on.
#pragma once

#include "core/engine/engine.h"
#include "core/machine/processor.h"

namespace shearling {

class EngineProcessor : public Processor {
 public:
  explicit EngineProcessor(const MachineContext& context) : context_(context) {}

  ProcessorOutcome run_direct(StepIndex target) override;
  ProcessorOutcome run_observed(StepIndex target) override;

 protected:
  /// The next instruction cannot be the engine's, or something is due before it.
  [[nodiscard]] virtual bool must_step() const = 0;
  /// One run of the engine up to `target` or whatever ends it, time and timers included.
  virtual EngineOutcome run_engine(StepIndex target, bool observed) = 0;

  /// A TLB or page-walk-cache entry may not agree with the tables in memory from here on.
  void suspect_staleness() { staleness_suspected_ = true; }
  /// After the models or the state were replaced.
  void forget_run() {
    staleness_suspected_ = true;
    resumed_ = false;
  }
  /// True once: the next attempt goes on with an instruction that an observed run has begun; its fetch is done.
  bool take_resumed() {
    const bool resumed = resumed_;
    resumed_ = false;
    return resumed;
  }

  MachineContext context_;

 private:
  bool settle_stale_translations();

  bool resumed_ = false;
  bool staleness_suspected_ = true;  ///< Nobody has looked since.
  StepIndex next_stale_look_ = 0;
};

}  // namespace shearling
