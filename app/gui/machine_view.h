// SPDX-License-Identifier: GPL-3.0-or-later
//
// Everything the window shows of the machine at one moment, as one immutable value: made on the worker thread, drawn on
// the window's. Its string_views point into static tables of the ISA, or to names that the machine owns: it keeps that
// alive, and looks at nothing else of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/gui/timeline.h"
#include "core/base/result.h"
#include "core/loader/source_lines.h"
#include "core/machine/machine.h"

namespace shearling::gui {

enum class RunState : std::uint8_t { Empty, Paused, Running, Ended };

enum class AddressSpace : std::uint8_t { Virtual, GuestPhysical, Physical };

/// Bytes that a Memory view asked for; shorter than asked where the translation or RAM ends.
struct MemoryWindow {
  AddressSpace space = AddressSpace::Virtual;
  std::uint64_t address = 0;
  std::vector<std::uint8_t> bytes;
  bool operator==(const MemoryWindow&) const = default;
};

struct TlbSlotView {
  unsigned set = 0, way = 0;
  TlbEntry entry;
  bool operator==(const TlbSlotView&) const = default;
};
struct TlbView {
  std::string name;
  unsigned entries = 0, ways = 0;
  std::vector<TlbSlotView> valid;
  bool operator==(const TlbView&) const = default;
};

/// The lines of one cache set that the last step looked into.
struct CacheSetView {
  std::string cache;
  unsigned set = 0;
  std::vector<Cache::Line> ways;
};

/// One cache, for headings and totals.
struct CacheSummary {
  CacheConfig config;
  CacheCounters counters;
  unsigned sets = 0, partitions = 1;
};

struct CacheHierarchyView {
  CacheSummary l1d;
  std::optional<CacheSummary> twin;                ///< The plain VIPT cache on the same references.
  std::vector<TranslationFilterTable::Entry> tft;  ///< Empty unless SEESAW.
  SeesawCounters seesaw;
  std::vector<CacheSetView> sets;
};

/// Where the program stands in its source; no text where the guest has no line table.
struct SourceView {
  std::string file;
  unsigned line = 0;  ///< Of the next instruction; 0: none.
  std::shared_ptr<const std::vector<std::string>> text;
  std::shared_ptr<const SourceLines> lines;
};

/// One core of a machine with several.
struct CpuView {
  std::vector<RegisterRow> registers;
  std::vector<RegisterRow> registers_before;  ///< Before the last step.
};

struct MachineView {
  std::uint64_t completed = 0;  ///< Commands done so far (see MachineSession::post).
  RunState state = RunState::Empty;
  std::string guest;         ///< File name, for headings.
  const Isa* isa = nullptr;  ///< What everything is called; static, null where there is no machine.
  std::string machine;
  VmmTechnique technique = VmmTechnique::Bare;

  StepIndex position = 0;  ///< Steps complete: the index of the next one.
  StepIndex furthest = 0;
  std::uint64_t cycles = 0;
  Stop stop;
  unsigned cpu = 0;       ///< The core that begins the next instruction; what follows is that core's.
  unsigned step_cpu = 0;  ///< The core that did the step before position.
  std::string mode;
  Actor actor = Actor::GuestKernel;
  std::uint8_t privilege = 0;
  VirtualAddress pc;

  std::vector<Event> events;         ///< Of the step before position. Empty at 0 and while running.
  std::vector<std::string> entries;  ///< For each event: the page-table entry bit by bit, or empty.
  std::string instruction;           ///< Disassembly of that step's instruction.
  VirtualAddress instruction_pc;
  std::string symbol;              ///< "main+0x12" of pc; empty where the guest names nothing there.
  std::string instruction_symbol;  ///< The same of instruction_pc.

  std::vector<RegisterRow> registers;
  std::vector<RegisterRow> registers_before;  ///< Before the last step: changes are marked.
  std::vector<CpuView> cpus;                  ///< By number; empty where there is only one.
  std::vector<ControlFieldRow> control;
  std::vector<ControlFieldRow> control_before;
  std::vector<DisassembledInstruction> disassembly;  ///< From pc on.
  SourceView source;
  std::set<std::uint64_t> breakpoints;  ///< Virtual addresses.
  std::vector<TlbView> tlbs;
  std::vector<WalkCacheEntry> walk_caches;
  MemoryPathCounters translation;
  CacheHierarchyView caches;
  std::vector<MemoryWindow> memory;
  std::shared_ptr<const std::string> console;
  std::shared_ptr<const Timeline> timeline;

  std::shared_ptr<const void> keeps;  ///< The machine whose names the events refer to.
  std::string message;                ///< What the last command could not do; shown, never fatal.
  std::optional<Diagnostic> error;    ///< The last load failed.

  [[nodiscard]] unsigned cpu_count() const { return cpus.empty() ? 1 : static_cast<unsigned>(cpus.size()); }
  [[nodiscard]] TechniqueWords words() const {
    return isa == nullptr ? TechniqueWords{} : isa->technique_words(technique);
  }
  /// A VMM of ours, or software of the guest's own at a VMM's level.
  [[nodiscard]] bool has_vmm() const { return technique != VmmTechnique::Bare || !control.empty(); }
  [[nodiscard]] bool guest_is_vmm() const { return technique == VmmTechnique::Bare && has_vmm(); }
  /// "ring 3", "EL1": the level of an actor.
  [[nodiscard]] std::string_view level_name(Actor of) const;
  /// Who a level of privilege belongs to.
  [[nodiscard]] Actor actor_of(std::uint8_t level) const;
};

/// True where the guest ended as one does that is content: it switched the machine off, or said so by its exit code.
bool ended_well(const Stop& stop);

}  // namespace shearling::gui
