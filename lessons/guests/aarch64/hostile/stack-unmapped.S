// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: the handler's own stack is not there. The vector's first store faults, its exception goes to the same
// vector, and so on: the stack pointer sinks by a frame each time, with billions of frames to go to the next memory.

.include "guest.inc"

.text
function kernel_main
  constant x0, 1 << 40
  mov sp, x0
place the_first_exception
  svc #0
