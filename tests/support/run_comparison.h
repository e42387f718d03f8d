// SPDX-License-Identifier: GPL-3.0-or-later
//
// Ways to compare runs of one guest: index by index by digest, and by counters of the models.
#pragma once

#include <QString>
#include <algorithm>
#include <vector>

#include "core/machine/machine.h"

namespace shearling::testing {

/// Swallows events after counting them: observation at its fullest.
class CountingSink : public EventSink {
 public:
  void on_event(const Event&) override { ++count; }
  std::uint64_t count = 0;
};

/// The digest before each step from the machine's position up to and including `last`.
inline std::vector<std::uint64_t> digests(Machine& machine, StepIndex last, Observation observation) {
  std::vector<std::uint64_t> result{machine.digest()};
  while (machine.position() < last) {
    if (machine.run_until(machine.position() + 1, observation) != StopReason::StepLimit) break;
    result.push_back(machine.digest());
  }
  return result;
}

/// Empty where both are equal.
inline QString first_difference(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  for (std::size_t index = 0; index < std::min(a.size(), b.size()); ++index) {
    if (a[index] != b[index]) return QStringLiteral("first difference at index %1").arg(index);
  }
  return a.size() == b.size() ? QString() : QStringLiteral("%1 against %2 indices").arg(a.size()).arg(b.size());
}

inline bool same_counters(const Machine& a, const Machine& b) {
  const auto same = [](const MemoryPathCounters& x, const MemoryPathCounters& y) {
    return x.tlb_lookups == y.tlb_lookups && x.tlb_misses == y.tlb_misses && x.walks == y.walks &&
           x.walk_references == y.walk_references && x.walk_skipped == y.walk_skipped &&
           x.latency_cycles == y.latency_cycles;
  };
  for (unsigned cpu = 0; cpu < a.cpus(); ++cpu) {
    if (!same(a.memory_path(cpu).counters(), b.memory_path(cpu).counters())) return false;
  }
  return a.cpus() == b.cpus();
}

/// Asking between all steps makes a machine step.
inline bool never() { return false; }

}  // namespace shearling::testing
