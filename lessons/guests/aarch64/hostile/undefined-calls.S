// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile, but it ends: SMC where there is no EL3 to serve it, HVC and SMC at EL0, and firmware calls that nobody
// knows. The UNDEFINED ones are counted; the calls must say so.

.include "guest.inc"

.text
.include "memory.inc"

function kernel_main
  address x0, boot_level0
  ldr x1, =PTE_USER_CODE
  address x2, pool
  bl map_user_image
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, undefined_handler
  bl set_handler
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, undefined_handler
  bl set_handler
place the_smc
  smc #0
  ldr w0, =0x84001234                  // no such function
  hvc #0
  cmn w0, #1
  b.ne failed
  ldr w0, =0x12345678
  hvc #0
  cmn w0, #1
  b.ne failed
  ldr x0, =user_main
  msr elr_el1, x0
  msr spsr_el1, xzr
  eret

failed:
  print "undefined-calls: FAIL\n"
  power_off

// X0: frame. A system call ends it.
function undefined_handler
  ldr x1, [x0, #FRAME_ESR]
  lsr x1, x1, #EC_SHIFT
  cmp x1, #EC_SVC
  b.eq 1f
  cbnz x1, unexpected_exception
  address x2, undefined_count
  ldr x1, [x2]
  add x1, x1, #1
  str x1, [x2]
  ldr x1, [x0, #FRAME_ELR]
  add x1, x1, #4
  str x1, [x0, #FRAME_ELR]
  ret
1:
  print "undefined-calls: "
  address x0, undefined_count
  ldr x0, [x0]
  bl print_decimal
  print " undefined\n"
  power_off

.section .user, "ax"
place user_main
  hvc #0
  smc #0
  svc #0

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 8
undefined_count:
  .skip 8
