// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client for engine tests of x86, with Capstone as the decoder. Test guests are bytes written by hand.
#pragma once

#include <capstone/capstone.h>

#include <initializer_list>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "core/memory/physical_memory.h"
#include "tests/core/engine/engine_client.h"

namespace shearling::test {

inline constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;

class TestClient final : public RecordingClient {
 public:
  TestClient() {
    cs_open(CS_ARCH_X86, CS_MODE_64, &wide_);
    cs_open(CS_ARCH_X86, CS_MODE_32, &narrow_);
  }
  ~TestClient() override {
    cs_close(&wide_);
    cs_close(&narrow_);
  }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) override {
    ++plans;
    BlockPlan plan;
    std::uint32_t offset = 0;
    for_each_instruction(pc, bytes, [&](const cs_insn& instruction) {
      if (stoppers.count(instruction.id) != 0) {
        plan.stopper = offset;
        return false;
      }
      ++plan.instructions;
      offset += instruction.size;
      return true;
    });
    if (!plan.stopper && offset != bytes.size()) plan.stopper = offset;
    return plan;
  }
  std::uint32_t instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                    std::uint32_t limit) override {
    std::uint32_t count = 0;
    std::uint32_t offset = 0;
    for_each_instruction(pc, bytes, [&](const cs_insn& instruction) {
      if (offset >= limit) return false;
      ++count;
      offset += instruction.size;
      return true;
    });
    return count;
  }

  std::set<unsigned> stoppers{X86_INS_HLT,    X86_INS_CPUID,  X86_INS_IN,     X86_INS_OUT,    X86_INS_SYSCALL,
                              X86_INS_INT,    X86_INS_PUSHF,  X86_INS_POPF,   X86_INS_PUSHFD, X86_INS_POPFD,
                              X86_INS_PUSHFQ, X86_INS_POPFQ,  X86_INS_INT3,   X86_INS_INT1,   X86_INS_INTO,
                              X86_INS_IRET,   X86_INS_IRETD,  X86_INS_IRETQ,  X86_INS_INSB,   X86_INS_INSD,
                              X86_INS_OUTSB,  X86_INS_OUTSD,  X86_INS_LJMP,   X86_INS_LCALL,  X86_INS_RDTSC,
                              X86_INS_RDTSCP, X86_INS_RDRAND, X86_INS_RDSEED, X86_INS_RDPMC};

 private:
  template <typename Visit>
  void for_each_instruction(VirtualAddress pc, std::span<const std::uint8_t> bytes, Visit visit) {
    const csh decoder = engine->mode() == ExecutionMode::X86Long64 ? wide_ : narrow_;
    cs_insn* instruction = cs_malloc(decoder);
    const std::uint8_t* code = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t address = pc.value;
    while (left != 0 && cs_disasm_iter(decoder, &code, &left, &address, instruction) && visit(*instruction)) {
    }
    cs_free(instruction, 1);
  }
  csh wide_ = 0, narrow_ = 0;
};

/// RAM, client and engine; code at virtual 0x400000 (frame 0x10), data at 0x500000 (frames 0x20, 0x31), stack below
/// 0x601000 (frame 0x40), a device page at 0x700000.
struct Rig {
  static constexpr std::uint64_t kCode = 0x400000, kData = 0x500000, kStackTop = 0x601000, kDevice = 0x700000;
  static constexpr std::uint64_t kCodeFrame = 0x10, kDataFrame = 0x20, kSecondDataFrame = 0x31, kDeviceFrame = 0xfee00;

  explicit Rig(ExecutionMode mode = ExecutionMode::X86Long64) : engine(make_unicorn_engine(memory, mode)) {
    client.engine = engine.get();
    engine->set_client(&client);
    client.map(kCode, kCodeFrame);
    client.map(kData, kDataFrame);
    client.map(kData + 0x1000, kSecondDataFrame);
    client.map(kStackTop - 0x1000, 0x40);
    client.map(kDevice, kDeviceFrame);
    set(kRsp, kStackTop);
    jump(kCode);
  }
  void set(unsigned index, std::uint64_t value) { engine->write(integer_register(index), value); }
  [[nodiscard]] std::uint64_t get(unsigned index) const { return engine->read(integer_register(index)); }
  void jump(std::uint64_t pc) { engine->write(program_counter_register(), pc); }
  [[nodiscard]] std::uint64_t pc() const { return engine->read(program_counter_register()); }
  /// Writes bytes at a mapped virtual address.
  void put(std::uint64_t address, std::initializer_list<int> bytes) {
    for (const int byte : bytes) {
      const std::uint64_t frame = client.pages.at(address / kFrameBytes).frame;
      memory.write({frame * kFrameBytes + address % kFrameBytes}, 1, static_cast<std::uint64_t>(byte));
      ++address;
    }
  }
  void code(std::initializer_list<int> bytes) { put(kCode, bytes); }
  [[nodiscard]] std::uint64_t load(std::uint64_t address, unsigned size) const {
    const std::uint64_t frame = client.pages.at(address / kFrameBytes).frame;
    return memory.read({frame * kFrameBytes + address % kFrameBytes}, size);
  }

  PhysicalMemory memory{PhysicalAddress{0}, 16 << 20};
  TestClient client;
  std::unique_ptr<CpuEngine> engine;
};

}  // namespace shearling::test
