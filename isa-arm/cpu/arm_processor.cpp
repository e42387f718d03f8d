// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/cpu/arm_processor.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/base/assert.h"
#include "core/loader/elf_image.h"
#include "isa-arm/cpu/memory_operand.h"

namespace shearling::arm {
namespace {

// A guest that leaves for its VMM this often without an instruction getting done makes no progress.
constexpr unsigned kMostAttempts = 64;
constexpr unsigned kMostBoundaryEvents = 1000;
constexpr unsigned kStackPointer = 31;
constexpr std::uint8_t kExternalAbort = 0x10;  // DFSC: synchronous, not on a walk.
constexpr std::uint8_t kAlignmentFault = 0x21;

MmuFeatures mmu_features(const MachineConfig& config) {
  return {.pan = has_feature(config, "pan"),
          .hafdbs = has_feature(config, "hafdbs"),
          .vhe = has_feature(config, "vhe"),
          .granule_16k = has_feature(config, "granule-16k"),
          .xnx = has_feature(config, "xnx")};
}

constexpr bool is_misaligned(VirtualAddress program_counter) { return (program_counter.value & 3) != 0; }

}  // namespace

ArmProcessor::ArmProcessor(const MachineContext& context, std::shared_ptr<ArmSystem> system, std::shared_ptr<Host> host)
    : EngineProcessor(context),
      system_(std::move(system)),
      host_(std::move(host)),
      mmu_(context, state_, mmu_features(system_->config), system_->watch),
      timer_(context.cpu, state_, context.time, system_->gic),
      accesses_(context, *this) {
  system_->add(*this);
}

ArmProcessor::~ArmProcessor() {
  if (owns_engine_) accesses_.detach();
}

// --- loading ---------------------------------------------------------------------------------------------------------

/// The first core copies the image and begins at its entry; the others wait for PSCI.
Status ArmProcessor::load(const ElfImage& image, const std::string&) {
  const std::uint64_t base = context_.memory.base().value;
  if (Status fits = check_aarch64_image(image, base, context_.config.ram_bytes); !fits) return fits;
  if (const std::string_view unknown = unknown_feature(context_.config); !unknown.empty()) {
    std::string known;
    for (const FeatureInfo& info : feature_table()) known += (known.empty() ? "" : ", ") + std::string(info.name);
    return Diagnostic{.file = context_.config.name,
                      .message = "AArch64 has no CPU feature '" + std::string(unknown) + "'",
                      .remedy = "use some of " + known};
  }
  reset(image.entry, system_->entry_level());
  state_.powered = context_.cpu == 0;
  if (context_.cpu != 0) return Done{};
  for (const ElfSegment& segment : image.segments) {
    std::span<const std::uint8_t> bytes = segment.bytes;
    for (std::uint64_t address = segment.physical_address; !bytes.empty();) {
      const std::size_t part = std::min<std::size_t>(bytes.size(), kFrameBytes - address % kFrameBytes);
      context_.memory.write_bytes(host_ ? host_->backing(GuestPhysicalAddress{address}) : PhysicalAddress{address},
                                  bytes.first(part));
      bytes = bytes.subspan(part);
      address += part;
    }
  }
  take_engine();
  return host_ ? host_->start(*this) : Status{Done{}};
}

/// What a cold reset leaves, at the entry point (DDI 0487, D1.5): all interrupts masked, MMU off.
void ArmProcessor::reset(std::uint64_t entry, unsigned level) {
  state_ = ArmState{};
  reset_system_registers(state_, system_->config, context_.cpu);
  state_.exception_level = level;
  set_engine_state(EngineState{.mode = ExecutionMode::AArch64, .program_counter = entry});
}

void ArmProcessor::start_at(VirtualAddress entry, std::uint64_t context_id) {
  reset(entry.value, system_->entry_level());
  system_->gic.reset_cpu_interface(context_.cpu);
  state_.powered = true;
  write_engine(integer_register(0), context_id);
  accesses_.translations_changed();
  awaits_entry_ = host_ != nullptr;
}

bool ArmProcessor::power_on(unsigned cpu, VirtualAddress entry, std::uint64_t context_id) {
  ArmProcessor* const target = system_->core(cpu);
  if (target == nullptr || target->state_.powered) return false;
  target->start_at(entry, context_id);
  return true;
}

void ArmProcessor::power_off() { state_.powered = false; }

void ArmProcessor::store(PhysicalAddress address, unsigned size, std::uint64_t value) {
  accesses_.will_store(address, size, value);
  context_.memory.write(address, size, value);
}

// --- snapshots -------------------------------------------------------------------------------------------------------

void ArmProcessor::save(Writer& writer) const {
  writer(engine_state(), state_, awaits_entry_);
  if (context_.cpu != 0) return;
  system_->gic.save(writer);
  if (host_) host_->save(writer);
}

void ArmProcessor::load_state(Reader& reader) {
  EngineState registers;
  reader(registers, state_, awaits_entry_);
  if (context_.cpu == 0) {
    system_->gic.load(reader);
    if (host_) host_->load(reader);
  }
  set_engine_state(registers);
  models_changed();
}

void ArmProcessor::models_changed() {
  accesses_.reset();
  mmu_.state_restored();
  mmu_.clear_hazard();
  forget_run();
}

// --- the engine's register file --------------------------------------------------------------------------------------

void ArmProcessor::take_engine() {
  if (owns_engine_) return;
  context_.engine.set_state(parked_);
  accesses_.attach();
  owns_engine_ = true;
}

// What other cores may store from here on, the exclusive monitor does not see: it closes, as the architecture permits.
// That is an event that ends WFE (DDI 0487, B2.12.2).
void ArmProcessor::release_engine() {
  if (!owns_engine_) return;
  parked_ = context_.engine.state();
  accesses_.detach();
  owns_engine_ = false;
  if (std::exchange(state_.exclusive_open, false)) state_.event_register = true;
}

EngineState ArmProcessor::engine_state() const { return owns_engine_ ? context_.engine.state() : parked_; }

void ArmProcessor::set_engine_state(const EngineState& state) {
  if (owns_engine_)
    context_.engine.set_state(state);
  else
    parked_ = state;
}

std::uint64_t ArmProcessor::read_engine(EngineRegister reg) const {
  if (owns_engine_) return context_.engine.read(reg);
  switch (reg.register_class) {
    case RegisterClass::Integer:
      return parked_.integer[reg.index];
    case RegisterClass::ProgramCounter:
      return parked_.program_counter;
    case RegisterClass::Flags:
      return parked_.flags;
    case RegisterClass::SegmentBase:
      return parked_.segment_base[0];
    default:
      return parked_.vector_control[reg.index];
  }
}

void ArmProcessor::write_engine(EngineRegister reg, std::uint64_t value) {
  if (owns_engine_) return context_.engine.write(reg, value);
  switch (reg.register_class) {
    case RegisterClass::Integer:
      parked_.integer[reg.index] = value;
      return;
    case RegisterClass::ProgramCounter:
      parked_.program_counter = value;
      return;
    case RegisterClass::Flags:
      parked_.flags = value;
      return;
    case RegisterClass::SegmentBase:
      parked_.segment_base[0] = value;
      return;
    default:
      parked_.vector_control[reg.index] = value;
  }
}

std::uint64_t ArmProcessor::general(unsigned index) const {
  return index == kStackPointer ? 0 : read_engine(integer_register(index));
}

void ArmProcessor::set_general(unsigned index, std::uint64_t value) {
  static constexpr std::array<std::string_view, 31> kNames{
      "X0",  "X1",  "X2",  "X3",  "X4",  "X5",  "X6",  "X7",  "X8",  "X9",  "X10", "X11", "X12", "X13", "X14", "X15",
      "X16", "X17", "X18", "X19", "X20", "X21", "X22", "X23", "X24", "X25", "X26", "X27", "X28", "X29", "X30"};
  if (index == kStackPointer) return;
  report_write(kNames[index], general(index), value);
  write_engine(integer_register(index), value);
}

std::uint64_t ArmProcessor::base_register(unsigned index) const { return read_engine(integer_register(index)); }

// --- interrupts and sleep --------------------------------------------------------------------------------------------

// Physical interrupts go to EL2 where HCR_EL2 routes them there, and then no mask of a lower level holds them back;
// virtual ones are EL1's and EL0's alone (DDI 0487, D1.3.6). SError before FIQ before IRQ is our choice.
std::optional<ArmException> ArmProcessor::due_interrupt() const {
  struct Input {
    ExceptionKind kind;
    std::uint64_t route, mask, virtual_bit;
    bool physical_pending, virtual_pending;
  };
  const Gic& gic = system_->gic;
  const unsigned cpu = context_.cpu;
  const std::array inputs{Input{ExceptionKind::SError, hcr::kAmo, spsr::kA, hcr::kVse, state_.serror_pending, false},
                          Input{ExceptionKind::Fiq, hcr::kFmo, spsr::kF, hcr::kVf, gic.fiq(cpu), gic.virtual_fiq(cpu)},
                          Input{ExceptionKind::Irq, hcr::kImo, spsr::kI, hcr::kVi, gic.irq(cpu), gic.virtual_irq(cpu)}};
  const unsigned level = state_.exception_level;
  for (const Input& input : inputs) {
    const unsigned target = state_.hcr(input.route) || state_.tge() ? 2 : 1;
    const bool masked = target < level || (target == level && (state_.daif & input.mask) != 0) ||
                        (target == 1 && level == 0 && (state_.daif & input.mask) != 0);
    if (input.physical_pending && !masked) return ArmException{.kind = input.kind, .target = target};
    const bool virtual_possible = state_.hcr(input.route) && !state_.tge() && level < 2;
    const bool pending = input.virtual_pending || state_.hcr(input.virtual_bit);
    if (virtual_possible && pending && (state_.daif & input.mask) == 0)
      return ArmException{.kind = input.kind, .target = 1, .is_virtual = true};
  }
  return std::nullopt;
}

/// What ends WFI and WFE (DDI 0487, D1.6): interrupts whether PSTATE masks them or not; WFE's also events.
bool ArmProcessor::wakes() const {
  const Gic& gic = system_->gic;
  const unsigned cpu = context_.cpu;
  if (gic.irq(cpu) || gic.fiq(cpu) || state_.serror_pending) return true;
  if (state_.waiting_for_event && state_.event_register) return true;
  if (state_.exception_level == 2 || state_.tge()) return false;
  return (state_.hcr(hcr::kImo) && (state_.hcr(hcr::kVi) || gic.virtual_irq(cpu))) ||
         (state_.hcr(hcr::kFmo) && (state_.hcr(hcr::kVf) || gic.virtual_fiq(cpu))) ||
         (state_.hcr(hcr::kAmo) && state_.hcr(hcr::kVse));
}

bool ArmProcessor::runnable() const { return state_.powered && (!asleep() || wakes()); }

std::optional<std::uint64_t> ArmProcessor::next_wakeup() const {
  return state_.powered ? timer_.next_expiry() : std::nullopt;
}

// --- the step --------------------------------------------------------------------------------------------------------

ProcessorOutcome ArmProcessor::step() {
  const StepIndex index = context_.time.step;
  begun_ = false;
  context_.events.begin_step(index);
  context_.events.set_actor(actor(), privilege());
  if (reach_boundary()) execute_one();
  if (begun_) ++context_.time.step;
  timer_.advance();  // Here and not lazily, so that its state is the same at every observation level.
  const bool hazard = mmu_.hazard();
  if (hazard) system_->tables_changed();
  mmu_.clear_hazard();
  if (hazard && !context_.memory_path.models_on())
    return {ProcessorOutcome::Kind::NeedsModels, index};  // Even a stop would be one on wrong translations.
  return {
      context_.request.stop == StopReason::None ? ProcessorOutcome::Kind::Continue : ProcessorOutcome::Kind::Stopped,
      index};
}

bool ArmProcessor::reach_boundary() {
  if (std::exchange(awaits_entry_, false) && !host_->start(*this)) return false;
  for (unsigned events = 0; events < kMostBoundaryEvents; ++events) {
    if (context_.request.stop != StopReason::None || !state_.powered) return false;
    if (const auto interrupt = due_interrupt()) {
      state_.waiting_for_interrupt = state_.waiting_for_event = false;
      static_cast<void>(raise(*interrupt, pc()));
      continue;
    }
    if (!asleep()) return true;
    if (!wakes()) return false;
    if (state_.waiting_for_event) state_.event_register = false;
    state_.waiting_for_interrupt = state_.waiting_for_event = false;
  }
  context_.request.stop = StopReason::Deadlock;
  return false;
}

void ArmProcessor::execute_one() {
  begun_ = true;
  for (unsigned attempts = 0; attempts < kMostAttempts; ++attempts) {
    const std::uint64_t start = pc();
    const unsigned level = state_.exception_level;
    const Obstacle obstacle = attempt();
    if (obstacle.kind == Obstacle::Kind::Stop) return;
    if (!obstacle) {
      if (context_.events.wants_micro_events())
        context_.events.micro(InstructionRetired{.pc = {start}, .next_pc = {pc()}});
      return;
    }
    const std::uint64_t next = obstacle.exception.returns_after ? start + 4 : start;
    if (!raise(obstacle.exception, next) || context_.request.stop != StopReason::None) return;
    if (std::exchange(injected_, false)) return;
    if (pc() == start + 4 && state_.exception_level == level)  // By the VMM's emulation.
      context_.events.micro(InstructionRetired{.pc = {start}, .next_pc = {pc()}});
    if (pc() != start || state_.exception_level != level || asleep() || !state_.powered) return;
  }
  static_cast<void>(unsupported("the guest leaves for its VMM again and again at one instruction"));
}

Obstacle ArmProcessor::attempt() {
  const bool resumed = take_resumed();
  if (resumed)
    accesses_.resume_instruction();
  else
    accesses_.begin_instruction();
  refusal_.reset();
  if (state_.illegal) {
    static_cast<void>(check(CheckId::LegalState, false, 1));
    return exception(ExceptionClass::IllegalState, 0);
  }
  const std::uint64_t at = without_tag(pc());
  if (at != pc()) set_pc(at);
  if (is_misaligned({at})) {
    static_cast<void>(check(CheckId::ProgramCounterAligned, false, at));
    Obstacle obstacle = exception(ExceptionClass::PcAlignment, 0);
    obstacle.exception.has_fault_address = true;
    obstacle.exception.fault_address = {at};
    return obstacle;
  }
  if (resumed)
    word_ = static_cast<std::uint32_t>(context_.memory.read(accesses_.fetched(0).physical, 4));
  else if (Obstacle obstacle = fetch(at))
    return obstacle;
  return execute(operation_of(word_));
}

/// A branch strips the tag that TCR_ELx.TBI lets addresses carry (DDI 0487, D8.7.1); here, before what it leads to.
std::uint64_t ArmProcessor::without_tag(std::uint64_t address) const {
  constexpr std::uint64_t kTag = 0xffULL << 56;
  const bool upper = (address & 1ULL << 55) != 0;
  const bool one_range = regime_of(state_, state_.exception_level) == Regime::El2;
  const bool host = regime_of(state_, state_.exception_level) != Regime::El10;
  const std::uint64_t control = state_[host ? SystemRegister::TCR_EL2 : SystemRegister::TCR_EL1];
  const unsigned bit = one_range ? 20 : upper ? 38 : 37;
  if ((control >> bit & 1) == 0) return address;
  return upper && !one_range ? address | kTag : address & ~kTag;
}

Obstacle ArmProcessor::fetch(std::uint64_t at) {
  const VirtualAddress address{at};
  PageTranslation translation;
  if (Obstacle obstacle = translate(address, AccessKind::Fetch, state_.exception_level, translation)) return obstacle;
  if (!context_.memory.contains(translation.physical, 4)) {
    return abort_of({.status = kExternalAbort, .external = true, .address = address}, AccessKind::Fetch, address);
  }
  accesses_.set_fetched(0, address, translation);
  word_ = static_cast<std::uint32_t>(context_.memory.read(translation.physical, 4));
  if (context_.events.wants_micro_events()) {
    InstructionFetched event{.pc = address,
                             .physical_address = translation.physical,
                             .length = 4,
                             .classification = class_of(operation_of(word_), word_),
                             .address_space = address_space()};
    std::memcpy(event.bytes.data(), &word_, sizeof word_);
    context_.events.micro(event);
  }
  context_.memory_path.program_access(address, translation.physical, 4, AccessKind::Fetch, translation.page_size);
  return {};
}

Obstacle ArmProcessor::execute(Operation operation) {
  switch (operation) {
    case Operation::Innocuous:
      return execute_innocuous();
    case Operation::InnocuousFloatingPoint:
      if (Obstacle obstacle = obstacle_of(decide_instruction(
              state_, system_->config, {.instruction = TrappableInstruction::FloatingPoint}, context_.events)))
        return obstacle;
      return execute_innocuous();
    case Operation::Ordered:
      if (Obstacle obstacle = check_alignment(CheckId::OrderedAligned)) return obstacle;
      return execute_innocuous();
    case Operation::Undefined:
      return undefined();
    case Operation::Svc:
    case Operation::Hvc:
    case Operation::Smc:
    case Operation::Brk:
    case Operation::Eret:
      return supervisor_call(operation);
    case Operation::Wfi:
    case Operation::Wfe:
      return wait(operation);
    default:
      break;
  }
  if (Obstacle obstacle = execute_own(operation)) return obstacle;
  set_pc(pc() + 4);
  return {};
}

/// The instructions that go on to the next one when they are done.
Obstacle ArmProcessor::execute_own(Operation operation) {
  switch (operation) {
    case Operation::SendEvent:
      system_->send_event();
      return {};
    case Operation::SendEventLocal:
      state_.event_register = true;
      return {};
    case Operation::ClearExclusive:
      state_.exclusive_open = false;
      return {};
    case Operation::LoadExclusive:
      return load_exclusive();
    case Operation::StoreExclusive:
      return store_exclusive();
    case Operation::Unprivileged:
      return unprivileged();
    case Operation::MoveToState:
      return move_to_state();
    case Operation::System:
      return system_instruction();
    case Operation::ReadRegister:
      return read_system_register();
    case Operation::WriteRegister:
      return write_system_register();
    case Operation::LessonMark:
      context_.events.notable(shearling::LessonMark{.mark = immediate16(word_)});
      return {};
    default:
      return undefined();
  }
}

/// SCTLR_ELx.A of the level's regime. Such code is stepped: the engine does not check.
bool ArmProcessor::checks_alignment() const {
  const bool host = state_.exception_level == 2 || (state_.exception_level == 0 && state_.e2h() && state_.tge());
  return (state_[host ? SystemRegister::SCTLR_EL2 : SystemRegister::SCTLR_EL1] & sctlr::kA) != 0;
}

/// Of any load or store, or of those that ask for it themselves: without FEAT_LSE2, load-acquire and store-release must
/// be aligned (DDI 0487, B2.5.2), which Unicorn 2.1.1 does not check.
Obstacle ArmProcessor::check_alignment(CheckId id) {
  const auto operand = memory_operand(word_, pc(), [this](unsigned index) { return base_register(index); });
  if (!operand || check(id, operand->address % operand->alignment == 0, operand->address, operand->alignment))
    return {};
  const VirtualAddress address{operand->address};
  return abort_of({.status = kAlignmentFault, .write = operand->write, .address = address},
                  operand->write ? AccessKind::Write : AccessKind::Read, address);
}

Obstacle ArmProcessor::execute_innocuous() {
  if (checks_alignment()) {
    if (Obstacle obstacle = check_alignment(CheckId::AccessAligned)) return obstacle;
  }
  const EngineOutcome outcome = accesses_.step_one();
  switch (outcome.stop) {
    case EngineStop::Completed:
      accesses_.commit_accesses();
      return {};
    case EngineStop::FillRefused: {
      if (!refusal_) return unsupported("the engine fetches beyond the instruction");
      TranslationFault fault = *refusal_;  // The engine asks for pages; what it was refused for knows the byte.
      fault.address = outcome.refused_address;
      if (fault.stage == 2 && !fault.on_walk) {
        constexpr std::uint64_t kOffset = kFrameBytes - 1;
        fault.intermediate.value = (fault.intermediate.value & ~kOffset) | (outcome.refused_address.value & kOffset);
      }
      return abort_of(fault, outcome.refused_kind, outcome.refused_address);
    }
    default:
      static_cast<void>(check(CheckId::InstructionKnown, false, word_));
      return undefined();
  }
}

// --- AccessTranslator ------------------------------------------------------------------------------------------------

AccessRequest ArmProcessor::request(VirtualAddress address, AccessKind kind, unsigned level) const {
  return {.address = address,
          .kind = kind,
          .exception_level = level,
          .regime = regime_of(state_, state_.exception_level),
          .pan = state_.pan && kind != AccessKind::Fetch && level != 0};
}

/// Within one page. Refused: refusal_ says why.
std::optional<PageTranslation> ArmProcessor::translate_page(const AccessRequest& wanted) {
  const TranslateResult result = mmu_.translate(wanted);
  if (const auto* fault = std::get_if<TranslationFault>(&result)) {
    refusal_ = *fault;
    return std::nullopt;
  }
  const auto& translation = std::get<Translation>(result);
  if (!context_.memory.contains(translation.physical) && !context_.devices.claims_memory(translation.physical)) {
    refusal_ = TranslationFault{.status = kExternalAbort,
                                .write = wanted.kind == AccessKind::Write,
                                .external = true,
                                .address = wanted.address};
    return std::nullopt;
  }
  return PageTranslation{
      .physical = translation.physical, .page_size = translation.page_size, .writable_now = translation.writable_now};
}

std::optional<PageTranslation> ArmProcessor::translate_access(VirtualAddress address, AccessKind kind) {
  return translate_page(request(address, kind, state_.exception_level));
}

std::optional<PageTranslation> ArmProcessor::probe_access(VirtualAddress address, AccessKind kind) {
  if (kind == AccessKind::Fetch && without_tag(address.value) != address.value) return std::nullopt;
  const auto translation = mmu_.probe(request(address, kind, state_.exception_level));
  if (!translation) return std::nullopt;
  return PageTranslation{.physical = translation->physical,
                         .page_size = translation->page_size,
                         .writable_now = translation->writable_now};
}

void ArmProcessor::table_store(PhysicalAddress address, unsigned size, std::uint64_t value) {
  accesses_.translations_changed();
  mmu_.table_store(address, size, value);
}

void ArmProcessor::tables_changed() {
  accesses_.translations_changed();
  suspect_staleness();
}

// --- direct and observed execution -----------------------------------------------------------------------------------

bool ArmProcessor::floating_point_permitted() const {
  EventStream quiet;
  return decide_instruction(state_, system_->config, {.instruction = TrappableInstruction::FloatingPoint}, quiet)
             .kind == AccessDecision::Kind::Allowed;
}

bool ArmProcessor::stops_direct_run(std::uint32_t instruction) const {
  switch (operation_of(instruction)) {
    case Operation::Innocuous:
      return false;
    case Operation::InnocuousFloatingPoint:
      return !system_->planned_floating_point;
    default:
      return true;
  }
}

EngineClient::BlockPlan ArmProcessor::plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) {
  if (is_misaligned(pc)) return {.stopper = 0};
  EngineClient::BlockPlan plan;
  for (std::uint32_t offset = 0; offset + 4 <= bytes.size(); offset += 4, ++plan.instructions) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    if (!stops_direct_run(word)) continue;
    plan.stopper = offset;
    break;
  }
  return plan;
}

std::uint32_t ArmProcessor::instructions_before(VirtualAddress, std::span<const std::uint8_t> bytes,
                                                std::uint32_t offset) {
  return (std::min(offset, static_cast<std::uint32_t>(bytes.size())) + 3) / 4;
}

bool ArmProcessor::observable(VirtualAddress pc, std::span<const std::uint8_t> bytes) {
  std::uint32_t word = 0;
  if (is_misaligned(pc) || bytes.size() != sizeof word) return false;
  std::memcpy(&word, bytes.data(), sizeof word);
  return !stops_direct_run(word);
}

bool ArmProcessor::must_step() const {
  return asleep() || state_.illegal || is_misaligned({pc()}) || checks_alignment() || due_interrupt().has_value();
}

/// One run of the engine, as far as nothing can happen that is not the engine's business.
EngineOutcome ArmProcessor::run_engine(StepIndex target, bool observed) {
  VirtualTime& time = context_.time;
  std::uint64_t budget = target - time.step;
  if (const auto expiry = timer_.next_expiry()) {
    const std::uint64_t now = time.guest_ticks();
    budget = std::min(budget, *expiry > now ? *expiry - now : 1);
  }
  if (system_->planned_floating_point != floating_point_permitted()) {
    system_->planned_floating_point = !system_->planned_floating_point;
    context_.engine.forget_plans();
  }
  const EngineOutcome outcome = accesses_.run(budget, observed);
  if (outcome.instructions == 0) return outcome;
  time.step += outcome.instructions;
  context_.events.begin_step(time.step - 1);
  context_.events.set_actor(actor(), privilege());
  timer_.advance();
  return outcome;
}

}  // namespace shearling::arm
