// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two cores for tests, the second one off: 8 MB of RAM, vectors of each level with one NOP each, MMU off or, after
// map_identity(), on for EL1 and EL0 with 4 KB pages. Tests put instruction words at kCode and step.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/machine/machine_config.h"
#include "isa-arm/cpu/arm_processor.h"

namespace shearling::arm {

class BareArmCore {
 public:
  static constexpr std::uint64_t kRam = 0x40000000, kVectors1 = kRam + 0x10000, kVectors2 = kRam + 0x20000,
                                 kCode = kRam + 0x30000, kData = kRam + 0x40000, kStage2 = kRam + 0x50000,
                                 kLevel1 = kRam + 0x60000, kLevel2 = kRam + 0x61000, kLevel3 = kRam + 0x62000;
  static constexpr std::uint64_t kRamBytes = 8 << 20, kPage = 0x703, kUserMayWrite = 1 << 6;
  static constexpr std::uint32_t kSvc = 0xd4000001, kEret = 0xd69f03e0, kNop = 0xd503201f;

  explicit BareArmCore(std::vector<std::string> features = {"el2", "pan", "vhe"}) {
    config.cpu_features = std::move(features);
    config.cpus = 2;
    memory_path.set_models_on(true);
    const MachineContext first{config, memory, *engine, events, memory_path, devices, request, time};
    MachineContext second = first;
    second.cpu = 1;
    system = std::make_shared<ArmSystem>(first, 2, 0);
    core = std::make_unique<ArmProcessor>(first, system, nullptr);
    other = std::make_unique<ArmProcessor>(second, system, nullptr);
    events.set_sinks(&log, nullptr);
    other->start_at({kCode}, 0);
    other->power_off();
    core->start_at({kCode}, 0);
    core->take_engine();
    for (std::uint64_t offset = 0; offset < 0x800; offset += 0x80) {
      memory.write({kVectors1 + offset}, 4, kNop);
      memory.write({kVectors2 + offset}, 4, kNop);
    }
    host().write_register(SystemRegister::VBAR_EL1, kVectors1);
    if (system->has_el2()) host().write_register(SystemRegister::VBAR_EL2, kVectors2);
  }

  HostCore& host() { return *core; }
  ArmState& state() { return host().state(); }
  void set(SystemRegister reg, std::uint64_t value) { host().write_register(reg, value); }
  std::uint64_t get(SystemRegister reg) { return host().read_register(reg); }
  std::uint64_t x(unsigned index) { return host().general(index); }
  void set_x(unsigned index, std::uint64_t value) { host().set_general(index, value); }
  std::uint64_t pc() { return core->program_counter().value; }
  void go_to(std::uint64_t address) { engine->write(program_counter_register(), address); }
  std::uint64_t stack() { return engine->read(integer_register(31)); }
  void set_stack(std::uint64_t value) { engine->write(integer_register(31), value); }
  std::uint64_t quad(std::uint64_t address) { return memory.read({address}, 8); }
  void put_quad(std::uint64_t address, std::uint64_t value) { memory.write({address}, 8, value); }

  /// Only where nothing depends on what changes with the level but the state itself: before anything ran.
  void at(unsigned level, bool select = true) {
    state().exception_level = level;
    state().stack_pointer_select = select && level != 0;
    host().mmu().context_changed();
    core->models_changed();
  }
  /// Words at kCode, and the PC there.
  void code(std::initializer_list<std::uint32_t> words) {
    std::uint64_t address = kCode;
    for (const std::uint32_t word : words) {
      memory.write({address}, 4, word);
      address += 4;
    }
    engine->invalidate_all_code();
    go_to(kCode);
  }
  ProcessorOutcome step() {
    log.events.clear();
    return core->step();
  }
  ProcessorOutcome run(std::initializer_list<std::uint32_t> words) {
    code(words);
    ProcessorOutcome outcome;
    for (std::size_t i = 0; i < words.size(); ++i) outcome = step();
    return outcome;
  }

  /// Stage 1 of EL1&0: the 2 MB at kRam in pages, each as it is, for EL1 only.
  void map_identity() {
    put_quad(kLevel1 + 8, kLevel2 | 3);
    put_quad(kLevel2, kLevel3 | 3);
    for (unsigned i = 0; i < 512; ++i) put_quad(kLevel3 + 8 * i, (kRam + 0x1000 * i) | kPage);
    constexpr std::uint64_t kTcr = 2ULL << 32 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 25;
    set(SystemRegister::MAIR_EL1, 0xff);
    set(SystemRegister::TCR_EL1, kTcr);
    set(SystemRegister::TTBR0_EL1, kLevel1);
    set(SystemRegister::SCTLR_EL1, 0x30d00800 | sctlr::kM | sctlr::kSpan);
  }
  void map(std::uint64_t address, std::uint64_t descriptor) {
    put_quad(kLevel3 + 8 * ((address - kRam) >> 12), descriptor);
  }

  template <typename Payload>
  const Payload* find() const {
    for (const Event& event : log.events) {
      if (const auto* payload = std::get_if<Payload>(&event.payload)) return payload;
    }
    return nullptr;
  }

  MachineConfig config;
  PhysicalMemory memory{{kRam}, kRamBytes};
  std::unique_ptr<CpuEngine> engine = make_unicorn_engine(memory, ExecutionMode::AArch64);
  EventStream events;
  MemoryPath memory_path{config.translation, config.caches, events};
  DeviceBus devices{events};
  MachineRequest request;
  VirtualTime time;
  EventLog log;
  std::shared_ptr<ArmSystem> system;
  std::unique_ptr<ArmProcessor> core, other;
};

}  // namespace shearling::arm
