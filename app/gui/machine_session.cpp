// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/machine_session.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <span>

#include "core/lesson/lesson.h"

namespace shearling::gui {
namespace {

using Clock = std::chrono::steady_clock;  // Only paces the slices: no figure of a run depends on it.
constexpr std::chrono::milliseconds kSlice{20};
constexpr unsigned kDisassembled = 24;
constexpr std::size_t kLongestInstruction = 16;

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

Actor actor_at(const Isa& isa, std::uint8_t privilege) {
  const auto levels = isa.privilege_levels();
  const auto found = std::find_if(levels.begin(), levels.end(),
                                  [&](const PrivilegeLevel& level) { return level.number == privilege; });
  return found == levels.end() ? Actor::GuestUser : found->actor;
}

/// To a VMM: of ours, or of the guest's own at the level of one.
bool is_exit(const Event& event, const Isa& isa) {
  if (std::holds_alternative<VmExit>(event.payload)) return true;
  const auto* trap = std::get_if<TrapDelivered>(&event.payload);
  return trap != nullptr && actor_at(isa, trap->to_privilege) == Actor::Vmm &&
         actor_at(isa, trap->from_privilege) != Actor::Vmm;
}

bool is_landmark(const Event& event, Landmark landmark, const Isa& isa) {
  return is_exit(event, isa) || (landmark == Landmark::Trap && std::holds_alternative<TrapRaised>(event.payload));
}

/// Notes that an event of some kind came by.
class Watcher : public EventSink {
 public:
  Watcher(Landmark landmark, const Isa& isa) : isa_(isa), landmark_(landmark) {}
  void on_event(const Event& event) override { seen = seen || is_landmark(event, landmark_, isa_); }
  bool seen = false;

 private:
  const Isa& isa_;
  Landmark landmark_;
};

CacheSummary summary_of(const Cache& cache) {
  return {
      .config = cache.config(), .counters = cache.counters(), .sets = cache.sets(), .partitions = cache.partitions()};
}

TlbView view_of(const Tlb& tlb) {
  TlbView view{
      .name = tlb.geometry().name, .entries = tlb.geometry().entries, .ways = tlb.geometry().ways, .valid = {}};
  for (unsigned set = 0; set < tlb.sets(); ++set) {
    for (unsigned way = 0; way < tlb.geometry().ways; ++way) {
      const TlbSlot& slot = tlb.slot(set, way);
      if (slot.valid) view.valid.push_back({set, way, slot.entry});
    }
  }
  return view;
}

/// The lines of every set that the L1 data cache or its twin was asked for in these events; each set once.
std::vector<CacheSetView> touched_sets(const CacheHierarchy& caches, const std::vector<Event>& events) {
  std::vector<CacheSetView> sets;
  for (const Event& event : events) {
    const auto* lookup = std::get_if<CacheLookup>(&event.payload);
    if (lookup == nullptr) continue;
    const Cache* cache = lookup->cache == caches.l1d().config().name ? &caches.l1d() : nullptr;
    if (caches.twin() != nullptr && lookup->cache == caches.twin()->config().name) cache = caches.twin();
    if (cache == nullptr) continue;
    const bool known = std::any_of(sets.begin(), sets.end(), [&](const CacheSetView& set) {
      return set.cache == lookup->cache && set.set == lookup->set;
    });
    if (known) continue;
    CacheSetView view{.cache = std::string(lookup->cache), .set = lookup->set, .ways = {}};
    for (unsigned way = 0; way < cache->config().ways; ++way) view.ways.push_back(cache->line(lookup->set, way));
    sets.push_back(std::move(view));
  }
  return sets;
}

}  // namespace

Result<Load> load_request(const std::string& guest, VmmTechnique technique, const std::string& machine) {
  Result<MachineSetup> setup = make_setup(guest, technique, machine);
  if (!setup) return setup.error();
  std::string image_path = setup.value().guest_name;
  return Load{.setup = std::move(setup).value(), .image_path = std::move(image_path)};
}

/// All that lives on the worker thread.
class MachineSession::Worker {
 public:
  explicit Worker(MachineSession& session) : session_(session) {}

  /// Steps queue up behind each other; what asks for another place, or for rest, ends what is under way.
  static bool interrupts(const Command& command) {
    return std::visit(Overloaded{[](const Pause&) { return true; }, [](const Seek&) { return true; },
                                 [](const Restart&) { return true; }, [](const Load&) { return true; },
                                 [](const Unload&) { return true; }, [](const auto&) { return false; }},
                      command);
  }

  void work() {
    publish();
    for (;;) {
      Command command;
      {
        std::unique_lock lock(session_.mutex_);
        session_.changed_.wait(lock, [&] { return session_.closing_ || !session_.queue_.empty(); });
        if (session_.closing_) return;
        command = take_first();
      }
      message_.clear();
      std::visit([this](auto& wanted) { obey(wanted); }, command);
      completed_ += 1 + done_meanwhile_;
      done_meanwhile_ = 0;
      publish();
    }
  }

 private:
  // --- the queue; its lock is held ---
  /// What can be done between two slices of a run.
  static bool is_light(const Command& command) {
    return std::holds_alternative<WatchMemory>(command) || std::holds_alternative<ToggleBreakpoint>(command);
  }
  Command take_first() {
    Command command = std::move(session_.queue_.front());
    session_.queue_.pop_front();
    session_.interrupted_ =
        session_.closing_ || std::any_of(session_.queue_.begin(), session_.queue_.end(), interrupts);
    return command;
  }

  void do_light_commands() {
    for (;;) {
      Command command;
      {
        const std::lock_guard lock(session_.mutex_);
        if (session_.queue_.empty() || !is_light(session_.queue_.front())) return;
        command = take_first();
      }
      std::visit([this](auto& wanted) { obey(wanted); }, command);
      ++done_meanwhile_;
    }
  }

  // --- commands ---
  void obey(Load& load) {
    unload();
    error_.reset();
    breakpoints_.clear();
    Result<std::unique_ptr<Machine>> created = Machine::create(std::move(load.setup));
    if (!created) {
      error_ = created.error();
      return;
    }
    machine_ = std::move(created).value();
    travel_ = std::make_unique<TimeTravel>(*machine_);
    read_source(load.image_path);
    remember_accounts();
    timeline_ = std::make_shared<Timeline>(machine_->cpus());
    timeline_->begin(machine_->cycles());
    state_ = RunState::Paused;
  }

  void obey(const Unload&) {
    unload();
    error_.reset();
  }

  void obey(const StepForward& step) {
    if (!can_go_on()) return;
    if (step.count > 1 && !run_slices(machine_->position() + step.count - 1, {}, nullptr)) return arrive();
    if (machine_->stopped()) return arrive();
    step_once();
  }

  void obey(const StepBack& step) {
    if (machine_ == nullptr) return;
    if (machine_->position() == 0) message_ = "This is the beginning of the run.";
    go_to(machine_->position() - std::min(step.count, machine_->position()));
  }

  void obey(const StepOver&) {
    if (!can_go_on()) return;
    const unsigned cpu = machine_->current_cpu();
    const Processor& processor = machine_->processor(cpu);
    const VirtualAddress pc = processor.program_counter();
    const std::uint8_t privilege = processor.privilege();
    const auto instruction = processor.disassemble(pc, 1);
    const std::uint64_t next = pc.value + (instruction.empty() ? 0 : instruction.front().bytes.size());
    step_once();
    // Straight on, or a jump that nothing brings back: that was all of it.
    const bool leaves = std::any_of(events_.begin(), events_.end(), [](const Event& event) {
      return std::holds_alternative<TrapDelivered>(event.payload);
    });
    const bool calls = !instruction.empty() && isa().comes_back(instruction.front().text);
    if (machine_->stopped() || (!leaves && !calls)) return;
    const auto back = [&] {
      if (machine_->current_cpu() != cpu) return false;
      const std::uint64_t here = processor.program_counter().value;
      return processor.privilege() == privilege && (here == next || here == pc.value);
    };
    run_slices(kForever, back, nullptr);
    arrive();
  }

  void obey(const Run&) {
    if (!can_go_on()) return;
    run_slices(
        kForever, [this] { return at_breakpoint(); }, nullptr);
    arrive();
  }

  void obey(const RunTo& run) {
    if (!can_go_on()) return;
    Watcher watcher(run.landmark, isa());
    run_slices(
        kForever, [&] { return watcher.seen || at_breakpoint(); }, &watcher);
    if (!watcher.seen && machine_->stopped()) {
      message_ = run.landmark == Landmark::Trap ? "No further trap: the guest has ended."
                                                : "No further VM exit: the guest has ended.";
    }
    arrive();
  }

  void obey(const BackTo& back) {
    if (machine_ == nullptr) return;
    const StepIndex position = machine_->position();
    // The step that is shown now lies before the position; the search is for an earlier one.
    const StepIndex shown = position == 0 ? 0 : position - 1;
    travel_->seek(shown, &session_.interrupted_);
    const auto found = travel_->seek_back_to(
        [&](const Event& event) { return is_landmark(event, back.landmark, isa()); }, &session_.interrupted_);
    if (found) return go_to(*found + 1);
    message_ = back.landmark == Landmark::Trap ? "There is no earlier trap." : "There is no earlier VM exit.";
    go_to(position);
  }

  void obey(const Seek& seek) {
    if (machine_ == nullptr) return;
    go_to(seek.step);
  }

  void obey(const RunToAddress& run) {
    if (!can_go_on()) return;
    run_slices(
        kForever, [&] { return machine_->processor().program_counter().value == run.address || at_breakpoint(); },
        nullptr);
    arrive();
  }

  void obey(const Pause&) {}

  void obey(const Restart&) {
    if (machine_ != nullptr) go_to(0);
  }

  void obey(const ToggleBreakpoint& toggle) {
    if (breakpoints_.erase(toggle.address) == 0) breakpoints_.insert(toggle.address);
  }

  void obey(const WatchMemory& watch) { windows_ = watch.windows; }

  void obey(const Work& work) {
    if (machine_ == nullptr) return;
    running();
    message_ = work.work(*travel_, machine_, session_.interrupted_);
    catch_up();
    arrive();
  }

  // --- going ---
  static constexpr StepIndex kForever = ~StepIndex{0};

  [[nodiscard]] bool can_go_on() {
    if (machine_ == nullptr) return false;
    if (machine_->stopped()) message_ = "The guest has ended. Step back, or start again.";
    return !machine_->stopped();
  }

  [[nodiscard]] bool at_breakpoint() const {
    return !breakpoints_.empty() && breakpoints_.count(machine_->processor().program_counter().value) != 0;
  }

  void running() {
    state_ = RunState::Running;
    events_.clear();
    entries_.clear();
    before_registers_.clear();
    before_control_.clear();
  }

  [[nodiscard]] const Isa& isa() const { return *find_isa(machine_->config().isa); }

  /// Runs in slices, publishing after each; false when it was interrupted. `stop` is asked between steps.
  bool run_slices(StepIndex target, const std::function<bool()>& stop, EventSink* notable) {
    running();
    StepIndex slice = 4096;
    for (;;) {
      const auto began = Clock::now();
      const StepIndex position = machine_->position();
      const StepIndex slice_end = target - position < slice ? target : position + slice;
      machine_->set_sinks(nullptr, notable);
      const StopReason reason = travel_->run_until(slice_end, Observation::Models, &session_.interrupted_, [&] {
        account_step();
        return stop && stop();
      });
      machine_->set_sinks(nullptr, nullptr);
      if (reason == StopReason::StepLimit) account_step();
      if (reason == StopReason::Interrupted) {
        account_step();
        return false;
      }
      if (reason != StopReason::StepLimit || machine_->position() >= target) {
        account_step();
        return true;
      }
      const auto took = Clock::now() - began;
      if (took < kSlice / 2)
        slice *= 2;
      else if (took > kSlice && slice > 64)
        slice /= 2;
      do_light_commands();
      publish();
    }
  }

  /// One step with all its events; the machine can go on.
  void step_once() {
    describe_next();
    step_cpu_ = machine_->current_cpu();
    before_registers_.clear();
    before_control_.clear();
    for (unsigned cpu = 0; cpu < machine_->cpus(); ++cpu) {
      before_registers_.push_back(machine_->processor(cpu).registers());
      before_control_.push_back(machine_->processor(cpu).control_structure());
    }
    events_ = travel_->step_forward();
    if (instruction_.empty()) instruction_ = text_at(instruction_pc_);  // Its page was mapped by the step itself.
    account_step();
    describe_entries();
    settle();
  }

  /// Puts the machine at a position and shows the step that led there.
  void go_to(StepIndex position) {
    if (position == 0) {
      travel_->seek(0, &session_.interrupted_);
      forget_step();
      return settle();
    }
    if (travel_->seek(position - 1, &session_.interrupted_) != position - 1 || machine_->stopped()) {
      if (machine_->stopped()) return arrive();
      forget_step();  // Interrupted on the way: wherever that is.
      return settle();
    }
    remember_accounts();
    step_once();
  }

  /// After a run: shows the last step, by doing it again with all its events.
  void arrive() {
    const StepIndex position = machine_->position();
    const bool ended = machine_->stopped();
    if (position == 0) {
      forget_step();
      return settle();
    }
    travel_->seek(position - 1);
    remember_accounts();
    step_once();
    // A machine that stops before an instruction could begin does so after the step that is shown.
    if (ended && !machine_->stopped()) {
      const std::vector<Event> last = travel_->step_forward();
      events_.insert(events_.end(), last.begin(), last.end());
      describe_entries();
      settle();
    }
  }

  void settle() {
    remember_accounts();
    state_ = machine_->stopped() ? RunState::Ended : RunState::Paused;
  }

  void forget_step() {
    events_.clear();
    entries_.clear();
    instruction_.clear();
    instruction_pc_ = {};
    step_cpu_ = 0;
    before_registers_.clear();
    before_control_.clear();
  }

  void unload() {
    travel_.reset();
    machine_.reset();
    source_ = {};
    texts_.clear();
    timeline_ = std::make_shared<Timeline>();
    state_ = RunState::Empty;
    forget_step();
  }

  // --- what a step was ---
  void describe_next() {
    instruction_pc_ = machine_->processor().program_counter();
    instruction_ = text_at(instruction_pc_);
  }

  [[nodiscard]] std::string text_at(VirtualAddress address) const {
    const auto instructions = machine_->processor().disassemble(address, 1);
    return instructions.empty() ? std::string() : instructions.front().text;
  }

  void describe_entries() {
    entries_.assign(events_.size(), {});
    for (std::size_t index = 0; index < events_.size(); ++index) {
      const auto* reference = std::get_if<WalkReference>(&events_[index].payload);
      if (reference != nullptr)
        entries_[index] = machine_->processor().describe_entry(reference->entry_name, reference->entry);
    }
  }

  // --- accounts, for the timeline ---
  struct Accounts {
    StepIndex step = 0;
    std::uint64_t cycles = 0, vmm_cycles = 0, walks = 0, latency = 0, misses = 0;
    unsigned cpu = 0;
    Actor actor = Actor::GuestKernel;
  };

  [[nodiscard]] Accounts accounts_now() const {
    Accounts now{.step = machine_->position(),
                 .cycles = machine_->cycles(),
                 .vmm_cycles = machine_->time().vmm_cycles,
                 .cpu = machine_->current_cpu(),
                 .actor = machine_->processor().actor()};
    for (unsigned cpu = 0; cpu < machine_->cpus(); ++cpu) {
      const MemoryPath& path = machine_->memory_path(cpu);
      const CacheCounters& data = path.caches().l1d().counters();
      const CacheCounters& code = path.caches().l1i().counters();
      now.walks += path.counters().walks;
      now.latency += path.counters().latency_cycles;
      now.misses += data.read_misses + data.write_misses + code.read_misses + code.write_misses;
    }
    return now;
  }

  void remember_accounts() { accounts_ = accounts_now(); }

  /// Records in the timeline what was run without it, by running it once more.
  void catch_up() {
    const StepIndex position = machine_->position();
    if (position <= timeline_->steps()) return;
    travel_->seek(timeline_->steps(), &session_.interrupted_);
    remember_accounts();
    run_slices(position, {}, nullptr);
  }

  /// What was done since the last call belongs to the step that has just ended.
  void account_step() {
    const Accounts now = accounts_now();
    if (now.step == accounts_.step) return;
    if (now.step > timeline_->steps()) {
      own_timeline().record({.step = now.step - 1,
                             .cpu = accounts_.cpu,
                             .actor = accounts_.actor,
                             .begin_cycle = accounts_.cycles,
                             .end_cycle = now.cycles,
                             .vmm_cycles = now.vmm_cycles - accounts_.vmm_cycles,
                             .walks = now.walks - accounts_.walks,
                             .latency = now.latency - accounts_.latency,
                             .cache_misses = now.misses - accounts_.misses});
    }
    accounts_ = now;
  }

  /// The timeline to write to: a copy (of shared chunks) where a published view holds it.
  Timeline& own_timeline() {
    if (timeline_.use_count() > 1) timeline_ = std::make_shared<Timeline>(*timeline_);
    return *timeline_;
  }

  // --- source ---
  void read_source(const std::string& image_path) {
    if (image_path.empty()) return;
    Result<SourceLines> lines = SourceLines::read_beside(image_path);
    if (lines)
      source_ = std::make_shared<const SourceLines>(std::move(lines).value());
    else
      message_ = lines.error().text();
  }

  [[nodiscard]] SourceView source_at(VirtualAddress pc) {
    SourceView view{.file = {}, .line = 0, .text = {}, .lines = source_};
    if (source_ == nullptr) return view;
    const auto location = source_->at(pc.value);
    if (!location) return view;
    auto [place, isnew] = texts_.try_emplace(location->file);
    if (isnew) {
      Result<std::vector<std::string>> text = read_source_text(location->file);
      if (text) place->second = std::make_shared<const std::vector<std::string>>(std::move(text).value());
    }
    view.file = location->file;
    view.line = location->line;
    view.text = place->second;
    return view;
  }

  // --- views ---
  [[nodiscard]] MemoryWindow read_window(const MemoryWindow& wanted, std::size_t bytes) const {
    MemoryWindow window{wanted.space, wanted.address, {}};
    if (wanted.space == AddressSpace::Virtual) {
      window.bytes = machine_->inspect_virtual({wanted.address}, bytes);
      return window;
    }
    while (window.bytes.size() < bytes) {
      const std::uint64_t address = wanted.address + window.bytes.size();
      const auto physical = wanted.space == AddressSpace::Physical ? std::optional(PhysicalAddress{address})
                                                                   : machine_->processor().guest_to_physical({address});
      if (!physical || !machine_->memory().contains(*physical)) break;
      const std::size_t in_frame =
          std::min<std::size_t>(bytes - window.bytes.size(), kFrameBytes - address % kFrameBytes);
      const std::size_t first = window.bytes.size();
      window.bytes.resize(first + in_frame);
      machine_->memory().read_bytes(*physical, std::span(window.bytes).subspan(first));
    }
    return window;
  }

  [[nodiscard]] std::string symbol_of(VirtualAddress address) const {
    const ElfSymbol* symbol = machine_->image().symbol_at(address.value);
    if (symbol == nullptr) return {};
    if (symbol->value == address.value) return symbol->name;
    char offset[20];
    std::snprintf(offset, sizeof offset, "+0x%llx", static_cast<unsigned long long>(address.value - symbol->value));
    return symbol->name + offset;
  }

  /// The core whose TLBs and caches are shown: that of the shown step, for its events speak of them.
  [[nodiscard]] unsigned shown_cpu() const { return events_.empty() ? machine_->current_cpu() : step_cpu_; }

  void fill_registers(MachineView& view) const {
    const bool has_before = view.cpu < before_registers_.size();
    view.registers = machine_->processor().registers();
    view.control = machine_->processor().control_structure();
    if (has_before) view.registers_before = before_registers_[view.cpu];
    if (has_before) view.control_before = before_control_[view.cpu];
    if (machine_->cpus() == 1) return;
    for (unsigned cpu = 0; cpu < machine_->cpus(); ++cpu) {
      view.cpus.push_back({.registers = machine_->processor(cpu).registers(),
                           .registers_before = has_before ? before_registers_[cpu] : std::vector<RegisterRow>()});
    }
  }

  void fill(MachineView& view) {
    const Processor& processor = machine_->processor();
    view.guest = std::filesystem::path(machine_->setup().guest_name).filename().string();
    view.isa = &isa();
    view.machine = machine_->config().name;
    view.technique = machine_->setup().technique;
    view.position = machine_->position();
    view.furthest = travel_->furthest();
    view.cycles = machine_->cycles();
    view.stop = machine_->stop();
    view.cpu = machine_->current_cpu();
    view.step_cpu = shown_cpu();
    view.mode = processor.mode_name();
    view.actor = processor.actor();
    view.privilege = processor.privilege();
    view.pc = processor.program_counter();
    view.events = events_;
    view.entries = entries_;
    view.instruction = instruction_;
    view.instruction_pc = instruction_pc_;
    view.symbol = symbol_of(view.pc);
    view.instruction_symbol = symbol_of(instruction_pc_);
    fill_registers(view);
    view.disassembly = processor.disassemble(view.pc, kDisassembled);
    view.source = source_at(view.pc);
    const MemoryPath& path = machine_->memory_path(shown_cpu());
    for (const Tlb* tlb : path.translation().structures()) view.tlbs.push_back(view_of(*tlb));
    view.walk_caches = path.translation().walk_cache_entries();
    view.translation = path.counters();
    view.caches.l1d = summary_of(path.caches().l1d());
    if (path.caches().twin() != nullptr) view.caches.twin = summary_of(*path.caches().twin());
    if (path.caches().tft() != nullptr) view.caches.tft = path.caches().tft()->entries();
    view.caches.seesaw = path.caches().seesaw_counters();
    view.caches.sets = touched_sets(path.caches(), events_);
    for (const MemoryWindow& window : windows_) view.memory.push_back(read_window(window, kWindowBytes));
    if (console_ == nullptr || *console_ != machine_->console())
      console_ = std::make_shared<const std::string>(machine_->console());
    view.console = console_;
  }

  void publish() {
    auto view = std::make_shared<MachineView>();
    view->completed = completed_;
    view->state = state_;
    view->breakpoints = breakpoints_;
    view->message = message_;
    view->error = error_;
    if (machine_ != nullptr) fill(*view);
    view->keeps = machine_;
    view->timeline = timeline_;
    {
      const std::lock_guard lock(session_.mutex_);
      session_.view_ = std::move(view);
    }
    session_.changed_.notify_all();
    if (session_.published_) session_.published_();
  }

  static constexpr std::size_t kWindowBytes = 1024;

  MachineSession& session_;
  std::shared_ptr<Machine> machine_;
  std::unique_ptr<TimeTravel> travel_;
  std::uint64_t completed_ = 0;
  std::uint64_t done_meanwhile_ = 0;  ///< Light commands done during the command that is under way.
  RunState state_ = RunState::Empty;
  std::string message_;
  std::optional<Diagnostic> error_;
  std::set<std::uint64_t> breakpoints_;
  std::vector<MemoryWindow> windows_;
  std::vector<Event> events_;
  std::vector<std::string> entries_;
  std::string instruction_;
  VirtualAddress instruction_pc_;
  unsigned step_cpu_ = 0;
  std::vector<std::vector<RegisterRow>> before_registers_;  ///< By core.
  std::vector<std::vector<ControlFieldRow>> before_control_;
  std::shared_ptr<Timeline> timeline_ = std::make_shared<Timeline>();
  Accounts accounts_;
  std::shared_ptr<const SourceLines> source_;
  std::map<std::string, std::shared_ptr<const std::vector<std::string>>> texts_;
  std::shared_ptr<const std::string> console_;
};

MachineSession::MachineSession(std::function<void()> published)
    : published_(std::move(published)),
      view_(std::make_shared<const MachineView>()),
      thread_([this] { Worker(*this).work(); }) {}

MachineSession::~MachineSession() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    interrupted_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::uint64_t MachineSession::post(Command command) {
  std::uint64_t ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    if (Worker::interrupts(command)) interrupted_ = true;
    queue_.push_back(std::move(command));
    ticket = ++posted_;
  }
  changed_.notify_all();
  return ticket;
}

std::shared_ptr<const MachineView> MachineSession::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

std::shared_ptr<const MachineView> MachineSession::wait_for(std::uint64_t ticket,
                                                            std::chrono::milliseconds most) const {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, most, [&] { return view_->completed >= ticket; })) return nullptr;
  return view_;
}

}  // namespace shearling::gui
