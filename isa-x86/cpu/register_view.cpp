// SPDX-License-Identifier: GPL-3.0-or-later
//
// What views see of the core: registers as the guest believes them beside the real ones, the VMCS, disassembly. None of
// it changes anything.
#include <fmt/format.h>

#include "isa-x86/cpu/x86_processor.h"
#include "isa-x86/vmx/vmcs_fields.h"

namespace shearling::x86 {
namespace {

struct FlagName {
  std::uint64_t bit;
  std::string_view name;
};
constexpr std::array kFlagNames{FlagName{1U << 0, "CF"}, FlagName{1U << 2, "PF"}, FlagName{1U << 4, "AF"},
                                FlagName{1U << 6, "ZF"}, FlagName{1U << 7, "SF"}, FlagName{kFlagTf, "TF"},
                                FlagName{kFlagIf, "IF"}, FlagName{kFlagDf, "DF"}, FlagName{1U << 11, "OF"},
                                FlagName{kFlagNt, "NT"}, FlagName{kFlagRf, "RF"}, FlagName{kFlagAc, "AC"},
                                FlagName{kFlagId, "ID"}};
constexpr std::array kCr0Names{FlagName{kCr0Pe, "PE"}, FlagName{kCr0Mp, "MP"}, FlagName{kCr0Em, "EM"},
                               FlagName{kCr0Ts, "TS"}, FlagName{kCr0Et, "ET"}, FlagName{kCr0Ne, "NE"},
                               FlagName{kCr0Wp, "WP"}, FlagName{kCr0Am, "AM"}, FlagName{kCr0Nw, "NW"},
                               FlagName{kCr0Cd, "CD"}, FlagName{kCr0Pg, "PG"}};
constexpr std::array kCr4Names{
    FlagName{kCr4Tsd, "TSD"},     FlagName{kCr4De, "DE"},         FlagName{kCr4Pse, "PSE"},
    FlagName{kCr4Pae, "PAE"},     FlagName{kCr4Mce, "MCE"},       FlagName{kCr4Pge, "PGE"},
    FlagName{kCr4Pce, "PCE"},     FlagName{kCr4Osfxsr, "OSFXSR"}, FlagName{kCr4Osxmmexcpt, "OSXMMEXCPT"},
    FlagName{kCr4Umip, "UMIP"},   FlagName{kCr4Vmxe, "VMXE"},     FlagName{kCr4Fsgsbase, "FSGSBASE"},
    FlagName{kCr4Pcide, "PCIDE"}, FlagName{kCr4Smep, "SMEP"},     FlagName{kCr4Smap, "SMAP"}};
constexpr std::array kEferNames{FlagName{kEferSce, "SCE"}, FlagName{kEferLme, "LME"}, FlagName{kEferLma, "LMA"},
                                FlagName{kEferNxe, "NXE"}};

template <typename Names>
std::string spell(std::uint64_t value, const Names& names) {
  std::string text;
  for (const FlagName& row : names) {
    if ((value & row.bit) == 0) continue;
    if (!text.empty()) text += ' ';
    text += row.name;
  }
  return text;
}

std::string join(std::string decoded, const std::string& reason) {
  if (reason.empty()) return decoded;
  return decoded.empty() ? reason : decoded + "; " + reason;
}

std::string describe(const Segment& segment) {
  if (segment.unusable()) return "unusable";
  return fmt::format("base {:#x}, limit {:#x}, type {:#x}, DPL {}{}{}", segment.base, segment.limit,
                     segment.access_rights & 0x1f, segment.dpl(), segment.long_mode() ? ", L" : "",
                     segment.default_big() ? ", D" : "");
}

constexpr std::array<std::string_view, 16> kGeneralNames{"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
                                                         "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
constexpr std::array<std::uint8_t, 16> kGeneralOrder{0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15};

}  // namespace

std::vector<RegisterRow> X86Processor::registers() const {
  std::vector<RegisterRow> rows;
  const auto same = [&](std::string_view name, std::string_view group, std::uint64_t value, unsigned bits = 64,
                        std::string note = {}) {
    rows.push_back(
        {.name = name, .group = group, .believed = value, .real = value, .bits = bits, .note = std::move(note)});
  };
  const auto both = [&](std::string_view name, std::string_view group, std::uint64_t believed, std::uint64_t real,
                        std::string note) {
    rows.push_back({.name = name, .group = group, .believed = believed, .real = real, .note = std::move(note)});
  };
  const bool guest = vmx_.in_non_root();
  const unsigned width = state_.sixty_four_bit_mode() ? 64 : 32;
  for (std::size_t i = 0; i < kGeneralNames.size(); ++i) {
    if (width == 64 || i < 8) same(kGeneralNames[i], "general", general(kGeneralOrder[i]), width);
  }
  same("RIP", "general", pc(), width);
  same("RFLAGS", "general", flags(), width, spell(flags(), kFlagNames));

  const auto owned = [&](VmcsField field) {
    return guest ? fmt::format("the VMM owns bits {:#x} and shows a shadow of them", vmx_.vmcs().read(field))
                 : std::string{};
  };
  both("CR0", "control", visible_cr0(), state_.cr0,
       join(spell(visible_cr0(), kCr0Names), owned(VmcsField::Cr0GuestHostMask)));
  same("CR2", "control", state_.cr2);
  const NestedTranslation& nested = vmx_.nested();
  both("CR3", "control", state_.cr3, state_.cr3,
       nested.enabled ? fmt::format("guest-physical; EPTP {:#x}, VPID {}", nested.eptp, nested.vpid) : std::string{});
  both("CR4", "control", visible_cr4(), state_.cr4,
       join(spell(visible_cr4(), kCr4Names), owned(VmcsField::Cr4GuestHostMask)));
  same("CR8", "control", host_ ? state_.cr8 : apic_.task_priority());
  same("EFER", "control", state_.efer, 64, spell(state_.efer, kEferNames));

  same("CPL", "system", state_.cpl, 2, std::string(mode_name()));
  static constexpr std::array<std::string_view, kSegmentCount> kSegmentNames{"ES", "CS", "SS", "DS", "FS", "GS"};
  for (const unsigned index : {kCs, kSs, kDs, kEs, kFs, kGs}) {
    same(kSegmentNames[index], "segment", state_.segments[index].selector, 16, describe(state_.segments[index]));
  }
  same("LDTR", "segment", state_.ldtr.selector, 16, describe(state_.ldtr));
  same("TR", "segment", state_.tr.selector, 16, describe(state_.tr));
  same("GDTR", "system", state_.gdtr.base, 64, fmt::format("limit {:#x}", state_.gdtr.limit));
  same("IDTR", "system", state_.idtr.base, 64, fmt::format("limit {:#x}", state_.idtr.limit));
  const std::uint64_t believed_time = visible_tsc(), real_time = context_.time.guest_ticks() + context_.time.vmm_cycles;
  both("TSC", "system", believed_time, guest ? real_time : believed_time,
       guest ? std::string("the TSC offset hides the VMM's time") : std::string{});
  static constexpr std::array<std::pair<std::uint32_t, std::string_view>, 5> kShownMsrs{
      {{kMsrStar, "STAR"},
       {kMsrLstar, "LSTAR"},
       {kMsrFmask, "FMASK"},
       {kMsrKernelGsBase, "KERNEL_GS_BASE"},
       {kMsrPat, "PAT"}}};
  same("FS_BASE", "system", state_.segments[kFs].base);
  same("GS_BASE", "system", state_.segments[kGs].base);
  for (const auto& [number, name] : kShownMsrs) {
    const auto found = state_.msrs.find(number);
    same(name, "system", found == state_.msrs.end() ? 0 : found->second);
  }
  return rows;
}

std::vector<ControlFieldRow> X86Processor::control_structure() const {
  std::vector<ControlFieldRow> rows;
  if (!host_) return rows;
  for (const VmcsFieldInfo& info : vmcs_field_table()) {
    rows.push_back({.area = area_name(info.area()),
                    .name = info.name,
                    .encoding = info.encoding(),
                    .value = vmx_.vmcs().read(info.field)});
  }
  return rows;
}

VirtualAddress X86Processor::program_counter() const { return {pc()}; }

std::optional<InspectedTranslation> X86Processor::inspect(VirtualAddress address) const {
  return mmu_.inspect(address);
}

std::optional<PhysicalAddress> X86Processor::guest_to_physical(GuestPhysicalAddress address) const {
  if (host_) return host_->find_backing(address);
  const PhysicalAddress physical{address.value};
  return context_.memory.contains(physical) ? std::optional(physical) : std::nullopt;
}

std::vector<DisassembledInstruction> X86Processor::disassemble(VirtualAddress from, unsigned count) const {
  std::vector<DisassembledInstruction> lines;
  const bool sixty_four = state_.sixty_four_bit_mode();
  VirtualAddress at = from;
  while (lines.size() < count) {
    std::array<std::uint8_t, 15> bytes{};
    std::size_t held = 0;
    while (held < bytes.size()) {
      const auto translation = mmu_.inspect({at.value + held});
      if (!translation || !context_.memory.contains(translation->physical)) break;
      const std::size_t part =
          std::min<std::size_t>(bytes.size() - held, kFrameBytes - (at.value + held) % kFrameBytes);
      context_.memory.read_bytes(translation->physical, std::span(bytes).subspan(held, part));
      held += part;
    }
    if (held == 0) break;
    const std::span<const std::uint8_t> seen = std::span(bytes).first(held);
    const DecodedInstruction instruction = decode(seen, sixty_four);
    const std::size_t length = instruction.length == 0 ? 1 : instruction.length;
    lines.push_back({.address = at,
                     .bytes = {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)},
                     .text = x86::disassemble(seen, at, sixty_four),
                     .classification = instruction.classification});
    at.value += length;
  }
  return lines;
}

std::string X86Processor::describe_entry(std::string_view name, std::uint64_t entry) const {
  return describe_page_table_entry(name, entry);
}

}  // namespace shearling::x86
