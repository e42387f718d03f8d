// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on exception levels. EL1 drops to EL0 with ERET; EL0 asks for a line of text with SVC and gets
// back; then it tries, one after the other, what EL0 may not. EL1 notes class and syndrome of each and goes on behind
// it. At last EL1 makes a fault of its own, and prints what it has noted. The vectors are this guest's, so that a
// reader sees an exception from its first instruction on; boot.S has others.
//
// Marks: 1 before the ERET to EL0 · 2 in the system call · 3 before the ERET out of it · 4 the attempts begin
//        5 back at EL1 for good

.include "guest.inc"

.text
.include "memory.inc"

.set USER_STACK_TOP, 0x80100000
.set ABSENT, 0x90000128                // no table leads there
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
  address x19, notes                   // where the next note goes
  address x20, the_secret              // EL0 will try to read it: an address is no secret
  print "EL1: going to EL0\n"

place set_vectors
  address x0, lesson_vectors
  msr vbar_el1, x0
  isb
  mark 1
  constant x0, USER_STACK_TOP
  msr sp_el0, x0
  ldr x0, =user_main
  msr elr_el1, x0
  mov x0, #SPSR_EL0
  msr spsr_el1, x0
place the_eret
  eret

// ---- Vectors ------------------------------------------------------------------------------------------------------
// Four origins, 0x200 bytes each; in each synchronous, IRQ, FIQ, SError, 0x80 bytes each.

.balign 2048
place lesson_vectors
  .rept VECTOR_SAME_SYNCHRONOUS
  .balign 128
  b unexpected
  .endr
  .balign 128
place from_el1
  bl note
  b behind_the_instruction
  .rept 3
  .balign 128
  b unexpected
  .endr
  .balign 128
place from_el0
  push x0, x1
  mrs x0, esr_el1
  lsr x1, x0, #EC_SHIFT
  cmp x1, #EC_SVC
  b.eq system_call
  push x2, x30
  bl note
  pop x2, x30
  pop x0, x1
  b behind_the_instruction
  .rept VECTORS - VECTOR_LOWER_SYNCHRONOUS - 1
  .balign 128
  b unexpected
  .endr
  .balign 128

unexpected:
  print "unexpected exception\n"
  power_off

// ELR_EL1 is the address of the instruction that was refused. X8 is this guest's to lose.
behind_the_instruction:
  mrs x8, elr_el1
  add x8, x8, #4
  msr elr_el1, x8
place return_behind
  eret

// Keeps syndrome and address in two quads at X19.
note:
  mrs x0, esr_el1
  mrs x1, far_el1
  stp x0, x1, [x19], #16
  ret

// The number is in the instruction and thus in the syndrome. ELR_EL1 is behind the SVC already. As in a function call,
// X2 to X17 may be lost.
place system_call
  mark 2
  and x0, x0, #0xffff
  cmp x0, #CALL_END
  b.eq back_for_good
  pop x0, x1
  push x29, x30
  bl print_string
  pop x29, x30
  mark 3
place return_from_call
  eret

// ---- Back at EL1 --------------------------------------------------------------------------------------------------

place back_for_good
  mark 5
  constant x21, ABSENT
place the_own_fault
  ldr x0, [x21]
place after_own_fault
  print "EL1: classes of what was refused:"
  address x20, notes
1:
  cmp x20, x19
  b.eq 2f
  ldp x21, x22, [x20], #16
  print " "
  lsr x0, x21, #EC_SHIFT
  bl print_hex
  b 1b
2:
  print "\nEL1: the last address was "
  print_hex_of x22
  print "\n"
  power_off

// ---- EL0 ----------------------------------------------------------------------------------------------------------
.section .user, "ax"
place user_main
  adr x0, user_text
place the_svc
  svc #CALL_PRINT
place after_svc
  push x0, x1                          // EL0 has a stack pointer of its own
  pop x0, x1
  mark 4
place the_masking
  msr daifset, #2                      // SCTLR_EL1.UMA is 0
place the_undefined_mrs
  mrs x2, sctlr_el1                    // no such register at EL0
place the_currentel
  mrs x2, currentel
place the_flags_read
  mrs x2, nzcv
place the_flags_write
  msr nzcv, x2
place the_wfi
  wfi                                  // SCTLR_EL1.nTWI is 0
place the_ctr_read
  mrs x2, ctr_el0                      // SCTLR_EL1.UCT is 0
place the_dczid_read
  mrs x2, dczid_el0
place the_user_eret
  eret
place the_kernel_load
  ldr x2, [x20]
place the_last_svc
  svc #CALL_END
user_text:
  .asciz "EL0: hello through SVC\n"
.balign 4

.data
.balign 8
pool:
  .quad 0x41000000
place the_secret
  .quad 0x5ec2e7

.bss
.balign 4096
place user_stack
  .skip 4096
notes:
  .skip 256
