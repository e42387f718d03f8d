// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/study_runner.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <span>

#include "core/base/assert.h"
#include "core/cache_study/multicore_stream.h"
#include "core/cache_study/worker_pool.h"

namespace shearling {

namespace {

constexpr std::size_t kPointsOfOneTask = 8;
constexpr std::size_t kBatch = 32'768;

/// Records that lie in memory, for Simulation::run().
class BatchStream final : public ReferenceStream {
 public:
  explicit BatchStream(std::span<const ReferenceRecord> records) : left_(records) {}
  std::size_t read(std::span<ReferenceRecord> batch) override {
    const std::size_t count = std::min(batch.size(), left_.size());
    std::copy_n(left_.begin(), count, batch.begin());
    left_ = left_.subspan(count);
    return count;
  }

 private:
  std::span<const ReferenceRecord> left_;
};

/// What looks at a stream and has something to say about it.
class Observer {
 public:
  Observer() = default;
  virtual ~Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual void take(std::span<const ReferenceRecord> records) = 0;
  [[nodiscard]] virtual Measurement sums() const = 0;
};

class SimulatedPoint final : public Observer {
 public:
  explicit SimulatedPoint(SimulationConfig config) : simulation_(std::move(config)) {}
  void take(std::span<const ReferenceRecord> records) override {
    BatchStream stream(records);
    simulation_.run(stream);
  }
  [[nodiscard]] Measurement sums() const override {
    const SimulationReport report = simulation_.report();
    const auto l1d = std::find_if(report.levels.begin(), report.levels.end(),
                                  [](const LevelReport& level) { return level.name == "l1d"; });
    const double leaked_by_l1 = simulation_.config().energy.l1d_leakage_mw * report.nanoseconds * 1e-3;
    Measurement sums;
    sums[Quantity::Instructions] = static_cast<double>(report.instructions);
    sums[Quantity::Cycles] = report.cycles;
    sums[Quantity::L1Accesses] = static_cast<double>(l1d->accesses);
    sums[Quantity::L1Misses] = static_cast<double>(l1d->misses);
    sums[Quantity::SuperpageAccesses] = static_cast<double>(report.superpage_data.accesses);
    sums[Quantity::TftMissL1Hit] = static_cast<double>(report.tft_miss_l1_hit.accesses);
    sums[Quantity::TftMissL1Miss] = static_cast<double>(report.tft_miss_l1_miss.accesses);
    sums[Quantity::WayPredictions] = static_cast<double>(report.way_predictions);
    sums[Quantity::WayMispredictions] = static_cast<double>(report.way_mispredictions);
    sums[Quantity::EnergyL1] = report.energy.l1d + report.energy.tft + leaked_by_l1;
    sums[Quantity::EnergyCoherence] = report.energy.l1d_coherence;
    sums[Quantity::EnergyBelow] = report.energy.total() - sums[Quantity::EnergyL1] - sums[Quantity::EnergyCoherence];
    return sums;
  }

 private:
  Simulation simulation_;
};

/// The data's 2 MB regions, from the lowest to the highest that is touched, and those of them that the page map makes
/// superpages. A region counts as a whole, however little of it these references touched: the program fills it in time.
class FootprintPoint final : public Observer {
 public:
  explicit FootprintPoint(const PageMapConfig& pages) : pages_(pages) {}
  void take(std::span<const ReferenceRecord> records) override {
    for (const ReferenceRecord& record : records) {
      if (!is_reference(record.kind)) continue;
      const std::uint64_t region = record.address.value >> page_shift(PageSize::Size2M);
      Extent& extent = extents_[record.address_space];
      extent.first = std::min(extent.first, region);
      extent.last = std::max(extent.last, region);
    }
  }
  [[nodiscard]] Measurement sums() const override {
    PageMap map(pages_);
    Measurement sums;
    for (const auto& [space, extent] : extents_) {
      for (std::uint64_t region = extent.first; region <= extent.last; ++region) {
        const bool superpage = map.translate({region << page_shift(PageSize::Size2M)}, space).size == PageSize::Size2M;
        sums[Quantity::Regions] += 1;
        sums[Quantity::SuperpageRegions] += superpage ? 1 : 0;
      }
    }
    return sums;
  }

 private:
  struct Extent {
    std::uint64_t first = ~std::uint64_t{0}, last = 0;
  };
  PageMapConfig pages_;
  std::map<std::uint16_t, Extent> extents_;  ///< By address space.
};

SimulationConfig simulable(SimulationConfig config) {
  SHEARLING_ASSERT(problem_of(config).empty(), "a figure asks for a machine that cannot be");
  return config;
}

struct Task {
  std::string stream;
  std::vector<StudyPoint> points;
};

/// Points of one stream together, a few at a time, so that many cores find work.
std::vector<Task> tasks_of(const std::vector<StudyPoint>& points) {
  std::map<std::string, StudyPoint> distinct;
  for (const StudyPoint& point : points) distinct.emplace(point.run_key(), point);
  std::vector<Task> tasks;
  for (const auto& [key, point] : distinct) {
    const std::string stream = point.stream();
    const bool joins = !tasks.empty() && tasks.back().stream == stream && tasks.back().points.size() < kPointsOfOneTask;
    if (!joins) tasks.push_back({stream, {}});
    tasks.back().points.push_back(point);
  }
  return tasks;
}

class StudyRunner {
 public:
  StudyRunner(const std::vector<StudyPoint>& points, const StudySetup& setup, const StudyRunOptions& options)
      : tasks_(tasks_of(points)), setup_(setup), options_(options), results_(tasks_.size()) {}

  Measurements run() {
    run_in_parallel(options_.jobs, tasks_.size(), [this](std::size_t index) { return run_task(index); });
    Measurements all;
    for (Measurements& some : results_) all.merge(some);
    return all;
  }

 private:
  bool run_task(std::size_t index) {
    const Task& task = tasks_[index];
    OpenedStream opened = open_study_stream(task.stream);
    SHEARLING_ASSERT(opened.index() == 0, "a workload of the study is no synthetic stream");
    ReferenceStream& stream = *std::get<0>(opened);
    std::vector<std::unique_ptr<Observer>> observers = observers_of(task, *stream.suggested_pages());
    const std::uint64_t warm_up = warm_up_of(options_.references);
    if (!feed(stream, warm_up, observers)) return false;
    std::vector<Measurement> before;
    for (std::size_t i = 0; i < observers.size(); ++i)
      before.push_back(task.points[i].design == StudyDesign::Footprint ? Measurement{} : observers[i]->sums());
    if (!feed(stream, options_.references - warm_up, observers)) return false;
    for (std::size_t i = 0; i < observers.size(); ++i)
      results_[index].emplace(task.points[i].run_key(), observers[i]->sums() - before[i]);
    return true;
  }

  [[nodiscard]] std::vector<std::unique_ptr<Observer>> observers_of(const Task& task,
                                                                    const PageMapConfig& pages) const {
    std::vector<std::unique_ptr<Observer>> observers;
    for (const StudyPoint& point : task.points) {
      if (point.design == StudyDesign::Footprint)
        observers.push_back(std::make_unique<FootprintPoint>(pages));
      else
        observers.push_back(std::make_unique<SimulatedPoint>(simulable(configuration_of(point, setup_, pages))));
    }
    return observers;
  }

  /// False: interrupted.
  bool feed(ReferenceStream& stream, std::uint64_t references, std::vector<std::unique_ptr<Observer>>& observers) {
    std::vector<ReferenceRecord> batch(kBatch);
    while (references != 0) {
      const std::size_t got =
          stream.read({batch.data(), static_cast<std::size_t>(std::min<std::uint64_t>(kBatch, references))});
      if (got == 0) break;
      references -= got;
      for (const auto& observer : observers) {
        if (options_.interrupted != nullptr && options_.interrupted->load()) return false;
        observer->take({batch.data(), got});
        report_progress(got);
      }
    }
    return true;
  }

  void report_progress(std::size_t records) {
    if (!options_.progress) return;
    const std::scoped_lock lock(progress_guard_);
    if (total_ == 0) {
      for (const Task& task : tasks_) total_ += static_cast<double>(task.points.size() * options_.references);
    }
    done_ += static_cast<double>(records);
    options_.progress(done_ / total_);
  }

  std::vector<Task> tasks_;
  const StudySetup& setup_;
  const StudyRunOptions& options_;
  std::vector<Measurements> results_;  ///< One a task: no two threads write one.
  std::mutex progress_guard_;
  double done_ = 0, total_ = 0;
};

}  // namespace

Measurements measure(const std::vector<StudyPoint>& points, const StudySetup& setup, const StudyRunOptions& options) {
  return StudyRunner(points, setup, options).run();
}

}  // namespace shearling
