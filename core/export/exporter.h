// SPDX-License-Identifier: GPL-3.0-or-later
//
// Writes a stream of events for other tools: `chrome` is the trace-event JSON that Perfetto (ui.perfetto.dev) and
// chrome://tracing open; `csv` has one row an event; `trace`, `din` and `xdin` are memory references for cache
// simulators. All are sinks: feed them notable events from a run file, or every event from a replay, in order, then
// call finish().
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/events/sink.h"
#include "core/run_file/run_file.h"

namespace shearling {

enum class ExportFormat : std::uint8_t { Chrome, Csv, Trace, Din, ExtendedDin };
/// What a microsecond of a chrome trace stands for.
enum class ExportTime : std::uint8_t { Cycles, Steps };

/// In the order of ExportFormat.
const std::vector<std::string_view>& export_format_names();
/// `name` is one of export_format_names().
ExportFormat export_format_of(std::string_view name);
/// References are no notable events: they come from a replay alone.
constexpr bool needs_every_event(ExportFormat format) { return format >= ExportFormat::Trace; }

struct ExportOptions {
  ExportFormat format = ExportFormat::Chrome;
  ExportTime time = ExportTime::Cycles;
  std::uint32_t cycles_per_instruction = 1;  ///< CostModel::instruction.
  unsigned cpus = 1;
  std::string title;  ///< Of the process in a chrome trace: the guest's name.
};

class Exporter : public EventSink {
 public:
  static std::unique_ptr<Exporter> make(std::ostream& out, const ExportOptions& options);
  /// Counters by interval, for tracks of their own; call it before the events of that interval. CSV has none.
  virtual void interval(const RunInterval& interval) = 0;
  /// `end`: one past the last step. Closes what is open.
  virtual void finish(StepIndex end) = 0;
};

}  // namespace shearling
