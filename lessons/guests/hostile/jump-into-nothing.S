// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a jump to an address that nothing is mapped at. The #PF handler of the boot code reports it and ends.

.include "guest.inc"

.text
function kernel_main
  movabs $0x7fffdeadb000, %rax
place the_jump
  jmp *%rax
