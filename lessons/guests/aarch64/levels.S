// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on exception levels: EL1 drops to EL0 with ERET; EL0 asks EL1 for a line of text with SVC and
// gets back with ERET; then it tries what EL0 may not: system registers that do not exist at EL0 (UNDEFINED), and three
// instructions that SCTLR_EL1 traps. EL1 reports each and goes on behind it.
//
// Marks: 1 before the ERET to EL0 · 2 in the system call · 3 before the ERET out of it · 4 in the handler of the rest
//        5 the end

.include "guest.inc"

.text
.include "memory.inc"

.set USER_STACK_TOP, 0x80100000
.set CALL_PRINT, 1
.set CALL_END, 2

function kernel_main
  address x0, boot_level0
  constant x1, PTE_USER_CODE
  address x2, pool
  bl map_user_image
  address x0, boot_level0
  constant x1, USER_STACK_TOP - 0x1000
  address x2, user_stack
  constant x3, PTE_USER_DATA
  orr x2, x2, x3
  address x3, pool
  bl map_page
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, synchronous_handler
  bl set_handler

  print "EL1: going to EL0\n"
  mark 1
place enter_user_mode
  constant x0, USER_STACK_TOP
  msr sp_el0, x0
  ldr x0, =user_main
  msr elr_el1, x0
  mov x0, #SPSR_EL0
  msr spsr_el1, x0
place the_eret
  eret

// X0: frame. The class in ESR_EL1 says what it was.
function synchronous_handler
  push x29, x30
  push x19, x20
  mov x19, x0
  ldr x20, [x19, #FRAME_ESR]
  lsr x0, x20, #EC_SHIFT
  cmp x0, #EC_SVC
  b.eq system_call
  mark 4
  print "EL1: exception class "
  lsr x0, x20, #EC_SHIFT
  bl print_hex
  print ", from EL"
  ldr x0, [x19, #FRAME_SPSR]
  ubfx x0, x0, #2, #2
  bl print_decimal
  print ", at byte "
  ldr x0, [x19, #FRAME_ELR]
  ldr x1, =the_undefined_mrs
  sub x0, x0, x1
  bl print_decimal
  print " of the attempts\n"
  ldr x0, [x19, #FRAME_ELR]            // it is the address of the instruction: go on behind it
  add x0, x0, #4
  str x0, [x19, #FRAME_ELR]
back_to_user:
  mov x0, x19
  pop x19, x20
  pop x29, x30
  ret

// The number is in the instruction, thus in the syndrome; ELR is behind the SVC already. The argument is a user
// address: nothing keeps EL1 from reading it here.
place system_call
  mark 2
  and x0, x20, #0xffff
  cmp x0, #CALL_END
  b.eq 1f
  ldr x0, [x19, #FRAME_X0]
  bl print_string
  mark 3
  b back_to_user
1:
  mark 5
  print "EL1: EL0 has ended\n"
  power_off

// ---- EL0 ----------------------------------------------------------------------------------------------------------
.section .user, "ax"
place user_main
  adr x0, user_text
place the_svc
  svc #CALL_PRINT
place after_svc
  push x0, x1                          // shows that EL0 has a stack pointer of its own
  pop x0, x1
place the_undefined_mrs
  mrs x2, sctlr_el1                    // no such register at EL0
place the_currentel
  mrs x2, currentel
place the_trapped_mrs
  mrs x3, ctr_el0                      // SCTLR_EL1.UCT is 0
place the_trapped_msr
  msr daifset, #2                      // SCTLR_EL1.UMA is 0
place the_trapped_wfi
  wfi                                  // SCTLR_EL1.nTWI is 0
place the_undefined_hvc
  hvc #1
place the_innocuous_mrs
  mrs x2, nzcv
  adr x0, user_end_text
  svc #CALL_PRINT
place the_last_svc
  svc #CALL_END
user_text:
  .asciz "EL0: hello through SVC\n"
user_end_text:
  .asciz "EL0: still here\n"
.balign 4

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 4096
place user_stack
  .skip 4096
