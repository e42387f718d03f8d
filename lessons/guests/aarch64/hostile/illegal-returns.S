// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile, but it ends: exception returns that must not happen. Each sets PSTATE.IL and stays at EL1; the next
// instruction then raises an illegal-state exception, whose handler clears IL and goes on.

.include "guest.inc"

.text
function kernel_main
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, illegal_handler
  bl set_handler
  address x19, attempts
1:
  ldr x20, [x19]
  address x0, 2f
  msr elr_el1, x0
  msr spsr_el1, x20
place the_illegal_return
  eret
2:
  address x0, illegal_count            // only the handler counts: none may be missing
  ldr x1, [x0]
  add x19, x19, #8
  address x0, attempts_end
  cmp x19, x0
  b.lo 1b
  print "illegal-returns: "
  address x0, illegal_count
  ldr x0, [x0]
  bl print_decimal
  print " illegal-state exceptions, still at EL"
  mrs x0, currentel
  lsr x0, x0, #2
  bl print_decimal
  print "\n"
  power_off

// X0: frame. It is run with PSTATE.IL clear: taking an exception does that.
function illegal_handler
  ldr x1, [x0, #FRAME_ESR]
  lsr x1, x1, #EC_SHIFT
  cmp x1, #EC_ILLEGAL_STATE
  b.ne unexpected_exception
  address x2, illegal_count
  ldr x1, [x2]
  add x1, x1, #1
  str x1, [x2]
  ldr x1, [x0, #FRAME_SPSR]
  and x1, x1, #~SPSR_IL
  str x1, [x0, #FRAME_SPSR]
  ret

.section .rodata
.balign 8
attempts:
  .quad SPSR_DAIF | SPSR_EL2H          // a higher level
  .quad SPSR_DAIF | 0x08               // EL2 on SP_EL0
  .quad SPSR_DAIF | 0x0d               // EL3
  .quad SPSR_DAIF | 0x01               // M[0] set for EL0
  .quad SPSR_DAIF | 0x02               // M[1] is reserved
  .quad SPSR_DAIF | 0x07
  .quad SPSR_DAIF | 0x13               // AArch32 supervisor, while EL1 is AArch64
  .quad SPSR_DAIF | 0x1f               // AArch32 system
  .quad SPSR_DAIF | 0x1a               // AArch32 hypervisor
  .quad SPSR_DAIF | SPSR_IL | SPSR_EL1H          // a legal one that carries IL
attempts_end:

.bss
.balign 8
illegal_count:
  .skip 8
