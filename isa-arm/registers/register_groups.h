// SPDX-License-Identifier: GPL-3.0-or-later
//
// The parts that system_register_table() joins: one group of registers a file. Rows are written in the order of
// SystemRegisterInfo: id, name, encoding (op0, op1, CRn, CRm, op2), home, reset, writable, always one, lowest level
// that reads, lowest that writes, group, section, fields, and the CPU feature that brings the register. Left out:
// AArch32's registers (this core has AArch64 only) and what Armv8.0 with these features does not have.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "isa-arm/registers/system_registers.h"

namespace shearling::arm::groups {

std::span<const SystemRegisterInfo> identification();
std::span<const SystemRegisterInfo> process_state();
std::span<const SystemRegisterInfo> translation();
std::span<const SystemRegisterInfo> exceptions();
std::span<const SystemRegisterInfo> hypervisor();
std::span<const SystemRegisterInfo> timers();
std::span<const SystemRegisterInfo> interrupts();
std::span<const SystemRegisterInfo> debug();
std::span<const SystemRegisterInfo> performance_monitors();

/// Where the manuals describe them: the registers stand there by name.
inline constexpr std::string_view kProcessStateSection = "DDI 0487, C5.2 Special-purpose registers",
                                  kGeneralSection = "DDI 0487, D19.2 General system control registers",
                                  kDebugSection = "DDI 0487, D19.3 Debug registers",
                                  kMonitorsSection = "DDI 0487, D19.5 Performance Monitors registers",
                                  kTimerSection = "DDI 0487, D19 Generic Timer registers",
                                  kInterruptSection = "IHI 0069, 12.2 AArch64 System register descriptions",
                                  kVirtualInterruptSection = "IHI 0069, 12.4 AArch64 virtualization control registers";

inline constexpr std::uint64_t kAllBits = ~std::uint64_t{0}, kLowWord = 0xffffffff;
inline constexpr std::uint8_t kNobody = 3;
/// Abbreviations of the tables.
using R = SystemRegister;
using H = RegisterHome;

/// Makes rows of one group that one section of a manual describes.
struct RegisterGroup {
  std::string_view group, section;
  [[nodiscard]] constexpr SystemRegisterInfo row(SystemRegister id, std::string_view name, SystemEncoding encoding,
                                                 RegisterHome home, std::uint64_t reset, std::uint64_t writable,
                                                 std::uint64_t always_one, std::uint8_t read_from,
                                                 std::uint8_t write_from, std::span<const RegisterField> fields = {},
                                                 std::string_view feature = {}) const {
    return {id,        name,       encoding, home,    reset,  writable, always_one,
            read_from, write_from, group,    section, fields, feature};
  }
};

}  // namespace shearling::arm::groups
