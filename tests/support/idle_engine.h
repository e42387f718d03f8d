// SPDX-License-Identifier: GPL-3.0-or-later
//
// An engine that executes nothing and counts what it is told, for parts of a machine that are tested without one.
#pragma once

#include <vector>

#include "core/engine/engine.h"

namespace shearling::testing {

class IdleEngine : public CpuEngine {
 public:
  unsigned flushes = 0;
  std::vector<std::uint64_t> invalidated;
  std::uint64_t code_frame = ~std::uint64_t{0};

  void set_client(EngineClient*) override {}
  void set_mode(ExecutionMode) override {}
  [[nodiscard]] ExecutionMode mode() const override { return {}; }
  EngineOutcome step_one() override { return {}; }
  EngineOutcome run(std::uint64_t) override { return {}; }
  [[nodiscard]] std::uint64_t read(EngineRegister) const override { return 0; }
  void write(EngineRegister, std::uint64_t) override {}
  [[nodiscard]] EngineState state() const override { return {}; }
  void set_state(const EngineState&) override {}
  void flush_translations() override { ++flushes; }
  void invalidate_code(PhysicalAddress frame) override { invalidated.push_back(frame.value); }
  void invalidate_all_code() override {}
  [[nodiscard]] bool holds_code(PhysicalAddress frame) const override { return frame_number(frame) == code_frame; }
};

}  // namespace shearling::testing
