// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a handler that raises the exception it handles. Frames pile up downwards from the stack over the image's
// data, its tables and its code, and at last over the handler itself.

.include "guest.inc"

.text
function kernel_main
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, recursive_handler
  bl set_handler
place the_first_call
  svc #0

function recursive_handler
place the_recursion
  svc #1
  ret
