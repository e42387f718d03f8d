// SPDX-License-Identifier: GPL-3.0-or-later
//
// A VMM in C++ at the most privileged level. It does only what a real one can do: write control structures and page
// tables, handle exits, enter the guest. Each thing it does is a vmm.action event with a name and a cost, and advances
// MachineContext::time.vmm_cycles.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/archive.h"
#include "core/base/result.h"
#include "core/machine/processor.h"

namespace shearling::x86 {

class Host {
 public:
  virtual ~Host() = default;
  /// Backing for guest memory while the image is loaded: allocates the frame where there is none yet.
  virtual PhysicalAddress backing(GuestPhysicalAddress address) = 0;
  /// The same without allocating; nothing where there is none (such memory reads as zero).
  [[nodiscard]] virtual std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const = 0;
  /// After loading: SystemState and the engine hold the guest's initial state. Sets up VMX, writes the VMCS, and makes
  /// the first VM entry.
  virtual Status start() = 0;
  /// The VmxUnit has just left the guest. Handles the exit and enters again, or asks for a stop in context.request.
  virtual void handle_exit() = 0;
  virtual void save(Writer& writer) const = 0;
  virtual void load(Reader& reader) = 0;
};

}  // namespace shearling::x86
