// SPDX-License-Identifier: GPL-3.0-or-later
//
// The stand-alone simulator beside valgrind's cachegrind, on one program in one run. Three measurements:
//   cachegrind_bench [--rounds N] [-- PROGRAM ARGUMENTS...]   references a second of both; left out: sort on made text
//   cachegrind_bench --memory                                 peak memory at 10 and at 100 million references
//   cachegrind_bench --sweep [--rounds N]                     a small sweep with one worker and with two
// Every time is printed as CPU time of user and kernel, and as wall time: on a busy machine only the first says what
// the work costs. Rounds are interleaved, so that all see the same machine, and figures are medians.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache-sim/simulation/simulation.h"
#include "cache-sim/streams/open_stream.h"
#include "cache-sim/streams/trace_writer.h"

namespace {

using namespace shearling;
namespace fs = std::filesystem;

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "cachegrind_bench: %s\n", message.c_str());
  std::exit(2);
}

// --- measuring -------------------------------------------------------------------------------------------------------

struct Cost {
  double cpu = 0, wall = 0;  ///< Seconds.
  long peak_kilobytes = 0;
};

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}
double cpu_of(const rusage& usage) { return seconds(usage.ru_utime) + seconds(usage.ru_stime); }
double wall_now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}
Cost median_of(const std::vector<Cost>& costs) {
  std::vector<double> cpu, wall;
  for (const Cost& cost : costs) {
    cpu.push_back(cost.cpu);
    wall.push_back(cost.wall);
  }
  return {.cpu = median(cpu), .wall = median(wall)};
}

/// Of this process, and of what it does in `work`.
template <typename Work>
Cost cost_of(Work work) {
  rusage before{}, after{};
  const double start = wall_now();
  getrusage(RUSAGE_SELF, &before);
  work();
  getrusage(RUSAGE_SELF, &after);
  return {.cpu = cpu_of(after) - cpu_of(before), .wall = wall_now() - start};
}

void print_load() {
  std::array<double, 3> load{};
  if (getloadavg(load.data(), 3) < 1) return;
  std::printf("load average %.1f on %ld cores\n\n", load[0], sysconf(_SC_NPROCESSORS_ONLN));
}

// --- other programs --------------------------------------------------------------------------------------------------

using Command = std::vector<std::string>;

Command joined(Command first, const Command& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

std::string text_of(const Command& command) {
  std::string text;
  for (const std::string& argument : command) text += " " + argument;
  return text;
}

/// Its output is thrown away; `kept` is a descriptor that it inherits beside the standard ones.
pid_t start(const Command& command, int kept = -1) {
  const pid_t child = fork();
  if (child < 0) give_up("no process can be started");
  if (child > 0) return child;
  const int nowhere = open("/dev/null", O_RDWR);
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  if (kept >= 0) fcntl(kept, F_SETFD, 0);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

Cost wait_for(pid_t child, double since, const Command& command) {
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0) {
    if (errno != EINTR) give_up("a child process got lost");
  }
  // 1 is no failure: grep says so that it found nothing.
  const int exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  if (exit_status > 1)
    give_up("this failed, status " + std::to_string(exit_status) + "; try it alone:" + text_of(command));
  return {.cpu = cpu_of(usage), .wall = wall_now() - since, .peak_kilobytes = usage.ru_maxrss};
}

Cost run(const Command& command) {
  std::fflush(stdout);
  const double since = wall_now();
  return wait_for(start(command), since, command);
}

bool is_there(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (access((fs::path(rest.substr(0, end)) / program).c_str(), X_OK) == 0) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

/// The command-line program that was built beside this one.
std::string shearling() {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "shearling";
  if (!fs::exists(program)) give_up("there is no " + program.string() + ": build the target 'shearling' as well");
  return program.string();
}

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("cachegrind_bench." + std::to_string(getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

// --- cachegrind ------------------------------------------------------------------------------------------------------

/// From "==123== I   refs:      26,437,227": the first number behind `label`.
std::uint64_t number_behind(const std::string& log, const std::string& label) {
  const std::size_t found = log.find(label);
  if (found == std::string::npos) give_up("cachegrind's summary has no line '" + label + "'");
  std::string digits;
  for (std::size_t at = log.find_first_not_of(' ', found + label.size()); at < log.size(); ++at) {
    if (log[at] != ',' && (log[at] < '0' || log[at] > '9')) break;
    if (log[at] != ',') digits += log[at];
  }
  return std::stoull(digits);
}

struct Counts {
  std::uint64_t references = 0, l1_misses = 0, last_level_misses = 0;
};

Counts counts_in(const std::string& log_file) {
  std::ifstream in(log_file);
  const std::string log((std::istreambuf_iterator<char>(in)), {});
  return {.references = number_behind(log, "I   refs:") + number_behind(log, "D   refs:"),
          .l1_misses = number_behind(log, "I1  misses:") + number_behind(log, "D1  misses:"),
          .last_level_misses = number_behind(log, "LL misses:")};
}

Command cachegrind(const std::string& log_file) {
  return {"valgrind",        "--tool=cachegrind", "--cache-sim=yes",    "--cachegrind-out-file=/dev/null",
          "--I1=32768,8,64", "--D1=32768,8,64",   "--LL=8388608,16,64", "--log-file=" + log_file};
}

// --- the trace -------------------------------------------------------------------------------------------------------

std::unique_ptr<ReferenceStream> opened(const std::string& specification, TraceFormat format) {
  OpenedStream stream = open_stream(specification, format);
  if (const auto* error = std::get_if<StreamError>(&stream)) give_up(error->source + ": " + error->message);
  return std::move(std::get<std::unique_ptr<ReferenceStream>>(stream));
}

void check(const ReferenceStream& stream) {
  if (const StreamError* error = stream.error())
    give_up(error->source + ":" + std::to_string(error->line) + ": " + error->message);
}

/// Lackey's trace of the program, through a pipe into a file of our own format. Returns the records.
std::uint64_t record(const Command& program, const std::string& file) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) give_up("there is no pipe to be had");
  const Command command =
      joined({"valgrind", "--tool=lackey", "--trace-mem=yes", "--log-fd=" + std::to_string(ends[1])}, program);
  std::fflush(stdout);
  const double since = wall_now();
  const pid_t child = start(command, ends[1]);
  close(ends[1]);
  std::ofstream out(file, std::ios::binary);
  TraceWriter writer(out);
  {
    const auto stream = opened("/dev/fd/" + std::to_string(ends[0]), TraceFormat::Lackey);
    close(ends[0]);
    std::vector<ReferenceRecord> batch(4096);
    while (const std::size_t count = stream->read(batch)) writer.write(std::span(batch).first(count));
    check(*stream);
  }
  writer.finish();
  wait_for(child, since, command);
  if (!out.flush()) give_up(file + " cannot be written: is the disk full?");
  return writer.records();
}

// --- our configurations ----------------------------------------------------------------------------------------------

/// Cachegrind's geometry: two L1 caches and a last level, all LRU.
SimulationConfig caches_alone(CacheOrganisation organisation) {
  SimulationConfig config;
  config.caches.l1i.organisation = organisation;
  config.caches.l1d.organisation = organisation;
  config.caches.last_level = CacheConfig{.name = "LLC",
                                         .size = 8 << 20,
                                         .ways = 16,
                                         .organisation = CacheOrganisation::Pipt,
                                         .latency = 25,
                                         .arrival = WriteBackArrival::Update};
  return config;
}

/// The same behind two levels of TLBs; four regions in five are superpages.
SimulationConfig with_tlbs(CacheOrganisation organisation) {
  SimulationConfig config = caches_alone(organisation);
  if (organisation == CacheOrganisation::Seesaw) config.caches.l1i.organisation = CacheOrganisation::Vipt;
  TranslationCachesConfig tlbs;
  tlbs.data = {{.name = "L1 DTLB 4K", .entries = 64, .ways = 4, .page_sizes = {PageSize::Size4K}},
               {.name = "L1 DTLB 2M", .entries = 32, .ways = 4, .page_sizes = {PageSize::Size2M}}};
  tlbs.instruction = tlbs.data;
  tlbs.second_level = TlbGeometry{
      .name = "L2 TLB", .entries = 1024, .ways = 8, .page_sizes = {PageSize::Size4K, PageSize::Size2M}, .latency = 7};
  config.translation = tlbs;
  config.pages.superpage_share = 0.8;
  return config;
}

Counts counts_of(const SimulationReport& report) {
  Counts counts{.references = report.references};
  for (const LevelReport& level : report.levels)
    (level.name == "llc" ? counts.last_level_misses : counts.l1_misses) += level.misses;
  return counts;
}

void read_only(ReferenceStream& stream) {
  std::vector<ReferenceRecord> batch(4096);
  while (stream.read(batch) != 0) continue;
}

// --- the comparison --------------------------------------------------------------------------------------------------

/// One row of the table: how to do it once, and what came of it.
struct Contender {
  std::string name;
  std::function<Cost(Contender& self)> once;
  bool counts_references = false;
  Counts counts = {};
  std::vector<Cost> costs = {};
};

Contender ours(const std::string& name, const SimulationConfig& config, const std::string& trace) {
  return {.name = name,
          .once =
              [config, trace](Contender& self) {
                return cost_of([&] {
                  Simulation simulation(config);
                  const auto stream = opened(trace, TraceFormat::Shearling);
                  simulation.run(*stream);
                  check(*stream);
                  self.counts = counts_of(simulation.report());
                });
              },
          .counts_references = true};
}

std::vector<Contender> contenders(const Command& program, const std::string& trace, const std::string& log) {
  const auto child = [](const Command& command) { return [command](Contender&) { return run(command); }; };
  std::vector<Contender> all;
  all.push_back({"the program, native", child(program)});
  all.push_back({"the program under valgrind --tool=none", child(joined({"valgrind", "--tool=none", "-q"}, program))});
  all.push_back({"cachegrind on the empty program 'true'", child(joined(cachegrind("/dev/null"), {"true"}))});
  all.push_back({.name = "cachegrind, program included",
                 .once =
                     [command = joined(cachegrind(log), program), log](Contender& self) {
                       const Cost cost = run(command);
                       self.counts = counts_in(log);
                       return cost;
                     },
                 .counts_references = true});
  all.push_back({"reading the trace, nothing else",
                 [trace](Contender&) { return cost_of([&] { read_only(*opened(trace, TraceFormat::Shearling)); }); }});
  all.push_back(ours("PIPT, no TLB (cachegrind's caches)", caches_alone(CacheOrganisation::Pipt), trace));
  all.push_back(ours("VIPT, no TLB", caches_alone(CacheOrganisation::Vipt), trace));
  all.push_back(ours("PIPT, two TLB levels", with_tlbs(CacheOrganisation::Pipt), trace));
  all.push_back(ours("VIPT, two TLB levels", with_tlbs(CacheOrganisation::Vipt), trace));
  all.push_back(ours("SEESAW, two TLB levels", with_tlbs(CacheOrganisation::Seesaw), trace));
  return all;
}

void print_table(const std::vector<Contender>& all) {
  const auto cachegrind =
      std::find_if(all.begin(), all.end(), [](const Contender& one) { return one.counts_references; });
  const auto rate = [](const Contender& one) {
    return 1e-6 * static_cast<double>(one.counts.references) / median_of(one.costs).cpu;
  };
  std::printf("%-40s %9s %9s %12s %11s %12s %12s %10s\n", "", "CPU s", "wall s", "M ref/CPU s", "/cachegrind",
              "references", "L1 misses", "LL misses");
  for (const Contender& one : all) {
    const Cost cost = median_of(one.costs);
    std::printf("%-40s %9.2f %9.2f", one.name.c_str(), cost.cpu, cost.wall);
    if (one.counts_references)
      std::printf(" %12.1f %11.2f %12llu %12llu %10llu", rate(one), rate(one) / rate(*cachegrind),
                  static_cast<unsigned long long>(one.counts.references),
                  static_cast<unsigned long long>(one.counts.l1_misses),
                  static_cast<unsigned long long>(one.counts.last_level_misses));
    std::printf("\n");
  }
  std::printf(
      "\nCachegrind executes the program while it simulates, and starts valgrind before: nothing is subtracted, the\n"
      "first three rows tell how much that is. Ours read a trace that was recorded once with valgrind's Lackey, which\n"
      "is not counted; reading it is, in every row of ours. With TLBs the misses differ because addresses are\n"
      "translated to frames.\n");
}

/// Lines to sort, the same ones every time.
void write_text(const std::string& file, std::size_t lines) {
  std::ofstream out(file, std::ios::binary);
  std::mt19937_64 random(2018);
  for (std::size_t i = 0; i < lines; ++i) out << random() % 1'000'000 << " line " << i << '\n';
}

int compare(Command program, unsigned rounds) {
  if (!is_there("valgrind")) give_up("valgrind is not installed; it is what this benchmark compares with");
  const Folder folder;
  setenv("LC_ALL", "C", 1);
  if (program.empty()) {
    write_text(folder.file("text"), 40'000);
    program = {"sort", folder.file("text")};
  }
  const std::string trace = folder.file("trace");
  const double since = wall_now();
  const std::uint64_t records = record(program, trace);
  std::printf("%s: %llu references, recorded in %.0f s as %.1f MB\n", program[0].c_str(),
              static_cast<unsigned long long>(records), wall_now() - since,
              1e-6 * static_cast<double>(fs::file_size(trace)));
  std::printf("medians of %u interleaved rounds; ", rounds);
  print_load();
  std::vector<Contender> all = contenders(program, trace, folder.file("log"));
  for (unsigned round = 0; round < rounds; ++round) {
    for (Contender& one : all) one.costs.push_back(one.once(one));
  }
  print_table(all);
  return 0;
}

// --- memory ----------------------------------------------------------------------------------------------------------

/// Uniformly random references have touched all of a small footprint early: what grows after that grows with the trace.
/// Those of redis go on touching pages for the first time, and the page map remembers each page.
int measure_memory() {
  print_load();
  const std::string program = shearling();
  std::printf("%-12s %-30s %11s %14s %9s %9s\n", "", "stream", "references", "peak memory", "CPU s", "wall s");
  for (const char* configuration : {"vipt-32k", "seesaw-32k"}) {
    for (const char* stream : {"random-update,footprint=16M", "redis"}) {
      long smaller = 0;
      for (const char* count : {"10M", "100M"}) {
        const std::string specification = "synthetic:" + std::string(stream) + ",count=" + count;
        const Cost cost = run({program, "cache", specification, "--config", configuration});
        std::printf("%-12s %-30s %11s %11ld KB %9.2f %9.2f", configuration, stream, count, cost.peak_kilobytes,
                    cost.cpu, cost.wall);
        if (smaller != 0)
          std::printf("   %.3f times the memory",
                      static_cast<double>(cost.peak_kilobytes) / static_cast<double>(smaller));
        std::printf("\n");
        smaller = cost.peak_kilobytes;
      }
    }
  }
  return 0;
}

// --- sweep -----------------------------------------------------------------------------------------------------------

constexpr const char* kPlan = R"(name: scaling
base: seesaw-32k
axes:
  l1d.organisation: [vipt, seesaw]
  seesaw.tft.entries: [12, 16, 20]
streams: ["synthetic:mcf,seed=1", "synthetic:mcf,seed=2"]
references: 2000000
)";

int measure_sweep(unsigned rounds) {
  const std::string program = shearling();
  const Folder folder;
  const std::string plan = folder.file("plan.yaml"), results = folder.file("results.sqlite");
  std::ofstream(plan) << kPlan;
  std::printf("12 runs of 2 million references; medians of %u interleaved rounds; ", rounds);
  print_load();
  std::array<std::vector<Cost>, 2> costs;
  for (unsigned round = 0; round < rounds; ++round) {
    for (unsigned jobs = 1; jobs <= 2; ++jobs) {
      fs::remove(results);
      costs[jobs - 1].push_back(
          run({program, "seesaw", "--sweep", plan, "--output", results, "--jobs", std::to_string(jobs)}));
    }
  }
  const Cost one = median_of(costs[0]), two = median_of(costs[1]);
  std::printf("%-12s %9s %9s %16s\n", "", "CPU s", "wall s", "cores it got");
  std::printf("%-12s %9.2f %9.2f %16.2f\n", "--jobs 1", one.cpu, one.wall, one.cpu / one.wall);
  std::printf("%-12s %9.2f %9.2f %16.2f\n", "--jobs 2", two.cpu, two.wall, two.cpu / two.wall);
  std::printf("\ntwo workers are %.2f times as fast by wall time, for %.2f times the CPU time\n", one.wall / two.wall,
              two.cpu / one.cpu);
  if (two.cpu / two.wall < 1.5)
    std::printf("the machine was too busy to give two workers two cores: the first of these says nothing about them\n");
  return 0;
}

struct Options {
  enum class Mode : std::uint8_t { Compare, Memory, Sweep } mode = Mode::Compare;
  unsigned rounds = 5;
  Command program;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") {
      options.program.assign(argv + i + 1, argv + argc);
      break;
    }
    if (argument == "--memory") {
      options.mode = Options::Mode::Memory;
    } else if (argument == "--sweep") {
      options.mode = Options::Mode::Sweep;
    } else if (argument == "--rounds" && i + 1 < argc) {
      const std::string_view number = argv[++i];
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), options.rounds);
      if (error != std::errc{} || end != number.data() + number.size() || options.rounds == 0)
        give_up("--rounds takes a number from 1");
    } else {
      give_up("there is no '" + std::string(argument) +
              "'; usage: cachegrind_bench [--rounds N] [--memory | --sweep] [-- PROGRAM ARGUMENTS...]");
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  switch (options.mode) {
    case Options::Mode::Memory:
      return measure_memory();
    case Options::Mode::Sweep:
      return measure_sweep(options.rounds);
    case Options::Mode::Compare:
      break;
  }
  return compare(options.program, options.rounds);
}
