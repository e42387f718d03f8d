// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: translation tables that lie in a device and beyond all memory. What the walk reads there is the machine's
// own affair, but it must end in a fault, not in the machine's.

.include "guest.inc"

.text
function kernel_main
  address x0, boot_level0
  constant x1, UART | PTE_TABLE
  str x1, [x0, #1 * 8]
  constant x1, 0x8000000000 | PTE_TABLE              // within the physical addresses, but nothing is there
  str x1, [x0, #2 * 8]
  dsb ishst
  isb
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, abort_handler
  bl set_handler
  constant x19, 1 << 39
place the_walk_through_a_device
  ldr x20, [x19]
  constant x19, 2 << 39
place the_walk_through_nothing
  ldr x20, [x19]
  print "table-on-device: survived\n"
  power_off

// X0: frame. On behind it.
function abort_handler
  ldr x1, [x0, #FRAME_ELR]
  add x1, x1, #4
  str x1, [x0, #FRAME_ELR]
  ret
