// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the commands of `shearling` share: exit statuses, where output goes, progress, and Ctrl-C.
#pragma once

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/machine/time_travel.h"

namespace shearling::cli {

enum ExitStatus : int {
  kAsAsked = 0,
  kDidNotHold = 1,    ///< An assertion, comparison or lesson.
  kBadInput = 2,      ///< Wrong usage or a bad file.
  kGuestFailed = 3,   ///< Triple fault, deadlock, an exit status that is not 0, ...
  kLimitReached = 4,  ///< --limit, or Ctrl-C.
};

/// Set by Ctrl-C; a second one ends the program at once.
const std::atomic<bool>* interrupted();
void catch_interrupts();

/// One line on standard error, "shearling: file:line:column: what; how to mend it"; returns kBadInput.
int complain(const Diagnostic& diagnostic);
int complain(const std::vector<Diagnostic>& diagnostics);

/// Writes JSON to a file, or to standard output for "-". Returns an exit status.
int write_json(const nlohmann::ordered_json& json, const std::string& target);

/// A line on standard error that is written over again and again; nothing where that is not a terminal.
class Progress {
 public:
  explicit Progress(std::string_view what, std::string_view unit = "instructions");
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// `done`: 0 to 1 of the whole, or below 0 where nobody knows.
  void show(std::uint64_t count, double done = -1);
  void clear();

 private:
  std::string what_, unit_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_{};
};

/// The technique of that name; CLI11 has checked that there is one.
VmmTechnique technique_of(std::string_view name);
const std::vector<std::string>& technique_names();
/// {"reason": "exit port", "code": 1}
nlohmann::ordered_json stop_to_json(StopReason reason, std::uint32_t code);
/// What a run that ended in this way says to the shell.
int status_of(StopReason reason, std::uint32_t code);
bool looks_like_run_file(const std::string& path);

// --- the commands ----------------------------------------------------------------------------------------------------

struct GuestOptions {
  std::string guest;
  std::string vmm = "bare";
  std::string paging = "nested";
  std::string machine;  ///< Empty: the default of the guest's ISA.
};

struct RunOptions {
  GuestOptions guest;
  StepIndex limit = 0;  ///< 0: none.
  std::string record;
  std::string json;
  bool fast = false;
};
int run(const RunOptions& options);

struct StepOptions {
  GuestOptions guest;    ///< guest.guest may be a run file.
  std::string at = "0";  ///< A step's number, a symbol, or mark:N.
  StepIndex count = 1;
  std::string json;
};
int step(const StepOptions& options);

struct ExportCommandOptions {
  std::string run_file;
  std::string format = "chrome";
  std::string events = "auto";
  std::string time = "cycles";
  StepIndex from = 0;
  std::optional<StepIndex> to;
  std::string output;
};
int export_run(const ExportCommandOptions& options);

struct CacheOptions {
  std::string trace;  ///< As open_stream() takes it.
  std::string config = "sandy-bridge";
  std::string format = "guess";
  std::string core_model;   ///< Empty: the configuration's.
  std::uint64_t limit = 0;  ///< Records; 0: none.
  std::string json;
  bool list = false;
};
const std::vector<std::string>& trace_format_names();
int cache(const CacheOptions& options);
int cache_list();

struct SeesawOptions {
  std::string figure;            ///< Empty: an overview of all.
  std::uint64_t references = 0;  ///< Data references of each run; 0: the default.
  unsigned jobs = 0;             ///< 0: all cores.
  std::string tlbs = "printed";
  std::string tft_fill = "printed";
  std::string json;
  std::string sweep, output, shard, export_format;
  std::vector<std::string> merge_inputs;
};
int seesaw(const SeesawOptions& options);
int seesaw_merge(const SeesawOptions& options);

int lesson_list(const std::string& json);
int lesson_check(const std::vector<std::string>& paths, const std::string& json);
int lesson_run(const std::string& id, const std::string& json);

}  // namespace shearling::cli
