// SPDX-License-Identifier: GPL-3.0-or-later
//
// How events travel: the machine's parts emit into one EventStream, which stamps step, ordinal, actor and privilege and
// hands them to a sink. With no sink, or below the wanted level, emitting costs one branch.
#pragma once

#include <utility>
#include <vector>

#include "core/events/event.h"

namespace shearling {

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_event(const Event& event) = 0;
};

/// Collects events; the usual sink of tests and of a single step.
class EventLog : public EventSink {
 public:
  void on_event(const Event& event) override { events.push_back(event); }
  std::vector<Event> events;
};

class EventStream {
 public:
  /// Sinks are borrowed and must outlive their registration. `all` gets every event, `notable` the notable ones only
  /// (it is fed at every observation level). Either may be null.
  void set_sinks(EventSink* all, EventSink* notable) {
    all_ = all;
    notable_ = notable;
  }
  [[nodiscard]] EventSink* all_sink() const { return all_; }
  [[nodiscard]] EventSink* notable_sink() const { return notable_; }

  /// True when micro-events (lookups, references, checks) are wanted: guard costly preparation with it.
  [[nodiscard]] bool wants_micro_events() const { return all_ != nullptr; }

  void begin_step(StepIndex step) {
    stamp_.step = step;
    stamp_.ordinal = 0;
  }
  void set_vcpu(std::uint16_t vcpu) { stamp_.vcpu = vcpu; }
  void set_actor(Actor actor, std::uint8_t privilege) {
    stamp_.actor = actor;
    stamp_.privilege = privilege;
  }
  [[nodiscard]] Actor actor() const { return stamp_.actor; }
  [[nodiscard]] std::uint8_t privilege() const { return stamp_.privilege; }

  /// A micro-event: seen by the `all` sink only.
  template <typename Payload>
  void micro(Payload payload, std::uint32_t cycles = 0) {
    if (all_ != nullptr) send(std::move(payload), cycles);
  }
  /// A notable event: stored in run files, seen by both sinks at every observation level.
  template <typename Payload>
  void notable(Payload payload, std::uint32_t cycles = 0) {
    if (all_ != nullptr || notable_ != nullptr) send(std::move(payload), cycles);
  }

  /// Keeps events back until release(), which sends them on or forgets them: for a step that may have to be done again.
  void hold() { holding_ = true; }
  void release(bool send_on) {
    holding_ = false;
    if (send_on) {
      for (const Event& event : held_) hand_over(event);
    }
    held_.clear();
  }

 private:
  template <typename Payload>
  void send(Payload payload, std::uint32_t cycles) {
    Event event = stamp_;
    event.cycles = cycles;
    event.payload = std::move(payload);
    ++stamp_.ordinal;
    if (holding_)
      held_.push_back(event);
    else
      hand_over(event);
  }
  void hand_over(const Event& event) {
    if (all_ != nullptr) all_->on_event(event);
    if (notable_ != nullptr && is_notable(event)) notable_->on_event(event);
  }

  EventSink* all_ = nullptr;
  EventSink* notable_ = nullptr;
  Event stamp_;
  bool holding_ = false;
  std::vector<Event> held_;
};

/// Emits events on behalf of another actor for a while (the VMM's actions inside a guest's step, for example).
class ActorScope {
 public:
  ActorScope(EventStream& stream, Actor actor, std::uint8_t privilege)
      : stream_(stream), actor_(stream.actor()), privilege_(stream.privilege()) {
    stream.set_actor(actor, privilege);
  }
  ~ActorScope() { stream_.set_actor(actor_, privilege_); }
  ActorScope(const ActorScope&) = delete;
  ActorScope& operator=(const ActorScope&) = delete;

 private:
  EventStream& stream_;
  Actor actor_;
  std::uint8_t privilege_;
};

}  // namespace shearling
