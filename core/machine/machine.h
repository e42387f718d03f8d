// SPDX-License-Identifier: GPL-3.0-or-later
//
// The machine: memory, devices, one core or several that take turns (interleaving.h), time. It runs forward at one of
// three observation levels and can put itself back to any snapshot it has taken. It has no threads, no clock and no
// randomness: a run is a pure function of guest, description and technique. Going backwards is TimeTravel's business
// (core/machine/time_travel.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/devices/simple_devices.h"
#include "core/loader/elf_image.h"
#include "core/machine/processor.h"

namespace shearling {

/// What a run is a function of. Stored whole in run files.
struct MachineSetup {
  std::string guest_name;                 ///< For messages: path as given.
  std::vector<std::uint8_t> guest_image;  ///< The ELF file's bytes.
  std::string machine_yaml;               ///< The description's text.
  std::string machine_name;               ///< For messages.
  VmmTechnique technique = VmmTechnique::Bare;
};

/// Direct: engine at full speed, no TLB or cache model, notable events only. Models: every lookup simulated and
/// counted, notable events only. Events: the same with every micro-event. All three compute the same guest state.
enum class Observation : std::uint8_t { Direct, Models, Events };

/// A picture of the whole machine before step `step`.
struct MachineSnapshot {
  StepIndex step = 0;
  std::shared_ptr<const MemorySnapshot> memory;
  std::vector<std::uint8_t> architectural;  ///< Cores and whose turn it is, devices, time.
  std::vector<std::uint8_t> models;         ///< TLBs and caches; empty when they were not simulated up to here.
  [[nodiscard]] bool has_models() const { return !models.empty(); }
};

struct Stop {
  StopReason reason = StopReason::None;
  std::uint32_t code = 0;  ///< Process status of ExitPort: (V << 1) | 1.
};

class Machine {
 public:
  static Result<std::unique_ptr<Machine>> create(MachineSetup setup);
  ~Machine();

  [[nodiscard]] const MachineSetup& setup() const;
  [[nodiscard]] const MachineConfig& config() const;
  [[nodiscard]] const ElfImage& image() const;

  /// Steps complete: the index of the next step.
  [[nodiscard]] StepIndex position() const;
  [[nodiscard]] const Stop& stop() const;  ///< Reason None while it can go on.
  [[nodiscard]] bool stopped() const { return stop().reason != StopReason::None; }

  /// Runs until position() == target, the guest stops, `interrupted` becomes true, or `should_stop` (called between
  /// steps at Models and Events; may be empty) returns true. Returns the reason: StepLimit, Interrupted, Breakpoint
  /// (should_stop), or the guest's own. Events goes to the sinks set by set_sinks().
  StopReason run_until(StepIndex target, Observation observation, const std::atomic<bool>* interrupted = nullptr,
                       const std::function<bool()>& should_stop = {});
  /// One step with every event.
  std::vector<Event> step();

  /// Borrowed. `all` sees everything at Observation::Events; `notable` sees notable events at every level.
  void set_sinks(EventSink* all, EventSink* notable);

  [[nodiscard]] std::shared_ptr<const MachineSnapshot> snapshot();
  void restore(const std::shared_ptr<const MachineSnapshot>& picture);
  /// True when TLBs and caches hold what they would after simulating every step from 0.
  [[nodiscard]] bool models_valid() const;

  /// Digest of everything guest-visible: registers, system state, devices, VMM, time, RAM.
  [[nodiscard]] std::uint64_t digest();
  /// Digest of TLBs, page-walk caches, caches and TFT. Only when models_valid().
  [[nodiscard]] std::uint64_t models_digest() const;
  /// SHA-256 of guest RAM as the guest sees it (see FrameSha256), the same bare and under a VMM.
  [[nodiscard]] std::string guest_memory_sha256() const;

  [[nodiscard]] unsigned cpus() const;
  /// The core that begins the next instruction; processor() and memory_path() without a number are that core's.
  [[nodiscard]] unsigned current_cpu() const;
  [[nodiscard]] const Processor& processor() const;
  [[nodiscard]] const Processor& processor(unsigned cpu) const;
  [[nodiscard]] const MemoryPath& memory_path() const;
  [[nodiscard]] const MemoryPath& memory_path(unsigned cpu) const;
  /// Sums over the memory paths of all cores.
  [[nodiscard]] MemoryPathCounters counters() const;
  [[nodiscard]] const PhysicalMemory& memory() const;
  [[nodiscard]] const VirtualTime& time() const;
  [[nodiscard]] const std::string& console() const;
  /// Cycles charged so far: instructions, modelled latencies, VMM actions; of all cores together.
  [[nodiscard]] std::uint64_t cycles() const;
  /// Bytes at a guest virtual address through the current translation; shorter where it ends. No side effects.
  [[nodiscard]] std::vector<std::uint8_t> inspect_virtual(VirtualAddress address, std::size_t count) const;

 private:
  struct Implementation;
  explicit Machine(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace shearling
