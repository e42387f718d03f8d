// SPDX-License-Identifier: GPL-3.0-or-later
//
// A small kernel that checks the machine it runs on. EL1 first checks exceptions, system registers, translation and
// code that changes; then two EL0 tasks run side by side, each in an address space with an ASID of its own, preempted
// by the virtual timer; one sleeps while the kernel waits in WFI; then a row of rogue tasks does what EL0 may not.
// Each check prints "ok   NAME" or "FAIL NAME".
//
// Nothing that is printed, and nothing that memory holds at the end, depends on when the timer struck: tasks compute
// into their own pages, frames come from a pool a task, and what saw the interleaving is wiped before the end.
//
//   kernel.S            the order of things, and how a check is made
//   kernel-checks.inc   the checks of EL1
//   kernel-tasks.inc    exceptions, scheduler, system calls, demand paging
//   kernel-user.inc     EL0
//   memory.inc, interrupts.inc   as in other guests
//
// Marks: 1 EL1's checks · 2 translation checks · 3 the two tasks · 4 the rogues · 5 the end

.include "guest.inc"

.text
.include "memory.inc"
.include "interrupts.inc"

.set TICKS_WANTED, 10

// What the handler leaves of an expected exception, behind the address at which to go on.
.set CAUGHT_COUNT, 8
.set CAUGHT_ESR, 16
.set CAUGHT_FAR, 24
.set CAUGHT_ELR, 32
.set CAUGHT_VECTOR, 40

// Where an emulator is known to get the rest of the syndrome wrong, only the class is compared.
.set ANY_ISS, 1 << 63

// Reports a check: W0 says whether it held.
.macro report name
  .pushsection .rodata
9:
  .asciz "\name"
  .popsection
  address x1, 9b
  bl report_check
.endm

// Runs one instruction that must raise an exception with this ESR_EL1, FAR_EL1 (0: not compared) and ELR_EL1: W0 is 1
// if so. The instruction uses callee-saved registers only.
.macro faults_as esr, far, elr, instruction:vararg
  address x9, 8f
  address x10, expected_resume
  stp x9, xzr, [x10]                   // and nothing is caught yet
7:
  \instruction
8:
  ldr x0, =\esr
  ldr x1, =\far
  ldr x2, =\elr
  bl caught_as_expected
.endm

.macro faults name, esr, far, elr, instruction:vararg
  faults_as \esr, \far, \elr, \instruction
  report "\name"
.endm

.text
function kernel_main
  msr cntkctl_el1, xzr                 // EL0 may not read the counters
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, exception_handler
  bl set_handler
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, exception_handler
  bl set_handler
  mov x0, #0                           // synchronous, from EL1 on SP_EL0
  address x1, exception_handler
  bl set_handler
  mov x0, #VECTOR_SAME_IRQ
  address x1, interrupt_handler
  bl set_handler
  mov x0, #VECTOR_LOWER_IRQ
  address x1, interrupt_handler
  bl set_handler

  mark 1
  bl check_registers
  bl check_exceptions
  mark 2
  bl check_translation
  bl check_block_mappings
  bl check_page_crossing
  bl check_address_translation
  bl check_exclusives
  bl check_modified_code
  mark 3
  bl set_up_interrupts
  mov x0, #INTERRUPT_VIRTUAL_TIMER
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt
  bl start_ticking
  bl run_two_tasks
  bl run_sleeper
  mark 4
  bl run_rogues
  bl check_ticks

place wipe_traces                      // of time and of interleaving
  address x0, interleaving_begin
  address x1, interleaving_end
  bl wipe
  address x0, boot_stack               // what calls and interrupts left below the stack pointer
  mov x1, sp
  bl wipe
  .irp name, esr, far, elr, spsr, par
  msr \name\()_el1, xzr
  .endr
  msr sp_el0, xzr
  mark 5
  address x0, checks
  ldp w20, w19, [x0]                   // checks, failures
  cbnz w19, 1f
  print "kernel: all "
  print_decimal_of x20
  print " checks passed\n"
  power_off
1:
  print "kernel: FAILED "
  print_decimal_of x19
  print " of "
  print_decimal_of x20
  print " checks\n"
  power_off

// wipe(x0 from, x1 to): whole 16-byte blocks
function wipe
1:
  cmp x0, x1
  b.hs 2f
  stp xzr, xzr, [x0], #16
  b 1b
2:
  ret

// report_check(w0 passed, x1 name)
function report_check
  push x29, x30
  push x19, x20
  mov x19, x1
  mov w20, w0
  address x2, checks
  ldp w0, w1, [x2]
  add w0, w0, #1
  cmp w20, #0
  cinc w1, w1, eq
  stp w0, w1, [x2]
  cbnz w20, 1f
  print "FAIL "
  b 2f
1:
  print "ok   "
2:
  mov x0, x19
  bl print_string
  mov w0, #'\n'
  bl print_character
  pop x19, x20
  pop x29, x30
  ret

// caught_as_expected(x0 ESR, x1 FAR or 0, x2 ELR): W0 is 1 if just that was caught, once
function caught_as_expected
  address x3, expected_resume
  str xzr, [x3]
  ldr x4, [x3, #CAUGHT_COUNT]
  ldr x5, [x3, #CAUGHT_ESR]
  ldr x6, [x3, #CAUGHT_FAR]
  ldr x7, [x3, #CAUGHT_ELR]
  cmp x4, #1
  ccmp x5, x0, #0, eq
  ccmp x7, x2, #0, eq
  b.ne 1f
  cbz x1, 2f
  cmp x6, x1
  b.ne 1f
2:
  mov w0, #1
  ret
1:
  mov w0, #0
  ret

.include "kernel-checks.inc"
.include "kernel-tasks.inc"
.include "kernel-user.inc"

.data
.balign 8
place kernel_pool
  .quad 0x41000000

.bss
.balign 16
place expected_resume                  // where an expected exception of EL1 goes on; 0 when none is expected
  .skip 8
  .skip 8 * 5                          // CAUGHT_COUNT and those behind it
checks:
  .skip 4
failures:
  .skip 4
