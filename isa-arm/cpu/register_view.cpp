// SPDX-License-Identifier: GPL-3.0-or-later
//
// What views see of the core: registers as the guest believes them beside the real ones, the control registers of EL2,
// disassembly. None of it changes anything.
#include <algorithm>
#include <array>
#include <cstring>

#include "isa-arm/cpu/arm_processor.h"

namespace shearling::arm {
namespace {

constexpr std::array<std::string_view, 31> kGeneralNames{
    "X0",  "X1",  "X2",  "X3",  "X4",  "X5",  "X6",  "X7",  "X8",  "X9",  "X10", "X11", "X12", "X13", "X14", "X15",
    "X16", "X17", "X18", "X19", "X20", "X21", "X22", "X23", "X24", "X25", "X26", "X27", "X28", "X29", "X30"};

/// What makes EL2 a hypervisor: shown as its control structure. The areas are ours.
struct ControlRegister {
  std::string_view area;
  SystemRegister reg;
};
constexpr std::array kControlRegisters{ControlRegister{"traps and routing", SystemRegister::HCR_EL2},
                                       ControlRegister{"traps and routing", SystemRegister::CPTR_EL2},
                                       ControlRegister{"traps and routing", SystemRegister::MDCR_EL2},
                                       ControlRegister{"traps and routing", SystemRegister::CNTHCTL_EL2},
                                       ControlRegister{"stage 2", SystemRegister::VTCR_EL2},
                                       ControlRegister{"stage 2", SystemRegister::VTTBR_EL2},
                                       ControlRegister{"what the guest reads", SystemRegister::VPIDR_EL2},
                                       ControlRegister{"what the guest reads", SystemRegister::VMPIDR_EL2},
                                       ControlRegister{"what the guest reads", SystemRegister::CNTVOFF_EL2},
                                       ControlRegister{"virtual interrupts", SystemRegister::ICH_HCR_EL2},
                                       ControlRegister{"virtual interrupts", SystemRegister::ICH_VMCR_EL2},
                                       ControlRegister{"virtual interrupts", SystemRegister::ICH_LR0_EL2},
                                       ControlRegister{"virtual interrupts", SystemRegister::ICH_LR1_EL2},
                                       ControlRegister{"virtual interrupts", SystemRegister::ICH_LR2_EL2},
                                       ControlRegister{"virtual interrupts", SystemRegister::ICH_LR3_EL2},
                                       ControlRegister{"latest exception", SystemRegister::ESR_EL2},
                                       ControlRegister{"latest exception", SystemRegister::ELR_EL2},
                                       ControlRegister{"latest exception", SystemRegister::SPSR_EL2},
                                       ControlRegister{"latest exception", SystemRegister::FAR_EL2},
                                       ControlRegister{"latest exception", SystemRegister::HPFAR_EL2}};

bool belongs_to_el2(const SystemRegisterInfo& info) { return info.name.ends_with("_EL2"); }

}  // namespace

/// A register's value without what reading it would bring about; nothing where only a real read can say.
std::optional<std::uint64_t> ArmProcessor::peek(SystemRegister reg) const {
  switch (info_of(reg).home) {
    case RegisterHome::ProcessState:
      return read_process_state(reg);
    case RegisterHome::Timer:
      return timer_.read(reg);
    case RegisterHome::Hypervisor:
      return system_->gic.read_hypervisor(context_.cpu, reg);
    case RegisterHome::Interrupt:
      return std::nullopt;
    default:
      return state_[reg];
  }
}

std::vector<RegisterRow> ArmProcessor::registers() const {
  std::vector<RegisterRow> rows;
  const auto add = [&](std::string_view name, std::string_view group, std::uint64_t value, std::string note = {}) {
    rows.push_back({.name = name, .group = group, .believed = value, .real = value, .note = std::move(note)});
  };
  for (unsigned i = 0; i < kGeneralNames.size(); ++i) add(kGeneralNames[i], "general", general(i));
  add("SP", "general", read_engine(integer_register(31)));
  add("PC", "general", pc());
  add("PSTATE", "general", process_state(), describe_fields(SystemRegister::SPSR_EL1, process_state()));
  const std::vector<BelievedRegister> believed = host_ ? host_->believed(*this) : std::vector<BelievedRegister>{};
  for (const SystemRegisterInfo& info : system_register_table()) {
    if (belongs_to_el2(info) && !system_->has_el2()) continue;
    const auto value = peek(info.id);
    if (!value) continue;
    add(info.name, info.group, *value, describe_fields(info.id, *value, state_.e2h()));
    const auto other =
        std::find_if(believed.begin(), believed.end(), [&](const BelievedRegister& row) { return row.reg == info.id; });
    if (other != believed.end()) rows.back().believed = other->value;
  }
  return rows;
}

std::vector<ControlFieldRow> ArmProcessor::control_structure() const {
  if (host_) return host_->control_structure(*this);
  std::vector<ControlFieldRow> rows;
  if (!system_->has_el2()) return rows;
  for (const ControlRegister& control : kControlRegisters) {
    const SystemRegisterInfo& info = info_of(control.reg);
    rows.push_back({.area = control.area,
                    .name = info.name,
                    .encoding = info.encoding.packed(),
                    .value = peek(control.reg).value_or(0)});
  }
  return rows;
}

Actor ArmProcessor::actor() const {
  static constexpr std::array kActors{Actor::GuestUser, Actor::GuestKernel, Actor::Vmm};
  const unsigned level = state_.exception_level;
  if (!host_) return kActors[level];
  return level == host_->exception_level() ? Actor::Vmm : kActors[host_->guest_level(level)];
}

std::optional<InspectedTranslation> ArmProcessor::inspect(VirtualAddress address) const {
  return mmu_.inspect(address);
}

std::optional<PhysicalAddress> ArmProcessor::guest_to_physical(GuestPhysicalAddress address) const {
  if (host_) return host_->find_backing(address);
  return PhysicalAddress{address.value};
}

std::vector<DisassembledInstruction> ArmProcessor::disassemble(VirtualAddress from, unsigned count) const {
  std::vector<DisassembledInstruction> lines;
  for (unsigned i = 0; i < count; ++i) {
    const VirtualAddress address{(from.value & ~std::uint64_t{3}) + std::uint64_t{4} * i};
    const auto translation = mmu_.inspect(address);
    if (!translation || !context_.memory.contains(translation->physical, 4)) break;
    const auto word = static_cast<std::uint32_t>(context_.memory.read(translation->physical, 4));
    std::vector<std::uint8_t> bytes(sizeof word);
    std::memcpy(bytes.data(), &word, sizeof word);
    lines.push_back({.address = address,
                     .bytes = std::move(bytes),
                     .text = arm::disassemble(word, address),
                     .classification = class_of(operation_of(word), word)});
  }
  return lines;
}

std::string ArmProcessor::describe_entry(std::string_view name, std::uint64_t entry) const {
  return describe_descriptor(name, entry);
}

}  // namespace shearling::arm
