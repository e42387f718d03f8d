// SPDX-License-Identifier: GPL-3.0-or-later
#include <capstone/capstone.h>

#include "isa-x86/cpu/decoder.h"

namespace shearling::x86 {
namespace {

/// One Capstone handle a mode, for as long as the thread lives.
class Disassembler {
 public:
  explicit Disassembler(cs_mode mode) { open_ = cs_open(CS_ARCH_X86, mode, &handle_) == CS_ERR_OK; }
  ~Disassembler() {
    if (open_) cs_close(&handle_);
  }
  Disassembler(const Disassembler&) = delete;
  Disassembler& operator=(const Disassembler&) = delete;

  [[nodiscard]] std::string text(std::span<const std::uint8_t> bytes, VirtualAddress address) const {
    if (!open_) return "(no disassembler)";
    cs_insn* instruction = nullptr;
    const std::size_t count = cs_disasm(handle_, bytes.data(), bytes.size(), address.value, 1, &instruction);
    if (count == 0) return "(bad)";
    std::string text = instruction->mnemonic;
    if (instruction->op_str[0] != '\0') text += std::string(" ") + instruction->op_str;
    cs_free(instruction, count);
    return text;
  }

 private:
  csh handle_ = 0;
  bool open_ = false;
};

}  // namespace

std::string disassemble(std::span<const std::uint8_t> bytes, VirtualAddress address, bool sixty_four_bit) {
  thread_local const Disassembler kLong(CS_MODE_64), kProtected(CS_MODE_32);
  return (sixty_four_bit ? kLong : kProtected).text(bytes, address);
}

}  // namespace shearling::x86
