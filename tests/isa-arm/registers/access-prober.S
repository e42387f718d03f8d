// SPDX-License-Identifier: GPL-3.0-or-later
//
// Executes instructions one by one at a given level and with given control registers, and tells on the serial port
// which level took what followed: eight bytes a request, ESR in the low word and the level in the high one. After each
// instruction comes BRK #0x77, so that one which nothing stops is told by that. Runs at EL2.
//   Request, 128 bytes: instruction word and level (32 bits each), X3, HCR_EL2, SCTLR_EL1, SCTLR_EL2, CPACR_EL1,
//   CPTR_EL2, CNTKCTL_EL1, CNTHCTL_EL2, MDCR_EL2, MDSCR_EL1, PMUSERENR_EL0, ICH_HCR_EL2, ICC_SRE_EL2, SPSR_EL2, 0.
//   An instruction word of 0 ends the list.

.arch armv8.1-a
.set REQUESTS, 0x41000000
.set UART, 0x09000000
.set UART_FLAGS, 0x18
.set UART_FULL, 1 << 5
.set HCR_QUIET, 1 << 31                 // RW
.set HCR_HCD, 1 << 29
.set SCTLR_EL2_OFF, 0x30c50830
.set CPTR_QUIET, 0x33ff & ~(1 << 10)
.set FROM_EL1, 0x7e57
.set PSCI_SYSTEM_OFF, 0x84000008

.section .text
.globl _start
_start:
  msr daifset, #15
  ldr x0, =vectors
  msr vbar_el2, x0
  ldr x0, =guest_vectors
  msr vbar_el1, x0
  ldr x20, =REQUESTS
  ldr x27, =UART

next_request:
  ldp w22, w23, [x20]
  cbz w22, finish
  ldr x1, =slot
  str w22, [x1]
  dc cvau, x1
  dsb ish
  ic ivau, x1
  dsb ish
  ldr x0, =HCR_QUIET
  msr hcr_el2, x0
  isb
  ldr x0, [x20, #24]
  msr sctlr_el1, x0
  ldr x0, [x20, #40]
  msr cpacr_el1, x0
  ldr x0, [x20, #56]
  msr cntkctl_el1, x0
  ldp x0, x1, [x20, #80]
  msr mdscr_el1, x0
  msr pmuserenr_el0, x1
  ldr x26, [x20, #16]
  msr hcr_el2, x26
  isb
  ldr x0, [x20, #32]
  msr sctlr_el2, x0
  ldr x0, [x20, #64]
  msr cnthctl_el2, x0
  ldr x0, [x20, #72]
  msr mdcr_el2, x0
  ldp x0, x1, [x20, #96]
  msr S3_4_C12_C11_0, x0                // ICH_HCR_EL2
  msr S3_4_C12_C9_5, x1                 // ICC_SRE_EL2
  ldr x0, [x20, #112]
  msr spsr_el2, x0
  ldr x0, =slot
  msr elr_el2, x0
  ldr x0, [x20, #48]
  msr cptr_el2, x0
  ldr x3, [x20, #8]
  mov x0, #0
  isb
  eret

.balign 4096
slot:
  nop
  brk #0x77

.balign 4096
// EL1's vectors: whatever it was, EL2 reads it out.
guest_vectors:
.rept 16
  .balign 128
  tst x26, #HCR_HCD
  b.ne 1f
  hvc #FROM_EL1
1:smc #FROM_EL1                         // A list that sets HCD sets TSC too.
  b .
.endr

.balign 2048
vectors:
.rept 16
  .balign 128
  b taken
.endr

taken:
  ldr x0, =HCR_QUIET
  msr hcr_el2, x0
  ldr x0, =SCTLR_EL2_OFF
  msr sctlr_el2, x0
  ldr x0, =CPTR_QUIET
  msr cptr_el2, x0
  isb
  mrs x0, esr_el2
  mov x1, #2
  and x2, x0, #0xffff
  mov x4, #FROM_EL1
  cmp x2, x4
  b.ne 1f
  mrs x0, esr_el1
  mov x1, #1
1:bfi x0, x1, #32, #32
  mov x5, #8
2:ldr w6, [x27, #UART_FLAGS]
  tst w6, #UART_FULL
  b.ne 2b
  strb w0, [x27]
  lsr x0, x0, #8
  subs x5, x5, #1
  b.ne 2b
  add x20, x20, #128
  b next_request

finish:
  ldr x0, =PSCI_SYSTEM_OFF
  smc #0
  b .
