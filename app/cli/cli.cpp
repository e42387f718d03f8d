// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/cli.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "core/events/reflection.h"
#include "core/machine/processor.h"

namespace shearling::cli {

namespace {
std::atomic<bool> interrupt_seen{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

void on_interrupt(int) {
  interrupt_seen.store(true);
  std::signal(SIGINT, SIG_DFL);
}
}  // namespace

const std::atomic<bool>* interrupted() { return &interrupt_seen; }

void catch_interrupts() { std::signal(SIGINT, on_interrupt); }

int complain(const Diagnostic& diagnostic) {
  std::cout.flush();
  std::cerr << "shearling: " << diagnostic.text() << '\n';
  return kBadInput;
}

int complain(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) complain(diagnostic);
  return kBadInput;
}

int write_json(const nlohmann::ordered_json& json, const std::string& target) {
  // A guest's console may hold anything: what is no UTF-8 is replaced.
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (target == "-") {
    std::cout << text << std::flush;
    return std::cout
               ? kAsAsked
               : complain(Diagnostic{.message = "standard output cannot be written", .remedy = "is the reader gone?"});
  }
  std::ofstream file(target, std::ios::binary);
  file << text << std::flush;
  if (file) return kAsAsked;
  return complain(Diagnostic{
      .file = target, .message = "the file cannot be written", .remedy = "check the folder and its permissions"});
}

Progress::Progress(std::string_view what, std::string_view unit)
    : what_(what), unit_(unit), terminal_(isatty(STDERR_FILENO) == 1) {}

void Progress::show(std::uint64_t count, double done) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(200);
  shown_ = true;
  std::fprintf(stderr, "\r%s: %.1f million %s", what_.c_str(), static_cast<double>(count) / 1e6, unit_.c_str());
  if (done >= 0) std::fprintf(stderr, ", %.0f %%", 100 * done);
  std::fputs(" (Ctrl-C stops)\x1b[K", stderr);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

VmmTechnique technique_of(std::string_view name) { return technique_named(name).value_or(VmmTechnique::Bare); }

const std::vector<std::string>& technique_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Isa* isa : registered_isas()) {
      for (const VmmTechnique technique : isa->techniques()) {
        const std::string name(name_of(technique));
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      }
    }
    return names;
  }();
  return kNames;
}

nlohmann::ordered_json stop_to_json(StopReason reason, std::uint32_t code) {
  return {{"reason", std::string(name_of(reason))}, {"code", code}};
}

int status_of(StopReason reason, std::uint32_t code) {
  switch (reason) {
    case StopReason::None:
    case StopReason::Breakpoint:
    case StopReason::PowerOff:
      return kAsAsked;
    case StopReason::ExitPort:
      return code >> 1 == 0 ? kAsAsked : kGuestFailed;  // the guest wrote V: (V << 1) | 1
    case StopReason::StepLimit:
    case StopReason::Interrupted:
      return kLimitReached;
    default:
      return kGuestFailed;
  }
}

bool looks_like_run_file(const std::string& path) {
  static constexpr std::string_view kMagic = "SQLite format 3";
  std::array<char, kMagic.size()> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  return path.ends_with(".run") || std::string_view(head.data(), static_cast<std::size_t>(file.gcount())) == kMagic;
}

}  // namespace shearling::cli
