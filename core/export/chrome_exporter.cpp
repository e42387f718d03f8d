// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/chrome_exporter.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/events/reflection.h"
#include "core/export/csv_exporter.h"
#include "core/export/reference_exporter.h"
#include "core/run_file/event_json.h"

namespace shearling {

const std::vector<std::string_view>& export_format_names() {
  static const std::vector<std::string_view> kNames{"chrome", "csv", "trace", "din", "xdin"};
  return kNames;
}

ExportFormat export_format_of(std::string_view name) {
  const auto& names = export_format_names();
  return static_cast<ExportFormat>(std::find(names.begin(), names.end(), name) - names.begin());
}

std::unique_ptr<Exporter> Exporter::make(std::ostream& out, const ExportOptions& options) {
  if (options.format == ExportFormat::Csv) return std::make_unique<CsvExporter>(out);
  if (needs_every_event(options.format)) return std::make_unique<ReferenceExporter>(out, options.format);
  return std::make_unique<ChromeExporter>(out, options);
}

ChromeExporter::ChromeExporter(std::ostream& out, const ExportOptions& options) : out_(out), options_(options) {
  out_ << "{\"displayTimeUnit\": \"ns\", \"otherData\": {\"made_by\": \"Shearling\", \"one_microsecond_is\": \""
       << (options_.time == ExportTime::Cycles ? "one cycle" : "one instruction") << "\"}, \"traceEvents\": [";
  cores_.resize(std::max(options_.cpus, 1U));
  for (current_ = 0; current_ < cores_.size(); ++current_) begin_process();
  current_ = 0;
}

void ChromeExporter::begin_process() {
  const std::string name = cores_.size() == 1 ? options_.title : options_.title + ", core " + std::to_string(current_);
  write({{"ph", "M"}, {"pid", process()}, {"name", "process_name"}, {"args", {{"name", name}}}});
  name_track(Track::GuestUser, "guest user");
  name_track(Track::GuestKernel, "guest kernel");
  name_track(Track::Vmm, "VMM");
  name_track(Track::Walks, "page walks");
  name_track(Track::Devices, "console and interrupts");
}

void ChromeExporter::name_track(Track track, std::string_view name) {
  const int number = static_cast<int>(track);
  write({{"ph", "M"},
         {"pid", process()},
         {"tid", number},
         {"name", "thread_name"},
         {"args", {{"name", std::string(name)}}}});
  write({{"ph", "M"},
         {"pid", process()},
         {"tid", number},
         {"name", "thread_sort_index"},
         {"args", {{"sort_index", number}}}});
}

ChromeExporter::Track ChromeExporter::track_of(Actor actor) {
  static constexpr std::array<Track, 4> kTracks{Track::GuestUser, Track::GuestKernel, Track::Vmm, Track::GuestKernel};
  return kTracks[static_cast<std::size_t>(actor)];
}

std::uint64_t ChromeExporter::now() const {
  return options_.time == ExportTime::Steps ? step_ : step_ * options_.cycles_per_instruction + charged_;
}

// An event stands at the moment when it begins; what it costs passes before the next one.
void ChromeExporter::on_event(const Event& event) {
  step_ = event.step;
  current_ = std::min<std::size_t>(event.vcpu, cores_.size() - 1);
  const bool guest_acts = event.actor == Actor::GuestUser || event.actor == Actor::GuestKernel;
  if (guest_acts) actors_[event.privilege] = event.actor;
  if (guest_acts && !core().exit && core().guest != event.actor) open_guest(event.actor);
  take(event);
  charged_ += event.cycles;
}

void ChromeExporter::take(const Event& event) {
  const auto& payload = event.payload;
  if (const auto* exit = std::get_if<VmExit>(&payload)) return vm_exit(event, *exit);
  if (const auto* action = std::get_if<VmmAction>(&payload)) return vm_action(event, *action);
  if (std::holds_alternative<VmEntry>(payload)) return vm_entry(event);
  if (const auto* raised = std::get_if<TrapRaised>(&payload)) return trap(event, raised->name);
  if (const auto* changed = std::get_if<PrivilegeChanged>(&payload)) return privilege_changed(*changed);
  if (std::holds_alternative<LessonMark>(payload) || std::holds_alternative<ModeChanged>(payload) ||
      std::holds_alternative<MachineStopped>(payload) || std::holds_alternative<Hypercall>(payload))
    return instant(track_of(core().guest.value_or(Actor::GuestKernel)), narrate(event), event);
  if (std::holds_alternative<ConsoleOutput>(payload) || std::holds_alternative<InterruptRequested>(payload) ||
      std::holds_alternative<InterruptAcknowledged>(payload) || std::holds_alternative<InterruptEnded>(payload))
    return instant(Track::Devices, narrate(event), event);
  if (std::holds_alternative<WalkBegin>(payload)) {
    core().walk_begin = now();
    return;
  }
  if (const auto* end = std::get_if<WalkEnd>(&payload)) return walk_end(event, *end);
  if (const auto* lookup = std::get_if<CacheLookup>(&payload);
      lookup != nullptr && !lookup->hit && lookup->cache == "L1D")
    return count_miss("L1D misses", core().l1d_misses);
}

// Whether a number means user or kernel is the ISA's affair: it is learnt from the events.
void ChromeExporter::privilege_changed(const PrivilegeChanged& changed) {
  const auto known = actors_.find(changed.to);
  if (known != actors_.end()) return open_guest(known->second);
  open_guest(core().guest == Actor::GuestKernel ? Actor::GuestUser : Actor::GuestKernel);
}

void ChromeExporter::open_guest(Actor actor) {
  if (core().exit || core().guest == actor) return;
  close_guest();
  core().guest = actor;
  core().guest_begin = now();
}

void ChromeExporter::close_guest() {
  if (core().guest && now() > core().guest_begin)
    slice(track_of(*core().guest), name_of(*core().guest), core().guest_begin, now() - core().guest_begin, nullptr);
  core().guest.reset();
}

void ChromeExporter::trap(const Event& event, std::string_view name) {
  instant(track_of(core().guest.value_or(event.actor)), name, event);
}

void ChromeExporter::vm_exit(const Event& event, const VmExit& exit) {
  ++flow_;
  const Actor from = core().guest.value_or(Actor::GuestKernel);
  instant(track_of(from), narrate(event), event);
  core().has_arrow = core().guest && now() > core().guest_begin;  // an arrow begins inside a slice
  if (core().has_arrow) flow("s", track_of(from), now() - 1);
  close_guest();
  core().guest = from;  // whom the entry goes back to
  core().exit = Slice{std::string(exit.name), now()};
}

void ChromeExporter::vm_action(const Event& event, const VmmAction& action) {
  slice(Track::Vmm, action.name, now(), options_.time == ExportTime::Cycles ? event.cycles : 0, &event);
}

void ChromeExporter::vm_entry(const Event& event) {
  if (!core().exit) return;  // the first entry: nothing was left
  const std::uint64_t end = now() + (options_.time == ExportTime::Cycles ? event.cycles : 0);
  slice(Track::Vmm, core().exit->name, core().exit->begin, end - core().exit->begin, nullptr);
  if (core().has_arrow) flow("t", Track::Vmm, core().exit->begin);
  if (core().has_arrow) flow("f", track_of(core().guest.value_or(Actor::GuestKernel)), end);
  core().exit.reset();
  core().guest_begin = end;
}

void ChromeExporter::walk_end(const Event& event, const WalkEnd& end) {
  if (!core().walk_begin) return;
  const std::uint64_t duration =
      options_.time == ExportTime::Steps ? 0 : std::max<std::uint64_t>(now() - *core().walk_begin, end.latency);
  slice(Track::Walks, end.faulted ? "walk, fault" : "walk", *core().walk_begin, duration, &event);
  core().walk_begin.reset();
  count_miss("page walks", core().walks);
}

void ChromeExporter::count_miss(std::string_view what, std::uint64_t& number) { counter(what, now(), ++number); }

void ChromeExporter::interval(const RunInterval& interval) {
  const std::uint64_t before = step_;
  step_ = interval.first;
  current_ = 0;  // sums over all cores
  counter("traps an interval", now(), interval.counters.traps);
  counter("VM exits an interval", now(), interval.counters.exits);
  if (interval.models) {
    counter("page walks an interval", now(), interval.counters.walks);
    counter("L1D misses an interval", now(), interval.counters.l1d_misses);
    counter("LLC misses an interval", now(), interval.counters.llc_misses);
  }
  step_ = before;
}

void ChromeExporter::finish(StepIndex end) {
  step_ = std::max(step_, end);
  for (current_ = 0; current_ < cores_.size(); ++current_) {
    if (core().exit)
      slice(Track::Vmm, core().exit->name, core().exit->begin, now() - core().exit->begin, nullptr);
    else
      close_guest();
  }
  current_ = 0;
  out_ << "\n]}\n";
}

// --- entries of the format -------------------------------------------------------------------------------------------

void ChromeExporter::slice(Track track, std::string_view name, std::uint64_t begin, std::uint64_t duration,
                           const Event* event) {
  nlohmann::ordered_json entry{
      {"ph", "X"},   {"pid", process()}, {"tid", static_cast<int>(track)}, {"name", std::string(name)},
      {"ts", begin}, {"dur", duration}};
  if (event != nullptr) {
    entry["args"] = fields_to_json(*event);
    entry["args"]["step"] = event->step;
  }
  write(entry);
}

void ChromeExporter::instant(Track track, std::string_view name, const Event& event) {
  nlohmann::ordered_json arguments = fields_to_json(event);
  arguments["step"] = event.step;
  write({{"ph", "i"},
         {"s", "t"},
         {"pid", process()},
         {"tid", static_cast<int>(track)},
         {"name", std::string(name)},
         {"cat", std::string(info_of(event).name)},
         {"ts", now()},
         {"args", arguments}});
}

void ChromeExporter::flow(const char* phase, Track track, std::uint64_t time) {
  nlohmann::ordered_json entry{
      {"ph", phase}, {"pid", process()}, {"tid", static_cast<int>(track)}, {"name", "exit and entry"}, {"cat", "vm"},
      {"id", flow_}, {"ts", time}};
  if (*phase == 'f') entry["bp"] = "e";
  write(entry);
}

void ChromeExporter::counter(std::string_view name, std::uint64_t time, std::uint64_t value) {
  write({{"ph", "C"}, {"pid", process()}, {"name", std::string(name)}, {"ts", time}, {"args", {{"value", value}}}});
}

void ChromeExporter::write(const nlohmann::ordered_json& entry) {
  out_ << (first_ ? "\n" : ",\n") << entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  first_ = false;
}

}  // namespace shearling
