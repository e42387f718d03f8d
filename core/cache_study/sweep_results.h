// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SQLite file of a sweep, schema version 1 (docs/cache-sweeps.md). Each run that was added is on the disk for good;
// whatever ends the process leaves a file that opens.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "core/cache_study/sweep.h"
#include "core/run_file/sqlite.h"

namespace shearling {

class SweepResults {
 public:
  static constexpr std::int32_t kApplicationId = 0x53487357;  ///< "SHsW"
  static constexpr int kVersion = 1;

  enum class Mode : std::uint8_t { Read, Write };
  /// Write creates the file where there is none. A file of another kind, a newer one and a damaged one are errors.
  static Result<std::unique_ptr<SweepResults>> open(const std::string& path, Mode mode);

  [[nodiscard]] Status add_plan(const SweepPlan& plan);
  /// A file that has another size than when it was simulated is another stream.
  [[nodiscard]] Status check_stream(const std::string& name, const std::string& source);
  [[nodiscard]] bool has(const SweepRun& run);
  [[nodiscard]] Status add(const SweepRun& run, const std::string& report);
  /// All of `other`, or nothing: how many runs were new.
  [[nodiscard]] Result<std::size_t> merge(const std::string& other);
  [[nodiscard]] Status write_csv(std::ostream& out);

 private:
  explicit SweepResults(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Diagnostic failure() const;
  [[nodiscard]] Status check();
  [[nodiscard]] Result<std::size_t> merge_attached(const std::string& other);

  std::string path_;
  SqliteDatabase database_;
};

}  // namespace shearling
