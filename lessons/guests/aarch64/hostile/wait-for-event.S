// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: WFE that nobody sends an event to, in a loop that waits for a flag which nobody sets.

.include "guest.inc"

.text
function kernel_main
  address x0, flag
place the_wait
  wfe
  ldaxr w1, [x0]
  cbz w1, the_wait
  power_off

.bss
.balign 8
flag:
  .skip 8
