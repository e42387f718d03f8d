// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the cores of one AArch64 machine share: the interrupt controller, the knowledge of translation tables in use,
// broadcasts of TLB maintenance and events, and PSCI, which stands in place of EL3 and its firmware (Power State
// Coordination Interface, DEN 0022).
#pragma once

#include <vector>

#include "core/devices/device_bus.h"
#include "isa-arm/gic/gic.h"
#include "isa-arm/mmu/mmu.h"
#include "isa-arm/mmu/table_watch.h"

namespace shearling::arm {

class ArmProcessor;

class ArmSystem : private InterruptLines {
 public:
  /// `host_level`: of the VMM in C++; 0 where there is none.
  ArmSystem(const MachineContext& first, unsigned cpus, unsigned host_level);
  ~ArmSystem() override;

  void add(ArmProcessor& core) { cores_.push_back(&core); }
  [[nodiscard]] ArmProcessor* core(unsigned cpu) const { return cpu < cores_.size() ? cores_[cpu] : nullptr; }
  [[nodiscard]] const std::vector<ArmProcessor*>& cores() const { return cores_; }

  /// The machine's description with what the technique adds to it: a VMM at EL2 needs EL2.
  const MachineConfig config;
  Gic gic;
  TableWatch watch;
  bool planned_floating_point = true;  ///< Plans of direct execution rest on it: SIMD is permitted.

  [[nodiscard]] bool has_el2() const { return has_el2_; }
  /// Where a guest begins: EL2 on a bare machine that has it, else EL1.
  [[nodiscard]] unsigned entry_level() const { return has_el2_ && host_level_ == 0 ? 2 : 1; }

  void invalidate_everywhere(const TlbInvalidation& what);
  void send_event();
  /// A store that changed a table entry in use: every core's engine translations and TLBs are suspect.
  void tables_changed();
  /// One call by X0 to X3 of `core`; writes X0.
  void call_firmware(ArmProcessor& core);

 private:
  [[nodiscard]] ArmProcessor* by_affinity(std::uint64_t affinity) const;
  std::int64_t cpu_on(std::uint64_t affinity, VirtualAddress entry, std::uint64_t context_id);
  void set_line(unsigned line, bool level) override { gic.set_shared_line(line, level); }
  DeviceBus& devices_;
  MachineRequest& request_;
  unsigned host_level_;
  bool has_el2_;
  std::vector<ArmProcessor*> cores_;
};

}  // namespace shearling::arm
