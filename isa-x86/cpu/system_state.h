// SPDX-License-Identifier: GPL-3.0-or-later
//
// The system state of one x86-64 core: everything that innocuous instructions can neither read nor write. General
// registers, arithmetic flags, XMM and x87 live in the engine. Names and layouts after the Intel SDM, volume 3A,
// chapters 2 and 3. Left out: debug-register breakpoints, SMM, virtual-8086 mode, hardware task switching.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "cache-sim/address.h"

namespace shearling::x86 {

inline constexpr std::uint64_t kCr0Pe = 1ULL << 0, kCr0Mp = 1ULL << 1, kCr0Em = 1ULL << 2, kCr0Ts = 1ULL << 3,
                               kCr0Et = 1ULL << 4, kCr0Ne = 1ULL << 5, kCr0Wp = 1ULL << 16, kCr0Am = 1ULL << 18,
                               kCr0Nw = 1ULL << 29, kCr0Cd = 1ULL << 30, kCr0Pg = 1ULL << 31;
inline constexpr std::uint64_t kCr4Tsd = 1ULL << 2, kCr4De = 1ULL << 3, kCr4Pse = 1ULL << 4, kCr4Pae = 1ULL << 5,
                               kCr4Mce = 1ULL << 6, kCr4Pge = 1ULL << 7, kCr4Pce = 1ULL << 8, kCr4Osfxsr = 1ULL << 9,
                               kCr4Osxmmexcpt = 1ULL << 10, kCr4Umip = 1ULL << 11, kCr4Vmxe = 1ULL << 13,
                               kCr4Fsgsbase = 1ULL << 16, kCr4Pcide = 1ULL << 17, kCr4Smep = 1ULL << 20,
                               kCr4Smap = 1ULL << 21;
inline constexpr std::uint64_t kEferSce = 1ULL << 0, kEferLme = 1ULL << 8, kEferLma = 1ULL << 10, kEferNxe = 1ULL << 11;
inline constexpr std::uint64_t kFlagCf = 1ULL << 0, kFlagTf = 1ULL << 8, kFlagIf = 1ULL << 9, kFlagDf = 1ULL << 10,
                               kFlagIoplMask = 3ULL << 12, kFlagNt = 1ULL << 14, kFlagRf = 1ULL << 16,
                               kFlagVm = 1ULL << 17, kFlagAc = 1ULL << 18, kFlagId = 1ULL << 21;
/// MAXPHYADDR, as CPUID leaf 0x80000008 says: higher bits of CR3 and page-table entries are reserved.
inline constexpr unsigned kPhysicalAddressBits = 40;
/// The flags that the engine keeps (CF PF AF ZF SF DF OF); all others are SystemState::rflags.
inline constexpr std::uint64_t kEngineFlags = 0x8d5 | kFlagDf;

/// A segment register with its hidden part, as the VMCS holds it. `access_rights` uses the VMCS format (SDM 24.4.1):
/// type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. `limit` is in bytes.
struct Segment {
  std::uint64_t base = 0;
  std::uint32_t limit = 0;
  std::uint32_t access_rights = 1U << 16;
  std::uint16_t selector = 0;
  std::array<std::uint16_t, 3> padding{};
  [[nodiscard]] bool unusable() const { return (access_rights & (1U << 16)) != 0; }
  [[nodiscard]] bool long_mode() const { return (access_rights & (1U << 13)) != 0; }
  [[nodiscard]] bool default_big() const { return (access_rights & (1U << 14)) != 0; }
  [[nodiscard]] unsigned dpl() const { return (access_rights >> 5) & 3; }
  bool operator==(const Segment&) const = default;
};
enum SegmentRegister : std::uint8_t { kEs, kCs, kSs, kDs, kFs, kGs, kSegmentCount };  // Encoding order.

struct DescriptorTable {
  std::uint64_t base = 0;
  std::uint64_t limit = 0;  ///< Bytes - 1; 16 bits wide.
  bool operator==(const DescriptorTable&) const = default;
};

enum class ActivityState : std::uint8_t { Active = 0, Halted = 1, Shutdown = 2 };  // VMCS numbering.
/// What blocks interrupts for one instruction (VMCS interruptibility state, SDM 24.4.2).
inline constexpr std::uint32_t kBlockingBySti = 1, kBlockingByMovSs = 2;

struct SystemState {
  std::uint64_t cr0 = kCr0Et, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0;
  std::uint64_t efer = 0;
  std::uint64_t rflags = 2;  ///< Without kEngineFlags.
  std::array<Segment, kSegmentCount> segments{};
  Segment ldtr{}, tr{};
  DescriptorTable gdtr{}, idtr{};
  std::array<std::uint64_t, 8> debug{};
  std::map<std::uint32_t, std::uint64_t> msrs;  ///< All but EFER, FS base and GS base (engine and segments hold those).
  std::uint32_t interruptibility = 0;
  std::uint32_t cpl = 0;
  ActivityState activity = ActivityState::Active;
  bool operator==(const SystemState&) const = default;

  [[nodiscard]] bool paging() const { return (cr0 & kCr0Pg) != 0; }
  [[nodiscard]] bool long_mode_active() const { return (efer & kEferLma) != 0; }
  [[nodiscard]] bool sixty_four_bit_mode() const { return long_mode_active() && segments[kCs].long_mode(); }
  [[nodiscard]] std::uint16_t pcid() const {
    return (cr4 & kCr4Pcide) != 0 ? static_cast<std::uint16_t>(cr3 & 0xfff) : std::uint16_t{0};
  }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(cr0, cr2, cr3, cr4, cr8, efer, rflags, segments, ldtr, tr, gdtr, idtr, debug, msrs, interruptibility, cpl,
            activity);
  }
};

// MSR numbers (SDM volume 4; AMD APM volume 2 for STAR and EFER).
inline constexpr std::uint32_t kMsrTsc = 0x10, kMsrApicBase = 0x1b, kMsrFeatureControl = 0x3a, kMsrPat = 0x277,
                               kMsrEfer = 0xc0000080, kMsrStar = 0xc0000081, kMsrLstar = 0xc0000082,
                               kMsrCstar = 0xc0000083, kMsrFmask = 0xc0000084, kMsrFsBase = 0xc0000100,
                               kMsrGsBase = 0xc0000101, kMsrKernelGsBase = 0xc0000102, kMsrTscAux = 0xc0000103,
                               kMsrSysenterCs = 0x174, kMsrSysenterEsp = 0x175, kMsrSysenterEip = 0x176;

/// An exception or interrupt on its way to delivery. Vectors after SDM volume 3A, table 6-1.
enum class EventKind : std::uint8_t {
  ExternalInterrupt = 0,
  Nmi = 2,
  HardwareException = 3,
  SoftwareInterrupt = 4,
  PrivilegedSoftwareException = 5,
  SoftwareException = 6
};  // VMCS numbering.
struct PendingEvent {
  EventKind kind = EventKind::HardwareException;
  std::uint8_t vector = 0;
  bool has_error_code = false;
  std::uint32_t error_code = 0;
  std::uint32_t instruction_length = 0;  ///< Software interrupts and exceptions: RIP advances by it before the push.
  std::uint64_t fault_address = 0;       ///< #PF: goes to CR2 on delivery.
};
inline constexpr std::uint8_t kDivideError = 0, kDebugException = 1, kBreakpoint = 3, kOverflow = 4, kInvalidOpcode = 6,
                              kDeviceNotAvailable = 7, kDoubleFault = 8, kInvalidTss = 10, kSegmentNotPresent = 11,
                              kStackFault = 12, kGeneralProtection = 13, kPageFault = 14, kFloatingPointError = 16,
                              kAlignmentCheck = 17, kSimdFloatingPoint = 19;

}  // namespace shearling::x86
