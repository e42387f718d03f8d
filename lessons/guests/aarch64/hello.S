// SPDX-License-Identifier: GPL-3.0-or-later
//
// Says which exception level it runs at, and powers the machine off.

.include "guest.inc"

.text
function kernel_main
  mark 1
  print "hello from EL"
  mrs x0, currentel
  lsr x0, x0, #2
  bl print_decimal
  print "\n"
place the_power_off
  power_off
