// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: faults that recur until the machine gives up. The stack is gone and the double fault has no stack of its own
// either: #PF, #DF, shutdown.

.include "guest.inc"

.text
function kernel_main
  mov $VECTOR_DF, %edi
  lea vector_stubs + VECTOR_DF * 16(%rip), %rsi
  mov $0x8e, %edx
  xor %ecx, %ecx                       # no IST
  call set_gate
  movabs $0x7fffdeadb000, %rsp
place the_push
  push %rax
