// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: HLT with interrupts off. Nothing will ever wake it: a deadlock.

.include "guest.inc"

.text
function kernel_main
  cli
place the_halt
  hlt
  exit 1
