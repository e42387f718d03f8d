// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling export: a run for other tools. Notable events come from the file; all others from a replay.
#include <algorithm>
#include <fstream>
#include <iostream>

#include "app/cli/cli.h"
#include "core/export/exporter.h"
#include "core/lesson/lesson.h"

namespace shearling::cli {

namespace {

constexpr StepIndex kEveryEventSteps = 10'000;  // "auto": so short an interval is told in full
constexpr std::size_t kPage = 4096;

Status export_notable(RunFile& file, StepIndex first, StepIndex end, Exporter& exporter) {
  auto intervals = file.intervals(first, end);
  if (!intervals) return intervals.error();
  for (const RunInterval& interval : intervals.value()) exporter.interval(interval);
  Progress progress("exporting");
  for (std::size_t done = 0; !interrupted()->load();) {
    const auto events = file.events(first, end, kPage, done);
    if (!events) return events.error();
    for (const Event& event : events.value()) exporter.on_event(event);
    done += events.value().size();
    if (events.value().size() < kPage) break;
    progress.show(events.value().back().step);
  }
  return Done{};
}

Status export_every_event(const RunFile& file, StepIndex first, StepIndex end, Exporter& exporter) {
  Result<std::unique_ptr<Machine>> machine = Machine::create(file.info().setup);
  if (!machine) return machine.error();
  TimeTravel travel(*machine.value());
  travel.replay(first, end - first, exporter, interrupted());
  return Done{};
}

}  // namespace

int export_run(const ExportCommandOptions& options) {
  auto opened = RunFile::open(options.run_file);
  if (!opened) return complain(opened.error());
  RunFile& file = *opened.value();
  const StepIndex end = std::min(options.to.value_or(file.recorded_steps()), file.recorded_steps());
  if (options.from >= end)
    return complain(
        Diagnostic{.file = options.run_file,
                   .message = "there is no step from " + std::to_string(options.from) + " to " + std::to_string(end),
                   .remedy = "the recording has steps 0 to " + std::to_string(file.recorded_steps())});

  std::ofstream stream;
  if (options.output != "-") {
    stream.open(options.output, std::ios::binary);
    if (!stream)
      return complain(Diagnostic{.file = options.output,
                                 .message = "the file cannot be written",
                                 .remedy = "check the folder and its permissions"});
  }
  std::ostream& out = options.output == "-" ? std::cout : stream;
  ExportOptions export_options{.format = export_format_of(options.format),
                               .time = options.time == "steps" ? ExportTime::Steps : ExportTime::Cycles,
                               .title = file.info().setup.guest_name};
  if (const auto config = parse_machine_config(file.info().setup.machine_yaml, options.run_file)) {
    export_options.cycles_per_instruction = config.value().costs.instruction;
    export_options.cpus = config.value().cpus;
  }
  const auto exporter = Exporter::make(out, export_options);
  const bool every_event = needs_every_event(export_options.format) || options.events == "all" ||
                           (options.events == "auto" && end - options.from <= kEveryEventSteps);
  const Status status = every_event ? export_every_event(file, options.from, end, *exporter)
                                    : export_notable(file, options.from, end, *exporter);
  if (!status) return complain(status.error());
  exporter->finish(end);
  out.flush();
  if (!out)
    return complain(Diagnostic{.file = options.output,
                               .message = "the file cannot be written to its end",
                               .remedy = "is there room on the disk?"});
  return interrupted()->load() ? kLimitReached : kAsAsked;
}

}  // namespace shearling::cli
