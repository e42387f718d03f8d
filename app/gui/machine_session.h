// SPDX-License-Identifier: GPL-3.0-or-later
//
// The machine on its own thread. Commands go in, immutable views come out of a latest-wins slot. A run is done in
// slices of some 20 ms, so that an endless guest loop never delays Pause or closing the window. Knows no Qt.
//
// A view is a function of the position alone: reached forwards or backwards, it shows the same step's events.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "app/gui/machine_view.h"
#include "core/machine/machine.h"
#include "core/machine/time_travel.h"

namespace shearling::gui {

// --- commands
// ---------------------------------------------------------------------------------------------------------

struct Load {
  MachineSetup setup;
  std::string image_path;  ///< For source lines; empty: none.
};
struct StepForward {
  StepIndex count = 1;
};
struct StepBack {
  StepIndex count = 1;
};
/// One instruction with all that it causes: a call, a system call or a trap's handler up to its return.
struct StepOver {};
struct Run {};  ///< To the next breakpoint or the guest's end.
/// To the next (or back to the previous) step with an event of that kind. A VM exit is a trap, into the VMM.
enum class Landmark : std::uint8_t { Trap, Exit };
struct RunTo {
  Landmark landmark = Landmark::Trap;
};
struct BackTo {
  Landmark landmark = Landmark::Trap;
};
struct Seek {
  StepIndex step = 0;
};
struct RunToAddress {
  std::uint64_t address = 0;
};
struct Pause {};
struct Restart {};  ///< Back to the beginning.
struct Unload {};   ///< Ends the session: no machine.
struct ToggleBreakpoint {
  std::uint64_t address = 0;
};
struct WatchMemory {
  std::vector<MemoryWindow> windows;
};  ///< Bytes of the windows are ignored.
/// Any other work on the machine (a lesson's step). It leaves the machine at some position; what it returns becomes the
/// view's message. It must look at the flag now and then. Who keeps its events keeps the second argument: names in them
/// may be the machine's.
struct Work {
  std::function<std::string(TimeTravel&, const std::shared_ptr<const void>&, const std::atomic<bool>&)> work;
};
using Command = std::variant<Load, StepForward, StepBack, StepOver, Run, RunTo, BackTo, Seek, RunToAddress, Pause,
                             Restart, Unload, ToggleBreakpoint, WatchMemory, Work>;

class MachineSession {
 public:
  /// `published` is called on the worker thread after each new view; it must not block.
  explicit MachineSession(std::function<void()> published = {});
  ~MachineSession();
  MachineSession(const MachineSession&) = delete;
  MachineSession& operator=(const MachineSession&) = delete;

  /// Queues a command; never blocks. The view whose `completed` is at least the returned number was made after it.
  std::uint64_t post(Command command);
  /// The newest view; never null.
  [[nodiscard]] std::shared_ptr<const MachineView> view() const;
  /// Waits until a command is done; nothing when that took too long. For tests.
  [[nodiscard]] std::shared_ptr<const MachineView> wait_for(std::uint64_t ticket, std::chrono::milliseconds most) const;

 private:
  class Worker;

  std::function<void()> published_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;  ///< A command came, or a view.
  std::deque<Command> queue_;
  std::uint64_t posted_ = 0;
  bool closing_ = false;
  std::atomic<bool> interrupted_{false};
  std::shared_ptr<const MachineView> view_;
  std::thread thread_;
};

/// What a run of this guest is a function of. `guest`: a built guest's name, or a path; `machine` likewise.
Result<Load> load_request(const std::string& guest, VmmTechnique technique, const std::string& machine = {});

}  // namespace shearling::gui
