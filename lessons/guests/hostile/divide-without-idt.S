// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: divides by zero with an empty IDT. #DE cannot be delivered, #GP cannot, #DF cannot: shutdown.

.include "guest.inc"

.text
function kernel_main
  lidt no_descriptors(%rip)
  xor %ecx, %ecx
place the_divide
  div %ecx

.data
no_descriptors:
  .word 0
  .quad 0
