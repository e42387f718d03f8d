// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/vmm/virtual_distributor.h"

#include <algorithm>

#include "isa-arm/gic/virtual_interface.h"

namespace shearling::arm {
namespace {

// GICD_* and, from GICR_*'s second frame on, the same registers for the 32 private interrupts (IHI 0069, table 12-25).
constexpr std::uint64_t kControl = 0x0, kGroup = 0x80, kSetEnable = 0x100, kClearEnable = 0x180, kSetPending = 0x200,
                        kClearPending = 0x280, kSetActive = 0x300, kClearActive = 0x380, kBankBytes = 0x80,
                        kPriority = 0x400, kPriorityEnd = 0x800, kConfiguration = 0xc00, kConfigurationEnd = 0xd00,
                        kRoute = 0x6000, kFirstRoute = 0x6100, kRouteEnd = kRoute + std::uint64_t{8} * kInterruptCount;
constexpr std::uint64_t kWaker = 0x14, kPrivateFrame = 0x10000;
constexpr std::uint32_t kEnableGroup0 = 1, kEnableGroup1 = 2, kAffinityRouting = 1U << 4, kOneSecurityState = 1U << 6;
constexpr std::uint32_t kProcessorSleep = 2, kChildrenAsleep = 4;
constexpr std::uint64_t kAnyCore = 1ULL << 31, kRouteWritable = 0xff80ffffff;

std::uint64_t low_bits(std::uint64_t value, unsigned size) {
  return size >= 8 ? value : value & ((std::uint64_t{1} << (8 * size)) - 1);
}

}  // namespace

struct VirtualDistributor::BitBank {
  std::uint64_t offset;
  bool Interrupt::*flag;
  enum class Write : std::uint8_t { Assign, Set, Clear } write;
};
const std::array<VirtualDistributor::BitBank, 7> VirtualDistributor::kBitBanks{{
    {kGroup, &Interrupt::group1, BitBank::Write::Assign},
    {kSetEnable, &Interrupt::enabled, BitBank::Write::Set},
    {kClearEnable, &Interrupt::enabled, BitBank::Write::Clear},
    {kSetPending, &Interrupt::pending, BitBank::Write::Set},
    {kClearPending, &Interrupt::pending, BitBank::Write::Clear},
    {kSetActive, &Interrupt::active, BitBank::Write::Set},
    {kClearActive, &Interrupt::active, BitBank::Write::Clear},
}};

VirtualDistributor::VirtualDistributor(unsigned cpus)
    : wakers_(cpus, kProcessorSleep | kChildrenAsleep), private_(cpus) {
  for (auto& bank : private_) {
    for (unsigned interrupt = 0; interrupt < 16; ++interrupt) bank[interrupt].edge = true;  // SGIs.
  }
}

// --- the registers ---------------------------------------------------------------------------------------------------

std::optional<std::uint32_t> VirtualDistributor::read_bank(unsigned cpu, std::uint64_t offset) const {
  const auto gather = [&](unsigned first, unsigned count, unsigned bits, auto value_of) {
    std::uint32_t word = 0;
    for (unsigned index = 0; index < count && first + index < kInterruptCount; ++index)
      word |= static_cast<std::uint32_t>(value_of(at(cpu, first + index))) << (index * bits);
    return word;
  };
  const auto bank = std::find_if(kBitBanks.begin(), kBitBanks.end(),
                                 [&](const BitBank& row) { return offset - row.offset < kBankBytes; });
  if (bank != kBitBanks.end())
    return gather(static_cast<unsigned>(offset - bank->offset) * 8, 32, 1,
                  [&](const Interrupt& interrupt) { return interrupt.*(bank->flag) ? 1U : 0U; });
  if (offset >= kConfiguration && offset < kConfigurationEnd)
    return gather(static_cast<unsigned>(offset - kConfiguration) * 4, 16, 2,
                  [](const Interrupt& interrupt) { return interrupt.edge ? 2U : 0U; });
  return std::nullopt;
}

bool VirtualDistributor::write_bank(unsigned cpu, std::uint64_t offset, std::uint32_t value) {
  const auto bank = std::find_if(kBitBanks.begin(), kBitBanks.end(),
                                 [&](const BitBank& row) { return offset - row.offset < kBankBytes; });
  if (bank != kBitBanks.end()) {
    const auto first = static_cast<unsigned>(offset - bank->offset) * 8;
    for (unsigned index = 0; index < 32 && first + index < kInterruptCount; ++index) {
      const bool bit = (value >> index & 1) != 0;
      bool& flag = at(cpu, first + index).*(bank->flag);
      if (bank->write == BitBank::Write::Assign)
        flag = bit;
      else if (bit)
        flag = bank->write == BitBank::Write::Set;
    }
    return true;
  }
  if (offset < kConfiguration || offset >= kConfigurationEnd) return false;
  const auto first = static_cast<unsigned>(offset - kConfiguration) * 4;
  for (unsigned index = 0; index < 16 && first + index < kInterruptCount; ++index) {
    if (first + index >= 16) at(cpu, first + index).edge = (value >> (2 * index + 1) & 1) != 0;
  }
  return true;
}

std::uint64_t VirtualDistributor::read_priorities(unsigned cpu, std::uint64_t offset, unsigned size) const {
  std::uint64_t value = 0;
  for (unsigned byte = 0; byte < size; ++byte) {
    const auto interrupt = static_cast<unsigned>(offset - kPriority) + byte;
    if (interrupt < kInterruptCount) value |= std::uint64_t{at(cpu, interrupt).priority} << (8 * byte);
  }
  return value;
}

void VirtualDistributor::write_priorities(unsigned cpu, std::uint64_t offset, unsigned size, std::uint64_t value) {
  constexpr std::uint8_t kImplemented = 0xf8;  // Five bits, as the virtual interface has.
  for (unsigned byte = 0; byte < size; ++byte) {
    const auto interrupt = static_cast<unsigned>(offset - kPriority) + byte;
    if (interrupt < kInterruptCount)
      at(cpu, interrupt).priority = static_cast<std::uint8_t>(value >> (8 * byte)) & kImplemented;
  }
}

std::uint64_t VirtualDistributor::read_distributor(std::uint64_t offset, unsigned size, Device& physical) const {
  if (offset == kControl) return control_ | kAffinityRouting | kOneSecurityState;
  if (offset >= kPriority && offset < kPriorityEnd)  // The private ones' bytes are the redistributor's.
    return offset < kPriority + kPrivate ? 0 : read_priorities(0, offset, size);
  if (offset >= kFirstRoute && offset < kRouteEnd) {
    const std::uint64_t route = shared_[(offset - kRoute) / 8 - kPrivate].route;
    return low_bits(offset % 8 == 0 ? route : route >> 32, size);
  }
  const auto word = read_bank(0, offset);
  if (!word) return physical.read(offset, size);
  const bool private_word = offset < kConfiguration ? offset % kBankBytes < 4 : offset < kConfiguration + 8;
  return private_word ? 0 : *word;
}

void VirtualDistributor::write_distributor(std::uint64_t offset, unsigned size, std::uint64_t value) {
  if (offset == kControl) control_ = static_cast<std::uint32_t>(value) & (kEnableGroup0 | kEnableGroup1);
  if (offset >= kPriority + kPrivate && offset < kPriorityEnd) write_priorities(0, offset, size, value);
  if (offset >= kFirstRoute && offset < kRouteEnd) {
    std::uint64_t& route = shared_[(offset - kRoute) / 8 - kPrivate].route;
    if (size == 8)
      route = value & kRouteWritable;
    else
      route =
          (offset % 8 == 0 ? (route & ~0xffffffffULL) | value : (route & 0xffffffff) | value << 32) & kRouteWritable;
  }
  const bool private_word = offset < kConfiguration ? offset % kBankBytes < 4 : offset < kConfiguration + 8;
  if (offset >= kGroup && offset < kConfigurationEnd && !private_word && size == 4)
    write_bank(0, offset, static_cast<std::uint32_t>(value));
}

std::uint64_t VirtualDistributor::read_redistributor(std::uint64_t offset, unsigned size, Device& physical) const {
  const auto cpu = static_cast<unsigned>(offset / kRedistributorBytes);
  const std::uint64_t within = offset % kRedistributorBytes;
  if (cpu >= private_.size()) return 0;
  if (within == kWaker) return wakers_[cpu];
  if (within < kPrivateFrame) return physical.read(offset, size);
  const std::uint64_t bank = within - kPrivateFrame;
  if (bank >= kPriority && bank < kPriority + kPrivate) return read_priorities(cpu, bank, size);
  const bool private_word = bank < kConfiguration ? bank % kBankBytes < 4 : bank < kConfiguration + 8;
  return private_word ? read_bank(cpu, bank).value_or(0) : 0;
}

void VirtualDistributor::write_redistributor(std::uint64_t offset, unsigned size, std::uint64_t value) {
  const auto cpu = static_cast<unsigned>(offset / kRedistributorBytes);
  const std::uint64_t within = offset % kRedistributorBytes;
  if (cpu >= private_.size()) return;
  if (within == kWaker) wakers_[cpu] = (value & kProcessorSleep) != 0 ? kProcessorSleep | kChildrenAsleep : 0;
  if (within < kPrivateFrame) return;
  const std::uint64_t bank = within - kPrivateFrame;
  if (bank >= kPriority && bank < kPriority + kPrivate) write_priorities(cpu, bank, size, value);
  const bool private_word = bank < kConfiguration ? bank % kBankBytes < 4 : bank < kConfiguration + 8;
  if (private_word && size == 4) write_bank(cpu, bank, static_cast<std::uint32_t>(value));
}

// --- delivery --------------------------------------------------------------------------------------------------------

void VirtualDistributor::raise_hardware(unsigned cpu, unsigned interrupt) {
  Interrupt& entry = at(cpu, interrupt);
  entry.pending = true;
  entry.hardware = true;
}

std::vector<unsigned> VirtualDistributor::pending_levels(unsigned cpu) const {
  std::vector<unsigned> numbers;
  for (unsigned number = 0; number < kInterruptCount; ++number) {
    const Interrupt& interrupt = at(cpu, number);
    if (interrupt.hardware && interrupt.pending && !interrupt.active && !interrupt.edge && !interrupt.listed)
      numbers.push_back(number);
  }
  return numbers;
}

void VirtualDistributor::retract(unsigned cpu, unsigned interrupt) {
  at(cpu, interrupt).pending = at(cpu, interrupt).hardware = false;
}

bool VirtualDistributor::deliverable(const Interrupt& interrupt) const {
  return interrupt.pending && interrupt.enabled && (control_ & (interrupt.group1 ? kEnableGroup1 : kEnableGroup0)) != 0;
}

bool VirtualDistributor::belongs_to(unsigned cpu, unsigned number, const Interrupt& interrupt) const {
  if (number < kPrivate) return true;
  if (interrupt.listed || interrupt.active) return interrupt.holder == cpu;
  const std::uint64_t target = (interrupt.route & kAnyCore) != 0 ? 0 : interrupt.route;
  return target == cpu;
}

/// Active ones first: their end must find them. Then by priority, then by number.
std::vector<unsigned> VirtualDistributor::candidates(unsigned cpu) const {
  std::vector<unsigned> numbers;
  for (unsigned number = 0; number < kInterruptCount; ++number) {
    const Interrupt& interrupt = at(cpu, number);
    if ((interrupt.active || deliverable(interrupt)) && belongs_to(cpu, number, interrupt)) numbers.push_back(number);
  }
  std::stable_sort(numbers.begin(), numbers.end(), [&](unsigned left, unsigned right) {
    const Interrupt &a = at(cpu, left), &b = at(cpu, right);
    return a.active != b.active ? a.active : a.priority < b.priority;
  });
  // A pending interrupt that may preempt must not find every list register taken by active ones.
  if (numbers.size() > kListRegisters && at(cpu, numbers[kListRegisters - 1]).active) {
    const auto pending = std::find_if(numbers.begin(), numbers.end(), [&](unsigned n) { return !at(cpu, n).active; });
    if (pending != numbers.end()) std::rotate(numbers.begin() + kListRegisters - 1, pending, pending + 1);
  }
  return numbers;
}

std::uint64_t VirtualDistributor::entry_of(unsigned number, const Interrupt& interrupt) const {
  namespace lr = list_register;
  constexpr unsigned kPhysicalShift = 32, kPriorityShift = 48;
  const bool pending = deliverable(interrupt) && !(interrupt.hardware && interrupt.active);  // Both: reserved.
  return number | std::uint64_t{interrupt.priority} << kPriorityShift | (interrupt.group1 ? lr::kGroup1 : 0) |
         (interrupt.hardware ? lr::kHardware | std::uint64_t{number} << kPhysicalShift : 0) |
         (pending ? lr::kPending : 0) | (interrupt.active ? lr::kActive : 0);
}

void VirtualDistributor::fold(unsigned cpu, const ListRegisters& registers, unsigned ended) {
  for (const std::uint64_t entry : registers) {
    Interrupt& interrupt = at(cpu, list_register::interrupt_of(entry));
    if (!interrupt.listed || interrupt.holder != cpu) continue;
    if (interrupt.pending_listed) interrupt.pending = (entry & list_register::kPending) != 0;
    interrupt.active = (entry & list_register::kActive) != 0;
    if (!interrupt.active && !interrupt.pending) interrupt.hardware = false;  // The hardware deactivated it.
    interrupt.listed = interrupt.pending_listed = false;
  }
  for (; ended != 0; --ended) {  // Ends that found no list register: the running priority was that of the highest.
    const std::vector<unsigned> rest = candidates(cpu);
    const auto unlisted = std::find_if(rest.begin(), rest.end(), [&](unsigned number) {
      return at(cpu, number).active && std::none_of(registers.begin(), registers.end(), [&](std::uint64_t entry) {
               return list_register::interrupt_of(entry) == number && (entry & list_register::kActive) != 0;
             });
    });
    if (unlisted == rest.end()) return;
    at(cpu, *unlisted).active = false;
  }
}

VirtualDistributor::Fill VirtualDistributor::fill(unsigned cpu) {
  Fill result;
  const std::vector<unsigned> numbers = candidates(cpu);
  for (std::size_t index = 0; index < numbers.size(); ++index) {
    Interrupt& interrupt = at(cpu, numbers[index]);
    if (index >= kListRegisters) {
      result.more_waiting |= deliverable(interrupt);
      result.active_left_out |= interrupt.active;
      continue;
    }
    result.registers[index] = entry_of(numbers[index], interrupt);
    interrupt.listed = true;
    interrupt.holder = static_cast<std::uint8_t>(cpu);
    interrupt.pending_listed = (result.registers[index] & list_register::kPending) != 0;
  }
  return result;
}

bool VirtualDistributor::in_use(unsigned cpu) const {
  for (unsigned number = 0; number < kInterruptCount; ++number) {
    const Interrupt& interrupt = at(cpu, number);
    if (interrupt.listed && (number < kPrivate || interrupt.holder == cpu)) return true;
  }
  return false;
}

bool VirtualDistributor::waiting(unsigned cpu) const {
  for (unsigned number = 0; number < kInterruptCount; ++number) {
    const Interrupt& interrupt = at(cpu, number);
    if (!interrupt.listed && deliverable(interrupt) && belongs_to(cpu, number, interrupt)) return true;
  }
  return false;
}

std::vector<unsigned> VirtualDistributor::take_released(unsigned cpu) {
  std::vector<unsigned> released;
  for (unsigned number = 0; number < kInterruptCount; ++number) {
    Interrupt& interrupt = at(cpu, number);
    if (!interrupt.hardware || interrupt.pending || interrupt.active || interrupt.listed) continue;
    interrupt.hardware = false;
    released.push_back(number);
  }
  return released;
}

std::vector<unsigned> VirtualDistributor::held(unsigned cpu) const {
  std::vector<unsigned> numbers;
  for (unsigned number = 0; number < kInterruptCount; ++number) {
    if (at(cpu, number).hardware) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace shearling::arm
