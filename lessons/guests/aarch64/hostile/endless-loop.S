// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a branch to itself, for good.

.include "guest.inc"

.text
function kernel_main
place the_loop
  b the_loop
