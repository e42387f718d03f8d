// SPDX-License-Identifier: GPL-3.0-or-later
//
// What an AArch64 exception is before it is taken: its class and instruction-specific syndrome (ESR_ELx, DDI 0487,
// D19.2.37), the addresses that go with it, and the level that takes it where a trap names one.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache-sim/address.h"

namespace shearling::arm {

/// ESR_ELx.EC.
enum class ExceptionClass : std::uint8_t {
  Unknown = 0x00,
  WfxTrap = 0x01,
  FloatingPointAccess = 0x07,
  PointerAuthenticationTrap = 0x09,
  IllegalState = 0x0e,
  Svc64 = 0x15,
  Hvc64 = 0x16,
  Smc64 = 0x17,
  SystemInstruction = 0x18,
  EretTrap = 0x1a,
  InstructionAbortLower = 0x20,
  InstructionAbortSame = 0x21,
  PcAlignment = 0x22,
  DataAbortLower = 0x24,
  DataAbortSame = 0x25,
  SpAlignment = 0x26,
  FloatingPointException = 0x2c,
  SError = 0x2f,
  BreakpointLower = 0x30,
  SoftwareStepLower = 0x32,
  WatchpointLower = 0x34,
  Brk64 = 0x3c,
};
std::string_view name_of(ExceptionClass);  ///< "SVC in AArch64", "data abort from a lower level", ...

struct Syndrome {
  ExceptionClass exception_class = ExceptionClass::Unknown;
  std::uint32_t iss = 0;                   ///< 25 bits.
  bool thirty_two_bit_instruction = true;  ///< IL.
  [[nodiscard]] constexpr std::uint64_t esr() const {
    return static_cast<std::uint64_t>(exception_class) << 26 | (thirty_two_bit_instruction ? 1ULL << 25 : 0) |
           (iss & 0x1ffffff);
  }
  bool operator==(const Syndrome&) const = default;
};

/// The four kinds of vector (DDI 0487, D1.4.1.3): each 0x80 bytes after the one before.
enum class ExceptionKind : std::uint8_t { Synchronous, Irq, Fiq, SError };

struct ArmException {
  ExceptionKind kind = ExceptionKind::Synchronous;
  Syndrome syndrome;
  /// 1 or 2: the trap or routing control says so. 0: EL1, or EL2 where the exception comes from EL2 or HCR_EL2.TGE is
  /// set.
  unsigned target = 0;
  bool returns_after = false;      ///< Preferred return address: after the instruction (SVC, HVC) instead of on it.
  bool has_fault_address = false;  ///< FAR_ELx is written.
  VirtualAddress fault_address;
  bool has_intermediate_address = false;  ///< HPFAR_EL2 is written: a stage-2 fault.
  GuestPhysicalAddress intermediate_address;
  bool is_virtual = false;  ///< A virtual IRQ, FIQ or SError: HCR_EL2.VI, VF, VSE or the GIC's virtual interface.
};

}  // namespace shearling::arm
