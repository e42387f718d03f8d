// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/events/statistics.h"

#include "core/events/reflection.h"

namespace shearling {

namespace {

std::uint64_t subtract(std::uint64_t later, std::uint64_t earlier) { return later - earlier; }
ExitStatistics subtract(const ExitStatistics& later, const ExitStatistics& earlier) {
  return {later.count - earlier.count, later.cycles - earlier.cycles};
}

template <typename Map>
Map subtract_by_name(const Map& later, const Map& earlier) {
  using Value = typename Map::mapped_type;
  Map difference;
  for (const auto& [name, value] : later) {
    const auto before = earlier.find(name);
    const Value rest = subtract(value, before == earlier.end() ? Value{} : before->second);
    if (rest != Value{}) difference.emplace(name, rest);
  }
  return difference;
}

template <typename Map>
typename Map::mapped_type& entry(Map& map, std::string_view name) {
  const auto found = map.find(name);
  return found != map.end() ? found->second : map[std::string(name)];
}

}  // namespace

Statistics operator-(const Statistics& later, const Statistics& earlier) {
  return {subtract_by_name(later.events, earlier.events), subtract_by_name(later.traps, earlier.traps),
          subtract_by_name(later.exits, earlier.exits)};
}

void StatisticsSink::on_event(const Event& event) {
  ++entry(statistics_.events, info_of(event).name);
  if (const auto* trap = std::get_if<TrapRaised>(&event.payload)) ++entry(statistics_.traps, trap->name);
  if (const auto* exit = std::get_if<VmExit>(&event.payload)) {
    open_exit_ = &entry(statistics_.exits, exit->name);
    ++open_exit_->count;
  }
  if (open_exit_ == nullptr) return;
  open_exit_->cycles += event.cycles;
  if (std::holds_alternative<VmEntry>(event.payload)) open_exit_ = nullptr;
}

}  // namespace shearling
