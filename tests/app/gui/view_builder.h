// SPDX-License-Identifier: GPL-3.0-or-later
//
// Machine views made by hand, for tests of views and models: the values are chosen, no machine stands behind them.
#pragma once

#include <memory>

#include "app/gui/session_controller.h"

namespace shearling::gui {

class ViewBuilder {
 public:
  /// A paused machine at step 48,213 under a technique, with registers and code and no events.
  explicit ViewBuilder(VmmTechnique technique = VmmTechnique::VtX);

  /// The same moment of an AArch64 machine; `has_control`: its core has EL2.
  ViewBuilder& arm(VmmTechnique technique, bool has_control);
  /// A second core, whose X0 is 77; it is the current one.
  ViewBuilder& two_cpus();
  /// An exception between two levels of privilege.
  ViewBuilder& trap_to(std::uint8_t from, std::uint8_t to);

  ViewBuilder& event(EventPayload payload, Actor actor = Actor::Hardware, std::uint8_t privilege = 0);
  /// fetch, checks, exit, actions, entry of one CPUID.
  ViewBuilder& cpuid_exit();
  /// A walk of `guest_levels` in `nested_levels`, every reference made; 24 for 4 in 4.
  ViewBuilder& walk(unsigned guest_levels, unsigned nested_levels, bool faults = false);
  /// A load through SEESAW with its twin; the superpage's TFT entry hits.
  ViewBuilder& seesaw_load(bool tft_hit = true);
  /// #GP in ring 3, delivered to ring 0.
  ViewBuilder& trap();
  ViewBuilder& ended(StopReason reason = StopReason::ExitPort);
  ViewBuilder& running();
  ViewBuilder& translations();
  ViewBuilder& timeline(unsigned steps);

  [[nodiscard]] std::shared_ptr<MachineView> view() const { return view_; }
  [[nodiscard]] Moment moment() const;
  /// The moment with the micro-cursor at an event.
  [[nodiscard]] Moment at(std::size_t event) const;

 private:
  std::shared_ptr<MachineView> view_;
};

}  // namespace shearling::gui
