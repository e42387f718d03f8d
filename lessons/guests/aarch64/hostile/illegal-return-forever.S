// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a handler that does not clear PSTATE.IL in what it returns to. The exception comes again at once, for ever.

.include "guest.inc"

.text
function kernel_main
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, careless_handler
  bl set_handler
  address x0, 1f
  msr elr_el1, x0
  mov x0, #SPSR_DAIF | SPSR_EL2H
  msr spsr_el1, x0
place the_illegal_return
  eret
1:
  b 1b

function careless_handler
  ret
