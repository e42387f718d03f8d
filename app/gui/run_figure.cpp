// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/run_figure.h"

#include <algorithm>

#include "app/gui/cache_sets_view.h"

namespace shearling::gui {
namespace {

FigureCell share(double part, std::uint64_t whole, double scale = 1) {
  if (whole == 0) return {};
  const double value = part / static_cast<double>(whole) * scale;
  return {.paper = {}, .model = FigureValue{value, value, value}};
}

std::string name_of(const CacheSummary& cache) { return organisation_name(cache.config.organisation).toStdString(); }

}  // namespace

Figure run_figure(const MachineView& view) {
  if (view.state == RunState::Empty) return {};
  std::vector<const CacheSummary*> caches = {&view.caches.l1d};
  if (view.caches.twin) caches.push_back(&*view.caches.twin);
  FigurePanel misses{.title = "Misses of the L1 data cache",
                     .axis = "misses, %",
                     .categories = {"loads", "stores", "both"},
                     .series = {}};
  FigurePanel ways{.title = "Ways read", .axis = "ways read a reference", .categories = {""}, .series = {}};
  FigurePanel energy{.title = "Energy", .axis = "energy a reference, pJ", .categories = {""}, .series = {}};
  for (const CacheSummary* cache : caches) {
    constexpr double kPercent = 100;
    constexpr double kPicojoules = 1000;
    const CacheCounters& counts = cache->counters;
    const std::uint64_t all = counts.reads + counts.writes;
    const auto part = [](std::uint64_t count) { return static_cast<double>(count); };
    misses.series.push_back({name_of(*cache),
                             {share(part(counts.read_misses), counts.reads, kPercent),
                              share(part(counts.write_misses), counts.writes, kPercent),
                              share(part(counts.read_misses + counts.write_misses), all, kPercent)}});
    ways.series.push_back({name_of(*cache), {share(part(counts.ways_probed), all)}});
    energy.series.push_back({name_of(*cache), {share(counts.energy, all, kPicojoules)}});
  }
  return {.number = 0,
          .title = "This run: the L1 data cache of " + view.guest,
          .panels = {std::move(misses), std::move(ways), std::move(energy)},
          .trends = {},
          .notes = {"Counted by the machine's own cache models up to the step that is shown, page-table walks "
                    "included."}};
}

}  // namespace shearling::gui
