// SPDX-License-Identifier: GPL-3.0-or-later
//
// Run files: one SQLite database a run, with all that the run is a function of (guest, machine, technique), its notable
// events, and counters by interval. Micro-events are not stored: replaying regenerates them. The schema is told in
// docs/run-file.md. A recording that is killed leaves a file with everything up to the last batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/events/sink.h"
#include "core/machine/machine.h"

namespace shearling {

/// Sums since the machine started; a difference of two is what an interval counts.
struct RunCounters {
  std::uint64_t traps = 0, exits = 0, cycles = 0;
  // Only where TLBs and caches were simulated all the way (models):
  std::uint64_t tlb_lookups = 0, tlb_misses = 0, walks = 0, walk_references = 0;
  std::uint64_t l1i_misses = 0, l1d_misses = 0, l2_misses = 0, llc_misses = 0;
  bool operator==(const RunCounters&) const = default;
};
RunCounters operator-(const RunCounters& later, const RunCounters& earlier);

struct RunInterval {
  StepIndex first = 0;
  StepIndex steps = 0;
  bool models = false;  ///< TLBs and caches were simulated: their counters mean something.
  RunCounters counters;
};

/// How a run ended, once it did.
struct RunEnd {
  StopReason reason = StopReason::None;
  std::uint32_t code = 0;
  StepIndex steps = 0;
  std::uint64_t cycles = 0;
  std::uint64_t digest = 0;  ///< Machine::digest(): a replay must end with the same.
  std::string console;
};

struct RunInfo {
  int format = 0;
  std::string tool_version;
  MachineSetup setup;
  std::optional<RunEnd> end;  ///< Nothing: the recording was cut off.
};

class RunRecorder : public EventSink {
 public:
  static constexpr int kFormat = 1;                           ///< PRAGMA user_version.
  static constexpr std::int32_t kApplicationId = 0x53686c67;  ///< "Shlg".

  /// Begins a recording; an older run file of that name is replaced, anything else is left alone.
  static Result<std::unique_ptr<RunRecorder>> create(const std::string& path, const MachineSetup& setup,
                                                     std::size_t batch = 4096);
  ~RunRecorder() override;

  /// Takes notable events; others are ignored.
  void on_event(const Event& event) override;
  /// The machine stands at the end of an interval: stores its counters since the last call. Call it about every
  /// `interval_steps()` steps, and when the run pauses.
  void interval(const Machine& machine);
  [[nodiscard]] static constexpr StepIndex interval_steps() { return 65536; }
  /// Writes what is waiting, so that it survives whatever happens next.
  Status flush();
  /// The last interval and how the run ended.
  Status finish(Machine& machine);

 private:
  struct Storage;
  explicit RunRecorder(std::unique_ptr<Storage> storage);
  std::unique_ptr<Storage> storage_;
};

class RunFile {
 public:
  /// Refuses what is no run file, is damaged, or was written by a newer Shearling: one line each.
  static Result<std::unique_ptr<RunFile>> open(const std::string& path);
  ~RunFile();

  [[nodiscard]] const RunInfo& info() const;
  [[nodiscard]] std::uint64_t event_count() const;
  /// One past the last step that anything is stored about.
  [[nodiscard]] StepIndex recorded_steps() const;
  /// Notable events of the steps [first, end), at most `most`, skipping `skip`: pages. Texts live as long as this
  /// object.
  Result<std::vector<Event>> events(StepIndex first, StepIndex end, std::size_t most, std::size_t skip = 0);
  /// Intervals that touch [first, end), in order.
  Result<std::vector<RunInterval>> intervals(StepIndex first, StepIndex end);

 private:
  struct Storage;
  explicit RunFile(std::unique_ptr<Storage> storage);
  std::unique_ptr<Storage> storage_;
};

}  // namespace shearling
