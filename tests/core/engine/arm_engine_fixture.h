// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client for engine tests of AArch64, which decodes as far as it must: system instructions, exceptions and exclusives
// are stoppers. Test guests are instruction words, with the assembly beside them.
#pragma once

#include <cstring>
#include <initializer_list>
#include <memory>
#include <set>
#include <vector>

#include "core/memory/physical_memory.h"
#include "tests/core/engine/engine_client.h"

namespace shearling::test {

/// Words of AArch64 code. x1 is the pointer throughout.
namespace a64 {
inline constexpr std::uint32_t kNop = 0xd503201f;         // nop
inline constexpr std::uint32_t kLoad = 0xf9400020;        // ldr x0, [x1]
inline constexpr std::uint32_t kStore = 0xf9000020;       // str x0, [x1]
inline constexpr std::uint32_t kLoadWord = 0xb9400020;    // ldr w0, [x1]
inline constexpr std::uint32_t kStoreWord = 0xb9000020;   // str w0, [x1]
inline constexpr std::uint32_t kLoadByte = 0x39400020;    // ldrb w0, [x1]
inline constexpr std::uint32_t kIncrement0 = 0x91000400;  // add x0, x0, #1
inline constexpr std::uint32_t kIncrement2 = 0x91000442;  // add x2, x2, #1
inline constexpr std::uint32_t kIncrement3 = 0x91000463;  // add x3, x3, #1
inline constexpr std::uint32_t kSvc = 0xd4000001;         // svc #0
inline constexpr std::uint32_t kReturn = 0xd65f03c0;      // ret
/// b, forwards or backwards by whole instructions.
constexpr std::uint32_t branch(int instructions) {
  return 0x14000000 | (static_cast<std::uint32_t>(instructions) & 0x3ffffff);
}
/// movz x0, #value
constexpr std::uint32_t move0(std::uint32_t value) { return 0xd2800000 | value << 5; }
}  // namespace a64

class ArmTestClient final : public RecordingClient {
 public:
  BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) override {
    ++plans;
    BlockPlan plan;
    if (pc.value % 4 != 0) return {0, 0};  // A PC alignment fault.
    for (std::uint32_t offset = 0; offset < bytes.size(); offset += 4) {
      if (offset + 4 > bytes.size() || is_stopper(word_at(bytes, offset))) {
        plan.stopper = offset;
        break;
      }
      ++plan.instructions;
    }
    return plan;
  }
  std::uint32_t instructions_before(VirtualAddress, std::span<const std::uint8_t> bytes, std::uint32_t limit) override {
    return (std::min(limit, static_cast<std::uint32_t>(bytes.size())) + 3) / 4;
  }
  bool observable(VirtualAddress, std::span<const std::uint8_t> bytes) override {
    return observing && !is_stopper(word_at(bytes, 0));
  }
  bool begin_instruction(VirtualAddress pc, unsigned size) override {
    if (size != 4) return false;
    begun.push_back(pc.value);
    return true;
  }
  void observed_access(PhysicalAddress address, AccessKind kind, unsigned size) override {
    observed.push_back({address.value, kind, size, 0});
  }

  bool observing = false;
  std::vector<std::uint64_t> begun;  ///< Observed runs: where instructions began.
  std::vector<Access> observed;
  bool stops = true;                 ///< Without, nothing is a stopper.
  std::set<std::uint32_t> stoppers;  ///< Words that are, besides those that always are.

 private:
  static std::uint32_t word_at(std::span<const std::uint8_t> bytes, std::uint32_t offset) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    return word;
  }
  [[nodiscard]] bool is_stopper(std::uint32_t word) const {
    struct Class {
      std::uint32_t mask, value;
    };
    constexpr std::array<Class, 5> kClasses{{{0xff000000, 0xd4000000},    // exceptions
                                             {0xffc00000, 0xd5000000},    // system
                                             {0xfe800000, 0xd6800000},    // eret, drps
                                             {0x3f000000, 0x08000000},    // exclusives, acquire and release
                                             {0xffff0000, 0x00000000}}};  // udf
    if (!stops) return false;
    if (stoppers.count(word) != 0) return true;
    if (word == a64::kNop || (word & 0xffdfffe0) == 0xd51b4200 || (word & 0xffdfffe0) == 0xd51bd040) return false;
    if ((word & 0xffdfffc0) == 0xd51b4400) return false;  // FPCR and FPSR; above: NZCV and TPIDR_EL0.
    for (const Class& each : kClasses) {
      if ((word & each.mask) == each.value) return true;
    }
    return false;
  }
};

/// RAM, client and engine. As the board has it, RAM begins at 1 GB, with devices below it and above it.
struct ArmRig {
  static constexpr std::uint64_t kRamBase = 0x40000000, kRamFrame = kRamBase / kFrameBytes;
  static constexpr std::uint64_t kCode = 0x400000, kData = 0x500000, kStackTop = 0x601000;
  static constexpr std::uint64_t kLowDevice = 0x700000, kHighDevice = 0x701000;
  static constexpr std::uint64_t kCodeFrame = kRamFrame + 0x10, kDataFrame = kRamFrame + 0x20,
                                 kSecondDataFrame = kRamFrame + 0x31, kLowDeviceFrame = 0x9000,
                                 kHighDeviceFrame = 0x90000;
  static constexpr unsigned kStackPointer = 31;

  ArmRig() : engine(make_unicorn_engine(memory, ExecutionMode::AArch64)) {
    client.engine = engine.get();
    engine->set_client(&client);
    client.map(kCode, kCodeFrame);
    client.map(kData, kDataFrame);
    client.map(kData + 0x1000, kSecondDataFrame);
    client.map(kStackTop - 0x1000, kRamFrame + 0x40);
    client.map(kLowDevice, kLowDeviceFrame);
    client.map(kHighDevice, kHighDeviceFrame);
    set(kStackPointer, kStackTop);
    jump(kCode);
  }
  void set(unsigned index, std::uint64_t value) { engine->write(integer_register(index), value); }
  [[nodiscard]] std::uint64_t get(unsigned index) const { return engine->read(integer_register(index)); }
  void jump(std::uint64_t pc) { engine->write(program_counter_register(), pc); }
  [[nodiscard]] std::uint64_t pc() const { return engine->read(program_counter_register()); }
  /// Writes instructions at a mapped virtual address.
  void put(std::uint64_t address, const std::vector<std::uint32_t>& words) {
    for (const std::uint32_t word : words) {
      memory.write(physical(address), 4, word);
      address += 4;
    }
  }
  void code(const std::vector<std::uint32_t>& words) { put(kCode, words); }
  [[nodiscard]] PhysicalAddress physical(std::uint64_t address) const {
    return {client.pages.at(address / kFrameBytes).frame * kFrameBytes + address % kFrameBytes};
  }
  [[nodiscard]] std::uint64_t load(std::uint64_t address, unsigned size) const {
    return memory.read(physical(address), size);
  }

  PhysicalMemory memory{PhysicalAddress{kRamBase}, 16 << 20};
  ArmTestClient client;
  std::unique_ptr<CpuEngine> engine;
};

}  // namespace shearling::test
