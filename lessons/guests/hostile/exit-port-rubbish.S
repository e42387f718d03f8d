// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: writes of other widths and beside the exit port, then a value that does not fit in an exit status. What narrow
// writes do is the port's affair (it may take one as an exit): the guest survives them, or has ended.

.include "guest.inc"

.text
function kernel_main
  print "exit-port-rubbish: before\n"
  mov $PORT_EXIT + 4, %edx             # beside the port: nothing there
  mov $-1, %eax
  out %al, (%dx)
  out %eax, (%dx)
place the_read
  in $PORT_EXIT, %eax
place the_wide_write
  mov $0xfedcba98, %eax
  out %eax, $PORT_EXIT
  jmp exit_machine
