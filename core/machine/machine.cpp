// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/machine.h"

#include <algorithm>
#include <utility>

#include <xxhash.h>
#include <zstd.h>

#include "core/devices/board.h"
#include "core/machine/interleaving.h"
#include "core/machine/setup_check.h"

namespace shearling {
namespace {

// Direct execution looks up this often whether it was interrupted: some milliseconds of guest code.
constexpr StepIndex kDirectSlice = 4'000'000;
// How often the machine asks whether stale translations are gone and direct execution may go on.
constexpr StepIndex kStalenessInterval = 256;
constexpr StepIndex kObservedSlice = 10'000;  // Between two looks at whether somebody interrupts.
// A direct run that a changed translation ends soon was not worth its snapshot and replay: the models then keep the
// machine for a while, twice as long each time, up to this.
constexpr StepIndex kLongestModelsStretch = 1 << 20;

// Most of a snapshot of caches is empty lines or repeats: the fastest level shrinks it about twenty-fold.
std::vector<std::uint8_t> compress(const std::vector<std::uint8_t>& bytes) {
  std::vector<std::uint8_t> packed(ZSTD_compressBound(bytes.size()));
  const std::size_t size = ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 1);
  SHEARLING_ASSERT(ZSTD_isError(size) == 0, "zstd could not compress a snapshot");
  packed.resize(size);
  packed.shrink_to_fit();
  return packed;
}

std::vector<std::uint8_t> decompress(const std::vector<std::uint8_t>& packed) {
  std::vector<std::uint8_t> bytes(ZSTD_getFrameContentSize(packed.data(), packed.size()));
  const std::size_t size = ZSTD_decompress(bytes.data(), bytes.size(), packed.data(), packed.size());
  SHEARLING_ASSERT(size == bytes.size(), "a snapshot of the models does not decompress");
  bytes.resize(size);
  return bytes;
}

std::uint64_t hash(const std::vector<std::uint8_t>& bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace

struct Machine::Implementation {
  Implementation(MachineSetup setup_in, MachineConfig config_in, ElfImage image_in, const Isa& isa)
      : setup(std::move(setup_in)),
        config(std::move(config_in)),
        image(std::move(image_in)),
        memory(isa.physical_memory_base(), isa.physical_memory_bytes(config, setup.technique)),
        engine(make_unicorn_engine(memory, isa.initial_mode())),
        bus(events),
        board(make_board(config.board, bus, events, request)) {}

  /// Builds the cores and begins the run.
  Status start(const Isa& isa);

  [[nodiscard]] bool stopped() const { return request.stop != StopReason::None; }
  void set_models_on(bool on) {
    for (const auto& path : memory_paths) path->set_models_on(on);
  }
  void mute(bool on) { events.set_sinks(on ? nullptr : all_sink, on ? nullptr : notable_sink); }
  void apply_sinks(Observation observation) {
    events.set_sinks(observation == Observation::Events ? all_sink : nullptr, notable_sink);
  }

  StopReason run_direct(StepIndex target, const std::atomic<bool>* interrupted);
  StopReason run_stepping(StepIndex target, const std::atomic<bool>* interrupted,
                          const std::function<bool()>& should_stop);
  void keep_models_after(StepIndex direct_steps, StepIndex step);
  void replay_with_models(StepIndex target);
  void ensure_models();
  void tell_stop();
  void publish_stop() { stop = {request.stop, request.code}; }

  [[nodiscard]] std::vector<std::uint8_t> architectural_state() const;
  [[nodiscard]] std::vector<std::uint8_t> models_state() const;
  std::shared_ptr<const MachineSnapshot> snapshot();
  void restore(const std::shared_ptr<const MachineSnapshot>& picture);

  MachineSetup setup;
  MachineConfig config;
  ElfImage image;
  EventStream events;
  PhysicalMemory memory;
  std::unique_ptr<CpuEngine> engine;
  std::vector<std::unique_ptr<MemoryPath>> memory_paths;  ///< By core.
  DeviceBus bus;
  MachineRequest request;
  VirtualTime time;
  std::unique_ptr<Board> board;
  std::unique_ptr<Interleaving> cores;
  Stop stop;

  EventSink* all_sink = nullptr;
  EventSink* notable_sink = nullptr;
  bool models_valid = true;
  StepIndex direct_again_at = 0;  // Not state: it decides about speed alone.
  StepIndex models_stretch = kStalenessInterval;
  /// Where valid models can be had again from: the picture before the last direct run, and the one at the beginning.
  std::shared_ptr<const MachineSnapshot> models_origin;
  std::shared_ptr<const MachineSnapshot> beginning;
};

Status Machine::Implementation::start(const Isa& isa) {
  std::vector<MachineContext> contexts;
  for (unsigned cpu = 0; cpu < config.cpus; ++cpu) {
    memory_paths.push_back(std::make_unique<MemoryPath>(config.translation, config.caches, events));
    contexts.push_back({config, memory, *engine, events, *memory_paths[cpu], bus, request, time, cpu});
  }
  cores = std::make_unique<Interleaving>(isa.make_processors(contexts, setup.technique), config.slice, time, request,
                                         events);
  if (Status loaded = cores->load(image, setup.guest_name); !loaded) return loaded;
  beginning = snapshot();
  models_origin = beginning;
  return Done{};
}

std::vector<std::uint8_t> Machine::Implementation::architectural_state() const {
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  writer(time, request.stop, request.code);
  board->save(writer);
  cores->save(writer);
  return bytes;
}

std::vector<std::uint8_t> Machine::Implementation::models_state() const {
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  for (const auto& path : memory_paths) writer(*path);
  return bytes;
}

std::shared_ptr<const MachineSnapshot> Machine::Implementation::snapshot() {
  auto picture = std::make_shared<MachineSnapshot>();
  picture->step = time.step;
  picture->memory = memory.snapshot();
  engine->flush_translations();  // Write grants refer to marks that the snapshot has just cleared.
  picture->architectural = architectural_state();
  if (models_valid) picture->models = compress(models_state());
  return picture;
}

void Machine::Implementation::restore(const std::shared_ptr<const MachineSnapshot>& picture) {
  for (const std::uint64_t frame : memory.restore(picture->memory)) {
    engine->invalidate_code(PhysicalAddress{frame * kFrameBytes});
  }
  Reader reader(picture->architectural);
  reader(time, request.stop, request.code);
  board->load(reader);
  cores->load_state(reader);
  models_valid = picture->has_models();
  direct_again_at = 0;
  if (models_valid) {
    const std::vector<std::uint8_t> bytes = decompress(picture->models);
    Reader models(bytes);
    for (const auto& path : memory_paths) models(*path);
  } else if (models_origin == nullptr || models_origin->step > picture->step) {
    models_origin = beginning;
  }
  engine->flush_translations();
  cores->models_changed();
  publish_stop();
}

void Machine::Implementation::tell_stop() {
  publish_stop();
  if (stopped())
    events.notable(
        MachineStopped{.reason = request.stop,
                       .code = request.code,
                       .detail = request.stop == StopReason::Unsupported ? request.detail : std::string_view{}});
}

void Machine::Implementation::replay_with_models(StepIndex target) {
  restore(models_origin);
  mute(true);
  set_models_on(true);
  while (time.step < target && !stopped()) cores->run_observed(target);
  publish_stop();
}

void Machine::Implementation::ensure_models() {
  if (!models_valid) replay_with_models(time.step);
}

StopReason Machine::Implementation::run_stepping(StepIndex target, const std::atomic<bool>* interrupted,
                                                 const std::function<bool()>& should_stop) {
  set_models_on(true);
  const bool by_steps = events.wants_micro_events() || should_stop;
  while (time.step < target) {
    if (by_steps)
      cores->step();
    else
      cores->run_observed(std::min(target, time.step + kObservedSlice));
    if (stopped()) {
      tell_stop();
      return request.stop;
    }
    if (interrupted != nullptr && interrupted->load(std::memory_order_relaxed)) return StopReason::Interrupted;
    if (should_stop && should_stop()) return StopReason::Breakpoint;
  }
  return StopReason::StepLimit;
}

// Direct execution has no TLB model, so it must give way where a TLB could matter: when the guest changes a translation
// that a TLB may still hold. Then the models are brought up to date by replay and drive the machine until they hold
// nothing stale any more.
StopReason Machine::Implementation::run_direct(StepIndex target, const std::atomic<bool>* interrupted) {
  while (time.step < target) {
    if (models_valid && (time.step < direct_again_at || cores->has_stale_translations())) {
      const StopReason reason = run_stepping(std::min(target, time.step + kStalenessInterval), interrupted, {});
      if (reason != StopReason::StepLimit) return reason;
      continue;
    }
    if (models_valid) models_origin = snapshot();
    models_valid = false;
    set_models_on(false);
    const ProcessorOutcome outcome = cores->run_direct(std::min(target, time.step + kDirectSlice));
    if (outcome.kind == ProcessorOutcome::Kind::NeedsModels) {
      const StepIndex direct_steps = outcome.step - models_origin->step;
      replay_with_models(outcome.step);
      keep_models_after(direct_steps, outcome.step);
      apply_sinks(Observation::Direct);
      const StopReason reason = run_stepping(outcome.step + 1, interrupted, {});
      if (reason != StopReason::StepLimit) return reason;
      continue;
    }
    if (stopped()) {
      tell_stop();
      return request.stop;
    }
    if (interrupted != nullptr && interrupted->load(std::memory_order_relaxed)) return StopReason::Interrupted;
  }
  return StopReason::StepLimit;
}

void Machine::Implementation::keep_models_after(StepIndex direct_steps, StepIndex step) {
  const bool too_short = direct_steps < 4 * models_stretch;
  models_stretch = too_short ? std::min(2 * models_stretch, kLongestModelsStretch) : kStalenessInterval;
  direct_again_at = step + models_stretch;
}

Machine::Machine(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Machine::~Machine() = default;

Result<std::unique_ptr<Machine>> Machine::create(MachineSetup setup) {
  Result<MachineConfig> config = parse_machine_config(setup.machine_yaml, setup.machine_name);
  if (!config) return config.error();
  Result<ElfImage> image = parse_elf_image(setup.guest_image, setup.guest_name);
  if (!image) return image.error();
  const Result<const Isa*> isa = check_setup(config.value(), setup.machine_name, image.value(), setup.technique);
  if (!isa) return isa.error();

  auto implementation = std::make_unique<Implementation>(std::move(setup), std::move(config).value(),
                                                         std::move(image).value(), *isa.value());
  if (implementation->engine == nullptr) {
    return Diagnostic{.message = "the CPU engine (Unicorn) cannot be opened",
                      .remedy = "check the installation with scripts/setup"};
  }
  if (implementation->board == nullptr) {
    const MachineConfig& described = implementation->config;
    return Diagnostic{.file = described.board_place.file,
                      .line = described.board_place.line,
                      .column = described.board_place.column,
                      .message = "there is no board '" + described.board + "'",
                      .remedy = "use pc or virt"};
  }
  if (Status started = implementation->start(*isa.value()); !started) return started.error();
  return std::unique_ptr<Machine>(new Machine(std::move(implementation)));
}

const MachineSetup& Machine::setup() const { return implementation_->setup; }
const MachineConfig& Machine::config() const { return implementation_->config; }
const ElfImage& Machine::image() const { return implementation_->image; }
StepIndex Machine::position() const { return implementation_->time.step; }
const Stop& Machine::stop() const { return implementation_->stop; }
bool Machine::models_valid() const { return implementation_->models_valid; }
unsigned Machine::cpus() const { return implementation_->cores->cpus(); }
unsigned Machine::current_cpu() const { return implementation_->cores->current(); }
const Processor& Machine::processor() const { return implementation_->cores->processor(); }
const Processor& Machine::processor(unsigned cpu) const { return implementation_->cores->processor(cpu); }
const MemoryPath& Machine::memory_path() const { return memory_path(current_cpu()); }
const MemoryPath& Machine::memory_path(unsigned cpu) const { return *implementation_->memory_paths[cpu]; }
const PhysicalMemory& Machine::memory() const { return implementation_->memory; }
const VirtualTime& Machine::time() const { return implementation_->time; }
const std::string& Machine::console() const { return implementation_->board->console(); }

StopReason Machine::run_until(StepIndex target, Observation observation, const std::atomic<bool>* interrupted,
                              const std::function<bool()>& should_stop) {
  Implementation& machine = *implementation_;
  if (machine.stopped()) return machine.request.stop;
  if (observation != Observation::Direct) machine.ensure_models();
  machine.apply_sinks(observation);
  if (observation == Observation::Direct) return machine.run_direct(target, interrupted);
  return machine.run_stepping(target, interrupted, should_stop);
}

std::vector<Event> Machine::step() {
  EventLog log;
  EventSink* const previous = implementation_->all_sink;
  implementation_->all_sink = &log;
  run_until(position() + 1, Observation::Events);
  implementation_->all_sink = previous;
  implementation_->events.set_sinks(nullptr, nullptr);
  return std::move(log.events);
}

void Machine::set_sinks(EventSink* all, EventSink* notable) {
  implementation_->all_sink = all;
  implementation_->notable_sink = notable;
}

std::shared_ptr<const MachineSnapshot> Machine::snapshot() { return implementation_->snapshot(); }
void Machine::restore(const std::shared_ptr<const MachineSnapshot>& picture) { implementation_->restore(picture); }

std::uint64_t Machine::digest() {
  const std::uint64_t memory = implementation_->memory.digest();
  implementation_->engine->flush_translations();  // Write grants refer to marks that the digest has just cleared.
  const std::uint64_t parts[2] = {memory, hash(implementation_->architectural_state())};
  return XXH3_64bits(parts, sizeof parts);
}

std::uint64_t Machine::models_digest() const {
  SHEARLING_ASSERT(models_valid(), "the digest of models that were not simulated is asked for");
  return hash(implementation_->models_state());
}

std::string Machine::guest_memory_sha256() const {
  const Processor& processor = implementation_->cores->processor(0);
  const std::uint64_t first = implementation_->memory.base().value;
  return sha256_of_frames(implementation_->config.ram_bytes / kFrameBytes, [&](std::uint64_t index) {
    const auto physical = processor.guest_to_physical(GuestPhysicalAddress{first + index * kFrameBytes});
    return physical ? implementation_->memory.frame(frame_number(*physical)) : std::span<const std::uint8_t>{};
  });
}

MemoryPathCounters Machine::counters() const {
  MemoryPathCounters sum;
  for (const auto& path : implementation_->memory_paths) sum += path->counters();
  return sum;
}

std::uint64_t Machine::cycles() const {
  const VirtualTime& time = implementation_->time;
  return time.step * implementation_->config.costs.instruction + time.vmm_cycles + counters().latency_cycles;
}

std::vector<std::uint8_t> Machine::inspect_virtual(VirtualAddress address, std::size_t count) const {
  std::vector<std::uint8_t> bytes;
  while (bytes.size() < count) {
    const VirtualAddress next{address.value + bytes.size()};
    const auto translation = processor().inspect(next);
    if (!translation || !implementation_->memory.contains(translation->physical)) break;
    const std::size_t in_page = std::min<std::size_t>(count - bytes.size(), kFrameBytes - next.value % kFrameBytes);
    const std::size_t first = bytes.size();
    bytes.resize(first + in_page);
    implementation_->memory.read_bytes(translation->physical, std::span(bytes).subspan(first));
  }
  return bytes;
}

}  // namespace shearling
