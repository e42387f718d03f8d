// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/session_controller.h"

#include <array>
#include <utility>

namespace shearling::gui {
namespace {

constexpr int kFrameMilliseconds = 16;

template <typename Payload>
bool is(const Event& event) {
  return std::holds_alternative<Payload>(event.payload);
}

bool is_failed_check(const Event& event) {
  const auto* check = std::get_if<Check>(&event.payload);
  return check != nullptr && check->verdict != CheckVerdict::Passed;
}

// What says most about a step comes first.
constexpr std::array<bool (*)(const Event&), 15> kTelling = {
    is<MachineStopped>, is<VmExit>,      is<TrapRaised>,       is<TrapDelivered>, is<Hypercall>,
    is<TrapReturned>,   is<ModeChanged>, is<PrivilegeChanged>, is_failed_check,   is<LessonMark>,
    is<DeviceAccess>,   is<WalkEnd>,     is<RegisterWritten>,  is<MemoryAccess>,  is<InstructionRetired>};

/// Below L1, or what the cache did of its own accord, or for the page walker.
bool is_cache_detail(const Event& event) {
  if (is<CacheFill>(event) || is<CacheEvict>(event)) return true;
  const auto* lookup = std::get_if<CacheLookup>(&event.payload);
  return lookup != nullptr && (lookup->walk || lookup->cache.rfind("L1", 0) != 0);
}

bool is_translation_detail(const Event& event) {
  return is<WalkReference>(event) || is<TlbLookup>(event) || is<TlbFill>(event) || is<TlbEvict>(event) ||
         is<TftLookup>(event) || is<TftFill>(event) || is<CacheLookup>(event);
}

}  // namespace

bool is_shown(const Event& event, Detail detail) {
  if (detail == Detail::Everything) return true;
  if (is_cache_detail(event)) return false;
  return detail == Detail::Main || !is_translation_detail(event);
}

std::size_t telling_event(const std::vector<Event>& events) {
  for (const auto tells : kTelling) {
    for (std::size_t index = 0; index < events.size(); ++index) {
      if (tells(events[index])) return index;
    }
  }
  return events.empty() ? 0 : events.size() - 1;
}

SessionController::SessionController(QObject* parent) : QObject(parent) {
  frame_.setSingleShot(true);
  frame_.setInterval(kFrameMilliseconds);
  connect(&frame_, &QTimer::timeout, this, [this] {
    if (std::exchange(view_waits_, false)) refresh();
  });
  moment_.machine = std::make_shared<const MachineView>();
  session_ = std::make_unique<MachineSession>(
      [this] { QMetaObject::invokeMethod(this, &SessionController::view_arrived, Qt::QueuedConnection); });
}

SessionController::~SessionController() = default;

std::uint64_t SessionController::post(Command command) {
  if (running() && !std::holds_alternative<Pause>(command) && !std::holds_alternative<ToggleBreakpoint>(command) &&
      !std::holds_alternative<WatchMemory>(command)) {
    session_->post(Pause{});
  }
  return session_->post(std::move(command));
}

void SessionController::view_arrived() {
  if (frame_.isActive()) {
    view_waits_ = true;
    return;
  }
  refresh();
}

void SessionController::refresh() {
  take(session_->view());
  frame_.start();
}

void SessionController::take(std::shared_ptr<const MachineView> view) {
  if (view == moment_.machine) return;
  const bool same_step = view->position == moment_.machine->position &&
                         view->events.size() == moment_.machine->events.size() && view->guest == moment_.machine->guest;
  const bool enters = enter_step_ != 0 && view->completed >= enter_step_ && !view->events.empty();
  moment_.machine = std::move(view);
  if (enters) {
    enter_step_ = 0;
    moment_.cursor = shown_from(0).value_or(0);
    moment_.whole = moment_.machine->events.size() <= 1;
  } else if (!same_step) {
    moment_.cursor = telling_event(moment_.machine->events);
    moment_.whole = true;
  }
  emit moment_changed(moment_);
}

std::optional<std::size_t> SessionController::shown_from(std::size_t first) const {
  for (std::size_t index = first; index < machine().events.size(); ++index) {
    if (is_shown(machine().events[index], moment_.detail)) return index;
  }
  return std::nullopt;
}

void SessionController::step_into() {
  const auto next = moment_.whole ? std::nullopt : shown_from(moment_.cursor + 1);
  if (!next) {
    enter_step_ = post(StepForward{1});
    return;
  }
  moment_.cursor = *next;
  emit moment_changed(moment_);
}

void SessionController::finish_step() {
  moment_.whole = true;
  moment_.cursor = telling_event(machine().events);
  emit moment_changed(moment_);
}

void SessionController::back() {
  if (!moment_.whole) {
    for (std::size_t index = moment_.cursor; index-- > 0;) {
      if (is_shown(machine().events[index], moment_.detail)) return light(index);
    }
  }
  post(StepBack{1});
}

void SessionController::pause() { post(Pause{}); }

void SessionController::show_detail(Detail detail) {
  moment_.detail = detail;
  emit moment_changed(moment_);
}

void SessionController::light(std::size_t event) {
  if (event >= machine().events.size()) return;
  moment_.cursor = event;
  moment_.whole = false;
  emit moment_changed(moment_);
}

}  // namespace shearling::gui
