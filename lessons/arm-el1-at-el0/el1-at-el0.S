// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on running EL1 code at EL0: a kernel that asks for its level, touches its masks, its control
// register, its tables and its TLB, and lets a program make one call. At EL1 none of it traps. One instruction behaves
// otherwise at EL0 without a trap: LDTR. What it did is kept in X24 only until mark 3, as nothing that the
// guest prints or keeps may depend on it.
//
// Marks: 1 before the sensitive instructions · 2 before LDTR · 3 behind it · 4 in the system call · 5 the end

.include "guest.inc"

.text
.include "memory.inc"

.set CALL_NOTHING, 1
.set CALL_END, 2
.set USER_VALUE, 0x5e

function kernel_main
  address x0, boot_level0
  constant x1, PTE_USER_CODE
  address x2, pool
  bl map_user_image
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, call_handler
  bl set_handler
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, refused
  bl set_handler
  address x20, the_kernel_datum
  str x20, [x20]

  mark 1
place the_level
  mrs x19, currentel
place after_level
  nop
place the_unmask
  msr daifclr, #1
place after_unmask
  mrs x21, daif
place the_mask
  msr daifset, #1
place the_control_read
  mrs x22, sctlr_el1
place after_control_read
  mrs x0, ttbr0_el1
place the_root_write
  msr ttbr0_el1, x0
place after_root_write
  isb
place the_tlbi
  tlbi vmalle1
place after_tlbi
  dsb ish
  isb

  mark 2
place the_own_load
  ldr x24, [x20]
  mov x24, #0
place the_unprivileged_load
  ldtr x24, [x20]                      // with the rights of EL0, which has none there
place after_unprivileged_load
  nop
  mov x24, #0

  mark 3
  ldr x0, =user_main
  msr elr_el1, x0
  mov x0, #SPSR_EL0
  msr spsr_el1, x0
  mov x0, #0
place the_eret
  eret

// X0: frame. LDTR was refused: go on behind it.
function refused
  ldr x1, [x0, #FRAME_ELR]
  add x1, x1, #4
  str x1, [x0, #FRAME_ELR]
  ret

function call_handler
  mark 4
  ldr x1, [x0, #FRAME_ESR]
  and x1, x1, #0xffff
  cmp x1, #CALL_END
  b.eq 1f
  ret
1:
  ldr x23, [x0, #FRAME_X0]
  mark 5
  print "el1-at-el0: CurrentEL "
  print_hex_of x19
  print ", masks "
  print_hex_of x21
  print ", the program says "
  print_hex_of x23
  print "\n"
  power_off

.section .user, "ax"
place user_main
  mov x0, #USER_VALUE
place the_svc
  svc #CALL_NOTHING
place after_svc
  nop
place the_last_svc
  svc #CALL_END

.data
.balign 8
pool:
  .quad 0x41000000
place the_kernel_datum
  .quad 0
