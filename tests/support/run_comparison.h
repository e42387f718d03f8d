// SPDX-License-Identifier: GPL-3.0-or-later
//
// Ways to compare runs of one guest: index by index by digest, and by counters of the models.
#pragma once

#include <QString>
#include <algorithm>
#include <map>
#include <string_view>
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

/// What of a VM's end is not the bare machine's: console, registers that the guest believes, memory, instructions.
/// Empty where all is equal. `is_compared`: which rows of the register view count.
template <typename Predicate>
QString difference_of_ends(const Machine& bare, const Machine& vm, Predicate is_compared) {
  if (vm.console() != bare.console())
    return QStringLiteral("the console:\n%1\nnot\n%2")
        .arg(QString::fromStdString(vm.console()), QString::fromStdString(bare.console()));
  for (unsigned cpu = 0; cpu < bare.cpus(); ++cpu) {
    std::map<std::string_view, std::uint64_t> believed;
    for (const RegisterRow& row : vm.processor(cpu).registers()) believed[row.name] = row.believed;
    unsigned compared = 0;
    for (const RegisterRow& row : bare.processor(cpu).registers()) {
      if (!is_compared(row)) continue;
      ++compared;
      const auto other = believed.find(row.name);
      if (other != believed.end() && other->second == row.believed) continue;
      return QStringLiteral("CPU %1's %2: bare 0x%3, in the VM %4")
          .arg(cpu)
          .arg(QString::fromUtf8(row.name.data(), static_cast<qsizetype>(row.name.size())))
          .arg(row.believed, 0, 16)
          .arg(other == believed.end() ? QStringLiteral("none") : QStringLiteral("0x%1").arg(other->second, 0, 16));
    }
    if (compared < 20) return QStringLiteral("only %1 registers were compared").arg(compared);
  }
  if (vm.guest_memory_sha256() != bare.guest_memory_sha256()) return QStringLiteral("memory differs");
  if (vm.position() != bare.position())
    return QStringLiteral("%1 instructions, bare %2").arg(vm.position()).arg(bare.position());
  return {};
}

/// Asking between all steps makes a machine step.
inline bool never() { return false; }

}  // namespace shearling::testing
