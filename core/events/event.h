// SPDX-License-Identifier: GPL-3.0-or-later
//
// Everything that the machine does is told as events, and views, lessons, exporters, statistics and tests consume this
// stream and nothing else. An event is a plain value. This header is the one table of them: each payload names itself
// (kName, as lessons and exports spell it), its fields, and the sentence that narrates it: {field} is replaced by the
// value, {field?words|other words} by the words when the field is set (true, not 0, not empty) and the others if not.
// ISA-specific words (register names, exit reasons, check sentences) come in as string_views into static tables of the
// ISA module: an event never owns memory.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

#include "cache-sim/address.h"

namespace shearling {

/// Instructions begun since the machine started: the virtual time that all runs of one guest share. The index of a
/// step is the number of instructions begun before it.
using StepIndex = std::uint64_t;

/// Who acts. Colours, tracks and words follow from this, in every view.
enum class Actor : std::uint8_t { GuestUser, GuestKernel, Vmm, Hardware };
/// Innocuous instructions run on the engine; the others are executed by the ISA module, check by check.
enum class InstructionClass : std::uint8_t { Innocuous, Privileged, ControlSensitive, BehaviourSensitive };
enum class TrapCause : std::uint8_t { Fault, Trap, Abort, Interrupt, SoftwareInterrupt, SystemCall };
enum class CheckVerdict : std::uint8_t { Passed, Failed, Exits };
/// Where a walk reference or a translation was found.
enum class ServedBy : std::uint8_t { None, PageWalkCache, NestedTlb, L1, L2, LastLevel, Memory };
enum class InvalidationScope : std::uint8_t { Address, AddressSpace, AllButGlobal, VirtualMachine, All };
enum class StopReason : std::uint8_t {
  None,
  ExitPort,
  TripleFault,
  Deadlock,
  Shutdown,
  Unsupported,
  StepLimit,
  Breakpoint,
  Interrupted,
  PowerOff,  ///< The guest switched the machine off, as one does whose work is done.
  Reset,     ///< The guest asked for a restart.
};

std::string_view name_of(Actor);
std::string_view name_of(InstructionClass);
std::string_view name_of(TrapCause);
std::string_view name_of(CheckVerdict);
std::string_view name_of(ServedBy);
std::string_view name_of(InvalidationScope);
std::string_view name_of(StopReason);
std::string_view name_of(AccessKind);
std::string_view name_of(PageSize);

/// How a field is shown. Hex is for addresses and registers, Text for string_views and enumerators.
enum class FieldFormat : std::uint8_t { Decimal, Hex, Flag, Text, Real };

template <typename Payload, typename Member>
struct Field {
  std::string_view name;
  Member Payload::*member;
  FieldFormat format;
};
template <typename Payload, typename Member>
Field(std::string_view, Member Payload::*, FieldFormat) -> Field<Payload, Member>;

// --- instructions ----------------------------------------------------------------------------------------------------

struct InstructionFetched {
  VirtualAddress pc;
  PhysicalAddress physical_address;
  std::uint8_t length = 0;               ///< Bytes.
  std::array<std::uint8_t, 15> bytes{};  ///< The first `length` are meaningful.
  InstructionClass classification = InstructionClass::Innocuous;
  std::uint16_t address_space = 0;  ///< PCID or ASID.
  static constexpr std::string_view kName = "instruction.fetched";
  static constexpr std::string_view kSentence =
      "Fetch {length} bytes at {pc} (physical {physical_address}): {classification}.";
  static constexpr auto fields() {
    using P = InstructionFetched;
    return std::tuple{Field{"pc", &P::pc, FieldFormat::Hex},
                      Field{"physical_address", &P::physical_address, FieldFormat::Hex},
                      Field{"length", &P::length, FieldFormat::Decimal},
                      Field{"classification", &P::classification, FieldFormat::Text},
                      Field{"address_space", &P::address_space, FieldFormat::Decimal}};
  }
};

struct InstructionRetired {
  VirtualAddress pc;
  VirtualAddress next_pc;
  static constexpr std::string_view kName = "instruction.retired";
  static constexpr std::string_view kSentence = "The instruction at {pc} is complete; the next is at {next_pc}.";
  static constexpr auto fields() {
    using P = InstructionRetired;
    return std::tuple{Field{"pc", &P::pc, FieldFormat::Hex}, Field{"next_pc", &P::next_pc, FieldFormat::Hex}};
  }
};

struct RepIterated {
  VirtualAddress pc;
  std::uint64_t iterations = 0;  ///< Done in this step.
  std::uint64_t remaining = 0;   ///< Count register after them.
  static constexpr std::string_view kName = "instruction.rep";
  static constexpr std::string_view kSentence =
      "The repeated string instruction at {pc} did {iterations} iterations; {remaining} remain.";
  static constexpr auto fields() {
    using P = RepIterated;
    return std::tuple{Field{"pc", &P::pc, FieldFormat::Hex}, Field{"iterations", &P::iterations, FieldFormat::Decimal},
                      Field{"remaining", &P::remaining, FieldFormat::Decimal}};
  }
};

// --- checks, traps, privilege ----------------------------------------------------------------------------------------

/// What was compared with what. `sentence` comes from the ISA's table of checks and may use {actual} and {required}.
struct Check {
  std::string_view name;
  std::string_view sentence;
  std::uint64_t actual = 0;
  std::uint64_t required = 0;
  CheckVerdict verdict = CheckVerdict::Passed;
  static constexpr std::string_view kName = "check";
  static constexpr std::string_view kSentence = "{sentence}: {verdict}.";
  static constexpr auto fields() {
    using P = Check;
    return std::tuple{Field{"name", &P::name, FieldFormat::Text}, Field{"sentence", &P::sentence, FieldFormat::Text},
                      Field{"actual", &P::actual, FieldFormat::Hex}, Field{"required", &P::required, FieldFormat::Hex},
                      Field{"verdict", &P::verdict, FieldFormat::Text}};
  }
};

struct TrapRaised {
  std::string_view name;  ///< "#PF", "#GP", "IRQ 32", "SYSCALL", ...
  TrapCause cause = TrapCause::Fault;
  bool has_error_code = false;
  std::uint32_t vector = 0;
  std::uint32_t error_code = 0;
  VirtualAddress pc;
  VirtualAddress fault_address;  ///< Meaningful for page faults.
  static constexpr std::string_view kName = "trap.raised";
  static constexpr std::string_view kSentence =
      "{name} ({cause}, vector {vector}) is raised at {pc}{has_error_code?, error code {error_code}|}{fault_address?, "
      "address {fault_address}|}.";
  static constexpr auto fields() {
    using P = TrapRaised;
    return std::tuple{Field{"name", &P::name, FieldFormat::Text},
                      Field{"cause", &P::cause, FieldFormat::Text},
                      Field{"vector", &P::vector, FieldFormat::Decimal},
                      Field{"has_error_code", &P::has_error_code, FieldFormat::Flag},
                      Field{"error_code", &P::error_code, FieldFormat::Hex},
                      Field{"pc", &P::pc, FieldFormat::Hex},
                      Field{"fault_address", &P::fault_address, FieldFormat::Hex}};
  }
};

struct TrapDelivered {
  std::string_view name;
  std::uint32_t vector = 0;
  std::uint8_t from_privilege = 0;  ///< Ring (x86) or exception level (Arm).
  std::uint8_t to_privilege = 0;
  VirtualAddress handler;
  VirtualAddress stack;  ///< Stack pointer after the frame was pushed.
  static constexpr std::string_view kName = "trap.delivered";
  static constexpr std::string_view kSentence =
      "{name} is delivered: privilege {from_privilege} to {to_privilege}, handler {handler}, stack {stack}.";
  static constexpr auto fields() {
    using P = TrapDelivered;
    return std::tuple{Field{"name", &P::name, FieldFormat::Text},
                      Field{"vector", &P::vector, FieldFormat::Decimal},
                      Field{"from_privilege", &P::from_privilege, FieldFormat::Decimal},
                      Field{"to_privilege", &P::to_privilege, FieldFormat::Decimal},
                      Field{"handler", &P::handler, FieldFormat::Hex},
                      Field{"stack", &P::stack, FieldFormat::Hex}};
  }
};

struct TrapReturned {
  std::string_view name;  ///< The returning instruction: "IRETQ", "SYSRET", "ERET".
  std::uint8_t from_privilege = 0;
  std::uint8_t to_privilege = 0;
  VirtualAddress pc;
  static constexpr std::string_view kName = "trap.returned";
  static constexpr std::string_view kSentence =
      "{name} returns from privilege {from_privilege} to {to_privilege} at {pc}.";
  static constexpr auto fields() {
    using P = TrapReturned;
    return std::tuple{
        Field{"name", &P::name, FieldFormat::Text}, Field{"from_privilege", &P::from_privilege, FieldFormat::Decimal},
        Field{"to_privilege", &P::to_privilege, FieldFormat::Decimal}, Field{"pc", &P::pc, FieldFormat::Hex}};
  }
};

struct PrivilegeChanged {
  std::uint8_t from = 0;
  std::uint8_t to = 0;
  std::string_view reason;
  static constexpr std::string_view kName = "privilege.changed";
  static constexpr std::string_view kSentence = "Privilege changes from {from} to {to}: {reason}.";
  static constexpr auto fields() {
    using P = PrivilegeChanged;
    return std::tuple{Field{"from", &P::from, FieldFormat::Decimal}, Field{"to", &P::to, FieldFormat::Decimal},
                      Field{"reason", &P::reason, FieldFormat::Text}};
  }
};

struct ModeChanged {
  std::string_view from;
  std::string_view to;
  static constexpr std::string_view kName = "mode.changed";
  static constexpr std::string_view kSentence = "The processor changes from {from} to {to}.";
  static constexpr auto fields() {
    using P = ModeChanged;
    return std::tuple{Field{"from", &P::from, FieldFormat::Text}, Field{"to", &P::to, FieldFormat::Text}};
  }
};

/// A register that the ISA module wrote (system registers, and results of instructions it executed itself).
struct RegisterWritten {
  std::string_view name;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  static constexpr std::string_view kName = "register.written";
  static constexpr std::string_view kSentence = "{name} changes from {before} to {after}.";
  static constexpr auto fields() {
    using P = RegisterWritten;
    return std::tuple{Field{"name", &P::name, FieldFormat::Text}, Field{"before", &P::before, FieldFormat::Hex},
                      Field{"after", &P::after, FieldFormat::Hex}};
  }
};

// --- virtualization --------------------------------------------------------------------------------------------------

struct VmExit {
  std::uint32_t reason = 0;  ///< Basic exit reason number of the architecture.
  std::string_view name;     ///< "CPUID", "EPT violation", ...
  std::uint64_t qualification = 0;
  VirtualAddress guest_pc;
  std::uint32_t instruction_length = 0;  ///< Bytes; 0 where the exit has none.
  GuestPhysicalAddress guest_physical_address;
  static constexpr std::string_view kName = "vm.exit";
  static constexpr std::string_view kSentence =
      "VM exit, reason {reason} ({name}), qualification {qualification}, guest PC {guest_pc}{guest_physical_address?, "
      "guest-physical {guest_physical_address}|}.";
  static constexpr auto fields() {
    using P = VmExit;
    return std::tuple{Field{"reason", &P::reason, FieldFormat::Decimal},
                      Field{"name", &P::name, FieldFormat::Text},
                      Field{"qualification", &P::qualification, FieldFormat::Hex},
                      Field{"guest_pc", &P::guest_pc, FieldFormat::Hex},
                      Field{"instruction_length", &P::instruction_length, FieldFormat::Decimal},
                      Field{"guest_physical_address", &P::guest_physical_address, FieldFormat::Hex}};
  }
};

/// One named, costed thing that the VMM does. `sentence` may use {a} and {b}.
struct VmmAction {
  std::string_view name;
  std::string_view sentence;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint32_t cost = 0;  ///< Cycles.
  static constexpr std::string_view kName = "vmm.action";
  static constexpr std::string_view kSentence = "VMM: {sentence} ({cost} cycles).";
  static constexpr auto fields() {
    using P = VmmAction;
    return std::tuple{Field{"name", &P::name, FieldFormat::Text}, Field{"sentence", &P::sentence, FieldFormat::Text},
                      Field{"a", &P::a, FieldFormat::Hex}, Field{"b", &P::b, FieldFormat::Hex},
                      Field{"cost", &P::cost, FieldFormat::Decimal}};
  }
};

struct VmEntry {
  VirtualAddress guest_pc;
  bool injects = false;
  std::uint32_t injected_vector = 0;
  std::uint32_t checks_passed = 0;
  static constexpr std::string_view kName = "vm.entry";
  static constexpr std::string_view kSentence =
      "VM entry at {guest_pc} after {checks_passed} checks{injects?; it injects vector {injected_vector}|}.";
  static constexpr auto fields() {
    using P = VmEntry;
    return std::tuple{Field{"guest_pc", &P::guest_pc, FieldFormat::Hex},
                      Field{"injects", &P::injects, FieldFormat::Flag},
                      Field{"injected_vector", &P::injected_vector, FieldFormat::Decimal},
                      Field{"checks_passed", &P::checks_passed, FieldFormat::Decimal}};
  }
};

struct Hypercall {
  std::uint64_t number = 0;
  std::uint64_t argument = 0;
  std::uint64_t result = 0;
  static constexpr std::string_view kName = "hypercall";
  static constexpr std::string_view kSentence = "Hypercall {number} with argument {argument} gives {result}.";
  static constexpr auto fields() {
    using P = Hypercall;
    return std::tuple{Field{"number", &P::number, FieldFormat::Decimal},
                      Field{"argument", &P::argument, FieldFormat::Hex}, Field{"result", &P::result, FieldFormat::Hex}};
  }
};

// --- translation -----------------------------------------------------------------------------------------------------

struct WalkBegin {
  VirtualAddress virtual_address;
  AccessKind access = AccessKind::Read;
  std::uint8_t guest_levels = 0;   ///< Levels of stage 1; 0 where paging is off.
  std::uint8_t nested_levels = 0;  ///< Levels of stage 2; 0 where there is none.
  std::uint64_t root = 0;          ///< Stage-1 root (CR3, TTBR).
  static constexpr std::string_view kName = "walk.begin";
  static constexpr std::string_view kSentence =
      "A page walk begins for the {access} of {virtual_address}: {guest_levels?{guest_levels} guest levels|no guest "
      "levels (paging is off)}, {nested_levels?{nested_levels} nested|no nested ones}.";
  static constexpr auto fields() {
    using P = WalkBegin;
    return std::tuple{
        Field{"virtual_address", &P::virtual_address, FieldFormat::Hex}, Field{"access", &P::access, FieldFormat::Text},
        Field{"guest_levels", &P::guest_levels, FieldFormat::Decimal},
        Field{"nested_levels", &P::nested_levels, FieldFormat::Decimal}, Field{"root", &P::root, FieldFormat::Hex}};
  }
};

/// One reference of a walk, made or skipped. A grid of (guest_level, nested_level) holds them all: guest_level counts
/// down from the root (4..1), 0 is the column of the data's own address; nested_level counts down (4..1), 0 is the row
/// of the guest's own entry.
struct WalkReference {
  std::uint8_t number = 0;  ///< From 1 in the order made; 0 when a page-walk cache or nested TLB skipped it.
  std::uint8_t stage = 1;
  std::uint8_t guest_level = 0;
  std::uint8_t nested_level = 0;
  ServedBy served_by = ServedBy::None;
  PhysicalAddress address;          ///< Of the entry, on the memory bus.
  std::uint64_t entry = 0;          ///< Raw entry as read.
  std::uint64_t input_address = 0;  ///< What this stage translates: VA (stage 1) or guest-physical (stage 2).
  std::string_view entry_name;      ///< "PML4E", "EPT PDE", ...
  std::uint32_t latency = 0;        ///< Cycles.
  static constexpr std::string_view kName = "walk.reference";
  static constexpr std::string_view kSentence =
      "{number?Reference {number}: {entry_name} at {address} holds {entry} (stage {stage}, served by {served_by}, "
      "{latency} cycles)|Not needed: the {entry_name} (stage {stage}), thanks to the {served_by}}.";
  static constexpr auto fields() {
    using P = WalkReference;
    return std::tuple{Field{"number", &P::number, FieldFormat::Decimal},
                      Field{"stage", &P::stage, FieldFormat::Decimal},
                      Field{"guest_level", &P::guest_level, FieldFormat::Decimal},
                      Field{"nested_level", &P::nested_level, FieldFormat::Decimal},
                      Field{"served_by", &P::served_by, FieldFormat::Text},
                      Field{"address", &P::address, FieldFormat::Hex},
                      Field{"entry", &P::entry, FieldFormat::Hex},
                      Field{"input_address", &P::input_address, FieldFormat::Hex},
                      Field{"entry_name", &P::entry_name, FieldFormat::Text},
                      Field{"latency", &P::latency, FieldFormat::Decimal}};
  }
};

struct WalkEnd {
  VirtualAddress virtual_address;
  PhysicalAddress physical_address;       ///< Meaningful when it did not fault.
  PageSize page_size = PageSize::Size4K;  ///< Effective: the smaller of the two stages' sizes.
  bool faulted = false;
  std::uint8_t references = 0;  ///< References made.
  std::uint8_t skipped = 0;     ///< References that page-walk caches and nested TLB made unnecessary.
  std::uint32_t latency = 0;    ///< Cycles.
  static constexpr std::string_view kName = "walk.end";
  static constexpr std::string_view kSentence =
      "The walk of {virtual_address} ends after {references} references ({skipped} skipped, {latency} cycles) "
      "{faulted?with a fault|at {physical_address}, page size {page_size}}.";
  static constexpr auto fields() {
    using P = WalkEnd;
    return std::tuple{Field{"virtual_address", &P::virtual_address, FieldFormat::Hex},
                      Field{"physical_address", &P::physical_address, FieldFormat::Hex},
                      Field{"page_size", &P::page_size, FieldFormat::Text},
                      Field{"faulted", &P::faulted, FieldFormat::Flag},
                      Field{"references", &P::references, FieldFormat::Decimal},
                      Field{"skipped", &P::skipped, FieldFormat::Decimal},
                      Field{"latency", &P::latency, FieldFormat::Decimal}};
  }
};

struct TlbLookup {
  std::string_view structure;  ///< "L1 ITLB 4K", "L1 DTLB 2M", "L2 TLB", ...
  VirtualAddress virtual_address;
  bool hit = false;
  std::uint16_t set = 0;
  std::uint16_t way = 0;  ///< Meaningful on a hit.
  static constexpr std::string_view kName = "tlb.lookup";
  static constexpr std::string_view kSentence =
      "{structure} looks up {virtual_address} in set {set}: {hit?hit in way {way}|miss}.";
  static constexpr auto fields() {
    using P = TlbLookup;
    return std::tuple{Field{"structure", &P::structure, FieldFormat::Text},
                      Field{"virtual_address", &P::virtual_address, FieldFormat::Hex},
                      Field{"hit", &P::hit, FieldFormat::Flag}, Field{"set", &P::set, FieldFormat::Decimal},
                      Field{"way", &P::way, FieldFormat::Decimal}};
  }
};

struct TlbFill {
  std::string_view structure;
  VirtualAddress page;
  PhysicalAddress frame;
  PageSize page_size = PageSize::Size4K;
  std::uint16_t address_space = 0;    ///< PCID or ASID.
  std::uint16_t virtual_machine = 0;  ///< VPID or VMID.
  std::uint16_t set = 0;
  std::uint16_t way = 0;
  static constexpr std::string_view kName = "tlb.fill";
  static constexpr std::string_view kSentence =
      "{structure} now holds {page} -> {frame} ({page_size}, address space {address_space}, VM {virtual_machine}) in "
      "set {set}, way {way}.";
  static constexpr auto fields() {
    using P = TlbFill;
    return std::tuple{Field{"structure", &P::structure, FieldFormat::Text},
                      Field{"page", &P::page, FieldFormat::Hex},
                      Field{"frame", &P::frame, FieldFormat::Hex},
                      Field{"page_size", &P::page_size, FieldFormat::Text},
                      Field{"address_space", &P::address_space, FieldFormat::Decimal},
                      Field{"virtual_machine", &P::virtual_machine, FieldFormat::Decimal},
                      Field{"set", &P::set, FieldFormat::Decimal},
                      Field{"way", &P::way, FieldFormat::Decimal}};
  }
};

struct TlbEvict {
  std::string_view structure;
  VirtualAddress page;
  std::uint16_t set = 0;
  std::uint16_t way = 0;
  static constexpr std::string_view kName = "tlb.evict";
  static constexpr std::string_view kSentence = "{structure} evicts {page} from set {set}, way {way}.";
  static constexpr auto fields() {
    using P = TlbEvict;
    return std::tuple{Field{"structure", &P::structure, FieldFormat::Text}, Field{"page", &P::page, FieldFormat::Hex},
                      Field{"set", &P::set, FieldFormat::Decimal}, Field{"way", &P::way, FieldFormat::Decimal}};
  }
};

struct TlbInvalidate {
  InvalidationScope scope = InvalidationScope::All;
  VirtualAddress address;     ///< Meaningful for scope Address.
  std::uint32_t dropped = 0;  ///< Entries dropped over all structures, page-walk caches included.
  std::string_view reason;    ///< "INVLPG", "MOV CR3", "INVVPID", ...
  static constexpr std::string_view kName = "tlb.invalidate";
  static constexpr std::string_view kSentence =
      "{reason} invalidates translations (scope {scope}{address?, address {address}|}): {dropped} entries dropped.";
  static constexpr auto fields() {
    using P = TlbInvalidate;
    return std::tuple{Field{"scope", &P::scope, FieldFormat::Text}, Field{"address", &P::address, FieldFormat::Hex},
                      Field{"dropped", &P::dropped, FieldFormat::Decimal},
                      Field{"reason", &P::reason, FieldFormat::Text}};
  }
};

struct TftLookup {
  VirtualAddress virtual_address;
  std::uint16_t index = 0;
  bool hit = false;
  static constexpr std::string_view kName = "tft.lookup";
  static constexpr std::string_view kSentence =
      "The translation filter table is asked for the 2 MB region of {virtual_address} at index {index}: {hit?hit, so "
      "it is a superpage|miss}.";
  static constexpr auto fields() {
    using P = TftLookup;
    return std::tuple{Field{"virtual_address", &P::virtual_address, FieldFormat::Hex},
                      Field{"index", &P::index, FieldFormat::Decimal}, Field{"hit", &P::hit, FieldFormat::Flag}};
  }
};

struct TftFill {
  VirtualAddress region;
  std::uint16_t index = 0;
  static constexpr std::string_view kName = "tft.fill";
  static constexpr std::string_view kSentence =
      "The translation filter table marks the 2 MB region {region} as a superpage, index {index}.";
  static constexpr auto fields() {
    using P = TftFill;
    return std::tuple{Field{"region", &P::region, FieldFormat::Hex}, Field{"index", &P::index, FieldFormat::Decimal}};
  }
};

struct TftInvalidate {
  VirtualAddress region;  ///< Meaningful unless everything goes.
  bool all = false;
  static constexpr std::string_view kName = "tft.invalidate";
  static constexpr std::string_view kSentence = "The translation filter table drops {all?everything|{region}}.";
  static constexpr auto fields() {
    using P = TftInvalidate;
    return std::tuple{Field{"region", &P::region, FieldFormat::Hex}, Field{"all", &P::all, FieldFormat::Flag}};
  }
};

// --- caches and memory -----------------------------------------------------------------------------------------------

struct CacheLookup {
  std::string_view cache;  ///< "L1D", "L1I", "L2", "LLC"; "L1D VIPT" for the plain twin beside SEESAW.
  AccessKind access = AccessKind::Read;
  bool walk = false;  ///< A reference of the page walker.
  bool hit = false;
  std::uint8_t way = 0;  ///< Meaningful on a hit.
  std::uint8_t ways_probed = 0;
  std::uint32_t ways_probed_mask = 0;  ///< Bit w set: way w was read.
  std::uint32_t set = 0;
  VirtualAddress virtual_address;  ///< 0 for walk references.
  PhysicalAddress physical_address;
  PageSize page_size = PageSize::Size4K;
  std::uint32_t latency = 0;  ///< Cycles.
  float energy = 0;           ///< Nanojoules.
  static constexpr std::string_view kName = "cache.lookup";
  static constexpr std::string_view kSentence =
      "{cache} is read at set {set} for {physical_address}: {ways_probed} ways probed, {hit?hit in way {way}|miss}, "
      "{latency} cycles, {energy} nJ.";
  static constexpr auto fields() {
    using P = CacheLookup;
    return std::tuple{Field{"cache", &P::cache, FieldFormat::Text},
                      Field{"access", &P::access, FieldFormat::Text},
                      Field{"walk", &P::walk, FieldFormat::Flag},
                      Field{"hit", &P::hit, FieldFormat::Flag},
                      Field{"way", &P::way, FieldFormat::Decimal},
                      Field{"ways_probed", &P::ways_probed, FieldFormat::Decimal},
                      Field{"ways_probed_mask", &P::ways_probed_mask, FieldFormat::Hex},
                      Field{"set", &P::set, FieldFormat::Decimal},
                      Field{"virtual_address", &P::virtual_address, FieldFormat::Hex},
                      Field{"physical_address", &P::physical_address, FieldFormat::Hex},
                      Field{"page_size", &P::page_size, FieldFormat::Text},
                      Field{"latency", &P::latency, FieldFormat::Decimal},
                      Field{"energy", &P::energy, FieldFormat::Real}};
  }
};

struct CacheFill {
  std::string_view cache;
  PhysicalAddress line;
  std::uint32_t set = 0;
  std::uint8_t way = 0;
  static constexpr std::string_view kName = "cache.fill";
  static constexpr std::string_view kSentence = "{cache} takes the line {line} into set {set}, way {way}.";
  static constexpr auto fields() {
    using P = CacheFill;
    return std::tuple{Field{"cache", &P::cache, FieldFormat::Text}, Field{"line", &P::line, FieldFormat::Hex},
                      Field{"set", &P::set, FieldFormat::Decimal}, Field{"way", &P::way, FieldFormat::Decimal}};
  }
};

struct CacheEvict {
  std::string_view cache;
  PhysicalAddress line;
  std::uint32_t set = 0;
  std::uint8_t way = 0;
  bool written_back = false;
  static constexpr std::string_view kName = "cache.evict";
  static constexpr std::string_view kSentence =
      "{cache} evicts the line {line} from set {set}, way {way}{written_back?, and writes it back|}.";
  static constexpr auto fields() {
    using P = CacheEvict;
    return std::tuple{Field{"cache", &P::cache, FieldFormat::Text}, Field{"line", &P::line, FieldFormat::Hex},
                      Field{"set", &P::set, FieldFormat::Decimal}, Field{"way", &P::way, FieldFormat::Decimal},
                      Field{"written_back", &P::written_back, FieldFormat::Flag}};
  }
};

/// A virtually tagged or virtually indexed cache whose aliases nobody handles served what the program did not mean.
struct CacheAlias {
  std::string_view cache;
  std::string_view kind;           ///< "homonym" (another line's data) or "synonym" (a copy older than the last store).
  bool walk = false;               ///< To the page walker.
  VirtualAddress virtual_address;  ///< 0 for walk references.
  PhysicalAddress physical_address;
  static constexpr std::string_view kName = "cache.alias";
  static constexpr std::string_view kSentence =
      "{cache} makes a {kind} error at {virtual_address} (physical {physical_address}): on real hardware {walk?the "
      "page "
      "walker|the program} would now have wrong or outdated data. Here the guest keeps the right bytes.";
  static constexpr auto fields() {
    using P = CacheAlias;
    return std::tuple{Field{"cache", &P::cache, FieldFormat::Text}, Field{"kind", &P::kind, FieldFormat::Text},
                      Field{"walk", &P::walk, FieldFormat::Flag},
                      Field{"virtual_address", &P::virtual_address, FieldFormat::Hex},
                      Field{"physical_address", &P::physical_address, FieldFormat::Hex}};
  }
};

struct MemoryAccess {
  AccessKind access = AccessKind::Read;
  std::uint8_t size = 0;  ///< Bytes.
  VirtualAddress virtual_address;
  PhysicalAddress physical_address;
  std::uint64_t value = 0;          ///< The low 64 bits.
  std::uint16_t address_space = 0;  ///< PCID or ASID.
  static constexpr std::string_view kName = "memory.access";
  static constexpr std::string_view kSentence =
      "{access} of {size} bytes at {virtual_address} (physical {physical_address}): {value}.";
  static constexpr auto fields() {
    using P = MemoryAccess;
    return std::tuple{Field{"access", &P::access, FieldFormat::Text},
                      Field{"size", &P::size, FieldFormat::Decimal},
                      Field{"virtual_address", &P::virtual_address, FieldFormat::Hex},
                      Field{"physical_address", &P::physical_address, FieldFormat::Hex},
                      Field{"value", &P::value, FieldFormat::Hex},
                      Field{"address_space", &P::address_space, FieldFormat::Decimal}};
  }
};

// --- devices, interrupts, console, lesson ----------------------------------------------------------------------------

struct DeviceAccess {
  std::string_view device;  ///< "COM1", "exit port", "local APIC", ...
  bool write = false;
  std::uint8_t size = 0;
  std::uint64_t address = 0;  ///< Port number or physical address.
  std::uint64_t value = 0;
  static constexpr std::string_view kName = "device.access";
  static constexpr std::string_view kSentence =
      "{write?Write to|Read from} {device} at {address}, {size} bytes: {value}.";
  static constexpr auto fields() {
    using P = DeviceAccess;
    return std::tuple{Field{"device", &P::device, FieldFormat::Text}, Field{"write", &P::write, FieldFormat::Flag},
                      Field{"size", &P::size, FieldFormat::Decimal}, Field{"address", &P::address, FieldFormat::Hex},
                      Field{"value", &P::value, FieldFormat::Hex}};
  }
};

struct InterruptRequested {
  std::string_view source;  ///< "local APIC timer", ...
  std::uint32_t vector = 0;
  static constexpr std::string_view kName = "interrupt.requested";
  static constexpr std::string_view kSentence = "{source} requests an interrupt, vector {vector}.";
  static constexpr auto fields() {
    using P = InterruptRequested;
    return std::tuple{Field{"source", &P::source, FieldFormat::Text},
                      Field{"vector", &P::vector, FieldFormat::Decimal}};
  }
};

/// A program read an interrupt controller's acknowledge register: what was pending is active now.
struct InterruptAcknowledged {
  std::uint32_t interrupt = 0;     ///< Its number, as the program reads it.
  std::uint8_t priority = 0;       ///< The lower, the more urgent.
  bool virtual_interface = false;  ///< By a guest, from what its VMM or host put there.
  static constexpr std::string_view kName = "interrupt.acknowledged";
  static constexpr std::string_view kSentence =
      "Interrupt {interrupt} (priority {priority}) is acknowledged at the {virtual_interface?virtual|physical} CPU "
      "interface: it is active now.";
  static constexpr auto fields() {
    using P = InterruptAcknowledged;
    return std::tuple{Field{"interrupt", &P::interrupt, FieldFormat::Decimal},
                      Field{"priority", &P::priority, FieldFormat::Hex},
                      Field{"virtual_interface", &P::virtual_interface, FieldFormat::Flag}};
  }
};

/// A program told an interrupt controller that it is done: the priority is dropped, the interrupt deactivated, or both.
struct InterruptEnded {
  std::uint32_t interrupt = 0;
  bool virtual_interface = false;
  bool deactivated = false;  ///< False where only the running priority drops and deactivation comes later.
  static constexpr std::string_view kName = "interrupt.ended";
  static constexpr std::string_view kSentence =
      "Interrupt {interrupt} is ended at the {virtual_interface?virtual|physical} CPU interface: {deactivated?it is no "
      "longer active|the running priority drops, the interrupt stays active}.";
  static constexpr auto fields() {
    using P = InterruptEnded;
    return std::tuple{Field{"interrupt", &P::interrupt, FieldFormat::Decimal},
                      Field{"virtual_interface", &P::virtual_interface, FieldFormat::Flag},
                      Field{"deactivated", &P::deactivated, FieldFormat::Flag}};
  }
};

struct ConsoleOutput {
  std::uint8_t byte = 0;
  static constexpr std::string_view kName = "console";
  static constexpr std::string_view kSentence = "The guest prints character code {byte}.";
  static constexpr auto fields() { return std::tuple{Field{"byte", &ConsoleOutput::byte, FieldFormat::Decimal}}; }
};

struct LessonMark {
  std::uint32_t mark = 0;
  static constexpr std::string_view kName = "lesson.mark";
  static constexpr std::string_view kSentence = "The guest reaches lesson mark {mark}.";
  static constexpr auto fields() { return std::tuple{Field{"mark", &LessonMark::mark, FieldFormat::Decimal}}; }
};

struct MachineStopped {
  StopReason reason = StopReason::None;
  std::uint32_t code = 0;  ///< Exit status for ExitPort.
  std::string_view detail;
  static constexpr std::string_view kName = "machine.stopped";
  static constexpr std::string_view kSentence = "The machine stops: {reason}, code {code}{detail? ({detail})|}.";
  static constexpr auto fields() {
    using P = MachineStopped;
    return std::tuple{Field{"reason", &P::reason, FieldFormat::Text}, Field{"code", &P::code, FieldFormat::Decimal},
                      Field{"detail", &P::detail, FieldFormat::Text}};
  }
};

using EventPayload =
    std::variant<InstructionFetched, InstructionRetired, RepIterated, Check, TrapRaised, TrapDelivered, TrapReturned,
                 PrivilegeChanged, ModeChanged, RegisterWritten, VmExit, VmmAction, VmEntry, Hypercall, WalkBegin,
                 WalkReference, WalkEnd, TlbLookup, TlbFill, TlbEvict, TlbInvalidate, TftLookup, TftFill, TftInvalidate,
                 CacheLookup, CacheFill, CacheEvict, CacheAlias, MemoryAccess, DeviceAccess, InterruptRequested,
                 InterruptAcknowledged, InterruptEnded, ConsoleOutput, LessonMark, MachineStopped>;

struct Event {
  StepIndex step = 0;
  std::uint32_t ordinal = 0;  ///< From 0 inside the step.
  std::uint16_t vcpu = 0;
  Actor actor = Actor::Hardware;
  std::uint8_t privilege = 0;  ///< Ring or exception level at the event.
  std::uint32_t cycles = 0;    ///< Charged to this event by the cost model.
  EventPayload payload;
};

/// True for the events that are stored in a run file; all others are regenerated by replay.
bool is_notable(const Event& event);

}  // namespace shearling
