// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a write of one byte to the exit port, then of two.

.include "guest.inc"

.text
function kernel_main
  mov $0x35, %eax
place the_byte_write
  out %al, $PORT_EXIT
place the_word_write
  mov $0x1234, %eax
  out %ax, $PORT_EXIT
  print "exit-port-byte: survived\n"
  exit 0
