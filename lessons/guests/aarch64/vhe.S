// SPDX-License-Identifier: GPL-3.0-or-later
//
// A kernel that lives at EL2 as if it were at EL1 (FEAT_VHE): with HCR_EL2.E2H the names of EL1's registers reach
// EL2's, EL2 has two halves of addresses and an EL0 of its own, and EL1's registers have names that end in _EL12.
// Checks the redirection, runs a program at EL0 whose exceptions come straight to EL2, and enters a guest at EL1.
// Each check prints "ok   NAME" or "FAIL NAME".
//
// Marks: 1 before E2H is set · 2 the registers · 3 before EL0 · 4 an exception from EL0 · 5 before EL1 · 6 the end

.include "guest.inc"

.text
.include "memory.inc"
.include "interrupts.inc"

.set USER_STACK_TOP, 0x80100000
.set UPPER_PAGE, 0xffffff8000000000
.set UPPER_VALUE, 0x5e5
.set INTERRUPT_HOST_TIMER, 26          // what the physical timer's names reach at EL2
.set TIMER_PERIOD, 10000
.set TICKS_WANTED, 3
.set HOST_CONTROLS, HCR_E2H | HCR_TGE | HCR_RW
.set GUEST_CONTROLS, HCR_E2H | HCR_RW
.set CALL_ADD, 1
.set CALL_END, 2

// The physical timer, by EL1's names.
.macro start_host_timer
  constant x9, TIMER_PERIOD
  msr cntp_tval_el0, x9
  mov x9, #1
  msr cntp_ctl_el0, x9
  isb
.endm

.macro stop_host_timer
  msr cntp_ctl_el0, xzr
  isb
.endm

.macro report name
  .pushsection .rodata
9:
  .asciz "\name"
  .popsection
  address x1, 9b
  bl report_check
.endm

// Before E2H: EL1's register NAME gets a value. After it: X0 stays 1 if NAME_EL12 has it.
.macro preset name, value
  constant x9, \value
  msr \name\()_el1, x9
.endm

.macro compare name, value
  constant x9, \value
  mrs x10, \name\()_el12
  cmp x9, x10
  csel w0, w0, wzr, eq
.endm

.macro for_each_register what
  \what ttbr0, 0x0011000012340000
  \what ttbr1, 0x0022000023450000
  \what vbar, 0x34567800
  \what elr, 0x4567890
  \what far, 0xffff56789abcdef0
  \what esr, 0x56000042
  \what contextidr, 0x6789abcd
  \what mair, 0x00000000bb440400
  \what cpacr, 1 << 20
  \what spsr, 0x600003c5
  \what cntkctl, 3
.endm

function kernel_main
  mrs x0, id_aa64mmfr1_el1
  ubfx x0, x0, #8, #4
  cbz x0, no_host_extensions
  for_each_register preset
  bl build_host_tables
  mark 1
  bl become_host
  mark 2
  print "EL2: host\n"
  bl check_redirection
  bl check_guest_names
  bl check_timers
  bl check_upper_half
  bl check_user_memory
  bl check_ticks
  mark 3
  bl run_user
  mark 5
  bl run_guest
  mark 6
  print "vhe: done\n"
  power_off

no_host_extensions:
  print "vhe: this image wants a core with the virtualization host extensions\n"
  power_off

// report_check(w0 passed, x1 name)
function report_check
  push x29, x30
  push x19, x20
  mov x19, x1
  cbnz w0, 1f
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

// ---- Into the host's regime ---------------------------------------------------------------------------------------

.set HOST_MEMORY, PTE_BLOCK | PTE_MEMORY | PTE_UXN         // AP[1] would let EL0 in now, and keep EL2 from running it
.set HOST_DEVICE, PTE_BLOCK | PTE_DEVICE | PTE_AF | PTE_UXN | PTE_PXN

function build_host_tables
  push x29, x30
  push x19, x20
  mov x19, #0                          // UART and interrupt controller
  ldr x20, =HOST_DEVICE
  bl map_host_block
  constant x19, RAM
1:
  ldr x20, =HOST_MEMORY
  bl map_host_block
  add x19, x19, #0x200000
  constant x0, RAM_END
  cmp x19, x0
  b.lo 1b
  address x0, host_level0
  ldr x1, =PTE_USER_CODE
  address x2, pool
  bl map_user_image
  address x0, host_level0
  constant x1, USER_STACK_TOP - 0x1000
  address x2, user_stack
  ldr x3, =PTE_USER_DATA
  orr x2, x2, x3
  address x3, pool
  bl map_page
  address x0, upper_level0
  constant x1, UPPER_PAGE
  address x2, upper_page
  ldr x3, =PTE_PAGE | PTE_MEMORY | PTE_PXN | PTE_UXN
  orr x2, x2, x3
  address x3, pool
  bl map_page
  address x0, upper_page
  mov x1, #UPPER_VALUE
  str x1, [x0]
  pop x19, x20
  pop x29, x30
  ret

// map_host_block(x19 address, x20 descriptor without it): 2 MB; for devices, all of the first 256 MB
map_host_block:
  push x29, x30
1:
  address x0, host_level0
  mov x1, x19
  orr x2, x19, x20
  address x3, pool
  mov w4, #SHIFT_LEVEL0
  mov w5, #SHIFT_LEVEL2
  bl map_between
  constant x0, RAM
  cmp x19, x0
  b.hs 2f
  add x19, x19, #0x200000
  constant x0, 0x10000000
  cmp x19, x0
  b.lo 1b
2:
  pop x29, x30
  ret

// The translation regime changes under this code: MMU off (everything is mapped at its own address), E2H, MMU on.
function become_host
  mrs x1, sctlr_el2
  bic x2, x1, #SCTLR_M
  msr sctlr_el2, x2
  isb
  constant x0, HOST_CONTROLS
place the_e2h
  msr hcr_el2, x0
  isb
  address x0, host_level0              // from here on under EL1's names
  msr ttbr0_el1, x0
  address x0, upper_level0
  msr ttbr1_el1, x0
  constant x0, TCR_T0 | TCR_T1 | TCR_EL1_IPS | TCR_EL1_AS
  msr tcr_el1, x0
  constant x0, MAIR
  msr mair_el1, x0
  mov x0, #3 << 20
  msr cpacr_el1, x0
  msr cntkctl_el1, xzr
  dsb ish
  tlbi alle2
  tlbi vmalle1
  dsb ish
  isb
  constant x1, SCTLR_EL1_RES1 | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_SA0 | SCTLR_I
place the_host_mmu
  msr sctlr_el1, x1
  isb
  ret

// ---- Registers ----------------------------------------------------------------------------------------------------

function check_redirection
  push x29, x30
  mrs x0, ttbr0_el1
  mrs x1, ttbr0_el2
  address x2, host_level0
  cmp x0, x1
  ccmp x0, x2, #0, eq
  cset w0, eq
  report "TTBR0_EL1 is TTBR0_EL2"
  mrs x0, vbar_el1
  address x1, vectors
  cmp x0, x1
  cset w0, eq
  report "VBAR_EL1 is VBAR_EL2, as boot set it"
  mov x0, #3 << 20
  msr cpacr_el1, x0
  isb
  mrs x0, cptr_el2
  ubfx x0, x0, #20, #2
  cmp x0, #3
  cset w0, eq
  report "CPACR_EL1 is CPTR_EL2, in CPACR_EL1's form"
  constant x0, 0x12345678
  msr far_el1, x0
  mrs x1, far_el2
  cmp x0, x1
  cset w0, eq
  report "FAR_EL1 is FAR_EL2"
  mrs x0, currentel
  cmp x0, #2 << 2
  cset w0, eq
  report "CurrentEL is EL2 all the same"
  pop x29, x30
  ret

function check_guest_names
  push x29, x30
  mov w0, #1
  for_each_register compare
  report "the names with _EL12 are EL1's registers"
  mrs x1, vbar_el1
  mrs x2, vbar_el12
  cmp x1, x2
  cset w0, ne
  report "VBAR_EL12 is not VBAR_EL1"
  pop x29, x30
  ret

function check_timers
  push x29, x30
  constant x0, 0x1234567890
  msr cntv_cval_el02, x0               // EL1's virtual timer
  constant x1, 0x2345678901
  msr cntv_cval_el0, x1                // EL2's
  mrs x2, cntv_cval_el02
  mrs x3, cnthv_cval_el2
  cmp x2, x0
  ccmp x3, x1, #0, eq
  cset w0, eq
  report "CNTV_CVAL_EL0 is CNTHV_CVAL_EL2, _EL02 is EL1's"
  constant x0, 0x3456789012
  msr cntp_cval_el02, x0
  constant x1, 0x4567890123
  msr cntp_cval_el0, x1
  mrs x2, cntp_cval_el02
  mrs x3, cnthp_cval_el2
  cmp x2, x0
  ccmp x3, x1, #0, eq
  cset w0, eq
  report "CNTP_CVAL_EL0 is CNTHP_CVAL_EL2, _EL02 is EL1's"
  pop x29, x30
  ret

// ---- Memory -------------------------------------------------------------------------------------------------------

function check_upper_half
  push x29, x30
  constant x0, UPPER_PAGE
place the_upper_load
  ldr x0, [x0]
  mov x1, #UPPER_VALUE
  cmp x0, x1
  cset w0, eq
  report "EL2 has an upper half"
  pop x29, x30
  ret

function check_user_memory
  push x29, x30
  push x19, x20
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, host_fault
  bl set_handler
  constant x19, USER_STACK_TOP - 16
  mov x20, #0
  ldr x20, [x19]
  cmp x20, #0
  cset w0, eq
  report "EL2 reads EL0's memory"
  mov x20, #0
  msr pan, #1
place the_pan_load
  ldr x20, [x19]                       // the handler puts the syndrome there and skips it
  msr pan, #0
  ldr x0, =EC_DATA_SAME << EC_SHIFT | ESR_IL | FSC_PERMISSION | 3
  constant x1, 0x01ffffc0              // only class and status: some give this abort a "valid syndrome", too
  bic x20, x20, x1
  bic x0, x0, x1
  cmp x20, x0
  cset w0, eq
  report "with PAN it does not"
  msr pan, #1
  ldtr x20, [x19]
  msr pan, #0
  cmp x20, #0
  cset w0, eq
  report "but by LDTR it does"
  pop x19, x20
  pop x29, x30
  ret

// X0: frame. X20 gets the syndrome.
function host_fault
  ldr x1, [x0, #FRAME_ESR]
  str x1, [x0, #FRAME_X0 + 20 * 8]
  ldr x1, [x0, #FRAME_ELR]
  add x1, x1, #4
  str x1, [x0, #FRAME_ELR]
  ret

// ---- Interrupts ---------------------------------------------------------------------------------------------------

function check_ticks
  push x29, x30
  push x19, x20
  mov x0, #VECTOR_SAME_IRQ
  address x1, interrupt_handler
  bl set_handler
  bl set_up_interrupts
  mov x0, #INTERRUPT_HOST_TIMER
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt
  start_host_timer
  address x19, ticks
1:
  ldr x0, [x19]
  cmp x0, #TICKS_WANTED
  b.hs 2f
  wfi
  msr daifclr, #2
  nop
  msr daifset, #2
  b 1b
2:
  cmp x0, #TICKS_WANTED
  cset w0, eq
  report "the physical timer's names tick by interrupt 26"
  pop x19, x20
  pop x29, x30
  ret

// X0: frame
function interrupt_handler
  mrs x1, icc_iar1_el1
  cmp x1, #INTERRUPT_HOST_TIMER
  b.ne 2f
  address x2, ticks
  ldr x3, [x2]
  add x3, x3, #1
  str x3, [x2]
  stop_host_timer
  cmp x3, #TICKS_WANTED
  b.hs 1f
  start_host_timer
1:
  msr icc_eoir1_el1, x1
  isb
2:
  ret

// ---- EL0 under EL2 ------------------------------------------------------------------------------------------------

// Returns when the program ends: the handler comes back here by the saved stack.
function run_user
  push x29, x30
  push x19, x20
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, user_handler
  bl set_handler
  address x0, user_return_stack
  mov x1, sp
  str x1, [x0]
  constant x0, USER_STACK_TOP
  msr sp_el0, x0
  ldr x0, =user_main
  msr elr_el1, x0                      // ELR_EL2 and SPSR_EL2, by EL1's names
  mov x0, #SPSR_EL0
  msr spsr_el1, x0
place the_user_entry
  eret
place user_ended
  address x0, user_return_stack
  ldr x0, [x0]
  mov sp, x0
  pop x19, x20
  pop x29, x30
  ret

// X0: frame. No EL1 in between: HCR_EL2.TGE.
function user_handler
  push x29, x30
  push x19, x20
  mov x19, x0
  mark 4
  mrs x20, esr_el1                     // ESR_EL2
  lsr x1, x20, #EC_SHIFT
  cmp x1, #EC_SVC
  b.eq 1f
  print "EL"
  mrs x0, currentel
  lsr x0, x0, #2
  bl print_decimal
  print ": class "
  lsr x0, x20, #EC_SHIFT
  bl print_hex
  print ", syndrome "
  and x0, x20, #0x1ffffff
  bl print_hex
  print " from EL0\n"
  ldr x0, [x19, #FRAME_ELR]
  add x0, x0, #4
  str x0, [x19, #FRAME_ELR]
  b 2f
1:
  and x1, x20, #0xffff
  cmp x1, #CALL_ADD
  b.ne user_ended
  ldp x0, x1, [x19, #FRAME_X0]
  add x0, x0, x1
  str x0, [x19, #FRAME_X0]
  print "EL2: served EL0's SVC: "
  ldr x0, [x19, #FRAME_X0]
  bl print_decimal
  print "\n"
2:
  mov x0, x19
  pop x19, x20
  pop x29, x30
  ret

.section .user, "ax"
place user_main
  mov x0, #40
  mov x1, #2
place the_user_svc
  svc #CALL_ADD
  cmp x0, #42
  b.ne user_main
place the_user_mrs
  mrs x0, sctlr_el1
  constant x1, RAM
place the_user_load
  ldr x0, [x1]                         // the host's
place the_user_hvc
  hvc #0
  svc #CALL_END
.text

// ---- A guest at EL1 -----------------------------------------------------------------------------------------------

// TGE is cleared for it: EL1 exists, with the registers that _EL12 names. Its MMU is off, and so is stage 2.
function run_guest
  push x29, x30
  push x19, x20
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, guest_handler
  bl set_handler
  constant x0, SCTLR_EL1_RES1
  msr sctlr_el12, x0
  constant x0, GUEST_CONTROLS
  msr hcr_el2, x0
  isb
  address x0, user_return_stack
  mov x1, sp
  str x1, [x0]
  address x0, guest_main
  msr elr_el2, x0
  mov x0, #SPSR_DAIF | SPSR_EL1H
  msr spsr_el2, x0
place the_guest_entry
  eret
place guest_ended
  address x0, user_return_stack
  ldr x0, [x0]
  mov sp, x0
  constant x0, HOST_CONTROLS
  msr hcr_el2, x0
  isb
  address x19, guest_values
  ldp x0, x1, [x19]
  ldr x2, [x19, #16]
  mrs x3, vbar_el12
  ldr x4, =EC_HVC << EC_SHIFT | ESR_IL
  cmp x0, x3
  ccmp x1, #1 << 2, #0, eq
  ccmp x2, x4, #0, eq
  cset w0, eq
  report "a guest at EL1 has the registers that _EL12 named"
  pop x19, x20
  pop x29, x30
  ret

place guest_main                       // its own names mean its own registers
  mrs x0, vbar_el1
  mrs x1, currentel
place the_guest_hvc
  hvc #0

// X0: frame
function guest_handler
  ldp x1, x2, [x0, #FRAME_X0]
  ldr x3, [x0, #FRAME_ESR]
  address x4, guest_values
  stp x1, x2, [x4]
  str x3, [x4, #16]
  b guest_ended

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 4096
place host_level0
  .skip 4096
place upper_level0
  .skip 4096
place upper_page
  .skip 4096
place user_stack
  .skip 4096
ticks:
  .skip 8
user_return_stack:
  .skip 8
guest_values:
  .skip 24
