// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/cpu/x86_processor.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/assert.h"
#include "core/loader/elf_image.h"
#include "isa-x86/vmx/vmcs_fields.h"

namespace shearling::x86 {
namespace {

constexpr std::size_t kDecodedLines = 4096;
// A guest that leaves for its VMM this often without an instruction getting done makes no progress.
constexpr unsigned kMostAttempts = 64;
constexpr unsigned kMostBoundaryEvents = 1000;
constexpr std::uint32_t kInterruptWindowExiting = 1U << 2, kInterruptionValid = 1U << 31;

// What a multiboot-1 loader hands over (Multiboot Specification 0.6.96, sections 3.2 and 3.3).
constexpr std::uint32_t kMultibootLoaderMagic = 0x2badb002;
constexpr std::uint64_t kMultibootInformation = 0x9000, kMultibootCommandLine = 0x9400, kMultibootEnd = 0xa000;
constexpr std::uint32_t kMultibootHasMemory = 1, kMultibootHasCommandLine = 4;
constexpr std::uint32_t kFlatCode = 0xc09b, kFlatData = 0xc093, kBusyTss32 = 0x8b;

Segment flat_segment(std::uint16_t selector, std::uint32_t access_rights) {
  return {.base = 0, .limit = 0xffffffff, .access_rights = access_rights, .selector = selector};
}

}  // namespace

X86Processor::X86Processor(const MachineContext& context, VmmTechnique technique, HostFactory make_host)
    : EngineProcessor(context),
      features_(context.config),
      vmx_(context, state_),
      mmu_(context, state_, vmx_.nested()),
      apic_("local APIC", context.time, context.events),
      accesses_(context, *this),
      decoded_(kDecodedLines) {
  accesses_.attach();
  if (technique == VmmTechnique::VtX)
    host_ = make_host(context_, state_, vmx_, mmu_, apic_);
  else
    context_.devices.attach_memory(apic_, LocalApic::kBase, kFrameBytes);
}

X86Processor::~X86Processor() { accesses_.detach(); }

// --- loading ---------------------------------------------------------------------------------------------------------

Status X86Processor::load(const ElfImage& image, const std::string& file) {
  if (Status fits = check_multiboot_image(image, context_.config.ram_bytes); !fits) return fits;
  if (const std::string_view unknown = unknown_feature(context_.config); !unknown.empty()) {
    std::string known;
    for (const FeatureInfo& info : feature_table()) known += (known.empty() ? "" : ", ") + std::string(info.name);
    return Diagnostic{.file = context_.config.name,
                      .message = "x86-64 has no CPU feature '" + std::string(unknown) + "'",
                      .remedy = "use some of " + known};
  }
  const auto put = [&](std::uint64_t address, std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const std::size_t part = std::min<std::size_t>(bytes.size(), kFrameBytes - address % kFrameBytes);
      const PhysicalAddress physical = host_ ? host_->backing(GuestPhysicalAddress{address}) : PhysicalAddress{address};
      context_.memory.write_bytes(physical, bytes.first(part));
      bytes = bytes.subspan(part);
      address += part;
    }
  };
  for (const ElfSegment& segment : image.segments) {
    if (segment.physical_address < kMultibootEnd &&
        segment.physical_address + segment.memory_size > kMultibootInformation) {
      return Diagnostic{.file = file,
                        .message = "the image lies over the multiboot information at 0x9000",
                        .remedy = "link it for an address of 1 MB or above"};
    }
    put(segment.physical_address, segment.bytes);
  }
  const auto upper_kilobytes = static_cast<std::uint32_t>((context_.config.ram_bytes - (1U << 20)) >> 10);
  const std::array<std::uint32_t, 5> information{kMultibootHasMemory | kMultibootHasCommandLine, 640, upper_kilobytes,
                                                 0, static_cast<std::uint32_t>(kMultibootCommandLine)};
  std::array<std::uint8_t, sizeof information> bytes{};
  std::memcpy(bytes.data(), information.data(), sizeof information);
  put(kMultibootInformation, bytes);

  state_ = SystemState{};
  state_.cr0 = kCr0Pe | kCr0Et;
  state_.debug[6] = 0xffff0ff0;
  state_.debug[7] = 0x400;
  state_.segments.fill(flat_segment(0x10, kFlatData));
  state_.segments[kCs] = flat_segment(0x08, kFlatCode);
  state_.tr = {.base = 0, .limit = 0xffff, .access_rights = kBusyTss32, .selector = 0};
  state_.gdtr.limit = state_.idtr.limit = 0xffff;
  state_.msrs[kMsrApicBase] = LocalApic::kBase.value | 0x900;  // Enabled; the bootstrap processor.
  state_.msrs[kMsrPat] = 0x0007040600070406;
  EngineState registers = context_.engine.state();
  registers = EngineState{.mode = ExecutionMode::X86Protected32,
                          .vector_control = registers.vector_control,
                          .floating_point_control = registers.floating_point_control};
  registers.integer[0] = kMultibootLoaderMagic;
  registers.integer[3] = kMultibootInformation;
  registers.program_counter = image.entry;
  context_.engine.set_mode(ExecutionMode::X86Protected32);
  context_.engine.set_state(registers);
  last_mode_ = mode_name();
  if (!host_) return Done{};
  Status started = host_->start();
  last_mode_ = mode_name();
  return started;
}

// --- snapshots -------------------------------------------------------------------------------------------------------

void X86Processor::save(Writer& writer) const {
  writer(context_.engine.state(), state_, vmx_);
  apic_.save(writer);
  if (host_) host_->save(writer);
}

void X86Processor::load_state(Reader& reader) {
  EngineState registers;
  reader(registers, state_, vmx_);
  apic_.load(reader);
  if (host_) host_->load(reader);
  context_.engine.set_mode(registers.mode);
  context_.engine.set_state(registers);
  last_mode_ = mode_name();
  models_changed();
}

void X86Processor::models_changed() {
  accesses_.reset();
  mmu_.clear_hazard();
  forget_run();
}

// --- the step --------------------------------------------------------------------------------------------------------

ProcessorOutcome X86Processor::step() {
  const StepIndex index = context_.time.step;
  begun_ = false;
  context_.events.begin_step(index);
  context_.events.set_actor(actor(), privilege());
  if (reach_boundary()) execute_one();
  if (begun_) ++context_.time.step;
  apic_.advance();  // Here and not lazily, so that its state is the same at every observation level.
  const bool hazard = mmu_.hazard();
  if (hazard) {
    accesses_.translations_changed();
    suspect_staleness();
  }
  mmu_.clear_hazard();
  if (hazard && !context_.memory_path.models_on())
    return {ProcessorOutcome::Kind::NeedsModels, index};  // Even a stop would be one on wrong translations.
  return {
      context_.request.stop == StopReason::None ? ProcessorOutcome::Kind::Continue : ProcessorOutcome::Kind::Stopped,
      index};
}

bool X86Processor::reach_boundary() {
  for (unsigned events = 0; events < kMostBoundaryEvents; ++events) {
    if (context_.request.stop != StopReason::None) return false;
    if (take_interrupt()) continue;
    if (state_.activity == ActivityState::Active) return true;
    sleep();
  }
  context_.request.stop = StopReason::Deadlock;
  return false;
}

bool X86Processor::interruptible() const { return (state_.rflags & kFlagIf) != 0 && state_.interruptibility == 0; }

bool X86Processor::window_exiting() const {
  return vmx_.in_non_root() && (vmx_.vmcs().read(VmcsField::PrimaryControls) & kInterruptWindowExiting) != 0;
}

bool X86Processor::take_interrupt() {
  if (interruptible() && window_exiting()) {
    if (const auto exit = vmx_.intercept({.kind = Intercept::InterruptWindow})) {
      leave_and_deliver(*exit);
      return true;
    }
  }
  const std::optional<std::uint8_t> vector = apic_.pending_vector();
  if (!vector) return false;
  const PendingEvent event{.kind = EventKind::ExternalInterrupt, .vector = *vector};
  if (vmx_.in_non_root()) {
    if (const auto exit = vmx_.intercept({.kind = Intercept::ExternalInterrupt, .event = event})) {
      if ((exit->interruption_information & kInterruptionValid) != 0) apic_.acknowledge(*vector);
      leave_and_deliver(*exit);
      return true;
    }
  }
  if (!interruptible()) return false;
  apic_.acknowledge(*vector);
  handle_event(event, false);
  return true;
}

// HLT with nothing pending: time jumps to the next timer expiry. The timer is the only thing that can wake the core,
// and nothing that masks its interrupt changes while the core sleeps.
void X86Processor::sleep() {
  const std::optional<std::uint64_t> expiry = apic_.next_expiry();
  const bool accepts = interruptible() || vmx_.in_non_root();
  if (accepts && expiry) {
    const std::uint64_t now = context_.time.guest_ticks();
    if (*expiry > now) context_.time.idle += *expiry - now;
    apic_.advance();
    if (apic_.pending_vector()) return;
  }
  context_.request.stop = StopReason::Deadlock;
}

void X86Processor::execute_one() {
  begun_ = true;
  iterations_left_ = kMostIterations;
  const bool single_step = (state_.rflags & kFlagTf) != 0;
  for (unsigned attempts = 0; attempts < kMostAttempts; ++attempts) {
    const std::uint64_t start = pc();
    const Obstacle obstacle = attempt();
    switch (obstacle.kind) {
      case Obstacle::Kind::Stop:
        return;
      case Obstacle::Kind::Exception:
        handle_event(obstacle.event, false);
        return;
      case Obstacle::Kind::None:
        complete(start);
        if (single_step && !suppress_single_step_ && context_.request.stop == StopReason::None) {
          handle_event({.kind = EventKind::HardwareException, .vector = kDebugException}, false);
        }
        return;
      case Obstacle::Kind::Exit:
        break;
    }
    leave_guest(obstacle.exit, std::nullopt);
    if (context_.request.stop != StopReason::None) return;
    const std::uint64_t after = pc();
    if (after != start)
      context_.events.micro(InstructionRetired{.pc = {start}, .next_pc = {after}});  // By the VMM's emulation.
    if (const auto injected = vmx_.take_injected()) {
      handle_event(*injected, true);
      return;
    }
    if (after != start || state_.activity != ActivityState::Active) return;
  }
  static_cast<void>(unsupported("the guest leaves for its VMM again and again at one instruction"));
}

Obstacle X86Processor::attempt() {
  const bool resumed = take_resumed();
  if (resumed)
    accesses_.resume_instruction();
  else
    accesses_.begin_instruction();
  refusal_.reset();
  next_interruptibility_ = 0;
  keep_resume_flag_ = false;
  suppress_single_step_ = false;
  if (Obstacle obstacle = resumed ? read_instruction(wrap(pc())) : fetch(pc())) return obstacle;
  if (instruction_.length == 0) return op_undefined();
  switch (instruction_.operation) {
    case Operation::InnocuousFloatingPoint:
      if (Obstacle obstacle = check_floating_point()) return obstacle;
      return execute_innocuous();
    case Operation::Innocuous:
      return execute_innocuous();
    case Operation::InnocuousRepeated:
      return execute_repeated();
    default:
      return execute_own();
  }
}

void X86Processor::complete(std::uint64_t start) {
  if (!keep_resume_flag_) state_.rflags &= ~kFlagRf;
  state_.interruptibility = next_interruptibility_;
  if (context_.events.wants_micro_events()) context_.events.micro(InstructionRetired{.pc = {start}, .next_pc = {pc()}});
}

// --- fetch -----------------------------------------------------------------------------------------------------------

Obstacle X86Processor::fetch(std::uint64_t at) {
  const VirtualAddress address = wrap(at);
  PageTranslation translation;
  if (Obstacle obstacle = translate(address, AccessKind::Fetch, {}, translation)) return obstacle;
  accesses_.set_fetched(0, address, translation);
  if (Obstacle obstacle = read_instruction(address)) return obstacle;
  if (context_.events.wants_micro_events()) {
    context_.events.micro(InstructionFetched{.pc = address,
                                             .physical_address = translation.physical,
                                             .length = instruction_.length,
                                             .bytes = bytes_,
                                             .classification = instruction_.classification,
                                             .address_space = state_.pcid()});
  }
  model_fetch(address);
  return {};
}

/// Reads and decodes what has been fetched, translating the next page where the instruction reaches into it.
Obstacle X86Processor::read_instruction(VirtualAddress address) {
  const auto read = [&](const PageTranslation& from, std::span<std::uint8_t> out) {
    const std::span<const std::uint8_t> frame = context_.memory.frame(frame_number(from.physical));
    if (frame.empty())
      std::fill(out.begin(), out.end(), std::uint8_t{0xff});  // Nobody answers on the bus.
    else
      std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(from.physical.value % kFrameBytes), out.size(),
                  out.begin());
  };
  const PageTranslation& translation = accesses_.fetched(0);
  const bool sixty_four = state_.sixty_four_bit_mode();
  const std::size_t in_page = std::min<std::size_t>(bytes_.size(), kFrameBytes - address.value % kFrameBytes);
  read(translation, std::span(bytes_).first(in_page));
  const std::uint64_t key = translation.physical.value << 1 | (sixty_four ? 1 : 0);
  DecodedLine& line = decoded_[(key ^ key >> 12) % kDecodedLines];
  if (line.key == key && line.instruction.length <= in_page &&
      std::memcmp(line.bytes.data(), bytes_.data(), line.instruction.length) == 0) {
    instruction_ = line.instruction;
  } else {
    instruction_ = decode(std::span(bytes_).first(in_page), sixty_four);
    if (instruction_.truncated && in_page < bytes_.size()) {
      const VirtualAddress next = wrap(address.value + in_page);
      PageTranslation second;
      if (Obstacle obstacle = translate(next, AccessKind::Fetch, {}, second)) return obstacle;
      accesses_.set_fetched(1, next, second);
      read(second, std::span(bytes_).subspan(in_page));
      instruction_ = decode(bytes_, sixty_four);
    }
    if (instruction_.length != 0 && instruction_.length <= in_page) line = {key, bytes_, instruction_};
  }
  if (instruction_.truncated) return fault(kGeneralProtection, 0);  // Longer than 15 bytes.
  return {};
}

void X86Processor::model_fetch(VirtualAddress address) {
  if (!context_.memory_path.models_on()) return;
  const std::size_t in_page = kFrameBytes - address.value % kFrameBytes;
  const unsigned length = std::max<unsigned>(instruction_.length, 1);
  const unsigned first = std::min<unsigned>(length, static_cast<unsigned>(in_page));
  const PageTranslation& translation = accesses_.fetched(0);
  context_.memory_path.program_access(address, translation.physical, first, AccessKind::Fetch, translation.page_size);
  if (first == length) return;
  const PageTranslation& second = accesses_.fetched(1);
  context_.memory_path.program_access(wrap(address.value + first), second.physical, length - first, AccessKind::Fetch,
                                      second.page_size);
}

// --- innocuous instructions ------------------------------------------------------------------------------------------

Obstacle X86Processor::execute_innocuous() {
  if (Obstacle obstacle = step_engine()) return obstacle;
  accesses_.commit_accesses();
  return {};
}

Obstacle X86Processor::step_engine() {
  const EngineOutcome outcome = accesses_.step_one();
  switch (outcome.stop) {
    case EngineStop::Completed:
      return {};
    case EngineStop::FillRefused:
      if (!refusal_) return unsupported("the engine fetches beyond the instruction");
      return obstacle_of(at_exact_address(*refusal_, outcome.refused_address),
                         is_stack_reference(outcome.refused_address));
    case EngineStop::NativeException:
      return engine_exception(outcome.exception);
    default:
      return op_undefined();
  }
}

/// The engine asks for pages; what it was refused for knows the byte.
TranslateResult X86Processor::at_exact_address(TranslateResult result, VirtualAddress address) {
  constexpr std::uint64_t kFinalAddress = 1U << 8;  // EPT qualification: not for a page-table entry of the guest's.
  constexpr std::uint64_t kOffset = kFrameBytes - 1;
  if (auto* page_fault = std::get_if<PageFault>(&result)) page_fault->address = address;
  if (auto* non_canonical = std::get_if<NonCanonical>(&result)) non_canonical->address = address;
  if (auto* ept = std::get_if<EptFault>(&result)) {
    ept->linear = address;
    const bool final_address = ept->misconfiguration || (ept->qualification & kFinalAddress) != 0;
    if (final_address) ept->guest_physical.value = (ept->guest_physical.value & ~kOffset) | (address.value & kOffset);
  }
  return result;
}

Obstacle X86Processor::engine_exception(std::uint32_t vector) {
  const auto number = static_cast<std::uint8_t>(vector);
  const bool with_code =
      number == kDoubleFault || (number >= kInvalidTss && number <= kPageFault) || number == kAlignmentCheck;
  return with_code ? fault(number, 0) : fault(number);
}

// A repeated string instruction does up to kMostIterations a step, retries after VM exits included; where more remain,
// the PC stays on it, and the next step goes on. The same at every observation level and under every technique.
Obstacle X86Processor::execute_repeated() {
  const std::uint64_t start = pc();
  const std::uint64_t mask = instruction_.address_size == 8   ? ~std::uint64_t{0}
                             : instruction_.address_size == 4 ? 0xffffffff
                                                              : 0xffff;
  const std::uint64_t count = general(1) & mask;
  std::uint64_t remaining = count;
  Obstacle obstacle;
  do {
    accesses_.forget_accesses();
    obstacle = step_engine();
    if (obstacle) break;
    accesses_.commit_accesses();
    const std::uint64_t before = std::exchange(remaining, general(1) & mask);
    iterations_left_ -= before - remaining;  // The engine may need one turn more to see that none remains.
  } while (pc() == start && (iterations_left_ != 0 || remaining == 0));
  if (count != remaining) {
    context_.events.micro(RepIterated{.pc = {start}, .iterations = count - remaining, .remaining = remaining});
  }
  return obstacle;
}

/// The same as check_floating_point(), without a word.
bool X86Processor::floating_point_permitted(FloatingPointUse use) const {
  const std::uint64_t cr0 = state_.cr0;
  if (use == FloatingPointUse::Wait) return (cr0 & (kCr0Mp | kCr0Ts)) != (kCr0Mp | kCr0Ts);
  return (cr0 & (kCr0Em | kCr0Ts)) == 0 && (use != FloatingPointUse::Sse || (state_.cr4 & kCr4Osfxsr) != 0);
}

Obstacle X86Processor::check_floating_point() {
  const std::uint64_t cr0 = state_.cr0;
  switch (floating_point_use(instruction_)) {
    case FloatingPointUse::None:
      return {};
    case FloatingPointUse::X87:
    case FloatingPointUse::SaveRestore:
      if (!check(CheckId::TaskSwitched, (cr0 & (kCr0Em | kCr0Ts)) == 0, cr0 & (kCr0Em | kCr0Ts), 0))
        return fault(kDeviceNotAvailable);
      return {};
    case FloatingPointUse::Wait: {
      const std::uint64_t both = kCr0Mp | kCr0Ts;
      if (!check(CheckId::TaskSwitched, (cr0 & both) != both, cr0 & both, 0)) return fault(kDeviceNotAvailable);
      return {};
    }
    case FloatingPointUse::Mmx:
      if (!check(CheckId::FloatingPointEnabled, (cr0 & kCr0Em) == 0, cr0 & kCr0Em, 0)) return fault(kInvalidOpcode);
      break;
    case FloatingPointUse::Sse: {
      const std::uint64_t actual = (cr0 & kCr0Em) | (state_.cr4 & kCr4Osfxsr);
      if (!check(CheckId::FloatingPointEnabled, actual == kCr4Osfxsr, actual, kCr4Osfxsr)) return fault(kInvalidOpcode);
      break;
    }
  }
  if (!check(CheckId::TaskSwitched, (cr0 & kCr0Ts) == 0, cr0 & kCr0Ts, 0)) return fault(kDeviceNotAvailable);
  return {};
}

std::uint64_t X86Processor::floating_point_policy() const {
  return (state_.cr0 & (kCr0Em | kCr0Ts | kCr0Mp)) | (state_.cr4 & kCr4Osfxsr);
}

// --- what the engine's accesses ask ----------------------------------------------------------------------------------

std::optional<PageTranslation> X86Processor::translate_access(VirtualAddress address, AccessKind kind) {
  const TranslateResult result = mmu_.translate(request_for(address, kind));
  if (const auto* translation = std::get_if<Translation>(&result)) return page_translation(*translation);
  refusal_ = result;
  return std::nullopt;
}

std::optional<PageTranslation> X86Processor::probe_access(VirtualAddress address, AccessKind kind) {
  const std::optional<Translation> translation = mmu_.probe(request_for(address, kind));
  return translation ? std::optional(page_translation(*translation)) : std::nullopt;
}

/// Whether an access of the current instruction goes through SS: those that are not canonical raise #SS, not #GP.
bool X86Processor::is_stack_reference(VirtualAddress address) const {
  for (const DecodedOperand& operand : instruction_.operands) {
    if (operand.kind != DecodedOperand::Kind::Memory) continue;
    const std::uint64_t offset = effective_offset(operand);
    if (address.value - offset < 64 || address.value >> 12 == offset >> 12) return operand.segment == kSs;
  }
  const std::uint16_t opcode = instruction_.opcode;
  return (opcode & 0xfff0) == 0x50 || opcode == 0x68 || opcode == 0x6a || opcode == 0x8f || opcode == 0xe8 ||
         (opcode >= 0xc2 && opcode <= 0xc3) || (opcode >= 0xc8 && opcode <= 0xc9) ||
         (opcode == 0xff && (instruction_.extension == 2 || instruction_.extension == 6));
}

bool X86Processor::stops_direct_run(const DecodedInstruction& instruction) const {
  switch (instruction.operation) {
    case Operation::Innocuous:
      return false;
    case Operation::InnocuousFloatingPoint:
      return !floating_point_permitted(floating_point_use(instruction));
    default:
      return true;
  }
}

EngineClient::BlockPlan X86Processor::plan_block(VirtualAddress, std::span<const std::uint8_t> bytes) {
  EngineClient::BlockPlan plan;
  const bool sixty_four = state_.sixty_four_bit_mode();
  for (std::uint32_t offset = 0; offset < bytes.size(); ++plan.instructions) {
    const DecodedInstruction instruction = decode(bytes.subspan(offset), sixty_four);
    if (instruction.length == 0 || stops_direct_run(instruction)) {
      plan.stopper = offset;
      break;
    }
    offset += instruction.length;
  }
  return plan;
}

std::uint32_t X86Processor::instructions_before(VirtualAddress, std::span<const std::uint8_t> bytes,
                                                std::uint32_t offset) {
  const bool sixty_four = state_.sixty_four_bit_mode();
  std::uint32_t count = 0;
  for (std::uint32_t at = 0; at < offset && at < bytes.size(); ++count) {
    const std::uint8_t length = decode(bytes.subspan(at), sixty_four).length;
    if (length == 0) break;
    at += length;
  }
  return count;
}

// --- observed execution ----------------------------------------------------------------------------------------------

// Instructions that touch memory otherwise than by plain loads and stores are stepped: the engine looks such pages up
// without telling of an access.
namespace {

bool has_plain_accesses(const DecodedInstruction& instruction) {
  const auto is_memory = [](const DecodedOperand& operand) { return operand.kind == DecodedOperand::Kind::Memory; };
  if (std::none_of(instruction.operands.begin(), instruction.operands.end(), is_memory)) return true;
  if (instruction.lock) return false;
  const FloatingPointUse use = floating_point_use(instruction);
  if (use == FloatingPointUse::X87 || use == FloatingPointUse::SaveRestore) return false;
  constexpr std::array<std::uint16_t, 8> kExchanges{0x86,   0x87,     // XCHG
                                                    0x0fb0, 0x0fb1,   // CMPXCHG
                                                    0x0fc0, 0x0fc1,   // XADD
                                                    0x0fc7, 0x0ff7};  // CMPXCHG8B; MASKMOVQ
  return std::find(kExchanges.begin(), kExchanges.end(), instruction.opcode) == kExchanges.end();
}

}  // namespace

bool X86Processor::observable(VirtualAddress, std::span<const std::uint8_t> bytes) {
  const DecodedInstruction instruction = decode(bytes, state_.sixty_four_bit_mode());
  return instruction.length == bytes.size() && !stops_direct_run(instruction) && has_plain_accesses(instruction);
}

// --- direct execution ------------------------------------------------------------------------------------------------

bool X86Processor::must_step() const {
  if (state_.activity != ActivityState::Active || state_.interruptibility != 0) return true;
  if ((state_.rflags & (kFlagTf | kFlagRf)) != 0) return true;
  if (interruptible() && window_exiting()) return true;
  return (interruptible() || vmx_.in_non_root()) && apic_.pending_vector().has_value();
}

/// One run of the engine, as far as nothing can happen that is not the engine's business.
EngineOutcome X86Processor::run_engine(StepIndex target, bool observed) {
  VirtualTime& time = context_.time;
  std::uint64_t budget = target - time.step;
  if (const auto expiry = apic_.next_expiry()) budget = std::min(budget, *expiry - time.guest_ticks());
  if (planned_policy_ != floating_point_policy()) {
    context_.engine.forget_plans();
    planned_policy_ = floating_point_policy();
  }
  const EngineOutcome outcome = accesses_.run(budget, observed);
  if (outcome.instructions == 0) return outcome;
  time.step += outcome.instructions;
  context_.events.begin_step(time.step - 1);
  context_.events.set_actor(actor(), privilege());
  apic_.advance();
  return outcome;
}

}  // namespace shearling::x86
