// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads the event stream as a referee: steps and ordinals without gaps, exits matched by entries, walks that nest and
// count right, misses that lead to walks, hits that name what was filled, traps that go somewhere; each core for
// itself, for a step is one core's. It knows no ISA. Feed it every event of a run (Observation::Events); finish()
// judges the last step.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/events/sink.h"

namespace shearling {

class InvariantChecker : public EventSink {
 public:
  explicit InvariantChecker(std::uint64_t line_bytes = 64, std::size_t most_violations = 100)
      : line_bytes_(line_bytes), most_violations_(most_violations) {}

  void on_event(const Event& event) override;
  /// To be called after the last event: judges the step that is still open, and returns all violations as text.
  const std::vector<std::string>& finish();
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  /// The machine went elsewhere in time: the next event may have any step. What slots hold is forgotten.
  void forget();

 private:
  struct OpenWalk {
    VirtualAddress address;
    unsigned references = 0;
    unsigned skipped = 0;
  };
  struct Filled {
    std::uint64_t base = 0;
    std::uint64_t bytes = 0;
  };
  using Slot = std::tuple<unsigned, unsigned, std::uint32_t, std::uint32_t>;  ///< Core, structure, set, way.
  enum class Root : std::uint8_t { Unknown, Inside, Outside };                ///< Is the VMM at work?

  [[nodiscard]] Root& root() { return roots_[vcpu_]; }
  void check_place(const Event& event);
  void end_step();
  template <typename Payload>
  void check(const Payload&) {}
  void check(const InstructionRetired&);
  void check(const TrapRaised& trap);
  void check(const TrapDelivered&);
  void check(const VmExit&);
  void check(const VmmAction& action);
  void check(const VmEntry&);
  void check(const WalkBegin& walk);
  void check(const WalkReference& reference);
  void check(const WalkEnd& walk);
  void check(const TlbLookup& lookup);
  void check(const TlbFill& fill);
  void check(const CacheLookup& lookup);
  void check(const CacheFill& fill);
  void check(const MachineStopped&);
  void judge_pending_miss(std::string_view when);
  void violated(std::string what);
  unsigned structure_number(std::string_view name);

  std::uint64_t line_bytes_;
  std::size_t most_violations_;
  std::vector<std::string> violations_;

  std::optional<StepIndex> step_;
  std::uint32_t next_ordinal_ = 0;
  bool stopped_ = false;
  unsigned retired_ = 0;
  std::string open_trap_;  ///< Raised in this step and not yet delivered; empty: none.
  unsigned vcpu_ = 0;
  std::map<unsigned, Root> roots_;  ///< By core.
  std::vector<OpenWalk> walks_;
  std::optional<VirtualAddress> pending_miss_;  ///< Missed so far; its walk has not begun.
  std::vector<std::string> structures_;
  std::map<Slot, Filled> filled_;
};

}  // namespace shearling
