// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: WFI with no interrupt enabled anywhere. Nothing will ever wake it.

.include "guest.inc"

.text
function kernel_main
  msr daifclr, #15
place the_wait
  wfi
  b the_wait
