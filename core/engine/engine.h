// SPDX-License-Identifier: GPL-3.0-or-later
//
// The CPU that executes innocuous instructions, behind an interface of our own. Privileged, control-sensitive and
// behaviour-sensitive instructions never reach it: the ISA module executes them. Translation is never its own business
// either: every soft-TLB miss asks the client. Only the files unicorn_* see Unicorn.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache-sim/address.h"
#include "core/memory/physical_memory.h"

namespace shearling {

/// What kind of code the engine executes. Protected32 is x86 protected or compatibility mode with 32-bit default size.
enum class ExecutionMode : std::uint8_t { X86Protected32, X86Long64, AArch64 };

/// The engine's register file: what innocuous instructions can read and write. System registers are the ISA module's.
enum class RegisterClass : std::uint8_t {
  Integer,  ///< x86: RAX RCX RDX RBX RSP RBP RSI RDI R8..R15, in encoding order. Arm: X0..X30, then SP as 31.
  ProgramCounter,
  Flags,          ///< x86: arithmetic flags and DF of RFLAGS (the rest is the ISA module's). Arm: NZCV.
  SegmentBase,    ///< x86: FS is 4, GS is 5 (encoding order). Arm: TPIDR_EL0 is 0.
  Vector,         ///< x86: XMM0..15. Arm: V0..31. 128 bits.
  VectorControl,  ///< x86: MXCSR. Arm: FPCR is 0, FPSR is 1.
  FloatingPoint,  ///< x86: ST0..7 as 80 bits; index 8 control, 9 status, 10 tag word.
};
struct EngineRegister {
  RegisterClass register_class = RegisterClass::Integer;
  std::uint8_t index = 0;
  bool operator==(const EngineRegister&) const = default;
};
constexpr EngineRegister integer_register(unsigned index) {
  return {RegisterClass::Integer, static_cast<std::uint8_t>(index)};
}
constexpr EngineRegister program_counter_register() { return {RegisterClass::ProgramCounter, 0}; }
constexpr EngineRegister flags_register() { return {RegisterClass::Flags, 0}; }

/// The whole of the engine's register file as a value: for snapshots, digests and register views.
struct EngineState {
  ExecutionMode mode = ExecutionMode::X86Protected32;
  std::array<std::uint64_t, 33> integer{};
  std::uint64_t program_counter = 0;
  std::uint64_t flags = 0;
  std::array<std::uint64_t, 2> segment_base{};  ///< FS, GS (x86); TPIDR_EL0 (Arm).
  std::array<std::array<std::uint64_t, 2>, 32> vector{};
  std::array<std::uint64_t, 2> vector_control{};
  std::array<std::array<std::uint64_t, 2>, 8> floating_point{};
  std::array<std::uint64_t, 3> floating_point_control{};
  bool operator==(const EngineState&) const = default;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(mode, integer, program_counter, flags, segment_base, vector, vector_control, floating_point,
            floating_point_control);
  }
};

/// The answer to a soft-TLB miss.
struct FillAnswer {
  bool granted = false;
  PhysicalAddress page;  ///< Base of the 4 KB frame that holds the asked page.
  bool readable = false, writable = false, executable = false;
};

/// What the engine asks of the rest of the machine. Called from inside step_one() and run().
class EngineClient {
 public:
  virtual ~EngineClient() = default;
  /// Translation of the page that starts at `address`. Refusing ends the instruction with EngineStop::FillRefused
  /// before it has changed anything; of an instruction with several accesses (a pair, a 16-byte store), what stands
  /// before the refused one may be done, in steps and runs alike. The program counter must not be read in here. Of an
  /// address granted for fetching, bits 48 to 63 are equal.
  virtual FillAnswer fill(VirtualAddress address, AccessKind kind) = 0;
  /// step_one() only: a data access to RAM. Provisional until the step has ended well (a store to a page that is then
  /// refused has been reported). `value` is meaningful for writes.
  virtual void memory_access(PhysicalAddress address, AccessKind kind, unsigned size, std::uint64_t value) = 0;
  /// An access to a physical page that is not RAM (a fill granted a device's page). Returns what is read.
  virtual std::uint64_t device_read(PhysicalAddress address, unsigned size) = 0;
  virtual void device_write(PhysicalAddress address, unsigned size, std::uint64_t value) = 0;

  /// run() only: a block is about to run that the engine has not seen (or whose code has changed). The client decodes
  /// it and says how many instructions it has and at which byte offset (if any) the first one lies that must not reach
  /// the engine; what cannot be decoded is such a stopper. `bytes` are the block's, from its first to its last
  /// instruction. Where the engine has to go one instruction at a time they are the up to 15 bytes at `pc`, and only a
  /// stopper at offset 0 matters; they may then end in the middle of an instruction. The answer is kept until
  /// invalidate_code() or forget_plans(), so it must not depend on anything else but `pc`, `bytes` and the mode.
  /// On Arm a misaligned `pc` is a stopper at offset 0, and so are loads and stores with other rights than the core's
  /// (LDTR, STTR), exclusives, and SVC, HVC, SMC, behind which the program counter would stand.
  struct BlockPlan {
    std::uint32_t instructions = 0;        ///< Up to the stopper, without it; all of them when there is none.
    std::optional<std::uint32_t> stopper;  ///< Byte offset of the first instruction that stops the run.
  };
  virtual BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) = 0;
  /// run() only: number of whole instructions in `bytes` that begin before `offset`; mends the count after a stop
  /// in the middle of a block.
  virtual std::uint32_t instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                            std::uint32_t offset) = 0;

  /// run_observed() only: may this one instruction run there, with begin_instruction() and observed_access() telling
  /// all that the client wants to know of it? Kept like a plan. Without observers of its own a client says no.
  virtual bool observable(VirtualAddress, std::span<const std::uint8_t>) { return false; }
  /// run_observed() only: the instruction is about to execute. False: stop before it.
  virtual bool begin_instruction(VirtualAddress, unsigned) { return false; }
  /// run_observed() only: a data access of the instruction that was begun, of `size` bytes from `address` on; where it
  /// crosses a page the rest lies at the beginning of the next virtual page. Only for frames that fill() granted.
  virtual void observed_access(PhysicalAddress, AccessKind, unsigned) {}
};

enum class EngineStop : std::uint8_t {
  Completed,    ///< step_one: the instruction (or one iteration of a repeated one) is complete. run: the budget is used
                ///< up.
  Stopper,      ///< run: the program counter stands on an instruction that must not reach the engine.
  FillRefused,  ///< The program counter stands exactly on the instruction whose access was refused.
  NativeException,  ///< The instruction raised an exception of its own (#DE, #MF, #XM, ...): see exception().
  InvalidOpcode,    ///< The engine does not know the instruction; the program counter stands on it.
  Unfinished,  ///< run_observed: the instruction at the program counter was begun, and has changed nothing: step it.
};

struct EngineOutcome {
  EngineStop stop = EngineStop::Completed;
  std::uint64_t instructions =
      0;  ///< Completed by this call. A repeated instruction counts when its last iteration is done.
  std::uint32_t exception = 0;  ///< Vector (x86) for NativeException.
  /// FillRefused: the exact byte address of the access (x86: what CR2 gets) and its kind. fill() is asked for pages.
  VirtualAddress refused_address;
  AccessKind refused_kind = AccessKind::Fetch;
};

class CpuEngine {
 public:
  virtual ~CpuEngine() = default;

  virtual void set_client(EngineClient* client) = 0;  ///< Borrowed; must outlive the engine's use.
  /// Switches between the modes of one ISA family; the register file is carried over.
  virtual void set_mode(ExecutionMode mode) = 0;
  [[nodiscard]] virtual ExecutionMode mode() const = 0;

  /// Executes one instruction at the program counter. The soft TLB is emptied first, so that every page and kind of
  /// access of this step asks fill() once, and exactly the permission asked for is used.
  virtual EngineOutcome step_one() = 0;
  /// Runs directly until `budget` instructions are complete (exactly), or a stop. No per-instruction hook is active.
  virtual EngineOutcome run(std::uint64_t budget) = 0;
  /// The same, telling the client of every instruction and every data access. Whatever needs more than that is left to
  /// step_one(): the run ends in Stopper before it or in Unfinished on it, or in Completed.
  virtual EngineOutcome run_observed(std::uint64_t) { return {.stop = EngineStop::Stopper}; }

  [[nodiscard]] virtual std::uint64_t read(EngineRegister reg) const = 0;
  virtual void write(EngineRegister reg, std::uint64_t value) = 0;
  [[nodiscard]] virtual EngineState state() const = 0;
  virtual void set_state(const EngineState& state) = 0;

  /// Forget translations: after anything that changes what fill() would answer (mode, tables, TLB contents, CPL).
  /// Within a fill it takes effect before the next block.
  virtual void flush_translations() = 0;
  /// Forget translated code of a frame: after a host write or a restored snapshot changed it.
  virtual void invalidate_code(PhysicalAddress frame) = 0;
  virtual void invalidate_all_code() = 0;
  /// Ask plan_block() anew, after anything that changes its answers. The translated code stays: cheap.
  /// Not to be called by the client from within run().
  virtual void forget_plans() { invalidate_all_code(); }
  /// Frames of which run() has planned blocks: fill() must not grant writing to them without invalidate_code first.
  [[nodiscard]] virtual bool holds_code(PhysicalAddress frame) const = 0;
};

/// `memory` is mapped into the engine once and must outlive it. Returns null if Unicorn cannot be opened.
std::unique_ptr<CpuEngine> make_unicorn_engine(PhysicalMemory& memory, ExecutionMode initial_mode);

}  // namespace shearling
