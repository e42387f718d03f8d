// SPDX-License-Identifier: GPL-3.0-or-later
//
// From the loader's hand-over (EL1 or EL2, MMU off, one core) to a running guest, and what every guest needs there.
//
// A guest defines `kernel_main` (called with the MMU on, interrupts masked, on boot_stack; must not return).
// Offered here (AAPCS64: X0 to X17 and X30 may be lost in any call):
//   print_string(x0 text)  print_character(w0)  print_hex(x0)  print_decimal(x0)  power_off_machine()
//   set_handler(x0 vector, x1 function)   the function gets the frame in X0 and returns the frame to resume in X0
//   start_core(x0 core, x1 function): x0  another core runs the function with its number in X0, on a stack of its own,
//                                         with this core's tables and vectors; the result is PSCI's
//   unexpected_exception(x0 frame)        reports it and ends the machine: what every vector does at first
// The memory map, 4 KB granule: the first GB as device memory in one block; 2 MB of RAM at 1 GB identity with pages
// (the image lies in them), the rest of 256 MB with 2 MB blocks. All RAM writable and executable at this level,
// nothing of it at EL0. Left out: the device tree, anything beyond 256 MB, more than two cores.

.include "guest.inc"

.set CORES, 2
.set STACK_BYTES, 16384
.set FETCH_CLASSES, 1 << EC_INSTRUCTION_LOWER | 1 << EC_INSTRUCTION_SAME | 1 << EC_PC_ALIGNMENT
.set CLASSES_WITH_ADDRESS, FETCH_CLASSES | 1 << EC_DATA_LOWER | 1 << EC_DATA_SAME

.section .text.boot, "ax"
place _start
  address x0, boot_stack_top
  mov sp, x0
  mrs x0, currentel
  cmp x0, #(LEVEL << 2)
  b.ne wrong_level
  bl build_identity_map
  bl enable_mmu
  constant x0, UART
  mov w1, #UART_CONTROL_ON
  str w1, [x0, #UART_CONTROL]
  bl kernel_main

// Only the firmware's conduit differs: HVC where this is EL1, SMC at EL2.
wrong_level:
  .if LEVEL == 2
  print "boot: this image starts at EL2: the machine must have it\n"
  ldr w0, =PSCI_SYSTEM_OFF
  hvc #0
  .else
  print "boot: this image starts at EL1: give it a machine without EL2\n"
  ldr w0, =PSCI_SYSTEM_OFF
  smc #0
  .endif
1:
  wfi
  b 1b

function build_identity_map
  address x0, boot_level0
  address x1, boot_level1
  address x2, boot_level2
  address x3, boot_level3
  orr x4, x1, #PTE_TABLE
  str x4, [x0]
  constant x4, PTE_KERNEL_DEVICE | PTE_BLOCK
  str x4, [x1]
  orr x4, x2, #PTE_TABLE
  str x4, [x1, #8]
  orr x4, x3, #PTE_TABLE
  str x4, [x2], #8
  constant x4, RAM | PTE_KERNEL | PTE_PAGE
  mov x5, #512
1:
  str x4, [x3], #8
  add x4, x4, #0x1000
  subs x5, x5, #1
  b.ne 1b
  constant x4, RAM + 0x200000 | PTE_KERNEL | PTE_BLOCK
  mov x5, #(RAM_END - RAM) / 0x200000 - 1
2:
  str x4, [x2], #8
  add x4, x4, #0x200000
  subs x5, x5, #1
  b.ne 2b
  ret

// The boot tables and vectors become this core's.
function enable_mmu
  address x0, vectors
  msr_here vbar, x0
  address x0, boot_level0
  msr_here ttbr0, x0
  constant x0, MAIR
  msr_here mair, x0
  .if LEVEL == 2
  constant x0, TCR_T0 | TCR_EL2_PS | TCR_EL2_RES1
  constant x1, SCTLR_EL2_RES1 | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_I
  .else
  constant x0, TCR_T0 | TCR_T1 | TCR_EPD1 | TCR_EL1_IPS | TCR_EL1_AS
  constant x1, SCTLR_EL1_RES1 | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_SA0 | SCTLR_I
  .endif
  msr_here tcr, x0
  dsb ish
  isb
  .if LEVEL == 2
  tlbi alle2
  .else
  tlbi vmalle1
  .endif
  dsb ish
  isb
place the_mmu_enable
  msr_here sctlr, x1
  isb
  ret

// ---- More cores ---------------------------------------------------------------------------------------------------

function start_core
  address x2, core_functions
  str x1, [x2, x0, lsl #3]
  dsb ish
  mov x3, x0
  mov x1, x0                           // MPIDR: affinity 0 is the core's number
  ldr w0, =PSCI_CPU_ON
  address x2, core_start
  firmware_call
  ret

// X0: the core's number
place core_start
  mov x19, x0
  mov x1, #STACK_BYTES
  add x2, x0, #1
  mul x1, x1, x2
  address x2, boot_stack
  add x1, x1, x2
  mov sp, x1
  bl enable_mmu
  address x1, core_functions
  ldr x1, [x1, x19, lsl #3]
  mov x0, x19
  blr x1
1:
  wfi
  b 1b

// ---- Exceptions ---------------------------------------------------------------------------------------------------

.text
// set_handler(x0 vector, x1 function)
function set_handler
  address x2, handlers
  str x1, [x2, x0, lsl #3]
  ret

.balign 2048
place vectors
.set vector_number, 0
.rept VECTORS
  .balign 128
  sub sp, sp, #FRAME_SIZE
  stp x0, x1, [sp]
  mov x0, #vector_number
  b exception_entry
  .set vector_number, vector_number + 1
.endr

.balign 128
place exception_entry
  stp x2, x3, [sp, #16]
  stp x4, x5, [sp, #32]
  stp x6, x7, [sp, #48]
  stp x8, x9, [sp, #64]
  stp x10, x11, [sp, #80]
  stp x12, x13, [sp, #96]
  stp x14, x15, [sp, #112]
  stp x16, x17, [sp, #128]
  stp x18, x19, [sp, #144]
  stp x20, x21, [sp, #160]
  stp x22, x23, [sp, #176]
  stp x24, x25, [sp, #192]
  stp x26, x27, [sp, #208]
  stp x28, x29, [sp, #224]
  mrs x1, sp_el0
  stp x30, x1, [sp, #FRAME_X30]
  mrs_here x2, elr
  mrs_here x3, spsr
  stp x2, x3, [sp, #FRAME_ELR]
  mrs_here x2, esr
  mrs_here x3, far
  stp x2, x3, [sp, #FRAME_ESR]
  str x0, [sp, #FRAME_VECTOR]
  address x1, handlers
  ldr x1, [x1, x0, lsl #3]
  mov x0, sp
  blr x1
place resume_frame                                       // X0: the frame to go on with
  mov sp, x0
  ldp x2, x3, [sp, #FRAME_ELR]
  msr_here elr, x2
  msr_here spsr, x3
  ldp x30, x1, [sp, #FRAME_X30]
  msr sp_el0, x1
  ldp x28, x29, [sp, #224]
  ldp x26, x27, [sp, #208]
  ldp x24, x25, [sp, #192]
  ldp x22, x23, [sp, #176]
  ldp x20, x21, [sp, #160]
  ldp x18, x19, [sp, #144]
  ldp x16, x17, [sp, #128]
  ldp x14, x15, [sp, #112]
  ldp x12, x13, [sp, #96]
  ldp x10, x11, [sp, #80]
  ldp x8, x9, [sp, #64]
  ldp x6, x7, [sp, #48]
  ldp x4, x5, [sp, #32]
  ldp x2, x3, [sp, #16]
  ldp x0, x1, [sp]
  add sp, sp, #FRAME_SIZE
place exception_return
  eret

// What ESR and FAR hold after an interrupt is left from some earlier exception: they are shown where they mean
// something.
function unexpected_exception
  mov x19, x0
  print "unexpected exception: vector "
  ldr x20, [x19, #FRAME_VECTOR]
  print_decimal_of x20
  tst x20, #3
  b.ne 2f
  print " ESR "
  ldr x20, [x19, #FRAME_ESR]
  print_hex_of x20
  lsr x20, x20, #EC_SHIFT
  mov x0, #1                                             // a bit for each class that has an address
  lsl x0, x0, x20
  constant x1, CLASSES_WITH_ADDRESS
  tst x0, x1
  b.eq 2f
  print " FAR "
  ldr x0, [x19, #FRAME_FAR]
  bl print_hex
2:
  print " at "
  ldr x0, [x19, #FRAME_ELR]
  bl print_hex
  print "\n"
  power_off

// ---- Console, end -------------------------------------------------------------------------------------------------

// print_string(x0 zero-terminated text)
function print_string
  constant x1, UART
1:
  ldrb w2, [x0], #1
  cbz w2, 3f
2:
  ldr w3, [x1, #UART_FLAGS]
  tbnz w3, #UART_FLAG_TRANSMIT_FULL, 2b
  str w2, [x1, #UART_DATA]
  b 1b
3:
  ret

// print_character(w0)
function print_character
  constant x1, UART
1:
  ldr w3, [x1, #UART_FLAGS]
  tbnz w3, #UART_FLAG_TRANSMIT_FULL, 1b
  str w0, [x1, #UART_DATA]
  ret

// print_hex(x0): "0x" and as many digits as it takes. The text is made on the stack, from its end.
function print_hex
  push x29, x30
  sub sp, sp, #32
  add x1, sp, #31
  strb wzr, [x1]
  address x2, hex_digits
1:
  and x3, x0, #15
  ldrb w3, [x2, x3]
  strb w3, [x1, #-1]!
  lsr x0, x0, #4
  cbnz x0, 1b
  mov w3, #'x'
  strb w3, [x1, #-1]!
  mov w3, #'0'
  strb w3, [x1, #-1]!
  mov x0, x1
  bl print_string
  add sp, sp, #32
  pop x29, x30
  ret

// print_decimal(x0): unsigned
function print_decimal
  push x29, x30
  sub sp, sp, #32
  add x1, sp, #31
  strb wzr, [x1]
  mov x2, #10
1:
  udiv x3, x0, x2
  msub x4, x3, x2, x0
  add w4, w4, #'0'
  strb w4, [x1, #-1]!
  mov x0, x3
  cbnz x0, 1b
  mov x0, x1
  bl print_string
  add sp, sp, #32
  pop x29, x30
  ret

function power_off_machine
  msr daifset, #15
  ldr w0, =PSCI_SYSTEM_OFF
  firmware_call
1:
  wfi
  b 1b

// ---- Data ---------------------------------------------------------------------------------------------------------
.section .rodata
hex_digits:
  .ascii "0123456789abcdef"

.data
.balign 8
place handlers
  .rept VECTORS
  .quad unexpected_exception
  .endr

.bss
.balign 4096
place boot_level0
  .skip 4096
place boot_level1
  .skip 4096
place boot_level2
  .skip 4096
place boot_level3
  .skip 4096
place boot_stack
  .skip STACK_BYTES
place boot_stack_top
  .skip STACK_BYTES * (CORES - 1)
core_functions:
  .skip 8 * CORES
