// SPDX-License-Identifier: GPL-3.0-or-later
//
// A bare core in 64-bit mode for tests: 4 MB of RAM, identity-mapped with 4 KB pages that rings 0 and 3 may use, a flat
// GDT, an IDT whose gate of vector v leads to handler(v), and a TSS. Tests put instruction bytes at kCode and step.
#pragma once

#include <QByteArray>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/machine/machine_config.h"
#include "isa-x86/cpu/x86_processor.h"

namespace shearling::x86 {

class BareCore {
 public:
  static constexpr std::uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kPt = 0x4000, kGdt = 0x8000,
                                 kIdt = 0x9000, kTss = 0xa000, kRing0Stack = 0xd000, kInterruptStack = 0xe000,
                                 kHandlers = 0x10000, kCode = 0x20000, kUserStack = 0x30000, kData = 0x40000;
  static constexpr std::uint16_t kKernelCode = 0x08, kKernelData = 0x10, kUserCode32 = 0x1b, kUserData = 0x23,
                                 kUserCode = 0x2b, kTssSelector = 0x30;

  explicit BareCore(std::vector<std::string> features = {"nx", "syscall", "pge", "pcid", "invpcid", "smep", "smap",
                                                         "fsgsbase", "rdtscp", "apic", "tsc", "umip"}) {
    config.cpu_features = std::move(features);
    config.ram_bytes = 4 << 20;
    memory_path.set_models_on(true);
    processor = std::make_unique<X86Processor>(
        MachineContext{config, memory, *engine, events, memory_path, devices, request, time}, VmmTechnique::Bare,
        nullptr);
    events.set_sinks(&log, nullptr);
    build_tables();
    enter_ring(0);
  }

  SystemState& state() { return processor->system_state(); }
  std::uint64_t get(unsigned index) { return engine->read(integer_register(index)); }
  void set(unsigned index, std::uint64_t value) { engine->write(integer_register(index), value); }
  std::uint64_t pc() { return processor->program_counter().value; }
  void go_to(std::uint64_t address) { engine->write(program_counter_register(), address); }
  static constexpr std::uint64_t handler(unsigned vector) { return kHandlers + 16 * vector; }
  std::uint64_t quad(std::uint64_t address) { return memory.read({address}, 8); }
  void put_quad(std::uint64_t address, std::uint64_t value) { memory.write({address}, 8, value); }

  void put(std::uint64_t address, const char* hex) {
    const QByteArray bytes = QByteArray::fromHex(hex);
    memory.write_bytes({address}, std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                            static_cast<std::size_t>(bytes.size())));
    engine->invalidate_code({address & ~0xfffULL});
  }
  /// Code at kCode, and the PC there.
  void code(const char* hex) {
    put(kCode, hex);
    go_to(kCode);
  }
  void set_entry(std::uint64_t page, std::uint64_t entry) { put_quad(kPt + 8 * (page >> 12), entry); }

  void enter_ring(unsigned ring) {
    SystemState& s = state();
    s.cpl = ring;
    s.segments[kCs] = {
        .limit = 0xffffffff, .access_rights = 0xa09b | ring << 5, .selector = ring == 0 ? kKernelCode : kUserCode};
    s.segments[kSs] = {
        .limit = 0xffffffff, .access_rights = 0xc093 | ring << 5, .selector = ring == 0 ? kKernelData : kUserData};
    for (const unsigned index : {kDs, kEs, kFs, kGs}) s.segments[index] = {};
    engine->set_mode(ExecutionMode::X86Long64);
    set(4, ring == 0 ? kRing0Stack : kUserStack);
  }

  /// One step; returns the vector of the first trap that it raised, or -1.
  int step() {
    log.events.clear();
    outcome = processor->step();
    for (const Event& event : log.events) {
      if (const auto* trap = std::get_if<TrapRaised>(&event.payload)) {
        last_trap = *trap;
        return static_cast<int>(trap->vector);
      }
    }
    return -1;
  }
  template <typename Payload>
  unsigned count() const {
    unsigned number = 0;
    for (const Event& event : log.events) number += std::holds_alternative<Payload>(event.payload) ? 1 : 0;
    return number;
  }
  /// The check of that name in the last step, or nullptr.
  const Check* find_check(std::string_view name) const {
    for (const Event& event : log.events) {
      const auto* check = std::get_if<Check>(&event.payload);
      if (check != nullptr && check->name == name) return check;
    }
    return nullptr;
  }

  MachineConfig config;
  PhysicalMemory memory{{0}, 4 << 20};
  std::unique_ptr<CpuEngine> engine = make_unicorn_engine(memory, ExecutionMode::X86Protected32);
  EventStream events;
  MemoryPath memory_path{config.translation, config.caches, events};
  DeviceBus devices{events};
  MachineRequest request;
  VirtualTime time;
  EventLog log;
  std::unique_ptr<X86Processor> processor;
  ProcessorOutcome outcome;
  TrapRaised last_trap;

 private:
  void build_tables() {
    constexpr std::uint64_t kAll = 7;  // Present, writable, user.
    put_quad(kPml4, kPdpt | kAll);
    put_quad(kPdpt, kPd | kAll);
    put_quad(kPd, kPt | kAll);
    put_quad(kPd + 8, 0x200000 | kAll | 0x80);
    for (std::uint64_t page = 0; page < 0x200000; page += 0x1000) set_entry(page, page | kAll);
    const std::uint64_t descriptors[] = {0,
                                         0x00af9b000000ffff,
                                         0x00cf93000000ffff,
                                         0x00cffb000000ffff,
                                         0x00cff3000000ffff,
                                         0x00affb000000ffff,
                                         0x0000890000000067 | kTss << 16,
                                         0};
    for (std::size_t i = 0; i < std::size(descriptors); ++i) put_quad(kGdt + 8 * i, descriptors[i]);
    for (unsigned vector = 0; vector < 256; ++vector) set_gate(vector, handler(vector));
    for (unsigned vector = 0; vector < 256; ++vector) memory.write({handler(vector)}, 1, 0x90);
    put_quad(kTss + 4, kRing0Stack);
    put_quad(kTss + 36, kInterruptStack);
    memory.write({kTss + 102}, 2, 104);
    SystemState& s = state();
    s = SystemState{};
    s.cr0 = kCr0Pe | kCr0Pg | kCr0Wp | kCr0Et | kCr0Ne | kCr0Mp;
    s.cr4 = kCr4Pae | kCr4Osfxsr;
    s.efer = kEferLme | kEferLma | kEferSce | kEferNxe;
    s.cr3 = kPml4;
    s.gdtr = {kGdt, sizeof descriptors - 1};
    s.idtr = {kIdt, 256 * 16 - 1};
    s.tr = {.base = kTss, .limit = 0x67, .access_rights = 0x8b, .selector = kTssSelector};
    s.ldtr.access_rights = 1U << 16;
    s.debug[6] = 0xffff0ff0;
    s.debug[7] = 0x400;
  }

 public:
  void set_gate(unsigned vector, std::uint64_t target, unsigned type = 14, unsigned dpl = 0, unsigned stack_table = 0,
                bool present = true) {
    const std::uint64_t low = (target & 0xffff) | std::uint64_t{kKernelCode} << 16 | std::uint64_t{stack_table} << 32 |
                              std::uint64_t{type | dpl << 5 | (present ? 0x80U : 0U)} << 40 |
                              (target >> 16 & 0xffff) << 48;
    put_quad(kIdt + 16 * vector, low);
    put_quad(kIdt + 16 * vector + 8, target >> 32);
  }
};

}  // namespace shearling::x86
