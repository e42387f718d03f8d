// SPDX-License-Identifier: GPL-3.0-or-later
//
// Register values in words: fields from the table, ESR_ELx by its class (DDI 0487, D19.2.37), SPSR_ELx with its mode.
#include <array>

#include "isa-arm/registers/system_registers.h"

namespace shearling::arm {
namespace {

using R = SystemRegister;
using E = ExceptionClass;

std::uint64_t bits_of(std::uint64_t value, unsigned high, unsigned low) {
  const unsigned width = high - low + 1;
  return value >> low & (width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1);
}

std::string number(std::uint64_t value) {
  if (value < 10) return std::string(1, static_cast<char>('0' + value));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (; value != 0; value >>= 4) text.insert(text.begin(), kDigits[value & 15]);
  return "0x" + text;
}

void append(std::string& text, std::string_view word) {
  if (!text.empty()) text += ' ';
  text += word;
}

std::string fields_of(std::span<const RegisterField> fields, std::uint64_t value) {
  std::string text;
  for (const RegisterField& field : fields)
    append(text, std::string(field.name) + '=' + number(bits_of(value, field.high, field.low)));
  return text;
}

// --- ESR_ELx ---------------------------------------------------------------------------------------------------------

constexpr RegisterField kWaitFields[] = {{"CV", 24, 24, {}}, {"COND", 23, 20, {}}, {"TI", 1, 0, {}}};
constexpr RegisterField kConditionFields[] = {{"CV", 24, 24, {}}, {"COND", 23, 20, {}}};
constexpr RegisterField kImmediateFields[] = {{"imm16", 15, 0, {}}};
constexpr RegisterField kInstructionAbortFields[] = {
    {"FnV", 10, 10, {}}, {"EA", 9, 9, {}}, {"S1PTW", 7, 7, {}}, {"IFSC", 5, 0, {}}};
constexpr RegisterField kDataAbortFields[] = {{"FnV", 10, 10, {}}, {"EA", 9, 9, {}},  {"CM", 8, 8, {}},
                                              {"S1PTW", 7, 7, {}}, {"WnR", 6, 6, {}}, {"DFSC", 5, 0, {}}};
/// Valid where ISV is set.
constexpr RegisterField kAccessFields[] = {
    {"SAS", 23, 22, {}}, {"SSE", 21, 21, {}}, {"SRT", 20, 16, {}}, {"SF", 15, 15, {}}, {"AR", 14, 14, {}}};
constexpr RegisterField kPlainFields[] = {{"ISS", 24, 0, {}}};

/// Classes and how their syndrome is taken apart.
struct ClassRow {
  E exception_class;
  std::string_view name;
  std::span<const RegisterField> fields;
};
constexpr ClassRow kClasses[] = {
    {E::Unknown, "unknown reason", {}},
    {E::WfxTrap, "trapped WFI or WFE", kWaitFields},
    {E::FloatingPointAccess, "trapped floating point or SIMD", kConditionFields},
    {E::PointerAuthenticationTrap, "trapped pointer authentication", kPlainFields},
    {E::IllegalState, "illegal execution state", {}},
    {E::Svc64, "SVC in AArch64", kImmediateFields},
    {E::Hvc64, "HVC in AArch64", kImmediateFields},
    {E::Smc64, "SMC in AArch64", kImmediateFields},
    {E::SystemInstruction, "trapped MSR, MRS or system instruction", kPlainFields},
    {E::EretTrap, "trapped ERET", kPlainFields},
    {E::InstructionAbortLower, "instruction abort from a lower level", kInstructionAbortFields},
    {E::InstructionAbortSame, "instruction abort from the same level", kInstructionAbortFields},
    {E::PcAlignment, "PC alignment", {}},
    {E::DataAbortLower, "data abort from a lower level", kDataAbortFields},
    {E::DataAbortSame, "data abort from the same level", kDataAbortFields},
    {E::SpAlignment, "SP alignment", {}},
    {E::FloatingPointException, "floating-point exception", kPlainFields},
    {E::SError, "SError", kPlainFields},
    {E::BreakpointLower, "breakpoint from a lower level", kPlainFields},
    {E::SoftwareStepLower, "software step from a lower level", kPlainFields},
    {E::WatchpointLower, "watchpoint from a lower level", kPlainFields},
    {E::Brk64, "BRK in AArch64", kImmediateFields},
};

const ClassRow* row_of(E exception_class) {
  for (const ClassRow& row : kClasses) {
    if (row.exception_class == exception_class) return &row;
  }
  return nullptr;
}

/// Fault status codes (DDI 0487, D19.2.37) whose two low bits are the level.
struct StatusRow {
  std::uint8_t first;
  std::string_view name;
};
constexpr StatusRow kLeveledStatus[] = {{0x00, "address size fault"},
                                        {0x04, "translation fault"},
                                        {0x08, "access flag fault"},
                                        {0x0c, "permission fault"},
                                        {0x14, "external abort on a table walk"}};
constexpr StatusRow kOtherStatus[] = {
    {0x10, "external abort"}, {0x21, "alignment fault"}, {0x30, "TLB conflict"}, {0x35, "unsupported exclusive"}};

std::string status_words(std::uint64_t status) {
  for (const StatusRow& row : kLeveledStatus) {
    if (row.first == (status & ~std::uint64_t{3})) return std::string(row.name) + ", level " + number(status & 3);
  }
  for (const StatusRow& row : kOtherStatus) {
    if (row.first == status) return std::string(row.name);
  }
  return "reserved status";
}

std::string register_name(std::uint64_t number_of_register) {
  if (number_of_register == 31) return "XZR";
  std::string text = "X";
  if (number_of_register >= 10) text += static_cast<char>('0' + number_of_register / 10);
  return text + static_cast<char>('0' + number_of_register % 10);
}

/// "MRS X3, SCTLR_EL1", "MSR SCTLR_EL1, X3", "TLBI VAE1IS, X3"; the five numbers where the encoding has no name.
std::string system_words(std::uint64_t iss) {
  const SystemEncoding encoding{
      static_cast<std::uint8_t>(bits_of(iss, 21, 20)), static_cast<std::uint8_t>(bits_of(iss, 16, 14)),
      static_cast<std::uint8_t>(bits_of(iss, 13, 10)), static_cast<std::uint8_t>(bits_of(iss, 4, 1)),
      static_cast<std::uint8_t>(bits_of(iss, 19, 17))};
  const std::string general = register_name(bits_of(iss, 9, 5));
  std::string name(name_of(encoding));
  if (name.empty())
    name = "op0=" + number(encoding.op0) + " op1=" + number(encoding.op1) + " CRn=" + number(encoding.crn) +
           " CRm=" + number(encoding.crm) + " op2=" + number(encoding.op2);
  if (encoding.op0 == 0) return "MSR " + name + ", #" + number(encoding.crm);
  if (encoding.op0 == 1) return name + ", " + general;
  return (iss & 1) != 0 ? "MRS " + general + ", " + name : "MSR " + name + ", " + general;
}

std::string describe_syndrome(std::uint64_t value) {
  const auto exception_class = static_cast<E>(bits_of(value, 31, 26));
  const std::uint64_t iss = bits_of(value, 24, 0);
  const ClassRow* row = row_of(exception_class);
  std::string text = "EC=" + number(bits_of(value, 31, 26)) + " (" + std::string(name_of(exception_class)) +
                     ") IL=" + number(bits_of(value, 25, 25));
  if (exception_class == E::SystemInstruction) return text + ' ' + system_words(iss);
  const bool data = exception_class == E::DataAbortLower || exception_class == E::DataAbortSame;
  const bool fetch = exception_class == E::InstructionAbortLower || exception_class == E::InstructionAbortSame;
  if (data) append(text, "ISV=" + number(bits_of(iss, 24, 24)));
  if (data && bits_of(iss, 24, 24) != 0) append(text, fields_of(kAccessFields, iss));
  const std::string fields = row != nullptr ? fields_of(row->fields, iss) : fields_of(kPlainFields, iss);
  if (!fields.empty()) append(text, fields);
  if (data || fetch) text += " (" + status_words(bits_of(iss, 5, 0)) + ")";
  return text;
}

// --- layouts of HCR_EL2.E2H
// --------------------------------------------------------------------------------------------

constexpr RegisterField kHostCptr[] = {{"TCPAC", 31, 31, {}}, {"FPEN", 21, 20, {}}};
constexpr RegisterField kHostCnthctl[] = {{"EL1PTEN", 11, 11, {}}, {"EL1PCTEN", 10, 10, {}}, {"EL0PTEN", 9, 9, {}},
                                          {"EL0VTEN", 8, 8, {}},   {"EVNTI", 7, 4, {}},      {"EVNTDIR", 3, 3, {}},
                                          {"EVNTEN", 2, 2, {}},    {"EL0VCTEN", 1, 1, {}},   {"EL0PCTEN", 0, 0, {}}};

std::span<const RegisterField> host_fields(R reg) {
  switch (reg) {
    case R::SCTLR_EL2:
      return info_of(R::SCTLR_EL1).fields;
    case R::TCR_EL2:
      return info_of(R::TCR_EL1).fields;
    case R::CPTR_EL2:
      return kHostCptr;
    case R::CNTHCTL_EL2:
      return kHostCnthctl;
    default:
      return info_of(reg).fields;
  }
}

// --- SPSR_ELx --------------------------------------------------------------------------------------------------------

std::string mode_words(std::uint64_t mode) {
  constexpr std::array<std::string_view, 13> kModes{"EL0t", "",     "",     "", "EL1t", "EL1h", "",
                                                    "",     "EL2t", "EL2h", "", "",     "EL3t"};
  if ((mode & 16) != 0) return "AArch32";
  if (mode < kModes.size() && !kModes[mode].empty()) return std::string(kModes[mode]);
  return mode == 13 ? "EL3h" : "reserved";
}

}  // namespace

std::string_view name_of(ExceptionClass exception_class) {
  const ClassRow* row = row_of(exception_class);
  return row != nullptr ? row->name : "reserved class";
}

std::string describe_fields(SystemRegister reg, std::uint64_t value, bool host_layout) {
  if (reg == R::ESR_EL1 || reg == R::ESR_EL2) return describe_syndrome(value);
  std::string text = fields_of(host_layout ? host_fields(reg) : info_of(reg).fields, value);
  if (reg == R::SPSR_EL1 || reg == R::SPSR_EL2) return text + " (" + mode_words(bits_of(value, 4, 0)) + ")";
  if (reg == R::CurrentEL) return text + " (EL" + number(bits_of(value, 3, 2)) + ")";
  return text;
}

}  // namespace shearling::arm
