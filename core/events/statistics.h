// SPDX-License-Identifier: GPL-3.0-or-later
//
// Counts of what happened, by name: values that can be subtracted, so that an interval is the difference of two.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/events/sink.h"

namespace shearling {

struct ExitStatistics {
  std::uint64_t count = 0;
  std::uint64_t cycles = 0;  ///< Of the exit, the VMM's actions and the entry that ends them.
  bool operator==(const ExitStatistics&) const = default;
};

struct Statistics {
  std::map<std::string, std::uint64_t, std::less<>> events;  ///< By event name.
  std::map<std::string, std::uint64_t, std::less<>> traps;   ///< trap.raised, by the trap's name.
  std::map<std::string, ExitStatistics, std::less<>> exits;  ///< By the exit reason's name.
  bool operator==(const Statistics&) const = default;
};

/// What happened between two moments; names that did not occur in between are left out.
Statistics operator-(const Statistics& later, const Statistics& earlier);

class StatisticsSink : public EventSink {
 public:
  void on_event(const Event& event) override;
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

 private:
  Statistics statistics_;
  ExitStatistics* open_exit_ = nullptr;  ///< The exit that the VMM is handling. Map nodes stay where they are.
};

}  // namespace shearling
