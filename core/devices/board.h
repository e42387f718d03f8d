// SPDX-License-Identifier: GPL-3.0-or-later
//
// A board is the set of devices around the processor that belong to no ISA module. The machine description names it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/devices/device_bus.h"

namespace shearling {

class Board {
 public:
  virtual ~Board() = default;
  /// Everything that the guest has printed.
  [[nodiscard]] virtual const std::string& console() const = 0;
  virtual void save(Writer& writer) const = 0;
  virtual void load(Reader& reader) = 0;
};

/// Builds the board of that name and attaches its devices; null where there is no such board. Arguments are borrowed.
std::unique_ptr<Board> make_board(std::string_view name, DeviceBus& bus, EventStream& events, MachineRequest& request);

}  // namespace shearling
