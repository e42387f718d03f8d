// SPDX-License-Identifier: GPL-3.0-or-later
//
// The trace-event format of Chrome ("Trace Event Format", JSON object form), with one process a core and in it one
// thread a track: guest user, guest kernel, VMM, page walks, devices. Cores that take turns are shown as if they ran
// side by side: a slice lasts until its core does something else. Guest and VMM are slices, each VMM action a slice
// inside its exit's, traps and marks are instants, an arrow leads from every VM exit through the VMM to the entry that
// follows.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <ostream>
#include <vector>

#include "core/export/exporter.h"

namespace shearling {

class ChromeExporter : public Exporter {
 public:
  ChromeExporter(std::ostream& out, const ExportOptions& options);
  void on_event(const Event& event) override;
  void interval(const RunInterval& interval) override;
  void finish(StepIndex end) override;

 private:
  static constexpr int kFirstProcess = 1;
  enum class Track : std::uint8_t { GuestUser = 1, GuestKernel, Vmm, Walks, Devices };
  struct Slice {
    std::string name;
    std::uint64_t begin = 0;
  };
  struct Core {
    std::optional<Actor> guest;  ///< Whose slice is open; nothing while the VMM works.
    std::uint64_t guest_begin = 0;
    std::optional<Slice> exit;
    std::optional<std::uint64_t> walk_begin;
    bool has_arrow = false;  ///< The exit that is open began an arrow.
    std::uint64_t walks = 0, l1d_misses = 0;
  };

  [[nodiscard]] std::uint64_t now() const;
  [[nodiscard]] Core& core() { return cores_[current_]; }
  [[nodiscard]] int process() const { return kFirstProcess + static_cast<int>(current_); }
  void begin_process();
  void privilege_changed(const PrivilegeChanged& changed);
  void open_guest(Actor actor);
  void close_guest();
  void take(const Event& event);
  void trap(const Event& event, std::string_view name);
  void vm_exit(const Event& event, const VmExit& exit);
  void vm_action(const Event& event, const VmmAction& action);
  void vm_entry(const Event& event);
  void walk_end(const Event& event, const WalkEnd& end);
  void count_miss(std::string_view what, std::uint64_t& counter);

  void slice(Track track, std::string_view name, std::uint64_t begin, std::uint64_t duration, const Event* event);
  void instant(Track track, std::string_view name, const Event& event);
  void flow(const char* phase, Track track, std::uint64_t time);
  void counter(std::string_view name, std::uint64_t time, std::uint64_t value);
  void name_track(Track track, std::string_view name);
  void write(const nlohmann::ordered_json& entry);
  [[nodiscard]] static Track track_of(Actor actor);

  std::ostream& out_;
  ExportOptions options_;
  bool first_ = true;
  StepIndex step_ = 0;
  std::uint64_t charged_ = 0;             ///< Cycles of the events so far.
  std::map<std::uint8_t, Actor> actors_;  ///< Who runs at which privilege.
  std::uint64_t flow_ = 0;
  std::vector<Core> cores_;
  std::size_t current_ = 0;  ///< The core whose events come in.
};

}  // namespace shearling
