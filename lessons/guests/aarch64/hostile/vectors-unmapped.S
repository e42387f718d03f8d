// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: nothing is mapped at the vectors. The first exception cannot be delivered, and neither can the instruction
// abort that says so: for ever the same one. AArch64 knows no double fault and no shutdown.

.include "guest.inc"

.text
function kernel_main
  constant x0, 1 << 40
  msr vbar_el1, x0
  isb
place the_first_exception
  udf #0
