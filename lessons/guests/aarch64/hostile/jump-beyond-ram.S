// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a jump to a mapped address beyond the RAM, where the bus has nothing, with vectors that lie there, too.

.include "guest.inc"

.text
.include "memory.inc"

function kernel_main
  address x0, boot_level0
  constant x1, 0x300000000
  constant x2, 0x300000000 | PTE_BLOCK | PTE_KERNEL
  address x3, pool
  mov w4, #SHIFT_LEVEL0
  mov w5, #SHIFT_LEVEL1
  bl map_between
  constant x0, 0x300000000
  msr vbar_el1, x0
  isb
place the_jump
  br x0

.data
.balign 8
pool:
  .quad 0x41000000
