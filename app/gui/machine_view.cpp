// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/machine_view.h"

#include <algorithm>

namespace shearling::gui {

std::string_view MachineView::level_name(Actor of) const {
  if (isa == nullptr) return {};
  const auto levels = isa->privilege_levels();
  const auto found =
      std::find_if(levels.begin(), levels.end(), [&](const PrivilegeLevel& level) { return level.actor == of; });
  return found == levels.end() ? std::string_view() : found->name;
}

// A level that the table leaves out is one that guests hardly use: it counts as the program's.
Actor MachineView::actor_of(std::uint8_t level) const {
  if (isa == nullptr) return Actor::GuestUser;
  const auto levels = isa->privilege_levels();
  const auto found =
      std::find_if(levels.begin(), levels.end(), [&](const PrivilegeLevel& known) { return known.number == level; });
  return found == levels.end() ? Actor::GuestUser : found->actor;
}

bool ended_well(const Stop& stop) {
  constexpr std::uint32_t kZeroWritten = 1;  // (V << 1) | 1
  return stop.reason == StopReason::PowerOff || (stop.reason == StopReason::ExitPort && stop.code == kZeroWritten);
}

}  // namespace shearling::gui
