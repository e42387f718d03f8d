// SPDX-License-Identifier: GPL-3.0-or-later
//
// Stage-2 faults of the VMM at EL2: pages that the guest touches for the first time, devices, and nothing at all.
#include <algorithm>

#include "isa-arm/vmm/el2_host.h"
#include "isa-arm/vmm/el2_machine.h"

namespace shearling::arm {
namespace {

/// ISS of aborts (DDI 0487, D19.2.37).
namespace abort_iss {
constexpr std::uint64_t kValid = 1U << 24, kSignExtend = 1U << 21, kSixtyFour = 1U << 15, kCacheMaintenance = 1U << 8,
                        kOnWalk = 1U << 7, kWrite = 1U << 6;
constexpr std::uint32_t kExternal = 0x10, kExternalOnWalk = 0x14;  ///< The latter plus the level.
constexpr unsigned size_of(std::uint64_t iss) { return 1U << (iss >> 22 & 3); }
constexpr unsigned register_of(std::uint64_t iss) { return iss >> 16 & 31; }
}  // namespace abort_iss

constexpr std::uint64_t kDistributorEnd = kDistributorBase.value + kDistributorBytes;
constexpr std::uint64_t kConsoleBase = 0x09000000;  ///< The board's PL011.
constexpr std::uint64_t kConsoleData = 0x0, kConsoleFlags = 0x18;
constexpr std::uint64_t kConsoleIdle = 0x90;  ///< UARTFR: transmitter and receiver are empty.

bool in_distributor(GuestPhysicalAddress address) {
  return address.value >= kDistributorBase.value && address.value < kDistributorEnd;
}

bool in_redistributors(GuestPhysicalAddress address, unsigned cpus) {
  return address.value - kRedistributorBase.value < cpus * kRedistributorBytes;
}

/// The guest's own stage-1 walk of an address, by its EL1 registers (DDI 0487, D8.2): at which level does it read the
/// page that the fault names?
unsigned level_at(HostCore& core, const GuestMemory& memory, VirtualAddress address, GuestPhysicalAddress page) {
  const std::uint64_t control = core.read_register(SystemRegister::TCR_EL1);
  const bool upper = (address.value >> 55 & 1) != 0;
  const std::uint64_t granule = control >> (upper ? 30 : 14) & 3;  // TG1 and TG0 spell the sizes differently.
  const unsigned page_shift = upper ? (granule == 1   ? 14
                                       : granule == 3 ? 16
                                                      : 12)
                                    : (granule == 2   ? 14
                                       : granule == 1 ? 16
                                                      : 12);
  const unsigned bits = 64 - static_cast<unsigned>(control >> (upper ? 16 : 0) & 63);
  const unsigned stride = page_shift - 3;
  const std::uint64_t base = core.read_register(upper ? SystemRegister::TTBR1_EL1 : SystemRegister::TTBR0_EL1);
  std::uint64_t table = base & 0x0000'ffff'ffff'fffe;
  for (unsigned level = 4 - (bits - page_shift + stride - 1) / stride; level < 3; ++level) {
    const unsigned shift = page_shift + stride * (3 - level);
    const unsigned top = std::min(shift + stride, bits);
    const std::uint64_t index = (address.value & ((std::uint64_t{1} << top) - 1)) >> shift;
    const GuestPhysicalAddress entry{table + 8 * index};
    if ((entry.value & ~std::uint64_t{kFrameBytes - 1}) == page.value) return level;
    table = memory.read(entry, 8) & 0x0000'ffff'ffff'ffff & ~((std::uint64_t{1} << page_shift) - 1);
  }
  return 3;
}

}  // namespace

/// HPFAR_EL2.FIPA is the address without its lowest twelve bits.
GuestPhysicalAddress El2Host::fault_page() const { return {(read(R::HPFAR_EL2) & 0x00000fff'fffffff0) << 8}; }

void El2Host::on_instruction_abort() {
  if (!map_page(fault_page())) inject_external_abort(true);
}

void El2Host::on_data_abort() {
  const std::uint64_t iss = read(R::ESR_EL2);
  const GuestPhysicalAddress page = fault_page();
  if (map_page(page)) return;
  const GuestPhysicalAddress address{page.value | (read(R::FAR_EL2) & (kFrameBytes - 1))};
  if ((iss & abort_iss::kOnWalk) != 0 || !has_device(address))
    inject_external_abort(false);
  else if ((iss & abort_iss::kCacheMaintenance) != 0)
    skip_instruction();  // Devices are not cached.
  else
    emulate_device_access(address);
}

/// False: there is no RAM. What cannot be granted ends the virtual machine.
bool El2Host::map_page(GuestPhysicalAddress address) {
  if (!machine().memory.is_ram(address)) return false;
  const StageTwoTables::Mapping mapping = machine().tables.map(*core_, address);
  if (mapping.tables_added != 0) act(actions::kTable, mapping.tables_added);
  if (mapping.added)
    act(actions::kMap, address.value & ~page_offset_mask(mapping.page_size), mapping.frame.value);
  else  // All rights are given at once: nothing is left to grant.
    give_up(StopReason::Unsupported,
            "gives the virtual machine up: a stage-2 fault ({a}) at a page that is mapped with all rights");
  return true;
}

void El2Host::inject_external_abort(bool fetch) {
  const std::uint64_t iss = read(R::ESR_EL2);
  const VirtualAddress address{read(R::FAR_EL2)};
  auto status = abort_iss::kExternal;
  if ((iss & abort_iss::kOnWalk) != 0) {
    const unsigned level = level_at(*core_, machine().memory, address, fault_page());
    act(actions::kWalkGuest, address.value, level);
    status = abort_iss::kExternalOnWalk + level;
  }
  const std::uint64_t kept = fetch ? 0 : iss & (abort_iss::kWrite | abort_iss::kCacheMaintenance);
  write(R::FAR_EL1, address.value);
  if (fetch)
    inject_exception(ExceptionClass::InstructionAbortLower, ExceptionClass::InstructionAbortSame, status);
  else
    inject_exception(ExceptionClass::DataAbortLower, ExceptionClass::DataAbortSame,
                     static_cast<std::uint32_t>(kept) | status);
}

// --- devices ---------------------------------------------------------------------------------------------------------

bool El2Host::has_device(GuestPhysicalAddress address) const {
  return in_distributor(address) || in_redistributors(address, context_.config.cpus) ||
         context_.devices.claims_memory({address.value});
}

void El2Host::emulate_device_access(GuestPhysicalAddress address) {
  const std::uint64_t iss = read(R::ESR_EL2);
  if ((iss & abort_iss::kValid) == 0) {
    give_up(StopReason::Unsupported,
            "gives the virtual machine up: the syndrome {a} does not say what the access to a device was (ISV is 0: a "
            "pair, an exclusive, SIMD or writeback), and this VMM decodes no instructions");
    return;
  }
  const unsigned size = abort_iss::size_of(iss), target = abort_iss::register_of(iss);
  if ((iss & abort_iss::kWrite) != 0) {
    const std::uint64_t mask = size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
    device_write(address, size, core_->general(target) & mask);
  } else {
    std::uint64_t value = device_read(address, size);
    if ((iss & abort_iss::kSignExtend) != 0) {
      const std::uint64_t sign = std::uint64_t{1} << (8 * size - 1);
      value = (value ^ sign) - sign;
    }
    if ((iss & abort_iss::kSixtyFour) == 0) value &= 0xffffffff;
    core_->set_general(target, value);
  }
  skip_instruction();
}

std::uint64_t El2Host::device_read(GuestPhysicalAddress address, unsigned size) {
  std::uint64_t value = 0;
  const Action* told = &actions::kDeviceRead;
  if (in_distributor(address) || in_redistributors(address, context_.config.cpus)) {
    value = controller_read(address, size);
    told = &actions::kControllerRead;
  } else if (machine().number == 0) {
    value = context_.devices.memory_read({address.value}, size);
  } else if (address.value == kConsoleBase + kConsoleFlags) {
    value = kConsoleIdle;
  }
  act(*told, address.value, value);
  return value;
}

std::uint64_t El2Host::controller_read(GuestPhysicalAddress address, unsigned size) {
  constexpr std::uint64_t kPrivateFrame = 0x10000, kPending = 0x200, kPendingBytes = 0x100, kBankBytes = 0x80;
  const bool shared = in_distributor(address);
  const std::uint64_t offset = address.value - (shared ? kDistributorBase : kRedistributorBase).value;
  const std::uint64_t within = shared ? offset : offset % kRedistributorBytes - kPrivateFrame;
  const std::uint64_t value = shared
                                  ? machine().distributor.read_distributor(offset, size, physical_distributor())
                                  : machine().distributor.read_redistributor(offset, size, physical_redistributors());
  if (within - kPending >= kPendingBytes) return value;
  // What no list register has taken over yet is pending in the hardware alone.
  const auto first = static_cast<unsigned>(within % kBankBytes) * 8;
  const auto core = shared ? cpu() : static_cast<unsigned>(offset / kRedistributorBytes);
  return shared == (first != 0) ? value | physical_pending(core, first) : value;
}

void El2Host::device_write(GuestPhysicalAddress address, unsigned size, std::uint64_t value) {
  if (in_distributor(address) || in_redistributors(address, context_.config.cpus)) {
    controller_write(address, size, value);
  } else if (machine().number == 0) {
    act(actions::kDeviceWrite, address.value, value);
    context_.devices.memory_write({address.value}, size, value);
  } else if (address.value == kConsoleBase + kConsoleData) {
    act(actions::kConsole, value, machine().number);
    machine().console += static_cast<char>(value);
  } else {
    act(actions::kIgnoreDevice, address.value);
  }
}

void El2Host::controller_write(GuestPhysicalAddress address, unsigned size, std::uint64_t value) {
  act(actions::kControllerWrite, address.value, value);
  if (in_distributor(address))
    machine().distributor.write_distributor(address.value - kDistributorBase.value, size, value);
  else
    machine().distributor.write_redistributor(address.value - kRedistributorBase.value, size, value);
  forward_to_controller(address, size, value);
  release_interrupts();
  kick_others();
}

}  // namespace shearling::arm
