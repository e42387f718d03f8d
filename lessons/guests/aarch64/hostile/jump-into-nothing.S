// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a jump to an address that nothing is mapped at. The boot code's handler reports it and ends.

.include "guest.inc"

.text
function kernel_main
  constant x0, 0x7fffdeadb000
place the_jump
  br x0
