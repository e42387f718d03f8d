// SPDX-License-Identifier: GPL-3.0-or-later
//
// Does a list of accesses to the interrupt controller and its CPU interfaces, and writes down what it read. The test
// puts the requests into memory; the answers, eight bytes a request, go out on the serial port at the end.
// Runs at EL2; what is to be done as a guest runs at EL1 with HCR_EL2.IMO and FMO set, where ICC_* are ICV_*.
//   Request, 24 bytes: operation (32 bits: 0 end, 1 memory read, 2 memory write, 3 instruction at EL2, 4 the same at
//   EL1), size of the memory access or instruction word (32 bits), address, value. Instructions are MRS X0 and MSR X0.

.set REQUESTS, 0x41000000
.set ANSWERS, 0x42000000
.set UART, 0x09000000
.set UART_FLAGS, 0x18
.set UART_FULL, 1 << 5
.set UART_MASK, 0x38
.set HYPERVISOR_ROUTES, 1 << 31 | 1 << 4 | 1 << 3   // HCR_EL2: RW, IMO, FMO
.set EL1H_MASKED, 0x3c5
.set SCTLR_EL1_OFF, 0x30d00800
.set PSCI_SYSTEM_OFF, 0x84000008
.set HVC64_0, 0x5a000000                // ESR_EL2 after HVC #0
.set FAILED, 0xbad

.section .text
.globl _start
_start:
  msr daifset, #15
  ldr x0, =vectors
  msr vbar_el2, x0
  ldr x0, =guest_vectors
  msr vbar_el1, x0
  ldr x0, =HYPERVISOR_ROUTES
  msr hcr_el2, x0
  ldr x0, =SCTLR_EL1_OFF
  msr sctlr_el1, x0
  mov x0, #15
  msr S3_4_C12_C9_5, x0                 // ICC_SRE_EL2
  mov x0, #7
  msr S3_0_C12_C12_5, x0                // ICC_SRE_EL1
  msr cntp_cval_el0, xzr                // Every timer's condition holds: its line follows its control register.
  msr cntv_cval_el0, xzr
  msr cnthp_cval_el2, xzr
  msr cntvoff_el2, xzr
  isb
  ldr x20, =REQUESTS
  ldr x21, =ANSWERS
  ldr x27, =UART
  str wzr, [x27]                        // A byte sent: the transmit interrupt is raised, and the mask shows it.

next_request:
  ldp w22, w23, [x20]
  ldp x24, x25, [x20, #8]
  add x20, x20, #24
  mov x0, x25
  cbz w22, finish
  cmp w22, #1
  b.eq memory_read
  cmp w22, #2
  b.eq memory_write
  ldr x1, =slot
  str w23, [x1]
  dc cvau, x1
  dsb ish
  ic ivau, x1
  dsb ish
  isb
  cmp w22, #3
  b.eq here
  b as_guest

answer:
  dsb sy
  isb
  str x0, [x21], #8
  b next_request

memory_read:
  mov x0, #0
  cmp w23, #1
  b.ne 1f
  ldrb w0, [x24]
1:cmp w23, #4
  b.ne 1f
  ldr w0, [x24]
1:cmp w23, #8
  b.ne answer
  ldr x0, [x24]
  b answer

memory_write:
  cmp w23, #1
  b.ne 1f
  strb w0, [x24]
1:cmp w23, #4
  b.ne 1f
  str w0, [x24]
1:cmp w23, #8
  b.ne answer
  str x0, [x24]
  b answer

here:
  blr x1
  b answer

// With the physical priority mask closed, no physical interrupt takes us out of EL1.
as_guest:
  mrs x26, S3_0_C4_C6_0                 // ICC_PMR_EL1
  msr S3_0_C4_C6_0, xzr
  ldr x2, =guest
  msr elr_el2, x2
  mov x2, #EL1H_MASKED
  msr spsr_el2, x2
  isb
  eret
guest:
  blr x1
  isb
  hvc #0
back:
  msr S3_0_C4_C6_0, x26
  b answer

finish:
  str wzr, [x27, #UART_MASK]
  ldr x1, =ANSWERS
1:cmp x1, x21
  b.eq off
  ldrb w0, [x1], #1
2:ldr w2, [x27, #UART_FLAGS]
  tst w2, #UART_FULL
  b.ne 2b
  strb w0, [x27]
  b 1b
off:
  ldr x0, =PSCI_SYSTEM_OFF
  smc #0
  b .

// An access that fails at EL2 answers FAILED and is passed over.
failed_here:
  mrs x0, elr_el2
  add x0, x0, #4
  msr elr_el2, x0
  mov x0, #FAILED
  eret
from_guest:
  mrs x2, esr_el2
  ldr x3, =HVC64_0
  cmp x2, x3
  b.eq back
  mov x0, #FAILED
  b back

.balign 2048
vectors:
  .rept 4
  b .
  .balign 128
  .endr
  b failed_here
  .balign 128
  .rept 3
  b .
  .balign 128
  .endr
  b from_guest
  .balign 128
  .rept 7
  b .
  .balign 128
  .endr
.balign 2048
guest_vectors:
  .space 512
  hvc #1

// The access to do: written here, then called.
.balign 64
slot:
  .space 4
  ret
