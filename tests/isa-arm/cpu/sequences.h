// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random sequences of user-mode instructions: what sequence-prober.S takes and gives, and the generator that fills it
// from a table of encodings (DDI 0487, C4.1). Fields are random but where the architecture leaves the outcome open
// (CONSTRAINED UNPREDICTABLE register choices) and where an address would nearly always miss memory: X0 to X15 take
// results, X16 and X17 hold small offsets, X18 a place in the code, X20 to X27 and SP addresses, X28 and X29 aligned
// addresses that may be written. Branches go forwards within the sequence.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

namespace shearling::arm::testing {

// As in sequence-prober.S.
inline constexpr std::uint64_t kInputs = 0x40400000, kFirstSequence = kInputs + 0x4000, kResults = 0x40800000,
                               kUserData = 0x44000000, kPage = 0x1000;
inline constexpr std::size_t kCapacity = 1100, kHeaderNameOffset = 64, kDataOffset = 0x1000, kDataBytes = 0x3000,
                             kLogEntries = 32, kCodeWords = 56;
inline constexpr std::uint32_t kEnd = 0xd4000001 | 0x5e << 5;  ///< SVC #0x5e

struct Registers {
  std::array<std::uint64_t, 31> general{};
  std::uint64_t stack_pointer = 0, flags = 0, fpcr = 0, fpsr = 0;
  std::uint64_t exceptions = 0;  ///< How many, in a result.
  std::array<std::array<std::uint64_t, 2>, 32> vectors{};
};

struct Input {
  Registers registers;
  std::array<std::uint32_t, kCodeWords> code{};
};
static_assert(sizeof(Input) == 1024);

struct LoggedException {
  std::uint64_t syndrome, fault_address, link, saved_state;
};
struct SequenceResult {
  Registers registers;
  std::array<LoggedException, kLogEntries> log;
  std::array<std::uint8_t, 2048 - sizeof(Registers) - kLogEntries * sizeof(LoggedException)> nothing;
  std::array<std::uint8_t, kDataBytes> data;
};
static_assert(sizeof(SequenceResult) == 14336);

enum class InstructionKind : std::uint8_t {
  Immediate,
  Register,
  Multiplication,
  Conditional,
  Checksum,
  Branch,
  Literal,
  LoadStore,
  Pair,
  Exclusive,
  Ordered,
  FloatingPoint,
  VectorInteger,
  VectorOther,
  ScalarVector,
  Permutation,
  Structure,
  Cryptography,
  System,
  Undefined,
  Count
};
inline constexpr std::size_t kKinds = static_cast<std::size_t>(InstructionKind::Count);
inline constexpr std::array<std::string_view, kKinds> kKindNames{"data processing, immediate",
                                                                 "data processing, register",
                                                                 "multiply and divide",
                                                                 "conditional select and compare",
                                                                 "CRC32",
                                                                 "branches",
                                                                 "literal loads",
                                                                 "loads and stores",
                                                                 "pairs",
                                                                 "exclusives",
                                                                 "acquire and release",
                                                                 "floating point",
                                                                 "SIMD, three registers",
                                                                 "SIMD, other",
                                                                 "SIMD, scalar",
                                                                 "SIMD, permutations",
                                                                 "structures",
                                                                 "AES and SHA",
                                                                 "system",
                                                                 "undefined words"};

struct Encoding {
  InstructionKind kind;
  std::uint32_t value;
  std::uint32_t fixed;  ///< Which bits are those of `value`; all others are random.
};

class SequenceGenerator {
 public:
  /// `aligned`: most addresses are multiples of 16, for runs that check alignment.
  SequenceGenerator(std::uint64_t seed, bool aligned) : random_(seed), aligned_(aligned) {}
  Input make(unsigned instructions, std::uint64_t address);
  /// The kind of each word of the latest sequence.
  [[nodiscard]] const std::vector<InstructionKind>& kinds() const { return kinds_; }
  std::vector<std::uint8_t> data_pages();

 private:
  using Fill = void (SequenceGenerator::*)(std::uint32_t word);
  struct KindFill {
    InstructionKind kind;
    Fill fill;
  };
  static const std::array<KindFill, kKinds> kFills;

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  bool chance(unsigned percent) { return below(100) < percent; }
  std::uint32_t scratch() { return chance(4) ? 31 : below(16); }
  std::uint32_t base() { return chance(8) ? 31 : 20 + below(8); }
  std::uint32_t aligned_base() { return 28 + below(2); }
  std::uint64_t interesting_value();
  std::uint64_t interesting_lanes();
  std::uint64_t data_address();
  void set_registers(Registers& registers);

  void append(std::uint32_t word);
  [[nodiscard]] std::uint32_t forwards();
  void data_processing(std::uint32_t word);
  void branch(std::uint32_t word);
  void indirect_branch();
  void literal(std::uint32_t word);
  void load_store(std::uint32_t word);
  void pair(std::uint32_t word);
  void exclusive(std::uint32_t word);
  void ordered(std::uint32_t word);
  void structure(std::uint32_t word);
  void system(std::uint32_t word);

  std::mt19937_64 random_;
  bool aligned_;
  unsigned length_ = 0;
  InstructionKind kind_ = InstructionKind::Immediate;
  std::vector<std::uint32_t> code_;
  std::vector<InstructionKind> kinds_;
};

}  // namespace shearling::arm::testing
